//! Rows L1 to L4, L6 to L9: more than a server can do, and who pays for it.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use signpost::time::Clock;
use socket2::{Domain, Socket, Type};

use super::asker::{self, Steady};
use super::away::{LONG, MEBI, REST, real, seen};
use super::beside::{Account, Beside, Names};
use super::blast::{Blast, Done, dropped};
use super::cage::{Cage, Share};
use super::fake::{Fake, Manner};
use super::objects::{name_of, namespace_of};
use super::report::{mebi, micros, millis};
use super::rig::{Kind, Plan, Rig, SMALL, add, over_tcp, small_api, status, wait};
use super::row::{Found, Row, Stage};
use super::{flood, servers};

/// The most memory that overload may take above idle. Unit: bytes.
const ROOM: f64 = 32.0 * MEBI;

/// Different names of row L7: twenty times what the cache holds.
const NAMES: usize = 200_000;

/// A share of a processor that is less than anybody needs. Unit: hundredths.
const LITTLE: u64 = 5;

/// Connections of row L6: idle ones, those that write a byte and stop, and those that stop within a handshake.
const CONNECTIONS: [usize; 3] = [5000, 1000, 500];

/// The rows.
pub(crate) const ROWS: [Row; 8] = [
    Row {
        id: "L1",
        what: "Held to a share of a processor (cgroup), three times what it then serves, from 8 clients",
        bar: "goodput ≥ 90 % of the peak; memory ≤ idle + 32 MiB; p99 < 2 ms within 1 s of the end",
        run: goodput,
    },
    Row {
        id: "L2",
        what: "5,000 unique names a second for a silent upstream, 2,000 local q/s beside them",
        bar: "0 local lost, p99 ≤ 5 ms; memory ≤ idle + 32 MiB",
        run: silent_upstream,
    },
    Row {
        id: "L3",
        what: "One client with as much as it can, at most 50,000 q/s, beside 20 with 50 q/s each; again with the server held to 5 % of a processor",
        bar: "the 20 lose < 0.1 % both times, p99 ≤ 10 ms the first time",
        run: one_greedy,
    },
    Row {
        id: "L4",
        what: "10,000 questions for one uncached name within half a second, the upstream takes 100 ms",
        bar: "≤ 1 upstream query a worker (a processor); all answered",
        run: same_name,
    },
    Row {
        id: "L6",
        what: "5,000 idle TCP connections, 1,000 that stop in the length, 500 that stop in a TLS handshake, from 100 addresses",
        bar: "0 of 1,000 q/s over UDP lost; a new TCP client ≤ 50 ms",
        run: connections,
    },
    Row {
        id: "L7",
        what: "200,000 different names through a cache of 10,000 entries",
        bar: "memory of the second half ≤ + 1 MiB above that of the first",
        run: through_a_cache,
    },
    Row {
        id: "L8",
        what: "A tenth of a processor (cgroup), 200 q/s",
        bar: "`/ready` stays 200; changes ≤ 1 s; none of 200 q/s failed; it lives",
        run: starved,
    },
    Row {
        id: "L9",
        what: "Held to 5 % of a processor, as much as can be sent for 5 s",
        bar: "sent = answered + dropped by the kernel + dropped by count, exactly; those of the kernel are exported",
        run: counted,
    },
];

/// A group for a share of a processor, or the row that is not run.
fn cage(hundredths: u64) -> Result<Cage, Found> {
    Cage::new(Share::Processor(hundredths))
        .map_err(|why| Found::not_run(format!("no group for a share of a processor: {why:#}")))
}

/// Names of Services, so many.
fn local_names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| number % SMALL.services)
        .map(|number| format!("{}.{}.svc.cluster.local", name_of(number), namespace_of(number)))
        .collect()
}

/// Addresses of loopback, for clients of their own.
fn clients(third: u8, count: u8) -> impl Iterator<Item = IpAddr> {
    (1..=count).map(move |last| Ipv4Addr::new(127, 0, third, last).into())
}

/// L1.
fn goodput(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let cage = match cage(stage.quota) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let clock = Clock::system();
    cage.hold(rig.subject.pid())?;
    let names = local_names(10_000);
    let begin = clock.now();
    let mut rounds = 0;
    while clock.now().since(begin) < Duration::from_secs(3) {
        asker::eager(rig.addr, &names)?;
        rounds += 1;
    }
    let mut peak = real(names.len() * rounds) / clock.now().since(begin).as_secs_f64();
    let owners: Vec<IpAddr> = clients(3, 8).collect();
    let blast = |rate: f64, lasts: Duration| {
        let done = Blast { addr: rig.addr, scale: SMALL, rate, lasts }.run(&owners)?;
        anyhow::Ok((done, real(done.right) / lasts.as_secs_f64()))
    };
    // Whoever asks the next question with each answer does not bring as much as can be served.
    for more in [1.2, 1.6] {
        peak = peak.max(blast(peak * more, Duration::from_secs(3))?.1);
    }
    std::thread::sleep(REST);
    let idle = rig.subject.rss()?;
    rig.subject.forget_peak()?;
    let lasts = Duration::from_secs(stage.seconds);
    let (done, good) = blast(peak * 3.0, lasts)?;
    let memory = rig.subject.peak()?;
    std::thread::sleep(Duration::from_secs(1));
    let calm = Beside::start_for(rig.addr, Names::Cluster(SMALL), 100, Duration::from_secs(2))?;
    drop(rig);
    drop(cage);
    let offered = real(done.sent) / lasts.as_secs_f64();
    if offered < 2.0 * peak {
        return Ok(Found::not_run(format!(
            "the clients here bring only {:.1} times the peak of {peak:.0} q/s",
            offered / peak
        )));
    }
    let mut found = Found::default();
    found.judge(
        good >= 0.9 * peak,
        format!(
            "{good:.0} of a peak of {peak:.0} q/s ({:.0} %) at {:.1} times as much, {} % of a processor",
            good / peak * 100.0,
            offered / peak,
            stage.quota
        ),
    );
    found.judge(memory - idle <= ROOM, format!("{} → {}", mebi(idle), mebi(memory)));
    found.judge(
        calm.part(990) < Duration::from_millis(2) && calm.failed() == 0,
        format!("then p99 {}", micros(calm.part(990))),
    );
    Ok(found)
}

/// L2.
fn silent_upstream(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let what = if kind.name == "signpost" { servers::What::Ours } else { servers::What::CoreDns };
    let kind = servers::Kind::new(what, kind.program.clone());
    let outcome = flood::one(&kind, Some(1000), Duration::from_secs(stage.seconds))?;
    if outcome.upstream == 0 {
        return Ok(Found::not_run("the silent upstream was never asked"));
    }
    let at = (outcome.local_took.len() * 99).div_ceil(100).saturating_sub(1);
    let p99 = outcome.local_took.get(at).copied().unwrap_or(LONG);
    let mut found = Found::default();
    found.judge(outcome.local_lost == 0, format!("{} of {} local lost", outcome.local_lost, outcome.local));
    found.judge(p99 <= Duration::from_millis(5), format!("p99 {}", micros(p99)));
    found.judge(
        outcome.peak - outcome.idle <= ROOM,
        format!("{} → {}", mebi(outcome.idle), mebi(outcome.peak)),
    );
    Ok(found)
}

/// One greedy client beside twenty modest ones: the account of the modest, and what the greedy one sent and lost.
fn greedy(rig: &Rig, lasts: Duration) -> anyhow::Result<(Account, Done)> {
    let begin = |own| Beside::start_from(own, rig.addr, Names::Cluster(SMALL), 50);
    let modest = clients(1, 20).map(begin).collect::<anyhow::Result<Vec<_>>>()?;
    let blast = Blast { addr: rig.addr, scale: SMALL, rate: 50_000.0, lasts };
    let done = blast.run(&[Ipv4Addr::new(127, 0, 9, 9).into()])?;
    Ok((modest.into_iter().map(Beside::finish).sum(), done))
}

/// L3.
fn one_greedy(stage: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let lasts = Duration::from_secs(stage.seconds);
    let mut found = Found::default();
    let one = |found: &mut Found, account: &Account, done: &Done, how: &str| {
        let lost = real(account.failed()) / real(account.asked) * 100.0;
        found.judge(
            lost < 0.1,
            format!("{how}: the 20 lose {} of {} ({lost:.2} %)", account.failed(), account.asked),
        );
        let (sent, right) = (real(done.sent), real(done.right));
        found.note(format!(
            "the one loses {:.0} % of {:.0} q/s",
            100.0 - right / sent * 100.0,
            sent / lasts.as_secs_f64()
        ));
    };
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    let (account, done) = greedy(&rig, lasts)?;
    one(&mut found, &account, &done, "free");
    let p99 = account.part(990);
    match Cage::new(Share::Processor(LITTLE)) {
        Err(why) => found.note(format!("held: not run: no group: {why:#}")),
        Ok(cage) => {
            cage.hold(rig.subject.pid())?;
            let (account, done) = greedy(&rig, lasts)?;
            drop(rig);
            drop(cage);
            one(&mut found, &account, &done, "held");
        }
    }
    found.judge(p99 <= Duration::from_millis(10), format!("free: p99 {}", micros(p99)));
    Ok(found)
}

/// L4.
fn same_name(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let upstream = Fake::start(Manner::after(100))?;
    // Kubeadm's bound of 1,000 is about different questions here, and refuses the others of one there.
    let plan = Plan { forward: "max_concurrent 0", ..Plan::small(&api).upstream(upstream.addr) };
    let rig = Rig::synced(kind, &plan)?;
    let before = upstream.queries();
    let name = |_| "popular.example.org".to_owned();
    let all =
        Steady { addr: rig.addr, rate: 20_000, lasts: Duration::from_millis(500), name: &name, mark: None };
    let asked = asker::steady(&all)?;
    let silent = asked.iter().filter(|asked| asked.reply.is_none_or(|reply| reply.rcode != 0)).count();
    let queries = upstream.queries() - before;
    let mut found = Found::default();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    found.judge(
        (1..=u64::try_from(workers)?).contains(&queries),
        format!("{queries} upstream queries, {workers} workers"),
    );
    found.judge(silent == 0, format!("{silent} of {} not answered rightly", asked.len()));
    Ok(found)
}

/// A TCP connection from an address of loopback.
fn connect(own: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(own, 0).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(1))?;
    Ok(socket.into())
}

/// Lets this process have as many files as it may.
fn raise_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// L6.
fn connections(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let wanted: usize = CONNECTIONS.iter().sum();
    let files = raise_files();
    if files < u64::try_from(wanted)? + 500 {
        return Ok(Found::not_run(format!("only {files} open files here")));
    }
    let folder = tempfile::tempdir()?;
    let pair = super::api::Authority::new("battery").issue(&["dns.test"]);
    std::fs::write(folder.path().join("cert.pem"), pair.certificate_pem())?;
    std::fs::write(folder.path().join("key.pem"), pair.key_pem())?;
    let tls = super::subject::free_address()?;
    let at = folder.path().display();
    let api = small_api();
    let blocks = format!(
        "tls://.:{} {{\n  bind 127.0.0.1\n  tls {at}/cert.pem {at}/key.pem\n  whoami\n}}\n",
        tls.port()
    );
    let mut rig = Rig::synced(kind, &Plan { blocks, ..Plan::small(&api) })?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 1000)?;
    let owners: Vec<IpAddr> = clients(2, 100).collect();
    let mut held = Vec::new();
    let starts: [(&[u8], SocketAddr); 3] = [(b"", rig.addr), (b"\x00", rig.addr), (b"\x16\x03\x01\x02", tls)];
    for (count, (bytes, to)) in CONNECTIONS.into_iter().zip(starts) {
        for own in owners.iter().cycle().take(count) {
            if let Ok(mut stream) = connect(*own, to) {
                let _ = stream.write_all(bytes);
                held.push(stream);
            }
        }
    }
    let opened = held.len();
    let fresh = over_tcp(rig.addr, 1);
    let files = rig.subject.files()?;
    rig.subject.alive()?;
    let account = load.finish();
    drop(held);
    if opened < wanted / 2 {
        return Ok(Found::not_run(format!("only {opened} connections could be opened")));
    }
    let mut found = Found::default();
    found.judge(account.failed() == 0, format!("{} of {} over UDP failed", account.failed(), account.asked));
    let quick = fresh.as_ref().is_ok_and(|took| *took <= Duration::from_millis(50));
    found.judge(
        quick,
        fresh.map_or_else(
            |why| format!("new TCP client: {why}"),
            |took| format!("new TCP client {}", millis(took)),
        ),
    );
    found.note(format!("{opened} opened, the server holds {files} files, {}", mebi(rig.subject.rss()?)));
    Ok(found)
}

/// L7.
fn through_a_cache(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let api = small_api();
    let upstream = Fake::start(Manner::after(0))?;
    let cache = "cache 3600 {\n    success 10000\n    denial 10000\n  }";
    let mut rig = Rig::synced(kind, &Plan { cache, ..Plan::small(&api).upstream(upstream.addr) })?;
    let idle = rig.subject.rss()?;
    let mut peaks = Vec::new();
    let mut lost = 0;
    for half in 0..2 {
        let names: Vec<String> =
            (0..NAMES / 2).map(|number| format!("name-{half}-{number}.example.org")).collect();
        lost += asker::eager(rig.addr, &names)?;
        peaks.push(rig.subject.rss()?);
    }
    rig.subject.alive()?;
    let asked = upstream.queries();
    if asked < u64::try_from(NAMES / 2)? {
        return Ok(Found::not_run(format!("only {asked} names reached the upstream")));
    }
    let (first, second) = (peaks.first().copied().unwrap_or(0.0), peaks.last().copied().unwrap_or(0.0));
    let mut found = Found::default();
    found.judge(second - first <= MEBI, format!("{} → {} → {}", mebi(idle), mebi(first), mebi(second)));
    found.note(format!("{lost} of {NAMES} lost"));
    Ok(found)
}

/// L8.
fn starved(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let cage = match cage(10) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let mut rig = Rig::synced(kind, &Plan::small(&api))?;
    cage.hold(rig.subject.pid())?;
    let load = Beside::start(rig.addr, Names::Cluster(SMALL), 200)?;
    let (mut unready, mut slowest) = (0, Some(Duration::ZERO));
    for nth in 0..10 {
        let new = add(&api, nth * 2);
        slowest = slowest.and_then(|slowest| Some(slowest.max(rig.visible(new, LONG)?)));
        unready += usize::from(status(rig.ready, "/ready") != 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    rig.subject.alive()?;
    let account = load.finish();
    drop(rig);
    drop(cage);
    let mut found = Found::default();
    found.judge(unready == 0, format!("not ready {unready} of 10 times"));
    found.judge(
        slowest.is_some_and(|took| took <= Duration::from_secs(1)),
        format!("changes {}", seen(slowest)),
    );
    found.judge(
        account.failed() == 0,
        format!("{} of {} failed, p99 {}", account.failed(), account.asked, micros(account.part(990))),
    );
    Ok(found)
}

/// What a server of ours says of datagrams that it dropped itself.
const DROPS: [&str; 4] = [
    "coredns_shed_dropped_total",
    "signpost_overdue_total",
    "signpost_dropped_total",
    "signpost_send_refused_total",
];

/// What a server of ours says of datagrams that the kernel dropped.
const KERNEL: &str = "signpost_kernel_drops_total";

/// L9.
fn counted(_: &Stage, kind: &Kind) -> anyhow::Result<Found> {
    let cage = match cage(LITTLE) {
        Ok(cage) => cage,
        Err(found) => return Ok(found),
    };
    let api = small_api();
    let rig = Rig::synced(kind, &Plan::small(&api))?;
    cage.hold(rig.subject.pid())?;
    let own = || DROPS.iter().filter_map(|name| rig.metric(name)).sum::<f64>();
    let (own_before, kernel_before) = (own(), dropped(rig.addr.port())?);
    let blast = Blast { addr: rig.addr, scale: SMALL, rate: 100_000.0, lasts: Duration::from_secs(5) };
    let done = blast.run(&clients(4, 8).collect::<Vec<_>>())?;
    wait(Duration::from_secs(5), || rig.metric("coredns_dns_requests_total").is_some());
    let kernel = dropped(rig.addr.port())? - kernel_before;
    let shed = own() - own_before;
    let exported = rig.metric(KERNEL);
    drop(rig);
    drop(cage);
    if kernel == 0 && shed == 0.0 {
        return Ok(Found::not_run(format!("{} questions were no more than it can answer", done.sent)));
    }
    let left = real(done.sent) - real(done.replies) - real(done.client_drops) - real(kernel) - shed;
    let mut found = Found::default();
    found.judge(
        left == 0.0,
        format!(
            "{} sent, {} answered, {kernel} dropped by the kernel, {shed} by count, {left} unaccounted for",
            done.sent, done.replies
        ),
    );
    found.judge(
        exported.is_some_and(|exported| exported >= real(kernel)),
        exported.map_or("those of the kernel are not exported".to_owned(), |all| format!("{all} exported")),
    );
    Ok(found)
}
