//! Section D: ClusterIP, NodePort and LoadBalancer Services (K-070 to K-086).

use super::check;
use super::table::Table;

#[test]
fn cluster_addresses_are_answered_by_family() {
    check(&Table::of(&[
        ("K-070", "web.shop.svc.Z A", "@ A 10.96.1.1"),
        ("K-070", "old.shop.svc.Z A", "@ A 10.96.1.2"),
        ("K-071", "six.shop.svc.Z AAAA", "@ AAAA fd00:96::5"),
        ("K-072", "dual.shop.svc.Z A", "@ A 10.96.1.3"),
        ("K-072", "dual.shop.svc.Z AAAA", "@ AAAA fd00:96::3"),
        ("K-072", "dual-six-first.shop.svc.Z A", "@ A 10.96.1.4"),
        ("K-072", "dual-six-first.shop.svc.Z AAAA", "@ AAAA fd00:96::4"),
        ("K-073", "web.shop.svc.Z AAAA", "NODATA"),
        ("K-073", "six.shop.svc.Z A", "NODATA"),
        ("K-073", "10-244-1-10.web.shop.svc.Z AAAA", "NODATA"),
        ("K-079", "nothing.shop.svc.Z A", "NX"),
        ("K-079", "nothing.shop.svc.Z AAAA", "NX"),
        ("K-079", "nothing.shop.svc.Z SRV", "NX"),
        ("K-079", "nothing.shop.svc.Z TXT", "NX"),
        ("K-079", "web.data.svc.Z A", "NX"),
        ("K-080", "node.shop.svc.Z A", "@ A 10.96.1.8"),
        ("K-080", "balanced.shop.svc.Z A", "@ A 10.96.1.9"),
        ("K-081", "old.shop.svc.Z A", "@ A 10.96.1.2"),
        ("K-081", "weary.shop.svc.Z A", "@ A 10.96.1.11"),
        ("K-084", "portless.shop.svc.Z A", "@ A 10.96.1.7"),
        ("K-084", "portless.shop.svc.Z SRV", "NODATA"),
        ("K-085", "web.shop.svc.Z CNAME", "NODATA"),
        ("K-085", "web.shop.svc.Z MX", "NODATA"),
        ("K-085", "web.shop.svc.Z PTR", "NODATA"),
    ]));
}

#[test]
fn srv_names_the_ports_of_the_service() {
    check(&Table::of(&[
        (
            "K-074",
            "web.shop.svc.Z SRV",
            "@ SRV 0 50 80 web.shop.svc.Z; @ SRV 0 50 443 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        ("K-074", "old.shop.svc.Z SRV", "@ SRV 0 100 6379 old.shop.svc.Z; +old.shop.svc.Z A 10.96.1.2"),
        (
            "K-075",
            "_http._tcp.web.shop.svc.Z SRV",
            "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-075",
            "_https._tcp.web.shop.svc.Z SRV",
            "@ SRV 0 100 443 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-075",
            "_http._tcp.node.shop.svc.Z SRV",
            "@ SRV 0 100 80 node.shop.svc.Z; +node.shop.svc.Z A 10.96.1.8",
        ),
        (
            "K-075",
            "_sig._sctp.stream.shop.svc.Z SRV",
            "@ SRV 0 100 2905 stream.shop.svc.Z; +stream.shop.svc.Z A 10.96.1.10",
        ),
        (
            "K-076",
            "_http._tcp.dual.shop.svc.Z SRV",
            "@ SRV 0 50 80 dual.shop.svc.Z; +dual.shop.svc.Z A 10.96.1.3; +dual.shop.svc.Z AAAA fd00:96::3",
        ),
        (
            "K-076",
            "dual-six-first.shop.svc.Z SRV",
            "@ SRV 0 25 1 dual-six-first.shop.svc.Z; @ SRV 0 25 2 dual-six-first.shop.svc.Z; \
             +dual-six-first.shop.svc.Z A 10.96.1.4; +dual-six-first.shop.svc.Z AAAA fd00:96::4",
        ),
        (
            "K-076",
            "_b._tcp.dual-six-first.shop.svc.Z SRV",
            "@ SRV 0 50 2 dual-six-first.shop.svc.Z; +dual-six-first.shop.svc.Z A 10.96.1.4; \
             +dual-six-first.shop.svc.Z AAAA fd00:96::4",
        ),
        (
            "K-076",
            "_http._tcp.six.shop.svc.Z SRV",
            "@ SRV 0 100 80 six.shop.svc.Z; +six.shop.svc.Z AAAA fd00:96::5",
        ),
        (
            "K-015",
            "resolver.shop.svc.Z SRV",
            "@ SRV 0 33 53 resolver.shop.svc.Z; @ SRV 0 33 9153 resolver.shop.svc.Z; \
             +resolver.shop.svc.Z A 10.96.1.6",
        ),
        (
            "K-075",
            "_dns._udp.resolver.shop.svc.Z SRV",
            "@ SRV 0 100 53 resolver.shop.svc.Z; +resolver.shop.svc.Z A 10.96.1.6",
        ),
        ("K-077", "_http._tcp.web.shop.svc.Z A", "@ A 10.96.1.1"),
        ("K-077", "_http._tcp.dual.shop.svc.Z AAAA", "@ AAAA fd00:96::3"),
        ("K-077", "_http._tcp.web.shop.svc.Z AAAA", "NODATA"),
        ("K-077", "_http._tcp.web.shop.svc.Z TXT", "NODATA"),
        ("K-077", "_http._tcp.web.shop.svc.Z ANY", "NODATA"),
        ("K-077", "_http._tcp.web.shop.svc.Z CNAME", "NODATA"),
        ("K-082", "_http._udp.web.shop.svc.Z SRV", "NX"),
        ("K-082", "_ftp._tcp.web.shop.svc.Z SRV", "NX"),
        ("K-082", "_ftp._tcp.web.shop.svc.Z A", "NX"),
        ("K-082", "_dns._tcp.resolver.shop.svc.Z SRV", "NX"),
        ("K-082", "_80._tcp.web.shop.svc.Z SRV", "NX"),
        ("K-083", "_6379._tcp.old.shop.svc.Z SRV", "NX"),
        ("K-083", "_old._tcp.old.shop.svc.Z SRV", "NX"),
        ("K-084", "_http._tcp.portless.shop.svc.Z SRV", "NX"),
        (
            "K-086",
            "dual.shop.svc.Z SRV",
            "@ SRV 0 50 80 dual.shop.svc.Z; +dual.shop.svc.Z A 10.96.1.3; +dual.shop.svc.Z AAAA fd00:96::3",
        ),
    ]));
}

#[test]
fn endpoints_have_names_below_cluster_addresses_too() {
    check(&Table::of(&[
        ("K-078", "10-244-1-10.web.shop.svc.Z A", "@ A 10.244.1.10"),
        ("K-078", "canary.web.shop.svc.Z A", "@ A 10.244.1.11"),
        ("K-105", "10-244-1-11.web.shop.svc.Z A", "NX"),
        ("K-117", "sick.web.shop.svc.Z A", "NX"),
        ("K-117", "10-244-1-12.web.shop.svc.Z A", "NX"),
        ("K-078", "10-244-9-9.web.shop.svc.Z A", "NX"),
        ("K-117", "10-244-1-20.weary.shop.svc.Z A", "NX"),
        ("K-085", "canary.web.shop.svc.Z TXT", "NODATA"),
        (
            "K-113",
            "canary.web.shop.svc.Z SRV",
            "@ SRV 0 50 8080 canary.web.shop.svc.Z; @ SRV 0 50 8443 canary.web.shop.svc.Z; \
             +canary.web.shop.svc.Z A 10.244.1.11",
        ),
    ]));
}

#[test]
fn ttl_is_the_stanzas_in_every_record() {
    check(
        &Table::of(&[
            ("K-005", "web.shop.svc.Z A", "@ 600 A 10.96.1.1"),
            (
                "K-086",
                "_http._tcp.web.shop.svc.Z SRV",
                "@ 600 SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z 600 A 10.96.1.1",
            ),
            ("K-005", "outside.shop.svc.Z CNAME", "@ 600 CNAME www.example.com."),
            ("K-005", "arpa:10.96.1.1 PTR", "@ 600 PTR web.shop.svc.Z"),
            ("K-005", "Z NS", "@ 600 NS ns.dns.Z; +ns.dns.Z 600 A 127.0.0.1; +ns.dns.Z 600 AAAA ::1"),
            ("K-006", "Z SOA", "@ 300 SOA ns.dns.Z hostmaster.Z * 7200 1800 86400 600"),
            ("K-006", "nothing.shop.svc.Z A", "NX"),
            ("K-056", "dns-version.Z TXT", r#"@ 28800 TXT "1.1.0""#),
        ])
        .with(&["ttl 600"]),
    );
    check(
        &Table::of(&[
            ("K-005", "web.shop.svc.Z A", "@ 0 A 10.96.1.1"),
            ("K-006", "Z SOA", "@ 0 SOA ns.dns.Z hostmaster.Z * 7200 1800 86400 0"),
            ("K-006", "nothing.shop.svc.Z A", "NX"),
        ])
        .with(&["ttl 0"]),
    );
}
