//! What `/metrics` says about snapshots (rule K-273).

use std::collections::BTreeMap;

use super::Exposition;
use crate::metrics::{SnapshotNumbers, SnapshotRefusal};

/// A number of a file.
type Number = fn(&SnapshotNumbers) -> u64;

/// The counters.
const COUNTERS: [(&str, &str, Number); 3] = [
    ("signpost_snapshot_writes_total", "Snapshots that were written.", |numbers| numbers.writes),
    ("signpost_snapshot_failures_total", "Snapshots that could not be written.", |numbers| numbers.failures),
    (
        "signpost_snapshot_loads_total",
        "Times that names came from a snapshot, until the API server's lists were complete.",
        |numbers| numbers.loads,
    ),
];

/// Adds what is counted about snapshots, where a stanza keeps any. Unit of `now`: seconds since 1970.
pub(super) fn snapshots(text: &mut Exposition, files: &BTreeMap<Box<str>, SnapshotNumbers>, now: u64) {
    if files.is_empty() {
        return;
    }
    for (name, help, number) in COUNTERS {
        text.family(name, "counter", help);
        for (file, numbers) in files {
            text.value(name, &[("file", file)], number(numbers));
        }
    }
    let name = "signpost_snapshot_refusals_total";
    text.family(name, "counter", "Snapshots that were not used, by reason.");
    for (file, numbers) in files {
        for reason in SnapshotRefusal::ALL {
            let count = numbers.refusals.get(&reason).copied().unwrap_or(0);
            text.value(name, &[("file", file), ("reason", reason.label())], count);
        }
    }
    let known: Vec<_> = files.iter().filter_map(|(file, numbers)| Some((file, numbers.file?))).collect();
    if known.is_empty() {
        return;
    }
    let name = "signpost_snapshot_age_seconds";
    text.family(name, "gauge", "Time since what is in the snapshot was confirmed by the API server.");
    for (file, (_, confirmed)) in &known {
        text.value(name, &[("file", file)], now.saturating_sub(*confirmed));
    }
    let name = "signpost_snapshot_size_bytes";
    text.family(name, "gauge", "Bytes of the snapshot.");
    for (file, (bytes, _)) in &known {
        text.value(name, &[("file", file)], bytes);
    }
}
