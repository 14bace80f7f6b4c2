//! After any schedule of changes and faults the answers for all names are the API server's state (A17).

use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;

use crate::api::{Call, Cluster, FakeApi, Fault, Resource, Versions, namespace, service, slice};
use crate::chance::{fault, object, pick};
use crate::harness::{Ask, Client, Via};
use crate::truth::{NAMESPACES, Truth};
use crate::world::{QUICK, SYNC, Setup, Steady, World, expected, pass, shop, until};

/// Schedules for each seed, unless SIGNPOST_ROUNDS says.
const ROUNDS: usize = 5;

/// Steps of a schedule.
const STEPS: usize = 25;

/// How long the world may take to be right once it is quiet.
const QUIESCE: Duration = Duration::from_secs(5);

/// What happened, to explain a failure.
struct Story {
    /// The seed.
    seed: u64,
    /// One line a step.
    steps: Vec<String>,
}

impl Story {
    /// Notes a step.
    fn tell(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }
}

/// Changes something, or deletes something that is there.
fn change(api: &FakeApi, rng: &mut Rng, story: &mut Story) {
    if rng.u8(..3) > 0 {
        let object = object(rng);
        story.tell(format!("apply {object}"));
        return api.apply(object);
    }
    let resource = pick(rng, &Resource::USUAL);
    let all = api.cluster().all(resource);
    if all.is_empty() {
        return;
    }
    let one = &all[rng.usize(..all.len())];
    let text = |field: &str| one["metadata"][field].as_str().unwrap_or_default();
    // The anchor is asked for all along.
    if text("namespace") != "shop" && text("name") != "shop" {
        story.tell(format!("delete {resource:?} {}/{}", text("namespace"), text("name")));
        api.delete(resource, text("namespace"), text("name"));
    }
}

/// One step of a schedule.
fn step(api: &FakeApi, rng: &mut Rng, story: &mut Story, past: &mut Option<Cluster>) {
    match rng.u8(..30) {
        0..=13 => change(api, rng, story),
        14..=18 => {
            let rule = fault(rng);
            story.tell(format!("{rule:?}"));
            api.fault(rule);
            if rng.bool() {
                story.tell("cut");
                api.cut();
            }
        }
        19 | 20 => {
            story.tell("cut");
            api.cut();
        }
        21 => {
            story.tell("down, three changes, up");
            api.down();
            (0..3).for_each(|_| change(api, rng, story));
            pass(Duration::from_millis(rng.u64(..100)));
            api.up();
        }
        22 => {
            story.tell("compact");
            api.compact();
        }
        23 => {
            story.tell("410 to all open watches");
            api.compact();
            api.fail_open_watches(410);
        }
        24 => {
            story.tell("mute");
            api.mute_open_watches();
        }
        25 => {
            story.tell("noise");
            let line =
                pick(rng, &["", "{", "{\"type\":\"X\",\"object\":{}}", "{\"type\":\"ADDED\",\"object\":{}}"]);
            api.inject(pick(rng, &Resource::USUAL), line);
        }
        26 => {
            story.tell("remember");
            *past = Some(api.cluster());
        }
        27 => {
            if let Some(past) = past.take() {
                story.tell("restore");
                api.restore(past, Versions::Bumped);
            }
        }
        28 => {
            story.tell("a namespace goes and comes");
            let ns = pick(rng, &NAMESPACES);
            api.edit(|cluster| cluster.delete(Resource::Namespaces, "", ns));
            pass(Duration::from_millis(rng.u64(..20)));
            api.apply(namespace(ns));
        }
        _ => pass(Duration::from_millis(rng.u64(..200))),
    }
    pass(Duration::from_millis(rng.u64(..30)));
}

/// All names that are not answered by the truth.
fn wrong(client: &mut Client, truth: &Truth) -> String {
    let mut wrong = String::new();
    for (ask, short) in truth.rows() {
        let want = expected(&ask, &short);
        let got = client.ask(&Ask::parse(&ask));
        if got != want {
            let _ = writeln!(wrong, "{ask}\nwant {want}got  {got}");
        }
    }
    wrong
}

/// Runs schedules from one seed against one server, comparing after each.
fn converges(seed: u64) {
    let rounds =
        std::env::var("SIGNPOST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut rng = Rng::with_seed(seed);
    let api = FakeApi::start();
    api.bookmark_every(Duration::from_millis(200));
    api.apply_all(shop());
    (0..15).for_each(|_| api.apply(object(&mut rng)));
    if rng.bool() {
        api.fault(Fault::status(422).calls(&[Call::InitialWatch]).times(4));
    }
    let world: World = Setup::new(&["pods verified"]).timing(QUICK).start_synced(api);
    let mut client = Client::new(Via::Udp, world.addr);
    let steady = Steady::shop(&world);
    for round in 0..rounds {
        let mut story = Story { seed, steps: Vec::new() };
        let mut past = None;
        (0..STEPS).for_each(|_| step(&world.api, &mut rng, &mut story, &mut past));
        world.api.heal();
        let truth = Truth::new(&world.api.cluster());
        let mut found = String::new();
        let took = until(QUIESCE, || {
            found = wrong(&mut client, &truth);
            found.is_empty()
        });
        assert!(
            took.is_some(),
            "seed {}, round {round}: not the API server's state within {QUIESCE:?}\n{}\n{found}",
            story.seed,
            story.steps.join("\n")
        );
    }
    steady.finish();
}

#[test]
fn a17_answers_converge_to_the_api_servers_state_with_seed_1() {
    converges(1);
}

#[test]
fn a17_answers_converge_to_the_api_servers_state_with_seed_2() {
    converges(2);
}

#[test]
fn a17_answers_converge_to_the_api_servers_state_with_seed_3() {
    converges(3);
}

#[test]
fn a17_answers_converge_to_the_api_servers_state_with_a_new_seed() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    converges(seed);
}

#[test]
fn the_judge_knows_the_first_answers() {
    let api = FakeApi::start();
    api.apply_all([
        namespace("one"),
        service("one", "a", "10.97.0.1"),
        service("one", "b", "None"),
        slice("one", "b-0", "b", &["10.1.0.1=h0", "10.1.0.2", "!10.1.0.3"]),
        service("one", "c", "name=target.example.com."),
        service("two", "a", "10.97.10.1"),
    ]);
    let mut world = Setup::new(&["pods verified"]).start_synced(api);
    world.now("a.one.svc.Z SRV", "@ SRV 0 100 80 a.one.svc.Z; +a.one.svc.Z A 10.97.0.1");
    let mut client = Client::new(Via::Udp, world.addr);
    let found = wrong(&mut client, &Truth::new(&world.api.cluster()));
    assert!(found.is_empty(), "{found}");
    assert!(SYNC > QUICK.mute);
}
