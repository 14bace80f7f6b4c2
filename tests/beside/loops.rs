//! `loop` (rule S-14, RELIABILITY U16): the circle is broken, the rest goes on.

use std::net::SocketAddr;

use hickory_proto::rr::RecordType::{A, HINFO};
use signpost::app::Running;

use super::world::{Relay, Upstream, ask, exchange, metrics, query, start_file, until, with_edns};

/// What the healthy upstream holds.
const LINES: &str = "a.test. 300 A 192.0.2.1\nb.test. 300 A 192.0.2.2\nc.test. 300 A 192.0.2.3\n";

/// A Corefile with these upstreams; `more` makes it another one.
fn corefile(to: &[SocketAddr], more: &str) -> String {
    let to: Vec<String> = to.iter().map(ToString::to_string).collect();
    format!(
        ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n hosts none {{\n 10.0.0.1 db.shop\n fallthrough\n }}\n forward . {}\n loop\n {more}\n}}\n",
        to.join(" ")
    )
}

/// What is said about an upstream.
fn looping(running: &Running, to: SocketAddr) -> Option<String> {
    let line = format!("signpost_loop_detected{{to=\"{to}\"}} ");
    metrics(running, &line).first().map(|found| found.replace(&line, ""))
}

/// Checks that local and outside names are answered.
fn check(server: SocketAddr) {
    assert_eq!(ask(server, "db.shop.", A), "NoError aa | db.shop. 3600 A 10.0.0.1");
    for (name, last) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(
            ask(server, &format!("{name}.test."), A),
            format!("NoError | {name}.test. 300 A 192.0.2.{last}")
        );
    }
}

#[test]
fn an_upstream_that_is_ourselves_is_put_aside_and_the_other_one_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let healthy = Upstream::start(LINES);
    let running = start_file(&path, &corefile(&[healthy.addr()], ""));
    let server = running.addresses()[0];
    // At start, before anybody asks anything.
    until("the first trial", || healthy.was_asked("HINFO"));
    check(server);
    assert_eq!(looping(&running, healthy.addr()).as_deref(), Some("0"));

    std::fs::write(&path, corefile(&[server, healthy.addr()], "")).unwrap();
    running.reload();
    until("the reload", || looping(&running, server).is_some());
    until("the loop", || {
        // A query wakes the workers, as it would in life.
        assert_eq!(ask(server, "db.shop.", A), "NoError aa | db.shop. 3600 A 10.0.0.1");
        looping(&running, server).as_deref() == Some("1")
    });
    assert_eq!(looping(&running, healthy.addr()).as_deref(), Some("0"));
    for _ in 0..8 {
        check(server);
    }
}

#[test]
fn a_loop_through_another_server_is_found_and_its_end_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let (relay, healthy) = (Relay::start(), Upstream::start(LINES));
    let running = start_file(&path, &corefile(&[healthy.addr()], ""));
    let server = running.addresses()[0];
    *relay.to.lock() = Some(server);
    std::fs::write(&path, corefile(&[relay.addr(), healthy.addr()], "")).unwrap();
    running.reload();
    until("the loop", || {
        ask(server, "db.shop.", A);
        looping(&running, relay.addr()).as_deref() == Some("1")
    });
    let before = *relay.got.lock();
    for _ in 0..8 {
        check(server);
    }
    assert_eq!(*relay.got.lock(), before, "nobody is asked who only asks back");

    // The other server forwards elsewhere now; a changed Corefile has all upstreams tried at once.
    *relay.to.lock() = Some(healthy.addr());
    std::fs::write(&path, corefile(&[relay.addr(), healthy.addr()], "any")).unwrap();
    running.reload();
    until("the end of the loop", || {
        ask(server, "db.shop.", A);
        looping(&running, relay.addr()).as_deref() == Some("0")
    });
    check(server);
}

#[test]
fn where_every_upstream_loops_outside_names_fail_at_once_with_the_reason_and_local_ones_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let relay = Relay::start();
    let running = start_file(&path, &corefile(&[relay.addr()], ""));
    let server = running.addresses()[0];
    *relay.to.lock() = Some(server);
    // The first trial may have found nobody behind the relay.
    std::fs::write(&path, corefile(&[relay.addr()], "minimal")).unwrap();
    running.reload();
    until("the loop", || {
        ask(server, "db.shop.", A);
        looping(&running, relay.addr()).as_deref() == Some("1")
    });
    let (reply, _) = exchange(server, &with_edns(query("a.test.", A), 1232)).unwrap();
    assert_eq!(u16::from(reply.metadata.response_code), 2);
    let text = format!("{:?}", reply.edns);
    let reason = format!("upstream {}: queries to it come back here", relay.addr());
    let bytes: Vec<String> = reason.bytes().map(|byte| byte.to_string()).collect();
    assert!(text.contains(&bytes.join(", ")), "{text}");
    assert_eq!(ask(server, "db.shop.", A), "NoError aa | db.shop. 3600 A 10.0.0.1");

    // Without the word nothing is known of it any more.
    std::fs::write(&path, corefile(&[relay.addr()], "").replace("loop\n", "\n")).unwrap();
    running.reload();
    until("the reload", || looping(&running, relay.addr()).is_none());
}

#[test]
fn questions_for_hinfo_that_are_no_markers_are_forwarded() {
    let folder = tempfile::tempdir().unwrap();
    let healthy = Upstream::start(LINES);
    let running = start_file(&folder.path().join("Corefile"), &corefile(&[healthy.addr()], ""));
    let server = running.addresses()[0];
    let name = "0123456789abcdef.0123456789abcdef.test.";
    assert!(ask(server, name, HINFO).starts_with("NXDomain | authority test."));
    assert!(healthy.was_asked(&format!("{name} HINFO")));
}
