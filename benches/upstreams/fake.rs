//! Upstreams that misbehave: silent, lossy, slow, or none of it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::{Clock, Tick};

/// How often a fake looks whether it shall end.
const LOOK: Duration = Duration::from_millis(200);

/// The TTL of every answer: nothing expires while it is measured. Unit: seconds.
const TTL: u32 = 3600;

/// How an upstream behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The share of queries that are lost, in hundredths; 100 for a silent one.
    pub(crate) lost: u32,
    /// How long an answer takes.
    pub(crate) delay: Duration,
    /// Names that begin with this letter are never answered; none where it is 0.
    pub(crate) mute: u8,
}

impl Manner {
    /// Takes queries and never says a word.
    pub(crate) const SILENT: Self = Self { lost: 100, delay: Duration::ZERO, mute: 0 };

    /// Loses nothing and answers after so many milliseconds.
    pub(crate) const fn after(millis: u64) -> Self {
        Self { lost: 0, delay: Duration::from_millis(millis), mute: 0 }
    }
}

/// What a fake counted: queries for any name but the root, which only probes ask for.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) queries: AtomicU64,
    /// Those for names that begin with `z`.
    pub(crate) popular: AtomicU64,
}

/// A running upstream; dropping it ends it.
pub(crate) struct Fake {
    /// Where it is asked.
    pub(crate) addr: SocketAddr,
    /// What it counted.
    pub(crate) counts: Arc<Counts>,
    /// Set when it shall end.
    stop: Arc<AtomicBool>,
    /// Its threads.
    threads: Vec<JoinHandle<()>>,
}

/// An answer that waits: when it is due, for whom, and what it says.
type Due = (Tick, SocketAddr, Vec<u8>);

impl Fake {
    /// Starts one on a port of loopback.
    pub(crate) fn start(manner: Manner) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding an upstream")?;
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
        socket.set_read_timeout(Some(LOOK))?;
        let (addr, clock) = (socket.local_addr()?, Clock::system());
        let (counts, stop) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let (later, due) = channel::<Due>();
        let out = socket.try_clone()?;
        let sender_clock = clock.clone();
        let sender = std::thread::spawn(move || send(&out, &due, &sender_clock));
        let (counted, stopped) = (counts.clone(), stop.clone());
        let receiver =
            std::thread::spawn(move || receive(&socket, manner, &counted, &stopped, &later, &clock));
        Ok(Self { addr, counts, stop, threads: vec![receiver, sender] })
    }

    /// Queries for names so far.
    pub(crate) fn queries(&self) -> u64 {
        self.counts.queries.load(Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Takes queries until it is stopped. All answers take as long, so that they leave in the order of their queries.
fn receive(
    socket: &UdpSocket,
    manner: Manner,
    counts: &Counts,
    stop: &AtomicBool,
    later: &Sender<Due>,
    clock: &Clock,
) {
    let mut buffer = [0_u8; 2048];
    let mut rng = fastrand::Rng::with_seed(7);
    while !stop.load(Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        let query = buffer.get(..length).unwrap_or_default();
        let first = query.get(13).copied().filter(|_| query.get(12).is_some_and(|length| *length > 0));
        if let Some(first) = first {
            counts.queries.fetch_add(1, Relaxed);
            counts.popular.fetch_add(u64::from(first.eq_ignore_ascii_case(&b'z')), Relaxed);
        }
        let mute = manner.mute != 0 && first.is_some_and(|first| first.eq_ignore_ascii_case(&manner.mute));
        if mute || rng.u32(..100) < manner.lost {
            continue;
        }
        let Some(answer) = answer(query) else { continue };
        if manner.delay.is_zero() {
            let _ = socket.send_to(&answer, peer);
        } else if later.send((clock.now().plus(manner.delay), peer, answer)).is_err() {
            return;
        }
    }
}

/// Sends answers when they are due, until nobody can add one.
fn send(socket: &UdpSocket, due: &Receiver<Due>, clock: &Clock) {
    while let Ok((at, peer, answer)) = due.recv() {
        std::thread::sleep(at.since(clock.now()));
        let _ = socket.send_to(&answer, peer);
    }
}

/// The answer to a query: one address, or none for other types; an OPT where there was one.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while *query.get(end)? != 0 {
        end += usize::from(*query.get(end)?) + 1;
    }
    let address = query.get(end + 1..end + 3)? == [0, 1];
    let question = query.get(12..end + 5)?;
    let edns = query.get(10..12)? != [0, 0];
    let mut answer = query.get(..2)?.to_vec();
    // QR, RD and RA.
    answer.extend_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(address), 0, 0, 0, u8::from(edns)]);
    answer.extend_from_slice(question);
    if address {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
        answer.extend_from_slice(&TTL.to_be_bytes());
        answer.extend_from_slice(&[0, 4, 192, 0, 2, 1]);
    }
    if edns {
        answer.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    Some(answer)
}
