//! Tests over real sockets: servers of this process that do what a test says, and a desk that asks them.
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

mod encrypted;
mod https;
mod measure;
mod plain;
#[cfg(feature = "quic")]
mod quic;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::super::network::{Inlet, Job, Streams as _, Ticket};
use super::super::upstream::{Protocol, Upstream, UpstreamSpec};
use super::{Desk, DeskOptions};
use crate::time::Clock;

/// How long something may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of the jobs, by number.
type Outcomes = HashMap<usize, Result<Vec<u8>, String>>;

/// Wakes the test.
struct Bell(Thread);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A desk, and an upstream to ask.
struct Rig {
    desk: Desk,
    clock: Clock,
    upstream: Arc<Upstream>,
    inlet: Arc<Inlet>,
    /// Jobs so far.
    jobs: usize,
}

impl Rig {
    /// A desk with these bounds.
    fn new(spec: UpstreamSpec, options: DeskOptions) -> Self {
        let clock = Clock::system();
        let inlet = Arc::new(Inlet::new(Waker::from(Arc::new(Bell(std::thread::current())))));
        let desk = Desk::new(options, clock.clone());
        Self { desk, clock, upstream: Arc::new(Upstream::new(spec)), inlet, jobs: 0 }
    }

    /// A desk with the usual bounds.
    fn usual(spec: UpstreamSpec) -> Self {
        Self::new(spec, DeskOptions::default())
    }

    /// Hands a job over that is waited for so long; returns its number.
    fn ask_for(&mut self, query: Vec<u8>, time: Duration) -> usize {
        let number = self.jobs;
        self.jobs += 1;
        self.desk.ask(Job {
            upstream: self.upstream.clone(),
            protocol: self.upstream.spec().protocol,
            query,
            until: self.clock.now().plus(time),
            ticket: Ticket { flight: number, generation: 0, attempt: 0 },
            inlet: self.inlet.clone(),
        });
        number
    }

    /// Hands a job over.
    fn ask(&mut self, query: Vec<u8>) -> usize {
        self.ask_for(query, PATIENCE)
    }

    /// Waits for so many arrivals.
    fn wait(&self, count: usize) -> Outcomes {
        let start = Instant::now();
        let mut outcomes = Outcomes::new();
        while outcomes.len() < count {
            for arrival in self.inlet.take() {
                let before =
                    outcomes.insert(arrival.ticket.flight, arrival.result.map_err(|fault| fault.text));
                assert!(before.is_none(), "a job has one arrival");
            }
            assert!(start.elapsed() < PATIENCE, "{count} arrivals are awaited, and there are {outcomes:?}");
            if outcomes.len() < count {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
        outcomes
    }

    /// Asks and waits for what comes of it.
    fn exchange(&mut self, query: Vec<u8>) -> Result<Vec<u8>, String> {
        let number = self.ask(query);
        self.wait(1).remove(&number).expect("it is this job's")
    }

    /// Connections opened, and queries given to those that were there.
    fn counts(&self) -> (u64, u64) {
        let counts = &self.upstream.counts;
        (counts.opened.load(Ordering::Relaxed), counts.reused.load(Ordering::Relaxed))
    }

    /// Messages that answered nothing.
    fn mismatches(&self) -> u64 {
        self.upstream.counts.mismatches.load(Ordering::Relaxed)
    }
}

/// A query with this id, told apart by its text.
fn query(id: u16, text: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(text.bytes());
    query
}

/// What a server says to a query: the same, as a reply.
fn reply(query: &[u8]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply
}

/// An upstream by this protocol.
fn spec(protocol: Protocol, addr: SocketAddr) -> UpstreamSpec {
    UpstreamSpec { protocol, ..UpstreamSpec::plain(addr) }
}

/// A server on a thread of its own, which ends with it.
struct Server {
    addr: SocketAddr,
    /// Connections so far.
    connections: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Does the same with every connection; `act` is told which one it is, from 1.
    fn start<F, Fut>(act: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let stop = on_thread(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::spawn_local(act(stream, number));
            }
        });
        Self { addr, connections, _stop: stop }
    }

    /// Connections so far.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Runs a server's loop on a thread until what is returned is dropped.
fn on_thread<Fut>(work: Fut) -> oneshot::Sender<()>
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async move {
            tokio::select! {
                () = work => {}
                _ = stopped => {}
            }
        });
    });
    stop
}

/// Reads a message; `None` at the end of the stream.
async fn take<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Writes a message.
async fn put<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    // The other side may have gone.
    let _ = stream.write_all(&framed).await;
    let _ = stream.flush().await;
}

/// Answers everything until the stream ends.
async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    while let Some(query) = take(&mut stream).await {
        put(&mut stream, &reply(&query)).await;
    }
}
