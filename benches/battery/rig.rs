//! A server in a process of its own with kubeadm's Corefile, on a fake API server and fake upstreams.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use signpost::time::Clock;

use super::api::{FakeApi, Resource};
use super::client::{Client, encode, service_labels};
use super::objects::{Scale, is_headless, name_of, namespace_of, service};
use super::subject::{Subject, free_address};

/// A server that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// As the table calls it.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
}

/// The cluster of most rows.
pub(crate) const SMALL: Scale = Scale { services: 500, endpoints: 5 };

/// The longest wait for a server to come up.
const START: Duration = Duration::from_secs(60);

/// How long it is waited between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// How long an answer may take that is looked for once.
const ONCE: Duration = Duration::from_millis(100);

/// How a server is set up.
pub(crate) struct Plan<'a> {
    /// Its API server.
    pub(crate) api: &'a FakeApi,
    /// What its cluster holds.
    pub(crate) scale: Scale,
    /// Whom it asks for names outside; nobody where none is named.
    pub(crate) upstreams: Vec<SocketAddr>,
    /// The line inside of `forward`.
    pub(crate) forward: &'a str,
    /// Lines inside of `health`.
    pub(crate) health: &'a str,
    /// The line `cache` with its block.
    pub(crate) cache: String,
    /// Further blocks; `PORT` stands for the port of the first.
    pub(crate) blocks: String,
    /// The most open files, where they are bounded.
    pub(crate) files: Option<u32>,
}

/// The `cache` of kubeadm's Corefile.
pub(crate) const CACHE: &str =
    "cache 30 {\n    disable success cluster.local\n    disable denial cluster.local\n  }";

impl<'a> Plan<'a> {
    /// Kubeadm's Corefile over a small cluster.
    pub(crate) fn small(api: &'a FakeApi) -> Self {
        Self::of(api, SMALL)
    }

    /// Kubeadm's Corefile over a cluster.
    pub(crate) fn of(api: &'a FakeApi, scale: Scale) -> Self {
        Self {
            api,
            scale,
            upstreams: Vec::new(),
            forward: "max_concurrent 1000",
            health: "",
            cache: CACHE.to_owned(),
            blocks: String::new(),
            files: None,
        }
    }

    /// The same with upstreams.
    pub(crate) fn upstream(mut self, addr: SocketAddr) -> Self {
        self.upstreams.push(addr);
        self
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Rig {
    /// Its process.
    pub(crate) subject: Subject,
    /// Who asks it.
    pub(crate) client: Client,
    /// Where it answers.
    pub(crate) addr: SocketAddr,
    /// Where `/health` is.
    pub(crate) health: SocketAddr,
    /// Where `/ready` is.
    pub(crate) ready: SocketAddr,
    /// Where `/metrics` is.
    pub(crate) metrics: SocketAddr,
    /// The Corefile as it was at the start.
    pub(crate) corefile: String,
    /// What its cluster holds.
    pub(crate) scale: Scale,
    /// Its files.
    dir: tempfile::TempDir,
}

impl Rig {
    /// Starts a server; it may not know its cluster yet.
    pub(crate) fn start(kind: &Kind, plan: &Plan<'_>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("making a folder")?;
        let (addr, health, ready, metrics) =
            (free_address()?, free_address()?, free_address()?, free_address()?);
        let mut corefile = format!(
            ".:{} {{\n  bind 127.0.0.1\n  errors\n  health {health} {{\n{}  }}\n  ready {ready}\n  kubernetes cluster.local \
             in-addr.arpa ip6.arpa {{\n    endpoint {}\n    pods insecure\n    fallthrough in-addr.arpa ip6.arpa\n    ttl 30\n  }}\n  \
             prometheus {metrics}\n",
            addr.port(),
            plan.health,
            plan.api.url(),
        );
        if !plan.upstreams.is_empty() {
            let upstreams: Vec<String> = plan.upstreams.iter().map(SocketAddr::to_string).collect();
            let _ = writeln!(corefile, "  forward . {} {{\n    {}\n  }}", upstreams.join(" "), plan.forward);
        }
        let _ = write!(
            corefile,
            "  {}\n  loadbalance\n}}\n{}",
            plan.cache,
            plan.blocks.replace("PORT", &addr.port().to_string())
        );
        let subject = match plan.files {
            None => Subject::start(&kind.program, &corefile, dir.path())?,
            Some(files) => {
                let conf = dir.path().join("Corefile");
                std::fs::write(&conf, &corefile).context("writing a Corefile")?;
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("ulimit -n {files}; exec \"$@\"")).arg("sh");
                command.arg(&kind.program).arg("-conf").arg(conf);
                Subject::run(command, dir.path())?
            }
        };
        let client = Client::new(addr, plan.scale)?;
        Ok(Self { subject, client, addr, health, ready, metrics, corefile, scale: plan.scale, dir })
    }

    /// Starts a server and waits until it answers for its cluster, and its watches are open.
    pub(crate) fn synced(kind: &Kind, plan: &Plan<'_>) -> anyhow::Result<Self> {
        let mut rig = Self::start(kind, plan)?;
        rig.wait_synced()?;
        wait(START, || plan.api.is_watched())
            .with_context(|| format!("{}: no watches within {START:?}", kind.name))?;
        Ok(rig)
    }

    /// Waits until the last Service is answered; how long it took.
    pub(crate) fn wait_synced(&mut self) -> anyhow::Result<Duration> {
        let last = self.scale.services - 1;
        let took = wait(START, || self.client.is_right(last));
        self.subject.alive()?;
        took.with_context(|| format!("not synced within {START:?}"))
    }

    /// The process id.
    fn pid(&self) -> anyhow::Result<Pid> {
        i32::try_from(self.subject.pid()).ok().and_then(Pid::from_raw).context("a process id")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    /// Writes another Corefile and asks for it to be read.
    pub(crate) fn reload(&self, corefile: &str) -> anyhow::Result<()> {
        std::fs::write(self.dir.path().join("Corefile"), corefile).context("writing a Corefile")?;
        self.signal(Signal::USR1)
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.subject.log).unwrap_or_default()
    }

    /// Asks once for a name outside: the response code, `None` for no reply soon.
    pub(crate) fn outside(&self, name: &str) -> Option<u8> {
        let labels: Vec<String> = name.split('.').map(str::to_owned).collect();
        once(self.addr, &encode(9, &labels), ONCE).and_then(|reply| reply.get(3).map(|flags| flags & 15))
    }

    /// The TTL of a Service's first record.
    pub(crate) fn ttl(&self, number: usize) -> Option<u32> {
        let labels = service_labels(number);
        let query = encode(11, &labels);
        let reply = once(self.addr, &query, ONCE)?;
        // Behind the question an owner, spelled out or a pointer, then type, class, TTL.
        let mut at = query.len();
        while *reply.get(at)? != 0 && *reply.get(at)? < 0xc0 {
            at += usize::from(*reply.get(at)?) + 1;
        }
        at += if *reply.get(at)? == 0 { 1 } else { 2 } + 2 + 2;
        reply.get(at..at + 4).and_then(|four| four.first_chunk()).map(|four| u32::from_be_bytes(*four))
    }

    /// How long until a Service is answered rightly; `None` for not within the bound.
    pub(crate) fn visible(&mut self, number: usize, bound: Duration) -> Option<Duration> {
        wait(bound, || self.client.is_right(number))
    }

    /// The sum of the series of a metric whose names begin so.
    pub(crate) fn metric(&self, start: &str) -> Option<f64> {
        let (_, text) = get(self.metrics, "/metrics")?;
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(start)).collect();
        let values = lines.iter().filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        (!lines.is_empty()).then(|| values.sum())
    }
}

/// A fake API server with a small cluster.
pub(crate) fn small_api() -> FakeApi {
    let api = FakeApi::start();
    api.apply_all(super::objects::all(SMALL));
    api.spell_out();
    api
}

/// A new Service behind those of every cluster; its number.
pub(crate) fn add(api: &FakeApi, nth: usize) -> usize {
    let number = 30_001 + nth;
    let number = if is_headless(number) { 29_000 + nth + 3 } else { number };
    api.apply(service(number));
    number
}

/// Takes it away.
pub(crate) fn remove(api: &FakeApi, number: usize) {
    api.delete(Resource::Services, &namespace_of(number), &name_of(number));
}

/// Polls until something holds; how long it took, `None` for not within the bound.
pub(crate) fn wait(bound: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let clock = Clock::system();
    let begin = clock.now();
    loop {
        if holds() {
            return Some(clock.now().since(begin));
        }
        if clock.now().since(begin) > bound {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Sends a message; the reply, if one comes in time.
fn once(addr: SocketAddr, query: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.connect(addr).ok()?;
    socket.set_read_timeout(Some(patience)).ok()?;
    socket.send(query).ok()?;
    let mut buffer = [0_u8; 2048];
    let length = socket.recv(&mut buffer).ok()?;
    buffer.get(..length).map(<[u8]>::to_vec)
}

/// Asks for a Service over a new TCP connection; how long it took, connecting included.
pub(crate) fn over_tcp(addr: SocketAddr, number: usize) -> anyhow::Result<Duration> {
    let clock = Clock::system();
    let begin = clock.now();
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let query = encode(3, &service_labels(number));
    let mut framed = u16::try_from(query.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(&query);
    stream.write_all(&framed)?;
    let mut head = [0_u8; 6];
    stream.read_exact(&mut head)?;
    if head.get(2..4) != query.get(..2) {
        bail!("a reply to something else");
    }
    Ok(clock.now().since(begin))
}

/// The status and body of a GET; `None` where nobody answers.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// The status of a GET; 0 where nobody answers.
pub(crate) fn status(addr: SocketAddr, path: &str) -> u16 {
    get(addr, path).map_or(0, |(status, _)| status)
}
