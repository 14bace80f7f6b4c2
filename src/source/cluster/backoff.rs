//! Pauses after failures: doubling, jittered, soon short again.

use std::time::Duration;

/// The pauses of one kind.
#[derive(Debug)]
pub(super) struct Backoff {
    /// The first pause.
    min: Duration,
    /// The longest pause.
    max: Duration,
    /// The next pause, before jitter.
    next: Duration,
}

impl Backoff {
    /// Pauses from `min` to `max`.
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// Something worked: the next pause is the first one again.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }

    /// How long to pause now: between half of the pause and the whole of it, so that replicas spread out.
    pub(super) fn pause(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.max);
        pause.mul_f64(0.5 + rng.f64() / 2.0)
    }
}
