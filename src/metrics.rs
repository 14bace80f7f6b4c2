//! What is counted. Each worker has its own counters; whoever reports adds them up.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Replies whose query waited and whose connection was gone by then.
    pub orphaned: Counter,
}

/// A counter of `Counters`, by name.
type Field = fn(&Counters) -> &Counter;

/// Every counter with its name, for reports.
pub const FIELDS: &[(&str, Field)] = &[
    ("queries", |c| &c.queries),
    ("replies", |c| &c.replies),
    ("malformed", |c| &c.malformed),
    ("silent", |c| &c.silent),
    ("dropped", |c| &c.dropped),
    ("truncated", |c| &c.truncated),
    ("waited", |c| &c.waited),
    ("table_full", |c| &c.table_full),
    ("panics", |c| &c.panics),
    ("send_refused", |c| &c.send_refused),
    ("connections", |c| &c.connections),
    ("connections_refused", |c| &c.connections_refused),
    ("orphaned", |c| &c.orphaned),
];

/// The sum of one counter over all workers.
#[must_use]
pub fn sum<'a>(workers: impl IntoIterator<Item = &'a Counters>, field: Field) -> u64 {
    workers.into_iter().map(|counters| field(counters).read()).sum()
}
