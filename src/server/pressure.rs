//! What becomes of queries where more come than can be answered: who floods loses before others do, and what has waited
//! longer than its client would is not answered (rule S-52, RELIABILITY L1, L3, P10).
//!
//! ```text
//! a batch that is not full ─► nothing: the socket is empty
//! full batches             ─► the last one came long ago? all of it is old: dropped, counted
//! the socket nearly full, or
//! not empty for 20 ms      ─► who sent how much is counted; the kernel drops a part of what the greatest send
//! ```
//!
//! Cost without pressure: a comparison and a store a batch, nothing for each query.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::kernel::{BATCH, Inbox};
use super::sieve::{self, Sifted};
use super::sockopt;
use crate::metrics::Counters;
use crate::time::{Clock, Tick};

/// After so long a client has asked again, or somebody else: nobody waits for the reply (glibc and musl wait 5 s and 2.5 s,
/// and what is answered instead is younger).
const STALE: Duration = Duration::from_secs(2);

/// How long a socket must not have been empty before anybody is told apart.
const PATIENCE: Duration = Duration::from_millis(20);

/// A socket that is fuller than this is about to drop what comes, whoever sent it. Unit: percent.
const FULL: u8 = 75;

/// A socket that is emptier than this has room for more. Unit: percent.
const ROOMY: u8 = 50;

/// How long queries are counted before it is judged who sends too much.
const WINDOW: Duration = Duration::from_millis(50);

/// In so many full batches time is looked at once.
const EVERY: u32 = 16;

/// A step of the wall clock: by more than this its difference from the other clock never changes otherwise.
const STEP: Duration = Duration::from_millis(500);

/// One of so many datagrams is counted.
const SAMPLE: usize = 4;

/// Clients that are told apart in a window.
const CLIENTS: usize = 64;

/// A client sends too much if it sends so many times what another one does.
const TIMES: u32 = 8;

/// What a client must send to be sifted: this part of all.
const PART: u32 = 16;

/// The least that passes of a client in a window.
const LEAST: u32 = 8;

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
    /// Since when the socket was not empty, as far as it was looked.
    since: Option<Tick>,
    /// The wall clock less the other one, at the last look.
    offset: Option<Duration>,
    /// Who sent what in the window; empty without pressure.
    seen: Vec<Seen>,
    /// When the window ends; `None` without pressure.
    ends: Option<Tick>,
    /// Whether the socket was empty in this window.
    emptied: bool,
    /// How full it was at most in this window, where that was looked at. Unit: percent.
    fill: u8,
    /// Who is sifted, and the queries that each is left a window.
    sifted: Vec<Sifted>,
    /// The queries that a sifted client is left a window.
    level: u32,
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
        self.since = None;
        self.emptied = true;
    }

    /// Whether this full batch asks for a look at the time. Cost: an addition and a comparison.
    fn looks(&mut self) -> bool {
        self.full = self.full.wrapping_add(1);
        self.full % EVERY == 1 || self.old || self.ends.is_some()
    }

    /// What becomes of a full batch whose last datagram came at `came`, since 1970; `wall` is that clock now, `fill` how full
    /// the socket still is.
    fn judge(&mut self, came: Option<Duration>, wall: Duration, fill: u8, now: Tick) -> Verdict {
        let since = *self.since.get_or_insert(now);
        let pressed = now.since(since) >= PATIENCE || fill > FULL;
        if pressed && !self.proxied && self.ends.is_none() {
            self.ends = Some(now.plus(WINDOW));
            (self.emptied, self.fill) = (false, 0);
        }
        self.fill = self.fill.max(fill);
        let offset = wall.saturating_sub(Duration::from_nanos(now.0));
        let stepped = self.offset.replace(offset).is_none_or(|before| before.abs_diff(offset) > STEP);
        // Right after the wall clock was set nothing can be said.
        let age = came.filter(|_| !stepped).map_or(Duration::ZERO, |came| wall.saturating_sub(came));
        self.old = age > STALE;
        if self.old { Verdict::Drop } else { Verdict::Answer }
    }

    /// Counts a sender.
    fn count(&mut self, peer: SocketAddr) {
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

    /// Ends the window if it is over; who is to be sifted from now on, if that changes.
    fn turn(&mut self, now: Tick) -> Option<&[Sifted]> {
        if self.ends.is_none_or(|ends| now < ends) {
            return None;
        }
        let before = self.sifted.clone();
        // A window in which nothing came is one in which nothing was left.
        self.emptied |= self.seen.is_empty();
        self.weigh();
        let pressed = self.is_short() || !self.sifted.is_empty();
        self.ends = pressed.then(|| now.plus(WINDOW));
        (self.emptied, self.fill) = (false, 0);
        self.seen.clear();
        (before != self.sifted).then_some(self.sifted.as_slice())
    }

    /// How much a client sent in the window, what was sifted included.
    fn sent(&self, seen: Seen) -> u32 {
        let sifted = self.sifted.iter().find(|sifted| sifted.client == seen.client);
        let pass = sifted.map_or(u32::MAX, |sifted| sifted.pass.max(1));
        u32::try_from(u64::from(seen.count) * u64::from(u32::MAX) / u64::from(pass)).unwrap_or(u32::MAX)
    }

    /// Whether there was too little room in this window.
    fn is_short(&self) -> bool {
        !self.emptied || self.fill > FULL
    }

    /// Says anew who is sifted and how much.
    fn weigh(&mut self) {
        let mut sent: Vec<Seen> =
            self.seen.iter().map(|seen| Seen { count: self.sent(*seen), ..*seen }).collect();
        sent.sort_unstable_by_key(|seen| std::cmp::Reverse(seen.count));
        let most = sent.first().map_or(0, |seen| seen.count);
        let least = sent.last().map_or(0, |seen| seen.count);
        if self.sifted.is_empty() {
            // Without somebody who sends much less there is nobody to be fair to, and what is dropped is dropped in vain.
            if !self.is_short() || u64::from(least) * u64::from(TIMES) > u64::from(most) {
                return;
            }
            self.level = most - most / 4;
        } else if self.is_short() {
            self.level = (self.level - self.level / 4).max(LEAST);
        } else if self.fill < ROOMY {
            // By little: who is not sifted loses whenever it is too much.
            self.level = self.level.saturating_add(self.level / 16 + 1);
        }
        let all: u64 = sent.iter().map(|seen| u64::from(seen.count)).sum();
        let (level, heavy) = (self.level, all / u64::from(PART));
        let pass = |count: u32| {
            let pass = u64::from(level) * u64::from(u32::MAX) / u64::from(count.max(1));
            u32::try_from(pass).unwrap_or(u32::MAX)
        };
        let mut next: Vec<Sifted> = sent
            .iter()
            .filter(|seen| seen.count > level && u64::from(seen.count) > heavy)
            .filter(|seen| u64::from(seen.count) >= u64::from(least) * u64::from(TIMES))
            .take(sieve::MOST)
            .map(|seen| Sifted { client: seen.client, pass: pass(seen.count) })
            .collect();
        // One of whom nothing came may have stopped, or everything of it was dropped: it is let in by and by.
        for sifted in &self.sifted {
            let unseen = !sent.iter().any(|seen| seen.client == sifted.client);
            let pass = sifted.pass.saturating_mul(2);
            if unseen && pass < u32::MAX && next.len() < sieve::MOST {
                next.push(Sifted { pass, ..*sifted });
            }
        }
        self.sifted = next;
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
    /// Where dropped queries are counted.
    counters: Arc<Counters>,
}

impl Pressure {
    /// No socket yet.
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, ..Self::default() }
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
            if gauge.ends.is_none() {
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
        let Some(gauge) = self.gauges.get_mut(number) else { return Verdict::Answer };
        let now = clock.now();
        if inbox.len() == BATCH
            && gauge.judge(
                sockopt::last_came(socket),
                clock.since_1970(),
                sockopt::fill(socket).unwrap_or(0),
                now,
            ) == Verdict::Drop
        {
            self.counters.overdue.add(u64::try_from(inbox.len()).unwrap_or(0));
            return Verdict::Drop;
        }
        if gauge.ends.is_some() {
            self.looks = self.looks.wrapping_add(1);
            for index in (self.looks % SAMPLE..inbox.len()).step_by(SAMPLE) {
                if let Some(peer) = inbox.envelope(index).peer() {
                    gauge.count(peer);
                }
            }
        }
        self.turn(number, socket, now);
        Verdict::Answer
    }

    /// Ends the window of a socket if it is over.
    fn turn(&mut self, number: usize, socket: BorrowedFd<'_>, now: Tick) {
        if let Some(sifted) = self.gauges.get_mut(number).and_then(|gauge| gauge.turn(now)) {
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
            if let Some(socket) = socket(number) {
                self.turn(number, socket, now);
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
