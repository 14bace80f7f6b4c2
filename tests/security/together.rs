//! Floods over every transport at once, each as much as its own bound lets it hold, and what the process holds of all of them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::held::{connect, hosts, memory, raise_files};
use super::http2::{tls, unended, unread};
use crate::encrypted::{Asker, Certificate, Over};
use crate::process::{PATIENCE, Server, binary, fetch, free_port, query, wait};

/// What all of it may cost: 18 MiB that connections may hold (rule S-53), what TLS and HTTP keep beside that, the questions that
/// wait, and the code that nobody has run before. Unit: bytes.
const MOST: usize = 32 << 20;

/// Questions over UDP for names that nobody answers; a worker has 16,384 places for those who wait.
const SILENT: u32 = 40_000;

/// Connections over TCP and over TLS that ask and do not read; 80 answers of 4 KB to each are owed.
const UNREAD: [u16; 2] = [400, 150];

/// Connections over HTTPS that end in the body of a message, and over QUIC, of which each has ten streams that do.
const UNENDED: [u16; 2] = [200, 20];

/// Connections over HTTPS each of which begins 100 requests of HTTP/2, whose bodies never come; each second one asks as much and
/// does not read.
const HTTP2: u16 = 150;

/// Part of a body. Unit: bytes.
const PART: usize = 50_000;

/// Where each transport is served.
struct Ports {
    /// UDP and TCP.
    plain: u16,
    /// TLS.
    tls: u16,
    /// HTTPS.
    https: u16,
    /// QUIC.
    quic: u16,
    /// `/metrics`.
    metrics: u16,
}

/// The address of a port of loopback.
fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// One of ten clients, by a number.
fn client(number: u16) -> u8 {
    2 + u8::try_from(number % 10).unwrap()
}

/// A message with its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// The Corefile: an answer of 4 KB, one address, and all else is asked of who never answers.
fn corefile(ports: &Ports, certificate: &Certificate, silent: SocketAddr) -> String {
    let Ports { plain, tls, https, quic, metrics } = ports;
    let quic = if cfg!(feature = "quic") { format!("quic://.:{quic}") } else { String::new() };
    format!(
        ".:{plain} tls://.:{tls} https://.:{https} {quic} {{\n bind 127.0.0.1\n {}\n prometheus 127.0.0.1:{metrics}\n{} cache 30\n \
         forward . {silent} {{\n max_concurrent 1000\n }}\n}}\n",
        certificate.line(),
        hosts()
    )
}

#[test]
fn l1_floods_over_every_transport_at_once_cost_less_than_32_mib() {
    raise_files();
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let certificate = Certificate::new();
    let ports = Ports {
        plain: free_port(),
        tls: free_port(),
        https: free_port(),
        quic: free_port(),
        metrics: free_port(),
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Corefile");
    std::fs::write(&file, corefile(&ports, &certificate, silent.local_addr().unwrap())).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(&file);
    let server = Server::start(command, ports.plain);
    server.wait_for("small.test.", &["10.1.0.1"], PATIENCE);
    let small = query("small.test.", 1, None);
    let mut overs = vec![(Over::Tls, ports.tls), (Over::Post2, ports.https), (Over::Get1, ports.https)];
    if cfg!(feature = "quic") {
        overs.push((Over::Quic, ports.quic));
    }
    let mut askers: Vec<Asker> =
        overs.iter().map(|(over, port)| Asker::to(*over, at(*port), &certificate)).collect();
    // Each transport has worked once.
    assert!(askers.iter_mut().all(|asker| asker.ask(&small).is_some()));
    // The peak is counted from here on.
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    let idle = memory(&server, "VmRSS");

    let all = framed(&query("big.test.", 1, None)).repeat(80);
    let dot = Arc::new(certificate.config(&[b"dot"], rustls::ALL_VERSIONS));
    let http2 = Arc::new(certificate.config(&[b"h2"], rustls::ALL_VERSIONS));
    let http = Arc::new(certificate.config(&[b"http/1.1"], rustls::ALL_VERSIONS));
    let (plain, over_tls, over_https, over_quic) = std::thread::scope(|scope| {
        let ports = &ports;
        scope.spawn(|| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 99), 0)).unwrap();
            for number in 0..SILENT {
                // What finds no place in the socket is lost, as it may be.
                let _ = socket.send_to(&query(&format!("f{number}.silent.test."), 1, None), at(ports.plain));
            }
        });
        let plain = scope.spawn(|| {
            let stream = |number| {
                let mut stream = connect(client(number), at(ports.plain));
                // One that was cut by now is as good.
                let _ = stream.write_all(&all);
                stream
            };
            (0..UNREAD[0]).map(stream).collect::<Vec<_>>()
        });
        let over_tls = scope.spawn(|| {
            let stream = |number| {
                let mut stream = tls(number, ports.tls, &dot)?;
                let _ = stream.write_all(&all);
                Some(stream)
            };
            (0..UNREAD[1]).map(stream).collect::<Vec<_>>()
        });
        let over_https = scope.spawn(|| {
            let head = "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 60000\r\n\r\n";
            let part = [head.as_bytes(), &vec![0; PART][..]].concat();
            let stream = |number| {
                let mut stream = tls(number, ports.https, &http)?;
                let _ = stream.write_all(&part);
                Some(stream)
            };
            (0..UNENDED[0]).map(stream).collect::<Vec<_>>()
        });
        let over_http2 = scope.spawn(|| {
            let (begun, asked) = (unended(), unread(&query("big.test.", 1, None), 100));
            let stream = |number| {
                let mut stream = tls(number, ports.https, &http2)?;
                let _ = stream.write_all(if number % 2 == 0 { &begun } else { &asked });
                Some(stream)
            };
            (0..HTTP2).map(stream).collect::<Vec<_>>()
        });
        let over_quic = scope.spawn(|| {
            let mut kept = Vec::new();
            #[cfg(feature = "quic")]
            for _ in 0..UNENDED[1] {
                let mut asker = Asker::to(Over::Quic, at(ports.quic), &certificate);
                let part = [&60_000_u16.to_be_bytes()[..], &vec![0; PART][..]].concat();
                if asker.connect().is_ok() {
                    asker.open_streams(&part, 10);
                    kept.push(asker);
                }
            }
            kept.truncate(usize::from(UNENDED[1]));
            kept
        });
        let (plain, over_tls) = (plain.join().unwrap(), over_tls.join().unwrap());
        let over_https = (over_https.join().unwrap(), over_http2.join().unwrap());
        (plain, over_tls, over_https, over_quic.join().unwrap())
    });
    let series = |name: &str| {
        let (_, text) = fetch(ports.metrics, "/metrics")?;
        let values = text.lines().filter(|line| line.starts_with(name));
        Some(values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>())
    };
    // That it came to this is shown: some had to go, and questions were refused.
    wait("connections that are cut", 3 * PATIENCE, || {
        series("signpost_connections_cut_total").filter(|cut| *cut > 0.0)
    });
    wait("questions over the bound", PATIENCE, || {
        series("coredns_forward_max_concurrent_rejects_total").filter(|refused| *refused > 0.0)
    });
    // Whoever asks beside them is answered, over each.
    server.wait_for("small.test.", &["10.1.0.1"], PATIENCE);
    for asker in &mut askers {
        assert!(asker.ask(&small).is_some(), "{:?}", asker.over);
    }
    let peak = memory(&server, "VmHWM");
    let more = peak.saturating_sub(idle);
    println!("{} KiB more than the {} KiB before", more / 1024, idle / 1024);
    assert!(more < MOST, "{} KiB more than the {} KiB before", more / 1024, idle / 1024);
    drop((plain, over_tls, over_https, over_quic));
}
