//! How an audit tells objects and their versions apart without keeping their names.

use super::{ObjectKey, Revision};
use crate::store::identity::{SliceId, Version};

/// Which object, within its kind: a hash of namespace and name that differs from process to process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(u64);

impl ObjectId {
    /// The id of the object with this key.
    #[must_use]
    pub fn of(key: &ObjectKey) -> Self {
        SliceId::of(key).into()
    }
}

impl From<SliceId> for ObjectId {
    fn from(slice: SliceId) -> Self {
        Self(slice.number())
    }
}

/// Which version of which object of a name: a hash of UID and version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VersionId(u64);

impl VersionId {
    /// The id of this revision.
    #[must_use]
    pub fn of(revision: &Revision) -> Self {
        Version::of(revision).into()
    }
}

impl From<Version> for VersionId {
    fn from(version: Version) -> Self {
        Self(version.number())
    }
}
