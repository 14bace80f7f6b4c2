//! The consistency audit: whether what is served is what the API server has (rule K-271).
//!
//! ```text
//!  names and versions, by pages ─► held the same? ─no─► wait for the watch ─► still? ─no event in between?─► fetch, drop, or
//!                                                       to get there                                        list anew
//! ```
//!
//! What is judged can't be a race: an object that the watch named since the audit began is passed over, whatever it looks like;
//! any other was as it is before the list was asked for, and the list is of a later moment. So once the watch is past the
//! version of the list, what differs is an event that got lost.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::Timing;
use super::access::Connection;
use super::body::next_chunk;
use super::encoding::{Encoding, Page, PageEnd};
use super::event::status;
use super::feed::Feed;
use super::fetch::fetch;
use super::request::{self, Ask};
use super::track::Track;
use super::trouble::Trouble;
use crate::metrics::{AuditEnd, Difference};
use crate::source::Selector;
use crate::source::object;
use crate::store::change::{Change, Kind, ObjectId, ObjectKey, Revision, VersionId, WatchState};

/// What is asked for: names and versions. A server that can't leave the rest away sends whole objects, which do as well.
const NAMES: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What is asked for where one object is fetched.
const ONE: &str = "application/json";

/// The most objects whose names are remembered because they look different.
const SUSPECTS: usize = 1024;

/// The most objects of a kind that are fetched or dropped one by one; for more, the kind is listed anew.
const FEW: usize = 64;

/// The most objects that are remembered because nothing is kept of them.
const UNKEPT: usize = 8192;

/// The longest pause between two pages.
const PAGES_APART: Duration = Duration::from_millis(500);

/// After so many pages the pauses are short: the token of the next page does not live for ever.
const UNHURRIED: usize = 200;

/// The most objects of a kind, and the most pages, that an audit reads: an API server that has no end is none.
const MOST: usize = 1 << 22;

/// How an audit is done.
pub(super) struct AuditOptions {
    /// How often each kind is audited.
    pub(super) interval: Duration,
    /// `labels`.
    pub(super) labels: Option<Selector>,
    /// How long things may take.
    pub(super) timing: Timing,
    /// A number that differs from replica to replica, so that they don't ask together.
    pub(super) replica: u64,
}

/// Audits the kinds of a source in turn, for ever.
pub(super) struct Auditor {
    /// How.
    options: AuditOptions,
    /// The client.
    connection: Rc<Connection>,
    /// Where what is held is found, and healed.
    feed: Rc<Feed>,
    /// The kinds, with what their watches tell.
    tracks: Vec<(Kind, Rc<Track>)>,
    /// Objects that there are and of which nothing is kept, with the version that this was seen of.
    unkept: HashMap<(Kind, ObjectId), VersionId>,
    /// Kinds whose last audit failed: told once.
    failing: HashSet<Kind>,
}

/// An object as a list of names has it.
#[derive(Deserialize)]
struct Item {
    /// `metadata`.
    metadata: ItemMeta,
}

/// What a list of names says of an object.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ItemMeta {
    /// Its name.
    name: Box<str>,
    /// Its namespace.
    namespace: Box<str>,
    /// Its UID.
    uid: Box<str>,
    /// Its version.
    resource_version: Box<str>,
    /// When it is to go, if it is.
    deletion_timestamp: Option<Box<str>>,
}

/// An object that looks different.
struct Suspect {
    /// Which.
    key: ObjectKey,
    /// Its version as it was listed.
    version: VersionId,
}

/// What a list of names gave.
#[derive(Default)]
struct Listed {
    /// The version of the list.
    version: String,
    /// The objects in it, sorted.
    objects: Vec<ObjectId>,
    /// Those that looked different.
    suspects: Vec<Suspect>,
    /// How many more of them there were.
    more: u64,
}

/// What an audit found and did.
#[derive(Default)]
struct Found {
    /// How many objects differed, in the order of `Difference::ALL`.
    differences: [u64; 3],
    /// How many were put right.
    healed: u64,
    /// One of them.
    example: Option<ObjectKey>,
}

impl Found {
    /// Notes a difference.
    fn differs(&mut self, difference: Difference, count: u64) {
        let place = Difference::ALL.iter().position(|known| *known == difference);
        if let Some(known) = place.and_then(|place| self.differences.get_mut(place)) {
            *known += count;
        }
    }

    /// How many objects differed.
    fn all(&self) -> u64 {
        self.differences.iter().sum()
    }
}

/// Why nothing more is judged.
enum Stop {
    /// The watch is not up, or listed anew: whatever differed does not any more.
    Spoilt,
    /// The API server did not answer as it should.
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Auditor {
    /// An auditor that has not begun.
    pub(super) fn new(
        options: AuditOptions,
        connection: Rc<Connection>,
        feed: Rc<Feed>,
        tracks: Vec<(Kind, Rc<Track>)>,
    ) -> Self {
        Self { options, connection, feed, tracks, unkept: HashMap::new(), failing: HashSet::new() }
    }

    /// Audits for ever: each kind once an interval, one after the other, from a moment on that differs by replica.
    pub(super) async fn run(mut self) {
        let kinds = u32::try_from(self.tracks.len()).unwrap_or(1).max(1);
        let period = self.options.interval / kinds;
        sleep(period + share(period, self.options.replica)).await;
        loop {
            for (kind, track) in self.tracks.clone() {
                let started = Instant::now();
                let end = self.audit(kind, &track).await;
                self.connection.counts().audited(request::resource(kind), end);
                sleep(period.saturating_sub(started.elapsed())).await;
            }
        }
    }

    /// Audits one kind.
    async fn audit(&mut self, kind: Kind, track: &Track) -> AuditEnd {
        if track.state() != WatchState::Watching {
            return AuditEnd::Skipped;
        }
        track.audit_begins();
        let mut found = Found::default();
        let judged = self.judge(kind, track, &mut found).await;
        track.audit_ends();
        self.tell(kind, &found);
        match judged {
            Ok(()) => {
                self.failing.remove(&kind);
                AuditEnd::Done
            }
            Err(Stop::Spoilt) => AuditEnd::Skipped,
            Err(Stop::Trouble(trouble)) => {
                if self.failing.insert(kind) {
                    tracing::info!(target: "plugin/kubernetes", "{kind:?}: the audit could not be done: {trouble}");
                }
                AuditEnd::Failed
            }
        }
    }

    /// Counts what was found, and says it in a line if it is anything.
    fn tell(&self, kind: Kind, found: &Found) {
        let (counts, resource) = (self.connection.counts(), request::resource(kind));
        for (difference, count) in Difference::ALL.into_iter().zip(found.differences) {
            counts.differed(resource, difference, count);
        }
        counts.healed(resource, found.healed);
        if found.all() > 0 {
            let [missing, surplus, outdated] = found.differences;
            let example = found.example.as_ref();
            let example = example.map(|key| format!(", among them {}/{}", key.namespace, key.name));
            tracing::warn!(
                target: "plugin/kubernetes",
                "{resource}: the audit found that what was served is not what there is: {missing} missing, {surplus} surplus, \
                 {outdated} outdated{}; {} put right",
                example.unwrap_or_default(), found.healed
            );
        }
    }

    /// Compares and heals.
    async fn judge(&mut self, kind: Kind, track: &Track, found: &mut Found) -> Result<(), Stop> {
        let mut listed = self.list(kind, track).await?;
        self.catch_up(track, &listed.version).await?;
        self.feed.settle_now();
        let differs = |suspect: &Suspect| {
            !track.touched(ObjectId::of(&suspect.key))
                && self.feed.held(kind, &suspect.key) != Some(suspect.version)
        };
        listed.suspects.retain(differs);
        let mut surplus: HashSet<ObjectId> = HashSet::new();
        self.feed.each_held(kind, &mut |object| {
            if listed.objects.binary_search(&object).is_err() && !track.touched(object) {
                surplus.insert(object);
            }
        });
        drop(std::mem::take(&mut listed.objects));

        let (mut real, mut looked) = (0_usize, 0_usize);
        let left = listed.suspects.split_off(listed.suspects.len().min(FEW));
        for suspect in listed.suspects {
            looked += 1;
            real += usize::from(self.heal(kind, track, suspect, found).await?);
        }
        if track.spoilt() {
            return Err(Stop::Spoilt);
        }
        surplus.retain(|object| !track.touched(*object));
        let surplus_count = u64::try_from(surplus.len()).unwrap_or(0);
        // Most of what can't be looked at one by one is no better than what was.
        let many = !left.is_empty() && real * 2 >= looked;
        if many || surplus.len() > FEW {
            let mut count = surplus_count;
            found.differs(Difference::Surplus, surplus_count);
            if many {
                let known = |suspect: &&Suspect| self.feed.held(kind, &suspect.key).is_some();
                let outdated = u64::try_from(left.iter().filter(known).count()).unwrap_or(0);
                let missing = u64::try_from(left.len()).unwrap_or(0) - outdated;
                found.differs(Difference::Outdated, outdated);
                // Those whose names were not kept are taken for what most of the others are.
                let rest = if outdated > missing { Difference::Outdated } else { Difference::Missing };
                found.differs(Difference::Missing, missing);
                found.differs(rest, listed.more);
                count += outdated + missing + listed.more;
            }
            let lists = track.lists();
            track.ask_relist();
            if self.wait(|| track.lists() > lists).await {
                found.healed += count;
            }
        } else if !surplus.is_empty() {
            self.feed.drop_held(kind, &surplus);
            self.feed.settle_now();
            found.differs(Difference::Surplus, surplus_count);
            found.healed += surplus_count;
        }
        Ok(())
    }

    /// Lists names and versions, and compares them with what is held. Unit of memory: 8 bytes an object.
    async fn list(&self, kind: Kind, track: &Track) -> Result<Listed, Stop> {
        let mut listed = Listed::default();
        let (mut token, mut pages) = (String::new(), 0);
        loop {
            let end = self
                .page(kind, track, Ask::Page(&token), NAMES, |item| self.compare(kind, item, &mut listed))
                .await?;
            if track.spoilt() {
                return Err(Stop::Spoilt);
            }
            if listed.version.is_empty() {
                listed.version = end.version;
            }
            if end.next.is_empty() {
                listed.objects.sort_unstable();
                return Ok(listed);
            }
            token = end.next;
            pages += 1;
            if listed.objects.len() > MOST || pages > MOST / 500 {
                return Err(Stop::Trouble(Trouble::Nonsense("list that ends")));
            }
            let pause = (self.options.interval / 200).min(PAGES_APART);
            sleep(if pages < UNHURRIED { pause } else { pause / 10 }).await;
        }
    }

    /// Compares one object of a list of names.
    fn compare(&self, kind: Kind, item: &[u8], listed: &mut Listed) {
        let Ok(Item { metadata }) = serde_json::from_slice(item) else { return };
        let key = ObjectKey { namespace: metadata.namespace, name: metadata.name };
        let object = ObjectId::of(&key);
        listed.objects.push(object);
        let revision = Revision { uid: metadata.uid, version: metadata.resource_version };
        let version = VersionId::of(&revision);
        // A pod that is ending keeps what it had (K-158).
        let ending = kind == Kind::Pods && metadata.deletion_timestamp.is_some();
        if ending
            || self.feed.held(kind, &key) == Some(version)
            || self.unkept.get(&(kind, object)) == Some(&version)
        {
            return;
        }
        if listed.suspects.len() < SUSPECTS {
            listed.suspects.push(Suspect { key, version });
        } else {
            listed.more += 1;
        }
    }

    /// Waits until the watch is past a version, or should be by now.
    async fn catch_up(&self, track: &Track, version: &str) -> Result<(), Stop> {
        let wanted = version.parse::<u64>().ok();
        let there = || {
            let known = track.version().parse::<u64>().ok();
            track.spoilt() || known.zip(wanted).is_some_and(|(known, wanted)| known >= wanted)
        };
        // A watch that is not there when its next bookmark is long due has lost what it was to bring.
        self.wait(there).await;
        if track.spoilt() || track.state() != WatchState::Watching {
            return Err(Stop::Spoilt);
        }
        Ok(())
    }

    /// Waits until something holds; false where it did not in time.
    async fn wait(&self, holds: impl Fn() -> bool) -> bool {
        let mute = self.options.timing.mute;
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > mute * 5 / 3 {
                return false;
            }
            sleep((mute / 90).min(Duration::from_secs(1))).await;
        }
        true
    }

    /// Fetches an object that differs and takes it as it is; says whether it differed indeed.
    async fn heal(
        &mut self,
        kind: Kind,
        track: &Track,
        suspect: Suspect,
        found: &mut Found,
    ) -> Result<bool, Stop> {
        let Suspect { key, .. } = suspect;
        let object = ObjectId::of(&key);
        let mut fetched: Option<Vec<u8>> = None;
        self.page(kind, track, Ask::One(&key), ONE, |item| fetched = Some(item.to_vec())).await?;
        // From here on nothing is waited for, so no event comes in between.
        if track.spoilt() {
            return Err(Stop::Spoilt);
        }
        if track.touched(object) {
            return Ok(false);
        }
        self.feed.settle_now();
        let before = self.feed.held(kind, &key);
        let Some(bytes) = fetched else {
            if before.is_some() {
                self.feed.change(Change::Remove(kind, key.clone()));
                self.feed.settle_now();
                found.differs(Difference::Surplus, 1);
                found.healed += 1;
                found.example.get_or_insert(key);
            }
            return Ok(before.is_some());
        };
        let metadata =
            serde_json::from_slice(&bytes).map_or_else(|_| ItemMeta::default(), |item: Item| item.metadata);
        let revision = Revision { uid: metadata.uid, version: metadata.resource_version };
        let version = VersionId::of(&revision);
        if before == Some(version) {
            return Ok(false);
        }
        if let Ok(cut) = object::decode(kind, &bytes) {
            match cut.object {
                Some(cut) => self.feed.change(Change::Upsert(cut)),
                // As the watch does with what is no good.
                None if kind != Kind::Pods && !cut.faults.is_empty() => {
                    self.feed.change(Change::Remove(kind, key.clone()));
                }
                None => {}
            }
        }
        self.feed.settle_now();
        let after = self.feed.held(kind, &key);
        if after != Some(version) {
            if self.unkept.len() >= UNKEPT {
                self.unkept.clear();
            }
            self.unkept.insert((kind, object), version);
        }
        if after == before {
            return Ok(false);
        }
        found.differs(if before.is_some() { Difference::Outdated } else { Difference::Missing }, 1);
        found.healed += 1;
        found.example.get_or_insert(key);
        Ok(true)
    }

    /// Asks for a page; calls `visit` with each object.
    async fn page(
        &self,
        kind: Kind,
        track: &Track,
        ask: Ask<'_>,
        accept: &'static str,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<PageEnd, Stop> {
        let path = request::paths(kind).get(track.path()).copied().unwrap_or_default();
        let target = request::target(kind, path, self.options.labels.as_ref(), ask);
        let (encoding, mut body) = fetch(&self.connection, target, accept).await?;
        if encoding != Encoding::Json {
            return Err(Stop::Trouble(Trouble::Nonsense("list in JSON")));
        }
        let mut page = Page::new(encoding);
        while let Some(chunk) = next_chunk(&mut body, self.options.timing.mute).await? {
            self.feed.settle_now();
            page.push(&chunk, &mut visit)?;
        }
        let end = page.end()?;
        if end.code != 0 {
            return Err(Stop::Trouble(status(end.code, None, end.message)));
        }
        if end.version.is_empty() {
            return Err(Stop::Trouble(Trouble::Nonsense("list")));
        }
        Ok(end)
    }
}

/// A part of a time that a number decides.
fn share(time: Duration, number: u64) -> Duration {
    let part = u32::try_from(number % 1000).unwrap_or(0);
    time * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_begin_at_different_times_within_the_period() {
        let period = Duration::from_secs(200);
        let begins: Vec<Duration> = (0..2000).map(|replica| share(period, replica)).collect();
        assert!(begins.iter().all(|begin| *begin < period));
        assert_eq!(begins.iter().collect::<HashSet<_>>().len(), 1000);
        assert_eq!(share(period, 500), Duration::from_secs(100));
    }
}
