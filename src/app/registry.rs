//! The long-lived parts: stores with what feeds them, and where queries are counted.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::ServeError;
use super::certificates::CertificateFiles;
use super::hosts::HostsFiles;
use super::looker::Looker;
use super::snapshots::{Keeper, Snapshots};
use super::taps::Taps;
use super::upstreams::Upstreams;
use super::weights::WeightFiles;
use super::zones::Zones;
use crate::cache::{Cache, Counts, Spec as CacheSpec};
use crate::chain::{
    self, Completions, Folder, FolderSpec, Hosts, HostsSpec, Parts, StoreSource, StoreSpec, TemplateCounts,
    Translations, Weights, WeightsFault, WeightsSpec, ZoneFile,
};
use crate::corefile::{Transport as Scheme, Zone};
use crate::forward::{Group, GroupSpec, Loops, TargetFault, search_list};
use crate::metrics::{ClusterCounts, DOQ, Families, Family, HTTP, Labels, PerWorker, Tally, Traffic};
use crate::observe::{Observer, ObserverSpec};
use crate::server::encrypted_threads;
use crate::source::cluster::{Access, Cluster, ClusterOptions, Timing};
use crate::source::manifests::{Manifests, ManifestsOptions};
use crate::store::{Store, Wanted, Writer};
use crate::tap::{Outlet, TapSpec};
use crate::time::Clock;
use crate::tls::{CertificateSpec, Certificates};
use crate::transfer::{Replica, ReplicaSpec};
use crate::zone::Held;

/// How often a folder of manifests is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// A store with what feeds it.
pub(super) struct Fed {
    /// Whether the plan that is being built, or in force, asked for it.
    used: bool,
    /// What it was asked for by.
    pub(super) spec: StoreSpec,
    /// What is wanted of it.
    wanted: Wanted,
    /// The store.
    pub(super) store: Arc<Store>,
    /// Its writer, until the source takes it.
    writer: Option<Writer>,
    /// What feeds it.
    feeder: Option<Feeder>,
    /// What keeps it on disk; behind what feeds it, so that the last snapshot has all that was told.
    keeper: Option<Keeper>,
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

/// Where queries are counted, by server and zone; kept over all plans, so that counters never fall.
#[derive(Clone, Default)]
pub(super) struct Tallies {
    /// Those of plain queries.
    zones: Arc<Mutex<Vec<ZoneTally>>>,
    /// Those of servers over HTTP and QUIC, by label.
    traffic: Arc<Mutex<Vec<ServerTraffic>>>,
}

/// A label `server`, and what is counted of it.
type ServerTraffic = (String, Arc<Traffic>);

/// The tallies of one zone of one server.
#[derive(Clone)]
pub(super) struct ZoneTally {
    /// Label `server`.
    server: String,
    /// Label `zone`.
    zone: String,
    /// Label `view`.
    view: String,
    /// One a worker.
    workers: Arc<[Tally]>,
}

impl Tallies {
    /// The tallies of a zone in a view of a server, made if there are none.
    fn get(&self, server: &str, zone: &str, view: &str, workers: usize) -> Arc<[Tally]> {
        let mut known = self.zones.lock();
        let same = |tally: &&ZoneTally| tally.server == server && tally.zone == zone && tally.view == view;
        if let Some(found) = known.iter().find(same) {
            return found.workers.clone();
        }
        let made: Arc<[Tally]> = (0..workers).map(|_| Tally::new(chain::ANSWERERS)).collect();
        known.push(ZoneTally {
            server: server.to_owned(),
            zone: zone.to_owned(),
            view: view.to_owned(),
            workers: made.clone(),
        });
        made
    }

    /// Where the answers of a server over HTTP or QUIC are counted, made if there is no such place.
    fn traffic(&self, scheme: Scheme, server: &str) -> Arc<Traffic> {
        let mut known = self.traffic.lock();
        if let Some((_, found)) = known.iter().find(|(label, _)| label == server) {
            return found.clone();
        }
        let made = Arc::new(Traffic::new(if scheme == Scheme::Quic { DOQ } else { HTTP }));
        known.push((server.to_owned(), made.clone()));
        made
    }
}

/// Caches of plans in force, and where all there ever were are counted.
#[derive(Default)]
pub(super) struct Caches {
    /// Caches that some plan holds.
    held: Vec<Weak<Cache>>,
    /// Counts by server, zones and view; kept over all plans, so that counters never fall.
    counts: Vec<([String; 3], Arc<Counts>)>,
}

/// The long-lived parts.
pub(super) struct Registry {
    /// Stores.
    pub(super) stores: Vec<Fed>,
    /// Where queries are counted.
    pub(super) tallies: Tallies,
    /// Groups and upstreams that somebody asks.
    pub(super) upstreams: Upstreams,
    /// Where all stores and sources count; kept over all plans, as tallies are.
    pub(super) counts: Arc<ClusterCounts>,
    /// Caches.
    pub(super) caches: Caches,
    /// Files of hosts.
    pub(super) hosts: HostsFiles,
    /// Files of weights.
    pub(super) weights: WeightFiles,
    /// Where single words count; kept over all plans.
    pub(super) families: Arc<Families>,
    /// Zones of records.
    pub(super) zones: Zones,
    /// Where `dns64` counts; kept over all plans.
    pub(super) translations: Arc<Translations>,
    /// Who sees what is asked, as long as some plan holds it.
    pub(super) observer: Weak<Observer>,
    /// Queues of collectors.
    pub(super) taps: Taps,
    /// Where templates count; kept over all plans.
    pub(super) templates: Arc<TemplateCounts>,
    /// Where `autopath` counts; kept over all plans.
    pub(super) completions: Arc<Completions>,
    /// Where loops are looked for; kept over all plans.
    pub(super) loops: Arc<Loops>,
    /// Certificates of our own.
    pub(super) files: CertificateFiles,
    /// How many workers there are, those for what is encrypted not counted.
    pub(super) workers: usize,
    /// How long things of an API server may take.
    pub(super) timing: Timing,
    /// The clock.
    pub(super) clock: Clock,
}

impl Parts for Registry {
    fn store(&mut self, spec: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        if let Some(known) = self.stores.iter_mut().find(|fed| fed.spec == *spec && fed.wanted == wanted) {
            known.used = true;
            return known.store.clone();
        }
        let (store, writer) = Store::new(wanted, self.clock.clone());
        self.stores.push(Fed {
            used: true,
            spec: spec.clone(),
            wanted,
            store: store.clone(),
            writer: Some(writer.counting(self.counts.clone())),
            feeder: None,
            keeper: None,
        });
        store
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        self.upstreams.group(spec)
    }

    fn cache(&mut self, spec: &CacheSpec) -> Arc<Cache> {
        let held = &mut self.caches.held;
        held.retain(|known| known.strong_count() > 0);
        let known = held.iter().filter_map(Weak::upgrade).find(|known| known.spec() == spec);
        known.unwrap_or_else(|| {
            let made = Arc::new(Cache::new(spec.clone()));
            held.push(Arc::downgrade(&made));
            made
        })
    }

    fn cache_counts(&mut self, server: &str, zones: &str, view: &str) -> Arc<Counts> {
        let all = self.counters();
        let counts = &mut self.caches.counts;
        if let Some((_, known)) = counts.iter().find(|(labels, _)| *labels == [server, zones, view]) {
            return known.clone();
        }
        let made = Arc::new(Counts::new(all));
        counts.push(([server, zones, view].map(ToOwned::to_owned), made.clone()));
        made
    }

    fn hosts(&mut self, spec: &HostsSpec) -> Arc<Hosts> {
        self.hosts.get(spec)
    }

    fn kubedns(&mut self, path: &std::path::Path) -> Result<crate::chain::KubeDnsConfig, String> {
        super::kubedns::read(path)
    }

    fn zone_file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        self.zones.file(spec)
    }

    fn zone_folder(&mut self, spec: &FolderSpec) -> Result<Arc<Folder>, String> {
        self.zones.folder(spec)
    }

    fn replica(&mut self, spec: &ReplicaSpec) -> Arc<Replica> {
        self.zones.replica(spec)
    }

    fn translations(&mut self) -> Arc<Translations> {
        self.translations.clone()
    }

    fn tap(&mut self, spec: &TapSpec) -> Arc<Outlet> {
        self.taps.get(spec)
    }

    fn observer(&mut self, spec: &ObserverSpec) -> Arc<Observer> {
        let known = self.observer.upgrade().filter(|known| known.spec() == spec);
        known.unwrap_or_else(|| {
            let made = Arc::new(Observer::new(*spec, self.counters(), self.clock.now()));
            self.observer = Arc::downgrade(&made);
            made
        })
    }

    fn templates(&mut self) -> Arc<TemplateCounts> {
        self.templates.clone()
    }

    fn completions(&mut self) -> Arc<Completions> {
        self.completions.clone()
    }

    fn search_list(&mut self, file: &Path) -> Result<Vec<Zone>, String> {
        let names = search_list(file)?;
        Ok(names.iter().filter_map(|name| Zone::parse(name).ok()).collect())
    }

    fn loops(&mut self) -> Arc<Loops> {
        self.loops.clone()
    }

    fn weights(&mut self, spec: &WeightsSpec) -> Result<Arc<Weights>, WeightsFault> {
        self.weights.get(spec)
    }

    fn counter(&mut self, family: &'static Family, labels: Labels<'_>) -> Arc<PerWorker> {
        self.families.counter(family, labels, self.counters())
    }

    fn tallies(&mut self, server: &str, zone: &str) -> Arc<[Tally]> {
        self.tallies.get(server, zone, "", self.counters())
    }

    fn view_tallies(&mut self, server: &str, zone: &str, view: &str) -> Arc<[Tally]> {
        self.tallies.get(server, zone, view, self.counters())
    }

    fn hostname(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".to_owned())
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        interfaces()
    }

    fn certificates(&mut self, spec: &CertificateSpec) -> Result<Option<Arc<Certificates>>, String> {
        self.files.get(spec).map(Some)
    }

    fn traffic(&mut self, scheme: Scheme, server: &str) -> Arc<Traffic> {
        self.tallies.traffic(scheme, server)
    }
}

impl Registry {
    /// How many count for themselves: the workers, and the threads for what is encrypted.
    fn counters(&self) -> usize {
        self.workers + encrypted_threads(self.workers)
    }

    /// Before a plan is built: nothing is asked for yet.
    pub(super) fn begin(&mut self) {
        self.stores.iter_mut().for_each(|fed| fed.used = false);
        self.upstreams.begin();
        self.hosts.begin();
        self.weights.begin();
        self.taps.begin();
        self.zones.begin();
    }

    /// The plan that was built is in force: what it did not ask for ends.
    pub(super) fn commit(&mut self) {
        self.stores.retain(|fed| fed.used);
        self.hosts.commit();
        self.weights.commit();
        self.taps.commit();
        self.zones.commit();
    }

    /// Ends the sources; the stores keep what they have.
    pub(super) fn end(&mut self) {
        self.stores.iter_mut().for_each(|fed| (fed.feeder, fed.keeper) = (None, None));
        self.upstreams.end();
        self.taps.end();
        self.zones.end();
    }

    /// The plan could not be built: what was made for it goes, what runs goes on.
    pub(super) fn abandon(&mut self) {
        self.stores.retain(|fed| fed.feeder.is_some());
        self.stores.iter_mut().for_each(|fed| fed.used = true);
        self.hosts.abandon();
        self.weights.abandon();
        self.taps.abandon();
        self.zones.abandon();
    }

    /// Starts the sources that are not running.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        self.hosts.feed()?;
        self.weights.feed()?;
        self.taps.feed()?;
        self.zones.feed()?;
        self.files.feed()?;
        let hostname = self.hostname();
        // Snapshots first: what they bring is there before any source says a word.
        for fed in &mut self.stores {
            let Some(writer) = &mut fed.writer else { continue };
            if let Some(snapshots) = Snapshots::of(&fed.spec, &fed.store, &self.clock, &self.counts) {
                snapshots.load(writer);
                fed.keeper = Some(Keeper::start(snapshots).map_err(ServeError::Start)?);
            }
        }
        for fed in &mut self.stores {
            let Some(writer) = fed.writer.take() else { continue };
            fed.feeder = Some(match &fed.spec.source {
                StoreSource::Manifests(dir) => {
                    let manifests = Manifests::new(ManifestsOptions {
                        dir: dir.clone(),
                        labels: fed.spec.labels.clone(),
                        pods: fed.wanted.pods,
                        endpoints: fed.wanted.endpoints,
                        more: fed.wanted.more(),
                    });
                    Feeder::Manifests { _thread: look(manifests, writer).map_err(ServeError::Start)? }
                }
                StoreSource::Cluster(access) => {
                    let options = ClusterOptions {
                        access: access.clone(),
                        labels: fed.spec.labels.clone(),
                        endpoints: fed.wanted.endpoints,
                        pods: fed.wanted.pods,
                        more: fed.wanted.more(),
                        throttle: fed.spec.throttle,
                        timing: self.timing,
                        counts: self.counts.clone(),
                        audit: fed.spec.audit,
                        replica: replica(&hostname),
                        seed: fastrand::u64(..),
                    };
                    let thread = Cluster::start(options, Box::new(writer)).map_err(ServeError::Start)?;
                    Feeder::Cluster { _thread: thread }
                }
            });
        }
        self.upstreams.tend().map_err(ServeError::Start)?;
        Ok(())
    }
}

/// The machine's own addresses by interface, loopback included; none where the kernel does not tell.
pub(crate) fn interfaces() -> Vec<(String, IpAddr)> {
    if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .map(|interface| (interface.name.clone(), interface.ip()))
        .collect()
}

/// A number that a replica's name decides, in a pod that of the pod: the same after a restart, another one in another.
fn replica(hostname: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(hostname, &mut hasher);
    std::hash::Hasher::finish(&hasher)
}

/// Starts the thread that looks at a folder of manifests.
fn look(mut manifests: Manifests, mut writer: Writer) -> std::io::Result<Looker> {
    Looker::start("manifests", Duration::ZERO, LOOK, move || tell(&manifests.look(&mut writer)))
}

/// A source in words.
pub(crate) fn source_text(source: &StoreSource) -> String {
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
