//! RDATA from its words: each type is a list of fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;

use super::lexer::Token;
use super::names::absolute;
use super::read::seconds;
use crate::wire::service_binding;

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
    /// One or more character strings.
    Texts,
    /// All that is left as bytes, without a length.
    Blob,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// The mnemonic of a type.
    Type,
    /// All that is left in hexadecimal.
    Hex,
    /// All that is left in base 64.
    Base64,
    /// All that is left as types of a bitmap.
    Bitmap,
    /// All that is left as parameters of a service, read by the codec.
    Service,
}

use Field::{
    Base64, Bitmap, Blob, Byte, Hex, Ip4, Ip6, Long, Moment, Name, Service, Span, Text, Texts, Type, Word,
};

/// The types that are read: mnemonic, number, fields.
const TYPES: &[(&str, u16, &[Field])] = &[
    ("A", 1, &[Ip4]),
    ("NS", 2, &[Name]),
    ("CNAME", 5, &[Name]),
    ("SOA", 6, &[Name, Name, Long, Span, Span, Span, Span]),
    ("MB", 7, &[Name]),
    ("MG", 8, &[Name]),
    ("MR", 9, &[Name]),
    ("PTR", 12, &[Name]),
    ("HINFO", 13, &[Text, Text]),
    ("MINFO", 14, &[Name, Name]),
    ("MX", 15, &[Word, Name]),
    ("TXT", 16, &[Texts]),
    ("RP", 17, &[Name, Name]),
    ("AFSDB", 18, &[Word, Name]),
    ("X25", 19, &[Text]),
    ("RT", 21, &[Word, Name]),
    ("AAAA", 28, &[Ip6]),
    ("SRV", 33, &[Word, Word, Word, Name]),
    ("NAPTR", 35, &[Word, Word, Text, Text, Text, Name]),
    ("KX", 36, &[Word, Name]),
    ("CERT", 37, &[Word, Word, Byte, Base64]),
    ("DNAME", 39, &[Name]),
    ("DS", 43, &[Word, Byte, Byte, Hex]),
    ("SSHFP", 44, &[Byte, Byte, Hex]),
    ("RRSIG", 46, &[Type, Byte, Byte, Span, Moment, Moment, Word, Name, Base64]),
    ("NSEC", 47, &[Name, Bitmap]),
    ("DNSKEY", 48, &[Word, Byte, Byte, Base64]),
    ("DHCID", 49, &[Base64]),
    ("TLSA", 52, &[Byte, Byte, Byte, Hex]),
    ("SMIMEA", 53, &[Byte, Byte, Byte, Hex]),
    ("CDS", 59, &[Word, Byte, Byte, Hex]),
    ("CDNSKEY", 60, &[Word, Byte, Byte, Base64]),
    ("OPENPGPKEY", 61, &[Base64]),
    ("CSYNC", 62, &[Long, Word, Bitmap]),
    ("ZONEMD", 63, &[Long, Byte, Byte, Hex]),
    ("SVCB", 64, &[Service]),
    ("HTTPS", 65, &[Service]),
    ("SPF", 99, &[Texts]),
    ("LP", 107, &[Word, Name]),
    ("URI", 256, &[Word, Word, Blob]),
    ("CAA", 257, &[Byte, Text, Blob]),
];

/// Types that have a mnemonic and whose RDATA is read only in the form of RFC 3597.
const NAMED: &[(&str, u16)] = &[
    ("NULL", 10),
    ("WKS", 11),
    ("LOC", 29),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("HIP", 55),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("EUI48", 108),
    ("EUI64", 109),
    ("AVC", 258),
];

/// The number of a type by its mnemonic, or in the form `TYPE65280` (RFC 3597 §5).
pub(super) fn type_number(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    let known = TYPES.iter().map(|(name, number, _)| (*name, *number)).chain(NAMED.iter().copied());
    for (name, number) in known {
        if name.eq_ignore_ascii_case(text) {
            return Some(number);
        }
    }
    let front = text.get(..4).filter(|front| front.eq_ignore_ascii_case("TYPE"))?;
    text.get(front.len()..)?.parse().ok()
}

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
pub(super) fn parse(rtype: u16, tokens: &[Token], origin: &[u8]) -> Result<Vec<u8>, String> {
    if let Some((first, rest)) = tokens.split_first()
        && !first.quoted
        && first.text == b"\\#"
    {
        return generic(rest);
    }
    if matches!(rtype, 50 | 51) {
        return Err("zones with NSEC3 are not served: sign with NSEC".to_owned());
    }
    let Some((name, _, fields)) = TYPES.iter().find(|(_, number, _)| *number == rtype) else {
        return Err(format!(
            "the text form of type {rtype} is not known: write its bytes, as in `\\# 2 0aff`"
        ));
    };
    let mut words = Words { rest: tokens, origin };
    let mut out = Vec::new();
    for field in *fields {
        words.field(*field, rtype, &mut out).map_err(|why| format!("{name}: {why}"))?;
    }
    match words.rest.first() {
        Some(word) => Err(format!("{name}: `{}` is one word too many", word.shown())),
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
fn number(token: &Token, most: u64) -> Result<u64, String> {
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
fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
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
    fn field(&mut self, field: Field, rtype: u16, out: &mut Vec<u8>) -> Result<(), String> {
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
                push_text(&first.text, out)?;
                for token in std::mem::take(&mut self.rest) {
                    push_text(&token.text, out)?;
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
                let number = type_number(&token.text);
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
            Service => out.extend(self.service(rtype)?),
        }
        Ok(())
    }

    /// Reads all of an SVCB or HTTPS record, whose target is completed here and whose parameters the codec reads.
    fn service(&mut self, rtype: u16) -> Result<Vec<u8>, String> {
        let priority = number(self.next()?, u64::from(u16::MAX))?;
        let target = self.next()?;
        let name =
            absolute(&target.text, self.origin).ok_or_else(|| format!("`{}` is no name", target.shown()))?;
        let mut text = format!("{priority} {}", crate::wire::show_name(&name));
        for token in std::mem::take(&mut self.rest) {
            text.push(' ');
            text.push_str(&String::from_utf8_lossy(&token.text));
        }
        service_binding(rtype, &text).map_err(|error| match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        })
    }
}

/// Appends a character string with its length.
fn push_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let bytes = unescape(text)?;
    out.push(u8::try_from(bytes.len()).map_err(|_| "a text is longer than 255 bytes")?);
    out.extend(bytes);
    Ok(())
}

/// Appends the bitmap of types (RFC 4034 §4.1.2).
fn bitmap(tokens: &[Token], out: &mut Vec<u8>) -> Result<(), String> {
    let mut types = Vec::new();
    for token in tokens {
        types.push(type_number(&token.text).ok_or_else(|| format!("`{}` is no type", token.shown()))?);
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
