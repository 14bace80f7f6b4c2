//! What both say at `/metrics` about an API server and its changes (rule K-275): the same series, and where counts differ.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use signpost::app::{ServeOptions, serve};
use signpost::time::Clock;

use crate::api::{Call, FakeApi, Fault, Resource, namespace, service, slice};
use crate::coredns::{CoreDns, free_port};
use crate::harness::PATIENCE;

/// The families that are compared begin so.
const FAMILIES: &str = "coredns_kubernetes_";

/// The numbers by series; labels are sorted, since their order says nothing.
fn scrape(addr: SocketAddr) -> BTreeMap<String, f64> {
    let mut stream = TcpStream::connect(addr).unwrap();
    // HTTP/1.0 has no chunks.
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let series = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let mut labels: Vec<&str> = labels.split(',').collect();
        labels.sort_unstable();
        (format!("{name} {}", labels.join(" ")), value.parse().unwrap())
    };
    text.lines().filter(|line| line.starts_with(FAMILIES)).map(series).collect()
}

/// How many changes were timed: those of ClusterIP Services and those of headless ones.
fn timed(addr: SocketAddr) -> (f64, f64) {
    let numbers = scrape(addr);
    let count = |kind: &str| {
        let series = format!("{FAMILIES}dns_programming_duration_seconds_count service_kind=\"{kind}\"");
        numbers.get(&series).copied().unwrap_or_default()
    };
    (count("cluster_ip"), count("headless_with_selector"))
}

/// Waits until so many changes were timed.
fn reaches(who: &str, addr: SocketAddr, wanted: (f64, f64)) {
    let clock = Clock::system();
    let start = clock.now();
    while timed(addr) != wanted {
        let passed = clock.now().since(start);
        assert!(passed < PATIENCE, "{who}: {:?}, not {wanted:?}", timed(addr));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A slice whose last change was triggered long ago.
fn triggered(mut slice: Value) -> Value {
    slice["metadata"]["annotations"] =
        json!({"endpoints.kubernetes.io/last-change-trigger-time": "2023-12-31T23:00:00.5Z"});
    slice
}

#[test]
fn the_numbers_about_an_api_server_have_the_same_series_and_differ_where_k275_says_so() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    let api = FakeApi::start();
    api.apply_all([
        namespace("shop"),
        service("shop", "web", "10.96.0.1"),
        service("shop", "db", "None"),
        service("shop", "out", "name=example.com"),
    ]);
    // Lists by pages: of those CoreDNS counts more than of lists by watch.
    api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
    let corefile = |port: u16, metrics: u16| {
        format!(
            ".:{port} {{\n bind 127.0.0.1\n prometheus 127.0.0.1:{metrics}\n kubernetes cluster.local {{\n endpoint {}\n }}\n}}\n",
            api.url()
        )
    };
    let metrics = Cell::new(0);
    let coredns = CoreDns::start(&binary, |port| {
        metrics.set(free_port());
        corefile(port, metrics.get())
    });
    let theirs = SocketAddr::from((Ipv4Addr::LOCALHOST, metrics.get()));
    let running = serve(ServeOptions { text: corefile(0, 0), ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(PATIENCE));
    let ours = running.metrics()[0];

    api.apply_all([
        triggered(slice("shop", "web-1", "web", &["10.1.0.1"])),
        triggered(slice("shop", "db-1", "db", &["10.1.0.2"])),
        triggered(slice("shop", "out-1", "out", &["10.1.0.3"])),
        triggered(slice("shop", "orphan-1", "orphan", &["10.1.0.4"])),
        slice("shop", "web-2", "web", &["10.1.0.5"]),
    ]);
    reaches("ours", ours, (1.0, 1.0));
    // The slice of the ExternalName is one of a ClusterIP to CoreDNS.
    reaches("CoreDNS", theirs, (2.0, 1.0));

    let series = |addr| scrape(addr).into_keys().collect::<BTreeSet<_>>();
    assert_eq!(series(ours), series(theirs));

    api.delete(Resource::EndpointSlices, "shop", "db-1");
    reaches("CoreDNS", theirs, (2.0, 2.0));
    assert_eq!(timed(ours), (1.0, 1.0), "a slice less");
    api.compact();
    api.fail_open_watches(410);
    reaches("CoreDNS", theirs, (4.0, 2.0));
    assert_eq!(timed(ours), (1.0, 1.0), "a relist");
    drop(coredns);
}
