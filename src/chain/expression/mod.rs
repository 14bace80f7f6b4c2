//! Expressions about a query, of `view` and of `template` (rules S-22, S-11a).
//!
//! ```text
//! text ──► lexer ──► syntax ──► Test or Part, every part of it of a known kind ──► its value over Facts
//! ```
//!
//! Invariants: what can be wrong with an expression is said when the Corefile is read, at its place; what goes wrong with a
//! query all the same, an address that is none for instance, is no value.

mod facts;
mod lexer;
mod line;
mod operators;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;

pub(super) use facts::Facts;
pub(super) use line::{read_line, text_of};
pub(super) use syntax::{Kind, Names, Part, names_variable, read, read_value};
pub(super) use tree::{Test, Value};
