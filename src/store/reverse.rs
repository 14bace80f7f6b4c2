//! Addresses to Services: what PTR queries ask for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use parking_lot::RwLock;

use super::ServiceKey;

/// The Services of an address.
#[derive(Clone, Debug)]
enum Keys {
    /// Nearly always one.
    One(ServiceKey),
    /// Several, in the order in which they came.
    Many(Box<[ServiceKey]>),
}

impl Keys {
    /// The keys.
    fn as_slice(&self) -> &[ServiceKey] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }

    /// These keys and one more.
    fn with(&self, key: &ServiceKey) -> Self {
        if self.as_slice().contains(key) {
            return self.clone();
        }
        let mut keys = self.as_slice().to_vec();
        keys.push(key.clone());
        Self::Many(keys.into())
    }

    /// These keys without one; `None` when nothing is left.
    fn without(&self, key: &ServiceKey) -> Option<Self> {
        let mut keys = self.as_slice().to_vec();
        keys.retain(|kept| kept != key);
        match keys.len() {
            0 => None,
            1 => keys.pop().map(Self::One),
            _ => Some(Self::Many(keys.into())),
        }
    }
}

/// A sorted map from addresses to Services. Sorted, so that names above a PTR are found too (rule K-175).
type Table = RwLock<BTreeMap<IpAddr, Keys>>;

/// Both kinds of addresses that have PTRs.
///
/// Cost: a binary search under a read lock; the writer holds the lock for one insertion at a time.
#[derive(Default)]
pub struct Reverse {
    /// Cluster addresses (rule K-170).
    cluster: Table,
    /// Addresses of ready endpoints (rule K-171).
    endpoints: Table,
}

impl Reverse {
    /// Calls `visit` with the key of each Service whose cluster address this is, until it says true; says whether one did.
    pub fn cluster(&self, ip: IpAddr, visit: impl FnMut(&ServiceKey) -> bool) -> bool {
        self.cluster.read().get(&ip).is_some_and(|keys| keys.as_slice().iter().any(visit))
    }

    /// The Services that have an endpoint of this address, copied out so that no lock is held while they are read.
    ///
    /// Cost: one reference count a Service, allocates only where there are several.
    pub fn endpoint(&self, ip: IpAddr) -> impl Iterator<Item = ServiceKey> + use<> {
        let keys = self.endpoints.read().get(&ip).cloned();
        let (one, many) = match keys {
            None => (None, Box::default()),
            Some(Keys::One(key)) => (Some(key), Box::<[ServiceKey]>::default()),
            Some(Keys::Many(keys)) => (None, keys),
        };
        one.into_iter().chain(many)
    }

    /// Whether an address whose first `bits` bits are those of `prefix` has a Service for which `judge` says true.
    pub fn any_below(&self, prefix: IpAddr, bits: u8, mut judge: impl FnMut(&ServiceKey) -> bool) -> bool {
        let last = last_address(prefix, bits);
        let range = (Bound::Included(prefix), Bound::Included(last));
        [&self.cluster, &self.endpoints].into_iter().any(|table| {
            let mut range = range;
            loop {
                // A piece at a time: no lock is held while Services are judged, and nearly always the first one decides.
                let piece: Vec<(IpAddr, Keys)> =
                    table.read().range(range).map(|(ip, keys)| (*ip, keys.clone())).take(PIECE).collect();
                if piece.iter().any(|(_, keys)| keys.as_slice().iter().any(&mut judge)) {
                    return true;
                }
                match piece.last() {
                    Some((ip, _)) if piece.len() == PIECE && *ip < last => range.0 = Bound::Excluded(*ip),
                    _ => return false,
                }
            }
        })
    }

    /// Takes a cluster address in.
    pub(super) fn add_cluster(&self, ip: IpAddr, key: &ServiceKey) {
        add(&self.cluster, ip, key);
    }

    /// Takes a cluster address out.
    pub(super) fn remove_cluster(&self, ip: IpAddr, key: &ServiceKey) {
        remove(&self.cluster, ip, key);
    }

    /// Takes an endpoint's address in.
    pub(super) fn add_endpoint(&self, ip: IpAddr, key: &ServiceKey) {
        add(&self.endpoints, ip, key);
    }

    /// Takes an endpoint's address out.
    pub(super) fn remove_endpoint(&self, ip: IpAddr, key: &ServiceKey) {
        remove(&self.endpoints, ip, key);
    }
}

/// How many addresses below a partial reverse name are looked at in one go.
const PIECE: usize = 64;

/// The last address that begins with the first `bits` bits of `prefix`.
fn last_address(prefix: IpAddr, bits: u8) -> IpAddr {
    match prefix {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::from((v4.to_bits() | mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::from((v6.to_bits() | mask).to_be_bytes())
        }
    }
}

/// Adds a key to an address.
fn add(table: &Table, ip: IpAddr, key: &ServiceKey) {
    let mut table = table.write();
    let keys = table.get(&ip).map_or_else(|| Keys::One(key.clone()), |keys| keys.with(key));
    table.insert(ip, keys);
}

/// Removes a key from an address.
fn remove(table: &Table, ip: IpAddr, key: &ServiceKey) {
    let mut table = table.write();
    match table.get(&ip).map(|keys| keys.without(key)) {
        None => {}
        Some(None) => {
            table.remove(&ip);
        }
        Some(Some(keys)) => {
            table.insert(ip, keys);
        }
    }
}
