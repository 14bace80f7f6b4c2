//! The walk of a query: down the chain and up again, frame by frame.

use std::sync::Arc;

use super::asked::{Asked, Frame, MAX_FRAMES};
use super::plan::Plan;
use super::signal::Signal;
use super::step::{Answer, Ask, Context, Flow, Reply};
use crate::forward::Group;
use crate::time::Tick;
use crate::wire::{Question, Rcode, Sections};

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
        let flow = match (joined.take(), steps.get(asked.step), resumed.take()) {
            (Some(reply), ..) => Flow::Reply(reply),
            // The end of the chain: nobody answered (rule S-03).
            (None, None, _) => Flow::Reply(Reply { nobody: true, ..Reply::code(Rcode::SERVFAIL) }),
            (None, Some(step), None) => step.ask(asked, context),
            (None, Some(step), Some(answer)) => step.resume(asked, answer, context),
        };
        match flow {
            Flow::Next => asked.step += 1,
            Flow::Drop => return Walk::Drop,
            Flow::Wait(Ask::Signal { signal, until }) => return Walk::Wait(signal, until),
            Flow::Wait(Ask::Upstream { group, until }) => return Walk::Upstream(group, until),
            Flow::Wait(Ask::Question { question, held }) => {
                resumed = descend(plan, asked, question, held);
            }
            Flow::Reply(mut reply) => {
                if asked.frames.is_empty()
                    && answered
                    && let Some(&place) = chain.and_then(|chain| chain.places.get(asked.step))
                {
                    asked.answered_by = place;
                }
                let mut also = None;
                for place in (asked.entry..asked.step.min(steps.len())).rev() {
                    let Some(step) = steps.get(place) else { break };
                    also = step.also(asked, &reply).filter(|_| asked.frames.len() < MAX_FRAMES);
                    if also.is_some() {
                        asked.step = place;
                        break;
                    }
                    step.tell(asked, &mut reply, context);
                }
                if let Some(qtype) = also {
                    ask_behind(asked, qtype, reply);
                    continue;
                }
                let Some(frame) = asked.frames.pop() else { return Walk::Reply(reply) };
                let question = std::mem::replace(&mut asked.question, frame.question);
                asked.chain = frame.chain;
                asked.step = frame.step;
                asked.entry = frame.entry;
                if let Some(first) = frame.first {
                    let server = plan.listeners.get(asked.client.listener).map_or("", |known| &known.label);
                    let steps = plan.chains.get(asked.chain).map(|chain| chain.steps.as_slice());
                    joined = match steps.and_then(|steps| steps.get(asked.step)) {
                        Some(step) => Some(step.join(asked, first, reply, server)),
                        None => Some(first),
                    };
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

/// Makes `question` the one being answered, on top of the one in hand; an answer at once where that can't be.
fn descend(
    plan: &Plan,
    asked: &mut Asked,
    question: Box<Question>,
    held: Option<Sections>,
) -> Option<Answer> {
    if asked.frames.len() >= MAX_FRAMES {
        return Some(Answer::Nobody { held });
    }
    let listener = plan.listeners.get(asked.client.listener);
    let chain = listener.and_then(|listener| Some(listener.zones.get(listener.choose(&question)?)?.chain));
    let Some(chain) = chain else { return Some(Answer::Nobody { held }) };
    let question = std::mem::replace(&mut asked.question, *question);
    let (from, step, entry) = (asked.chain, asked.step, asked.entry);
    asked.frames.push(Frame { question, chain: from, step, entry, held, first: None });
    asked.chain = chain;
    asked.step = 0;
    asked.entry = 0;
    None
}

/// Makes the question in hand one for `qtype`, which is asked from behind the step in hand on; `first` waits for its reply.
fn ask_behind(asked: &mut Asked, qtype: u16, first: Reply) {
    let question = asked.question.clone();
    asked.question.qtype = qtype;
    let (chain, step, entry) = (asked.chain, asked.step, asked.entry);
    asked.frames.push(Frame { question, chain, step, entry, held: None, first: Some(first) });
    asked.step = step + 1;
    asked.entry = step + 1;
}
