//! Sketches and rings against counters and lists that keep everything.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::ring::{Ring, read};
use super::{Filter, Observer, ObserverSpec, Seen, Sketch, Summary};
use crate::time::{Clock, Tick, Wall};
use crate::wire::parse_name;

/// The key of a number.
fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A sketch of these numbers; `hash` tells keys apart well, or badly.
fn sketch(numbers: &[u32], capacity: usize, hash: impl Fn(u32) -> u64) -> Sketch<16> {
    let mut sketch = Sketch::new(capacity);
    numbers.iter().for_each(|&number| sketch.note(hash(number), &key(number)));
    sketch
}

/// How often each number is there.
fn exact(numbers: &[u32]) -> HashMap<u32, u64> {
    let mut exact = HashMap::new();
    numbers.iter().for_each(|number| *exact.entry(*number).or_default() += 1);
    exact
}

/// Holds a summary against what it is of.
fn check(summary: &Summary, numbers: &[u32], capacity: usize) {
    let all = numbers.len() as u64;
    let bound = all / capacity as u64;
    assert!(summary.floor() <= bound, "the floor is {}, N / capacity is {bound}", summary.floor());
    let top = summary.top(usize::MAX);
    assert!(top.len() <= capacity, "{}", top.len());
    for (number, count) in exact(numbers) {
        let bounds = summary.bounds(&key(number));
        assert!(
            bounds.least() <= count && count <= bounds.most,
            "{number}: {count} is not within {bounds:?}"
        );
        assert!(bounds.error <= bound, "{number}: {bounds:?}, N / capacity is {bound}");
        if count > bound {
            assert!(
                top.iter().any(|(held, _)| **held == key(number)),
                "{number} was seen {count} times of {all}"
            );
        }
    }
}

/// Numbers of which some come often.
fn stream() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(prop_oneof![3 => 0_u32..5, 2 => 0_u32..40, 1 => any::<u32>()], 0..600)
}

proptest! {
    #[test]
    fn a_sketch_promises_what_a_naive_counter_shows(numbers in stream(), capacity in 1_usize..40, bits in 0_u32..64) {
        // The fewer bits of the hash count, the more keys collide: nothing may depend on it.
        let hasher = foldhash::fast::RandomState::default();
        let sketch = sketch(&numbers, capacity, |number| hasher.hash_one(number) >> bits);
        let counted: u64 = sketch.counts().map(|(_, count, _)| count).sum();
        prop_assert_eq!(counted, numbers.len() as u64, "every query is in exactly one counter");
        let mut summary = Summary::new(capacity);
        summary.add_sketch(&sketch);
        check(&summary, &numbers, capacity);
    }

    #[test]
    fn sketches_that_are_merged_keep_the_promises_of_one(
        parts in prop::collection::vec(stream(), 1..6),
        capacity in 1_usize..24,
        split in 0_usize..6,
    ) {
        let hasher = foldhash::fast::RandomState::default();
        let all: Vec<u32> = parts.iter().flatten().copied().collect();
        let (mut left, mut right) = (Summary::new(capacity), Summary::new(capacity));
        for (place, part) in parts.iter().enumerate() {
            let to = if place < split { &mut left } else { &mut right };
            to.add_sketch(&sketch(part, capacity, |number| hasher.hash_one(number)));
        }
        left.add_summary(&right);
        check(&left, &all, capacity);
    }

    #[test]
    fn a_cleared_sketch_is_an_empty_one(before in stream(), after in stream(), capacity in 1_usize..24) {
        let hasher = foldhash::fast::RandomState::default();
        let mut used = sketch(&before, capacity, |number| hasher.hash_one(number));
        used.clear();
        after.iter().for_each(|&number| used.note(hasher.hash_one(number), &key(number)));
        let mut summary = Summary::new(capacity);
        summary.add_sketch(&used);
        check(&summary, &after, capacity);
    }

    #[test]
    fn a_ring_keeps_the_newest_as_they_were(lengths in prop::collection::vec(0_usize..255, 1..200), gulp in 1_usize..4000) {
        let names: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(at, &length)| vec![u8::try_from(at % 256).unwrap(); length]).collect();
        let mut ring = Ring::new(20);
        names.iter().enumerate().for_each(|(at, name)| ring.push(&seen(at as u64, "10.0.0.1", name)));
        let (mut place, mut kept, mut bytes) = (0, Vec::new(), Vec::new());
        while place < ring.head() {
            let (next, lost) = ring.copy(place, gulp, &mut bytes);
            prop_assert!(next > place && !lost);
            let mut rest = bytes.as_slice();
            while let Some((record, behind)) = read(rest) {
                kept.push((record.at.0, record.name.to_vec()));
                rest = behind;
            }
            place = next;
        }
        let expected: Vec<(u64, Vec<u8>)> = names.iter().enumerate().map(|(at, name)| (at as u64, name.clone())).collect();
        prop_assert!(expected.ends_with(&kept) && !kept.is_empty());
        // It is as full as it can be: one more would not fit.
        let room = |records: &[(u64, Vec<u8>)]| records.iter().map(|(_, name)| 40 + name.len()).sum::<usize>();
        let more = &expected[expected.len().saturating_sub(kept.len() + 1)..];
        prop_assert!(kept.len() == expected.len() || room(more) > 20 * super::RECORD);
    }
}

/// A query.
fn seen<'a>(at: u64, client: &str, name: &'a [u8]) -> Seen<'a> {
    Seen {
        at: Tick(at),
        took: Duration::from_micros(30),
        client: client.parse().unwrap(),
        port: 4000,
        tcp: false,
        name,
        qtype: 1,
        rcode: 0,
        answers: true,
        word: 3,
        namespace: None,
        candidate: false,
    }
}

/// An observer of one worker.
fn observer(clock: &Clock) -> Observer {
    let spec = ObserverSpec { queries: 100, slow: Duration::from_millis(100) };
    Observer::new(spec, 1, clock.now())
}

#[test]
fn of_a_million_clients_the_first_twenty_are_found() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut sketch = Sketch::<16>::new(512);
    let hasher = foldhash::fast::RandomState::default();
    let mut counts: HashMap<u32, u64> = HashMap::new();
    let all = 400_000;
    for _ in 0..all {
        // Zipf's law with exponent 1 over a million: the inverse of its sum, which is a logarithm.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let number = (1e6_f64.powf(rng.f64()) - 1.0) as u32;
        sketch.note(hasher.hash_one(number), &key(number));
        *counts.entry(number).or_default() += 1;
    }
    let mut summary = Summary::new(512);
    summary.add_sketch(&sketch);
    let mut expected: Vec<(u64, u32)> = counts.into_iter().map(|(number, count)| (count, number)).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let found = summary.top(20);
    let right =
        expected[..20].iter().filter(|(_, number)| found.iter().any(|(held, _)| **held == key(*number)));
    assert!(right.count() >= 19, "19 of 20 at least: {found:?}");
}

#[test]
fn windows_forget_what_is_older_than_they_are() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let observer = observer(&clock);
    let name = parse_name("www.example.org.").unwrap();
    let totals = |minutes| {
        let page = observer.top(minutes, 20, clock.now()).unwrap();
        (page.queries, page.seconds)
    };
    observer.note(0, &seen(0, "10.0.0.1", &name));
    assert_eq!((totals(1), totals(10), totals(60)), ((1, 0), (1, 0), (1, 0)));
    let mut counted = Vec::new();
    for minute in 1..=80 {
        for _ in 0..4 {
            clock.advance(Duration::from_secs(15));
            observer.tend(clock.now());
        }
        counted.push((minute, totals(1).0, totals(10).0, totals(60).0));
    }
    let last = |of: fn(&(u64, u64, u64, u64)) -> u64| {
        counted.iter().filter(|row| of(row) == 1).map(|row| row.0).max().unwrap_or(0)
    };
    // Panes go as wholes: of one minute a quarter may stay longer, of ten and of sixty a fifth and a sixth.
    assert_eq!((last(|row| row.1), last(|row| row.2), last(|row| row.3)), (1, 11, 69), "{counted:?}");
    assert_eq!((totals(1).1, totals(10).1, totals(60).1), (60, 600, 3600));
    assert_eq!(observer.top(2, 20, clock.now()), None);
}

#[test]
fn what_is_wrong_with_a_query_is_counted_by_its_kind() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let observer = observer(&clock);
    let (web, none) = (parse_name("web.shop.svc.cluster.local.").unwrap(), parse_name("nothing.").unwrap());
    let query = seen(0, "10.0.0.1", &web);
    for seen in [
        Seen { namespace: Some(b"shop"), ..query },
        Seen { qtype: 28, answers: false, namespace: Some(b"shop"), ..query },
        Seen { rcode: 3, name: &none, client: "fd00::1".parse().unwrap(), answers: false, ..query },
        Seen { rcode: 3, namespace: Some(b"prod"), candidate: true, answers: false, ..query },
        Seen { rcode: 2, took: Duration::from_secs(4), name: &none, answers: false, ..query },
    ] {
        observer.note(0, &seen);
    }
    let page = observer.top(10, 20, clock.now()).unwrap();
    let counts =
        [page.queries, page.nxdomain, page.failed, page.aaaa, page.aaaa_empty, page.slow, page.search];
    assert_eq!(counts, [5, 2, 1, 1, 1, 1, 1]);
    let rows = |rows: &[super::Row]| -> Vec<(String, u64)> {
        rows.iter().map(|row| (row.what.clone(), row.at_most)).collect()
    };
    let named = |rows: &[(&str, u64)]| -> Vec<(String, u64)> {
        rows.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
    };
    assert_eq!(rows(&page.clients), named(&[("10.0.0.1", 4), ("fd00::1", 1)]));
    assert_eq!(rows(&page.names), named(&[("web.shop.svc.cluster.local.", 3), ("nothing.", 2)]));
    assert_eq!(rows(&page.namespaces), named(&[("shop", 2), ("prod", 1)]));
    assert_eq!(rows(&page.nxdomain_names), named(&[("web.shop.svc.cluster.local.", 1), ("nothing.", 1)]));
    assert_eq!(rows(&page.slow_names), named(&[("nothing.", 1)]));
    assert_eq!(rows(&page.search_namespaces), named(&[("prod", 1)]));
}

#[test]
fn a_reader_goes_on_where_it_was_and_learns_what_it_has_lost() {
    let clock = Clock::manual(Wall(1_700_000_000));
    let observer = observer(&clock);
    let name = parse_name("www.example.org.").unwrap();
    let tap = |after: &str, filter: &Filter, most| {
        observer.tap(after, filter, most, &clock, |_| "forward").unwrap()
    };
    let all = Filter::default();
    let begin = tap("now", &all, 10);
    assert!(begin.queries.is_empty() && !begin.lost);
    clock.advance(Duration::from_secs(2));
    observer.note(0, &seen(1_500_000_000, "10.0.0.1", &name));
    let page = tap(&begin.cursor, &all, 10);
    let told = &page.queries[0];
    assert_eq!(
        (told.at, told.client.as_str(), told.word.as_str()),
        (1_700_000_001_500, "10.0.0.1", "forward")
    );
    assert_eq!(
        (told.name.as_str(), told.qtype.as_str(), told.rcode.as_str()),
        ("www.example.org.", "A", "NOERROR")
    );
    assert!(tap(&page.cursor, &all, 10).queries.is_empty());
    (0..1000).for_each(|at| observer.note(0, &seen(at, "10.0.0.2", &name)));
    let late = tap(&page.cursor, &all, 10);
    assert!(late.lost && late.queries.len() == 10 && late.left_out > 80, "{}", late.left_out);
    assert_eq!(late.queries[9].at, 1_699_999_998_000 + 2_000, "the newest are told");
    // Of another life, or of another number of workers: it begins anew.
    assert!(tap("ffffffff", &all, 10).lost);
    assert!(!tap("0.0", &all, 10).queries.is_empty());
    assert_eq!(observer.tap("nonsense", &all, 10, &clock, |_| ""), None);
}

#[test]
fn filters_let_through_what_all_of_them_want() {
    let name = parse_name("www.example.org.").unwrap();
    let query = Seen { took: Duration::from_millis(5), ..seen(0, "10.1.2.3", &name) };
    let net = |text: &str, bits| Some((text.parse::<IpAddr>().unwrap(), bits));
    let below = |text: &str| parse_name(text);
    for (filter, wants) in [
        (Filter::default(), true),
        (Filter { client: net("10.1.0.0", 16), ..Filter::default() }, true),
        (Filter { client: net("10.2.0.0", 16), ..Filter::default() }, false),
        (Filter { client: net("0.0.0.0", 0), ..Filter::default() }, true),
        (Filter { client: net("::", 0), ..Filter::default() }, false),
        (Filter { client: net("10.1.2.3", 32), ..Filter::default() }, true),
        (Filter { name: below("example.org."), ..Filter::default() }, true),
        (Filter { name: below("xample.org."), ..Filter::default() }, false),
        (Filter { name: below("."), ..Filter::default() }, true),
        (Filter { name: below("a.www.example.org."), ..Filter::default() }, false),
        (Filter { qtype: Some(28), ..Filter::default() }, false),
        (Filter { rcode: Some(0), qtype: Some(1), ..Filter::default() }, true),
        (Filter { rcode: Some(3), qtype: Some(1), ..Filter::default() }, false),
        (Filter { slower: Some(Duration::from_millis(5)), ..Filter::default() }, true),
        (Filter { slower: Some(Duration::from_millis(6)), ..Filter::default() }, false),
    ] {
        assert_eq!(filter.wants(&query), wants, "{filter:?}");
    }
}
