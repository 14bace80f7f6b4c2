//! What `/metrics` says about an API server: requests, lists, failures, and how soon a change is served (K-260, K-275).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use signpost::app::{ServeOptions, serve};
use signpost::source::cluster::Timing;
use signpost::time::{Clock, Wall};

use crate::api::{Call, FakeApi, Fault, Resource, slice};
use crate::world::{QUICK, SYNC, Setup, World, shop, until};

/// A line that opens `/metrics`.
const METRICS: &str = "prometheus 127.0.0.1:0";

/// Names as they begin.
const PROGRAMMING: &str = "coredns_kubernetes_dns_programming_duration_seconds";
const REQUESTS: &str = "coredns_kubernetes_rest_client_requests_total";
const DURATION: &str = "coredns_kubernetes_rest_client_request_duration_seconds";
const LIMITER: &str = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds";
const LISTS: &str = "signpost_watch_lists_total";
const FAILURES: &str = "signpost_watch_failures_total";

/// The text of `/metrics`.
fn scrape(addr: SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The value of a series, 0 where it is not there.
fn value(addr: SocketAddr, series: &str) -> f64 {
    let text = scrape(addr);
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

/// Where `/metrics` of a world is.
fn page(world: &World) -> SocketAddr {
    world.running.metrics()[0]
}

/// Waits until a series has a value.
fn reaches(world: &World, series: &str, wanted: f64) {
    let reached = until(SYNC, || value(page(world), series) >= wanted);
    assert!(reached.is_some(), "{series} is {}, not {wanted}", value(page(world), series));
}

/// The host of the API server as a label has it.
fn host(world: &World) -> String {
    world.api.url().split("://").nth(1).unwrap().trim_end_matches('/').to_owned()
}

/// A slice whose last change was triggered at a moment.
fn triggered(mut slice: Value, at: &str) -> Value {
    slice["metadata"]["annotations"] = json!({"endpoints.kubernetes.io/last-change-trigger-time": at});
    slice
}

#[test]
fn k275_a_change_is_timed_from_its_trigger_to_the_store() {
    // The wall clock stands at 2023-11-14T22:15:00Z.
    let clock = Clock::manual(Wall(1_700_000_100));
    let world = World::shop_with(Setup::default().word(METRICS).clock(clock.clone()));
    let count = |kind: &str| format!("{PROGRAMMING}_count{{service_kind=\"{kind}\"}}");
    let below = |kind: &str, le: &str| {
        value(page(&world), &format!("{PROGRAMMING}_bucket{{service_kind=\"{kind}\",le=\"{le}\"}}"))
    };
    assert_eq!(value(page(&world), &count("cluster_ip")), 0.0, "slices without the annotation");

    let at = "2023-11-14T22:14:59.7Z";
    world.api.apply(triggered(slice("shop", "web-1", "web", &["10.1.0.7"]), at));
    reaches(&world, &count("cluster_ip"), 1.0);
    assert_eq!((below("cluster_ip", "0.256"), below("cluster_ip", "0.512")), (0.0, 1.0));
    let sum = value(page(&world), &format!("{PROGRAMMING}_sum{{service_kind=\"cluster_ip\"}}"));
    assert!((sum - 0.3).abs() < 1e-6, "{sum}");

    clock.advance(Duration::from_secs(3));
    world.api.apply(triggered(slice("shop", "db-1", "db", &["10.1.0.8"]), at));
    reaches(&world, &count("headless_with_selector"), 1.0);
    assert_eq!(
        (below("headless_with_selector", "2.048"), below("headless_with_selector", "4.096")),
        (0.0, 1.0)
    );

    // A relist serves nothing anew.
    world.api.compact();
    world.api.fail_open_watches(410);
    reaches(&world, &format!("{LISTS}{{resource=\"endpointslices\"}}"), 2.0);
    assert_eq!(value(page(&world), &count("cluster_ip")), 1.0);
    assert_eq!(value(page(&world), &count("headless_with_selector")), 1.0);
}

#[test]
fn requests_are_counted_by_what_came_back() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]).on(Resource::Services));
    api.fault(Fault::Close.rule().calls(&[Call::InitialWatch]).on(Resource::Namespaces).times(1));
    let world = Setup::default().word(METRICS).timing(QUICK).start_synced(api);
    let host = host(&world);
    let requests = |code: &str| {
        value(page(&world), &format!("{REQUESTS}{{code=\"{code}\",method=\"GET\",host=\"{host}\"}}"))
    };
    assert_eq!((requests("422"), requests("<error>")), (1.0, 1.0));
    // A list by pages and its watch, two lists by watch.
    assert!(until(SYNC, || requests("200") >= 4.0).is_some());

    let all = requests("200") + requests("422") + requests("<error>");
    for family in [DURATION, LIMITER] {
        let count = value(page(&world), &format!("{family}_count{{verb=\"GET\",host=\"{host}\"}}"));
        assert!(count >= all, "{family}: {count} of {all}");
    }
    let failures = format!("{FAILURES}{{resource=\"namespaces\",reason=\"connection\"}}");
    assert_eq!(value(page(&world), &failures), 1.0);
    for resource in ["services", "namespaces", "endpointslices"] {
        assert_eq!(value(page(&world), &format!("{LISTS}{{resource=\"{resource}\"}}")), 1.0, "{resource}");
    }
}

#[test]
fn the_time_that_our_own_limits_take_is_counted() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let world = Setup::new(&["apiserver_qps 10", "apiserver_burst 1"]).word(METRICS).start_synced(api);
    let host = host(&world);
    let waited = value(page(&world), &format!("{LIMITER}_sum{{verb=\"GET\",host=\"{host}\"}}"));
    // Three requests at once, one of which needs no token that is still to come.
    assert!(waited > 0.1, "{waited}");
}

#[test]
fn a_head_that_does_not_come_fails_the_request() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let hang = api.fault(Fault::Hang.rule().on(Resource::Services).times(1));
    let timing = Timing { head: Duration::from_millis(200), ..Timing::default() };
    let world = Setup::default().word(METRICS).timing(timing).start_synced(api);
    assert_eq!(world.api.happened(hang), 1);
    let errors = format!("{REQUESTS}{{code=\"<error>\",method=\"GET\",host=\"{}\"}}", host(&world));
    assert_eq!(value(page(&world), &errors), 1.0);
}

#[test]
fn numbers_are_of_all_stores_together_and_outlive_a_reload() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let block = |zone: &str, labels: &str| {
        let url = api.url();
        format!(
            "{zone}:0 {{\n bind 127.0.0.1\n {METRICS}\n kubernetes {zone} {{\n endpoint {url}\n labels {labels}\n }}\n}}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let text = block("a.local", "app=web") + &block("b.local", "app=db");
    std::fs::write(&path, &text).unwrap();
    let options = ServeOptions { text, path: Some(path.clone()), ..ServeOptions::default() };
    let running = serve(options).unwrap();
    assert!(running.wait_synced(SYNC));
    let lists = || value(running.metrics()[0], &format!("{LISTS}{{resource=\"services\"}}"));
    assert_eq!(lists(), 2.0);
    // The stores of the first plan go, and their numbers stay.
    std::fs::write(&path, block("c.local", "app")).unwrap();
    running.reload();
    assert!(until(SYNC, || lists() >= 3.0).is_some(), "{}", lists());
    assert_eq!(lists(), 3.0);
}

#[test]
fn what_is_passed_over_is_counted_by_resource() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.edit(|cluster| cluster.plant(Resource::Services, "zzz", "bad", json!("no object")));
    let world = Setup::default().word(METRICS).start_synced(api);
    let series = "signpost_watch_passed_over_total{resource=\"services\"}";
    reaches(&world, series, 1.0);
    world.api.edit(|cluster| cluster.plant(Resource::Services, "zzz", "worse", json!(7)));
    reaches(&world, series, 2.0);
}
