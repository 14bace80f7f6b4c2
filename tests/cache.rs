//! The cache between real sockets: a client, a server, and an upstream that the test scripts (rules C-01 to C-12).
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RecordType};
use signpost::app::{Running, ServeOptions, serve};
use signpost::time::{Clock, Wall};

/// How long something may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// An upstream on a socket of its own, until it is dropped.
struct Upstream {
    /// Where.
    addr: SocketAddr,
    /// The code that it answers with; with NOERROR goes an address of TTL 300.
    rcode: Arc<AtomicU8>,
    /// How many questions came.
    asked: Arc<AtomicUsize>,
    /// Ends it.
    ended: Arc<AtomicBool>,
}

impl Upstream {
    /// Starts it.
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (rcode, asked, ended) = <(Arc<AtomicU8>, Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let upstream = Self {
            addr: socket.local_addr().unwrap(),
            rcode: rcode.clone(),
            asked: asked.clone(),
            ended: ended.clone(),
        };
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while !ended.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let question = bytes[12..length].iter().position(|byte| *byte == 0).unwrap() + 12 + 5;
                let code = rcode.load(Ordering::Acquire);
                let mut reply = bytes[..question].to_vec();
                reply[2] = 0x81;
                reply[3] = 0x80 | code;
                reply[6..12].copy_from_slice(&[0, u8::from(code == 0), 0, 0, 0, 0]);
                if code == 0 {
                    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
                }
                asked.fetch_add(1, Ordering::AcqRel);
                socket.send_to(&reply, from).unwrap();
            }
        });
        upstream
    }

    /// How many questions came so far.
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// A Corefile that forwards everything, with these lines.
fn corefile(upstream: &Upstream, lines: &str) -> String {
    format!(".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n forward . {}\n {lines}\n}}\n", upstream.addr)
}

/// Starts a server on a clock that the test moves.
fn start(text: String, path: Option<&Path>) -> (Running, Clock) {
    let clock = Clock::manual(Wall(1_700_000_000));
    if let Some(path) = path {
        std::fs::write(path, &text).unwrap();
    }
    let path = path.map(Path::to_owned);
    let running =
        serve(ServeOptions { text, path, clock: clock.clone(), ..ServeOptions::default() }).unwrap();
    (running, clock)
}

/// Asks for the address of a name over UDP: the code, the TTL and the extended error.
fn ask(running: &Running, name: &str) -> (u16, Option<u32>, Option<u16>) {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    query.edns = Some(Edns::new());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query.to_vec().unwrap(), running.addresses()[0]).unwrap();
    let mut reply = [0; 1232];
    let length = socket.recv(&mut reply).unwrap();
    let reply = Message::from_vec(&reply[..length]).unwrap();
    let options = reply.edns.iter().flat_map(|edns| &edns.options().options);
    let ede = options.clone().find_map(|(_, option)| match option {
        EdnsOption::Unknown(15, value) => value.first_chunk().map(|code| u16::from_be_bytes(*code)),
        _ => None,
    });
    (u16::from(reply.metadata.response_code), reply.answers.first().map(|record| record.ttl), ede)
}

/// The lines of `/metrics` about caches.
fn metrics(running: &Running) -> Vec<String> {
    let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.lines()
        .filter(|line| line.contains("_cache_") && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Waits until `done` says so.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

#[test]
fn hits_ask_nobody_and_are_counted_by_coredns_names() {
    let upstream = Upstream::start();
    let (running, clock) = start(corefile(&upstream, "cache 100 example.org"), None);
    assert_eq!(ask(&running, "web.example.org."), (0, Some(100), None));
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&running, "WEB.example.org."), (0, Some(70), None));
    assert_eq!(upstream.asked(), 1);
    upstream.rcode.store(2, Ordering::Release);
    let first = ask(&running, "bad.example.org.");
    let asked = upstream.asked();
    assert_eq!((first.0, ask(&running, "bad.example.org.")), (2, (2, None, Some(13))));
    assert_eq!(upstream.asked(), asked, "the failure is kept");
    let server = format!("dns://{}", SocketAddr::new([127, 0, 0, 1].into(), 0));
    let place = format!("server=\"{server}\",zones=\"example.org.\"");
    let found = metrics(&running);
    for (name, kind, value) in [
        ("coredns_cache_entries", "type=\"success\",", 1),
        ("coredns_cache_entries", "type=\"denial\",", 1),
        ("coredns_cache_hits_total", "type=\"success\",", 1),
        ("coredns_cache_hits_total", "type=\"denial\",", 1),
        ("coredns_cache_evictions_total", "type=\"success\",", 0),
        ("coredns_cache_requests_total", "", 4),
        ("coredns_cache_misses_total", "", 2),
        ("coredns_cache_prefetch_total", "", 0),
        ("coredns_cache_served_stale_total", "", 0),
        ("coredns_cache_drops_total", "", 0),
        ("signpost_cache_budget_bytes", "type=\"success\",", 9984 * 512),
    ] {
        let line = format!("{name}{{{place},{kind}view=\"\"}} {value}");
        assert!(found.contains(&line), "{line} is not in\n{}", found.join("\n"));
    }
}

#[test]
fn a_stale_answer_outlives_its_upstream() {
    let upstream = Upstream::start();
    let (running, clock) = start(corefile(&upstream, "cache {\n serve_stale 1h verify\n }"), None);
    assert_eq!(ask(&running, "web.example.org."), (0, Some(300), None));
    clock.advance(Duration::from_secs(301));
    upstream.rcode.store(2, Ordering::Release);
    assert_eq!(ask(&running, "web.example.org."), (0, Some(0), Some(3)));
    clock.advance(Duration::from_secs(6));
    upstream.rcode.store(0, Ordering::Release);
    assert_eq!(ask(&running, "web.example.org."), (0, Some(300), None));
    clock.advance(Duration::from_secs(300 + 3600));
    upstream.rcode.store(2, Ordering::Release);
    assert_eq!(ask(&running, "web.example.org.").0, 2);
}

#[test]
fn a14_a_wall_clock_that_jumps_changes_no_ttl_and_fails_nobody() {
    let upstream = Upstream::start();
    let (running, clock) = start(corefile(&upstream, "cache"), None);
    let now = 1_700_000_000;
    let hour = 3_600;
    let years = 10 * 365 * 24 * hour;
    assert_eq!(ask(&running, "web.example.org."), (0, Some(300), None));
    let mut left = 300;
    for wall in [now + hour, now - hour, now + years, now - years, 1_000, now] {
        clock.jump(Wall(wall));
        assert_eq!(clock.wall(), Wall(wall), "it has jumped");
        assert_eq!(ask(&running, "web.example.org."), (0, Some(left), None), "wall {wall}");
        clock.advance(Duration::from_secs(10));
        left -= 10;
        assert_eq!(ask(&running, "web.example.org."), (0, Some(left), None), "wall {wall} and 10 s");
    }
    assert_eq!(upstream.asked(), 1, "what was kept holds as long as it was said to");
    clock.advance(Duration::from_secs(u64::from(left) + 1));
    assert_eq!(ask(&running, "web.example.org."), (0, Some(300), None));
    assert_eq!(upstream.asked(), 2, "and no longer");
}

#[test]
fn what_is_stale_is_asked_for_again_behind_its_back() {
    let upstream = Upstream::start();
    let (running, clock) = start(corefile(&upstream, "cache {\n serve_stale\n }"), None);
    ask(&running, "web.example.org.");
    clock.advance(Duration::from_secs(301));
    assert_eq!(ask(&running, "web.example.org."), (0, Some(0), Some(3)));
    until("the refresh", || ask(&running, "web.example.org.") == (0, Some(300), None));
    assert_eq!(upstream.asked(), 2);
}

#[test]
fn a_reload_keeps_what_is_in_a_cache_whose_line_stays() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let (running, _) = start(corefile(&upstream, "cache 60"), Some(&path));
    ask(&running, "web.example.org.");

    std::fs::write(&path, corefile(&upstream, "cache 60\n loadbalance")).unwrap();
    running.reload();
    let enabled = |word: &str| {
        let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.contains(&format!("name=\"{word}\""))
    };
    until("the new plan", || enabled("loadbalance"));
    assert_eq!(ask(&running, "web.example.org."), (0, Some(60), None));
    assert_eq!(upstream.asked(), 1, "the cache stayed");
    let hits = |running: &Running| {
        let lines = metrics(running);
        lines
            .into_iter()
            .find(|line| line.starts_with("coredns_cache_hits_total") && line.contains("success"))
    };
    assert!(hits(&running).unwrap().ends_with(" 1"));

    std::fs::write(&path, corefile(&upstream, "cache 50\n whoami")).unwrap();
    running.reload();
    until("the new plan", || enabled("whoami"));
    assert_eq!(ask(&running, "web.example.org."), (0, Some(50), None));
    assert_eq!(upstream.asked(), 2, "another line is another cache");
    assert!(hits(&running).unwrap().ends_with(" 1"), "counters never fall");
}
