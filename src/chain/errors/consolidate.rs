//! `consolidate`: one line for many errors that are alike.
//!
//! The first error that matches begins a period; at its end one line says how many came. Queries only count: whoever tends
//! the plan writes the line.

use std::fmt::{Arguments, Display};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use crate::corefile::{Directive, Error};
use crate::time::{Tick, show_duration};

/// The longest REGEXP. Unit: bytes.
const LONGEST: usize = 10_000;

/// The most memory that a compiled REGEXP takes. Unit: bytes.
const COMPILED: usize = 1 << 20;

/// How lines are marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// `warning`.
    Warning,
    /// `error`.
    Error,
    /// `info`.
    Info,
    /// `debug`: written only with `debug` in a block.
    Debug,
}

/// The levels by name.
const LEVELS: &[(&str, Level)] =
    &[("warning", Level::Warning), ("error", Level::Error), ("info", Level::Info), ("debug", Level::Debug)];

/// Writes a line of `errors`.
pub(super) fn say(level: Level, line: Arguments<'_>) {
    match level {
        Level::Warning => tracing::warn!(target: "plugin/errors", "{line}"),
        Level::Error => tracing::error!(target: "plugin/errors", "{line}"),
        Level::Info => tracing::info!(target: "plugin/errors", "{line}"),
        Level::Debug => tracing::debug!(target: "plugin/errors", "{line}"),
    }
}

/// One `consolidate` line, and what came of it so far.
pub(super) struct Pattern {
    /// How long errors are counted, from the first on.
    pub(super) period: Duration,
    /// How its lines are marked.
    pub(super) level: Level,
    /// What an error must contain; ASCII classes, as in Go.
    regex: Regex,
    /// Whether the first error of a period is written at once.
    show_first: bool,
    /// Errors of this period so far.
    count: AtomicU64,
    /// When this period ends, as `Tick`; 0 while there is none.
    until: AtomicU64,
}

impl Pattern {
    /// Reads `consolidate DURATION REGEXP [LEVEL] [show_first]`.
    pub(super) fn parse(line: &Directive) -> Result<Self, Error> {
        line.no_block()?;
        let args = line.expect_args(2..=4)?;
        let [period, regexp, options @ ..] = args else {
            return Err(line.error("a duration and a regular expression are missing"));
        };
        let duration = period.duration()?;
        if duration.is_zero() {
            return Err(period.error("errors are collected for some time: `5m` for five minutes"));
        }
        if regexp.text.len() > LONGEST {
            return Err(regexp.error(format!("a regular expression has at most {LONGEST} bytes")));
        }
        let regex = RegexBuilder::new(&regexp.text)
            // As in Go: `\d`, `\w`, `\s` and `\b` are about ASCII.
            .unicode(false)
            .size_limit(COMPILED)
            .build()
            .map_err(|error| regexp.error(fault(&error)))?;
        let (mut level, mut show_first) = (None, false);
        for option in options {
            match LEVELS.iter().find(|(name, _)| *name == option.text) {
                Some(_) if level.is_some() => return Err(option.error("there is a level already")),
                Some(_) if show_first => {
                    return Err(option.error("the level stands before `show_first`"));
                }
                Some((_, found)) => level = Some(*found),
                None if option.text == "show_first" => show_first = true,
                None => {
                    let known = ["warning", "error", "info", "debug", "show_first"];
                    return Err(option.unknown("a level or `show_first`", &known));
                }
            }
        }
        Ok(Self {
            period: duration,
            level: level.unwrap_or(Level::Error),
            regex,
            show_first,
            count: AtomicU64::new(0),
            until: AtomicU64::new(0),
        })
    }

    /// Whether an error is of this kind.
    pub(super) fn matches(&self, why: &str) -> bool {
        self.regex.is_match(why.as_bytes())
    }

    /// Counts an error; says whether it is to be written at once.
    ///
    /// Cost: an addition that workers share. The period of `count` is begun by whoever counts its first error.
    pub(super) fn take(&self, now: Tick) -> bool {
        let first = self.count.fetch_add(1, Ordering::AcqRel) == 0;
        if first {
            self.until.store(now.plus(self.period).0.max(1), Ordering::Release);
        }
        first && self.show_first
    }

    /// Ends the period if it is over.
    pub(super) fn tend(&self, now: Tick) {
        let until = self.until.load(Ordering::Acquire);
        if until != 0 && until <= now.0 {
            self.end(until);
        }
    }

    /// Ends the period now: nobody tends this pattern any more.
    pub(super) fn close(&self) {
        let until = self.until.load(Ordering::Acquire);
        if until != 0 {
            self.end(until);
        }
    }

    /// Ends the period that lasts until `until`; of two who want to, one does.
    fn end(&self, until: u64) {
        // Before the count is taken: what is counted from then on begins a period of its own.
        if self.until.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.tell(self.count.swap(0, Ordering::AcqRel));
        }
    }

    /// Writes how many came, unless all were written already.
    fn tell(&self, count: u64) {
        if count > u64::from(self.show_first) {
            let period = show_duration(self.period);
            say(self.level, format_args!("{count} errors like '{}' occurred in last {period}", self.regex));
        }
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        // What was counted after `close`, by queries that ended on an old plan.
        self.tell(self.count.swap(0, Ordering::AcqRel));
    }
}

/// What is wrong with a regular expression, in one line.
fn fault(error: &(impl Display + ?Sized)) -> String {
    let text = error.to_string();
    // The last line says what; those before it draw where.
    let last = text.lines().next_back().unwrap_or_default();
    format!("no regular expression: {}", last.trim_start_matches("error: "))
}
