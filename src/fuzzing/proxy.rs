//! Z8: the headers of proxies, judged by how they come and by a second reading.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cost::{NOTHING, bounded};
use super::target::Seed;
use crate::server::fuzzed::{LONGEST_HEADER, Proxied, proxied};

/// How a header of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads; what comes in pieces must come to the same.
pub(super) fn run(bytes: &[u8]) {
    let whole = bounded(NOTHING, bytes, || proxied(bytes));
    let mut settled = None;
    for length in 0..bytes.len().min(LONGEST_HEADER + 1) {
        let front = proxied(&bytes[..length]);
        match settled {
            // Once it is clear what it is, more bytes change nothing.
            Some(known) => assert_eq!(front, known, "with {length} bytes"),
            None if front != Proxied::Incomplete => settled = Some(front),
            None => {}
        }
    }
    if let Some(settled) = settled {
        assert_eq!(whole, settled);
    }
    match whole {
        Proxied::Header(version, length, client) => {
            assert!(length <= bytes.len() && length <= LONGEST_HEADER);
            match version {
                1 => assert_eq!(client, line(&bytes[..length])),
                2 => assert_eq!(client, binary(&bytes[..length])),
                _ => panic!("there is no version {version}"),
            }
        }
        Proxied::Nothing => assert!(!bytes.starts_with(b"PROXY ") && !bytes.starts_with(SIGNATURE)),
        Proxied::Broken => {
            assert!(bytes.starts_with(b"PROXY ") || bytes.starts_with(SIGNATURE), "it begins like one");
        }
        Proxied::Incomplete => assert!(bytes.len() < LONGEST_HEADER),
    }
}

/// The client of a header of version 1, by splitting it.
fn line(header: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(header).expect("a header of version 1 is text");
    let text = text.strip_suffix("\r\n").expect("it is a line");
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, target, port, other] => {
            let source: IpAddr = source.parse().expect("an address");
            let target: IpAddr = target.parse().expect("an address");
            assert!(source.is_ipv4() == (family == "TCP4") && target.is_ipv4() == source.is_ipv4());
            let _: u16 = other.parse().expect("a port");
            Some(SocketAddr::new(source, port.parse().expect("a port")))
        }
        _ => panic!("{text:?} is no header"),
    }
}

/// The client of a header of version 2, by its places.
fn binary(header: &[u8]) -> Option<SocketAddr> {
    assert_eq!(usize::from(u16::from_be_bytes([header[14], header[15]])) + 16, header.len());
    assert_eq!(header[12] >> 4, 2);
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    match (header[12] & 0xf, header[13] >> 4) {
        (0, _) | (_, 0 | 3) => None,
        (_, 1) => {
            let octets: [u8; 4] = header[16..20].try_into().expect("four bytes");
            Some(SocketAddr::new(Ipv4Addr::from(octets).into(), port(24)))
        }
        (_, 2) => {
            let octets: [u8; 16] = header[16..32].try_into().expect("sixteen bytes");
            Some(SocketAddr::new(Ipv6Addr::from(octets).into(), port(48)))
        }
        other => panic!("{other:?} is no family"),
    }
}

/// Headers.
pub(super) fn seeds() -> Vec<Seed> {
    let two = |command: u8, family: u8, rest: &[u8]| {
        let length = u8::try_from(rest.len()).expect("a short one");
        [SIGNATURE, &[0x20 | command, family, 0, length], rest].concat()
    };
    let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x10, 0, 0, 53];
    let v6 = [&[0x20; 32][..], &[0x10, 0, 0, 53]].concat();
    vec![
        ("tcp4", b"PROXY TCP4 192.0.2.1 192.0.2.2 4096 53\r\n\0\x1d".to_vec()),
        ("tcp6", b"PROXY TCP6 2001:db8::1 2001:db8::2 4096 53\r\n".to_vec()),
        ("unknown", b"PROXY UNKNOWN anything else\r\n".to_vec()),
        ("endless", vec![b'P'; 3]),
        ("no_end", [b"PROXY TCP4 ".to_vec(), vec![b'1'; 110]].concat()),
        ("v2_tcp4", two(1, 0x11, &v4)),
        ("v2_udp4", two(1, 0x12, &v4)),
        ("v2_udp6", two(1, 0x22, &v6)),
        ("v2_local", two(0, 0, &[])),
        ("v2_unix", two(1, 0x31, &[0; 216])),
        ("v2_options", two(1, 0x11, &[&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat())),
        ("v2_short", two(1, 0x11, &v4[..11])),
        ("query", vec![0, 1, 1, 0, 0, 1]),
    ]
}
