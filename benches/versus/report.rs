//! The table, and the page that keeps it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use signpost::time::Clock;

use super::data::Work;
use super::latency::Latency;
use super::measure::Sample;
use super::place;
use super::plot;
use super::servers::Kind;

/// Where results are kept.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");

/// The middle of some figures, with the ends.
#[derive(Clone, Copy, Default, Debug)]
struct Spread {
    /// The smallest.
    min: f64,
    /// The median.
    median: f64,
    /// The largest.
    max: f64,
}

impl Spread {
    /// The spread of `figures`; zeroes for none.
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(0.0);
        let middle = figures.len() / 2;
        let median = match figures.len() {
            length if length.is_multiple_of(2) => (at(middle.saturating_sub(1)) + at(middle)) / 2.0,
            _ => at(middle),
        };
        Self { min: at(0), median, max: at(figures.len().saturating_sub(1)) }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was asked.
    work: Work,
    /// Who was asked.
    kind: Kind,
    /// Answers a second.
    per_second: Spread,
    /// Processor time of an answer. Unit: microseconds.
    micros: Spread,
    /// The same against the echo of the same round, where there was one.
    ratio: Option<Spread>,
    /// Queries for each time that the server went to sleep.
    batch: Spread,
    /// Queries lost in all rounds.
    lost: u64,
    /// Memory. Unit: bytes.
    memory: u64,
    /// The most that others used of the two cores in a run that counts.
    foreign: f64,
    /// How long answers took at a steady rate, where that was measured.
    latency: Option<Latency>,
}

impl Row {
    /// Sums the rounds of a server up.
    pub(crate) fn new(
        work: Work,
        kind: Kind,
        samples: &[Sample],
        echo: &[f64],
        latency: Option<Latency>,
    ) -> Self {
        let ratios: Vec<f64> = samples.iter().zip(echo).map(|(sample, echo)| sample.micros / echo).collect();
        Self {
            work,
            kind,
            per_second: Spread::of(samples.iter().map(|sample| sample.per_second).collect()),
            micros: Spread::of(samples.iter().map(|sample| sample.micros).collect()),
            ratio: (!ratios.is_empty()).then(|| Spread::of(ratios)),
            batch: Spread::of(samples.iter().map(|sample| sample.batch).collect()),
            lost: samples.iter().map(|sample| sample.lost).sum(),
            memory: samples.last().map_or(0, |sample| sample.memory),
            foreign: samples.iter().map(|sample| sample.foreign).fold(0.0, f64::max),
            latency,
        }
    }
}

/// The table, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Work | Server | q/s | µs CPU per query, median [min..max] | ratio to echo [min..max] | p50, p99 µs at 20,000 q/s | queries a wait | lost | RSS MiB | others |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let ratio = row
            .ratio
            .map_or_else(|| "–".to_owned(), |r| format!("{:.2} [{:.2}..{:.2}]", r.median, r.min, r.max));
        let latency = row.latency.map_or_else(|| "–".to_owned(), |latency| latency.figures());
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.2} [{:.2}..{:.2}] | {ratio} | {latency} | {:.1} | {} | {:.1} | {:.1} % |",
            row.work.name(),
            row.kind.name(),
            row.per_second.median,
            row.micros.median,
            row.micros.min,
            row.micros.max,
            row.batch.median,
            row.lost,
            mebibytes(row.memory),
            row.foreign * 100.0,
        );
    }
    text
}

/// What of the bars is met, in Markdown: those of this server.
pub(crate) fn bars(rows: &[Row]) -> String {
    let mut text = String::from("| Work | ours | bar | |\n|---|---|---|---|\n");
    let ours = |work: Work| rows.iter().find(|row| row.work == work && row.kind == Kind::Ours);
    for row in rows.iter().filter(|row| row.kind == Kind::Ours) {
        let Some(ratio) = row.ratio else { continue };
        let bar = match (row.work, ours(Work::ClusterIp).and_then(|plain| plain.ratio)) {
            (Work::Logged, Some(plain)) => Some(1.5 * plain.median),
            (work, _) => work.bar(),
        };
        let Some(bar) = bar else { continue };
        // Over streams the bar is a share of CoreDNS's time, and there is no floor to take off.
        let margin = if row.work.mode() == "udp" { bar - 1.0 } else { bar };
        let verdict = match (ratio.median <= bar, ratio.max - ratio.min > margin / 3.0) {
            (true, false) => "met",
            (true, true) => "met, but noisy",
            (false, true) => "too noisy to tell",
            (false, false) => "missed",
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} [{:.2}..{:.2}] | {bar:.2} | {verdict} |",
            row.work.name(),
            ratio.median,
            ratio.min,
            ratio.max
        );
    }
    text
}

/// Bytes in a readable unit.
#[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1_u32 << 20)
}

/// What the figures depend on.
pub(crate) struct Facts(Vec<String>);

impl Facts {
    /// Asks the machine and the servers; no names of hosts.
    pub(crate) fn gather(kinds: &[Kind]) -> Self {
        let mut facts = vec![place::machine()];
        if let Some(line) = Command::new("dnsperf")
            .arg("-h")
            .output()
            .ok()
            .map(|output| [output.stdout, output.stderr].concat())
            .and_then(|text| {
                String::from_utf8_lossy(&text).lines().find(|line| line.contains("ersion")).map(str::to_owned)
            })
        {
            facts.push(format!("dnsperf: {line}"));
        }
        facts.extend(
            kinds
                .iter()
                .filter_map(|kind| kind.version().map(|version| format!("{}: {version}", kind.name()))),
        );
        Self(facts)
    }
}

/// Adds an entry to the page, above the others, and draws the picture of it.
pub(crate) fn write(table: &str, rows: &[Row], facts: &Facts, how: &str) -> anyhow::Result<()> {
    let path = Path::new(PAGE);
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let older = page.split_once(ENTRIES).map_or("", |(_, entries)| entries);
    let date = place::date(Clock::system().wall().0);
    let cores = if how.starts_with("One") { "together" } else { "apart" };
    // Another entry of the same day keeps its own.
    let picture = (1_u32..)
        .map(|number| match number {
            1 => format!("performance-{cores}-{date}.svg"),
            _ => format!("performance-{cores}-{date}-{number}.svg"),
        })
        .find(|name| !path.with_file_name(name).exists())
        .context("naming the picture")?;
    let mut entry = format!("\n## {date}\n\n{how}.\n\n");
    for fact in &facts.0 {
        writeln!(entry, "* {fact}")?;
    }
    write!(entry, "\n![Processor time of an answer]({picture})\n\n{table}")?;
    let title = format!(
        "Processor time of an answer, as a multiple of a bare echo's ({date}; red: the bar for ours)"
    );
    let place = path.with_file_name(&picture);
    std::fs::write(place, plot::draw(&title, &groups(rows))).context("drawing the picture")?;
    std::fs::write(path, format!("{HEAD}{ENTRIES}{entry}{older}")).context("writing docs/performance.md")
}

/// What is drawn: all that was measured against an echo.
fn groups(rows: &[Row]) -> Vec<plot::Group> {
    let mut groups: Vec<plot::Group> = Vec::new();
    for row in rows.iter().filter(|row| row.work.mode() == "udp") {
        let Some(ratio) = row.ratio else { continue };
        let bar = plot::Bar { name: row.kind.name(), ratio: ratio.median, ours: row.kind == Kind::Ours };
        match groups.last_mut().filter(|group| group.work == row.work.name()) {
            Some(group) => group.bars.push(bar),
            None => {
                groups.push(plot::Group { work: row.work.name(), bars: vec![bar], limit: row.work.bar() })
            }
        }
    }
    groups
}

/// Stands between the head and the entries.
const ENTRIES: &str = "<!-- entries, newest first -->\n";

/// What stands above the entries.
const HEAD: &str = "\
# Processor time of an answer

What `cargo versus --write` measured, an entry a run, newest first. The figure that counts is the processor time of the server's
process for one answered query, user and system, and its ratio to a bare echo on the same sockets in the same round.

* dnsperf asks from 32 sockets, 100 queries under way, over loopback, UDP.
* *A core each*: server and dnsperf on a core of their own. dnsperf is the slower of the two, so a quick server sleeps and wakes
  often, and its waking is part of the figure: it varies, and it makes servers look more alike than their work is.
* *One core*: both on one core (`--together`). The server finds whole batches and never wakes for one query; what is left is its
  work. The steadier figure, and the harder one for us.
* 100 namespaces with 10,000 Services, every tenth headless, each with 5 endpoints; names asked at random.
* `clusterip`: A, one record. `headless`: A, five records. `srv`: SRV of a named port, five records with glue, EDNS. `nxdomain`: A
  of a Service that there is not. `cached`, `new`: names outside, out of the cache and each asked once. `pod`: what resolvers with
  `ndots:5` send, A and AAAA along the search list, names of the cluster, names outside, SRV. `log`: `clusterip` with `log`.
  `tcp`, `dot`: `clusterip` over 32 connections; the ratio is that to CoreDNS.
* `echo` has the worker's own sockets and system calls (epoll, `recvmmsg`, `sendmmsg`) and replies as many bytes as we do (on
  average, for `pod`). `echo-again` looks for another batch before it waits; `echo-blocking` waits in `recvfrom` and takes the rest as
  a batch; `echo-plain` makes two system calls a query; `echo-tokio` waits in a current-thread runtime, with the same batches.
* `ours` and `coredns` have kubeadm's Corefile with nothing switched off, and the same API server (the fake of the tests). `hickory`
  is hickory-server with our zone handler over the same store, from manifests. `nsd` serves the same names from a zone file.
* `queries a wait` counts answers for each time that the server went to sleep; `others` is the largest share of the cores that other
  processes used in a run that counts: noisy runs are repeated.
";
