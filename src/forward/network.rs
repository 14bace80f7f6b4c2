//! What an exchange needs of the world: datagram sockets of its worker, and streams that others serve.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::upstream::{Protocol, Upstream};
use crate::time::Tick;

/// Datagram sockets of one worker. Nothing here waits.
pub trait Network {
    /// Opens a socket on a port of the kernel's choice, connected to `to`; returns its number, used again after `close`.
    ///
    /// Errors: no descriptors, no route, or `from` is no address of ours.
    fn open(&mut self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<usize>;

    /// Sends one datagram. Errors: those of the kernel, an ICMP message that came before among them.
    fn transmit(&mut self, socket: usize, bytes: &[u8]) -> io::Result<()>;

    /// Receives one datagram; `None` when nothing waits. Errors: an ICMP message, for one: the peer's port is closed.
    fn take(&mut self, socket: usize, into: &mut [u8]) -> io::Result<Option<usize>>;

    /// Closes a socket.
    fn shut(&mut self, socket: usize);
}

/// Which attempt of which flight a reply belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    /// The place of the flight.
    pub(super) flight: usize,
    /// Which flight at that place.
    pub(super) generation: u32,
    /// The attempt.
    pub(super) attempt: usize,
}

/// A query for an upstream that is reached by a stream.
pub struct Job {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// How to reach it: the upstream's own protocol, or TCP after a truncated datagram.
    pub protocol: Protocol,
    /// The query, without a length before it. Its id may be changed on the wire, and is given back as it was.
    pub query: Vec<u8>,
    /// When nobody waits for it any more.
    pub until: Tick,
    /// What to give back with the reply.
    pub ticket: Ticket,
    /// Where to give it.
    pub inlet: Arc<Inlet>,
}

/// Whoever talks to upstreams over streams, on threads of its own.
pub trait Streams: Send + Sync {
    /// Takes a job; exactly one arrival comes of it, unless `until` passes.
    fn ask(&self, job: Job);
}

/// What went wrong on a stream, in words for people: `connection refused`, `certificate expired`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamFault {
    /// The words.
    pub text: String,
    /// Whose fault it is: an upstream is not put aside for one of ours.
    pub blame: Blame,
}

/// Whose fault it is that an attempt failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The upstream's, or the network's on the way to it.
    Upstream,
    /// Ours: no descriptors, a file that can't be read, a bound that was met.
    Ours,
}

impl Blame {
    /// Whom an error of a socket is to be blamed on: what this machine lacks, upstreams can't help.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        match rustix::io::Errno::from_io_error(error) {
            Some(
                rustix::io::Errno::MFILE
                | rustix::io::Errno::NFILE
                | rustix::io::Errno::NOMEM
                | rustix::io::Errno::NOBUFS
                | rustix::io::Errno::ADDRNOTAVAIL,
            ) => Self::Ours,
            _ => Self::Upstream,
        }
    }
}

/// A reply of a stream.
#[derive(Debug)]
pub struct Arrival {
    /// Of the job.
    pub ticket: Ticket,
    /// The message, or what went wrong.
    pub result: Result<Vec<u8>, StreamFault>,
}

/// Where arrivals come in; each worker has one.
pub struct Inlet {
    /// What came.
    arrivals: Mutex<Vec<Arrival>>,
    /// Wakes the worker.
    waker: Waker,
}

impl Inlet {
    /// An inlet whose worker is woken by `waker`.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self { arrivals: Mutex::default(), waker }
    }

    /// Gives an arrival to the worker. Called from any thread.
    pub fn push(&self, arrival: Arrival) {
        let first = {
            let mut arrivals = self.arrivals.lock();
            arrivals.push(arrival);
            arrivals.len() == 1
        };
        if first {
            self.waker.wake_by_ref();
        }
    }

    /// Takes what came.
    pub(super) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock())
    }
}
