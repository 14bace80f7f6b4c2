//! The one writer: applies changes, rebuilds the Services they touch, publishes each whole.

mod held;
mod restore;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::change::{
    Change, Heard, Kind, NamespaceObject, Object, ObjectId, ObjectKey, PodObject, ServiceObject, Sink,
    SliceObject, VersionId,
};
use super::claims::ClaimBook;
use super::external::ExternalBook;
use super::identity::{AsIs, SliceId, Version};
use super::imports::ImportBook;
use super::intern::Interned;
use super::pod::{KnownPod, PodEntry};
use super::service::{Definition, Slot};
use super::wanted::{KINDS, place};
use super::zones::PartOptions;
use super::{
    Endpoints, Part, PartPort, Port, Service, ServiceKey, Spec, Store, namespace_run, push_label, service_key,
};
use crate::metrics::{ClusterCounts, ServiceKind};
use crate::time::Clock;
use restore::Restored;

/// A Service that changed since the last publication.
struct Pending {
    /// How it is found.
    key: ServiceKey,
    /// What its object gives.
    definition: Definition,
    /// Its slices.
    parts: Vec<Arc<Part>>,
    /// The list in which the object was last seen.
    mark: u32,
    /// When the changes of its slices were triggered. Unit: nanoseconds since 1970 (rule K-275).
    triggered: Vec<u64>,
}

/// Where changes go in. There is one for each store, and it is not cloned.
///
/// Flow: `change` notes, `settle` publishes: what changed together appears together, one `Arc` a Service.
/// Relist is mark and sweep in place: nothing is held twice, and an object that did not change costs a comparison of versions.
pub struct Writer {
    /// Where it publishes.
    store: Arc<Store>,
    /// For the serial, and for how soon a change is served.
    clock: Clock,
    /// Where it is counted how soon a change is served.
    counts: Arc<ClusterCounts>,
    /// The current list of each kind, counted up by `Begin`.
    generations: [u32; KINDS],
    /// Which Service a slice belongs to.
    slices: HashMap<SliceId, Slot, BuildHasherDefault<AsIs>>,
    /// Services that changed since the last publication.
    pending: HashMap<Slot, Pending>,
    /// Those of them that were never published.
    coming: HashMap<ServiceKey, Slot>,
    /// Lists of ports of Services.
    ports: Interned<Port>,
    /// Lists of ports of slices.
    part_ports: Interned<PartPort>,
    /// The same for Services of the clusterset.
    imports: ImportBook,
    /// The same for Services as they are reached from outside.
    externals: ExternalBook,
    /// The same for host names.
    claims: ClaimBook,
    /// Whether something changed that moves the serial (rule K-265).
    moved: bool,
    /// Kinds whose first list ended since the last publication.
    ended: Vec<Kind>,
    /// Whether anything else changed that a snapshot has.
    touched: bool,
    /// The snapshot that is held, until it is confirmed or renounced.
    restored: Option<Restored>,
}

impl Writer {
    /// The writer of an empty store.
    pub(super) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            counts: Arc::default(),
            generations: [1; KINDS],
            slices: HashMap::default(),
            pending: HashMap::new(),
            coming: HashMap::new(),
            ports: Interned::default(),
            part_ports: Interned::default(),
            imports: ImportBook::default(),
            externals: ExternalBook::default(),
            claims: ClaimBook::default(),
            moved: false,
            ended: Vec::new(),
            touched: false,
            restored: None,
        }
    }

    /// The same writer, counting into `counts`, which it may share with others.
    #[must_use]
    pub fn counting(mut self, counts: Arc<ClusterCounts>) -> Self {
        self.counts = counts;
        self
    }

    /// The current list of a kind.
    fn generation(&self, kind: Kind) -> u32 {
        self.generations.get(place(kind)).copied().unwrap_or(0)
    }

    /// The slot of a Service, if anything of it is known.
    fn known(&self, key: &[u8]) -> Option<Slot> {
        self.store.service(key).map(|service| service.slot).or_else(|| self.coming.get(key).copied())
    }

    /// The slot of a Service, reserved if nothing of it is known.
    fn slot(&mut self, key: &ServiceKey) -> Slot {
        if let Some(slot) = self.known(key) {
            return slot;
        }
        let slot = self.store.reverse.reserve();
        self.coming.insert(key.clone(), slot);
        let orphan = Pending {
            key: key.clone(),
            definition: Definition::orphan(),
            parts: Vec::new(),
            mark: 0,
            triggered: Vec::new(),
        };
        self.pending.insert(slot, orphan);
        slot
    }

    /// The working copy of a Service that is known, taken from what is published.
    fn pending(&mut self, slot: Slot) -> Option<&mut Pending> {
        if !self.pending.contains_key(&slot) {
            let service = self.store.reverse.at(slot)?;
            let pending = Pending {
                key: service.key().into(),
                definition: service.definition(),
                parts: service.endpoints().parts().to_vec(),
                mark: service.mark.load(Ordering::Relaxed),
                triggered: Vec::new(),
            };
            self.pending.insert(slot, pending);
        }
        self.pending.get_mut(&slot)
    }

    /// Takes a Service.
    fn upsert_service(&mut self, object: ServiceObject) {
        let Some(key) = service_key(&object.key.namespace, &object.key.name) else { return };
        let mark = self.generation(Kind::Services);
        if let Some(known) = self.store.service(&key)
            && !self.pending.contains_key(&known.slot)
            && !matches!(known.spec(), Spec::Orphan)
            && known.version.is(Version::of(&object.revision))
        {
            known.mark.store(mark, Ordering::Relaxed);
            return;
        }
        if self.store.wanted.external {
            self.externals.upsert(&key, &object);
        }
        let definition = Definition::build(object, &mut self.ports);
        let slot = self.slot(&key);
        let Some(pending) = self.pending(slot) else { return };
        pending.mark = mark;
        let moved = !pending.definition.same(&definition);
        pending.definition = definition;
        self.moved |= moved;
    }

    /// Drops a Service; its slices stay (rule K-267).
    fn remove_service(&mut self, slot: Slot) {
        let external = self.store.wanted.external;
        let Some(pending) = self.pending(slot) else { return };
        let key = external.then(|| pending.key.clone());
        let known = !matches!(pending.definition.spec, Spec::Orphan);
        pending.definition = Definition::orphan();
        self.moved |= known;
        if let Some(key) = key {
            self.externals.remove(&key);
        }
    }

    /// How slices are kept.
    fn part_options(&self) -> PartOptions {
        PartOptions { pod_names: self.store.wanted.pod_names, zones: self.store.wanted.zones }
    }

    /// Takes a slice: as one of a Service, as one of a Service of the clusterset, or as both.
    fn upsert_slice(&mut self, object: SliceObject) {
        let id = SliceId::of(&object.key);
        if self.store.wanted.imports {
            match &object.import {
                Some(labels) => {
                    let (labels, mark) = (labels.clone(), self.generation(Kind::EndpointSlices));
                    let options = PartOptions { zones: false, ..self.part_options() };
                    let part = Part::build(object.clone(), options, mark, &mut self.part_ports);
                    self.imports.upsert_slice(self.store.imports(), &object.key, part, &labels);
                }
                None => self.imports.remove_slice(self.store.imports(), id),
            }
        }
        let Some(key) = service_key(&object.key.namespace, &object.service) else {
            self.remove_slice(id);
            return;
        };
        let mark = self.generation(Kind::EndpointSlices);
        let before = self.slices.get(&id).copied();
        let slot = self.slot(&key);
        if before.is_some_and(|before| before != slot) {
            self.remove_slice(id);
        }
        if before == Some(slot) {
            let version = Version::of(&object.revision);
            let same = |parts: &[Arc<Part>]| {
                parts
                    .iter()
                    .find(|part| part.slice == id && part.version.is(version))
                    .map(|part| part.mark.store(mark, Ordering::Relaxed))
                    .is_some()
            };
            let unchanged = match self.pending.get(&slot) {
                Some(pending) => same(&pending.parts),
                None => self.store.service(&key).is_some_and(|service| same(service.endpoints().parts())),
            };
            if unchanged {
                return;
            }
        }
        let triggered = object.triggered;
        let part = Arc::new(Part::build(object, self.part_options(), mark, &mut self.part_ports));
        let Some(pending) = self.pending(slot) else { return };
        pending.triggered.extend(triggered);
        let moved = match pending.parts.iter_mut().find(|known| known.slice == id) {
            Some(known) => {
                let moved = !known.same(&part);
                *known = part;
                moved
            }
            None => {
                pending.parts.push(part);
                true
            }
        };
        self.moved |= moved;
        self.slices.insert(id, slot);
    }

    /// Drops a slice.
    fn remove_slice(&mut self, id: SliceId) {
        let Some(slot) = self.slices.remove(&id) else { return };
        if let Some(pending) = self.pending(slot) {
            pending.parts.retain(|part| part.slice != id);
        }
        self.moved = true;
    }

    /// Takes a Namespace: effective at once, nothing depends on it but its own flag.
    fn upsert_namespace(&mut self, object: NamespaceObject) {
        let mut run = Vec::new();
        if push_label(&mut run, &object.name) {
            let namespace = self.store.named_namespace(&run);
            namespace.mark.store(self.generation(Kind::Namespaces), Ordering::Relaxed);
            let version = Version::of(&object.revision);
            self.touched |= !namespace.exists() || !namespace.version().is(version);
            self.recognize(&object);
            namespace.set(version, object.labels);
        }
    }

    /// Drops a Namespace: names in it are gone at once (rule K-266).
    fn remove_namespace(&mut self, name: &str) {
        self.touched = true;
        let mut run = Vec::new();
        if push_label(&mut run, name) {
            if let Some(namespace) = self.store.namespaces.get(run.as_slice()) {
                namespace.clear();
            }
            self.store.forget_namespace(&run);
        }
    }

    /// Takes a pod: its addresses move at once (rule K-158).
    fn upsert_pod(&mut self, object: &PodObject) {
        let Some(entry) = PodEntry::build(object, self.store.wanted.clients) else { return };
        let mark = self.generation(Kind::Pods);
        let version = Version::of(&object.revision);
        let pods = &self.store.pods;
        let Some(mut part) = pods.known().of(&object.key) else { return };
        match part.get_mut(&object.key) {
            Some(known) => {
                if known.entry != entry {
                    // In before out, so that an address both have is never missing.
                    pods.add(&entry);
                    pods.remove(&known.entry);
                    self.moved |= known.entry.addresses != entry.addresses;
                    known.entry = entry;
                }
                self.touched |= !known.version.is(version);
                (known.mark, known.version) = (mark, version);
            }
            None => {
                pods.add(&entry);
                part.insert(object.key.clone(), KnownPod { entry, mark, version });
                self.moved = true;
            }
        }
    }

    /// Drops a pod.
    fn remove_pod(&mut self, key: &ObjectKey) {
        let known = self.store.pods.known().of(key).and_then(|mut part| part.remove(key));
        if let Some(known) = known {
            self.store.pods.remove(&known.entry);
            self.moved = true;
        }
    }

    /// Drops what the list that ends now did not name.
    fn sweep(&mut self, kind: Kind) {
        let current = self.generation(kind);
        match kind {
            Kind::Services => {
                let stale = |spec: &Spec, mark| !matches!(spec, Spec::Orphan) && mark != current;
                let mut gone: Vec<Slot> = Vec::new();
                self.store.services.each(|service| {
                    if stale(service.spec(), service.mark.load(Ordering::Relaxed))
                        && !self.pending.contains_key(&service.slot)
                    {
                        gone.push(service.slot);
                    }
                });
                let pending = self.pending.iter();
                let pending = pending.filter(|(_, pending)| stale(&pending.definition.spec, pending.mark));
                gone.extend(pending.map(|(slot, _)| *slot));
                for slot in gone {
                    self.remove_service(slot);
                }
            }
            Kind::EndpointSlices => {
                let stale = |part: &&Arc<Part>| part.mark.load(Ordering::Relaxed) != current;
                let mut gone: Vec<SliceId> = Vec::new();
                self.store.services.each(|service| {
                    if !self.pending.contains_key(&service.slot) {
                        let parts = service.endpoints().parts().iter();
                        gone.extend(parts.filter(stale).map(|part| part.slice));
                    }
                });
                for pending in self.pending.values() {
                    gone.extend(pending.parts.iter().filter(stale).map(|part| part.slice));
                }
                for slice in gone {
                    self.remove_slice(slice);
                }
                self.imports.sweep_slices(self.store.imports(), current);
            }
            Kind::Imports => self.imports.sweep(self.store.imports(), current),
            Kind::Hosts(kind) => self.claims.sweep(kind, current),
            Kind::Namespaces => {
                let mut gone: Vec<Box<[u8]>> = Vec::new();
                for entry in &self.store.namespaces {
                    if entry.exists() && entry.mark.load(Ordering::Relaxed) != current {
                        entry.clear();
                        gone.push(entry.key().clone());
                    }
                }
                gone.iter().for_each(|run| self.store.forget_namespace(run));
            }
            Kind::Pods => {
                let mut gone: Vec<ObjectKey> = Vec::new();
                self.store.pods.known().each(|key, known| {
                    if known.mark != current {
                        gone.push(key.clone());
                    }
                });
                for key in gone {
                    self.remove_pod(&key);
                }
            }
        }
    }

    /// Publishes one Service that changed now.
    fn publish(&mut self, slot: Slot, pending: Pending) {
        let changed = self.clock.wall().serial();
        self.publish_as_of(slot, pending, changed);
    }

    /// Publishes one Service that changed at this time. Unit: seconds since 1970.
    fn publish_as_of(&mut self, slot: Slot, pending: Pending, changed: u32) {
        let key = pending.key;
        let old = self.store.service(&key);
        let endpoints = Endpoints::build(pending.parts);
        let gone = matches!(pending.definition.spec, Spec::Orphan) && endpoints.parts().is_empty();
        let kind = service_kind(&pending.definition.spec);
        let namespace = self.store.named_namespace(namespace_run(&key));
        let (definition, mark) = (pending.definition, pending.mark);
        let new = Arc::new(Service::build((&key, slot), namespace, definition, endpoints, mark, changed));

        // Addresses go in before the Service is replaced and out after it: a PTR may be early, never missing.
        let old_cluster = old.as_ref().map(|service| service.cluster_ips()).unwrap_or_default();
        let new_cluster = new.cluster_ips();
        let except = |ips: &[IpAddr], others: &[IpAddr]| -> Vec<IpAddr> {
            ips.iter().filter(|ip| !others.contains(ip)).copied().collect()
        };
        let (came, went) = difference(old.as_deref(), &new);
        let reverse = &self.store.reverse;
        if !gone {
            reverse.put(slot, Some(new.clone()));
        }
        reverse.add_cluster(&except(&new_cluster, &old_cluster), slot);
        reverse.add_endpoints(&came, slot);

        let before = old.as_ref().map_or(0, |service| service.endpoints().len());
        let after = new.endpoints().len();
        self.store.endpoints.fetch_add(after, Ordering::Relaxed);
        self.store.endpoints.fetch_sub(before, Ordering::Relaxed);
        if gone {
            drop(new);
            self.store.services.remove(&key);
        } else {
            self.store.services.insert(new);
        }

        reverse.remove_cluster(&except(&old_cluster, &new_cluster), slot);
        reverse.remove_endpoints(&went, slot);
        if gone {
            reverse.put(slot, None);
            drop(old);
            self.store.forget_namespace(namespace_run(&key));
        }
        if let Some(kind) = kind
            && !pending.triggered.is_empty()
        {
            let now = self.clock.since_1970();
            let since = |&at: &u64| {
                let at = Duration::from_nanos(at);
                now.checked_sub(at).map_or_else(|| -(at - now).as_secs_f64(), |passed| passed.as_secs_f64())
            };
            self.counts.programmed(kind, pending.triggered.iter().map(since));
        }
    }
}

/// Whether, and as what, it is counted how soon changes of this Service's slices are served (rule K-275).
fn service_kind(spec: &Spec) -> Option<ServiceKind> {
    match spec {
        Spec::Cluster { .. } => Some(ServiceKind::ClusterIp),
        Spec::Headless => Some(ServiceKind::Headless),
        // Nothing is served from the slices but PTRs.
        Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => None,
    }
}

/// The endpoint addresses that the new Service has and the old has not, and the other way round, each once.
///
/// Cost: a look at the slices that changed; those that both have are not read.
fn difference(old: Option<&Service>, new: &Service) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let Some(old) = old.map(Service::endpoints) else {
        return (only(new.endpoints(), &Endpoints::default()), Vec::new());
    };
    (only(new.endpoints(), old), only(old, new.endpoints()))
}

/// The addresses that only the first of two has.
fn only(these: &Endpoints, others: &Endpoints) -> Vec<IpAddr> {
    // Slices keep their order from one publication to the next, so the same one is nearly always in the same place.
    let shared = |at: usize, part: &Arc<Part>| {
        let others = others.parts();
        others.get(at).is_some_and(|other| Arc::ptr_eq(part, other))
            || others.iter().any(|other| Arc::ptr_eq(part, other))
    };
    let mut only: Vec<IpAddr> = these
        .parts()
        .iter()
        .enumerate()
        .filter(|(at, part)| !shared(*at, part))
        .flat_map(|(_, part)| part.members())
        .map(|member| member.ip())
        .filter(|&ip| !others.has_address(ip))
        .collect();
    only.sort_unstable();
    only.dedup();
    only
}

impl Sink for Writer {
    fn change(&mut self, change: Change) {
        match change {
            Change::Begin(kind) => {
                if let Some(generation) = self.generations.get_mut(place(kind)) {
                    *generation = generation.wrapping_add(1);
                }
            }
            Change::Upsert(Object::Service(service)) => self.upsert_service(service),
            Change::Upsert(Object::Slice(slice)) => self.upsert_slice(slice),
            Change::Upsert(Object::Namespace(namespace)) => self.upsert_namespace(namespace),
            Change::Upsert(Object::Pod(pod)) => self.upsert_pod(&pod),
            Change::Upsert(Object::Import(import)) => {
                let mark = self.generation(Kind::Imports);
                self.imports.upsert(self.store.imports(), &import, mark);
            }
            Change::Upsert(Object::Hosts(hosts)) => {
                let mark = self.generation(Kind::Hosts(hosts.kind));
                self.claims.upsert(hosts, mark);
            }
            // Nothing was taken in under such a name, and it is not to be taken for another.
            Change::Remove(_, key) if key.has_capitals() => {}
            Change::Remove(Kind::Services, key) => {
                if let Some(key) = service_key(&key.namespace, &key.name)
                    && let Some(slot) = self.known(&key)
                {
                    self.remove_service(slot);
                }
            }
            Change::Remove(Kind::EndpointSlices, key) => {
                let id = SliceId::of(&key);
                self.imports.remove_slice(self.store.imports(), id);
                self.remove_slice(id);
            }
            Change::Remove(Kind::Imports, key) => self.imports.remove(self.store.imports(), &key),
            Change::Remove(Kind::Hosts(kind), key) => self.claims.remove(kind, &key),
            Change::Remove(Kind::Namespaces, key) => self.remove_namespace(&key.name),
            Change::Remove(Kind::Pods, key) => self.remove_pod(&key),
            Change::End(kind) => {
                self.sweep(kind);
                self.ended.push(kind);
                if kind == Kind::Namespaces {
                    self.namespaces_listed();
                }
            }
        }
    }

    fn settle(&mut self) {
        let mut touched = std::mem::take(&mut self.touched) | self.moved | !self.pending.is_empty();
        if std::mem::take(&mut self.moved) {
            self.store.serial.store(self.clock.wall().serial(), Ordering::Relaxed);
        }
        self.coming = HashMap::new();
        for (slot, pending) in std::mem::take(&mut self.pending) {
            self.publish(slot, pending);
        }
        touched |= self.imports.is_touched();
        if self.imports.settle(&self.store) {
            self.store.imports().moved(self.clock.wall().serial());
        }
        let external = self.externals.settle(&self.store);
        if self.claims.settle(&self.store, &self.counts) || external {
            touched = true;
            self.store.externals().moved(self.clock.wall().serial());
        }
        if touched {
            self.store.changes.fetch_add(1, Ordering::Release);
        }
        // Only now: whoever sees the store complete sees all that completed it.
        for kind in std::mem::take(&mut self.ended) {
            self.store.complete(kind);
        }
    }

    fn heard(&mut self, kind: Kind, heard: Heard<'_>) {
        self.store.freshness.heard(kind, heard, self.clock.now());
    }

    fn held(&self, kind: Kind, key: &ObjectKey) -> Option<VersionId> {
        self.version_held(kind, key).map(Into::into)
    }

    fn each_held(&self, kind: Kind, visit: &mut dyn FnMut(ObjectId)) {
        self.visit_held(kind, visit);
    }

    fn drop_held(&mut self, kind: Kind, objects: &HashSet<ObjectId>) {
        self.remove_held(kind, objects);
    }
}
