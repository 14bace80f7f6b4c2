//! The long-lived parts that plans borrow: stores, caches, upstreams, files, and where things are counted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::auto::{Folder, FolderSpec};
use super::autopath::Completions;
use super::dns64::Translations;
use super::file::ZoneFile;
use super::hosts::{Hosts, HostsSpec};
use super::kubedns_config::KubeDnsConfig;
use super::kubernetes::SnapshotSpec;
use super::loadbalance::{Weights, WeightsFault, WeightsSpec};
use super::template::TemplateCounts;
use crate::cache::{Cache, Counts, Spec as CacheSpec};
use crate::corefile::{Transport as Scheme, Zone};
use crate::forward::{Group, GroupSpec, Loops, TargetFault};
use crate::metrics::{Family, Labels, PerWorker, Tally, Traffic};
use crate::observe::{Observer, ObserverSpec};
use crate::source::Selector;
use crate::source::cluster::{Access, AccessError, ThrottleOptions};
use crate::store::{Store, Wanted};
use crate::tap::{Outlet, TapSpec};
use crate::time::Tick;
use crate::tls::{CertificateSpec, Certificates};
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
    /// Where what is known is kept for a warm start (rule K-273).
    pub snapshot: Option<SnapshotSpec>,
    /// How often each resource is audited, `None` for never (rule K-271).
    pub audit: Option<Duration>,
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

    /// Who sees what is asked; the running one where it is equal.
    fn observer(&mut self, spec: &ObserverSpec) -> Arc<Observer> {
        Arc::new(Observer::new(*spec, 1, Tick::default()))
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

    /// The certificate of a line; the running one where it is equal.
    ///
    /// Unless somebody keeps them, no file is read and there is none: enough to read a Corefile.
    ///
    /// Errors: a file that can't be used, in words for the one who wrote the line.
    fn certificates(&mut self, spec: &CertificateSpec) -> Result<Option<Arc<Certificates>>, String> {
        let _ = spec;
        Ok(None)
    }

    /// Where the answers of a server over HTTP or QUIC are counted; the running counts where there are any.
    fn traffic(&mut self, scheme: Scheme, server: &str) -> Arc<Traffic> {
        let _ = (scheme, server);
        Arc::new(Traffic::new(&[]))
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
