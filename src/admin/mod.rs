//! HTTP beside the DNS: whether the process lives, whether it can answer (rules S-12, S-13), and what it counted.
//!
//! Invariants: read only; on a thread of its own, so that no scrape and no slow client delays a query.

mod caches;
mod explain;
pub mod exposition;
mod guests;
mod http;
mod loopback;
mod observe;
mod poll;
mod snapshots;
mod watches;

pub use caches::caches;
pub use exposition::Exposition;
pub use guests::HttpCounts;
pub use http::{AdminError, AdminOptions, AdminServer, Readiness, Render};
pub(crate) use observe::is_filter;
pub use poll::HealthCounts;
pub use watches::watches;
