//! More questions than a server can answer, from several addresses, and what came back of them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::client::{encode, right, service_labels};
use super::objects::Scale;

/// Questions that are ready before it begins.
const READY: usize = 500;

/// How long replies are awaited behind the last question.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long nothing may come before all is over.
const QUIET: Duration = Duration::from_secs(2);

/// Room for replies that nobody has read yet. Unit: bytes.
const ROOM: usize = 8 << 20;

/// The shortest sleep: questions that fall due within it leave together.
const STEP: Duration = Duration::from_millis(1);

/// A flood.
pub(crate) struct Blast {
    /// Whom.
    pub(crate) addr: SocketAddr,
    /// What its cluster holds.
    pub(crate) scale: Scale,
    /// Questions a second, from all addresses together.
    pub(crate) rate: f64,
    /// For how long.
    pub(crate) lasts: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Done {
    /// Questions that left.
    pub(crate) sent: usize,
    /// Replies.
    pub(crate) replies: usize,
    /// Right answers among them that came before the last question had left.
    pub(crate) right: usize,
    /// Replies that the kernel dropped because we did not read them in time.
    pub(crate) client_drops: usize,
}

impl Blast {
    /// Sends all of it, a thread for each address.
    pub(crate) fn run(&self, from: &[IpAddr]) -> anyhow::Result<Done> {
        let share = self.rate / f64::from(u32::try_from(from.len())?);
        std::thread::scope(|scope| {
            let threads: Vec<_> = from.iter().map(|own| scope.spawn(move || self.one(*own, share))).collect();
            let mut sum = Done::default();
            for thread in threads {
                let done = thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
                sum.sent += done.sent;
                sum.replies += done.replies;
                sum.right += done.right;
                sum.client_drops += done.client_drops;
            }
            Ok(sum)
        })
    }

    /// One client.
    fn one(&self, own: IpAddr, rate: f64) -> anyhow::Result<Done> {
        let socket = UdpSocket::bind((own, 0)).context("binding a client")?;
        socket.connect(self.addr)?;
        socket.set_nonblocking(true)?;
        // Beyond the system's bound for those who may; within it for others.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM));
        let port = socket.local_addr()?.port();
        let count = READY.min(self.scale.services);
        let queries: Vec<Vec<u8>> = (0..count)
            .map(|number| encode(u16::try_from(number).unwrap_or(0), &service_labels(number)))
            .collect();
        let clock = Clock::system();
        let begin = clock.now();
        let pause = Duration::from_secs_f64(1.0 / rate);
        let mut done = Done::default();
        let mut buffer = [0_u8; 2048];
        let mut next = queries.iter().cycle();
        let mut due = Duration::ZERO;
        loop {
            let now = clock.now().since(begin);
            if now >= self.lasts {
                break;
            }
            if due > now {
                self.read(&socket, &mut buffer, &mut done);
                std::thread::sleep((due - now).max(STEP).min(self.lasts - now));
                continue;
            }
            // What falls behind by more than a moment is not made up for: the rate is the most, not the sum.
            due = due.max(now.saturating_sub(STEP * 20)) + pause;
            if let Some(query) = next.next() {
                done.sent += usize::from(socket.send(query).is_ok());
            }
            if done.sent.is_multiple_of(16) {
                self.read(&socket, &mut buffer, &mut done);
            }
        }
        let right = done.right;
        let (end, mut last) = (clock.now(), clock.now());
        while clock.now().since(end) < PATIENCE && clock.now().since(last) < QUIET {
            let before = done.replies;
            self.read(&socket, &mut buffer, &mut done);
            if done.replies > before {
                last = clock.now();
            }
            std::thread::sleep(STEP);
        }
        done.right = right;
        done.client_drops = dropped(port)?;
        Ok(done)
    }

    /// Takes the replies that are there.
    fn read(&self, socket: &UdpSocket, buffer: &mut [u8], done: &mut Done) {
        while let Ok(length) = socket.recv(buffer) {
            let reply = buffer.get(..length).unwrap_or_default();
            let number = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
            done.replies += 1;
            done.right += usize::from(right(reply, self.scale, usize::from(number)));
        }
    }
}

/// How many datagrams the kernel has dropped at the sockets of a local port: the last column of `/proc/net/udp`.
pub(crate) fn dropped(port: u16) -> anyhow::Result<usize> {
    let text = std::fs::read_to_string("/proc/net/udp").context("reading /proc/net/udp")?;
    let ending = format!(":{port:04X}");
    let of_port = text
        .lines()
        .skip(1)
        .filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&ending)));
    Ok(of_port.filter_map(|line| line.split_whitespace().last()?.parse::<usize>().ok()).sum())
}
