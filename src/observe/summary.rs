//! Several sketches as one: counts that are read and merged, off the road of a query.

use std::collections::HashMap;

use super::sketch::Sketch;

/// What is known of how often a key was seen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bounds {
    /// At most so often.
    pub most: u64,
    /// So much of `most` may be that of other keys.
    pub error: u64,
}

impl Bounds {
    /// At least so often.
    #[must_use]
    pub fn least(self) -> u64 {
        self.most.saturating_sub(self.error)
    }
}

/// The most frequent keys of several sketches.
///
/// Shape: what `Sketch` promises holds here too: of N keys seen in all sketches that were merged, one that is not held was seen at
/// most N / `capacity` times, and no `error` is more than that.
#[derive(Clone)]
pub struct Summary {
    /// How many keys are held at most.
    capacity: usize,
    /// How often a key that is not held may have been seen.
    floor: u64,
    /// The keys.
    held: HashMap<Box<[u8]>, Bounds, foldhash::fast::RandomState>,
}

impl Summary {
    /// Nothing was seen.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), floor: 0, held: HashMap::default() }
    }

    /// Adds what a sketch counted.
    pub fn add_sketch<const KEY: usize>(&mut self, sketch: &Sketch<KEY>) {
        let counted = sketch.counts().map(|(key, most, error)| (key, Bounds { most, error }));
        self.add(counted, sketch.floor());
    }

    /// Adds another summary.
    pub fn add_summary(&mut self, other: &Self) {
        self.add(other.held.iter().map(|(key, bounds)| (&**key, *bounds)), other.floor);
    }

    /// Adds keys, of which each is named once; keys that are not named were seen at most `floor` times.
    ///
    /// Cost: one allocation for each key that is new, at most twice `capacity` keys for a moment.
    fn add<'a>(&mut self, keys: impl Iterator<Item = (&'a [u8], Bounds)>, floor: u64) {
        // Whoever is held here and not named there may have been seen there `floor` times: added to all, taken back from those named.
        for bounds in self.held.values_mut() {
            bounds.most += floor;
            bounds.error += floor;
        }
        for (key, theirs) in keys {
            if let Some(ours) = self.held.get_mut(key) {
                ours.most = ours.most - floor + theirs.most;
                ours.error = ours.error - floor + theirs.error;
            } else {
                let bounds = Bounds { most: theirs.most + self.floor, error: theirs.error + self.floor };
                self.held.insert(key.into(), bounds);
            }
        }
        self.floor += floor;
        self.prune();
    }

    /// Lets go of the least frequent keys, so that `capacity` are left.
    fn prune(&mut self) {
        let surplus = self.held.len().saturating_sub(self.capacity);
        if surplus == 0 {
            return;
        }
        let mut counts: Vec<(u64, &[u8])> =
            self.held.iter().map(|(key, bounds)| (bounds.most, &**key)).collect();
        counts.sort_unstable();
        counts.truncate(surplus);
        self.floor = self.floor.max(counts.last().map_or(0, |(most, _)| *most));
        let gone: Vec<Box<[u8]>> = counts.into_iter().map(|(_, key)| key.into()).collect();
        for key in gone {
            self.held.remove(&key);
        }
    }

    /// How often a key that is not held may have been seen.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What is known of a key.
    #[must_use]
    pub fn bounds(&self, key: &[u8]) -> Bounds {
        self.held.get(key).copied().unwrap_or(Bounds { most: self.floor, error: self.floor })
    }

    /// The keys that were certainly seen most often, most first; of equals the one that may have been seen more often.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<(&[u8], Bounds)> {
        let mut all: Vec<(&[u8], Bounds)> = self.held.iter().map(|(key, bounds)| (&**key, *bounds)).collect();
        // The key last, so that the same counts always come in the same order.
        all.sort_unstable_by_key(|(key, bounds)| (std::cmp::Reverse((bounds.least(), bounds.most)), *key));
        all.truncate(count);
        all
    }
}
