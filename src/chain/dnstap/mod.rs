//! `dnstap`: tells collectors what clients ask and get, and what upstreams are asked and say (rule S-27).
//!
//! The messages themselves, their queue and who sends it are in `tap`.

mod extra;
mod parse;
mod step;

pub(super) use parse::{HELP, SYNTAX, WORD, parse};
pub(super) use step::Tap;
