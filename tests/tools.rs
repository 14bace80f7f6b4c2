//! The commands beside serving, by the binary: check, explain, compare, doctor; and what is made from the words and the flags.
//!
//! `UPDATE_GOLDEN=1` rewrites the texts in `tests/tools/`, `docs/corefile.md`, `docs/signpost.1` and `docs/completions/`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(dead_code, reason = "each test binary uses a part of what it shares")]

#[path = "tools/check.rs"]
mod check;
#[path = "tools/compare.rs"]
mod compare;
#[path = "tools/doctor.rs"]
mod doctor;
#[path = "tools/explain.rs"]
mod explain;
#[path = "tools/kubedns.rs"]
mod kubedns;
#[path = "tools/looking.rs"]
mod looking;
#[path = "tools/observe.rs"]
mod observe;
#[path = "cli/process.rs"]
mod process;
#[path = "tools/reference.rs"]
mod reference;

use std::path::{Path, PathBuf};

/// A folder of the source tree.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares with a golden file, or rewrites it.
fn golden(path: &str, got: &str) {
    let path = tree(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == expected, "{} differs:\n{got}", path.display());
}

/// Runs the binary in a folder of the source tree; its stdout and its exit code.
fn run(folder: &str, args: &[&str]) -> (String, i32) {
    let said = process::run(&tree(folder), args);
    (said.out + "\n", said.code.unwrap())
}

/// Runs the binary where it has nothing to say: its stderr, which is one line of its own, and its exit code.
fn fault(folder: &str, args: &[&str]) -> (String, i32) {
    let said = process::run(&tree(folder), args);
    assert_eq!(said.out, "", "{args:?}: what was not asked for stands on stderr");
    assert!(said.err.starts_with("signpost: ") && said.err.lines().count() == 1, "{args:?}: {}", said.err);
    (said.err, said.code.unwrap())
}

/// Runs it; its stdout read as JSON, and its exit code.
fn json(folder: &str, args: &[&str]) -> (serde_json::Value, i32) {
    let (out, code) = run(folder, args);
    (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")), code)
}
