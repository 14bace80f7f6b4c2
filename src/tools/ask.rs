//! A question to a server, as a stub resolver asks it; the reply decoded.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::time::Clock;
use crate::wire::{CodecError, Decoded, MAX_MESSAGE, decode, encode};

/// Why a server gave no reply that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The network.
    #[error("asking {server}: {source}")]
    Network {
        /// Whom.
        server: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Nothing came.
    #[error("{server} does not answer within {seconds} s")]
    Silence {
        /// Who.
        server: SocketAddr,
        /// How long was waited in all.
        seconds: u64,
    },
    /// Something came that is no reply.
    #[error("{server} answers with what is no DNS message")]
    Nonsense {
        /// Who.
        server: SocketAddr,
        /// Why.
        #[source]
        source: CodecError,
    },
}

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a datagram is sent before a server counts as silent.
const ATTEMPTS: u32 = 3;

/// Reads `IP`, `IP:PORT` or `[IP6]:PORT`; port 53 unless it says. Errors: it is none of them, in words.
pub(super) fn server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).ok();
    ip.or_else(|| text.parse().ok()).ok_or_else(|| format!("`{text}` is no IP:PORT"))
}

/// Asks over UDP, and over TCP where the reply was cut.
///
/// Shape: `name` in wire form. Errors: `AskError`.
pub(super) fn ask(server: SocketAddr, name: &[u8], qtype: u16, clock: &Clock) -> Result<Decoded, AskError> {
    let network = |source| AskError::Network { server, source };
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).map_err(network)?;
    socket.connect(server).map_err(network)?;
    let mut buffer = vec![0_u8; MAX_MESSAGE];
    for _ in 0..ATTEMPTS {
        let id = fastrand::u16(..);
        let query = encode(id, name, qtype);
        socket.send(&query).map_err(network)?;
        let end = clock.now().plus(PATIENCE);
        loop {
            let left = end.since(clock.now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left)).map_err(network)?;
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(network(error)),
            };
            let reply = decode(buffer.get(..length).unwrap_or_default())
                .map_err(|source| AskError::Nonsense { server, source })?;
            if reply.id != id {
                continue;
            }
            if reply.truncated {
                return over_tcp(server, &query, id);
            }
            return Ok(reply);
        }
    }
    Err(AskError::Silence { server, seconds: u64::from(ATTEMPTS) * PATIENCE.as_secs() })
}

/// Asks over TCP.
fn over_tcp(server: SocketAddr, query: &[u8], id: u16) -> Result<Decoded, AskError> {
    let network = |source| AskError::Network { server, source };
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(network)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(network)?;
    let mut framed = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).map_err(network)?;
    let mut length = [0_u8; 2];
    stream.read_exact(&mut length).map_err(network)?;
    let mut bytes = vec![0_u8; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).map_err(network)?;
    let reply = decode(&bytes).map_err(|source| AskError::Nonsense { server, source })?;
    if reply.id != id {
        let error = io::Error::new(io::ErrorKind::InvalidData, "a reply to another question");
        return Err(network(error));
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_a_port() {
        for (text, read) in [
            ("10.0.0.1", "10.0.0.1:53"),
            ("10.0.0.1:1053", "10.0.0.1:1053"),
            ("fd00::1", "[fd00::1]:53"),
            ("[fd00::1]", "[fd00::1]:53"),
            ("[fd00::1]:54", "[fd00::1]:54"),
        ] {
            assert_eq!(server(text).map(|addr| addr.to_string()).as_deref(), Ok(read));
        }
        assert_eq!(server("dns.example"), Err("`dns.example` is no IP:PORT".to_owned()));
    }
}
