//! The seam to hickory-proto's types: never on the road of a query, used by the embedding, by tests and by
//! steps that must look inside an answer.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RData, Record as HickoryRecord, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding};
use hickory_proto::serialize::txt::parse_ttl;

use super::{
    CLASS_IN, MAX_NAME, Question, Section, Sections, class_number, parse_name, rtype, type_mnemonic,
    type_number,
};

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
    /// A text that is no record.
    #[error("{0}")]
    Text(String),
    /// Bytes that are no message.
    #[error("decoding a message")]
    Message(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CodecError {
    /// A text that is no record, in words.
    fn text(problem: impl Into<String>) -> Self {
        Self::Text(problem.into())
    }
}

/// A record that was written as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextRecord {
    /// The owner, wire form, letters kept.
    pub owner: Vec<u8>,
    /// TYPE.
    pub rtype: u16,
    /// CLASS.
    pub class: u16,
    /// TTL. Unit: seconds.
    pub ttl: u32,
    /// RDATA, wire form, names uncompressed.
    pub rdata: Vec<u8>,
}

/// TTL of a text that names none, as CoreDNS's library has it. Unit: seconds.
const TEXT_TTL: u32 = 3600;

/// Reads `OWNER [TTL] [CLASS] TYPE RDATA`; names without a final dot are below the root.
///
/// Cost: allocates. Errors: what is wrong, in words; never a panic, whatever the text.
/// Source: RFC 1035 §5.1, RFC 3597 §5.
pub fn record_from_text(text: &str) -> Result<TextRecord, CodecError> {
    let line = text.trim();
    // Only within parentheses a line goes on.
    if line.contains(['\n', '\r']) && !line.contains('(') {
        return Err(CodecError::text("it is more than one line"));
    }
    let (owner, mut rest) = token(text).ok_or_else(|| CodecError::text("it is empty"))?;
    let bad_owner = || CodecError::text(format!("`{owner}` is no name"));
    let owner = if owner == "@" { vec![0] } else { parse_name(owner).ok_or_else(bad_owner)? };
    let (mut ttl, mut class) = (None, None);
    let rtype = loop {
        let (word, behind) = token(rest).ok_or_else(|| CodecError::text("it has no type"))?;
        rest = behind;
        // Digits first: a TTL; then a class, which `ANY` is too, and it can't be a record's type.
        if word.starts_with(|c: char| c.is_ascii_digit()) && ttl.is_none() {
            ttl = Some(parse_ttl(word).map_err(|_| CodecError::text(format!("`{word}` is no TTL")))?);
        } else if let Some(number) = class_number(word).filter(|_| class.is_none()) {
            class = Some(number);
        } else {
            break type_number(word).ok_or_else(|| CodecError::text(format!("`{word}` is no type")))?;
        }
    };
    let rdata = rdata_from_text(rtype, rest)?;
    if rdata.len() > usize::from(u16::MAX) {
        return Err(CodecError::text("its data is longer than 65535 bytes"));
    }
    Ok(TextRecord { owner, rtype, class: class.unwrap_or(CLASS_IN), ttl: ttl.unwrap_or(TEXT_TTL), rdata })
}

/// Cuts the first word off a text: up to white space that no backslash stands before; `None` where there is no more.
fn token(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if text.is_empty() || text.starts_with(';') {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c.is_whitespace() || c == ';' => return Some(text.split_at(at)),
            _ => {}
        }
    }
    Some((text, ""))
}

/// All words of a text; an error where there are not as many as expected.
fn tokens<const N: usize>(rtype: u16, mut text: &str) -> Result<[&str; N], CodecError> {
    let mut words = [""; N];
    for word in &mut words {
        (*word, text) =
            token(text).ok_or_else(|| CodecError::text(format!("{} is cut short", shown(rtype))))?;
    }
    match token(text) {
        None => Ok(words),
        Some((more, _)) => Err(CodecError::text(format!("`{more}` is too much for {}", shown(rtype)))),
    }
}

/// A type in words.
fn shown(rtype: u16) -> String {
    type_mnemonic(rtype).map_or_else(|| format!("TYPE{rtype}"), str::to_owned)
}

/// Reads RDATA: names by our own reader, which keeps letters and escapes, what is rare by hickory's.
fn rdata_from_text(rtype: u16, text: &str) -> Result<Vec<u8>, CodecError> {
    let name = |text: &str| {
        let root = if text == "@" { Some(vec![0]) } else { None };
        root.or_else(|| parse_name(text)).ok_or_else(|| CodecError::text(format!("`{text}` is no name")))
    };
    let word = |text: &str| {
        let number = text.parse::<u16>().map_err(|_| CodecError::text(format!("`{text}` is no number")))?;
        Ok::<_, CodecError>(number.to_be_bytes())
    };
    if let Some(generic) = text.trim_start().strip_prefix("\\#") {
        return generic_rdata(rtype, generic);
    }
    Ok(match rtype {
        rtype::A => {
            let [ip] = tokens(rtype, text)?;
            let no_address = |_| CodecError::text(format!("`{ip}` is no IPv4 address"));
            ip.parse::<Ipv4Addr>().map_err(no_address)?.octets().to_vec()
        }
        rtype::AAAA => {
            let [ip] = tokens(rtype, text)?;
            let no_address = |_| CodecError::text(format!("`{ip}` is no IPv6 address"));
            ip.parse::<Ipv6Addr>().map_err(no_address)?.octets().to_vec()
        }
        rtype::CNAME | rtype::NS | rtype::PTR | rtype::DNAME => {
            let [target] = tokens(rtype, text)?;
            name(target)?
        }
        rtype::MX => {
            let [preference, target] = tokens(rtype, text)?;
            [&word(preference)?[..], &name(target)?].concat()
        }
        rtype::SRV => {
            let [priority, weight, port, target] = tokens(rtype, text)?;
            [&word(priority)?[..], &word(weight)?, &word(port)?, &name(target)?].concat()
        }
        rtype::SOA => {
            // Parentheses only say that a line goes on.
            let flat = text.replace(['(', ')'], " ");
            let [server, mailbox, numbers @ ..] = tokens::<7>(rtype, &flat)?;
            let mut data = [name(server)?, name(mailbox)?].concat();
            for number in numbers {
                let value =
                    parse_ttl(number).map_err(|_| CodecError::text(format!("`{number}` is no number")))?;
                data.extend_from_slice(&value.to_be_bytes());
            }
            data
        }
        _ => hickory_rdata(rtype, text)?,
    })
}

/// Reads the form for every type: `\# LENGTH HEX…`, the front cut off.
fn generic_rdata(rtype: u16, text: &str) -> Result<Vec<u8>, CodecError> {
    let cut = || CodecError::text(format!("{} is not `\\# LENGTH HEX`", shown(rtype)));
    let (length, mut rest) = token(text).ok_or_else(cut)?;
    let length: u16 = length.parse().map_err(|_| cut())?;
    let mut digits = Vec::new();
    while let Some((word, behind)) = token(rest) {
        digits.extend(word.bytes());
        rest = behind;
    }
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        })
        .collect();
    bytes.filter(|bytes| bytes.len() == usize::from(length)).ok_or_else(cut)
}

/// Reads RDATA by hickory's text reader.
fn hickory_rdata(rtype: u16, text: &str) -> Result<Vec<u8>, CodecError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| CodecError::Record { rtype, source };
    let data = RData::try_from_str(RecordType::from(rtype), text).map_err(|error| {
        CodecError::text(format!("{}: {error}; any type can be written as `\\# LENGTH HEX`", shown(rtype)))
    })?;
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).map_err(|error| fail(error.into()))?;
    Ok(bytes)
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

/// The RDATA of an SVCB or HTTPS record from its text in a zone file, the target absolute.
///
/// Cost: allocates; zone files are read apart from queries. Errors: what the text lacks. Source: RFC 9460 §2.1.
pub fn service_binding(rtype: u16, text: &str) -> Result<Vec<u8>, CodecError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| CodecError::Record { rtype, source };
    let rdata = RData::try_from_str(RecordType::from(rtype), text).map_err(|e| fail(e.into()))?;
    rdata.to_bytes().map_err(|e| fail(e.into()))
}

#[cfg(test)]
mod tests {
    //! Records written as text.

    use super::*;

    #[test]
    fn records_are_read_in_every_order_of_their_fields() {
        for text in [
            "a.example. 60 IN A 192.0.2.1",
            "a.example 60 A 192.0.2.1",
            "a.example. IN 60 A 192.0.2.1 ; a comment",
            "  a.example.\t1m in a 192.0.2.1  ",
        ] {
            let record = record_from_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(record.owner, b"\x01a\x07example\x00", "{text}");
            assert_eq!((record.rtype, record.class, record.ttl), (1, 1, 60), "{text}");
            assert_eq!(record.rdata, [192, 0, 2, 1], "{text}");
        }
        let record = record_from_text("@ CH TXT \"a b\" c").unwrap();
        assert_eq!((record.owner, record.class, record.ttl), (vec![0], 3, TEXT_TTL));
        assert_eq!(record.rdata, b"\x03a b\x01c");
    }

    #[test]
    fn data_of_many_types_is_read() {
        for (text, rdata) in [
            ("a. CNAME B\\.c.d", &b"\x03B.c\x01d\x00"[..]),
            ("a. MX 10 b.", b"\x00\x0a\x01b\x00"),
            ("a. SRV 1 2 3 b.", b"\x00\x01\x00\x02\x00\x03\x01b\x00"),
            ("a. DNAME b.", b"\x01b\x00"),
            ("a. TYPE65280 \\# 3 0a 0B0c", b"\x0a\x0b\x0c"),
            ("a. AAAA ::1", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
            (
                "a. SOA ns. Host.a. (1 60 60 60 60)",
                b"\x02ns\0\x04Host\x01a\0\0\0\0\x01\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c",
            ),
        ] {
            let record = record_from_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(record.rdata, rdata, "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_said_in_words() {
        for (text, said) in [
            ("", "it is empty"),
            ("a.", "it has no type"),
            ("a. 60 IN", "it has no type"),
            ("a. 60 IN FOO x", "`FOO` is no type"),
            ("a..b. A 1.2.3.4", "`a..b.` is no name"),
            ("a. A 1.2.3", "`1.2.3` is no IPv4 address"),
            ("a. A 1.2.3.4 5", "`5` is too much for A"),
            ("a. SRV 1 2 x.", "SRV is cut short"),
            ("a. MX x y.", "`x` is no number"),
            ("a. TYPE1 \\# 4 01", "A is not `\\# LENGTH HEX`"),
            ("a. A 1.2.3.4\nb. A 1.2.3.4", "it is more than one line"),
        ] {
            assert_eq!(record_from_text(text).unwrap_err().to_string(), said, "{text}");
        }
    }
}
