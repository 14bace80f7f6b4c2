//! HTTP beside the DNS: whether the process lives, and whether it can answer (rules S-12, S-13).
//!
//! Invariants: read only; on a thread of its own, so that no scrape and no slow client delays a query.

mod http;

pub use http::{AdminError, AdminServer, Readiness};
