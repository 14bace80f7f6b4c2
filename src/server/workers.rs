//! The crew: as many workers as the machine gives us processors, each on a thread of its own, and the threads for what is
//! encrypted, once there is something for them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

use super::bind::{Group, Sockets};
use super::encrypted::{Encrypted, EncryptedOptions, encrypted_threads};
use super::gate::GateLink;
use super::kernel_link::{KernelLink, wake_handle};
use super::link::Link as _;
use super::pulse::Pulse;
use super::stream::StreamLimits;
use super::worker::{Order, Orders, Phase, Worker, WorkerOptions};
use crate::cgroup;
use crate::chain::{Active, PipelineOptions, Socket};
use crate::corefile::Transport as Scheme;
use crate::forward::{Random, Streams};
use crate::metrics::Counters;
use crate::time::Clock;

/// What the workers have in common.
pub struct CrewOptions {
    /// The plan in force.
    pub active: Arc<Active>,
    /// The most waiting queries of a worker.
    pub waiting: usize,
    /// The bounds of streams, of all workers together.
    pub stream: StreamLimits,
    /// The clock.
    pub clock: Clock,
    /// A source of random bytes that nobody can guess, one for each worker.
    pub secrets: fn() -> Random,
    /// Who talks to upstreams over streams.
    pub streams: Option<Arc<dyn Streams>>,
    /// Whether the process stood still; somebody else beats it.
    pub pulse: Arc<Pulse>,
}

/// One thread as the others see it.
struct Hand {
    /// The thread; `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
    /// Wakes it.
    waker: Waker,
    /// Where it takes orders.
    orders: Orders<Sockets>,
}

impl Hand {
    /// Gives an order; the thread is to be woken then.
    fn tell(&self, order: Order<Sockets>) {
        self.orders.lock().push(order);
    }
}

/// The running workers.
pub struct Crew {
    /// Those who serve what is in the clear.
    workers: Vec<Hand>,
    /// Those who serve what is encrypted; nobody before there is something.
    encrypted: Vec<Hand>,
    /// Where the server is in its life.
    phase: Arc<Phase>,
    /// The counters of all of them, those for what is encrypted last.
    counters: Vec<Arc<Counters>>,
    /// The addresses that are served: what the plan calls each, and what was bound.
    addresses: Vec<(Socket, SocketAddr)>,
    /// What they have in common.
    options: CrewOptions,
}

impl Crew {
    /// Starts `workers` workers; a group of plain DNS has as many sockets, any other one as many as `encrypted_threads`.
    ///
    /// Errors: no descriptors, no threads.
    pub fn start(groups: Vec<Group>, workers: usize, options: CrewOptions) -> io::Result<Self> {
        let all = workers + encrypted_threads(workers);
        let mut crew = Self {
            workers: Vec::new(),
            encrypted: Vec::new(),
            phase: Arc::default(),
            counters: (0..all).map(|_| Arc::default()).collect(),
            addresses: groups.iter().map(|group| (group.wanted, group.addr)).collect(),
            options,
        };
        let (plain, encrypted): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|group| group.wanted.scheme == Scheme::Dns);
        let wanted: Vec<Socket> = plain.iter().map(|group| group.wanted).collect();
        let mut sockets: Vec<_> = plain.into_iter().map(|group| group.sockets.into_iter()).collect();
        for number in 0..workers {
            let own = sockets.iter_mut().filter_map(Iterator::next).collect();
            let hand = crew.hire(number, &wanted, own, workers)?;
            crew.workers.push(hand);
        }
        crew.open(encrypted)?;
        Ok(crew)
    }

    /// A worker's desk, and the waker of its thread.
    fn desk(&self, number: usize, waker: &Waker) -> PipelineOptions {
        PipelineOptions {
            active: self.options.active.clone(),
            waiting: self.options.waiting,
            seed: fastrand::u64(..),
            clock: self.options.clock.clone(),
            waker: waker.clone(),
            counters: self.counters.get(number).cloned().unwrap_or_default(),
            worker: number,
            secrets: (self.options.secrets)(),
            streams: self.options.streams.clone(),
        }
    }

    /// Starts a worker.
    fn hire(&self, number: usize, wanted: &[Socket], own: Vec<Sockets>, workers: usize) -> io::Result<Hand> {
        let (event, waker) = wake_handle()?;
        let counters = self.counters.get(number).cloned().unwrap_or_default();
        let link = KernelLink::new(event, self.options.clock.clone())?;
        let mut link = link.counted(counters, self.options.pulse.clone());
        for sockets in own {
            link.adopt(sockets)?;
        }
        let orders: Orders<Sockets> = Arc::default();
        let options = WorkerOptions {
            orders: orders.clone(),
            pipeline: self.desk(number, &waker),
            groups: wanted.to_vec(),
            stream: self.options.stream.share(workers),
            phase: self.phase.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || Worker::new(GateLink::new(link), options).run())?;
        Ok(Hand { thread: Some(thread), waker, orders })
    }

    /// Starts a thread for what is encrypted.
    fn hire_encrypted(&self, number: usize, threads: usize) -> io::Result<Hand> {
        let (event, waker) = wake_handle()?;
        let link = KernelLink::new(event, self.options.clock.clone())?;
        let orders: Orders<Sockets> = Arc::default();
        let options = EncryptedOptions {
            orders: orders.clone(),
            pipeline: self.desk(self.workers.len() + number, &waker),
            stream: self.options.stream.share(threads),
            per_client: self.options.stream.per_client,
            threads,
            phase: self.phase.clone(),
        };
        let encrypted = Encrypted::new(link, options)?;
        let thread = std::thread::Builder::new().name(format!("encrypted-{number}")).spawn(move || {
            if let Err(error) = encrypted.run() {
                tracing::error!(%error, "a thread for encrypted transports could not start");
            }
        })?;
        Ok(Hand { thread: Some(thread), waker, orders })
    }

    /// Gives groups of what is encrypted to their threads, which start with the first of them.
    ///
    /// Errors: no descriptors, no threads.
    fn open(&mut self, groups: Vec<Group>) -> io::Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let threads = encrypted_threads(self.workers.len());
        while self.encrypted.len() < threads {
            let hand = self.hire_encrypted(self.encrypted.len(), threads)?;
            self.encrypted.push(hand);
        }
        for group in groups {
            for (hand, sockets) in self.encrypted.iter().zip(group.sockets) {
                hand.tell(Order::Adopt(group.wanted, sockets));
            }
        }
        self.wake();
        Ok(())
    }

    /// All threads.
    fn hands(&self) -> impl Iterator<Item = &Hand> {
        self.workers.iter().chain(&self.encrypted)
    }

    /// Wakes all of them.
    fn wake(&self) {
        self.hands().for_each(|hand| hand.waker.wake_by_ref());
    }

    /// The addresses that are served: what the plan calls each, and what was bound, the port known.
    #[must_use]
    pub fn addresses(&self) -> &[(Socket, SocketAddr)] {
        &self.addresses
    }

    /// The addresses that were bound.
    #[must_use]
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|(_, bound)| *bound).collect()
    }

    /// Gives the workers the sockets of new addresses, and takes those of `gone` from them; the plan in force is the new
    /// one already. Sockets that go are emptied first.
    ///
    /// Errors: no thread for what is encrypted can be had; all else is done.
    pub fn change(&mut self, new: Vec<Group>, gone: &[Socket]) -> io::Result<()> {
        for wanted in gone {
            self.addresses.retain(|(known, _)| known != wanted);
            self.hands().for_each(|hand| hand.tell(Order::Retire(*wanted)));
        }
        let mut encrypted = Vec::new();
        for group in new {
            self.addresses.push((group.wanted, group.addr));
            if group.wanted.scheme != Scheme::Dns {
                encrypted.push(group);
                continue;
            }
            for (hand, sockets) in self.workers.iter().zip(group.sockets) {
                hand.tell(Order::Adopt(group.wanted, sockets));
            }
        }
        let opened = self.open(encrypted);
        self.wake();
        opened
    }

    /// Each worker's counters.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Counts the queries that come from now on as late; they are answered.
    pub fn leave(&self) {
        self.phase.leave();
        self.wake();
    }

    /// Empties the sockets, answers what waits, ends the workers; returns when they have ended.
    pub fn drain(&mut self) {
        self.phase.drain();
        self.wake();
        for hand in self.workers.iter_mut().chain(&mut self.encrypted) {
            if let Some(thread) = hand.thread.take() {
                // A worker that panicked outside of a query has nothing left to drain; its panic was printed.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.drain();
    }
}

/// How many workers this process should have: the CPU quota rounded up, at most the processors it may use, at least one.
///
/// The quota is that of our own cgroup or of one above it, whichever is least; both versions of cgroups are read.
#[must_use]
pub fn worker_count() -> usize {
    let processors =
        rustix::thread::sched_getaffinity(None).map_or(1, |set| usize::try_from(set.count()).unwrap_or(1));
    cgroup::processors().map_or(processors, |quota| quota.min(processors)).max(1)
}
