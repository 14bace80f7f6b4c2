//! TLS over a stream that never waits.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

/// Plain bytes that one write takes at most.
const WRITE: usize = 16 * 1024;

/// Room that is kept for what one read of the wire may bring: two records and what begins a third.
const ROOM: usize = 40_000;

/// How often the wire is read for one read: a peer that sends faster than we read keeps nobody else waiting.
const READS: usize = 32;

/// What the session is spoken over; nothing waits.
pub(super) trait Wire {
    /// Reads; `None` when nothing is there yet, 0 at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes; `None` when there is no room now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;
}

/// A wire as the standard library sees streams.
struct Plain<'a, W>(&'a mut W);

impl<W: Wire> io::Read for Plain<'_, W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }
}

impl<W: Wire> io::Write for Plain<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session of TLS.
pub(super) struct Session {
    /// The library's.
    tls: ServerConnection,
    /// Whether the peer sends nothing more.
    ended: bool,
    /// Bytes of the wire that were read since the last plain ones came out: what begins a record, or a handshake.
    begun: usize,
}

impl Session {
    /// A session whose handshake is awaited. Errors: the configuration can't serve.
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = ServerConnection::new(config).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { tls, ended: false, begun: 0 })
    }

    /// Whether the handshake is not done.
    pub(super) fn begins(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What it holds: what the peer has not read, and what it has begun to send. Unit: bytes.
    pub(super) fn held(&self) -> usize {
        let owed = if self.owes() { WRITE } else { 0 };
        owed + self.begun.min(ROOM)
    }

    /// Whether something waits to be written to the wire.
    pub(super) fn owes(&self) -> bool {
        self.tls.wants_write()
    }

    /// Reads plain bytes; `None` when none are there yet, 0 at the end.
    ///
    /// Shape: `into` has more than `ROOM` bytes. All that was taken off the wire is given out: no event would come for it.
    /// Errors: the peer breaks the rules of TLS; it is told why as far as there is room for it.
    pub(super) fn read(&mut self, wire: &mut impl Wire, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        for _ in 0..READS {
            filled += self.take(into.get_mut(filled..).unwrap_or_default())?;
            if self.ended || into.len() - filled < ROOM {
                break;
            }
            match self.tls.read_tls(&mut Plain(wire)) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.begun += count;
                    if let Err(error) = self.tls.process_new_packets() {
                        let _ = self.flush(wire);
                        return Err(io::Error::new(ErrorKind::InvalidData, error.to_string()));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What came before is answered; the next read meets the error again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        filled += self.take(into.get_mut(filled..).unwrap_or_default())?;
        self.flush(wire)?;
        Ok(if filled > 0 || self.ended { Some(filled) } else { None })
    }

    /// Takes plain bytes that are there.
    fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.tls.reader().read(room) {
                // Nothing more comes, whether the peer said so or not.
                Ok(0) => self.ended = true,
                Ok(count) => {
                    filled += count;
                    self.begun = 0;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            break;
        }
        Ok(filled)
    }

    /// Writes plain bytes; `None` as long as what was written before is not on the wire.
    pub(super) fn write(&mut self, wire: &mut impl Wire, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.flush(wire)?;
        if self.owes() || self.begins() {
            return Ok(None);
        }
        let count = self.tls.writer().write(bytes.get(..WRITE).unwrap_or(bytes))?;
        self.flush(wire)?;
        Ok(Some(count))
    }

    /// Writes to the wire what waits, as far as there is room.
    pub(super) fn flush(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Plain(wire)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes from us.
    pub(super) fn finish(&mut self, wire: &mut impl Wire) {
        self.tls.send_close_notify();
        // Who has gone already is not told.
        let _ = self.flush(wire);
    }
}
