//! Zones that are made of a cluster, transferred (rules K-213, K-240 to K-245, K-298): by whom, what they hold, and that a
//! name server of others which has one says the same.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::others::{Other, Role};
use super::world::{PATIENCE, Transferred, exchange, line, query, start, transfer};

/// A server of ours whose zone `example.org` is made of a folder's objects.
fn cluster(folder: &str, zones: &str, options: &str, lines: &str) -> signpost::app::Running {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n {lines}\n kubernetes {zones} {{\n manifests {}\n {options}\n }}\n transfer {{\n to *\n }}\n}}\n",
        folder.display()
    ));
    assert!(running.wait_synced(PATIENCE));
    running
}

/// A clusterset's zone.
fn clusterset() -> signpost::app::Running {
    cluster("beyond", "cluster.local example.org", "multicluster example.org", "")
}

/// A zone for the outside with these lines in its stanza.
fn outside(folder: &str, options: &str) -> signpost::app::Running {
    cluster(folder, "cluster.local", "", &format!("k8s_external example.org {{\n {options}\n }}"))
}

/// The lines of a transfer but for SOA, NS and the addresses of those.
fn names(all: &Transferred) -> BTreeSet<String> {
    let apex = |line: &String| line.contains(" SOA ") || line.contains(" NS ") || line.contains(".dns.");
    all.set().into_iter().filter(|line| !apex(line)).collect()
}

/// Lines, each its own text.
fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// What a server says of a name: its code, and the answer without what a transfer may weigh otherwise (K-241).
fn said(server: SocketAddr, name: &str, rtype: RecordType) -> (ResponseCode, bool, BTreeSet<String>) {
    let reply = exchange(server, &query(name, rtype)).unwrap();
    let answer = |record| {
        let text = line(record);
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if rtype == RecordType::SRV && words.len() > 5 {
            words.remove(4);
        }
        // knotd keeps names in lower case.
        words.join(" ").to_lowercase()
    };
    let answers = reply.answers.iter().map(answer).collect();
    (reply.metadata.response_code, reply.metadata.authoritative, answers)
}

/// That name servers of others take the zone and answer as we do, name by name, and for these besides.
fn is_served_by_others(running: &signpost::app::Running, besides: &[(&str, RecordType)]) {
    let own = running.addresses()[0];
    let all = transfer(own, "example.org.", None);
    let mut questions: BTreeSet<(String, RecordType)> = all
        .records
        .iter()
        .map(|record| (record.name.to_string(), record.record_type()))
        // The addresses of NS have another TTL in a transfer (K-241).
        .filter(|(name, _)| !name.ends_with(".dns.example.org."))
        .collect();
    assert!(questions.len() > 10, "{questions:?}");
    questions.extend(besides.iter().map(|(name, rtype)| ((*name).to_owned(), *rtype)));
    for make in [Other::knot, Other::nsd] {
        let Some(other) = make(&Role::Secondary(own)) else { continue };
        for (name, rtype) in &questions {
            let [ours, theirs] = [own, other.addr].map(|server| said(server, name, *rtype));
            assert_eq!(ours, theirs, "{}: {name} {rtype}\n{}", other.name, other.log());
        }
    }
}

#[test]
fn knotd_and_nsd_serve_the_cluster_zone_as_we_do() {
    use RecordType::{A, AAAA, SRV, TXT};
    is_served_by_others(
        &cluster("cluster", "example.org in-addr.arpa", "ttl 30", ""),
        &[
            ("no.shop.svc.example.org.", A),
            ("web.shop.svc.example.org.", AAAA),
            ("web.shop.svc.example.org.", TXT),
            ("WEB.shop.svc.example.org.", A),
            ("shop.svc.example.org.", A),
            ("svc.example.org.", A),
            ("_tcp.web.shop.svc.example.org.", SRV),
            ("nowhere.svc.example.org.", A),
        ],
    );
}

#[test]
fn a_clusterset_is_transferred_without_the_names_of_its_clusters() {
    let running = clusterset();
    let own = running.addresses()[0];
    let all = transfer(own, "example.org.", None);
    assert_eq!(all.records.first(), all.records.last());
    assert_eq!(
        names(&all),
        set(&[
            "api.shop.svc.example.org. 5 A 10.120.0.1",
            "api.shop.svc.example.org. 5 AAAA fd00:120::1",
            "api.shop.svc.example.org. 5 SRV 0 100 80 api.shop.svc.example.org.",
            "api.shop.svc.example.org. 5 SRV 0 100 53 api.shop.svc.example.org.",
            "_http._tcp.api.shop.svc.example.org. 5 SRV 0 100 80 api.shop.svc.example.org.",
            "_dns._udp.api.shop.svc.example.org. 5 SRV 0 100 53 api.shop.svc.example.org.",
            "idle.shop.svc.example.org. 5 A 10.120.0.2",
            "idle.shop.svc.example.org. 5 SRV 0 100 80 idle.shop.svc.example.org.",
            "_http._tcp.idle.shop.svc.example.org. 5 SRV 0 100 80 idle.shop.svc.example.org.",
            "store.data.svc.example.org. 5 A 10.1.0.1",
            "store.data.svc.example.org. 5 A 10.1.0.2",
            "store.data.svc.example.org. 5 A 10.2.0.1",
            "store.data.svc.example.org. 5 AAAA fd00:2::1",
            // K-213: no cluster in these, as CoreDNS sends them.
            "store-0.store.data.svc.example.org. 5 A 10.1.0.1",
            "store-0.store.data.svc.example.org. 5 A 10.2.0.1",
            "10-1-0-2.store.data.svc.example.org. 5 A 10.1.0.2",
            "fd00-2--1.store.data.svc.example.org. 5 AAAA fd00:2::1",
            "_pg._tcp.store.data.svc.example.org. 5 SRV 0 50 5432 store-0.store.data.svc.example.org.",
            "_pg._tcp.store.data.svc.example.org. 5 SRV 0 50 5432 10-1-0-2.store.data.svc.example.org.",
            "_pg._tcp.store.data.svc.example.org. 5 SRV 0 100 5433 store-0.store.data.svc.example.org.",
            "_pg._tcp.store.data.svc.example.org. 5 SRV 0 100 5433 fd00-2--1.store.data.svc.example.org.",
        ])
    );
    // K-242, with the serial of the clusterset (K-214).
    let serial: u32 = line(&all.records[0]).split_whitespace().nth(5).unwrap().parse().unwrap();
    assert_eq!(transfer(own, "example.org.", Some(serial)).records.len(), 1);
    assert_eq!(transfer(own, "example.org.", Some(serial - 1)).records.len(), all.records.len());
    // K-245; and the cluster's own zone is another one.
    let filtered =
        cluster("beyond", "cluster.local example.org", "multicluster example.org\n namespaces shop", "");
    let shown = names(&transfer(filtered.addresses()[0], "example.org.", None));
    assert!(shown.len() == 9 && shown.iter().all(|line| line.contains(".shop.svc.")), "{shown:?}");
    let local = names(&transfer(own, "cluster.local.", None));
    assert!(local.iter().all(|line| !line.contains("store.data")), "{local:?}");
    assert!(local.contains("local.shop.svc.cluster.local. 5 A 10.96.5.1"), "{local:?}");
}

#[test]
fn a_zone_for_the_outside_is_transferred_as_it_is_answered() {
    let running = outside("beyond", "ttl 30");
    let own = running.addresses()[0];
    let all = transfer(own, "Example.ORG.", None);
    let text: Vec<String> = all.records.iter().map(line).collect();
    assert_eq!(text.first(), text.last());
    assert!(text[0].starts_with("example.org. 30 SOA ns1.dns.example.org. hostmaster.dns."), "{}", text[0]);
    assert_eq!(
        text[1..3],
        ["example.org. 30 NS ns1.dns.example.org.", "ns1.dns.example.org. 30 A 127.0.0.1"]
    );
    assert_eq!(
        names(&all),
        set(&[
            "web.shop.example.org. 30 A 192.0.2.10",
            "web.shop.example.org. 30 A 192.0.2.11",
            "web.shop.example.org. 30 AAAA 2001:db8::10",
            "web.shop.example.org. 30 SRV 0 8 80 web.shop.example.org.",
            "web.shop.example.org. 30 SRV 0 8 53 web.shop.example.org.",
            "_http._tcp.web.shop.example.org. 30 SRV 0 25 80 web.shop.example.org.",
            "_dns._udp.web.shop.example.org. 30 SRV 0 25 53 web.shop.example.org.",
            "_dns-tcp._tcp.web.shop.example.org. 30 SRV 0 25 53 web.shop.example.org.",
            "mail.data.example.org. 30 A 192.0.2.10",
            "mail.data.example.org. 30 SRV 0 100 25 mail.data.example.org.",
            "vault.secret.example.org. 30 A 192.0.2.66",
            "vault.secret.example.org. 30 SRV 0 100 80 vault.secret.example.org.",
            "_http._tcp.vault.secret.example.org. 30 SRV 0 100 80 vault.secret.example.org.",
            // Nothing stands beside an alias.
            "cloud.shop.example.org. 30 CNAME lb.example.net.",
            "_https._tcp.cloud.shop.example.org. 30 SRV 0 100 443 lb.example.net.",
        ])
    );
    let serial: u32 = text[0].split_whitespace().nth(5).unwrap().parse().unwrap();
    assert_eq!(transfer(own, "example.org.", Some(serial)).records.len(), 1, "K-242");
    assert_eq!(transfer(own, "example.org.", Some(0)).records.len(), text.len());
    for zone in ["shop.example.org.", "web.shop.example.org.", "dns.example.org."] {
        assert_eq!(transfer(own, zone, None).code, ResponseCode::Refused, "{zone}");
    }
    assert_eq!(transfer(own, "cluster.local.", None).code, ResponseCode::NoError, "the other one's too");
}

#[test]
fn a_transfer_has_what_the_stanza_shows() {
    let headless = names(&transfer(outside("beyond", "headless").addresses()[0], "example.org.", None));
    for line in [
        "ring.data.example.org. 5 AAAA fd00:3::1",
        "r-0.ring.data.example.org. 5 A 10.3.0.1",
        "r-0.ring.data.example.org. 5 SRV 0 100 7000 r-0.ring.data.example.org.",
        "10-4-0-1.inner.shop.example.org. 5 A 10.4.0.1",
    ] {
        assert!(headless.contains(line), "{line}: {headless:#?}");
    }
    let hosts =
        |options: &str| names(&transfer(outside("hosts", options).addresses()[0], "example.org.", None));
    let both = hosts("ingress\n gateway");
    for line in [
        "www.example.org. 5 A 192.0.2.1",
        "www.example.org. 5 AAAA 2001:db8::1",
        "*.apps.example.org. 5 A 192.0.2.2",
        "named.example.org. 5 CNAME lb.example.net.",
        "http.example.org. 5 A 192.0.2.20",
        "twice.example.org. 5 A 192.0.2.31",
        // A Service and a host of one name: the host was named by somebody.
        "web.shop.example.org. 5 A 192.0.2.50",
        "api.shop.example.org. 5 A 192.0.2.61",
    ] {
        assert!(both.contains(line), "{line}: {both:#?}");
    }
    let absent = ["twice.example.org. 5 A 192.0.2.32", "web.shop.example.org. 5 A 192.0.2.60"];
    assert!(absent.iter().all(|line| !both.contains(*line)), "{both:#?}");
    assert!(both.iter().all(|line| !line.contains("elsewhere") && !line.contains("waiting")), "{both:#?}");
    let ingress = hosts("ingress");
    assert!(ingress.contains("www.example.org. 5 A 192.0.2.1"), "{ingress:#?}");
    assert!(!ingress.contains("http.example.org. 5 A 192.0.2.20"), "{ingress:#?}");
    let neither = hosts("ttl 5");
    assert!(neither.contains("web.shop.example.org. 5 A 192.0.2.60"), "{neither:#?}");
    assert!(neither.iter().all(|line| line.contains(".shop.")), "{neither:#?}");
}

#[test]
fn a_longer_zone_of_the_stanza_has_its_names_for_itself() {
    let running =
        cluster("hosts", "cluster.local", "", "k8s_external example.org apps.example.org {\n ingress\n }");
    let own = running.addresses()[0];
    let [wide, narrow] = ["example.org.", "apps.example.org."].map(|zone| names(&transfer(own, zone, None)));
    assert!(wide.contains("www.example.org. 5 A 192.0.2.1"), "{wide:#?}");
    assert!(wide.iter().all(|line| !line.contains(".apps.example.org.")), "{wide:#?}");
    assert!(narrow.contains("one.apps.example.org. 5 A 192.0.2.1"), "{narrow:#?}");
    assert!(narrow.contains("*.apps.example.org. 5 A 192.0.2.2"), "{narrow:#?}");
}

#[test]
fn knotd_and_nsd_serve_a_clusterset_and_zones_for_the_outside_as_we_do() {
    use RecordType::{A, AAAA, SRV, TXT};
    // Headless imports have other names here (K-213).
    let set =
        cluster("beyond", "cluster.local example.org", "multicluster example.org\n namespaces shop", "");
    let own = set.addresses()[0];
    for make in [Other::knot, Other::nsd] {
        let Some(other) = make(&Role::Secondary(own)) else { continue };
        for (name, rtype) in [
            ("api.shop.svc.example.org.", A),
            ("api.shop.svc.example.org.", AAAA),
            ("_http._tcp.api.shop.svc.example.org.", SRV),
            ("idle.shop.svc.example.org.", TXT),
            ("local.shop.svc.example.org.", A),
        ] {
            assert_eq!(said(own, name, rtype), said(other.addr, name, rtype), "{}: {name}", other.name);
        }
    }
    is_served_by_others(
        &outside("beyond", "headless"),
        &[
            ("web.shop.example.org.", TXT),
            ("nothing.shop.example.org.", A),
            ("shop.example.org.", A),
            ("_udp.web.shop.example.org.", SRV),
        ],
    );
    is_served_by_others(
        &outside("hosts", "ingress\n gateway"),
        &[
            ("any.thing.apps.example.org.", A),
            ("below.one.apps.example.org.", A),
            ("in.example.org.", A),
            ("nothing.example.org.", AAAA),
        ],
    );
}
