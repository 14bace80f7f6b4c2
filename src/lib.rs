//! signpost: the cluster DNS server. ARCHITECTURE.md walks the road of a query through these rooms.

pub mod admin;
pub mod app;
pub mod cache;
mod cgroup;
pub mod chain;
pub mod corefile;
#[cfg(feature = "quic")]
mod datagrams;
pub mod flags;
pub mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "hickory")]
pub mod hickory;
pub mod logging;
pub mod metrics;
pub mod observe;
pub mod panics;
pub mod server;
pub mod source;
pub mod store;
mod sync;
pub mod tap;
pub mod time;
pub mod tls;
pub mod tools;
pub mod transfer;
pub mod wire;
mod yaml;
pub mod zone;
