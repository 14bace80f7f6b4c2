//! What is counted of a cache, by worker (rule C-12).

use crate::metrics::Counter;

use super::entry::Kind;

/// The counts of one worker, on cache lines of their own.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct WorkerCounts {
    /// Questions that were looked for.
    pub requests: Counter,
    /// Found: positive answers.
    pub success_hits: Counter,
    /// Found: negative answers and failures.
    pub denial_hits: Counter,
    /// Not found.
    pub misses: Counter,
    /// Asked again in the background, before or after the end.
    pub prefetches: Counter,
    /// Served beyond their time.
    pub stale: Counter,
    /// Positive answers that had to make room.
    pub success_evictions: Counter,
    /// Negative answers and failures that had to make room.
    pub denial_evictions: Counter,
}

impl WorkerCounts {
    /// Counts a hit.
    pub fn hit(&self, kind: Kind) {
        match kind {
            Kind::Positive => self.success_hits.add(1),
            Kind::Negative | Kind::Failure => self.denial_hits.add(1),
        }
    }

    /// Counts what had to make room for an entry.
    pub fn evicted(&self, kind: Kind, count: u64) {
        match kind {
            Kind::Positive => self.success_evictions.add(count),
            Kind::Negative | Kind::Failure => self.denial_evictions.add(count),
        }
    }
}

/// What is counted of a cache on one server, all workers together.
#[derive(Debug)]
pub struct Counts(Box<[WorkerCounts]>);

impl Counts {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| WorkerCounts::default()).collect())
    }

    /// The counts of a worker.
    #[must_use]
    pub fn worker(&self, worker: usize) -> Option<&WorkerCounts> {
        self.0.get(worker)
    }

    /// The sum of one count over all workers.
    #[must_use]
    pub fn sum(&self, field: fn(&WorkerCounts) -> &Counter) -> u64 {
        self.0.iter().map(|counts| field(counts).read()).sum()
    }
}
