//! Services as they are reached from outside of the cluster (rules K-290 to K-292); empty unless a stanza asks for it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::RwLock;

use super::change::{ExternalAddress, ServiceObject};
use super::{Map, Namespace, Port, ServiceKey, Store, namespace_run};

/// Where something is reached: by addresses, or by one alias.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Addresses {
    /// IPv4 addresses, each once.
    v4: Box<[[u8; 4]]>,
    /// IPv6 addresses, each once.
    v6: Box<[[u8; 16]]>,
    /// A name in wire form, where there is no address (RFC 1034 §3.6.2: an alias stands alone).
    alias: Option<Box<[u8]>>,
}

impl Addresses {
    /// Sorts out what a status lists: addresses, or else the first name that is one.
    pub(super) fn build(listed: &[ExternalAddress]) -> Self {
        let mut built = Self::default();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in listed {
            match address {
                ExternalAddress::Ip(IpAddr::V4(ip)) if !v4.contains(&ip.octets()) => v4.push(ip.octets()),
                ExternalAddress::Ip(IpAddr::V6(ip)) if !v6.contains(&ip.octets()) => v6.push(ip.octets()),
                ExternalAddress::Ip(_) => {}
                ExternalAddress::Name(name) => {
                    built.alias = built.alias.or_else(|| crate::wire::parse_name(name).map(Into::into));
                }
            }
        }
        if !v4.is_empty() || !v6.is_empty() {
            built.alias = None;
        }
        (built.v4, built.v6) = (v4.into(), v6.into());
        built
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.alias.is_none()
    }

    /// The IPv4 addresses.
    #[must_use]
    pub fn v4(&self) -> &[[u8; 4]] {
        &self.v4
    }

    /// The IPv6 addresses.
    #[must_use]
    pub fn v6(&self) -> &[[u8; 16]] {
        &self.v6
    }

    /// The name to ask for instead, in wire form; only where there is no address.
    #[must_use]
    pub fn alias(&self) -> Option<&[u8]> {
        self.alias.as_deref()
    }

    /// All addresses, IPv4 first.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.iter().map(|&octets| IpAddr::from(octets));
        v4.chain(self.v6.iter().map(|&octets| IpAddr::from(octets)))
    }
}

/// A Service that is reached from outside, immutable.
#[derive(PartialEq, Debug)]
pub struct External {
    /// Where it is reached.
    addresses: Addresses,
    /// How many addresses are listed, repetitions included; at least 1 (rule K-076).
    listed: usize,
    /// Its ports.
    ports: Box<[Port]>,
}

/// Where a Service of a snapshot is reached: IPv4 addresses, IPv6 addresses, the name that they are found by instead.
type Restored = (Box<[[u8; 4]]>, Box<[[u8; 16]]>, Option<Box<[u8]>>);

impl External {
    /// A Service as a snapshot has it: IPv4 and IPv6 addresses, or an alias.
    pub(super) fn restored((v4, v6, alias): Restored, listed: usize, ports: Vec<Port>) -> Self {
        Self { addresses: Addresses { v4, v6, alias }, listed: listed.max(1), ports: ports.into() }
    }

    /// How many addresses are listed, repetitions included: what the weight of SRV records counts (rule K-076).
    #[must_use]
    pub fn listed(&self) -> usize {
        self.listed
    }

    /// Where it is reached.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }
}

/// The Services that are reached from outside.
#[derive(Default)]
pub struct Externals {
    /// By `SVC.NS`, wire form, lower case.
    services: Map<ServiceKey, (Arc<Namespace>, Arc<External>)>,
    /// The Services of each address, in the order of their names; sorted, so that names above a PTR are found too.
    reverse: RwLock<BTreeMap<IpAddr, Arc<[ServiceKey]>>>,
    /// Unix seconds of the last change (rules K-265, K-291); host names count too.
    serial: AtomicU32,
}

impl Externals {
    /// The Service of these labels with its namespace, if it is reached from outside.
    #[must_use]
    pub fn service(&self, run: &[u8]) -> Option<(Arc<Namespace>, Arc<External>)> {
        self.services.get(run).map(|found| found.value().clone())
    }

    /// The Services that are reached by this address.
    #[must_use]
    pub fn with_address(&self, ip: IpAddr) -> Arc<[ServiceKey]> {
        self.reverse.read().get(&ip).cloned().unwrap_or_default()
    }

    /// Whether an address from `first` to `last` has a Service for which `judge` says true.
    pub fn any_between(
        &self,
        mut first: IpAddr,
        last: IpAddr,
        mut judge: impl FnMut(&ServiceKey) -> bool,
    ) -> bool {
        let mut from = Bound::Included(first);
        loop {
            // One at a time: no lock is held while Services are judged, and nearly always the first one decides.
            let next = self
                .reverse
                .read()
                .range((from, Bound::Included(last)))
                .next()
                .map(|(ip, keys)| (*ip, keys.clone()));
            let Some((ip, keys)) = next else { return false };
            if keys.iter().any(&mut judge) {
                return true;
            }
            first = ip;
            if first >= last {
                return false;
            }
            from = Bound::Excluded(first);
        }
    }

    /// Puts a Service under an address, or takes it out.
    fn index(&self, ip: IpAddr, key: &ServiceKey, there: bool) {
        let mut reverse = self.reverse.write();
        let mut keys = reverse.get(&ip).map_or_else(Vec::new, |keys| keys.to_vec());
        keys.retain(|known| known != key);
        if there {
            keys.push(key.clone());
            keys.sort_unstable();
        }
        if keys.is_empty() {
            reverse.remove(&ip);
        } else {
            reverse.insert(ip, keys.into());
        }
    }

    /// All of them, in no order. Cost: two reference counts each.
    #[must_use]
    pub fn all(&self) -> Vec<(ServiceKey, Arc<External>)> {
        self.services.iter().map(|entry| (entry.key().clone(), entry.1.clone())).collect()
    }

    /// The serial of the zones that are made of this: 0 before any change.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial.load(Ordering::Relaxed)
    }

    /// Notes a change.
    pub(super) fn moved(&self, serial: u32) {
        self.serial.store(serial, Ordering::Relaxed);
    }

    /// Publishes what is known of a Service now. Addresses go in before it and out after it, as for cluster addresses.
    pub(super) fn publish(&self, key: &ServiceKey, namespace: Arc<Namespace>, new: Option<External>) {
        let old = self.service(key).map(|(_, external)| external);
        let ips = |external: &External| external.addresses.ips().collect::<Vec<_>>();
        let before = old.as_deref().map(ips).unwrap_or_default();
        let after = new.as_ref().map(ips).unwrap_or_default();
        for &ip in after.iter().filter(|ip| !before.contains(ip)) {
            self.index(ip, key, true);
        }
        match new {
            Some(new) => drop(self.services.insert(key.clone(), (namespace, Arc::new(new)))),
            None => {
                drop(namespace);
                drop(self.services.remove(key));
            }
        }
        for ip in before.into_iter().filter(|ip| !after.contains(ip)) {
            self.index(ip, key, false);
        }
    }
}

/// What of it changed since the last publication.
#[derive(Default)]
pub(super) struct ExternalBook {
    /// Services; `None` for one that is not reached from outside any more.
    pending: HashMap<ServiceKey, Option<External>>,
}

impl ExternalBook {
    /// Takes a Service.
    pub(super) fn upsert(&mut self, key: &ServiceKey, object: &ServiceObject) {
        let addresses = Addresses::build(&object.external);
        let ips = object.external.iter().filter(|listed| matches!(listed, ExternalAddress::Ip(_)));
        let external = (!addresses.is_empty()).then(|| External {
            addresses,
            listed: ips.count().max(1),
            ports: object.ports.iter().map(Port::build).collect(),
        });
        self.pending.insert(key.clone(), external);
    }

    /// Drops a Service.
    pub(super) fn remove(&mut self, key: &ServiceKey) {
        self.pending.insert(key.clone(), None);
    }

    /// Publishes; says whether anything changed.
    pub(super) fn settle(&mut self, store: &Store) -> bool {
        let externals = store.externals();
        let mut changed = false;
        for (key, new) in self.pending.drain() {
            let known = externals.service(&key).map(|(_, external)| external);
            if known.as_deref() != new.as_ref() {
                externals.publish(&key, store.named_namespace(namespace_run(&key)), new);
                store.forget_namespace(namespace_run(&key));
                changed = true;
            }
        }
        changed
    }
}
