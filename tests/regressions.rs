//! Faults that were reported, here or of others whose road we share: one function each, with its link above it.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use signpost::app::{Running, ServeOptions, serve};
use signpost::chain::{Support, WORDS};

/// Starts a server from a text.
fn start(text: &str) -> Running {
    let options = ServeOptions { text: text.to_owned(), ..ServeOptions::default() };
    let running = serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(running.wait_synced(Duration::from_secs(10)));
    running
}

/// A question for A in wire form.
fn question(name: &str) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

/// What a reply says: code and addresses.
fn said(bytes: &[u8]) -> (ResponseCode, Vec<String>) {
    let reply = Message::from_vec(bytes).unwrap();
    let data = reply.answers.iter().map(|record| record.data.to_string()).collect();
    (reply.metadata.response_code, data)
}

/// Asks over UDP from an address.
fn ask(client: &str, server: SocketAddr, name: &str) -> (ResponseCode, Vec<String>) {
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&question(name), server).unwrap();
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).unwrap();
    said(&reply[..length])
}

/// Asks over TCP.
fn ask_tcp(server: SocketAddr, name: &str) -> (ResponseCode, Vec<String>) {
    let mut stream = TcpStream::connect(server).unwrap();
    let message = question(name);
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&message).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    said(&reply)
}

/// <https://github.com/coredns/coredns/pull/8289>: an answer in the cache was shown to a client that `acl` blocks.
#[test]
fn a_cached_answer_is_not_shown_to_a_client_that_acl_blocks() {
    let upstream = start(".:0 {\n bind 127.0.0.1\n hosts none {\n 192.0.2.1 a.test\n }\n}\n");
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n cache\n acl {{\n block net 127.0.0.1\n }}\n forward . {}\n}}\n",
        upstream.addresses()[0]
    ));
    let server = running.addresses()[0];
    for _ in 0..2 {
        assert_eq!(
            ask("127.0.0.2", server, "a.test."),
            (ResponseCode::NoError, vec!["192.0.2.1".to_owned()])
        );
        assert_eq!(ask("127.0.0.1", server, "a.test."), (ResponseCode::Refused, Vec::new()));
        assert_eq!(ask_tcp(server, "a.test."), (ResponseCode::Refused, Vec::new()));
    }
}

/// <https://github.com/coredns/coredns/pull/8290>: what was looked up on behalf of another question went round `acl`.
#[test]
fn the_target_of_an_alias_is_not_looked_up_for_a_client_that_acl_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Service\n\
                    metadata: {name: alias, namespace: shop}\nspec: {type: ExternalName, externalName: secret.test}\n";
    std::fs::write(folder.path().join("all.yaml"), manifest).unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n acl secret.test {{\n block net 127.0.0.1\n }}\n hosts none {{\n 192.0.2.1 secret.test\n fallthrough\n }}\n \
         kubernetes cluster.local {{\n manifests {}\n }}\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    let name = "alias.shop.svc.cluster.local.";
    let whole = vec!["secret.test.".to_owned(), "192.0.2.1".to_owned()];
    assert_eq!(ask("127.0.0.2", server, name), (ResponseCode::NoError, whole));
    // Rule K-137: a target that could not be resolved.
    assert_eq!(ask("127.0.0.1", server, name).0, ResponseCode::ServFail);
    assert_eq!(ask_tcp(server, name).0, ResponseCode::ServFail);
}

/// CVE-2026-26017 (<https://github.com/coredns/coredns/security/advisories>): `acl` saw a name before it was rewritten, so
/// that another name led to the one that it protects.
#[test]
fn a_name_that_is_rewritten_is_decided_about_as_it_is_answered() {
    let corefile = ".:0 {\n bind 127.0.0.1\n rewrite name exact alias.test secret.test\n \
                    rewrite name exact public.test open.test\n acl secret.test public.test {\n block\n }\n \
                    hosts none {\n 192.0.2.1 secret.test\n 192.0.2.2 open.test\n }\n}\n";
    let served =
        WORDS.iter().any(|word| word.word == "rewrite" && matches!(word.support, Support::Served { .. }));
    if !served {
        // As long as nothing is rewritten there is no way round; this fails once there might be.
        let options = ServeOptions { text: corefile.to_owned(), ..ServeOptions::default() };
        let Err(error) = serve(options) else { panic!("a word that is not served is served") };
        assert!(error.to_string().contains("`rewrite` is not served"), "{error}");
        return;
    }
    let running = start(corefile);
    let server = running.addresses()[0];
    assert_eq!(ask("127.0.0.1", server, "secret.test.").0, ResponseCode::Refused);
    assert_eq!(ask("127.0.0.1", server, "alias.test.").0, ResponseCode::Refused);
    assert_eq!(ask_tcp(server, "alias.test.").0, ResponseCode::Refused);
    // What it is answered as is free.
    assert_eq!(
        ask("127.0.0.1", server, "public.test."),
        (ResponseCode::NoError, vec!["192.0.2.2".to_owned()])
    );
}

/// An upstream of the test: answers each query with what `reply` makes of it, and hands the queries on.
fn upstream(
    reply: impl Fn(&Message) -> Option<Vec<u8>> + Send + 'static,
) -> (SocketAddr, std::sync::mpsc::Receiver<Vec<u8>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let (tell, queries) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        // Ends with the test, which holds the other end.
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let Ok(query) = Message::from_vec(&bytes[..length]) else { continue };
            if tell.send(bytes[..length].to_vec()).is_err() {
                return;
            }
            if let Some(reply) = reply(&query) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    (addr, queries)
}

/// A reply to a query with one record of this data, in wire form; the owner is the question.
fn answered(query: &Message, rtype: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec().unwrap();
    let end = 12 + query.queries[0].name().to_ascii().len() + 1 + 4;
    bytes.truncate(end);
    bytes[2..4].copy_from_slice(&[0x81, 0x80]);
    bytes[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0xc0, 12]);
    bytes.extend_from_slice(&rtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&ttl.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A query with this type, and with an OPT of this size and these options where `edns` has them.
fn query(name: &str, qtype: u16, edns: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut bytes = question(name);
    let end = bytes.len();
    bytes[end - 4..end - 2].copy_from_slice(&qtype.to_be_bytes());
    if let Some((size, options)) = edns {
        bytes[11] = 1;
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0]);
        bytes.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(options);
    }
    bytes
}

/// Sends a message over UDP; the reply.
fn exchange(server: SocketAddr, message: &[u8]) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(message, server).unwrap();
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).unwrap();
    Message::from_vec(&reply[..length]).unwrap()
}

/// Sends a message over TCP; the bytes of the reply.
fn exchange_tcp(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

/// CVE-2026-26018: the name of the probe for loops could be guessed, and whoever asked for it ended the process.
#[test]
fn cve_2026_26018_guessed_probes_for_loops_end_nothing_and_put_nobody_aside() {
    let (upstream, queries) = upstream(|query| Some(answered(query, 1, 60, &[192, 0, 2, 7])));
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n loop\n forward . {upstream}\n}}\n"));
    let server = running.addresses()[0];
    for number in 0..200_u64 {
        // As ours look, as CoreDNS's do, and as neither does.
        let name = match number % 3 {
            0 => format!("{:016x}.{number:016x}.", number * 7919),
            1 => format!("{}.{}.", 1_000_000_000_000_000_000 + number, 2_000_000_000_000_000_000 + number),
            _ => format!("{number}.loop."),
        };
        let reply = exchange(server, &query(&name, 13, None));
        assert!(reply.metadata.response_code != ResponseCode::Refused, "{name}");
    }
    assert_eq!(
        ask("127.0.0.1", server, "www.example.org."),
        (ResponseCode::NoError, vec!["192.0.2.7".to_owned()])
    );
    assert_eq!(running.counter("panics"), 0);
    drop(queries);
}

/// CVE-2026-33190, CVE-2026-35579: signatures of transactions were not checked on encrypted transports. There are none here:
/// a zone that wants them is refused, and a signature makes nobody welcome.
#[test]
fn cve_2026_33190_cve_2026_35579_a_signature_that_nobody_checks_opens_nothing() {
    let options = ServeOptions {
        text: ".:0 {\n tsig {\n require all\n }\n whoami\n}\n".to_owned(),
        ..ServeOptions::default()
    };
    let Err(error) = serve(options) else { panic!("a word that is not served is served") };
    assert!(error.to_string().contains("tsig"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let zone = "$ORIGIN a.test.\n@ 60 SOA ns hostmaster 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n";
    std::fs::write(folder.path().join("zone"), zone).unwrap();
    let running = start(&format!(
        "a.test:0 {{\n bind 127.0.0.1\n file {}/zone\n transfer {{\n to 192.0.2.99\n }}\n}}\n",
        folder.path().display()
    ));
    // A TSIG record in the additional section: name key., algorithm hmac-sha256., a made-up MAC.
    let mut signed = query("a.test.", 252, None);
    signed[11] = 1;
    let mut data = b"\x0bhmac-sha256\x00\x00\x00\x65\x00\x00\x00\x01\x2c\x00\x20".to_vec();
    data.extend_from_slice(&[7; 32]);
    data.extend_from_slice(&[0x12, 0x67, 0, 0, 0, 0]);
    signed.extend_from_slice(b"\x03key\x00\x00\xfa\x00\xff\x00\x00\x00\x00");
    signed.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    signed.extend_from_slice(&data);
    let server = running.addresses()[0];
    let reply = exchange_tcp(server, &signed);
    assert_eq!((reply[3] & 15, &reply[6..8]), (5, &[0, 0][..]), "REFUSED, and not a record");
    assert_eq!(exchange(server, &signed).metadata.response_code, ResponseCode::Refused);
}

/// CVE-2025-58063: the id of a lease was taken for a TTL, and an answer stayed in caches for centuries. The word is refused, and a
/// TTL beyond what RFC 2181 §8 knows is none.
#[test]
fn cve_2025_58063_no_back_end_gives_ttls_and_absurd_ones_are_zero() {
    let text = ".:0 {\n etcd a.test {\n endpoint http://127.0.0.1:1\n }\n}\n".to_owned();
    let Err(error) = serve(ServeOptions { text, ..ServeOptions::default() }) else {
        panic!("etcd is served")
    };
    assert!(error.to_string().contains("etcd"), "{error}");
    let (upstream, queries) = upstream(|query| Some(answered(query, 1, 0xfabc_def0, &[192, 0, 2, 7])));
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n cache\n forward . {upstream}\n}}\n"));
    for _ in 0..2 {
        let reply = exchange(running.addresses()[0], &question("a.test."));
        assert_eq!(reply.answers[0].ttl, 0);
    }
    assert_eq!(queries.try_iter().count(), 2, "and it is not kept");
}

/// CVE-2022-2835, CVE-2022-2837: who may make a namespace or a Service could take over names of the world. A namespace `com` has
/// names below the cluster's zone, and nowhere else.
#[test]
fn cve_2022_2835_cve_2022_2837_a_namespace_named_like_a_domain_has_no_names_outside_of_the_zone() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: com}\n---\napiVersion: v1\nkind: Service\n\
                    metadata: {name: google, namespace: com}\nspec: {clusterIP: 10.96.0.66, clusterIPs: [10.96.0.66]}\n";
    std::fs::write(folder.path().join("all.yaml"), manifest).unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n manifests {}\n }}\n hosts none {{\n 192.0.2.1 google.com\n fallthrough\n }}\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    assert_eq!(
        ask("127.0.0.1", server, "google.com."),
        (ResponseCode::NoError, vec!["192.0.2.1".to_owned()])
    );
    let inside = ask("127.0.0.1", server, "google.com.svc.cluster.local.");
    assert_eq!(inside, (ResponseCode::NoError, vec!["10.96.0.66".to_owned()]));
    for name in ["google.com.svc.", "google.com.cluster.local.", "com.", "svc.com."] {
        let (code, found) = ask("127.0.0.1", server, name);
        assert!(code != ResponseCode::NoError || found.is_empty(), "{name} {code} {found:?}");
    }
}

/// <https://github.com/coredns/coredns/pull/8287>: a datagram that is none kept those behind it from being answered.
#[test]
fn coredns_8287_junk_in_a_batch_keeps_nobody_behind_it() {
    let running = start(".:0 {\n bind 127.0.0.1\n hosts none {\n 192.0.2.1 a.test\n }\n}\n");
    let server = running.addresses()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for length in 0..100 {
        socket.send_to(&vec![0xff; length % 40], server).unwrap();
    }
    socket.send_to(&question("a.test."), server).unwrap();
    let mut reply = [0; 512];
    loop {
        let length = socket.recv(&mut reply).unwrap();
        if reply[..2] == 4711_u16.to_be_bytes() {
            assert_eq!(said(&reply[..length]), (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]));
            return;
        }
    }
}

/// <https://github.com/coredns/coredns/pull/8376>: any number of queries came on one connection, and could not be bounded.
#[test]
fn coredns_8376_queries_of_a_connection_are_bounded_where_the_corefile_says_so() {
    let running = start(".:0 {\n bind 127.0.0.1\n timeouts {\n maxtcpqueries 2\n }\n whoami\n}\n");
    let mut stream = TcpStream::connect(running.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let message = question("a.test.");
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
    stream.write_all(&framed.repeat(3)).unwrap();
    let mut all = Vec::new();
    // Whether it ends in order or is cut: two replies were sent.
    let _ = stream.read_to_end(&mut all);
    let (mut replies, mut at) = (0, 0);
    while let Some(length) = all.get(at..at + 2) {
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        replies += 1;
    }
    assert_eq!((replies, at), (2, all.len()));
}

/// RUSTSEC-2026-0119 (hickory-proto < 0.26.1), CVE-2024-8508 and CVE-2026-44390 (Unbound): the search for names to compress with took
/// time by the square of the records. Nothing is searched for here: names of data are written as they are, the owner is a
/// pointer to the question.
#[test]
fn rustsec_2026_0119_cve_2024_8508_names_of_many_records_are_not_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let mut zone =
        "$ORIGIN a.test.\n@ 60 SOA ns hostmaster 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n".to_owned();
    for number in 0..1200 {
        zone.push_str(&format!("many 60 MX 10 host{number}.unrelated{number}.example.\n"));
    }
    std::fs::write(folder.path().join("zone"), zone).unwrap();
    let running = start(&format!(
        "a.test:0 {{\n bind 127.0.0.1\n minimal\n file {}/zone\n}}\n",
        folder.path().display()
    ));
    let asked = query("many.a.test.", 15, None);
    let bytes = exchange_tcp(running.addresses()[0], &asked);
    let reply = Message::from_vec(&bytes).unwrap();
    assert_eq!(reply.answers.len(), 1200);
    let data: usize =
        (0..1200).map(|number| format!("host{number}.unrelated{number}.example.").len() + 1).sum();
    // Header and question, and of each record: pointer, type, class, TTL, length, preference.
    assert_eq!(bytes.len(), asked.len() + 1200 * 14 + data);
}

/// RUSTSEC-2020-0001 (trust-dns-server): a null target of SRV or MX ended in a stack that overflowed.
#[test]
fn rustsec_2020_0001_null_targets_are_records_like_others() {
    let (upstream, queries) = upstream(|query| {
        let srv: &[u8] = &[0, 0, 0, 0, 0, 0, 0];
        let (rtype, data) =
            if u16::from(query.queries[0].query_type()) == 33 { (33, srv) } else { (15, &srv[4..]) };
        Some(answered(query, rtype, 60, data))
    });
    let folder = tempfile::tempdir().unwrap();
    let zone = "$ORIGIN a.test.\n@ 60 SOA ns hostmaster 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\nx 60 SRV 0 0 0 .\nx 60 MX 0 .\n";
    std::fs::write(folder.path().join("zone"), zone).unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n cache\n file {}/zone a.test\n forward . {upstream}\n}}\n",
        folder.path().display()
    ));
    for name in ["x.a.test.", "x.b.test.", "x.b.test."] {
        for (qtype, expected) in [(33, "0 0 0 ."), (15, "0 .")] {
            let reply = exchange(running.addresses()[0], &query(name, qtype, None));
            assert_eq!(reply.answers[0].data.to_string(), expected, "{name}");
        }
    }
    drop(queries);
}

/// CVE-2023-28450 (dnsmasq): replies of 4,096 bytes were asked for, which come in fragments that can be forged. CVE-2025-5994
/// (RebirthDay, Unbound): the client's subnet was passed on, so that one name had many questions under way.
#[test]
fn cve_2023_28450_cve_2025_5994_upstreams_are_asked_for_1232_bytes_and_without_the_clients_options() {
    let (upstream, queries) = upstream(|query| Some(answered(query, 1, 60, &[192, 0, 2, 7])));
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n forward . {upstream}\n}}\n"));
    let server = running.addresses()[0];
    // Client subnets, a cookie.
    let options: [&[u8]; 3] = [
        &[0, 8, 0, 7, 0, 1, 24, 0, 10, 0, 1],
        &[0, 8, 0, 7, 0, 1, 24, 0, 10, 0, 2],
        &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    ];
    for (number, options) in options.iter().enumerate() {
        let reply = exchange(server, &query(&format!("{number}.test."), 1, Some((4096, options))));
        assert_eq!(reply.answers.len(), 1);
        let asked = queries.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(asked[10..12], [0, 1], "one additional record");
        let opt = &asked[asked.len() - 11..];
        assert_eq!(opt[..5], [0, 0, 41, 4, 208], "an OPT that asks for 1232 bytes");
        assert_eq!(opt[9..], [0, 0], "without options");
    }
}

/// CVE-2026-40622 (ghost domains, Unbound): asking again for what is kept made it last longer. What is kept ends when its
/// upstream said, however often it is asked for.
#[test]
fn cve_2026_40622_asking_makes_nothing_last_longer() {
    use signpost::time::{Clock, Wall};
    let (upstream, queries) = upstream(|query| Some(answered(query, 1, 60, &[192, 0, 2, 7])));
    let clock = Clock::manual(Wall(1_700_000_000));
    let text = format!(".:0 {{\n bind 127.0.0.1\n cache\n forward . {upstream}\n}}\n");
    let running = serve(ServeOptions { text, clock: clock.clone(), ..ServeOptions::default() }).unwrap();
    let ttl = || exchange(running.addresses()[0], &question("a.test.")).answers[0].ttl;
    let mut last = ttl();
    assert_eq!(last, 60);
    for _ in 0..5 {
        clock.advance(Duration::from_secs(10));
        let next = ttl();
        assert!(next < last, "{next} {last}");
        last = next;
    }
    assert_eq!(queries.try_iter().count(), 1);
    clock.advance(Duration::from_secs(11));
    assert_eq!((ttl(), queries.try_iter().count()), (60, 1), "its time is up: the upstream is asked again");
}

/// Found by `cargo against`: endpoints of a slice without ports, and ports without a number, have no SRV but share the weight.
#[test]
fn entries_without_a_port_count_in_the_weights_of_srv_records() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("shop.yaml"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n\
         spec: {clusterIP: None, clusterIPs: [None]}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}\n\
         endpoints: [{addresses: [10.0.0.1]}]\n\
         ports: [{name: sql, port: 5432, protocol: TCP}, {name: free, protocol: TCP}]\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {name: db-2, namespace: shop, labels: {kubernetes.io/service-name: db}}\n\
         endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.3]}]\nports: []\n",
    )
    .unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n manifests {}\n }}\n}}\n",
        folder.path().display()
    ));
    let weights = |name: &str| {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::SRV));
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&message.to_vec().unwrap(), running.addresses()[0]).unwrap();
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let reply = Message::from_vec(&bytes[..length]).unwrap();
        reply.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
    };
    // Four entries: two ports of one endpoint, of which one has a number, and two endpoints without ports (K-109, K-112).
    assert_eq!(weights("db.shop.svc.cluster.local."), ["0 25 5432 10-0-0-1.db.shop.svc.cluster.local."]);
    assert_eq!(
        weights("_sql._tcp.db.shop.svc.cluster.local."),
        ["0 100 5432 10-0-0-1.db.shop.svc.cluster.local."]
    );
    assert_eq!(
        weights("10-0-0-1.db.shop.svc.cluster.local."),
        ["0 50 5432 10-0-0-1.db.shop.svc.cluster.local."]
    );
}

/// What a text is refused with.
fn refused(text: String, path: &std::path::Path) -> String {
    let options = ServeOptions {
        text,
        path: Some(path.to_owned()),
        name: path.display().to_string(),
        ..ServeOptions::default()
    };
    serve(options).err().unwrap_or_else(|| panic!("it is refused")).to_string()
}

/// <https://github.com/coredns/coredns/pull/7802>, <https://github.com/coredns/coredns/pull/7567>: expressions and imports of a
/// Corefile cost without a bound.
#[test]
fn coredns_7802_coredns_7567_expressions_and_imports_of_a_corefile_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Corefile");
    for pattern in ["(a{1000}){1000}".to_owned(), "((a?b?){100}){100}".repeat(20), "a".repeat(10_001)] {
        let text = format!(".:0 {{\n bind 127.0.0.1\n rewrite name regex {pattern} b.test\n whoami\n}}\n");
        let why = refused(text, &file);
        assert!(
            why.contains("is no regular expression") || why.contains("at most 10000 bytes"),
            "{pattern:.20}: {why}"
        );
    }
    // What is no matter for an engine without backtracking costs what it should.
    let slow =
        ".:0 {\n bind 127.0.0.1\n rewrite name regex ^(a+)+$ b.test\n hosts {\n 10.0.0.1 a.test\n }\n}\n";
    let running = start(slow);
    let name = format!("{0}.{0}.{0}.", "a".repeat(60));
    // It is answered, whatever the code, within the patience of a client; and so is another name.
    assert_ne!(ask("127.0.0.1", running.addresses()[0], &name).0, ResponseCode::NoError);
    assert_eq!(ask("127.0.0.1", running.addresses()[0], "a.test.").1, ["10.0.0.1"]);
    // In circles of one, of two and of three.
    for (number, next) in [("one", "two"), ("two", "three"), ("three", "one"), ("self", "self")] {
        std::fs::write(folder.path().join(number), format!("import {next}\n")).unwrap();
    }
    for first in ["one", "self"] {
        let why = refused(format!(".:0 {{\n import {first}\n}}\n"), &file);
        assert!(why.contains("imports itself"), "{why}");
    }
}

/// Found by `cargo against`: of one endpoint name in two slices, only one of which has the port, both addresses stood beside SRV.
#[test]
fn addresses_beside_srv_are_those_that_have_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let slice = |name: &str, address: &str, ports: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: {name}, namespace: shop, labels: {{kubernetes.io/service-name: db}}}}\n\
             endpoints: [{{addresses: [{address}], hostname: db-0}}]\nports: {ports}\n---\n"
        )
    };
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
                apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n\
                spec: {clusterIP: None, clusterIPs: [None]}\n---\n"
        .to_owned()
        + &slice("db-1", "10.0.0.1", "[{name: sql, port: 5432, protocol: TCP}]")
        + &slice("db-2", "10.0.0.2", "[{name: web, port: 80, protocol: TCP}]")
        + &slice("db-3", "10.0.0.3", "[]");
    std::fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n manifests {}\n }}\n}}\n",
        folder.path().display()
    ));
    let glue = |name: &str| {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::SRV));
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&message.to_vec().unwrap(), running.addresses()[0]).unwrap();
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let reply = Message::from_vec(&bytes[..length]).unwrap();
        let mut all: Vec<String> = reply.additionals.iter().map(|record| record.data.to_string()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(glue("_sql._tcp.db.shop.svc.cluster.local."), ["10.0.0.1"]);
    assert_eq!(glue("_web._tcp.db.shop.svc.cluster.local."), ["10.0.0.2"]);
    for name in ["db.shop.svc.cluster.local.", "db-0.db.shop.svc.cluster.local."] {
        assert_eq!(glue(name), ["10.0.0.1", "10.0.0.2"], "{name}: the third has no port at all");
    }
}
