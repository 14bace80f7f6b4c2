//! Addresses that only have a meaning inside of a network, for `private_addresses deny`: an answer from outside that gives
//! one makes a client talk to something near it (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{Record, Section, Sections, rtype};

/// A signature over records of a type (RFC 4034 §3).
const RRSIG: u16 = 46;

/// Whether an address is loopback, private (RFC 1918), shared (RFC 6598), link-local, unique local (RFC 4193), or in 0/8.
fn is_private(ip: IpAddr) -> bool {
    let four = |ip: Ipv4Addr| {
        let [first, second, ..] = ip.octets();
        ip.is_private()
            || ip.is_loopback()
            || ip.is_link_local()
            || first == 0
            || first == 100 && second & 0xc0 == 64
    };
    match ip {
        IpAddr::V4(ip) => four(ip),
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some_and(four)
        }
    }
}

/// The address of a record; `None` for another type.
fn address(sections: &Sections, record: &Record) -> Option<IpAddr> {
    let rdata = sections.rdata(record);
    match record.rtype {
        rtype::A => <[u8; 4]>::try_from(rdata).ok().map(|octets| Ipv4Addr::from(octets).into()),
        rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// What became of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    /// Nothing was private.
    Nothing,
    /// Private addresses are gone, and others stay.
    Some,
    /// All addresses of the answer section were private and are gone, with everything else.
    All,
}

/// Takes private addresses out of a draft; where the answer section loses all of its addresses, everything goes.
pub(super) fn deny(sections: &mut Sections) -> Denied {
    let private = |record: &Record| address(sections, record).is_some_and(is_private);
    // By number: records can't be looked at in their draft while they leave it.
    let gone: Vec<(u16, Section)> = sections
        .records()
        .iter()
        .filter(|record| private(record))
        .map(|record| (record.id(), record.section))
        .collect();
    if gone.is_empty() {
        return Denied::Nothing;
    }
    let answers = gone.iter().any(|(_, section)| *section == Section::Answer);
    let left = sections
        .records()
        .iter()
        .filter(|record| record.section == Section::Answer && matches!(record.rtype, rtype::A | rtype::AAAA))
        .any(|record| !private(record));
    if answers && !left {
        sections.clear(false);
        return Denied::All;
    }
    // A signature over a set that lost a record proves nothing any more.
    let signatures: Vec<u16> = sections
        .records()
        .iter()
        .filter(|record| record.rtype == RRSIG)
        .filter(|record| {
            let covered = sections.rdata(record).first_chunk().map(|two| u16::from_be_bytes(*two));
            matches!(covered, Some(rtype::A | rtype::AAAA))
        })
        .map(Record::id)
        .collect();
    sections.retain(|record| {
        !gone.iter().any(|(id, _)| *id == record.id()) && !signatures.contains(&record.id())
    });
    Denied::Some
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Owner;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "::1",
            "::",
            "fd00::1",
            "fc00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(text.parse().expect("an address")), "{text}");
        }
        for text in [
            "172.32.0.1",
            "100.128.0.1",
            "100.63.0.1",
            "192.0.2.1",
            "8.8.8.8",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_private(text.parse().expect("an address")), "{text}");
        }
    }

    /// A draft with these addresses in its answer.
    fn draft(addresses: &[[u8; 4]]) -> Sections {
        let mut sections = Sections::default();
        for address in addresses {
            sections.push_address(Section::Answer, Owner::Question, 30, address);
        }
        sections
    }

    #[test]
    fn only_private_addresses_go_and_with_the_last_address_everything() {
        let mut public = draft(&[[192, 0, 2, 1]]);
        assert_eq!((deny(&mut public), public.records().len()), (Denied::Nothing, 1));
        let mut mixed = draft(&[[10, 0, 0, 1], [192, 0, 2, 1], [127, 0, 0, 1]]);
        mixed.push(Section::Answer, Owner::Question, RRSIG, 30, |rdata| rdata.bytes(&[0, 1, 8, 2]));
        assert_eq!(deny(&mut mixed), Denied::Some);
        let left: Vec<_> = mixed.records().iter().map(|record| mixed.rdata(record).to_vec()).collect();
        assert_eq!(left, [[192, 0, 2, 1]]);
        let mut private = Sections::default();
        private.push(Section::Answer, Owner::Question, rtype::CNAME, 30, |rdata| rdata.bytes(b"\x01a\0"));
        private.push_address(Section::Answer, Owner::Target(0), 30, &[10, 0, 0, 1]);
        assert_eq!((deny(&mut private), private.records().len()), (Denied::All, 0));
    }
}
