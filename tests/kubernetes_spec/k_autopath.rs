//! Section K: the search list of a client, walked by the server (K-255).

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use signpost::app::{Running, ServeOptions, serve};

use super::harness::{Ask, Client, start};
use super::{Row, check_rows};

/// A cluster in which those who ask, over IPv4 and IPv6, are pods of `shop`; one node's address is that of pods of two
/// namespaces.
const CLUSTER: &str = "\
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Namespace, apiVersion: v1, metadata: {name: data}}
---
{kind: Pod, apiVersion: v1, metadata: {name: asker, namespace: shop}, status: {podIPs: [{ip: 127.0.0.1}, {ip: '::1'}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: web, namespace: shop}, spec: {clusterIP: 10.96.1.1, ports: [{name: http, port: 80}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: db, namespace: data}, spec: {clusterIP: 10.96.1.2, ports: [{name: pg, port: 5432}]}}
";

/// A pod of another namespace on the same address.
const BESIDE: &str = "\
---
{kind: Pod, apiVersion: v1, metadata: {name: agent, namespace: data}, status: {podIP: 127.0.0.1}}
";

/// A server with this line of `autopath`, these lines in its stanza, and this cluster.
fn server(autopath: &str, options: &[&str], cluster: &str) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("cluster")).unwrap();
    std::fs::write(folder.path().join("cluster/all.yaml"), cluster).unwrap();
    std::fs::write(
        folder.path().join("resolv.conf"),
        "search first.test second.test\nnameserver 192.0.2.1\n",
    )
    .unwrap();
    let line = autopath.replace("FOLDER", &folder.path().display().to_string());
    let mut text = format!(". {{\n    bind 127.0.0.1 ::1\n    prometheus 127.0.0.1:0\n    {line}\n");
    std::fs::write(folder.path().join("hosts"), "192.0.2.77 www.example.com\n192.0.2.78 www.second.test\n")
        .unwrap();
    let _ = writeln!(text, "    hosts {}/hosts example.com second.test", folder.path().display());
    let _ = writeln!(
        text,
        "    kubernetes cluster.local {{\n        manifests {}/cluster",
        folder.path().display()
    );
    for option in options {
        let _ = writeln!(text, "        {option}");
    }
    text.push_str("    }\n}\n");
    (start(&text), folder)
}

#[test]
fn a_name_outside_is_found_with_one_query() {
    let (running, _folder) = server("autopath @kubernetes", &["pods verified"], CLUSTER);
    check_rows(
        &running,
        5,
        &[
            (
                "K-255",
                "www.example.com.shop.svc.Z A",
                "@ 3600 CNAME www.example.com.; www.example.com. 3600 A 192.0.2.77",
            ),
            (
                "K-255",
                "WWW.Example.Com.Shop.svc.cluster.Local. A",
                "@ 3600 CNAME WWW.Example.Com.; WWW.Example.Com. 3600 A 192.0.2.77",
            ),
            // A name of the own namespace is itself.
            ("K-255", "web.shop.svc.Z A", "@ A 10.96.1.1"),
            ("K-255", "web.shop.svc.Z AAAA", "NODATA"),
            // Further down the list.
            ("K-255", "db.data.shop.svc.Z A", "@ CNAME db.data.svc.Z; db.data.svc.Z A 10.96.1.2"),
            ("K-255", "db.data.svc.shop.svc.Z A", "@ CNAME db.data.svc.Z; db.data.svc.Z A 10.96.1.2"),
            (
                "K-255",
                "_pg._tcp.db.data.shop.svc.Z SRV",
                "@ CNAME _pg._tcp.db.data.svc.Z; _pg._tcp.db.data.svc.Z SRV 0 100 5432 db.data.svc.Z; \
                 +db.data.svc.Z A 10.96.1.2",
            ),
            // It exists, without data: that ends the walk.
            ("K-255", "db.data.shop.svc.Z AAAA", "NODATA"),
            // Nothing at all: the first reply.
            ("K-255", "nothing.nowhere.shop.svc.Z A", "NX"),
            ("K-255", "nothing.shop.svc.Z A", "NX"),
            // The search list of a pod in another namespace, and no search at all.
            ("K-255", "www.example.com.data.svc.Z A", "NX"),
            ("K-255", "shop.svc.Z A", "NODATA"),
            ("K-255", "www.example.com.svc.Z A", "NX"),
            ("K-255", "www.example.com. A", "@ 3600 A 192.0.2.77"),
        ],
    );
}

#[test]
fn names_that_were_found_are_counted() {
    let (running, _folder) = server("autopath @kubernetes", &["pods verified"], CLUSTER);
    let mut client = Client::new(super::harness::Via::Udp, running.addresses()[0]);
    for name in ["www.example.com.shop.svc.Z A", "nothing.nowhere.shop.svc.Z A", "web.shop.svc.Z A"] {
        client.ask(&Ask::parse(name));
    }
    let mut stream = TcpStream::connect(running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with("coredns_autopath_success_total{server=\"dns://"));
    assert!(line.is_some_and(|line| line.ends_with(" 2")), "{line:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_said() {
    let text = ".:0 {\n bind 127.0.0.1\n autopath /no/such/file\n whoami\n}\n".to_owned();
    let Err(error) = serve(ServeOptions { text, ..ServeOptions::default() }) else { panic!("it starts") };
    let said = format!("{error:?} {error}");
    assert!(said.contains("/no/such/file"), "{said}");
}

#[test]
fn on_a_shared_address_the_name_tells_whose_list_it_is() {
    let (running, _folder) =
        server("autopath @kubernetes", &["pods verified"], &format!("{CLUSTER}{BESIDE}"));
    let rows: &[Row] = &[
        (
            "K-255",
            "www.example.com.shop.svc.Z A",
            "@ 3600 CNAME www.example.com.; www.example.com. 3600 A 192.0.2.77",
        ),
        ("K-255", "www.example.com.other.svc.Z A", "NX"),
    ];
    check_rows(&running, 5, rows);
    let four = running.addresses().into_iter().find(std::net::SocketAddr::is_ipv4).unwrap();
    let mut client = Client::new(super::harness::Via::Udp, four);
    let got = client.ask(&Ask::parse("www.example.com.data.svc.Z A"));
    assert!(got.contains("CNAME www.example.com."), "{got}");
}

#[test]
fn without_pods_to_tell_who_asks_there_is_no_search() {
    for options in [&["pods insecure"][..], &[]] {
        let (running, _folder) = server("autopath @kubernetes", options, CLUSTER);
        check_rows(&running, 5, &[("K-255", "www.example.com.shop.svc.Z A", "NX")]);
    }
    // The line is for other zones.
    let (running, _folder) = server("autopath example.net @kubernetes", &["pods verified"], CLUSTER);
    check_rows(&running, 5, &[("K-255", "www.example.com.shop.svc.Z A", "NX")]);
}

#[test]
fn a_file_gives_the_same_list_to_all() {
    let (running, _folder) = server("autopath FOLDER/resolv.conf", &[], CLUSTER);
    check_rows(
        &running,
        5,
        &[
            (
                "K-255",
                "www.first.test. A",
                "@ 3600 CNAME www.second.test.; www.second.test. 3600 A 192.0.2.78",
            ),
            (
                "K-255",
                "www.example.com.first.test. A",
                "@ 3600 CNAME www.example.com.; www.example.com. 3600 A 192.0.2.77",
            ),
            ("K-255", "www.example.com.shop.svc.Z A", "NX"),
            // Nobody knows the first element itself, and it is no name in front of it.
            ("K-255", "first.test. A", "SERVFAIL"),
        ],
    );
}
