//! What goes wrong while a zone is fetched.

use std::time::Duration;

use crate::wire::{Malformed, Rcode};
use crate::zone::Refusal;

/// Why a primary gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// No connection, or one that broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("no answer for {}", crate::time::show_duration(*.0))]
    Late(Duration),
    /// A message that can't be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message that answers something else.
    #[error("it answers what was not asked")]
    Strange,
    /// It says no.
    #[error("it says {}", .0.text())]
    Rcode(Rcode),
    /// There is no SOA where one must be.
    #[error("it sends no SOA of the zone")]
    NoSoa,
    /// The zone changed on the way.
    #[error("the SOA at the end is not the one at the front")]
    Changed,
    /// A record can't be taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
