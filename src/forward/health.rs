//! How an upstream does: round trips, failures, whether it is put aside and when it is probed.
//!
//! All of it is shared by the workers, in atomics: nobody waits for anybody, and a lost update costs nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::metrics::DURATION;
use crate::time::Tick;
use crate::wire::Rcode;

/// The least that we are patient with an upstream before the next one is asked (RELIABILITY U8).
const LEAST_PATIENCE: Duration = Duration::from_millis(200);

/// The patience with an upstream of which nothing is known yet.
pub(super) const FIRST_PATIENCE: Duration = Duration::from_millis(400);

/// The least time after which a query may be hedged.
const LEAST_HEDGE: Duration = Duration::from_millis(8);

/// How long an upstream that can't read EDNS is asked without: it may be replaced by a better one.
const PLAIN: Duration = Duration::from_secs(600);

/// The longest pause between two probes.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How much one attempt moves the share of lost ones: a sixteenth.
const LOSS_SHIFT: u32 = 4;

/// A share of 1. Unit: millionths.
const ONE: u32 = 1_000_000;

/// The share of lost attempts from which on an upstream is only asked after better ones. Unit: millionths.
const LOSSY: u32 = 150_000;

/// The share that is held against one that was put aside again as soon as it was back. Unit: millionths.
const RELAPSED: u32 = 2 * LOSSY;

/// So many answers since it came back, and an upstream that is put aside is no relapse.
const TRUSTED: u32 = 64;

/// How an attempt was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Nothing came in time.
    Silence,
    /// The network or the upstream itself said that nothing will come.
    Error,
}

/// How an upstream does.
#[derive(Default, Debug)]
pub struct Health {
    /// Smoothed round trip; 0 for none measured yet. Unit: microseconds.
    rtt: AtomicU32,
    /// How much round trips vary. Unit: microseconds.
    spread: AtomicU32,
    /// Share of attempts that were lost lately. Unit: millionths.
    lost: AtomicU32,
    /// Failures in a row.
    failures: AtomicU32,
    /// Whether it is put aside.
    down: AtomicBool,
    /// Whether a probe failed since: until then it is only suspected, since its names may be slow ones.
    proven: AtomicBool,
    /// Whether it was asked while no round trip was known, and has said nothing yet.
    tried: AtomicBool,
    /// Until when its queries go out without EDNS, which it can't read; 0 for with.
    plain_until: AtomicU64,
    /// Whether it sends back a loop: it is put aside for that, and probes don't bring it back by themselves.
    looping: AtomicBool,
    /// When it is probed next.
    probe_at: AtomicU64,
    /// The pause after that probe. Unit: milliseconds.
    pause: AtomicU32,
    /// How many answers are left until what happened before it was put aside is forgotten; 0 for nothing to forget.
    probation: AtomicU32,
    /// Whether it was put aside on probation.
    relapsed: AtomicBool,
    /// Whether it can't cope with letters of mixed case in questions.
    plain_case: AtomicBool,
}

impl Health {
    /// It answered after `took`.
    pub fn answered(&self, took: Duration) {
        let sample = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let rtt = self.rtt.load(Relaxed);
        // One slow name must not make us patient with all others; an upstream that is slower now says so again.
        let most = u32::try_from(self.patience().as_micros()).unwrap_or(u32::MAX);
        let sample = if rtt == 0 { sample } else { sample.min(most) };
        // RFC 6298 §2: the mean moves by an eighth, the deviation by a quarter.
        let (mean, spread) = match rtt {
            0 => (sample, sample / 2),
            _ => {
                let off = sample.abs_diff(rtt);
                let spread = self.spread.load(Relaxed);
                (rtt - rtt / 8 + sample / 8, spread - spread / 4 + off / 4)
            }
        };
        self.rtt.store(mean.max(1), Relaxed);
        self.spread.store(spread, Relaxed);
        let lost = self.lost.load(Relaxed);
        self.lost.store(lost - (lost >> LOSS_SHIFT), Relaxed);
        self.failures.store(0, Relaxed);
        self.tried.store(false, Relaxed);
        let proven = self.proven.swap(false, Relaxed);
        if self.down.swap(false, Relaxed) && proven {
            self.pause.store(0, Relaxed);
            self.probation.store(TRUSTED, Relaxed);
            // What was lost while it was away says nothing about it now; that it never stays for long does.
            self.lost.store(if self.relapsed.load(Relaxed) { RELAPSED } else { 0 }, Relaxed);
        } else {
            let left = self.probation.load(Relaxed);
            self.probation.store(left.saturating_sub(1), Relaxed);
        }
    }

    /// It did not: an attempt or a probe failed or ran out of time. Says whether it was put aside by that.
    ///
    /// One that was silent is probed at once then: where only some names were slow, it is back within a round trip.
    pub fn failed(&self, now: Tick, max_fails: u32, interval: Duration, lost: Lost) -> bool {
        self.missed();
        self.tried.store(false, Relaxed);
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if max_fails == 0 || failures < max_fails || self.down.swap(true, Relaxed) {
            return false;
        }
        self.relapsed.store(self.probation.load(Relaxed) > 0, Relaxed);
        let millis = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let (pause, after) = match lost {
            Lost::Silence => (millis / 2, Duration::ZERO),
            Lost::Error => (millis, interval),
        };
        self.pause.store(pause, Relaxed);
        self.probe_at.store(now.plus(after).0, Relaxed);
        self.proven.store(lost == Lost::Error, Relaxed);
        true
    }

    /// A probe was not answered: what was suspected is so.
    pub(super) fn probe_failed(&self) {
        self.proven.store(true, Relaxed);
    }

    /// An attempt was not answered that nobody waited for any more: it counts among the lost ones, but puts nobody aside.
    pub(super) fn missed(&self) {
        let lost = self.lost.load(Relaxed);
        self.lost.store(lost + ((ONE - lost.min(ONE)) >> LOSS_SHIFT), Relaxed);
    }

    /// Whether it may be asked as if nothing were the matter.
    #[must_use]
    pub fn up(&self) -> bool {
        !self.down.load(Relaxed) && !self.looping.load(Relaxed)
    }

    /// Whether it is worth asking: it is up, or it is put aside and no probe has failed yet.
    #[must_use]
    pub fn hopeful(&self) -> bool {
        let known_dead = self.down.load(Relaxed) && self.proven.load(Relaxed);
        !self.looping.load(Relaxed) && !known_dead
    }

    /// It is asked. Cost: two loads, and a store before anything is known of it.
    pub(super) fn asked(&self) {
        if self.rtt.load(Relaxed) == 0 && !self.tried.load(Relaxed) {
            self.tried.store(true, Relaxed);
        }
    }

    /// Whether nothing is known of it yet and somebody waits to learn: others need not wait as well.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        self.tried.load(Relaxed)
    }

    /// It could not read EDNS and answered without: for a while it is asked without (RFC 6891 §7).
    pub(super) fn set_plain(&self, now: Tick) {
        self.plain_until.store(now.plus(PLAIN).0, Relaxed);
    }

    /// Whether it is to be asked without EDNS.
    #[must_use]
    pub fn plain(&self, now: Tick) -> bool {
        self.plain_until.load(Relaxed) > now.0
    }

    /// Whether what we send to it comes back to us.
    #[must_use]
    pub fn looping(&self) -> bool {
        self.looping.load(Relaxed)
    }

    /// Says whether what we send to it comes back to us; returns what was known before.
    pub fn set_looping(&self, looping: bool) -> bool {
        self.looping.swap(looping, Relaxed)
    }

    /// When it is to be probed; `None` while it is up.
    #[must_use]
    pub fn probe_at(&self) -> Option<Tick> {
        self.down.load(Relaxed).then(|| Tick(self.probe_at.load(Relaxed)))
    }

    /// Takes the probe that is due at `now`, if no other worker did; the pause after it is twice as long as the one before.
    #[must_use]
    pub fn claim_probe(&self, now: Tick) -> bool {
        let due = self.probe_at.load(Relaxed);
        if !self.down.load(Relaxed) || due > now.0 {
            return false;
        }
        let pause = Duration::from_millis(u64::from(self.pause.load(Relaxed))).max(Duration::from_millis(50));
        let longer = (pause * 2).min(LONGEST_PAUSE);
        let next = now.plus(longer).0;
        if self.probe_at.compare_exchange(due, next, Relaxed, Relaxed).is_err() {
            return false;
        }
        self.pause.store(u32::try_from(longer.as_millis()).unwrap_or(u32::MAX), Relaxed);
        true
    }

    /// The smoothed round trip; `None` before the first.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        let rtt = self.rtt.load(Relaxed);
        (rtt > 0).then(|| Duration::from_micros(u64::from(rtt)))
    }

    /// The share of attempts that were lost lately. Unit: millionths.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost.load(Relaxed)
    }

    /// Whether so many attempts were lost lately that others are asked first.
    #[must_use]
    pub fn lossy(&self) -> bool {
        self.lost.load(Relaxed) > LOSSY
    }

    /// How long an answer takes, and what waiting for lost ones adds; `None` before the first.
    ///
    /// One that loses is as good as one that always answers after the time in which a second try is worth while.
    #[must_use]
    pub fn cost(&self) -> Option<Duration> {
        let wait = if self.lossy() { self.patience() } else { Duration::ZERO };
        self.rtt().map(|rtt| rtt + wait)
    }

    /// How long an answer may take before another upstream is asked as well.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match self.rtt() {
            None => FIRST_PATIENCE,
            Some(rtt) => (rtt + self.wide()).max(LEAST_PATIENCE),
        }
    }

    /// How long nearly every answer takes: after that a query may be hedged.
    #[must_use]
    pub fn usual(&self) -> Option<Duration> {
        self.rtt().map(|rtt| (rtt + self.wide()).max(LEAST_HEDGE))
    }

    /// Four deviations.
    fn wide(&self) -> Duration {
        Duration::from_micros(u64::from(self.spread.load(Relaxed)) * 4)
    }

    /// Whether its questions may have letters of mixed case.
    #[must_use]
    pub fn mixed_case(&self) -> bool {
        !self.plain_case.load(Relaxed)
    }

    /// It can't cope with letters of mixed case.
    pub fn set_plain_case(&self) {
        self.plain_case.store(true, Relaxed);
    }
}

/// How many codes have a histogram of their own: NOERROR to REFUSED, and all others.
const CODES: usize = 7;

/// Times of replies by response code, shared by all workers.
#[derive(Default, Debug)]
pub struct Durations([Times; CODES]);

/// One histogram.
#[derive(Default, Debug)]
struct Times {
    /// Observations by bucket of `DURATION`, the last one beyond all of them.
    buckets: [AtomicU64; DURATION.len() + 1],
    /// Their sum. Unit: microseconds.
    sum: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub(super) fn observe(&self, rcode: Rcode, took: Duration) {
        let place = usize::from(rcode.0).min(CODES - 1);
        let seconds = took.as_secs_f64();
        let bucket = DURATION.iter().position(|bound| seconds <= *bound).unwrap_or(DURATION.len());
        if let Some(times) = self.0.get(place) {
            if let Some(counter) = times.buckets.get(bucket) {
                counter.fetch_add(1, Relaxed);
            }
            times.sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// Calls `each` with the code's text, the buckets (not summed up) and the sum in microseconds, for codes that came.
    pub fn each(&self, mut each: impl FnMut(&'static str, Vec<u64>, u64)) {
        for (place, times) in self.0.iter().enumerate() {
            let buckets: Vec<u64> = times.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
            if buckets.iter().any(|count| *count > 0) {
                let code = Rcode(u16::try_from(place).unwrap_or(u16::MAX));
                each(code.text(), buckets, times.sum.load(Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails twice, which puts it aside, and answers again.
    fn goes_and_comes(health: &Health) {
        assert!(!health.failed(Tick(0), 2, Duration::from_millis(500), Lost::Silence));
        assert!(health.failed(Tick(0), 2, Duration::from_millis(500), Lost::Silence));
        health.probe_failed();
        assert!(!health.up());
        health.answered(Duration::from_millis(20));
        assert!(health.up());
    }

    #[test]
    fn one_that_is_put_aside_soon_after_its_return_is_lossy_when_it_is_back() {
        let health = Health::default();
        goes_and_comes(&health);
        assert!(!health.lossy(), "the first time is forgiven");
        for _ in 0..TRUSTED - 1 {
            health.answered(Duration::from_millis(20));
        }
        goes_and_comes(&health);
        assert!(health.lossy(), "63 answers are no recovery");
        for _ in 0..TRUSTED {
            health.answered(Duration::from_millis(20));
        }
        assert!(!health.lossy());
        goes_and_comes(&health);
        assert!(!health.lossy(), "64 are one");
    }

    #[test]
    fn one_that_was_only_suspected_keeps_what_it_lost() {
        let health = Health::default();
        health.answered(Duration::from_millis(20));
        for _ in 0..2 {
            health.failed(Tick(0), 2, Duration::from_millis(500), Lost::Silence);
        }
        for _ in 0..2 {
            health.missed();
        }
        assert!(!health.up() && health.lossy());
        health.answered(Duration::from_millis(20));
        assert!(
            health.up() && health.lossy(),
            "a probe that comes back says nothing about those that did not"
        );
    }

    #[test]
    fn what_is_lost_counts_as_the_wait_for_it() {
        let health = Health::default();
        assert_eq!(health.cost(), None);
        health.answered(Duration::from_millis(20));
        assert_eq!(health.cost(), health.rtt());
        for _ in 0..4 {
            health.missed();
        }
        assert!(health.lossy() && health.up(), "what nobody waited for puts nobody aside");
        assert_eq!(health.cost(), health.rtt().map(|rtt| rtt + health.patience()));
    }
}
