//! A link with a gate: connections are told of, and read, as if there were neither proxies nor TLS.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::kernel::{Inbox, Outbox, Sent};
use super::super::link::{Accepted, Link, Ready, StreamId};
use super::proxy::{self, Front};
use super::session::{Session, Wire};
use crate::chain::{Entry, Treatment};
use crate::forward::Network;
use crate::time::Tick;
use crate::tls::Alpn;

/// How long a header and a handshake may take, each (rows W63, W68).
pub(in crate::server) const PATIENCE: Duration = Duration::from_secs(4);

/// The most connections whose header is awaited.
const HEADERS: usize = 256;

/// Connections taken from the kernel for one that is given on.
const TRIES: usize = 64;

/// A connection whose header is awaited.
struct Pending {
    /// It, with the proxy's addresses.
    accepted: Accepted,
    /// The listener that took it.
    group: usize,
    /// What came so far.
    bytes: Vec<u8>,
    /// What is done with a header.
    treatment: Treatment,
    /// Until when the header must be there.
    until: Tick,
}

/// What stands between a stream and its peer.
struct Passage {
    /// Bytes that came together with the header.
    early: Vec<u8>,
    /// TLS.
    session: Option<Box<Session>>,
    /// Until when the handshake must be done.
    until: Option<Tick>,
    /// What the streams want to know: reading, writing.
    wanted: (bool, bool),
    /// What the link below was told.
    told: (bool, bool),
    /// Whether the time for the handshake passed.
    late: bool,
}

/// A link with a gate.
pub struct GateLink<L> {
    /// The link below.
    inner: L,
    /// How connections come in, by listener.
    entries: Vec<Entry>,
    /// Connections whose header is awaited, by stream.
    pending: HashMap<usize, Pending>,
    /// Connections whose header was read, with their listener.
    admitted: VecDeque<(usize, Accepted)>,
    /// Streams with something between, by stream.
    passages: HashMap<usize, Passage>,
    /// When deadlines are looked at next.
    next_check: Option<Tick>,
    /// How long a header and a handshake may take.
    patience: Duration,
}

/// The bytes below a session.
struct Below<'a, L> {
    /// The link.
    link: &'a mut L,
    /// The stream.
    id: StreamId,
    /// Bytes that were read already.
    early: &'a mut Vec<u8>,
}

impl<L: Link> Wire for Below<'_, L> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match take_early(self.early, into) {
            0 => self.link.read(self.id, into),
            count => Ok(Some(count)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.link.write(self.id, bytes)
    }
}

/// Moves bytes that were read already; says how many.
fn take_early(early: &mut Vec<u8>, into: &mut [u8]) -> usize {
    let count = early.len().min(into.len());
    for (to, from) in into.iter_mut().zip(early.drain(..count)) {
        *to = from;
    }
    if early.is_empty() && early.capacity() > 0 {
        *early = Vec::new();
    }
    count
}

impl<L: Link> GateLink<L> {
    /// A gate in front of nothing yet.
    pub fn new(inner: L) -> Self {
        Self {
            inner,
            entries: Vec::new(),
            pending: HashMap::new(),
            admitted: VecDeque::new(),
            passages: HashMap::new(),
            next_check: None,
            patience: PATIENCE,
        }
    }

    /// The same, which waits so long for a header and for a handshake.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Remembers a deadline.
    fn note(&mut self, until: Tick) {
        self.next_check = Some(self.next_check.map_or(until, |known| known.min(until)));
    }

    /// Reads what may be a header; true where the connection is past it.
    fn read_header(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.get_mut(&id.0) else { return false };
        let mut more = [0_u8; 1024];
        loop {
            let front = proxy::read(&pending.bytes);
            let header = match front {
                Front::Incomplete => match self.inner.read(id, &mut more) {
                    Ok(Some(count)) if count > 0 && pending.bytes.len() < proxy::MOST => {
                        pending.bytes.extend_from_slice(more.get(..count).unwrap_or_default());
                        continue;
                    }
                    Ok(None) => return false,
                    _ => {
                        self.refuse(id);
                        return false;
                    }
                },
                Front::Nothing => None,
                Front::Header(header) if pending.treatment != Treatment::Reject => Some(header),
                Front::Header(_) | Front::Broken => {
                    self.refuse(id);
                    return false;
                }
            };
            let Some(mut pending) = self.pending.remove(&id.0) else { return false };
            if let Some(header) = header {
                pending.bytes.drain(..header.length.min(pending.bytes.len()));
                if let (Treatment::Use, Some(origin)) = (pending.treatment, header.origin) {
                    pending.accepted.peer = origin.client;
                    pending.accepted.local = origin.asked;
                }
            }
            if self.pass(pending.accepted, pending.group, pending.bytes) {
                self.admitted.push_back((pending.group, pending.accepted));
                return true;
            }
            return false;
        }
    }

    /// Closes a connection that has not passed.
    fn refuse(&mut self, id: StreamId) {
        self.pending.remove(&id.0);
        self.inner.close(id);
    }

    /// Puts between a stream and its peer what its listener asks for; false where that can't be had.
    fn pass(&mut self, accepted: Accepted, group: usize, early: Vec<u8>) -> bool {
        let id = accepted.stream;
        let tls = self.entries.get(group).and_then(|entry| entry.tls.clone());
        let session = match tls.map(|tls| Session::new(tls.config(Alpn::Dot))).transpose() {
            Ok(session) => session.map(Box::new),
            Err(error) => {
                tracing::warn!(%error, "a session of TLS can't begin");
                self.inner.close(id);
                return false;
            }
        };
        if session.is_none() && early.is_empty() {
            return true;
        }
        let until = session.is_some().then(|| self.inner.now().plus(self.patience));
        if let Some(until) = until {
            self.note(until);
        }
        let (wanted, told) = ((true, false), (true, false));
        self.passages.insert(id.0, Passage { early, session, until, wanted, told, late: false });
        true
    }

    /// Does something with the session of a stream, and tells the link below what it waits for since.
    fn with_session<T>(
        &mut self,
        id: StreamId,
        act: impl FnOnce(&mut Session, &mut Below<'_, L>) -> T,
    ) -> Option<T> {
        let passage = self.passages.get_mut(&id.0)?;
        let session = passage.session.as_deref_mut()?;
        let result = act(session, &mut Below { link: &mut self.inner, id, early: &mut passage.early });
        if !session.begins() {
            passage.until = None;
        }
        let interest = (passage.wanted.0, passage.wanted.1 || session.owes());
        if interest != passage.told {
            passage.told = interest;
            self.inner.interest(id, interest.0, interest.1);
        }
        Some(result)
    }

    /// Looks at what is ready below, and lists what is ready above.
    fn sort(&mut self, ready: &mut Vec<Ready>) {
        if !self.pending.is_empty() {
            let mut past = Vec::new();
            ready.retain(|event| match event {
                Ready::Stream(id) if self.pending.contains_key(&id.0) => {
                    past.push(*id);
                    false
                }
                _ => true,
            });
            for id in past {
                if self.read_header(id)
                    && let Some((group, _)) = self.admitted.back()
                {
                    ready.push(Ready::Connections(*group));
                }
            }
        }
        if !self.passages.is_empty() {
            for event in ready.iter() {
                if let Ready::Stream(id) = event {
                    // An error is met again by whoever reads or writes.
                    let _ = self.with_session(*id, |session, wire| session.flush(wire));
                }
            }
        }
    }

    /// Ends what took too long.
    fn expire(&mut self, ready: &mut Vec<Ready>) {
        let now = self.inner.now();
        if self.next_check.is_none_or(|next| next > now) {
            return;
        }
        let silent: Vec<usize> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now)
            .map(|(index, _)| *index)
            .collect();
        for index in silent {
            self.refuse(StreamId(index));
        }
        for (index, passage) in &mut self.passages {
            if passage.until.is_some_and(|until| until <= now) {
                passage.until = None;
                passage.late = true;
                ready.push(Ready::Stream(StreamId(*index)));
            }
        }
        let headers = self.pending.values().map(|pending| pending.until);
        self.next_check = headers.chain(self.passages.values().filter_map(|passage| passage.until)).min();
    }
}

impl<L: Link> Network for GateLink<L> {
    fn open(&mut self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<usize> {
        self.inner.open(to, from)
    }

    fn transmit(&mut self, socket: usize, bytes: &[u8]) -> io::Result<()> {
        self.inner.transmit(socket, bytes)
    }

    fn take(&mut self, socket: usize, into: &mut [u8]) -> io::Result<Option<usize>> {
        self.inner.take(socket, into)
    }

    fn shut(&mut self, socket: usize) {
        self.inner.shut(socket);
    }
}

impl<L: Link> Link for GateLink<L> {
    type Sockets = L::Sockets;

    fn adopt(&mut self, sockets: Self::Sockets) -> io::Result<usize> {
        self.inner.adopt(sockets)
    }

    fn equip(&mut self, number: usize, entry: &Entry) {
        if self.entries.len() <= number {
            self.entries.resize(number + 1, Entry::default());
        }
        if let Some(known) = self.entries.get_mut(number) {
            known.clone_from(entry);
        }
        self.inner.equip(number, entry);
    }

    fn retire(&mut self, number: usize) {
        self.inner.retire(number);
    }

    fn now(&self) -> Tick {
        self.inner.now()
    }

    fn wait(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        let until = [until, self.next_check].into_iter().flatten().min();
        self.inner.wait(until, ready);
        self.sort(ready);
        self.expire(ready);
    }

    fn receive(&mut self, socket: usize, inbox: &mut Inbox) -> io::Result<usize> {
        self.inner.receive(socket, inbox)
    }

    fn send(&mut self, socket: usize, outbox: &mut Outbox) -> Sent {
        self.inner.send(socket, outbox)
    }

    fn accept(&mut self, listener: usize) -> io::Result<Option<Accepted>> {
        for _ in 0..TRIES {
            if let Some(place) = self.admitted.iter().position(|(group, _)| *group == listener) {
                return Ok(self.admitted.remove(place).map(|(_, accepted)| accepted));
            }
            let Some(accepted) = self.inner.accept(listener)? else { return Ok(None) };
            let id = accepted.stream;
            let proxy = self.entries.get(listener).and_then(|entry| entry.proxy.as_ref());
            let treatment = proxy.map_or(Treatment::Skip, |proxy| proxy.treatment(accepted.peer.ip()));
            if treatment == Treatment::Skip {
                if self.pass(accepted, listener, Vec::new()) {
                    return Ok(Some(accepted));
                }
                continue;
            }
            if self.pending.len() >= HEADERS {
                self.inner.close(id);
                continue;
            }
            let until = self.inner.now().plus(self.patience);
            self.note(until);
            let pending = Pending { accepted, group: listener, bytes: Vec::new(), treatment, until };
            self.pending.insert(id.0, pending);
            // Nearly always the header is there already.
            self.read_header(id);
        }
        Ok(None)
    }

    fn listen(&mut self, listener: usize, on: bool) {
        self.inner.listen(listener, on);
    }

    fn read(&mut self, stream: StreamId, into: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(passage) = self.passages.get_mut(&stream.0) else { return self.inner.read(stream, into) };
        if passage.late {
            return Err(ErrorKind::TimedOut.into());
        }
        match self.with_session(stream, |session, wire| session.read(wire, into)) {
            Some(result) => result,
            None => {
                let count = self.passages.get_mut(&stream.0).map(|known| take_early(&mut known.early, into));
                // Nothing stands between any more.
                self.passages.remove(&stream.0);
                match count.filter(|count| *count > 0) {
                    Some(count) => Ok(Some(count)),
                    None => self.inner.read(stream, into),
                }
            }
        }
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self.with_session(stream, |session, wire| session.write(wire, bytes)) {
            Some(result) => result,
            None => self.inner.write(stream, bytes),
        }
    }

    fn held(&self, stream: StreamId) -> usize {
        let Some(passage) = self.passages.get(&stream.0) else { return self.inner.held(stream) };
        let session = passage.session.as_ref().map_or(0, |session| session.held());
        passage.early.capacity() + session + self.inner.held(stream)
    }

    fn interest(&mut self, stream: StreamId, read: bool, write: bool) {
        if let Some(passage) = self.passages.get_mut(&stream.0) {
            passage.wanted = (read, write);
        }
        if self.with_session(stream, |_, _| ()).is_none() {
            self.inner.interest(stream, read, write);
        }
    }

    fn finish(&mut self, stream: StreamId) {
        self.with_session(stream, |session, wire| session.finish(wire));
        self.inner.finish(stream);
    }

    fn close(&mut self, stream: StreamId) {
        self.with_session(stream, |session, wire| session.finish(wire));
        self.passages.remove(&stream.0);
        self.inner.close(stream);
    }
}
