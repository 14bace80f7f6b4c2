//! Section A: the message around the records (K-001 to K-018).

use std::fmt::Write as _;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use signpost::app::ServeOptions;
use signpost::time::{Clock, Wall};

use super::harness::{Ask, Client, PATIENCE, SILENCE, Via, block, corefile, fixtures, start, start_unsynced};
use super::table::Table;
use super::{check, check_rows};

/// The usual zones.
const ZONES: &str = "cluster.local in-addr.arpa ip6.arpa";

#[test]
fn flags_are_copied_or_set_by_rule() {
    check(&Table::of(&[
        ("K-004", "web.shop.svc.Z A", "NOERROR aa; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z A +rd", "NOERROR aa rd; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z A +cd", "NOERROR aa cd; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z A +rd +cd", "NOERROR aa rd cd; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z A +ad", "NOERROR aa; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z A +aa +tc +ra +z", "NOERROR aa; @ A 10.96.1.1"),
        ("K-004", "web.shop.svc.Z AAAA +rd", "NODATA rd"),
        ("K-004", "nothing.shop.svc.Z A +rd +cd", "NX rd cd"),
        ("K-061", "Z AXFR +rd", "REFUSED rd"),
    ]));
}

#[test]
fn the_opt_is_ours_and_no_option_comes_back() {
    check(&Table::of(&[
        ("K-009", "web.shop.svc.Z A +edns", "@ A 10.96.1.1; edns 1232"),
        ("K-009", "web.shop.svc.Z A +do", "@ A 10.96.1.1; edns 1232 do"),
        ("K-009", "nothing.shop.svc.Z A +do", "NX; edns 1232 do"),
        ("K-009", "web.shop.svc.Z AAAA +edns", "NODATA; edns 1232"),
        ("K-011", "web.shop.svc.Z A +bufsize=4096", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +bufsize=512", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +bufsize=0", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=3:", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=8:0001180001020300", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=9:", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=10:0102030405060708", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=11:", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=12:00000000", "@ A 10.96.1.1; edns 1232"),
        ("K-011", "web.shop.svc.Z A +opt=65001:abcd +opt=10:0102030405060708", "@ A 10.96.1.1; edns 1232"),
        ("K-010", "web.shop.svc.Z A +version=1", "BADVERS; edns 1232"),
        ("K-010", "web.shop.svc.Z A +version=255 +rd", "BADVERS rd; edns 1232"),
        ("K-010", "nothing.shop.svc.Z A +version=1 +opt=10:0102030405060708", "BADVERS; edns 1232"),
        ("K-010", "www.example.com. A +version=1", "BADVERS; edns 1232"),
        ("K-061", "Z AXFR +edns", "REFUSED; edns 1232"),
    ]));
}

#[test]
fn other_classes_and_opcodes_are_turned_away() {
    let table = Table::of(&[
        ("K-013", "web.shop.svc.Z A CH", "REFUSED"),
        ("K-013", "web.shop.svc.Z A ANY", "REFUSED"),
        ("K-013", "nothing.shop.svc.Z A CH +rd", "REFUSED rd"),
        ("K-013", "version.bind. TXT CH", "REFUSED"),
        ("K-013", "web.shop.svc.Z A CH +edns", "REFUSED; edns 1232"),
        ("K-014", "Z SOA +opcode=4", "NOTIMP headeronly opcode=4"),
        ("K-014", "Z SOA +opcode=5", "NOTIMP headeronly opcode=5"),
        ("K-014", "Z SOA +opcode=1", "NOTIMP headeronly opcode=1"),
        ("K-014", "Z SOA +opcode=2", "NOTIMP headeronly opcode=2"),
        ("K-014", "web.shop.svc.Z A +opcode=15", "NOTIMP headeronly opcode=15"),
    ]);
    check(&table);
    let whoami = start(&block(".", ZONES, &fixtures("cluster"), &[], &["whoami"]));
    check_rows(&whoami, 5, table.rows);
}

#[test]
fn malformed_messages_are_formerr_and_responses_meet_silence() {
    let running = start(&corefile(ZONES, &[]));
    let good = Ask::parse("web.shop.svc.Z A").bytes(1);
    let with_edns = Ask::parse("web.shop.svc.Z A +edns").bytes(1);
    let opt = with_edns[good.len()..].to_vec();
    let counts = |questions: u8, answers: u8, authorities: u8, additionals: u8, tail: &[u8]| {
        let mut bytes = good.clone();
        (bytes[5], bytes[7], bytes[9], bytes[11]) = (questions, answers, authorities, additionals);
        bytes.extend_from_slice(tail);
        bytes
    };
    let record = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    let overrun = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 10, 0, 8];
    let question = &good[12..];
    let malformed = [
        ("no question", counts(0, 0, 0, 0, &[])),
        ("two questions", counts(2, 0, 0, 0, question)),
        ("an answer", counts(1, 1, 0, 0, &record)),
        ("two authorities", counts(1, 0, 2, 0, &[record, record].concat())),
        ("three additionals", counts(1, 0, 0, 3, &[record, record, record].concat())),
        ("two OPTs", counts(1, 0, 0, 2, &[opt.clone(), opt].concat())),
        ("an option that overruns its OPT", counts(1, 0, 0, 1, &overrun)),
        ("a count that promises more", counts(1, 0, 0, 1, &[])),
    ];
    for mut client in Client::all(&running.addresses()) {
        for (what, message) in &malformed {
            let reply = client.exchange(message).unwrap_or_else(|| panic!("K-014: {what}: no reply"));
            assert_eq!((reply[..2].to_vec(), reply[3] & 15), (vec![0, 1], 1), "K-014: {what}: FORMERR");
            assert!(reply.len() <= message.len(), "K-014: {what}: longer than the query");
        }
        let mut response = good.clone();
        response[2] |= 0x80;
        client.send(&response);
        assert_eq!(client.receive(SILENCE), None, "K-014: QR=1");
    }
}

#[test]
fn the_longest_zone_answers_and_the_rest_is_nobodys() {
    let zones = "cluster.local sub.cluster.local";
    check(
        &Table::of(&[
            ("K-001", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-001", "web.shop.svc.sub.Z A", "@ A 10.96.1.1"),
            ("K-001", "sub.Z SOA", "soa sub.cluster.local."),
            ("K-001", "nothing.shop.svc.sub.Z A", "NX sub.cluster.local."),
            ("K-001", "web.shop.svc.SUB.Cluster.local. AAAA", "NODATA SUB.Cluster.local."),
            ("K-001", "xcluster.local. SOA", "SERVFAIL"),
            ("K-001", "local. SOA", "SERVFAIL"),
            ("K-001", ". NS", "SERVFAIL"),
            ("K-001", "www.example.com. A", "SERVFAIL"),
            ("K-001", "www.example.com. A +edns", "SERVFAIL; edns 1232"),
            ("K-180", "arpa:10.96.1.1 PTR", "SERVFAIL"),
            ("K-018", r"web.shop.svc\.cluster.local. A", "SERVFAIL"),
        ])
        .zones(zones),
    );
    let one_zone = start(&block("cluster.local", "cluster.local", &fixtures("cluster"), &[], &[]));
    check_rows(
        &one_zone,
        5,
        &[
            ("K-001", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-001", "WEB.shop.svc.CLUSTER.LOCAL. A", "@ A 10.96.1.1"),
            ("K-001", "www.example.com. A", "REFUSED"),
            ("K-001", "local. SOA", "REFUSED"),
            ("K-001", "xcluster.local. SOA", "REFUSED"),
            ("K-144", "outside.shop.svc.Z A", "@ CNAME www.example.com."),
        ],
    );
}

#[test]
fn ds_belongs_to_the_parents_block() {
    let text = block("cluster.local", "cluster.local", &fixtures("cluster"), &[], &[])
        + "local {\n    bind 127.0.0.1 ::1\n    whoami\n}\n";
    let running = start(&text);
    for mut client in Client::all(&running.addresses()) {
        let parent = client.ask(&Ask::parse("Z DS"));
        assert!(parent.starts_with("NOERROR aa\nadditional"), "K-001: whoami answers DS: {parent}");
        let zone = client.ask(&Ask::parse("Z A"));
        assert!(zone.contains("authority"), "K-001: the zone's own block answers A: {zone}");
    }
}

#[test]
fn ds_at_the_name_of_a_block_does_not_go_to_a_block_of_the_root() {
    let text = block("cluster.local", "cluster.local", &fixtures("cluster"), &[], &[])
        + ". {\n    bind 127.0.0.1 ::1\n    whoami\n}\n";
    let running = start(&text);
    for mut client in Client::all(&running.addresses()) {
        let own = client.ask(&Ask::parse("Z DS"));
        assert!(own.starts_with("NOERROR aa\nauthority"), "K-001: not what the root says: {own}");
        let root = client.ask(&Ask::parse("other. DS"));
        assert!(root.starts_with("NOERROR aa\nadditional"), "K-001: whoami answers other names: {root}");
    }
}

#[test]
fn the_serial_is_the_second_of_the_last_change() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let running = start_unsynced(&corefile(ZONES, &[]), ServeOptions { clock, ..ServeOptions::default() });
    assert!(running.wait_synced(PATIENCE));
    for mut client in Client::all(&running.addresses()) {
        for name in ["Z SOA", "in-addr.arpa. SOA", "nothing.shop.svc.Z A"] {
            let reply = client.exchange(&Ask::parse(name).bytes(7)).unwrap();
            let message = Message::from_vec(&reply).unwrap();
            let soa =
                message.answers.iter().chain(&message.authorities).find_map(|record| {
                    if let RData::SOA(soa) = &record.data { Some(soa.serial) } else { None }
                });
            assert_eq!(soa, Some(1_700_000_000), "K-006: {name}");
        }
    }
}

/// A folder with headless Services in namespace `data`: name and number of endpoints.
fn crowds(services: &[(&str, u16)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, (name, endpoints)) in services.iter().enumerate() {
        let mut text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: data}}\n\
             spec: {{clusterIP: None}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}-1, namespace: data, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             addressType: IPv4\nports: [{{name: x, port: 7, protocol: TCP}}]\nendpoints:\n"
        );
        for endpoint in 0..*endpoints {
            let _ = writeln!(
                text,
                "  - addresses: [10.{}.{}.{}]",
                100 + number,
                100 + endpoint / 100,
                100 + endpoint % 100
            );
        }
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    folder
}

#[test]
fn what_does_not_fit_is_cut_by_whole_records() {
    let folder = crowds(&[("crowd", 150), ("glue", 6), ("town", 5000)]);
    let running = start(&block(".", "cluster.local", folder.path(), &[], &[]));
    let addresses = running.addresses();
    for to in addresses {
        let mut udp = Client::new(Via::Udp, to);
        let mut tcp = Client::new(Via::Tcp, to);
        let ask = |client: &mut Client, ask: &str| {
            let bytes = client.exchange(&Ask::parse(ask).bytes(7)).unwrap();
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!(message.metadata.response_code, ResponseCode::NoError, "{ask}");
            (bytes.len(), message)
        };
        for (question, limit) in [
            ("crowd.data.svc.Z A", 512),
            ("crowd.data.svc.Z A +bufsize=0", 512),
            ("crowd.data.svc.Z A +bufsize=700", 700),
            ("crowd.data.svc.Z A +bufsize=4096", 1232),
            ("crowd.data.svc.Z A +bufsize=65535", 1232),
            ("crowd.data.svc.Z SRV +edns", 1232),
        ] {
            let (size, message) = ask(&mut udp, question);
            assert!(size <= limit, "K-012: {question}: {size} bytes");
            assert!(size + 90 > limit, "K-012: {question}: only {size} bytes");
            assert!(message.metadata.truncation, "K-012: {question}: TC");
            assert!(message.metadata.authoritative && message.authorities.is_empty());
            assert_eq!(message.edns.is_some(), question.contains('+'), "K-012: {question}: OPT");
        }
        // Each record is the first one sooner or later.
        let firsts: std::collections::HashSet<String> =
            (0..40).map(|_| ask(&mut udp, "crowd.data.svc.Z A").1.answers[0].data.to_string()).collect();
        assert!(firsts.len() > 5, "K-012: {firsts:?}");
        let (_, whole) = ask(&mut tcp, "crowd.data.svc.Z A");
        assert!(!whole.metadata.truncation && whole.answers.len() == 150, "K-012: all over TCP");
        let (_, whole) = ask(&mut tcp, "crowd.data.svc.Z SRV");
        assert_eq!((whole.answers.len(), whole.additionals.len()), (150, 150), "K-086");
        for record in &whole.answers {
            assert!(matches!(&record.data, RData::SRV(srv) if srv.weight == 1), "K-109: {record}");
        }
        // All SRV records fit, their glue does not.
        let (_, answered) = ask(&mut udp, "glue.data.svc.Z SRV");
        assert_eq!(answered.answers.len(), 6, "K-012: SRV");
        assert!(answered.additionals.len() < 6, "K-012: glue");
        assert!(!answered.metadata.truncation, "K-012: lost glue is no TC");
        // More than a message holds.
        let (size, cut) = ask(&mut tcp, "town.data.svc.Z A");
        assert!(cut.metadata.truncation && cut.answers.len() > 4000, "K-012: {size} bytes over TCP");
    }
}
