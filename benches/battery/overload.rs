//! Rows L1, L2, L8, L9: more than a server can do, and what becomes of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use signpost::time::Clock;

use super::asker;
use super::away::{LONG, MEBI, REST, real, seen};
use super::beside::{Beside, Names};
use super::blast::{Blast, dropped};
use super::cage::{Cage, Share};
use super::noise::{Held, Noise};
use super::objects::{name_of, namespace_of};
use super::report::{mebi, micros, seconds};
use super::rig::{Kind, Plan, Rig, SMALL, add, get, small_api, status, wait};
use super::row::{Found, Row, Stage};
use super::subject::processor_time;
use super::{flood, servers};

/// The most memory that overload may take above idle. Unit: bytes.
const ROOM: f64 = 32.0 * MEBI;

/// A share of a processor that is less than anybody needs. Unit: hundredths.
pub(crate) const LITTLE: u64 = 5;

/// How many times what can be served comes in row L1.
const OVER: f64 = 3.0;

/// Questions a second behind it.
const CALM: u32 = 500;

/// The EDE of what waited for an upstream in vain (RFC 8914: No Reachable Authority).
const UNREACHABLE: u16 = 22;

/// The EDE of what is over a bound of ours (Network Error).
const BUSY: u16 = 23;

/// The rows.
pub(crate) const ROWS: [Row; 4] = [
    Row {
        id: "L1",
        what: "Held to a share of a processor (cgroup), three times what it then serves, from 8 clients",
        bar: "goodput ≥ 90 % of the peak; memory ≤ idle + 32 MiB; p99 < 2 ms from 1 s after the end on",
        run: goodput,
    },
    Row {
        id: "L2",
        what: "5,000 unique names a second for a silent upstream, 2,000 local q/s beside them",
        bar: "0 local lost, p99 ≤ 5 ms; memory ≤ idle + 32 MiB; what is over a bound: SERVFAIL with EDE 23, p99 < 5 ms",
        run: silent_upstream,
    },
    Row {
        id: "L8",
        what: "A tenth of a processor (cgroup), 200 q/s",
        bar: "`/ready` stays 200; changes ≤ 1 s; none of 200 q/s failed; it lives",
        run: starved,
    },
    Row {
        id: "L9",
        what: "Held to 5 % of a processor, as much as can be sent for 5 s",
        bar: "sent = answered + dropped by the kernel + dropped by count, exactly; those of the kernel are exported",
        run: counted,
    },
];

/// A group for a share of a processor, or the row that is not run.
fn cage(hundredths: u64) -> Result<Cage, Found> {
    Cage::new(Share::Processor(hundredths))
        .map_err(|why| Found::not_run(format!("no group for a share of a processor: {why:#}")))
}

/// Names of Services, so many.
fn local_names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| number % SMALL.services)
        .map(|number| format!("{}.{}.svc.cluster.local", name_of(number), namespace_of(number)))
        .collect()
}

/// Addresses of loopback, for clients of their own.
pub(crate) fn clients(third: u8, count: u8) -> impl Iterator<Item = IpAddr> {
    (1..=count).map(move |last| Ipv4Addr::new(127, 0, third, last).into())
}

/// How many queries took a server more than a millisecond by its own account, from the moment that it read them on.
fn slow(rig: &Rig) -> f64 {
    let text = get(rig.metrics, "/metrics").map(|(_, text)| text).unwrap_or_default();
    let sum = |part: &str, label: &str| {
        let lines = text.lines().filter(|line| line.starts_with(part) && line.contains(label));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    let name = "coredns_dns_request_duration_seconds";
    sum(&format!("{name}_count"), "") - sum(&format!("{name}_bucket"), "le=\"0.001\"")
}

/// L1.
fn goodput(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let quota = stage.measures.quota;
    let cage = match cage(quota) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let clock = Clock::system();
    cage.hold(rig.subject.pid())?;
    let names = local_names(10_000);
    let begin = clock.now();
    let mut rounds = 0;
    while clock.now().since(begin) < Duration::from_secs(3) {
        asker::eager(rig.addr, &names)?;
        rounds += 1;
    }
    let mut peak = real(names.len() * rounds) / clock.now().since(begin).as_secs_f64();
    let owners: Vec<IpAddr> = clients(3, 8).collect();
    let blast = |rate: f64, lasts: Duration| {
        let done = Blast { addr: rig.addr, scale: SMALL, rate, lasts }.run(&owners)?;
        anyhow::Ok((done, real(done.right) / lasts.as_secs_f64()))
    };
    // Whoever asks the next question with each answer does not bring as much as can be served.
    for more in [1.2, 1.6] {
        peak = peak.max(blast(peak * more, Duration::from_secs(3))?.1);
    }
    std::thread::sleep(REST);
    let idle = rig.subject.rss()?;
    rig.subject.forget_peak()?;
    let (lasts, own) = (stage.lasts(), processor_time("self")?);
    let (done, good) = blast(peak * OVER, lasts)?;
    let own = (processor_time("self")? - own) / lasts.as_secs_f64();
    let memory = rig.subject.peak()?;
    // The second in which it may recover; the last of the load was awaited before.
    std::thread::sleep(Duration::from_secs(1));
    let before = slow(&rig);
    let (noise, held) = (Noise::listen()?, Held::listen(&cage, CALM)?);
    let calm = Beside::start_for(rig.addr, Names::Cluster(SMALL), CALM, Duration::from_secs(4))?;
    let (noise, held) = (noise.finish(), held.finish());
    let slow = slow(&rig) - before;
    drop(rig);
    drop(cage);
    let offered = real(done.sent) / lasts.as_secs_f64();
    if offered < 0.9 * OVER * peak {
        return Ok(Found::not_run(format!(
            "the clients here bring only {:.1} times the peak of {peak:.0} q/s",
            offered / peak
        )));
    }
    let mut found = Found::default();
    found.judge(
        good >= 0.9 * peak,
        format!(
            "{good:.0} of a peak of {peak:.0} q/s ({:.0} %) at {:.1} times as much for {}, {quota} % of a processor",
            good / peak * 100.0,
            offered / peak,
            seconds(lasts),
        ),
    );
    found.judge(memory - idle <= ROOM, format!("{} → {}", mebi(idle), mebi(memory)));
    found.judge(
        calm.part(990) < Duration::from_millis(2) && calm.failed() == 0,
        format!(
            "then p99 {} (an echo with the same share of a processor {}, {noise}), {} failed",
            micros(calm.part(990)),
            micros(held),
            calm.failed()
        ),
    );
    found.note(format!(
        "of these the server itself had {slow:.0} longer than 1 ms; the askers took {own:.1} processors"
    ));
    Ok(found)
}

/// L2.
fn silent_upstream(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let what = if kind.name == "signpost" { servers::What::Ours } else { servers::What::CoreDns };
    let kind = servers::Kind::new(what, kind.program.clone());
    let noise = Noise::listen()?;
    let outcome = flood::one(&kind, Some(1000), stage.lasts())?;
    let noise = noise.finish();
    if outcome.upstream == 0 {
        return Ok(Found::not_run("the silent upstream was never asked"));
    }
    let p99 = |took: &[Duration]| {
        took.get((took.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(LONG)
    };
    let mut found = Found::default();
    found.judge(outcome.local_lost == 0, format!("{} of {} local lost", outcome.local_lost, outcome.local));
    let local = p99(&outcome.local_took);
    found.judge(local <= Duration::from_millis(5), format!("p99 {} ({noise})", micros(local)));
    found.judge(
        outcome.peak - outcome.idle <= ROOM,
        format!("{} → {}", mebi(outcome.idle), mebi(outcome.peak)),
    );
    // What waited for the upstream until its time was up says so (22); all else was over a bound.
    let over: Vec<_> = outcome.got.iter().filter(|((_, ede), _)| *ede != Some(UNREACHABLE)).collect();
    let right = over.iter().all(|((code, ede), _)| (*code, *ede) == (2, Some(BUSY)));
    let mut took: Vec<Duration> = over.iter().flat_map(|(_, took)| took.iter().copied()).collect();
    took.sort();
    let each: Vec<String> = over
        .iter()
        .map(|((code, ede), took)| {
            let ede = ede.map_or("no EDE".to_owned(), |ede| format!("EDE {ede}"));
            format!("{} of code {code} with {ede}", took.len())
        })
        .collect();
    let quick = took.is_empty() || p99(&took) < Duration::from_millis(5);
    found.judge(
        right && quick,
        format!(
            "over the bound: {}, p99 {}",
            if each.is_empty() { "none".to_owned() } else { each.join(", ") },
            if took.is_empty() { "none".to_owned() } else { micros(p99(&took)) }
        ),
    );
    Ok(found)
}

/// L8.
fn starved(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let cage = match cage(10) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    cage.hold(rig.subject.pid())?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 200)?;
    let (mut unready, mut slowest) = (0, Some(Duration::ZERO));
    for nth in 0..10 {
        let new = add(&api, nth * 2);
        slowest = slowest.and_then(|slowest| Some(slowest.max(rig.visible(new, LONG)?)));
        unready += usize::from(status(rig.ready, "/ready") != 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    rig.subject.alive()?;
    let account = load.finish();
    drop(rig);
    drop(cage);
    let mut found = Found::default();
    found.judge(unready == 0, format!("not ready {unready} of 10 times"));
    found.judge(
        slowest.is_some_and(|took| took <= Duration::from_secs(1)),
        format!("changes {}", seen(slowest)),
    );
    found.judge(
        account.failed() == 0,
        format!("{} of {} failed, p99 {}", account.failed(), account.asked, micros(account.part(990))),
    );
    Ok(found)
}

/// What a server of ours says of datagrams that it dropped itself.
const DROPS: [&str; 4] = [
    "coredns_shed_dropped_total",
    "signpost_overdue_total",
    "signpost_dropped_total",
    "signpost_send_refused_total",
];

/// What a server of ours says of datagrams that the kernel dropped.
const KERNEL: &str = "signpost_kernel_drops_total";

/// L9.
fn counted(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let cage = match cage(LITTLE) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    cage.hold(rig.subject.pid())?;
    let own = || DROPS.iter().filter_map(|name| rig.metric(name)).sum::<f64>();
    let (own_before, kernel_before, told_before) = (own(), dropped(rig.addr.port())?, rig.metric(KERNEL));
    let blast = Blast { addr: rig.addr, scale: SMALL, rate: 100_000.0, lasts: Duration::from_secs(5) };
    let done = blast.run(&clients(4, 8).collect::<Vec<_>>())?;
    wait(Duration::from_secs(5), || rig.metric("coredns_dns_requests_total").is_some());
    let kernel = dropped(rig.addr.port())? - kernel_before;
    let shed = own() - own_before;
    let told = rig.metric(KERNEL).zip(told_before).map(|(now, before)| now - before);
    drop(rig);
    drop(cage);
    if kernel == 0 && shed == 0.0 {
        return Ok(Found::not_run(format!("{} questions were no more than it can answer", done.sent)));
    }
    let left = real(done.sent) - real(done.replies) - real(done.client_drops) - real(kernel) - shed;
    let mut found = Found::default();
    found.judge(
        left == 0.0,
        format!(
            "{} sent, {} answered, {kernel} dropped by the kernel, {shed} by count, {left} unaccounted for",
            done.sent, done.replies
        ),
    );
    found.judge(
        told.is_some_and(|told| told == real(kernel)),
        told.map_or("those of the kernel are not exported".to_owned(), |told| format!("{told} exported")),
    );
    Ok(found)
}
