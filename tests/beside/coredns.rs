//! The same questions to CoreDNS (`COREDNS_BIN`) and to us; without it there is nothing to compare.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, MX, PTR, TXT};

use super::world::{Upstream, exchange, query, show, start, until};

/// A CoreDNS; ends when it is dropped.
pub(super) struct CoreDns(Child);

impl Drop for CoreDns {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a CoreDNS with a Corefile for a port, and waits until it listens there.
pub(super) fn coredns(
    binary: &std::ffi::OsStr,
    folder: &std::path::Path,
    corefile: impl Fn(u16) -> String,
) -> (CoreDns, SocketAddr) {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let path = folder.join(format!("Corefile{port}"));
    std::fs::write(&path, corefile(port)).unwrap();
    let mut child = Command::new(binary);
    child.arg("-conf").arg(&path).stdin(Stdio::null());
    let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let child = CoreDns(child);
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    until("CoreDNS", || std::net::TcpStream::connect(addr).is_ok());
    (child, addr)
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
    let Some(binary) = std::env::var_os("COREDNS_BIN") else { return };
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
            let (_theirs, theirs) = coredns(&binary, folder.path(), corefile);
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
