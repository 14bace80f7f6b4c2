//! What the numbers of the running server tell.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::args::Findings;
use super::numbers::Numbers;

/// Below so many queries no share says anything.
const ENOUGH: f64 = 1000.0;

/// Looks at the numbers; `own` are the addresses of this machine.
pub(super) fn look(numbers: &Numbers, own: &[IpAddr], found: &mut Findings) {
    upstreams(numbers, found);
    watches(numbers, found);
    ages(numbers, found);
    caches(numbers, found);
    faults(numbers, found);
    waste(numbers, own, found);
}

/// Upstreams that are down, lossy, slow, or lead back here: of one that is put aside only why.
fn upstreams(numbers: &Numbers, found: &mut Findings) {
    let mut aside = BTreeSet::new();
    // Not every family names protocol and path.
    let address = |to: &str| {
        let bare = to.rsplit("://").next().unwrap_or_default();
        bare.split('/').next().unwrap_or_default().to_owned()
    };
    for (to, looping) in numbers.by("signpost_loop_detected", "to", &[]) {
        if looping > 0.0 {
            aside.insert(address(&to));
            found.add(
                "warning",
                "loop",
                format!("the upstream {to} sends our questions back to us and is put aside"),
                "name the real servers behind `forward`; docs/loops.md tells where loops come from",
            );
        }
    }
    for (to, up) in numbers.by("signpost_upstream_up", "to", &[]) {
        if up < 1.0 && aside.insert(address(&to)) {
            found.add(
                "warning",
                "upstream-down",
                format!("the upstream {to} does not answer and is put aside"),
                "look whether a NetworkPolicy, a security group or a firewall drops UDP and TCP port 53 to it",
            );
        }
    }
    for (to, lost) in numbers.by("signpost_upstream_lost_ratio", "to", &[]) {
        if lost > 0.05 && !aside.contains(&address(&to)) {
            found.add(
                "warning",
                "upstream-lossy",
                format!("{:.0} % of what {to} was asked lately got no answer", lost * 100.0),
                "a full conntrack table or a limit of packets a second (1024 a network interface at AWS) looks like this: spread \
                 replicas over nodes, or ask over TCP with `force_tcp`",
            );
        }
    }
    for (to, seconds) in numbers.by("signpost_upstream_rtt_seconds", "to", &[]) {
        if seconds > 0.2 && !aside.contains(&address(&to)) {
            found.add(
                "hint",
                "upstream-slow",
                format!("{to} takes {:.0} ms to answer", seconds * 1000.0),
                "name a server that is nearer, or let `cache` prefetch",
            );
        }
    }
}

/// Watches that fail, chiefly for want of rights.
fn watches(numbers: &Numbers, found: &mut Findings) {
    for (resource, count) in
        numbers.by("signpost_watch_failures_total", "resource", &[("reason", "forbidden")])
    {
        // Where the account was asked for, that says more.
        if count > 0.0 && !found.told("rights", |text| text.contains(&format!(" {resource} ("))) {
            found.add(
                "warning",
                "rights",
                format!("the API server has refused {resource} {count:.0} times: the account may not list and watch them"),
                "add the rule to the ClusterRole: `signpost check` prints the rights that a Corefile needs",
            );
        }
    }
    for (resource, count) in
        numbers.by("signpost_watch_failures_total", "resource", &[("reason", "unauthorized")])
    {
        if count > 0.0 {
            let text = format!("the API server has not known us {count:.0} times for {resource}");
            found.add("warning", "rights", text, "look at the token and the CA of the service account");
        }
    }
    for (resource, lists) in numbers.by("signpost_watch_lists_total", "resource", &[]) {
        let expired = numbers
            .sum("signpost_watch_failures_total", &[("resource", &resource), ("reason", "expired")])
            .unwrap_or(0.0);
        if lists > 20.0 && expired > 20.0 {
            found.add(
                "hint",
                "relists",
                format!("{resource} were listed {lists:.0} times, {expired:.0} of them since the version was too old"),
                "an API server whose watch cache is too small compacts that quickly: look at --watch-cache-sizes and at etcd",
            );
        }
    }
}

/// After so long without any word a watch is told. Unit: seconds. Rule K-269.
const SILENT: f64 = 180.0;

/// Watches that nothing has confirmed for long; a quiet one gets a bookmark about once a minute.
fn ages(numbers: &Numbers, found: &mut Findings) {
    let family = "signpost_watch_confirmed_age_seconds";
    for (zone, _) in numbers.by(family, "zone", &[]) {
        for (resource, seconds) in numbers.by(family, "resource", &[("zone", &zone)]) {
            if seconds > SILENT {
                found.add(
                    "warning",
                    "watch-silent",
                    format!("nothing has confirmed the {resource} of {zone} for {seconds:.0} s: names may be older than the cluster"),
                    "look whether the API server is reached (a NetworkPolicy, a proxy that cuts long requests) and at errors of \
                     `plugin/kubernetes` in the log",
                );
            }
        }
    }
}

/// Caches that are full.
fn caches(numbers: &Numbers, found: &mut Findings) {
    for kind in ["success", "denial", "failure"] {
        let of = |family| numbers.by(family, "zones", &[("type", kind)]);
        for ((zones, bytes), (_, budget)) in
            of("signpost_cache_bytes").into_iter().zip(of("signpost_cache_budget_bytes"))
        {
            let evicted = numbers
                .sum("coredns_cache_evictions_total", &[("type", kind), ("zones", &zones)])
                .unwrap_or(0.0);
            let asked = numbers.sum("coredns_cache_requests_total", &[("zones", &zones)]).unwrap_or(0.0);
            if bytes > budget * 0.9 && evicted > asked * 0.05 && asked > ENOUGH {
                let text = format!(
                    "the cache for {zones} is full ({kind}): {evicted:.0} answers had to make room in {asked:.0} questions"
                );
                found.add(
                    "hint",
                    "cache-full",
                    text,
                    "write a larger CAPACITY behind `success` or `denial`, where memory allows",
                );
            }
        }
    }
    let asked = numbers.sum("coredns_cache_requests_total", &[]).unwrap_or(0.0);
    let hits = numbers.sum("coredns_cache_hits_total", &[]).unwrap_or(0.0);
    if asked > ENOUGH * 10.0 && hits < asked * 0.2 {
        let text = format!("{:.0} % of what the cache was asked was in it", hits / asked * 100.0);
        found.add(
            "hint",
            "cache-misses",
            text,
            "look at which names are asked (`log denial`): a search list, or a program with random names",
        );
    }
}

/// Faults that were counted.
fn faults(numbers: &Numbers, found: &mut Findings) {
    let counted = [
        (
            "coredns_panics_total",
            "warning",
            "panics",
            "queries ended in a panic of ours",
            "please report it, with the log line that says where",
        ),
        (
            "coredns_reload_failed_total",
            "warning",
            "reload",
            "changed Corefiles could not be used",
            "`signpost check` says why; the one before goes on",
        ),
        (
            "signpost_log_dropped_total",
            "hint",
            "log-dropped",
            "log lines were not written, since stdout is too slow",
            "write `log denial error`, or leave `log` out",
        ),
        (
            "signpost_table_full_total",
            "warning",
            "table-full",
            "queries failed since too many waited for upstreams",
            "look at the upstreams above; more replicas share the load",
        ),
        (
            "signpost_connections_refused_total",
            "hint",
            "connections",
            "TCP connections were refused since there were too many",
            "look for a client that opens a connection a query",
        ),
    ];
    for (family, level, code, what, advice) in counted {
        if let Some(count) = numbers.sum(family, &[]).filter(|count| *count > 0.0) {
            found.add(level, code, format!("{count:.0} {what}"), advice);
        }
    }
}

/// Queries that need not have been asked.
fn waste(numbers: &Numbers, own: &[IpAddr], found: &mut Findings) {
    let Some(all) = numbers.sum("coredns_dns_responses_total", &[]).filter(|all| *all > ENOUGH) else {
        found.blind("waste by search lists: fewer than 1,000 queries were counted, or `prometheus` is not in the Corefile");
        return;
    };
    let denied = numbers
        .sum("coredns_dns_responses_total", &[("rcode", "NXDOMAIN"), ("plugin", "kubernetes")])
        .unwrap_or(0.0);
    if denied > all * 0.3 {
        found.add(
            "hint",
            "search-list",
            format!(
                "{:.0} % of all queries are cluster names that do not exist: search lists with ndots 5 make four of them of each \
                 name outside (`observe` in the Corefile counts which namespaces ask)",
                denied / all * 100.0
            ),
            "write names outside with a final dot, set ndots to 2 in dnsConfig of the pods that ask most, or let `autopath` \
             answer at once",
        );
    }
    let asked = |qtype| numbers.sum("coredns_dns_requests_total", &[("type", qtype)]).unwrap_or(0.0);
    let (four, six) = (asked("A"), asked("AAAA"));
    let has_six = own.iter().any(|ip| match ip {
        IpAddr::V6(ip) => !ip.is_loopback() && ip.segments()[0] & 0xffc0 != 0xfe80,
        IpAddr::V4(_) => false,
    });
    if six > (four + six) * 0.3 && four + six > ENOUGH && !has_six {
        found.add(
            "hint",
            "aaaa",
            format!("{:.0} % of address queries are for IPv6, and this pod has no IPv6 address", six / (four + six) * 100.0),
            "where the cluster has IPv4 only, write `families ipv4` into `forward`: AAAA of names outside is then not asked of upstreams",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of what is found on a machine with these addresses; each finding says what to do.
    fn codes_at(own: &[&str], text: &str) -> Vec<&'static str> {
        let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut found = Findings::default();
        look(&Numbers::read(text), &own, &mut found);
        found.codes()
    }

    /// The same on a machine of both families.
    fn codes(text: &str) -> Vec<&'static str> {
        codes_at(&["10.0.0.1", "fd00::1"], text)
    }

    #[test]
    fn a_sound_server_has_no_findings() {
        let text = "signpost_upstream_up{to=\"10.0.0.2:53\"} 1\nsignpost_upstream_lost_ratio{to=\"10.0.0.2:53\"} 0.001\n\
                    signpost_upstream_rtt_seconds{to=\"10.0.0.2:53\"} 0.002\nsignpost_watch_lists_total{resource=\"services\"} 1\n\
                    signpost_watch_confirmed_age_seconds{zone=\"a.\",resource=\"services\"} 100\n\
                    signpost_watch_confirmed_age_seconds{zone=\"b.\",resource=\"services\"} 100\n\
                    coredns_panics_total 0\ncoredns_reload_failed_total 0\nsignpost_loop_detected{to=\"10.0.0.2:53\"} 0\n\
                    coredns_dns_responses_total{rcode=\"NOERROR\",plugin=\"kubernetes\"} 90000\n\
                    coredns_dns_responses_total{rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} 900\n";
        assert_eq!(codes(text), [""; 0]);
    }

    #[test]
    fn each_fault_is_found_by_its_number() {
        for (text, code) in [
            ("signpost_upstream_up{to=\"10.0.0.2:53\"} 0\n", "upstream-down"),
            ("signpost_upstream_lost_ratio{to=\"10.0.0.2:53\"} 0.2\n", "upstream-lossy"),
            ("signpost_upstream_rtt_seconds{to=\"10.0.0.2:53\"} 0.5\n", "upstream-slow"),
            ("signpost_loop_detected{to=\"127.0.0.53:53\"} 1\n", "loop"),
            ("signpost_watch_failures_total{resource=\"services\",reason=\"forbidden\"} 3\n", "rights"),
            (
                "signpost_watch_confirmed_age_seconds{zone=\"cluster.local.\",resource=\"services\"} 200\n",
                "watch-silent",
            ),
            ("signpost_watch_failures_total{resource=\"services\",reason=\"unauthorized\"} 3\n", "rights"),
            (
                "signpost_watch_lists_total{resource=\"services\"} 40\n\
                 signpost_watch_failures_total{resource=\"services\",reason=\"expired\"} 30\n",
                "relists",
            ),
            ("coredns_panics_total 1\n", "panics"),
            ("coredns_reload_failed_total 2\n", "reload"),
            ("signpost_log_dropped_total 7\n", "log-dropped"),
            ("signpost_table_full_total 7\n", "table-full"),
            ("signpost_connections_refused_total{server=\"dns://:53\"} 7\n", "connections"),
            (
                "coredns_cache_requests_total{zones=\".\"} 50000\ncoredns_cache_hits_total{zones=\".\"} 900\n",
                "cache-misses",
            ),
            ("coredns_dns_responses_total{rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} 90000\n", "search-list"),
            (
                "coredns_cache_requests_total{zones=\".\"} 5000\ncoredns_cache_hits_total{zones=\".\"} 4000\n\
                 coredns_cache_evictions_total{type=\"success\",zones=\".\"} 900\n\
                 signpost_cache_bytes{type=\"success\",zones=\".\"} 99\nsignpost_cache_budget_bytes{type=\"success\",zones=\".\"} 100\n",
                "cache-full",
            ),
        ] {
            assert_eq!(codes(text), [code], "{text}");
        }
    }
    #[test]
    fn an_upstream_that_is_put_aside_is_told_once() {
        let down = "signpost_upstream_up{to=\"10.0.0.2:53\"} 0\nsignpost_upstream_lost_ratio{to=\"10.0.0.2:53\"} 0.9\n\
                    signpost_upstream_rtt_seconds{to=\"10.0.0.2:53\"} 0.9\n";
        assert_eq!(codes(down), ["upstream-down"]);
        assert_eq!(codes(&format!("{down}signpost_loop_detected{{to=\"10.0.0.2:53\"}} 1\n")), ["loop"]);
        let looping = format!("{down}signpost_loop_detected{{to=\"https://10.0.0.2:53/dns-query\"}} 1\n");
        assert_eq!(codes(&looping), ["loop"], "whatever it is asked by");
        // Others are told beside it.
        let other = "signpost_upstream_up{to=\"10.0.0.3:53\"} 1\nsignpost_upstream_lost_ratio{to=\"10.0.0.3:53\"} 0.2\n";
        assert_eq!(codes(&format!("{down}{other}")), ["upstream-down", "upstream-lossy"]);
    }

    #[test]
    fn rights_that_the_account_was_found_to_lack_are_told_once() {
        let text = "signpost_watch_failures_total{resource=\"services\",reason=\"forbidden\"} 3\n\
                    signpost_watch_failures_total{resource=\"pods\",reason=\"forbidden\"} 3\n";
        let mut found = Findings::default();
        found.add("warning", "rights", "this account may not list services (core)", "add it");
        look(&Numbers::read(text), &[], &mut found);
        assert_eq!(found.codes(), ["rights", "rights"]);
        assert!(found.told("rights", |text| text.contains("refused pods 3 times")));
    }

    #[test]
    fn questions_for_ipv6_are_found_where_the_pod_has_none() {
        let text = "coredns_dns_responses_total{rcode=\"NOERROR\",plugin=\"kubernetes\"} 90000\n\
                    coredns_dns_requests_total{type=\"A\"} 45000\ncoredns_dns_requests_total{type=\"AAAA\"} 45000\n";
        assert_eq!(codes_at(&["127.0.0.1", "::1", "10.0.0.1", "fe80::1"], text), ["aaaa"]);
        assert_eq!(codes_at(&["10.0.0.1", "2001:db8::1"], text), [""; 0]);
    }
}
