//! Versions that the API server no longer knows (A4, A9, A16).

use std::time::Duration;

use crate::api::{Call, FakeApi, Fault, Resource, Versions, namespace, service};
use crate::world::{QUICK, SOON, SYNC, Setup, Steady, World, pass, shop, until};

/// Requests that begin a list.
const LISTS: &[Call] = &[Call::List, Call::InitialWatch];

#[test]
fn a4_a_watch_start_refused_with_410_lists_anew_instead_of_repeating() {
    let mut world = World::shop();
    let gone = world.api.fault(Fault::status(410).on(Resource::Services).calls(&[Call::Watch]));
    world.api.down();
    world.api.delete(Resource::Services, "shop", "web");
    world.api.up();
    world.eventually("web.shop.svc.Z A", "NX", SYNC);
    assert_eq!(world.api.happened(gone), 1, "a version that is gone was asked for again");
    assert_eq!(world.api.count(Some(Resource::Services), LISTS), 2);
    assert_eq!(world.api.count(Some(Resource::Namespaces), LISTS), 1, "the others were not to list anew");
}

#[test]
fn a4_a_stream_that_says_410_lists_anew() {
    let mut world = World::shop();
    let steady = Steady::shop(&world);
    world.api.down();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.api.compact();
    world.api.up();
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
    steady.finish();
}

#[test]
fn a4_what_was_deleted_in_the_gap_is_gone_after_the_list() {
    let mut world = World::shop();
    world.api.down();
    world.api.delete(Resource::Services, "shop", "web");
    world.api.delete(Resource::EndpointSlices, "shop", "web-1");
    world.api.delete(Resource::EndpointSlices, "shop", "db-1");
    world.api.compact();
    world.api.up();
    world.eventually("web.shop.svc.Z A", "NX", SYNC);
    world.eventually("db.shop.svc.Z A", "NX", SYNC);
    world.eventually("arpa:10.1.0.9 PTR", "NX", SYNC);
    world.eventually("arpa:10.96.0.1 PTR", "NX", SYNC);
}

/// Every watch fails with 410 for seconds: lists are rare, and nothing is ever missing.
fn storm_of_410(by_watch: bool) {
    let api = FakeApi::start();
    api.apply_all(shop());
    if !by_watch {
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    }
    let mut world = Setup::default().start_synced(api);
    let steady = Steady::shop(&world);
    let before = world.api.count(Some(Resource::Services), LISTS);
    let refused = world.api.fault(Fault::status(410).calls(&[Call::Watch]));
    let ended =
        world.api.fault(Fault::EndAfter(Duration::from_millis(20)).rule().calls(&[Call::InitialWatch]));
    world.api.cut();
    pass(Duration::from_secs(5));
    let lists = world.api.count(Some(Resource::Services), LISTS) - before;
    assert!(world.api.happened(refused) > 3 || world.api.happened(ended) > 3);
    assert!((1..=6).contains(&lists), "{lists} lists of Services in 5 s");
    // A change comes through with the lists.
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", Duration::from_secs(3));
    world.api.heal();
    world.api.delete(Resource::Services, "shop", "new");
    world.eventually("new.shop.svc.Z A", "NX", SYNC);
    steady.finish();
}

#[test]
fn a4_a_storm_of_410_costs_a_list_a_second_and_no_answer() {
    storm_of_410(true);
}

#[test]
fn a4_a_storm_of_410_is_borne_with_pages_too() {
    storm_of_410(false);
}

#[test]
fn an_error_in_the_stream_that_is_not_410_resumes() {
    let mut world = World::shop();
    let steady = Steady::shop(&world);
    let lists = world.api.count(None, LISTS);
    world.api.fail_open_watches(500);
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
    assert_eq!(world.api.count(None, LISTS), lists);
    steady.finish();
}

#[test]
fn a_watch_start_that_is_refused_for_good_ends_in_a_list() {
    // 504 "too large resource version", or whatever a proxy makes of it: what never works is not repeated for ever.
    for code in [400, 404, 500, 504] {
        let mut world = World::shop_with(Setup::default().timing(QUICK));
        world.api.fault(Fault::status(code).on(Resource::Services).calls(&[Call::Watch]));
        world.api.cut();
        world.api.apply(service("shop", "new", "10.96.0.7"));
        world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
    }
}

#[test]
fn a9_a_continue_token_that_expires_mid_way_begins_the_list_anew() {
    for times in [1, 2] {
        let api = FakeApi::start();
        api.apply(namespace("shop"));
        let all =
            |at: u32| service("shop", &format!("s{at:04}"), &format!("10.96.{}.{}", at / 250, at % 250));
        api.apply_all((0..1200).map(all));
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
        let expired = api.fault(Fault::status(410).on(Resource::Services).calls(&[Call::Page]).times(times));
        let mut world = Setup::default().timing(QUICK).start_synced(api);
        assert!(world.api.happened(expired) >= 1);
        for at in [0, 499, 500, 1199] {
            world.now(&format!("s{at:04}.shop.svc.Z A"), &format!("@ A 10.96.{}.{}", at / 250, at % 250));
        }
    }
}

#[test]
fn a9_a_list_that_is_begun_anew_leaves_no_ghosts() {
    let api = FakeApi::start();
    api.apply(namespace("shop"));
    api.apply_all((0..1200).map(|at| service("shop", &format!("s{at:04}"), "10.96.0.1")));
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    let mut world = Setup::default().timing(QUICK).start_synced(api);
    world.now("s0003.shop.svc.Z A", "@ A 10.96.0.1");

    // A relist whose second page hangs; meanwhile an object of its first page goes, and history with it.
    let hang = world.api.fault(Fault::Hang.rule().on(Resource::Services).calls(&[Call::Page]).times(1));
    world.api.compact();
    world.api.fail_open_watches(410);
    assert!(until(SYNC, || world.api.happened(hang) == 1).is_some());
    world.api.delete(Resource::Services, "shop", "s0003");
    world.api.apply(service("shop", "s0001", "10.96.0.2"));
    world.api.compact();
    world.api.expire_pages();
    world.api.cut();
    world.eventually("s0003.shop.svc.Z A", "NX", SYNC);
    world.eventually("s0001.shop.svc.Z A", "@ A 10.96.0.2", SYNC);
    world.now("s1199.shop.svc.Z A", "@ A 10.96.0.1");
}

/// The API server's past is restored: what was made since is gone.
fn restored(versions: Versions) {
    let mut world = World::shop_with(Setup::default().timing(QUICK));
    let steady = Steady::shop(&world);
    let past = world.api.cluster();
    for at in 1..=50 {
        world.api.apply(service("shop", &format!("late{at}"), "10.96.2.1"));
    }
    world.eventually("late50.shop.svc.Z A", "@ A 10.96.2.1", SOON);
    // Other watches know the late version from their bookmarks.
    pass(Duration::from_millis(600));
    world.api.restore(past, versions);
    world.eventually("late50.shop.svc.Z A", "NX", SYNC);
    world.eventually("late1.shop.svc.Z A", "NX", SOON);
    world.api.apply(service("shop", "after", "10.96.3.1"));
    world.eventually("after.shop.svc.Z A", "@ A 10.96.3.1", SOON);
    world.api.apply(crate::api::slice("shop", "web-2", "web", &["10.1.0.3=web-2"]));
    world.eventually("web-2.web.shop.svc.Z A", "@ A 10.1.0.3", SYNC);
    world.api.delete(Resource::EndpointSlices, "shop", "web-2");
    world.eventually("web-2.web.shop.svc.Z A", "NX", SYNC);
    steady.finish();
}

#[test]
fn a16_a_restored_past_with_bumped_versions_is_taken() {
    restored(Versions::Bumped);
}

#[test]
fn a16_a_restored_past_is_taken_when_the_future_is_refused() {
    restored(Versions::BackFutureGone);
}

#[test]
fn a16_a_restored_past_is_taken_when_watches_from_the_future_are_silent() {
    restored(Versions::BackFutureSilent);
}

#[test]
fn a16_a_world_that_shrinks_by_half_is_believed() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let small = api.cluster();
    api.apply_all((0..200).map(|at| service("shop", &format!("s{at}"), "10.96.0.2")));
    let mut world = Setup::default().start_synced(api);
    world.now("s7.shop.svc.Z A", "@ A 10.96.0.2");
    world.api.restore(small, Versions::BackFutureGone);
    world.eventually("s7.shop.svc.Z A", "NX", SYNC);
    world.shop_is_served();
}
