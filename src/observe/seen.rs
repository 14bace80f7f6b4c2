//! A query that was answered, and which of them somebody wants to see.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Tick;
use crate::wire::rtype;

/// What is noted of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen<'a> {
    /// When it was answered.
    pub at: Tick,
    /// How long that took.
    pub took: Duration,
    /// Who asked.
    pub client: IpAddr,
    /// From which port.
    pub port: u16,
    /// Whether TCP carried it.
    pub tcp: bool,
    /// The name, wire form, lower case.
    pub name: &'a [u8],
    /// QTYPE.
    pub qtype: u16,
    /// The response code.
    pub rcode: u16,
    /// Whether there were records in the answer.
    pub answers: bool,
    /// The place, in the list of words, of the word that answered.
    pub word: u8,
    /// The namespace that the name is about, where it is one of the cluster.
    pub namespace: Option<&'a [u8]>,
    /// Whether only a search list makes such a name: it is no name of a Service's, of its ports' or of a pod's, and not there.
    pub candidate: bool,
}

impl Seen<'_> {
    /// Whether an address of IPv6 was asked for.
    pub(super) fn is_six(&self) -> bool {
        self.qtype == rtype::AAAA
    }
}

/// Which queries somebody wants to see: those that all of it is true of.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// Asked from this network: an address, and how many bits of it count.
    pub client: Option<(IpAddr, u8)>,
    /// For this name or one below it, wire form, lower case.
    pub name: Option<Vec<u8>>,
    /// For this type.
    pub qtype: Option<u16>,
    /// Answered with this code.
    pub rcode: Option<u16>,
    /// No sooner than after this time.
    pub slower: Option<Duration>,
}

impl Filter {
    /// Whether a query is wanted.
    #[must_use]
    pub fn wants(&self, seen: &Seen<'_>) -> bool {
        self.client.is_none_or(|(net, bits)| inside(seen.client, net, bits))
            && self.name.as_deref().is_none_or(|suffix| below(seen.name, suffix))
            && self.qtype.is_none_or(|qtype| qtype == seen.qtype)
            && self.rcode.is_none_or(|rcode| rcode == seen.rcode)
            && self.slower.is_none_or(|slower| seen.took >= slower)
    }
}

/// Whether an address lies in a network; those of IPv4 inside of IPv6 are those of IPv4.
fn inside(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    match (ip.to_canonical(), net.to_canonical()) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

/// Whether a name is `suffix` or below it, label by label; both in wire form and in lower case.
fn below(mut name: &[u8], suffix: &[u8]) -> bool {
    loop {
        if name == suffix {
            return true;
        }
        match name.split_first() {
            Some((&length, rest)) if length > 0 => name = rest.get(usize::from(length)..).unwrap_or_default(),
            _ => return false,
        }
    }
}
