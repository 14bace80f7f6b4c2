//! What `/metrics` says of caches: CoreDNS's names and labels, and ours for bytes (rule C-12).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Exposition;
use crate::cache::{Counts, Kind, Usage, WorkerCounts};
use crate::chain::Plan;
use crate::metrics::Counter;

/// What there is of one line on one server.
struct Seen {
    /// What was counted.
    counts: Arc<Counts>,
    /// How much there is: positive, negative, failed. Two blocks whose lines name the same zones are added up.
    usage: [Usage; 3],
}

/// The kinds, in the order of `Seen::usage`, with how our own families name them.
const KINDS: [(Kind, &str); 3] =
    [(Kind::Positive, "success"), (Kind::Negative, "denial"), (Kind::Failure, "failure")];

/// A count of one worker.
type Field = fn(&WorkerCounts) -> &Counter;

/// A number of bytes of one kind.
type Bytes = fn(&Usage) -> u64;

/// Adds what the caches of a plan count.
pub fn caches(text: &mut Exposition, plan: &Plan) {
    let mut seen: BTreeMap<(&str, &str, &str), Seen> = BTreeMap::new();
    for cached in plan.chains.iter().filter_map(|chain| chain.cache.as_ref()) {
        let usage = KINDS.map(|(kind, _)| cached.cache.usage(kind));
        for (server, counts) in &cached.servers {
            match seen.get_mut(&(server.as_str(), cached.zones.as_str(), cached.view.as_str())) {
                Some(known) => {
                    for (to, from) in known.usage.iter_mut().zip(usage) {
                        to.entries += from.entries;
                        to.bytes += from.bytes;
                        to.budget += from.budget;
                    }
                }
                None => {
                    seen.insert(
                        (server, &cached.zones, &cached.view),
                        Seen { counts: counts.clone(), usage },
                    );
                }
            }
        }
    }
    if seen.is_empty() {
        return;
    }
    let labels = |(server, zones, view): &(&str, &str, &str), kind: Option<&'static str>| {
        let mut labels = vec![("server", (*server).to_owned()), ("zones", (*zones).to_owned())];
        labels.extend(kind.map(|kind| ("type", kind.to_owned())));
        labels.push(("view", (*view).to_owned()));
        labels
    };
    let mut family = |name: &str, kind: &str, help: &str, values: Vec<(Vec<(&str, String)>, u64)>| {
        text.family(name, kind, help);
        for (labels, value) in values {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text.value(name, &labels, value);
        }
    };
    let entries = seen.iter().flat_map(|(place, seen)| {
        let [success, denial, failure] =
            seen.usage.map(|usage| u64::try_from(usage.entries).unwrap_or(u64::MAX));
        // Failures count as denial, as CoreDNS keeps them there.
        [(labels(place, Some("success")), success), (labels(place, Some("denial")), denial + failure)]
    });
    family("coredns_cache_entries", "gauge", "Answers in the cache.", entries.collect());
    let by_type: [(&str, &str, Field, Field); 2] = [
        (
            "coredns_cache_hits_total",
            "Questions answered from the cache.",
            |c| &c.success_hits,
            |c| &c.denial_hits,
        ),
        (
            "coredns_cache_evictions_total",
            "Answers that had to make room.",
            |c| &c.success_evictions,
            |c| &c.denial_evictions,
        ),
    ];
    for (name, help, success, denial) in by_type {
        let values = seen.iter().flat_map(|(place, seen)| {
            [("success", success), ("denial", denial)]
                .map(|(kind, field)| (labels(place, Some(kind)), seen.counts.sum(field)))
        });
        family(name, "counter", help, values.collect());
    }
    let whole: [(&str, &str, Option<Field>); 5] = [
        ("coredns_cache_requests_total", "Questions looked for in the cache.", Some(|c| &c.requests)),
        ("coredns_cache_misses_total", "Questions not found in the cache.", Some(|c| &c.misses)),
        (
            "coredns_cache_prefetch_total",
            "Answers asked for again in the background.",
            Some(|c| &c.prefetches),
        ),
        ("coredns_cache_served_stale_total", "Answers served beyond their time.", Some(|c| &c.stale)),
        // Upstream replies that don't fit are dropped before they come here, and counted there.
        ("coredns_cache_drops_total", "Replies that did not fit their question.", None),
    ];
    for (name, help, field) in whole {
        let values = seen
            .iter()
            .map(|(place, seen)| (labels(place, None), field.map_or(0, |field| seen.counts.sum(field))));
        family(name, "counter", help, values.collect());
    }
    let ours: [(&str, &str, Bytes); 2] = [
        ("signpost_cache_bytes", "What the answers in the cache weigh.", |usage| usage.bytes),
        ("signpost_cache_budget_bytes", "What they may weigh.", |usage| usage.budget),
    ];
    for (name, help, of) in ours {
        let values = seen.iter().flat_map(|(place, seen)| {
            KINDS.iter().zip(&seen.usage).map(|((_, kind), usage)| (labels(place, Some(kind)), of(usage)))
        });
        family(name, "gauge", help, values.collect());
    }
}
