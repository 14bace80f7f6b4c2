//! Endpoints: one immutable part per EndpointSlice, and what a Service answers from its parts together.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::change::{Protocol, Revision, SliceObject};
use super::label_hash;
use super::zones::{PartOptions, Zones};

/// How an endpoint is named: a choice of the stanza (rules K-105, K-114).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// Its hostname, else its address with dashes.
    Address,
    /// Its hostname, else the name of the pod behind it, else its address with dashes.
    Pod,
}

/// One address of one ready endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The address.
    ip: IpAddr,
    /// Names other than the canonical address with dashes, where there are any.
    names: Option<Box<MemberNames>>,
}

/// What an endpoint is called besides its address.
#[derive(Clone, PartialEq, Eq, Debug)]
struct MemberNames {
    /// `hostname`, empty for none.
    hostname: Box<str>,
    /// The pod's name, empty for none or where no stanza wants it.
    target: Box<str>,
    /// The address as spelled in the slice, where that is not the canonical text (rule K-106).
    spelled: Box<str>,
}

/// The longest label.
const LABEL: usize = 63;

/// A label on the stack.
pub struct Label {
    /// Its bytes.
    bytes: [u8; LABEL],
    /// How many count.
    len: usize,
}

impl Label {
    /// The label's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Appends a byte; what is over 63 bytes is dropped, which no name of ours reaches.
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

impl std::fmt::Write for Label {
    /// Appends text with dashes for dots and colons, lower case (rule K-106).
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.push(if byte == b'.' || byte == b':' { b'-' } else { byte.to_ascii_lowercase() });
        }
        Ok(())
    }
}

impl Member {
    /// The address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The hostname, empty for none.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.names.as_ref().map_or("", |names| &names.hostname)
    }

    /// The one name of this endpoint under its Service (rules K-105, K-106, K-114).
    ///
    /// Cost: a copy of at most 63 bytes, the address written out where there is no other name.
    #[must_use]
    pub fn name(&self, naming: Naming) -> Label {
        let mut label = Label { bytes: [0; LABEL], len: 0 };
        let given = match (&self.names, naming) {
            (Some(names), _) if !names.hostname.is_empty() => &*names.hostname,
            (Some(names), Naming::Pod) if !names.target.is_empty() && names.target.len() <= LABEL => {
                &names.target
            }
            _ => "",
        };
        if !given.is_empty() {
            for byte in given.bytes() {
                label.push(byte.to_ascii_lowercase());
            }
            return label;
        }
        // Writing into a label cannot fail.
        let _ = match &self.names {
            Some(names) if !names.spelled.is_empty() => label.write_str(&names.spelled),
            _ => write!(label, "{}", self.ip),
        };
        if label.as_bytes().last() == Some(&b'-') {
            label.push(b'0');
        }
        label
    }
}

/// A port of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartPort {
    /// Its name in lower case, empty for none.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number, `None` where the slice gives none (rule K-112).
    pub port: Option<u16>,
}

/// One EndpointSlice, ready endpoints only; also the writer's only copy of it.
#[derive(Debug)]
pub struct Part {
    /// Name of the slice in the Service's namespace.
    pub(super) slice: Box<str>,
    /// Its UID and version.
    pub(super) revision: Revision,
    /// The list in which it was last seen.
    pub(super) mark: AtomicU32,
    /// Its endpoints, one entry an address, in the slice's order.
    members: Box<[Member]>,
    /// Hash of each member's name under `Naming::Address`.
    hashes: Box<[u32]>,
    /// Hash of each member's name under `Naming::Pod`; empty where no stanza wants it.
    pod_hashes: Box<[u32]>,
    /// Its ports.
    ports: Box<[PartPort]>,
    /// The zones of its members, where a stanza wants them and there are any.
    zones: Option<Box<Zones>>,
}

impl Part {
    /// Cuts a slice down to what `options` want of it.
    pub(super) fn build(slice: SliceObject, options: PartOptions, mark: u32) -> Self {
        let pod_names = options.pod_names;
        let zones = options.zones.then(|| Zones::build(&slice)).flatten();
        let members: Box<[Member]> = slice
            .endpoints
            .into_iter()
            .flat_map(|endpoint| {
                let target = if pod_names { endpoint.target } else { Box::default() };
                let hostname = endpoint.hostname;
                endpoint.addresses.into_iter().map(move |address| {
                    let spelled = address.spelled.unwrap_or_default();
                    let plain = hostname.is_empty() && target.is_empty() && spelled.is_empty();
                    let names = MemberNames { hostname: hostname.clone(), target: target.clone(), spelled };
                    Member { ip: address.ip, names: (!plain).then(|| Box::new(names)) }
                })
            })
            .collect();
        let hash = |naming| members.iter().map(|member| label_hash(member.name(naming).as_bytes())).collect();
        let hashes = hash(Naming::Address);
        let pod_hashes = if pod_names { hash(Naming::Pod) } else { Box::default() };
        let ports = slice
            .ports
            .into_iter()
            .map(|port| PartPort {
                name: port.name.to_ascii_lowercase().into(),
                protocol: port.protocol,
                port: port.port,
            })
            .collect();
        Self {
            slice: slice.key.name,
            revision: slice.revision,
            mark: AtomicU32::new(mark),
            members,
            hashes,
            pod_hashes,
            ports,
            zones,
        }
    }

    /// Its endpoints.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[PartPort] {
        &self.ports
    }

    /// Whether another version of the slice answers the same (rule K-265).
    pub(super) fn same(&self, other: &Self) -> bool {
        self.members == other.members && self.ports == other.ports && self.zones == other.zones
    }

    /// The members whose zone, in lower case, is one for which `is` says so (rule K-220); none where zones are not kept.
    pub fn in_zone(&self, is: impl Fn(&str) -> bool) -> impl Iterator<Item = &Member> {
        let zones = self.zones.as_deref();
        self.members
            .iter()
            .enumerate()
            .filter(move |(index, _)| zones.is_some_and(|zones| is(zones.of(*index))))
            .map(|(_, member)| member)
    }
}

/// The place of a member: part and index in it.
type Place = (u16, u16);

/// What a Service answers from its slices together.
#[derive(Default, Debug)]
pub struct Endpoints {
    /// The slices.
    parts: Box<[Arc<Part>]>,
    /// IPv4 addresses, each once, sorted.
    v4: Box<[[u8; 4]]>,
    /// IPv6 addresses, each once, sorted.
    v6: Box<[[u8; 16]]>,
    /// All members sorted by address.
    by_address: Box<[Place]>,
    /// All members sorted by the hash of their name.
    by_name: Box<[(u32, Place)]>,
    /// The same for `Naming::Pod`; empty where no stanza wants it.
    by_pod_name: Box<[(u32, Place)]>,
}

impl Endpoints {
    /// Puts parts together.
    ///
    /// Cost: sorts what the parts hold, 8 bytes a member; no text is made again.
    pub(super) fn build(parts: Vec<Arc<Part>>) -> Self {
        let mut by_address = Vec::new();
        let mut by_name = Vec::new();
        let mut by_pod_name = Vec::new();
        for (part_index, part) in parts.iter().enumerate() {
            for index in 0..part.members.len() {
                // A slice has at most 1,000 endpoints; what is beyond 65,535 of either can't be named and is left out.
                let (Ok(part_at), Ok(at)) = (u16::try_from(part_index), u16::try_from(index)) else {
                    continue;
                };
                let place = (part_at, at);
                by_address.push(place);
                by_name.push((part.hashes.get(index).copied().unwrap_or(0), place));
                if let Some(&hash) = part.pod_hashes.get(index) {
                    by_pod_name.push((hash, place));
                }
            }
        }
        let ip = |place: Place| {
            parts
                .get(usize::from(place.0))
                .and_then(|part| part.members.get(usize::from(place.1)))
                .map(Member::ip)
        };
        by_address.sort_unstable_by_key(|&place| (ip(place), place));
        by_name.sort_unstable();
        by_pod_name.sort_unstable();
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for &place in &by_address {
            match ip(place) {
                Some(IpAddr::V4(address)) => v4.push(address.octets()),
                Some(IpAddr::V6(address)) => v6.push(address.octets()),
                None => {}
            }
        }
        v4.dedup();
        v6.dedup();
        Self {
            v4: v4.into(),
            v6: v6.into(),
            by_address: by_address.into(),
            by_name: by_name.into(),
            by_pod_name: by_pod_name.into(),
            parts: parts.into(),
        }
    }

    /// The slices.
    #[must_use]
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Whether no endpoint is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// How many members, duplicates included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// The IPv4 addresses, each once (rules K-100, K-118).
    #[must_use]
    pub fn v4(&self) -> &[[u8; 4]] {
        &self.v4
    }

    /// The IPv6 addresses, each once (rule K-101).
    #[must_use]
    pub fn v6(&self) -> &[[u8; 16]] {
        &self.v6
    }

    /// A member and its part.
    fn at(&self, place: Place) -> Option<(&Part, &Member)> {
        let part = self.parts.get(usize::from(place.0))?;
        Some((part, part.members.get(usize::from(place.1))?))
    }

    /// All members in the order of their names' hashes.
    fn names(&self, naming: Naming) -> &[(u32, Place)] {
        match naming {
            Naming::Pod if !self.by_pod_name.is_empty() => &self.by_pod_name,
            Naming::Pod | Naming::Address => &self.by_name,
        }
    }

    /// The members named `label` (lower case), with their parts (rules K-105, K-107).
    ///
    /// Cost: a binary search and one comparison of names a hit.
    pub fn named<'a>(
        &'a self,
        label: &'a [u8],
        naming: Naming,
    ) -> impl Iterator<Item = (&'a Part, &'a Member)> + 'a {
        let hash = label_hash(label);
        let all = self.names(naming);
        let start = all.partition_point(|entry| entry.0 < hash);
        all.get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |entry| entry.0 == hash)
            .filter_map(|entry| self.at(entry.1))
            .filter(move |(_, member)| member.name(naming).as_bytes() == label)
    }

    /// The members that have `ip`.
    pub fn with_address(&self, ip: IpAddr) -> impl Iterator<Item = &Member> {
        let start = self
            .by_address
            .partition_point(|&place| self.at(place).is_some_and(|(_, member)| member.ip < ip));
        self.by_address
            .get(start..)
            .unwrap_or_default()
            .iter()
            .filter_map(|&place| self.at(place).map(|(_, member)| member))
            .take_while(move |member| member.ip == ip)
    }

    /// Every address, with repetitions, sorted.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_address.iter().filter_map(|&place| self.at(place).map(|(_, member)| member.ip))
    }

    /// How many groups of equal names there are at most: members in name order, to start an answer anywhere.
    #[must_use]
    pub fn name_count(&self, naming: Naming) -> usize {
        self.names(naming).len()
    }

    /// Walks all members by name, those of one name together, starting at the group that holds position `start`.
    ///
    /// Shape: each `Group` is a run of members whose names' hashes are equal; `Group::name` tells them apart.
    pub fn groups(&self, naming: Naming, start: usize) -> impl Iterator<Item = Group<'_>> {
        let all = self.names(naming);
        // Back to the first of the run, so that no group is torn.
        let hash = all.get(start).map(|entry| entry.0);
        let start = hash.map_or(0, |hash| all.partition_point(|entry| entry.0 < hash));
        let (head, tail) = all.split_at_checked(start).unwrap_or((&[], all));
        tail.chunk_by(|a, b| a.0 == b.0)
            .chain(head.chunk_by(|a, b| a.0 == b.0))
            .map(move |places| Group { endpoints: self, places })
    }
}

/// Members whose names have one hash: nearly always the members of one name.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    /// Where they live.
    endpoints: &'a Endpoints,
    /// Their places.
    places: &'a [(u32, Place)],
}

impl<'a> Group<'a> {
    /// The members and their parts.
    pub fn members(self) -> impl Iterator<Item = (&'a Part, &'a Member)> {
        self.places.iter().filter_map(move |entry| self.endpoints.at(entry.1))
    }
}
