//! A cluster's API server: one list and watch for each kind, told as one stream of changes.
//!
//! ```text
//!  Access ─► Connection ─► kube's Client::send ─► bytes ─► encoding ─► object::decode ─► Change ─► Feed ─► Sink
//!                 ▲ made anew when files or trust change   (split, protobuf)
//!                 ├───────── Reflector (one a kind): list ─► watch ─► resume, relist, back off
//!                 └───────── Auditor: names and versions, compared with what is held
//! ```
//!
//! Invariants: objects are decoded one at a time and never collected; one bad object harms only itself; a kind that is in
//! trouble keeps nobody else waiting; nothing that was listed once goes because the API server is away (rule K-268).

mod access;
mod audit;
mod backoff;
mod body;
mod dial;
mod encoding;
mod event;
mod feed;
mod fetch;
mod kubeconfig;
mod protobuf;
mod reflect;
mod request;
mod review;
mod split;
mod start;
#[cfg(test)]
mod tests;
mod throttle;
mod track;
mod trouble;

use std::time::Duration;

pub use access::{Access, AccessError};
pub use dial::{Dial, Dialled, Pipe};
#[cfg(feature = "fuzzing")]
pub(crate) use reflect::fuzzed;
pub use request::{group, resource};
pub use review::{Review, ReviewError, review};
pub use start::{Cluster, ClusterOptions, watch};
pub use throttle::ThrottleOptions;

/// How long things may take; tests make them short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// A watch that brings neither event nor bookmark for so long is opened again from its last version.
    pub mute: Duration,
    /// The head of an answer that takes longer will not come: the request has failed.
    pub head: Duration,
    /// A connection on which the peer acknowledges nothing for so long is dead (TCP keepalive, `TCP_USER_TIMEOUT`).
    pub dead: Duration,
    /// The first pause after a failure.
    pub backoff_min: Duration,
    /// The longest pause after failures.
    pub backoff_max: Duration,
    /// A list by watch that stands still for so long is given up, and pages are asked for instead.
    pub initial_bookmark: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            mute: Duration::from_secs(90),
            head: Duration::from_secs(30),
            dead: Duration::from_secs(20),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            initial_bookmark: Duration::from_secs(30),
        }
    }
}
