//! `cargo image`: the static binary and the image around it, as far as this machine can make them.
//!
//! Bounded: one build of cargo, one of buildah. The image stays in buildah's local storage under `localhost/signpost`.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// What Rust calls the machine that the image is for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` and the like only want to know that this can be started.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = build(root)?;
    let size = std::fs::metadata(&binary)?.len();
    println!("{}: {:.1} MiB, static", binary.display(), mebibytes(size));
    if Command::new("buildah").arg("--version").output().is_err() {
        println!("not made: the image; there is no buildah here");
        return Ok(());
    }
    let context = tempfile::tempdir()?;
    std::fs::copy(&binary, context.path().join("signpost"))?;
    let status = Command::new("buildah")
        .args([
            "--storage-driver",
            "vfs",
            "bud",
            "--isolation",
            "chroot",
            "--tag",
            "localhost/signpost",
            "--file",
        ])
        .arg(root.join("Dockerfile"))
        .arg(context.path())
        .status()
        .context("running buildah")?;
    if !status.success() {
        bail!("buildah ended with {status}");
    }
    Ok(())
}

/// Builds the static binary; returns where it is.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args(["build", "--locked", "--profile", "dist", "--bin", "signpost", "--target", TARGET])
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join("dist/signpost"))
}

/// Bytes in MiB.
#[allow(clippy::cast_precision_loss, reason = "a size for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
