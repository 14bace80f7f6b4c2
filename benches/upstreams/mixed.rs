//! Three upstreams of which some are bad: how long do distinct questions take, how many fail, how often is asked?

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::asker::{self, Asked, Steady};
use super::fake::{Fake, Manner};
use super::say;
use super::servers::{self, Hold, Kind, Setup};

/// Questions a second to each server.
pub(crate) const RATE: u32 = 200;

/// How long a server may learn before it counts.
pub(crate) const WARM: Duration = Duration::from_secs(5);

/// A set of upstreams.
pub(crate) struct Case {
    /// As the table calls it.
    pub(crate) name: &'static str,
    /// The upstreams.
    manners: &'static [Manner],
    /// The round trip of the healthy one. Unit: milliseconds.
    pub(crate) healthy: u32,
}

/// Loses 30 % of what it is asked and answers the rest after 20 ms.
const LOSSY: Manner = Manner { lost: 30, delay: Duration::from_millis(20), mute: 0 };

/// The sets. The first is what all others are compared with: one upstream, and nothing wrong with it.
pub(crate) const CASES: [Case; 4] = [
    Case { name: "20 ms alone", manners: &[Manner::after(20)], healthy: 20 },
    Case {
        name: "silent, 30 % lost (20 ms), slow (100 ms)",
        manners: &[Manner::SILENT, LOSSY, Manner::after(100)],
        healthy: 100,
    },
    Case {
        name: "silent, 30 % lost (20 ms), healthy (20 ms)",
        manners: &[Manner::SILENT, LOSSY, Manner::after(20)],
        healthy: 20,
    },
    Case {
        name: "silent, healthy (20 ms), healthy (20 ms)",
        manners: &[Manner::SILENT, Manner::after(20), Manner::after(20)],
        healthy: 20,
    },
];

/// What questions came to.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// How many were asked.
    pub(crate) asked: usize,
    /// SERVFAIL, or no answer.
    pub(crate) failed: usize,
    /// How long answers took, sorted.
    pub(crate) took: Vec<Duration>,
    /// Queries that came to upstreams.
    pub(crate) upstream: u64,
}

/// One server at one set of upstreams.
pub(crate) struct Outcome {
    /// Which set, by its place.
    pub(crate) case: usize,
    /// The server.
    pub(crate) name: &'static str,
    /// From the first question on.
    pub(crate) cold: Span,
    /// Without the warm-up.
    pub(crate) warm: Span,
}

/// Measures all servers at all sets: the servers of a set at the same time, each with upstreams of its own.
pub(crate) fn measure(kinds: &[Kind], seconds: u64) -> anyhow::Result<Vec<Outcome>> {
    let mut all = Vec::new();
    for (case, set) in CASES.iter().enumerate() {
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> =
                kinds.iter().map(|kind| scope.spawn(move || one(kind, case, seconds))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a load panicked"))?)
                .collect::<anyhow::Result<Vec<Outcome>>>()
        })?;
        for outcome in &found {
            let Span { asked, failed, upstream, .. } = &outcome.cold;
            say(&format!(
                "{}, {}: {asked} asked, {failed} failed, {upstream} upstream",
                set.name, outcome.name
            ));
        }
        all.extend(found);
    }
    Ok(all)
}

/// One server at one set.
fn one(kind: &Kind, case: usize, seconds: u64) -> anyhow::Result<Outcome> {
    let fakes = CASES[case].manners.iter().map(|manner| Fake::start(*manner));
    let fakes = fakes.collect::<anyhow::Result<Vec<Fake>>>()?;
    let upstreams: Vec<_> = fakes.iter().map(|fake| fake.addr).collect();
    let setup = Setup { upstreams: &upstreams, most: Some(1000), hold: Hold::Usual };
    let mut server = servers::start(kind, &setup)?;
    let sum = || fakes.iter().map(Fake::queries).sum::<u64>();
    let before = sum();
    let at_mark = AtomicU64::new(0);
    let asked = asker::steady(&Steady {
        addr: server.addr,
        rate: RATE,
        lasts: WARM + Duration::from_secs(seconds),
        name: &|number| format!("q{number}.example.org"),
        mark: Some((WARM, &|| at_mark.store(sum(), Relaxed))),
    })?;
    server.subject.alive()?;
    let after = sum();
    let warm: Vec<Asked> = asked.iter().filter(|asked| asked.at >= WARM).copied().collect();
    Ok(Outcome {
        case,
        name: kind.name(),
        cold: span(&asked, after - before),
        warm: span(&warm, after - at_mark.load(Relaxed)),
    })
}

/// What some questions came to.
fn span(asked: &[Asked], upstream: u64) -> Span {
    let good = asked.iter().filter_map(|asked| asked.reply).filter(|reply| reply.rcode == 0);
    let mut took: Vec<Duration> = good.map(|reply| reply.took).collect();
    took.sort();
    Span { asked: asked.len(), failed: asked.len() - took.len(), took, upstream }
}
