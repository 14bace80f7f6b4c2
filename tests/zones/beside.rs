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

/// Forms that standards allow and CoreDNS does not read.
const RARE: &str = "\
corner LOC 33 S 70 30 W 10
key DNSKEY 256 3 RSASHA256 AQID
";

/// Records whose text has a form of its own, as readers of zone files share them.
const FORMS: &str = "\
$TTL 1h
@ SOA ns hostmaster 7 2h 30m 2w 300
@ NS ns
ns A 192.0.2.53
order HTTPS 1 . port=443 alpn=h2
mandatory HTTPS 1 . mandatory=port,alpn port=8443 alpn=\"h2,h3\" no-default-alpn
hints SVCB 16 web ipv6hint=2001:db8::1,2001:db8::2 ipv4hint=192.0.2.1 ech=AQID key667=\"a\\210b\"
alias SVCB 0 web.example.org.
place LOC 52 22 23.500 N 4 53 32 E -2.00m 30m 100m
ranges APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:2001:db8::/32
hardware EUI48 00-00-5e-00-53-2a
hardware EUI64 00-00-5e-ef-10-00-00-2a
locator NID 10 0014:4fff:ff20:ee64
locator L32 10 10.1.2.0
locator L64 10 2001:0db8:1140:1000
locator LP 10 ns
cert CERT PGP 0 0 AQID
cert CERT 65280 1 8 AQID
texts TXT one \"two three\" \"\" \"a\\\"b\\;c\\228\"
rule NAPTR 10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:a@example.org!\" .
uri URI 10 1 \"ftp://ftp.example.org/public\"
caa CAA 0 issue \"ca.example.net; account=230123\"
";

/// The records of a zone as `kdig` reads them from a transfer, without what a signer adds.
fn shown(kdig: &str, server: SocketAddr) -> BTreeSet<String> {
    let (host, port) = (format!("@{}", server.ip()), server.port().to_string());
    let text = output(kdig, &[&host, "-p", &port, "example.org", "AXFR"]);
    assert!(text.contains("SOA"), "{text}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let kept = |words: &Vec<String>| {
        let signed = ["RRSIG", "NSEC", "SOA", "CDS", "CDNSKEY"];
        let rtype = words.get(3).map_or("", String::as_str);
        let own = rtype == "DNSKEY" && words.first().is_some_and(|owner| owner == "example.org.");
        words.len() > 4
            && !words.iter().any(|word| word.starts_with(";;"))
            && !signed.contains(&rtype)
            && !own
    };
    text.lines().map(words).filter(kept).map(|words| words.join(" ").to_ascii_lowercase()).collect()
}

#[test]
fn every_form_of_text_is_the_same_record_to_knotd_and_to_coredns() {
    let Some(kdig) = program("kdig") else { return };
    let folder = tempfile::tempdir().unwrap();
    let serve = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        let path = folder.path().join(name);
        move |port: u16| {
            let path = path.display();
            format!("example.org:{port} {{\n bind 127.0.0.1\n file {path}\n transfer {{\n to *\n }}\n}}\n")
        }
    };
    for (text, is_shared) in [(FORMS.to_owned(), true), (format!("{FORMS}{RARE}"), false)] {
        let corefile = serve("db", &text);
        let running = start(&corefile(0));
        let ours = shown(&kdig, running.addresses()[0]);
        assert_eq!(ours.len(), text.lines().count() - 2, "{ours:#?}");
        if let Some(knot) = Other::knot(&Role::Signer(&text)) {
            assert_eq!(ours, shown(&kdig, knot.addr), "{}", knot.log());
        }
        if is_shared && let Some((_child, theirs, _folder)) = coredns(&corefile, "example.org.") {
            assert_eq!(ours, shown(&kdig, theirs));
        }
    }
    // What is longer than a character string goes out as several.
    let long = serve("long", &format!("{FORMS}long TXT \"{}\"\n", "x".repeat(700)));
    let running = start(&long(0));
    let ours = shown(&kdig, running.addresses()[0]);
    let texts = ["x".repeat(255), "x".repeat(255), "x".repeat(190)].map(|text| format!("\"{text}\""));
    assert!(ours.contains(&format!("long.example.org. 3600 in txt {}", texts.join(" "))), "{ours:#?}");
    if let Some((_child, theirs, _folder)) = coredns(&long, "example.org.") {
        assert_eq!(ours, shown(&kdig, theirs));
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
