//! Sockets: datagrams in batches, streams with their deadlines, workers, drain. One pipeline behind all of them.
//!
//! ```text
//!  sockets ─► Link ─► Worker ─┬─ datagrams ─► Pipeline ─► datagrams
//!                             └─ Streams ──► Pipeline ─► Streams
//!  sockets ─► gate (PROXY, TLS) ─► the same, and beside it HTTP and QUIC, on the threads of `encrypted`
//! ```
//!
//! Invariants: nothing on the road of a query crosses a thread; a worker talks to the world only through its `Link`, so the
//! same worker runs on the kernel and in memory; every deadline is absolute; every bound is counted when it is met;
//! `unsafe` stands in `kernel` and `sockopt` alone.

mod bind;
mod drops;
mod encrypted;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod gate;
mod kernel;
mod kernel_link;
mod link;
pub mod memory;
mod pressure;
mod proxies;
mod pulse;
mod sieve;
mod sockopt;
mod stream;
#[cfg(test)]
mod tests;
mod worker;
mod workers;

pub use bind::{BindError, Bound, Group, Sockets, bind};
pub use drops::of as kernel_drops;
pub use encrypted::encrypted_threads;
pub use gate::GateLink;
pub use kernel::{BATCH, Envelope, Inbox, Outbox, RECEIVE, SEND, Sent, give_back};
pub use kernel_link::{KernelLink, wake_handle};
pub use link::{Link, Ready, StreamId};
pub use pulse::Pulse;
pub use stream::StreamLimits;
pub use worker::{Order, Orders, Phase, Worker, WorkerOptions};
pub use workers::{Crew, CrewOptions, worker_count};
