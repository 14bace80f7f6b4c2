//! What an API server may do to us, fault by fault: rows A1 to A17 of the fault battery and the traps of list and watch.
//!
//! Each test runs a server of its own in this process against a fake API server (tests/api) over real sockets, and asks it
//! over UDP. Where a bar is a time, the test polls until the answer is right and fails when the time is over; where
//! names must be served through a fault, `Steady` asks for them all along and every wrong reply is shown.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod harness;

#[path = "watch/access.rs"]
mod access;
#[path = "watch/audit.rs"]
mod audit;
#[path = "watch/chance.rs"]
mod chance;
#[path = "watch/converge.rs"]
mod converge;
#[path = "watch/deaf.rs"]
mod deaf;
#[path = "watch/envtest.rs"]
mod envtest;
#[path = "watch/fresh.rs"]
mod fresh;
#[path = "watch/gone.rs"]
mod gone;
#[path = "watch/language.rs"]
mod language;
#[path = "watch/load.rs"]
mod load;
#[path = "watch/numbers.rs"]
mod numbers;
#[path = "watch/objects.rs"]
mod objects;
#[path = "watch/outage.rs"]
mod outage;
#[path = "watch/rights.rs"]
mod rights;
#[path = "watch/selection.rs"]
mod selection;
#[path = "watch/start.rs"]
mod start;
#[path = "watch/truth.rs"]
mod truth;
#[path = "watch/warm.rs"]
mod warm;
#[path = "watch/wider.rs"]
mod wider;
#[path = "watch/world.rs"]
mod world;
