//! Where the zone of a moment is found: replaced whole, by whoever reads files or asks primaries.

use std::sync::Arc;

use parking_lot::RwLock;

use super::build::Zone;

/// What is known of a zone now.
#[derive(Clone, Default, Debug)]
pub enum State {
    /// Nothing yet: nothing was read or transferred.
    #[default]
    Missing,
    /// The zone.
    Live(Arc<Zone>),
    /// A zone that no primary confirmed for too long.
    Expired(Arc<Zone>),
}

/// A place for a zone, shared by plans that want the same.
#[derive(Default, Debug)]
pub struct Held(RwLock<State>);

impl Held {
    /// The zone, if there is one that may be answered from. Cost: a lock that is only held for one replacement.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Zone>> {
        match &*self.0.read() {
            State::Live(zone) => Some(zone.clone()),
            State::Missing | State::Expired(_) => None,
        }
    }

    /// The zone, also one that is beyond its time.
    #[must_use]
    pub fn any(&self) -> Option<Arc<Zone>> {
        match &*self.0.read() {
            State::Live(zone) | State::Expired(zone) => Some(zone.clone()),
            State::Missing => None,
        }
    }

    /// Puts a zone in the place of the one before.
    pub fn replace(&self, zone: Arc<Zone>) {
        let old = std::mem::replace(&mut *self.0.write(), State::Live(zone));
        // The old one is freed behind the lock.
        drop(old);
    }

    /// The zone is beyond its time.
    pub fn expire(&self) {
        let mut state = self.0.write();
        if let State::Live(zone) = &*state {
            *state = State::Expired(zone.clone());
        }
    }
}
