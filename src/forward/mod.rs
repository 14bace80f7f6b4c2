//! Asking others: upstreams, what is known of their health, and the questions under way to them.
//!
//! ```text
//! step `forward` ──► Group ──(policy, health)──► Upstream
//!        │ Need                                     ▲
//!        ▼                                          │ datagrams, by the worker's own sockets (`Network`)
//!    Exchange: one a worker ──► Flight, Flight … ───┤
//!        │ Arc<Response> or Failure                 │ streams, TLS, HTTPS, QUIC: threads of their own (`Streams`)
//!        ▼                                          ▼
//!    every query that waits for it
//! ```
//!
//! Invariants: an `Exchange` is a state machine that never waits and is told the time; a reply counts only if id,
//! question and place match, whatever else comes is counted and the right one awaited; identical questions of a worker
//! share one flight; nothing is kept of a reply but records on the chain from its question.

mod exchange;
mod flight;
mod group;
mod health;
mod holdings;
mod lookup;
mod loops;
mod network;
mod pool;
mod query;
mod resolv;
mod response;
mod room;
mod streams;
mod target;
mod upstream;

pub use exchange::{Done, Exchange, ExchangeOptions, Failure, Need, Random, Waiter};
pub use group::{Group, GroupCounts, GroupOptions, Policy};
pub use health::{Durations, Health};
pub use holdings::Client;
pub use lookup::{HostName, look_up};
pub use loops::{Loops, Suspect};
pub use network::{Arrival, Blame, Inlet, Job, Network, StreamFault, Streams, Ticket};
pub use resolv::{Look, ResolvFile, search_list};
#[cfg(feature = "fuzzing")]
pub(crate) use resolv::{name_servers, searches};
pub use response::{Expect, Response, Unfit, read};
pub use streams::{Desk, DeskOptions};
pub use target::{GroupSpec, Target, TargetFault, is_own, scoped};
pub use upstream::{HealthCheck, Protocol, TlsSpec, Upstream, UpstreamCounts, UpstreamSpec};
