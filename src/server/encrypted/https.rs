//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::door::{Door, LEAVE};
use super::guest::{Debt, Guest};
use super::http::{Body, answer};
use super::room::Peer;
use super::sips::Sips;
use crate::panics::attempted;

/// Bytes of the longest head of a request.
const HEAD: usize = 16 * 1024;

/// Headers of a request.
const HEADERS: usize = 100;

/// Bytes that may come on all streams of a connection before we read them.
const WINDOW: u32 = 128 * 1024;

/// Streams that a client may give up before we have looked at them (rapid reset).
const RESETS: usize = 20;

/// Bytes of a reply that are given to HTTP/2 at a time.
const CHUNK: usize = 4096;

/// Bytes that TLS has of a connection while the kernel takes no more: half a record, not the four of the library.
const RECORD: usize = 8 * 1024;

/// The most streams of a connection at once (row W69).
const STREAMS: u32 = 100;

/// How long a connection that is told to go may take with nothing under way.
const GRACE: Duration = Duration::from_millis(250);

/// Runs hyper's tasks on this thread.
#[derive(Clone)]
struct Here;

impl<F> Executor<F> for Here
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(attempted("connection", future));
    }
}

impl Body for Incoming {
    type Part = Bytes;

    async fn next(&mut self) -> Option<Result<Bytes, ()>> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // Trailers say nothing to us.
                Ok(Err(_)) => {}
                Err(_) => return Some(Err(())),
            }
        }
    }
}

/// A reply on its way.
struct Owed {
    /// What is left of it.
    bytes: Bytes,
    /// As much is owed; `None` once all of it was handed on.
    debt: Option<Debt>,
}

/// A piece of a reply, which is owed until the library has written it: what a client does not read lies there, and is counted.
struct Piece {
    /// What is left of it.
    bytes: Bytes,
    /// As much is owed.
    debt: Debt,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.debt.pay(count);
    }
}

impl http_body::Body for Owed {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        let Some(mut debt) = self.debt.take() else { return Poll::Ready(None) };
        let length = self.bytes.len().min(CHUNK);
        let bytes = self.bytes.split_to(length);
        if !self.bytes.is_empty() {
            let part = debt.split(length);
            self.debt = Some(std::mem::replace(&mut debt, part));
        }
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, debt }))))
    }

    /// One without a body has an empty piece, which is counted until it is written like any.
    fn is_end_stream(&self) -> bool {
        self.debt.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

/// Answers one request.
async fn respond(
    door: &Rc<Door>,
    guest: &Rc<Guest>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<Owed>, Infallible> {
    let (head, body) = request.into_parts();
    let (response, bytes) = answer(door, guest, peer, head, body).await;
    let debt = Some(guest.owe(bytes.len()));
    Ok(response.map(|()| Owed { bytes, debt }))
}

/// Serves a connection whose handshake is done.
pub(super) async fn serve(door: &Rc<Door>, guest: &Rc<Guest>, peer: Peer, mut stream: TlsStream<TcpStream>) {
    stream.get_mut().1.set_buffer_limit(Some(RECORD));
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return serve_one(door, guest, peer, stream).await;
    }
    // Streams are tasks of their own, which end with the connection.
    let shared = Rc::new((door.clone(), guest.clone()));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { respond(&shared.0, &shared.1, &peer, request).await }
    });
    let mut builder = http2::Builder::new(Here);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_send_buf_size(CHUNK)
        .initial_stream_window_size(u32::from(u16::MAX))
        .initial_connection_window_size(WINDOW);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    run(door, guest, connection, http2::Connection::graceful_shutdown).await;
}

/// Serves a connection in the clear: behind a proxy that does TLS.
pub(super) async fn serve_plain(door: &Rc<Door>, guest: &Rc<Guest>, peer: Peer, stream: TcpStream) {
    serve_one(door, guest, peer, stream).await;
}

/// Serves a connection of HTTP/1.1: one request after the other.
async fn serve_one(
    door: &Rc<Door>,
    guest: &Rc<Guest>,
    peer: Peer,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) {
    let shared = Rc::new((door.clone(), guest.clone()));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { respond(&shared.0, &shared.1, &peer, request).await }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(door.times().idle)
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .half_close(true);
    let connection = builder.serve_connection(TokioIo::new(Sips(stream)), service);
    run(door, guest, connection, http1::Connection::graceful_shutdown).await;
}

/// Runs a connection until it ends, its time is up, or its listener goes.
async fn run<C: Future>(door: &Rc<Door>, guest: &Rc<Guest>, connection: C, shut: impl Fn(Pin<&mut C>)) {
    let mut connection = pin!(connection);
    let times = door.times();
    tokio::select! {
        _ = connection.as_mut() => return,
        () = guest.overdue(&door.guests, &times) => {}
        () = door.leaving() => {}
    }
    shut(connection.as_mut());
    let done = async {
        let _ = timeout(LEAVE, guest.done()).await;
        sleep(GRACE).await;
    };
    tokio::select! {
        _ = connection => {}
        () = done => {}
    }
}
