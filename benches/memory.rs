//! `cargo bench --bench memory`: what the store holds, in bytes a Service and an endpoint, and what becomes of it over relists.
//!
//! The counting allocator tells what is asked for, the process's own figures in /proc what the kernel gave. Each size is measured in a
//! process of its own.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]
#![allow(unsafe_code, reason = "a global allocator has no safe form")]

#[path = "micro/world.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use signpost::store::{Store, Wanted};
use signpost::time::{Clock, Wall};
use world::Size;

/// Bytes that are in use.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Blocks that are in use.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
struct Counting;

// SAFETY: all work is the system allocator's; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The sizes: those of the bars, and those that tell a Service from an endpoint.
const SIZES: &[Size] = &[
    Size { services: 10_000, endpoints: 0 },
    Size { services: 10_000, endpoints: 5 },
    Size { services: 10_000, endpoints: 10 },
    Size { services: 15_000, endpoints: 10 },
    Size { services: 1_000, endpoints: 100 },
];

/// Relists.
const RELISTS: usize = 10;

/// Resident memory that is no file's. Unit: bytes.
fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.split_whitespace().next().context("no number")?.parse::<f64>()? * 1024.0)
}

/// What is in use. Unit: bytes.
fn live() -> f64 {
    f64::from(u32::try_from(LIVE.load(Ordering::Relaxed)).unwrap_or(u32::MAX))
}

/// Measures one size, in this process.
fn measure(size: Size) -> anyhow::Result<()> {
    let wanted = Wanted { endpoints: true, ..Wanted::default() };
    let (before, blocks, rss) = (live(), BLOCKS.load(Ordering::Relaxed), resident()?);
    let (store, mut writer) = Store::new(wanted, Clock::manual(Wall(1_700_000_000)));
    world::fill(&mut writer, size, 1);
    let filled = live() - before;
    let blocks = BLOCKS.load(Ordering::Relaxed) - blocks;
    let grown = resident()? - rss;
    // The dearest relist: everything has another version.
    for version in 2..2 + RELISTS {
        world::fill(&mut writer, size, version);
    }
    let again = live() - before;
    let after = resident()? - rss;
    let services = f64::from(u32::try_from(size.services)?);
    let mebi = |bytes: f64| bytes / 1_048_576.0;
    println!(
        "{:>8} {:>10} {:>9.2} {:>8.0} {:>8.1} {:>9.2} {:>12.2} {:>12.2}",
        size.services,
        size.services * size.endpoints,
        mebi(filled),
        filled / services,
        f64::from(u32::try_from(blocks)?) / services,
        mebi(grown),
        mebi(again),
        mebi(after),
    );
    drop((store, writer));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    if world::only_started() {
        return Ok(());
    }
    let wanted = std::env::args().find_map(|arg| arg.strip_prefix("--size=")?.parse::<usize>().ok());
    if let Some(size) = wanted.and_then(|at| SIZES.get(at)) {
        return measure(*size);
    }
    println!(
        "{:>8} {:>10} {:>9} {:>8} {:>8} {:>9} {:>12} {:>12}",
        "Services", "endpoints", "MiB", "B each", "blocks", "RSS MiB", "10 relists", "RSS MiB"
    );
    for at in 0..SIZES.len() {
        let status =
            std::process::Command::new(std::env::current_exe()?).arg(format!("--size={at}")).status()?;
        anyhow::ensure!(status.success(), "measuring ended with {status}");
    }
    Ok(())
}
