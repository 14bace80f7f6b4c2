//! A server over every transport with a few names, and the one question that must always be answered over UDP.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use signpost::app::{Running, ServeOptions};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{Asker, Certificate, KEYS, Over};
use crate::harness::{Ask, Client, Via, start_unsynced};

/// A server, and what its clients trust.
pub(crate) struct Rig {
    /// The server.
    pub(crate) running: Running,
    /// Its certificate.
    pub(crate) certificate: Certificate,
}

/// What every block of these tests holds.
const WORDS: &str =
    "bind 127.0.0.1\n hosts {\n 10.0.0.1 a.test\n 10.0.0.2 b.test\n ttl 77\n no_reverse\n }\n";

impl Rig {
    /// A server with these lines in its block, and options of its own.
    pub(crate) fn with(lines: &str, change: impl FnOnce(&mut ServeOptions)) -> Self {
        let certificate = Certificate::new();
        let mut options = ServeOptions::default();
        change(&mut options);
        let running = start_unsynced(&corefile(&certificate, lines), options);
        Self { running, certificate }
    }

    /// A server.
    pub(crate) fn new() -> Self {
        Self::with("", |_| {})
    }

    /// A client.
    pub(crate) fn asker(&self, over: Over) -> Asker {
        Asker::new(over, &self.running, &self.certificate)
    }

    /// Where a scheme is served.
    pub(crate) fn addr(&self, scheme: Scheme) -> SocketAddr {
        self.running.addresses_of(scheme)[0]
    }

    /// A connection to a scheme's port, without any handshake.
    pub(crate) fn connect(&self, scheme: Scheme) -> TcpStream {
        let stream = TcpStream::connect(self.addr(scheme)).unwrap();
        stream.set_read_timeout(Some(crate::encrypted::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(crate::encrypted::PATIENCE)).unwrap();
        stream
    }

    /// That a question over UDP is answered, whatever goes on.
    pub(crate) fn udp_is_served(&self) {
        let got = Client::new(Via::Udp, self.running.addresses()[0]).ask(&Ask::parse("a.test. A"));
        assert!(got.contains("answer @ 77 A 10.0.0.1"), "{got}");
    }

    /// That a question is answered over a fresh connection.
    pub(crate) fn serves(&self, over: Over) {
        serves(&mut self.asker(over));
    }
}

/// The Corefile of a rig.
pub(crate) fn corefile(certificate: &Certificate, lines: &str) -> String {
    format!(".:0 {KEYS} {{\n {}\n {WORDS} {lines}\n}}\n", certificate.line())
}

/// That a client is answered.
pub(crate) fn serves(asker: &mut Asker) {
    let query = Ask::parse("a.test. A").bytes(7);
    let reply = asker.ask(&query).unwrap_or_else(|| panic!("{:?}: no reply", asker.over));
    let got = crate::harness::text(&reply, &query);
    assert!(got.contains("answer @ 77 A 10.0.0.1"), "{:?}: {got}", asker.over);
}

/// Writes as far as the peer takes it.
pub(crate) fn push(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// That the server ends a connection, within the patience of its socket; says how many bytes came before.
pub(crate) fn is_ended(stream: &mut TcpStream) -> usize {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes.len(),
        Err(error) if crate::hostile::is_closed(&error) => bytes.len(),
        Err(error) => panic!("the connection is still open: {error}"),
    }
}

/// A limit that acts soon.
pub(crate) const SOON: Duration = Duration::from_millis(300);
