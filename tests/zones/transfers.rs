//! Whole zones to others (rule S-19, K-240 to K-245).

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::Path;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;

use super::world::{
    EXAMPLE, PATIENCE, ask, example, exchange, line, output, program, query, receive, send, start, transfer,
    until, whole_query,
};

/// A server with the example and these lines.
fn server_with(lines: &str) -> (signpost::app::Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    let running = start(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n file {}/db\n {lines}\n}}\n",
        folder.path().display()
    ));
    (running, folder)
}

#[test]
fn a_zone_is_transferred_whole_and_in_order() {
    let (running, _folder) = server_with("transfer {\n to *\n }");
    let all = transfer(running.addresses()[0], "Example.ORG.", None);
    assert_eq!((all.code, all.messages), (ResponseCode::NoError, 1));
    assert_eq!(all.records.len(), 29);
    assert_eq!(all.set().len(), 28);
    let first: Vec<String> = all.records.iter().take(4).map(line).collect();
    assert_eq!(
        first,
        [
            "example.org. 3600 SOA ns.example.org. hostmaster.example.org. 7 7200 1800 1209600 300",
            "example.org. 3600 NS ns.example.org.",
            "example.org. 3600 NS ns.other.test.",
            "example.org. 3600 MX 10 mail.example.org.",
        ]
    );
    assert_eq!(all.records.first(), all.records.last());
    assert!(all.set().contains("ns.sub.example.org. 3600 A 192.0.2.99"), "glue too");
}

#[test]
fn a_large_zone_comes_in_many_messages_and_others_are_served_in_between() {
    let (running, folder) = server_with("transfer {\n to *\n }");
    let more: String =
        (0..20_000).map(|number| format!("h{number} A 10.0.{}.{}\n", number / 250, number % 250)).collect();
    let db = folder.path().join("big");
    fs::write(&db, example(1, &more)).unwrap();
    drop(running);
    let running = start(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n file {}\n transfer {{\n to *\n }}\n}}\n",
        db.display()
    ));
    let server = running.addresses()[0];
    let all = transfer(server, "example.org.", None);
    assert_eq!(all.records.len(), 20_029);
    assert!(all.messages > 20, "{}", all.messages);
    // Somebody who asks and does not read, and queries behind the transfer on one connection.
    let mut slow = send(server, &whole_query("example.org.", None));
    let mut behind = send(server, &whole_query("example.org.", None));
    let bytes = query("web.example.org.", RecordType::A).to_vec().unwrap();
    std::io::Write::write_all(&mut behind, &u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    std::io::Write::write_all(&mut behind, &bytes).unwrap();
    assert!(ask(server, "web.example.org.", RecordType::A).starts_with("NoError aa"));
    let (mut messages, mut records) = (0, 0);
    loop {
        let message = receive(&mut behind);
        if message.queries[0].query_type() == RecordType::A {
            break;
        }
        messages += 1;
        records += message.answers.len();
    }
    assert_eq!((messages, records), (all.messages, 20_029), "the query is answered once the zone is through");
    let mut first = [0; 2];
    slow.read_exact(&mut first).unwrap();
    assert!(ask(server, "web.example.org.", RecordType::A).starts_with("NoError aa"));
}

#[test]
fn transfers_are_refused_over_udp_to_strangers_and_for_other_names() {
    let (running, _folder) = server_with("transfer {\n to *\n }");
    let server = running.addresses()[0];
    for known in [None, Some(7), Some(1)] {
        let reply = exchange(server, &whole_query("example.org.", known)).unwrap();
        assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::Refused, 0));
    }
    for zone in ["www.example.org.", "nothing.example.org.", "sub.example.org.", "other.test."] {
        assert_eq!(transfer(server, zone, None).code, ResponseCode::Refused, "{zone}");
    }
    let (running, _folder) = server_with("transfer {\n to 192.0.2.1 [2001:db8::1]:5300\n }");
    assert_eq!(transfer(running.addresses()[0], "example.org.", None).code, ResponseCode::Refused);
    let (running, _folder) = server_with("transfer other.test {\n to *\n }");
    assert_eq!(transfer(running.addresses()[0], "example.org.", None).code, ResponseCode::Refused);
    let (running, _folder) = server_with("");
    assert_eq!(transfer(running.addresses()[0], "example.org.", None).code, ResponseCode::Refused);
    let (running, _folder) = server_with("transfer {\n to 192.0.2.1 127.0.0.1:5300\n }");
    assert_eq!(transfer(running.addresses()[0], "example.org.", None).code, ResponseCode::NoError);
}

/// CVE-2026-33489: `longestMatch` of CoreDNS compared zones as text, so that who may have a parent zone got its child.
#[test]
fn cve_2026_33489_the_directive_of_the_most_labels_decides() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), "@ 9 SOA a b 1 2 3 4 5\n").unwrap();
    // As text the parent is longer, or sorts behind the child.
    for (parent, child) in [("example.org", "a.example.org"), ("zzz.test", "a.zzz.test"), (".", "x.test")] {
        for swapped in [false, true] {
            let open = format!("transfer {parent} {{\n to *\n }}\n");
            let closed = format!("transfer {child} {{\n to 192.0.2.1\n }}\n");
            let lines = if swapped { closed + &open } else { open + &closed };
            let running = start(&format!(
                ".:0 {{\n bind 127.0.0.1\n file {}/db {parent} {child}\n {lines}\n}}\n",
                folder.path().display()
            ));
            let server = running.addresses()[0];
            assert_eq!(transfer(server, &format!("{child}."), None).code, ResponseCode::Refused, "{child}");
            let parent = if parent == "." { parent.to_owned() } else { format!("{parent}.") };
            assert_eq!(transfer(server, &parent, None).code, ResponseCode::NoError, "{parent}");
        }
    }
}

#[test]
fn an_ixfr_is_the_soa_for_who_has_the_zone_and_all_of_it_for_others() {
    let (running, _folder) = server_with("transfer {\n to *\n }");
    let server = running.addresses()[0];
    for (known, count) in [(7, 1), (6, 29), (8, 29), (0, 29)] {
        assert_eq!(transfer(server, "example.org.", Some(known)).records.len(), count, "{known}");
    }
    let mut without = send(server, &query("example.org.", RecordType::IXFR));
    assert_eq!(receive(&mut without).metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn acl_comes_before_transfers() {
    let (running, _folder) =
        server_with("acl {\n block type AXFR net 127.0.0.0/8\n }\n transfer {\n to *\n }");
    let server = running.addresses()[0];
    assert_eq!(transfer(server, "example.org.", None).code, ResponseCode::Refused);
    assert_eq!(transfer(server, "example.org.", Some(1)).records.len(), 29, "IXFR is another type");
}

#[test]
fn those_who_are_named_are_told_at_start_and_when_a_zone_changes() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    fs::write(&db, EXAMPLE).unwrap();
    let _running = start(&format!(
        "example.org:0 {{\n bind 127.0.0.1\n file {} {{\n reload 10ms\n }}\n transfer {{\n to * {}\n source 127.0.0.1\n }}\n}}\n",
        db.display(),
        socket.local_addr().unwrap()
    ));
    let told = || {
        let mut bytes = [0; 512];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        let message = Message::from_vec(&bytes[..length]).unwrap();
        assert_eq!(message.metadata.op_code, OpCode::Notify);
        assert_eq!(message.queries[0].to_string(), "example.org. IN SOA");
        let mut reply = Message::response(message.metadata.id, OpCode::Notify);
        reply.add_query(message.queries[0].clone());
        socket.send_to(&reply.to_vec().unwrap(), from).unwrap();
    };
    told();
    fs::write(&db, example(8, "")).unwrap();
    told();
}

/// The lines of a whole zone as dig or kdig prints them, words with one blank between.
fn lines(text: &str) -> BTreeSet<String> {
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty());
    records.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn dig_and_kdig_read_a_transfer() {
    let (running, _folder) = server_with("transfer {\n to *\n }");
    let server = running.addresses()[0];
    let port = server.port().to_string();
    for name in ["dig", "kdig"] {
        let Some(program) = program(name) else { continue };
        let text = output(&program, &["@127.0.0.1", "-p", &port, "example.org", "AXFR"]);
        let lines = lines(&text);
        assert_eq!(lines.len(), 28, "{text}");
        assert!(lines.contains("web.example.org. 3600 IN A 192.0.2.81"), "{text}");
        let text = output(&program, &["@127.0.0.1", "-p", &port, "example.org", "IXFR=7"]);
        assert!(text.contains("hostmaster.example.org. 7 "), "{text}");
        let text = output(&program, &["@127.0.0.1", "-p", &port, "sub.example.org", "AXFR"]);
        assert!(self::lines(&text).is_empty(), "{text}");
    }
}

/// A server of the shop's cluster with these lines in its stanza.
fn cluster(options: &str, lines: &str) -> signpost::app::Running {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster");
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa {{\n manifests {}\n {options}\n }}\n {lines}\n}}\n",
        folder.display()
    ));
    assert!(running.wait_synced(PATIENCE));
    running
}

#[test]
fn the_cluster_zone_is_transferred_as_the_rules_say() {
    let running = cluster("ttl 30", "transfer cluster.local {\n to *\n }");
    let server = running.addresses()[0];
    let all = transfer(server, "cluster.local.", None);
    let text: Vec<String> = all.records.iter().map(line).collect();
    assert_eq!(all.records.first(), all.records.last());
    assert!(
        text[0].starts_with("cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. "),
        "{}",
        text[0]
    );
    assert!(text[1].starts_with("cluster.local. 30 NS "), "{}", text[1]);
    let glue = text.iter().position(|line| line.contains(" 0 A ")).unwrap();
    assert!(glue < 4, "K-241: glue of NS has TTL 0: {:?}", &text[..4]);
    // K-240: by the names of Services alone, namespaces interleave.
    let mut services: Vec<&str> = text
        .iter()
        .skip(glue + 1)
        .filter_map(|line| line.split(".svc.cluster.local.").next())
        .filter_map(|front| front.rsplit('.').nth(1))
        .collect();
    services.pop();
    assert!(services.is_sorted(), "{services:?}");
    // What is sent is what is answered, weights of headless SRV aside.
    for record in all.records.iter().filter(|record| record.record_type() != RecordType::SOA) {
        let (name, rtype) = (record.name.to_string(), record.record_type());
        let mut stream = send(server, &query(&name, rtype));
        let reply = receive(&mut stream);
        let same = reply.answers.iter().any(|answer| match rtype {
            RecordType::SRV => {
                let tail =
                    |record| line(record).rsplitn(3, ' ').take(2).map(str::to_owned).collect::<Vec<_>>();
                tail(answer) == tail(record)
            }
            _ => answer.data == record.data,
        });
        assert!(same, "{}: {:?}", line(record), reply.answers);
    }
    for absent in ["dns-version", ".pod.cluster.local", "in-addr.arpa"] {
        let owners = all.records.iter().map(|record| record.name.to_string());
        let found = owners.into_iter().find(|owner| owner.contains(absent));
        assert_eq!(found, None, "{absent}");
    }
    assert_eq!(transfer(server, "cluster.local.", Some(0)).records.len(), text.len());
    let serial: u32 = text[0].split_whitespace().nth(5).unwrap().parse().unwrap();
    assert_eq!(transfer(server, "cluster.local.", Some(serial)).records.len(), 1, "K-242");
    assert_eq!(transfer(server, "cluster.local.", Some(serial - 1)).records.len(), text.len());
    for zone in ["svc.cluster.local.", "web.shop.svc.cluster.local.", "in-addr.arpa."] {
        assert_eq!(transfer(server, zone, None).code, ResponseCode::Refused, "K-243: {zone}");
    }
    // K-245.
    let filtered = cluster("namespaces shop", "transfer cluster.local {\n to *\n }");
    let all = transfer(filtered.addresses()[0], "cluster.local.", None);
    assert!(all.records.len() > 5);
    let outside = all.set().iter().any(|line| line.contains(".svc.") && !line.contains(".shop.svc."));
    assert!(!outside, "{:?}", all.set());
}

#[test]
fn a_cluster_that_is_not_known_yet_is_not_transferred() {
    let running = start(
        ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local {\n endpoint http://127.0.0.1:1\n startup_timeout 0s\n }\n transfer {\n to *\n }\n}\n",
    );
    let server = running.addresses()[0];
    until("an answer", || transfer(server, "cluster.local.", None).code == ResponseCode::ServFail);
}
