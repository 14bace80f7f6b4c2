//! Messages with their length before them: TCP (RFC 7766) and TLS (RFC 7858), many under way, answered in any order.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

use super::super::network::StreamFault;
use super::super::upstream::count;
use super::connection::{Connection, Life};
use super::fault::{fault, of_io, ours, seconds};
use super::lane::{End, Lane};
use super::task::Task;
use crate::time::Tick;

/// How often what is under way is looked over.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Room made for reading at least.
const READ: usize = 4096;

/// From this on a buffer is given back once it is empty.
const KEPT: usize = 16 * 1024;

/// Bytes of the shortest message.
const HEADER: usize = 12;

/// Replies to nothing that a connection may bring.
const STRANGE: u32 = 100;

/// Replies that a connection may owe to nobody before it is given up.
const OWED: usize = 4096;

/// A query under its id on the wire; `None` once nobody waits, so that the id is not used again before its reply came.
type Sent = HashMap<u16, Option<Task>, foldhash::fast::RandomState>;

/// What is known while talking.
struct Talk<'a> {
    /// The connection.
    connection: &'a Connection,
    /// Its lane.
    lane: &'a Lane,
    /// Queries that were not answered.
    sent: Sent,
    /// The id to try next.
    id: u16,
    /// Bytes to be sent. Bound: the tasks of a connection.
    out: BytesMut,
    /// Since when the upstream took nothing of them.
    stuck: Option<Tick>,
    /// What came and was not read yet. Bound: a message and what was read with its end.
    input: BytesMut,
    /// Replies to nothing so far.
    strange: u32,
}

/// Talks on a stream until it ends.
pub(super) async fn serve<S>(stream: S, connection: &Connection, lane: &Lane) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.open(lane.now());
    count(&lane.upstream.counts.opened);
    let mut talk = Talk {
        connection,
        lane,
        sent: Sent::default(),
        id: fastrand::u16(..),
        out: BytesMut::new(),
        stuck: None,
        input: BytesMut::new(),
        strange: 0,
    };
    let why = talk.run(stream).await;
    End { fault: why, tasks: talk.sent.into_values().flatten().collect() }
}

/// Sends some of what is in `out`, or, where that is nothing, sees to it that the kernel has all; `None` once it has.
/// May be dropped while it waits: nothing is lost and nothing sent twice.
async fn send<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut BytesMut) -> std::io::Result<Option<usize>> {
    if out.is_empty() {
        return writer.flush().await.map(|()| None);
    }
    writer.write_buf(out).await.map(Some)
}

impl Talk<'_> {
    /// Talks; returns why it ended.
    async fn run<S>(&mut self, stream: S) -> StreamFault
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut unflushed = false;
        let mut look = std::pin::pin!(sleep(LOOK));
        let mut idle = false;
        loop {
            self.write();
            if self.input.is_empty() && self.input.capacity() > KEPT {
                self.input = BytesMut::new();
            }
            self.input.reserve(READ);
            tokio::select! {
                read = reader.read_buf(&mut self.input) => match read {
                    Ok(0) => return fault("connection closed before the reply"),
                    Ok(_) => {
                        self.connection.heard(self.lane.now());
                        if let Err(why) = self.read() {
                            return why;
                        }
                    }
                    Err(error) => return of_io(&error),
                },
                wrote = send(&mut writer, &mut self.out), if !self.out.is_empty() || unflushed => match wrote {
                    Ok(Some(0)) => return fault("connection closed before the reply"),
                    Ok(Some(_)) => {
                        self.stuck = None;
                        unflushed = true;
                    }
                    Ok(None) => unflushed = false,
                    Err(error) => return of_io(&error),
                },
                () = self.connection.rung() => {}
                () = &mut look => {
                    if let Err(why) = self.look_over() {
                        return why;
                    }
                    idle = self.connection.load() == 0;
                    let pause = if idle { self.connection.spare(self.lane.upstream.spec(), self.lane.now()) } else { LOOK };
                    look.as_mut().reset(Instant::now() + pause);
                }
            }
            if idle && self.connection.load() > 0 {
                idle = false;
                look.as_mut().reset(Instant::now() + LOOK);
            }
            let leaving = self.connection.life() == Life::Leaving;
            if leaving && self.connection.load() == 0 {
                // Says goodbye where that does not wait; who does not hear it sees the end of the connection.
                let _ = tokio::time::timeout(LOOK, writer.shutdown()).await;
                return fault("connection closed before the reply");
            }
        }
    }

    /// Frames the tasks of the inbox.
    fn write(&mut self) {
        let now = self.lane.now();
        while let Some(task) = self.connection.next() {
            let length = u16::try_from(task.query().len());
            let (Ok(length), Some(id), Some(rest)) = (length, self.free_id(), task.query().get(2..)) else {
                task.fail(ours("a query that has no place on a stream"));
                self.lane.ended(self.connection);
                continue;
            };
            if task.over(now) {
                task.forget();
                self.lane.ended(self.connection);
                continue;
            }
            self.out.extend_from_slice(&length.to_be_bytes());
            self.out.extend_from_slice(&id.to_be_bytes());
            self.out.extend_from_slice(rest);
            self.sent.insert(id, Some(task));
        }
        if !self.out.is_empty() && self.stuck.is_none() {
            self.stuck = Some(now);
        }
    }

    /// An id that no query under way has; `None` where all are in use, which silence over many hours would take.
    fn free_id(&mut self) -> Option<u16> {
        for _ in 0..=u16::MAX {
            self.id = self.id.wrapping_add(1);
            if !self.sent.contains_key(&self.id) {
                return Some(self.id);
            }
        }
        None
    }

    /// Reads the messages that are whole.
    fn read(&mut self) -> Result<(), StreamFault> {
        while let Some(&[high, low]) = self.input.first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length < HEADER {
                return Err(fault(format!("it does not speak DNS: a message of {length} bytes")));
            }
            if self.input.len() < 2 + length {
                break;
            }
            let frame = self.input.split_to(2 + length);
            let message = frame.get(2..).unwrap_or_default();
            self.message(message)?;
        }
        Ok(())
    }

    /// A message came.
    fn message(&mut self, message: &[u8]) -> Result<(), StreamFault> {
        let counts = &self.lane.upstream.counts;
        let id = message.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
        match self.sent.remove(&id) {
            Some(Some(task)) => {
                task.answer(message.to_vec());
                self.connection.replied();
                self.lane.ended(self.connection);
            }
            Some(None) => count(&counts.late),
            None => {
                count(&counts.mismatches);
                self.strange += 1;
                if self.strange >= STRANGE {
                    return Err(fault("it answers what was not asked"));
                }
            }
        }
        Ok(())
    }

    /// Lets go of those for whom nobody waits; says why where the connection has to end.
    fn look_over(&mut self) -> Result<(), StreamFault> {
        let now = self.lane.now();
        for sent in self.sent.values_mut() {
            if let Some(task) = sent.take_if(|task| task.over(now)) {
                task.forget();
                self.lane.ended(self.connection);
            }
        }
        let options = &self.lane.room.options;
        if self.stuck.is_some_and(|since| now.since(since) >= options.unread) {
            let waited = seconds(options.unread);
            return Err(fault(format!("it does not read what it is sent for {waited}")));
        }
        // Those who wait for room have their chance on a fresh connection once this one is in doubt.
        if self.connection.doubtful(options.silent, now) {
            self.lane.pump();
        }
        if self.sent.len() > OWED + self.connection.load() {
            self.connection.leave();
        }
        if self.connection.may_end(self.lane.upstream.spec(), now) {
            self.connection.leave();
        }
        Ok(())
    }
}
