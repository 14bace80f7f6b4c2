//! `acl` decides before anything that is known here or cached is said, whatever brought the question (rules S-08, W70).

use std::net::UdpSocket;

use signpost::app::{ServeOptions, serve};

use crate::encrypted::{Certificate, KEYS, Over, PATIENCE};
use crate::harness::{Ask, Client, Via, text};
use crate::reload::Upstream;
use crate::rig::Rig;

/// Asks the same over every transport, from 127.0.0.1; each reply is looked at.
fn over_all(rig: &Rig, question: &str, check: impl Fn(&str, &str)) {
    let query = Ask::parse(question).bytes(0);
    for via in [Via::Udp, Via::Tcp] {
        let reply = Client::new(via, rig.running.addresses()[0]).exchange(&query).unwrap();
        check(&format!("{via:?}: {question}"), &text(&reply, &query));
    }
    for over in Over::all() {
        let reply = rig.asker(over).ask(&query).unwrap_or_else(|| panic!("{over:?}: {question}: no reply"));
        check(&format!("{over:?}: {question}"), &text(&reply, &query));
    }
}

/// That a reply is a refusal without a record.
fn is_refused(what: &str, said: &str) {
    assert!(said.starts_with("REFUSED") && !said.contains("answer"), "{what}: {said}");
}

#[test]
fn who_is_blocked_gets_nothing_of_what_is_known_here() {
    let words = "local\n any\n chaos signpost\n ";
    let questions = [
        ("localhost. A", "127.0.0.1"),
        ("x.localhost. AAAA", "::1"),
        ("1.0.0.127.in-addr.arpa. PTR", "localhost."),
        ("a.test. ANY", "HINFO"),
        ("version.bind. TXT CH", "TXT"),
        ("a.test. A", "10.0.0.1"),
    ];
    let open = Rig::with(words, |_| {});
    let closed = Rig::with(&format!("{words}acl {{\n block net 127.0.0.0/8\n }}"), |_| {});
    for (question, answer) in questions {
        over_all(&open, question, |what, said| assert!(said.contains(answer), "{what}: {said}"));
        over_all(&closed, question, is_refused);
    }
}

#[test]
fn who_is_blocked_gets_nothing_of_what_is_cached() {
    let upstream = Upstream::start();
    let certificate = Certificate::new();
    let line = certificate.line();
    let text = format!(
        ".:0 {KEYS} {{\n bind 127.0.0.1\n {line}\n acl {{\n allow net 127.0.0.2\n block\n }}\n cache\n forward . 127.0.0.1:{}\n}}\n",
        upstream.port
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    let rig = Rig { running, certificate };
    let question = "kept.example. A +rd";
    let query = Ask::parse(question).bytes(7);
    let friend = UdpSocket::bind("127.0.0.2:0").unwrap();
    friend.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = || {
        friend.send_to(&query, rig.running.addresses()[0]).unwrap();
        let mut reply = [0; 1232];
        let length = friend.recv(&mut reply).unwrap();
        let said = crate::harness::text(&reply[..length], &query);
        assert!(said.contains("10.9.9.9"), "{said}");
    };
    upstream.go.send(()).unwrap();
    asked();
    upstream.came.recv_timeout(PATIENCE).unwrap();
    over_all(&rig, question, is_refused);
    // Who may ask gets it all the while, and the upstream heard of it once.
    asked();
    assert!(upstream.came.try_recv().is_err(), "it was cached");
}
