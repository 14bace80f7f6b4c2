//! Z2: what is read from upstreams, judged by hickory's reading of the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

use super::cost::{Bound, bounded};
use super::seeds::{name, opt, record, soa, words};
use super::target::Seed;
use crate::forward::{Expect, Response, Unfit, read};
use crate::wire::{MAX_NAME, Question, Section, Sections};

/// The id of all questions.
const ID: u16 = 0x1234;

/// Types that are asked for.
const ASKED: &[u16] = &[1, 28, 5, 255, 16, 15, 2, 12, 6, 33, 46, 35, 39, 65];

/// Names that are asked for.
const NAMES: &[&str] = &["www.example.org", "WWW.Example.ORG", "a.b.example.net", "", "_x._tcp.example.org"];

/// Types whose data we look into; others are handed on as they came.
pub(super) const READ: &[u16] = &[1, 28, 2, 5, 6, 12, 15, 33, 39];

/// What reading one may cost: a record of twelve bytes may have an owner and data of 255 bytes each, by pointers, and stands in
/// lists while it is looked at.
const READING: Bound = Bound { each: 256, beside: 1 << 14 };

/// The first byte chooses name and letters, the second the type, its highest bit DO; the rest is the reply.
pub(super) fn run(bytes: &[u8]) {
    let Some(([place, kind], reply)) = bytes.split_first_chunk::<2>() else { return };
    let qname = NAMES.get(usize::from(place & 0x7f) % NAMES.len()).copied().unwrap_or_default();
    let qtype = ASKED.get(usize::from(kind & 0x7f) % ASKED.len()).copied().unwrap_or(1);
    let typed = name(qname);
    let question = Question::new(&typed, qtype).expect("it is a name");
    let letters = (place & 0x80 != 0).then_some(&typed[..]);
    let expect = Expect { id: ID, question: &question, letters, dnssec_ok: kind & 0x80 != 0 };
    match bounded(READING, reply, || read(reply, &expect, &mut Sections::default())) {
        Ok(response) => {
            judge(reply, &expect, &response);
            again(&expect, &response);
        }
        Err(unfit) => refused(reply, &expect, unfit),
    }
}

/// A name in lower case.
fn lower(name: &Name) -> String {
    name.to_ascii().to_ascii_lowercase()
}

/// Whether hickory finds that a message is a reply to this question.
fn replies(message: &Message, expect: &Expect<'_>) -> bool {
    let [query] = &message.queries[..] else { return false };
    let expected = Name::from_bytes(expect.question.lower()).map(|name| lower(&name)).unwrap_or_default();
    message.metadata.id == expect.id
        && message.metadata.message_type == MessageType::Response
        && u8::from(message.metadata.op_code) == 0
        && lower(query.name()) == expected
        && u16::from(query.query_type()) == expect.question.qtype
        && u16::from(query.query_class()) == expect.question.qclass
}

/// What is refused as another's reply hickory takes for none of ours either.
fn refused(bytes: &[u8], expect: &Expect<'_>, unfit: Unfit) {
    let Ok(message) = Message::from_vec(bytes) else { return };
    match unfit {
        Unfit::Mismatch => assert!(!replies(&message, expect), "a reply to our question is refused"),
        Unfit::Letters => assert!(expect.letters.is_some() && replies(&message, expect)),
        // We look deeper than hickory into some data, and follow fewer pointers.
        Unfit::Malformed => {}
    }
}

/// A record as text: section, owner, type, TTL as it counts, data.
fn text(section: usize, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> String {
    format!("{section} {owner} {rtype} {ttl} {data:02x?}")
}

/// The data of hickory's record, names whole.
pub(super) fn data_of(record: &Record) -> Vec<u8> {
    record.data.to_bytes().unwrap_or_default()
}

/// The signer of an RRSIG.
fn signer(data: &[u8]) -> Option<String> {
    Name::from_bytes(data.get(18..)?).ok().map(|name| lower(&name))
}

/// The names of the chain from the question, walked anew.
pub(super) fn chain(message: &Message, qname: String, qtype: u16) -> Vec<String> {
    let mut chain = vec![qname];
    while !matches!(qtype, 5 | 255) && chain.len() <= 12 {
        let last = chain.last().cloned().unwrap_or_default();
        let link = message.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if lower(&record.name) == last && u16::from(record.dns_class) == 1 => {
                Some(lower(&target.0))
            }
            _ => None,
        });
        match link {
            Some(next) if !chain.contains(&next) => chain.push(next),
            _ => break,
        }
    }
    chain
}

/// Whether `name` is `zone` or below it.
fn above(name: &str, zone: &str) -> bool {
    zone == "." || name == zone || name.strip_suffix(zone).is_some_and(|head| head.ends_with('.'))
}

/// Judges a reply that was accepted: it answers what was asked, and nothing is kept but what belongs to the question and came.
///
/// Panics where that is not so.
#[allow(clippy::missing_panics_doc, reason = "the panic is the judgement")]
pub fn judge(bytes: &[u8], expect: &Expect<'_>, response: &Response) {
    let question = expect.question;
    assert_eq!(&bytes[..2], &expect.id.to_be_bytes());
    assert_eq!(bytes[2] & 0xf8, 0x80);
    // hickory refuses a message for what stands in data that we drop or hand on unseen; what we keep it must read.
    let again = Message::from_vec(&rebuilt(question, response));
    assert!(again.is_ok(), "kept, and hickory says {:?}: {bytes:02x?}", again.err());
    let Ok(message) = Message::from_vec(bytes) else { return };
    assert!(replies(&message, expect), "accepted, and it is no reply to our question");
    let chain = chain(&message, lower(message.queries[0].name()), question.qtype);
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    for (section, list) in [&message.answers, &message.authorities, &message.additionals].iter().enumerate() {
        for record in *list {
            let ttl = if record.ttl > 0x7fff_ffff { 0 } else { record.ttl };
            let data = data_of(record).to_ascii_lowercase();
            let line = text(section, &lower(&record.name), u16::from(record.record_type()), ttl, &data);
            *came.entry(line).or_default() += 1;
        }
    }
    let mut kept = Sections::default();
    kept.load(&response.records);
    let mut pointed: BTreeSet<String> = BTreeSet::new();
    for record in kept.records() {
        let mut owner = [0_u8; MAX_NAME];
        let length = kept.owner_name(record, question, &mut owner);
        let owner = lower(&Name::from_bytes(&owner[..length]).expect("an owner is a name"));
        let data = kept.rdata(record);
        if let Some((_, at)) = [(2, 0), (15, 2), (33, 6)].iter().find(|(rtype, _)| *rtype == record.rtype) {
            pointed.insert(lower(&Name::from_bytes(&data[*at..]).expect("a target is a name")));
        }
        let signed = || {
            message.authorities.iter().any(|other| {
                lower(&other.name) == owner
                    && other.record_type() == RecordType::RRSIG
                    && signer(&data_of(other)).is_some_and(|zone| {
                        above(&owner, &zone) && chain.iter().any(|name| above(name, &zone))
                    })
            })
        };
        let belongs = match record.section {
            // A DNAME above a name on the chain is a part of the proof.
            Section::Answer if record.rtype == 39 => chain.iter().any(|name| above(name, &owner)),
            Section::Answer => chain.contains(&owner),
            Section::Authority if [46, 47, 50].contains(&record.rtype) => {
                expect.dnssec_ok && (signed() || chain.iter().any(|name| above(name, &owner)))
            }
            Section::Authority => chain.iter().any(|name| above(name, &owner)),
            Section::Additional => pointed.contains(&owner) && [1, 28, 46].contains(&record.rtype),
        };
        assert!(belongs, "{:?} {owner} {} is kept; chain {chain:?}", record.section, record.rtype);
        assert!(record.ttl <= 0x7fff_ffff);
        // What is kept came, word for word, names aside from their letters, and not more often than it came.
        let section = match record.section {
            Section::Answer => 0,
            Section::Authority => 1,
            Section::Additional => 2,
        };
        let line = text(section, &owner, record.rtype, record.ttl, &data.to_ascii_lowercase());
        let known = [1, 28, 2, 5, 12, 15, 16, 33].contains(&record.rtype);
        let left = came.get(&line).copied().unwrap_or(0);
        assert!(!known || left > 0, "{line} did not come, or not so often: {came:#?}");
        came.insert(line, left.saturating_sub(1));
    }
    // Above two names of the chain it is still one record.
    let above = kept.records().iter().filter(|record| record.rtype == 39).count();
    let came = message.answers.iter().filter(|record| u16::from(record.record_type()) == 39).count();
    assert!(above <= came, "{above} DNAMEs are kept of {came}");
}

/// What was kept is kept again when it comes alone: nothing of it was there for the sake of what was dropped.
fn again(expect: &Expect<'_>, response: &Response) {
    let question = expect.question;
    let lines = |response: &Response| {
        let mut kept = Sections::default();
        kept.load(&response.records);
        let mut lines: Vec<String> = Vec::new();
        for record in kept.records() {
            let mut owner = [0_u8; MAX_NAME];
            let length = kept.owner_name(record, question, &mut owner);
            let owner = lower(&Name::from_bytes(&owner[..length]).expect("an owner is a name"));
            lines.push(format!(
                "{:?} {owner} {} {} {:02x?}",
                record.section,
                record.rtype,
                record.ttl,
                kept.rdata(record)
            ));
        }
        lines
    };
    let mut kept = Sections::default();
    kept.load(&response.records);
    let mut counts = [0_u16; 3];
    let mut records = Vec::new();
    for one in kept.records() {
        counts[match one.section {
            Section::Answer => 0,
            Section::Authority => 1,
            Section::Additional => 2,
        }] += 1;
        let mut owner = [0_u8; MAX_NAME];
        let length = kept.owner_name(one, question, &mut owner);
        records.push(record(&owner[..length], one.rtype, one.ttl, kept.rdata(one)));
    }
    let asked = expect.letters.unwrap_or(question.lower());
    let message = [
        words(&[ID, 0x8000, 1, counts[0], counts[1], counts[2]]),
        asked.to_vec(),
        words(&[question.qtype, question.qclass]),
        records.concat(),
    ]
    .concat();
    let copy = read(&message, expect, &mut Sections::default()).expect("what was kept can be read");
    assert_eq!(lines(&copy), lines(response), "read again");
}

/// What was kept, as a message of its own, names whole.
fn rebuilt(question: &Question, response: &Response) -> Vec<u8> {
    let mut kept = Sections::default();
    kept.load(&response.records);
    let records: Vec<_> = kept.records().iter().filter(|record| READ.contains(&record.rtype)).collect();
    let mut out = words(&[ID, 0x8000, 0, u16::try_from(records.len()).expect("fewer than came"), 0, 0]);
    for one in records {
        let mut owner = [0_u8; MAX_NAME];
        let length = kept.owner_name(one, question, &mut owner);
        out.extend(record(&owner[..length], one.rtype, one.ttl, kept.rdata(one)));
    }
    out
}

/// A reply: name, type, code, counts, records.
fn reply(qname: &str, qtype: u16, rcode: u16, counts: [u16; 3], records: &[Vec<u8>]) -> Vec<u8> {
    let header = words(&[ID, 0x8180 | rcode, 1, counts[0], counts[1], counts[2]]);
    [header, name(qname), words(&[qtype, 1]), records.concat()].concat()
}

/// Replies: sound ones, lying ones, broken ones.
pub(super) fn seeds() -> Vec<Seed> {
    let www = NAMES[0];
    let here = [0xc0, 12];
    let a = record(&here, 1, 60, &[192, 0, 2, 7]);
    let alias = |owner: &[u8], target: &str| record(owner, 5, 60, &name(target));
    let victim = record(&name("victim.example"), 1, 60, &[6, 6, 6, 6]);
    let soa = record(&name("example.org"), 6, 60, &soa("ns.example.org"));
    let ns = record(&name("example.org"), 2, 60, &name("ns.example.org"));
    let glue = record(&name("ns.example.org"), 1, 60, &[192, 0, 2, 1]);
    let opt = opt(1232, 0, 0, &[]);
    let links: Vec<Vec<u8>> = (0..13)
        .map(|at| alias(&name(&format!("l{at}.example.org")), &format!("l{}.example.org", at + 1)))
        .collect();
    let chained = [vec![alias(&here, "l0.example.org")], links].concat();
    let signature = [words(&[1]), vec![8, 3], vec![0; 14], name("example.org"), vec![1; 8]].concat();
    let mx = record(&here, 15, 60, &[words(&[10]), vec![4], b"mail".to_vec(), vec![0xc0, 16]].concat());
    let with = |first: [u8; 2], message: Vec<u8>| [first.to_vec(), message].concat();
    let mut wrong = reply(www, 1, 0, [1, 0, 0], std::slice::from_ref(&a));
    wrong[0] ^= 0xff;
    let mut query = reply(www, 1, 0, [1, 0, 0], std::slice::from_ref(&a));
    query[2] &= 0x7f;
    let mut cut = reply(www, 1, 0, [3, 0, 0], std::slice::from_ref(&a));
    cut[2] |= 2;
    vec![
        ("answer", with([0, 0], reply(www, 1, 0, [1, 0, 1], &[a.clone(), opt]))),
        ("letters", with([0x81, 0], reply(NAMES[1], 1, 0, [1, 0, 0], std::slice::from_ref(&a)))),
        (
            "alias",
            with(
                [0, 0],
                reply(
                    www,
                    1,
                    0,
                    [2, 0, 0],
                    &[alias(&here, "a.example.org"), record(&name("a.example.org"), 1, 5, &[192, 0, 2, 8])],
                ),
            ),
        ),
        ("victim", with([0, 0], reply(www, 1, 0, [2, 0, 1], &[a.clone(), victim.clone(), victim]))),
        ("nxdomain", with([0, 0], reply(www, 1, 3, [0, 1, 0], std::slice::from_ref(&soa)))),
        ("nodata", with([0, 1], reply(www, 28, 0, [0, 1, 0], std::slice::from_ref(&soa)))),
        ("glue", with([0, 0], reply(www, 1, 0, [1, 1, 1], &[a.clone(), ns, glue]))),
        ("long_chain", with([0, 0], reply(www, 1, 0, [14, 0, 0], &chained))),
        ("circle", with([0, 0], reply(www, 1, 0, [1, 0, 0], &[alias(&here, www)]))),
        ("mail", with([0, 5], reply(www, 15, 0, [1, 0, 0], &[mx]))),
        (
            "signed",
            with(
                [0, 0x80],
                reply(
                    www,
                    1,
                    0,
                    [2, 1, 0],
                    &[
                        a.clone(),
                        record(&here, 46, 60, &signature),
                        record(&name("example.org"), 46, 60, &signature),
                    ],
                ),
            ),
        ),
        (
            "dname",
            with(
                [0, 0x80],
                reply(
                    www,
                    1,
                    0,
                    [2, 0, 0],
                    &[
                        record(&name("example.org"), 39, 60, &name("example.net")),
                        alias(&here, "www.example.net"),
                    ],
                ),
            ),
        ),
        (
            "dname_above_two",
            with(
                [0, 0x80],
                reply(
                    www,
                    1,
                    0,
                    [4, 0, 0],
                    &[
                        record(&name("example.org"), 39, 60, &name("example.net")),
                        alias(&here, "b.example.org"),
                        alias(&name("b.example.org"), "b.example.net"),
                        record(&name("b.example.net"), 1, 60, &[192, 0, 2, 9]),
                    ],
                ),
            ),
        ),
        ("any", with([0, 3], reply(www, 255, 0, [2, 0, 0], &[a.clone(), soa]))),
        ("wrong_id", with([0, 0], wrong)),
        ("a_query", with([0, 0], query)),
        ("cut", with([0, 0], cut)),
        ("counts", with([0, 0], reply(www, 1, 0, [0xffff, 0xffff, 0xffff], &[a]))),
        ("root", with([3, 6], reply("", 2, 0, [0, 0, 0], &[]))),
    ]
}
