//! Threads for what is encrypted: no handshake delays a datagram.
//!
//! ```text
//!  tls://                ─► GateLink ─► Streams ─┐
//!  https://, https3://   ─► HTTP ─► Request ─────┼─► Worker::ask ─► the pipeline of this thread
//!  quic://               ─► a stream a query ────┘
//! ```
//!
//! Each thread has a worker of its own, with its own table of waiting queries, wake-up and sockets to upstreams; what the
//! libraries of HTTP and QUIC do runs on the same thread beside it. Raw messages go in and come out.
//!
//! Invariants: sizes are checked before anything is decoded; a count or length from the network reserves nothing; what a
//! connection may have under way, read and unsent is bounded, and so is the time for each of it.

mod door;
#[cfg(feature = "https3")]
mod frames;
mod guest;
mod http;
mod https;
#[cfg(feature = "https3")]
mod https3;
mod ledger;
#[cfg(feature = "quic")]
mod quic;
pub(super) mod request;
mod room;
mod sips;
mod thread;

pub use thread::encrypted_threads;
pub(super) use thread::{Encrypted, EncryptedOptions};
