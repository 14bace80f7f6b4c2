//! Wiring: from a Corefile's text to a running server, in the order parse, build, bind, feed, serve.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use self::certificates::CertificateFiles;
pub(crate) use self::disk::CorefileSource;
use self::hosts::HostsFiles;
pub use self::kubedns::Placeholders;
pub(crate) use self::kubedns::read as read_kubedns;
pub(crate) use self::memory::too_small;
use self::registry::{Caches, Registry, Tallies};
pub(crate) use self::registry::{interfaces, source_text};
use self::reload::{ReloadCounts, Reloader};
use self::sockets::bind_all;
use self::upkeep::Upkeep;
use self::upstreams::Upstreams;
use self::weights::WeightFiles;
use self::zones::Zones;
use crate::admin::{
    AdminError, AdminOptions, AdminServer, Exposition, HealthCounts, HttpCounts, caches, exposition,
};
use crate::chain::{self, Active, BuildOptions, Listener, Plan, Socket};
use crate::corefile::{self, Transport as Scheme};
use crate::forward::{Desk, DeskOptions, Random};
use crate::panics::attempt;
use crate::server::{BindError, Crew, CrewOptions, StreamLimits, kernel_drops};
use crate::source::cluster::Timing;
use crate::store::{Counts, Spec};
use crate::time::Clock;
use crate::{logging, metrics};

mod certificates;
pub(crate) mod configmap;
mod disk;
mod hosts;
mod kubedns;
mod looker;
mod memory;
mod registry;
mod reload;
mod snapshots;
mod sockets;
mod taps;
mod upkeep;
mod upstreams;
mod weights;
pub(crate) mod zones;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The Corefile cannot be used.
    #[error("{}", .0.render())]
    Corefile(corefile::Error),
    /// The Corefile serves nothing.
    #[error("{0}: the file holds no server block, so there is nothing to serve")]
    Empty(String),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No address is left: the kernel has no IPv6.
    #[error("none of the addresses can be listened on: this machine has no IPv6")]
    NoAddress,
    /// An HTTP endpoint cannot be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// No thread or no descriptor.
    #[error("starting a thread")]
    Start(#[source] std::io::Error),
    /// A fault of ours.
    #[error("reading it panicked, which is a fault of signpost")]
    Panicked,
}

/// How to serve.
pub struct ServeOptions {
    /// Name of the Corefile, for messages and relative imports.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The file that the text came from, to be read again by `reload`.
    pub path: Option<PathBuf>,
    /// The port of keys that name none; 0 for any free one.
    pub port: u16,
    /// What stands for the placeholders of node-local-dns.
    pub placeholders: Placeholders,
    /// How many workers.
    pub workers: usize,
    /// The most waiting queries of a worker.
    pub waiting: usize,
    /// The bounds of streams, of all workers together.
    pub stream: StreamLimits,
    /// How long things of an API server may take.
    pub cluster: Timing,
    /// The clock.
    pub clock: Clock,
}

/// Queries that may wait in a worker: each holds about 1 KiB while it does (RELIABILITY L4: 10,000 clients of one name).
const WAITING: usize = 16_384;

/// Queries that may wait in all workers together, unless that is less than `LEAST_WAITING` each.
const ALL_WAITING: usize = 2 * WAITING;

/// Queries that may wait in a worker however many there are.
const LEAST_WAITING: usize = 2048;

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            name: "Corefile".to_owned(),
            text: String::new(),
            path: None,
            port: 0,
            placeholders: Placeholders::default(),
            workers: 1,
            waiting: WAITING,
            stream: StreamLimits::default(),
            cluster: Timing::default(),
            clock: Clock::system(),
        }
    }
}

/// A running server; dropping it drains it.
pub struct Running {
    /// Looks at the Corefile; first, so that it ends before what it changes.
    reloader: Option<Reloader>,
    /// All that a reload changes.
    state: Arc<Mutex<State>>,
}

/// What a reload changes, under one lock: no query takes it.
struct State {
    /// The workers; first, so that they end before what they read from.
    crew: Crew,
    /// HTTP.
    admin: AdminServer,
    /// What falls due apart from queries.
    upkeep: Upkeep,
    /// Stores and sources.
    registry: Registry,
    /// The plan in force.
    plan: Arc<Plan>,
    /// Where the workers find it.
    active: Arc<Active>,
    /// The addresses that are bound, for `/metrics`.
    served: Arc<Mutex<Vec<SocketAddr>>>,
    /// Name of the Corefile.
    name: String,
    /// Where Corefiles are read from.
    source: CorefileSource,
    /// The Corefile in force, in canonical form, imports included.
    canonical: String,
    /// Things to say at start.
    warnings: Vec<String>,
}

/// A Corefile that was read and built, with nothing in effect yet.
struct Prepared {
    /// The plan.
    plan: Arc<Plan>,
    /// The Corefile in canonical form.
    canonical: String,
    /// Things to say.
    warnings: Vec<String>,
}

/// Reads and builds a Corefile.
fn prepare(
    name: &str,
    text: &str,
    source: &CorefileSource,
    registry: &mut Registry,
) -> Result<Prepared, ServeError> {
    let port = source.port;
    let spec = corefile::parse(name, text, source).map_err(ServeError::Corefile)?;
    if spec.blocks.is_empty() {
        return Err(ServeError::Empty(name.to_owned()));
    }
    let built = chain::build(&spec, BuildOptions { port }, registry).map_err(ServeError::Corefile)?;
    let mut warnings: Vec<String> = spec.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(built.warnings);
    warnings.extend(too_small(&built.plan));
    let mut canonical = corefile::print(&spec);
    canonical.extend(built.inputs.iter().map(|input| format!("# {input}\n")));
    Ok(Prepared { plan: Arc::new(built.plan), canonical, warnings })
}

/// Random bytes that nobody can guess: the kernel's.
fn secrets() -> Random {
    let source = ring::rand::SystemRandom::new();
    Box::new(move |bytes| {
        // The kernel's generator does not fail once it has been seeded; were it to, ids from another one still serve.
        if ring::rand::SecureRandom::fill(&source, bytes).is_err() {
            fastrand::fill(bytes);
        }
    })
}

/// Starts a server.
///
/// Nothing is bound or started unless the whole Corefile is sound, and nothing is served unless every address could be bound.
///
/// Errors: `ServeError`; its text is one a person can act on.
pub fn serve(options: ServeOptions) -> Result<Running, ServeError> {
    let workers = options.workers.max(1);
    let source = CorefileSource { port: options.port, placeholders: options.placeholders };
    let mut registry = Registry {
        stores: Vec::new(),
        tallies: Tallies::default(),
        upstreams: Upstreams::default(),
        counts: Arc::default(),
        caches: Caches::default(),
        hosts: HostsFiles::default(),
        weights: WeightFiles::default(),
        families: Arc::default(),
        zones: Zones::new(options.clock.clone()),
        files: CertificateFiles::default(),
        translations: Arc::default(),
        taps: taps::Taps::default(),
        observer: std::sync::Weak::new(),
        templates: Arc::default(),
        completions: Arc::default(),
        loops: Arc::default(),
        workers,
        timing: options.cluster,
        clock: options.clock.clone(),
    };
    let mut prepared = prepare(&options.name, &options.text, &source, &mut registry)?;
    let plan = prepared.plan.clone();
    let wanted = plan.listeners.iter().map(Listener::socket);
    let groups = bind_all(wanted, &[], workers, &mut prepared.warnings)?;
    if groups.is_empty() {
        return Err(ServeError::NoAddress);
    }
    let active = Arc::new(Active::new(plan.clone()));
    // Known once the workers run; until then there is nothing to count.
    let counters: Arc<OnceLock<Vec<Arc<metrics::Counters>>>> = Arc::default();
    let reloads = Arc::new(ReloadCounts::default());
    let polls = Arc::new(HealthCounts::default());
    let http = Arc::new(HttpCounts::default());
    let (counted, scraped, reloaded) = (counters.clone(), active.clone(), reloads.clone());
    let numbers = registry.upstreams.numbers();
    let clusters = registry.counts.clone();
    let (polled, completions) = (polls.clone(), registry.completions.clone());
    let connections = http.clone();
    let (hosts, translations, loops) =
        (registry.hosts.shown(), registry.translations.clone(), registry.loops.clone());
    let (families, clock) = (registry.families.clone(), options.clock.clone());
    let served: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let bound = served.clone();
    let (templates, taps) = (registry.templates.clone(), registry.taps.shown());
    let render = move || {
        let mut text = Exposition::default();
        let plan = scraped.plan();
        exposition::transports(&mut text, &plan);
        exposition::server(&mut text, &plan, counted.get().map(Vec::as_slice).unwrap_or_default());
        crate::admin::watches(&mut text, &plan, &clusters.read(), &clock);
        caches(&mut text, &plan);
        reloaded.write(&mut text);
        hosts.write(&mut text);
        exposition::words(&mut text, &translations, &loops);
        exposition::families(&mut text, &families);
        exposition::templates(&mut text, &templates);
        taps.write(&mut text);
        exposition::completions(&mut text, &completions);
        if plan.admin.health.is_some() {
            polled.write(&mut text);
        }
        exposition::kernel_drops(&mut text, kernel_drops(&bound.lock()));
        text.family(
            "signpost_log_dropped_total",
            "counter",
            "Log lines that were not written because stdout is too slow.",
        );
        text.value("signpost_log_dropped_total", &[], logging::dropped());
        numbers.write(&mut text);
        connections.write(&mut text);
        exposition::process(&mut text);
        text.finish()
    };
    let mut admin = AdminServer::start(AdminOptions {
        active: active.clone(),
        render: Arc::new(render),
        polls,
        counts: http,
        clock: options.clock.clone(),
    })?;
    admin.set(&plan.admin)?;
    logging::set_debug(plan.debugs());
    let upkeep = Upkeep::start(&admin, active.clone(), options.clock.clone(), registry.counts.clone());
    registry.feed()?;
    registry.loops.watch(plan.suspects.clone());
    let crew = Crew::start(
        groups,
        workers,
        CrewOptions {
            active: active.clone(),
            waiting: options.waiting.min((ALL_WAITING / options.workers.max(1)).max(LEAST_WAITING)),
            stream: options.stream,
            streams: Some(Arc::new(Desk::new(DeskOptions::default(), options.clock.clone()))),
            clock: options.clock,
            secrets,
            pulse: upkeep.pulse(),
        },
    )
    .map_err(ServeError::Start)?;
    let _ = counters.set(crew.counters().to_vec());
    *served.lock() = crew.bound();
    reloads.succeeded(&prepared.canonical);
    registry.zones.in_force(&active);
    let state = Arc::new(Mutex::new(State {
        crew,
        admin,
        upkeep,
        registry,
        plan,
        active,
        served,
        name: options.name,
        source,
        canonical: prepared.canonical,
        warnings: prepared.warnings,
    }));
    let reloader = options
        .path
        .map(|path| Reloader::start(path, state.clone(), reloads))
        .transpose()
        .map_err(ServeError::Start)?;
    Ok(Running { reloader, state })
}

impl State {
    /// Puts another Corefile in force; says whether it differs from the one in force.
    ///
    /// All or nothing: everything is built and bound before the plan is swapped; sockets, stores and counters that both
    /// plans want are not touched.
    ///
    /// Errors: as `serve`; then the old plan goes on as it was.
    fn reload(&mut self, text: &str) -> Result<bool, ServeError> {
        self.registry.begin();
        match attempt("reload", || self.try_reload(text)).unwrap_or(Err(ServeError::Panicked)) {
            Ok(changed) => {
                self.registry.commit();
                Ok(changed)
            }
            Err(error) => {
                self.registry.abandon();
                Err(error)
            }
        }
    }

    /// What `reload` does, marks of the registry aside.
    fn try_reload(&mut self, text: &str) -> Result<bool, ServeError> {
        let mut prepared = prepare(&self.name, text, &self.source, &mut self.registry)?;
        #[cfg(test)]
        assert!(!text.contains("# a test has it panic"), "as the test wants");
        if prepared.canonical == self.canonical {
            return Ok(false);
        }
        let plan = prepared.plan;
        let served: Vec<Socket> = self.crew.addresses().iter().map(|(wanted, _)| *wanted).collect();
        let wanted: Vec<Socket> = plan.listeners.iter().map(Listener::socket).collect();
        let new = wanted.iter().copied().filter(|socket| !served.contains(socket));
        let gone: Vec<Socket> = served.iter().copied().filter(|socket| !wanted.contains(socket)).collect();
        let groups = bind_all(new, &gone, self.registry.workers, &mut prepared.warnings)?;
        if groups.is_empty() && gone.len() == served.len() {
            return Err(ServeError::NoAddress);
        }
        self.admin.set(&plan.admin)?;
        self.registry.feed()?;
        self.active.swap(plan.clone());
        self.registry.loops.watch(plan.suspects.clone());
        if let Err(error) = self.crew.change(groups, &gone) {
            tracing::error!(%error, "threads for encrypted transports can't be started: nobody listens there");
        }
        *self.served.lock() = self.crew.bound();
        logging::set_debug(plan.debugs());
        self.upkeep.plan_changed();
        self.registry.zones.in_force(&self.active);
        std::mem::replace(&mut self.plan, plan).close();
        self.canonical = prepared.canonical;
        for warning in &prepared.warnings {
            tracing::warn!("{warning}");
        }
        Ok(true)
    }
}

impl Running {
    /// The addresses that are served, each over UDP and TCP.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Scheme::Dns)
    }

    /// The addresses that are served over one scheme.
    #[must_use]
    pub fn addresses_of(&self, scheme: Scheme) -> Vec<SocketAddr> {
        let state = self.state.lock();
        let of_scheme = state.crew.addresses().iter().filter(|(wanted, _)| wanted.scheme == scheme);
        of_scheme.map(|(_, bound)| *bound).collect()
    }

    /// Waits until every store is complete; false when `timeout` came first.
    #[must_use]
    pub fn wait_synced(&self, timeout: Duration) -> bool {
        let done = Arc::new((Mutex::new(0_usize), Condvar::new()));
        let state = self.state.lock();
        let all = state.registry.stores.len();
        for fed in &state.registry.stores {
            let done = done.clone();
            fed.store.when_synced(move || {
                *done.0.lock() += 1;
                done.1.notify_all();
            });
        }
        drop(state);
        let mut complete = done.0.lock();
        !done.1.wait_while_for(&mut complete, |complete| *complete < all, timeout).timed_out()
    }

    /// Whether every store is complete.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.state.lock().registry.stores.iter().all(|fed| fed.store.synced())
    }

    /// The sum over all workers of a counter by its name; 0 for a name that there is not.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        metrics::FIELDS.iter().find(|(known, _, _)| *known == name).map_or(0, |(_, _, field)| {
            metrics::sum(self.state.lock().crew.counters().iter().map(AsRef::as_ref), *field)
        })
    }

    /// Where `/health` is served.
    #[must_use]
    pub fn health(&self) -> Option<SocketAddr> {
        self.state.lock().admin.bound("health").next()
    }

    /// Where `/ready` is served.
    #[must_use]
    pub fn ready(&self) -> Option<SocketAddr> {
        self.state.lock().admin.bound("ready").next()
    }

    /// Where `/metrics` is served.
    #[must_use]
    pub fn metrics(&self) -> Vec<SocketAddr> {
        self.state.lock().admin.bound("prometheus").collect()
    }

    /// Things that work but probably not as meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.state.lock().warnings.clone()
    }

    /// How long answering goes on after SIGTERM.
    #[must_use]
    pub fn lameduck(&self) -> Duration {
        self.state.lock().plan.admin.health.as_ref().map_or(Duration::ZERO, |health| health.lameduck)
    }

    /// Says to probes that no more queries should come; answering goes on, and what comes is counted as late.
    pub fn not_ready(&self) {
        let mut state = self.state.lock();
        state.admin.not_ready();
        state.crew.leave();
    }

    /// What is served, a line each: zone and port as CoreDNS prints them, with the address where `bind` names one (rule S-18).
    #[must_use]
    pub fn zones(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let state = self.state.lock();
        for listener in &state.plan.listeners {
            let bound = state.crew.addresses().iter().find(|(wanted, _)| *wanted == listener.socket());
            let Some((_, addr)) = bound else { continue };
            for zone in listener.zones.iter().map(|served| &served.zone) {
                let scheme = match listener.scheme {
                    Scheme::Dns => String::new(),
                    other => format!("{other}://"),
                };
                let line = match addr.ip().is_unspecified() {
                    true => format!("{scheme}{zone}:{}", addr.port()),
                    false => format!("{scheme}{zone}:{} on {}", addr.port(), addr.ip()),
                };
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        lines
    }

    /// Where the names come from, and how many there are.
    #[must_use]
    pub fn sources(&self) -> Vec<(String, Counts)> {
        let state = self.state.lock();
        let stores = state.registry.stores.iter();
        stores.map(|fed| (source_text(&fed.spec.source), fed.store.counts())).collect()
    }

    /// Three `dig` lines that get an answer from what is served now.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        let state = self.state.lock();
        let plain = state.crew.addresses().iter().find(|(wanted, _)| wanted.scheme == Scheme::Dns);
        let Some((_, addr)) = plain else { return Vec::new() };
        let host = match addr.ip() {
            ip if !ip.is_unspecified() => ip.to_string(),
            IpAddr::V4(_) => "127.0.0.1".to_owned(),
            IpAddr::V6(_) => "::1".to_owned(),
        };
        let dig = format!("dig @{host} -p {}", addr.port());
        let mut cluster: Option<(String, String)> = None;
        let mut headless: Option<String> = None;
        for fed in &state.registry.stores {
            fed.store.each_service(|service| {
                let name = crate::wire::show_name(service.key());
                match service.spec() {
                    Spec::Cluster { v4, .. } if service.namespace().exists() => {
                        if let Some(ip) = v4.first()
                            && cluster.as_ref().is_none_or(|(known, _)| name < *known)
                        {
                            cluster = Some((name, IpAddr::from(*ip).to_string()));
                        }
                    }
                    Spec::Headless
                        if service.namespace().exists()
                            && !service.endpoints().is_empty()
                            && headless.as_ref().is_none_or(|known| name < *known) =>
                    {
                        headless = Some(name);
                    }
                    _ => {}
                }
            });
        }
        let zone = state.plan.chains.iter().flat_map(|chain| &chain.steps).find_map(|step| step.primary());
        let zone = zone.map_or("cluster.local.", |zone| zone.text());
        let mut lines = Vec::new();
        if let Some((name, ip)) = cluster {
            lines.push(format!("{dig} {name}svc.{zone}"));
            lines.push(format!("{dig} -x {ip}"));
        }
        if let Some(name) = headless {
            lines.push(format!("{dig} {name}svc.{zone} SRV"));
        }
        lines
    }

    /// Drains: what is in the sockets and what waits is answered, then all threads end.
    pub fn stop(&self) {
        self.not_ready();
        let mut state = self.state.lock();
        state.crew.drain();
        state.plan.close();
        let late = metrics::sum(state.crew.counters().iter().map(AsRef::as_ref), |c| &c.late_queries);
        if late > 0 {
            tracing::info!("{late} queries came after SIGTERM and were answered");
        }
        state.registry.end();
    }

    /// Reads the Corefile again now, whether or not `reload` is in it (SIGUSR1); says what came of it in the log.
    pub fn reload(&self) {
        match &self.reloader {
            Some(reloader) => reloader.now(),
            None => tracing::warn!("there is no file to read again"),
        }
    }
}
