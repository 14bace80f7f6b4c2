//! A server that we ask: where and how it is reached, how it does, and what was counted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::health::{Durations, Health};

/// How an upstream is talked to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Datagrams, and TCP when a reply was truncated.
    Udp,
    /// TCP (`force_tcp`).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl Protocol {
    /// As metrics name it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tcp-tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }
}

/// What an encrypted upstream is checked against.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct TlsSpec {
    /// The name that its certificate must carry; without one, its address.
    pub server_name: Option<String>,
    /// Our own certificate and key, where it wants to know us.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authorities that are trusted; without a file, those of the machine.
    pub authority: Option<PathBuf>,
}

/// How an upstream that failed is looked after.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HealthCheck {
    /// The first pause between two probes; it grows while they fail.
    pub interval: Duration,
    /// The name that is asked for (type NS), wire form.
    pub domain: Vec<u8>,
    /// Whether probes desire recursion.
    pub recursion: bool,
    /// How many failures in a row put it aside; 0 for never.
    pub max_fails: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), domain: vec![0], recursion: true, max_fails: 2 }
    }
}

/// What makes two mentions of an upstream the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UpstreamSpec {
    /// How it is talked to.
    pub protocol: Protocol,
    /// Where it is.
    pub addr: SocketAddr,
    /// The address of ours to ask from (`source_address`).
    pub source: Option<IpAddr>,
    /// What it is checked against; `None` unless encrypted.
    pub tls: Option<TlsSpec>,
    /// The path of HTTPS, `/dns-query` unless written.
    pub path: String,
    /// Whether HTTPS asks by GET instead of POST (`doh_method`).
    pub get: bool,
    /// How long an idle connection is kept (`expire`).
    pub expire: Duration,
    /// How long a connection is used at all; zero for no bound (`max_age`).
    pub max_age: Duration,
    /// The most idle connections; 0 for no bound (`max_idle_conns`).
    pub max_idle: usize,
    /// How it is looked after.
    pub health: HealthCheck,
}

impl UpstreamSpec {
    /// A plain upstream with everything else as it is unless a Corefile says.
    #[must_use]
    pub fn plain(addr: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            addr,
            source: None,
            tls: None,
            path: String::new(),
            get: false,
            expire: Duration::from_secs(10),
            max_age: Duration::ZERO,
            max_idle: 0,
            health: HealthCheck::default(),
        }
    }
}

/// What was counted about an upstream, by all workers.
#[derive(Default, Debug)]
pub struct UpstreamCounts {
    /// Queries sent, probes not counted.
    pub queries: AtomicU64,
    /// Attempts that nobody answered in time.
    pub timeouts: AtomicU64,
    /// Attempts that the network refused.
    pub errors: AtomicU64,
    /// Messages that were no answer to what was asked, or could not be read.
    pub mismatches: AtomicU64,
    /// Replies that came when nobody waited any more.
    pub late: AtomicU64,
    /// Queries sent although an earlier one was still awaited within its time.
    pub hedged: AtomicU64,
    /// Probes that failed.
    pub probe_failures: AtomicU64,
    /// Connections of streams that were there already.
    pub reused: AtomicU64,
    /// Connections of streams that were opened.
    pub opened: AtomicU64,
    /// Datagrams sent from a port that was there already.
    pub ports_reused: AtomicU64,
    /// Ports opened for a datagram.
    pub ports_opened: AtomicU64,
}

/// Adds one to a shared counter.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The number of the next upstream.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// An upstream, shared by all groups and workers that ask it; outlives reloads.
pub struct Upstream {
    /// Its number, never used again in this process.
    id: u32,
    /// What it is.
    spec: UpstreamSpec,
    /// How it does.
    pub health: Health,
    /// What was counted; shared with whoever has the same name in metrics.
    pub counts: Arc<UpstreamCounts>,
    /// Times of its replies by code, for `coredns_proxy_request_duration_seconds`; shared likewise.
    pub durations: Arc<Durations>,
}

impl Upstream {
    /// An upstream of which nothing is known yet, with counts of its own.
    #[must_use]
    pub fn new(spec: UpstreamSpec) -> Self {
        Self::counted(spec, Arc::default(), Arc::default())
    }

    /// An upstream of which nothing is known yet, and which counts there.
    #[must_use]
    pub fn counted(spec: UpstreamSpec, counts: Arc<UpstreamCounts>, durations: Arc<Durations>) -> Self {
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), spec, health: Health::default(), counts, durations }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({} {})", self.spec.protocol.text(), self.spec.addr)
    }
}

/// As logs, labels and extended errors name it: `10.0.0.10:53`, `tls://1.1.1.1:853`.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spec.protocol {
            Protocol::Udp | Protocol::Tcp => write!(f, "{}", self.spec.addr),
            Protocol::Tls => write!(f, "tls://{}", self.spec.addr),
            Protocol::Https => write!(f, "https://{}{}", self.spec.addr, self.spec.path),
            Protocol::Quic => write!(f, "quic://{}", self.spec.addr),
        }
    }
}
