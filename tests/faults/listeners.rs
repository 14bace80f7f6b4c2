//! Listeners and connections that are encrypted.

use std::net::SocketAddr;

use crate::encrypted::{Asker, Certificate, Over};
use crate::process::{free_port, query, wait};
use crate::rig::{PATIENCE, Rig, folder};

/// A binary that serves one scheme beside plain DNS, where that is, and what its clients trust.
fn serving(scheme: &str, orders: &str) -> (Rig, SocketAddr, Certificate) {
    let (certificate, port) = (Certificate::new(), free_port());
    let corefile = format!(
        ".:PORT {scheme}://.:{port} {{\n bind 127.0.0.1\n METRICS\n {}\n hosts {{\n 10.0.0.1 a.test\n }}\n}}\n",
        certificate.line()
    );
    let rig = Rig::start(folder(), &corefile, orders);
    rig.answers("a.test.", "10.0.0.1");
    (rig, SocketAddr::from(([127, 0, 0, 1], port)), certificate)
}

/// Asks over a fresh connection until there is an answer.
fn asks(over: Over, to: SocketAddr, certificate: &Certificate) {
    wait(&format!("an answer over {over:?}"), PATIENCE, || {
        let mut asker = Asker::to(over, to, certificate);
        asker.connect().ok()?;
        let reply = asker.ask(&query("a.test.", 1, None))?;
        reply.ends_with(&[10, 0, 0, 1]).then_some(())
    });
}

/// A listener panics as it begins, and each time that somebody comes or goes; connections panic half way; and then all is well.
fn listener(scheme: &str, over: Over) {
    // Each life of a listener is two turns, its making and its first look, and one more for each look.
    let orders = "listener:1,listener:3,listener:6,connection:2,connection:5";
    let (mut rig, to, certificate) = serving(scheme, orders);
    rig.panicked("listener", 2);
    // Somebody comes: the listener panics, and takes them a second later.
    for _ in 0..4 {
        // Whose connection panics is not answered: that is the point.
        let mut asker = Asker::to(over, to, &certificate);
        let _ = asker.connect();
    }
    rig.panicked("listener", 3);
    rig.panicked("connection", 2);
    asks(over, to, &certificate);
    rig.answers("a.test.", "10.0.0.1");
    assert_eq!((rig.panics("listener"), rig.panics("connection")), (3, 2));
}

#[test]
fn p11_a_listener_of_https_that_panics_listens_again() {
    listener("https", Over::Post2);
}

#[cfg(feature = "quic")]
#[test]
fn p11_a_listener_of_quic_that_panics_listens_again() {
    listener("quic", Over::Quic);
}

#[cfg(feature = "https3")]
#[test]
fn p11_a_listener_of_https3_that_panics_listens_again() {
    listener("https3", Over::Post3);
}

#[test]
fn p11_a_turn_of_a_thread_of_tls_that_panics_is_followed_by_the_next_one() {
    let (mut rig, to, certificate) = serving("tls", "encrypted:12,encrypted:13,encrypted:20");
    for _ in 0..10 {
        asks(Over::Tls, to, &certificate);
    }
    rig.panicked("encrypted", 3);
    asks(Over::Tls, to, &certificate);
    rig.answers("a.test.", "10.0.0.1");
}
