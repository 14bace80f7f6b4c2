//! What talks to others: upstreams over streams, primaries, collectors of `dnstap`, files and names of upstreams.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use signpost::app::{Running, ServeOptions, serve};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{Certificate, KEYS};
use crate::process::{free_port, wait};
use crate::rig::{PATIENCE, Rig, folder};

/// A server of ours in this process, of which nothing is ordered.
fn other(text: &str) -> Running {
    serve(ServeOptions { text: text.to_owned(), ..ServeOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn p11_streams_to_upstreams_that_panic_are_begun_anew() {
    let certificate = Certificate::new();
    let upstream = other(&format!(
        ".:0 {KEYS} {{\n bind 127.0.0.1\n {}\n hosts {{\n 10.0.0.1 a.tcp.test\n 10.0.0.2 a.tls.test\n 10.0.0.3 a.https.test\n \
         10.0.0.4 a.quic.test\n }}\n}}\n",
        certificate.line()
    ));
    let at = |scheme| upstream.addresses_of(scheme)[0];
    let authority = certificate.folder.path().join("cert.pem");
    let secured = format!("{{\n tls {}\n tls_servername dns.test\n }}", authority.display());
    let mut corefile = format!(
        ".:PORT {{\n bind 127.0.0.1\n METRICS\n forward tcp.test {} {{\n force_tcp\n }}\n forward tls.test tls://{} {secured}\n \
         forward https.test https://{} {secured}\n",
        at(Scheme::Dns),
        at(Scheme::Tls),
        at(Scheme::Https)
    );
    let mut names =
        vec![("a.tcp.test.", "10.0.0.1"), ("a.tls.test.", "10.0.0.2"), ("a.https.test.", "10.0.0.3")];
    if cfg!(feature = "quic") {
        corefile += &format!(" forward quic.test quic://{} {secured}\n", at(Scheme::Quic));
        names.push(("a.quic.test.", "10.0.0.4"));
    }
    corefile += "}\n";
    // The thread as it begins, then a question in its hands; of the connections some as they are opened, some half way.
    let orders = (2..=20).step_by(3).map(|turn| format!(",connection to an upstream:{turn}"));
    let orders = format!("upstreams:1,upstreams:4{}", orders.collect::<String>());
    let mut rig = Rig::start(folder(), &corefile, &orders);
    for _ in 0..3 {
        for (name, address) in &names {
            rig.answers(name, address);
        }
    }
    rig.panicked("upstreams", 2);
    rig.panicked("connection to an upstream", 7);
    for (name, address) in &names {
        rig.answers(name, address);
    }
}

#[test]
fn p11_a_secondary_that_panics_and_its_thread_go_on_following() {
    let (files, port) = (folder(), free_port());
    let zone = |serial: u32, more: &str| {
        let text = format!(
            "@ 60 IN SOA ns hostmaster {serial} 7200 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n{more}"
        );
        std::fs::write(files.path().join("db"), text).unwrap();
    };
    zone(1, "web 60 IN A 192.0.2.80\n");
    let primary = other(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n file {}/db {{\n reload 20ms\n }}\n transfer {{\n to 127.0.0.1:{port}\n }}\n}}\n",
        files.path().display()
    ));
    let corefile = format!(
        "example.org:{port} {{\n bind 127.0.0.1\n secondary {{\n transfer from {}\n }}\n}}\n\
         .:PORT {{\n bind 127.0.0.1\n METRICS\n forward example.org 127.0.0.1:{port}\n}}\n",
        primary.addresses()[0]
    );
    // The thread before it took an order, and behind the first; the task as it is made, and while it fetches.
    let mut rig =
        Rig::start(folder(), &corefile, "transfers:1,transfers:3,secondary:1,secondary:4,secondary:8");
    rig.panicked("transfers", 2);
    rig.panicked("secondary", 2);
    rig.answers("web.example.org.", "192.0.2.80");
    // Its refresh is two hours: what brings the new zone is the word of the primary, heard by who follows again.
    zone(2, "web 60 IN A 192.0.2.81\n");
    rig.answers("web.example.org.", "192.0.2.81");
}

/// Reads a frame of a collector's stream; `None` for a control frame, which was read.
fn frame(stream: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut word = [0; 4];
    stream.read_exact(&mut word)?;
    let is_control = word == [0; 4];
    if is_control {
        stream.read_exact(&mut word)?;
    }
    let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(word)).unwrap()];
    stream.read_exact(&mut bytes)?;
    Ok((!is_control).then_some(bytes))
}

/// The only field of control frames that matters: what the messages are.
const CONTENT: &[u8] = b"\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";

/// Opens a stream as a collector does, and sends what comes on it until it ends.
fn collect(mut stream: impl Read + Write, tell: &Sender<Vec<u8>>) -> std::io::Result<()> {
    // READY is answered by ACCEPT, and START follows.
    frame(&mut stream)?;
    let mut accept = vec![0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 1];
    accept.extend_from_slice(CONTENT);
    stream.write_all(&accept)?;
    frame(&mut stream)?;
    while let Some(message) = frame(&mut stream)? {
        let _ = tell.send(message);
    }
    Ok(())
}

/// Asks for a name until a collector is told of it.
fn is_told(rig: &Rig, told: &Receiver<Vec<u8>>) {
    wait("a message of a collector", PATIENCE, || {
        rig.server.ask("told.test.");
        told.try_iter().any(|message| message.windows(6).any(|part| part == b"\x04told\x04")).then_some(())
    });
}

#[test]
fn p11_a_thread_of_dnstap_that_panics_connects_again() {
    let files = folder();
    let listener = UnixListener::bind(files.path().join("tap")).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The end of one stream is the beginning of the next.
            let _ = collect(stream.unwrap(), &tell);
        }
    });
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n dnstap DIR/tap full\n whoami\n}\n";
    // Of the first turns one is its looks' at how much was dropped, which have the same name.
    let mut rig = Rig::start(files, corefile, "dnstap:1,dnstap:2,dnstap:3,dnstap:5,dnstap:7");
    is_told(&rig, &told);
    for _ in 0..8 {
        is_told(&rig, &told);
    }
    rig.panicked("dnstap", 5);
    told.try_iter().for_each(drop);
    is_told(&rig, &told);
}

#[test]
fn p11_a_thread_of_dnstap_that_listens_and_panics_listens_again() {
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n dnstap listen DIR/door full\n whoami\n}\n";
    let mut rig = Rig::start(folder(), corefile, "dnstap:1,dnstap:2,dnstap:4,dnstap:9");
    let path = rig.path("door");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        // Whoever is cut off comes again.
        loop {
            let _ = UnixStream::connect(&path).and_then(|stream| collect(stream, &tell));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    rig.panicked("dnstap", 4);
    is_told(&rig, &told);
    told.try_iter().for_each(drop);
    is_told(&rig, &told);
}

#[test]
fn p11_files_of_upstreams_are_looked_at_again_after_a_panic() {
    let files = folder();
    std::fs::write(files.path().join("resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n hosts {\n 10.0.0.1 a.test\n fallthrough\n }\n forward . DIR/resolv.conf\n}\n";
    let mut rig = Rig::start(files, corefile, "targets:1,targets:3");
    rig.answers("a.test.", "10.0.0.1");
    rig.panicked("targets", 2);
    std::fs::write(rig.path("resolv.conf"), "nameserver 192.0.2.9\n").unwrap();
    rig.says("the upstreams are now 192.0.2.9:53");
    rig.answers("a.test.", "10.0.0.1");
}
