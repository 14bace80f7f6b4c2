//! Encrypted transports over time: queries that wait, a changed Corefile, the end.

use std::fs;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::Duration;

use signpost::app::{ServeOptions, serve};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{Asker, Certificate, KEYS, Over, PATIENCE};
use crate::harness::Ask;
use crate::rig::{Rig, corefile, serves};

/// An upstream that tells of each query, and answers once it is told to.
pub(crate) struct Upstream {
    /// Its port.
    pub(crate) port: u16,
    /// Says that a query came.
    pub(crate) came: mpsc::Receiver<()>,
    /// Lets one be answered.
    pub(crate) go: mpsc::Sender<()>,
}

impl Upstream {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (tell, came) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                if tell.send(()).is_err() || wait.recv().is_err() {
                    return;
                }
                let mut reply = bytes[..length].to_vec();
                // The question as it came, one address behind it, and no OPT.
                let end = 12 + reply[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                reply.truncate(end);
                reply[2] |= 0x80;
                reply[3] |= 0x80;
                reply[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
                reply.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x0a\x09\x09\x09");
                let _ = socket.send_to(&reply, from);
            }
        });
        Self { port, came, go }
    }
}

/// A server whose names are the upstream's.
fn forwarding(upstream: &Upstream) -> Rig {
    let certificate = Certificate::new();
    let text = format!(
        ".:0 {KEYS} {{\n bind 127.0.0.1\n {}\n forward . 127.0.0.1:{}\n}}\n",
        certificate.line(),
        upstream.port
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    Rig { running, certificate }
}

/// What comes of a query that the upstream answers.
fn forwarded(asker: &mut Asker, name: &str) -> String {
    let query = Ask::parse(&format!("{name} A +rd")).bytes(3);
    asker.ask(&query).map_or_else(|| "no reply".to_owned(), |reply| crate::harness::text(&reply, &query))
}

#[test]
fn queries_wait_for_upstreams_on_every_transport() {
    let upstream = Upstream::start();
    let rig = forwarding(&upstream);
    // More answers than there will be questions.
    (0..100).for_each(|_| upstream.go.send(()).unwrap());
    for over in Over::all() {
        let got = forwarded(&mut rig.asker(over), &format!("{over:?}.example.").to_lowercase());
        assert!(got.contains("answer @ 30 A 10.9.9.9"), "{over:?}: {got}");
    }
}

#[test]
fn what_waits_at_the_end_is_answered() {
    let mut ways = vec![Over::Tls, Over::Post1, Over::Post2];
    if cfg!(feature = "quic") {
        ways.push(Over::Quic);
    }
    if cfg!(feature = "https3") {
        ways.push(Over::Post3);
    }
    for over in ways {
        let upstream = Upstream::start();
        let rig = forwarding(&upstream);
        let mut asker = rig.asker(over);
        asker.connect().unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || forwarded(&mut asker, "late.example."));
            upstream.came.recv_timeout(PATIENCE).unwrap();
            let end = scope.spawn(|| rig.running.stop());
            // As soon as nobody new is let in, the end has begun.
            upstream.go.send(()).unwrap();
            let got = waits.join().unwrap();
            assert!(got.contains("answer @ 30 A 10.9.9.9"), "{over:?}: {got}");
            end.join().unwrap();
        });
    }
}

#[test]
fn a_changed_corefile_opens_and_closes_listeners_and_keeps_connections() {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let write = |text: &str| {
        fs::write(folder.path().join("next"), text).unwrap();
        fs::rename(folder.path().join("next"), &path).unwrap();
    };
    let plain = ".:0 {\n bind 127.0.0.1\n whoami\n}\n";
    let options =
        ServeOptions { text: plain.to_owned(), path: Some(path.clone()), ..ServeOptions::default() };
    let rig = Rig { running: serve(options).unwrap(), certificate };
    assert!(rig.running.addresses_of(Scheme::Tls).is_empty());

    write(&corefile(&rig.certificate, ""));
    rig.running.reload();
    until(|| !rig.running.addresses_of(Scheme::Tls).is_empty());
    let mut askers: Vec<Asker> = Over::all().into_iter().map(|over| rig.asker(over)).collect();
    askers.iter_mut().for_each(serves);

    // Another answer, the same listeners: connections go on.
    write(&corefile(&rig.certificate, "").replace("ttl 77", "ttl 78"));
    rig.running.reload();
    let query = Ask::parse("a.test. A").bytes(7);
    for asker in &mut askers {
        let over = asker.over;
        until(|| {
            let reply = asker.ask(&query).unwrap_or_else(|| panic!("{over:?}: no reply"));
            crate::harness::text(&reply, &query).contains(" 78 A ")
        });
        assert_eq!(asker.connects, 1, "{over:?}: the connection was kept");
    }

    // The listeners go; what is plain stays.
    write(plain);
    rig.running.reload();
    until(|| rig.running.addresses_of(Scheme::Tls).is_empty());
    for asker in &mut askers {
        asker.hang_up();
        if asker.over.scheme() != Scheme::Quic && asker.over.scheme() != Scheme::Https3 {
            let over = asker.over;
            until(|| asker.connect().is_err());
            assert!(asker.connect().is_err(), "{over:?}: nobody listens");
        }
    }
}

#[test]
fn a_port_that_gets_another_scheme_speaks_it_and_nothing_else() {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let port = free_port();
    let line = certificate.line();
    let text = |scheme: &str| {
        let tls = if scheme.is_empty() { "" } else { &line };
        format!(
            "{scheme}.:{port} {{\n bind 127.0.0.1\n {tls}\n hosts {{\n 10.0.0.1 a.test\n ttl 77\n no_reverse\n }}\n}}\n"
        )
    };
    let options = ServeOptions { text: text(""), path: Some(path.clone()), ..ServeOptions::default() };
    let running = serve(options).unwrap();
    let write = |text: &str| {
        fs::write(folder.path().join("next"), text).unwrap();
        fs::rename(folder.path().join("next"), &path).unwrap();
    };
    let rig = Rig { running, certificate };
    rig.udp_is_served();
    let ways = [
        ("tls://", Over::Tls),
        ("https://", Over::Post2),
        ("quic://", Over::Quic),
        ("https3://", Over::Post3),
    ];
    for (scheme, over) in ways.into_iter().filter(|(_, over)| Over::all().contains(over)) {
        write(&text(scheme));
        rig.running.reload();
        until(|| !rig.running.addresses_of(over.scheme()).is_empty());
        assert_eq!(rig.addr(over.scheme()).port(), port, "{scheme}");
        until(|| is_alone(&rig, over));
        rig.serves(over);
        // Back to the clear, on the same port.
        write(&text(""));
        rig.running.reload();
        until(|| rig.running.addresses_of(over.scheme()).is_empty());
        until(|| !rig.running.addresses_of(Scheme::Dns).is_empty());
        // A socket of QUIC takes some of the datagrams as long as its connections end.
        until(|| udp_answers(port));
    }
    // And from one encrypted scheme to the next.
    for (scheme, over) in [("tls://", Over::Tls), ("https://", Over::Post2), ("tls://", Over::Tls)] {
        write(&text(scheme));
        rig.running.reload();
        until(|| !rig.running.addresses_of(over.scheme()).is_empty());
        until(|| is_alone(&rig, over));
        rig.serves(over);
    }
    rig.running.stop();
}

/// Whether the listener that goes takes nobody any more: who comes to it before it is closed is sent away with it.
fn is_alone(rig: &Rig, over: Over) -> bool {
    (0..16).all(|_| rig.asker(over).connect().is_ok())
}

/// Whether a query over UDP is answered soon.
fn udp_answers(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.send_to(&Ask::parse("a.test. A").bytes(7), ("127.0.0.1", port)).unwrap();
    socket.recv(&mut [0; 1232]).is_ok()
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so.
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("it is never so");
}
