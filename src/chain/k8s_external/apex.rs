//! The zone's own names: apex, `dns` and `ns1.dns` (K-291).

use std::net::IpAddr;

use super::step::{Found, Look};
use crate::store::Spec;
use crate::wire::{Owner, Section, Sections, rtype};

impl Look<'_> {
    /// Answers the apex or a name that ends in the label above the zone's own names.
    pub(super) fn apex(&mut self, sections: &mut Sections) -> Found {
        match self.left {
            0 => match self.question.qtype {
                rtype::SOA => self.soa(Section::Answer, sections),
                rtype::NS => self.name_server(sections),
                _ => {}
            },
            1 => {}
            2 if self.first_is("ns1") => {
                let ttl = self.ttl;
                for ip in self.own_addresses() {
                    let (octets, length) = crate::store::octets(ip);
                    if self.question.qtype == if length == 4 { rtype::A } else { rtype::AAAA } {
                        let address = octets.get(..length).unwrap_or_default();
                        sections.push_address(Section::Answer, Owner::Question, ttl, address);
                    }
                }
            }
            _ => return Found::Missing,
        }
        Found::Here
    }

    /// Drafts the zone's SOA.
    pub(super) fn soa(&self, section: Section, sections: &mut Sections) {
        let line = self.line;
        let serial = self.serial();
        let zone = Owner::Suffix(u8::try_from(self.left).unwrap_or(0));
        sections.push(section, zone, rtype::SOA, self.ttl, |rdata| {
            for name in [&b"ns1"[..], b"hostmaster"] {
                rdata.label(name);
                rdata.label(&line.apex);
                rdata.zone_pointer(self.question, self.left);
            }
            for number in [serial, 7200, 1800, 86_400, self.ttl] {
                rdata.long(number);
            }
        });
    }

    /// The zone's serial (K-291).
    pub(super) fn serial(&self) -> u32 {
        let store = &self.options.store;
        // Endpoints of headless Services are names here only where the stanza says so.
        match self.line.headless {
            true => store.externals().serial().max(store.serial()),
            false => store.externals().serial(),
        }
    }

    /// Drafts the zone's one NS with its addresses.
    fn name_server(&self, sections: &mut Sections) {
        let line = self.line;
        let id = sections.push(Section::Answer, Owner::Question, rtype::NS, self.ttl, |rdata| {
            rdata.label(b"ns1");
            rdata.label(&line.apex);
            rdata.zone(self.question, self.left);
        });
        for ip in self.own_addresses() {
            let (octets, length) = crate::store::octets(ip);
            let address = octets.get(..length).unwrap_or_default();
            sections.push_address(Section::Additional, Owner::Target(id), self.ttl, address);
        }
    }

    /// Where this server is reached from outside: by the external addresses of the Services in front of it, or, where it
    /// is in no cluster, by its own.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let options = self.options;
        let front = options.front();
        if front.is_empty() {
            return options.own.clone();
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for service in front {
            match service.spec() {
                Spec::Headless if self.line.headless => {
                    let members = service.endpoints().parts().iter().flat_map(|part| part.members());
                    addresses.extend(members.map(|member| member.ip()));
                }
                Spec::Cluster { .. } | Spec::Headless => {
                    if let Some((_, external)) = options.store.externals().service(service.key()) {
                        addresses.extend(external.addresses().ips());
                    }
                }
                Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => {}
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}
