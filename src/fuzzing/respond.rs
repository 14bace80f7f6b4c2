//! Z3: a whole worker, datagram in, datagram out; and the same with an upstream that says whatever it likes.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::Record;

use super::desk::Desk;
use super::seeds::{edns, name, opt, query, record, soa, words};
use super::target::Seed;
use super::{query as parser, response};
use crate::wire::{Fault, MAX_UDP_REPLY, NameBuf, PLAIN_UDP_REPLY, Query, Question, Reader, Section, rtype};

/// Longer than any query may wait.
const LONG: Duration = Duration::from_secs(12);

/// A query that is always answered.
const SENTINEL: u16 = 0x5e5e;

/// Sends a datagram and judges what comes back.
pub(super) fn run(bytes: &[u8]) {
    let mut desk = Desk::local();
    desk.send(bytes);
    let mut replies = desk.received();
    if replies.is_empty() {
        desk.pass(LONG);
        replies = desk.received();
    }
    let mut question = Question::default();
    let parsed = Query::parse(bytes, &mut question);
    assert_eq!(replies.len(), usize::from(parsed != Err(Fault::Silent)), "one reply, or silence");
    if let Some(reply) = replies.first() {
        let judged = sound(bytes, &parsed, reply).expect("hickory reads all that is made here");
        whole(&mut desk, bytes, &judged);
    }
    // Whatever came, the next one is answered.
    desk.send(&query(SENTINEL, "web.shop.svc.cluster.local", 1));
    let after = desk.received();
    assert_eq!(after.len(), 1);
    let after = Message::from_vec(&after[0]).expect("hickory reads it");
    assert_eq!((after.metadata.id, after.answers.len()), (SENTINEL, 1));
}

/// Judges one reply by the bytes that it answers.
///
/// `None` where hickory can't read it for the sake of data that we hand on as they came.
fn sound(bytes: &[u8], parsed: &Result<Query, Fault>, reply: &[u8]) -> Option<Message> {
    assert!(reply.len() >= 12 && reply[..2] == bytes[..2], "the client's id");
    assert_eq!(reply[2] & 0xf8, 0x80 | bytes[2] & 0x78, "a reply, with the client's opcode");
    let judged = match Message::from_vec(reply) {
        Ok(judged) => judged,
        // hickory looks into data that we hand on as it came.
        Err(_) if handed_on(reply) => return None,
        Err(error) => panic!("{error}: {reply:02x?}"),
    };
    assert_eq!(judged.metadata.message_type, MessageType::Response);
    let limit = match parsed {
        Ok(query) => {
            let asked = query.edns.map_or(PLAIN_UDP_REPLY, |edns| usize::from(edns.udp_size));
            assert_eq!(judged.edns.is_some(), query.edns.is_some(), "an OPT for an OPT");
            asked.clamp(PLAIN_UDP_REPLY, MAX_UDP_REPLY)
        }
        // No amplification: a reply to what can't be read is no longer than that.
        Err(_) => bytes.len().max(12),
    };
    assert!(reply.len() <= limit, "{} bytes, {limit} fit", reply.len());
    if parsed.is_ok() {
        let mut end = 12;
        while reply[end] != 0 {
            end += 1 + usize::from(reply[end]);
        }
        assert_eq!(reply.get(12..end + 5), bytes.get(12..end + 5), "the question, byte for byte");
        assert_eq!(judged.queries.len(), 1);
    }
    if let Some(edns) = &judged.edns {
        assert_eq!((edns.version(), usize::from(edns.max_payload())), (0, MAX_UDP_REPLY));
    }
    Some(judged)
}

/// Whether a message is whole, and has records of a type into whose data we don't look.
fn handed_on(reply: &[u8]) -> bool {
    let mut reader = Reader::new(reply, 4);
    let mut name = NameBuf::default();
    let mut counts = [0; 4];
    for count in &mut counts {
        *count = reader.word().expect("a header");
    }
    for _ in 0..counts[0] {
        reader.name(&mut name).expect("a question");
        reader.long().expect("its type and class");
    }
    let mut unseen = false;
    for (section, count) in
        [Section::Answer, Section::Authority, Section::Additional].into_iter().zip(&counts[1..])
    {
        for _ in 0..*count {
            let record = reader.record(section, &mut name).expect("a whole record");
            unseen |= !response::READ.contains(&record.rtype) && record.rtype != rtype::OPT;
        }
    }
    assert_eq!(reader.place(), reply.len(), "nothing stands behind the records");
    unseen
}

/// The records of a message, counted.
fn counted<'m>(sections: impl IntoIterator<Item = &'m Vec<Record>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in sections.into_iter().flatten() {
        *counts.entry(record.to_string()).or_default() += 1;
    }
    counts
}

/// Asks over a stream too: what was not truncated is the same there, what was is more there.
fn whole(desk: &mut Desk, bytes: &[u8], datagram: &Message) {
    let Ok(length) = u16::try_from(bytes.len()) else { return };
    let stream = desk.connect();
    desk.write(stream, &[&length.to_be_bytes()[..], bytes].concat());
    let came = desk.read(stream);
    let Some((prefix, reply)) = came.split_first_chunk::<2>() else { panic!("no reply over a stream") };
    assert_eq!(usize::from(u16::from_be_bytes(*prefix)), reply.len(), "one reply");
    let judged = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
    assert_eq!(judged.metadata.id, datagram.metadata.id);
    // A transfer is another answer over a stream, an ANY a smaller one over datagrams, and only a stream can be kept alive.
    let special = datagram.queries.first().is_none_or(|query| u16::from(query.query_type()) >= 250);
    if special {
        return;
    }
    assert_eq!(judged.metadata.response_code, datagram.metadata.response_code);
    let (less, more) = (
        counted([&datagram.answers, &datagram.authorities, &datagram.additionals]),
        counted([&judged.answers, &judged.authorities, &judged.additionals]),
    );
    assert!(!judged.metadata.truncation, "nothing here is longer than a stream's message");
    if datagram.metadata.truncation {
        assert!(less.iter().all(|(record, count)| more.get(record) >= Some(count)) && less != more);
    } else {
        // Additional records may have been left out for the sake of size.
        let (less, more) = (
            counted([&datagram.answers, &datagram.authorities]),
            counted([&judged.answers, &judged.authorities]),
        );
        // Which name that asks who it is came over what is said.
        let who = datagram.answers.is_empty() && datagram.additionals.len() == 2;
        assert!(who || less == more, "{less:?} over a datagram, {more:?} over a stream");
    }
}

/// Datagrams: those of the parser, and names that are known here.
pub(super) fn seeds() -> Vec<Seed> {
    let with = |qname: &str, qtype| edns(0x4242, qname, qtype, &opt(1232, 0, 0, &[]));
    let mut seeds = parser::seeds();
    seeds.extend([
        ("service", with("web.shop.svc.cluster.local", 1)),
        ("service_v6", with("web.shop.svc.cluster.local", 28)),
        ("headless", with("db.data.svc.cluster.local", 1)),
        ("srv", with("_pg._tcp.db.data.svc.cluster.local", 33)),
        ("srv_any", with("db.data.svc.cluster.local", 33)),
        ("endpoint", with("db-0.db.data.svc.cluster.local", 1)),
        ("pod", with("10-244-1-10.shop.pod.cluster.local", 1)),
        ("many", with("many.data.svc.cluster.local", 1)),
        ("many_plain", query(0x4242, "many.data.svc.cluster.local", 1)),
        ("many_srv", with("many.data.svc.cluster.local", 33)),
        ("external", with("out.shop.svc.cluster.local", 1)),
        ("reverse", with("1.0.96.10.in-addr.arpa", 12)),
        ("reverse_v6", with("6.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", 12)),
        ("apex", with("cluster.local", 6)),
        ("version", with("dns-version.cluster.local", 16)),
        ("hosts", with("host.example.org", 255)),
        ("rewritten", with("old.example.org", 1)),
        ("made", with("word.made.example.org", 16)),
        ("whoami", with("x.example.net", 1)),
        ("zone", with("alias.example.com", 1)),
        ("zone_dname", with("x.moved.example.com", 28)),
        ("zone_wild", with("a.b.wild.example.com", 16)),
        ("zone_cut", with("x.down.example.com", 1)),
        ("transfer", with("example.com", 252)),
        ("refused", with("www.example.org", 1)),
        ("import", with("web.shop.svc.clusterset.local", 1)),
        ("import_srv", with("_http._tcp.web.shop.svc.clusterset.local", 33)),
        ("searched", with("web.shop.svc.shop.svc.path.test", 1)),
        ("pod_verified", with("198-51-100-1.shop.pod.path.test", 1)),
        ("outside", with("front.shop.external.test", 1)),
        ("outside_srv", with("_https._tcp.front.shop.external.test", 33)),
        ("ingress_host", with("www.external.test", 1)),
        ("filtered", with("x.guarded.test", 16)),
        ("blocked", with("x.guarded.test", 13)),
        ("guarded", with("x.guarded.test", 28)),
    ]);
    seeds
}

/// Lines beside `forward`, by the first byte of an input.
const LINES: &[&str] = &[
    "cache 30",
    "",
    "cache 30 {\n serve_stale 1h\n }",
    "dns64 {\n translate_all\n }\n cache 30",
    "rewrite name suffix .example.org .example.net answer auto\n cache 30",
    "minimal\n loadbalance\n cache 30",
    "rewrite cname exact www.target.example www.example.org\n cache 30",
    "cache 30 {\n prefetch 1 10s 10%\n }",
];

/// Types that the client asks for.
const TYPES: &[u16] = &[1, 28, 33, 15, 5, 16, 12, 255, 65, 2];

/// Names that the client asks for, in turn.
const NAMES: [&str; 3] = ["www.example.org", "WWW.example.org", "victim.example"];

/// The most queries that may go out for one that came in: two questions (`dns64`, or the target of an alias), twice each to
/// two upstreams, once more without EDNS.
const MOST: usize = 24;

/// The first byte chooses the words of the block, the second the type; then come the upstream's replies, each with a byte of
/// its own (1: as it is, else made to fit id and question) and its length in two bytes.
pub(super) fn run_forwarded(bytes: &[u8]) {
    let Some(([line, kind], mut rest)) = bytes.split_first_chunk::<2>() else { return };
    let mut replies = Vec::new();
    while let Some(([how, l0, l1], tail)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*l0, *l1])).min(tail.len());
        let (reply, after) = tail.split_at(length);
        replies.push((*how, reply));
        rest = after;
    }
    let mut replies = replies.into_iter();
    let line = LINES[usize::from(*line) % LINES.len()];
    let qtype = TYPES[usize::from(*kind) % TYPES.len()];
    let mut desk = Desk::forwarding(line);
    for (at, qname) in NAMES.iter().enumerate() {
        let id = u16::try_from(at).expect("three names") + 1;
        let asked = edns(id, qname, qtype, &opt(1232, 0, if kind & 0x80 == 0 { 0 } else { 0x8000 }, &[]));
        desk.send(&asked);
        let mut sent = 0;
        let mut got = desk.received();
        for _ in 0..10 {
            for (socket, to) in desk.came() {
                sent += 1;
                assert!(Message::from_vec(&to).is_ok_and(|query| query.queries.len() == 1), "{to:02x?}");
                // Nobody says anything of the victim: what is said of it all the same comes from elsewhere.
                if at < 2
                    && let Some((how, reply)) = replies.next()
                {
                    desk.say(socket, &fitted(how, reply, &to));
                }
            }
            got.extend(desk.received());
            if !got.is_empty() {
                break;
            }
            desk.pass(Duration::from_millis(1250));
            got.extend(desk.received());
        }
        assert!(sent <= MOST, "{sent} queries for one");
        assert_eq!(got.len(), 1, "one reply to each query");
        let mut question = Question::default();
        let parsed = Query::parse(&asked, &mut question);
        let Some(judged) = sound(&asked, &parsed, &got[0]) else { continue };
        to_the_question(&judged, line);
        if at == 2 {
            assert!(judged.answers.is_empty(), "{:?}", judged.answers);
        }
    }
    // Nothing is left behind: what waited has ended.
    desk.pass(LONG);
    assert!(desk.received().is_empty(), "a second reply");
}

/// A reply made to fit a query, unless it is to be left as it is: id, QR and question are the query's.
fn fitted(how: u8, reply: &[u8], query: &[u8]) -> Vec<u8> {
    if how == 1 {
        return reply.to_vec();
    }
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let mut bytes = query[..end + 5].to_vec();
    bytes[6..12].fill(0);
    for (to, from) in bytes[2..4].iter_mut().zip(reply) {
        *to = *from;
    }
    bytes[2] = bytes[2] & 0x07 | 0x80;
    for (to, from) in bytes[6..12].iter_mut().zip(reply.iter().skip(2)) {
        *to = *from;
    }
    // Counts above what could be there would only ever be refused.
    for at in [6, 8, 10] {
        bytes[at] = 0;
        bytes[at + 1] &= 0x0f;
    }
    bytes.extend_from_slice(reply.get(8..).unwrap_or_default());
    bytes
}

/// Every record of the answer is on the chain from the question.
fn to_the_question(judged: &Message, line: &str) {
    let [query] = &judged.queries[..] else { panic!("one question") };
    let qname = query.name().to_ascii().to_ascii_lowercase();
    let chain = response::chain(judged, qname, u16::from(query.query_type()));
    for record in &judged.answers {
        let owner = record.name.to_ascii().to_ascii_lowercase();
        let proof = u16::from(record.record_type()) == 39
            && chain.iter().any(|name| owner == "." || name.ends_with(&format!(".{owner}")));
        assert!(proof || chain.contains(&owner), "{owner} is not on {chain:?} ({line})");
    }
}

/// Upstreams that say all kinds of things.
pub(super) fn forwarded_seeds() -> Vec<Seed> {
    let here = [0xc0, 12];
    let a = |last: u8| record(&here, 1, 60, &[192, 0, 2, last]);
    let said = |how: u8, flags: u16, counts: [u16; 3], records: &[Vec<u8>]| {
        let reply = [words(&[flags, counts[0], counts[1], counts[2]]), records.concat()].concat();
        [vec![how], words(&[u16::try_from(reply.len()).expect("a short one")]), reply].concat()
    };
    let soa = record(&name("example.org"), 6, 60, &soa("ns.example.org"));
    let victim = record(&name("victim.example"), 1, 60, &[6, 6, 6, 6]);
    let alias = record(&here, 5, 60, &name("www.target.example"));
    let target = record(&name("www.target.example"), 1, 60, &[192, 0, 2, 8]);
    let good = said(0, 0x0180, [1, 0, 0], &[a(7)]);
    let with = |line: u8, kind: u8, parts: &[Vec<u8>]| [vec![line, kind], parts.concat()].concat();
    vec![
        ("good", with(0, 0, std::slice::from_ref(&good))),
        ("no_cache", with(1, 0, &[good.clone(), good.clone()])),
        ("nxdomain", with(0, 0, &[said(0, 0x0183, [0, 1, 0], std::slice::from_ref(&soa))])),
        ("nodata_64", with(3, 1, &[said(0, 0x0180, [0, 1, 0], &[soa]), good.clone()])),
        ("translated", with(3, 1, &[said(0, 0x0180, [0, 0, 0], &[]), good.clone()])),
        ("servfail_twice", with(0, 0, &[said(0, 0x0182, [0, 0, 0], &[]), said(0, 0x0182, [0, 0, 0], &[])])),
        ("formerr_then_good", with(0, 0, &[said(0, 0x0181, [0, 0, 0], &[]), good.clone()])),
        ("alias", with(0, 0, &[said(0, 0x0180, [2, 0, 0], &[alias.clone(), target.clone()])])),
        (
            "alias_alone",
            with(6, 0, &[said(0, 0x0180, [1, 0, 0], std::slice::from_ref(&alias)), good.clone()]),
        ),
        ("rewritten", with(4, 0, &[said(0, 0x0180, [2, 0, 0], &[alias, target])])),
        ("victim", with(0, 0, &[said(0, 0x0180, [2, 0, 1], &[a(7), victim.clone(), victim])])),
        ("truncated", with(0, 0, &[said(0, 0x0380, [0, 0, 0], &[]), good.clone()])),
        ("raw_junk", with(0, 0, &[said(1, 0x0180, [9, 9, 9], &[vec![0xff; 30]]), good.clone()])),
        ("stale", with(2, 0, std::slice::from_ref(&good))),
        ("minimal", with(5, 0, &[said(0, 0x0580, [3, 0, 0], &[a(1), a(2), a(3)])])),
        ("any", with(7, 7, &[good])),
        ("dnssec", with(0, 0x80, &[said(0, 0x01a0, [1, 0, 0], &[a(9)])])),
        ("silent", vec![0, 0]),
    ]
}
