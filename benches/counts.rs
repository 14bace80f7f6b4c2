//! `cargo counts`: instructions a query, counted by valgrind, held against the table that is checked in.
//!
//! Time is a matter of the machine and its mood; instructions are a matter of the code. Each kind of work is run twice, with few and
//! with many queries, and the difference divided: what starting costs is in neither. `--write` takes the new figures down; without it, a
//! figure that is more than 5 % above its place in the table is an error.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

#[path = "micro/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;

use anyhow::{Context as _, bail};
use world::{Size, WORK, World};

/// The table.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.tsv");

/// How much more than in the table is still right.
const SLACK: f64 = 1.05;

/// Queries of the short and of the long run: so many that what starting costs, which is never quite the same, is below 1 % of each.
const QUERIES: (usize, usize) = (1_000, 21_000);

/// The cluster: large enough for all roads, small enough for valgrind.
const SIZE: Size = Size { services: 1_000, endpoints: 5 };

/// Answers so many queries of a kind of work.
fn answer(work: usize, times: usize) {
    let mut here = World::new(SIZE);
    world::add_large(&mut here.writer);
    let queries = world::queries(work, (0..500).map(|number| number * 7 % SIZE.services));
    // Caches and buffers are filled before what is counted begins, in both runs alike.
    for query in &queries {
        world::check(work, here.answer(query));
    }
    for query in queries.iter().cycle().take(times) {
        black_box(here.answer(black_box(query)));
    }
}

/// Instructions of a process that answers so many queries.
fn count(work: usize, times: usize) -> anyhow::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([format!("--work={work}"), format!("--times={times}")])
        .output()
        .context("running valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("valgrind ended with {}:\n{text}", output.status);
    }
    let line =
        text.lines().find_map(|line| line.split_once("Collected :")).context("valgrind tells no count")?;
    Ok(line.1.trim().parse()?)
}

fn main() -> anyhow::Result<()> {
    if world::only_started() {
        return Ok(());
    }
    let flag = |name: &str| std::env::args().find_map(|arg| arg.strip_prefix(name)?.parse::<usize>().ok());
    if let (Some(work), Some(times)) = (flag("--work="), flag("--times=")) {
        answer(work, times);
        return Ok(());
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!(
            "nothing is counted: there is no valgrind here (it is in the package `valgrind` of most distributions)"
        );
        return Ok(());
    }
    let known: BTreeMap<String, f64> = std::fs::read_to_string(TABLE)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(what, count)| Some((what.to_owned(), count.trim().parse().ok()?)))
        .collect();
    let mut table = String::new();
    let (mut above, mut unknown) = (Vec::new(), 0);
    println!("{:<40} {:>8} {:>8}", "instructions a query", "now", "table");
    let more = f64::from(u32::try_from(QUERIES.1 - QUERIES.0)?);
    for (work, (what, ..)) in WORK.iter().enumerate() {
        let each = (count(work, QUERIES.1)? - count(work, QUERIES.0)?) / more;
        let before = known.get(*what).copied();
        println!(
            "{what:<40} {each:>8.0} {:>8}",
            before.map_or("-".to_owned(), |before| format!("{before:.0}"))
        );
        let _ = writeln!(table, "{what}\t{each:.0}");
        match before {
            Some(before) if each > before * SLACK => above.push(*what),
            Some(_) => {}
            None => unknown += 1,
        }
    }
    if std::env::args().any(|arg| arg == "--write") {
        std::fs::write(TABLE, table).context("writing the table")?;
    } else if !above.is_empty() {
        bail!("more than 5 % above the table: {}", above.join("; "));
    } else if unknown > 0 {
        println!(
            "{unknown} figures are not in the table and were compared with nothing: `cargo counts --write` takes them down"
        );
    }
    Ok(())
}
