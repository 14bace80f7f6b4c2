//! Protobuf where a server has it, JSON where it has not.

use crate::api::{Call, FakeApi, Fault, Resource, Speaks, StartOptions, service};
use crate::world::{QUICK, SOON, SYNC, Setup, shop, until};

/// What was asked for, request by request.
fn accepted(api: &FakeApi) -> Vec<String> {
    api.requests().iter().map(|request| request.headers.get("accept").cloned().unwrap_or_default()).collect()
}

#[test]
fn a_server_that_answers_in_json_is_understood() {
    let api = FakeApi::start_with(StartOptions { speaks: Speaks::OnlyJson, ..StartOptions::default() });
    api.apply_all(shop());
    let mut world = Setup::default().start_synced(api);
    world.shop_is_served();
    world.api.apply(service("shop", "new", "10.96.0.7"));
    world.eventually("new.shop.svc.Z A", "@ A 10.96.0.7", SOON);
}

#[test]
fn a_server_that_refuses_protobuf_is_asked_for_json_from_then_on() {
    let api = FakeApi::start_with(StartOptions { speaks: Speaks::JsonOrNothing, ..StartOptions::default() });
    api.apply_all(shop());
    let mut world = Setup::default().start_synced(api);
    world.shop_is_served();
    let refused = world.api.requests().iter().filter(|request| request.status == 406).count();
    // All kinds ask at once; whoever asks later knows.
    assert!((1..=3).contains(&refused), "{refused} requests were refused");
    let before = world.api.requests().len();
    world.api.compact();
    world.api.fail_open_watches(410);
    assert!(until(SYNC, || world.api.requests().len() >= before + 3 && world.api.is_watched()).is_some());
    world.shop_is_served();
    let later = accepted(&world.api).split_off(before);
    assert!(later.iter().all(|accept| accept == "application/json"), "{later:?}");
}

#[test]
fn the_language_may_change_between_two_requests() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = Setup::default().timing(QUICK).start_synced(api);
    for (at, speaks) in [Speaks::OnlyJson, Speaks::Both, Speaks::JsonOrNothing].into_iter().enumerate() {
        world.api.speaks(speaks);
        world.api.cut();
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
        world.eventually("new.shop.svc.Z A", &format!("@ A 10.96.1.{at}"), SYNC);
        world.shop_is_served();
    }
}

#[test]
fn protobuf_that_cannot_be_read_makes_us_ask_for_json() {
    // A frame that says that it has four thousand million bytes: nothing behind it can be found.
    let api = FakeApi::start();
    api.apply_all(shop());
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    let garbled = api.fault(Fault::Garbled.rule().on(Resource::Services).calls(&[Call::List]).times(1));
    let mut world = Setup::default().timing(QUICK).start_synced(api);
    assert_eq!(world.api.happened(garbled), 1);
    world.shop_is_served();
    let requests = world.api.requests();
    let of = |resource| {
        let last = requests.iter().rfind(|request| request.resource == Some(resource));
        last.and_then(|request| request.headers.get("accept").cloned()).unwrap_or_default()
    };
    assert_eq!(of(Resource::Services), "application/json");
    assert!(of(Resource::Namespaces).contains("protobuf"), "the others go on as before");
}
