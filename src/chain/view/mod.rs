//! `view`: for which queries a block is (rule S-22).
//!
//! ```text
//! expr … ──► lexer ──► syntax ──► Test, every part of it of a known kind ──► View
//!                                                                             │
//! Plan::choose, before a block is walked ─────────────────────────── admits? ─┘
//! ```
//!
//! Invariants: what can be wrong with an expression is said when the Corefile is read, at its place; what goes wrong with a
//! query all the same, an address that is none for instance, is the same as "no".

mod facts;
mod lexer;
mod operators;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;

pub use parse::View;
pub(super) use parse::{HELP, SYNTAX, WORD, parse};
