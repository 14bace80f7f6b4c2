//! The one encoder: header, the client's question bytes, sections, OPT, cut to what fits.

use std::sync::Arc;

use super::query::{HEADER, bits};
use super::rtype;
use super::sections::{name_length, target_offset};
use super::{
    Ede, Edns, Header, MAX_MESSAGE, MAX_UDP_REPLY, Owner, PLAIN_UDP_REPLY, Question, Rcode, Section, Sections,
};

/// Flags that are to be set or cleared, whatever they were.
///
/// Shape: no bit stands in both.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// Bits to set.
    set: u16,
    /// Bits to clear.
    clear: u16,
}

impl Flags {
    /// AA.
    pub const AA: u16 = bits::AA;
    /// RA.
    pub const RA: u16 = bits::RA;
    /// RD.
    pub const RD: u16 = bits::RD;

    /// Has a bit set or cleared; the last word about a bit counts.
    pub fn put(&mut self, bit: u16, on: bool) {
        let (to, from) = if on { (&mut self.set, &mut self.clear) } else { (&mut self.clear, &mut self.set) };
        *to |= bit;
        *from &= !bit;
    }

    /// Has the bits of `later` set and cleared too; its word counts where both have one.
    pub fn add(&mut self, later: Self) {
        self.set = self.set & !later.clear | later.set;
        self.clear = self.clear & !later.set | later.clear;
    }

    /// A header word with its bits as they are to be; only those of `mask` change.
    #[must_use]
    pub fn apply(self, word: u16, mask: u16) -> u16 {
        word & !(self.clear & mask) | self.set & mask
    }
}

/// What the header of a reply says beyond what it echoes, and what its OPT says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The response code; above 15 its upper bits go into the OPT.
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// RA.
    pub recursion_available: bool,
    /// TC, set by an upstream; the assembler sets it as well when it cuts.
    pub truncated: bool,
    /// AD.
    pub authentic: bool,
    /// An extended error, sent only to clients with EDNS.
    pub ede: Option<Ede>,
    /// Flags that are as somebody wants them, whatever all of the above says.
    pub forced: Flags,
    /// The name of this server (RFC 5001), for a client that asked for it; left out where it does not fit. One pointer, since a
    /// reply is moved often.
    pub nsid: Option<Arc<Box<[u8]>>>,
}

impl Head {
    /// A reply with this code and no flag set.
    #[must_use]
    pub fn new(rcode: Rcode) -> Self {
        Self {
            rcode,
            authoritative: false,
            recursion_available: false,
            truncated: false,
            authentic: false,
            ede: None,
            forced: Flags::default(),
            nsid: None,
        }
    }
}

/// The bounds of a reply: what the transport and the client's OPT allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The most bytes, header and OPT included.
    pub limit: usize,
    /// Of what the length of a reply with OPT is to be a multiple, as far as `limit` goes; 0 for any length.
    pub block: usize,
}

impl Shape {
    /// The bounds of a datagram (rule K-012): 512 without EDNS, else the client's size between 512 and 1232.
    #[must_use]
    pub fn datagram(edns: Option<&Edns>) -> Self {
        let limit = edns
            .map_or(PLAIN_UDP_REPLY, |edns| usize::from(edns.udp_size).clamp(PLAIN_UDP_REPLY, MAX_UDP_REPLY));
        Self { limit, block: 0 }
    }

    /// The bounds of a message on a stream.
    #[must_use]
    pub fn stream() -> Self {
        Self { limit: MAX_MESSAGE, block: 0 }
    }

    /// The same, padded so that its length tells less (RFC 8467 §4.1).
    #[must_use]
    pub fn padded(self) -> Self {
        Self { block: PADDING_BLOCK, ..self }
    }
}

/// The length that padded replies are a multiple of. Unit: bytes. Source: RFC 8467 §4.1.
const PADDING_BLOCK: usize = 468;

/// Where the question's name stands, as the second byte of a pointer.
const HEADER_BYTE: u8 = 12;

/// Bytes of our OPT without options.
const OPT: usize = 11;

/// Writes a reply into `out`, whole records only, at most `shape.limit` bytes; returns its length and whether it was cut.
///
/// Records go in section by section until one does not fit; TC is set if that was an answer or authority record, not
/// for glue. The OPT is always kept: its space, extended error included, is set aside first.
///
/// Shape: `sections` as drafted; `out` at least `shape.limit` bytes.   Unit: bytes.
/// Cost: one pass, no allocation.
/// Errors: none; a reply with no records always fits (512 ≥ 12 + 259 + 11).
/// Source: RFC 1035 §4.1, RFC 6891 §6.2.3–6.2.5, RFC 2181 §9, rules K-002, K-009, K-012.
pub fn assemble(
    header: Header,
    question: &Question,
    head: &Head,
    edns: Option<&Edns>,
    sections: &Sections,
    shape: Shape,
    out: &mut [u8],
) -> (usize, bool) {
    let ede = head.ede.as_ref().filter(|_| edns.is_some());
    let ede_size = ede.map_or(0, |ede| 6 + ede.text.len());
    let fixed = HEADER + question.typed().len() + 4 + OPT + ede_size;
    let nsid = head
        .nsid
        .as_deref()
        .map(|nsid| &**nsid)
        .filter(|nsid| edns.is_some() && fixed + 4 + nsid.len() <= shape.limit);
    let options = ede_size + nsid.map_or(0, |nsid| 4 + nsid.len());
    let opt_size = if edns.is_some() { OPT + options } else { 0 };
    let mut writer = Writer { out, at: HEADER, limit: shape.limit.saturating_sub(opt_size), targets: None };
    writer.bytes(question.typed());
    writer.bytes(&question.qtype.to_be_bytes());
    writer.bytes(&question.qclass.to_be_bytes());

    let mut counts = [0_u16; 3];
    let mut cut = false;
    for record in sections.records() {
        let before = writer.at;
        if !writer.record(record, question, sections) {
            writer.at = before;
            cut = record.section != Section::Additional;
            break;
        }
        let place = match record.section {
            Section::Answer => &mut counts[0],
            Section::Authority => &mut counts[1],
            Section::Additional => &mut counts[2],
        };
        *place += 1;
    }

    writer.limit = shape.limit;
    if let Some(edns) = edns {
        counts[2] += 1;
        let extended = u8::try_from(head.rcode.0 >> 4).unwrap_or(0);
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        let size = u16::try_from(MAX_UDP_REPLY).unwrap_or(u16::MAX).to_be_bytes();
        let padding = padding(writer.at + OPT + options, shape);
        let option =
            u16::try_from(options + padding.map_or(0, |length| 4 + length)).unwrap_or(0).to_be_bytes();
        writer.bytes(&[0, 0, 41, size[0], size[1], extended, 0, dnssec_ok, 0, option[0], option[1]]);
        if let Some(nsid) = nsid {
            let length = u16::try_from(nsid.len()).unwrap_or(0).to_be_bytes();
            writer.bytes(&[0, 3, length[0], length[1]]);
            writer.bytes(nsid);
        }
        if let Some(ede) = ede {
            let length = u16::try_from(2 + ede.text.len()).unwrap_or(2).to_be_bytes();
            let code = ede.code.to_be_bytes();
            writer.bytes(&[0, 15, length[0], length[1], code[0], code[1]]);
            writer.bytes(ede.text.as_bytes());
        }
        if let Some(length) = padding {
            let [l0, l1] = u16::try_from(length).unwrap_or(0).to_be_bytes();
            writer.bytes(&[0, 12, l0, l1]);
            writer.zeros(length);
        }
    }

    // The lower half of an extended code would be another code (RFC 6891 §6.1.3).
    let code = if edns.is_none() && head.rcode.0 > 0xf { Rcode::SERVFAIL } else { head.rcode };
    let mut flags = bits::QR | (header.flags & (0x7800 | bits::RD | bits::CD)) | (code.0 & 0xf);
    for (on, bit) in [
        (head.authoritative, bits::AA),
        (head.truncated || cut, bits::TC),
        (head.recursion_available && header.recursion_desired(), bits::RA),
        (head.authentic, bits::AD),
    ] {
        if on {
            flags |= bit;
        }
    }
    let flags = head.forced.apply(flags, bits::AA | bits::RA | bits::RD);
    let length = writer.at;
    write_header(writer.out, header.id, flags, 1, counts);
    (length, cut)
}

/// How many bytes of padding make a whole block of a reply that has `length` without them; `None` where none are wanted or
/// not even the option's head fits.
fn padding(length: usize, shape: Shape) -> Option<usize> {
    if shape.block == 0 || length + 4 > shape.limit {
        return None;
    }
    let padded = (length + 4).next_multiple_of(shape.block).min(shape.limit);
    Some(padded - length - 4)
}

/// Writes a reply that is a header and nothing else; returns its length.
///
/// Source: rule K-014: the opcode is echoed, there is no question and no OPT.
pub fn bare(header: Header, rcode: Rcode, out: &mut [u8]) -> usize {
    let flags = bits::QR | (header.flags & (0x7800 | bits::RD | bits::CD)) | (rcode.0 & 0xf);
    write_header(out, header.id, flags, 0, [0; 3]);
    HEADER
}

/// Fills in the header.
fn write_header(out: &mut [u8], id: u16, flags: u16, questions: u16, counts: [u16; 3]) {
    let words = [id, flags, questions, counts[0], counts[1], counts[2]].map(u16::to_be_bytes);
    if let Some(to) = out.first_chunk_mut::<HEADER>() {
        to.copy_from_slice(words.as_flattened());
    }
}

/// How many bytes at the front of `name` the question does not end with, and the label of the question where the rest
/// begins; `None` where they share nothing but the root.
fn shared_end(name: &[u8], question: &Question) -> Option<(usize, usize)> {
    let mut kept = 0;
    while let Some(&length) = name.get(kept).filter(|length| **length > 0) {
        let rest = name.get(kept..)?;
        if let Some(label) = (0..question.labels()).find(|&label| question.suffix(label) == rest) {
            return Some((kept, label));
        }
        kept += 1 + usize::from(length);
    }
    None
}

/// How many records can be pointed to by `Owner::Target`; later ones spell the name out.
const TARGETS: usize = 128;

/// Where the message grows.
struct Writer<'a> {
    /// The message.
    out: &'a mut [u8],
    /// Bytes written.
    at: usize,
    /// The most bytes for now.
    limit: usize,
    /// Where the names in the RDATA of the first records went; nothing before the first record that has one.
    targets: Option<[u16; TARGETS]>,
}

impl Writer<'_> {
    /// Appends bytes; false, and nothing written, if they don't fit.
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) -> bool {
        let end = self.at + bytes.len();
        if end > self.limit {
            return false;
        }
        match self.out.get_mut(self.at..end) {
            Some(to) => {
                to.copy_from_slice(bytes);
                self.at = end;
                true
            }
            None => false,
        }
    }

    /// Appends zeros.
    fn zeros(&mut self, count: usize) {
        let end = self.at + count;
        if let Some(to) = self.out.get_mut(self.at..end.min(self.limit)) {
            to.fill(0);
            self.at += to.len();
        }
    }

    /// Appends a pointer to a name that stands at `place`.
    #[inline]
    fn pointer(&mut self, place: usize) -> bool {
        let place = u16::try_from(place).unwrap_or(0x3fff);
        self.bytes(&(0xc000 | place).to_be_bytes())
    }

    /// Appends a record; false if it doesn't fit.
    fn record(&mut self, record: &super::Record, question: &Question, sections: &Sections) -> bool {
        let owner = match record.owner {
            // Goes with what is fixed.
            Owner::Question => true,
            Owner::Suffix(label) => self.pointer(HEADER + question.start(usize::from(label))),
            Owner::Stored(at) => {
                let name = sections.stored(at);
                let name = name.get(..name_length(name)).unwrap_or_default();
                match shared_end(name, question) {
                    Some((kept, label)) => {
                        self.bytes(name.get(..kept).unwrap_or_default())
                            && self.pointer(HEADER + question.start(label))
                    }
                    None => self.bytes(name),
                }
            }
            Owner::Target(id) => match self.targets.as_ref().and_then(|all| all.get(usize::from(id))) {
                // A pointer has 14 bits; 0 is the header, never a target.
                Some(&place) if place != 0 && place < 0x4000 => self.pointer(usize::from(place)),
                _ => sections.by_id(id).is_some_and(|record| self.name(sections.target(record))),
            },
        };
        let rdata = sections.rdata(record);
        // Targets share their end with the question where they can: what an upstream fitted into a datagram must fit into
        // ours (RFC 1035 §4.1.4). Not those of SRV (RFC 2782), and those of PTR never can.
        let shared = match record.rtype {
            rtype::CNAME | rtype::NS => shared_end(rdata, question),
            rtype::MX => shared_end(rdata.get(2..).unwrap_or_default(), question)
                .map(|(kept, label)| (kept + 2, label)),
            _ => None,
        };
        let (rdata, pointer) = match shared {
            Some((kept, label)) => {
                (rdata.get(..kept).unwrap_or_default(), Some(HEADER + question.start(label)))
            }
            None => (rdata, None),
        };
        let length = rdata.len() + if pointer.is_some() { 2 } else { 0 };
        let [t0, t1] = record.rtype.to_be_bytes();
        let [l0, l1, l2, l3] = record.ttl.to_be_bytes();
        // Every record of a reply is of the class that was asked for: IN, and CH for what `chaos` says.
        let [c0, c1] = question.qclass.to_be_bytes();
        let [d0, d1] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let fixed = [0xc0, HEADER_BYTE, t0, t1, c0, c1, l0, l1, l2, l3, d0, d1];
        let fixed = match record.owner {
            Owner::Question => self.bytes(&fixed),
            _ => owner && self.bytes(&fixed[2..]),
        };
        if !fixed {
            return false;
        }
        // Addresses, which most replies are made of, have no name to point to.
        if !matches!(record.rtype, rtype::A | rtype::AAAA | rtype::SOA)
            && let Some(place) = self.targets.get_or_insert([0; TARGETS]).get_mut(usize::from(record.id))
        {
            *place = u16::try_from(self.at + target_offset(record.rtype)).unwrap_or(0);
        }
        self.bytes(rdata) && pointer.is_none_or(|place| self.pointer(place))
    }

    /// Appends the whole name at the front of `wire`.
    fn name(&mut self, wire: &[u8]) -> bool {
        wire.get(..name_length(wire)).is_some_and(|name| self.bytes(name))
    }
}

#[cfg(test)]
mod tests {
    //! What the header says of a code that needs an OPT.

    use super::*;
    use crate::wire::{parse_name, rtype};

    #[test]
    fn a_code_that_only_an_opt_can_say_is_no_other_code_without_one() {
        let question = Question::new(&parse_name("example.org.").unwrap(), rtype::A).unwrap();
        let header = Header { id: 7, flags: bits::RD };
        let opt = Edns { udp_size: 1232, ..Edns::default() };
        for (code, edns, expected) in [
            (22, None, 2),
            (22, Some(&opt), 6),
            (3, None, 3),
            (3, Some(&opt), 3),
            (15, None, 15),
            (16, None, 2),
        ] {
            let mut out = [0; 512];
            let head = Head::new(Rcode(code));
            assemble(header, &question, &head, edns, &Sections::default(), Shape::datagram(edns), &mut out);
            assert_eq!(u16::from(out[3] & 0xf), expected, "{code} {edns:?}");
        }
    }
}
