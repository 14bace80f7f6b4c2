//! What is asked of an API server: a path and a query for each kind.

use std::fmt::Write as _;

use crate::source::Selector;
use crate::store::change::Kind;

/// Items of a page.
const PAGE: usize = 500;

/// The collection of a kind.
pub(super) fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Services => "/api/v1/services",
        Kind::EndpointSlices => "/apis/discovery.k8s.io/v1/endpointslices",
        Kind::Namespaces => "/api/v1/namespaces",
        Kind::Pods => "/api/v1/pods",
    }
}

/// The plural name of a kind, as in its path.
pub(super) fn resource(kind: Kind) -> &'static str {
    match kind {
        Kind::Services => "services",
        Kind::EndpointSlices => "endpointslices",
        Kind::Namespaces => "namespaces",
        Kind::Pods => "pods",
    }
}

/// Whether an API server has protobuf for a kind: built-in kinds are, those that a CRD defines never.
pub(super) fn speaks_protobuf(kind: Kind) -> bool {
    match kind {
        Kind::Services | Kind::EndpointSlices | Kind::Namespaces | Kind::Pods => true,
    }
}

/// The RBAC rule that a kind needs, in words.
pub(super) fn rule(kind: Kind) -> &'static str {
    match kind {
        Kind::Services => "list and watch on `services` (API group \"\")",
        Kind::EndpointSlices => "list and watch on `endpointslices` (API group \"discovery.k8s.io\")",
        Kind::Namespaces => "list and watch on `namespaces` (API group \"\")",
        Kind::Pods => "list and watch on `pods` (API group \"\")",
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    /// A page of a list; the token of the page before, empty for the first.
    Page(&'a str),
    /// A whole list in one.
    Whole,
    /// A list by watch, and the watch behind it.
    Stream {
        /// When the server is to end it. Unit: seconds.
        timeout: u64,
    },
    /// A watch from a version.
    Watch {
        /// The version.
        version: &'a str,
        /// When the server is to end it. Unit: seconds.
        timeout: u64,
    },
}

/// Path and query of a request (rules K-158, K-208, K-260).
pub(super) fn target(kind: Kind, labels: Option<&Selector>, ask: Ask<'_>) -> String {
    let mut query = Query { text: format!("{}?", path(kind)) };
    match ask {
        Ask::Page(token) => {
            query.add("limit", &PAGE.to_string());
            if !token.is_empty() {
                query.add("continue", token);
            }
        }
        Ask::Whole => {}
        Ask::Stream { timeout } => {
            query.add("watch", "true");
            query.add("allowWatchBookmarks", "true");
            query.add("sendInitialEvents", "true");
            query.add("resourceVersionMatch", "NotOlderThan");
            query.add("timeoutSeconds", &timeout.to_string());
        }
        Ask::Watch { version, timeout } => {
            query.add("watch", "true");
            query.add("allowWatchBookmarks", "true");
            query.add("resourceVersion", version);
            query.add("timeoutSeconds", &timeout.to_string());
        }
    }
    if kind == Kind::Pods {
        query.add("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown");
    }
    // Namespaces are not filtered (K-208).
    if let Some(labels) = labels
        && kind != Kind::Namespaces
    {
        query.add("labelSelector", labels.as_str());
    }
    query.text
}

/// A query string in the making.
struct Query {
    /// Path and parameters so far.
    text: String,
}

impl Query {
    /// Adds a parameter.
    fn add(&mut self, name: &str, value: &str) {
        if !self.text.ends_with('?') {
            self.text.push('&');
        }
        self.text.push_str(name);
        self.text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.text.push(char::from(byte))
                }
                // Writing into a String cannot fail.
                _ => drop(write!(self.text, "%{byte:02X}")),
            }
        }
    }
}
