//! `forward`: asks upstreams for the names of a zone (rules F-01 to F-07).

mod parse;

use std::sync::Arc;

use super::asked::Asked;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use crate::corefile::Zone;
use crate::forward::{Group, Response};
use crate::wire::{Ede, Rcode, Section};

pub(super) use parse::{HELP, SYNTAX, parse};

/// The Corefile's word.
pub(super) const WORD: &str = "forward";

/// A line as built.
pub(super) struct Forward {
    /// The zones whose names are asked for.
    from: Vec<Zone>,
    /// Zones inside of them whose names are not.
    except: Vec<Zone>,
    /// Whom to ask, and how.
    group: Arc<Group>,
    /// Codes after which the next line is asked (`next`); empty for the last line.
    next: Vec<Rcode>,
    /// Whether the next line is asked when there is no data (`next_on_nodata`); false for the last line.
    next_on_nodata: bool,
}

impl Forward {
    /// Whether the name of the question in hand is asked for here.
    fn covers(&self, asked: &Asked) -> bool {
        let within = |zones: &[Zone]| {
            zones.iter().any(|zone| asked.question.below(zone.wire(), zone.labels()).is_some())
        };
        within(&self.from) && !within(&self.except)
    }

    /// A reply of upstreams becomes ours.
    fn answer(&self, asked: &mut Asked, response: &Response) -> Flow {
        let nodata = response.rcode == Rcode::NOERROR
            && !response.records.records().iter().any(|record| record.section == Section::Answer);
        if self.next.contains(&response.rcode) || nodata && self.next_on_nodata {
            return Flow::Next;
        }
        let mut sections = asked.draft();
        sections.load(&response.records);
        let mut reply = Reply::new(response.rcode, sections);
        reply.head.authoritative = response.authoritative;
        reply.head.truncated = response.truncated;
        // Their verdict goes only to those who said that they understand it (RFC 6840 §5.8).
        let understood =
            asked.query.header.authentic_data() || asked.query.edns.is_some_and(|edns| edns.dnssec_ok);
        reply.head.authentic = response.authentic && understood;
        asked.upstream.clone_from(&response.from);
        Flow::Reply(reply)
    }
}

impl Step for Forward {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        if !self.covers(asked) {
            return Flow::Next;
        }
        let until = asked.patience.unwrap_or_else(|| asked.deadline());
        Flow::Wait(Ask::Upstream { group: self.group.clone(), until })
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, _: &mut Context<'_>) -> Flow {
        match answer {
            Answer::Upstream(Ok(response)) => self.answer(asked, &response),
            Answer::Upstream(Err(failure)) => Flow::Reply(Reply::code(Rcode::SERVFAIL).because(failure.ede)),
            Answer::TimedOut | Answer::Signalled | Answer::Nobody { .. } | Answer::Reply { .. } => {
                let ede = Ede::new(22, "no upstream answered in time");
                Flow::Reply(Reply::code(Rcode::SERVFAIL).because(ede))
            }
        }
    }

    fn forwards(&self) -> bool {
        true
    }

    fn asks(&self) -> Option<(&[Zone], &Arc<Group>)> {
        Some((&self.from, &self.group))
    }

    fn metadata(&self, asked: &Asked, label: &str) -> Option<String> {
        let upstream = asked.upstream.as_ref().filter(|_| label == "forward/upstream")?;
        Some(upstream.spec().addr.to_string())
    }
}
