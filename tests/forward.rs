//! `forward` end to end over real UDP (rules F-01 to F-07): options, files of its configuration, numbers.
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

mod harness;

#[path = "forward/accepted.rs"]
mod accepted;
#[path = "forward/upstream.rs"]
mod upstream;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use signpost::app::{Running, ServeOptions, serve};

use harness::{Ask, Client, PATIENCE, Via, start_unsynced};
use upstream::{Act, Upstream};

/// The addresses of three upstreams that can be told from each other.
const ONE: Act = Act::Addresses(&[[192, 0, 2, 1]]);
/// The second.
const TWO: Act = Act::Addresses(&[[192, 0, 2, 2]]);
/// The third.
const THREE: Act = Act::Addresses(&[[192, 0, 2, 3]]);
/// What a name that is not there gets.
const NXDOMAIN: Act = Act::Code(ResponseCode::NXDomain);
/// What an upstream in trouble says.
const SERVFAIL: Act = Act::Code(ResponseCode::ServFail);
/// What an upstream that may not says.
const REFUSED: Act = Act::Code(ResponseCode::Refused);

/// A server with one block of these lines.
fn server(lines: &str) -> Running {
    start_unsynced(&block(lines), ServeOptions::default())
}

/// A Corefile with one block of these lines.
fn block(lines: &str) -> String {
    format!(".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n {lines}\n}}\n")
}

/// A `forward` line for these upstreams with these options.
fn line(from: &str, upstreams: &[&Upstream], options: &str) -> String {
    let to: Vec<String> = upstreams.iter().map(|upstream| upstream.addr.to_string()).collect();
    format!("forward {from} {} {{\n{options}\n}}\n", to.join(" "))
}

/// Asks for an address; the code, the last number of each address, and the extended error.
fn ask(server: &Running, name: &str) -> String {
    let mut client = Client::new(Via::Udp, server.addresses()[0]);
    short(&client.ask(&Ask::parse(&format!("{name} A +rd +edns"))))
}

/// A reply in short: `NOERROR 1 2`, `SERVFAIL ede=23`.
fn short(reply: &str) -> String {
    let mut words = vec![reply.split_whitespace().next().unwrap_or_default().to_owned()];
    for line in reply.lines() {
        if let Some((_, address)) = line.split_once(" A ") {
            words.push(address.rsplit('.').next().unwrap_or_default().to_owned());
        }
        words.extend(line.split(' ').filter(|word| word.starts_with("ede=")).map(str::to_owned));
    }
    words.join(" ")
}

/// `/metrics` as a whole.
fn metrics(server: &Running) -> String {
    let mut stream = TcpStream::connect(server.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The value of one series.
fn metric(server: &Running, series: &str) -> Option<f64> {
    let text = metrics(server);
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

/// Waits until `done` says so.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

#[test]
fn names_of_from_are_asked_for_and_those_of_except_are_not() {
    let (one, two) = (Upstream::start(ONE), Upstream::start(TWO));
    let lines = line("a.test", &[&one], "except x.a.test") + &line(".", &[&two], "except none.test");
    let server = server(&lines);
    assert_eq!(ask(&server, "www.a.test."), "NOERROR 1");
    assert_eq!(ask(&server, "www.x.a.test."), "NOERROR 2", "the next line of the file");
    assert_eq!(ask(&server, "www.b.test."), "NOERROR 2");
    let outside = ask(&server, "www.none.test.");
    assert!(!outside.starts_with("NOERROR"), "{outside}");
    assert_eq!((one.asked().len(), two.asked().len()), (1, 2));
}

#[test]
fn a_sequential_line_asks_the_first_and_others_spread() {
    let share = |policy: &str| {
        let (one, two) = (Upstream::start(ONE), Upstream::start(TWO));
        let server = server(&line(".", &[&one, &two], &format!("policy {policy}")));
        for name in 0..60 {
            assert!(ask(&server, &format!("h{name}.test.")).starts_with("NOERROR"));
        }
        (one.asked().len(), two.asked().len())
    };
    // What the second one is asked are hedges.
    let (one, two) = share("sequential");
    assert!(one >= 60 && two < 30, "{one} {two}");
    for policy in ["round_robin", "random"] {
        let (one, two) = share(policy);
        // No more than that is sure: on a busy machine one of them may look slow, and is spared.
        assert!(one > 0 && two > 0, "{policy}: {one} {two}");
    }
}

#[test]
fn next_goes_to_a_line_behind_that_is_about_the_name() {
    let (one, two, three) = (Upstream::start(NXDOMAIN), Upstream::start(NXDOMAIN), Upstream::start(THREE));
    let next = "next NXDOMAIN";
    let lines = line(".", &[&one], next) + &line("a.test", &[&two], next) + &line("b.test", &[&three], next);
    let server = server(&lines);
    assert_eq!(ask(&server, "www.b.test."), "NOERROR 3");
    assert_eq!(ask(&server, "www.a.test."), "NXDOMAIN", "the last line about the name has the last word");
    assert_eq!(ask(&server, "www.c.test."), "NXDOMAIN", "no line behind is about the name");
    assert_eq!((one.asked().len(), two.asked().len(), three.asked().len()), (3, 1, 1));
    one.act(REFUSED);
    assert_eq!(ask(&server, "other.b.test."), "REFUSED", "another code stays");
    three.act(NXDOMAIN);
    one.act(NXDOMAIN);
    assert_eq!(ask(&server, "third.b.test."), "NXDOMAIN", "`next` on the last line means nothing");
}

#[test]
fn next_on_nodata_goes_on_when_there_is_no_data() {
    let (one, two) = (Upstream::start(Act::Nothing), Upstream::start(TWO));
    let with = server(&(line(".", &[&one], "next_on_nodata") + &line(".", &[&two], "")));
    assert_eq!(ask(&with, "www.test."), "NOERROR 2");
    let without = server(&(line(".", &[&one], "next NXDOMAIN") + &line(".", &[&two], "")));
    assert_eq!(ask(&without, "www.test."), "NOERROR");
    one.act(NXDOMAIN);
    assert_eq!(ask(&with, "other.test."), "NXDOMAIN");
}

#[test]
fn failover_asks_every_upstream_and_without_it_one_more() {
    let (one, two, three) = (Upstream::start(SERVFAIL), Upstream::start(SERVFAIL), Upstream::start(THREE));
    let all = [&one, &two, &three];
    // Each asked of a server that knows nothing of its upstreams yet, and so does not hedge.
    let with = |name: &str| {
        let options = "policy sequential\nfailover SERVFAIL NXDOMAIN";
        ask(&server(&line(".", &all, options)), name)
    };
    assert_eq!(with("a.test."), "NOERROR 3");
    two.act(NXDOMAIN);
    assert_eq!(with("b.test."), "NOERROR 3");
    three.act(REFUSED);
    assert_eq!(with("c.test."), "REFUSED", "the last answer");
    two.act(SERVFAIL);
    three.act(THREE);
    let plain = server(&line(".", &all, "policy sequential"));
    let reply = ask(&plain, "d.test.");
    // On a busy machine the second one may look slow, and the third is asked as a hedge.
    if metric(&plain, &format!("signpost_upstream_hedged_total{{to=\"{}\"}}", three.addr)) == Some(0.0) {
        assert_eq!(reply, "SERVFAIL");
        assert_eq!(three.asked().iter().filter(|asked| asked.name == "d.test.").count(), 0);
    }
}

#[test]
fn more_than_max_concurrent_are_servfail_with_the_reason() {
    let one = Upstream::start(Act::Silence);
    let server = server(&line(".", &[&one], "max_concurrent 1"));
    let mut first = Client::new(Via::Udp, server.addresses()[0]);
    first.send(&Ask::parse("held.test. A +rd").bytes(1));
    until("the first question", || !one.asked().is_empty());
    assert_eq!(ask(&server, "more.test."), "SERVFAIL ede=23");
    assert_eq!(metric(&server, "coredns_forward_max_concurrent_rejects_total"), Some(1.0));
    assert!(one.asked().iter().all(|asked| asked.name == "held.test."));
    // The same question is no other one: it waits for the same answer.
    let mut second = Client::new(Via::Udp, server.addresses()[0]);
    second.send(&Ask::parse("held.test. A +rd").bytes(2));
    until("the other one to join", || metric(&server, "signpost_forward_coalesced_total") == Some(1.0));
    one.act(ONE);
    // Whoever was silent is asked again.
    for client in [&mut first, &mut second] {
        let reply = client.receive(PATIENCE).expect("a reply");
        assert_eq!(reply.get(3).map(|byte| byte & 15), Some(0), "{reply:?}");
    }
    assert_eq!(ask(&server, "more.test."), "NOERROR 1", "the place is free again");
}

#[test]
fn an_upstream_that_fails_is_put_aside_and_a_probe_brings_it_back() {
    let addr = Upstream::start(ONE).addr;
    // Nobody is there now: the kernel says so at once.
    let server = server(&format!(
        "forward . {addr} {{\n health_check 50ms no_rec domain health.test\n failfast_all_unhealthy_upstreams\n}}"
    ));
    let up = format!("signpost_upstream_up{{to=\"{addr}\"}}");
    let mut name = 0;
    until("it is put aside", || {
        name += 1;
        assert_eq!(ask(&server, &format!("h{name}.test.")), "SERVFAIL ede=22");
        metric(&server, &up) == Some(0.0)
    });
    let broken = "coredns_forward_healthcheck_broken_total";
    let before = metric(&server, broken).unwrap();
    assert_eq!(ask(&server, "failfast.test."), "SERVFAIL ede=22");
    // A probe may have found it alive in between, were there anybody.
    assert_eq!(metric(&server, broken), Some(before + 1.0));
    let failures =
        format!("coredns_proxy_healthcheck_failures_total{{proxy_name=\"forward\",to=\"{addr}\"}}");
    until("a probe that fails", || metric(&server, &failures).unwrap_or(0.0) > 0.0);

    let back = Upstream::at(addr, ONE);
    until("a probe finds it", || metric(&server, &up) == Some(1.0));
    assert_eq!(ask(&server, "back.test."), "NOERROR 1");
    let probes = back.probes();
    assert!(probes.iter().any(|probe| probe.name == "health.test." && !probe.recursion), "{probes:?}");
    assert!(back.asked().iter().all(|asked| asked.name != "failfast.test."));
}

#[test]
fn queries_and_probes_leave_from_the_source_address() {
    let (one, two) = (Upstream::start(ONE), Upstream::start(SERVFAIL));
    let server = server(&line(".", &[&one, &two], "policy sequential\nsource_address 127.0.0.2"));
    assert_eq!(ask(&server, "www.test."), "NOERROR 1");
    assert_eq!(one.clients(), ["127.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn letters_are_mixed_on_the_way_and_the_client_gets_its_own() {
    let one = Upstream::start(ONE);
    let server = server(&line(".", &[&one], "case_randomization\nfresh_port"));
    for name in 0..8 {
        let mut client = Client::new(Via::Udp, server.addresses()[0]);
        let name = format!("Some-Long-Name-{name}.test.");
        let reply = client.ask(&Ask::parse(&format!("{name} A +rd")));
        assert!(reply.contains("answer @ 60 A 192.0.2.1"), "{reply}");
    }
    let asked = one.asked();
    assert!(asked.iter().any(|asked| !asked.name.starts_with("Some-Long-Name-")), "{asked:?}");
    let mut ports: Vec<u16> = asked.iter().map(|asked| asked.from.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), asked.len(), "a port for each query");
}

#[test]
fn private_addresses_are_denied_where_the_line_says_so() {
    let one = Upstream::start(Act::Addresses(&[[10, 0, 0, 7]]));
    let denied = server(&line(".", &[&one], "private_addresses deny"));
    let plain = server(&line(".", &[&one], ""));
    assert_eq!(ask(&denied, "a.test."), "NOERROR ede=15");
    assert_eq!(ask(&plain, "a.test."), "NOERROR 7");
    one.act(Act::Addresses(&[[10, 0, 0, 7], [192, 0, 2, 1], [169, 254, 169, 254]]));
    assert_eq!(ask(&denied, "b.test."), "NOERROR 1");
    one.act(ONE);
    assert_eq!(ask(&denied, "c.test."), "NOERROR 1");
}

#[test]
fn a_host_name_is_looked_up_and_one_that_leads_nowhere_is_an_error_with_its_place() {
    let one = Upstream::start(ONE);
    let server = server(&format!("forward . localhost:{}", one.addr.port()));
    assert_eq!(ask(&server, "www.test."), "NOERROR 1");
    let resolver = Upstream::start(NXDOMAIN);
    let text = block(&format!("forward . dns.example {{\n resolver {}\n}}", resolver.addr));
    let Err(error) = serve(ServeOptions { text, ..ServeOptions::default() }) else { panic!("it starts") };
    let error = error.to_string();
    assert!(error.starts_with("Corefile:4:12: forward: `dns.example` can't be looked up: "), "{error}");
    assert!(resolver.asked().iter().any(|asked| asked.name == "dns.example."), "{:?}", resolver.asked());
}

#[test]
fn files_that_cannot_be_used_are_errors_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "search a.test\n").unwrap();
    for (path, said) in [
        (folder.path().join("none"), "No such file or directory (os error 2)"),
        (empty, "it names no server"),
    ] {
        let text = block(&format!("forward . {}", path.display()));
        let Err(error) = serve(ServeOptions { text, ..ServeOptions::default() }) else { panic!("it starts") };
        let expected = format!("Corefile:4:12: forward: `{}` can't be used: {said}", path.display());
        assert_eq!(error.to_string().lines().next(), Some(expected.as_str()));
    }
    let text = block("forward . tls://127.0.0.1 {\n tls /nowhere/ca.pem\n}");
    let Err(error) = serve(ServeOptions { text, ..ServeOptions::default() }) else { panic!("it starts") };
    let error = error.to_string();
    assert!(error.starts_with("Corefile:5:2: forward: `/nowhere/ca.pem` can't be read: "), "{error}");
}

#[test]
fn numbers_stand_under_coredns_names_and_outlive_a_reload() {
    let one = Upstream::start(ONE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let text = block(&line(".", &[&one], ""));
    std::fs::write(&path, &text).unwrap();
    let options = ServeOptions { text, path: Some(path.clone()), ..ServeOptions::default() };
    let server = serve(options).unwrap();
    for name in ["a.test.", "b.test."] {
        assert_eq!(ask(&server, name), "NOERROR 1");
    }
    one.act(NXDOMAIN);
    assert_eq!(ask(&server, "c.test."), "NXDOMAIN");
    let to = format!("to=\"{}\"", one.addr);
    let check = || {
        for (series, value) in [
            (format!("coredns_forward_requests_total{{{to}}}"), 3.0),
            (format!("coredns_forward_responses_total{{{to},rcode=\"NOERROR\"}}"), 2.0),
            (format!("coredns_forward_responses_total{{{to},rcode=\"NXDOMAIN\"}}"), 1.0),
            (format!("coredns_forward_request_duration_seconds_count{{{to},rcode=\"NOERROR\"}}"), 2.0),
            (format!("coredns_forward_healthcheck_failures_total{{{to}}}"), 0.0),
            (
                format!(
                    "coredns_proxy_request_duration_seconds_count{{proxy_name=\"forward\",{to},rcode=\"NXDOMAIN\"}}"
                ),
                1.0,
            ),
            (format!("coredns_proxy_healthcheck_failures_total{{proxy_name=\"forward\",{to}}}"), 0.0),
            (
                format!("coredns_proxy_conn_cache_misses_total{{proxy_name=\"forward\",{to},proto=\"udp\"}}"),
                3.0,
            ),
            ("coredns_forward_healthcheck_broken_total".to_owned(), 0.0),
            ("coredns_forward_max_concurrent_rejects_total".to_owned(), 0.0),
            (format!("signpost_upstream_queries_total{{{to}}}"), 3.0),
            (format!("signpost_upstream_timeouts_total{{{to}}}"), 0.0),
            (format!("signpost_upstream_errors_total{{{to}}}"), 0.0),
            (format!("signpost_upstream_mismatches_total{{{to}}}"), 0.0),
            (format!("signpost_upstream_late_total{{{to}}}"), 0.0),
            (format!("signpost_upstream_hedged_total{{{to}}}"), 0.0),
            ("signpost_forward_coalesced_total".to_owned(), 0.0),
        ] {
            assert_eq!(metric(&server, &series), Some(value), "{series}\n{}", metrics(&server));
        }
    };
    check();
    assert_eq!(metric(&server, &format!("signpost_upstream_up{{{to}}}")), Some(1.0));
    assert!(metric(&server, &format!("signpost_upstream_rtt_seconds{{{to}}}")).unwrap() > 0.0);
    assert_eq!(metric(&server, &format!("signpost_upstream_lost_ratio{{{to}}}")), Some(0.0));

    // Nobody asks it any more: its gauges go, its counters stay.
    std::fs::write(&path, block("whoami")).unwrap();
    server.reload();
    until("the upstream goes", || metric(&server, &format!("signpost_upstream_up{{{to}}}")).is_none());
    check();
    // It comes back in another line: its counters go on.
    one.act(TWO);
    std::fs::write(&path, block(&line(".", &[&one], "expire 20s"))).unwrap();
    server.reload();
    until("the upstream is back", || ask(&server, "d.test.") == "NOERROR 2");
    assert_eq!(metric(&server, &format!("coredns_forward_requests_total{{{to}}}")), Some(4.0));
}
