//! The stanzas' text (rule S-11).

use regex::bytes::Regex;

use super::super::build::Draft;
use super::super::expression::{Names, names_variable, read, read_line, read_value};
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
    var NAME EXPRESSION
    expr EXPRESSION
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
const OPTIONS: &[&str] = &[
    "match",
    "var",
    "expr",
    "answer",
    "additional",
    "authority",
    "rcode",
    "ederror",
    "fallthrough",
    "upstream",
];

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
        variables: Vec::new(),
        tests: Vec::new(),
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
    let names = expressions(directive, &mut rule)?;
    let known = known(rule.matches.iter().map(|(regex, _)| regex), names);
    for line in directive.lines() {
        line.no_block()?;
        let records = || -> Result<Vec<Line>, Error> {
            line.expect_args(1..=usize::MAX)?.iter().map(|token| record(token, &known)).collect()
        };
        match line.word.text.as_str() {
            "match" | "var" | "expr" => {}
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
            _ => return Err(line.word.unknown("an option of `template`", OPTIONS)),
        }
    }
    Ok(rule)
}

/// Reads variables and conditions, which may name the variables above them, in the order of the file; gives the names.
fn expressions(directive: &Directive, rule: &mut Rule) -> Result<Names, Error> {
    let mut names = Names { groups: true, variables: Vec::new() };
    for line in directive.lines() {
        match line.word.text.as_str() {
            "var" => {
                let args = line.expect_args(2..=usize::MAX)?;
                let [name, rest @ ..] = args else { return Err(line.error("a name is missing")) };
                if !names_variable(&name.text) {
                    return Err(name.error(format!("`{}` can't be the name of a variable", name.text)).hint(
                        "letters, digits and `_`, no digit first, and no function or word of the language",
                    ));
                }
                if names.variables.iter().any(|(known, _)| *known == name.text) {
                    return Err(name.error(format!("`{}` is a variable already", name.text)));
                }
                let part = read_line(line, rest, |text| read_value(text, &names))?;
                let kind = part.value_kind().ok_or_else(|| {
                    let place = rest.first().unwrap_or(&line.word);
                    place.error("a variable can't hold a list").hint("write the list where it is looked at")
                })?;
                names.variables.push((name.text.clone(), kind));
                rule.variables.push(part);
            }
            "expr" => {
                let args = line.expect_args(1..=usize::MAX)?;
                rule.tests.push(read_line(line, args, |text| read(text, &names))?);
            }
            _ => {}
        }
    }
    Ok(names)
}

/// What texts may name: groups by name and by number, and variables.
fn known<'r>(regexes: impl Iterator<Item = &'r Regex>, names: Names) -> Known {
    // Without any expression everything matches as a whole.
    let mut known = Known { groups: vec!["0".to_owned()], matches: 1, variables: names.variables };
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
