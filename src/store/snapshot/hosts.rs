//! Records of objects that claim host names.

use super::bytes::put_count;
use super::{SnapshotFault, Take, put_bytes, put_number};
use crate::store::change::{
    ExternalAddress, HostKind, HostsObject, ListedHost, ObjectKey, ParentGateway, Revision,
};

/// Appends namespace and name.
pub(super) fn put_key(out: &mut Vec<u8>, key: &ObjectKey) {
    put_bytes(out, key.namespace.as_bytes());
    put_bytes(out, key.name.as_bytes());
}

/// Namespace and name.
pub(super) fn take_key(take: &mut Take<'_>) -> Result<ObjectKey, SnapshotFault> {
    Ok(ObjectKey::new(take.text()?, take.text()?))
}

/// Appends an object that claims host names.
pub(super) fn put(out: &mut Vec<u8>, object: &HostsObject) {
    let kind = HostKind::ALL.iter().position(|kind| *kind == object.kind);
    out.push(kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(u8::MAX));
    put_key(out, &object.key);
    put_bytes(out, object.revision.uid.as_bytes());
    put_bytes(out, object.revision.version.as_bytes());
    put_number(out, object.created);
    put_count(out, object.addresses.len());
    for address in &object.addresses {
        match address {
            ExternalAddress::Ip(ip) => {
                let (octets, length) = crate::store::octets(*ip);
                out.push(u8::try_from(length).unwrap_or(0));
                out.extend_from_slice(octets.get(..length).unwrap_or_default());
            }
            ExternalAddress::Name(name) => {
                out.push(0);
                put_bytes(out, name.as_bytes());
            }
        }
    }
    put_count(out, object.hosts.len());
    for host in &object.hosts {
        put_bytes(out, host.section.as_bytes());
        put_bytes(out, host.host.as_bytes());
    }
    put_count(out, object.parents.len());
    for parent in &object.parents {
        put_key(out, &parent.gateway);
        put_bytes(out, parent.section.as_bytes());
    }
}

/// An object that claims host names.
pub(super) fn take(take: &mut Take<'_>) -> Result<HostsObject, SnapshotFault> {
    let kind = HostKind::ALL.get(usize::from(take.byte()?)).copied();
    Ok(HostsObject {
        kind: kind.ok_or(SnapshotFault::Malformed("an unknown kind of object"))?,
        key: take_key(take)?,
        revision: Revision { uid: take.text()?.into(), version: take.text()?.into() },
        created: take.number()?,
        addresses: take.list(2, |take| {
            Ok(match take.byte()? {
                0 => ExternalAddress::Name(take.text()?.into()),
                4 => ExternalAddress::Ip(take.array::<4>()?.into()),
                16 => ExternalAddress::Ip(take.array::<16>()?.into()),
                _ => return Err(SnapshotFault::Malformed("an unknown kind of address")),
            })
        })?,
        hosts: take
            .list(2, |take| Ok(ListedHost { section: take.text()?.into(), host: take.text()?.into() }))?,
        parents: take
            .list(3, |take| Ok(ParentGateway { gateway: take_key(take)?, section: take.text()?.into() }))?,
    })
}
