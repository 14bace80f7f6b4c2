//! Clients that are slow, mute, loud or not what they should be (W63 to W69): they are cut off within bounds, and nobody else
//! notices.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{NAME, Over, PATIENCE};
use crate::harness::Ask;
use crate::rig::{Rig, SOON, is_ended, push, serves};

/// A stream inside of TLS.
type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Whether an error says that the other side is gone.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof | InvalidData)
}

/// Connects and shakes hands.
pub(crate) fn tls(rig: &Rig, scheme: Scheme, alpn: &[&[u8]]) -> Result<Tls, String> {
    let config = rig.certificate.config(alpn, rustls::ALL_VERSIONS);
    tls_with(Arc::new(config), rig.connect(scheme))
}

/// Shakes hands on a connection.
pub(crate) fn tls_with(config: Arc<rustls::ClientConfig>, stream: TcpStream) -> Result<Tls, String> {
    let connection = ClientConnection::new(config, ServerName::try_from(NAME).unwrap()).unwrap();
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).map_err(|error| error.to_string())?;
    }
    Ok(tls)
}

/// A query with its length before it.
pub(crate) fn framed(question: &str, id: u16) -> Vec<u8> {
    let query = Ask::parse(question).bytes(id);
    let mut framed = u16::try_from(query.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(query);
    framed
}

/// That the server ends a stream inside of TLS.
fn tls_ends(tls: &mut Tls) {
    let mut bytes = Vec::new();
    match tls.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert!(is_closed(&error), "the connection is still open: {error}"),
    }
}

#[test]
fn w68_what_is_no_handshake_ends_the_connection() {
    let rig = Rig::new();
    let garbage = [b"\x16\x03\x01\x02\x00".to_vec(), vec![0xaa; 512]].concat();
    let clear = framed("a.test. A", 1);
    let http = b"GET /dns-query?dns=AAAA HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
    for scheme in [Scheme::Tls, Scheme::Https] {
        for bytes in [&garbage, &clear, &http, &vec![0; 70_000]] {
            let mut stream = rig.connect(scheme);
            push(&mut stream, bytes);
            let told = is_ended(&mut stream);
            assert!(told <= 7, "an alert at most: {told} bytes");
        }
    }
    rig.udp_is_served();
    rig.serves(Over::Tls);
    rig.serves(Over::Post2);
}

#[test]
fn w68_slow_handshakes_end_and_hold_nobody_back() {
    let rig = Rig::new();
    let mut slow = Vec::new();
    for scheme in [Scheme::Tls, Scheme::Https] {
        for first in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
            let mut stream = rig.connect(scheme);
            push(&mut stream, first);
            slow.push(stream);
        }
    }
    // Meanwhile everybody else is served.
    rig.udp_is_served();
    for over in Over::all() {
        rig.serves(over);
    }
    for stream in &mut slow {
        assert!(
            is_ended(stream) <= 7,
            "closed when the time for the handshake is over, with an alert at most"
        );
    }
}

#[test]
fn w68_what_is_spoken_inside_must_be_what_is_served() {
    let rig = Rig::new();
    assert!(tls(&rig, Scheme::Tls, &[]).is_ok(), "no ALPN at all is the usual thing over TLS");
    assert!(tls(&rig, Scheme::Tls, &[b"dot"]).is_ok());
    assert!(tls(&rig, Scheme::Tls, &[b"h2"]).is_err(), "nobody is led from HTTPS to here");
    assert!(tls(&rig, Scheme::Https, &[b"dot"]).is_err());
    let both = tls(&rig, Scheme::Https, &[b"http/1.1", b"h2"]).unwrap();
    assert_eq!(both.conn.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 comes first");
}

#[test]
fn w58_w59_w60_w62_streams_inside_of_tls_are_streams() {
    let rig = Rig::new();
    let mut tls = tls(&rig, Scheme::Tls, &[b"dot"]).unwrap();
    let many: Vec<u8> = (0..300).flat_map(|id| framed("a.test. A", id)).collect();
    tls.write_all(&many).unwrap();
    // A query that comes byte by byte, each in a record of its own; then nothing more.
    for byte in framed("b.test. A", 300) {
        tls.write_all(&[byte]).unwrap();
        tls.flush().unwrap();
    }
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    let mut ids = Vec::new();
    for _ in 0..301 {
        let mut length = [0; 2];
        tls.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        tls.read_exact(&mut reply).unwrap();
        ids.push(u16::from_be_bytes([reply[0], reply[1]]));
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..=300).collect::<Vec<u16>>(), "each once");
    tls_ends(&mut tls);
}

#[test]
fn w63_w64_silent_and_idle_connections_are_closed() {
    let rig = Rig::with("", |options| {
        options.stream.idle = SOON;
        options.stream.partial = SOON;
    });
    // Silent, in the middle of a message, and after an answer.
    for part in [&b""[..], &framed("a.test. A", 1)[..9], &framed("a.test. A", 1)] {
        let mut stream = tls(&rig, Scheme::Tls, &[b"dot"]).unwrap();
        stream.write_all(part).unwrap();
        tls_ends(&mut stream);
    }
    let half = b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 99\r\n\r\nab";
    for part in [&b""[..], b"GET /dns-q", half] {
        let mut stream = tls(&rig, Scheme::Https, &[b"http/1.1"]).unwrap();
        stream.write_all(part).unwrap();
        tls_ends(&mut stream);
    }
    let mut stream = tls(&rig, Scheme::Https, &[b"h2"]).unwrap();
    tls_ends(&mut stream);
    rig.udp_is_served();
}

#[test]
fn timeouts_hold_for_encrypted_connections_too() {
    let rig = Rig::with("timeouts {\n idle 1s\n read 1s\n }", |options| {
        options.stream.idle = 100 * PATIENCE;
        options.stream.partial = 100 * PATIENCE;
    });
    let half = b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 99\r\n\r\nab";
    for (scheme, alpn, part) in [
        (Scheme::Tls, &b"dot"[..], &b""[..]),
        (Scheme::Tls, b"dot", &framed("a.test. A", 1)[..9]),
        (Scheme::Https, b"http/1.1", b""),
        (Scheme::Https, b"http/1.1", half),
        (Scheme::Https, b"h2", b""),
    ] {
        let mut stream = tls(&rig, scheme, &[alpn]).unwrap();
        stream.write_all(part).unwrap();
        tls_ends(&mut stream);
    }
    rig.udp_is_served();
}

#[test]
fn w65_clients_that_never_read_are_cut_off() {
    let rig = Rig::with("", |options| {
        options.stream.write = SOON;
        options.stream.idle = SOON;
    });
    let mut stream = tls(&rig, Scheme::Tls, &[b"dot"]).unwrap();
    let many: Vec<u8> = (0..500).flat_map(|id| framed("a.test. A +opt=12:00", id)).collect();
    let ended = (0..2_000).any(|_| stream.write_all(&many).is_err());
    assert!(ended, "it was read from without end");
    let mut stream = tls(&rig, Scheme::Https, &[b"http/1.1"]).unwrap();
    let many = b"GET /dns-query?dns=AAAAAAABAAAAAAAAAWEEdGVzdAAAAQAB HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
    let ended = (0..2_000).any(|_| stream.write_all(&many).is_err());
    assert!(ended, "it was read from without end");
    rig.udp_is_served();
    rig.serves(Over::Tls);
}

#[test]
fn w66_connections_of_one_client_are_capped() {
    let rig = Rig::with("https {\n max_connections 4\n }", |options| options.stream.per_client = 3);
    for (scheme, alpn, over) in [(Scheme::Tls, &b"dot"[..], Over::Tls), (Scheme::Https, b"h2", Over::Post2)] {
        let mut kept: Vec<Tls> = (0..3).map(|_| tls(&rig, scheme, &[alpn]).unwrap()).collect();
        assert!(tls(&rig, scheme, &[alpn]).is_err(), "{scheme}: the fourth finds no place");
        rig.udp_is_served();
        drop(kept.pop());
        // Its place is free once the server has seen that it has gone.
        let again = (0..200).find_map(|_| {
            let tried = tls(&rig, scheme, &[alpn]).ok();
            if tried.is_none() {
                std::thread::yield_now();
            }
            tried
        });
        drop(again.expect("a place became free"));
        drop(kept);
        let mut asker = rig.asker(over);
        let connected = (0..200).any(|_| asker.connect().is_ok());
        assert!(connected);
        serves(&mut asker);
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a connection of HTTP/2 begins with.
fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, b"")].concat()
}

/// The head of a GET for `/`.
const HEAD: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];

/// Has a client write a flood without reading, as long as the server takes it; then the server serves others.
fn flood(name: &str, part: impl Fn(u32) -> Vec<u8>, must_end: bool) {
    let rig = Rig::with("", |options| {
        options.stream.write = SOON;
        options.stream.idle = SOON;
    });
    let before = resident();
    let mut stream = tls(&rig, Scheme::Https, &[b"h2"]).unwrap();
    stream.write_all(&preface()).unwrap();
    let mut ended = false;
    for round in 0..400 {
        let bytes: Vec<u8> = (0..100).flat_map(|at| part(round * 100 + at)).collect();
        if stream.write_all(&bytes).is_err() {
            ended = true;
            break;
        }
    }
    rig.udp_is_served();
    if must_end && !ended {
        // What was written last met a connection that was closed already.
        tls_ends(&mut stream);
    }
    drop(stream);
    rig.serves(Over::Post2);
    rig.serves(Over::Tls);
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{name}: memory grew by {grown} bytes");
}

/// Memory of this process. Unit: bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn w69_settings_floods_are_bounded() {
    flood("settings", |_| frame(4, 0, 0, b""), false);
}

#[test]
fn w69_rapid_resets_end_the_connection() {
    let reset = |at: u32| {
        let stream = at * 2 + 1;
        [frame(1, 5, stream, HEAD), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    flood("rapid reset", reset, true);
}

#[test]
fn w69_endless_heads_end_the_connection() {
    let endless = |at: u32| match at {
        0 => frame(1, 1, 1, HEAD),
        _ => frame(9, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(200)),
    };
    flood("continuation", endless, true);
}

#[test]
fn w69_empty_data_frames_are_bounded() {
    let head = [0x83, 0x87, 0x84, 0x41, 1, b'a'];
    let empty = move |at: u32| match at {
        0 => frame(1, 4, 1, &head),
        _ => frame(0, 0, 1, b""),
    };
    flood("empty data", empty, false);
}

#[test]
fn w67_resets_while_replies_are_written_harm_nobody() {
    let rig = Rig::new();
    for scheme in [Scheme::Tls, Scheme::Https] {
        for _ in 0..20 {
            let alpn: &[u8] = if scheme == Scheme::Tls { b"dot" } else { b"h2" };
            let mut stream = tls(&rig, scheme, &[alpn]).unwrap();
            let many: Vec<u8> = (0..50).flat_map(|id| framed("a.test. A", id)).collect();
            let _ = stream.write_all(&many);
            socket2::SockRef::from(&stream.sock).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
    }
    rig.udp_is_served();
    rig.serves(Over::Tls);
    rig.serves(Over::Get2);
    assert!(PATIENCE > SOON);
}
