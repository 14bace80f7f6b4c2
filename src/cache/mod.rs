//! Answers of upstreams, remembered for their TTL: positive, negative and failed ones, each kind within its own budget of bytes.
//!
//! ```text
//! reply ──► judge ──► Verdict (kind, seconds) ──► Cache::keep ──► Arc<Entry>
//! question ──► Key ──► Cache::find ──► Found: fresh, stale or failed ──► Entry::show ──► draft
//! ```
//!
//! Invariants: nothing here asks anybody or reads a clock; what is kept together never weighs more than the budget; no entry
//! is handed out beyond its TTL and the stale limit; a hit allocates nothing; a failure never hides an answer.

mod counts;
mod entry;
mod judge;
mod key;
mod options;
mod store;
#[cfg(test)]
mod tests;

pub use counts::{Counts, WorkerCounts};
pub use entry::{Entry, Kind, Shown};
pub use judge::{Seen, Verdict, judge};
pub use key::Key;
pub use options::{Options, Prefetch, Side, Spec, Stale, StaleMode};
pub use store::{Cache, Found, Usage};
