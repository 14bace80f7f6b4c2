//! Whether a server finds what it has missed, and puts it right (K-271): events that an API server never tells.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::api::{Call, Cluster, FakeApi, Fault, Resource, namespace, pod, service, slice};
use crate::world::{QUICK, SYNC, Setup, World, pass, shop, until};

/// How long an audit may take to come round, with these tests' times.
const ROUND: Duration = Duration::from_secs(15);

/// A server that audits each resource once a second.
fn audited(options: &[&str]) -> Setup {
    let options: Vec<&str> = [&["audit 1s"], options].concat();
    Setup::new(&options).word("prometheus 127.0.0.1:0").timing(QUICK)
}

/// All series of a family, with the values that are not 0.
fn counted(world: &World, family: &str) -> BTreeSet<String> {
    let mut stream = TcpStream::connect(world.running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(&format!("{family}{{")) && !line.ends_with(" 0"));
    lines.map(ToOwned::to_owned).collect()
}

/// How many audits of a resource came to their end.
fn done(world: &World, resource: &str) -> u64 {
    let begins = format!("signpost_audit_runs_total{{resource=\"{resource}\",result=\"done\"}} ");
    let runs = counted(world, "signpost_audit_runs_total");
    runs.iter().find_map(|line| line.strip_prefix(&begins)).map_or(0, |count| count.parse().unwrap())
}

/// Waits until a resource was audited so often more.
fn rounds(world: &World, resource: &str, more: u64) {
    let before = done(world, resource);
    let came = until(2 * ROUND, || done(world, resource) >= before + more);
    assert!(came.is_some(), "{:?}", counted(world, "signpost_audit_runs_total"));
}

/// Does something of which no watch is ever told.
fn swallow(world: &World, change: impl FnOnce(&mut Cluster)) {
    world.api.edit(|cluster| cluster.swallow(change));
}

/// What audits found, and how many they put right, by resource.
fn found(world: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    (counted(world, "signpost_audit_differences_total"), counted(world, "signpost_audit_healed_total"))
}

/// The series of a difference.
fn difference(resource: &str, difference: &str, count: u64) -> String {
    format!("signpost_audit_differences_total{{resource=\"{resource}\",difference=\"{difference}\"}} {count}")
}

/// The series of what was put right.
fn healed(resource: &str, count: u64) -> String {
    format!("signpost_audit_healed_total{{resource=\"{resource}\"}} {count}")
}

#[test]
fn k271_what_a_watch_was_never_told_is_found_and_put_right() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(service("shop", "old", "10.96.0.3"));
    let mut world = audited(&[]).start_synced(api);
    swallow(&world, |cluster| {
        cluster.apply(service("shop", "new", "10.96.0.2"));
        cluster.apply(service("shop", "web", "10.96.0.99"));
        cluster.delete(Resource::Services, "shop", "old");
        cluster.apply(slice("shop", "db-1", "db", &["10.1.0.5=db-0"]));
        cluster.apply(slice("shop", "db-2", "db", &["10.1.0.6=db-5"]));
        cluster.delete(Resource::EndpointSlices, "shop", "web-1");
        cluster.apply(namespace("fresh"));
    });
    // The fault is real: the watch lives on and knows nothing.
    pass(Duration::from_millis(50));
    for (ask, short) in [
        ("new.shop.svc.Z A", "@ A 10.96.0.2"),
        ("web.shop.svc.Z A", "@ A 10.96.0.99"),
        ("old.shop.svc.Z A", "NX"),
        ("db.shop.svc.Z A", "@ A 10.1.0.5; @ A 10.1.0.6"),
        ("arpa:10.1.0.9 PTR", "NX"),
        ("fresh.svc.Z A", "NODATA"),
    ] {
        world.eventually(ask, short, ROUND);
    }
    let wanted = [
        difference("services", "missing", 1),
        difference("services", "surplus", 1),
        difference("services", "outdated", 1),
        difference("endpointslices", "missing", 1),
        difference("endpointslices", "surplus", 1),
        difference("endpointslices", "outdated", 1),
        difference("namespaces", "missing", 1),
    ];
    let repaired = [healed("services", 3), healed("endpointslices", 3), healed("namespaces", 1)];
    let all = (BTreeSet::from(wanted), BTreeSet::from(repaired));
    assert!(until(ROUND, || found(&world) == all).is_some(), "{:?}", found(&world));
    // One by one, by lists alone: no watch had to begin anew.
    let lists = |resource| world.api.count(Some(resource), &[Call::InitialWatch, Call::List]);
    assert_eq!((lists(Resource::Services), lists(Resource::EndpointSlices)), (1, 1));
    // What was put right stays so, and is not found again.
    rounds(&world, "endpointslices", 2);
    assert_eq!(found(&world), all);
}

#[test]
fn k271_what_is_only_asked_for_is_names_by_pages_and_single_objects() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply_all(
        (0..1200).map(|n| service("shop", &format!("s{n}"), &format!("10.97.{}.{}", n / 250, n % 250))),
    );
    let world = audited(&["labels tier!=hidden"]).start_synced(api);
    swallow(&world, |cluster| {
        cluster.apply(service("shop", "new", "10.96.0.2"));
    });
    rounds(&world, "services", 1);
    let requests = world.api.requests();
    let names = || requests.iter().filter(|one| one.call == Call::Names);
    assert!(names().all(|one| one.status == 200
        && one.query["limit"] == "500"
        && !one.query.contains_key("resourceVersion")));
    assert!(
        names()
            .all(|one| one.headers["accept"].starts_with("application/json;as=PartialObjectMetadataList;"))
    );
    let of_services = names().filter(|one| one.resource == Some(Resource::Services));
    assert!(of_services.clone().count() >= 3, "1,200 Services are three pages");
    assert!(of_services.clone().all(|one| one.query["labelSelector"] == "tier!=hidden"));
    let one = requests.iter().find(|one| one.call == Call::One).expect("the new one is fetched");
    assert_eq!(one.path, "/api/v1/namespaces/shop/services");
    assert_eq!(one.query["fieldSelector"], "metadata.name=new");
    assert_eq!(
        world.api.verbs().into_iter().map(|(verb, _)| verb).collect::<BTreeSet<_>>(),
        ["list", "watch"].map(String::from).into()
    );
}

#[test]
fn k271_more_than_can_be_fetched_one_by_one_is_listed_anew() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply_all((0..100).map(|n| service("shop", &format!("old{n}"), &format!("10.98.0.{n}"))));
    let mut world = audited(&[]).start_synced(api);
    swallow(&world, |cluster| {
        for n in 0..200 {
            cluster.apply(service("shop", &format!("new{n}"), &format!("10.97.0.{n}")));
        }
        for n in 0..100 {
            cluster.delete(Resource::Services, "shop", &format!("old{n}"));
        }
    });
    world.eventually("new199.shop.svc.Z A", "@ A 10.97.0.199", ROUND);
    world.eventually("old99.shop.svc.Z A", "NX", ROUND);
    let wanted = [difference("services", "missing", 200), difference("services", "surplus", 100)];
    let all = (BTreeSet::from(wanted), BTreeSet::from([healed("services", 300)]));
    assert!(until(ROUND, || found(&world) == all).is_some(), "{:?}", found(&world));
    assert_eq!(world.api.count(Some(Resource::Services), &[Call::InitialWatch, Call::List]), 2);
    assert!(world.api.count(Some(Resource::Services), &[Call::One]) <= 64);
    world.shop_is_served();
}

#[test]
fn k271_changes_that_are_told_are_never_taken_for_differences() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = audited(&["pods verified"]).start_synced(api);
    // Without a pause, as long as three audits of each take and a hundred changes.
    let enough =
        |world: &World| ["services", "endpointslices", "pods"].iter().all(|one| done(world, one) >= 3);
    let mut turn = 0_u32;
    let ended = until(3 * ROUND, || {
        turn += 1;
        let (name, ip) = (format!("s{}", turn % 50), format!("10.97.{}.{}", turn % 7, turn % 200));
        world.api.apply(service("shop", &name, &ip));
        world.api.apply(slice(
            "shop",
            &format!("{name}-1"),
            &name,
            &[&format!("10.1.{}.{}", turn % 9, turn % 200)],
        ));
        world.api.apply(pod("shop", &name, &format!("10.2.{}.{}", turn % 9, turn % 200)));
        if turn.is_multiple_of(3) {
            let gone = format!("s{}", turn % 50);
            world.api.delete(Resource::Services, "shop", &gone);
            world.api.delete(Resource::EndpointSlices, "shop", &format!("{gone}-1"));
            world.api.delete(Resource::Pods, "shop", &gone);
        }
        turn >= 100 && enough(&world)
    });
    assert!(ended.is_some(), "{:?}", counted(&world, "signpost_audit_runs_total"));
    assert_eq!(found(&world), Default::default());
    world.shop_is_served();
}

#[test]
fn k271_objects_of_which_nothing_is_kept_are_no_differences_and_are_looked_at_once() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut nameless = slice("shop", "nameless", "x", &["10.1.0.77"]);
    nameless["metadata"]["labels"] = json!({});
    api.apply(nameless);
    let world = audited(&[]).start_synced(api);
    rounds(&world, "endpointslices", 3);
    assert_eq!(found(&world), Default::default());
    assert_eq!(world.api.count(Some(Resource::EndpointSlices), &[Call::One]), 1);
}

#[test]
fn k271_pods_imports_and_hosts_are_audited_too() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let import = |address: &str| {
        json!({
            "kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"type": "ClusterSetIP", "ips": [address], "ports": []},
        })
    };
    let ingress = |address: &str| {
        json!({
            "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"namespace": "shop", "name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"rules": [{"host": "www.example.org"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        })
    };
    api.apply_all([import("10.99.0.1"), ingress("192.0.2.1"), pod("shop", "one", "10.2.0.1")]);
    let mut world = audited(&["pods verified", "multicluster clusterset.local"])
        .zones("cluster.local clusterset.local")
        .word("k8s_external example.org {\n ingress\n }")
        .start_synced(api);
    swallow(&world, |cluster| {
        cluster.apply(import("10.99.0.2"));
        cluster.apply(ingress("192.0.2.2"));
        cluster.apply(pod("shop", "two", "10.2.0.2"));
        cluster.delete(Resource::Pods, "shop", "one");
    });
    world.eventually("10-2-0-2.shop.pod.Z A", "@ A 10.2.0.2", ROUND);
    world.eventually("10-2-0-1.shop.pod.Z A", "NX", ROUND);
    world.eventually("web.shop.svc.clusterset.local. A", "@ A 10.99.0.2", ROUND);
    world.eventually("www.example.org. A", "@ A 192.0.2.2", ROUND);
    swallow(&world, |cluster| {
        cluster.delete(Resource::ServiceImports, "shop", "web");
        cluster.delete(Resource::Ingresses, "shop", "web");
        cluster.delete(Resource::Namespaces, "", "shop");
    });
    let all = BTreeSet::from([
        difference("pods", "missing", 1),
        difference("pods", "surplus", 1),
        difference("serviceimports", "surplus", 1),
        difference("ingresses", "surplus", 1),
        difference("namespaces", "surplus", 1),
        difference("serviceimports", "outdated", 1),
        difference("ingresses", "outdated", 1),
    ]);
    assert!(until(ROUND, || found(&world).0 == all).is_some(), "{:?}", found(&world));
    world.now("web.shop.svc.Z A", "NX");
}

#[test]
fn k271_an_audit_that_fails_harms_nothing_and_the_next_one_does_it() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let denied = api.fault(Fault::status(403).calls(&[Call::Names]).times(3));
    let mut world = audited(&[]).start_synced(api);
    swallow(&world, |cluster| {
        cluster.apply(service("shop", "new", "10.96.0.2"));
    });
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.2", 2 * ROUND);
    assert_eq!(world.api.happened(denied), 3);
    let failed =
        counted(&world, "signpost_audit_runs_total").iter().filter(|line| line.contains("failed")).count();
    assert!(failed >= 1);
    world.shop_is_served();
}

#[test]
fn k271_audit_off_asks_for_nothing() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let world = Setup::new(&["audit off"]).word("prometheus 127.0.0.1:0").timing(QUICK).start_synced(api);
    let other = audited(&[]);
    let beside = FakeApi::start();
    beside.apply_all(shop());
    let other = other.start_synced(beside);
    // As long as another one takes for two.
    rounds(&other, "services", 2);
    assert_eq!(world.api.count(None, &[Call::Names, Call::One]), 0);
    assert!(counted(&world, "signpost_audit_runs_total").is_empty());
    assert!(until(SYNC, || other.api.count(None, &[Call::Names]) > 0).is_some());
}
