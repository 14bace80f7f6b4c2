//! Streams: length-prefixed messages, answered as they are ready, with absolute deadlines and caps (rows W58 to W67).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use self::limits::StreamLimits;
use super::link::{Accepted, Link, StreamId};
use crate::chain::{Client, Outcome, Timeouts, Transfer, Transport};
use crate::metrics::Counters;
use crate::time::Tick;
use crate::wire::MAX_MESSAGE;

mod held;
mod limits;

/// Replies that wait for the peer to read, at which no more queries are taken from a stream. Unit: bytes.
const PENDING: usize = 128 * 1024;

/// Bytes of a query that are kept while it is incomplete, beyond which reading stops until queries are taken.
const KEPT: usize = 2 + MAX_MESSAGE;

/// How many messages of a transfer are made at a time.
const TRANSFER_MESSAGES: usize = 4;

/// Where the reply of a waiting query goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StreamReturn {
    /// The stream.
    id: StreamId,
    /// Which of the streams that had this index.
    generation: u64,
}

/// The bounds of one stream: those of all, as far as `timeouts` says nothing else about its address.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// How long it may be without a query.
    idle: Duration,
    /// How long a message may take.
    partial: Duration,
    /// How long a byte of a reply may wait for the peer.
    write: Duration,
    /// How many more queries it may send; `None` for any number.
    left: Option<u32>,
}

impl Bounds {
    /// Those of a stream that begins.
    fn new(limits: &StreamLimits, timeouts: Timeouts) -> Self {
        Self {
            idle: timeouts.idle.unwrap_or(limits.idle),
            partial: timeouts.read.unwrap_or(limits.partial),
            write: timeouts.write.unwrap_or(limits.write),
            left: timeouts.queries.flatten(),
        }
    }
}

/// One stream.
struct Stream {
    /// Told apart from earlier streams of the same index.
    generation: u64,
    /// The peer.
    peer: SocketAddr,
    /// Our address.
    local: IpAddr,
    /// The socket group that took it.
    group: usize,
    /// Its bounds.
    bounds: Bounds,
    /// Bytes read and not yet taken as queries.
    input: Vec<u8>,
    /// Replies not yet taken by the peer.
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    /// Queries that wait.
    waiting: usize,
    /// What is left of a reply of several messages; queries wait for its end.
    transfer: Option<Box<Transfer>>,
    /// When the oldest incomplete message began.
    began: Option<Tick>,
    /// When something last went to or came from the chain.
    active: Tick,
    /// When pending output must have been read up to `owed`.
    owed: Option<(Tick, usize)>,
    /// Whether the peer will send nothing more.
    ended: bool,
    /// What `Link::interest` was told: reading, writing.
    interest: (bool, bool),
    /// What it held when it was last looked at. Unit: bytes.
    held: usize,
}

impl Stream {
    /// Whether nothing is owed to the peer.
    fn is_idle(&self) -> bool {
        self.waiting == 0 && self.transfer.is_none() && self.written == self.output.len()
    }
}

/// A worker's streams.
pub(super) struct Streams {
    /// By the link's index.
    streams: HashMap<usize, Stream>,
    /// How many each client has.
    clients: HashMap<IpAddr, usize>,
    /// The bounds.
    limits: StreamLimits,
    /// Counted up for each stream.
    generation: u64,
    /// When deadlines are looked at next.
    next_check: Option<Tick>,
    /// Where bytes are read to.
    scratch: Vec<u8>,
    /// Where replies are assembled.
    reply: Vec<u8>,
    /// What all streams hold. Unit: bytes.
    held: usize,
    /// Where it is counted which of them are cut.
    counters: Arc<Counters>,
}

/// What streams need from their worker to answer.
pub(super) trait Answerer {
    /// Answers a message of a stream; a reply goes to the front of `out`.
    fn answer(
        &mut self,
        bytes: &[u8],
        client: Client,
        to: StreamReturn,
        now: Tick,
        out: &mut [u8],
    ) -> Outcome;

    /// The rest of the reply that began with `Outcome::Begun`.
    fn transfer(&mut self) -> Option<Box<Transfer>>;

    /// The plan's listener behind a socket group.
    fn listener(&self, group: usize) -> usize;

    /// What the plan says about the times of streams of a socket group.
    fn timeouts(&self, group: usize) -> Timeouts;

    /// What is spoken on the streams of a socket group.
    fn transport(&self, group: usize) -> Transport;
}

/// What became of a connection that waited.
pub(super) enum Admission {
    /// It is taken.
    Taken,
    /// There are too many in all, or of this client.
    Refused,
}

impl Streams {
    /// No streams yet.
    pub(super) fn new(limits: StreamLimits, counters: Arc<Counters>) -> Self {
        Self {
            streams: HashMap::new(),
            clients: HashMap::new(),
            limits,
            generation: 0,
            next_check: None,
            scratch: Vec::new(),
            reply: Vec::new(),
            held: 0,
            counters,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Takes a connection in, or closes it where a cap is met.
    ///
    /// With all places taken, the stream that has been idle longest makes room, so that idle clients keep nobody out.
    pub(super) fn admit(
        &mut self,
        link: &mut impl Link,
        accepted: Accepted,
        (group, timeouts): (usize, Timeouts),
        now: Tick,
    ) -> Admission {
        let client = accepted.peer.ip();
        let of_client = self.clients.get(&client).copied().unwrap_or(0);
        if of_client >= self.limits.per_client {
            link.close(accepted.stream);
            return Admission::Refused;
        }
        if self.streams.len() >= self.limits.connections {
            let idle = self.streams.iter().filter(|(_, stream)| stream.is_idle());
            let Some(oldest) = idle.min_by_key(|(_, stream)| stream.active).map(|(index, _)| *index) else {
                link.close(accepted.stream);
                return Admission::Refused;
            };
            self.close(link, StreamId(oldest));
        }
        *self.clients.entry(client).or_default() += 1;
        self.generation += 1;
        let bounds = Bounds::new(&self.limits, timeouts);
        self.streams.insert(
            accepted.stream.0,
            Stream {
                generation: self.generation,
                peer: accepted.peer,
                local: accepted.local,
                group,
                bounds,
                input: Vec::new(),
                output: Vec::new(),
                written: 0,
                waiting: 0,
                transfer: None,
                began: None,
                active: now,
                owed: None,
                ended: false,
                interest: (true, false),
                held: 0,
            },
        );
        self.note(now.plus(self.idle_limit(bounds.idle)));
        Admission::Taken
    }

    /// How long a stream may be idle now (RFC 7766 §6.2.3).
    fn idle_limit(&self, idle: Duration) -> Duration {
        if self.streams.len() * 2 > self.limits.connections { idle / 5 } else { idle }
    }

    /// Remembers a deadline.
    fn note(&mut self, deadline: Tick) {
        self.next_check = Some(self.next_check.map_or(deadline, |known| known.min(deadline)));
    }

    /// When `expire` must be called.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.next_check
    }

    /// Goes on with a stream that is ready: reads, answers, writes.
    pub(super) fn advance(
        &mut self,
        link: &mut impl Link,
        id: StreamId,
        now: Tick,
        answerer: &mut impl Answerer,
    ) {
        if !self.streams.contains_key(&id.0) {
            return;
        }
        self.read(link, id, now);
        self.work(link, id, now, answerer);
        self.weigh(link, id);
    }

    /// Reads once what there is, as long as there is room for it.
    fn read(&mut self, link: &mut impl Link, id: StreamId, now: Tick) {
        let Some(stream) = self.streams.get_mut(&id.0) else { return };
        if stream.ended || !stream.interest.0 {
            return;
        }
        if self.scratch.is_empty() {
            self.scratch.resize(KEPT, 0);
        }
        match link.read(id, &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(0)) => stream.ended = true,
            Ok(Some(count)) => {
                if stream.input.is_empty() {
                    stream.began = Some(now);
                }
                stream.input.extend_from_slice(self.scratch.get(..count).unwrap_or_default());
            }
            Err(_) => self.close(link, id),
        }
    }

    /// Takes queries from what was read, and writes what there is to write.
    fn work(&mut self, link: &mut impl Link, id: StreamId, now: Tick, answerer: &mut impl Answerer) {
        // Once more whenever writing made room for queries that are here already: no event would come for them.
        loop {
            if self.take_queries(id, now, answerer).is_none() {
                self.close(link, id);
                return;
            }
            self.write(link, id, now);
            if !self.streams.get(&id.0).is_some_and(|stream| self.may_take(stream)) {
                return;
            }
        }
    }

    /// Whether a whole query is here and may be taken now.
    fn may_take(&self, stream: &Stream) -> bool {
        stream.waiting < self.limits.in_flight
            && stream.transfer.is_none()
            && stream.output.len() - stream.written < PENDING
            && has_message(&stream.input)
    }

    /// Answers the whole messages in a stream's input; `None` where there is no such stream.
    fn take_queries(&mut self, id: StreamId, now: Tick, answerer: &mut impl Answerer) -> Option<()> {
        if self.reply.is_empty() {
            self.reply.resize(MAX_MESSAGE, 0);
        }
        let stream = self.streams.get_mut(&id.0)?;
        let mut taken = 0;
        while stream.waiting < self.limits.in_flight
            && stream.transfer.is_none()
            && stream.output.len() - stream.written < PENDING
        {
            let rest = stream.input.get(taken..).unwrap_or_default();
            let Some((prefix, body)) = rest.split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_be_bytes(*prefix));
            if length == 0 {
                // What breaks the rules has an end, but not before the answers that are owed.
                (stream.ended, taken) = (true, 0);
                stream.input.clear();
                break;
            }
            let Some(message) = body.get(..length) else { break };
            let client = Client {
                addr: stream.peer,
                local: Some(stream.local),
                transport: answerer.transport(stream.group),
                listener: answerer.listener(stream.group),
                size: length,
            };
            let to = StreamReturn { id, generation: stream.generation };
            match answerer.answer(message, client, to, now, &mut self.reply) {
                Outcome::Reply(length) => queue(stream, self.reply.get(..length).unwrap_or_default()),
                Outcome::Begun(length) => {
                    queue(stream, self.reply.get(..length).unwrap_or_default());
                    stream.transfer = answerer.transfer();
                }
                Outcome::Waiting => stream.waiting += 1,
                Outcome::Silent => {}
            }
            stream.active = now;
            taken += 2 + length;
            if let Some(left) = &mut stream.bounds.left {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    // Nothing more is read; the stream is closed once it got what it is owed.
                    (stream.ended, taken) = (true, 0);
                    stream.input.clear();
                    break;
                }
            }
        }
        if stream.input.is_empty() {
            stream.began = None;
        } else if taken > 0 {
            stream.input.drain(..taken);
            // The next message began at the latest now; its deadline does not move again until it is whole.
            stream.began = (!stream.input.is_empty()).then_some(now);
        }
        let bounds = stream.bounds;
        let deadline = stream.began.map(|began| began.plus(bounds.partial));
        let idle = stream.active.plus(self.idle_limit(bounds.idle));
        self.note(deadline.map_or(idle, |deadline| deadline.min(idle)));
        Some(())
    }

    /// Writes what the peer takes, and closes a stream that is done.
    fn write(&mut self, link: &mut impl Link, id: StreamId, now: Tick) {
        let in_flight = self.limits.in_flight;
        let Some(stream) = self.streams.get_mut(&id.0) else { return };
        let Bounds { write: write_limit, partial, .. } = stream.bounds;
        // A transfer goes on once the peer took all of a message, some messages a turn: others have theirs in between.
        for _ in 0..=TRANSFER_MESSAGES {
            while stream.written < stream.output.len() {
                match link.write(id, stream.output.get(stream.written..).unwrap_or_default()) {
                    Ok(Some(count)) if count > 0 => {
                        stream.written += count;
                        stream.active = now;
                    }
                    Ok(_) => break,
                    Err(_) => return self.close(link, id),
                }
            }
            if stream.written < stream.output.len() || !queue_next(stream, &mut self.reply) {
                break;
            }
        }
        let pending = stream.output.len() - stream.written;
        if pending == 0 {
            stream.output.clear();
            stream.written = 0;
            stream.owed = None;
        } else if stream.owed.is_none_or(|(_, owed)| stream.written >= owed) {
            stream.owed = Some((now.plus(write_limit), stream.output.len()));
        }
        let transfers = stream.transfer.is_some();
        if stream.ended && stream.waiting == 0 && pending == 0 && !transfers && !has_message(&stream.input) {
            link.finish(id);
            return self.close(link, id);
        }
        // A stream that asks faster than it reads answers, or has too many queries waiting, is not read from.
        let read =
            !stream.ended && stream.waiting < in_flight && pending < PENDING && stream.input.len() < KEPT;
        let interest = (read, pending > 0 || transfers);
        let mut deadline = stream.owed.map(|(deadline, _)| deadline);
        if interest != stream.interest {
            if read && !stream.interest.0 && stream.began.is_some() {
                // Time in which we did not read is not the peer's.
                stream.began = Some(now);
                deadline = Some(deadline.map_or(now.plus(partial), |known| known.min(now.plus(partial))));
            }
            stream.interest = interest;
            link.interest(id, interest.0, interest.1);
        }
        if let Some(deadline) = deadline {
            self.note(deadline);
        }
    }

    /// Takes the reply of a query that waited; false where its stream is gone.
    pub(super) fn deliver(
        &mut self,
        link: &mut impl Link,
        to: StreamReturn,
        reply: Option<&[u8]>,
        now: Tick,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(&to.id.0).filter(|stream| stream.generation == to.generation)
        else {
            return false;
        };
        stream.waiting = stream.waiting.saturating_sub(1);
        stream.active = now;
        if let Some(reply) = reply {
            queue(stream, reply);
        }
        let idle = stream.bounds.idle;
        self.write(link, to.id, now);
        self.weigh(link, to.id);
        self.note(now.plus(self.idle_limit(idle)));
        true
    }

    /// Streams that have whole queries left in their input and may take them now.
    pub(super) fn unblocked(&self) -> Vec<StreamId> {
        self.streams
            .iter()
            .filter(|(_, stream)| self.may_take(stream))
            .map(|(index, _)| StreamId(*index))
            .collect()
    }

    /// Takes queries that were left in a stream's input.
    pub(super) fn take_up(
        &mut self,
        link: &mut impl Link,
        id: StreamId,
        now: Tick,
        answerer: &mut impl Answerer,
    ) {
        self.work(link, id, now, answerer);
        self.weigh(link, id);
    }

    /// Closes streams whose time is up. Cost: a walk over all streams, only when a deadline has come.
    pub(super) fn expire(&mut self, link: &mut impl Link, now: Tick) {
        if self.next_check.is_none_or(|next| next > now) {
            return;
        }
        let mut next: Option<Tick> = None;
        let mut expired = Vec::new();
        for (index, stream) in &self.streams {
            // Queries that wait keep their stream: they have a deadline of their own. A message that is whole and waits
            // its turn, and one that we do not read on, are not late.
            let incomplete = stream.began.filter(|_| stream.interest.0 && !has_message(&stream.input));
            let deadlines = [
                incomplete.map(|began| began.plus(stream.bounds.partial)),
                stream.owed.map(|(deadline, _)| deadline),
                stream.is_idle().then(|| stream.active.plus(self.idle_limit(stream.bounds.idle))),
            ];
            for deadline in deadlines.into_iter().flatten() {
                if deadline <= now {
                    expired.push(*index);
                    break;
                }
                next = Some(next.map_or(deadline, |known| known.min(deadline)));
            }
        }
        self.next_check = next;
        for index in expired {
            self.close(link, StreamId(index));
        }
    }

    /// Every stream there is.
    pub(super) fn all(&self) -> Vec<StreamId> {
        self.streams.keys().map(|index| StreamId(*index)).collect()
    }

    /// Closes every stream that is owed nothing.
    pub(super) fn close_idle(&mut self, link: &mut impl Link) {
        let idle: Vec<usize> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.is_idle() && !has_message(&stream.input))
            .map(|(index, _)| *index)
            .collect();
        for index in idle {
            link.finish(StreamId(index));
            self.close(link, StreamId(index));
        }
    }

    /// Closes one stream.
    fn close(&mut self, link: &mut impl Link, id: StreamId) {
        if let Some(stream) = self.streams.remove(&id.0) {
            self.held = self.held.saturating_sub(stream.held);
            link.close(id);
            let client = stream.peer.ip();
            if let Some(count) = self.clients.get_mut(&client) {
                *count -= 1;
                if *count == 0 {
                    self.clients.remove(&client);
                }
            }
        }
    }
}

/// Whether a stream's input begins with a whole message.
fn has_message(input: &[u8]) -> bool {
    input
        .split_first_chunk::<2>()
        .is_some_and(|(prefix, body)| body.len() >= usize::from(u16::from_be_bytes(*prefix)))
}

/// Appends a reply with its length.
fn queue(stream: &mut Stream, reply: &[u8]) {
    if stream.written > 0 && stream.written == stream.output.len() {
        stream.output.clear();
        stream.written = 0;
        stream.owed = None;
    }
    let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
    stream.output.extend_from_slice(&length.to_be_bytes());
    stream.output.extend_from_slice(reply);
}

/// Appends the next message of a transfer, where there is one; `scratch` is where it is made.
fn queue_next(stream: &mut Stream, scratch: &mut Vec<u8>) -> bool {
    let Some(transfer) = &mut stream.transfer else { return false };
    scratch.resize(MAX_MESSAGE, 0);
    let made = transfer.next(scratch);
    if transfer.ended() {
        stream.transfer = None;
    }
    if let Some(length) = made {
        queue(stream, scratch.get(..length).unwrap_or_default());
    }
    made.is_some()
}
