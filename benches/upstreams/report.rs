//! The tables, and the page that keeps them.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::{flood, hits, mixed, place};

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/upstreams.md");

/// One MiB. Unit: bytes.
const MEBI: f64 = 1_048_576.0;

/// The most upstream queries for a question.
const MOST_QUERIES: f64 = 1.2;

/// The longest that 99 of 100 local questions may take during a flood.
const LOCAL: Duration = Duration::from_millis(5);

/// The most memory that a flood may take. Unit: bytes.
const MEMORY: f64 = 32.0 * MEBI;

/// Bad upstreams beside good ones.
pub(crate) fn mixed(outcomes: &[mixed::Outcome]) -> String {
    let mut text = format!(
        "\
## Upstreams, some of them bad

{} distinct questions a second to each server, all with EDNS; the servers of a row of upstreams at the same time, each with
upstreams of its own, which are sockets that never answer, lose 30 of 100 queries, or answer after so long, and are listed in
that order. *Cold* counts from the first question, *warm* without the first {} s. *Failed* is SERVFAIL or no reply within
{} s; times are those of the others, in milliseconds. *Queries*: what reached the upstreams for each distinct question, probes for
the root not counted. Bars, warm: p99 at most twice the round trip of the healthy upstream (for the second row the slow one,
since it is the only one that always answers), at most {MOST_QUERIES} queries, none failed.

| Upstreams | Server | cold: failed | p50 | p99 | longest | queries | warm: failed | p50 | p99 | longest | queries | bars |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
",
        mixed::RATE,
        mixed::WARM.as_secs(),
        super::asker::PATIENCE.as_secs(),
    );
    for outcome in outcomes {
        let case = &mixed::CASES[outcome.case];
        let queries = |span: &mixed::Span| real(span.upstream) / real(span.asked);
        let cells = |span: &mixed::Span| {
            format!(
                "{} | {} | {} | {} | {:.2}",
                span.failed,
                millis(part(&span.took, 500)),
                millis(part(&span.took, 990)),
                millis(part(&span.took, 1000)),
                queries(span)
            )
        };
        let warm = &outcome.warm;
        let limit = Duration::from_millis(u64::from(case.healthy)) * 2;
        let kept = verdict(&[
            (part(&warm.took, 990) <= limit, "p99"),
            (queries(warm) <= MOST_QUERIES, "queries"),
            (warm.failed == 0, "failed"),
        ]);
        let (cold, warm) = (cells(&outcome.cold), cells(warm));
        let _ = writeln!(text, "| {} | {} | {cold} | {warm} | {kept} |", case.name, outcome.name);
    }
    text
}

/// A flood of names at a silent upstream.
pub(crate) fn flood(outcomes: &[flood::Outcome]) -> String {
    let mut text = format!(
        "\
## A flood of names that nobody answers for

{} unique names a second, whose only upstream never answers, and {} local names a second beside them; one server after the other,
with kubeadm's Corefile (without its HTTP ports), for CoreDNS with a zone file for the local names. *Idle* is memory after 10,000
local questions and 5 s of rest. Bars: no local question lost, p99 at most {} ms, memory at most {:.0} MiB above idle.

| Server | lasted | local: lost | p50 | p99 | longest | RSS idle → peak, MiB | µs CPU per query | upstream queries | bars |
|---|---|---|---|---|---|---|---|---|---|
",
        flood::FLOOD,
        flood::LOCAL,
        LOCAL.as_millis(),
        MEMORY / MEBI,
    );
    for one in outcomes {
        let kept = verdict(&[
            (one.local_lost == 0, "lost"),
            (part(&one.local_took, 990) <= LOCAL, "p99"),
            (one.peak - one.idle <= MEMORY, "memory"),
        ]);
        let _ = writeln!(
            text,
            "| {} | {:.0} s | {} of {} | {} | {} | {} | {:.1} → {:.1} | {:.1} | {} | {kept} |",
            one.name,
            real(one.flood) / f64::from(flood::FLOOD),
            one.local_lost,
            one.local,
            millis(part(&one.local_took, 500)),
            millis(part(&one.local_took, 990)),
            millis(part(&one.local_took, 1000)),
            one.idle / MEBI,
            one.peak / MEBI,
            one.spent * 1e6 / real(one.local + one.flood),
            one.upstream,
        );
    }
    text.push_str(
        "\nWhat those get who ask for the silent names, in hundredths of the questions, and after how many milliseconds:\n\n\
         | Server | reply | share | p50 | p99 |\n|---|---|---|---|---|\n",
    );
    for one in outcomes {
        for ((rcode, ede), took) in &one.got {
            let reply = match rcode {
                0 => "NOERROR".to_owned(),
                2 => "SERVFAIL".to_owned(),
                3 => "NXDOMAIN".to_owned(),
                5 => "REFUSED".to_owned(),
                other => format!("code {other}"),
            };
            let ede = ede.map_or(String::new(), |ede| format!(", EDE {ede}"));
            let _ = writeln!(
                text,
                "| {} | {reply}{ede} | {:.2} % | {} | {} |",
                one.name,
                real(took.len()) / real(one.flood) * 100.0,
                millis(part(took, 500)),
                millis(part(took, 990)),
            );
        }
        if one.silent > 0 {
            let share = real(one.silent) / real(one.flood) * 100.0;
            let patience = super::asker::PATIENCE.as_secs();
            let _ = writeln!(text, "| {} | none within {patience} s | {share:.2} % | – | – |", one.name);
        }
    }
    text
}

/// Hit rates.
pub(crate) fn hits(outcomes: &[hits::Outcome]) -> String {
    let mut text = format!(
        "\
## What a cache keeps

Names by Zipf's law (exponent 1, {} names, TTL 1 h): {} questions to fill the cache, then {} of which hits are counted, by what did not
reach the upstream; 64 under way at once. *Scan*: every other question is for a name that is asked once; hits are those of the
others. The same memory for all: a server that counts bytes is told the bytes; one that counts entries is told as many as fit into
them by what an entry takes, which is how much more memory it has with {} answers in an ample cache than after the same questions
with a cache of next to nothing. *Grew* is the same difference at the end of the trace itself.

| Server | bytes an entry | cache | Zipf: hits | grew | scan: hits | grew | lost |
|---|---|---|---|---|---|---|---|
",
        hits::NAMES,
        hits::WARM,
        hits::COUNTED,
        40_000,
    );
    for one in outcomes {
        let _ = write!(text, "| {} | {:.0} | {} |", one.name, one.entry, one.bound);
        for (_, share, grew, _) in &one.traces {
            let _ = write!(text, " {:.1} % | {:.1} MiB |", share * 100.0, grew / MEBI);
        }
        let lost: usize = one.traces.iter().map(|(.., lost)| lost).sum();
        let _ = writeln!(text, " {lost} |");
    }
    text
}

/// Writes the page.
pub(crate) fn write(sections: &[String], versions: &[String]) -> anyhow::Result<()> {
    let date = place::date(Clock::system().wall().0);
    let machine = place::machine();
    let page = format!(
        "\
# Bad upstreams, floods and caches, in figures

What `cargo upstreams --write` measured on {date}: {machine}; {}. Servers, upstreams and those who ask share the machine.

{}",
        if versions.is_empty() { "this server alone".to_owned() } else { versions.join(", ") },
        sections.join("\n"),
    );
    std::fs::write(PAGE, page).context("writing docs/upstreams.md")
}

/// Which bars are missed.
fn verdict(bars: &[(bool, &str)]) -> String {
    let missed: Vec<&str> = bars.iter().filter(|(kept, _)| !kept).map(|(_, name)| *name).collect();
    if missed.is_empty() { "kept".to_owned() } else { format!("missed: {}", missed.join(", ")) }
}

/// What so many of a thousand sorted times are no longer than.
fn part(sorted: &[Duration], thousandths: usize) -> Duration {
    let at = (sorted.len() * thousandths).div_ceil(1000).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// Milliseconds with one digit.
fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// A count for arithmetic.
fn real<N: TryInto<u32>>(count: N) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}
