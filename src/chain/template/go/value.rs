//! What expressions are: kinds when a template is read, values when it runs.

use std::borrow::Cow;

use crate::chain::expression;
use crate::wire::Header;

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// True or false.
    Truth,
    /// `.Match`: texts in order.
    Texts,
    /// `.Group`: texts by name.
    Groups,
    /// `.Var`: values by name.
    Variables,
    /// `.Question`, or one of a message's.
    Question,
    /// `.Message.Question`.
    Questions,
    /// `.Message`.
    Message,
    /// All of the above by name: `.` at the start, and `$`.
    Data,
    /// Of one kind or another, as `and` and `or` may give: only whether it counts as true is known.
    Mixed,
}

impl Kind {
    /// In words, with its article.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Texts => "a list of texts",
            Self::Groups => "a list of groups",
            Self::Variables => "a list of variables",
            Self::Question => "a question",
            Self::Questions => "a list of questions",
            Self::Message => "a message",
            Self::Data => "`.`",
            Self::Mixed => "a value of several kinds",
        }
    }

    /// Whether there is one text of it.
    pub(super) fn prints(self) -> bool {
        match self {
            Self::Text | Self::Number | Self::Truth | Self::Texts | Self::Groups => true,
            Self::Variables | Self::Question | Self::Questions | Self::Message | Self::Data | Self::Mixed => {
                false
            }
        }
    }
}

/// Groups of a match by name: numbers too.
#[derive(Default, Debug)]
pub(in crate::chain::template) struct Groups<'q>(pub(in crate::chain::template) Vec<(Cow<'q, str>, &'q str)>);

impl<'q> Groups<'q> {
    /// The group of a name.
    pub(in crate::chain::template) fn get(&self, name: &str) -> Option<&'q str> {
        // A name given to a group counts before its number, and the last of a name before the others.
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, text)| *text)
    }

    /// Names and groups, sorted by name, each name once.
    pub(super) fn sorted(&self) -> Vec<(&str, &'q str)> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| (name, self.get(name).unwrap_or_default())).collect()
    }
}

/// What a template is run over.
pub(in crate::chain::template) struct Data<'q> {
    /// `.Zone`
    pub(in crate::chain::template) zone: &'q str,
    /// `.Name`: lower case.
    pub(in crate::chain::template) name: &'q str,
    /// `.Regex`
    pub(in crate::chain::template) regex: &'q str,
    /// `.Match`
    pub(in crate::chain::template) matches: Vec<&'q str>,
    /// `.Group`
    pub(in crate::chain::template) groups: Groups<'q>,
    /// `.Var`, in the order of the places.
    pub(in crate::chain::template) variables: &'q [expression::Value],
    /// `.Class`
    pub(in crate::chain::template) class: &'q str,
    /// `.Type`
    pub(in crate::chain::template) rtype: &'q str,
    /// `.Remote`
    pub(in crate::chain::template) remote: String,
    /// `.Question.Name`: as typed.
    pub(in crate::chain::template) typed: &'q str,
    /// `.Question.Qtype`
    pub(in crate::chain::template) qtype: u16,
    /// `.Question.Qclass`
    pub(in crate::chain::template) qclass: u16,
    /// `.Message`: its header.
    pub(in crate::chain::template) header: Header,
    /// `.Meta`
    pub(in crate::chain::template) meta: &'q dyn Fn(&str) -> String,
}

/// What an expression gave.
#[derive(Clone, Debug)]
pub(super) enum Value<'d> {
    /// A text.
    Text(Cow<'d, str>),
    /// A whole number.
    Number(i128),
    /// True or false.
    Truth(bool),
    /// Texts in order.
    Texts(&'d [&'d str]),
    /// Texts by name.
    Groups(&'d Groups<'d>),
    /// What has nothing to print but parts: which part, its expression knows.
    Whole,
}

impl Value<'_> {
    /// Whether it counts as true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0,
            Self::Truth(truth) => *truth,
            Self::Texts(texts) => !texts.is_empty(),
            Self::Groups(groups) => !groups.0.is_empty(),
            Self::Whole => true,
        }
    }

    /// Its text as Go prints it.
    pub(super) fn print(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Truth(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
            Self::Texts(texts) => Cow::Owned(format!("[{}]", texts.join(" "))),
            Self::Groups(groups) => {
                let pairs: Vec<String> =
                    groups.sorted().iter().map(|(name, text)| format!("{name}:{text}")).collect();
                Cow::Owned(format!("map[{}]", pairs.join(" ")))
            }
            Self::Whole => Cow::Borrowed(""),
        }
    }
}
