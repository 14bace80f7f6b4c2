//! W47 to W54: letters, classes, types, empty non-terminals.

use crate::message::{A, AA, AAAA, ANY, Message, NXDOMAIN, Opt, RD, REFUSED, SOA, SRV, TXT, name, record};
use crate::server::{Server, Verdict};

/// A Service of the demo.
const WEB: &str = "web.shop.svc.cluster.local";

#[test]
fn w47_letters_come_back_as_they_were_typed() {
    for text in [
        "WEB.SHOP.SVC.CLUSTER.LOCAL",
        "wEb.ShOp.sVc.ClUsTeR.lOcAl",
        "web.shop.svc.cluster.LOCAL",
        "WEB.shop.svc.cluster.local",
    ] {
        Server::demo().probe(&Message::query(text, A)).accept(&[Verdict::Data]).each(|reply| {
            assert_eq!(reply.questions[0].name, name(text));
            assert_eq!(reply.answers[0].owner, name(text));
            assert_eq!(reply.answers[0].rdata, [10, 96, 10, 1]);
        });
        Server::demo().probe(&Message::query(text, TXT)).accept(&[Verdict::Nodata]).each(|reply| {
            assert_eq!(reply.questions[0].name, name(text));
            // The zone as typed (rule K-003).
            assert_eq!(reply.authority[0].owner, name(&text[text.len() - 13..]));
        });
    }
}

/// REFUSED: AA=0, the question, nothing else.
fn refused(message: &Message) {
    for message in [message.clone(), message.clone().flags(RD), message.clone().opt(&Opt::new(4096))] {
        Server::demo().probe(&message).accept(&[Verdict::Code(REFUSED)]).each(|reply| {
            assert!(!reply.has(AA));
            assert!(reply.answers.is_empty() && reply.authority.is_empty() && reply.additional.is_empty());
            assert_eq!(reply.opts.len(), usize::from(message.size.is_some()));
        });
    }
}

#[test]
fn w48_chaos_names_are_refused() {
    for text in ["version.bind", "id.server", "hostname.bind", "version.server", "authors.bind"] {
        refused(&Message::empty().question(&name(text), TXT, 3));
        refused(&Message::empty().question(&name(text), ANY, 3));
    }
}

#[test]
fn w49_other_classes_are_refused() {
    for class in [3, 254, 0, 2, 4, 65_280, 65_535] {
        refused(&Message::empty().question(&name(WEB), A, class));
        refused(&Message::empty().question(&name("cluster.local"), SOA, class));
        refused(&Message::empty().question(&name("nothing.cluster.local"), A, class));
    }
}

#[test]
fn w50_class_any_is_refused() {
    refused(&Message::empty().question(&name(WEB), A, 255));
    refused(&Message::empty().question(&name("cluster.local"), ANY, 255));
}

#[test]
fn w51_type_any_is_nodata() {
    for text in [WEB, "cluster.local", "db.data.svc.cluster.local", "dns-version.cluster.local"] {
        Server::demo()
            .probe(&Message::query(text, ANY))
            .accept(&[Verdict::Nodata])
            .each(|reply| assert!(reply.has(AA)));
    }
    Server::demo().probe(&Message::query("nothing.cluster.local", ANY)).accept(&[Verdict::Code(NXDOMAIN)]);
}

#[test]
fn w52_meta_types_have_no_data() {
    // 0, OPT, RRSIG, 128, TKEY, TSIG, MAILB, MAILA, reserved, 65535.
    for qtype in [0, 41, 46, 128, 249, 250, 253, 254, 65_280, 65_535] {
        for text in [WEB, "cluster.local"] {
            Server::demo()
                .probe(&Message::query(text, qtype))
                .accept(&[Verdict::Nodata, Verdict::Code(1), Verdict::Code(4), Verdict::Code(REFUSED)])
                .each(|reply| assert!(reply.answers.is_empty()));
        }
    }
}

#[test]
fn w53_transfers_are_refused() {
    let soa = record(&name("cluster.local"), SOA, 1, 0, &[&[0, 0][..], &[0; 20]].concat());
    for qtype in [251, 252] {
        for text in ["cluster.local", WEB, "10.in-addr.arpa", "in-addr.arpa", "nothing.cluster.local"] {
            refused(&Message::query(text, qtype));
        }
        refused(&Message::query("cluster.local", qtype).with(2, soa.clone()));
    }
}

/// Asks for the name with several types; the verdict is that of the name.
fn each_type(text: &str, verdict: Verdict) {
    for qtype in [A, AAAA, SRV, TXT, SOA, 65, 1000] {
        Server::demo().probe(&Message::query(text, qtype)).accept(&[verdict]).each(|reply| {
            assert!(reply.has(AA));
            assert_eq!(reply.authority.len(), 1);
            let soa = &reply.authority[0];
            assert_eq!(soa.owner, name("cluster.local"));
            assert!(soa.ttl <= 30, "negative answers are short-lived");
            let minimum = soa.rdata.last_chunk::<4>().map(|four| u32::from_be_bytes(*four));
            assert!(minimum.is_some_and(|minimum| minimum <= 30), "{minimum:?}");
        });
    }
}

#[test]
fn w54_empty_non_terminals_are_nodata() {
    for text in [
        "svc.cluster.local",
        "pod.cluster.local",
        "dns.cluster.local",
        "shop.svc.cluster.local",
        "shop.pod.cluster.local",
        "kube-system.svc.cluster.local",
        "_tcp.web.shop.svc.cluster.local",
        "_udp.search.shop.svc.cluster.local",
        "_tcp.db.data.svc.cluster.local",
    ] {
        each_type(text, Verdict::Nodata);
    }
}

#[test]
fn w54_missing_names_are_nxdomain() {
    for text in [
        "foo.cluster.local",
        "web.shop.cluster.local",
        "nowhere.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "_tcp.web.nowhere.svc.cluster.local",
        "nothing.shop.svc.cluster.local",
        "web.data.svc.cluster.local",
        "_udp.web.shop.svc.cluster.local",
        "_http._udp.web.shop.svc.cluster.local",
        "_gopher._tcp.web.shop.svc.cluster.local",
        "db-2.db.data.svc.cluster.local",
        "a.b.c.web.shop.svc.cluster.local",
        "10-0-0-1.nowhere.pod.cluster.local",
        "x.ns.dns.cluster.local",
    ] {
        each_type(text, Verdict::Code(NXDOMAIN));
    }
}

#[test]
fn w54_a_missing_family_is_nodata() {
    Server::demo().probe(&Message::query(WEB, AAAA)).accept(&[Verdict::Nodata]);
    Server::demo()
        .probe(&Message::query("db.data.svc.cluster.local", AAAA))
        .accept(&[Verdict::Nodata])
        .each(|reply| assert!(reply.has(AA)));
}
