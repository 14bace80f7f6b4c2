//! One record that stands alone: what templates make.

use super::super::{CLASS_IN, class_number, type_number};
use super::{Lexer, absolute, rdata_from_words, seconds};

/// TTL of a record that names none, where nothing before it does. Unit: seconds. Source: coredns (miekg/dns).
pub(crate) const TTL: u32 = 3600;

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

/// Why a text is no record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TextFault(String);

/// Reads `OWNER [TTL] [CLASS] TYPE RDATA`; names without a final dot are below the root.
///
/// Cost: allocates. Errors: what is wrong, in words; never a panic, whatever the text.
/// Source: RFC 1035 §5.1, RFC 3597 §5.
pub fn record_from_text(text: &str) -> Result<TextRecord, TextFault> {
    record(text).map_err(TextFault)
}

/// The same, faults in words.
fn record(text: &str) -> Result<TextRecord, String> {
    let mut lexer = Lexer::new(text.trim().as_bytes());
    let entry = lexer.entry()?.ok_or("it is empty")?;
    if lexer.entry()?.is_some() {
        return Err("it is more than one line".to_owned());
    }
    let Some((owner, mut rest)) = entry.tokens.split_first() else { return Err("it is empty".to_owned()) };
    let name = absolute(&owner.text, &[0]).ok_or_else(|| format!("`{}` is no name", owner.shown()))?;
    let (mut ttl, mut class) = (None, None);
    let rtype = loop {
        let Some((token, behind)) = rest.split_first() else { return Err("it has no type".to_owned()) };
        rest = behind;
        let word = std::str::from_utf8(&token.text).unwrap_or_default();
        // Digits first: a TTL; then a class, which `ANY` is too, and it can't be a record's type.
        if ttl.is_none() && word.starts_with(|c: char| c.is_ascii_digit()) {
            ttl = Some(seconds(&token.text).ok_or_else(|| format!("`{word}` is no TTL"))?);
        } else if let Some(number) = class_number(word).filter(|_| class.is_none()) {
            class = Some(number);
        } else {
            break type_number(word).ok_or_else(|| format!("`{}` is no type", token.shown()))?;
        }
    };
    let rdata = rdata_from_words(rtype, rest, &[0])?;
    Ok(TextRecord { owner: name, rtype, class: class.unwrap_or(CLASS_IN), ttl: ttl.unwrap_or(TTL), rdata })
}
