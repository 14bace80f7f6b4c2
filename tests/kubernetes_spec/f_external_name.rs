//! Section F: ExternalName Services (K-130 to K-145), as far as their targets are nobody's or the zone's own.

use super::check;
use super::table::Table;

#[test]
fn a_target_outside_is_the_alias_alone_while_nobody_knows_it() {
    check(&Table::of(&[
        ("K-130", "outside.shop.svc.Z CNAME", "@ CNAME www.example.com."),
        ("K-130", "outside-dot.shop.svc.Z CNAME", "@ CNAME www.example.com."),
        ("K-130", "gone.shop.svc.Z CNAME", "@ CNAME nothing.shop.svc.Z"),
        ("K-144", "outside.shop.svc.Z A", "@ CNAME www.example.com."),
        ("K-144", "outside.shop.svc.Z AAAA", "@ CNAME www.example.com."),
        ("K-139", "outside.shop.svc.Z SRV", "NODATA"),
        ("K-038", "_._.outside.shop.svc.Z CNAME", "@ CNAME www.example.com."),
        ("K-140", "_._tcp.outside.shop.svc.Z CNAME", "NX"),
        ("K-141", "outside.shop.svc.Z MX", "NODATA"),
        ("K-141", "outside.shop.svc.Z TXT", "NODATA"),
        ("K-141", "outside.shop.svc.Z HTTPS", "NODATA"),
        ("K-141", "outside.shop.svc.Z ANY", "NODATA"),
        ("K-141", "inside.shop.svc.Z ANY", "NODATA"),
        ("K-140", "x.outside.shop.svc.Z A", "NX"),
        ("K-140", "x.outside.shop.svc.Z CNAME", "NX"),
        ("K-140", "_http._tcp.outside.shop.svc.Z SRV", "NX"),
        ("K-140", "_http._tcp.outside.shop.svc.Z A", "NX"),
        ("K-037", "_tcp.outside.shop.svc.Z SRV", "NX"),
        ("K-136", "address.shop.svc.Z A", "NX"),
        ("K-136", "address.shop.svc.Z AAAA", "NX"),
        ("K-136", "address.shop.svc.Z CNAME", "NX"),
        ("K-136", "address.shop.svc.Z TXT", "NX"),
        ("K-136", "address.shop.svc.Z SOA", "NX"),
        ("K-136", "address-six.shop.svc.Z AAAA", "NX"),
        ("K-136", "address-six.shop.svc.Z CNAME", "NX"),
        ("K-145", "arpa:192.0.2.1 PTR", "NX"),
    ]));
}

#[test]
fn a_target_inside_is_resolved_in_place() {
    check(&Table::of(&[
        (
            "K-132",
            "inside.shop.svc.Z A",
            "@ CNAME db.data.svc.Z; db.data.svc.Z A 10.244.2.1; db.data.svc.Z A 10.244.2.2",
        ),
        ("K-132", "inside.shop.svc.Z AAAA", "NODATA"),
        (
            "K-132",
            "to-web.shop.svc.Z A",
            "@ CNAME Web.Shop.svc.Cluster.Local.; Web.Shop.svc.Cluster.Local. A 10.96.1.1",
        ),
        ("K-132", "to-dual.shop.svc.Z A", "@ CNAME dual.shop.svc.Z; dual.shop.svc.Z A 10.96.1.3"),
        ("K-132", "to-dual.shop.svc.Z AAAA", "@ CNAME dual.shop.svc.Z; dual.shop.svc.Z AAAA fd00:96::3"),
        (
            "K-132",
            "to-six.shop.svc.Z AAAA",
            "@ CNAME six.data.svc.Z; six.data.svc.Z AAAA fd00:10:244:5::21; \
             six.data.svc.Z AAAA fd00:10:244:5::",
        ),
        ("K-132", "to-six.shop.svc.Z A", "NODATA"),
        ("K-132", "to-endpoint.shop.svc.Z A", "@ CNAME db-0.db.data.svc.Z; db-0.db.data.svc.Z A 10.244.2.1"),
        (
            "K-132",
            "to-port.shop.svc.Z A",
            "@ CNAME _http._tcp.web.shop.svc.Z; _http._tcp.web.shop.svc.Z A 10.96.1.1",
        ),
        ("K-132", "to-ns.shop.svc.Z A", "@ CNAME ns.dns.Z; ns.dns.Z A 127.0.0.1"),
        ("K-132", "to-apex.shop.svc.Z A", "NODATA"),
        ("K-132", "to-pod.shop.svc.Z A", "NODATA"),
        ("K-135", "gone.shop.svc.Z A", "NODATA"),
        ("K-135", "gone.shop.svc.Z AAAA", "NODATA"),
        ("K-135", "to-unready.shop.svc.Z A", "NODATA"),
        (
            "K-003",
            "INSIDE.shop.svc.CLUSTER.LOCAL. A",
            "@ CNAME db.data.svc.Z; db.data.svc.Z A 10.244.2.1; db.data.svc.Z A 10.244.2.2",
        ),
    ]));
}

#[test]
fn chains_are_followed_to_their_end_and_loops_have_none() {
    check(&Table::of(&[
        (
            "K-133",
            "again.shop.svc.Z A",
            "@ CNAME inside.shop.svc.Z; inside.shop.svc.Z CNAME db.data.svc.Z; \
             db.data.svc.Z A 10.244.2.1; db.data.svc.Z A 10.244.2.2",
        ),
        ("K-133", "again.shop.svc.Z CNAME", "@ CNAME inside.shop.svc.Z"),
        (
            "K-133",
            "away.shop.svc.Z A",
            "@ CNAME outside.shop.svc.Z; outside.shop.svc.Z CNAME www.example.com.",
        ),
        (
            "K-133",
            "link-2.shop.svc.Z A +edns",
            "edns 1232; @ CNAME link-3.shop.svc.Z; link-3.shop.svc.Z CNAME link-4.shop.svc.Z; \
             link-4.shop.svc.Z CNAME link-5.shop.svc.Z; link-5.shop.svc.Z CNAME link-6.shop.svc.Z; \
             link-6.shop.svc.Z CNAME link-7.shop.svc.Z; link-7.shop.svc.Z CNAME link-8.shop.svc.Z; \
             link-8.shop.svc.Z CNAME link-9.shop.svc.Z; link-9.shop.svc.Z CNAME link-10.shop.svc.Z; \
             link-10.shop.svc.Z CNAME link-11.shop.svc.Z; link-11.shop.svc.Z CNAME link-12.shop.svc.Z; \
             link-12.shop.svc.Z CNAME web.shop.svc.Z; web.shop.svc.Z A 10.96.1.1",
        ),
        ("K-133", "link-1.shop.svc.Z A", "NODATA"),
        ("K-134", "loop-a.shop.svc.Z A", "NODATA"),
        ("K-134", "loop-b.shop.svc.Z AAAA", "NODATA"),
        ("K-134", "loop-a.shop.svc.Z CNAME", "@ CNAME loop-b.shop.svc.Z"),
        ("K-134", "self.shop.svc.Z A", "NODATA"),
        ("K-134", "self.shop.svc.Z CNAME", "@ CNAME self.shop.svc.Z"),
        ("K-134", "SELF.shop.svc.Z A", "NODATA"),
        ("K-134", "below-self.shop.svc.Z A", "NODATA"),
        ("K-134", "below-self.shop.svc.Z CNAME", "@ CNAME x.below-self.shop.svc.Z"),
    ]));
}
