//! What is measured of a server: start, memory, freshness, outages.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use signpost::time::{Clock, Tick};

use super::Kind;
use super::api::{Call, FakeApi, Resource};
use super::client::{self, Client, Load};
use super::objects::{SERVICES, is_headless, name_of, namespace_of, service};
use super::say;
use super::subject::{Subject, free_address};

/// Requests that list.
const LISTS: &[Call] = &[Call::List, Call::InitialWatch];

/// What each server watches.
const WATCHED: [Resource; 3] = [Resource::Services, Resource::EndpointSlices, Resource::Namespaces];

/// The longest wait for anything.
const LONG: Duration = Duration::from_secs(120);

/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);

/// How long between two relists, behind the end of the first: no server lists more often.
const APART: Duration = Duration::from_secs(2);

/// How long it is waited between two looks at what takes seconds.
const LOOK: Duration = Duration::from_millis(5);

/// How much is measured.
pub(crate) struct Measures {
    /// Starts.
    pub(crate) starts: usize,
    /// New Services.
    pub(crate) changes: usize,
    /// Relists.
    pub(crate) relists: usize,
    /// Questions a second during the relists.
    pub(crate) rate: usize,
}

/// What was found of one server.
pub(crate) struct Figures {
    /// Who.
    pub(crate) name: String,
    /// From the start to the first right answer, each start.
    pub(crate) first: Vec<Duration>,
    /// From the start until all Services were answered rightly, each start.
    pub(crate) all: Vec<Duration>,
    /// Memory when idle. Unit: bytes.
    pub(crate) idle: f64,
    /// The most memory over the relists. Unit: bytes.
    pub(crate) peak: f64,
    /// Memory when idle behind the relists. Unit: bytes.
    pub(crate) after: f64,
    /// How long the relists took.
    pub(crate) relisted: Duration,
    /// The load beside the relists.
    pub(crate) load: Load,
    /// From a Service to its first right answer, sorted.
    pub(crate) fresh: Vec<Duration>,
}

/// What was found of an outage: how long after its end the change of its middle was answered; `None` for not in time.
pub(crate) struct Outage {
    /// How long it was.
    pub(crate) seconds: u64,
    /// Whether packets vanished; else connections were refused.
    pub(crate) dark: bool,
    /// For each server.
    pub(crate) seen: Vec<Option<Duration>>,
}

/// Starts a server on the fake.
fn start(
    kind: &Kind,
    api: &FakeApi,
    dir: &tempfile::TempDir,
) -> anyhow::Result<(Subject, Client, std::net::SocketAddr)> {
    let addr = free_address()?;
    let corefile = format!(
        ".:{} {{\n  bind 127.0.0.1\n  errors\n  loadbalance\n  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    endpoint {}\n  }}\n}}\n",
        addr.port(),
        api.url()
    );
    Ok((Subject::start(&kind.program, &corefile, dir.path())?, Client::new(addr)?, addr))
}

/// Measures one server.
pub(crate) fn measure(kind: &Kind, api: &FakeApi, measures: &Measures) -> anyhow::Result<Figures> {
    let clock = Clock::system();
    let every: Vec<usize> = (0..SERVICES).collect();
    let (mut first, mut all) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..measures.starts.max(1) {
        drop(last.take());
        let dir = tempfile::tempdir().context("making a folder")?;
        let begin = clock.now();
        let (mut subject, mut client, addr) = start(kind, api, &dir)?;
        wait(&clock, Duration::from_millis(1), &kind.name, || client.is_right(SERVICES - 1))?;
        first.push(clock.now().since(begin));
        let mut left = every.clone();
        while !left.is_empty() {
            left = client.not_right(&left).0;
            if clock.now().since(begin) > LONG {
                bail!("{}: {} Services are not answered within {LONG:?}", kind.name, left.len());
            }
        }
        all.push(clock.now().since(begin));
        subject.alive()?;
        last = Some((subject, client, addr, dir));
    }
    let (subject, mut client, addr, _dir) = last.context("nothing was started")?;
    std::thread::sleep(IDLE);
    let idle = subject.rss()?;
    say(&format!("{}: all answered after {all:?}, {:.1} MiB", kind.name, idle / 1_048_576.0));

    let fresh = fresh(api, &mut client, measures.changes, &clock)?;
    say(&format!("{}: {} new Services, the slowest in {:?}", kind.name, fresh.len(), fresh.last()));

    subject.forget_peak()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, rate) = (stop.clone(), measures.rate);
    let load = std::thread::spawn(move || client::load(addr, rate, &stopped));
    let begin = clock.now();
    for _ in 0..measures.relists {
        relist(api, &kind.name, &clock)?;
    }
    let relisted = clock.now().since(begin);
    stop.store(true, Ordering::Relaxed);
    let load = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    let peak = subject.peak()?;
    say(&format!("{}: peak {:.1} MiB, {load:?} in {relisted:?}", kind.name, peak / 1_048_576.0));
    std::thread::sleep(IDLE);
    Ok(Figures {
        name: kind.name.clone(),
        first,
        all,
        idle,
        peak,
        after: subject.rss()?,
        relisted,
        load,
        fresh,
    })
}

/// Polls until something holds.
fn wait(clock: &Clock, look: Duration, who: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let begin = clock.now();
    while !holds() {
        if clock.now().since(begin) > LONG {
            bail!("{who}: not within {LONG:?}");
        }
        std::thread::sleep(look);
    }
    Ok(())
}

/// Has all resources listed once more.
fn relist(api: &FakeApi, who: &str, clock: &Clock) -> anyhow::Result<()> {
    let lists = || WATCHED.map(|resource| api.count(Some(resource), LISTS));
    let before = lists();
    api.compact();
    api.fail_open_watches(410);
    wait(clock, LOOK, who, || {
        lists().iter().zip(before).all(|(now, before)| *now > before) && api.is_watched()
    })?;
    std::thread::sleep(APART);
    Ok(())
}

/// How soon new Services are answered, sorted; takes them away again.
fn fresh(api: &FakeApi, client: &mut Client, count: usize, clock: &Clock) -> anyhow::Result<Vec<Duration>> {
    let mut rng = fastrand::Rng::with_seed(11);
    let new: Vec<usize> = (SERVICES..).filter(|&number| !is_headless(number)).take(count).collect();
    let mut times = Vec::new();
    for &number in &new {
        let object = service(number);
        std::thread::sleep(Duration::from_micros(rng.u64(2_000..20_000)));
        let begin = clock.now();
        api.apply(object);
        while !client.is_right(number) {
            if clock.now().since(begin) > LONG {
                bail!("a new Service is not answered within {LONG:?}");
            }
        }
        times.push(clock.now().since(begin));
    }
    for number in new {
        api.delete(Resource::Services, &namespace_of(number), &name_of(number));
    }
    times.sort();
    Ok(times)
}

/// Takes the fake away for these times, twice each, and adds a Service meanwhile.
pub(crate) fn outages(kinds: &[Kind], api: &FakeApi, seconds: &[u64]) -> anyhow::Result<Vec<Outage>> {
    let clock = Clock::system();
    let mut running = Vec::new();
    for kind in kinds {
        let dir = tempfile::tempdir().context("making a folder")?;
        let (subject, mut client, _) = start(kind, api, &dir)?;
        wait(&clock, LOOK, &kind.name, || client.is_right(SERVICES - 1))?;
        running.push((subject, client, dir));
    }
    let mut found = Vec::new();
    let mut new = (SERVICES * 2..).filter(|&number| !is_headless(number));
    for &seconds in seconds {
        for dark in [false, true] {
            let number = new.next().context("numbers end")?;
            let probe = new.next().context("numbers end")?;
            std::thread::sleep(APART);
            if dark {
                api.black_hole()
            } else {
                api.down()
            }
            std::thread::sleep(Duration::from_secs(seconds));
            api.apply(service(number));
            if dark {
                api.light()
            } else {
                api.up()
            }
            let begin = clock.now();
            let mut seen: Vec<Option<Duration>> = vec![None; running.len()];
            while seen.iter().any(Option::is_none) && clock.now().since(begin) < LONG {
                for ((_, client, _), seen) in running.iter_mut().zip(&mut seen) {
                    if seen.is_none() && client.is_right(number) {
                        *seen = Some(clock.now().since(begin));
                    }
                }
                std::thread::sleep(LOOK);
            }
            say(&format!("outage of {seconds} s, {}: {seen:?}", if dark { "dropped" } else { "refused" }));
            found.push(Outage { seconds, dark, seen });
            // Whoever is still lost finds back before the next outage.
            api.cut();
            api.apply(service(probe));
            for ((_, client, _), kind) in running.iter_mut().zip(kinds) {
                if let Err(error) = wait(&clock, LOOK, &kind.name, || client.is_right(probe)) {
                    say(&format!("behind the outage: {error}"));
                }
            }
        }
    }
    for (subject, ..) in &mut running {
        subject.alive()?;
    }
    Ok(found)
}

/// How long the fake needs to send everything to somebody who throws it away: what no server can be quicker than here.
pub(crate) fn fake_alone(api: &FakeApi) -> anyhow::Result<Duration> {
    let clock = Clock::system();
    let begin: Tick = clock.now();
    let address = api.url().trim_start_matches("http://").to_owned();
    let threads = WATCHED.map(|resource| {
        let address = address.clone();
        std::thread::spawn(move || -> anyhow::Result<()> {
            let mut stream = TcpStream::connect(&address)?;
            let path = resource.path();
            write!(
                stream,
                "GET {path}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan HTTP/1.1\r\nhost: x\r\n\r\n"
            )?;
            let (mut buffer, mut tail) = (vec![0_u8; 262_144], Vec::new());
            let end = b"k8s.io/initial-events-end";
            loop {
                let length = stream.read(&mut buffer)?;
                if length == 0 {
                    bail!("the list broke off");
                }
                tail.extend_from_slice(&buffer[length.saturating_sub(1000)..length]);
                if tail.windows(end.len()).any(|part| part == end) {
                    return Ok(());
                }
                tail.drain(..tail.len().saturating_sub(1000));
            }
        })
    });
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
    }
    Ok(clock.now().since(begin))
}
