//! Z8: files in the form of resolv.conf, and zone files.

use std::net::IpAddr;
use std::sync::Arc;

use super::cost::{Bound, bounded};
use super::desk::{NoFiles, ZONE};
use super::target::Seed;
use crate::forward::{name_servers, searches};
use crate::wire::{MAX_NAME, Question, Record, Sections, parse_name, rtype, show_name};
use crate::zone::{Sender, Verdict, Zone, read};

/// The most name servers that count.
const MOST: usize = 15;

/// What reading a file in the form of resolv.conf may cost.
const LINES: Bound = Bound { each: 64, beside: 4096 };

/// The words of a line, if all of it is text.
fn words(line: &[u8]) -> Option<Vec<&str>> {
    std::str::from_utf8(line).ok().map(|line| line.split_ascii_whitespace().collect())
}

/// Reads name servers and search list; both must be what stands there line by line.
pub(super) fn run_resolv(bytes: &[u8]) {
    // Names of interfaces are looked up on the machine.
    let scope = |two: &[u8]| two[0] == b'%' && !two[1].is_ascii_digit();
    if bytes.windows(2).any(scope) {
        return;
    }
    let found = bounded(LINES, bytes, || name_servers(bytes)).unwrap_or_default();
    let lines = || bytes.split(|byte| *byte == b'\n');
    // What a line says beyond doubt counts, in order, each once.
    let (mut sure, mut named): (Vec<IpAddr>, Vec<IpAddr>) = (Vec::new(), Vec::new());
    for line in lines() {
        let text = String::from_utf8_lossy(line);
        match words(line).filter(|_| line.is_ascii()).as_deref() {
            Some(["nameserver", text]) => {
                sure.extend(text.parse::<IpAddr>().ok().filter(|ip| !sure.contains(ip)));
            }
            // Whether it counts here is not sure, so its place is not.
            _ => named.extend(
                text.split(|letter: char| letter.is_whitespace() || "%#;".contains(letter))
                    .filter_map(|word| word.parse::<IpAddr>().ok()),
            ),
        }
    }
    if found.len() < MOST {
        let ips: Vec<IpAddr> = found.iter().map(|addr| addr.ip()).collect();
        let mut rest = ips.iter();
        for ip in &sure {
            let found = if named.contains(ip) { ips.contains(ip) } else { rest.any(|one| one == ip) };
            assert!(found, "{ip} is missing in {ips:?}");
        }
    }
    assert!(found.len() <= MOST);
    // Nothing counts that stands nowhere.
    for addr in &found {
        assert_eq!(addr.port(), 53);
        let named = lines().any(|line| {
            let text = String::from_utf8_lossy(line);
            let mut words = text.split_whitespace();
            words.next() == Some("nameserver")
                && words.any(|word| {
                    let word = word.split(['%', '#', ';']).next().unwrap_or_default();
                    word.parse() == Ok(addr.ip())
                })
        });
        assert!(named, "nobody names {addr}");
    }
    for name in searches(bytes) {
        assert!(!name.is_empty() && !name.ends_with('.') && name == name.to_ascii_lowercase());
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        assert!(text.contains(&name), "nobody searches {name}");
    }
}

/// Files in the form of resolv.conf.
pub(super) fn resolv_seeds() -> Vec<Seed> {
    let text = |text: &str| text.as_bytes().to_vec();
    let many: String = (1..=40).map(|last| format!("nameserver 10.0.0.{last}\n")).collect();
    vec![
        (
            "pod",
            text(
                "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
            ),
        ),
        ("comments", text("# by hand\n; too\n nameserver 10.0.0.1 # first\n\tnameserver\tfd00::1\r\n")),
        ("scope", text("nameserver fe80::1%7\n")),
        (
            "broken",
            text(
                "nameserver 300.1.1.1\nnameserver\nlookup file bind\noptions trust-ad\nnameserver 10.0.0.2 10.0.0.3\n",
            ),
        ),
        ("domain", text("domain Only.Example.\n")),
        ("searches", text("search a b\nsearch C. c d\n")),
        ("many", many.into_bytes()),
        ("sortlist", text("sortlist 10.0.0.0/255.0.0.0 192.168.0.0\nnameserver 127.0.0.53\n")),
        ("no_text", b"nameserver \xff\xfe\n\0\n".to_vec()),
    ]
}

/// What reading a zone file without `$GENERATE` may cost: an owner and its data for each few bytes.
const RECORDS: Bound = Bound { each: 1024, beside: 1 << 16 };

/// The zone of all zone files.
pub(super) const ORIGIN: &str = "example.com.";

/// Reads a zone file; what comes of it answers, is sent whole, and is the same when it is read from what was sent.
pub(super) fn run_zone(bytes: &[u8]) {
    let origin = parse_name(ORIGIN).expect("a name");
    let makes = bytes.windows(9).position(|nine| nine.eq_ignore_ascii_case(b"$GENERATE"));
    let behind = makes.and_then(|at| bytes.get(at..)).unwrap_or_default();
    // As many lines as somebody wants: he has to wait for them.
    if behind.windows(4).any(|four| four.iter().all(u8::is_ascii_digit)) {
        return;
    }
    let bound = if makes.is_some() { Bound { beside: 1 << 30, ..RECORDS } } else { RECORDS };
    let zone = match bounded(bound, bytes, || read("db", bytes, &origin, &mut NoFiles)) {
        Ok((zone, passed)) => {
            assert!(passed.iter().all(|fault| fault.line > 0));
            zone
        }
        Err(fault) => {
            assert!(!fault.why.is_empty() && fault.to_string().starts_with("db:"), "{fault}");
            return;
        }
    };
    let count = zone.len();
    let zone = Arc::new(zone);
    let records = sent(&zone, 512);
    assert_eq!(records, sent(&zone, usize::MAX), "the same in pieces");
    assert_eq!(records.first(), records.last(), "the SOA at both ends");
    assert!(records.len() > count.min(1), "{count} records");
    for name in [
        "example.com.",
        "www.example.com.",
        "x.wild.example.com.",
        "a.b.down.example.com.",
        "x.moved.example.com.",
    ] {
        for qtype in [rtype::A, rtype::NS, rtype::SOA, rtype::CNAME, rtype::ANY, rtype::DS, rtype::SRV] {
            answered(&zone, name, qtype);
        }
    }
    // Written in the one form that knows every type (RFC 3597 §5), it is the same zone.
    let text = records.iter().skip(1).fold(String::new(), |text, line| text + line + "\n");
    let (again, passed) = read("db", text.as_bytes(), &origin, &mut NoFiles)
        .unwrap_or_else(|fault| panic!("what was written can't be read: {fault}\n{text}"));
    assert!(passed.is_empty(), "{passed:?}\n{text}");
    let mut before = records;
    let mut after = sent(&Arc::new(again), 512);
    before.sort();
    after.sort();
    assert_eq!(before, after, "written and read again");
}

/// All records of a transfer, as text.
pub(super) fn sent(zone: &Arc<Zone>, room: usize) -> Vec<String> {
    let question = Question::new(&parse_name(ORIGIN).expect("a name"), rtype::AXFR).expect("a question");
    let mut sender = Sender::new(zone.clone(), None);
    let mut all = Vec::new();
    loop {
        let mut draft = Sections::default();
        let more = sender.fill(&mut draft, room);
        assert!(!more || !draft.records().is_empty(), "each message brings something");
        all.extend(draft.records().iter().map(|record| line(&draft, record, &question)));
        if !more {
            return all;
        }
    }
}

/// A record as a line of a zone file, its data in hexadecimal digits.
fn line(draft: &Sections, record: &Record, question: &Question) -> String {
    let mut owner = [0_u8; MAX_NAME];
    let length = draft.owner_name(record, question, &mut owner);
    let data = draft.rdata(record);
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} IN TYPE{} \\# {} {hex}", show_name(&owner[..length]), record.ttl, record.rtype, data.len())
}

/// Asks; what is answered lies in the zone.
fn answered(zone: &Zone, name: &str, qtype: u16) {
    let question = Question::new(&parse_name(name).expect("a name"), qtype).expect("a question");
    let mut sections = Sections::default();
    let verdict = zone.answer(&question, true, &mut sections);
    for record in sections.records() {
        let mut owner = [0_u8; MAX_NAME];
        let length = sections.owner_name(record, &question, &mut owner);
        let owner = owner[..length].to_ascii_lowercase();
        assert!(owner.ends_with(zone.origin()), "{owner:02x?} is outside");
    }
    if let Verdict::Outside(next) = verdict {
        assert!(!next.lower().ends_with(zone.origin()), "it leads back inside");
    }
}

/// Zone files.
pub(super) fn zone_seeds() -> Vec<Seed> {
    let text = |text: &str| text.as_bytes().to_vec();
    let soa = "@ 60 IN SOA ns hostmaster ( 1 ; serial\n 2h 30m 1d 30 )\n";
    let with = |lines: &str| text(&format!("{soa}{lines}"));
    vec![
        ("all_shapes", text(ZONE)),
        ("ttls", with("$TTL 1h30m\na A 1.2.3.4\nb 5 A 1.2.3.5\nc IN 6 A 1.2.3.6\n 7 IN TXT x\n")),
        (
            "origins",
            with(
                "$ORIGIN sub\na A 1.2.3.4\n$ORIGIN other.example.com.\nb A 1.2.3.5\n$ORIGIN example.org.\nc A 1.2.3.6\n",
            ),
        ),
        ("quotes", with("t TXT \"a \\\" \\065 ; b\" c\\ d\n")),
        ("generate", with("$GENERATE 0-20/5 h${1,3,x} AAAA fd00::${0,2,x}\n$GENERATE 1-2 $ CNAME h$\n")),
        ("include", with("$INCLUDE other.db sub\n")),
        ("unknown", with("u TYPE65280 \\# 3 010203\n")),
        (
            "signed",
            with(
                "@ NSEC a A NS SOA RRSIG NSEC\n@ DS 1 8 2 aabb\n@ RRSIG SOA 8 2 60 20300101000000 20200101000000 1 example.com. AAAA\n",
            ),
        ),
        (
            "services",
            with(
                "s HTTPS 1 . alpn=h2 ipv4hint=1.2.3.4\nn NAPTR 1 2 \"s\" \"x\" \"\" t\nc CAA 0 issue \"ca.example\"\n",
            ),
        ),
        ("open", with("a TXT ( \"x\n")),
        ("no_soa", text("a A 1.2.3.4\n")),
        ("clash", with("a CNAME b\na A 1.2.3.4\n")),
    ]
}
