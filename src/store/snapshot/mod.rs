//! What is known of a cluster as bytes, for a warm start (rules K-273, K-274): no file is opened here.
//!
//! ```text
//! Store ── write ──► mark, version, About, records …, end, seal (SHA-256) ── decode ──► Decoded ── Writer::restore ──► Store
//! ```
//!
//! Shape: numbers are LEB128, texts and lists have their length in front. One record is one Service with its slices, one
//! Namespace, Pod, ServiceImport, Service as it is reached from outside, or object that claims host names.
//!
//! Invariants: whatever the bytes, reading them ends without a panic and allocates no more than their length justifies; nothing
//! is taken from bytes of which any part is no good; a record is made and written while no lock is held.

mod about;
mod bytes;
mod hosts;
mod read;
mod record;
mod write;

pub use about::About;
pub(super) use bytes::{Take, put_arrays, put_bytes, put_count, put_number};
pub use read::{Decoded, decode, decode_unsealed};
pub(super) use record::{Lists, Record, protocol_code, put_pod, take_protocol};
pub use write::write;

/// What stands at the start of each.
const MARK: &[u8; 16] = b"signpost\nwarm\r\n\0";

/// The version of the form that is written, and the only one that is read.
const VERSION: u16 = 1;

/// Bytes of the seal.
const SEAL: usize = 32;

/// Why bytes are no snapshot that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotFault {
    /// They begin as none does.
    #[error("it is no snapshot of signpost's")]
    Other,
    /// Another version wrote them.
    #[error("it has version {found}, and this is signpost for version {}", VERSION)]
    Version {
        /// Which.
        found: u16,
    },
    /// The seal does not fit: cut off, or changed.
    #[error("its checksum does not fit: it is cut off or was changed")]
    Seal,
    /// The seal fits, and yet something can't be.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
}
