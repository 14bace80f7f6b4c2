//! Rows L3 and L4: one client that asks for more than its share, and many that ask for the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use signpost::time::Clock;

use super::asker;
use super::away::real;
use super::beside::{Account, Beside, Names};
use super::blast::{Blast, Done};
use super::cage::{Cage, Share};
use super::ceiling::raise_files;
use super::client::encode;
use super::fake::{Fake, Manner};
use super::noise::Noise;
use super::overload::{LITTLE, clients};
use super::report::micros;
use super::rig::{Kind, Plan, Rig, SMALL, small_api};
use super::row::{Found, Row, Stage};

/// What the greedy client asks a second.
const GREEDY: u32 = 50_000;

/// Where it asks from.
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 9);

/// What each modest client asks a second.
const MODEST: u32 = 50;

/// How many modest clients there are.
const MANY: u8 = 20;

/// How long the flood of names that are never answered lasts: what it asks is kept until the end.
const MISSES: Duration = Duration::from_secs(10);

/// Clients of row L4.
const SAME: usize = 10_000;

/// Within what time they all ask.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How long the upstream of row L4 takes. Unit: milliseconds.
const SLOW: u64 = 120;

/// After so long a client of row L4 asks again, once, as stub resolvers do.
const AGAIN: Duration = Duration::from_millis(2500);

/// The rows.
pub(crate) const ROWS: [Row; 2] = [
    Row {
        id: "L3",
        what: "One client with 50,000 q/s beside 20 with 50 q/s each: names of the cluster; the same with the server held to 5 % of a processor; the one with names that its upstream never answers, the 20 with new names that it answers",
        bar: "the 20 lose < 0.1 % each time; p99 ≤ 10 ms where the server is not held",
        run: one_greedy,
    },
    Row {
        id: "L4",
        what: "10,000 clients, each from a socket of its own, ask for one uncached name within 0.1 s, the upstream takes longer; who is not answered asks once more after 2.5 s",
        bar: "≤ 1 upstream query a worker (a processor); all answered",
        run: same_name,
    },
];

/// The twenty; what the greedy one does meanwhile.
fn beside<T>(
    rig: &Rig,
    names: impl Fn(u8) -> Names,
    meanwhile: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(Account, T, String)> {
    let noise = Noise::listen()?;
    let modest = clients(1, MANY)
        .zip(1..)
        .map(|(own, number)| Beside::start_from(own, rig.addr, names(number), MODEST))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let done = meanwhile()?;
    modest.iter().for_each(Beside::stop);
    let account = modest.into_iter().map(Beside::finish).sum();
    Ok((account, done, noise.finish()))
}

/// A greedy client that asks for names of the cluster.
fn greedy(rig: &Rig, lasts: Duration) -> anyhow::Result<Done> {
    let rate = f64::from(GREEDY);
    Blast { addr: rig.addr, scale: SMALL, rate, lasts }.run(&[IpAddr::from(THERE)])
}

/// What the twenty lost.
fn lost(found: &mut Found, account: &Account, how: &str) {
    let lost = real(account.failed()) / real(account.asked) * 100.0;
    found.judge(
        lost < 0.1,
        format!("{how}: the 20 lose {} of {} ({lost:.2} %)", account.failed(), account.asked),
    );
    if let (Some(first), Some(last)) = (account.lost_at.iter().min(), account.lost_at.iter().max()) {
        found.note(format!("from {:.2} s to {:.2} s", first.as_secs_f64(), last.as_secs_f64()));
    }
}

/// How long their answers took.
fn quick(found: &mut Found, account: &Account, noise: &str) {
    let p99 = account.part(990);
    found.judge(p99 <= Duration::from_millis(10), format!("p99 {} ({noise})", micros(p99)));
}

/// L3.
fn one_greedy(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let lasts = stage.lasts();
    let mut found = Found::default();
    let one = |done: &Done| {
        let (sent, right) = (real(done.sent), real(done.right));
        format!(
            "the one loses {:.0} % of {:.0} q/s",
            100.0 - right / sent * 100.0,
            sent / lasts.as_secs_f64()
        )
    };
    let upstream = Fake::start(Manner { mute: b'f', ..Manner::after(0) })?;
    let rig = Rig::synced(kind, &Plan::small(&api).upstream(upstream.addr))?;
    let cluster = |_| Names::Cluster(SMALL);
    let (account, done, noise) = beside(&rig, cluster, || greedy(&rig, lasts))?;
    if done.sent == 0 {
        return Ok(Found::not_run("the one asked nothing"));
    }
    lost(&mut found, &account, "free");
    quick(&mut found, &account, &noise);
    found.note(one(&done));
    // Behind the twenty, whose names are of other zones, it asks for names that nobody answers, from one address.
    let name = |number: usize| format!("f{number}.example.org");
    let flood = asker::Steady { addr: rig.addr, rate: GREEDY, lasts: MISSES, name: &name, mark: None };
    let before = upstream.queries();
    let (account, asked, noise) = beside(&rig, Names::Outside, || asker::steady(&flood))?;
    if upstream.queries() == before {
        return Ok(Found::not_run("the upstream was never asked"));
    }
    lost(&mut found, &account, "misses");
    quick(&mut found, &account, &noise);
    let answered = asked.iter().filter(|asked| asked.reply.is_some_and(|reply| reply.rcode == 0)).count();
    found.note(format!("{answered} of {} of the one answered", asked.len()));
    match Cage::new(Share::Processor(LITTLE)) {
        Err(why) => found.note(format!("held: not run: no group: {why:#}")),
        Ok(cage) => {
            cage.hold(rig.subject.pid())?;
            let (account, done, _) = beside(&rig, cluster, || greedy(&rig, lasts))?;
            drop(rig);
            drop(cage);
            lost(&mut found, &account, "held");
            found.note(format!("p99 {}; {}", micros(account.part(990)), one(&done)));
        }
    }
    Ok(found)
}

/// One client of row L4.
struct One {
    /// Its socket.
    socket: UdpSocket,
    /// Whether it has the right answer.
    answered: bool,
}

/// So many clients on loopback, each with a socket of its own; 250 an address.
fn crowd(to: SocketAddr) -> anyhow::Result<Vec<One>> {
    let clients = (0..SAME).map(|number| {
        let own = Ipv4Addr::new(127, 1, u8::try_from(number / 250)?, u8::try_from(number % 250 + 1)?);
        let socket = UdpSocket::bind((own, 0)).context("binding a client")?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(One { socket, answered: false })
    });
    clients.collect()
}

/// Takes the answers that are there.
fn take(crowd: &mut [One], buffer: &mut [u8]) {
    for one in crowd.iter_mut().filter(|one| !one.answered) {
        if let Ok(length) = one.socket.recv(buffer) {
            let reply = buffer.get(..length).unwrap_or_default();
            one.answered = Names::Outside(0).is_right(0, reply);
        }
    }
}

/// L4.
fn same_name(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let files = raise_files();
    if files < u64::try_from(SAME)? + 500 {
        return Ok(Found::not_run(format!("only {files} open files here")));
    }
    let api = small_api();
    let upstream = Fake::start(Manner::after(SLOW))?;
    // Kubeadm's bound of 1,000 is about different questions here, and refuses the others of one there.
    let plan = Plan { forward: "max_concurrent 0", ..Plan::small(&api).upstream(upstream.addr) };
    let rig = Rig::synced(kind, &plan)?;
    let before = upstream.queries();
    let mut crowd = crowd(rig.addr)?;
    let labels = ["popular", "example", "org"].map(str::to_owned);
    let query = encode(1, &labels);
    let clock = Clock::system();
    let begin = clock.now();
    let pause = AT_ONCE / u32::try_from(SAME)?;
    for (number, one) in crowd.iter().enumerate() {
        // As many as are due, however late this thread wakes.
        let due = begin.plus(pause * u32::try_from(number)?);
        while clock.now() < due {
            std::hint::spin_loop();
        }
        one.socket.send(&query)?;
    }
    let within = clock.now().since(begin);
    let mut buffer = [0_u8; 2048];
    let mut repeated = 0;
    while clock.now().since(begin) < AGAIN + Duration::from_secs(3) {
        take(&mut crowd, &mut buffer);
        if crowd.iter().all(|one| one.answered) {
            break;
        }
        if repeated == 0 && clock.now().since(begin) >= AGAIN {
            for one in crowd.iter().filter(|one| !one.answered) {
                repeated += usize::from(one.socket.send(&query).is_ok());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let silent = crowd.iter().filter(|one| !one.answered).count();
    let queries = upstream.queries() - before;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut found = Found::default();
    found.judge(
        (1..=u64::try_from(workers)?).contains(&queries),
        format!("{queries} upstream queries, {workers} workers"),
    );
    found.judge(
        silent == 0,
        format!(
            "{silent} of {SAME} not answered rightly, {repeated} asked twice, all asked within {:.2} s",
            within.as_secs_f64()
        ),
    );
    Ok(found)
}
