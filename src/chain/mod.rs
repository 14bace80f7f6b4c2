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

mod acl;
mod any;
mod asked;
mod authority;
mod auto;
mod autopath;
mod bind;
mod bufsize;
mod build;
mod cache;
mod cancel;
mod caught;
mod chaos;
mod crowd;
mod cut;
mod debug;
mod dns64;
mod dnstap;
mod entry;
mod erratic;
mod errors;
pub mod explain;
mod expression;
mod file;
mod foresight;
mod forward;
mod header;
mod health;
mod hosts;
mod https;
mod https3;
mod k8s_external;
mod kubedns_config;
pub mod kubernetes;
mod loadbalance;
mod local;
mod log;
mod loop_;
mod metadata;
mod minimal;
mod multisocket;
mod network;
mod notify;
mod nsid;
mod observe;
mod parts;
mod pipeline;
mod plan;
mod prometheus;
mod proxyproto;
mod quic;
mod ready;
mod regexp;
mod reload;
mod rewrite;
mod root;
mod rtypes;
mod secondary;
mod share;
mod shed;
mod signal;
mod step;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod timeouts;
mod tls;
mod transfer;
mod view;
mod waiting;
mod walk;
mod whoami;
mod why;
mod words;

pub use asked::{Asked, BUDGET, Client, MAX_FRAMES, Transport};
pub use auto::{Folder, FolderSpec, FolderZone};
pub use autopath::{Completions, Memo};
pub use build::{BuildOptions, Built, DROPPED, Parts, StoreSource, StoreSpec, build};
pub use cache::Cached;
pub use dns64::Translations;
pub use entry::{Entry, Limits};
pub use file::ZoneFile;
pub use hosts::{Hosts, HostsSpec};
pub use kubedns_config::KubeDnsConfig;
pub use kubernetes::SnapshotSpec;
pub use loadbalance::{Weights, WeightsFault, WeightsSpec};
pub use pipeline::{Outcome, Pipeline, PipelineOptions};
pub use plan::{Active, Admin, Chain, Health, Listener, Plan, Ready, Served, Socket};
pub use proxyproto::{ProxyPolicy, Treatment};
pub use reload::Reload;
pub use shed::Shed;
pub use signal::Signal;
pub use step::{Answer, Ask, Context, Errand, Flow, Held, Reply, Sent, Stand, Step};
pub use template::{Counted, TemplateCounts};
pub use timeouts::Timeouts;
pub use transfer::{Grant, Policy, Records, To, Transfer, Whole};
pub use view::View;
pub use words::{ANSWERERS, Support, WORDS, Word, help, word_at};
