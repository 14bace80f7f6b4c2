//! What is asked of an API server: a path and a query for each kind.

use std::fmt::Write as _;

use crate::source::Selector;
use crate::store::change::{HostKind, Kind, ObjectKey};

/// Items of a page.
const PAGE: usize = 500;

/// The collections of a kind, that of the version which is asked for first in front; one of them is there, or none.
pub(super) fn paths(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Services => &["/api/v1/services"],
        Kind::EndpointSlices => &["/apis/discovery.k8s.io/v1/endpointslices"],
        Kind::Namespaces => &["/api/v1/namespaces"],
        Kind::Pods => &["/api/v1/pods"],
        Kind::Imports => &["/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"],
        Kind::Hosts(HostKind::Ingresses) => &["/apis/networking.k8s.io/v1/ingresses"],
        Kind::Hosts(HostKind::Gateways) => &[
            "/apis/gateway.networking.k8s.io/v1/gateways",
            "/apis/gateway.networking.k8s.io/v1beta1/gateways",
        ],
        Kind::Hosts(HostKind::HttpRoutes) => &[
            "/apis/gateway.networking.k8s.io/v1/httproutes",
            "/apis/gateway.networking.k8s.io/v1beta1/httproutes",
        ],
        Kind::Hosts(HostKind::GrpcRoutes) => &[
            "/apis/gateway.networking.k8s.io/v1/grpcroutes",
            "/apis/gateway.networking.k8s.io/v1alpha2/grpcroutes",
        ],
        Kind::Hosts(HostKind::TlsRoutes) => &[
            "/apis/gateway.networking.k8s.io/v1/tlsroutes",
            "/apis/gateway.networking.k8s.io/v1alpha3/tlsroutes",
            "/apis/gateway.networking.k8s.io/v1alpha2/tlsroutes",
        ],
    }
}

/// The API group of a kind; empty for the core one.
#[must_use]
pub fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::Services | Kind::Namespaces | Kind::Pods => "",
        Kind::EndpointSlices => "discovery.k8s.io",
        Kind::Imports => "multicluster.x-k8s.io",
        Kind::Hosts(HostKind::Ingresses) => "networking.k8s.io",
        Kind::Hosts(_) => "gateway.networking.k8s.io",
    }
}

/// The plural name of a kind, as in its path.
#[must_use]
pub fn resource(kind: Kind) -> &'static str {
    kind.resource()
}

/// Whether a cluster may do without a kind: it comes with a CustomResourceDefinition that nobody may have installed.
pub(super) fn may_be_absent(kind: Kind) -> bool {
    match kind {
        Kind::Services | Kind::EndpointSlices | Kind::Namespaces | Kind::Pods => false,
        Kind::Imports | Kind::Hosts(_) => true,
    }
}

/// Whether a kind is asked for in protobuf: servers never have it for those that a CRD defines.
pub(super) fn speaks_protobuf(kind: Kind) -> bool {
    match kind {
        Kind::Services | Kind::EndpointSlices | Kind::Namespaces | Kind::Pods => true,
        // Ingresses would have it too; there are few of them.
        Kind::Imports | Kind::Hosts(_) => false,
    }
}

/// The RBAC rule that a kind needs, in words.
pub(super) fn rule(kind: Kind) -> String {
    let group = group(kind);
    format!("list and watch on `{}` (API group \"{group}\")", resource(kind))
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    /// A page of a list; the token of the page before, empty for the first.
    Page(&'a str),
    /// A whole list in one.
    Whole,
    /// One object, as a list of it alone: reading it by its name would be a right more (`get`).
    One(&'a ObjectKey),
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

/// Path and query of a request (rules K-158, K-208, K-260); `path` is one of `paths`.
pub(super) fn target(kind: Kind, path: &str, labels: Option<&Selector>, ask: Ask<'_>) -> String {
    let mut query = Query { text: format!("{path}?") };
    let mut fields = String::new();
    match ask {
        Ask::Page(token) => {
            query.add("limit", &PAGE.to_string());
            if !token.is_empty() {
                query.add("continue", token);
            }
        }
        Ask::Whole => {}
        Ask::One(key) => {
            if let Some((before, plural)) = path.rsplit_once('/')
                && !key.namespace.is_empty()
            {
                query.text = format!("{before}/namespaces/{}/{plural}?", key.namespace);
            }
            fields = format!("metadata.name={}", key.name);
        }
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
        fields.push_str(if fields.is_empty() { "" } else { "," });
        fields.push_str("status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown");
    }
    if !fields.is_empty() {
        query.add("fieldSelector", &fields);
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
