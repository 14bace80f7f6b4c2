//! Upstreams over streams, from a client's query to its answer (RELIABILITY of upstreams: truncation, TCP).
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use signpost::app::{Running, ServeOptions, serve};

/// How long something may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Strings in the long answer.
const STRINGS: usize = 20;

/// An upstream that truncates every datagram; over TCP it gives the whole, unless it is told not to.
struct Upstream {
    addr: SocketAddr,
    /// Connections that were accepted.
    connections: Arc<AtomicUsize>,
}

/// A datagram socket and a listener on one port.
fn one_port() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

/// The reply to a query: truncated, or with a long answer.
fn reply(query: &[u8], whole: bool) -> Vec<u8> {
    let mut message = Message::from_vec(query).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.metadata.truncation = !whole;
    let name = message.queries[0].name().clone();
    if whole {
        let text = TXT::new((0..STRINGS).map(|number| format!("{number:0100}")).collect());
        message.add_answer(Record::from_rdata(name, 60, RData::TXT(text)));
    }
    message.to_vec().unwrap()
}

impl Upstream {
    /// Starts one; with `mute`, connections are accepted and closed.
    fn start(mute: bool) -> Self {
        let (udp, tcp) = one_port();
        let addr = udp.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            let mut query = [0; 1232];
            while let Ok((length, from)) = udp.recv_from(&mut query) {
                udp.send_to(&reply(&query[..length], false), from).unwrap();
            }
        });
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                if !mute {
                    std::thread::spawn(move || answer_all(stream.unwrap()));
                }
            }
        });
        Self { addr, connections }
    }
}

/// Answers everything on a connection.
fn answer_all(mut stream: TcpStream) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).unwrap();
        let reply = reply(&query, true);
        let mut framed = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(reply);
        stream.write_all(&framed).unwrap();
    }
}

/// A server that asks this upstream.
fn server(upstream: &Upstream) -> Running {
    let text = format!(".:0 {{\n bind 127.0.0.1\n forward . {}\n}}\n", upstream.addr);
    serve(ServeOptions { text, ..ServeOptions::default() }).unwrap()
}

/// Asks for a TXT over TCP, where a long answer has room; with EDNS, so that reasons are told. The reply, and its bytes.
fn ask(server: SocketAddr, name: &str) -> (Message, Vec<u8>) {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::TXT));
    message.edns = Some(Edns::new());
    let query = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&query).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    (Message::from_vec(&reply).unwrap(), reply)
}

/// Whether this process has a thread for streams.
fn has_thread() -> bool {
    std::fs::read_dir("/proc/self/task").unwrap().any(|task| {
        let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim() == "upstreams")
    })
}

#[test]
fn truncated_datagrams_are_asked_for_over_tcp_and_the_client_gets_the_whole() {
    let upstream = Upstream::start(false);
    let running = server(&upstream);
    let server = running.addresses()[0];
    for name in ["one.example.", "two.example.", "three.example."] {
        let (answer, _) = ask(server, name);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(!answer.metadata.truncation);
        let RData::TXT(text) = &answer.answers[0].data else { panic!("a TXT was asked for") };
        assert_eq!(text.txt_data.len(), STRINGS);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "one connection for all three");
    assert!(has_thread());
}

#[test]
fn an_upstream_whose_tcp_is_dead_is_a_failure_with_a_reason_and_not_a_half_answer() {
    let upstream = Upstream::start(true);
    let running = server(&upstream);
    let (answer, bytes) = ask(running.addresses()[0], "one.example.");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(answer.answers.is_empty());
    assert!(upstream.connections.load(Ordering::SeqCst) > 0, "TCP was tried");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let reason = format!("upstream {}: connection ", upstream.addr);
    assert!(text.contains(&reason), "{text:?} says what went wrong");
}
