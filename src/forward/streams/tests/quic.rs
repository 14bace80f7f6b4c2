//! DNS over QUIC.

use std::sync::mpsc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig};

use super::encrypted::{Authority, config};
use super::*;

/// What a server does with a query: what it sends back, the length not counted in.
type Make = fn(&[u8]) -> Vec<u8>;

/// A server: where it is, the queries it gets, and how many connections it had.
struct QuicServer {
    addr: SocketAddr,
    queries: mpsc::Receiver<Vec<u8>>,
    connections: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

/// Starts a server.
fn serve(authority: &Authority, alpn: &[u8], make: Make) -> QuicServer {
    let pair = authority.issue(&["dns.example"]);
    let crypto = config(&pair, alpn, &[&rustls::version::TLS13], None);
    let crypto = QuicServerConfig::try_from(crypto).unwrap();
    let (tell, queries) = mpsc::channel();
    let (place, addr) = mpsc::channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let stop = on_thread(async move {
        let config = ServerConfig::with_crypto(Arc::new(crypto));
        let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        place.send(endpoint.local_addr().unwrap()).unwrap();
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            counted.fetch_add(1, Ordering::SeqCst);
            let tell = tell.clone();
            tokio::task::spawn_local(async move {
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    // To the end: a query without one would wait for ever (RFC 9250 §4.2).
                    let query = receive.read_to_end(65_537).await.unwrap();
                    let made = make(&query[2..]);
                    let _ = tell.send(query);
                    send.write_all(&made).await.unwrap();
                    let _ = send.finish();
                }
            });
        }
    });
    QuicServer { addr: addr.recv().unwrap(), queries, connections, _stop: stop }
}

/// A good reply.
fn good(query: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(query.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(reply(query));
    framed
}

/// An upstream over QUIC.
fn doq(authority: &Authority, server: &QuicServer, name: &str) -> UpstreamSpec {
    UpstreamSpec { tls: Some(authority.spec(Some(name))), ..spec(Protocol::Quic, server.addr) }
}

#[test]
fn each_query_has_a_stream_of_one_connection_and_id_zero() {
    let authority = Authority::new();
    let server = serve(&authority, b"doq", good);
    let mut rig = Rig::usual(doq(&authority, &server, "dns.example"));
    let asked = query(7, "first");
    assert_eq!(rig.exchange(asked.clone()), Ok(reply(&asked)));
    let seen = server.queries.recv().unwrap();
    assert_eq!(seen, [&[0, 17], query(0, "first").as_slice()].concat());
    for _ in 0..20 {
        rig.ask(query(7, "one of many"));
    }
    assert!(rig.wait(20).values().all(Result::is_ok));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(rig.counts(), (1, 20));
}

#[test]
fn replies_that_are_no_messages_are_faults() {
    let authority = Authority::new();
    let server = serve(&authority, b"doq", |_| vec![0, 5, 1]);
    let mut rig = Rig::usual(doq(&authority, &server, "dns.example"));
    assert_eq!(rig.exchange(query(1, "first")), Err("a reply whose length is wrong".to_owned()));
    let server = serve(&authority, b"doq", |_| vec![0; 70_000]);
    let mut rig = Rig::usual(doq(&authority, &server, "dns.example"));
    assert_eq!(rig.exchange(query(1, "first")), Err("a reply of more than 65535 bytes".to_owned()));
}

#[test]
fn certificates_and_protocol_are_checked() {
    let authority = Authority::new();
    let server = serve(&authority, b"doq", good);
    let mut rig = Rig::usual(doq(&authority, &server, "other.example"));
    assert_eq!(rig.exchange(query(1, "first")), Err("certificate is not for other.example".to_owned()));
    let other = Authority::new();
    let mut rig = Rig::usual(doq(&other, &server, "dns.example"));
    let why = "certificate is signed by nobody that is trusted here";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
    let server = serve(&authority, b"h3", good);
    let mut rig = Rig::usual(doq(&authority, &server, "dns.example"));
    let why = "it does not speak this protocol (ALPN)";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn a_silent_upstream_has_its_time() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let authority = Authority::new();
    let spec = UpstreamSpec {
        tls: Some(authority.spec(Some("dns.example"))),
        ..spec(Protocol::Quic, silent.local_addr().unwrap())
    };
    let options = DeskOptions { open: Duration::from_millis(250), ..DeskOptions::default() };
    let mut rig = Rig::new(spec, options);
    let why = "no answer to the handshake in 0.25 s: i/o timeout";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn an_idle_connection_is_closed_and_another_one_opened() {
    let authority = Authority::new();
    let server = serve(&authority, b"doq", good);
    let mut spec = doq(&authority, &server, "dns.example");
    spec.expire = Duration::from_millis(150);
    let mut rig = Rig::usual(spec);
    assert!(rig.exchange(query(1, "first")).is_ok());
    std::thread::park_timeout(Duration::from_millis(600));
    assert!(rig.exchange(query(1, "second")).is_ok());
    assert_eq!(rig.counts(), (2, 0));
}
