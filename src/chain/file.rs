//! `file`: zones from a zone file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::authority::{Authority, Fixed, Zones};
use super::build::Draft;
use super::kubernetes::Fallthrough;
use crate::corefile::{Directive, Error, Zone};

/// The Corefile's word.
pub(super) const WORD: &str = "file";

/// How it is written.
pub(super) const SYNTAX: &str = "\
file DBFILE [ZONES…] {
    reload DURATION
    reload_by_mtime
    fallthrough [ZONES…]
}";

/// What it does.
pub(super) const HELP: &str = "answers from a zone file";

/// The options, for hints.
const OPTIONS: &[&str] = &["reload", "reload_by_mtime", "fallthrough", "upstream"];

/// How often a file is looked at unless the stanza says.
pub(super) const RELOAD: Duration = Duration::from_secs(60);

/// What makes two stanzas share a zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneFile {
    /// The file.
    pub path: PathBuf,
    /// The zone.
    pub origin: Zone,
    /// How often the file is looked at; zero for only once.
    pub reload: Duration,
    /// Whether a changed file counts although its serial is the same.
    pub by_mtime: bool,
}

/// What `upstream` has become.
pub(super) const UPSTREAM: &str =
    "`upstream` does nothing: names outside are asked for like any question; remove the line";

/// Where a name error goes on, from a line `fallthrough [ZONES…]`.
pub(super) fn fallthrough(line: &Directive) -> Result<Fallthrough, Error> {
    Ok(match line.args.is_empty() {
        true => Fallthrough::All,
        false => Fallthrough::Zones(line.zones_from(0)?),
    })
}

/// Reads all stanzas of the block at the first of them, since the longest zone of all counts, and adds the step.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut zones = Vec::new();
    for stanza in draft.block.all(WORD) {
        read(stanza, draft, &mut zones).map_err(|error| error.within(stanza))?;
    }
    let zones =
        Zones::fixed(zones).map_err(|zone| directive.error(format!("has {zone} twice in this block")))?;
    draft.steps.push(Box::new(Authority { word: WORD, zones }));
    Ok(())
}

/// Reads one stanza.
fn read(stanza: &Directive, draft: &mut Draft<'_>, zones: &mut Vec<Fixed>) -> Result<(), Error> {
    let Some(path) = stanza.expect_args(1..=usize::MAX)?.first() else {
        return Err(stanza.error("needs a zone file"));
    };
    let mut origins = stanza.zones_from(1)?;
    if origins.is_empty() {
        origins = draft.zones();
    }
    let (mut reload, mut by_mtime, mut through) = (RELOAD, false, Fallthrough::None);
    for line in stanza.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "reload" => reload = line.only_arg()?.duration()?,
            "reload_by_mtime" => {
                line.expect_args(0..=0)?;
                by_mtime = true;
            }
            "fallthrough" => through = fallthrough(line)?,
            "upstream" => draft.warnings.push(format!("{}: {UPSTREAM}", line.word.at)),
            "transfer" => {
                return Err(line
                    .word
                    .error("`transfer` is a word of its own")
                    .hint("write `transfer { to … }` beside `file`, not inside it"));
            }
            _ => return Err(line.word.unknown("an option of `file`", OPTIONS)),
        }
    }
    let fallthrough = Arc::new(through);
    for zone in origins {
        let spec = ZoneFile { path: draft.path(&path.text), origin: zone.clone(), reload, by_mtime };
        let held = draft.parts.zone_file(&spec).map_err(|why| path.error(why))?;
        zones.push(Fixed { zone, held, replica: None, fallthrough: fallthrough.clone() });
    }
    Ok(())
}
