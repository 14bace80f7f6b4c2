//! Word to others that a zone has changed (RFC 1996).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::fault::FetchFault;
use crate::wire::{CLASS_IN, Rcode, rtype};

/// How often it is said. Source: coredns `plugin/transfer/notify.go`.
const TIMES: usize = 3;

/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(2);

/// Tells `to` that `zone` has changed.
///
/// Errors: the last of three attempts.
pub(super) async fn notify(zone: &[u8], source: Option<IpAddr>, to: SocketAddr) -> Result<(), FetchFault> {
    let mut last = FetchFault::Late(REPLY);
    for _ in 0..TIMES {
        match once(zone, source, to).await {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Tells it once.
async fn once(zone: &[u8], source: Option<IpAddr>, to: SocketAddr) -> Result<(), FetchFault> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await?;
    socket.connect(to).await?;
    let id = fastrand::u16(..);
    let mut message = Vec::new();
    // Opcode NOTIFY, AA.
    for word in [id, 0x2400, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend_from_slice(zone);
    for word in [rtype::SOA, CLASS_IN] {
        message.extend(word.to_be_bytes());
    }
    socket.send(&message).await?;
    let mut reply = [0_u8; 512];
    let waited = timeout(REPLY, async {
        loop {
            let count = socket.recv(&mut reply).await?;
            if let Some(&[i0, i1, f0, f1]) = reply.get(..count).and_then(|reply| reply.first_chunk::<4>())
                && u16::from_be_bytes([i0, i1]) == id
                && f0 & 0xf8 == 0xa0
            {
                return Ok::<_, std::io::Error>(u16::from(f1 & 0xf));
            }
        }
    });
    match waited.await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(code)) => Err(FetchFault::Rcode(Rcode(code))),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(FetchFault::Late(REPLY)),
    }
}
