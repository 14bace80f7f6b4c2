//! Records in presentation form: as zone files, templates and people write them.
//!
//! ```text
//! text ─► Lexer ─► Entry: words ─► rdata_from_words: each type is a list of fields ─► RDATA in wire form
//! ```
//!
//! Invariants: whatever the text, never a panic; never on the road of a query but for templates that its data fill in.

mod lexer;
mod location;
mod rdata;
mod record;
mod service;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use lexer::{Entry, Lexer, Token};
pub(crate) use rdata::rdata_from_words;
pub(crate) use record::TTL;
pub use record::{TextFault, TextRecord, record_from_text};
pub(crate) use words::{absolute, seconds};
