//! Where the state of the cluster comes from: what is read is cut down to [`Object`]s and told as [`Change`]s.
//!
//! ```text
//!  folder of YAML and JSON ── manifests ──┐            Begin / Upsert / Remove / End
//!                                         ├─ object ──────────────────────────────► Sink (the store's writer)
//!  API server ── cluster: list and watch ─┘  cut down
//! ```
//!
//! * `object` decodes one object and cuts it to the fields that names are made of; both roads go through it.
//! * `selector` reads the label selectors of the `labels` and `namespace_labels` options.
//! * `cluster` lists and watches an API server.
//! * `manifests` watches a folder of Kubernetes manifests and needs no cluster at all.
//!
//! Invariants:
//!
//! * Nothing here knows the wire form of DNS, and nothing behind [`Sink`] knows which source speaks.
//! * A bad field harms its field, a bad object itself, a bad document itself, a bad file itself: what was good
//!   before stays, and each harm is named with kind, namespace and name (rule K-177, reliability A10).
//! * What is not one of our fields never leaves this room, whatever its size.
//! * `manifests` has no clock and no thread: the caller decides when it looks; `cluster` has one thread.
//!
//! [`Object`]: crate::store::change::Object
//! [`Change`]: crate::store::change::Change
//! [`Sink`]: crate::store::change::Sink

pub mod cluster;
pub mod manifests;
pub mod object;
pub mod selector;

pub use selector::Selector;

/// What goes wrong in this room as a whole; what is wrong inside an object is a [`object::Fault`].
#[derive(thiserror::Error, Debug)]
pub enum SourceError {
    /// A label selector that does not parse.
    #[error("label selector {text:?}: expected {expected} at character {at}, found {found}")]
    Selector {
        /// The whole selector.
        text: String,
        /// Where reading stopped, in characters counted from 1.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A text that is not one JSON object.
    #[error("decode an object from JSON")]
    Json {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Bytes that are not one protobuf message.
    #[error("decode an object from protobuf")]
    Protobuf {
        /// Why.
        #[source]
        source: object::Malformed,
    },
}
