//! What the tasks of one thread share: its worker, and the way to ask it.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::gate::GateLink;
use super::super::kernel_link::KernelLink;
use super::super::stream::StreamLimits;
use super::super::worker::{Given, Worker};
use super::guest::{Query, Times};
use super::ledger::Ledger;
use crate::chain::{Client, Entry, Socket, Timeouts, Transport};
use crate::corefile::Transport as Scheme;

/// The worker of a thread.
pub(super) type Own = Worker<GateLink<KernelLink>>;

/// What the tasks of one thread share.
pub(super) struct Room {
    /// The worker.
    pub(super) worker: RefCell<Own>,
    /// Rung when the worker has something to wait for since.
    pub(super) bell: Notify,
    /// The times that connections may take where `timeouts` says nothing else.
    times: Times,
    /// The most connections of one client.
    pub(super) per_client: usize,
    /// How many threads share a listener.
    pub(super) threads: usize,
    /// How long a header and a handshake may take, each.
    pub(super) patience: Duration,
    /// Listeners and connections that have not ended.
    pub(super) open: Cell<usize>,
    /// What the connections hold that are not the worker's.
    pub(super) ledger: Rc<Ledger>,
}

/// Somebody whom the thread waits for at its end.
pub(super) struct Stay<'r>(&'r Room);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.bell.notify_one();
    }
}

/// Who asks over a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// The client.
    pub(super) addr: SocketAddr,
    /// Our address.
    pub(super) local: Option<IpAddr>,
    /// Where it came in.
    pub(super) socket: Socket,
}

impl Room {
    /// A room around a worker whose streams have these bounds, `held` aside: that of `ledger` is of its own.
    pub(super) fn new(
        worker: Own,
        limits: &StreamLimits,
        threads: usize,
        patience: Duration,
        ledger: Rc<Ledger>,
    ) -> Self {
        Self {
            worker: RefCell::new(worker),
            bell: Notify::new(),
            times: Times { idle: limits.idle, partial: limits.partial, write: limits.write },
            per_client: limits.per_client,
            threads,
            patience,
            open: Cell::new(0),
            ledger,
        }
    }

    /// Has the thread wait for somebody at its end.
    pub(super) fn stay(&self) -> Stay<'_> {
        self.open.set(self.open.get() + 1);
        Stay(self)
    }

    /// How connections come in at a listener now; `None` where the plan does not know it any more.
    pub(super) fn entry(&self, socket: Socket) -> Option<Entry> {
        let plan = self.worker.borrow_mut().plan();
        plan.listeners.iter().find(|known| known.socket() == socket).map(|known| known.entry.clone())
    }

    /// The times of the connections of a listener: what `timeouts` says about it now (rule S-05).
    pub(super) fn times(&self, socket: Socket) -> Times {
        let plan = self.worker.borrow_mut().plan();
        let known = plan.listeners.iter().find(|known| known.socket() == socket);
        let said = known.map_or_else(Timeouts::default, |known| known.timeouts);
        Times {
            idle: said.idle.unwrap_or(self.times.idle),
            partial: said.read.unwrap_or(self.times.partial),
            write: said.write.unwrap_or(self.times.write),
        }
    }

    /// Asks a message, that of `query`; `None` where there is no reply. However long it takes: a query has a time of its own.
    ///
    /// The message is given back before the reply is awaited.
    pub(super) async fn ask(&self, message: Vec<u8>, query: &mut Query, peer: &Peer) -> Option<Vec<u8>> {
        let given = {
            let mut worker = self.worker.borrow_mut();
            let plan = worker.plan();
            let listener = plan.listeners.iter().position(|known| known.socket() == peer.socket);
            let client = Client {
                addr: peer.addr,
                local: peer.local,
                transport: match peer.socket.scheme {
                    Scheme::Https => Transport::Https,
                    Scheme::Https3 => Transport::Https3,
                    Scheme::Quic => Transport::Quic,
                    Scheme::Tls => Transport::Tls,
                    Scheme::Dns | Scheme::Grpc => Transport::Tcp,
                },
                listener: listener.unwrap_or(usize::MAX),
                size: message.len(),
            };
            worker.ask(&message, client)
        };
        drop(message);
        query.asked();
        match given {
            Given::Reply(reply) => Some(reply),
            Given::Silent => None,
            Given::Later(reply) => {
                self.bell.notify_one();
                reply.await.ok().flatten()
            }
        }
    }
}
