//! What single words count beside what is counted of every query: families of counters, told apart by labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Counter;

/// A family of counters.
#[derive(PartialEq, Eq, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
}

/// The labels of a counter, names and values.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// One worker's part of a counter, on cache lines of its own.
#[derive(Default, Debug)]
#[repr(align(128))]
struct Part(Counter);

/// A counter that every worker adds to without meeting another.
#[derive(Debug)]
pub struct PerWorker(Box<[Part]>);

impl PerWorker {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Part::default()).collect())
    }

    /// Adds for a worker. Cost: a load and a store on a line that no other worker writes.
    pub fn add(&self, worker: usize, count: u64) {
        if let Some(part) = self.0.get(worker) {
            part.0.add(count);
        }
    }

    /// The sum over all workers.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.iter().map(|part| part.0.read()).sum()
    }
}

/// Labels that are kept.
type Kept = Vec<(&'static str, String)>;

/// The counters of one family, by the values of their labels.
#[derive(Debug)]
struct Known {
    /// The family.
    family: &'static Family,
    /// Its counters, in the order in which they were asked for.
    counters: Vec<(Kept, Arc<PerWorker>)>,
}

/// All counters of words, kept over all plans, so that none ever falls.
#[derive(Default, Debug)]
pub struct Families(Mutex<BTreeMap<&'static str, Known>>);

impl Families {
    /// The counter of a family with these labels, made if there is none.
    pub fn counter(&self, family: &'static Family, labels: Labels<'_>, workers: usize) -> Arc<PerWorker> {
        let mut all = self.0.lock();
        let known = all.entry(family.name).or_insert_with(|| Known { family, counters: Vec::new() });
        let same = |kept: &Kept| {
            kept.len() == labels.len() && kept.iter().zip(labels).all(|(a, b)| a.0 == b.0 && a.1 == b.1)
        };
        if let Some((_, counter)) = known.counters.iter().find(|(kept, _)| same(kept)) {
            return counter.clone();
        }
        let made = Arc::new(PerWorker::new(workers));
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        known.counters.push((labels, made.clone()));
        made
    }

    /// Calls `visit` with each family, and with the labels and the sum of each of its counters.
    pub fn each(&self, mut visit: impl FnMut(&'static Family, &mut dyn Iterator<Item = (Kept, u64)>)) {
        for known in self.0.lock().values() {
            let mut values = known.counters.iter().map(|(labels, counter)| (labels.clone(), counter.read()));
            visit(known.family, &mut values);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Counters that are asked for again.

    use super::*;

    /// A family.
    static FAMILY: Family = Family { name: "x_total", help: "X." };

    #[test]
    fn the_same_labels_are_the_same_counter_over_all_workers() {
        let families = Families::default();
        let first = families.counter(&FAMILY, &[("server", "a")], 2);
        first.add(0, 1);
        first.add(1, 2);
        // A worker that there is not counts nothing, and harms nothing.
        first.add(7, 100);
        families.counter(&FAMILY, &[("server", "a")], 2).add(0, 4);
        families.counter(&FAMILY, &[("server", "b")], 2).add(0, 1);
        let mut seen = Vec::new();
        families.each(|family, values| {
            seen.push(family.name.to_owned());
            seen.extend(values.map(|(labels, count)| format!("{labels:?} {count}")));
        });
        assert_eq!(seen, ["x_total", r#"[("server", "a")] 7"#, r#"[("server", "b")] 1"#]);
    }
}
