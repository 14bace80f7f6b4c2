//! `any`: the least that can be said to a question for everything (rule S-08, RFC 8482 §4.2).

use super::acl::Gate;
use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{Owner, Rcode, Section, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "any";

/// How it is written.
pub(super) const SYNTAX: &str = "any";

/// What it does.
pub(super) const HELP: &str = "answers questions of type ANY with one small record (RFC 8482)";

/// TTL of that record. Unit: seconds.
const TTL: u32 = 8482;

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    let gate = Gate::of(draft)?;
    draft.steps.push(Box::new(Any { gate }));
    Ok(())
}

/// The step.
struct Any {
    /// Who may ask.
    gate: Gate,
}

impl Step for Any {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        if asked.question.qtype != rtype::ANY {
            return Flow::Next;
        }
        if let Some(flow) = self.gate.turn_away(asked, context) {
            return flow;
        }
        let mut sections = asked.draft();
        sections.push(Section::Answer, Owner::Question, rtype::HINFO, TTL, |rdata| {
            rdata.label(b"ANY obsoleted");
            rdata.label(b"See RFC 8482");
        });
        Flow::Reply(Reply::new(Rcode::NOERROR, sections))
    }
}
