//! How many requests an API server gets from us (rule K-231).

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// The limits of a stanza; 0 means none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ThrottleOptions {
    /// `apiserver_qps`. Unit: requests in 1,000 seconds.
    pub per_1000_seconds: u64,
    /// `apiserver_burst`: requests that may come at once, at least 1.
    pub burst: u32,
    /// `apiserver_max_inflight`: requests whose answer has not begun.
    pub in_flight: u32,
}

/// A token bucket and a count of requests under way, for all kinds of a source together.
pub(super) struct Throttle {
    /// The limits.
    options: ThrottleOptions,
    /// Tokens left, and when that was.
    tokens: Cell<(f64, Instant)>,
    /// Places for requests under way.
    places: Option<Semaphore>,
}

impl Throttle {
    /// A full bucket.
    pub(super) fn new(options: ThrottleOptions) -> Self {
        let places = usize::try_from(options.in_flight).ok().filter(|places| *places > 0).map(Semaphore::new);
        Self { options, tokens: Cell::new((f64::from(options.burst.max(1)), Instant::now())), places }
    }

    /// Waits until a request may go; the permit is held until its answer has begun.
    pub(super) async fn admit(&self) -> Option<SemaphorePermit<'_>> {
        if self.options.per_1000_seconds > 0 {
            sleep(self.take()).await;
        }
        match &self.places {
            // Never closed, so it never fails.
            Some(places) => places.acquire().await.ok(),
            None => None,
        }
    }

    /// Takes one token, or one that is still to come; returns how long to wait for it.
    fn take(&self) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact to the last bit")]
        let rate = self.options.per_1000_seconds as f64 / 1000.0;
        let (tokens, since) = self.tokens.get();
        let now = Instant::now();
        let most = f64::from(self.options.burst.max(1));
        let tokens = (tokens + (now - since).as_secs_f64() * rate).min(most) - 1.0;
        self.tokens.set((tokens, now));
        if tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-tokens / rate).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(ThrottleOptions { per_1000_seconds: 2000, burst: 3, in_flight: 0 });
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..5 {
            throttle.admit().await;
            waits.push(start.elapsed().as_millis());
        }
        assert_eq!(waits[..3], [0, 0, 0]);
        assert!((500..=510).contains(&waits[3]), "{waits:?}");
        assert!((1000..=1010).contains(&waits[4]), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_under_way_are_bounded() {
        let throttle = Throttle::new(ThrottleOptions { per_1000_seconds: 0, burst: 0, in_flight: 1 });
        let first = throttle.admit().await;
        assert!(first.is_some());
        let second = tokio::time::timeout(Duration::from_secs(1), throttle.admit()).await;
        assert!(second.is_err(), "the only place is taken");
        drop(first);
        assert!(throttle.admit().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_waits() {
        let throttle = Throttle::new(ThrottleOptions::default());
        let start = Instant::now();
        for _ in 0..1000 {
            assert!(throttle.admit().await.is_none());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
