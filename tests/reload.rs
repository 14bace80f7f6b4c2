//! Reloads (rule S-15): a changed Corefile is put in force without a lost query, a bad one leaves everything as it was.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use signpost::app::{Running, ServeOptions, serve};

/// How long something may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Corefile for the demo's manifests with this TTL, listening where `binds` says, and more lines.
fn corefile(binds: &str, ttl: u32, more: &str) -> String {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo");
    format!(
        ".:0 {{\n bind {binds}\n prometheus 127.0.0.1:0\n kubernetes cluster.local {{\n manifests {demo}\n ttl {ttl}\n }}\n {more}\n}}\n"
    )
}

/// Writes the file and starts a server from it.
fn start(path: &Path, text: &str) -> Running {
    std::fs::write(path, text).unwrap();
    let options =
        ServeOptions { text: text.to_owned(), path: Some(path.to_owned()), ..ServeOptions::default() };
    let running = serve(options).unwrap();
    assert!(running.wait_synced(PATIENCE));
    running
}

/// A query for `web.shop` in wire form.
fn query(id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("web.shop.svc.cluster.local.").unwrap();
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().unwrap()
}

/// The TTL of the answer, asked over UDP; `None` where no reply or no answer comes.
fn ttl(server: SocketAddr) -> Option<u32> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(&query(7), server).unwrap();
    let mut reply = [0; 1232];
    let length = socket.recv(&mut reply).ok()?;
    let message = Message::from_vec(&reply[..length]).unwrap();
    message.answers.first().map(|record| record.ttl)
}

/// Waits until `done` says so.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// A line of `/metrics` that begins with `name`.
fn metric(running: &Running, name: &str) -> String {
    let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
}

#[test]
fn a_changed_file_is_put_in_force_and_keeps_sockets_and_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let running = start(&path, &corefile("127.0.0.1", 30, ""));
    let server = running.addresses()[0];
    assert_eq!(ttl(server), Some(30));
    let hash = metric(&running, "coredns_reload_version_info{");

    std::fs::write(&path, corefile("127.0.0.1", 60, "loadbalance")).unwrap();
    running.reload();
    until("the new TTL", || ttl(server) == Some(60));
    assert_eq!(running.addresses(), [server], "the socket stayed");
    assert!(running.synced(), "the store stayed");
    assert_ne!(metric(&running, "coredns_reload_version_info{"), hash);
    assert_eq!(metric(&running, "coredns_reload_failed_total"), "coredns_reload_failed_total 0");
}

#[test]
fn a_bad_file_leaves_everything_as_it_was_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let running = start(&path, &corefile("127.0.0.1", 30, ""));
    let server = running.addresses()[0];
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = format!(
        "{}\n.:{} {{\n bind 127.0.0.1\n whoami\n}}\n",
        corefile("127.0.0.1", 60, ""),
        taken.local_addr().unwrap().port()
    );
    let bad = [
        "a.b {\n whoami\n".to_owned(),
        corefile("127.0.0.1", 60, "nonsense"),
        corefile("127.0.0.1", 60, "ready 192.0.2.1:1"),
        taken,
        String::new(),
    ];
    for (count, text) in (1_u32..).zip(&bad) {
        std::fs::write(&path, text).unwrap();
        running.reload();
        let line = format!("coredns_reload_failed_total {count}");
        until("the count", || metric(&running, "coredns_reload_failed_total") == line);
        assert_eq!(ttl(server), Some(30), "{text}");
        assert_eq!(running.addresses(), [server]);
    }
    std::fs::write(&path, corefile("127.0.0.1", 60, "")).unwrap();
    running.reload();
    until("the good file", || ttl(server) == Some(60));
}

#[test]
fn addresses_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let running = start(&path, &corefile("127.0.0.1", 30, ""));
    let first = running.addresses()[0];

    std::fs::write(&path, corefile("127.0.0.1 127.0.0.2", 30, "")).unwrap();
    running.reload();
    until("the second address", || running.addresses().len() == 2);
    let second = running.addresses()[1];
    until("an answer there", || ttl(second) == Some(30));
    assert_eq!(ttl(first), Some(30));
    TcpStream::connect(second).unwrap();

    std::fs::write(&path, corefile("127.0.0.2", 30, "")).unwrap();
    running.reload();
    until("the first address to go", || TcpStream::connect(first).is_err());
    assert_eq!(running.addresses(), [second]);
    assert_eq!(ttl(second), Some(30));
}

#[test]
fn a_hundred_reloads_under_load_lose_no_query() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let running = start(&path, &corefile("127.0.0.1", 30, ""));
    let server = running.addresses()[0];
    let (asked, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let client = {
        let (asked, answered, stop) = (asked.clone(), answered.clone(), stop.clone());
        std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut reply = [0; 1232];
            while !stop.load(Ordering::Relaxed) {
                for id in 0..16 {
                    socket.send_to(&query(id), server).unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                for _ in 0..16 {
                    let Ok(length) = socket.recv(&mut reply) else { return };
                    let message = Message::from_vec(&reply[..length]).unwrap();
                    assert_eq!(message.answers.len(), 1);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    for round in 0..100 {
        let wanted = 31 + round;
        std::fs::write(&path, corefile("127.0.0.1", wanted, "")).unwrap();
        running.reload();
        until("the reload", || ttl(server) == Some(wanted));
    }
    stop.store(true, Ordering::Relaxed);
    client.join().unwrap();
    assert!(asked.load(Ordering::Relaxed) > 1000, "there was no load");
    assert_eq!(asked.load(Ordering::Relaxed), answered.load(Ordering::Relaxed));
}

#[test]
fn a_mounted_config_map_is_followed_through_its_symlinks() {
    let folder = tempfile::tempdir().unwrap();
    for (version, ttl) in [("..1", 30), ("..2", 60)] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        let text = corefile("127.0.0.1", ttl, "reload 2s 1s");
        std::fs::write(folder.path().join(version).join("Corefile"), text).unwrap();
    }
    std::os::unix::fs::symlink("..1", folder.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/Corefile", folder.path().join("Corefile")).unwrap();
    let path = folder.path().join("Corefile");
    let text = std::fs::read_to_string(&path).unwrap();
    let options = ServeOptions { text, path: Some(path), ..ServeOptions::default() };
    let running = serve(options).unwrap();
    assert!(running.wait_synced(PATIENCE));
    let server = running.addresses()[0];
    assert_eq!(ttl(server), Some(30));
    std::os::unix::fs::symlink("..2", folder.path().join("..new")).unwrap();
    std::fs::rename(folder.path().join("..new"), folder.path().join("..data")).unwrap();
    until("the new version, by itself", || ttl(server) == Some(60));
}
