//! `root`: the folder of files that the block names without a leading slash.

use std::path::PathBuf;

use super::build::Draft;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "root";

/// How it is written.
pub(super) const SYNTAX: &str = "root PATH";

/// What it does.
pub(super) const HELP: &str = "the folder of the files that the block's words name";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    let path = directive.only_arg()?;
    draft.once(directive)?;
    let folder = PathBuf::from(&path.text);
    if !draft.parts.is_folder(&folder) {
        draft
            .warnings
            .push(format!("{}: `root {}`: there is no such folder yet", directive.word.at, path.text));
    }
    draft.root = Some(folder);
    Ok(())
}
