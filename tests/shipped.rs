//! The Corefiles of config/: each is read by this version, and outlives its upstreams.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use signpost::corefile::{self, NoImports, Spec};

/// The Corefiles below config/, those in manifests aside.
fn corefiles() -> Vec<(PathBuf, Spec)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path().join("Corefile");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let spec = corefile::parse("Corefile", &text, &NoImports)
                .unwrap_or_else(|error| panic!("{}: {}", file.display(), error.render()));
            found.push((file, spec));
        }
    }
    assert!(found.len() >= 3, "{}", found.len());
    found
}

#[test]
fn whoever_forwards_keeps_answers_beyond_their_time() {
    let mut seen = 0;
    for (file, spec) in corefiles() {
        for block in &spec.blocks {
            let find = |word: &str| block.directives.iter().find(|line| line.word.text == word);
            if find("forward").is_none() {
                continue;
            }
            let cache = find("cache").unwrap_or_else(|| panic!("{}: no cache", file.display()));
            assert!(cache.lines().iter().any(|line| line.word.text == "serve_stale"), "{}", file.display());
            assert!(find("loop").is_some() && find("reload").is_some(), "{}", file.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn every_cluster_zone_has_the_hostnames_of_pods() {
    for (file, spec) in corefiles() {
        for block in &spec.blocks {
            if let Some(line) = block.directives.iter().find(|line| line.word.text == "kubernetes") {
                assert!(
                    line.lines().iter().any(|line| line.word.text == "pod_hostnames"),
                    "{}",
                    file.display()
                );
            }
        }
    }
}
