//! `signpost compare`: asks two servers the same questions and says where their answers differ.
//!
//! ```text
//! names (a file, or derived from manifests) ─► questions ─► both servers ─► judge ─► Verdict ─► text, JSON
//! ```

mod args;
mod judge;
mod questions;

pub use args::CompareArgs;
pub(super) use args::compare;
