//! Reverse names (SPEC H).

use std::net::IpAddr;

use super::{Found, Lookup};
use crate::store::{Service, Spec};
use crate::wire::{Reverse, Section, Sections, rtype};

impl Lookup<'_> {
    /// Answers a name below a reverse zone that is neither its apex nor `ns.dns`.
    pub(super) fn reverse(&mut self, name: Option<Reverse>, sections: &mut Sections) -> Found {
        let store = self.options.store.clone();
        match name {
            None => Found::Missing,
            Some(Reverse::Whole(ip)) => {
                // A cluster address wins: its one name, of the first Service that is exposed (K-170, K-181).
                let mut owner = None;
                store.reverse().cluster(ip, |known| {
                    owner = store.service(known.key()).filter(|service| self.exposed(service));
                    owner.is_some()
                });
                if let Some(service) = owner {
                    self.pointer(&service, None, sections);
                    return Found::Here;
                }
                if !self.options.endpoints {
                    return Found::Missing;
                }
                let mut found = Found::Missing;
                for known in store.reverse().endpoint(ip) {
                    let Some(service) = store.service(known.key()).filter(|service| self.exposed(service))
                    else {
                        continue;
                    };
                    for member in service.endpoints().with_address(ip) {
                        found = Found::Here;
                        let name = member.name(self.options.naming);
                        self.pointer(&service, Some(name.as_bytes()), sections);
                    }
                }
                found
            }
            Some(Reverse::Part(prefix, bits)) => {
                let exists = store.reverse().any_below(prefix, bits, |known| {
                    store.service(known.key()).is_some_and(|service| {
                        self.exposed(&service)
                            && (self.options.endpoints || matches!(service.spec(), Spec::Cluster { .. }))
                    })
                });
                if exists { Found::Here } else { Found::Missing }
            }
        }
    }

    /// Whether the stanza shows this Service's namespace (K-178 as section 0 decides).
    fn exposed(&self, service: &Service) -> bool {
        self.options.exposes(service.namespace())
    }

    /// Drafts one PTR: `[endpoint.]SVC.NS.svc.<primary zone>`, each target once (K-170, K-171, K-185).
    fn pointer(&mut self, service: &Service, endpoint: Option<&[u8]>, sections: &mut Sections) {
        if self.qtype != rtype::PTR {
            return;
        }
        let before = sections.records().len();
        sections.push(Section::Answer, self.owner, rtype::PTR, self.ttl, |rdata| {
            if let Some(label) = endpoint {
                rdata.label(label);
            }
            rdata.bytes(service.key());
            rdata.label(b"svc");
            rdata.bytes(self.options.primary.wire());
        });
        let (earlier, new) = sections.records().split_at_checked(before).unwrap_or_default();
        let repeated = new
            .first()
            .is_some_and(|new| earlier.iter().any(|record| sections.rdata(record) == sections.rdata(new)));
        if repeated {
            let mut at = 0;
            sections.retain(|_| {
                at += 1;
                at <= before
            });
        }
    }
}

/// Whether an address can only be the cluster's own business (K-016): RFC 1918, RFC 6598, unique local, link-local.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}
