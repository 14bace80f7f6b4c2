//! Upstreams over TLS, HTTPS and QUIC, from a Corefile's line to a client's answer (rules F-30 to F-33).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::World;
use crate::script::Script;
use crate::servers::{Authority, Server, Speaks};

/// What every server says.
const ROWS: &str = "
    www.example.com A: @ 20 A 192.0.2.1
    two.example.com A: @ 20 A 192.0.2.2
    three.example.com A: @ 20 A 192.0.2.3
    gone.example.com A: NXDOMAIN; +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
";

/// Servers of one authority and one script, and a client of ours that asks one of them.
struct Rig {
    /// Whose certificate the servers have.
    authority: Authority,
    /// What they say.
    script: Arc<Script>,
    /// The server.
    server: Server,
    /// How it is spoken to.
    speaks: Speaks,
}

impl Rig {
    /// A server.
    fn new(speaks: Speaks) -> Self {
        let authority = Authority::new();
        let script = Script::new(ROWS);
        let server = Server::start(speaks, &authority, &script);
        Self { authority, script, server, speaks }
    }

    /// A server of ours that asks this one, whose certificate is to be for `name` and signed by `authority`.
    fn world(&self, name: &str, authority: &Authority) -> World {
        World::in_time(&format!(
            "    forward . {}://{} {{\n        tls {}\n        tls_servername {name}\n    }}\n    cache 30",
            self.speaks.scheme(),
            self.server.addr,
            authority.file().display()
        ))
    }

    /// Asserts that nothing was asked in plain text.
    fn nothing_was_plain(&self) {
        assert_eq!(self.server.plain.load(Ordering::SeqCst), 0, "{:?}: bytes in plain text", self.speaks);
        assert_eq!(self.server.datagrams(), 0, "{:?}: datagrams in plain text", self.speaks);
    }
}

#[test]
fn names_are_asked_on_one_connection_and_cached() {
    for &speaks in Speaks::ALL {
        let rig = Rig::new(speaks);
        let world = rig.world("dns.example", &rig.authority);
        for (name, address) in [("www", "192.0.2.1"), ("two", "192.0.2.2"), ("three", "192.0.2.3")] {
            for _ in 0..2 {
                let reply = world.ask(&format!("{name}.example.com. A +rd"));
                assert!(reply.starts_with("NOERROR") && reply.contains(address), "{speaks:?}: {reply}");
            }
        }
        assert!(world.ask("gone.example.com. A +rd").starts_with("NXDOMAIN"), "{speaks:?}");
        let ways =
            ["www", "two", "three", "gone"].map(|name| format!("{} {name}.example.com A", speaks.scheme()));
        assert_eq!(rig.script.asked(), ways, "each once");
        assert_eq!(rig.server.connections.load(Ordering::SeqCst), 1, "{speaks:?}");
        rig.nothing_was_plain();
    }
}

#[test]
fn a_server_of_another_name_is_servfail_with_the_reason_and_nothing_in_plain_text() {
    for &speaks in Speaks::ALL {
        let rig = Rig::new(speaks);
        let world = rig.world("other.example", &rig.authority);
        let got = world.got("www.example.com", 1);
        assert_eq!((got.code, got.records.len()), (2, 0), "{speaks:?}: {got:?}");
        let (code, text) = got.ede.expect("a reason");
        assert_eq!(code, 22, "{speaks:?}");
        assert!(text.contains(&rig.server.addr.to_string()), "{speaks:?}: {text}");
        assert!(text.contains("certificate is not for other.example"), "{speaks:?}: {text}");
        assert_eq!(rig.script.asked(), Vec::<String>::new(), "{speaks:?}: nobody is asked");
        rig.nothing_was_plain();
    }
}

#[test]
fn a_server_that_nobody_vouches_for_is_servfail_with_the_reason_and_nothing_in_plain_text() {
    for &speaks in Speaks::ALL {
        let rig = Rig::new(speaks);
        let other = Authority::new();
        let world = rig.world("dns.example", &other);
        let got = world.got("www.example.com", 1);
        assert_eq!((got.code, got.records.len()), (2, 0), "{speaks:?}: {got:?}");
        let (code, text) = got.ede.expect("a reason");
        assert_eq!(code, 22, "{speaks:?}");
        assert!(text.contains("signed by nobody that is trusted here"), "{speaks:?}: {text}");
        assert_eq!(rig.script.asked(), Vec::<String>::new(), "{speaks:?}: nobody is asked");
        rig.nothing_was_plain();
    }
}

#[test]
fn the_name_may_stand_behind_the_address() {
    for &speaks in Speaks::ALL {
        let rig = Rig::new(speaks);
        let line = |name: &str| {
            let (ip, port) = (rig.server.addr.ip(), rig.server.addr.port());
            let ca = rig.authority.file();
            let to = format!("{}://{ip}%{name}:{port}", speaks.scheme());
            World::in_time(&format!("    forward . {to} {{\n        tls {}\n    }}", ca.display()))
        };
        let reply = line("dns.example").ask("www.example.com. A +rd");
        assert!(reply.contains("192.0.2.1"), "{speaks:?}: {reply}");
        assert_eq!(line("other.example").got("www.example.com", 1).code, 2, "{speaks:?}");
        rig.nothing_was_plain();
    }
}
