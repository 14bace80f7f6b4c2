//! Services of a clusterset: ServiceImports and the slices of other clusters (rules K-210 to K-214); empty unless a stanza
//! asks for them.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::change::{ImportObject, ObjectKey, SliceImport};
use super::identity::{AsIs, SliceId, Version};
use super::{Endpoints, Map, Namespace, Part, Port, ServiceKey, Store, namespace_run, service_key};

/// What an import's object says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportSpec {
    /// No object of this name: slices alone make no names.
    Orphan,
    /// Type ClusterSetIP.
    Set {
        /// IPv4 addresses.
        v4: Box<[[u8; 4]]>,
        /// IPv6 addresses.
        v6: Box<[[u8; 16]]>,
    },
    /// Type Headless.
    Headless,
}

/// The endpoints of one cluster.
#[derive(Debug)]
pub struct Member {
    /// The cluster's id in lower case, empty where its slices have none.
    cluster: Box<str>,
    /// What it has.
    endpoints: Endpoints,
}

impl Member {
    /// The cluster's id in lower case.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Its ready endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

/// A Service of a clusterset, immutable.
#[derive(Debug)]
pub struct Import {
    /// `SVC.NS` in wire form, lower case.
    key: ServiceKey,
    /// Its namespace.
    namespace: Arc<Namespace>,
    /// What it is.
    spec: ImportSpec,
    /// Its ports.
    ports: Box<[Port]>,
    /// Its clusters, sorted by id.
    members: Box<[Member]>,
    /// The list in which the object was last seen.
    mark: AtomicU32,
    /// The object's version.
    version: Version,
}

impl Import {
    /// `SVC.NS` in wire form, lower case, no final zero.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &ImportSpec {
        &self.spec
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Its clusters.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The object's version.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Whether no endpoint is ready in any cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.endpoints.is_empty())
    }
}

/// The Services of the clusterset.
#[derive(Default)]
pub struct Imports {
    /// By `SVC.NS`, wire form, lower case.
    imports: Map<ServiceKey, Arc<Import>>,
    /// Unix seconds of the last change (rule K-214 as section 0 decides).
    serial: AtomicU32,
}

impl Imports {
    /// The import of these labels, those without an object included. Cost: as [`super::Store::service`].
    #[must_use]
    pub fn get(&self, run: &[u8]) -> Option<Arc<Import>> {
        self.imports.get(run).map(|found| Arc::clone(&found))
    }

    /// The serial of the clusterset's zones: 0 before any change.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial.load(Ordering::Relaxed)
    }

    /// Notes a change.
    pub(super) fn moved(&self, serial: u32) {
        self.serial.store(serial, Ordering::Relaxed);
    }

    /// All of them, in no order, those without an object included. Cost: a reference count each.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Import>> {
        self.imports.iter().map(|entry| entry.value().clone()).collect()
    }

    /// Calls `visit` for every import in no order, each as of the moment it is reached.
    pub fn each(&self, mut visit: impl FnMut(&Import)) {
        for entry in &self.imports {
            visit(&entry);
        }
    }
}

/// An import that changed since the last publication.
struct Pending {
    /// What its object says.
    spec: ImportSpec,
    /// Its ports.
    ports: Box<[Port]>,
    /// Its slices, with their clusters.
    parts: Vec<(Box<str>, Arc<Part>)>,
    /// The list in which the object was last seen.
    mark: u32,
    /// The object's version.
    version: Version,
}

/// The writer's part for imports.
#[derive(Default)]
pub(super) struct ImportBook {
    /// Which import a slice belongs to.
    slices: HashMap<SliceId, ServiceKey, BuildHasherDefault<AsIs>>,
    /// Imports that changed since the last publication.
    pending: HashMap<ServiceKey, Pending>,
    /// Whether something changed that moves the serial.
    moved: bool,
}

impl ImportBook {
    /// The working copy of an import, taken from what is published.
    fn pending(&mut self, imports: &Imports, key: &ServiceKey) -> &mut Pending {
        self.pending.entry(key.clone()).or_insert_with(|| match imports.get(key) {
            Some(import) => Pending {
                spec: import.spec.clone(),
                ports: import.ports.clone(),
                parts: import
                    .members
                    .iter()
                    .flat_map(|member| {
                        let parts = member.endpoints.parts().iter();
                        parts.map(|part| (member.cluster.clone(), part.clone()))
                    })
                    .collect(),
                mark: import.mark.load(Ordering::Relaxed),
                version: import.version,
            },
            None => Pending {
                spec: ImportSpec::Orphan,
                ports: Box::default(),
                parts: Vec::new(),
                mark: 0,
                version: Version::default(),
            },
        })
    }

    /// Takes a ServiceImport.
    pub(super) fn upsert(&mut self, imports: &Imports, object: &ImportObject, mark: u32) {
        let Some(key) = service_key(&object.key.namespace, &object.key.name) else { return };
        let spec = match &object.addresses {
            None => ImportSpec::Headless,
            Some(addresses) => {
                let (mut v4, mut v6) = (Vec::new(), Vec::new());
                for address in addresses {
                    match address {
                        IpAddr::V4(ip) if !v4.contains(&ip.octets()) => v4.push(ip.octets()),
                        IpAddr::V6(ip) if !v6.contains(&ip.octets()) => v6.push(ip.octets()),
                        IpAddr::V4(_) | IpAddr::V6(_) => {}
                    }
                }
                ImportSpec::Set { v4: v4.into(), v6: v6.into() }
            }
        };
        let ports = object.ports.iter().map(Port::build).collect();
        let pending = self.pending(imports, &key);
        let moved = pending.spec != spec || pending.ports != ports;
        (pending.spec, pending.ports, pending.mark) = (spec, ports, mark);
        pending.version = Version::of(&object.revision);
        self.moved |= moved;
    }

    /// Drops a ServiceImport; its slices stay.
    pub(super) fn remove(&mut self, imports: &Imports, key: &ObjectKey) {
        if let Some(key) = service_key(&key.namespace, &key.name) {
            self.orphan(imports, &key);
        }
    }

    /// The same by its labels.
    fn orphan(&mut self, imports: &Imports, key: &ServiceKey) {
        let pending = self.pending(imports, key);
        let known = pending.spec != ImportSpec::Orphan;
        (pending.spec, pending.ports) = (ImportSpec::Orphan, Box::default());
        self.moved |= known;
    }

    /// Takes an import as a snapshot has it.
    pub(super) fn restore(
        &mut self,
        key: ServiceKey,
        (spec, ports, version): (ImportSpec, Vec<Port>, Version),
        mut parts: Vec<(Box<str>, Arc<Part>)>,
    ) {
        parts.retain(|(_, part)| !self.slices.contains_key(&part.slice));
        self.slices.extend(parts.iter().map(|(_, part)| (part.slice, key.clone())));
        self.pending.insert(key, Pending { spec, ports: ports.into(), parts, mark: 0, version });
    }

    /// Takes a slice of another cluster, `part` being what is kept of it.
    pub(super) fn upsert_slice(
        &mut self,
        imports: &Imports,
        object: &ObjectKey,
        part: Part,
        labels: &SliceImport,
    ) {
        let slice = part.slice;
        let Some(key) = service_key(&object.namespace, &labels.name) else {
            self.remove_slice(imports, slice);
            return;
        };
        if self.slices.get(&slice).is_some_and(|known| *known != key) {
            self.remove_slice(imports, slice);
        }
        let part = Arc::new(part);
        let cluster: Box<str> = labels.cluster.to_ascii_lowercase().into();
        let pending = self.pending(imports, &key);
        let known = pending.parts.iter_mut().find(|(_, known)| known.slice == slice);
        let moved = match known {
            Some(known) => {
                let moved = known.0 != cluster || !known.1.same(&part);
                *known = (cluster, part);
                moved
            }
            None => {
                pending.parts.push((cluster, part));
                true
            }
        };
        self.moved |= moved;
        self.slices.insert(slice, key);
    }

    /// Drops a slice.
    pub(super) fn remove_slice(&mut self, imports: &Imports, slice: SliceId) {
        let Some(key) = self.slices.remove(&slice) else { return };
        self.pending(imports, &key).parts.retain(|(_, part)| part.slice != slice);
        self.moved = true;
    }

    /// Drops the imports that the list which ends now did not name.
    pub(super) fn sweep(&mut self, imports: &Imports, current: u32) {
        let mut gone: Vec<ServiceKey> = Vec::new();
        for entry in &imports.imports {
            let stale = entry.mark.load(Ordering::Relaxed) != current;
            if stale && entry.spec != ImportSpec::Orphan && !self.pending.contains_key(entry.key()) {
                gone.push(entry.key().clone());
            }
        }
        let pending = self.pending.iter();
        gone.extend(pending.filter(|(_, pending)| pending.mark != current).map(|(key, _)| key.clone()));
        for key in gone {
            self.orphan(imports, &key);
        }
    }

    /// Drops the slices that the list which ends now did not name.
    pub(super) fn sweep_slices(&mut self, imports: &Imports, current: u32) {
        let mut gone: Vec<SliceId> = Vec::new();
        for (&slice, key) in &self.slices {
            let current_part =
                |part: &Arc<Part>| part.slice == slice && part.mark.load(Ordering::Relaxed) == current;
            let found = match self.pending.get(key) {
                Some(pending) => pending.parts.iter().any(|(_, part)| current_part(part)),
                None => imports.get(key).is_some_and(|import| {
                    import.members.iter().any(|member| member.endpoints.parts().iter().any(current_part))
                }),
            };
            if !found {
                gone.push(slice);
            }
        }
        for slice in gone {
            self.remove_slice(imports, slice);
        }
    }

    /// The version of an import as it is published; `None` where its object is not known.
    pub(super) fn held(imports: &Imports, key: &ObjectKey) -> Option<Version> {
        let import = imports.get(&service_key(&key.namespace, &key.name)?)?;
        (import.spec != ImportSpec::Orphan).then_some(import.version)
    }

    /// The version of a slice as it is published.
    pub(super) fn held_slice(&self, imports: &Imports, slice: SliceId) -> Option<Version> {
        let import = imports.get(self.slices.get(&slice)?)?;
        let mut parts = import.members.iter().flat_map(|member| member.endpoints.parts());
        parts.find(|part| part.slice == slice).map(|part| part.version)
    }

    /// The slices that are known.
    pub(super) fn slices(&self) -> impl Iterator<Item = SliceId> {
        self.slices.keys().copied()
    }

    /// Whether anything is to be published.
    pub(super) fn is_touched(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Publishes; says whether the serial moves.
    pub(super) fn settle(&mut self, store: &Store) -> bool {
        let imports = store.imports();
        for (key, mut pending) in std::mem::take(&mut self.pending) {
            if pending.spec == ImportSpec::Orphan && pending.parts.is_empty() {
                drop(imports.imports.remove(&key));
                store.forget_namespace(namespace_run(&key));
                continue;
            }
            pending.parts.sort_by(|one, other| one.0.cmp(&other.0));
            let members = pending
                .parts
                .chunk_by(|one, other| one.0 == other.0)
                .filter_map(|parts| {
                    let cluster = parts.first()?.0.clone();
                    let parts = parts.iter().map(|(_, part)| part.clone()).collect();
                    Some(Member { cluster, endpoints: Endpoints::build(parts) })
                })
                .collect();
            let import = Import {
                namespace: store.named_namespace(namespace_run(&key)),
                key: key.clone(),
                spec: pending.spec,
                ports: pending.ports,
                members,
                mark: AtomicU32::new(pending.mark),
                version: pending.version,
            };
            imports.imports.insert(key, Arc::new(import));
        }
        std::mem::take(&mut self.moved)
    }
}
