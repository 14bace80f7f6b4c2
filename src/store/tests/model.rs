//! The naive model: maps of whole objects, every answer computed from all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A place in the cluster: namespace and name.
pub(super) type Key = (String, String);

/// Whether the serial has to move at the next publication (rule K-265).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) enum Moves {
    /// It must not.
    #[default]
    No,
    /// The rule does not say.
    Maybe,
    /// It must.
    Yes,
}

/// A cluster.
#[derive(Clone, Default, Debug)]
pub(super) struct Model {
    /// Services.
    pub(super) services: BTreeMap<Key, ServiceObject>,
    /// Slices that name a Service.
    pub(super) slices: BTreeMap<Key, SliceObject>,
    /// Namespaces.
    pub(super) namespaces: BTreeMap<String, NamespaceObject>,
    /// Pods.
    pub(super) pods: BTreeMap<Key, PodObject>,
    /// What the list of each kind that is under way has named so far.
    lists: BTreeMap<Kind, BTreeSet<Key>>,
    /// Kinds whose list ended and was not published yet.
    ended: BTreeSet<Kind>,
    /// Kinds whose list was published.
    pub(super) listed: BTreeSet<Kind>,
    /// What the serial does next.
    pub(super) moves: Moves,
    /// Services that changed, or whose slices did, since the last publication.
    pub(super) touched: BTreeSet<Key>,
    /// Slices that changed since the last publication.
    pub(super) touched_slices: BTreeSet<Key>,
}

/// The key of an object.
pub(super) fn key_of(key: &ObjectKey) -> Key {
    (key.namespace.to_string(), key.name.to_string())
}

/// What of a slice counts for the serial: addresses with their spelling and hostnames, and ports, in order.
type SliceData = (Vec<(EndpointAddress, Box<str>)>, Vec<SlicePort>);

/// See `SliceData`.
fn slice_data(slice: &SliceObject) -> SliceData {
    let members = slice.endpoints.iter().flat_map(|endpoint| {
        endpoint.addresses.iter().map(|address| (address.clone(), endpoint.hostname.clone()))
    });
    (members.collect(), slice.ports.clone())
}

/// Whether two versions are known to be the same object.
fn same_version(a: &Revision, b: &Revision) -> bool {
    !a.version.is_empty() && a == b
}

impl Model {
    /// The serial moves at least like this.
    fn moves(&mut self, moves: Moves) {
        self.moves = self.moves.max(moves);
    }

    /// Notes that the list under way names an object.
    fn name(&mut self, kind: Kind, key: &Key) {
        if let Some(named) = self.lists.get_mut(&kind) {
            named.insert(key.clone());
        }
    }

    /// Takes a change in.
    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Begin(kind) => {
                self.lists.insert(*kind, BTreeSet::new());
            }
            Change::End(kind) => {
                let named = self.lists.remove(kind).unwrap_or_default();
                let known: Vec<Key> = match kind {
                    Kind::Services => self.services.keys().cloned().collect(),
                    Kind::EndpointSlices => self.slices.keys().cloned().collect(),
                    Kind::Namespaces => {
                        self.namespaces.keys().map(|name| (String::new(), name.clone())).collect()
                    }
                    Kind::Pods => self.pods.keys().cloned().collect(),
                    Kind::Imports | Kind::Hosts(_) => unreachable!("the model knows the usual kinds"),
                };
                for key in known.iter().filter(|key| !named.contains(key)) {
                    self.remove(*kind, key);
                }
                self.ended.insert(*kind);
            }
            Change::Remove(kind, key) => self.remove(*kind, &key_of(key)),
            Change::Upsert(object) => self.upsert(object),
        }
    }

    /// The process restarts: lists that are under way begin anew.
    pub(super) fn restart(&mut self) {
        self.lists.clear();
    }

    /// Whether a list of this kind is under way.
    pub(super) fn is_listing(&self, kind: Kind) -> bool {
        self.lists.contains_key(&kind)
    }

    /// Takes an object out.
    fn remove(&mut self, kind: Kind, key: &Key) {
        let known = match kind {
            Kind::Services => {
                self.touched.insert(key.clone());
                self.services.remove(key).is_some()
            }
            Kind::EndpointSlices => match self.slices.remove(key) {
                Some(slice) => {
                    self.touched.insert((key.0.clone(), slice.service.to_string()));
                    self.touched_slices.insert(key.clone());
                    true
                }
                None => false,
            },
            Kind::Namespaces => {
                self.namespaces.remove(&key.1);
                false
            }
            Kind::Pods => self.pods.remove(key).is_some(),
            Kind::Imports | Kind::Hosts(_) => unreachable!("the model knows the usual kinds"),
        };
        self.moves(if known { Moves::Yes } else { Moves::No });
    }

    /// Takes an object in.
    fn upsert(&mut self, object: &Object) {
        match object {
            Object::Import(_) | Object::Hosts(_) => unreachable!("the model knows the usual kinds"),
            Object::Service(new) => {
                let key = key_of(&new.key);
                self.name(Kind::Services, &key);
                let old = self.services.insert(key.clone(), new.clone());
                let moves = match &old {
                    Some(old) if same_version(&old.revision, &new.revision) => return,
                    None => Moves::Yes,
                    Some(old) if old.ports != new.ports => Moves::Yes,
                    Some(old) if old.spec == new.spec => Moves::No,
                    Some(old) => match (&old.spec, &new.spec) {
                        (ServiceSpec::External(_), _) | (_, ServiceSpec::External(_)) => Moves::Yes,
                        // Cluster addresses: the rule does not name them.
                        _ => Moves::Maybe,
                    },
                };
                self.touched.insert(key);
                self.moves(moves);
            }
            Object::Slice(new) => {
                let key = key_of(&new.key);
                if new.service.is_empty() {
                    self.remove(Kind::EndpointSlices, &key);
                    return;
                }
                self.name(Kind::EndpointSlices, &key);
                let old = self.slices.insert(key.clone(), new.clone());
                let moves = match &old {
                    Some(old) if same_version(&old.revision, &new.revision) => return,
                    Some(old) if old.service == new.service && slice_data(old) == slice_data(new) => {
                        // Names of pods behind endpoints: the rule does not name them.
                        let target = |slice: &SliceObject| -> Vec<Box<str>> {
                            slice.endpoints.iter().map(|endpoint| endpoint.target.clone()).collect()
                        };
                        if target(old) == target(new) { Moves::No } else { Moves::Maybe }
                    }
                    _ => Moves::Yes,
                };
                for service in old.iter().map(|old| &old.service).chain([&new.service]) {
                    self.touched.insert((key.0.clone(), service.to_string()));
                }
                self.touched_slices.insert(key);
                self.moves(moves);
            }
            Object::Namespace(new) => {
                self.name(Kind::Namespaces, &(String::new(), new.name.to_string()));
                self.namespaces.insert(new.name.to_string(), new.clone());
            }
            Object::Pod(new) => {
                let key = key_of(&new.key);
                self.name(Kind::Pods, &key);
                let old = self.pods.insert(key, new.clone());
                let same = old.is_some_and(|old| old.addresses == new.addresses);
                self.moves(if same { Moves::No } else { Moves::Yes });
            }
        }
    }

    /// Publishes.
    pub(super) fn settle(&mut self) {
        self.listed.append(&mut self.ended);
        self.moves = Moves::No;
        self.touched.clear();
        self.touched_slices.clear();
    }

    /// The slices of a Service.
    pub(super) fn slices_of<'m>(&'m self, key: &'m Key) -> impl Iterator<Item = &'m SliceObject> + 'm {
        self.slices.values().filter(|slice| *slice.key.namespace == *key.0 && *slice.service == *key.1)
    }

    /// The members of a Service: slice, address and its name.
    pub(super) fn members(&self, key: &Key, naming: Naming) -> Vec<(String, IpAddr, String)> {
        let mut members = Vec::new();
        for slice in self.slices_of(key) {
            for endpoint in &slice.endpoints {
                for address in &endpoint.addresses {
                    members.push((slice.key.name.to_string(), address.ip, name(endpoint, address, naming)));
                }
            }
        }
        members.sort();
        members
    }

    /// All keys under which there is a Service or at least a slice.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        let of_slices =
            self.slices.values().map(|slice| (slice.key.namespace.to_string(), slice.service.to_string()));
        self.services.keys().cloned().chain(of_slices).collect()
    }

    /// The Services with this cluster address.
    pub(super) fn cluster_keys(&self, ip: IpAddr) -> Vec<Vec<u8>> {
        let has = |object: &&ServiceObject| match &object.spec {
            ServiceSpec::Cluster(addresses) => addresses.contains(&ip),
            ServiceSpec::Headless | ServiceSpec::External(_) => false,
        };
        let found = self.services.values().filter(has);
        let mut keys: Vec<_> = found.map(|object| run(&[&object.key.name, &object.key.namespace])).collect();
        keys.sort();
        keys
    }

    /// The Services with an endpoint of this address, orphans included.
    pub(super) fn endpoint_keys(&self, ip: IpAddr) -> Vec<Vec<u8>> {
        let has = |slice: &&SliceObject| slice_data(slice).0.iter().any(|(address, _)| address.ip == ip);
        let found = self.slices.values().filter(has);
        let keys: BTreeSet<_> = found.map(|slice| run(&[&slice.service, &slice.key.namespace])).collect();
        keys.into_iter().collect()
    }

    /// Every address that has a PTR.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        let cluster = self.services.values().flat_map(|object| match &object.spec {
            ServiceSpec::Cluster(addresses) => addresses.clone(),
            ServiceSpec::Headless | ServiceSpec::External(_) => Vec::new(),
        });
        let of_slices =
            self.slices.values().flat_map(|slice| slice_data(slice).0).map(|(address, _)| address.ip);
        cluster.chain(of_slices).collect()
    }
}

/// The one name of an endpoint's address (rules K-105, K-106, K-114).
fn name(endpoint: &Endpoint, address: &EndpointAddress, naming: Naming) -> String {
    if !endpoint.hostname.is_empty() {
        return endpoint.hostname.to_string();
    }
    if naming == Naming::Pod && !endpoint.target.is_empty() && endpoint.target.len() < 64 {
        return endpoint.target.to_string();
    }
    let text = address.spelled.as_ref().map_or_else(|| address.ip.to_string(), ToString::to_string);
    let dashed = text.replace(['.', ':'], "-").to_lowercase();
    if dashed.ends_with('-') { dashed + "0" } else { dashed }
}

/// What a Service's object says, as the store keeps it.
pub(super) fn spec_of(object: Option<&ServiceObject>) -> Spec {
    match object.map(|object| &object.spec) {
        None => Spec::Orphan,
        Some(ServiceSpec::Headless) => Spec::Headless,
        Some(ServiceSpec::External(target)) => match target.parse::<IpAddr>() {
            Ok(_) => Spec::ExternalInvalid,
            Err(_) => {
                let labels: Vec<&str> = target.split('.').filter(|label| !label.is_empty()).collect();
                let mut wire = run(&labels);
                wire.push(0);
                Spec::External(wire.into())
            }
        },
        Some(ServiceSpec::Cluster(addresses)) => {
            let (mut v4, mut v6) = (Vec::new(), Vec::new());
            for address in addresses {
                match address {
                    IpAddr::V4(address) if !v4.contains(&address.octets()) => v4.push(address.octets()),
                    IpAddr::V6(address) if !v6.contains(&address.octets()) => v6.push(address.octets()),
                    IpAddr::V4(_) | IpAddr::V6(_) => {}
                }
            }
            Spec::Cluster { v4: v4.into(), v6: v6.into() }
        }
    }
}
