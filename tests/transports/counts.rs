//! What is counted of queries, whatever they came over and whichever thread they came to: each once (S-45).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::encrypted::Over;
use crate::harness::{Ask, Client, Via};
use crate::rig::Rig;

/// How many connections are made over each transport; the kernel spreads them over the threads.
const CONNECTIONS: u64 = 8;

/// How many questions of each kind are asked over each connection.
const QUESTIONS: u64 = 3;

/// All values of a family whose labels hold these, added up.
fn sum(text: &str, family: &str, labels: &[&str]) -> u64 {
    let series = text.lines().filter(|line| {
        line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// The text of /metrics.
fn scrape(rig: &Rig) -> String {
    let mut stream = TcpStream::connect(rig.running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn s45_what_is_counted_is_exact_over_every_transport() {
    let lines = "local\n acl blocked.test {\n block\n }\n prometheus 127.0.0.1:0\n";
    let rig = Rig::with(lines, |options| options.workers = 4);
    // Each is counted by a word that answers it itself.
    let (local, blocked, hosts) =
        (Ask::parse("localhost.example. A"), Ask::parse("x.blocked.test. A"), Ask::parse("a.test. A"));
    let mut connections = 0;
    for over in Over::all() {
        for _ in 0..CONNECTIONS {
            let mut asker = rig.asker(over);
            for id in 0..QUESTIONS {
                for ask in [&local, &blocked, &hosts] {
                    let reply = asker.ask(&ask.bytes(u16::try_from(id).unwrap()));
                    assert!(reply.is_some(), "{over:?} {ask:?}");
                }
            }
            assert_eq!(asker.connects, 1, "{over:?}: asked once, and not again over another connection");
            connections += 1;
        }
    }
    for via in [Via::Udp, Via::Tcp] {
        for _ in 0..CONNECTIONS {
            let mut client = Client::new(via, rig.running.addresses()[0]);
            for _ in 0..QUESTIONS {
                for ask in [&local, &blocked, &hosts] {
                    client.ask(ask);
                }
            }
            connections += 1;
        }
    }
    let text = scrape(&rig);
    let each = connections * QUESTIONS;
    assert_eq!(sum(&text, "coredns_local_localhost_requests_total", &[]), each);
    assert_eq!(sum(&text, "coredns_acl_blocked_requests_total", &[]), each);
    // Over TLS a client asks for the root's NS behind each question, to know when there is no reply: those pass.
    let over_tls = 2 * CONNECTIONS * QUESTIONS * 3;
    assert_eq!(sum(&text, "coredns_acl_allowed_requests_total", &[]), 2 * each + over_tls);
    assert_eq!(sum(&text, "coredns_dns_requests_total", &["type=\"A\""]), 3 * each);
    assert_eq!(sum(&text, "coredns_dns_responses_total", &["plugin=\"acl\"", "rcode=\"REFUSED\""]), each);
    assert_eq!(sum(&text, "coredns_dns_request_duration_seconds_count", &[]), 3 * each + over_tls);
}
