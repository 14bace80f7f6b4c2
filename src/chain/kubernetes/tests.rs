//! What names can be, by their labels alone, and the metadata that is read from them.

use super::grammar::{self, Below, Forms, Name};
use super::metadata::value;
use crate::store::Protocol;
use crate::wire::{MAX_NAME, Question, parse_name, rtype};

/// Labels of the zone of these tests, `cluster.local.`.
const ZONE: usize = 2;

/// A question for labels as bytes, below the zone.
fn question(labels: &[&[u8]]) -> (Question, usize) {
    let mut wire = Vec::new();
    for label in labels.iter().copied().chain([&b"cluster"[..], b"local"]) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label);
    }
    wire.push(0);
    (Question::new(&wire, rtype::A).unwrap(), labels.len())
}

/// A question for the text of labels, dots between, below the zone.
fn asked(labels: &str) -> (Question, usize) {
    let text =
        if labels.is_empty() { "cluster.local.".to_owned() } else { format!("{labels}.cluster.local.") };
    let question = Question::new(&parse_name(&text).unwrap(), rtype::A).unwrap();
    let left = question.labels() - ZONE;
    (question, left)
}

/// The wire form of labels, without a final zero.
fn run(labels: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire
}

/// A name as text, to compare tables with.
fn show(name: Name<'_>) -> String {
    let text = |run: &[u8]| crate::wire::show_name(run).trim_end_matches('.').to_owned();
    let label = |label: &[u8]| String::from_utf8_lossy(label).into_owned();
    match name {
        Name::Apex => "apex".to_owned(),
        Name::Bare => "bare".to_owned(),
        Name::Server => "name server".to_owned(),
        Name::Version => "version".to_owned(),
        Name::Impossible => "impossible".to_owned(),
        Name::Namespace { namespace } => format!("namespace {}", text(namespace)),
        Name::PodNamespace { namespace } => format!("pod namespace {}", text(namespace)),
        Name::Service { run, below: Below::Itself } => format!("service {}", text(run)),
        Name::Service { run, below: Below::Endpoint(endpoint) } => {
            format!("endpoint {} of {}", label(endpoint), text(run))
        }
        Name::Service { run, below: Below::Port(port, protocol) } => {
            let port = port.map_or("any".to_owned(), label);
            let protocol = protocol.map_or("Any".to_owned(), |protocol| format!("{protocol:?}"));
            format!("port {port} {protocol} of {}", text(run))
        }
        Name::Service { run, below: Below::Cluster(endpoint, cluster) } => {
            format!("endpoint {} in {} of {}", label(endpoint), label(cluster), text(run))
        }
        Name::Service { run, below: Below::AboveZones } => format!("above zones of {}", text(run)),
        Name::Service { run, below: Below::Zone { zone, prefer } } => {
            format!("{} {} of {}", if prefer { "prefer" } else { "pin" }, text(zone), text(run))
        }
        Name::Pod { namespace, label: pod, run, hostname, more } => format!(
            "pod {} in {}, {} under {}{}",
            label(pod),
            text(namespace),
            hostname.map_or("nobody".to_owned(), label),
            text(run),
            if more { ", and more" } else { "" }
        ),
    }
}

#[test]
fn every_form_of_name_is_read_as_the_specification_says() {
    let table: &[(&str, &str, &str)] = &[
        ("K-031", "", "apex"),
        ("K-031", "svc", "bare"),
        ("K-031", "SVC", "bare"),
        ("K-031", "pod", "bare"),
        ("K-037", "dns", "bare"),
        ("K-054", "ns.dns", "name server"),
        ("K-055", "NS.DNS", "name server"),
        ("K-060", "x.dns", "impossible"),
        ("K-060", "x.ns.dns", "impossible"),
        ("K-056", "dns-version", "version"),
        ("K-033", "x.dns-version", "impossible"),
        ("K-033", "foo", "impossible"),
        ("K-033", "web.shop", "impossible"),
        ("K-033", "web.shop.foo", "impossible"),
        ("K-030", "web.shop.svcs", "impossible"),
        ("K-030", "web.shop.sv", "impossible"),
        ("K-030", "web.shop._svc", "impossible"),
        ("K-032", "shop.svc", "namespace shop"),
        ("K-032", "Shop.Svc", "namespace shop"),
        ("K-041", "svc.svc", "namespace svc"),
        ("K-041", "pod.svc", "namespace pod"),
        ("K-041", "dns.svc", "namespace dns"),
        ("K-160", "shop.pod", "pod namespace shop"),
        ("K-041", "svc.pod", "pod namespace svc"),
        ("K-030", "web.shop.svc", "service web.shop"),
        ("K-055", "WEB.Shop.sVc", "service web.shop"),
        ("K-041", "pod.svc.svc", "service pod.svc"),
        ("K-041", "svc.pod.svc", "service svc.pod"),
        ("K-041", "ns.dns.svc", "service ns.dns"),
        ("K-039", "*.shop.svc", "service *.shop"),
        ("K-039", "any.shop.svc", "service any.shop"),
        ("K-030", "10-0-0-1.web.shop.svc", "endpoint 10-0-0-1 of web.shop"),
        ("K-036", "_http.web.shop.svc", "endpoint _http of web.shop"),
        ("K-036", "tcp.web.shop.svc", "endpoint tcp of web.shop"),
        ("K-037", "_tcp.web.shop.svc", "endpoint _tcp of web.shop"),
        ("K-036", "A.web.shop.svc", "endpoint a of web.shop"),
        ("K-035", "_http._tcp.web.shop.svc", "port http Tcp of web.shop"),
        ("K-035", "http.tcp.web.shop.svc", "port http Tcp of web.shop"),
        ("K-035", "_http.tcp.web.shop.svc", "port http Tcp of web.shop"),
        ("K-035", "http._tcp.web.shop.svc", "port http Tcp of web.shop"),
        ("K-035", "_HTTP._TCP.web.shop.svc", "port http Tcp of web.shop"),
        ("K-035", "_dns._udp.web.shop.svc", "port dns Udp of web.shop"),
        ("K-035", "_dns._sctp.web.shop.svc", "port dns Sctp of web.shop"),
        ("K-035", "__http._tcp.web.shop.svc", "port _http Tcp of web.shop"),
        ("K-038", "_._tcp.web.shop.svc", "port any Tcp of web.shop"),
        ("K-038", "_._.web.shop.svc", "service web.shop"),
        ("K-038", "_http._.web.shop.svc", "port http Any of web.shop"),
        ("K-016", "_http._icmp.web.shop.svc", "impossible"),
        ("K-016", "_http.__tcp.web.shop.svc", "impossible"),
        ("K-016", "_http._tc.web.shop.svc", "impossible"),
        ("K-016", "_http._tcpp.web.shop.svc", "impossible"),
        ("K-016", "api.example.com.shop.svc", "impossible"),
        ("K-016", "example.com.web.shop.svc", "impossible"),
        ("K-034", "_p._tcp.endpoint.web.shop.svc", "impossible"),
        ("K-034", "a.b.c.web.shop.svc", "impossible"),
        ("K-034", "a.b.c.d.e.f.g.web.shop.svc", "impossible"),
        ("K-225", "zone-a.pin._zone.web.shop.svc", "impossible"),
        ("K-280", "web.shop.fed.svc", "endpoint web of shop.fed"),
        ("K-150", "10-0-0-1.shop.pod", "pod 10-0-0-1 in shop, nobody under 10-0-0-1.shop"),
        ("K-157", "web-0.db.shop.pod", "pod db in shop, web-0 under db.shop"),
        ("K-154", "x.10-0-0-1.shop.pod", "pod 10-0-0-1 in shop, x under 10-0-0-1.shop"),
        ("K-154", "y.x.10-0-0-1.shop.pod", "pod 10-0-0-1 in shop, x under 10-0-0-1.shop, and more"),
        ("K-154", "z.y.x.10-0-0-1.shop.pod", "impossible"),
        ("K-041", "svc.pod.pod", "pod svc in pod, nobody under svc.pod"),
    ];
    let mut wrong = String::new();
    for (rule, labels, want) in table {
        let (question, left) = asked(labels);
        let got = show(grammar::read(&question, left, Forms::default()));
        if got != *want {
            wrong += &format!("{rule}  {labels:?}: want {want}, got {got}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_keys_of_the_store_are_the_bytes_of_the_question_in_lower_case() {
    let (question, left) = asked("_HTTP._TCP.Web.Shop.SVC");
    let Name::Service { run: key, below } = grammar::read(&question, left, Forms::default()) else {
        panic!("a Service")
    };
    assert_eq!(key, run(&["web", "shop"]));
    assert_eq!(below, Below::Port(Some(b"http"), Some(Protocol::Tcp)));
    let (question, left) = asked("Web-0.Db.Shop.pod");
    let Name::Pod { namespace, label, run: key, hostname, more: false } =
        grammar::read(&question, left, Forms::default())
    else {
        panic!("a pod")
    };
    assert_eq!(namespace, run(&["shop"]));
    assert_eq!(label, b"db");
    assert_eq!(key, run(&["db", "shop"]));
    assert_eq!(hostname, Some(&b"web-0"[..]));
    let (question, left) = asked("Shop.Svc");
    assert_eq!(
        grammar::read(&question, left, Forms::default()),
        Name::Namespace { namespace: &run(&["shop"]) }
    );
}

#[test]
fn a_dot_inside_a_label_separates_nothing() {
    // W46: a label "svc.ns2" must not match records of ns2.
    let web = run(&["web", "shop"]);
    let cases: &[(&[&[u8]], &str)] = &[
        (&[b"web", b"shop.svc"], "impossible"),
        (&[b"web.shop", b"svc"], "namespace"),
        (&[b"web.shop.svc"], "impossible"),
        (&[b"web", b"svc.shop", b"svc"], "service"),
        (&[b"web.shop", b"x", b"svc"], "service"),
        (&[b"_http._tcp", b"web", b"shop", b"svc"], "endpoint"),
        (&[b"ns.dns"], "impossible"),
        (&[b"ns", b"dns.x"], "impossible"),
    ];
    for (labels, want) in cases {
        let (question, left) = question(labels);
        let name = grammar::read(&question, left, Forms::default());
        assert!(show(name).starts_with(want), "{labels:?}: {}", show(name));
        if let Name::Service { run: key, .. } = name {
            assert_eq!(key == web, *want == "endpoint", "{labels:?}");
        }
    }
}

#[test]
fn any_byte_may_stand_in_a_label_and_matches_only_itself() {
    for byte in 0..=255_u8 {
        let odd = [b'w', byte, b'b'];
        let lower = [b'w', byte.to_ascii_lowercase(), b'b'];
        let (question, left) = question(&[&odd, b"shop", b"svc"]);
        let Name::Service { run: key, below: Below::Itself } =
            grammar::read(&question, left, Forms::default())
        else {
            panic!("{byte}: a Service")
        };
        let mut want = vec![3];
        want.extend_from_slice(&lower);
        want.extend_from_slice(&run(&["shop"]));
        assert_eq!(key, want, "{byte}");
        assert_eq!(key == run(&["web", "shop"]), byte.eq_ignore_ascii_case(&b'e'), "{byte}");
    }
    // Only ASCII letters have two cases (RFC 4343): a Kelvin sign is no k, a dotless i no i.
    let (question, left) = question(&["web".as_bytes(), "\u{212a}ube".as_bytes(), b"svc"]);
    assert!(!show(grammar::read(&question, left, Forms::default())).contains("kube"));
}

#[test]
fn kinds_and_protocols_are_compared_whole() {
    for kind in [&b"svc\0"[..], b"\0svc", b"s\0vc", b"svc.", b"\xffsvc"] {
        let (question, left) = question(&[b"web", b"shop", kind]);
        assert_eq!(grammar::read(&question, left, Forms::default()), Name::Impossible, "{kind:?}");
    }
    for protocol in [&b"_tcp\0"[..], b"_\0tcp", b"tcp\xff", b"_tcp._udp", b"_ tcp"] {
        let (question, left) = question(&[b"_http", protocol, b"web", b"shop", b"svc"]);
        assert_eq!(grammar::read(&question, left, Forms::default()), Name::Impossible, "{protocol:?}");
    }
}

#[test]
fn the_longest_names_are_read() {
    let long = [b'x'; 63];
    let (question, left) = question(&[&long, &long, b"svc"]);
    let Name::Service { run: key, .. } = grammar::read(&question, left, Forms::default()) else {
        panic!("a Service")
    };
    assert_eq!(key.len(), 128);
    // As many labels as a name can have: 120 of one byte, then the zone's two.
    let many: Vec<&[u8]> = std::iter::repeat_n(&b"a"[..], 120).collect();
    let (question, left) = self::question(&many);
    assert!(question.lower().len() <= MAX_NAME);
    assert_eq!(grammar::read(&question, left, Forms::default()), Name::Impossible);
}

/// Every label of K-250 that this version publishes about the question itself.
const LABELS: [&str; 7] =
    ["endpoint", "kind", "namespace", "port-name", "protocol", "service", "parse-error"];

#[test]
fn metadata_says_what_the_name_holds() {
    // The order of `LABELS`.
    let table: &[(&str, [&str; 7])] = &[
        ("foo.bar.notapod", ["", "", "", "", "", "", "invalid query name"]),
        ("10-240-0-1.podns.pod", ["", "pod", "podns", "", "", "10-240-0-1", ""]),
        ("s.ns.svc", ["", "svc", "ns", "", "", "s", ""]),
        ("S.NS.SVC", ["", "svc", "ns", "", "", "s", ""]),
        ("_http._tcp.s.ns.svc", ["", "svc", "ns", "http", "tcp", "s", ""]),
        ("http.tcp.s.ns.svc", ["", "svc", "ns", "http", "tcp", "s", ""]),
        ("_._udp.s.ns.svc", ["", "svc", "ns", "", "udp", "s", ""]),
        ("_dns._.s.ns.svc", ["", "svc", "ns", "dns", "", "s", ""]),
        ("_._.s.ns.svc", ["", "svc", "ns", "", "", "s", ""]),
        ("ep.s.ns.svc", ["ep", "svc", "ns", "", "", "s", ""]),
        ("ns.svc", ["", "svc", "ns", "", "", "", ""]),
        ("ns.pod", ["", "pod", "ns", "", "", "", ""]),
        ("a.b.c.s.ns.svc", ["", "", "", "", "", "", "invalid query name"]),
        ("", ["", "", "", "", "", "", ""]),
    ];
    let mut wrong = String::new();
    for (labels, want) in table {
        let (question, left) = asked(labels);
        for (label, want) in LABELS.iter().zip(want) {
            let got = value(&question, left, false, Forms::default(), &format!("kubernetes/{label}"));
            if got.as_deref() != Some(want) {
                wrong += &format!("{labels:?} {label}: want {want:?}, got {got:?}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn metadata_of_others_is_left_to_others() {
    let (question, left) = asked("s.ns.svc");
    for label in ["forward/upstream", "kind", "/kubernetes/kind", "kubernetes/", "kubernetes/kinds", ""] {
        assert_eq!(value(&question, left, false, Forms::default(), label), None, "{label}");
    }
}

#[test]
fn metadata_of_a_binary_name_is_text() {
    let (question, left) = question(&[b"w\xffb", b"sh\0p", b"svc"]);
    let service = value(&question, left, false, Forms::default(), "kubernetes/service").unwrap();
    assert!(service.starts_with('w') && service.ends_with('b'), "{service:?}");
    let namespace = value(&question, left, false, Forms::default(), "kubernetes/namespace").unwrap();
    // It goes into a log line: a control character there would forge or break lines (W46).
    assert!(!namespace.chars().any(char::is_control), "{namespace:?}");
}

/// Both forms that a zone may have beside the usual one.
const MULTICLUSTER: Forms = Forms { multicluster: true, zonal: true };
const ZONAL: Forms = Forms { multicluster: false, zonal: true };

#[test]
fn zones_and_clusters_are_read_where_the_zone_has_them() {
    let mut wrong = String::new();
    for (labels, plain, zonal, multicluster) in [
        ("eu.pin._zone.s.ns.svc", "impossible", "pin eu of s.ns", "impossible"),
        ("eu.one.prefer._zone.s.ns.svc", "impossible", "prefer eu.one of s.ns", "impossible"),
        ("EU.Pin._Zone.S.ns.svc", "impossible", "pin eu of s.ns", "impossible"),
        ("eu.only._zone.s.ns.svc", "impossible", "impossible", "impossible"),
        ("pin._zone.s.ns.svc", "impossible", "above zones of s.ns", "impossible"),
        ("only._zone.s.ns.svc", "impossible", "impossible", "impossible"),
        ("_zone.s.ns.svc", "endpoint _zone of s.ns", "above zones of s.ns", "endpoint _zone of s.ns"),
        ("_zone.ns.svc", "service _zone.ns", "service _zone.ns", "service _zone.ns"),
        ("ep.west.s.ns.svc", "impossible", "impossible", "endpoint ep in west of s.ns"),
        (
            "http.tcp.s.ns.svc",
            "port http Tcp of s.ns",
            "port http Tcp of s.ns",
            "endpoint http in tcp of s.ns",
        ),
        ("_http._tcp.s.ns.svc", "port http Tcp of s.ns", "port http Tcp of s.ns", "port http Tcp of s.ns"),
        ("http._tcp.s.ns.svc", "port http Tcp of s.ns", "port http Tcp of s.ns", "port http Tcp of s.ns"),
        ("a.ep.west.s.ns.svc", "impossible", "impossible", "impossible"),
    ] {
        let (question, left) = asked(labels);
        for (forms, want) in [(Forms::default(), plain), (ZONAL, zonal), (MULTICLUSTER, multicluster)] {
            let got = show(grammar::read(&question, left, forms));
            if got != want {
                wrong += &format!("{labels} {forms:?}: want {want}, got {got}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn metadata_has_clusters_and_zones_where_the_zone_has_them() {
    for (labels, forms, label, want) in [
        ("ep.west.s.ns.svc", MULTICLUSTER, "cluster", Some("west")),
        ("ep.west.s.ns.svc", MULTICLUSTER, "endpoint", Some("ep")),
        ("s.ns.svc", MULTICLUSTER, "cluster", Some("")),
        ("s.ns.svc", ZONAL, "cluster", None),
        ("eu.one.pin._zone.s.ns.svc", ZONAL, "zone", Some("eu.one")),
        ("eu.one.pin._zone.s.ns.svc", ZONAL, "service", Some("s")),
        ("s.ns.svc", ZONAL, "zone", Some("")),
        ("s.ns.svc", Forms::default(), "zone", None),
    ] {
        let (question, left) = asked(labels);
        let got = value(&question, left, false, forms, &format!("kubernetes/{label}"));
        assert_eq!(got.as_deref(), want, "{labels} {label}");
    }
}

#[test]
fn metadata_tells_which_pod_asks_where_that_is_kept() {
    use crate::store::change::{Change, Kind, Object, PodObject, Revision, Sink};
    use crate::store::{ObjectKey, Store, Wanted};
    use crate::time::{Clock, Wall};

    let said = |wanted: Wanted, from: &str, label: &str| {
        let (store, mut writer) = Store::new(wanted, Clock::manual(Wall(0)));
        for (namespace, name) in [("shop", "asker"), ("data", "other")] {
            writer.change(Change::Upsert(Object::Pod(PodObject {
                key: ObjectKey::new(namespace, name),
                revision: Revision::default(),
                addresses: vec!["10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
                hostname: "".into(),
                subdomain: "".into(),
                labels: vec![("app".into(), "web".into()), ("example.org/team".into(), "one".into())],
            })));
        }
        writer.change(Change::End(Kind::Pods));
        writer.settle();
        let client = store.pods().client(from.parse().unwrap())?;
        super::metadata::of_client(&client, label)
    };
    let kept = Wanted { pods: true, clients: true, ..Wanted::default() };
    for (from, label, want) in [
        ("10.1.0.1", "kubernetes/client-namespace", Some("shop")),
        ("fd00::1", "kubernetes/client-pod-name", Some("asker")),
        ("10.1.0.1", "kubernetes/client-label/app", Some("web")),
        ("10.1.0.1", "kubernetes/client-label/example.org/team", Some("one")),
        ("10.1.0.1", "kubernetes/client-label/none", None),
        ("10.1.0.1", "kubernetes/client-", None),
        ("10.1.0.2", "kubernetes/client-namespace", None),
    ] {
        assert_eq!(said(kept, from, label).as_deref(), want, "{from} {label}");
    }
    let not_kept = Wanted { clients: false, ..kept };
    assert_eq!(said(not_kept, "10.1.0.1", "kubernetes/client-namespace"), None, "it costs memory");
}
