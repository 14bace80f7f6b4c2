//! A run: rounds of changes and faults, each followed by a time in which all is well and everything must become right.

mod us;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::LocalSet;

use crate::api::{Cluster, FakeApi, Fault, Resource, Speaks, Versions, namespace};
use crate::chance::{fault, object, pick};
use crate::clients::{Clients, Facts, LONGEST, Names};
use crate::harness::{Ask, expand};
use crate::history::{History, TTL, is_full};
use crate::outside::{MOODS, Mood, Outside};
use crate::rig::{Rig, UPSTREAMS};
use crate::roads::Roads;
use crate::truth::{NAMESPACES, Truth, asks};

/// Rounds of a seed.
const ROUNDS: usize = 2;

/// Steps of a round.
const STEPS: usize = 25;

/// How long everything may take to be right once all is well: names of the cluster.
const QUIESCE: Duration = Duration::from_secs(5);

/// The same where something changed that no watch was told of: audits find it, one resource after the other.
const AUDITED: Duration = Duration::from_secs(25);

/// The same for names outside, of which failures are remembered for a while.
const OUTSIDE: Duration = Duration::from_secs(12);

/// What happened in runs.
#[derive(Default)]
pub(crate) struct Tally {
    /// Seeds.
    pub(crate) seeds: u64,
    /// Replies that were judged.
    replies: u64,
    /// Those that said that nothing can be said.
    failures: u64,
    /// Those that said that they are stale.
    stale: u64,
    /// Simulated time.
    time: Duration,
    /// What happened, how often.
    events: BTreeMap<&'static str, u64>,
    /// The longest time that names of the cluster took to be right: what watches tell, and what audits find.
    slowest: [Duration; 2],
}

impl Tally {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.replies += other.replies;
        self.failures += other.failures;
        self.time += other.time;
        self.stale += other.stale;
        for (slowest, other) in self.slowest.iter_mut().zip(other.slowest) {
            *slowest = (*slowest).max(other);
        }
        for (what, count) in &other.events {
            *self.events.entry(what).or_default() += count;
        }
    }

    /// Fails where a fault that is told of never happened: in many runs each does.
    pub(crate) fn happened(&self, many: bool) {
        assert!(self.replies > 500 * self.seeds, "few replies: {self}");
        if !many || self.seeds < 20 {
            return;
        }
        for what in [
            "apply",
            "delete",
            "cut",
            "down",
            "410",
            "compact",
            "mute",
            "noise",
            "restore",
            "dark",
            "slow",
            "rule struck",
            "swallowed",
            "reload",
            "warm start",
            "cold start",
            "silence",
            "upstream well",
            "upstream lossy",
            "upstream lying",
            "upstream silent",
            "upstream gone",
        ] {
            assert!(self.events.get(what).is_some_and(|count| *count > 0), "never happened: {what}\n{self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {:.0} s simulated, {} replies judged ({} SERVFAIL or REFUSED, {} stale), cluster names right within {:?} of \
             all being well, {:?} where an audit had to find what was not told",
            self.seeds,
            self.time.as_secs_f64(),
            self.replies,
            self.failures,
            self.stale,
            self.slowest[0],
            self.slowest[1],
        )?;
        let events: Vec<String> = self.events.iter().map(|(what, count)| format!("{what} {count}")).collect();
        write!(f, "{}", events.join(", "))
    }
}

/// Plays a seed. Errors: what went wrong, with the story up to there.
pub(crate) fn play(seed: u64) -> Result<Tally, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut run = Run::new(seed);
        match run.all().await {
            Ok(()) => Ok(run.tally()),
            Err(what) => Err(format!("{what}\n{}", run.story.join("\n"))),
        }
    })
}

/// A run.
struct Run {
    /// Choices.
    rng: Rng,
    /// The API server.
    api: Arc<FakeApi>,
    /// The roads to it.
    roads: Roads,
    /// Us.
    rig: Rig,
    /// The upstreams.
    outside: Outside,
    /// Names of the cluster.
    names: Names,
    /// The clients.
    clients: Clients,
    /// What objects were.
    history: History,
    /// An earlier state of the API server.
    past: Option<Cluster>,
    /// The time.
    now: Duration,
    /// When the first lists were complete.
    synced: Option<Duration>,
    /// When the last upstream was in trouble.
    troubled: Option<Duration>,
    /// Whether answers about the cluster may be said to be fresh, and to be stale.
    may_be: (bool, bool),
    /// Whether something changed that no watch was told of.
    swallowed: bool,
    /// Whether clients ask.
    asking: bool,
    /// What happened.
    story: Vec<String>,
    /// What happened, how often.
    events: BTreeMap<&'static str, u64>,
    /// Rules of faults, and whether what they strike goes on behind them.
    rules: Vec<(usize, bool)>,
    /// The longest time that names of the cluster took to be right: what watches tell, and what audits find.
    slowest: [Duration; 2],
}

impl Run {
    /// Starts all.
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let speaks = if rng.bool() { Speaks::Both } else { Speaks::OnlyJson };
        let api = Arc::new(FakeApi::in_memory(speaks));
        api.bookmark_every(Duration::from_millis(200));
        for ns in NAMESPACES {
            api.apply(namespace(ns));
        }
        (0..25).for_each(|_| api.apply(object(&mut rng)));
        let mut history = History::default();
        history.note(&api.cluster());
        history.settle();
        let names: Names = asks()
            .into_iter()
            .map(|(words, asked)| {
                let ask = Ask::parse(&words);
                (words, asked, ask)
            })
            .collect();
        let roads = Roads::new(api.clone(), rng.u64(..));
        let rig = Rig::start(roads.clone(), rng.u64(..));
        Self {
            rng,
            api,
            roads,
            rig,
            outside: Outside::new(),
            clients: Clients::new(names.clone()),
            names,
            history,
            past: None,
            now: Duration::ZERO,
            synced: None,
            troubled: None,
            may_be: (true, false),
            swallowed: false,
            asking: true,
            story: vec![format!("{speaks:?}")],
            events: BTreeMap::new(),
            rules: Vec::new(),
            slowest: [Duration::ZERO; 2],
        }
    }

    /// What happened.
    fn tally(&self) -> Tally {
        let mut events = self.events.clone();
        for (mood, count) in &self.outside.met {
            let word = match *mood {
                "well" => "upstream well",
                "lossy" => "upstream lossy",
                "lying" => "upstream lying",
                "silent" => "upstream silent",
                _ => "upstream gone",
            };
            events.insert(word, *count);
        }
        Tally {
            seeds: 1,
            replies: self.clients.judged,
            failures: self.clients.failures,
            stale: self.clients.stale,
            time: self.now,
            events,
            slowest: self.slowest,
        }
    }

    /// All rounds.
    async fn all(&mut self) -> Result<(), String> {
        if self.rng.bool() {
            // Not there at the start.
            self.tell("down", "the API server is not there");
            self.api.down();
            self.pass(300).await?;
            self.api.up();
        }
        for _ in 0..ROUNDS {
            for _ in 0..STEPS {
                self.step().await?;
            }
            self.quiesce().await?;
        }
        if self.rng.u8(..4) == 0 {
            self.silence().await?;
            self.quiesce().await?;
        }
        Ok(())
    }

    /// Notes what happens.
    fn tell(&mut self, what: &'static str, story: impl Into<String>) {
        *self.events.entry(what).or_default() += 1;
        self.story.push(format!("{:?} {}", self.now, story.into()));
    }

    /// A moment passes for everybody.
    async fn tick(&mut self, step: Duration) -> Result<(), String> {
        if self.asking && self.rng.u8(..3) > 0 {
            self.clients.ask_any(&self.rig.world, &mut self.rng, self.now);
        }
        self.rig.turn();
        for (socket, to, query) in self.rig.world.asked() {
            let which = usize::from(to.ip() != UPSTREAMS[0]);
            self.outside.asked(which, socket, &query, self.now, &mut self.rng);
        }
        let arrived = self.outside.arrived(self.now);
        if !arrived.is_empty() {
            arrived.into_iter().for_each(|(socket, what)| self.rig.world.answer(socket, what));
            self.rig.turn();
        }
        if self.synced.is_none() && self.rig.store.synced() {
            self.synced = Some(self.now);
        }
        let facts = Facts {
            history: &self.history,
            synced: self.synced,
            troubled: self.troubled.is_some_and(|since| self.now < since + OUTSIDE),
            may_be: self.may_be,
            now: self.now,
        };
        self.clients.receive(&mut self.rig, &facts)?;
        tokio::time::sleep(step).await;
        self.rig.clock.advance(step);
        self.now += step;
        Ok(())
    }

    /// Time passes. Unit: milliseconds.
    async fn pass(&mut self, millis: u64) -> Result<(), String> {
        for _ in 0..millis {
            self.tick(Duration::from_millis(1)).await?;
        }
        Ok(())
    }

    /// Time passes in which little happens.
    async fn idle(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        while self.now < end {
            self.tick(Duration::from_millis(25)).await?;
        }
        Ok(())
    }

    /// The API server changes something.
    fn edit(&mut self, change: impl FnOnce(&FakeApi)) {
        change(&self.api);
        self.history.note(&self.api.cluster());
    }

    /// An object changes or goes.
    fn change(&mut self) {
        if self.rng.u8(..3) > 0 {
            let object = object(&mut self.rng);
            self.tell("apply", format!("apply {object}"));
            return self.edit(|api| api.apply(object));
        }
        let resource = pick(&mut self.rng, &Resource::USUAL);
        let Some((ns, name)) = self.one_of(resource) else { return };
        self.tell("delete", format!("delete {resource:?} {ns}/{name}"));
        self.edit(|api| api.delete(resource, &ns, &name));
    }

    /// Namespace and name of an object that there is.
    fn one_of(&mut self, resource: Resource) -> Option<(String, String)> {
        let all = self.api.cluster().all(resource);
        let one = self.rng.choice(&all)?;
        let text = |field: &str| one["metadata"][field].as_str().unwrap_or_default().to_owned();
        Some((text("namespace"), text("name")))
    }

    /// Something happens.
    async fn step(&mut self) -> Result<(), String> {
        match self.rng.u8(..44) {
            0..=12 => self.change(),
            13..=16 => {
                let mut rule = fault(&mut self.rng);
                let times = self.rng.usize(1..3);
                match self.rng.u8(..18) {
                    0 => rule = Fault::Hang.rule().times(1),
                    1 => rule = Fault::Slow(2000).rule().times(2),
                    2 => rule = Fault::Garbled.rule().times(times),
                    3 => rule = Fault::Body("{\"kind\":\"List\",\"items\":[{}").rule().times(times),
                    4 => rule = Fault::Body("<html>").rule().times(times),
                    5 => rule = Fault::PlainBookmark.rule().watches().times(times),
                    6 => rule = Fault::BookmarkAndEnd.rule().watches().times(times),
                    7 => rule = Fault::EndAfter(Duration::from_millis(30)).rule().watches().times(times),
                    8 => rule = Fault::Status { code: 429, retry_after: Some(1) }.rule().times(times),
                    _ => {}
                }
                self.tell("rule", format!("{rule:?}"));
                let drips = matches!(rule.fault, Fault::Slow(_));
                self.rules.push((self.api.fault(rule), drips));
                if self.rng.bool() {
                    self.tell("cut", "cut");
                    self.api.cut();
                }
            }
            17 | 18 => {
                self.tell("cut", "cut");
                self.api.cut();
            }
            19 | 20 => {
                self.tell("down", "down, three changes, up");
                self.api.down();
                (0..3).for_each(|_| self.change());
                let millis = self.rng.u64(..400);
                self.pass(millis).await?;
                if self.rng.bool() {
                    self.tell("compact", "started anew, with nothing remembered");
                    self.api.compact();
                }
                self.api.up();
            }
            21 => {
                self.tell("compact", "compact");
                self.api.compact();
            }
            22 | 23 => {
                self.tell("410", "410 to all open watches");
                self.api.compact();
                self.api.fail_open_watches(410);
            }
            24 => {
                self.tell("mute", "mute");
                self.api.mute_open_watches();
            }
            25 => {
                self.tell("noise", "noise");
                let lines = ["", "{", "{\"type\":\"X\",\"object\":{}}", "{\"type\":\"ADDED\",\"object\":{}}"];
                let (line, resource) = (pick(&mut self.rng, &lines), pick(&mut self.rng, &Resource::USUAL));
                self.api.inject(resource, line);
            }
            26 => {
                self.tell("remember", "remember");
                self.past = Some(self.api.cluster());
            }
            27 => {
                if let Some(past) = self.past.take() {
                    self.tell("restore", "restore");
                    self.edit(|api| api.restore(past, Versions::Bumped));
                }
            }
            28 => {
                let ns = pick(&mut self.rng, &NAMESPACES);
                self.tell("namespace", format!("namespace {ns} goes and comes"));
                self.edit(|api| {
                    api.edit(|cluster| {
                        cluster.delete(Resource::Namespaces, "", ns);
                    })
                });
                let millis = self.rng.u64(..20);
                self.pass(millis).await?;
                self.edit(|api| api.apply(namespace(ns)));
            }
            29 => {
                let millis = self.rng.u64(1..2500);
                self.tell("dark", format!("packets to the API server vanish for {millis} ms"));
                self.roads.dark(true);
                self.change();
                self.pass(millis).await?;
                self.roads.dark(false);
            }
            30 => {
                let millis = self.rng.u64(..40);
                self.tell("slow", format!("roads are up to {millis} ms slow"));
                self.roads.slow(millis);
            }
            31..=35 => {
                let (which, mood) = (self.rng.usize(..2), pick(&mut self.rng, &MOODS));
                self.tell("mood", format!("upstream {which} is {mood:?}"));
                if mood != Mood::Well {
                    self.troubled = Some(self.now);
                }
                self.outside.turn(which, mood);
            }
            36 | 37 => self.swallow(),
            38 => self.rig.save(),
            39 => self.reload(),
            40 => {
                self.restart();
                if self.rng.bool() {
                    // Nobody to ask at the start, as after a power cut.
                    self.api.down();
                    let millis = self.rng.u64(..600);
                    self.pass(millis).await?;
                    self.api.up();
                }
            }
            _ => {
                let millis = self.rng.u64(..200);
                self.pass(millis).await?;
            }
        }
        if self.troubled.is_some() {
            // As long as nobody said that all is well.
            self.troubled = Some(self.now);
        }
        let millis = self.rng.u64(..30);
        self.pass(millis).await?;
        self.clients.tidy(self.now)
    }

    /// All is well from now on: everything becomes right, and stays so.
    async fn quiesce(&mut self) -> Result<(), String> {
        self.story.push(format!("{:?} all is well", self.now));
        for (rule, drips) in self.rules.drain(..) {
            let struck = self.api.happened(rule) as u64;
            *self.events.entry("rule struck").or_default() += struck;
            if drips && struck > 0 {
                // Who reads a list that drips has no reason to think that another one would come sooner.
                self.api.cut();
            }
        }
        self.api.heal();
        self.api.up();
        self.roads.dark(false);
        self.roads.slow(2);
        (0..2).for_each(|which| self.outside.turn(which, Mood::Well));
        let well = self.now;
        let truth = Truth::new(&self.api.cluster());
        let swallowed = std::mem::take(&mut self.swallowed);
        let patience = if swallowed { AUDITED } else { QUIESCE };
        loop {
            if self.wrong(&truth, 1).is_empty() {
                break;
            }
            if self.now > well + patience {
                let wrong = self.wrong(&truth, usize::MAX);
                return Err(format!("not the API server's state within {patience:?}\n{wrong}"));
            }
            self.pass(50).await?;
        }
        let slowest = &mut self.slowest[usize::from(swallowed)];
        *slowest = (*slowest).max(self.now - well);
        self.history.settle();
        self.rig.save();
        self.may_be = (true, false);
        // What is outside, too: whatever is remembered of failures is forgotten by then.
        self.asking = false;
        self.idle(OUTSIDE.saturating_sub(self.now - well)).await?;
        self.troubled = None;
        let ids = self.clients.ask_all(&self.rig.world, false, self.now);
        self.idle(LONGEST / 4).await?;
        if !self.clients.answered(&ids) {
            return Err("a name outside has no answer although all is well".to_owned());
        }
        // Nothing moves any more.
        let wrong = self.wrong(&truth, usize::MAX);
        if !wrong.is_empty() {
            return Err(format!("right, and wrong again\n{wrong}"));
        }
        let ids = self.clients.ask_all(&self.rig.world, true, self.now);
        self.pass(2).await?;
        if !self.clients.answered(&ids) {
            return Err("a name of the cluster has no answer although all is well".to_owned());
        }
        self.asking = true;
        self.clients.tidy(self.now)
    }

    /// Names of the cluster that are not answered by the truth, at most so many.
    fn wrong(&mut self, truth: &Truth, most: usize) -> String {
        if !self.rig.store.synced() {
            return "the first lists are not complete".to_owned();
        }
        let mut wrong = String::new();
        let mut found = 0;
        for (number, (words, asked, ask)) in self.names.clone().iter().enumerate() {
            let query = ask.bytes(u16::try_from(number).unwrap());
            let peer = std::net::SocketAddr::from(([10, 8, 0, 1], 999));
            // Replies of others are judged when they come: nothing may be lost here.
            let got = self.rig.ask_now(peer, &query);
            let want = expand(&truth.answer(asked), ask, TTL);
            let room = got.as_ref().map_or(0, |bytes| ask.limit().saturating_sub(bytes.len()));
            let got = got.map_or("no reply".to_owned(), |bytes| crate::harness::text(&bytes, &query));
            if got != want && !is_full(&want, &got, room) {
                let _ = writeln!(wrong, "{words}\nwant {want}got  {got}");
                found += 1;
                if found >= most {
                    break;
                }
            }
        }
        wrong
    }
}
