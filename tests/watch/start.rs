//! The first list: before it, during it, and what may stand in its way (A1, A8 in small, the traps of WatchList).

use std::time::Duration;

use signpost::source::cluster::Timing;

use crate::api::{Call, FakeApi, Fault, Resource, StartOptions, namespace, service};
use crate::world::{QUICK, SOON, SYNC, Setup, Steady, World, get, pass, shop, until};

/// What is watched without `pods verified`.
const WATCHED: [Resource; 3] = [Resource::Services, Resource::EndpointSlices, Resource::Namespaces];

#[test]
fn a1_without_an_api_server_names_are_not_ready_but_never_denied() {
    let api = FakeApi::start_with(StartOptions { down: true, ..StartOptions::default() });
    api.apply_all(shop());
    let setup = Setup::default().word("ready 127.0.0.1:0").word("health 127.0.0.1:0").word("whoami");
    let mut world = setup.start(api);
    for name in ["web.shop.svc.Z", "db.shop.svc.Z", "no.shop.svc.Z", "shop.svc.Z"] {
        world.now(&format!("{name} A +edns"), "UNSYNCED; edns 1232 ede=14");
    }
    world.now("arpa:10.96.0.1 PTR", "UNSYNCED in-addr.arpa.");
    // What cannot exist by grammar is denied at once: a client's search walk goes on.
    world.now("www.api.example.com.svc.Z A", "NX");
    // Other names are served.
    assert!(world.ask("example.com A").starts_with("NOERROR"));
    assert_eq!(world.ready(), 503);
    assert_eq!(get(world.running.health().unwrap(), "/health"), 200);

    world.api.up();
    let took = until(SOON, || world.ready() == 200);
    assert!(took.is_some(), "not ready within {SOON:?} of the API server's start");
    world.shop_is_served();
}

#[test]
fn the_first_list_comes_by_watch_alone() {
    let mut world = World::shop();
    world.shop_is_served();
    for resource in WATCHED {
        assert_eq!(world.api.count(Some(resource), &[Call::InitialWatch]), 1, "{resource:?}");
        assert_eq!(world.api.count(Some(resource), &[Call::List, Call::Page]), 0, "{resource:?}");
    }
}

#[test]
fn a_change_behind_the_first_list_is_answered_at_once() {
    let mut world = World::shop();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SOON);
    world.api.delete(Resource::Services, "shop", "new");
    world.eventually("new.shop.svc.Z A", "NX", SOON);
    world.api.delete(Resource::Namespaces, "", "shop");
    world.eventually("web.shop.svc.Z A", "NX", SOON);
    world.api.apply(namespace("shop"));
    world.eventually("web.shop.svc.Z A", "@ A 10.96.0.1", SOON);
}

/// A server without lists by watch: pages are used, and lists by watch are not tried again.
fn falls_back_after(code: u16) {
    let api = FakeApi::start();
    api.apply_all(shop());
    let refused = api.fault(Fault::status(code).calls(&[Call::InitialWatch]));
    let mut world = Setup::default().start_synced(api);
    world.shop_is_served();
    assert_eq!(world.api.happened(refused), WATCHED.len());
    assert_eq!(world.api.count(None, &[Call::List]), WATCHED.len());
    // A relist remembers.
    world.api.compact();
    world.api.fail_open_watches(410);
    let listed = until(SYNC, || world.api.count(None, &[Call::List]) == 2 * WATCHED.len());
    assert!(listed.is_some(), "no relist after 410");
    assert_eq!(world.api.happened(refused), WATCHED.len(), "lists by watch were tried again");
    world.shop_is_served();
}

#[test]
fn watch_list_refused_with_400_falls_back_to_pages_and_remembers() {
    falls_back_after(400);
}

#[test]
fn watch_list_refused_with_422_falls_back_to_pages_and_remembers() {
    falls_back_after(422);
}

/// How soon a change is seen by lists, on a machine that has other things to do.
const BY_LISTS: Duration = Duration::from_secs(20);

/// Watches that are refused from the start, while lists are served: names are known, and changes seen by lists.
fn lists_are_enough_after(code: u16) {
    let api = FakeApi::start();
    api.apply_all(shop());
    let refused = api.fault(Fault::status(code).watches());
    let mut world = Setup::default().timing(QUICK).start_synced(api);
    world.shop_is_served();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", BY_LISTS);
    // Once watches can be had again, nothing is listed any more.
    world.api.heal_one(refused);
    let again = until(BY_LISTS, || world.api.is_watched());
    assert!(again.is_some(), "no watch was tried again after {code}");
    let lists = world.api.count(None, &[Call::List]);
    world.api.apply(service("shop", "newer", "10.96.0.8"));
    world.eventually("newer.shop.svc.Z A", "@ A 10.96.0.8", SOON);
    assert_eq!(world.api.count(None, &[Call::List]), lists);
}

#[test]
fn a5b_an_account_that_may_list_and_not_watch_is_served_by_lists() {
    lists_are_enough_after(403);
}

#[test]
fn a5b_a_gateway_that_breaks_watches_and_not_lists_is_served_by_lists() {
    for code in [401, 404, 405, 500, 503, 504] {
        lists_are_enough_after(code);
    }
}

#[test]
fn a5b_watches_that_are_refused_after_a_good_start_are_followed_by_lists() {
    for code in [403, 500] {
        let api = FakeApi::start();
        api.apply_all(shop());
        let mut world = Setup::default().timing(QUICK).start_synced(api);
        world.api.fault(Fault::status(code).watches());
        world.api.cut();
        world.api.apply(service("shop", "new", "10.96.0.7"));
        world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", BY_LISTS);
        world.shop_is_served();
    }
}

#[test]
fn a5b_a_refusal_that_passes_costs_no_list() {
    let mut world = World::shop();
    let lists = world.api.count(None, &[Call::List, Call::InitialWatch]);
    let refused = world.api.fault(Fault::status(503).watches());
    world.api.cut();
    assert!(until(SYNC, || world.api.happened(refused) >= 5 * WATCHED.len()).is_some());
    world.api.heal_one(refused);
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", BY_LISTS);
    assert_eq!(world.api.count(None, &[Call::List, Call::InitialWatch]), lists);
}

#[test]
fn a5b_a_server_that_is_too_busy_for_watches_is_not_asked_for_lists() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let busy = api.fault(Fault::status(429).calls(&[Call::InitialWatch]));
    let mut world = Setup::default().start(api);
    assert!(until(SYNC, || world.api.happened(busy) >= 2 * WATCHED.len()).is_some());
    assert_eq!(world.api.count(None, &[Call::List, Call::Page]), 0);
    world.now("no.shop.svc.Z A", "UNSYNCED");
    world.api.heal();
    world.synced(SYNC);
    world.shop_is_served();
}

#[test]
fn a_bookmark_that_never_comes_has_a_deadline() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let silent = api.fault(Fault::NoBookmark.rule().calls(&[Call::InitialWatch]));
    let timing = Timing { initial_bookmark: Duration::from_millis(400), ..Timing::default() };
    let mut world = Setup::default().timing(timing).start(api);
    // All events are there, but no end: nothing is complete.
    assert!(until(SYNC, || world.api.happened(silent) >= WATCHED.len()).is_some());
    world.now("no.shop.svc.Z A", "UNSYNCED");
    world.synced(SYNC);
    world.shop_is_served();
}

#[test]
fn a_watch_that_ignores_send_initial_events_is_no_complete_list() {
    // An old API server that does not know the parameter sends ADDED events too, and bookmarks without the annotation.
    let api = FakeApi::start();
    api.apply_all(shop());
    api.bookmark_every(Duration::from_millis(100));
    api.fault(Fault::PlainBookmark.rule().calls(&[Call::InitialWatch]));
    let timing = Timing { initial_bookmark: Duration::from_millis(400), ..Timing::default() };
    let mut world = Setup::default().timing(timing).start(api);
    pass(Duration::from_millis(250));
    let reply = world.ask("no.shop.svc.Z A");
    assert!(
        reply.starts_with("SERVFAIL") || world.api.count(None, &[Call::List]) == WATCHED.len(),
        "{reply}"
    );
    // Bookmarks keep the stream alive; the deadline is for the list, not for silence.
    world.synced(SYNC);
    world.shop_is_served();
}

#[test]
fn nothing_is_answered_from_half_a_cluster() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let hang = api.fault(Fault::Hang.rule().on(Resource::EndpointSlices));
    let mut world = Setup::default().word("ready 127.0.0.1:0").start(api);
    assert!(until(SYNC, || world.api.happened(hang) > 0).is_some());
    world.now("web.shop.svc.Z A", "UNSYNCED");
    world.now("db.shop.svc.Z A", "UNSYNCED");
    world.now("no.shop.svc.Z A", "UNSYNCED");
    assert_eq!(world.ready(), 503);
    assert!(!world.running.wait_synced(Duration::from_millis(100)));
    world.api.heal();
    world.api.cut();
    world.synced(SYNC);
    assert_eq!(world.ready(), 200);
    world.shop_is_served();
}

#[test]
fn a_headless_service_is_not_answered_from_a_partial_first_list() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(crate::api::slice("shop", "db-2", "db", &["10.1.0.3=db-2"]));
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    // The slices come at 150 bytes a second: the first is there long before the last.
    let slow = api.fault(Fault::Slow(150).rule().on(Resource::EndpointSlices));
    let mut world = Setup::default().start(api);
    assert!(until(SYNC, || world.api.happened(slow) > 0).is_some());
    let seen = until(Duration::from_millis(1500), || {
        let reply = world.ask("db.shop.svc.Z A");
        assert!(reply.starts_with("SERVFAIL"), "half a list was answered: {reply}");
        false
    });
    assert!(seen.is_none());
    world.api.heal();
    world.api.cut();
    world.eventually("db.shop.svc.Z A", "@ A 10.1.0.1; @ A 10.1.0.2; @ A 10.1.0.3", SYNC);
}

#[test]
fn errors_at_the_first_list_are_tried_again_soon() {
    // An API server that was just restarted answers 403 before its rights are loaded; none of these is final.
    for code in [401, 403, 404, 429, 500, 502, 503, 504] {
        let api = FakeApi::start();
        api.apply_all(shop());
        let fault = api.fault(Fault::status(code).times(6));
        let mut world = Setup::default().start(api);
        let clock = signpost::time::Clock::system();
        let start = clock.now();
        world.synced(Duration::from_secs(4));
        world.shop_is_served();
        assert_eq!(world.api.happened(fault), 6, "{code}");
        eprintln!("{code}: synced after {:?}", clock.now().since(start));
    }
}

#[test]
fn retry_after_is_kept_to() {
    for code in [429, 503] {
        let api = FakeApi::start();
        api.apply_all(shop());
        let busy = Fault::Status { code, retry_after: Some(2) }.rule().on(Resource::Services).times(1);
        let fault = api.fault(busy);
        let mut world = Setup::default().start_synced(api);
        assert_eq!(world.api.happened(fault), 1);
        let services: Vec<_> =
            world.api.requests().into_iter().filter(|one| one.resource == Some(Resource::Services)).collect();
        let waited = services[1].at - services[0].at;
        assert!(waited >= Duration::from_secs(2), "{code}: came back after {waited:?}");
        assert!(waited < Duration::from_secs(4), "{code}: came back after {waited:?}");
        world.shop_is_served();
    }
}

#[test]
fn a_long_list_comes_in_pages() {
    let api = FakeApi::start();
    api.apply(namespace("shop"));
    api.apply_all(
        (0..1234).map(|at| service("shop", &format!("s{at}"), &format!("10.96.{}.{}", at / 250, at % 250))),
    );
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    let mut world = Setup::default().start_synced(api);
    for at in [0, 1, 499, 500, 501, 999, 1000, 1233] {
        world.now(&format!("s{at}.shop.svc.Z A"), &format!("@ A 10.96.{}.{}", at / 250, at % 250));
    }
    assert_eq!(world.api.count(Some(Resource::Services), &[Call::List]), 1);
    assert_eq!(world.api.count(Some(Resource::Services), &[Call::Page]), 2);
    let lists = world.api.requests().into_iter().filter(|one| one.call.verb() == "list");
    for request in lists {
        assert_eq!(request.query.get("limit").map(String::as_str), Some("500"), "{request:?}");
    }
}

#[test]
fn lists_that_are_no_lists_are_asked_for_again() {
    let faults = [
        Fault::StatusInBody(500),
        Fault::StatusInBody(410),
        Fault::Body("<html>504 Gateway Time-out</html>"),
        Fault::Body(""),
        Fault::Body(
            "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{",
        ),
        Fault::Body("{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\"}"),
        Fault::Body("[]"),
        Fault::Body("null"),
        Fault::HalfBody,
        Fault::Close,
    ];
    for fault in faults {
        let api = FakeApi::start();
        api.apply_all(shop());
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
        let struck = api.fault(fault.clone().rule().on(Resource::Services).calls(&[Call::List]).times(2));
        let mut world = Setup::default().timing(QUICK).start(api);
        assert!(world.running.wait_synced(SYNC), "{fault:?}");
        assert_eq!(world.api.happened(struck), 2, "{fault:?}: taken for a list");
        world.shop_is_served();
    }
}

#[test]
fn a_relist_that_is_no_list_empties_nothing() {
    let faults = [
        Fault::StatusInBody(500),
        Fault::Body("<html>504 Gateway Time-out</html>"),
        Fault::Body(""),
        Fault::Body("{}"),
        Fault::Body("{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}"),
        Fault::HalfBody,
        Fault::Slow(200),
    ];
    for fault in faults {
        let api = FakeApi::start();
        api.apply_all(shop());
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
        let mut world = Setup::default().timing(QUICK).start_synced(api);
        let steady = Steady::shop(&world);
        let struck = world.api.fault(fault.clone().rule().calls(&[Call::List, Call::Page]));
        // No watch repairs what a list did.
        world.api.fault(Fault::Hang.rule().calls(&[Call::Watch]));
        world.api.compact();
        world.api.fail_open_watches(410);
        assert!(until(SYNC, || world.api.happened(struck) >= 3).is_some(), "{fault:?}: no relist");
        pass(Duration::from_millis(300));
        eprintln!("{fault:?}");
        world.shop_is_served();
        world.api.heal();
        world.api.cut();
        world.api.apply(service("shop", "new", "10.96.0.7"));
        world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SYNC);
        steady.finish();
    }
}

#[test]
fn streams_that_are_no_streams_are_asked_for_again() {
    let faults = [
        Fault::StatusInBody(500),
        Fault::StatusInBody(410),
        Fault::ErrorEvent(410),
        Fault::ErrorEvent(500),
        Fault::Body("<html>504 Gateway Time-out</html>\n"),
        Fault::Body(""),
        Fault::CutAfter(Duration::ZERO),
        Fault::Close,
    ];
    for fault in faults {
        let api = FakeApi::start();
        api.apply_all(shop());
        let struck =
            api.fault(fault.clone().rule().on(Resource::Services).calls(&[Call::InitialWatch]).times(2));
        let mut world = Setup::default().timing(QUICK).start(api);
        assert!(world.running.wait_synced(SYNC), "{fault:?}");
        world.shop_is_served();
        // What broke off before its end was not taken for a list.
        assert!(world.api.happened(struck) >= 1, "{fault:?}");
    }
}
