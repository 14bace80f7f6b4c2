//! The cache of a block: three stores, each within its budget, and the order in which they are asked.

use std::sync::Arc;

use quick_cache::sync::Cache as Shards;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::entry::{Entry, Kind};
use super::judge::Verdict;
use super::key::Key;
use super::options::{Options, Spec};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::time::Tick;
use crate::wire::{Kept, Rcode, Sections};

/// What an entry takes beside its own bytes: its place in the table and in the list, two counts, and what the allocator
/// rounds up. Unit: bytes. Measured in docs/decisions/0003-cache-store.md.
const OVERHEAD: usize = 240;

/// What an entry is taken to weigh where a store is laid out for a number of them. Unit: bytes.
const USUAL: u64 = 384;

/// The least that a shard may hold, so that large answers find room. Unit: bytes.
const SHARD: u64 = 128 << 10;

/// The most shards of a store.
const SHARDS: u64 = 16;

/// What an entry weighs.
#[derive(Clone)]
struct Weigh;

impl Weighter<Box<[u8]>, Arc<Entry>> for Weigh {
    fn weight(&self, key: &Box<[u8]>, entry: &Arc<Entry>) -> u64 {
        let bytes = OVERHEAD + key.len() + size_of::<Entry>() + entry.records.size() - size_of::<Kept>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Counts what had to make room.
#[derive(Clone)]
struct Count;

/// An entry that had to make room, with its key.
type Gone = (Box<[u8]>, Arc<Entry>);

/// What had to make room for one entry; dropped when the lock is given back.
#[derive(Default)]
struct Evicted {
    /// How many.
    count: u64,
    /// The first of them.
    first: [Option<Gone>; 2],
}

impl Lifecycle<Box<[u8]>, Arc<Entry>> for Count {
    type RequestState = Evicted;

    fn on_evict(&self, evicted: &mut Evicted, key: Box<[u8]>, entry: Arc<Entry>) {
        evicted.count += 1;
        if let Some(place) = evicted.first.iter_mut().find(|place| place.is_none()) {
            *place = Some((key, entry));
        }
    }
}

/// The entries of one kind.
struct Store {
    /// The entries.
    shards: Shards<Box<[u8]>, Arc<Entry>, Weigh, foldhash::fast::RandomState, Count>,
    /// Whether there ever was one: until then nothing is looked for.
    used: AtomicBool,
}

impl Store {
    /// An empty store. Cost: nothing is set aside.
    fn new(budget: u64) -> Self {
        let shards = usize::try_from((budget / SHARD).clamp(1, SHARDS)).unwrap_or(1);
        // Rounded down to a power of two, as the shards' size shall not fall below the least.
        let shards = 1 << shards.ilog2();
        let items = usize::try_from(budget / USUAL).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items)
            .weight_capacity(budget)
            .build();
        let shards = match options {
            Ok(options) => {
                Shards::with_options(options, Weigh, foldhash::fast::RandomState::default(), Count)
            }
            // Both numbers that could be missing are given.
            Err(_) => Shards::with(items, budget, Weigh, foldhash::fast::RandomState::default(), Count),
        };
        Self { shards, used: AtomicBool::new(false) }
    }

    /// The entry of a key. Cost: no allocation.
    #[inline]
    fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.used.load(Ordering::Relaxed).then(|| self.shards.get(key.bytes())).flatten()
    }

    /// The same for those who only look: it counts as no use of the entry.
    fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        self.used.load(Ordering::Relaxed).then(|| self.shards.peek(key.bytes())).flatten()
    }

    /// Forgets the entry of a key.
    fn remove(&self, key: &Key) {
        if self.used.load(Ordering::Relaxed) {
            self.shards.remove(key.bytes());
        }
    }

    /// Puts an entry in; returns how many had to make room.
    fn insert(&self, key: &Key, entry: Arc<Entry>) -> u64 {
        self.used.store(true, Ordering::Relaxed);
        let mut evicted = Evicted::default();
        self.shards.insert_with_lifecycle(key.bytes().into(), entry, &mut evicted);
        evicted.count
    }
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// An answer that is true, or a failure that is to be repeated.
    Fresh(Arc<Entry>),
    /// An answer beyond its time, within the stale limit.
    Stale {
        /// The answer.
        entry: Arc<Entry>,
        /// Whether upstreams failed a moment ago, so that they are not asked again now (RFC 9520 §3.2).
        failed: bool,
    },
}

/// How much there is of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Entries, those that have expired and did not make room yet included.
    pub entries: usize,
    /// What they weigh. Unit: bytes.
    pub bytes: u64,
    /// What they may weigh. Unit: bytes.
    pub budget: u64,
}

/// The cache of a block, shared by all workers; it outlives reloads that leave its line as it is.
pub struct Cache {
    /// What it was made from.
    spec: Spec,
    /// Positive answers.
    positive: Store,
    /// Negative answers.
    negative: Store,
    /// Failures: an eighth of what negative answers may weigh, which is hundreds of names for a few seconds.
    failures: Store,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            positive: Store::new(spec.options.success.budget),
            negative: Store::new(spec.options.denial.budget),
            failures: Store::new(spec.options.denial.budget / 8),
            spec,
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What its line says.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.spec.options
    }

    /// The entries of a kind.
    fn store(&self, kind: Kind) -> &Store {
        match kind {
            Kind::Positive => &self.positive,
            Kind::Negative => &self.negative,
            Kind::Failure => &self.failures,
        }
    }

    /// Whether an entry may still be served at `now`, stale or not.
    fn servable(&self, entry: &Entry, now: Tick) -> bool {
        let limit =
            self.spec.options.stale.map_or(entry.expires(), |stale| entry.expires().plus(stale.up_to));
        now < limit
    }

    /// What there is for a key at `now` (rules C-06, C-09).
    ///
    /// True answers come first, the negative one before the positive one; then answers beyond their time; a failure only where
    /// there is neither. With `prefer_positive` a positive answer comes before all, beyond its time or not.
    /// Cost: at most three look-ups; no allocation.
    #[must_use]
    pub fn find(&self, key: &Key, now: Tick) -> Option<Found> {
        self.find_by(Store::get, key, now)
    }

    /// The same for those who only look: an entry is not kept any longer for it.
    #[must_use]
    pub fn look(&self, key: &Key, now: Tick) -> Option<Found> {
        self.find_by(Store::peek, key, now)
    }

    /// What there is, each store read by `get`.
    fn find_by(
        &self,
        get: impl Fn(&Store, &Key) -> Option<Arc<Entry>>,
        key: &Key,
        now: Tick,
    ) -> Option<Found> {
        let usable = |entry: &Arc<Entry>| self.servable(entry, now);
        let positive = get(&self.positive, key).filter(usable);
        let preferred = self.prefers_positive() && positive.as_ref().is_some_and(|entry| entry.answering);
        let negative = if preferred { None } else { get(&self.negative, key).filter(usable) };
        for entry in [&negative, &positive].into_iter().flatten() {
            if entry.fresh(now) {
                return Some(Found::Fresh(entry.clone()));
            }
        }
        let failure = get(&self.failures, key).filter(|entry| entry.fresh(now));
        let stale = match (negative, positive) {
            (Some(negative), Some(positive)) if positive.stored > negative.stored => Some(positive),
            (negative, positive) => negative.or(positive),
        };
        match stale {
            Some(entry) => Some(Found::Stale { entry, failed: failure.is_some() }),
            None => failure.map(Found::Fresh),
        }
    }

    /// Forgets all that is kept for a key: there is a newer word that is not kept.
    pub fn forget(&self, key: &Key) {
        for store in [&self.positive, &self.negative, &self.failures] {
            store.remove(key);
        }
    }

    /// Whether a positive answer is preferred to newer ones of other kinds.
    fn prefers_positive(&self) -> bool {
        self.spec.options.stale.is_some_and(|stale| stale.prefer_positive)
    }

    /// Keeps a reply under `key`; returns how many entries had to make room.
    ///
    /// An answer replaces what other kinds said; a failure replaces nothing. `sections` must be drafted without pointers.
    /// Cost: at most five allocations.
    pub fn keep(
        &self,
        key: &Key,
        verdict: Verdict,
        rcode: Rcode,
        authentic: bool,
        sections: &Sections,
        now: Tick,
    ) -> u64 {
        let store = self.store(verdict.kind);
        let known = (self.spec.options.prefetch.is_some() || self.prefers_positive())
            .then(|| store.get(key))
            .flatten();
        let prefers = self.prefers_positive();
        match verdict.kind {
            Kind::Positive => {
                if prefers && !verdict.answering {
                    // What says nothing must not take the place of what did.
                    if known.as_ref().is_some_and(|entry| entry.answering && self.servable(entry, now)) {
                        return 0;
                    }
                } else {
                    self.negative.remove(key);
                }
                self.failures.remove(key);
            }
            Kind::Negative => {
                if !prefers {
                    self.positive.remove(key);
                }
                self.failures.remove(key);
            }
            Kind::Failure => {}
        }
        let records = match verdict.kind {
            Kind::Failure => Kept::default(),
            Kind::Positive | Kind::Negative => Kept::new(sections),
        };
        // What was asked for often is so still.
        let read = |counter: fn(&Entry) -> u64| known.as_deref().map_or(0, counter);
        let entry = Entry {
            kind: verdict.kind,
            rcode,
            authentic,
            answering: verdict.answering,
            records,
            stored: now,
            ttl: verdict.ttl,
            hits: AtomicU32::new(known.as_deref().map_or(0, |entry| entry.hits.load(Ordering::Relaxed))),
            last: AtomicU64::new(read(|entry| entry.last.load(Ordering::Relaxed))),
            resting: AtomicU64::new(0),
        };
        store.insert(key, Arc::new(entry))
    }

    /// How much there is of a kind. Cost: a lock on each shard in turn.
    #[must_use]
    pub fn usage(&self, kind: Kind) -> Usage {
        let shards = &self.store(kind).shards;
        Usage { entries: shards.len(), bytes: shards.weight(), budget: shards.capacity() }
    }

    /// How much all kinds together may take. Unit: bytes. Cost: as `usage`, for each kind.
    #[must_use]
    pub fn budget(&self) -> u64 {
        [Kind::Positive, Kind::Negative, Kind::Failure].map(|kind| self.usage(kind).budget).iter().sum()
    }
}
