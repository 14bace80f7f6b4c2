//! `signpost check`: what a Corefile would do, what is odd in it, and what a change changes, without serving it.
//!
//! ```text
//! text ─► look ─► Looked ─► report (blocks, watches, rights) ─┐
//!                      └──► notice (what is odd) ─────────────┴─► Report ─► text, JSON, difference
//! ```

mod args;
mod difference;
mod notice;
mod report;
mod show;

pub use args::CheckArgs;
pub(super) use args::check;
pub(super) use notice::{Notice, notices};
