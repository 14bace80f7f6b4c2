//! `__PILLAR__NAME__`: what the manifests of node-local-dns leave to be filled in.

use super::error::{Error, Problem};
use super::lexer::Lexeme;
use super::source::Source;

/// How each of them begins.
const BEGIN: &str = "__PILLAR__";

/// How each of them ends.
const END: &str = "__";

/// Fills placeholders in; a value of several words becomes as many tokens, an empty one none. What stands around it stays as it
/// is, spaces between quotes too.
///
/// Errors: `Placeholder`, at the first one without a value, naming all of them. Cost: a look at each token.
/// Source: the addon's `nodelocaldns.yaml`; node-cache `cmd/kube-dns/…/config_sync`.
pub(super) fn fill(lexemes: Vec<Lexeme>, source: &dyn Source) -> Result<Vec<Lexeme>, Error> {
    if !lexemes.iter().any(|lexeme| lexeme.token.text.contains(BEGIN)) {
        return Ok(lexemes);
    }
    let mut filled = Vec::with_capacity(lexemes.len());
    let mut missing: Vec<String> = Vec::new();
    let mut first = None;
    for lexeme in lexemes {
        if !lexeme.token.text.contains(BEGIN) {
            filled.push(lexeme);
            continue;
        }
        let words = replace(&lexeme.token.text, |name| {
            let value = source.placeholder(name);
            if value.is_none() {
                let name = format!("{BEGIN}{name}{END}");
                if !missing.contains(&name) {
                    missing.push(name);
                }
                first.get_or_insert_with(|| lexeme.token.at.clone());
            }
            value.unwrap_or_default()
        });
        for (place, word) in words.into_iter().filter(|word| !word.is_empty()).enumerate() {
            let mut part = lexeme.clone();
            part.token.text = word;
            part.first &= place == 0;
            filled.push(part);
        }
    }
    match first {
        Some(at) => Err(Error::new(at, Problem::Placeholder { names: missing.join("`, `") })),
        None => Ok(filled),
    }
}

/// A text with each placeholder replaced, in as many parts as its values have words; what only begins like one stays.
fn replace(text: &str, mut value: impl FnMut(&str) -> String) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        word.push_str(before);
        let end = after
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(after.len());
        let (run, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match run.strip_suffix(END).filter(|name| !name.is_empty()) {
            Some(name) => {
                for (place, part) in value(name).split(char::is_whitespace).enumerate() {
                    if place > 0 {
                        words.push(std::mem::take(&mut word));
                    }
                    word.push_str(part);
                }
            }
            None => {
                word.push_str(BEGIN);
                word.push_str(run);
            }
        }
        rest = tail;
    }
    word.push_str(rest);
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text with each placeholder as its name in small letters.
    fn shown(text: &str) -> String {
        replace(text, str::to_ascii_lowercase).join("|")
    }

    #[test]
    fn placeholders_are_found_with_what_stands_around_them() {
        assert_eq!(shown("__PILLAR__DNS__DOMAIN__:53"), "dns__domain:53");
        assert_eq!(shown("a-__PILLAR__LOCAL__DNS__"), "a-local__dns");
        assert_eq!(shown("plain"), "plain");
    }

    #[test]
    fn values_are_split_into_words_and_what_stands_around_them_is_not() {
        let words = |text: &str, value: &str| replace(text, |_| value.to_owned()).join("|");
        assert_eq!(words("__PILLAR__X__", "10.0.0.1 10.0.0.2"), "10.0.0.1|10.0.0.2");
        assert_eq!(words("a b__PILLAR__X__c d", "1 2  3"), "a b1|2||3c d");
        assert_eq!(words("__PILLAR__X__-__PILLAR__X__", "1 2"), "1|2-1|2");
        assert_eq!(words("__PILLAR__X__", ""), "");
    }

    #[test]
    fn what_only_begins_like_one_stays() {
        for text in ["__PILLAR__", "__PILLAR__dns__", "__PILLAR__DNS", "__PILLAR__ b \"{} # c"] {
            assert_eq!(shown(text), text);
        }
    }
}
