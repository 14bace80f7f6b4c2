//! The order of the records of a section.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::super::network::Network;
use crate::wire::{Record, Sections, rtype};

/// CNAMEs first, then other records, then addresses, then MX.
fn rank(record: &Record) -> usize {
    match record.rtype {
        rtype::CNAME => 0,
        rtype::A | rtype::AAAA => 2,
        rtype::MX => 3,
        _ => 1,
    }
}

/// Puts records in the order of `rank`, those of one rank as they stood.
///
/// Cost: one comparison a record where they are in order already. Insertion sort: stable, in place, and sections are short
/// or sorted.
fn sort(records: &mut [Record], rank: impl Fn(&Record) -> usize) {
    if records.is_sorted_by_key(&rank) {
        return;
    }
    for end in 1..records.len() {
        let mut at = end;
        while at > 0 && rank(&records[at - 1]) > rank(&records[at]) {
            records.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Puts the kinds of records apart, and addresses and MX in random order.
///
/// A random order and never a turn counter: A and AAAA queries come in pairs, and a counter would give one of them always
/// the same start. Cost: one swap a record; a section of one record costs nothing.
pub(super) fn shuffle(records: &mut [Record], rng: &mut fastrand::Rng) {
    if records.len() < 2 {
        return;
    }
    if records.iter().all(|record| rank(record) == 2) {
        rng.shuffle(records);
        return;
    }
    sort(records, rank);
    let addresses = records.partition_point(|record| rank(record) < 2);
    let exchanges = records.partition_point(|record| rank(record) < 3);
    let (front, mail) = records.split_at_mut(exchanges);
    if let Some(addresses) = front.get_mut(addresses..) {
        rng.shuffle(addresses);
    }
    rng.shuffle(mail);
}

/// Puts the kinds of records in `range` apart; returns where the addresses stand, `None` where there are none: then nothing
/// is moved.
pub(super) fn apart(sections: &mut Sections, range: Range<usize>) -> Option<Range<usize>> {
    let start = range.start;
    let records = sections.records_mut().get_mut(range)?;
    if !records.iter().any(|record| rank(record) == 2) {
        return None;
    }
    sort(records, rank);
    let first = records.partition_point(|record| rank(record) < 2);
    let behind = records.partition_point(|record| rank(record) < 3);
    Some(start + first..start + behind)
}

/// The address of a record; `None` for another type.
pub(super) fn address(sections: &Sections, record: &Record) -> Option<IpAddr> {
    let rdata = sections.rdata(record);
    match record.rtype {
        rtype::A => <[u8; 4]>::try_from(rdata).ok().map(|octets| Ipv4Addr::from(octets).into()),
        rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// Puts the addresses of some networks first, the best network first; CNAMEs stand before them, MX and others behind.
///
/// Cost: a look at the networks for each address that is compared.
pub(super) fn prefer(sections: &mut Sections, range: Range<usize>, networks: &[Network]) {
    let rank = |sections: &Sections, place: usize| {
        let Some(record) = sections.records().get(place) else { return usize::MAX };
        match (record.rtype, address(sections, record)) {
            (rtype::CNAME, _) => 0,
            (rtype::MX, _) => networks.len() + 2,
            (_, Some(ip)) => {
                1 + networks.iter().position(|network| network.contains(ip)).unwrap_or(networks.len())
            }
            _ => networks.len() + 3,
        }
    };
    for end in range.clone().skip(1) {
        let mut at = end;
        while at > range.start && rank(sections, at - 1) > rank(sections, at) {
            sections.records_mut().swap(at - 1, at);
            at -= 1;
        }
    }
}
