//! Go's template language as far as a `template` can use it, checked when it is read: what is read can be run, and what runs
//! fails only for what a query brings.
//!
//! ```text
//! text ─► lexer ─► syntax (every expression has a kind) ─► Template ─► run (over Data) ─► text
//! ```
//!
//! Source: Go `text/template`, coredns `plugin/template/README.md`. Left out, with an error: `define`, `block`, `template`,
//! `call`, `html`, `js`, `urlquery`, numbers with a fraction.

mod format;
mod lexer;
mod nodes;
mod run;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub(super) use nodes::{Known, Template};
pub(super) use value::{Data, Groups};
