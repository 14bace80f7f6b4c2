//! A client of encrypted transports, over libraries that know nothing of the server: a message goes in, a message comes out.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use signpost::app::Running;
use signpost::corefile::Transport as Scheme;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a client waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The name that our certificates carry.
pub(crate) const NAME: &str = "dns.test";

/// The keys of a block that is served over every encrypted transport of this build.
pub(crate) const KEYS: &str = if cfg!(feature = "https3") {
    "tls://.:0 https://.:0 quic://.:0 https3://.:0"
} else if cfg!(feature = "quic") {
    "tls://.:0 https://.:0 quic://.:0"
} else {
    "tls://.:0 https://.:0"
};

/// A way to ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Over {
    /// TLS 1.3.
    Tls,
    /// TLS 1.2.
    Tls12,
    /// HTTP/1.1, GET.
    Get1,
    /// HTTP/1.1, POST.
    Post1,
    /// HTTP/2, GET.
    Get2,
    /// HTTP/2, POST.
    Post2,
    /// QUIC.
    Quic,
    /// HTTP/3, GET.
    Get3,
    /// HTTP/3, POST.
    Post3,
}

impl Over {
    /// All of this build.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Tls, Self::Tls12, Self::Get1, Self::Post1, Self::Get2, Self::Post2];
        if cfg!(feature = "quic") {
            all.push(Self::Quic);
        }
        if cfg!(feature = "https3") {
            all.extend([Self::Get3, Self::Post3]);
        }
        all
    }

    /// The scheme of its keys.
    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Self::Tls | Self::Tls12 => Scheme::Tls,
            Self::Get1 | Self::Post1 | Self::Get2 | Self::Post2 => Scheme::Https,
            Self::Quic => Scheme::Quic,
            Self::Get3 | Self::Post3 => Scheme::Https3,
        }
    }

    /// What is spoken inside, by its name in the handshake.
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Tls | Self::Tls12 => b"dot",
            Self::Get1 | Self::Post1 => b"http/1.1",
            Self::Get2 | Self::Post2 => b"h2",
            Self::Quic => b"doq",
            Self::Get3 | Self::Post3 => b"h3",
        }
    }

    /// Whether it asks by GET.
    fn gets(self) -> bool {
        matches!(self, Self::Get1 | Self::Get2 | Self::Get3)
    }
}

/// A certificate for `NAME` and 127.0.0.1, signed by itself, in files.
pub(crate) struct Certificate {
    /// The folder of `cert.pem` and `key.pem`.
    pub(crate) folder: tempfile::TempDir,
    /// It.
    pub(crate) der: CertificateDer<'static>,
}

/// A fresh certificate and its key, as PEM.
pub(crate) fn issue() -> (rcgen::Certificate, String) {
    let params = CertificateParams::new(vec![NAME.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap(), key.serialize_pem())
}

impl Certificate {
    /// A new one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = issue();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        Self { folder, der: certificate.der().clone() }
    }

    /// The line of the Corefile.
    pub(crate) fn line(&self) -> String {
        let path = self.folder.path().display();
        format!("tls {path}/cert.pem {path}/key.pem")
    }

    /// What a client that trusts it begins with.
    pub(crate) fn config(
        &self,
        alpn: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

/// A connection.
enum Line {
    /// TLS with length-prefixed messages.
    Stream(Box<TlsStream<TcpStream>>),
    /// HTTP/1.1.
    One(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    /// HTTP/2.
    Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
    /// QUIC.
    #[cfg(feature = "quic")]
    Quic(quinn::Connection),
    /// HTTP/3.
    #[cfg(feature = "https3")]
    Three(h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>),
}

/// A client over one transport; it connects when it must.
pub(crate) struct Asker {
    /// How it asks.
    pub(crate) over: Over,
    /// Whom.
    pub(crate) to: SocketAddr,
    /// What it trusts.
    config: ClientConfig,
    /// Where it runs.
    runtime: Runtime,
    /// The connection.
    line: Option<Line>,
    /// How often it connected.
    pub(crate) connects: usize,
    /// What holds a connection over QUIC.
    #[cfg(feature = "quic")]
    endpoint: Option<quinn::Endpoint>,
}

/// A response over HTTP.
pub(crate) type Answer = Response<Bytes>;

impl Asker {
    /// A client that trusts a certificate.
    pub(crate) fn new(over: Over, running: &Running, certificate: &Certificate) -> Self {
        let to = running.addresses_of(over.scheme());
        let to = *to.iter().find(|addr| addr.is_ipv4()).unwrap_or_else(|| panic!("{over:?} is served"));
        Self::to(over, to, certificate)
    }

    /// A client of an address.
    pub(crate) fn to(over: Over, to: SocketAddr, certificate: &Certificate) -> Self {
        let versions = match over {
            Over::Tls12 => &[&rustls::version::TLS12][..],
            _ => &[&rustls::version::TLS13][..],
        };
        let config = certificate.config(&[over.alpn()], versions);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            over,
            to,
            config,
            runtime,
            line: None,
            connects: 0,
            #[cfg(feature = "quic")]
            endpoint: None,
        }
    }

    /// Connects; the error is what the handshake ended with.
    pub(crate) fn connect(&mut self) -> Result<(), String> {
        let (over, to) = (self.over, self.to);
        let config = Arc::new(self.config.clone());
        let line = self.runtime.block_on(async {
            let open = async {
                match over {
                    Over::Quic | Over::Get3 | Over::Post3 => {
                        #[cfg(feature = "quic")]
                        return connect_quic(over, to, config, &mut self.endpoint).await;
                        #[cfg(not(feature = "quic"))]
                        return Err("not built".to_owned());
                    }
                    _ => connect_tcp(over, to, config).await,
                }
            };
            tokio::time::timeout(PATIENCE, open).await.map_err(|_| "no time left".to_owned())?
        })?;
        self.line = Some(line);
        self.connects += 1;
        Ok(())
    }

    /// Hangs up.
    pub(crate) fn hang_up(&mut self) {
        self.line = None;
    }

    /// Asks a message; `None` where the server gives none back: another status, or the end of the stream or connection.
    pub(crate) fn ask(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        match self.over {
            Over::Tls | Over::Tls12 => self.ask_stream(message),
            Over::Quic => self.ask_quic(message),
            _ => {
                let answer = self.ask_http(message);
                (answer.status() == 200).then(|| answer.into_body().to_vec())
            }
        }
    }

    /// Asks over HTTP.
    pub(crate) fn ask_http(&mut self, message: &[u8]) -> Answer {
        if self.over.gets() {
            let path = format!("/dns-query?dns={}", URL_SAFE_NO_PAD.encode(message));
            return self.request(Method::GET, &path, &[], Bytes::new());
        }
        let headers = [("content-type", "application/dns-message")];
        self.request(Method::POST, "/dns-query", &headers, Bytes::copy_from_slice(message))
    }

    /// Any request; a connection that the server closed is opened anew, once.
    pub(crate) fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        for attempt in 0..2 {
            if self.line.is_none() {
                self.connect().unwrap_or_else(|why| panic!("{:?}: {why}", self.over));
            }
            let uri = format!("https://{NAME}:{}{path}", self.to.port());
            let uri = if matches!(self.over, Over::Get1 | Over::Post1) { path.to_owned() } else { uri };
            let mut request = Request::builder().method(method.clone()).uri(uri);
            if matches!(self.over, Over::Get1 | Over::Post1) {
                request = request.header("host", NAME);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let line = self.line.as_mut().unwrap();
            let body = body.clone();
            let sent = self.runtime.block_on(async {
                tokio::time::timeout(PATIENCE, send(line, request, body)).await.expect("an answer in time")
            });
            match sent {
                Ok(answer) => return answer,
                Err(why) => {
                    self.line = None;
                    assert!(attempt == 0, "{:?} {path:.80}: {why}", self.over);
                }
            }
        }
        unreachable!("the second attempt returns or panics")
    }

    /// Asks over TLS. Silence is told by a question behind it, or by the end of the connection; one that was used before is
    /// given up first.
    fn ask_stream(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let used = self.line.is_some();
        let reply = self.try_stream(message);
        if reply.is_none() && used && self.line.is_none() { self.try_stream(message) } else { reply }
    }

    /// Asks once.
    fn try_stream(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        // A question that always gets a reply: for the root's NS, with an id that is not the message's.
        let [high, low] = message.first_chunk().map_or([0; 2], |id: &[u8; 2]| [!id[0], id[1]]);
        let mark = [high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        let mut framed = Vec::new();
        for part in [message, &mark] {
            framed.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
            framed.extend_from_slice(part);
        }
        if self.line.is_none() {
            self.connect().unwrap_or_else(|why| panic!("{:?}: {why}", self.over));
        }
        let Some(Line::Stream(stream)) = &mut self.line else { unreachable!("TLS") };
        let replies = self.runtime.block_on(async {
            let exchange = async {
                stream.write_all(&framed).await.ok()?;
                let mut replies = Vec::new();
                loop {
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).await.ok()?;
                    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut reply).await.ok()?;
                    let last = reply.get(..2) == Some(&mark[..2]);
                    replies.push(reply);
                    if last || replies.len() > 2 {
                        return Some(replies);
                    }
                }
            };
            tokio::time::timeout(PATIENCE, exchange).await.expect("replies in time")
        });
        let Some(mut replies) = replies else {
            self.line = None;
            return None;
        };
        replies.pop();
        // The reply may come behind that of the question behind it.
        if replies.is_empty() && message.len() >= 12 && message[2] & 0x80 == 0 {
            let Some(Line::Stream(stream)) = &mut self.line else { unreachable!("TLS") };
            let late = self.runtime.block_on(async {
                let read = async {
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).await.ok()?;
                    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut reply).await.ok()?;
                    Some(reply)
                };
                tokio::time::timeout(PATIENCE, read).await.expect("a reply in time")
            });
            return late;
        }
        assert!(replies.len() <= 1, "one reply to one message");
        replies.pop()
    }

    /// Asks over QUIC, where ids are 0; the id comes back in the reply.
    fn ask_quic(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut zeroed = message.to_vec();
        zeroed.iter_mut().take(2).for_each(|byte| *byte = 0);
        let mut framed = u16::try_from(zeroed.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(&zeroed);
        let used = self.line.is_some();
        let mut reply = match self.stream(&framed) {
            Ok(reply) => reply,
            Err(_) if used => {
                self.line = None;
                self.stream(&framed).ok()?
            }
            Err(_) => return None,
        };
        assert_eq!(reply.get(..2), Some(&[0, 0][..]), "the id is 0");
        for (to, from) in reply.iter_mut().zip(message.iter().take(2)) {
            *to = *from;
        }
        Some(reply)
    }

    /// Sends bytes on a stream of QUIC; the message that comes back, or why none does.
    #[cfg(feature = "quic")]
    pub(crate) fn stream(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        if let Some(Line::Quic(connection)) = &self.line
            && connection.close_reason().is_some()
        {
            self.line = None;
        }
        if self.line.is_none() {
            self.connect()?;
        }
        let Some(Line::Quic(connection)) = &self.line else { unreachable!("QUIC") };
        let connection = connection.clone();
        let result = self.runtime.block_on(async {
            let exchange = async {
                let (mut send, mut receive) = connection.open_bi().await.map_err(|e| format!("{e:?}"))?;
                // A stream that was stopped says why on its other half.
                let _ = send.write_all(bytes).await;
                let _ = send.finish();
                let reply = receive.read_to_end(70_000).await.map_err(|e| format!("{e:?}"))?;
                let Some((length, message)) = reply.split_first_chunk::<2>() else {
                    return Err("an empty stream".to_owned());
                };
                assert_eq!(usize::from(u16::from_be_bytes(*length)), message.len(), "the length is right");
                Ok(message.to_vec())
            };
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "no time left".to_owned())?
        });
        if result.is_err() {
            // Whether the connection was closed as well is seen once its packets were read.
            self.runtime.block_on(async {
                let _ = tokio::time::timeout(Duration::from_millis(20), connection.closed()).await;
            });
        }
        result
    }

    /// As above, in a build without QUIC.
    #[cfg(not(feature = "quic"))]
    pub(crate) fn stream(&mut self, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("not built".to_owned())
    }

    /// Why a connection of QUIC was closed, if it was.
    #[cfg(feature = "quic")]
    pub(crate) fn closed(&self) -> Option<String> {
        let Some(Line::Quic(connection)) = &self.line else { return None };
        connection.close_reason().map(|reason| format!("{reason:?}"))
    }

    /// Whether the server ends the connection over QUIC while nothing is asked.
    #[cfg(feature = "quic")]
    pub(crate) fn is_ended(&self) -> bool {
        let Some(Line::Quic(connection)) = &self.line else { return false };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, connection.closed()).await.is_ok() })
    }
}

/// Connects over TCP and TLS.
async fn connect_tcp(over: Over, to: SocketAddr, config: Arc<ClientConfig>) -> Result<Line, String> {
    let tcp = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| error.to_string())?;
    let io = |tls| TokioIo::new(tls);
    match over {
        Over::Get1 | Over::Post1 => {
            let (sender, driver) =
                hyper::client::conn::http1::handshake(io(tls)).await.map_err(|error| error.to_string())?;
            tokio::spawn(driver);
            Ok(Line::One(sender))
        }
        Over::Get2 | Over::Post2 => {
            let (sender, driver) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io(tls))
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(driver);
            Ok(Line::Two(sender))
        }
        _ => Ok(Line::Stream(Box::new(tls))),
    }
}

/// Connects over QUIC.
#[cfg(feature = "quic")]
async fn connect_quic(
    over: Over,
    to: SocketAddr,
    config: Arc<ClientConfig>,
    kept: &mut Option<quinn::Endpoint>,
) -> Result<Line, String> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let connecting = endpoint.connect_with(quinn::ClientConfig::new(Arc::new(crypto)), to, NAME).unwrap();
    *kept = Some(endpoint);
    let connection = connecting.await.map_err(|error| format!("{error:?}"))?;
    if over == Over::Quic {
        return Ok(Line::Quic(connection));
    }
    #[cfg(feature = "https3")]
    {
        let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
        Ok(Line::Three(sender))
    }
    #[cfg(not(feature = "https3"))]
    Err("not built".to_owned())
}

/// Sends a request and reads its response.
async fn send(line: &mut Line, request: http::request::Builder, body: Bytes) -> Result<Answer, String> {
    let text = |error: hyper::Error| format!("{error:?}");
    match line {
        Line::One(sender) => {
            sender.ready().await.map_err(text)?;
            collect(sender.send_request(request.body(Full::new(body)).unwrap()).await.map_err(text)?).await
        }
        Line::Two(sender) => {
            sender.ready().await.map_err(text)?;
            collect(sender.send_request(request.body(Full::new(body)).unwrap()).await.map_err(text)?).await
        }
        #[cfg(feature = "https3")]
        Line::Three(sender) => {
            use bytes::Buf as _;
            let mut stream =
                sender.send_request(request.body(()).unwrap()).await.map_err(|error| error.to_string())?;
            if !body.is_empty() {
                // The server may have answered without reading it.
                let _ = stream.send_data(body).await;
            }
            let _ = stream.finish().await;
            let response = stream.recv_response().await.map_err(|error| error.to_string())?;
            let mut whole = Vec::new();
            while let Some(mut part) = stream.recv_data().await.map_err(|error| error.to_string())? {
                whole.extend_from_slice(&part.copy_to_bytes(part.remaining()));
            }
            Ok(response.map(|()| Bytes::from(whole)))
        }
        Line::Stream(_) => unreachable!("no HTTP"),
        #[cfg(feature = "quic")]
        Line::Quic(_) => unreachable!("no HTTP"),
    }
}

/// A whole response.
async fn collect(response: Response<hyper::body::Incoming>) -> Result<Answer, String> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

#[cfg(feature = "quic")]
impl Asker {
    /// Connects over QUIC and, whatever that is, says nothing of its own; writes this on a stream and then zeros, `most` bytes of them.
    /// Says how many the server took before it would have no more.
    pub(crate) fn pour(&mut self, head: &[u8], most: usize, one_way: bool) -> usize {
        let config = Arc::new(self.config.clone());
        self.runtime.block_on(async {
            let line = connect_quic(Over::Quic, self.to, config, &mut self.endpoint).await.unwrap();
            let Line::Quic(connection) = line else { panic!("it is") };
            let (mut send, _receive) = match one_way {
                true => (connection.open_uni().await.unwrap(), None),
                false => connection.open_bi().await.map(|(send, receive)| (send, Some(receive))).unwrap(),
            };
            let mut taken = 0;
            let pour = async {
                send.write_all(head).await?;
                while taken < most {
                    taken += send.write(&[0; 4096]).await?;
                }
                Ok::<_, quinn::WriteError>(())
            };
            // An end of it is as good as an error.
            let _ = tokio::time::timeout(PATIENCE, pour).await;
            taken
        })
    }

    /// Opens as many streams of QUIC as it is granted, at most `most`, writes the same to each and leaves them open; says how
    /// many there were.
    pub(crate) fn open_streams(&mut self, bytes: &[u8], most: usize) -> usize {
        let Some(Line::Quic(connection)) = &self.line else { panic!("connect first") };
        let connection = connection.clone();
        self.runtime.block_on(async {
            let mut kept = Vec::new();
            while kept.len() < most {
                let opening = tokio::time::timeout(Duration::from_millis(500), connection.open_bi());
                let Ok(Ok((mut send, receive))) = opening.await else { break };
                // One that the server wants no more of is given up.
                if send.write_all(bytes).await.is_err() {
                    break;
                }
                kept.push((send, receive));
            }
            let count = kept.len();
            // Reset when dropped, so that the server sees that they are given up.
            drop(kept);
            count
        })
    }
}
