//! From the reflectors to the store: changes at once, publications at most every few milliseconds.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::change::{Change, Heard, Kind, ObjectId, ObjectKey, Sink, VersionId};

/// The time between two publications in a storm: what it changes in between is published once.
const PAUSE: Duration = Duration::from_millis(5);

/// How many publications may follow each other without a pause, after a quiet time.
const BURST: u32 = 16;

/// What all reflectors of a source write to; they run on one thread.
pub(super) struct Feed {
    /// The store's writer.
    sink: RefCell<Box<dyn Sink + Send>>,
    /// Whether something was written since the last publication.
    dirty: Cell<bool>,
    /// Wakes `settle`.
    changed: Notify,
}

impl Feed {
    /// A feed into `sink`.
    pub(super) fn new(sink: Box<dyn Sink + Send>) -> Self {
        Self { sink: RefCell::new(sink), dirty: Cell::new(false), changed: Notify::new() }
    }

    /// Writes one change.
    pub(super) fn change(&self, change: Change) {
        self.sink.borrow_mut().change(change);
        if !self.dirty.replace(true) {
            self.changed.notify_one();
        }
    }

    /// Says what a watch has heard.
    pub(super) fn heard(&self, kind: Kind, heard: Heard<'_>) {
        self.sink.borrow_mut().heard(kind, heard);
    }

    /// Publishes what was written so far, now.
    pub(super) fn settle_now(&self) {
        if self.dirty.replace(false) {
            self.sink.borrow_mut().settle();
        }
    }

    /// The version of an object as it is held; `None` where it is not. What was written is to be published before.
    pub(super) fn held(&self, kind: Kind, key: &ObjectKey) -> Option<VersionId> {
        self.sink.borrow().held(kind, key)
    }

    /// Calls `visit` for every object of a kind that is held. What was written is to be published before.
    pub(super) fn each_held(&self, kind: Kind, visit: &mut dyn FnMut(ObjectId)) {
        self.sink.borrow().each_held(kind, visit);
    }

    /// Drops objects of a kind.
    pub(super) fn drop_held(&self, kind: Kind, objects: &HashSet<ObjectId>) {
        self.sink.borrow_mut().drop_held(kind, objects);
        if !self.dirty.replace(true) {
            self.changed.notify_one();
        }
    }

    /// Publishes what was written, for ever: the first changes of a quiet time at once, those of a storm in bunches.
    pub(super) async fn settle(&self) {
        let mut credit = BURST;
        let mut last = Instant::now();
        loop {
            self.changed.notified().await;
            if !self.dirty.replace(false) {
                continue;
            }
            self.sink.borrow_mut().settle();
            let quiet = last.elapsed().as_millis() / PAUSE.as_millis();
            credit = credit.saturating_add(u32::try_from(quiet).unwrap_or(BURST)).min(BURST);
            last = Instant::now();
            match credit.checked_sub(1) {
                Some(left) => credit = left,
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
