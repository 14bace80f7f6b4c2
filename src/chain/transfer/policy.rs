//! Who may transfer which zones, and who is told when they change.

use std::net::{IpAddr, SocketAddr};

use crate::corefile::Zone;
use crate::wire::Question;

/// Whom a line names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// Everybody; nobody is told.
    Anybody,
    /// This address, which is told at this port.
    Address(SocketAddr),
}

/// One directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The zones.
    pub zones: Vec<Zone>,
    /// To whom.
    pub to: Vec<To>,
    /// Where word to them comes from.
    pub source: Option<IpAddr>,
}

/// All directives of a block.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Policy {
    /// In the order of the file.
    pub grants: Vec<Grant>,
}

impl Policy {
    /// The directive of the longest zone that the name lies in: the one of most labels, the first of equal ones.
    ///
    /// CVE-2026-33489: CoreDNS compared the text of zones, so that a wider directive could win over a narrower one.
    #[must_use]
    pub fn grant(&self, question: &Question) -> Option<&Grant> {
        let mut best: Option<(usize, &Grant)> = None;
        for grant in &self.grants {
            for zone in &grant.zones {
                let fits = question.below(zone.wire(), zone.labels()).is_some();
                if fits && best.is_none_or(|(labels, _)| zone.labels() > labels) {
                    best = Some((zone.labels(), grant));
                }
            }
        }
        best.map(|(_, grant)| grant)
    }

    /// Who is told of changes of a zone.
    pub fn told(&self, question: &Question) -> impl Iterator<Item = (Option<IpAddr>, SocketAddr)> {
        self.grant(question).into_iter().flat_map(|grant| {
            grant.to.iter().filter_map(|to| match to {
                To::Anybody => None,
                To::Address(addr) => Some((grant.source, *addr)),
            })
        })
    }
}

impl Grant {
    /// Whether a client may have the zone.
    #[must_use]
    pub fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.to.iter().any(|to| match to {
            To::Anybody => true,
            To::Address(addr) => addr.ip().to_canonical() == client,
        })
    }
}
