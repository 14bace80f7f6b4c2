//! Names and numbers of seconds, as entries have them.

use super::super::{MAX_NAME, parse_name};

/// A name in presentation form in wire form, letters kept; one without a final dot is completed by `origin`.
///
/// Errors: an empty or too long label, too long a name, an escape that does not end, bytes that are not UTF-8: `None`.
/// Source: RFC 1035 §5.1.
pub(crate) fn absolute(text: &[u8], origin: &[u8]) -> Option<Vec<u8>> {
    if text == b"@" {
        return Some(origin.to_vec());
    }
    let text = std::str::from_utf8(text).ok()?;
    let mut wire = parse_name(text)?;
    if !ends_absolute(text) {
        wire.pop();
        wire.extend_from_slice(origin);
    }
    (wire.len() <= MAX_NAME).then_some(wire)
}

/// Whether a name ends in a dot that is not escaped.
fn ends_absolute(text: &str) -> bool {
    let Some(rest) = text.strip_suffix('.') else { return false };
    rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
}

/// Reads a number of seconds: `3600`, `1h30m`, `2w`, in any letters.
///
/// Source: RFC 2308 §2.3 and the habits of BIND.
pub(crate) fn seconds(text: &[u8]) -> Option<u32> {
    let (mut total, mut number, mut digits, mut any) = (0_u32, 0_u32, false, false);
    for byte in text {
        let unit: u32 = match byte {
            b'0'..=b'9' => {
                number = number.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
                (digits, any) = (true, true);
                continue;
            }
            b's' | b'S' => 1,
            b'm' | b'M' => 60,
            b'h' | b'H' => 3600,
            b'd' | b'D' => 86_400,
            b'w' | b'W' => 604_800,
            _ => return None,
        };
        if !digits {
            return None;
        }
        total = total.checked_add(number.checked_mul(unit)?)?;
        (number, digits) = (0, false);
    }
    any.then(|| total.checked_add(number)).flatten()
}
