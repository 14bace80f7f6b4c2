//! A cluster in a store with the pipeline in front of it, all in this process: what a query costs without sockets.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use signpost::chain::{
    self, Active, Asked, BuildOptions, Client, Context, Flow, Outcome, Parts, Pipeline, PipelineOptions,
    Reply, Step, StoreSpec, Transport,
};
use signpost::corefile::{self, NoImports};
use signpost::metrics::{Counters, Tally};
use signpost::store::change::{
    Endpoint, EndpointAddress, NamespaceObject, Revision, ServiceObject, ServicePort, ServiceSpec,
    SliceObject, SlicePort,
};
use signpost::store::{Change, Kind, Object, ObjectKey, Protocol, Sink as _, Store, Wanted, Writer};
use signpost::time::{Clock, Wall};
use signpost::wire::{Kept, Owner, Rcode, Section, parse_name};

/// How many namespaces the Services are spread over.
const NAMESPACES: usize = 100;

/// One Service in so many is headless.
pub(crate) const HEADLESS_EVERY: usize = 10;

/// How many slices the large Service has, and how many endpoints each.
pub(crate) const LARGE: (usize, usize) = (50, 100);

/// kubeadm's Corefile without the words that open sockets of their own or look after the process.
const COREFILE: &str = "\
. {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        manifests unused
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus 127.0.0.1:0
    forward . 192.0.2.53
    cache 30
    loadbalance
}
";

/// How large a cluster is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Services, each with one slice.
    pub(crate) services: usize,
    /// Endpoints of each slice.
    pub(crate) endpoints: usize,
}

/// Parts with one store, which the bench feeds.
struct OneStore {
    /// The store, once the stanza asked for it.
    store: Option<(Arc<Store>, Writer)>,
    /// The clock.
    clock: Clock,
}

impl Parts for OneStore {
    fn group(
        &mut self,
        spec: &signpost::forward::GroupSpec,
    ) -> Result<Arc<signpost::forward::Group>, signpost::forward::TargetFault> {
        Ok(Arc::new(signpost::forward::Group::new(spec.options.clone(), Vec::new())))
    }

    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        self.store.get_or_insert_with(|| Store::new(wanted, self.clock.clone())).0.clone()
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([Tally::new(chain::ANSWERERS)])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// The upstreams as a step that answers at once.
struct Upstreams;

impl Step for Upstreams {
    fn word(&self) -> &'static str {
        "forward"
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let mut draft = asked.draft();
        draft.load(&Kept::default());
        draft.push_address(Section::Answer, Owner::Question, 3600, &[192, 0, 2, 1]);
        Flow::Reply(Reply::new(Rcode::NOERROR, draft))
    }

    fn forwards(&self) -> bool {
        true
    }
}

/// The world.
pub(crate) struct World {
    /// Answers.
    pipeline: Pipeline<()>,
    /// Stands still.
    clock: Clock,
    /// Takes changes.
    pub(crate) writer: Writer,
    /// Where replies are written.
    out: Vec<u8>,
}

/// The name of a Service.
pub(crate) fn name_of(number: usize) -> String {
    format!("service-{number:05}")
}

/// The namespace of a Service.
pub(crate) fn namespace_of(number: usize) -> String {
    format!("team-{:03}", number % NAMESPACES)
}

/// A version.
fn revision(number: usize, version: usize) -> Revision {
    let uid = format!("{number:08x}-0000-4000-8000-{:012x}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff);
    Revision { uid: uid.into(), version: version.to_string().into() }
}

/// A Service.
pub(crate) fn service(number: usize, headless: bool, version: usize) -> Object {
    let [.., high, low] = number.to_be_bytes();
    let spec = match headless {
        true => ServiceSpec::Headless,
        false => ServiceSpec::Cluster(vec![IpAddr::from([10, 96, high, low])]),
    };
    Object::Service(ServiceObject {
        key: ObjectKey::new(&namespace_of(number), &name_of(number)),
        revision: revision(number, version),
        spec,
        ports: vec![ServicePort { name: "http".into(), protocol: Protocol::Tcp, port: 80 }],
        external: Vec::new(),
    })
}

/// A slice of a Service: endpoints from `first` on.
pub(crate) fn slice(number: usize, slice: usize, (first, count): (usize, usize), version: usize) -> Object {
    let endpoints = (first..first + count).map(|endpoint| {
        let [.., high, middle, low] = endpoint.to_be_bytes();
        Endpoint {
            addresses: vec![EndpointAddress {
                ip: IpAddr::from([10, 128 + (high & 127), middle, low]),
                spelled: None,
            }],
            hostname: "".into(),
            target: format!("{}-6d4cf56db6-{endpoint:05}", name_of(number)).into(),
            zone: "zone-a".into(),
        }
    });
    Object::Slice(SliceObject {
        key: ObjectKey::new(&namespace_of(number), &format!("{}-{slice:05x}", name_of(number))),
        revision: revision(number, version),
        service: name_of(number).into(),
        import: None,
        endpoints: endpoints.collect(),
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: Some(8080) }],
        triggered: None,
    })
}

/// Lists a whole cluster, publishing as often as a source does.
pub(crate) fn fill(writer: &mut Writer, size: Size, version: usize) {
    let listed = |writer: &mut Writer, kind, objects: &mut dyn Iterator<Item = Object>| {
        writer.change(Change::Begin(kind));
        for (at, object) in objects.enumerate() {
            writer.change(Change::Upsert(object));
            if at % 100 == 99 {
                writer.settle();
            }
        }
        writer.change(Change::End(kind));
        writer.settle();
    };
    let namespaces = (0..NAMESPACES).map(|number| {
        let name = namespace_of(number).into();
        Object::Namespace(NamespaceObject { name, revision: Revision::default(), labels: Vec::new() })
    });
    listed(writer, Kind::Namespaces, &mut { namespaces });
    let all = 0..size.services;
    let services = all.clone().map(|number| service(number, number.is_multiple_of(HEADLESS_EVERY), version));
    listed(writer, Kind::Services, &mut { services });
    let slices = all.map(|number| slice(number, 0, (number * size.endpoints, size.endpoints), version));
    listed(writer, Kind::EndpointSlices, &mut { slices });
}

/// The number of the large Service, which has no other's number.
pub(crate) const LARGE_SERVICE: usize = 99_999;

/// Adds the large headless Service.
pub(crate) fn add_large(writer: &mut Writer) {
    writer.change(Change::Upsert(service(LARGE_SERVICE, true, 1)));
    for at in 0..LARGE.0 {
        writer.change(Change::Upsert(large_slice(at, 1)));
    }
    writer.settle();
}

/// A slice of the large Service; another version has another last endpoint.
pub(crate) fn large_slice(at: usize, version: usize) -> Object {
    // Far from the addresses of the others; the versions of a slice overlap in all but some addresses.
    slice(LARGE_SERVICE, at, (4_000_000 + at * 2 * LARGE.1 + version % 2, LARGE.1), version)
}

impl World {
    /// A cluster of some size.
    pub(crate) fn new(size: Size) -> Self {
        let clock = Clock::manual(Wall(1_700_000_000));
        let mut parts = OneStore { store: None, clock: clock.clone() };
        let spec = corefile::parse("Corefile", COREFILE, &NoImports).expect("the Corefile is sound");
        let mut plan =
            chain::build(&spec, BuildOptions { port: 53 }, &mut parts).expect("the plan is sound").plan;
        let steps = plan.chains.first_mut().map(|chain| &mut chain.steps).expect("one block");
        *steps.last_mut().expect("the step that asks the network") = Box::new(Upstreams);
        let (_, mut writer) = parts.store.expect("the stanza asked for its store");
        fill(&mut writer, size, 1);
        let pipeline = Pipeline::new(PipelineOptions {
            active: Arc::new(Active::new(Arc::new(plan))),
            waiting: 4,
            seed: 7,
            clock: clock.clone(),
            waker: Waker::noop().clone(),
            counters: Arc::new(Counters::default()),
            worker: 0,
            secrets: Box::new(|bytes: &mut [u8]| bytes.fill(7)),
            streams: None,
        });
        Self { pipeline, clock, writer, out: vec![0; 1232] }
    }

    /// Answers a query over UDP; the bytes of the reply.
    pub(crate) fn answer(&mut self, query: &[u8]) -> &[u8] {
        let client = Client {
            addr: SocketAddr::from(([10, 244, 0, 9], 43_210)),
            local: Some(IpAddr::from([127, 0, 0, 1])),
            transport: Transport::Udp,
            listener: 0,
            size: query.len(),
        };
        let now = self.clock.now();
        match self.pipeline.answer(query, client, (), now, &mut self.out) {
            Outcome::Reply(length) => self.out.get(..length).unwrap_or_default(),
            Outcome::Silent | Outcome::Waiting | Outcome::Begun(_) => &[],
        }
    }
}

/// A query with EDNS, as resolvers send it.
pub(crate) fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&parse_name(name).expect("a name"));
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A kind of work: a word for it, the type asked for, the code and the number of answers that come, and the name for a number below the
/// number of Services.
type Work = (&'static str, u16, u8, u16, fn(usize) -> String);

/// What is asked.
pub(crate) const WORK: &[Work] = &[
    ("A of a ClusterIP Service", 1, 0, 1, |number| service_name(number + usize::from(number % 10 == 0))),
    ("A of a headless Service, 5 records", 1, 0, 5, |number| service_name(number / 10 * 10)),
    ("SRV of a headless Service, 5 targets", 33, 0, 5, |number| {
        format!("_http._tcp.{}", service_name(number / 10 * 10))
    }),
    ("A of one endpoint of 5,000", 1, 0, 1, |number| {
        let [.., high, middle, low] =
            (4_000_000 + number % LARGE.0 * 2 * LARGE.1 + 1 + number % 98).to_be_bytes();
        format!("10-{}-{middle}-{low}.{}", 128 + (high & 127), service_name(LARGE_SERVICE))
    }),
    ("PTR of an endpoint", 12, 0, 1, |number| {
        let [.., high, middle, low] = (number * 5).to_be_bytes();
        format!("{low}.{middle}.{}.10.in-addr.arpa.", 128 + high)
    }),
    ("NXDOMAIN", 1, 3, 0, |number| format!("none-{number}.{}.svc.cluster.local.", namespace_of(number))),
    ("A of a cached name", 1, 0, 1, |number| format!("host-{number}.example.com.")),
];

/// The name of a Service in full.
fn service_name(number: usize) -> String {
    format!("{}.{}.svc.cluster.local.", name_of(number), namespace_of(number))
}

/// The queries of a kind of work for some numbers.
pub(crate) fn queries(work: usize, numbers: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
    let (_, qtype, _, _, name) = WORK.get(work).expect("a kind of work");
    numbers.map(|number| query(&name(number), *qtype)).collect()
}

/// Asserts that a reply is the one that is meant: code and number of answers.
pub(crate) fn check(work: usize, reply: &[u8]) {
    let &(what, _, code, answers, _) = WORK.get(work).expect("a kind of work");
    let got =
        (reply.get(3).map(|byte| byte & 15), reply.get(6..8).map(|two| u16::from_be_bytes([two[0], two[1]])));
    assert_eq!(got, (Some(code), Some(answers)), "{what}: another answer than the one that is meant");
}

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// Whether this run only asks whether the bench can be started (`cargo test --benches`).
pub(crate) fn only_started() -> bool {
    std::env::args().any(|arg| arg == "--test")
}
