//! `https`: the bounds of DNS over HTTPS.

use super::build::Draft;
use crate::corefile::{Directive, Error, Transport as Scheme};

/// The Corefile's word.
pub(super) const WORD: &str = "https";

/// How it is written.
pub(super) const SYNTAX: &str = "\
https [{
    max_connections NUMBER
}]";

/// What it does.
pub(super) const HELP: &str = "the most connections over HTTPS: 200; 0 for as many as come";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    for line in directive.lines() {
        match line.word.text.as_str() {
            "max_connections" => {
                set(
                    line,
                    &mut draft.entry.limits.https_connections,
                    line.only_arg()?.number(0..=1_000_000)?,
                )?;
            }
            _ => return Err(line.word.unknown("an option of `https`", &["max_connections"])),
        }
    }
    meets(directive, draft, Scheme::Https);
    Ok(())
}

/// Sets a bound that may be set once.
pub(super) fn set<T>(line: &Directive, bound: &mut Option<T>, value: T) -> Result<(), Error> {
    line.no_block()?;
    match bound.replace(value) {
        None => Ok(()),
        Some(_) => Err(line.word.error(format!("`{}` is set in this block already", line.word.text))),
    }
}

/// Says so where no key of the block is of that kind.
pub(super) fn meets(directive: &Directive, draft: &mut Draft<'_>, scheme: Scheme) {
    if draft.block.keys.iter().all(|key| key.transport != scheme) {
        draft.warnings.push(format!(
            "{}: `{}` changes nothing here: no key of the block begins with `{}://`",
            directive.word.at,
            directive.word.text,
            scheme.scheme()
        ));
    }
}
