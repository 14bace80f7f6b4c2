//! A Kubernetes API server for tests: a cluster in memory, served over real HTTP or HTTPS, that fails on command.
//!
//! ```text
//!  test ── apply, delete, restore ──► Cluster ──────────┐
//!       ── fault, down, black_hole ─► Faults, Network ──┤
//!       ◄── requests, happened ───── Log ◄──────────────┤
//!                                                       ▼
//!  server under test ◄── HTTP/1.1 over TCP or TLS ── Connection ── list, watch, initial events, bookmarks
//! ```
//!
//! * `cluster`: objects, one counter of versions, the history that watches resume from.
//! * `object`: builders of the four kinds of objects.
//! * `protobuf`: the other language, for clients that ask for it.
//! * `selector`: label and field selectors, written anew so that they do not share a mistake with the server's.
//! * `fault`: what goes wrong, where, how often, and how often it did.
//! * `answer`: one request, answered as an API server would or as the faults have it.
//! * `connection`: HTTP/1.1 by hand, so that a reply may end, stall or be cut anywhere.
//! * `tls`: certificate authorities made on the spot.
//! * `server`: [`FakeApi`], which holds all of it.
//!
//! Everything runs on one thread of its own and listens on a port that the kernel chose.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "it is a module of several binaries")]
#![allow(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]

mod answer;
mod cluster;
mod connection;
mod fault;
pub mod object;
mod protobuf;
mod selector;
mod server;
mod tls;

pub use cluster::{Cluster, Resource, Versions};
pub use fault::{Call, Fault, Rule};
pub use object::{namespace, pod, service, slice};
pub use protobuf::Speaks;
pub use server::{FakeApi, StartOptions};
pub use tls::Authority;
