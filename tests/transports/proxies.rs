//! `proxyproto`: whose queries those are that come through a proxy.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use signpost::app::{Running, ServeOptions, serve};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{Certificate, PATIENCE};
use crate::harness::{Ask, SILENCE};
use crate::hostile::{framed, tls_with};
use crate::rig::Rig;

/// A server that says who asked.
fn rig(proxyproto: &str) -> Rig {
    let certificate = Certificate::new();
    let text = format!(
        ".:0 tls://.:0 https://.:0 {{\n bind 127.0.0.1\n {}\n whoami\n {proxyproto}\n}}\n",
        certificate.line()
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    Rig { running, certificate }
}

/// A header of version 1.
const ONE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 53\r\n";

/// A header of version 2; `family` is 0x11 for TCP, 0x12 for UDP.
fn two(family: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x21, family, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1]);
    header.extend([0x12, 0x67, 0, 53]);
    header
}

/// The client's address by what `whoami` says.
fn told(reply: &[u8]) -> String {
    let query = Ask::parse("x.test. A").bytes(7);
    let text = crate::harness::text(reply, &query);
    let line = text.lines().find(|line| line.contains(" A ")).unwrap_or_else(|| panic!("{text}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

/// Asks over a stream that may already be inside of TLS; `None` where it ends.
fn ask(stream: &mut (impl std::io::Read + std::io::Write)) -> Option<String> {
    stream.write_all(&framed("x.test. A", 7)).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(told(&reply))
}

/// Connects and sends a header.
fn connect(running: &Running, scheme: Scheme, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(running.addresses_of(scheme)[0]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // In two parts: nobody says that it comes at once.
    let (first, second) = header.split_at(header.len() / 2);
    stream.write_all(first).unwrap();
    stream.flush().unwrap();
    stream.write_all(second).unwrap();
    stream
}

/// Who asked by UDP, with these bytes before the query.
fn by_udp(to: SocketAddr, header: &[u8], wait: std::time::Duration) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send_to(&[header, &Ask::parse("x.test. A").bytes(7)].concat(), to).unwrap();
    let mut reply = [0; 1232];
    let length = socket.recv(&mut reply).ok()?;
    Some(told(&reply[..length]))
}

#[test]
fn the_client_is_who_the_proxy_says_on_every_transport() {
    let rig = rig("proxyproto {\n allow 127.0.0.0/8\n }");
    for header in [ONE.to_vec(), two(0x11)] {
        let mut stream = connect(&rig.running, Scheme::Dns, &header);
        assert_eq!(ask(&mut stream).as_deref(), Some("192.0.2.7"), "TCP");
        assert_eq!(ask(&mut stream).as_deref(), Some("192.0.2.7"), "the second query too");
        let config = Arc::new(rig.certificate.config(&[b"dot"], rustls::ALL_VERSIONS));
        let mut tls = tls_with(config, connect(&rig.running, Scheme::Tls, &header)).unwrap();
        assert_eq!(ask(&mut tls).as_deref(), Some("192.0.2.7"), "TLS");
        let config = Arc::new(rig.certificate.config(&[b"http/1.1"], rustls::ALL_VERSIONS));
        let mut tls = tls_with(config, connect(&rig.running, Scheme::Https, &header)).unwrap();
        let query = Ask::parse("x.test. A").bytes(7);
        let head = format!(
            "POST /dns-query HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/dns-message\r\n\
             content-length: {}\r\n\r\n",
            query.len()
        );
        tls.write_all(&[head.as_bytes(), &query].concat()).unwrap();
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer);
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(told(&answer[body..]), "192.0.2.7", "HTTPS");
    }
    let udp = rig.running.addresses()[0];
    assert_eq!(by_udp(udp, &two(0x12), PATIENCE).as_deref(), Some("192.0.2.7"), "UDP");
    // Without a header everybody is who they are.
    assert_eq!(by_udp(udp, b"", PATIENCE).as_deref(), Some("127.0.0.1"));
    assert_eq!(ask(&mut connect(&rig.running, Scheme::Dns, b"")).as_deref(), Some("127.0.0.1"));
    // Version 1, or a header for TCP, is nothing for datagrams.
    assert_eq!(by_udp(udp, ONE, SILENCE), None);
    assert_eq!(by_udp(udp, &two(0x11), SILENCE), None);
    // What only begins like a header ends the connection.
    assert_eq!(ask(&mut connect(&rig.running, Scheme::Dns, b"PROXY TCP4 nonsense\r\n")), None);
}

#[test]
fn those_who_are_not_allowed_are_treated_as_default_says() {
    for (default, with, without) in [
        ("default ignore", Some("127.0.0.1"), Some("127.0.0.1")),
        ("", Some("127.0.0.1"), Some("127.0.0.1")),
        ("default reject", None, Some("127.0.0.1")),
        ("default use", Some("192.0.2.7"), Some("127.0.0.1")),
        ("default skip", None, Some("127.0.0.1")),
    ] {
        let rig = rig(&format!("proxyproto {{\n allow 192.0.2.0/24 2001:db8::/32\n {default}\n }}"));
        if default != "default skip" {
            let got = ask(&mut connect(&rig.running, Scheme::Dns, ONE));
            assert_eq!(got.as_deref(), with, "{default}");
            let wait = if with.is_some() { PATIENCE } else { SILENCE };
            assert_eq!(by_udp(rig.running.addresses()[0], &two(0x12), wait).as_deref(), with, "{default}");
        }
        assert_eq!(ask(&mut connect(&rig.running, Scheme::Dns, b"")).as_deref(), without, "{default}");
    }
}

#[test]
fn a_header_alone_counts_for_the_datagrams_behind_it() {
    let rig = rig("proxyproto {\n allow 127.0.0.1/32\n udp_session_tracking 28s 10\n }");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = rig.running.addresses()[0];
    socket.send_to(&two(0x12), to).unwrap();
    for _ in 0..3 {
        socket.send_to(&Ask::parse("x.test. A").bytes(7), to).unwrap();
        let mut reply = [0; 1232];
        let length = socket.recv(&mut reply).unwrap();
        assert_eq!(told(&reply[..length]), "192.0.2.7");
    }
    assert_eq!(by_udp(to, b"", PATIENCE).as_deref(), Some("127.0.0.1"), "another sender");
}
