//! The step: the first stanza that fits answers.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use regex::bytes::Regex;

use super::super::asked::Asked;
use super::super::expression::{Facts, Part, Test, Value};
use super::super::kubernetes::Fallthrough;
use super::super::step::{Answer, Ask, Context, Flow, Held, Reply, Step};
use super::counts::{Counted, TemplateCounts};
use super::go::{Data, Groups, Template};
use super::parse::WORD;
use crate::corefile::Zone;
use crate::wire::{
    CLASS_IN, Ede, NameText, Owner, Question, Rcode, Section, Sections, TextRecord, class_mnemonic,
    record_from_text, rtype, type_mnemonic,
};

/// ANY as a class.
const CLASS_ANY: u16 = 255;

/// The longest reason that goes to a client. Unit: characters.
const REASON: usize = 120;

/// A record of a stanza.
#[derive(Debug)]
pub(super) enum Line {
    /// The same for every question.
    Fixed(TextRecord),
    /// Made of the question.
    Made(Template),
}

/// A stanza.
#[derive(Debug)]
pub(super) struct Rule {
    /// The class that it is about; ANY for all.
    pub(super) class: u16,
    /// The type that it is about; ANY for all.
    pub(super) rtype: u16,
    /// The zones that it is about, the longest first.
    pub(super) zones: Vec<Zone>,
    /// What names must match, one of them, with their texts; none for all names.
    pub(super) matches: Vec<(Regex, String)>,
    /// Variables, each made of what it may name: those before it.
    pub(super) variables: Vec<Part>,
    /// What must be true besides.
    pub(super) tests: Vec<Test>,
    /// Records of the answer.
    pub(super) answer: Vec<Line>,
    /// Records of the authority.
    pub(super) authority: Vec<Line>,
    /// Additional records.
    pub(super) additional: Vec<Line>,
    /// The code.
    pub(super) rcode: Rcode,
    /// The extended error.
    pub(super) ede: Option<Ede>,
    /// Where names that match nothing go on.
    pub(super) fallthrough: Fallthrough,
}

/// The step.
pub(super) struct Templates {
    /// The stanzas, in the order of the file.
    pub(super) rules: Vec<Rule>,
    /// Where it is counted.
    pub(super) counts: Arc<TemplateCounts>,
}

/// How a stanza and a question go together.
enum Fit<'r> {
    /// The stanza is about others.
    Elsewhere,
    /// It is about this zone, class and type, but no expression matches, or a condition is not met.
    Unmatched,
    /// A variable or condition has no value for this query.
    Failed,
    /// It answers: the zone, the expression that matched, if there is any, and the values of the variables.
    Fits(&'r Zone, Option<&'r (Regex, String)>, Vec<Value>),
}

/// The records of a reply.
struct Made {
    /// Those of the answer.
    answer: Vec<TextRecord>,
    /// Those of the authority.
    authority: Vec<TextRecord>,
    /// Additional ones.
    additional: Vec<TextRecord>,
}

impl Rule {
    /// How it goes together with the question in hand. Cost: no allocation but what an expression's search and `var` and
    /// `expr` take.
    fn fit(&self, asked: &Asked, context: &Context<'_>, name: &OnceCell<NameText>) -> Fit<'_> {
        let question = &asked.question;
        let zone = self.zones.iter().find(|zone| question.below(zone.wire(), zone.labels()).is_some());
        let Some(zone) = zone else { return Fit::Elsewhere };
        let same = |own: u16, asked: u16, any: u16| own == any || asked == any || own == asked;
        if !same(self.class, question.qclass, CLASS_ANY) || !same(self.rtype, question.qtype, rtype::ANY) {
            return Fit::Elsewhere;
        }
        let mut found = None;
        if !self.matches.is_empty() {
            let name = text_of(question, name);
            found = self.matches.iter().find(|(regex, _)| regex.is_match(name.as_bytes()));
            if found.is_none() {
                return Fit::Unmatched;
            }
        }
        if self.variables.is_empty() && self.tests.is_empty() {
            return Fit::Fits(zone, found, Vec::new());
        }
        self.judged(zone, found, text_of(question, name), (asked, context))
    }

    /// The same for what matches, by variables and conditions.
    fn judged<'r>(
        &'r self,
        zone: &'r Zone,
        found: Option<&'r (Regex, String)>,
        name: &str,
        (asked, context): (&Asked, &Context<'_>),
    ) -> Fit<'r> {
        let plan = context.plan;
        let listener = plan.and_then(|plan| plan.listeners.get(asked.client.listener));
        let chain = plan.and_then(|plan| plan.chains.get(asked.chain));
        let (Some(listener), Some(chain)) = (listener, chain) else { return Fit::Failed };
        let groups = captured(found, name).1;
        let group = |wanted: &str| groups.get(wanted).unwrap_or_default().to_owned();
        let facts = Facts { groups: Some(&group), ..Facts::of(asked, &asked.question, listener, chain) };
        let mut values = Vec::with_capacity(self.variables.len());
        for variable in &self.variables {
            let value = variable.value(&Facts { variables: &values, ..facts });
            let Some(value) = value else { return Fit::Failed };
            values.push(value);
        }
        for test in &self.tests {
            match test.holds(&Facts { variables: &values, ..facts }) {
                Some(true) => {}
                Some(false) => return Fit::Unmatched,
                None => return Fit::Failed,
            }
        }
        Fit::Fits(zone, found, values)
    }
}

impl Templates {
    /// The first stanza that has to do with a question, with what fits; `None` where none has.
    fn find(
        &self,
        asked: &Asked,
        context: &Context<'_>,
        name: &OnceCell<NameText>,
    ) -> Option<(&Rule, Fit<'_>)> {
        self.rules.iter().find_map(|rule| match rule.fit(asked, context, name) {
            Fit::Elsewhere => None,
            Fit::Unmatched if rule.fallthrough.takes(&asked.question) => None,
            fit => Some((rule, fit)),
        })
    }

    /// Makes all records of a reply.
    ///
    /// Errors: what could not be made, in words; it is counted.
    fn make(
        &self,
        rule: &Rule,
        (zone, found, variables): (&Zone, Option<&(Regex, String)>, &[Value]),
        (asked, context): (&Asked, &Context<'_>),
        name: &str,
        first: bool,
    ) -> Result<Made, String> {
        let question = &asked.question;
        let typed = NameText::new(question.typed());
        let class = if question.qclass == CLASS_ANY { rule.class } else { question.qclass };
        let kind = if question.qtype == rtype::ANY { rule.rtype } else { question.qtype };
        let meta = |label: &str| context.metadata(asked, label);
        let (matches, groups) = captured(found, name);
        let data = Data {
            zone: zone.text(),
            name,
            regex: found.map_or(".*", |(_, text)| text),
            matches,
            groups,
            variables,
            class: class_mnemonic(class).unwrap_or_default(),
            rtype: type_mnemonic(kind).unwrap_or_default(),
            remote: asked.client.addr.ip().to_canonical().to_string(),
            typed: typed.as_str(),
            qtype: question.qtype,
            qclass: question.qclass,
            header: asked.query.header,
            meta: &meta,
        };
        let view = context.view(asked);
        let labels = [context.server(asked), data.zone, view, data.class, data.rtype];
        let counted = !asked.only_looked;
        if first && counted {
            self.counts.count(Counted::Match, &labels);
        }
        if rule.rcode == Rcode::SERVFAIL {
            return Err("the Corefile says so".to_owned());
        }
        let all = |lines: &[Line], section: &str| -> Result<Vec<TextRecord>, String> {
            lines.iter().map(|line| self.record(line, &data, counted.then_some(&labels), section)).collect()
        };
        Ok(Made {
            answer: all(&rule.answer, "answer")?,
            additional: all(&rule.additional, "additional")?,
            authority: all(&rule.authority, "authority")?,
        })
    }

    /// Makes one record; failures are counted by `labels`, where there are any.
    fn record(
        &self,
        line: &Line,
        data: &Data<'_>,
        labels: Option<&[&str; 5]>,
        section: &str,
    ) -> Result<TextRecord, String> {
        let template = match line {
            Line::Fixed(record) => return Ok(record.clone()),
            Line::Made(template) => template,
        };
        let failed = |what: Counted, why: &dyn std::fmt::Display| {
            if let Some(labels) = labels {
                let mut all = labels.to_vec();
                all.extend([section, template.source()]);
                self.counts.count(what, &all);
            }
            format!("a template of the {section} makes no record: {why}")
        };
        let text = template.run(data).map_err(|fault| failed(Counted::TemplateFailure, &fault))?;
        record_from_text(&text).map_err(|fault| failed(Counted::RecordFailure, &fault))
    }

    /// Goes on behind the alias with this target, or from the start: asks for the next target, or makes the reply.
    fn go_on(
        rule: &Rule,
        made: &Made,
        mut sections: Sections,
        behind: Option<&Question>,
        (asked, truncated): (&Asked, bool),
    ) -> Flow {
        if matches!(asked.question.qtype, rtype::A | rtype::AAAA) {
            let own =
                |target: &[u8]| made.answer.iter().any(|record| record.owner.eq_ignore_ascii_case(target));
            let mut targets = made
                .answer
                .iter()
                .filter(|record| record.rtype == rtype::CNAME && !own(&record.rdata))
                .filter_map(|record| Question::new(&record.rdata, asked.question.qtype).ok());
            if let Some(before) = behind {
                targets.find(|target| target.lower() == before.lower());
            }
            if let Some(question) = targets.next() {
                return Flow::Wait(Ask::Question { question: Box::new(question), held: Some(sections) });
            }
        }
        finish(made, &mut sections, asked);
        let mut reply = Reply::new(rule.rcode, sections).authoritative();
        reply.head.ede.clone_from(&rule.ede);
        reply.head.truncated = truncated;
        Flow::Reply(reply)
    }

    /// Makes the records of the question in hand and does something with them; `first` says whether it is the first time.
    fn answer(
        &self,
        asked: &mut Asked,
        context: &Context<'_>,
        first: bool,
        then: impl FnOnce(&Rule, &Made, &mut Asked) -> Flow,
    ) -> Flow {
        let name = OnceCell::new();
        let (rule, zone, found, variables) = match self.find(asked, context, &name) {
            None => return Flow::Next,
            Some((_, Fit::Failed)) => {
                let why = "a `var` or `expr` of a template has no value for this query";
                return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(0, why)));
            }
            Some((_, Fit::Elsewhere | Fit::Unmatched)) => {
                let why = "no `match` of a template fits this name, and it has no `fallthrough`";
                return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(0, why)));
            }
            Some((rule, Fit::Fits(zone, found, variables))) => (rule, zone, found, variables),
        };
        let text = text_of(&asked.question, &name);
        match self.make(rule, (zone, found, &variables), (asked, context), text, first) {
            Ok(made) => then(rule, &made, asked),
            Err(why) => {
                let why: String = why.chars().take(REASON).collect();
                Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(0, why)))
            }
        }
    }
}

/// The texts of a match in order, and its groups by name and number; without an expression the name is all of it.
fn captured<'q>(found: Option<&'q (Regex, String)>, name: &'q str) -> (Vec<&'q str>, Groups<'q>) {
    let captures = found.and_then(|(regex, _)| Some((regex, regex.captures(name.as_bytes())?)));
    let Some((regex, captures)) = captures else {
        return (vec![name], Groups(vec![(Cow::Borrowed("0"), name)]));
    };
    let text = |index: usize| {
        let range = captures.get(index).map_or(0..0, |group| group.range());
        name.get(range).unwrap_or_default()
    };
    let numbered = (0..captures.len()).map(|index| (Cow::Owned(index.to_string()), text(index)));
    let mut groups: Vec<(Cow<'q, str>, &'q str)> = numbered.collect();
    for (index, name) in regex.capture_names().enumerate() {
        groups.extend(name.map(|name| (Cow::Borrowed(name), text(index))));
    }
    ((0..captures.len()).map(text).collect(), Groups(groups))
}

/// The text of a question's name in lower case, made when it is first needed.
fn text_of<'n>(question: &Question, name: &'n OnceCell<NameText>) -> &'n str {
    name.get_or_init(|| NameText::new(question.lower())).as_str()
}

/// Adds what stands behind the answer.
fn finish(made: &Made, sections: &mut Sections, asked: &Asked) {
    push(sections, Section::Authority, &made.authority, asked);
    push(sections, Section::Additional, &made.additional, asked);
}

/// Adds records to a section.
fn push(sections: &mut Sections, section: Section, records: &[TextRecord], asked: &Asked) {
    for record in records {
        let owner = match record.owner.eq_ignore_ascii_case(asked.question.lower()) {
            // In the letters of the client (rule K-002).
            true => Owner::Question,
            false => sections.store_name(&record.owner),
        };
        sections.push(section, owner, record.rtype, record.ttl, |rdata| rdata.bytes(&record.rdata));
    }
}

impl Step for Templates {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        self.answer(asked, context, true, |rule, made, asked| {
            let mut sections = asked.draft();
            push(&mut sections, Section::Answer, &made.answer, asked);
            Self::go_on(rule, made, sections, None, (asked, false))
        })
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let unsaid = || Flow::Reply(Reply::code(Rcode::SERVFAIL));
        let (second, held): (Option<(Reply, Box<Question>)>, Held) = match answer {
            Answer::Reply { reply, question, held } => (Some((reply, question)), held),
            Answer::Nobody { held } => (None, held),
            Answer::Upstream(_) | Answer::Behind { .. } | Answer::Signalled | Answer::TimedOut => {
                return unsaid();
            }
        };
        let mut sections = held.unwrap_or_default();
        let Some((reply, question)) = second else {
            // No step could know the target: the alias alone (rule K-144).
            return self.answer(asked, context, false, |rule, made, asked| {
                finish(made, &mut sections, asked);
                let mut reply = Reply::new(rule.rcode, sections).authoritative();
                reply.head.ede.clone_from(&rule.ede);
                Flow::Reply(reply)
            });
        };
        if !matches!(reply.head.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            // The target could not be resolved: not an answer that may be believed or kept (rule K-137).
            asked.reclaim(sections);
            return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::NO_AUTHORITY));
        }
        sections.append_answer(&reply.sections, &question);
        let truncated = reply.head.truncated;
        asked.reclaim(reply.sections);
        self.answer(asked, context, false, |rule, made, asked| {
            Self::go_on(rule, made, sections, Some(&question), (asked, truncated))
        })
    }

    fn other_classes(&self) -> bool {
        self.rules.iter().any(|rule| rule.class != CLASS_IN)
    }
}
