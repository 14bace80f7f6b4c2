//! The step: down with another question, up with the client's.

use super::super::asked::Asked;
use super::super::step::{Context, Flow, Reply, Step};
use super::WORD;
use super::answer::{Undo, alias};
use super::rule::{Field, NoName, Rename, Rule, Subject};
use crate::wire::{Ede, MAX_NAME, Question, Rcode, Section, Sections, rtype};

/// The step.
pub(super) struct Rewrite {
    /// The lines, in the order of the file.
    pub(super) rules: Vec<Rule>,
}

/// A rule that was applied to a question.
#[derive(Debug)]
pub(super) struct Applied {
    /// Which.
    pub(super) rule: usize,
    /// What turns its new name back into its old one, wire form: from, to.
    pub(super) remap: Option<Remap>,
}

/// What became of a question; kept until its reply comes.
#[derive(Debug)]
pub(in crate::chain) struct Rewritten {
    /// How many questions it was asked on behalf of.
    depth: usize,
    /// The chain whose step wrote this.
    chain: usize,
    /// The question before.
    pub(super) question: Box<Question>,
    /// The rules that were applied, in the order of the file.
    pub(super) applied: Vec<Applied>,
    /// How many of them, from the last on, were looked at for aliases.
    followed: usize,
    /// The alias whose target is being looked up: its place in the answer and the new target.
    alias: Option<(usize, Vec<u8>)>,
    /// Whether an alias leads back to a name that is being looked up.
    loops: bool,
}

/// Whether anything more is to be done.
enum Then {
    /// The next rule is looked at.
    Ignored,
    /// The rule was applied.
    Done(Option<Remap>),
    /// What it makes is no name.
    Illegal,
}

/// From what to what names go on the way back.
type Remap = (Box<[u8]>, Box<[u8]>);

impl Rewrite {
    /// Makes the question in hand another one, as a name rule says.
    fn rename(asked: &mut Asked, rename: &Rename, auto: bool, before: &mut Option<Box<Question>>) -> Then {
        let old = &asked.question;
        let name = match rename.apply(&Subject::new(old.lower())) {
            Ok(name) => name,
            Err(NoName::Other) => return Then::Ignored,
            Err(NoName::Illegal) => return Then::Illegal,
        };
        let Ok(mut question) = Question::new(&name, old.qtype) else { return Then::Illegal };
        question.qclass = old.qclass;
        let remap = auto.then(|| (question.lower().into(), old.typed().into()));
        match question.lower() == old.lower() {
            // Names in the answer may be looked at: none of them may be a pointer into the question.
            true => asked.detach(),
            false => change(asked, question, before),
        }
        Then::Done(remap)
    }
}

/// Makes a question the one in hand and remembers the first one.
fn change(asked: &mut Asked, question: Question, before: &mut Option<Box<Question>>) {
    let old = asked.rewrite(question);
    before.get_or_insert(old);
}

impl Step for Rewrite {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let mut before: Option<Box<Question>> = None;
        let mut applied: Vec<Applied> = Vec::new();
        let mut unset: Vec<u16> = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let about = |names: &super::rule::Match, asked: &Asked| {
                names.matches(&Subject::new(asked.question.lower()))
            };
            let then = match &rule.field {
                Field::Name { rename, auto, .. } => Self::rename(asked, rename, *auto, &mut before),
                Field::Type { from, to } if asked.question.qtype == *from => {
                    let mut question = asked.question.clone();
                    question.qtype = *to;
                    change(asked, question, &mut before);
                    Then::Done(None)
                }
                Field::Class { from, to } if asked.question.qclass == *from => {
                    let mut question = asked.question.clone();
                    question.qclass = *to;
                    change(asked, question, &mut before);
                    Then::Done(None)
                }
                Field::Type { .. } | Field::Class { .. } => Then::Ignored,
                Field::Edns(edns) => match edns.apply(asked, &mut unset, context) {
                    true => Then::Done(None),
                    false => Then::Ignored,
                },
                Field::Ttl { names, .. } | Field::Rcode { names, .. } => match about(names, asked) {
                    true => Then::Done(None),
                    false => Then::Ignored,
                },
                Field::Cname(_) => Then::Done(None),
            };
            match then {
                Then::Ignored => continue,
                Then::Done(remap) => applied.push(Applied { rule: place, remap }),
                Then::Illegal => {
                    if let Some(before) = before {
                        asked.question = *before;
                    }
                    let why = "a rule of `rewrite` makes a name that is none of the name asked for";
                    return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(0, why)));
                }
            }
            if rule.stop {
                break;
            }
        }
        if !applied.is_empty() {
            let question = before.unwrap_or_else(|| Box::new(asked.question.clone()));
            let (depth, chain) = (asked.frames.len(), asked.chain);
            asked.rewritten.push(Rewritten {
                depth,
                chain,
                question,
                applied,
                followed: 0,
                alias: None,
                loops: false,
            });
        }
        Flow::Next
    }

    fn asks_more(&self) -> bool {
        true
    }

    fn follow(&self, asked: &mut Asked, reply: &Reply) -> Option<Box<Question>> {
        let (depth, chain) = (asked.frames.len(), asked.chain);
        let rewritten =
            asked.rewritten.last_mut().filter(|known| known.depth == depth && known.chain == chain)?;
        while rewritten.followed < rewritten.applied.len() {
            rewritten.followed += 1;
            let applied = rewritten.applied.get(rewritten.applied.len() - rewritten.followed)?;
            let Some(Field::Cname(rename)) = self.rules.get(applied.rule).map(|rule| &rule.field) else {
                continue;
            };
            if let Some((place, target)) = alias(&reply.sections, rename)
                && let Ok(question) = Question::new(&target, asked.question.qtype)
            {
                let mut under_way = asked.frames.iter().map(|frame| &frame.question);
                rewritten.loops = asked.question.lower() == question.lower()
                    || under_way.any(|known| known.lower() == question.lower());
                if rewritten.loops {
                    return None;
                }
                rewritten.alias = Some((place, target));
                return Some(Box::new(question));
            }
        }
        None
    }

    fn followed(&self, asked: &mut Asked, reply: &mut Reply, second: Option<(Reply, &Question)>) {
        let Some((place, target)) = asked.rewritten.last_mut().and_then(|known| known.alias.take()) else {
            return;
        };
        let mut sections = asked.draft();
        let records = reply.sections.records();
        // Of the old answer the aliases on the way to the one that changes are kept.
        for (index, record) in records.iter().enumerate().take(place + 1) {
            if record.section != Section::Answer || record.rtype != rtype::CNAME {
                continue;
            }
            copy(&mut sections, &reply.sections, (index, Section::Answer), &asked.question, |data| {
                if index == place { target.clone() } else { data.to_vec() }
            });
        }
        if let Some((second, question)) = second {
            let failed = !matches!(second.head.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
            if failed {
                // Half a chain is not an answer that may be believed or kept (rule K-137).
                asked.reclaim(sections);
                asked.reclaim(second.sections);
                *reply = Reply::code(Rcode::SERVFAIL).because(Ede::NO_AUTHORITY);
                return;
            }
            sections.append_answer(&second.sections, question);
            if second.sections.range(Section::Answer).is_empty() {
                // Who says how long there is nothing is who knows the new target.
                for index in second.sections.range(Section::Authority) {
                    let place = (index, Section::Authority);
                    copy(&mut sections, &second.sections, place, question, <[u8]>::to_vec);
                }
            }
            reply.head.truncated = second.head.truncated;
            reply.head.authentic &= second.head.authentic;
            asked.reclaim(second.sections);
        }
        let old = std::mem::replace(&mut reply.sections, sections);
        asked.reclaim(old);
    }

    fn puts_back(&self) -> bool {
        true
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        let (depth, chain) = (asked.frames.len(), asked.chain);
        let ours = |known: &mut Rewritten| known.depth == depth && known.chain == chain;
        let Some(rewritten) = asked.rewritten.pop_if(ours) else { return };
        let undone = Undo::new(&self.rules, &rewritten, &asked.question).names(&mut reply.sections);
        for applied in rewritten.applied.iter().rev() {
            match self.rules.get(applied.rule).map(|rule| &rule.field) {
                Some(Field::Ttl { least, most, .. }) => {
                    for record in reply.sections.records_mut() {
                        record.ttl = record.ttl.clamp(*least, *most);
                    }
                }
                Some(Field::Rcode { from, to, .. }) if reply.head.rcode == *from => reply.head.rcode = *to,
                Some(
                    Field::Rcode { .. }
                    | Field::Name { .. }
                    | Field::Type { .. }
                    | Field::Class { .. }
                    | Field::Edns(_)
                    | Field::Cname(_),
                )
                | None => {}
            }
        }
        asked.question = *rewritten.question;
        if undone.is_err() || rewritten.loops {
            let why = match rewritten.loops {
                true => "a rule of `rewrite` makes an alias that leads back to itself",
                false => "a rule of `rewrite` makes a name that is none of a name in the answer",
            };
            let failed = Reply::code(Rcode::SERVFAIL).because(Ede::new(0, why));
            let reply = std::mem::replace(reply, failed);
            asked.reclaim(reply.sections);
        }
    }

    fn other_classes(&self) -> bool {
        // Others are let pass, to be refused behind.
        self.rules.iter().any(|rule| matches!(rule.field, Field::Class { .. }))
    }

    fn needs_message(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.field, Field::Edns(_)))
    }
}

/// Copies the record at a place of another draft into a section, its data as `change` says.
fn copy(
    to: &mut Sections,
    from: &Sections,
    (index, section): (usize, Section),
    question: &Question,
    change: impl FnOnce(&[u8]) -> Vec<u8>,
) {
    let Some(record) = from.records().get(index) else { return };
    let mut owner = [0; MAX_NAME];
    let length = from.owner_name(record, question, &mut owner);
    let owner = to.store_name(owner.get(..length).unwrap_or_default());
    let data = change(from.rdata(record));
    to.push(section, owner, record.rtype, record.ttl, |rdata| rdata.bytes(&data));
}
