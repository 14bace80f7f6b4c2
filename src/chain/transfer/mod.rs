//! `transfer`: whole zones, to those who may have them, and word to them when zones change (rule S-19).
//!
//! ```text
//! AXFR, IXFR ─► step ─► Policy ─┬─ REFUSED
//!                               └─ Flow::Transfer ─► the first step with the zone ─► Records ─► Transfer ─► messages
//! ```
//!
//! Invariants: a message is made when the stream has room for it, never before; whoever reads slowly holds up nobody.

mod parse;
mod policy;
mod ready;
mod sending;
mod step;

pub(super) use parse::{HELP, SYNTAX, WORD, address, parse};
pub use policy::{Grant, Policy, To};
pub(super) use ready::Ready;
pub use sending::{Records, Transfer, Whole};
