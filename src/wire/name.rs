//! Names and questions: label runs in wire form, as typed and in lower case.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CLASS_IN, Rcode};

/// The longest name in wire form, the root's zero included. Unit: bytes. Source: RFC 1035 §2.3.4.
pub const MAX_NAME: usize = 255;

/// The most labels that a legal name has, the root not counted.
pub const MAX_LABELS: usize = 127;

/// Room for a name, in whole blocks. Unit: bytes.
const ROOM: usize = 256;

/// How many bytes of a name are made lower case at once.
const BLOCK: usize = size_of::<u64>();

/// Why a name could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameFault {
    /// The bytes end inside the name.
    #[error("the name is cut off")]
    Cut,
    /// Over 255 bytes.
    #[error("the name is longer than 255 bytes")]
    Long,
    /// A label type other than a plain label; a question has nothing before it to point to.
    #[error("the name holds a compression pointer or an unknown label type")]
    Pointer,
}

impl NameFault {
    /// The response code for a query with such a name.
    #[must_use]
    pub fn rcode(self) -> Rcode {
        match self {
            Self::Cut | Self::Long | Self::Pointer => Rcode::FORMERR,
        }
    }
}

/// A question: name, type and class, with the places of its labels.
///
/// Shape: `typed` and `lower` hold the same name in wire form, zero byte included; `starts[i]` is where label `i`
/// begins, label 0 leftmost. One value is reused from query to query: only the first `len` bytes count.
#[derive(Clone)]
pub struct Question {
    /// The name as the client typed it.
    typed: [u8; ROOM],
    /// The name in lower case (RFC 4343: ASCII only).
    lower: [u8; ROOM],
    /// Where each label starts.
    starts: [u8; MAX_LABELS + 1],
    /// Bytes of the name in wire form.
    len: u8,
    /// How many labels, the root not counted.
    labels: u8,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
}

impl Default for Question {
    /// The root, type 0.
    fn default() -> Self {
        Self {
            typed: [0; ROOM],
            lower: [0; ROOM],
            starts: [0; MAX_LABELS + 1],
            len: 1,
            labels: 0,
            qtype: 0,
            qclass: CLASS_IN,
        }
    }
}

impl Question {
    /// Reads an uncompressed name from the start of `bytes`; returns how many bytes it took.
    ///
    /// Cost: one pass, no allocation. Errors: see `NameFault`. Source: RFC 1035 §3.1.
    #[inline]
    pub fn read_name(&mut self, bytes: &[u8]) -> Result<usize, NameFault> {
        let mut at = 0_usize;
        let mut labels = 0_usize;
        loop {
            let length = *bytes.get(at).ok_or(NameFault::Cut)?;
            if length == 0 {
                break;
            }
            if length > 63 {
                return Err(NameFault::Pointer);
            }
            if at + 1 + usize::from(length) + 1 > MAX_NAME {
                return Err(NameFault::Long);
            }
            if let Some(start) = self.starts.get_mut(labels) {
                *start = u8::try_from(at).unwrap_or(u8::MAX);
            }
            labels += 1;
            at += 1 + usize::from(length);
        }
        let taken = at + 1;
        let source = bytes.get(..taken).ok_or(NameFault::Cut)?;
        let typed = self.typed.get_mut(..taken).ok_or(NameFault::Long)?;
        typed.copy_from_slice(source);
        // Whole blocks; what stands behind the name is never looked at. A length byte is at most 63, so it is never a capital
        // letter.
        let typed = self.typed.as_chunks::<BLOCK>().0;
        for (to, from) in
            self.lower.as_chunks_mut::<BLOCK>().0.iter_mut().zip(typed).take(taken.div_ceil(BLOCK))
        {
            *to = lower_case(u64::from_ne_bytes(*from)).to_ne_bytes();
        }
        self.len = u8::try_from(taken).unwrap_or(u8::MAX);
        self.labels = u8::try_from(labels).unwrap_or(u8::MAX);
        Ok(taken)
    }

    /// A question for `name` in wire form. Errors: as `read_name`.
    pub fn new(name: &[u8], qtype: u16) -> Result<Self, NameFault> {
        let mut question = Self { qtype, ..Self::default() };
        question.read_name(name)?;
        Ok(question)
    }

    /// The name as typed, wire form.
    #[must_use]
    #[inline]
    pub fn typed(&self) -> &[u8] {
        self.typed.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The name in lower case, wire form.
    #[must_use]
    #[inline]
    pub fn lower(&self) -> &[u8] {
        self.lower.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// How many labels the name has, the root not counted.
    #[must_use]
    #[inline]
    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// Where label `index` starts in the wire form; the place of the root's zero for `index == labels()`.
    #[must_use]
    #[inline]
    pub fn start(&self, index: usize) -> usize {
        if index >= self.labels() {
            return usize::from(self.len).saturating_sub(1);
        }
        self.starts.get(index).copied().map_or(0, usize::from)
    }

    /// Label `index` in lower case, without its length byte; empty beyond the last.
    #[must_use]
    #[inline]
    pub fn label(&self, index: usize) -> &[u8] {
        if index >= self.labels() {
            return &[];
        }
        self.lower.get(self.start(index) + 1..self.start(index + 1)).unwrap_or_default()
    }

    /// The wire form, lower case, of labels `from..to`, without the root's zero.
    #[must_use]
    #[inline]
    pub fn run(&self, from: usize, to: usize) -> &[u8] {
        self.lower.get(self.start(from)..self.start(to)).unwrap_or_default()
    }

    /// The name from label `index` on, as typed, root included: the zone part of a derived name (rule K-003).
    #[must_use]
    pub fn suffix(&self, index: usize) -> &[u8] {
        self.typed.get(self.start(index)..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether the name is `zone` or below it; `zone` is in lower-case wire form and has `zone_labels` labels.
    ///
    /// Returns how many labels stand left of the zone. Cost: one comparison of the zone's length.
    #[must_use]
    #[inline]
    pub fn below(&self, zone: &[u8], zone_labels: usize) -> Option<usize> {
        let left = self.labels().checked_sub(zone_labels)?;
        if zone_labels == 0 {
            // All names are below the root.
            return Some(left);
        }
        (self.lower().get(self.start(left)..) == Some(zone)).then_some(left)
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} type {} class {}", show_name(self.typed()), self.qtype, self.qclass)
    }
}

/// Eight bytes at once, each capital letter of ASCII made small, all others as they are.
///
/// Cost: eight instructions, whatever the compiler is told to build for.
#[inline]
const fn lower_case(bytes: u64) -> u64 {
    /// One in each byte.
    const ONES: u64 = u64::from_ne_bytes([1; BLOCK]);
    // Bit 7 of each byte says what is known of it; sums of seven bits do not reach the next byte.
    let low = bytes & (ONES * 0x7f);
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let beyond_z = low + ONES * (0x7f - b'Z' as u64);
    let capital = (from_a ^ beyond_z) & !bytes & (ONES * 0x80);
    bytes | capital >> 2
}

/// Whether `label` equals `text`, both lower case.
#[must_use]
#[inline]
pub fn label_eq(label: &[u8], text: &str) -> bool {
    label == text.as_bytes()
}

/// The presentation form of a name in wire form, dots and odd bytes escaped, with the final dot.
///
/// Shape: printable ASCII only, so that it is safe in a log line. Source: RFC 1035 §5.1.
#[must_use]
pub fn show_name(wire: &[u8]) -> String {
    let mut text = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&length, tail)) = rest.split_first() {
        let Some((label, after)) = tail.split_at_checked(usize::from(length)).filter(|_| length > 0) else {
            break;
        };
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                0x21..=0x7e => text.push(char::from(byte)),
                _ => {
                    // Writing into a String cannot fail.
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
        text.push('.');
        rest = after;
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The presentation form of one label, dots and odd bytes escaped: printable ASCII only.
#[must_use]
pub fn show_label(label: &[u8]) -> String {
    let mut wire = vec![u8::try_from(label.len()).unwrap_or(63)];
    wire.extend_from_slice(label);
    let mut text = show_name(&wire);
    // The dot behind the label.
    text.pop();
    text
}

/// Reads a name in presentation form into wire form, letters kept; a missing final dot is added.
///
/// Errors: an empty or too long label, a name over 255 bytes, an escape that does not end: `None`.
#[must_use]
pub fn parse_name(text: &str) -> Option<Vec<u8>> {
    let mut wire = Vec::with_capacity(text.len() + 2);
    if text == "." {
        return Some(vec![0]);
    }
    let mut label = Vec::new();
    let mut bytes = text.bytes();
    let mut open = false;
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'.' => {
                if label.is_empty() || label.len() > 63 {
                    return None;
                }
                wire.push(u8::try_from(label.len()).ok()?);
                wire.append(&mut label);
                open = false;
                continue;
            }
            b'\\' => {
                let next = bytes.next()?;
                if next.is_ascii_digit() {
                    let tens = bytes.next()?;
                    let ones = bytes.next()?;
                    let digits = [next, tens, ones];
                    std::str::from_utf8(&digits).ok()?.parse::<u8>().ok()?
                } else {
                    next
                }
            }
            other => other,
        };
        label.push(value);
        open = true;
    }
    if open {
        if label.len() > 63 {
            return None;
        }
        wire.push(u8::try_from(label.len()).ok()?);
        wire.append(&mut label);
    }
    wire.push(0);
    (wire.len() > 1 && wire.len() <= MAX_NAME).then_some(wire)
}

/// The address, or the front part of one, that a reverse name spells.
///
/// Shape: `labels` are those left of `in-addr.arpa` or `ip6.arpa`, leftmost first, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reverse {
    /// A whole address.
    Whole(IpAddr),
    /// The first `bits` bits of addresses (the rest zero): a name above PTRs (rule K-175).
    Part(IpAddr, u8),
}

/// Reads the reverse name that `question` is, if it is one in canonical form.
///
/// Octets have no leading zeros, nibbles are one hexadecimal digit. Source: RFC 1035 §3.5, RFC 3596 §2.5.
#[must_use]
pub fn reverse_address(question: &Question) -> Option<Reverse> {
    let labels = question.labels();
    let family = labels.checked_sub(2)?;
    if !label_eq(question.label(labels - 1), "arpa") {
        return None;
    }
    if label_eq(question.label(family), "in-addr") {
        if family > 4 {
            return None;
        }
        let mut octets = [0_u8; 4];
        for (place, octet) in octets.iter_mut().take(family).enumerate() {
            *octet = octet_label(question.label(family - 1 - place))?;
        }
        let address = IpAddr::V4(Ipv4Addr::from(octets));
        return Some(match family {
            4 => Reverse::Whole(address),
            part => Reverse::Part(address, u8::try_from(part * 8).ok()?),
        });
    }
    if label_eq(question.label(family), "ip6") {
        if family > 32 {
            return None;
        }
        let mut value = 0_u128;
        for place in 0..family {
            let [digit] = question.label(family - 1 - place) else { return None };
            let nibble = char::from(*digit).to_digit(16)?;
            value |= u128::from(nibble) << (124 - 4 * place);
        }
        let address = IpAddr::V6(Ipv6Addr::from(value));
        return Some(match family {
            32 => Reverse::Whole(address),
            part => Reverse::Part(address, u8::try_from(part * 4).ok()?),
        });
    }
    None
}

/// Reads a decimal octet without leading zeros.
fn octet_label(label: &[u8]) -> Option<u8> {
    match label {
        [] => None,
        [b'0', _, ..] => None,
        digits if digits.iter().all(u8::is_ascii_digit) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_once_are_as_each_alone() {
        for byte in 0..=u8::MAX {
            for beside in [0, b'@', b'A', b'Z', b'[', b'a', 0x7f, 0x80, 0xc1, 0xff] {
                for at in 0..BLOCK {
                    let mut bytes = [beside; BLOCK];
                    bytes[at] = byte;
                    let lower = lower_case(u64::from_ne_bytes(bytes)).to_ne_bytes();
                    assert_eq!(lower, bytes.map(|byte| byte.to_ascii_lowercase()), "{bytes:?}");
                }
            }
        }
    }
}
