//! W6, W9, W30, W37, W42, W49 to W53, W70 where names are forwarded: what reaches the upstream, on every transport, and that
//! nothing else does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::message::{
    A, ANY, CD, FORMERR, Message, NOTIMP, NXDOMAIN, Opt, QR, RA, RD, REFUSED, Reply, SOA, TXT, name, record,
};
use crate::server::{Outcome, Server, Verdict, corefile, demo_folder};

/// An upstream that has one address for every name, and keeps what it was asked.
struct Upstream {
    /// Where it is.
    addr: SocketAddr,
    /// Messages that came, probes for the root not counted.
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Set when it shall end.
    stop: Arc<AtomicBool>,
    /// Its thread.
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// A running one.
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let addr = socket.local_addr().expect("its address");
        let (asked, stop) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<AtomicBool>::default());
        let (kept, stopped) = (asked.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                let query = &buffer[..length];
                if query.get(12).is_some_and(|length| *length > 0) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(query.to_vec());
                }
                let _ = socket.send_to(&answer(query), peer);
            }
        });
        Self { addr, asked, stop, thread: Some(thread) }
    }

    /// Takes what it was asked since it was looked at last.
    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the question of a message ends.
fn question_end(query: &[u8]) -> usize {
    let mut at = 12;
    while query.get(at).is_some_and(|length| *length > 0) {
        at += usize::from(query[at]) + 1;
    }
    at + 5
}

/// One address that holds for no time, so that nothing is kept between two questions.
fn answer(query: &[u8]) -> Vec<u8> {
    let end = question_end(query).min(query.len());
    let mut reply = query[..end].to_vec();
    reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend_from_slice(&record(&[0xc0, 12], A, 1, 0, &[192, 0, 2, 7]));
    reply
}

/// A server over every transport that forwards what is not of the cluster, its upstream, and more lines of its block.
fn rig(lines: &str) -> (Upstream, Server) {
    let upstream = Upstream::start();
    let text = corefile(&demo_folder(), "fallthrough in-addr.arpa ip6.arpa");
    let end = text.rfind("}\n").expect("a block");
    let text = format!("{} forward . {}\n {lines}\n}}\n", &text[..end], upstream.addr);
    (upstream, Server::over_everything(&text, None))
}

/// A question for a name outside.
fn outside() -> Message {
    Message::query("www.example.org", A).flags(RD)
}

/// Demands that each question that came was asked for by one message of one question, without anything but an OPT without
/// options behind it.
fn bare(asked: &[Vec<u8>]) {
    for query in asked {
        let end = question_end(query);
        let counts: Vec<u16> =
            query[4..12].chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        assert_eq!(&counts[..3], [1, 0, 0], "one question and nothing else: {query:02x?}");
        let rest = &query[end..];
        match counts[3] {
            0 => assert_eq!(rest, [0; 0], "nothing behind the question"),
            1 => {
                assert_eq!(rest.get(..3), Some(&[0, 0, 41][..]), "an OPT: {rest:02x?}");
                assert_eq!(rest.len(), 11, "without options: {rest:02x?}");
            }
            more => panic!("{more} records: {query:02x?}"),
        }
    }
}

/// Demands that an upstream was asked, and barely.
fn asked_barely(upstream: &Upstream, outcome: &Outcome) {
    let asked = upstream.take();
    assert!(!asked.is_empty() && asked.len() >= outcome.0.len() / 2, "{} of {outcome:?}", asked.len());
    bare(&asked);
}

#[test]
fn w06_recursion_is_offered_where_names_are_forwarded() {
    let (upstream, server) = rig("");
    for (message, from_upstream) in
        [(outside(), true), (Message::query("web.shop.svc.cluster.local", A).flags(RD), false)]
    {
        let outcome = server.probe_waiting(&message).accept(&[Verdict::Data]);
        for reply in outcome.0.iter().filter_map(|exchange| exchange.reply.as_ref()) {
            assert!(reply.has(RD | RA), "{reply:?}");
        }
        assert_eq!(upstream.take().is_empty(), !from_upstream);
    }
}

#[test]
fn w09_notifies_and_updates_reach_no_upstream() {
    let (upstream, server) = rig("");
    for opcode in [4, 5] {
        for zone in ["example.org", "cluster.local"] {
            let message = Message::query(zone, SOA).opcode(opcode);
            server.probe(&message).accept(&[Verdict::Code(NOTIMP)]);
            let update = message.with(2, record(&name("a.example.org"), A, 1, 60, &[192, 0, 2, 1]));
            server.probe(&update).accept(&[Verdict::Code(NOTIMP)]);
        }
    }
    assert_eq!(upstream.take(), [[0_u8; 0]; 0], "nothing of it is forwarded");
    // The way to the upstream is open.
    asked_barely(&upstream, &server.probe_waiting(&outside()).accept(&[Verdict::Data]));
}

#[test]
fn w30_no_option_of_a_client_reaches_an_upstream() {
    let (upstream, server) = rig("");
    let subnet = Opt::new(1232).option(8, &[0, 1, 24, 0, 192, 0, 2]);
    let cookie = Opt::new(1232).option(10, &[7; 8]).option(3, b"").option(12, &[0; 32]).option(65_001, b"x");
    for opt in [subnet, cookie] {
        let outcome = server.probe_waiting(&outside().opt(&opt)).accept(&[Verdict::Data]);
        asked_barely(&upstream, &outcome);
    }
}

#[test]
fn w37_w42_what_stands_beside_the_question_reaches_no_upstream() {
    let (upstream, server) = rig("");
    let extra = record(&name("victim.example.org"), A, 1, 600, &[192, 0, 2, 66]);
    server.probe(&outside().with(1, extra.clone()).unparsable()).accept(&[Verdict::Code(FORMERR)]);
    assert!(upstream.take().is_empty(), "what is malformed is not forwarded");
    for message in [outside().with(2, extra.clone()), outside().with(3, extra), outside().tail(&[0xab; 10])] {
        let outcome = server.probe_waiting(&message).accept(&[Verdict::Data]);
        asked_barely(&upstream, &outcome);
    }
}

#[test]
fn w49_w50_other_classes_reach_no_upstream() {
    let (upstream, server) = rig("");
    for class in [0, 3, 4, 254, 255, 65_280] {
        for text in ["www.example.org", "web.shop.svc.cluster.local", "version.bind"] {
            let message = Message::empty().question(&name(text), TXT, class).flags(RD);
            server.probe(&message).accept(&[Verdict::Code(REFUSED)]);
        }
    }
    assert!(upstream.take().is_empty(), "nothing of it is forwarded");
}

#[test]
fn w53_transfers_reach_no_upstream() {
    let (upstream, server) = rig("");
    for qtype in [251, 252] {
        server
            .probe(&Message::query("example.org", qtype))
            .accept(&[Verdict::Code(REFUSED), Verdict::Code(NOTIMP)]);
    }
    assert!(upstream.take().is_empty(), "nothing of it is forwarded");
}

#[test]
fn w51_w52_types_that_are_no_records_of_the_cluster_stay_here() {
    let (upstream, server) = rig("");
    for qtype in [0, 41, 128, 249, 250, 253, 254, ANY] {
        for text in ["web.shop.svc.cluster.local", "no.shop.svc.cluster.local"] {
            server
                .probe(&Message::query(text, qtype).flags(RD))
                .each(|reply| assert!(reply.answers.is_empty()));
        }
    }
    assert!(upstream.take().is_empty(), "a name of the cluster never leaves, whatever its type");
}

/// One question of the matrix, and its verdicts.
fn row(message: Message, set: &[Verdict]) -> (Message, Vec<Verdict>) {
    (message, set.to_vec())
}

#[test]
fn w70_one_verdict_on_every_transport() {
    let (_upstream, server) = rig("");
    let web = || Message::query("web.shop.svc.cluster.local", A);
    let of_class = |class| Message::empty().question(&name("web.shop.svc.cluster.local"), A, class);
    let mut rows = vec![
        row(web(), &[Verdict::Data]),
        row(web().flags(CD | RD), &[Verdict::Data]),
        row(web().opt(&Opt::new(4096)), &[Verdict::Data]),
        row(web().opt(&Opt::new(4096).version(1)), &[Verdict::Code(16)]),
        row(web().opt(&Opt::new(4096)).opt(&Opt::new(512)).unparsable(), &[Verdict::Code(FORMERR)]),
        row(Message::query("no.shop.svc.cluster.local", A), &[Verdict::Code(NXDOMAIN)]),
        row(Message::query("web.shop.svc.cluster.local", TXT), &[Verdict::Nodata]),
        row(Message::empty().unparsable(), &[Verdict::Code(FORMERR)]),
        row(web().counts([0xffff; 4]).unparsable(), &[Verdict::Code(FORMERR)]),
        row(web().question(&name("a"), A, 1).unparsable(), &[Verdict::Code(FORMERR)]),
        row(web().flags(QR), &[Verdict::Silence]),
        row(Message::query("cluster.local", 252), &[Verdict::Code(REFUSED)]),
    ];
    rows.extend([0, 3, 254, 255].map(|class| row(of_class(class), &[Verdict::Code(REFUSED)])));
    rows.extend([1, 2, 4, 5, 6, 15].map(|opcode| row(web().opcode(opcode), &[Verdict::Code(NOTIMP)])));
    let outcome = server.probe_waiting(&outside()).accept(&[Verdict::Data]);
    assert!(outcome.0.len() >= 8, "{outcome:?}");
    for (message, set) in rows {
        let outcome = server.probe(&message).accept(&set);
        assert!(outcome.0.len() >= 8, "UDP and TCP on two addresses, and what is encrypted: {outcome:?}");
    }
}

#[test]
fn w70_who_is_refused_by_acl_is_refused_on_every_transport() {
    let (upstream, server) = rig("acl example.org {\n block net 127.0.0.0/8 ::1\n }");
    let refused = |reply: &Reply| assert!(reply.answers.is_empty());
    let outcome = server.probe(&outside()).accept(&[Verdict::Code(REFUSED)]).each(refused);
    assert!(outcome.0.len() >= 8, "{outcome:?}");
    assert!(upstream.take().is_empty(), "and nobody is asked");
    server.probe_waiting(&Message::query("www.example.net", A).flags(RD)).accept(&[Verdict::Data]);
}
