//! What becomes of queries where more come than can be answered: who floods loses before others do, and what has waited
//! longer than its client would is not answered (rule S-52, RELIABILITY L1, L3, P10).
//!
//! ```text
//! a batch that is not full ─► nothing: the socket is empty
//! full batches             ─► the last one came long ago? all of it is old: dropped, counted
//! a quarter of a socket    ─► who sends how much is counted; the kernel drops a part of what the greatest send, so much
//!                             that the socket stays between a quarter and two fifths full
//! ```
//!
//! Cost without pressure: a comparison and a store a batch, nothing for each query.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::kernel::{BATCH, Inbox};
use super::pulse::Pulse;
use super::sieve::{self, Sifted};
use super::sockopt;
use crate::metrics::Counters;
use crate::time::{Clock, Tick};

/// After so long a client has asked again, or somebody else: nobody waits for the reply (glibc and musl wait 5 s and 2.5 s,
/// and what is answered instead is younger).
pub(super) const STALE: Duration = Duration::from_secs(2);

/// What looks younger behind a stop of the process was not stamped by the kernel when it came.
const MOMENT: Duration = Duration::from_millis(10);

/// A socket that is emptier than this has room for everybody. Unit: percent.
const ROOMY: u8 = 25;

/// A socket that is fuller than this gets less of who floods, in proportion. Unit: percent.
const AIM: u8 = 40;

/// From here on nobody knows how much too much came: a socket that is full drops what comes, whoever sent it. Unit: percent.
const FULL: u8 = 75;

/// What may come between two looks at a socket: a worker that is held does not run for a tenth of a second, and now and then for
/// three, and the third must not find a full socket. Unit: percent.
const RISE: u8 = 20;

/// So many queries tell who floods, if two clients are among them.
const ENOUGH: u32 = 512;

/// All that somebody sends; what is dropped of it is a part of this.
const ALL: u32 = 1 << 16;

/// The least that passes of who sends most: what passes tells how much they send.
const LEAST: u32 = ALL >> 10;

/// How long queries are counted before it is judged who sends too much.
const WINDOW: Duration = Duration::from_millis(25);

/// After so long a window ends whatever lies in the socket.
const LATE: Duration = Duration::from_secs(1);

/// In so many full batches time is looked at once.
const EVERY: u32 = 16;

/// A step of the wall clock: by more than this its difference from the other clock never changes otherwise.
const STEP: Duration = Duration::from_millis(500);

/// One of so many datagrams is counted.
const SAMPLE: usize = 4;

/// Clients that are told apart in a window.
const CLIENTS: usize = 64;

/// A client sends too much if it sends so many times what another one does.
const TIMES: u64 = 8;

/// What a client must send to be sifted: this part of all, a sixteenth.
const PART: u64 = 16;

/// A client and how many queries of its were seen in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    /// Whose: of IPv6 the network.
    client: IpAddr,
    /// How many.
    count: u32,
}

/// What is known of one socket.
#[derive(Default)]
struct Gauge {
    /// Full batches since the socket was empty last.
    full: u32,
    /// Whether the last look at the time found old queries.
    old: bool,
    /// The wall clock less the other one, at the last look.
    offset: Option<Duration>,
    /// When the window ends; `None` without pressure.
    ends: Option<Tick>,
    /// Who sent what in the window; empty without pressure.
    seen: Vec<Seen>,
    /// How full the socket was at the last look; 0 once it was empty. Unit: percent.
    fill: u8,
    /// How full it was at most in this window. Unit: percent.
    peak: u8,
    /// By how much it became fuller between two looks of this window, at most. Unit: percent.
    rise: u8,
    /// Queries that were counted in this window.
    counted: u32,
    /// Whether this window ends as soon as the socket is empty or enough is known: it was full when the window began, or what
    /// lay there came all at once, as where the worker had not run for a while. It may not run for long now.
    urgent: bool,
    /// Whether this window ends now: the socket is full, and was not a moment ago.
    rising: bool,
    /// How much of what the greatest send is dropped. Unit: 1 / `ALL`.
    drop: u32,
    /// Whether what is in the socket came before the process stood still, as far as nothing says otherwise.
    stood: bool,
    /// The greatest, and what they send in a window.
    great: Vec<Seen>,
    /// Those of them of whom not everything passes.
    sifted: Vec<Sifted>,
    /// Whether senders are proxies, so that they say nothing about clients.
    proxied: bool,
}

/// What is to be done after a batch.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Verdict {
    /// It is answered.
    Answer,
    /// It is old: dropped.
    Drop,
}

impl Gauge {
    /// A batch that was not full came: the socket is empty now.
    fn emptied(&mut self) {
        self.full = 0;
        self.fill = 0;
        self.stood = false;
    }

    /// Whether this full batch asks for a look. Cost: an addition and a comparison.
    fn looks(&mut self) -> bool {
        self.full = self.full.wrapping_add(1);
        self.full % EVERY == 1 || self.old || self.ends.is_some()
    }

    /// What becomes of a batch whose last datagram came at `came`, since 1970; `wall` is that clock now, `fill` how full the
    /// socket still is.
    fn judge(&mut self, came: Option<Duration>, wall: Duration, fill: u8, now: Tick) -> Verdict {
        let offset = wall.saturating_sub(Duration::from_nanos(now.0));
        let stepped = self.offset.replace(offset).is_none_or(|before| before.abs_diff(offset) > STEP);
        // Right after the wall clock was set nothing can be said.
        let age = came.filter(|_| !stepped).map_or(Duration::ZERO, |came| wall.saturating_sub(came));
        // The kernel did stamp what lay there; its word counts.
        self.stood &= age <= MOMENT || age > STALE;
        self.old = age > STALE || self.stood;
        if self.old {
            return Verdict::Drop;
        }
        let before = std::mem::replace(&mut self.fill, fill);
        self.peak = self.peak.max(fill);
        let rise = fill.saturating_sub(before);
        self.rise = self.rise.max(rise);
        if self.ends.is_some() {
            self.rising |= fill >= FULL && before < FULL;
        } else if fill > ROOMY && !self.proxied {
            self.ends = Some(now.plus(WINDOW));
            self.urgent = fill >= FULL || rise > RISE;
            (self.peak, self.rise) = (fill, rise);
        }
        Verdict::Answer
    }

    /// Counts a sender.
    fn count(&mut self, peer: SocketAddr) {
        self.counted = self.counted.saturating_add(1);
        let client = network(peer.ip());
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.client == client) {
            seen.count = seen.count.saturating_add(1);
        } else if self.seen.len() < CLIENTS {
            self.seen.push(Seen { client, count: 1 });
        } else if let Some(seen) = self.seen.iter_mut().find(|seen| seen.count == 1) {
            // One more of many: it sends little, and takes the place of one that was seen once too.
            seen.client = client;
        }
    }

    /// Counts some of the senders of a batch: all where nothing is known yet and the socket is full.
    fn sample(&mut self, inbox: &Inbox, from: usize) {
        let step = if self.urgent { 1 } else { SAMPLE };
        for index in (from % step..inbox.len()).step_by(step) {
            if let Some(peer) = inbox.envelope(index).peer() {
                self.count(peer);
            }
        }
    }

    /// Ends the window if it is over, `empty` saying whether the socket is; who is to be sifted from now on, if that changes.
    fn turn(&mut self, now: Tick, empty: bool) -> Option<&[Sifted]> {
        let ends = self.ends?;
        let known = empty || self.counted >= ENOUGH && self.seen.len() > 1;
        if now < ends && !self.rising && !(self.urgent && known) {
            return None;
        }
        let before = std::mem::take(&mut self.sifted);
        let fill = if self.urgent { self.peak } else { self.fill };
        self.drop = ALL - Self::passing(ALL - self.drop, fill, self.rise);
        self.weigh(&before);
        if self.great.is_empty() {
            self.drop = 0;
        }
        let pressed = self.drop > 0 || fill > ROOMY;
        self.ends = pressed.then(|| now.plus(WINDOW));
        if !pressed {
            self.great.clear();
        }
        (self.urgent, self.rising, self.peak, self.rise, self.counted) = (false, false, 0, 0, 0);
        self.seen.clear();
        (before != self.sifted).then_some(self.sifted.as_slice())
    }

    /// How much passes of the greatest after a window in which `pass` did, the socket was so full, and became fuller by `rise`
    /// between two looks.
    ///
    /// Down at once and up in steps: what comes while a socket is full is lost to all, what is dropped too long only to who
    /// floods.
    fn passing(pass: u32, fill: u8, rise: u8) -> u32 {
        let by_rise = pass * u32::from(RISE) / u32::from(rise.max(1));
        let pass = match fill {
            FULL.. => pass / 4,
            fill if fill > AIM => pass * u32::from(AIM) / u32::from(fill),
            fill if fill > ROOMY => pass + pass / 32,
            _ => pass + pass / 2,
        };
        pass.min(by_rise).clamp(LEAST, ALL)
    }

    /// How much a client sends in a window by what was seen of it, since of those that were sifted only a part was.
    fn sent(seen: Seen, sifted: &[Sifted]) -> Seen {
        let pass =
            sifted.iter().find(|sifted| sifted.client == seen.client).map_or(u32::MAX, |one| one.pass.max(1));
        let count = u64::from(seen.count) * u64::from(u32::MAX) / u64::from(pass);
        Seen { count: u32::try_from(count).unwrap_or(u32::MAX), ..seen }
    }

    /// Says anew who are the greatest, and how much of what each sends passes: all the same number, or all that it sends.
    fn weigh(&mut self, sifted: &[Sifted]) {
        let mut sent: Vec<Seen> = self.seen.iter().map(|seen| Self::sent(*seen, sifted)).collect();
        // One of whom nothing came may have stopped, or all of it was dropped.
        for known in &self.great {
            if known.count > 1 && !sent.iter().any(|seen| seen.client == known.client) {
                sent.push(Seen { count: known.count / 2, ..*known });
            }
        }
        sent.sort_unstable_by_key(|seen| seen.count);
        let all: u64 = sent.iter().map(|seen| u64::from(seen.count)).sum();
        let least = sent.first().map_or(0, |seen| u64::from(seen.count));
        // Without somebody who sends much less there is nobody to be fair to, and what is dropped is dropped in vain.
        // Who was found to be great stays so while the pressure lasts: of those who send little, few are seen in a window.
        let known = std::mem::take(&mut self.great);
        let is_great = |seen: &Seen| {
            let count = u64::from(seen.count);
            let greater = count >= least * TIMES || known.iter().any(|known| known.client == seen.client);
            count * PART > all && greater
        };
        self.great = sent.into_iter().filter(is_great).collect();
        let excess = self.great.len().saturating_sub(sieve::MOST);
        self.great.drain(..excess);
        let together: u64 = self.great.iter().map(|seen| u64::from(seen.count)).sum();
        let mut left = together * u64::from(ALL - self.drop) / u64::from(ALL);
        let mut clients = u64::try_from(self.great.len()).unwrap_or(0);
        // From the least of them: what one does not need is the others'.
        for seen in &self.great {
            let count = u64::from(seen.count);
            let passes = count.min(left / clients.max(1));
            left -= passes;
            clients = clients.saturating_sub(1);
            if passes < count {
                let pass = u32::try_from(passes * u64::from(u32::MAX) / count).unwrap_or(u32::MAX);
                self.sifted.push(Sifted { client: seen.client, pass });
            }
        }
    }
}

/// What a worker knows of its sockets.
#[derive(Default)]
pub(super) struct Pressure {
    /// By the number of the socket.
    gauges: Vec<Gauge>,
    /// When the first window ends; `None` without pressure.
    due: Option<Tick>,
    /// Batches that were looked at: which datagrams of one are counted changes with it.
    looks: usize,
    /// When a batch was looked at last.
    looked: Tick,
    /// Whether the process stood still.
    pulse: Arc<Pulse>,
    /// Where dropped queries are counted.
    counters: Arc<Counters>,
}

impl Pressure {
    /// No socket yet.
    pub(super) fn new(counters: Arc<Counters>, pulse: Arc<Pulse>) -> Self {
        Self { counters, pulse, ..Self::default() }
    }

    /// A socket with this number is served from now on.
    pub(super) fn adopt(&mut self, number: usize, socket: Option<BorrowedFd<'_>>, clock: &Clock) {
        if self.gauges.len() <= number {
            self.gauges.resize_with(number + 1, Gauge::default);
        }
        let offset = clock.since_1970().saturating_sub(Duration::from_nanos(clock.now().0));
        if let Some(gauge) = self.gauges.get_mut(number) {
            gauge.offset = Some(offset);
        }
        if let Some(socket) = socket {
            // Nothing was read yet; the kernel notes from now on when datagrams come.
            let _ = sockopt::last_came(socket);
        }
    }

    /// Says whether the senders at a socket are proxies.
    pub(super) fn equip(&mut self, number: usize, proxied: bool) {
        if let Some(gauge) = self.gauges.get_mut(number) {
            gauge.proxied = proxied;
        }
    }

    /// The socket was found empty.
    pub(super) fn emptied(&mut self, number: usize) {
        if let Some(gauge) = self.gauges.get_mut(number) {
            gauge.emptied();
        }
    }

    /// What becomes of a batch. Cost: a comparison and a store unless the socket is under pressure.
    pub(super) fn batch(
        &mut self,
        number: usize,
        socket: BorrowedFd<'_>,
        inbox: &Inbox,
        clock: &Clock,
    ) -> Verdict {
        let Some(gauge) = self.gauges.get_mut(number) else { return Verdict::Answer };
        if inbox.len() < BATCH {
            gauge.emptied();
            if gauge.ends.is_none() && !gauge.old {
                return Verdict::Answer;
            }
        } else if !gauge.looks() {
            return Verdict::Answer;
        }
        self.look(number, socket, inbox, clock)
    }

    /// Looks at a batch more closely.
    #[cold]
    fn look(&mut self, number: usize, socket: BorrowedFd<'_>, inbox: &Inbox, clock: &Clock) -> Verdict {
        let (now, full) = (clock.now(), inbox.len() == BATCH);
        // Who was looking all the while did not stand still.
        let rested = now.since(self.looked) > STALE;
        self.looked = now;
        if full && rested && self.pulse.stood_still(now) {
            self.gauges.iter_mut().for_each(|gauge| gauge.stood = true);
        }
        let Some(gauge) = self.gauges.get_mut(number) else { return Verdict::Answer };
        // A batch that is not full may be the end of what is old.
        if full || gauge.old {
            let (came, fill) = (sockopt::last_came(socket), sockopt::fill(socket).unwrap_or(0));
            if gauge.judge(came, clock.since_1970(), fill, now) == Verdict::Drop {
                self.counters.overdue.add(u64::try_from(inbox.len()).unwrap_or(0));
                return Verdict::Drop;
            }
        }
        if gauge.ends.is_some() {
            self.looks = self.looks.wrapping_add(1);
            gauge.sample(inbox, self.looks);
        }
        self.turn(number, socket, now, !full);
        Verdict::Answer
    }

    /// Ends the window of a socket if it is over.
    fn turn(&mut self, number: usize, socket: BorrowedFd<'_>, now: Tick, empty: bool) {
        if let Some(sifted) = self.gauges.get_mut(number).and_then(|gauge| gauge.turn(now, empty)) {
            // A kernel that takes no programs drops by itself, whoever it is.
            let _ = sockopt::sift(socket, &sieve::program(sifted));
        }
        self.due = self.gauges.iter().filter_map(|gauge| gauge.ends).min();
    }

    /// When something falls due; `None` without pressure.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }

    /// Ends windows that are over, where nothing came that would have.
    pub(super) fn tend<'s>(&mut self, now: Tick, socket: impl Fn(usize) -> Option<BorrowedFd<'s>>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        for number in 0..self.gauges.len() {
            let Some(gauge) = self.gauges.get(number) else { continue };
            if gauge.ends.is_none_or(|ends| now < ends) {
                continue;
            }
            if let Some(socket) = socket(number) {
                // What lies there is read next, and says more: who does not get to run finds a full socket late.
                if gauge.ends.is_none_or(|ends| now < ends.plus(LATE)) && sockopt::fill(socket) > Some(0) {
                    continue;
                }
                self.turn(number, socket, now, false);
            } else if let Some(gauge) = self.gauges.get_mut(number) {
                // It was closed.
                gauge.ends = None;
            }
        }
        self.due = self.gauges.iter().filter_map(|gauge| gauge.ends).min();
    }
}

/// Who a sender is: an IPv4 address, or the network of an IPv6 address.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
