//! Host names that Ingresses, Gateways and routes claim, with the addresses that they lead to; empty unless a stanza asks
//! for them.
//!
//! ```text
//! Ingress ─────────────► its hosts ──► its status ─┐
//! Gateway ─────────────► its listeners' hosts ─────┼─► Claim ─┬─► Host (by name, oldest claim first) ─► readers
//! route ─► its Gateways ► hosts that both name ────┘          ┘
//! ```

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::change::{HostKind, HostsObject, ObjectKey};
use super::{Addresses, Namespace};
use crate::wire::MAX_NAME;

/// Who claims a host, in the order in which claims count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// When the object was created: the older wins. Unit: nanoseconds since 1970.
    pub created: u64,
    /// Namespace and name: the first in the alphabet wins among equals.
    pub key: ObjectKey,
    /// What it is.
    pub kind: HostKind,
}

/// One object's claim to a host.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who claims.
    pub(super) owner: Owner,
    /// The namespace of the owner: the claim counts while that exists and is exposed.
    pub(super) namespace: Arc<Namespace>,
    /// Where the host leads; never empty.
    pub(super) addresses: Arc<Addresses>,
}

impl Claim {
    /// Who claims.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The namespace of the owner.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where the host leads.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// A host, immutable.
#[derive(Debug)]
pub struct Host {
    /// Its claims, those that win first; never none.
    pub(super) claims: Box<[Claim]>,
}

impl Host {
    /// Its claims, those that win first.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }
}

/// The key of a name: its labels from the root on, each behind its length, lower case.
///
/// Shape: on the stack; the key of a name begins with the keys of all names above it, so what is below it stands together.
pub struct HostName {
    /// Its bytes.
    bytes: [u8; MAX_NAME],
    /// How many count.
    len: usize,
}

impl HostName {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self { bytes: [0; MAX_NAME], len: 0 }
    }

    /// Adds the label below; lower case, 1 to 63 bytes. What would be longer than a name can be is left out.
    pub fn push(&mut self, label: &[u8]) {
        let end = self.len + 1 + label.len();
        if let (Ok(length), Some(place)) = (u8::try_from(label.len()), self.bytes.get_mut(self.len..end)) {
            let (first, rest) = place.split_at_mut(1);
            first.fill(length);
            rest.copy_from_slice(label);
            self.len = end;
        }
    }

    /// The key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The key of a host as text; a `*` in front is a label like others. `None` where it is no name.
    pub(super) fn of(host: &str) -> Option<Self> {
        let mut key = Self::root();
        let mut size = 1;
        for label in host.rsplit('.') {
            if label.is_empty() || label.len() > 63 {
                return None;
            }
            size += 1 + label.len();
            key.push(label.to_ascii_lowercase().as_bytes());
        }
        (size <= MAX_NAME).then_some(key)
    }
}

/// The hosts.
///
/// Cost: a binary search under a read lock; the writer holds the lock for one insertion at a time.
#[derive(Default)]
pub struct Hosts {
    /// Hosts by their keys.
    table: RwLock<BTreeMap<Box<[u8]>, Arc<Host>>>,
    /// The objects that claim them, for a snapshot: those of the writer, which reads its own table.
    objects: Mutex<HashMap<(HostKind, ObjectKey), Arc<HostsObject>>>,
}

impl Hosts {
    /// Notes an object that claims hosts as it is now; `None` for one that is gone.
    pub(super) fn note(&self, id: &(HostKind, ObjectKey), object: Option<Arc<HostsObject>>) {
        let mut objects = self.objects.lock();
        match object {
            Some(object) => drop(objects.insert(id.clone(), object)),
            None => drop(objects.remove(id)),
        }
    }

    /// The objects that claim hosts, in no order. Cost: a reference count each.
    pub(super) fn objects(&self) -> Vec<Arc<HostsObject>> {
        self.objects.lock().values().cloned().collect()
    }

    /// The host of exactly this name.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<Host>> {
        self.table.read().get(key).cloned()
    }

    /// Whether a host at or below this name is one for which `judge` says true.
    pub fn any_below(&self, key: &[u8], mut judge: impl FnMut(&Host) -> bool) -> bool {
        self.find_below(key, |_, host| judge(host))
    }

    /// Shows hosts at or below this name with their keys, in the order of these, until `judge` says true of one; says
    /// whether it did.
    pub fn find_below(&self, key: &[u8], mut judge: impl FnMut(&[u8], &Arc<Host>) -> bool) -> bool {
        let mut from: Bound<Box<[u8]>> = Bound::Included(key.into());
        loop {
            // One at a time: no lock is held while a host is judged, and nearly always the first one decides.
            let range = (from.as_ref().map(AsRef::as_ref), Bound::Unbounded);
            let next =
                self.table.read().range::<[u8], _>(range).next().map(|(k, host)| (k.clone(), host.clone()));
            match next {
                Some((next, host)) if next.starts_with(key) => {
                    if judge(&next, &host) {
                        return true;
                    }
                    from = Bound::Excluded(next);
                }
                _ => return false,
            }
        }
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.read().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Publishes what is known of a host now.
    pub(super) fn publish(&self, key: &[u8], claims: Vec<Claim>) {
        let host = (!claims.is_empty()).then(|| Arc::new(Host { claims: claims.into() }));
        let mut table = self.table.write();
        let old = match host {
            Some(host) => table.insert(key.into(), host),
            None => table.remove(key),
        };
        drop(table);
        drop(old);
    }
}
