//! Names of Services, their ports and their endpoints (SPEC D, E).

use super::grammar::{self, Below};
use super::{Found, Lookup};
use crate::store::{Endpoints, Group, Member, Naming, Part, PartPort, Port, Protocol, Service, Spec};
use crate::wire::{Owner, Rdata, Section, Sections, rtype};

/// The part of a reply that one record of an address takes at least. Unit: bytes.
const ADDRESS_RECORD: usize = 16;

/// The part of a reply that one SRV record of ours takes at least. Unit: bytes.
const SRV_RECORD: usize = 30;

impl Lookup<'_> {
    /// Answers a name of an existing Service or below it.
    pub(super) fn service(&mut self, service: &Service, below: Below<'_>, sections: &mut Sections) -> Found {
        match (service.spec(), below) {
            (Spec::Orphan | Spec::ExternalInvalid, _) => Found::Missing,
            (Spec::External(target), Below::Itself) => self.external(target, sections),
            (Spec::External(_), _) => Found::Missing,
            (Spec::Headless, Below::AboveZones | Below::Zone { .. }) => self.zonal(service, below, sections),
            // An address of the cluster is in no zone (K-223); clusters are parts of a clusterset's names only.
            (_, Below::AboveZones | Below::Zone { .. } | Below::Cluster(..)) => Found::Missing,
            (Spec::Cluster { .. }, _) if self.options.ignore_empty && service.endpoints().is_empty() => {
                Found::Missing
            }
            (Spec::Cluster { v4, v6 }, Below::Itself) => {
                self.cluster((service.key(), service.ports()), v4, v6, |_| true, sections);
                Found::Here
            }
            (Spec::Cluster { v4, v6 }, Below::Port(name, protocol)) => {
                let matches = |port: &Port| matches_port(&port.name, port.protocol, name, protocol);
                if !service.ports().iter().any(matches) {
                    return Found::Missing;
                }
                self.cluster((service.key(), service.ports()), v4, v6, matches, sections);
                Found::Here
            }
            (Spec::Headless, Below::Itself) => {
                let endpoints = service.endpoints();
                if endpoints.is_empty() || !self.options.endpoints {
                    return Found::Missing;
                }
                self.headless(endpoints, sections);
                Found::Here
            }
            (Spec::Headless, Below::Port(name, protocol)) => {
                if !self.options.endpoints {
                    return Found::Missing;
                }
                self.headless_port(service.endpoints(), name, protocol, sections)
            }
            (Spec::Cluster { .. } | Spec::Headless, Below::Endpoint(label)) => {
                self.endpoint(service, label, sections)
            }
        }
    }

    /// ClusterIP, NodePort, LoadBalancer (K-070 to K-086).
    #[inline]
    pub(super) fn cluster(
        &mut self,
        (key, ports): (&[u8], &[Port]),
        v4: &[[u8; 4]],
        v6: &[[u8; 16]],
        matches: impl Fn(&Port) -> bool,
        sections: &mut Sections,
    ) {
        match self.qtype {
            rtype::A => self.addresses(v4, sections),
            rtype::AAAA => self.addresses(v6, sections),
            rtype::SRV => {
                let entries = ports.iter().filter(|port| matches(port)).count() * (v4.len() + v6.len());
                if entries == 0 {
                    return;
                }
                let mut first = None;
                for (index, port) in ports.iter().enumerate().filter(|(_, port)| matches(port)) {
                    // tcp and udp of one number are one record: target and port are the same (K-015, K-110).
                    if ports.iter().take(index).any(|earlier| earlier.port == port.port && matches(earlier)) {
                        continue;
                    }
                    let id = self.srv(weight(entries), port.port, None, key, sections);
                    first.get_or_insert(id);
                }
                if let Some(id) = first {
                    for address in v4 {
                        sections.push_address(Section::Additional, Owner::Target(id), self.ttl, address);
                    }
                    for address in v6 {
                        sections.push_address(Section::Additional, Owner::Target(id), self.ttl, address);
                    }
                }
            }
            _ => {}
        }
    }

    /// Addresses of a set, at most as many as can fit and one more, from a random start where there are more.
    fn addresses<const N: usize>(&mut self, set: &[[u8; N]], sections: &mut Sections) {
        let most = self.limit / ADDRESS_RECORD + 1;
        let start = if set.len() > most { self.rng.usize(..set.len()) } else { 0 };
        let (tail, head) = set.split_at_checked(start).unwrap_or((&[], set));
        for address in head.iter().chain(tail).take(most) {
            sections.push_address(Section::Answer, self.owner, self.ttl, address);
        }
    }

    /// A headless Service at its own name (K-100 to K-112).
    #[inline]
    fn headless(&mut self, endpoints: &Endpoints, sections: &mut Sections) {
        match self.qtype {
            rtype::A => self.addresses(endpoints.v4(), sections),
            rtype::AAAA => self.addresses(endpoints.v6(), sections),
            rtype::SRV => self.endpoint_services(endpoints, |_| true, sections),
            _ => {}
        }
    }

    /// A headless Service at a port's name: only slices that have the port (K-108, K-115).
    fn headless_port(
        &mut self,
        endpoints: &Endpoints,
        name: Option<&[u8]>,
        protocol: Option<Protocol>,
        sections: &mut Sections,
    ) -> Found {
        // A port without a number has a name and no SRV (K-112).
        let matches = |port: &PartPort| matches_port(&port.name, port.protocol, name, protocol);
        let has = |part: &Part| part.ports().iter().any(matches);
        if !endpoints.parts().iter().any(|part| has(part) && !part.is_empty()) {
            return Found::Missing;
        }
        match self.qtype {
            rtype::A | rtype::AAAA => {
                let members =
                    endpoints.parts().iter().filter(|part| has(part)).flat_map(|part| part.members());
                self.member_addresses(members, sections);
            }
            rtype::SRV => self.endpoint_services(endpoints, matches, sections),
            _ => {}
        }
        Found::Here
    }

    /// Addresses of the asked family of these members, each once.
    pub(super) fn member_addresses<'m>(
        &mut self,
        members: impl Iterator<Item = Member<'m>>,
        sections: &mut Sections,
    ) {
        let most = self.limit / ADDRESS_RECORD + 1;
        let from = sections.records().len();
        for member in members {
            if sections.records().len() - from >= most {
                break;
            }
            let (octets, length) = crate::store::octets(member.ip());
            let address = octets.get(..length).unwrap_or_default();
            let wanted = if length == 4 { rtype::A } else { rtype::AAAA };
            if wanted == self.qtype && !has_rdata(sections, from, address) {
                sections.push_address(Section::Answer, self.owner, self.ttl, address);
            }
        }
    }

    /// One endpoint of a Service, headless or not (K-078, K-105, K-107, K-113, K-117).
    fn endpoint(&mut self, service: &Service, label: &[u8], sections: &mut Sections) -> Found {
        if let Some(protocol) = label.strip_prefix(b"_").and_then(grammar::protocol) {
            // Above the names of ports: exists as long as one of them does (K-037, RFC 8020).
            return if has_named_port(service, protocol, self.options.endpoints) {
                Found::Here
            } else {
                Found::Missing
            };
        }
        if !self.options.endpoints {
            return Found::Missing;
        }
        let endpoints = service.endpoints();
        let found = endpoints.named(label, self.options.naming);
        let members = || found.clone();
        if members().next().is_none() {
            return Found::Missing;
        }
        match self.qtype {
            rtype::A | rtype::AAAA => self.member_addresses(members().map(|(_, member)| member), sections),
            rtype::SRV => {
                let entries = members().map(|(part, _)| weighed(part.ports(), &|_| true)).sum();
                let from = sections.records().len();
                for (part, _) in members() {
                    for number in part.ports().iter().filter_map(|port| port.port) {
                        if !has_port(sections, from, number) {
                            self.srv(weight(entries), number, Some(label), service.key(), sections);
                        }
                    }
                }
                if let Some(id) = id_at(sections, from) {
                    self.glue(with_ports(members(), &|_| true), id, sections);
                }
            }
            _ => {}
        }
        Found::Here
    }

    /// SRV records of endpoints whose slices have a matching port, with their addresses (K-108 to K-112).
    fn endpoint_services(
        &mut self,
        endpoints: &Endpoints,
        matches: impl Fn(&PartPort) -> bool + Copy,
        sections: &mut Sections,
    ) {
        let naming = self.options.naming;
        if !endpoints.parts().iter().any(|part| !part.is_empty() && numbered(part, &matches) > 0) {
            return;
        }
        let entries = endpoints.parts().iter().map(|part| part.len() * weighed(part.ports(), &matches)).sum();
        let most = self.limit / SRV_RECORD + 1;
        let start = if entries > most { self.rng.usize(..endpoints.len().max(1)) } else { 0 };
        let key = self.run;
        let before = sections.records().len();
        let mut drafted = 0;
        for group in endpoints.groups(naming, start) {
            if drafted >= most {
                break;
            }
            each_name(group, naming, |name| {
                let from = sections.records().len();
                for (part, _) in named(group, naming, name) {
                    for number in
                        part.ports().iter().filter(|port| matches(port)).filter_map(|port| port.port)
                    {
                        if !has_port(sections, from, number) {
                            self.srv(weight(entries), number, Some(name), key, sections);
                            drafted += 1;
                        }
                    }
                }
            });
        }
        // The same walk again: glue stands behind all answers, and each name's records stand in the same order.
        let end = sections.records().len();
        let mut at = before;
        for group in endpoints.groups(naming, start) {
            if at >= end {
                break;
            }
            if group.is_one_name() {
                if !group.members().any(|(part, _)| numbered(part, &matches) > 0) {
                    continue;
                }
                // Each name stands there once, so the records of this one are those of one target.
                let first = at;
                while at < end && target_label(sections, at) == target_label(sections, first) {
                    at += 1;
                }
                if let Some(id) = id_at(sections, first) {
                    self.glue(with_ports(group.members(), &matches), id, sections);
                }
                continue;
            }
            each_name(group, naming, |name| {
                let first = at;
                while at < end && target_label(sections, at) == name {
                    at += 1;
                }
                if at > first
                    && let Some(id) = id_at(sections, first)
                {
                    self.glue(with_ports(named(group, naming, name), &matches), id, sections);
                }
            });
        }
    }

    /// Addresses of the target of record `id`, each once (K-086, K-110).
    fn glue<'m>(&mut self, members: impl Iterator<Item = Member<'m>>, id: u16, sections: &mut Sections) {
        let most = self.limit / ADDRESS_RECORD;
        let from = sections.records().len();
        for member in members {
            if sections.records().len() - from > most {
                break;
            }
            let (octets, length) = crate::store::octets(member.ip());
            let address = octets.get(..length).unwrap_or_default();
            if !has_rdata(sections, from, address) {
                sections.push_address(Section::Additional, Owner::Target(id), self.ttl, address);
            }
        }
    }

    /// Drafts one SRV record: `[endpoint.]SVC.NS.svc.Z` at `port`; returns its id (K-075, K-076).
    fn srv(
        &self,
        weight: u16,
        port: u16,
        endpoint: Option<&[u8]>,
        run: &[u8],
        sections: &mut Sections,
    ) -> u16 {
        sections.push(Section::Answer, self.owner, rtype::SRV, self.ttl, |rdata: &mut Rdata<'_>| {
            rdata.word(0);
            rdata.word(weight);
            rdata.word(port);
            if let Some(label) = endpoint {
                rdata.label(label);
            }
            rdata.bytes(run);
            rdata.label(b"svc");
            rdata.zone(self.question, self.left);
        })
    }
}

/// The weight of each of `entries` records (K-076): a hundredth part, at least 1.
pub(in crate::chain) fn weight(entries: usize) -> u16 {
    u16::try_from(100 / entries.max(1)).unwrap_or(100).max(1)
}

/// Whether a port has the asked name and protocol; `None` matches any (K-038, K-082).
pub(in crate::chain) fn matches_port(
    port: &str,
    port_protocol: Protocol,
    name: Option<&[u8]>,
    protocol: Option<Protocol>,
) -> bool {
    name.is_none_or(|name| name == port.as_bytes())
        && protocol.is_none_or(|protocol| protocol == port_protocol)
}

/// How many of a slice's ports match and have a number.
#[inline]
fn numbered(part: &Part, matches: &impl Fn(&PartPort) -> bool) -> usize {
    part.ports().iter().filter(|port| port.port.is_some() && matches(port)).count()
}

/// The members whose slices have a port that is listed: addresses beside an SRV record are those that the port can be reached at
/// (K-108, K-115).
fn with_ports<'m>(
    members: impl Iterator<Item = (&'m Part, Member<'m>)>,
    matches: &impl Fn(&PartPort) -> bool,
) -> impl Iterator<Item = Member<'m>> {
    members.filter(|(part, _)| numbered(part, matches) > 0).map(|(_, member)| member)
}

/// How many entries each endpoint of a slice with these ports has among those that share the weight: one for each port that
/// matches, numbered or not, and one where there are none, for whoever asks for any port (K-109, K-112).
pub(super) fn weighed(ports: &[PartPort], matches: &impl Fn(&PartPort) -> bool) -> usize {
    if !ports.is_empty() {
        return ports.iter().filter(|port| matches(port)).count();
    }
    let any = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .all(|protocol| matches(&PartPort { name: "".into(), protocol, port: None }));
    usize::from(any)
}

/// Whether a port of this protocol has a name, so that there are names below `_tcp.SVC.NS.svc.Z`.
fn has_named_port(service: &Service, protocol: Protocol, endpoints: bool) -> bool {
    match service.spec() {
        Spec::Cluster { .. } => {
            service.ports().iter().any(|port| port.protocol == protocol && !port.name.is_empty())
        }
        Spec::Headless => {
            endpoints
                && service.endpoints().parts().iter().filter(|part| !part.is_empty()).any(|part| {
                    part.ports().iter().any(|port| port.protocol == protocol && !port.name.is_empty())
                })
        }
        Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => false,
    }
}

/// Calls `visit` once for each name of a group.
fn each_name(group: Group<'_>, naming: Naming, mut visit: impl FnMut(&[u8])) {
    for (index, (_, member)) in group.members().enumerate() {
        let name = member.name(naming);
        if group.is_one_name() {
            return visit(name.as_bytes());
        }
        // One hash is nearly always one name, so the first earlier member already settles it.
        let mut earlier = group.members().take(index);
        if !earlier.any(|(_, earlier)| earlier.name(naming).as_bytes() == name.as_bytes()) {
            visit(name.as_bytes());
        }
    }
}

/// The members of a group that have this name.
fn named<'a, 'n>(
    group: Group<'a>,
    naming: Naming,
    name: &'n [u8],
) -> impl Iterator<Item = (&'a Part, Member<'a>)> + use<'a, 'n> {
    let one = group.is_one_name();
    group.members().filter(move |(_, member)| one || member.name(naming).as_bytes() == name)
}

/// Whether the records from `from` on hold one with this RDATA.
#[inline]
pub(super) fn has_rdata(sections: &Sections, from: usize, rdata: &[u8]) -> bool {
    sections.records().get(from..).unwrap_or_default().iter().any(|record| sections.rdata(record) == rdata)
}

/// Whether the SRV records from `from` on hold one with this port.
pub(super) fn has_port(sections: &Sections, from: usize, port: u16) -> bool {
    let port = port.to_be_bytes();
    sections
        .records()
        .get(from..)
        .unwrap_or_default()
        .iter()
        .any(|record| sections.rdata(record).get(4..6) == Some(&port))
}

/// The first label of the target of the SRV record at `at`.
#[inline]
fn target_label(sections: &Sections, at: usize) -> &[u8] {
    let target = sections.records().get(at).map(|record| sections.target(record)).unwrap_or_default();
    let length = target.first().copied().map_or(0, usize::from);
    target.get(1..=length).unwrap_or_default()
}

/// The id of the record at `at`.
fn id_at(sections: &Sections, at: usize) -> Option<u16> {
    sections.records().get(at).map(crate::wire::Record::id)
}
