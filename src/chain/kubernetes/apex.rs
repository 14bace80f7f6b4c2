//! The apex of a zone, its name server and its version (SPEC C).

use std::net::IpAddr;

use super::{Found, Lookup};
use crate::store::{Naming, Service, Spec};
use crate::wire::{Owner, Section, Sections, rtype};

/// Version of the DNS specification that we follow (K-056).
const VERSION: &[u8] = b"1.1.0";

/// TTL of the version, whatever the stanza says (K-056). Unit: seconds.
const VERSION_TTL: u32 = 28_800;

impl Lookup<'_> {
    /// Answers at the zone's own name: SOA and NS have data (K-050, K-052, K-059).
    pub(super) fn apex(&mut self, forward: bool, sections: &mut Sections) -> Found {
        match self.qtype {
            rtype::SOA => self.soa(Section::Answer, sections),
            rtype::NS => self.name_servers(forward, sections),
            _ => {}
        }
        Found::Here
    }

    /// Answers `ns.dns.Z`: the addresses that the glue of the zone's NS has (K-054).
    pub(super) fn name_server(&mut self, forward: bool, sections: &mut Sections) -> Found {
        let front = self.front(forward);
        if front.is_empty() {
            for &ip in &self.options.own {
                self.own_address(ip, sections);
            }
            return Found::Here;
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for service in front {
            match service.spec() {
                Spec::Cluster { .. } => addresses.extend(service.cluster_ips()),
                Spec::Headless => {
                    let members = service.endpoints().parts().iter().flat_map(|part| part.members());
                    addresses.extend(members.map(|member| member.ip()));
                }
                Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => {}
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        for ip in addresses {
            self.own_address(ip, sections);
        }
        Found::Here
    }

    /// Drafts an address if its family was asked for.
    fn own_address(&self, ip: IpAddr, sections: &mut Sections) {
        let (octets, length) = crate::store::octets(ip);
        if self.qtype == if length == 4 { rtype::A } else { rtype::AAAA } {
            let address = octets.get(..length).unwrap_or_default();
            sections.push_address(Section::Answer, self.owner, self.ttl, address);
        }
    }

    /// Answers `dns-version.Z` (K-056, K-057).
    pub(super) fn version(&mut self, sections: &mut Sections) -> Found {
        if self.qtype == rtype::TXT {
            sections.push(Section::Answer, self.owner, rtype::TXT, VERSION_TTL, |rdata| rdata.label(VERSION));
        }
        Found::Here
    }

    /// Drafts the zone's SOA (K-006).
    pub(super) fn soa(&self, section: Section, sections: &mut Sections) {
        let ttl = self.ttl;
        let zone = Owner::Suffix(u8::try_from(self.left).unwrap_or(0));
        sections.push(section, zone, rtype::SOA, ttl.min(300), |rdata| {
            rdata.bytes(b"\x02ns\x03dns");
            rdata.zone_pointer(self.question, self.left);
            rdata.bytes(b"\x0ahostmaster");
            rdata.zone_pointer(self.question, self.left);
            // All at once: a denial is made for each of a resolver's search list.
            let numbers = [self.serial(), 7200, 1800, 86_400, ttl].map(u32::to_be_bytes);
            rdata.bytes(numbers.as_flattened());
        });
    }

    /// The serial of the zone: a clusterset's moves with what other clusters export (K-006, K-214).
    fn serial(&self) -> u32 {
        match self.forms.multicluster {
            true => self.options.store.imports().serial(),
            false => self.options.store.serial(),
        }
    }

    /// The Services that have an endpoint at one of our own addresses: those in front of this server (K-052).
    ///
    /// None for a reverse zone, where no names of Services belong, and none while no endpoint is known.
    fn front(&self, forward: bool) -> Vec<std::sync::Arc<Service>> {
        if forward { self.options.front() } else { Vec::new() }
    }

    /// Drafts NS records with their glue (K-052).
    fn name_servers(&mut self, forward: bool, sections: &mut Sections) {
        let front = self.front(forward);
        let mut glue: Vec<(u16, IpAddr)> = Vec::new();
        for service in &front {
            match service.spec() {
                Spec::Cluster { v4, v6 } => {
                    let id = self.name_server_record(service.key(), None, sections);
                    glue.extend(v4.iter().map(|&octets| (id, IpAddr::from(octets))));
                    glue.extend(v6.iter().map(|&octets| (id, IpAddr::from(octets))));
                }
                Spec::Headless => {
                    let mut names: Vec<(Vec<u8>, u16)> = Vec::new();
                    for member in service.endpoints().parts().iter().flat_map(|part| part.members()) {
                        let name = member.name(Naming::Address);
                        let known =
                            names.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, id)| *id);
                        let id = known.unwrap_or_else(|| {
                            let id = self.name_server_record(service.key(), Some(name.as_bytes()), sections);
                            names.push((name.as_bytes().to_vec(), id));
                            id
                        });
                        if !glue.contains(&(id, member.ip())) {
                            glue.push((id, member.ip()));
                        }
                    }
                }
                Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => {}
            }
        }
        if sections.records().is_empty() && !self.options.own.is_empty() {
            let id = sections.push(Section::Answer, self.owner, rtype::NS, self.ttl, |rdata| {
                rdata.bytes(b"\x02ns\x03dns");
                rdata.zone(self.question, self.left);
            });
            glue.extend(self.options.own.iter().map(|&ip| (id, ip)));
        }
        for (id, ip) in glue {
            let (octets, length) = crate::store::octets(ip);
            let address = octets.get(..length).unwrap_or_default();
            sections.push_address(Section::Additional, Owner::Target(id), self.ttl, address);
        }
    }

    /// Drafts one NS record for `[endpoint.]SVC.NS.svc.Z`.
    fn name_server_record(&self, run: &[u8], endpoint: Option<&[u8]>, sections: &mut Sections) -> u16 {
        sections.push(Section::Answer, self.owner, rtype::NS, self.ttl, |rdata| {
            if let Some(label) = endpoint {
                rdata.label(label);
            }
            rdata.bytes(run);
            rdata.label(b"svc");
            rdata.zone(self.question, self.left);
        })
    }
}
