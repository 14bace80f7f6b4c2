//! A flood of names that nobody answers for: what becomes of local names, of memory, and of those who ask?

use std::collections::BTreeMap;
use std::time::Duration;

use super::asker::{self, Asked, Steady};
use super::fake::{Fake, Manner};
use super::say;
use super::servers::{self, Hold, Kind, Setup, What};

/// Unique names a second.
pub(crate) const FLOOD: u32 = 5000;

/// Local questions a second beside them.
pub(crate) const LOCAL: u32 = 2000;

/// How long a server is left alone, and asked for local names only, before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// How long a server gets to come to rest.
const LOOK: Duration = Duration::from_millis(200);

/// One server in one flood.
pub(crate) struct Outcome {
    /// The server and what it is told.
    pub(crate) name: String,
    /// Local questions asked.
    pub(crate) local: usize,
    /// Those not answered, or not rightly.
    pub(crate) local_lost: usize,
    /// How long the others took, sorted.
    pub(crate) local_took: Vec<Duration>,
    /// Memory before. Unit: bytes.
    pub(crate) idle: f64,
    /// The most memory. Unit: bytes.
    pub(crate) peak: f64,
    /// Processor time over the flood. Unit: seconds.
    pub(crate) spent: f64,
    /// Questions of the flood.
    pub(crate) flood: usize,
    /// Those that were never answered.
    pub(crate) silent: usize,
    /// What the others got, by response code and EDE: how many, and how long it took, sorted.
    pub(crate) got: BTreeMap<(u8, Option<u16>), Vec<Duration>>,
    /// Queries that came to the upstream.
    pub(crate) upstream: u64,
}

/// Measures one server after the other, with kubeadm's bound and, where it may be left out, without.
pub(crate) fn measure(kinds: &[Kind], seconds: u64) -> anyhow::Result<Vec<Outcome>> {
    let mut all = Vec::new();
    for kind in kinds {
        for most in [Some(1000), None] {
            // Those without such an option have bounds of their own.
            if most.is_some() || matches!(kind.what, What::Ours | What::CoreDns) {
                let outcome = one(kind, most, Duration::from_secs(seconds))?;
                say(&format!(
                    "{}: {} of {} local questions lost, {:.1} -> {:.1} MiB",
                    outcome.name,
                    outcome.local_lost,
                    outcome.local,
                    outcome.idle / 1_048_576.0,
                    outcome.peak / 1_048_576.0
                ));
                all.push(outcome);
            }
        }
    }
    Ok(all)
}

/// One server in one flood.
pub(crate) fn one(kind: &Kind, most: Option<u32>, lasts: Duration) -> anyhow::Result<Outcome> {
    let fake = Fake::start(Manner::SILENT)?;
    let upstreams = [fake.addr];
    let mut server = servers::start(kind, &Setup { upstreams: &upstreams, most, hold: Hold::Usual })?;
    let addr = server.addr;
    let local = |number| servers::local(number);
    let local = |lasts| Steady { addr, rate: LOCAL, lasts, name: &local, mark: None };
    asker::steady(&local(IDLE))?;
    std::thread::sleep(IDLE);
    let (idle, used) = (server.subject.rss()?, server.subject.processor_time()?);
    server.subject.forget_peak()?;
    let before = fake.queries();
    let (calm, wild) = std::thread::scope(|scope| {
        let calm = scope.spawn(|| asker::steady(&local(lasts)));
        let wild = scope.spawn(|| {
            let name = |number| format!("f{number}.example.org");
            asker::steady(&Steady { addr, rate: FLOOD, lasts, name: &name, mark: None })
        });
        (calm.join(), wild.join())
    });
    let panicked = |_| anyhow::anyhow!("a load panicked");
    let (calm, wild) = (calm.map_err(panicked)??, wild.map_err(panicked)??);
    std::thread::sleep(LOOK);
    server.subject.alive()?;
    let mut local_took: Vec<Duration> = good(&calm).collect();
    local_took.sort();
    let mut got: BTreeMap<(u8, Option<u16>), Vec<Duration>> = BTreeMap::new();
    for reply in wild.iter().filter_map(|asked| asked.reply) {
        got.entry((reply.rcode, reply.ede)).or_default().push(reply.took);
    }
    for took in got.values_mut() {
        took.sort();
    }
    let bound = match (kind.what, most) {
        (What::Ours | What::CoreDns, Some(most)) => format!(", max_concurrent {most}"),
        (What::Ours | What::CoreDns, None) => ", no max_concurrent".to_owned(),
        (What::Unbound, _) => ", 2 × 2048 queries".to_owned(),
        (What::Dnsmasq, _) => ", dns-forward-max 1000".to_owned(),
    };
    Ok(Outcome {
        name: format!("{}{bound}", kind.name()),
        local: calm.len(),
        local_lost: calm.len() - local_took.len(),
        local_took,
        idle,
        peak: server.subject.peak()?,
        spent: server.subject.processor_time()? - used,
        flood: wild.len(),
        silent: wild.iter().filter(|asked| asked.reply.is_none()).count(),
        got,
        upstream: fake.queries() - before,
    })
}

/// How long right answers took.
fn good(asked: &[Asked]) -> impl Iterator<Item = Duration> {
    asked.iter().filter_map(|asked| asked.reply).filter(|reply| reply.rcode == 0).map(|reply| reply.took)
}
