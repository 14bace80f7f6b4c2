//! Zones of records: from the text of a zone file, or record by record, to an immutable zone that answers by name.
//!
//! ```text
//! text ─► Lexer ─► read ─► Builder ─► Zone (Arc) ─► Held ─► answer: sections of a reply
//!                            ▲                         └──► Sender: a whole zone, piece by piece
//! records of a transfer ─────┘
//! ```
//!
//! Invariants: a zone never changes, a newer one takes its place whole; answering allocates nothing beyond what drafts
//! reuse; nothing here opens a file or a socket, reads a clock or knows a Corefile.

mod build;
mod generate;
mod held;
mod lookup;
mod names;
mod read;
mod send;
#[cfg(test)]
mod tests;

pub use build::{Builder, Refusal, Zone};
pub use held::{Held, State};
pub use lookup::Verdict;
pub use names::canonical;
pub use read::{Fault, Files, read};
pub use send::Sender;
