//! The seam to hickory-proto's types: never on the road of a query, used by the embedding, by tests and by
//! steps that must look inside an answer.

use std::str::FromStr as _;

use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RData, Record as HickoryRecord, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

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
    /// Bytes that are no message.
    #[error("decoding a message")]
    Message(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A record as text, to be shown and compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Line {
    /// Its owner, in lower case, with the final dot.
    pub owner: String,
    /// The mnemonic of its type.
    pub rtype: String,
    /// Its data, names in lower case.
    pub rdata: String,
    /// Its TTL. Unit: seconds.
    pub ttl: u32,
}

/// A reply as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The ID.
    pub id: u16,
    /// The response code, its extension included.
    pub rcode: super::Rcode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// The answer section.
    pub answer: Vec<Line>,
    /// The authority section.
    pub authority: Vec<Line>,
    /// The additional section, the OPT excepted.
    pub additional: Vec<Line>,
}

/// Reads a reply, as a client and not on the road of a query.
///
/// Errors: bytes that are no message.
pub fn decode(bytes: &[u8]) -> Result<Decoded, CodecError> {
    let message = Message::from_vec(bytes).map_err(|error| CodecError::Message(error.into()))?;
    let lines = |records: &[HickoryRecord]| records.iter().map(line).collect();
    Ok(Decoded {
        id: message.metadata.id,
        rcode: super::Rcode(message.metadata.response_code.into()),
        authoritative: message.metadata.authoritative,
        truncated: message.metadata.truncation,
        answer: lines(&message.answers),
        authority: lines(&message.authorities),
        additional: lines(&message.additionals),
    })
}

/// A record as text.
fn line(record: &HickoryRecord) -> Line {
    Line {
        owner: record.name.to_string().to_ascii_lowercase(),
        rtype: record.record_type().to_string(),
        rdata: record.data.to_string().to_ascii_lowercase(),
        ttl: record.ttl,
    }
}

/// A query as stub resolvers send it: RD, and an OPT that says how much a datagram may hold.
///
/// Shape: `name` in wire form, the final zero included.
#[must_use]
pub fn encode(id: u16, name: &[u8], qtype: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 27);
    for word in [id, 0x0100, 1, 0, 0, 1] {
        bytes.extend_from_slice(&u16::to_be_bytes(word));
    }
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&super::CLASS_IN.to_be_bytes());
    let [high, low] = u16::try_from(super::MAX_UDP_REPLY).unwrap_or(u16::MAX).to_be_bytes();
    bytes.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// The number of a type: a mnemonic, or `TYPE1234`.
#[must_use]
pub fn parse_type(text: &str) -> Option<u16> {
    let text = text.to_ascii_uppercase();
    if let Some(number) = text.strip_prefix("TYPE") {
        return number.parse().ok();
    }
    RecordType::from_str(&text).ok().map(u16::from)
}

/// The records of one section of a draft in the form of zone files; those that can't be read are left out.
///
/// Cost: allocates; not for the road of a query.
#[must_use]
pub fn record_texts(sections: &Sections, question: &Question, section: Section) -> Vec<String> {
    let records = sections_to_records(sections, question, section).unwrap_or_default();
    records
        .iter()
        .map(|record| format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data))
        .collect()
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
