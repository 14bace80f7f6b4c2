//! A collector's side, written from the protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;

/// Long enough for what happens at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A word.
fn word(stream: &mut impl Read) -> u32 {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    u32::from_be_bytes(bytes)
}

/// Bytes.
fn bytes(stream: &mut impl Read, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A control frame: kind and the rest; its escape was read.
fn control(stream: &mut impl Read) -> (u32, Vec<u8>) {
    let length = word(stream);
    let mut body = bytes(stream, length);
    let rest = body.split_off(4);
    (u32::from_be_bytes(*body.first_chunk().unwrap()), rest)
}

/// The one field that names the content.
fn content() -> Vec<u8> {
    let mut field = vec![0, 0, 0, 1, 0, 0, 0, 22];
    field.extend_from_slice(b"protobuf:dnstap.Dnstap");
    field
}

/// Sends a control frame.
fn tell(stream: &mut impl Write, kind: u8, rest: &[u8]) {
    let length = u32::try_from(4 + rest.len()).unwrap();
    stream.write_all(&[0; 4]).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(&[0, 0, 0, kind]).unwrap();
    stream.write_all(rest).unwrap();
}

/// Opens a stream as a collector does.
fn accept(stream: &mut (impl Read + Write)) {
    assert_eq!(word(stream), 0);
    assert_eq!(control(stream), (4, content()), "READY");
    tell(stream, 1, &content());
    assert_eq!(word(stream), 0);
    assert_eq!(control(stream), (2, content()), "START");
}

/// The next message; `None` at the end, which is answered.
fn message(stream: &mut (impl Read + Write)) -> Option<Vec<u8>> {
    match word(stream) {
        0 => {
            assert_eq!(control(stream), (3, Vec::new()), "STOP");
            tell(stream, 5, &[]);
            None
        }
        length => Some(bytes(stream, length)),
    }
}

/// A line for this endpoint.
fn spec(endpoint: Endpoint) -> TapSpec {
    TapSpec { endpoint, side: Side::Connect { verify: true }, buffer: 1, queue: 1 }
}

/// The specification of one who listens.
fn listening(endpoint: Endpoint) -> TapSpec {
    TapSpec { side: Side::Listen { identity: None, authority: None, verify: true }, ..spec(endpoint) }
}

/// Starts the thread of a specification.
fn start(spec: TapSpec) -> (Arc<Outlet>, Sink) {
    let outlet = Arc::new(Outlet::new(spec, "host".to_owned()));
    (outlet.clone(), Sink::start(outlet).unwrap())
}

#[test]
fn an_event_is_written_field_by_field() {
    let event = Event {
        kind: Kind::ClientResponse,
        socket: Socket::Tcp,
        query: Some(SocketAddr::from(([192, 0, 2, 1], 4711))),
        response: None,
        asked: Duration::new(300, 5),
        answered: Some(Duration::new(301, 256)),
        message: Some(b"wire"),
    };
    let inner = [
        &[1 << 3, 6, 2 << 3, 1, 3 << 3, 2][..],
        &[4 << 3 | 2, 4, 192, 0, 2, 1],
        &[6 << 3, 0xe7, 0x24],
        &[8 << 3, 0xac, 2],
        &[9 << 3 | 5, 5, 0, 0, 0],
        &[12 << 3, 0xad, 2],
        &[13 << 3 | 5, 0, 1, 0, 0],
        &[14 << 3 | 2, 4, b'w', b'i', b'r', b'e'],
    ]
    .concat();
    let expected = [
        &[1 << 3 | 2, 2, b'm', b'e', 2 << 3 | 2, 1, b'v', 3 << 3 | 2, 1, b'x'][..],
        &[14 << 3 | 2, u8::try_from(inner.len()).unwrap()],
        &inner,
        &[15 << 3, 1],
    ]
    .concat();
    assert_eq!(encode(&event, b"me", b"v", b"x"), expected);
    // Of six bytes and more are addresses of the other family, and what is unknown is left out.
    let six = Event {
        query: Some("[2001:db8::1]:53".parse().unwrap()),
        message: None,
        answered: None,
        kind: Kind::ForwarderQuery,
        ..event
    };
    let written = encode(&six, b"", b"", b"");
    assert_eq!(
        written.first_chunk(),
        Some(&[14 << 3 | 2, 34, 1 << 3, 7, 2 << 3, 2, 3 << 3, 2, 4 << 3 | 2, 16])
    );
}

#[test]
fn messages_reach_a_collector_and_the_stream_ends_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (outlet, sink) = start(spec(Endpoint::Tcp(listener.local_addr().unwrap().to_string())));
    outlet.push(b"before".to_vec());
    let (mut stream, _) = listener.accept().unwrap();
    accept(&mut stream);
    assert_eq!(message(&mut stream).as_deref(), Some(&b"before"[..]));
    outlet.push(b"after".to_vec());
    assert_eq!(message(&mut stream).as_deref(), Some(&b"after"[..]));
    outlet.push(b"last".to_vec());
    let ends = std::thread::spawn(move || drop(sink));
    assert_eq!(message(&mut stream).as_deref(), Some(&b"last"[..]));
    assert_eq!(message(&mut stream), None);
    ends.join().unwrap();
    assert_eq!(outlet.counts(), (3, 0));
}

#[test]
fn a_collector_that_went_away_is_connected_to_again_and_what_waits_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tap");
    let (outlet, sink) = start(spec(Endpoint::Unix(path.clone())));
    // Nobody is there yet.
    outlet.push(b"first".to_vec());
    let listener = UnixListener::bind(&path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    accept(&mut stream);
    assert_eq!(message(&mut stream).as_deref(), Some(&b"first"[..]));
    drop(stream);
    // A few are lost until the kernel says that nobody reads; those are counted.
    listener.set_nonblocking(true).unwrap();
    let mut pushed = 1;
    let (mut stream, _) = loop {
        outlet.push(b"more".to_vec());
        pushed += 1;
        match listener.accept() {
            Ok(came) => break came,
            Err(_) => std::thread::yield_now(),
        }
    };
    stream.set_nonblocking(false).unwrap();
    accept(&mut stream);
    assert_eq!(message(&mut stream).as_deref(), Some(&b"more"[..]));
    let ends = std::thread::spawn(move || drop(sink));
    while message(&mut stream).is_some() {}
    ends.join().unwrap();
    let (sent, dropped) = outlet.counts();
    assert_eq!(sent + dropped, pushed);
    assert!(sent > 1, "{sent} of {pushed}");
}

#[test]
fn a_full_queue_drops_and_counts_and_nobody_waits() {
    let outlet = Outlet::new(spec(Endpoint::Tcp("192.0.2.1:1".to_owned())), String::new());
    for _ in 0..10_007 {
        outlet.push(vec![0; 10]);
    }
    assert_eq!(outlet.counts(), (0, 7));
    let outlet = Outlet::new(spec(Endpoint::Tcp("192.0.2.1:1".to_owned())), String::new());
    for _ in 0..300 {
        outlet.push(vec![0; 65_536]);
    }
    assert_eq!(outlet.counts(), (0, 300 - 256), "16 MiB");
}

#[test]
fn who_listens_serves_all_who_come_and_keeps_nothing_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tap");
    let (outlet, sink) = start(listening(Endpoint::Unix(path.clone())));
    assert!(!outlet.open());
    let come = |path: &Path| {
        let mut stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        accept(&mut stream);
        stream
    };
    let (mut one, mut two) = (come(&path), come(&path));
    while !outlet.open() {
        std::thread::yield_now();
    }
    // Both are served by the time that a message of each reached them.
    let mut seen = false;
    while !seen {
        outlet.push(b"to both".to_vec());
        assert_eq!(message(&mut one).as_deref(), Some(&b"to both"[..]));
        two.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut length = [0; 4];
        seen = two.read_exact(&mut length).is_ok();
    }
    two.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(bytes(&mut two, 7), b"to both");
    let ends = std::thread::spawn(move || drop(sink));
    assert_eq!(message(&mut one), None);
    assert_eq!(message(&mut two), None);
    ends.join().unwrap();
}

#[test]
fn what_is_no_collector_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_outlet, _sink) = start(spec(Endpoint::Tcp(listener.local_addr().unwrap().to_string())));
    for answer in [
        &b"HTTP/1.1 400 Bad"[..],
        &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5],
    ] {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        assert_eq!(word(&mut stream), 0);
        assert_eq!(control(&mut stream).0, 4, "READY");
        stream.write_all(answer).unwrap();
        let mut rest = Vec::new();
        // It closes, and comes again.
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
}

/// A certificate of its own for `localhost` with its key, in files.
fn certificate(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

#[test]
fn an_encrypted_collector_is_told_only_if_its_certificate_may_be_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let config = super::link::server((&certificate, &key), None, true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tls(format!("localhost:{}", listener.local_addr().unwrap().port()));
    let serve = || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), stream)
    };
    let (outlet, sink) = start(spec(endpoint.clone()));
    outlet.push(b"secret".to_vec());
    let mut stream = serve();
    assert!(stream.read_exact(&mut [0; 4]).is_err(), "nothing comes");
    drop((stream, sink));
    assert_eq!(outlet.counts(), (0, 1));

    let (outlet, sink) = start(TapSpec { side: Side::Connect { verify: false }, ..spec(endpoint) });
    outlet.push(b"secret".to_vec());
    let mut stream = serve();
    accept(&mut stream);
    assert_eq!(message(&mut stream).as_deref(), Some(&b"secret"[..]));
    let ends = std::thread::spawn(move || drop(sink));
    assert_eq!(message(&mut stream), None);
    ends.join().unwrap();
}

#[test]
fn who_listens_encrypted_asks_for_certificates_where_an_authority_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    // A port that is free now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (authority, verify, served) in
        [(None, true, true), (Some(&certificate), false, true), (Some(&certificate), true, false)]
    {
        let side = Side::Listen {
            identity: Some((certificate.clone(), key.clone())),
            authority: authority.cloned(),
            verify,
        };
        let (outlet, sink) = start(TapSpec { side, ..spec(Endpoint::Tls(port.to_string())) });
        let stream = loop {
            match TcpStream::connect(port) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let config = super::link::client(false).unwrap();
        let mut stream =
            rustls::StreamOwned::new(rustls::ClientConnection::new(config, name).unwrap(), stream);
        if !served {
            // With TLS 1.3 the refusal comes with the first bytes that are read.
            assert!(stream.read_exact(&mut [0; 4]).is_err());
            assert!(!outlet.open());
            continue;
        }
        accept(&mut stream);
        while !outlet.open() {
            std::thread::yield_now();
        }
        outlet.push(b"secret".to_vec());
        assert_eq!(message(&mut stream).as_deref(), Some(&b"secret"[..]));
        let ends = std::thread::spawn(move || drop(sink));
        assert_eq!(message(&mut stream), None);
        ends.join().unwrap();
    }
}
