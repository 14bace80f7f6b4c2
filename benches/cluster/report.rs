//! The table, and the page that keeps it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::measure::{Figures, Measures, Outage};
use super::place;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cluster-figures.md");

/// One MiB. Unit: bytes.
const MEBI: f64 = 1_048_576.0;

/// The table: a column a server.
pub(crate) fn table(figures: &[Figures], outages: &[Outage], measures: &Measures) -> String {
    let mut text = String::from("| |");
    for one in figures {
        let _ = write!(text, " {} |", one.name);
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(figures.len()));
    let mut row = |name: &str, show: &dyn Fn(&Figures) -> String| {
        let cells: Vec<String> = figures.iter().map(show).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    row("Start → first right answer, median", &|one| seconds(median(&one.first)));
    row("Start → every Service answered rightly, median", &|one| seconds(median(&one.all)));
    row("RSS, synced and idle for 10 s", &|one| mebi(one.idle));
    row(
        &format!(
            "Peak RSS over {} relists (410), {} queries a second meanwhile",
            measures.relists, measures.rate
        ),
        &|one| format!("{} (× {:.2})", mebi(one.peak), one.peak / one.idle),
    );
    row("RSS, idle for 10 s behind them", &|one| mebi(one.after));
    row("Time of these relists, the server's own pauses included", &|one| seconds(one.relisted));
    row("Queries meanwhile: asked, wrong, lost", &|one| {
        format!("{}, {}, {}", one.load.asked, one.load.wrong, one.load.lost)
    });
    row("Slowest batch of 50 meanwhile", &|one| millis(one.load.slowest));
    row(&format!("New Service → first right answer, {} times, p50", measures.changes), &|one| {
        millis(part(&one.fresh, 50))
    });
    row("The same, p99", &|one| millis(part(&one.fresh, 99)));
    row("The same, longest", &|one| millis(part(&one.fresh, 100)));
    for outage in outages {
        let how = if outage.dark { "packets dropped" } else { "connections refused" };
        let cells = outage.seen.iter().map(|seen| seen.map_or("not within 120 s".to_owned(), seconds));
        let _ = writeln!(
            text,
            "| Change visible after an outage of {} s, {how} | {} |",
            outage.seconds,
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    text
}

/// Writes the page.
pub(crate) fn write(table: &str, bytes: usize, alone: Duration) -> anyhow::Result<()> {
    let date = place::date(Clock::system().wall().0);
    let machine = place::machine();
    let (megabytes, alone) = (bytes / 1_000_000, seconds(alone));
    let page = format!(
        "\
# A large cluster, in figures

What `cargo figures --write` measured on {date}: {machine}.

* 100 namespaces, 10,000 Services (every tenth headless), 10,000 EndpointSlices with 50,000 endpoints, with the labels,
  annotations and managedFields of real life: {megabytes} MB of JSON, {bytes_each} bytes an object on average.
* The API server is the fake of `tests/api`, over plain HTTP on loopback, on the same machine. It lists by watch, says its version
  every half second, and speaks JSON only: a real one would talk protobuf to CoreDNS, which is smaller and quicker to read than
  what CoreDNS had to read here. To somebody who throws everything away, the fake sends it all in {alone}.
* Both servers have the same Corefile: `errors`, `loadbalance`, and `kubernetes` with `endpoint`.
* *First right answer*: of one Service, asked for every millisecond. *Every Service*: all 10,000 asked for, 50 at a time, again and
  again until each was right; the asking is part of the time.
* *Relists*: history is compacted and all open watches end with 410, and again 2 s after everything is watched again. The time
  is a matter of pauses, not of work: client-go doubles its own up to 30 s as long as 410s keep coming.
* *New Service*: the object is put into the fake, and its name asked for in a tight loop.
* *Outages*: both servers watch the same fake, which goes away for so long; a Service appears before it comes back. The time counts
  from its return. *Refused*: connections are reset and new ones refused. *Dropped*: packets vanish without a word, and
  connections from before stay dead; a server has to notice that by itself.

{table}"
        ,
        bytes_each = bytes / 20_100,
    );
    std::fs::write(PAGE, page).context("writing docs/cluster-figures.md")
}

/// The median.
fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    part(&times, 50)
}

/// What so many of a hundred sorted times are no longer than.
fn part(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// Seconds with two digits.
fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Milliseconds with one digit.
fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// MiB with one digit.
fn mebi(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / MEBI)
}
