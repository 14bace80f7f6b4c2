//! Every Corefile of `tests/corefiles/in_use/` in /etc/coredns with what stands beside it there, asked the same questions; and a
//! real CoreDNS with the same files, where `COREDNS_BIN` names one.
//!
//! What we answer stands in `expected` beside each Corefile; `UPDATE_GOLDEN=1` rewrites it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{OUTSIDE, STUB, cluster};
use crate::harness::Via;
use crate::namespace::{RESOLVER, SERVER, here, inside, run};
use crate::script::Upstream;
use crate::world::{PATIENCE, Server, ask_at, brief, fetch};

/// Set in the process that a test runs again as: which of the Corefiles it is about.
const WHICH: &str = "SIGNPOST_TEST_COREFILE";

/// Corefiles that CoreDNS cannot read: they have words of ours.
const OURS: &[&str] = &["kube-dns"];

/// What is asked, as a client with a search list and one without asks it.
const PROBES: &[&str] = &[
    "web.shop.svc.Z A +rd",
    "web.shop.svc.Z AAAA +rd",
    "WEB.Shop.svc.Z A +rd",
    "web.shop.svc.Z TXT +rd",
    "web.shop.svc.Z SRV +rd",
    "_http._tcp.web.shop.svc.Z SRV +rd",
    "db.shop.svc.Z A +rd",
    "db.shop.svc.Z SRV +rd",
    "db-0.db.shop.svc.Z A +rd",
    "10-244-0-9.web.shop.svc.Z A +rd",
    "kubernetes.default.svc.Z A +rd",
    "kube-dns.kube-system.svc.Z A +rd",
    "no.shop.svc.Z A +rd",
    "web.nowhere.svc.Z A +rd",
    "shop.svc.Z A +rd",
    "web.shop.Z A +rd",
    "dns-version.Z TXT +rd",
    "out.shop.svc.Z A +rd",
    "out.shop.svc.Z CNAME +rd",
    "10-244-0-9.shop.pod.Z A +rd",
    "10-244-0-200.shop.pod.Z A +rd",
    "10-244-0-9.nowhere.pod.Z A +rd",
    "arpa:10.96.0.7 PTR +rd",
    "arpa:10.244.0.2 PTR +rd",
    "arpa:10.96.0.200 PTR +rd",
    "arpa:198.51.100.7 PTR +rd",
    "www.example.org.shop.svc.Z A +rd",
    "www.example.org.svc.Z A +rd",
    "www.example.org.Z A +rd",
    "www.example.org. A +rd",
    "www.example.org. AAAA +rd",
    "gone.example.org. A +rd",
    "intranet.corp.example. A +rd",
    "registry.example.org. A +rd",
    "host.minikube.internal. A +rd",
    "node-a. A +rd",
    "node-b.lan.example. A +rd",
];

/// The folder of a Corefile.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles/in_use").join(name)
}

/// The Corefiles, but for that of node-local-dns, which has a test of its own.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "node-local-dns");
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Gives this process a /etc of its own that holds a Corefile and what stands beside it in /etc/coredns.
fn mount(name: &str) {
    run("cp -a /etc /run/etc");
    run("mount --bind /run/etc /etc");
    run("rm -rf /etc/coredns");
    run(&format!("cp -r {} /etc/coredns", folder(name).display()));
}

/// What a server answers to all of it, a line each, the records of an answer in order.
fn answers() -> Vec<String> {
    let line = |ask: &&str| {
        let brief = brief(&ask_at(SERVER, Via::Udp, ask));
        let mut words = brief.split(' ');
        let code = words.next().unwrap_or_default().to_owned();
        let mut records: Vec<String> = Vec::new();
        for word in words {
            // A mnemonic begins a record.
            match records.last_mut() {
                Some(record) if !["A", "AAAA", "CNAME", "SRV", "PTR", "TXT"].contains(&word) => {
                    record.push_str(&format!(" {word}"));
                }
                _ => records.push(word.to_owned()),
            }
        }
        records.sort();
        format!("{ask} => {code} {}", records.join(", ")).trim_end().to_owned()
    };
    PROBES.iter().map(line).collect()
}

/// Starts a server with what is mounted, and asks it.
fn ask_all(binary: &Path, api: &crate::api::FakeApi) -> (Vec<String>, Server) {
    let server = Server::run(binary, Path::new("/etc/coredns/Corefile"), Some(api));
    let ready = || fetch(SERVER, 8181, "/ready").is_some_and(|(status, _)| status == 200);
    server.until("/ready", PATIENCE, ready);
    // CoreDNS is ready before it listens.
    server.until("port 53", PATIENCE, || std::net::TcpStream::connect((SERVER, 53)).is_ok());
    (answers(), server)
}

/// Boots one Corefile.
fn boots(name: &str) {
    mount(name);
    let api = cluster();
    let _outside = Upstream::at(format!("{RESOLVER}:53").parse().unwrap(), OUTSIDE);
    let _stubs = ["192.0.2.10", "192.0.2.11"].map(|address| {
        here(address);
        Upstream::at(format!("{address}:53").parse().unwrap(), STUB)
    });
    let (ours, server) = ask_all(Path::new(env!("CARGO_BIN_EXE_signpost")), &api);
    server.complained_of_nothing();
    drop(server);
    let got = ours.join("\n") + "\n";
    let expected = folder(name).join("expected");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&expected, &got).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&expected).unwrap_or_default(), got, "{name}");
    let Some(theirs) = std::env::var_os("COREDNS_BIN").filter(|_| !OURS.contains(&name)) else { return };
    let (theirs, _server) = ask_all(Path::new(&theirs), &api);
    let differ: Vec<(&String, &String)> =
        ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty(), "{name}: we and CoreDNS: {differ:#?}");
}

#[test]
fn every_corefile_in_use_boots_and_answers_as_coredns_does() {
    let test = "corefiles::every_corefile_in_use_boots_and_answers_as_coredns_does";
    if let Some(name) = std::env::var_os(WHICH) {
        assert!(inside(test));
        return boots(&name.to_string_lossy());
    }
    // Each in namespaces of its own, by this test in a process of its own.
    for name in names() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", test, "--nocapture"]).env(WHICH, &name);
        if !crate::namespace::runs_inside(test, &mut again) {
            return;
        }
    }
}
