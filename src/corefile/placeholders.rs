//! `__PILLAR__NAME__`: what the manifests of node-local-dns leave to be filled in.

use super::error::{Error, Problem};
use super::lexer::Lexeme;
use super::source::Source;

/// How each of them begins.
const BEGIN: &str = "__PILLAR__";

/// How each of them ends.
const END: &str = "__";

/// Fills placeholders in; a value of several words becomes as many tokens, an empty one none.
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
        let text = replace(&lexeme.token.text, |name| {
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
        for (place, word) in text.split_whitespace().enumerate() {
            let mut part = lexeme.clone();
            part.token.text = word.to_owned();
            part.first &= place == 0;
            filled.push(part);
        }
    }
    match first {
        Some(at) => Err(Error::new(at, Problem::Placeholder { names: missing.join("`, `") })),
        None => Ok(filled),
    }
}

/// Replaces each placeholder; what only begins like one stays.
fn replace(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        out.push_str(before);
        let end = after
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(after.len());
        let (run, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match run.strip_suffix(END).filter(|name| !name.is_empty()) {
            Some(name) => out.push_str(&value(name)),
            None => {
                out.push_str(BEGIN);
                out.push_str(run);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with each placeholder as its name in small letters.
    fn shown(text: &str) -> String {
        replace(text, str::to_ascii_lowercase)
    }

    #[test]
    fn placeholders_are_found_with_what_stands_around_them() {
        assert_eq!(shown("__PILLAR__DNS__DOMAIN__:53"), "dns__domain:53");
        assert_eq!(shown("a-__PILLAR__LOCAL__DNS__"), "a-local__dns");
        assert_eq!(shown("plain"), "plain");
    }

    #[test]
    fn what_only_begins_like_one_stays() {
        for text in ["__PILLAR__", "__PILLAR__dns__", "__PILLAR__DNS"] {
            assert_eq!(shown(text), text);
        }
    }
}
