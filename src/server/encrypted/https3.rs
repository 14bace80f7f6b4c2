//! DNS over HTTP/3: the requests of RFC 8484 over QUIC.

use std::rc::Rc;

use bytes::{Buf, Bytes};
use h3::quic::RecvStream;
use h3::server::RequestStream;
use tokio::time::timeout;

use super::door::Door;
use super::frames::{Framed, Guarded};
use super::guest::Guest;
use super::http::{Body, answer};
use super::room::Peer;
use crate::panics::attempted;

/// Bytes of the longest head of a request.
const HEAD: u64 = 16 * 1024;

/// A request's stream as the library has it.
type Stream = RequestStream<Framed<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// The body of a request.
struct Incoming<'s, S>(&'s mut RequestStream<S, Bytes>);

impl<S: RecvStream> Body for Incoming<'_, S> {
    type Part = Bytes;

    async fn next(&mut self) -> Option<Result<Bytes, ()>> {
        match self.0.recv_data().await {
            Ok(Some(mut part)) => Some(Ok(part.copy_to_bytes(part.remaining()))),
            Ok(None) => None,
            Err(_) => Some(Err(())),
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(door: Rc<Door>, guest: Rc<Guest>, peer: Peer, connection: quinn::Connection) {
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEAD);
    let connection = Guarded::new(h3_quinn::Connection::new(connection), guest.clone());
    let Ok(mut connection) = builder.build::<_, Bytes>(connection).await else { return };
    while let Ok(Some(resolver)) = connection.accept().await {
        let (door, guest) = (door.clone(), guest.clone());
        // Never more than the streams that the peer was granted.
        tokio::task::spawn_local(attempted("connection", async move {
            let partial = door.times().partial;
            let Ok(Ok((request, stream))) = timeout(partial, resolver.resolve_request()).await else {
                return;
            };
            let (head, ()) = request.into_parts();
            respond(&door, &guest, &peer, head, stream).await;
        }));
    }
}

/// Answers one request.
async fn respond(
    door: &Rc<Door>,
    guest: &Rc<Guest>,
    peer: &Peer,
    head: http::request::Parts,
    mut stream: Stream,
) {
    let (response, bytes) = answer(door, guest, peer, head, Incoming(&mut stream)).await;
    let _debt = guest.owe(bytes.len());
    let send = async {
        let mut response = response;
        response.headers_mut().insert(http::header::CONTENT_LENGTH, bytes.len().into());
        stream.send_response(response).await?;
        if !bytes.is_empty() {
            stream.send_data(bytes).await?;
        }
        stream.finish().await
    };
    // Who has gone, or does not read, gets nothing more.
    let _ = timeout(door.times().write, send).await;
}
