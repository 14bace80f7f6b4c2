//! `acl`: who may ask what (rule S-08).
//!
//! ```text
//! acl lines of a block ──► rules ──► Acl ─┬─► the step, behind `rewrite` and `autopath`, in front of every source of answers
//!                                         └─► Gate, for the few steps that answer before it
//! ```
//!
//! Invariants: decided on the name as it is answered, never on one that is rewritten later; every question on behalf of
//! another is decided about like one of the client's own, since it walks the chain from the top; nothing that is cached or
//! known here is said before.

mod gate;
mod parse;
mod rules;

pub(super) use gate::Gate;
pub(super) use parse::{HELP, SYNTAX, WORD, parse};
pub(super) use rules::Acl;
