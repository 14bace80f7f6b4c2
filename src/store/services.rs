//! Services by the labels of the question.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::RwLock;

use super::Service;
use super::prefetch::prefetch;

/// How many parts the table has, each with a lock of its own.
const SHARDS: usize = 64;

/// A part of the table, on a cache line of its own so that workers don't take it from each other.
#[derive(Default)]
#[repr(align(64))]
struct Shard(RwLock<HashTable<Arc<Service>>>);

/// The table: the keys are those inside the Services, so that nothing is held twice.
///
/// Cost: one hash, one shard's read lock, one Service read; the writer holds the lock of one shard for one insertion.
pub(super) struct Services {
    /// Seeded at random, so that names can't be chosen to collide.
    hasher: foldhash::fast::RandomState,
    /// Its parts.
    shards: Box<[Shard]>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            hasher: foldhash::fast::RandomState::default(),
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
        }
    }
}

impl Services {
    /// The shard of a hash. Errors: none; the mask keeps it in range.
    fn shard(&self, hash: u64) -> Option<&Shard> {
        // The table inside uses the low bits and the topmost seven.
        let at = usize::try_from(hash >> 40).unwrap_or(0) & (SHARDS - 1);
        self.shards.get(at)
    }

    /// The Service of these labels.
    pub(super) fn get(&self, run: &[u8]) -> Option<Arc<Service>> {
        let hash = self.hasher.hash_one(run);
        self.shard(hash)?.0.read_recursive().find(hash, |service| service.key() == run).cloned()
    }

    /// What `look` makes of the Service of these labels; the writer of its shard waits meanwhile.
    pub(super) fn with<T>(&self, run: &[u8], look: impl FnOnce(&Service) -> T) -> Option<T> {
        let hash = self.hasher.hash_one(run);
        // Recursively: what is looked at may lead to another one of the shard while a writer waits. Nobody looks for long, so the
        // writer's turn comes.
        let table = self.shard(hash)?.0.read_recursive();
        table.find(hash, |service| service.key() == run).map(|service| look(service))
    }

    /// Has the processor fetch what `get` will read.
    pub(super) fn foresee(&self, run: &[u8]) {
        let hash = self.hasher.hash_one(run);
        if let Some(table) = self.shard(hash).and_then(|shard| shard.0.try_read()) {
            for service in table.iter_hash(hash) {
                prefetch(&**service);
            }
        }
    }

    /// Puts a Service in; the one of the same key goes.
    pub(super) fn insert(&self, service: Arc<Service>) {
        let hash = self.hasher.hash_one(service.key());
        let Some(shard) = self.shard(hash) else { return };
        let old = {
            let mut table = shard.0.write();
            match table.find_mut(hash, |known| known.key() == service.key()) {
                Some(known) => Some(std::mem::replace(known, service)),
                None => {
                    table.insert_unique(hash, service, |known| self.hasher.hash_one(known.key()));
                    None
                }
            }
        };
        // Taken apart only now that nobody waits.
        drop(old);
    }

    /// Takes the Service of these labels out.
    pub(super) fn remove(&self, run: &[u8]) {
        let hash = self.hasher.hash_one(run);
        let Some(shard) = self.shard(hash) else { return };
        let old = {
            let mut table = shard.0.write();
            let old = table.find_entry(hash, |known| known.key() == run).ok().map(|entry| entry.remove().0);
            if table.len() < table.capacity() / 4 {
                table.shrink_to_fit(|known| self.hasher.hash_one(known.key()));
            }
            old
        };
        drop(old);
    }

    /// Calls `visit` for every Service in no order, a shard at a time.
    pub(super) fn each(&self, mut visit: impl FnMut(&Arc<Service>)) {
        for shard in &self.shards {
            // Copied out, so that no lock is held while somebody looks.
            let all: Vec<Arc<Service>> = shard.0.read().iter().cloned().collect();
            all.iter().for_each(&mut visit);
        }
    }
}
