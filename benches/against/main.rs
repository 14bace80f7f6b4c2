//! Ours beside CoreDNS, at random: clusters, Corefiles and questions, for as long as one likes.
//!
//! ```text
//!  seed ─► cluster ─► FakeApi (tests/api) ─► CoreDNS, a child process ──► replies ─┐
//!      ├─► chain ──► Corefile ──┴──────────► ours, in this process ─────► replies ─┴► equal, meant, or wrong
//!      └─► names ──► questions ─────────────────┘                                         │
//!                                                          a smaller case ◄───────────────┘
//! ```
//!
//! `COREDNS_BIN=… cargo against --minutes 60`; `--help` tells the rest. Replies are compared as tests/parity compares them. A
//! difference is meant where a rule of docs/behaviour.md says so (`tests/parity/exceptions.rs`, `known.rs`); any other one is
//! made smaller, printed with Corefile, files, objects and question, and makes the run fail. Figures: docs/against.md.

#![allow(clippy::unwrap_used, reason = "a run that cannot go on has failed")]

mod aliases;
#[path = "../../tests/api/mod.rs"]
mod api;
mod around;
mod case;
mod chain;
mod cluster;
mod damage;
#[path = "../../tests/parity/exceptions.rs"]
mod exceptions;
#[path = "../../tests/harness/mod.rs"]
mod harness;
mod judge;
mod known;
mod look;
mod names;
mod outside;
mod pair;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/parity/questions.rs"]
mod questions;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/parity/reply.rs"]
mod reply;
mod reverse;
mod searches;
mod settling;
mod smaller;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/parity/upstream.rs"]
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use fastrand::Rng;
use signpost::time::Clock;

use case::{Case, Place};
use judge::{Asked, Names, Verdict, ask, hidden, judge, seen, targets};
use pair::{Pair, Refused};
use questions::Question;
use reply::Reply;
use smaller::Shrinking;

/// Random cases beside CoreDNS.
#[derive(Parser, Debug)]
#[command(name = "against")]
struct Flags {
    /// How long, in minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// The seed of the first case, which the next ones count up from; a new one unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The most cases.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    cases: usize,
    /// How many differences of a kind are made smaller and shown.
    #[arg(long, default_value_t = 1)]
    shown: usize,
    /// Only cases whose Corefile has this word.
    #[arg(long)]
    word: Option<String>,
    /// Prints Corefile, files and objects of the cases, and asks nothing.
    #[arg(long)]
    print: bool,
    /// Damages replies that are equal, too, and tells how much of that the judge sees, and which rules allow the rest.
    #[arg(long)]
    damage: bool,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many differences of one case are made smaller: what is behind them is often the same.
const SMALLER: usize = 2;

/// Prints a line; a closed stdout is no reason to stop.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// What came of all cases.
#[derive(Default)]
struct Tally {
    /// Cases that ran.
    cases: usize,
    /// Cases that neither server takes.
    refused: usize,
    /// Questions asked.
    questions: usize,
    /// Replies that were equal.
    same: usize,
    /// Replies that differed on purpose.
    meant: usize,
    /// How often each rule was needed.
    rules: BTreeMap<String, usize>,
    /// How often each other difference was met.
    wrong: BTreeMap<String, usize>,
    /// How many replies were damaged in each way, and how many of those each rule allowed.
    damaged: BTreeMap<&'static str, (usize, BTreeMap<String, usize>)>,
    /// How often each word of a Corefile was in a case that ran.
    words: BTreeMap<String, usize>,
}

/// A random case with its questions.
fn random(seed: u64) -> (Case, Vec<Question>) {
    let mut rng = Rng::with_seed(seed);
    let chain = chain::chain(&mut rng);
    let objects = cluster::cluster(&mut rng, chain.clusterset);
    let case = Case { blocks: chain.blocks, files: chain.files, objects };
    let questions = names::questions(&mut rng, &case);
    (case, questions)
}

/// A case as people read it.
fn show(case: &Case) -> String {
    let place = Place {
        port: 1053,
        ready: 8181,
        api: "http://127.0.0.1:8080",
        upstream: SocketAddr::from(([127, 0, 0, 1], 5353)),
        dir: Path::new("DIR"),
    };
    let corefile = case.corefile(place);
    let mut text = corefile.clone();
    for (name, file) in case.files.iter().filter(|(name, _)| corefile.contains(&format!("DIR/{name}"))) {
        text += &format!("-- {name}\n{file}");
    }
    for object in &case.objects {
        text += &format!("{object}\n");
    }
    text
}

/// Runs a case; tells of differences.
fn run(flags: &Flags, binary: &OsStr, upstream: SocketAddr, seed: u64, tally: &mut Tally) {
    let (case, questions) = random(seed);
    if flags.word.as_ref().is_some_and(|word| !case.has(word)) {
        return;
    }
    if flags.print {
        tally.cases += 1;
        say(&show(&case));
        return;
    }
    let mut pair = match Pair::start(binary, &case, upstream) {
        Ok(pair) => pair,
        Err(Refused::Both) => {
            tally.refused += 1;
            return;
        }
        Err(refused) => {
            let kind = match &refused {
                Refused::Ours(_) => "a Corefile that only CoreDNS takes",
                _ => "a Corefile that only ours takes",
            };
            let count = tally.wrong.entry(kind.to_owned()).or_default();
            *count += 1;
            if *count <= flags.shown {
                say(&format!("\n== {kind} (--seed {seed} --cases 1): {refused:?}\n{}", show(&case)));
            }
            return;
        }
    };
    let asked = ask(&mut pair, &questions);
    let targets = targets(&mut pair, &case, &asked);
    drop(pair);
    let hidden = hidden(binary, &case, upstream, &questions);
    let seen = seen(&case, &asked, &hidden, targets);
    tally.cases += 1;
    tally.questions += asked.len();
    for word in case.words() {
        let word = word.head.split(' ').next().unwrap_or_default();
        *tally.words.entry(word.to_owned()).or_default() += 1;
    }
    let mut smaller = 0;
    let mut told = BTreeSet::new();
    for (nth, one) in asked.iter().enumerate() {
        match judge(&case, &seen, one) {
            Verdict::Same => {
                tally.same += 1;
                if flags.damage {
                    damage(&case, &seen, one, seed, tally);
                }
            }
            Verdict::Meant(rules) => {
                tally.meant += 1;
                rules.into_iter().for_each(|rule| *tally.rules.entry(rule).or_default() += 1);
            }
            Verdict::Wrong(kind) => {
                let count = tally.wrong.entry(kind.clone()).or_default();
                *count += 1;
                if *count > flags.shown || smaller == SMALLER {
                    // Where it was is told all the same: another case may have another reason.
                    if told.insert(kind.clone()) {
                        say(&format!(
                            "== {kind} (--seed {seed} --cases 1), again: {:?} {}",
                            one.question.via,
                            one.question.text()
                        ));
                    }
                    continue;
                }
                told.insert(kind.clone());
                smaller += 1;
                let is_around = |other: &&Question| {
                    other.lower.ends_with(&one.question.lower) && **other != *one.question
                };
                let shrinking = Shrinking {
                    binary,
                    upstream,
                    around: questions[..nth]
                        .iter()
                        .chain(&questions[nth + 1..])
                        .filter(is_around)
                        .take(40)
                        .cloned()
                        .collect(),
                    question: one.question.clone(),
                    kind: kind.clone(),
                };
                let (what, case, ours, theirs) = match shrinking.smallest(&case) {
                    Some((smaller, ours, theirs)) => ("", smaller, ours, theirs),
                    None => {
                        (", not seen again", case.clone(), one.ours.text.clone(), one.theirs.text.clone())
                    }
                };
                say(&format!(
                    "\n== {kind} (--seed {seed} --cases 1{what})\n{}{:?} {}\nCoreDNS {}ours    {}",
                    show(&case),
                    one.question.via,
                    one.question.text(),
                    theirs.replace('\n', "\n        "),
                    ours.replace('\n', "\n        ")
                ));
            }
        }
    }
}

/// Damages our reply in each way, and counts what the judge says.
fn damage(case: &Case, names: &Names, asked: &Asked<'_>, seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    for (way, damage) in damage::WAYS {
        let Some(text) = damage(&mut rng, &asked.ours) else { continue };
        let ours = Reply { text, size: asked.ours.size };
        let damaged = Asked { question: asked.question, ours, theirs: asked.theirs.clone(), whole: None };
        let (count, rules) = tally.damaged.entry(way).or_default();
        *count += 1;
        if let Verdict::Meant(by) = judge(case, names, &damaged) {
            *rules.entry(by.join(", then ")).or_default() += 1;
        }
    }
}

/// The figures.
fn report(tally: &Tally, minutes: f64) {
    let Tally { cases, refused, questions, same, meant, .. } = tally;
    let wrong: usize = tally.wrong.values().sum();
    say(&format!(
        "\n{cases} cases ({refused} more that neither takes), {questions} questions in {minutes:.1} minutes: {same} \
         answered the same, {meant} different by a rule, {wrong} different"
    ));
    say("\nwords:");
    let words: Vec<String> = tally.words.iter().map(|(word, count)| format!("{word} {count}")).collect();
    say(&words.join(", "));
    say("\nby a rule:");
    for (rule, count) in &tally.rules {
        let reason = known::KNOWN
            .iter()
            .chain(reverse::REVERSE)
            .chain(outside::OUTSIDE)
            .chain(aliases::ALIASES)
            .chain(around::AROUND)
            .chain(searches::SEARCHES)
            .map(|one| (one.rule, one.reason))
            .chain([
                ("K-012", "what does not fit is cut record by record, at 1232 bytes or less; the whole is compared over TCP"),
                ("K-012, S-22", "what was cut over UDP is of a block that a view keeps from TCP: there is no whole to compare"),
            ])
            .chain(exceptions::EXCEPTIONS.iter().map(|one| (one.rule, one.reason)))
            .find(|(known, _)| known == rule)
            .map_or("", |(_, reason)| reason);
        say(&format!("{count:9}  {rule}: {reason}"));
    }
    for (way, (count, rules)) in &tally.damaged {
        let allowed: usize = rules.values().sum();
        say(&format!("\n{way}: {count} replies damaged, {allowed} of them allowed"));
        for (rule, count) in rules {
            say(&format!("{count:9}  {rule}"));
        }
    }
    if !tally.wrong.is_empty() {
        say("\ndifferent:");
        for (kind, count) in &tally.wrong {
            say(&format!("{count:9}  {kind}"));
        }
    }
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let binary: OsString =
        std::env::var_os("COREDNS_BIN").context("COREDNS_BIN names no binary of CoreDNS")?;
    if !Path::new(&binary).is_file() {
        bail!("COREDNS_BIN: {} is not a file", binary.display());
    }
    let first = flags.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)) * 1_000_000);
    say(&format!("seed {first}, {} minutes", flags.minutes));
    let upstream = upstream::Upstream::start();
    let clock = Clock::system();
    let start = clock.now();
    let time = Duration::from_secs_f64(flags.minutes * 60.0);
    let mut tally = Tally::default();
    let mut seed = first;
    // Whoever stops it early gets the figures too.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("listening for signals")?;
    }
    while !stop.load(Ordering::Relaxed) && clock.now().since(start) < time && tally.cases < flags.cases {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&flags, &binary, upstream.addr, seed, &mut tally);
        }));
        if ran.is_err() {
            say(&format!(
                "== a case that could not be judged (--seed {seed} --cases 1)\n{}",
                show(&random(seed).0)
            ));
            *tally.wrong.entry("a case that could not be judged".to_owned()).or_default() += 1;
        }
        seed = seed.wrapping_add(1);
    }
    report(&tally, clock.now().since(start).as_secs_f64() / 60.0);
    if !tally.wrong.is_empty() {
        bail!("there are differences that no rule of docs/behaviour.md allows");
    }
    Ok(())
}
