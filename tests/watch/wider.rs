//! Kinds that are watched only when asked for: ServiceImports, Ingresses, Gateways and routes (K-210, K-293 to K-297).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{FakeApi, Fault, Resource, namespace, service};
use crate::world::{QUICK, SOON, Setup, World, pass, shop, until};

/// A zone for the outside with all kinds of hosts.
const OUTSIDE: &str = "k8s_external example.org {\n ingress\n gateway\n }";

/// How long a kind that was not there may take to be found: its pause, with these tests' times, and some more.
const FOUND: Duration = Duration::from_secs(6);

/// A ServiceImport with this address.
fn import(ns: &str, name: &str, address: &str) -> Value {
    json!({
        "kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "metadata": {"namespace": ns, "name": name},
        "spec": {"type": "ClusterSetIP", "ips": [address], "ports": [{"name": "http", "port": 80}]},
    })
}

/// An Ingress for a host with this address, created in this month of 2026.
fn ingress(ns: &str, name: &str, host: &str, address: &str, month: u8) -> Value {
    json!({
        "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"namespace": ns, "name": name, "creationTimestamp": format!("2026-{month:02}-01T00:00:00Z")},
        "spec": {"rules": [{"host": host}]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    })
}

/// A Gateway with a listener for all hosts and these addresses.
fn gateway(ns: &str, name: &str, addresses: &[&str]) -> Value {
    let addresses: Vec<Value> = addresses.iter().map(|value| json!({"value": value})).collect();
    json!({
        "kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1",
        "metadata": {"namespace": ns, "name": name},
        "spec": {"listeners": [{"name": "all", "port": 80}]},
        "status": {"addresses": addresses},
    })
}

/// A route of this kind for a host, which its Gateway took or did not.
fn route(kind: &str, ns: &str, name: &str, host: &str, accepted: bool) -> Value {
    let parent = json!({"name": "gate", "namespace": "shop"});
    let status = if accepted { "True" } else { "False" };
    json!({
        "kind": kind, "apiVersion": "gateway.networking.k8s.io/v1",
        "metadata": {"namespace": ns, "name": name},
        "spec": {"parentRefs": [parent], "hostnames": [host]},
        "status": {"parents": [{"parentRef": parent, "conditions": [{"type": "Accepted", "status": status}]}]},
    })
}

/// A negative reply for the zone outside.
fn negative(world: &mut World, ask: &str, code: &str) {
    let mut got = String::new();
    let seen = until(SOON, || {
        got = world.ask(ask);
        got.starts_with(code) && got.contains("SOA ns1.dns.example.org.")
    });
    assert!(seen.is_some(), "{ask}: {got}");
}

/// The serial of a zone's SOA.
fn serial(world: &World, zone: &str) -> u32 {
    use hickory_proto::op::Message;
    use hickory_proto::rr::RData;
    let ask = crate::harness::Ask::parse(&format!("{zone} SOA"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&ask.bytes(7), world.addr).unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap();
    let message = Message::from_vec(&buffer[..length]).unwrap();
    match &message.answers[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn imports_come_move_and_go_and_the_serial_of_their_zone_with_them() {
    let clock = signpost::time::Clock::manual(signpost::time::Wall(1_000));
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(import("shop", "api", "10.120.0.1"));
    let setup = Setup::new(&["multicluster clusterset.local"]).clock(clock.clone());
    let mut world = setup.zones("cluster.local clusterset.local").start_synced(api);
    world.now("api.shop.svc.clusterset.local. A", "@ A 10.120.0.1");
    world.now("web.shop.svc.Z A", "@ A 10.96.0.1");
    assert_eq!((serial(&world, "clusterset.local."), serial(&world, "Z")), (1_000, 1_000));
    let (mut set, local) = (1_000, serial(&world, "Z"));
    for address in ["10.120.0.2", ""] {
        clock.advance(Duration::from_secs(100));
        match address {
            "" => {
                world.api.delete(Resource::ServiceImports, "shop", "api");
                world.eventually("api.shop.svc.clusterset.local. A", "NX", SOON);
            }
            address => {
                world.api.apply(import("shop", "api", address));
                world.eventually("api.shop.svc.clusterset.local. A", &format!("@ A {address}"), SOON);
            }
        }
        let now = serial(&world, "clusterset.local.");
        assert!(now > set, "K-214: {now} after {set}");
        set = now;
    }
    assert_eq!(serial(&world, "Z"), local, "K-214: the cluster's own zone did not change");
    // What a relist does not name any more is gone.
    world.api.apply(import("shop", "late", "10.120.0.9"));
    world.eventually("late.shop.svc.clusterset.local. A", "@ A 10.120.0.9", SOON);
    world.api.down();
    world.api.delete(Resource::ServiceImports, "shop", "late");
    world.api.compact();
    world.api.up();
    world.eventually("late.shop.svc.clusterset.local. A", "NX", Duration::from_secs(10));
}

#[test]
fn an_ingress_moves_at_once_and_what_a_gateway_has_its_routes_have() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(ingress("shop", "site", "www.example.org", "192.0.2.1", 1));
    let mut world = Setup::default().word(OUTSIDE).start_synced(api);
    world.now("www.example.org. A", "@ A 192.0.2.1");
    world.api.apply(ingress("shop", "site", "www.example.org", "192.0.2.2", 1));
    world.eventually("www.example.org. A", "@ A 192.0.2.2", SOON);
    // Another host instead: the first is gone.
    world.api.apply(ingress("shop", "site", "new.example.org", "192.0.2.2", 1));
    world.eventually("new.example.org. A", "@ A 192.0.2.2", SOON);
    negative(&mut world, "www.example.org. A", "NXDOMAIN");

    // The route before its Gateway, which has no address at first.
    world.api.apply(route("HTTPRoute", "shop", "http", "http.example.org", true));
    let mut tls = route("TLSRoute", "shop", "tls", "tls.example.org", true);
    tls["apiVersion"] = json!("gateway.networking.k8s.io/v1alpha2");
    world.api.apply(tls);
    world.api.apply(gateway("shop", "gate", &[]));
    negative(&mut world, "http.example.org. A", "NXDOMAIN");
    world.api.apply(gateway("shop", "gate", &["192.0.2.20"]));
    world.eventually("http.example.org. A", "@ A 192.0.2.20", SOON);
    world.eventually("tls.example.org. A", "@ A 192.0.2.20", SOON);
    world.api.apply(gateway("shop", "gate", &["192.0.2.21"]));
    world.eventually("http.example.org. A", "@ A 192.0.2.21", SOON);
    world.api.apply(route("HTTPRoute", "shop", "http", "http.example.org", false));
    negative(&mut world, "http.example.org. A", "NXDOMAIN");
    world.api.delete(Resource::Gateways, "shop", "gate");
    negative(&mut world, "tls.example.org. A", "NXDOMAIN");
    // A namespace that goes takes its hosts along.
    world.api.delete(Resource::Namespaces, "", "shop");
    negative(&mut world, "new.example.org. A", "NXDOMAIN");
    world.api.apply(namespace("shop"));
    world.eventually("new.example.org. A", "@ A 192.0.2.2", SOON);
}

#[test]
fn a_service_is_reached_where_its_load_balancer_says() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = Setup::default().word("k8s_external example.org in-addr.arpa").start_synced(api);
    negative(&mut world, "web.shop.example.org. A", "NXDOMAIN");
    let balanced = |ips: &[&str]| {
        let mut web = service("shop", "web", "10.96.0.1");
        let all: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
        web["status"] = json!({"loadBalancer": {"ingress": all}});
        web
    };
    world.api.apply(balanced(&["192.0.2.5"]));
    world.eventually("web.shop.example.org. A", "@ A 192.0.2.5", SOON);
    world.now("arpa:192.0.2.5 PTR", "@ PTR web.shop.example.org.");
    world.api.apply(balanced(&["192.0.2.6"]));
    world.eventually("web.shop.example.org. A", "@ A 192.0.2.6", SOON);
    world.now("web.shop.svc.Z A", "@ A 10.96.0.1");
    world.api.delete(Resource::Services, "shop", "web");
    negative(&mut world, "web.shop.example.org. A", "NXDOMAIN");
}

#[test]
fn a_kind_that_the_api_server_does_not_know_keeps_nobody_waiting_and_is_found_later() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(ingress("shop", "site", "www.example.org", "192.0.2.1", 1));
    let absent = [
        Resource::ServiceImports,
        Resource::Gateways,
        Resource::HttpRoutes,
        Resource::GrpcRoutes,
        Resource::TlsRoutes,
    ];
    for resource in absent {
        api.fault(Fault::status(404).on(resource));
    }
    let setup = Setup::new(&["multicluster clusterset.local"]).word(OUTSIDE).timing(QUICK);
    let mut world = setup.zones("cluster.local clusterset.local").start_synced(api);
    world.now("web.shop.svc.Z A", "@ A 10.96.0.1");
    world.now("www.example.org. A", "@ A 192.0.2.1");
    world.now("api.shop.svc.clusterset.local. A", "NX");
    // Not in a hurry: once each version, then a pause.
    pass(Duration::from_millis(600));
    let asked = world.api.requests().iter().filter(|one| one.resource == Some(Resource::Gateways)).count();
    assert!(asked <= 2, "{asked} requests for Gateways");
    world.api.heal();
    world.api.apply(import("shop", "api", "10.120.0.1"));
    world.api.apply(gateway("shop", "gate", &["192.0.2.20"]));
    world.api.apply(route("GRPCRoute", "shop", "grpc", "grpc.example.org", true));
    world.eventually("api.shop.svc.clusterset.local. A", "@ A 10.120.0.1", FOUND);
    world.eventually("grpc.example.org. A", "@ A 192.0.2.20", FOUND);
    // What was listed stays while its kind is not known for a moment, as when an API server starts.
    for resource in absent {
        world.api.fault(Fault::status(404).on(resource));
    }
    world.api.cut();
    pass(Duration::from_secs(1));
    world.now("grpc.example.org. A", "@ A 192.0.2.20");
    world.now("api.shop.svc.clusterset.local. A", "@ A 10.120.0.1");
}

#[test]
fn a_kind_that_may_not_be_read_keeps_only_its_own_names_waiting() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(ingress("shop", "site", "www.example.org", "192.0.2.1", 1));
    api.apply(import("shop", "api", "10.120.0.1"));
    for resource in [Resource::Ingresses, Resource::ServiceImports] {
        api.fault(Fault::status(403).on(resource));
    }
    let setup = Setup::new(&["multicluster clusterset.local"]).word(OUTSIDE).timing(QUICK);
    let mut world = setup.zones("cluster.local clusterset.local").start(api);
    for (ask, short) in
        [("web.shop.svc.Z A", "@ A 10.96.0.1"), ("arpa:10.96.0.1 PTR", "@ PTR web.shop.svc.Z")]
    {
        world.eventually(ask, short, Duration::from_secs(5));
    }
    world.now("api.shop.svc.clusterset.local. A +edns", "UNSYNCED; edns 1232 ede=14");
    let got = world.ask("www.example.org. A");
    assert!(got.starts_with("SERVFAIL aa"), "{got}");
    // The zone's own names need nothing.
    let got = world.ask("example.org. SOA");
    assert!(got.starts_with("NOERROR aa"), "{got}");
    assert!(!world.running.synced(), "and it is not ready (K-235)");
    world.api.heal();
    world.eventually("www.example.org. A", "@ A 192.0.2.1", FOUND);
    world.eventually("api.shop.svc.clusterset.local. A", "@ A 10.120.0.1", FOUND);
    assert!(world.running.wait_synced(Duration::from_secs(5)));
}

#[test]
fn two_owners_of_a_host_are_counted_and_the_older_is_served() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(ingress("shop", "younger", "www.example.org", "192.0.2.2", 2));
    let mut world = Setup::default().word(OUTSIDE).word("prometheus 127.0.0.1:0").start_synced(api);
    world.now("www.example.org. A", "@ A 192.0.2.2");
    conflicts(&world, 0);
    world.api.apply(ingress("shop", "older", "www.example.org", "192.0.2.1", 1));
    world.eventually("www.example.org. A", "@ A 192.0.2.1", SOON);
    conflicts(&world, 1);
    // Both lead to the same place: no conflict.
    world.api.apply(ingress("shop", "older", "www.example.org", "192.0.2.2", 1));
    world.eventually("www.example.org. A", "@ A 192.0.2.2", SOON);
    conflicts(&world, 0);
    world.api.apply(ingress("shop", "older", "www.example.org", "192.0.2.1", 1));
    conflicts(&world, 1);
    world.api.delete(Resource::Ingresses, "shop", "older");
    world.eventually("www.example.org. A", "@ A 192.0.2.2", SOON);
    conflicts(&world, 0);
}

/// Waits until `/metrics` counts so many hosts with two owners.
fn conflicts(world: &World, wanted: u64) {
    let line = format!("\nsignpost_kubernetes_host_conflicts {wanted}\n");
    let mut text = String::new();
    let seen = until(SOON, || {
        let mut stream = TcpStream::connect(world.running.metrics()[0]).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        text.clear();
        stream.read_to_string(&mut text).unwrap();
        text.replace("\r\n", "\n").contains(&line)
    });
    assert!(seen.is_some(), "{line} in {text}");
}
