//! A worker's questions to upstreams: a state machine over datagram sockets and streams that is told the time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Attempt, Bits, Flight, Flights, State};
use super::group::Group;
use super::loops::{Loops, Marker};
use super::network::{Inlet, Job, Network, Streams, Ticket};
use super::pool::{Pools, Sent};
use super::query::{self, Ask};
use super::response::{self, Expect, Response, Unfit};
use super::upstream::{Protocol, Upstream, count};
use crate::time::Tick;
use crate::wire::{Ede, Question, Rcode, Sections, rtype};

/// How long a question may be under way: a little less than a query's own budget, so that the reason reaches it.
const FLIGHT: Duration = Duration::from_millis(3800);

/// How long a probe is awaited.
const PROBE: Duration = Duration::from_secs(1);

/// What one question adds to the budget of hedges, in hundredths of a query (RELIABILITY U8: 5 %).
const HEDGE_SHARE: u32 = 5;

/// The most that the budget of hedges saves up, in hundredths of a query.
const HEDGE_MOST: u32 = 1000;

/// How often old sockets are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Datagrams taken from one socket at a time.
const TAKEN: usize = 8;

/// The largest datagram that is read whole: what we ask for, and a lot more for those who don't listen.
const DATAGRAM: usize = 4096;

/// Who waits: a place in its pipeline's table and the generation of that place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiter {
    /// The place.
    pub place: usize,
    /// The generation.
    pub generation: u32,
}

/// A question for upstreams.
#[derive(Debug)]
pub struct Need<'a> {
    /// Whom to ask.
    pub group: &'a Arc<Group>,
    /// The question.
    pub question: &'a Question,
    /// RD.
    pub recursion: bool,
    /// CD.
    pub checking_disabled: bool,
    /// DO.
    pub dnssec_ok: bool,
}

/// Why there is no answer, in words that go to clients with EDNS and to the log (RFC 8914).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Code and text, which names the upstream and what went wrong.
    pub ede: Ede,
}

impl Failure {
    /// EDE 22: nobody could be reached.
    fn unreachable(text: String) -> Self {
        Self { ede: Ede::new(22, text) }
    }

    /// EDE 23: a bound of ours was met.
    fn busy(text: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { ede: Ede::new(23, text) }
    }
}

/// A source of random bytes that nobody can guess.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What an exchange is made of.
pub struct ExchangeOptions {
    /// Random bytes that nobody can guess: ids, ports, letters.
    pub secrets: Random,
    /// The most attempts under way to one upstream.
    pub most_per_upstream: usize,
    /// Who serves streams; without one, upstreams over streams fail.
    pub streams: Option<Arc<dyn Streams>>,
    /// Where streams' replies come in.
    pub inlet: Arc<Inlet>,
}

/// How a waiter is served.
pub type Done = (Waiter, Result<Arc<Response>, Failure>);

/// A worker's questions to upstreams.
pub struct Exchange {
    /// Questions under way.
    flights: Flights,
    /// Which of them is about what.
    index: HashMap<Box<[u8]>, (usize, u32), foldhash::fast::RandomState>,
    /// Sockets.
    pools: Pools,
    /// When flights are to be looked at; entries of flights that moved on are skipped.
    timers: BinaryHeap<Reverse<(Tick, usize, u32)>>,
    /// Flights that were not sent yet.
    fresh: Vec<(usize, u32)>,
    /// Waiters to serve.
    done: Vec<Done>,
    /// When old sockets are looked for next.
    sweep: Option<Tick>,
    /// Unguessable bytes.
    secrets: Secrets,
    /// Choices that need not be secret.
    rng: fastrand::Rng,
    /// What may be hedged, in hundredths of a query.
    hedges: u32,
    /// Who serves streams.
    streams: Option<Arc<dyn Streams>>,
    /// Where their replies come in.
    inlet: Arc<Inlet>,
    /// A key in the making.
    key: Vec<u8>,
    /// A query in the making.
    out: Vec<u8>,
    /// A datagram.
    datagram: Box<[u8]>,
    /// A reply in the making.
    scratch: Sections,
}

/// Unguessable bytes, drawn in bunches.
struct Secrets {
    /// Where they come from.
    source: Random,
    /// The bunch.
    bunch: [u8; 512],
    /// How many of it were given out.
    given: usize,
}

impl Secrets {
    /// Two bytes.
    fn word(&mut self) -> u16 {
        if self.given + 2 > self.bunch.len() {
            (self.source)(&mut self.bunch);
            self.given = 0;
        }
        let two = self.bunch.get(self.given..self.given + 2).map_or([0, 0], |two| [two[0], two[1]]);
        self.given += 2;
        u16::from_be_bytes(two)
    }

    /// Four bytes.
    fn long(&mut self) -> u32 {
        u32::from(self.word()) << 16 | u32::from(self.word())
    }
}

impl Exchange {
    /// An exchange with nothing under way.
    #[must_use]
    pub fn new(options: ExchangeOptions) -> Self {
        let mut secrets = Secrets { source: options.secrets, bunch: [0; 512], given: usize::MAX - 2 };
        let seed = u64::from(secrets.long()) << 32 | u64::from(secrets.long());
        Self {
            flights: Flights::default(),
            index: HashMap::default(),
            pools: Pools::new(options.most_per_upstream),
            timers: BinaryHeap::new(),
            fresh: Vec::new(),
            done: Vec::new(),
            sweep: None,
            secrets,
            rng: fastrand::Rng::with_seed(seed),
            hedges: HEDGE_MOST,
            streams: options.streams,
            inlet: options.inlet,
            key: Vec::new(),
            out: Vec::new(),
            datagram: vec![0; DATAGRAM].into(),
            scratch: Sections::default(),
        }
    }

    /// Takes a question; `waiter` is served through `done` once `drive` has been called.
    ///
    /// Cost: a question that is under way already is one look-up; a new one allocates.
    /// Errors: a bound of ours is met, or every upstream is put aside and the line says not to ask then.
    pub fn begin(&mut self, need: &Need<'_>, waiter: Waiter, now: Tick) -> Result<(), Failure> {
        let bits = Bits {
            recursion: need.recursion,
            checking_disabled: need.checking_disabled,
            dnssec_ok: need.dnssec_ok,
        };
        let flags =
            u8::from(bits.recursion) | u8::from(bits.checking_disabled) << 1 | u8::from(bits.dnssec_ok) << 2;
        self.key.clear();
        self.key.extend_from_slice(&Arc::as_ptr(need.group).addr().to_be_bytes());
        self.key.extend_from_slice(&need.question.qtype.to_be_bytes());
        self.key.push(flags);
        self.key.extend_from_slice(need.question.lower());
        if let Some(&(place, generation)) = self.index.get(self.key.as_slice())
            && let Some(flight) = self.flights.get(place, generation)
        {
            flight.waiters.push(waiter);
            count(&need.group.counts.coalesced);
            return Ok(());
        }
        let order = need.group.order(&mut self.rng);
        let Some(first) = order.first() else {
            return Err(Failure::unreachable("there is no upstream to ask".to_owned()));
        };
        if !order.iter().any(|upstream| upstream.health.up()) {
            if order.iter().all(|upstream| upstream.health.looping()) {
                return Err(Failure::unreachable(format!("upstream {first}: queries to it come back here")));
            }
            count(&need.group.counts.all_down);
            if need.group.options.failfast {
                return Err(Failure::unreachable("every upstream is put aside".to_owned()));
            }
        }
        if !order.iter().any(|upstream| self.pools.of(upstream).room()) {
            count(&need.group.counts.rejected);
            return Err(Failure::busy(format!("upstream {first}: too many queries wait for it")));
        }
        if !need.group.enter() {
            return Err(Failure::busy("too many queries are under way (max_concurrent)"));
        }
        self.hedges = (self.hedges + HEDGE_SHARE).min(HEDGE_MOST);
        let until = now.plus(FLIGHT);
        let flight = Box::new(Flight {
            key: self.key.as_slice().into(),
            group: Some(need.group.clone()),
            question: need.question.clone(),
            bits,
            waiters: vec![waiter],
            order,
            turned: 0,
            attempts: Vec::new(),
            until,
            look: now,
            armed: None,
            unsent: 0,
            refusals: 0,
            refusal: None,
            fault: None,
            marker: None,
        });
        let key = flight.key.clone();
        let at = self.flights.insert(flight);
        self.index.insert(key, at);
        self.fresh.push(at);
        Ok(())
    }

    /// Sends what is new, looks at what is due. Call after `begin`, after a wake-up, and at `next_deadline`.
    pub fn drive(&mut self, network: &mut dyn Network, now: Tick) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for (place, generation) in fresh.drain(..) {
            self.turn(place, generation, false, network, now);
        }
        self.fresh = fresh;
        for arrival in self.inlet.take() {
            self.arrived(arrival.ticket, arrival.result, network, now);
        }
        while let Some(&Reverse((at, place, generation))) = self.timers.peek() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(flight) = self.flights.get(place, generation) else { continue };
            // One that another replaced since.
            if flight.armed != Some(at) {
                continue;
            }
            flight.armed = None;
            if flight.look > now {
                self.wind(place, generation);
            } else {
                self.look(place, generation, network, now);
            }
        }
        self.probe(network, now);
        if self.sweep.is_some_and(|at| at <= now) {
            self.pools.sweep(network, now);
            self.sweep = (self.pools.open() > 0).then(|| now.plus(SWEEP));
        }
    }

    /// Reads what came on a datagram socket.
    pub fn readable(&mut self, number: usize, network: &mut dyn Network, now: Tick) {
        let mut datagram = std::mem::take(&mut self.datagram);
        for _ in 0..TAKEN {
            match network.take(number, &mut datagram) {
                Ok(Some(length)) => {
                    let bytes = datagram.get(..length).unwrap_or_default();
                    self.datagram_came(number, bytes, network, now);
                }
                Ok(None) => break,
                Err(error) => {
                    self.socket_failed(number, &error, network, now);
                    break;
                }
            }
            if self.pools.socket(number).is_none_or(|socket| socket.sent.is_empty()) {
                break;
            }
        }
        self.datagram = datagram;
    }

    /// Waiters to serve, each once.
    pub fn done(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.done)
    }

    /// Gives back a list taken by `done`, for reuse.
    pub fn reuse(&mut self, mut done: Vec<Done>) {
        if self.done.is_empty() {
            done.clear();
            self.done = done;
        }
    }

    /// Whether a waiter may be served.
    #[must_use]
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// When `drive` must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        if !self.fresh.is_empty() {
            return Some(Tick::default());
        }
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let probe = self.pools.upstreams().filter_map(|upstream| upstream.health.probe_at()).min();
        [timer, probe, self.sweep].into_iter().flatten().min()
    }

    /// How many questions are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// A flight is due: its end, the end of a patience, or the moment to hedge.
    fn look(&mut self, place: usize, generation: u32, network: &mut dyn Network, now: Tick) {
        let Some(flight) = self.flights.get(place, generation) else { return };
        let last = now >= flight.until;
        let probe = flight.group.is_none();
        // That a strange name is not answered says nothing about an upstream.
        let marker = flight.marker.is_some();
        let mut tired = false;
        let mut hedge = false;
        for place in 0..flight.attempts.len() {
            let (before, rest) = flight.attempts.split_at_mut(place);
            let Some(attempt) = rest.first_mut() else { break };
            if attempt.state != State::Awaited {
                continue;
            }
            if attempt.patient <= now || last {
                attempt.state = State::Overdue;
                tired = true;
                let upstream = &attempt.upstream;
                let check = &upstream.spec().health;
                let waited = now.since(attempt.sent);
                if !marker {
                    count(if probe { &upstream.counts.probe_failures } else { &upstream.counts.timeouts });
                }
                self.pools.of(upstream).unanswered();
                // An attempt that was cut short by the end of all says nothing about its upstream.
                // Neither does a second one for the same question: the name may be slow.
                let again = before.iter().any(|other| other.upstream.id() == upstream.id());
                if (attempt.patient <= now || probe)
                    && !again
                    && !marker
                    && upstream.health.failed(now, check.max_fails, check.interval)
                {
                    tracing::warn!(target: "plugin/forward", "upstream {upstream} is put aside: no answer");
                }
                flight.fault = Some(Failure::unreachable(format!(
                    "upstream {upstream}: no answer in {:.1} s",
                    waited.as_secs_f64()
                )));
            } else if attempt.hedge.is_some_and(|at| at <= now) {
                attempt.hedge = None;
                hedge = true;
            }
        }
        // Somebody refused, and whoever is left did not answer in time.
        let refused = flight.refusal.is_some()
            && !flight.awaited()
            && flight.order.iter().all(|upstream| flight.asked(upstream) > 0);
        if last || (tired && (probe || refused)) {
            self.fail(place, generation);
        } else if tired {
            self.turn(place, generation, false, network, now);
        } else if hedge && self.hedges >= 100 {
            self.turn(place, generation, true, network, now);
        } else {
            self.arm(place, generation);
        }
    }

    /// Sees to it that a flight is looked at when it is due.
    fn arm(&mut self, place: usize, generation: u32) {
        if let Some(flight) = self.flights.get(place, generation) {
            flight.schedule();
            self.wind(place, generation);
        }
    }

    /// Winds the timer of a flight, unless it goes off in time anyway.
    fn wind(&mut self, place: usize, generation: u32) {
        if let Some(flight) = self.flights.get(place, generation)
            && flight.armed.is_none_or(|at| at > flight.look)
        {
            flight.armed = Some(flight.look);
            self.timers.push(Reverse((flight.look, place, generation)));
        }
    }

    /// Turns to the next upstream that has room; ends the flight where nobody is left to turn to.
    fn turn(&mut self, place: usize, generation: u32, hedge: bool, network: &mut dyn Network, now: Tick) {
        let mut skipped = 0;
        loop {
            let Some(flight) = self.flights.get(place, generation) else { return };
            let options = flight.group.as_ref().map(|group| &group.options);
            let most = options.map_or(1, |options| options.max_attempts);
            let failed = flight.attempts.iter().filter(|attempt| attempt.state == State::Over).count();
            let failed = failed + flight.unsent;
            let spent = most > 0 && flight.attempts.len() >= most || failed >= 2 * flight.order.len();
            let count_of = flight.order.len();
            let next = (!spent && flight.turned < 64 * count_of.max(1)).then(|| {
                let upstream = flight.order.get(flight.turned % count_of.max(1)).cloned();
                flight.turned += 1;
                upstream
            });
            let Some(Some(upstream)) = next else { return self.settle(place, generation) };
            // Over the cap, looping, without TCP where that is needed, or hedging with the one that is awaited: not that one.
            let asked = flight.asked(&upstream);
            let probe = flight.group.is_none();
            if hedge && asked > 0 {
                flight.turned -= 1;
                return self.arm(place, generation);
            }
            let useless = flight.needs_tcp(&upstream);
            if !probe && (useless || upstream.health.looping() || !self.pools.of(&upstream).room()) {
                let Some(flight) = self.flights.get(place, generation) else { return };
                if !useless {
                    flight.fault.get_or_insert_with(|| match upstream.health.looping() {
                        true => {
                            Failure::unreachable(format!("upstream {upstream}: queries to it come back here"))
                        }
                        false => Failure::busy(format!("upstream {upstream}: too many queries wait for it")),
                    });
                }
                skipped += 1;
                if skipped < count_of {
                    continue;
                }
                // An answer to what was asked before would be cut as well.
                if flight.order.iter().all(|upstream| flight.needs_tcp(upstream)) && !flight.awaited() {
                    return self.fail(place, generation);
                }
                return self.settle(place, generation);
            }
            let protocol = upstream.spec().protocol;
            if self.launch(place, generation, &upstream, protocol, true, network, now) {
                if hedge {
                    count(&upstream.counts.hedged);
                    self.hedges = self.hedges.saturating_sub(100);
                }
                return self.arm(place, generation);
            }
        }
    }

    /// Nobody is left to turn to: what is awaited may still come, else the flight ends with what it has.
    fn settle(&mut self, place: usize, generation: u32) {
        match self.flights.get(place, generation) {
            Some(flight) if flight.awaited() => self.arm(place, generation),
            // Overdue attempts may still be answered until the end.
            Some(flight)
                if flight.refusal.is_none()
                    && flight.attempts.iter().any(|attempt| attempt.state == State::Overdue) =>
            {
                self.arm(place, generation);
            }
            Some(_) => self.fail(place, generation),
            None => {}
        }
    }

    /// Sends a question to an upstream; false where that failed at once.
    #[allow(
        clippy::too_many_arguments,
        reason = "place and generation name the flight; the rest is the attempt"
    )]
    fn launch(
        &mut self,
        place: usize,
        generation: u32,
        upstream: &Arc<Upstream>,
        protocol: Protocol,
        edns: bool,
        network: &mut dyn Network,
        now: Tick,
    ) -> bool {
        let Some(flight) = self.flights.get(place, generation) else { return true };
        let group = flight.group.as_deref();
        let mixed = group.is_some_and(|group| group.options.mixed_case) && upstream.health.mixed_case();
        let letters = mixed.then(|| {
            let mut name: Box<[u8]> = flight.question.typed().into();
            let secrets = &mut self.secrets;
            let (mut coins, mut left) = (0_u16, 0_u32);
            query::mix_case(&mut name, || {
                if left == 0 {
                    (coins, left) = (secrets.word(), u16::BITS);
                }
                left -= 1;
                coins >> left & 1 == 1
            });
            name
        });
        let mut id = self.secrets.word();
        let fresh = group.is_some_and(|group| group.options.fresh_port);
        let longest = group.map_or(PROBE, |group| group.options.read_timeout);
        let round = u32::try_from(flight.asked(upstream)).unwrap_or(u32::MAX).min(6);
        // A stream may have to be opened first: two more round trips, and three for a handshake.
        let slow_start = if protocol == Protocol::Udp { 1 } else { 4 };
        let patience = match group {
            Some(_) => (upstream.health.patience() * slow_start * (1 << round)).min(longest),
            None => PROBE,
        };
        let best = flight.order.iter().filter(|other| other.id() != upstream.id() && other.health.up());
        let best = best.filter_map(|other| other.health.usual()).min();
        let hedge = (group.is_some() && round == 0)
            .then_some(best)
            .flatten()
            .map(|other| upstream.health.usual().map_or(other, |own| own.min(other * 2)).min(patience));
        let ticket = Ticket { flight: place, generation, attempt: flight.attempts.len() };
        let mut socket = None;
        self.sweep.get_or_insert_with(|| now.plus(SWEEP));
        if protocol == Protocol::Udp {
            let draw = self.secrets.long();
            match self.pools.pick(upstream, fresh, draw, network, now) {
                Ok(number) => {
                    if let Some(port) = self.pools.socket(number) {
                        // At most a hundred are under way, so that this ends.
                        while port.sent.iter().any(|sent| sent.id == id) {
                            id = id.wrapping_add(self.secrets.word() | 1);
                        }
                    }
                    socket = Some(number);
                }
                Err(error) => {
                    if let Some(flight) = self.flights.get(place, generation) {
                        flight.unsent += 1;
                    }
                    self.refused(place, generation, upstream, &error.to_string(), now);
                    return false;
                }
            }
        }
        let Some(flight) = self.flights.get(place, generation) else { return true };
        let ask = Ask {
            id,
            question: &flight.question,
            letters: letters.as_deref(),
            recursion: flight.bits.recursion,
            checking_disabled: flight.bits.checking_disabled,
            dnssec_ok: flight.bits.dnssec_ok,
            edns,
        };
        query::write(&ask, &mut self.out);
        flight.attempts.push(Attempt {
            upstream: upstream.clone(),
            protocol,
            edns,
            id,
            letters,
            sent: now,
            patient: now.plus(patience),
            hedge: hedge.map(|after| now.plus(after)),
            state: State::Awaited,
        });
        let until = flight.until;
        if flight.group.is_some() {
            count(&upstream.counts.queries);
        }
        self.pools.of(upstream).under_way += 1;
        match socket {
            Some(number) => {
                if let Err(error) = network.transmit(number, &self.out) {
                    self.attempt_failed(ticket, &error.to_string(), now);
                    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
                    match error.kind() {
                        // The kernel tells here what came of those that were sent before.
                        ConnectionRefused | HostUnreachable | NetworkUnreachable => {
                            self.socket_failed(number, &error, network, now);
                        }
                        _ => self.pools.retire(number, network),
                    }
                    return false;
                }
                if let Some(port) = self.pools.socket(number) {
                    port.sent.push(Sent { id, ticket, at: now });
                }
                true
            }
            None => match &self.streams {
                Some(streams) => {
                    streams.ask(Job {
                        upstream: upstream.clone(),
                        protocol,
                        query: self.out.clone(),
                        until,
                        ticket,
                        inlet: self.inlet.clone(),
                    });
                    true
                }
                None => {
                    self.attempt_failed(ticket, "streams are not served here", now);
                    false
                }
            },
        }
    }

    /// Nothing could be sent to an upstream.
    fn refused(&mut self, place: usize, generation: u32, upstream: &Arc<Upstream>, why: &str, now: Tick) {
        let check = &upstream.spec().health;
        let probe = self.flights.get(place, generation).is_some_and(|flight| flight.group.is_none());
        count(if probe { &upstream.counts.probe_failures } else { &upstream.counts.errors });
        if upstream.health.failed(now, check.max_fails, check.interval) {
            tracing::warn!(target: "plugin/forward", "upstream {upstream} is put aside: {why}");
        }
        if let Some(flight) = self.flights.get(place, generation) {
            flight.fault = Some(Failure::unreachable(format!("upstream {upstream}: {why}")));
        }
    }

    /// An attempt failed on the way.
    fn attempt_failed(&mut self, ticket: Ticket, why: &str, now: Tick) {
        let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return };
        let Some(attempt) = flight.attempts.get_mut(ticket.attempt) else { return };
        let awaited = attempt.state == State::Awaited;
        attempt.state = State::Over;
        let upstream = attempt.upstream.clone();
        if awaited {
            self.pools.of(&upstream).forgotten();
        }
        self.refused(ticket.flight, ticket.generation, &upstream, why, now);
    }

    /// The kernel says that a socket's peer can't be reached: all that was sent from it failed.
    fn socket_failed(&mut self, number: usize, error: &std::io::Error, network: &mut dyn Network, now: Tick) {
        let Some(socket) = self.pools.socket(number) else { return };
        let sent = std::mem::take(&mut socket.sent);
        self.pools.retire(number, network);
        let why = error.to_string();
        for Sent { ticket, .. } in sent {
            self.attempt_failed(ticket, &why, now);
            self.turn_if_idle(ticket, network, now);
        }
    }

    /// Turns to the next upstream unless an attempt is still awaited.
    fn turn_if_idle(&mut self, ticket: Ticket, network: &mut dyn Network, now: Tick) {
        if let Some(flight) = self.flights.get(ticket.flight, ticket.generation)
            && !flight.awaited()
        {
            match flight.group {
                Some(_) => self.turn(ticket.flight, ticket.generation, false, network, now),
                None => self.fail(ticket.flight, ticket.generation),
            }
        }
    }

    /// A datagram: matched by its id with what was sent from that socket.
    fn datagram_came(&mut self, number: usize, bytes: &[u8], network: &mut dyn Network, now: Tick) {
        let id = bytes.get(..2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        let Some(socket) = self.pools.socket(number) else { return };
        let found = socket.sent.iter().position(|sent| Some(sent.id) == id);
        let Some(position) = found else {
            let number_of = socket.upstream;
            if let Some(upstream) = self.pools.upstreams().find(|upstream| upstream.id() == number_of) {
                count(&upstream.counts.mismatches);
            }
            // Somebody is guessing: this port has been found (RELIABILITY U1).
            self.pools.retire(number, network);
            return;
        };
        let Some(&Sent { ticket, at, .. }) = socket.sent.get(position) else { return };
        let number_of = socket.upstream;
        let verdict = self.judge(ticket, bytes);
        let upstream = match &verdict {
            Judged::Gone => self.pools.upstreams().find(|upstream| upstream.id() == number_of),
            Judged::Response(upstream, _) | Judged::Unfit(upstream, _) => Some(upstream.clone()),
        };
        let Some(upstream) = upstream else { return };
        match verdict {
            Judged::Gone if bytes.get(2).is_none_or(|flags| flags & 0x80 == 0) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
            }
            Judged::Gone => {
                // The answer of an attempt that was not needed any more: it tells how slow its sender is.
                count(&upstream.counts.late);
                upstream.health.answered(now.since(at));
                self.answered_from(number, position, network);
            }
            Judged::Unfit(_, Unfit::Letters) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
                // Forged, or an upstream that changes letters: TCP tells which, and once is enough.
                let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return };
                if !flight.needs_tcp(&upstream) {
                    let Ticket { flight: place, generation, .. } = ticket;
                    self.launch(place, generation, &upstream, Protocol::Tcp, true, network, now);
                    self.arm(place, generation);
                }
            }
            Judged::Unfit(_, Unfit::Mismatch | Unfit::Malformed) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
            }
            Judged::Response(_, response) => {
                self.answered_from(number, position, network);
                self.response_came(ticket, response, network, now);
            }
        }
    }

    /// A query that was sent from a socket is answered.
    fn answered_from(&mut self, number: usize, position: usize, network: &mut dyn Network) {
        if let Some(socket) = self.pools.socket(number)
            && position < socket.sent.len()
        {
            socket.sent.swap_remove(position);
        }
        self.pools.close_if_done(number, network);
    }

    /// What a message is to the attempt that it claims to answer.
    fn judge(&mut self, ticket: Ticket, bytes: &[u8]) -> Judged {
        let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return Judged::Gone };
        let Some(attempt) = flight.attempts.get(ticket.attempt) else { return Judged::Gone };
        let expect = Expect {
            id: attempt.id,
            question: &flight.question,
            letters: attempt.letters.as_deref(),
            dnssec_ok: flight.bits.dnssec_ok,
        };
        let upstream = attempt.upstream.clone();
        match response::read(bytes, &expect, &mut self.scratch) {
            Ok(mut response) => {
                response.from = Some(upstream.clone());
                Judged::Response(upstream, response)
            }
            Err(Unfit::Letters) if attempt.protocol != Protocol::Udp => {
                // Nobody forges on a stream: this upstream changes letters.
                upstream.health.set_plain_case();
                match response::read(bytes, &Expect { letters: None, ..expect }, &mut self.scratch) {
                    Ok(mut response) => {
                        response.from = Some(upstream.clone());
                        Judged::Response(upstream, response)
                    }
                    Err(unfit) => Judged::Unfit(upstream, unfit),
                }
            }
            Err(unfit) => Judged::Unfit(upstream, unfit),
        }
    }

    /// Something came of a job that a stream was given.
    fn arrived(
        &mut self,
        ticket: Ticket,
        result: Result<Vec<u8>, super::network::StreamFault>,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let why = match result {
            Ok(bytes) => match self.judge(ticket, &bytes) {
                Judged::Gone => return,
                Judged::Response(_, response) => return self.response_came(ticket, response, network, now),
                Judged::Unfit(upstream, _) => {
                    count(&upstream.counts.mismatches);
                    "a reply that can't be read".to_owned()
                }
            },
            Err(fault) => fault.0,
        };
        self.attempt_failed(ticket, &why, now);
        self.turn_if_idle(ticket, network, now);
    }

    /// A sound reply: an answer, a refusal to remember, or a reason to ask again in another way.
    fn response_came(
        &mut self,
        ticket: Ticket,
        response: Response,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let Ticket { flight: place, generation, attempt } = ticket;
        let Some(flight) = self.flights.get(place, generation) else { return };
        let Some(attempt) = flight.attempts.get_mut(attempt) else { return };
        let upstream = attempt.upstream.clone();
        let took = now.since(attempt.sent);
        let (awaited, edns, protocol) = (attempt.state == State::Awaited, attempt.edns, attempt.protocol);
        attempt.state = State::Over;
        let was_up = upstream.health.up();
        upstream.health.answered(took);
        if !was_up && upstream.health.up() {
            tracing::info!(target: "plugin/forward", "upstream {upstream} answers again");
        }
        upstream.durations.observe(response.rcode, took);
        let pool = self.pools.of(&upstream);
        // An overdue one left the pool's count when its time was up.
        if !awaited {
            pool.under_way += 1;
        }
        pool.answered();
        let Some(group) = flight.group.clone() else {
            self.finish(place, generation, Ok(Arc::new(response)));
            return;
        };
        if response.truncated && protocol == Protocol::Udp {
            if !self.launch(place, generation, &upstream, Protocol::Tcp, edns, network, now) {
                self.turn_if_idle(ticket, network, now);
            }
            return self.arm(place, generation);
        }
        let confused =
            matches!(response.rcode, Rcode::FORMERR | Rcode::BADVERS) || response.rcode == Rcode::NOTIMP;
        if confused && edns && flight.attempts.iter().all(|attempt| attempt.edns) {
            // An upstream from before EDNS (RFC 6891 §7).
            if !self.launch(place, generation, &upstream, protocol, false, network, now) {
                self.turn_if_idle(ticket, network, now);
            }
            return self.arm(place, generation);
        }
        let mut response = response;
        if response.rcode.0 > 15 {
            // About the EDNS of our own query; of no use to a client, least of all to one without EDNS.
            response.rcode = Rcode::SERVFAIL;
        }
        let refusal =
            matches!(response.rcode, Rcode::SERVFAIL | Rcode::REFUSED | Rcode::NOTIMP | Rcode::FORMERR)
                || group.options.failover.contains(&response.rcode);
        if !refusal {
            return self.finish(place, generation, Ok(Arc::new(response)));
        }
        let failover = group.options.failover.contains(&response.rcode);
        flight.refusals += 1;
        let refusals = flight.refusals;
        flight.refusal = Some(Arc::new(response));
        // Another one is asked once; with `failover`, every other one (rule F-06).
        let another = flight.order.iter().any(|other| flight.asked(other) == 0);
        if another && (failover || refusals < 2) {
            self.turn(place, generation, false, network, now);
        } else if !flight.awaited() {
            self.fail(place, generation);
        } else {
            self.arm(place, generation);
        }
    }

    /// Ends a flight with what it has: a refusal, or what went wrong.
    fn fail(&mut self, place: usize, generation: u32) {
        let Some(flight) = self.flights.get(place, generation) else { return };
        let result = match (flight.refusal.take(), flight.fault.take()) {
            (Some(refusal), _) => Ok(refusal),
            (None, Some(fault)) => Err(fault),
            (None, None) => Err(Failure::unreachable("no upstream answered".to_owned())),
        };
        self.finish(place, generation, result);
    }

    /// Ends a flight: whoever waits is served.
    fn finish(&mut self, place: usize, generation: u32, result: Result<Arc<Response>, Failure>) {
        let Some(flight) = self.flights.remove(place, generation) else { return };
        for attempt in flight.attempts.iter().filter(|attempt| attempt.state == State::Awaited) {
            self.pools.of(&attempt.upstream).forgotten();
        }
        if let Some(marker) = &flight.marker {
            marker.loops.over(&marker.nonce, result.is_ok());
        }
        if let Some(group) = &flight.group {
            self.index.remove(&flight.key);
            group.leave();
        }
        self.done.extend(flight.waiters.iter().map(|waiter| (*waiter, result.clone())));
    }

    /// Probes upstreams that are put aside and due.
    fn probe(&mut self, network: &mut dyn Network, now: Tick) {
        let due = |upstream: &Arc<Upstream>| upstream.health.probe_at().is_some_and(|at| at <= now);
        let upstreams: Vec<Arc<Upstream>> = self.pools.upstreams().filter(due).collect();
        for upstream in upstreams {
            if !upstream.health.claim_probe(now) {
                continue;
            }
            let check = &upstream.spec().health;
            let Ok(question) = Question::new(&check.domain, rtype::NS) else { continue };
            let bits = Bits { recursion: check.recursion, ..Bits::default() };
            self.send_alone(&upstream, question, bits, None, network, now);
        }
    }

    /// Sends markers through upstreams that are due, each of which says by coming back that there is a loop (rule S-14).
    pub fn look_for_loops(&mut self, loops: &Arc<Loops>, network: &mut dyn Network, now: Tick) {
        for trial in loops.claim(now) {
            let mut nonce = [0; 16];
            for two in nonce.chunks_mut(2) {
                two.copy_from_slice(&self.secrets.word().to_be_bytes());
            }
            if let Some(question) = loops.mark(&trial, nonce, now) {
                let bits = Bits { recursion: true, ..Bits::default() };
                let marker = Marker { loops: loops.clone(), nonce };
                self.send_alone(&trial.upstream, question, bits, Some(marker), network, now);
            }
        }
    }

    /// Sends a question to one upstream on behalf of nobody.
    fn send_alone(
        &mut self,
        upstream: &Arc<Upstream>,
        question: Question,
        bits: Bits,
        marker: Option<Marker>,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let flight = Box::new(Flight {
            key: Box::default(),
            group: None,
            question,
            bits,
            waiters: Vec::new(),
            order: vec![upstream.clone()],
            turned: 0,
            attempts: Vec::new(),
            until: now.plus(PROBE),
            look: now,
            armed: None,
            unsent: 0,
            refusals: 0,
            refusal: None,
            fault: None,
            marker,
        });
        let (place, generation) = self.flights.insert(flight);
        self.turn(place, generation, false, network, now);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // What is under way when a worker ends must not count against the others for ever.
        for flight in self.flights.all() {
            if let Some(group) = &flight.group {
                group.leave();
            }
        }
    }
}

/// What a message is to the attempt that it claims to answer.
enum Judged {
    /// Nobody waits for it any more.
    Gone,
    /// Sound.
    Response(Arc<Upstream>, Response),
    /// No answer.
    Unfit(Arc<Upstream>, Unfit),
}
