//! `reload`: reads a changed Corefile while serving (rule S-15).

use std::time::Duration;

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "reload";

/// How it is written.
pub(super) const SYNTAX: &str = "reload [INTERVAL [JITTER]]";

/// What it does.
pub(super) const HELP: &str =
    "reads the Corefile again when it changed; a bad one is told and the old one goes on";

/// How often the file is looked at, and by how much that varies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reload {
    /// How often.
    pub interval: Duration,
    /// Spread evenly around the interval, so that replicas do not reload together.
    pub jitter: Duration,
}

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    if draft.reload.is_some() {
        return Err(directive.error("stands twice in this block"));
    }
    let args = directive.expect_args(0..=2)?;
    let mut reload = Reload { interval: Duration::from_secs(30), jitter: Duration::from_secs(15) };
    if let Some(arg) = args.first() {
        reload.interval = arg.duration()?;
        if reload.interval < Duration::from_secs(2) {
            return Err(arg.error("the interval is at least 2s"));
        }
    }
    match args.get(1) {
        Some(arg) => {
            reload.jitter = arg.duration()?;
            if reload.jitter < Duration::from_secs(1) && !reload.jitter.is_zero() {
                return Err(arg.error("the jitter is 0 or at least 1s"));
            }
        }
        None => reload.jitter = reload.jitter.min(reload.interval / 2),
    }
    reload.jitter = reload.jitter.min(reload.interval / 2);
    draft.reload = Some(reload);
    Ok(())
}
