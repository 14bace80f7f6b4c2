//! Numbers, texts and lists as bytes, and back.

use std::net::IpAddr;

use super::SnapshotFault;

/// Appends a number: seven bits a byte, the lowest first.
pub(in crate::store) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends how many follow.
pub(in crate::store) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_number(out, u64::try_from(count).unwrap_or(u64::MAX));
}

/// Appends bytes behind their length.
pub(in crate::store) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends arrays behind their count.
pub(in crate::store) fn put_arrays<const N: usize>(out: &mut Vec<u8>, arrays: &[[u8; N]]) {
    put_count(out, arrays.len());
    out.extend_from_slice(arrays.as_flattened());
}

/// Appends addresses behind their counts, IPv4 first; their order among each other is kept within a family.
pub(in crate::store) fn put_addresses(out: &mut Vec<u8>, addresses: &[IpAddr]) {
    let v4 = addresses.iter().filter_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip.octets()),
        IpAddr::V6(_) => None,
    });
    let v6 = addresses.iter().filter_map(|ip| match ip {
        IpAddr::V6(ip) => Some(ip.octets()),
        IpAddr::V4(_) => None,
    });
    put_arrays(out, &v4.collect::<Vec<_>>());
    put_arrays(out, &v6.collect::<Vec<_>>());
}

/// Bytes that are read from the front.
pub(in crate::store) struct Take<'a> {
    /// What is left.
    rest: &'a [u8],
}

/// What reading gives.
type Taken<T> = Result<T, SnapshotFault>;

/// A fault of the form.
const fn malformed<T>(what: &'static str) -> Taken<T> {
    Err(SnapshotFault::Malformed(what))
}

impl<'a> Take<'a> {
    /// Reads these bytes.
    pub(in crate::store) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub(in crate::store) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// So many bytes.
    pub(in crate::store) fn exactly(&mut self, length: usize) -> Taken<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return malformed("it ends in the middle of something");
        };
        self.rest = rest;
        Ok(taken)
    }

    /// An array.
    pub(in crate::store) fn array<const N: usize>(&mut self) -> Taken<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return malformed("it ends in the middle of something");
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub(in crate::store) fn byte(&mut self) -> Taken<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number.
    pub(in crate::store) fn number(&mut self) -> Taken<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return malformed("a number is too large");
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        malformed("a number is too large")
    }

    /// A number that is not larger than its type.
    pub(in crate::store) fn small<T: TryFrom<u64>>(&mut self) -> Taken<T> {
        T::try_from(self.number()?).or(malformed("a number is too large"))
    }

    /// How many things follow of which each takes at least `least` bytes: never more than there is room for.
    pub(in crate::store) fn count(&mut self, least: usize) -> Taken<usize> {
        let count: usize = self.small()?;
        if count > self.rest.len() / least.max(1) {
            return malformed("a list is longer than the file");
        }
        Ok(count)
    }

    /// Bytes behind their length.
    pub(in crate::store) fn bytes(&mut self) -> Taken<&'a [u8]> {
        let length = self.count(1)?;
        self.exactly(length)
    }

    /// A text.
    pub(in crate::store) fn text(&mut self) -> Taken<&'a str> {
        std::str::from_utf8(self.bytes()?).or(malformed("a text is no UTF-8"))
    }

    /// A list of things, each of which takes at least `least` bytes.
    pub(in crate::store) fn list<T>(
        &mut self,
        least: usize,
        mut each: impl FnMut(&mut Self) -> Taken<T>,
    ) -> Taken<Vec<T>> {
        let count = self.count(least)?;
        (0..count).map(|_| each(self)).collect()
    }

    /// A list of arrays.
    pub(in crate::store) fn arrays<const N: usize>(&mut self) -> Taken<Box<[[u8; N]]>> {
        let count = self.count(N)?;
        let bytes = self.exactly(count.saturating_mul(N))?;
        Ok(bytes.as_chunks().0.into())
    }

    /// Addresses of both families.
    pub(in crate::store) fn addresses(&mut self) -> Taken<Vec<IpAddr>> {
        let v4 = self.arrays::<4>()?;
        let v6 = self.arrays::<16>()?;
        let v4 = v4.iter().map(|&octets| IpAddr::from(octets));
        Ok(v4.chain(v6.iter().map(|&octets| IpAddr::from(octets))).collect())
    }

    /// A run of `labels` labels in wire form, lower case.
    pub(in crate::store) fn run(&mut self, labels: usize) -> Taken<&'a [u8]> {
        let run = self.bytes()?;
        let mut left = run;
        for _ in 0..labels {
            let Some((&length, rest)) = left.split_first() else { return malformed("a name lacks a label") };
            match rest.split_at_checked(usize::from(length)) {
                Some((label, rest))
                    if matches!(length, 1..=63) && !label.iter().any(u8::is_ascii_uppercase) =>
                {
                    left = rest;
                }
                _ => return malformed("a label is none"),
            }
        }
        if left.is_empty() { Ok(run) } else { malformed("a name has a label too many") }
    }

    /// A name in wire form, letters as they are, root included.
    pub(in crate::store) fn name(&mut self) -> Taken<&'a [u8]> {
        let name = self.bytes()?;
        let mut left = name;
        while let Some((&length, rest)) = left.split_first() {
            if length == 0 {
                return if rest.is_empty() && name.len() <= crate::wire::MAX_NAME {
                    Ok(name)
                } else {
                    malformed("a name is none")
                };
            }
            match rest.split_at_checked(usize::from(length)) {
                Some((_, rest)) if length <= 63 => left = rest,
                _ => return malformed("a label is none"),
            }
        }
        malformed("a name has no end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_ones_that_are_too_large_do_not() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut take = Take::new(&bytes);
            assert_eq!(take.number(), Ok(number));
            assert!(take.is_empty());
        }
        assert!(Take::new(&[0xff; 10]).number().is_err());
        assert!(Take::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).number().is_err());
        assert!(Take::new(&[0x80, 2]).small::<u8>().is_err());
    }

    #[test]
    fn a_count_is_never_more_than_there_is_room_for() {
        assert_eq!(Take::new(&[2, 0, 0, 0, 0, 0, 0, 0, 0]).count(4), Ok(2));
        assert!(Take::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0]).count(4).is_err());
        assert!(Take::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]).arrays::<4>().is_err());
    }

    #[test]
    fn names_and_runs_are_checked() {
        let run = |bytes: &[u8], labels| {
            let mut all = Vec::new();
            put_bytes(&mut all, bytes);
            Take::new(&all).run(labels).is_ok()
        };
        assert!(run(b"\x03web\x04shop", 2));
        assert!(!run(b"\x03web\x04shop", 1) && !run(b"\x03web\x04shop", 3));
        assert!(!run(b"\x03Web\x04shop", 2) && !run(b"\x00\x04shop", 2) && !run(b"\x05web", 1));
        let name = |bytes: &[u8]| {
            let mut all = Vec::new();
            put_bytes(&mut all, bytes);
            Take::new(&all).name().is_ok()
        };
        assert!(name(b"\x01A\x00") && name(b"\x00"));
        assert!(!name(b"\x01a") && !name(b"\x01a\x00\x00") && !name(b"\xc0\x0c") && !name(b""));
        assert!(!name(&[[1, b'a'].repeat(127), vec![1, b'a', 0]].concat()));
    }
}
