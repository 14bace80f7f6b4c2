//! How long answers take at a steady rate that no server here is at the end of.

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use signpost::time::{Clock, Tick};

/// Queries a second.
const RATE: u32 = 20_000;

/// How long it is asked. Unit: seconds.
const SECONDS: u32 = 3;

/// Sockets that are asked from.
const SOCKETS: usize = 32;

/// Ids of a socket: a reply older than as many queries is taken for lost.
const IDS: usize = 65_536;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    /// Half of all answers took no longer.
    p50: Duration,
    /// 99 of 100 took no longer.
    p99: Duration,
    /// Queries without an answer.
    lost: usize,
}

impl Latency {
    /// As the table shows it.
    pub(crate) fn figures(self) -> String {
        let lost = if self.lost > 0 { format!(", {} lost", self.lost) } else { String::new() };
        format!("{}, {}{lost}", self.p50.as_micros(), self.p99.as_micros())
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {RATE} q/s: p50, p99 {} us", self.figures())
    }
}

/// A query in wire form, with room for the id.
fn query(line: &str, edns: bool) -> Option<Vec<u8>> {
    let (name, kind) = line.split_once(' ')?;
    let qtype: u16 = match kind {
        "A" => 1,
        "AAAA" => 28,
        "SRV" => 33,
        _ => return None,
    };
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).ok()?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    if edns {
        bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    Some(bytes)
}

/// Asks `addr` the questions of a file at `RATE`, from the client's core unless that is the server's too, and says how long answers took.
pub(crate) fn steady(
    addr: SocketAddr,
    queries: &Path,
    edns: bool,
    (server_core, client_core): (usize, usize),
) -> anyhow::Result<Latency> {
    let text = std::fs::read_to_string(queries).context("reading the questions")?;
    let questions: Vec<Vec<u8>> = text.lines().take(50_000).filter_map(|line| query(line, edns)).collect();
    let before = sched_getaffinity(None)?;
    if server_core != client_core {
        let mut mask = CpuSet::new();
        mask.set(client_core);
        sched_setaffinity(None, &mask)?;
    }
    let latency = ask(addr, &questions);
    sched_setaffinity(None, &before)?;
    latency
}

/// Asks and listens in one loop.
fn ask(addr: SocketAddr, questions: &[Vec<u8>]) -> anyhow::Result<Latency> {
    let clock = Clock::system();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a socket")?;
        socket.connect(addr)?;
        socket.set_nonblocking(true)?;
        sockets.push((socket, vec![None::<Tick>; IDS], 0_u16));
    }
    let begin = clock.now();
    let wanted = RATE * SECONDS;
    let mut times: Vec<u64> = Vec::new();
    let mut sent = 0_u32;
    let mut buffer = [0_u8; 4096];
    // A second more for the last ones.
    loop {
        let passed = clock.now().since(begin);
        if passed > Duration::from_secs(u64::from(SECONDS) + 1) {
            break;
        }
        let due =
            u32::try_from(passed.as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(wanted).min(wanted);
        while sent < due {
            let index = usize::try_from(sent)?;
            let mut message = questions.get(index % questions.len().max(1)).context("no question")?.clone();
            if let Some((socket, moments, id)) = sockets.get_mut(index % SOCKETS) {
                *id = id.wrapping_add(1);
                message.splice(..2, id.to_be_bytes());
                if let Some(moment) = moments.get_mut(usize::from(*id)) {
                    *moment = Some(clock.now());
                }
                let _ = socket.send(&message);
            }
            sent += 1;
        }
        for (socket, moments, _) in &mut sockets {
            loop {
                match socket.recv(&mut buffer) {
                    Ok(length) if length >= 2 => {
                        let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                        if let Some(moment) = moments.get_mut(usize::from(id)).and_then(Option::take) {
                            times.push(u64::try_from(clock.now().since(moment).as_nanos())?);
                        }
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("receiving"),
                }
            }
        }
        if sent == wanted && times.len() == usize::try_from(wanted)? {
            break;
        }
    }
    times.sort_unstable();
    let at = |hundredths: usize| {
        let place = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
        Duration::from_nanos(times.get(place).copied().unwrap_or(0))
    };
    Ok(Latency { p50: at(50), p99: at(99), lost: usize::try_from(wanted)?.saturating_sub(times.len()) })
}
