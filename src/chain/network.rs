//! Networks of addresses, as Corefiles write them: `10.0.0.0/8`, `2001:db8::/32`, or an address alone.

use std::net::IpAddr;

/// A network: all addresses of a family between two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Network {
    /// Whether it is one of IPv6.
    six: bool,
    /// Its first address, as a number.
    first: u128,
    /// Its last address, as a number.
    last: u128,
}

/// The family and the number of an address; an IPv4 address in the clothes of an IPv6 one is the IPv4 address.
fn number(ip: IpAddr) -> (bool, u128) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

impl Network {
    /// The network of one address.
    pub(super) fn of(ip: IpAddr) -> Self {
        let (six, first) = number(ip);
        Self { six, first, last: first }
    }

    /// Reads `ADDRESS/MASK`; `None` if it is none.
    ///
    /// Bits behind the mask are ignored. Source: RFC 4632 §3.1, RFC 4291 §2.3.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/')?;
        let ip: IpAddr = address.parse().ok()?;
        let mask: u32 =
            Some(mask).filter(|mask| mask.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        let written = if ip.is_ipv4() { 32 } else { 128 };
        let (six, number) = number(ip);
        let bits = if six { 128 } else { 32 };
        // A mask of an IPv4 address in IPv6 clothes counts the clothes too.
        let free = bits - mask.checked_sub(written - bits)?.min(bits);
        if mask > written {
            return None;
        }
        let hosts = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
        Some(Self { six, first: number & !hosts, last: number | hosts })
    }

    /// Reads a network, or an address as the network of itself.
    pub(super) fn parse_any(text: &str) -> Option<Self> {
        match text.contains('/') {
            true => Self::parse(text),
            false => text.parse().ok().map(Self::of),
        }
    }

    /// Whether an address lies in it.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let (six, number) = number(ip);
        self.six == six && (self.first..=self.last).contains(&number)
    }
}

/// Many networks, in which an address is found quickly.
///
/// Shape: sorted by first address, and none inside another: of two networks one holds the other or they share nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Networks(Vec<Network>);

impl Networks {
    /// All of these.
    pub(super) fn new(mut networks: Vec<Network>) -> Self {
        // The larger of two that begin together comes first.
        networks.sort_by_key(|network| (network.six, network.first, u128::MAX - network.last));
        let mut kept: Vec<Network> = Vec::with_capacity(networks.len());
        for network in networks {
            if kept.last().is_none_or(|last| last.six != network.six || last.last < network.last) {
                kept.push(network);
            }
        }
        Self(kept)
    }

    /// Whether an address lies in one of them. Cost: a search by halves.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let (six, number) = number(ip);
        let behind = self.0.partition_point(|network| (network.six, network.first) <= (six, number));
        behind.checked_sub(1).and_then(|place| self.0.get(place)).is_some_and(|found| found.contains(ip))
    }
}

#[cfg(test)]
mod tests {
    //! Networks by hand, and many at once against one by one.

    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn an_address_is_in_a_network_where_the_bits_of_the_mask_are_the_same() {
        for (network, inside, outside) in [
            ("10.1.2.3/8", "10.255.255.255", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "0.0.0.0"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::1/128", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
        ] {
            let read = Network::parse_any(network).unwrap_or_else(|| panic!("{network}"));
            assert!(read.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for bad in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/", "x/8", "010.0.0.1", ""] {
            assert_eq!(Network::parse_any(bad), None, "{bad}");
        }
    }

    #[test]
    fn many_networks_together_hold_what_one_of_them_holds() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..500 {
            let networks: Vec<Network> = (0..rng.usize(..12))
                .map(|_| {
                    let text = match rng.bool() {
                        true => format!("10.0.{}.{}/{}", rng.u8(..4), rng.u8(..), rng.u8(20..=32)),
                        false => format!("2001:db8::{:x}/{}", rng.u16(..64), rng.u8(118..=128)),
                    };
                    Network::parse(&text).unwrap()
                })
                .collect();
            let together = Networks::new(networks.clone());
            for _ in 0..40 {
                let ip = match rng.bool() {
                    true => IpAddr::from([10, 0, rng.u8(..4), rng.u8(..)]),
                    false => Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(rng.u16(..64))).into(),
                };
                let expected = networks.iter().any(|network| network.contains(ip));
                assert_eq!(together.contains(ip), expected, "{ip} in {networks:?}");
            }
        }
    }
}
