//! Whole zones beside those of CoreDNS (rules K-213, K-240 to K-245, K-298): the same records, but for listed differences.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, Record, RecordType};
use signpost::app::{ServeOptions, serve};

use super::coredns::{CoreDns, free_port};
use super::questions::manifests;
use crate::api::FakeApi;
use crate::harness::PATIENCE;

/// What the stanza says, variant by variant.
const VARIANTS: &[&[&str]] = &[
    &[],
    &["pods verified", "ttl 600"],
    &["endpoint_pod_names"],
    &["namespaces shop nowhere"],
    &["noendpoints"],
];

/// All records of a transfer, in order, the serial of SOAs cut out.
fn transfer(server: SocketAddr, zone: &str) -> Vec<String> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(zone).unwrap(), RecordType::AXFR));
    let bytes = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut records: Vec<Record> = Vec::new();
    let soas =
        |records: &[Record]| records.iter().filter(|record| record.record_type() == RecordType::SOA).count();
    while soas(&records) < 2 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut bytes).unwrap();
        let message = Message::from_vec(&bytes).unwrap();
        assert!(message.metadata.authoritative && !message.answers.is_empty(), "{message}");
        records.extend(message.answers);
    }
    records
        .iter()
        .map(|record| {
            let data = match record.record_type() {
                RecordType::SOA => "SOA".to_owned(),
                _ => record.data.to_string(),
            };
            format!("{} {} {} {data}", record.name, record.ttl, record.record_type())
        })
        .collect()
}

#[test]
fn the_cluster_zone_is_transferred_as_by_coredns() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    assert!(Path::new(&binary).is_file(), "COREDNS_BIN: {} is not a file", binary.display());
    let mut wrong = String::new();
    let mut needed = BTreeSet::new();
    for options in VARIANTS {
        let api = FakeApi::start();
        api.apply_all(manifests("cluster"));
        let corefile = |port: u16| {
            format!(
                ".:{port} {{\n bind 127.0.0.1\n transfer cluster.local {{\n to *\n }}\n kubernetes cluster.local in-addr.arpa {{\n \
                 endpoint {}\n {}\n }}\n}}\n",
                api.url(),
                options.join("\n ")
            )
        };
        let theirs = CoreDns::start(&binary, corefile);
        let text = corefile(free_port());
        let ours = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() })
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(ours.wait_synced(PATIENCE), "no sync with\n{text}");
        let ours = transfer(ours.addresses()[0], "cluster.local.");
        let theirs = transfer(theirs.addr, "cluster.local.");
        let [ours_set, theirs_set] =
            [&ours, &theirs].map(|list| list.iter().cloned().collect::<BTreeSet<String>>());
        eprintln!("{options:?}: {} records of ours, {} of CoreDNS", ours.len(), theirs.len());
        for (who, one, other) in
            [("only CoreDNS", &theirs_set, &ours_set), ("only ours", &ours_set, &theirs_set)]
        {
            for line in one.difference(other) {
                match excepted(line) {
                    Some(rule) => drop(needed.insert(rule)),
                    None => wrong.push_str(&format!("{options:?} {who}: {line}\n")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(needed, EXCEPTIONS.iter().map(|(rule, _)| *rule).collect(), "an exception was not needed");
}

/// A zone of the objects of `beyond`: words of the block, lines of the stanza, the zone, and how a line is compared.
struct Beyond {
    /// Words of the block.
    words: &'static str,
    /// Lines of the stanza.
    options: &'static str,
    /// The zone.
    zone: &'static str,
    /// What of a line is compared.
    compared: fn(&str) -> String,
    /// Lines that one side may have alone, and why.
    alone: &'static [Exception],
}

/// A line without its TTL and, of SRV records, without anything but owner and type.
fn without_weights(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        [name, _, "SRV", ..] => format!("{name} SRV"),
        [name, _, rest @ ..] => format!("{name} {}", rest.join(" ")),
        _ => line.to_owned(),
    }
}

/// What is compared.
const BEYOND: &[Beyond] = &[
    Beyond {
        words: "",
        options: "multicluster clusterset.local",
        zone: "clusterset.local.",
        compared: str::to_owned,
        alone: &[("K-059a: bound addresses are our own", |line| {
            line.ends_with(" NS ns.dns.clusterset.local.") || line == "ns.dns.clusterset.local. 0 A 127.0.0.1"
        })],
    },
    Beyond {
        words: "k8s_external example.org",
        options: "",
        zone: "example.org.",
        compared: without_weights,
        alone: &[
            ("K-059a: bound addresses are our own", |line| line == "ns1.dns.example.org. A 127.0.0.1"),
            ("RFC 2181: nothing beside an alias", |line| line == "cloud.shop.example.org. SRV"),
            ("K-083: a port without a name has none", |line| line == "_._tcp.mail.data.example.org. SRV"),
        ],
    },
];

#[test]
fn clustersets_and_zones_for_the_outside_are_transferred_as_by_coredns() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    let mut wrong = String::new();
    for beyond in BEYOND {
        let api = FakeApi::start();
        api.apply_all(manifests("beyond"));
        let corefile = |port: u16| {
            format!(
                ".:{port} {{\n bind 127.0.0.1\n transfer {{\n to *\n }}\n {}\n kubernetes cluster.local clusterset.local in-addr.arpa \
                 {{\n endpoint {}\n {}\n }}\n}}\n",
                beyond.words,
                api.url(),
                beyond.options
            )
        };
        let theirs = CoreDns::start(&binary, corefile);
        let text = corefile(free_port());
        let ours = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() })
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(ours.wait_synced(PATIENCE), "no sync with\n{text}");
        let [ours, theirs] = [ours.addresses()[0], theirs.addr].map(|server| {
            let all = transfer(server, beyond.zone);
            all.iter().map(|line| (beyond.compared)(line)).collect::<BTreeSet<String>>()
        });
        assert!(ours.len() > 5, "{ours:?}");
        for (who, one, other) in [("only CoreDNS", &theirs, &ours), ("only ours", &ours, &theirs)] {
            for line in one.difference(other) {
                if !beyond.alone.iter().any(|(_, is)| is(line)) {
                    wrong.push_str(&format!("{} {who}: {line}\n", beyond.zone));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A rule, and whether a record is different because of it.
type Exception = (&'static str, fn(&str) -> bool);

/// Differences that are meant: the rule, and how such a record is known.
const EXCEPTIONS: &[Exception] = &[
    // CoreDNS has 65535 for a port without a number, and for a Service without ports.
    ("K-112: what has no number has no SRV", |line| line.contains(" SRV 0 100 65535 ")),
    // CoreDNS sends an SRV to the root for an endpoint whose address is a host name.
    ("K-121: addresses only", |line| line.contains(" SRV ") && line.ends_with(" .")),
    // CoreDNS has no NS records where it is bound to a loopback address.
    ("K-059a: bound addresses are our own", |line| {
        line.ends_with(" NS ns.dns.cluster.local.") || line == "ns.dns.cluster.local. 0 A 127.0.0.1"
    }),
];

/// The rule by which a record may be on one side alone.
fn excepted(line: &str) -> Option<&'static str> {
    EXCEPTIONS.iter().find(|(_, is)| is(line)).map(|(rule, _)| *rule)
}
