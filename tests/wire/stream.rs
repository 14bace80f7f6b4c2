//! W58 to W67: streams. Limits are set small; nothing sleeps, and no time is measured: a read that would wait is the pace.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use signpost::app::ServeOptions;

use crate::message::{A, Message, Reply, SERVFAIL, TXT};
use crate::server::{PATIENCE, Server, Stream, corefile, is_closed, is_sentinel, plain, sentinel};

/// Longer than any test runs: a limit that must not be the one that acts.
const NEVER: Duration = Duration::from_secs(3600);
/// A limit that acts soon.
const SOON: Duration = Duration::from_millis(200);

/// A question for a Service of the demo.
fn web(id: u16) -> Message {
    Message::query("web.shop.svc.cluster.local", A).id(id)
}

/// Sends queries in one write and demands every answer, in any order.
fn pipeline(server: &Server, count: u16) {
    for &address in &server.addresses {
        let mut stream = Stream::open(address);
        let bytes: Vec<u8> = (0..count).flat_map(|id| web(id).frame()).collect();
        stream.send_all(&bytes);
        let mut seen = BTreeSet::new();
        for _ in 0..count {
            let reply = Reply::read(&stream.receive().expect("every query of the write is answered"));
            assert_eq!(reply.answers.len(), 1);
            assert!(seen.insert(reply.id), "each once");
        }
        assert_eq!(seen.len(), usize::from(count));
        assert!(plain(address), "I1");
    }
}

#[test]
fn w58_50_queries_in_one_write() {
    pipeline(&Server::demo(), 50);
}

#[test]
fn w58_300_queries_in_one_write() {
    pipeline(&Server::demo(), 300);
}

#[test]
fn w58_more_queries_than_may_be_in_flight() {
    let server = Server::demo_with(|options| options.stream.in_flight = 4);
    pipeline(&server, 1_000);
}

/// A query whose answer has 42 kB.
fn wide(id: u16) -> Message {
    Message::query("wide.big.svc.cluster.local", A).id(id)
}

/// Takes the answers to `wide(0)` to `wide(count - 1)`, in any order.
fn take_wide(stream: &mut Stream, count: u16) {
    let mut seen = BTreeSet::new();
    for taken in 0..count {
        let bytes = stream.receive().unwrap_or_else(|| panic!("closed after {taken} of {count} answers"));
        let reply = Reply::read(&bytes);
        assert_eq!(reply.answers.len(), 2_600);
        assert!(seen.insert(reply.id), "each once");
    }
}

#[test]
fn w58_large_answers_to_many_queries_in_one_write() {
    let server = Server::large();
    let mut stream = Stream::open(server.v4());
    // More than a megabyte of answers to 1 kB of queries, and nothing more comes from the client.
    let bytes: Vec<u8> = (0..30).flat_map(|id| wide(id).frame()).collect();
    stream.send_all(&bytes);
    take_wide(&mut stream, 30);
    assert!(plain(server.v4()), "I1");
}

/// A server whose manifests are not there yet, so that cluster names wait.
fn unsynced(patience: &str, change: impl FnOnce(&mut ServeOptions)) -> Server {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = corefile(&folder.path().join("later"), &format!("startup_timeout {patience}"));
    Server::start(&text, Some(folder), change)
}

#[test]
fn w59_a_query_that_waits_holds_nobody_back() {
    let server = unsynced("3s", |_| {});
    let mut stream = Stream::open(server.v4());
    let mut bytes = web(1).frame();
    bytes.extend(sentinel(2).frame());
    stream.send_all(&bytes);
    let first = stream.receive().expect("an answer");
    assert!(is_sentinel(&first, 2), "the fast one overtakes: {first:02x?}");
    assert!(server.counter("waited") >= 1, "the other one waits");
    // And again on the same connection while the first still waits.
    stream.send_all(&sentinel(3).frame());
    assert!(is_sentinel(&stream.receive().expect("an answer"), 3));
    // The one that waited gets its reply as well: not ready.
    let last = Reply::read(&stream.receive().expect("the one that waited"));
    assert_eq!((last.id, last.rcode()), (1, SERVFAIL));
    assert!(plain(server.v4()), "I1");
}

#[test]
fn w59_a_query_that_waits_is_answered_when_the_cluster_is_there() {
    let server = unsynced("60s", |_| {});
    let mut stream = Stream::open(server.v4());
    stream.send_all(&web(1).frame());
    stream.send_all(&sentinel(2).frame());
    assert!(is_sentinel(&stream.receive().expect("an answer"), 2));
    let folder = server.folder.as_ref().expect("a folder of its own").path();
    let text = std::fs::read_to_string(crate::server::demo_folder().join("shop.yaml")).expect("the demo")
        + "\n---\n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"shop\"}}\n";
    std::fs::create_dir(folder.join("made")).expect("a folder");
    std::fs::write(folder.join("made/shop.yaml"), text).expect("a manifest");
    std::fs::rename(folder.join("made"), folder.join("later")).expect("moving it into place");
    let reply = Reply::read(&stream.receive().expect("the one that waited"));
    // The whole time that a query has is bounded, so on a slow machine it may run out first.
    assert_eq!(reply.id, 1);
    assert!(reply.answers.len() == 1 || reply.rcode() == SERVFAIL, "{reply:?}");
    server.wait();
    assert!(stream.ask(&web(3)).is_some_and(|reply| reply.answers.len() == 1));
}

#[test]
fn w59_queries_in_flight_are_bounded_and_all_answered() {
    let server = unsynced("1s", |options| options.stream.in_flight = 4);
    let mut stream = Stream::open(server.v4());
    let bytes: Vec<u8> = (0..20).flat_map(|id| web(id).frame()).collect();
    stream.send_all(&bytes);
    // UDP and another connection are served while this one is full.
    assert!(plain(server.v4()));
    let mut other = Stream::open(server.v4());
    other.send_all(&sentinel(7).frame());
    assert!(is_sentinel(&other.receive().expect("an answer"), 7));
    let ids: BTreeSet<u16> = (0..20).filter_map(|_| stream.receive()).map(|r| Reply::read(&r).id).collect();
    assert_eq!(ids.len(), 20);
}

#[test]
fn w59_a_connection_that_goes_while_its_query_waits() {
    let server = unsynced("1s", |_| {});
    for _ in 0..20 {
        let mut stream = Stream::open(server.v4());
        stream.send_all(&web(1).frame());
        stream.send_all(&sentinel(2).frame());
        assert!(is_sentinel(&stream.receive().expect("an answer"), 2));
    }
    let mut stream = Stream::open(server.v4());
    assert!(stream.ask(&web(3)).is_some_and(|reply| reply.id == 3 && reply.rcode() == SERVFAIL));
    assert!(plain(server.v4()), "I1");
}

#[test]
fn w60_one_byte_a_segment() {
    let server = Server::demo();
    for &address in &server.addresses {
        let mut stream = Stream::open(address);
        for id in 0..3 {
            for byte in web(id).frame() {
                stream.send_all(&[byte]);
            }
            let reply = Reply::read(&stream.receive().expect("an answer"));
            assert_eq!((reply.id, reply.answers.len()), (id, 1));
        }
        assert!(plain(address), "I1");
    }
}

#[test]
fn w60_length_and_body_in_segments_of_their_own() {
    let server = Server::demo();
    let mut stream = Stream::open(server.v4());
    let (one, two) = (web(1).frame(), web(2).frame());
    let cut = one.len() + 1;
    let both = [one.clone(), two].concat();
    // Length alone; body with the first byte of the next length; the rest.
    for piece in [&both[..2], &both[2..cut], &both[cut..]] {
        stream.send_all(piece);
        assert!(plain(server.v4()), "I1, and time for the segment to arrive");
    }
    for _ in 0..2 {
        assert_eq!(Reply::read(&stream.receive().expect("an answer")).answers.len(), 1);
    }
}

/// Junk before a good query: skipped, or the connection ends; a new connection is served either way.
fn junk(server: &Server, bytes: &[u8]) {
    for &address in &server.addresses {
        let mut stream = Stream::open(address);
        stream.send_all(&[bytes, &sentinel(9).frame()].concat());
        let mut others = 0;
        while let Some(reply) = stream.receive() {
            if is_sentinel(&reply, 9) {
                break;
            }
            others += 1;
            assert!(reply.len() <= bytes.len(), "I3");
        }
        assert!(others <= 1, "one reply to it at most");
        let mut next = Stream::open(address);
        assert!(next.ask(&web(1)).is_some_and(|reply| reply.answers.len() == 1), "I1 over TCP");
        assert!(plain(address), "I1");
    }
}

#[test]
fn w61_length_0_before_a_query() {
    let server = Server::demo();
    junk(&server, &[0, 0]);
    junk(&server, &[0; 64]);
}

#[test]
fn w61_junk_before_a_query() {
    let server = Server::demo();
    junk(&server, &[0, 5, 1, 2, 3, 4, 5]);
    junk(&server, &[&[0, 40][..], &[0xff; 40]].concat());
    junk(&server, &[&[0, 12][..], &Message::empty().counts([0xffff; 4]).bytes()].concat());
}

#[test]
fn w61_http_and_tls_on_this_port() {
    let server = Server::demo_with(|options| options.stream.partial = SOON);
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut stream = Stream::open(server.v4());
        stream.send_all(bytes);
        // Read as a length it promises much more: partial, so it is closed.
        while stream.receive().is_some() {}
        assert!(plain(server.v4()), "I1");
    }
}

#[test]
fn w62_half_close_after_the_query() {
    let server = Server::demo();
    for &address in &server.addresses {
        for count in [1, 20] {
            let mut stream = Stream::open(address);
            let bytes: Vec<u8> = (0..count).flat_map(|id| web(id).frame()).collect();
            stream.send_all(&bytes);
            stream.0.shutdown(Shutdown::Write).expect("half-close");
            for _ in 0..count {
                assert_eq!(Reply::read(&stream.receive().expect("the answer first")).answers.len(), 1);
            }
            assert_eq!(stream.receive(), None, "then the end");
        }
        assert!(plain(address), "I1");
    }
}

#[test]
fn w62_half_close_while_a_query_waits() {
    let server = unsynced("1s", |_| {});
    let mut stream = Stream::open(server.v4());
    stream.send_all(&web(1).frame());
    stream.0.shutdown(Shutdown::Write).expect("half-close");
    let reply = Reply::read(&stream.receive().expect("the answer first"));
    assert_eq!((reply.id, reply.rcode()), (1, SERVFAIL));
    assert_eq!(stream.receive(), None, "then the end");
}

#[test]
fn w62_half_close_with_more_queries_than_may_be_in_flight() {
    let server = unsynced("1s", |options| options.stream.in_flight = 4);
    let mut stream = Stream::open(server.v4());
    let bytes: Vec<u8> = (0..20).flat_map(|id| web(id).frame()).collect();
    stream.send_all(&bytes);
    stream.0.shutdown(Shutdown::Write).expect("half-close");
    let mut ids = BTreeSet::new();
    while let Some(reply) = stream.receive() {
        ids.insert(Reply::read(&reply).id);
    }
    assert_eq!(ids.len(), 20, "every query has its answer before the end");
}

#[test]
fn w62_half_close_with_large_answers_to_come() {
    let server = Server::large();
    let mut stream = Stream::open(server.v4());
    let bytes: Vec<u8> = (0..30).flat_map(|id| wide(id).frame()).collect();
    stream.send_all(&bytes);
    stream.0.shutdown(Shutdown::Write).expect("half-close");
    take_wide(&mut stream, 30);
    assert_eq!(stream.receive(), None, "then the end");
}

/// Whether the server ends the connection after these bytes.
fn ends_after(server: &Server, bytes: &[u8]) {
    let mut stream = Stream::open(server.v4());
    stream.send_all(bytes);
    let mut rest = Vec::new();
    match stream.0.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert!(is_closed(&error), "still open after {PATIENCE:?}: {error}"),
    }
    assert!(rest.is_empty(), "nothing is said to it: {rest:02x?}");
    assert!(plain(server.v4()), "I1");
}

#[test]
fn w63_a_silent_connection_is_closed() {
    let server = Server::demo_with(|options| {
        options.stream.idle = SOON;
        options.stream.partial = NEVER;
    });
    ends_after(&server, b"");
}

#[test]
fn w63_part_of_a_message_is_closed() {
    let server = Server::demo_with(|options| {
        options.stream.idle = NEVER;
        options.stream.partial = SOON;
    });
    let whole = web(1).frame();
    for length in [1, 2, 3, 14, whole.len() - 1] {
        ends_after(&server, &whole[..length]);
    }
    // Behind a whole query too.
    let mut stream = Stream::open(server.v4());
    stream.send_all(&[&whole[..], &whole[..5]].concat());
    assert!(stream.receive().is_some());
    assert_eq!(stream.receive(), None);
}

#[test]
fn w63_dripping_does_not_extend_the_time() {
    let server = Server::demo_with(|options| {
        options.stream.idle = Duration::from_secs(2);
        options.stream.partial = Duration::from_millis(400);
    });
    let mut stream = Stream::open(server.v4());
    stream.0.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    // A message of 60,000 bytes, one byte each time that a short read found nothing.
    stream.send_all(&60_000_u16.to_be_bytes());
    let mut dripped = 0;
    let mut byte = [0];
    loop {
        match stream.0.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => panic!("half a message was answered"),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) if is_closed(&error) => break,
            Err(error) => panic!("reading: {error}"),
        }
        if stream.0.write_all(&[0]).is_err() {
            break;
        }
        dripped += 1;
        // 200 bytes are at least 10 seconds.
        assert!(dripped < 200, "the limit is for the whole message, not for each byte");
    }
    assert!(plain(server.v4()), "I1");
}

#[test]
fn w63_a_message_that_the_server_does_not_read_is_not_late() {
    // One query may wait; the next has begun, and its rest is sent, while the server reads nothing from this connection.
    let server = unsynced("1s", |options| {
        options.stream.in_flight = 1;
        options.stream.partial = SOON;
    });
    let mut stream = Stream::open(server.v4());
    let next = sentinel(2).frame();
    stream.send_all(&[&web(1).frame()[..], &next[..5]].concat());
    let arrived = (0..1_000).any(|_| plain(server.v4()) && server.counter("waited") >= 1);
    assert!(arrived, "the first query waits");
    stream.send_all(&next[5..]);
    let first = Reply::read(&stream.receive().expect("the answer to the query that waited"));
    assert_eq!((first.id, first.rcode()), (1, SERVFAIL));
    assert!(is_sentinel(&stream.receive().expect("and to the next"), 2));
}

#[test]
fn w64_idle_after_an_answer_is_closed() {
    let server = Server::demo_with(|options| {
        options.stream.idle = SOON;
        options.stream.partial = NEVER;
    });
    let mut stream = Stream::open(server.v4());
    assert!(stream.ask(&web(1)).is_some());
    assert_eq!(stream.receive(), None, "closed after the idle time");
    assert!(plain(server.v4()), "I1");
}

#[test]
fn w64_a_connection_in_use_stays_open() {
    let server = Server::demo_with(|options| options.stream.idle = Duration::from_secs(2));
    let mut stream = Stream::open(server.v4());
    let pause = Duration::from_millis(250);
    for id in 0..12 {
        assert!(stream.ask(&web(id)).is_some(), "in use for longer than the idle time");
        stream.0.set_read_timeout(Some(pause)).expect("a timeout");
        let mut byte = [0];
        let error = stream.0.read(&mut byte).expect_err("nothing comes unasked, nor does the end");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        stream.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    }
}

/// A receive buffer that is small, but not so small that TCP over loopback goes by its timers. Unit: bytes.
const WINDOW: usize = 64 * 1024;

/// A connection from an address of ours, with a receive buffer of its own size.
fn connect_from(own: Ipv4Addr, server: SocketAddr, buffer: Option<usize>) -> io::Result<Stream> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if let Some(size) = buffer {
        sockopt::set_socket_recv_buffer_size(&fd, size)?;
    }
    bind(&fd, &SocketAddr::new(IpAddr::V4(own), 0))?;
    connect(&fd, &server)?;
    Ok(Stream::of(TcpStream::from(fd)))
}

#[test]
fn w65_a_client_that_never_reads_is_closed() {
    let server = Server::large_with(|options| {
        options.stream.write = SOON;
        options.stream.idle = NEVER;
        options.stream.partial = NEVER;
    });
    let before = server.counter("replies");
    // 1,000 queries a write, 42 MB of answers each time; the buffers on the way fill up, then a write waits for the server.
    let queries: Vec<u8> = wide(0).frame().repeat(1_000);
    let mut stream = connect_from(Ipv4Addr::LOCALHOST, server.v4(), Some(WINDOW)).expect("a connection");
    let ended = (0..2_000).find_map(|_| stream.0.write_all(&queries).err());
    let error = ended.expect("a server that takes 80 MB of queries has no bound");
    assert!(is_closed(&error), "the server takes no more, and does not close: {error}");
    assert!(plain(server.v4()), "I1");
    let replies = server.counter("replies") - before;
    assert!(replies < 1_500, "{replies} answers of 42 kB were made for a client that reads none");
    // Others are served.
    let mut other = Stream::open(server.v4());
    assert!(other.ask(&Message::query("fit512.bound.svc.cluster.local", A)).is_some());
}

#[test]
fn w65_a_slow_reader_gets_everything() {
    // Slow but alive: one answer after the other through a window that holds little more than one.
    let server = Server::large();
    let mut stream = connect_from(Ipv4Addr::LOCALHOST, server.v4(), Some(WINDOW)).expect("a connection");
    let bytes: Vec<u8> = (0..30).flat_map(|id| wide(id).frame()).collect();
    stream.send_all(&bytes);
    for _ in 0..20 {
        // Others are asked meanwhile, so the kernel's buffers have time to fill.
        assert!(plain(server.v4()), "I1");
    }
    take_wide(&mut stream, 30);
}

/// Whether the server serves this connection.
fn served(stream: &mut Stream) -> bool {
    stream.send_all(&sentinel(5).frame());
    stream.receive().is_some_and(|reply| is_sentinel(&reply, 5))
}

#[test]
fn w66_connections_of_one_client_are_capped() {
    let server = Server::demo_with(|options| {
        options.stream.per_client = 8;
        options.stream.connections = 100;
    });
    let one = Ipv4Addr::LOCALHOST;
    let mut held: Vec<Stream> =
        (0..14).map(|_| connect_from(one, server.v4(), None).expect("a connection")).collect();
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.v4(), None).expect("a connection");
    assert!(served(&mut other), "another client is served, once all before it were looked at");
    let alive = held.iter_mut().filter_map(|stream| served(stream).then_some(())).count();
    assert_eq!(alive, 8, "as many as one client may have");
    // A client may see the end of its connection before it is counted.
    let counted = (0..200).any(|_| {
        let enough = server.counter("connections_refused") >= 6;
        if !enough {
            std::thread::sleep(Duration::from_millis(10));
        }
        enough
    });
    assert!(counted, "{} refusals", server.counter("connections_refused"));
    assert!(plain(server.v4()), "UDP goes on");
    // What is closed makes room.
    drop(held);
    let again =
        (0..200).any(|_| connect_from(one, server.v4(), None).is_ok_and(|mut stream| served(&mut stream)));
    assert!(again, "the places are free again");
}

#[test]
fn w66_connections_are_capped_in_all() {
    let server = Server::demo_with(|options| {
        options.stream.per_client = 8;
        options.stream.connections = 20;
    });
    let mut held: Vec<Stream> = (0..40_u8)
        .map(|i| connect_from(Ipv4Addr::new(127, 0, 1, 1 + i / 5), server.v4(), None).expect("a connection"))
        .collect();
    // Connections are taken in their order: once this one is served, all were looked at, and it has the place of one of them.
    let mut last = connect_from(Ipv4Addr::new(127, 0, 1, 100), server.v4(), None).expect("a connection");
    assert!(served(&mut last), "idle ones keep nobody out");
    let alive = held.iter_mut().filter_map(|stream| served(stream).then_some(())).count();
    assert_eq!(alive, 19, "as many as there may be");
    assert!(plain(server.v4()), "UDP goes on");
    drop(held);
    let new = Ipv4Addr::new(127, 0, 2, 1);
    let again =
        (0..200).any(|_| connect_from(new, server.v4(), None).is_ok_and(|mut stream| served(&mut stream)));
    assert!(again, "a new client is served");
}

#[test]
fn w66_1200_idle_connections() {
    // Both ends are in this process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current.is_some_and(|current| current < 4_000) {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if limit.maximum.is_some_and(|maximum| maximum < 4_000)
            || rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).is_err()
        {
            eprintln!("not run: only {:?} files may be open", limit.current);
            return;
        }
    }
    let server = Server::demo_with(|_| {});
    let mut held: Vec<Stream> = (0..1_200)
        .map(|_| connect_from(Ipv4Addr::LOCALHOST, server.v4(), None).expect("a connection"))
        .collect();
    assert!(plain(server.v4()), "UDP goes on");
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 3), server.v4(), None).expect("a connection");
    assert!(served(&mut other), "another client is served");
    let alive = held.iter_mut().filter_map(|stream| served(stream).then_some(())).count();
    assert!((1..=256).contains(&alive), "{alive} of one client");
    assert!(plain(server.v4()), "UDP goes on");
}

#[test]
fn w67_reset_while_a_reply_is_written() {
    let server = Server::large();
    let bytes: Vec<u8> = (0..40).flat_map(|id| wide(id).frame()).collect();
    for round in 0..30 {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST, server.v4(), Some(WINDOW)).expect("a connection");
        sockopt::set_socket_linger(&stream.0, Some(Duration::ZERO)).expect("linger");
        stream.send_all(&bytes);
        if round % 2 == 0 {
            // A little of the first answer, so that writing has begun.
            let mut some = [0; 64];
            let _ = stream.0.read(&mut some);
        }
        drop(stream);
        assert!(plain(server.v4()), "I1");
    }
    let mut stream = Stream::open(server.v4());
    assert!(stream.ask(&Message::query("fit512.bound.svc.cluster.local", A)).is_some());
    assert_eq!(server.counter("panics"), 0);
}

#[test]
fn w67_reset_before_anything_is_read() {
    let server = Server::demo();
    for _ in 0..50 {
        let stream = Stream::open(server.v4());
        sockopt::set_socket_linger(&stream.0, Some(Duration::ZERO)).expect("linger");
        drop(stream);
    }
    let mut stream = Stream::open(server.v4());
    assert!(stream.ask(&Message::query("dns-version.cluster.local", TXT)).is_some());
    assert!(plain(server.v4()), "I1");
}
