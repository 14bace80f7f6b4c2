//! The API server goes away, comes back, closes, stalls (A2, A3, A5, A6).

use std::collections::BTreeSet;
use std::time::Duration;

use signpost::source::cluster::Timing;

use crate::api::{Call, Fault, Resource, service};
use crate::world::{QUICK, SOON, SYNC, Setup, Steady, World, pass, until};

/// Requests that list, by pages or by watch.
const LISTS: &[Call] = &[Call::List, Call::Page, Call::InitialWatch];

#[test]
fn a2_last_known_names_are_served_while_the_api_server_is_away() {
    let world = World::shop_with(Setup::default().word("ready 127.0.0.1:0"));
    let steady = Steady::shop(&world);
    let before = world.api.accepted();
    world.api.slam(true);
    for _ in 0..8 {
        pass(Duration::from_millis(500));
        assert_eq!(world.ready(), 200, "an outage makes every replica unready at once");
    }
    let tried = world.api.accepted() - before;
    // Pauses of at least 0.05, 0.1, 0.2, 0.4, 0.8, 1.6 s: seven tries for each of the three, and one to begin with.
    assert!((3..=24).contains(&tried), "{tried} connections in 4 s");
    steady.finish();
}

#[test]
fn a3_a_change_made_during_an_outage_is_answered_within_a_second_of_its_end() {
    for seconds in [0.3, 1.0, 3.0] {
        let mut world = World::shop();
        let steady = Steady::shop(&world);
        world.api.down();
        pass(Duration::from_secs_f64(seconds));
        world.api.apply(service("shop", "new", "10.96.0.7"));
        world.api.up();
        let took = world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", Duration::from_secs(5));
        assert!(took <= SOON, "{took:?} after an outage of {seconds} s");
        steady.finish();
    }
}

#[test]
fn a3_an_outage_costs_no_list() {
    let mut world = World::shop();
    let lists = world.api.count(None, LISTS);
    world.api.down();
    pass(Duration::from_millis(300));
    world.api.delete(Resource::Services, "shop", "web");
    world.api.up();
    world.eventually("web.shop.svc.Z A", "NX", SYNC);
    assert_eq!(world.api.count(None, LISTS), lists, "resumed from the last version");
}

#[test]
fn a3_back_off_is_jittered_and_each_resource_has_its_own() {
    let world = World::shop();
    let before = world.api.requests().len();
    world.api.fault(Fault::status(500));
    world.api.cut();
    pass(Duration::from_secs(3));
    let requests: Vec<_> = world.api.requests().into_iter().skip(before).collect();
    let mut pauses = Vec::new();
    for resource in [Resource::Services, Resource::EndpointSlices, Resource::Namespaces] {
        let at: Vec<Duration> =
            requests.iter().filter(|one| one.resource == Some(resource)).map(|one| one.at).collect();
        assert!(at.len() <= 10, "{resource:?}: {} requests in 3 s", at.len());
        assert!(at.len() >= 3, "{resource:?}: {} requests in 3 s", at.len());
        pauses.push(at.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect::<Vec<_>>());
    }
    let distinct: BTreeSet<&Vec<u128>> = pauses.iter().collect();
    assert_eq!(distinct.len(), pauses.len(), "the pauses of two resources are the same: {pauses:?}");
}

/// Updates under a fault of the watch: each is answered within a second, nothing is listed, and nothing fails.
fn watches_end_by(fault: Fault) {
    let mut world = World::shop();
    let steady = Steady::shop(&world);
    let lists = world.api.count(None, LISTS);
    let number = world.api.fault(fault.clone().rule().calls(&[Call::Watch]));
    world.api.cut();
    for at in 1..=30 {
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
        world.eventually("new.shop.svc.Z A", &format!("@ A 10.96.1.{at}"), SOON);
    }
    steady.finish();
    assert!(world.api.happened(number) > 3, "{fault:?}");
    assert_eq!(world.api.count(None, LISTS), lists, "{fault:?}: a watch that ends costs no list");
}

#[test]
fn a5_watches_that_end_after_each_event_are_resumed() {
    watches_end_by(Fault::EndAfterEvents(1));
}

#[test]
fn a5_watches_that_break_off_inside_an_event_are_resumed() {
    watches_end_by(Fault::CutAfterEvents(1));
}

#[test]
fn a5_watches_that_break_off_every_50_ms_are_resumed() {
    watches_end_by(Fault::CutAfter(Duration::from_millis(50)));
}

#[test]
fn a5_watches_that_end_every_50_ms_are_resumed() {
    watches_end_by(Fault::EndAfter(Duration::from_millis(50)));
}

#[test]
fn a5_a_change_after_a_quiet_time_of_short_watches_is_answered_within_a_second() {
    let mut world = World::shop();
    world.api.fault(Fault::EndAfter(Duration::from_millis(50)).rule().calls(&[Call::Watch]));
    world.api.cut();
    pass(Duration::from_secs(6));
    world.api.apply(service("shop", "new", "10.96.0.7"));
    let took = world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", Duration::from_secs(6));
    assert!(took <= SOON, "{took:?}");
}

/// Watches that end at once are not repeated at once.
fn no_tight_loop(fault: Fault) {
    let world = World::shop();
    world.api.fault(fault.clone().rule().calls(&[Call::Watch]));
    world.api.cut();
    let before = world.api.count(None, &[Call::Watch]);
    pass(Duration::from_secs(3));
    let tried = world.api.count(None, &[Call::Watch]) - before;
    assert!(tried <= 60, "{fault:?}: {tried} watches of three resources in 3 s");
}

#[test]
fn a5_watches_that_end_at_once_are_no_tight_loop() {
    no_tight_loop(Fault::EndAfter(Duration::ZERO));
}

#[test]
fn a5_watches_that_end_at_once_behind_a_bookmark_are_no_tight_loop() {
    no_tight_loop(Fault::BookmarkAndEnd);
}

#[test]
fn a5_watches_that_break_off_at_once_are_no_tight_loop() {
    no_tight_loop(Fault::CutAfter(Duration::ZERO));
}

#[test]
fn a6_connections_into_a_black_hole_are_noticed() {
    // Dead after 2 s; mute watches would be opened again only after 90 s.
    let timing = Timing { mute: Duration::from_secs(90), ..QUICK };
    let mut world = World::shop_with(Setup::default().timing(timing));
    let steady = Steady::shop(&world);
    let before = world.api.count(None, &[Call::Watch]);
    world.api.black_hole();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    pass(Duration::from_millis(4500));
    world.now("new.shop.svc.Z A", "NX");
    world.api.light();
    // The dead connections are known by now; one that is being made into the hole may still take its 5 s.
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", Duration::from_secs(8));
    let again = until(SYNC, || world.api.count(None, &[Call::Watch]) >= before + 3);
    assert!(again.is_some(), "every watch was on a dead connection");
    steady.finish();
}

#[test]
fn a_mute_watch_is_opened_again_from_its_last_version() {
    let timing = Timing { dead: Duration::from_secs(20), ..QUICK };
    let mut world = World::shop_with(Setup::default().timing(timing));
    let lists = world.api.count(None, LISTS);
    world.api.mute_open_watches();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", timing.mute + SOON);
    assert_eq!(world.api.count(None, LISTS), lists, "resumed, not listed");
}

#[test]
fn a_watch_with_nothing_but_bookmarks_is_alive() {
    let world = World::shop_with(Setup::default().timing(QUICK));
    let before = world.api.requests().len();
    pass(QUICK.mute * 2);
    assert_eq!(world.api.requests().len(), before, "bookmarks come every half second");
}

#[test]
fn a_watch_resumes_from_its_last_bookmark() {
    let mut world = World::shop();
    // Only services move: the others learn of it by bookmarks alone.
    for at in 1..=20 {
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
    }
    world.eventually("new.shop.svc.Z A", "@ A 10.96.1.20", SOON);
    pass(Duration::from_millis(1200));
    let lists = world.api.count(None, LISTS);
    // What was compacted is what they already know of.
    world.api.compact();
    world.api.cut();
    world.api.apply(crate::api::slice("shop", "db-1", "db", &["10.1.0.8=db-0"]));
    world.eventually("db.shop.svc.Z A", "@ A 10.1.0.8", SYNC);
    assert_eq!(world.api.count(None, LISTS), lists, "a bookmark was not remembered");
}

#[test]
fn watches_ask_for_bookmarks_and_for_an_end_within_two_minutes() {
    let world = World::shop();
    world.api.cut();
    let again = until(SYNC, || world.api.count(None, &[Call::Watch]) >= 3);
    assert!(again.is_some());
    let mut ends = BTreeSet::new();
    for request in world.api.requests() {
        assert_eq!(request.query["allowWatchBookmarks"], "true", "{request:?}");
        let end: u32 = request.query["timeoutSeconds"].parse().unwrap();
        assert!((60..=120).contains(&end), "{request:?}");
        ends.insert(end);
        match request.call {
            Call::Watch => assert!(request.query["resourceVersion"].parse::<u64>().unwrap() > 0),
            Call::InitialWatch => assert_eq!(request.query["resourceVersionMatch"], "NotOlderThan"),
            other => panic!("{other:?}"),
        }
    }
    assert!(ends.len() > 1, "watches all end together: {ends:?}");
}
