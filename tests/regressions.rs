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
