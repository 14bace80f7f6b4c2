//! Zones that come from primaries, and others that have them from us.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType::{self, A, AAAA, DS, MX, NS, SOA, SRV, TXT};

use super::others::{Other, Role};
use super::world::{EXAMPLE, ask, example, exchange, free_port, query, show, start, transfer, until};

/// Names and types that are asked of primary and secondary.
const QUESTIONS: &[(&str, RecordType)] = &[
    ("example.org.", SOA),
    ("example.org.", NS),
    ("example.org.", MX),
    ("web.example.org.", A),
    ("web.example.org.", AAAA),
    ("www.example.org.", A),
    ("nothing.example.org.", A),
    ("a.b.c.example.org.", TXT),
    ("b.c.example.org.", TXT),
    ("any.wild.example.org.", A),
    ("x.deep.wild.example.org.", A),
    ("x.sub.example.org.", A),
    ("sub.example.org.", DS),
    ("x.moved.example.org.", A),
    ("_sip._tcp.example.org.", SRV),
];

/// A secondary of ours on a port; `more` are further lines of its block.
fn secondary(port: u16, primaries: &[SocketAddr], more: &str) -> signpost::app::Running {
    let list: Vec<String> = primaries.iter().map(ToString::to_string).collect();
    start(&format!(
        "example.org:{port} {{\n bind 127.0.0.1\n secondary {{\n transfer from {}\n }}\n {more}\n}}\n",
        list.join(" ")
    ))
}

/// The code and answer of a reply: what every server must say alike.
fn core(server: SocketAddr, name: &str, rtype: RecordType) -> String {
    let reply = exchange(server, &query(name, rtype)).unwrap();
    let referral =
        reply.answers.is_empty() && reply.authorities.iter().any(|record| record.record_type() == NS);
    let mut core = Message::response(0, OpCode::Query);
    core.metadata.response_code = reply.metadata.response_code;
    core.metadata.authoritative = reply.metadata.authoritative;
    core.answers.clone_from(&reply.answers);
    if referral {
        core.authorities.clone_from(&reply.authorities);
    }
    show(&core)
}

/// Compares all answers of two servers.
fn same_answers(what: &str, one: SocketAddr, other: SocketAddr) {
    for (name, rtype) in QUESTIONS {
        assert_eq!(core(one, name, *rtype), core(other, name, *rtype), "{what}: {name} {rtype}");
    }
}

#[test]
fn a_zone_comes_from_knotd_and_nsd_and_follows_their_word() {
    for make in [Other::knot, Other::nsd] {
        let port = free_port();
        let own = SocketAddr::from(([127, 0, 0, 1], port));
        let Some(primary) = make(&Role::Primary(EXAMPLE, Some(own))) else { continue };
        // The first primary is not there: the next one is asked.
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let _running = secondary(port, &[nobody, primary.addr], "transfer {\n to *\n }");
        until("the zone", || ask(own, "web.example.org.", A).starts_with("NoError aa"));
        same_answers(primary.name, own, primary.addr);
        assert_eq!(
            transfer(own, "example.org.", None).set(),
            transfer(primary.addr, "example.org.", None).set()
        );
        primary.change(&example(8, "new A 192.0.2.77\n"));
        // Its refresh is two hours: what brings the new zone is the word of the primary.
        until("the new zone", || ask(own, "new.example.org.", A).starts_with("NoError aa"));
    }
}

#[test]
fn knotd_and_nsd_transfer_a_zone_of_ours_and_give_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    for make in [Other::knot, Other::nsd] {
        let db = folder.path().join("db");
        let more: String =
            (0..3000).map(|number| format!("h{number} A 10.1.{}.{}\n", number / 250, number % 250)).collect();
        fs::write(&db, example(7, &more)).unwrap();
        let port = free_port();
        let own = SocketAddr::from(([127, 0, 0, 1], port));
        let text = |told: &str| {
            format!(
                "example.org:{port} {{\n bind 127.0.0.1\n file {} {{\n reload 20ms\n }}\n transfer {{\n to 127.0.0.1{told}\n }}\n}}\n",
                db.display()
            )
        };
        let running = start(&text(""));
        let Some(other) = make(&Role::Secondary(own)) else { continue };
        same_answers(other.name, other.addr, own);
        assert_eq!(
            ask(other.addr, "h2999.example.org.", A).split(" | ").nth(1),
            Some("h2999.example.org. 3600 A 10.1.11.249")
        );
        drop(running);
        let _running = start(&text(&format!(":{}", other.addr.port())));
        fs::write(&db, example(8, "new A 192.0.2.77\n")).unwrap();
        until(&format!("word to {}\n{}", other.name, other.log()), || {
            ask(other.addr, "new.example.org.", A).starts_with("NoError aa")
        });
        same_answers(other.name, other.addr, own);
    }
}

#[test]
fn a_zone_of_ours_comes_over_two_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    fs::write(&db, EXAMPLE).unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let [first, second, third] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    // The second is there before the first: it says SERVFAIL until it has the zone.
    let _second = secondary(ports[1], &[first], &format!("transfer {{\n to {third}\n }}"));
    assert_eq!(ask(second, "web.example.org.", A), "ServFail");
    assert_eq!(transfer(second, "example.org.", None).code.to_string(), "Server Failure");
    let _third = secondary(ports[2], &[second], "");
    let _first = start(&format!(
        "example.org:{} {{\n bind 127.0.0.1\n file {} {{\n reload 20ms\n }}\n transfer {{\n to {second}\n }}\n}}\n",
        ports[0],
        db.display()
    ));
    for server in [second, third] {
        until("the zone", || ask(server, "web.example.org.", A).starts_with("NoError aa"));
        same_answers("ours", server, first);
    }
    fs::write(&db, example(8, "new A 192.0.2.77\n")).unwrap();
    for server in [second, third] {
        until("the new zone", || ask(server, "new.example.org.", A).starts_with("NoError aa"));
    }
}

/// A NOTIFY for a zone.
fn notify(zone: &str) -> Message {
    let mut message = Message::new(99, MessageType::Query, OpCode::Notify);
    message.add_query(Query::query(Name::from_ascii(zone).unwrap(), SOA));
    message
}

#[test]
fn the_word_of_a_primary_is_taken_up_and_that_of_others_is_not_implemented() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let running = secondary(0, &[nobody], "");
    let server = running.addresses()[0];
    let reply = exchange(server, &notify("example.org.")).unwrap();
    assert_eq!((show(&reply), reply.metadata.op_code), ("NoError aa".to_owned(), OpCode::Notify));
    assert_eq!(reply.queries, notify("example.org.").queries);
    let code = |server, zone| exchange(server, &notify(zone)).unwrap().metadata.response_code.to_string();
    assert_eq!(code(server, "www.example.org."), "Not Implemented");
    assert_eq!(code(server, "other.test."), "Not Implemented");
    let running = secondary(0, &[SocketAddr::from(([192, 0, 2, 1], 53))], "");
    assert_eq!(code(running.addresses()[0], "example.org."), "Not Implemented");
    let running = start("example.org:0 {\n bind 127.0.0.1\n whoami\n}\n");
    assert_eq!(code(running.addresses()[0], "example.org."), "Not Implemented");
}

/// A primary that answers every connection with these bytes and closes it.
fn broken_primary(reply: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut query).is_ok() {
                let _ = stream.write_all(&reply(&query));
            }
        }
    });
    addr
}

#[test]
fn what_a_broken_primary_sends_disturbs_nothing_and_the_next_one_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    let good = start(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n file {}/db\n transfer {{\n to *\n }}\n}}\n",
        folder.path().display()
    ));
    // A reply with this header behind the id, and these bytes behind the question.
    let framed = |query: &[u8], head: [u8; 10], rest: &[u8]| {
        let mut message = query.get(..2).unwrap().to_vec();
        message.extend(head);
        message.extend(query.get(12..).unwrap());
        message.extend(rest);
        let mut whole = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        whole.extend(message);
        whole
    };
    let soa = [&b"\xc0\x0c\0\x06\0\x01\0\0\0\x09\0\x16\0\0"[..], &[0; 20]].concat();
    let (one, two, other) =
        (soa.clone(), soa.clone(), b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04\x01\x02\x03\x04".to_vec());
    let changed =
        [soa.clone(), [&b"\xc0\x0c\0\x06\0\x01\0\0\0\x09\0\x16\0\0"[..], &[1; 20]].concat()].concat();
    let broken = [
        broken_primary(|_| Vec::new()),
        broken_primary(|_| b"\0\x05nonse".to_vec()),
        broken_primary(|_| [&[0xff, 0xff][..], &[0; 65_535]].concat()),
        // REFUSED.
        broken_primary(move |query| framed(query, [0x84, 5, 0, 1, 0, 0, 0, 0, 0, 0], &[])),
        // No SOA at the front; one that is cut off; one that claims more records than there are.
        broken_primary(move |query| framed(query, [0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0], &other)),
        broken_primary(move |query| framed(query, [0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0], one.get(..20).unwrap())),
        broken_primary(move |query| framed(query, [0x84, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0], &two)),
        // An end that is not there, and one that is another zone's.
        broken_primary(move |query| framed(query, [0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0], &soa)),
        broken_primary(move |query| framed(query, [0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0], &changed)),
    ];
    for primary in broken {
        let running = secondary(0, &[primary, good.addresses()[0]], "");
        let server = running.addresses()[0];
        until("the zone", || ask(server, "web.example.org.", A).starts_with("NoError aa"));
    }
}

#[test]
fn a_zone_that_no_primary_confirms_expires_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    fs::write(&db, "$TTL 9\n@ SOA a b 1 1 1 2 3\nx A 192.0.2.1\n").unwrap();
    let port = free_port();
    let text = format!(
        "example.org:{port} {{\n bind 127.0.0.1\n file {}\n transfer {{\n to *\n }}\n}}\n",
        db.display()
    );
    let primary = start(&text);
    let running = secondary(0, &[SocketAddr::from(([127, 0, 0, 1], port))], "");
    let server = running.addresses()[0];
    let live = || ask(server, "x.example.org.", A).starts_with("NoError aa");
    until("the zone", live);
    drop(primary);
    until("the end of its time", || ask(server, "x.example.org.", A) == "ServFail");
    let _primary = start(&text);
    until("its return", live);
}
