//! `secondary`: zones that are transferred from primaries.

use std::sync::Arc;

use super::authority::{Authority, Fixed, Zones};
use super::build::Draft;
use super::file::fallthrough;
use super::kubernetes::Fallthrough;
use super::transfer::address;
use crate::corefile::{Directive, Error};
use crate::transfer::ReplicaSpec;

/// The Corefile's word.
pub(super) const WORD: &str = "secondary";

/// How it is written.
pub(super) const SYNTAX: &str = "\
secondary [ZONES…] {
    transfer from ADDRESS…
    fallthrough [ZONES…]
}";

/// What it does.
pub(super) const HELP: &str = "answers from zones that are transferred from primaries";

/// The options, for hints.
const OPTIONS: &[&str] = &["transfer", "fallthrough"];

/// The port of primaries.
const PORT: u16 = 53;

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
    draft.follows = true;
    draft.steps.push(Box::new(Authority { word: WORD, zones }));
    Ok(())
}

/// Reads one stanza.
fn read(stanza: &Directive, draft: &mut Draft<'_>, zones: &mut Vec<Fixed>) -> Result<(), Error> {
    let mut origins = stanza.zones_from(0)?;
    if origins.is_empty() {
        origins = draft.zones();
    }
    let mut primaries = Vec::new();
    let mut through = Fallthrough::None;
    for line in stanza.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "transfer" => {
                let (from, addresses) = match line.expect_args(2..=usize::MAX)?.split_first() {
                    Some((from, addresses)) => (from, addresses),
                    None => return Err(line.error("needs primaries")),
                };
                if from.text != "from" {
                    return Err(from.unknown("`from`", &["from"]));
                }
                for token in addresses {
                    primaries.push(address(token, PORT)?);
                }
            }
            "fallthrough" => through = fallthrough(line)?,
            "catalog" => {
                return Err(line
                    .word
                    .error("catalog zones are not followed")
                    .hint("list the member zones behind `secondary`"));
            }
            _ => return Err(line.word.unknown("an option of `secondary`", OPTIONS)),
        }
    }
    if primaries.is_empty() {
        return Err(stanza.error("names no primary").hint("write `transfer from ADDRESS` inside it"));
    }
    let fallthrough = Arc::new(through);
    for zone in origins {
        let spec = ReplicaSpec { origin: zone.wire().into(), primaries: primaries.clone() };
        let replica = draft.parts.replica(&spec);
        let held = replica.held().clone();
        zones.push(Fixed { zone, held, replica: Some(replica), fallthrough: fallthrough.clone() });
    }
    Ok(())
}
