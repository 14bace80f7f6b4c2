//! A worker's questions to upstreams: a state machine over datagram sockets and streams that is told the time.

mod attempts;
mod probes;
mod replies;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Attempt, Bits, Flight, Flights, State};
use super::group::Group;
use super::health::Lost;
use super::holdings::Client;
use super::loops::{Loops, Marker};
use super::network::{Blame, Inlet, Job, Network, Streams, Ticket};
use super::pool::{Pools, Sent};
use super::query::{self, Ask};
use super::response::{self, Expect, Response, Unfit};
use super::room::Claim;
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

/// After what time a hedge is due while no upstream's times are known.
const FIRST_HEDGE: Duration = Duration::from_millis(100);

/// How often one question is sent to an upstream that is put aside: once, and once again in case that was lost.
const FORLORN: usize = 2;

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
    /// EDNS options to go with it, wire form; none as a rule.
    pub options: &'a [u8],
    /// Whose question it is; `None` for what nobody waits for.
    pub client: Option<Client>,
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
        // Behind the name's final zero, so that no other name can look like it.
        self.key.extend_from_slice(need.options);
        if let Some(&(place, generation)) = self.index.get(self.key.as_slice())
            && let Some(flight) = self.flights.get(place, generation)
        {
            flight.waiters.push(waiter);
            count(&need.group.counts.coalesced);
            return Ok(());
        }
        // What is left then is for clients that hold little.
        let modest = self.tight(need.group);
        if modest && need.client.is_none_or(|client| need.group.holds_much(client)) {
            count(&need.group.counts.rejected);
            return Err(Failure::busy("too many queries of this client wait for these upstreams"));
        }
        let order = need.group.order(&mut self.rng);
        let Some(first) = order.first() else {
            return Err(Failure::unreachable("there is no upstream to ask".to_owned()));
        };
        if !order.iter().any(|upstream| upstream.health.hopeful()) {
            if order.iter().all(|upstream| upstream.health.looping()) {
                return Err(Failure::unreachable(format!("upstream {first}: queries to it come back here")));
            }
            count(&need.group.counts.all_down);
            if need.group.options.failfast {
                return Err(Failure::unreachable("every upstream is put aside".to_owned()));
            }
        }
        let claim = Claim { modest, again: false };
        let free =
            order.iter().find_map(|upstream| Some((upstream, self.pools.of(upstream).room.find(claim)?)));
        let Some((upstream, place)) = free else {
            count(&need.group.counts.rejected);
            return Err(Failure::busy(format!("upstream {first}: too many queries wait for it")));
        };
        if !need.group.enter(need.client) {
            return Err(Failure::busy("too many queries are under way (max_concurrent)"));
        }
        // A batch of questions is begun before the first of them is sent.
        self.pools.of(upstream).room.promise(place);
        self.hedges = (self.hedges + HEDGE_SHARE).min(HEDGE_MOST);
        let flight = Box::new(Flight {
            key: self.key.as_slice().into(),
            group: Some(need.group.clone()),
            waiters: vec![waiter],
            client: need.client,
            modest,
            options: need.options.into(),
            ..Flight::new(need.question.clone(), bits, order, now, FLIGHT)
        });
        let key = flight.key.clone();
        let at = self.flights.insert(flight);
        self.index.insert(key, at);
        self.fresh.push(at);
        Ok(())
    }

    /// Whether what may still be begun for a line is to be left to clients that hold little of what is under way: the last eighth
    /// of its own bound, or what all its upstreams keep for them (rule S-52). Cost: a load, and a look at each upstream there is.
    fn tight(&self, group: &Group) -> bool {
        group.tight() || self.pools.any_tight() && self.pools.all_tight(&group.upstreams())
    }

    /// Sends what is new, looks at what is due. Call after `begin`, after a wake-up, and at `next_deadline`.
    pub fn drive(&mut self, network: &mut dyn Network, now: Tick) {
        self.pools.redeem();
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
        for (number, attempt) in flight.attempts.iter().enumerate() {
            if attempt.state == State::Awaited {
                self.pools.of(&attempt.upstream).room.leave(attempt.place);
                let ticket = Ticket { flight: place, generation, attempt: number };
                self.pools.leave_open(attempt.socket, ticket);
            }
        }
        if let Some(marker) = &flight.marker {
            marker.loops.over(&marker.nonce, result.is_ok());
        }
        if let Some(group) = &flight.group {
            self.index.remove(&flight.key);
            group.leave(flight.client);
        }
        self.done.extend(flight.waiters.iter().map(|waiter| (*waiter, result.clone())));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // What is under way when a worker ends must not count against the others for ever.
        for flight in self.flights.all() {
            if let Some(group) = &flight.group {
                group.leave(flight.client);
            }
        }
    }
}
