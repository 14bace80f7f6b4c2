//! When a zone is looked at again, and when it is beyond its time (RFC 1034 §4.3.5, RFC 1996).

use std::time::Duration;

use crate::time::Tick;

/// The first pause after a first transfer that failed; doubled each time. Source: coredns `plugin/secondary/setup.go`.
const FIRST: Duration = Duration::from_millis(250);

/// The longest such pause. Source: coredns.
const LONGEST: Duration = Duration::from_secs(10);

/// The least of an SOA's times: a zone that says 0 is not asked for without end. Source: coredns.
const LEAST: Duration = Duration::from_secs(1);

/// The most that is added to a refresh by chance. Source: coredns `plugin/file/secondary.go`.
const JITTER: Duration = Duration::from_secs(5);

/// Looks at a primary's word lie at least this far apart: whoever forges it makes no flood of ours.
const POKED: Duration = Duration::from_millis(500);

/// Whether serial `b` is newer than `a` (RFC 1982 §3.2).
#[must_use]
pub fn newer(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

/// The times of one zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The SOA's refresh, retry and expire, once there is a zone.
    times: Option<[Duration; 3]>,
    /// When it is looked at next.
    next: Tick,
    /// When it was looked at last.
    looked: Tick,
    /// When it is beyond its time, once there is a zone.
    expires: Option<Tick>,
    /// The pause after the next failure, until there is a zone.
    pause: Duration,
}

impl Schedule {
    /// A zone that is to be fetched at once.
    #[must_use]
    pub fn new(now: Tick) -> Self {
        Self { times: None, next: now, looked: Tick::default(), expires: None, pause: FIRST }
    }

    /// When something is to be done.
    #[must_use]
    pub fn due(&self) -> Tick {
        self.expires.map_or(self.next, |expires| expires.min(self.next))
    }

    /// Whether the zone is to be looked at.
    #[must_use]
    pub fn wants_look(&self, now: Tick) -> bool {
        now >= self.next
    }

    /// Whether the zone is beyond its time; true once.
    pub fn expire(&mut self, now: Tick) -> bool {
        let over = self.expires.is_some_and(|expires| now >= expires);
        if over {
            self.expires = None;
        }
        over
    }

    /// A primary confirmed the zone, whose SOA has these times; `chance` from 0 to 1 spreads the next look.
    pub fn confirmed(&mut self, now: Tick, timing: [u32; 3], chance: f64) {
        let times = timing.map(|seconds| Duration::from_secs(seconds.into()).max(LEAST));
        let [refresh, _, expire] = times;
        let jitter = JITTER.min(refresh / 2).mul_f64(chance.clamp(0.0, 1.0));
        self.times = Some(times);
        self.looked = now;
        self.next = now.plus(refresh).plus(jitter);
        self.expires = Some(now.plus(expire));
    }

    /// No primary could be asked; returns how long until the next look.
    pub fn failed(&mut self, now: Tick) -> Duration {
        let pause = match self.times {
            Some([_, retry, _]) => retry,
            None => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST);
                pause
            }
        };
        self.looked = now;
        self.next = now.plus(pause);
        pause
    }

    /// A primary says that the zone has changed.
    pub fn poked(&mut self, now: Tick) {
        self.next = self.next.min(now.max(self.looked.plus(POKED)));
    }
}
