//! What stands for texts that are only ever compared: names of slices, versions of objects, what these answer.
//!
//! All are 64 bits of a keyed hash (SipHash, a key for each process). Two different texts look the same with a chance of one in
//! 2^64; among 150,000 slices any two do with one in a thousand million.

use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use super::change::{ObjectKey, Revision};

/// The key of all hashes here.
static KEY: LazyLock<std::hash::RandomState> = LazyLock::new(std::hash::RandomState::new);

/// Which EndpointSlice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct SliceId(u64);

impl SliceId {
    /// The id of the slice with this key.
    pub(super) fn of(key: &ObjectKey) -> Self {
        Self(KEY.hash_one((&key.namespace, &key.name)))
    }
}

/// UID and version of an object; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Version(u64);

impl Version {
    /// The version of an object with this revision.
    pub(super) fn of(revision: &Revision) -> Self {
        if revision.version.is_empty() {
            return Self::default();
        }
        Self(KEY.hash_one((&revision.uid, &revision.version)).max(1))
    }

    /// Whether both are known and the same.
    pub(super) fn is(self, other: Self) -> bool {
        self.0 != 0 && self == other
    }
}

/// What an object answers, to tell whether another version of it answers the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of this data.
    pub(super) fn of(data: &impl std::hash::Hash) -> Self {
        Self(KEY.hash_one(data))
    }
}

/// Hashes what is a hash already.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never used for ids, which are one number.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
