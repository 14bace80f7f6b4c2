//! What stands between queries and a collector: a bounded queue.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Messages in a queue of size 1. Source: coredns `plugin/dnstap/io.go`.
const MESSAGES: usize = 10_000;

/// Bytes in a queue of size 1.
const BYTES: usize = 16 << 20;

/// Where a collector is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// A socket of the file system.
    Unix(PathBuf),
    /// `HOST:PORT`.
    Tcp(String),
    /// The same, encrypted.
    Tls(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls(host) => write!(f, "tls://{host}"),
        }
    }
}

/// Who opens the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Side {
    /// We do; `verify` says whether the collector's certificate is checked.
    Connect {
        /// Whether it is.
        verify: bool,
    },
    /// Collectors do.
    Listen {
        /// Our certificate and its key, where the endpoint is encrypted.
        identity: Option<(PathBuf, PathBuf)>,
        /// Who signs the collectors' certificates; without one these are not asked for.
        authority: Option<PathBuf>,
        /// Whether a collector must have one.
        verify: bool,
    },
}

/// What a `dnstap` line says about its collector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TapSpec {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Who opens the connection.
    pub side: Side,
    /// The kernel's buffer of a connection. Unit: MiB.
    pub buffer: usize,
    /// How long the queue is. Unit: 10,000 messages, and 16 MiB.
    pub queue: usize,
}

/// Messages that wait.
#[derive(Default)]
struct Queue {
    /// The messages.
    messages: VecDeque<Vec<u8>>,
    /// Bytes of them.
    bytes: usize,
    /// Whether the thread is to end.
    ended: bool,
}

/// The queue of a collector.
pub struct Outlet {
    /// What the Corefile says.
    spec: TapSpec,
    /// The name of this machine.
    host: String,
    /// What waits.
    queue: Mutex<Queue>,
    /// Signalled when something is to be done.
    wake: Condvar,
    /// Whether anybody takes messages: without, none are kept. Who listens has nobody at first.
    open: AtomicBool,
    /// Messages that were dropped.
    dropped: AtomicU64,
    /// Messages that were sent.
    sent: AtomicU64,
}

impl Outlet {
    /// An empty queue.
    #[must_use]
    pub fn new(spec: TapSpec, host: String) -> Self {
        let open = AtomicBool::new(matches!(spec.side, Side::Connect { .. }));
        let (queue, wake) = (Mutex::default(), Condvar::new());
        Self { spec, host, queue, wake, open, dropped: AtomicU64::new(0), sent: AtomicU64::new(0) }
    }

    /// What the Corefile says.
    #[must_use]
    pub fn spec(&self) -> &TapSpec {
        &self.spec
    }

    /// The name of this machine.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether a message would be taken.
    #[must_use]
    pub fn open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Says whether anybody takes messages.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// Puts a message into the queue; where it is full, drops and counts it. Cost: a lock that is held for one insertion.
    pub fn push(&self, message: Vec<u8>) {
        let mut queue = self.queue.lock();
        let full = queue.messages.len() >= MESSAGES * self.spec.queue
            || queue.bytes + message.len() > BYTES.saturating_mul(self.spec.queue);
        if full || queue.ended {
            drop(queue);
            self.drop_some(1);
            return;
        }
        queue.bytes += message.len();
        queue.messages.push_back(message);
        let first = queue.messages.len() == 1;
        drop(queue);
        if first {
            self.wake.notify_one();
        }
    }

    /// Counts messages that are not sent.
    pub(super) fn drop_some(&self, count: usize) {
        self.dropped.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts messages that were sent.
    pub(super) fn sent_some(&self, count: usize) {
        self.sent.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }

    /// Messages that were sent, and that were dropped.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Takes all that waits, once something does, after `longest` at the latest; `None` at the end, when nothing waits.
    pub(super) fn take(&self, longest: Duration) -> Option<VecDeque<Vec<u8>>> {
        let mut queue = self.queue.lock();
        if queue.messages.is_empty() && !queue.ended {
            self.wake.wait_for(&mut queue, longest);
        }
        if queue.ended && queue.messages.is_empty() {
            return None;
        }
        queue.bytes = 0;
        Some(std::mem::take(&mut queue.messages))
    }

    /// Waits so long, or until the end; says whether it is the end.
    pub(super) fn rest(&self, longest: Duration) -> bool {
        let mut queue = self.queue.lock();
        if !queue.ended {
            self.wake.wait_while_for(&mut queue, |queue| !queue.ended, longest);
        }
        queue.ended
    }

    /// Puts back what could not be sent, before what came since; what has no room is dropped, the oldest first.
    pub(super) fn put_back(&self, mut messages: VecDeque<Vec<u8>>) {
        let mut queue = self.queue.lock();
        while let Some(message) = messages.pop_back() {
            let full = queue.messages.len() >= MESSAGES * self.spec.queue
                || queue.bytes + message.len() > BYTES.saturating_mul(self.spec.queue);
            if full || queue.ended {
                self.drop_some(messages.len() + 1);
                return;
            }
            queue.bytes += message.len();
            queue.messages.push_front(message);
        }
    }

    /// Ends the thread once it sent what waits.
    pub(super) fn end(&self) {
        self.queue.lock().ended = true;
        self.wake.notify_all();
    }
}
