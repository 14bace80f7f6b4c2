//! Headers of proxies, byte by byte, and whose datagrams they make.

use std::net::{IpAddr, SocketAddr};

use super::proxy::{Front, Header, MOST, Origin, read};
use crate::chain::tests::Bare;
use crate::chain::{BuildOptions, ProxyPolicy, build};
use crate::corefile::{NoImports, parse};
use crate::server::proxies::Proxies;
use crate::time::Tick;
use std::sync::Arc;
use std::time::Duration;

/// A header of version 2 with these addresses.
fn two(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    header.extend(addresses);
    header
}

/// 192.0.2.7:4711 asks 198.51.100.1:53.
const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 53];

/// What a header says.
fn origin(bytes: &[u8]) -> Option<(SocketAddr, IpAddr)> {
    match read(bytes) {
        Front::Header(Header { origin, .. }) => origin.map(|Origin { client, asked, .. }| (client, asked)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_versions_are_read() {
    let four = Some(("192.0.2.7:4711".parse().unwrap(), "198.51.100.1".parse().unwrap()));
    assert_eq!(origin(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 53\r\nrest"), four);
    assert_eq!(origin(&two(1, 0x11, &FOUR)), four);
    assert_eq!(origin(&two(1, 0x12, &FOUR)), four);
    // Bytes behind the addresses are of others.
    assert_eq!(origin(&two(1, 0x11, &[&FOUR[..], &[4, 0, 1, 0]].concat())), four);
    let mut six = [0; 36];
    (six[0], six[15], six[16], six[31], six[33]) = (0x20, 1, 0x20, 2, 7);
    let six = origin(&two(1, 0x21, &six)).unwrap();
    assert_eq!(six.0, "[2000::1]:7".parse::<SocketAddr>().unwrap());
    assert_eq!(origin(b"PROXY TCP6 2000::1 2000::2 7 53\r\n"), Some((six.0, six.1)));
    // The proxy itself, sockets of the machine, or nobody that it knows.
    for nobody in [&two(0, 0x11, &FOUR)[..], &two(1, 0x31, &[0; 216]), &two(1, 0, b""), b"PROXY UNKNOWN\r\n"]
    {
        assert_eq!(origin(nobody), None);
    }
}

#[test]
fn what_is_not_whole_is_waited_for_and_what_is_wrong_is_not() {
    for whole in [two(1, 0x11, &FOUR), b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 53\r\n".to_vec()] {
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Front::Incomplete, "{length}");
        }
    }
    for wrong in [
        two(2, 0x11, &FOUR),
        two(1, 0x11, &FOUR[..11]),
        two(1, 0x41, &FOUR),
        b"PROXY TCP4 2000::1 2000::2 7 53\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 53 9\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 53\r\n".to_vec(),
        [b"PROXY ".to_vec(), vec![b'a'; 200]].concat(),
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 9]].concat(),
    ] {
        assert_eq!(read(&wrong), Front::Broken, "{wrong:?}");
    }
    for other in [&b"\0\x1d\0\x07\x01\0"[..], b"\x16\x03\x01", b"PRI * HTTP/2.0", b"GET /"] {
        assert_eq!(read(other), Front::Nothing);
    }
}

#[test]
fn no_bytes_do_harm() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = if rng.bool() { two(1, rng.u8(..), &FOUR) } else { b"PROXY TCP4 1.2.3.4 ".to_vec() };
        for _ in 0..rng.usize(..4) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        bytes.truncate(rng.usize(..=bytes.len()));
        if let Front::Header(header) = read(&bytes) {
            assert!(header.length <= bytes.len() && header.length <= MOST);
        }
    }
}

/// The policy of a stanza.
fn policy(lines: &str) -> Arc<ProxyPolicy> {
    let text = format!(". {{\n whoami\n proxyproto {{\n {lines}\n }}\n}}\n");
    let spec = parse("Corefile", &text, &NoImports).unwrap();
    let plan = build(&spec, BuildOptions { port: 53 }, &mut Bare).unwrap().plan;
    plan.listeners[0].entry.proxy.clone().unwrap()
}

#[test]
fn sessions_end_by_time_and_are_bounded() {
    let mut proxies = Proxies::default();
    proxies.equip(0, Some(&policy("allow 127.0.0.1/32\n udp_session_tracking 10s 8")));
    let header = two(1, 0x12, &FOUR);
    let at = |seconds: u64| Tick::default().plus(Duration::from_secs(seconds));
    let sender = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let client = "192.0.2.7:4711".parse().unwrap();
    assert_eq!(proxies.unwrap(0, sender(1), &header, at(0)), None, "a header alone is no query");
    assert_eq!(proxies.unwrap(0, sender(1), b"query", at(9)), Some((client, &b"query"[..])));
    assert_eq!(proxies.unwrap(0, sender(1), b"query", at(18)), Some((client, &b"query"[..])), "kept by use");
    assert_eq!(proxies.unwrap(0, sender(1), b"query", at(29)), Some((sender(1), &b"query"[..])), "over");
    for port in 1..100 {
        proxies.unwrap(0, sender(port), &header, at(30));
    }
    let kept = (1..100).filter(|&port| {
        proxies.unwrap(0, sender(port), b"query", at(30)).is_some_and(|(who, _)| who == client)
    });
    assert!((1..=8).contains(&kept.count()), "no more than were granted");
    // Others are not believed, whatever they send, and a socket without the word looks for nothing.
    let other = SocketAddr::from(([127, 0, 0, 2], 5));
    let both = [&header[..], b"query"].concat();
    assert_eq!(proxies.unwrap(0, other, &both, at(30)), Some((other, &b"query"[..])));
    assert_eq!(proxies.unwrap(1, other, &both, at(30)), Some((other, &both[..])));
}
