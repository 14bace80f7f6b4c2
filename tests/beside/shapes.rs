//! `any`, `minimal`, `bufsize` (rule S-08).

use std::fmt::Write as _;

use hickory_proto::rr::RecordType;

use super::world::{Upstream, ask, exchange, query, start, with_edns};

#[test]
fn any_is_answered_with_one_small_record_and_nobody_is_asked() {
    let upstream = Upstream::start("a.test. 300 A 192.0.2.1");
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n any\n forward . {}\n}}\n", upstream.addr()));
    let server = running.addresses()[0];
    assert_eq!(
        ask(server, "a.test.", RecordType::ANY),
        "NoError | a.test. 8482 HINFO ANY obsoleted See RFC 8482"
    );
    assert_eq!(ask(server, "a.test.", RecordType::A), "NoError | a.test. 300 A 192.0.2.1");
    assert!(!upstream.was_asked("ANY"));
}

#[test]
fn minimal_strips_positive_answers_only() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo");
    let corefile = |more: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n manifests {demo}\n }}\n whoami\n {more}\n}}\n"
        )
    };
    let (plain, minimal) = (start(&corefile("")), start(&corefile("minimal")));
    for running in [&plain, &minimal] {
        assert!(running.wait_synced(super::world::PATIENCE));
    }
    let both = |name: &str, rtype: RecordType| {
        let reply = |running: &signpost::app::Running| {
            exchange(running.addresses()[0], &with_edns(query(name, rtype), 1232)).unwrap().0
        };
        (reply(&plain), reply(&minimal))
    };
    let (whole, less) = both("_http._tcp.web.shop.svc.cluster.local.", RecordType::SRV);
    assert!(!whole.answers.is_empty() && !whole.additionals.is_empty());
    assert_eq!(less.answers, whole.answers);
    assert!(less.additionals.is_empty() && less.authorities.is_empty());
    assert!(less.edns.is_some(), "the OPT is no record of the answer");
    // A denial needs its SOA.
    let (whole, less) = both("nothing.shop.svc.cluster.local.", RecordType::A);
    assert_eq!(less.authorities, whole.authorities);
    assert_eq!(less.authorities.len(), 1);
    let (whole, less) = both("web.shop.svc.cluster.local.", RecordType::TXT);
    assert_eq!(less.authorities, whole.authorities);
    // Neither an answer nor a denial: as CoreDNS sees it, positive.
    let (whole, less) = both("who.am.i.", RecordType::A);
    assert_eq!((whole.additionals.len(), less.additionals.len()), (2, 0));
}

#[test]
fn bufsize_lowers_the_size_of_replies_and_never_raises_it() {
    let mut lines = String::new();
    for last in 0..60 {
        let _ = writeln!(lines, " 10.0.0.{last} many.test");
    }
    let corefile = |more: &str| format!(".:0 {{\n bind 127.0.0.1\n hosts none {{\n{lines} }}\n {more}\n}}\n");
    let size = |more: &str, edns: Option<u16>| {
        let running = start(&corefile(more));
        let plain = query("many.test.", RecordType::A);
        let message = edns.map_or(plain.clone(), |size| with_edns(plain, size));
        let (reply, size) = exchange(running.addresses()[0], &message).unwrap();
        (reply.metadata.truncation, size)
    };
    let (cut, whole) = size("", Some(4096));
    assert!(!cut && whole > 900, "{whole}");
    assert_eq!(size("bufsize 4096", Some(4096)), (false, whole));
    assert_eq!(size("bufsize", Some(4096)), (false, whole));
    for (line, edns) in [("bufsize 512", Some(4096)), ("bufsize 1232", Some(512)), ("bufsize 1232", None)] {
        let (cut, size) = size(line, edns);
        assert!(cut && size <= 512, "{line} {edns:?}: {size}");
    }
    let (cut, size) = size("bufsize 700", Some(1232));
    assert!(cut && (600..=700).contains(&size), "{size}");
}
