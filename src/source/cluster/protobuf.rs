//! Cutting protobuf into single objects while it comes: frames of a watch, items of a list; and what is said around them.
//!
//! ```text
//!  list:  "k8s\0" Unknown { typeMeta, raw: List { metadata, items … } }
//!  watch: (length WatchEvent { type, object: { raw: "k8s\0" Unknown { typeMeta, raw: object } } }) …
//! ```

use super::encoding::{Event, Meta, PageEnd};
use super::event::INITIAL_EVENTS_END;
use super::split::{LONGEST, TooLong};
use crate::source::object::protobuf::{Malformed, Message, Value, number, pair, text};

/// What stands before every object that is not inside another.
const MAGIC: &[u8] = b"k8s\0";

/// The most bytes of a field of the envelope that is read: type, content type.
const LABEL: usize = 1 << 12;

/// What is wrong with a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    /// An item is too long.
    TooLong,
    /// It is no list.
    NoList,
}

impl From<Malformed> for Bad {
    fn from(_: Malformed) -> Self {
        Self::NoList
    }
}

impl From<TooLong> for Bad {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

/// The frames of a watch, each with its length in four bytes before it.
#[derive(Default, Debug)]
pub(super) struct Frames {
    /// Bytes of a frame that has not ended.
    rest: Vec<u8>,
}

impl Frames {
    /// Takes a chunk; calls `visit` with each whole frame. Errors: a frame over 16 MiB.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), TooLong> {
        while !self.rest.is_empty() {
            // Only as much as the begun frame lacks is copied.
            let wanted = match length(&self.rest)? {
                Some(length) => 4 + length,
                None => 4,
            };
            let lacks = wanted - self.rest.len();
            let (taken, after) = chunk.split_at_checked(lacks).unwrap_or((chunk, &[]));
            self.rest.extend_from_slice(taken);
            chunk = after;
            if self.rest.len() < wanted {
                return Ok(());
            }
            if length(&self.rest)? == Some(wanted - 4) {
                visit(self.rest.get(4..).unwrap_or_default());
                self.rest.clear();
                if self.rest.capacity() > 1 << 20 {
                    self.rest = Vec::new();
                }
            }
        }
        while let Some(length) = length(chunk)?
            && let Some((frame, after)) = chunk.split_at_checked(4 + length)
        {
            visit(frame.get(4..).unwrap_or_default());
            chunk = after;
        }
        self.rest.extend_from_slice(chunk);
        Ok(())
    }
}

/// The length that stands before a frame; `None` where it is not whole yet. Errors: a length over 16 MiB.
fn length(bytes: &[u8]) -> Result<Option<usize>, TooLong> {
    let Some(length) = bytes.first_chunk().map(|four| u32::from_be_bytes(*four)) else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| TooLong)?;
    if length > LONGEST { Err(TooLong) } else { Ok(Some(length)) }
}

/// Where in a list the reading is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Where {
    /// Before the magic number.
    #[default]
    Front,
    /// In the envelope.
    Envelope,
    /// In the list, with so many bytes of it left.
    List(u64),
    /// In an object that is no list, with so many bytes of it left: only its status counts.
    Status(u64),
}

/// The items of a list.
#[derive(Default, Debug)]
pub(super) struct Items {
    /// Bytes that are not read yet: a field that has not ended.
    rest: Vec<u8>,
    /// How many bytes of a field that is nobody's are still to come.
    skip: u64,
    /// Where the reading is.
    place: Where,
    /// Whether the object says that it is a Status.
    status: bool,
    /// What the list says of itself, as far as it is read.
    end: PageEnd,
    /// Whether the list was read to its end.
    whole: bool,
}

/// What to do with the front of the bytes.
enum Step {
    /// It was read; so many bytes.
    Read(usize),
    /// There is not enough of it.
    More,
}

impl Items {
    /// Takes a chunk; calls `visit` with each whole item. Errors: an item over 16 MiB, or bytes that are no list.
    ///
    /// Cost: one pass over the bytes, at most one item in memory; one that lies in a chunk whole is not copied.
    pub(super) fn push(&mut self, chunk: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), Bad> {
        let mut chunk = chunk;
        let mut rest = std::mem::take(&mut self.rest);
        while !rest.is_empty() && !chunk.is_empty() {
            // The field that was torn is put together from as little of the chunk as it takes.
            let lacks = self.lacks(&rest)?.max(1).min(chunk.len());
            let (taken, after) = chunk.split_at_checked(lacks).unwrap_or((chunk, &[]));
            rest.extend_from_slice(taken);
            chunk = after;
            let read = self.read(&rest, &mut visit)?;
            rest.drain(..read.min(rest.len()));
        }
        if !rest.is_empty() {
            self.rest = rest;
            return Ok(());
        }
        let read = self.read(chunk, &mut visit)?;
        rest.extend_from_slice(chunk.get(read..).unwrap_or_default());
        self.rest = rest;
        Ok(())
    }

    /// How many bytes a begun field lacks at least.
    fn lacks(&self, bytes: &[u8]) -> Result<usize, Bad> {
        if self.place == Where::Front {
            return Ok(MAGIC.len().saturating_sub(bytes.len()));
        }
        let Some((tag, begin)) = number(bytes)? else { return Ok(1) };
        if tag & 7 != 2 {
            return Ok(1);
        }
        let Some((length, end)) = number(bytes.get(begin..).unwrap_or_default())? else { return Ok(1) };
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST + 1);
        Ok((begin + end).saturating_add(length).saturating_sub(bytes.len()))
    }

    /// Reads as many fields as there are whole; returns how many bytes that were.
    fn read(&mut self, bytes: &[u8], visit: &mut impl FnMut(&[u8])) -> Result<usize, Bad> {
        let mut at = 0;
        loop {
            let left = bytes.get(at..).unwrap_or_default();
            if left.is_empty() {
                return Ok(at);
            }
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(left.len());
                self.leave(skipped)?;
                self.skip -= u64::try_from(skipped).unwrap_or(0);
                at += skipped;
                continue;
            }
            let step = match self.place {
                Where::Front => match left.get(..MAGIC.len()) {
                    Some(MAGIC) => {
                        self.place = Where::Envelope;
                        Step::Read(MAGIC.len())
                    }
                    Some(_) => return Err(Bad::NoList),
                    None if MAGIC.starts_with(left) => Step::More,
                    None => return Err(Bad::NoList),
                },
                Where::Envelope => self.field(left, LABEL, &mut |_| {})?,
                Where::List(_) | Where::Status(_) => self.field(left, LONGEST, visit)?,
            };
            match step {
                Step::Read(length) => at += length,
                Step::More => return Ok(at),
            }
        }
    }

    /// Notes that so many bytes of the list were read. Errors: more than it has.
    fn leave(&mut self, bytes: usize) -> Result<(), Bad> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Where::List(left) | Where::Status(left) = &mut self.place {
            *left = left.checked_sub(bytes).ok_or(Bad::NoList)?;
            if *left == 0 {
                self.whole = true;
                self.place = Where::Envelope;
            }
        }
        Ok(())
    }

    /// Reads one field.
    fn field(&mut self, bytes: &[u8], most: usize, visit: &mut impl FnMut(&[u8])) -> Result<Step, Bad> {
        let Some((tag, begin)) = number(bytes)? else { return Ok(Step::More) };
        let after = bytes.get(begin..).unwrap_or_default();
        let (field, wire) = (tag >> 3, tag & 7);
        if let 1 | 5 = wire {
            let width = if wire == 1 { 8 } else { 4 };
            if after.len() < width {
                return Ok(Step::More);
            }
            self.leave(begin + width)?;
            return Ok(Step::Read(begin + width));
        }
        let Some((value, size)) = number(after)? else { return Ok(Step::More) };
        let head = begin + size;
        match wire {
            0 => {
                if let (Where::Status(_), 6) = (self.place, field) {
                    self.end.code = u16::try_from(value).unwrap_or(u16::MAX);
                }
                self.leave(head)?;
                return Ok(Step::Read(head));
            }
            2 => {}
            _ => return Err(Bad::NoList),
        }
        if self.place == Where::Envelope && field == 2 {
            if self.whole {
                return Err(Bad::NoList);
            }
            self.place = if self.status { Where::Status(value) } else { Where::List(value) };
            self.leave(0)?;
            return Ok(Step::Read(head));
        }
        let ours = match self.place {
            Where::Front => false,
            Where::Envelope => field == 1,
            Where::List(_) => matches!(field, 1 | 2),
            Where::Status(_) => field == 3,
        };
        if !ours {
            // Noticed now, wherever the bytes are cut: what is longer than the list that it stands in is no part of it.
            let needed = u64::try_from(head).unwrap_or(u64::MAX).saturating_add(value);
            if let Where::List(left) | Where::Status(left) = self.place
                && needed > left
            {
                return Err(Bad::NoList);
            }
            self.leave(head)?;
            self.skip = value;
            return Ok(Step::Read(head));
        }
        let length = usize::try_from(value).ok().filter(|length| *length <= most).ok_or(Bad::TooLong)?;
        let Some(body) = after.get(size..).and_then(|after| after.get(..length)) else {
            return Ok(Step::More);
        };
        match (self.place, field) {
            (Where::Envelope, _) => self.status = kind_is_status(body),
            (Where::List(_), 2) => visit(body),
            (Where::List(_), _) => self.metadata(body)?,
            (Where::Status(_), _) => self.end.message = String::from_utf8_lossy(body).into_owned(),
            (Where::Front, _) => {}
        }
        self.leave(head + length)?;
        Ok(Step::Read(head + length))
    }

    /// Reads the metadata of the list.
    fn metadata(&mut self, bytes: &[u8]) -> Result<(), Bad> {
        let mut message = Message::new(bytes);
        while let Some((number, value)) = message.next()? {
            match number {
                2 => self.end.version = text(value).text().to_owned(),
                3 => self.end.next = text(value).text().to_owned(),
                _ => {}
            }
        }
        Ok(())
    }

    /// What the list says of itself, once it has ended.
    pub(super) fn end(self) -> Option<PageEnd> {
        (self.whole && self.skip == 0 && self.rest.is_empty()).then_some(self.end)
    }
}

/// Whether a TypeMeta is that of a Status.
fn kind_is_status(bytes: &[u8]) -> bool {
    let mut message = Message::new(bytes);
    while let Ok(Some((number, value))) = message.next() {
        if (number, value) == (2, Value::Bytes(b"Status")) {
            return true;
        }
    }
    false
}

/// The bytes of the last field of this number in a message.
fn bytes_of(message: &[u8], wanted: u64) -> Result<Option<&[u8]>, Malformed> {
    let mut message = Message::new(message);
    let mut found = None;
    while let Some((number, value)) = message.next()? {
        if let (true, Value::Bytes(bytes)) = (number == wanted, value) {
            found = Some(bytes);
        }
    }
    Ok(found)
}

/// The object inside an envelope.
fn unwrap(enveloped: &[u8]) -> Option<&[u8]> {
    bytes_of(enveloped.strip_prefix(MAGIC)?, 2).ok()?
}

/// An event of a watch; `None` where the frame is none.
pub(super) fn event(frame: &[u8]) -> Option<Event<'_>> {
    let kind = std::str::from_utf8(bytes_of(frame, 1).ok()??).ok()?;
    let enveloped = bytes_of(bytes_of(frame, 2).ok()??, 1).ok()??;
    Some(Event { kind, object: unwrap(enveloped)? })
}

/// The metadata of an object; empty where it has none.
pub(super) fn meta(object: &[u8]) -> Meta {
    let mut meta = Meta::default();
    let mut message = Message::new(bytes_of(object, 1).ok().flatten().unwrap_or_default());
    while let Ok(Some((number, value))) = message.next() {
        match number {
            6 => meta.version = text(value).text().to_owned(),
            12 => {
                if let Some((key, set)) = pair(value)
                    && key == INITIAL_EVENTS_END
                {
                    meta.ends = set.text() == "true";
                }
            }
            _ => {}
        }
    }
    meta
}

/// Code and message of a Status without its envelope; `None` where it is none.
pub(super) fn status(object: &[u8]) -> Option<(u16, String)> {
    let (mut code, mut why) = (0, String::new());
    let mut message = Message::new(object);
    while let Some((number, value)) = message.next().ok()? {
        match (number, value) {
            (3, value) => why = text(value).text().to_owned(),
            (6, Value::Number(number)) => code = u16::try_from(number).unwrap_or(u16::MAX),
            _ => {}
        }
    }
    (code != 0).then_some((code, why))
}

/// Code and message of a Status in its envelope, as the body of a refusal.
pub(super) fn enveloped_status(body: &[u8]) -> Option<(u16, String)> {
    status(unwrap(body)?)
}
