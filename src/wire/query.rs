//! The strict parser of queries: header, one question, EDNS.

use super::{NameFault, Question, Rcode, rtype};

/// Bytes of a DNS header.
pub(crate) const HEADER: usize = 12;

/// The bits of the second header word.
pub(crate) mod bits {
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
    /// Checking disabled.
    pub(crate) const CD: u16 = 0x0010;
    /// Authentic data.
    pub(crate) const AD: u16 = 0x0020;
}

/// What the first four bytes of a query say.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Header {
    /// The id to echo.
    pub id: u16,
    /// The second word as sent.
    pub flags: u16,
}

impl Header {
    /// The opcode.
    #[must_use]
    pub fn opcode(self) -> Opcode {
        Opcode(u8::try_from((self.flags >> 11) & 0xf).unwrap_or(0))
    }

    /// Whether the client desires recursion.
    #[must_use]
    pub fn recursion_desired(self) -> bool {
        self.flags & bits::RD != 0
    }

    /// Whether the client wants no validation.
    #[must_use]
    pub fn checking_disabled(self) -> bool {
        self.flags & bits::CD != 0
    }

    /// Whether the client understands AD (RFC 6840 §5.7).
    #[must_use]
    pub fn authentic_data(self) -> bool {
        self.flags & bits::AD != 0
    }
}

/// The opcode of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);
    /// A primary says that a zone has changed (RFC 1996).
    pub const NOTIFY: Self = Self(4);
}

/// What the client's OPT record said.
///
/// Source: RFC 6891 §6.1.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Edns {
    /// The client's UDP size as sent, before any clamp. Unit: bytes.
    pub udp_size: u16,
    /// DO (RFC 3225).
    pub dnssec_ok: bool,
    /// Whether the client asked for the name of this server (RFC 5001).
    pub nsid: bool,
    /// Whether the query was padded (RFC 7830).
    pub padding: bool,
    /// Whether the client asked how long it may keep its connection (RFC 7828).
    pub keepalive: bool,
}

/// Why a message gets no ordinary answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A response, or fewer bytes than a header: never answered (rows W39, W40).
    Silent,
    /// Answered with the header alone and this code.
    Bare(Header, Rcode),
    /// The question was read and is echoed, with an OPT where the client had a sound one.
    WithQuestion(Header, Rcode, Option<Edns>),
}

/// What stands in a query, its question aside (that is in the caller's `Question`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Query {
    /// Id and flags.
    pub header: Header,
    /// The OPT record, if there was one.
    pub edns: Option<Edns>,
    /// The serial of the SOA in the authority section: what somebody who asks for an IXFR has (RFC 1995 §3).
    pub known: Option<u32>,
}

impl Query {
    /// Reads a NOTIFY as far as we look: one question, which goes into `question`; `None` for any other message.
    ///
    /// Cost: one pass over the name. Source: RFC 1996 §3.
    #[must_use]
    pub fn notify(bytes: &[u8], question: &mut Question) -> Option<Self> {
        let (head, body) = bytes.split_first_chunk::<HEADER>()?;
        let header = Header {
            id: u16::from_be_bytes([head[0], head[1]]),
            flags: u16::from_be_bytes([head[2], head[3]]),
        };
        let one = [head[4], head[5]] == [0, 1];
        if header.flags & bits::QR != 0 || header.opcode() != Opcode::NOTIFY || !one {
            return None;
        }
        let taken = question.read_name(body).ok()?;
        let [t0, t1, c0, c1] = *body.get(taken..)?.first_chunk::<4>()?;
        question.qtype = u16::from_be_bytes([t0, t1]);
        question.qclass = u16::from_be_bytes([c0, c1]);
        Some(Self { header, edns: None, known: None })
    }

    /// Reads a query; the question goes into `question`, whose buffers are reused.
    ///
    /// Accepts exactly: QR=0, opcode QUERY, one question, no answer record, at most one authority record (an IXFR
    /// carries its SOA there, RFC 1995 §3), at most two additional records of which at most one is an OPT at the root. Bytes behind the last record are ignored (W42).
    ///
    /// Cost: one pass over the bytes, no allocation. Errors: `Fault` says what to send.
    /// Source: RFC 1035 §4.1, RFC 6891 §6.1, RFC 9619, rules K-010 to K-014.
    pub fn parse(bytes: &[u8], question: &mut Question) -> Result<Self, Fault> {
        let Some((head, body)) = bytes.split_first_chunk::<HEADER>() else { return Err(Fault::Silent) };
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let header = Header { id: word(0), flags: word(2) };
        if header.flags & bits::QR != 0 {
            return Err(Fault::Silent);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(Fault::Bare(header, Rcode::NOTIMP));
        }
        let (questions, answers, authorities, additionals) = (word(4), word(6), word(8), word(10));
        // Counts are checked before anything is read: they never size an allocation (W38).
        if questions != 1 || answers != 0 || authorities > 1 || additionals > 2 {
            return Err(Fault::Bare(header, Rcode::FORMERR));
        }
        let malformed = Fault::Bare(header, Rcode::FORMERR);
        let taken =
            question.read_name(body).map_err(|fault: NameFault| Fault::Bare(header, fault.rcode()))?;
        let rest = body.get(taken..).unwrap_or_default();
        let Some((fixed, mut rest)) = rest.split_first_chunk::<4>() else { return Err(malformed) };
        question.qtype = u16::from_be_bytes([fixed[0], fixed[1]]);
        question.qclass = u16::from_be_bytes([fixed[2], fixed[3]]);

        let (mut edns, mut known) = (None, None);
        for place in 0..authorities + additionals {
            let record = Extra::read(&mut rest).ok_or(Fault::WithQuestion(header, Rcode::FORMERR, None))?;
            if record.rtype == rtype::SOA && place < authorities {
                // Behind the two names stand five numbers.
                known = record.rdata.last_chunk::<20>().and_then(|tail| tail.first_chunk::<4>().copied());
            }
            if record.rtype != rtype::OPT {
                continue;
            }
            // Two OPT records, one outside the additional section, or one that is not at the root are malformed
            // (RFC 6891 §6.1.1).
            if edns.is_some() || !record.root || place < authorities {
                return Err(Fault::WithQuestion(header, Rcode::FORMERR, None));
            }
            let [_extended, version, flags, _zero] = record.ttl;
            let mut found = Edns { udp_size: record.class, dnssec_ok: flags & 0x80 != 0, ..Edns::default() };
            if found.read_options(record.rdata).is_none() {
                return Err(Fault::WithQuestion(header, Rcode::FORMERR, None));
            }
            if version != 0 {
                return Err(Fault::WithQuestion(header, Rcode::BADVERS, Some(found)));
            }
            edns = Some(found);
        }
        Ok(Self { header, edns, known: known.map(u32::from_be_bytes) })
    }
}

/// The options of the OPT of a query in wire form; `None` where there is no OPT, or the query is none.
#[must_use]
pub fn client_options(bytes: &[u8]) -> Option<&[u8]> {
    let (head, body) = bytes.split_first_chunk::<HEADER>()?;
    let mut rest = body.get(super::name_length(body)..)?.get(4..)?;
    let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    for _ in 0..u32::from(count(8)) + u32::from(count(10)) {
        let record = Extra::read(&mut rest)?;
        if record.rtype == rtype::OPT {
            return Some(record.rdata);
        }
    }
    None
}

/// A record behind the question, as far as we look.
struct Extra<'a> {
    /// Whether the owner is the root.
    root: bool,
    /// TYPE.
    rtype: u16,
    /// CLASS; in an OPT the UDP size.
    class: u16,
    /// TTL; in an OPT extended rcode, version, flags.
    ttl: [u8; 4],
    /// RDATA.
    rdata: &'a [u8],
}

impl<'a> Extra<'a> {
    /// Reads one record from the front of `rest` and moves `rest` behind it; `None` if it overruns.
    #[inline]
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let bytes = *rest;
        let mut at = 0_usize;
        let root = bytes.first() == Some(&0);
        loop {
            let length = usize::from(*bytes.get(at)?);
            match length {
                0 => {
                    at += 1;
                    break;
                }
                1..=63 => at += 1 + length,
                // An owner that points back into the message is legal here and of no interest.
                192..=255 => {
                    at += 2;
                    break;
                }
                _ => return None,
            }
            if at > super::MAX_NAME {
                return None;
            }
        }
        let (fixed, tail) = bytes.get(at..)?.split_first_chunk::<10>()?;
        let [t0, t1, c0, c1, l0, l1, l2, l3, d0, d1] = *fixed;
        let (rdata, after) = tail.split_at_checked(usize::from(u16::from_be_bytes([d0, d1])))?;
        *rest = after;
        Some(Self {
            root,
            rtype: u16::from_be_bytes([t0, t1]),
            class: u16::from_be_bytes([c0, c1]),
            ttl: [l0, l1, l2, l3],
            rdata,
        })
    }
}

impl Edns {
    /// Walks the options of an OPT and notes those that we know; `None` if one overruns (W25).
    ///
    /// Cost: four bytes an option; nothing is kept of those that we do not know (rule K-011, W34).
    fn read_options(&mut self, mut rdata: &[u8]) -> Option<()> {
        while !rdata.is_empty() {
            let (fixed, tail) = rdata.split_first_chunk::<4>()?;
            let [c0, c1, l0, l1] = *fixed;
            // Told apart so that the processor need not wait for a length to know where the next option is: most that can be
            // sent in one message are empty.
            rdata = match [l0, l1] {
                [0, 0] => tail,
                length => tail.get(usize::from(u16::from_be_bytes(length))..)?,
            };
            match u16::from_be_bytes([c0, c1]) {
                3 => self.nsid = true,
                11 => self.keepalive = true,
                12 => self.padding = true,
                _ => {}
            }
        }
        Some(())
    }
}
