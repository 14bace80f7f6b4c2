//! Whether a server knows and says that what it serves is old (K-269, K-270, K-272): watches that go silent, by our clock.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use signpost::app::{ServeOptions, serve};
use signpost::time::{Clock, Wall};

use crate::api::{Call, FakeApi, Fault, Resource, service};
use crate::world::{QUICK, SOON, SYNC, Setup, World, pass, shop, until};

/// Lines that open `/metrics` and `/ready`.
const METRICS: &str = "prometheus 127.0.0.1:0";
const READY: &str = "ready 127.0.0.1:0";

/// A clock that stands still.
fn clock() -> Clock {
    Clock::manual(Wall(1_800_000_000))
}

/// Status and body of a GET.
fn fetch(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(SYNC)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let code = text.split(' ').nth(1).unwrap().parse().unwrap();
    (code, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// What `/ready` of a world says.
fn ready(world: &World, query: &str) -> (u16, String) {
    fetch(world.running.ready().unwrap(), &format!("/ready{query}"))
}

/// The value of a series; `None` where it is not there.
fn value(world: &World, series: &str) -> Option<f64> {
    let (_, text) = fetch(world.running.metrics()[0], "/metrics");
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|text| text.parse().unwrap())
}

/// A series of a resource of the usual zone.
fn series(name: &str, resource: &str) -> String {
    format!("{name}{{zone=\"cluster.local.\",resource=\"{resource}\"}}")
}

/// Makes every watch that is open silent: connections live on, nothing comes.
fn hang(world: &World) {
    world.api.mute_open_watches();
    // What was on its way is heard before the clock moves.
    pass(Duration::from_millis(50));
}

/// Lets watches speak again.
fn speak(world: &World) {
    world.api.cut();
}

/// Waits until a reply is this.
fn eventually(world: &mut World, ask: &str, wanted: &str) {
    let mut got = String::new();
    let seen = until(SYNC, || {
        got = world.ask(ask);
        got == wanted
    });
    assert!(seen.is_some(), "{ask}: want {wanted} got {got}");
}

#[test]
fn k269_a_watch_that_goes_silent_is_stale_after_three_minutes_and_its_answers_say_so() {
    let clock = clock();
    let setup = Setup::new(&["ttl 30"]).word(READY).word(METRICS).clock(clock.clone());
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = setup.start_synced(api);
    hang(&world);
    let (here, missing) = ("web.shop.svc.Z A +edns", "no.shop.svc.Z A +edns");
    let soa = "authority cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. * 7200 1800 86400 30\n";
    let fresh = "NOERROR aa\nedns 1232\nanswer @ 30 A 10.96.0.1\n";
    // Everything was confirmed at moment 0.
    clock.advance(Duration::from_secs(179));
    assert_eq!(world.ask(here), fresh);
    assert_eq!(world.ask(missing), format!("NXDOMAIN aa\nedns 1232\n{soa}"));
    assert_eq!(value(&world, &series("signpost_stale", "services")), Some(0.0));
    assert_eq!(value(&world, "signpost_stale_answers_total"), Some(0.0));

    clock.advance(Duration::from_secs(1));
    // Who only looks is told too, and counts as no answer.
    let (status, told) = fetch(world.running.metrics()[0], "/explain?name=web.shop.svc.cluster.local&type=A");
    assert!(status == 200 && told.contains("extended error 3"), "{told}");
    assert_eq!(value(&world, "signpost_stale_answers_total"), Some(0.0));
    assert_eq!(world.ask(here), "NOERROR aa\nedns 1232 ede=3\nanswer @ 5 A 10.96.0.1\n");
    let stale_soa = soa.replace(". 30 SOA", ". 5 SOA").replace("86400 30\n", "86400 5\n");
    assert_eq!(world.ask(missing), format!("NXDOMAIN aa\nedns 1232 ede=3\n{stale_soa}"));
    assert_eq!(
        world.ask("Z SOA"),
        format!("NOERROR aa\n{}", stale_soa.replace("authority cluster.local.", "answer @"))
    );
    // Who did not send an OPT gets none.
    assert_eq!(world.ask("web.shop.svc.Z A"), "NOERROR aa\nanswer @ 5 A 10.96.0.1\n");
    assert_eq!(
        world.ask("arpa:10.96.0.1 PTR +edns"),
        "NOERROR aa\nedns 1232 ede=3\nanswer @ 5 PTR web.shop.svc.cluster.local.\n"
    );

    // CoreDNS's plain answer stays; who asks for more is told.
    assert_eq!(ready(&world, ""), (200, "OK".to_owned()));
    let (code, text) = ready(&world, "?verbose");
    assert_eq!((code, text.lines().next()), (200, Some("OK")));
    for resource in ["services", "endpointslices", "namespaces"] {
        let begins = format!(
            "[-] kubernetes cluster.local. {resource}: watching, stale for 0s, confirmed 3m0s ago, version "
        );
        assert!(text.lines().any(|line| line.starts_with(&begins)), "{begins}\n{text}");
        assert_eq!(value(&world, &series("signpost_stale", resource)), Some(1.0), "{resource}");
        assert_eq!(value(&world, &series("signpost_watch_confirmed_age_seconds", resource)), Some(180.0));
    }
    assert!(value(&world, "signpost_stale_answers_total") >= Some(5.0));

    // It hears again, and all is as it was.
    speak(&world);
    eventually(&mut world, here, fresh);
    let (_, text) = ready(&world, "?verbose");
    let all_fresh = until(SYNC, || !ready(&world, "?verbose").1.contains("[-]"));
    assert!(all_fresh.is_some(), "{text}");
    assert_eq!(value(&world, &series("signpost_stale", "services")), Some(0.0));
}

#[test]
fn k269_an_event_or_a_bookmark_confirms_its_resource_and_no_other() {
    let clock = clock();
    let mut world = World::shop_with(Setup::new(&["ttl 30"]).word(READY).word(METRICS).clock(clock.clone()));
    // Only bookmarks of Services come from now on.
    world.api.fault(Fault::Mute.rule().watches().on(Resource::EndpointSlices));
    hang(&world);
    clock.advance(Duration::from_secs(100));
    world.api.cut();
    let confirmed = || value(&world, &series("signpost_watch_confirmed_age_seconds", "services"));
    assert!(until(SYNC, || confirmed() == Some(0.0)).is_some(), "{:?}", confirmed());
    assert_eq!(value(&world, &series("signpost_watch_last_bookmark_age_seconds", "services")), Some(0.0));
    world.api.apply(service("shop", "new", "10.96.0.9"));
    let event = || value(&world, &series("signpost_watch_last_event_age_seconds", "services"));
    assert!(until(SYNC, || event() == Some(0.0)).is_some(), "{:?}", event());
    assert_eq!(value(&world, &series("signpost_watch_confirmed_age_seconds", "endpointslices")), Some(100.0));
    assert_eq!(value(&world, &series("signpost_watch_last_list_age_seconds", "services")), Some(100.0));
    let version = value(&world, &series("signpost_watch_resource_version", "services"));
    assert_eq!(version, Some(6.0), "five objects, and the new one");
    // Names are made of all of it: the most silent resource decides.
    clock.advance(Duration::from_secs(80));
    let stale = "NOERROR aa\nedns 1232 ede=3\nanswer @ 5 A 10.96.0.9\n";
    assert_eq!(world.ask("new.shop.svc.Z A +edns"), stale);
}

#[test]
fn k270_with_unready_readiness_fails_once_a_staleness_has_lasted_so_long() {
    let clock = clock();
    let world = World::shop_with(Setup::new(&["stale unready 10m"]).word(READY).clock(clock.clone()));
    hang(&world);
    clock.advance(Duration::from_secs(180 + 599));
    assert_eq!(ready(&world, ""), (200, "OK".to_owned()));
    clock.advance(Duration::from_secs(1));
    assert_eq!(ready(&world, ""), (503, "kubernetes".to_owned()), "stale for ten minutes");
    let (code, text) = ready(&world, "?verbose");
    assert_eq!((code, text.lines().next()), (503, Some("kubernetes")));
    speak(&world);
    assert!(until(SYNC, || ready(&world, "").0 == 200).is_some());
}

#[test]
fn k270_without_a_word_a_staleness_never_makes_unready() {
    for options in [&[][..], &["stale serve"]] {
        let clock = clock();
        let world = World::shop_with(Setup::new(options).word(READY).clock(clock.clone()));
        hang(&world);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(ready(&world, ""), (200, "OK".to_owned()), "{options:?}");
    }
}

#[test]
fn k269_names_of_a_clusterset_and_for_the_outside_are_stale_with_their_own_kinds() {
    let clock = clock();
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(json!({
        "kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"type": "ClusterSetIP", "ips": ["10.99.0.1"], "ports": [{"name": "http", "port": 80}]},
    }));
    let mut outside = service("shop", "front", "10.96.0.7");
    outside["spec"]["externalIPs"] = json!(["192.0.2.7"]);
    api.apply(outside);
    let setup = Setup::new(&["ttl 60", "multicluster clusterset.local"])
        .zones("cluster.local clusterset.local")
        .word("k8s_external example.org {\n ttl 60\n }")
        .clock(clock.clone());
    let mut world = setup.start_synced(api);
    let asks = [
        "web.shop.svc.Z A +edns",
        "web.shop.svc.clusterset.local. A +edns",
        "front.shop.example.org. A +edns",
    ];
    let reply = |ttl: u32, ede: &str| {
        ["10.96.0.1", "10.99.0.1", "192.0.2.7"]
            .map(|ip| format!("NOERROR aa\nedns 1232{ede}\nanswer @ {ttl} A {ip}\n"))
    };
    assert_eq!(asks.map(|ask| world.ask(ask)), reply(60, ""));
    // The imports alone are silent.
    world.api.fault(Fault::Mute.rule().watches().on(Resource::ServiceImports));
    hang(&world);
    clock.advance(Duration::from_secs(180));
    world.api.cut();
    let [fresh, ..] = reply(60, "");
    eventually(&mut world, asks[0], &fresh);
    assert_eq!(world.ask(asks[1]), reply(5, " ede=3")[1]);
    assert_eq!(world.ask(asks[2]), reply(60, "")[2]);
    // Then everything.
    hang(&world);
    clock.advance(Duration::from_secs(180));
    assert_eq!(asks.map(|ask| world.ask(ask)), reply(5, " ede=3"));
    let soa = "NODATA";
    let negative = world.ask("front.shop.example.org. TXT +edns");
    assert!(
        negative.contains(" ede=3")
            && negative.contains("authority example.org. 5 SOA")
            && negative.ends_with(" 5\n"),
        "{soa} {negative}"
    );
}

#[test]
fn k272_of_two_stores_for_one_zone_the_one_that_is_worse_off_is_shown() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let block = |labels: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n view {labels} {{\n expr type() == '{labels}'\n }}\n {METRICS}\n kubernetes cluster.local {{\n \
             endpoint {}\n labels {labels}\n }}\n}}\n",
            api.url()
        )
    };
    let text = block("A") + &block("AAAA");
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(SYNC));
    let (_, text) = fetch(running.metrics()[0], "/metrics");
    let mut series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, _)| name)
        .collect();
    assert!(series.contains(&"signpost_stale{zone=\"cluster.local.\",resource=\"services\"}"), "{text}");
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count, "no series is there twice");
}

#[test]
fn k272_a_watch_says_what_it_does() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let world = Setup::default().word(METRICS).word(READY).timing(QUICK).start_synced(api);
    let is = |resource: &str, state: &str| {
        let series = format!(
            "signpost_watch_state{{zone=\"cluster.local.\",resource=\"{resource}\",state=\"{state}\"}}"
        );
        value(&world, &series) == Some(1.0)
    };
    assert!(until(SYNC, || is("services", "watching")).is_some());
    let refused = world.api.fault(Fault::status(403).on(Resource::Services));
    let busy = world.api.fault(Fault::status(429).on(Resource::Namespaces).times(1));
    world.api.compact();
    world.api.fail_open_watches(410);
    assert!(until(SYNC, || is("services", "retrying")).is_some());
    let refusals = |resource: &str, code: u16| {
        let series = format!("signpost_watch_refusals_total{{resource=\"{resource}\",code=\"{code}\"}}");
        value(&world, &series).unwrap_or(0.0)
    };
    assert!(until(SYNC, || refusals("services", 403) >= 1.0).is_some());
    assert!(until(SYNC, || refusals("namespaces", 429) >= 1.0).is_some());
    let gone =
        || ["services", "namespaces", "endpointslices"].map(|one| refusals(one, 410)).iter().sum::<f64>();
    assert!(until(SYNC, || gone() >= 1.0).is_some());
    assert!(world.api.happened(refused) >= 1 && world.api.happened(busy) == 1);
    assert!(!is("services", "watching"));
    assert!(until(SYNC, || is("endpointslices", "watching")).is_some());
    world.api.heal();
    assert!(until(SYNC, || is("services", "watching")).is_some());
    world.api.down();
    assert!(until(SYNC, || is("namespaces", "retrying")).is_some());
}

#[test]
fn k260_watches_that_bring_nothing_however_often_they_are_opened_end_in_a_list() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = Setup::default().timing(QUICK).start_synced(api);
    let lists = |world: &World| world.api.count(Some(Resource::Services), &[Call::InitialWatch, Call::List]);
    let before = lists(&world);
    // An API server whose watch cache is stuck: watches open and stay silent, lists are right.
    let mute = world.api.fault(Fault::Mute.rule().calls(&[Call::Watch]).on(Resource::Services));
    world.api.cut();
    world.api.edit(|cluster| cluster.swallow(|cluster| cluster.apply(service("shop", "late", "10.96.0.8"))));
    world.eventually("late.shop.svc.Z A", "@ A 10.96.0.8", 6 * SOON);
    assert!(world.api.happened(mute) >= 1 && lists(&world) > before);
}
