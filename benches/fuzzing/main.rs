//! What do minutes of libFuzzer find in each target of fuzz/?
//!
//! ```text
//!  fuzz/ ──(cargo build, coverage counted)──► a program a target ──► new inputs in fuzz/target/corpus, crashes in fuzz/artifacts
//! ```
//!
//! `cargo fuzzing` builds all programs with the stable compiler and a C++ compiler (libFuzzer is C++; `cargo fuzz` is not needed,
//! and works too), runs them one after another for a minute each, and prints a line for each; `cargo fuzzing --help` tells the
//! rest. Ends with an error where one crashed; the input is to become a file `found…` in fuzz/corpus.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::Parser;
use signpost::fuzzing::{TARGETS, Target};

/// Coverage as libFuzzer wants it: edges counted in bytes, comparisons told.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
                        --cfg fuzzing";

/// The most memory of a program. Unit: MiB.
const MEMORY: u32 = 1024;

/// The longest that one input may take. Unit: seconds.
const SLOW: u32 = 10;

/// Minutes of libFuzzer for each target.
#[derive(Parser, Debug)]
#[command(name = "fuzzing")]
struct Flags {
    /// Targets to run; all unless named.
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// How long each runs. Unit: seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The machine that it is built for, which is this one.
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    triple: String,
    /// Builds nothing: the programs are there.
    #[arg(long)]
    built: bool,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a run came to.
struct Run {
    /// How many inputs were tried.
    inputs: u64,
    /// How many a second.
    pace: u64,
    /// Edges that were reached.
    edges: u64,
    /// Inputs of the corpus at the end, those that reached something new among them.
    corpus: u64,
    /// Whether nothing was found.
    clean: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    if let Some(unknown) =
        flags.targets.iter().find(|name| !TARGETS.iter().any(|target| target.name == **name))
    {
        bail!("there is no target `{unknown}`");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !flags.built {
        build(&root, &flags)?;
    }
    let mut out = std::io::stdout();
    writeln!(out, "| target | inputs | a second | edges | corpus | found |\n|---|---|---|---|---|---|")?;
    let mut crashed = Vec::new();
    for target in TARGETS {
        if !flags.targets.is_empty() && !flags.targets.iter().any(|name| name == target.name) {
            continue;
        }
        let run = run(&root, target, &flags)?;
        let found = if run.clean { "nothing" } else { "a crash" };
        writeln!(
            out,
            "| `{}` | {} | {} | {} | {} | {found} |",
            target.name, run.inputs, run.pace, run.edges, run.corpus
        )?;
        out.flush()?;
        if !run.clean {
            crashed.push(target.name);
        }
    }
    if !crashed.is_empty() {
        bail!("see fuzz/artifacts: {}", crashed.join(", "));
    }
    Ok(())
}

/// Builds all programs. Errors: no C++ compiler, or what the compiler says.
fn build(root: &Path, flags: &Flags) -> anyhow::Result<()> {
    // With a target named, build scripts and macros are spared the flags.
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bins", "--target", &flags.triple])
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(root)
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("the targets could not be built: {status}");
    }
    Ok(())
}

/// Runs one target.
fn run(root: &Path, target: &Target, flags: &Flags) -> anyhow::Result<Run> {
    let folder = |name: &str| -> anyhow::Result<PathBuf> {
        let folder = root.join(name).join(target.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    };
    let artifacts = folder("artifacts")?;
    let program = root.join("target").join(&flags.triple).join("release").join(target.name);
    let output = Command::new(&program)
        .arg(format!("-max_total_time={}", flags.seconds))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-timeout={SLOW}"))
        .arg("-print_final_stats=1")
        // What is new goes to the first folder; the committed corpus is only read.
        .arg(folder("target/corpus")?)
        .arg(root.join("corpus").join(target.name))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let tail: Vec<&str> = text.lines().rev().take(40).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        writeln!(std::io::stderr(), "{}: {}\n{}", target.name, output.status, tail.join("\n"))?;
    }
    let last = |mark: &str| {
        let value = text.lines().rev().find_map(|line| line.split_once(mark)).map(|(_, rest)| rest.trim());
        let digits: String = value.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    Ok(Run {
        inputs: last("stat::number_of_executed_units:"),
        pace: last("stat::average_exec_per_sec:"),
        edges: last(" cov: "),
        corpus: last(" corp: "),
        clean: output.status.success(),
    })
}
