//! How much of a trace does a cache answer, with the same memory for each server?

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;

use super::asker;
use super::fake::{Fake, Manner};
use super::say;
use super::servers::{self, Hold, Kind, Setup, What};

/// Names that are asked for again.
pub(crate) const NAMES: usize = 100_000;

/// Questions before hits are counted.
pub(crate) const WARM: usize = 100_000;

/// Questions of which hits are counted.
pub(crate) const COUNTED: usize = 100_000;

/// Names by which an entry is weighed.
const WEIGHED: usize = 40_000;

/// Entries of a cache that is next to nothing.
const LITTLE: u64 = 1024;

/// How long a server gets to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trace {
    /// Names by Zipf's law, exponent 1.
    Zipf,
    /// The same, with a name that is asked once before each.
    Scan,
}

/// One server.
pub(crate) struct Outcome {
    /// The server.
    pub(crate) name: &'static str,
    /// Memory of one kept answer. Unit: bytes.
    pub(crate) entry: f64,
    /// How the cache was bounded.
    pub(crate) bound: String,
    /// For each trace: share of hits among the popular names, memory more than with next to no cache in bytes, lost questions.
    pub(crate) traces: Vec<(Trace, f64, f64, usize)>,
}

/// Measures one server after the other; `budget` is the memory of a full cache in bytes.
pub(crate) fn measure(kinds: &[Kind], budget: u64) -> anyhow::Result<Vec<Outcome>> {
    let mut all = Vec::new();
    for kind in kinds {
        let outcome = one(kind, budget).with_context(|| format!("measuring the cache of {}", kind.name()))?;
        say(&format!("{}: {:.0} bytes an entry, {:?}", outcome.name, outcome.entry, outcome.traces));
        all.push(outcome);
    }
    Ok(all)
}

/// One server.
fn one(kind: &Kind, budget: u64) -> anyhow::Result<Outcome> {
    let names: Vec<String> = (0..WEIGHED).map(|number| format!("w{number}.example.org")).collect();
    // One that sets all places aside at once is given as many as there are names; others need room for uneven shards.
    let plenty = u64::try_from(WEIGHED)? * if kind.what == What::Dnsmasq { 1 } else { 4 };
    let (little, _, _) = run(kind, little(), &names, &[])?;
    let (full, _, _) = run(kind, Hold::Size { bytes: plenty * 1024, entries: plenty }, &names, &[])?;
    let entry = (full - little) / number(WEIGHED);
    let (hold, bound) = match kind.what {
        What::Ours => (
            Hold::Size { bytes: budget, entries: budget / 512 },
            format!("`success {}`, {} KiB by its own account", budget / 512, budget / 1024),
        ),
        What::Unbound => (
            Hold::Size { bytes: budget, entries: 0 },
            format!("caches of {} KiB by its own account", budget / 1024),
        ),
        What::CoreDns | What::Dnsmasq => {
            let entries = whole(number(usize::try_from(budget)?) / entry.max(1.0));
            (Hold::Size { bytes: budget, entries }, format!("{entries} entries, by what one takes"))
        }
    };
    let mut traces = Vec::new();
    for trace in [Trace::Zipf, Trace::Scan] {
        let (warm, counted) = (questions(trace, 7, WARM), questions(trace, 8, COUNTED));
        let (before, _, _) = run(kind, self::little(), &warm, &counted)?;
        let (after, misses, lost) = run(kind, hold, &warm, &counted)?;
        let popular = counted.iter().filter(|name| name.starts_with('z')).count();
        traces.push((trace, 1.0 - misses / number(popular), after - before, lost));
    }
    Ok(Outcome { name: kind.name(), entry, bound, traces })
}

/// A cache that is next to nothing.
fn little() -> Hold {
    Hold::Size { bytes: LITTLE * 512, entries: LITTLE }
}

/// Asks a new server two lots of names; its memory then, in bytes, what popular names of the second lot reached the
/// upstream, and what was not answered.
fn run(kind: &Kind, hold: Hold, first: &[String], second: &[String]) -> anyhow::Result<(f64, f64, usize)> {
    let fake = Fake::start(Manner::after(0))?;
    let upstreams = [fake.addr];
    let server = servers::start(kind, &Setup { upstreams: &upstreams, most: None, hold })?;
    let addr = server.addr;
    let mut lost = asker::eager(addr, first)?;
    let before = fake.counts.popular.load(Relaxed);
    lost += asker::eager(addr, second)?;
    let misses = usize::try_from(fake.counts.popular.load(Relaxed) - before)?;
    std::thread::sleep(REST);
    Ok((server.subject.rss()?, number(misses), lost))
}

/// So many questions of a trace.
fn questions(trace: Trace, seed: u64, count: usize) -> Vec<String> {
    let mut sums = Vec::with_capacity(NAMES);
    let mut sum = 0.0;
    for rank in 1..=NAMES {
        sum += 1.0 / number(rank);
        sums.push(sum);
    }
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut names = Vec::with_capacity(count);
    for place in 0..count {
        if trace == Trace::Scan && place % 2 == 0 {
            names.push(format!("s{seed}-{place}.example.org"));
        } else {
            let drawn = rng.f64() * sum;
            names.push(format!("z{}.example.org", sums.partition_point(|sum| *sum < drawn)));
        }
    }
    names
}

/// A count for arithmetic.
#[allow(clippy::cast_precision_loss, reason = "counts of questions and bytes, far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}

/// A number of entries.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of entries")]
fn whole(value: f64) -> u64 {
    value as u64
}
