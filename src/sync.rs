//! Atomics and locks of those parts whose interleavings are checked: the real ones, or, with the feature `interleaved`, loom's,
//! which try every order in which threads can meet (`cargo interleave`).

#[cfg(not(feature = "interleaved"))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(feature = "interleaved"))]
pub(crate) use std::sync::atomic;

#[cfg(feature = "interleaved")]
pub(crate) use checked::Mutex;
#[cfg(feature = "interleaved")]
pub(crate) use loom::sync::atomic;

/// loom's lock with the manners of `parking_lot`'s.
#[cfg(feature = "interleaved")]
mod checked {
    use loom::sync::MutexGuard;

    /// A lock.
    #[derive(Default, Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around a value.
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        /// Waits for it.
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics while holding it")
        }
    }
}
