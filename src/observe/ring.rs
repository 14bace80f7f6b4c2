//! The last queries of a worker, one behind the other in a fixed block of memory; the oldest make room for new ones.

use super::seen::Seen;

/// What a query is budgeted with: most names have fewer than 60 bytes. Unit: bytes.
pub const RECORD: usize = 100;

/// Bytes of a record without its name.
const FRONT: usize = 40;

/// The least memory: the longest name must fit. Unit: bytes.
const LEAST: usize = 4 * (FRONT + 256);

/// The ring.
///
/// Shape: a record is its length (2 bytes) and what `write` says; `tail..head` count bytes from the beginning of time, so a place
/// never comes twice and a reader sees whether it was overtaken.
pub(super) struct Ring {
    /// The memory.
    bytes: Box<[u8]>,
    /// Where the oldest record begins.
    tail: u64,
    /// Where the next record will.
    head: u64,
}

impl Ring {
    /// An empty ring with room for so many queries of usual length.
    pub(super) fn new(queries: usize) -> Self {
        let size = queries.saturating_mul(RECORD).max(LEAST);
        Self { bytes: vec![0; size].into_boxed_slice(), tail: 0, head: 0 }
    }

    /// Where the next record will begin.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The place in memory of a place in time, and how many bytes follow it before the end of the memory.
    fn at(&self, place: u64) -> usize {
        usize::try_from(place % self.bytes.len() as u64).unwrap_or(0)
    }

    /// Copies bytes into the ring.
    fn put(&mut self, place: u64, bytes: &[u8]) {
        let at = self.at(place);
        let (first, second) = bytes.split_at(bytes.len().min(self.bytes.len() - at));
        if let Some(to) = self.bytes.get_mut(at..at + first.len()) {
            to.copy_from_slice(first);
        }
        if let Some(to) = self.bytes.get_mut(..second.len()) {
            to.copy_from_slice(second);
        }
    }

    /// Copies bytes out of the ring.
    fn take(&self, place: u64, out: &mut [u8]) {
        let at = self.at(place);
        let split = out.len().min(self.bytes.len() - at);
        let (first, second) = out.split_at_mut(split);
        first.copy_from_slice(self.bytes.get(at..at + first.len()).unwrap_or_default());
        second.copy_from_slice(self.bytes.get(..second.len()).unwrap_or_default());
    }

    /// Writes a query down. Cost: two copies of at most 300 bytes, and a look at each record that makes room.
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        let mut record = [0_u8; FRONT + 256];
        let length = write(seen, &mut record);
        let end = self.head + length as u64;
        while end - self.tail > self.bytes.len() as u64 {
            let mut first = [0; 2];
            self.take(self.tail, &mut first);
            self.tail += u64::from(u16::from_be_bytes(first).max(2));
        }
        self.put(self.head, record.get(..length).unwrap_or_default());
        self.head = end;
    }

    /// Copies whole records from `from` on to `out`, at most so many bytes but at least one record where there is one; where the
    /// next one begins, and whether records before it were overwritten. Cost: a copy of `most` bytes.
    pub(super) fn copy(&self, from: u64, most: usize, out: &mut Vec<u8>) -> (u64, bool) {
        out.clear();
        // A place that lies ahead is that of another life of this server.
        let (mut at, lost) =
            if from < self.tail || from > self.head { (self.tail, from != 0) } else { (from, false) };
        while at < self.head {
            let mut first = [0; 2];
            self.take(at, &mut first);
            let length = usize::from(u16::from_be_bytes(first).max(2));
            if !out.is_empty() && out.len() + length > most {
                break;
            }
            let start = out.len();
            out.resize(start + length, 0);
            self.take(at, out.get_mut(start..).unwrap_or_default());
            at += length as u64;
        }
        (at, lost)
    }
}

/// Writes a record; its length.
fn write(seen: &Seen<'_>, out: &mut [u8; FRONT + 256]) -> usize {
    let name = seen.name.get(..seen.name.len().min(255)).unwrap_or_default();
    let length = FRONT + name.len();
    let ip = match seen.client {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(ip) => ip.octets(),
    };
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(to) = out.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
        at += bytes.len();
    };
    put(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    put(&seen.at.0.to_be_bytes());
    put(&u32::try_from(seen.took.as_micros()).unwrap_or(u32::MAX).to_be_bytes());
    put(&ip);
    put(&seen.port.to_be_bytes());
    put(&seen.qtype.to_be_bytes());
    put(&seen.rcode.to_be_bytes());
    put(&u16::from(seen.word).to_be_bytes());
    put(&[u8::from(seen.answers) | u8::from(seen.tcp) << 1, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    put(name);
    length
}

/// Reads the record at the front of `bytes`, and what stands behind it; `None` at the end.
pub(super) fn read(bytes: &[u8]) -> Option<(Seen<'_>, &[u8])> {
    let (length, _) = bytes.split_first_chunk()?;
    let (record, rest) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let rest_of = record.get(2..)?;
    let (at, rest_of) = rest_of.split_first_chunk()?;
    let (took, rest_of) = rest_of.split_first_chunk()?;
    let (ip, rest_of) = rest_of.split_first_chunk::<16>()?;
    let (port, rest_of) = rest_of.split_first_chunk()?;
    let (qtype, rest_of) = rest_of.split_first_chunk()?;
    let (rcode, rest_of) = rest_of.split_first_chunk()?;
    let (word, rest_of) = rest_of.split_first_chunk()?;
    let ([flags, _], name) = rest_of.split_first_chunk::<2>()?;
    let seen = Seen {
        at: crate::time::Tick(u64::from_be_bytes(*at)),
        took: std::time::Duration::from_micros(u32::from_be_bytes(*took).into()),
        client: std::net::IpAddr::from(*ip).to_canonical(),
        port: u16::from_be_bytes(*port),
        tcp: flags >> 1 & 1 == 1,
        name,
        qtype: u16::from_be_bytes(*qtype),
        rcode: u16::from_be_bytes(*rcode),
        answers: flags & 1 == 1,
        word: u8::try_from(u16::from_be_bytes(*word)).unwrap_or(u8::MAX),
        namespace: None,
        candidate: false,
    };
    Some((seen, rest))
}
