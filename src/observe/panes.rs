//! Windows of time: what the workers counted, in panes that are dropped whole when their time is over.

use std::collections::VecDeque;
use std::time::Duration;

use super::seen::Seen;
use super::sketch::Sketch;
use super::summary::Summary;
use crate::time::Tick;

/// The windows. Unit: minutes.
pub const WINDOWS: [u64; 3] = [1, 10, 60];

/// How long the panes of each window are, and how many whole ones are kept. Unit: seconds.
const PANES: [(u64, u64); 3] = [(15, 4), (120, 5), (600, 6)];

/// How often the workers' counts are taken at least.
pub(super) const RHYTHM: Duration = Duration::from_secs(PANES[0].0);

/// How many keys are counted: clients, names, namespaces, names that are not there, slow names, namespaces of search lists.
const CAPACITY: [usize; 6] = [512, 512, 256, 256, 128, 128];

/// Counts without a key.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Totals {
    /// Queries.
    pub(super) queries: u64,
    /// NXDOMAIN.
    pub(super) nxdomain: u64,
    /// SERVFAIL.
    pub(super) failed: u64,
    /// For AAAA.
    pub(super) aaaa: u64,
    /// For AAAA, NOERROR and nothing in the answer.
    pub(super) aaaa_empty: u64,
    /// Slow ones.
    pub(super) slow: u64,
    /// Candidates of search lists.
    pub(super) search: u64,
}

impl Totals {
    /// Adds others.
    fn add(&mut self, other: Self) {
        self.queries += other.queries;
        self.nxdomain += other.nxdomain;
        self.failed += other.failed;
        self.aaaa += other.aaaa;
        self.aaaa_empty += other.aaaa_empty;
        self.slow += other.slow;
        self.search += other.search;
    }
}

/// NXDOMAIN.
const NXDOMAIN: u16 = 3;

/// SERVFAIL.
const SERVFAIL: u16 = 2;

/// What a worker counts; all of its memory is there from the beginning.
pub(super) struct Live {
    /// Counts without a key.
    totals: Totals,
    /// Clients, as addresses of IPv6.
    clients: Sketch<16>,
    /// Names.
    names: Sketch<255>,
    /// Namespaces in names.
    namespaces: Sketch<63>,
    /// Names that are not there.
    nxdomain: Sketch<255>,
    /// Names that were slow.
    slow: Sketch<255>,
    /// Namespaces of candidates of search lists.
    search: Sketch<63>,
}

impl Live {
    /// Nothing is counted.
    pub(super) fn new() -> Self {
        let [clients, names, namespaces, nxdomain, slow, search] = CAPACITY;
        Self {
            totals: Totals::default(),
            clients: Sketch::new(clients),
            names: Sketch::new(names),
            namespaces: Sketch::new(namespaces),
            nxdomain: Sketch::new(nxdomain),
            slow: Sketch::new(slow),
            search: Sketch::new(search),
        }
    }

    /// Counts a query. Cost: three sketches, and one for each of what is wrong with it; no allocation.
    pub(super) fn note(&mut self, seen: &Seen<'_>, slow: Duration, hash: impl Fn(&[u8]) -> u64) {
        let client = match seen.client {
            std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(ip) => ip.octets(),
        };
        self.clients.note(hash(&client), &client);
        let name = hash(seen.name);
        self.names.note(name, seen.name);
        let totals = &mut self.totals;
        totals.queries += 1;
        if let Some(namespace) = seen.namespace {
            let hashed = hash(namespace);
            self.namespaces.note(hashed, namespace);
            if seen.candidate {
                self.search.note(hashed, namespace);
                totals.search += 1;
            }
        }
        match seen.rcode {
            NXDOMAIN => {
                self.nxdomain.note(name, seen.name);
                totals.nxdomain += 1;
            }
            SERVFAIL => totals.failed += 1,
            _ => {}
        }
        if seen.is_six() {
            totals.aaaa += 1;
            totals.aaaa_empty += u64::from(seen.rcode == 0 && !seen.answers);
        }
        if seen.took >= slow {
            self.slow.note(name, seen.name);
            totals.slow += 1;
        }
    }

    /// Forgets all; the memory stays.
    pub(super) fn clear(&mut self) {
        self.totals = Totals::default();
        self.clients.clear();
        self.names.clear();
        self.namespaces.clear();
        self.nxdomain.clear();
        self.slow.clear();
        self.search.clear();
    }
}

/// What was counted in a piece of time, by all workers.
#[derive(Clone)]
pub(super) struct Pane {
    /// Counts without a key.
    pub(super) totals: Totals,
    /// Counts by key, in the order of `CAPACITY`.
    pub(super) keys: [Summary; 6],
}

impl Pane {
    /// Nothing was counted.
    pub(super) fn new() -> Self {
        Self { totals: Totals::default(), keys: CAPACITY.map(Summary::new) }
    }

    /// Adds what a worker counted.
    pub(super) fn add_live(&mut self, live: &Live) {
        self.totals.add(live.totals);
        let [clients, names, namespaces, nxdomain, slow, search] = &mut self.keys;
        clients.add_sketch(&live.clients);
        names.add_sketch(&live.names);
        namespaces.add_sketch(&live.namespaces);
        nxdomain.add_sketch(&live.nxdomain);
        slow.add_sketch(&live.slow);
        search.add_sketch(&live.search);
    }

    /// Adds another pane.
    fn add(&mut self, other: &Self) {
        self.totals.add(other.totals);
        for (ours, theirs) in self.keys.iter_mut().zip(&other.keys) {
            ours.add_summary(theirs);
        }
    }
}

/// A window of time.
struct Window {
    /// How long a pane is. Unit: seconds.
    span: u64,
    /// How many whole panes are kept.
    kept: u64,
    /// The pane that is being filled, with its number: its time divided by `span`.
    current: (u64, Pane),
    /// Whole panes, oldest first, with their numbers; those in which nothing was asked are left out.
    past: VecDeque<(u64, Pane)>,
}

/// All windows.
pub(super) struct Panes {
    /// In the order of `WINDOWS`.
    windows: [Window; 3],
    /// When counting began.
    began: Tick,
    /// When counts were last added.
    added: Tick,
}

/// Whole seconds of a moment.
fn seconds(at: Tick) -> u64 {
    at.0 / 1_000_000_000
}

impl Panes {
    /// Counting begins.
    pub(super) fn new(now: Tick) -> Self {
        let window = |(span, kept)| Window {
            span,
            kept,
            current: (seconds(now) / span, Pane::new()),
            past: VecDeque::new(),
        };
        Self { windows: PANES.map(window), began: now, added: now }
    }

    /// Whether a pane has ended since counts were last added.
    pub(super) fn due(&self, now: Tick) -> bool {
        seconds(now) / PANES[0].0 != seconds(self.added) / PANES[0].0
    }

    /// Adds what was counted since the last time, and lets panes go whose time is over.
    pub(super) fn add(&mut self, fresh: &Pane, now: Tick) {
        self.added = now;
        for window in &mut self.windows {
            // It goes into the pane in which counting it began: at most as much as one look is late lies in the wrong one.
            window.current.1.add(fresh);
            let number = seconds(now) / window.span;
            if number != window.current.0 {
                let ended = std::mem::replace(&mut window.current, (number, Pane::new()));
                if ended.1.totals.queries > 0 {
                    window.past.push_back(ended);
                }
            }
            window.past.retain(|(pane, _)| pane + window.kept >= number);
        }
    }

    /// A window of so many minutes: what was counted in it, and its length in seconds; `None` where there is no such window.
    pub(super) fn read(&self, minutes: u64, now: Tick) -> Option<(Pane, u64)> {
        let place = WINDOWS.iter().position(|window| *window == minutes)?;
        let window = self.windows.get(place)?;
        let mut pane = window.current.1.clone();
        window.past.iter().for_each(|(_, past)| pane.add(past));
        let number = seconds(now) / window.span;
        let start = (number.saturating_sub(window.kept) * window.span).max(seconds(self.began));
        Some((pane, seconds(now).saturating_sub(start)))
    }
}
