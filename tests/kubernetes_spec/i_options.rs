//! Section I: the options of the stanza (K-200 to K-235), and what follows from the moment of the first sync (K-016).

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use signpost::app::{Running, ServeOptions, serve};

use super::harness::{Ask, Client, PATIENCE, SILENCE, Via, block, corefile, fixtures, start, start_unsynced};
use super::table::Table;
use super::{check, check_rows};

/// The usual zones.
const ZONES: &str = "cluster.local in-addr.arpa ip6.arpa";

/// Asks each question and tells whether `whoami`, the next step, must have answered it.
fn check_falls(running: &Running, questions: &[(&str, &str, bool)]) {
    for mut client in Client::all(&running.addresses()) {
        for (rule, question, falls) in questions {
            let got = client.ask(&Ask::parse(question));
            // Only whoami tells the client's port.
            let whoami = got.contains("additional _udp.") || got.contains("additional _tcp.");
            assert_eq!(whoami, *falls, "{rule}  {question}\n{got}");
        }
    }
}

/// A server with `whoami` behind the stanza.
fn before_whoami(zones: &str, options: &[&str]) -> Running {
    start(&block(".", zones, &fixtures("cluster"), options, &["whoami"]))
}

#[test]
fn name_errors_fall_through_where_the_stanza_says_so() {
    check_falls(
        &before_whoami(ZONES, &["fallthrough"]),
        &[
            ("K-201", "nothing.shop.svc.Z A", true),
            ("K-201", "nothing.shop.svc.Z SOA", true),
            ("K-201", "nowhere.svc.Z A", true),
            ("K-201", "foo.Z A", true),
            ("K-201", "a.b.c.web.shop.svc.Z A", true),
            ("K-201", "_ftp._tcp.web.shop.svc.Z SRV", true),
            ("K-201", "unready.data.svc.Z A", true),
            ("K-201", "10-1-2-3.shop.pod.Z A", true),
            ("K-201", "arpa:9.9.9.9 PTR", true),
            ("K-201", "97.10.in-addr.arpa. PTR", true),
            ("K-201", "address.shop.svc.Z A", true),
            ("K-001", "www.example.com. A", true),
            ("K-202", "web.shop.svc.Z AAAA", false),
            ("K-202", "web.shop.svc.Z TXT", false),
            ("K-202", "shop.svc.Z A", false),
            ("K-202", "_tcp.web.shop.svc.Z SRV", false),
            ("K-202", "gone.shop.svc.Z A", false),
            ("K-202", "arpa:10.96.1.1 A", false),
            ("K-202", "96.10.in-addr.arpa. PTR", false),
            ("K-200", "web.shop.svc.Z A", false),
            ("K-200", "arpa:10.96.1.1 PTR", false),
            ("K-061", "nothing.shop.svc.Z AXFR", false),
        ],
    );
    check_falls(
        &before_whoami(ZONES, &["fallthrough in-addr.arpa data.svc.cluster.local"]),
        &[
            ("K-200", "arpa:9.9.9.9 PTR", true),
            ("K-200", "arpa:fd00:99::9 PTR", false),
            ("K-200", "nothing.shop.svc.Z A", false),
            ("K-200", "nothing.data.svc.Z A", true),
            ("K-200", "NOTHING.Data.svc.CLUSTER.local. A", true),
        ],
    );
    check_falls(
        &before_whoami(ZONES, &[]),
        &[
            ("K-201", "nothing.shop.svc.Z A", false),
            ("K-201", "arpa:9.9.9.9 PTR", false),
            ("K-001", "www.example.com. A", true),
        ],
    );
}

#[test]
fn falling_through_to_nobody_is_servfail() {
    check(
        &Table::of(&[
            ("K-203", "nothing.shop.svc.Z A", "SERVFAIL"),
            ("K-203", "arpa:9.9.9.9 PTR +rd", "SERVFAIL rd"),
            ("K-202", "web.shop.svc.Z AAAA", "NODATA"),
            ("K-200", "web.shop.svc.Z A", "@ A 10.96.1.1"),
        ])
        .with(&["fallthrough"]),
    );
}

#[test]
fn noendpoints_knows_cluster_addresses_only() {
    check(
        &Table::of(&[
            ("K-205", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            (
                "K-205",
                "_http._tcp.web.shop.svc.Z SRV",
                "@ SRV 0 100 80 web.shop.svc.Z; +web.shop.svc.Z A 10.96.1.1",
            ),
            ("K-205", "arpa:10.96.1.1 PTR", "@ PTR web.shop.svc.Z"),
            ("K-205", "outside.shop.svc.Z CNAME", "@ CNAME www.example.com."),
            ("K-205", "db.data.svc.Z A", "NX"),
            ("K-205", "db.data.svc.Z SRV", "NX"),
            ("K-205", "db.data.svc.Z TXT", "NX"),
            ("K-205", "db-0.db.data.svc.Z A", "NX"),
            ("K-205", "_pg._tcp.db.data.svc.Z SRV", "NX"),
            ("K-205", "canary.web.shop.svc.Z A", "NX"),
            ("K-205", "arpa:10.244.2.1 PTR", "NX"),
            ("K-175", "2.244.10.in-addr.arpa. PTR", "NX"),
            ("K-135", "inside.shop.svc.Z A", "NODATA"),
        ])
        .with(&["noendpoints"]),
    );
}

#[test]
fn ignore_empty_service_hides_services_without_ready_endpoints() {
    check(
        &Table::of(&[
            ("K-206", "old.shop.svc.Z A", "NX"),
            ("K-206", "old.shop.svc.Z SRV", "NX"),
            ("K-206", "old.shop.svc.Z TXT", "NX"),
            ("K-206", "old.shop.svc.Z SOA", "NX"),
            ("K-206", "weary.shop.svc.Z A", "NX"),
            ("K-206", "_http._tcp.weary.shop.svc.Z SRV", "NX"),
            ("K-206", "node.shop.svc.Z A", "NX"),
            ("K-206", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-206", "canary.web.shop.svc.Z A", "@ A 10.244.1.11"),
            ("K-206", "db.data.svc.Z A", "@ A 10.244.2.1; @ A 10.244.2.2"),
            ("K-206", "outside.shop.svc.Z CNAME", "@ CNAME www.example.com."),
            ("K-206", "arpa:10.96.1.2 PTR", "@ PTR old.shop.svc.Z"),
        ])
        .with(&["ignore empty_service"]),
    );
}

#[test]
fn namespaces_that_are_not_listed_do_not_exist() {
    check(
        &Table::of(&[
            ("K-207", "shop.svc.Z A", "NODATA"),
            ("K-207", "SHOP.svc.Z A", "NODATA"),
            ("K-207", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-207", "data.svc.Z A", "NX"),
            ("K-207", "db.data.svc.Z A", "NX"),
            ("K-207", "db-0.db.data.svc.Z A", "NX"),
            ("K-207", "nowhere.svc.Z A", "NX"),
            ("K-207", "web.nowhere.svc.Z A", "NX"),
            ("K-207", "svc.Z A", "NODATA"),
            ("K-207", "shop.pod.Z A", "NODATA"),
            ("K-207", "10-1-2-3.shop.pod.Z A", "@ A 10.1.2.3"),
            ("K-155", "data.pod.Z A", "NX"),
            ("K-155", "10-1-2-3.data.pod.Z A", "NX"),
            ("K-178", "arpa:10.96.1.1 PTR", "@ PTR web.shop.svc.Z"),
            ("K-178", "arpa:10.244.2.1 PTR", "NX"),
            ("K-178", "arpa:10.244.20.3 PTR", "@ PTR b.shared-b.shop.svc.Z"),
            ("K-178", "2.244.10.in-addr.arpa. PTR", "NX"),
            ("K-135", "inside.shop.svc.Z A", "NODATA"),
            ("K-130", "inside.shop.svc.Z CNAME", "@ CNAME db.data.svc.Z"),
        ])
        .with(&["namespaces shop nowhere", "pods insecure"]),
    );
    check(&Table::of(&[("K-207", "web.shop.svc.Z A", "NX")]).with(&["namespaces Shop"]));
}

#[test]
fn labels_choose_services_and_slices_but_not_namespaces() {
    check(
        &Table::of(&[
            ("K-208", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-208", "canary.web.shop.svc.Z A", "@ A 10.244.1.11"),
            ("K-208", "old.shop.svc.Z A", "NX"),
            ("K-208", "db.data.svc.Z A", "NX"),
            ("K-208", "data.svc.Z A", "NODATA"),
            ("K-208", "arpa:10.96.1.2 PTR", "NX"),
            ("K-208", "arpa:10.244.2.1 PTR", "NX"),
        ])
        .with(&["labels tier=front"]),
    );
    check(
        &Table::of(&[
            ("K-208", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-208", "canary.web.shop.svc.Z A", "NX"),
            ("K-208", "arpa:10.244.1.11 PTR", "NX"),
        ])
        .with(&["labels app=web"]),
    );
}

#[test]
fn namespace_labels_choose_namespaces() {
    check(
        &Table::of(&[
            ("K-209", "shop.svc.Z A", "NODATA"),
            ("K-209", "empty.svc.Z A", "NODATA"),
            ("K-209", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-209", "data.svc.Z A", "NX"),
            ("K-209", "db.data.svc.Z A", "NX"),
            ("K-209", "pod.svc.svc.Z A", "NX"),
            ("K-178", "arpa:10.96.1.1 PTR", "@ PTR web.shop.svc.Z"),
            ("K-178", "arpa:10.244.2.1 PTR", "NX"),
            ("K-178", "arpa:10.244.20.3 PTR", "@ PTR b.shared-b.shop.svc.Z"),
        ])
        .with(&["namespace_labels team=storefront"]),
    );
    check(
        &Table::of(&[
            ("K-209", "web.shop.svc.Z A", "NX"),
            ("K-209", "db-0.db.data.svc.Z A", "@ A 10.244.2.1"),
            ("K-209", "pod.svc.svc.Z A", "@ A 10.96.2.1"),
        ])
        .with(&["namespace_labels team notin (storefront)"]),
    );
}

#[test]
fn zonal_names_do_not_exist_while_the_option_is_off() {
    check(&Table::of(&[
        ("K-225", "az1.pin._zone.db.data.svc.Z A", "NX"),
        ("K-225", "az1.prefer._zone.db.data.svc.Z SRV", "NX"),
        ("K-225", "_zone.db.data.svc.Z A", "NX"),
        ("K-225", "pin._zone.db.data.svc.Z A", "NX"),
    ]));
}

#[test]
fn stanzas_with_mistakes_are_refused() {
    let bad: &[(&str, &str, &[&str])] = &[
        ("K-232", ZONES, &["ttl 3601"]),
        ("K-232", ZONES, &["ttl -1"]),
        ("K-232", ZONES, &["ttl"]),
        ("K-234", ZONES, &["ignore"]),
        ("K-234", ZONES, &["ignore everything"]),
        ("K-234", ZONES, &["no_such_option"]),
        ("K-207", ZONES, &["namespaces shop", "namespace_labels team=storefront"]),
        ("K-150", ZONES, &["pods"]),
        ("K-150", ZONES, &["pods maybe"]),
        ("K-179", "in-addr.arpa ip6.arpa", &[]),
        ("K-179", "10.96.0.0/16", &[]),
        ("K-208", ZONES, &["labels a in"]),
        ("K-230", ZONES, &["startup_timeout soon"]),
        ("K-231", ZONES, &["apiserver_qps -1"]),
        ("K-210", ZONES, &["multicluster clusterset.local"]),
        ("K-210", ZONES, &["multicluster"]),
        ("K-205", ZONES, &["zonal", "noendpoints"]),
        ("K-220", ZONES, &["zonal eu-a"]),
    ];
    for (rule, zones, options) in bad {
        let text = corefile(zones, options);
        let served = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() });
        assert!(served.is_err(), "{rule}: {options:?} in\n{text}");
    }
    let stanza = format!("kubernetes {ZONES} {{\n manifests {}\n}}\n", fixtures("cluster").display());
    let text = format!(".:0 {{\n bind 127.0.0.1\n{stanza}{stanza}}}\n");
    assert!(serve(ServeOptions { text, ..ServeOptions::default() }).is_err(), "K-234: twice in a block");
}

#[test]
fn limits_of_the_api_client_are_understood_without_one() {
    check(&Table::of(&[("K-231", "web.shop.svc.Z A", "@ A 10.96.1.1")]).with(&[
        "apiserver_qps 5",
        "apiserver_burst 10",
        "apiserver_max_inflight 0",
    ]));
}

/// A server whose manifests are in a folder that is not there yet.
fn unsynced(zones: &str, folder: &Path, options: &[&str], words: &[&str], more: ServeOptions) -> Running {
    start_unsynced(&block(".", zones, folder, options, words), more)
}

/// Puts a copy of the cluster's manifests at `folder`, all at once.
fn fill(folder: &Path) {
    let beside = folder.with_extension("new");
    std::fs::create_dir(&beside).unwrap();
    for file in std::fs::read_dir(fixtures("cluster")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), beside.join(file.file_name())).unwrap();
    }
    std::fs::rename(beside, folder).unwrap();
}

#[test]
fn before_the_sync_only_names_that_need_no_data_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let options = ["startup_timeout 5ms", "pods insecure"];
    let running = unsynced(ZONES, &missing, &options, &[], ServeOptions::default());
    assert!(!running.wait_synced(Duration::ZERO));
    check_rows(
        &running,
        5,
        &[
            ("K-016", "Z SOA", "soa"),
            ("K-016", "Z A", "NODATA"),
            ("K-016", "Z NS", "@ NS ns.dns.Z; +ns.dns.Z A 127.0.0.1; +ns.dns.Z AAAA ::1"),
            ("K-016", "in-addr.arpa. SOA", "soa"),
            ("K-016", "svc.Z A", "NODATA"),
            ("K-016", "pod.Z A", "NODATA"),
            ("K-016", "dns.Z A", "NODATA"),
            ("K-016", "ns.dns.Z A", "@ A 127.0.0.1"),
            ("K-016", "ns.dns.in-addr.arpa. AAAA", "@ AAAA ::1"),
            ("K-016", "dns-version.Z TXT", r#"@ 28800 TXT "1.1.0""#),
            ("K-061", "Z AXFR", "REFUSED"),
            // What cannot exist.
            ("K-016", "foo.Z A", "NX"),
            ("K-016", "web.shop.Z A", "NX"),
            ("K-016", "a.b.c.web.shop.svc.Z A", "NX"),
            ("K-016", "api.example.com.shop.svc.Z A", "NX"),
            ("K-016", "api.example.com.shop.svc.Z AAAA", "NX"),
            ("K-016", "_http._quic.web.shop.svc.Z SRV", "NX"),
            ("K-016", "web.shop.pod.Z A", "NX"),
            ("K-016", "256.1.96.10.in-addr.arpa. PTR", "NX"),
            // What may.
            ("K-016", "shop.svc.Z A", "UNSYNCED"),
            ("K-016", "web.shop.svc.Z A", "UNSYNCED"),
            ("K-016", "web.shop.svc.Z A +rd", "UNSYNCED rd"),
            ("K-016", "web.shop.svc.Z A +edns", "UNSYNCED; edns 1232 ede=14"),
            ("K-016", "WEB.shop.svc.CLUSTER.local. A", "UNSYNCED"),
            ("K-016", "db.data.svc.Z SRV +do", "UNSYNCED; edns 1232 do ede=14"),
            ("K-016", "web.shop.svc.Z TXT", "UNSYNCED"),
            ("K-016", "db-0.db.data.svc.Z A", "UNSYNCED"),
            ("K-016", "_tcp.web.shop.svc.Z SRV", "UNSYNCED"),
            ("K-016", "_http._tcp.web.shop.svc.Z SRV", "UNSYNCED"),
            ("K-016", "_http._udp.web.shop.svc.Z SRV", "UNSYNCED"),
            ("K-016", "shop.pod.Z A", "UNSYNCED"),
            ("K-016", "10-1-2-3.shop.pod.Z A", "UNSYNCED"),
            ("K-016", "arpa:10.96.1.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:fd00::1 PTR +edns", "UNSYNCED; edns 1232 ede=14"),
            ("K-016", "arpa:9.9.9.9 PTR", "UNSYNCED"),
        ],
    );
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    let reply = client.exchange(&Ask::parse("Z SOA").bytes(7)).unwrap();
    let serial =
        Message::from_vec(&reply).unwrap().answers.into_iter().find_map(|record| match record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        });
    assert_eq!(serial, Some(0), "K-006: before any change");
}

#[test]
fn before_the_sync_nothing_of_the_cluster_falls_through() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let options = ["startup_timeout 5ms", "fallthrough"];
    let zones = "cluster.local in-addr.arpa ip6.arpa 198.51.100.0/24";
    let running = unsynced(zones, &missing, &options, &["whoami"], ServeOptions::default());
    check_rows(
        &running,
        5,
        &[
            ("K-016", "web.shop.svc.Z A", "UNSYNCED"),
            ("K-016", "nothing.shop.svc.Z A", "UNSYNCED"),
            ("K-016", "nowhere.svc.Z A", "UNSYNCED"),
            ("K-016", "arpa:10.1.2.3 PTR", "UNSYNCED"),
            ("K-016", "arpa:172.16.0.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:172.31.255.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:192.168.1.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:100.64.0.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:169.254.1.1 PTR", "UNSYNCED"),
            ("K-016", "arpa:fd12::1 PTR", "UNSYNCED"),
            ("K-016", "arpa:fe80::1 PTR", "UNSYNCED"),
            ("K-016", "arpa:198.51.100.7 PTR", "UNSYNCED 100.51.198.in-addr.arpa."),
        ],
    );
    check_falls(
        &running,
        &[
            ("K-016", "arpa:9.9.9.9 PTR", true),
            ("K-016", "arpa:172.32.0.1 PTR", true),
            ("K-016", "arpa:100.128.0.1 PTR", true),
            ("K-016", "arpa:2001:db8::1 PTR", true),
            ("K-001", "www.example.com. A", true),
        ],
    );
}

#[test]
fn a_query_before_the_sync_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let options = ["startup_timeout 1m"];
    let running = unsynced(ZONES, &missing, &options, &["ready 127.0.0.1:0"], ServeOptions::default());
    let ready = running.ready().expect("an address for /ready");
    let (status, body) = get(ready, "/ready");
    assert_eq!((status, body.trim()), (503, "kubernetes"), "K-235");
    let mut clients = Client::all(&running.addresses());
    let waiting = Ask::parse("web.shop.svc.Z A");
    for client in &mut clients {
        client.send(&waiting.bytes(1));
    }
    for client in &mut clients {
        assert_eq!(client.receive(SILENCE), None, "K-230: it waits");
        // One that waits holds up none that need not.
        client.send(&Ask::parse("Z SOA").bytes(2));
        let other = client.receive(PATIENCE).expect("K-230: an answer beside it");
        assert_eq!(other[..2], [0, 2], "K-230");
    }
    fill(&missing);
    for client in &mut clients {
        let reply = client.receive(PATIENCE).expect("K-230: an answer after the sync");
        let text = super::harness::text(&reply, &waiting.bytes(1));
        assert_eq!((&reply[..2], text.as_str()), (&[0, 1][..], "NOERROR aa\nanswer @ 5 A 10.96.1.1\n"));
    }
    assert!(running.wait_synced(PATIENCE));
    assert_eq!(get(ready, "/ready").0, 200, "K-235");
}

#[test]
fn how_many_queries_wait_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let more = ServeOptions { waiting: 4, ..ServeOptions::default() };
    let running = unsynced(ZONES, &missing, &["startup_timeout 1m"], &[], more);
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    for id in 0..10 {
        client.send(&Ask::parse("web.shop.svc.Z A").bytes(id));
    }
    for _ in 0..6 {
        let reply = client.receive(PATIENCE).expect("K-230: SERVFAIL for those that found no place");
        assert_eq!(reply[3] & 15, 2, "K-230: SERVFAIL");
    }
    assert_eq!(client.receive(SILENCE), None, "K-230: four wait");
    fill(&missing);
    for _ in 0..4 {
        let reply = client.receive(PATIENCE).expect("K-230: an answer after the sync");
        assert_eq!(reply[3] & 15, 0, "K-230");
    }
}

/// Status and body of a page.
fn get(from: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&from, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let status = page.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, page.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// An address of this machine that others could reach; none where there is only loopback.
fn own_address() -> Option<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    interfaces.iter().map(if_addrs::Interface::ip).find(|ip| ip.is_ipv4() && !ip.is_loopback())
}

#[test]
fn the_service_in_front_of_the_server_is_its_name_server() {
    let Some(own) = own_address() else { return };
    let folder = tempfile::tempdir().unwrap();
    let slice = |service: &str| {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {service}-1, namespace: sys, labels: {{kubernetes.io/service-name: {service}}}}}\n\
             addressType: IPv4\nports: []\nendpoints: [{{addresses: [{own}], hostname: here}}, \
             {{addresses: [10.244.0.2]}}]\n"
        )
    };
    let service = |name: &str, ip: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: sys}}\n\
             spec: {{clusterIP: {ip}}}\n"
        )
    };
    let text =
        service("dns", "10.96.0.10") + &slice("dns") + &service("dns-pods", "None") + &slice("dns-pods");
    std::fs::write(folder.path().join("dns.yaml"), text).unwrap();
    let text = block(".", "cluster.local in-addr.arpa", folder.path(), &[], &[])
        .replace("bind 127.0.0.1 ::1", &format!("bind {own}"));
    let running = start(&text);
    let addresses = running.addresses();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    let glue = format!("@ A 10.96.0.10; @ A {own}; @ A 10.244.0.2");
    let servers = format!(
        "@ NS dns.sys.svc.Z; @ NS here.dns-pods.sys.svc.Z; @ NS 10-244-0-2.dns-pods.sys.svc.Z; \
         +dns.sys.svc.Z A 10.96.0.10; +here.dns-pods.sys.svc.Z A {own}; \
         +10-244-0-2.dns-pods.sys.svc.Z A 10.244.0.2"
    );
    let reverse = format!("@ NS ns.dns.in-addr.arpa.; +ns.dns.in-addr.arpa. A {own}");
    for mut client in Client::all(&addresses) {
        for (rule, question, want) in [
            ("K-052", "Z NS", servers.as_str()),
            ("K-052", "in-addr.arpa. NS", &reverse),
            ("K-054", "ns.dns.Z A", &glue),
        ] {
            let ask = Ask::parse(question);
            assert_eq!(client.ask(&ask), super::harness::expand(want, &ask, 5), "{rule}: {question}");
        }
    }
}

#[test]
fn changes_of_the_cluster_are_answered_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    let write = |ip: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\n\
             spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}\n\
             addressType: IPv4\nports: []\nendpoints: [{{addresses: [10.244.0.9]}}]\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write("10.96.0.1");
    let running = start(&block(".", ZONES, folder.path(), &[], &[]));
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    let mut becomes = |question: &str, want: &str| {
        let ask = Ask::parse(question);
        let want = super::harness::expand(want, &ask, 5);
        // A look at the folder is due at least every few seconds.
        let came = (0..100).any(|_| client.ask(&ask) == want || client.receive(SILENCE).is_some());
        assert!(came, "K-263: {question} did not become {want}");
    };
    becomes("web.shop.svc.Z A", "@ A 10.96.0.1");
    write("10.96.0.2");
    becomes("web.shop.svc.Z A", "@ A 10.96.0.2");
    becomes("arpa:10.96.0.1 PTR", "NX");
    becomes("arpa:10.96.0.2 PTR", "@ PTR web.shop.svc.Z");
    std::fs::write(
        &file,
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n\
         addressType: IPv4\nports: []\nendpoints: [{addresses: [10.244.0.9]}]\n",
    )
    .unwrap();
    becomes("web.shop.svc.Z A", "NX");
    becomes("arpa:10.96.0.2 PTR", "NX");
    becomes("arpa:10.244.0.9 PTR", "@ PTR 10-244-0-9.web.shop.svc.Z");
    std::fs::remove_file(&file).unwrap();
    becomes("arpa:10.244.0.9 PTR", "NX");
    becomes("shop.svc.Z A", "NX");
}
