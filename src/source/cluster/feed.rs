//! From the reflectors to the store: changes at once, publications at most every few milliseconds.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::change::{Change, Sink};

/// The shortest time between two publications: what a storm changes in between is published once.
const PAUSE: Duration = Duration::from_millis(5);

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

    /// Publishes what was written, for ever: the first change of a quiet time at once.
    pub(super) async fn settle(&self) {
        loop {
            self.changed.notified().await;
            if self.dirty.replace(false) {
                self.sink.borrow_mut().settle();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
