//! `forward`: asks upstreams for the names of a zone (rules F-01 to F-07).

mod families;
mod parse;
mod private;
#[cfg(test)]
mod tests;
mod to;

use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::cache::CACHED_ERROR;
use super::dnstap::Tap;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use crate::corefile::Zone;
use crate::forward::{Group, Response};
use crate::wire::{Ede, Question, Rcode, Section};

use families::Families;
pub(super) use parse::{HELP, SYNTAX, parse};
use private::Denied;

/// How long one family is awaited before it is looked whether the other one's answer does for it.
const HURRY: Duration = Duration::from_secs(1);

/// The Corefile's word.
pub(super) const WORD: &str = "forward";

/// Which names a line is about.
struct Scope {
    /// The zones whose names are asked for.
    from: Vec<Zone>,
    /// Zones inside of them whose names are not.
    except: Vec<Zone>,
}

impl Scope {
    /// Whether a question is about one of these names. The name of a zone of FROM itself is always, as in CoreDNS.
    fn covers(&self, question: &Question) -> bool {
        let below = |zone: &Zone| question.below(zone.wire(), zone.labels());
        let within = self.from.iter().filter_map(below).min();
        within.is_some_and(|labels| labels == 0 || !self.except.iter().any(|zone| below(zone).is_some()))
    }
}

/// A line as built.
struct Forward {
    /// Which names it is about.
    scope: Scope,
    /// Which names the lines behind it are about.
    behind: Vec<Scope>,
    /// Whom to ask, and how.
    group: Arc<Group>,
    /// Codes after which a line behind is asked (`next`).
    next: Vec<Rcode>,
    /// Whether a line behind is asked when there is no data (`next_on_nodata`).
    next_on_nodata: bool,
    /// Whether private addresses are taken out of answers (`private_addresses deny`).
    deny_private: bool,
    /// Who is told what upstreams are asked and say (`dnstap`).
    taps: Option<Arc<[Tap]>>,
    /// Which families of addresses are of use (`families`).
    families: Families,
}

impl Forward {
    /// A reply of upstreams becomes ours, unless it is one after which a line behind is to be asked, and there is one for
    /// this name.
    fn answer(&self, asked: &mut Asked, response: &Response) -> Flow {
        let nodata = response.rcode == Rcode::NOERROR
            && !response.records.records().iter().any(|record| record.section == Section::Answer);
        let on = self.next.contains(&response.rcode) || nodata && self.next_on_nodata;
        if on && self.behind.iter().any(|scope| scope.covers(&asked.question)) {
            return Flow::Next;
        }
        let mut sections = asked.draft();
        sections.load(&response.records);
        let denied = if self.deny_private { private::deny(&mut sections) } else { Denied::Nothing };
        asked.upstream.clone_from(&response.from);
        if denied == Denied::All {
            let ede = Ede::new(15, "the answer gives private addresses only");
            return Flow::Reply(Reply::new(Rcode::NOERROR, sections).because(ede));
        }
        let mut reply = Reply::new(response.rcode, sections);
        reply.head.authoritative = response.authoritative;
        reply.head.truncated = response.truncated;
        // Whoever keeps the reply keeps this; the pipeline hides it from clients that don't understand it.
        reply.head.authentic = response.authentic && denied == Denied::Nothing;
        Flow::Reply(reply)
    }
}

impl Step for Forward {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        if !self.scope.covers(&asked.question) {
            return Flow::Next;
        }
        if let Some(flow) = self.families.instead(asked) {
            return flow;
        }
        if asked.at_hand {
            return Flow::Reply(Reply::code(Rcode::SERVFAIL));
        }
        if std::mem::take(&mut asked.failed_before) {
            let failed = || Flow::Reply(Reply::code(Rcode::SERVFAIL).because(CACHED_ERROR));
            return self.families.rescue(asked).unwrap_or_else(failed);
        }
        asked.hurried = false;
        let until = match asked.patience {
            Some(patience) => patience,
            None if self.families.rescues(asked) => context.now.plus(HURRY).min(asked.deadline()),
            None => asked.deadline(),
        };
        Flow::Wait(Ask::Upstream { group: self.group.clone(), until })
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        if let (Some(taps), Answer::Upstream(Ok(response))) = (&self.taps, &answer) {
            taps.iter().for_each(|tap| tap.forwarded(asked, response, context));
        }
        match answer {
            Answer::Upstream(Ok(response)) if response.rcode == Rcode::SERVFAIL => {
                self.families.rescue(asked).unwrap_or_else(|| self.answer(asked, &response))
            }
            Answer::Upstream(Ok(response)) => self.answer(asked, &response),
            Answer::Upstream(Err(failure)) => self
                .families
                .rescue(asked)
                .unwrap_or_else(|| Flow::Reply(Reply::code(Rcode::SERVFAIL).because(failure.ede))),
            Answer::Reply { reply, .. } => {
                let flow = self.families.answered(asked, reply);
                match flow {
                    // The other family is of no help: this one may still come.
                    Flow::Reply(reply)
                        if reply.head.rcode == Rcode::SERVFAIL
                            && std::mem::take(&mut asked.hurried)
                            && context.now < asked.deadline() =>
                    {
                        asked.reclaim(reply.sections);
                        Flow::Wait(Ask::Upstream { group: self.group.clone(), until: asked.deadline() })
                    }
                    other => other,
                }
            }
            // The other family can't be asked for, so deep in questions on behalf of others is this one.
            Answer::Nobody { .. } => {
                asked.at_hand = false;
                Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(22, "too many aliases on the way")))
            }
            Answer::TimedOut | Answer::Signalled | Answer::Behind { .. } => {
                // Where a step before this one is impatient too, its time counts.
                asked.hurried = asked.patience.is_none() && context.now < asked.deadline();
                let ede = Ede::new(22, "no upstream answered in time");
                let failed = || Flow::Reply(Reply::code(Rcode::SERVFAIL).because(ede));
                self.families.rescue(asked).unwrap_or_else(failed)
            }
        }
    }

    fn forwards(&self) -> bool {
        true
    }

    fn about(&self) -> Vec<Zone> {
        self.scope.from.clone()
    }

    fn rescues(&self) -> bool {
        !matches!(self.families, Families::Any)
    }

    fn asks(&self) -> Option<(&[Zone], &Arc<Group>)> {
        Some((&self.scope.from, &self.group))
    }

    fn metadata(&self, asked: &Asked, label: &str) -> Option<String> {
        let upstream = asked.upstream.as_ref().filter(|_| label == "forward/upstream")?;
        Some(upstream.spec().addr.to_string())
    }
}
