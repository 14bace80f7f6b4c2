//! Rows A4, A7, A8, A15: lists again and again, refusals, slowness, storms of changes.

use std::time::Duration;

use serde_json::Value;
use signpost::time::Clock;

use super::api::{FakeApi, Fault, Resource, slice};
use super::away::{LISTS, LONG, MEBI, RATE, REST, WATCHED, real, seen};
use super::beside::{Beside, Names};
use super::noise::Noise;
use super::objects::{HEADLESS_EVERY, USUAL, name_of, namespace_of, service};
use super::report::{mebi, micros, seconds};
use super::rig::{Kind, Plan, Rig, SMALL, add, remove, small_api, wait};
use super::row::{Found, Row, Stage, WIDE};

/// How long after a list a server is left alone before its memory counts.
const SETTLED: Duration = Duration::from_secs(8);

/// Changes a second in a storm.
const STORM: u32 = 2000;

/// The rows.
pub(crate) const ROWS: [Row; 5] = [
    Row {
        id: "A4",
        what: "410 Gone in all watches twice a second for 10 s, 10,000 Services",
        bar: "≤ 1 list a second and resource; 0 of 2,000 q/s failed; peak memory ≤ 1.3 × steady; a change ≤ 5 s after it",
        run: gone,
    },
    Row {
        id: "A4b",
        what: "429 with Retry-After: 2 to every request for 8 s",
        bar: "≤ 1 request each 2 s and resource; 0 of 2,000 q/s failed; a change ≤ 5 s after it",
        run: too_many,
    },
    Row {
        id: "A7",
        what: "403 for EndpointSlices, all else well",
        bar: "new Services answered ≤ 1 s meanwhile; 0 of 2,000 q/s failed; the log names `endpointslices`; new slices ≤ 5 s after it",
        run: forbidden,
    },
    Row {
        id: "A8",
        what: "A slow first list (1 MB/s); a cold start with 10,000 Services and 100,000 endpoints; a relist of them under load",
        bar: "no name denied; all right ≤ 1 s after the start; memory ≤ 35 MiB; p99 ≤ 5 ms during the relist, 0 of 2,000 q/s failed",
        run: slow,
    },
    Row {
        id: "A15",
        what: "2,000 EndpointSlice events a second for 5 s",
        bar: "p99 of queries ≤ 2 × idle; 0 of 2,000 q/s failed; the last write answered ≤ 1 s after it",
        run: storm,
    },
];

/// A4.
fn gone(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = stage.large();
    let mut rig = Rig::synced(kind, &Plan::of(api, USUAL))?;
    Beside::start_for(rig.addr, Names::Cluster(USUAL), RATE, REST)?;
    let steady = rig.subject.rss()?;
    rig.subject.forget_peak()?;
    let load = Beside::start(rig.addr, Names::Cluster(USUAL), RATE)?;
    let lists = || WATCHED.map(|resource| api.count(Some(resource), LISTS));
    let before = lists();
    for _ in 0..20 {
        api.compact();
        api.fail_open_watches(410);
        std::thread::sleep(Duration::from_millis(500));
    }
    let most = lists().iter().zip(before).map(|(now, before)| now - before).max().unwrap_or(0);
    let new = add(api, 0);
    let took = rig.visible(new, LONG);
    let account = load.finish();
    remove(api, new);
    if most == 0 {
        return Ok(Found::not_run("no list came of it"));
    }
    let peak = rig.subject.peak()?;
    let mut found = Found::default();
    found.judge(most <= 11, format!("{most} lists a resource in 10 s"));
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(peak <= 1.3 * steady, format!("{} → {} (× {:.2})", mebi(steady), mebi(peak), peak / steady));
    found.judge(
        took.is_some_and(|took| took <= Duration::from_secs(5)),
        format!("a change after {}", seen(took)),
    );
    Ok(found)
}

/// A4b.
fn too_many(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let rule = api.fault(Fault::Status { code: 429, retry_after: Some(2) }.rule());
    api.cut();
    std::thread::sleep(Duration::from_secs(8));
    let requests = api.happened(rule);
    api.heal();
    let new = add(&api, 0);
    let took = rig.visible(new, LONG);
    let account = load.finish();
    if requests == 0 {
        return Ok(Found::not_run("nobody asked the API server"));
    }
    let mut found = Found::default();
    found.judge(requests <= 15, format!("{requests} requests in 8 s"));
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(
        took.is_some_and(|took| took <= Duration::from_secs(5)),
        format!("a change after {}", seen(took)),
    );
    Ok(found)
}

/// A headless Service whose slice a row changes.
const CHANGING: usize = 20_000;

/// Its slice with one address.
fn changed(address: [u8; 4]) -> Value {
    let text = super::objects::text(address);
    slice(&namespace_of(CHANGING), "changing", &name_of(CHANGING), &[text.as_str()])
}

/// The address of a change.
fn address(change: u32) -> [u8; 4] {
    let [_, high, middle, low] = change.to_be_bytes();
    [10, 100 + high % 100, middle, low]
}

/// A7.
fn forbidden(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    api.apply(service(CHANGING));
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let rule = api.fault(Fault::status(403).on(Resource::EndpointSlices));
    api.cut();
    std::thread::sleep(Duration::from_secs(3));
    let mut slowest = Some(Duration::ZERO);
    for nth in 0..10 {
        let new = add(&api, nth * 2);
        slowest = slowest.and_then(|slowest| Some(slowest.max(rig.visible(new, LONG)?)));
        std::thread::sleep(Duration::from_millis(100));
    }
    let hidden = address(1);
    api.apply(changed(hidden));
    std::thread::sleep(Duration::from_millis(300));
    let leaked = rig.client.has_endpoint(CHANGING, hidden, true);
    let happened = api.happened(rule);
    api.heal();
    let healed = wait(LONG, || rig.client.has_endpoint(CHANGING, hidden, true));
    let account = load.finish();
    if happened == 0 || leaked {
        return Ok(Found::not_run("slices came although they were forbidden"));
    }
    let named = rig.log().to_lowercase().contains("endpointslice");
    let mut found = Found::default();
    found.judge(
        slowest.is_some_and(|took| took <= Duration::from_secs(1)),
        format!("Services after {}", seen(slowest)),
    );
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(named, format!("the log {} it", if named { "names" } else { "does not name" }));
    found.judge(
        healed.is_some_and(|took| took <= Duration::from_secs(5)),
        format!("slices {} after it", seen(healed)),
    );
    Ok(found)
}

/// A8.
fn slow(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let mut found = Found::default();
    {
        let api = small_api();
        let rule = api.fault(Fault::Slow(1_000_000).rule());
        let mut rig = Rig::start(kind, &Plan::small(&api))?;
        let load = Beside::start(rig.addr, Names::Cluster(SMALL), 200)?;
        let took = rig.wait_synced()?;
        let account = load.finish();
        if api.happened(rule) == 0 {
            return Ok(Found::not_run("no list was slow"));
        }
        found.judge(
            account.denied == 0,
            format!("{} of {} denied in {} of a slow list", account.denied, account.asked, seconds(took)),
        );
    }
    let api = stage.wide();
    let clock = Clock::system();
    let begin = clock.now();
    let mut rig = Rig::start(kind, &Plan::of(api, WIDE))?;
    let first = rig.wait_synced()?;
    let mut left: Vec<usize> = (0..WIDE.services).collect();
    while !left.is_empty() && clock.now().since(begin) < LONG {
        left = rig.client.not_right(&left).0;
    }
    let all = clock.now().since(begin);
    let spent = rig.subject.processor_time()?;
    // What no server can be quicker than here.
    let alone = super::measure::fake_alone(api)?;
    found.judge(
        all <= Duration::from_secs(1) && left.is_empty(),
        format!(
            "all 10,000 right after {}, the last listed after {} (the fake alone: {}; {spent:.2} s of a processor)",
            seconds(all),
            seconds(first),
            seconds(alone)
        ),
    );
    let lists = || WATCHED.map(|resource| api.count(Some(resource), LISTS));
    wait(LONG, || api.is_watched());
    // What the lists left behind is given back within some seconds.
    std::thread::sleep(SETTLED);
    let rss = rig.subject.rss()?;
    found.judge(rss <= 35.0 * MEBI, format!("{} with 100,000 endpoints", mebi(rss)));
    let before = lists();
    let noise = Noise::listen()?;
    let load = Beside::start(rig.addr, Names::Cluster(WIDE), RATE)?;
    api.compact();
    api.fail_open_watches(410);
    let listed =
        wait(LONG, || lists().iter().zip(before).all(|(now, before)| *now > before) && api.is_watched());
    std::thread::sleep(REST);
    let account = load.finish();
    let noise = noise.finish();
    if listed.is_none() {
        found.judge(false, "no relist within 60 s".to_owned());
        return Ok(found);
    }
    found.judge(
        account.part(990) <= Duration::from_millis(5) && account.failed() == 0,
        format!(
            "relist: p99 {} ({noise}), {} of {} failed",
            micros(account.part(990)),
            account.failed(),
            account.asked
        ),
    );
    Ok(found)
}

/// Makes changes at the rate of a storm; how many, and the last address.
fn rage(api: &FakeApi, lasts: Duration) -> (u32, [u8; 4]) {
    let clock = Clock::system();
    let begin = clock.now();
    let mut change = 0;
    while clock.now().since(begin) < lasts {
        change += 1;
        api.apply(changed(address(change)));
        let due = begin.plus(Duration::from_secs(1) / STORM * change);
        std::thread::sleep(due.since(clock.now()));
    }
    (change, address(change))
}

/// A15.
fn storm(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    debug_assert!(CHANGING.is_multiple_of(HEADLESS_EVERY), "it is headless");
    let api = small_api();
    api.apply(service(CHANGING));
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let noise = Noise::listen()?;
    let idle = Beside::start_for(rig.addr, Names::Cluster(SMALL), RATE, Duration::from_secs(4))?;
    let noise = noise.finish();
    let wilder = Noise::listen()?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), RATE)?;
    let lasts = Duration::from_secs(5);
    let (count, last) = rage(&api, lasts);
    let took = wait(LONG, || rig.client.has_endpoint(CHANGING, last, true));
    let account = load.finish();
    let wilder = wilder.finish();
    let (calm, wild) = (idle.part(990), account.part(990));
    let rate = real(count) / lasts.as_secs_f64();
    if rate < f64::from(STORM) * 0.9 {
        return Ok(Found::not_run(format!("the fake makes only {rate:.0} changes a second here")));
    }
    let mut found = Found::default();
    found.judge(wild <= calm * 2, format!("p99 {} ({noise}) → {} ({wilder})", micros(calm), micros(wild)));
    found.judge(account.failed() == 0, format!("{} of {} failed", account.failed(), account.asked));
    found.judge(
        took.is_some_and(|took| took <= Duration::from_secs(1)),
        format!("last write after {}", seen(took)),
    );
    found.note(format!("{rate:.0} events a second"));
    Ok(found)
}
