//! Space-Saving: the keys that are seen most often, in so many counters and no more.

use hashbrown::HashTable;

/// The counter of a key.
struct Counter<const KEY: usize> {
    /// The hash of the key.
    hash: u64,
    /// How much of the count may be that of keys that had this counter before.
    error: u64,
    /// Its place in the heap.
    place: u16,
    /// How many bytes of `key` count.
    length: u8,
    /// The key.
    key: [u8; KEY],
}

/// A place of the heap.
#[derive(Clone, Copy)]
struct Slot {
    /// The count.
    count: u64,
    /// Whose.
    counter: u16,
}

/// Counts of keys of at most `KEY` bytes, longer ones cut.
///
/// Shape: a key that is counted has been seen at most as often as its count says, and at least that less its error; a key that is
/// not counted at most as often as `floor` says, which is at most the `capacity`th part of all. Cost: all memory is taken by `new`.
pub struct Sketch<const KEY: usize> {
    /// The counters.
    counters: Vec<Counter<KEY>>,
    /// Their places by count, the least first: a heap.
    heap: Vec<Slot>,
    /// Counters by key; with room for twice as many, so that it is put in order in place and never grows.
    index: HashTable<u16>,
    /// How many counters there may be.
    capacity: usize,
}

impl<const KEY: usize> Sketch<KEY> {
    /// Nothing is counted yet. Unit: counters, at most 32,767.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, usize::from(u16::MAX / 2));
        Self {
            counters: Vec::with_capacity(capacity),
            heap: Vec::with_capacity(capacity),
            index: HashTable::with_capacity(2 * capacity + 2),
            capacity,
        }
    }

    /// Counts a key once. Cost: a look into a table, and a way of at most `log2(capacity)` steps through the heap; no allocation.
    pub fn note(&mut self, hash: u64, key: &[u8]) {
        let key = key.get(..key.len().min(KEY).min(usize::from(u8::MAX))).unwrap_or_default();
        let counters = &self.counters;
        let known = self.index.find(hash, |&at| {
            counters.get(usize::from(at)).is_some_and(|counter| counter.hash == hash && counter.key() == key)
        });
        if let Some(&at) = known {
            let place = self.counters.get(usize::from(at)).map_or(0, |counter| usize::from(counter.place));
            if let Some(slot) = self.heap.get_mut(place) {
                slot.count += 1;
            }
            return self.sink(place);
        }
        if self.counters.len() < self.capacity {
            let Ok(at) = u16::try_from(self.counters.len()) else { return };
            self.counters.push(Counter { hash, error: 0, place: at, length: 0, key: [0; KEY] });
            self.heap.push(Slot { count: 1, counter: at });
            self.give(at, hash, key);
            return self.rise(usize::from(at));
        }
        // The least counted key loses its counter, and the new one takes over what it had: it may have been seen as often.
        let Some(least) = self.heap.first_mut() else { return };
        let (at, count) = (least.counter, least.count);
        least.count += 1;
        if let Some(counter) = self.counters.get_mut(usize::from(at)) {
            counter.error = count;
            let before = counter.hash;
            if let Ok(entry) = self.index.find_entry(before, |known| *known == at) {
                entry.remove();
            }
        }
        self.give(at, hash, key);
        self.sink(0);
    }

    /// Gives a counter to a key.
    fn give(&mut self, at: u16, hash: u64, key: &[u8]) {
        let Some(counter) = self.counters.get_mut(usize::from(at)) else { return };
        counter.hash = hash;
        counter.length = u8::try_from(key.len()).unwrap_or(u8::MAX);
        if let Some(to) = counter.key.get_mut(..key.len()) {
            to.copy_from_slice(key);
        }
        let counters = &self.counters;
        self.index.insert_unique(hash, at, |&known| {
            counters.get(usize::from(known)).map_or(0, |counter| counter.hash)
        });
    }

    /// The count at a place of the heap; the highest where there is none.
    fn count(&self, place: usize) -> u64 {
        self.heap.get(place).map_or(u64::MAX, |slot| slot.count)
    }

    /// Lets two places of the heap change what they hold.
    fn exchange(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            let counter = self.heap.get(place).map(|slot| usize::from(slot.counter));
            if let Some(counter) = counter.and_then(|at| self.counters.get_mut(at)) {
                counter.place = u16::try_from(place).unwrap_or(u16::MAX);
            }
        }
    }

    /// A count has grown: it goes down until none below it is less.
    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let least = if self.count(right) < self.count(left) { right } else { left };
            if self.count(least) >= self.count(place) {
                return;
            }
            self.exchange(place, least);
            place = least;
        }
    }

    /// A count is new: it goes up until none above it is more.
    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.count(above) <= self.count(place) {
                return;
            }
            self.exchange(place, above);
            place = above;
        }
    }

    /// How often a key that is not counted may have been seen.
    #[must_use]
    pub fn floor(&self) -> u64 {
        if self.counters.len() < self.capacity { 0 } else { self.heap.first().map_or(0, |slot| slot.count) }
    }

    /// How many keys are counted at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Each counted key with its count and its error, in no order.
    pub fn counts(&self) -> impl Iterator<Item = (&[u8], u64, u64)> {
        self.heap.iter().filter_map(|slot| {
            let counter = self.counters.get(usize::from(slot.counter))?;
            Some((counter.key(), slot.count, counter.error))
        })
    }

    /// Counts nothing any more; the memory stays.
    pub fn clear(&mut self) {
        self.counters.clear();
        self.heap.clear();
        self.index.clear();
    }
}

impl<const KEY: usize> Counter<KEY> {
    /// The key.
    fn key(&self) -> &[u8] {
        self.key.get(..usize::from(self.length)).unwrap_or_default()
    }
}
