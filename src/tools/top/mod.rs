//! `signpost top`: who asks most, for what, in vain and slowly.
//!
//! ```text
//! /top of the running server ─► TopPage ─┬─ a terminal ─► screen, drawn anew every two seconds
//!                                        └─ a pipe ─► lines, or JSON, once
//! ```

mod args;
mod screen;
#[cfg(test)]
mod tests;

pub(super) use args::top;
pub use args::{List, TopArgs};
