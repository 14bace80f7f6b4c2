//! Our own certificates: from files to what rustls serves with, read again when the files change.
//!
//! ```text
//!  CERT KEY [CA] ─► Certificates::open ─► one ServerConfig for each protocol spoken inside
//!                        ▲ look, now and then
//! ```
//!
//! Invariants: a connection keeps what it began with; files that can't be used change nothing but the log; a key never
//! reaches a message.

mod certificates;
mod clients;
mod pinned;

pub use certificates::{Alpn, CertificateSpec, Certificates, Look};
pub use clients::ClientAuth;
pub(crate) use pinned::servers;
