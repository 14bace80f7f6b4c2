//! `loadbalance`: the order of addresses in replies (rule S-09).
//!
//! ```text
//! parse ──► Policy ──► step ──► order: kinds of records apart, addresses shuffled, or one drawn by weight to the front
//!                       ▲
//! whoever reads the file ─► Weights
//! ```

mod order;
mod parse;
mod step;
#[cfg(test)]
mod tests;
mod weights;

pub(super) use parse::{HELP, SYNTAX, WORD, parse};
pub use weights::{Weights, WeightsFault, WeightsSpec};
