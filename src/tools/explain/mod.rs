//! `signpost explain`: why a name resolves as it does, candidate by candidate of a search list.
//!
//! ```text
//! name, search list ─► walk: candidates ─► Oracle (a running server, or manifests) ─► Account a question ─► Story ─► text, JSON
//! ```

mod args;
mod oracle;
mod pod;
mod show;
mod walk;

pub use args::ExplainArgs;
pub(super) use args::explain;
