//! Is any answer wrong, or late, in a thousand runs in which all that can fails? The simulation of tests/simulation.rs, longer.
//!
//! `cargo simulate` plays a thousand seeds, `--from` and `--seeds` choose others, `--jobs` plays some at the same time. It ends
//! with what happened, and with an error where a run failed; `SEED=… cargo test --test simulation` plays that one again.
//! It is a debug build, in which assertions and overflows count.

// Written for tests: what cannot go on ends the run.
#![allow(clippy::unwrap_used, reason = "the modules are those of a test")]

#[path = "../../tests/api/mod.rs"]
mod api;
#[allow(dead_code, reason = "the tests of the watch use more of it")]
#[path = "../../tests/watch/chance.rs"]
mod chance;
#[path = "../../tests/simulation/clients.rs"]
mod clients;
#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/simulation/history.rs"]
mod history;
#[path = "../../tests/simulation/outside.rs"]
mod outside;
#[path = "../../tests/simulation/play.rs"]
mod play;
#[path = "../../tests/simulation/rig.rs"]
mod rig;
#[path = "../../tests/simulation/roads.rs"]
mod roads;
#[path = "../../tests/watch/truth.rs"]
mod truth;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use clap::Parser;
use play::{Tally, play};

/// Runs in which all that can fails, with seeds.
#[derive(Parser, Debug)]
#[command(name = "simulate")]
struct Flags {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// How many are played at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What seeds came to.
#[derive(Default)]
struct Played {
    /// What happened in those that held.
    all: Tally,
    /// Those that did not.
    failed: Vec<u64>,
    /// How many there were.
    count: u64,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let played = Mutex::new(Played::default());
    let next = AtomicU64::new(flags.from);
    let some = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= flags.from + flags.seeds {
                return;
            }
            let result = play(seed);
            let mut played = played.lock().unwrap();
            // Whoever waits for an hour wants to see something.
            let mut out = std::io::stdout();
            match result {
                Ok(tally) => played.all.add(&tally),
                Err(what) => {
                    let _ = writeln!(out, "SEED={seed}\n{what}\n");
                    played.failed.push(seed);
                }
            }
            played.count += 1;
            if played.count.is_multiple_of(50) {
                let _ = writeln!(out, "{}\n{} failed\n", played.all, played.failed.len());
            }
            let _ = out.flush();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..flags.jobs.max(1) {
            scope.spawn(some);
        }
    });
    let Played { all, failed, .. } = played.into_inner().unwrap();
    writeln!(std::io::stdout(), "{all}")?;
    if !failed.is_empty() {
        bail!("seeds that failed: {failed:?}");
    }
    all.happened(true);
    Ok(())
}
