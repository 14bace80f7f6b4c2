//! The same questions to CoreDNS (`COREDNS_BIN`) and to us; without it there is nothing to compare.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, MX, PTR, TXT};

use super::world::{Upstream, exchange, query, show, start, until};

/// A CoreDNS; ends when it is dropped.
pub(crate) struct CoreDns(Child);

impl CoreDns {
    /// Starts the one that `COREDNS_BIN` names, if it names one, from a Corefile for a port; with its address.
    pub(crate) fn start(corefile: impl Fn(u16) -> String) -> Option<(Self, SocketAddr)> {
        let binary = std::env::var_os("COREDNS_BIN")?;
        // A port that is free over both.
        let port = loop {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Corefile");
        std::fs::write(&path, corefile(port)).unwrap();
        let mut child = Command::new(&binary);
        child.arg("-conf").arg(&path).stdin(Stdio::null());
        let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let theirs = Self(child);
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        until(&format!("CoreDNS with {}", corefile(port)), || std::net::TcpStream::connect(addr).is_ok());
        let message = query("started.", A).to_vec().unwrap();
        until("CoreDNS over UDP", || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // Whatever it says.
            socket.send_to(&message, addr).is_ok() && socket.recv(&mut [0; 512]).is_ok()
        });
        Some((theirs, addr))
    }
}

impl Drop for CoreDns {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the upstream holds.
const LINES: &str = "\
v4.test. 300 A 192.0.2.1
v6.test. 300 AAAA 2001:db8::1
both.test. 300 A 192.0.2.3
both.test. 300 AAAA 2001:db8::3
alias.test. 500 CNAME v4.test.
bad.test. SERVFAIL
";

/// Names and types.
const QUESTIONS: &[(&str, RecordType)] = &[
    ("db.example.org.", A),
    ("db.example.org.", AAAA),
    ("db.example.org.", TXT),
    ("db.example.org.", ANY),
    ("db.example.org.", PTR),
    ("own.example.org.", A),
    ("six.example.org.", A),
    ("six.example.org.", AAAA),
    ("six.example.org.", MX),
    ("x.apps.example.org.", A),
    ("y.x.apps.example.org.", A),
    ("apps.example.org.", A),
    ("missing.example.org.", A),
    ("missing.example.org.", TXT),
    ("1.0.0.10.in-addr.arpa.", PTR),
    ("9.0.0.10.in-addr.arpa.", PTR),
    ("7.0.0.10.in-addr.arpa.", PTR),
    ("1.0.0.10.in-addr.arpa.", A),
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", PTR),
    ("v4.test.", A),
    ("v4.test.", AAAA),
    ("v6.test.", AAAA),
    ("both.test.", AAAA),
    ("alias.test.", AAAA),
    ("bad.test.", A),
    ("missing.test.", AAAA),
    ("v4.test.", ANY),
];

#[test]
fn coredns_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    std::fs::write(
        &file,
        "10.0.0.1 db.example.org db\n10.0.0.1 other.example.org # x\n10.0.0.2 db.example.org\nfd00::1 six.example.org\n\
         10.0.0.3 *.apps.example.org\n",
    )
    .unwrap();
    let upstream = Upstream::start(LINES);
    for words in [
        "",
        "minimal",
        "any",
        "dns64 {\n allow_ipv4\n }",
        "dns64 {\n prefix 2001:db8::/64\n allow_ipv4\n translate_all\n }\n minimal",
        "bufsize 512",
    ] {
        for options in [
            "",
            "fallthrough",
            "fallthrough\n fallthrough_unsupported",
            "no_reverse\n ttl 7",
            "fallthrough missing.example.org",
        ] {
            let corefile = |port: u16| {
                format!(
                    ".:{port} {{\n bind 127.0.0.1\n {words}\n hosts {} example.org {{\n 10.0.0.9 own.example.org\n {options}\n }}\n \
                     forward . {}\n}}\n",
                    file.display(),
                    upstream.addr()
                )
            };
            let ours = start(&corefile(0));
            let Some((_theirs, theirs)) = CoreDns::start(corefile) else { return };
            for (name, rtype) in QUESTIONS {
                // CoreDNS hides what there is even where it has nothing to put in its place (rule S-20).
                if words.contains("translate_all")
                    && *rtype == AAAA
                    && ["v6.test.", "six.example.org."].contains(name)
                {
                    continue;
                }
                let said = |server: SocketAddr| {
                    exchange(server, &query(name, *rtype)).map(|(reply, _)| show(&reply)).unwrap_or_default()
                };
                let (ours, theirs) = (said(ours.addresses()[0]), said(theirs));
                assert_eq!(ours, theirs, "{name} {rtype} with `{words}`, hosts `{options}`");
            }
        }
    }
}
