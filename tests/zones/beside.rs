//! The same zone files and the same questions to CoreDNS (`COREDNS_BIN`) and to us; without it there is nothing to compare.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType::{
    self, A, AAAA, ANY, CNAME, DNAME, DS, HTTPS, MX, NS, NSEC, RRSIG, SOA, SRV, TXT,
};

use super::others::{Other, Role};
use super::world::{
    EXAMPLE, exchange, free_port, output, program, query, receive, send, show, start, transfer, until,
};

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
    let denied = our_authority.contains("soa");
    if our_front == their_front && alias && denied && their_authority.contains("ns") {
        return Some("Z-05: an alias to a name without data comes with the SOA");
    }
    if denied && their_front.contains("deep.wild.example.org. ") {
        return Some("Z-04: a wildcard stands for no name that exists, be it without records");
    }
    let [ours, theirs] = [ours, theirs].map(|text| text.split(" | ").collect::<BTreeSet<&str>>());
    // A signature over an NSEC begins with its type, 47.
    let proof = |part: &&&str| part.contains(" nsec ") || part.contains(" rrsig ac8");
    if ours.is_superset(&theirs) && ours.difference(&theirs).all(|part| proof(&part)) {
        return Some("Z-06: what is denied is proven, behind aliases and for names without records too");
    }
    // CoreDNS passes over names without records when it looks for the closest name that exists.
    let below_empty = ours.contains("nxdomain aa")
        && ours.iter().any(|part| {
            part.starts_with("authority bad.example.org. ")
                || part.starts_with("authority *.wild.example.org. ")
        });
    if below_empty && ours.symmetric_difference(&theirs).all(|part| proof(&part)) {
        return Some("Z-06: no wildcard stands below the closest name that exists");
    }
    None
}

/// Asks two servers everything; returns what differs, and the exceptions that were needed.
fn compare(
    ours: SocketAddr,
    theirs: SocketAddr,
    types: &[RecordType],
) -> (Vec<String>, BTreeSet<&'static str>) {
    let mut wrong = Vec::new();
    let mut excepted = BTreeSet::new();
    let mut asked = 0;
    for name in NAMES {
        for rtype in types {
            for edns in [false, true] {
                let mut message = query(name, *rtype);
                if edns {
                    let mut edns = Edns::new();
                    edns.set_max_payload(1232);
                    edns.set_dnssec_ok(true);
                    message.set_edns(edns);
                }
                asked += 1;
                let [mut ours, mut theirs] =
                    [ours, theirs].map(|server| receive(&mut send(server, &message)));
                // Of the OPT only that there is one.
                assert_eq!(ours.edns.take().is_some(), theirs.edns.take().is_some());
                let (ours, theirs) = (text(&ours), text(&theirs));
                if ours == theirs {
                    continue;
                }
                match exception(&ours, &theirs) {
                    Some(rule) => drop(excepted.insert(rule)),
                    None => wrong.push(format!("{name} {rtype} DO {edns}\nCoreDNS {theirs}\nours    {ours}")),
                }
            }
        }
    }
    eprintln!("{asked} questions, exceptions: {excepted:?}");
    (wrong, excepted)
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
    let (wrong, excepted) = compare(ours, theirs, TYPES);
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n\n"));
    assert_eq!(excepted.len(), 2, "an exception was not needed: {excepted:?}");
    for known in [None, Some(7), Some(6)] {
        let [ours, theirs] = [ours, theirs].map(|server| transfer(server, "example.org.", known));
        assert_eq!(ours.set(), theirs.set(), "{known:?}");
        assert_eq!(ours.records.len(), theirs.records.len());
    }
}

#[test]
fn zone_files_that_knotd_signed_are_answered_as_by_coredns_and_denied_as_by_knotd() {
    let (Some(kdig), Some(signer)) = (program("kdig"), Other::knot(&Role::Signer(EXAMPLE))) else { return };
    let port = signer.addr.port().to_string();
    let text = output(&kdig, &["@127.0.0.1", "-p", &port, "example.org", "AXFR"]);
    assert!(text.contains("RRSIG") && text.contains("NSEC"), "{text}\n{}", signer.log());
    // The SOA at the end is the one at the front.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), text).unwrap();
    let corefile = |port: u16| {
        format!(
            "example.org:{port} {{\n bind 127.0.0.1\n file {}/db\n transfer {{\n to *\n }}\n}}\n",
            folder.path().display()
        )
    };
    let running = start(&corefile(0));
    let ours = running.addresses()[0];
    // What is not there is proven with the same records by who signed it.
    let mut denied = 0;
    for name in NAMES {
        for rtype in [A, TXT, DS] {
            let mut message = query(name, rtype);
            let mut edns = Edns::new();
            edns.set_dnssec_ok(true);
            message.set_edns(edns);
            let [mut one, mut other] = [ours, signer.addr].map(|server| receive(&mut send(server, &message)));
            if one.answers.is_empty() && one.metadata.authoritative {
                denied += 1;
                (one.edns, other.edns) = (None, None);
                // The TTL of the SOA aside, which knotd lowers to the minimum.
                let [one, other] = [one, other].map(|reply| {
                    let text = show(&reply)
                        .replace(" 300 SOA ", " 3600 SOA ")
                        .replace(" 300 RRSIG AAY", " 3600 RRSIG AAY");
                    text.split(" | ").map(str::to_owned).collect::<BTreeSet<String>>()
                });
                assert_eq!(one, other, "{name} {rtype}");
            }
        }
    }
    assert!(denied > 30, "{denied}");
    let Some((_child, theirs, _folder)) = coredns(corefile, "example.org.") else { return };
    // RRSIG and NSEC as questions are nobody's business (RFC 8482 §7), and CoreDNS follows aliases for them.
    let types: Vec<RecordType> =
        TYPES.iter().copied().filter(|rtype| !matches!(rtype, RRSIG | NSEC)).collect();
    let (wrong, _) = compare(ours, theirs, &types);
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n\n"));
    let [ours, theirs] = [ours, theirs].map(|server| transfer(server, "example.org.", None));
    assert_eq!(ours.set(), theirs.set());
}
