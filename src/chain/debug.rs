//! `debug`: a panic ends the process, so that it is seen (rule S-07).

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "debug";

/// How it is written.
pub(super) const SYNTAX: &str = "debug";

/// What it does.
pub(super) const HELP: &str = "lets a panic end the process instead of one query";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    draft.debug = true;
    Ok(())
}
