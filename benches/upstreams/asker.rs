//! Who asks: so many questions a second whatever comes back, or the next one with each reply.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use signpost::time::{Clock, Tick};

/// Sockets of an asker: a server that spreads them over its threads gets the chance to.
const LANES: usize = 8;

/// Room for replies that nobody has read yet. Unit: bytes.
const ROOM: usize = 4 << 20;

/// How long an answer is awaited: longer than any stub resolver does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

/// The shortest sleep of a steady asker: questions that fall due within it leave together.
const STEP: Duration = Duration::from_millis(1);

/// How often a receiver looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// Questions under way on each socket of an eager asker.
const WINDOW: usize = 8;

/// An answered question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// How long it took.
    pub(crate) took: Duration,
    /// The response code.
    pub(crate) rcode: u8,
    /// The code of an Extended DNS Error.
    pub(crate) ede: Option<u16>,
}

/// What became of one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// When it was asked, counted from the first.
    pub(crate) at: Duration,
    /// The reply; `None` for none in time.
    pub(crate) reply: Option<Reply>,
}

/// What is asked steadily.
pub(crate) struct Steady<'a> {
    /// Whom.
    pub(crate) addr: SocketAddr,
    /// Questions a second.
    pub(crate) rate: u32,
    /// For how long.
    pub(crate) lasts: Duration,
    /// The name of a question.
    pub(crate) name: &'a (dyn Fn(usize) -> String + Sync),
    /// Called once when so much time has passed.
    pub(crate) mark: Option<(Duration, &'a (dyn Fn() + Sync))>,
}

/// A socket of an asker, and what was asked from it.
struct Lane {
    /// The socket.
    socket: UdpSocket,
    /// Which question an id stands for, counted from 1; 0 for none.
    numbers: Vec<AtomicU32>,
}

/// Asks at a steady pace, whatever comes back; what became of each question, in their order.
pub(crate) fn steady(work: &Steady<'_>) -> anyhow::Result<Vec<Asked>> {
    let clock = Clock::system();
    let pause = Duration::from_secs(1) / work.rate;
    let count = usize::try_from(work.lasts.as_nanos() / pause.as_nanos())?;
    let sent: Arc<[AtomicU64]> = (0..count).map(|_| AtomicU64::new(0)).collect();
    let replies = Arc::new(Mutex::new(vec![None::<Reply>; count]));
    let (stop, open) = (Arc::<AtomicBool>::default(), Arc::new(AtomicU64::new(0)));
    let mut lanes = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..LANES {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding an asker")?;
        socket.connect(work.addr)?;
        socket.set_read_timeout(Some(LOOK))?;
        // Answers that come all at once are read one after another: beyond the system's bound for those who may.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM));
        let lane = Arc::new(Lane { socket, numbers: (0..=u16::MAX).map(|_| AtomicU32::new(0)).collect() });
        lanes.push(lane.clone());
        let (sent, replies, stop, open, clock) =
            (sent.clone(), replies.clone(), stop.clone(), open.clone(), clock.clone());
        threads.push(std::thread::spawn(move || {
            let mut buffer = [0_u8; 2048];
            while !stop.load(Relaxed) {
                let Ok(length) = lane.socket.recv(&mut buffer) else { continue };
                let now = clock.now();
                let reply = buffer.get(..length).unwrap_or_default();
                let Some(id) = reply.first_chunk().map(|id| u16::from_be_bytes(*id)) else { continue };
                let number = lane.numbers.get(usize::from(id)).map_or(0, |number| number.swap(0, Relaxed));
                let Some(place) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1))
                else {
                    continue;
                };
                let took = now.since(Tick(sent.get(place).map_or(0, |sent| sent.load(Relaxed))));
                let rcode = reply.get(3).map_or(0, |flags| flags & 15);
                open.fetch_sub(1, Relaxed);
                if let Some(slot) = replies.lock().get_mut(place) {
                    *slot = Some(Reply { took, rcode, ede: ede(reply) });
                }
            }
        }));
    }
    let begin = clock.now();
    let mut mark = work.mark;
    for place in 0..count {
        let due = begin.plus(pause * u32::try_from(place)?);
        let now = clock.now();
        if due > now {
            std::thread::sleep(due.since(now).max(STEP));
        }
        if mark.is_some_and(|(after, _)| due.since(begin) >= after)
            && let Some((_, tell)) = mark.take()
        {
            tell();
        }
        let Some(lane) = lanes.get(place % LANES) else { continue };
        let id = u16::try_from(place / LANES % 65_536)?;
        if let Some(number) = lane.numbers.get(usize::from(id)) {
            number.store(u32::try_from(place + 1)?, Relaxed);
        }
        if let Some(sent) = sent.get(place) {
            sent.store(clock.now().0, Relaxed);
        }
        open.fetch_add(1, Relaxed);
        let _ = lane.socket.send(&encode(id, &(work.name)(place), true));
    }
    let end = clock.now();
    while open.load(Relaxed) > 0 && clock.now().since(end) < PATIENCE {
        std::thread::sleep(LOOK);
    }
    stop.store(true, Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a receiver panicked"))?;
    }
    let replies = replies.lock();
    let asked = sent.iter().zip(replies.iter());
    Ok(asked
        .map(|(sent, reply)| {
            let at = Tick(sent.load(Relaxed)).since(begin);
            Asked { at, reply: reply.filter(|reply| reply.took <= PATIENCE) }
        })
        .collect())
}

/// Asks for all of these names, some at a time, the next one with each reply; how many were not answered.
pub(crate) fn eager(addr: SocketAddr, names: &[String]) -> anyhow::Result<usize> {
    std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..LANES).map(|lane| scope.spawn(move || eager_lane(addr, names, lane))).collect();
        let mut lost = 0;
        for lane in lanes {
            lost += lane.join().map_err(|_| anyhow::anyhow!("an asker panicked"))??;
        }
        Ok(lost)
    })
}

/// One socket of an eager asker, which asks for every so-manieth name.
fn eager_lane(addr: SocketAddr, names: &[String], lane: usize) -> anyhow::Result<usize> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding an asker")?;
    socket.connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut names = names.iter().skip(lane).step_by(LANES);
    let (mut id, mut open, mut lost) = (0_u16, 0, 0);
    let mut buffer = [0_u8; 2048];
    loop {
        while open < WINDOW {
            let Some(name) = names.next() else { break };
            id = id.wrapping_add(1);
            socket.send(&encode(id, name, false))?;
            open += 1;
        }
        if open == 0 {
            return Ok(lost);
        }
        match socket.recv(&mut buffer) {
            // One that is counted as lost may come after all: the window is a little wider then.
            Ok(_) => open -= 1,
            Err(_) => {
                lost += open;
                open = 0;
            }
        }
    }
}

/// Whether a name is answered at all; for one that the server knows by itself.
pub(crate) fn is_answered(addr: SocketAddr, name: &str) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return false };
    let mut buffer = [0_u8; 2048];
    socket.connect(addr).is_ok()
        && socket.set_read_timeout(Some(LOOK)).is_ok()
        && socket.send(&encode(1, name, false)).is_ok()
        && socket.recv(&mut buffer).is_ok_and(|_| buffer[3] & 15 == 0 && buffer[7] == 1)
}

/// A question for an address.
fn encode(id: u16, name: &str, edns: bool) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    if edns {
        query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    query
}

/// The code of an Extended DNS Error of a reply without records, whose OPT follows the question (RFC 8914 §2).
fn ede(reply: &[u8]) -> Option<u16> {
    let two = |at: usize| reply.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    if (two(6)?, two(8)?, two(10)?) != (0, 0, 1) {
        return None;
    }
    let mut at = 12;
    while *reply.get(at)? != 0 {
        at += usize::from(*reply.get(at)?) + 1;
    }
    // Behind the question: root, type, size, flags, length.
    at += 5;
    if (*reply.get(at)?, two(at + 1)?) != (0, 41) {
        return None;
    }
    at += 11;
    while let (Some(code), Some(length)) = (two(at), two(at + 2)) {
        if code == 15 {
            return two(at + 4);
        }
        at += 4 + usize::from(length);
    }
    None
}
