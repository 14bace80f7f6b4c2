//! Who asks all along while something goes wrong, and keeps an account of every question.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use signpost::time::{Clock, Tick};

use super::client::{encode, right, service_labels};
use super::objects::Scale;

/// How long an answer is awaited behind the last question.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a receiver looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// The shortest sleep: questions that fall due within it leave together.
const STEP: Duration = Duration::from_millis(1);

/// Room for replies that nobody has read yet. Unit: bytes.
const ROOM: usize = 4 << 20;

/// What every upstream of ours says (benches/upstreams/fake.rs).
const OUTSIDE: [u8; 4] = [192, 0, 2, 1];

/// What is asked, and what a right answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// Services of a cluster, one after another.
    Cluster(Scale),
    /// A new name outside of it each time, below a number that nobody else asks below.
    Outside(u8),
    /// The same below `silent.test`, where nobody answers.
    Silent,
    /// Whatever comes back is right.
    Echo,
}

impl Names {
    /// A question.
    fn query(self, number: usize, id: u16) -> Vec<u8> {
        let below = |below: &str| {
            let labels = format!("n{number}.{below}");
            encode(id, &labels.split('.').map(str::to_owned).collect::<Vec<_>>())
        };
        match self {
            Self::Cluster(scale) => encode(id, &service_labels(number % scale.services)),
            Self::Outside(tag) => below(&format!("c{tag}.example.org")),
            Self::Silent => below("silent.test"),
            Self::Echo => below("example.org"),
        }
    }

    /// Whether a reply is right.
    pub(crate) fn is_right(self, number: usize, reply: &[u8]) -> bool {
        match self {
            Self::Cluster(scale) => right(reply, scale, number % scale.services),
            Self::Outside(_) => reply.windows(4).any(|four| four == OUTSIDE),
            Self::Silent => false,
            Self::Echo => true,
        }
    }
}

/// What became of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// No reply so far.
    Open,
    /// The kernel said at once that nobody listens.
    Refused,
    /// The right answer, so long after the question.
    Right(Duration),
    /// Another reply: its code.
    Other(u8, Duration),
}

/// One question: when it left, and what became of it.
type One = (Tick, Fate);

/// All questions so far, and the socket that they leave from.
struct Shared {
    /// The questions.
    all: Mutex<Vec<One>>,
    /// The socket.
    socket: UdpSocket,
    /// What is asked.
    names: Names,
}

impl Shared {
    /// Puts down what became of a question that is still open.
    fn settle(&self, number: usize, fate: Fate) {
        if let Some((_, now)) = self.all.lock().get_mut(number).filter(|(_, now)| *now == Fate::Open) {
            *now = fate;
        }
    }

    /// The kernel says that nobody listens: that is about the last question.
    fn refused(&self) {
        let last = self.all.lock().len().checked_sub(1);
        if let Some(last) = last {
            self.settle(last, Fate::Refused);
        }
    }

    /// Puts down a reply.
    fn replied(&self, reply: &[u8], now: Tick) {
        let Some(id) = reply.first_chunk().map(|id| u16::from_be_bytes(*id)) else { return };
        let found = {
            let all = self.all.lock();
            let Some(last) = all.len().checked_sub(1) else { return };
            // The youngest question of this id.
            let [.., high, low] = last.to_be_bytes();
            let back = usize::from(u16::from_be_bytes([high, low]).wrapping_sub(id));
            last.checked_sub(back).and_then(|number| all.get(number).map(|(sent, _)| (number, *sent)))
        };
        let Some((number, sent)) = found else { return };
        let took = now.since(sent);
        let code = reply.get(3).map_or(0, |flags| flags & 15);
        let fate = if code == 0 && self.names.is_right(number, reply) {
            Fate::Right(took)
        } else {
            Fate::Other(code, took)
        };
        self.settle(number, fate);
    }
}

/// An asker in the background; it ends when it is told to.
pub(crate) struct Beside {
    /// What its threads share.
    shared: Arc<Shared>,
    /// Set to end the questions.
    stop: Arc<AtomicBool>,
    /// Set to end all.
    end: Arc<AtomicBool>,
    /// Who asks, and who listens.
    threads: Vec<JoinHandle<()>>,
}

/// The account of an asker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Questions.
    pub(crate) asked: usize,
    /// Those without a reply though somebody listened.
    pub(crate) lost: usize,
    /// Those that the kernel refused: nobody listened.
    pub(crate) refused: usize,
    /// Replies that say that there is no such name.
    pub(crate) denied: usize,
    /// Replies that are neither right nor a denial.
    pub(crate) wrong: usize,
    /// How long the right answers took, sorted.
    pub(crate) took: Vec<Duration>,
    /// Replies of any kind that took longer than two seconds.
    pub(crate) late: usize,
    /// How long after its first question each of the lost ones left.
    pub(crate) lost_at: Vec<Duration>,
}

impl Account {
    /// Questions without a right answer.
    pub(crate) fn failed(&self) -> usize {
        self.asked - self.took.len()
    }

    /// What so many of a thousand right answers were no slower than.
    pub(crate) fn part(&self, thousandths: usize) -> Duration {
        let at = (self.took.len() * thousandths).div_ceil(1000).saturating_sub(1);
        self.took.get(at).copied().unwrap_or_default()
    }
}

impl std::iter::Sum for Account {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = all.fold(Self::default(), |mut sum, one| {
            sum.asked += one.asked;
            sum.lost += one.lost;
            sum.refused += one.refused;
            sum.denied += one.denied;
            sum.wrong += one.wrong;
            sum.late += one.late;
            sum.lost_at.extend(one.lost_at);
            sum.took.extend(one.took);
            sum
        });
        sum.took.sort();
        sum
    }
}

impl Beside {
    /// Begins to ask from loopback.
    pub(crate) fn start(addr: SocketAddr, names: Names, rate: u32) -> anyhow::Result<Self> {
        Self::start_from(Ipv4Addr::LOCALHOST.into(), addr, names, rate)
    }

    /// Begins to ask, so many times a second, from an address of loopback.
    pub(crate) fn start_from(own: IpAddr, addr: SocketAddr, names: Names, rate: u32) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((own, 0)).context("binding an asker")?;
        socket.connect(addr)?;
        socket.set_read_timeout(Some(LOOK))?;
        // Beyond the system's bound for those who may; within it for others.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM));
        let shared = Arc::new(Shared { all: Mutex::default(), socket, names });
        let (stop, end) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let clock = Clock::system();
        let (asking, stopped, asker_clock) = (shared.clone(), stop.clone(), clock.clone());
        let pause = Duration::from_secs(1) / rate.max(1);
        let asker = std::thread::spawn(move || ask(&asking, &stopped, pause, &asker_clock));
        let (hearing, ended) = (shared.clone(), end.clone());
        let listener = std::thread::spawn(move || listen(&hearing, &ended, &clock));
        Ok(Self { shared, stop, end, threads: vec![asker, listener] })
    }

    /// Asks for so long; the account.
    pub(crate) fn start_for(
        addr: SocketAddr,
        names: Names,
        rate: u32,
        lasts: Duration,
    ) -> anyhow::Result<Account> {
        let asker = Self::start(addr, names, rate)?;
        std::thread::sleep(lasts);
        Ok(asker.finish())
    }

    /// Has it ask nothing more. Of several, all are stopped before the first is finished: that may wait.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Ends it; the account, with the replies that came within two seconds of the last question.
    pub(crate) fn finish(mut self) -> Account {
        self.stop();
        if !self.threads.is_empty() {
            let _ = self.threads.remove(0).join();
        }
        let clock = Clock::system();
        let begin = clock.now();
        let open = || self.shared.all.lock().iter().any(|(_, fate)| *fate == Fate::Open);
        while open() && clock.now().since(begin) < PATIENCE {
            std::thread::sleep(LOOK);
        }
        self.end.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let mut account = Account::default();
        let all = self.shared.all.lock();
        let first = all.first().map_or(begin, |(sent, _)| *sent);
        for (sent, fate) in all.iter() {
            account.asked += 1;
            match *fate {
                Fate::Open => {
                    account.lost += 1;
                    account.lost_at.push(sent.since(first));
                }
                Fate::Refused => account.refused += 1,
                Fate::Right(took) => account.took.push(took),
                Fate::Other(3, _) => account.denied += 1,
                Fate::Other(..) => account.wrong += 1,
            }
            if let Fate::Right(took) | Fate::Other(_, took) = *fate {
                account.late += usize::from(took > PATIENCE);
            }
        }
        drop(all);
        account.took.sort();
        account
    }
}

/// Asks at a steady pace until it is stopped.
fn ask(shared: &Shared, stop: &AtomicBool, pause: Duration, clock: &Clock) {
    let mut due = clock.now();
    let mut number = 0_usize;
    while !stop.load(Relaxed) {
        due = due.plus(pause);
        let now = clock.now();
        if due > now {
            std::thread::sleep(due.since(now).max(STEP));
        }
        let [.., high, low] = number.to_be_bytes();
        let query = shared.names.query(number, u16::from_be_bytes([high, low]));
        if matches!(shared.socket.take_error(), Ok(Some(_))) {
            shared.refused();
        }
        shared.all.lock().push((clock.now(), Fate::Open));
        if shared.socket.send(&query).is_err() {
            shared.refused();
        }
        // On loopback a refusal is there before the call returns.
        if matches!(shared.socket.take_error(), Ok(Some(_))) {
            shared.refused();
        }
        number += 1;
    }
}

/// Takes replies until it is ended.
fn listen(shared: &Shared, end: &AtomicBool, clock: &Clock) {
    let mut buffer = [0_u8; 2048];
    while !end.load(Relaxed) {
        match shared.socket.recv(&mut buffer) {
            Ok(length) => shared.replied(buffer.get(..length).unwrap_or_default(), clock.now()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => shared.refused(),
            Err(_) => {}
        }
    }
}
