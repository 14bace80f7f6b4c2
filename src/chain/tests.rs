//! Tests of the pipeline with scripted steps and a clock that stands still.

mod access;
mod bare;
mod cache;
mod frames;
mod joins;
mod rewrite;
mod script;
mod search;
mod waiting;
mod walk;

pub(crate) use bare::Bare;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::entry::Entry;
use super::plan::{Active, Chain, Listener, Plan, Served};
use super::step::{Answer, Ask, Context, Flow, Reply, Sent, Step};
use super::{Asked, BUDGET, Client, MAX_FRAMES, Outcome, Pipeline, PipelineOptions, Signal, Transport};
use crate::corefile::{Transport as Scheme, Zone};
use crate::metrics::Counters;
use crate::time::{Clock, Tick, Wall};
use crate::wire::{Question, Rcode, Section, parse_name, rtype};
use script::{Diary, Scripted};

/// Bytes that a test can foretell.
fn seeded() -> crate::forward::Random {
    let mut rng = fastrand::Rng::with_seed(1);
    Box::new(move |bytes| rng.fill(bytes))
}

/// Steps in order.
type Steps = Vec<Box<dyn Step>>;

/// A plan with one listener and a chain for each zone.
fn plan(chains: Vec<(&str, Steps)>) -> Arc<Plan> {
    let mut plan = Plan::default();
    let mut zones = Vec::new();
    for (index, (zone, steps)) in chains.into_iter().enumerate() {
        let zone = Zone::parse(zone).unwrap();
        zones.push(Served { zone: zone.clone(), chain: index, tallies: None });
        plan.chains.push(Chain::new(steps, vec![zone], Vec::new(), false));
    }
    zones.sort_by_key(|served| std::cmp::Reverse(served.zone.labels()));
    plan.listeners.push(Listener {
        scheme: Scheme::Dns,
        addr: SocketAddr::from(([127, 0, 0, 1], 53)),
        label: String::new(),
        zones,
        dropped: None,
        timeouts: Default::default(),
        shed: None,
        entry: Entry::default(),
    });
    Arc::new(plan)
}

/// A plan with one chain for all names.
fn one_chain(steps: Steps) -> Arc<Plan> {
    plan(vec![(".", steps)])
}

/// A pipeline and what a test moves around it.
struct Desk {
    /// The pipeline; where a reply goes is the number of its query.
    pipeline: Pipeline<u16>,
    /// The clock.
    clock: Clock,
    /// The counters.
    counters: Arc<Counters>,
    /// The plan in force.
    active: Arc<Active>,
    /// The number of the next query, which is its id too.
    next: u16,
}

/// What became of a query.
#[derive(Debug)]
enum Got {
    /// A reply.
    Reply(Box<Message>),
    /// Nothing.
    Silence,
    /// It waits.
    Waiting,
}

impl Got {
    /// The reply.
    fn reply(self) -> Message {
        match self {
            Self::Reply(message) => *message,
            other => panic!("a reply, not {other:?}"),
        }
    }
}

/// The code of a reply.
fn code(message: &Message) -> u16 {
    u16::from(message.metadata.response_code)
}

/// The extended error of a reply.
fn ede(message: &Message) -> Option<u16> {
    message.edns.as_ref()?.options().options.iter().find_map(|(_, option)| match option {
        EdnsOption::Unknown(15, value) => value.first_chunk().map(|code| u16::from_be_bytes(*code)),
        _ => None,
    })
}

/// A query in wire form.
fn query(id: u16, name: &str, qtype: u16, edns: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, u16::from(edns)] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&parse_name(name).unwrap());
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    if edns {
        bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

impl Desk {
    /// A desk on a plan, for at most `waiting` queries that wait.
    fn new(plan: Arc<Plan>, waiting: usize) -> Self {
        Self::with_waker(plan, waiting, Waker::noop().clone())
    }

    /// The same with a waker of its own.
    fn with_waker(plan: Arc<Plan>, waiting: usize, waker: Waker) -> Self {
        let clock = Clock::manual(Wall(1_700_000_000));
        let counters = Arc::new(Counters::default());
        let active = Arc::new(Active::new(plan));
        let options = PipelineOptions {
            active: active.clone(),
            waiting,
            seed: 1,
            clock: clock.clone(),
            waker,
            counters: counters.clone(),
            worker: 0,
            secrets: seeded(),
            streams: None,
        };
        Self { pipeline: Pipeline::new(options), clock, counters, active, next: 1 }
    }

    /// Asks for addresses.
    fn ask(&mut self, name: &str) -> Got {
        self.ask_type(name, rtype::A)
    }

    /// Asks with EDNS.
    fn ask_type(&mut self, name: &str, qtype: u16) -> Got {
        let id = self.next;
        self.bytes(&query(id, name, qtype, true))
    }

    /// Asks for addresses from another address than `bytes`.
    fn ask_from(&mut self, client: [u8; 4], name: &str) -> Got {
        let bytes = query(self.next, name, rtype::A, true);
        self.bytes_from(client, &bytes)
    }

    /// Sends bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Got {
        self.bytes_from([192, 0, 2, 1], bytes)
    }

    /// Sends bytes from an address.
    fn bytes_from(&mut self, client: [u8; 4], bytes: &[u8]) -> Got {
        let id = self.next;
        self.next += 1;
        let client = Client {
            addr: SocketAddr::from((client, 4000 + id)),
            local: None,
            transport: Transport::Udp,
            listener: 0,
            size: bytes.len(),
        };
        let mut out = vec![0; 1232];
        match self.pipeline.answer(bytes, client, id, self.clock.now(), &mut out) {
            Outcome::Reply(length) => Got::Reply(Box::new(Message::from_vec(&out[..length]).unwrap())),
            Outcome::Silent => Got::Silence,
            Outcome::Waiting => Got::Waiting,
            Outcome::Begun(_) => panic!("no zone is transferred here"),
        }
    }

    /// Resumes what can go on; what came of it, by the query's number.
    fn poll(&mut self, woken: bool) -> Vec<(u16, Got)> {
        let mut ended = Vec::new();
        self.pipeline.poll(self.clock.now(), woken, |number, reply| {
            let got = match reply {
                Some(bytes) => Got::Reply(Box::new(Message::from_vec(bytes).unwrap())),
                None => Got::Silence,
            };
            if let Got::Reply(message) = &got {
                assert_eq!(message.metadata.id, number, "the reply belongs to the query that it is sent for");
            }
            ended.push((number, got));
        });
        ended
    }

    /// Resumes, and expects replies with these codes, in any order of the queries.
    fn expect(&mut self, woken: bool, want: &[(u16, Rcode)]) {
        let mut got: Vec<(u16, u16)> =
            self.poll(woken).into_iter().map(|(number, got)| (number, code(&got.reply()))).collect();
        got.sort_unstable();
        let want: Vec<(u16, u16)> = want.iter().map(|(number, rcode)| (*number, rcode.0)).collect();
        assert_eq!(got, want);
    }

    /// Moves the clock.
    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Every query has one end (RELIABILITY L9).
    fn check_counters(&self) {
        let counters = &self.counters;
        let ends = [&counters.replies, &counters.malformed, &counters.silent, &counters.dropped];
        let ended: u64 = ends.iter().map(|counter| counter.read()).sum();
        let waiting = u64::try_from(self.pipeline.waiting()).unwrap();
        assert_eq!(counters.queries.read(), ended + waiting, "{counters:?}, {waiting} waiting");
    }
}
