//! Opening TCP and TLS: bounded in time, never in another way than was written.

use std::cell::Cell;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::network::StreamFault;
use super::super::upstream::{TlsSpec, UpstreamSpec};
use super::fault::{TIMEOUT, fault, of_io, ours, seconds};
use super::lane::Lane;
use super::tls::Alpn;

/// Connects by TCP.
pub(super) async fn tcp(lane: &Lane) -> Result<TcpStream, StreamFault> {
    let open = lane.room.options.open;
    match timeout(open, connect(lane.upstream.spec())).await {
        Ok(result) => result.map_err(|error| of_io(&error)),
        Err(_) => Err(fault(format!("no connection in {}: {TIMEOUT}", seconds(open)))),
    }
}

/// Connects by TLS. Errors: those of the network, and everything that is wrong with who answers.
pub(super) async fn tls(lane: &Lane, alpn: Alpn) -> Result<TlsStream<TcpStream>, StreamFault> {
    let spec = lane.upstream.spec();
    let name = server_name(spec)?;
    let config = lane.room.tls.get(&spec.tls.clone().unwrap_or_default(), alpn)?;
    let open = lane.room.options.open;
    let connected = Cell::new(false);
    let work = async {
        let stream = connect(spec).await?;
        connected.set(true);
        TlsConnector::from(config).connect(name, stream).await
    };
    match timeout(open, work).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if connected.get() && error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(fault("connection closed in the handshake"))
        }
        Ok(Err(error)) => Err(of_io(&error)),
        Err(_) if connected.get() => {
            Err(fault(format!("no answer to the handshake in {}: {TIMEOUT}", seconds(open))))
        }
        Err(_) => Err(fault(format!("no connection in {}: {TIMEOUT}", seconds(open)))),
    }
}

/// The name that the certificate must carry.
pub(super) fn server_name(spec: &UpstreamSpec) -> Result<ServerName<'static>, StreamFault> {
    match spec.tls.as_ref().and_then(|tls: &TlsSpec| tls.server_name.as_ref()) {
        Some(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| ours(format!("`{name}` is no name that a certificate can carry"))),
        None => Ok(ServerName::from(spec.addr.ip())),
    }
}

/// Connects from where the Corefile says.
async fn connect(spec: &UpstreamSpec) -> std::io::Result<TcpStream> {
    let socket = if spec.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = spec.source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(spec.addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
