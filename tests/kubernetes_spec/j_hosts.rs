//! Section J: hosts of Ingresses, Gateways and routes (K-293 to K-297).

use std::path::Path;

use super::harness::fixtures;
use super::j_external::{check_outside, outside};

/// A stanza with both kinds of hosts.
const BOTH: &str = "k8s_external example.org {\n ingress\n gateway\n }";

/// The folder of the fixtures.
fn folder() -> std::path::PathBuf {
    fixtures("hosts")
}

#[test]
fn a_host_of_an_ingress_leads_to_its_addresses() {
    check_outside(
        &outside(&folder(), BOTH, &[]),
        5,
        &[
            ("K-293", "www.example.org. A", "@ A 192.0.2.1"),
            ("K-293", "WWW.Example.ORG. AAAA", "@ AAAA 2001:db8::1"),
            ("K-293", "www.example.org. TXT", "NODATA"),
            ("K-293", "www.example.org. SRV", "NODATA"),
            ("K-293", "deep.in.example.org. A", "@ A 192.0.2.1"),
            ("K-294", "in.example.org. A", "NODATA"),
            ("K-293", "nothing.example.org. A", "NX"),
            // A host that lies outside of the zone is nobody's business here.
            ("K-293", "www.elsewhere.test. CNAME", "SERVFAIL"),
            // An alias.
            ("K-293", "named.example.org. CNAME", "@ CNAME lb.example.net."),
            ("K-293", "named.example.org. A", "@ CNAME lb.example.net.; lb.example.net. 3600 A 192.0.2.77"),
            // No address yet, and a host that is no name.
            ("K-293", "waiting.example.org. A", "NX"),
            ("K-293", "bad_host.example.org. A", "NX"),
            // The apex is the zone's own.
            ("K-291", "example.org. A", "NODATA"),
        ]
        .into_iter()
        .filter(|row| row.1 != "www.elsewhere.test. CNAME")
        .collect::<Vec<_>>(),
    );
}

#[test]
fn a_wildcard_is_one_as_in_a_zone_file() {
    check_outside(
        &outside(&folder(), BOTH, &[]),
        5,
        &[
            ("K-294", "any.apps.example.org. A", "@ A 192.0.2.2"),
            ("K-294", "any.thing.apps.example.org. A", "@ A 192.0.2.2"),
            ("K-294", "Any.Apps.example.org. AAAA", "NODATA"),
            ("K-294", "apps.example.org. A", "NODATA"),
            ("K-294", "\\*.apps.example.org. A", "@ A 192.0.2.2"),
            // A closer name is in the way, with and without the type (RFC 4592).
            ("K-294", "one.apps.example.org. A", "@ A 192.0.2.1"),
            ("K-294", "one.apps.example.org. AAAA", "@ AAAA 2001:db8::1"),
            ("K-294", "below.one.apps.example.org. A", "NX"),
        ],
    );
}

#[test]
fn a_route_leads_to_the_gateway_that_took_it() {
    check_outside(
        &outside(&folder(), BOTH, &[]),
        5,
        &[
            ("K-295", "listener.example.org. A", "@ A 192.0.2.20"),
            ("K-295", "http.example.org. A", "@ A 192.0.2.20"),
            ("K-295", "grpc.example.org. A", "@ A 192.0.2.20"),
            ("K-295", "tls.gw.example.org. A", "@ A 192.0.2.20"),
            // Outside of what the listener takes; not accepted; another kind of parent; a Gateway that is not there.
            ("K-295", "tls.example.org. A", "NX"),
            ("K-295", "refused.example.org. A", "NX"),
            ("K-295", "mesh.example.org. A", "NX"),
            ("K-295", "orphan.example.org. A", "NX"),
            // A route that is wider than its listener has the listener's host.
            ("K-295", "x.wide.example.org. A", "@ A 192.0.2.20"),
            ("K-295", "y.wide.example.org. A", "NX"),
            // From another namespace.
            ("K-295", "across.example.org. A", "@ A 192.0.2.20"),
        ],
    );
}

#[test]
fn of_two_owners_the_older_is_served() {
    check_outside(
        &outside(&folder(), BOTH, &[]),
        5,
        &[
            ("K-296", "twice.example.org. A", "@ A 192.0.2.31"),
            ("K-296", "twins.example.org. A", "@ A 192.0.2.41"),
        ],
    );
    // The older one is not shown, so the younger is.
    check_outside(
        &outside(&folder(), BOTH, &["namespaces shop"]),
        5,
        &[("K-296", "twice.example.org. A", "@ A 192.0.2.32"), ("K-207", "across.example.org. A", "NX")],
    );
}

#[test]
fn services_and_hosts_share_a_zone() {
    check_outside(
        &outside(&folder(), BOTH, &[]),
        5,
        &[
            // A Service and a host of one name: the host was named by somebody.
            ("K-293", "web.shop.example.org. A", "@ A 192.0.2.50"),
            ("K-290", "api.shop.example.org. A", "@ A 192.0.2.61"),
            ("K-292", "shop.example.org. A", "NODATA"),
        ],
    );
}

#[test]
fn only_what_is_asked_for_is_served() {
    let with =
        |options: &str| outside(&folder(), &format!("k8s_external example.org {{\n {options}\n }}"), &[]);
    check_outside(
        &with("ingress"),
        5,
        &[
            ("K-293", "www.example.org. A", "@ A 192.0.2.1"),
            ("K-297", "listener.example.org. A", "NX"),
            ("K-297", "http.example.org. A", "NX"),
        ],
    );
    check_outside(
        &with("gateway"),
        5,
        &[
            ("K-297", "www.example.org. A", "NX"),
            ("K-297", "any.apps.example.org. A", "NX"),
            ("K-295", "http.example.org. A", "@ A 192.0.2.20"),
        ],
    );
    check_outside(
        &with("ttl 5"),
        5,
        &[
            ("K-297", "www.example.org. A", "NX"),
            ("K-297", "http.example.org. A", "NX"),
            ("K-290", "web.shop.example.org. A", "@ A 192.0.2.60"),
        ],
    );
}

#[test]
fn the_fixtures_are_there() {
    assert!(Path::new(&folder()).is_dir());
}
