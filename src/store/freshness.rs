//! How fresh a store is: when each resource was last confirmed by its API server, and from when on answers are stale.
//!
//! ```text
//!  watches ─heard─► Watched, one a kind (a lock that no answer takes) ─► until, one a need (atomic) ◄─stale─ answers
//!                                   └──────────look──────────► metrics, /ready?verbose, log
//! ```
//!
//! A resource is confirmed by an event, a bookmark or a completed list of its watch. What was not for `STALE_AFTER` is stale, and
//! so is what comes from a snapshot until its first list is complete (rule K-269). What nobody watches (a folder of
//! manifests) is never confirmed and never stale; neither is what was never listed: that is not known (rule K-016).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::change::{Heard, Kind, WatchState};
use super::wanted::{KINDS, Need, Wanted, bit, place};
use crate::time::Tick;

/// After so long without a confirmation a resource is stale (rule K-269).
pub const STALE_AFTER: Duration = Duration::from_secs(180);

/// The longest TTL of what is answered from a stale resource (rule K-269). Unit: seconds.
pub const STALE_TTL: u32 = 5;

/// What is known of one kind's watch.
#[derive(Clone, Default, Debug)]
struct Watched {
    /// What it does.
    state: WatchState,
    /// When anything confirmed it last; `None` for never.
    confirmed: Option<Tick>,
    /// When an event came last.
    event: Option<Tick>,
    /// When a bookmark came last.
    bookmark: Option<Tick>,
    /// When a list was complete last.
    list: Option<Tick>,
    /// The version that it is at, as the API server wrote it; empty for none.
    version: String,
    /// Whether what is held of it comes from a snapshot.
    snapshot: bool,
}

impl Watched {
    /// From when on it is stale; `None` for never.
    fn stale_at(&self) -> Option<Tick> {
        match self.snapshot {
            true => Some(Tick(0)),
            false => self.confirmed.map(|confirmed| confirmed.plus(STALE_AFTER)),
        }
    }
}

/// One kind's watch, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// The kind.
    pub kind: Kind,
    /// What its watch does.
    pub state: WatchState,
    /// Time since anything confirmed it; `None` for never.
    pub confirmed: Option<Duration>,
    /// Time since an event came; `None` for never.
    pub event: Option<Duration>,
    /// Time since a bookmark came; `None` for never.
    pub bookmark: Option<Duration>,
    /// Time since a list was complete; `None` for never.
    pub list: Option<Duration>,
    /// The version that it is at, as the API server wrote it; empty for none.
    pub version: String,
    /// Whether what is held of it comes from a snapshot.
    pub snapshot: bool,
    /// How long it has been stale; `None` while it is fresh, or not known at all.
    pub stale: Option<Duration>,
}

impl Look {
    /// Whether this one needs more looking after than another of its kind: stale for longer, never confirmed, or not for longer.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        let rank = |look: &Self| (look.stale, look.confirmed.is_none(), look.confirmed);
        rank(self) > rank(other)
    }
}

/// How fresh a store is.
///
/// Writers take a lock, answers read one number: no answer waits for a writer, nor a writer for an answer.
#[derive(Debug)]
pub struct Freshness {
    /// The kinds that are wanted.
    kinds: Vec<Kind>,
    /// The kinds that each `Need` needs, in their order, as bits.
    needed: [u16; 4],
    /// What is known of each kind, in the order of `place`.
    watched: Mutex<[Watched; KINDS]>,
    /// From when on what each `Need` needs is stale, in their order. Unit: nanoseconds of the clock, `u64::MAX` for never.
    until: [AtomicU64; 4],
}

impl Freshness {
    /// Nothing was heard yet.
    pub(super) fn new(wanted: Wanted, needed: [u16; 4]) -> Self {
        Self {
            kinds: wanted.kinds(),
            needed,
            watched: Mutex::default(),
            until: [const { AtomicU64::new(u64::MAX) }; 4],
        }
    }

    /// Whether an answer made of this is stale at `now` (rule K-269).
    ///
    /// Cost: one relaxed load, nothing is allocated and nobody is waited for.
    #[must_use]
    pub fn stale(&self, need: Need, now: Tick) -> bool {
        self.until.get(need as usize).is_some_and(|until| now.0 >= until.load(Ordering::Relaxed))
    }

    /// How long answers made of this have been stale at `now`; `None` while they are fresh. Cost: as `stale`.
    #[must_use]
    pub fn stale_for(&self, need: Need, now: Tick) -> Option<Duration> {
        let until = self.until.get(need as usize)?.load(Ordering::Relaxed);
        (now.0 >= until).then(|| now.since(Tick(until)))
    }

    /// An event, a bookmark or a completed list confirmed a kind.
    pub fn confirmed(&self, kind: Kind, now: Tick) {
        self.write(|watched| {
            if let Some(known) = watched.get_mut(place(kind)) {
                known.confirmed = Some(now);
            }
        });
    }

    /// All that is held comes from a snapshot, or no longer does. A list that is complete ends it for its kind.
    ///
    /// Who loads one says so behind the `settle` that published it, before the source starts: a list that ends says that its
    /// kind is the API server's. What comes from a snapshot counts as stale since the clock began.
    pub fn set_snapshot(&self, snapshot: bool) {
        self.write(|watched| {
            for kind in &self.kinds {
                if let Some(known) = watched.get_mut(place(*kind)) {
                    known.snapshot = snapshot;
                }
            }
        });
    }

    /// A list of a kind is complete and published: what is held of it comes from the API server.
    pub(super) fn reconciled(&self, kind: Kind) {
        self.write(|watched| {
            if let Some(known) = watched.get_mut(place(kind)) {
                known.snapshot = false;
            }
        });
    }

    /// Takes what a watch has heard of its kind.
    pub(super) fn heard(&self, kind: Kind, heard: Heard<'_>, now: Tick) {
        self.write(|watched| {
            let Some(known) = watched.get_mut(place(kind)) else { return };
            let version = match heard {
                Heard::State(state) => {
                    known.state = state;
                    return;
                }
                Heard::Event(version) => {
                    known.event = Some(now);
                    version
                }
                Heard::Bookmark(version) => {
                    known.bookmark = Some(now);
                    version
                }
                Heard::List(version) => {
                    known.list = Some(now);
                    version
                }
            };
            known.confirmed = Some(now);
            if !version.is_empty() && known.version != version {
                known.version.clear();
                known.version.push_str(version);
            }
        });
    }

    /// Every kind that is wanted, as of `now`. Cost: allocates; not for answers.
    #[must_use]
    pub fn look(&self, now: Tick) -> Vec<Look> {
        let watched = self.watched.lock();
        let since = |then: Option<Tick>| then.map(|then| now.since(then));
        let look = |kind: &Kind| {
            let known = watched.get(place(*kind))?;
            Some(Look {
                kind: *kind,
                state: known.state,
                confirmed: since(known.confirmed),
                event: since(known.event),
                bookmark: since(known.bookmark),
                list: since(known.list),
                version: known.version.clone(),
                snapshot: known.snapshot,
                stale: known.stale_at().filter(|at| now >= *at).map(|at| now.since(at)),
            })
        };
        self.kinds.iter().filter_map(look).collect()
    }

    /// Lets `change` write, then works out from when on each need is stale.
    fn write(&self, change: impl FnOnce(&mut [Watched; KINDS])) {
        let mut watched = self.watched.lock();
        change(&mut watched);
        for (needed, until) in self.needed.iter().zip(&self.until) {
            let kinds = self.kinds.iter().filter(|kind| needed & bit(**kind) != 0);
            let first = kinds.filter_map(|kind| watched.get(place(*kind))?.stale_at()).min();
            until.store(first.map_or(u64::MAX, |at| at.0), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The freshness of a store of Services, Namespaces, slices and imports.
    fn freshness() -> Freshness {
        let wanted = Wanted { endpoints: true, imports: true, ..Wanted::default() };
        Freshness::new(wanted, Need::ALL.map(|need| wanted.bits(need)))
    }

    /// A moment.
    fn at(seconds: u64) -> Tick {
        Tick(0).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn what_was_never_confirmed_is_unknown_and_not_stale() {
        let freshness = freshness();
        assert!(!freshness.stale(Need::Cluster, at(1_000_000)));
        freshness.heard(Kind::Services, Heard::State(WatchState::Retrying), at(1));
        assert!(!freshness.stale(Need::All, at(1_000_000)));
        assert!(freshness.look(at(5)).iter().all(|look| look.stale.is_none() && look.confirmed.is_none()));
    }

    #[test]
    fn each_need_is_as_stale_as_the_most_silent_of_its_kinds() {
        let freshness = freshness();
        for kind in [Kind::Services, Kind::EndpointSlices, Kind::Namespaces, Kind::Imports] {
            freshness.heard(kind, Heard::List("7"), at(10));
        }
        freshness.heard(Kind::Services, Heard::Event("8"), at(100));
        freshness.heard(Kind::EndpointSlices, Heard::Bookmark("8"), at(120));
        freshness.confirmed(Kind::Namespaces, at(120));
        assert!(!freshness.stale(Need::All, at(189)));
        assert!(freshness.stale(Need::Imports, at(190)) && freshness.stale(Need::All, at(190)));
        assert!(!freshness.stale(Need::Cluster, at(279)) && !freshness.stale(Need::Hosts, at(279)));
        assert!(freshness.stale(Need::Cluster, at(280)));
        assert_eq!(freshness.stale_for(Need::Cluster, at(285)), Some(Duration::from_secs(5)));
        let looks = freshness.look(at(285));
        let services = looks.iter().find(|look| look.kind == Kind::Services).unwrap();
        assert_eq!(services.stale, Some(Duration::from_secs(5)));
        assert_eq!(services.event, Some(Duration::from_secs(185)));
        assert_eq!(services.list, Some(Duration::from_secs(275)));
        assert_eq!((services.bookmark, services.version.as_str()), (None, "8"));
        freshness.confirmed(Kind::Services, at(286));
        assert!(!freshness.stale(Need::Cluster, at(287)));
    }

    #[test]
    fn of_two_looks_the_one_that_is_stale_is_worse_then_the_one_that_was_never_confirmed() {
        let look = |confirmed: Option<u64>, now: u64| {
            let freshness = freshness();
            if let Some(seconds) = confirmed {
                freshness.confirmed(Kind::Services, at(seconds));
            }
            freshness.look(at(now)).into_iter().find(|look| look.kind == Kind::Services).unwrap()
        };
        let (stale, never, old, new) =
            (look(Some(1), 200), look(None, 200), look(Some(100), 200), look(Some(199), 200));
        for (at, worse) in [&stale, &never, &old].into_iter().enumerate() {
            for better in [&never, &old, &new].into_iter().skip(at) {
                assert!(worse.is_worse_than(better) && !better.is_worse_than(worse));
            }
        }
        assert!(!old.is_worse_than(&old));
    }

    #[test]
    fn what_comes_from_a_snapshot_is_stale_until_all_of_it_was_listed() {
        let freshness = freshness();
        freshness.set_snapshot(true);
        for (seconds, kind) in
            [(1, Kind::Services), (2, Kind::Namespaces), (3, Kind::EndpointSlices), (4, Kind::Imports)]
        {
            assert!(freshness.stale(Need::All, at(seconds)) && freshness.stale(Need::Imports, at(seconds)));
            assert_eq!(freshness.stale(Need::Cluster, at(seconds)), seconds < 4);
            freshness.heard(kind, Heard::List("1"), at(seconds));
            freshness.reconciled(kind);
        }
        assert!(!freshness.stale(Need::All, at(4)));
        freshness.set_snapshot(true);
        assert_eq!(freshness.stale_for(Need::Cluster, at(9)), Some(Duration::from_secs(9)));
        freshness.set_snapshot(false);
        assert!(!freshness.stale(Need::All, at(9)));
    }
}
