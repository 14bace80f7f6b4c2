//! What a worker sees of the world: the kernel's sockets, or a network in memory.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::kernel::{Inbox, Outbox, Sent};
use crate::chain::Entry;
use crate::forward::Network;
use crate::time::Tick;

/// A stream of a link: an index that is reused after `close`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId(pub usize);

/// Something that can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    /// Datagrams wait on this socket.
    Datagrams(usize),
    /// Connections wait on this listener.
    Connections(usize),
    /// This stream can be read, written, or has ended.
    Stream(StreamId),
    /// Datagrams of an upstream wait on this socket of ours.
    Upstream(usize),
    /// Somebody outside woke the worker.
    Woken,
}

/// A connection that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// The stream.
    pub stream: StreamId,
    /// The peer.
    pub peer: SocketAddr,
    /// Our address.
    pub local: IpAddr,
}

/// A worker's sockets.
///
/// Nothing here waits but `wait`. Datagram sockets and listeners are numbered from 0 in the order of the bound groups.
pub trait Link: Network {
    /// The sockets of one address that a worker can be given while it runs.
    type Sockets: Send;

    /// Takes sockets in; returns the number of the datagram socket and listener. Errors: no descriptors.
    fn adopt(&mut self, sockets: Self::Sockets) -> io::Result<usize>;

    /// Says how connections come in at the listener with this number from now on.
    fn equip(&mut self, number: usize, entry: &Entry) {
        let _ = (number, entry);
    }

    /// Closes the sockets with this number, which is not used again.
    fn retire(&mut self, number: usize);

    /// The moment now.
    fn now(&self) -> Tick;

    /// Waits until something is ready or `until` has come, and lists what is ready.
    fn wait(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>);

    /// Receives a batch; an error of `WouldBlock` when nothing waits.
    fn receive(&mut self, socket: usize, inbox: &mut Inbox) -> io::Result<usize>;

    /// Sends all that is in `outbox`, which is empty afterwards.
    fn send(&mut self, socket: usize, outbox: &mut Outbox) -> Sent;

    /// Takes a connection; `None` when none waits.
    fn accept(&mut self, listener: usize) -> io::Result<Option<Accepted>>;

    /// Stops or resumes listing a listener as ready.
    fn listen(&mut self, listener: usize, on: bool);

    /// Reads; `None` when nothing is there yet, 0 at the end.
    fn read(&mut self, stream: StreamId, into: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes; `None` when there is no room now.
    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> io::Result<Option<usize>>;

    /// What stands between a stream and its peer, and is not the stream's own yet, or no longer. Unit: bytes.
    fn held(&self, stream: StreamId) -> usize {
        let _ = stream;
        0
    }

    /// Says what `wait` should list this stream for.
    fn interest(&mut self, stream: StreamId, read: bool, write: bool);

    /// Says to the peer that nothing more comes.
    fn finish(&mut self, stream: StreamId);

    /// Closes a stream; its index may be used again.
    fn close(&mut self, stream: StreamId);
}
