//! The seam to hickory-proto's types: never on the road of a query, used by the embedding, by tests and by
//! steps that must look inside an answer.

use hickory_proto::rr::{DNSClass, Name, RData, Record as HickoryRecord, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

use super::{MAX_NAME, Question, Section, Sections};

/// Why a draft could not be turned into hickory's types.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A name or RDATA that hickory does not accept.
    #[error("decoding a record of type {rtype}")]
    Record {
        /// TYPE of the record.
        rtype: u16,
        /// What hickory says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The records of one section of a draft as hickory's typed records.
///
/// Cost: allocates; not for the road of a query. Errors: a draft with pointers into the question cannot be read.
pub fn sections_to_records(
    sections: &Sections,
    question: &Question,
    section: Section,
) -> Result<Vec<HickoryRecord>, CodecError> {
    let mut records = Vec::new();
    for record in sections.records().iter().filter(|record| record.section == section) {
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| CodecError::Record {
            rtype: record.rtype,
            source,
        };
        let mut owner = [0_u8; MAX_NAME];
        let length = sections.owner_name(record, question, &mut owner);
        let name = Name::from_bytes(owner.get(..length).unwrap_or_default()).map_err(|e| fail(e.into()))?;
        let rdata = sections.rdata(record);
        // hickory reads RDATA in the frame of a record: owner, type, class, TTL, length, data.
        let mut framed = vec![0_u8];
        framed.extend_from_slice(&record.rtype.to_be_bytes());
        framed.extend_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
        framed.extend_from_slice(&record.ttl.to_be_bytes());
        framed.extend_from_slice(&u16::try_from(rdata.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(rdata);
        let mut decoded =
            HickoryRecord::<RData>::read(&mut BinDecoder::new(&framed)).map_err(|e| fail(e.into()))?;
        decoded.name = name;
        debug_assert_eq!(decoded.record_type(), RecordType::from(record.rtype));
        records.push(decoded);
    }
    Ok(records)
}

/// The RDATA of an SVCB or HTTPS record from its text in a zone file, the target absolute.
///
/// Cost: allocates; zone files are read apart from queries. Errors: what the text lacks. Source: RFC 9460 §2.1.
pub fn service_binding(rtype: u16, text: &str) -> Result<Vec<u8>, CodecError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| CodecError::Record { rtype, source };
    let rdata = RData::try_from_str(RecordType::from(rtype), text).map_err(|e| fail(e.into()))?;
    rdata.to_bytes().map_err(|e| fail(e.into()))
}
