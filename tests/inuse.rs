//! The Corefiles that clusters use, word for word: the binary serves each of them as in a pod, with networks, ports and files of
//! its own (see `inuse/namespace.rs`), a fake API server and scripted upstreams.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]
#![allow(dead_code, reason = "each test binary uses a part of what it shares")]

mod api;
#[path = "scenarios/bytes.rs"]
mod bytes;
#[path = "inuse/cluster.rs"]
mod cluster;
#[path = "inuse/corefiles.rs"]
mod corefiles;
mod harness;
#[path = "inuse/interface.rs"]
mod interface;
#[path = "inuse/namespace.rs"]
mod namespace;
#[path = "inuse/node.rs"]
mod node;
#[path = "outside/script.rs"]
mod script;
#[path = "inuse/world.rs"]
mod world;
