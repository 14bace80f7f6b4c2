//! `header`: flags of queries and replies as the Corefile wants them (rule S-08).

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::Flags;

/// The Corefile's word.
pub(super) const WORD: &str = "header";

/// How it is written.
pub(super) const SYNTAX: &str = "\
header {
    query|response set|clear aa|ra|rd…
}";

/// What it does.
pub(super) const HELP: &str = "sets and clears flags of queries and replies";

/// The flags.
const FLAGS: &[(&str, u16)] = &[("aa", Flags::AA), ("ra", Flags::RA), ("rd", Flags::RD)];

/// Reads the stanza.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    draft.once(directive)?;
    let mut step = Header { query: Flags::default(), response: Flags::default() };
    for line in directive.lines() {
        line.no_block()?;
        let query = match line.word.text.to_ascii_lowercase().as_str() {
            "query" => true,
            "response" => false,
            _ => return Err(line.word.unknown("what `header` changes", &["query", "response"])),
        };
        let args = line.expect_args(2..=usize::MAX)?;
        let Some((action, flags)) = args.split_first() else { continue };
        let on = match action.text.to_ascii_lowercase().as_str() {
            "set" => true,
            "clear" => false,
            _ => return Err(action.unknown("what `header` does", &["set", "clear"])),
        };
        for flag in flags {
            let known = FLAGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&flag.text));
            let Some((name, bit)) = known else {
                return Err(flag.unknown("a flag that `header` changes", &["aa", "ra", "rd"]));
            };
            if query && *bit != Flags::RD {
                draft
                    .warnings
                    .push(format!("{}: `{name}` means nothing in a query: this changes nothing", flag.at));
            }
            match query {
                true => step.query.put(*bit, on),
                false => step.response.put(*bit, on),
            }
        }
    }
    if directive.lines().is_empty() {
        return Err(directive
            .error("needs a line that says what it changes")
            .hint("for example `response set ra`"));
    }
    draft.steps.push(Box::new(step));
    Ok(())
}

/// The step.
struct Header {
    /// What becomes of a query.
    query: Flags,
    /// What becomes of a reply.
    response: Flags,
}

impl Step for Header {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let flags = &mut asked.query.header.flags;
        *flags = self.query.apply(*flags, Flags::RD);
        Flow::Next
    }

    fn tell(&self, _: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        // A chain that ended without an answer says so in a bare reply (rule S-03).
        if !reply.nobody {
            reply.head.forced.add(self.response);
        }
    }
}
