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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
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
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, app: Router) {
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
    // Many requests on one connection must not keep a probe on another one waiting.
    tokio::task::yield_now().await;
    attempted("http", app.oneshot(request)).await.unwrap_or_else(|| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok(failed)
    })
}

#[cfg(test)]
mod tests {
    //! Connections in memory on paused time; the list of those that are open.

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// What a connection says that sends these pieces, a second between them, and then waits; how long it was served.
    fn said(pieces: &[&str]) -> (String, Duration) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (ours, theirs): (DuplexStream, DuplexStream) = duplex(1 << 20);
            let panics = || -> std::future::Ready<&'static str> { panic!("as the test wants") };
            let app = Router::new().route("/health", get(|| async { "OK" })).route("/panic", get(panics));
            let peer = SocketAddr::from(([127, 0, 0, 1], 4711));
            let talk = tokio::spawn(async move {
                let start = Instant::now();
                talk(theirs, peer, app).await;
                start.elapsed()
            });
            let (mut read, mut write) = tokio::io::split(ours);
            for piece in pieces {
                // It may have been closed by now.
                let _ = write.write_all(piece.as_bytes()).await;
                sleep(Duration::from_secs(1)).await;
            }
            let mut text = String::new();
            read.read_to_string(&mut text).await.unwrap();
            (text, talk.await.unwrap())
        })
    }

    /// A request for `/health`.
    const REQUEST: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn s51_a_head_that_does_not_come_and_an_idle_connection_end_soon() {
        assert_eq!(said(&[]), (String::new(), HEAD_TIME));
        let (text, lasted) = said(&["GET /hea", "l", "t", "h", " ", "H", "T", "T", "P"]);
        assert!(!text.contains("200") && lasted <= HEAD_TIME, "dripping extends nothing: {lasted:?} {text}");
        let (text, lasted) = said(&[REQUEST, REQUEST]);
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
        assert!(lasted <= HEAD_TIME + Duration::from_secs(2), "{lasted:?}");
    }

    #[test]
    fn s51_heads_are_bounded_in_bytes_and_in_lines() {
        let long = format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(2 * HEAD));
        let many = format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(2 * HEADERS));
        for head in [long, many] {
            let (text, lasted) = said(&[&head]);
            assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
            assert!(lasted < HEAD_TIME);
        }
        let (text, _) = said(&["\x16\x03\x01 no HTTP at all\r\n\r\n"]);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    }

    #[test]
    fn s51_only_get_and_head_are_answered_and_bodies_are_not_collected() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
            let head =
                format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbody");
            let (text, lasted) = said(&[&head]);
            let status = text.split(' ').nth(1).unwrap_or_default();
            assert!(["405", "404", "400"].contains(&status), "{method}: {text}");
            assert!(lasted <= 2 * HEAD_TIME, "{method}: {lasted:?}");
        }
        let (text, _) = said(&["HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]);
        assert!(text.starts_with("HTTP/1.1 200 OK") && !text.ends_with("OK"), "{text}");
        let (text, _) = said(&["GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]);
        assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
    }

    #[test]
    fn p11_an_answer_that_panics_is_500_and_the_connection_goes_on() {
        let panics = "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n";
        let (text, _) = said(&[panics, REQUEST]);
        assert!(text.starts_with("HTTP/1.1 500 ") && text.contains("HTTP/1.1 200 OK"), "{text}");
        assert!(crate::panics::counted().iter().any(|(task, count)| *task == "http" && *count > 0));
    }

    #[test]
    fn s51_the_oldest_connection_of_who_has_most_makes_room() {
        let client = |number: u8| IpAddr::from([10, 0, 0, number]);
        let mut guests = Guests::default();
        let mut told: Vec<_> = (0..2).map(|_| guests.admit(client(2))).collect();
        told.extend((2..MOST).map(|_| guests.admit(client(1))));
        assert!(told.iter().all(|(_, _, cut)| !cut));
        let (number, mut own, cut) = guests.admit(client(3));
        assert!(cut && own.try_recv().is_err());
        assert_eq!((guests.open.len(), number), (MOST, u64::try_from(MOST).unwrap()));
        let ended: Vec<u64> =
            told.iter_mut().filter_map(|(number, told, _)| told.try_recv().ok().map(|()| *number)).collect();
        assert_eq!(ended, [2], "the first of client 1");
        // One that has ended leaves a place.
        guests.open.remove(&number);
        assert!(!guests.admit(client(1)).2);
    }
}
