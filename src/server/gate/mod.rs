//! What stands between a listener and the streams of a worker: the header of a proxy, and TLS.
//!
//! ```text
//!  Link ─► accept ─► PROXY header ─► TLS handshake ─► Streams, which see plain bytes
//! ```
//!
//! Invariants: nobody gets past without what was asked for, and within the time for it; what is kept of a peer that is not
//! past is bounded; a stream that needs nothing costs one look-up.

mod link;
pub(super) mod proxy;
mod session;
#[cfg(test)]
mod tests;

pub use link::GateLink;
pub(super) use link::PATIENCE;
