//! Endpoints of a topology zone (SPEC I: K-220 to K-226).

use super::grammar::Below;
use super::listed::Listed;
use super::{Found, Lookup};
use crate::store::{Member, Part, Service};
use crate::wire::{Sections, rtype};

impl Lookup<'_> {
    /// Answers a zonal name of a headless Service. One without ready endpoints has no names at all (K-104).
    pub(super) fn zonal(&mut self, service: &Service, below: Below<'_>, sections: &mut Sections) -> Found {
        let endpoints = service.endpoints();
        if endpoints.is_empty() {
            return Found::Missing;
        }
        let Below::Zone { zone, prefer } = below else { return Found::Here };
        let in_zone = || {
            endpoints.parts().iter().flat_map(|part| {
                part.in_zone(|name| spells(zone, name)).map(move |member| (part.as_ref(), member))
            })
        };
        if prefer && in_zone().next().is_none() {
            let all = || {
                let parts = endpoints.parts().iter();
                parts.flat_map(|part| part.members().map(move |member| (part.as_ref(), member)))
            };
            self.picked(all(), service, sections);
        } else {
            self.picked(in_zone(), service, sections);
        }
        Found::Here
    }

    /// The records of the endpoints that were picked; none of them is NODATA (K-221, K-226).
    fn picked<'m>(
        &mut self,
        picked: impl Iterator<Item = (&'m Part, Member<'m>)>,
        service: &Service,
        sections: &mut Sections,
    ) {
        match self.qtype {
            rtype::A | rtype::AAAA => self.member_addresses(picked.map(|(_, member)| member), sections),
            rtype::SRV => {
                let naming = self.options.naming;
                let listed = picked
                    .map(|(part, member)| {
                        Listed::new(&[member.name(naming).as_bytes()], member.ip(), part.ports())
                    })
                    .collect();
                self.listed_services(listed, |_| true, service.key(), sections);
            }
            _ => {}
        }
    }
}

/// Whether labels in wire form spell a zone's name, which may have dots.
pub(super) fn spells(mut labels: &[u8], name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let Some((&length, tail)) = labels.split_first() {
        let Some((label, after)) = tail.split_at_checked(usize::from(length)) else { return false };
        let Some(behind) = rest.strip_prefix(label) else { return false };
        labels = after;
        rest = match (labels.is_empty(), behind.split_first()) {
            (true, None) => return true,
            (false, Some((b'.', behind))) => behind,
            _ => return false,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::spells;

    #[test]
    fn labels_spell_a_zone_whose_name_may_have_dots() {
        for (labels, name, expected) in [
            (&b"\x01a"[..], "a", true),
            (b"\x01a\x01b", "a.b", true),
            (b"\x03a.b", "a.b", true),
            (b"\x01a", "a.b", false),
            (b"\x01a\x01b", "a", false),
            (b"\x01a\x01b", "a.bc", false),
            (b"\x01a", "", false),
            (b"", "", false),
            (b"", "a", false),
        ] {
            assert_eq!(spells(labels, name), expected, "{labels:?} {name}");
        }
    }
}
