//! Services as they are seen from outside: `SVC.NS` and what is below it (K-290, K-292).

use super::super::kubernetes::{Below, Listed, matches_port, port, protocol, services, weight};
use super::step::{Found, Look};
use crate::store::{Endpoints, External, PartPort, Port, Protocol, Service, Spec};
use crate::wire::{Owner, Rdata, Section, Sections, rtype};

/// Which ports are meant: name and protocol, `None` for any.
pub(super) type Wish<'a> = (Option<&'a [u8]>, Option<Protocol>);

/// All ports, and addresses without any.
const ANY: Wish<'_> = (None, None);

impl Look<'_> {
    /// Answers a name as one of a namespace, a Service, an endpoint or a port.
    pub(super) fn service(&mut self, sections: &mut Sections) -> Found {
        let options = self.options.clone();
        let store = &options.store;
        let question = self.question;
        if self.left == 1 {
            let namespace = store.namespace(question.run(0, 1));
            return match namespace.is_some_and(|namespace| options.exposes(&namespace)) {
                true => Found::Here,
                false => Found::Missing,
            };
        }
        let run = question.run(self.left - 2, self.left);
        let external = store.externals().service(run).filter(|(namespace, _)| options.exposes(namespace));
        let wish: Wish<'_> = match self.left {
            4 => match port(question) {
                Some(Below::Port(name, protocol)) => (name, protocol),
                // Any port of any protocol: the Service itself (K-038).
                Some(Below::Itself) => ANY,
                _ => return Found::Missing,
            },
            2 | 3 => ANY,
            _ => return Found::Missing,
        };
        if let Some((_, external)) = external {
            return match self.left {
                3 => self.above_ports(external.ports().iter().map(|port| (port.protocol, &*port.name))),
                2 => self.external(&external, run, wish, sections),
                _ if wish == ANY || external.ports().iter().any(|port| wished(port, wish)) => {
                    self.external(&external, run, wish, sections)
                }
                _ => Found::Missing,
            };
        }
        if !self.line.headless || !options.endpoints {
            return Found::Missing;
        }
        let Some(service) = store.service(run).filter(|service| options.exposes(service.namespace())) else {
            return Found::Missing;
        };
        self.endpoints(&service, run, wish, sections)
    }

    /// A label above the names of ports exists while one of them does (K-037, RFC 8020).
    fn above_ports<'p>(&self, mut ports: impl Iterator<Item = (Protocol, &'p str)>) -> Found {
        let label = self.question.label(0).strip_prefix(b"_").and_then(protocol);
        match label.is_some_and(|label| ports.any(|(known, name)| known == label && !name.is_empty())) {
            true => Found::Here,
            false => Found::Missing,
        }
    }

    /// A Service with addresses outside, or one of its ports.
    pub(super) fn external(
        &self,
        external: &External,
        run: &[u8],
        wish: Wish<'_>,
        sections: &mut Sections,
    ) -> Found {
        let addresses = external.addresses();
        if self.question.qtype != rtype::SRV {
            return self.lead(addresses, sections);
        }
        let ports: Vec<u16> =
            external.ports().iter().filter(|port| wished(port, wish)).map(|port| port.port).collect();
        let entries = ports.len() * external.listed();
        let ttl = self.ttl;
        let mut first = None;
        for (at, number) in ports.iter().enumerate() {
            // tcp and udp of one number are one record: target and port are the same (K-110).
            if ports.iter().take(at).any(|earlier| earlier == number) {
                continue;
            }
            let id = sections.push(Section::Answer, Owner::Question, rtype::SRV, ttl, |rdata| {
                rdata.word(0);
                rdata.word(weight(entries));
                rdata.word(*number);
                match addresses.alias() {
                    // A target must be no alias (RFC 2782), so it is the name that the alias leads to.
                    Some(alias) => rdata.bytes(alias),
                    None => self.tail(rdata, run),
                }
            });
            first.get_or_insert(id);
        }
        if let Some(id) = first {
            for ip in addresses.ips() {
                let (octets, length) = crate::store::octets(ip);
                let address = octets.get(..length).unwrap_or_default();
                sections.push_address(Section::Additional, Owner::Target(id), ttl, address);
            }
        }
        Found::Here
    }

    /// Endpoints of a Service without addresses outside: those of a headless one, and each by its own name.
    pub(super) fn endpoints(
        &mut self,
        service: &Service,
        run: &[u8],
        wish: Wish<'_>,
        sections: &mut Sections,
    ) -> Found {
        let endpoints = service.endpoints();
        let naming = self.options.naming;
        let mut listed = Vec::new();
        let headless = matches!(service.spec(), Spec::Headless);
        match (self.left, service.spec()) {
            (2 | 4, Spec::Headless) => {
                for part in endpoints.parts() {
                    if wish == ANY || part.ports().iter().any(|port| part_wished(port, wish)) {
                        listed.extend(part.members().map(|member| {
                            Listed::new(&[member.name(naming).as_bytes()], member.ip(), part.ports())
                        }));
                    }
                }
            }
            (3, Spec::Headless | Spec::Cluster { .. }) => {
                let label = self.question.label(0);
                listed.extend(
                    endpoints
                        .named(label, naming)
                        .map(|(part, member)| Listed::new(&[label], member.ip(), part.ports())),
                );
                if listed.is_empty() && headless {
                    return self.above_ports(named_ports(endpoints));
                }
            }
            _ => {}
        }
        if listed.is_empty() {
            return Found::Missing;
        }
        self.draft(listed, run, wish, sections);
        Found::Here
    }

    /// Drafts the records of endpoints.
    fn draft(&mut self, listed: Vec<Listed<'_>>, run: &[u8], wish: Wish<'_>, sections: &mut Sections) {
        let ttl = self.ttl;
        match self.question.qtype {
            qtype @ (rtype::A | rtype::AAAA) => {
                let mut ips: Vec<_> = listed.iter().map(|endpoint| endpoint.ip).collect();
                ips.sort_unstable();
                ips.dedup();
                for ip in ips.into_iter().filter(|ip| ip.is_ipv4() == (qtype == rtype::A)) {
                    let (octets, length) = crate::store::octets(ip);
                    let address = octets.get(..length).unwrap_or_default();
                    sections.push_address(Section::Answer, Owner::Question, ttl, address);
                }
            }
            rtype::SRV => {
                let reply = (Owner::Question, ttl, self.limit);
                let tail = (run, self.question.suffix(self.left));
                services(listed, |port| part_wished(port, wish), reply, self.rng, tail, sections);
            }
            _ => {}
        }
    }

    /// The rest of a target: the Service and the zone.
    fn tail(&self, rdata: &mut Rdata<'_>, run: &[u8]) {
        rdata.bytes(run);
        rdata.zone(self.question, self.left);
    }
}

/// Whether a port of a Service is meant.
fn wished(port: &Port, (name, protocol): Wish<'_>) -> bool {
    matches_port(&port.name, port.protocol, name, protocol)
}

/// Whether a port of a slice is meant.
fn part_wished(port: &PartPort, (name, protocol): Wish<'_>) -> bool {
    matches_port(&port.name, port.protocol, name, protocol)
}

/// Protocols and names of the ports of slices that have endpoints.
fn named_ports(endpoints: &Endpoints) -> impl Iterator<Item = (Protocol, &str)> {
    let parts = endpoints.parts().iter().filter(|part| !part.is_empty());
    parts.flat_map(|part| part.ports()).map(|port| (port.protocol, &*port.name))
}
