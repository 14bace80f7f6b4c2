//! Tests of a whole worker on a network in memory: the clock stands still unless a test moves it.

mod datagrams;
mod held;
mod random;
mod streams;
mod transfers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;

use super::memory::{MemoryLink, World};
use super::{Phase, StreamId, StreamLimits, Worker};
use crate::chain::{
    Active, Answer, Ask, Asked, Chain, Context, Entry, Flow, Listener, Plan, Reply, Served, Signal, Step,
};
use crate::corefile::{Transport as Scheme, Zone};
use crate::metrics::Counters;
use crate::time::{Clock, Wall};
use crate::wire::{Owner, Rcode, Section, parse_name, rtype};

/// A window that never fills.
const WIDE: usize = usize::MAX;

/// Does what the question's first label says.
///
/// `now` answers, `bigN` answers N addresses, `wait` waits for the signal, `short` waits a second at most, `drop` drops,
/// `late` drops after the wait, `panic` panics, all else is not answered.
struct Scripted {
    /// What queries wait for.
    signal: Arc<Signal>,
    /// The last octet of its answers.
    last: u8,
}

impl Scripted {
    /// Answers with so many addresses.
    fn addresses(&self, asked: &mut Asked, count: usize) -> Flow {
        let mut sections = asked.draft();
        for index in 0..count {
            let [.., high, low] = index.to_be_bytes();
            sections.push_address(Section::Answer, Owner::Question, 30, &[10, high, low, self.last]);
        }
        Flow::Reply(Reply::new(Rcode::NOERROR, sections))
    }

    /// Decides, first or after the wait.
    fn act(&self, asked: &mut Asked, answer: Option<Answer>, context: &mut Context<'_>) -> Flow {
        let name = String::from_utf8_lossy(asked.question.label(0)).into_owned();
        let wait = |millis| {
            let until = context.now.plus(Duration::from_millis(millis));
            Flow::Wait(Ask::Signal { signal: self.signal.clone(), until })
        };
        if let Some(count) = name.strip_prefix("big") {
            return self.addresses(asked, count.parse().unwrap_or(0));
        }
        match (&*name, answer) {
            ("now", _) => self.addresses(asked, 1),
            ("wait" | "late", None) => wait(60_000),
            ("short", None) => wait(1_000),
            ("late", Some(Answer::Signalled)) | ("drop", _) => Flow::Drop,
            ("panic", _) => panic!("scripted"),
            (_, Some(Answer::Signalled)) => self.addresses(asked, 1),
            (_, Some(_)) => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
            (_, None) => Flow::Next,
        }
    }
}

impl Step for Scripted {
    fn word(&self) -> &'static str {
        "scripted"
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        self.act(asked, None, context)
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        self.act(asked, Some(answer), context)
    }
}

/// The address of socket group `index`.
fn group(index: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1 + index], 53))
}

/// A plan that serves these groups, each with a chain whose answers end in the group's number.
fn plan(groups: &[u8], signal: &Arc<Signal>) -> Arc<Plan> {
    let mut plan = Plan::default();
    let root = Zone::parse(".").unwrap();
    for (chain, &index) in groups.iter().enumerate() {
        let step = Box::new(Scripted { signal: signal.clone(), last: index });
        plan.chains.push(Chain::new(vec![step], vec![root.clone()], Vec::new(), false));
        let served = Served { zone: root.clone(), chain, tallies: None };
        plan.listeners.push(Listener {
            scheme: Scheme::Dns,
            addr: group(index),
            label: String::new(),
            zones: vec![served],
            dropped: None,
            timeouts: Default::default(),
            shed: None,
            entry: Entry::default(),
        });
    }
    Arc::new(plan)
}

/// A worker and the world around it.
struct Rig {
    /// The world.
    world: World,
    /// The worker.
    worker: Worker<MemoryLink>,
    /// The clock.
    clock: Clock,
    /// The counters.
    counters: Arc<Counters>,
    /// The plan in force.
    active: Arc<Active>,
    /// What queries wait for.
    signal: Arc<Signal>,
    /// Where the server is in its life.
    phase: Arc<Phase>,
}

impl Rig {
    /// A worker with two socket groups.
    fn new(waiting: usize, stream: StreamLimits) -> Self {
        let signal = Arc::new(Signal::default());
        let world = World::default();
        let clock = Clock::manual(Wall(1_700_000_000));
        let active = Arc::new(Active::new(plan(&[0, 1], &signal)));
        let mut options = world.options(active.clone(), clock.clone(), 1);
        options.pipeline.waiting = waiting;
        options.groups = vec![group(0).into(), group(1).into()];
        options.stream = stream;
        let (counters, phase) = (options.pipeline.counters.clone(), options.phase.clone());
        let worker = Worker::new(world.link(clock.clone()), options);
        Self { world, worker, clock, counters, active, signal, phase }
    }

    /// The same with the usual bounds.
    fn usual() -> Self {
        Self::new(64, StreamLimits::default())
    }

    /// Lets the worker do all it can do at this moment.
    fn settle(&mut self) {
        for _ in 0..16 {
            self.worker.turn();
        }
    }

    /// Moves the clock and lets the worker see it.
    fn pass(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.settle();
    }

    /// Sends a datagram.
    fn send(&mut self, socket: usize, peer: SocketAddr, id: u16, name: &str) {
        self.world.send(socket, peer, &query(id, name));
    }

    /// Replies that went out as datagrams: socket, peer, id, code.
    fn datagrams(&mut self) -> Vec<(usize, SocketAddr, u16, u16)> {
        self.settle();
        self.world
            .received()
            .into_iter()
            .map(|(socket, peer, bytes)| {
                let reply = Message::from_vec(&bytes).unwrap();
                (socket, peer, reply.metadata.id, u16::from(reply.metadata.response_code))
            })
            .collect()
    }

    /// Opens a stream and lets the worker take it.
    fn connect(&mut self, peer: SocketAddr) -> StreamId {
        let stream = self.world.connect(0, peer, WIDE);
        self.settle();
        stream
    }

    /// Sends a query on a stream.
    fn ask(&mut self, stream: StreamId, id: u16, name: &str) {
        self.world.write(stream, &framed(&query(id, name)));
        self.settle();
    }

    /// Ids of the replies on a stream so far.
    fn replies(&mut self, stream: StreamId) -> Vec<u16> {
        self.settle();
        messages(&self.world.read(stream)).into_iter().map(|reply| reply.metadata.id).collect()
    }

    /// Every query has one end (RELIABILITY L9).
    fn check_counters(&self) {
        let counters = &self.counters;
        let ends = [&counters.replies, &counters.malformed, &counters.silent, &counters.dropped];
        let ended: u64 = ends.iter().map(|counter| counter.read()).sum();
        let waiting = u64::try_from(self.worker.waiting()).unwrap();
        assert_eq!(counters.queries.read(), ended + waiting, "{counters:?}, {waiting} waiting");
    }
}

/// A peer.
fn peer(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// A query in wire form.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&parse_name(name).unwrap());
    bytes.extend_from_slice(&rtype::A.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes
}

/// A message with its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

/// The messages of a stream, all whole.
fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*prefix)));
        messages.push(Message::from_vec(message).unwrap());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a length");
    messages
}
