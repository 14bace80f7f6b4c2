//! The same zone files and the same questions to CoreDNS (`COREDNS_BIN`) and to us; without it there is nothing to compare.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType::{
    self, A, AAAA, ANY, CNAME, DNAME, DS, HTTPS, MX, NS, NSEC, RRSIG, SOA, SRV, TXT,
};

use super::world::{EXAMPLE, exchange, free_port, query, show, start, transfer, until};

/// A CoreDNS; ends when it is dropped.
struct CoreDns(Child);

impl Drop for CoreDns {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts CoreDNS with a Corefile for a port and waits until a name is answered; `None` without a binary.
fn coredns(corefile: impl Fn(u16) -> String, name: &str) -> Option<(CoreDns, SocketAddr, tempfile::TempDir)> {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let port = free_port();
    fs::write(&path, corefile(port)).unwrap();
    let child = Command::new(binary)
        .arg("-conf")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = CoreDns(child);
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    until("CoreDNS", || {
        let soa = query(name, SOA);
        std::panic::catch_unwind(|| exchange(server, &soa)).is_ok_and(|reply| reply.is_some())
    });
    Some((child, server, folder))
}

/// Names that lie in the zone, and beside what is there.
const NAMES: &[&str] = &[
    "example.org.",
    "ns.example.org.",
    "mail.example.org.",
    "www.example.org.",
    "web.example.org.",
    "x.web.example.org.",
    "out.example.org.",
    "lost.example.org.",
    "dangling.example.org.",
    "a.b.c.example.org.",
    "b.c.example.org.",
    "c.example.org.",
    "x.b.c.example.org.",
    "wild.example.org.",
    "any.wild.example.org.",
    "very.any.wild.example.org.",
    "*.wild.example.org.",
    "deep.wild.example.org.",
    "ent.deep.wild.example.org.",
    "x.deep.wild.example.org.",
    "sub.example.org.",
    "x.sub.example.org.",
    "ns.sub.example.org.",
    "moved.example.org.",
    "x.moved.example.org.",
    "y.moved.example.org.",
    "x.target.example.org.",
    "target.example.org.",
    "far.example.org.",
    "www.far.example.org.",
    "_sip._tcp.example.org.",
    "_tcp.example.org.",
    "svc.example.org.",
    "into.example.org.",
    "nothing.example.org.",
];

/// Types that are asked.
const TYPES: &[RecordType] = &[A, AAAA, ANY, CNAME, DNAME, DS, HTTPS, MX, NS, NSEC, RRSIG, SOA, SRV, TXT];

/// A reply in text, owners in lower case: CoreDNS writes them as the file has them, we as they were asked for.
fn text(reply: &Message) -> String {
    show(reply).to_ascii_lowercase()
}

/// The code and answer of a reply in text, and the types of what stands in its authority.
fn cut(text: &str) -> (String, BTreeSet<&str>) {
    let parts: Vec<&str> = text.split(" | ").collect();
    let front =
        parts.iter().filter(|part| !part.starts_with("authority ") && !part.starts_with("additional "));
    let authority = parts.iter().filter_map(|part| part.strip_prefix("authority ")?.split(' ').nth(2));
    (front.copied().collect::<Vec<_>>().join(" | "), authority.collect())
}

/// Why two replies may differ, as a rule of docs/behaviour.md; `None` where they may not.
fn exception(ours: &str, theirs: &str) -> Option<&'static str> {
    let ((our_front, our_authority), (their_front, their_authority)) = (cut(ours), cut(theirs));
    let alias = our_front.contains(" cname ");
    if our_front == their_front
        && alias
        && our_authority == ["soa"].into()
        && their_authority == ["ns"].into()
    {
        return Some("Z-05: an alias to a name without data comes with the SOA");
    }
    if our_authority == ["soa"].into() && their_front.contains("deep.wild.example.org. ") {
        return Some("Z-04: a wildcard stands for no name that exists, be it without records");
    }
    None
}

#[test]
fn zone_files_are_answered_as_by_coredns() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    fs::write(folder.path().join("other"), "@ 9 SOA a b 1 2 3 4 5\nwww 9 A 192.0.2.200\n").unwrap();
    let corefile = |port: u16| {
        format!(
            ".:{port} {{\n bind 127.0.0.1\n file {0}/db example.org\n file {0}/other other.test\n transfer {{\n to *\n }}\n}}\n",
            folder.path().display()
        )
    };
    let Some((_child, theirs, _folder)) = coredns(corefile, "example.org.") else { return };
    let running = start(&corefile(0));
    let ours = running.addresses()[0];
    let mut wrong = Vec::new();
    let mut excepted = BTreeSet::new();
    let mut asked = 0;
    for name in NAMES {
        for rtype in TYPES {
            for edns in [false, true] {
                let mut message = query(name, *rtype);
                if edns {
                    let mut edns = Edns::new();
                    edns.set_max_payload(1232);
                    edns.set_dnssec_ok(true);
                    message.set_edns(edns);
                }
                asked += 1;
                let [mut ours, mut theirs] = [ours, theirs].map(|server| exchange(server, &message).unwrap());
                // Of the OPT only that there is one.
                assert_eq!(ours.edns.take().is_some(), theirs.edns.take().is_some());
                let (ours, theirs) = (text(&ours), text(&theirs));
                if ours == theirs {
                    continue;
                }
                match exception(&ours, &theirs) {
                    Some(rule) => drop(excepted.insert(rule)),
                    None => wrong.push(format!("{name} {rtype}\nCoreDNS {theirs}\nours    {ours}")),
                }
            }
        }
    }
    eprintln!("{asked} questions, exceptions: {excepted:?}");
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n\n"));
    for known in [None, Some(7), Some(6)] {
        let [ours, theirs] = [ours, theirs].map(|server| transfer(server, "example.org.", known));
        assert_eq!(ours.set(), theirs.set(), "{known:?}");
        assert_eq!(ours.records.len(), theirs.records.len());
    }
}
