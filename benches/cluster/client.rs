//! Who asks for Services: one at a time, all at once, or steadily.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signpost::time::{Clock, Tick};

use super::objects::{Scale, cluster_ip, endpoint_ip, is_headless, name_of, namespace_of};

/// Questions under way at once.
const WINDOW: usize = 50;

/// How long a lone answer may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the answers of a batch may take.
const BATCH_PATIENCE: Duration = Duration::from_secs(2);

/// A client of one server.
pub(crate) struct Client {
    /// The socket.
    socket: UdpSocket,
    /// The next message's number.
    id: u16,
    /// What is asked about.
    scale: Scale,
}

impl Client {
    /// A client with a socket of its own.
    pub(crate) fn new(addr: SocketAddr, scale: Scale) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(addr)?;
        Ok(Self { socket, id: 0, scale })
    }

    /// Whether a Service is answered rightly now.
    pub(crate) fn is_right(&mut self, number: usize) -> bool {
        let scale = self.scale;
        self.ask(&service_labels(number), |reply| right(reply, scale, number))
    }

    /// Whether an endpoint of a Service is known by its address now, if `there`; else whether it is not.
    pub(crate) fn has_endpoint(&mut self, number: usize, address: [u8; 4], there: bool) -> bool {
        let [a, b, c, d] = address;
        let labels = [vec![format!("{a}-{b}-{c}-{d}")], service_labels(number)].concat();
        self.ask(&labels, |reply| (reply.windows(4).any(|four| four == address) && code(reply) == 0) == there)
    }

    /// Asks for the A records of a name; what `judge` says of the reply, false for none.
    fn ask(&mut self, labels: &[String], judge: impl Fn(&[u8]) -> bool) -> bool {
        self.id = self.id.wrapping_add(1);
        let query = encode(self.id, labels);
        // Where nobody listens yet, sending or receiving says so at once.
        if self.socket.send(&query).is_err() || self.socket.set_read_timeout(Some(PATIENCE)).is_err() {
            return false;
        }
        let mut buffer = [0_u8; 1500];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            if buffer.first_chunk() == Some(&self.id.to_be_bytes()) {
                return judge(&buffer[..length]);
            }
        }
        false
    }

    /// Those of some Services that are not answered rightly, and how many were not answered at all.
    pub(crate) fn not_right(&mut self, numbers: &[usize]) -> (Vec<usize>, usize) {
        let clock = Clock::system();
        let (mut wrong, mut lost) = (Vec::new(), 0);
        for part in numbers.chunks(WINDOW) {
            let first = self.id.wrapping_add(1);
            let mut waiting: Vec<Option<usize>> = part.iter().copied().map(Some).collect();
            for &number in part {
                self.id = self.id.wrapping_add(1);
                let _ = self.socket.send(&encode(self.id, &service_labels(number)));
            }
            let start = clock.now();
            let mut left = part.len();
            let mut buffer = [0_u8; 1500];
            while left > 0 && clock.now().since(start) < BATCH_PATIENCE {
                let _ = self.socket.set_read_timeout(Some(PATIENCE));
                let Ok(length) = self.socket.recv(&mut buffer) else { continue };
                let id = buffer.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
                let Some(slot) = waiting.get_mut(usize::from(id.wrapping_sub(first))) else { continue };
                let Some(number) = slot.take() else { continue };
                left -= 1;
                if !right(&buffer[..length], self.scale, number) {
                    wrong.push(number);
                }
            }
            lost += left;
            wrong.extend(waiting.into_iter().flatten());
        }
        (wrong, lost)
    }
}

/// What a steady load gave.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Load {
    /// Questions asked.
    pub(crate) asked: usize,
    /// Wrong answers.
    pub(crate) wrong: usize,
    /// Questions without an answer.
    pub(crate) lost: usize,
    /// The longest round of a batch.
    pub(crate) slowest: Duration,
}

/// Asks for random Services, so many a second, until it is stopped.
pub(crate) fn load(
    addr: SocketAddr,
    scale: Scale,
    rate: usize,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Load> {
    let clock = Clock::system();
    let mut client = Client::new(addr, scale)?;
    let mut load = Load::default();
    let pause = Duration::from_secs_f64(f64::from(u32::try_from(WINDOW)?) / f64::from(u32::try_from(rate)?));
    let mut due = clock.now();
    let mut rng = fastrand::Rng::with_seed(7);
    while !stop.load(Ordering::Relaxed) {
        due = due.plus(pause);
        std::thread::sleep(due.since(clock.now()));
        let numbers: Vec<usize> = (0..WINDOW).map(|_| rng.usize(..scale.services)).collect();
        let start: Tick = clock.now();
        let (wrong, lost) = client.not_right(&numbers);
        load.slowest = load.slowest.max(clock.now().since(start));
        load.asked += numbers.len();
        load.lost += lost;
        load.wrong += wrong.len() - lost;
    }
    Ok(load)
}

/// The labels of a Service's name.
pub(crate) fn service_labels(number: usize) -> Vec<String> {
    [&name_of(number), &namespace_of(number), "svc", "cluster", "local"].map(str::to_owned).to_vec()
}

/// The code of a reply.
fn code(reply: &[u8]) -> u8 {
    reply.get(3).copied().unwrap_or(0) & 15
}

/// A of a name.
pub(crate) fn encode(id: u16, labels: &[String]) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in labels {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

/// Whether a reply has the Service's records.
pub(crate) fn right(reply: &[u8], scale: Scale, number: usize) -> bool {
    let byte = |at: usize| reply.get(at).copied().unwrap_or(0);
    let (count, address) = if is_headless(number) {
        (scale.endpoints, endpoint_ip(scale, number, 0))
    } else {
        (1, cluster_ip(number))
    };
    code(reply) == 0
        && usize::from(u16::from_be_bytes([byte(6), byte(7)])) == count
        && reply.windows(4).any(|four| four == address)
}
