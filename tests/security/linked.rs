//! What is linked: sources and bans are looked at by tests/tidy.rs; here are licences, features, and versions that are past
//! the advisories known to us.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::page::read;

/// What cargo knows of all packages, with their features as they are built here. What no build here needed is fetched first.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let ask = |offline: &[&str]| {
            let mut command = Command::new(env!("CARGO"));
            command.args(["metadata", "--format-version", "1", "--locked", "--all-features"]).args(offline);
            command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
        };
        let mut output = ask(&["--offline"]);
        if !output.status.success() {
            output = ask(&[]);
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

/// A field of an object as text.
fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// The licences that deny.toml allows.
fn allowed() -> Vec<String> {
    let page = read("deny.toml");
    let (_, rest) = page.split_once("\nallow = [\n").unwrap();
    let list = rest.split("\n]").next().unwrap();
    list.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// Whether an expression of licences (SPDX) can be met by those allowed.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    // Old crates write a slash for `OR`.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        match words.last_mut() {
            // An exception belongs to its licence.
            Some(last) if word == "WITH" || last.ends_with(" WITH") => *last = format!("{last} {word}"),
            _ => words.push(word.to_owned()),
        }
    }
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

/// Alternatives.
fn any(words: &[String], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

/// What is wanted together.
fn all(words: &[String], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

/// A licence, or an expression in brackets.
fn one(words: &[String], at: &mut usize, allowed: &[String]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if word != "(" {
        return allowed.contains(word);
    }
    let met = any(words, at, allowed);
    *at += 1;
    met
}

#[test]
fn expressions_of_licences_are_read_as_spdx_means_them() {
    let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for met in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "MIT AND (Apache-2.0 OR GPL-3.0)",
        "Apache-2.0 WITH LLVM-exception OR X",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for not_met in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND ISC", "MIT WITH x", "MIT )"] {
        assert!(!is_met(not_met, &allowed), "{not_met}");
    }
}

/// Whether a package is in what is built for some machine that we build for: dependencies of its own, not of tests.
fn linked() -> Vec<&'static Value> {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let root = text(&metadata["resolve"], "root");
    let mut found = vec![root];
    let mut at = 0;
    while let Some(id) = found.get(at).copied() {
        at += 1;
        let node = nodes.iter().find(|node| text(node, "id") == id).unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            let wanted = kinds.iter().any(|kind| {
                let target = text(kind, "target");
                text(kind, "kind") != "dev"
                    && !["windows", "wasm", "apple", "macos", "hermit", "wasi", "android", "redox"]
                        .iter()
                        .any(|other| target.contains(other))
            });
            let package = text(dependency, "pkg");
            if wanted && !found.contains(&package) {
                found.push(package);
            }
        }
    }
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().filter(|package| found.contains(&text(package, "id"))).collect()
}

#[test]
fn every_licence_is_one_that_is_allowed() {
    let allowed = allowed();
    assert!(allowed.len() > 4 && allowed.iter().all(|licence| !licence.contains("GPL")), "{allowed:?}");
    let linked = linked();
    assert!(linked.len() > 100, "{}", linked.len());
    let wrong: Vec<String> = linked
        .iter()
        .filter(|package| !is_met(text(package, "license"), &allowed))
        .map(|package| {
            format!("{} {}: {}", text(package, "name"), text(package, "version"), package["license"])
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

/// Crates with a known fault, the first version without it, and the advisories; all lines of versions that we could lock.
const PAST: &[(&str, &str, &str)] = &[
    ("bytes", "1.11.1", "RUSTSEC-2026-0007"),
    ("crossbeam-epoch", "0.9.20", "RUSTSEC-2026-0204"),
    ("h2", "0.4.16", "RUSTSEC-2026-0258, RUSTSEC-2024-0332, RUSTSEC-2024-0003"),
    ("hickory-proto", "0.26.1", "RUSTSEC-2026-0119, RUSTSEC-2026-0118, RUSTSEC-2025-0006"),
    ("hickory-net", "0.26.1", "RUSTSEC-2026-0118, RUSTSEC-2026-0120"),
    ("quinn-proto", "0.11.15", "RUSTSEC-2026-0185, RUSTSEC-2026-0037, RUSTSEC-2024-0373"),
    ("rustls", "0.23.18", "RUSTSEC-2024-0336, RUSTSEC-2024-0399"),
    (
        "rustls-webpki",
        "0.103.13",
        "RUSTSEC-2026-0104, RUSTSEC-2026-0098, RUSTSEC-2026-0099, RUSTSEC-2026-0049",
    ),
];

/// Crates that have no fixed version, and are not linked.
const NEVER: &[(&str, &str)] = &[
    ("hickory-recursor", "RUSTSEC-2026-0106"),
    ("trust-dns-proto", "RUSTSEC-2025-0017, RUSTSEC-2018-0007"),
    ("trust-dns-server", "RUSTSEC-2023-0041, RUSTSEC-2020-0001"),
    ("openssl", "one TLS library"),
    ("openssl-sys", "one TLS library"),
    ("native-tls", "one TLS library"),
    ("aws-lc-rs", "one provider of TLS"),
    ("aws-lc-sys", "one provider of TLS"),
];

/// A version as numbers.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

#[test]
fn rustsec_every_crate_is_past_the_advisories_that_are_known() {
    let packages = metadata()["packages"].as_array().unwrap();
    let mut seen = 0;
    for (name, past, advisories) in PAST {
        for package in packages.iter().filter(|package| text(package, "name") == *name) {
            let version = text(package, "version");
            assert!(numbers(version) >= numbers(past), "{name} {version}: {advisories}, fixed in {past}");
            seen += 1;
        }
    }
    assert!(seen >= 5, "most of them are linked: {seen}");
    for (name, why) in NEVER {
        assert!(packages.iter().all(|package| text(package, "name") != *name), "{name}: {why}");
    }
}

#[test]
fn rustsec_no_signatures_are_validated_and_nothing_recurses() {
    let nodes = metadata()["resolve"]["nodes"].as_array().unwrap();
    let mut seen = 0;
    for node in nodes.iter().filter(|node| text(node, "id").contains("hickory-")) {
        seen += 1;
        for feature in node["features"].as_array().unwrap() {
            let feature = feature.as_str().unwrap();
            assert!(!feature.contains("dnssec") && feature != "recursor", "{}: {feature}", node["id"]);
        }
    }
    assert!(seen >= 2, "{seen}");
}
