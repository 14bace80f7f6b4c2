//! Addresses to Services: what PTR queries ask for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Service;
use super::service::Slot;

/// Addresses of one kind, each with the slots of its Services; nearly always one.
///
/// Sorted, so that names above a PTR are found too (rule K-175).
#[derive(Default)]
struct Addresses {
    /// IPv4, as numbers.
    v4: BTreeSet<(u32, Slot)>,
    /// IPv6.
    v6: BTreeSet<([u8; 16], Slot)>,
}

impl Addresses {
    /// Takes a pair in.
    fn add(&mut self, ip: IpAddr, slot: Slot) {
        match ip {
            IpAddr::V4(ip) => self.v4.insert((ip.to_bits(), slot)),
            IpAddr::V6(ip) => self.v6.insert((ip.octets(), slot)),
        };
    }

    /// Takes a pair out.
    fn remove(&mut self, ip: IpAddr, slot: Slot) {
        match ip {
            IpAddr::V4(ip) => self.v4.remove(&(ip.to_bits(), slot)),
            IpAddr::V6(ip) => self.v6.remove(&(ip.octets(), slot)),
        };
    }

    /// Calls `visit` with the pairs from `from` to the last one of address `to`, in order, until it says false.
    fn walk(&self, from: (IpAddr, Slot), to: IpAddr, mut visit: impl FnMut(IpAddr, Slot) -> bool) {
        match (from.0, to) {
            (IpAddr::V4(ip), IpAddr::V4(to)) => {
                let range = (ip.to_bits(), from.1)..=(to.to_bits(), Slot::MAX);
                let mut pairs = ordered(&range).then(|| self.v4.range(range)).into_iter().flatten();
                pairs.all(|&(ip, slot)| visit(ip.to_be_bytes().into(), slot));
            }
            (IpAddr::V6(ip), IpAddr::V6(to)) => {
                let range = (ip.octets(), from.1)..=(to.octets(), Slot::MAX);
                let mut pairs = ordered(&range).then(|| self.v6.range(range)).into_iter().flatten();
                pairs.all(|&(ip, slot)| visit(ip.into(), slot));
            }
            _ => {}
        }
    }
}

/// Whether a range is one that may be asked for.
fn ordered<T: PartialOrd>(range: &RangeInclusive<T>) -> bool {
    range.start() <= range.end()
}

/// Which of the two kinds of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    /// Cluster addresses (rule K-170).
    Cluster,
    /// Addresses of ready endpoints (rule K-171).
    Endpoints,
}

/// What lies behind the lock.
#[derive(Default)]
struct Table {
    /// Services by their slot; `None` for one that is free, or whose Service is about to come.
    slots: Vec<Option<Arc<Service>>>,
    /// Slots that are free.
    free: Vec<Slot>,
    /// Cluster addresses.
    cluster: Addresses,
    /// Addresses of ready endpoints.
    endpoints: Addresses,
}

impl Table {
    /// The Service in a slot.
    fn service(&self, slot: Slot) -> Option<&Arc<Service>> {
        self.slots.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    /// The addresses of a kind.
    fn of(&self, which: Which) -> &Addresses {
        match which {
            Which::Cluster => &self.cluster,
            Which::Endpoints => &self.endpoints,
        }
    }
}

/// Both kinds of addresses that have PTRs.
///
/// What is told is the Service as it was when it was last put here: who needs it as it is asks the store for its key.
/// Cost: a binary search under a read lock; the writer holds the lock for a few insertions at a time.
#[derive(Default)]
pub struct Reverse {
    /// Slots and addresses.
    table: RwLock<Table>,
}

/// How many addresses below a partial reverse name are looked at in one go, and how many are written under one lock.
const PIECE: usize = 64;

impl Reverse {
    /// Calls `visit` with each Service whose cluster address this is, until it says true; says whether one did.
    pub fn cluster(&self, ip: IpAddr, mut visit: impl FnMut(&Service) -> bool) -> bool {
        let table = self.table.read();
        let mut found = false;
        table.cluster.walk((ip, 0), ip, |_, slot| {
            found = table.service(slot).is_some_and(|service| visit(service));
            !found
        });
        found
    }

    /// The Services that have an endpoint of this address, copied out so that no lock is held while they are read.
    ///
    /// Cost: one reference count a Service, allocates only where there are several.
    pub fn endpoint(&self, ip: IpAddr) -> impl Iterator<Item = Arc<Service>> + use<> {
        let (mut one, mut more) = (None, Vec::new());
        let table = self.table.read();
        table.endpoints.walk((ip, 0), ip, |_, slot| {
            match table.service(slot).cloned() {
                Some(service) if one.is_none() => one = Some(service),
                other => more.extend(other),
            }
            true
        });
        drop(table);
        one.into_iter().chain(more)
    }

    /// Whether an address whose first `bits` bits are those of `prefix` has a Service for which `judge` says true.
    pub fn any_below(&self, prefix: IpAddr, bits: u8, mut judge: impl FnMut(&Service) -> bool) -> bool {
        let last = last_address(prefix, bits);
        [Which::Cluster, Which::Endpoints].into_iter().any(|which| {
            let mut from = (prefix, 0);
            loop {
                // A piece at a time: no lock is held while Services are judged, and nearly always the first one decides.
                let mut piece: Vec<(IpAddr, Slot, Option<Arc<Service>>)> = Vec::new();
                let table = self.table.read();
                table.of(which).walk(from, last, |ip, slot| {
                    piece.push((ip, slot, table.service(slot).cloned()));
                    piece.len() < PIECE
                });
                drop(table);
                if piece.iter().any(|(_, _, service)| service.as_ref().is_some_and(|service| judge(service)))
                {
                    return true;
                }
                match piece.last() {
                    // Slots are counted from 0 and never reach the end of their range.
                    Some((ip, slot, _)) if piece.len() == PIECE => from = (*ip, slot.saturating_add(1)),
                    _ => return false,
                }
            }
        })
    }

    /// A slot for a Service that is about to come.
    pub(super) fn reserve(&self) -> Slot {
        let mut table = self.table.write();
        table.free.pop().unwrap_or_else(|| {
            table.slots.push(None);
            Slot::try_from(table.slots.len() - 1).unwrap_or(Slot::MAX)
        })
    }

    /// The Service in a slot.
    pub(super) fn at(&self, slot: Slot) -> Option<Arc<Service>> {
        self.table.read().service(slot).cloned()
    }

    /// Puts a Service into its slot, or empties it and sets it free; what was there goes.
    pub(super) fn put(&self, slot: Slot, service: Option<Arc<Service>>) {
        let mut table = self.table.write();
        if service.is_none() {
            table.free.push(slot);
        }
        let at = usize::try_from(slot).unwrap_or(usize::MAX);
        let old = table.slots.get_mut(at).and_then(|place| std::mem::replace(place, service));
        // Taken apart only when nobody waits.
        drop(table);
        drop(old);
    }

    /// Takes cluster addresses in.
    pub(super) fn add_cluster(&self, ips: &[IpAddr], slot: Slot) {
        self.write(ips, |table, ip| table.cluster.add(ip, slot));
    }

    /// Takes cluster addresses out.
    pub(super) fn remove_cluster(&self, ips: &[IpAddr], slot: Slot) {
        self.write(ips, |table, ip| table.cluster.remove(ip, slot));
    }

    /// Takes addresses of endpoints in.
    pub(super) fn add_endpoints(&self, ips: &[IpAddr], slot: Slot) {
        self.write(ips, |table, ip| table.endpoints.add(ip, slot));
    }

    /// Takes addresses of endpoints out.
    pub(super) fn remove_endpoints(&self, ips: &[IpAddr], slot: Slot) {
        self.write(ips, |table, ip| table.endpoints.remove(ip, slot));
    }

    /// Writes, a few addresses under one lock.
    fn write(&self, ips: &[IpAddr], mut each: impl FnMut(&mut Table, IpAddr)) {
        for piece in ips.chunks(PIECE) {
            let mut table = self.table.write();
            piece.iter().for_each(|&ip| each(&mut table, ip));
        }
    }
}

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
