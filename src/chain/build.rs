//! From `Spec` to `Plan`: every directive read, every part asked for, or one located error and no effect at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acl::Acl;
use super::auto::{Folder, FolderSpec};
use super::autopath::{Completions, PendingSearch};
use super::cache;
use super::dns64::Translations;
use super::dnstap::Tap;
use super::file::ZoneFile;
use super::hosts::{Hosts, HostsSpec};
use super::k8s_external;
use super::kubedns_config::KubeDnsConfig;
use super::loadbalance::{Weights, WeightsFault, WeightsSpec};
use super::plan::{Admin, Chain, Health, Listener, Plan, Ready, Served};
use super::reload::Reload;
use super::shed::Shed;
use super::step::{Stand, Step};
use super::template::TemplateCounts;
use super::timeouts::Timeouts;
use super::view::View;
use super::words::{self, Support};
use crate::cache::{Cache, Counts, Spec as CacheSpec};
use crate::corefile::{Block, Directive, Error, Spec, Transport as Scheme, Zone};
use crate::forward::{Group, GroupSpec, Loops, TargetFault};
use crate::metrics::{Family, Labels, PerWorker, Tally};
use crate::source::Selector;
use crate::source::cluster::{Access, AccessError, ThrottleOptions};
use crate::store::{Store, Wanted};
use crate::tap::{Outlet, TapSpec};
use crate::transfer::{Replica, ReplicaSpec};
use crate::zone::Held;

/// Where the objects of a store come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StoreSource {
    /// A folder of manifests.
    Manifests(PathBuf),
    /// An API server.
    Cluster(Access),
}

/// What makes two stanzas share a store: source and selectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreSpec {
    /// Where the objects come from.
    pub source: StoreSource,
    /// `labels` (rule K-208).
    pub labels: Option<Selector>,
    /// `apiserver_*` (rule K-231).
    pub throttle: ThrottleOptions,
}

/// The long-lived parts that a plan borrows: it asks by specification and gets the running one where it is equal.
pub trait Parts {
    /// The store of `spec`; `wanted` is what all stanzas together need of it. A new one starts to be fed only after the
    /// whole plan was built.
    fn store(&mut self, spec: &StoreSpec, wanted: Wanted) -> Arc<Store>;

    /// The upstreams of a line; those that run already where they are equal.
    ///
    /// Unless somebody keeps them, they are without upstreams: enough to read a Corefile.
    ///
    /// Errors: what a target can't be used for, in words for the one who wrote it.
    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        Ok(Arc::new(Group::new(spec.options.clone(), Vec::new())))
    }

    /// The cache of a line; the running one where it is equal.
    fn cache(&mut self, spec: &CacheSpec) -> Arc<Cache> {
        Arc::new(Cache::new(spec.clone()))
    }

    /// Where the questions to the cache of these zones in a view of a server are counted; the running counts where there
    /// are any.
    fn cache_counts(&mut self, server: &str, zones: &str, view: &str) -> Arc<Counts> {
        let _ = (server, zones, view);
        Arc::new(Counts::new(1))
    }

    /// The hosts of a stanza; those that are kept already where they are equal.
    ///
    /// Unless somebody keeps them, no file is read.
    fn hosts(&mut self, spec: &HostsSpec) -> Arc<Hosts> {
        Arc::new(Hosts::new(spec.clone()))
    }

    /// What kube-dns's ConfigMap says, as it is mounted or stands at a path; nothing where nobody reads it.
    ///
    /// Errors: it can't be read, in words.
    fn kubedns(&mut self, path: &Path) -> Result<KubeDnsConfig, String> {
        let _ = path;
        Ok(KubeDnsConfig::default())
    }

    /// The zone of a file; the one that is kept already where they are equal.
    ///
    /// Unless somebody keeps them, no file is read. Errors: what is wrong in the file, in words.
    fn zone_file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        let _ = spec;
        Ok(Arc::default())
    }

    /// The zones of a folder; those that are kept already where they are equal.
    ///
    /// Unless somebody keeps them, no file is read. Errors: the folder can't be looked at, in words.
    fn zone_folder(&mut self, spec: &FolderSpec) -> Result<Arc<Folder>, String> {
        Ok(Arc::new(Folder::new(spec.clone())))
    }

    /// A zone that is transferred; the one that is kept already where they are equal.
    fn replica(&mut self, spec: &ReplicaSpec) -> Arc<Replica> {
        Arc::new(Replica::new(spec.clone()))
    }

    /// Where `dns64` counts.
    fn translations(&mut self) -> Arc<Translations> {
        Arc::default()
    }

    /// The weights of a file, read; those that are kept already where they are equal.
    ///
    /// Unless somebody keeps them, no file is read.
    ///
    /// Errors: what is wrong with the file.
    fn weights(&mut self, spec: &WeightsSpec) -> Result<Arc<Weights>, WeightsFault> {
        Ok(Arc::new(Weights::new(spec.clone())))
    }

    /// A counter of a word, the running one where there is one; unless somebody keeps it, nobody reads it.
    fn counter(&mut self, family: &'static Family, labels: Labels<'_>) -> Arc<PerWorker> {
        let _ = (family, labels);
        Arc::new(PerWorker::new(1))
    }

    /// The queue of a collector; the running one where it is equal.
    ///
    /// Unless somebody keeps it, nobody empties it.
    fn tap(&mut self, spec: &TapSpec) -> Arc<Outlet> {
        Arc::new(Outlet::new(spec.clone(), "localhost".to_owned()))
    }

    /// Where templates count.
    fn templates(&mut self) -> Arc<TemplateCounts> {
        Arc::default()
    }

    /// Where `autopath` counts.
    fn completions(&mut self) -> Arc<Completions> {
        Arc::default()
    }

    /// The search list of a file in the form of resolv.conf.
    ///
    /// Unless somebody reads files, it is empty.
    ///
    /// Errors: why it can't be read, in words.
    fn search_list(&mut self, file: &Path) -> Result<Vec<Zone>, String> {
        let _ = file;
        Ok(Vec::new())
    }

    /// Where loops are looked for.
    fn loops(&mut self) -> Arc<Loops> {
        Arc::default()
    }

    /// Where the queries of a zone of a server are counted, a tally a worker; the running ones where there are any.
    fn tallies(&mut self, server: &str, zone: &str) -> Arc<[Tally]>;

    /// The same for a zone in a view; the same tallies unless somebody tells views apart.
    fn view_tallies(&mut self, server: &str, zone: &str, view: &str) -> Arc<[Tally]> {
        let _ = view;
        self.tallies(server, zone)
    }

    /// The name of this machine.
    fn hostname(&self) -> String {
        "localhost".to_owned()
    }

    /// Whether there is such a folder now.
    fn is_folder(&self, path: &Path) -> bool {
        let _ = path;
        true
    }

    /// The machine's own addresses by interface, loopback included.
    fn interfaces(&self) -> Vec<(String, IpAddr)>;

    /// Whether an API server can be asked from here, as far as that can be known without a network.
    ///
    /// Unless somebody only looks at a Corefile, that must be so. Errors: `AccessError`.
    fn reachable(&self, access: &Access) -> Result<(), AccessError> {
        access.check()
    }
}

/// What the command line says about the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BuildOptions {
    /// The port of keys that name none: `-dns.port`.
    pub port: u16,
}

/// A plan, and what should be said about it.
pub struct Built {
    /// The plan.
    pub plan: Plan,
    /// Things that work but probably not as meant.
    pub warnings: Vec<String>,
    /// What was read beside the Corefile and makes another plan when it changes.
    pub inputs: Vec<String>,
}

/// A block while its directives are read.
pub(super) struct Draft<'a> {
    /// The block.
    pub(super) block: &'a Block,
    /// The port of keys that name none.
    pub(super) port: u16,
    /// The long-lived parts.
    pub(super) parts: &'a mut dyn Parts,
    /// What all stanzas want of each store.
    pub(super) wants: &'a mut Wants,
    /// Steps so far, in order.
    pub(super) steps: Vec<Box<dyn Step>>,
    /// `cache`, which is laid once all steps are there.
    pub(super) cache: Option<cache::Line>,
    /// `root`: the folder of relative paths.
    pub(super) root: Option<PathBuf>,
    /// The rules of all `acl` lines, once somebody read them.
    pub(super) acl: Option<Arc<Acl>>,
    /// `view`.
    pub(super) view: Option<Arc<View>>,
    /// `shed`.
    pub(super) sheds: bool,
    /// `timeouts`.
    pub(super) timeouts: Timeouts,
    /// `bind`'s addresses.
    pub(super) bind: Option<Vec<IpAddr>>,
    /// `debug`.
    pub(super) debug: bool,
    /// `errors { stacktrace }`.
    pub(super) stacktrace: bool,
    /// `loop`: where loops are looked for.
    pub(super) loops: Option<Arc<Loops>>,
    /// `health`.
    pub(super) health: Option<Health>,
    /// `ready`.
    pub(super) ready: Option<Ready>,
    /// `reload`.
    pub(super) reload: Option<Reload>,
    /// `prometheus`: where its numbers are served.
    pub(super) metrics: Option<String>,
    /// Zones of `metadata`.
    pub(super) metadata: Vec<Zone>,
    /// Whether a zone of the block follows primaries.
    pub(super) follows: bool,
    /// The words read so far, in the order of the chain.
    pub(super) words: Vec<&'static str>,
    /// The collectors of `dnstap`.
    pub(super) taps: Option<Arc<[Tap]>>,
    /// The store of the first `kubernetes` of the block.
    pub(super) store: Option<Arc<Store>>,
    /// `k8s_external`, which waits for `kubernetes`.
    pub(super) externals: Vec<k8s_external::Line>,
    /// `autopath @kubernetes`, which waits for `kubernetes`.
    pub(super) searches: Vec<PendingSearch>,
    /// Things to say.
    pub(super) warnings: Vec<String>,
    /// What was read beside the Corefile.
    pub(super) inputs: Vec<String>,
}

impl Draft<'_> {
    /// The zones of the block's keys.
    pub(super) fn zones(&self) -> Vec<Zone> {
        self.block.zones().cloned().collect()
    }

    /// Checks that no line of this word stands before this one in the block.
    pub(super) fn once(&self, directive: &Directive) -> Result<(), Error> {
        match self.block.all(&directive.word.text).next() {
            Some(first) if !std::ptr::eq(first, directive) => {
                Err(directive.error("stands twice in this block"))
            }
            _ => Ok(()),
        }
    }

    /// The path of a file that the block names: a relative one is below `root`.
    pub(super) fn path(&self, written: impl AsRef<Path>) -> PathBuf {
        match &self.root {
            Some(root) => root.join(written),
            None => written.as_ref().to_owned(),
        }
    }

    /// The addresses that are our own for this block (rule K-059a): those of `bind`, or all that are not loopback.
    pub(super) fn own_addresses(&self) -> Vec<IpAddr> {
        match &self.bind {
            Some(bound) if !bound.iter().any(IpAddr::is_unspecified) => bound.clone(),
            Some(_) | None => {
                let mut own: Vec<IpAddr> = self
                    .parts
                    .interfaces()
                    .into_iter()
                    .map(|(_, ip)| ip)
                    .filter(|ip| !ip.is_loopback())
                    .collect();
                own.sort_unstable();
                own.dedup();
                own
            }
        }
    }
}

/// What all stanzas together want of each store.
#[derive(Default)]
pub(super) struct Wants(Vec<(StoreSpec, Wanted)>);

impl Wants {
    /// Adds a stanza's wishes; returns what is wanted of that store so far.
    pub(super) fn add(&mut self, spec: &StoreSpec, wanted: Wanted) -> Wanted {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == spec) {
            *known = known.and(wanted);
            return *known;
        }
        self.0.push((spec.clone(), wanted));
        wanted
    }
}

/// Parts that are only counted: for the first pass.
struct Counting<'a> {
    /// Who knows the interfaces.
    parts: &'a dyn Parts,
}

impl Parts for Counting<'_> {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, crate::time::Clock::manual(crate::time::Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        self.parts.interfaces()
    }

    fn reachable(&self, access: &Access) -> Result<(), AccessError> {
        self.parts.reachable(access)
    }
}

/// Builds a plan.
///
/// All or nothing: the whole file is read twice, first to know what all stanzas want of a shared store, then for real.
///
/// Errors: a word or option that is unknown, refused or misused, with its place.
/// Source: rules S-01, S-02.
pub fn build(spec: &Spec, options: BuildOptions, parts: &mut dyn Parts) -> Result<Built, Error> {
    let mut wants = Wants::default();
    lay(spec, options, &mut Counting { parts }, &mut wants)?;
    lay(spec, options, parts, &mut wants)
}

/// One pass.
fn lay(spec: &Spec, options: BuildOptions, parts: &mut dyn Parts, wants: &mut Wants) -> Result<Built, Error> {
    let mut plan = Plan::default();
    let mut warnings: Vec<String> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut listeners: BTreeMap<(u16, IpAddr), Vec<Served>> = BTreeMap::new();
    let mut counted: BTreeSet<(u16, IpAddr)> = BTreeSet::new();
    let mut shedding: BTreeSet<(u16, IpAddr)> = BTreeSet::new();
    let mut timeouts: BTreeMap<(u16, IpAddr), Timeouts> = BTreeMap::new();
    let mut laid: Vec<(usize, cache::Laid)> = Vec::new();
    for block in &spec.blocks {
        let mut draft = read_block(block, options, parts, wants)?;
        // Where the network is asked first, wherever the word stands: local answers never pass it.
        if let Some(cache) = cache::lay(&mut draft) {
            laid.push((plan.chains.len(), cache));
        }
        if draft.steps.is_empty() {
            let zones: Vec<&str> = block.zones().map(Zone::text).collect();
            warnings.push(format!(
                "{}: the block for {} has no word that answers: its queries are REFUSED",
                block.at,
                zones.join(" ")
            ));
        }
        let chain = plan.chains.len();
        let addresses = draft
            .bind
            .clone()
            .unwrap_or_else(|| vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]);
        for key in &block.keys {
            if key.transport != Scheme::Dns {
                return Err(key
                    .error(format!("`{}` is not served by this version yet", key.text))
                    .hint("serve the zone over UDP and TCP, without a scheme before it"));
            }
            let port = key.port.unwrap_or(options.port);
            for &address in &addresses {
                let zones = listeners.entry((port, address)).or_default();
                if draft.metrics.is_some() {
                    counted.insert((port, address));
                }
                if draft.sheds {
                    shedding.insert((port, address));
                }
                timeouts.entry((port, address)).or_default().add(draft.timeouts);
                for zone in &key.zones {
                    let before = zones.iter().find(|served| {
                        let viewed = plan.chains.get(served.chain).is_some_and(|chain| chain.view.is_some());
                        served.zone == *zone && !viewed
                    });
                    if before.is_some() && draft.view.is_none() {
                        let address = SocketAddr::new(address, port);
                        return Err(key.error(format!("{zone} is already served on {address}")));
                    }
                    if before.is_some() {
                        warnings.push(format!(
                            "{}: the view of {zone} is never reached: a block without a view stands before it",
                            key.at
                        ));
                    }
                    // A block in which nothing answers refuses (rule S-02).
                    if !draft.steps.is_empty() {
                        let tallies = draft.metrics.as_ref().map(|_| {
                            let bound = (!address.is_unspecified()).then_some(address);
                            let view = draft.view.as_ref().map_or("", |view| view.name());
                            draft.parts.view_tallies(&server_label(bound, port), zone.text(), view)
                        });
                        zones.push(Served { zone: zone.clone(), chain, tallies });
                    }
                }
            }
        }
        plan.admin.reload = plan.admin.reload.or(draft.reload);
        join_admin(&mut plan.admin, draft.health, draft.ready, draft.metrics);
        warnings.extend(draft.warnings);
        inputs.extend(draft.inputs);
        plan.follows |= draft.follows;
        let zones: Vec<Zone> = block.zones().cloned().collect();
        if let Some(loops) = draft.loops {
            plan.loops = Some(loops);
            plan.suspects.extend(super::loop_::suspects(&draft.steps, &zones));
        }
        let mut chain = Chain::new(draft.steps, zones, draft.metadata, draft.debug);
        chain.stacktrace = draft.stacktrace;
        chain.view = draft.view;
        chain.sheds = draft.sheds;
        plan.chains.push(chain);
    }
    plan.listeners = listeners
        .into_iter()
        .map(|((port, address), mut zones)| {
            zones.sort_by_key(|served| std::cmp::Reverse(served.zone.labels()));
            let bound = (!address.is_unspecified()).then_some(address);
            let label = server_label(bound, port);
            let dropped = counted.contains(&(port, address)).then(|| parts.tallies(&label, DROPPED));
            let shed = shedding.contains(&(port, address)).then(|| Shed::new(&label, parts));
            let timeouts = timeouts.get(&(port, address)).copied().unwrap_or_default();
            Listener { addr: SocketAddr::new(address, port), label, zones, dropped, timeouts, shed }
        })
        .collect();
    for (number, chain) in plan.chains.iter().enumerate() {
        let place = Stand { listeners: &plan.listeners, chain: number, view: chain.view_name() };
        chain.steps.iter().for_each(|step| step.placed(&place, parts));
    }
    for (chain, cache) in laid {
        let view = plan.chains.get(chain).map_or("", Chain::view_name);
        let counted = cache.count(&Stand { listeners: &plan.listeners, chain, view }, parts);
        if let Some(chain) = plan.chains.get_mut(chain) {
            chain.cache = Some(counted);
        }
    }
    Ok(Built { plan, warnings, inputs })
}

/// Label `zone` of queries that reach no block: without a dot at its end, so it is no zone.
pub const DROPPED: &str = "dropped";

/// Reads a block's directives in the order of the chain.
fn read_block<'a>(
    block: &'a Block,
    options: BuildOptions,
    parts: &'a mut dyn Parts,
    wants: &'a mut Wants,
) -> Result<Draft<'a>, Error> {
    let mut draft = Draft {
        block,
        port: options.port,
        parts,
        wants,
        steps: Vec::new(),
        cache: None,
        root: None,
        acl: None,
        view: None,
        sheds: false,
        timeouts: Timeouts::default(),
        bind: None,
        debug: false,
        stacktrace: false,
        loops: None,
        health: None,
        ready: None,
        reload: None,
        metrics: None,
        metadata: Vec::new(),
        follows: false,
        words: Vec::new(),
        taps: None,
        store: None,
        externals: Vec::new(),
        searches: Vec::new(),
        warnings: Vec::new(),
        inputs: Vec::new(),
    };
    let mut ordered: Vec<(usize, words::Parse, &Directive)> = Vec::new();
    for directive in &block.directives {
        let known: Vec<&str> = words::WORDS.iter().map(|word| word.word).collect();
        match words::find(&directive.word.text) {
            None => return Err(directive.word.unknown("a directive", &known)),
            Some((_, word)) => match &word.support {
                Support::Refused { instead } => {
                    return Err(directive.error(format!("`{}` is not served", word.word)).hint(*instead));
                }
                Support::Served { parse, .. } => {
                    let place = words::find(&directive.word.text).map_or(0, |(place, _)| place);
                    ordered.push((place, *parse, directive));
                }
            },
        }
    }
    // Stable: several directives of one word keep the order of the file (rule S-01).
    ordered.sort_by_key(|(place, ..)| *place);
    for (place, parse, directive) in ordered {
        draft.words.push(words::word_at(place));
        parse(directive, &mut draft).map_err(|error| error.within(directive))?;
    }
    for search in std::mem::take(&mut draft.searches) {
        search.alone(&mut draft);
    }
    Ok(draft)
}

/// Joins what blocks say about HTTP endpoints: the last one that names it wins, a longer lame duck stays.
fn join_admin(admin: &mut Admin, health: Option<Health>, ready: Option<Ready>, metrics: Option<String>) {
    if let Some(new) = health {
        let lameduck = admin.health.as_ref().map_or(new.lameduck, |known| known.lameduck.max(new.lameduck));
        admin.health = Some(Health { lameduck, ..new });
    }
    if let Some(new) = ready {
        admin.ready = Some(new);
    }
    if let Some(new) = metrics
        && !admin.metrics.contains(&new)
    {
        admin.metrics.push(new);
    }
}

/// The label `server` of metrics: `dns://:53`, or with the address of `bind`.
pub(super) fn server_label(bound: Option<IpAddr>, port: u16) -> String {
    match bound {
        None => format!("dns://:{port}"),
        Some(address) => format!("dns://{}", SocketAddr::new(address, port)),
    }
}
