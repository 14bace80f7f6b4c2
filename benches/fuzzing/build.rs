//! Building the programs of fuzz/: coverage as libFuzzer wants it, and AddressSanitizer where it is asked for.

use std::process::Command;

use anyhow::{Context as _, bail};
use signpost::fuzzing::Target;

use super::{Flags, Places};

/// Coverage as libFuzzer wants it: edges counted in bytes, comparisons told. Source: what cargo-fuzz passes.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
                        -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing";

/// What is added for AddressSanitizer.
const ADDRESS: &str = "-Zsanitizer=address";

/// Builds the programs of these targets; what an earlier run has compiled, one that was ended halfway too, is not compiled again.
///
/// Errors: no C++ compiler, no nightly one, or what the compiler says.
pub(super) fn build(places: &Places, folder: &str, flags: &Flags, chosen: &[&Target]) -> anyhow::Result<()> {
    let mut cargo = if flags.address {
        let mut cargo = Command::new("rustup");
        cargo.args(["run", "nightly", "cargo"]);
        cargo
    } else {
        Command::new(env!("CARGO"))
    };
    let rust_flags = if flags.address { format!("{COVERAGE} {ADDRESS}") } else { COVERAGE.to_owned() };
    // With a machine named, build scripts and macros are spared the flags.
    let status = cargo
        .args(["build", "--release", "--locked", "--target", &flags.triple])
        .args(chosen.iter().flat_map(|target| ["--bin", target.name]))
        .args(["--target-dir", folder])
        .env("RUSTFLAGS", rust_flags)
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(&places.root)
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("the targets could not be built: {status}");
    }
    Ok(())
}
