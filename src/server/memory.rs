//! A link in memory: the same worker without a kernel, for scenario tests and simulation.
//!
//! Time is the clock's, which a test moves; `wait` never waits. The test puts datagrams in, plays the peers of streams, and
//! takes out what the worker sent.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;

use super::kernel::{Inbox, Outbox, Sent};
use super::link::{Accepted, Link, Ready, StreamId};
use super::stream::StreamLimits;
use super::worker::{Phase, WorkerOptions};
use crate::chain::{Active, PipelineOptions};
use crate::forward::Network as Upstreams;
use crate::metrics::Counters;
use crate::time::{Clock, Tick};

/// The most queries that wait at once: some seconds of a simulated cluster before its first lists. Source: the server's own.
const WAITING: usize = 16_384;

/// A stream as both ends see it.
#[derive(Default, Debug)]
struct Pipe {
    /// Peer to worker.
    to_worker: VecDeque<u8>,
    /// Worker to peer, as far as the peer's window goes.
    to_peer: Vec<u8>,
    /// Whether the peer will send nothing more.
    peer_ended: bool,
    /// Whether the worker closed or finished it.
    worker_ended: bool,
    /// How many bytes the peer is willing to keep unread.
    window: usize,
    /// What the worker wants to know: readable, writable.
    interest: (bool, bool),
}

/// What came back from an upstream and was not taken yet.
type Queue = VecDeque<io::Result<Vec<u8>>>;

/// What both sides of the network share.
#[derive(Default, Debug)]
struct Network {
    /// Datagrams to the worker, by socket.
    incoming: HashMap<usize, VecDeque<(Vec<u8>, SocketAddr)>>,
    /// Datagrams from the worker: socket, peer, bytes.
    outgoing: Vec<(usize, SocketAddr, Vec<u8>)>,
    /// Connections that wait, by listener: stream, peer.
    waiting: HashMap<usize, VecDeque<(usize, SocketAddr)>>,
    /// Streams.
    pipes: HashMap<usize, Pipe>,
    /// Sockets to upstreams by number: whom they are connected to, and what came back.
    upstreams: HashMap<usize, (SocketAddr, Queue)>,
    /// Number of the next of them: none is used again, so that a test can tell ports apart.
    next_upstream: usize,
    /// What was sent to upstreams: socket, upstream, bytes.
    asked: Vec<(usize, SocketAddr, Vec<u8>)>,
    /// Number of the next stream.
    next_stream: usize,
    /// Whether somebody woke the worker.
    woken: bool,
}

/// The world's end of a link in memory; cloned freely.
#[derive(Clone, Default, Debug)]
pub struct World(Arc<Mutex<Network>>);

/// Wakes the worker of a link in memory.
struct MemoryWaker(Arc<Mutex<Network>>);

impl Wake for MemoryWaker {
    fn wake(self: Arc<Self>) {
        self.0.lock().woken = true;
    }
}

impl World {
    /// A waker for the worker on this network.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::new(MemoryWaker(self.0.clone())))
    }

    /// A link for a worker.
    #[must_use]
    pub fn link(&self, clock: Clock) -> MemoryLink {
        MemoryLink { network: self.0.clone(), clock }
    }

    /// What a worker on this network is made of: one socket group, port 53 of every address, and the usual bounds.
    ///
    /// All that it draws at random follows from `seed`, secrets too: that is for tests, and for no server.
    #[must_use]
    pub fn options(&self, active: Arc<Active>, clock: Clock, seed: u64) -> WorkerOptions<usize> {
        let mut rng = fastrand::Rng::with_seed(seed);
        WorkerOptions {
            orders: Arc::default(),
            pipeline: PipelineOptions {
                active,
                waiting: WAITING,
                seed,
                clock,
                waker: self.waker(),
                counters: Arc::new(Counters::default()),
                worker: 0,
                secrets: Box::new(move |bytes| rng.fill(bytes)),
                streams: None,
            },
            groups: vec![SocketAddr::from(([0, 0, 0, 0], 53)).into()],
            stream: StreamLimits::default(),
            phase: Arc::new(Phase::default()),
        }
    }

    /// Sends a datagram to the worker.
    pub fn send(&self, socket: usize, peer: SocketAddr, bytes: &[u8]) {
        self.0.lock().incoming.entry(socket).or_default().push_back((bytes.to_vec(), peer));
    }

    /// Takes what the worker sent: socket, peer and bytes of each datagram, in order.
    #[must_use]
    pub fn received(&self) -> Vec<(usize, SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.0.lock().outgoing)
    }

    /// Takes what the worker sent to upstreams: its socket, the upstream and the bytes, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<(usize, SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.0.lock().asked)
    }

    /// Sends a datagram of an upstream to the worker, or an error of the network; lost if that socket is closed.
    pub fn answer(&self, socket: usize, what: io::Result<Vec<u8>>) {
        if let Some((_, queue)) = self.0.lock().upstreams.get_mut(&socket) {
            queue.push_back(what);
        }
    }

    /// How many sockets to upstreams are open.
    #[must_use]
    pub fn upstream_sockets(&self) -> usize {
        self.0.lock().upstreams.len()
    }

    /// Opens a stream to a listener; the peer keeps at most `window` unread bytes.
    #[must_use]
    pub fn connect(&self, listener: usize, peer: SocketAddr, window: usize) -> StreamId {
        let mut network = self.0.lock();
        let id = network.next_stream;
        network.next_stream += 1;
        network.pipes.insert(id, Pipe { window, ..Pipe::default() });
        network.waiting.entry(listener).or_default().push_back((id, peer));
        StreamId(id)
    }

    /// Sends bytes on a stream.
    pub fn write(&self, stream: StreamId, bytes: &[u8]) {
        if let Some(pipe) = self.0.lock().pipes.get_mut(&stream.0) {
            pipe.to_worker.extend(bytes);
        }
    }

    /// Says that nothing more comes on a stream.
    pub fn end(&self, stream: StreamId) {
        if let Some(pipe) = self.0.lock().pipes.get_mut(&stream.0) {
            pipe.peer_ended = true;
        }
    }

    /// Takes what the worker wrote on a stream.
    #[must_use]
    pub fn read(&self, stream: StreamId) -> Vec<u8> {
        self.0
            .lock()
            .pipes
            .get_mut(&stream.0)
            .map(|pipe| std::mem::take(&mut pipe.to_peer))
            .unwrap_or_default()
    }

    /// Nobody looks at a stream any more, which the worker closed.
    pub fn forget(&self, stream: StreamId) {
        let mut network = self.0.lock();
        if network.pipes.get(&stream.0).is_some_and(|pipe| pipe.worker_ended) {
            network.pipes.remove(&stream.0);
        }
    }

    /// Whether the worker closed a stream.
    #[must_use]
    pub fn closed(&self, stream: StreamId) -> bool {
        self.0.lock().pipes.get(&stream.0).is_none_or(|pipe| pipe.worker_ended)
    }
}

/// The worker's end.
pub struct MemoryLink {
    /// The network.
    network: Arc<Mutex<Network>>,
    /// The clock, which a test moves.
    clock: Clock,
}

impl Upstreams for MemoryLink {
    fn open(&mut self, to: SocketAddr, _: Option<IpAddr>) -> io::Result<usize> {
        let mut network = self.network.lock();
        let number = network.next_upstream;
        network.next_upstream += 1;
        network.upstreams.insert(number, (to, VecDeque::new()));
        Ok(number)
    }

    fn transmit(&mut self, socket: usize, bytes: &[u8]) -> io::Result<()> {
        let mut network = self.network.lock();
        let to = network.upstreams.get(&socket).ok_or(io::ErrorKind::NotConnected)?.0;
        network.asked.push((socket, to, bytes.to_vec()));
        Ok(())
    }

    fn take(&mut self, socket: usize, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut network = self.network.lock();
        let (_, queue) = network.upstreams.get_mut(&socket).ok_or(io::ErrorKind::NotConnected)?;
        let Some(bytes) = queue.pop_front().transpose()? else { return Ok(None) };
        let length = bytes.len().min(into.len());
        for (to, from) in into.iter_mut().zip(bytes) {
            *to = from;
        }
        Ok(Some(length))
    }

    fn shut(&mut self, socket: usize) {
        self.network.lock().upstreams.remove(&socket);
    }
}

impl Link for MemoryLink {
    type Sockets = usize;

    fn adopt(&mut self, number: usize) -> io::Result<usize> {
        Ok(number)
    }

    fn retire(&mut self, number: usize) {
        let mut network = self.network.lock();
        network.incoming.remove(&number);
        network.waiting.remove(&number);
    }

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn wait(&mut self, _: Option<Tick>, ready: &mut Vec<Ready>) {
        let mut network = self.network.lock();
        ready.clear();
        let sockets = network.incoming.iter().filter(|(_, queue)| !queue.is_empty());
        ready.extend(sockets.map(|(&socket, _)| Ready::Datagrams(socket)));
        let listeners = network.waiting.iter().filter(|(_, queue)| !queue.is_empty());
        ready.extend(listeners.map(|(&listener, _)| Ready::Connections(listener)));
        let streams = network.pipes.iter().filter(|(_, pipe)| {
            let readable = !pipe.to_worker.is_empty() || pipe.peer_ended;
            let writable = pipe.to_peer.len() < pipe.window;
            !pipe.worker_ended && ((pipe.interest.0 && readable) || (pipe.interest.1 && writable))
        });
        ready.extend(streams.map(|(&id, _)| Ready::Stream(StreamId(id))));
        let upstreams = network.upstreams.iter().filter(|(_, (_, queue))| !queue.is_empty());
        ready.extend(upstreams.map(|(&socket, _)| Ready::Upstream(socket)));
        ready.sort_by_key(|event| match event {
            Ready::Datagrams(index) => (0, *index),
            Ready::Connections(index) => (1, *index),
            Ready::Stream(id) => (2, id.0),
            Ready::Upstream(index) => (3, *index),
            Ready::Woken => (4, 0),
        });
        if std::mem::take(&mut network.woken) {
            ready.push(Ready::Woken);
        }
    }

    fn receive(&mut self, socket: usize, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.clear();
        let mut network = self.network.lock();
        let queue = network.incoming.entry(socket).or_default();
        while let Some((bytes, peer)) = queue.pop_front() {
            if !inbox.push(&bytes, peer) {
                queue.push_front((bytes, peer));
                break;
            }
        }
        if inbox.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(inbox.len()) }
    }

    fn send(&mut self, socket: usize, outbox: &mut Outbox) -> Sent {
        let mut network = self.network.lock();
        let mut sent = Sent::default();
        for index in 0..outbox.len() {
            match outbox.reply(index) {
                Some((bytes, peer)) => {
                    network.outgoing.push((socket, peer, bytes.to_vec()));
                    sent.taken += 1;
                }
                None => sent.refused += 1,
            }
        }
        outbox.clear();
        sent
    }

    fn accept(&mut self, listener: usize) -> io::Result<Option<Accepted>> {
        let mut network = self.network.lock();
        let Some((id, peer)) = network.waiting.entry(listener).or_default().pop_front() else {
            return Ok(None);
        };
        if let Some(pipe) = network.pipes.get_mut(&id) {
            pipe.interest = (true, false);
        }
        Ok(Some(Accepted { stream: StreamId(id), peer, local: IpAddr::from([127, 0, 0, 1]) }))
    }

    fn listen(&mut self, _: usize, _: bool) {}

    fn read(&mut self, stream: StreamId, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut network = self.network.lock();
        let pipe = network.pipes.get_mut(&stream.0).ok_or(io::ErrorKind::NotConnected)?;
        if pipe.to_worker.is_empty() {
            return Ok(pipe.peer_ended.then_some(0));
        }
        let count = into.len().min(pipe.to_worker.len());
        for (to, from) in into.iter_mut().zip(pipe.to_worker.drain(..count)) {
            *to = from;
        }
        Ok(Some(count))
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> io::Result<Option<usize>> {
        let mut network = self.network.lock();
        let pipe = network.pipes.get_mut(&stream.0).ok_or(io::ErrorKind::NotConnected)?;
        let room = pipe.window.saturating_sub(pipe.to_peer.len()).min(bytes.len());
        pipe.to_peer.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok((room > 0).then_some(room))
    }

    fn interest(&mut self, stream: StreamId, read: bool, write: bool) {
        if let Some(pipe) = self.network.lock().pipes.get_mut(&stream.0) {
            pipe.interest = (read, write);
        }
    }

    fn finish(&mut self, stream: StreamId) {
        self.close(stream);
    }

    fn close(&mut self, stream: StreamId) {
        if let Some(pipe) = self.network.lock().pipes.get_mut(&stream.0) {
            pipe.worker_ended = true;
        }
    }
}
