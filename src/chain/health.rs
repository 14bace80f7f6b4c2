//! `health`: an HTTP endpoint that says the process is alive, and the lame duck (rule S-12).

use std::time::Duration;

use super::build::Draft;
use super::plan::Health;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "health";

/// How it is written.
pub(super) const SYNTAX: &str = "health [ADDRESS:PORT] [{ lameduck DURATION }]";

/// What it does.
pub(super) const HELP: &str = "serves /health, and goes on answering for `lameduck` after SIGTERM";

/// Where it listens unless the line says.
const ADDRESS: &str = ":8080";

/// The longest lame duck: an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.health.is_some() {
        return Err(directive.error("stands twice in this block"));
    }
    let addr = http_address(directive, ADDRESS)?;
    let mut lameduck = Duration::ZERO;
    for line in directive.lines() {
        match line.word.text.as_str() {
            "lameduck" => {
                let arg = line.only_arg()?;
                lameduck = arg.duration()?;
                if lameduck > LONGEST {
                    return Err(arg.error("a lame duck of more than an hour would never end"));
                }
            }
            _ => return Err(line.word.unknown("an option of `health`", &["lameduck"])),
        }
    }
    draft.health = Some(Health { addr, lameduck });
    Ok(())
}

/// The one optional argument of a word with an HTTP endpoint: `[HOST]:PORT`.
pub(super) fn http_address(directive: &Directive, default: &str) -> Result<String, Error> {
    let Some(arg) = directive.expect_args(0..=1)?.first() else { return Ok(default.to_owned()) };
    let port = arg.text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(_) => Ok(arg.text.clone()),
        None => Err(arg
            .error(format!("`{}` is no address with a port", arg.text))
            .hint(format!("write `{default}`"))),
    }
}
