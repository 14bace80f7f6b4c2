//! A part as bytes, and back (rule K-273).

use std::sync::atomic::AtomicU32;

use super::{Own, Part, PartPort};
use crate::store::identity::{Fingerprint, SliceId, Version};
use crate::store::intern::Interned;
use crate::store::snapshot::{
    SnapshotFault, Take, protocol_code, put_arrays, put_bytes, put_count, put_number, take_protocol,
};
use crate::store::zones::Zones;

/// Something that no part has.
const fn malformed<T>(what: &'static str) -> Result<T, SnapshotFault> {
    Err(SnapshotFault::Malformed(what))
}

impl Part {
    /// The least that one takes. Unit: bytes.
    pub(in crate::store) const LEAST: usize = 29;

    /// Appends it.
    pub(in crate::store) fn put(&self, out: &mut Vec<u8>) {
        for number in [self.slice.number(), self.version.number(), self.data.number()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        put_arrays(out, &self.v4);
        put_arrays(out, &self.v6);
        put_count(out, self.ports().len());
        for port in self.ports() {
            put_bytes(out, port.name.as_bytes());
            out.push(protocol_code(port.protocol));
            put_number(out, port.port.map_or(0, |port| u64::from(port) + 1));
        }
        match self.names.as_deref() {
            None => out.push(0),
            Some(names) => {
                out.push(if names.by_pod_name.is_empty() { 1 } else { 2 });
                put_count(out, names.own.len());
                for own in &names.own {
                    put_number(out, u64::from(own.start));
                    out.extend_from_slice(&[own.hostname, own.target, own.spelled]);
                }
                put_bytes(out, names.text.as_bytes());
            }
        }
        let zones = self.zones.as_deref().map(Zones::parts).unwrap_or_default();
        put_count(out, zones.0.len());
        if !zones.0.is_empty() {
            zones.0.iter().for_each(|zone| put_bytes(out, zone.as_bytes()));
            zones.1.iter().for_each(|place| out.extend_from_slice(&place.to_be_bytes()));
        }
    }

    /// Reads one; it counts as seen in no list. Errors: what no part can be.
    pub(in crate::store) fn take(
        take: &mut Take<'_>,
        interned: &mut Interned<PartPort>,
    ) -> Result<Self, SnapshotFault> {
        let mut hash = || take.array().map(u64::from_be_bytes);
        let (slice, version, data) = (hash()?, hash()?, hash()?);
        let (v4, v6) = (take.arrays()?, take.arrays()?);
        if !v4.is_sorted() || !v6.is_sorted() {
            return malformed("addresses are not in order");
        }
        let length = v4.len() + v6.len();
        if length > usize::from(u16::MAX) {
            return malformed("a slice has too many endpoints");
        }
        let ports = take.list(3, |take| {
            Ok(PartPort {
                name: take.text()?.into(),
                protocol: take_protocol(take)?,
                port: match take.number()? {
                    0 => None,
                    next => Some(u16::try_from(next - 1).or(malformed("a port is too large"))?),
                },
            })
        })?;
        let mut part = Self {
            slice: SliceId::from_number(slice),
            version: Version::from_number(version),
            data: Fingerprint::from_number(data),
            mark: AtomicU32::new(0),
            v4,
            v6,
            names: None,
            ports: interned.share(ports),
            zones: None,
        };
        let named = take.byte()?;
        if named > 2 {
            return malformed("an unknown kind of names");
        }
        if named > 0 {
            let own = take.list(4, |take| {
                let start = take.small()?;
                let [hostname, target, spelled] = take.array()?;
                Ok(Own { start, hostname, target, spelled })
            })?;
            if !own.is_empty() && own.len() != length {
                return malformed("not every endpoint has its names");
            }
            part.names = Some(part.indexed(own, take.text()?.into(), named == 2));
        }
        let names = take.list(1, |take| Ok(Box::<str>::from(take.text()?)))?;
        if !names.is_empty() {
            let places = take.exactly(length.saturating_mul(2))?;
            let places = places.as_chunks().0.iter().map(|&place| u16::from_be_bytes(place)).collect();
            part.zones = Some(Zones::restored(names, places));
        }
        Ok(part)
    }
}
