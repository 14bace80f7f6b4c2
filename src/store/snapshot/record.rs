//! One record: a Service, a Namespace, a Pod or what stands beside them.

use std::net::IpAddr;
use std::sync::Arc;

use super::bytes::{put_addresses, put_arrays, put_count};
use super::{SnapshotFault, Take, hosts, put_bytes, put_number};
use crate::store::change::{HostsObject, ObjectKey, Protocol, Revision};
use crate::store::external::External;
use crate::store::identity::{Shown, Version};
use crate::store::imports::{Import, ImportSpec};
use crate::store::intern::Interned;
use crate::store::namespace::ObjectLabel;
use crate::store::pod::KnownPod;
use crate::store::service::Definition;
use crate::store::{Namespace, Part, PartPort, Port, Service, Spec};

/// Lists that records have in common.
#[derive(Default)]
pub(in crate::store) struct Lists {
    /// Ports of Services.
    pub(in crate::store) ports: Interned<Port>,
    /// Ports of slices.
    pub(in crate::store) part_ports: Interned<PartPort>,
}

/// A Pod as a client.
pub(in crate::store) struct ClientRecord {
    /// Its labels, sorted by key.
    pub(in crate::store) labels: Vec<ObjectLabel>,
}

/// What a snapshot is made of, as it is read.
pub(in crate::store) enum Record {
    /// A Service, or slices whose Service is missing.
    Service {
        /// `SVC.NS`.
        key: Box<[u8]>,
        /// What its object gave.
        definition: Definition,
        /// When what is answered under its name changed last. Unit: seconds since 1970.
        changed: u32,
        /// Its slices.
        parts: Vec<Arc<Part>>,
    },
    /// A Namespace.
    Namespace {
        /// Its name.
        name: Box<str>,
        /// Its version.
        version: Version,
        /// Its labels, sorted by key.
        labels: Vec<ObjectLabel>,
    },
    /// A Pod.
    Pod {
        /// Namespace and name.
        key: ObjectKey,
        /// Its version.
        version: Version,
        /// Its addresses, each once.
        addresses: Vec<IpAddr>,
        /// `HOST.SUB.NS`, where it has both.
        hostname: Option<Box<[u8]>>,
        /// The pod as a client, where that is kept.
        client: Option<ClientRecord>,
    },
    /// A Service of the clusterset, or slices whose import is missing.
    Import {
        /// `SVC.NS`.
        key: Box<[u8]>,
        /// What its object says.
        spec: ImportSpec,
        /// Its ports.
        ports: Vec<Port>,
        /// Its version.
        version: Version,
        /// Its slices with their clusters.
        parts: Vec<(Box<str>, Arc<Part>)>,
    },
    /// A Service as it is reached from outside.
    External {
        /// `SVC.NS`.
        key: Box<[u8]>,
        /// What it is.
        external: External,
    },
    /// An object that claims host names.
    Hosts(HostsObject),
}

/// The first byte of each kind of record.
mod tag {
    /// Behind the last one.
    pub(super) const END: u8 = 0;
    /// A Service.
    pub(super) const SERVICE: u8 = 1;
    /// A Namespace.
    pub(super) const NAMESPACE: u8 = 2;
    /// A Pod.
    pub(super) const POD: u8 = 3;
    /// An import.
    pub(super) const IMPORT: u8 = 4;
    /// A Service as it is reached from outside.
    pub(super) const EXTERNAL: u8 = 5;
    /// What claims host names.
    pub(super) const HOSTS: u8 = 6;
}

/// Appends the end behind `count` records.
pub(super) fn put_end(out: &mut Vec<u8>, count: u64) {
    out.push(tag::END);
    put_number(out, count);
}

/// Appends a Service.
pub(super) fn put_service(out: &mut Vec<u8>, service: &Service) {
    out.push(tag::SERVICE);
    put_bytes(out, service.key());
    put_spec(out, service.spec());
    put_ports(out, service.ports());
    out.extend_from_slice(&service.version.number().to_be_bytes());
    put_shown(out, service.shown());
    put_number(out, u64::from(service.changed()));
    let parts = service.endpoints().parts();
    put_count(out, parts.len());
    parts.iter().for_each(|part| part.put(out));
}

/// Appends a Namespace.
pub(super) fn put_namespace(out: &mut Vec<u8>, namespace: &Namespace) {
    out.push(tag::NAMESPACE);
    put_bytes(out, namespace.name().as_bytes());
    out.extend_from_slice(&namespace.version().number().to_be_bytes());
    namespace.labels(|labels| put_labels(out, labels));
}

/// Appends a Pod.
pub(in crate::store) fn put_pod(out: &mut Vec<u8>, key: &ObjectKey, pod: &KnownPod) {
    out.push(tag::POD);
    hosts::put_key(out, key);
    out.extend_from_slice(&pod.version.number().to_be_bytes());
    put_addresses(out, &pod.entry.addresses);
    put_bytes(out, pod.entry.hostname.as_deref().unwrap_or_default());
    match &pod.entry.client {
        None => out.push(0),
        Some(client) => {
            out.push(1);
            put_labels(out, client.labels());
        }
    }
}

/// Appends an import.
pub(super) fn put_import(out: &mut Vec<u8>, import: &Import) {
    out.push(tag::IMPORT);
    put_bytes(out, import.key());
    match import.spec() {
        ImportSpec::Orphan => out.push(0),
        ImportSpec::Headless => out.push(1),
        ImportSpec::Set { v4, v6 } => {
            out.push(2);
            put_arrays(out, v4);
            put_arrays(out, v6);
        }
    }
    put_ports(out, import.ports());
    out.extend_from_slice(&import.version().number().to_be_bytes());
    put_count(out, import.members().iter().map(|member| member.endpoints().parts().len()).sum());
    for member in import.members() {
        for part in member.endpoints().parts() {
            put_bytes(out, member.cluster().as_bytes());
            part.put(out);
        }
    }
}

/// Appends a Service as it is reached from outside.
pub(super) fn put_external(out: &mut Vec<u8>, key: &[u8], external: &External) {
    out.push(tag::EXTERNAL);
    put_bytes(out, key);
    let addresses = external.addresses();
    put_arrays(out, addresses.v4());
    put_arrays(out, addresses.v6());
    match addresses.alias() {
        None => out.push(0),
        Some(alias) => {
            out.push(1);
            put_bytes(out, alias);
        }
    }
    put_count(out, external.listed());
    put_ports(out, external.ports());
}

/// Appends an object that claims host names.
pub(super) fn put_hosts(out: &mut Vec<u8>, object: &HostsObject) {
    out.push(tag::HOSTS);
    hosts::put(out, object);
}

/// Appends what a Service is.
fn put_spec(out: &mut Vec<u8>, spec: &Spec) {
    match spec {
        Spec::Orphan => out.push(0),
        Spec::Cluster { v4, v6 } => {
            out.push(1);
            put_arrays(out, v4);
            put_arrays(out, v6);
        }
        Spec::Headless => out.push(2),
        Spec::External(name) => {
            out.push(3);
            put_bytes(out, name);
        }
        Spec::ExternalInvalid => out.push(4),
    }
}

/// Appends ports.
fn put_ports(out: &mut Vec<u8>, ports: &[Port]) {
    put_count(out, ports.len());
    for port in ports {
        put_bytes(out, port.name.as_bytes());
        out.push(protocol_code(port.protocol));
        put_number(out, u64::from(port.port));
    }
}

/// Appends labels.
fn put_labels(out: &mut Vec<u8>, labels: &[ObjectLabel]) {
    put_count(out, labels.len());
    for (key, value) in labels {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Appends UID and version as they were written.
fn put_shown(out: &mut Vec<u8>, shown: &Shown) {
    match shown {
        Shown::None => out.push(0),
        Shown::Usual(uid, version) => {
            out.push(1);
            out.extend_from_slice(uid);
            put_number(out, *version);
        }
        Shown::Any(revision) => {
            out.push(2);
            put_bytes(out, revision.uid.as_bytes());
            put_bytes(out, revision.version.as_bytes());
        }
    }
}

/// A protocol as a number.
pub(in crate::store) fn protocol_code(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Sctp => 2,
    }
}

/// A protocol.
pub(in crate::store) fn take_protocol(take: &mut Take<'_>) -> Result<Protocol, SnapshotFault> {
    match take.byte()? {
        0 => Ok(Protocol::Tcp),
        1 => Ok(Protocol::Udp),
        2 => Ok(Protocol::Sctp),
        _ => Err(SnapshotFault::Malformed("an unknown protocol")),
    }
}

/// A version of an object.
fn take_version(take: &mut Take<'_>) -> Result<Version, SnapshotFault> {
    take.array().map(u64::from_be_bytes).map(Version::from_number)
}

/// What a Service is.
fn take_spec(take: &mut Take<'_>) -> Result<Spec, SnapshotFault> {
    Ok(match take.byte()? {
        0 => Spec::Orphan,
        1 => Spec::Cluster { v4: take.arrays()?.into_vec().into(), v6: take.arrays()? },
        2 => Spec::Headless,
        3 => Spec::External(take.name()?.into()),
        4 => Spec::ExternalInvalid,
        _ => return Err(SnapshotFault::Malformed("an unknown kind of Service")),
    })
}

/// Ports.
fn take_ports(take: &mut Take<'_>) -> Result<Vec<Port>, SnapshotFault> {
    take.list(3, |take| {
        Ok(Port { name: take.text()?.into(), protocol: take_protocol(take)?, port: take.small()? })
    })
}

/// Labels.
fn take_labels(take: &mut Take<'_>) -> Result<Vec<ObjectLabel>, SnapshotFault> {
    take.list(2, |take| Ok((take.text()?.into(), take.text()?.into())))
}

/// UID and version as they were written.
fn take_shown(take: &mut Take<'_>) -> Result<Shown, SnapshotFault> {
    Ok(match take.byte()? {
        0 => Shown::None,
        1 => Shown::Usual(take.array()?, take.number()?),
        2 => Shown::Any(Box::new(Revision { uid: take.text()?.into(), version: take.text()?.into() })),
        _ => return Err(SnapshotFault::Malformed("an unknown kind of version")),
    })
}

/// Whether something follows.
fn take_flag(take: &mut Take<'_>) -> Result<bool, SnapshotFault> {
    match take.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SnapshotFault::Malformed("a mark is neither yes nor no")),
    }
}

impl Record {
    /// Reads one; `None` for the end. Errors: what can't be.
    pub(in crate::store) fn take(
        take: &mut Take<'_>,
        lists: &mut Lists,
    ) -> Result<Option<Self>, SnapshotFault> {
        Ok(Some(match take.byte()? {
            tag::END => return Ok(None),
            tag::SERVICE => {
                let key = take.run(2)?.into();
                let spec = take_spec(take)?;
                let ports = lists.ports.share(take_ports(take)?);
                let definition =
                    Definition { spec, ports, version: take_version(take)?, shown: take_shown(take)? };
                let changed = take.small()?;
                let parts =
                    take.list(Part::LEAST, |take| Part::take(take, &mut lists.part_ports).map(Arc::new))?;
                Self::Service { key, definition, changed, parts }
            }
            tag::NAMESPACE => Self::Namespace {
                name: take.text()?.into(),
                version: take_version(take)?,
                labels: take_labels(take)?,
            },
            tag::POD => {
                let key = hosts::take_key(take)?;
                let version = take_version(take)?;
                let addresses = take.addresses()?;
                let hostname = match Take::new(take.rest()).count(1)? {
                    0 => {
                        take.byte()?;
                        None
                    }
                    _ => Some(take.run(3)?.into()),
                };
                let client = match take_flag(take)? {
                    true => Some(ClientRecord { labels: take_labels(take)? }),
                    false => None,
                };
                Self::Pod { key, version, addresses, hostname, client }
            }
            tag::IMPORT => {
                let key = take.run(2)?.into();
                let spec = match take.byte()? {
                    0 => ImportSpec::Orphan,
                    1 => ImportSpec::Headless,
                    2 => ImportSpec::Set { v4: take.arrays()?, v6: take.arrays()? },
                    _ => return Err(SnapshotFault::Malformed("an unknown kind of import")),
                };
                let ports = take_ports(take)?;
                let version = take_version(take)?;
                let parts = take.list(Part::LEAST + 1, |take| {
                    let cluster = take.text()?.into();
                    Ok((cluster, Arc::new(Part::take(take, &mut lists.part_ports)?)))
                })?;
                Self::Import { key, spec, ports, version, parts }
            }
            tag::EXTERNAL => {
                let key = take.run(2)?.into();
                let (v4, v6) = (take.arrays()?, take.arrays()?);
                let alias = match take_flag(take)? {
                    true => Some(take.name()?.into()),
                    false => None,
                };
                let listed = take.small()?;
                let external = External::restored((v4, v6, alias), listed, take_ports(take)?);
                Self::External { key, external }
            }
            tag::HOSTS => Self::Hosts(hosts::take(take)?),
            _ => return Err(SnapshotFault::Malformed("an unknown kind of record")),
        }))
    }
}
