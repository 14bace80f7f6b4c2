//! `view`: for which queries a block is (rule S-22).
//!
//! ```text
//! expr … ──► expression::Test ──► View
//!                                   │
//! Plan::choose, before a block is walked: does it admit the query?
//! ```
//!
//! Invariants: what can be wrong with an expression is said when the Corefile is read, at its place; what goes wrong with a
//! query all the same, an address that is none for instance, is the same as "no".

mod parse;

pub use parse::View;
pub(super) use parse::{HELP, SYNTAX, WORD, parse};
