//! One Service and everything that is answered under its name.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::change::{Protocol, ServiceObject, ServicePort, ServiceSpec};
use super::identity::{Shown, Version};
use super::intern::Interned;
use super::{Endpoints, Namespace};

/// IPv4 addresses of a Service: nearly always one, which then lies where the Service lies.
#[derive(Clone)]
pub enum FewV4 {
    /// The only one.
    One([u8; 4]),
    /// Any other number.
    Any(Box<[[u8; 4]]>),
}

impl From<Vec<[u8; 4]>> for FewV4 {
    fn from(all: Vec<[u8; 4]>) -> Self {
        match all.as_slice() {
            &[only] => Self::One(only),
            _ => Self::Any(all.into()),
        }
    }
}

impl Deref for FewV4 {
    type Target = [[u8; 4]];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Any(all) => all,
        }
    }
}

impl PartialEq for FewV4 {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for FewV4 {}

impl fmt::Debug for FewV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// How long a key may be to lie inside its Service. Unit: bytes.
const SHORT: usize = 38;

/// `SVC.NS` in wire form, lower case, no final zero, where the Service itself lies: a look-up reads one place less.
enum Key {
    /// Bytes, and how many count.
    Short(u8, [u8; SHORT]),
    /// What is longer.
    Long(Box<[u8]>),
}

impl Key {
    /// The key of these bytes.
    fn new(run: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(run.len()), bytes.get_mut(..run.len())) {
            (Ok(len), Some(to)) => {
                to.copy_from_slice(run);
                Self::Short(len, bytes)
            }
            _ => Self::Long(run.into()),
        }
    }

    /// The bytes.
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

/// The place of a Service in the index of addresses; it keeps it as long as it exists.
pub(super) type Slot = u32;

/// What makes a Service's names, ready for the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// No Service of this name; slices that name it still have PTRs (rules K-116, K-171, K-267).
    Orphan,
    /// ClusterIP, NodePort, LoadBalancer.
    Cluster {
        /// IPv4 cluster addresses.
        v4: FewV4,
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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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
    /// How it is found.
    key: Key,
    /// Where the index of addresses has it.
    pub(super) slot: Slot,
    /// The list in which the object was last seen.
    pub(super) mark: AtomicU32,
    /// Its namespace.
    namespace: Arc<Namespace>,
    /// What it is.
    spec: Spec,
    /// Its ports.
    ports: Option<Arc<[Port]>>,
    /// Its ready endpoints.
    endpoints: Endpoints,
    /// Version of the object; none for an orphan.
    pub(super) version: Version,
    /// UID and version of the object as they were written; none for an orphan.
    shown: Shown,
    /// When what is answered under its name changed last. Unit: seconds since 1970.
    changed: u32,
}

/// The part of a Service that its object gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Definition {
    /// What it is.
    pub(super) spec: Spec,
    /// Its ports.
    pub(super) ports: Option<Arc<[Port]>>,
    /// Its version.
    pub(super) version: Version,
    /// UID and version as they were written.
    pub(super) shown: Shown,
}

impl Definition {
    /// No object.
    pub(super) fn orphan() -> Self {
        Self { spec: Spec::Orphan, ports: None, version: Version::default(), shown: Shown::default() }
    }

    /// Cuts a Service object down.
    pub(super) fn build(object: ServiceObject, interned: &mut Interned<Port>) -> Self {
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
        let version = Version::of(&object.revision);
        let shown = Shown::of(object.revision);
        let ports = object.ports.iter().map(Port::build);
        Self { spec, ports: interned.share(ports.collect()), version, shown }
    }

    /// Whether another version answers the same (rule K-265).
    pub(super) fn same(&self, other: &Self) -> bool {
        self.spec == other.spec && self.ports == other.ports
    }
}

impl Service {
    /// Puts a Service together.
    pub(super) fn build(
        (key, slot): (&[u8], Slot),
        namespace: Arc<Namespace>,
        definition: Definition,
        endpoints: Endpoints,
        mark: u32,
        changed: u32,
    ) -> Self {
        Self {
            key: Key::new(key),
            slot,
            mark: AtomicU32::new(mark),
            namespace,
            spec: definition.spec,
            ports: definition.ports,
            endpoints,
            version: definition.version,
            shown: definition.shown,
            changed,
        }
    }

    /// UID and version of its object as they were written.
    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// UID of its object; empty for an orphan.
    #[must_use]
    pub fn uid(&self) -> String {
        self.shown.uid()
    }

    /// `resourceVersion` of its object; empty for an orphan, and for what comes from files without one.
    #[must_use]
    pub fn version(&self) -> String {
        self.shown.version()
    }

    /// When what is answered under its name changed last. Unit: seconds since 1970.
    #[must_use]
    pub fn changed(&self) -> u32 {
        self.changed
    }

    /// `SVC.NS` in wire form, lower case, no final zero.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.as_bytes()
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
        self.ports.as_deref().unwrap_or_default()
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
        Definition {
            spec: self.spec.clone(),
            ports: self.ports.clone(),
            version: self.version,
            shown: self.shown.clone(),
        }
    }
}
