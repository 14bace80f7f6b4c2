//! Rows W34 and W38: messages that are made to cost much, and what they cost.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::away::{MEBI, real};
use super::client::{encode, service_labels};
use super::report::mebi;
use super::rig::{Kind, Plan, Rig, small_api};
use super::row::{Found, Row, Stage};

/// Messages of each kind that are timed.
const TIMED: usize = 1000;

/// How often each kind is timed.
const TURNS: usize = 9;

/// Options without content in one message.
const OPTIONS: usize = 16_000;

/// An option that nobody knows (RFC 6891 §9: for local use).
const OPTION: u16 = 65_001;

/// Messages a second that claim what they don't have.
const CLAIMS: u32 = 10_000;

/// How long they come before memory is read for the first time.
const WARM: Duration = Duration::from_secs(2);

/// The shortest sleep.
const STEP: Duration = Duration::from_millis(1);

/// The rows.
pub(crate) const ROWS: [Row; 2] = [
    Row {
        id: "W34",
        what: "1,000 messages with 16,000 EDNS options each, and 1,000 plain ones, over one TCP connection each, nine times in turn",
        bar: "all answered; ≤ 1 ms of a processor for one; ≤ 10 × a plain one",
        run: options,
    },
    Row {
        id: "W38",
        what: "10,000 headers a second that claim 65,535 records in each section, for 10 s",
        bar: "memory flat: ≤ + 1 MiB from the third second to the last",
        run: claims,
    },
];

/// Processor time of all threads of a process, as finely as the kernel keeps it.
fn spent(pid: u32) -> anyhow::Result<Duration> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that ended just now has no file any more.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// A message with very many options.
fn many() -> anyhow::Result<Vec<u8>> {
    let mut message = encode(7, &service_labels(1));
    if let Some(additional) = message.get_mut(11) {
        *additional = 1;
    }
    message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    message.extend_from_slice(&u16::try_from(OPTIONS * 4)?.to_be_bytes());
    for _ in 0..OPTIONS {
        message.extend_from_slice(&OPTION.to_be_bytes());
        message.extend_from_slice(&[0, 0]);
    }
    Ok(message)
}

/// Sends a message again and again over one connection, each after the reply to the one before; what one costs the server, and
/// how many had a reply.
fn cost(rig: &Rig, message: &[u8], times: usize) -> anyhow::Result<(Duration, usize)> {
    let mut stream = TcpStream::connect(rig.addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let framed = [u16::try_from(message.len())?.to_be_bytes().as_slice(), message].concat();
    let mut reply = [0_u8; 65_537];
    let before = spent(rig.subject.pid())?;
    let mut replies = 0;
    for _ in 0..times {
        if stream.write_all(&framed).is_err() {
            break;
        }
        let mut head = [0_u8; 2];
        let Ok(()) = stream.read_exact(&mut head) else { break };
        let body = reply.get_mut(..usize::from(u16::from_be_bytes(head))).context("a reply")?;
        let Ok(()) = stream.read_exact(body) else { break };
        replies += usize::from(body.first_chunk() == message.first_chunk::<2>());
    }
    let spent = spent(rig.subject.pid())? - before;
    Ok((spent / u32::try_from(times)?, replies))
}

/// W34.
fn options(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let (plain, many) = (encode(7, &service_labels(1)), many()?);
    // Buffers are made, and the processor is awake.
    cost(&rig, &plain, TIMED)?;
    // In turn, and the middle of each: which processor the kernel runs the two ends on makes up half of a cost or more.
    let (mut usual, mut long, mut answered, mut replies) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..TURNS {
        let (plain, many) = (cost(&rig, &plain, TIMED)?, cost(&rig, &many, TIMED)?);
        usual.push(plain.0);
        long.push(many.0);
        (answered, replies) = (answered + plain.1, replies + many.1);
    }
    let middle = |mut all: Vec<Duration>| {
        all.sort();
        all.get(TURNS / 2).copied().unwrap_or_default()
    };
    let (usual, long, all) = (middle(usual), middle(long), TURNS * TIMED);
    if answered < all || usual.is_zero() {
        return Ok(Found::not_run(format!(
            "{answered} of {all} plain messages were answered, at {usual:?} each"
        )));
    }
    let mut found = Found::default();
    found.judge(replies == all, format!("{replies} of {all} answered"));
    let micros = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
    found.judge(long <= Duration::from_millis(1), format!("{} each", micros(long)));
    let times = long.as_secs_f64() / usual.as_secs_f64();
    found.judge(times <= 10.0, format!("{times:.1} × a plain one ({})", micros(usual)));
    Ok(found)
}

/// Sends a message over and over at a steady pace; how many left, and the replies by their code.
fn spray(
    addr: SocketAddr,
    message: &[u8],
    lasts: Duration,
    mut at: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<(usize, [usize; 16])> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(addr)?;
    socket.set_nonblocking(true)?;
    let clock = Clock::system();
    let begin = clock.now();
    let pause = Duration::from_secs(1) / CLAIMS;
    let (mut sent, mut codes, mut due) = (0, [0; 16], Duration::ZERO);
    let mut buffer = [0_u8; 2048];
    loop {
        let now = clock.now().since(begin);
        at(now)?;
        while let Ok(length) = socket.recv(&mut buffer) {
            let code = buffer.get(..length).and_then(|reply| reply.get(3)).map_or(0, |flags| flags & 15);
            if let Some(count) = codes.get_mut(usize::from(code)) {
                *count += 1;
            }
        }
        if now >= lasts {
            return Ok((sent, codes));
        }
        while due <= now {
            sent += usize::from(socket.send(message).is_ok());
            due += pause;
        }
        std::thread::sleep(STEP);
    }
}

/// W38.
fn claims(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    let message = [0, 7, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let mut first = None;
    let lasts = Duration::from_secs(10);
    let (sent, codes) = spray(rig.addr, &message, WARM + lasts, |now| {
        if first.is_none() && now >= WARM {
            first = Some(rig.subject.rss()?);
        }
        Ok(())
    })?;
    let (first, last) = (first.unwrap_or_default(), rig.subject.rss()?);
    rig.subject.alive()?;
    let wanted = real(CLAIMS) * (WARM + lasts).as_secs_f64();
    if real(sent) < 0.9 * wanted {
        return Ok(Found::not_run(format!("only {sent} of {wanted:.0} messages could be sent in time")));
    }
    let mut found = Found::default();
    found.judge(last - first <= MEBI, format!("{} → {}", mebi(first), mebi(last)));
    let replies: usize = codes.iter().sum();
    let of = |code: usize| codes.get(code).copied().unwrap_or_default();
    found.note(format!("{sent} sent; {} FORMERR, {} SERVFAIL, {replies} replies in all", of(1), of(2)));
    Ok(found)
}
