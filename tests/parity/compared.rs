//! `signpost compare` against CoreDNS: of all that a cluster gives rise to, nothing differs but on purpose.

use std::process::Command;

use signpost::app::{ServeOptions, serve};

use crate::api::FakeApi;
use crate::coredns::{CoreDns, free_port};
use crate::corefile;
use crate::harness::PATIENCE;
use crate::questions::manifests;

/// Names whose replies differ on purpose, which the command can't know, by the rules that say so.
const LEFT: &[(&str, &str)] =
    &[("fqdn.data.svc.cluster.local.", "K-121"), ("to-ns.shop.svc.cluster.local.", "K-059a")];

#[test]
fn what_compare_finds_beside_coredns_is_on_purpose() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    let (api, other) = (FakeApi::start(), FakeApi::start());
    api.apply_all(manifests("cluster"));
    other.apply_all(manifests("other"));
    let options = &["pods insecure", "ttl 30"];
    let theirs = CoreDns::start(&binary, |port| corefile(port, &api.url(), &other.url(), options));
    let text = corefile(free_port(), &api.url(), &other.url(), options);
    let ours = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(ours.wait_synced(PATIENCE));
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.args(["compare", "--ttl", "--format", "json", "--from-manifests", "tests/fixtures/cluster"]);
    command.args(["--server", &ours.addresses()[0].to_string(), "--against", &theirs.addr.to_string()]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    eprintln!("{} questions, {} on purpose", report["questions"], report["on_purpose"]);
    let mut unmeant: Vec<&str> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["differences"].as_array().unwrap().iter().any(|one| one["rule"].is_null()))
        .map(|found| found["name"].as_str().unwrap())
        .collect();
    unmeant.dedup();
    // What a reply alone can't tell from a Service that one of the two does not know: these are left to people.
    let meant: Vec<&str> = LEFT.iter().map(|(name, _)| *name).collect();
    assert_eq!(unmeant, meant, "{out}");
    assert_eq!(output.status.code(), Some(4));
    assert!(
        report["questions"].as_u64().unwrap() > 300 && report["on_purpose"].as_u64().unwrap() > 0,
        "{out}"
    );
}
