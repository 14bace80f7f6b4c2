//! Something that happens once, outside the workers, and that queries wait for.

use std::task::Waker;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

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

#[cfg(all(test, feature = "interleaved"))]
mod interleavings {
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// Counts how often it was woken.
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_registers_is_woken_and_sees_what_happened_before() {
        loom::model(|| {
            let signal = Arc::new(Signal::default());
            // What the signal is about: written before, and read without any order of its own.
            let news = Arc::new(AtomicUsize::new(0));
            let (there, told) = (signal.clone(), news.clone());
            let firing = thread::spawn(move || {
                told.store(7, Ordering::Relaxed);
                there.fire();
            });
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let waker = Waker::from(count.clone());
            signal.register(&waker);
            signal.register(&waker);
            if signal.fired() {
                assert_eq!(news.load(Ordering::Relaxed), 7, "fired, and what it is about is not there");
            }
            firing.join().unwrap();
            let woken = count.0.load(Ordering::SeqCst);
            assert!((1..=2).contains(&woken), "woken {woken} times");
        });
    }

    #[test]
    fn of_two_who_fire_both_may_and_all_are_woken() {
        loom::model(|| {
            let signal = Arc::new(Signal::default());
            let count = Arc::new(Count(AtomicUsize::new(0)));
            signal.register(&Waker::from(count.clone()));
            let there = signal.clone();
            let firing = thread::spawn(move || there.fire());
            signal.fire();
            firing.join().unwrap();
            assert_eq!(count.0.load(Ordering::SeqCst), 1);
        });
    }
}
