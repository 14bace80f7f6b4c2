//! Namespaces: whether they exist, and their labels.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::RwLock;

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
    /// `metadata.labels`, sorted by key.
    labels: RwLock<Box<[ObjectLabel]>>,
}

impl Namespace {
    /// A namespace that is only named so far.
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            exists: AtomicBool::new(false),
            mark: AtomicU32::new(0),
            labels: RwLock::default(),
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
        judge(&self.labels.read())
    }

    /// Takes the object's state.
    pub(super) fn set(&self, exists: bool, labels: Vec<ObjectLabel>) {
        *self.labels.write() = labels.into_boxed_slice();
        self.exists.store(exists, Ordering::Release);
    }
}
