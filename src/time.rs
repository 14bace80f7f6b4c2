//! The clock that is passed around: monotonic ticks for everything that is measured or awaited, the wall
//! clock only for an SOA serial, a log line, or a moment that somebody else wrote down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock.
///
/// Unit: nanoseconds since the clock was made; never goes back, does not follow changes of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Tick(pub u64);

impl Tick {
    /// The moment `after` later; saturates.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment on the wall clock.
///
/// Unit: whole seconds since 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Wall(pub u64);

impl Wall {
    /// The SOA serial of this moment: unix seconds modulo 2^32 (rule K-006).
    #[must_use]
    pub fn serial(self) -> u32 {
        let bytes = self.0.to_be_bytes();
        u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
    }
}

/// A duration as Go prints it: `5m0s`, `1h0m0s`, `1.5s`, `250ms`; so that log lines read as CoreDNS's do.
///
/// Source: Go `time.Duration.String`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos < 1_000_000_000 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", fraction(nanos, 1_000)),
            _ => format!("{}ms", fraction(nanos, 1_000_000)),
        };
    }
    let minutes = duration.as_secs() / 60;
    let seconds = fraction(nanos - u128::from(minutes) * 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `number / unit` as a decimal number without zeros at its end; `unit` is a power of ten.
fn fraction(number: u128, unit: u128) -> String {
    let places = unit.ilog10() as usize;
    let text = format!("{}.{:0places$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Where the time comes from: the system's clocks, or a test's own.
#[derive(Clone)]
pub struct Clock(Source);

/// What a `Clock` reads.
#[derive(Clone)]
enum Source {
    /// The machine's clocks, ticks counted from the instant inside.
    System(Instant),
    /// A clock that a test moves.
    Manual(Arc<Manual>),
}

/// The hands of a manual clock.
#[derive(Default)]
struct Manual {
    /// Ticks, in nanoseconds.
    tick: AtomicU64,
    /// Wall seconds at tick 0.
    epoch: AtomicU64,
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands still until `advance` is called; tick 0 is `epoch` on the wall.
    #[must_use]
    pub fn manual(epoch: Wall) -> Self {
        Self(Source::Manual(Arc::new(Manual { tick: AtomicU64::new(0), epoch: AtomicU64::new(epoch.0) })))
    }

    /// The moment now.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Tick {
        match &self.0 {
            Source::System(start) => Tick(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Source::Manual(hands) => Tick(hands.tick.load(Ordering::Acquire)),
        }
    }

    /// The wall clock now.
    #[must_use]
    pub fn wall(&self) -> Wall {
        Wall(self.since_1970().as_secs())
    }

    /// Time since 1970 on the wall clock, as finely as it is kept; zero before that.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    pub fn since_1970(&self) -> Duration {
        match &self.0 {
            Source::System(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Source::Manual(hands) => {
                let epoch = Duration::from_secs(hands.epoch.load(Ordering::Acquire));
                epoch.saturating_add(Duration::from_nanos(hands.tick.load(Ordering::Acquire)))
            }
        }
    }

    /// Sets the wall of a manual clock, forward or back, and no tick with it; a system clock ignores this.
    pub fn jump(&self, wall: Wall) {
        if let Source::Manual(hands) = &self.0 {
            let passed = Duration::from_nanos(hands.tick.load(Ordering::Acquire)).as_secs();
            hands.epoch.store(wall.0.saturating_sub(passed), Ordering::Release);
        }
    }

    /// Moves a manual clock forward; a system clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(hands) = &self.0 {
            hands.tick.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

#[cfg(test)]
mod tests {
    //! Durations in words.

    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (250_000_000, "250ms"),
            (2_000_000, "2ms"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (90_000_000_001, "1m30.000000001s"),
            (300_000_000_000, "5m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (360_610_000_000_000, "100h10m10s"),
        ] {
            assert_eq!(show_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
