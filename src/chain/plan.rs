//! What a Corefile becomes: listeners, blocks and the flat list of steps of each; swapped whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::cache::Cached;
use super::reload::Reload;
use super::step::Step;
use crate::corefile::Zone;
use crate::forward::{Loops, Suspect};
use crate::metrics::Tally;
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

    /// Whether `debug` is in any block.
    #[must_use]
    pub fn debugs(&self) -> bool {
        self.chains.iter().any(|chain| chain.debug)
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

/// An address that is listened on, with the blocks behind it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address; unspecified addresses are wildcards of their family only.
    pub addr: SocketAddr,
    /// Label `server` of metrics.
    pub label: String,
    /// What is served here, most labels first.
    pub zones: Vec<Served>,
    /// Where queries are counted that reach no block, a tally a worker; none without a `prometheus` behind this address.
    pub dropped: Option<Arc<[Tally]>>,
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
    /// The place in `zones` for a question: the block of the longest zone (rules K-001, S-02); `None`: REFUSED.
    ///
    /// A DS question belongs to the parent: the block of the zone above, where there is one.
    /// Cost: one comparison of bytes a zone.
    #[must_use]
    pub fn choose(&self, question: &Question) -> Option<usize> {
        let mut exact = None;
        for (place, Served { zone, .. }) in self.zones.iter().enumerate() {
            match question.below(zone.wire(), zone.labels()) {
                Some(0) if question.qtype == rtype::DS && zone.labels() > 0 => exact = Some(place),
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
    /// Whether any step forwards: RA (rule K-004).
    pub forwards: bool,
    /// The steps that write down what was sent.
    pub writers: Vec<usize>,
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
        let writers =
            steps.iter().enumerate().filter(|(_, step)| step.writes_down()).map(|(index, _)| index).collect();
        let places = steps.iter().map(|step| super::words::place(step.word())).collect();
        let words = steps.iter().map(|step| step.word()).collect();
        Self {
            zones,
            steps,
            places,
            debug,
            stacktrace: false,
            forwards,
            writers,
            cache: None,
            words,
            published,
        }
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
    plan: parking_lot::Mutex<Arc<Plan>>,
    /// Counted up at each swap.
    version: std::sync::atomic::AtomicU64,
}

impl Active {
    /// Starts with `plan`.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan: parking_lot::Mutex::new(plan), version: std::sync::atomic::AtomicU64::new(1) }
    }

    /// The plan now.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.lock().clone()
    }

    /// The version now. Cost: one load.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Puts another plan in force; queries under way end on the one they began on.
    pub fn swap(&self, plan: Arc<Plan>) {
        *self.plan.lock() = plan;
        self.version.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    }
}
