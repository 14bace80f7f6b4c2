//! Panics of everything that runs beside queries, in the binary itself (RELIABILITY P11, S-50). Each is ordered
//! (src/panics/ordered.rs) and happens; it is counted under the name of its task and told in a line; what panicked goes on with its
//! work; the process lives, and names are answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

mod api;
#[path = "faults/cluster.rs"]
mod cluster;
mod encrypted;
#[path = "faults/listeners.rs"]
mod listeners;
#[path = "faults/outside.rs"]
mod outside;
#[allow(dead_code, reason = "the tests of the command line use all of it")]
#[path = "cli/process.rs"]
mod process;
#[path = "faults/rig.rs"]
mod rig;
#[path = "faults/threads.rs"]
mod threads;
