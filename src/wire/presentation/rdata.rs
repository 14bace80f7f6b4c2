//! RDATA from its words: each type is a list of fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;

use super::super::mnemonic::{type_mnemonic, type_number};
use super::lexer::Token;
use super::location::location;
use super::service::parameters;
use super::{absolute, seconds};

/// A field of RDATA in its text form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// A number of one byte.
    Byte,
    /// A number of two bytes.
    Word,
    /// A number of four bytes.
    Long,
    /// A number of four bytes, or a duration as in TTLs.
    Span,
    /// A moment: `YYYYMMDDHHmmSS`, or seconds since 1970.
    Moment,
    /// A name.
    Name,
    /// A character string.
    Text,
    /// One or more character strings; what is longer than 255 bytes is several.
    Texts,
    /// All that is left as bytes, without a length.
    Blob,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// The mnemonic of a type.
    Type,
    /// The number of an algorithm, or its mnemonic.
    Algorithm,
    /// The number of a kind of certificate, or its mnemonic.
    Certificate,
    /// Eight bytes as four numbers in hexadecimal with colons between them.
    Locator,
    /// So many bytes in hexadecimal with hyphens between them.
    Hardware(usize),
    /// All that is left as a place on earth.
    Place,
    /// All that is left as ranges of addresses.
    Ranges,
    /// All that is left in hexadecimal.
    Hex,
    /// All that is left in base 64.
    Base64,
    /// All that is left as types of a bitmap.
    Bitmap,
    /// All that is left as parameters of a service.
    Service,
}

use Field::{
    Algorithm, Base64, Bitmap, Blob, Byte, Certificate, Hardware, Hex, Ip4, Ip6, Locator, Long, Moment, Name,
    Place, Ranges, Service, Span, Text, Texts, Type, Word,
};

/// The types that are read: number and fields.
const TYPES: &[(u16, &[Field])] = &[
    (1, &[Ip4]),
    (2, &[Name]),
    (5, &[Name]),
    (6, &[Name, Name, Long, Span, Span, Span, Span]),
    (7, &[Name]),
    (8, &[Name]),
    (9, &[Name]),
    (12, &[Name]),
    (13, &[Text, Text]),
    (14, &[Name, Name]),
    (15, &[Word, Name]),
    (16, &[Texts]),
    (17, &[Name, Name]),
    (18, &[Word, Name]),
    (19, &[Text]),
    (20, &[Texts]),
    (21, &[Word, Name]),
    (24, &[Type, Algorithm, Byte, Span, Moment, Moment, Word, Name, Base64]),
    (25, &[Word, Byte, Algorithm, Base64]),
    (26, &[Word, Name, Name]),
    (27, &[Text, Text, Text]),
    (28, &[Ip6]),
    (29, &[Place]),
    (33, &[Word, Word, Word, Name]),
    (35, &[Word, Word, Text, Text, Text, Name]),
    (36, &[Word, Name]),
    (37, &[Certificate, Word, Algorithm, Base64]),
    (39, &[Name]),
    (42, &[Ranges]),
    (43, &[Word, Algorithm, Byte, Hex]),
    (44, &[Byte, Byte, Hex]),
    (46, &[Type, Algorithm, Byte, Span, Moment, Moment, Word, Name, Base64]),
    (47, &[Name, Bitmap]),
    (48, &[Word, Byte, Algorithm, Base64]),
    (49, &[Base64]),
    (52, &[Byte, Byte, Byte, Hex]),
    (53, &[Byte, Byte, Byte, Hex]),
    (56, &[Texts]),
    (57, &[Word, Byte, Algorithm, Base64]),
    (58, &[Name, Name]),
    (59, &[Word, Algorithm, Byte, Hex]),
    (60, &[Word, Byte, Algorithm, Base64]),
    (61, &[Base64]),
    (62, &[Long, Word, Bitmap]),
    (63, &[Long, Byte, Byte, Hex]),
    (64, &[Word, Name, Service]),
    (65, &[Word, Name, Service]),
    (99, &[Texts]),
    (101, &[Long]),
    (102, &[Long]),
    (104, &[Word, Locator]),
    (105, &[Word, Ip4]),
    (106, &[Word, Locator]),
    (107, &[Word, Name]),
    (108, &[Hardware(6)]),
    (109, &[Hardware(8)]),
    (256, &[Word, Word, Blob]),
    (257, &[Byte, Text, Blob]),
    (258, &[Texts]),
    (32768, &[Word, Algorithm, Byte, Hex]),
    (32769, &[Word, Algorithm, Byte, Hex]),
];

/// Algorithms of keys by mnemonic (IANA, "DNS Security Algorithm Numbers").
const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Kinds of certificates by mnemonic (RFC 4398 §2.1).
const CERTIFICATES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// The words of one record's RDATA.
struct Words<'a> {
    /// What is left.
    rest: &'a [Token],
    /// What completes names.
    origin: &'a [u8],
}

/// Reads the RDATA of a type; names are completed by `origin`.
///
/// Errors: what is wrong, in words. Source: RFC 1035 §3.3 and successors, RFC 3597 §5.
pub(crate) fn rdata_from_words(rtype: u16, tokens: &[Token], origin: &[u8]) -> Result<Vec<u8>, String> {
    let name = type_mnemonic(rtype).map_or_else(|| format!("TYPE{rtype}"), str::to_owned);
    // What questions ask for and messages carry is no data (RFC 6895 §3.1).
    if matches!(rtype, 0 | 41 | 249..=255) {
        return Err(format!("{name} is no type of records"));
    }
    if let Some((first, rest)) = tokens.split_first()
        && !first.quoted
        && first.text == b"\\#"
    {
        return generic(rest);
    }
    let Some((_, fields)) = TYPES.iter().find(|(number, _)| *number == rtype) else {
        return Err(format!("the text form of {name} is not known: write its bytes, as in `\\# 2 0aff`"));
    };
    let mut words = Words { rest: tokens, origin };
    let mut out = Vec::new();
    for field in *fields {
        words.field(*field, &mut out).map_err(|why| format!("{name}: {why}"))?;
    }
    match words.rest.first() {
        Some(word) => Err(format!("{name}: `{}` is one word too many", word.shown())),
        None if out.len() > usize::from(u16::MAX) => Err(format!("{name}: it is longer than 65535 bytes")),
        None => Ok(out),
    }
}

/// RDATA as bytes: a length and hexadecimal digits.
fn generic(tokens: &[Token]) -> Result<Vec<u8>, String> {
    let (length, digits) = tokens.split_first().ok_or("a length must stand behind `\\#`")?;
    let length: usize = number(length, u64::from(u16::MAX)).map(|length| length.try_into().unwrap_or(0))?;
    let bytes = hex(digits)?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(format!("`\\#` says {length} bytes, and {} stand behind it", bytes.len())),
    }
}

/// A decimal number up to `most`.
pub(super) fn number(token: &Token, most: u64) -> Result<u64, String> {
    let text = std::str::from_utf8(&token.text).unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse::<u64>().ok())
        .flatten()
        .filter(|number| *number <= most)
        .ok_or_else(|| format!("`{}` is no number from 0 to {most}", token.shown()))
}

/// The bytes of hexadecimal digits over several words.
fn hex(tokens: &[Token]) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = tokens.iter().flat_map(|token| token.text.iter().copied()).collect();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        let value = match pair {
            [high, low] => char::from(*high)
                .to_digit(16)
                .zip(char::from(*low).to_digit(16))
                .and_then(|(high, low)| u8::try_from(high << 4 | low).ok()),
            _ => None,
        };
        bytes.push(value.ok_or("the hexadecimal digits are not whole bytes")?);
    }
    Ok(bytes)
}

/// The bytes of a character string, escapes resolved.
pub(super) fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let next = rest.next().ok_or("nothing stands behind a backslash")?;
        if !next.is_ascii_digit() {
            bytes.push(next);
            continue;
        }
        let digits = [next, rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        let value = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<u8>().ok());
        bytes.push(value.ok_or("three digits up to 255 must stand behind a backslash")?);
    }
    Ok(bytes)
}

/// The seconds since 1970 of `YYYYMMDDHHmmSS`.
fn moment(text: &str) -> Option<u32> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 by the civil calendar, years beginning in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let total = days * 86_400 + hour * 3600 + minute * 60 + second;
    // Modulo 2^32 by serial arithmetic (RFC 4034 §3.1.5).
    u32::try_from(total.rem_euclid(1 << 32)).ok()
}

impl<'a> Words<'a> {
    /// The next word.
    fn next(&mut self) -> Result<&'a Token, String> {
        let (first, rest) = self.rest.split_first().ok_or("a word is missing at the end")?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads one field into `out`.
    fn field(&mut self, field: Field, out: &mut Vec<u8>) -> Result<(), String> {
        match field {
            Byte => {
                let value = number(self.next()?, u64::from(u8::MAX))?;
                out.push(u8::try_from(value).unwrap_or(u8::MAX));
            }
            Word => {
                let value = number(self.next()?, u64::from(u16::MAX))?;
                out.extend(u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
            }
            Long => {
                let value = number(self.next()?, u64::from(u32::MAX))?;
                out.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
            }
            Span => {
                let token = self.next()?;
                let value = seconds(&token.text)
                    .ok_or_else(|| format!("`{}` is no number of seconds", token.shown()))?;
                out.extend(value.to_be_bytes());
            }
            Moment => {
                let token = self.next()?;
                let text = std::str::from_utf8(&token.text).unwrap_or_default();
                let value = if text.len() == 14 { moment(text) } else { text.parse().ok() };
                let value =
                    value.ok_or_else(|| format!("`{}` is no moment: write YYYYMMDDHHmmSS", token.shown()))?;
                out.extend(value.to_be_bytes());
            }
            Name => {
                let token = self.next()?;
                let name = absolute(&token.text, self.origin);
                out.extend(name.ok_or_else(|| format!("`{}` is no name", token.shown()))?);
            }
            Text => {
                let token = self.next()?;
                push_text(&token.text, out)?;
            }
            Texts => {
                let first = self.next()?;
                push_texts(&first.text, out)?;
                for token in std::mem::take(&mut self.rest) {
                    push_texts(&token.text, out)?;
                }
            }
            Blob => out.extend(unescape(&self.next()?.text)?),
            Ip4 => {
                let token = self.next()?;
                let text = std::str::from_utf8(&token.text).unwrap_or_default();
                let ip = text.parse::<Ipv4Addr>();
                out.extend(ip.map_err(|_| format!("`{}` is no IPv4 address", token.shown()))?.octets());
            }
            Ip6 => {
                let token = self.next()?;
                let text = std::str::from_utf8(&token.text).unwrap_or_default();
                let ip = text.parse::<Ipv6Addr>();
                out.extend(ip.map_err(|_| format!("`{}` is no IPv6 address", token.shown()))?.octets());
            }
            Type => {
                let token = self.next()?;
                let number = type_of(token);
                out.extend(number.ok_or_else(|| format!("`{}` is no type", token.shown()))?.to_be_bytes());
            }
            Hex => out.extend(hex(std::mem::take(&mut self.rest))?),
            Base64 => {
                let digits: Vec<u8> = std::mem::take(&mut self.rest)
                    .iter()
                    .flat_map(|token| token.text.iter().copied())
                    .collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(digits);
                out.extend(bytes.map_err(|error| format!("the base 64 can't be read: {error}"))?);
            }
            Bitmap => bitmap(std::mem::take(&mut self.rest), out)?,
            Algorithm => {
                let value = named(self.next()?, ALGORITHMS, u8::MAX.into())?;
                out.push(u8::try_from(value).unwrap_or(u8::MAX));
            }
            Certificate => out.extend(named(self.next()?, CERTIFICATES, u16::MAX)?.to_be_bytes()),
            Locator => {
                let token = self.next()?;
                let parts = numbers(&token.text, ':', 4);
                let parts = parts.filter(|parts| parts.len() == 4);
                let parts =
                    parts.ok_or_else(|| format!("`{}` is not four numbers as in 0:0:0:ff", token.shown()))?;
                parts.iter().for_each(|part| out.extend(part.to_be_bytes()));
            }
            Hardware(length) => {
                let token = self.next()?;
                let parts = numbers(&token.text, '-', 2).filter(|parts| parts.len() == length);
                let parts = parts.ok_or_else(|| {
                    format!("`{}` is not {length} bytes with hyphens between them", token.shown())
                })?;
                out.extend(parts.iter().filter_map(|part| u8::try_from(*part).ok()));
            }
            Place => {
                let rest = std::mem::take(&mut self.rest).iter();
                let words: Vec<&str> =
                    rest.map(|token| std::str::from_utf8(&token.text).unwrap_or_default()).collect();
                out.extend(location(&words)?);
            }
            Ranges => {
                for token in std::mem::take(&mut self.rest) {
                    let range = range(&token.text).ok_or_else(|| {
                        format!("`{}` is no range of addresses as in 1:192.0.2.0/24", token.shown())
                    })?;
                    out.extend(range);
                }
            }
            Service => parameters(std::mem::take(&mut self.rest), out)?,
        }
        Ok(())
    }
}

/// Appends a character string with its length.
fn push_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let bytes = unescape(text)?;
    out.push(u8::try_from(bytes.len()).map_err(|_| "a text is longer than 255 bytes")?);
    out.extend(bytes);
    Ok(())
}

/// Appends a character string, cut into as many as its length needs.
///
/// Source: the habit of RFC 7208 §3.3, whose readers put the strings together again; coredns (miekg/dns) cuts at 255 too.
fn push_texts(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let bytes = unescape(text)?;
    if bytes.is_empty() {
        out.push(0);
    }
    for piece in bytes.chunks(usize::from(u8::MAX)) {
        out.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        out.extend(piece);
    }
    Ok(())
}

/// A number up to `most`, or a mnemonic of `table`.
fn named(token: &Token, table: &[(&str, u16)], most: u16) -> Result<u16, String> {
    let text = std::str::from_utf8(&token.text).unwrap_or_default();
    let known = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, number)| *number);
    known
        .or_else(|| number(token, most.into()).ok().and_then(|number| u16::try_from(number).ok()))
        .ok_or_else(|| format!("`{}` is no number from 0 to {most} and no mnemonic", token.shown()))
}

/// The type that a word names.
fn type_of(token: &Token) -> Option<u16> {
    std::str::from_utf8(&token.text).ok().and_then(type_number)
}

/// Numbers in hexadecimal of at most so many digits, with `between` between them.
fn numbers(text: &[u8], between: char, digits: usize) -> Option<Vec<u16>> {
    let text = std::str::from_utf8(text).ok()?;
    let one = |part: &str| {
        let fits = (1..=digits).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| u16::from_str_radix(part, 16).ok())?
    };
    text.split(between).map(one).collect()
}

/// A range of addresses: `[!]FAMILY:ADDRESS/PREFIX`, trailing zeros left out.
///
/// Source: RFC 3123 §4.
fn range(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (negated, text) = text.strip_prefix('!').map_or((0, text), |rest| (0x80, rest));
    let (family, range) = text.split_once(':')?;
    let (address, prefix) = range.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    let (family, mut bytes, most): (u16, Vec<u8>, u8) = match family {
        "1" => (1, address.parse::<Ipv4Addr>().ok()?.octets().to_vec(), 32),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
        _ => return None,
    };
    if prefix > most {
        return None;
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    let length = u8::try_from(bytes.len()).ok()?;
    Some([&family.to_be_bytes()[..], &[prefix, negated | length], &bytes].concat())
}

/// Appends the bitmap of types (RFC 4034 §4.1.2).
fn bitmap(tokens: &[Token], out: &mut Vec<u8>) -> Result<(), String> {
    let mut types = Vec::new();
    for token in tokens {
        types.push(type_of(token).ok_or_else(|| format!("`{}` is no type", token.shown()))?);
    }
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0_u8; 32];
        let mut used = 0_u8;
        for rtype in window {
            let [high, low] = rtype.to_be_bytes();
            if let Some(byte) = bits.get_mut(usize::from(low >> 3)) {
                *byte |= 0x80 >> (low & 7);
            }
            used = used.max((low >> 3) + 1);
            if *rtype == window.last().copied().unwrap_or(0) {
                out.push(high);
            }
        }
        out.push(used);
        out.extend(bits.get(..usize::from(used)).unwrap_or_default());
    }
    Ok(())
}
