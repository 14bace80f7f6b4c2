//! One Service and everything that is answered under its name.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::change::{Protocol, Revision, ServiceObject, ServicePort, ServiceSpec};
use super::{Endpoints, Namespace, ServiceKey};

/// What makes a Service's names, ready for the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// No Service of this name; slices that name it still have PTRs (rules K-116, K-171, K-267).
    Orphan,
    /// ClusterIP, NodePort, LoadBalancer.
    Cluster {
        /// IPv4 cluster addresses.
        v4: Box<[[u8; 4]]>,
        /// IPv6 cluster addresses.
        v6: Box<[[u8; 16]]>,
    },
    /// `clusterIP: None`.
    Headless,
    /// ExternalName: the target in wire form, letters as written, root included.
    External(Box<[u8]>),
    /// ExternalName whose target is an IP address or no name at all: no record (rule K-136).
    ExternalInvalid,
}

/// A port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its name in lower case, empty for none.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

impl Port {
    /// Cuts a port down.
    pub(super) fn build(port: &ServicePort) -> Self {
        Self { name: port.name.to_ascii_lowercase().into(), protocol: port.protocol, port: port.port }
    }
}

/// A Service, immutable: replaced whole when anything of it changes.
#[derive(Debug)]
pub struct Service {
    /// `SVC.NS` in wire form, lower case.
    key: ServiceKey,
    /// Its namespace.
    namespace: Arc<Namespace>,
    /// What it is.
    spec: Spec,
    /// Its ports.
    ports: Box<[Port]>,
    /// Its ready endpoints.
    endpoints: Endpoints,
    /// UID and version of the object; empty for an orphan.
    pub(super) revision: Revision,
    /// The list in which the object was last seen.
    pub(super) mark: AtomicU32,
    /// When what is answered under its name changed last. Unit: seconds since 1970.
    changed: u32,
}

/// The part of a Service that its object gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Definition {
    /// What it is.
    pub(super) spec: Spec,
    /// Its ports.
    pub(super) ports: Box<[Port]>,
    /// UID and version.
    pub(super) revision: Revision,
}

impl Definition {
    /// No object.
    pub(super) fn orphan() -> Self {
        Self { spec: Spec::Orphan, ports: Box::default(), revision: Revision::default() }
    }

    /// Cuts a Service object down.
    pub(super) fn build(object: ServiceObject) -> Self {
        let spec = match object.spec {
            ServiceSpec::Headless => Spec::Headless,
            ServiceSpec::Cluster(addresses) => {
                let mut v4 = Vec::new();
                let mut v6 = Vec::new();
                for address in addresses {
                    match address {
                        IpAddr::V4(address) if !v4.contains(&address.octets()) => v4.push(address.octets()),
                        IpAddr::V6(address) if !v6.contains(&address.octets()) => v6.push(address.octets()),
                        IpAddr::V4(_) | IpAddr::V6(_) => {}
                    }
                }
                Spec::Cluster { v4: v4.into(), v6: v6.into() }
            }
            ServiceSpec::External(target) => {
                let bare = target.strip_suffix('.').unwrap_or(&target);
                match crate::wire::parse_name(&target) {
                    Some(wire) if bare.parse::<IpAddr>().is_err() => Spec::External(wire.into()),
                    _ => Spec::ExternalInvalid,
                }
            }
        };
        let ports = object.ports.iter().map(Port::build).collect();
        Self { spec, ports, revision: object.revision }
    }

    /// Whether another version answers the same (rule K-265).
    pub(super) fn same(&self, other: &Self) -> bool {
        self.spec == other.spec && self.ports == other.ports
    }
}

impl Service {
    /// Puts a Service together.
    pub(super) fn build(
        key: ServiceKey,
        namespace: Arc<Namespace>,
        definition: Definition,
        endpoints: Endpoints,
        mark: u32,
        changed: u32,
    ) -> Self {
        Self {
            key,
            namespace,
            spec: definition.spec,
            ports: definition.ports,
            endpoints,
            revision: definition.revision,
            mark: AtomicU32::new(mark),
            changed,
        }
    }

    /// UID of its object; empty for an orphan.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.revision.uid
    }

    /// `resourceVersion` of its object; empty for an orphan, and for what comes from files without one.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.revision.version
    }

    /// When what is answered under its name changed last. Unit: seconds since 1970.
    #[must_use]
    pub fn changed(&self) -> u32 {
        self.changed
    }

    /// `SVC.NS` in wire form, lower case, no final zero.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// Its namespace; the Service has names only while that exists.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Its ready endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// How many cluster addresses it has.
    #[must_use]
    pub fn cluster_addresses(&self) -> usize {
        match &self.spec {
            Spec::Cluster { v4, v6 } => v4.len() + v6.len(),
            Spec::Orphan | Spec::Headless | Spec::External(_) | Spec::ExternalInvalid => 0,
        }
    }

    /// Its cluster addresses, IPv4 first.
    #[must_use]
    pub fn cluster_ips(&self) -> Vec<IpAddr> {
        match &self.spec {
            Spec::Cluster { v4, v6 } => v4
                .iter()
                .map(|&octets| IpAddr::from(octets))
                .chain(v6.iter().map(|&octets| IpAddr::from(octets)))
                .collect(),
            Spec::Orphan | Spec::Headless | Spec::External(_) | Spec::ExternalInvalid => Vec::new(),
        }
    }

    /// What its object gave.
    pub(super) fn definition(&self) -> Definition {
        Definition { spec: self.spec.clone(), ports: self.ports.clone(), revision: self.revision.clone() }
    }
}
