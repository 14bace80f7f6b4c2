//! `template`: answers made of texts, with parts of the question filled in (rule S-11).
//!
//! ```text
//! question ─► zone, class, type ─► match ─► answer, authority, additional (Go templates) ─► records
//!                                                └─ an alias: its target is asked for, as a question of its own
//! ```
//!
//! Invariants: what is wrong with a template whatever the question is said when the Corefile is read; a text that no question
//! changes is read once.

mod counts;
mod go;
mod parse;
mod step;

pub use counts::{Counted, TemplateCounts};
pub(super) use parse::{HELP, SYNTAX, WORD, parse};
