//! The columns of docs/reliability.md that this fills: ours and CoreDNS, in the lines of the rows that were run, and the two lines
//! that say when that was. All else on the page is written by people and stays.

use anyhow::Context as _;
use signpost::time::Clock;

use super::place;
use super::row::{Found, Measures};

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");

/// How the line about the last run begins.
const LAST: &str = "Last run of `cargo battery --write`: ";

/// How the line about rows that were run alone since then begins.
const SINCE: &str = "Rows run since then: ";

/// Columns of a line between its first and last `|`.
const COLUMNS: usize = 6;

/// Where the columns of ours and of CoreDNS are.
const OURS: usize = 3;

/// Under what circumstances it was measured.
pub(crate) struct Circumstances {
    /// The load of the machine before it began.
    pub(crate) load: String,
    /// How much was done.
    pub(crate) measures: Measures,
    /// The rows that were chosen; none for all.
    pub(crate) rows: Vec<String>,
    /// The servers that were chosen; none for all.
    pub(crate) servers: Vec<String>,
}

/// Everything that was found.
pub(crate) struct Measured {
    /// Row, server, what.
    found: Vec<(&'static str, String, Found)>,
    /// Under what circumstances.
    under: Circumstances,
}

impl Measured {
    /// Nothing found yet.
    pub(crate) fn new(under: Circumstances) -> Self {
        Self { found: Vec::new(), under }
    }

    /// Adds what was found.
    pub(crate) fn put(&mut self, row: &'static str, server: &str, found: Found) {
        self.found.push((row, server.to_owned(), found));
    }

    /// How many rows each server keeps.
    pub(crate) fn summary(&self) -> String {
        let mut servers: Vec<&str> = Vec::new();
        for (_, server, _) in &self.found {
            if !servers.contains(&server.as_str()) {
                servers.push(server);
            }
        }
        let lines = servers.iter().map(|server| {
            let of =
                || self.found.iter().filter(|(_, of, _)| of == server).map(|(row, _, found)| (*row, found));
            let missed: Vec<&str> =
                of().filter(|(_, found)| found.is_run() && !found.is_kept()).map(|(row, _)| row).collect();
            let not_run: Vec<&str> = of().filter(|(_, found)| !found.is_run()).map(|(row, _)| row).collect();
            format!(
                "{server}: {} of {} rows kept; missed: {}; not run: {}",
                of().filter(|(_, found)| found.is_kept()).count(),
                of().count(),
                listed(&missed),
                listed(&not_run)
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Fills the page: a row that was left out keeps what stands there.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(PAGE).context("reading docs/reliability.md")?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (row, server, found) in self.found.iter().filter(|(.., found)| !found.is_left()) {
            let column = if server == "signpost" { OURS } else { OURS + 1 };
            let line = lines
                .iter_mut()
                .find(|line| cells(line).is_some_and(|cells| cells.first() == Some(row)))
                .with_context(|| format!("docs/reliability.md has no row {row}"))?;
            let mut all: Vec<String> =
                cells(line).unwrap_or_default().iter().map(|cell| (*cell).to_owned()).collect();
            if let Some(cell) = all.get_mut(column) {
                *cell = found.cell();
            }
            *line = format!("| {} |", all.join(" | "));
        }
        let said = self.said();
        let place = |start: &str| lines.iter().position(|line| line.starts_with(start));
        match (self.under.rows.is_empty() && self.under.servers.is_empty(), place(LAST), place(SINCE)) {
            (true, last, since) => {
                match last.and_then(|at| lines.get_mut(at)) {
                    Some(line) => *line = format!("{LAST}{said}."),
                    None => lines.push(format!("{LAST}{said}.")),
                }
                if let Some(at) = since {
                    lines.remove(at);
                }
            }
            (false, _, Some(at)) => {
                if let Some(line) = lines.get_mut(at) {
                    *line = format!("{}; {said}.", line.trim_end_matches('.'));
                }
            }
            (false, last, None) => {
                let at = last.map_or(lines.len(), |at| at + 1);
                lines.insert(at, format!("{SINCE}{said}."));
            }
        }
        std::fs::write(PAGE, lines.join("\n") + "\n").context("writing docs/reliability.md")
    }

    /// When, where and how this run was.
    fn said(&self) -> String {
        let Circumstances { load, measures, rows, servers } = &self.under;
        let coredns =
            self.found.iter().map(|(_, server, _)| server.as_str()).find(|name| *name != "signpost");
        let optimised = if cfg!(debug_assertions) { "without" } else { "with" };
        let date = place::date(Clock::system().wall().0);
        let about = |named: &[String]| match named {
            [] => String::new(),
            named => format!("{} ", named.join(", ")),
        };
        format!(
            "{}{}{date}, {}{}, load {load} before it, {} s an outage and flood, askers built {optimised} optimisation",
            about(rows),
            about(servers),
            place::machine(),
            coredns.map_or(String::new(), |name| format!(", {name}")),
            measures.seconds,
        )
    }
}

/// Names in a line, or that there is none.
fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The cells of a line of the table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<&str> = inside.split(" | ").collect();
    (cells.len() == COLUMNS).then_some(cells)
}
