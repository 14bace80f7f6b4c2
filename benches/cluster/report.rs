//! The table, and the page that keeps it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::place;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cluster-figures.md");

/// Where on the page the figures end and what people wrote begins.
const REST: &str = "\n## Soak\n";

/// One MiB. Unit: bytes.
const MEBI: f64 = 1_048_576.0;

/// What was found: a row a figure, a column a server, in the order in which they came.
#[derive(Default)]
pub(crate) struct Table {
    /// The servers.
    columns: Vec<String>,
    /// The figures with their cells.
    rows: Vec<(String, Vec<(usize, String)>)>,
}

impl Table {
    /// Puts a figure of a server in.
    pub(crate) fn put(&mut self, row: &str, column: &str, cell: String) {
        let at = self.columns.iter().position(|known| known == column).unwrap_or_else(|| {
            self.columns.push(column.to_owned());
            self.columns.len() - 1
        });
        match self.rows.iter_mut().find(|(known, _)| known == row) {
            Some((_, cells)) => cells.push((at, cell)),
            None => self.rows.push((row.to_owned(), vec![(at, cell)])),
        }
    }

    /// The table in Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text =
            format!("| | {} |\n|---|{}\n", self.columns.join(" | "), "---|".repeat(self.columns.len()));
        for (row, cells) in &self.rows {
            let cell = |at| cells.iter().find(|cell| cell.0 == at).map_or("", |cell| cell.1.as_str());
            let cells: Vec<&str> = (0..self.columns.len()).map(cell).collect();
            let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
        }
        text
    }
}

/// Writes the page; what stands there behind the figures stays.
pub(crate) fn write(table: &Table, (json, protobuf): (usize, usize), alone: Duration) -> anyhow::Result<()> {
    let date = place::date(Clock::system().wall().0);
    let machine = place::machine();
    let (json, protobuf, alone) = (json / 1_000_000, protobuf / 1_000_000, seconds(alone));
    let before = std::fs::read_to_string(PAGE).unwrap_or_default();
    let rest = before.find(REST).and_then(|at| before.get(at..)).unwrap_or_default();
    let table = table.text();
    let page = format!(
        "\
# A large cluster, in figures

What `cargo figures --write` measured on {date}: {machine}.

* 100 namespaces, 10,000 Services (every tenth headless), 10,000 EndpointSlices with 50,000 endpoints, with the labels,
  annotations and managedFields of real life: {json} MB of JSON, {protobuf} MB of protobuf. Where a row says so, other sizes.
* The API server is the fake of `tests/api`, over plain HTTP on loopback, on the same machine. It lists by watch, says its version
  every half second, and speaks protobuf to those that ask for it first: both servers do. To somebody who throws everything away, it
  sends it all in {alone}.
* Both servers have the same Corefile: `errors`, `loadbalance`, and `kubernetes` with `endpoint`.
* *First right answer*: of one Service, asked for every millisecond. *Every Service*: all 10,000 asked for, 50 at a time, again and
  again until each was right; the asking is part of the time.
* *Relists*: history is compacted and all open watches end with 410, and again 2 s after everything is watched again. The time
  is a matter of pauses, not of work: client-go doubles its own up to 30 s as long as 410s keep coming.
* *New Service*, *event*: the object is put into the fake, and its name asked for in a tight loop. *Event of a new Service* counts from
  when the fake begins to write it to the watch, the others from the object, the fake's own work included. *Processors kept awake*: a
  process of the scheduler's idle class on each, so that what is measured is not how long a host takes to wake a halted virtual one.
* *Steady*: at the rate of the relists for 10 s before the first.
* *Outages*: both servers watch the same fake, which goes away for so long; a Service appears before it comes back. The time counts
  from its return. *Refused*: connections are reset and new ones refused. *Dropped*: packets vanish without a word, and
  connections from before stay dead; a server has to notice that by itself.

{table}{rest}"
    );
    std::fs::write(PAGE, page).context("writing docs/cluster-figures.md")
}

/// The median of times.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    part(&times, 50)
}

/// The median of numbers.
pub(crate) fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// What so many of a hundred sorted times are no longer than.
pub(crate) fn part(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// Seconds with two digits.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Milliseconds with one digit.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Milliseconds with two digits.
pub(crate) fn micros(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// MiB with one digit.
pub(crate) fn mebi(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / MEBI)
}
