//! What HTTP/3's library reads of a connection, frame by frame: one that is longer than it may be ends its stream before it is kept.
//!
//! ```text
//!  a stream of a request:   frame, frame …            of any length if DATA, at most `REQUEST` otherwise
//!  a stream of one way:     what it is, frame …       at most `ONE_WAY`; only the one of control has frames
//! ```
//!
//! The library keeps a frame until it is whole, whatever length it announces; DATA alone is handed on as it comes.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};

use super::guest::{Guest, Query};

/// The longest frame of a request that is no DATA: longer than any head that is taken, so that whoever sends one is told so.
/// Counted in the ledger until it is whole. Unit: bytes.
const REQUEST: u64 = 64 * 1024;

/// The longest frame on a stream of one way. Unit: bytes.
const ONE_WAY: u64 = 16 * 1024;

/// The frames of a body (RFC 9114 §7.2.1).
const DATA: u64 = 0;

/// The stream of one way that has frames (RFC 9114 §6.2.1).
const CONTROL: u64 = 0;

/// A number of QUIC in the making (RFC 9000 §16).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Number {
    /// What is known of it.
    value: u64,
    /// Bytes that are missing; `None` before the first.
    missing: Option<u8>,
}

impl Number {
    /// Takes a byte; the number where it was the last one.
    fn take(&mut self, byte: u8) -> Option<u64> {
        let missing = match self.missing {
            None => {
                self.value = u64::from(byte & 0x3f);
                (1_u8 << (byte >> 6)) - 1
            }
            Some(missing) => {
                self.value = self.value << 8 | u64::from(byte);
                missing.saturating_sub(1)
            }
        };
        self.missing = Some(missing);
        (missing == 0).then_some(self.value)
    }
}

/// What comes next on a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// What kind of stream it is.
    Purpose(Number),
    /// The type of a frame.
    Type(Number),
    /// The length of a frame of this type.
    Length(u64, Number),
    /// So many bytes more of a frame; whether they are handed on as they come.
    Inside(u64, bool),
    /// No frames.
    Free,
}

/// A frame is longer than it may be.
#[derive(PartialEq, Eq, Debug)]
struct TooLong;

/// Where a stream stands.
struct Scan {
    /// What comes next.
    next: Next,
    /// The longest frame that is no DATA. Unit: bytes.
    most: u64,
}

impl Scan {
    /// Goes over what came.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while let Some((first, rest)) = bytes.split_first() {
            self.next = match self.next {
                Next::Free => return Ok(()),
                Next::Inside(left, handed) => {
                    let here = left.min(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                    bytes = bytes.get(usize::try_from(here).unwrap_or(usize::MAX)..).unwrap_or_default();
                    self.next = Self::inside(left - here, handed);
                    continue;
                }
                Next::Purpose(mut number) => match number.take(*first) {
                    Some(CONTROL) => Next::Type(Number::default()),
                    Some(_) => Next::Free,
                    None => Next::Purpose(number),
                },
                Next::Type(mut number) => match number.take(*first) {
                    Some(kind) => Next::Length(kind, Number::default()),
                    None => Next::Type(number),
                },
                Next::Length(kind, mut number) => match number.take(*first) {
                    Some(length) if kind != DATA && length > self.most => return Err(TooLong),
                    Some(length) => Self::inside(length, kind == DATA),
                    None => Next::Length(kind, number),
                },
            };
            bytes = rest;
        }
        Ok(())
    }

    /// What comes next where so much of a frame is left.
    fn inside(left: u64, handed: bool) -> Next {
        if left == 0 { Next::Type(Number::default()) } else { Next::Inside(left, handed) }
    }

    /// Whether the library keeps what came last, since its frame is not whole.
    fn kept(&self) -> bool {
        match self.next {
            Next::Inside(_, handed) => !handed,
            Next::Type(number) => number.missing.is_some(),
            Next::Purpose(_) | Next::Length(..) => true,
            Next::Free => false,
        }
    }
}

/// A stream whose frames are looked at as they come.
pub(super) struct Framed<S> {
    /// It.
    stream: S,
    /// Where it stands.
    scan: Scan,
    /// Counts what is kept of frames that are not whole; nothing where that is bounded by the number of connections.
    query: Option<Query>,
}

impl<S: quic::RecvStream<Buf = Bytes>> quic::RecvStream for Framed<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let polled = self.stream.poll_data(context);
        if let Poll::Ready(Ok(Some(bytes))) = &polled {
            let mut fits = self.scan.read(bytes.chunk()).is_ok();
            if !self.scan.kept() {
                // From here on whoever is given the frames counts.
                self.query = None;
            } else if let Some(query) = &mut self.query {
                fits &= query.keep(bytes.len());
            }
            if !fits {
                let error_code = Code::H3_EXCESSIVE_LOAD.value();
                self.stream.stop_sending(error_code);
                return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
            }
        }
        polled
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.stream.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.stream.recv_id()
    }
}

impl<S: quic::SendStream<Bytes>> quic::SendStream<Bytes> for Framed<S> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}

impl<S> quic::BidiStream<Bytes> for Framed<S>
where
    S: quic::BidiStream<Bytes> + quic::RecvStream<Buf = Bytes>,
    S::RecvStream: quic::RecvStream<Buf = Bytes>,
{
    type SendStream = S::SendStream;
    type RecvStream = Framed<S::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (send, stream) = self.stream.split();
        (send, Framed { stream, scan: self.scan, query: self.query })
    }
}

/// A connection whose streams are looked at; or what opens streams of it.
pub(super) struct Guarded<C> {
    /// It.
    inner: C,
    /// Whose.
    guest: Rc<Guest>,
}

impl<C> Guarded<C> {
    /// Guards a connection.
    pub(super) fn new(inner: C, guest: Rc<Guest>) -> Self {
        Self { inner, guest }
    }
}

impl<S> Framed<S> {
    /// A stream of a request.
    fn request(stream: S, query: Option<Query>) -> Self {
        Self { stream, scan: Scan { next: Next::Type(Number::default()), most: REQUEST }, query }
    }

    /// A stream of one way.
    fn one_way(stream: S) -> Self {
        Self { stream, scan: Scan { next: Next::Purpose(Number::default()), most: ONE_WAY }, query: None }
    }
}

impl<C> quic::OpenStreams<Bytes> for Guarded<C>
where
    C: quic::OpenStreams<Bytes>,
    C::BidiStream: quic::RecvStream<Buf = Bytes>,
{
    type BidiStream = Framed<C::BidiStream>;
    type SendStream = C::SendStream;

    fn poll_open_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        let opened = self.inner.poll_open_bidi(context);
        opened.map_ok(|stream| Framed::request(stream, None))
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code, reason);
    }
}

impl<C> quic::Connection<Bytes> for Guarded<C>
where
    C: quic::Connection<Bytes>,
    C::BidiStream: quic::RecvStream<Buf = Bytes>,
    C::RecvStream: quic::RecvStream<Buf = Bytes>,
{
    type RecvStream = Framed<C::RecvStream>;
    type OpenStreams = Guarded<C::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let accepted = self.inner.poll_accept_recv(context);
        accepted.map_ok(Framed::one_way)
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let accepted = self.inner.poll_accept_bidi(context);
        accepted.map_ok(|stream| Framed::request(stream, Some(self.guest.begin())))
    }

    fn opener(&self) -> Self::OpenStreams {
        Guarded { inner: self.inner.opener(), guest: self.guest.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in its longest form.
    fn long(value: u64) -> [u8; 8] {
        (value | 0xc000_0000_0000_0000).to_be_bytes()
    }

    /// What became of a stream that was read in pieces of every size: whether each was refused at once, else whether something is
    /// kept at its end.
    fn outcome(next: Next, bytes: &[u8]) -> Result<bool, TooLong> {
        let outcomes: Vec<_> = (1..=bytes.len().max(1))
            .map(|size| {
                let mut scan = Scan { next, most: 100 };
                let read = bytes.chunks(size).try_for_each(|piece| scan.read(piece));
                read.map(|()| scan.kept())
            })
            .collect();
        assert!(outcomes.windows(2).all(|two| two[0] == two[1]), "{outcomes:?}");
        outcomes.into_iter().next().unwrap()
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_head_and_a_body_is_not() {
        let request = Next::Type(Number::default());
        let (head, body) = ([&[1, 3][..], b"abc"].concat(), [&[0][..], &long(1 << 40), b"body"].concat());
        assert_eq!(outcome(request, &[&head[..], &body].concat()), Ok(false));
        assert_eq!(outcome(request, &head), Ok(false), "whole");
        assert_eq!(outcome(request, &head[..4]), Ok(true), "one byte is missing");
        assert_eq!(outcome(request, &[1, 0x40]), Ok(true));
        assert_eq!(outcome(request, &[0x40]), Ok(true));
        assert_eq!(outcome(request, &[]), Ok(false));
        assert_eq!(outcome(request, &[1, 0x40, 100]), Ok(true), "as long as it may be");
        assert_eq!(outcome(request, &[1, 0x40, 101]), Err(TooLong));
        // One that nobody knows the type of is skipped when it is whole.
        assert_eq!(outcome(request, &[&[0x21][..], &long(101)].concat()), Err(TooLong));
        assert_eq!(outcome(request, &[&[0, 1, 7, 0x21, 0][..], &head].concat()), Ok(false));
    }

    #[test]
    fn of_the_streams_of_one_way_the_one_of_control_has_frames() {
        let one_way = Next::Purpose(Number::default());
        assert_eq!(outcome(one_way, &[0, 4, 0]), Ok(false), "settings");
        assert_eq!(outcome(one_way, &[&[0, 4, 0, 7][..], &long(101)].concat()), Err(TooLong));
        assert_eq!(
            outcome(one_way, &[&[2, 7][..], &long(101)].concat()),
            Ok(false),
            "QPACK has its own bounds"
        );
    }
}
