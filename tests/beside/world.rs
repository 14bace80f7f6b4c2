//! A server of ours, upstreams that answer from a few lines of text, and those who ask.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};
use parking_lot::Mutex;
use signpost::app::{Running, ServeOptions, serve};

/// How long something may take that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a server from a text.
pub(crate) fn start(text: &str) -> Running {
    let options = ServeOptions { text: text.to_owned(), ..ServeOptions::default() };
    serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Starts a server of two workers from a file, which can be changed.
pub(crate) fn start_file(path: &Path, text: &str) -> Running {
    std::fs::write(path, text).unwrap();
    let options = ServeOptions {
        text: text.to_owned(),
        path: Some(path.to_owned()),
        workers: 2,
        ..ServeOptions::default()
    };
    serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Waits until `done` says so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// What the address of `prometheus` says to a GET, its head included.
pub(crate) fn page(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The lines of `/metrics` that begin with `name`.
pub(crate) fn metrics(running: &Running, name: &str) -> Vec<String> {
    let text = page(running, "/metrics");
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// A query for a name and type.
pub(crate) fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    message
}

/// The same with an OPT of this size.
pub(crate) fn with_edns(mut message: Message, size: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(size);
    message.set_edns(edns);
    message
}

/// What a server replies over UDP; `None` where nothing comes within five seconds.
pub(crate) fn exchange(server: SocketAddr, message: &Message) -> Option<(Message, usize)> {
    let own = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(own).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).unwrap();
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    let reply = Message::from_vec(&reply[..length]).unwrap();
    assert_eq!((reply.metadata.id, &reply.queries), (message.metadata.id, &message.queries));
    Some((reply, length))
}

/// A reply in text: code and flags, then the records of each section.
pub(crate) fn show(reply: &Message) -> String {
    let mut text = format!("{:?}", reply.metadata.response_code);
    for (on, flag) in [(reply.metadata.authoritative, " aa"), (reply.metadata.truncation, " tc")] {
        text.push_str(if on { flag } else { "" });
    }
    for (section, records) in
        [("", &reply.answers), ("authority ", &reply.authorities), ("additional ", &reply.additionals)]
    {
        for record in records {
            let data = record.data.to_string();
            text.push_str(&format!(
                " | {section}{} {} {} {data}",
                record.name,
                record.ttl,
                record.record_type()
            ));
        }
    }
    text
}

/// What a server replies to a question without EDNS, in text.
pub(crate) fn ask(server: SocketAddr, name: &str, rtype: RecordType) -> String {
    match exchange(server, &query(name, rtype)) {
        Some((reply, _)) => show(&reply),
        None => "silence".to_owned(),
    }
}

/// A thread with a UDP socket; dropping it ends it.
struct Serving {
    /// Its address.
    addr: SocketAddr,
    /// Set to end it.
    stop: Arc<AtomicBool>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Gives every datagram to `act`, with its sender.
    fn start(mut act: impl FnMut(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let addr = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !stopped.load(Ordering::Acquire) {
                if let Ok((length, from)) = socket.recv_from(&mut bytes) {
                    act(&socket, &bytes[..length], from);
                }
            }
        });
        Self { addr, stop, thread: Some(thread) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// An upstream that answers from text.
pub(crate) struct Upstream {
    /// Its thread.
    serving: Serving,
    /// What it was asked: name and type.
    pub(crate) asked: Arc<Mutex<BTreeSet<String>>>,
    /// The queries as they came.
    pub(crate) queries: Arc<Mutex<Vec<Message>>>,
}

/// The SOA of negative answers: that of the last label.
fn soa(below: &Name) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let soa = rdata::SOA::new(name("ns.test."), name("hostmaster.test."), 1, 2, 3, 4, 60);
    Record::from_rdata(below.trim_to(1), 60, RData::SOA(soa))
}

impl Upstream {
    /// An upstream for these lines: `name ttl type data`, or `name` and a code for every type or the type written.
    pub(crate) fn start(lines: &'static str) -> Self {
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let list = asked.clone();
        let queries: Arc<Mutex<Vec<Message>>> = Arc::default();
        let kept = queries.clone();
        let serving = Serving::start(move |socket, bytes, from| {
            let Ok(query) = Message::from_vec(bytes) else { return };
            kept.lock().push(query.clone());
            let question = query.queries[0].clone();
            list.lock().insert(format!("{} {}", question.name(), question.query_type()));
            let mut reply = Message::response(query.metadata.id, OpCode::Query);
            reply.metadata.recursion_available = true;
            reply.add_query(question.clone());
            reply.metadata.response_code = answer(lines, &mut reply, question.name(), question.query_type());
            socket.send_to(&reply.to_vec().unwrap(), from).unwrap();
        });
        Self { serving, asked, queries }
    }

    /// Its address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.serving.addr
    }

    /// Whether it was asked something that contains a text.
    pub(crate) fn was_asked(&self, part: &str) -> bool {
        self.asked.lock().iter().any(|asked| asked.contains(part))
    }
}

/// Adds the records of a name and type, those of aliases too; the code.
fn answer(lines: &str, reply: &mut Message, name: &Name, rtype: RecordType) -> ResponseCode {
    let mut exists = false;
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(owner) = words.first() else { continue };
        if Name::from_ascii(owner).unwrap() != *name {
            continue;
        }
        exists = true;
        let only = |at: usize| words.get(at).is_none_or(|only| *only == rtype.to_string());
        match words[1] {
            "SERVFAIL" if only(2) => return ResponseCode::ServFail,
            "NOTIMP" if only(2) => return ResponseCode::NotImp,
            "SERVFAIL" | "NOTIMP" => continue,
            _ => {}
        }
        let ttl = words[1].parse().unwrap();
        let data = match words[2] {
            "CNAME" => {
                let target = Name::from_ascii(words[3]).unwrap();
                reply.add_answer(Record::from_rdata(
                    name.clone(),
                    ttl,
                    RData::CNAME(rdata::CNAME(target.clone())),
                ));
                match rtype {
                    RecordType::CNAME => return ResponseCode::NoError,
                    _ => return answer(lines, reply, &target, rtype),
                }
            }
            "A" => RData::A(words[3].parse().unwrap()),
            "AAAA" => RData::AAAA(words[3].parse().unwrap()),
            other => RData::try_from_str(other.parse().unwrap(), &words[3..].join(" ")).unwrap(),
        };
        if data.record_type() == rtype {
            reply.add_answer(Record::from_rdata(name.clone(), ttl, data));
        }
    }
    if !exists {
        reply.add_authority(soa(name));
        return ResponseCode::NXDomain;
    }
    if !reply.answers.iter().any(|record| record.record_type() == rtype) {
        reply.add_authority(soa(name));
    }
    ResponseCode::NoError
}

/// Hands what it gets to another server and back: a forwarder of its own.
pub(crate) struct Relay {
    /// Its thread.
    serving: Serving,
    /// To whom.
    pub(crate) to: Arc<Mutex<Option<SocketAddr>>>,
    /// How many datagrams it got.
    pub(crate) got: Arc<Mutex<u64>>,
}

impl Relay {
    /// A relay to nobody yet.
    pub(crate) fn start() -> Self {
        let to: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let got: Arc<Mutex<u64>> = Arc::default();
        let (target, count) = (to.clone(), got.clone());
        let serving = Serving::start(move |socket, bytes, from| {
            *count.lock() += 1;
            let Some(to) = *target.lock() else { return };
            let (socket, bytes) = (socket.try_clone().unwrap(), bytes.to_vec());
            // What loops must not keep others waiting.
            std::thread::spawn(move || {
                let onward = UdpSocket::bind("127.0.0.1:0").unwrap();
                onward.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                onward.send_to(&bytes, to).unwrap();
                let mut reply = [0; 4096];
                if let Ok(length) = onward.recv(&mut reply) {
                    let _ = socket.send_to(&reply[..length], from);
                }
            });
        });
        Self { serving, to, got }
    }

    /// Its address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.serving.addr
    }
}
