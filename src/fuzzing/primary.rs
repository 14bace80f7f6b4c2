//! Z2: zones as primaries send them, message by message, judged by hickory's reading of the same messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use hickory_proto::op::Message;

use super::cost::{Bound, bounded};
use super::response::data_of;
use super::seeds::{name, record, soa, words};
use super::target::Seed;
use super::texts::{ORIGIN, sent};
use crate::transfer::{FetchFault, transferred};
use crate::wire::{MAX_NAME, Question, Sections, parse_name, rtype};
use crate::zone::{Refusal, Sender, Zone};

/// The id of the question.
const ID: u16 = 0x1234;

/// What a zone may cost: an owner in two tables and its data for each few bytes, and all of it once more when it is sorted.
const ARRIVING: Bound = Bound { each: 512, beside: 1 << 16 };

/// Types whose data hickory writes as it came, but for the letters of names; it makes the second name of an SOA a pointer.
const KNOWN: &[u16] = &[1, 28, 2, 5, 12, 15, 16, 33];

/// A record to compare: owner in lower case, type, data in lower case.
type Line = (Vec<u8>, u16, Vec<u8>);

/// The messages, each with its length before it; what is cut off at the end never came.
fn messages(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<2>() {
        let Some((message, after)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        messages.push(message);
        stream = after;
    }
    messages
}

/// Takes a zone in; it is what came, and the same when it is sent on.
pub(super) fn run(bytes: &[u8]) {
    let messages = messages(bytes);
    let origin = parse_name(ORIGIN).expect("a name");
    let zone = match bounded(ARRIVING, bytes, || transferred(&origin, ID, &messages)) {
        Ok(Some(zone)) => Arc::new(zone),
        Ok(None) => return,
        Err(fault) => return refused(&messages, &fault),
    };
    let lines: Vec<String> = sent(&zone, 512);
    assert_eq!(lines.first(), lines.last(), "the SOA at both ends");
    let kept = records(&zone);
    // What a primary of our own would send, a record a message.
    let again: Vec<Vec<u8>> = kept
        .iter()
        .map(|(owner, rtype, ttl, data)| message(1, &[record(owner, *rtype, *ttl, data)]))
        .collect();
    let again: Vec<&[u8]> = again.iter().map(Vec::as_slice).collect();
    let copy = transferred(&origin, ID, &again).expect("what was sent can be read").expect("it has its end");
    assert_eq!(sent(&Arc::new(copy), 512), lines, "sent on and read again");
    let Some(came) = came(&origin, &messages) else { return };
    let kept: BTreeSet<Line> = kept
        .into_iter()
        .map(|(owner, rtype, _, data)| (owner, rtype, data.to_ascii_lowercase()))
        .filter(|(_, rtype, _)| KNOWN.contains(rtype))
        .collect();
    assert_eq!(kept, came, "all that came, and nothing else");
}

/// The records of a zone as they are sent: owner, type, TTL, data.
fn records(zone: &Arc<Zone>) -> Vec<(Vec<u8>, u16, u32, Vec<u8>)> {
    let question = Question::new(&parse_name(ORIGIN).expect("a name"), rtype::AXFR).expect("a question");
    let mut draft = Sections::default();
    assert!(!Sender::new(zone.clone(), None).fill(&mut draft, usize::MAX), "all at once");
    let line = |record: &crate::wire::Record| {
        let mut owner = [0_u8; MAX_NAME];
        let length = draft.owner_name(record, &question, &mut owner);
        (owner[..length].to_vec(), record.rtype, record.ttl, draft.rdata(record).to_vec())
    };
    draft.records().iter().map(line).collect()
}

/// What hickory finds in the messages up to the second SOA, of types that it writes as they came; `None` where it can't read
/// one of them.
fn came(origin: &[u8], messages: &[&[u8]]) -> Option<BTreeSet<Line>> {
    let (mut came, mut ends) = (BTreeSet::new(), 0);
    for message in messages {
        for record in Message::from_vec(message).ok()?.answers {
            let mut owner = Vec::new();
            for label in &record.name {
                owner.push(u8::try_from(label.len()).ok()?);
                owner.extend(label.to_ascii_lowercase());
            }
            owner.push(0);
            let rtype = u16::from(record.record_type());
            ends += usize::from(rtype == rtype::SOA && owner == origin);
            if ends == 2 {
                return Some(came);
            }
            if KNOWN.contains(&rtype) && below(&owner, origin) {
                came.insert((owner, rtype, data_of(&record).to_ascii_lowercase()));
            }
        }
    }
    None
}

/// Whether a name is another one or lies below it, label by label.
fn below(name: &[u8], zone: &[u8]) -> bool {
    let mut rest = name;
    while rest != zone {
        match rest.split_first() {
            Some((length, after)) if *length > 0 => {
                rest = after.get(usize::from(*length)..).unwrap_or_default()
            }
            _ => return false,
        }
    }
    true
}

/// What is refused has the fault that is told.
fn refused(messages: &[&[u8]], fault: &FetchFault) {
    assert!(!fault.to_string().is_empty());
    let read: Vec<Message> = messages.iter().map_while(|message| Message::from_vec(message).ok()).collect();
    if read.len() < messages.len() {
        return;
    }
    let first = read.iter().flat_map(|message| &message.answers).next();
    let owner = |record: &hickory_proto::rr::Record| record.name.to_ascii().to_ascii_lowercase();
    let soa = |record: &hickory_proto::rr::Record| {
        u16::from(record.record_type()) == rtype::SOA && owner(record) == ORIGIN
    };
    let soas = read.iter().flat_map(|message| &message.answers).filter(|record| soa(record)).count();
    match fault {
        FetchFault::NoSoa => {
            let empty = read.first().is_some_and(|message| message.answers.is_empty());
            assert!(empty || !first.is_some_and(soa), "there is one in front");
        }
        FetchFault::Changed => assert!(soas > 1, "there is none at the end"),
        FetchFault::Rcode(_) => {
            let told = |message: &&[u8]| message.get(3).is_some_and(|flags| flags & 0xf != 0);
            assert!(messages.iter().any(told), "nobody said so");
        }
        FetchFault::Refused(Refusal::Outside) => panic!("what lies outside costs nothing but itself"),
        FetchFault::Io(_) | FetchFault::Late(_) => panic!("there is no network here"),
        FetchFault::Malformed(_) | FetchFault::Strange | FetchFault::Refused(_) => {}
    }
}

/// A message of a transfer, with so many records.
fn message(count: u16, records: &[Vec<u8>]) -> Vec<u8> {
    [words(&[ID, 0x8400, 0, count, 0, 0]), records.concat()].concat()
}

/// Transfers.
pub(super) fn seeds() -> Vec<Seed> {
    let zone = name(ORIGIN);
    let soa = |primary: &str| record(&zone, 6, 60, &soa(primary));
    let (front, other) = (soa("ns.example.com"), soa("ns2.example.com"));
    let www = record(&name("www.example.com"), 1, 60, &[192, 0, 2, 7]);
    let ns = record(&zone, 2, 60, &name("ns.example.com"));
    let outside = record(&name("www.example.org"), 1, 60, &[6, 6, 6, 6]);
    let nsec3 = record(&name("x.example.com"), 50, 60, &[1, 0, 0, 0, 0, 1, 9, 0]);
    let framed = |messages: &[Vec<u8>]| {
        let mut stream = Vec::new();
        for message in messages {
            stream.extend(u16::try_from(message.len()).expect("a short one").to_be_bytes());
            stream.extend_from_slice(message);
        }
        stream
    };
    let one = |records: &[&Vec<u8>]| {
        let records: Vec<Vec<u8>> = records.iter().map(|record| (*record).clone()).collect();
        message(u16::try_from(records.len()).expect("few"), &records)
    };
    let whole = one(&[&front, &ns, &www, &front]);
    let with = |at: usize, byte: u8| {
        let mut message = whole.clone();
        message[at] = byte;
        message
    };
    // The question in front, and names that point to it.
    let mut asked = words(&[ID, 0x8400, 1, 3, 0, 0]);
    asked.extend([zone.clone(), words(&[252, 1])].concat());
    let here = [0xc0, 12];
    let alias = [&[3, b'a', b'p', b'i'][..], &here].concat();
    for (owner, rtype, data) in
        [(&here[..], 6, soa_data()), (&alias[..], 5, here.to_vec()), (&here[..], 6, soa_data())]
    {
        asked.extend(record(owner, rtype, 60, &data));
    }
    vec![
        ("whole", framed(std::slice::from_ref(&whole))),
        ("by_record", framed(&[one(&[&front]), one(&[&ns]), one(&[&www, &www]), one(&[&front])])),
        ("asked", framed(&[asked])),
        ("outside", framed(&[one(&[&front, &outside, &front])])),
        ("changed", framed(&[one(&[&front, &www]), one(&[&other])])),
        ("no_soa", framed(&[one(&[&www, &front])])),
        ("nothing", framed(&[message(0, &[])])),
        ("no_end", framed(&[one(&[&front, &www])])),
        ("refused", framed(&[with(3, 5)])),
        ("truncated", framed(&[with(2, 0x86)])),
        ("another_id", framed(&[with(0, 0)])),
        ("a_query", framed(&[with(2, 0)])),
        ("class", framed(&[with(28, 3)])),
        ("nsec3", framed(&[one(&[&front, &nsec3, &front])])),
        ("counts", framed(&[with(6, 0xff)])),
        ("cut_off", framed(std::slice::from_ref(&whole))[..60].to_vec()),
    ]
}

/// The data of an SOA whose names point to the question.
fn soa_data() -> Vec<u8> {
    [&[0xc0, 12, 0xc0, 12][..], &[1_u32, 7200, 1800, 86_400, 30].map(u32::to_be_bytes).concat()[..]].concat()
}
