//! `consolidate` with a clock that the test moves, and the lines that come of it.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};

use super::*;
use crate::corefile::{self, NoImports};
use crate::wire::parse_name;

/// Lines of `errors`, with their level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Takes all lines.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if event.metadata().target() == "plugin/errors" {
            let mut message = Message(String::new());
            event.record(&mut message);
            let line = format!("{} {}", event.metadata().level(), message.0);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

/// The step of these lines in the block of `errors`.
fn errors(lines: &str) -> Errors {
    let text = format!(". {{\n errors {{\n{lines}\n}}\n}}\n");
    let spec = corefile::parse("Corefile", &text, &NoImports).unwrap();
    let directive = &spec.blocks[0].directives[0];
    Errors { patterns: directive.lines().iter().map(|line| Pattern::parse(line).unwrap()).collect() }
}

/// Runs `act` with the lines that it writes.
fn with_lines(act: impl FnOnce(&Lines)) {
    let lines = Lines::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || act(&lines));
}

/// So many seconds.
fn at(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// An error with this reason.
fn fail(errors: &Errors, seconds: u64, why: &str) {
    errors.note(at(seconds), Rcode::SERVFAIL, &parse_name("a.b.").unwrap(), 1, why);
}

#[test]
fn the_first_error_begins_a_period_and_its_end_says_how_many_came() {
    with_lines(|lines| {
        let errors = errors("consolidate 5m \"timeout$\"");
        assert_eq!(errors.rhythm(), Some(REST));
        errors.tend(at(100));
        fail(&errors, 1000, "i/o timeout");
        fail(&errors, 1001, "read timeout");
        fail(&errors, 1299, "i/o timeout");
        errors.tend(at(1299));
        assert_eq!(lines.take(), [""; 0], "the whole period counts from the first error");
        errors.tend(at(1300));
        assert_eq!(lines.take(), ["ERROR 3 errors like 'timeout$' occurred in last 5m0s"]);
        errors.tend(at(1600));
        assert_eq!(lines.take(), [""; 0], "nothing came");
        fail(&errors, 2000, "i/o timeout");
        errors.tend(at(2299));
        assert_eq!(lines.take(), [""; 0]);
        errors.tend(at(2305));
        assert_eq!(lines.take(), ["ERROR 1 errors like 'timeout$' occurred in last 5m0s"]);
    });
}

#[test]
fn the_first_pattern_that_matches_counts_and_others_are_written_one_by_one() {
    with_lines(|lines| {
        let errors = errors(
            "consolidate 10s \"^read\" warning\nconsolidate 20s \"timeout\" info\nconsolidate 1h \"refused\" debug",
        );
        for why in ["read timeout", "dial timeout", "no route", "refused"] {
            fail(&errors, 0, why);
        }
        assert_eq!(lines.take(), ["ERROR 2 a.b. A: no route"]);
        errors.tend(at(10));
        assert_eq!(lines.take(), ["WARN 1 errors like '^read' occurred in last 10s"]);
        errors.tend(at(20));
        assert_eq!(lines.take(), ["INFO 1 errors like 'timeout' occurred in last 20s"]);
        errors.tend(at(3600));
        assert_eq!(lines.take(), ["DEBUG 1 errors like 'refused' occurred in last 1h0m0s"]);
    });
}

#[test]
fn show_first_writes_the_first_at_once_and_the_sum_only_if_more_came() {
    with_lines(|lines| {
        let errors = errors("consolidate 10s \".*\" warning show_first");
        fail(&errors, 1, "one");
        assert_eq!(lines.take(), ["WARN 2 a.b. A: one"]);
        errors.tend(at(11));
        assert_eq!(lines.take(), [""; 0], "it was written already");
        fail(&errors, 20, "two");
        fail(&errors, 21, "three");
        errors.tend(at(30));
        assert_eq!(lines.take(), ["WARN 2 a.b. A: two", "WARN 2 errors like '.*' occurred in last 10s"]);
    });
}

#[test]
fn what_was_counted_is_written_when_the_plan_ends() {
    with_lines(|lines| {
        let errors = errors("consolidate 1h \"a\"\nconsolidate 1h \"b\"");
        fail(&errors, 1, "a");
        errors.close();
        assert_eq!(lines.take(), ["ERROR 1 errors like 'a' occurred in last 1h0m0s"]);
        errors.close();
        // A query that began on the old plan.
        fail(&errors, 2, "b");
        assert_eq!(lines.take(), [""; 0]);
        drop(errors);
        assert_eq!(lines.take(), ["ERROR 1 errors like 'b' occurred in last 1h0m0s"]);
    });
}

#[test]
fn no_error_is_lost_or_told_twice_between_threads() {
    with_lines(|lines| {
        let errors = errors("consolidate 1ns \"a\" debug");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..10_000).for_each(|second| fail(&errors, second, "a")));
            }
            for second in 0..2_000 {
                errors.tend(at(second));
            }
        });
        drop(errors);
        let said = lines.take();
        let total: u64 =
            said.iter().map(|line| line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(total, 20_000, "{} lines", said.len());
    });
}

#[test]
fn classes_of_letters_are_those_of_go() {
    let errors = errors("consolidate 1s \"^\\d+$\"\nconsolidate 1s \"(?i)TimeOut\"");
    let matching = |why: &str| errors.patterns.iter().position(|pattern| pattern.matches(why));
    assert_eq!(matching("123"), Some(0));
    assert_eq!(matching("١٢٣"), None, "\\d is ASCII");
    assert_eq!(matching("a TIMEOUT"), Some(1));
}
