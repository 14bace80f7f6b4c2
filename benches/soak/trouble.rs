//! Faults, one episode after another, with calm between; each ends before the next begins, so that its traces can be told apart.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use serde_json::json;
use signpost::time::{Clock, Tick};

use super::api::{Call, Fault, Resource, Rule, Versions};
use super::churn::{Churn, Earlier};
use super::past::{GRACE, Past};

/// The requests that list.
const LISTS: &[Call] = &[Call::List, Call::Page, Call::InitialWatch];

/// What a server may need to notice that a connection is dead (K-260).
const DEAD: Duration = Duration::from_secs(30);

/// What a server may need to give up a watch that says nothing (K-260), and a little.
const MUTE: Duration = Duration::from_secs(92);

/// The faults by name; those behind [`LATER`] teach a server to list by pages, for good.
pub(crate) const FAULTS: &[&str] = &[
    "410 to new watches",
    "410 in open watches",
    "410 behind a compaction",
    "410 inside a list",
    "watches reset by time",
    "watches reset in an event",
    "watches end by time",
    "watches end by events",
    "ERROR events",
    "Status in a 200",
    "mute, then reset",
    "mute until noticed",
    "refused",
    "closed at once",
    "packets vanish",
    "no answer",
    "HTTP 5xx",
    "HTTP 403",
    "HTTP 401",
    "HTTP 429",
    "slow lists",
    "small packets",
    "half a list",
    "text that is no JSON",
    "bad objects and noise",
    "restore, versions far ahead",
    "restore, versions gone",
    "restore, versions silent",
    "no bookmark behind a list",
    "lists by watch refused",
];

/// From here on, faults come in the second half only.
const LATER: usize = 28;

/// The faults that come one after another.
pub(crate) struct Trouble {
    /// The judge.
    past: Arc<Mutex<Past>>,
    /// The time.
    clock: Clock,
    /// What is going on.
    state: State,
    /// What the next restore goes back to.
    earlier: Option<Earlier>,
    /// Faults to come before any comes again.
    deck: Vec<usize>,
    /// How often each fault came.
    pub(crate) counts: Vec<u32>,
}

/// What is going on.
enum State {
    /// All is well until the next fault.
    Calm(Tick),
    /// A fault works until then; whether its connections are cut behind it, and how long it lasts unseen.
    Works(Tick, bool, Duration),
    /// It is over but for what the server still has to notice.
    Lingers(Tick),
}

/// How long a fault works, whether it is cut off, and how long it then lasts unseen.
struct Course {
    /// How long the fault works.
    works: Duration,
    /// Whether connections are cut behind it.
    cut: bool,
    /// How long it lasts behind that.
    lingers: Duration,
}

impl Trouble {
    /// Calm, to begin with.
    pub(crate) fn new(past: Arc<Mutex<Past>>, clock: Clock) -> Self {
        let state = State::Calm(clock.now().plus(Duration::from_secs(10)));
        Self { past, clock, state, earlier: None, deck: Vec::new(), counts: vec![0; FAULTS.len()] }
    }

    /// Moves on if it is time; `late` in the second half of the run. Returns the name of a fault that begins.
    pub(crate) fn step(&mut self, churn: &mut Churn, rng: &mut Rng, late: bool) -> Option<&'static str> {
        let now = self.clock.now();
        match self.state {
            State::Calm(until) if now >= until => {
                let fault = self.draw(rng, late);
                self.past.lock().begin(fault, now);
                let course = self.begin(fault, churn, rng);
                self.counts[fault] += 1;
                let until = self.clock.now().plus(course.works);
                self.state = State::Works(until, course.cut, course.lingers);
                return FAULTS.get(fault).copied();
            }
            State::Works(until, cut, lingers) if now >= until => {
                churn.api.heal();
                churn.api.light();
                churn.api.up();
                churn.api.slam(false);
                if cut {
                    churn.api.cut();
                }
                for (resource, name, _) in bad_objects() {
                    churn.api.edit(|cluster| cluster.delete(resource, "team-00", name));
                }
                self.state = State::Lingers(self.clock.now().plus(lingers));
            }
            State::Lingers(until) if now >= until => {
                self.past.lock().end(now);
                // With that one begins every 20 s or sooner, long ones and all.
                let calm = Duration::from_millis(rng.u64(0..2_000));
                self.state = State::Calm(now.plus(GRACE + calm));
                // A state of some age, so that a restore goes far enough back to be seen.
                if self.earlier.is_none() || rng.u8(..3) == 0 {
                    self.earlier = Some(churn.remember());
                }
            }
            _ => {}
        }
        None
    }

    /// The next fault: all come before any comes again.
    fn draw(&mut self, rng: &mut Rng, late: bool) -> usize {
        if self.deck.is_empty() {
            let count = if late { FAULTS.len() } else { LATER };
            self.deck = (0..count).collect();
            rng.shuffle(&mut self.deck);
        }
        self.deck.pop().unwrap_or(0)
    }

    /// Begins a fault.
    fn begin(&mut self, fault: usize, churn: &mut Churn, rng: &mut Rng) -> Course {
        let api = churn.api.clone();
        let seconds =
            |rng: &mut Rng, from: u64, to: u64| Duration::from_millis(rng.u64(from * 1000..=to * 1000));
        let mut works = seconds(rng, 1, 8);
        let mut lingers = Duration::ZERO;
        // Often the connections of a fault end with it, often the server has to come out of it by itself.
        let mut cut = rng.bool();
        let add = |rule: Rule, rng: &mut Rng| {
            let one = rng.bool().then(|| Resource::ALL[rng.usize(..Resource::ALL.len())]);
            api.fault(if let Some(one) = one { rule.on(one) } else { rule });
        };
        let relist = || {
            api.compact();
            api.fail_open_watches(410);
        };
        let millis = |rng: &mut Rng| Duration::from_millis(rng.u64(20..3_000));
        match FAULTS.get(fault).copied().unwrap_or_default() {
            "410 to new watches" => {
                add(Fault::status(410).calls(&[Call::Watch]), rng);
                api.cut();
            }
            "410 in open watches" => {
                api.fail_open_watches(410);
                works = Duration::ZERO;
            }
            "410 behind a compaction" => {
                api.compact();
                api.cut();
                works = Duration::ZERO;
            }
            "410 inside a list" => {
                add(Fault::status(410).calls(&[Call::Page]).times(2), rng);
                relist();
                api.expire_pages();
            }
            "watches reset by time" => add(Fault::CutAfter(millis(rng)).rule().watches(), rng),
            "watches reset in an event" => {
                add(Fault::CutAfterEvents(rng.usize(..6)).rule().calls(&[Call::Watch]), rng);
                api.cut();
            }
            "watches end by time" => add(Fault::EndAfter(millis(rng)).rule().watches(), rng),
            "watches end by events" => {
                add(Fault::EndAfterEvents(rng.usize(1..6)).rule().calls(&[Call::Watch]), rng);
                api.cut();
            }
            "ERROR events" => {
                let code = [410, 500, 504][rng.usize(..3)];
                add(Fault::ErrorEvent(code).rule().watches(), rng);
                api.cut();
            }
            "Status in a 200" => {
                add(Fault::StatusInBody([410, 500][rng.usize(..2)]).rule(), rng);
                api.cut();
            }
            "mute, then reset" => {
                api.mute_open_watches();
                if rng.bool() {
                    add(Fault::Mute.rule().watches(), rng);
                }
                cut = true;
            }
            "mute until noticed" => {
                api.mute_open_watches();
                works = MUTE;
                cut = false;
            }
            "refused" => {
                api.down();
                works = seconds(rng, 1, 30);
            }
            "closed at once" => {
                api.slam(true);
                works = seconds(rng, 1, 20);
            }
            "packets vanish" => {
                works = seconds(rng, 2, 40);
                lingers = DEAD.saturating_sub(works);
                api.black_hole();
                // The sockets of before are filtered for good: cutting them would not reach the server.
                cut = false;
            }
            "no answer" => {
                add(Fault::Hang.rule(), rng);
                api.cut();
                lingers = if cut { Duration::ZERO } else { DEAD };
            }
            "HTTP 5xx" => {
                add(Fault::status([500, 502, 503, 504][rng.usize(..4)]), rng);
                api.cut();
            }
            "HTTP 403" => {
                add(Fault::status(403), rng);
                api.cut();
            }
            "HTTP 401" => {
                add(Fault::status(401), rng);
                api.cut();
            }
            "HTTP 429" => {
                let wait = rng.u32(1..=4);
                add(Fault::Status { code: 429, retry_after: Some(wait) }.rule(), rng);
                api.cut();
            }
            "slow lists" => {
                add(Fault::Slow(rng.usize(100_000..600_000)).rule().calls(LISTS), rng);
                relist();
                works = seconds(rng, 5, 40);
                cut = true;
            }
            "small packets" => {
                add(Fault::Split(rng.usize(50..1_500)).rule(), rng);
                relist();
                works = seconds(rng, 2, 10);
                cut = true;
            }
            "half a list" => {
                add(Fault::HalfBody.rule().calls(&[Call::List, Call::Page]), rng);
                add(Fault::CutAfterEvents(rng.usize(..900)).rule().calls(&[Call::InitialWatch]), rng);
                relist();
                cut = true;
            }
            "text that is no JSON" => {
                let text = ["", "{", "<html>no</html>", "[]", "null\n", "{\"items\":[{}],\"metadata\":{}}"];
                add(Fault::Body(text[rng.usize(..text.len())]).rule(), rng);
                api.cut();
            }
            "bad objects and noise" => {
                for (resource, name, object) in bad_objects() {
                    api.edit(|cluster| cluster.plant(resource, "team-00", name, object));
                }
                for line in ["", "{", "{\"type\":\"X\",\"object\":{}}", "{\"type\":\"ADDED\",\"object\":{}}"]
                {
                    api.inject(Resource::ALL[rng.usize(..Resource::ALL.len())], line);
                }
                if rng.bool() {
                    relist();
                }
            }
            "no bookmark behind a list" => {
                add(Fault::NoBookmark.rule().watches(), rng);
                relist();
                cut = true;
            }
            "lists by watch refused" => {
                add(Fault::status([400, 422][rng.usize(..2)]).calls(&[Call::InitialWatch]), rng);
                relist();
            }
            restore => {
                let versions = match restore {
                    "restore, versions far ahead" => Versions::Bumped,
                    "restore, versions gone" => Versions::BackFutureGone,
                    _ => Versions::BackFutureSilent,
                };
                if let Some(earlier) = self.earlier.take() {
                    churn.restore(earlier, versions);
                }
                works = Duration::ZERO;
            }
        }
        Course { works, cut, lingers }
    }
}

/// Objects that are broken: where, under which name, and what.
fn bad_objects() -> Vec<(Resource, &'static str, serde_json::Value)> {
    let bad = |kind: &str, name: &str, rest: serde_json::Value| {
        let mut object =
            json!({"kind": kind, "apiVersion": "v1", "metadata": {"namespace": "team-00", "name": name}});
        for (field, value) in rest.as_object().into_iter().flatten() {
            object[field] = value.clone();
        }
        object
    };
    let ports = json!([{"name": "http", "protocol": "TCP", "port": 70_000}]);
    vec![
        (
            Resource::Services,
            "bad-1",
            bad("Service", "bad-1", json!({"spec": {"clusterIP": "999.1.1.1", "ports": ports}})),
        ),
        (Resource::Services, "bad-2", json!({"kind": "Service", "apiVersion": "v1", "spec": 7})),
        (Resource::Services, "bad-3", bad("Service", "bad.\u{0}name", json!({"spec": {"type": "Odd"}}))),
        (
            Resource::EndpointSlices,
            "bad-4",
            bad("EndpointSlice", "bad-4", json!({"addressType": "FQDN", "endpoints": "none"})),
        ),
        (Resource::Namespaces, "bad-5", json!({"kind": "Namespace", "metadata": []})),
        (Resource::Pods, "bad-6", bad("Pod", "bad-6", json!({"status": {"podIP": 5}}))),
    ]
}
