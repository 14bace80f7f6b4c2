//! The crew: as many workers as the machine gives us processors, each on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

use super::bind::Group;
use super::kernel_link::{KernelLink, wake_handle};
use super::stream::StreamLimits;
use super::worker::{Order, Orders, Phase, Worker, WorkerOptions};
use crate::chain::{Active, PipelineOptions};
use crate::forward::Streams;
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
    pub secrets: fn() -> Box<dyn FnMut(&mut [u8]) + Send>,
    /// Who talks to upstreams over streams.
    pub streams: Option<Arc<dyn Streams>>,
}

/// The running workers.
pub struct Crew {
    /// Their threads.
    threads: Vec<JoinHandle<()>>,
    /// Wake each of them.
    wakers: Vec<Waker>,
    /// Where the server is in its life.
    phase: Arc<Phase>,
    /// Their counters.
    counters: Vec<Arc<Counters>>,
    /// The addresses that are served: what the plan calls each, and what was bound.
    addresses: Vec<(SocketAddr, SocketAddr)>,
    /// Where each worker takes orders.
    orders: Vec<Orders<(UdpSocket, TcpListener)>>,
}

impl Crew {
    /// Starts a worker for each socket of the groups; all groups have as many sockets as there are workers.
    ///
    /// Errors: no descriptors, no threads.
    pub fn start(groups: Vec<Group>, workers: usize, options: &CrewOptions) -> io::Result<Self> {
        let phase = Arc::new(Phase::default());
        let wanted: Vec<SocketAddr> = groups.iter().map(|group| group.wanted).collect();
        let mut crew = Self {
            threads: Vec::new(),
            wakers: Vec::new(),
            phase: phase.clone(),
            counters: Vec::new(),
            addresses: groups.iter().map(|group| (group.wanted, group.addr)).collect(),
            orders: Vec::new(),
        };
        let mut sockets: Vec<_> = groups
            .into_iter()
            .map(|group| (group.datagrams.into_iter(), group.listeners.into_iter()))
            .collect();
        for number in 0..workers {
            let (event, waker) = wake_handle()?;
            let mut datagrams = Vec::new();
            let mut listeners = Vec::new();
            for (udp, tcp) in &mut sockets {
                datagrams.extend(udp.next());
                listeners.extend(tcp.next());
            }
            let link = KernelLink::new(datagrams, listeners, event, options.clock.clone())?;
            let counters = Arc::new(Counters::default());
            let orders: Orders<(UdpSocket, TcpListener)> = Arc::default();
            let worker_options = WorkerOptions {
                orders: orders.clone(),
                pipeline: PipelineOptions {
                    active: options.active.clone(),
                    waiting: options.waiting,
                    seed: fastrand::u64(..),
                    clock: options.clock.clone(),
                    waker: waker.clone(),
                    counters: counters.clone(),
                    worker: number,
                    secrets: (options.secrets)(),
                    streams: options.streams.clone(),
                },
                groups: wanted.clone(),
                stream: options.stream.share(workers),
                phase: phase.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || Worker::new(link, worker_options).run())?;
            crew.threads.push(thread);
            crew.wakers.push(waker);
            crew.counters.push(counters);
            crew.orders.push(orders);
        }
        Ok(crew)
    }

    /// The addresses that are served: what the plan calls each, and what was bound, the port known.
    #[must_use]
    pub fn addresses(&self) -> &[(SocketAddr, SocketAddr)] {
        &self.addresses
    }

    /// Gives the workers the sockets of new addresses, and takes those of `gone` from them; the plan in force is the new
    /// one already. Sockets that go are emptied first.
    pub fn change(&mut self, new: Vec<Group>, gone: &[SocketAddr]) {
        for wanted in gone {
            self.addresses.retain(|(known, _)| known != wanted);
            for orders in &self.orders {
                orders.lock().push(Order::Retire(*wanted));
            }
        }
        for group in new {
            self.addresses.push((group.wanted, group.addr));
            let sockets = group.datagrams.into_iter().zip(group.listeners);
            for (orders, sockets) in self.orders.iter().zip(sockets) {
                orders.lock().push(Order::Adopt(group.wanted, sockets));
            }
        }
        for waker in &self.wakers {
            waker.wake_by_ref();
        }
    }

    /// Each worker's counters.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Counts the queries that come from now on as late; they are answered.
    pub fn leave(&self) {
        self.phase.leave();
        for waker in &self.wakers {
            waker.wake_by_ref();
        }
    }

    /// Empties the sockets, answers what waits, ends the workers; returns when they have ended.
    pub fn drain(&mut self) {
        self.phase.drain();
        for waker in &self.wakers {
            waker.wake_by_ref();
        }
        for thread in self.threads.drain(..) {
            // A worker that panicked outside of a query has nothing left to drain; its panic was printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.drain();
    }
}

/// How many workers this process should have: the CPU quota rounded up, at most the processors it may use, at least one.
#[must_use]
pub fn worker_count() -> usize {
    let processors =
        rustix::thread::sched_getaffinity(None).map_or(1, |set| usize::try_from(set.count()).unwrap_or(1));
    let quota = std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok().and_then(|text| quota(&text));
    quota.map_or(processors, |quota| quota.min(processors)).max(1)
}

/// The processors that a `cpu.max` file grants, rounded up; `None` for no limit.
fn quota(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace();
    let limit: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok().filter(|period| *period > 0)?;
    Some(limit.div_ceil(period))
}
