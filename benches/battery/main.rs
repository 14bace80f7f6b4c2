//! What becomes of a server when things go wrong around it: the rows of docs/reliability.md whose bars are seconds or percent.
//!
//! ```text
//!  askers (this process, UDP and TCP) ──► a server, a process of its own ──► fake API server, fake upstreams (this process)
//! ```
//!
//! `cargo battery` puts this server through them, and CoreDNS too where COREDNS_BIN names one; `--rows A1,L3` chooses,
//! `--write` fills the columns of the page. It ends by itself, in half an hour with both, and ends only what it started.

#[path = "../../tests/api/mod.rs"]
mod api;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../upstreams/asker.rs"]
mod asker;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../cluster/awake.rs"]
mod awake;
mod away;
mod beside;
mod blast;
mod cage;
mod ceiling;
#[path = "../cluster/client.rs"]
mod client;
mod fair;
#[path = "../upstreams/fake.rs"]
mod fake;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../upstreams/flood.rs"]
mod flood;
mod hostile;
mod lists;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../cluster/measure.rs"]
mod measure;
mod noise;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../cluster/objects.rs"]
mod objects;
mod overload;
mod page;
#[path = "../cluster/place.rs"]
mod place;
mod process;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../cluster/report.rs"]
mod report;
mod rig;
mod row;
#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../upstreams/servers.rs"]
mod servers;
#[path = "../cluster/subject.rs"]
mod subject;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Parser;
use signpost::time::Clock;

use rig::Kind;
use row::{Found, Measures, Row, Stage};

/// How long a run may take, beside row P5b, before the rows that remain are left out.
const WHOLE: Duration = Duration::from_secs(45 * 60);

/// Faults around a server, row by row, beside CoreDNS.
#[derive(Parser, Debug)]
#[command(name = "battery")]
struct Flags {
    /// Rows to run, like A1,L3; all unless named.
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    rows: Vec<String>,
    /// Servers to run: ours, coredns; both unless named.
    #[arg(long, value_delimiter = ',', value_parser = ["ours", "coredns"])]
    servers: Vec<String>,
    /// How long an outage (A2) and a flood (L1, L2) last. Unit: seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(3..=3600))]
    seconds: u64,
    /// How long P5b watches memory, at least 30; without it, P5b is left out unless it is named. Unit: minutes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(30..=600))]
    minutes: Option<u64>,
    /// The share of a processor that L1 leaves to the server. Unit: hundredths.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    quota: u64,
    /// How many different names go through the cache in L7.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(200_000..=10_000_000))]
    names: u64,
    /// Fills the columns of docs/reliability.md.
    #[arg(long)]
    write: bool,
    /// Another build of this server than the one of this tree.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Is an echo and nothing else, for rows that hold one to a server's share of a processor.
    #[arg(long, hide = true)]
    echo: bool,
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

/// All rows.
fn rows() -> Vec<Row> {
    let all = away::ROWS.into_iter().chain(lists::ROWS).chain(process::ROWS).chain(ceiling::ROWS);
    let mut all: Vec<Row> = all.chain(overload::ROWS).chain(fair::ROWS).chain(hostile::ROWS).collect();
    all.sort_by_key(|row| {
        let (letter, number) = row.id.split_at(1);
        (letter.to_owned(), number.trim_end_matches('b').parse::<u32>().unwrap_or(0), row.id.len())
    });
    all
}

/// The servers that are there.
fn kinds(flags: &Flags) -> anyhow::Result<Vec<Kind>> {
    let wanted = |name: &str| flags.servers.is_empty() || flags.servers.iter().any(|named| named == name);
    let mut kinds = Vec::new();
    if wanted("ours") {
        let program = flags.server.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_signpost").into());
        kinds.push(Kind { name: "signpost".to_owned(), program });
    }
    match std::env::var_os("COREDNS_BIN").map(PathBuf::from).filter(|file| file.is_file()) {
        Some(program) if wanted("coredns") => {
            let output = std::process::Command::new(&program).arg("-version").output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let name = text.lines().next().unwrap_or("CoreDNS").replace('-', " ");
            kinds.push(Kind { name, program });
        }
        Some(_) => {}
        None => say("CoreDNS is left out: COREDNS_BIN names no file"),
    }
    Ok(kinds)
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    if flags.echo {
        return noise::echo();
    }
    let mut rows = rows();
    if let Some(unknown) = flags.rows.iter().find(|id| rows.iter().all(|row| row.id != **id)) {
        let known: Vec<&str> = rows.iter().map(|row| row.id).collect();
        bail!("`{unknown}` is none of: {}", known.join(", "));
    }
    rows.retain(|row| flags.rows.is_empty() || flags.rows.iter().any(|id| id == row.id));
    let kinds = kinds(&flags)?;
    let named = flags.rows.iter().any(|id| id == "P5b");
    let minutes = flags.minutes.or(named.then_some(30)).unwrap_or(0);
    let measures = Measures {
        seconds: flags.seconds,
        minutes,
        quota: flags.quota,
        names: usize::try_from(flags.names)?,
    };
    let stage = Stage::new(measures);
    let clock = Clock::system();
    let begin = clock.now();
    let whole = WHOLE + Duration::from_secs(60 * minutes * 2);
    let mut table = page::Measured::new(page::Circumstances {
        load: place::load(),
        measures,
        rows: flags.rows.clone(),
        servers: flags.servers.clone(),
    });
    for row in &rows {
        say(&format!("{}  {}\n     bar: {}", row.id, row.what, row.bar));
        for kind in &kinds {
            let start = clock.now();
            let found = if clock.now().since(begin) > whole {
                Found::left("the time of this run is over")
            } else {
                // One row that can't be measured is no reason to leave the others out.
                (row.run)(&stage, kind).unwrap_or_else(|why| Found::not_run(format!("{why:#}")))
            };
            let took = clock.now().since(start).as_secs();
            say(&format!("     {}: {}  ({took} s)", kind.name, found.cell()));
            table.put(row.id, &kind.name, found);
        }
    }
    say(&format!("\n{}", table.summary()));
    if flags.write {
        table.write()?;
    }
    Ok(())
}
