//! The header of a proxy, versions 1 and 2: who the client behind it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How a header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How a header of version 1 begins.
const WORD: &[u8; 6] = b"PROXY ";

/// Bytes of the longest header of version 1.
const LINE: usize = 107;

/// Bytes behind the first sixteen of a header of version 2 that we read.
const LONGEST: usize = 4096;

/// Bytes of the longest header.
pub(in crate::server) const MOST: usize = 16 + LONGEST;

/// Who a header says the client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) struct Origin {
    /// The client.
    pub(in crate::server) client: SocketAddr,
    /// The address that it asked.
    pub(in crate::server) asked: IpAddr,
    /// Whether it sent a datagram.
    pub(in crate::server) datagram: bool,
}

/// A header that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) struct Header {
    /// 1 or 2.
    pub(in crate::server) version: u8,
    /// Bytes of it.
    pub(in crate::server) length: usize,
    /// The client; `None` where the proxy speaks for itself, or of something else than addresses.
    pub(in crate::server) origin: Option<Origin>,
}

/// What stands at the front of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Front {
    /// Perhaps a header, once more bytes are there.
    Incomplete,
    /// Something else.
    Nothing,
    /// A header.
    Header(Header),
    /// What begins like a header and is none.
    Broken,
}

/// Reads a header from the front of `bytes`.
///
/// Cost: one look where there is none.
/// Source: the PROXY protocol of HAProxy, versions 1 and 2.
pub(in crate::server) fn read(bytes: &[u8]) -> Front {
    let begins = |with: &[u8]| with.iter().zip(bytes).all(|(one, other)| one == other);
    if bytes.is_empty() {
        Front::Incomplete
    } else if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(WORD) {
        line(bytes)
    } else {
        Front::Nothing
    }
}

/// A header of version 2.
fn binary(bytes: &[u8]) -> Front {
    let Some((&[.., version, family, l0, l1], rest)) = bytes.split_first_chunk::<16>() else {
        return Front::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if !matches!(version, 0x20 | 0x21) || length > LONGEST {
        return Front::Broken;
    }
    let Some(rest) = rest.get(..length) else { return Front::Incomplete };
    let datagram = family & 0xf == 2;
    let origin = match (version & 0xf, family) {
        (0, _) => Some(None),
        (_, 0x11 | 0x12) => addresses::<4>(rest, datagram).map(Some),
        (_, 0x21 | 0x22) => addresses::<16>(rest, datagram).map(Some),
        (_, 0x00 | 0x31 | 0x32) => Some(None),
        _ => None,
    };
    match origin {
        Some(origin) => Front::Header(Header { version: 2, length: 16 + length, origin }),
        None => Front::Broken,
    }
}

/// Two addresses of `SIZE` bytes and two ports.
fn addresses<const SIZE: usize>(bytes: &[u8], datagram: bool) -> Option<Origin> {
    let (source, rest) = bytes.split_first_chunk::<SIZE>()?;
    let (target, rest) = rest.split_first_chunk::<SIZE>()?;
    let (port, _) = rest.get(..4)?.split_first_chunk::<2>()?;
    let ip = |bytes: &[u8]| match bytes {
        [a, b, c, d] => Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
        _ => bytes.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))),
    };
    let client = SocketAddr::new(ip(source)?, u16::from_be_bytes(*port));
    Some(Origin { client, asked: ip(target)?, datagram })
}

/// A header of version 1: `PROXY TCP4 SOURCE TARGET PORT PORT`, a line of text.
fn line(bytes: &[u8]) -> Front {
    let head = bytes.get(..LINE).unwrap_or(bytes);
    let Some(end) = head.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < LINE { Front::Incomplete } else { Front::Broken };
    };
    let text = head.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    let origin = text.and_then(|text| {
        let mut words = text.split(' ').skip(1);
        let family = words.next()?;
        if family == "UNKNOWN" {
            return Some(None);
        }
        let (source, target): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (port, _): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let fits = match family {
            "TCP4" => source.is_ipv4() && target.is_ipv4(),
            "TCP6" => source.is_ipv6() && target.is_ipv6(),
            _ => false,
        };
        let client = SocketAddr::new(source, port);
        (fits && words.next().is_none()).then_some(Some(Origin { client, asked: target, datagram: false }))
    });
    match origin {
        Some(origin) => Front::Header(Header { version: 1, length: end + 2, origin }),
        None => Front::Broken,
    }
}
