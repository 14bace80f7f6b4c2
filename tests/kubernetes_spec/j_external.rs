//! Section J: Services under a zone for the outside (K-290 to K-292).

use std::fmt::Write as _;
use std::path::Path;

use signpost::app::Running;

use super::harness::{Ask, Client, expand, fixtures, start};
use super::table::Row;

/// Asks rows of the zone `example.org`, whose SOA is not the cluster's.
pub(crate) fn check_outside(running: &Running, ttl: u32, rows: &[Row]) {
    let mut wrong = String::new();
    for client in &mut Client::all(&running.addresses()) {
        for (rule, question, short) in rows {
            let ask = Ask::parse(question);
            let mut want = String::new();
            for line in expand(short, &ask, ttl).lines() {
                let line =
                    line.replace("SOA ns.dns.", "SOA ns1.dns.").replace(" hostmaster.", " hostmaster.dns.");
                let _ = writeln!(want, "{line}");
            }
            let got = client.ask(&ask);
            if got != want {
                let _ = writeln!(wrong, "{rule}  {question}  {:?}\nwant {want}got  {got}", client.via);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A server with the stanza in these words, beside the cluster of a folder, and where names outside lead.
pub(crate) fn outside(folder: &Path, external: &str, options: &[&str]) -> Running {
    let mut text = format!(". {{\n    bind 127.0.0.1 ::1\n    {external}\n    kubernetes cluster.local {{\n");
    let _ = writeln!(text, "        manifests {}", folder.display());
    for option in options {
        let _ = writeln!(text, "        {option}");
    }
    text.push_str("    }\n    whoami\n}\n");
    text.push_str(
        "example.net {\n    bind 127.0.0.1 ::1\n    hosts {\n        192.0.2.77 lb.example.net\n    }\n}\n",
    );
    start(&text)
}

#[test]
fn services_are_found_by_their_addresses_outside() {
    let running = outside(&fixtures("beyond"), "k8s_external example.org in-addr.arpa ip6.arpa", &[]);
    check_outside(
        &running,
        5,
        &[
            ("K-290", "web.shop.example.org. A", "@ A 192.0.2.10; @ A 192.0.2.11"),
            ("K-290", "WEB.Shop.Example.org. AAAA", "@ AAAA 2001:db8::10"),
            (
                "K-290",
                "_http._tcp.web.shop.example.org. SRV",
                "@ SRV 0 25 80 web.shop.example.org.; +web.shop.example.org. A 192.0.2.10; \
                 +web.shop.example.org. A 192.0.2.11; +web.shop.example.org. AAAA 2001:db8::10",
            ),
            (
                "K-290",
                "web.shop.example.org. SRV",
                "@ SRV 0 8 80 web.shop.example.org.; @ SRV 0 8 53 web.shop.example.org.; \
                 +web.shop.example.org. A 192.0.2.10; +web.shop.example.org. A 192.0.2.11; \
                 +web.shop.example.org. AAAA 2001:db8::10",
            ),
            ("K-077", "_http._tcp.web.shop.example.org. AAAA", "@ AAAA 2001:db8::10"),
            ("K-082", "_http._udp.web.shop.example.org. SRV", "NX"),
            ("K-038", "_._.web.shop.example.org. AAAA", "@ AAAA 2001:db8::10"),
            ("K-037", "_udp.web.shop.example.org. SRV", "NODATA"),
            ("K-037", "_sctp.web.shop.example.org. SRV", "NX"),
            ("K-085", "web.shop.example.org. TXT", "NODATA"),
            ("K-290", "mail.data.example.org. A", "@ A 192.0.2.10"),
            ("K-290", "mail.data.example.org. AAAA", "NODATA"),
            ("K-292", "inner.shop.example.org. A", "NX"),
            ("K-292", "nothing.shop.example.org. A", "NX"),
            ("K-292", "shop.example.org. A", "NODATA"),
            ("K-292", "nowhere.example.org. A", "NX"),
            ("K-292", "web.nowhere.example.org. A", "NX"),
            ("K-290", "x.web.shop.example.org. A", "NX"),
            ("K-290", "a.b.c.web.shop.example.org. A", "NX"),
            // An alias stands alone, and leads on.
            ("K-290", "cloud.shop.example.org. CNAME", "@ CNAME lb.example.net."),
            (
                "K-290",
                "cloud.shop.example.org. A",
                "@ CNAME lb.example.net.; lb.example.net. 3600 A 192.0.2.77",
            ),
            ("K-290", "cloud.shop.example.org. AAAA", "@ CNAME lb.example.net."),
            ("K-290", "_https._tcp.cloud.shop.example.org. SRV", "@ SRV 0 100 443 lb.example.net."),
            ("K-290", "cloud.shop.example.org. TXT", "NODATA"),
            // Reverse names.
            ("K-291", "arpa:192.0.2.10 PTR", "@ PTR mail.data.example.org.; @ PTR web.shop.example.org."),
            ("K-291", "arpa:2001:db8::10 PTR", "@ PTR web.shop.example.org."),
            ("K-291", "arpa:192.0.2.77 PTR", "NX in-addr.arpa."),
            ("K-176", "arpa:192.0.2.10 A", "NODATA in-addr.arpa."),
            ("K-175", "2.0.192.in-addr.arpa. PTR", "NODATA in-addr.arpa."),
            ("K-175", "3.0.192.in-addr.arpa. PTR", "NX in-addr.arpa."),
        ],
    );
}

#[test]
fn the_zone_has_names_of_its_own() {
    let running = outside(&fixtures("beyond"), "k8s_external example.org {\n ttl 30\n }", &[]);
    check_outside(
        &running,
        30,
        &[
            ("K-291", "example.org. SOA", "soa"),
            (
                "K-291",
                "example.org. NS",
                "@ NS ns1.dns.example.org.; +ns1.dns.example.org. A 127.0.0.1; +ns1.dns.example.org. AAAA ::1",
            ),
            ("K-291", "example.org. A", "NODATA"),
            ("K-291", "dns.example.org. A", "NODATA"),
            ("K-291", "ns1.dns.example.org. A", "@ A 127.0.0.1"),
            ("K-291", "ns1.dns.example.org. TXT", "NODATA"),
            ("K-291", "ns2.dns.example.org. A", "NX"),
            ("K-291", "a.ns1.dns.example.org. A", "NX"),
        ],
    );
    let running =
        outside(&fixtures("beyond"), "k8s_external example.org {\n apex Own\n fallthrough\n }", &[]);
    let row = ("K-291", "ns1.own.example.org. A", "@ A 127.0.0.1");
    check_outside(&running, 5, &[row]);
    for (question, falls) in [
        ("nothing.shop.example.org. A", true),
        ("x.own.example.org. A", false),
        ("shop.example.org. A", false),
    ] {
        let mut client = Client::all(&running.addresses()).remove(0);
        let got = client.ask(&Ask::parse(question));
        assert_eq!(got.contains("additional _udp."), falls, "{question}\n{got}");
    }
}

#[test]
fn headless_services_have_their_endpoints_outside_where_asked_for() {
    let rows: &[Row] = &[
        ("K-290", "ring.data.example.org. AAAA", "@ AAAA fd00:3::1"),
        ("K-290", "r-0.ring.data.example.org. A", "@ A 10.3.0.1"),
        (
            "K-290",
            "r-0.ring.data.example.org. SRV",
            "@ SRV 0 100 7000 r-0.ring.data.example.org.; +r-0.ring.data.example.org. A 10.3.0.1",
        ),
        ("K-290", "_gossip._tcp.ring.data.example.org. AAAA", "@ AAAA fd00:3::1"),
        ("K-082", "_gossip._udp.ring.data.example.org. A", "NX"),
        ("K-038", "_._.ring.data.example.org. AAAA", "@ AAAA fd00:3::1"),
        ("K-037", "_tcp.ring.data.example.org. A", "NODATA"),
        ("K-290", "10-4-0-1.inner.shop.example.org. A", "@ A 10.4.0.1"),
        ("K-292", "inner.shop.example.org. A", "NX"),
        ("K-104", "asleep.data.example.org. A", "NX"),
        ("K-290", "web.shop.example.org. AAAA", "@ AAAA 2001:db8::10"),
    ];
    let running = outside(&fixtures("beyond"), "k8s_external example.org {\n headless\n }", &[]);
    check_outside(&running, 5, rows);
    let running = outside(&fixtures("beyond"), "k8s_external example.org", &[]);
    check_outside(
        &running,
        5,
        &[("K-290", "ring.data.example.org. AAAA", "NX"), ("K-290", "r-0.ring.data.example.org. A", "NX")],
    );
}

#[test]
fn only_namespaces_that_the_cluster_shows_are_shown_outside() {
    let stanza = "k8s_external example.org in-addr.arpa";
    let running = outside(&fixtures("beyond"), stanza, &[]);
    check_outside(
        &running,
        5,
        &[
            ("K-207", "vault.secret.example.org. A", "@ A 192.0.2.66"),
            ("K-178", "arpa:192.0.2.66 PTR", "@ PTR vault.secret.example.org."),
        ],
    );
    let running = outside(&fixtures("beyond"), stanza, &["namespaces shop"]);
    check_outside(
        &running,
        5,
        &[
            ("K-207", "vault.secret.example.org. A", "NX"),
            ("K-207", "secret.example.org. A", "NX"),
            ("K-178", "arpa:192.0.2.66 PTR", "NX in-addr.arpa."),
            ("K-178", "arpa:192.0.2.10 PTR", "@ PTR web.shop.example.org."),
        ],
    );
}
