//! What an API server says: events, metadata, statuses.

use std::time::Duration;

use serde::Deserialize;

use super::trouble::{GONE, Trouble};
use crate::store::change::Object;

/// An event of a watch.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// ADDED, MODIFIED, DELETED, BOOKMARK, ERROR.
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    /// The object.
    #[serde(borrow)]
    pub(super) object: &'a serde_json::value::RawValue,
}

/// The metadata of anything.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Meta {
    /// `metadata`.
    pub(super) metadata: MetaFields,
    /// `code` of a Status.
    pub(super) code: u16,
    /// `message` of a Status.
    pub(super) message: String,
}

/// The fields of `metadata` that lists and watches need.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MetaFields {
    /// The version.
    pub(super) resource_version: String,
    /// The token of the next page.
    #[serde(rename = "continue")]
    pub(super) next: String,
    /// For the end of a list by watch.
    pub(super) annotations: std::collections::HashMap<String, String>,
}

/// The annotation on the bookmark that ends a list by watch.
pub(super) const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The trouble that a status stands for.
pub(super) fn status(code: u16, after: Option<Duration>, message: String) -> Trouble {
    match code {
        410 => Trouble::Expired(GONE),
        403 => Trouble::Denied(message),
        401 => Trouble::Unauthorized(message),
        429 | 503 => Trouble::Busy { status: code, after },
        status => Trouble::Status { status, message },
    }
}

/// The metadata of an object; empty where it is none.
pub(super) fn meta(json: &[u8]) -> Meta {
    serde_json::from_slice(json).unwrap_or_default()
}

/// The version of an object.
pub(super) fn version(object: &Object) -> String {
    match object {
        Object::Service(object) => &object.revision,
        Object::Slice(object) => &object.revision,
        Object::Namespace(object) => &object.revision,
        Object::Pod(object) => &object.revision,
        Object::Import(object) => &object.revision,
        Object::Hosts(object) => &object.revision,
    }
    .version
    .to_string()
}

/// Whether `new` is an older version than `old`. Versions are numbers in fact, though not by contract: others never compare.
pub(super) fn backwards(old: &str, new: &str) -> bool {
    match (old.parse::<u64>(), new.parse::<u64>()) {
        (Ok(old), Ok(new)) => new < old,
        _ => false,
    }
}
