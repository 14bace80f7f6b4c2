//! SRV records of endpoints that were picked for one reply: those of a topology zone, of a clusterset, or of a Service as
//! it is seen from outside.

use std::net::IpAddr;

use super::service::{has_port, has_rdata, weighed, weight};
use crate::store::PartPort;
use crate::wire::{MAX_NAME, Owner, Section, Sections};

/// The part of a reply that one SRV record of ours takes at least. Unit: bytes.
const SRV_RECORD: usize = 30;

/// An endpoint that was picked.
pub(in crate::chain) struct Listed<'a> {
    /// Its labels left of the Service's name, in wire form.
    pub(in crate::chain) name: Vec<u8>,
    /// Its address.
    pub(in crate::chain) ip: IpAddr,
    /// The ports of its slice.
    pub(in crate::chain) ports: &'a [PartPort],
}

impl<'a> Listed<'a> {
    /// An endpoint under these labels.
    pub(in crate::chain) fn new(labels: &[&[u8]], ip: IpAddr, ports: &'a [PartPort]) -> Self {
        let mut name = Vec::new();
        for label in labels.iter().filter(|label| !label.is_empty()) {
            name.push(u8::try_from(label.len()).unwrap_or(63));
            name.extend_from_slice(label);
        }
        Self { name, ip, ports }
    }
}

/// Drafts one SRV record for each name and port, and the addresses of each name (K-108 to K-112).
///
/// `tail` is what stands behind an endpoint's own labels, wire form in two pieces: its Service and the zone. A name that would
/// be longer than names can be has no record. At most as many records as can fit
/// and one more are drafted, from a random start where there are more.
/// Cost: sorts the list.
pub(in crate::chain) fn services(
    mut listed: Vec<Listed<'_>>,
    matches: impl Fn(&PartPort) -> bool,
    (owner, ttl, limit): (Owner, u32, usize),
    rng: &mut fastrand::Rng,
    tail: (&[u8], &[u8]),
    sections: &mut Sections,
) {
    let room = MAX_NAME.saturating_sub(tail.0.len() + tail.1.len());
    listed.retain(|endpoint| endpoint.name.len() <= room);
    let ports = |endpoint: &Listed<'_>| -> Vec<u16> {
        endpoint.ports.iter().filter(|port| matches(port)).filter_map(|port| port.port).collect()
    };
    if listed.iter().all(|endpoint| ports(endpoint).is_empty()) {
        return;
    }
    let entries: usize = listed.iter().map(|endpoint| weighed(endpoint.ports, &matches)).sum();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    let most = limit / SRV_RECORD + 1;
    let mut groups: Vec<&[Listed<'_>]> = listed.chunk_by(|one, other| one.name == other.name).collect();
    if entries > most {
        let start = rng.usize(..groups.len());
        groups.rotate_left(start);
    }
    let mut targets: Vec<(u16, &[Listed<'_>])> = Vec::new();
    let before = sections.records().len();
    for group in groups {
        if sections.records().len() - before >= most {
            break;
        }
        let from = sections.records().len();
        for endpoint in group {
            for number in ports(endpoint) {
                if has_port(sections, from, number) {
                    continue;
                }
                let id = sections.push(Section::Answer, owner, crate::wire::rtype::SRV, ttl, |rdata| {
                    rdata.word(0);
                    rdata.word(weight(entries));
                    rdata.word(number);
                    rdata.bytes(&endpoint.name);
                    rdata.bytes(tail.0);
                    rdata.bytes(tail.1);
                });
                if sections.records().len() == from + 1 {
                    targets.push((id, group));
                }
            }
        }
    }
    for (id, group) in targets {
        let from = sections.records().len();
        // Only where the port can be reached (K-108, K-115).
        for endpoint in group.iter().filter(|endpoint| !ports(endpoint).is_empty()) {
            let (octets, length) = crate::store::octets(endpoint.ip);
            let address = octets.get(..length).unwrap_or_default();
            if !has_rdata(sections, from, address) {
                sections.push_address(Section::Additional, Owner::Target(id), ttl, address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Protocol;

    #[test]
    fn a_name_that_would_be_too_long_has_no_record_and_the_others_have_theirs() {
        let ports = [PartPort { name: "http".into(), protocol: Protocol::Tcp, port: Some(80) }];
        let (long, short) = ([b'x'; 63], [b'y'; 5]);
        let ip: IpAddr = [10, 0, 0, 1].into();
        // The Service and the zone take 128 and 6 bytes: of the 121 that are left, 128 do not fit and 70 do.
        let service = [&[63][..], &long, &[63], &long].concat();
        let listed = vec![
            Listed::new(&[&long, &long], ip, &ports),
            Listed::new(&[&short, &long], ip, &ports),
            Listed::new(&[b"", b"ep"], ip, &ports),
        ];
        let mut sections = Sections::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let reply = (Owner::Question, 5, 65_535);
        services(listed, |_| true, reply, &mut rng, (&service, b"\x04test\0"), &mut sections);
        let targets: Vec<usize> = sections
            .records()
            .iter()
            .map(|record| sections.target(record).len())
            .filter(|&len| len > 4)
            .collect();
        assert_eq!(targets, [137, 204], "ep first, then the one of 70 bytes; glue aside");
        let weights: Vec<u8> = sections
            .records()
            .iter()
            .filter_map(|record| sections.rdata(record).get(3).copied())
            .take(2)
            .collect();
        assert_eq!(weights, [50, 50]);
    }
}
