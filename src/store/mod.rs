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
mod endpoints;
mod identity;
mod intern;
mod namespace;
mod part;
mod pod;
mod reverse;
mod service;
mod services;
#[cfg(test)]
mod tests;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

pub use change::{Change, Kind, Object, ObjectKey, Protocol, Sink};
pub use endpoints::{Endpoints, Group};
pub use namespace::Namespace;
pub use part::{Label, Member, Naming, Part, PartPort};
pub use pod::PodNames;
pub use reverse::Reverse;
pub use service::{FewV4, Port, Service, Spec};
pub use writer::Writer;

/// The wire form, lower case, of `SVC.NS`, without a final zero: how a Service is found.
pub type ServiceKey = Arc<[u8]>;

/// Which objects a store is fed with; decides when it is complete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Wanted {
    /// EndpointSlices: all but `noendpoints`.
    pub endpoints: bool,
    /// Pods: only for `pods verified`.
    pub pods: bool,
    /// Names of pods that stand behind endpoints: only for `endpoint_pod_names`.
    pub pod_names: bool,
}

impl Wanted {
    /// The kinds that must be listed before the store is complete, as bits of `bit`.
    fn bits(self) -> u8 {
        let mut bits = bit(Kind::Services) | bit(Kind::Namespaces);
        if self.endpoints {
            bits |= bit(Kind::EndpointSlices);
        }
        if self.pods {
            bits |= bit(Kind::Pods);
        }
        bits
    }
}

/// The bit of a kind.
fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Services => 1,
        Kind::EndpointSlices => 2,
        Kind::Namespaces => 4,
        Kind::Pods => 8,
    }
}

/// The hash maps' hasher: seeded at random, so that names can't be chosen to collide.
type Map<K, V> = DashMap<K, V, foldhash::fast::RandomState>;

/// What is called once when the store is complete.
type SyncCallback = Box<dyn FnOnce() + Send>;

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
    /// What is fed.
    wanted: Wanted,
    /// The kinds whose first list is complete.
    listed: AtomicU8,
    /// Unix seconds of the last change that matters (rules K-006, K-265).
    serial: AtomicU32,
    /// Ready endpoint addresses, for the report at start.
    endpoints: AtomicUsize,
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
        let store = Arc::new(Self {
            services: services::Services::default(),
            namespaces: Map::default(),
            reverse: Reverse::default(),
            pods: PodNames::default(),
            wanted,
            listed: AtomicU8::new(0),
            serial: AtomicU32::new(0),
            endpoints: AtomicUsize::new(0),
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

    /// Whether the first lists of all that is wanted are complete (rule K-016); stays true.
    #[must_use]
    pub fn synced(&self) -> bool {
        let wanted = self.wanted.bits();
        self.listed.load(Ordering::Acquire) & wanted == wanted
    }

    /// Calls `callback` once the store is complete: at once if it is.
    pub fn when_synced(&self, callback: impl FnOnce() + Send + 'static) {
        let mut waiting = self.on_sync.lock();
        if self.synced() {
            drop(waiting);
            callback();
        } else {
            waiting.push(Box::new(callback));
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

    /// Notes that the first list of `kind` is complete.
    fn complete(&self, kind: Kind) {
        let mut waiting = self.on_sync.lock();
        self.listed.fetch_or(bit(kind), Ordering::AcqRel);
        if self.synced() {
            let callbacks = std::mem::take(&mut *waiting);
            drop(waiting);
            for callback in callbacks {
                callback();
            }
        }
    }
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
