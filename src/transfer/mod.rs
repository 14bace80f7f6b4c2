//! Zones over the network: fetched from primaries and kept up to date, and word to others when a zone has changed.
//!
//! ```text
//!            ┌─ follow: Schedule ─► SOA? ─► AXFR ─► Held ◄── readers
//! Desk ──────┤    ▲ NOTIFY of a primary
//! (thread)   └─ notify ─► those who are told
//! ```
//!
//! Invariants: nothing waits for this thread but what it serves; every step has a deadline, and a zone that comes a bound;
//! a zone takes the place of the one before only once it is whole.

mod desk;
mod fault;
mod fetch;
mod follow;
mod notify;
mod replica;
mod schedule;
#[cfg(test)]
mod tests;

pub use desk::{Desk, Told};
pub use fault::FetchFault;
#[cfg(feature = "fuzzing")]
pub(crate) use fetch::transferred;
pub use replica::{Replica, ReplicaSpec};
pub use schedule::{Schedule, newer};
