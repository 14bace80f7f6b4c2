//! Large lists and storms of updates (A8, A15).

use std::time::Duration;

use serde_json::Value;

use crate::api::{Call, FakeApi, Fault, Resource, namespace, service, slice};
use crate::world::{SYNC, Setup, Steady, World, pass, shop, until};

/// Services of a large cluster.
fn many(count: usize) -> Vec<Value> {
    let one = |at: usize| {
        service(
            "many",
            &format!("s{at}"),
            &format!("10.{}.{}.{}", 97 + at / 62_500, at / 250 % 250, at % 250),
        )
    };
    std::iter::once(namespace("many")).chain((0..count).map(one)).collect()
}

/// A list that takes seconds: nothing is denied before its end, and all is there behind it.
fn slow_first_list(by_watch: bool) {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply_all(many(3000));
    if !by_watch {
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    }
    let slow = api.fault(Fault::Slow(600_000).rule().on(Resource::Services));
    let mut world = Setup::default().start(api);
    assert!(until(SYNC, || world.api.happened(slow) > 0).is_some());
    let mut asked = 0;
    while !world.running.wait_synced(Duration::from_millis(20)) {
        let reply = world.ask("s2999.many.svc.Z A");
        assert!(reply.starts_with("SERVFAIL") || reply.starts_with("NOERROR"), "{reply}");
        let reply = world.ask("no.many.svc.Z A");
        assert!(reply.starts_with("SERVFAIL") || world.running.wait_synced(Duration::ZERO), "{reply}");
        asked += 1;
        assert!(asked < 1000, "the list never ends");
    }
    assert!(asked > 10, "the list was not slow: {asked}");
    world.now("s2999.many.svc.Z A", "@ A 10.97.11.249");
    world.now("no.many.svc.Z A", "NX");
    world.shop_is_served();
}

#[test]
fn a8_nothing_is_denied_during_a_slow_first_list_by_watch() {
    slow_first_list(true);
}

#[test]
fn a8_nothing_is_denied_during_a_slow_first_list_by_pages() {
    slow_first_list(false);
}

#[test]
fn a8_a_slow_relist_changes_nothing_until_its_end() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply_all(many(2000));
    let mut world = Setup::default().start_synced(api);
    let steady = Steady::shop(&world);
    let slow = world.api.fault(Fault::Slow(400_000).rule().on(Resource::Services));
    world.api.compact();
    world.api.fail_open_watches(410);
    assert!(until(SYNC, || world.api.happened(slow) > 0).is_some());
    world.api.delete(Resource::Services, "many", "s7");
    for _ in 0..50 {
        world.now("s1999.many.svc.Z A", "@ A 10.97.7.249");
        pass(Duration::from_millis(10));
    }
    world.eventually("s7.many.svc.Z A", "NX", Duration::from_secs(10));
    steady.finish();
}

#[test]
fn a8_a_large_cluster_is_synced_soon() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply_all(many(10_000));
    let endpoints: Vec<String> = (0..100).map(|at| format!("10.200.{}.{}", at / 10, at % 10)).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    api.apply_all((0..1000).map(|at| slice("many", &format!("s{at}-1"), &format!("s{at}"), &endpoints)));
    let clock = signpost::time::Clock::system();
    let start = clock.now();
    let mut world = Setup::default().start(api);
    world.synced(Duration::from_secs(20));
    eprintln!("10 000 Services and 100 000 endpoints after {:?}", clock.now().since(start));
    world.shop_is_served();
}

#[test]
fn a15_the_last_write_of_a_storm_is_answered_within_a_second() {
    let mut world = World::shop();
    let steady = Steady::shop(&world);
    world.api.apply(service("shop", "storm", "None"));
    // 2 000 slice events in about a second: 20 slices, each 100 times.
    for round in 0..100 {
        world.api.apply_all((0..20).map(|at| {
            let first = format!("10.8.{at}.{}", round + 1);
            let second = format!("10.9.{at}.{}", round + 1);
            slice("shop", &format!("storm-{at}"), "storm", &[&first, &second])
        }));
        pass(Duration::from_millis(10));
    }
    for at in 0..20 {
        let last = format!("10.8.{at}.100");
        let name = last.replace('.', "-");
        world.eventually(
            &format!("{name}.storm.shop.svc.Z A"),
            &format!("@ A {last}"),
            Duration::from_secs(1),
        );
        world.now(&format!("10-8-{at}-99.storm.shop.svc.Z A"), "NX");
    }
    steady.finish();
}
