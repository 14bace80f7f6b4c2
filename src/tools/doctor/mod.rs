//! `signpost doctor`: what is wrong or wasteful here, as far as it can really be known, and what to do about it.
//!
//! ```text
//! resolv.conf, Corefile, /metrics and /ready of the running server, the limits of the container ─► Finding … ─► text, JSON
//! ```
//!
//! What can't be looked at is said, and nothing is concluded from it.

mod args;
mod asked;
mod memory;
mod numbers;
mod resolv;
mod server;

pub use args::DoctorArgs;
pub(super) use args::doctor;
