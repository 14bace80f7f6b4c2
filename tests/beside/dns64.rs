//! `dns64` (rule S-20).

use hickory_proto::op::Edns;
use hickory_proto::rr::RecordType::{A, AAAA};

use super::world::{Upstream, ask, exchange, metrics, query, show, start};

/// What the upstream holds.
const LINES: &str = "\
v4.test. 300 A 192.0.2.1
v4.test. 300 A 192.0.2.2
v6.test. 300 AAAA 2001:db8::1
both.test. 300 A 192.0.2.3
both.test. 300 AAAA 2001:db8::3
short.test. 7 A 192.0.2.4
alias.test. 500 CNAME v4.test.
mapped.test. 300 A 192.0.2.5
mapped.test. 300 AAAA ::ffff:192.0.2.5
old.test. NOTIMP AAAA
old.test. 900 A 192.0.2.6
broken.test. SERVFAIL A
broken.test. 300 AAAA ::ffff:1.2.3.4
bad.test. SERVFAIL
";

/// Starts an upstream, and a server with this line.
fn world(line: &str) -> (Upstream, signpost::app::Running) {
    let upstream = Upstream::start(LINES);
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1 ::1\n prometheus 127.0.0.1:0\n loadbalance\n {line}\n \
         forward . {}\n}}\n",
        upstream.addr()
    ));
    (upstream, running)
}

#[test]
fn names_without_ipv6_get_addresses_made_of_ipv4() {
    let (upstream, running) = world("dns64 {\n allow_ipv4\n }");
    let server = running.addresses()[0];
    let reply = ask(server, "v4.test.", AAAA);
    // 60 is the TTL of the SOA: so long there is surely no AAAA (RFC 6147 5.1.7).
    for record in ["v4.test. 60 AAAA 64:ff9b::c000:201", "v4.test. 60 AAAA 64:ff9b::c000:202"] {
        assert!(reply.contains(record), "{reply}");
    }
    assert_eq!(reply.matches('|').count(), 2, "{reply}");
    assert_eq!(ask(server, "short.test.", AAAA), "NoError | short.test. 7 AAAA 64:ff9b::c000:204");
    assert_eq!(ask(server, "v6.test.", AAAA), "NoError | v6.test. 300 AAAA 2001:db8::1");
    assert_eq!(ask(server, "both.test.", AAAA), "NoError | both.test. 300 AAAA 2001:db8::3");
    for name in ["v6.test. A", "both.test. A"] {
        assert!(!upstream.asked.lock().contains(name), "nothing is asked that is not needed");
    }
    let reply = ask(server, "alias.test.", AAAA);
    assert!(
        reply.starts_with("NoError | alias.test. 500 CNAME v4.test. | v4.test. 60 AAAA 64:ff9b::c000:20"),
        "{reply}"
    );
    assert_eq!(ask(server, "mapped.test.", AAAA), "NoError | mapped.test. 300 AAAA 64:ff9b::c000:205");
    // A server that does not know the type; without an SOA 600 seconds are the most.
    assert_eq!(ask(server, "old.test.", AAAA), "NoError | old.test. 600 AAAA 64:ff9b::c000:206");
    // Other types are left alone.
    assert!(ask(server, "v4.test.", A).contains("300 A 192.0.2.1"));

    assert!(ask(server, "missing.test.", AAAA).starts_with("NXDomain | authority test. 60 SOA"));
    assert!(!upstream.asked.lock().contains("missing.test. A"));
    assert_eq!(ask(server, "bad.test.", AAAA), "ServFail");
    // Whether there is an address is unknown: not "there is none".
    assert_eq!(ask(server, "broken.test.", AAAA), "ServFail");

    let translated = metrics(&running, "coredns_dns64_requests_translated_total{");
    let expected = "coredns_dns64_requests_translated_total{server=\"dns://127.0.0.1:0\"} 5";
    assert_eq!(translated, [expected]);
    let answered = metrics(&running, "coredns_dns_responses_total{");
    assert!(answered.iter().all(|line| line.contains("plugin=\"forward\"")), "{answered:?}");
}

#[test]
fn only_clients_that_come_over_ipv6_are_served_unless_the_line_says() {
    let (_upstream, running) = world("dns64 2001:db8:64::/96");
    let addresses = running.addresses();
    assert!(ask(addresses[0], "short.test.", AAAA).starts_with("NoError | authority test. 60 SOA"));
    let Some(six) = addresses.iter().find(|addr| addr.is_ipv6()) else { return };
    assert_eq!(ask(*six, "short.test.", AAAA), "NoError | short.test. 7 AAAA 2001:db8:64::c000:204");
}

#[test]
fn translate_all_hides_ipv6_addresses_that_are_there() {
    let (_upstream, running) = world("dns64 {\n allow_ipv4\n translate_all\n prefix 2001:db8:1::/64\n }");
    let server = running.addresses()[0];
    assert_eq!(ask(server, "both.test.", AAAA), "NoError | both.test. 300 AAAA 2001:db8:1:0:c0:2:300:0");
    assert_eq!(
        ask(server, "v6.test.", AAAA),
        "NoError | v6.test. 300 AAAA 2001:db8::1",
        "there is nothing else"
    );
}

#[test]
fn who_validates_gets_what_there_is() {
    let (_upstream, running) = world("dns64 {\n allow_ipv4\n }");
    let server = running.addresses()[0];
    for (checks, dnssec, made) in [(true, false, true), (false, true, true), (true, true, false)] {
        let mut message = query("short.test.", AAAA);
        message.metadata.checking_disabled = checks;
        let mut edns = Edns::new();
        edns.set_dnssec_ok(dnssec).set_max_payload(1232);
        message.set_edns(edns);
        let reply = show(&exchange(server, &message).unwrap().0);
        assert_eq!(reply.contains("64:ff9b::c000:204"), made, "CD {checks}, DO {dnssec}: {reply}");
    }
}

#[test]
fn local_names_are_translated_too() {
    let running = start(
        ".:0 {\n bind 127.0.0.1\n dns64 {\n allow_ipv4\n }\n hosts none {\n 10.0.0.1 a.test\n 10.0.0.2 b.test\n fd00::2 b.test\n }\n}\n",
    );
    let server = running.addresses()[0];
    assert_eq!(ask(server, "A.test.", AAAA), "NoError | A.test. 600 AAAA 64:ff9b::a00:1");
    assert_eq!(ask(server, "b.test.", AAAA), "NoError aa | b.test. 3600 AAAA fd00::2");
    assert_eq!(ask(server, "c.test.", AAAA), "ServFail");
}

#[test]
fn both_halves_come_from_the_cache() {
    let upstream = Upstream::start(LINES);
    let to = upstream.addr();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n dns64 {{\n allow_ipv4\n }}\n cache 30\n forward . {to}\n}}\n"
    ));
    let server = running.addresses()[0];
    let made =
        |reply: &str| reply.starts_with("NoError | old.test. ") && reply.ends_with(" AAAA 64:ff9b::c000:206");
    let made_short = |reply: &str| reply.ends_with(" AAAA 64:ff9b::c000:204");
    assert!(made_short(&ask(server, "short.test.", AAAA)));
    assert!(made(&ask(server, "old.test.", AAAA)));
    upstream.asked.lock().clear();
    assert!(made_short(&ask(server, "short.test.", AAAA)));
    assert!(!upstream.was_asked("short.test."), "{:?}", upstream.asked.lock());
}
