//! What do bad upstreams and floods cost, and how much does a cache keep, beside other servers?
//!
//! ```text
//!  asker (open or closed loop, UDP) ──► a server, a process of its own ──► fakes: silent, lossy, slow (threads of this one)
//! ```
//!
//! `cargo upstreams` measures this server, Unbound and dnsmasq where they are installed, and CoreDNS where COREDNS_BIN names
//! one; `cargo upstreams --help` tells the rest. It ends by itself, in a quarter of an hour with all of them.

mod asker;
mod fake;
mod flood;
mod hits;
mod mixed;
#[path = "../cluster/place.rs"]
mod place;
mod report;
mod servers;
#[path = "../cluster/subject.rs"]
mod subject;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Parser;

use servers::Kind;

/// Bad upstreams, floods of names, and hit rates, beside other servers.
#[derive(Parser, Debug)]
#[command(name = "upstreams")]
struct Flags {
    /// Parts to run: mixed, flood, hits; all unless named.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<String>,
    /// Servers to run: ours, coredns, unbound, dnsmasq; all unless named.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// How long questions are asked of mixed upstreams, behind the warm-up of 5 s. Unit: seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How long a flood lasts. Unit: seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    flood_seconds: u64,
    /// Memory of a cache whose hit rate is measured. Unit: KiB.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1024..=65536))]
    budget: u64,
    /// Writes the result to docs/upstreams.md.
    #[arg(long)]
    write: bool,
    /// Another build of this server than the one of this tree.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The parts.
const PARTS: [&str; 3] = ["mixed", "flood", "hits"];

/// Prints a line; a closed stdout is no reason to stop.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    if let Some(part) = flags.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("`{part}` is none of: {}", PARTS.join(", "));
    }
    let kinds = servers::found(&flags.servers, flags.server.clone())?;
    let wanted = |part: &str| flags.parts.is_empty() || flags.parts.iter().any(|named| named == part);
    let mut sections = Vec::new();
    if wanted("mixed") {
        sections.push(report::mixed(&mixed::measure(&kinds, flags.seconds)?));
        say(sections.last().map_or("", String::as_str));
    }
    if wanted("flood") {
        sections.push(report::flood(&flood::measure(&kinds, flags.flood_seconds)?));
        say(sections.last().map_or("", String::as_str));
    }
    if wanted("hits") {
        sections.push(report::hits(&hits::measure(&kinds, flags.budget * 1024)?));
        say(sections.last().map_or("", String::as_str));
    }
    if flags.write {
        let versions: Vec<String> = kinds.iter().filter_map(Kind::version).collect();
        report::write(&sections, &versions)?;
    }
    Ok(())
}
