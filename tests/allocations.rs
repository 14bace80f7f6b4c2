//! The road of a query allocates nothing, once each kind of answer was given once (STYLE rule 11).
//!
//! The counting allocator counts for the thread that asks for it; where something allocates, the places are shown.
#![allow(unsafe_code, reason = "a global allocator has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use hickory_proto::op::Message;
use signpost::chain::{
    self, Active, Asked, BuildOptions, Client, Context, Flow, Outcome, Parts, Pipeline, PipelineOptions,
    Plan, Reply, Step, StoreSpec, Transport, ZoneFile,
};
use signpost::corefile::{self, NoImports};
use signpost::metrics::{Counters, Tally};
use signpost::store::change::{
    Endpoint, EndpointAddress, NamespaceObject, PodObject, Revision, ServiceObject, ServicePort, ServiceSpec,
    SliceObject, SlicePort,
};
use signpost::store::{Change, Kind, Object, ObjectKey, Protocol, Sink as _, Store, Wanted, Writer};
use signpost::time::{Clock, Wall};
use signpost::wire::{Kept, Owner, Rcode, Section, parse_name};
use signpost::zone::{self, Files, Held};

/// Bytes that a test can foretell.
fn seeded() -> signpost::forward::Random {
    let mut rng = fastrand::Rng::with_seed(1);
    Box::new(move |bytes| rng.fill(bytes))
}

/// So many allocations are shown with their place: a backtrace costs milliseconds.
const SHOWN: u64 = 8;

/// Counts what the system's allocator is asked for.
struct Counting;

thread_local! {
    /// Whether this thread counts.
    static ARMED: Cell<bool> = const { Cell::new(false) };
    /// Allocations since it does.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Where the first of them happened, each place once.
    static PLACES: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Counts one allocation of this thread, if it counts.
fn note() {
    // While a thread ends its variables are gone, and it counts no more.
    if ARMED.try_with(Cell::get).unwrap_or(false) {
        let before = COUNT.with(|count| count.replace(count.get() + 1));
        if before < SHOWN {
            ARMED.with(|armed| armed.set(false));
            let trace = Backtrace::force_capture().to_string();
            let frames: Vec<&str> = trace
                .lines()
                .map(str::trim)
                .filter(|line| line.contains(": signpost::") || line.contains(": allocations::the_"))
                .take(3)
                .collect();
            PLACES.with(|places| places.borrow_mut().insert(frames.join(" < ")));
            ARMED.with(|armed| armed.set(true));
        }
    }
}

// SAFETY: all work is the system allocator's; counting neither allocates while it counts nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates, and where.
fn allocations(work: impl FnOnce()) -> (u64, BTreeSet<String>) {
    COUNT.with(|count| count.set(0));
    PLACES.with(|places| places.borrow_mut().clear());
    ARMED.with(|armed| armed.set(true));
    work();
    ARMED.with(|armed| armed.set(false));
    (COUNT.with(Cell::get), PLACES.with(RefCell::take))
}

/// Parts with one store, which the test feeds.
struct OneStore {
    /// The store, once a stanza asked for it.
    store: Option<(Arc<Store>, Writer)>,
    /// The clock.
    clock: Clock,
}

impl Parts for OneStore {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        self.store.get_or_insert_with(|| Store::new(wanted, self.clock.clone())).0.clone()
    }

    fn zone_file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        struct None;
        impl Files for None {
            fn open(&mut self, _: &str, _: &str) -> Result<(String, Vec<u8>), String> {
                Err("nothing is included".to_owned())
            }
        }
        let read = zone::read("db", ZONE.as_bytes(), spec.origin.wire(), &mut None);
        let (zone, _) = read.map_err(|fault| fault.to_string())?;
        let held = Held::default();
        held.replace(Arc::new(zone));
        Ok(Arc::new(held))
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        vec![("eth0".to_owned(), IpAddr::from([10, 0, 0, 53]))]
    }
}

/// The Corefile: steps that only look at what passes, and the one that answers.
const COREFILE: &str = "\
cluster.local in-addr.arpa ip6.arpa {
    bind 127.0.0.1
    metadata
    errors
    loadbalance
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        manifests unused
        pods verified
        pod_hostnames
        ttl 30
    }
}
";

/// A Service.
fn service(name: &str, spec: ServiceSpec, ports: &[(&str, u16)]) -> Object {
    let ports = ports
        .iter()
        .map(|&(name, port)| ServicePort { name: name.into(), protocol: Protocol::Tcp, port })
        .collect();
    let key = ObjectKey::new("shop", name);
    Object::Service(ServiceObject { key, revision: Revision::default(), spec, ports, external: Vec::new() })
}

/// A slice of `service` with an endpoint for each address, the first of them with a hostname.
fn slice(service: &str, addresses: &[&str]) -> Object {
    let endpoints = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| Endpoint {
            addresses: vec![EndpointAddress { ip: address.parse().expect("an address"), spelled: None }],
            hostname: if index == 0 { format!("{service}-0").into() } else { "".into() },
            target: "".into(),
            zone: "".into(),
        })
        .collect();
    Object::Slice(SliceObject {
        import: None,
        key: ObjectKey::new("shop", &format!("{service}-slice")),
        revision: Revision::default(),
        service: service.into(),
        endpoints,
        ports: vec![
            SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: Some(8080) },
            SlicePort { name: "admin".into(), protocol: Protocol::Tcp, port: Some(9090) },
        ],
        triggered: None,
    })
}

/// The cluster.
fn cluster() -> Vec<(Kind, Vec<Object>)> {
    let addresses = |texts: &[&str]| {
        ServiceSpec::Cluster(texts.iter().map(|text| text.parse().expect("an address")).collect())
    };
    let many: Vec<String> = (0..200).map(|number| format!("10.9.0.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        (
            Kind::Namespaces,
            vec![Object::Namespace(NamespaceObject {
                name: "shop".into(),
                revision: Revision::default(),
                labels: Vec::new(),
            })],
        ),
        (
            Kind::Services,
            vec![
                service("web", addresses(&["10.96.0.1", "fd00:96::1"]), &[("http", 80), ("https", 443)]),
                service("db", ServiceSpec::Headless, &[("http", 80)]),
                service("many", ServiceSpec::Headless, &[("http", 80)]),
            ],
        ),
        (
            Kind::EndpointSlices,
            vec![
                slice("web", &["10.1.0.1"]),
                slice("db", &["10.2.0.1", "10.2.0.2", "10.2.0.3", "10.2.0.4", "fd00:2::5"]),
                slice("many", &many),
            ],
        ),
        (
            Kind::Pods,
            vec![Object::Pod(PodObject {
                key: ObjectKey::new("shop", "p"),
                revision: Revision::default(),
                addresses: vec![IpAddr::from([10, 1, 0, 1])],
                hostname: "".into(),
                subdomain: "".into(),
                labels: Vec::new(),
            })],
        ),
    ]
}

/// A pipeline over the cluster.
fn pipeline() -> (Pipeline<()>, Clock) {
    let (pipeline, clock, _) = pipeline_and_store();
    (pipeline, clock)
}

/// A pipeline over the cluster, and where its names are kept.
fn pipeline_and_store() -> (Pipeline<()>, Clock, Arc<Store>) {
    let clock = Clock::manual(Wall(1_700_000_000));
    let mut parts = OneStore { store: None, clock: clock.clone() };
    let spec = corefile::parse("Corefile", COREFILE, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut parts)
        .unwrap_or_else(|error| panic!("{}", error.render()));
    let (store, writer) = parts.store.as_mut().expect("the stanza asked for its store");
    let store = store.clone();
    for (kind, objects) in cluster() {
        writer.change(Change::Begin(kind));
        objects.into_iter().for_each(|object| writer.change(Change::Upsert(object)));
        writer.change(Change::End(kind));
    }
    writer.settle();
    let pipeline = over(built.plan, &clock, &Arc::new(Counters::default()));
    (pipeline, clock, store)
}

/// A pipeline over a plan.
fn over(plan: Plan, clock: &Clock, counters: &Arc<Counters>) -> Pipeline<()> {
    Pipeline::new(PipelineOptions {
        active: Arc::new(Active::new(Arc::new(plan))),
        waiting: 4,
        seed: 7,
        clock: clock.clone(),
        waker: Waker::noop().clone(),
        counters: counters.clone(),
        worker: 0,
        secrets: seeded(),
        streams: None,
    })
}

/// A query: name, type, class; with EDNS where `edns`.
fn query(name: &str, qtype: u16, class: u16, edns: bool) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    bytes.extend_from_slice(&parse_name(name).expect("a name"));
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&class.to_be_bytes());
    if edns {
        bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    }
    bytes
}

/// What is asked: a word for it, name, type, and the code and the answers that come, so that the right road was walked.
const QUESTIONS: &[(&str, &str, u16, u16, usize)] = &[
    ("ClusterIP A", "web.shop.svc.cluster.local.", 1, 0, 1),
    ("ClusterIP AAAA", "web.shop.svc.cluster.local.", 28, 0, 1),
    ("ClusterIP SRV and glue", "web.shop.svc.cluster.local.", 33, 0, 2),
    ("ClusterIP port", "_http._tcp.web.shop.svc.cluster.local.", 33, 0, 1),
    ("mixed case", "wEb.ShOp.sVc.ClUsTeR.lOcAl.", 1, 0, 1),
    ("headless A", "db.shop.svc.cluster.local.", 1, 0, 4),
    ("headless AAAA", "db.shop.svc.cluster.local.", 28, 0, 1),
    ("headless port and glue", "_http._tcp.db.shop.svc.cluster.local.", 33, 0, 5),
    ("endpoint by address", "10-2-0-2.db.shop.svc.cluster.local.", 1, 0, 1),
    ("endpoint by hostname", "db-0.db.shop.svc.cluster.local.", 1, 0, 1),
    ("endpoint SRV", "db-0.db.shop.svc.cluster.local.", 33, 0, 2),
    ("NXDOMAIN service", "nothing.shop.svc.cluster.local.", 1, 3, 0),
    ("NXDOMAIN namespace", "web.nothing.svc.cluster.local.", 1, 3, 0),
    ("NXDOMAIN grammar", "api.example.com.svc.cluster.local.", 1, 3, 0),
    ("NXDOMAIN search list", "example.com.cluster.local.", 1, 3, 0),
    ("NODATA type", "web.shop.svc.cluster.local.", 15, 0, 0),
    ("NODATA namespace", "shop.svc.cluster.local.", 1, 0, 0),
    ("NODATA above ports", "_tcp.web.shop.svc.cluster.local.", 1, 0, 0),
    ("apex SOA", "cluster.local.", 6, 0, 1),
    ("apex NODATA", "cluster.local.", 1, 0, 0),
    ("ns.dns A", "ns.dns.cluster.local.", 1, 0, 1),
    ("dns-version TXT", "dns-version.cluster.local.", 16, 0, 1),
    ("pod address", "10-1-0-1.shop.pod.cluster.local.", 1, 0, 1),
    ("pod that is none", "10-1-0-9.shop.pod.cluster.local.", 1, 3, 0),
    ("PTR of a ClusterIP", "1.0.96.10.in-addr.arpa.", 12, 0, 1),
    ("PTR of an endpoint", "2.0.2.10.in-addr.arpa.", 12, 0, 1),
    (
        "PTR of an IPv6 endpoint",
        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.0.d.f.ip6.arpa.",
        12,
        0,
        1,
    ),
    ("PTR of nobody", "9.9.9.9.in-addr.arpa.", 12, 3, 0),
    ("refused zone", "example.com.", 1, 5, 0),
    ("refused transfer", "cluster.local.", 252, 5, 0),
];

/// How often each is asked while it is counted.
const TIMES: usize = 20;

/// A client.
fn client(transport: Transport, size: usize) -> Client {
    Client {
        addr: SocketAddr::from(([10, 244, 0, 9], 43_210)),
        local: Some(IpAddr::from([127, 0, 0, 1])),
        transport,
        listener: 0,
        size,
    }
}

/// Answers a message so often; the length of the last reply, or nothing.
fn answer(
    pipeline: &mut Pipeline<()>,
    clock: &Clock,
    bytes: &[u8],
    transport: Transport,
    out: &mut [u8],
    times: usize,
) -> Option<usize> {
    let mut last = None;
    for _ in 0..times {
        let client = client(transport, bytes.len());
        last = match pipeline.answer(bytes, client, (), clock.now(), out) {
            Outcome::Reply(length) => Some(length),
            Outcome::Silent => None,
            Outcome::Waiting | Outcome::Begun(_) => panic!("nothing waits here"),
        };
    }
    last
}

#[test]
fn the_road_of_a_query_allocates_nothing() {
    let (mut pipeline, clock) = pipeline();
    roads_allocate_nothing(&mut pipeline, &clock);
}

#[test]
fn the_road_of_a_stale_answer_allocates_nothing() {
    let (mut pipeline, clock, store) = pipeline_and_store();
    store.freshness().set_snapshot(true);
    // What comes from a snapshot says so (K-269).
    let mut out = [0_u8; 1232];
    let bytes = query("web.shop.svc.cluster.local.", 1, 1, true);
    let length = answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, 1).expect("a reply");
    let reply = Message::from_vec(&out[..length]).expect("a sound reply");
    assert_eq!(reply.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [5]);
    let edns = reply.edns.expect("an OPT");
    assert!(edns.options().options.iter().any(|(code, _)| u16::from(*code) == 15), "{edns:?}");
    roads_allocate_nothing(&mut pipeline, &clock);
}

/// Asks everything, and shows what allocates.
fn roads_allocate_nothing(pipeline: &mut Pipeline<()>, clock: &Clock) {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = vec![0_u8; 65_535];
    for &(what, name, qtype, code, answers) in QUESTIONS {
        for (transport, room) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
            for edns in [false, true] {
                let bytes = query(name, qtype, 1, edns);
                let out = &mut out[..room];
                let length = answer(pipeline, clock, &bytes, transport, out, 1).expect("a reply");
                let reply = Message::from_vec(&out[..length]).expect("a sound reply");
                let got = (u16::from(reply.metadata.response_code), reply.answers.len());
                assert_eq!(got, (code, answers), "{what}: another road than the one that is meant");
                let (count, places) = allocations(|| {
                    answer(pipeline, clock, &bytes, transport, out, TIMES);
                });
                for place in places {
                    let times = format!("{what} ({}, EDNS {edns}: {count} in {TIMES})", transport.text());
                    wrong.entry(place).or_default().push(times);
                }
            }
        }
    }
    let wrong: Vec<String> = wrong
        .iter()
        .map(|(place, whats)| {
            let first = whats.first().map_or("", String::as_str);
            format!("{place}\n    {} of {} roads, first {first}", whats.len(), QUESTIONS.len() * 4)
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_reply_that_is_cut_allocates_nothing() {
    let (mut pipeline, clock) = pipeline();
    let mut out = vec![0_u8; 1232];
    for (name, qtype) in
        [("many.shop.svc.cluster.local.", 1), ("_http._tcp.many.shop.svc.cluster.local.", 33)]
    {
        for edns in [false, true] {
            let bytes = query(name, qtype, 1, edns);
            // A random start draws a different number of records: the buffers are grown after some queries.
            let length =
                answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, 50).expect("a reply");
            let reply = Message::from_vec(&out[..length]).expect("a sound reply");
            assert!(reply.metadata.truncation && !reply.answers.is_empty(), "{name}");
            let (count, places) = allocations(|| {
                answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, TIMES);
            });
            assert_eq!(count, 0, "{name}, EDNS {edns}, at {places:#?}");
        }
    }
}

/// A zone file.
const ZONE: &str = "\
@ 60 SOA ns hostmaster 1 2 3 4 5
@ NS ns
@ MX 10 mail
ns A 192.0.2.53
mail A 192.0.2.25
www CNAME web
web A 192.0.2.80
*.wild A 192.0.2.9
a.b TXT x
sub NS ns.sub
ns.sub A 192.0.2.99
moved DNAME target
x.target A 192.0.2.44
web RRSIG A 8 2 60 20300101000000 20200101000000 1 @ AAAA
web NSEC @ A RRSIG NSEC
";

#[test]
fn the_road_through_a_zone_allocates_nothing() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let text = "example.org {\n    bind 127.0.0.1\n    transfer {\n        to *\n    }\n    file db\n}\n";
    let spec = corefile::parse("Corefile", text, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let mut parts = OneStore { store: None, clock: clock.clone() };
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut parts)
        .unwrap_or_else(|error| panic!("{}", error.render()));
    let mut pipeline = over(built.plan, &clock, &Arc::new(Counters::default()));
    let mut out = vec![0_u8; 65_535];
    for (name, qtype, code, answers) in [
        ("example.org.", 6, 0, 1),
        ("example.org.", 2, 0, 1),
        ("example.org.", 15, 0, 1),
        ("WEB.example.org.", 1, 0, 1),
        ("web.example.org.", 28, 0, 0),
        ("www.example.org.", 1, 0, 2),
        ("x.y.wild.example.org.", 1, 0, 1),
        ("b.example.org.", 1, 0, 0),
        ("nothing.example.org.", 1, 3, 0),
        ("x.sub.example.org.", 1, 0, 0),
        ("x.moved.example.org.", 1, 0, 3),
    ] {
        for (transport, room) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
            for edns in [false, true] {
                let bytes = query(name, qtype, 1, edns);
                let out = &mut out[..room];
                let length = answer(&mut pipeline, &clock, &bytes, transport, out, 2).expect("a reply");
                let reply = Message::from_vec(&out[..length]).expect("a sound reply");
                // Signatures aside, which come with DO.
                let data =
                    reply.answers.iter().filter(|record| u16::from(record.record_type()) != 46).count();
                let got = (u16::from(reply.metadata.response_code), data);
                assert_eq!(got, (code, answers), "{name} {qtype}");
                let (count, places) = allocations(|| {
                    answer(&mut pipeline, &clock, &bytes, transport, out, TIMES);
                });
                assert_eq!(count, 0, "{name} {qtype}, EDNS {edns}, at {places:#?}");
            }
        }
    }
}

/// Names of a stanza, and words that look at what passes or ask twice.
const HOSTS: &str = "\
. {
    bind 127.0.0.1
    bufsize 1200
    dns64 {
        allow_ipv4
    }
    any
    view all {
        expr incidr(client_ip(), '0.0.0.0/0') && size() > 0 && !(bufsize() == 7)
    }
    cancel 2s
    nsid
    local
    chaos
    header {
        query set rd
        response set ra
    }
    acl {
        drop net 198.51.100.0/24 203.0.113.7
        block type HTTPS
        allow
    }
    loadbalance weighted none {
        prefer 10.0.0.2/32
    }
    minimal
    hosts none {
        10.0.0.1 a.example.org b.example.org
        10.0.0.2 a.example.org
        10.0.0.3 *.apps.example.org
        fd00::1 six.example.org
    }
    loop
}
";

#[test]
fn hosts_and_the_words_around_it_allocate_nothing() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let mut parts = OneStore { store: None, clock: clock.clone() };
    let spec = corefile::parse("Corefile", HOSTS, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut parts)
        .unwrap_or_else(|error| panic!("{}", error.render()));
    let mut pipeline = over(built.plan, &clock, &Arc::new(Counters::default()));
    let mut out = vec![0_u8; 1232];
    for (name, qtype, rcode, answers) in [
        ("A.Example.org.", 1, 0, 2),
        ("six.example.org.", 28, 0, 1),
        // Made by dns64: asked twice.
        ("a.example.org.", 28, 0, 2),
        ("x.apps.example.org.", 1, 0, 1),
        ("six.example.org.", 1, 0, 0),
        ("a.example.org.", 16, 0, 0),
        ("a.example.org.", 255, 0, 1),
        ("1.0.0.10.in-addr.arpa.", 12, 0, 2),
        ("missing.example.org.", 1, 2, 0),
        ("a.example.org.", 65, 5, 0),
        ("x.localhost.", 28, 0, 1),
        ("0123456789abcdef.0123456789abcdef.", 13, 2, 0),
    ] {
        for edns in [false, true] {
            let bytes = query(name, qtype, 1, edns);
            let length = answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, 3).expect("a reply");
            let reply = Message::from_vec(&out[..length]).expect("a sound reply");
            let got = (u16::from(reply.metadata.response_code), reply.answers.len());
            assert_eq!(got, (rcode, answers), "{name} {qtype}");
            let (count, places) = allocations(|| {
                answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, TIMES);
            });
            assert_eq!(count, 0, "{name} {qtype}, EDNS {edns}, at {places:#?}");
        }
    }
}

#[test]
fn what_is_no_sound_query_allocates_nothing() {
    let (mut pipeline, clock) = pipeline();
    let mut out = vec![0_u8; 1232];
    let good = query("web.shop.svc.cluster.local.", 1, 1, true);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases: [(&str, Vec<u8>); 12] = [
        ("nothing", Vec::new()),
        ("half a header", good[..11].to_vec()),
        ("a header alone", good[..12].to_vec()),
        ("half a question", good[..20].to_vec()),
        ("half an OPT", good[..good.len() - 4].to_vec()),
        ("a response", changed(2, 0x81)),
        ("NOTIFY", changed(2, 0x20)),
        ("UPDATE", changed(2, 0x28)),
        ("two questions", changed(5, 2)),
        ("a pointer in the name", changed(12, 0xc0)),
        ("counts that promise more", changed(11, 2)),
        ("class CH", query("version.bind.", 16, 3, true)),
    ];
    for (what, bytes) in cases {
        answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, 1);
        let (count, places) = allocations(|| {
            answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, TIMES);
        });
        assert_eq!(count, 0, "{what}, at {places:#?}");
    }
}

/// Upstreams as a step: an address, no name or a failure, by the first letter of the question; a failure for all where set.
#[derive(Clone, Default)]
struct Upstreams(Arc<AtomicBool>);

impl Step for Upstreams {
    fn word(&self) -> &'static str {
        "forward"
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let mut draft = asked.draft();
        draft.load(&Kept::default());
        let rcode = match asked.question.label(0).first() {
            _ if self.0.load(Ordering::Relaxed) => Rcode::SERVFAIL,
            Some(b'm') => Rcode::NXDOMAIN,
            Some(b'f') => Rcode::SERVFAIL,
            _ => Rcode::NOERROR,
        };
        if rcode == Rcode::NOERROR {
            (1..=8).for_each(|last| {
                draft.push_address(Section::Answer, Owner::Question, 60, &[192, 0, 2, last]);
            });
        } else {
            draft.push(Section::Authority, Owner::Suffix(1), 6, 60, |rdata| {
                rdata.bytes(&[[0; 2].as_slice(), &[1; 20]].concat())
            });
        }
        Flow::Reply(Reply::new(rcode, draft))
    }

    fn forwards(&self) -> bool {
        true
    }
}

/// Parts whose upstreams are replaced before anybody asks them.
struct Forwarded;

impl Parts for Forwarded {
    fn group(
        &mut self,
        spec: &signpost::forward::GroupSpec,
    ) -> Result<Arc<signpost::forward::Group>, signpost::forward::TargetFault> {
        Ok(Arc::new(signpost::forward::Group::new(spec.options.clone(), Vec::new())))
    }

    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

#[test]
fn a_hit_in_the_cache_allocates_nothing() {
    // Rules that are about other names cost no memory.
    let text = "org {\n bind 127.0.0.1\n loadbalance\n forward . 192.0.2.53\n metadata\n \
                rewrite name a.example.com b.example.com\n rewrite name suffix .test .org answer auto\n \
                rewrite name regex (.*)[.]nothing[.] {1}.org\n rewrite ttl prefix never 30\n rewrite type MX A\n \
                template IN A example.com {\n answer \"{{ .Name }} A 192.0.2.1\"\n }\n \
                template IN A {\n match ^never\n answer \"{{ .Name }} A 192.0.2.1\"\n fallthrough\n }\n \
                cache {\n prefetch 100000 1m 10%\n serve_stale 1h immediate 30s 5m\n }\n}\n";
    let clock = Clock::manual(Wall(1_700_000_000));
    let spec = corefile::parse("Corefile", text, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut Forwarded);
    let mut plan = built.unwrap_or_else(|error| panic!("{}", error.render())).plan;
    let last = plan.chains[0].steps.last_mut().expect("the step that asks the network");
    let upstreams = Upstreams::default();
    *last = Box::new(upstreams.clone());
    let counters = Arc::new(Counters::default());
    let mut pipeline = over(plan, &clock, &counters);
    let mut out = vec![0_u8; 65_535];
    for (name, code) in [("web.example.org.", 0), ("missing.example.org.", 3), ("failed.example.org.", 2)] {
        upstreams.0.store(false, Ordering::Relaxed);
        for edns in [false, true] {
            let bytes = query(name, 1, 1, edns);
            for (transport, room) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
                let out = &mut out[..room];
                let length = answer(&mut pipeline, &clock, &bytes, transport, out, 2).expect("a reply");
                assert_eq!(out[3] & 15, code, "{name}: {length} bytes");
                let (count, places) = allocations(|| {
                    answer(&mut pipeline, &clock, &bytes, transport, out, TIMES);
                });
                assert_eq!(count, 0, "{name}, EDNS {edns}, {}, at {places:#?}", transport.text());
            }
        }
        // Beyond its time; the first of them has it asked for again, in vain.
        if code != 2 {
            clock.advance(std::time::Duration::from_secs(61));
            upstreams.0.store(true, Ordering::Relaxed);
            let bytes = query(name, 1, 1, true);
            answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, 2).expect("a reply");
            let (count, places) = allocations(|| {
                answer(&mut pipeline, &clock, &bytes, Transport::Udp, &mut out, TIMES);
            });
            assert_eq!((count, out[3] & 15), (0, code), "{name}, at {places:#?}");
        }
    }
    assert_eq!(counters.waited.read(), 0, "nothing waited: all hits but the first of each");
}

#[test]
fn the_counter_counts() {
    let (count, places) = allocations(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!((count, places.len()), (1, 1));
    let frame = places.iter().all(|place| place.contains("the_counter_counts"));
    assert!(frame, "the test's own frame is named: {places:#?}");
}

#[test]
fn a_query_that_is_observed_allocates_nothing() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let text = COREFILE.replacen("    errors\n", "    errors\n    observe 100\n", 1);
    let spec = corefile::parse("Corefile", &text, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let mut parts = OneStore { store: None, clock: clock.clone() };
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut parts)
        .unwrap_or_else(|error| panic!("{}", error.render()));
    let (_, writer) = parts.store.as_mut().expect("the stanza asked for its store");
    for (kind, objects) in cluster() {
        writer.change(Change::Begin(kind));
        objects.into_iter().for_each(|object| writer.change(Change::Upsert(object)));
        writer.change(Change::End(kind));
    }
    writer.settle();
    let observer = built.plan.observer.clone().expect("`observe` is in the Corefile");
    let mut pipeline = over(built.plan, &clock, &Arc::new(Counters::default()));
    let mut out = vec![0_u8; 1232];
    for (name, times) in [("web.shop.svc.cluster.local.", 2), ("n.example.org.shop.svc.cluster.local.", 1)] {
        answer(&mut pipeline, &clock, &query(name, 28, 1, false), Transport::Udp, &mut out, times);
    }
    // More names than are counted, and more queries than are kept: counters change hands, the oldest make room.
    let queries: Vec<Vec<u8>> = (0..2000)
        .map(|number| query(&format!("n{number}.example.org.shop.svc.cluster.local."), 28, 1, false))
        .collect();
    let (count, places) = allocations(|| {
        for bytes in &queries {
            answer(&mut pipeline, &clock, bytes, Transport::Udp, &mut out, 1);
        }
    });
    assert_eq!(count, 0, "at {places:#?}");
    let page = observer.top(1, 10, clock.now()).expect("a window");
    assert_eq!((page.queries, page.nxdomain, page.search), (2003, 2001, 2001));
    // Emptied by a reader, the same again.
    let (count, places) = allocations(|| {
        for bytes in &queries {
            answer(&mut pipeline, &clock, bytes, Transport::Udp, &mut out, 1);
        }
    });
    assert_eq!(count, 0, "after a reader, at {places:#?}");
}
