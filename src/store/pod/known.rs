//! Pods as their writer remembers them: in parts, each with a lock of its own, so that a snapshot can copy one at a time.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::{Mutex, MutexGuard};

use super::PodEntry;
use crate::store::change::ObjectKey;
use crate::store::identity::Version;
use crate::store::snapshot::put_pod;

/// How many parts there are.
const PARTS: usize = 64;

/// A pod as it was last told.
pub(in crate::store) struct KnownPod {
    /// What is kept of it.
    pub(in crate::store) entry: PodEntry,
    /// The list in which it was last seen.
    pub(in crate::store) mark: u32,
    /// Its version.
    pub(in crate::store) version: Version,
}

/// One part.
type Part = HashMap<ObjectKey, KnownPod>;

/// All pods. No answer looks here: who waits for a lock is the writer or a snapshot.
pub(in crate::store) struct KnownPods {
    /// Which part a pod is in.
    hasher: RandomState,
    /// The parts.
    parts: Box<[Mutex<Part>]>,
}

impl Default for KnownPods {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            parts: std::iter::repeat_with(Mutex::default).take(PARTS).collect(),
        }
    }
}

impl KnownPods {
    /// The part in which a pod is, or would be.
    pub(in crate::store) fn of(&self, key: &ObjectKey) -> Option<MutexGuard<'_, Part>> {
        let at = usize::try_from(self.hasher.hash_one(key) >> 40).unwrap_or(0) % PARTS;
        self.parts.get(at).map(Mutex::lock)
    }

    /// Calls `visit` for every pod; it may not ask for another.
    pub(in crate::store) fn each(&self, mut visit: impl FnMut(&ObjectKey, &KnownPod)) {
        for part in &self.parts {
            part.lock().iter().for_each(|(key, pod)| visit(key, pod));
        }
    }

    /// How many parts there are.
    pub(in crate::store) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Appends the pods of a part as records; says how many.
    pub(in crate::store) fn put(&self, part: usize, out: &mut Vec<u8>) -> u64 {
        let Some(part) = self.parts.get(part).map(Mutex::lock) else { return 0 };
        part.iter().for_each(|(key, pod)| put_pod(out, key, pod));
        u64::try_from(part.len()).unwrap_or(0)
    }
}
