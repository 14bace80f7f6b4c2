//! Section B: which names below the zone exist (K-030 to K-041, K-280).

use super::check;
use super::table::Table;

#[test]
fn names_exist_by_the_grammar_and_by_it_alone() {
    check(&Table::of(&[
        // No label left of the Service, one, two.
        ("K-030", "web.shop.svc.Z A", "@ A 10.96.1.1"),
        ("K-030", "canary.web.shop.svc.Z A", "@ A 10.244.1.11"),
        (
            "K-030",
            "_http._tcp.web.shop.svc.Z SRV",
            "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        ("K-030", "web.shop.svcs.Z A", "NX"),
        ("K-030", "web.shop.service.Z A", "NX"),
        ("K-031", "Z A", "NODATA"),
        ("K-031", "svc.Z A", "NODATA"),
        ("K-031", "svc.Z SRV", "NODATA"),
        ("K-031", "pod.Z A", "NODATA"),
        ("K-031", "pod.Z AAAA", "NODATA"),
        ("K-032", "shop.svc.Z A", "NODATA"),
        ("K-032", "empty.svc.Z A", "NODATA"),
        ("K-032", "empty.svc.Z SRV", "NODATA"),
        ("K-032", "nowhere.svc.Z A", "NX"),
        ("K-032", "web.nowhere.svc.Z A", "NX"),
        ("K-032", "a.web.nowhere.svc.Z A", "NX"),
        ("K-032", "_http._tcp.web.nowhere.svc.Z SRV", "NX"),
        ("K-032", "web.empty.svc.Z A", "NX"),
        ("K-033", "foo.Z A", "NX"),
        ("K-033", "web.shop.Z A", "NX"),
        ("K-033", "web.shop.dns.Z A", "NX"),
        ("K-033", "10.96.1.1.Z A", "NX"),
        ("K-034", "_http._tcp.canary.web.shop.svc.Z SRV", "NX"),
        ("K-034", "_pg._tcp.db-0.db.data.svc.Z SRV", "NX"),
        ("K-034", "a.b.c.web.shop.svc.Z A", "NX"),
        ("K-034", "a.b.c.d.e.f.g.h.web.shop.svc.Z A", "NX"),
        (
            "K-035",
            "http.tcp.web.shop.svc.Z SRV",
            "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-035",
            "_https.TCP.web.shop.svc.Z SRV",
            "@ SRV 0 100 443 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-035",
            "http._Tcp.web.shop.svc.Z SRV",
            "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-035",
            "_HTTP._TCP.web.shop.svc.Z SRV",
            "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        ("K-035", "__http._tcp.web.shop.svc.Z SRV", "NX"),
        ("K-035", "_http.__tcp.web.shop.svc.Z SRV", "NX"),
        ("K-035", "_http._quic.web.shop.svc.Z SRV", "NX"),
        ("K-036", "_http.web.shop.svc.Z SRV", "NX"),
        ("K-036", "_http.web.shop.svc.Z A", "NX"),
        ("K-036", "tcp.web.shop.svc.Z A", "NX"),
        ("K-036", "_pg.db.data.svc.Z SRV", "NX"),
        ("K-037", "_tcp.web.shop.svc.Z A", "NODATA"),
        ("K-037", "_tcp.web.shop.svc.Z SRV", "NODATA"),
        ("K-037", "_TCP.web.shop.svc.Z SRV", "NODATA"),
        ("K-037", "_udp.web.shop.svc.Z SRV", "NX"),
        ("K-037", "_sctp.web.shop.svc.Z SRV", "NX"),
        ("K-037", "_sctp.stream.shop.svc.Z SRV", "NODATA"),
        ("K-037", "_udp.resolver.shop.svc.Z TXT", "NODATA"),
        ("K-037", "_tcp.old.shop.svc.Z SRV", "NX"),
        ("K-037", "_tcp.portless.shop.svc.Z SRV", "NX"),
        ("K-037", "__tcp.web.shop.svc.Z SRV", "NX"),
        ("K-037", "_tcp.db.data.svc.Z SRV", "NODATA"),
        ("K-037", "_udp.both.data.svc.Z A", "NODATA"),
        ("K-037", "_tcp.unnamed.data.svc.Z SRV", "NX"),
        ("K-037", "_tcp.mute.data.svc.Z SRV", "NX"),
        ("K-037", "_tcp.unready.data.svc.Z SRV", "NX"),
        ("K-037", "_tcp.nothing.shop.svc.Z SRV", "NX"),
        ("K-037", "dns.Z A", "NODATA"),
        (
            "K-038",
            "_._tcp.web.shop.svc.Z SRV",
            "@ SRV 0 50 80 web.shop.svc.Z; @ SRV 0 50 443 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
        ),
        (
            "K-038",
            "_._udp.resolver.shop.svc.Z SRV",
            "@ SRV 0 100 53 resolver.shop.svc.Z; +resolver.shop.svc.Z A 10.96.1.6",
        ),
        (
            "K-038",
            "_._.resolver.shop.svc.Z SRV",
            "@ SRV 0 33 53 resolver.shop.svc.Z; @ SRV 0 33 9153 resolver.shop.svc.Z; \
             +resolver.shop.svc.Z A 10.96.1.6",
        ),
        (
            "K-038",
            "_metrics._.resolver.shop.svc.Z SRV",
            "@ SRV 0 100 9153 resolver.shop.svc.Z; +resolver.shop.svc.Z A 10.96.1.6",
        ),
        (
            "K-038",
            "_._tcp.old.shop.svc.Z SRV",
            "@ SRV 0 100 6379 old.shop.svc.Z; +old.shop.svc.Z A 10.96.1.2",
        ),
        ("K-038", "_._udp.web.shop.svc.Z SRV", "NX"),
        (
            "K-038",
            "_._tcp.mesh.data.svc.Z SRV",
            "@ SRV 0 33 80 10-244-3-1.mesh.data.svc.Z; @ SRV 0 33 9000 10-244-3-1.mesh.data.svc.Z; \
             @ SRV 0 33 8080 10-244-3-2.mesh.data.svc.Z; +10-244-3-1.mesh.data.svc.Z A 10.244.3.1; \
             +10-244-3-2.mesh.data.svc.Z A 10.244.3.2",
        ),
        ("K-039", "*.shop.svc.Z A", "NX"),
        ("K-039", "any.shop.svc.Z A", "NX"),
        ("K-039", "*.svc.Z A", "NX"),
        ("K-039", "web.*.svc.Z A", "NX"),
        ("K-039", "*.web.shop.svc.Z A", "NX"),
        ("K-039", "*.*.web.shop.svc.Z SRV", "NX"),
        ("K-039", "_*._*.web.shop.svc.Z SRV", "NX"),
        ("K-039", "any.any.web.shop.svc.Z SRV", "NX"),
        ("K-041", "svc.svc.Z A", "NODATA"),
        ("K-041", "pod.svc.Z A", "NODATA"),
        ("K-041", "pod.svc.svc.Z A", "@ A 10.96.2.1"),
        ("K-041", "svc.pod.svc.Z A", "@ A 10.96.2.2"),
        ("K-041", "tcp.svc.svc.Z A", "@ A 10.96.2.3"),
        ("K-041", "tcp.tcp.tcp.svc.svc.Z SRV", "@ SRV 0 100 80 tcp.svc.svc.Z; +tcp.svc.svc.Z A 10.96.2.3"),
        ("K-041", "svc.svc.svc.Z A", "NX"),
        ("K-280", "web.shop.fed.svc.Z A", "NX"),
        ("K-280", "web.shop.svc.svc.Z A", "NX"),
    ]));
}

#[test]
fn letters_do_not_matter_and_come_back_as_they_were_typed() {
    check(&Table::of(&[
        ("K-002", "WEB.Shop.sVc.Z A", "@ A 10.96.1.1"),
        ("K-002", "wEb.shop.svc.Cluster.LOCAL. A", "@ A 10.96.1.1"),
        ("K-002", "Canary.web.shop.svc.Z A", "@ A 10.244.1.11"),
        ("K-002", "DB-0.dB.data.svc.Z A", "@ A 10.244.2.1"),
        (
            "K-003",
            "_HTTP._tcp.WEB.shop.svc.CLUSTER.LOCAL. SRV",
            "@ SRV 0 100 80 web.shop.svc.CLUSTER.LOCAL.; +web.shop.svc.CLUSTER.LOCAL. A 10.96.1.1",
        ),
        (
            "K-003",
            "DB.Data.svc.Cluster.Local. SRV",
            "@ SRV 0 50 5432 db-0.db.data.svc.Cluster.Local.; @ SRV 0 50 5432 db-1.db.data.svc.Cluster.Local.; \
             +db-0.db.data.svc.Cluster.Local. A 10.244.2.1; +db-1.db.data.svc.Cluster.Local. A 10.244.2.2",
        ),
        ("K-003", "CLUSTER.local. SOA", "soa CLUSTER.local."),
        ("K-003", "Nothing.shop.svc.CLUSTER.LOCAL. A", "NX CLUSTER.LOCAL."),
        ("K-003", "WEB.shop.svc.CLUSTER.LOCAL. AAAA", "NODATA CLUSTER.LOCAL."),
        ("K-003", "1.1.96.10.IN-ADDR.ARPA. PTR", "@ PTR web.shop.svc.Z"),
        ("K-003", "9.9.9.9.IN-ADDR.ARPA. PTR", "NX IN-ADDR.ARPA."),
    ]));
}

#[test]
fn a_dot_inside_a_label_is_no_boundary() {
    check(&Table::of(&[
        ("K-018", r"web\.shop.svc.Z A", "NX"),
        ("K-018", r"a\.web.shop.svc.Z A", "NX"),
        ("K-018", r"\000web.shop.svc.Z A", "NX"),
        ("K-018", r"web\\.shop.svc.Z A", "NX"),
    ]));
}
