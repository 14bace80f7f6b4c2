//! An interface that goes down and comes up under a server (row P12 of docs/reliability.md).

use std::net::UdpSocket;
use std::time::Duration;

use crate::namespace::{SERVER, inside, run};
use crate::world::{PATIENCE, Server};

/// A for a.test.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

/// Whether it is answered soon.
fn is_answered() -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((SERVER, 53)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut buffer = [0; 512];
    socket.send(QUERY).is_ok()
        && socket.recv(&mut buffer).is_ok_and(|_| buffer[..2] == QUERY[..2] && buffer[7] == 1)
}

#[test]
fn p12_an_interface_that_goes_and_comes_is_answered_on_again() {
    if !inside("interface::p12_an_interface_that_goes_and_comes_is_answered_on_again") {
        return;
    }
    let text = format!(".:53 {{\n bind {SERVER}\n errors\n hosts {{\n 10.0.0.1 a.test\n }}\n}}\n");
    let server = Server::start(&text, None);
    server.until("an answer", PATIENCE, is_answered);
    for _ in 0..3 {
        run("ip -n dns link set pod down");
        assert!(!is_answered(), "the interface is down");
        run("ip -n dns link set pod up");
        run("ip -n dns route add default via 10.0.2.1");
        server.until("an answer behind it", PATIENCE, is_answered);
    }
    server.complained_of_nothing();
}
