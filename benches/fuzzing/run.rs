//! One target under libFuzzer, and what it says of itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use signpost::chain::{Support, WORDS};
use signpost::fuzzing::Target;

use super::Places;
use super::reasons::reasons;

/// The most memory of a program. Unit: MiB.
const MEMORY: u32 = 2048;

/// The most that may be asked of the allocator at once, which AddressSanitizer sees. Unit: MiB.
const AT_ONCE: u32 = 256;

/// The longest that one input may take, however busy the machine is; fuzz/lib.rs counts processor time. Unit: seconds.
const SLOW: u32 = 30;

/// How many lines of the end of an output are shown where something was found.
const TAIL: usize = 60;

/// What a run came to.
pub(super) struct Run {
    /// How many inputs were tried.
    inputs: u64,
    /// How many a second.
    pace: u64,
    /// Edges that the corpus reached to begin with, and in the end.
    edges: (u64, u64),
    /// Inputs of the corpus at the end, those that reached something new among them.
    corpus: u64,
    /// The most memory. Unit: MiB.
    memory: u64,
    /// Whether nothing was found.
    pub(super) clean: bool,
}

/// The head of the table.
pub(super) const HEAD: &str = "| target | inputs | a second | edges at first | edges | corpus | MiB | found |\n\
                               |---|---|---|---|---|---|---|---|";

impl Run {
    /// The row of a target.
    pub(super) fn row(&self, name: &str) -> String {
        let Self { inputs, pace, edges: (first, last), corpus, memory, clean } = self;
        let found = if *clean { "nothing" } else { "a crash" };
        format!("| `{name}` | {inputs} | {pace} | {first} | {last} | {corpus} | {memory} | {found} |")
    }
}

/// A file with the words of Corefiles and of their options, which no chance would put together.
fn dictionary(places: &Places) -> anyhow::Result<PathBuf> {
    let mut words: BTreeSet<&str> = BTreeSet::new();
    for known in WORDS {
        words.insert(known.word);
        if let Support::Served { syntax, .. } = known.support {
            let options = syntax.split(|c: char| !c.is_ascii_lowercase() && c != '_');
            words.extend(options.filter(|option| option.len() > 1));
        }
    }
    let lines: String = words.iter().map(|word| format!("\"{word}\"\n")).collect();
    let file = places.root.join("target/corefile.dict");
    std::fs::write(&file, lines).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// Runs one target.
pub(super) fn run(places: &Places, target: &Target, seconds: u64) -> anyhow::Result<Run> {
    let artifacts = places.folder("artifacts", target)?;
    let program = places.programs.join(target.name);
    let mut command = Command::new(&program);
    if target.name == "corefile" {
        command.arg(format!("-dict={}", dictionary(places)?.display()));
    }
    let output = command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-malloc_limit_mb={AT_ONCE}"))
        .arg(format!("-timeout={SLOW}"))
        .arg("-print_final_stats=1")
        // Memory is judged by what is asked for; and who may not trace may not look for leaks.
        .arg("-detect_leaks=0")
        .env("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=64")
        // What is new goes to the first folder; the committed corpus is only read.
        .arg(places.folder("target/corpus", target)?)
        .arg(places.folder("corpus", target)?)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let tail: Vec<&str> = text.lines().rev().take(TAIL).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        writeln!(std::io::stderr(), "{}: {}\n{}", target.name, output.status, tail.join("\n"))?;
        // What matters stands last, however long the traces are between it and the end.
        writeln!(std::io::stderr(), "{}: in short:\n{}", target.name, reasons(&text).join("\n"))?;
    }
    let number = |line: &str, mark: &str| -> Option<u64> {
        let (_, rest) = line.split_once(mark)?;
        let digits: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let last = |mark: &str| text.lines().rev().find_map(|line| number(line, mark)).unwrap_or(0);
    let begun = text.lines().find(|line| line.contains("INITED"));
    Ok(Run {
        inputs: last("stat::number_of_executed_units:"),
        pace: last("stat::average_exec_per_sec:"),
        edges: (begun.and_then(|line| number(line, " cov: ")).unwrap_or(0), last(" cov: ")),
        corpus: last(" corp: "),
        memory: last("stat::peak_rss_mb:"),
        clean: output.status.success(),
    })
}
