//! W55 to W57: where a datagram comes from. Forged sources need a raw socket, so the rights for one.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use crate::logs;
use crate::message::{A, Message, NOTIMP, SOA};
use crate::server::{Server, ask_udp_on, plain, udp_from};

#[test]
fn w55_well_known_source_ports_are_answered() {
    let server = Server::demo();
    for port in [1, 7, 19, 53] {
        let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 55), port));
        match udp_from(own, server.v4()) {
            Ok(socket) => {
                let reply = ask_udp_on(&socket, &Message::query("web.shop.svc.cluster.local", A));
                assert!(reply.is_some_and(|reply| reply.answers.len() == 1), "source port {port}");
            }
            Err(error) => eprintln!("not run: binding source port {port}: {error}"),
        }
        assert!(plain(server.v4()));
    }
}

/// A socket that sends what it is given as IP packets; `None`, with the reason printed, without the rights.
fn raw() -> Option<OwnedFd> {
    socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW))
        .inspect_err(|error| eprintln!("not run: a raw socket: {error}"))
        .ok()
}

/// Sends a datagram that claims to come from `from`.
fn forge(socket: &OwnedFd, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
    let length = u16::try_from(20 + 8 + bytes.len()).expect("short");
    // The kernel fills in the checksum of the header; a UDP checksum of 0 says that there is none.
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend_from_slice(&from.ip().octets());
    packet.extend_from_slice(&to.ip().octets());
    for word in [from.port(), to.port(), length - 20, 0] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(bytes);
    let sent = sendto(socket, &packet, SendFlags::empty(), &SocketAddrV4::new(*to.ip(), 0)).expect("sending");
    assert_eq!(sent, packet.len());
}

/// The IPv4 address of a server.
fn v4(server: &Server) -> SocketAddrV4 {
    match server.v4() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is no IPv4 address"),
    }
}

/// Asks plainly a few times, so that all that a forged datagram caused has happened.
fn settle(server: &Server) -> u64 {
    const ROUNDS: u64 = 20;
    for _ in 0..ROUNDS {
        assert!(plain(server.v4()), "I1");
    }
    ROUNDS
}

#[test]
fn w56_source_port_0_is_dropped_without_a_line() {
    let Some(raw) = raw() else { return };
    let server = Server::demo_with(|_| {});
    let to = v4(&server);
    let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let (queries, refused) = (server.counter("queries"), server.counter("send_refused"));
    let lines = logs::count(|_| true);
    for round in 0..200_u16 {
        forge(&raw, from, to, &Message::query("web.shop.svc.cluster.local", A).id(round).bytes());
        forge(&raw, from, to, &Message::empty().id(round).bytes());
        assert!(plain(server.v4()), "I1");
    }
    let arrived = server.counter("queries") - queries;
    assert!(arrived >= 200, "the plain queries at least are counted: {arrived}");
    assert!(logs::count(|_| true) - lines < 100, "no line each");
    assert_eq!(server.counter("send_refused"), refused, "no reply is tried");
}

#[test]
fn w57_our_own_address_as_source_makes_no_loop() {
    let Some(raw) = raw() else { return };
    let server = Server::demo_with(|_| {});
    let own = v4(&server);
    for message in [
        Message::query("web.shop.svc.cluster.local", A),
        Message::empty(),
        Message::query("cluster.local", SOA).opcode(4),
        Message::query("cluster.local", SOA).flags(0x8000),
    ] {
        let before = server.counter("queries");
        forge(&raw, own, own, &message.bytes());
        let plain = settle(&server);
        // The forged one, and our reply to it, which is a response: silence.
        let others = server.counter("queries") - before - plain;
        assert!(others <= 2, "{others} messages out of one");
    }
}

#[test]
fn w57_two_servers_do_not_talk_to_each_other() {
    let Some(raw) = raw() else { return };
    let (one, other) = (Server::demo_with(|_| {}), Server::demo_with(|_| {}));
    let sum = || one.counter("queries") + other.counter("queries");
    for message in [
        Message::query("web.shop.svc.cluster.local", A),
        Message::query("example.org", A),
        Message::empty(),
        Message::query("cluster.local", SOA).opcode(5),
        Message::query("cluster.local", SOA).flags(0x8000 | NOTIMP),
    ] {
        let before = sum();
        forge(&raw, v4(&other), v4(&one), &message.bytes());
        let plain = settle(&one) + settle(&other);
        let others = sum() - before - plain;
        assert!((1..=2).contains(&others), "{others} messages out of one");
    }
}

#[test]
fn p12_clients_that_are_gone_when_their_answer_comes_end_nothing() {
    let server = Server::demo_with(|_| {});
    let before = server.counter("queries");
    for round in 0..500_u16 {
        // The answer meets a closed port, and an ICMP message comes back to the server's socket.
        let gone = udp_from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), server.v4()).expect("a socket");
        let query = Message::query("web.shop.svc.cluster.local", A).id(round).bytes();
        rustix::net::send(&gone, &query, SendFlags::empty()).expect("sending to loopback");
        drop(gone);
        if round % 50 == 0 {
            assert!(plain(server.v4()), "I1");
        }
    }
    let plain = settle(&server);
    assert!(server.counter("queries") - before >= 500 + plain, "all of them came");
}
