//! The lines' text (rule S-11).

use super::super::build::Draft;
use super::super::regexp;
use super::edns;
use super::rule::{Answer, Field, Match, Rename, Rule, next_group};
use super::step::Rewrite;
use crate::corefile::{Directive, Error, Token};
use crate::wire::{Rcode, class_number, parse_name, rcode_number, type_number};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "rewrite";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
rewrite [continue|stop] name [exact|prefix|suffix|substring|regex] FROM TO [answer auto|name FROM TO|value FROM TO]…
rewrite [continue|stop] type|class FROM TO
rewrite [continue|stop] edns0 local set|append|replace CODE DATA|{VARIABLE} [revert]
rewrite [continue|stop] edns0 local unset CODE
rewrite [continue|stop] edns0 nsid set|append|replace|unset [revert]
rewrite [continue|stop] edns0 subnet set|append|replace BITS4 BITS6 [revert]
rewrite [continue|stop] edns0 subnet unset
rewrite [continue|stop] ttl [exact|prefix|suffix|substring|regex] NAME SECONDS|MIN-MAX
rewrite [continue|stop] rcode [exact|prefix|suffix|substring|regex] NAME FROM TO
rewrite [continue|stop] cname [exact|prefix|suffix|substring|regex] FROM TO";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "asks another question than the client did, and puts the answer back into the client's terms";

/// The fields, for hints.
const FIELDS: &[&str] = &["name", "type", "class", "edns0", "ttl", "rcode", "cname"];

/// The ways to match, for hints.
const WAYS: &[&str] = &["exact", "prefix", "suffix", "substring", "regex"];

/// The largest TTL that means nothing special (RFC 2181 §8). Unit: seconds.
const LONGEST: u32 = 0x7fff_ffff;

/// Reads all `rewrite` lines of the block at the first of them: they are rules of one step, in the order of the file.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut lines = draft.block.all(WORD);
    if lines.next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut rules = vec![rule(directive)?];
    for line in lines {
        rules.push(rule(line).map_err(|error| error.within(line))?);
    }
    draft.steps.push(Box::new(Rewrite { rules }));
    Ok(())
}

/// Words in turn.
pub(super) struct Words<'a> {
    /// The line, for complaints about what is missing.
    line: &'a Directive,
    /// The words to come.
    rest: &'a [&'a Token],
}

impl<'a> Words<'a> {
    /// The next word.
    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The next word, which must be there.
    pub(super) fn expect(&mut self, what: &str) -> Result<&'a Token, Error> {
        self.next().ok_or_else(|| self.line.error(format!("{what} is missing")))
    }

    /// The last word, if it is this one; it is taken away.
    pub(super) fn ends_with(&mut self, word: &str) -> bool {
        match self.rest.split_last() {
            Some((last, rest)) if last.text == word => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// How many are to come.
    fn left(&self) -> usize {
        self.rest.len()
    }

    /// An error where a word is left over.
    pub(super) fn end(&self) -> Result<(), Error> {
        match self.rest.first() {
            None => Ok(()),
            Some(more) => Err(more.error(format!("`{}` is one word too many", more.text))),
        }
    }
}

/// Reads one line, whose words may stand in braces.
fn rule(line: &Directive) -> Result<Rule, Error> {
    let mut words: Vec<&Token> = line.args.iter().collect();
    if words.len() >= 2 {
        line.no_block()?;
    }
    for inner in line.lines() {
        inner.no_block()?;
        words.push(&inner.word);
        words.extend(&inner.args);
    }
    let mut words = Words { line, rest: &words };
    let mut first = words.expect("what to rewrite (`name`, `type` …)")?;
    let stop = match first.text.to_ascii_lowercase().as_str() {
        mode @ ("stop" | "continue") => {
            first = words.expect("what to rewrite (`name`, `type` …)")?;
            mode == "stop"
        }
        _ => true,
    };
    let field = match first.text.to_ascii_lowercase().as_str() {
        "name" => name(&mut words)?,
        "type" => {
            let (from, to) =
                (number(&mut words, "type", type_number)?, number(&mut words, "type", type_number)?);
            Field::Type { from, to }
        }
        "class" => {
            let (from, to) =
                (number(&mut words, "class", class_number)?, number(&mut words, "class", class_number)?);
            Field::Class { from, to }
        }
        "edns0" => Field::Edns(edns::parse(&mut words)?),
        "ttl" => {
            let names = names(&mut words, 1)?;
            let (least, most) = range(words.expect("the TTL")?)?;
            Field::Ttl { names, least, most }
        }
        "rcode" => {
            let names = names(&mut words, 2)?;
            let from = rcode(words.expect("the code to look for")?)?;
            Field::Rcode { names, from, to: rcode(words.expect("the code to give")?)? }
        }
        "cname" => {
            let way = way(&mut words, 2)?;
            let (from, to) = (words.expect("the target to look for")?, words.expect("the target to give")?);
            Field::Cname(target(way, from, to)?)
        }
        "answer" => {
            return Err(first
                .error("`answer` cannot begin a rule")
                .hint("write it behind a `name` rule: `rewrite name suffix .a. .b. answer auto`"));
        }
        _ => return Err(first.unknown("something to rewrite", FIELDS)),
    };
    words.end()?;
    Ok(Rule { stop, field })
}

/// Reads a number by its mnemonic.
fn number(
    words: &mut Words<'_>,
    what: &'static str,
    find: impl Fn(&str) -> Option<u16>,
) -> Result<u16, Error> {
    let word = words.expect(&format!("a {what}"))?;
    find(&word.text).ok_or_else(|| word.error(format!("`{}` is no {what}", word.text)))
}

/// Reads a response code, a word or a number.
fn rcode(word: &Token) -> Result<Rcode, Error> {
    let number = word.text.parse::<u16>().ok().filter(|number| *number <= 23);
    let known = number.or_else(|| rcode_number(&word.text));
    known.map(Rcode).ok_or_else(|| {
        word.error(format!("`{}` is no response code", word.text))
            .hint("write one such as NXDOMAIN, or a number up to 23")
    })
}

/// Reads a TTL: `30`, `30-300`, `-30` or `30-`.
fn range(word: &Token) -> Result<(u32, u32), Error> {
    let bad = || {
        word.error(format!("`{}` is no TTL", word.text))
            .hint("write seconds, or a range: `30-300`, `-30`, `30-`")
    };
    let bound = |text: &str, absent: u32| match text {
        "" => Ok(absent),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| bad()),
        _ => Err(bad()),
    };
    let (least, most) = match word.text.split_once('-') {
        Some(("", "")) => return Err(bad()),
        Some((least, most)) => (bound(least, 0)?, bound(most, LONGEST)?),
        None if word.text.is_empty() => return Err(bad()),
        None => (bound(&word.text, 0)?, bound(&word.text, 0)?),
    };
    if least > most { Err(bad()) } else { Ok((least, most)) }
}

/// The text of a name for comparisons: lower case, with a final dot.
fn normal(text: &str) -> String {
    let mut text = text.to_ascii_lowercase();
    // A dot behind an odd number of backslashes is part of a label.
    let before =
        text.strip_suffix('.').map(|before| before.bytes().rev().take_while(|b| *b == b'\\').count());
    if before.is_none_or(|backslashes| backslashes % 2 == 1) {
        text.push('.');
    }
    text
}

/// Reads `[exact|prefix|suffix|substring|regex] NAME`, where `behind` words follow it.
fn names(words: &mut Words<'_>, behind: usize) -> Result<Match, Error> {
    let way = way(words, 1 + behind)?;
    matching(way, words.expect("the name")?)
}

/// The way to match, where there is a word for it: where more than `without` words are left.
fn way<'a>(words: &mut Words<'a>, without: usize) -> Result<&'static str, Error> {
    if words.left() <= without {
        return Ok("exact");
    }
    let word: &'a Token = words.expect("the way to match")?;
    let text = word.text.to_ascii_lowercase();
    WAYS.iter().copied().find(|way| *way == text).ok_or_else(|| word.unknown("a way to match names", WAYS))
}

/// What a way and a name make.
fn matching(way: &str, name: &Token) -> Result<Match, Error> {
    if name.text.is_empty() {
        return Err(name.error("an empty text is in every name"));
    }
    let text = normal(&name.text);
    Ok(match way {
        "prefix" => Match::Prefix(text),
        "suffix" => Match::Suffix(text),
        "substring" => Match::Substring(text),
        "regex" => Match::Regex(regexp::compile(name)?),
        _ => Match::Exact(whole(name)?),
    })
}

/// A whole name in wire form, lower case.
fn whole(name: &Token) -> Result<Vec<u8>, Error> {
    parse_name(&normal(&name.text)).ok_or_else(|| name.error(format!("`{}` is no name", name.text)))
}

/// What a way, a target and another make: parts of targets are compared as they are written, without a dot of ours.
fn target(way: &str, from: &Token, to: &Token) -> Result<Rename, Error> {
    let part = from.text.to_ascii_lowercase();
    let from = match way {
        _ if part.is_empty() => return Err(from.error("an empty text is in every name")),
        "prefix" => Match::Prefix(part),
        "substring" => Match::Substring(part),
        _ => return made(way, from, to),
    };
    Ok(Rename { from, to: to.text.to_ascii_lowercase() })
}

/// What a way, a name and another make.
fn made(way: &str, from: &Token, to: &Token) -> Result<Rename, Error> {
    let matching = matching(way, from)?;
    match &matching {
        Match::Exact(_) => _ = whole(to)?,
        Match::Regex(regex) => {
            let mut rest = to.text.as_str();
            while let Some((_, index, behind)) = next_group(rest) {
                // Group 0 is all that matched.
                if index >= regex.captures_len() {
                    return Err(to.error(format!(
                        "`{{{index}}}` is a group that the expression `{}` does not have",
                        from.text
                    )));
                }
                rest = behind;
            }
        }
        Match::Prefix(_) | Match::Suffix(_) | Match::Substring(_) => {}
    }
    Ok(Rename { from: matching, to: normal(&to.text) })
}

/// Reads what follows `name`.
fn name(words: &mut Words<'_>) -> Result<Field, Error> {
    let way = way(words, 2)?;
    let (from, to) = (words.expect("the name to look for")?, words.expect("the name to give")?);
    let rename = made(way, from, to)?;
    let (mut auto, mut answers) = answers(words)?;
    if way == "exact" {
        auto = true;
    } else if way == "suffix" && auto {
        // Whatever ends in the new suffix ends in the old one, not only the name asked for.
        auto = false;
        answers.splice(
            0..0,
            [Answer::Name(made("suffix", to, from)?), Answer::Value(made("suffix", to, from)?)],
        );
    }
    Ok(Field::Name { rename, auto, answers })
}

/// Reads `answer auto|name FROM TO|value FROM TO`, over and over; the word `answer` may be left out but for the first.
fn answers(words: &mut Words<'_>) -> Result<(bool, Vec<Answer>), Error> {
    const KINDS: &[&str] = &["auto", "name", "value"];
    let mut auto = None;
    let mut named = false;
    let mut answers = Vec::new();
    while let Some(mut word) = words.next() {
        if word.text == "answer" {
            word = words.expect("`auto`, `name` or `value` behind `answer`")?;
        } else if auto.is_none() && answers.is_empty() {
            return Err(word.unknown("a word that may follow the names", &["answer"]));
        }
        match word.text.as_str() {
            // `name auto` is what CoreDNS's page shows.
            "auto" => auto = Some(word),
            "name" if words.rest.first().is_some_and(|next| next.text == "auto") => auto = words.next(),
            kind @ ("name" | "value") => {
                let from = words.expect("the expression to look for")?;
                let rename = made("regex", from, words.expect("the name to give")?)?;
                named |= kind == "name";
                answers.push(if kind == "name" { Answer::Name(rename) } else { Answer::Value(rename) });
            }
            _ => return Err(word.unknown("a kind of `answer`", KINDS)),
        }
        if let Some(auto) = auto.filter(|_| named) {
            return Err(auto
                .error("`answer auto` and `answer name` cannot stand in one rule")
                .hint("remove one of them: both say what becomes of the owners"));
        }
    }
    Ok((auto.is_some(), answers))
}
