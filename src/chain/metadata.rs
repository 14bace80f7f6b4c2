//! `metadata`: lets steps publish facts about a query, which `log`, `rewrite` and `template` can use (rule K-250).

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "metadata";

/// How it is written.
pub(super) const SYNTAX: &str = "metadata [ZONES…]";

/// What it does.
pub(super) const HELP: &str = "makes labels such as {/kubernetes/service} known to other words, for names in these zones or the block's";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("stands twice in this block").hint("one line names all zones"));
    }
    let zones = directive.zones_from(0)?;
    draft.metadata = if zones.is_empty() { draft.zones() } else { zones };
    Ok(())
}
