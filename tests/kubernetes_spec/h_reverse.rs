//! Section H: reverse names (K-170 to K-185).

use super::check;
use super::table::Table;

#[test]
fn addresses_lead_back_to_their_services_and_endpoints() {
    check(&Table::of(&[
        ("K-170", "1.1.96.10.in-addr.arpa. PTR", "@ PTR web.shop.svc.Z"),
        ("K-170", "arpa:10.96.1.2 PTR", "@ PTR old.shop.svc.Z"),
        ("K-170", "arpa:10.96.1.3 PTR", "@ PTR dual.shop.svc.Z"),
        ("K-170", "arpa:fd00:96::3 PTR", "@ PTR dual.shop.svc.Z"),
        ("K-170", "arpa:10.96.1.4 PTR", "@ PTR dual-six-first.shop.svc.Z"),
        ("K-170", "arpa:10.96.1.8 PTR", "@ PTR node.shop.svc.Z"),
        ("K-171", "arpa:10.244.2.1 PTR", "@ PTR db-0.db.data.svc.Z"),
        ("K-171", "arpa:10.244.3.1 PTR", "@ PTR 10-244-3-1.mesh.data.svc.Z"),
        ("K-171", "arpa:10.244.1.10 PTR", "@ PTR 10-244-1-10.web.shop.svc.Z"),
        ("K-171", "arpa:10.244.1.11 PTR", "@ PTR canary.web.shop.svc.Z"),
        ("K-171", "arpa:10.244.2.3 PTR", "NX"),
        ("K-171", "arpa:10.244.7.1 PTR", "NX"),
        ("K-171", "arpa:fd00:10:244:6::1 PTR", "@ PTR pair-0.pair.data.svc.Z"),
        ("K-106", "arpa:fd00:10:244:5:: PTR", "@ PTR fd00-10-244-5--0.six.data.svc.Z"),
        (
            "K-172",
            "arpa:10.244.20.3 PTR",
            "@ PTR 10-244-20-3.shared-a.data.svc.Z; @ PTR b.shared-b.shop.svc.Z",
        ),
        ("K-173", "arpa:fd00:10:244:9::1 PTR", "@ PTR fd00-10-244-9-0-0-0-1.spelled.data.svc.Z"),
        (
            "K-173",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.0.0.0.4.4.2.0.0.1.0.0.0.0.D.F.IP6.ARPA. PTR",
            "@ PTR pair-0.pair.data.svc.Z",
        ),
        ("K-177", "arpa:10.244.20.1 PTR", "@ PTR g.ghost.data.svc.Z"),
        ("K-177", "arpa:10.244.20.2 PTR", "NX"),
        ("K-181", "arpa:10.96.3.1 PTR", "@ PTR fronted.shop.svc.Z"),
        ("K-185", "arpa:10.244.8.30 PTR", "@ PTR 10-244-8-30.twice.data.svc.Z"),
        ("K-184", "arpa:10.244.9.1 PTR", "NX"),
        ("K-184", "arpa:198.51.100.9 PTR", "NX"),
        ("K-184", "arpa:203.0.113.9 PTR", "NX"),
    ]));
}

#[test]
fn reverse_names_without_an_address_end_or_stand_above_one() {
    check(&Table::of(&[
        ("K-174", "arpa:10.96.99.99 PTR", "NX"),
        ("K-174", "arpa:fd00:96::99 PTR", "NX"),
        ("K-174", "256.1.96.10.in-addr.arpa. PTR", "NX"),
        ("K-174", "01.1.96.10.in-addr.arpa. PTR", "NX"),
        ("K-174", "x.1.96.10.in-addr.arpa. PTR", "NX"),
        ("K-174", "1.1.1.96.10.in-addr.arpa. PTR", "NX"),
        ("K-174", "-1.1.96.10.in-addr.arpa. PTR", "NX"),
        ("K-174", "ff.0.0.d.f.ip6.arpa. PTR", "NX"),
        ("K-174", "g.0.d.f.ip6.arpa. PTR", "NX"),
        ("K-175", "1.96.10.in-addr.arpa. PTR", "NODATA"),
        ("K-175", "96.10.in-addr.arpa. PTR", "NODATA"),
        ("K-175", "96.10.in-addr.arpa. A", "NODATA"),
        ("K-175", "10.in-addr.arpa. TXT", "NODATA"),
        ("K-175", "20.244.10.in-addr.arpa. PTR", "NODATA"),
        ("K-175", "7.244.10.in-addr.arpa. PTR", "NX"),
        ("K-175", "97.10.in-addr.arpa. PTR", "NX"),
        ("K-175", "11.in-addr.arpa. PTR", "NX"),
        ("K-175", "6.9.0.0.0.0.d.f.ip6.arpa. PTR", "NODATA"),
        ("K-175", "f.ip6.arpa. PTR", "NODATA"),
        ("K-175", "e.ip6.arpa. PTR", "NX"),
        ("K-175", "7.9.0.0.0.0.d.f.ip6.arpa. PTR", "NX"),
        ("K-175", "in-addr.arpa. PTR", "NODATA"),
        ("K-175", "ip6.arpa. A", "NODATA"),
        ("K-176", "arpa:10.96.1.1 A", "NODATA"),
        ("K-176", "arpa:10.96.1.1 TXT", "NODATA"),
        ("K-176", "arpa:10.96.1.1 ANY", "NODATA"),
        ("K-176", "arpa:10.96.1.1 SRV", "NODATA"),
        ("K-176", "arpa:10.244.2.1 CNAME", "NODATA"),
        ("K-176", "arpa:fd00:96::3 AAAA", "NODATA"),
        ("K-176", "arpa:10.96.99.99 A", "NX"),
        ("K-183", "web.shop.svc.Z PTR", "NODATA"),
        ("K-183", "Z PTR", "NODATA"),
        ("K-183", "nothing.shop.svc.Z PTR", "NX"),
    ]));
}

#[test]
fn ptrs_point_into_the_first_forward_zone() {
    check(
        &Table::of(&[
            ("K-179", "arpa:10.96.1.1 PTR", "@ PTR web.shop.svc.example.test."),
            ("K-179", "arpa:10.244.2.1 PTR", "@ PTR db-0.db.data.svc.example.test."),
            ("K-001", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-001", "web.shop.svc.example.test. A", "@ A 10.96.1.1"),
            (
                "K-003",
                "_http._tcp.web.shop.svc.example.test. SRV",
                "@ SRV 0 100 80 web.shop.svc.example.test.; +web.shop.svc.example.test. A 10.96.1.1",
            ),
        ])
        .zones("in-addr.arpa example.test cluster.local"),
    );
}

#[test]
fn reverse_zones_may_be_written_as_networks() {
    check(
        &Table::of(&[
            ("K-180", "1.96.10.in-addr.arpa. SOA", "soa 1.96.10.in-addr.arpa."),
            ("K-180", "15.96.10.in-addr.arpa. SOA", "soa 15.96.10.in-addr.arpa."),
            ("K-180", "arpa:10.96.1.1 PTR", "@ PTR web.shop.svc.Z"),
            ("K-180", "arpa:10.96.1.99 PTR", "NX 1.96.10.in-addr.arpa."),
            ("K-180", "arpa:10.96.1.1 A", "NODATA 1.96.10.in-addr.arpa."),
            ("K-180", "9.96.10.in-addr.arpa. A", "NODATA 9.96.10.in-addr.arpa."),
            ("K-180", "8.9.96.10.in-addr.arpa. A", "NX 9.96.10.in-addr.arpa."),
            ("K-182", "ns.dns.9.96.10.in-addr.arpa. A", "@ A 127.0.0.1"),
            ("K-180", "0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. SOA", "NODATA 6.9.0.0.0.0.d.f.ip6.arpa."),
            ("K-180", "7.9.0.0.0.0.d.f.ip6.arpa. SOA", "soa 7.9.0.0.0.0.d.f.ip6.arpa."),
            ("K-180", "arpa:fd00:96::3 PTR", "@ PTR dual.shop.svc.Z"),
            ("K-180", "arpa:fd00:97::3 PTR", "NX 7.9.0.0.0.0.d.f.ip6.arpa."),
        ])
        .zones("cluster.local 10.96.0.0/20 fd00:96::/31"),
    );
}
