//! One case of each kind of upstream over real datagrams, through the whole server; scenarios have them all in memory.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(dead_code, reason = "each test binary uses a part of what it shares")]

#[path = "scenarios/bytes.rs"]
mod bytes;
mod harness;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Asked, Got, Rr, answer, query};
use harness::{Client, Via, start_unsynced};
use signpost::app::{Running, ServeOptions};

/// An upstream on a port of its own, and what it says to a query: any number of datagrams.
struct Fake {
    /// Where it is.
    addr: SocketAddr,
    /// How often it was asked.
    asked: Arc<AtomicUsize>,
    /// Set to end it.
    over: Arc<AtomicBool>,
    /// Its thread.
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Starts one that says what `says` returns.
    fn start(says: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let addr = socket.local_addr().unwrap();
        let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (asked.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                for datagram in says(&Asked::read(&buffer[..length])) {
                    socket.send_to(&datagram, peer).unwrap();
                }
            }
        });
        Self { addr, asked, over, thread: Some(thread) }
    }

    /// How often it was asked.
    fn count(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the upstream panicked");
        }
    }
}

/// The record of all sound answers.
fn good() -> Rr {
    Rr::read(0, &["@", "60", "A", "192.0.2.7"]).unwrap()
}

/// A sound answer.
fn sound(asked: &Asked) -> Vec<u8> {
    answer(asked, 0, &[good()], &[])
}

/// A forged one, tampered with.
fn forged(asked: &Asked, how: &str) -> Vec<u8> {
    answer(asked, 0, &[Rr::read(0, &["@", "60", "A", "6.6.6.6"]).unwrap()], &[how.to_owned()])
}

/// A server that asks these.
fn server(upstreams: &[SocketAddr]) -> Running {
    let to: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    let corefile = format!(".:0 {{\n    bind 127.0.0.1\n    forward . {}\n}}\n", to.join(" "));
    start_unsynced(&corefile, ServeOptions { workers: 2, ..ServeOptions::default() })
}

/// Asks for a name by a datagram.
fn ask(running: &Running, name: &str) -> Got {
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    let reply = client.exchange(&query(77, name, 1, &[])).expect("a reply within the harness's patience");
    let (id, got) = Got::read(&reply);
    assert_eq!(id, 77);
    got
}

/// Asserts that a reply has the good record.
fn is_good(got: &Got) {
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(got.records.iter().map(|record| record.data.as_str()).collect::<Vec<_>>(), ["192.0.2.7"]);
}

#[test]
fn a_sound_answer_goes_to_the_client_over_udp_and_tcp() {
    let upstream = Fake::start(|asked| vec![sound(asked)]);
    let running = server(&[upstream.addr]);
    for mut client in Client::all(&running.addresses()) {
        let reply = client.exchange(&query(9, "www.example.org", 1, &[])).expect("a reply");
        is_good(&Got::read(&reply).1);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn what_is_no_answer_is_ignored_and_the_answer_awaited() {
    let upstream = Fake::start(|asked| {
        let wrong =
            ["wrong id", "wrong name", "no question", "qr 0", "3 bytes", "garbage", "a compression loop"];
        let mut all: Vec<Vec<u8>> = wrong.iter().map(|how| forged(asked, how)).collect();
        all.push(sound(asked));
        all
    });
    let running = server(&[upstream.addr]);
    for number in 0..20 {
        is_good(&ask(&running, &format!("n{number}.example.org")));
    }
    assert_eq!(upstream.count(), 20, "nothing is asked again");
}

#[test]
fn a_closed_port_is_told_by_the_kernel_and_the_next_one_asked() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = Fake::start(|asked| vec![sound(asked)]);
    let running = server(&[closed, upstream.addr]);
    for number in 0..20 {
        is_good(&ask(&running, &format!("n{number}.example.org")));
    }
    let alone = server(&[closed]);
    let got = ask(&alone, "www.example.org");
    assert_eq!(got.code, 2);
    let (code, text) = got.ede.expect("a reason");
    assert_eq!(code, 22);
    assert!(text.contains(&closed.to_string()) && text.contains("refused"), "{text}");
}

#[test]
fn a_refusal_is_tried_at_the_next_one() {
    let first = Fake::start(|asked| vec![answer(asked, 2, &[], &[])]);
    let second = Fake::start(|asked| vec![sound(asked)]);
    let running = server(&[first.addr, second.addr]);
    for number in 0..20 {
        is_good(&ask(&running, &format!("n{number}.example.org")));
    }
    assert!(first.count() > 0, "the policy is random: one of twenty was the first one's");
    let alone = server(&[first.addr]);
    assert_eq!(ask(&alone, "www.example.org").code, 2);
}

#[test]
fn a_silent_one_is_left_for_the_next_one() {
    let silent = Fake::start(|_| Vec::new());
    let upstream = Fake::start(|asked| vec![sound(asked)]);
    let running = server(&[silent.addr, upstream.addr]);
    for number in 0..10 {
        is_good(&ask(&running, &format!("n{number}.example.org")));
    }
}

#[test]
fn where_all_are_silent_the_client_is_told_in_time() {
    let silent = Fake::start(|_| Vec::new());
    let running = server(&[silent.addr]);
    let got = ask(&running, "www.example.org");
    assert_eq!(got.code, 2);
    let (code, text) = got.ede.expect("a reason");
    assert_eq!(code, 22);
    assert!(text.contains(&silent.addr.to_string()), "{text}");
}

#[test]
fn many_clients_and_one_question_are_one_query_of_each_worker() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let upstream = Fake::start(move |asked| {
        // Until all have asked.
        let _ = held.lock().unwrap().recv_timeout(Duration::from_millis(150));
        vec![sound(asked)]
    });
    let running = server(&[upstream.addr]);
    let mut clients: Vec<Client> = (0..200).map(|_| Client::new(Via::Udp, running.addresses()[0])).collect();
    for client in &mut clients {
        client.send(&query(5, "www.example.org", 1, &[]));
    }
    hold.send(()).unwrap();
    for client in &mut clients {
        let reply = client.receive(harness::PATIENCE).expect("every client has a reply");
        is_good(&Got::read(&reply).1);
    }
    // Two workers; an answer between two clients' questions makes another query at most now and then.
    assert!(upstream.count() <= 8, "{} queries", upstream.count());
}

#[test]
fn a_server_that_ends_answers_those_who_wait() {
    let upstream = Fake::start(|asked| {
        std::thread::yield_now();
        vec![sound(asked)]
    });
    let running = server(&[upstream.addr]);
    let mut clients: Vec<Client> = (0..50).map(|_| Client::new(Via::Udp, running.addresses()[0])).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&query(5, &format!("n{number}.example.org"), 1, &[]));
    }
    running.stop();
    for client in &mut clients {
        let reply = client.receive(harness::PATIENCE).expect("every client has a reply");
        is_good(&Got::read(&reply).1);
    }
}
