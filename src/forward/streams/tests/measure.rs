//! What the hand-over costs, for docs/decisions/0004-upstream-streams.md. Wants a server that answers `hN.example.org`:
//! `UPSTREAM=ADDRESS:PORT cargo test --release --lib streams::tests::measure -- --ignored --nocapture`
//! With `PROTOCOL` (`tls`, `https`, `quic`) and `AUTHORITY` (a CA file), another server over that protocol.

use std::io::{Read as _, Write as _};

use super::super::super::upstream::TlsSpec;
use super::*;

/// Queries of one measurement.
const QUERIES: usize = 100_000;

/// Processor time of this process's threads of this name so far. Unit: nanoseconds.
fn spent(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::path::PathBuf| {
        let known = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        let spent = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        let spent: u64 = spent.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or_default();
        if known.trim() == name { spent } else { 0 }
    };
    tasks.map(|task| of(task.unwrap().path())).sum()
}

/// A query for A of `hN.example.org`.
fn real(id: u16, number: usize) -> Vec<u8> {
    let mut query = query(id, "");
    let label = format!("h{}", number % 10_000);
    query.push(u8::try_from(label.len()).unwrap());
    query.extend(label.bytes());
    query.extend(b"\x07example\x03org\x00\x00\x01\x00\x01");
    query
}

/// Prints a row.
fn row(what: &str, window: usize, start: Instant, own: u64, thread: u64) {
    let each = |nanos: u64| format!("{:.2}", nanos as f64 / 1000.0 / QUERIES as f64);
    let rate = QUERIES as f64 / start.elapsed().as_secs_f64();
    let (own, thread) = (each(own), each(thread));
    eprintln!(
        "{what:<28} window {window:>3}: {rate:>8.0} /s, asking thread {own} us, upstreams {thread} us a query"
    );
}

#[test]
#[ignore = "measures, and wants a server (#6)"]
fn what_the_hand_over_costs() {
    let addr: SocketAddr = std::env::var("UPSTREAM").expect("UPSTREAM is set").parse().unwrap();
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap().trim().to_owned();
    let protocol = match std::env::var("PROTOCOL").as_deref() {
        Ok("tls") => Protocol::Tls,
        Ok("https") => Protocol::Https,
        Ok("quic") => Protocol::Quic,
        _ => Protocol::Tcp,
    };
    let authority = std::env::var("AUTHORITY").ok().map(Into::into);
    let tls = (protocol != Protocol::Tcp).then(|| TlsSpec { authority, ..TlsSpec::default() });
    let spec = UpstreamSpec { tls, ..spec(protocol, addr) };
    for window in [1, 32, 200] {
        for _ in 0..3 {
            if protocol == Protocol::Tcp {
                direct(addr, window, &name);
            }
            handed_over(spec.clone(), window, &name);
        }
    }
}

/// Asks on a connection of this thread.
fn direct(addr: SocketAddr, window: usize, name: &str) {
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    let (start, before) = (Instant::now(), spent(name));
    let (mut sent, mut came, mut input) = (0, 0, Vec::new());
    let mut bytes = [0; 8192];
    while came < QUERIES {
        let mut out = Vec::new();
        while sent - came < window && sent < QUERIES {
            let query = real(7, sent);
            out.extend(u16::try_from(query.len()).unwrap().to_be_bytes());
            out.extend(query);
            sent += 1;
        }
        stream.write_all(&out).unwrap();
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "the server closed the connection");
        input.extend_from_slice(&bytes[..length]);
        while let Some(&[high, low]) = input.first_chunk::<2>() {
            let length = 2 + usize::from(u16::from_be_bytes([high, low]));
            if input.len() < length {
                break;
            }
            input.drain(..length);
            came += 1;
        }
    }
    row("a connection of its own", window, start, spent(name) - before, 0);
}

/// Asks through a desk.
fn handed_over(spec: UpstreamSpec, window: usize, name: &str) {
    let mut rig = Rig::usual(spec);
    assert!(rig.exchange(real(7, 0)).is_ok());
    let (start, own, thread) = (Instant::now(), spent(name), spent("upstreams"));
    let (mut sent, mut came) = (0, 0);
    while came < QUERIES {
        while sent - came < window && sent < QUERIES {
            rig.ask(real(7, sent));
            sent += 1;
        }
        std::thread::park();
        for arrival in rig.inlet.take() {
            assert!(arrival.result.is_ok_and(|reply| reply[..2] == [0, 7]));
            came += 1;
        }
    }
    row("handed over", window, start, spent(name) - own, spent("upstreams") - thread);
    eprintln!("{:<28} connections {}, queries given to those there {}", "", rig.counts().0, rig.counts().1);
}
