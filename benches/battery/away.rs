//! Rows A1 to A3, A5, A6: the API server is not there, goes, comes back, hangs up, or falls silent.

use std::net::TcpStream;
use std::time::Duration;

use signpost::time::Clock;

use super::api::{Call, FakeApi, Fault, Resource, StartOptions};
use super::beside::{Beside, Names};
use super::fake::{Fake, Manner};
use super::objects;
use super::report::{mebi, micros, part, seconds};
use super::rig::{Kind, Plan, Rig, SMALL, add, small_api, status, wait};
use super::row::{Found, Row, Stage};

/// Cluster questions a second while something is wrong.
pub(crate) const RATE: u32 = 2000;

/// What each server watches of a cluster without special options.
pub(crate) const WATCHED: [Resource; 3] =
    [Resource::Services, Resource::EndpointSlices, Resource::Namespaces];

/// Requests that list.
pub(crate) const LISTS: &[Call] = &[Call::List, Call::InitialWatch];

/// How long a server is left alone before memory is read.
pub(crate) const REST: Duration = Duration::from_secs(2);

/// How long after its lists a server has given back what only they needed: signpost looks every three seconds.
const SETTLED: Duration = Duration::from_secs(10);

/// How long an outage goes on with nobody asking.
const QUIET: Duration = Duration::from_secs(10);

/// How long anything is waited for.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// One MiB. Unit: bytes.
pub(crate) const MEBI: f64 = 1_048_576.0;

/// The rows.
pub(crate) const ROWS: [Row; 5] = [
    Row {
        id: "A1",
        what: "The API server is down at the start, for 6 s",
        bar: "listening ≤ 100 ms; no name of the cluster denied; names outside answered; `/ready` not 200, `/health` 200; ready and right ≤ 1 s after the lists",
        run: down_at_start,
    },
    Row {
        id: "A2",
        what: "The API server closes every connection, for the length of an outage",
        bar: "0 of 2,000 q/s failed; `/ready` stays 200; memory ≤ ± 1 MB; < 1 % of a processor with nobody asking; ≤ 1 attempt a step of each watch's back-off: 0.05 s, 0.1, 0.2, 0.4, then ≥ 0.75",
        run: gone,
    },
    Row {
        id: "A3",
        what: "It is down for 12 s, and again for 40 s, and a Service appears meanwhile",
        bar: "answered ≤ 1 s after its return, ≤ 5 s the second time; 0 of 2,000 q/s failed",
        run: back,
    },
    Row {
        id: "A5",
        what: "Every watch ends after 50 ms, for 8 s",
        bar: "0 lists; 0 of 2,000 q/s failed; changes ≤ 1 s (p99), ≤ 100 ms when healthy",
        run: hang_ups,
    },
    Row {
        id: "A6",
        what: "The connections to the API server go dead without a word",
        bar: "a change is answered ≤ 30 s; 0 of 2,000 q/s failed",
        run: black_hole,
    },
];

/// A time, or that there was none in time.
pub(crate) fn seen(time: Option<Duration>) -> String {
    time.map_or("not in time".to_owned(), seconds)
}

/// A1.
fn down_at_start(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = FakeApi::start_with(StartOptions { down: true, ..StartOptions::default() });
    api.apply_all(objects::all(SMALL));
    let upstream = Fake::start(Manner::after(0))?;
    let nobody =
        api.url().trim_start_matches("http://").parse::<std::net::SocketAddr>().ok().map(TcpStream::connect);
    if !matches!(nobody, Some(Err(_))) {
        return Ok(Found::not_run("the fake API server did not stay down"));
    }
    let clock = Clock::system();
    let begin = clock.now();
    let mut rig = Rig::start(kind, &Plan::small(&api).upstream(upstream.addr))?;
    let listening =
        wait(LONG, || rig.outside("first.example.org") == Some(0)).map(|_| clock.now().since(begin));
    rig.subject.alive()?;
    let (inside, outside) = (
        Beside::start(rig.addr, Names::Cluster(SMALL), 200)?,
        Beside::start(rig.addr, Names::Outside(0), 100)?,
    );
    std::thread::sleep(Duration::from_secs(6));
    let (ready, health) = (status(rig.ready, "/ready"), status(rig.health, "/health"));
    let (inside, outside) = (inside.finish(), outside.finish());
    api.up();
    let up = clock.now();
    // Nobody has asked it for anything so far.
    let lists = || WATCHED.iter().all(|resource| api.count(Some(*resource), LISTS) > 0);
    let listed = wait(LONG, || lists() && api.is_watched()).map(|_| clock.now());
    let ready_again =
        wait(LONG, || status(rig.ready, "/ready") == 200).and_then(|_| Some(clock.now().since(listed?)));
    let right = rig.visible(SMALL.services - 1, LONG).and_then(|_| Some(clock.now().since(listed?)));
    let back = clock.now().since(up);
    let second = Duration::from_secs(1);
    let mut found = Found::default();
    found.judge(
        listening.is_some_and(|took| took <= Duration::from_millis(100)),
        format!("outside answered after {}", listening.map_or("60 s".to_owned(), micros)),
    );
    found.judge(
        inside.denied == 0 && inside.took.is_empty(),
        format!(
            "{} of {} in the cluster denied, {} without a reply",
            inside.denied, inside.asked, inside.lost
        ),
    );
    found.judge(outside.failed() == 0, format!("{} of {} outside failed", outside.failed(), outside.asked));
    found.judge(ready != 200 && health == 200, format!("ready {ready}, health {health}"));
    found.judge(ready_again.is_some_and(|took| took <= second), format!("ready {}", seen(ready_again)));
    found.judge(
        right.is_some_and(|took| took <= second),
        format!("right {} after the lists, {} after its return", seen(right), seconds(back)),
    );
    Ok(found)
}

/// The least pauses between the attempts of one watch, one after another; the last one for all behind it.
const STEPS: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(750),
];

/// How much sooner than a pause is over a timer may go off.
const EARLY: Duration = Duration::from_millis(5);

/// How many of these moments of one watch came sooner than the step of its back-off.
fn hasty(moments: &[Duration]) -> usize {
    let pauses = moments.windows(2).map(|pair| pair[1] - pair[0]);
    let steps = STEPS.iter().chain(STEPS.iter().last().into_iter().cycle());
    pauses.zip(steps).filter(|(pause, step)| *pause + EARLY < **step).count()
}

/// A2.
fn gone(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    // Buffers and heaps are warm before memory is read, what the lists have left is given back, and the code of an outage has run once:
    // its pages are counted too, and are there from the first attempt on.
    Beside::start_for(rig.addr, Names::Cluster(SMALL), RATE, SETTLED)?;
    api.fault(Fault::Close.rule());
    api.cut();
    Beside::start_for(rig.addr, Names::Cluster(SMALL), RATE, REST)?;
    api.heal();
    Beside::start_for(rig.addr, Names::Cluster(SMALL), RATE, SETTLED)?;
    let before = rig.subject.rss()?;
    let logged = api.requests().len();
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let rule = api.fault(Fault::Close.rule());
    api.cut();
    let seconds = stage.measures.seconds;
    let mut unready = 0;
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        unready += usize::from(status(rig.ready, "/ready") != 200);
    }
    let after = rig.subject.rss()?;
    let account = load.finish();
    // What the outage itself costs: nobody asks now.
    let (clock, used) = (Clock::system(), rig.subject.processor_time()?);
    let begin = clock.now();
    std::thread::sleep(QUIET);
    let share = (rig.subject.processor_time()? - used) / clock.now().since(begin).as_secs_f64() * 100.0;
    rig.subject.alive()?;
    let (mut attempts, mut soon) = (0, 0);
    for resource in WATCHED {
        let requests = api.requests();
        let behind = requests.iter().skip(logged).filter(|request| request.resource == Some(resource));
        let moments: Vec<Duration> = behind.map(|request| request.at).collect();
        attempts += moments.len();
        soon += hasty(&moments);
    }
    if api.happened(rule) == 0 {
        return Ok(Found::not_run("nobody noticed that the API server was gone"));
    }
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(unready == 0, format!("not ready {unready} of {seconds} times"));
    found.judge((after - before).abs() <= 1e6, format!("memory {:+.1} MB", (after - before) / 1e6));
    found.judge(share < 1.0, format!("{share:.1} % of a processor"));
    let lasts = real(seconds) + QUIET.as_secs_f64();
    found.judge(soon == 0, format!("{attempts} attempts in {lasts:.0} s, {soon} of them too soon"));
    Ok(found)
}

/// A count for arithmetic.
pub(crate) fn real<N: TryInto<u32>>(count: N) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// A3.
fn back(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let mut found = Found::default();
    let bars = [
        (Duration::from_secs(12), Duration::from_secs(1)),
        (Duration::from_secs(40), Duration::from_secs(5)),
    ];
    for (nth, (lasts, bar)) in bars.into_iter().enumerate() {
        api.down();
        std::thread::sleep(lasts / 2);
        let new = add(&api, nth * 2);
        std::thread::sleep(lasts / 2);
        let early = rig.client.is_right(new);
        api.up();
        let took = rig.visible(new, LONG);
        if early {
            return Ok(Found::not_run("the server saw a change of an API server that was down"));
        }
        found.judge(
            took.is_some_and(|took| took <= bar),
            format!("answered {} after {:.0} s", seen(took), lasts.as_secs_f64()),
        );
        wait(LONG, || api.is_watched());
    }
    let account = load.finish();
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    Ok(found)
}

/// How long changes take to be answered, one after another, sorted; one that is not in time counts as the bound.
fn changes(api: &FakeApi, rig: &mut Rig, first: usize, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for nth in first..first + count {
        std::thread::sleep(Duration::from_millis(130));
        let new = add(api, nth * 2);
        times.push(rig.visible(new, LONG).unwrap_or(LONG));
    }
    times.sort();
    times
}

/// A5.
fn hang_ups(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let healthy = changes(&api, &mut rig, 0, 20);
    let lists = api.count(None, LISTS);
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let rule = api.fault(Fault::EndAfter(Duration::from_millis(50)).rule().calls(&[Call::Watch]));
    api.cut();
    let times = changes(&api, &mut rig, 20, 40);
    let happened = api.happened(rule);
    let lists = api.count(None, LISTS) - lists;
    let account = load.finish();
    if happened == 0 {
        return Ok(Found::not_run("no watch was ended"));
    }
    let mut found = Found::default();
    found.judge(lists == 0, format!("{lists} lists behind {happened} ends"));
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(
        part(&times, 99) <= Duration::from_secs(1),
        format!("changes p99 {}", micros(part(&times, 99))),
    );
    found.judge(
        part(&healthy, 99) <= Duration::from_millis(100),
        format!("healthy p99 {}", micros(part(&healthy, 99))),
    );
    Ok(found)
}

/// A6.
fn black_hole(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    // Connections from before stay dead for good; new ones are served at once.
    api.black_hole();
    api.light();
    let new = add(&api, 0);
    std::thread::sleep(Duration::from_millis(500));
    if rig.client.is_right(new) {
        return Ok(Found::not_run("packets did not vanish"));
    }
    let took = rig.visible(new, LONG).map(|took| took + Duration::from_millis(500));
    let account = load.finish();
    let mut found = Found::default();
    found.judge(
        took.is_some_and(|took| took <= Duration::from_secs(30)),
        format!("answered after {}", seen(took)),
    );
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.note(mebi(rig.subject.rss()?));
    Ok(found)
}
