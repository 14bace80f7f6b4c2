//! DNS over QUIC (RFC 9250).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, ConnectionError, Endpoint, EndpointConfig, ReadError, ReadToEndError, TokioRuntime,
    TransportConfig, VarInt, WriteError,
};
use tokio::time::timeout;

use super::super::network::StreamFault;
use super::connection::Connection;
use super::dial::server_name;
use super::fault::{TIMEOUT, UNTRUSTED, fault, of_io, seconds};
use super::lane::{End, Lane};
use super::many::{self, Asker, Trouble};
use super::tls::Alpn;
use crate::datagrams::OneByOne;

/// Bytes of the longest message with its length before it.
const LONGEST: usize = 2 + 65_535;

/// Bytes that all replies of a connection may have on the way.
const WINDOW: u32 = 1 << 20;

/// How long a connection lives without a packet at the longest; ours ends it earlier.
const IDLE: Duration = Duration::from_secs(30);

/// DOQ_NO_ERROR.
const NO_ERROR: VarInt = VarInt::from_u32(0);

/// DOQ_REQUEST_CANCELLED.
const CANCELLED: VarInt = VarInt::from_u32(3);

/// A connection that is there.
#[derive(Clone)]
struct Quic {
    /// The connection.
    connection: quinn::Connection,
}

/// Opens a connection and asks on it until it ends.
pub(super) async fn serve(connection: &Connection, lane: &Lane) -> End {
    match open(lane).await {
        Ok((quic, endpoint)) => {
            let end = many::serve(quic.clone(), connection, lane).await;
            quic.connection.close(NO_ERROR, b"");
            // The goodbye is sent before the socket goes.
            let _ = timeout(super::framed::LOOK, endpoint.wait_idle()).await;
            end
        }
        Err(fault) => End { fault, tasks: Vec::new() },
    }
}

/// Opens a connection, from a socket of its own.
async fn open(lane: &Lane) -> Result<(Quic, Endpoint), StreamFault> {
    let spec = lane.upstream.spec();
    let name = server_name(spec)?.to_str().into_owned();
    let config = lane.room.tls.get(&spec.tls.clone().unwrap_or_default(), Alpn::Doq)?;
    let config = QuicClientConfig::try_from(config).map_err(|error| fault(format!("QUIC: {error}")))?;
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(IDLE.try_into().ok());
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.datagram_receive_buffer_size(None);
    transport.receive_window(VarInt::from_u32(WINDOW));
    transport.stream_receive_window(VarInt::from_u32(WINDOW));
    let mut client = ClientConfig::new(Arc::new(config));
    client.transport_config(Arc::new(transport));
    let any = match spec.addr {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let from = SocketAddr::new(spec.source.unwrap_or(any), 0);
    let endpoint = UdpSocket::bind(from).and_then(OneByOne::new).and_then(|socket| {
        Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
    });
    let endpoint = endpoint.map_err(|error| of_io(&error))?;
    let connecting =
        endpoint.connect_with(client, spec.addr, &name).map_err(|error| fault(format!("QUIC: {error}")))?;
    let limit = lane.room.options.open;
    match timeout(limit, connecting).await {
        Ok(Ok(connection)) => Ok((Quic { connection }, endpoint)),
        Ok(Err(error)) => Err(of_quic(&error, &name)),
        Err(_) => Err(fault(format!("no answer to the handshake in {}: {TIMEOUT}", seconds(limit)))),
    }
}

impl Asker for Quic {
    async fn ask(&self, query: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        let lost = |error: &ConnectionError| Trouble::Connection(of_quic(error, "it"));
        let refused = |code: VarInt| Trouble::Answer(fault(format!("it ended the query with code {code}")));
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(|error| lost(&error))?;
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX);
        let mut framed = Vec::with_capacity(2 + query.len());
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&query);
        match send.write_all(&framed).await {
            Ok(()) => {}
            Err(WriteError::ConnectionLost(error)) => return Err(lost(&error)),
            // What it says of it comes on the other half.
            Err(WriteError::Stopped(_)) => {}
            Err(error) => return Err(Trouble::Answer(fault(format!("QUIC: {error}")))),
        }
        // A stream that was stopped has ended already.
        let _ = send.finish();
        let reply = match receive.read_to_end(LONGEST).await {
            Ok(reply) => reply,
            Err(ReadToEndError::TooLong) => {
                let _ = receive.stop(CANCELLED);
                return Err(Trouble::Answer(fault("a reply of more than 65535 bytes")));
            }
            Err(ReadToEndError::Read(ReadError::ConnectionLost(error))) => return Err(lost(&error)),
            Err(ReadToEndError::Read(ReadError::Reset(code))) => return Err(refused(code)),
            Err(ReadToEndError::Read(error)) => return Err(Trouble::Answer(fault(format!("QUIC: {error}")))),
        };
        match reply.split_first_chunk::<2>() {
            Some((length, message)) if usize::from(u16::from_be_bytes(*length)) == message.len() => {
                Ok(message.to_vec())
            }
            _ => Err(Trouble::Answer(fault("a reply whose length is wrong"))),
        }
    }

    async fn closed(&self) {
        self.connection.closed().await;
    }
}

/// Why a connection of QUIC failed. Alerts of TLS are codes from 0x100 on (RFC 9001 §4.8).
fn of_quic(error: &ConnectionError, name: &str) -> StreamFault {
    let of_code = |code: u64, reason: &str| match code.checked_sub(0x100) {
        Some(45) => fault("certificate expired"),
        Some(48) => fault(UNTRUSTED),
        Some(42) if reason.contains("not valid for") => fault(format!("certificate is not for {name}")),
        Some(116) => fault("it wants a client certificate (tls CERT KEY CA)"),
        Some(120) => fault("it does not speak this protocol (ALPN)"),
        _ if reason.is_empty() => fault(format!("QUIC: code {code}")),
        _ => fault(format!(
            "QUIC: {}",
            reason.chars().filter(|c| !c.is_control()).take(120).collect::<String>()
        )),
    };
    match error {
        ConnectionError::TransportError(error) => of_code(u64::from(error.code), &error.reason),
        ConnectionError::ConnectionClosed(close) => {
            of_code(u64::from(close.error_code), &String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed | ConnectionError::Reset => {
            fault("connection closed before the reply")
        }
        ConnectionError::TimedOut => fault("it fell silent"),
        ConnectionError::VersionMismatch => fault("it speaks no QUIC version 1"),
        ConnectionError::CidsExhausted => fault(error.to_string()),
    }
}
