//! W35 to W46: counts, fragments, pointers, labels.

use crate::message::{
    A, FORMERR, Message, NXDOMAIN, Opt, Reply, SERVFAIL, SOA, TXT, frame, labels_of, name, record,
};
use crate::server::{Server, Stream, Verdict, Via, ask_udp_on, plain, udp};

/// A Service of the demo.
const WEB: &str = "web.shop.svc.cluster.local";

/// A question for it.
fn web() -> Message {
    Message::query(WEB, A)
}

/// FORMERR on every way, at most as long as the request.
fn malformed(message: &Message) {
    Server::demo()
        .probe(&message.clone().unparsable())
        .accept(&[Verdict::Code(FORMERR)])
        .each(|reply| assert!(reply.answers.is_empty() && reply.authority.is_empty()));
}

/// Silence on every way.
fn silent(message: &Message) {
    Server::demo().probe(message).accept(&[Verdict::Silence]);
}

#[test]
fn w35_no_question_is_formerr() {
    malformed(&Message::empty());
    malformed(&Message::empty().opt(&Opt::new(4096)));
    malformed(&Message::empty().opt(&Opt::new(4096).option(10, &[1; 8])));
    malformed(&web().counts([0, 0, 0, 0]));
}

#[test]
fn w36_more_than_one_question_is_formerr() {
    malformed(&web().question(&name(WEB), A, 1));
    malformed(&web().question(&name("db.data.svc.cluster.local"), A, 1).opt(&Opt::new(4096)));
    malformed(&web().counts([2, 0, 0, 0]));
    malformed(&web().counts([65_535, 0, 0, 0]));
}

#[test]
fn w37_answer_records_in_a_query_are_formerr() {
    let answer = record(&name(WEB), A, 1, 30, &[192, 0, 2, 1]);
    malformed(&web().with(1, answer.clone()));
    malformed(&web().with(1, answer.clone()).opt(&Opt::new(4096)));
    malformed(&web().with(2, answer.clone()).with(2, answer));
}

#[test]
fn w37_one_authority_record_is_ignored() {
    let soa = record(&name("cluster.local"), SOA, 1, 30, &[&[0, 0][..], &[0; 20]].concat());
    Server::demo().probe(&web().with(2, soa.clone())).accept(&[Verdict::Data]);
    Server::demo().probe(&web().with(2, soa).opt(&Opt::new(4096))).accept(&[Verdict::Data]);
}

#[test]
fn w38_counts_beyond_the_content_are_formerr() {
    malformed(&Message::empty().counts([0xffff; 4]));
    malformed(&web().counts([0xffff; 4]));
    malformed(&web().counts([1, 0xffff, 0, 0]));
    malformed(&web().counts([1, 0, 0xffff, 0]));
    malformed(&web().counts([1, 0, 0, 0xffff]));
    malformed(&web().counts([1, 1, 0, 0]));
    malformed(&web().counts([1, 0, 1, 0]));
    malformed(&web().counts([1, 0, 0, 1]));
    malformed(&web().counts([1, 0, 0, 2]).tail(&Opt::new(4096).bytes()));
}

#[test]
fn w38_many_impossible_counts_in_a_row() {
    let server = Server::demo();
    let message = Message::empty().counts([0xffff; 4]);
    let socket = udp(server.v4());
    let mut stream = Stream::open(server.v4());
    for id in 0..2_000 {
        let message = message.clone().id(id);
        let datagram = ask_udp_on(&socket, &message).expect("FORMERR");
        assert_eq!((datagram.rcode(), datagram.bytes.len()), (FORMERR, 12));
        match stream.ask(&message) {
            Some(reply) => assert_eq!((reply.rcode(), reply.bytes.len()), (FORMERR, 12)),
            None => stream = Stream::open(server.v4()),
        }
    }
}

#[test]
fn w39_responses_are_met_with_silence() {
    for rcode in 0..16 {
        silent(&web().flags(0x8000 | rcode));
    }
    silent(&web().flags(0x8000).opt(&Opt::new(4096)));
    // Whatever else is wrong with it.
    silent(&Message::empty().flags(0x8000));
    silent(&Message::empty().flags(0x8000).counts([0xffff; 4]));
    silent(&web().flags(0x8000).opcode(4));
    silent(&web().flags(0x8000).opcode(15));
}

#[test]
fn w40_less_than_a_header_is_met_with_silence() {
    let bytes = web().bytes();
    for length in [0, 1, 2, 4, 11] {
        silent(&Message::raw(bytes[..length].to_vec()));
    }
    silent(&Message::raw(vec![0xff; 11]));
}

#[test]
fn w41_header_that_claims_a_question_is_formerr() {
    malformed(&Message::empty().counts([1, 0, 0, 0]));
}

#[test]
fn w41_every_cut_of_a_query_is_formerr() {
    let bytes = web().opt(&Opt::new(4096).option(10, &[1; 8])).bytes();
    for length in 12..bytes.len() {
        malformed(&Message::raw(bytes[..length].to_vec()));
    }
}

#[test]
fn w42_bytes_behind_the_message_are_ignored() {
    for length in [1, 10, 1_000] {
        for message in [web(), web().opt(&Opt::new(4096))] {
            Server::demo().probe(&message.tail(&vec![0xee; length])).accept(&[Verdict::Data]).each(|reply| {
                assert!(!reply.bytes.windows(2).any(|pair| pair == [0xee, 0xee]), "nothing is echoed");
            });
        }
    }
}

/// A query whose name is these bytes.
fn qname(bytes: &[u8]) -> Message {
    Message::query_wire(bytes, A)
}

#[test]
fn w43_pointers_in_the_question_are_formerr() {
    for pointer in [
        // To itself, to the header, forward, past the end, to the last byte that a pointer reaches, cut in half.
        &[0xc0, 12][..],
        &[0xc0, 0],
        &[0xc0, 16],
        &[0xc0, 200],
        &[0xff, 0xff],
        &[0xc0],
        // Behind a label: to that label, and to itself.
        b"\x03web\xc0\x0c",
        b"\x03web\xc0\x10",
    ] {
        malformed(&qname(pointer));
        malformed(&qname(pointer).opt(&Opt::new(4096)));
    }
}

#[test]
fn w43_long_chains_of_pointers_are_bounded() {
    // As many pointers, each to the one before it, as 14 bits reach; the first to a root.
    let pointer = |at: usize| (0xc000 | u16::try_from(at).expect("fourteen bits")).to_be_bytes();
    let chain = 8_000_u16;
    let build = |qname: &[u8]| {
        let mut message = Message::query_wire(qname, A).counts([1, 0, 0, 1]).bytes();
        let mut target = message.len();
        message.push(0);
        message.extend_from_slice(&[0, 16, 0, 1, 0, 0, 0, 0]);
        message.extend_from_slice(&(chain * 2).to_be_bytes());
        for _ in 0..chain {
            let at = message.len();
            message.extend_from_slice(&pointer(target));
            target = at;
        }
        (message, target)
    };
    let (message, end) = build(&[0]);
    // One more record whose owner is the end of the chain.
    let mut second = message.clone();
    second[11] = 2;
    second.extend(record(&pointer(end), TXT, 1, 0, b"\x01x"));
    // And an OPT there: by the letter at the root, by any sane limit malformed.
    let mut opt = message;
    opt[11] = 2;
    opt.extend(Opt::new(4096).owner(pointer(end).to_vec()).bytes());
    // And a question that jumps to the end of it.
    let (mut question, end) = build(&[0xc0, 0]);
    question.splice(12..14, pointer(end));

    let server = Server::demo();
    let answered = [Verdict::Code(FORMERR), Verdict::Code(SERVFAIL), Verdict::Code(5)];
    server.probe_via(&Message::raw(second), &[Via::Tcp]).accept(&answered);
    server.probe_via(&Message::raw(opt), &[Via::Tcp]).accept(&answered);
    let question = Message::raw(question);
    server.probe_via(&question, &[Via::Tcp]).accept(&[Verdict::Code(FORMERR)]);
    // Many of them in a row cost nobody his answer.
    let bytes = question.frame();
    let mut stream = Stream::open(server.v4());
    for _ in 0..200 {
        stream.send_all(&bytes);
        assert_eq!(Reply::read(&stream.receive().expect("FORMERR")).rcode(), FORMERR);
    }
    assert!(plain(server.v4()));
}

#[test]
fn w44_unknown_label_types_and_cut_labels_are_formerr() {
    for wire in [
        &[0x40, 1, 2, 3, 0][..],
        &[0x41, 0],
        &[0x80, 0],
        &[0xbf, 0],
        b"\x03web\x40\x00",
        // Labels that promise more than there is.
        b"\x3fweb",
        b"\x04shop\x20svc\x00",
    ] {
        malformed(&qname(wire));
    }
}

/// A name of 255 bytes below `suffix`, of labels of `size` bytes as long as they fit.
fn longest(suffix: &str, size: usize) -> Vec<u8> {
    let suffix = name(suffix);
    let mut wire = Vec::new();
    let mut room = 255 - suffix.len();
    while room > 0 {
        // A label takes one byte more than it has, and no single byte may be left.
        let mut length = size.min(room - 1);
        if room - 1 - length == 1 {
            length = if length > 1 { length - 1 } else { length + 1 };
        }
        wire.push(u8::try_from(length).expect("a label"));
        wire.extend(std::iter::repeat_n(b'a', length));
        room -= 1 + length;
    }
    wire.extend(suffix);
    assert_eq!(wire.len(), 255);
    wire
}

#[test]
fn w45_longest_names_are_handled() {
    let inside = [Verdict::Code(NXDOMAIN)];
    // Nobody knows a name outside of the cluster zone here: a bare SERVFAIL (rule K-001).
    let outside = [Verdict::Code(SERVFAIL)];
    for (wire, accept) in [
        (longest("cluster.local", 63), &inside),
        (longest("shop.svc.cluster.local", 63), &inside),
        (longest("cluster.local", 1), &inside),
        (longest("shop.pod.cluster.local", 1), &inside),
        (longest("web.shop.svc.cluster.local", 63), &inside),
        (longest("in-addr.arpa", 1), &inside),
        (longest("ip6.arpa", 1), &inside),
        (longest("", 63), &outside),
        (longest("", 1), &outside),
    ] {
        for opt in [None, Some(Opt::new(512))] {
            let message = qname(&wire);
            let message = opt.map_or(message.clone(), |opt| message.opt(&opt));
            Server::demo().probe(&message).accept(accept).each(|reply| {
                assert_eq!(reply.questions[0].name, wire, "the question is returned byte for byte");
            });
        }
    }
}

#[test]
fn w45_127_labels_are_handled() {
    let wire = [&[1, b'a'].repeat(127)[..], &[0]].concat();
    assert_eq!(wire.len(), 255);
    Server::demo()
        .probe(&qname(&wire))
        .accept(&[Verdict::Code(SERVFAIL)])
        .each(|reply| assert_eq!(reply.questions[0].name, wire));
}

#[test]
fn w45_names_over_255_bytes_are_formerr() {
    let long = [&b"\x01x"[..], &longest("cluster.local", 63)].concat();
    assert_eq!(long.len(), 257);
    malformed(&qname(&long));
    let mut wire = longest("cluster.local", 63);
    // One byte more in the first label that has room for it.
    let at = 64 * 3;
    assert!(wire[at] < 63);
    wire[at] += 1;
    wire.insert(at + 1, b'a');
    assert_eq!(wire.len(), 256);
    malformed(&qname(&wire));
    malformed(&qname(&[&[1, b'a'].repeat(128)[..], &[0]].concat()));
    malformed(&qname(&[&[1, b'a'].repeat(400)[..], &[0]].concat()));
}

#[test]
fn w46_odd_bytes_in_labels_match_nothing() {
    let shop: &[&[u8]] = &[b"shop", b"svc", b"cluster", b"local"];
    let below =
        |label: &'static [u8], rest: &[&'static [u8]]| -> Vec<u8> { labels_of(&[&[label], rest].concat()) };
    let zone: &[&[u8]] = &[b"svc", b"cluster", b"local"];
    for wire in [
        // A dot in a label is no boundary: none of these is web.shop.svc.cluster.local.
        below(b"web.shop", zone),
        labels_of(&[b"web", b"shop.svc", b"cluster", b"local"]),
        labels_of(&[b"web", b"shop", b"svc.cluster", b"local"]),
        labels_of(&[b"web", b"shop", b"svc", b"cluster.local"]),
        labels_of(&[b"web.shop.svc.cluster.local"]),
        // The tenants' case: data.db is no service of shop.
        labels_of(&[b"db.data", b"shop", b"svc", b"cluster", b"local"]),
        labels_of(&[b"web", b"shop.svc.data", b"svc", b"cluster", b"local"]),
        below(b"web\0", shop),
        below(b"\0", shop),
        below(b"we\xff", shop),
        below(b"web\\", shop),
        below(b"\\119eb", shop),
        below(b"web ", shop),
        below(b"*", shop),
        below(b"w\x05b", shop),
        // The separators of keys that a store might be built with.
        below(b"web/shop", zone),
        below(b"web\x04shop", zone),
        below(b"web\0shop", zone),
        // Letters outside of ASCII are not folded.
        below("w\u{c9}b".as_bytes(), shop),
    ] {
        Server::demo()
            .probe(&qname(&wire))
            .accept_each(&[Verdict::Code(NXDOMAIN), Verdict::Code(SERVFAIL)])
            .each(|reply| {
                assert_eq!(reply.questions[0].name, wire, "byte for byte");
                assert!(reply.answers.is_empty() && reply.additional.is_empty());
                // SERVFAIL only for the names outside of cluster.local.
                let outside = !wire.ends_with(&name("cluster.local"));
                assert_eq!(reply.rcode(), if outside { SERVFAIL } else { NXDOMAIN });
            });
    }
}

#[test]
fn frames_of_random_content_are_survived() {
    // A little of everything between W38 and W46, from a counter instead of chance, all on one connection at a time.
    let server = Server::demo();
    let mut stream = Stream::open(server.v4());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in (0..600).map(|i| i % 97) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        server.probe_via(&Message::raw(bytes.clone()), &[Via::Udp]);
        stream.send_all(&frame(&bytes));
        stream.send_all(&web().frame());
        loop {
            match stream.receive() {
                Some(reply) if reply.get(..2) == Some(&[0x12, 0x34]) => break,
                Some(_) => {}
                None => {
                    stream = Stream::open(server.v4());
                    break;
                }
            }
        }
    }
    assert_eq!(server.counter("panics"), 0);
}
