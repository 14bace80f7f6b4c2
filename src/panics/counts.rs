//! How often tasks of this process have panicked.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Every task that is guarded, by name: each is counted from 0 on, since an alert about what rises needs a beginning.
pub const TASKS: &[&str] = &[
    "admin",
    "audit",
    "certificates",
    "cluster",
    "connection",
    "connection to an upstream",
    "dnstap",
    "encrypted",
    "feed",
    "health",
    "hosts",
    "http",
    "listener",
    "log",
    "look-up",
    "manifests",
    "memory",
    "notify",
    "reload",
    "secondary",
    "signals",
    "snapshot",
    "staleness",
    "targets",
    "transfers",
    "upkeep",
    "upstreams",
    "watch",
    "weights",
    "worker",
    "zones",
];

/// Panics by task. One table for the process: a task belongs to it, whichever server it works for.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Counts one more.
pub(super) fn count(task: &'static str) {
    *COUNTS.lock().entry(task).or_default() += 1;
}

/// Tasks by name, and how often each has panicked.
#[must_use]
pub fn counted() -> Vec<(&'static str, u64)> {
    let mut all: BTreeMap<&'static str, u64> = TASKS.iter().map(|task| (*task, 0)).collect();
    all.extend(COUNTS.lock().iter());
    all.into_iter().collect()
}
