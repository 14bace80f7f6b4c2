//! `minimal`: positive answers without authority and additional records (rule S-08).

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{Rcode, Section, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "minimal";

/// How it is written.
pub(super) const SYNTAX: &str = "minimal";

/// What it does.
pub(super) const HELP: &str = "leaves authority and additional records out of positive answers";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    draft.steps.push(Box::new(Minimal));
    Ok(())
}

/// The step.
struct Minimal;

impl Step for Minimal {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, _: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        if reply.head.rcode != Rcode::NOERROR {
            return;
        }
        // Without an answer an SOA says that there is no data, and NS records say who else to ask: both are needed.
        let records = reply.sections.records();
        let answered = records.iter().any(|record| record.section == Section::Answer);
        let refers = records.iter().any(|record| matches!(record.rtype, rtype::SOA | rtype::NS));
        if answered || !refers {
            reply.sections.retain(|record| record.section == Section::Answer);
        }
    }
}
