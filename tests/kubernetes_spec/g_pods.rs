//! Section G: names of pods (K-150 to K-160).

use super::check;
use super::table::Table;

#[test]
fn pods_have_no_names_by_default() {
    let table = Table::of(&[
        ("K-150", "pod.Z A", "NODATA"),
        ("K-150", "shop.pod.Z A", "NX"),
        ("K-150", "shop.pod.Z TXT", "NX"),
        ("K-150", "nowhere.pod.Z A", "NX"),
        ("K-150", "10-244-9-1.shop.pod.Z A", "NX"),
        ("K-150", "10-244-9-1.shop.pod.Z SOA", "NX"),
        ("K-157", "db-0.db.data.pod.Z A", "NX"),
        ("K-157", "db.data.pod.Z A", "NX"),
    ]);
    check(&table);
    check(&table.with(&["pods disabled"]));
}

#[test]
fn insecure_pods_answer_any_address_in_a_namespace_that_exists() {
    check(
        &Table::of(&[
            ("K-151", "10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("K-151", "10-1-2-3.empty.pod.Z A", "@ A 10.1.2.3"),
            ("K-151", "10-1-2-3.shop.pod.Z AAAA", "NODATA"),
            ("K-151", "fd00--1.shop.pod.Z AAAA", "@ AAAA fd00::1"),
            ("K-151", "FD00--1.Shop.pod.Z AAAA", "@ AAAA fd00::1"),
            ("K-151", "fd00--1.shop.pod.Z A", "NODATA"),
            ("K-153", "fd10-0244-7-0-0-0-0-9.shop.pod.Z AAAA", "@ AAAA fd10:244:7::9"),
            ("K-153", "10-1-2--3.shop.pod.Z AAAA", "@ AAAA 10:1:2::3"),
            ("K-041", "10-1-2-3.pod.pod.Z A", "@ A 10.1.2.3"),
            ("K-154", "web.10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("K-154", "a.b.10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("K-154", "a.b.c.10-1-2-3.shop.pod.Z A", "NX"),
            ("K-155", "10-1-2-3.nowhere.pod.Z A", "NX"),
            ("K-156", "10-1-2-3.shop.pod.Z SRV", "NODATA"),
            ("K-085", "10-1-2-3.shop.pod.Z TXT", "NODATA"),
            ("K-085", "10-1-2-3.shop.pod.Z ANY", "NODATA"),
            ("K-051", "10-1-2-3.shop.pod.Z SOA", "NODATA"),
            ("K-157", "cart-0.shop.pod.Z A", "NX"),
            ("K-157", "db-0.db.data.pod.Z A", "NX"),
            ("K-159", "01-2-3-4.shop.pod.Z A", "NX"),
            ("K-159", "10-1-2-256.shop.pod.Z A", "NX"),
            ("K-159", "10-1-2.shop.pod.Z A", "NX"),
            ("K-159", "1-2-3-4-5.shop.pod.Z A", "NX"),
            ("K-159", "1-2-3-4-5-6-7-8-9.shop.pod.Z AAAA", "NX"),
            ("K-159", "fd00--1--2.shop.pod.Z AAAA", "NX"),
            ("K-159", "web.shop.pod.Z A", "NX"),
            ("K-159", "x-1-2-3.shop.pod.Z A", "NX"),
            ("K-159", "10-1-2-x.shop.pod.Z TXT", "NX"),
            ("K-160", "shop.pod.Z A", "NODATA"),
            ("K-160", "empty.pod.Z TXT", "NODATA"),
            ("K-160", "nowhere.pod.Z A", "NX"),
            ("K-150", "pod.Z A", "NODATA"),
            ("K-132", "to-pod.shop.svc.Z A", "@ CNAME 10-1-2-3.shop.pod.Z; 10-1-2-3.shop.pod.Z A 10.1.2.3"),
        ])
        .with(&["pods insecure"]),
    );
}

#[test]
fn verified_pods_are_those_that_exist() {
    check(
        &Table::of(&[
            ("K-152", "10-244-9-1.shop.pod.Z A", "@ A 10.244.9.1"),
            ("K-152", "10-244-9-1.shop.pod.Z AAAA", "NODATA"),
            ("K-152", "10-244-9-2.shop.pod.Z A", "@ A 10.244.9.2"),
            ("K-152", "192-0-2-50.shop.pod.Z A", "@ A 192.0.2.50"),
            ("K-152", "10-244-9-3.shop.pod.Z A", "NX"),
            ("K-152", "10-244-9-1.data.pod.Z A", "NX"),
            ("K-153", "fd00-10-244-9--1.shop.pod.Z AAAA", "@ AAAA fd00:10:244:9::1"),
            ("K-153", "fd00-10-244-9-0-0-0-1.shop.pod.Z AAAA", "@ AAAA fd00:10:244:9::1"),
            ("K-153", "fd00-10-244-9--1.shop.pod.Z A", "NODATA"),
            ("K-154", "web.10-244-9-1.shop.pod.Z A", "@ A 10.244.9.1"),
            ("K-154", "a.b.10-244-9-1.shop.pod.Z A", "@ A 10.244.9.1"),
            ("K-154", "a.b.c.10-244-9-1.shop.pod.Z A", "NX"),
            ("K-155", "10-244-9-1.nowhere.pod.Z A", "NX"),
            ("K-156", "10-244-9-1.shop.pod.Z SRV", "NODATA"),
            ("K-157", "cart-0.shop.pod.Z A", "NX"),
            ("K-157", "solo.hermits.shop.pod.Z A", "NX"),
            ("K-158", "10-244-9-7.shop.pod.Z A", "NX"),
            ("K-158", "10-244-9-8.shop.pod.Z A", "NX"),
            ("K-158", "10-244-9-9.shop.pod.Z A", "NX"),
            ("K-158", "10-244-9-10.shop.pod.Z A", "NX"),
            ("K-159", "010-244-9-1.shop.pod.Z A", "NX"),
            ("K-160", "shop.pod.Z A", "NODATA"),
            ("K-160", "empty.pod.Z A", "NODATA"),
            ("K-160", "nowhere.pod.Z A", "NX"),
        ])
        .with(&["pods verified"]),
    );
}

#[test]
fn pod_hostnames_are_the_host_names_of_endpoints() {
    let table = Table::of(&[
        ("0", "db-0.db.data.pod.Z A", "@ A 10.244.2.1"),
        ("0", "DB-1.db.data.pod.CLUSTER.LOCAL. A", "@ A 10.244.2.2"),
        ("0", "db-0.db.data.pod.Z AAAA", "NODATA"),
        ("0", "db-0.db.data.pod.Z SRV", "NODATA"),
        ("0", "db-0.db.data.pod.Z TXT", "NODATA"),
        ("0", "db-2.db.data.pod.Z A", "NX"),
        ("0", "db-7.db.data.pod.Z A", "NX"),
        ("0", "db-0.nothing.data.pod.Z A", "NX"),
        ("0", "db-0.db.shop.pod.Z A", "NX"),
        ("0", "db-0.db.nowhere.pod.Z A", "NX"),
        ("0", "a.db-0.db.data.pod.Z A", "NX"),
        ("0", "node.twins.data.pod.Z A", "@ A 10.244.4.1; @ A 10.244.4.2"),
        ("0", "pair-0.pair.data.pod.Z A", "@ A 10.244.6.1"),
        ("0", "pair-0.pair.data.pod.Z AAAA", "@ AAAA fd00:10:244:6::1"),
        ("0", "canary.web.shop.pod.Z A", "@ A 10.244.1.11"),
        ("0", "sick.web.shop.pod.Z A", "NX"),
        // A name made of an address is no host name.
        ("0", "10-244-1-10.web.shop.pod.Z A", "NX"),
        ("0", "10-244-3-1.mesh.data.pod.Z A", "NX"),
        ("0", "g.ghost.data.pod.Z A", "NX"),
        // Above host names there is no data, above none there is nothing.
        ("K-037", "db.data.pod.Z A", "NODATA"),
        ("K-037", "web.shop.pod.Z A", "NODATA"),
        ("K-037", "mesh.data.pod.Z A", "NX"),
        ("K-037", "unready.data.pod.Z A", "NX"),
        ("0", "data.pod.Z A", "NODATA"),
        ("0", "empty.pod.Z A", "NODATA"),
        ("0", "nowhere.pod.Z A", "NX"),
    ]);
    check(&table.with(&["pod_hostnames"]));
    check(&table.with(&["pod_hostnames", "pods insecure"]));
    check(&table.with(&["pods verified", "pod_hostnames"]));
}

#[test]
fn pod_hostnames_stand_beside_each_mode_of_pods() {
    check(
        &Table::of(&[
            ("0", "10-1-2-3.shop.pod.Z A", "NX"),
            ("0", "solo.hermits.shop.pod.Z A", "NX"),
            ("0", "db-9.db.data.pod.Z A", "NX"),
            ("0", "x.10-1-2-3.shop.pod.Z A", "NX"),
        ])
        .with(&["pod_hostnames"]),
    );
    check(
        &Table::of(&[
            ("K-154", "x.10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("K-151", "10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("0", "solo.hermits.shop.pod.Z A", "NX"),
            ("0", "hermits.shop.pod.Z A", "NX"),
        ])
        .with(&["pods insecure", "pod_hostnames"]),
    );
    check(
        &Table::of(&[
            ("0", "solo.hermits.shop.pod.Z A", "@ A 10.244.9.20"),
            ("0", "Solo.Hermits.shop.pod.Z A", "@ A 10.244.9.20"),
            ("0", "solo.hermits.shop.pod.Z AAAA", "NODATA"),
            ("0", "solo.hermits.data.pod.Z A", "NX"),
            ("0", "other.hermits.shop.pod.Z A", "NX"),
            // Its Service exists and does not know it as a ready endpoint.
            ("0", "db-9.db.data.pod.Z A", "NX"),
            ("K-037", "hermits.shop.pod.Z A", "NODATA"),
            ("K-152", "10-244-9-20.shop.pod.Z A", "@ A 10.244.9.20"),
            ("K-152", "10-1-2-3.shop.pod.Z A", "NX"),
        ])
        .with(&["pods verified", "pod_hostnames"]),
    );
}
