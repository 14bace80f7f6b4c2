//! Us: the reflectors, the store and a worker, all on one thread and on one time; they may end and begin again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use signpost::chain::{Active, BuildOptions, Parts, Plan, StoreSpec, build};
use signpost::corefile::{self, NoImports};
use signpost::forward::{Group, GroupSpec, Target, TargetFault, Upstream};
use signpost::metrics::Tally;
use signpost::server::Worker;
use signpost::server::memory::{MemoryLink, World};
use signpost::source::cluster::{Access, ClusterOptions, ThrottleOptions, Timing, watch};
use signpost::store::snapshot::{self, About};
use signpost::store::{Store, Wanted, Writer};
use signpost::time::{Clock, Wall};
use tokio::task::LocalSet;

use crate::roads::Roads;

/// The upstreams.
pub(crate) const UPSTREAMS: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2))];

/// What we serve, but for the block of names outside.
const CLUSTER: &str = "
.:53 {
    bind 0.0.0.0
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        endpoint http://192.0.2.3:6443
        pods verified
        ttl 30
    }
    loadbalance
}
";

/// Blocks of names outside, of which one is served at a time.
const OUTSIDE: [&str; 3] = [
    "cache 30\n forward . 192.0.2.1 192.0.2.2",
    "forward . 192.0.2.1 192.0.2.2 {\n policy sequential\n }",
    "cache 30 {\n prefetch 2\n }\n forward . 192.0.2.2 192.0.2.1 {\n policy round_robin\n }",
];

/// How often each kind is audited.
const AUDIT: Duration = Duration::from_millis(800);

/// Times short enough for a run of some seconds.
const TIMING: Timing = Timing {
    mute: Duration::from_millis(1500),
    head: Duration::from_secs(2),
    dead: Duration::from_secs(2),
    backoff_min: Duration::from_millis(20),
    backoff_max: Duration::from_millis(400),
    initial_bookmark: Duration::from_millis(500),
};

/// The parts of the plan.
struct Shelf {
    /// The clock.
    clock: Clock,
    /// The store, where there is one.
    store: Option<Arc<Store>>,
    /// The store, and who writes it, where it was made anew.
    fed: Option<(Arc<Store>, Writer, Wanted)>,
}

impl Parts for Shelf {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        if let Some(store) = &self.store {
            return store.clone();
        }
        let (store, writer) = Store::new(wanted, self.clock.clone());
        self.fed = Some((store.clone(), writer, wanted));
        store
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        let upstreams = spec.targets.iter().map(|target| match target {
            Target::Upstream(spec) => Arc::new(Upstream::new(spec.clone())),
            other => panic!("addresses only: {other:?}"),
        });
        Ok(Arc::new(Group::new(spec.options.clone(), upstreams.collect())))
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// A running server, as far as it runs by itself.
pub(crate) struct Rig {
    /// The network.
    pub(crate) world: World,
    /// The worker.
    pub(crate) worker: Worker<MemoryLink>,
    /// The clock, which goes with tokio's.
    pub(crate) clock: Clock,
    /// The store.
    pub(crate) store: Arc<Store>,
    /// The plan in force.
    active: Arc<Active>,
    /// Replies that were looked at for the sake of another one.
    others: Vec<(usize, SocketAddr, Vec<u8>)>,
    /// Ends the watches.
    end: tokio::sync::watch::Sender<bool>,
    /// The snapshot that was written last; `None` for none yet.
    file: Option<Vec<u8>>,
}

/// A plan with one of the blocks of names outside.
fn plan(outside: usize, shelf: &mut Shelf) -> Plan {
    let block = OUTSIDE[outside % OUTSIDE.len()];
    let text = format!("{CLUSTER}example.org:53 {{\n bind 0.0.0.0\n {block}\n}}\n");
    let spec = corefile::parse("Corefile", &text, &NoImports).unwrap();
    build(&spec, BuildOptions { port: 53 }, shelf).unwrap().plan
}

impl Rig {
    /// Starts on the `LocalSet` of the caller.
    pub(crate) fn start(roads: Roads, seed: u64) -> Self {
        Self::begin(roads, seed, Clock::manual(Wall(1_700_000_000)), None)
    }

    /// Ends without a word to anybody and starts anew, from the snapshot if there is one; says whether there was.
    pub(crate) fn restart(&mut self, roads: Roads, seed: u64) -> bool {
        self.end.send_replace(true);
        *self = Self::begin(roads, seed, self.clock.clone(), self.file.take());
        self.file.is_some()
    }

    /// Writes a snapshot, if it is known what is true.
    pub(crate) fn save(&mut self) {
        if self.store.is_reconciled() && self.store.synced() {
            let mut bytes = Vec::new();
            let about = About::new("simulated".to_owned(), String::new(), self.clock.wall().0);
            snapshot::write(&self.store, about, &mut bytes).unwrap();
            self.file = Some(bytes);
        }
    }

    /// Puts another plan in force, with the same store.
    pub(crate) fn reload(&mut self, outside: usize) {
        let mut shelf = Shelf { clock: self.clock.clone(), store: Some(self.store.clone()), fed: None };
        let before = self.active.plan();
        self.active.swap(Arc::new(plan(outside, &mut shelf)));
        before.close();
    }

    /// Starts, with the snapshot that was written last.
    fn begin(roads: Roads, seed: u64, clock: Clock, file: Option<Vec<u8>>) -> Self {
        let mut shelf = Shelf { clock: clock.clone(), store: None, fed: None };
        let plan = plan(0, &mut shelf);
        let (store, mut writer, wanted) = shelf.fed.expect("the stanza asks for a store");
        if let Some(bytes) = &file {
            writer.restore(&snapshot::decode(bytes).unwrap(), "simulated").unwrap();
        }
        let (end, ends) = tokio::sync::watch::channel(false);
        let options = ClusterOptions {
            access: Access::Endpoint { url: "http://192.0.2.3:6443".to_owned(), tls: None },
            labels: None,
            endpoints: wanted.endpoints,
            pods: wanted.pods,
            more: wanted.more(),
            throttle: ThrottleOptions::default(),
            timing: TIMING,
            counts: Arc::default(),
            audit: Some(AUDIT),
            replica: 0,
            seed,
        };
        // In a set of its own, with which all that it started ends.
        tokio::task::spawn_local(async move {
            LocalSet::new().run_until(watch(options, Box::new(writer), ends, Some(Arc::new(roads)))).await;
        });
        let world = World::default();
        let active = Arc::new(Active::new(Arc::new(plan)));
        let options = world.options(active.clone(), clock.clone(), seed);
        let worker = Worker::new(world.link(clock.clone()), options);
        Self { world, worker, clock, store, active, others: Vec::new(), end, file }
    }

    /// Lets the worker do what it can do now.
    pub(crate) fn turn(&mut self) {
        for _ in 0..2 {
            self.worker.turn();
        }
    }

    /// Asks and takes the reply that comes at once; replies to others wait for `received`.
    pub(crate) fn ask_now(&mut self, from: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
        self.world.send(0, from, query);
        self.turn();
        let (own, others) = self.received().into_iter().partition(|(_, to, _)| *to == from);
        self.others = others;
        let own: Vec<(usize, SocketAddr, Vec<u8>)> = own;
        own.into_iter().map(|(_, _, bytes)| bytes).next()
    }

    /// Takes what the worker sent to clients.
    pub(crate) fn received(&mut self) -> Vec<(usize, SocketAddr, Vec<u8>)> {
        let mut all = std::mem::take(&mut self.others);
        all.extend(self.world.received());
        all
    }
}
