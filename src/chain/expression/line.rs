//! An expression as the Corefile has it: the rest of a line, whose arguments are one text with single spaces between them.

use super::syntax::Fault;
use crate::corefile::{Directive, Error, Token};

/// The text that the arguments make, and where each of them begins in it.
fn joined(args: &[Token]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::new();
    for arg in args {
        if !text.is_empty() {
            text.push(' ');
        }
        starts.push(text.len());
        text.push_str(&arg.text);
    }
    (text, starts)
}

/// The text that the arguments make.
pub(in crate::chain) fn text_of(args: &[Token]) -> String {
    joined(args).0
}

/// Reads the expression that these arguments of a line make, and says at its place what is wrong with it.
pub(in crate::chain) fn read_line<T>(
    line: &Directive,
    args: &[Token],
    read: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<T, Error> {
    let (text, starts) = joined(args);
    read(&text).map_err(|Fault { at, problem, hint }| {
        let place = starts.partition_point(|start| *start <= at).saturating_sub(1);
        let error = args.get(place).unwrap_or(&line.word).error(problem);
        // Between quotes of its own a text is bare by now.
        let bare = args.len() > 1 && args.iter().any(|arg| arg.quoted);
        match hint {
            _ if bare => error.hint("texts stand in single quotes: `'example.org.'`"),
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}
