//! What is counted about API servers and what they tell: requests, lists, failures, and how soon a change is served.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{HistogramSum, LATENCY, PROGRAMMING, SnapshotNumbers};

/// The kinds of Services that `coredns_kubernetes_dns_programming_duration_seconds` tells apart (rule K-275).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ServiceKind {
    /// A Service with cluster addresses.
    ClusterIp,
    /// A headless Service; its slices have a trigger time only where it has a selector.
    Headless,
}

impl ServiceKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::ClusterIp, Self::Headless];

    /// The value of label `service_kind`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ClusterIp => "cluster_ip",
            Self::Headless => "headless_with_selector",
        }
    }
}

/// How an audit ended (rule K-271).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AuditEnd {
    /// Everything was compared.
    Done,
    /// The watch was not up, or listed anew meanwhile: nothing was judged.
    Skipped,
    /// The API server did not answer as it should.
    Failed,
}

impl AuditEnd {
    /// All ends.
    pub const ALL: [Self; 3] = [Self::Done, Self::Skipped, Self::Failed];

    /// The value of label `result`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// How the store and the API server differ in an object (rule K-271).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Difference {
    /// The store has it not.
    Missing,
    /// Only the store has it.
    Surplus,
    /// The store has another version of it, or another object of its name.
    Outdated,
}

impl Difference {
    /// All differences.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Surplus, Self::Outdated];

    /// The value of label `difference`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Surplus => "surplus",
            Self::Outdated => "outdated",
        }
    }
}

/// The numbers of all stores and sources together.
///
/// Shape: maps from label values; hosts are those of the Corefile and its kubeconfigs, so they stay few.
#[derive(Clone, Default, Debug)]
pub struct ClusterNumbers {
    /// From the moment that a slice's change was triggered until it was served, by kind of Service.
    pub programming: BTreeMap<ServiceKind, HistogramSum>,
    /// Requests by host and by HTTP status; `None` for one that got no answer.
    pub requests: BTreeMap<(Box<str>, Option<u16>), u64>,
    /// From sending a request to the head of its answer, by host.
    pub latency: BTreeMap<Box<str>, HistogramSum>,
    /// How long a request waited for our own limits, by host.
    pub limited: BTreeMap<Box<str>, HistogramSum>,
    /// Lists that came to their end, by resource.
    pub lists: BTreeMap<&'static str, u64>,
    /// Lists and watches that failed, by resource and reason.
    pub failures: BTreeMap<(&'static str, &'static str), u64>,
    /// Objects, or parts of them, and events that could not be taken, by resource; counted each time that they come.
    pub passed_over: BTreeMap<&'static str, u64>,
    /// Refusals of lists and watches by resource and HTTP status, whether as an answer or inside a watch.
    pub refusals: BTreeMap<(&'static str, u16), u64>,
    /// Audits by resource and by how they ended.
    pub audits: BTreeMap<(&'static str, AuditEnd), u64>,
    /// What audits found to differ, by resource and by how it differs.
    pub differences: BTreeMap<(&'static str, Difference), u64>,
    /// Objects that audits put right, by resource.
    pub healed: BTreeMap<&'static str, u64>,
    /// Snapshots, by file.
    pub snapshots: BTreeMap<Box<str>, SnapshotNumbers>,
    /// Host names that two owners claim for different addresses now; `None` while no store knows host names.
    pub conflicts: Option<u64>,
}

/// Where the numbers are written and read; kept over all plans, so that counters never fall.
///
/// A lock, not atomics: no query takes it, and a storm of updates takes it once for each Service that is published.
#[derive(Default, Debug)]
pub struct ClusterCounts(pub(super) Mutex<ClusterNumbers>);

impl ClusterCounts {
    /// Slices of one Service were published. Unit: seconds since each was triggered; below zero where clocks differ.
    pub fn programmed(&self, kind: ServiceKind, seconds: impl IntoIterator<Item = f64>) {
        let mut numbers = self.0.lock();
        let histogram = numbers.programming.entry(kind).or_default();
        seconds.into_iter().for_each(|seconds| histogram.observe(PROGRAMMING, seconds));
    }

    /// A request was about to go out to `host`. Unit: seconds that it waited for our limits.
    pub fn admitted(&self, host: &str, seconds: f64) {
        self.0.lock().limited.entry(host.into()).or_default().observe(LATENCY, seconds);
    }

    /// A request to `host` got the head of its answer, or none. Unit: seconds since it was sent.
    pub fn answered(&self, host: &str, status: Option<u16>, seconds: f64) {
        let mut numbers = self.0.lock();
        *numbers.requests.entry((host.into(), status)).or_default() += 1;
        numbers.latency.entry(host.into()).or_default().observe(LATENCY, seconds);
    }

    /// A list of `resource` came to its end.
    pub fn listed(&self, resource: &'static str) {
        *self.0.lock().lists.entry(resource).or_default() += 1;
    }

    /// A list or a watch of `resource` failed.
    pub fn failed(&self, resource: &'static str, reason: &'static str) {
        *self.0.lock().failures.entry((resource, reason)).or_default() += 1;
    }

    /// A list or a watch of `resource` was refused with this status.
    pub fn refused(&self, resource: &'static str, status: u16) {
        *self.0.lock().refusals.entry((resource, status)).or_default() += 1;
    }

    /// An audit of `resource` ended.
    pub fn audited(&self, resource: &'static str, end: AuditEnd) {
        *self.0.lock().audits.entry((resource, end)).or_default() += 1;
    }

    /// Audits of `resource` found so many objects to differ.
    pub fn differed(&self, resource: &'static str, difference: Difference, count: u64) {
        *self.0.lock().differences.entry((resource, difference)).or_default() += count;
    }

    /// So many objects of `resource` were put right.
    pub fn healed(&self, resource: &'static str, count: u64) {
        *self.0.lock().healed.entry(resource).or_default() += count;
    }

    /// How many lists came to their end, of all resources together.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.0.lock().lists.values().sum()
    }

    /// An object of `resource`, a part of it or an event was no good and is passed over.
    pub fn passed_over(&self, resource: &'static str) {
        *self.0.lock().passed_over.entry(resource).or_default() += 1;
    }

    /// A store counts `now` host names in conflict where it counted `before`.
    pub fn conflicts_changed(&self, before: u64, now: u64) {
        let mut numbers = self.0.lock();
        let total = numbers.conflicts.unwrap_or(0) + now;
        numbers.conflicts = Some(total.saturating_sub(before));
    }

    /// All numbers as of now.
    #[must_use]
    pub fn read(&self) -> ClusterNumbers {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of the buckets that hold something.
    fn filled(histogram: &HistogramSum) -> Vec<usize> {
        histogram.buckets.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_clock_that_runs_behind_fills_the_first_bucket_and_takes_nothing_from_the_sum() {
        let counts = ClusterCounts::default();
        counts.programmed(ServiceKind::ClusterIp, [-3.0, 0.001, 2.0, 1e9]);
        let numbers = counts.read();
        let histogram = &numbers.programming[&ServiceKind::ClusterIp];
        assert_eq!(filled(histogram), [0, 11, 20], "1 ms twice, 2.048 s, over 524 s");
        assert_eq!(histogram.buckets[0], 2);
        assert_eq!(histogram.sum, 1_000_000_002_001_000);
        assert_eq!(numbers.programming.get(&ServiceKind::Headless).map(|histogram| histogram.sum), None);
    }

    #[test]
    fn requests_are_told_apart_by_host_and_status() {
        let counts = ClusterCounts::default();
        counts.answered("a:443", Some(200), 0.2);
        counts.answered("a:443", Some(200), 0.2);
        counts.answered("a:443", None, 11.0);
        counts.answered("b", Some(200), 0.0);
        let numbers = counts.read();
        let requests: Vec<_> =
            numbers.requests.iter().map(|((host, code), count)| (&**host, *code, *count)).collect();
        assert_eq!(requests, [("a:443", None, 1), ("a:443", Some(200), 2), ("b", Some(200), 1)]);
        assert_eq!(filled(&numbers.latency["a:443"]), [5, 11], "0.25 s, over 10 s");
    }
}
