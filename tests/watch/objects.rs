//! Bad objects and bad streams harm only themselves (A10, A11).

use serde_json::{Value, json};

use crate::api::{FakeApi, Fault, Resource, namespace, pod, service, slice};
use crate::world::{QUICK, SOON, SYNC, Setup, Steady, World, shop};

/// Objects that no API server should hold, each with a resource; none of them may make a name or hide one.
fn bad_objects() -> Vec<(Resource, Value)> {
    let (services, slices) = (Resource::Services, Resource::EndpointSlices);
    let long = "x".repeat(64);
    let mut kept = vec![
        (services, json!({})),
        (services, json!({"metadata": null, "spec": {"clusterIP": "10.96.9.1"}})),
        (services, json!({"metadata": {"name": "bad1"}, "spec": {"clusterIP": "10.96.9.1"}})),
        (services, json!({"metadata": {"name": 7, "namespace": ["shop"]}, "spec": 9})),
        (services, service("shop", "bad\u{0}nul", "10.96.9.2")),
        (services, service("shop", "bad.dots", "10.96.9.2")),
        (services, service("shop", &long, "10.96.9.2")),
        (services, service("shop", "", "10.96.9.2")),
        (slices, json!({})),
        (slices, json!({"metadata": {"name": "bad", "namespace": "shop"}, "endpoints": "many"})),
        (
            slices,
            json!({"metadata": {"name": "bad", "namespace": "shop"}, "endpoints": [{"addresses": ["10.1.9.1"]}]}),
        ),
        (Resource::Namespaces, json!({"metadata": {}})),
        (Resource::Namespaces, json!({"metadata": {"name": "\u{fffd}"}})),
    ];
    let mut unknown = service("shop", "bad-type", "10.96.9.3");
    unknown["spec"]["type"] = json!("Teleport");
    kept.push((services, unknown));
    let mut names = slice("shop", "bad-names", "db", &["10.1.9.2"]);
    names["addressType"] = json!("FQDN");
    names["endpoints"][0]["addresses"] = json!(["example.com"]);
    kept.push((slices, names));
    kept.push((slices, slice("shop", "bad-address", "db", &["999.1.1.1"])));
    kept.push((slices, slice("shop", "bad-empty", "db", &[""])));
    let mut orphan = slice("shop", "bad-orphan", "db", &["10.1.9.3"]);
    orphan["metadata"]["labels"] = json!({});
    kept.push((slices, orphan));
    kept
}

/// Neither the bad objects nor any harm done by them.
fn only_good_names(world: &mut World) {
    world.shop_is_served();
    for name in ["bad1", "bad-type"] {
        world.now(&format!("{name}.shop.svc.Z A"), "NX");
    }
    for address in ["10.96.9.1", "10.96.9.2", "10.96.9.3", "10.1.9.1", "10.1.9.3"] {
        world.now(&format!("arpa:{address} PTR"), "NX");
    }
}

/// Puts the bad objects in, some sorted before the good ones and some behind.
fn plant(api: &FakeApi) {
    for (at, (resource, object)) in bad_objects().into_iter().enumerate() {
        let ns = if at % 2 == 0 { "" } else { "zzz" };
        api.edit(|cluster| cluster.plant(resource, ns, &format!("bad{at}"), object));
    }
}

#[test]
fn a10_bad_objects_in_a_list_by_watch_harm_only_themselves() {
    let api = FakeApi::start();
    plant(&api);
    api.apply_all(shop());
    only_good_names(&mut Setup::default().start_synced(api));
}

#[test]
fn a10_bad_objects_in_pages_harm_only_themselves() {
    let api = FakeApi::start();
    plant(&api);
    api.apply_all(shop());
    api.fault(Fault::status(422).calls(&[crate::api::Call::InitialWatch]));
    only_good_names(&mut Setup::default().start_synced(api));
}

#[test]
fn a10_items_that_are_no_objects_harm_only_themselves() {
    for by_watch in [true, false] {
        for item in [json!(null), json!("text"), json!(["list"]), json!(7), json!("}]{[")] {
            let api = FakeApi::start();
            api.edit(|cluster| cluster.plant(Resource::Services, "", "bad", item.clone()));
            api.apply_all(shop());
            api.edit(|cluster| cluster.plant(Resource::Services, "zzz", "bad", item.clone()));
            if !by_watch {
                api.fault(Fault::status(422).calls(&[crate::api::Call::InitialWatch]));
            }
            let mut world = Setup::default().start(api);
            assert!(world.running.wait_synced(SYNC), "{item}, by watch: {by_watch}");
            world.shop_is_served();
        }
    }
}

#[test]
fn a10_bad_objects_in_events_harm_only_themselves() {
    let mut world = World::shop();
    let steady = Steady::shop(&world);
    let plain = [json!(null), json!("text"), json!(["list"])].map(|item| (Resource::Services, item));
    for (at, (resource, object)) in bad_objects().into_iter().chain(plain).enumerate() {
        let shown = object.to_string();
        world.api.edit(|cluster| cluster.plant(resource, "", &format!("bad{at}"), object));
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
        let short = format!("@ A 10.96.1.{at}");
        eprintln!("behind {}", shown.chars().take(80).collect::<String>());
        world.eventually("new.shop.svc.Z A", &short, SOON);
    }
    steady.finish();
    only_good_names(&mut world);
}

#[test]
fn a10_a_bad_part_costs_its_object_that_part() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(slice(
        "shop",
        "db-2",
        "db",
        &["999.1.1.1=bad", "10.1.0.3=db-2", "10.1.0.4=-no-label-", "10.1.0.5=Upper"],
    ));
    let mut ports = service("shop", "ports", "10.96.0.5");
    ports["spec"]["ports"] = json!([
        {"name": "big", "port": 70000, "protocol": "TCP"},
        {"name": "good", "port": 443, "protocol": "TCP"},
        {"name": "text", "port": "443", "protocol": "TCP"},
    ]);
    api.apply(ports);
    let mut large = service("shop", "large", "10.96.0.6");
    large["metadata"]["annotations"] = json!({"note": "ö".repeat(500_000)});
    large["metadata"]["managedFields"] = json!([{"fieldsV1": {"f:spec": {}}}]);
    api.apply(large);
    let mut world = Setup::default().start_synced(api);
    world.now("db-2.db.shop.svc.Z A", "@ A 10.1.0.3");
    world.now("bad.db.shop.svc.Z A", "NX");
    world.now("ports.shop.svc.Z A", "@ A 10.96.0.5");
    world.now(
        "_good._tcp.ports.shop.svc.Z SRV",
        "@ SRV 0 100 443 ports.shop.svc.Z; +ports.shop.svc.Z A 10.96.0.5",
    );
    world.now("_big._tcp.ports.shop.svc.Z SRV", "NX");
    world.now("large.shop.svc.Z A", "@ A 10.96.0.6");
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SOON);
}

#[test]
fn a10_an_object_that_becomes_bad_takes_its_old_names_with_it() {
    let mut world = World::shop();
    let mut broken = service("shop", "web", "10.96.0.1");
    broken["spec"] = json!("none");
    world.api.apply(broken);
    world.eventually("web.shop.svc.Z A", "NX", SOON);
    world.api.apply(service("shop", "web", "10.96.0.1"));
    world.eventually("web.shop.svc.Z A", "@ A 10.96.0.1", SOON);
}

#[test]
fn a10_lines_that_are_no_events_are_passed_over() {
    let lines: &[&[u8]] = &[
        b"",
        b"   ",
        b"{",
        b"no JSON at all",
        b"{\"type\":\"ADDED\"}",
        b"{\"type\":\"ADDED\",\"object\":null}",
        b"{\"type\":7,\"object\":{}}",
        b"{\"object\":{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"}}}",
        b"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"",
        b"{\"type\":\"RENAMED\",\"object\":{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"resourceVersion\":\"7\"}}}",
        b"{\"type\":\"BOOKMARK\",\"object\":{}}",
        b"{\"type\":\"BOOKMARK\",\"object\":null}",
        b"{\"type\":\"DELETED\",\"object\":{}}",
        b"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"never\",\"namespace\":\"was\"}}}",
        b"\xff\xfe\x00\x01",
        b"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\xff\xff\",\"namespace\":\"shop\"}}}",
        b"[[[[[[[[[[[[[[[[[[[[",
    ];
    let mut world = World::shop_with(Setup::default().timing(QUICK));
    let steady = Steady::shop(&world);
    for (at, line) in lines.iter().enumerate() {
        world.api.inject(Resource::Services, *line);
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
        eprintln!("behind {:?}", String::from_utf8_lossy(line));
        world.eventually("new.shop.svc.Z A", &format!("@ A 10.96.1.{at}"), SOON);
    }
    steady.finish();
}

#[test]
fn a10_a_line_nested_a_hundred_thousand_deep_is_passed_over() {
    let mut world = World::shop_with(Setup::default().timing(QUICK));
    let line = format!("{{\"type\":\"ADDED\",\"object\":{}", "[".repeat(100_000));
    world.api.inject(Resource::Services, line);
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
}

#[test]
fn a10_events_out_of_order_end_in_the_truth() {
    let mut world = World::shop_with(Setup::default().timing(QUICK));
    let steady = Steady::shop(&world);
    // An old version of `web`, and a deletion of something that lives, both from the past.
    let mut old = service("shop", "new", "10.96.9.9");
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SOON);
    old["metadata"]["resourceVersion"] = json!("1");
    world.api.inject(Resource::Services, json!({"type": "MODIFIED", "object": old}).to_string());
    world.api.apply(service("shop", "other", "10.96.0.8"));
    world.eventually("other.shop.svc.Z A", "@ A 10.96.0.8", SYNC);
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
    world.api.inject(Resource::Services, json!({"type": "DELETED", "object": old}).to_string());
    world.api.apply(service("shop", "other", "10.96.0.9"));
    world.eventually("other.shop.svc.Z A", "@ A 10.96.0.9", SYNC);
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
    steady.finish();
}

#[test]
fn a10_one_uid_on_two_objects_is_two_objects() {
    let mut world = World::shop();
    let mut twin = service("shop", "twin", "10.96.0.7");
    twin["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000002");
    world.api.apply(twin);
    world.eventually("twin.shop.svc.Z A", "@ A 10.96.0.7", SOON);
    world.api.delete(Resource::Services, "shop", "twin");
    world.eventually("twin.shop.svc.Z A", "NX", SOON);
    world.shop_is_served();
}

#[test]
fn an_object_deleted_and_made_again_under_one_name_is_the_new_one() {
    let mut world = World::shop();
    for at in 1..=20 {
        world.api.edit(|cluster| {
            cluster.delete(Resource::Services, "shop", "web");
            cluster.apply(service("shop", "web", &format!("10.96.4.{at}")));
        });
        world.eventually("web.shop.svc.Z A", &format!("@ A 10.96.4.{at}"), SOON);
        world.eventually("arpa:10.96.0.1 PTR", "NX", SOON);
    }
}

/// A cluster whose texts are not ASCII, so that cuts fall into the middle of letters.
fn foreign() -> Vec<Value> {
    let mut objects = shop();
    for object in &mut objects {
        object["metadata"]["annotations"] = json!({"hinweis": "größer 雪人 ☃ \u{1f980} }{][\"\\ \n"});
    }
    objects.push(namespace("ende"));
    objects
}

#[test]
fn a11_any_chunks_of_the_same_stream_give_the_same_names() {
    for size in [1, 2, 3, 5, 7, 64, 1000] {
        let api = FakeApi::start();
        api.apply_all(foreign());
        let split = api.fault(Fault::Split(size).rule());
        let mut world = Setup::default().start_synced(api);
        assert_eq!(world.api.happened(split), 3);
        world.shop_is_served();
        let mut new = service("shop", "new", "10.96.0.7");
        new["metadata"]["annotations"] = json!({"hinweis": "☃☃☃"});
        world.api.apply(new);
        world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SOON);
        world.now("ende.svc.Z A", "NODATA");
    }
}

#[test]
fn a11_any_chunks_of_the_same_pages_give_the_same_names() {
    for size in [1, 2, 3, 5, 7, 64, 1000] {
        let api = FakeApi::start();
        api.apply_all(foreign());
        api.fault(Fault::status(422).calls(&[crate::api::Call::InitialWatch]));
        api.fault(Fault::Split(size).rule());
        let mut world = Setup::default().start_synced(api);
        world.shop_is_served();
        world.now("ende.svc.Z A", "NODATA");
    }
}

#[test]
fn a_pod_that_is_being_deleted_stays_until_it_is_gone() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(pod("shop", "old", "10.2.0.1"));
    let mut leaving = pod("shop", "leaving", "10.2.0.2");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    api.apply(leaving);
    let mut world = Setup::new(&["pods verified"]).start_synced(api);
    world.now("10-2-0-1.shop.pod.Z A", "@ A 10.2.0.1");
    // One that was never seen before is not added (K-158) ...
    world.now("10-2-0-2.shop.pod.Z A", "NX");
    // ... one that was stays, with its old address.
    let mut old = pod("shop", "old", "10.2.0.3");
    old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.api.apply(old);
    world.api.apply(pod("shop", "new", "10.2.0.4"));
    world.eventually("10-2-0-4.shop.pod.Z A", "@ A 10.2.0.4", SOON);
    world.now("10-2-0-1.shop.pod.Z A", "@ A 10.2.0.1");
    world.now("10-2-0-3.shop.pod.Z A", "NX");
    world.api.delete(Resource::Pods, "shop", "old");
    world.eventually("10-2-0-1.shop.pod.Z A", "NX", SOON);
}
