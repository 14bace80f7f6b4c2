//! A whole worker on a network in memory, with a Corefile and a cluster that never change: what targets ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::chain::{Active, BuildOptions, Parts, Plan, StoreSpec, ZoneFile, build};
use crate::corefile::{self, NoImports};
use crate::forward::{Group, GroupSpec, Target, TargetFault, Upstream};
use crate::metrics::Tally;
use crate::server::memory::{MemoryLink, World};
use crate::server::{StreamId, Worker};
use crate::source::cluster::{Access, AccessError};
use crate::source::object::decode;
use crate::store::change::{Change, HostKind, Kind, Sink};
use crate::store::{Store, Wanted};
use crate::time::{Clock, Wall};
use crate::wire::parse_name;
use crate::zone::{self, Files, Held};

/// What is answered from here alone.
const LOCAL: &str = "
.:53 {
    bind 0.0.0.0
    nsid here
    chaos one two
    any
    rewrite name exact old.example.org host.example.org answer auto
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        endpoint http://192.0.2.1:1
        pods insecure
        pod_hostnames
        fallthrough in-addr.arpa
    }
    hosts {
        192.0.2.10 host.example.org HOST2.example.org
        2001:db8::10 host.example.org
        fallthrough
    }
    template IN ANY made.example.org {
        match ^(?P<word>[a-z0-9]+)[.]made[.]example[.]org[.]$
        answer \"{{ .Name }} 60 IN TXT {{ .Group.word }}\"
        fallthrough
    }
    loadbalance
}
example.net:53 {
    bind 0.0.0.0
    whoami
}
example.com:53 {
    bind 0.0.0.0
    file db.example.com
}
clusterset.local:53 {
    bind 0.0.0.0
    kubernetes clusterset.local {
        endpoint http://192.0.2.1:1
        multicluster clusterset.local
    }
}
path.test:53 {
    bind 0.0.0.0
    autopath @kubernetes
    kubernetes path.test {
        endpoint http://192.0.2.1:1
        pods verified
        ttl 7
    }
}
external.test:53 {
    bind 0.0.0.0
    kubernetes inner.external.test {
        endpoint http://192.0.2.1:1
    }
    k8s_external external.test {
        headless
        ingress
    }
}
guarded.test:53 {
    bind 0.0.0.0
    acl {
        filter type TXT net 198.51.100.0/24
        block type HINFO net *
        allow
    }
    header {
        response set aa
    }
    minimal
    whoami
}
";

/// A zone of all shapes.
pub(super) const ZONE: &str = "$TTL 60
@ IN SOA ns hostmaster 7 7200 1800 86400 30
@ NS ns
ns A 192.0.2.1
www A 192.0.2.7
www AAAA 2001:db8::7
*.wild TXT \"any\" \"thing\"
alias CNAME www
out CNAME www.example.org.
down NS ns.down
ns.down A 192.0.2.9
moved DNAME www
mail MX 10 www
_x._tcp SRV 0 1 80 www
$GENERATE 1-3 h$ A 10.0.0.$
";

/// The objects of the cluster: kind, and JSON.
const OBJECTS: &[(Kind, &str)] = &[
    (Kind::Namespaces, r#"{"metadata":{"name":"shop"}}"#),
    (Kind::Namespaces, r#"{"metadata":{"name":"data"}}"#),
    (
        Kind::Services,
        r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::96"],"ports":[{"name":"http","port":80,"protocol":"TCP"}]}}"#,
    ),
    (
        Kind::Services,
        r#"{"metadata":{"name":"db","namespace":"data"},"spec":{"clusterIP":"None","ports":[{"name":"pg","port":5432}]}}"#,
    ),
    (
        Kind::Services,
        r#"{"metadata":{"name":"out","namespace":"shop"},"spec":{"type":"ExternalName","externalName":"www.example.com"}}"#,
    ),
    (
        Kind::Services,
        r#"{"metadata":{"name":"front","namespace":"shop"},"spec":{"clusterIP":"10.96.0.3","ports":[{"name":"https","port":443}]},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.80"},{"hostname":"lb.example.org"}]}}}"#,
    ),
    // The client itself.
    (
        Kind::Pods,
        r#"{"metadata":{"name":"asker","namespace":"shop"},"spec":{"hostname":"asker","subdomain":"web"},"status":{"phase":"Running","podIPs":[{"ip":"198.51.100.1"}]}}"#,
    ),
    (
        Kind::Imports,
        r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"type":"ClusterSetIP","ips":["10.200.0.1"],"ports":[{"name":"http","port":80}]}}"#,
    ),
    (
        Kind::Hosts(HostKind::Ingresses),
        r#"{"metadata":{"name":"i","namespace":"shop","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"rules":[{"host":"www.external.test"}]},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.81"}]}}}"#,
    ),
    (
        Kind::EndpointSlices,
        r#"{"metadata":{"name":"db-1","namespace":"data","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","ports":[{"name":"pg","port":5432,"protocol":"TCP"}],"endpoints":[{"addresses":["10.244.2.1"],"hostname":"db-0"},{"addresses":["10.244.2.2"],"hostname":"db-1"}]}"#,
    ),
];

/// A headless Service that fits into no datagram.
fn large() -> String {
    let endpoints: Vec<String> =
        (1..=120).map(|last| format!(r#"{{"addresses":["10.250.0.{last}"]}}"#)).collect();
    format!(
        r#"{{"metadata":{{"name":"many-1","namespace":"data","labels":{{"kubernetes.io/service-name":"many"}}}},"addressType":"IPv4","ports":[{{"name":"x","port":1}}],"endpoints":[{}]}}"#,
        endpoints.join(",")
    )
}

/// A store with the cluster.
pub(super) fn store(wanted: Wanted) -> Arc<Store> {
    let (store, mut writer) = Store::new(wanted, Clock::manual(Wall(1_700_000_000)));
    let many = large();
    let extra = [
        (Kind::Services, r#"{"metadata":{"name":"many","namespace":"data"},"spec":{"clusterIP":"None"}}"#),
        (Kind::EndpointSlices, many.as_str()),
    ];
    for kind in wanted.kinds() {
        writer.change(Change::Begin(kind));
        for (_, json) in OBJECTS.iter().chain(&extra).filter(|(of, _)| *of == kind) {
            let cut = decode(kind, json.as_bytes()).expect("the objects here are sound");
            writer.change(Change::Upsert(cut.object.expect("the objects here are whole")));
        }
        writer.change(Change::End(kind));
    }
    writer.settle();
    store
}

/// No file includes another.
pub(super) struct NoFiles;

impl Files for NoFiles {
    fn open(&mut self, path: &str, _: &str) -> Result<(String, Vec<u8>), String> {
        Err(format!("{path}: there are no files"))
    }
}

/// The parts of a plan: a cluster, a zone, upstreams that nobody has heard of yet.
#[derive(Default)]
pub(super) struct Shelf;

impl Parts for Shelf {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        store(wanted)
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        let upstreams = spec.targets.iter().filter_map(|target| match target {
            Target::Upstream(spec) => Some(Arc::new(Upstream::new(spec.clone()))),
            _ => None,
        });
        Ok(Arc::new(Group::new(spec.options.clone(), upstreams.collect())))
    }

    fn zone_file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        let origin = parse_name("example.com.").expect("a name");
        let (zone, _) = zone::read("db", ZONE.as_bytes(), &origin, &mut NoFiles)
            .map_err(|fault| format!("{}: {fault}", spec.path.display()))?;
        let held = Held::default();
        held.replace(Arc::new(zone));
        Ok(Arc::new(held))
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        vec![("lo".to_owned(), IpAddr::from([127, 0, 0, 1]))]
    }

    fn reachable(&self, _: &Access) -> Result<(), AccessError> {
        Ok(())
    }
}

/// The plan of a Corefile.
fn plan(text: &str) -> Arc<Plan> {
    let spec =
        corefile::parse("Corefile", text, &NoImports).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let built = build(&spec, BuildOptions { port: 53 }, &mut Shelf).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(built.plan)
}

/// A client.
fn client() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 4096))
}

/// A query as it came to an upstream: our socket, and its bytes.
pub(super) type Came = (usize, Vec<u8>);

/// A worker, and the world around it. The clock stands still unless it is moved.
pub(super) struct Desk {
    /// The network.
    world: World,
    /// The worker.
    worker: Worker<MemoryLink>,
    /// The clock.
    clock: Clock,
}

impl Desk {
    /// One that answers from what is here.
    pub(super) fn local() -> Self {
        static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
        Self::new(PLAN.get_or_init(|| plan(LOCAL)).clone())
    }

    /// One that asks two upstreams, with this line in its block. Nothing of an earlier one is remembered.
    pub(super) fn forwarding(line: &str) -> Self {
        Self::new(plan(&format!(
            ".:53 {{\n bind 0.0.0.0\n {line}\n forward . 192.0.2.1 192.0.2.2 {{\n policy sequential\n }}\n}}\n"
        )))
    }

    /// One that serves a plan.
    fn new(plan: Arc<Plan>) -> Self {
        let world = World::default();
        let clock = Clock::manual(Wall(1_700_000_000));
        let mut options = world.options(Arc::new(Active::new(plan)), clock.clone(), 7);
        // Few places, so that inputs reach their end.
        options.pipeline.waiting = 16;
        let worker = Worker::new(world.link(clock.clone()), options);
        Self { world, worker, clock }
    }

    /// Lets the worker do what it can do now.
    pub(super) fn settle(&mut self) {
        for _ in 0..4 {
            self.worker.turn();
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.settle();
    }

    /// Sends a datagram.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.world.send(0, client(), bytes);
        self.settle();
    }

    /// Takes what came back to the client.
    pub(super) fn received(&mut self) -> Vec<Vec<u8>> {
        self.world.received().into_iter().map(|(_, _, bytes)| bytes).collect()
    }

    /// Takes what came to upstreams.
    pub(super) fn came(&mut self) -> Vec<Came> {
        self.world.asked().into_iter().map(|(socket, _, bytes)| (socket, bytes)).collect()
    }

    /// An upstream answers.
    pub(super) fn say(&mut self, socket: usize, bytes: &[u8]) {
        self.world.answer(socket, Ok(bytes.to_vec()));
        self.settle();
    }

    /// Opens a stream.
    pub(super) fn connect(&mut self) -> StreamId {
        let stream = self.world.connect(0, client(), usize::MAX);
        self.settle();
        stream
    }

    /// Sends bytes on a stream.
    pub(super) fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        self.world.write(stream, bytes);
        self.settle();
    }

    /// Takes what came back on a stream.
    pub(super) fn read(&mut self, stream: StreamId) -> Vec<u8> {
        self.world.read(stream)
    }

    /// Whether a stream was closed.
    pub(super) fn closed(&self, stream: StreamId) -> bool {
        self.world.closed(stream)
    }
}
