//! The columns of docs/reliability.md that this fills: ours and CoreDNS, in the lines of the rows that were run.

use anyhow::Context as _;
use signpost::time::Clock;

use super::place;
use super::row::Found;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");

/// How the line about the last run begins.
const LAST: &str = "Last run of `cargo battery --write`: ";

/// Columns of a line between its first and last `|`.
const COLUMNS: usize = 6;

/// Where the columns of ours and of CoreDNS are.
const OURS: usize = 3;

/// Everything that was found: row, server, what.
#[derive(Default)]
pub(crate) struct Measured(Vec<(&'static str, String, Found)>);

impl Measured {
    /// Adds what was found.
    pub(crate) fn put(&mut self, row: &'static str, server: &str, found: Found) {
        self.0.push((row, server.to_owned(), found));
    }

    /// How many rows each server keeps.
    pub(crate) fn summary(&self) -> String {
        let mut servers: Vec<&str> = Vec::new();
        for (_, server, _) in &self.0 {
            if !servers.contains(&server.as_str()) {
                servers.push(server);
            }
        }
        let lines = servers.iter().map(|server| {
            let of = || self.0.iter().filter(|(_, of, _)| of == server).map(|(row, _, found)| (*row, found));
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

    /// Fills the page.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(PAGE).context("reading docs/reliability.md")?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (row, server, found) in &self.0 {
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
        let date = place::date(Clock::system().wall().0);
        let coredns =
            self.0.iter().map(|(_, server, _)| server.as_str()).find(|server| *server != "signpost");
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').nth(2).unwrap_or("unknown");
        let said = format!(
            "{LAST}{date}, {}{}, load of the machine over 15 minutes {load}.",
            place::machine(),
            coredns.map_or(String::new(), |name| format!(", {name}"))
        );
        match lines.iter_mut().find(|line| line.starts_with(LAST)) {
            Some(line) => *line = said,
            None => lines.push(said),
        }
        std::fs::write(PAGE, lines.join("\n") + "\n").context("writing docs/reliability.md")
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
