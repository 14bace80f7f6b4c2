//! `cancel`: how long a query may take (rule S-23).

use std::time::Duration;

use super::asked::{Asked, BUDGET};
use super::build::Draft;
use super::step::{Context, Flow, Step};
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "cancel";

/// How it is written.
pub(super) const SYNTAX: &str = "cancel [TIMEOUT]";

/// What it does.
pub(super) const HELP: &str = "answers a query that took so long with SERVFAIL; never later than after 4s";

/// The time unless the line says.
const TIMEOUT: Duration = Duration::from_millis(5001);

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    draft.once(directive)?;
    let mut timeout = TIMEOUT;
    if let Some(token) = directive.expect_args(0..=1)?.first() {
        timeout = token.duration()?;
        if timeout.is_zero() {
            return Err(token.error("no query can be answered in no time"));
        }
    }
    if timeout >= BUDGET {
        draft.warnings.push(format!(
            "{}: `cancel` changes nothing: every query is answered within {} s anyway",
            directive.word.at,
            BUDGET.as_secs()
        ));
    }
    draft.steps.push(Box::new(Cancel { timeout }));
    Ok(())
}

/// The step.
struct Cancel {
    /// How long a query may take.
    timeout: Duration,
}

impl Step for Cancel {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        // A question on behalf of another has the time of the client's own.
        asked.budget = asked.budget.min(self.timeout);
        Flow::Next
    }
}
