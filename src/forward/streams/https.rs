//! DNS over HTTPS (RFC 8484), HTTP/2 only.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::network::StreamFault;
use super::super::upstream::UpstreamSpec;
use super::age;
use super::connection::Connection;
use super::dial;
use super::fault::{TIMEOUT, fault, of_io, of_tls, seconds};
use super::lane::{End, Lane};
use super::many::{self, Asker, Trouble};
use super::tls::Alpn;
use crate::panics::attempted;

/// What queries and replies are called.
const MESSAGE: &str = "application/dns-message";

/// Bytes of the longest message.
const LONGEST: usize = 65_535;

/// Bytes that all replies of a connection may have on the way.
const WINDOW: u32 = 1 << 20;

/// Bytes of the longest head of a reply.
const HEAD: u32 = 16 * 1024;

/// The port that is not written into the address of a resource.
const PORT: u16 = 443;

/// Runs hyper's tasks on this thread.
#[derive(Clone)]
struct Here;

impl<F> Executor<F> for Here
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(attempted("connection to an upstream", future));
    }
}

/// A connection that is there.
#[derive(Clone)]
struct Https {
    /// Takes requests.
    sender: SendRequest<Full<Bytes>>,
    /// `https://HOST[:PORT]PATH`.
    resource: Rc<str>,
    /// Whether queries are asked by GET.
    get: bool,
    /// Tells when the connection has ended.
    ended: watch::Receiver<()>,
    /// Why it ended, once it has.
    why: Rc<RefCell<Option<StreamFault>>>,
}

/// Opens a connection and asks on it until it ends.
pub(super) async fn serve(connection: &Connection, lane: &Lane) -> End {
    match open(lane).await {
        Ok(https) => many::serve(https, connection, lane).await,
        Err(fault) => End { fault, tasks: Vec::new() },
    }
}

/// Opens a connection: TLS, and the first words of HTTP/2.
async fn open(lane: &Lane) -> Result<Https, StreamFault> {
    let spec = lane.upstream.spec();
    let stream = dial::tls(lane, Alpn::H2).await?;
    if stream.get_ref().1.alpn_protocol() != Some(Alpn::H2.bytes()) {
        return Err(fault("it does not speak HTTP/2"));
    }
    let mut builder = Builder::new(Here);
    builder.initial_connection_window_size(WINDOW).initial_stream_window_size(u32::from(u16::MAX));
    builder.max_header_list_size(HEAD);
    let limit = lane.room.options.open;
    let (sender, driver) = timeout(limit, builder.handshake(TokioIo::new(stream)))
        .await
        .map_err(|_| fault(format!("no answer to the handshake in {}: {TIMEOUT}", seconds(limit))))?
        .map_err(|error| of_hyper(&error))?;
    let (tell, ended) = watch::channel(());
    let why = Rc::new(RefCell::new(None));
    let said = why.clone();
    tokio::task::spawn_local(attempted("connection to an upstream", async move {
        if let Err(error) = driver.await {
            *said.borrow_mut() = Some(of_hyper(&error));
        }
        drop(tell);
    }));
    Ok(Https { sender, resource: resource(spec).into(), get: spec.get, ended, why })
}

/// The address of the resource that is asked.
fn resource(spec: &UpstreamSpec) -> String {
    let host = match spec.tls.as_ref().and_then(|tls| tls.server_name.as_deref()) {
        Some(name) => name.trim_end_matches('.').to_owned(),
        None if spec.addr.is_ipv6() => format!("[{}]", spec.addr.ip()),
        None => spec.addr.ip().to_string(),
    };
    let path = if spec.path.is_empty() { "/dns-query" } else { &spec.path };
    match spec.addr.port() {
        PORT => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    }
}

/// The request for a query.
fn request(resource: &str, get: bool, query: Vec<u8>) -> Result<Request<Full<Bytes>>, http::Error> {
    let request = Request::builder().header(ACCEPT, MESSAGE);
    if get {
        let mark = if resource.contains('?') { '&' } else { '?' };
        let target = format!("{resource}{mark}dns={}", URL_SAFE_NO_PAD.encode(query));
        return request.method(Method::GET).uri(target).body(Full::default());
    }
    request.method(Method::POST).uri(resource).header(CONTENT_TYPE, MESSAGE).body(Full::new(query.into()))
}

/// Whether a reply may be read: its code, what it calls itself, and how long it says it is.
fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), StreamFault> {
    if status != StatusCode::OK {
        return Err(fault(format!("HTTP status {}", status.as_u16())));
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let called = text(CONTENT_TYPE).unwrap_or("nothing");
    if !called.split(';').next().is_some_and(|called| called.trim().eq_ignore_ascii_case(MESSAGE)) {
        let called: String = called.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(fault(format!("it answers with {called}, not with a DNS message")));
    }
    match text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > 65_535 => Err(too_long()),
        _ => Ok(()),
    }
}

/// What is said of a body that is no message.
fn too_long() -> StreamFault {
    fault(format!("a reply of more than {LONGEST} bytes"))
}

impl Asker for Https {
    async fn ask(&self, query: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        let lost = |error: hyper::Error| {
            let known = self.why.borrow().clone();
            Trouble::Connection(known.unwrap_or_else(|| of_hyper(&error)))
        };
        let request = request(&self.resource, self.get, query)
            .map_err(|error| Trouble::Answer(fault(format!("{}: {error}", self.resource))))?;
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(lost)?;
        let response = sender.send_request(request).await.map_err(lost)?;
        check(response.status(), response.headers()).map_err(Trouble::Answer)?;
        let age = age::of(response.headers());
        match Limited::new(response.into_body(), LONGEST).collect().await {
            Ok(body) => {
                let mut message: Vec<u8> = body.to_bytes().into();
                age::apply(&mut message, age);
                Ok(message)
            }
            Err(error) if error.is::<LengthLimitError>() => Err(Trouble::Answer(too_long())),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(lost(*error)),
                Err(error) => Err(Trouble::Connection(fault(error.to_string()))),
            },
        }
    }

    async fn closed(&self) {
        // Nothing is ever sent: the sender goes when the connection ends.
        let _ = self.ended.clone().changed().await;
    }
}

/// An error of HTTP: what lies under it, where that is the network or TLS.
fn of_hyper(error: &hyper::Error) -> StreamFault {
    let mut under: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = under {
        if let Some(io) = one.downcast_ref::<std::io::Error>() {
            return of_io(io);
        }
        if let Some(tls) = one.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        under = one.source();
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        return fault("connection closed before the reply");
    }
    fault(format!("HTTP/2: {error}"))
}
