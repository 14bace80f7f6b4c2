//! A folder of Kubernetes manifests as the state of a cluster: names are answered without a cluster at all.
//!
//! ```text
//!  folder ── watch: stat ──► files that changed ── read: documents ──► objects, problems
//!                                                                          │ (all files)
//!  Sink ◄── Begin, Upsert, Remove, End ◄── what differs from before ◄── derive: endpoints, namespaces
//! ```
//!
//! Invariants:
//!
//! * A look at a folder that did not change reads no file.
//! * A file that breaks keeps its last good objects; a broken document harms only itself; each harm is named once.
//! * The same folder gives the same objects, whatever the order in which its files came.
//! * Nothing is invented: a Service without an address has none, and is named.

mod derive;
mod found;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod listing;
mod read;
mod report;
mod watch;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use self::report::{Counts, Problem, Reason, Report};
pub use self::watch::Manifests;
use super::selector::Selector;
use crate::store::change::Kind;

/// Which folder is read and what of it is fed.
#[derive(Clone, Debug)]
pub struct ManifestsOptions {
    /// The folder; its sub-folders belong to it.
    pub dir: PathBuf,
    /// Only Services, EndpointSlices and Pods with these labels (rule K-208).
    ///
    /// Endpoints that are derived from v1 Endpoints or Pods follow the labels of their Service.
    pub labels: Option<Selector>,
    /// Feeds Pods, which `pods verified` needs.
    pub pods: bool,
    /// Feeds endpoints; false for `noendpoints`.
    pub endpoints: bool,
    /// The kinds that are read and fed beside those, Services and Namespaces.
    pub more: Vec<Kind>,
}
