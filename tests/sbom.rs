//! The bill of materials that `cargo image` writes names what is linked, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

#[path = "../benches/image/sbom.rs"]
mod sbom;

/// A digest that stands for that of a binary.
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The bill for a target.
fn bill(target: &str) -> Value {
    sbom::bill(Path::new(env!("CARGO_MANIFEST_DIR")), target, DIGEST).unwrap()
}

/// The names of its components.
fn names(bill: &Value) -> BTreeSet<String> {
    let components = bill["components"].as_array().unwrap();
    components.iter().map(|component| component["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_linked_is_on_the_bill_and_what_tests_need_is_not() {
    let bill = bill("x86_64-unknown-linux-gnu");
    let names = names(&bill);
    for linked in ["tokio", "rustls", "ring", "hickory-proto", "kube-client", "quinn", "clap"] {
        assert!(names.contains(linked), "{linked} is linked");
    }
    for not in ["proptest", "rcgen", "tempfile", "socket2-test", "hickory-server", "windows-sys", "signpost"]
    {
        assert!(!names.contains(not), "{not} is not linked");
    }
    assert_eq!(bill["metadata"]["component"]["name"], "signpost");
    assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], DIGEST);
    assert_eq!(bill["serialNumber"], "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
}

#[test]
fn every_component_has_a_licence_a_checksum_and_a_place_among_the_others() {
    let bill = bill("aarch64-unknown-linux-gnu");
    let mut references: BTreeSet<&str> = ["pkg:cargo/signpost@0.1.0"].into();
    for component in bill["components"].as_array().unwrap() {
        let name = &component["name"];
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!licence.is_empty() && !licence.contains('/'), "{name}: {licence}");
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{name}");
        assert!(references.insert(component["bom-ref"].as_str().unwrap()), "{name} twice");
    }
    let mut reached = BTreeSet::from(["pkg:cargo/signpost@0.1.0"]);
    let mut known = BTreeSet::new();
    for node in bill["dependencies"].as_array().unwrap() {
        known.insert(node["ref"].as_str().unwrap());
        for needed in node["dependsOn"].as_array().unwrap() {
            assert!(references.contains(needed.as_str().unwrap()), "{needed} is no component");
            reached.insert(needed.as_str().unwrap());
        }
    }
    assert_eq!(known, references);
    let lost: Vec<&&str> = references.difference(&reached).collect();
    assert!(lost.is_empty(), "nobody needs {lost:?}");
}

#[test]
fn the_same_source_makes_the_same_bill() {
    assert_eq!(bill("x86_64-unknown-linux-gnu"), bill("x86_64-unknown-linux-gnu"));
}
