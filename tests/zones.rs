//! `file`, `auto`, `secondary` and `transfer` over real sockets: whole zones to `dig` and `kdig`, to and from `knotd` and
//! `nsd`, and beside CoreDNS where COREDNS_BIN names one. A test that needs a binary says so where it is missing.
//!
//! Replies are read by hickory, an independent judge.
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

#[path = "zones/beside.rs"]
mod beside;
#[path = "zones/cluster.rs"]
mod cluster;
#[path = "zones/others.rs"]
mod others;
#[path = "zones/secondaries.rs"]
mod secondaries;
#[path = "zones/serving.rs"]
mod serving;
#[path = "zones/transfers.rs"]
mod transfers;
#[path = "zones/world.rs"]
mod world;
