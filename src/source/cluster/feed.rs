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
        if self.dirty.get() {
            // The publication before this one panicked.
            self.changed.notify_one();
        }
        loop {
            self.changed.notified().await;
            if !self.dirty.get() {
                continue;
            }
            self.sink.borrow_mut().settle();
            self.dirty.set(false);
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::panics::kept;
    use crate::store::change::Kind;

    /// A store whose first publication panics.
    struct Brittle(Arc<AtomicUsize>);

    impl Sink for Brittle {
        fn change(&mut self, _: Change) {}

        fn settle(&mut self) {
            let settled = self.0.fetch_add(1, Ordering::Relaxed);
            assert!(settled > 0, "the first publication goes wrong");
        }
    }

    #[test]
    fn p11_a_publication_that_panics_is_followed_by_others() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let settled = Arc::<AtomicUsize>::default();
        let feed = Rc::new(Feed::new(Box::new(Brittle(settled.clone()))));
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let own = feed.clone();
            tokio::task::spawn_local(kept("test: feed", move || {
                let feed = own.clone();
                async move { feed.settle().await }
            }));
            // One change: it is published in spite of all.
            feed.change(Change::Begin(Kind::Services));
            while settled.load(Ordering::Relaxed) < 2 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            feed.change(Change::Begin(Kind::Services));
            while settled.load(Ordering::Relaxed) < 3 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(crate::panics::counted().contains(&("test: feed", 1)));
    }
}
