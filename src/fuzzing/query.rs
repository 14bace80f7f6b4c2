//! Z1: the parser of queries beside hickory's, and beside a reading that only counts.

use hickory_proto::op::{Header as JudgeHeader, Message, MessageType, OpCode, Query as JudgeQuery};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::cost::{NOTHING, bounded};
use super::seeds::{edns, name, opt, query, record, soa, words};
use super::target::Seed;
use crate::wire::{Fault, Query, Question, Rcode, client_options};

/// Parses; what comes of it must be what the others say.
pub(super) fn run(bytes: &[u8]) {
    let mut question = Question::default();
    let parsed = bounded(NOTHING, bytes, || Query::parse(bytes, &mut question));
    match parsed {
        Ok(query) => accepted(bytes, &query, &question),
        Err(fault) => refused(bytes, fault),
    }
    // NOTIFYs are read by themselves.
    let mut question = Question::default();
    if Query::notify(bytes, &mut question).is_some() {
        assert!(matches!(parsed, Err(Fault::Bare(_, Rcode::NOTIMP))), "a NOTIFY is no query");
    }
    if let Some(options) = client_options(bytes) {
        assert!(options.len() <= bytes.len());
    }
}

/// What we accept hickory reads alike.
fn accepted(bytes: &[u8], query: &Query, question: &Question) {
    let mut decoder = BinDecoder::new(bytes);
    let header = JudgeHeader::read(&mut decoder).expect("hickory reads the header");
    let judged = header.metadata;
    assert_eq!(judged.message_type, MessageType::Query);
    assert_eq!(judged.op_code, OpCode::Query);
    assert_eq!(query.header.id, judged.id);
    assert_eq!(query.header.recursion_desired(), judged.recursion_desired);
    assert_eq!(query.header.checking_disabled(), judged.checking_disabled);
    assert_eq!(query.header.authentic_data(), judged.authentic_data);
    assert_eq!((header.counts.queries, header.counts.answers), (1, 0));
    let asked = JudgeQuery::read(&mut decoder).expect("hickory reads the question");
    let labels: Vec<&[u8]> = asked.name().iter().collect();
    let mut typed = Vec::new();
    for label in &labels {
        typed.push(u8::try_from(label.len()).expect("a label"));
        typed.extend_from_slice(label);
    }
    typed.push(0);
    assert_eq!(question.typed(), &typed[..]);
    assert_eq!(question.lower(), &typed.to_ascii_lowercase()[..]);
    assert_eq!(question.labels(), labels.len());
    for (index, label) in labels.iter().enumerate() {
        assert_eq!(question.label(index), &label.to_ascii_lowercase()[..]);
    }
    assert_eq!(question.qtype, u16::from(asked.query_type()));
    assert_eq!(question.qclass, u16::from(asked.query_class()));
    // hickory looks into RDATA that we only step over: where it finds fault there, there is nothing to compare.
    let Ok(whole) = Message::from_vec(bytes) else { return };
    assert_eq!(query.edns.is_some(), whole.edns.is_some());
    if let (Some(ours), Some(theirs)) = (query.edns, whole.edns) {
        assert_eq!(theirs.version(), 0);
        // hickory raises sizes below 512.
        assert_eq!(ours.udp_size.max(512), theirs.max_payload().max(512));
        assert_eq!(ours.dnssec_ok, theirs.flags().dnssec_ok);
        assert!(client_options(bytes).is_some());
    }
}

/// What we refuse has the fault that we name.
fn refused(bytes: &[u8], fault: Fault) {
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let short = bytes.len() < 12;
    let response = word(2) & 0x8000 != 0;
    assert_eq!(fault == Fault::Silent, short || response, "silence is for fragments and responses");
    let (header, rcode) = match fault {
        Fault::Silent => return,
        Fault::Bare(header, rcode) | Fault::WithQuestion(header, rcode, _) => (header, rcode),
    };
    assert_eq!((header.id, header.flags), (word(0), word(2)));
    let opcode = (word(2) >> 11) & 0xf;
    assert_eq!(rcode == Rcode::NOTIMP, opcode != 0, "NOTIMP is for other opcodes");
    if opcode != 0 {
        assert!(matches!(fault, Fault::Bare(..)));
        return;
    }
    let counts = [word(4), word(6), word(8), word(10)];
    let sane = counts[0] == 1 && counts[1] == 0 && counts[2] <= 1 && counts[3] <= 2;
    let Ok(whole) = Message::from_vec(bytes) else { return };
    // hickory finds nothing wrong: then it is one of the things that it does not mind.
    let version = whole.edns.as_ref().map_or(0, |edns| edns.version());
    let other = sane && version != 0;
    assert!(rcode != Rcode::BADVERS || other, "BADVERS is for other versions of EDNS");
    // hickory minds no option that is longer than what it stands in.
    assert!(rcode == Rcode::BADVERS || !other || overrun(bytes), "another version of EDNS is BADVERS");
    let mut at = 12;
    while let Some(length @ 1..=63) = bytes.get(at) {
        at += 1 + usize::from(*length);
    }
    let pointer = bytes.get(at).is_some_and(|length| *length > 63);
    let odd_opt = bytes.windows(3).any(|three| three[1..] == [0, 41]);
    assert!(!sane || pointer || odd_opt || version != 0, "nothing is wrong with it");
}

/// Whether there is something like an OPT whose options do not fill it.
fn overrun(bytes: &[u8]) -> bool {
    let word = |at: usize| bytes.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&[0, 0, 41])).any(|at| {
        let (mut option, Some(length)) = (at + 11, word(at + 9)) else { return true };
        let end = option + length;
        while option < end {
            let Some(length) = word(option + 2) else { return true };
            option += 4 + length;
        }
        option != end || end > bytes.len()
    })
}

/// Queries of every shape.
pub(super) fn seeds() -> Vec<Seed> {
    let www = "www.example.org";
    let cookie = [words(&[10, 8]), vec![7; 8]].concat();
    let many =
        [words(&[3, 0, 11, 0, 12, 3]), vec![0; 3], words(&[8, 7]), vec![0, 1, 24, 0, 192, 0, 2]].concat();
    let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    let mut ixfr =
        [query(9, "example.org", 251), record(&name("example.org"), 6, 0, &soa("ns.example.org"))].concat();
    ixfr[9] = 1;
    let mut notify = query(10, "example.org", 6);
    notify[2] = 0x20;
    let mut update = query(11, "example.org", 6);
    update[2] = 0x28;
    let mut pointer = query(12, www, 1);
    pointer[12] = 0xc0;
    let mut two = [query(13, www, 1), name(www), words(&[28, 1])].concat();
    two[5] = 2;
    let mut reply = query(14, www, 1);
    reply[2] |= 0x80;
    let mut opts = [edns(15, www, 1, &opt(1232, 0, 0, &[])), opt(512, 0, 0, &[])].concat();
    opts[11] = 2;
    vec![
        ("plain", query(1, www, 1)),
        ("root", query(2, "", 2)),
        ("edns", edns(3, "web.shop.svc.cluster.local", 28, &opt(1232, 0, 0x8000, &[]))),
        ("cookie", edns(4, www, 1, &opt(4096, 0, 0, &cookie))),
        ("many_options", edns(5, www, 33, &opt(0, 0, 0, &many))),
        ("version_1", edns(6, www, 1, &opt(1232, 1, 0, &[]))),
        ("overrun_option", edns(7, www, 1, &opt(1232, 0, 0, &words(&[10, 9])))),
        ("long_name", query(8, &long, 12)),
        ("ixfr", ixfr),
        ("notify", notify),
        ("update", update),
        ("pointer", pointer),
        ("two_questions", two),
        ("response", reply),
        ("two_opts", opts),
        ("chaos", [words(&[16, 0, 1, 0, 0, 0]), name("version.bind"), words(&[16, 3])].concat()),
        ("header", words(&[17, 0x0100, 1, 0, 0, 0])),
        ("fragment", vec![0, 1, 2]),
    ]
}
