//! Services of a clusterset (SPEC I: K-210 to K-215).

use super::grammar::{self, Below};
use super::listed::{Listed, services};
use super::service::matches_port;
use super::{Found, Lookup};
use crate::store::{Import, ImportMember, ImportSpec, Member, Part, PartPort, Port, Protocol};
use crate::wire::{Sections, rtype};

impl Lookup<'_> {
    /// Answers a name of a ServiceImport or below it.
    pub(super) fn import(&mut self, run: &[u8], below: Below<'_>, sections: &mut Sections) -> Found {
        let store = self.options.store.clone();
        let import = store.imports().get(run).filter(|import| self.options.exposes(import.namespace()));
        let Some(import) = import else { return Found::Missing };
        let hidden = self.options.ignore_empty && import.is_empty();
        match (import.spec(), below) {
            (ImportSpec::Orphan, _) | (_, Below::AboveZones | Below::Zone { .. }) => Found::Missing,
            (ImportSpec::Set { .. }, _) if hidden => Found::Missing,
            (ImportSpec::Set { v4, v6 }, Below::Itself) => {
                self.cluster((import.key(), import.ports()), v4, v6, |_| true, sections);
                Found::Here
            }
            (ImportSpec::Set { v4, v6 }, Below::Port(name, protocol)) => {
                let matches = |port: &Port| matches_port(&port.name, port.protocol, name, protocol);
                if !import.ports().iter().any(matches) {
                    return Found::Missing;
                }
                self.cluster((import.key(), import.ports()), v4, v6, matches, sections);
                Found::Here
            }
            (ImportSpec::Headless, Below::Itself) => {
                if import.is_empty() {
                    return Found::Missing;
                }
                self.members(&import, None, sections);
                Found::Here
            }
            (ImportSpec::Headless, Below::Port(name, protocol)) => {
                let matches = |port: &PartPort| matches_port(&port.name, port.protocol, name, protocol);
                let mut parts = parts(&import);
                if !parts.any(|(_, part)| part.ports().iter().any(matches) && !part.is_empty()) {
                    return Found::Missing;
                }
                self.members(&import, Some((name, protocol)), sections);
                Found::Here
            }
            (_, Below::Cluster(endpoint, cluster)) => self.imported(&import, endpoint, cluster, sections),
            (_, Below::Endpoint(label)) => {
                if above(&import, label) {
                    Found::Here
                } else {
                    self.imported(&import, label, b"", sections)
                }
            }
        }
    }

    /// All endpoints of a headless import, or those whose slices have a port of this name and protocol (K-211).
    fn members(
        &mut self,
        import: &Import,
        port: Option<(Option<&[u8]>, Option<Protocol>)>,
        sections: &mut Sections,
    ) {
        let matches = |known: &PartPort| {
            port.is_none_or(|(name, protocol)| matches_port(&known.name, known.protocol, name, protocol))
        };
        // Without ports a slice's addresses belong to the Service's own name all the same (K-112).
        let has = |part: &Part| port.is_none() || part.ports().iter().any(matches);
        let chosen = parts(import).filter(|(_, part)| has(part));
        match self.qtype {
            rtype::A | rtype::AAAA => {
                self.member_addresses(chosen.flat_map(|(_, part)| part.members()), sections);
            }
            rtype::SRV => {
                let naming = self.options.naming;
                let listed = chosen
                    .flat_map(|(member, part)| {
                        part.members().map(move |endpoint| {
                            let name = endpoint.name(naming);
                            let labels = [name.as_bytes(), member.cluster().as_bytes()];
                            Listed::new(&labels, endpoint.ip(), part.ports())
                        })
                    })
                    .collect();
                self.listed_services(listed, matches, import.key(), sections);
            }
            _ => {}
        }
    }

    /// One endpoint of one cluster (K-212).
    fn imported(
        &mut self,
        import: &Import,
        endpoint: &[u8],
        cluster: &[u8],
        sections: &mut Sections,
    ) -> Found {
        let mut members = import.members().iter();
        let Some(member) = members.find(|member| member.cluster().as_bytes() == cluster) else {
            return Found::Missing;
        };
        let named: Vec<(&Part, Member<'_>)> =
            member.endpoints().named(endpoint, self.options.naming).collect();
        if named.is_empty() {
            return Found::Missing;
        }
        match self.qtype {
            rtype::A | rtype::AAAA => {
                self.member_addresses(named.into_iter().map(|(_, member)| member), sections);
            }
            rtype::SRV => {
                let listed = named
                    .into_iter()
                    .map(|(part, found)| Listed::new(&[endpoint, cluster], found.ip(), part.ports()))
                    .collect();
                self.listed_services(listed, |_| true, import.key(), sections);
            }
            _ => {}
        }
        Found::Here
    }

    /// SRV records of endpoints of the Service `key`.
    pub(super) fn listed_services(
        &mut self,
        listed: Vec<Listed<'_>>,
        matches: impl Fn(&PartPort) -> bool,
        key: &[u8],
        sections: &mut Sections,
    ) {
        let reply = (self.owner, self.ttl, self.limit);
        let service = [key, b"\x03svc"].concat();
        let tail = (service.as_slice(), self.question.suffix(self.left));
        services(listed, matches, reply, self.rng, tail, sections);
    }
}

/// All slices of an import, with their clusters.
fn parts(import: &Import) -> impl Iterator<Item = (&ImportMember, &Part)> {
    import
        .members()
        .iter()
        .flat_map(|member| member.endpoints().parts().iter().map(move |part| (member, part.as_ref())))
}

/// Whether a label stands above names that exist: those of a cluster's endpoints, or of ports (K-037, RFC 8020).
fn above(import: &Import, label: &[u8]) -> bool {
    let Some(protocol) = label.strip_prefix(b"_").and_then(grammar::protocol) else {
        let mut members = import.members().iter();
        return members.any(|member| member.cluster().as_bytes() == label && !member.endpoints().is_empty());
    };
    match import.spec() {
        ImportSpec::Orphan => false,
        ImportSpec::Set { .. } => {
            import.ports().iter().any(|port| port.protocol == protocol && !port.name.is_empty())
        }
        ImportSpec::Headless => parts(import).filter(|(_, part)| !part.is_empty()).any(|(_, part)| {
            let mut ports = part.ports().iter();
            ports.any(|port| port.protocol == protocol && !port.name.is_empty())
        }),
    }
}
