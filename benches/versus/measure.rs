//! One run: dnsperf on one core, a server on another, and what the server's processes used meanwhile.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use signpost::time::Clock;

use super::data::Work;
use super::servers::Server;

/// Sockets that dnsperf asks from.
const CLIENTS: &str = "32";

/// Queries under way at once.
const OUTSTANDING: &str = "100";

/// A query without a reply for so long is lost. Unit: seconds.
const TIMEOUT: &str = "2";

/// Share of the cores that others may use before a run is thrown away.
const NOISE: f64 = 0.04;

/// How often a noisy run is repeated.
const TRIES: usize = 6;

/// How long the machine is watched before a run.
const WATCH: Duration = Duration::from_millis(500);

/// How long it is waited for a quiet machine. Unit: watches.
const PATIENCE: usize = 400;

/// One tick of `/proc/stat` and `/proc/PID/stat`. Unit: nanoseconds.
const TICK: f64 = 1e7;

/// What one run gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Queries answered a second.
    pub(crate) per_second: f64,
    /// Processor time of the server for one answered query. Unit: microseconds.
    pub(crate) micros: f64,
    /// Answered queries for each time that the server went to sleep.
    pub(crate) batch: f64,
    /// Queries without an answer.
    pub(crate) lost: u64,
    /// Memory of the server after the run. Unit: bytes.
    pub(crate) memory: u64,
    /// Share of the cores that was used by others.
    pub(crate) foreign: f64,
}

impl Sample {
    /// What runs of equal length gave together.
    pub(crate) fn joined(runs: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> f64| runs.iter().map(of).sum::<f64>();
        let answered = sum(|run| run.per_second).max(1.0);
        Self {
            per_second: answered / nanos(u64::try_from(runs.len()).unwrap_or(1).max(1)),
            micros: sum(|run| run.per_second * run.micros) / answered,
            batch: answered / sum(|run| run.per_second / run.batch.max(f64::MIN_POSITIVE)).max(1.0),
            lost: runs.iter().map(|run| run.lost).sum(),
            memory: runs.last().map_or(0, |run| run.memory),
            foreign: runs.iter().map(|run| run.foreign).fold(0.0, f64::max),
        }
    }
}

/// The first two processors that this process may use: the server's and the client's.
pub(crate) fn two_cores() -> anyhow::Result<(usize, usize)> {
    let set = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core));
    match (cores.next(), cores.next()) {
        (Some(server), Some(client)) => Ok((server, client)),
        _ => bail!("two processors are needed, one for the server and one for dnsperf"),
    }
}

/// Starts a process that may use `core` only.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> anyhow::Result<Child> {
    // A child inherits the mask of the thread that starts it.
    let before = sched_getaffinity(None)?;
    let mut mask = CpuSet::new();
    mask.set(core);
    sched_setaffinity(None, &mask)?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    Ok(child?)
}

/// Runs until a run is quiet, or as often as is reasonable; then the quietest counts.
pub(crate) fn quiet_run(
    server: &Server,
    work: Work,
    queries: &Path,
    seconds: u32,
    cores: (usize, usize),
) -> anyhow::Result<Sample> {
    wait_for_quiet()?;
    let mut best = run(server, work, queries, seconds, cores)?;
    for _ in 1..TRIES {
        if best.foreign <= NOISE {
            break;
        }
        wait_for_quiet()?;
        let next = run(server, work, queries, seconds, cores)?;
        if next.foreign < best.foreign {
            best = next;
        }
    }
    Ok(best)
}

/// Set once somebody asked this program to end.
static ENDED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on, SIGTERM and SIGINT end the comparison in order: no server is left behind.
pub(crate) fn mind_signals() -> anyhow::Result<()> {
    let flag = ENDED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, flag.clone()).context("listening for signals")?;
    }
    Ok(())
}

/// An error once a signal came.
fn go_on() -> anyhow::Result<()> {
    match ENDED.get().is_some_and(|ended| ended.load(Ordering::Relaxed)) {
        true => bail!("ended by a signal"),
        false => Ok(()),
    }
}

/// Waits until nobody else computes, or as long as is reasonable.
fn wait_for_quiet() -> anyhow::Result<()> {
    let (first, second) = two_cores()?;
    for _ in 0..PATIENCE {
        go_on()?;
        let before = busy_all(&[first, second])?;
        std::thread::sleep(WATCH);
        let busy = busy_all(&[first, second])? - before;
        if busy <= NOISE * 2.0 * WATCH.as_secs_f64() * 1e9 {
            break;
        }
    }
    Ok(())
}

/// One run of dnsperf.
pub(crate) fn run(
    server: &Server,
    work: Work,
    queries: &Path,
    seconds: u32,
    (server_core, client_core): (usize, usize),
) -> anyhow::Result<Sample> {
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", &server.addr.ip().to_string(), "-p", &server.addr.port().to_string()])
        .args(["-c", CLIENTS, "-T", "1", "-q", OUTSTANDING, "-t", TIMEOUT, "-l", &seconds.to_string()])
        .args(["-m", work.mode()])
        .arg("-d")
        .arg(queries)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if work.edns() {
        command.arg("-e");
    }
    let clock = Clock::system();
    let start = clock.now();
    // With one core for both, its time counts once.
    let cores: Vec<usize> =
        if server_core == client_core { vec![server_core] } else { vec![server_core, client_core] };
    let busy = busy_all(&cores)?;
    let used = used(server.pid())?;
    let sleeps = sleeps(server.pid());
    let mut client = spawn_on(client_core, &mut command).context("starting dnsperf")?;
    let mut output = String::new();
    client.stdout.take().context("dnsperf has no stdout")?.read_to_string(&mut output)?;
    let spent = self::used(server.pid())?.saturating_sub(used);
    let sleeps = self::sleeps(server.pid()).saturating_sub(sleeps);
    let busy = busy_all(&cores)? - busy;
    let passed = clock.now().since(start);
    // Ended but not waited for yet: its times can still be read.
    let client_used = process_time(client.id()).unwrap_or(0.0);
    let status = client.wait()?;
    go_on()?;
    if !status.success() {
        bail!("dnsperf ended with {status}:\n{output}");
    }
    let number = |label: &str| -> anyhow::Result<f64> {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(label));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("dnsperf printed no number after `{label}`:\n{output}"))
    };
    let completed = number("Queries completed:")?;
    if completed < 1.0 {
        bail!("{} answered nothing", server.kind.name());
    }
    let wrong = wrong(&output, work);
    if !server.kind.is_echo() && wrong {
        bail!("{} did not answer as it should:\n{output}", server.kind.name());
    }
    Ok(Sample {
        per_second: number("Queries per second:")?,
        micros: nanos(spent) / completed / 1e3,
        batch: completed / nanos(sleeps.max(1)),
        lost: whole(number("Queries lost:")?),
        memory: memory(server.pid()),
        foreign: ((busy - client_used - nanos(spent)) / (width(&cores) * passed.as_secs_f64() * 1e9))
            .max(0.0),
    })
}

/// Whether dnsperf counted another response code than the right one.
fn wrong(output: &str, work: Work) -> bool {
    let code = if work.right().0 == 0 { "NOERROR" } else { "NXDOMAIN" };
    let line = output.lines().find_map(|line| line.trim().strip_prefix("Response codes:"));
    if work.mixed() {
        let known = |word: &str| matches!(word.split_whitespace().next(), Some("NOERROR" | "NXDOMAIN"));
        return !line.is_some_and(|line| {
            line.split("),").map(|part| part.trim()).all(known) && line.contains("NXDOMAIN")
        });
    }
    !line.is_some_and(|line| line.trim().starts_with(code) && !line.contains(','))
}

/// Nanoseconds for arithmetic.
#[allow(clippy::cast_precision_loss, reason = "below 2^53 for a hundred days")]
fn nanos(value: u64) -> f64 {
    value as f64
}

/// A count that dnsperf printed.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of queries")]
fn whole(value: f64) -> u64 {
    value as u64
}

/// The processes that descend from `pid`, itself first.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&pid) = family.get(at) {
        at += 1;
        for task in tasks(pid) {
            let children = std::fs::read_to_string(task.join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    family
}

/// The folders of a process's threads.
fn tasks(pid: u32) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Processor time of a process and those below it, user and system. Unit: nanoseconds.
///
/// Softirq time that the kernel spends on loopback packets in the server's system calls is in it.
fn used(pid: u32) -> anyhow::Result<u64> {
    let mut sum = 0_u64;
    for task in family(pid).into_iter().flat_map(tasks) {
        // "time on the processor, time waiting, slices"; a thread may have ended.
        let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        sum += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    if sum == 0 {
        bail!("the server has ended");
    }
    Ok(sum)
}

/// How often the threads of a process and those below it went to sleep of their own accord.
fn sleeps(pid: u32) -> u64 {
    family(pid)
        .into_iter()
        .flat_map(tasks)
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.join("status")).ok()?;
            text.lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .sum()
}

/// Processor time of a process, to a tick. Unit: nanoseconds.
fn process_time(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; behind it, utime and stime are the 12th and 13th field.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: f64 =
        rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    Some(ticks * TICK)
}

/// How long these processors were not idle since start. Unit: nanoseconds.
fn busy_all(cores: &[usize]) -> anyhow::Result<f64> {
    cores.iter().map(|&core| busy(core)).sum()
}

/// How many cores there are, for arithmetic.
fn width(cores: &[usize]) -> f64 {
    nanos(u64::try_from(cores.len()).unwrap_or(1))
}

/// How long a processor was not idle since start. Unit: nanoseconds.
fn busy(core: usize) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let name = format!("cpu{core}");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(&name));
    let fields: Vec<f64> = line
        .with_context(|| format!("/proc/stat has no {name}"))?
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: all but idle and iowait.
    let busy = fields.iter().take(8).enumerate().filter(|(at, _)| *at != 3 && *at != 4);
    Ok(busy.map(|(_, ticks)| ticks).sum::<f64>() * TICK)
}

/// Resident memory of a process and those below it. Unit: bytes.
fn memory(pid: u32) -> u64 {
    family(pid)
        .into_iter()
        .filter_map(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum::<u64>()
        * 1024
}
