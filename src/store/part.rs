//! One EndpointSlice at rest: its ready endpoints by address, and their names where they have any of their own.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::change::{Protocol, SliceObject};
use super::identity::{Fingerprint, SliceId, Version};
use super::intern::Interned;
use super::label_hash;
use super::zones::{PartOptions, Zones};

mod kept;

/// How an endpoint is named: a choice of the stanza (rules K-105, K-114).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// Its hostname, else its address with dashes.
    Address,
    /// Its hostname, else the name of the pod behind it, else its address with dashes.
    Pod,
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
    /// No byte yet.
    fn new() -> Self {
        Self { bytes: [0; LABEL], len: 0 }
    }

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

    /// Appends an IPv4 address with dashes. Cost: no formatting, since SRV answers are made of these.
    fn push_v4(&mut self, octets: [u8; 4]) {
        for (index, octet) in octets.into_iter().enumerate() {
            if index > 0 {
                self.push(b'-');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
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

/// The IPv4 address that a label spells with dashes, exactly as [`Label::push_v4`] does.
pub(super) fn dashed(label: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0_u8; 4];
    let mut spelled = label.split(|&byte| byte == b'-');
    for octet in &mut octets {
        let digits = spelled.next()?;
        // No leading zeros, so that one address has one spelling.
        if digits.is_empty() || (digits.len() > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        for digit in digits {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            *octet = octet.checked_mul(10)?.checked_add(digit)?;
        }
    }
    spelled.next().is_none().then_some(octets)
}

/// A port of a slice.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PartPort {
    /// Its name in lower case, empty for none.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number, `None` where the slice gives none (rule K-112).
    pub port: Option<u16>,
}

/// The place of a member: part and index in it.
pub(super) type Place = (u16, u16);

/// Hashes of names with the members that have them, sorted.
pub(super) type ByName = Box<[(u32, Place)]>;

/// Where in the text of its part a member's names stand, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Own {
    /// The first byte.
    start: u32,
    /// Bytes of the hostname.
    hostname: u8,
    /// Bytes of the pod's name; none where no stanza wants it.
    target: u8,
    /// Bytes of the address as spelled in the slice, where that is not the canonical text (rule K-106).
    spelled: u8,
}

/// The names of a part whose members are called by more than their IPv4 addresses.
#[derive(Debug)]
pub(super) struct Names {
    /// For each member in order; empty where none has a name of its own.
    own: Box<[Own]>,
    /// All that `own` points to.
    text: Box<str>,
    /// Members by the hash of their name under `Naming::Address`; all of part 0.
    pub(super) by_name: ByName,
    /// The same under `Naming::Pod`; empty where no stanza wants it.
    pub(super) by_pod_name: ByName,
}

/// One EndpointSlice, ready endpoints only; also the writer's only copy of it.
///
/// Shape: members are sorted by address, IPv4 first. A member without a name of its own is 4 (or 16) bytes and no more: its name
/// is spelled when it is asked for.
#[derive(Debug)]
pub struct Part {
    /// Which slice it is.
    pub(super) slice: SliceId,
    /// Its version.
    pub(super) version: Version,
    /// What it answers, order included.
    data: Fingerprint,
    /// The list in which it was last seen.
    pub(super) mark: AtomicU32,
    /// IPv4 addresses, sorted; one that two endpoints have stands there twice.
    pub(super) v4: Box<[[u8; 4]]>,
    /// IPv6 addresses, likewise.
    pub(super) v6: Box<[[u8; 16]]>,
    /// Names, where there are others than those of IPv4 addresses.
    pub(super) names: Option<Box<Names>>,
    /// Its ports.
    ports: Option<Arc<[PartPort]>>,
    /// The zones of its members, where a stanza wants them and there are any.
    zones: Option<Box<Zones>>,
}

/// What is kept of an endpoint besides its address, while a part is made.
#[derive(Hash)]
struct Called {
    /// `hostname`, empty for none.
    hostname: Box<str>,
    /// The pod's name, empty for none.
    target: Box<str>,
    /// The odd spelling, empty for none.
    spelled: Box<str>,
    /// The zone where it is, in lower case; empty for none and where zones are not kept.
    zone: Box<str>,
}

impl Part {
    /// Cuts a slice down to what `options` want of it.
    pub(super) fn build(
        slice: SliceObject,
        options: PartOptions,
        mark: u32,
        interned: &mut Interned<PartPort>,
    ) -> Self {
        let pod_names = options.pod_names;
        let mut members: Vec<(IpAddr, Called)> = Vec::with_capacity(slice.endpoints.len());
        for endpoint in slice.endpoints {
            let zone =
                if options.zones { endpoint.zone.to_ascii_lowercase().into() } else { Box::<str>::default() };
            for address in endpoint.addresses {
                let target = if pod_names { endpoint.target.clone() } else { Box::default() };
                let spelled = address.spelled.unwrap_or_default();
                let (hostname, zone) = (endpoint.hostname.clone(), zone.clone());
                members.push((address.ip, Called { hostname, target, spelled, zone }));
            }
        }
        // What is beyond 65,535 can't be placed; a slice has at most 1,000 endpoints.
        members.truncate(usize::from(u16::MAX));
        let ports = slice.ports.into_iter().map(|port| PartPort {
            name: port.name.to_ascii_lowercase().into(),
            protocol: port.protocol,
            port: port.port,
        });
        let ports: Vec<PartPort> = ports.collect();
        let data = Fingerprint::of(&(&members, &ports));
        members.sort_by_key(|member| member.0);
        let v4 = members.iter().filter_map(|member| match member.0 {
            IpAddr::V4(ip) => Some(ip.octets()),
            IpAddr::V6(_) => None,
        });
        let v6 = members.iter().filter_map(|member| match member.0 {
            IpAddr::V6(ip) => Some(ip.octets()),
            IpAddr::V4(_) => None,
        });
        let mut part = Self {
            slice: SliceId::of(&slice.key),
            version: Version::of(&slice.revision),
            data,
            mark: AtomicU32::new(mark),
            v4: v4.collect(),
            v6: v6.collect(),
            names: None,
            ports: interned.share(ports),
            zones: Zones::build(members.iter().map(|member| &*member.1.zone)),
        };
        part.names = part.name(&members, pod_names);
        part
    }

    /// The names of the members; `None` where they follow from the addresses.
    fn name(&self, members: &[(IpAddr, Called)], pod_names: bool) -> Option<Box<Names>> {
        let plain = |called: &Called| {
            called.hostname.is_empty() && called.target.is_empty() && called.spelled.is_empty()
        };
        let all_plain = members.iter().all(|member| plain(&member.1));
        // Two IPv6 addresses may have one spelling (`::ffff:1.0.0.1`, `::ffff:1:0:0:1`), so labels can't be read back.
        if all_plain && self.v6.is_empty() {
            return None;
        }
        let mut text = String::new();
        let mut own = Vec::with_capacity(if all_plain { 0 } else { members.len() });
        if !all_plain {
            for (_, called) in members {
                let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
                let mut keep = |part: &str| {
                    let length = u8::try_from(part.len()).unwrap_or(0);
                    text.push_str(part.get(..usize::from(length)).unwrap_or_default());
                    length
                };
                let (hostname, target) = (keep(&called.hostname), keep(&called.target));
                own.push(Own { start, hostname, target, spelled: keep(&called.spelled) });
            }
        }
        Some(self.indexed(own, text.into(), pod_names))
    }

    /// Names by which members are found.
    fn indexed(&self, own: Vec<Own>, text: Box<str>, pod_names: bool) -> Box<Names> {
        let mut names = Names { own: own.into(), text, by_name: Box::default(), by_pod_name: Box::default() };
        let sorted = |names: &Names, naming| {
            let mut sorted: Vec<(u32, Place)> = (0..self.len())
                .filter_map(|index| {
                    let at = u16::try_from(index).ok()?;
                    let label = spell(self.ip(index)?, Some(names), index, naming);
                    Some((label_hash(label.as_bytes()), (0, at)))
                })
                .collect();
            sorted.sort_unstable();
            sorted.into()
        };
        names.by_name = sorted(&names, Naming::Address);
        if pod_names {
            names.by_pod_name = sorted(&names, Naming::Pod);
        }
        Box::new(names)
    }

    /// How many endpoints it has, one an address.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether two members have one address.
    pub(super) fn repeats(&self) -> bool {
        self.v4.windows(2).any(|pair| pair.first() == pair.last())
            || self.v6.windows(2).any(|pair| pair.first() == pair.last())
    }

    /// The address of a member.
    fn ip(&self, index: usize) -> Option<IpAddr> {
        match self.v4.get(index) {
            Some(&octets) => Some(octets.into()),
            None => self.v6.get(index.checked_sub(self.v4.len())?).map(|&octets| octets.into()),
        }
    }

    /// The member at an index.
    #[must_use]
    pub fn member(&self, index: usize) -> Option<Member<'_>> {
        Some(Member { ip: self.ip(index)?, names: self.names.as_deref(), index })
    }

    /// Its endpoints, one entry an address, sorted by address.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let names = self.names.as_deref();
        let v4 = self.v4.iter().map(|&octets| IpAddr::from(octets));
        let v6 = self.v6.iter().map(|&octets| IpAddr::from(octets));
        v4.chain(v6).enumerate().map(move |(index, ip)| Member { ip, names, index })
    }

    /// Whether no endpoint of the slice is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[PartPort] {
        self.ports.as_deref().unwrap_or_default()
    }

    /// The members whose zone, in lower case, is one for which `is` says so (rule K-220); none where zones are not kept.
    pub fn in_zone(&self, is: impl Fn(&str) -> bool) -> impl Iterator<Item = Member<'_>> {
        let zones = self.zones.as_deref();
        // Where no zones are kept, not a single member is looked at.
        let members = zones.map(|zones| self.members().enumerate().map(move |member| (zones, member)));
        members
            .into_iter()
            .flatten()
            .filter(move |(zones, (index, _))| is(zones.of(*index)))
            .map(|(_, (_, member))| member)
    }

    /// Whether another version of the slice answers the same (rule K-265).
    pub(super) fn same(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

/// One address of one ready endpoint, seen where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The address.
    ip: IpAddr,
    /// The names of its part.
    names: Option<&'a Names>,
    /// Which of them are its own.
    index: usize,
}

/// The parts of `own`: hostname, pod's name, odd spelling.
fn called(names: Option<&Names>, index: usize) -> (&str, &str, &str) {
    let Some((names, own)) = names.and_then(|names| Some((names, names.own.get(index)?))) else {
        return ("", "", "");
    };
    let start = usize::try_from(own.start).unwrap_or(usize::MAX);
    let hostname = start.saturating_add(usize::from(own.hostname));
    let target = hostname.saturating_add(usize::from(own.target));
    let spelled = target.saturating_add(usize::from(own.spelled));
    let text = |from: usize, to: usize| names.text.get(from..to).unwrap_or_default();
    (text(start, hostname), text(hostname, target), text(target, spelled))
}

/// The one name of an endpoint under its Service (rules K-105, K-106, K-114).
fn spell(ip: IpAddr, names: Option<&Names>, index: usize, naming: Naming) -> Label {
    let mut label = Label::new();
    let (hostname, target, spelled) = called(names, index);
    let given = match naming {
        _ if !hostname.is_empty() => hostname,
        Naming::Pod if target.len() <= LABEL => target,
        Naming::Pod | Naming::Address => "",
    };
    if !given.is_empty() {
        for byte in given.bytes() {
            label.push(byte.to_ascii_lowercase());
        }
        return label;
    }
    match ip {
        IpAddr::V4(ip) if spelled.is_empty() => label.push_v4(ip.octets()),
        // Writing into a label cannot fail.
        IpAddr::V6(ip) if spelled.is_empty() => drop(write!(label, "{ip}")),
        IpAddr::V4(_) | IpAddr::V6(_) => drop(label.write_str(spelled)),
    }
    if label.as_bytes().last() == Some(&b'-') {
        label.push(b'0');
    }
    label
}

impl Member<'_> {
    /// The address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The hostname, empty for none.
    #[must_use]
    pub fn hostname(&self) -> &str {
        called(self.names, self.index).0
    }

    /// The one name of this endpoint under its Service (rules K-105, K-106, K-114).
    ///
    /// Cost: a copy of at most 63 bytes, the address written out where there is no other name.
    #[must_use]
    pub fn name(&self, naming: Naming) -> Label {
        spell(self.ip, self.names, self.index, naming)
    }
}

#[cfg(test)]
mod tests {
    //! Labels that spell addresses.

    use std::net::Ipv4Addr;

    use super::*;

    /// What the standard parser makes of a label with dots for dashes.
    fn judged(label: &str) -> Option<[u8; 4]> {
        label
            .replace('-', ".")
            .parse::<Ipv4Addr>()
            .ok()
            .map(|ip| ip.octets())
            .filter(|_| !label.contains('.'))
    }

    #[test]
    fn a_label_spells_an_address_where_the_standard_parser_says_so() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..20_000 {
            let part = |rng: &mut fastrand::Rng| match rng.u8(..8) {
                0 => format!("0{}", rng.u8(..)),
                1 => String::new(),
                2 => rng.u16(200..400).to_string(),
                3 => "1x".to_owned(),
                _ => rng.u8(..).to_string(),
            };
            let count = if rng.u8(..8) == 0 { rng.usize(0..6) } else { 4 };
            let label = (0..count).map(|_| part(&mut rng)).collect::<Vec<_>>().join("-");
            assert_eq!(dashed(label.as_bytes()), judged(&label), "{label}");
        }
        for ip in (0..20_000).map(|_| Ipv4Addr::from_bits(rng.u32(..))) {
            let mut label = Label::new();
            label.push_v4(ip.octets());
            assert_eq!(dashed(label.as_bytes()), Some(ip.octets()), "{ip}");
        }
    }
}
