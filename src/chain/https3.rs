//! `https3`: the bounds of DNS over HTTP/3.

use super::build::Draft;
use super::https::{meets, set};
use crate::corefile::{Directive, Error, Transport as Scheme};

/// The Corefile's word.
pub(super) const WORD: &str = "https3";

/// How it is written.
pub(super) const SYNTAX: &str = "\
https3 [{
    max_connections NUMBER
    max_streams NUMBER
}]";

/// What it does.
pub(super) const HELP: &str =
    "the most connections over HTTP/3 (200; 0 for as many as come), and queries of one at a time (100)";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    for line in directive.lines() {
        let limits = &mut draft.entry.limits;
        match line.word.text.as_str() {
            "max_connections" => {
                set(line, &mut limits.https3_connections, line.only_arg()?.number(0..=1_000_000)?)?;
            }
            "max_streams" => set(line, &mut limits.https3_streams, line.only_arg()?.number(0..=65_535)?)?,
            _ => {
                return Err(line.word.unknown("an option of `https3`", &["max_connections", "max_streams"]));
            }
        }
    }
    meets(directive, draft, Scheme::Https3);
    Ok(())
}
