//! The crew: as many workers as the machine gives us processors, each on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

use super::bind::Group;
use super::kernel_link::{KernelLink, wake_handle};
use super::stream::StreamLimits;
use super::worker::{Order, Orders, Phase, Worker, WorkerOptions};
use crate::chain::{Active, PipelineOptions};
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
///
/// The quota is that of our own cgroup or of one above it, whichever is least; both versions of cgroups are read.
#[must_use]
pub fn worker_count() -> usize {
    let processors =
        rustix::thread::sched_getaffinity(None).map_or(1, |set| usize::try_from(set.count()).unwrap_or(1));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    quota(&groups, Path::new("/sys/fs/cgroup")).map_or(processors, |quota| quota.min(processors)).max(1)
}

/// The least quota of the cgroups in a `/proc/self/cgroup`, mounted at `root`; `None` for no limit.
fn quota(groups: &str, root: &Path) -> Option<usize> {
    let mut least: Option<usize> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mounted = match controllers {
            "" => root.to_owned(),
            other if other.split(',').any(|one| one == "cpu") => root.join("cpu"),
            _ => continue,
        };
        // Inside a container our own group is often mounted as the root, whatever its path says outside.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let found = group_quota(&mounted.join(group));
            least = [least, found].into_iter().flatten().min();
        }
    }
    least
}

/// The quota of one cgroup, `cpu.max` of version 2 or the two files of version 1.
fn group_quota(group: &Path) -> Option<usize> {
    let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
    let text = read("cpu.max")
        .or_else(|| Some(format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?)))?;
    processors(&text)
}

/// The processors that a limit and a period grant, rounded up; `None` for no limit (`max`, `-1`).
fn processors(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace();
    let limit: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok().filter(|period| *period > 0)?;
    Some(limit.div_ceil(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        dir
    }

    #[test]
    fn workers_follow_the_least_quota_above_them() {
        let one = |files: &[(&str, &str)], groups: &str| quota(groups, tree(files).path());
        // In a container: the own group is the root.
        assert_eq!(one(&[("cpu.max", "10000 100000\n")], "0::/\n"), Some(1));
        assert_eq!(one(&[("cpu.max", "250000 100000\n")], "0::/\n"), Some(3));
        assert_eq!(one(&[("cpu.max", "max 100000\n")], "0::/\n"), None);
        assert_eq!(one(&[("cpu.max", "150000 100000\n")], "0::/kubepods/pod1/c\n"), Some(2));
        // Outside of one, as a unit of systemd: its own group and the slice above it.
        let unit: &[(&str, &str)] =
            &[("a.slice/cpu.max", "400000 100000"), ("a.slice/b/cpu.max", "150000 100000")];
        assert_eq!(one(unit, "0::/a.slice/b\n"), Some(2));
        assert_eq!(
            one(&[("a.slice/cpu.max", "100000 100000"), ("a.slice/b/cpu.max", "max 1")], "0::/a.slice/b"),
            Some(1)
        );
        // Version 1.
        let old: &[(&str, &str)] =
            &[("cpu/pod/cpu.cfs_quota_us", "50000\n"), ("cpu/pod/cpu.cfs_period_us", "100000\n")];
        assert_eq!(one(old, "5:memory:/pod\n4:cpu,cpuacct:/pod\n"), Some(1));
        let free: &[(&str, &str)] =
            &[("cpu/cpu.cfs_quota_us", "-1\n"), ("cpu/cpu.cfs_period_us", "100000\n")];
        assert_eq!(one(free, "4:cpu,cpuacct:/\n"), None);
        assert_eq!(one(&[], "nonsense\n\n::\n"), None);
        assert_eq!(one(&[("cpu.max", "100 0")], "0::/"), None);
    }
}
