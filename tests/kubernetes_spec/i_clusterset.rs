//! Section I: names of a clusterset (K-210 to K-215).

use super::harness::{block, fixtures, start};
use super::table::Row;
use super::{check_rows, harness};

/// Asks rows of a stanza with these lines beside `multicluster`.
fn check(options: &[&str], rows: &[Row]) {
    let options: Vec<&str> = ["multicluster clusterset.local"].iter().chain(options).copied().collect();
    let zones = "cluster.local clusterset.local in-addr.arpa ip6.arpa";
    check_rows(&start(&block(".", zones, &fixtures("beyond"), &options, &[])), 5, rows);
}

#[test]
fn an_import_of_one_address_answers_as_a_service() {
    check(
        &[],
        &[
            ("K-210", "api.shop.svc.clusterset.local. A", "@ A 10.120.0.1"),
            ("K-210", "API.shop.svc.ClusterSet.local. AAAA", "@ AAAA fd00:120::1"),
            (
                "K-210",
                "api.shop.svc.clusterset.local. SRV",
                "@ SRV 0 25 80 api.shop.svc.clusterset.local.; @ SRV 0 25 53 api.shop.svc.clusterset.local.; \
                 +api.shop.svc.clusterset.local. A 10.120.0.1; +api.shop.svc.clusterset.local. AAAA fd00:120::1",
            ),
            (
                "K-210",
                "_http._tcp.api.shop.svc.clusterset.local. SRV",
                "@ SRV 0 50 80 api.shop.svc.clusterset.local.; +api.shop.svc.clusterset.local. A 10.120.0.1; \
                 +api.shop.svc.clusterset.local. AAAA fd00:120::1",
            ),
            ("K-210", "_http._udp.api.shop.svc.clusterset.local. SRV", "NX"),
            ("K-037", "_tcp.api.shop.svc.clusterset.local. SRV", "NODATA"),
            ("K-037", "_sctp.api.shop.svc.clusterset.local. SRV", "NX"),
            ("K-085", "api.shop.svc.clusterset.local. TXT", "NODATA"),
            ("K-210", "idle.shop.svc.clusterset.local. A", "@ A 10.120.0.2"),
            ("K-038", "_._.idle.shop.svc.clusterset.local. A", "@ A 10.120.0.2"),
            // No import, though there is a Service; and no Service, though there is an import.
            ("K-210", "local.shop.svc.clusterset.local. A", "NX"),
            ("K-210", "api.shop.svc.Z A", "NX"),
            ("K-210", "local.shop.svc.Z A", "@ A 10.96.5.1"),
            ("K-032", "shop.svc.clusterset.local. A", "NODATA"),
            ("K-032", "nowhere.svc.clusterset.local. A", "NX"),
            ("K-050", "clusterset.local. SOA", "soa"),
            ("K-056", "dns-version.clusterset.local. TXT", "@ 28800 TXT \"1.1.0\""),
            // No reverse names for imports.
            ("K-215", "arpa:10.120.0.1 PTR", "NX in-addr.arpa."),
            ("K-215", "arpa:10.1.0.1 PTR", "NX in-addr.arpa."),
        ],
    );
}

#[test]
fn an_endpoint_of_an_import_has_its_cluster_in_its_name() {
    check(
        &[],
        &[
            ("K-212", "10-1-5-1.west.api.shop.svc.clusterset.local. A", "@ A 10.1.5.1"),
            ("K-212", "10-1-5-1.api.shop.svc.clusterset.local. A", "NX"),
            ("K-212", "10-1-5-1.east.api.shop.svc.clusterset.local. A", "NX"),
            ("K-211", "store.data.svc.clusterset.local. A", "@ A 10.1.0.1; @ A 10.1.0.2; @ A 10.2.0.1"),
            ("K-211", "store.data.svc.clusterset.local. AAAA", "@ AAAA fd00:2::1"),
            ("K-212", "store-0.west.store.data.svc.clusterset.local. A", "@ A 10.1.0.1"),
            ("K-212", "STORE-0.East.store.data.svc.clusterset.local. A", "@ A 10.2.0.1"),
            ("K-101", "store-0.east.store.data.svc.clusterset.local. AAAA", "NODATA"),
            ("K-102", "10-1-0-3.west.store.data.svc.clusterset.local. A", "NX"),
            ("K-212", "store-0.store.data.svc.clusterset.local. A", "NX"),
            ("RFC 8020", "west.store.data.svc.clusterset.local. A", "NODATA"),
            ("RFC 8020", "north.store.data.svc.clusterset.local. A", "NX"),
            (
                "K-213",
                "_pg._tcp.store.data.svc.clusterset.local. SRV",
                "@ SRV 0 25 5432 store-0.west.store.data.svc.clusterset.local.; \
                 @ SRV 0 25 5432 10-1-0-2.west.store.data.svc.clusterset.local.; \
                 @ SRV 0 25 5433 store-0.east.store.data.svc.clusterset.local.; \
                 @ SRV 0 25 5433 fd00-2--1.east.store.data.svc.clusterset.local.; \
                 +store-0.west.store.data.svc.clusterset.local. A 10.1.0.1; \
                 +10-1-0-2.west.store.data.svc.clusterset.local. A 10.1.0.2; \
                 +store-0.east.store.data.svc.clusterset.local. A 10.2.0.1; \
                 +fd00-2--1.east.store.data.svc.clusterset.local. AAAA fd00:2::1",
            ),
            (
                "K-113",
                "store-0.east.store.data.svc.clusterset.local. SRV",
                "@ SRV 0 100 5433 store-0.east.store.data.svc.clusterset.local.; \
                 +store-0.east.store.data.svc.clusterset.local. A 10.2.0.1",
            ),
            ("K-212", "_pg._tcp.store.data.svc.clusterset.local. TXT", "NODATA"),
            ("K-104", "lonely.data.svc.clusterset.local. A", "NX"),
            ("K-030", "a.b.c.store.data.svc.clusterset.local. A", "NX"),
        ],
    );
}

#[test]
fn options_of_the_stanza_hold_for_the_clusterset_too() {
    check(
        &["namespaces data", "ignore empty_service"],
        &[
            ("K-207", "api.shop.svc.clusterset.local. A", "NX"),
            ("K-207", "store.data.svc.clusterset.local. AAAA", "@ AAAA fd00:2::1"),
        ],
    );
    check(
        &["ignore empty_service"],
        &[
            ("K-206", "idle.shop.svc.clusterset.local. A", "NX"),
            ("K-206", "api.shop.svc.clusterset.local. A", "@ A 10.120.0.1"),
        ],
    );
    check(
        &["noendpoints"],
        &[
            ("K-205", "api.shop.svc.clusterset.local. A", "@ A 10.120.0.1"),
            ("K-205", "store.data.svc.clusterset.local. AAAA", "@ AAAA fd00:2::1"),
            ("K-205", "ring.data.svc.Z A", "NX"),
        ],
    );
}

#[test]
fn without_the_option_a_second_zone_is_one_like_the_first() {
    let text = harness::block(".", "cluster.local clusterset.local", &fixtures("beyond"), &[], &[]);
    check_rows(
        &start(&text),
        5,
        &[
            ("K-210", "api.shop.svc.clusterset.local. A", "NX"),
            ("K-001", "local.shop.svc.clusterset.local. A", "@ A 10.96.5.1"),
            ("K-035", "store-0.west.store.data.svc.clusterset.local. A", "NX"),
        ],
    );
}
