//! `metadata`: lets steps publish facts about a query, which `log` can print (rule K-250).

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "metadata";

/// How it is written.
pub(super) const SYNTAX: &str = "metadata [ZONES…]";

/// What it does.
pub(super) const HELP: &str =
    "makes labels such as {/kubernetes/service} known to `log`, for these zones or the block's";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    let zones = directive.zones_from(0)?;
    draft.metadata = if zones.is_empty() { draft.zones() } else { zones };
    Ok(())
}
