//! W18, W21, W23, W24: what fits, what is cut, and the whole over TCP.

use std::collections::BTreeSet;

use crate::logs;
use crate::message::{A, AA, DO, Message, Opt, Reply, SRV, TC};
use crate::server::{Server, Verdict, Via};

/// Bytes of an A record whose owner is compressed.
const A_RECORD: usize = 16;

/// A question for the addresses of a headless Service.
fn ask(service: &str) -> Message {
    Message::query(&format!("{service}.svc.cluster.local"), A)
}

/// The different addresses in an answer.
fn addresses(reply: &Reply) -> BTreeSet<Vec<u8>> {
    let all: BTreeSet<Vec<u8>> = reply.answers.iter().map(|record| record.rdata.clone()).collect();
    assert!(reply.answers.iter().all(|record| record.rtype == A && record.rdata.len() == 4));
    assert_eq!(all.len(), reply.answers.len(), "each address once (rule K-015)");
    all
}

/// A reply that was cut: TC, whole records only, and no room left for one more.
fn cut(reply: &Reply, limit: usize) {
    assert!(reply.has(TC | AA), "{:04x}", reply.flags);
    assert!(reply.bytes.len() <= limit);
    assert!(
        reply.bytes.len() + A_RECORD > limit,
        "one more record would fit: {} of {limit}",
        reply.bytes.len()
    );
    addresses(reply);
}

#[test]
fn w18_size_512_holds_the_whole_records_that_fit() {
    for flags in [0, DO] {
        Server::large()
            .probe(&ask("hundred.big").opt(&Opt::new(512).flags(flags)))
            .accept(&[Verdict::Data])
            .each(|reply| assert_eq!(reply.opt().ttl & 0xffff, u32::from(flags)))
            .each_via(Via::Udp, |reply| cut(reply, 512))
            .each_via(Via::Tcp, |reply| assert_eq!(addresses(reply).len(), 100));
    }
}

#[test]
fn w18_no_endpoint_is_hidden_for_good() {
    let mut seen = BTreeSet::new();
    let server = Server::large();
    for _ in 0..60 {
        for exchange in server.probe_via(&ask("hundred.big"), &[Via::Udp]).0 {
            seen.extend(addresses(&exchange.reply.expect("an answer")));
        }
    }
    assert_eq!(seen.len(), 100, "a cut reply starts anywhere (rule K-012)");
}

#[test]
fn w21_without_edns_512_bytes_fit_and_513_are_cut() {
    let server = Server::large();
    server
        .probe(&ask("fit512.bound"))
        .accept(&[Verdict::Data])
        .each(|reply| {
            assert!(!reply.has(TC));
            assert_eq!(addresses(reply).len(), 29);
        })
        .each_via(Via::Udp, |reply| assert_eq!(reply.bytes.len(), 512, "it was meant to fit exactly"));
    server
        .probe(&ask("over513.bound"))
        .accept(&[Verdict::Data])
        .each_via(Via::Udp, |reply| {
            cut(reply, 512);
            assert_eq!(reply.answers.len(), 28);
        })
        .each_via(Via::Tcp, |reply| {
            assert!(!reply.has(TC));
            assert_eq!(addresses(reply).len(), 29);
        });
}

#[test]
fn w21_without_edns_large_answers_are_cut_to_512() {
    for service in ["fitmaximum1.bound", "hundred.big", "wide.big", "enormous.big"] {
        Server::large().probe_via(&ask(service), &[Via::Udp]).accept(&[Verdict::Data]).each(|reply| {
            cut(reply, 512);
            assert!(reply.opts.is_empty());
        });
    }
}

#[test]
fn w23_large_sizes_count_as_1232() {
    for size in [1232, 1233, 4096, 65_535] {
        for service in ["hundred.big", "wide.big", "enormous.big"] {
            Server::large()
                .probe_via(&ask(service).opt(&Opt::new(size)), &[Via::Udp])
                .accept(&[Verdict::Data])
                .each(|reply| {
                    cut(reply, 1232);
                    reply.opt();
                });
        }
    }
}

#[test]
fn w23_1232_bytes_fit_and_1233_are_cut() {
    let server = Server::large();
    server
        .probe(&ask("fitmaximum1.bound").opt(&Opt::new(4096)))
        .accept(&[Verdict::Data])
        .each(|reply| {
            assert!(!reply.has(TC));
            assert_eq!(addresses(reply).len(), 73);
        })
        .each_via(Via::Udp, |reply| assert_eq!(reply.bytes.len(), 1232, "it was meant to fit exactly"));
    server
        .probe(&ask("overmaximum1.bound").opt(&Opt::new(4096)))
        .accept(&[Verdict::Data])
        .each_via(Via::Udp, |reply| cut(reply, 1232))
        .each_via(Via::Tcp, |reply| assert_eq!(addresses(reply).len(), 73));
}

#[test]
fn w23_sizes_between_are_kept_exactly() {
    for size in [513, 700, 1000, 1231] {
        Server::large()
            .probe_via(&ask("hundred.big").opt(&Opt::new(size)), &[Via::Udp])
            .accept(&[Verdict::Data])
            .each(|reply| cut(reply, usize::from(size)));
    }
}

#[test]
fn w23_glue_alone_is_dropped_without_tc() {
    // SRV of many endpoints over UDP: whatever is dropped, TC says whether an SRV was.
    let message = Message::query("_http._tcp.fit512.bound.svc.cluster.local", SRV).opt(&Opt::new(4096));
    Server::large()
        .probe(&message)
        .accept(&[Verdict::Data])
        .each(|reply| assert_eq!(reply.has(TC), reply.answers.len() < 29, "{}", reply.answers.len()))
        .each_via(Via::Tcp, |reply| {
            assert_eq!((reply.answers.len(), reply.additional.len()), (29, 29));
        });
}

#[test]
fn w24_the_whole_over_tcp() {
    for (service, count) in [("hundred.big", 100), ("wide.big", 2_600)] {
        for message in [ask(service), ask(service).opt(&Opt::new(512))] {
            Server::large().probe_via(&message, &[Via::Tcp]).accept(&[Verdict::Data]).each(|reply| {
                assert!(!reply.has(TC));
                assert_eq!(addresses(reply).len(), count);
                assert_eq!(reply.opts.len(), usize::from(message.size.is_some()));
            });
        }
    }
}

#[test]
fn w24_more_than_65535_bytes_are_cut_over_tcp() {
    let server = Server::large();
    let before = server.counter("truncated");
    for message in [ask("enormous.big"), ask("enormous.big").opt(&Opt::new(4096))] {
        server.probe_via(&message, &[Via::Tcp]).accept(&[Verdict::Data]).each(|reply| {
            cut(reply, 65_535);
            assert!(reply.answers.len() > 4_000);
            assert_eq!(reply.opts.len(), usize::from(message.size.is_some()));
        });
    }
    assert!(server.counter("truncated") > before, "what is cut is counted");
}

#[test]
fn w24_srv_beyond_65535_bytes_is_cut_over_tcp() {
    // 5,000 SRV with glue: several times what a message holds, and targets beyond the reach of a pointer.
    let message = Message::query("_http._tcp.enormous.big.svc.cluster.local", SRV);
    Server::large().probe(&message).accept(&[Verdict::Data]).each(|reply| {
        assert!(reply.has(TC));
        assert!(reply.answers.iter().all(|record| record.rtype == SRV));
        let different: BTreeSet<_> = reply.answers.iter().collect();
        assert_eq!(different.len(), reply.answers.len());
    });
}

#[test]
fn w24_the_cut_is_logged_once_a_name() {
    let server = Server::large_with(|_| {});
    let lines = || logs::count(|line| line.contains("enormous.big"));
    let before = lines();
    for _ in 0..3 {
        server.probe_via(&ask("enormous.big"), &[Via::Tcp]).accept(&[Verdict::Data]);
    }
    let first = lines();
    assert!(first > before, "a reply cut over TCP is logged with its name (rule K-012)");
    for _ in 0..10 {
        server.probe_via(&ask("enormous.big"), &[Via::Tcp]).accept(&[Verdict::Data]);
    }
    // The other tests' server logs it at most once too.
    assert!(lines() <= first + 1, "and not again for the same name");
}
