//! DNS over HTTPS: both methods, what is no answer, bounds.

use std::convert::Infallible;
use std::sync::mpsc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsAcceptor;

use super::encrypted::{Authority, config};
use super::*;

/// Runs hyper's tasks on the server's thread.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// What a server was asked.
#[derive(Debug)]
struct Seen {
    method: Method,
    target: String,
    /// `content-type` and `accept`.
    headers: [Option<String>; 2],
    /// The query, however it came.
    query: Vec<u8>,
}

/// What came of a request.
type Made = Response<Full<Bytes>>;

/// A good response.
fn good(query: &[u8]) -> Made {
    let builder = Response::builder().header("content-type", "application/dns-message");
    builder.body(Full::new(reply(query).into())).unwrap()
}

/// Reads a request.
async fn read(request: Request<Incoming>) -> Seen {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let headers = [header("content-type"), header("accept")];
    let (method, target) = (request.method().clone(), request.uri().to_string());
    let encoded = request.uri().query().and_then(|text| text.split("dns=").nth(1));
    let query = match encoded {
        Some(encoded) => URL_SAFE_NO_PAD.decode(encoded).unwrap(),
        None => request.into_body().collect().await.unwrap().to_bytes().to_vec(),
    };
    Seen { method, target, headers, query }
}

/// A server that makes of each request what `make` says, and tells of it.
fn serve(
    authority: &Authority,
    alpn: &[u8],
    make: fn(&Seen, usize) -> Made,
) -> (Server, mpsc::Receiver<Seen>) {
    let pair = authority.issue(&["dns.example"]);
    let acceptor = TlsAcceptor::from(Arc::new(config(&pair, alpn, rustls::ALL_VERSIONS, None)));
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |stream, number| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let tell = tell.clone();
                async move {
                    let seen = read(request).await;
                    let made = make(&seen, number);
                    let _ = tell.send(seen);
                    Ok::<_, Infallible>(made)
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(Here)
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        }
    });
    (server, told)
}

/// An upstream over HTTPS.
fn doh(authority: &Authority, server: &Server, get: bool) -> UpstreamSpec {
    UpstreamSpec {
        tls: Some(authority.spec(Some("dns.example"))),
        path: "/resolve".to_owned(),
        get,
        ..spec(Protocol::Https, server.addr)
    }
}

#[test]
fn queries_are_posted_with_id_zero_and_share_a_connection() {
    let authority = Authority::new();
    let (server, told) = serve(&authority, b"h2", |seen, _| good(&seen.query));
    let mut rig = Rig::usual(doh(&authority, &server, false));
    for id in [7, 7, 300] {
        let asked = query(id, "first");
        assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
        let seen = told.recv().unwrap();
        assert_eq!(seen.method, Method::POST);
        assert_eq!(seen.target, format!("https://dns.example:{}/resolve", server.addr.port()));
        assert_eq!(
            seen.headers,
            ["application/dns-message", "application/dns-message"].map(|t| Some(t.to_owned()))
        );
        assert_eq!(seen.query, query(0, "first"));
    }
    for _ in 0..50 {
        rig.ask(query(7, "one of many"));
    }
    assert!(rig.wait(50).values().all(Result::is_ok));
    assert_eq!(rig.counts(), (1, 52));
}

#[test]
fn queries_are_got_where_the_corefile_says_so() {
    let authority = Authority::new();
    let (server, told) = serve(&authority, b"h2", |seen, _| good(&seen.query));
    let mut rig = Rig::usual(doh(&authority, &server, true));
    let asked = query(7, "first?>~");
    assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    let seen = told.recv().unwrap();
    assert_eq!((seen.method, seen.query), (Method::GET, query(0, "first?>~")));
    let (before, encoded) = seen.target.split_once("?dns=").unwrap();
    assert_eq!(before, format!("https://dns.example:{}/resolve", server.addr.port()));
    assert!(encoded.contains(['-', '_']) && !encoded.contains(['+', '/', '=']), "{encoded}");
}

/// What is said of a server that does this.
fn said_of(make: fn(&Seen, usize) -> Made) -> String {
    let authority = Authority::new();
    let (server, _told) = serve(&authority, b"h2", make);
    let mut rig = Rig::usual(doh(&authority, &server, false));
    let said = rig.exchange(query(1, "first")).unwrap_err();
    // It is an answer: the connection is as good as before.
    assert_eq!(rig.exchange(query(1, "second")), Err(said.clone()));
    assert_eq!(server.connections(), 1);
    said
}

#[test]
fn what_is_no_answer_is_a_fault() {
    let said = said_of(|_, _| {
        let builder = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
        builder.body(Full::default()).unwrap()
    });
    assert_eq!(said, "HTTP status 503");
    let said = said_of(|_, _| {
        let builder = Response::builder().header("content-type", "text/html; charset=utf-8");
        builder.body(Full::new("<html>".into())).unwrap()
    });
    assert_eq!(said, "it answers with text/html; charset=utf-8, not with a DNS message");
}

#[test]
fn bodies_longer_than_a_message_are_not_collected() {
    let said = said_of(|_, _| {
        let builder = Response::builder().header("content-type", "application/dns-message");
        builder.body(Full::new(vec![0; 65_536].into())).unwrap()
    });
    assert_eq!(said, "a reply of more than 65535 bytes");
}

#[test]
fn endless_bodies_without_a_length_are_cut_off() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    let acceptor = TlsAcceptor::from(Arc::new(config(&pair, b"h2", rustls::ALL_VERSIONS, None)));
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|_| async {
                let builder = Response::builder().header("content-type", "application/dns-message");
                Ok::<_, Infallible>(builder.body(Endless).unwrap())
            });
            let _ = hyper::server::conn::http2::Builder::new(Here)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    let mut rig = Rig::usual(doh(&authority, &server, false));
    assert_eq!(rig.exchange(query(1, "first")), Err("a reply of more than 65535 bytes".to_owned()));
}

/// A body without an end.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(&[0; 4096])))))
    }
}

#[test]
fn who_speaks_no_http2_is_left() {
    let authority = Authority::new();
    let (server, _told) = serve(&authority, b"http/1.1", |seen, _| good(&seen.query));
    let mut rig = Rig::usual(doh(&authority, &server, false));
    let why = "it does not speak this protocol (ALPN)";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn a_connection_that_ended_is_replaced() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    let acceptor = TlsAcceptor::from(Arc::new(config(&pair, b"h2", rustls::ALL_VERSIONS, None)));
    let server = Server::start(move |stream, number| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let served = Arc::new(AtomicUsize::new(0));
            let (dead, die) = tokio::sync::mpsc::channel::<()>(1);
            let service = service_fn(move |request| {
                let (served, dead) = (served.clone(), dead.clone());
                async move {
                    let seen = read(request).await;
                    if number == 1 && served.fetch_add(1, Ordering::SeqCst) == 1 {
                        dead.send(()).await.unwrap();
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(good(&seen.query))
                }
            });
            let mut die = die;
            let serving = hyper::server::conn::http2::Builder::new(Here)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = serving => {}
                Some(()) = die.recv() => {}
            }
        }
    });
    let mut rig = Rig::usual(doh(&authority, &server, false));
    for text in ["first", "second", "third"] {
        let asked = query(9, text);
        assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    }
    assert_eq!(server.connections(), 2);
}
