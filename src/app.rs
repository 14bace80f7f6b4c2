//! Wiring: from a Corefile's text to a running server, in the order parse, build, bind, feed, serve.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::admin::{AdminError, AdminServer, Exposition, exposition};
use crate::chain::{self, Active, BuildOptions, Parts, Plan, StoreSource, StoreSpec};
use crate::corefile;
use crate::metrics::{self, Tally};
use crate::server::{BindError, Bound, Crew, CrewOptions, StreamLimits};
use crate::source::cluster::{Access, Cluster, ClusterOptions, Timing};
use crate::source::manifests::{Manifests, ManifestsOptions};
use crate::store::{Counts, Spec, Store, Wanted, Writer};
use crate::time::Clock;

/// How often a folder of manifests is looked at.
const LOOK: Duration = Duration::from_millis(300);

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
}

/// How to serve.
pub struct ServeOptions {
    /// Name of the Corefile, for messages and relative imports.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The port of keys that name none; 0 for any free one.
    pub port: u16,
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

/// Queries that may wait in a worker: each holds about 3 KiB.
const WAITING: usize = 1024;

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            name: "Corefile".to_owned(),
            text: String::new(),
            port: 0,
            workers: 1,
            waiting: WAITING,
            stream: StreamLimits::default(),
            cluster: Timing::default(),
            clock: Clock::system(),
        }
    }
}

/// A store with what feeds it.
struct Fed {
    /// What it was asked for by.
    spec: StoreSpec,
    /// What is wanted of it.
    wanted: Wanted,
    /// The store.
    store: Arc<Store>,
    /// Its writer, until the source takes it.
    writer: Option<Writer>,
    /// What feeds it.
    feeder: Option<Feeder>,
}

/// What feeds a store; dropping it ends it.
enum Feeder {
    /// A folder that is looked at.
    Manifests {
        /// Its thread.
        _thread: Looker,
    },
    /// An API server that is watched.
    Cluster {
        /// Its thread.
        _thread: Cluster,
    },
}

/// The thread that looks at a folder, and the way to end it.
struct Looker {
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// Set and signalled to end it.
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Drop for Looker {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // Had it panicked, the panic was printed; the store keeps what it has.
            let _ = thread.join();
        }
    }
}

/// Where queries are counted, by server and zone; kept over all plans, so that counters never fall.
#[derive(Clone, Default)]
struct Tallies(Arc<Mutex<Vec<ZoneTally>>>);

/// The tallies of one zone of one server.
#[derive(Clone)]
struct ZoneTally {
    /// Label `server`.
    server: String,
    /// Label `zone`.
    zone: String,
    /// One a worker.
    workers: Arc<[Tally]>,
}

impl Tallies {
    /// The tallies of a zone of a server, made if there are none.
    fn get(&self, server: &str, zone: &str, workers: usize) -> Arc<[Tally]> {
        let mut known = self.0.lock();
        if let Some(found) = known.iter().find(|tally| tally.server == server && tally.zone == zone) {
            return found.workers.clone();
        }
        let made: Arc<[Tally]> = (0..workers).map(|_| Tally::new(chain::ANSWERERS)).collect();
        known.push(ZoneTally { server: server.to_owned(), zone: zone.to_owned(), workers: made.clone() });
        made
    }
}

/// The long-lived parts.
struct Registry {
    /// Stores.
    stores: Vec<Fed>,
    /// Where queries are counted.
    tallies: Tallies,
    /// How many workers there are.
    workers: usize,
    /// How long things of an API server may take.
    timing: Timing,
    /// The clock.
    clock: Clock,
}

impl Parts for Registry {
    fn store(&mut self, spec: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        if let Some(known) = self.stores.iter().find(|fed| fed.spec == *spec && fed.wanted == wanted) {
            return known.store.clone();
        }
        let (store, writer) = Store::new(wanted, self.clock.clone());
        self.stores.push(Fed {
            spec: spec.clone(),
            wanted,
            store: store.clone(),
            writer: Some(writer),
            feeder: None,
        });
        store
    }

    fn tallies(&mut self, server: &str, zone: &str) -> Arc<[Tally]> {
        self.tallies.get(server, zone, self.workers)
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| (interface.name.clone(), interface.ip()))
            .collect()
    }
}

impl Registry {
    /// Starts the sources that are not running.
    fn feed(&mut self) -> Result<(), ServeError> {
        for fed in &mut self.stores {
            let Some(writer) = fed.writer.take() else { continue };
            fed.feeder = Some(match &fed.spec.source {
                StoreSource::Manifests(dir) => {
                    let manifests = Manifests::new(ManifestsOptions {
                        dir: dir.clone(),
                        labels: fed.spec.labels.clone(),
                        pods: fed.wanted.pods,
                        endpoints: fed.wanted.endpoints,
                    });
                    Feeder::Manifests { _thread: look(manifests, writer).map_err(ServeError::Start)? }
                }
                StoreSource::Cluster(access) => {
                    let options = ClusterOptions {
                        access: access.clone(),
                        labels: fed.spec.labels.clone(),
                        endpoints: fed.wanted.endpoints,
                        pods: fed.wanted.pods,
                        throttle: fed.spec.throttle,
                        timing: self.timing,
                        seed: fastrand::u64(..),
                    };
                    let thread = Cluster::start(options, Box::new(writer)).map_err(ServeError::Start)?;
                    Feeder::Cluster { _thread: thread }
                }
            });
        }
        Ok(())
    }
}

/// Starts the thread that looks at a folder of manifests.
fn look(mut manifests: Manifests, mut writer: Writer) -> std::io::Result<Looker> {
    let stop = Arc::new((Mutex::new(false), Condvar::new()));
    let stopped = stop.clone();
    let thread = std::thread::Builder::new().name("manifests".to_owned()).spawn(move || {
        loop {
            tell(&manifests.look(&mut writer));
            let mut ended = stopped.0.lock();
            if !*ended {
                stopped.1.wait_for(&mut ended, LOOK);
            }
            if *ended {
                break;
            }
        }
    })?;
    Ok(Looker { thread: Some(thread), stop })
}

/// A source in words.
fn source_text(source: &StoreSource) -> String {
    match source {
        StoreSource::Manifests(dir) => dir.display().to_string(),
        StoreSource::Cluster(Access::InCluster) => "the cluster's API server".to_owned(),
        StoreSource::Cluster(Access::Kubeconfig { file, context: None }) => file.display().to_string(),
        StoreSource::Cluster(Access::Kubeconfig { file, context: Some(context) }) => {
            format!("{} ({context})", file.display())
        }
        StoreSource::Cluster(Access::Endpoint { url, .. }) => url.clone(),
    }
}

/// Writes down what a look at the manifests found.
fn tell(report: &crate::source::manifests::Report) {
    for problem in &report.problems {
        tracing::warn!(target: "plugin/kubernetes", "{problem}");
    }
    for file in &report.healed {
        tracing::info!(target: "plugin/kubernetes", "{}: read again without a problem", file.display());
    }
}

/// A running server; dropping it drains it.
pub struct Running {
    /// The workers; first, so that they end before what they read from.
    crew: Crew,
    /// HTTP.
    admin: Option<AdminServer>,
    /// Stores and sources.
    registry: Registry,
    /// The plan.
    plan: Arc<Plan>,
    /// Things to say at start.
    warnings: Vec<String>,
}

/// Starts a server.
///
/// Nothing is bound or started unless the whole Corefile is sound, and nothing is served unless every address could be bound.
///
/// Errors: `ServeError`; its text is one a person can act on.
pub fn serve(options: ServeOptions) -> Result<Running, ServeError> {
    let source = CorefileSource { port: options.port };
    let spec = corefile::parse(&options.name, &options.text, &source).map_err(ServeError::Corefile)?;
    if spec.blocks.is_empty() {
        return Err(ServeError::Empty(options.name));
    }
    let workers = options.workers.max(1);
    let mut registry = Registry {
        stores: Vec::new(),
        tallies: Tallies::default(),
        workers,
        timing: options.cluster,
        clock: options.clock.clone(),
    };
    let built = chain::build(&spec, BuildOptions { port: options.port }, &mut registry)
        .map_err(ServeError::Corefile)?;
    let mut warnings: Vec<String> = spec.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(built.warnings);
    let plan = Arc::new(built.plan);

    let mut groups = Vec::new();
    for listener in &plan.listeners {
        match crate::server::bind(listener.addr, workers)? {
            Bound::Yes(group) => groups.push(group),
            Bound::NoIpv6(addr) => warnings.push(format!("{addr} is left out: this machine has no IPv6")),
        }
    }
    if groups.is_empty() {
        return Err(ServeError::NoAddress);
    }
    // Known once the workers run; until then there is nothing to count.
    let counters: Arc<OnceLock<Vec<Arc<metrics::Counters>>>> = Arc::default();
    let (counted, scraped) = (counters.clone(), plan.clone());
    let render = move || {
        let mut text = Exposition::default();
        exposition::server(&mut text, &scraped, counted.get().map(Vec::as_slice).unwrap_or_default());
        exposition::process(&mut text);
        text.finish()
    };
    let admin = AdminServer::start(&plan.admin, &plan, Arc::new(render))?;
    registry.feed()?;
    let crew = Crew::start(
        groups,
        workers,
        &CrewOptions {
            active: Arc::new(Active::new(plan.clone())),
            waiting: options.waiting,
            stream: options.stream,
            clock: options.clock,
        },
    )
    .map_err(ServeError::Start)?;
    let _ = counters.set(crew.counters().to_vec());
    Ok(Running { crew, admin, registry, plan, warnings })
}

/// The disk, with the port of the command line.
struct CorefileSource {
    /// `-dns.port`.
    port: u16,
}

impl corefile::Source for CorefileSource {
    fn env(&self, name: &str) -> Option<String> {
        corefile::Disk.env(name)
    }

    fn files(&self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, corefile::ImportFault> {
        corefile::Disk.files(pattern, from)
    }

    fn dns_port(&self) -> u16 {
        self.port
    }
}

impl Running {
    /// The addresses that are served, each over UDP and TCP.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.crew.addresses().to_vec()
    }

    /// Waits until every store is complete; false when `timeout` came first.
    #[must_use]
    pub fn wait_synced(&self, timeout: Duration) -> bool {
        let done = Arc::new((Mutex::new(0_usize), Condvar::new()));
        for fed in &self.registry.stores {
            let done = done.clone();
            fed.store.when_synced(move || {
                *done.0.lock() += 1;
                done.1.notify_all();
            });
        }
        let mut complete = done.0.lock();
        let all = self.registry.stores.len();
        !done.1.wait_while_for(&mut complete, |complete| *complete < all, timeout).timed_out()
    }

    /// Whether every store is complete.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.registry.stores.iter().all(|fed| fed.store.synced())
    }

    /// The sum over all workers of a counter by its name; 0 for a name that there is not.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        metrics::FIELDS
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(0, |(_, field)| metrics::sum(self.crew.counters().iter().map(AsRef::as_ref), *field))
    }

    /// Where `/health` is served.
    #[must_use]
    pub fn health(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(AdminServer::health)
    }

    /// Where `/ready` is served.
    #[must_use]
    pub fn ready(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(AdminServer::ready)
    }

    /// Where `/metrics` is served.
    #[must_use]
    pub fn metrics(&self) -> Vec<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.metrics().to_vec()).unwrap_or_default()
    }

    /// Things that work but probably not as meant.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How long answering goes on after SIGTERM.
    #[must_use]
    pub fn lameduck(&self) -> Duration {
        self.plan.admin.health.as_ref().map_or(Duration::ZERO, |health| health.lameduck)
    }

    /// Says to probes that no more queries should come; answering goes on.
    pub fn not_ready(&self) {
        if let Some(admin) = &self.admin {
            admin.not_ready();
        }
    }

    /// What is served, a line each: zone and port as CoreDNS prints them, with the address where `bind` names one (rule S-18).
    #[must_use]
    pub fn zones(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (listener, addr) in self.plan.listeners.iter().zip(self.crew.addresses()) {
            for zone in listener.zones.iter().map(|served| &served.zone) {
                let line = match addr.ip().is_unspecified() {
                    true => format!("{zone}:{}", addr.port()),
                    false => format!("{zone}:{} on {}", addr.port(), addr.ip()),
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
        let stores = self.registry.stores.iter();
        stores.map(|fed| (source_text(&fed.spec.source), fed.store.counts())).collect()
    }

    /// Three `dig` lines that get an answer from what is served now.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        let Some(addr) = self.crew.addresses().first() else { return Vec::new() };
        let host = match addr.ip() {
            ip if !ip.is_unspecified() => ip.to_string(),
            IpAddr::V4(_) => "127.0.0.1".to_owned(),
            IpAddr::V6(_) => "::1".to_owned(),
        };
        let dig = format!("dig @{host} -p {}", addr.port());
        let mut cluster: Option<(String, String)> = None;
        let mut headless: Option<String> = None;
        for fed in &self.registry.stores {
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
        let zone = self.plan.chains.iter().flat_map(|chain| &chain.steps).find_map(|step| step.primary());
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
    pub fn stop(mut self) {
        self.not_ready();
        self.crew.drain();
    }
}
