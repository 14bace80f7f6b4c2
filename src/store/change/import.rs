//! Services of a clusterset, as the API of multi-cluster Services tells them (rules K-210 to K-212).

use std::net::IpAddr;

use super::{ObjectKey, Revision, ServicePort};

/// A ServiceImport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportObject {
    /// Namespace and name.
    pub key: ObjectKey,
    /// UID and version.
    pub revision: Revision,
    /// `spec.ips` of type ClusterSetIP; `None` for type Headless.
    pub addresses: Option<Vec<IpAddr>>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
}

/// What ties a slice to a ServiceImport in its namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceImport {
    /// Label `multicluster.kubernetes.io/service-name`.
    pub name: Box<str>,
    /// Label `multicluster.kubernetes.io/source-cluster`, empty where there is none.
    pub cluster: Box<str>,
}
