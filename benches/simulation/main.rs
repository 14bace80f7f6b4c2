//! Is any answer wrong, or late, in a thousand runs in which all that can fails? The simulation of tests/simulation.rs, longer.
//!
//! `cargo simulate` plays a thousand seeds, `--from` and `--seeds` choose others. It ends with what happened, and with an error
//! where a run failed; `SEED=… cargo test --test simulation` plays that one again.

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
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut out = std::io::stdout();
    let mut all = Tally::default();
    let mut failed = Vec::new();
    for seed in flags.from..flags.from + flags.seeds {
        match play(seed) {
            Ok(tally) => all.add(&tally),
            Err(what) => {
                writeln!(out, "SEED={seed}\n{what}\n")?;
                failed.push(seed);
            }
        }
        if seed % 50 == 0 {
            writeln!(out, "{all}\n{} failed\n", failed.len())?;
            out.flush()?;
        }
    }
    writeln!(out, "{all}")?;
    if !failed.is_empty() {
        bail!("seeds that failed: {failed:?}");
    }
    all.happened(true);
    Ok(())
}
