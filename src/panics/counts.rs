//! How often tasks of this process have panicked.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Panics by task. One table for the process: a task belongs to it, whichever server it works for.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Counts one more.
pub(super) fn count(task: &'static str) {
    *COUNTS.lock().entry(task).or_default() += 1;
}

/// Tasks that have panicked, by name, and how often.
#[must_use]
pub fn counted() -> Vec<(&'static str, u64)> {
    COUNTS.lock().iter().map(|(task, count)| (*task, *count)).collect()
}
