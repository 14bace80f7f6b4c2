//! One answer at rest.

use std::time::Duration;

use super::options::Prefetch;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::time::Tick;
use crate::wire::{Kept, Rcode, Sections};

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// There is data, or nothing that says there is none.
    Positive,
    /// There is none: NXDOMAIN or NODATA, with the SOA that says for how long (RFC 2308).
    Negative,
    /// Nobody could say (RFC 9520).
    Failure,
}

/// Which TTL records get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// What is left of it.
    Remaining,
    /// What it was when the answer came.
    Original,
    /// This one. Unit: seconds.
    Fixed(u32),
}

/// An answer at rest: never changed, but for the counters beside it.
#[derive(Debug)]
pub struct Entry {
    /// What it says.
    pub kind: Kind,
    /// Its code.
    pub rcode: Rcode,
    /// AD, as the upstream gave it.
    pub authentic: bool,
    /// Whether it holds what was asked for.
    pub answering: bool,
    /// Its records, TTLs as they were shown when it came.
    pub(super) records: Kept,
    /// When it came.
    pub(super) stored: Tick,
    /// For how long it is true. Unit: seconds.
    pub(super) ttl: u32,
    /// Hits without a long gap.
    pub(super) hits: AtomicU32,
    /// When the last of them was. Unit: ticks.
    pub(super) last: AtomicU64,
    /// Until when nobody is to ask for it again. Unit: ticks.
    pub(super) resting: AtomicU64,
}

impl Entry {
    /// The first moment at which it is not true any more.
    #[must_use]
    pub fn expires(&self) -> Tick {
        self.stored.plus(Duration::from_secs(u64::from(self.ttl)))
    }

    /// Whether it is true at `now`.
    #[must_use]
    pub fn fresh(&self, now: Tick) -> bool {
        now < self.expires()
    }

    /// Whole seconds since it came.
    fn age(&self, now: Tick) -> u32 {
        u32::try_from(now.since(self.stored).as_secs()).unwrap_or(u32::MAX)
    }

    /// Seconds left; 0 once it has expired.
    #[must_use]
    pub fn remaining(&self, now: Tick) -> u32 {
        self.ttl.saturating_sub(self.age(now))
    }

    /// Makes `draft` a copy of its records. Cost: two copies of memory and a pass over the records.
    #[inline]
    pub fn show(&self, draft: &mut Sections, shown: Shown, now: Tick) {
        draft.load(&self.records);
        let age = self.age(now);
        for record in draft.records_mut() {
            record.ttl = match shown {
                Shown::Remaining => record.ttl.saturating_sub(age),
                Shown::Original => record.ttl,
                Shown::Fixed(ttl) => ttl,
            };
        }
    }

    /// Counts a hit; says whether the entry is worth asking for again by now (rule C-08).
    ///
    /// Hits that meet at the same moment may count as one. Cost: two loads and two stores.
    #[must_use]
    pub fn hit(&self, prefetch: &Prefetch, now: Tick) -> bool {
        let last = Tick(self.last.swap(now.0, Ordering::Relaxed));
        let hits = match now.since(last) > prefetch.gap {
            true => 1,
            false => self.hits.load(Ordering::Relaxed).saturating_add(1),
        };
        self.hits.store(hits, Ordering::Relaxed);
        let threshold = (u64::from(self.ttl) * u64::from(prefetch.percent)).div_ceil(100);
        hits >= prefetch.amount && u64::from(self.remaining(now)) <= threshold
    }

    /// Takes it upon the caller to ask for it again, until then; false where somebody else has done so, or where a pause is
    /// kept. Cost: one exchange.
    #[must_use]
    pub fn claim(&self, now: Tick, until: Tick) -> bool {
        let resting = self.resting.load(Ordering::Relaxed);
        resting <= now.0
            && self.resting.compare_exchange(resting, until.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether nobody is to ask for it again at `now`.
    #[must_use]
    pub fn rests(&self, now: Tick) -> bool {
        self.resting.load(Ordering::Relaxed) > now.0
    }

    /// Nobody is to ask for it again until then.
    pub fn rest(&self, until: Tick) {
        self.resting.store(until.0, Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "interleaved"))]
mod interleavings {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    /// An answer that nobody asked for again yet.
    fn entry() -> Arc<Entry> {
        Arc::new(Entry {
            kind: Kind::Positive,
            rcode: Rcode::NOERROR,
            authentic: false,
            answering: true,
            records: Kept::new(&Sections::default()),
            stored: Tick(0),
            ttl: 30,
            hits: AtomicU32::new(0),
            last: AtomicU64::new(0),
            resting: AtomicU64::new(0),
        })
    }

    #[test]
    fn a_claim_is_given_to_one_of_those_who_meet() {
        loom::model(|| {
            let entry = entry();
            let there = entry.clone();
            let other = thread::spawn(move || there.claim(Tick(5), Tick(9)));
            let ours = entry.claim(Tick(5), Tick(9));
            let theirs = other.join().unwrap();
            assert!(ours != theirs, "claimed by {}", if ours { "both" } else { "nobody" });
            assert!(entry.rests(Tick(8)) && !entry.rests(Tick(9)));
        });
    }

    #[test]
    fn a_rest_that_begins_while_somebody_claims_leaves_at_most_one_who_asks() {
        loom::model(|| {
            let entry = entry();
            let there = entry.clone();
            let resting = thread::spawn(move || there.rest(Tick(20)));
            let first = entry.claim(Tick(5), Tick(9));
            let second = entry.claim(Tick(5), Tick(9));
            resting.join().unwrap();
            assert!(!(first && second));
            assert!(entry.rests(Tick(8)));
        });
    }
}
