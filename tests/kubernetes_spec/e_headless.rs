//! Section E: headless Services (K-100 to K-121).

use super::check;
use super::table::Table;

#[test]
fn a_headless_service_is_its_ready_endpoints() {
    check(&Table::of(&[
        ("K-100", "db.data.svc.Z A", "@ A 10.244.2.1; @ A 10.244.2.2"),
        ("K-100", "mesh.data.svc.Z A", "@ A 10.244.3.1; @ A 10.244.3.2"),
        ("K-100", "wide.data.svc.Z A", "@ A 10.244.8.50; @ A 10.244.8.51"),
        ("K-100", "spelled.data.svc.Z A", "@ A 10.244.8.60"),
        ("K-101", "six.data.svc.Z AAAA", "@ AAAA fd00:10:244:5::; @ AAAA fd00:10:244:5::21"),
        ("K-101", "six.data.svc.Z A", "NODATA"),
        ("K-101", "db.data.svc.Z AAAA", "NODATA"),
        ("K-101", "pair.data.svc.Z A", "@ A 10.244.6.1"),
        ("K-101", "pair.data.svc.Z AAAA", "@ AAAA fd00:10:244:6::1"),
        ("K-102", "unsaid.data.svc.Z A", "@ A 10.244.8.1; @ A 10.244.8.2"),
        ("K-102", "unready.data.svc.Z A", "NX"),
        ("K-103", "10-244-7-1.unready.data.svc.Z A", "NX"),
        ("K-104", "unready.data.svc.Z AAAA", "NX"),
        ("K-104", "unready.data.svc.Z SRV", "NX"),
        ("K-104", "unready.data.svc.Z TXT", "NX"),
        ("K-104", "unready.data.svc.Z SOA", "NX"),
        ("K-104", "_x._tcp.unready.data.svc.Z SRV", "NX"),
        ("K-104", "lonely.data.svc.Z A", "NX"),
        ("K-104", "lonely.data.svc.Z SRV", "NX"),
        ("K-104", "hollow.data.svc.Z A", "NX"),
        ("K-085", "db.data.svc.Z CNAME", "NODATA"),
        ("K-085", "db.data.svc.Z MX", "NODATA"),
        ("K-085", "db.data.svc.Z ANY", "NODATA"),
        ("K-116", "ghost.data.svc.Z A", "NX"),
        ("K-116", "g.ghost.data.svc.Z A", "NX"),
        ("K-116", "_x._tcp.ghost.data.svc.Z SRV", "NX"),
        ("K-177", "10-244-20-2.stray.data.svc.Z A", "NX"),
        ("K-118", "twice.data.svc.Z A", "@ A 10.244.8.30"),
        ("K-121", "fqdn.data.svc.Z A", "NX"),
    ]));
}

#[test]
fn endpoints_are_named_by_host_name_or_by_address() {
    check(&Table::of(&[
        ("K-105", "db-0.db.data.svc.Z A", "@ A 10.244.2.1"),
        ("K-105", "10-244-2-1.db.data.svc.Z A", "NX"),
        ("K-073", "db-0.db.data.svc.Z AAAA", "NODATA"),
        ("K-105", "10-244-3-1.mesh.data.svc.Z A", "@ A 10.244.3.1"),
        ("K-105", "10-244-8-51.wide.data.svc.Z A", "@ A 10.244.8.51"),
        ("K-106", "fd00-10-244-5--21.six.data.svc.Z AAAA", "@ AAAA fd00:10:244:5::21"),
        ("K-106", "FD00-10-244-5--21.six.data.svc.Z AAAA", "@ AAAA fd00:10:244:5::21"),
        ("K-106", "fd00-10-244-5--0.six.data.svc.Z AAAA", "@ AAAA fd00:10:244:5::"),
        ("K-106", "fd00-10-244-5--.six.data.svc.Z AAAA", "NX"),
        ("K-106", "fd00-10-244-5--21.six.data.svc.Z A", "NODATA"),
        ("K-106", "fd00-10-244-9-0-0-0-1.spelled.data.svc.Z AAAA", "@ AAAA fd00:10:244:9::1"),
        ("K-106", "fd00-10-244-9--1.spelled.data.svc.Z AAAA", "NX"),
        ("K-107", "node.twins.data.svc.Z A", "@ A 10.244.4.1; @ A 10.244.4.2"),
        ("K-107", "pair-0.pair.data.svc.Z A", "@ A 10.244.6.1"),
        ("K-107", "pair-0.pair.data.svc.Z AAAA", "@ AAAA fd00:10:244:6::1"),
        ("K-117", "db-2.db.data.svc.Z A", "NX"),
        ("K-117", "10-244-2-3.db.data.svc.Z A", "NX"),
        ("K-117", "u.unready.data.svc.Z A", "NX"),
        ("K-120", "db-pod-0.db.data.svc.Z A", "NX"),
        ("K-120", "alpha.staff.data.svc.Z A", "NX"),
        ("K-120", "10-244-8-70.staff.data.svc.Z A", "@ A 10.244.8.70"),
    ]));
}

#[test]
fn srv_names_the_endpoints_that_have_the_port() {
    check(&Table::of(&[
        (
            "K-108",
            "_pg._tcp.db.data.svc.Z SRV",
            "@ SRV 0 50 5432 db-0.db.data.svc.Z; @ SRV 0 50 5432 db-1.db.data.svc.Z; \
             +db-0.db.data.svc.Z A 10.244.2.1; +db-1.db.data.svc.Z A 10.244.2.2",
        ),
        ("K-077", "_pg._tcp.db.data.svc.Z A", "@ A 10.244.2.1; @ A 10.244.2.2"),
        ("K-077", "_pg._tcp.db.data.svc.Z AAAA", "NODATA"),
        ("K-082", "_pg._udp.db.data.svc.Z SRV", "NX"),
        ("K-082", "_mysql._tcp.db.data.svc.Z SRV", "NX"),
        (
            "K-109",
            "mesh.data.svc.Z SRV",
            "@ SRV 0 33 80 10-244-3-1.mesh.data.svc.Z; @ SRV 0 33 9000 10-244-3-1.mesh.data.svc.Z; \
             @ SRV 0 33 8080 10-244-3-2.mesh.data.svc.Z; +10-244-3-1.mesh.data.svc.Z A 10.244.3.1; \
             +10-244-3-2.mesh.data.svc.Z A 10.244.3.2",
        ),
        (
            "K-115",
            "_http._tcp.mesh.data.svc.Z SRV",
            "@ SRV 0 50 80 10-244-3-1.mesh.data.svc.Z; @ SRV 0 50 8080 10-244-3-2.mesh.data.svc.Z; \
             +10-244-3-1.mesh.data.svc.Z A 10.244.3.1; +10-244-3-2.mesh.data.svc.Z A 10.244.3.2",
        ),
        (
            "K-115",
            "_grpc._tcp.mesh.data.svc.Z SRV",
            "@ SRV 0 100 9000 10-244-3-1.mesh.data.svc.Z; +10-244-3-1.mesh.data.svc.Z A 10.244.3.1",
        ),
        ("K-115", "_grpc._tcp.mesh.data.svc.Z A", "@ A 10.244.3.1"),
        (
            "K-110",
            "twins.data.svc.Z SRV",
            "@ SRV 0 50 7 node.twins.data.svc.Z; +node.twins.data.svc.Z A 10.244.4.1; \
             +node.twins.data.svc.Z A 10.244.4.2",
        ),
        (
            "K-110",
            "_x._tcp.twins.data.svc.Z SRV",
            "@ SRV 0 50 7 node.twins.data.svc.Z; +node.twins.data.svc.Z A 10.244.4.1; \
             +node.twins.data.svc.Z A 10.244.4.2",
        ),
        (
            "K-110",
            "pair.data.svc.Z SRV",
            "@ SRV 0 50 7 pair-0.pair.data.svc.Z; +pair-0.pair.data.svc.Z A 10.244.6.1; \
             +pair-0.pair.data.svc.Z AAAA fd00:10:244:6::1",
        ),
        (
            "K-110",
            "both.data.svc.Z SRV",
            "@ SRV 0 50 53 10-244-8-40.both.data.svc.Z; +10-244-8-40.both.data.svc.Z A 10.244.8.40",
        ),
        (
            "K-108",
            "_u._udp.both.data.svc.Z SRV",
            "@ SRV 0 100 53 10-244-8-40.both.data.svc.Z; +10-244-8-40.both.data.svc.Z A 10.244.8.40",
        ),
        (
            "K-111",
            "unnamed.data.svc.Z SRV",
            "@ SRV 0 100 6000 10-244-8-20.unnamed.data.svc.Z; +10-244-8-20.unnamed.data.svc.Z A 10.244.8.20",
        ),
        ("K-111", "_6000._tcp.unnamed.data.svc.Z SRV", "NX"),
        ("K-111", "_unnamed._tcp.unnamed.data.svc.Z SRV", "NX"),
        ("K-112", "mute.data.svc.Z A", "@ A 10.244.8.10"),
        ("K-112", "10-244-8-10.mute.data.svc.Z A", "@ A 10.244.8.10"),
        ("K-112", "mute.data.svc.Z SRV", "NODATA"),
        ("K-112", "10-244-8-10.mute.data.svc.Z SRV", "NODATA"),
        ("K-112", "_x._tcp.mute.data.svc.Z SRV", "NX"),
        ("K-112", "null-port.data.svc.Z A", "@ A 10.244.8.11"),
        ("K-112", "null-port.data.svc.Z SRV", "NODATA"),
        ("K-112", "_x._tcp.null-port.data.svc.Z A", "@ A 10.244.8.11"),
        ("K-112", "_x._tcp.null-port.data.svc.Z SRV", "NODATA"),
        ("K-112", "_tcp.null-port.data.svc.Z A", "NODATA"),
        ("K-112", "_._tcp.mute.data.svc.Z A", "NX"),
        ("K-038", "_._.mute.data.svc.Z A", "@ A 10.244.8.10"),
        ("K-038", "_._.mute.data.svc.Z SRV", "NODATA"),
        (
            "K-113",
            "db-0.db.data.svc.Z SRV",
            "@ SRV 0 100 5432 db-0.db.data.svc.Z; +db-0.db.data.svc.Z A 10.244.2.1",
        ),
        (
            "K-113",
            "10-244-3-1.mesh.data.svc.Z SRV",
            "@ SRV 0 50 80 10-244-3-1.mesh.data.svc.Z; @ SRV 0 50 9000 10-244-3-1.mesh.data.svc.Z; \
             +10-244-3-1.mesh.data.svc.Z A 10.244.3.1",
        ),
        (
            "K-113",
            "node.twins.data.svc.Z SRV",
            "@ SRV 0 50 7 node.twins.data.svc.Z; +node.twins.data.svc.Z A 10.244.4.1; \
             +node.twins.data.svc.Z A 10.244.4.2",
        ),
        (
            "K-118",
            "twice.data.svc.Z SRV",
            "@ SRV 0 50 7 10-244-8-30.twice.data.svc.Z; +10-244-8-30.twice.data.svc.Z A 10.244.8.30",
        ),
        (
            "K-086",
            "six.data.svc.Z SRV",
            "@ SRV 0 50 7 fd00-10-244-5--21.six.data.svc.Z; @ SRV 0 50 7 fd00-10-244-5--0.six.data.svc.Z; \
             +fd00-10-244-5--21.six.data.svc.Z AAAA fd00:10:244:5::21; \
             +fd00-10-244-5--0.six.data.svc.Z AAAA fd00:10:244:5::",
        ),
        (
            "K-109",
            "wide.data.svc.Z SRV",
            "@ SRV 0 50 7 10-244-8-50.wide.data.svc.Z; @ SRV 0 50 7 10-244-8-51.wide.data.svc.Z; \
             +10-244-8-50.wide.data.svc.Z A 10.244.8.50; +10-244-8-51.wide.data.svc.Z A 10.244.8.51",
        ),
    ]));
}

#[test]
fn endpoint_pod_names_puts_pods_into_names_where_they_fit() {
    check(
        &Table::of(&[
            ("K-114", "alpha.staff.data.svc.Z A", "@ A 10.244.8.70"),
            ("K-114", "10-244-8-70.staff.data.svc.Z A", "NX"),
            ("K-114", "boss.staff.data.svc.Z A", "@ A 10.244.8.71"),
            ("K-114", "beta.staff.data.svc.Z A", "NX"),
            (
                "K-114",
                "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.staff.data.svc.Z A",
                "@ A 10.244.8.72",
            ),
            ("K-114", "10-244-8-72.staff.data.svc.Z A", "NX"),
            ("K-114", "10-244-8-73.staff.data.svc.Z A", "@ A 10.244.8.73"),
            ("K-114", "db-0.db.data.svc.Z A", "@ A 10.244.2.1"),
            ("K-114", "db-pod-0.db.data.svc.Z A", "NX"),
            ("K-114", "10-244-3-1.mesh.data.svc.Z A", "@ A 10.244.3.1"),
            (
                "K-114",
                "_x._tcp.staff.data.svc.Z SRV",
                "@ SRV 0 25 7 alpha.staff.data.svc.Z; @ SRV 0 25 7 boss.staff.data.svc.Z; \
                 @ SRV 0 25 7 ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.staff.data.svc.Z; \
                 @ SRV 0 25 7 10-244-8-73.staff.data.svc.Z; \
                 +alpha.staff.data.svc.Z A 10.244.8.70; +boss.staff.data.svc.Z A 10.244.8.71; \
                 +ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.staff.data.svc.Z A 10.244.8.72; \
                 +10-244-8-73.staff.data.svc.Z A 10.244.8.73",
            ),
            ("K-114", "arpa:10.244.8.70 PTR", "@ PTR alpha.staff.data.svc.Z"),
            ("K-114", "arpa:10.244.8.71 PTR", "@ PTR boss.staff.data.svc.Z"),
            ("K-114", "arpa:10.244.8.73 PTR", "@ PTR 10-244-8-73.staff.data.svc.Z"),
        ])
        .with(&["endpoint_pod_names"]),
    );
}
