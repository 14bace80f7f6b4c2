//! `Change` in, names ready to answer out: one immutable `Arc` per Service, replaced whole, found by the labels of the
//! question.
//!
//! ```text
//! source ──Change──► Writer ──(settle)──► Service (Arc) ──► services: SVC.NS ──► readers
//!                      │                                ├─► reverse: address ──► SVC.NS
//!                      └─ parts: one per EndpointSlice ─┘
//! ```
//!
//! Invariants: one writer; a reader takes one `Arc` and never sees half a Service; no reader waits while something is
//! rebuilt (values are made before a lock is taken); nothing here knows zones, TTLs or stanzas, so one store serves many
//! of them; no hickory type; no clock but the one passed in.

pub mod change;
mod claims;
mod client;
mod endpoints;
mod external;
mod freshness;
mod hosts;
mod identity;
mod imports;
mod intern;
mod namespace;
mod part;
mod pod;
mod prefetch;
mod reverse;
mod service;
mod services;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod wanted;
mod writer;
mod zones;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

pub use change::{Change, Heard, Kind, Object, ObjectKey, Protocol, Sink, WatchState};
pub use client::ClientPod;
pub use endpoints::{Endpoints, Group};
pub use external::{Addresses, External, Externals};
pub use freshness::{Freshness, Look, STALE_AFTER, STALE_TTL};
pub use hosts::{Claim, Host, HostName, Hosts, Owner};
pub use imports::{Import, ImportSpec, Imports, Member as ImportMember};
pub use namespace::Namespace;
pub use part::{Label, Member, Naming, Part, PartPort};
pub use pod::PodNames;
pub use reverse::Reverse;
pub use service::{FewV4, Port, Service, Spec};
pub use wanted::{Need, Wanted};
pub use writer::Writer;

/// The wire form, lower case, of `SVC.NS`, without a final zero: how a Service is found.
pub type ServiceKey = Arc<[u8]>;

/// The hash maps' hasher: seeded at random, so that names can't be chosen to collide.
type Map<K, V> = DashMap<K, V, foldhash::fast::RandomState>;

/// What is called once when what is needed is known.
type SyncCallback = (Need, Box<dyn FnOnce() + Send>);

/// The names of one cluster.
pub struct Store {
    /// Services, and orphan slices under the name of the Service that they miss.
    services: services::Services,
    /// Namespaces by their label in wire form.
    namespaces: Map<Box<[u8]>, Arc<Namespace>>,
    /// Addresses to Services.
    reverse: Reverse,
    /// Pods, where they are watched.
    pods: PodNames,
    /// Services of the clusterset, where they are watched.
    imports: Imports,
    /// Services as they are reached from outside, where that is wanted.
    externals: Externals,
    /// Host names from outside, where they are watched.
    hosts: Hosts,
    /// What is fed.
    wanted: Wanted,
    /// The kinds that each `Need` needs, in their order, as bits.
    needed: [u16; 4],
    /// The kinds whose first list is complete.
    listed: AtomicU16,
    /// Unix seconds of the last change that matters (rules K-006, K-265).
    serial: AtomicU32,
    /// Ready endpoint addresses, for the report at start.
    endpoints: AtomicUsize,
    /// How fresh all that is.
    freshness: Freshness,
    /// The kinds whose first list was complete since the process started, as bits.
    reconciled: AtomicU16,
    /// UID of the Namespace `kube-system`, by which a cluster is known; empty for none.
    cluster: Mutex<Box<str>>,
    /// How many publications changed anything.
    changes: AtomicU64,
    /// Called when the first lists are complete.
    on_sync: Mutex<Vec<SyncCallback>>,
}

/// How much a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Services that exist.
    pub services: usize,
    /// Ready endpoints.
    pub endpoints: usize,
    /// Namespaces.
    pub namespaces: usize,
    /// Pods.
    pub pods: usize,
}

impl Store {
    /// An empty store and its only writer.
    #[must_use]
    pub fn new(wanted: Wanted, clock: crate::time::Clock) -> (Arc<Self>, Writer) {
        let needed = Need::ALL.map(|need| wanted.bits(need));
        let store = Arc::new(Self {
            services: services::Services::default(),
            namespaces: Map::default(),
            reverse: Reverse::default(),
            pods: PodNames::default(),
            imports: Imports::default(),
            externals: Externals::default(),
            hosts: Hosts::default(),
            wanted,
            needed,
            listed: AtomicU16::new(0),
            serial: AtomicU32::new(0),
            endpoints: AtomicUsize::new(0),
            freshness: Freshness::new(wanted, needed),
            reconciled: AtomicU16::new(0),
            cluster: Mutex::default(),
            changes: AtomicU64::new(0),
            on_sync: Mutex::new(Vec::new()),
        });
        (store.clone(), Writer::new(store, clock))
    }

    /// The Service of these labels (`SVC.NS`, wire form, lower case), orphan slices included.
    ///
    /// Cost: one hash, one shard's read lock, one reference count.
    #[must_use]
    pub fn service(&self, run: &[u8]) -> Option<Arc<Service>> {
        self.services.get(run)
    }

    /// What `look` makes of the Service of these labels, orphan slices included: for a look that takes no longer than an answer,
    /// since the writer may wait for it. In it other Services may be looked for.
    ///
    /// Cost: one hash, one shard's read lock; no reference is counted.
    pub fn with_service<T>(&self, run: &[u8], look: impl FnOnce(&Service) -> T) -> Option<T> {
        self.services.with(run, look)
    }

    /// Has the processor fetch the Service of these labels, for a look-up that comes soon.
    ///
    /// Cost: one hash, one shard's read lock, tried once; nothing is waited for.
    pub fn foresee(&self, run: &[u8]) {
        self.services.foresee(run);
    }

    /// The namespace of this label (wire form, lower case), if it exists.
    #[must_use]
    pub fn namespace(&self, run: &[u8]) -> Option<Arc<Namespace>> {
        self.namespaces.get(run).map(|found| Arc::clone(&found)).filter(|namespace| namespace.exists())
    }

    /// The addresses' index.
    #[must_use]
    pub fn reverse(&self) -> &Reverse {
        &self.reverse
    }

    /// The pods' index; empty unless pods are watched.
    #[must_use]
    pub fn pods(&self) -> &PodNames {
        &self.pods
    }

    /// The clusterset's Services; none unless they are watched.
    #[must_use]
    pub fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Services as they are reached from outside; none unless that is wanted.
    #[must_use]
    pub fn externals(&self) -> &Externals {
        &self.externals
    }

    /// Host names from outside; none unless they are watched.
    #[must_use]
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// How fresh all that is.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The namespace of this label, made if it is not known yet.
    fn named_namespace(&self, run: &[u8]) -> Arc<Namespace> {
        if let Some(known) = self.namespaces.get(run) {
            return known.clone();
        }
        let name = run.get(1..).map(String::from_utf8_lossy).unwrap_or_default();
        let made = Arc::new(Namespace::named(&name));
        self.namespaces.insert(run.into(), made.clone());
        made
    }

    /// Drops the entry of a namespace that does not exist and that nothing names.
    fn forget_namespace(&self, run: &[u8]) {
        // The map holds one reference; a reader that holds another for a moment only keeps a small entry.
        self.namespaces
            .remove_if(run, |_, namespace| !namespace.exists() && Arc::strong_count(namespace) == 1);
    }

    /// Whether the first lists of all that is wanted are complete (rule K-235), by an API server or by a snapshot; stays
    /// true, unless the snapshot is renounced (rule K-274).
    #[must_use]
    pub fn synced(&self) -> bool {
        self.knows(Need::All)
    }

    /// Whether the first lists of what is needed are complete (rule K-016); stays true as `synced` does.
    #[must_use]
    pub fn knows(&self, need: Need) -> bool {
        let needed = self.needed.get(need as usize).copied().unwrap_or(0);
        self.listed.load(Ordering::Acquire) & needed == needed
    }

    /// Calls `callback` once the store is complete: at once if it is.
    pub fn when_synced(&self, callback: impl FnOnce() + Send + 'static) {
        self.when_known(Need::All, callback);
    }

    /// Calls `callback` once what is needed is known: at once if it is.
    pub fn when_known(&self, need: Need, callback: impl FnOnce() + Send + 'static) {
        let mut waiting = self.on_sync.lock();
        if self.knows(need) {
            drop(waiting);
            callback();
        } else {
            waiting.push((need, Box::new(callback)));
        }
    }

    /// The serial of every zone served from this store (rule K-006): 0 before any change.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial.load(Ordering::Relaxed)
    }

    /// How much the store holds now. Cost: a walk over all Services.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut services = 0;
        self.services.each(|service| services += usize::from(!matches!(service.spec(), Spec::Orphan)));
        Counts {
            services,
            endpoints: self.endpoints.load(Ordering::Relaxed),
            namespaces: self.namespaces.iter().filter(|entry| entry.exists()).count(),
            pods: self.pods.len(),
        }
    }

    /// Calls `visit` for every Service in no order, orphans included, each as of the moment it is reached.
    pub fn each_service(&self, mut visit: impl FnMut(&Service)) {
        self.services.each(|service| visit(service));
    }

    /// Calls `visit` for every Namespace that exists, in no order.
    pub fn each_namespace(&self, mut visit: impl FnMut(&Namespace)) {
        for entry in self.namespaces.iter().filter(|entry| entry.exists()) {
            visit(&entry);
        }
    }

    /// All Services that exist, in no order. Cost: a reference count each.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<Service>> {
        let mut all = Vec::new();
        self.services.each(|service| {
            if !matches!(service.spec(), Spec::Orphan) {
                all.push(service.clone());
            }
        });
        all
    }

    /// What is wanted of the cluster.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// How many publications changed anything: whoever saw the number knows later whether there was another.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether names of the cluster come from its API server: the first lists were complete since the process started.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        let needed = self.wanted.bits(Need::Cluster);
        self.reconciled.load(Ordering::Acquire) & needed == needed
    }

    /// Whether the first list of a kind was complete since the process started.
    fn reconciled(&self, kind: Kind) -> bool {
        self.reconciled.load(Ordering::Acquire) & wanted::bit(kind) != 0
    }

    /// UID of the Namespace `kube-system`; empty where none is known.
    fn cluster(&self) -> String {
        self.cluster.lock().to_string()
    }

    /// Notes that UID.
    fn set_cluster(&self, uid: &str) {
        *self.cluster.lock() = uid.into();
    }

    /// The kinds that a snapshot of this store may call complete, as bits: where an API server has confirmed it, those that it
    /// listed, so that what an earlier snapshot said of others does not grow young again.
    fn vouched(&self) -> u16 {
        let kinds = if self.is_reconciled() { &self.reconciled } else { &self.listed };
        kinds.load(Ordering::Acquire)
    }

    /// All namespaces, those that do not exist included. Cost: a reference count each.
    fn all_namespaces(&self) -> Vec<Arc<Namespace>> {
        self.namespaces.iter().map(|entry| entry.value().clone()).collect()
    }

    /// Notes that the first list of `kind` is complete.
    fn complete(&self, kind: Kind) {
        self.freshness.reconciled(kind);
        self.reconciled.fetch_or(wanted::bit(kind), Ordering::AcqRel);
        self.presume(wanted::bit(kind));
    }

    /// Only what was listed since the process started is known: what a snapshot said does not count any more.
    fn retract(&self) {
        let _waiting = self.on_sync.lock();
        self.listed.store(self.reconciled.load(Ordering::Acquire), Ordering::Release);
    }

    /// Takes it that these kinds, as bits, are known.
    fn presume(&self, kinds: u16) {
        let mut waiting = self.on_sync.lock();
        self.listed.fetch_or(kinds, Ordering::AcqRel);
        let (known, later) =
            std::mem::take(&mut *waiting).into_iter().partition(|(need, _)| self.knows(*need));
        *waiting = later;
        drop(waiting);
        let known: Vec<SyncCallback> = known;
        for (_, callback) in known {
            callback();
        }
    }
}

/// The key of a Service; `None` where name or namespace is no label.
fn service_key(namespace: &str, name: &str) -> Option<ServiceKey> {
    let mut run = Vec::with_capacity(namespace.len() + name.len() + 2);
    (push_label(&mut run, name) && push_label(&mut run, namespace)).then(|| run.into())
}

/// The namespace's label inside a Service's key.
fn namespace_run(key: &[u8]) -> &[u8] {
    let skip = 1 + key.first().copied().map_or(0, usize::from);
    key.get(skip..).unwrap_or_default()
}

/// Hash of a label (FNV-1a): only sorts endpoint names, a collision costs a comparison.
fn label_hash(label: &[u8]) -> u32 {
    label.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Appends `label` in wire form, lower case; false, and nothing appended, where it is empty or over 63 bytes.
fn push_label(run: &mut Vec<u8>, label: &str) -> bool {
    let Ok(length) = u8::try_from(label.len()) else { return false };
    if length == 0 || length > 63 {
        return false;
    }
    run.push(length);
    run.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    true
}

/// The bytes of an address: 4 or 16.
#[must_use]
pub fn octets(address: IpAddr) -> ([u8; 16], usize) {
    let mut bytes = [0_u8; 16];
    match address {
        IpAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.octets());
            (bytes, 4)
        }
        IpAddr::V6(v6) => (v6.octets(), 16),
    }
}
