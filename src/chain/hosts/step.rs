//! The step: answers from the table, or lets go (rule S-10).

use std::sync::Arc;

use super::super::asked::Asked;
use super::super::kubernetes::Fallthrough;
use super::super::step::{Context, Flow, Reply, Step};
use super::parse::WORD;
use super::table::Hosts;
use crate::corefile::Zone;
use crate::wire::{MAX_MESSAGE, Owner, Question, Rcode, Reverse, Section, Sections, reverse_address, rtype};

/// The step.
pub(super) struct HostsStep {
    /// The zones that it answers for; PTR is answered everywhere.
    pub(super) zones: Vec<Zone>,
    /// The names.
    pub(super) hosts: Arc<Hosts>,
    /// TTL of the records. Unit: seconds.
    pub(super) ttl: u32,
    /// Where names that are not there go on.
    pub(super) fallthrough: Fallthrough,
    /// Whether other types of names that are there go on too (`fallthrough_unsupported`).
    pub(super) unsupported: bool,
}

impl HostsStep {
    /// Drafts the records of the question; says what the name is.
    fn look(&self, question: &Question, sections: &mut Sections) -> Name {
        self.hosts.with(|table| {
            if question.qtype == rtype::PTR {
                let Some(Reverse::Whole(ip)) = reverse_address(question) else { return Name::Missing };
                let mut size = 0;
                for name in table.names_of(ip) {
                    // What no message could hold need not be drafted: thousands of names may share 0.0.0.0.
                    size += name.len() + 12;
                    if size > MAX_MESSAGE {
                        break;
                    }
                    sections.push(Section::Answer, Owner::Question, rtype::PTR, self.ttl, |rdata| {
                        rdata.bytes(name);
                    });
                }
                return if size == 0 { Name::Missing } else { Name::Here };
            }
            let found = table.find(question);
            match question.qtype {
                rtype::A => found.v4().iter().for_each(|ip| {
                    sections.push_address(Section::Answer, Owner::Question, self.ttl, ip);
                }),
                rtype::AAAA => found.v6().iter().for_each(|ip| {
                    sections.push_address(Section::Answer, Owner::Question, self.ttl, ip);
                }),
                _ if found.is_empty() => return Name::Missing,
                _ => return Name::OtherType,
            }
            if found.is_empty() { Name::Missing } else { Name::Here }
        })
    }
}

/// What a name is.
enum Name {
    /// It is there; records of the type asked for were drafted if it has any.
    Here,
    /// It is there, and the type is one that hosts don't have.
    OtherType,
    /// It is not there.
    Missing,
}

impl Step for HostsStep {
    fn about(&self) -> Vec<Zone> {
        self.zones.clone()
    }

    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let reverse = asked.question.qtype == rtype::PTR;
        let question = &asked.question;
        if !reverse && !self.zones.iter().any(|zone| question.below(zone.wire(), zone.labels()).is_some()) {
            return Flow::Next;
        }
        let mut sections = asked.draft();
        let name = self.look(&asked.question, &mut sections);
        let question = &asked.question;
        let goes_on = match name {
            Name::Here => false,
            Name::OtherType => self.unsupported && self.fallthrough.takes(question),
            // Others may know the name of an address whatever is written here.
            Name::Missing => reverse || self.fallthrough.takes(question),
        };
        if goes_on {
            asked.reclaim(sections);
            return Flow::Next;
        }
        match name {
            Name::Here | Name::OtherType => Flow::Reply(Reply::new(Rcode::NOERROR, sections).authoritative()),
            // There is no SOA to deny a name with.
            Name::Missing => Flow::Reply(Reply::new(Rcode::SERVFAIL, sections)),
        }
    }
}
