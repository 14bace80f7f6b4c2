//! What is counted about snapshots (rule K-273).

use std::collections::BTreeMap;

use super::ClusterCounts;

/// Why a snapshot is not used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SnapshotRefusal {
    /// The file can't be read.
    Unreadable,
    /// It is no snapshot, was cut off or changed.
    Corrupt,
    /// Another version of this program wrote it.
    Version,
    /// It was written under other options.
    Options,
    /// What is in it was confirmed too long ago.
    Old,
    /// It is another cluster's.
    Foreign,
}

impl SnapshotRefusal {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::Unreadable, Self::Corrupt, Self::Version, Self::Options, Self::Old, Self::Foreign];

    /// The value of label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Corrupt => "corrupt",
            Self::Version => "version",
            Self::Options => "options",
            Self::Old => "old",
            Self::Foreign => "foreign",
        }
    }
}

/// The numbers of one file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SnapshotNumbers {
    /// Snapshots that were written.
    pub writes: u64,
    /// Snapshots that could not be written.
    pub failures: u64,
    /// Times that answers came from it: after it was read, until the first lists were complete.
    pub loads: u64,
    /// Snapshots that were not used.
    pub refusals: BTreeMap<SnapshotRefusal, u64>,
    /// Bytes of the file as it was written or read last, and when what is in it was confirmed, in seconds since 1970; `None` for
    /// no file.
    pub file: Option<(u64, u64)>,
}

impl ClusterCounts {
    /// There is a stanza that keeps snapshots in this file.
    pub fn snapshot_kept(&self, file: &str) {
        self.snapshot(file, |_| ());
    }

    /// A snapshot of so many bytes was written; what is in it was confirmed at `confirmed`. Unit: seconds since 1970.
    pub fn snapshot_written(&self, file: &str, bytes: u64, confirmed: u64) {
        self.snapshot(file, |numbers| {
            numbers.writes += 1;
            numbers.file = Some((bytes, confirmed));
        });
    }

    /// A snapshot could not be written.
    pub fn snapshot_failed(&self, file: &str) {
        self.snapshot(file, |numbers| numbers.failures += 1);
    }

    /// Answers come from a snapshot of so many bytes.
    pub fn snapshot_loaded(&self, file: &str, bytes: u64, confirmed: u64) {
        self.snapshot(file, |numbers| {
            numbers.loads += 1;
            numbers.file = Some((bytes, confirmed));
        });
    }

    /// A snapshot is not used.
    pub fn snapshot_refused(&self, file: &str, reason: SnapshotRefusal) {
        self.snapshot(file, |numbers| *numbers.refusals.entry(reason).or_default() += 1);
    }

    /// Changes the numbers of a file.
    fn snapshot(&self, file: &str, change: impl FnOnce(&mut SnapshotNumbers)) {
        change(self.0.lock().snapshots.entry(file.into()).or_default());
    }
}
