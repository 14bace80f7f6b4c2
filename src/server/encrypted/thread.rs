//! A thread for what is encrypted: its worker and its listeners, from the first order to the drain.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;

use super::super::bind::Sockets;
use super::super::gate::GateLink;
use super::super::kernel_link::KernelLink;
use super::super::stream::StreamLimits;
use super::super::worker::{Order, Orders, Phase, Worker, WorkerOptions};
use super::door::Door;
use super::ledger::Ledger;
use super::room::Room;
use crate::chain::{PipelineOptions, Socket};
use crate::corefile::Transport as Scheme;
use crate::panics::{attempt, kept};
use crate::time::Tick;

/// Turns of the worker after which the others on the thread are looked at.
const TURNS: usize = 8;

/// How long the end may take once the worker is done.
const END: Duration = Duration::from_secs(6);

/// How often the end is looked for while it is awaited.
const LOOK: Duration = Duration::from_millis(20);

/// How many threads serve what is encrypted beside so many workers: half as many, at least one.
#[must_use]
pub fn encrypted_threads(workers: usize) -> usize {
    (workers / 2).max(1)
}

/// What such a thread is made of.
pub(in crate::server) struct EncryptedOptions {
    /// Where orders come.
    pub(in crate::server) orders: Orders<Sockets>,
    /// The desk.
    pub(in crate::server) pipeline: PipelineOptions,
    /// The bounds of streams, of one thread.
    pub(in crate::server) stream: StreamLimits,
    /// The most connections of one client, on all threads.
    pub(in crate::server) per_client: usize,
    /// How many threads there are.
    pub(in crate::server) threads: usize,
    /// Where the server is in its life.
    pub(in crate::server) phase: Arc<Phase>,
}

/// A thread for what is encrypted, before it runs.
pub(in crate::server) struct Encrypted {
    /// What it is made of.
    options: EncryptedOptions,
    /// Its sockets.
    link: KernelLink,
    /// What becomes readable when one of them is ready.
    readiness: OwnedFd,
}

impl Encrypted {
    /// A thread over this link. Errors: no descriptors.
    pub(in crate::server) fn new(link: KernelLink, options: EncryptedOptions) -> io::Result<Self> {
        let readiness = link.readiness()?;
        Ok(Self { options, link, readiness })
    }

    /// Serves until the server drains and everything is answered.
    ///
    /// Errors: the runtime can't be had.
    pub(in crate::server) fn run(self) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        LocalSet::new().block_on(&runtime, self.serve())
    }

    /// Does it.
    async fn serve(self) -> io::Result<()> {
        let Self { options, link, readiness } = self;
        let readiness = register(readiness)?;
        let phase = options.phase.clone();
        let orders = options.orders;
        let limits = StreamLimits { per_client: options.per_client, ..options.stream };
        let ledger = Ledger::new(limits.held, options.pipeline.counters.clone());
        let worker = Worker::new(
            GateLink::new(link),
            WorkerOptions {
                // Its orders come through this thread.
                orders: Orders::default(),
                pipeline: options.pipeline,
                groups: Vec::new(),
                stream: options.stream,
                phase: phase.clone(),
            },
        );
        let patience = super::super::gate::PATIENCE;
        let room = Rc::new(Room::new(worker, &limits, options.threads, patience, ledger));
        let mut doors = Doors { room: room.clone(), tell: HashMap::new() };
        let mut by: Option<Tick> = None;
        loop {
            turn(&room).await;
            for order in std::mem::take(&mut *orders.lock()) {
                attempt("encrypted", || doors.carry_out(order));
            }
            let (now, next) = {
                let worker = room.worker.borrow();
                (worker.now(), worker.next())
            };
            if phase.draining() {
                doors.leave();
                let by = *by.get_or_insert(now.plus(END));
                let done = room.worker.borrow_mut().finished();
                if done && (room.open.get() == 0 || now >= by) {
                    return Ok(());
                }
            }
            let pause = match (phase.draining(), next) {
                (true, next) => Some(next.map_or(LOOK, |next| next.since(now).min(LOOK))),
                (false, next) => next.map(|next| next.since(now)),
            };
            tokio::select! {
                ready = readiness.readable() => {
                    if let Ok(mut ready) = ready {
                        // Before the turn: what comes during it is told again.
                        ready.clear_ready();
                    }
                }
                () = room.bell.notified() => {}
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }
}

/// Has the runtime wait for a descriptor.
#[allow(
    deprecated,
    reason = "deprecated for types whose descriptor may change under it; an OwnedFd's never does, and the new form is unsafe"
)]
fn register(readiness: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(readiness, Interest::READABLE)
}

/// Turns of the worker until nothing is ready.
async fn turn(room: &Room) {
    for count in 1_usize.. {
        let any = attempt("encrypted", || {
            let mut worker = room.worker.borrow_mut();
            let now = worker.now();
            worker.turn_until(Some(now))
        });
        match any {
            Some(false) => return,
            Some(true) => {}
            // Were it to happen at every turn, it must not fill the log.
            None => sleep(Duration::from_millis(100)).await,
        }
        if count % TURNS == 0 {
            yield_now().await;
        }
    }
}

/// The listeners of a thread that are not the worker's.
struct Doors {
    /// What is shared.
    room: Rc<Room>,
    /// How each is told to go.
    tell: HashMap<Socket, watch::Sender<bool>>,
}

impl Doors {
    /// Carries out one order.
    fn carry_out(&mut self, order: Order<Sockets>) {
        match order {
            Order::Adopt(socket, sockets) if socket.scheme != Scheme::Tls => {
                if let Err(error) = self.open(socket, sockets) {
                    let Socket { scheme, addr } = socket;
                    tracing::error!(%error, "listening on {scheme}://{addr}: a thread could not take the sockets");
                }
            }
            Order::Retire(socket) if socket.scheme != Scheme::Tls => {
                if let Some(tell) = self.tell.remove(&socket) {
                    tell.send_replace(true);
                }
            }
            order => self.room.worker.borrow_mut().carry_out(order),
        }
    }

    /// Serves a listener.
    fn open(&mut self, socket: Socket, sockets: Sockets) -> io::Result<()> {
        let entry = self.room.entry(socket).unwrap_or_default();
        let (door, tell) = Door::new(self.room.clone(), socket, &entry);
        match (socket.scheme, sockets) {
            (Scheme::Https, Sockets { listener: Some(listener), .. }) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let listener = Rc::new(listener);
                tokio::task::spawn_local(kept("listener", move || door.clone().serve(listener.clone())));
            }
            #[cfg(feature = "quic")]
            (Scheme::Quic, Sockets { datagrams: Some(datagrams), .. }) => {
                let endpoint = super::quic::open(datagrams, socket.scheme, &entry)?;
                let share = entry.limits.pool().div_ceil(self.room.threads);
                let pool = Rc::new(tokio::sync::Semaphore::new(share));
                let serve = move |door, guest, peer, connection, _| {
                    super::quic::serve(door, guest, peer, connection, Rc::clone(&pool))
                };
                tokio::task::spawn_local(kept("listener", move || {
                    super::quic::listen(door.clone(), endpoint.clone(), serve.clone())
                }));
            }
            #[cfg(feature = "https3")]
            (Scheme::Https3, Sockets { datagrams: Some(datagrams), .. }) => {
                let endpoint = super::quic::open(datagrams, socket.scheme, &entry)?;
                let serve =
                    |door, guest, peer, connection, _| super::https3::serve(door, guest, peer, connection);
                tokio::task::spawn_local(kept("listener", move || {
                    super::quic::listen(door.clone(), endpoint.clone(), serve)
                }));
            }
            _ => return Err(io::Error::other("this build does not serve it")),
        }
        self.tell.insert(socket, tell);
        Ok(())
    }

    /// Tells all of them to go.
    fn leave(&mut self) {
        for (_, tell) in self.tell.drain() {
            tell.send_replace(true);
        }
    }
}
