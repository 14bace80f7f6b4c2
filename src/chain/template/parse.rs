//! The stanzas' text (rule S-11).

use regex::bytes::Regex;

use super::super::build::Draft;
use super::super::kubernetes::Fallthrough;
use super::super::regexp;
use super::go::{Known, Template};
use super::step::{Line, Rule, Templates};
use crate::corefile::{Directive, Error, Token};
use crate::wire::{Ede, Rcode, class_number, rcode_number, record_from_text, type_number};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "template";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
template CLASS TYPE [ZONES…] {
    match REGEXP…
    answer RECORD…
    additional RECORD…
    authority RECORD…
    rcode CODE
    ederror CODE [TEXT]
    fallthrough [ZONES…]
    upstream
}";

/// What it does.
pub(in crate::chain) const HELP: &str = "answers with records that are made of the question";

/// The options, for hints.
const OPTIONS: &[&str] =
    &["match", "answer", "additional", "authority", "rcode", "ederror", "fallthrough", "upstream"];

/// Reads all `template` stanzas of the block at the first of them: they are rules of one step, in the order of the file.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut lines = draft.block.all(WORD);
    if lines.next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut rules = vec![rule(directive, draft)?];
    for line in lines {
        rules.push(rule(line, draft).map_err(|error| error.within(line))?);
    }
    draft.steps.push(Box::new(Templates { rules, counts: draft.parts.templates() }));
    Ok(())
}

/// Reads one stanza.
fn rule(directive: &Directive, draft: &Draft<'_>) -> Result<Rule, Error> {
    let args = directive.expect_args(2..=usize::MAX)?;
    let [class, rtype, ..] = args else { return Err(directive.error("a class and a type are missing")) };
    let bad = |token: &Token, what: &str| token.error(format!("`{}` is no {what}", token.text));
    let mut zones = directive.zones_from(2)?;
    if zones.is_empty() {
        zones = draft.zones();
    }
    // The longest that fits counts.
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.labels()));
    let mut rule = Rule {
        class: class_number(&class.text).ok_or_else(|| bad(class, "class"))?,
        rtype: type_number(&rtype.text).ok_or_else(|| bad(rtype, "type"))?,
        zones,
        matches: Vec::new(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        rcode: Rcode::NOERROR,
        ede: None,
        fallthrough: Fallthrough::None,
    };
    // What texts may name are the groups of all expressions, wherever these stand.
    for line in directive.lines().iter().filter(|line| line.word.text == "match") {
        for token in line.expect_args(1..=usize::MAX)? {
            rule.matches.push((regexp::compile(token)?, token.text.clone()));
        }
    }
    let known = known(rule.matches.iter().map(|(regex, _)| regex));
    for line in directive.lines() {
        line.no_block()?;
        let records = || -> Result<Vec<Line>, Error> {
            line.expect_args(1..=usize::MAX)?.iter().map(|token| record(token, &known)).collect()
        };
        match line.word.text.as_str() {
            "match" => {}
            "answer" => rule.answer.extend(records()?),
            "additional" => rule.additional.extend(records()?),
            "authority" => rule.authority.extend(records()?),
            "rcode" => {
                let code = line.only_arg()?;
                rule.rcode = Rcode(rcode_number(&code.text).ok_or_else(|| bad(code, "response code"))?);
            }
            "ederror" => {
                let args = line.expect_args(1..=2)?;
                let [code, rest @ ..] = args else { return Err(line.error("a code is missing")) };
                let text = rest.first().map_or(String::new(), |text| text.text.clone());
                if text.len() > usize::from(u8::MAX) {
                    return Err(line.error("the text of an error has at most 255 bytes"));
                }
                rule.ede = Some(Ede::new(code.number(0..=u16::MAX)?, text));
            }
            "fallthrough" => {
                rule.fallthrough = match line.args.is_empty() {
                    true => Fallthrough::All,
                    false => Fallthrough::Zones(line.zones_from(0)?),
                };
            }
            // As in CoreDNS: targets of aliases are always asked for, and old Corefiles say so.
            "upstream" => {}
            word @ ("var" | "expr") => {
                return Err(line
                    .word
                    .error(format!("`{word}` is not served by this version yet"))
                    .hint("use `match` with groups, and `{{ .Group.name }}`"));
            }
            _ => return Err(line.word.unknown("an option of `template`", OPTIONS)),
        }
    }
    Ok(rule)
}

/// What texts may name: groups by name and by number.
fn known<'r>(regexes: impl Iterator<Item = &'r Regex>) -> Known {
    // Without any expression everything matches as a whole.
    let mut known = Known { groups: vec!["0".to_owned()], matches: 1 };
    for regex in regexes {
        known.matches = known.matches.max(regex.captures_len());
        known.groups.extend(regex.capture_names().flatten().map(str::to_owned));
    }
    known.groups.extend((1..known.matches).map(|number| number.to_string()));
    known
}

/// Reads the text of one record.
fn record(token: &Token, known: &Known) -> Result<Line, Error> {
    let template = Template::parse(&token.text, known)
        .map_err(|why| token.error(format!("this template cannot be used: {why}")))?;
    match template.constant() {
        None => Ok(Line::Made(template)),
        Some(text) => match record_from_text(text) {
            Ok(record) => Ok(Line::Fixed(record)),
            Err(why) => Err(token.error(format!("this is no record: {why}"))),
        },
    }
}
