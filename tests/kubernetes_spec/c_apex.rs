//! Section C: the zone's own name and the names that tell about the server (K-050 to K-062).

use super::check;
use super::table::Table;

#[test]
fn every_zone_has_its_soa_and_name_server() {
    check(&Table::of(&[
        ("K-050", "Z SOA", "soa"),
        ("K-050", "in-addr.arpa. SOA", "soa"),
        ("K-050", "ip6.arpa. SOA", "soa"),
        ("K-051", "svc.Z SOA", "NODATA"),
        ("K-051", "dns.Z SOA", "NODATA"),
        ("K-051", "ns.dns.Z SOA", "NODATA"),
        ("K-051", "dns-version.Z SOA", "NODATA"),
        ("K-051", "shop.svc.Z SOA", "NODATA"),
        ("K-051", "web.shop.svc.Z SOA", "NODATA"),
        ("K-051", "db.data.svc.Z SOA", "NODATA"),
        ("K-051", "outside.shop.svc.Z SOA", "NODATA"),
        ("K-051", "foo.Z SOA", "NX"),
        ("K-051", "nowhere.svc.Z SOA", "NX"),
        ("K-051", "nothing.shop.svc.Z SOA", "NX"),
        ("K-051", "arpa:10.96.1.1 SOA", "NODATA"),
        ("K-051", "arpa:9.9.9.9 SOA", "NX"),
        ("K-052", "Z NS", "@ NS ns.dns.Z; +ns.dns.Z A 127.0.0.1; +ns.dns.Z AAAA ::1"),
        (
            "K-052",
            "in-addr.arpa. NS",
            "@ NS ns.dns.in-addr.arpa.; +ns.dns.in-addr.arpa. A 127.0.0.1; +ns.dns.in-addr.arpa. AAAA ::1",
        ),
        (
            "K-052",
            "ip6.arpa. NS",
            "@ NS ns.dns.ip6.arpa.; +ns.dns.ip6.arpa. A 127.0.0.1; +ns.dns.ip6.arpa. AAAA ::1",
        ),
        (
            "K-055",
            "Cluster.local. NS",
            "@ NS ns.dns.Cluster.local.; +ns.dns.Cluster.local. A 127.0.0.1; +ns.dns.Cluster.local. AAAA ::1",
        ),
        ("K-055", "NS.DNS.CLUSTER.LOCAL. A", "@ A 127.0.0.1"),
        ("K-055", "nS.dnS.Cluster.local. AAAA", "@ AAAA ::1"),
        ("K-053", "svc.Z NS", "NODATA"),
        ("K-053", "shop.svc.Z NS", "NODATA"),
        ("K-053", "web.shop.svc.Z NS", "NODATA"),
        ("K-053", "ns.dns.Z NS", "NODATA"),
        ("K-053", "nothing.shop.svc.Z NS", "NX"),
    ]));
}

#[test]
fn names_about_the_server_exist_once_and_in_their_zones_only() {
    check(&Table::of(&[
        ("K-054", "ns.dns.Z A", "@ A 127.0.0.1"),
        ("K-059a", "ns.dns.Z AAAA", "@ AAAA ::1"),
        ("K-054", "ns.dns.Z TXT", "NODATA"),
        ("K-054", "ns.dns.Z SRV", "NODATA"),
        ("K-182", "ns.dns.in-addr.arpa. A", "@ A 127.0.0.1"),
        ("K-182", "ns.dns.ip6.arpa. AAAA", "@ AAAA ::1"),
        ("K-182", "dns.in-addr.arpa. A", "NODATA"),
        ("K-060", "dns.Z TXT", "NODATA"),
        ("K-060", "x.ns.dns.Z A", "NX"),
        ("K-060", "x.dns.Z A", "NX"),
        ("0", "ns.dns.cluster.local.foo.Z A", "NX"),
        ("0", "ns.dns.cluster.local.Z A", "NX"),
        ("0", "ns.dns.cluster.local.shop.svc.Z A", "NX"),
        ("K-056", "dns-version.Z TXT", r#"@ 28800 TXT "1.1.0""#),
        ("K-056", "DNS-Version.Z TXT", r#"@ 28800 TXT "1.1.0""#),
        ("K-057", "dns-version.Z A", "NODATA"),
        ("K-057", "dns-version.Z ANY", "NODATA"),
        ("K-056", "x.dns-version.Z TXT", "NX"),
        ("0", "dns-version.in-addr.arpa. TXT", "NX"),
        ("0", "svc.in-addr.arpa. A", "NX"),
        ("0", "pod.ip6.arpa. A", "NX"),
        ("0", "shop.svc.in-addr.arpa. A", "NX"),
        ("0", "web.shop.svc.in-addr.arpa. A", "NX"),
        ("0", "web.shop.svc.10.in-addr.arpa. A", "NX"),
        ("0", "x.ns.dns.in-addr.arpa. A", "NX"),
    ]));
}

#[test]
fn txt_and_other_types_tell_names_that_exist_from_names_that_do_not() {
    check(&Table::of(&[
        ("K-058", "Z TXT", "NODATA"),
        ("K-058", "svc.Z TXT", "NODATA"),
        ("K-058", "pod.Z TXT", "NODATA"),
        ("K-058", "shop.svc.Z TXT", "NODATA"),
        ("K-058", "web.shop.svc.Z TXT", "NODATA"),
        ("K-058", "db.data.svc.Z TXT", "NODATA"),
        ("K-058", "db-0.db.data.svc.Z TXT", "NODATA"),
        ("K-058", "_pg._tcp.db.data.svc.Z TXT", "NODATA"),
        ("K-058", "nothing.shop.svc.Z TXT", "NX"),
        ("K-059", "Z A", "NODATA"),
        ("K-059", "Z AAAA", "NODATA"),
        ("K-059", "Z CNAME", "NODATA"),
        ("K-059", "Z MX", "NODATA"),
        ("K-059", "Z SRV", "NODATA"),
        ("K-059", "Z HTTPS", "NODATA"),
        ("K-059", "Z PTR", "NODATA"),
        ("K-062", "Z ANY", "NODATA"),
        ("K-062", "Z DS", "NODATA"),
        ("K-062", "Z HINFO", "NODATA"),
        ("K-062", "web.shop.svc.Z ANY", "NODATA"),
        ("K-062", "web.shop.svc.Z HTTPS", "NODATA"),
        ("K-062", "web.shop.svc.Z SVCB", "NODATA"),
        ("K-062", "web.shop.svc.Z DS", "NODATA"),
        ("K-062", "web.shop.svc.Z CAA", "NODATA"),
        ("K-062", "web.shop.svc.Z NAPTR", "NODATA"),
        ("K-062", "web.shop.svc.Z HINFO", "NODATA"),
        ("K-062", "web.shop.svc.Z TYPE1000", "NODATA"),
        ("K-062", "outside.shop.svc.Z ANY", "NODATA"),
        ("K-062", "nothing.shop.svc.Z ANY", "NX"),
        ("K-062", "nothing.shop.svc.Z HTTPS", "NX"),
        ("K-062", "nothing.shop.svc.Z TYPE1000", "NX"),
    ]));
}

#[test]
fn nobody_gets_a_transfer_that_is_not_configured() {
    check(&Table::of(&[
        ("K-061", "Z AXFR", "REFUSED"),
        ("K-061", "Z IXFR", "REFUSED"),
        ("K-061", "web.shop.svc.Z AXFR", "REFUSED"),
        ("K-061", "nothing.shop.svc.Z AXFR", "REFUSED"),
        ("K-061", "in-addr.arpa. AXFR", "REFUSED"),
    ]));
}
