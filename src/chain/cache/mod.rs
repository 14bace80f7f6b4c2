//! `cache`: answers of upstreams, remembered (rules C-01 to C-12).
//!
//! ```text
//! parse ──► Line ──► lay ──► CacheStep, in front of the first step that asks the network
//! ```
//!
//! Invariant: what is answered here is neither looked for nor kept.

mod lay;
mod parse;
mod step;

pub use lay::Cached;
pub(super) use lay::{Laid, lay};
pub(super) use parse::{HELP, Line, SYNTAX, parse};
pub(super) use step::CACHED_ERROR;

/// The Corefile's word.
pub(super) const WORD: &str = "cache";
