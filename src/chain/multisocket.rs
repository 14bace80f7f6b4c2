//! `multisocket`: read for the sake of Corefiles that have it; there is a socket a worker already.

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "multisocket";

/// How it is written.
pub(super) const SYNTAX: &str = "multisocket [NUMBER]";

/// What it does.
pub(super) const HELP: &str = "changes nothing: every worker has sockets of its own already";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    if let Some(number) = directive.expect_args(0..=1)?.first() {
        number.number::<u16>(1..=1024)?;
    }
    draft.once(directive)?;
    draft.warnings.push(format!(
        "{}: `multisocket` changes nothing: there is a worker with sockets of its own for each processor already",
        directive.word.at
    ));
    Ok(())
}
