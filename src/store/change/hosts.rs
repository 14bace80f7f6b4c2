//! Host names that objects of the cluster claim for addresses outside of it: Ingresses, Gateways and their routes.

use std::net::IpAddr;

use super::{ObjectKey, Revision};

/// The kinds of objects that host names come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HostKind {
    /// networking.k8s.io Ingress.
    Ingresses,
    /// gateway.networking.k8s.io Gateway.
    Gateways,
    /// gateway.networking.k8s.io HTTPRoute.
    HttpRoutes,
    /// gateway.networking.k8s.io GRPCRoute.
    GrpcRoutes,
    /// gateway.networking.k8s.io TLSRoute.
    TlsRoutes,
}

impl HostKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Ingresses, Self::Gateways, Self::HttpRoutes, Self::GrpcRoutes, Self::TlsRoutes];

    /// The kind of one object, as Kubernetes writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ingresses => "Ingress",
            Self::Gateways => "Gateway",
            Self::HttpRoutes => "HTTPRoute",
            Self::GrpcRoutes => "GRPCRoute",
            Self::TlsRoutes => "TLSRoute",
        }
    }
}

/// Where something is reached from outside of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternalAddress {
    /// By an address.
    Ip(IpAddr),
    /// By a name that leads to addresses elsewhere.
    Name(Box<str>),
}

/// An object that claims host names, cut down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostsObject {
    /// What it is.
    pub kind: HostKind,
    /// Namespace and name.
    pub key: ObjectKey,
    /// UID and version.
    pub revision: Revision,
    /// `metadata.creationTimestamp`, 0 where there is none. Unit: nanoseconds since 1970.
    pub created: u64,
    /// The addresses in its status; a route has none of its own.
    pub addresses: Vec<ExternalAddress>,
    /// The hosts that it names, lower case, `*.` in front for all names below.
    pub hosts: Vec<ListedHost>,
    /// The Gateways that took a route, in the order of its spec.
    pub parents: Vec<ParentGateway>,
}

/// A host that an object names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedHost {
    /// The name of a Gateway's listener; empty for others.
    pub section: Box<str>,
    /// The host; empty for a listener that takes all hosts.
    pub host: Box<str>,
}

/// A Gateway that accepted a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParentGateway {
    /// The Gateway.
    pub gateway: ObjectKey,
    /// The one listener that is meant; empty for all.
    pub section: Box<str>,
}
