//! Rows P5, P5b, L6, L7: what a server may take has a ceiling, whatever is asked of it, however long.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use signpost::time::Clock;
use socket2::{Domain, Socket, Type};

use super::asker;
use super::away::{MEBI, real};
use super::beside::{Beside, Names};
use super::cage::{Cage, Share};
use super::fake::{Fake, Manner};
use super::overload::clients;
use super::report::{mebi, millis, seconds};
use super::rig::{Kind, Plan, Rig, SMALL, over_tcp, small_api};
use super::row::{Found, Row, Stage};

/// What a pod may have in row P5: 64 MiB, and 128. Unit: bytes.
const LIMITS: [u64; 2] = [64 << 20, 128 << 20];

/// Names that a cache has to hold in rows P5 and P5b.
const FILL: usize = 40_000;

/// The CAPACITY of the cache that holds all of those, and room beside them.
const ALL: u32 = 200_000;

/// The CAPACITY of the one that a pod of 64 MiB can have full: 30 MiB, of which new names fill what those leave within row
/// P5b's first minutes.
const FULL: u32 = 60_000;

/// How long the flood of row P5 lasts.
const FLOOD: Duration = Duration::from_secs(8);

/// How long row P5b is awaited before memory counts: caches fill, heaps settle.
const SETTLING: Duration = Duration::from_secs(5 * 60);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How fast memory may grow in row P5b. Unit: bytes an hour.
const SLOPE: f64 = 500_000.0;

/// Parts of row L7, of which the first fills the cache.
const PARTS: usize = 20;

/// Connections of row L6: idle ones, those that write a byte and stop, and those that stop within a handshake.
const CONNECTIONS: [usize; 3] = [5000, 1000, 500];

/// The most files in row L6: 1,024 connections of each of two transports, and a hundred for all else.
const MOST_FILES: f64 = 2148.0;

/// The rows.
pub(crate) const ROWS: [Row; 4] = [
    Row {
        id: "P5",
        what: "64 MiB of memory (cgroup), then 128: 40,000 different names through the cache, then 5,000 unique names a second for a silent upstream",
        bar: "it lives; 0 of 500 local q/s failed",
        run: little_memory,
    },
    Row {
        id: "P5b",
        what: "64 MiB of memory for 30 minutes, a cache of 30 MiB full, 1,000 q/s: new names, names that nobody answers, names of the cluster",
        bar: "it lives; memory grows by < 0.5 MB an hour behind the first 5 minutes",
        run: for_long,
    },
    Row {
        id: "L6",
        what: "5,000 idle TCP connections, 1,000 that stop in the length, 500 that stop in a TLS handshake, from 100 addresses",
        bar: "0 of 1,000 q/s over UDP lost; a new TCP client < 50 ms; ≤ 2,148 files: 1,024 connections a transport",
        run: connections,
    },
    Row {
        id: "L7",
        what: "2,000,000 different names through a cache of 10,000 entries",
        bar: "behind the first twentieth memory grows by < 1 MiB in 10 minutes",
        run: through_a_cache,
    },
];

/// How fast something grows, by least squares. Unit: its own, a second.
fn slope(points: &[(Duration, f64)]) -> f64 {
    let count = real(points.len());
    let mean = |of: &dyn Fn(&(Duration, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (middle, level) = (mean(&|point| point.0.as_secs_f64()), mean(&|point| point.1));
    let along = |point: &(Duration, f64)| point.0.as_secs_f64() - middle;
    let rise: f64 = points.iter().map(|point| along(point) * (point.1 - level)).sum();
    rise / points.iter().map(|point| along(point).powi(2)).sum::<f64>()
}

/// Bytes as a change in MB.
fn mega(bytes: f64) -> String {
    format!("{:+.2} MB", bytes / 1e6)
}

/// P5.
fn little_memory(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let upstream = Fake::start(Manner::after(0))?;
    let silent = Fake::start(Manner::SILENT)?;
    let mut found = Found::default();
    for limit in LIMITS {
        let cage = match Cage::new(Share::Memory(limit)) {
            Ok(cage) => cage,
            Err(why) => return Ok(Found::not_run(format!("no group for memory: {why:#}"))),
        };
        let mut rig = Rig::start(kind, &filled(&api, &upstream, &silent, ALL))?;
        cage.hold(rig.subject.pid())?;
        rig.wait_synced()?;
        let load = Beside::start(rig.addr, Names::Cluster(SMALL), 500)?;
        let (asked, unasked) = (upstream.queries(), silent.queries());
        fill(&rig)?;
        let name = |number: usize| format!("f{number}.silent.test");
        let flood = asker::Steady { addr: rig.addr, rate: 5000, lasts: FLOOD, name: &name, mark: None };
        asker::steady(&flood)?;
        let lives = rig.subject.alive();
        let account = load.finish();
        let happened = upstream.queries() > asked && silent.queries() > unasked;
        let at = mebi(real(u32::try_from(limit)?));
        found.judge(
            lives.is_ok(),
            match lives {
                Ok(()) => format!("{at}: lives, peak {}", mebi(rig.subject.peak()?)),
                Err(_) => format!("{at}: killed"),
            },
        );
        found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
        drop(rig);
        drop(cage);
        if !happened {
            return Ok(Found::not_run("the upstreams were not asked"));
        }
    }
    Ok(found)
}

/// A server with a cache of this CAPACITY, and a zone that nobody answers for.
fn filled<'a>(api: &'a super::api::FakeApi, upstream: &Fake, silent: &Fake, capacity: u32) -> Plan<'a> {
    Plan {
        cache: format!("cache 3600 {{\n    success {capacity}\n  }}"),
        blocks: format!("silent.test:PORT {{\n  bind 127.0.0.1\n  forward . {}\n}}\n", silent.addr),
        ..Plan::small(api).upstream(upstream.addr)
    }
}

/// Asks for as many names as fill its cache.
fn fill(rig: &Rig) -> anyhow::Result<()> {
    let names: Vec<String> = (0..FILL).map(|number| format!("fill-{number}.example.net")).collect();
    asker::eager(rig.addr, &names)?;
    Ok(())
}

/// P5b.
fn for_long(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let minutes = stage.measures.minutes;
    if minutes == 0 {
        return Ok(Found::left("it takes half an hour: --rows P5b, or --minutes 30"));
    }
    let api = small_api();
    let upstream = Fake::start(Manner::after(0))?;
    let silent = Fake::start(Manner::SILENT)?;
    let cage = match Cage::new(Share::Memory(LIMITS[0])) {
        Ok(cage) => cage,
        Err(why) => return Ok(Found::not_run(format!("no group for memory: {why:#}"))),
    };
    let mut rig = Rig::start(kind, &filled(&api, &upstream, &silent, FULL))?;
    cage.hold(rig.subject.pid())?;
    rig.wait_synced()?;
    fill(&rig)?;
    let asked = (upstream.queries(), silent.queries());
    let loads = [(Names::Cluster(SMALL), 400), (Names::Outside(1), 400), (Names::Silent, 200)];
    let [cluster, outside, unanswered] = loads.map(|(names, rate)| Beside::start(rig.addr, names, rate));
    let (cluster, outside, unanswered) = (cluster?, outside?, unanswered?);
    let clock = Clock::system();
    let (begin, lasts) = (clock.now(), Duration::from_secs(minutes * 60));
    let mut points = Vec::new();
    let mut lives = true;
    while lives && clock.now().since(begin) < lasts {
        std::thread::sleep(LOOK);
        lives = rig.subject.alive().is_ok();
        let now = clock.now().since(begin);
        if lives && now >= SETTLING {
            points.push((now, rig.subject.rss()?));
        }
    }
    let (cluster, outside, unanswered) = (cluster.finish(), outside.finish(), unanswered.finish());
    if upstream.queries() == asked.0 || silent.queries() == asked.1 {
        return Ok(Found::not_run("the upstreams were not asked"));
    }
    let mut found = Found::default();
    found.judge(lives, if lives { "lives".to_owned() } else { "killed".to_owned() });
    let growth = slope(&points) * 3600.0;
    let (first, last) =
        (points.first().map_or(0.0, |point| point.1), points.last().map_or(0.0, |point| point.1));
    found.judge(
        growth < SLOPE,
        format!("{} an hour over {minutes} minutes ({} → {})", mega(growth), mebi(first), mebi(last)),
    );
    found.note(format!(
        "{} of {} of the cluster failed, {} of {} outside; {} of {} that nobody answers refused",
        cluster.failed(),
        cluster.asked,
        outside.failed(),
        outside.asked,
        unanswered.wrong,
        unanswered.asked
    ));
    drop(rig);
    drop(cage);
    Ok(found)
}

/// A TCP connection from an address of loopback.
fn connect(own: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(own, 0).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(1))?;
    Ok(socket.into())
}

/// Lets this process have as many files as it may.
pub(crate) fn raise_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// L6.
fn connections(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let wanted: usize = CONNECTIONS.iter().sum();
    let files = raise_files();
    if files < u64::try_from(wanted)? + 500 {
        return Ok(Found::not_run(format!("only {files} open files here")));
    }
    let folder = tempfile::tempdir()?;
    let pair = super::api::Authority::new("battery").issue(&["dns.test"]);
    std::fs::write(folder.path().join("cert.pem"), pair.certificate_pem())?;
    std::fs::write(folder.path().join("key.pem"), pair.key_pem())?;
    let tls = super::subject::free_address()?;
    let at = folder.path().display();
    let api = small_api();
    let blocks = format!(
        "tls://.:{} {{\n  bind 127.0.0.1\n  tls {at}/cert.pem {at}/key.pem\n  whoami\n}}\n",
        tls.port()
    );
    let mut rig = Rig::synced(kind, &Plan { blocks, ..Plan::small(&api) })?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 1000)?;
    let owners: Vec<IpAddr> = clients(2, 100).collect();
    let mut held = Vec::new();
    let starts: [(&[u8], SocketAddr); 3] = [(b"", rig.addr), (b"\x00", rig.addr), (b"\x16\x03\x01\x02", tls)];
    for (count, (bytes, to)) in CONNECTIONS.into_iter().zip(starts) {
        for own in owners.iter().cycle().take(count) {
            if let Ok(mut stream) = connect(*own, to) {
                let _ = stream.write_all(bytes);
                held.push(stream);
            }
        }
    }
    let opened = held.len();
    let fresh = over_tcp(rig.addr, 1);
    let files = rig.subject.files()?;
    rig.subject.alive()?;
    let account = load.finish();
    drop(held);
    if opened < wanted / 2 {
        return Ok(Found::not_run(format!("only {opened} connections could be opened")));
    }
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} over UDP failed", account.failed(), account.asked));
    let quick = fresh.as_ref().is_ok_and(|took| *took < Duration::from_millis(50));
    found.judge(
        quick,
        fresh.map_or_else(
            |why| format!("new TCP client: {why}"),
            |took| format!("new TCP client {}", millis(took)),
        ),
    );
    found.judge(
        files <= MOST_FILES,
        format!("{opened} opened, the server holds {files} files, {}", mebi(rig.subject.rss()?)),
    );
    Ok(found)
}

/// L7.
fn through_a_cache(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let upstream = Fake::start(Manner::after(0))?;
    let cache = "cache 3600 {\n    success 10000\n    denial 10000\n  }";
    let mut rig =
        Rig::synced(kind, &Plan { cache: cache.to_owned(), ..Plan::small(&api).upstream(upstream.addr) })?;
    let idle = rig.subject.rss()?;
    let clock = Clock::system();
    let begin = clock.now();
    let (all, mut lost, mut points) = (stage.measures.names, 0, Vec::new());
    for part in 0..PARTS {
        let names: Vec<String> =
            (0..all / PARTS).map(|number| format!("name-{part}-{number}.example.org")).collect();
        lost += asker::eager(rig.addr, &names)?;
        points.push((clock.now().since(begin), rig.subject.rss()?));
    }
    rig.subject.alive()?;
    let asked = upstream.queries();
    if asked < u64::try_from(all / 10 * 9)? {
        return Ok(Found::not_run(format!("only {asked} names reached the upstream")));
    }
    let took = clock.now().since(begin);
    let (first, last) =
        (points.first().map_or(0.0, |point| point.1), points.last().map_or(0.0, |point| point.1));
    let growth = slope(points.get(1..).unwrap_or_default()) * 600.0;
    let mut found = Found::default();
    found.judge(
        growth < MEBI,
        format!("{} → {} → {}, {:+.2} MiB in 10 minutes", mebi(idle), mebi(first), mebi(last), growth / MEBI),
    );
    found.note(format!("{lost} of {all} lost in {}", seconds(took)));
    Ok(found)
}
