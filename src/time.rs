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
