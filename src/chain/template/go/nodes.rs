//! What a template is once it is read: nodes, and expressions that can be run.

use super::format::Verb;
use crate::chain::expression;

/// What is known of the expressions that a template's names come from.
#[derive(Clone, Default, Debug)]
pub(in crate::chain::template) struct Known {
    /// The names of groups.
    pub(in crate::chain::template) groups: Vec<String>,
    /// How many texts `.Match` has at most.
    pub(in crate::chain::template) matches: usize,
    /// The variables of `var` with their kinds, in the order of their places.
    pub(in crate::chain::template) variables: Vec<(String, expression::Kind)>,
}

/// A template that can be run.
#[derive(Debug)]
pub(in crate::chain::template) struct Template {
    /// What it does.
    pub(super) nodes: Vec<Node>,
    /// How many variables it has.
    pub(super) slots: usize,
    /// Its text.
    pub(super) source: String,
}

/// A step of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it is.
    Text(String),
    /// The text of an expression.
    Print(Expr),
    /// A variable gets a value.
    Let(usize, Expr),
    /// `if`, or `with`, which also makes the value the dot.
    If {
        /// What is looked at.
        condition: Expr,
        /// Where the value goes, if a variable was declared.
        slot: Option<usize>,
        /// Whether the value becomes the dot.
        with: bool,
        /// If it counts as true.
        then: Vec<Node>,
        /// If not.
        otherwise: Vec<Node>,
    },
    /// `range`.
    Range {
        /// What is gone through.
        over: Expr,
        /// Where the place or name goes.
        key: Option<usize>,
        /// Where the value goes.
        value: Option<usize>,
        /// For each.
        body: Vec<Node>,
        /// If there is none.
        otherwise: Vec<Node>,
    },
    /// `break`
    Break,
    /// `continue`
    Continue,
}

/// A part of the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// `.Zone`
    Zone,
    /// `.Name`
    Name,
    /// `.Regex`
    Regex,
    /// `.Match`
    Match,
    /// `.Group`
    Group,
    /// `.Class`
    Class,
    /// `.Type`
    Type,
    /// `.Remote`
    Remote,
    /// What has only parts.
    Whole,
    /// `.Question.Name`
    QuestionName,
    /// `.Question.Qtype`
    QuestionType,
    /// `.Question.Qclass`
    QuestionClass,
    /// `.Message.Id`
    Id,
    /// `.Message.Opcode`
    Opcode,
    /// A flag of a message's header.
    Flag(u16),
    /// A field of a message that is zero in every query.
    Zero,
}

/// Functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    /// `and`
    And,
    /// `or`
    Or,
    /// `not`
    Not,
    /// `eq`, the first with any of the others.
    Eq,
    /// `ne`
    Ne,
    /// `lt`
    Lt,
    /// `le`
    Le,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `len`
    Len,
    /// `index`
    Index,
    /// `slice`
    Slice,
    /// `print`
    Print,
    /// `println`
    Println,
    /// `parseInt`
    ParseInt,
}

/// An expression.
#[derive(Debug)]
pub(super) enum Expr {
    /// A text.
    Text(String),
    /// A number.
    Number(i128),
    /// True or false.
    Truth(bool),
    /// The value of `range` or `with`.
    Dot,
    /// A variable.
    Slot(usize),
    /// A part of the data.
    Part(Part),
    /// A group by its name.
    Group(String),
    /// The variable of `var` in this place.
    Variable(usize),
    /// A metadata label.
    Meta(Box<Expr>),
    /// A function.
    Call(Function, Vec<Expr>),
    /// `printf`
    Format(Vec<Verb>, Vec<Expr>),
}
