//! The bill of materials of a binary: every crate that is linked into it, as CycloneDX 1.5.
//!
//! Which crates those are is said by `cargo tree` (normal dependencies for one target, features as they are built); their licences
//! and who needs whom by `cargo metadata`; their checksums by Cargo.lock. No time and nothing random goes in: the same
//! source and binary make the same bill.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// A crate by name and version.
type Package = (String, String);

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    /// Every package that there may be.
    packages: Vec<Described>,
    /// Who needs whom.
    resolve: Resolve,
}

/// A package, described.
#[derive(Deserialize)]
struct Described {
    /// What `Resolve` calls it.
    id: String,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// Its licence, as an SPDX expression.
    license: Option<String>,
    /// What it is.
    description: Option<String>,
    /// Where its source is kept.
    repository: Option<String>,
}

/// Who needs whom.
#[derive(Deserialize)]
struct Resolve {
    /// Every package.
    nodes: Vec<Node>,
}

/// A package and what it needs.
#[derive(Deserialize)]
struct Node {
    /// The package.
    id: String,
    /// What it needs.
    dependencies: Vec<String>,
}

/// The bill of the binary for `target`, whose SHA-256 is `digest`.
pub(crate) fn bill(root: &Path, target: &str, digest: &str) -> anyhow::Result<Value> {
    let checksums = checksums(&std::fs::read_to_string(root.join("Cargo.lock"))?);
    let text = cargo(root, &["metadata", "--locked", "--format-version", "1", "--filter-platform", target])?;
    let metadata: Metadata = serde_json::from_str(&text).context("reading cargo metadata")?;
    let described: BTreeMap<&str, &Described> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let key = |package: &Described| (package.name.clone(), package.version.clone());
    let linked = reached(&listed(root, target)?, &metadata, &described);

    let mut components = Vec::new();
    let mut root_component = Value::Null;
    let mut found = BTreeSet::new();
    for package in described.values().filter(|package| linked.contains(&key(package))) {
        let mut component = json!({
            "type": "library",
            "bom-ref": reference(&key(package)),
            "name": package.name,
            "version": package.version,
            "purl": reference(&key(package)),
            "licenses": [{"expression": spdx(package.license.as_deref().context("a crate without licence")?)}],
        });
        if let Some(description) = &package.description {
            component["description"] = description.trim().into();
        }
        if let Some(repository) = &package.repository {
            component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
        }
        if package.name == env!("CARGO_PKG_NAME") {
            component["type"] = "application".into();
            component["hashes"] = json!([{"alg": "SHA-256", "content": digest}]);
            root_component = component;
        } else {
            let checksum = checksums.get(&key(package));
            let checksum = checksum.with_context(|| format!("{} has no checksum", package.name))?;
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
            components.push(component);
        }
        found.insert(key(package));
    }
    ensure!(found == linked, "not described: {:?}", linked.difference(&found).collect::<Vec<_>>());

    let mut dependencies = Vec::new();
    for node in &metadata.resolve.nodes {
        let Some(package) = described.get(node.id.as_str()).filter(|one| linked.contains(&key(one))) else {
            continue;
        };
        let needs: BTreeSet<String> = node
            .dependencies
            .iter()
            .filter_map(|id| described.get(id.as_str()))
            .map(|package| key(package))
            .filter(|needed| linked.contains(needed) && *needed != key(package))
            .map(|needed| reference(&needed))
            .collect();
        dependencies.push(json!({"ref": reference(&key(package)), "dependsOn": needs}));
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(digest)?,
        "version": 1,
        "metadata": {
            "component": root_component,
            "properties": [{"name": "target", "value": target}],
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The crates that cargo lists for a target, macros left out, which run at build time and are not linked.
fn listed(root: &Path, target: &str) -> anyhow::Result<BTreeSet<Package>> {
    let args =
        ["tree", "--locked", "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}"];
    let mut listed = BTreeSet::new();
    for line in cargo(root, &args)?.lines().filter(|line| !line.trim().is_empty()) {
        // `name v1.2.3 (proc-macro)`, `name v1.2.3 (*)`.
        let mut words = line.split_whitespace();
        let (name, version) = (words.next().context("a name")?, words.next().context("a version")?);
        if !line.contains("(proc-macro)") {
            listed.insert((name.to_owned(), version.trim_start_matches('v').to_owned()));
        }
    }
    Ok(listed)
}

/// Those of `listed` that are needed by others than macros.
fn reached(
    listed: &BTreeSet<Package>,
    metadata: &Metadata,
    described: &BTreeMap<&str, &Described>,
) -> BTreeSet<Package> {
    let of = |id: &str| described.get(id).map(|package| (package.name.clone(), package.version.clone()));
    let nodes: BTreeMap<Package, &Node> =
        metadata.resolve.nodes.iter().filter_map(|node| Some((of(&node.id)?, node))).collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<Package> =
        listed.iter().filter(|(name, _)| name == env!("CARGO_PKG_NAME")).cloned().collect();
    while let Some(package) = open.pop() {
        let needs = nodes.get(&package).into_iter().flat_map(|node| &node.dependencies);
        open.extend(
            needs
                .filter_map(|id| of(id))
                .filter(|needed| listed.contains(needed) && !reached.contains(needed)),
        );
        reached.insert(package);
    }
    reached
}

/// What cargo prints.
fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo).current_dir(root).args(args).output().context("running cargo")?;
    ensure!(output.status.success(), "cargo {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The checksums of Cargo.lock.
fn checksums(lock: &str) -> BTreeMap<Package, String> {
    let field = |package: &str, name: &str| {
        let start = format!("\n{name} = \"");
        let (_, rest) = package.split_once(&start)?;
        Some(rest.split('"').next()?.to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|package| {
            Some(((field(package, "name")?, field(package, "version")?), field(package, "checksum")?))
        })
        .collect()
}

/// The package URL of a crate, by which the bill refers to it.
fn reference((name, version): &Package) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// A licence as an SPDX expression: some crates still write a slash for `OR`.
fn spdx(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// The bill's own number: a UUID of version 8, made of the digest.
fn serial(digest: &str) -> anyhow::Result<String> {
    let part = |range: std::ops::Range<usize>| digest.get(range).context("a SHA-256 has 64 digits");
    Ok(format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0..8)?,
        part(8..12)?,
        part(13..16)?,
        part(17..20)?,
        part(20..32)?
    ))
}
