//! ExternalName Services (SPEC F).

use super::grammar::{self, Below, Name};
use super::{Found, Lookup};
use crate::chain::asked::Asked;
use crate::chain::step::{Flow, Held, Reply};
use crate::store::Spec;
use crate::wire::{Ede, Owner, Question, Rcode, Section, Sections, rtype};

/// Joins what was drafted, an alias, with the reply to the question for its target (K-131, K-137, K-143).
pub(in crate::chain) fn join_target(
    asked: &mut Asked,
    reply: Reply,
    question: &Question,
    held: Held,
) -> Flow {
    let mut sections = held.unwrap_or_default();
    let rcode = reply.head.rcode;
    if rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        // The target could not be resolved: not an answer that may be believed or kept (K-137).
        asked.reclaim(sections);
        return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::NO_AUTHORITY));
    }
    sections.append_answer(&reply.sections, question);
    let mut answered = Reply::new(Rcode::NOERROR, sections).authoritative();
    answered.head.truncated = reply.head.truncated;
    asked.reclaim(reply.sections);
    Flow::Reply(answered)
}

/// The most links of an alias chain inside the zone (K-133): ten and the last.
const LINKS: usize = 11;

impl Lookup<'_> {
    /// Answers the name of an ExternalName Service whose target is `target` (wire form).
    pub(super) fn external(&mut self, target: &[u8], sections: &mut Sections) -> Found {
        match self.qtype {
            rtype::CNAME => {
                self.alias(self.owner, target, sections);
                Found::Here
            }
            rtype::A | rtype::AAAA => self.chase(target, sections),
            // NODATA: the alias itself is given only to those who ask for it or for addresses (K-139, K-141).
            _ => Found::Here,
        }
    }

    /// Drafts one CNAME; returns its id.
    fn alias(&self, owner: Owner, target: &[u8], sections: &mut Sections) -> u16 {
        sections.push(Section::Answer, owner, rtype::CNAME, self.ttl, |rdata| rdata.bytes(target))
    }

    /// Follows an alias: inside the zone at once (K-132 to K-135), outside through a question of its own (K-131).
    fn chase(&mut self, target: &[u8], sections: &mut Sections) -> Found {
        let mut target: Vec<u8> = target.to_vec();
        let mut owner = self.owner;
        let mut seen: Vec<Vec<u8>> = vec![self.question.lower().to_vec()];
        for _ in 0..LINKS {
            let Ok(question) = Question::new(&target, self.qtype) else {
                sections.clear(false);
                return Found::Here;
            };
            // The own name, a name below it, or a name met before: a loop, which has no addresses (K-134).
            let own = self.question.lower();
            if question.lower().ends_with(own) && question.below(own, self.question.labels()).is_some()
                || seen.iter().any(|known| known == question.lower())
            {
                sections.clear(false);
                return Found::Here;
            }
            let id = self.alias(owner, &target, sections);
            let zone = self.zone.clone();
            let Some(left) = question.below(zone.wire(), zone.labels()) else {
                return Found::Outside(Box::new(question));
            };
            seen.push(question.lower().to_vec());
            owner = Owner::Target(id);
            if let Some(next) = self.external_target(&question, left) {
                target = next;
                continue;
            }
            // The last link: whatever records the name inside the zone has.
            let before = sections.records().len();
            let mut inner = Lookup {
                options: self.options,
                question: &question,
                left,
                zone: self.zone,
                qtype: self.qtype,
                owner,
                run: &[],
                limit: self.limit,
                rng: &mut *self.rng,
                forms: self.forms,
                ttl: self.ttl,
            };
            let found = inner.forward(grammar::read(&question, left, self.forms), sections);
            let has_data = matches!(found, Found::Here) && sections.records().len() > before;
            if !has_data {
                // An alias to a name without addresses here is NODATA and is not shown (K-132, K-135).
                sections.clear(false);
            }
            return Found::Here;
        }
        sections.clear(false);
        Found::Here
    }

    /// The target of the ExternalName Service that `question` names, if it names one that is exposed.
    fn external_target(&self, question: &Question, left: usize) -> Option<Vec<u8>> {
        let Name::Service { run, below: Below::Itself } = grammar::read(question, left, self.forms) else {
            return None;
        };
        let service =
            self.options.store.service(run).filter(|service| self.options.exposes(service.namespace()))?;
        match service.spec() {
            Spec::External(target) => Some(target.to_vec()),
            Spec::Orphan | Spec::Cluster { .. } | Spec::Headless | Spec::ExternalInvalid => None,
        }
    }
}
