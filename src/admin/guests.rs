//! Connections of an HTTP endpoint: few, short, and none that stays keeps another one out (rule S-51).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::Exposition;
use crate::panics::attempted;

/// The most connections of an endpoint. Probes and scrapes are over within milliseconds.
const MOST: usize = 64;

/// How long the head of a request may take, and a connection be idle.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a connection may last in all: a reply that is not read by then is given up.
const LIFE: Duration = Duration::from_secs(60);

/// The longest head of a request. Unit: bytes.
const HEAD: usize = 16 * 1024;

/// The most headers of a request.
const HEADERS: usize = 64;

/// How long a listener rests after the process ran out of descriptors.
const REST: Duration = Duration::from_millis(100);

/// What is counted of connections.
#[derive(Default, Debug)]
pub struct HttpCounts {
    /// Connections that were cut so that another one could be served.
    cut: AtomicU64,
}

impl HttpCounts {
    /// Writes the family.
    pub fn write(&self, text: &mut Exposition) {
        let name = "signpost_http_connections_cut_total";
        text.family(name, "counter", "Connections to HTTP endpoints that were cut to make room for others.");
        text.value(name, &[], self.cut.load(Ordering::Relaxed));
    }
}

/// A connection that is open.
struct Guest {
    /// Whose it is.
    client: IpAddr,
    /// Cuts it; dropped with it.
    cut: oneshot::Sender<()>,
}

/// The connections of an endpoint, by the order in which they came.
#[derive(Default)]
struct Guests {
    /// Those that are open.
    open: BTreeMap<u64, Guest>,
    /// The number of the next one.
    next: u64,
}

impl Guests {
    /// Takes a connection in; its number, what tells it to end, and whether another one was cut for it: the oldest of the
    /// client that has most.
    fn admit(&mut self, client: IpAddr) -> (u64, oneshot::Receiver<()>, bool) {
        let full = self.open.len() >= MOST;
        if full {
            let mut held: HashMap<IpAddr, usize> = HashMap::new();
            for guest in self.open.values() {
                *held.entry(guest.client).or_default() += 1;
            }
            let of_client = |guest: &Guest| held.get(&guest.client).copied().unwrap_or(0);
            let most = self.open.values().map(of_client).max().unwrap_or(0);
            let oldest =
                self.open.iter().find(|(_, guest)| of_client(guest) == most).map(|(number, _)| *number);
            if let Some(guest) = oldest.and_then(|number| self.open.remove(&number)) {
                // Had it ended in this moment, it is gone as well.
                let _ = guest.cut.send(());
            }
        }
        let (cut, told) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Guest { client, cut });
        (number, told, full)
    }
}

/// Serves connections for ever.
pub(super) async fn serve(listener: Arc<TcpListener>, app: Router, counts: Arc<HttpCounts>) {
    let guests: Arc<Mutex<Guests>> = Arc::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (number, told, full) = guests.lock().admit(peer.ip().to_canonical());
                if full {
                    counts.cut.fetch_add(1, Ordering::Relaxed);
                }
                let (guests, app) = (guests.clone(), app.clone());
                tokio::spawn(attempted("http", async move {
                    let _leave = Leave { guests, number };
                    tokio::select! {
                        _ = timeout(LIFE, talk(stream, peer, app)) => {}
                        _ = told => {}
                    }
                }));
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors or memory: the listener rests instead of spinning.
                tracing::warn!(%error, "taking a connection of HTTP failed; the listener rests for {REST:?}");
                sleep(REST).await;
            }
        }
    }
}

/// Sees to it that a connection leaves the list, whatever ends it.
struct Leave {
    /// The list.
    guests: Arc<Mutex<Guests>>,
    /// Its number.
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.guests.lock().open.remove(&self.number);
    }
}

/// Answers the requests of one connection.
async fn talk(stream: TcpStream, peer: SocketAddr, app: Router) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(request.map(Body::new), peer, app.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_buf_size(HEAD);
    // Who breaks the rules of HTTP was told so, and is of no interest to the log.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers one request; one that panics is 500.
async fn answer(
    mut request: Request<Body>,
    peer: SocketAddr,
    app: Router,
) -> Result<Response<Body>, std::convert::Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    attempted("http", app.oneshot(request)).await.unwrap_or_else(|| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok(failed)
    })
}
