//! `errors`: writes a line for each query that failed on our side, or one for many that are alike (rule S-17).

use std::time::Duration;

use self::consolidate::{Level, Pattern, say};
use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::time::Tick;
use crate::wire::{Ede, Rcode, show_name};

mod consolidate;
#[cfg(test)]
mod tests;

/// The Corefile's word.
pub(super) const WORD: &str = "errors";

/// How it is written.
pub(super) const SYNTAX: &str =
    "errors [stdout] [{ consolidate DURATION REGEXP [warning|error|info|debug] [show_first]; stacktrace }]";

/// What it does.
pub(super) const HELP: &str = "writes a line for each query that no step answered or that failed";

/// The longest rest between two looks at what is due.
const REST: Duration = Duration::from_secs(1);

/// The shortest one.
const SHORT_REST: Duration = Duration::from_millis(20);

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.steps.iter().any(|step| step.word() == WORD) {
        return Err(directive.error("stands twice in this block"));
    }
    if let Some(arg) = directive.expect_args(0..=1)?.first()
        && arg.text != "stdout"
    {
        return Err(arg
            .error(format!("`{}` is no place to write errors to", arg.text))
            .hint("write `errors`"));
    }
    let mut patterns = Vec::new();
    for line in directive.lines() {
        match line.word.text.as_str() {
            "consolidate" => patterns.push(Pattern::parse(line)?),
            "stacktrace" => {
                line.expect_args(0..=0)?;
                line.no_block()?;
                draft.stacktrace = true;
            }
            _ => return Err(line.word.unknown("an option of `errors`", &["consolidate", "stacktrace"])),
        }
    }
    draft.steps.push(Box::new(Errors { patterns }));
    Ok(())
}

/// The step.
struct Errors {
    /// What is said once for many errors, in the order of the file: the first that matches counts.
    patterns: Vec<Pattern>,
}

impl Errors {
    /// Writes an error down, or counts it.
    fn note(&self, now: Tick, rcode: Rcode, name: &[u8], qtype: u16, why: &str) {
        let level = match self.patterns.iter().find(|pattern| pattern.matches(why)) {
            Some(pattern) if pattern.take(now) => pattern.level,
            Some(_) => return,
            None => Level::Error,
        };
        say(level, format_args!("{} {} {}: {why}", rcode.0, show_name(name), super::log::type_text(qtype)));
    }
}

impl Step for Errors {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, context: &mut Context<'_>) {
        if reply.head.rcode != Rcode::SERVFAIL {
            return;
        }
        let why = match &reply.head.ede {
            // Who asked on behalf of the client knows what that means: an alias to a name outside stays an alias (K-144).
            _ if reply.nobody && !asked.frames.is_empty() => return,
            _ if reply.nobody => "no step answered",
            // Said once by the source, not for every query that comes before the first list is complete.
            Some(ede) if *ede == Ede::NOT_READY => return,
            Some(ede) => &ede.text,
            None => "the query failed",
        };
        let question = &asked.question;
        self.note(context.now, reply.head.rcode, question.typed(), question.qtype, why);
    }

    fn rhythm(&self) -> Option<Duration> {
        let shortest = self.patterns.iter().map(|pattern| pattern.period).min()?;
        Some(shortest.clamp(SHORT_REST, REST))
    }

    fn tend(&self, now: Tick) {
        self.patterns.iter().for_each(|pattern| pattern.tend(now));
    }

    fn close(&self) {
        self.patterns.iter().for_each(Pattern::close);
    }
}
