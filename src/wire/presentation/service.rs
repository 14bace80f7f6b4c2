//! Parameters of a service: what stands behind the target of an SVCB or HTTPS record (RFC 9460 §2.1, Appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;

use super::lexer::Token;
use super::rdata::unescape;

/// How the value of a parameter is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Keys with commas between them; they go out in their order.
    Keys,
    /// Protocols with commas between them.
    Protocols,
    /// Nothing.
    Nothing,
    /// A number of two bytes.
    Number,
    /// IPv4 addresses with commas between them.
    Ip4s,
    /// IPv6 addresses with commas between them.
    Ip6s,
    /// Base 64.
    Base64,
    /// Numbers of two bytes with commas between them.
    Numbers,
    /// Bytes as they are.
    Bytes,
}

/// The parameters that have a name, and a form of their own (IANA, "Service Parameter Keys").
const KEYS: &[(&str, u16, Form)] = &[
    ("mandatory", 0, Form::Keys),
    ("alpn", 1, Form::Protocols),
    ("no-default-alpn", 2, Form::Nothing),
    ("port", 3, Form::Number),
    ("ipv4hint", 4, Form::Ip4s),
    ("ech", 5, Form::Base64),
    ("ipv6hint", 6, Form::Ip6s),
    ("dohpath", 7, Form::Bytes),
    ("ohttp", 8, Form::Nothing),
    ("tls-supported-groups", 9, Form::Numbers),
];

/// The key of a word, and the form of its value: a name, or `key` and a number without zeros in front.
fn key(word: &str) -> Option<(u16, Form)> {
    if let Some((_, number, form)) = KEYS.iter().find(|(known, _, _)| *known == word) {
        return Some((*number, *form));
    }
    let digits = word.strip_prefix("key")?;
    let plain = digits == "0" || digits.starts_with(|c: char| ('1'..='9').contains(&c));
    let number = digits.parse::<u16>().ok().filter(|number| plain && *number < u16::MAX)?;
    // Written by its number a key has bytes, whatever else is known of it (RFC 9460 §2.1).
    Some((number, Form::Bytes))
}

/// The items of a list, whose commas and backslashes a backslash takes their meaning.
fn items(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut items, mut item) = (Vec::new(), Vec::new());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' => items.push(std::mem::take(&mut item)),
            b'\\' => item.push(bytes.next()?),
            _ => item.push(byte),
        }
    }
    items.push(item);
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

/// All items of a list, each read by `read`.
fn each<T>(value: &[u8], read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let items = items(value)?;
    items.iter().map(|item| read(std::str::from_utf8(item).ok()?)).collect()
}

/// The bytes of a value; `None` where it is none of its form.
fn encode(form: Form, value: &[u8]) -> Option<Vec<u8>> {
    let number = |text: &str| text.parse::<u16>().ok().map(u16::to_be_bytes);
    Some(match form {
        Form::Keys => {
            let mut keys = each(value, |text| key(text).map(|(number, _)| number))?;
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair.first() == pair.last()) || keys.first() == Some(&0) {
                return None;
            }
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        Form::Protocols => {
            let mut out = Vec::new();
            for item in items(value)? {
                out.push(u8::try_from(item.len()).ok()?);
                out.extend(item);
            }
            out
        }
        Form::Nothing => return value.is_empty().then(Vec::new),
        Form::Number => number(std::str::from_utf8(value).ok()?)?.to_vec(),
        Form::Ip4s => each(value, |text| text.parse::<Ipv4Addr>().ok().map(|ip| ip.octets()))?.concat(),
        Form::Ip6s => each(value, |text| text.parse::<Ipv6Addr>().ok().map(|ip| ip.octets()))?.concat(),
        Form::Base64 => {
            base64::engine::general_purpose::STANDARD.decode(value).ok().filter(|out| !out.is_empty())?
        }
        Form::Numbers => each(value, number)?.concat(),
        Form::Bytes => value.to_vec(),
    })
}

/// Appends the parameters in the order of their keys, in whichever they stand in the text.
///
/// Errors: a key that is none or stands twice, a value that is none of its form. Source: RFC 9460 §2.1 and §2.2.
pub(super) fn parameters(tokens: &[Token], out: &mut Vec<u8>) -> Result<(), String> {
    let mut all: Vec<(u16, Vec<u8>)> = Vec::new();
    for token in tokens {
        // Like names: what is no text is written as `\DDD`.
        let text = std::str::from_utf8(&token.text);
        let text = text.map_err(|_| format!("`{}` is not UTF-8 text", token.shown()))?;
        let (word, value) = text.split_once('=').unwrap_or((text, ""));
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = unescape(quoted.unwrap_or(value).as_bytes())?;
        let (number, form) = key(word).ok_or_else(|| format!("`{word}` is no parameter of a service"))?;
        if all.iter().any(|(known, _)| *known == number) {
            return Err(format!("`{word}` stands twice"));
        }
        let value = encode(form, &value)
            .ok_or_else(|| format!("`{}` has no value that is one of {word}", token.shown()))?;
        all.push((number, value));
    }
    all.sort_unstable_by_key(|(number, _)| *number);
    for (number, value) in all {
        out.extend(number.to_be_bytes());
        let length =
            u16::try_from(value.len()).map_err(|_| "a value is longer than 65535 bytes".to_owned())?;
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}
