//! Rows P1 to P4, P6, P10: reloads, signals, kills, few descriptors, a stop.

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use signpost::time::Clock;

use super::api::FakeApi;
use super::away::{LONG, MEBI, RATE, REST, real, seen};
use super::beside::{Beside, Names};
use super::fake::{Fake, Manner};
use super::objects::USUAL;
use super::report::{micros, millis, seconds};
use super::rig::{Kind, Plan, Rig, SMALL, add, over_tcp, small_api, status, wait};
use super::row::{Found, Row, Stage};

/// Reloads of row P2.
const RELOADS: usize = 100;

/// How long the reloads of row P2 may take in all.
const RELOADING: Duration = Duration::from_secs(45);

/// How long a server is stopped in row P10.
const STOP: Duration = Duration::from_secs(10);

/// The rows.
pub(crate) const ROWS: [Row; 6] = [
    Row {
        id: "P1",
        what: "Four bad Corefiles and a good one, one after another, under load",
        bar: "0 of 2,000 q/s failed; each is told in the log, with its file; the good one is in force ≤ 5 s",
        run: bad_files,
    },
    Row {
        id: "P2",
        what: "100 reloads under load, each waited for",
        bar: "0 of 2,000 q/s failed; memory ≤ + 0.5 MiB and no more files, behind the first 10",
        run: reloads,
    },
    Row {
        id: "P3",
        what: "SIGTERM under load, lame duck 5 s",
        bar: "`/ready` not 200 ≤ 0.2 s, `/health` 200 until the end; no query lost before the socket closes; end after 5 to 7 s with 0",
        run: term,
    },
    Row {
        id: "P4",
        what: "SIGKILL and a new start, 10,000 Services",
        bar: "listening ≤ 100 ms; the last Service right ≤ 0.5 s",
        run: kill,
    },
    Row {
        id: "P6",
        what: "64 descriptors, 100 TCP connections held",
        bar: "0 of 1,000 q/s over UDP failed; ≤ 20 % of a processor; a change of the cluster ≤ 1 s; new TCP client ≤ 1 s after they end",
        run: few_files,
    },
    Row {
        id: "P10",
        what: "SIGSTOP for 10 s under 500 q/s, then SIGCONT",
        bar: "≤ 5 % of those asked meanwhile answered when they are older than 2 s; right ≤ 0.5 s after; ≤ 3 new connections to the API server, one a watch",
        run: stopped,
    },
];

/// P1.
fn bad_files(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let good = rig.corefile.clone();
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let taken = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let bad = [
        format!("{good}.:0 {{\n  whoami\n"),
        good.replacen("  errors\n", "  errors\n  nonsense\n", 1),
        format!(
            "{good}tls://.:{port} {{\n  bind 127.0.0.1\n  tls /none/cert.pem /none/key.pem\n  whoami\n}}\n"
        ),
        format!("{good}.:{port} {{\n  bind 127.0.0.1\n  whoami\n}}\n"),
    ];
    let mut told = 0;
    for text in &bad {
        let before = rig.log().len();
        rig.reload(text)?;
        let said = wait(Duration::from_secs(4), || {
            let log = rig.log().get(before..).unwrap_or_default().to_lowercase();
            log.contains("error") || log.contains("fail")
        });
        told += usize::from(said.is_some());
        std::thread::sleep(Duration::from_millis(300));
    }
    let named = rig.log().matches("Corefile:").count();
    rig.reload(&good.replacen("ttl 30", "ttl 29", 1))?;
    let took = wait(LONG, || rig.ttl(1) == Some(29));
    let account = load.finish();
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(
        told == bad.len() && named > 0,
        format!("{told} of {} told, the file named {named} times", bad.len()),
    );
    found.judge(
        took.is_some_and(|took| took <= Duration::from_secs(5)),
        format!("good one after {}", seen(took)),
    );
    Ok(found)
}

/// P2.
fn reloads(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let clock = Clock::system();
    let begin = clock.now();
    let (mut done, mut early) = (0, None);
    for round in 0..RELOADS {
        if clock.now().since(begin) > RELOADING {
            break;
        }
        let ttl = 28 + u32::try_from(round % 2)?;
        rig.reload(&rig.corefile.replacen("ttl 30", &format!("ttl {ttl}"), 1))?;
        done += usize::from(wait(Duration::from_secs(5), || rig.ttl(1) == Some(ttl)).is_some());
        if round == 9 {
            early = Some((rig.subject.rss()?, rig.subject.files()?));
        }
    }
    let took = clock.now().since(begin);
    // What the last one replaced is let go a moment later.
    std::thread::sleep(REST);
    let (rss, files) = (rig.subject.rss()?, rig.subject.files()?);
    let account = load.finish();
    let Some((early_rss, early_files)) = early.filter(|_| done > 10) else {
        return Ok(Found::not_run(format!("only {done} reloads came into force")));
    };
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(done == RELOADS, format!("{done} reloads in {}", seconds(took)));
    found.judge(rss - early_rss <= MEBI / 2.0, format!("memory {:+.2} MiB", (rss - early_rss) / MEBI));
    // What fakes and probes have open for a moment comes and goes.
    found.judge(files <= early_files, format!("files {early_files} → {files}"));
    Ok(found)
}

/// P3.
fn term(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan { health: "    lameduck 5s\n", ..Plan::small(&api) })?;
    let ready = wait(LONG, || status(rig.ready, "/ready") == 200);
    if ready.is_none() {
        return Ok(Found::not_run("it never was ready"));
    }
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    std::thread::sleep(Duration::from_secs(1));
    let clock = Clock::system();
    let begin = clock.now();
    rig.signal(Signal::TERM)?;
    let unready = wait(Duration::from_secs(3), || status(rig.ready, "/ready") != 200);
    let mut unhealthy = 0;
    while clock.now().since(begin) < Duration::from_millis(4500) {
        unhealthy += usize::from(status(rig.health, "/health") != 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut ended = None;
    wait(LONG, || {
        ended = rig.subject.ended();
        ended.is_some()
    });
    let took = clock.now().since(begin);
    let account = load.finish();
    let code = ended.and_then(|status| status.code());
    let mut found = Found::default();
    found.judge(
        unready.is_some_and(|took| took <= Duration::from_millis(200)),
        format!("unready after {}", unready.map_or("3 s".to_owned(), millis)),
    );
    found.judge(unhealthy == 0, format!("health failed {unhealthy} times"));
    found.judge(
        account.lost == 0 && account.wrong + account.denied == 0,
        format!("{} lost of {} before it closed", account.lost, account.asked - account.refused),
    );
    found.judge(
        code == Some(0) && (5.0..=7.0).contains(&took.as_secs_f64()),
        format!("ended after {} with {code:?}", seconds(took)).replace("Some(0)", "0"),
    );
    Ok(found)
}

/// P4.
fn kill(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = stage.large();
    let upstream = Fake::start(Manner::after(0))?;
    let plan = || Plan::of(api, USUAL).upstream(upstream.addr);
    let mut rig = Rig::synced(kind, &plan())?;
    rig.signal(Signal::KILL)?;
    if wait(LONG, || rig.subject.ended().is_some()).is_none() {
        return Ok(Found::not_run("it outlived SIGKILL"));
    }
    drop(rig);
    let clock = Clock::system();
    let begin = clock.now();
    let mut rig = Rig::start(kind, &plan())?;
    let listening =
        wait(LONG, || rig.outside("first.example.org") == Some(0)).map(|_| clock.now().since(begin));
    rig.wait_synced()?;
    let right = clock.now().since(begin);
    let mut found = Found::default();
    found.judge(
        listening.is_some_and(|took| took <= Duration::from_millis(100)),
        format!("listening after {}", listening.map_or("60 s".to_owned(), millis)),
    );
    let spent = rig.subject.processor_time()?;
    let alone = super::measure::fake_alone(api)?;
    found.judge(
        right <= Duration::from_millis(500),
        format!(
            "right after {} (the fake alone: {}; {spent:.2} s of a processor)",
            seconds(right),
            seconds(alone)
        ),
    );
    Ok(found)
}

/// P6.
fn few_files(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api: FakeApi = small_api();
    let mut rig = Rig::synced(kind, &Plan { files: Some(64), ..Plan::small(&api) })?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 1000)?;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.extend(TcpStream::connect_timeout(&rig.addr, Duration::from_secs(1)).ok());
    }
    let most = rig.subject.files()?;
    let clock = Clock::system();
    let (begin, used) = (clock.now(), rig.subject.processor_time()?);
    let mut slowest = Some(Duration::ZERO);
    for nth in 0..5 {
        std::thread::sleep(Duration::from_millis(400));
        let new = add(&api, nth * 2);
        slowest = slowest.and_then(|slowest| Some(slowest.max(rig.visible(new, LONG)?)));
    }
    let share = (rig.subject.processor_time()? - used) / clock.now().since(begin).as_secs_f64() * 100.0;
    let count = held.len();
    drop(held);
    let end = clock.now();
    let again = wait(LONG, || over_tcp(rig.addr, 1).is_ok()).map(|_| clock.now().since(end));
    rig.subject.alive()?;
    let account = load.finish();
    let second = Duration::from_secs(1);
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(share <= 20.0, format!("{share:.0} % of a processor"));
    found.judge(slowest.is_some_and(|took| took <= second), format!("changes {}", seen(slowest)));
    found.judge(again.is_some_and(|took| took <= second), format!("TCP again after {}", seen(again)));
    found.note(format!("{most} files at {count} connections"));
    Ok(found)
}

/// P10.
fn stopped(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 500)?;
    std::thread::sleep(Duration::from_secs(1));
    let connections = api.accepted();
    rig.signal(Signal::STOP)?;
    std::thread::sleep(STOP);
    let answered = rig.client.is_right(1);
    rig.signal(Signal::CONT)?;
    let right = rig.visible(1, LONG);
    std::thread::sleep(REST);
    let connections = api.accepted() - connections;
    let account = load.finish();
    if answered {
        return Ok(Found::not_run("it was not stopped"));
    }
    let mut found = Found::default();
    let share = real(account.late) / (500.0 * STOP.as_secs_f64()) * 100.0;
    found.judge(share <= 5.0, format!("{} replies older than 2 s ({share:.1} %)", account.late));
    found.judge(
        right.is_some_and(|took| took <= Duration::from_millis(500)),
        format!("right after {}", right.map_or("60 s".to_owned(), micros)),
    );
    found.judge(connections <= 3, format!("{connections} new connections"));
    Ok(found)
}
