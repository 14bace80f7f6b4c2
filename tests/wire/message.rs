//! Messages as bytes: a builder that can also build what is wrong, and a strict reader of replies.
//!
//! Nothing here comes from the server's own code; hickory reads every reply a second time as the judge.
#![allow(dead_code, reason = "each test target uses a part of it")]

use hickory_proto::op::Message as Judge;

/// Response codes and bits by name.
pub(crate) const FORMERR: u16 = 1;
/// The server failed.
pub(crate) const SERVFAIL: u16 = 2;
/// Nothing at or below the name.
pub(crate) const NXDOMAIN: u16 = 3;
/// Not implemented.
pub(crate) const NOTIMP: u16 = 4;
/// Policy says no.
pub(crate) const REFUSED: u16 = 5;
/// EDNS version not known.
pub(crate) const BADVERS: u16 = 16;

/// Response.
pub(crate) const QR: u16 = 0x8000;
/// Authoritative answer.
pub(crate) const AA: u16 = 0x0400;
/// Truncated.
pub(crate) const TC: u16 = 0x0200;
/// Recursion desired.
pub(crate) const RD: u16 = 0x0100;
/// Recursion available.
pub(crate) const RA: u16 = 0x0080;
/// The reserved bit.
pub(crate) const Z: u16 = 0x0040;
/// Authentic data.
pub(crate) const AD: u16 = 0x0020;
/// Checking disabled.
pub(crate) const CD: u16 = 0x0010;

/// Record types by name.
pub(crate) const A: u16 = 1;
/// Start of authority.
pub(crate) const SOA: u16 = 6;
/// Text.
pub(crate) const TXT: u16 = 16;
/// Address, IPv6.
pub(crate) const AAAA: u16 = 28;
/// Service location.
pub(crate) const SRV: u16 = 33;
/// EDNS pseudo record.
pub(crate) const OPT: u16 = 41;
/// Any type.
pub(crate) const ANY: u16 = 255;

/// The id of the messages that are built here.
pub(crate) const ID: u16 = 0x1234;

/// A name in wire form, from text without escapes.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let labels: Vec<&[u8]> = text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
    labels_of(&labels)
}

/// A name in wire form, from labels of any bytes.
pub(crate) fn labels_of(labels: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).expect("a label is short"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// A record in wire form.
pub(crate) fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend_from_slice(&rtype.to_be_bytes());
    wire.extend_from_slice(&class.to_be_bytes());
    wire.extend_from_slice(&ttl.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(rdata.len()).expect("RDATA is short").to_be_bytes());
    wire.extend_from_slice(rdata);
    wire
}

/// An OPT record to be built.
#[derive(Clone, Debug)]
pub(crate) struct Opt {
    /// The client's UDP size.
    pub(crate) size: u16,
    /// The EDNS version.
    pub(crate) version: u8,
    /// The flags, DO the highest.
    pub(crate) flags: u16,
    /// The options, as they go on the wire.
    pub(crate) options: Vec<u8>,
    /// The owner; the root unless a test wants it wrong.
    pub(crate) owner: Vec<u8>,
}

/// DO among the flags of an OPT.
pub(crate) const DO: u16 = 0x8000;

impl Opt {
    /// Version 0, nothing set.
    pub(crate) fn new(size: u16) -> Self {
        Self { size, version: 0, flags: 0, options: Vec::new(), owner: vec![0] }
    }

    /// With another version.
    pub(crate) fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// With these flags.
    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    /// With another option.
    pub(crate) fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.extend_from_slice(&code.to_be_bytes());
        self.options.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        self.options.extend_from_slice(data);
        self
    }

    /// With bytes where options belong.
    pub(crate) fn raw_options(mut self, bytes: &[u8]) -> Self {
        self.options.extend_from_slice(bytes);
        self
    }

    /// With another owner.
    pub(crate) fn owner(mut self, owner: Vec<u8>) -> Self {
        self.owner = owner;
        self
    }

    /// The record.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let ttl = u32::from(self.version) << 16 | u32::from(self.flags);
        record(&self.owner, OPT, self.size, ttl, &self.options)
    }
}

/// A message to be sent.
#[derive(Clone)]
pub(crate) struct Message {
    /// Id and flags.
    head: [u16; 2],
    /// The counts, where they are not those of what follows.
    counts: Option<[u16; 4]>,
    /// Questions and records, by section.
    sections: [Vec<Vec<u8>>; 4],
    /// What follows the message.
    tail: Vec<u8>,
    /// The size that an OPT told, the first one's.
    pub(crate) size: Option<u16>,
    /// The bytes instead of all that.
    raw: Option<Vec<u8>>,
    /// Whether no server can read it, so that invariant I3 holds.
    pub(crate) unparsable: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message(size {:?}, {:02x?})", self.size, self.bytes())
    }
}

impl Message {
    /// A header without anything.
    pub(crate) fn empty() -> Self {
        Self {
            head: [ID, 0],
            counts: None,
            sections: Default::default(),
            tail: Vec::new(),
            size: None,
            raw: None,
            unparsable: false,
        }
    }

    /// These bytes, which no server can read.
    pub(crate) fn raw(bytes: Vec<u8>) -> Self {
        Self { raw: Some(bytes), unparsable: true, ..Self::empty() }
    }

    /// A question in class IN.
    pub(crate) fn query(text: &str, qtype: u16) -> Self {
        Self::empty().question(&name(text), qtype, 1)
    }

    /// A question for a name in wire form.
    pub(crate) fn query_wire(qname: &[u8], qtype: u16) -> Self {
        Self::empty().question(qname, qtype, 1)
    }

    /// With one more question.
    pub(crate) fn question(mut self, qname: &[u8], qtype: u16, class: u16) -> Self {
        let mut wire = qname.to_vec();
        wire.extend_from_slice(&qtype.to_be_bytes());
        wire.extend_from_slice(&class.to_be_bytes());
        self.sections[0].push(wire);
        self
    }

    /// With another id.
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.head[0] = id;
        self
    }

    /// With these flags set.
    pub(crate) fn flags(mut self, bits: u16) -> Self {
        self.head[1] |= bits;
        self
    }

    /// With this opcode.
    pub(crate) fn opcode(self, opcode: u16) -> Self {
        self.flags(opcode << 11)
    }

    /// With a record in section 1 (answer), 2 (authority) or 3 (additional).
    pub(crate) fn with(mut self, section: usize, record: Vec<u8>) -> Self {
        self.sections[section].push(record);
        self
    }

    /// With an OPT in the additional section.
    pub(crate) fn opt(mut self, opt: &Opt) -> Self {
        self.size = self.size.or(Some(opt.size));
        self.with(3, opt.bytes())
    }

    /// With counts of its own.
    pub(crate) fn counts(mut self, counts: [u16; 4]) -> Self {
        self.counts = Some(counts);
        self
    }

    /// With bytes behind the last record.
    pub(crate) fn tail(mut self, tail: &[u8]) -> Self {
        self.tail.extend_from_slice(tail);
        self
    }

    /// Marked as impossible to read: a reply must not be longer than it (I3).
    pub(crate) fn unparsable(mut self) -> Self {
        self.unparsable = true;
        self
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let counted = |section: usize| u16::try_from(self.sections[section].len()).expect("few");
        let counts = self.counts.unwrap_or_else(|| [0, 1, 2, 3].map(counted));
        let mut wire: Vec<u8> = self.head.iter().chain(&counts).flat_map(|word| word.to_be_bytes()).collect();
        wire.extend(self.sections.iter().flatten().flatten());
        wire.extend_from_slice(&self.tail);
        wire
    }

    /// Whether an OPT that can be read speaks of keeping a TCP connection (RFC 7828).
    pub(crate) fn speaks_of_tcp(&self) -> bool {
        self.sections[3].iter().filter_map(|record| record.strip_prefix(&[0, 0, 41])).any(|record| {
            let mut options = record.get(8..).unwrap_or_default();
            while let [c0, c1, l0, l1, rest @ ..] = options {
                if [*c0, *c1] == [0, 11] {
                    return true;
                }
                options = rest.get(usize::from(u16::from_be_bytes([*l0, *l1]))..).unwrap_or_default();
            }
            false
        })
    }

    /// The bytes with their length before them, for a stream.
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(&self.bytes())
    }
}

/// A message for a stream: two bytes of length before it.
pub(crate) fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut wire = u16::try_from(bytes.len()).expect("fits a stream").to_be_bytes().to_vec();
    wire.extend_from_slice(bytes);
    wire
}

/// A question as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// QNAME, wire form, letters as they came.
    pub(crate) name: Vec<u8>,
    /// QTYPE.
    pub(crate) qtype: u16,
    /// QCLASS.
    pub(crate) class: u16,
}

/// A record as read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Record {
    /// Owner, wire form without compression, letters as they came.
    pub(crate) owner: Vec<u8>,
    /// TYPE.
    pub(crate) rtype: u16,
    /// CLASS.
    pub(crate) class: u16,
    /// TTL.
    pub(crate) ttl: u32,
    /// RDATA as it stands.
    pub(crate) rdata: Vec<u8>,
}

/// A reply, read strictly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    /// The whole.
    pub(crate) bytes: Vec<u8>,
    /// ID.
    pub(crate) id: u16,
    /// The second word.
    pub(crate) flags: u16,
    /// Questions.
    pub(crate) questions: Vec<Question>,
    /// The answer section.
    pub(crate) answers: Vec<Record>,
    /// The authority section.
    pub(crate) authority: Vec<Record>,
    /// The additional section without OPT.
    pub(crate) additional: Vec<Record>,
    /// OPT records.
    pub(crate) opts: Vec<Record>,
}

impl Reply {
    /// Reads a reply. Panics, with the bytes, where it is not whole, has bytes to spare, or hickory can't read it.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let read = Self::try_read(bytes).unwrap_or_else(|| panic!("not a DNS message: {bytes:02x?}"));
        let judge = Judge::from_vec(bytes).unwrap_or_else(|e| panic!("hickory: {e}: {bytes:02x?}"));
        assert_eq!(judge.metadata.id, read.id, "hickory reads another id");
        assert_eq!(u16::from(judge.metadata.response_code), read.rcode(), "hickory reads another code");
        assert_eq!(judge.queries.len(), read.questions.len(), "hickory reads other questions");
        assert_eq!(judge.answers.len(), read.answers.len(), "hickory reads other answers");
        assert_eq!(judge.authorities.len(), read.authority.len(), "hickory reads other authorities");
        assert_eq!(judge.additionals.len(), read.additional.len(), "hickory reads other additionals");
        read
    }

    /// Reads a reply; `None` where it is not a whole message or has bytes to spare.
    fn try_read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let [id, flags, qd, an, ns, ar] = [(); 6].map(|()| reader.word());
        let mut reply = Self {
            bytes: bytes.to_vec(),
            id: id?,
            flags: flags?,
            questions: Vec::new(),
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            opts: Vec::new(),
        };
        for _ in 0..qd? {
            let name = reader.name()?;
            reply.questions.push(Question { name, qtype: reader.word()?, class: reader.word()? });
        }
        for (section, count) in [an?, ns?, ar?].into_iter().enumerate() {
            for _ in 0..count {
                let record = reader.record()?;
                match section {
                    0 => reply.answers.push(record),
                    1 => reply.authority.push(record),
                    _ if record.rtype == OPT => reply.opts.push(record),
                    _ => reply.additional.push(record),
                }
            }
        }
        (reader.at == bytes.len()).then_some(reply)
    }

    /// The response code, the upper bits from the OPT included.
    pub(crate) fn rcode(&self) -> u16 {
        let upper = self.opts.first().map_or(0, |opt| opt.ttl >> 24);
        (self.flags & 0xf) | u16::try_from(upper << 4).expect("twelve bits")
    }

    /// The opcode.
    pub(crate) fn opcode(&self) -> u16 {
        (self.flags >> 11) & 0xf
    }

    /// Whether all these bits are set.
    pub(crate) fn has(&self, bits: u16) -> bool {
        self.flags & bits == bits
    }

    /// The only OPT, checked: at the root, version 0, our size, no flag but DO.
    pub(crate) fn opt(&self) -> &Record {
        let [opt] = self.opts.as_slice() else { panic!("one OPT expected: {self:?}") };
        assert_eq!(opt.owner, [0], "the OPT is at the root");
        assert_eq!(opt.class, 1232, "the OPT tells our own size (rule K-011)");
        assert_eq!((opt.ttl >> 16) & 0xff, 0, "EDNS version 0");
        assert_eq!(opt.ttl & 0x7fff, 0, "unknown flags are not returned");
        opt
    }

    /// The options of the OPT by code.
    pub(crate) fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let mut reader = Reader { bytes: &self.opt().rdata, at: 0 };
        let mut options = Vec::new();
        while reader.at < reader.bytes.len() {
            let code = reader.word().expect("a whole option");
            let length = usize::from(reader.word().expect("a whole option"));
            options.push((code, reader.take(length).expect("a whole option").to_vec()));
        }
        options
    }
}

/// A place in a message.
struct Reader<'a> {
    /// The message.
    bytes: &'a [u8],
    /// What was read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// So many bytes.
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    /// Two bytes.
    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// A name, pointers followed backwards only.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut wire = Vec::new();
        let mut at = self.at;
        let mut behind = None;
        loop {
            let length = *self.bytes.get(at)?;
            match length {
                0 => {
                    wire.push(0);
                    self.at = behind.unwrap_or(at + 1);
                    return (wire.len() <= 255).then_some(wire);
                }
                1..=63 => {
                    wire.extend_from_slice(self.bytes.get(at..at + 1 + usize::from(length))?);
                    at += 1 + usize::from(length);
                }
                192..=255 => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    if target >= at {
                        return None;
                    }
                    behind = behind.or(Some(at + 2));
                    at = target;
                }
                _ => return None,
            }
        }
    }

    /// A record.
    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
        let length = usize::from(self.word()?);
        Some(Record { owner, rtype, class, ttl, rdata: self.take(length)?.to_vec() })
    }
}
