//! Signals, the lame duck, and the probes on the way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::process::*;
use rustix::process::Signal;

/// At once, on a machine that has other things to do.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn the_first_signal_ends_the_process_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let port = free_port();
        let folder = Folder::new(&corefile(port, ""));
        let mut server = Server::of(&folder, port);
        // Connections that say nothing hold nobody up.
        let mut idle = TcpStream::connect(server.addr).unwrap();
        idle.set_read_timeout(Some(PATIENCE)).unwrap();
        server.signal(signal);
        let (took, status) = server.end(PATIENCE);
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(took < AT_ONCE, "{signal:?}: {took:?}");
        assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
        // The port is free again at once.
        let again = Server::of(&folder, port);
        drop(again);
    }
}

#[test]
fn quit_ends_the_process_without_a_lame_duck() {
    let (port, health) = (free_port(), free_port());
    let lines = format!("    health 127.0.0.1:{health} {{\n        lameduck 1m\n    }}\n");
    let folder = Folder::new(&corefile(port, &lines));
    let mut server = Server::of(&folder, port);
    server.signal(Signal::QUIT);
    assert!(server.end(PATIENCE).0 < AT_ONCE);
}

#[test]
fn signals_without_a_meaning_end_nothing() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let mut server = Server::of(&folder, port);
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::PIPE] {
        server.signal(signal);
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
        assert!(server.runs(), "{signal:?}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
}

#[test]
fn the_lame_duck_answers_and_probes_say_that_no_more_should_come() {
    let (port, health, ready) = (free_port(), free_port(), free_port());
    let lines = format!(
        "    health 127.0.0.1:{health} {{\n        lameduck 2s\n    }}\n    ready 127.0.0.1:{ready}\n"
    );
    let folder = Folder::new(&corefile(port, &lines));
    let mut server = Server::of(&folder, port);
    wait("readiness", PATIENCE, || (fetch(ready, "/ready") == Some((200, "OK".to_owned()))).then_some(()));
    assert_eq!(fetch(health, "/health"), Some((200, "OK".to_owned())));
    assert_eq!(fetch(health, "/ready").map(|(status, _)| status), Some(404));
    server.signal(Signal::TERM);
    let (gone, ()) = wait("the end of /ready", PATIENCE, || fetch(ready, "/ready").is_none().then_some(()));
    assert!(gone < Duration::from_secs(1), "S-13: at once, not after {gone:?}");
    assert_eq!(fetch(health, "/health"), Some((200, "OK".to_owned())), "S-12");
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], Duration::from_secs(1));
    server.wait_for_line("S-12", |line| line == "[INFO] plugin/health: Going into lameduck mode for 2s");
    assert!(server.runs());
    let (took, status) = server.end(PATIENCE);
    assert_eq!(status.code(), Some(0));
    assert!(gone + took > Duration::from_millis(1500), "the duck did not swim: {:?}", gone + took);
    assert_eq!(fetch(health, "/health"), None);
}

#[test]
fn queries_after_the_signal_are_answered_and_counted() {
    let (port, health, metrics) = (free_port(), free_port(), free_port());
    let lines = format!(
        "    health 127.0.0.1:{health} {{\n        lameduck 2s\n    }}\n    prometheus 127.0.0.1:{metrics}\n"
    );
    let folder = Folder::new(&corefile(port, &lines));
    let mut server = Server::of(&folder, port);
    let late = || {
        let (_, text) = fetch(metrics, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix("signpost_late_queries_total "))?.parse::<u64>().ok()
    };
    assert_eq!(late(), Some(0), "nobody is late before the signal");
    let mut stream = TcpStream::connect(server.addr).unwrap();
    server.signal(Signal::TERM);
    server.wait_for_line("the duck", |line| line.contains("lameduck"));
    for _ in 0..3 {
        assert!(server.exchange(&query("web.shop.svc.cluster.local.", 1, None)).is_some());
    }
    let message = query("web.shop.svc.cluster.local.", 1, None);
    stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()).unwrap();
    assert!(stream.read(&mut [0; 512]).unwrap() > 2);
    wait("the count of a turn that has ended", PATIENCE, || (late() == Some(4)).then_some(()));
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
    server.wait_for_line("the sum", |line| line == "[INFO] 4 queries came after SIGTERM and were answered");
}

#[test]
fn a_second_signal_ends_the_lame_duck_at_once() {
    let (port, health) = (free_port(), free_port());
    let lines = format!("    health 127.0.0.1:{health} {{\n        lameduck 1m\n    }}\n");
    let folder = Folder::new(&corefile(port, &lines));
    for second in [Signal::TERM, Signal::INT] {
        let mut server = Server::of(&folder, port);
        server.signal(Signal::TERM);
        server.wait_for_line("the duck", |line| line.contains("lameduck"));
        assert!(server.runs());
        server.signal(second);
        assert!(server.end(PATIENCE).0 < AT_ONCE, "P3: the second signal ends it now");
    }
}

#[test]
fn readiness_follows_the_first_list_and_names_who_is_not_ready() {
    let (port, health, ready) = (free_port(), free_port(), free_port());
    let lines = format!("    health 127.0.0.1:{health}\n    ready 127.0.0.1:{ready}\n");
    let folder = Folder::new(&corefile(port, &lines));
    std::fs::rename(folder.manifests(), folder.path("later")).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let server = Server::start(command, port);
    let (_, page) = wait("the page", PATIENCE, || fetch(ready, "/ready"));
    assert_eq!(page, (503, "kubernetes".to_owned()), "S-13");
    assert_eq!(fetch(health, "/health"), Some((200, "OK".to_owned())));
    // What needs no data is answered even now (K-016).
    let (_, reply) = wait("an answer", PATIENCE, || server.ask("api.example.com.shop.svc.cluster.local."));
    assert_eq!(reply, (3, Vec::new()));
    std::fs::rename(folder.path("later"), folder.manifests()).unwrap();
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    wait("readiness", PATIENCE, || (fetch(ready, "/ready") == Some((200, "OK".to_owned()))).then_some(()));
    // Once ready, a folder that goes away is no reason to take queries elsewhere (A2).
    std::fs::rename(folder.manifests(), folder.path("gone")).unwrap();
    server.wait_for_line("a line about the folder", |line| {
        line.contains("manifests") && line.contains("WARNING")
    });
    assert_eq!(fetch(ready, "/ready"), Some((200, "OK".to_owned())));
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
}

#[test]
fn a_signal_while_it_waits_for_the_cluster_ends_it_at_once() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    std::fs::remove_dir_all(folder.manifests()).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let mut server = Server::start(command, port);
    wait("an answer", PATIENCE, || server.ask("cluster.local."));
    server.signal(Signal::TERM);
    let (took, status) = server.end(PATIENCE);
    assert_eq!(status.code(), Some(0));
    assert!(took < AT_ONCE, "a rollout waits for it: {took:?}");
}

#[test]
fn a_second_signal_while_it_waits_for_the_cluster_ends_it_at_once() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    std::fs::remove_dir_all(folder.manifests()).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let mut server = Server::start(command, port);
    wait("an answer", PATIENCE, || server.ask("cluster.local."));
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    assert!(server.end(PATIENCE).0 < AT_ONCE);
}

#[test]
fn queries_in_the_last_moment_are_answered() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let mut server = Server::of(&folder, port);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let message = query("web.shop.svc.cluster.local.", 1, None);
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    for _ in 0..100 {
        socket.send(&message).unwrap();
    }
    stream.write_all(&framed).unwrap();
    server.signal(Signal::TERM);
    let mut buffer = [0_u8; 2048];
    for count in 0..100 {
        assert!(socket.recv(&mut buffer).is_ok(), "P3: {count} of 100 that were sent before the signal");
    }
    assert!(stream.read(&mut buffer).unwrap() > 2);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
}
