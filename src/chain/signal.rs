//! Something that happens once, outside the workers, and that queries wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// A one-time event with the workers to wake when it happens.
#[derive(Default, Debug)]
pub struct Signal {
    /// Whether it happened.
    fired: AtomicBool,
    /// Whom to wake. A worker stands here once, however many of its queries wait.
    wakers: Mutex<Vec<Waker>>,
}

impl Signal {
    /// Whether it happened.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// It happens: wakes every worker that waits. Later calls do nothing.
    pub fn fire(&self) {
        let wakers = {
            let mut wakers = self.wakers.lock();
            self.fired.store(true, Ordering::Release);
            std::mem::take(&mut *wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Wakes `waker` when it happens, or at once if it has.
    pub(super) fn register(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if self.fired() {
            drop(wakers);
            waker.wake_by_ref();
        } else if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}
