//! How long a reply holds, for caches on its way (RFC 8484 §5.1).

use super::query::HEADER;
use super::rtype;

/// How long a reply holds: the smallest TTL of its answers; without answers that of its SOA and the SOA's MINIMUM
/// (RFC 2308 §5); 0 where it has neither, or can't be read.
///
/// Unit: seconds. Cost: one pass over the records.
#[must_use]
pub fn freshness(reply: &[u8]) -> u32 {
    read(reply).unwrap_or(0)
}

/// Does it; `None` where nothing says how long.
fn read(reply: &[u8]) -> Option<u32> {
    let word = |at: usize| reply.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let (questions, answers, authorities) = (word(4)?, word(6)?, word(8)?);
    let mut at = HEADER;
    for _ in 0..questions {
        at = behind_name(reply, at)? + 4;
    }
    let mut least = None;
    for place in 0..u32::from(answers) + u32::from(authorities) {
        let fixed = behind_name(reply, at)?;
        let ttl = long(reply, fixed + 4)?;
        let end = fixed + 10 + usize::from(word(fixed + 8)?);
        if place < u32::from(answers) {
            least = Some(least.map_or(ttl, |known: u32| known.min(ttl)));
        } else if answers > 0 {
            break;
        } else if word(fixed)? == rtype::SOA {
            return Some(ttl.min(long(reply, end.checked_sub(4)?)?));
        }
        at = end;
    }
    least
}

/// Four bytes.
fn long(reply: &[u8], at: usize) -> Option<u32> {
    reply.get(at..)?.first_chunk::<4>().map(|four| u32::from_be_bytes(*four))
}

/// Where the bytes behind a name begin.
fn behind_name(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *reply.get(at)? {
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

    /// A question for `a.` with these records behind it.
    fn reply(answers: u16, authorities: u16, records: &[&[u8]]) -> Vec<u8> {
        let mut reply = vec![0, 0, 0x81, 0x80, 0, 1];
        reply.extend(answers.to_be_bytes());
        reply.extend(authorities.to_be_bytes());
        reply.extend(b"\x00\x00\x01a\x00\x00\x01\x00\x01");
        records.iter().for_each(|record| reply.extend_from_slice(record));
        reply
    }

    /// An A with TTL 300, one with TTL 7, an SOA with TTL 60 and MINIMUM 30.
    const RECORDS: [&[u8]; 3] = [
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x0a\x00\x00\x01",
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x07\x00\x04\x0a\x00\x00\x02",
        b"\x00\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x16\x00\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x1e",
    ];

    #[test]
    fn the_smallest_ttl_of_the_answers_counts() {
        assert_eq!(freshness(&reply(1, 0, &RECORDS[..1])), 300);
        assert_eq!(freshness(&reply(2, 0, &RECORDS[..2])), 7);
        assert_eq!(freshness(&reply(1, 1, &[RECORDS[0], RECORDS[2]])), 300);
    }

    #[test]
    fn without_answers_the_soa_says() {
        assert_eq!(freshness(&reply(0, 1, &RECORDS[2..])), 30);
        assert_eq!(freshness(&reply(0, 0, &[])), 0);
    }

    #[test]
    fn what_cannot_be_read_holds_for_no_time() {
        let whole = reply(2, 1, &RECORDS);
        for length in 0..whole.len() - 40 {
            assert!(matches!(freshness(&whole[..length]), 0 | 7), "{length}");
        }
        assert_eq!(freshness(&reply(0xffff, 0xffff, &[])), 0);
    }
}
