//! From `Spec` to `Plan`: every directive read, every part asked for, or one located error and no effect at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acl::Acl;
use super::autopath::PendingSearch;
use super::cache;
use super::dnstap::Tap;
use super::entry::{self, Entry};
use super::k8s_external;
pub use super::parts::{Parts, StoreSource, StoreSpec};
use super::plan::{Admin, Chain, Health, Listener, Plan, Ready, Served};
use super::reload::Reload;
use super::shed::Shed;
use super::step::{Stand, Step};
use super::timeouts::Timeouts;
use super::view::View;
use super::words::{self, Support};
use crate::corefile::{Block, Directive, Error, Spec, Transport as Scheme, Zone};
use crate::forward::Loops;
use crate::metrics::Tally;
use crate::observe::Observer;
use crate::source::cluster::{Access, AccessError};
use crate::store::{Store, Wanted};

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
    /// `tls`, `proxyproto` and the bounds of encrypted transports.
    pub(super) entry: Entry,
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
    /// `observe`.
    pub(super) observer: Option<Arc<Observer>>,
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
    /// The zones of the block's keys, each once.
    pub(super) fn zones(&self) -> Vec<Zone> {
        let mut zones: Vec<Zone> = Vec::new();
        for zone in self.block.zones() {
            // One zone may be served in several ways.
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        zones
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

    /// Whether a store that is another one is kept in the same file.
    pub(super) fn share_a_snapshot(&self, spec: &StoreSpec) -> bool {
        let file = |spec: &StoreSpec| spec.snapshot.as_ref().map(|snapshot| snapshot.file.clone());
        self.0.iter().any(|(known, _)| known != spec && file(known).is_some() && file(known) == file(spec))
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
    let mut listeners: BTreeMap<Place, (Entry, Vec<Served>)> = BTreeMap::new();
    let mut counted: BTreeSet<Place> = BTreeSet::new();
    let mut shedding: BTreeSet<Place> = BTreeSet::new();
    let mut timeouts: BTreeMap<Place, Timeouts> = BTreeMap::new();
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
            let scheme = key.transport;
            let port = key.listening_port(options.port);
            let warning = entry::check_key(key, block, &draft)?;
            warnings.extend(warning);
            for &address in &addresses {
                let place = (scheme, port, address);
                if let Some(other) = rival(&listeners, place) {
                    let address = SocketAddr::new(address, port);
                    let text = format!("{address} is taken by `{}://` already", other.scheme());
                    return Err(key.error(text).hint("give one of the two another port"));
                }
                let (entry, zones) = listeners.entry(place).or_default();
                if let Err(word) = entry.join(draft.entry.of(scheme)) {
                    let address = SocketAddr::new(address, port);
                    let text = format!("another block on {address} has another `{word}`");
                    return Err(key.error(text).hint("what is one address to clients needs one of them"));
                }
                if draft.metrics.is_some() {
                    counted.insert(place);
                }
                if draft.sheds {
                    shedding.insert(place);
                }
                timeouts.entry(place).or_default().add(draft.timeouts);
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
                            let label = server_label(scheme, bound, port);
                            draft.parts.view_tallies(&label, zone.text(), view)
                        });
                        zones.push(Served { zone: zone.clone(), chain, tallies });
                    }
                }
            }
        }
        plan.admin.reload = plan.admin.reload.or(draft.reload);
        super::observe::join(&mut plan.observer, &draft)?;
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
        .map(|(place @ (scheme, port, address), (mut entry, mut zones))| {
            zones.sort_by_key(|served| std::cmp::Reverse(served.zone.labels()));
            let bound = (!address.is_unspecified()).then_some(address);
            let label = server_label(scheme, bound, port);
            if matches!(scheme, Scheme::Https | Scheme::Https3 | Scheme::Quic) {
                entry.traffic = Some(parts.traffic(scheme, &label));
            }
            let dropped = counted.contains(&place).then(|| parts.tallies(&label, DROPPED));
            let shed = shedding.contains(&place).then(|| Shed::new(&label, parts));
            let timeouts = timeouts.get(&place).copied().unwrap_or_default();
            Listener {
                scheme,
                addr: SocketAddr::new(address, port),
                label,
                zones,
                dropped,
                timeouts,
                shed,
                entry,
            }
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

/// What is listened on: scheme, port, address.
type Place = (Scheme, u16, IpAddr);

/// The scheme of a listener that wants the same port of the same protocol.
fn rival(
    listeners: &BTreeMap<Place, (Entry, Vec<Served>)>,
    (scheme, port, address): Place,
) -> Option<Scheme> {
    let datagrams = |scheme| matches!(scheme, Scheme::Dns | Scheme::Quic | Scheme::Https3);
    let streams = |scheme| matches!(scheme, Scheme::Dns | Scheme::Tls | Scheme::Https | Scheme::Grpc);
    listeners
        .keys()
        .filter(|known| known.1 == port && port != 0 && known.2 == address)
        .map(|known| known.0)
        .filter(|known| *known != scheme)
        .find(|known| datagrams(*known) && datagrams(scheme) || streams(*known) && streams(scheme))
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
        entry: Entry::default(),
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
        observer: None,
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
pub(super) fn server_label(scheme: Scheme, bound: Option<IpAddr>, port: u16) -> String {
    match bound {
        None => format!("{scheme}://:{port}"),
        Some(address) => format!("{scheme}://{}", SocketAddr::new(address, port)),
    }
}
