//! What clients of HTTP/2 can make the server hold, whose frames are written by hand: a library would not let them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::held::{connect, cut, hosts, memory, raise_files};
use crate::encrypted::{Asker, Certificate, NAME, Over};
use crate::process::{PATIENCE, Server, binary, free_port, query, wait};

/// Connections that ask and do not read: were 100 replies of each to lie in the library, together they would hold 60 MB.
const UNREAD: u16 = 180;

/// A connection inside of TLS from one of our addresses; `None` where the server has cut it already.
pub(crate) fn tls(
    number: u16,
    to: u16,
    config: &Arc<ClientConfig>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let connection = ClientConnection::new(config.clone(), ServerName::try_from(NAME).unwrap()).unwrap();
    let mut tls = StreamOwned::new(
        connection,
        connect(2 + u8::try_from(number % 10).unwrap(), SocketAddr::from((Ipv4Addr::LOCALHOST, to))),
    );
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).ok()?;
    }
    Some(tls)
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What begins a connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A field of a head whose name the static table has, not by Huffman's code (RFC 7541 §6.2.2).
fn field(name: &[u8], value: &str) -> Vec<u8> {
    [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// What begins a connection of HTTP/2, and 100 requests on it, of whose bodies one byte comes.
pub(crate) fn unended() -> Vec<u8> {
    // POST, https, a path, an authority, a type.
    let fields =
        [field(&[0x04], "/dns-query"), field(&[0x01], "x"), field(&[0x0f, 0x10], "application/dns-message")];
    let head = [&[0x83, 0x87][..], &fields.concat()].concat();
    let mut all = [PREFACE, &frame(4, 0, 0, &[])].concat();
    for number in 0..100 {
        all.extend(frame(1, 4, 2 * number + 1, &head));
        all.extend(frame(0, 0, 2 * number + 1, &[0]));
    }
    all
}

/// What begins a connection of HTTP/2 that takes as much as it is sent, and as many requests for a message on it.
pub(crate) fn unread(message: &[u8], requests: u32) -> Vec<u8> {
    let path = format!("/dns-query?dns={}", URL_SAFE_NO_PAD.encode(message));
    // GET, https, a path, an authority.
    let head = [&[0x82, 0x87][..], &field(&[0x04], &path), &field(&[0x01], "x")].concat();
    let most = 0x7fff_ffff_u32;
    // SETTINGS_INITIAL_WINDOW_SIZE; WINDOW_UPDATE of the connection.
    let settings = [&[0, 4][..], &most.to_be_bytes()].concat();
    let window = (most - u32::from(u16::MAX)).to_be_bytes();
    let mut all = [PREFACE, &frame(4, 0, 0, &settings), &frame(8, 0, 0, &window)].concat();
    for number in 0..requests {
        // The head is all of it, and the end.
        all.extend(frame(1, 5, 2 * number + 1, &head));
    }
    all
}

#[test]
fn l6_replies_over_http2_that_nobody_reads_cost_less_than_16_mib() {
    raise_files();
    let certificate = Certificate::new();
    let (plain, https, metrics) = (free_port(), free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let corefile = format!(
        ".:{plain} https://.:{https} {{\n bind 127.0.0.1\n {}\n prometheus 127.0.0.1:{metrics}\n{}}}\n",
        certificate.line(),
        hosts()
    );
    std::fs::write(dir.path().join("Corefile"), corefile).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(dir.path().join("Corefile"));
    let server = Server::start(command, plain);
    server.wait_for("small.test.", &["10.1.0.1"], PATIENCE);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, https));
    let mut reader = Asker::to(Over::Get2, at, &certificate);
    let small = query("small.test.", 1, None);
    assert!(reader.ask(&small).is_some());
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    let idle = memory(&server, "VmRSS");

    let config = Arc::new(certificate.config(&[b"h2"], rustls::ALL_VERSIONS));
    let all = unread(&query("big.test.", 1, None), 100);
    let stream = |number| {
        let mut stream = tls(number, https, &config)?;
        // One that was cut by now is as good.
        let _ = stream.write_all(&all);
        Some(stream)
    };
    let streams: Vec<_> = (0..UNREAD).map(stream).collect();
    // That it came to this is shown: some had to go. Who reads is answered beside them.
    wait("connections that are cut", 3 * PATIENCE, || cut(metrics).filter(|cut| *cut > 0));
    assert!(reader.ask(&small).is_some());
    let peak = memory(&server, "VmHWM");
    let more = peak.saturating_sub(idle);
    assert!(more < 16 << 20, "{} KiB more than the {} KiB before", more / 1024, idle / 1024);
    drop(streams);
}
