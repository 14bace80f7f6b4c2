//! Pods, where a stanza watches them: which address lives in which namespace, and which hostname has which addresses.

use std::net::IpAddr;
use std::sync::Arc;

use super::change::PodObject;
use super::{ClientPod, Map};
use known::KnownPods;

mod known;

pub(super) use known::KnownPod;

/// The label of a namespace in wire form, shared.
type NamespaceRun = Arc<[u8]>;

/// The pods' names.
#[derive(Default)]
pub struct PodNames {
    /// Namespaces of the pods that have an address, one entry a pod.
    by_address: Map<IpAddr, Vec<NamespaceRun>>,
    /// Addresses of pods by `HOST.SUB.NS` in wire form, one entry a pod and address.
    by_hostname: Map<Box<[u8]>, Vec<IpAddr>>,
    /// Pods by address, where it is wanted to know who asks.
    clients: Map<IpAddr, Vec<Arc<ClientPod>>>,
    /// How many such entries stand below `SUB.NS`.
    by_subdomain: Map<Box<[u8]>, usize>,
    /// Pods as the writer remembers them.
    known: KnownPods,
    /// How many pods.
    count: std::sync::atomic::AtomicUsize,
}

impl PodNames {
    /// Whether a pod in the namespace (wire form of its label) has `ip` (rules K-152, K-153).
    #[must_use]
    pub fn contains(&self, ip: IpAddr, namespace: &[u8]) -> bool {
        self.by_address.get(&ip).is_some_and(|namespaces| namespaces.iter().any(|run| **run == *namespace))
    }

    /// Calls `visit` with the addresses of the pods of `HOST.SUB.NS`; says whether there are any.
    pub fn hostname(&self, run: &[u8], mut visit: impl FnMut(IpAddr)) -> bool {
        self.by_hostname.get(run).is_some_and(|addresses| {
            addresses.iter().for_each(|&ip| visit(ip));
            !addresses.is_empty()
        })
    }

    /// Whether some pod has a hostname below `SUB.NS`.
    #[must_use]
    pub fn has_subdomain(&self, run: &[u8]) -> bool {
        self.by_subdomain.contains_key(run)
    }

    /// The pod that asks from `ip`; of several (host network), the one known longest. `None` unless that is kept.
    #[must_use]
    pub fn client(&self, ip: IpAddr) -> Option<Arc<ClientPod>> {
        self.clients.get(&ip)?.first().cloned()
    }

    /// How many pods are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether no pod is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pods as the writer remembers them.
    pub(super) fn known(&self) -> &KnownPods {
        &self.known
    }

    /// Takes a pod in.
    pub(super) fn add(&self, pod: &PodEntry) {
        for &ip in &pod.addresses {
            self.by_address.entry(ip).or_default().push(pod.namespace.clone());
            if let Some(client) = &pod.client {
                self.clients.entry(ip).or_default().push(client.clone());
            }
            if let Some(run) = &pod.hostname {
                self.by_hostname.entry(run.clone()).or_default().push(ip);
                *self.by_subdomain.entry(subdomain(run).into()).or_default() += 1;
            }
        }
        self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Takes a pod out that was taken in before.
    pub(super) fn remove(&self, pod: &PodEntry) {
        for &ip in &pod.addresses {
            remove_one(&self.by_address, &ip, |run| *run == pod.namespace);
            if let Some(client) = &pod.client {
                remove_one(&self.clients, &ip, |kept| Arc::ptr_eq(kept, client));
            }
            if let Some(run) = &pod.hostname {
                remove_one(&self.by_hostname, run, |&kept| kept == ip);
                if let dashmap::Entry::Occupied(mut entry) = self.by_subdomain.entry(subdomain(run).into()) {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
        }
        self.count.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The run behind the first label of `run`.
fn subdomain(run: &[u8]) -> &[u8] {
    run.get(1 + run.first().copied().map_or(0, usize::from)..).unwrap_or_default()
}

/// Removes one matching entry from the list under `key`, and the list when it is empty.
fn remove_one<K, V>(map: &Map<K, Vec<V>>, key: &K, matches: impl Fn(&V) -> bool)
where
    K: Eq + std::hash::Hash + Clone,
{
    if let dashmap::Entry::Occupied(mut entry) = map.entry(key.clone()) {
        let list = entry.get_mut();
        if let Some(at) = list.iter().position(matches) {
            list.remove(at);
        }
        if list.is_empty() {
            entry.remove();
        }
    }
}

/// A pod, as the writer remembers it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PodEntry {
    /// Label of its namespace in wire form.
    pub(super) namespace: NamespaceRun,
    /// Its addresses, each once.
    pub(super) addresses: Vec<IpAddr>,
    /// `HOST.SUB.NS` in wire form, where it has both.
    pub(super) hostname: Option<Box<[u8]>>,
    /// The pod as a client, where that is kept.
    pub(super) client: Option<Arc<ClientPod>>,
}

impl PodEntry {
    /// Cuts a pod down; `None` where its namespace is no label. `clients` says whether it is kept who it is.
    pub(super) fn build(pod: &PodObject, clients: bool) -> Option<Self> {
        let mut namespace = Vec::new();
        if !super::push_label(&mut namespace, &pod.key.namespace) {
            return None;
        }
        let mut run = Vec::new();
        let named = super::push_label(&mut run, &pod.hostname) && super::push_label(&mut run, &pod.subdomain);
        run.extend_from_slice(&namespace);
        let mut addresses = pod.addresses.clone();
        addresses.sort_unstable();
        addresses.dedup();
        let client = clients.then(|| Arc::new(ClientPod::build(pod)));
        Some(Self { namespace: namespace.into(), addresses, hostname: named.then(|| run.into()), client })
    }
}
