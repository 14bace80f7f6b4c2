//! The middleware: a Corefile's blocks as flat lists of steps, and the pipeline that walks them for every transport.
//!
//! ```text
//! Spec ──► build ──► Plan ─┬─ Listener ─► zones ─► Chain ─► Step, Step, Step …
//!                          └─ Admin                 ▲
//! bytes ─► Pipeline ────────────────────────────────┘ ─► bytes
//! ```
//!
//! Invariants: a step returns a value and writes nothing; the order of steps is fixed (rule S-01); a query ends on the plan
//! that it began on; every word is one file or folder, and `words` lists all of them.

mod any;
mod asked;
mod bind;
mod bufsize;
mod build;
mod cache;
mod caught;
mod debug;
mod dns64;
mod entry;
mod errors;
mod forward;
mod health;
mod hosts;
mod https;
mod https3;
pub mod kubernetes;
mod loadbalance;
mod log;
mod loop_;
mod metadata;
mod minimal;
mod pipeline;
mod plan;
mod prometheus;
mod proxyproto;
mod quic;
mod ready;
mod reload;
mod share;
mod signal;
mod step;
#[cfg(test)]
mod tests;
mod tls;
mod waiting;
mod walk;
mod whoami;
mod words;

pub use asked::{Asked, BUDGET, Client, MAX_FRAMES, Transport};
pub use build::{BuildOptions, Built, DROPPED, Parts, StoreSource, StoreSpec, build};
pub use cache::Cached;
pub use dns64::Translations;
pub use entry::{Entry, Limits};
pub use hosts::{Hosts, HostsSpec};
pub use pipeline::{Outcome, Pipeline, PipelineOptions};
pub use plan::{Active, Admin, Chain, Health, Listener, Plan, Ready, Served, Socket};
pub use proxyproto::{ProxyPolicy, Treatment};
pub use reload::Reload;
pub use signal::Signal;
pub use step::{Answer, Ask, Context, Errand, Flow, Held, Reply, Sent, Step};
pub use words::{ANSWERERS, Support, WORDS, Word, help, word_at};
