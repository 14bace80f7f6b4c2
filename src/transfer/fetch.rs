//! Questions to a primary over TCP: its serial, and its zone (RFC 5936).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fault::FetchFault;
use crate::wire::{CLASS_IN, MAX_MESSAGE, NameBuf, Raw, Rcode, Reader, Section, rdata, rtype};
use crate::zone::{Builder, Refusal, Zone};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the next message may take.
const MESSAGE: Duration = Duration::from_secs(10);

/// How long a whole zone may take.
const WHOLE: Duration = Duration::from_secs(600);

/// How much a zone may hold in memory. Unit: bytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// Bytes of a header.
const HEADER: usize = 12;

/// A connection with a question under way.
struct Dialogue {
    /// The connection.
    stream: TcpStream,
    /// The id of the question.
    id: u16,
    /// The message that came last.
    message: Vec<u8>,
}

/// Lets something take so long.
async fn within<T>(limit: Duration, what: impl Future<Output = std::io::Result<T>>) -> Result<T, FetchFault> {
    match timeout(limit, what).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(FetchFault::Late(limit)),
    }
}

impl Dialogue {
    /// Asks for records of the zone's own name.
    async fn ask(zone: &[u8], qtype: u16, primary: SocketAddr) -> Result<Self, FetchFault> {
        let mut stream = within(CONNECT, TcpStream::connect(primary)).await?;
        let id = fastrand::u16(..);
        let mut message = vec![0, 0];
        for word in [id, 0, 1, 0, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend_from_slice(zone);
        for word in [qtype, CLASS_IN] {
            message.extend(word.to_be_bytes());
        }
        let length = u16::try_from(message.len() - 2).unwrap_or(u16::MAX);
        if let Some(front) = message.get_mut(..2) {
            front.copy_from_slice(&length.to_be_bytes());
        }
        within(MESSAGE, stream.write_all(&message)).await?;
        Ok(Self { stream, id, message: Vec::new() })
    }

    /// Reads the next message, see `answer`.
    async fn next(&mut self) -> Result<(usize, u16), FetchFault> {
        let Self { stream, message, id } = self;
        within(MESSAGE, async {
            let length = stream.read_u16().await?;
            message.resize(usize::from(length).min(MAX_MESSAGE), 0);
            stream.read_exact(message).await.map(drop)
        })
        .await?;
        answer(message, *id)
    }
}

/// Looks at the front of a message: a sound header, our id, no error. Returns where its answer begins and how many records it
/// holds there.
fn answer(message: &[u8], id: u16) -> Result<(usize, u16), FetchFault> {
    let head = message.get(..HEADER).ok_or(crate::wire::Malformed)?;
    let word = |at: usize| head.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let (flags, questions) = (word(2), word(4));
    if word(0) != id || flags & 0xf800 != 0x8000 || questions > 1 || flags & 0x0200 != 0 {
        return Err(FetchFault::Strange);
    }
    if flags & 0xf != 0 {
        return Err(FetchFault::Rcode(Rcode(flags & 0xf)));
    }
    let count = word(6);
    let mut reader = Reader::new(message, HEADER);
    let mut name = NameBuf::default();
    for _ in 0..questions {
        reader.name(&mut name)?;
        reader.long()?;
    }
    Ok((reader.place(), count))
}

/// The serial that a primary has.
pub(super) async fn serial(zone: &[u8], primary: SocketAddr) -> Result<u32, FetchFault> {
    let mut dialogue = Dialogue::ask(zone, rtype::SOA, primary).await?;
    let (at, count) = dialogue.next().await?;
    let mut reader = Reader::new(&dialogue.message, at);
    let mut name = NameBuf::default();
    for _ in 0..count {
        let record = reader.record(Section::Answer, &mut name)?;
        if record.rtype == rtype::SOA && record.owner == zone {
            let whole = dialogue.message.get(record.at..record.at + record.len).unwrap_or_default();
            let numbers = whole.last_chunk::<20>().and_then(|tail| tail.first_chunk::<4>());
            return numbers.map(|serial| u32::from_be_bytes(*serial)).ok_or(FetchFault::NoSoa);
        }
    }
    Err(FetchFault::NoSoa)
}

/// The zone that a primary has.
pub(super) async fn zone(zone: &[u8], primary: SocketAddr) -> Result<Zone, FetchFault> {
    match timeout(WHOLE, whole(zone, primary)).await {
        Ok(result) => result,
        Err(_) => Err(FetchFault::Late(WHOLE)),
    }
}

/// The same without a bound in time.
async fn whole(zone: &[u8], primary: SocketAddr) -> Result<Zone, FetchFault> {
    let mut dialogue = Dialogue::ask(zone, rtype::AXFR, primary).await?;
    let mut arriving = Arriving::new(zone);
    loop {
        let answer = dialogue.next().await?;
        if arriving.read(&dialogue.message, answer)? {
            return Ok(arriving.builder.finish()?);
        }
    }
}

/// The zone that messages make, as of a primary that was asked with this id; `None` where they end before it does. What is
/// fuzzed of this room.
#[cfg(feature = "fuzzing")]
pub(crate) fn transferred(zone: &[u8], id: u16, messages: &[&[u8]]) -> Result<Option<Zone>, FetchFault> {
    let mut arriving = Arriving::new(zone);
    for message in messages {
        let answer = answer(message, id)?;
        if arriving.read(message, answer)? {
            return Ok(Some(arriving.builder.finish()?));
        }
    }
    Ok(None)
}

/// A zone while its records come.
struct Arriving<'a> {
    /// Its name.
    zone: &'a [u8],
    /// What came.
    builder: Builder,
    /// The RDATA of its SOA, once that came.
    soa: Vec<u8>,
    /// RDATA in hand.
    data: Vec<u8>,
}

impl<'a> Arriving<'a> {
    /// A zone of which nothing has come.
    fn new(zone: &'a [u8]) -> Self {
        Self { zone, builder: Builder::new(zone), soa: Vec::new(), data: Vec::new() }
    }

    /// Takes the answer of a message in, which begins here and has so many records; true where the zone is whole.
    fn read(&mut self, message: &[u8], (at, count): (usize, u16)) -> Result<bool, FetchFault> {
        let mut reader = Reader::new(message, at);
        let mut name = NameBuf::default();
        for _ in 0..count {
            let record = reader.record(Section::Answer, &mut name)?;
            if self.take(message, &record)? {
                return Ok(true);
            }
        }
        if self.soa.is_empty() {
            return Err(FetchFault::NoSoa);
        }
        if self.builder.size() > LARGEST {
            return Err(FetchFault::Refused(Refusal::TooLarge));
        }
        Ok(false)
    }

    /// Takes one record; true where it is the last.
    fn take(&mut self, message: &[u8], record: &Raw) -> Result<bool, FetchFault> {
        rdata(message, record, &mut self.data)?;
        let soa = record.rtype == rtype::SOA && record.owner == self.zone;
        if self.soa.is_empty() {
            if !soa {
                return Err(FetchFault::NoSoa);
            }
            self.soa.clone_from(&self.data);
        } else if soa {
            // The letters of names aside, it must be the one at the front.
            return match self.soa.eq_ignore_ascii_case(&self.data) {
                true => Ok(true),
                false => Err(FetchFault::Changed),
            };
        }
        if record.class != CLASS_IN {
            return Err(FetchFault::Strange);
        }
        let ttl = if record.ttl > 0x7fff_ffff { 0 } else { record.ttl };
        match self.builder.add(&record.owner, record.rtype, ttl, &self.data) {
            // Of no use to anybody (RFC 5936 §3.5 knows only the zone's own).
            Ok(()) | Err(Refusal::Outside) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
