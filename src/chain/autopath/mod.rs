//! `autopath`: a client's search list, walked here instead of by the client (rule K-255).
//!
//! ```text
//! api.example.com.NS.svc.Z ─► behind this step: the name itself, then api.example.com.svc.Z … api.example.com.
//!                             first reply that is no name error ─► CNAME to its name in front, the question set back
//! ```
//!
//! Every candidate walks the rest of the chain as a question of its own, so `acl`, the cache and all else decide about each
//! by its own name.

mod parse;
mod step;

pub(super) use parse::{HELP, PendingSearch, SYNTAX, WORD, parse};
#[cfg(test)]
pub(super) use step::{Autopath, List};
pub use step::{Completions, Memo};
