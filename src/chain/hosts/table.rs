//! What a file of hosts and the lines of a stanza say, ready to be looked up.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;

use crate::corefile::Zone;
use crate::wire::{MAX_NAME, Question, parse_name};

/// What makes two stanzas share a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostsSpec {
    /// The file.
    pub path: PathBuf,
    /// The zones whose names count, others are left out.
    pub zones: Vec<Zone>,
    /// The lines of the stanza itself, which win over those of the file.
    pub inline: String,
    /// Whether addresses have names (not with `no_reverse`).
    pub reverse: bool,
    /// How often the file is looked at; zero for only once.
    pub reload: Duration,
}

/// The hosts of a stanza, shared by the plans that want the same; its table is replaced whole.
#[derive(Debug)]
pub struct Hosts {
    /// What it is.
    spec: HostsSpec,
    /// The table now.
    table: RwLock<Table>,
    /// When the file in force was changed, seconds since 1970; 0 for none.
    changed: AtomicU64,
}

impl Hosts {
    /// The hosts of the stanza's own lines, until a file is read.
    #[must_use]
    pub fn new(spec: HostsSpec) -> Self {
        let table = RwLock::new(Table::new(&spec, ""));
        Self { spec, table, changed: AtomicU64::new(0) }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &HostsSpec {
        &self.spec
    }

    /// The file holds `text` now and was changed at `changed` (seconds since 1970).
    pub fn replace(&self, text: &str, changed: u64) {
        let new = Table::new(&self.spec, text);
        self.changed.store(changed, Relaxed);
        // The old one is freed behind the lock.
        let old = std::mem::replace(&mut *self.table.write(), new);
        drop(old);
    }

    /// How many addresses and names there are, reverse ones included.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.table.read().entries
    }

    /// When the file in force was changed, seconds since 1970; 0 where no file was read.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed.load(Relaxed)
    }

    /// Calls `found` with the table. Cost: a lock that is only ever held for one replacement.
    pub(super) fn with<T>(&self, found: impl FnOnce(&Table) -> T) -> T {
        found(&self.table.read())
    }
}

/// The addresses of a name, in the order of the lines.
#[derive(Default, Debug)]
pub(super) struct Addresses {
    /// IPv4.
    pub(super) v4: Vec<[u8; 4]>,
    /// IPv6.
    pub(super) v6: Vec<[u8; 16]>,
}

/// Names and addresses.
///
/// Shape: keys are names in wire form, lower case; those of wildcards begin with the label `*`.
#[derive(Default, Debug)]
pub(super) struct Table {
    /// By name.
    names: HashMap<Arc<[u8]>, Addresses, foldhash::fast::RandomState>,
    /// By address, in the order of the lines.
    addresses: HashMap<IpAddr, Vec<Arc<[u8]>>, foldhash::fast::RandomState>,
    /// How many addresses and names there are.
    entries: usize,
}

/// The label of a wildcard in wire form.
const WILDCARD: &[u8] = b"\x01*";

impl Table {
    /// The table of a file's text and a stanza's lines.
    ///
    /// A line of the stanza replaces the file's addresses of the same name and family.
    fn new(spec: &HostsSpec, text: &str) -> Self {
        let mut inline = Vec::new();
        each(&spec.inline, &spec.zones, |ip, name| inline.push((ip, name)));
        let own: HashSet<(&[u8], bool)> =
            inline.iter().map(|(ip, name)| (name.as_slice(), ip.is_ipv4())).collect();
        let mut table = Self::default();
        each(text, &spec.zones, |ip, name| {
            if !own.contains(&(name.as_slice(), ip.is_ipv4())) {
                table.add(ip, name, spec.reverse);
            }
        });
        drop(own);
        for (ip, name) in inline {
            table.add(ip, name, spec.reverse);
        }
        for addresses in table.names.values_mut() {
            addresses.v4.shrink_to_fit();
            addresses.v6.shrink_to_fit();
        }
        table
    }

    /// Adds one name of one address, unless it is there.
    fn add(&mut self, ip: IpAddr, name: Vec<u8>, reverse: bool) {
        let wildcard = name.starts_with(WILDCARD);
        let name: Arc<[u8]> = name.into();
        let addresses = self.names.entry(name.clone()).or_default();
        let new = match ip {
            IpAddr::V4(v4) => push_new(&mut addresses.v4, v4.octets()),
            IpAddr::V6(v6) => push_new(&mut addresses.v6, v6.octets()),
        };
        if !new {
            return;
        }
        self.entries += 1;
        if reverse && !wildcard {
            self.entries += 1;
            self.addresses.entry(ip).or_default().push(name);
        }
    }

    /// The addresses of the name asked for: its own, or those of the wildcard one label above it.
    ///
    /// Cost: one look-up, two for a name that is not there.
    pub(super) fn find(&self, question: &Question) -> Found<'_> {
        let own = self.names.get(question.lower());
        let mut key = [0_u8; MAX_NAME];
        let above = question.lower().get(question.start(1)..).unwrap_or_default();
        let length = WILDCARD.len() + above.len();
        let wild = match key.get_mut(..length) {
            Some(to) if question.labels() > 1 => {
                let (star, rest) = to.split_at_mut(WILDCARD.len());
                star.copy_from_slice(WILDCARD);
                rest.copy_from_slice(above);
                self.names.get(&*to)
            }
            _ => None,
        };
        Found { own, wild }
    }

    /// The names of an address.
    pub(super) fn names_of(&self, ip: IpAddr) -> &[Arc<[u8]>] {
        self.addresses.get(&ip.to_canonical()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What there is at a name.
pub(super) struct Found<'a> {
    /// At the name itself.
    own: Option<&'a Addresses>,
    /// At the wildcard that covers it.
    wild: Option<&'a Addresses>,
}

impl<'a> Found<'a> {
    /// IPv4 addresses.
    pub(super) fn v4(&self) -> &'a [[u8; 4]] {
        pick(self.own.map(|own| own.v4.as_slice()), self.wild.map(|wild| wild.v4.as_slice()))
    }

    /// IPv6 addresses.
    pub(super) fn v6(&self) -> &'a [[u8; 16]] {
        pick(self.own.map(|own| own.v6.as_slice()), self.wild.map(|wild| wild.v6.as_slice()))
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_none() && self.wild.is_none()
    }
}

/// A name's own addresses; where it has none of this family, those of the wildcard.
fn pick<'a, T>(own: Option<&'a [T]>, wild: Option<&'a [T]>) -> &'a [T] {
    own.filter(|own| !own.is_empty()).or(wild).unwrap_or_default()
}

/// Adds what is not there yet; says whether it did.
fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) -> bool {
    let new = !list.contains(&item);
    if new {
        list.push(item);
    }
    new
}

/// Calls `entry` with every address and name of a text that lies in one of `zones`; lines that say nothing are left out.
///
/// Source: hosts(5); an IPv6 zone behind `%` is ignored, a mapped IPv4 address is IPv4.
fn each(text: &str, zones: &[Zone], mut entry: impl FnMut(IpAddr, Vec<u8>)) {
    let mut question = Question::default();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(ip) = words.next().and_then(address) else { continue };
        for name in words {
            let Some(wire) = parse_name(name) else { continue };
            let within = question.read_name(&wire).is_ok()
                && zones.iter().any(|zone| question.below(zone.wire(), zone.labels()).is_some());
            if within {
                entry(ip, question.lower().to_vec());
            }
        }
    }
}

/// The address that a word is.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    let bare = word.split('%').next().unwrap_or_default();
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}
