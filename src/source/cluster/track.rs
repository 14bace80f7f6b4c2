//! What the reflector of a kind and its audits tell each other; both run on the one thread of their source.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use tokio::sync::Notify;

use crate::store::change::{ObjectId, ObjectKey, WatchState};

/// The most objects that may change while a kind is audited; more, and nothing is judged. Unit: objects.
const MOST_TOUCHED: usize = 1 << 17;

/// The objects that a watch named since an audit began.
#[derive(Default)]
struct Touched {
    /// Which.
    objects: HashSet<ObjectId>,
    /// Whether the kind was listed anew, or so much changed that it is not known which.
    spoilt: bool,
}

/// How one kind's watch stands.
#[derive(Default)]
pub(super) struct Track {
    /// What it does.
    state: Cell<WatchState>,
    /// The version up to which we know everything; empty before the first list.
    version: RefCell<String>,
    /// How many lists were complete.
    lists: Cell<u64>,
    /// Which of the kind's paths is asked for.
    path: Cell<usize>,
    /// What changed since an audit began; `None` while there is none.
    touched: RefCell<Option<Touched>>,
    /// Wakes the watch that is to list anew.
    relist: Notify,
}

impl Track {
    /// What the watch does.
    pub(super) fn state(&self) -> WatchState {
        self.state.get()
    }

    /// The watch does something else; says whether that is new.
    pub(super) fn set_state(&self, state: WatchState) -> bool {
        self.state.replace(state) != state
    }

    /// The version up to which we know everything.
    pub(super) fn version(&self) -> String {
        self.version.borrow().clone()
    }

    /// Notes that version.
    pub(super) fn set_version(&self, version: &str) {
        let mut known = self.version.borrow_mut();
        known.clear();
        known.push_str(version);
    }

    /// How many lists were complete.
    pub(super) fn lists(&self) -> u64 {
        self.lists.get()
    }

    /// A list begins: an audit that is under way can't tell any more what it differs from.
    pub(super) fn list_begins(&self) {
        if let Some(touched) = self.touched.borrow_mut().as_mut() {
            touched.spoilt = true;
        }
    }

    /// A list is complete.
    pub(super) fn listed(&self) {
        self.lists.set(self.lists.get() + 1);
    }

    /// Which of the kind's paths is asked for.
    pub(super) fn path(&self) -> usize {
        self.path.get()
    }

    /// Another of the kind's paths is asked for.
    pub(super) fn set_path(&self, path: usize) {
        self.path.set(path);
    }

    /// The watch named an object. Cost: a look, unless there is an audit.
    pub(super) fn touch(&self, key: &ObjectKey) {
        if let Some(touched) = self.touched.borrow_mut().as_mut() {
            if touched.objects.len() < MOST_TOUCHED {
                touched.objects.insert(ObjectId::of(key));
            } else {
                touched.spoilt = true;
            }
        }
    }

    /// An audit begins: from now on it is noted what the watch names.
    pub(super) fn audit_begins(&self) {
        *self.touched.borrow_mut() = Some(Touched::default());
    }

    /// The audit is over.
    pub(super) fn audit_ends(&self) {
        *self.touched.borrow_mut() = None;
    }

    /// Whether the watch named an object since the audit began.
    pub(super) fn touched(&self, object: ObjectId) -> bool {
        self.touched.borrow().as_ref().is_some_and(|touched| touched.objects.contains(&object))
    }

    /// Whether the audit that is under way can judge nothing.
    pub(super) fn spoilt(&self) -> bool {
        self.touched.borrow().as_ref().is_none_or(|touched| touched.spoilt)
    }

    /// Has the watch list anew, now or, where it is not watching, when it next does.
    pub(super) fn ask_relist(&self) {
        self.relist.notify_one();
    }

    /// Waits until the watch is to list anew. Safe to drop at any time.
    pub(super) async fn relist_asked(&self) {
        self.relist.notified().await;
    }
}
