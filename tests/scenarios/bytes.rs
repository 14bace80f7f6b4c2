//! Messages as bytes: what upstreams say, whole or broken, written without the server's own codec; and replies as text.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// Types by name, as far as scenarios use them.
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("DNAME", 39),
    ("NSEC", 47),
];

/// Codes by name.
const CODES: &[(&str, u16)] = &[
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("BADVERS", 16),
];

/// A type by its name.
pub(crate) fn type_of(text: &str) -> Option<u16> {
    TYPES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number)
}

/// A code by its name.
pub(crate) fn code_of(text: &str) -> Option<u16> {
    CODES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number)
}

/// The name of a code.
pub(crate) fn code_text(code: u16) -> String {
    CODES.iter().find(|(_, number)| *number == code).map_or(format!("{code}"), |(name, _)| (*name).to_owned())
}

/// A name in wire form; the last dot may be missing.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A query as it came to an upstream.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The id.
    pub(crate) id: u16,
    /// The second header word.
    pub(crate) flags: u16,
    /// The name, in the letters that came.
    pub(crate) name: Vec<u8>,
    /// TYPE.
    pub(crate) qtype: u16,
    /// Whether there was an OPT.
    pub(crate) edns: bool,
    /// DO.
    pub(crate) dnssec_ok: bool,
}

impl Asked {
    /// Reads a query of ours; every byte must be as expected.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!((word(4), word(6), word(8)), (1, 0, 0), "one question, no records");
        let mut at = 12;
        while bytes[at] != 0 {
            at += 1 + usize::from(bytes[at]);
        }
        let name = bytes[12..=at].to_vec();
        assert_eq!(word(at + 3), 1, "class IN");
        let rest = &bytes[at + 5..];
        let edns = word(10) == 1;
        if edns {
            assert_eq!(&rest[..5], [0, 0, 41, 4, 208], "an OPT that says 1232");
            if rest.len() > 11 {
                // The one option of ours: padding, on encrypted transports (RFC 8467).
                assert_eq!(rest[11..13], [0, 12], "no options but padding (F-02)");
                assert!(bytes.len().is_multiple_of(128) && rest[15..].iter().all(|byte| *byte == 0));
            }
        } else {
            assert!(rest.is_empty());
        }
        let dnssec_ok = edns && rest[7] & 0x80 != 0;
        Self { id: word(0), flags: word(2), name, qtype: word(at + 1), edns, dnssec_ok }
    }

    /// Whether it asks this.
    pub(crate) fn is(&self, name: &str, qtype: u16) -> bool {
        self.name.eq_ignore_ascii_case(&wire(name)) && self.qtype == qtype
    }
}

/// A record: section, owner, TTL, type, data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rr {
    /// 0 answer, 1 authority, 2 additional.
    pub(crate) section: usize,
    /// Its owner; `@` for the name asked for.
    pub(crate) owner: String,
    /// Its TTL.
    pub(crate) ttl: u32,
    /// Its type.
    pub(crate) rtype: String,
    /// Its data as text.
    pub(crate) data: String,
}

impl Rr {
    /// Reads `OWNER TTL TYPE DATA…`.
    pub(crate) fn read(section: usize, words: &[&str]) -> Result<Self, String> {
        let [owner, ttl, rtype, data @ ..] = words else { return Err("OWNER TTL TYPE DATA".to_owned()) };
        let ttl = ttl.parse().map_err(|_| format!("`{ttl}` is no TTL"))?;
        type_of(rtype).ok_or_else(|| format!("`{rtype}` is no type"))?;
        let record = Self {
            section,
            owner: plain(owner),
            ttl,
            rtype: (*rtype).to_owned(),
            data: plain(&data.join(" ")),
        };
        record.rdata()?;
        Ok(record)
    }

    /// Its data as bytes.
    pub(crate) fn rdata(&self) -> Result<Vec<u8>, String> {
        let words: Vec<&str> = self.data.split(' ').collect();
        let bad = || format!("`{}` is no data of {}", self.data, self.rtype);
        Ok(match (self.rtype.as_str(), words.as_slice()) {
            ("A", [addr]) => addr.parse::<std::net::Ipv4Addr>().map_err(|_| bad())?.octets().to_vec(),
            ("AAAA", [addr]) => addr.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?.octets().to_vec(),
            ("NS" | "CNAME" | "PTR" | "DNAME", [name]) => wire(name),
            ("TXT", [text]) => [&[u8::try_from(text.len()).map_err(|_| bad())?], text.as_bytes()].concat(),
            ("MX", [preference, name]) => {
                let preference: u16 = preference.parse().map_err(|_| bad())?;
                [&preference.to_be_bytes()[..], &wire(name)].concat()
            }
            ("NSEC", [next]) => [&wire(next)[..], &[0, 1, 0x40]].concat(),
            ("SOA", [primary, mail, numbers @ ..]) if numbers.len() == 5 => {
                let mut bytes = [wire(primary), wire(mail)].concat();
                for number in numbers {
                    bytes.extend_from_slice(&number.parse::<u32>().map_err(|_| bad())?.to_be_bytes());
                }
                bytes
            }
            _ => return Err(bad()),
        })
    }
}

/// A text without the dots that end names, in lower case.
pub(crate) fn plain(text: &str) -> String {
    let words = text.split_whitespace().map(|word| match word {
        "." => ".",
        word => word.strip_suffix('.').unwrap_or(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What is done to an answer before it is sent.
pub(crate) const TAMPERING: &[&str] = &[
    "wrong id",
    "wrong name",
    "wrong type",
    "wrong class",
    "no question",
    "two questions",
    "qr 0",
    "tc",
    "aa",
    "ad",
    "lower letters",
    "3 bytes",
    "half of it",
    "garbage",
    "a compression loop",
    "a bad rdlength",
    "a header only",
    "class CH records",
];

/// An answer to `asked` with these records, tampered with.
pub(crate) fn answer(asked: &Asked, rcode: u16, records: &[Rr], tampering: &[String]) -> Vec<u8> {
    let has = |what: &str| tampering.iter().any(|known| known == what);
    let mut flags = 0x8080 | asked.flags & 0x0110 | rcode & 0xf;
    for (what, bit) in [("tc", 0x0200), ("aa", 0x0400), ("ad", 0x0020)] {
        if has(what) {
            flags |= bit;
        }
    }
    if has("qr 0") {
        flags &= 0x7fff;
    }
    let id = if has("wrong id") { asked.id ^ 0x5555 } else { asked.id };
    let name = match () {
        () if has("wrong name") => wire("other.example.org"),
        () if has("lower letters") => asked.name.to_ascii_lowercase(),
        () => asked.name.clone(),
    };
    let qtype = if has("wrong type") { asked.qtype + 1 } else { asked.qtype };
    let class: u16 = if has("wrong class") { 3 } else { 1 };
    let questions: u16 = match () {
        () if has("no question") || has("a header only") => 0,
        () if has("two questions") => 2,
        () => 1,
    };
    let mut sections = [Vec::new(), Vec::new(), Vec::new()];
    let mut counts = [0_u16; 3];
    for record in records {
        let owner = if record.owner == "@" { name.clone() } else { wire(&record.owner) };
        let class: u16 = if has("class CH records") { 3 } else { 1 };
        let rdata = record.rdata().unwrap();
        let mut length = u16::try_from(rdata.len()).unwrap();
        if has("a bad rdlength") {
            length += 500;
        }
        let to = &mut sections[record.section];
        to.extend_from_slice(&owner);
        to.extend_from_slice(&type_of(&record.rtype).unwrap().to_be_bytes());
        to.extend_from_slice(&class.to_be_bytes());
        to.extend_from_slice(&record.ttl.to_be_bytes());
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(&rdata);
        counts[record.section] += 1;
    }
    if has("a compression loop") {
        // An owner that points to itself, in front of a whole record.
        let at = 12 + usize::from(questions) * (name.len() + 4);
        let pointer = (0xc000 | u16::try_from(at).unwrap()).to_be_bytes();
        let record = [&pointer[..], &[0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 6, 6, 6, 6]].concat();
        sections[0] = [record, std::mem::take(&mut sections[0])].concat();
        counts[0] += 1;
    }
    if asked.edns && !has("a header only") {
        let extended = u8::try_from(rcode >> 4).unwrap();
        sections[2].extend_from_slice(&[0, 0, 41, 4, 208, extended, 0, 0, 0, 0, 0]);
        counts[2] += 1;
    }
    let mut bytes = Vec::new();
    for word in [id, flags, questions, counts[0], counts[1], counts[2]] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    for _ in 0..questions {
        bytes.extend_from_slice(&name);
        bytes.extend_from_slice(&qtype.to_be_bytes());
        bytes.extend_from_slice(&class.to_be_bytes());
    }
    if has("a header only") {
        bytes[6..12].fill(0);
        return bytes;
    }
    bytes.extend(sections.concat());
    if has("garbage") {
        bytes.truncate(12);
        bytes.extend((0_u8..90).map(|byte| byte.wrapping_mul(73) | 0x40));
    }
    if has("half of it") {
        bytes.truncate(bytes.len() / 2);
    }
    if has("3 bytes") {
        bytes.truncate(3);
    }
    bytes
}

/// A reply as a client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// The code.
    pub(crate) code: u16,
    /// `aa`, `tc`, `ad`, those that are set.
    pub(crate) flags: Vec<String>,
    /// The records in order, the OPT not among them.
    pub(crate) records: Vec<Rr>,
    /// The extended error, if there is one.
    pub(crate) ede: Option<(u16, String)>,
}

impl Got {
    /// Reads a reply, by hickory.
    pub(crate) fn read(bytes: &[u8]) -> (u16, Self) {
        let message = Message::from_vec(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        let meta = &message.metadata;
        let flags = [("aa", meta.authoritative), ("tc", meta.truncation), ("ad", meta.authentic_data)];
        let flags = flags.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()).collect();
        let mut records = Vec::new();
        for (section, list) in
            [&message.answers, &message.authorities, &message.additionals].iter().enumerate()
        {
            records.extend(list.iter().map(|record: &Record| Rr {
                section,
                owner: plain(&record.name.to_ascii()),
                ttl: record.ttl,
                rtype: record.record_type().to_string(),
                data: plain(&record.data.to_string()),
            }));
        }
        let ede = message.edns.as_ref().and_then(|edns| match edns.option(EdnsCode::Unknown(15)) {
            Some(EdnsOption::Unknown(_, data)) => Some((
                u16::from_be_bytes([data[0], data[1]]),
                String::from_utf8_lossy(&data[2..]).into_owned(),
            )),
            _ => None,
        });
        let code = u16::from(meta.response_code);
        (meta.id, Self { code, flags, records, ede })
    }
}

/// A client's query.
pub(crate) fn query(id: u16, name: &str, qtype: u16, words: &[String]) -> Vec<u8> {
    let has = |what: &str| words.iter().any(|word| word == what);
    let mut flags = 0x0100_u16;
    for (what, bit) in [("cd", 0x0010), ("ad", 0x0020)] {
        if has(what) {
            flags |= bit;
        }
    }
    if has("norec") {
        flags &= !0x0100;
    }
    let edns = !has("plain");
    let mut bytes = Vec::new();
    for word in [id, flags, 1, 0, 0, u16::from(edns)] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend(wire(name));
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    if edns {
        bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, if has("do") { 0x80 } else { 0 }, 0, 0, 0]);
    }
    bytes
}
