//! The stanza's text (rule S-10).

use std::time::Duration;

use super::super::build::Draft;
use super::super::kubernetes::Fallthrough;
use super::step::HostsStep;
use super::table::{HostsSpec, address};
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "hosts";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
hosts [FILE [ZONES…]] {
    ADDRESS NAME…
    ttl SECONDS
    no_reverse
    reload DURATION
    fallthrough [ZONES…]
    fallthrough_unsupported
}";

/// What it does.
pub(in crate::chain) const HELP: &str = "answers names and addresses of a file like /etc/hosts";

/// The options, for hints.
const OPTIONS: &[&str] = &["ttl", "no_reverse", "reload", "fallthrough", "fallthrough_unsupported"];

/// The file unless the line names one.
const FILE: &str = "/etc/hosts";

/// TTL unless the stanza says. Unit: seconds.
const TTL: u32 = 3600;

/// How often the file is looked at unless the stanza says.
const RELOAD: Duration = Duration::from_secs(5);

/// Reads the stanza and adds its step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("stands twice in this block"));
    }
    let path = directive.args.first().map_or(FILE, |arg| arg.text.as_str());
    let mut zones = directive.zones_from(1)?;
    if zones.is_empty() {
        zones = draft.zones();
    }
    let mut spec = HostsSpec {
        path: draft.path(path),
        zones: zones.clone(),
        inline: String::new(),
        reverse: true,
        reload: RELOAD,
    };
    let mut ttl = TTL;
    let mut fallthrough = Fallthrough::None;
    let mut unsupported = None;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "ttl" => ttl = line.only_arg()?.number(1..=65_535)?,
            "no_reverse" => {
                line.expect_args(0..=0)?;
                spec.reverse = false;
            }
            "reload" => spec.reload = line.only_arg()?.duration()?,
            "fallthrough" => {
                fallthrough = match line.args.is_empty() {
                    true => Fallthrough::All,
                    false => Fallthrough::Zones(line.zones_from(0)?),
                };
            }
            "fallthrough_unsupported" => {
                line.expect_args(0..=0)?;
                unsupported = Some(line);
            }
            word if address(word).is_some() => {
                line.expect_args(1..=usize::MAX)?;
                spec.inline.push_str(word);
                for name in &line.args {
                    spec.inline.push(' ');
                    spec.inline.push_str(&name.text);
                }
                spec.inline.push('\n');
            }
            _ => return Err(line.word.unknown("an option of `hosts` or an address", OPTIONS)),
        }
    }
    if let Some(line) = unsupported
        && matches!(fallthrough, Fallthrough::None)
    {
        return Err(line.error("needs `fallthrough` beside it"));
    }
    let hosts = draft.parts.hosts(&spec);
    draft.steps.push(Box::new(HostsStep {
        zones,
        hosts,
        ttl,
        fallthrough,
        unsupported: unsupported.is_some(),
    }));
    Ok(())
}
