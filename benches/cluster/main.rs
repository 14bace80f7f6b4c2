//! How soon and with how much memory is a large cluster served, and how soon is a change?
//!
//! ```text
//!  objects ──► FakeApi (tests/api, loopback) ◄── list, watch ── a server, a process of its own ◄── UDP ── Client
//! ```
//!
//! `cargo figures` measures this server, and CoreDNS too where COREDNS_BIN names one; `cargo figures --help` tells the rest.

#[path = "../../tests/api/mod.rs"]
mod api;
mod awake;
mod client;
mod measure;
mod objects;
mod place;
mod report;
mod subject;

use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;

use api::FakeApi;

/// The parts that can be chosen.
const PARTS: [&str; 7] = ["start", "empty", "fresh", "event", "relists", "sizes", "outages"];

/// The sizes of part `sizes`.
const SIZES: [objects::Scale; 2] =
    [objects::Scale { services: 10_000, endpoints: 10 }, objects::Scale { services: 15_000, endpoints: 10 }];

/// Start, memory and freshness with 10,000 Services behind a fake API server.
#[derive(Parser, Debug)]
#[command(name = "figures")]
struct Flags {
    /// What is measured: start, empty, fresh, event, relists, sizes, outages; all unless given.
    #[arg(long, value_delimiter = ',', num_args = 1.., value_parser = PARTS.to_vec())]
    part: Vec<String>,
    /// How often each server is started.
    #[arg(long, default_value_t = 3)]
    starts: usize,
    /// How many new Services are waited for.
    #[arg(long, default_value_t = 500)]
    changes: usize,
    /// How many relists are looked at.
    #[arg(long, default_value_t = 10)]
    relists: usize,
    /// Questions a second during the relists.
    #[arg(long, default_value_t = 20_000)]
    rate: usize,
    /// Lengths of outages, in seconds.
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [3, 12, 60])]
    outages: Vec<u64>,
    /// Writes the result to docs/cluster-figures.md.
    #[arg(long)]
    write: bool,
    /// Another build of this server than the one of this tree.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// As the table calls it.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
}

/// Prints a line; a closed stdout is no reason to stop.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let ours = flags.server.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_signpost").into());
    let mut kinds = vec![Kind { name: "signpost".to_owned(), program: ours }];
    match std::env::var_os("COREDNS_BIN").map(PathBuf::from).filter(|file| file.is_file()) {
        Some(program) => {
            let output = std::process::Command::new(&program).arg("-version").output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let name = text.lines().next().unwrap_or("CoreDNS").replace('-', " ");
            kinds.push(Kind { name, program });
        }
        None => say("CoreDNS is left out: COREDNS_BIN names no file"),
    }
    let table = flags.measure(&kinds)?;
    say(&format!("\n{}", table.0.text()));
    if flags.write {
        report::write(&table.0, table.1, table.2)?;
    }
    Ok(())
}

/// A table, how many bytes of JSON and of protobuf the cluster has, and how long it takes to send them.
type Found = (report::Table, (usize, usize), std::time::Duration);

impl Flags {
    /// Whether a part is wanted.
    fn wants(&self, part: &str) -> bool {
        self.part.is_empty() || self.part.iter().any(|wanted| wanted == part)
    }

    /// Measures the parts that are wanted.
    fn measure(&self, kinds: &[Kind]) -> anyhow::Result<Found> {
        let api = FakeApi::start();
        api.apply_all(objects::all(objects::USUAL));
        api.spell_out();
        let bytes = api.size();
        say(&format!("{} MB of JSON, {} MB of protobuf", bytes.0 / 1_000_000, bytes.1 / 1_000_000));
        let measures = self.measures();
        let mut table = report::Table::default();
        for kind in kinds {
            if self.wants("start") {
                measure::starts(kind, &api, measures.starts, &mut table)?;
            }
            if self.wants("empty") {
                measure::empty(kind, &mut table)?;
            }
            if self.wants("fresh") {
                measure::fresh(kind, &api, measures.changes, &mut table)?;
            }
            if self.wants("event") {
                measure::event(kind, measures.changes, &mut table)?;
            }
            if self.wants("relists") {
                measure::relists(kind, &api, &measures, &mut table)?;
            }
        }
        if self.wants("outages") {
            // All servers live through the same outages, at the same time.
            measure::outages(kinds, &api, &self.outages, &mut table)?;
        }
        let alone = measure::fake_alone(&api)?;
        drop(api);
        for scale in SIZES.into_iter().filter(|_| self.wants("sizes")) {
            let api = FakeApi::start();
            api.apply_all(objects::all(scale));
            api.spell_out();
            for kind in kinds {
                measure::size(kind, &api, scale, &mut table)?;
            }
        }
        Ok((table, bytes, alone))
    }

    /// How much is measured.
    fn measures(&self) -> measure::Measures {
        measure::Measures {
            starts: self.starts,
            changes: self.changes,
            relists: self.relists,
            rate: self.rate,
        }
    }
}
