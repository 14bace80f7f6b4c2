//! Namespaces: whether they exist, and their labels.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::RwLock;

use super::identity::Version;

/// A label of an object: key and value.
pub(super) type ObjectLabel = (Box<str>, Box<str>);

/// A namespace that exists, existed, or is only named by objects seen before it (rule K-266).
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    name: Box<str>,
    /// Whether the Namespace object exists: names below it exist only then (rule K-032).
    exists: AtomicBool,
    /// The list in which the object was last seen.
    pub(super) mark: AtomicU32,
    /// The object's version, and `metadata.labels`, sorted by key.
    object: RwLock<(Version, Box<[ObjectLabel]>)>,
}

impl Namespace {
    /// A namespace that is only named so far.
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            exists: AtomicBool::new(false),
            mark: AtomicU32::new(0),
            object: RwLock::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it exists.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists.load(Ordering::Acquire)
    }

    /// Hands the labels to `judge`, for `namespace_labels` (rule K-209).
    pub fn labels<T>(&self, judge: impl FnOnce(&[(Box<str>, Box<str>)]) -> T) -> T {
        judge(&self.object.read().1)
    }

    /// The object's version.
    pub(super) fn version(&self) -> Version {
        self.object.read().0
    }

    /// Takes the object's state.
    pub(super) fn set(&self, version: Version, labels: Vec<ObjectLabel>) {
        *self.object.write() = (version, labels.into_boxed_slice());
        self.exists.store(true, Ordering::Release);
    }

    /// The object is gone.
    pub(super) fn clear(&self) {
        *self.object.write() = Default::default();
        self.exists.store(false, Ordering::Release);
    }
}
