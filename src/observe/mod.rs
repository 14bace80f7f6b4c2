//! What was asked lately: who asks most, for what, in vain, slowly; and the last queries one by one.
//!
//! ```text
//! a query's end ─► Observer::note ─► this worker's desk ─┬─ sketches, six of them (Space-Saving)
//!                                                        └─ ring: the last queries, oldest overwritten
//! every 15 s, and when somebody reads ─► collect: sketches are taken away whole ─► panes of 1, 10 and 60 minutes
//! /top ─► the panes of a window, merged     /tap ─► rings, from where the reader was
//! ```
//!
//! Invariants: memory is taken when the word is read and does not grow with what is asked; a query allocates nothing here and
//! waits for nobody: where a reader has the desk in hand for its few microseconds, the query is not noted, and counted as missed.
//!
//! Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams" (2005); Agarwal
//! et al., "Mergeable summaries" (2012).

mod observer;
mod panes;
mod ring;
mod seen;
mod sketch;
mod summary;
#[cfg(test)]
mod tests;
mod told;

pub use observer::{Observer, ObserverSpec};
pub use panes::WINDOWS;
pub use ring::RECORD;
pub use seen::{Filter, Seen};
pub use sketch::Sketch;
pub use summary::Summary;
pub use told::{Row, TapPage, Told, TopPage};
