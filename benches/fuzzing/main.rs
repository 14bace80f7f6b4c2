//! What do minutes of libFuzzer find in each target of fuzz/?
//!
//! ```text
//!  fuzz/ ──(cargo build, coverage counted)──► a program a target ──► new inputs in fuzz/target/corpus, crashes in fuzz/artifacts
//!                                                                          └─(--keep)─► those that reach most, in fuzz/corpus
//! ```
//!
//! `cargo fuzzing` builds all programs with a C++ compiler (libFuzzer is C++; `cargo fuzz` is not needed, and works too), runs
//! them for a minute each, and prints a line for each; `--address` builds them with AddressSanitizer, for which rustup has to
//! know a nightly compiler. `cargo fuzzing --help` tells the rest. Ends with an error where one crashed; the input is to become
//! a file `found…` in fuzz/corpus.

mod build;
mod keep;
mod reasons;
mod run;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use clap::Parser;
use run::Run;
use signpost::fuzzing::{TARGETS, Target};

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
    /// How many run at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// With AddressSanitizer, by a nightly compiler.
    #[arg(long)]
    address: bool,
    /// The machine that it is built for, which is this one.
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    triple: String,
    /// Builds nothing: the programs are there.
    #[arg(long)]
    built: bool,
    /// Puts what reaches something new into fuzz/corpus, so many inputs a target at most; with `--seconds 0` nothing is run.
    #[arg(long)]
    keep: Option<usize>,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where things are.
struct Places {
    /// The folder fuzz/.
    root: PathBuf,
    /// The programs.
    programs: PathBuf,
}

impl Places {
    /// A folder of a target in a folder of fuzz/, made where it is not there.
    fn folder(&self, name: &str, target: &Target) -> anyhow::Result<PathBuf> {
        let folder = self.root.join(name).join(target.name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    if let Some(unknown) =
        flags.targets.iter().find(|name| !TARGETS.iter().any(|target| target.name == **name))
    {
        bail!("there is no target `{unknown}`");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let folder = if flags.address { "target/address" } else { "target/coverage" };
    let programs = root.join(folder).join(&flags.triple).join("release");
    let places = Places { programs, root };
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| flags.targets.is_empty() || flags.targets.iter().any(|name| name == target.name))
        .collect();
    if !flags.built {
        build::build(&places, folder, &flags, &chosen)?;
    }
    let mut crashed = Vec::new();
    if flags.seconds > 0 {
        let mut out = std::io::stdout();
        writeln!(out, "{}", run::HEAD)?;
        for (target, run) in chosen.iter().zip(all(&places, &chosen, &flags)) {
            let run = run?;
            writeln!(out, "{}", run.row(target.name))?;
            if !run.clean {
                crashed.push(target.name);
            }
        }
    }
    if let Some(most) = flags.keep {
        for target in &chosen {
            let kept = keep::keep(&places, target, most)?;
            writeln!(std::io::stderr(), "{}: {kept} inputs more in its corpus", target.name)?;
        }
    }
    if !crashed.is_empty() {
        bail!("see fuzz/artifacts: {}", crashed.join(", "));
    }
    Ok(())
}

/// Runs the targets, so many at a time; in their order. Each is told of when it has ended, too.
fn all(places: &Places, chosen: &[&Target], flags: &Flags) -> Vec<anyhow::Result<Run>> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = chosen.get(at) else { return done };
            let run = run::run(places, target, flags.seconds);
            if let Ok(run) = &run {
                // Whoever waits for hours wants to see something.
                let _ = writeln!(std::io::stderr(), "{}", run.row(target.name));
            }
            done.push((at, run));
        }
    };
    let mut runs: Vec<(usize, anyhow::Result<Run>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..flags.jobs.max(1)).map(|_| scope.spawn(some)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it only waits for a program")).collect()
    });
    runs.sort_by_key(|(at, _)| *at);
    runs.into_iter().map(|(_, run)| run).collect()
}
