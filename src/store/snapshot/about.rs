//! What a snapshot says about itself, in front of its records.

use super::bytes::put_number;
use super::{MARK, SnapshotFault, Take, VERSION, put_bytes};
use crate::store::Wanted;

/// What a snapshot is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Where the objects came from, in words.
    pub source: String,
    /// The selector that they were chosen with; empty for none.
    pub labels: String,
    /// What was wanted of them.
    pub wanted: Wanted,
    /// UID of the Namespace `kube-system`; empty where there was none.
    pub cluster: String,
    /// When all of it was confirmed last by its API server. Unit: seconds since 1970.
    pub confirmed: u64,
    /// The kinds whose lists were complete, as bits of `bit`.
    pub(in crate::store) listed: u16,
    /// Serials: of the cluster's zones, those of the clusterset, and those of what is reached from outside.
    pub(in crate::store) serials: [u32; 3],
    /// The key of the hashes in it.
    pub(in crate::store) key: [u64; 2],
}

impl About {
    /// What a snapshot of a source is about, before anything of its store is known.
    #[must_use]
    pub fn new(source: String, labels: String, confirmed: u64) -> Self {
        Self {
            source,
            labels,
            wanted: Wanted::default(),
            cluster: String::new(),
            confirmed,
            listed: 0,
            serials: [0; 3],
            key: [0; 2],
        }
    }

    /// Appends mark, version and all that.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MARK);
        out.extend_from_slice(&VERSION.to_be_bytes());
        put_bytes(out, self.source.as_bytes());
        put_bytes(out, self.labels.as_bytes());
        put_number(out, u64::from(self.wanted.code()));
        put_bytes(out, self.cluster.as_bytes());
        put_number(out, self.confirmed);
        put_number(out, u64::from(self.listed));
        self.serials.iter().for_each(|&serial| put_number(out, u64::from(serial)));
        self.key.iter().for_each(|half| out.extend_from_slice(&half.to_be_bytes()));
    }

    /// Reads it back. Errors: another mark or version, or what `Take` finds.
    pub(in crate::store) fn take(take: &mut Take<'_>) -> Result<Self, SnapshotFault> {
        if take.exactly(MARK.len()).ok() != Some(MARK) {
            return Err(SnapshotFault::Other);
        }
        let found = u16::from_be_bytes(take.array()?);
        if found != VERSION {
            return Err(SnapshotFault::Version { found });
        }
        let source = take.text()?.to_owned();
        let labels = take.text()?.to_owned();
        let wanted = Wanted::from_code(take.small()?).ok_or(SnapshotFault::Malformed("unknown options"))?;
        Ok(Self {
            source,
            labels,
            wanted,
            cluster: take.text()?.to_owned(),
            confirmed: take.number()?,
            listed: take.small()?,
            serials: [take.small()?, take.small()?, take.small()?],
            key: [u64::from_be_bytes(take.array()?), u64::from_be_bytes(take.array()?)],
        })
    }
}
