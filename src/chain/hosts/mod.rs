//! `hosts`: names and addresses from a file in the form of `/etc/hosts`, and from the Corefile itself (rule S-10).
//!
//! ```text
//! Corefile ─► parse ─► HostsSpec ─(Parts)─► Hosts ◄─ replace ─ whoever looks at the file
//!                                             │ Table
//! Question ──────────────────────────► step ──┘─► A, AAAA, PTR
//! ```
//!
//! Invariants: nothing here reads a file; a table is made before it is put in the place of the old one.

mod parse;
mod step;
mod table;
#[cfg(test)]
mod tests;

pub(super) use parse::{HELP, SYNTAX, WORD, parse};
pub use table::{Hosts, HostsSpec};
