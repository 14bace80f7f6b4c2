//! A thread that looks at something again and again.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::panics::attempt;

/// The thread; dropping it ends it.
pub(super) struct Looker {
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// Set and signalled to end it.
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Looker {
    /// Starts a thread of this name that looks after `first`, and then each time that `pause` has passed; a look that panics is
    /// counted, and the next one comes all the same.
    ///
    /// Errors: no thread can be had.
    pub(super) fn start(
        name: &'static str,
        first: Duration,
        pause: Duration,
        mut look: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut wait = first;
            loop {
                let mut ended = stopped.0.lock();
                if !*ended {
                    stopped.1.wait_for(&mut ended, wait);
                }
                if *ended {
                    break;
                }
                drop(ended);
                attempt(name, &mut look);
                wait = pause;
            }
        })?;
        Ok(Self { thread: Some(thread), stop })
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_panics_is_followed_by_the_next_one() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut looks = 0;
        let pause = Duration::from_millis(1);
        let looker = Looker::start("test: looker", pause, pause, move || {
            looks += 1;
            assert!(looks != 1, "the first look goes wrong");
            // The test may have gone.
            let _ = tell.send(looks);
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(2));
        drop(looker.unwrap());
        assert!(crate::panics::counted().contains(&("test: looker", 1)));
    }
}
