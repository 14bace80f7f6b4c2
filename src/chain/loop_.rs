//! `loop`: finds upstreams that send back what they are asked, and puts them aside (rule S-14).

use std::sync::Arc;

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error, Zone};
use crate::forward::{Loops, Suspect};
use crate::wire::{Question, Rcode, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "loop";

/// How it is written.
pub(super) const SYNTAX: &str = "loop";

/// What it does.
pub(super) const HELP: &str = "puts upstreams aside that send questions back to this server";

/// The most zones of a `forward` line below which its upstreams are tried: a CIDR may stand for hundreds.
const ZONES: usize = 4;

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("stands twice in this block"));
    }
    let loops = draft.parts.loops();
    draft.loops = Some(loops.clone());
    draft.steps.push(Box::new(Loop { loops }));
    Ok(())
}

/// What the steps of a block with this word ask upstreams for, each zone the narrower of line and block.
pub(super) fn suspects(steps: &[Box<dyn Step>], zones: &[Zone]) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (from, group) in steps.iter().filter_map(|step| step.asks()) {
        let pairs = from.iter().flat_map(|from| zones.iter().map(move |zone| (from, zone)));
        let narrower = pairs.filter_map(|(from, zone)| match (within(from, zone), within(zone, from)) {
            (true, _) => Some(from),
            (false, true) => Some(zone),
            (false, false) => None,
        });
        suspects.extend(
            narrower.take(ZONES).map(|zone| Suspect { zone: zone.wire().into(), group: group.clone() }),
        );
    }
    suspects
}

/// Whether a zone is another or lies in it.
fn within(zone: &Zone, other: &Zone) -> bool {
    Question::new(zone.wire(), rtype::SOA)
        .is_ok_and(|zone| zone.below(other.wire(), other.labels()).is_some())
}

/// The step.
struct Loop {
    /// What is known of loops.
    loops: Arc<Loops>,
}

impl Step for Loop {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        if asked.frames.is_empty() && !asked.only_looked && self.loops.seen(&asked.question, context.now) {
            // A name that does not exist: whoever sent it here asks nobody else, and the circle ends at once.
            return Flow::Reply(Reply::code(Rcode::NXDOMAIN));
        }
        Flow::Next
    }
}
