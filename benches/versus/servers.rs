//! The servers: how each is started on the same data, asked whether it is right, and ended.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};

use super::data::{MANIFESTS, OUTSIDE, Work, ZONE};
use super::measure;

/// How long a server may take to read the data.
const START: Duration = Duration::from_secs(30);

/// How often a server is started anew, on another port.
const STARTS: usize = 3;

/// How long it is waited between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(3);

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The bare echo with our worker's calls: what all others are compared with.
    Echo,
    /// The echo that looks again before it waits.
    EchoAgain,
    /// The echo in blocking calls.
    EchoBlocking,
    /// The echo with two system calls a query.
    EchoPlain,
    /// The echo in tokio.
    EchoTokio,
    /// This server.
    Ours,
    /// hickory-server with our zone handler.
    Hickory,
    /// NSD with a zone file.
    Nsd,
    /// Unbound as a forwarder.
    Unbound,
    /// dnsmasq as a forwarder.
    Dnsmasq,
    /// CoreDNS with the same Corefile and the same API server.
    CoreDns,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 11] = [
        Self::Echo,
        Self::EchoAgain,
        Self::EchoBlocking,
        Self::EchoPlain,
        Self::EchoTokio,
        Self::Ours,
        Self::Hickory,
        Self::Nsd,
        Self::Unbound,
        Self::Dnsmasq,
        Self::CoreDns,
    ];

    /// Whether it can do this work: only some have the cluster zone, only some forward, and an echo knows datagrams only.
    pub(crate) fn does(self, work: Work) -> bool {
        match self {
            Self::Ours | Self::CoreDns => true,
            _ if work.mode() != "udp" || work == Work::Logged && !self.is_echo() => false,
            Self::Hickory | Self::Nsd => !work.forwarded(),
            Self::Unbound | Self::Dnsmasq => matches!(work, Work::Cached | Work::New),
            // The other echoes are there to compare ways to wait: one kind of work is enough for that.
            Self::EchoAgain | Self::EchoBlocking | Self::EchoPlain | Self::EchoTokio => {
                work == Work::ClusterIp
            }
            Self::Echo => true,
        }
    }

    /// As flags and tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::EchoAgain => "echo-again",
            Self::EchoBlocking => "echo-blocking",
            Self::EchoPlain => "echo-plain",
            Self::EchoTokio => "echo-tokio",
            Self::Ours => "ours",
            Self::Hickory => "hickory",
            Self::Nsd => "nsd",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::CoreDns => "coredns",
        }
    }

    /// Whether it answers without knowing anything.
    pub(crate) fn is_echo(self) -> bool {
        match self {
            Self::Echo | Self::EchoAgain | Self::EchoBlocking | Self::EchoPlain | Self::EchoTokio => true,
            Self::Ours | Self::Hickory | Self::Nsd | Self::Unbound | Self::Dnsmasq | Self::CoreDns => false,
        }
    }

    /// Why it cannot be run here; `None` where it can.
    pub(crate) fn hindrance(self) -> Option<String> {
        match self {
            Self::Echo | Self::EchoAgain | Self::EchoBlocking | Self::EchoPlain | Self::EchoTokio => None,
            Self::Ours | Self::Hickory => None,
            Self::Nsd | Self::Unbound | Self::Dnsmasq if system(self.name()).is_none() => {
                Some(format!("there is no `{}` on PATH or in /usr/sbin", self.name()))
            }
            Self::Nsd | Self::Unbound | Self::Dnsmasq => None,
            Self::CoreDns if coredns().is_none() => Some("COREDNS_BIN names no file".to_owned()),
            Self::CoreDns => None,
        }
    }

    /// What it says about its version, for the report.
    pub(crate) fn version(self) -> Option<String> {
        let (program, flag) = match self {
            Self::Nsd => (system("nsd")?, "-v"),
            Self::Unbound => (system("unbound")?, "-V"),
            Self::Dnsmasq => (system("dnsmasq")?, "-v"),
            Self::CoreDns => (coredns()?, "-version"),
            _ => return None,
        };
        let output = Command::new(program).arg(flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
    }
}

/// Whether a program is on PATH.
pub(crate) fn installed(program: &str) -> bool {
    on_path(program).is_some()
}

/// Where a program is on PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Where a system's server is: often not on the PATH of a user.
fn system(name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| Some(Path::new("/usr/sbin").join(name)).filter(|file| file.is_file()))
}

/// Where CoreDNS is.
fn coredns() -> Option<PathBuf> {
    std::env::var_os("COREDNS_BIN").map(PathBuf::from).filter(|file| file.is_file())
}

/// Where and on what a server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The folder with the data.
    pub(crate) dir: &'a Path,
    /// What it listens on.
    pub(crate) listen: IpAddr,
    /// Its core.
    pub(crate) core: usize,
    /// What an echo adds. Unit: bytes.
    pub(crate) pad: usize,
    /// Whom to ask for names outside.
    pub(crate) upstream: SocketAddr,
    /// The URL of the API server.
    pub(crate) api: &'a str,
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where to ask it.
    pub(crate) addr: SocketAddr,
    /// The process.
    child: Child,
}

impl Server {
    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let family = measure::family(self.pid());
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let mut waited = Duration::ZERO;
        while waited < END && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Its own processes first: they were started by ours, and nobody else ends them.
            for pid in family.into_iter().rev() {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
            let _ = self.child.wait();
        }
    }
}

/// Starts the upstream of all: NSD with the zone of names outside. Its answers are not waited for.
pub(crate) fn upstream(dir: &Path, core: usize) -> anyhow::Result<Server> {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a port")?.local_addr()?.port();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let own = dir.join("upstream");
    std::fs::create_dir_all(&own).context("making the upstream's folder")?;
    std::fs::copy(dir.join(OUTSIDE), own.join(OUTSIDE)).context("copying the upstream's zone")?;
    let file = own.join("nsd.conf");
    std::fs::write(&file, nsd_config(addr, &own, "example.org", OUTSIDE)).context("writing nsd.conf")?;
    let mut command = Command::new(system("nsd").context("names outside need `nsd` as their upstream")?);
    command.arg("-d").arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = measure::spawn_on(core, &mut command).context("starting the upstream")?;
    Ok(Server { kind: Kind::Nsd, addr, child })
}

/// Starts a server and waits until it answers, rightly unless it is an echo; says what its reply looks like.
pub(crate) fn start(kind: Kind, work: Work, place: &Place<'_>) -> anyhow::Result<(Server, Reply)> {
    let mut tries = 1;
    loop {
        let mut server = spawn(kind, work, place)?;
        match wait_until_right(&mut server, work) {
            Ok(reply) => return Ok((server, reply)),
            // Somebody else may have taken the port meanwhile.
            Err(_) if tries < STARTS => tries += 1,
            Err(error) => return Err(error.context(format!("asking {} for {}", kind.name(), work.name()))),
        }
    }
}

/// Starts the process of a server.
fn spawn(kind: Kind, work: Work, place: &Place<'_>) -> anyhow::Result<Server> {
    // Free now; nobody else is expected to take it before the server does.
    let port = UdpSocket::bind((place.listen, 0)).context("finding a port")?.local_addr()?.port();
    let bound = SocketAddr::new(place.listen, port);
    let dir = place.dir;
    let mut command = match kind {
        Kind::Echo => echo("--echo", bound, place)?,
        Kind::EchoAgain => echo("--echo-again", bound, place)?,
        Kind::EchoBlocking => echo("--echo-blocking", bound, place)?,
        Kind::EchoPlain => echo("--echo-plain", bound, place)?,
        Kind::EchoTokio => echo("--echo-tokio", bound, place)?,
        Kind::Ours => {
            let file = dir.join("Corefile.ours");
            std::fs::write(&file, corefile(work, port, place)?).context("writing a Corefile")?;
            let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
            command.arg("-conf").arg(file);
            command
        }
        Kind::Hickory => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("--hickory").arg(bound.to_string()).arg(dir.join(MANIFESTS));
            command
        }
        Kind::Nsd => {
            let file = dir.join("nsd.conf");
            std::fs::write(&file, nsd_config(bound, dir, "cluster.local", ZONE))
                .context("writing nsd.conf")?;
            let mut command = Command::new(system("nsd").context("there is no nsd")?);
            command.arg("-d").arg("-c").arg(file);
            command
        }
        Kind::Unbound => {
            let file = dir.join("unbound.conf");
            let text = format!(
                "server:\n  interface: {}@{port}\n  num-threads: 1\n  username: \"\"\n  chroot: \"\"\n  directory: \"{dir}\"\n  \
                 pidfile: \"{dir}/unbound.pid\"\n  use-syslog: no\n  module-config: \"iterator\"\n  do-not-query-localhost: no\n  \
                 access-control: 127.0.0.0/8 allow\n  msg-cache-size: 64m\n  rrset-cache-size: 128m\n  outgoing-range: 4096\n  \
                 num-queries-per-thread: 2048\nremote-control:\n  control-enable: no\n\
                 forward-zone:\n  name: \".\"\n  forward-addr: {}@{}\n",
                place.listen,
                place.upstream.ip(),
                place.upstream.port(),
                dir = dir.display(),
            );
            std::fs::write(&file, text).context("writing unbound.conf")?;
            let mut command = Command::new(system("unbound").context("there is no unbound")?);
            command.arg("-d").arg("-c").arg(file);
            command
        }
        Kind::Dnsmasq => {
            let mut command = Command::new(system("dnsmasq").context("there is no dnsmasq")?);
            command
                .args([
                    "--keep-in-foreground",
                    "--no-resolv",
                    "--no-hosts",
                    "--user=root",
                    "--conf-file=/dev/null",
                ])
                .args(["--cache-size=20000", "--dns-forward-max=2000", "--pid-file="])
                .arg(format!("--port={port}"))
                .arg(format!("--server={}#{}", place.upstream.ip(), place.upstream.port()));
            command
        }
        Kind::CoreDns => {
            let file = dir.join("Corefile.coredns");
            std::fs::write(&file, corefile(work, port, place)?).context("writing a Corefile")?;
            let mut command = Command::new(coredns().context("there is no CoreDNS")?);
            command.arg("-conf").arg(file);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if kind != Kind::Ours {
        command.stderr(Stdio::null());
    }
    let child =
        measure::spawn_on(place.core, &mut command).with_context(|| format!("starting {}", kind.name()))?;
    let ip = if place.listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { place.listen };
    Ok(Server { kind, addr: SocketAddr::new(ip, port), child })
}

/// kubeadm's Corefile, for the cluster and the upstream of this bench and with ports of its own: nothing is switched off. What
/// is kept is kept for as long as the upstream says, by every server here.
fn corefile(work: Work, port: u16, place: &Place<'_>) -> anyhow::Result<String> {
    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a port")?);
    }
    let mut ports = ports.iter().map(|listener| listener.local_addr().map(|addr| addr.port()));
    let mut next = || ports.next().context("no port")?.context("finding a port");
    let (health, ready, metrics) = (next()?, next()?, next()?);
    let (scheme, extra) = match work {
        Work::Tls => {
            let (cert, key) = (place.dir.join(CERTIFICATE), place.dir.join(KEY));
            ("tls://", format!("    tls {} {}\n", cert.display(), key.display()))
        }
        Work::Logged => ("", "    log\n".to_owned()),
        _ => ("", String::new()),
    };
    Ok(format!(
        "{scheme}.:{port} {{\n    bind {listen}\n{extra}    errors\n    health 127.0.0.1:{health} {{\n       lameduck 0s\n    }}\n    \
         ready 127.0.0.1:{ready}\n    kubernetes cluster.local in-addr.arpa ip6.arpa {{\n       endpoint {api}\n       pods insecure\n       \
         fallthrough in-addr.arpa ip6.arpa\n       ttl 30\n    }}\n    prometheus 127.0.0.1:{metrics}\n    forward . {upstream} {{\n       \
         max_concurrent 1000\n    }}\n    cache 3600 {{\n       success 20000\n       disable success cluster.local\n       \
         disable denial cluster.local\n    }}\n    loop\n    reload\n    loadbalance\n}}\n",
        listen = place.listen,
        api = place.api,
        upstream = place.upstream,
    ))
}

/// File of the certificate.
pub(crate) const CERTIFICATE: &str = "tls.crt";

/// File of its key.
pub(crate) const KEY: &str = "tls.key";

/// Makes a certificate for those who serve TLS.
pub(crate) fn certificate(dir: &Path) -> anyhow::Result<()> {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).context("making a certificate")?;
    std::fs::write(dir.join(CERTIFICATE), made.cert.pem()).context("writing a certificate")?;
    std::fs::write(dir.join(KEY), made.signing_key.serialize_pem()).context("writing a key")
}

/// An echo of this program.
fn echo(flag: &str, bound: SocketAddr, place: &Place<'_>) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([flag, &bound.to_string(), "--pad", &place.pad.to_string()]);
    Ok(command)
}

/// NSD without limits, control and daemon; one process answers.
fn nsd_config(bound: SocketAddr, dir: &Path, zone: &str, file: &str) -> String {
    let dir = dir.display();
    format!(
        "server:\n  server-count: 1\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{dir}\"\n  database: \"\"\n  \
         pidfile: \"{dir}/nsd.pid\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  xfrdir: \"{dir}\"\n  zonelistfile: \"{dir}/zone.list\"\n  \
         logfile: \"{dir}/nsd.log\"\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n\
         remote-control:\n  control-enable: no\n\
         zone:\n  name: {zone}\n  zonefile: \"{file}\"\n",
        bound.ip(),
        bound.port()
    )
}

/// What a server replied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// Size of the query. Unit: bytes.
    pub(crate) query: usize,
    /// Size of the reply. Unit: bytes.
    pub(crate) length: usize,
    /// Response code.
    rcode: u8,
    /// Answer records.
    answers: usize,
    /// Whether it was cut.
    truncated: bool,
}

/// Asks one question.
fn ask(addr: SocketAddr, work: Work, number: usize) -> anyhow::Result<Reply> {
    ask_for(addr, &work.question(number), work.qtype(), work.edns())
}

/// How much longer replies of this work are than their queries, on average over its look-ups. Unit: bytes.
pub(crate) fn growth(addr: SocketAddr, work: Work) -> anyhow::Result<usize> {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut grown, mut asked) = (0, 0);
    for number in 1..=100 {
        for (name, kind) in work.look_up(number * 97, &mut rng) {
            let qtype = match kind {
                "AAAA" => 28,
                "SRV" => 33,
                _ => 1,
            };
            let reply = ask_for(addr, &name, qtype, work.edns())?;
            grown += reply.length.saturating_sub(reply.query);
            asked += 1;
        }
    }
    Ok(grown / asked.max(1))
}

/// Asks for a name and a type.
fn ask_for(addr: SocketAddr, name: &str, qtype: u16, edns: bool) -> anyhow::Result<Reply> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in name.split('.') {
        query.push(u8::try_from(label.len())?);
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&qtype.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    if edns {
        query.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    }
    let socket = UdpSocket::bind(SocketAddr::new(
        if addr.is_ipv6() { std::net::Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() },
        0,
    ))?;
    socket.set_read_timeout(Some(PAUSE * 10))?;
    socket.connect(addr)?;
    socket.send(&query)?;
    let mut reply = [0_u8; 4096];
    let length = socket.recv(&mut reply)?;
    let byte = |at: usize| reply.get(at).copied().unwrap_or(0);
    Ok(Reply {
        query: query.len(),
        length,
        rcode: byte(3) & 0xf,
        answers: usize::from(u16::from_be_bytes([byte(6), byte(7)])),
        truncated: byte(2) & 2 != 0,
    })
}

/// Waits until a server gives the right answer, whole; of an echo, any.
fn wait_until_right(server: &mut Server, work: Work) -> anyhow::Result<Reply> {
    let mut waited = Duration::ZERO;
    loop {
        let reply = match work {
            // Whoever speaks TLS only is right as soon as it takes connections; dnsperf counts its codes.
            Work::Tls => match std::net::TcpStream::connect(server.addr) {
                Ok(_) => return Ok(Reply { query: 0, length: 0, rcode: 0, answers: 0, truncated: false }),
                Err(error) => Err(error.into()),
            },
            _ => ask(server.addr, work, 4321),
        };
        let fault = match reply {
            Ok(reply) if server.kind.is_echo() => return Ok(reply),
            Ok(reply) if (reply.rcode, reply.answers) == work.right() && !reply.truncated => {
                return Ok(reply);
            }
            Ok(reply) => anyhow::anyhow!("this is not right: {reply:?}"),
            Err(error) => error,
        };
        if let Some(status) = server.child.try_wait()? {
            bail!("it ended with {status}");
        }
        if waited >= START {
            return Err(fault);
        }
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}
