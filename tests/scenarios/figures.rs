//! What scenarios can't say in a line: how many ports, how often each, which ids, how many queries in all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use signpost::forward::{Exchange, Group, GroupOptions, Network, Policy, Upstream, UpstreamSpec};
use signpost::time::Tick;

use super::bytes::{self, Rr};
use super::rig::{self, Came, Line, Rig, Road};

/// Unguessable bytes of the kernel.
fn secrets() -> signpost::forward::Random {
    let source = ring::rand::SystemRandom::new();
    Box::new(move |bytes| ring::rand::SecureRandom::fill(&source, bytes).unwrap())
}

/// A sound answer.
fn sound(came: &Came) -> Vec<u8> {
    bytes::answer(&came.asked, 0, &[Rr::read(0, &["@", "60", "A", "192.0.2.7"]).unwrap()], &[])
}

/// The socket from which a query left.
fn port(came: &Came) -> usize {
    match &came.road {
        Road::Datagram(socket) => *socket,
        Road::Stream(_) => panic!("over a stream"),
    }
}

/// Asks so many names, `pause` apart, each answered at once; returns what came.
fn ask_many(rig: &mut Rig, count: usize, pause: Duration) -> Vec<Came> {
    let mut all = Vec::new();
    for number in 0..count {
        rig.ask(7, &format!("n{number}.example.org"), 1, &[]);
        rig.settle();
        for came in rig.came() {
            rig.say(&came.road.clone(), sound(&came));
            all.push(came);
        }
        rig.settle();
        assert_eq!(rig.reply(7).map(|got| got.code), Some(0), "query {number}");
        rig.clock.advance(pause);
    }
    all
}

#[test]
fn many_ports_are_in_use_and_none_for_long() {
    let mut rig = Rig::with_secrets(&[Line::of(&["192.0.2.1"])], 64, secrets());
    // 10,000 in less than ten seconds, so that ports wear out by use.
    let came = ask_many(&mut rig, 10_000, Duration::from_micros(900));
    assert_eq!(came.len(), 10_000);
    let mut uses: HashMap<usize, usize> = HashMap::new();
    for came in &came {
        *uses.entry(port(came)).or_default() += 1;
    }
    assert!(uses.values().all(|uses| *uses <= 100), "no port more than 100 times");
    for window in came.chunks(1000).skip(1) {
        let ports: BTreeSet<usize> = window.iter().map(port).collect();
        assert!(ports.len() >= 64, "{} ports", ports.len());
    }
    assert!(rig.sockets() <= 65, "{} are open", rig.sockets());
    // Who knows one port can't tell the next: neighbours are the same one about once in 64.
    let same = came.windows(2).filter(|two| port(&two[0]) == port(&two[1])).count();
    assert!((80..260).contains(&same), "{same} of 10,000");
}

#[test]
fn a_port_is_not_used_after_ten_seconds() {
    let mut rig = Rig::with_secrets(&[Line::of(&["192.0.2.1"])], 64, secrets());
    let came = ask_many(&mut rig, 400, Duration::from_millis(100));
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, came) in came.iter().enumerate() {
        let begun = *first.entry(port(came)).or_insert(number);
        assert!(number - begun < 100, "a port is used for {} s", (number - begun) / 10);
    }
    rig.pass(Duration::from_secs(12));
    assert_eq!(rig.sockets(), 0, "ports are closed though nobody asks");
}

#[test]
fn a_near_miss_gives_the_port_up() {
    let mut rig = Rig::with_secrets(&[Line::of(&["192.0.2.1"])], 64, secrets());
    let mut burnt = BTreeSet::new();
    for number in 0..300 {
        rig.ask(7, &format!("n{number}.example.org"), 1, &[]);
        rig.settle();
        let came = rig.came().pop().unwrap();
        assert!(!burnt.contains(&port(&came)), "query {number} leaves from a port that was found");
        let mut guess = came.asked.clone();
        guess.id = !guess.id;
        rig.say(&came.road, bytes::answer(&guess, 0, &[], &[]));
        burnt.insert(port(&came));
        rig.settle();
        rig.say(&came.road, sound(&came));
        rig.settle();
        assert_eq!(rig.reply(7).map(|got| got.code), Some(0));
    }
    assert!(rig.sockets() <= 64, "{}", rig.sockets());
}

#[test]
fn ids_can_not_be_foretold() {
    let mut rig = Rig::with_secrets(&[Line::of(&["192.0.2.1"])], 64, secrets());
    let came = ask_many(&mut rig, 12_800, Duration::from_millis(1));
    // χ² over 256 classes of each byte: mean 255, deviation 22.6; beyond 400 once in 10^8.
    for byte in 0..2 {
        let mut seen = [0_u32; 256];
        for came in &came {
            seen[usize::from(came.asked.id.to_be_bytes()[byte])] += 1;
        }
        let expected = came.len() as f64 / 256.0;
        let square: f64 = seen.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        assert!((140.0..400.0).contains(&square), "byte {byte}: {square}");
    }
    // Nor do they follow each other: differences are as even.
    let mut steps = [0_u32; 256];
    for two in came.windows(2) {
        steps[usize::from(two[1].asked.id.wrapping_sub(two[0].asked.id).to_be_bytes()[1])] += 1;
    }
    let expected = (came.len() - 1) as f64 / 256.0;
    let square: f64 = steps.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!((140.0..400.0).contains(&square), "steps: {square}");
}

/// Asks `count` names, one each `pause`; each upstream answers after its time, `None` for never.
///
/// Returns the queries of each upstream, and how long each client waited.
fn serve(
    rig: &mut Rig,
    count: usize,
    pause: Duration,
    mut takes: impl FnMut(usize, Duration) -> Option<Duration>,
) -> (Vec<usize>, Vec<(Duration, u16)>) {
    let mut queries = vec![0; rig.upstreams.len()];
    let mut waits = Vec::new();
    let mut asked_at = HashMap::new();
    let mut due: Vec<(Duration, Came)> = Vec::new();
    let mut now = Duration::ZERO;
    let (mut asked, mut next) = (0, Duration::ZERO);
    while waits.len() < count {
        while asked < count && next <= now {
            let client = u16::try_from(asked % 60_000 + 1).unwrap();
            rig.ask(client, &format!("n{asked}.example.org"), 1, &[]);
            asked_at.insert(client, now);
            asked += 1;
            next += pause;
        }
        rig.settle();
        for came in rig.came() {
            if came.asked.qtype == 1 {
                queries[came.upstream] += 1;
            }
            if let Some(after) = takes(came.upstream, now) {
                due.push((now + after, came));
            }
        }
        let (ready, later) = due.into_iter().partition(|(at, _)| *at <= now);
        due = later;
        let ready: Vec<(Duration, Came)> = ready;
        for (_, came) in &ready {
            rig.say(&came.road.clone(), sound(came));
        }
        rig.settle();
        for client in rig.unread() {
            let got = rig.reply(client).unwrap();
            waits.push((now - asked_at[&client], got.code));
        }
        rig.clock.advance(Duration::from_millis(1));
        now += Duration::from_millis(1);
        assert!(now < Duration::from_secs(600), "{} of {count} are served", waits.len());
    }
    (queries, waits)
}

#[test]
fn hedging_keeps_to_its_budget() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2"]);
    line.options.policy = Policy::RoundRobin;
    let mut rig = Rig::new(&[line], 1024);
    let mut turn = 0;
    // Every tenth answer takes 100 ms instead of 10.
    let (queries, waits) = serve(&mut rig, 2000, Duration::from_millis(5), |_, _| {
        turn += 1;
        Some(Duration::from_millis(if turn % 10 == 0 { 100 } else { 10 }))
    });
    assert!(waits.iter().all(|(_, code)| *code == 0));
    let hedged: u64 = rig.upstreams.iter().map(|upstream| upstream.counts.hedged.load(Relaxed)).sum();
    let sent: usize = queries.iter().sum();
    // What was saved up at the start comes on top: ten.
    assert!((1..=110).contains(&hedged), "{hedged} hedged of 2000");
    assert_eq!(sent, 2000 + usize::try_from(hedged).unwrap(), "nothing else is sent twice");
}

#[test]
fn one_dead_of_three_fails_nobody_and_is_avoided() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let (queries, waits) = serve(&mut rig, 2000, Duration::from_millis(5), |upstream, _| {
        (upstream != 1).then_some(Duration::from_millis(5))
    });
    assert!(waits.iter().all(|(_, code)| *code == 0), "0 failed");
    let slow = waits.iter().filter(|(wait, _)| *wait > Duration::from_millis(50)).count();
    assert!(slow <= 200, "{slow} of 2000 waited");
    assert!(waits.iter().all(|(wait, _)| *wait <= Duration::from_millis(650)));
    assert!(queries[1] < 100, "the dead one was asked {} times", queries[1]);
    assert!(queries.iter().sum::<usize>() <= 2400, "1.2 times the questions: {queries:?}");
}

/// Whether a query is lost: 30 of 100, the same ones at each run.
fn three_of_ten() -> impl FnMut() -> bool {
    let mut rng = fastrand::Rng::with_seed(11);
    move || rng.u32(..100) < 30
}

#[test]
fn beside_a_dead_and_a_lossy_one_the_slow_one_that_always_answers_is_asked() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let mut lost = three_of_ten();
    let (queries, waits) = serve(&mut rig, 7000, Duration::from_millis(5), |upstream, _| match upstream {
        0 => None,
        1 => (!lost()).then_some(Duration::from_millis(20)),
        _ => Some(Duration::from_millis(100)),
    });
    assert!(waits.iter().all(|(_, code)| *code == 0), "0 failed");
    // Behind five seconds in which it is found out.
    let places: Vec<usize> =
        (0..waits.len()).filter(|at| waits[*at].0 > Duration::from_millis(200)).collect();
    let slow = places.iter().filter(|at| **at >= 1000).count();
    assert!(slow <= 60, "{slow} of 6000 waited twice as long as the slow one takes: {places:?}");
    assert!(queries.iter().sum::<usize>() <= 8400, "1.2 times the questions: {queries:?}");
}

#[test]
fn one_that_loses_is_not_trusted_each_time_that_it_is_back() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let mut lost = three_of_ten();
    let (queries, waits) = serve(&mut rig, 7000, Duration::from_millis(5), |upstream, _| {
        (upstream == 1 || !lost()).then_some(Duration::from_millis(20))
    });
    assert!(waits.iter().all(|(_, code)| *code == 0), "0 failed");
    let slow = waits.iter().filter(|(wait, _)| *wait > Duration::from_millis(40)).count();
    assert!(slow <= 70, "{slow} of 7000 waited twice as long as an answer takes");
    assert!((20..700).contains(&queries[0]), "it is looked at now and then: {queries:?}");
    // Once it loses nothing any more, it gets its share again.
    let (after, _) = serve(&mut rig, 9000, Duration::from_millis(5), |_, _| Some(Duration::from_millis(20)));
    assert!(after[0] > 1000, "{after:?}");
}

#[test]
fn a_lossy_one_is_better_than_one_that_takes_for_ever() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let mut lost = three_of_ten();
    let (queries, waits) = serve(&mut rig, 3000, Duration::from_millis(5), |upstream, _| match upstream {
        0 => (!lost()).then_some(Duration::from_millis(20)),
        _ => Some(Duration::from_millis(1500)),
    });
    assert!(waits.iter().all(|(_, code)| *code == 0), "0 failed");
    let quick = waits.iter().filter(|(wait, _)| *wait <= Duration::from_millis(40)).count();
    assert!(quick >= 1500, "{quick} of 3000 were answered at once: {queries:?}");
}

#[test]
fn one_that_flaps_fails_nobody() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let (queries, waits) = serve(&mut rig, 2000, Duration::from_millis(5), |upstream, now| {
        let up = upstream == 0 || now.as_secs() % 2 == 0;
        up.then_some(Duration::from_millis(5))
    });
    assert!(waits.iter().all(|(_, code)| *code == 0), "0 failed");
    assert!(queries.iter().sum::<usize>() <= 2400, "1.2 times the questions: {queries:?}");
    assert!(queries[1] > 100, "it is asked while it is there: {queries:?}");
}

#[test]
fn all_dead_are_asked_again_and_come_back() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2"]);
    line.options.policy = Policy::Random;
    let mut rig = Rig::new(&[line], 1024);
    let (_, waits) = serve(&mut rig, 400, Duration::from_millis(25), |_, now| {
        (now > Duration::from_secs(5)).then_some(Duration::from_millis(5))
    });
    let failed = waits.iter().filter(|(_, code)| *code != 0).count();
    assert!((10..=260).contains(&failed), "{failed} failed");
    assert!(
        waits.iter().all(|(wait, _)| *wait <= Duration::from_secs(4)),
        "nobody waits longer than the budget"
    );
    assert!(rig.upstreams.iter().all(|upstream| upstream.health.up()));
    assert!(rig.groups[0].counts.all_down.load(Relaxed) > 0);
}

#[test]
fn a_silent_upstream_is_asked_little() {
    // RELIABILITY Z11: no question makes more than a few queries, however silent all are.
    let mut rig = Rig::new(&[Line::of(&["192.0.2.1"])], 1024);
    let (queries, waits) = serve(&mut rig, 100, Duration::from_millis(100), |_, _| None);
    assert!(waits.iter().all(|(wait, code)| *code == 2 && *wait <= Duration::from_secs(4)));
    assert!(queries[0] <= 500, "{} queries for 100 questions", queries[0]);
}

#[test]
fn a_flood_of_unique_names_to_a_silent_upstream_leaves_nothing_behind() {
    let mut rig = Rig::new(&[Line::of(&["192.0.2.1"])], 1024);
    let (_, waits) = serve(&mut rig, 6_000, Duration::from_micros(200), |_, _| None);
    assert!(waits.iter().all(|(_, code)| *code == 2));
    assert_eq!(rig.worker.waiting(), 0);
    rig.pass(Duration::from_secs(16));
    // Probes go on; nothing else is open.
    assert!(rig.sockets() <= 64, "{}", rig.sockets());
    assert_eq!(rig.counters.queries.read(), 6_000);
    assert_eq!(rig.counters.replies.read(), 6_000, "every query is answered or counted (L9)");
}

#[test]
fn a_drain_ends_though_upstreams_are_silent() {
    let mut rig = Rig::new(&[Line::of(&["192.0.2.1"])], 64);
    rig.ask(1, "www.example.org", 1, &[]);
    rig.settle();
    rig.phase.drain();
    // `run` goes on as long as anything waits, at most five seconds; the clock moves by itself here.
    let clock = rig.clock.clone();
    let mover = std::thread::spawn(move || {
        for _ in 0..600 {
            clock.advance(Duration::from_millis(10));
            std::thread::yield_now();
        }
    });
    rig.worker.run();
    mover.join().unwrap();
    rig.clock.advance(Duration::from_secs(1));
    rig.settle();
    assert_eq!(rig.reply(1).map(|got| got.code), Some(2), "who waited is told");
    assert_eq!(rig.worker.waiting(), 0);
}

#[test]
fn a_port_for_each_query_is_not_a_descriptor_for_each_query_of_a_flood() {
    let mut line = Line::of(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    line.options.fresh_port = true;
    let mut rig = Rig::new(&[line], 4096);
    let came = ask_many(&mut rig, 300, Duration::from_millis(1));
    let ports: BTreeSet<usize> = came.iter().map(port).collect();
    assert_eq!(ports.len(), 300, "each leaves from a port of its own");
    assert_eq!(rig.sockets(), 0, "and that is closed with the answer");
    for number in 0..3000 {
        rig.ask(u16::try_from(number + 1).unwrap(), &format!("silent{number}.example.org"), 1, &[]);
    }
    for _ in 0..20 {
        rig.settle();
    }
    assert_eq!(rig.came().len(), 4 * 448, "as many as one client may have under way to each upstream");
    assert!(rig.sockets() <= 512 + 4 * 64, "{} descriptors", rig.sockets());
}

#[test]
fn questions_under_way_end_with_the_upstreams_that_they_began_with() {
    let mut rig = Rig::new(
        &[Line::of(&["192.0.2.1"]), Line { zone: "example.net".to_owned(), ..Line::of(&["192.0.2.2"]) }],
        64,
    );
    rig.ask(1, "www.example.org", 1, &[]);
    rig.settle();
    let old = rig.came().pop().unwrap();
    let second = rig.upstreams[1].clone();
    rig.groups[0].replace(vec![second]);
    rig.ask(2, "two.example.org", 1, &[]);
    // The same question joins the one under way.
    rig.ask(3, "www.example.org", 1, &[]);
    rig.settle();
    let new = rig.came();
    assert_eq!(new.iter().map(|came| came.upstream).collect::<Vec<_>>(), [1]);
    rig.say(&old.road, sound(&old));
    rig.say(&new[0].road, sound(&new[0]));
    rig.settle();
    for client in 1..=3 {
        assert_eq!(rig.reply(client).map(|got| got.code), Some(0), "{client}");
    }
    // A group that has none any more says so.
    rig.groups[0].replace(Vec::new());
    rig.ask(4, "three.example.org", 1, &[]);
    rig.settle();
    let got = rig.reply(4).unwrap();
    assert_eq!((got.code, got.ede.map(|(code, _)| code)), (2, Some(22)));
    assert_eq!(rig.worker.waiting(), 0);
}

#[test]
fn a_client_that_joins_late_is_served_with_the_others_and_not_beyond_its_time() {
    let mut rig = Rig::new(&[Line::of(&["192.0.2.1"])], 64);
    rig.ask(1, "www.example.org", 1, &[]);
    rig.pass(Duration::from_millis(3000));
    rig.ask(2, "www.example.org", 1, &[]);
    rig.pass(Duration::from_millis(900));
    assert_eq!(rig.reply(1).map(|got| got.code), Some(2));
    assert_eq!(rig.reply(2).map(|got| got.code), Some(2));
    // A new one is a new question.
    let _ = rig.came();
    rig.ask(2, "www.example.org", 1, &[]);
    rig.settle();
    let came = rig.came();
    assert_eq!(came.len(), 1);
    rig.say(&came[0].road, sound(&came[0]));
    rig.settle();
    assert_eq!(rig.reply(2).map(|got| got.code), Some(0));
    assert_eq!(rig.worker.waiting(), 0);
}

#[test]
fn owners_behind_an_alias_survive_shuffling_and_cutting() {
    let line = Line { word: "loadbalance round_robin", ..Line::of(&["192.0.2.1"]) };
    let mut rig = Rig::new(&[line], 64);
    for round in 0..50 {
        let count = if round % 2 == 0 { 8 } else { 60 };
        rig.ask(1, "www.example.org", 1, &["plain".to_owned()]);
        rig.settle();
        let came = rig.came().pop().unwrap();
        let mut records = vec![
            Rr::read(0, &["www.example.org", "60", "CNAME", "a.example.net"]).unwrap(),
            Rr::read(0, &["a.example.net", "60", "CNAME", "b.example.net"]).unwrap(),
        ];
        for last in 0..count {
            let addr = format!("192.0.2.{last}");
            records.push(Rr::read(0, &["b.example.net", "60", "A", &addr]).unwrap());
        }
        rig.say(&came.road, bytes::answer(&came.asked, 0, &records, &[]));
        rig.settle();
        let got = rig.reply(1).unwrap();
        let owners: Vec<(&str, &str)> =
            got.records.iter().map(|record| (record.owner.as_str(), record.rtype.as_str())).collect();
        assert_eq!(owners[..2], [("www.example.org", "CNAME"), ("a.example.net", "CNAME")]);
        assert!(
            owners.len() > 2 && owners[2..].iter().all(|owner| *owner == ("b.example.net", "A")),
            "{owners:?}"
        );
        assert_eq!(got.flags.contains(&"tc".to_owned()), count == 60, "{} records", owners.len());
        let different: BTreeSet<&str> = got.records.iter().map(|record| record.data.as_str()).collect();
        assert_eq!(different.len(), owners.len(), "no record twice");
    }
}

// ------------------------------------------------------------------------------------- an exchange by itself

/// A network that does as it is told.
#[derive(Default)]
struct Moody {
    /// Sockets that were opened, closed ones included.
    opened: usize,
    /// Sockets that are open.
    open: BTreeSet<usize>,
    /// Whether no more can be opened.
    exhausted: bool,
    /// An error for the next `transmit` of a socket.
    pending: HashMap<usize, io::ErrorKind>,
    /// What was sent: socket, upstream, bytes.
    sent: Vec<(usize, SocketAddr, Vec<u8>)>,
    /// Whom each socket is connected to.
    to: HashMap<usize, SocketAddr>,
}

impl Network for Moody {
    fn open(&mut self, to: SocketAddr, _: Option<IpAddr>) -> io::Result<usize> {
        self.opened += 1;
        if self.exhausted {
            return Err(io::Error::other("too many open files"));
        }
        self.open.insert(self.opened);
        self.to.insert(self.opened, to);
        Ok(self.opened)
    }

    fn transmit(&mut self, socket: usize, bytes: &[u8]) -> io::Result<()> {
        match self.pending.remove(&socket) {
            Some(kind) => Err(kind.into()),
            None => {
                self.sent.push((socket, self.to[&socket], bytes.to_vec()));
                Ok(())
            }
        }
    }

    fn take(&mut self, _: usize, _: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn shut(&mut self, socket: usize) {
        assert!(self.open.remove(&socket), "{socket} is closed twice");
    }
}

/// An exchange with a group of these upstreams.
fn exchange(to: &[&str], options: GroupOptions) -> (Exchange, Arc<Group>) {
    let upstreams = to.iter().map(|to| Arc::new(Upstream::new(UpstreamSpec::plain(to.parse().unwrap()))));
    (rig::exchange(), Arc::new(Group::new(options, upstreams.collect())))
}

/// Begins a question.
fn begin(exchange: &mut Exchange, group: &Arc<Group>, name: &str, place: usize, now: Tick) -> bool {
    rig::begin(exchange, group, (1, name), place, now)
}

#[test]
fn no_descriptors_are_asked_for_a_few_times_only() {
    let (mut exchange, group) = exchange(&["192.0.2.1:53", "192.0.2.2:53"], GroupOptions::default());
    let mut network = Moody { exhausted: true, ..Moody::default() };
    assert!(begin(&mut exchange, &group, "www.example.org", 1, Tick(0)));
    exchange.drive(&mut network, Tick(0));
    let done = exchange.done();
    let [(_, Err(failure))] = done.as_slice() else { panic!("{done:?}") };
    assert!(failure.ede.text.contains("too many open files"), "{failure:?}");
    assert!(network.opened <= 4, "{} attempts at a socket", network.opened);
}

#[test]
fn an_error_that_comes_with_the_next_datagram_is_that_of_those_before() {
    let options = GroupOptions { policy: Policy::Sequential, ..GroupOptions::default() };
    let (mut exchange, group) = exchange(&["192.0.2.1:53", "192.0.2.2:53"], options);
    let mut network = Moody::default();
    for place in 0..64 {
        assert!(begin(&mut exchange, &group, &format!("n{place}.example.org"), place, Tick(0)));
    }
    exchange.drive(&mut network, Tick(0));
    assert_eq!(network.sent.len(), 64);
    // All ports are closed over there; the kernel says so when something is sent from the same socket again.
    for socket in network.open.clone() {
        network.pending.insert(socket, io::ErrorKind::ConnectionRefused);
    }
    network.sent.clear();
    for place in 64..128 {
        assert!(begin(&mut exchange, &group, &format!("n{place}.example.org"), place, Tick(1)));
    }
    exchange.drive(&mut network, Tick(1));
    let second = network.sent.iter().filter(|(_, to, _)| to.ip() == IpAddr::from([192, 0, 2, 2])).count();
    // Each failure of a socket turns two questions to the other upstream at once: the one sent before and the new one.
    let failed = 64 - network.pending.len();
    assert!(failed > 10, "{failed} sockets were used again");
    assert!(second >= 2 * failed, "{second} questions were turned to the other one, {failed} sockets failed");
}

#[test]
fn nothing_under_way_counts_after_an_exchange_is_gone() {
    let options = GroupOptions { max_concurrent: 4, ..GroupOptions::default() };
    let (mut first, group) = exchange(&["192.0.2.1:53"], options);
    let mut network = Moody::default();
    for place in 0..2 {
        assert!(begin(&mut first, &group, &format!("n{place}.example.org"), place, Tick(0)));
    }
    first.drive(&mut network, Tick(0));
    // Two that were not even sent.
    for place in 2..4 {
        assert!(begin(&mut first, &group, &format!("n{place}.example.org"), place, Tick(0)));
    }
    assert!(!begin(&mut first, &group, "n5.example.org", 5, Tick(0)), "the bound is met");
    drop(first);
    let (mut second, _) = exchange(&["192.0.2.1:53"], GroupOptions::default());
    for place in 0..4 {
        assert!(begin(&mut second, &group, &format!("n{place}.example.org"), place, Tick(0)), "{place}");
    }
}

#[test]
fn a_question_that_is_not_sent_yet_does_not_wait() {
    let (mut exchange, group) = exchange(&["192.0.2.1:53"], GroupOptions::default());
    assert_eq!(exchange.next_deadline(), None);
    assert!(begin(&mut exchange, &group, "www.example.org", 1, Tick(50)));
    assert!(exchange.next_deadline().is_some_and(|at| at <= Tick(50)));
    exchange.drive(&mut Moody::default(), Tick(50));
    assert!(exchange.next_deadline().is_some_and(|at| at > Tick(50)), "and is no reason to spin");
}
