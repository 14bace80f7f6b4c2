//! dnstap: what was asked and answered, told to whoever collects it.
//!
//! ```text
//! queries ─► Event ─► encode (protobuf) ─► Outlet: a bounded queue ─► Sink: a thread ─► Frame Streams ─► collector
//!                                             └─ full: dropped and counted, never waited for
//! ```
//!
//! Invariants: a query never waits for a collector; the queue is bounded in messages and in bytes; bytes that come from a
//! collector are read up to a bound and only while a connection is opened or closed.
//!
//! Source: dnstap.proto, the Frame Streams protocol (fstrm), coredns `plugin/dnstap`.

mod encode;
mod frames;
mod link;
mod outlet;
mod sink;
#[cfg(test)]
mod tests;

pub use encode::{Event, Kind, Socket, encode};
pub use link::LinkFault;
pub use outlet::{Endpoint, Outlet, Side, TapSpec};
pub use sink::Sink;
