//! The model of RELIABILITY Z10: random questions, answers and pauses against a plain map of what was said last.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::time::Tick;
use crate::wire::{Owner, Question, Rcode, Section, Sections, parse_name};

/// A question for a name of this number.
fn question(number: u64) -> Question {
    Question::new(&parse_name(&format!("n{number}.example.")).unwrap(), 1).unwrap()
}

/// A key of this number.
fn key(number: u64) -> Key {
    Key::new(&question(number), false, false)
}

/// A cache with these options.
fn cache(options: Options) -> Cache {
    Cache::new(Spec { place: String::new(), options })
}

/// A draft of `count` addresses.
fn addresses(count: u8, ttl: u32) -> Sections {
    let mut draft = Sections::default();
    (0..count).for_each(|last| {
        draft.push_address(Section::Answer, Owner::Question, ttl, &[192, 0, 2, last]);
    });
    draft
}

/// What was said last of a kind.
#[derive(Clone, Copy)]
struct Last {
    /// When.
    at: Tick,
    /// For how long.
    ttl: u32,
    /// How many records.
    records: u8,
}

#[test]
fn random_answers_are_never_served_beyond_their_limit_nor_beyond_the_budget() {
    let stale = |prefer_positive| Stale {
        up_to: Duration::from_secs(50),
        mode: StaleMode::Immediate,
        ttl: 0,
        recheck: Duration::ZERO,
        prefer_positive,
    };
    for (seed, stale) in [(1, None), (2, Some(stale(false))), (3, Some(stale(true)))] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let side = Side { budget: 200 * 512, cap: 3600, floor: 0 };
        let options = Options { success: side, denial: side, stale, ..Options::default() };
        let cache = cache(options);
        let mut said: HashMap<(u64, u8), Last> = HashMap::new();
        let mut shown: HashMap<u64, (Tick, u32)> = HashMap::new();
        let (mut now, mut found, mut made_room) = (Tick(1), 0, 0);
        for step in 0..30_000 {
            now = now.plus(Duration::from_millis(rng.u64(..200)));
            // Few names are asked for often, many once.
            let number = if rng.bool() { rng.u64(..40) } else { rng.u64(..4000) };
            let key = key(number);
            if let Some(answer) = cache.find(&key, now) {
                found += 1;
                let (entry, is_stale) = match &answer {
                    Found::Fresh(entry) => (entry, false),
                    Found::Stale { entry, .. } => (entry, true),
                };
                let last = said[&(number, entry.kind as u8)];
                let end = last.at.plus(Duration::from_secs(u64::from(last.ttl)));
                assert_eq!(
                    (entry.expires(), now < end),
                    (end, !is_stale),
                    "step {step}: the last word, in its time"
                );
                assert!(
                    !is_stale || stale.is_some() && now < end.plus(Duration::from_secs(50)),
                    "step {step}"
                );
                assert!(!is_stale || entry.kind != Kind::Failure, "a failure ends with its time");
                let mut draft = Sections::default();
                entry.show(&mut draft, Shown::Remaining, now);
                if entry.kind == Kind::Positive {
                    assert_eq!(draft.records().len(), usize::from(last.records));
                    let ttl = draft.records()[0].ttl;
                    assert_eq!(ttl == 0, is_stale, "step {step}: what is true has time left");
                    if let Some((at, before)) = shown.insert(number, (last.at, ttl))
                        && at == last.at
                    {
                        assert!(ttl <= before, "step {step}: a TTL went up");
                    }
                }
                if rng.u8(..10) > 0 {
                    continue;
                }
            }
            let kind = [Kind::Positive, Kind::Positive, Kind::Negative, Kind::Failure][rng.usize(..4)];
            let (records, ttl) = (rng.u8(1..20), rng.u32(1..60));
            let verdict = Verdict { kind, ttl, answering: kind == Kind::Positive };
            let rcode = if kind == Kind::Positive { Rcode::NOERROR } else { Rcode::NXDOMAIN };
            made_room += cache.keep(&key, verdict, rcode, false, &addresses(records, ttl), now);
            said.insert((number, kind as u8), Last { at: now, ttl, records });
            for kind in [Kind::Positive, Kind::Negative, Kind::Failure] {
                let usage = cache.usage(kind);
                assert!(usage.bytes <= usage.budget, "step {step}: {kind:?} {usage:?}");
            }
        }
        assert!(found > 3000 && made_room > 3000, "the model met what it is about: {found}, {made_room}");
    }
}

#[test]
fn names_that_are_asked_once_do_not_push_out_those_that_are_used() {
    let side = Side { budget: Side::budget_of(0), cap: 3600, floor: 0 };
    let cache = cache(Options { success: side, ..Options::default() });
    let verdict = Verdict { kind: Kind::Positive, ttl: 3600, answering: true };
    let now = Tick(1);
    let mut hits = 0;
    for round in 0..40_u64 {
        for number in 0..300 {
            match cache.find(&key(number), now) {
                Some(_) => hits += u64::from(round > 0),
                None => {
                    cache.keep(&key(number), verdict, Rcode::NOERROR, false, &addresses(1, 3600), now);
                }
            }
        }
        for number in 0..3000 {
            let key = key(1_000_000 + round * 3000 + number);
            assert!(cache.find(&key, now).is_none());
            cache.keep(&key, verdict, Rcode::NOERROR, false, &addresses(1, 3600), now);
        }
    }
    assert!(hits > 39 * 300 * 95 / 100, "{hits} of {}", 39 * 300);
}

#[test]
fn to_look_at_an_answer_keeps_it_no_longer() {
    let verdict = Verdict { kind: Kind::Positive, ttl: 3600, answering: true };
    let side = Side { budget: Side::budget_of(0), cap: 3600, floor: 0 };
    let outlives = |reads: fn(&Cache, &Key) -> bool| {
        let cache = cache(Options { success: side, ..Options::default() });
        let keep = |number| {
            cache.keep(&key(number), verdict, Rcode::NOERROR, false, &addresses(1, 3600), Tick(1));
        };
        // A cache that is full, in which what is new has to show that it is used.
        (100_000..140_000).for_each(keep);
        (0..20).for_each(keep);
        assert!((0..20).all(|number| reads(&cache, &key(number))));
        (1000..21_000).for_each(keep);
        (0..20).filter(|number| cache.look(&key(*number), Tick(2)).is_some()).count()
    };
    assert!(outlives(|cache, key| cache.find(key, Tick(2)).is_some()) > 15, "what is used stays");
    assert_eq!(
        outlives(|cache, key| cache.look(key, Tick(2)).is_some()),
        0,
        "what is looked at goes like the others"
    );
}

#[test]
fn an_answer_larger_than_a_shard_is_not_kept_and_harms_nothing() {
    let cache = cache(Options::default());
    let verdict = Verdict { kind: Kind::Positive, ttl: 60, answering: true };
    let mut large = Sections::default();
    for _ in 0..40 {
        large.push(Section::Answer, Owner::Question, 16, 60, |rdata| rdata.bytes(&[b'x'; 60_000]));
    }
    cache.keep(&key(1), verdict, Rcode::NOERROR, false, &addresses(1, 60), Tick(1));
    assert_eq!(cache.keep(&key(2), verdict, Rcode::NOERROR, false, &large, Tick(1)), 1);
    assert!(cache.find(&key(1), Tick(2)).is_some() && cache.find(&key(2), Tick(2)).is_none());
    assert_eq!(cache.usage(Kind::Positive).entries, 1);
}

#[test]
fn a_claim_is_given_once_until_it_ends() {
    let cache = cache(Options::default());
    let verdict = Verdict { kind: Kind::Positive, ttl: 60, answering: true };
    cache.keep(&key(1), verdict, Rcode::NOERROR, false, &addresses(1, 60), Tick(1));
    let Some(Found::Fresh(entry)) = cache.find(&key(1), Tick(2)) else { panic!("it is there") };
    assert!(!entry.rests(Tick(2)) && entry.claim(Tick(2), Tick(10)));
    assert!(entry.rests(Tick(9)) && !entry.claim(Tick(9), Tick(20)));
    assert!(!entry.rests(Tick(10)) && entry.claim(Tick(10), Tick(20)));
    entry.rest(Tick(12));
    assert!(entry.claim(Tick(12), Tick(20)));
}

#[test]
fn keys_differ_where_answers_do() {
    let web = |qtype, qclass| {
        let mut question = Question::new(b"\x03wEb\x00", qtype).unwrap();
        question.qclass = qclass;
        question
    };
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for qtype in [1, 28, 256] {
        for qclass in [1, 3] {
            for flags in 0..4 {
                let key = Key::new(&web(qtype, qclass), flags & 1 > 0, flags & 2 > 0);
                assert!(key.bytes().ends_with(b"\x03web\x00"));
                keys.push(key.bytes().to_vec());
            }
        }
    }
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all);
    let longest =
        Question::new(&parse_name(&format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "b".repeat(61))).unwrap(), 1);
    assert_eq!(Key::new(&longest.unwrap(), false, false).bytes().len(), 5 + 255);
}
