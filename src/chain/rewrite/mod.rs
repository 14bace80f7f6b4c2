//! `rewrite`: other questions than those that were asked, and answers that don't show it (rule S-11).
//!
//! ```text
//! client's question ─► rule, rule … ─► question as rewritten ─► cache, kubernetes, forward …
//!                                                                    │
//! client's question ◄── names put back, last rule first ◄── reply ◄──┘
//! ```
//!
//! Invariants: what is echoed is the client's question; nothing is allocated for a query that no rule matches.

mod answer;
mod edns;
mod parse;
mod rule;
mod step;

pub(super) use parse::{HELP, SYNTAX, WORD, parse};
pub(super) use step::Rewritten;
