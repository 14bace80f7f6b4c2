//! Upstreams over streams: TCP, TLS, HTTPS and QUIC, on a thread of their own.
//!
//! ```text
//!  workers ──Job──► Desk ──► Lane, one an upstream and protocol ──► Connection, at most a few
//!     ▲          (bounded)      │ backlog, retries                     │ open: TCP, TLS, QUIC (`dial`, `tls`, `quic`)
//!     └──Arrival── Inlet ◄──────┴──────────────────────────────────────┤ talk: `framed` with ids of its own, or
//!                                                                      └       `many`: a stream a query (`https`, `quic`)
//! ```
//!
//! Invariants: a job ends in exactly one arrival unless its time passes (`Task`, which sees to it when dropped);
//! everything that waits is bounded, in jobs and in bytes; a query is sent a second time only where a connection that
//! had been used died, and then on a fresh one; an encrypted upstream is never asked in another way.
//! Why all of this is away from the workers: docs/decisions/0004-upstream-streams.md.

mod age;
mod connection;
mod desk;
mod dial;
mod fault;
mod framed;
mod https;
mod lane;
mod many;
#[cfg(feature = "quic")]
mod quic;
mod task;
#[cfg(test)]
mod tests;
mod tls;

pub use desk::{Desk, DeskOptions};
pub(super) use fault::{TIMEOUT, of_io};
