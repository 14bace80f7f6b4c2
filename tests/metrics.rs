//! What `/metrics` says beside the tallies of zones: queries outside of any block, the server's own requests for `/health`,
//! and lines that were lost.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use signpost::app::{Running, ServeOptions, serve};
use signpost::wire::parse_name;

/// How long something may take that has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of this Corefile.
fn start(text: &str) -> Running {
    serve(ServeOptions { text: text.to_owned(), ..ServeOptions::default() }).unwrap()
}

/// A query in wire form.
fn query(name: &str, qtype: u16, qclass: u16) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&parse_name(name).unwrap());
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&qclass.to_be_bytes());
    bytes
}

/// Asks over UDP; the code of the reply.
fn ask(server: SocketAddr, message: &[u8]) -> u8 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(message, server).unwrap();
    let mut reply = [0; 1232];
    let length = socket.recv(&mut reply).unwrap();
    assert!(length >= 12);
    reply[3] & 15
}

/// The values of `/metrics` whose lines contain all of `parts`, sorted.
fn lines(running: &Running, parts: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let mut found: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))
        .map(ToOwned::to_owned)
        .collect();
    found.sort();
    found
}

#[test]
fn queries_outside_of_any_block_are_counted_as_dropped_where_a_block_is_counted() {
    let running = start("example.org:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n whoami\n}\n");
    let server = running.addresses()[0];
    assert_eq!(ask(server, &query("a.example.org.", 1, 1)), 0);
    let dropped = "zone=\"dropped\"";
    assert_eq!(lines(&running, &["coredns_dns_requests_total{", dropped]), [""; 0]);
    // No block, another class; over both transports.
    assert_eq!(ask(server, &query("a.example.com.", 28, 1)), 5);
    assert_eq!(ask(server, &query("a.example.org.", 16, 3)), 5);
    let message = query("b.example.com.", 28, 1);
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    // What is no query is in no family (as in CoreDNS).
    assert_eq!(ask(server, &[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), 1);
    let labels = "{server=\"dns://127.0.0.1:0\",zone=\"dropped\",view=\"\"";
    assert_eq!(
        lines(&running, &["coredns_dns_requests_total{", dropped]),
        [
            format!("coredns_dns_requests_total{labels},proto=\"tcp\",family=\"1\",type=\"AAAA\"}} 1"),
            format!("coredns_dns_requests_total{labels},proto=\"udp\",family=\"1\",type=\"AAAA\"}} 1"),
            format!("coredns_dns_requests_total{labels},proto=\"udp\",family=\"1\",type=\"TXT\"}} 1"),
        ]
    );
    assert_eq!(
        lines(&running, &["coredns_dns_responses_total{", dropped]),
        [format!("coredns_dns_responses_total{labels},rcode=\"REFUSED\",plugin=\"\"}} 3")]
    );
    for family in [
        "coredns_dns_request_duration_seconds_count{",
        "coredns_dns_request_size_bytes_count{",
        "coredns_dns_response_size_bytes_count{",
    ] {
        let counts = lines(&running, &[family, dropped]);
        let sum: u64 = counts.iter().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
        assert_eq!(sum, 3, "{family} {counts:?}");
    }
    assert_eq!(lines(&running, &["coredns_dns_requests_total{", "zone=\"example.org.\""]).len(), 1);
}

#[test]
fn queries_that_get_no_reply_are_requests_without_a_response() {
    let running = start(
        "example.org:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n acl {\n drop type TXT\n }\n whoami\n}\n",
    );
    let server = running.addresses()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        socket.send_to(&query("a.example.org.", 16, 1), server).unwrap();
    }
    let zone = "zone=\"example.org.\"";
    let requests = || lines(&running, &["coredns_dns_requests_total{", zone, "type=\"TXT\""]);
    let start = Instant::now();
    while requests().first().is_none_or(|line| !line.ends_with(" 3")) {
        assert!(start.elapsed() < PATIENCE, "{:?}", requests());
    }
    let count = |family: &str| {
        let found = lines(&running, &[family, zone]);
        found.iter().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>()
    };
    assert_eq!(count("coredns_dns_request_duration_seconds_count{"), 3);
    assert_eq!(count("coredns_dns_request_size_bytes_count{"), 3);
    assert_eq!(count("coredns_dns_response_size_bytes_count{"), 0);
    assert_eq!(lines(&running, &["coredns_dns_responses_total{", zone]), [""; 0]);
    // The one that is answered is a response.
    assert_eq!(ask(server, &query("a.example.org.", 1, 1)), 0);
    assert_eq!(count("coredns_dns_responses_total{"), 1);
    assert_eq!(count("coredns_dns_request_duration_seconds_count{"), 4);
}

#[test]
fn a_listener_without_prometheus_counts_nothing_as_dropped() {
    let other = "127.0.0.2";
    let running = start(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n whoami\n}}\nexample.org:0 {{\n bind {other}\n whoami\n}}\n"
    ));
    let server = running.addresses().into_iter().find(|addr| addr.ip().to_string() == other).unwrap();
    assert_eq!(ask(server, &query("a.example.com.", 1, 1)), 5);
    assert_eq!(lines(&running, &["dns_requests_total{", "dropped"]), [""; 0]);
    assert_eq!(lines(&running, &[other]), lines(&running, &[other, "coredns_plugin_enabled"]));
}

#[test]
fn the_server_asks_its_own_health_where_the_word_stands() {
    let running = start(". {\n bind 127.0.0.1\n health 127.0.0.1:0\n prometheus 127.0.0.1:0\n whoami\n}\n");
    let start = Instant::now();
    let count = "coredns_health_request_duration_seconds_count ";
    while lines(&running, &[count]) == [format!("{count}0")] {
        assert!(start.elapsed() < PATIENCE, "no request within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let failures = "coredns_health_request_failures_total ";
    assert_eq!(lines(&running, &[failures]), [format!("{failures}0")]);
    let bounds: Vec<String> = lines(&running, &["coredns_health_request_duration_seconds_bucket{le="])
        .iter()
        .filter_map(|line| Some(line.split('"').nth(1)?.to_owned()))
        .collect();
    assert_eq!(bounds, ["+Inf", "0.00025", "0.0025", "0.025", "0.25", "2.5"]);
}

#[test]
fn without_health_there_is_no_family_of_it_and_lost_lines_are_always_counted() {
    let running = start(". {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n whoami\n}\n");
    assert_eq!(lines(&running, &["coredns_health_"]), [""; 0]);
    assert_eq!(lines(&running, &["signpost_log_dropped_total"]), ["signpost_log_dropped_total 0"]);
}
