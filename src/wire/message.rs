//! Whole messages of others, read from front to back: records where they stand, names and RDATA made whole.

use super::{MAX_NAME, Section, rtype};

/// A message that can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message can't be read")]
pub struct Malformed;

/// A record as it stands in the message.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Where.
    pub section: Section,
    /// The owner in lower case, wire form.
    pub owner: Vec<u8>,
    /// TYPE.
    pub rtype: u16,
    /// CLASS.
    pub class: u16,
    /// TTL as sent; of an OPT its extended code and flags.
    pub ttl: u32,
    /// Where its RDATA begins.
    pub at: usize,
    /// Bytes of RDATA.
    pub len: usize,
}

/// A name in wire form.
#[derive(Clone)]
pub struct NameBuf {
    /// The bytes.
    bytes: [u8; MAX_NAME],
    /// How many.
    len: usize,
}

impl Default for NameBuf {
    fn default() -> Self {
        Self { bytes: [0; MAX_NAME], len: 0 }
    }
}

impl NameBuf {
    /// The name.
    #[must_use]
    pub fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Appends bytes; false where the name would be longer than a name may be.
    fn push(&mut self, bytes: &[u8]) -> bool {
        match self.bytes.get_mut(self.len..self.len + bytes.len()) {
            Some(to) => {
                to.copy_from_slice(bytes);
                self.len += bytes.len();
                true
            }
            None => false,
        }
    }
}

/// Reads a message from front to back.
pub struct Reader<'a> {
    /// The message.
    bytes: &'a [u8],
    /// How far it is read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes` from `at` on.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How far it is read.
    #[must_use]
    pub fn place(&self) -> usize {
        self.at
    }

    /// A 16-bit number.
    pub fn word(&mut self) -> Result<u16, Malformed> {
        let two = self.bytes.get(self.at..self.at + 2).ok_or(Malformed)?;
        self.at += 2;
        Ok(u16::from_be_bytes([two[0], two[1]]))
    }

    /// A 32-bit number.
    pub fn long(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from(self.word()?) << 16 | u32::from(self.word()?))
    }

    /// A name, uncompressed into `name`.
    pub fn name(&mut self, name: &mut NameBuf) -> Result<(), Malformed> {
        self.at = expand(self.bytes, self.at, name)?;
        Ok(())
    }

    /// A record.
    pub fn record(&mut self, section: Section, name: &mut NameBuf) -> Result<Raw, Malformed> {
        self.name(name)?;
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = self.long()?;
        let len = usize::from(self.word()?);
        let at = self.at;
        if at + len > self.bytes.len() {
            return Err(Malformed);
        }
        self.at += len;
        Ok(Raw { section, owner: name.get().to_ascii_lowercase(), rtype, class, ttl, at, len })
    }
}

/// The most pointers of one name.
const HOPS: usize = 127;

/// Follows a name from `at`, pointers included, into `name`; returns where the bytes behind it begin.
///
/// Pointers must point before themselves, so that following ends, and only so many are followed: a name has at most 127
/// labels, and whoever points at pointers only wants to keep us busy (RFC 1035 §4.1.4).
pub fn expand(bytes: &[u8], at: usize, name: &mut NameBuf) -> Result<usize, Malformed> {
    name.len = 0;
    let mut at = at;
    let mut behind = None;
    let mut floor = at;
    let mut hops = 0;
    loop {
        let length = *bytes.get(at).ok_or(Malformed)?;
        match length {
            0 => {
                if !name.push(&[0]) {
                    return Err(Malformed);
                }
                return Ok(behind.unwrap_or(at + 1));
            }
            1..=63 => {
                let end = at + 1 + usize::from(length);
                let label = bytes.get(at..end).ok_or(Malformed)?;
                if !name.push(label) {
                    return Err(Malformed);
                }
                at = end;
            }
            192..=255 => {
                let low = *bytes.get(at + 1).ok_or(Malformed)?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                hops += 1;
                if target >= floor || hops > HOPS {
                    return Err(Malformed);
                }
                behind.get_or_insert(at + 2);
                floor = target;
                at = target;
            }
            _ => return Err(Malformed),
        }
    }
}

/// Where the names stand in the RDATA of a type that may be compressed: bytes before the names, how many names, and
/// whether bytes follow. Source: RFC 3597 §4.
fn names_in(rtype: u16) -> Option<(usize, usize)> {
    Some(match rtype {
        // NS MD MF CNAME MB MG MR PTR, DNAME and NSAP-PTR beside them.
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => (0, 1),
        // SOA MINFO RP.
        6 | 14 | 17 => (0, 2),
        // MX AFSDB RT KX.
        15 | 18 | 21 | 36 => (2, 1),
        // SIG and NXT, behind whose name more follows.
        24 => (18, 1),
        30 => (0, 1),
        // PX.
        26 => (2, 2),
        // SRV.
        33 => (6, 1),
        _ => return None,
    })
}

/// NAPTR.
const NAPTR: u16 = 35;

/// Where so many character strings end that begin at `at`.
fn strings(whole: &[u8], at: usize, count: usize) -> Result<usize, Malformed> {
    let mut at = at;
    for _ in 0..count {
        at += 1 + usize::from(*whole.get(at).ok_or(Malformed)?);
    }
    Ok(at)
}

/// Writes the RDATA of a record into `out`, its names whole.
pub fn rdata(bytes: &[u8], raw: &Raw, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let end = raw.at + raw.len;
    let whole = bytes.get(raw.at..end).ok_or(Malformed)?;
    let naptr = if raw.rtype == NAPTR { Some((strings(whole, 4, 3)?, 1)) } else { None };
    let Some((before, names)) = naptr.or_else(|| names_in(raw.rtype)) else {
        let fits = match raw.rtype {
            rtype::A => raw.len == 4,
            rtype::AAAA => raw.len == 16,
            _ => true,
        };
        if !fits {
            return Err(Malformed);
        }
        out.extend_from_slice(whole);
        return Ok(());
    };
    out.extend_from_slice(whole.get(..before).ok_or(Malformed)?);
    let mut at = raw.at + before;
    let mut name = NameBuf::default();
    for _ in 0..names {
        at = expand(bytes, at, &mut name)?;
        out.extend_from_slice(name.get());
    }
    let fits = match raw.rtype {
        rtype::SOA => at + 20 == end,
        24 | 30 => at <= end,
        _ => at == end,
    };
    if !fits {
        return Err(Malformed);
    }
    out.extend_from_slice(bytes.get(at..end).ok_or(Malformed)?);
    Ok(())
}
