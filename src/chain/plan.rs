//! What a Corefile becomes: listeners, blocks and the flat list of steps of each; swapped whole.

use std::collections::btree_map::{self, BTreeMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::cache::Cached;
use super::entry::Entry;
use super::kubernetes::Kept;
use super::reload::Reload;
use super::shed::Shed;
use super::step::Step;
use super::timeouts::Timeouts;
use super::view::View;
use crate::corefile::{Transport as Scheme, Zone};
use crate::forward::{Loops, Suspect};
use crate::metrics::Tally;
use crate::observe::Observer;
use crate::store::{Kind, Look};
use crate::time::Tick;
use crate::wire::{Question, rtype};

/// A running configuration.
#[derive(Default)]
pub struct Plan {
    /// The addresses that are listened on.
    pub listeners: Vec<Listener>,
    /// One chain a server block.
    pub chains: Vec<Chain>,
    /// HTTP endpoints and what else lives as long as the plan.
    pub admin: Admin,
    /// Where loops are looked for; `None` without `loop`.
    pub loops: Option<Arc<Loops>>,
    /// Which upstreams may loop.
    pub suspects: Vec<Suspect>,
    /// Who sees what is asked; `None` without `observe`.
    pub observer: Option<Arc<Observer>>,
    /// Whether any block follows primaries: else no NOTIFY is looked at.
    pub follows: bool,
}

impl Plan {
    /// How often `tend` is to be called; `None` for never.
    #[must_use]
    pub fn rhythm(&self) -> Option<Duration> {
        self.steps().filter_map(|step| step.rhythm()).min()
    }

    /// Lets the steps do what falls due apart from queries.
    pub fn tend(&self, now: Tick) {
        self.steps().for_each(|step| step.tend(now));
    }

    /// Lets the steps write what they kept for later: the plan is not in force any more.
    pub fn close(&self) {
        self.steps().for_each(|step| step.close());
    }

    /// Lets the steps of a listener's block take up a NOTIFY; says whether one did (rule K-014).
    #[must_use]
    pub fn notified(&self, listener: usize, question: &Question, from: IpAddr) -> bool {
        let Some(listener) = self.listeners.get(listener) else { return false };
        let takes =
            |chain: &Chain| chain.steps.iter().any(|step| step.notified(question, from.to_canonical()));
        let chain = |served: &Served| self.chains.get(served.chain);
        // A primary is no client: of several views of a zone that one counts which follows it.
        let admits =
            |served: &Served| chain(served).is_some_and(|chain| chain.view.is_none() || takes(chain));
        let served = listener.choose(question, admits).and_then(|place| listener.zones.get(place));
        served.and_then(chain).is_some_and(takes)
    }

    /// Whom to tell that a zone (wire form, lower case) has changed: where from, where to. Each once.
    #[must_use]
    pub fn told(&self, zone: &[u8]) -> Vec<(Option<IpAddr>, SocketAddr)> {
        let Ok(question) = Question::new(zone, rtype::SOA) else { return Vec::new() };
        let mut told = Vec::new();
        for chain in self.chains.iter().filter(|chain| chain.transfers) {
            let has = chain.steps.iter().any(|step| step.tells().iter().any(|known| **known == *zone));
            let policy = chain.steps.iter().find_map(|step| step.transfers()).filter(|_| has);
            for one in policy.into_iter().flat_map(|policy| policy.told(&question)) {
                if !told.contains(&one) {
                    told.push(one);
                }
            }
        }
        told
    }

    /// The zones whose changes are told to anybody (wire form, lower case), each once.
    #[must_use]
    pub fn tells(&self) -> Vec<Arc<[u8]>> {
        let chains = self.chains.iter().filter(|chain| chain.transfers);
        let mut zones: Vec<_> = chains.flat_map(|chain| &chain.steps).flat_map(|step| step.tells()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// Whether `debug` is in any block.
    #[must_use]
    pub fn debugs(&self) -> bool {
        self.chains.iter().any(|chain| chain.debug)
    }

    /// The block for a question on the listener of the query in hand: its place among the listener's zones, and its chain
    /// (rules K-001, S-02); `None`: REFUSED.
    ///
    /// Cost: as `Listener::choose`, and the conditions of the views that stand on the way.
    #[must_use]
    pub fn choose(&self, asked: &Asked, question: &Question) -> Option<(usize, usize)> {
        let listener = self.listeners.get(asked.client.listener)?;
        let place = listener.choose(question, |served| {
            let chain = self.chains.get(served.chain);
            let view = chain.and_then(|chain| Some((chain, chain.view.as_ref()?)));
            view.is_none_or(|(chain, view)| view.admits(asked, question, listener, chain))
        })?;
        Some((place, listener.zones.get(place)?.chain))
    }

    /// The stores that names are kept in, each once, with the zone of the first stanza that has it and the shortest time
    /// after which one of them wants `/ready` to fail.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept<'_>> {
        let mut all: Vec<Kept<'_>> = Vec::new();
        for kept in self.steps().filter_map(|step| step.kept()) {
            match all.iter_mut().find(|known| Arc::ptr_eq(known.store, kept.store)) {
                Some(known) => known.unready = known.unready.into_iter().chain(kept.unready).min(),
                None => all.push(kept),
            }
        }
        all
    }

    /// What is known of every watch, by the zone that its store is for; of two stores for one zone the one that is worse off.
    ///
    /// Shape: sorted, each zone and kind once. Cost: allocates; not for answers.
    #[must_use]
    pub fn looks(&self, now: Tick) -> Vec<(String, Look)> {
        let mut all: BTreeMap<(String, Kind), Look> = BTreeMap::new();
        for kept in self.kept() {
            for look in kept.store.freshness().look(now) {
                match all.entry((kept.zone.text().to_owned(), look.kind)) {
                    btree_map::Entry::Vacant(place) => drop(place.insert(look)),
                    btree_map::Entry::Occupied(mut place) if look.is_worse_than(place.get()) => {
                        place.insert(look);
                    }
                    btree_map::Entry::Occupied(_) => {}
                }
            }
        }
        all.into_iter().map(|((zone, _), look)| (zone, look)).collect()
    }

    /// All steps.
    fn steps(&self) -> impl Iterator<Item = &dyn Step> {
        self.chains.iter().flat_map(|chain| &chain.steps).map(AsRef::as_ref)
    }
}

/// What the plan says about HTTP beside the DNS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Admin {
    /// Where `/health` is served, and how long the lame duck swims (rule S-12).
    pub health: Option<Health>,
    /// Where `/ready` is served (rule S-13).
    pub ready: Option<Ready>,
    /// Where `/metrics` is served: `[HOST]:PORT` as written, each once.
    pub metrics: Vec<String>,
    /// Whether and how often the Corefile is looked at for changes.
    pub reload: Option<Reload>,
}

/// The `health` word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Where to listen: `[HOST]:PORT` as written.
    pub addr: String,
    /// How long answering goes on after SIGTERM.
    pub lameduck: Duration,
}

/// The `ready` word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Where to listen: `[HOST]:PORT` as written.
    pub addr: String,
    /// Whether a step that was ready once is asked again.
    pub continuously: bool,
}

/// What is listened on: an address, and what is spoken there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Socket {
    /// What is spoken; `dns` is both UDP and TCP.
    pub scheme: Scheme,
    /// The address.
    pub addr: SocketAddr,
}

impl From<SocketAddr> for Socket {
    fn from(addr: SocketAddr) -> Self {
        Self { scheme: Scheme::Dns, addr }
    }
}

/// An address that is listened on, with the blocks behind it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What is spoken there.
    pub scheme: Scheme,
    /// The address; unspecified addresses are wildcards of their family only.
    pub addr: SocketAddr,
    /// Label `server` of metrics.
    pub label: String,
    /// What is served here, most labels first; blocks of one zone in the order of the file.
    pub zones: Vec<Served>,
    /// Where queries are counted that reach no block, a tally a worker; none without a `prometheus` behind this address.
    pub dropped: Option<Arc<[Tally]>>,
    /// What `timeouts` says about the streams of this address.
    pub timeouts: Timeouts,
    /// Where `shed` counts, if a block behind this address has it.
    pub shed: Option<Shed>,
    /// How queries come in.
    pub entry: Entry,
}

/// A zone on a listener.
#[derive(Clone, Debug)]
pub struct Served {
    /// The zone.
    pub zone: Zone,
    /// The index of its chain.
    pub chain: usize,
    /// Where its queries are counted, a tally a worker; none without `prometheus`.
    pub tallies: Option<Arc<[Tally]>>,
}

impl Listener {
    /// What is listened on.
    #[must_use]
    pub fn socket(&self) -> Socket {
        Socket { scheme: self.scheme, addr: self.addr }
    }

    /// The place in `zones` for a question: the block of the longest zone (rules K-001, S-02); `None`: REFUSED.
    ///
    /// Of several blocks of a zone the first counts that `admits`; where none does, the next shorter zone.
    /// A DS question belongs to the parent: the block of the zone above, where there is one. The root is not above others here: a block
    /// of it answers what nobody else does, most often by asking upstreams, and what is served here is not to be asked there.
    /// Cost: one comparison of bytes a zone.
    #[must_use]
    pub fn choose(&self, question: &Question, admits: impl Fn(&Served) -> bool) -> Option<usize> {
        let mut exact = None;
        for (place, served) in self.zones.iter().enumerate() {
            let zone = &served.zone;
            match question.below(zone.wire(), zone.labels()).filter(|_| admits(served)) {
                Some(0) if question.qtype == rtype::DS && zone.labels() > 0 => {
                    exact = exact.or(Some(place));
                }
                Some(_) if zone.labels() == 0 && exact.is_some() => return exact,
                Some(_) => return Some(place),
                None => {}
            }
        }
        exact
    }
}

/// The steps of a server block, in the fixed order of the chain (rule S-01).
#[derive(Default)]
pub struct Chain {
    /// The block's zones as written, for logs and labels.
    pub zones: Vec<Zone>,
    /// The steps.
    pub steps: Vec<Box<dyn Step>>,
    /// The place of each step's word in the list of words, for metrics.
    pub(super) places: Vec<usize>,
    /// Whether a panic ends the process instead of the query (`debug`, rule S-07).
    pub debug: bool,
    /// Whether the line about a panic carries the road there (`errors { stacktrace }`, rule S-17).
    pub stacktrace: bool,
    /// For which queries the block is, where `view` says so.
    pub view: Option<Arc<View>>,
    /// Whether `shed` stands here.
    pub sheds: bool,
    /// Whether any step forwards: RA (rule K-004).
    pub forwards: bool,
    /// Whether any step is about classes beside IN.
    pub other_classes: bool,
    /// Whether any step needs the client's message.
    pub keeps_message: bool,
    /// Whether any step lets anybody transfer zones: else AXFR and IXFR are refused at the door (rule K-061).
    pub transfers: bool,
    /// The steps that write down what was sent.
    pub writers: Vec<usize>,
    /// For each step whether it may ask for more on the way up (`Step::asks_more`).
    pub asks_more: Vec<bool>,
    /// The steps that want to know what a batch will ask for.
    pub foresees: Vec<usize>,
    /// The cache of the block, with where it is counted.
    pub cache: Option<Cached>,
    /// The words of the block, in the order of the chain, those without a step included.
    pub words: Vec<&'static str>,
    /// The zones for which `metadata` is on.
    published: Vec<Zone>,
}

impl Chain {
    /// A chain of these steps, already in order; `published` are the zones of `metadata`.
    #[must_use]
    pub fn new(steps: Vec<Box<dyn Step>>, zones: Vec<Zone>, published: Vec<Zone>, debug: bool) -> Self {
        let forwards = steps.iter().any(|step| step.forwards());
        let transfers = steps.iter().any(|step| step.transfers().is_some());
        let those = |is: fn(&dyn Step) -> bool| {
            steps.iter().enumerate().filter(|(_, step)| is(step.as_ref())).map(|(place, _)| place).collect()
        };
        let (writers, foresees) = (those(|step| step.writes_down()), those(|step| step.foresees()));
        let asks_more = steps.iter().map(|step| step.asks_more()).collect();
        let places = steps.iter().map(|step| super::words::place(step.word())).collect();
        let words = steps.iter().map(|step| step.word()).collect();
        let other_classes = steps.iter().any(|step| step.other_classes());
        let keeps_message = steps.iter().any(|step| step.needs_message());
        Self {
            zones,
            steps,
            places,
            debug,
            stacktrace: false,
            view: None,
            sheds: false,
            forwards,
            other_classes,
            keeps_message,
            transfers,
            writers,
            asks_more,
            foresees,
            cache: None,
            words,
            published,
        }
    }

    /// The name of its view, as metrics print it; empty without one.
    #[must_use]
    pub fn view_name(&self) -> &str {
        self.view.as_ref().map_or("", |view| view.name())
    }

    /// The value of a metadata label for a query, where `metadata` is on for its name (rule K-250).
    #[must_use]
    pub fn metadata(&self, asked: &Asked, label: &str) -> Option<String> {
        let question = asked.sent();
        self.published
            .iter()
            .any(|zone| question.below(zone.wire(), zone.labels()).is_some())
            .then(|| self.steps.iter().find_map(|step| step.metadata(asked, label)))
            .flatten()
    }
}

/// The plan in force, shared: workers look at `version` once a batch and take the new one when it moved.
pub struct Active {
    /// The plan.
    plan: crate::sync::Mutex<Arc<Plan>>,
    /// Counted up at each swap.
    version: crate::sync::atomic::AtomicU64,
}

impl Active {
    /// Starts with `plan`.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan: crate::sync::Mutex::new(plan), version: crate::sync::atomic::AtomicU64::new(1) }
    }

    /// The plan now.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.lock().clone()
    }

    /// The version now. Cost: one load.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(crate::sync::atomic::Ordering::Acquire)
    }

    /// Puts another plan in force; queries under way end on the one they began on.
    pub fn swap(&self, plan: Arc<Plan>) {
        *self.plan.lock() = plan;
        self.version.fetch_add(1, crate::sync::atomic::Ordering::AcqRel);
    }
}

#[cfg(all(test, feature = "interleaved"))]
mod interleavings {
    use loom::thread;

    use super::*;

    #[test]
    fn who_sees_a_version_takes_a_plan_that_is_as_new() {
        loom::model(|| {
            let plans: Vec<Arc<Plan>> = (0..3).map(|_| Arc::default()).collect();
            let active = Arc::new(Active::new(plans[0].clone()));
            let (there, next) = (active.clone(), [plans[1].clone(), plans[2].clone()]);
            let swapping = thread::spawn(move || next.into_iter().for_each(|plan| there.swap(plan)));
            // As a pipeline does it (`refresh`): first the version, then the plan.
            let version = active.version();
            let plan = active.plan();
            let place = plans.iter().position(|known| Arc::ptr_eq(known, &plan)).unwrap() as u64;
            assert!(place + 1 >= version, "version {version} with plan {place}");
            swapping.join().unwrap();
            assert_eq!(active.version(), 3, "every swap is seen");
            assert!(Arc::ptr_eq(&active.plan(), &plans[2]));
        });
    }
}
