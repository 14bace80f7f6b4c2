//! Frame Streams, the sender's side of the bidirectional protocol.
//!
//! ```text
//! READY ─►   ◄─ ACCEPT   START ─►   data ─► data ─► …   STOP ─►   ◄─ FINISH
//! ```

use std::io::{self, ErrorKind, Read, Write};

/// What the frames hold.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";

/// ACCEPT.
const ACCEPT: u32 = 1;
/// START.
const START: u32 = 2;
/// STOP.
const STOP: u32 = 3;
/// READY.
const READY: u32 = 4;
/// FINISH.
const FINISH: u32 = 5;

/// The field of a control frame that names the content.
const CONTENT_TYPE: u32 = 1;

/// The longest control frame that is read. Source: fstrm `control.h`.
const LONGEST: u32 = 512;

/// A control frame.
fn control(kind: u32, content: bool) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    if content {
        body.extend_from_slice(&CONTENT_TYPE.to_be_bytes());
        body.extend_from_slice(&u32::try_from(CONTENT.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(CONTENT);
    }
    let mut frame = vec![0; 4];
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// A 32-bit number.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

/// An error about what a collector sent.
fn unfit(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("this is no collector of dnstap: {what}"))
}

/// Reads a control frame that must be of this kind; returns its body behind the kind.
fn expect(stream: &mut impl Read, kind: u32) -> io::Result<Vec<u8>> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let (escape, length) = (word(&head, 0), word(&head, 4).unwrap_or(0));
    if escape != Some(0) || !(4..=LONGEST).contains(&length) {
        return Err(unfit("it sent no control frame"));
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    if word(&body, 0) != Some(kind) {
        return Err(unfit("it sent another control frame than is due"));
    }
    Ok(body.split_off(4))
}

/// Whether the fields of a control frame allow our content: they name it, or nothing at all.
fn allows(mut fields: &[u8]) -> bool {
    let mut named = false;
    while !fields.is_empty() {
        let Some(length) = word(fields, 4) else { return false };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(value) = fields.get(8..8_usize.saturating_add(length)) else { return false };
        if word(fields, 0) == Some(CONTENT_TYPE) {
            if value == CONTENT {
                return true;
            }
            named = true;
        }
        fields = fields.get(8 + length..).unwrap_or_default();
    }
    !named
}

/// Opens a stream.
///
/// Errors: the connection's, or what came is not what a collector sends.
pub(super) fn open(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(READY, true))?;
    stream.flush()?;
    if !allows(&expect(stream, ACCEPT)?) {
        return Err(unfit("it accepts other content only"));
    }
    stream.write_all(&control(START, true))?;
    stream.flush()
}

/// Sends a message.
pub(super) fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| unfit("a message is too long"))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(message)
}

/// Ends a stream.
pub(super) fn close(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(STOP, false))?;
    stream.flush()?;
    expect(stream, FINISH).map(|_| ())
}
