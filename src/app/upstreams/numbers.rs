//! What `/metrics` says about forwarding: CoreDNS's names, old and new, and ours.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{Book, Known};
use crate::admin::Exposition;
use crate::forward::{Protocol, Upstream, UpstreamCounts, UpstreamSpec};
use crate::metrics::{DURATION, HistogramSum};

/// Label `to`: the address, as CoreDNS has it; an upstream over QUIC, which CoreDNS has not, with its scheme.
pub(super) fn to(spec: &UpstreamSpec) -> String {
    match spec.protocol {
        Protocol::Udp | Protocol::Tcp | Protocol::Tls | Protocol::Https => spec.addr.to_string(),
        Protocol::Quic => format!("quic://{}", spec.addr),
    }
}

/// Label `proto` of connections.
pub(super) fn proto(spec: &UpstreamSpec) -> &'static str {
    match spec.protocol {
        // What is not answered by a datagram is asked over TCP.
        Protocol::Udp => Protocol::Tcp.text(),
        other => other.text(),
    }
}

/// A counter of an upstream.
type Field = fn(&UpstreamCounts) -> &AtomicU64;

/// Families of ours with a counter an upstream: name, meaning, field.
const OURS: &[(&str, &str, Field)] = &[
    ("signpost_upstream_queries_total", "Queries sent, probes not counted.", |c| &c.queries),
    ("signpost_upstream_timeouts_total", "Queries that were not answered in time.", |c| &c.timeouts),
    ("signpost_upstream_errors_total", "Queries that the network refused.", |c| &c.errors),
    ("signpost_upstream_mismatches_total", "Messages that were no answer to what was asked.", |c| {
        &c.mismatches
    }),
    ("signpost_upstream_late_total", "Replies that nobody waited for any more.", |c| &c.late),
    ("signpost_upstream_hedged_total", "Queries sent while another upstream was awaited.", |c| &c.hedged),
];

/// The numbers.
pub(in crate::app) struct Numbers(pub(super) Arc<Mutex<Known>>);

impl Numbers {
    /// Writes all families.
    pub(in crate::app) fn write(&self, text: &mut Exposition) {
        let (books, upstreams, counts) = {
            let known = self.0.lock();
            let upstreams: Vec<Arc<Upstream>> = known.upstreams.iter().filter_map(Weak::upgrade).collect();
            (known.books.clone(), upstreams, known.counts.clone())
        };
        for (name, help, counter) in [
            (
                "coredns_forward_healthcheck_broken_total",
                "Questions that met every upstream put aside.",
                &counts.all_down,
            ),
            (
                "coredns_forward_max_concurrent_rejects_total",
                "Questions not asked since too many were under way.",
                &counts.rejected,
            ),
            (
                "signpost_forward_coalesced_total",
                "Questions that joined an equal one under way.",
                &counts.coalesced,
            ),
        ] {
            text.family(name, "counter", help);
            text.value(name, &[], counter.load(Relaxed));
        }
        proxies(text, &books);
        older(text, &books);
        for (name, help, field) in OURS {
            each(text, name, help, &books, &[], *field);
        }
        health(text, &upstreams);
    }
}

/// Writes a family with a counter an upstream.
fn each(text: &mut Exposition, name: &str, help: &str, books: &[Book], more: &[(&str, &str)], field: Field) {
    text.family(name, "counter", help);
    for book in books {
        let mut labels = more.to_vec();
        labels.push(("to", &book.to));
        text.value(name, &labels, field(&book.counts).load(Relaxed));
    }
}

/// CoreDNS's families of today.
fn proxies(text: &mut Exposition, books: &[Book]) {
    let forward = [("proxy_name", "forward")];
    let name = "coredns_proxy_request_duration_seconds";
    text.family(name, "histogram", "Time from a query to its reply, by upstream and code.");
    durations(text, name, &forward, books);
    let name = "coredns_proxy_healthcheck_failures_total";
    each(text, name, "Probes that failed.", books, &forward, |c| &c.probe_failures);
    let families: [(&str, &str, Field, Field); 2] = [
        (
            "coredns_proxy_conn_cache_hits_total",
            "Queries over a connection or port that was there.",
            |c| &c.reused,
            |c| &c.ports_reused,
        ),
        (
            "coredns_proxy_conn_cache_misses_total",
            "Connections and ports that were opened.",
            |c| &c.opened,
            |c| &c.ports_opened,
        ),
    ];
    for (name, help, streams, ports) in families {
        text.family(name, "counter", help);
        for book in books {
            for (proto, field) in [(book.proto, streams), (Protocol::Udp.text(), ports)] {
                let count = field(&book.counts).load(Relaxed);
                if count > 0 {
                    let labels = [("proxy_name", "forward"), ("to", book.to.as_str()), ("proto", proto)];
                    text.value(name, &labels, count);
                }
            }
        }
    }
}

/// CoreDNS's families of old, which dashboards still read.
fn older(text: &mut Exposition, books: &[Book]) {
    each(text, "coredns_forward_requests_total", "Queries by upstream.", books, &[], |c| &c.queries);
    let name = "coredns_forward_responses_total";
    text.family(name, "counter", "Replies by upstream and code.");
    for book in books {
        book.durations.each(|rcode, buckets, _| {
            text.value(name, &[("to", &book.to), ("rcode", rcode)], buckets.iter().sum::<u64>());
        });
    }
    let name = "coredns_forward_request_duration_seconds";
    text.family(name, "histogram", "Time from a query to its reply, by upstream and code.");
    durations(text, name, &[], books);
    let name = "coredns_forward_healthcheck_failures_total";
    each(text, name, "Probes that failed.", books, &[], |c| &c.probe_failures);
}

/// Writes the histograms of replies.
fn durations(text: &mut Exposition, name: &str, more: &[(&str, &str)], books: &[Book]) {
    for book in books {
        book.durations.each(|rcode, buckets, sum| {
            let mut total = HistogramSum { sum, ..HistogramSum::default() };
            total.buckets.iter_mut().zip(&buckets).for_each(|(to, from)| *to = *from);
            let mut labels = more.to_vec();
            labels.extend([("to", book.to.as_str()), ("rcode", rcode)]);
            text.histogram(name, &labels, DURATION, &total);
        });
    }
}

/// How the upstreams do that are asked now; of several with one name the one that does worst.
fn health(text: &mut Exposition, upstreams: &[Arc<Upstream>]) {
    let mut names: Vec<String> = upstreams.iter().map(|upstream| to(upstream.spec())).collect();
    names.sort_unstable();
    names.dedup();
    let named = |name: &str| {
        let name = name.to_owned();
        upstreams.iter().filter(move |upstream| to(upstream.spec()) == name).map(|upstream| &upstream.health)
    };
    let family = "signpost_upstream_up";
    text.family(family, "gauge", "Whether an upstream is asked as usual (1) or put aside (0).");
    for name in &names {
        text.value(family, &[("to", name)], u8::from(named(name).all(|health| health.up())));
    }
    let family = "signpost_upstream_rtt_seconds";
    text.family(family, "gauge", "Smoothed time of an upstream's replies.");
    for name in &names {
        if let Some(rtt) = named(name).filter_map(|health| health.rtt()).max() {
            text.value(family, &[("to", name)], rtt.as_secs_f64());
        }
    }
    let family = "signpost_upstream_lost_ratio";
    text.family(family, "gauge", "Share of an upstream's queries that were lost lately.");
    for name in &names {
        let lost = named(name).map(|health| health.lost()).max().unwrap_or(0);
        text.value(family, &[("to", name)], f64::from(lost) / 1e6);
    }
}
