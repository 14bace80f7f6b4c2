//! Who sees every query end, and what he tells of it.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

use super::panes::{Live, Pane, Panes, RHYTHM};
use super::ring::{Ring, read};
use super::seen::{Filter, Seen};
use super::summary::Summary;
use super::told::{Row, TapPage, Told, TopPage};
use crate::metrics::Counter;
use crate::time::{Clock, Tick};
use crate::wire::{Rcode, rtype, show_name, type_mnemonic};

/// What is to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObserverSpec {
    /// Room for so many queries in all, of usual length.
    pub queries: usize,
    /// What counts as slow.
    pub slow: Duration,
}

/// What one worker writes, on cache lines of its own.
#[repr(align(128))]
struct Desk {
    /// What it counts, and its last queries.
    inside: Mutex<Inside>,
    /// Queries that were not noted since a reader had the desk in hand.
    missed: Counter,
}

/// What a worker writes.
struct Inside {
    /// What it counts; readers take it away whole and leave an empty one.
    live: Box<Live>,
    /// Its last queries.
    ring: Ring,
}

/// What readers share; no query touches it.
struct History {
    /// Empty, to be left where a full one is taken.
    spare: Box<Live>,
    /// The windows of time.
    panes: Panes,
}

/// Sees the queries of all workers.
pub struct Observer {
    /// What is kept.
    spec: ObserverSpec,
    /// Hashes keys; nobody outside can foretell how.
    hasher: foldhash::fast::RandomState,
    /// One a worker.
    desks: Box<[Desk]>,
    /// For readers.
    history: Mutex<History>,
}

/// How much a reader takes from a ring while it has the desk in hand: some microseconds. Unit: bytes.
const GULP: usize = 16 * 1024;

impl Observer {
    /// Nothing was seen yet. Cost: all memory that the workers will ever need here.
    #[must_use]
    pub fn new(spec: ObserverSpec, workers: usize, now: Tick) -> Self {
        let workers = workers.max(1);
        let desk = |_| Desk {
            inside: Mutex::new(Inside {
                live: Box::new(Live::new()),
                ring: Ring::new(spec.queries.div_ceil(workers)),
            }),
            missed: Counter::default(),
        };
        Self {
            spec,
            hasher: foldhash::fast::RandomState::default(),
            desks: (0..workers).map(desk).collect(),
            history: Mutex::new(History { spare: Box::new(Live::new()), panes: Panes::new(now) }),
        }
    }

    /// What is kept.
    #[must_use]
    pub fn spec(&self) -> &ObserverSpec {
        &self.spec
    }

    /// Notes a query of a worker. Cost: see `Live::note` and `Ring::push`; it never waits.
    pub fn note(&self, worker: usize, seen: &Seen<'_>) {
        let Some(desk) = self.desks.get(worker) else { return };
        match desk.inside.try_lock() {
            Some(mut inside) => {
                inside.live.note(seen, self.spec.slow, |key| self.hasher.hash_one(key));
                inside.ring.push(seen);
            }
            None => desk.missed.add(1),
        }
    }

    /// How often `tend` is to be called.
    #[must_use]
    pub fn rhythm(&self) -> Duration {
        RHYTHM
    }

    /// Puts into the windows what the workers counted, where a pane of time has ended.
    pub fn tend(&self, now: Tick) {
        let mut history = self.history.lock();
        if history.panes.due(now) {
            self.collect(&mut history, now);
        }
    }

    /// Takes what the workers have counted. A desk is in hand for as long as it takes to exchange two pointers.
    fn collect(&self, history: &mut History, now: Tick) {
        let mut fresh = Pane::new();
        for desk in &self.desks {
            std::mem::swap(&mut desk.inside.lock().live, &mut history.spare);
            fresh.add_live(&history.spare);
            history.spare.clear();
        }
        history.panes.add(&fresh, now);
    }

    /// Queries that were not noted.
    fn missed(&self) -> u64 {
        self.desks.iter().map(|desk| desk.missed.read()).sum()
    }

    /// What was asked most in the last minutes, `count` of each; `None` where there is no such window.
    #[must_use]
    pub fn top(&self, minutes: u64, count: usize, now: Tick) -> Option<TopPage> {
        let (pane, seconds) = {
            let mut history = self.history.lock();
            self.collect(&mut history, now);
            history.panes.read(minutes, now)?
        };
        let rows = |summary: &Summary, show: fn(&[u8]) -> String| {
            let row = |(key, bounds): (&[u8], super::summary::Bounds)| Row {
                what: show(key),
                at_least: bounds.least(),
                at_most: bounds.most,
            };
            // What has only errors is no more than a guess.
            summary.top(count).into_iter().filter(|(_, bounds)| bounds.least() > 0).map(row).collect()
        };
        let [clients, names, namespaces, nxdomain, slow, search] = &pane.keys;
        let totals = pane.totals;
        Some(TopPage {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            minutes,
            seconds,
            queries: totals.queries,
            nxdomain: totals.nxdomain,
            failed: totals.failed,
            aaaa: totals.aaaa,
            aaaa_empty: totals.aaaa_empty,
            slow: totals.slow,
            slow_milliseconds: u64::try_from(self.spec.slow.as_millis()).unwrap_or(u64::MAX),
            search: totals.search,
            missed: self.missed(),
            clients: rows(clients, show_client),
            names: rows(names, show_name),
            namespaces: rows(namespaces, crate::wire::show_label),
            nxdomain_names: rows(nxdomain, show_name),
            slow_names: rows(slow, show_name),
            search_namespaces: rows(search, crate::wire::show_label),
        })
    }

    /// The last queries that a filter wants, at most the newest `most` of those behind `after`; `word` names who answered.
    ///
    /// `after` is the cursor of an earlier page, `now` for none of the past, or empty for all that is kept. `None` where it is
    /// none of them. Cost: a copy of all that is kept, in gulps; memory for `most` queries.
    #[must_use]
    pub fn tap(
        &self,
        after: &str,
        filter: &Filter,
        most: usize,
        clock: &Clock,
        word: fn(usize) -> &'static str,
    ) -> Option<TapPage> {
        let from = cursor(after, self.desks.len())?;
        let (now, wall) = (clock.now(), clock.since_1970());
        let mut page = TapPage {
            cursor: String::new(),
            lost: false,
            left_out: 0,
            missed: self.missed(),
            queries: Vec::new(),
        };
        let mut found: Vec<(Tick, Told)> = Vec::new();
        let mut places = Vec::new();
        let mut gulp = Vec::with_capacity(GULP);
        for (desk, from) in self.desks.iter().zip(from) {
            let end = desk.inside.lock().ring.head();
            let mut place = from.unwrap_or(end);
            let mut first = true;
            let mut own: std::collections::VecDeque<(Tick, Told)> = std::collections::VecDeque::new();
            // What is asked while we read is left for the next page, so that reading ends.
            while first || place < end {
                let (next, lost) = desk.inside.lock().ring.copy(place, GULP, &mut gulp);
                page.lost |= lost;
                let mut rest = gulp.as_slice();
                while let Some((seen, behind)) = read(rest) {
                    rest = behind;
                    if filter.wants(&seen) {
                        if own.len() >= most {
                            own.pop_front();
                            page.left_out += 1;
                        }
                        own.push_back((seen.at, tell(&seen, now, wall, word)));
                    }
                }
                (first, place) = (false, next);
            }
            found.extend(own);
            places.push(format!("{place:x}"));
        }
        found.sort_by_key(|(at, _)| *at);
        let surplus = found.len().saturating_sub(most);
        page.left_out += surplus as u64;
        page.queries = found.into_iter().skip(surplus).map(|(_, told)| told).collect();
        page.cursor = places.join(".");
        Some(page)
    }
}

/// Where to go on in each ring: `None` for its end. `None` for a text that is no cursor.
fn cursor(after: &str, desks: usize) -> Option<Vec<Option<u64>>> {
    if after.is_empty() || after == "now" {
        let place = after.is_empty().then_some(0);
        return Some(vec![place; desks]);
    }
    let places: Option<Vec<u64>> = after.split('.').map(|part| u64::from_str_radix(part, 16).ok()).collect();
    let mut places: Vec<Option<u64>> = places?.into_iter().map(Some).collect();
    // That of a server with another number of workers: all is new.
    if places.len() != desks {
        places = vec![Some(0); desks];
    }
    Some(places)
}

/// A client's address, of its 16 bytes.
fn show_client(key: &[u8]) -> String {
    let bytes = <[u8; 16]>::try_from(key).unwrap_or_default();
    IpAddr::from(Ipv6Addr::from(bytes)).to_canonical().to_string()
}

/// A query as it is told; `wall` is the time since 1970 at `now`.
fn tell(seen: &Seen<'_>, now: Tick, wall: Duration, word: fn(usize) -> &'static str) -> Told {
    let at = wall.saturating_sub(now.since(seen.at));
    Told {
        at: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        client: seen.client.to_string(),
        port: seen.port,
        proto: if seen.tcp { "tcp" } else { "udp" }.to_owned(),
        name: show_name(seen.name),
        qtype: match type_mnemonic(seen.qtype) {
            Some(known) if seen.qtype != rtype::OPT => known.to_owned(),
            _ => format!("TYPE{}", seen.qtype),
        },
        rcode: Rcode(seen.rcode).text().to_owned(),
        answers: seen.answers,
        word: word(usize::from(seen.word)).to_owned(),
        microseconds: u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX),
    }
}
