//! Servers of a script over TLS, HTTPS and QUIC, whose certificate is for `dns.example`.

use std::convert::Infallible;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::script::{Script, framed};

/// The first byte of a TLS handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// An authority, and the folder with its certificate.
pub(crate) struct Authority {
    /// Who signs.
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The folder.
    folder: TempDir,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut about = CertificateParams::new(Vec::<String>::new()).unwrap();
        about.distinguished_name.push(DnType::CommonName, format!("authority {}", fastrand::u64(..)));
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Where its certificate is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// How a server introduces itself.
    fn config(&self, alpn: &[u8]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let about = CertificateParams::new(vec!["dns.example".to_owned()]).unwrap();
        let certificate = about.signed_by(&key, &self.issuer).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

/// How a server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speaks {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    #[cfg(feature = "quic")]
    Quic,
}

impl Speaks {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::Tls,
        Self::Https,
        #[cfg(feature = "quic")]
        Self::Quic,
    ];

    /// The scheme in a Corefile.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Https => "https",
            #[cfg(feature = "quic")]
            Self::Quic => "quic",
        }
    }
}

/// A server; ends when it is dropped.
pub(crate) struct Server {
    /// Where it is.
    pub(crate) addr: SocketAddr,
    /// Connections that were opened and are what they should be.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections that did not begin with a handshake.
    pub(crate) plain: Arc<AtomicUsize>,
    /// A socket for datagrams on the same port, where that is not the server's own: nothing may come there.
    datagrams: Option<UdpSocket>,
    /// Ends it.
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(speaks: Speaks, authority: &Authority, script: &Arc<Script>) -> Self {
        match speaks {
            Speaks::Tls => Self::over_tcp(authority.config(b"dot"), script.clone(), false),
            Speaks::Https => Self::over_tcp(authority.config(b"h2"), script.clone(), true),
            #[cfg(feature = "quic")]
            Speaks::Quic => quic(authority.config(b"doq"), script.clone()),
        }
    }

    /// Datagrams that came in plain text.
    pub(crate) fn datagrams(&self) -> usize {
        let mut buffer = [0; 1500];
        self.datagrams
            .as_ref()
            .map_or(0, |socket| std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count())
    }

    /// A server over TLS or HTTPS.
    fn over_tcp(config: ServerConfig, script: Arc<Script>, https: bool) -> Self {
        let (listener, datagrams) = loop {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(datagrams) = UdpSocket::bind(listener.local_addr().unwrap()) {
                break (listener, datagrams);
            }
        };
        datagrams.set_nonblocking(true).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let (connections, plain) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (opened, wrong) = (connections.clone(), plain.clone());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stop = on_thread(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (acceptor, script) = (acceptor.clone(), script.clone());
                let (opened, wrong) = (opened.clone(), wrong.clone());
                tokio::task::spawn_local(async move {
                    if !begins_with_a_handshake(&stream).await {
                        wrong.fetch_add(1, Ordering::SeqCst);
                    }
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    opened.fetch_add(1, Ordering::SeqCst);
                    if https { requests(stream, script).await } else { messages(stream, &script).await }
                });
            }
        });
        Self { addr, connections, plain, datagrams: Some(datagrams), _stop: stop }
    }
}

/// Whether what comes first on a connection is a handshake; nothing at all is as good.
async fn begins_with_a_handshake(stream: &TcpStream) -> bool {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) => first == [HANDSHAKE],
        Ok(_) | Err(_) => true,
    }
}

/// Answers messages with their length in front.
async fn messages(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &Script) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        if stream.read_exact(&mut query).await.is_err() {
            return;
        }
        let Some(reply) = script.reply(&query, "tls") else { continue };
        if stream.write_all(&framed(&reply)).await.is_err() {
            return;
        }
    }
}

/// Runs hyper's tasks on the server's thread.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Answers POST requests of one connection.
async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, script: Arc<Script>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let script = script.clone();
        async move {
            assert_eq!(request.uri().path(), "/dns-query");
            let query = request.into_body().collect().await.unwrap().to_bytes();
            let reply = script.reply(&query, "https").unwrap_or_default();
            let builder = Response::builder().header("content-type", "application/dns-message");
            Ok::<_, Infallible>(builder.body(Full::<Bytes>::new(reply.into())).unwrap())
        }
    });
    let builder = hyper::server::conn::http2::Builder::new(Here);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A server over QUIC.
#[cfg(feature = "quic")]
fn quic(config: ServerConfig, script: Arc<Script>) -> Server {
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
    let (connections, plain) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let opened = connections.clone();
    let (place, addr) = std::sync::mpsc::channel();
    let stop = on_thread(async move {
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        place.send(endpoint.local_addr().unwrap()).unwrap();
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            opened.fetch_add(1, Ordering::SeqCst);
            let script = script.clone();
            tokio::task::spawn_local(async move {
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let query = receive.read_to_end(65_537).await.unwrap();
                    let Some(reply) = script.reply(&query[2..], "quic") else { continue };
                    send.write_all(&framed(&reply)).await.unwrap();
                    let _ = send.finish();
                }
            });
        }
    });
    Server { addr: addr.recv().unwrap(), connections, plain, datagrams: None, _stop: stop }
}

/// Runs a server's loop on a thread until what is returned is dropped.
fn on_thread(work: impl Future<Output = ()> + Send + 'static) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async move {
            tokio::select! {
                () = work => {}
                _ = stopped => {}
            }
        });
    });
    stop
}
