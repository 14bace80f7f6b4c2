//! DNS over QUIC (RFC 9250), and what HTTP/3 needs of QUIC.

use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ReadExactError, RecvStream, SendStream, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::door::{Door, LEAVE};
use super::guest::Guest;
use super::request::may_be_query;
use super::room::Peer;
use crate::chain::Entry;
use crate::corefile::Transport as Scheme;
use crate::datagrams::OneByOne;
use crate::panics::attempted;
use crate::tls::Alpn;
use crate::wire::{MAX_MESSAGE, Query, Question};

/// Codes of DNS over QUIC (RFC 9250 §4.3).
mod code {
    /// Nothing is wrong.
    pub(super) const NO_ERROR: u16 = 0;
    /// We can't go on with this query.
    pub(super) const INTERNAL: u16 = 1;
    /// The peer breaks the rules.
    pub(super) const PROTOCOL: u16 = 2;
    /// Nobody waits for the reply any more.
    pub(super) const CANCELLED: u16 = 3;
    /// There is too much to do.
    pub(super) const EXCESSIVE: u16 = 4;
}

/// Bytes that may come on all streams of a connection before we read them. What is awaited is read as it comes, however long it is;
/// what is not, such as all behind a query, stays with us until its stream ends.
const RECEIVED: u32 = 32 * 1024;

/// The same of one stream.
const RECEIVED_STREAM: u32 = 16 * 1024;

/// Bytes that are sent on all streams of a connection and may be lost yet; a longer reply goes in parts.
const SENT: u64 = 32 * 1024;

/// Bytes of a query that are read at a time.
const CHUNK: usize = 4096;

/// Connections that wait to be looked at.
const INCOMING: usize = 256;

/// Bytes of those that come before that.
const EARLY: u64 = 1 << 20;

/// How long what was written last may take to leave.
const FAREWELL: Duration = Duration::from_millis(50);

/// A code as QUIC writes it.
fn number(code: u16) -> VarInt {
    VarInt::from_u32(u32::from(code))
}

/// Opens an endpoint on a socket; each connection is given a configuration of its own.
///
/// Errors: the kernel's, or there is no certificate.
pub(super) fn open(socket: UdpSocket, scheme: Scheme, entry: &Entry) -> std::io::Result<Endpoint> {
    let config = configure(scheme, entry, Duration::ZERO)
        .ok_or_else(|| std::io::Error::other("there is no certificate"))?;
    let socket = OneByOne::new(socket)?;
    Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// After how long without a sign of life a peer is taken to be gone, if it may not be idle for longer.
const GONE: Duration = Duration::from_secs(30);

/// What a connection begins with that may be idle for so long; `None` where there is no certificate for QUIC.
fn configure(scheme: Scheme, entry: &Entry, idle: Duration) -> Option<ServerConfig> {
    let alpn = if scheme == Scheme::Quic { Alpn::Doq } else { Alpn::H3 };
    let tls = entry.tls.as_ref()?.config(alpn);
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).ok()?));
    let mut transport = TransportConfig::default();
    // HTTP/3 has three streams of its own for what is no request.
    let own: u32 = if scheme == Scheme::Https3 { 3 } else { 0 };
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(entry.limits.streams(scheme)))
        .max_concurrent_uni_streams(VarInt::from_u32(own))
        .receive_window(VarInt::from_u32(RECEIVED))
        .stream_receive_window(VarInt::from_u32(RECEIVED_STREAM))
        .send_window(SENT)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(idle.max(GONE).try_into().ok());
    config.transport_config(Arc::new(transport));
    config.max_incoming(INCOMING).incoming_buffer_size(EARLY / 16).incoming_buffer_size_total(EARLY);
    Some(config)
}

/// Takes connections until the listener goes; `serve` serves one of them.
pub(super) async fn listen<F: Future<Output = ()> + 'static>(
    door: Rc<Door>,
    endpoint: Endpoint,
    serve: impl Fn(Rc<Door>, Rc<Guest>, Peer, Connection, Entry) -> F + Clone + 'static,
) {
    let _stay = door.room.stay();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = door.leaving() => break,
        };
        let Some(incoming) = incoming else { return };
        let Some(entry) = door.room.entry(door.socket) else {
            incoming.refuse();
            continue;
        };
        // Who may be somebody else proves that it is not once places get short.
        if door.guests.crowded() && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            continue;
        }
        let (door, serve) = (door.clone(), serve.clone());
        tokio::task::spawn_local(attempted("connection", welcome(door, incoming, entry, serve)));
    }
    // Those that are there end by themselves; nobody new is heard.
    endpoint.set_server_config(None);
    let _ = timeout(LEAVE, door.guests.gone()).await;
    endpoint.close(number(code::NO_ERROR), b"");
    // Until they were told; that they heard it is not waited for.
    let _ = timeout(FAREWELL, endpoint.wait_idle()).await;
}

/// Serves a connection from its handshake to its end.
async fn welcome<F: Future<Output = ()>>(
    door: Rc<Door>,
    incoming: Incoming,
    entry: Entry,
    serve: impl Fn(Rc<Door>, Rc<Guest>, Peer, Connection, Entry) -> F,
) {
    let peer = Peer { addr: incoming.remote_address(), local: incoming.local_ip(), socket: door.socket };
    let most = entry.limits.connections(door.socket.scheme);
    let Some(place) = door.guests.admit(peer.addr.ip(), most, door.per_client(most)) else {
        incoming.refuse();
        return;
    };
    let _stay = door.room.stay();
    let Some(config) = configure(door.socket.scheme, &entry, door.times().idle) else {
        incoming.refuse();
        return;
    };
    let Ok(connecting) = incoming.accept_with(Arc::new(config)) else { return };
    // Who breaks the rules of TLS was told so, and is of no interest to the log.
    let Ok(Ok(connection)) = timeout(door.room.patience, connecting).await else { return };
    let guest = place.guest.clone();
    guest.alive();
    let times = door.times();
    let served = serve(door.clone(), guest.clone(), peer, connection.clone(), entry);
    tokio::select! {
        () = served => {}
        () = guest.evicted() => {}
        () = guest.overdue(&door.guests, &times) => {}
        () = async {
            door.leaving().await;
            let _ = timeout(LEAVE, guest.done()).await;
            // The last reply is on its way yet.
            sleep(FAREWELL).await;
        } => {}
    }
    connection.close(number(code::NO_ERROR), b"");
}

/// Serves a connection of DNS over QUIC: a query a stream.
pub(super) async fn serve(
    door: Rc<Door>,
    guest: Rc<Guest>,
    peer: Peer,
    connection: Connection,
    pool: Rc<Semaphore>,
) {
    while let Ok((send, receive)) = connection.accept_bi().await {
        let (door, guest, connection) = (door.clone(), guest.clone(), connection.clone());
        let pool = pool.clone();
        // Never more than the streams that the peer was granted: one is granted again when its task ends.
        tokio::task::spawn_local(attempted("connection", async move {
            let code = match exchange(&door, &guest, &peer, send, receive, &pool).await {
                Ok(()) => code::NO_ERROR,
                Err(code) => code,
            };
            door.traffic.answered(code);
            if code == code::PROTOCOL {
                connection.close(number(code), b"");
            }
        }));
    }
}

/// Answers the query of one stream. Errors: the code that is told.
async fn exchange(
    door: &Door,
    guest: &Rc<Guest>,
    peer: &Peer,
    mut send: SendStream,
    mut receive: RecvStream,
    pool: &Semaphore,
) -> Result<(), u16> {
    guest.breath().await;
    let mut query = guest.begin();
    let reply = async {
        let message = timeout(door.times().partial, read(&mut receive, &mut query))
            .await
            .map_err(|_| code::CANCELLED)??;
        if !is_sound(&message) {
            return Err(code::PROTOCOL);
        }
        guest.readable().await;
        let _permit = timeout(door.times().write, pool.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(code::EXCESSIVE)?;
        door.room.ask(message, &mut query, peer).await.ok_or(code::INTERNAL)
    };
    let reply = match reply.await {
        Ok(reply) => reply,
        Err(code) => {
            let _ = receive.stop(number(code));
            let _ = send.reset(number(code));
            return Err(code);
        }
    };
    let mut framed = Vec::with_capacity(2 + reply.len());
    framed.extend_from_slice(&u16::try_from(reply.len()).unwrap_or(u16::MAX).to_be_bytes());
    framed.extend_from_slice(&reply);
    let _debt = guest.owe(framed.len());
    match timeout(door.times().write, send.write_all(&framed)).await {
        Ok(Ok(())) => {
            // A stream that was stopped has ended already.
            let _ = send.finish();
            Ok(())
        }
        _ => {
            let _ = send.reset(number(code::CANCELLED));
            Err(code::CANCELLED)
        }
    }
}

/// Reads the message of a stream: its length, and so many bytes. Memory grows with what comes, not with what is promised.
async fn read(receive: &mut RecvStream, query: &mut super::guest::Query) -> Result<Vec<u8>, u16> {
    let broken = |error: ReadExactError| match error {
        ReadExactError::FinishedEarly(_) => code::PROTOCOL,
        ReadExactError::ReadError(_) => code::CANCELLED,
    };
    let mut prefix = [0; 2];
    receive.read_exact(&mut prefix).await.map_err(broken)?;
    let length = usize::from(u16::from_be_bytes(prefix)).min(MAX_MESSAGE);
    let mut message = Vec::new();
    while message.len() < length {
        let before = message.len();
        let next = length.min(before + CHUNK);
        if !query.keep(next - before) {
            return Err(code::EXCESSIVE);
        }
        message.reserve_exact(next - before);
        message.resize(next, 0);
        receive.read_exact(message.get_mut(before..).unwrap_or_default()).await.map_err(broken)?;
    }
    Ok(message)
}

/// Whether a message keeps the rules of this transport (RFC 9250 §4.2.1, §5.5.2, §4.3.3): id 0, a query, and no word about
/// keeping a TCP connection.
fn is_sound(message: &[u8]) -> bool {
    if !may_be_query(message) || message.get(..2) != Some(&[0, 0]) {
        return false;
    }
    let mut question = Question::default();
    // What is malformed otherwise has an answer of its own.
    Query::parse(message, &mut question).map_or(true, |query| query.edns.is_none_or(|edns| !edns.keepalive))
}
