//! `timeouts`: how long the streams of an address may take, and how much each may ask (rule S-05).

use std::ops::RangeInclusive;
use std::time::Duration;

use super::build::Draft;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(super) const WORD: &str = "timeouts";

/// How it is written.
pub(super) const SYNTAX: &str = "\
timeouts {
    read DURATION
    write DURATION
    idle DURATION
    maxtcpqueries NUMBER
}";

/// What it does.
pub(super) const HELP: &str = "times of TCP connections, and the most queries of one";

/// The options, for hints.
const OPTIONS: &[&str] = &["read", "write", "idle", "maxtcpqueries"];

/// What a time may be.
const TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What is said about the streams of an address; what is not said stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Timeouts {
    /// How long a message may take from its first byte to its last.
    pub read: Option<Duration>,
    /// How long a byte of a reply may wait for the peer to read it.
    pub write: Option<Duration>,
    /// How long a stream may be idle.
    pub idle: Option<Duration>,
    /// The most queries of a stream, `Some(None)` for any number.
    pub queries: Option<Option<u32>>,
}

impl Timeouts {
    /// Takes in what a later block of the same address says.
    pub(super) fn add(&mut self, later: Self) {
        self.read = later.read.or(self.read);
        self.write = later.write.or(self.write);
        self.idle = later.idle.or(self.idle);
        self.queries = later.queries.or(self.queries);
    }
}

/// Reads the stanza.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    if directive.lines().is_empty() {
        return Err(directive.error("needs a line that says a time").hint("for example `idle 30s`"));
    }
    for line in directive.lines() {
        line.no_block()?;
        let timeouts = &mut draft.timeouts;
        match line.word.text.as_str() {
            "read" => timeouts.read = Some(time(line.only_arg()?)?),
            "write" => timeouts.write = Some(time(line.only_arg()?)?),
            "idle" => timeouts.idle = Some(time(line.only_arg()?)?),
            "maxtcpqueries" => {
                let token = line.only_arg()?;
                timeouts.queries = Some(match token.text.as_str() {
                    "-1" => None,
                    _ => {
                        Some(token.number(1..=u32::MAX).map_err(|error| error.hint("-1 is for any number"))?)
                    }
                });
            }
            _ => return Err(line.word.unknown("an option of `timeouts`", OPTIONS)),
        }
    }
    Ok(())
}

/// Reads a time; a number without a unit is seconds.
fn time(token: &Token) -> Result<Duration, Error> {
    let seconds = token.text.parse().ok().map(Duration::from_secs);
    let found = seconds.map_or_else(|| token.duration(), Ok)?;
    if !TIMES.contains(&found) {
        return Err(token.error(format!("`{}` is not between 1 second and 24 hours", token.text)));
    }
    Ok(found)
}
