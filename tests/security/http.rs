//! HTTP for operators, over real sockets: squatters keep nobody out, and each that was cut is counted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use signpost::app::{Running, ServeOptions, serve};

/// A server with all words for operators.
fn start() -> Running {
    let text = ".:0 {\n bind 127.0.0.1\n health 127.0.0.1:0\n ready 127.0.0.1:0\n prometheus 127.0.0.1:0\n whoami\n}\n";
    serve(ServeOptions { text: text.to_owned(), ..ServeOptions::default() }).unwrap()
}

/// Fetches a page: the whole answer.
fn fetch(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A number of `/metrics`.
fn metric(running: &Running, name: &str) -> u64 {
    let page = fetch(running.metrics()[0], "/metrics");
    let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is there")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn s51_two_hundred_squatters_keep_no_probe_and_no_scrape_out() {
    let running = start();
    for (addr, path) in [(running.health().unwrap(), "/health"), (running.ready().unwrap(), "/ready")] {
        let squatters: Vec<TcpStream> = (0..200)
            .map(|_| {
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.write_all(b"GET /hea").unwrap();
                stream
            })
            .collect();
        for _ in 0..20 {
            assert!(fetch(addr, path).starts_with("HTTP/1.1 200 OK"), "{path}");
        }
        drop(squatters);
    }
    // 64 connections of each endpoint stay; every other one is counted, those of the server's own look among them.
    let cut = metric(&running, "signpost_http_connections_cut_total");
    assert!(cut >= 2 * (200 - 64), "{cut}");
    assert_eq!(metric(&running, "coredns_panics_total"), 0);
}

#[test]
fn s51_a_client_that_reads_nothing_delays_no_other() {
    let running = start();
    let addr = running.metrics()[0];
    let mut deaf: Vec<TcpStream> = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100)).unwrap();
        deaf.push(stream);
    }
    assert!(fetch(addr, "/metrics").contains("coredns_build_info"));
    drop(deaf);
}

#[test]
fn endpoints_for_operators_answer_their_own_path_alone() {
    let running = start();
    let status = |addr: SocketAddr, path: &str| fetch(addr, path).split(' ').nth(1).unwrap().to_owned();
    let (health, ready, metrics) =
        (running.health().unwrap(), running.ready().unwrap(), running.metrics()[0]);
    for path in
        ["/", "/debug/pprof/", "/config", "/Corefile", "/../etc/passwd", "/admin", "/health/x", "//health"]
    {
        for addr in [health, ready, metrics] {
            assert_eq!(status(addr, path), "404", "{addr} {path}");
        }
    }
    assert_eq!((status(health, "/ready"), status(health, "/metrics")), ("404".to_owned(), "404".to_owned()));
    assert_eq!((status(ready, "/health"), status(ready, "/explain")), ("404".to_owned(), "404".to_owned()));
    assert_eq!(status(metrics, "/health"), "404");
}
