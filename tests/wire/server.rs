//! A server in this process, and the prober: a message over every address and transport, then the three invariants.
#![allow(dead_code, reason = "each test target uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use signpost::app::{Running, ServeOptions, serve};

use crate::encrypted::{Asker, Certificate, KEYS, Over};
use crate::logs;
use crate::message::{Message, Reply, TXT, name};

/// How long a reply may take before a test gives up. Nothing is measured with it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The size of every UDP reply to a client that told none.
const PLAIN: usize = 512;

/// The largest UDP reply at all.
const LARGEST: usize = 1232;

/// A transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// Something encrypted.
    Encrypted(Over),
}

/// What came back, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing, or on a stream the end of the connection.
    Silence,
    /// NOERROR with answers.
    Data,
    /// NOERROR without answers, one SOA beside it.
    Nodata,
    /// NOERROR and nothing else.
    Empty,
    /// Another response code.
    Code(u16),
}

/// One probe on one way, with what came back.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The transport.
    pub(crate) via: Via,
    /// The address asked.
    pub(crate) server: SocketAddr,
    /// The reply, if any.
    pub(crate) reply: Option<Reply>,
}

impl Exchange {
    /// The verdict.
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(reply) = &self.reply else { return Verdict::Silence };
        match (reply.rcode(), reply.answers.len(), reply.authority.len()) {
            (0, 0, 1) if reply.authority[0].rtype == crate::message::SOA => Verdict::Nodata,
            (0, 0, 0) => Verdict::Empty,
            (0, 0, _) => panic!("an odd authority section: {reply:?}"),
            (0, ..) => Verdict::Data,
            (code, ..) => Verdict::Code(code),
        }
    }
}

/// What came back on every way.
#[derive(Debug)]
pub(crate) struct Outcome(pub(crate) Vec<Exchange>);

impl Outcome {
    /// Demands that every way gave the same verdict, one of the accept set.
    pub(crate) fn accept(self, set: &[Verdict]) -> Self {
        let first = self.0.first().expect("something was asked").verdict();
        for exchange in &self.0 {
            let verdict = exchange.verdict();
            assert!(set.contains(&verdict), "{verdict:?} is not in {set:?}: {exchange:?}");
            assert_eq!(verdict, first, "one verdict on every transport: {exchange:?}");
        }
        self
    }

    /// Demands one of the accept set on every way, not the same on all.
    pub(crate) fn accept_each(self, set: &[Verdict]) -> Self {
        for exchange in &self.0 {
            let verdict = exchange.verdict();
            assert!(set.contains(&verdict), "{verdict:?} is not in {set:?}: {exchange:?}");
        }
        self
    }

    /// Looks at every reply.
    pub(crate) fn each(self, look: impl Fn(&Reply)) -> Self {
        self.0.iter().filter_map(|exchange| exchange.reply.as_ref()).for_each(look);
        self
    }

    /// Looks at every reply that came over one transport.
    pub(crate) fn each_via(self, via: Via, look: impl Fn(&Reply)) -> Self {
        self.0
            .iter()
            .filter(|exchange| exchange.via == via)
            .filter_map(|exchange| exchange.reply.as_ref())
            .for_each(look);
        self
    }
}

/// A running server with what it reads.
pub(crate) struct Server {
    /// The server; taken when it is stopped.
    running: Option<Running>,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Its manifests, where they are of this test.
    pub(crate) folder: Option<tempfile::TempDir>,
    /// Clients over each encrypted transport, where it is served over them.
    askers: Mutex<Vec<Asker>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// A Corefile over the manifests in `folder`.
pub(crate) fn corefile(folder: &Path, more: &str) -> String {
    format!(
        ". {{\n bind 127.0.0.1 ::1\n errors\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n \
         manifests {}\n pods insecure\n {more}\n }}\n}}\n",
        folder.display()
    )
}

/// The folder of the demo.
pub(crate) fn demo_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")
}

/// The demo's server, shared by the tests that only ask.
static DEMO: OnceLock<Arc<Server>> = OnceLock::new();
/// The server with large answers, shared likewise.
static LARGE: OnceLock<Arc<Server>> = OnceLock::new();

/// The running one, or a new one.
fn shared(place: &OnceLock<Arc<Server>>, start: impl FnOnce() -> Server) -> Arc<Server> {
    place.get_or_init(|| Arc::new(start())).clone()
}

/// The longest message that is asked by GET, whose place is the head of a request.
const GET: usize = 8_000;

/// The same Corefile, served over every encrypted transport too.
fn everywhere(text: &str, certificate: &Certificate) -> String {
    text.replacen(". {", &format!(". {KEYS} {{\n {}", certificate.line()), 1)
}

impl Server {
    /// The demo's server, over every transport.
    pub(crate) fn demo() -> Arc<Self> {
        shared(&DEMO, || Self::start_everywhere(&demo_folder(), None))
    }

    /// A server over every transport.
    fn start_everywhere(manifests: &Path, folder: Option<tempfile::TempDir>) -> Self {
        Self::over_everything(&corefile(manifests, ""), folder)
    }

    /// A server of its own over every transport, with this Corefile of one block for `.`.
    pub(crate) fn over_everything(text: &str, folder: Option<tempfile::TempDir>) -> Self {
        let certificate = Certificate::new();
        let server = Self::start(&everywhere(text, &certificate), folder, |_| {});
        server.wait();
        let askers = Over::all().into_iter().map(|over| Asker::new(over, server.running(), &certificate));
        *server.askers.lock().unwrap_or_else(PoisonError::into_inner) = askers.collect();
        server
    }

    /// A server of its own over the demo, with options changed.
    pub(crate) fn demo_with(change: impl FnOnce(&mut ServeOptions)) -> Self {
        let server = Self::start(&corefile(&demo_folder(), ""), None, change);
        server.wait();
        server
    }

    /// The server with large answers.
    pub(crate) fn large() -> Arc<Self> {
        shared(&LARGE, || {
            // It outlives the tests.
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
            large::write(folder.path());
            let manifests = folder.path().to_owned();
            Self::start_everywhere(&manifests, Some(folder))
        })
    }

    /// A server of its own with large answers, with options changed.
    pub(crate) fn large_with(change: impl FnOnce(&mut ServeOptions)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        large::write(folder.path());
        let server = Self::start(&corefile(folder.path(), ""), Some(folder), change);
        server.wait();
        server
    }

    /// Starts a server; does not wait until it is synced.
    pub(crate) fn start(
        text: &str,
        folder: Option<tempfile::TempDir>,
        change: impl FnOnce(&mut ServeOptions),
    ) -> Self {
        logs::capture();
        let mut options = ServeOptions { text: text.to_owned(), ..ServeOptions::default() };
        change(&mut options);
        let running = serve(options).unwrap_or_else(|e| panic!("starting: {e:?}\n{text}"));
        let addresses = running.addresses();
        assert!(!addresses.is_empty(), "the server listens nowhere");
        assert!(addresses.iter().all(|address| address.port() != 0), "real ports: {addresses:?}");
        Self { running: Some(running), addresses, folder, askers: Mutex::default() }
    }

    /// The handle.
    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }

    /// Waits for the first sync.
    pub(crate) fn wait(&self) {
        assert!(self.running().wait_synced(Duration::from_secs(120)), "not synced");
    }

    /// A counter of the server.
    pub(crate) fn counter(&self, field: &str) -> u64 {
        self.running().counter(field)
    }

    /// The IPv4 address.
    pub(crate) fn v4(&self) -> SocketAddr {
        *self.addresses.iter().find(|address| address.is_ipv4()).expect("it listens on 127.0.0.1")
    }

    /// Asks on every address over UDP and TCP, and over each encrypted transport.
    pub(crate) fn probe(&self, message: &Message) -> Outcome {
        let mut outcome = self.probe_via(message, &[Via::Udp, Via::Tcp]);
        outcome.0.extend(self.probe_encrypted(message).0);
        outcome
    }

    /// As `probe`, for a message whose reply waits for an upstream: it must come, and comes behind that of a plain query.
    pub(crate) fn probe_waiting(&self, message: &Message) -> Outcome {
        let mut exchanges = Vec::new();
        for &server in &self.addresses {
            let socket = udp(server);
            socket.send(&message.bytes()).expect("sending to loopback");
            let mut buffer = vec![0; 65_536];
            let length = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no reply to {message:?}: {e}"));
            let mut stream = Stream::open(server);
            stream.send_all(&message.frame());
            let streamed = stream.receive().unwrap_or_else(|| panic!("no reply to {message:?}"));
            for (via, bytes) in [(Via::Udp, &buffer[..length]), (Via::Tcp, &streamed)] {
                let reply = Reply::read(bytes);
                check(message, via, &reply);
                exchanges.push(Exchange { via, server, reply: Some(reply) });
            }
            assert!(plain(server), "I1: a plain query is answered after {message:?}");
        }
        exchanges.extend(self.probe_encrypted(message).0);
        Outcome(exchanges)
    }

    /// Asks over each encrypted transport; nothing where it is served over none.
    pub(crate) fn probe_encrypted(&self, message: &Message) -> Outcome {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = message.bytes();
        let mut exchanges = Vec::new();
        for asker in askers.iter_mut() {
            let gets = matches!(asker.over, Over::Get1 | Over::Get2 | Over::Get3);
            // Whoever speaks of TCP over QUIC breaks its rules: tests/transports.rs looks at what comes of it.
            let of_tcp = asker.over == Over::Quic && message.speaks_of_tcp();
            if gets && bytes.len() > GET || of_tcp {
                continue;
            }
            let via = Via::Encrypted(asker.over);
            let reply = asker.ask(&bytes).map(|bytes| Reply::read(&bytes));
            if let Some(reply) = &reply {
                check(message, via, reply);
            }
            exchanges.push(Exchange { via, server: asker.to, reply });
        }
        assert!(plain(self.v4()), "I1: a plain query is answered after {message:?}");
        Outcome(exchanges)
    }

    /// Asks on every address over these transports, and checks the invariants after each.
    pub(crate) fn probe_via(&self, message: &Message, transports: &[Via]) -> Outcome {
        let mut exchanges = Vec::new();
        for &server in &self.addresses {
            for &via in transports {
                let reply = match via {
                    Via::Udp => ask_udp(server, message),
                    Via::Tcp => ask_tcp(server, message),
                    Via::Encrypted(_) => unreachable!("these have addresses of their own"),
                };
                // I1 on a fresh socket as well.
                assert!(plain(server), "I1: a plain query is answered after {message:?}");
                if let Some(reply) = &reply {
                    check(message, via, reply);
                }
                exchanges.push(Exchange { via, server, reply });
            }
        }
        Outcome(exchanges)
    }
}

/// Invariants I2 and I3 on a reply, and what every reply to a readable header has: its id, QR, no Z and no AD.
pub(crate) fn check(message: &Message, via: Via, reply: &Reply) {
    let request = message.bytes();
    let limit = usize::from(message.size.unwrap_or(0)).clamp(PLAIN, LARGEST);
    if via == Via::Udp {
        assert!(reply.bytes.len() <= limit, "I2: {} bytes, {limit} allowed: {reply:?}", reply.bytes.len());
    }
    if message.unparsable {
        assert!(reply.bytes.len() <= request.len(), "I3: {} > {}", reply.bytes.len(), request.len());
    }
    assert_eq!(request.get(..2), reply.bytes.get(..2), "the id is the client's");
    assert!(reply.has(crate::message::QR), "a reply says that it is one: {reply:?}");
    assert_eq!(reply.flags & (crate::message::Z | crate::message::AD), 0, "Z and AD are 0: {reply:?}");
}

/// The plain query that must always be answered, with an id of its own.
pub(crate) fn sentinel(id: u16) -> Message {
    Message::query("dns-version.cluster.local", TXT).id(id)
}

/// Whether a reply is the sentinel's.
pub(crate) fn is_sentinel(reply: &[u8], id: u16) -> bool {
    let question = name("dns-version.cluster.local");
    reply.get(..2) == Some(&id.to_be_bytes()[..])
        && reply.get(12..12 + question.len()) == Some(&question[..])
        && reply.get(6..8) == Some(&[0, 1][..])
}

/// An id for the sentinel that is not the message's.
fn other_id(message: &Message) -> u16 {
    let bytes = message.bytes();
    let id = bytes.get(..2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    id ^ 0x5555
}

/// Whether a plain query over UDP is answered (I1). A datagram that got lost is sent again.
pub(crate) fn plain(server: SocketAddr) -> bool {
    let socket = udp(server);
    socket.set_read_timeout(Some(Duration::from_secs(4))).expect("a timeout");
    let mut buffer = [0; 2048];
    for attempt in 0..5_u16 {
        let id = 0x6100 + attempt;
        socket.send(&sentinel(id).bytes()).expect("sending to loopback");
        if let Ok(length) = socket.recv(&mut buffer)
            && is_sentinel(&buffer[..length], id)
        {
            return true;
        }
    }
    false
}

/// A UDP socket that talks to `server` only.
pub(crate) fn udp(server: SocketAddr) -> UdpSocket {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    udp_from(SocketAddr::new(any, 0), server).expect("a UDP socket")
}

/// A UDP socket bound to an address of ours.
pub(crate) fn udp_from(own: SocketAddr, server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(own)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Sends a message and a plain query behind it over one socket; what comes before the plain query's reply is the answer.
///
/// So silence is seen without waiting, and I1 and I3's "one datagram" are checked.
fn ask_udp(server: SocketAddr, message: &Message) -> Option<Reply> {
    ask_udp_on(&udp(server), message)
}

/// As `ask_udp`, over a given socket.
pub(crate) fn ask_udp_on(socket: &UdpSocket, message: &Message) -> Option<Reply> {
    let id = other_id(message);
    socket.send(&message.bytes()).expect("sending to loopback");
    socket.send(&sentinel(id).bytes()).expect("sending to loopback");
    let mut buffer = vec![0; 65_536];
    let mut replies = Vec::new();
    loop {
        let length = socket
            .recv(&mut buffer)
            .unwrap_or_else(|e| panic!("I1: the plain query behind the probe was not answered: {e}"));
        let bytes = &buffer[..length];
        if is_sentinel(bytes, id) {
            break;
        }
        replies.push(Reply::read(bytes));
    }
    assert!(replies.len() <= 1, "more than one datagram came back: {replies:?}");
    replies.pop()
}

/// Sends a message and a plain query behind it over one connection; the server may also end the connection.
fn ask_tcp(server: SocketAddr, message: &Message) -> Option<Reply> {
    let id = other_id(message);
    let mut stream = Stream::open(server);
    let mut bytes = message.frame();
    bytes.extend(sentinel(id).frame());
    stream.send_all(&bytes);
    let mut replies = Vec::new();
    while let Some(bytes) = stream.receive() {
        if is_sentinel(&bytes, id) {
            assert!(replies.len() <= 1, "more than one reply came back: {replies:?}");
            return replies.pop();
        }
        replies.push(Reply::read(&bytes));
    }
    // The connection ended: a new one must be served.
    let mut next = Stream::open(server);
    next.send_all(&sentinel(id).frame());
    let bytes = next.receive().expect("I1: a new connection is served");
    assert!(is_sentinel(&bytes, id), "I1: a new connection is served");
    assert!(replies.len() <= 1, "more than one reply came back: {replies:?}");
    replies.pop()
}

/// A connection to the server.
pub(crate) struct Stream(pub(crate) TcpStream);

impl Stream {
    /// Connects.
    pub(crate) fn open(server: SocketAddr) -> Self {
        Self::of(TcpStream::connect_timeout(&server, PATIENCE).expect("connecting"))
    }

    /// A connection made elsewhere.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Writes all; that the server closed is seen on reading.
    pub(crate) fn send_all(&mut self, bytes: &[u8]) {
        if let Err(error) = self.0.write_all(bytes) {
            assert!(is_closed(&error), "writing: {error}");
        }
    }

    /// The next message; `None` where the connection ended.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        let mut message = Vec::new();
        let read = self.0.read_exact(&mut length).and_then(|()| {
            message = vec![0; usize::from(u16::from_be_bytes(length))];
            self.0.read_exact(&mut message)
        });
        match read {
            Ok(()) => Some(message),
            Err(error) if is_closed(&error) => None,
            Err(error) => panic!("neither a message nor the end of the connection: {error}"),
        }
    }

    /// Sends one message and takes the next that comes.
    pub(crate) fn ask(&mut self, message: &Message) -> Option<Reply> {
        self.send_all(&message.frame());
        self.receive().map(|bytes| Reply::read(&bytes))
    }
}

/// Whether an error says that the other side is gone.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// Manifests with answers of chosen sizes.
pub(crate) mod large {
    use std::path::Path;

    use serde_json::json;

    /// Headless Services: name, namespace, endpoints.
    ///
    /// An A record is 16 bytes with its owner compressed, the header 12, the question the name and 4, the OPT 11.
    pub(crate) const SERVICES: &[(&str, &str, usize)] = &[
        // 12 + 32 + 4 + 29 · 16 = 512.
        ("fit512", "bound", 29),
        ("over513", "bound", 29),
        // 12 + 37 + 4 + 73 · 16 + 11 = 1232.
        ("fitmaximum1", "bound", 73),
        ("overmaximum1", "bound", 73),
        ("hundred", "big", 100),
        ("wide", "big", 2_600),
        ("enormous", "big", 5_000),
    ];

    /// Writes one file for the namespaces and one for each Service.
    pub(crate) fn write(folder: &Path) {
        let mut texts = vec![(
            "namespaces".to_owned(),
            ["bound", "big"].map(|name| {
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string()
            }),
        )]
        .into_iter()
        .map(|(name, documents)| (name, documents.to_vec()))
        .collect::<Vec<_>>();
        for &(name, namespace, endpoints) in SERVICES {
            let mut documents = vec![
                json!({
                    "apiVersion": "v1", "kind": "Service",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}
                })
                .to_string(),
            ];
            for first in (0..endpoints).step_by(100) {
                let addresses: Vec<_> = (first..endpoints.min(first + 100))
                    .map(|i| json!({"addresses": [format!("10.128.{}.{}", i / 250, i % 250 + 1)]}))
                    .collect();
                documents.push(
                    json!({
                        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                        "metadata": {
                            "name": format!("{name}-{first}"), "namespace": namespace,
                            "labels": {"kubernetes.io/service-name": name}
                        },
                        "addressType": "IPv4",
                        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
                        "endpoints": addresses
                    })
                    .to_string(),
                );
            }
            texts.push((name.to_owned(), documents));
        }
        for (name, documents) in texts {
            let text = documents.join("\n---\n");
            std::fs::write(folder.join(format!("{name}.yaml")), text).expect("writing a manifest");
        }
    }
}
