//! What a line says: which names it is about, and what becomes of question and answer.

use std::cell::OnceCell;

use regex::bytes::Regex;

use super::edns::EdnsRule;
use crate::wire::{NameText, Rcode, parse_name};

/// A name that rules look at: its text is made when the first rule needs it.
pub(super) struct Subject<'a> {
    /// Wire form.
    wire: &'a [u8],
    /// Presentation form.
    text: OnceCell<NameText>,
}

impl<'a> Subject<'a> {
    /// The name in wire form.
    pub(super) fn new(wire: &'a [u8]) -> Self {
        Self { wire, text: OnceCell::new() }
    }

    /// Its presentation form.
    fn text(&self) -> &str {
        self.text.get_or_init(|| NameText::new(self.wire)).as_str()
    }
}

/// Which names a rule is about. Texts are in lower case and end in a dot.
#[derive(Debug)]
pub(super) enum Match {
    /// This name, in wire form.
    Exact(Vec<u8>),
    /// Names that begin so.
    Prefix(String),
    /// Names that end so.
    Suffix(String),
    /// Names with this in them.
    Substring(String),
    /// Names in which this is found.
    Regex(Regex),
}

impl Match {
    /// Whether it is about a name.
    pub(super) fn matches(&self, name: &Subject<'_>) -> bool {
        match self {
            Self::Exact(wire) => name.wire.eq_ignore_ascii_case(wire),
            Self::Prefix(front) => name.text().starts_with(front.as_str()),
            Self::Suffix(end) => name.text().ends_with(end.as_str()),
            Self::Substring(part) => name.text().contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(name.text().as_bytes()),
        }
    }
}

/// Names, and what they become.
#[derive(Debug)]
pub(super) struct Rename {
    /// Which names.
    pub(super) from: Match,
    /// What takes the place of what matched; of a regular expression all of the name, `{1}` being its first group.
    pub(super) to: String,
}

/// Why a rule did not give a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoName {
    /// It is about other names.
    Other,
    /// What it makes is no name.
    Illegal,
}

impl Rename {
    /// The name that another becomes, in wire form.
    pub(super) fn apply(&self, name: &Subject<'_>) -> Result<Vec<u8>, NoName> {
        let text = match &self.from {
            Match::Exact(_) => self.from.matches(name).then(|| self.to.clone()),
            Match::Prefix(front) => {
                name.text().strip_prefix(front.as_str()).map(|rest| format!("{}{rest}", self.to))
            }
            Match::Suffix(end) => {
                name.text().strip_suffix(end.as_str()).map(|rest| format!("{rest}{}", self.to))
            }
            Match::Substring(part) => {
                self.from.matches(name).then(|| name.text().replace(part.as_str(), &self.to))
            }
            Match::Regex(regex) => {
                let text = name.text();
                // Groups take memory even where nothing matches.
                let groups =
                    regex.is_match(text.as_bytes()).then(|| regex.captures(text.as_bytes())).flatten();
                groups.map(|groups| {
                    fill(&self.to, |index| {
                        let group = groups.get(index).map_or(&[][..], |group| group.as_bytes());
                        std::str::from_utf8(group).unwrap_or_default()
                    })
                })
            }
        };
        parse_name(&text.ok_or(NoName::Other)?).ok_or(NoName::Illegal)
    }
}

/// Puts groups in the place of `{0}`, `{1}` and so on.
fn fill<'t>(to: &str, group: impl Fn(usize) -> &'t str) -> String {
    let mut text = String::with_capacity(to.len());
    let mut rest = to;
    while let Some((before, index, after)) = next_group(rest) {
        text.push_str(before);
        text.push_str(group(index));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The first `{N}` of a text: what stands before it, N, and what stands behind.
pub(super) fn next_group(text: &str) -> Option<(&str, usize, &str)> {
    for (at, _) in text.match_indices('{') {
        let (before, rest) = text.split_at(at);
        let inner = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        if let Some((digits, after)) = inner
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(index) = digits.parse()
        {
            return Some((before, index, after));
        }
    }
    None
}

/// What is done to the names in an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// To owners.
    Name(Rename),
    /// To names in data.
    Value(Rename),
}

/// What a line does.
#[derive(Debug)]
pub(super) enum Field {
    /// `name`.
    Name {
        /// What becomes of the question.
        rename: Rename,
        /// Whether the new name becomes the old one in the answer, owners and data alike.
        auto: bool,
        /// What is done to the answer beside that.
        answers: Vec<Answer>,
    },
    /// `type`.
    Type {
        /// From.
        from: u16,
        /// To.
        to: u16,
    },
    /// `class`.
    Class {
        /// From.
        from: u16,
        /// To.
        to: u16,
    },
    /// `edns0`.
    Edns(EdnsRule),
    /// `ttl`.
    Ttl {
        /// For questions of these names.
        names: Match,
        /// The least. Unit: seconds.
        least: u32,
        /// The most. Unit: seconds.
        most: u32,
    },
    /// `rcode`.
    Rcode {
        /// For questions of these names.
        names: Match,
        /// This code.
        from: Rcode,
        /// Becomes this one.
        to: Rcode,
    },
    /// `cname`: the target of an alias.
    Cname(Rename),
}

/// A line.
#[derive(Debug)]
pub(super) struct Rule {
    /// Whether no line behind it is looked at once it was applied.
    pub(super) stop: bool,
    /// What it does.
    pub(super) field: Field,
}
