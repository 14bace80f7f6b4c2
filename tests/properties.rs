//! Properties of the wire, over random input: what the parser accepts hickory reads alike, whole answers are sound and
//! within their bounds, and a stream's answers don't depend on how its bytes were cut.

mod encrypted;
#[path = "wire/logs.rs"]
mod logs;
#[path = "wire/message.rs"]
mod message;
#[path = "wire/server.rs"]
mod server;

use std::net::UdpSocket;
use std::sync::Arc;

use hickory_proto::op::{Header as JudgeHeader, Message as Judge, MessageType, OpCode, Query as JudgeQuery};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use signpost::wire::{Fault, Query, Question};

use message::{A, Message, Opt, Reply, labels_of, record};
use server::{Server, Stream, Via, ask_udp_on, check, sentinel, udp};

// ---------------------------------------------------------------------------------------------- what is sent

/// Labels of the fixtures and of the grammar, with neighbours that are almost right.
const KNOWN: &[&str] = &[
    "local",
    "cluster",
    "svc",
    "pod",
    "dns",
    "ns",
    "dns-version",
    "shop",
    "data",
    "default",
    "kube-system",
    "web",
    "cart",
    "search",
    "front-door",
    "payments",
    "orders-db",
    "db",
    "db-0",
    "db-1",
    "db-2",
    "queue",
    "queue-0",
    "nginx",
    "kubernetes",
    "kube-dns",
    "_tcp",
    "_udp",
    "_sctp",
    "tcp",
    "_http",
    "_https",
    "_grpc",
    "_postgres",
    "_",
    "10-244-1-10",
    "fd00-10-244-1--20",
    "10-0-0-1",
    "1-2-3",
    "10",
    "96",
    "1",
    "0",
    "244",
    "arpa",
    "in-addr",
    "ip6",
    "f",
    "d",
    "WEB",
    "Shop",
    "SVC",
    "*",
    "any",
    "example",
    "com",
    "nowhere",
];

/// The ends of names that lead somewhere.
const ENDS: &[&[&str]] = &[
    &["cluster", "local"],
    &["svc", "cluster", "local"],
    &["shop", "svc", "cluster", "local"],
    &["data", "svc", "cluster", "local"],
    &["web", "shop", "svc", "cluster", "local"],
    &["search", "shop", "svc", "cluster", "local"],
    &["db", "data", "svc", "CLUSTER", "local"],
    &["shop", "pod", "cluster", "local"],
    &["10", "in-addr", "arpa"],
    &["96", "10", "in-addr", "arpa"],
    &["10", "96", "10", "in-addr", "arpa"],
    &["0", "1", "0", "0", "d", "f", "ip6", "arpa"],
    &[],
];

/// A label: known ones mostly, any bytes at times.
fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(KNOWN).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..=63),
        1 => vec(prop::sample::select(&b"abz019-_.\\*\0\xff"[..]), 1..=12),
    ]
}

/// A legal name in wire form.
fn qname() -> impl Strategy<Value = Vec<u8>> {
    (vec(label(), 0..=5), prop::sample::select(ENDS)).prop_map(|(mut labels, end)| {
        labels.extend(end.iter().map(|text| text.as_bytes().to_vec()));
        // Labels on the left give way until the name is legal.
        while labels.iter().map(|label| label.len() + 1).sum::<usize>() > 254 {
            labels.remove(0);
        }
        labels_of(&labels.iter().map(Vec::as_slice).collect::<Vec<_>>())
    })
}

/// A type: those with data mostly.
fn qtype() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => prop::sample::select(&[1_u16, 28, 33, 12, 16, 6, 2, 5][..]),
        2 => prop::sample::select(&[255_u16, 251, 252, 41, 43, 46, 64, 65, 15, 0, 250, 257][..]),
        1 => any::<u16>(),
    ]
}

/// An OPT with options that are whole.
fn opt() -> impl Strategy<Value = Opt> {
    let options = vec((prop_oneof![0_u16..20, any::<u16>()], vec(any::<u8>(), 0..48)), 0..4);
    let size = prop_oneof![prop::sample::select(&[0_u16, 511, 512, 1232, 4096, 65_535][..]), any::<u16>()];
    (size, any::<u16>(), options).prop_map(|(size, flags, options)| {
        options.into_iter().fold(Opt::new(size).flags(flags), |opt, (code, data)| opt.option(code, &data))
    })
}

/// A query as a sane client sends it, in any case of letters, with and without EDNS.
fn sane() -> impl Strategy<Value = Message> {
    // RD, AD and CD; the rest of the flags stays clear.
    let flags = any::<u16>().prop_map(|bits| bits & 0x0130);
    (any::<u16>(), flags, qname(), qtype(), prop::option::of(opt())).prop_map(
        |(id, flags, qname, qtype, opt)| {
            let message = Message::query_wire(&qname, qtype).id(id).flags(flags);
            opt.map_or(message.clone(), |opt| message.opt(&opt))
        },
    )
}

/// A query that is whole but odd: any flags, class and opcode, records in sections where they don't belong.
fn odd() -> impl Strategy<Value = Message> {
    let extra = (1_usize..4, label(), any::<u16>(), vec(any::<u8>(), 0..30));
    let class = prop_oneof![4 => Just(1_u16), 1 => any::<u16>()];
    let flags = prop_oneof![4 => Just(0_u16), 1 => any::<u16>()];
    (any::<u16>(), flags, qname(), qtype(), class, vec(opt(), 0..3), vec(extra, 0..2)).prop_map(
        |(id, flags, qname, qtype, class, opts, extras)| {
            let message = Message::empty().id(id).flags(flags).question(&qname, qtype, class);
            let message = extras.into_iter().fold(message, |message, (section, label, rtype, rdata)| {
                message.with(section, record(&labels_of(&[&label]), rtype, 1, 0, &rdata))
            });
            opts.iter().fold(message, Message::opt)
        },
    )
}

/// The bytes of an odd query with some of them changed, cut off or added.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (prop_oneof![odd(), sane()], changes, cut, vec(any::<u8>(), 0..12)).prop_map(
        |(message, changes, cut, tail)| {
            let mut bytes = message.bytes();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(tail);
            bytes
        },
    )
}

// ------------------------------------------------------------------------------------ the parser against hickory

/// Parses with ours, and holds it against hickory where we accept.
fn same_as_hickory(bytes: &[u8]) -> TestCaseResult {
    let mut question = Question::default();
    let query = match Query::parse(bytes, &mut question) {
        Ok(query) => query,
        Err(Fault::Silent | Fault::Bare(..) | Fault::WithQuestion(..)) => return Ok(()),
    };
    let mut decoder = BinDecoder::new(bytes);
    let header = JudgeHeader::read(&mut decoder).map_err(|e| TestCaseError::fail(format!("header: {e}")))?;
    let judged = header.metadata;
    prop_assert_eq!(judged.message_type, MessageType::Query);
    prop_assert_eq!(judged.op_code, OpCode::Query);
    prop_assert_eq!(query.header.id, judged.id);
    prop_assert_eq!(query.header.flags, u16::from_be_bytes([bytes[2], bytes[3]]));
    prop_assert_eq!(query.header.recursion_desired(), judged.recursion_desired);
    prop_assert_eq!(query.header.checking_disabled(), judged.checking_disabled);
    prop_assert_eq!(query.header.authentic_data(), judged.authentic_data);
    prop_assert_eq!((header.counts.queries, header.counts.answers), (1, 0));
    let asked = JudgeQuery::read(&mut decoder).map_err(|e| TestCaseError::fail(format!("question: {e}")))?;
    let labels: Vec<&[u8]> = asked.name().iter().collect();
    let typed = labels_of(&labels);
    prop_assert_eq!(question.typed(), &typed[..]);
    prop_assert_eq!(question.lower(), &typed.to_ascii_lowercase()[..]);
    prop_assert_eq!(question.labels(), labels.len());
    for (index, label) in labels.iter().enumerate() {
        prop_assert_eq!(question.label(index), &label.to_ascii_lowercase()[..]);
    }
    prop_assert_eq!(question.qtype, u16::from(asked.query_type()));
    prop_assert_eq!(question.qclass, u16::from(asked.query_class()));
    // hickory looks into the RDATA of records, and of options, that we only step over: where it finds fault there, or
    // with their place, there is nothing to compare.
    let Ok(whole) = Judge::from_vec(bytes) else { return Ok(()) };
    prop_assert_eq!(query.edns.is_some(), whole.edns.is_some());
    if let (Some(ours), Some(theirs)) = (query.edns, whole.edns) {
        prop_assert_eq!(theirs.version(), 0);
        // hickory raises sizes below 512.
        prop_assert_eq!(ours.udp_size.max(512), theirs.max_payload().max(512));
        prop_assert_eq!(ours.dnssec_ok, theirs.flags().dnssec_ok);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_read_as_hickory_reads_them(bytes in vec(any::<u8>(), 0..300)) {
        same_as_hickory(&bytes)?;
    }

    #[test]
    fn random_bodies_behind_a_sane_header_are_read_as_hickory_reads_them(
        id in any::<u16>(),
        authority in 0_u8..3,
        additional in 0_u8..4,
        body in vec(prop_oneof![Just(0_u8), 0_u8..8, any::<u8>()], 0..120),
    ) {
        let [high, low] = id.to_be_bytes();
        let mut bytes = vec![high, low, 0, 0, 0, 1, 0, 0, 0, authority, 0, additional];
        bytes.extend(body);
        same_as_hickory(&bytes)?;
    }

    #[test]
    fn mutated_queries_are_read_as_hickory_reads_them(bytes in mutated()) {
        same_as_hickory(&bytes)?;
    }

    #[test]
    fn sane_queries_are_accepted(message in sane()) {
        let bytes = message.bytes();
        let mut question = Question::default();
        let parsed = Query::parse(&bytes, &mut question);
        prop_assert!(parsed.is_ok(), "{parsed:?}");
        prop_assert_eq!(parsed.ok().and_then(|query| query.edns).map(|edns| edns.udp_size), message.size);
        same_as_hickory(&bytes)?;
    }

    #[test]
    fn a_question_read_again_keeps_nothing_of_the_last(first in mutated(), second in sane()) {
        // One `Question` is used for every query of a worker.
        let bytes = second.bytes();
        let (mut used, mut fresh) = (Question::default(), Question::default());
        let _ = Query::parse(&first, &mut used);
        prop_assert_eq!(Query::parse(&bytes, &mut used), Query::parse(&bytes, &mut fresh));
        prop_assert_eq!(used.typed(), fresh.typed());
        prop_assert_eq!(used.lower(), fresh.lower());
        prop_assert_eq!(used.labels(), fresh.labels());
        for index in 0..=used.labels() {
            prop_assert_eq!(used.label(index), fresh.label(index));
        }
        prop_assert_eq!((used.qtype, used.qclass), (fresh.qtype, fresh.qclass));
    }
}

// --------------------------------------------------------------------------------------------- whole answers

/// Runs a property with something that is made once.
fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("{error}");
    }
}

/// What holds for every reply to a sane query.
fn sound(message: &Message, reply: &Reply) -> TestCaseResult {
    let request = message.bytes();
    let question = &reply.questions;
    prop_assert_eq!(question.len(), 1, "the question comes back");
    let length = question[0].name.len();
    prop_assert_eq!(request.get(12..12 + length + 4), reply.bytes.get(12..12 + length + 4), "byte for byte");
    prop_assert_eq!(reply.opcode(), 0);
    prop_assert_eq!(reply.flags & (message::RD | message::CD), request_flags(&request));
    prop_assert!(!reply.has(message::RA), "nothing forwards here");
    prop_assert_eq!(reply.opts.len(), usize::from(message.size.is_some()));
    if message.size.is_some() {
        reply.opt();
    }
    prop_assert!([0, message::SERVFAIL, message::NXDOMAIN, message::REFUSED].contains(&reply.rcode()));
    if reply.rcode() != 0 {
        prop_assert!(reply.answers.is_empty(), "{reply:?}");
    }
    let soas = reply.authority.iter().filter(|record| record.rtype == message::SOA).count();
    prop_assert_eq!(reply.authority.len(), soas, "nothing but an SOA in authority (rule K-007)");
    match (reply.rcode(), reply.answers.is_empty()) {
        (0, true) | (message::NXDOMAIN, _) => prop_assert_eq!(soas, 1, "a negative answer has its SOA"),
        _ => prop_assert_eq!(soas, 0),
    }
    // Every record once, in class IN.
    let mut records: Vec<_> = reply.answers.iter().chain(&reply.additional).collect();
    prop_assert!(records.iter().all(|record| record.class == 1));
    let before = records.len();
    records.sort();
    records.dedup();
    prop_assert_eq!(records.len(), before, "no record twice (rule K-015)");
    Ok(())
}

/// RD and CD of a request.
fn request_flags(request: &[u8]) -> u16 {
    u16::from_be_bytes([request[2], request[3]]) & (message::RD | message::CD)
}

/// A server, a datagram socket to it, and nothing else.
fn demo() -> (Arc<Server>, UdpSocket) {
    let server = Server::demo();
    let socket = udp(server.v4());
    (server, socket)
}

#[test]
fn answers_to_sane_queries_are_sound() {
    let (_server, socket) = demo();
    run(1_500, &sane(), |message| {
        let reply = ask_udp_on(&socket, &message);
        let reply = reply.ok_or_else(|| TestCaseError::fail("no reply"))?;
        check(&message, Via::Udp, &reply);
        sound(&message, &reply)
    });
}

#[test]
fn answers_over_tcp_are_those_over_udp() {
    let (server, socket) = demo();
    let stream = std::cell::RefCell::new(Stream::open(server.v4()));
    run(700, &sane(), |message| {
        let datagram = ask_udp_on(&socket, &message).ok_or_else(|| TestCaseError::fail("no reply"))?;
        let segment = stream.borrow_mut().ask(&message).ok_or_else(|| TestCaseError::fail("closed"))?;
        sound(&message, &segment)?;
        prop_assert_eq!(datagram.rcode(), segment.rcode());
        prop_assert!(!segment.has(message::TC), "nothing of the demo is that large");
        if !datagram.has(message::TC) {
            prop_assert_eq!(plain_form(&datagram), plain_form(&segment));
        }
        Ok(())
    });
}

#[test]
fn odd_queries_keep_the_invariants() {
    let (_server, socket) = demo();
    run(1_500, &odd(), |message| {
        // The socket checks I1 and that there is one datagram at most.
        if let Some(reply) = ask_udp_on(&socket, &message) {
            check(&message, Via::Udp, &reply);
        }
        Ok(())
    });
}

#[test]
fn mutated_queries_keep_the_invariants() {
    let (server, socket) = demo();
    run(1_500, &mutated(), |bytes| {
        let mut question = Question::default();
        // What is not a query at all gets no more bytes than it has; what still is one has its own bounds.
        let readable = Query::parse(&bytes, &mut question);
        let mut message = Message::raw(bytes);
        message.unparsable = readable.is_err();
        message.size = readable.ok().and_then(|query| query.edns).map(|edns| edns.udp_size);
        if let Some(reply) = ask_udp_on(&socket, &message) {
            check(&message, Via::Udp, &reply);
        }
        Ok(())
    });
    assert_eq!(server.counter("panics"), 0);
}

#[test]
fn large_answers_keep_their_bounds() {
    let server = Server::large();
    let socket = udp(server.v4());
    let service = prop::sample::select(server::large::SERVICES);
    let types = prop::sample::select(&[A, message::SRV][..]);
    let ports = prop::sample::select(&["", "_http._tcp."][..]);
    run(
        200,
        &(service, types, ports, prop::option::of(opt())),
        |((name, namespace, count), qtype, port, opt)| {
            let message = Message::query(&format!("{port}{name}.{namespace}.svc.cluster.local"), qtype);
            let message = opt.map_or(message.clone(), |opt| message.opt(&opt));
            let reply = ask_udp_on(&socket, &message).ok_or_else(|| TestCaseError::fail("no reply"))?;
            check(&message, Via::Udp, &reply);
            sound(&message, &reply)?;
            prop_assert_eq!(
                reply.has(message::TC),
                reply.answers.len() < count,
                "TC says whether an answer is missing"
            );
            prop_assert!(!reply.answers.is_empty());
            Ok(())
        },
    );
}

// --------------------------------------------------------------------------------------------------- framing

/// A reply without what may differ from one time to the next: the order of records.
fn plain_form(reply: &Reply) -> (u16, u16, Vec<message::Record>, Vec<message::Record>, Vec<message::Record>) {
    let sorted = |records: &[message::Record]| {
        let mut records = records.to_vec();
        // Names in RDATA may be compressed differently in a different order, so only their count matters there.
        records.sort();
        records
    };
    (reply.id, reply.flags, sorted(&reply.answers), sorted(&reply.authority), sorted(&reply.additional))
}

/// All replies to this stream of bytes, written in these pieces, up to the end of the connection; by id.
fn replies(server: &Server, pieces: &[&[u8]]) -> Vec<Reply> {
    let mut stream = Stream::open(server.v4());
    for piece in pieces {
        stream.send_all(piece);
    }
    stream.0.shutdown(std::net::Shutdown::Write).expect("half-close");
    let mut replies: Vec<Reply> =
        std::iter::from_fn(|| stream.receive()).map(|bytes| Reply::read(&bytes)).collect();
    replies.sort_by_key(|reply| reply.id);
    replies
}

#[test]
fn a_stream_cut_anywhere_has_the_same_answers() {
    let (server, _) = demo();
    // Responses among them, which get silence; at the end the plain query, so that every case has an answer.
    let messages = vec(prop_oneof![4 => sane(), 1 => odd()], 1..8);
    let cuts = vec(any::<prop::sample::Index>(), 0..12);
    run(200, &(messages, cuts), |(messages, cuts)| {
        let mut bytes = Vec::new();
        for (id, message) in (0_u16..).zip(messages) {
            bytes.extend(message.id(id).frame());
        }
        bytes.extend(sentinel(0x7000).frame());
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places {
            pieces.push(&bytes[from..place]);
            from = place;
        }
        pieces.push(&bytes[from..]);
        let whole = replies(&server, &[&bytes]);
        let cut = replies(&server, &pieces);
        prop_assert!(whole.last().is_some_and(|reply| reply.id == 0x7000), "the last one is answered");
        prop_assert_eq!(
            whole.iter().map(plain_form).collect::<Vec<_>>(),
            cut.iter().map(plain_form).collect::<Vec<_>>()
        );
        Ok(())
    });
}
