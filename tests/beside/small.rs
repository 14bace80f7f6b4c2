//! Words that say one thing: `chaos`, `nsid`, `header`, `local`, `erratic`, `cancel`, `timeouts`, `root`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};

use super::world::{Upstream, ask, exchange, metrics, query, show, start, with_edns};

/// Asks in a class.
fn ask_class(server: SocketAddr, name: &str, rtype: RecordType, class: DNSClass) -> Message {
    let mut message = query(name, rtype);
    message.queries[0].set_query_class(class);
    exchange(server, &message).unwrap().0
}

#[test]
fn chaos_names_are_answered_in_their_class_and_everything_else_in_it_is_refused() {
    let upstream = Upstream::start("a.test. 300 A 192.0.2.1");
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n chaos signpost-x me you me\n forward . {}\n}}\nplain.test:0 {{\n bind 127.0.0.2\n whoami\n}}\n",
        upstream.addr()
    ));
    let server = running.addresses()[0];
    let txt = |name: &str| ask_class(server, name, RecordType::TXT, DNSClass::CH);
    for name in ["version.bind.", "Version.Server."] {
        let reply = txt(name);
        assert_eq!(show(&reply), format!("NoError | {name} 0 TXT signpost-x"));
        assert_eq!(reply.answers[0].dns_class, DNSClass::CH);
    }
    let authors = txt("authors.bind.");
    let mut names: Vec<String> = authors.answers.iter().map(|record| record.data.to_string()).collect();
    names.sort();
    assert_eq!(names, ["me", "you"]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for name in ["hostname.bind.", "id.server."] {
        assert_eq!(show(&txt(name)), format!("NoError | {name} 0 TXT {}", host.trim()));
    }
    let said = |name: &str, rtype, class| show(&ask_class(server, name, rtype, class));
    assert_eq!(said("a.test.", RecordType::TXT, DNSClass::CH), "Refused");
    assert_eq!(said("version.bind.", RecordType::A, DNSClass::CH), "Refused");
    assert_eq!(said("version.bind.", RecordType::TXT, DNSClass::HS), "Refused");
    assert_eq!(said("x.version.bind.", RecordType::TXT, DNSClass::CH), "Refused");
    assert!(!upstream.was_asked("bind"), "nobody is asked for these");
    // The same names of the Internet's class are names like others.
    assert_eq!(said("a.test.", RecordType::A, DNSClass::IN), "NoError | a.test. 300 A 192.0.2.1");
    let without = running.addresses()[1];
    assert_eq!(show(&ask_class(without, "version.bind.", RecordType::TXT, DNSClass::CH)), "Refused");
}

/// The name that a reply carries.
fn name_in(reply: &Message) -> Option<String> {
    let option = reply.edns.as_ref()?.option(EdnsCode::NSID)?;
    match option {
        EdnsOption::NSID(data) => Some(String::from_utf8_lossy(data.as_ref()).into_owned()),
        EdnsOption::Unknown(_, data) => Some(String::from_utf8_lossy(data).into_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_name_of_the_server_is_in_every_reply_to_whom_asks_for_it() {
    let running = start(
        ".:0 {\n bind 127.0.0.1\n nsid Use The Force\n acl blocked.test {\n block\n }\n whoami\n}\n\
         .:0 {\n bind 127.0.0.2\n nsid\n whoami\n}\n.:0 {\n bind 127.0.0.3\n whoami\n}\n",
    );
    let asked = |server: usize, name: &str, nsid: bool| {
        let mut message = with_edns(query(name, RecordType::A), 1232);
        if nsid {
            message.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(3, Vec::new()));
        }
        exchange(running.addresses()[server], &message).unwrap().0
    };
    let reply = asked(0, "a.test.", true);
    assert_eq!(name_in(&reply).as_deref(), Some("Use The Force"));
    assert_eq!(reply.additionals.len(), 2, "the answer is whole");
    assert_eq!(name_in(&asked(0, "blocked.test.", true)).as_deref(), Some("Use The Force"));
    assert_eq!(name_in(&asked(0, "a.test.", false)), None);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(name_in(&asked(1, "a.test.", true)).as_deref(), Some(host.trim()));
    assert_eq!(name_in(&asked(2, "a.test.", true)), None, "without the word nothing comes back");
}

/// The flags of a reply to a query with or without RD: RD, RA, AA.
fn flags(lines: &str, recursion: bool) -> (bool, bool, bool) {
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n whoami\n {lines}\n}}\n"));
    let mut message = query("a.test.", RecordType::A);
    message.metadata.recursion_desired = recursion;
    let reply = exchange(running.addresses()[0], &message).unwrap().0.metadata;
    (reply.recursion_desired, reply.recursion_available, reply.authoritative)
}

#[test]
fn flags_are_as_header_wants_them() {
    assert_eq!(flags("", true), (true, false, true));
    assert_eq!(flags("header {\n response set ra\n }", true), (true, true, true));
    assert_eq!(flags("header {\n response set ra\n }", false), (false, true, true));
    assert_eq!(flags("header {\n response clear aa rd\n }", true), (false, false, false));
    assert_eq!(flags("header {\n response clear ra\n response set RA\n }", true), (true, true, true));
    assert_eq!(flags("header {\n response set ra\n response clear ra aa\n }", true), (true, false, false));
    assert_eq!(flags("header {\n query set rd\n }", false), (true, false, true));
    assert_eq!(flags("header {\n query clear rd\n }", true), (false, false, true));
}

#[test]
fn what_is_local_is_answered_here() {
    let upstream = Upstream::start("localhost.test. 300 A 192.0.2.1");
    let corefile = |more: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n local {more}\n forward . {}\n}}\n",
            upstream.addr()
        )
    };
    let running = start(&corefile(""));
    let server = running.addresses()[0];
    let soa =
        |owner: &str| format!(" | authority {owner} 604800 SOA localhost. root.localhost. 1 0 0 0 604800");
    for (name, rtype, said) in [
        ("localhost.", RecordType::A, "NoError | localhost. 604800 A 127.0.0.1".to_owned()),
        ("LocalHost.", RecordType::AAAA, "NoError | LocalHost. 604800 AAAA ::1".to_owned()),
        ("localhost.", RecordType::MX, "NoError".to_owned() + &soa("localhost.")),
        ("localhost.", RecordType::NS, "NoError | localhost. 604800 NS localhost.".to_owned()),
        ("db.localhost.", RecordType::A, "NoError | db.localhost. 604800 A 127.0.0.1".to_owned()),
        ("db.localhost.", RecordType::TXT, "NoError".to_owned() + &soa("db.localhost.")),
        ("localhost.test.", RecordType::A, "NoError | localhost.test. 604800 A 127.0.0.1".to_owned()),
        (
            "1.0.0.127.in-addr.arpa.",
            RecordType::PTR,
            "NoError | 1.0.0.127.in-addr.arpa. 604800 PTR localhost.".to_owned(),
        ),
        ("1.0.0.127.in-addr.arpa.", RecordType::A, "NoError".to_owned() + &soa("127.in-addr.arpa.")),
        ("2.0.0.127.in-addr.arpa.", RecordType::PTR, "NXDomain".to_owned() + &soa("127.in-addr.arpa.")),
        ("0.in-addr.arpa.", RecordType::A, "NoError".to_owned() + &soa("0.in-addr.arpa.")),
        ("255.255.255.255.in-addr.arpa.", RecordType::PTR, "NXDomain".to_owned() + &soa("255.in-addr.arpa.")),
    ] {
        assert_eq!(ask(server, name, rtype), said, "{name} {rtype}");
    }
    assert!(!upstream.was_asked("localhost"));
    assert_eq!(metrics(&running, "coredns_local"), ["coredns_local_localhost_requests_total 3"]);
    drop(running);
    let running = start(&corefile("{\n localhost_prefix off\n }"));
    let server = running.addresses()[0];
    assert_eq!(ask(server, "localhost.test.", RecordType::A), "NoError | localhost.test. 300 A 192.0.2.1");
    assert_eq!(ask(server, "db.localhost.", RecordType::A), "NoError | db.localhost. 604800 A 127.0.0.1");
}

#[test]
fn erratic_drops_cuts_and_delays_one_of_so_many() {
    let running = start(".:0 {\n bind 127.0.0.1\n erratic {\n truncate 2\n delay 3 1ms\n }\n}\n");
    let server = running.addresses()[0];
    let said: Vec<String> = (0..6).map(|_| ask(server, "a.test.", RecordType::A)).collect();
    let plain = "NoError aa | a.test. 0 A 192.0.2.53";
    let cut = "NoError aa tc | a.test. 0 A 192.0.2.53";
    assert_eq!(said, [cut, plain, cut, plain, cut, plain]);
    assert_eq!(ask(server, "a.test.", RecordType::MX), "ServFail");
    assert_eq!(ask(server, "a.test.", RecordType::AAAA), "NoError aa | a.test. 0 AAAA 2001:db8::53");
    drop(running);
    let running = start(".:0 {\n bind 127.0.0.1\n erratic {\n large\n }\n}\n");
    let server = running.addresses()[0];
    // The first of two is dropped, the second one is large.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&query("b.test.", RecordType::A).to_vec().unwrap(), server).unwrap();
    let reply = loop {
        // Which of the two comes first is the network's choice.
        let message = with_edns(query("a.test.", RecordType::A), 1232);
        if let Some((reply, _)) = exchange(server, &message) {
            break reply;
        }
    };
    assert_eq!(reply.answers.len(), 30);
}

#[test]
fn a_query_that_cancel_ends_is_answered_before_the_others() {
    // Somebody who never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let upstream = silent.local_addr().unwrap();
    let running = start(&format!(
        "quick.test:0 {{\n bind 127.0.0.1\n cancel 150ms\n forward . {upstream}\n}}\n\
         slow.test:0 {{\n bind 127.0.0.2\n forward . {upstream}\n}}\n"
    ));
    let slow = UdpSocket::bind("127.0.0.1:0").unwrap();
    slow.send_to(&query("a.slow.test.", RecordType::A).to_vec().unwrap(), running.addresses()[1]).unwrap();
    assert_eq!(ask(running.addresses()[0], "a.quick.test.", RecordType::A), "ServFail");
    slow.set_nonblocking(true).unwrap();
    let nothing = slow.recv(&mut [0; 512]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "the other one still waits");
}

#[test]
fn a_connection_ends_after_as_many_queries_as_it_may_ask() {
    let running = start(".:0 {\n bind 127.0.0.1\n timeouts {\n maxtcpqueries 2\n }\n whoami\n}\n");
    let mut stream = TcpStream::connect(running.addresses()[0]).unwrap();
    let message = query("a.test.", RecordType::A).to_vec().unwrap();
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    let mut replies = 0;
    while stream.write_all(&framed).is_ok() {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            break;
        }
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).unwrap();
        replies += 1;
    }
    assert_eq!(replies, 2);
}

#[test]
fn files_are_found_below_the_root() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("names"), "10.0.0.1 a.test\n").unwrap();
    let running =
        start(&format!(".:0 {{\n bind 127.0.0.1\n hosts names\n root {}\n}}\n", folder.path().display()));
    assert_eq!(ask(running.addresses()[0], "a.test.", RecordType::A), "NoError aa | a.test. 3600 A 10.0.0.1");
    let running =
        start(".:0 {\n bind 127.0.0.1\n root /no/such/folder\n multisocket 5\n cancel\n whoami\n}\n");
    let warnings = running.warnings();
    for part in ["there is no such folder yet", "`multisocket` changes nothing", "`cancel` changes nothing"] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
    }
}
