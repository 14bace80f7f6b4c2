//! W11 to W17, W19, W20, W22, W25 to W34: EDNS versions, flags, options and sizes.

use crate::message::{
    A, AA, BADVERS, DO, FORMERR, Message, NXDOMAIN, OPT, Opt, Reply, TC, TXT, frame, labels_of, name, record,
};
use crate::server::{Server, Stream, Verdict, Via, ask_udp_on, udp};

/// A Service of the demo.
const WEB: &str = "web.shop.svc.cluster.local";

/// A question for it.
fn web() -> Message {
    Message::query(WEB, A)
}

/// Asks for `web` with an OPT; an ordinary answer with our OPT, no option returned.
fn answered(opt: &Opt) {
    Server::demo().probe(&web().opt(opt)).accept(&[Verdict::Data]).each(|reply| {
        assert_eq!(reply.options(), [], "no option comes back (rule K-011)");
        assert_eq!(reply.answers.len(), 1);
        assert!(!reply.has(TC));
    });
}

#[test]
fn w11_version_0_tells_our_size() {
    for size in [512, 1232, 4096, 65_535] {
        answered(&Opt::new(size));
    }
    // Negative, refused and foreign answers have the OPT too (rule S-04).
    for message in [
        Message::query("nothing.shop.svc.cluster.local", A),
        Message::query(WEB, TXT),
        Message::query("example.org", A),
        Message::empty().question(&name(WEB), A, 3),
    ] {
        Server::demo().probe(&message.clone().opt(&Opt::new(4096))).each(|reply| {
            assert_eq!(reply.options(), []);
        });
        Server::demo().probe(&message).each(|reply| assert!(reply.opts.is_empty(), "no OPT unless asked"));
    }
}

/// BADVERS: no answer, AA=0, our OPT, nothing returned; the reply is looked at by the caller too.
fn bad_version(opt: &Opt, look: impl Fn(&Reply)) {
    for version in [1, 2, 255] {
        let message = web().opt(&opt.clone().version(version));
        Server::demo().probe(&message).accept(&[Verdict::Code(BADVERS)]).each(|reply| {
            assert_eq!(reply.options(), []);
            assert!(reply.answers.is_empty() && reply.authority.is_empty() && reply.additional.is_empty());
            assert!(!reply.has(AA));
            look(reply);
        });
    }
}

#[test]
fn w12_version_1_is_badvers() {
    bad_version(&Opt::new(4096), |_| ());
}

#[test]
fn w13_unknown_option_is_not_returned() {
    answered(&Opt::new(4096).option(100, b""));
    answered(&Opt::new(4096).option(100, b"what is this").option(65_001, &[0; 200]));
}

#[test]
fn w14_unknown_flag_is_cleared() {
    answered(&Opt::new(4096).flags(0x0040));
    answered(&Opt::new(4096).flags(0x7fff));
}

#[test]
fn w15_version_1_with_an_unknown_flag_is_badvers() {
    bad_version(&Opt::new(4096).flags(0x7fff), |_| ());
}

#[test]
fn w16_version_1_with_an_option_is_badvers() {
    bad_version(&Opt::new(4096).option(100, b"option"), |_| ());
    // An option that overruns is malformed in any version we know; in one that we don't, either may be said.
    let overrun = Opt::new(4096).version(1).raw_options(&[0, 100, 0, 9, 1]);
    Server::demo().probe(&web().opt(&overrun)).accept(&[Verdict::Code(BADVERS), Verdict::Code(FORMERR)]);
}

#[test]
fn w17_version_1_with_do_is_badvers() {
    bad_version(&Opt::new(4096).flags(DO), |_| ());
}

#[test]
fn w19_do_is_copied() {
    for flags in [0, DO] {
        Server::demo()
            .probe(&web().opt(&Opt::new(4096).flags(flags)))
            .accept(&[Verdict::Data])
            .each(|reply| assert_eq!(reply.opt().ttl & 0xffff, u32::from(flags)));
    }
}

#[test]
fn w20_known_options_together_are_not_returned() {
    answered(
        &Opt::new(4096)
            .option(3, b"")
            .option(8, &[0, 1, 24, 0, 192, 0, 2])
            .option(10, &[7; 8])
            .option(9, b""),
    );
}

#[test]
fn w22_sizes_below_512_count_as_512() {
    let server = Server::large();
    let ask = |size| {
        let message = Message::query("hundred.big.svc.cluster.local", A).opt(&Opt::new(size));
        let outcome = server.probe_via(&message, &[Via::Udp]).accept(&[Verdict::Data]);
        outcome.0.into_iter().filter_map(|exchange| exchange.reply).map(|reply| {
            assert!(reply.has(TC));
            reply.answers.len()
        })
    };
    let whole: Vec<usize> = ask(512).collect();
    for size in [0, 1, 511] {
        assert_eq!(ask(size).collect::<Vec<_>>(), whole, "size {size} is taken as 512");
    }
}

/// FORMERR on every way, without records.
fn malformed(message: &Message) {
    Server::demo().probe(&message.clone().unparsable()).accept(&[Verdict::Code(FORMERR)]).each(|reply| {
        assert!(reply.answers.is_empty() && reply.authority.is_empty() && reply.additional.is_empty());
        assert!(reply.opts.is_empty(), "FORMERR for a malformed message is without OPT (rule K-009)");
    });
}

#[test]
fn w25_option_longer_than_its_opt_is_formerr() {
    for options in
        [&[0, 100, 0, 10, 1, 2][..], &[0, 10, 0xff, 0xff], &[0, 10, 0], &[0], &[0, 100, 0, 0, 0, 10, 0, 1]]
    {
        malformed(&web().opt(&Opt::new(4096).raw_options(options)));
    }
    // The OPT itself is longer than the message.
    let mut bytes = web().opt(&Opt::new(4096)).bytes();
    let last = bytes.len() - 1;
    bytes[last] = 5;
    malformed(&Message::raw(bytes));
}

#[test]
fn w26_two_opt_records_are_formerr() {
    malformed(&web().opt(&Opt::new(4096)).opt(&Opt::new(4096)));
    malformed(&web().opt(&Opt::new(4096)).opt(&Opt::new(512).flags(DO).option(10, &[1; 8])));
}

#[test]
fn w27_opt_that_is_not_at_the_root_is_formerr() {
    malformed(&web().opt(&Opt::new(4096).owner(name("cluster.local"))));
    // At the question's name, by a pointer.
    malformed(&web().opt(&Opt::new(4096).owner(vec![0xc0, 12])));
}

#[test]
fn w27_opt_outside_the_additional_section_is_formerr() {
    malformed(&web().with(1, Opt::new(4096).bytes()));
    malformed(&web().with(2, Opt::new(4096).bytes()));
}

#[test]
fn w28_cookies_of_a_wrong_length_are_ignored() {
    for length in [0, 7, 9, 15, 41] {
        answered(&Opt::new(4096).option(10, &vec![9; length]));
    }
}

#[test]
fn w29_cookies_are_ignored() {
    answered(&Opt::new(4096).option(10, &[1, 2, 3, 4, 5, 6, 7, 8]));
    answered(&Opt::new(4096).option(10, &[5; 16]));
    answered(&Opt::new(4096).option(10, &[5; 24]));
}

#[test]
fn w30_client_subnet_is_ignored() {
    for subnet in [
        &[0, 1, 24, 0, 192, 0, 2][..],
        // A family that does not exist, a prefix that is too long, an address that is cut, nothing at all.
        &[0, 3, 24, 0, 192, 0, 2],
        &[0, 1, 33, 0, 192, 0, 2, 1, 1],
        &[0, 1, 24, 0, 192],
        &[],
    ] {
        answered(&Opt::new(4096).option(8, subnet));
    }
}

#[test]
fn w31_keepalive_is_ignored() {
    answered(&Opt::new(4096).option(11, b""));
    answered(&Opt::new(4096).option(11, &[0, 100]));
}

/// A padded reply: blocks of 468 bytes, filled with zeros (RFC 8467 §4.1, RFC 7830 §3).
fn padded(reply: &Reply) {
    assert_eq!(reply.bytes.len() % 468, 0, "{} bytes", reply.bytes.len());
    let options = reply.options();
    let [(12, zeros)] = options.as_slice() else { panic!("padding alone: {options:?}") };
    assert!(zeros.iter().all(|byte| *byte == 0));
    assert_eq!(reply.answers.len(), 1);
    assert!(!reply.has(TC));
}

#[test]
fn w32_padding_is_not_returned_in_the_clear() {
    for opt in [Opt::new(4096).option(12, &[0; 64]), Opt::new(1232).option(12, &[0; 1000])] {
        let message = web().opt(&opt);
        Server::demo().probe_via(&message, &[Via::Udp, Via::Tcp]).accept(&[Verdict::Data]).each(|reply| {
            assert_eq!(reply.options(), [], "no option comes back (rule K-011)");
            assert_eq!(reply.answers.len(), 1);
        });
    }
}

#[test]
fn w32_replies_to_padded_queries_are_padded_where_nobody_listens() {
    for size in [0, 1, 64, 1000] {
        let message = web().opt(&Opt::new(4096).option(12, &vec![0; size]));
        Server::demo().probe_encrypted(&message).accept(&[Verdict::Data]).each(padded);
    }
    // Refusals as well, and no reply to a query that was not padded.
    let refused = Message::query("web.shop.svc.cluster.local", A).question(&name("a"), A, 1);
    Server::demo().probe_encrypted(&refused).accept(&[Verdict::Code(FORMERR)]);
    Server::demo().probe_encrypted(&web().opt(&Opt::new(4096))).each(|reply| {
        assert_eq!(reply.options(), []);
    });
}

#[test]
fn w33_tcp_query_of_65535_bytes_has_the_normal_answer() {
    let room = 65_535 - web().opt(&Opt::new(4096).option(12, b"")).bytes().len();
    let message = web().opt(&Opt::new(4096).option(12, &vec![0; room]));
    assert_eq!(message.bytes().len(), 65_535);
    Server::demo().probe_via(&message, &[Via::Tcp]).accept(&[Verdict::Data]).each(|reply| {
        assert_eq!(reply.options(), []);
        assert_eq!(reply.answers.len(), 1);
        assert!(!reply.has(TC));
    });
    let outcome = Server::demo().probe_encrypted(&message);
    assert!(outcome.0.len() >= 4, "by POST, over TLS and QUIC: {outcome:?}");
    outcome.accept(&[Verdict::Data]).each(padded);
}

/// A question with 16,000 options without content.
fn many_options() -> Message {
    web().opt(&Opt::new(4096).raw_options(&[0, 77, 0, 0].repeat(16_000)))
}

#[test]
fn w34_sixteen_thousand_empty_options_are_answered() {
    Server::demo()
        .probe_via(&many_options(), &[Via::Tcp])
        .accept(&[Verdict::Data])
        .each(|reply| assert_eq!(reply.options(), []));
    // Over UDP a server need not take datagrams of 64 kB.
    Server::demo().probe_via(&many_options(), &[Via::Udp]).accept(&[
        Verdict::Data,
        Verdict::Code(FORMERR),
        Verdict::Silence,
    ]);
}

#[test]
fn w34_many_such_queries_hold_nobody_back() {
    let server = Server::demo();
    let mut stream = Stream::open(server.v4());
    let bytes = frame(&many_options().bytes());
    let socket = udp(server.v4());
    for round in 0..100 {
        stream.send_all(&bytes);
        // Answered while the others are still being read.
        let plain = ask_udp_on(&socket, &web().id(round));
        assert!(plain.is_some_and(|reply| reply.answers.len() == 1));
        let reply = stream.receive().expect("the connection lives on");
        assert_eq!(Reply::read(&reply).answers.len(), 1);
    }
}

#[test]
fn records_beside_the_opt_are_no_reason_to_refuse() {
    // W37's neighbour: one record that is no OPT in the additional section, before or behind the OPT.
    let other = record(&labels_of(&[b"x"]), TXT, 1, 0, b"\x01x");
    let opt = Opt::new(4096);
    for message in [web().with(3, other.clone()), web().opt(&opt).with(3, other)] {
        Server::demo()
            .probe(&message)
            .accept(&[Verdict::Data])
            .each(|reply| assert_eq!(reply.opts.len(), usize::from(message.size.is_some())));
    }
    // And a name that is `OPT` in type only.
    Server::demo().probe(&Message::query("nothing.cluster.local", OPT).opt(&opt)).accept(&[
        Verdict::Code(NXDOMAIN),
        Verdict::Code(FORMERR),
        Verdict::Code(4),
    ]);
}
