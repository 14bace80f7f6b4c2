//! `ready`: an HTTP endpoint that says whether the server can answer (rule S-13).

use super::build::Draft;
use super::health::http_address;
use super::plan::Ready;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "ready";

/// How it is written.
pub(super) const SYNTAX: &str = "ready [ADDRESS:PORT] [{ monitor until-ready|continuously }]";

/// What it does.
pub(super) const HELP: &str = "serves /ready: 200 once every word can answer, else 503 and their names";

/// Where it listens unless the line says.
const ADDRESS: &str = ":8181";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.ready.is_some() {
        return Err(directive.error("stands twice in this block"));
    }
    let addr = http_address(directive, ADDRESS)?;
    let mut continuously = false;
    for line in directive.lines() {
        match line.word.text.as_str() {
            "monitor" => {
                let arg = line.only_arg()?;
                continuously = match arg.text.as_str() {
                    "until-ready" => false,
                    "continuously" => true,
                    _ => return Err(arg.unknown("a way to monitor", &["until-ready", "continuously"])),
                };
            }
            _ => return Err(line.word.unknown("an option of `ready`", &["monitor"])),
        }
    }
    draft.ready = Some(Ready { addr, continuously });
    Ok(())
}
