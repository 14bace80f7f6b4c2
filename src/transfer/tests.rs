//! The times of a zone.

use std::time::Duration;

use super::{Schedule, newer};
use crate::time::Tick;

/// Seconds as a tick.
fn at(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

#[test]
fn serials_are_newer_round_the_circle() {
    for (a, b, expected) in [
        (1, 2, true),
        (2, 1, false),
        (7, 7, false),
        (u32::MAX, 0, true),
        (0, u32::MAX, false),
        (0, 0x7fff_ffff, true),
        (0, 0x8000_0001, false),
    ] {
        assert_eq!(newer(a, b), expected, "{a} {b}");
    }
}

#[test]
fn a_first_transfer_is_tried_again_with_pauses_that_double() {
    let mut schedule = Schedule::new(at(0));
    assert!(schedule.wants_look(at(0)));
    let pauses: Vec<Duration> = (0..8).map(|_| schedule.failed(at(0))).collect();
    assert_eq!(
        pauses.iter().map(Duration::as_millis).collect::<Vec<_>>(),
        [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]
    );
    assert!(!schedule.expire(at(1_000_000)), "what was never there has no time");
}

#[test]
fn a_zone_is_looked_at_by_its_times_and_expires_once() {
    let mut schedule = Schedule::new(at(0));
    schedule.confirmed(at(100), [60, 10, 300], 0.5);
    assert_eq!(schedule.due(), Tick(at(162).0 + 500_000_000), "the refresh and half of five seconds");
    assert_eq!(schedule.failed(at(165)), Duration::from_secs(10));
    assert_eq!(schedule.due(), at(175));
    for second in (175..400).step_by(10) {
        schedule.failed(at(second));
        assert!(!schedule.expire(at(second)));
    }
    assert_eq!(schedule.due(), at(400));
    assert!(schedule.expire(at(400)));
    assert!(!schedule.expire(at(401)));
    schedule.confirmed(at(500), [0, 0, 0], 0.0);
    assert_eq!(schedule.due(), at(501), "never without end");
}

#[test]
fn the_word_of_a_primary_brings_the_look_forward_but_not_without_end() {
    let mut schedule = Schedule::new(at(0));
    schedule.confirmed(at(100), [3600, 10, 7200], 0.0);
    schedule.poked(at(200));
    assert!(schedule.wants_look(at(200)));
    schedule.confirmed(at(200), [3600, 10, 7200], 0.0);
    schedule.poked(at(200));
    assert!(!schedule.wants_look(at(200)));
    assert!(schedule.wants_look(at(201)));
}
