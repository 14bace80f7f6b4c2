//! Tests of the door for one object: what passes, what is cut, and what is said about it.

use super::*;
use crate::store::change::{
    HostKind, ObjectKey, PodObject, Protocol, ServiceObject, ServiceSpec, SliceObject,
};

/// Decodes and shows the faults as lines.
fn cut(kind: Kind, json: &str) -> (Option<Object>, Vec<String>) {
    let cut = decode(kind, json.as_bytes()).unwrap();
    (cut.object, cut.faults.iter().map(ToString::to_string).collect())
}

/// A Service whose `spec` is `spec`.
fn service(spec: &str) -> (Option<ServiceObject>, Vec<String>) {
    let json = format!(r#"{{"metadata":{{"name":"web","namespace":"shop"}},"spec":{spec}}}"#);
    match cut(Kind::Services, &json) {
        (Some(Object::Service(service)), faults) => (Some(service), faults),
        (_, faults) => (None, faults),
    }
}

/// A slice of Service `web` with these further fields.
fn slice(fields: &str) -> (SliceObject, Vec<String>) {
    let json = format!(
        r#"{{"metadata":{{"name":"web-1","namespace":"shop","labels":{{"kubernetes.io/service-name":"web"}}}},{fields}}}"#
    );
    match cut(Kind::EndpointSlices, &json) {
        (Some(Object::Slice(slice)), faults) => (slice, faults),
        other => panic!("{other:?}"),
    }
}

/// A Pod with this `status`.
fn pod(meta: &str, status: &str) -> (Option<PodObject>, Vec<String>) {
    let json = format!(r#"{{"metadata":{{"name":"a"{meta}}},"status":{status}}}"#);
    match cut(Kind::Pods, &json) {
        (Some(Object::Pod(pod)), faults) => (Some(pod), faults),
        (_, faults) => (None, faults),
    }
}

#[test]
fn a_service_keeps_its_addresses_and_ports() {
    let (object, faults) = service(
        r#"{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::1"],"ports":[{"name":"dns","port":53,"protocol":"UDP"},{"port":80}],"type":"NodePort","x":[{"y":1}]}"#,
    );
    let object = object.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        object.spec,
        ServiceSpec::Cluster(vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()])
    );
    let ports: Vec<_> = object.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
    assert_eq!(ports, [("dns", Protocol::Udp, 53), ("", Protocol::Tcp, 80)]);
}

#[test]
fn kinds_of_services() {
    let spec = |text: &str| service(text).0.map(|service| service.spec);
    assert_eq!(spec(r#"{"clusterIP":"None"}"#), Some(ServiceSpec::Headless));
    assert_eq!(spec(r#"{"clusterIPs":["None"]}"#), Some(ServiceSpec::Headless));
    assert_eq!(spec(r#"{"clusterIP":""}"#), Some(ServiceSpec::Cluster(vec![])));
    assert_eq!(spec("{}"), Some(ServiceSpec::Cluster(vec![])));
    let external = |name: &str| {
        spec(&format!(r#"{{"type":"ExternalName","externalName":{name},"clusterIP":"10.0.0.1"}}"#))
    };
    assert_eq!(external(r#""Db.Example.com.""#), Some(ServiceSpec::External("Db.Example.com.".into())));
    for bad in ["null", "7", r#""""#, r#""a..b""#, r#""a b""#, r#"".""#] {
        assert_eq!(external(bad), None, "{bad}");
    }
    assert_eq!(spec(r#"{"type":"Magic"}"#), None);
    assert_eq!(spec(r#""x""#), None);
    assert_eq!(spec("null"), None);
}

#[test]
fn bad_addresses_and_ports_are_cut_one_by_one() {
    let (object, faults) = service(
        r#"{"clusterIPs":["999.1.1.1",7,"10.96.0.1"],"ports":[{"port":70000},{"port":4294967376},{"port":18446744073709551615},{"port":-1},{"port":0},{"port":"80"},{"port":80.5},{},"x",{"port":1,"protocol":"ICMP"},{"port":2,"name":"A.b"},{"port":443}]}"#,
    );
    let object = object.unwrap();
    assert_eq!(object.spec, ServiceSpec::Cluster(vec!["10.96.0.1".parse().unwrap()]));
    assert_eq!(object.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [443]);
    assert_eq!(faults[0], r#"spec.clusterIPs: "999.1.1.1" is not an IP address"#);
    assert_eq!(faults[2], "spec.ports[0].port: 70000 is not a port number (1..65535)");
    assert_eq!(faults[9], "spec.ports[7].port is missing");
    assert_eq!(faults[11], r#"spec.ports[9].protocol: "ICMP" is not TCP, UDP or SCTP"#);
    assert_eq!(faults.len(), 13);
}

#[test]
fn names_must_be_labels() {
    for name in ["Web", "a.b", "-a", "a-", "a_b", "a\\u0000", "", "é", &"x".repeat(64)] {
        let cut =
            decode(Kind::Services, format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{}}}}"#).as_bytes())
                .unwrap();
        assert_eq!((cut.object, cut.faults.len()), (None, 1), "{name}");
    }
    let long =
        cut(Kind::Services, &format!(r#"{{"metadata":{{"name":"{}"}},"spec":{{}}}}"#, "x\\n".repeat(500)));
    assert!(long.1[0].len() < 400 && !long.1[0].contains('\n'), "{}", long.1[0]);
    let cut = decode(Kind::Services, br#"{"metadata":{"name":"web","namespace":"A.b"},"spec":{}}"#).unwrap();
    assert_eq!((cut.key, cut.object), (Some(ObjectKey::new("A.b", "web")), None));
    for json in [
        "{}",
        r#"{"metadata":7}"#,
        r#"{"metadata":{"name":7}}"#,
        r#"{"metadata":{"name":"a","namespace":[]}}"#,
    ] {
        assert_eq!(super::decode(Kind::Pods, json.as_bytes()).unwrap().object, None, "{json}");
    }
}

#[test]
fn only_ready_endpoints_pass() {
    let (slice, faults) = slice(
        r#""endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"]},{"addresses":["10.0.0.3"],"conditions":{"ready":null,"terminating":true}},{"addresses":["10.0.0.4"],"conditions":{"ready":false,"serving":true}},{"addresses":["10.0.0.5"],"conditions":{"ready":"yes"}},{"addresses":[]},{"addresses":["10.0.0.6"],"conditions":null}],"ports":null"#,
    );
    let addrs: Vec<_> = slice.endpoints.iter().map(|endpoint| endpoint.addresses[0].ip.to_string()).collect();
    assert_eq!(addrs, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.6"]);
    assert_eq!(faults, ["endpoints[4].conditions.ready is not true or false"]);
}

#[test]
fn addresses_keep_their_spelling_where_it_is_not_canonical() {
    let (slice, faults) = slice(
        r#""endpoints":[{"addresses":["FD10:0:0:0:0:0:0:1","fd10::1","10.0.0.1","010.0.0.1","fe80::1%eth0"],"hostname":"db-0","targetRef":{"kind":"Pod","name":"db-0"},"zone":"eu-1"}]"#,
    );
    let endpoint = &slice.endpoints[0];
    let spelled: Vec<_> = endpoint.addresses.iter().map(|address| address.spelled.as_deref()).collect();
    assert_eq!(spelled, [Some("FD10:0:0:0:0:0:0:1"), None, None]);
    assert_eq!((&*endpoint.hostname, &*endpoint.target, &*endpoint.zone), ("db-0", "db-0", "eu-1"));
    assert_eq!(faults.len(), 2);
}

#[test]
fn a_bad_host_name_costs_the_name_and_not_the_address() {
    for bad in [r#""a.b""#, r#""Db-0""#, &format!("\"{}\"", "x".repeat(64)), "7", r#""a b""#] {
        let (slice, faults) =
            slice(&format!(r#""endpoints":[{{"addresses":["10.0.0.1"],"hostname":{bad}}}]"#));
        assert_eq!((&*slice.endpoints[0].hostname, slice.endpoints[0].addresses.len()), ("", 1), "{bad}");
        assert!(faults[0].starts_with("endpoints[0].hostname"), "{faults:?}");
    }
}

#[test]
fn ports_of_a_slice_may_lack_a_number() {
    let (slice, faults) =
        slice(r#""ports":[{"name":"a","port":null},{"name":"","port":53,"protocol":"UDP"},{"port":70000}]"#);
    let ports: Vec<_> = slice.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
    assert_eq!(ports, [("a", Protocol::Tcp, None), ("", Protocol::Udp, Some(53))]);
    assert_eq!(faults, ["ports[2].port: 70000 is not a port number (1..65535)"]);
}

#[test]
fn slices_without_a_service_are_left_out() {
    let (object, faults) = cut(Kind::EndpointSlices, r#"{"metadata":{"name":"a"}}"#);
    assert_eq!((object, faults.len()), (None, 1));
    let json =
        r#"{"metadata":{"name":"a","labels":{"kubernetes.io/service-name":"web"}},"addressType":"FQDN"}"#;
    let cut = decode(Kind::EndpointSlices, json.as_bytes()).unwrap();
    assert_eq!(
        (cut.key, cut.object, cut.faults),
        (Some(ObjectKey::new("default", "a")), None, vec![Fault::HostNames])
    );
}

#[test]
fn the_trigger_time_is_read_and_other_annotations_are_passed_over() {
    let text = "x".repeat(1 << 20);
    let json = format!(
        r#"{{"metadata":{{"name":"a","labels":{{"kubernetes.io/service-name":"web","n":7}},"annotations":{{"big":"{text}","n":{{}},"endpoints.kubernetes.io/last-change-trigger-time":"1970-01-01T00:00:01Z"}}}}}}"#
    );
    let (Some(Object::Slice(slice)), faults) = cut(Kind::EndpointSlices, &json) else { panic!("no slice") };
    assert_eq!((slice.triggered, faults.len()), (Some(1_000_000_000), 0));
}

#[test]
fn a_namespace_keeps_its_labels_sorted() {
    let json = r#"{"metadata":{"name":"shop","namespace":"x","uid":"u","resourceVersion":"9","labels":{"b":"2","a":"1","c":3}}}"#;
    let (Some(Object::Namespace(namespace)), faults) = cut(Kind::Namespaces, json) else {
        panic!("no namespace")
    };
    assert_eq!(namespace.labels, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(
        (&*namespace.name, &*namespace.revision.uid, &*namespace.revision.version),
        ("shop", "u", "9")
    );
    assert_eq!(faults, ["metadata.labels.c is not a string"]);
}

#[test]
fn a_pod_keeps_every_address_until_it_ends() {
    let (object, faults) = pod(
        "",
        r#"{"podIP":"10.0.0.9","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"},{"ip":"x"},{"ip":"10.0.0.1"},{}]}"#,
    );
    assert_eq!(
        object.unwrap().addresses,
        ["10.0.0.1".parse::<std::net::IpAddr>().unwrap(), "fd00::1".parse().unwrap()]
    );
    assert_eq!(faults, [r#"status.podIPs: "x" is not an IP address"#]);
    assert_eq!(pod("", r#"{"podIP":"10.0.0.9"}"#).0.unwrap().addresses.len(), 1);
    assert_eq!(pod("", "null").0.unwrap().addresses.len(), 0);
    for phase in ["Succeeded", "Failed", "Unknown"] {
        assert_eq!(pod("", &format!(r#"{{"phase":"{phase}"}}"#)), (None, vec![]));
    }
    assert_eq!(pod(r#","deletionTimestamp":"2024-01-01T00:00:00Z""#, "{}"), (None, vec![]));
}

#[test]
fn text_that_is_no_object_is_an_error_and_never_a_panic() {
    for json in ["", "7", "{", r#"{"metadata":{"name":"a"}"#, "{} x", "\u{0}"] {
        assert!(decode(Kind::Services, json.as_bytes()).is_err(), "{json}");
    }
    assert!(decode(Kind::Services, b"{\"metadata\":{\"name\":\"\xff\"}}").is_err());
    assert!(decode(Kind::Services, "[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn every_cut_of_a_good_text_is_an_error_or_an_object() {
    let json = r#"{"metadata":{"name":"a","labels":{"kubernetes.io/service-name":"web"}},"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"hostname":"h\u0031"}],"ports":[{"port":80}]}"#;
    for end in 0..=json.len() {
        assert_eq!(decode(Kind::EndpointSlices, &json.as_bytes()[..end]).is_ok(), end == json.len());
    }
}

/// What an object claims: its hosts, addresses and parents as text, and the faults.
fn hosts(kind: HostKind, fields: &str) -> (String, Vec<String>) {
    let json = format!(
        r#"{{"metadata":{{"name":"a","namespace":"shop","creationTimestamp":"1970-01-01T00:00:01Z"}},{fields}}}"#
    );
    let (object, faults) = cut(Kind::Hosts(kind), &json);
    let Some(Object::Hosts(object)) = object else { return (String::new(), faults) };
    assert_eq!((object.kind, object.created), (kind, 1_000_000_000));
    let hosts = object.hosts.iter().map(|host| format!("{}/{}", host.section, host.host));
    let addresses = object.addresses.iter().map(|address| format!("{address:?}"));
    let parents = object
        .parents
        .iter()
        .map(|parent| format!("{}/{}#{}", parent.gateway.namespace, parent.gateway.name, parent.section));
    (hosts.chain(addresses).chain(parents).collect::<Vec<_>>().join(" "), faults)
}

#[test]
fn an_ingress_keeps_its_hosts_and_where_it_is_reached() {
    let (text, faults) = hosts(
        HostKind::Ingresses,
        r#""spec":{"rules":[{"host":"A.example.org"},{"http":{}},{"host":""},{"host":"*.b.example.org"},7,{"host":"*"},{"host":"a_b.example.org"},{"host":5}]},
           "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"},{"hostname":"LB.example.net."},{},{"ip":"no"},{"hostname":"bad name"}]}}"#,
    );
    assert_eq!(text, r#"/a.example.org /*.b.example.org Ip(192.0.2.1) Name("lb.example.net")"#);
    assert_eq!(faults.len(), 5, "{faults:?}");
    // Nothing of a wrong type harms more than itself.
    for fields in
        [r#""spec":3,"status":"x""#, r#""spec":{"rules":{}},"status":{"loadBalancer":[]}"#, r#""x":1"#]
    {
        assert_eq!(hosts(HostKind::Ingresses, fields).0, "", "{fields}");
    }
}

#[test]
fn a_gateway_keeps_its_listeners_and_its_addresses() {
    let (text, faults) = hosts(
        HostKind::Gateways,
        r#""spec":{"listeners":[{"name":"all"},{"name":"one","hostname":"one.example.org"},{"name":"bad","hostname":"x..y"}]},
           "status":{"addresses":[{"value":"192.0.2.1"},{"type":"Hostname","value":"gw.example.net"},{"type":"IPAddress","value":"fd00::1"},{"type":"example.org/thing","value":"x"}]}"#,
    );
    assert_eq!(text, r#"all/ one/one.example.org Ip(192.0.2.1) Name("gw.example.net") Ip(fd00::1)"#);
    assert_eq!(faults.len(), 1, "a listener whose host can't be read takes none: {faults:?}");
}

#[test]
fn a_route_keeps_the_gateways_that_took_it() {
    let (text, faults) = hosts(
        HostKind::HttpRoutes,
        r#""spec":{"hostnames":["a.example.org"],"parentRefs":[{"name":"gw"},{"name":"gw","namespace":"infra","sectionName":"one"},
             {"name":"no"},{"name":"mesh","kind":"Service","group":""},{"name":"later"}]},
           "status":{"parents":[
             {"parentRef":{"name":"gw","group":"gateway.networking.k8s.io","kind":"Gateway","namespace":"shop"},"conditions":[{"type":"Accepted","status":"True"}]},
             {"parentRef":{"name":"gw","namespace":"infra","sectionName":"one"},"conditions":[{"type":"Accepted","status":"True"}]},
             {"parentRef":{"name":"no"},"conditions":[{"type":"Accepted","status":"False"},{"type":"ResolvedRefs","status":"True"}]},
             {"parentRef":{"name":"mesh","kind":"Service","group":""},"conditions":[{"type":"Accepted","status":"True"}]},
             {"parentRef":{"name":"never-named"},"conditions":[{"type":"Accepted","status":"True"}]}]}"#,
    );
    assert_eq!(text, "/a.example.org shop/gw# infra/gw#one");
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn an_import_keeps_its_addresses_or_is_headless() {
    let import = |spec: &str| {
        let json = format!(r#"{{"metadata":{{"name":"api","namespace":"shop"}},"spec":{spec}}}"#);
        match cut(Kind::Imports, &json) {
            (Some(Object::Import(import)), faults) => {
                (format!("{:?} {}", import.addresses, import.ports.len()), faults.len())
            }
            (_, faults) => ("none".to_owned(), faults.len()),
        }
    };
    let none = || "none".to_owned();
    assert_eq!(
        import(r#"{"type":"ClusterSetIP","ips":["10.0.0.1","",7,"x"],"ports":[{"port":80},{"port":0}]}"#),
        ("Some([10.0.0.1]) 1".to_owned(), 2)
    );
    assert_eq!(import(r#"{"type":"Headless","ips":["10.0.0.1"]}"#), ("None 0".to_owned(), 0));
    assert_eq!(import(r#"{"type":"Other"}"#), (none(), 1));
    assert_eq!(import("3"), (none(), 1));
}

#[test]
fn a_slice_of_another_cluster_has_its_labels() {
    let labelled = |labels: &str| {
        let json =
            format!(r#"{{"metadata":{{"name":"s","namespace":"shop","labels":{labels}}},"endpoints":[]}}"#);
        match cut(Kind::EndpointSlices, &json) {
            (Some(Object::Slice(slice)), faults) => {
                let import = slice.import.map(|import| format!("{}@{}", import.name, import.cluster));
                (format!("{}+{}", slice.service, import.unwrap_or_default()), faults.len())
            }
            (_, faults) => ("none".to_owned(), faults.len()),
        }
    };
    let (mcs, from) =
        ("multicluster.kubernetes.io/service-name", "multicluster.kubernetes.io/source-cluster");
    let said = |text: &str, faults: usize| (text.to_owned(), faults);
    assert_eq!(labelled(&format!(r#"{{"{mcs}":"api","{from}":"west"}}"#)), said("+api@west", 0));
    assert_eq!(labelled(&format!(r#"{{"{mcs}":"api"}}"#)), said("+api@", 0));
    assert_eq!(
        labelled(&format!(r#"{{"{mcs}":"api","{from}":"west","kubernetes.io/service-name":"derived"}}"#)),
        said("derived+api@west", 0)
    );
    assert_eq!(labelled(&format!(r#"{{"{mcs}":"No Label"}}"#)), said("none", 2));
    assert_eq!(labelled(&format!(r#"{{"{mcs}":"api","{from}":"We.st"}}"#)), said("+api@", 1));
    assert_eq!(labelled("{}"), said("none", 1));
}
