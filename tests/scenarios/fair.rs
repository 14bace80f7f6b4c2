//! One client that asks in vain, and others beside it: what it takes is its own (RELIABILITY L3, rule S-52).

use std::collections::VecDeque;
use std::sync::Arc;

use signpost::forward::{Exchange, Group};
use signpost::time::Tick;

use super::bytes::{self, Rr};
use super::rig::{self, Came, Line, Rig};

/// What the one asks each millisecond.
const FLOOD: u32 = 20;

/// Its host.
const ONE: u8 = 1;

/// The first port of the others; those of the one are below.
const OTHERS: u16 = 40_000;

/// What came of a run.
#[derive(Default, Debug)]
struct Outcome {
    /// What the others asked.
    asked: usize,
    /// Replies to them other than the right one: code and extended error.
    wrong: Vec<(u16, Option<(u16, String)>)>,
    /// Right ones.
    right: usize,
    /// Names of the one that an upstream was asked for.
    in_vain: usize,
    /// Its questions that were refused.
    refused: usize,
}

/// Who asks what and when.
struct Run {
    /// For how long. Unit: milliseconds.
    lasts: u32,
    /// A question of one of the others each so many milliseconds.
    pause: u32,
    /// How long the upstreams take for their names. Unit: milliseconds.
    takes: u32,
    /// The worker does nothing for so long, each half second, and finds all that came meanwhile. Unit: milliseconds.
    asleep: u32,
}

/// The one asks for names below `f`, which are never answered; twenty others in turn for names that are.
fn beside(rig: &mut Rig, run: &Run) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut flood, mut due) = (0_u32, VecDeque::<(u32, Came)>::new());
    // In the end everybody has a reply or gave up.
    for now in 0..run.lasts + 4_500 {
        if now >= run.lasts && rig.worker.waiting() == 0 {
            break;
        }
        if now < run.lasts {
            for _ in 0..FLOOD {
                let port = u16::try_from(flood % u32::from(OTHERS - 1) + 1).unwrap();
                rig.ask_from(ONE, port, &format!("f{flood}.example.org"), 1, &[]);
                flood += 1;
            }
            if now % run.pause == 0 {
                let number = u16::try_from(outcome.asked).unwrap();
                let host = ONE + 1 + u8::try_from(outcome.asked % 20).unwrap();
                rig.ask_from(host, OTHERS + number, &format!("n{number}.example.org"), 1, &[]);
                outcome.asked += 1;
            }
        }
        rig.clock.advance(std::time::Duration::from_millis(1));
        if now % 500 < run.asleep {
            continue;
        }
        // As many turns as it takes to read all that came.
        for _ in 0..=FLOOD * run.asleep / 256 {
            rig.settle();
        }
        for came in rig.came() {
            match came.asked.name.get(1) {
                Some(b'n') => due.push_back((now + run.takes, came)),
                Some(b'f') => outcome.in_vain += 1,
                _ => rig.say(&came.road.clone(), bytes::answer(&came.asked, 0, &[], &[])),
            }
        }
        while due.front().is_some_and(|(at, _)| *at <= now) {
            let (_, came) = due.pop_front().unwrap();
            let record = Rr::read(0, &["@", "60", "A", "192.0.2.7"]).unwrap();
            rig.say(&came.road.clone(), bytes::answer(&came.asked, 0, &[record], &[]));
        }
        rig.settle();
        for client in rig.unread() {
            let got = rig.reply(client).unwrap();
            match (client >= OTHERS, got.code) {
                (true, 0) => outcome.right += 1,
                (true, code) => outcome.wrong.push((code, got.ede)),
                (false, code) => {
                    assert_eq!(code, 2, "nobody answers those");
                    outcome.refused += usize::from(got.ede.is_some_and(|(code, _)| code == 23));
                }
            }
        }
    }
    outcome
}

/// A line of these upstreams with kubeadm's bound.
fn line(to: &[&str]) -> Line {
    let mut line = Line::of(to);
    line.options.max_concurrent = 1000;
    line
}

/// All that the others asked was answered, though the one had its share of upstreams and was refused the rest.
fn check(outcome: &Outcome) {
    assert!(outcome.wrong.is_empty(), "{} of {}: {:?}", outcome.wrong.len(), outcome.asked, outcome.wrong[0]);
    assert_eq!(outcome.right, outcome.asked);
    assert!(outcome.in_vain > 450 && outcome.refused > 5_000, "there was a flood: {outcome:?}");
}

#[test]
fn l3_what_one_client_asks_in_vain_takes_nothing_from_others() {
    let mut rig = Rig::new(&[line(&["192.0.2.1"])], 16_384);
    check(&beside(&mut rig, &Run { lasts: 1_000, pause: 2, takes: 10, asleep: 0 }));
}

#[test]
fn l3_a_worker_that_finds_hundreds_of_them_at_once_loses_nobody_else() {
    let mut rig = Rig::new(&[line(&["192.0.2.1"])], 16_384);
    check(&beside(&mut rig, &Run { lasts: 1_000, pause: 2, takes: 1, asleep: 40 }));
}

#[test]
fn l3_a_slow_upstream_and_one_more_lose_nobody_else() {
    let mut rig = Rig::new(&[line(&["192.0.2.1", "192.0.2.2"])], 16_384);
    check(&beside(&mut rig, &Run { lasts: 1_000, pause: 4, takes: 120, asleep: 10 }));
}

#[test]
fn l3_without_a_bound_of_the_line_those_of_upstreams_are_shared_out() {
    let mut rig = Rig::new(&[Line::of(&["192.0.2.1"])], 16_384);
    check(&beside(&mut rig, &Run { lasts: 1_000, pause: 2, takes: 10, asleep: 10 }));
}

/// Begins so many questions of a client on another worker.
fn elsewhere(
    exchange: &mut Exchange,
    group: &Arc<Group>,
    client: u64,
    names: std::ops::Range<usize>,
) -> usize {
    let begun = names.filter(|number| {
        rig::begin(exchange, group, (client, &format!("g{number}.example.org")), *number, Tick(0))
    });
    begun.count()
}

#[test]
fn l3_who_holds_little_of_a_line_is_served_by_a_worker_where_nobody_else_asks() {
    let mut rig = Rig::new(&[line(&["192.0.2.1"])], 16_384);
    let group = rig.groups[0].clone();
    let mut other = rig::exchange();
    // 198.51.100.1, as a line's holdings have it.
    let one = u64::from(u32::from_be_bytes([198, 51, 100, ONE]));
    assert_eq!(elsewhere(&mut other, &group, one, 0..2000), 875, "all but the last eighth of the line");
    // Whoever asked that worker in vain is no better off here.
    rig.ask_from(ONE, 1, "f.example.org", 1, &[]);
    for port in 2..22 {
        rig.ask_from(ONE + 1, port, &format!("n{port}.example.org"), 1, &[]);
    }
    rig.settle();
    assert_eq!(rig.reply(1).map(|got| got.code), Some(2));
    let came = rig.came();
    assert_eq!(came.len(), 20, "twenty at once are few beside 875");
    for came in came {
        let record = Rr::read(0, &["@", "60", "A", "192.0.2.7"]).unwrap();
        rig.say(&came.road.clone(), bytes::answer(&came.asked, 0, &[record], &[]));
    }
    rig.settle();
    for port in 2..22 {
        assert_eq!(rig.reply(port).map(|got| got.code), Some(0), "{port}");
    }
    // What that worker gives up is free for all.
    drop(other);
    rig.ask_from(ONE, 1, "f.example.org", 1, &[]);
    rig.settle();
    assert_eq!(rig.came().len(), 1);
}
