//! Events in protobuf, field by field.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What an event is. The numbers are those of `Message.Type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A client's query came.
    ClientQuery = 5,
    /// A reply went to a client.
    ClientResponse = 6,
    /// A query went to an upstream.
    ForwarderQuery = 7,
    /// An upstream's reply came.
    ForwarderResponse = 8,
}

/// Over what a message went. The numbers are those of `SocketProtocol`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Socket {
    /// Datagrams.
    Udp = 1,
    /// TCP.
    Tcp = 2,
    /// DNS over TLS.
    Tls = 3,
    /// DNS over HTTPS.
    Https = 4,
    /// DNS over QUIC.
    Quic = 7,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What.
    pub kind: Kind,
    /// Over what.
    pub socket: Socket,
    /// Who asked, as far as it is known.
    pub query: Option<SocketAddr>,
    /// Who was asked, as far as it is known.
    pub response: Option<SocketAddr>,
    /// When it was asked. Unit: time since 1970.
    pub asked: Duration,
    /// When it was answered. Unit: time since 1970.
    pub answered: Option<Duration>,
    /// The message, where it is wanted.
    pub message: Option<&'a [u8]>,
}

/// Writes an event as `dnstap.Dnstap`.
///
/// Cost: one allocation.
#[must_use]
pub fn encode(event: &Event<'_>, identity: &[u8], version: &[u8], extra: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(96 + event.message.map_or(0, <[u8]>::len));
    number(&mut message, 1, u64::from(event.kind as u8));
    let six = event.query.or(event.response).is_some_and(|addr| addr.ip().to_canonical().is_ipv6());
    number(&mut message, 2, if six { 2 } else { 1 });
    number(&mut message, 3, u64::from(event.socket as u8));
    for (field, port, addr) in [(4, 6, event.query), (5, 7, event.response)] {
        let Some(addr) = addr else { continue };
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => bytes(&mut message, field, &ip.octets()),
            IpAddr::V6(ip) => bytes(&mut message, field, &ip.octets()),
        }
        number(&mut message, port, u64::from(addr.port()));
    }
    for (seconds, nanos, at) in [(8, 9, Some(event.asked)), (12, 13, event.answered)] {
        let Some(at) = at else { continue };
        number(&mut message, seconds, at.as_secs());
        fixed(&mut message, nanos, at.subsec_nanos());
    }
    if let Some(text) = event.message {
        let query = matches!(event.kind, Kind::ClientQuery | Kind::ForwarderQuery);
        bytes(&mut message, if query { 10 } else { 14 }, text);
    }
    let mut out = Vec::with_capacity(message.len() + identity.len() + version.len() + extra.len() + 24);
    for (field, text) in [(1, identity), (2, version), (3, extra)] {
        if !text.is_empty() {
            bytes(&mut out, field, text);
        }
    }
    bytes(&mut out, 14, &message);
    // MESSAGE, the only type there is.
    number(&mut out, 15, 1);
    out
}

/// A number of seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// A field that is a number.
fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

/// A field of four bytes, the lowest first.
fn fixed(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field of bytes.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, u64::try_from(value.len()).unwrap_or(0));
    out.extend_from_slice(value);
}
