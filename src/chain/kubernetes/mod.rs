//! `kubernetes`: the zones of a cluster, answered from its store (SPEC A to I).
//!
//! ```text
//! question ─► zone ─► grammar (forward) ─┐
//!                  └► reverse name ──────┴─► Lookup ─► Found ─► data, NODATA, NXDOMAIN, next, SERVFAIL or a wait
//! ```

mod apex;
mod external;
mod grammar;
mod listed;
mod metadata;
mod multicluster;
mod parse;
mod pod;
mod reason;
mod reverse;
mod service;
mod snapshot;
mod stale;
#[cfg(test)]
mod tests;
mod whole;
mod wider;
mod zonal;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::build::Parts;
use super::explain::Said;
use super::signal::Signal;
use super::step::{Answer, Ask, Context, Flow, Reply, Stand, Step};
use super::transfer::Whole;
use crate::corefile::Zone;
use crate::source::Selector;
use crate::store::{Namespace, Naming, Need, Service, Spec, Store};
use crate::wire::{Ede, Owner, Question, Rcode, Reverse, Section, Sections, reverse_address};
use grammar::Name;

pub(in crate::chain) use external::join_target;
pub use grammar::Forms;
pub(in crate::chain) use grammar::{Below, port, protocol};
pub(in crate::chain) use listed::{Listed, services};
pub(super) use parse::{HELP, SYNTAX, parse};
pub(in crate::chain) use service::{matches_port, weight};
pub use snapshot::SnapshotSpec;
pub use stale::{Kept, StalePolicy};
pub(in crate::chain) use stale::{Stale, ttl as stale_ttl};

/// Which names pods have (K-150 to K-152).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodMode {
    /// None.
    Disabled,
    /// Any address in an exposed namespace.
    Insecure,
    /// Addresses of pods that exist.
    Verified,
}

/// Where a name error goes on to the next step (K-200, K-201).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fallthrough {
    /// Nowhere.
    None,
    /// Everywhere.
    All,
    /// Below these zones.
    Zones(Vec<Zone>),
}

impl Fallthrough {
    /// Whether a name error for this question goes on.
    #[must_use]
    #[inline]
    pub fn takes(&self, question: &Question) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Zones(zones) => {
                zones.iter().any(|zone| question.below(zone.wire(), zone.labels()).is_some())
            }
        }
    }
}

/// A zone of a stanza.
#[derive(Clone, Debug)]
pub struct ServedZone {
    /// The zone.
    pub zone: Zone,
    /// Whether it was written as a CIDR: then all of its addresses are the cluster's (K-016, K-180).
    pub from_cidr: bool,
    /// Which names it has beside the usual ones.
    pub forms: Forms,
}

/// A stanza, ready to serve.
pub struct Options {
    /// Its zones, most labels first.
    pub zones: Vec<ServedZone>,
    /// The first forward zone: where PTRs point to (K-179).
    pub primary: Zone,
    /// The records.
    pub store: Arc<Store>,
    /// TTL of what we make. Unit: seconds (K-005).
    pub ttl: u32,
    /// Pod addresses.
    pub pods: PodMode,
    /// Whether `HOST.SUB.NS.pod.Z` exists.
    pub pod_hostnames: bool,
    /// How endpoints are named (K-105, K-114).
    pub naming: Naming,
    /// Whether endpoints are known at all: not with `noendpoints` (K-205).
    pub endpoints: bool,
    /// `ignore empty_service` (K-206).
    pub ignore_empty: bool,
    /// `namespaces`: names that are served, `None` for all (K-207).
    pub namespaces: Option<Vec<String>>,
    /// `namespace_labels` (K-209).
    pub namespace_labels: Option<Selector>,
    /// Where name errors go on.
    pub fallthrough: Fallthrough,
    /// How long a query may wait for the first sync (K-230).
    pub startup_timeout: Duration,
    /// `stale` (K-270).
    pub stale: StalePolicy,
    /// Our own addresses (K-052, K-059a).
    pub own: Vec<IpAddr>,
}

impl Options {
    /// Whether the stanza shows this namespace (K-032, K-207, K-209). Cost: nothing unless the stanza filters.
    pub(in crate::chain) fn exposes(&self, namespace: &Namespace) -> bool {
        namespace.exists()
            && self.namespaces.as_ref().is_none_or(|names| names.iter().any(|name| name == namespace.name()))
            && self
                .namespace_labels
                .as_ref()
                .is_none_or(|selector| namespace.labels(|labels| selector.matches(labels)))
    }
}

impl Options {
    /// The Services that have an endpoint at one of our own addresses: those in front of this server (K-052, K-291).
    pub(in crate::chain) fn front(&self) -> Vec<Arc<Service>> {
        let store = &self.store;
        let mut services: Vec<Arc<Service>> = Vec::new();
        if !store.knows(Need::Cluster) || !self.endpoints {
            return services;
        }
        for &ip in self.own.iter().filter(|ip| !ip.is_loopback()) {
            for known in store.reverse().endpoint(ip) {
                if let Some(service) = store.service(known.key())
                    && matches!(service.spec(), Spec::Cluster { .. } | Spec::Headless)
                    && self.exposes(service.namespace())
                    && !services.iter().any(|known| known.key() == service.key())
                {
                    services.push(service);
                }
            }
        }
        services
    }
}

/// What a name turned out to be.
#[derive(Debug)]
enum Found {
    /// It exists; the draft has its data, or there is none of this type (NODATA).
    Here,
    /// Nothing at or below it (a name error, K-008).
    Missing,
    /// An alias to a name outside the zone, which has to be asked for.
    Outside(Box<Question>),
}

/// One look into the store on behalf of one question.
struct Lookup<'a> {
    /// The stanza.
    options: &'a Options,
    /// The question: names that we derive end in its zone part (K-003).
    question: &'a Question,
    /// How many labels stand left of the zone.
    left: usize,
    /// The zone that matched.
    zone: &'a Zone,
    /// The type asked for.
    qtype: u16,
    /// Whose the answer records are.
    owner: Owner,
    /// `SVC.NS` of the Service being answered.
    run: &'a [u8],
    /// The bound of the reply. Unit: bytes.
    limit: usize,
    /// For random starts.
    rng: &'a mut fastrand::Rng,
    /// Which names the zone has beside the usual ones.
    forms: Forms,
    /// TTL of what is made: the stanza's, or less while the store is stale (K-005, K-269). Unit: seconds.
    ttl: u32,
}

impl<'a> Lookup<'a> {
    /// Answers a name below a forward zone; the store is complete.
    fn forward(&mut self, name: Name<'a>, sections: &mut Sections) -> Found {
        match name {
            Name::Apex => self.apex(true, sections),
            Name::Bare => Found::Here,
            Name::Server => self.name_server(true, sections),
            Name::Version => self.version(sections),
            Name::Impossible => Found::Missing,
            Name::Namespace { namespace } => self.namespace(namespace),
            Name::PodNamespace { namespace } => match self.no_pod_names() {
                true => Found::Missing,
                false => self.namespace(namespace),
            },
            Name::Service { run, below } if self.forms.multicluster => self.import(run, below, sections),
            Name::Service { run, below } => {
                let options = self.options;
                let found = options.store.with_service(run, |service| {
                    let exposed = options.exposes(service.namespace());
                    self.run = run;
                    exposed.then(|| self.service(service, below, sections))
                });
                found.flatten().unwrap_or(Found::Missing)
            }
            Name::Pod { namespace, label, run, hostname, more } => match self.namespace(namespace) {
                Found::Here if !more && self.pod_hostname(hostname, run, sections) => Found::Here,
                Found::Here => self.pod(namespace, label, sections),
                missing => missing,
            },
        }
    }

    /// Whether nothing at all lives below `pod.Z`.
    fn no_pod_names(&self) -> bool {
        self.options.pods == PodMode::Disabled && !self.options.pod_hostnames
    }

    /// A namespace's own name: exists, without data (K-032).
    fn namespace(&self, run: &[u8]) -> Found {
        let found = self.options.store.namespace(run);
        match found.filter(|namespace| self.options.exposes(namespace)) {
            Some(_) => Found::Here,
            None => Found::Missing,
        }
    }
}

/// Whether the answer for a name depends on what the cluster says (K-016).
fn needs_data(options: &Options, name: Name<'_>) -> bool {
    match name {
        Name::Apex | Name::Bare | Name::Server | Name::Version | Name::Impossible => false,
        Name::Namespace { .. } | Name::Service { .. } => true,
        Name::PodNamespace { .. } => options.pods != PodMode::Disabled || options.pod_hostnames,
        Name::Pod { label, more, .. } => {
            let by_address = options.pods != PodMode::Disabled && pod::address(label).is_some();
            by_address || (options.pod_hostnames && !more)
        }
    }
}

/// The `kubernetes` step.
pub struct Kubernetes {
    /// The stanza.
    options: Arc<Options>,
    /// Comes when the names of the cluster are known.
    synced: Arc<Signal>,
    /// Comes when those of the clusterset are known too.
    imported: Arc<Signal>,
    /// What becomes of answers while the store is stale.
    stale: Stale,
}

impl Kubernetes {
    /// A step that serves `options`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::sharing(Arc::new(options))
    }

    /// The same for a stanza that other steps look at as well.
    pub(in crate::chain) fn sharing(options: Arc<Options>) -> Self {
        let when = |need| {
            let signal = Arc::new(Signal::default());
            let fired = signal.clone();
            options.store.when_known(need, move || fired.fire());
            signal
        };
        let (synced, imported) = (when(Need::Cluster), when(Need::Imports));
        Self { options, synced, imported, stale: Stale::default() }
    }

    /// The stanza.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Answers one question outside of any chain; `None` where this stanza does not answer it: another zone, a name error
    /// that falls through, or a name that waits for the first sync. An alias to an outside name is given alone.
    #[must_use]
    pub fn resolve(&self, question: &Question, context: &mut Context<'_>) -> Option<Reply> {
        let mut asked = Asked::detached(question);
        let mut flow = self.answer(&mut asked, context, false);
        self.tell_stale(&mut flow, &asked, context);
        match flow {
            Flow::Reply(reply) => Some(reply),
            Flow::Wait(Ask::Question { held, .. }) => {
                Some(Reply::new(Rcode::NOERROR, held.unwrap_or_default()).authoritative())
            }
            Flow::Wait(Ask::Signal { .. } | Ask::Upstream { .. } | Ask::Behind { .. })
            | Flow::Next
            | Flow::Drop
            | Flow::Transfer => None,
        }
    }

    /// The zone of a question and how many labels stand left of it; zones are sorted, so the first is the longest (K-001).
    #[inline]
    fn zone(&self, question: &Question) -> Option<(&ServedZone, usize)> {
        self.options.zones.iter().find_map(|served| {
            question.below(served.zone.wire(), served.zone.labels()).map(|left| (served, left))
        })
    }

    /// Answers, or says why not; `may_wait` is false once the query waited for the sync.
    fn answer(&self, asked: &mut Asked, context: &mut Context<'_>, may_wait: bool) -> Flow {
        let Some((served, left)) = self.zone(&asked.question) else { return Flow::Next };
        let ttl = stale::ttl(&self.options.store, served.forms.need(), context.now, self.options.ttl);
        let mut sections = asked.draft();
        let question = &asked.question;
        let mut lookup = Lookup {
            options: &self.options,
            question,
            left,
            zone: &served.zone,
            qtype: question.qtype,
            owner: Owner::Question,
            run: &[],
            limit: asked.shape.limit,
            rng: &mut *context.rng,
            forms: served.forms,
            ttl,
        };
        let found = if served.zone.is_reverse() {
            let own_names = left == 0
                || (left == 1 && question.label(0) == b"dns")
                || (left == 2 && question.label(1) == b"dns" && question.label(0) == b"ns");
            if own_names {
                match left {
                    0 => lookup.apex(false, &mut sections),
                    1 => Found::Here,
                    _ => lookup.name_server(false, &mut sections),
                }
            } else {
                let name = reverse_address(question);
                if let Some(Reverse::Whole(ip) | Reverse::Part(ip, _)) = name
                    && !self.options.store.knows(Need::Cluster)
                {
                    let ours = served.from_cidr || reverse::is_private(ip);
                    if !ours && self.options.fallthrough.takes(question) {
                        asked.reclaim(sections);
                        return Flow::Next;
                    }
                    return self.unsynced(asked, context, sections, (left, &self.synced), may_wait);
                }
                lookup.reverse(name, &mut sections)
            }
        } else {
            let name = grammar::read(question, left, served.forms);
            let signal = if served.forms.multicluster { &self.imported } else { &self.synced };
            if !self.options.store.knows(served.forms.need()) && needs_data(&self.options, name) {
                return self.unsynced(asked, context, sections, (left, signal), may_wait);
            }
            lookup.forward(name, &mut sections)
        };
        match found {
            Found::Here => {
                if sections.records().is_empty() {
                    lookup.soa(Section::Authority, &mut sections);
                }
                Flow::Reply(Reply::new(Rcode::NOERROR, sections).authoritative())
            }
            Found::Missing if self.options.fallthrough.takes(question) => {
                asked.reclaim(sections);
                Flow::Next
            }
            Found::Missing => {
                sections.clear(sections.pointers());
                lookup.soa(Section::Authority, &mut sections);
                Flow::Reply(Reply::new(Rcode::NXDOMAIN, sections).authoritative())
            }
            Found::Outside(question) => Flow::Wait(Ask::Question { question, held: Some(sections) }),
        }
    }

    /// Says with a reply that the store is stale (K-269).
    fn tell_stale(&self, flow: &mut Flow, asked: &Asked, context: &Context<'_>) {
        let store = &self.options.store;
        // Nothing is stale unless something of all is: one look for nearly every question.
        if store.freshness().stale(Need::All, context.now) {
            let need = self.zone(&asked.question).map_or(Need::Cluster, |(served, _)| served.forms.need());
            self.stale.tell(flow, (store, need), asked, context);
        }
    }

    /// The store is not complete: the query waits for it, or is SERVFAIL (K-016, K-230).
    fn unsynced(
        &self,
        asked: &mut Asked,
        context: &mut Context<'_>,
        mut sections: Sections,
        (left, signal): (usize, &Arc<Signal>),
        may_wait: bool,
    ) -> Flow {
        if may_wait && !self.options.startup_timeout.is_zero() {
            asked.reclaim(sections);
            let until = context.now.plus(self.options.startup_timeout);
            return Flow::Wait(Ask::Signal { signal: signal.clone(), until });
        }
        let lookup = Lookup {
            options: &self.options,
            question: &asked.question,
            left,
            zone: &self.options.primary,
            qtype: asked.question.qtype,
            owner: Owner::Question,
            run: &[],
            limit: asked.shape.limit,
            rng: &mut *context.rng,
            forms: self.zone(&asked.question).map_or_else(Forms::default, |(served, _)| served.forms),
            ttl: self.options.ttl,
        };
        lookup.soa(Section::Authority, &mut sections);
        Flow::Reply(Reply::new(Rcode::SERVFAIL, sections).authoritative().because(Ede::NOT_READY))
    }
}

impl Step for Kubernetes {
    fn word(&self) -> &'static str {
        "kubernetes"
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let mut flow = self.answer(asked, context, true);
        self.tell_stale(&mut flow, asked, context);
        flow
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let mut flow = match answer {
            Answer::Signalled => self.answer(asked, context, true),
            Answer::TimedOut | Answer::Upstream(_) => self.answer(asked, context, false),
            // No step could know the target: the alias alone (K-144).
            Answer::Nobody { held } => {
                Flow::Reply(Reply::new(Rcode::NOERROR, held.unwrap_or_default()).authoritative())
            }
            Answer::Reply { reply, question, held } => external::join_target(asked, reply, &question, held),
            // Nothing is asked behind this step.
            Answer::Behind { reply, .. } => Flow::Reply(reply),
        };
        self.tell_stale(&mut flow, asked, context);
        flow
    }

    fn placed(&self, _place: &Stand<'_>, parts: &mut dyn Parts) {
        self.stale.count(parts);
    }

    fn kept(&self) -> Option<Kept<'_>> {
        Some(Kept {
            zone: &self.options.primary,
            store: &self.options.store,
            unready: self.options.stale.unready(),
        })
    }

    fn foresee(&self, run: &[u8]) {
        self.options.store.foresee(run);
    }

    fn foresees(&self) -> bool {
        true
    }

    fn whole(&self, question: &Question, known: Option<u32>) -> Whole {
        self.whole_zone(question, known)
    }

    fn ready(&self) -> bool {
        self.options.store.synced()
    }

    fn primary(&self) -> Option<&Zone> {
        Some(&self.options.primary)
    }

    fn about(&self) -> Vec<Zone> {
        self.options.zones.iter().map(|served| served.zone.clone()).collect()
    }

    fn explain(&self, asked: &Asked, context: &Context<'_>) -> Option<Said> {
        self.reason(&asked.question, context)
    }

    fn metadata(&self, asked: &Asked, label: &str) -> Option<String> {
        if label.starts_with("kubernetes/client-") {
            let client = self.options.store.pods().client(asked.client.addr.ip().to_canonical())?;
            return metadata::of_client(&client, label);
        }
        let question = asked.sent();
        let (served, left) = self.zone(question)?;
        metadata::value(question, left, served.zone.is_reverse(), served.forms, label)
    }
}
