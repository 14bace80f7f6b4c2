//! Regular expressions of a Corefile: bounded in length and memory, read as Go reads them.

use regex::bytes::{Regex, RegexBuilder};

use crate::corefile::{Error, Token};

/// The longest expression. Unit: bytes.
const LONGEST: usize = 10_000;

/// The most memory that a compiled expression takes. Unit: bytes.
const COMPILED: usize = 1 << 20;

/// Compiles the expression that a token is.
///
/// Errors: what is wrong with it, at its place. Source: Go `regexp`, whose classes such as `\d` are about ASCII.
pub(super) fn compile(token: &Token) -> Result<Regex, Error> {
    if token.text.len() > LONGEST {
        return Err(token.error(format!("a regular expression has at most {LONGEST} bytes")));
    }
    RegexBuilder::new(&token.text).unicode(false).size_limit(COMPILED).build().map_err(|error| {
        let said = match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
            // The first lines are a drawing of the place.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        };
        token.error(format!("`{}` is no regular expression: {said}", token.text))
    })
}
