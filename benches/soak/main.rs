//! Is every answer right, and is memory flat, while the cluster changes and its API server fails, for an hour?
//!
//! ```text
//!  Churn ── facts ──► FakeApi (tests/api, loopback) ◄──HTTP── the server, a process of its own
//!    │  ▲                 ▲                                        ▲
//!    │  └─ restores ── Trouble: one fault after another            │ UDP, TCP
//!    ▼                    ▼                                        ├── Load: half of what it can answer
//!  Past: what was true when, and when faults were  ◄── judges ── Asker
//! ```
//!
//! `cargo soak` runs for an hour. The server has a share of a processor (where this process may make control groups); `Load` finds
//! out how much it answers with that, and asks half as much all along. `cargo soak --help` tells the rest. The
//! same seed makes the same choices, though not at the same moments. Ends with a table, and with an error if a bar is missed.

// The fake is made for tests: what cannot go on ends the run.
#[path = "../../tests/api/mod.rs"]
mod api;
mod asker;
#[path = "../battery/cage.rs"]
mod cage;
mod churn;
mod load;
mod memory;
mod past;
#[path = "../cluster/subject.rs"]
mod subject;
mod trouble;
mod universe;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use fastrand::Rng;
use parking_lot::Mutex;
use signpost::time::Clock;

use api::FakeApi;
use asker::{Asker, Tally};
use churn::Churn;
use load::Load;
use memory::{Memory, SLOPE_FROM};
use past::{FRESH, GRACE};
use subject::Subject;
use trouble::{FAULTS, Trouble};

/// Changes a second, on average.
const CHANGES: f64 = 8.0;

/// Changes of a burst.
const BURST: usize = 150;

/// How often the run takes a step.
const STEP: Duration = Duration::from_millis(100);

/// Events that the API server remembers: more than any watch is behind.
const HISTORY: usize = 10_000;

/// How long the first sync may take.
const SYNC: Duration = Duration::from_secs(30);

/// How much the largest memory of the last quarter may be above that of the first. Unit: bytes.
const GROWTH: f64 = 2.0 * MEBI;

/// How fast memory may grow. Unit: bytes an hour.
const SLOPE: f64 = 1.0 * MEBI;

/// How many more files may be open in the last quarter than in the first: connections come and go.
const FILES: f64 = 8.0;

/// How many questions of the load may go unanswered. Unit: parts.
const LOST: f64 = 1e-4;

/// One MiB. Unit: bytes.
const MEBI: f64 = 1_048_576.0;

/// An hour of changes, faults and questions, each answer judged.
#[derive(Parser, Debug)]
#[command(name = "soak")]
struct Flags {
    /// How long, in minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Questions a second whose answers are judged.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// The share of a processor that the server has, in hundredths; 0 for as much as there is.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=200))]
    quota: u64,
    /// What is asked beside, unjudged: so many hundredths of what the server can answer with its share.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=90))]
    load: u8,
    /// The seed of all choices; a new one unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Keeps one change in 25 from the API server: a run that must fail.
    #[arg(long)]
    lie: bool,
    /// Another build of the server than the one of this tree.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where to keep what the server logs.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Prints a line; a closed stdout is no reason to stop.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("seed {seed}, {} minutes, {} questions a second", flags.minutes, flags.rate));
    let mut rng = Rng::with_seed(seed);
    let clock = Clock::system();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("listening for signals")?;
    }
    let mut churn = Churn::new(Arc::new(FakeApi::start()), clock.clone(), &mut rng);
    churn.lies = flags.lie;
    let dir = tempfile::tempdir().context("making a folder")?;
    let addr = subject::free_address()?;
    let corefile = format!(
        ".:{} {{\n  bind 127.0.0.1\n  errors\n  loadbalance\n  kubernetes cluster.local in-addr.arpa {{\n    endpoint {}\n    pods verified\n  }}\n}}\n",
        addr.port(),
        churn.api.url()
    );
    let program = flags.server.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_signpost").into());
    // Taken away behind the server: dropped after it.
    let cage = match flags.quota {
        0 => None,
        hundredths => cage::Cage::new(cage::Share::Processor(hundredths))
            .inspect_err(|error| say(&format!("the server has the whole machine: {error:#}")))
            .ok(),
    };
    let mut subject = Subject::start(&program, &corefile, dir.path())?;
    wait_for_sync(&mut subject, &churn.api)?;
    say(&format!("the server is process {} on {addr}, and it knows its cluster", subject.pid()));
    if let Some(cage) = &cage {
        cage.hold(subject.pid())?;
    }
    let mut load = Load::new(addr, clock.clone(), &mut rng)?;
    let (most, part) = (load.most(), f64::from(flags.load) / 100.0);
    say(&format!(
        "it answers {most:.0} questions a second; {:.0} are asked beside those that are judged",
        most * part
    ));
    let load = (flags.load > 0 && most > 0.0)
        .then(|| {
            let stop = stop.clone();
            std::thread::Builder::new().name("load".to_owned()).spawn(move || load.run(most * part, &stop))
        })
        .transpose()
        .context("starting a thread")?;

    let tally = Arc::new(Mutex::new(Tally::default()));
    let asker = Asker {
        addr,
        past: churn.past(),
        clock: clock.clone(),
        tally: tally.clone(),
        stop: stop.clone(),
        rate: flags.rate,
    };
    let asker_rng = rng.fork();
    let thread = std::thread::Builder::new()
        .name("asker".to_owned())
        .spawn(move || asker.run(asker_rng))
        .context("starting a thread")?;
    let mut trouble = Trouble::new(churn.past(), clock.clone());
    let mut memory = Memory::default();
    let used = (subject.processor_time()?, subject::processor_time("self")?);
    let start = clock.now();
    let length = Duration::from_secs_f64(flags.minutes * 60.0);
    let mut minute = 0;
    let mut ended = Ok(());
    while !stop.load(Ordering::Relaxed) && clock.now().since(start) < length {
        let passed = clock.now().since(start);
        live(&mut churn, &mut rng);
        if let Some(fault) = trouble.step(&mut churn, &mut rng, passed > length / 2) {
            say(&format!("{:9.3} s {fault}", clock.now().since(signpost::time::Tick(0)).as_secs_f64()));
        }
        if passed.as_secs() >= memory.rss.len() as u64 {
            ended = subject.alive();
            if ended.is_err() {
                break;
            }
            memory.rss.push(subject.rss()?);
            memory.files.push(subject.files()?);
            memory.threads.push(subject.threads()?);
        }
        if passed.as_secs() / 60 > minute {
            minute = passed.as_secs() / 60;
            churn.bring_namespaces_back();
            churn.api.edit(|cluster| cluster.trim(HISTORY));
            let tally = tally.lock();
            say(&format!(
                "{minute} min: {} asked, {} wrong, {} unanswered, {} changes, RSS {:.1} MiB",
                tally.udp + tally.tcp,
                tally.wrong,
                tally.unanswered,
                churn.changes,
                memory.rss.last().copied().unwrap_or(0.0) / MEBI
            ));
        }
        std::thread::sleep(STEP);
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| anyhow::anyhow!("the asker panicked"))??;
    let beside =
        load.map(|load| load.join().map_err(|_| anyhow::anyhow!("the load panicked"))).transpose()?;
    let beside = beside.unwrap_or_default();
    let passed = clock.now().since(start).as_secs_f64();
    let share = (
        (subject.processor_time().unwrap_or(0.0) - used.0).max(0.0) / passed,
        (subject::processor_time("self")? - used.1) / passed,
    );
    let log = std::fs::read_to_string(&subject.log).unwrap_or_default();
    if let Some(file) = &flags.log {
        std::fs::write(file, &log).with_context(|| format!("writing {}", file.display()))?;
    }
    ended?;
    let tally = tally.lock();
    say(&summary(&Run {
        tally: &tally,
        memory: &memory,
        trouble: &trouble,
        churn: &churn,
        beside,
        quota: if cage.is_some() { flags.quota } else { 0 },
        log: &log,
        share,
        passed,
        seed,
    }));
    match missed(&tally, &memory, beside, &log).as_slice() {
        [] => {
            say("All bars are met.");
            Ok(())
        }
        missed => bail!("missed: {}", missed.join("; ")),
    }
}

/// Waits until the server knows its cluster and all its watches are open.
fn wait_for_sync(subject: &mut Subject, api: &FakeApi) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    while waited < SYNC {
        subject.alive()?;
        if api.count(None, &[api::Call::Watch, api::Call::InitialWatch]) >= 4 && api.is_watched() {
            // What was sent last is still to be published.
            std::thread::sleep(Duration::from_secs(1));
            return Ok(());
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
    bail!("no sync within {SYNC:?}")
}

/// What changes in one step.
fn live(churn: &mut Churn, rng: &mut Rng) {
    let mean = CHANGES * STEP.as_secs_f64();
    let mut count = 0;
    while rng.f64() < mean / (1.0 + mean) {
        count += 1;
    }
    // A deployment rolls about once in two minutes.
    if rng.u16(..1200) == 0 {
        count += BURST;
    }
    for _ in 0..count {
        churn.change(rng);
    }
}

/// All that a run gave.
struct Run<'a> {
    /// Answers.
    tally: &'a Tally,
    /// Memory.
    memory: &'a Memory,
    /// Faults.
    trouble: &'a Trouble,
    /// Changes.
    churn: &'a Churn,
    /// What came of the load.
    beside: load::Done,
    /// The server's share of a processor; 0 where it has none. Unit: hundredths.
    quota: u64,
    /// What the server logged.
    log: &'a str,
    /// Processor time of the server and of the soak, in parts of one core.
    share: (f64, f64),
    /// How long it ran. Unit: seconds.
    passed: f64,
    /// The seed.
    seed: u64,
}

/// The table.
fn summary(run: &Run<'_>) -> String {
    let Run { tally, memory, .. } = run;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |");
    };
    let (first, last) = memory::quarters(&memory.rss);
    let (first_files, last_files) = memory::quarters(&memory.files);
    let (first_threads, last_threads) = memory::quarters(&memory.threads);
    let episodes: u32 = run.trouble.counts.iter().sum();
    // An alias whose target nobody resolves is an error of its query each time: most of the log.
    let told: Vec<&str> = run.log.lines().filter(|line| !line.contains("plugin/errors")).collect();
    let lines = |word: &str| told.iter().filter(|line| line.contains(word)).count();
    row("Seed", run.seed.to_string());
    row("Length", format!("{:.1} min", run.passed / 60.0));
    row("Questions, UDP and TCP", format!("{} and {}", tally.udp, tally.tcp));
    row(
        "Asked beside them, and lost",
        format!(
            "{} ({:.0} a second), {}",
            run.beside.sent,
            memory::float(run.beside.sent) / run.passed,
            run.beside.sent.saturating_sub(run.beside.replies)
        ),
    );
    row("Wrong answers, SERVFAIL among them", format!("{}, {}", tally.wrong, tally.failed));
    row("Unanswered", tally.unanswered.to_string());
    row("Slowest answer", format!("{:.1} ms", tally.slowest.as_secs_f64() * 1e3));
    row(
        "Batches answered within, 50 % and 99 %",
        format!("{} and {} us", quantile(&tally.times, 0.5), quantile(&tally.times, 0.99)),
    );
    row(
        "Oldest answer while all was well",
        format!("{:.0} ms (bar {} s)", tally.oldest.as_secs_f64() * 1e3, FRESH.as_secs()),
    );
    row("The asker was kept waiting for at most", format!("{:.0} ms", tally.stalled.as_secs_f64() * 1e3));
    row("Changes", run.churn.changes.to_string());
    row("Faults", format!("{episodes}, one in {:.1} s", run.passed / f64::from(episodes.max(1))));
    row(
        "RSS, first minute",
        format!(
            "{:.1} MiB",
            memory::median(memory.rss.get(..60.min(memory.rss.len())).unwrap_or_default()) / MEBI
        ),
    );
    row("RSS, largest of first and last quarter", format!("{:.1} and {:.1} MiB", first / MEBI, last / MEBI));
    row("RSS, slope", format!("{:+.2} MiB an hour", memory::slope(&memory.rss) / MEBI));
    row("Open files, most in first and last quarter", format!("{first_files:.0} and {last_files:.0}"));
    row("Threads, most in first and last quarter", format!("{first_threads:.0} and {last_threads:.0}"));
    row(
        "Slopes of files and threads",
        format!("{:+.2} and {:+.2} an hour", memory::slope(&memory.files), memory::slope(&memory.threads)),
    );
    let of = if run.quota == 0 { String::new() } else { format!("; the server may have {} %", run.quota) };
    row(
        "Processor, server and soak",
        format!("{:.1} % and {:.1} % of a core{of}", run.share.0 * 100.0, run.share.1 * 100.0),
    );
    row(
        "Lines logged but for queries, warnings, errors",
        format!("{}, {}, {}", told.len(), lines("[WARNING]"), lines("[ERROR]")),
    );
    let _ = writeln!(
        text,
        "\n| Fault | times | latest old answer behind its end (bar {} s) |\n|---|---|---|",
        GRACE.as_secs()
    );
    for ((name, count), late) in FAULTS.iter().zip(&run.trouble.counts).zip(&tally.late) {
        let _ = writeln!(text, "| {name} | {count} | {:.2} s |", late.as_secs_f64());
    }
    format!("\n| | |\n|---|---|\n{text}")
}

/// The upper end of the power of two that so many batches stay below. Unit: microseconds.
fn quantile(times: &[u64], part: f64) -> u64 {
    let all: u64 = times.iter().sum();
    let mut seen = 0;
    for (bucket, count) in times.iter().enumerate() {
        seen += count;
        if memory::float(seen) >= memory::float(all) * part {
            return 1 << bucket;
        }
    }
    0
}

/// The bars that were missed.
fn missed(tally: &Tally, memory: &Memory, beside: load::Done, log: &str) -> Vec<String> {
    let mut missed = Vec::new();
    let mut bar = |met: bool, what: String| {
        if !met {
            missed.push(what);
        }
    };
    bar(tally.udp + tally.tcp > 0, "nothing was asked".to_owned());
    bar(tally.wrong == 0, format!("{} wrong answers", tally.wrong));
    bar(tally.unanswered == 0, format!("{} questions without an answer", tally.unanswered));
    let lost = beside.sent.saturating_sub(beside.replies);
    bar(
        memory::float(lost) <= memory::float(beside.sent) * LOST,
        format!("{lost} of {} questions of the load without an answer", beside.sent),
    );
    bar(!log.contains("panicked"), "the server panicked".to_owned());
    let (first, last) = memory::quarters(&memory.rss);
    bar(last <= first + GROWTH, format!("memory grew by {:.1} MiB", (last - first) / MEBI));
    if memory.rss.len() >= SLOPE_FROM * 60 {
        bar(
            memory::slope(&memory.rss) <= SLOPE,
            format!("memory grows by {:.2} MiB an hour", memory::slope(&memory.rss) / MEBI),
        );
    }
    let (first, last) = memory::quarters(&memory.files);
    bar(last <= first + FILES, format!("{:.0} more files are open", last - first));
    let (first, last) = memory::quarters(&memory.threads);
    bar(last <= first, format!("{:.0} more threads", last - first));
    missed
}
