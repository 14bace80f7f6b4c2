//! The walk of a query: down the chain and up again, frame by frame.

use std::sync::Arc;

use super::asked::{Asked, Frame, MAX_FRAMES};
use super::autopath::Memo;
use super::plan::Plan;
use super::signal::Signal;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use super::transfer::{Records, Whole};
use super::words;
use crate::forward::Group;
use crate::time::Tick;
use crate::wire::{CLASS_IN, Ede, Question, Rcode, Sections};

/// How a walk of the chain ended.
pub(super) enum Walk {
    /// With a reply.
    Reply(Reply),
    /// With silence.
    Drop,
    /// Not before the signal.
    Wait(Arc<Signal>, Tick),
    /// Not before upstreams have answered.
    Upstream(Arc<Group>, Tick),
    /// With a whole zone.
    Transfer(Box<dyn Records>),
}

/// Walks down the chain and up again, frame by frame, until there is a reply to the client's own question.
pub(super) fn walk(
    plan: &Plan,
    asked: &mut Asked,
    mut resumed: Option<Answer>,
    context: &mut Context<'_>,
) -> Walk {
    let mut joined: Option<Reply> = None;
    loop {
        let chain = plan.chains.get(asked.chain);
        let steps = chain.map(|chain| chain.steps.as_slice()).unwrap_or_default();
        let answered = joined.is_none();
        // Moving a reply costs more than looking whether there is one.
        let flow = if answered {
            descent(steps, asked, &mut resumed, context)
        } else {
            joined.take().map_or(Flow::Next, Flow::Reply)
        };
        match flow {
            Flow::Next => asked.step += 1,
            Flow::Drop => return Walk::Drop,
            Flow::Transfer => match whole(steps, asked) {
                Whole::Records(records) => return Walk::Transfer(records),
                Whole::NotReady => joined = Some(Reply::code(Rcode::SERVFAIL).because(Ede::NOT_READY)),
                Whole::NotMine => joined = Some(Reply::code(Rcode::REFUSED)),
            },
            Flow::Wait(Ask::Signal { signal, until }) => return Walk::Wait(signal, until),
            Flow::Wait(Ask::Upstream { group, until }) => return Walk::Upstream(group, until),
            Flow::Wait(Ask::Question { question, held }) => {
                resumed = descend(plan, asked, question, held);
            }
            Flow::Wait(Ask::Behind { question, memo }) => {
                let qtype = question.qtype;
                ask_behind(asked, *question, qtype, None, Some(memo));
            }
            Flow::Reply(mut reply) => {
                if asked.frames.is_empty()
                    && answered
                    && let Some(&place) = chain.and_then(|chain| chain.places.get(asked.step))
                {
                    asked.answered_by = place;
                }
                let mut also = None;
                let mut follow = None;
                for place in (asked.entry..asked.step.min(steps.len())).rev() {
                    let Some(step) = steps.get(place) else { break };
                    if chain.and_then(|chain| chain.asks_more.get(place)) == Some(&true) {
                        also = step.also(asked, &reply).filter(|_| asked.frames.len() < MAX_FRAMES);
                        follow = if also.is_none() { step.follow(asked, &reply) } else { None };
                        if also.is_some() || follow.is_some() {
                            asked.step = place;
                            break;
                        }
                    }
                    step.tell(asked, &mut reply, context);
                }
                if let Some(qtype) = also {
                    ask_behind(asked, asked.question.clone(), qtype, Some(reply), None);
                    continue;
                }
                if let Some(question) = follow {
                    if let Some(mut reply) = ask_for(plan, asked, question, reply) {
                        if let Some(step) = steps.get(asked.step) {
                            step.followed(asked, &mut reply, None);
                        }
                        asked.step += 1;
                        joined = Some(reply);
                    }
                    continue;
                }
                let Some(frame) = asked.frames.pop() else { return Walk::Reply(reply) };
                let question = std::mem::replace(&mut asked.question, frame.question);
                asked.query.header.flags = frame.flags;
                asked.chain = frame.chain;
                asked.step = frame.step;
                asked.entry = frame.entry;
                if let Some(mut first) = frame.first {
                    if frame.follows {
                        let steps = plan.chains.get(asked.chain).map(|chain| chain.steps.as_slice());
                        if let Some(step) = steps.and_then(|steps| steps.get(asked.step)) {
                            let second = (!reply.nobody).then_some((reply, &question));
                            step.followed(asked, &mut first, second);
                        }
                        // The step itself is looked at again.
                        asked.step += 1;
                        joined = Some(first);
                        continue;
                    }
                    let server = plan.listeners.get(asked.client.listener).map_or("", |known| &known.label);
                    let steps = plan.chains.get(asked.chain).map(|chain| chain.steps.as_slice());
                    joined = match steps.and_then(|steps| steps.get(asked.step)) {
                        Some(step) => Some(step.join(asked, first, reply, server)),
                        None => Some(first),
                    };
                    continue;
                }
                if let Some(memo) = frame.memo {
                    resumed = Some(Answer::Behind { reply, memo });
                    continue;
                }
                let question = Box::new(question);
                resumed = Some(match reply.nobody {
                    true => Answer::Nobody { held: frame.held },
                    false => Answer::Reply { reply, question, held: frame.held },
                });
            }
        }
    }
}

/// Asks the steps of a chain from the one in hand on, the first of them with `resumed` if that is there; what the first one says
/// that does not let the query pass.
fn descent(
    steps: &[Box<dyn Step>],
    asked: &mut Asked,
    resumed: &mut Option<Answer>,
    context: &mut Context<'_>,
) -> Flow {
    loop {
        let Some(step) = steps.get(asked.step) else {
            *resumed = None;
            return Flow::Reply(match asked.question.qclass {
                // The end of the chain: nobody answered (rule S-03).
                CLASS_IN => Reply { nobody: true, ..Reply::code(ending(steps)) },
                _ => Reply::code(Rcode::REFUSED),
            });
        };
        let flow = if resumed.is_some() {
            resumed.take().map_or(Flow::Next, |answer| step.resume(asked, answer, context))
        } else if asked.question.qclass != CLASS_IN && !step.other_classes() && !step.guards() {
            // Whoever knows only IN is not asked about other classes, and nobody else is (rule K-013).
            Flow::Next
        } else {
            step.ask(asked, context)
        };
        match flow {
            Flow::Next => asked.step += 1,
            said => return said,
        }
    }
}

/// What a chain says that ended without an answer: the last step knows (rule S-03).
fn ending(steps: &[Box<dyn Step>]) -> Rcode {
    steps.last().map_or(Rcode::SERVFAIL, |step| step.ending())
}

/// The zone that is asked for, from the first step that has it; that step counts as the one that answers.
fn whole(steps: &[Box<dyn Step>], asked: &mut Asked) -> Whole {
    for step in steps {
        match step.whole(&asked.question, asked.query.known) {
            Whole::NotMine => {}
            found => {
                asked.answered_by = words::place(step.word());
                return found;
            }
        }
    }
    Whole::NotMine
}

/// Makes `question` the one being answered, on top of the one in hand; an answer at once where that can't be.
fn descend(
    plan: &Plan,
    asked: &mut Asked,
    question: Box<Question>,
    held: Option<Sections>,
) -> Option<Answer> {
    let Some(chain) = chain_of(plan, asked, &question) else { return Some(Answer::Nobody { held }) };
    let question = std::mem::replace(&mut asked.question, *question);
    let (from, step, entry, flags) = (asked.chain, asked.step, asked.entry, asked.query.header.flags);
    asked.frames.push(Frame {
        question,
        chain: from,
        step,
        entry,
        flags,
        held,
        first: None,
        follows: false,
        memo: None,
    });
    asked.chain = chain;
    asked.step = 0;
    asked.entry = 0;
    None
}

/// The chain of a question that is asked on behalf of the one in hand; `None` where there is none, or it is nested too deep.
fn chain_of(plan: &Plan, asked: &Asked, question: &Question) -> Option<usize> {
    if asked.frames.len() >= MAX_FRAMES {
        return None;
    }
    plan.choose(asked, question).map(|(_, chain)| chain)
}

/// Makes `question` the one being answered, while `first` waits for its reply at the step in hand.
///
/// `first` comes back where there is no chain for it.
fn ask_for(plan: &Plan, asked: &mut Asked, question: Box<Question>, first: Reply) -> Option<Reply> {
    let Some(to) = chain_of(plan, asked, &question) else { return Some(first) };
    let question = std::mem::replace(&mut asked.question, *question);
    let (chain, step, entry, flags) = (asked.chain, asked.step, asked.entry, asked.query.header.flags);
    asked.frames.push(Frame {
        question,
        chain,
        step,
        entry,
        flags,
        held: None,
        first: Some(first),
        follows: true,
        memo: None,
    });
    asked.chain = to;
    asked.step = 0;
    asked.entry = 0;
    None
}

/// Makes `question`, for `qtype`, the one in hand, which is asked from behind the step in hand on; `first` or `memo` wait for
/// its reply.
fn ask_behind(
    asked: &mut Asked,
    question: Question,
    qtype: u16,
    first: Option<Reply>,
    memo: Option<Box<Memo>>,
) {
    let question = std::mem::replace(&mut asked.question, question);
    asked.question.qtype = qtype;
    let (chain, step, entry, flags) = (asked.chain, asked.step, asked.entry, asked.query.header.flags);
    asked.frames.push(Frame { question, chain, step, entry, flags, held: None, first, follows: false, memo });
    asked.step = step + 1;
    asked.entry = step + 1;
}
