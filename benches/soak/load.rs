//! What the server is busy with while its answers are judged: half as many questions as it can answer with its share of a processor.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use signpost::time::{Clock, Tick};

use super::asker::encode;
use super::universe::Question;

/// Clients, one after the other on one thread.
const CLIENTS: u8 = 8;

/// Questions that are ready before it begins.
const READY: usize = 2000;

/// Room for replies that nobody has read yet. Unit: bytes.
const ROOM: usize = 4 << 20;

/// The shortest sleep: questions that fall due within it leave together.
const STEP: Duration = Duration::from_millis(1);

/// How far behind it may fall before what was missed is not made up for.
const BEHIND: Duration = Duration::from_millis(20);

/// How long replies are awaited behind the last question.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the most that can be answered is looked for.
const LOOK: Duration = Duration::from_secs(8);

/// Questions a second of that look: more than any server answers on one core.
const FLOOD: f64 = 400_000.0;

/// What came of it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Done {
    /// Questions that left.
    pub(crate) sent: u64,
    /// Replies.
    pub(crate) replies: u64,
}

/// Those who ask.
pub(crate) struct Load {
    /// A socket each.
    sockets: Vec<UdpSocket>,
    /// What they ask, over and over.
    queries: Vec<Vec<u8>>,
    /// The time.
    clock: Clock,
    /// What came of it.
    done: Done,
}

impl Load {
    /// Clients of a server.
    pub(crate) fn new(addr: SocketAddr, clock: Clock, rng: &mut Rng) -> anyhow::Result<Self> {
        let mut sockets = Vec::new();
        for client in 0..CLIENTS {
            let socket =
                UdpSocket::bind((Ipv4Addr::new(127, 0, 1, client + 1), 0)).context("binding a client")?;
            socket.connect(addr)?;
            socket.set_nonblocking(true)?;
            // Beyond the system's bound for those who may; within it for others.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
                .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM));
            sockets.push(socket);
        }
        let queries = (0..READY).map(|_| encode(rng.u16(..), Question::random(rng))).collect();
        Ok(Self { sockets, queries, clock, done: Done::default() })
    }

    /// The most questions a second that are answered.
    pub(crate) fn most(&mut self) -> f64 {
        let begin = self.clock.now();
        self.ask(FLOOD, |now| now.since(begin) >= LOOK);
        let most = f64::from(u32::try_from(self.done.replies).unwrap_or(u32::MAX)) / LOOK.as_secs_f64();
        self.rest();
        self.done = Done::default();
        most
    }

    /// Asks so much until it is stopped; what came of it.
    pub(crate) fn run(mut self, rate: f64, stop: &AtomicBool) -> Done {
        self.ask(rate, |_| stop.load(Ordering::Relaxed));
        self.rest();
        self.done
    }

    /// Asks at a rate until it is over.
    fn ask(&mut self, rate: f64, over: impl Fn(Tick) -> bool) {
        let pause = Duration::from_secs_f64(1.0 / rate);
        let mut due = self.clock.now();
        for turn in 0_usize.. {
            let mut now = self.clock.now();
            while due > now {
                self.read();
                if over(now) {
                    return;
                }
                std::thread::sleep(due.since(now).max(STEP));
                now = self.clock.now();
            }
            if now.since(due) > BEHIND {
                due = now;
            }
            due = due.plus(pause);
            let socket = &self.sockets[turn % self.sockets.len()];
            self.done.sent += u64::from(socket.send(&self.queries[turn % self.queries.len()]).is_ok());
            if turn.is_multiple_of(64) {
                self.read();
                if over(now) {
                    return;
                }
            }
        }
    }

    /// Takes the replies that are there.
    fn read(&mut self) {
        let mut buffer = [0_u8; 2048];
        for socket in &self.sockets {
            while socket.recv(&mut buffer).is_ok() {
                self.done.replies += 1;
            }
        }
    }

    /// Takes the replies that are still to come.
    fn rest(&mut self) {
        let end = self.clock.now();
        while self.done.replies < self.done.sent && self.clock.now().since(end) < PATIENCE {
            self.read();
            std::thread::sleep(STEP);
        }
    }
}
