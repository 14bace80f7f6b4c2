//! The way back: names, TTLs and codes of a reply in the client's terms.

use super::rule::{Answer, Field, NoName, Rename, Rule, Subject};
use super::step::{Applied, Rewritten};
use crate::wire::{MAX_NAME, Owner, Question, Record, Sections, name_length, rtype};

/// A name of a reply is none after it was rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Illegal;

/// What becomes of names, in the order in which it is done: the last rule first.
pub(super) struct Undo<'a> {
    /// The rules of the block.
    rules: &'a [Rule],
    /// Which of them were applied, in the order of the file.
    applied: &'a [Applied],
    /// The question before any of them.
    before: &'a Question,
    /// The question as rewritten.
    now: &'a Question,
}

impl<'a> Undo<'a> {
    /// What undoes `rewritten` while `now` is the question in hand.
    pub(super) fn new(rules: &'a [Rule], rewritten: &'a Rewritten, now: &'a Question) -> Self {
        Self { rules, applied: &rewritten.applied, before: &rewritten.question, now }
    }

    /// Puts all names of a reply back.
    ///
    /// Cost: nothing where neither the name was rewritten nor names in answers are; else an allocation for each name.
    /// Errors: a rule makes a name of a record that is none.
    pub(super) fn names(&self, sections: &mut Sections) -> Result<(), Illegal> {
        let renames = self.applied.iter().any(|applied| {
            applied.remap.is_some()
                || matches!(self.rule(applied), Some(Field::Name { answers, .. }) if !answers.is_empty())
        });
        if !renames && self.before.lower() == self.now.lower() {
            return Ok(());
        }
        // Owners first: some of them are names in data, and data is what changes next.
        for index in 0..sections.records().len() {
            let Some(record) = sections.records().get(index) else { break };
            let mut name = [0; MAX_NAME];
            let length = sections.owner_name(record, self.now, &mut name);
            let name = self.rename(name.get(..length).unwrap_or_default(), Part::Owner)?;
            let owner = match name.eq_ignore_ascii_case(self.before.lower()) {
                // In the letters of the client (rule K-002).
                true => Owner::Question,
                false => sections.store_name(&name),
            };
            if let Some(record) = sections.records_mut().get_mut(index) {
                record.owner = owner;
            }
        }
        for index in 0..sections.records().len() {
            let Some(record) = sections.records().get(index) else { break };
            let (rtype, rdata) = (record.rtype, sections.rdata(record));
            let Some(start) = name_start(rtype, rdata) else { continue };
            let length = name_length(rdata.get(start..).unwrap_or_default());
            let name = rdata.get(start..start + length).unwrap_or_default();
            let renamed = self.rename(name, Part::Value)?;
            if renamed == name {
                continue;
            }
            let front = rdata.get(..start).unwrap_or_default().to_vec();
            let behind = rdata.get(start + length..).unwrap_or_default().to_vec();
            sections.replace(index, rtype, |data| {
                data.bytes(&front);
                data.bytes(&renamed);
                data.bytes(&behind);
            });
        }
        Ok(())
    }

    /// What a rule that was applied does.
    fn rule(&self, applied: &Applied) -> Option<&'a Field> {
        self.rules.get(applied.rule).map(|rule| &rule.field)
    }

    /// What a name becomes.
    fn rename(&self, name: &[u8], part: Part) -> Result<Vec<u8>, Illegal> {
        let mut name = name.to_vec();
        for applied in self.applied.iter().rev() {
            if let Some(Field::Name { answers, .. }) = self.rule(applied) {
                for answer in answers.iter().rev() {
                    match (answer, part) {
                        (Answer::Name(rename), Part::Owner) | (Answer::Value(rename), Part::Value) => {
                            name = by_rule(rename, name)?;
                        }
                        (Answer::Name(_), Part::Value) | (Answer::Value(_), Part::Owner) => {}
                    }
                }
            }
            if let Some((from, to)) = &applied.remap
                && let Some(front) = below(&name, from)
            {
                name.truncate(front);
                name.extend_from_slice(to);
                if name.len() > MAX_NAME {
                    return Err(Illegal);
                }
            }
        }
        Ok(name)
    }
}

/// Where a name stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Before a record.
    Owner,
    /// In its data.
    Value,
}

/// What a rule makes of a name.
fn by_rule(rename: &Rename, name: Vec<u8>) -> Result<Vec<u8>, Illegal> {
    match rename.apply(&Subject::new(&name)) {
        Ok(renamed) => Ok(renamed),
        Err(NoName::Other) => Ok(name),
        Err(NoName::Illegal) => Err(Illegal),
    }
}

/// How many bytes stand before `zone` in a name that is it or lies below it, at the border of a label.
fn below(name: &[u8], zone: &[u8]) -> Option<usize> {
    let front = name.len().checked_sub(zone.len())?;
    if !name.get(front..)?.eq_ignore_ascii_case(zone) {
        return None;
    }
    let mut at = 0;
    while at < front {
        at += 1 + usize::from(*name.get(at)?);
    }
    (at == front).then_some(front)
}

/// Where the name that `answer value` is about stands in the data of a type; `None` for types without one.
///
/// Source: coredns `plugin/rewrite/reverter.go`.
fn name_start(rtype: u16, rdata: &[u8]) -> Option<usize> {
    match rtype {
        rtype::CNAME | rtype::DNAME | rtype::NS | rtype::PTR | rtype::SOA => Some(0),
        rtype::MX => Some(2),
        rtype::SRV => Some(6),
        rtype::NAPTR => {
            // Order and preference, then three strings.
            let mut at = 4;
            for _ in 0..3 {
                at += 1 + usize::from(*rdata.get(at)?);
            }
            Some(at)
        }
        _ => None,
    }
}

/// The first alias of an answer whose target a rule is about: its place, and the new target.
pub(super) fn alias(sections: &Sections, rename: &Rename) -> Option<(usize, Vec<u8>)> {
    let answers = sections.range(crate::wire::Section::Answer);
    sections.records().get(answers).unwrap_or_default().iter().enumerate().find_map(|(index, record)| {
        let is_alias = |record: &Record| record.rtype == rtype::CNAME;
        let target = is_alias(record).then(|| sections.rdata(record))?;
        Some((index, rename.apply(&Subject::new(&target.to_ascii_lowercase())).ok()?))
    })
}
