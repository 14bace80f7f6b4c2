//! What is measured of a server, part by part.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use signpost::time::{Clock, Tick};

use super::Kind;
use super::api::{Call, FakeApi, Resource};
use super::awake::Awake;
use super::client::{self, Client};
use super::objects::{
    LARGE, LARGE_SERVICE, Scale, USUAL, is_headless, large_ip, large_slice, name_of, namespace_of, service,
};
use super::report::{Table, mebi, median, micros, millis, part, seconds};
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
    /// New Services, and events of the large Service.
    pub(crate) changes: usize,
    /// Relists.
    pub(crate) relists: usize,
    /// Questions a second during the relists.
    pub(crate) rate: usize,
}

/// How long after the end of an outage the change of its middle was answered; `None` for not in time.
type Seen = Option<Duration>;

/// A server that has been started.
struct Running {
    /// Its process.
    subject: Subject,
    /// Who asks it.
    client: Client,
    /// Where it listens.
    addr: SocketAddr,
    /// Where its files lie.
    _dir: tempfile::TempDir,
}

/// Starts a server on the fake.
fn start(kind: &Kind, api: &FakeApi, scale: Scale) -> anyhow::Result<Running> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let addr = free_address()?;
    let corefile = format!(
        ".:{} {{\n  bind 127.0.0.1\n  errors\n  loadbalance\n  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    endpoint {}\n  }}\n}}\n",
        addr.port(),
        api.url()
    );
    let subject = Subject::start(&kind.program, &corefile, dir.path())?;
    Ok(Running { subject, client: Client::new(addr, scale)?, addr, _dir: dir })
}

/// Starts a server and waits until every Service is answered rightly: the times of the first and of the last.
fn start_whole(kind: &Kind, api: &FakeApi, scale: Scale) -> anyhow::Result<(Running, Duration, Duration)> {
    let clock = Clock::system();
    let begin = clock.now();
    let mut running = start(kind, api, scale)?;
    wait(&clock, Duration::from_millis(1), &kind.name, || running.client.is_right(scale.services - 1))?;
    let first = clock.now().since(begin);
    let mut left: Vec<usize> = (0..scale.services).collect();
    while !left.is_empty() {
        left = running.client.not_right(&left).0;
        if clock.now().since(begin) > LONG {
            bail!("{}: {} Services are not answered within {LONG:?}", kind.name, left.len());
        }
    }
    let all = clock.now().since(begin);
    running.subject.alive()?;
    Ok((running, first, all))
}

/// Part `start`: how soon it serves, what it reads, what it holds.
pub(crate) fn starts(kind: &Kind, api: &FakeApi, starts: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut first, mut all, mut read, mut rss, mut processor) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts.max(1) {
        let before = api.sent();
        let (running, soonest, last) = start_whole(kind, api, USUAL)?;
        first.push(soonest);
        all.push(last);
        read.push(f64::from(u32::try_from(api.sent() - before).unwrap_or(u32::MAX)));
        processor.push(Duration::from_secs_f64(running.subject.processor_time()?));
        std::thread::sleep(IDLE);
        rss.push(running.subject.rss()?);
    }
    say(&format!("{}: all answered after {all:?}", kind.name));
    table.put("Start → first right answer, median", &kind.name, seconds(median(first)));
    table.put("Start → every Service answered rightly, median", &kind.name, seconds(median(all)));
    table.put("Processor time until then, median", &kind.name, seconds(median(processor)));
    table.put("Read from the API server until then, median", &kind.name, mebi(super::report::middle(read)));
    table.put("RSS, synced and idle for 10 s, median", &kind.name, mebi(super::report::middle(rss)));
    Ok(())
}

/// Part `size`: start and memory with a cluster of another size.
pub(crate) fn size(kind: &Kind, api: &FakeApi, scale: Scale, table: &mut Table) -> anyhow::Result<()> {
    let (running, _, all) = start_whole(kind, api, scale)?;
    std::thread::sleep(IDLE);
    let what = format!("{} endpoints in {} slices", scale.services * scale.endpoints, scale.services);
    let rss = running.subject.rss()?;
    say(&format!("{}: {what}: {} after {all:?}", kind.name, mebi(rss)));
    table.put(&format!("RSS, {what}"), &kind.name, mebi(rss));
    table.put(&format!("Start → every Service answered rightly, {what}"), &kind.name, seconds(all));
    Ok(())
}

/// Part `empty`: what it holds where there is nothing.
pub(crate) fn empty(kind: &Kind, table: &mut Table) -> anyhow::Result<()> {
    let api = FakeApi::start();
    api.apply(super::api::namespace("default"));
    let mut running = start(kind, &api, USUAL)?;
    wait(&Clock::system(), LOOK, &kind.name, || api.is_watched() && api.count(None, LISTS) >= WATCHED.len())?;
    std::thread::sleep(IDLE);
    running.subject.alive()?;
    let rss = running.subject.rss()?;
    say(&format!("{}: empty cluster: {}", kind.name, mebi(rss)));
    table.put("RSS, empty cluster, idle", &kind.name, mebi(rss));
    Ok(())
}

/// How soon new Services were answered, sorted.
#[derive(Default)]
struct Fresh {
    /// From the event, as the fake begins to write it to the watch.
    told: Vec<Duration>,
    /// From the object's way into the fake.
    whole: Vec<Duration>,
}

/// Part `fresh`: how soon a new Service is answered, with processors that stay awake and as they are.
pub(crate) fn fresh(kind: &Kind, api: &FakeApi, count: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut running, ..) = start_whole(kind, api, USUAL)?;
    for awake in [true, false] {
        let spinning = if awake { Some(Awake::start()?) } else { None };
        let times = new_services(api, &mut running.client, count, &Clock::system())?;
        drop(spinning);
        let how = if awake { "processors kept awake" } else { "processors that halt" };
        let mut put = |what: &str, times: &[Duration]| {
            let cell = [50, 99, 100].map(|percent| micros(part(times, percent))).join(", ");
            say(&format!("{}: {what}, {how}: {cell}", kind.name));
            table.put(&format!("{what} → first right answer, {how}: p50, p99, longest"), &kind.name, cell);
        };
        put(&format!("Event of a new Service, {count} times"), &times.told);
        put("New Service into the fake", &times.whole);
    }
    Ok(())
}

/// Part `relists`: peak and wrong answers over relists under load.
pub(crate) fn relists(
    kind: &Kind,
    api: &FakeApi,
    measures: &Measures,
    table: &mut Table,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let (running, ..) = start_whole(kind, api, USUAL)?;
    std::thread::sleep(IDLE);
    let idle = running.subject.rss()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, rate, addr) = (stop.clone(), measures.rate, running.addr);
    let load = std::thread::spawn(move || client::load(addr, USUAL, rate, &stopped));
    // What it holds while it serves: buffers, counters and the recorder are at work.
    std::thread::sleep(IDLE);
    let steady = running.subject.rss()?;
    running.subject.forget_peak()?;
    let begin = clock.now();
    for _ in 0..measures.relists {
        relist(api, &kind.name, &clock)?;
    }
    let relisted = clock.now().since(begin);
    stop.store(true, Ordering::Relaxed);
    let load = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    let peak = running.subject.peak()?;
    say(&format!("{}: peak {}, {load:?} in {relisted:?}", kind.name, mebi(peak)));
    std::thread::sleep(IDLE);
    let row = format!(
        "Peak RSS over {} relists (410), {} queries a second meanwhile",
        measures.relists, measures.rate
    );
    table.put("RSS, idle for 10 s before relists", &kind.name, mebi(idle));
    let row_steady = format!("RSS, steady at {} queries a second", measures.rate);
    table.put(&row_steady, &kind.name, mebi(steady));
    table.put(&row, &kind.name, format!("{} (× {:.2} of steady)", mebi(peak), peak / steady));
    table.put("RSS, idle for 10 s behind them", &kind.name, mebi(running.subject.rss()?));
    table.put("Time of these relists, the server's own pauses included", &kind.name, seconds(relisted));
    let judged = format!("{}, {}, {}", load.asked, load.wrong, load.lost);
    table.put("Queries meanwhile: asked, wrong, lost", &kind.name, judged);
    table.put("Slowest batch of 50 meanwhile", &kind.name, millis(load.slowest));
    Ok(())
}

/// Part `event`: how soon an event of one of the slices of a Service with 5,000 endpoints is answered.
pub(crate) fn event(kind: &Kind, count: usize, table: &mut Table) -> anyhow::Result<()> {
    let api = FakeApi::start();
    let clock = Clock::system();
    api.apply(super::api::namespace(&namespace_of(LARGE_SERVICE)));
    api.apply_all(super::objects::large());
    let mut running = start(kind, &api, USUAL)?;
    let client = &mut running.client;
    let last = large_ip(LARGE.0 - 1, LARGE.1 - 1, 0);
    wait(&clock, LOOK, &kind.name, || client.has_endpoint(LARGE_SERVICE, last, true))?;
    let mut rng = fastrand::Rng::with_seed(13);
    let mut times = Vec::new();
    for change in 1..=count.min(LARGE.0 * 4) {
        let slice = change % LARGE.0;
        let turn = change / LARGE.0 + 1;
        let object = large_slice(slice, turn);
        std::thread::sleep(Duration::from_micros(rng.u64(8_000..20_000)));
        let begin = clock.now();
        api.apply(object);
        let new = large_ip(slice, LARGE.1 - 1, turn);
        while !client.has_endpoint(LARGE_SERVICE, new, true) {
            if clock.now().since(begin) > LONG {
                bail!("{}: an event of a large Service is not answered within {LONG:?}", kind.name);
            }
        }
        times.push(clock.now().since(begin));
    }
    times.sort();
    running.subject.alive()?;
    let row = "Headless Service of 5,000 endpoints: event of a slice → the new endpoint's name, p50";
    table.put(row, &kind.name, micros(part(&times, 50)));
    table.put("The same event, p99", &kind.name, micros(part(&times, 99)));
    Ok(())
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
fn new_services(api: &FakeApi, client: &mut Client, count: usize, clock: &Clock) -> anyhow::Result<Fresh> {
    let mut rng = fastrand::Rng::with_seed(11);
    let new: Vec<usize> = (USUAL.services..).filter(|&number| !is_headless(number)).take(count).collect();
    let mut times = Fresh::default();
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
        times.told.push(api.since_told().context("a change without an event")?);
        times.whole.push(clock.now().since(begin));
    }
    for number in new {
        api.delete(Resource::Services, &namespace_of(number), &name_of(number));
    }
    times.told.sort();
    times.whole.sort();
    Ok(times)
}

/// Takes the fake away for these times, twice each, and adds a Service meanwhile.
pub(crate) fn outages(
    kinds: &[Kind],
    api: &FakeApi,
    lengths: &[u64],
    table: &mut Table,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut running = Vec::new();
    for kind in kinds {
        let mut one = start(kind, api, USUAL)?;
        wait(&clock, LOOK, &kind.name, || one.client.is_right(USUAL.services - 1))?;
        running.push(one);
    }
    let mut new = (USUAL.services * 2..).filter(|&number| !is_headless(number));
    for &length in lengths {
        for dark in [false, true] {
            let number = new.next().context("numbers end")?;
            let probe = new.next().context("numbers end")?;
            std::thread::sleep(APART);
            if dark {
                api.black_hole()
            } else {
                api.down()
            }
            std::thread::sleep(Duration::from_secs(length));
            api.apply(service(number));
            if dark {
                api.light()
            } else {
                api.up()
            }
            let begin = clock.now();
            let mut seen: Vec<Seen> = vec![None; running.len()];
            while seen.iter().any(Option::is_none) && clock.now().since(begin) < LONG {
                for (one, seen) in running.iter_mut().zip(&mut seen) {
                    if seen.is_none() && one.client.is_right(number) {
                        *seen = Some(clock.now().since(begin));
                    }
                }
                std::thread::sleep(LOOK);
            }
            let how = if dark { "packets dropped" } else { "connections refused" };
            say(&format!("outage of {length} s, {how}: {seen:?}"));
            for (kind, seen) in kinds.iter().zip(seen) {
                let row = format!("Change visible after an outage of {length} s, {how}");
                table.put(&row, &kind.name, seen.map_or("not within 120 s".to_owned(), seconds));
            }
            // Whoever is still lost finds back before the next outage.
            api.cut();
            api.apply(service(probe));
            for (one, kind) in running.iter_mut().zip(kinds) {
                if let Err(error) = wait(&clock, LOOK, &kind.name, || one.client.is_right(probe)) {
                    say(&format!("behind the outage: {error}"));
                }
            }
        }
    }
    for one in &mut running {
        one.subject.alive()?;
    }
    Ok(())
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
                "GET {path}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan HTTP/1.1\r\nhost: x\r\naccept: application/vnd.kubernetes.protobuf\r\n\r\n"
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
