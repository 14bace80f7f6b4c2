//! What is counted. Each worker has its own counters; whoever reports adds them up.

use std::sync::atomic::{AtomicU64, Ordering};

mod cluster;
mod snapshot;
mod traffic;
mod words;

pub use cluster::{AuditEnd, ClusterCounts, ClusterNumbers, Difference, ServiceKind};
pub use snapshot::{SnapshotNumbers, SnapshotRefusal};
pub use traffic::{DOQ, HTTP, Traffic};
pub use words::{Families, Family, Labels, PerWorker};

/// A number that only its worker adds to.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Cost: a load and a store on a line that no other worker writes.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One worker's counters, on cache lines of their own.
///
/// Every query ends in exactly one of `replies`, `malformed`, `silent`, `dropped`, or is waiting (RELIABILITY L9).
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Messages that came in.
    pub queries: Counter,
    /// Replies made by the chain or by choosing it, truncated ones included.
    pub replies: Counter,
    /// Messages answered with an error because they were no sound query.
    pub malformed: Counter,
    /// Messages that never get a reply: responses and fragments.
    pub silent: Counter,
    /// Queries that a step dropped.
    pub dropped: Counter,
    /// Replies cut to fit.
    pub truncated: Counter,
    /// Times a query was parked.
    pub waited: Counter,
    /// Queries answered SERVFAIL because the table of waiting queries was full.
    pub table_full: Counter,
    /// Queries in which a step panicked.
    pub panics: Counter,
    /// Replies that the kernel refused to send.
    pub send_refused: Counter,
    /// Stream connections taken.
    pub connections: Counter,
    /// Stream connections closed at once because there were too many in all or of one client.
    pub connections_refused: Counter,
    /// Stream connections cut because all of them together held too much.
    pub connections_cut: Counter,
    /// Replies whose query waited and whose connection was gone by then.
    pub orphaned: Counter,
    /// Queries that came after the process was asked to end, and were answered.
    pub late_queries: Counter,
    /// Queries dropped unread because they had waited longer than their clients would.
    pub overdue: Counter,
}

impl Counters {
    /// Messages so far that have a reply or will have one.
    #[must_use]
    pub fn answerable(&self) -> u64 {
        self.queries.read().saturating_sub(self.silent.read()).saturating_sub(self.dropped.read())
    }
}

/// A counter of `Counters`, by name.
type Field = fn(&Counters) -> &Counter;

/// Every counter with its name and what it counts, for reports.
pub const FIELDS: &[(&str, &str, Field)] = &[
    ("queries", "Messages that came in.", |c| &c.queries),
    ("replies", "Replies made by the chain or by choosing it, truncated ones included.", |c| &c.replies),
    ("malformed", "Messages answered with an error because they were no sound query.", |c| &c.malformed),
    ("silent", "Messages that never get a reply: responses and fragments.", |c| &c.silent),
    ("dropped", "Queries that a word of the Corefile dropped.", |c| &c.dropped),
    ("truncated", "Replies cut to fit.", |c| &c.truncated),
    ("waited", "Times that a query had to wait: for an upstream or for the first lists.", |c| &c.waited),
    ("table_full", "Queries answered SERVFAIL because the table of waiting queries was full.", |c| {
        &c.table_full
    }),
    ("panics", "Queries in which a step panicked.", |c| &c.panics),
    ("send_refused", "Replies that the kernel refused to send.", |c| &c.send_refused),
    ("connections", "Stream connections taken.", |c| &c.connections),
    (
        "connections_refused",
        "Stream connections closed at once because there were too many in all or of one client.",
        |c| &c.connections_refused,
    ),
    (
        "connections_cut",
        "Connections cut because all of them together held too much that was not read or not whole.",
        |c| &c.connections_cut,
    ),
    ("orphaned", "Replies whose query waited and whose connection was gone by then.", |c| &c.orphaned),
    ("late_queries", "Queries that came after the process was asked to end, and were answered.", |c| {
        &c.late_queries
    }),
    ("overdue", "Queries dropped unread because they had waited longer than their clients would.", |c| {
        &c.overdue
    }),
];

/// The sum of one counter over all workers.
#[must_use]
pub fn sum<'a>(workers: impl IntoIterator<Item = &'a Counters>, field: Field) -> u64 {
    workers.into_iter().map(|counters| field(counters).read()).sum()
}

/// Upper bounds of a histogram's buckets, `+Inf` not counted.
pub type Bounds = &'static [f64];

/// Bounds of `coredns_dns_request_duration_seconds`: 0.00025 doubled fifteen times. Unit: seconds.
pub const DURATION: Bounds = &[
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
    4.096, 8.192,
];

/// Bounds of the size histograms. Unit: bytes.
pub const SIZE: Bounds =
    &[0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16e3, 32e3, 48e3, 64e3];

/// Bounds of `coredns_kubernetes_dns_programming_duration_seconds`: 0.001 doubled nineteen times. Unit: seconds.
pub const PROGRAMMING: Bounds = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
    32.768, 65.536, 131.072, 262.144, 524.288,
];

/// Bounds of the histograms about requests to an API server: those that Prometheus clients start from. Unit: seconds.
pub const LATENCY: Bounds = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds of `coredns_health_request_duration_seconds`: 0.00025 times ten, four times. Unit: seconds.
pub const HEALTH: Bounds = &[0.00025, 0.0025, 0.025, 0.25, 2.5];

/// The most buckets of a histogram, `+Inf` included.
const BUCKETS: usize = 21;

/// The bucket of a value.
fn bucket(bounds: Bounds, value: f64) -> usize {
    match bounds.first() {
        // Nearly every duration is below the first bound.
        Some(&first) if value <= first => 0,
        _ => bounds.partition_point(|&bound| bound < value),
    }
}

/// A value in millionths, none below zero.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at both ends")]
fn millionths(value: f64) -> u64 {
    (value * 1e6) as u64
}

/// A histogram that one thread writes.
#[derive(Default, Debug)]
pub struct Histogram {
    /// Observations by bucket, not summed up.
    buckets: [Counter; BUCKETS],
    /// The sum of all observations, in millionths of the unit.
    sum: Counter,
}

impl Histogram {
    /// Counts one observation. Cost: a search over the bounds and two additions.
    pub fn observe(&self, bounds: Bounds, value: f64) {
        if let Some(bucket) = self.buckets.get(bucket(bounds, value)) {
            bucket.add(1);
        }
        self.sum.add(millionths(value));
    }

    /// Counts one size of a message by `SIZE`. Cost: for nearly all a division and two additions.
    #[inline]
    fn observe_size(&self, size: usize) {
        // The first bounds stand a hundred apart.
        let place = match size {
            0..=400 => size.div_ceil(100),
            _ => SIZE.partition_point(|&bound| bound < f64::from(u32::try_from(size).unwrap_or(u32::MAX))),
        };
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(1);
        }
        self.sum.add(u64::try_from(size).unwrap_or(0).saturating_mul(1_000_000));
    }

    /// Adds what this histogram holds to `total`.
    fn add_to(&self, total: &mut HistogramSum) {
        for (to, from) in total.buckets.iter_mut().zip(&self.buckets) {
            *to += from.read();
        }
        total.sum += self.sum.read();
    }
}

/// Several histograms added up, or one that is written under a lock.
#[derive(Clone, Default, Debug)]
pub struct HistogramSum {
    /// Observations by bucket, not summed up.
    pub buckets: [u64; BUCKETS],
    /// The sum of all observations, in millionths of the unit.
    pub sum: u64,
}

impl HistogramSum {
    /// The sum of these.
    pub fn of<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Self {
        let mut total = Self::default();
        histograms.into_iter().for_each(|histogram| histogram.add_to(&mut total));
        total
    }

    /// Counts one observation, where nobody else writes.
    pub fn observe(&mut self, bounds: Bounds, value: f64) {
        if let Some(bucket) = self.buckets.get_mut(bucket(bounds, value)) {
            *bucket += 1;
        }
        self.sum = self.sum.saturating_add(millionths(value));
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The types that requests are told apart by; all others are `other`.
pub const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (28, "AAAA"),
    (5, "CNAME"),
    (48, "DNSKEY"),
    (43, "DS"),
    (15, "MX"),
    (47, "NSEC"),
    (50, "NSEC3"),
    (2, "NS"),
    (12, "PTR"),
    (46, "RRSIG"),
    (6, "SOA"),
    (33, "SRV"),
    (16, "TXT"),
    (65, "HTTPS"),
    (64, "SVCB"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
];

/// The codes that replies are told apart by; the last stands for all others.
pub const RCODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (16, "BADVERS"),
    (u16::MAX, "OTHER"),
];

/// What one query adds to a tally.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// 0 for UDP, 1 for TCP.
    pub proto: usize,
    /// 0 for IPv4, 1 for IPv6.
    pub family: usize,
    /// QTYPE.
    pub qtype: u16,
    /// Whether DO was set.
    pub dnssec_ok: bool,
    /// Bytes of the query.
    pub request_size: usize,
    /// Bytes of the reply, and the response code; `None` where nothing was sent.
    pub response: Option<(usize, u16)>,
    /// The place, in the list of words, of the word that answered.
    pub word: usize,
    /// How long it took. Unit: seconds.
    pub seconds: f64,
}

/// One worker's numbers for one zone of one server: what `prometheus` counts of each query.
#[derive(Debug)]
#[repr(align(128))]
pub struct Tally {
    /// Requests by proto, family and type.
    requests: [[[Counter; 20]; 2]; 2],
    /// Sizes of requests by proto.
    request_size: [Histogram; 2],
    /// Sizes of replies by proto.
    response_size: [Histogram; 2],
    /// How long replies took.
    duration: Histogram,
    /// Requests with DO.
    dnssec_ok: Counter,
    /// Replies by code and word: `rcode * words + word`.
    responses: Box<[Counter]>,
    /// How many words there are.
    words: usize,
}

impl Tally {
    /// Nothing counted yet; `words` words may answer.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self {
            requests: Default::default(),
            request_size: Default::default(),
            response_size: Default::default(),
            duration: Histogram::default(),
            dnssec_ok: Counter::default(),
            responses: (0..words * RCODES.len()).map(|_| Counter::default()).collect(),
            words,
        }
    }

    /// Counts one query. Cost: a dozen additions on lines of this worker.
    #[inline]
    pub fn observe(&self, seen: &Observation) {
        let kind = TYPES.iter().position(|(number, _)| *number == seen.qtype).unwrap_or(TYPES.len());
        let (proto, family) = (seen.proto.min(1), seen.family.min(1));
        self.requests[proto][family][kind].add(1);
        self.request_size[proto].observe_size(seen.request_size);
        self.duration.observe(DURATION, seen.seconds);
        if seen.dnssec_ok {
            self.dnssec_ok.add(1);
        }
        let Some((size, rcode)) = seen.response else { return };
        self.response_size[proto].observe_size(size);
        let rcode = RCODES.iter().position(|(number, _)| *number == rcode).unwrap_or(RCODES.len() - 1);
        if let Some(counter) = self.responses.get(rcode * self.words + seen.word) {
            counter.add(1);
        }
    }
}

/// The tallies of all workers for one zone of one server, added up.
pub struct TallySum<'a>(pub &'a [Tally]);

impl TallySum<'_> {
    /// Calls `visit` with proto, family, type and count of every kind of request that was seen.
    pub fn requests(&self, mut visit: impl FnMut(&'static str, u8, &'static str, u64)) {
        for (proto, proto_text) in ["udp", "tcp"].into_iter().enumerate() {
            for family in 0..2_u8 {
                for kind in 0..=TYPES.len() {
                    let count: u64 = self
                        .0
                        .iter()
                        .map(|tally| tally.requests[proto][usize::from(family)][kind].read())
                        .sum();
                    if count > 0 {
                        visit(
                            proto_text,
                            family + 1,
                            TYPES.get(kind).map_or("other", |(_, text)| text),
                            count,
                        );
                    }
                }
            }
        }
    }

    /// Calls `visit` with code, word and count of every kind of reply that was seen.
    pub fn responses(&self, mut visit: impl FnMut(&'static str, usize, u64)) {
        let words = self.0.first().map_or(0, |tally| tally.words);
        for (place, (_, rcode)) in RCODES.iter().enumerate() {
            for word in 0..words {
                let counters = self.0.iter().filter_map(|tally| tally.responses.get(place * words + word));
                let count: u64 = counters.map(Counter::read).sum();
                if count > 0 {
                    visit(rcode, word, count);
                }
            }
        }
    }

    /// How long replies took.
    #[must_use]
    pub fn duration(&self) -> HistogramSum {
        HistogramSum::of(self.0.iter().map(|tally| &tally.duration))
    }

    /// Sizes of requests, by proto.
    #[must_use]
    pub fn request_size(&self, proto: usize) -> HistogramSum {
        HistogramSum::of(self.0.iter().map(|tally| &tally.request_size[proto.min(1)]))
    }

    /// Sizes of replies, by proto.
    #[must_use]
    pub fn response_size(&self, proto: usize) -> HistogramSum {
        HistogramSum::of(self.0.iter().map(|tally| &tally.response_size[proto.min(1)]))
    }

    /// Requests with DO.
    #[must_use]
    pub fn dnssec_ok(&self) -> u64 {
        self.0.iter().map(|tally| tally.dnssec_ok.read()).sum()
    }
}

#[cfg(test)]
mod tests {
    //! The short way to a bucket leads where the long one does.

    use super::*;

    #[test]
    fn a_size_falls_into_the_bucket_that_the_bounds_give() {
        for size in (0..9_000).chain([16_000, 16_001, 48_001, 64_000, 64_001, 65_535]) {
            let (short, long) = (Histogram::default(), Histogram::default());
            short.observe_size(size);
            long.observe(SIZE, f64::from(u32::try_from(size).unwrap()));
            let (short, long) = (HistogramSum::of([&short]), HistogramSum::of([&long]));
            assert_eq!((short.buckets, short.sum), (long.buckets, long.sum), "{size} bytes");
        }
    }
}
