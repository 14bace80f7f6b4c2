//! `errors`: writes a line for each query that failed on our side (rule S-17).

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{Ede, Rcode, show_name};

/// The Corefile's word.
pub(super) const WORD: &str = "errors";

/// How it is written.
pub(super) const SYNTAX: &str = "errors";

/// What it does.
pub(super) const HELP: &str = "writes a line for each query that no step answered or that failed";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    if let Some(line) = directive.lines().first() {
        return Err(match line.word.text.as_str() {
            option @ ("consolidate" | "stacktrace") => line
                .word
                .error(format!("`{option}` is not served by this version yet"))
                .hint("remove the line: errors are written one by one"),
            _ => line.word.unknown("an option of `errors`", &["consolidate", "stacktrace"]),
        });
    }
    draft.steps.push(Box::new(Errors));
    Ok(())
}

/// The step.
struct Errors;

impl Step for Errors {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        if reply.head.rcode != Rcode::SERVFAIL {
            return;
        }
        let why = match &reply.head.ede {
            _ if reply.nobody => "no step answered",
            // Said once by the source, not for every query that comes before the first list is complete.
            Some(ede) if *ede == Ede::NOT_READY => return,
            Some(ede) => &ede.text,
            None => "the query failed",
        };
        let question = &asked.question;
        tracing::error!(
            target: "plugin/errors",
            "{} {} {}: {why}",
            reply.head.rcode.0,
            show_name(question.typed()),
            super::log::type_text(question.qtype),
        );
    }
}
