//! Section I: endpoints of a topology zone (K-220 to K-226).

use super::check_rows;
use super::harness::{block, fixtures, start};
use super::table::Row;

/// Asks rows of a stanza with these lines.
fn check(options: &[&str], rows: &[Row]) {
    check_rows(&start(&block(".", "cluster.local", &fixtures("beyond"), options, &[])), 5, rows);
}

#[test]
fn a_zone_is_pinned_or_preferred() {
    check(
        &["zonal"],
        &[
            ("K-220", "eu-a.pin._zone.ring.data.svc.Z A", "@ A 10.3.0.1"),
            ("K-220", "EU-A.Pin._Zone.ring.data.svc.Z AAAA", "@ AAAA fd00:3::1"),
            ("K-220", "eu-b.pin._zone.ring.data.svc.Z A", "@ A 10.3.0.2"),
            ("K-220", "rack.one.pin._zone.ring.data.svc.Z A", "@ A 10.3.0.5"),
            ("K-220", "one.pin._zone.ring.data.svc.Z A", "NODATA"),
            (
                "K-220",
                "eu-a.pin._zone.ring.data.svc.Z SRV",
                "@ SRV 0 50 7000 r-0.ring.data.svc.Z; @ SRV 0 50 7000 fd00-3--1.ring.data.svc.Z; \
                 +r-0.ring.data.svc.Z A 10.3.0.1; +fd00-3--1.ring.data.svc.Z AAAA fd00:3::1",
            ),
            ("K-221", "mars.pin._zone.ring.data.svc.Z A", "NODATA"),
            ("K-221", "mars.pin._zone.ring.data.svc.Z SRV", "NODATA"),
            ("K-221", "eu-b.pin._zone.ring.data.svc.Z AAAA", "NODATA"),
            // Its only endpoint is not ready.
            ("K-102", "eu-c.pin._zone.ring.data.svc.Z A", "NODATA"),
            ("K-222", "eu-b.prefer._zone.ring.data.svc.Z A", "@ A 10.3.0.2"),
            ("K-222", "mars.prefer._zone.ring.data.svc.Z AAAA", "@ AAAA fd00:3::1"),
            (
                "K-222",
                "mars.prefer._zone.ring.data.svc.Z A",
                "@ A 10.3.0.1; @ A 10.3.0.2; @ A 10.3.0.3; @ A 10.3.0.5",
            ),
            // The zone has endpoints, though none of this family.
            ("K-222", "eu-b.prefer._zone.ring.data.svc.Z AAAA", "NODATA"),
            ("K-226", "eu-a.pin._zone.ring.data.svc.Z TXT", "NODATA"),
            ("K-226", "eu-a.pin._zone.ring.data.svc.Z MX", "NODATA"),
            ("K-223", "eu-a.pin._zone.local.shop.svc.Z A", "NX"),
            ("K-223", "eu-a.pin._zone.nothing.data.svc.Z A", "NX"),
            ("K-224", "eu-a.only._zone.ring.data.svc.Z A", "NX"),
            ("K-104", "asleep.data.svc.Z A", "NX"),
            ("K-104", "eu-a.pin._zone.asleep.data.svc.Z A", "NX"),
            ("K-104", "eu-a.prefer._zone.asleep.data.svc.Z A", "NX"),
            ("RFC 8020", "_zone.ring.data.svc.Z A", "NODATA"),
            ("RFC 8020", "pin._zone.ring.data.svc.Z A", "NODATA"),
            ("RFC 8020", "prefer._zone.ring.data.svc.Z SRV", "NODATA"),
            ("RFC 8020", "_zone.local.shop.svc.Z A", "NX"),
            ("K-030", "eu-a.pin._zones.ring.data.svc.Z A", "NX"),
            ("K-108", "_gossip._tcp.ring.data.svc.Z TXT", "NODATA"),
            ("K-078", "r-0.ring.data.svc.Z A", "@ A 10.3.0.1"),
        ],
    );
}

#[test]
fn without_the_option_there_are_no_zones() {
    check(
        &[],
        &[
            ("K-225", "eu-a.pin._zone.ring.data.svc.Z A", "NX"),
            ("K-225", "eu-a.prefer._zone.ring.data.svc.Z A", "NX"),
            ("K-225", "_zone.ring.data.svc.Z A", "NX"),
        ],
    );
}

#[test]
fn a_clusterset_has_no_zones() {
    let options = ["zonal", "multicluster clusterset.local"];
    let text = block(".", "cluster.local clusterset.local", &fixtures("beyond"), &options, &[]);
    check_rows(
        &start(&text),
        5,
        &[
            ("K-220", "eu-a.pin._zone.ring.data.svc.Z A", "@ A 10.3.0.1"),
            ("K-220", "west.pin._zone.store.data.svc.clusterset.local. A", "NX"),
        ],
    );
}
