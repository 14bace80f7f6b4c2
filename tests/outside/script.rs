//! A name server that says what a few lines of text say, over UDP and TCP; others may carry its replies over more.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use parking_lot::Mutex;

use crate::bytes::{Asked, Rr, answer, code_of, type_of, wire};

/// Said of names that no line is about.
const NOBODY: &str = "NXDOMAIN; +. 60 SOA ns.example host.example 1 2 3 4 60";

/// What is said about a name.
struct Row {
    /// The name in wire form, in lower case.
    name: Vec<u8>,
    /// The type; `None` for all of them.
    qtype: Option<u16>,
    /// What is said.
    says: Says,
}

/// What is said.
#[derive(Clone, Default)]
struct Says {
    /// RCODE.
    code: u16,
    /// The records.
    records: Vec<Rr>,
    /// Nothing is said at all.
    silence: bool,
    /// A datagram is truncated and empty.
    cut: bool,
}

impl Says {
    /// Reads `CODE`, `silence`, `tc`, `OWNER TTL TYPE DATA` and `+OWNER …` for the authority section, with `;` between.
    fn read(text: &str) -> Self {
        let mut this = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let words: Vec<&str> = part.split_whitespace().collect();
            match words.as_slice() {
                ["silence"] => this.silence = true,
                ["tc"] => this.cut = true,
                [code] => this.code = code_of(code).unwrap_or_else(|| panic!("what is {code}?")),
                [owner, rest @ ..] => {
                    let section = usize::from(owner.starts_with('+'));
                    let owner = owner.trim_start_matches('+');
                    let words: Vec<&str> = [owner].into_iter().chain(rest.iter().copied()).collect();
                    this.records
                        .push(Rr::read(section, &words).unwrap_or_else(|error| panic!("{part}: {error}")));
                }
                [] => {}
            }
        }
        this
    }
}

/// What is said, and what was asked.
#[derive(Default)]
pub(crate) struct Script {
    /// What is said.
    rows: Mutex<Vec<Row>>,
    /// What was asked: `WAY NAME TYPE`.
    asked: Mutex<Vec<String>>,
}

impl Script {
    /// Reads lines `NAME TYPE: WORDS`, the type `*` for all, see [`Says::read`].
    pub(crate) fn new(lines: &str) -> Arc<Self> {
        let this = Arc::new(Self::default());
        this.say(lines);
        this
    }

    /// Says this from now on, and nothing of what it said before.
    pub(crate) fn say(&self, lines: &str) {
        let rows = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let (about, says) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            let (name, qtype) = about.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let qtype = (qtype != "*").then(|| type_of(qtype).unwrap_or_else(|| panic!("{line}")));
            Row { name: wire(name), qtype, says: Says::read(says) }
        });
        *self.rows.lock() = rows.collect();
    }

    /// The reply to a query that came this way; `None` where it gets none.
    pub(crate) fn reply(&self, query: &[u8], way: &str) -> Option<Vec<u8>> {
        let asked = Asked::read(query);
        let name = asked.name.to_ascii_lowercase();
        self.asked.lock().push(format!("{way} {} {}", shown(&name), RecordType::from(asked.qtype)));
        let rows = self.rows.lock();
        let row = rows.iter().find(|row| row.name == name && row.qtype.is_none_or(|of| of == asked.qtype));
        let says = row.map_or_else(|| Says::read(NOBODY), |row| row.says.clone());
        if says.silence {
            return None;
        }
        if says.cut && way == "udp" {
            return Some(answer(&asked, 0, &[], &["tc".to_owned()]));
        }
        Some(answer(&asked, says.code, &says.records, &[]))
    }

    /// What was asked so far, as `WAY NAME TYPE`, in the order in which it came; probes are among it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    /// How often something was asked whose line ends like this: `www.example.com A`, whatever the way.
    pub(crate) fn count(&self, end: &str) -> usize {
        let end = format!(" {end}");
        self.asked.lock().iter().filter(|asked| asked.ends_with(&end)).count()
    }
}

/// A name in wire form as text.
fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((&length, after)) = rest.split_first() {
        let (label, after) = after.split_at(usize::from(length).min(after.len()));
        if !label.is_empty() {
            text.push_str(&String::from_utf8_lossy(label));
            text.push('.');
        }
        rest = after;
    }
    text.strip_suffix('.').unwrap_or(".").to_owned()
}

/// A server of a script over UDP and TCP; ends when it is dropped.
pub(crate) struct Upstream {
    /// Where it is.
    pub(crate) addr: SocketAddr,
    /// What it says.
    pub(crate) script: Arc<Script>,
    /// Set to end it.
    over: Arc<AtomicBool>,
    /// The threads of the datagrams and of the listener.
    threads: Vec<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on any port of this machine.
    pub(crate) fn start(lines: &str) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), lines)
    }

    /// Starts one there.
    pub(crate) fn at(addr: SocketAddr, lines: &str) -> Self {
        let (datagrams, listener) = one_port(addr);
        let addr = datagrams.local_addr().unwrap();
        let script = Script::new(lines);
        let over = Arc::new(AtomicBool::new(false));
        datagrams.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (says, ends) = (script.clone(), over.clone());
        let first = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !ends.load(Ordering::Relaxed) {
                let Ok((length, peer)) = datagrams.recv_from(&mut buffer) else { continue };
                if let Some(reply) = says.reply(&buffer[..length], "udp") {
                    datagrams.send_to(&reply, peer).unwrap();
                }
            }
        });
        let (says, ends) = (script.clone(), over.clone());
        let second = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (says, stream) = (says.clone(), stream.unwrap());
                std::thread::spawn(move || answer_all(&says, stream));
            }
        });
        Self { addr, script, over, threads: vec![first, second] }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener looks up when somebody comes.
        let _ = TcpStream::connect(self.addr);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the upstream panicked");
        }
    }
}

/// Both sockets at one address; its port may be 0.
fn one_port(addr: SocketAddr) -> (UdpSocket, TcpListener) {
    loop {
        let datagrams = UdpSocket::bind(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
        match TcpListener::bind(datagrams.local_addr().unwrap()) {
            Ok(listener) => return (datagrams, listener),
            Err(error) => assert_eq!(addr.port(), 0, "{addr}: {error}"),
        }
    }
}

/// Answers everything on a connection, until the other end closes it.
fn answer_all(script: &Script, mut stream: TcpStream) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let Some(reply) = script.reply(&query, "tcp") else { continue };
        if stream.write_all(&framed(&reply)).is_err() {
            return;
        }
    }
}

/// A message with its length in front.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}
