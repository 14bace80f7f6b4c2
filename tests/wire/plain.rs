//! W1 to W10: flags, opcodes and types without EDNS (RFC 8906 §8.1).

use crate::logs;
use crate::message::{A, AA, AD, CD, Message, NOTIMP, Opt, RA, RD, SOA, TC, Z, name};
use crate::server::{Server, Stream, Verdict, Via, ask_udp_on, udp};

/// A Service of the demo.
const WEB: &str = "web.shop.svc.cluster.local";

#[test]
fn w01_soa_at_the_zone() {
    Server::demo().probe(&Message::query("cluster.local", SOA)).accept(&[Verdict::Data]).each(|reply| {
        assert!(reply.has(AA));
        assert_eq!(reply.answers.len(), 1);
        assert_eq!(reply.answers[0].rtype, SOA);
        assert_eq!(reply.answers[0].owner, name("cluster.local"));
        assert!(reply.opts.is_empty(), "no OPT without one in the query");
    });
}

#[test]
fn w02_unknown_type_is_nodata() {
    Server::demo().probe(&Message::query(WEB, 1000)).accept(&[Verdict::Nodata]).each(|reply| {
        assert!(reply.has(AA));
        assert_eq!(reply.questions[0].qtype, 1000);
    });
}

#[test]
fn w03_checking_disabled_is_copied() {
    Server::demo()
        .probe(&Message::query(WEB, A).flags(CD))
        .accept(&[Verdict::Data])
        .each(|reply| assert_eq!(reply.flags & (CD | AD | AA), CD | AA));
    Server::demo()
        .probe(&Message::query(WEB, A))
        .accept(&[Verdict::Data])
        .each(|reply| assert!(!reply.has(CD)));
}

#[test]
fn w04_authentic_data_is_not_claimed() {
    Server::demo()
        .probe(&Message::query(WEB, A).flags(AD))
        .accept(&[Verdict::Data])
        .each(|reply| assert!(!reply.has(AD)));
}

#[test]
fn w05_reserved_bit_is_cleared() {
    Server::demo()
        .probe(&Message::query(WEB, A).flags(Z))
        .accept(&[Verdict::Data])
        .each(|reply| assert!(!reply.has(Z)));
}

#[test]
fn w06_recursion_desired_is_copied_and_not_offered() {
    for bits in [0, RD] {
        Server::demo()
            .probe(&Message::query(WEB, A).flags(bits))
            .accept(&[Verdict::Data])
            .each(|reply| assert_eq!(reply.flags & (RD | RA), bits, "nothing forwards here (rule K-004)"));
    }
}

#[test]
fn w07_reply_bits_in_a_query_are_set_anew() {
    for bits in [AA, TC, RA, AA | TC | RA] {
        Server::demo().probe(&Message::query(WEB, A).flags(bits)).accept(&[Verdict::Data]).each(|reply| {
            assert_eq!(reply.flags & (AA | TC | RA), AA);
        });
        // Where the answer has AA=0, the client's does not shine through.
        Server::demo()
            .probe(&Message::query("example.org", A).flags(bits))
            .each(|reply| assert_eq!(reply.flags & (AA | TC | RA), 0));
    }
}

/// NOTIMP: the header alone, opcode copied.
fn not_implemented(opcode: u16) {
    let question = Message::query("cluster.local", SOA);
    for message in [
        Message::empty().opcode(opcode),
        question.clone().opcode(opcode),
        question.clone().opcode(opcode).flags(AA),
        question.clone().opcode(opcode).opt(&Opt::new(4096)),
        Message::raw([&[0x12, 0x34][..], &(opcode << 11).to_be_bytes(), &[0xff; 40]].concat()),
    ] {
        Server::demo().probe(&message).accept(&[Verdict::Code(NOTIMP)]).each(|reply| {
            assert_eq!(reply.opcode(), opcode, "the opcode is copied");
            assert_eq!(reply.bytes.len(), 12, "the header alone: {reply:?}");
            assert!(!reply.has(AA));
        });
    }
}

#[test]
fn w08_other_opcodes_are_notimp() {
    for opcode in [1, 2, 3, 6, 7, 14, 15] {
        not_implemented(opcode);
    }
}

#[test]
fn w09_notify_and_update_are_notimp() {
    not_implemented(4);
    not_implemented(5);
}

#[test]
fn w09_notify_and_update_write_no_line_each() {
    let server = Server::demo();
    let before = logs::count(|_| true);
    let socket = udp(server.v4());
    let mut stream = Stream::open(server.v4());
    for round in 0..400_u16 {
        let message = Message::query("cluster.local", SOA).opcode(4 + round % 2).id(round);
        assert!(ask_udp_on(&socket, &message).is_some_and(|reply| reply.rcode() == NOTIMP));
        assert!(stream.ask(&message).is_some_and(|reply| reply.rcode() == NOTIMP));
    }
    // Other tests of this process may log a little meanwhile.
    let lines = logs::count(|_| true) - before;
    assert!(lines < 200, "{lines} lines for 800 messages");
}

#[test]
fn w10_soa_over_tcp_is_as_over_udp() {
    for message in [
        Message::query("cluster.local", SOA),
        Message::query("CLUSTER.local", SOA).flags(RD),
        Message::query("cluster.local", SOA).opt(&Opt::new(1232)),
    ] {
        let outcome = Server::demo().probe(&message).accept(&[Verdict::Data]);
        let bytes: Vec<&[u8]> = outcome
            .0
            .iter()
            .filter_map(|exchange| exchange.reply.as_ref())
            .map(|r| r.bytes.as_slice())
            .collect();
        assert!(outcome.0.iter().any(|exchange| exchange.via == Via::Tcp));
        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes everywhere: {outcome:?}");
    }
}
