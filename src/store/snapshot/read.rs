//! From bytes to records: all is looked at before any of it is used.

use super::{About, Lists, MARK, Record, SEAL, SnapshotFault, Take, VERSION};

/// A snapshot whose every record can be read.
pub struct Decoded<'a> {
    /// What it is of.
    pub about: About,
    /// Its records.
    records: &'a [u8],
}

/// Reads a snapshot, its seal included.
///
/// Cost: the seal is computed once, and each record is made and dropped once; at most one record is held.
/// Errors: `SnapshotFault`; nothing of it may be used.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, SnapshotFault> {
    // A version that is not known may be sealed in another way.
    let mut start = Take::new(bytes);
    if start.exactly(MARK.len()).ok() != Some(MARK) {
        return Err(SnapshotFault::Other);
    }
    let found = start.array().map(u16::from_be_bytes).or(Err(SnapshotFault::Seal))?;
    if found != VERSION {
        return Err(SnapshotFault::Version { found });
    }
    let body = bytes.len().checked_sub(SEAL).and_then(|length| bytes.split_at_checked(length));
    let (body, seal) = body.ok_or(SnapshotFault::Seal)?;
    if ring::digest::digest(&ring::digest::SHA256, body).as_ref() != seal {
        return Err(SnapshotFault::Seal);
    }
    decode_unsealed(body)
}

/// Reads a snapshot without a seal behind it: for who wants to know what becomes of bytes that can't have a right one.
///
/// Errors: `SnapshotFault`; nothing of it may be used.
pub fn decode_unsealed(body: &[u8]) -> Result<Decoded<'_>, SnapshotFault> {
    let mut take = Take::new(body);
    let about = About::take(&mut take)?;
    let decoded = Decoded { about, records: take.rest() };
    decoded.each(&mut Lists::default(), drop)?;
    Ok(decoded)
}

impl Decoded<'_> {
    /// Makes every record in turn, lists shared through `lists`.
    ///
    /// Errors: none for what `decode` gave.
    pub(in crate::store) fn each(
        &self,
        lists: &mut Lists,
        mut visit: impl FnMut(Record),
    ) -> Result<(), SnapshotFault> {
        let mut take = Take::new(self.records);
        let mut count = 0_u64;
        while let Some(record) = Record::take(&mut take, lists)? {
            count += 1;
            visit(record);
        }
        if take.number()? != count || !take.is_empty() {
            return Err(SnapshotFault::Malformed("it has not as many records as it says"));
        }
        Ok(())
    }
}
