//! A worker on a network in memory, its upstreams played by the test: datagrams, streams, time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use signpost::chain::{Active, BuildOptions, Parts, StoreSpec, build};
use signpost::corefile;
use signpost::forward::{
    Arrival, Blame, Exchange, ExchangeOptions, Group, GroupOptions, GroupSpec, Inlet, Job, Need, Protocol,
    StreamFault, Streams, Target, TargetFault, Upstream, UpstreamSpec, Waiter,
};
use signpost::metrics::{Counters, Tally};
use signpost::server::memory::{MemoryLink, World};
use signpost::server::{Phase, Worker};
use signpost::store::{Store, Wanted};
use signpost::time::{Clock, Tick, Wall};
use signpost::wire::{Question, rtype};

use super::bytes::{self, Asked, Got};

/// One `forward` line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The zone.
    pub(crate) zone: String,
    /// The addresses.
    pub(crate) to: Vec<IpAddr>,
    /// How the upstreams are reached.
    pub(crate) protocol: Protocol,
    /// The line's options.
    pub(crate) options: GroupOptions,
    /// How many failures put an upstream aside.
    pub(crate) max_fails: u32,
    /// Another word of the block.
    pub(crate) word: &'static str,
}

impl Line {
    /// A line for all names with the usual options, asked in the order written.
    pub(crate) fn of(to: &[&str]) -> Self {
        Self {
            zone: ".".to_owned(),
            to: to.iter().map(|addr| addr.parse().unwrap()).collect(),
            protocol: Protocol::Udp,
            options: GroupOptions::default(),
            max_fails: 2,
            word: "",
        }
    }
}

/// Parts that a plan borrows: upstreams, and nothing else.
struct Upstreams {
    /// The lines.
    lines: Vec<Line>,
    /// Which of them is built.
    built: usize,
    /// The groups.
    groups: Vec<Arc<Group>>,
    /// All upstreams, in the order in which they are named first.
    upstreams: Vec<Arc<Upstream>>,
}

impl Parts for Upstreams {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        let line = self.lines[self.built].clone();
        self.built += 1;
        let mut list = Vec::new();
        for target in &spec.targets {
            let Target::Upstream(spec) = target else { panic!("addresses only") };
            let mut spec = UpstreamSpec { protocol: line.protocol, ..spec.clone() };
            spec.health.max_fails = line.max_fails;
            let known = self.upstreams.iter().find(|known| *known.spec() == spec).cloned();
            list.push(known.unwrap_or_else(|| {
                let made = Arc::new(Upstream::new(spec));
                self.upstreams.push(made.clone());
                made
            }));
        }
        let group = Arc::new(Group::new(line.options, list));
        self.groups.push(group.clone());
        Ok(group)
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// Streams whose other end is the test.
#[derive(Default)]
struct Scripted(Mutex<Vec<Job>>);

impl Streams for Scripted {
    fn ask(&self, job: Job) {
        self.0.lock().push(job);
    }
}

/// How a query came to an upstream.
#[derive(Clone)]
pub(crate) enum Road {
    /// From this socket.
    Datagram(usize),
    /// As a job of streams.
    Stream(Arc<Job>),
}

/// A query that came to an upstream.
#[derive(Clone)]
pub(crate) struct Came {
    /// Which upstream, from 0.
    pub(crate) upstream: usize,
    /// The query.
    pub(crate) asked: Asked,
    /// How.
    pub(crate) road: Road,
}

/// A worker, and the world around it.
pub(crate) struct Rig {
    /// The network.
    world: World,
    /// The worker.
    pub(crate) worker: Worker<MemoryLink>,
    /// The clock, which only the test moves.
    pub(crate) clock: Clock,
    /// The worker's counters.
    pub(crate) counters: Arc<Counters>,
    /// Where the server is in its life.
    pub(crate) phase: Arc<Phase>,
    /// The groups, a line each.
    pub(crate) groups: Vec<Arc<Group>>,
    /// The upstreams.
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// Streams.
    streams: Arc<Scripted>,
    /// Replies to clients, by their number.
    replies: HashMap<u16, VecDeque<Got>>,
}

/// Unguessable bytes that can be foretold.
pub(crate) fn seeded(seed: u64) -> signpost::forward::Random {
    let mut rng = fastrand::Rng::with_seed(seed);
    Box::new(move |bytes| rng.fill(bytes))
}

impl Rig {
    /// A worker with so many places for queries that wait, a block for each line.
    pub(crate) fn new(lines: &[Line], places: usize) -> Self {
        Self::with_secrets(lines, places, seeded(7))
    }

    /// The same with a source of unguessable bytes.
    pub(crate) fn with_secrets(lines: &[Line], places: usize, secrets: signpost::forward::Random) -> Self {
        let mut text = String::new();
        for line in lines {
            let to: Vec<String> = line.to.iter().map(ToString::to_string).collect();
            text.push_str(&format!(
                "{}:53 {{\n    bind 0.0.0.0\n    {}\n    forward {} {}\n}}\n",
                line.zone,
                line.word,
                line.zone,
                to.join(" ")
            ));
        }
        let mut parts =
            Upstreams { lines: lines.to_vec(), built: 0, groups: Vec::new(), upstreams: Vec::new() };
        let spec = corefile::parse("scenario", &text, &corefile::Disk)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let built =
            build(&spec, BuildOptions { port: 53 }, &mut parts).unwrap_or_else(|error| panic!("{error}"));
        let world = World::default();
        let clock = Clock::manual(Wall(1_700_000_000));
        let streams = Arc::new(Scripted::default());
        let mut options = world.options(Arc::new(Active::new(Arc::new(built.plan))), clock.clone(), 1);
        options.pipeline.waiting = places;
        options.pipeline.secrets = secrets;
        options.pipeline.streams = Some(streams.clone());
        let (counters, phase) = (options.pipeline.counters.clone(), options.phase.clone());
        let worker = Worker::new(world.link(clock.clone()), options);
        Self {
            world,
            worker,
            clock,
            counters,
            phase,
            groups: parts.groups,
            upstreams: parts.upstreams,
            streams,
            replies: HashMap::new(),
        }
    }

    /// Lets the worker do what it can do now.
    pub(crate) fn settle(&mut self) {
        for _ in 0..3 {
            self.worker.turn();
        }
        for (_, peer, bytes) in self.world.received() {
            let (id, got) = Got::read(&bytes);
            assert_eq!(id, peer.port(), "the reply has the client's id");
            self.replies.entry(id).or_default().push_back(got);
        }
    }

    /// A client asks; its number is its port and its id. All have one address but those that are elsewhere.
    pub(crate) fn ask(&mut self, client: u16, name: &str, qtype: u16, words: &[String]) {
        let elsewhere = u8::from(words.iter().any(|word| word == "elsewhere"));
        self.ask_from(1 + elsewhere, client, name, qtype, words);
    }

    /// A client of this host asks.
    pub(crate) fn ask_from(&mut self, host: u8, client: u16, name: &str, qtype: u16, words: &[String]) {
        let peer = SocketAddr::from(([198, 51, 100, host], client));
        self.world.send(0, peer, &bytes::query(client, name, qtype, words));
    }

    /// The next reply to a client.
    pub(crate) fn reply(&mut self, client: u16) -> Option<Got> {
        self.replies.get_mut(&client)?.pop_front()
    }

    /// Whether any client has a reply that was not looked at.
    pub(crate) fn unread(&self) -> Vec<u16> {
        let mut clients: Vec<u16> =
            self.replies.iter().filter(|(_, queue)| !queue.is_empty()).map(|(client, _)| *client).collect();
        clients.sort_unstable();
        clients
    }

    /// Lets time pass, a millisecond at a time.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.settle();
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(1));
            self.clock.advance(step);
            left -= step;
            self.settle();
        }
    }

    /// Takes what was sent to upstreams, in order, datagrams first.
    pub(crate) fn came(&mut self) -> Vec<Came> {
        let number = |addr: SocketAddr| {
            self.upstreams
                .iter()
                .position(|upstream| upstream.spec().addr == addr)
                .expect("an upstream of ours")
        };
        let mut came: Vec<Came> = self
            .world
            .asked()
            .into_iter()
            .map(|(socket, to, bytes)| Came {
                upstream: number(to),
                asked: Asked::read(&bytes),
                road: Road::Datagram(socket),
            })
            .collect();
        for job in std::mem::take(&mut *self.streams.0.lock()) {
            came.push(Came {
                upstream: number(job.upstream.spec().addr),
                asked: Asked::read(&job.query),
                road: Road::Stream(Arc::new(job)),
            });
        }
        came
    }

    /// An upstream says something where it was asked.
    pub(crate) fn say(&mut self, road: &Road, bytes: Vec<u8>) {
        match road {
            Road::Datagram(socket) => self.world.answer(*socket, Ok(bytes)),
            Road::Stream(job) => job.inlet.push(Arrival { ticket: job.ticket, result: Ok(bytes) }),
        }
    }

    /// The network says that an upstream can't be reached.
    pub(crate) fn fail(&mut self, road: &Road, why: &str) {
        match road {
            Road::Datagram(socket) => {
                self.world
                    .answer(*socket, Err(io::Error::new(io::ErrorKind::ConnectionRefused, why.to_owned())));
            }
            Road::Stream(job) => {
                job.inlet.push(Arrival {
                    ticket: job.ticket,
                    result: Err(StreamFault { text: why.to_owned(), blame: Blame::Upstream }),
                });
            }
        }
    }

    /// How many sockets to upstreams are open.
    pub(crate) fn sockets(&self) -> usize {
        self.world.upstream_sockets()
    }
}

/// An exchange of no worker.
pub(crate) fn exchange() -> Exchange {
    Exchange::new(ExchangeOptions {
        secrets: seeded(3),
        most_per_upstream: 4096,
        streams: None,
        inlet: Arc::new(Inlet::new(Waker::noop().clone())),
    })
}

/// Begins a client's question for A of a name; whether it could be.
pub(crate) fn begin(
    exchange: &mut Exchange,
    group: &Arc<Group>,
    (client, name): (u64, &str),
    place: usize,
    now: Tick,
) -> bool {
    let question = Question::new(&bytes::wire(name), rtype::A).unwrap();
    let need = Need {
        group,
        question: &question,
        recursion: true,
        checking_disabled: false,
        dnssec_ok: false,
        options: &[],
        client: Some(client),
    };
    exchange.begin(&need, Waiter { place, generation: 1 }, now).is_ok()
}
