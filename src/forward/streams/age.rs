//! The time that a reply spent in caches of HTTP on its way, taken off its TTLs (RFC 8484 §5.1).

use http::HeaderMap;
use http::header::AGE;

/// Bytes of a header.
const HEADER: usize = 12;

/// OPT has flags where others have a TTL.
const OPT: [u8; 2] = [0, 41];

/// How old a reply is by its own account; 0 where it does not say.
///
/// Unit: seconds.
pub(super) fn of(headers: &HeaderMap) -> u32 {
    let text = headers.get(AGE).and_then(|age| age.to_str().ok()).unwrap_or_default().trim();
    match text.parse::<u64>() {
        Ok(age) => u32::try_from(age).unwrap_or(u32::MAX),
        Err(_) => 0,
    }
}

/// Takes `age` off every TTL of a message, down to 0. What can't be read is left as it is: who reads it next refuses it.
pub(super) fn apply(message: &mut [u8], age: u32) {
    if age > 0 {
        let _ = walk(message, age);
    }
}

/// Does it; `None` where the message can't be read any further.
fn walk(message: &mut [u8], age: u32) -> Option<()> {
    let count =
        |message: &[u8], at: usize| message.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let questions = count(message, 4)?;
    let records = [6, 8, 10].map(|at| count(message, at).map_or(0, u32::from)).iter().sum::<u32>();
    let mut at = HEADER;
    for _ in 0..questions {
        at = behind_name(message, at)? + 4;
    }
    for _ in 0..records {
        let fixed = behind_name(message, at)?;
        let is_opt = message.get(fixed..fixed + 2)? == OPT;
        let ttl = message.get_mut(fixed + 4..fixed + 8)?;
        if !is_opt {
            let before = u32::from_be_bytes([ttl[0], ttl[1], ttl[2], ttl[3]]);
            ttl.copy_from_slice(&before.saturating_sub(age).to_be_bytes());
        }
        at = fixed + 10 + usize::from(count(message, fixed + 8)?);
    }
    Some(())
}

/// Where the bytes behind a name begin.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192..=255 => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with an A (TTL 300), one with TTL 10 in the authority, and an OPT.
    fn message() -> Vec<u8> {
        let mut message = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 1, 0, 1];
        message.extend(b"\x01a\x00\x00\x01\x00\x01");
        message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x0a\x00\x00\x01");
        message.extend(b"\x01b\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x0a\x00\x02\x01x");
        message.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00");
        message
    }

    #[test]
    fn ttls_grow_old_and_options_do_not() {
        let mut old = message();
        apply(&mut old, 44);
        let mut expected = message();
        expected[25..29].copy_from_slice(&[0, 0, 1, 0]);
        let second = expected.iter().rposition(|&byte| byte == 0x0a).unwrap();
        expected[second] = 0;
        assert_eq!(old, expected);
        let mut same = message();
        apply(&mut same, 0);
        assert_eq!(same, message());
    }

    #[test]
    fn what_cannot_be_read_is_left() {
        for length in 0..message().len() {
            apply(&mut message()[..length], 44);
        }
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..10_000 {
            let mut bytes = message();
            for _ in 0..3 {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
            apply(&mut bytes, 44);
        }
    }

    #[test]
    fn ages_are_read_and_nonsense_is_none() {
        let age = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AGE, http::HeaderValue::from_static(text));
            of(&headers)
        };
        assert_eq!([age("44"), age("99999999999"), age("-1"), age("x")], [44, u32::MAX, 0, 0]);
        assert_eq!(of(&HeaderMap::new()), 0);
    }
}
