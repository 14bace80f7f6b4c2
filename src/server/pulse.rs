//! Whether this process stood still: a beat each second, and what a gap between two of them says (rule S-52).
//!
//! A worker that sleeps in the kernel can't tell a second without queries from a second in which it was stopped; somebody who
//! wakes anyway can.

use std::time::Duration;

use super::pressure::STALE;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::Tick;

/// For so long after a gap, what came before it may still lie in a socket.
const AFTER: Duration = Duration::from_secs(1);

/// The beat of a process: one writer, who calls `beat` about once a second.
#[derive(Default, Debug)]
pub struct Pulse {
    /// The last beat; tick 0 before the first.
    last: AtomicU64,
    /// When the last gap ended; tick 0 where there was none.
    went_on: AtomicU64,
}

impl Pulse {
    /// The process runs.
    pub fn beat(&self, now: Tick) {
        if gap(Tick(self.last.load(Ordering::Relaxed)), now) {
            self.went_on.store(now.0, Ordering::Relaxed);
        }
        // Whoever sees this beat sees the gap before it.
        self.last.store(now.0, Ordering::Release);
    }

    /// Whether the process stood still until a moment ago; also where the beat that would tell has not come yet.
    pub(super) fn stood_still(&self, now: Tick) -> bool {
        let last = Tick(self.last.load(Ordering::Acquire));
        let went_on = Tick(self.went_on.load(Ordering::Relaxed));
        gap(last, now) || went_on.0 > 0 && now.since(went_on) < AFTER
    }
}

/// Whether so much lies between a beat and a moment that the process did not run.
fn gap(last: Tick, now: Tick) -> bool {
    last.0 > 0 && now.since(last) > STALE
}

#[cfg(all(test, not(feature = "interleaved")))]
mod tests {
    use super::*;

    /// A moment so many milliseconds after the start.
    fn at(millis: u64) -> Tick {
        Tick(millis * 1_000_000)
    }

    #[test]
    fn a_gap_is_seen_before_and_after_the_beat_that_ends_it_and_forgotten_soon() {
        let pulse = Pulse::default();
        assert!(!pulse.stood_still(at(10_000)), "nothing is known before the first beat");
        pulse.beat(at(10_000));
        pulse.beat(at(11_000));
        assert!(!pulse.stood_still(at(13_000)), "a beat may be late");
        assert!(pulse.stood_still(at(13_001)));
        pulse.beat(at(21_000));
        assert!(pulse.stood_still(at(21_000)) && pulse.stood_still(at(21_999)));
        assert!(!pulse.stood_still(at(22_000)));
    }
}

#[cfg(all(test, feature = "interleaved"))]
mod interleavings {
    use loom::sync::Arc;

    use super::*;

    #[test]
    fn who_looks_while_a_beat_ends_a_gap_sees_the_gap() {
        loom::model(|| {
            let pulse = Arc::new(Pulse::default());
            pulse.beat(Tick(1));
            let now = Tick(1).plus(STALE * 2);
            let beating = pulse.clone();
            let beat = loom::thread::spawn(move || beating.beat(now));
            assert!(pulse.stood_still(now));
            beat.join().unwrap();
            assert!(pulse.stood_still(now));
        });
    }
}
