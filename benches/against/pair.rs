//! A case that runs: both servers beside one API server, and what they say to a question.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use signpost::app::{Running, ServeOptions, serve};

use crate::api::FakeApi;
use crate::case::{Case, Place};
use crate::harness::{Ask, Client, Via, text};
use crate::questions::Question;
use crate::reply::Reply;

/// How long a server may take until it knows its cluster.
const SYNC: Duration = Duration::from_secs(30);

/// How long both may be silent before they are taken to have nothing to say.
const SILENCE: Duration = Duration::from_millis(200);

/// How long one may be silent that is asked again since the other said something.
const PATIENCE: Duration = Duration::from_millis(700);

/// How often a start is tried again because somebody took the port.
const TRIES: usize = 5;

/// Why a case could not be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// Neither serves it: what each says.
    Both,
    /// Only CoreDNS serves it: what ours says.
    Ours(String),
    /// Only ours serves it: what CoreDNS says.
    Theirs(String),
}

/// A CoreDNS; ends when it is dropped.
struct Theirs(Child);

impl Drop for Theirs {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client of one server over both transports.
struct Asker {
    /// The server.
    addr: SocketAddr,
    /// Over UDP and over TCP.
    clients: [Client; 2],
}

impl Asker {
    /// For a server.
    fn new(addr: SocketAddr) -> Self {
        Self { addr, clients: [Client::new(Via::Udp, addr), Client::new(Via::Tcp, addr)] }
    }

    /// Sends a query.
    fn send(&mut self, via: Via, query: &[u8]) {
        self.clients[usize::from(via == Via::Tcp)].send(query);
    }

    /// Waits for the reply.
    fn receive(&mut self, via: Via, query: &[u8], wait: Duration) -> Option<Reply> {
        let client = &mut self.clients[usize::from(via == Via::Tcp)];
        while let Some(reply) = client.receive(wait) {
            // An earlier reply may come late.
            if reply.get(..2) == query.get(..2) {
                return Some(Reply::new(&text(&reply, query)));
            }
        }
        *client = Client::new(via, self.addr);
        None
    }
}

/// Both servers of a case.
pub(crate) struct Pair {
    /// We, whom the clients ask.
    ours: Asker,
    /// CoreDNS, whom the clients ask.
    theirs: Asker,
    /// The last message's id.
    id: u16,
    /// Our server.
    _running: Running,
    /// Their process.
    _child: Theirs,
    /// What both watch.
    _api: FakeApi,
    /// Where their files are.
    _folder: tempfile::TempDir,
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Whether `/ready` of a port says so.
fn is_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut reply = [0; 12];
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && reply.ends_with(b"200")
}

/// Whether a port is served over both transports: CoreDNS may be ready a moment before it listens.
fn listens(port: u16) -> bool {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // Whatever it says, a word that nobody serves (STATUS) has a reply.
    let query = Ask::parse(". A +opcode=2").bytes(1);
    TcpStream::connect(addr).is_ok()
        && socket.send_to(&query, addr).is_ok()
        && socket.recv(&mut [0; 512]).is_ok()
}

/// Starts CoreDNS and waits until it is ready; what it printed where it ended instead.
fn start_theirs(binary: &OsStr, corefile: &str, place: Place<'_>) -> Result<Theirs, String> {
    let folder = place.dir;
    let path = folder.join("Corefile");
    std::fs::write(&path, corefile).unwrap();
    let log = folder.join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut command = Command::new(binary);
    command.arg("-conf").arg(&path).stdin(Stdio::null());
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let child = command.spawn().unwrap_or_else(|error| panic!("COREDNS_BIN {}: {error}", binary.display()));
    let mut child = Theirs(child);
    let wait = Duration::from_millis(20);
    for _ in 0..SYNC.as_millis() / wait.as_millis() {
        if child.0.try_wait().unwrap().is_some() {
            return Err(std::fs::read_to_string(&log).unwrap_or_default());
        }
        if is_ready(place.ready) && listens(place.port) {
            return Ok(child);
        }
        std::thread::sleep(wait);
    }
    Err(format!("not ready: {}", std::fs::read_to_string(&log).unwrap_or_default()))
}

impl Pair {
    /// Starts both.
    pub(crate) fn start(binary: &OsStr, case: &Case, upstream: SocketAddr) -> Result<Self, Refused> {
        let folder = tempfile::tempdir().unwrap();
        case.write_files(folder.path());
        let api = FakeApi::start();
        api.apply_all(case.objects.clone());
        let url = api.url();
        let is_taken = |error: &str| error.to_ascii_lowercase().contains("address already in use");
        let place =
            || Place { port: free_port(), ready: free_port(), api: &url, upstream, dir: folder.path() };
        let mut tries = 0;
        let (theirs, theirs_at) = loop {
            let place = place();
            let started = start_theirs(binary, &case.corefile(place), place);
            tries += 1;
            match started {
                Err(error) if is_taken(&error) && tries < TRIES => {}
                other => break (other, place.port),
            }
        };
        let (ours, ours_at) = loop {
            let place = place();
            let options = ServeOptions { text: case.corefile(place), ..ServeOptions::default() };
            tries += 1;
            match serve(options).map_err(|error| error.to_string()) {
                Err(error) if is_taken(&error) && tries < 2 * TRIES => {}
                other => break (other, place.port),
            }
        };
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Ok(_), Err(error)) => return Err(Refused::Theirs(error)),
            (Err(error), Ok(_)) => return Err(Refused::Ours(error)),
            (Err(_), Err(_)) => return Err(Refused::Both),
        };
        assert!(ours.wait_synced(SYNC), "ours does not sync");
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            ours: Asker::new(at(ours_at)),
            theirs: Asker::new(at(theirs_at)),
            id: 0,
            _running: ours,
            _child: theirs,
            _api: api,
            _folder: folder,
        })
    }

    /// What both say: ours first.
    pub(crate) fn ask(&mut self, question: &Question) -> (Reply, Reply) {
        self.id = self.id.wrapping_add(1);
        let query = Ask::parse(&question.text()).bytes(self.id);
        let via = question.via;
        self.theirs.send(via, &query);
        self.ours.send(via, &query);
        let mut theirs = self.theirs.receive(via, &query, SILENCE);
        let mut ours = self.ours.receive(via, &query, SILENCE);
        // A machine that does much else lets one wait: only what is asked twice in vain is silence.
        if ours.is_some() != theirs.is_some() {
            for (asker, reply) in [(&mut self.ours, &mut ours), (&mut self.theirs, &mut theirs)] {
                if reply.is_none() {
                    asker.send(via, &query);
                    *reply = asker.receive(via, &query, PATIENCE);
                }
            }
        }
        let or_silence = |reply: Option<Reply>| reply.unwrap_or_else(|| Reply::new(Reply::SILENCE));
        (or_silence(ours), or_silence(theirs))
    }
}
