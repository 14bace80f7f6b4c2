//! The servers: each with the same local names, the same upstreams, and a cache of a chosen size.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use signpost::time::Clock;

use super::asker;
use super::say;
use super::subject::{Subject, free_address};

/// Local names, like those of a cluster.
pub(crate) const SERVICES: usize = 100;

/// How long a server may take to answer its first local question.
const START: Duration = Duration::from_secs(15);

/// How long it is waited between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// This one.
    Ours,
    /// CoreDNS, its local names from a zone file: its `kubernetes` plugin needs an API server.
    CoreDns,
    /// Unbound.
    Unbound,
    /// dnsmasq.
    Dnsmasq,
}

/// A server that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Which.
    pub(crate) what: What,
    /// The program.
    program: PathBuf,
}

impl Kind {
    /// A program.
    #[allow(dead_code, reason = "only the battery names its programs")]
    pub(crate) fn new(what: What, program: PathBuf) -> Self {
        Self { what, program }
    }

    /// As tables call it.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            What::Ours => "signpost",
            What::CoreDns => "CoreDNS",
            What::Unbound => "Unbound",
            What::Dnsmasq => "dnsmasq",
        }
    }

    /// What it says about its version; `None` for ours.
    pub(crate) fn version(&self) -> Option<String> {
        let flag = match self.what {
            What::Ours => return None,
            What::CoreDns => "-version",
            What::Unbound => "-V",
            What::Dnsmasq => "-v",
        };
        let output = Command::new(&self.program).arg(flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
        Some(format!("{}: {line}", self.name()))
    }
}

/// Those of the servers that are there, by their names as flags have them; all where none is named.
pub(crate) fn found(names: &[String], server: Option<PathBuf>) -> anyhow::Result<Vec<Kind>> {
    let ours = server.unwrap_or_else(|| env!("CARGO_BIN_EXE_signpost").into());
    let coredns = std::env::var_os("COREDNS_BIN").map(PathBuf::from).filter(|file| file.is_file());
    let all = [
        ("ours", What::Ours, Some(ours)),
        ("coredns", What::CoreDns, coredns),
        ("unbound", What::Unbound, installed("unbound")),
        ("dnsmasq", What::Dnsmasq, installed("dnsmasq")),
    ];
    if let Some(name) = names.iter().find(|name| all.iter().all(|(known, ..)| known != name)) {
        bail!("`{name}` is none of: ours, coredns, unbound, dnsmasq");
    }
    let mut kinds = Vec::new();
    for (name, what, program) in all {
        match program {
            _ if !names.is_empty() && names.iter().all(|wanted| wanted != name) => {}
            Some(program) => kinds.push(Kind { what, program }),
            None => say(&format!("{name} is left out: it is not installed, or COREDNS_BIN names no file")),
        }
    }
    Ok(kinds)
}

/// Where a program is: often not on the PATH of a user.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// How much a cache holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hold {
    /// As a cluster has it (kubeadm's Corefile), or as the server has it unless told.
    Usual,
    /// So many bytes by the server's own account, where it has one; so many entries where it has none.
    Size {
        /// Unit: bytes.
        bytes: u64,
        /// Answers.
        entries: u64,
    },
}

/// How a server is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Whom to ask for names outside.
    pub(crate) upstreams: &'a [SocketAddr],
    /// The most questions under way, where the server has such a bound (`max_concurrent`).
    pub(crate) most: Option<u32>,
    /// Its cache.
    pub(crate) hold: Hold,
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    /// The process.
    pub(crate) subject: Subject,
    /// Where to ask it.
    pub(crate) addr: SocketAddr,
    /// Its files.
    _dir: tempfile::TempDir,
}

/// A local name.
pub(crate) fn local(number: usize) -> String {
    format!("svc-{:02}.shop.svc.cluster.local", number % SERVICES)
}

/// Its address.
fn address(number: usize) -> String {
    format!("10.96.0.{}", number + 1)
}

/// Starts a server and waits until it answers a local question; its upstreams are not asked.
pub(crate) fn start(kind: &Kind, setup: &Setup<'_>) -> anyhow::Result<Server> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let addr = free_address()?;
    let command = match kind.what {
        What::Ours | What::CoreDns => {
            let file = dir.path().join("Corefile");
            let local = match kind.what {
                What::Ours => manifests(dir.path())?,
                _ => zone(dir.path())?,
            };
            std::fs::write(&file, corefile(&local, setup, addr)).context("writing a Corefile")?;
            let mut command = Command::new(&kind.program);
            command.arg("-conf").arg(file);
            command
        }
        What::Unbound => {
            let file = dir.path().join("unbound.conf");
            std::fs::write(&file, unbound(setup, addr, dir.path())?).context("writing unbound.conf")?;
            let mut command = Command::new(&kind.program);
            command.arg("-d").arg("-c").arg(file);
            command
        }
        What::Dnsmasq => dnsmasq(&kind.program, setup, addr),
    };
    let subject = Subject::run(command, dir.path())?;
    let mut server = Server { subject, addr, _dir: dir };
    let clock = Clock::system();
    let begin = clock.now();
    while !asker::is_answered(addr, &local(0)) {
        server.subject.alive()?;
        if clock.now().since(begin) > START {
            bail!("{} does not answer within {START:?}", kind.name());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(server)
}

/// The Corefile of kubeadm without its HTTP ports; `names` is the line with the local names.
fn corefile(names: &str, setup: &Setup<'_>, addr: SocketAddr) -> String {
    let upstreams: Vec<String> = setup.upstreams.iter().map(SocketAddr::to_string).collect();
    let most = setup.most.map_or(String::new(), |most| format!("    max_concurrent {most}\n"));
    let cache = match setup.hold {
        Hold::Usual => {
            "  cache 30 {\n    disable success cluster.local\n    disable denial cluster.local\n  }\n"
                .to_owned()
        }
        Hold::Size { entries, .. } => format!("  cache 3600 {{\n    success {entries}\n  }}\n"),
    };
    format!(
        ".:{} {{\n  bind {}\n  errors\n{names}  forward . {} {{\n{most}  }}\n{cache}  loop\n  reload\n  loadbalance\n}}\n",
        addr.port(),
        addr.ip(),
        upstreams.join(" "),
    )
}

/// Writes the local names as manifests; returns the Corefile's lines.
fn manifests(dir: &Path) -> anyhow::Result<String> {
    let folder = dir.join("manifests");
    std::fs::create_dir(&folder).context("making a folder")?;
    let mut text = String::from("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n");
    for number in 0..SERVICES {
        let ip = address(number);
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: svc-{number:02}\n  namespace: shop\nspec:\n  \
             clusterIP: {ip}\n  clusterIPs: [{ip}]\n  ports:\n  - port: 80\n"
        )?;
    }
    std::fs::write(folder.join("services.yaml"), text).context("writing manifests")?;
    Ok(format!(
        "  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    manifests {}\n    ttl 30\n  }}\n",
        folder.display()
    ))
}

/// Writes the local names as a zone; returns the Corefile's line.
fn zone(dir: &Path) -> anyhow::Result<String> {
    let file = dir.join("zone");
    let mut text = String::from(
        "$ORIGIN cluster.local.\n$TTL 30\n@ IN SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ IN NS ns.dns\nns.dns IN A 127.0.0.1\n",
    );
    for number in 0..SERVICES {
        writeln!(text, "{}. IN A {}", local(number), address(number))?;
    }
    std::fs::write(&file, text).context("writing a zone")?;
    Ok(format!("  file {} cluster.local\n", file.display()))
}

/// Unbound as a forwarder.
fn unbound(setup: &Setup<'_>, addr: SocketAddr, dir: &Path) -> anyhow::Result<String> {
    let dir = dir.display();
    let mut text = format!(
        "server:\n  interface: {}@{}\n  num-threads: 2\n  so-reuseport: yes\n  username: \"\"\n  chroot: \"\"\n  directory: \"{dir}\"\n  \
         pidfile: \"{dir}/unbound.pid\"\n  use-syslog: no\n  module-config: \"iterator\"\n  do-not-query-localhost: no\n  \
         access-control: 127.0.0.0/8 allow\n  outgoing-range: 4096\n  num-queries-per-thread: 2048\n  \
         local-zone: \"cluster.local.\" static\n",
        addr.ip(),
        addr.port(),
    );
    for number in 0..SERVICES {
        writeln!(text, "  local-data: \"{}. 30 A {}\"", local(number), address(number))?;
    }
    if let Hold::Size { bytes, .. } = setup.hold {
        // Its manual: twice as much for records as for messages.
        writeln!(text, "  msg-cache-size: {}\n  rrset-cache-size: {}", bytes / 3, bytes / 3 * 2)?;
    }
    text.push_str("remote-control:\n  control-enable: no\nforward-zone:\n  name: \".\"\n");
    for upstream in setup.upstreams {
        writeln!(text, "  forward-addr: {}@{}", upstream.ip(), upstream.port())?;
    }
    Ok(text)
}

/// dnsmasq as a forwarder.
fn dnsmasq(program: &Path, setup: &Setup<'_>, addr: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.args([
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--conf-file=/dev/null",
        "--bind-interfaces",
        "--local=/cluster.local/",
        "--pid-file=",
    ]);
    command.arg(format!("--listen-address={}", addr.ip())).arg(format!("--port={}", addr.port()));
    command.arg(format!("--dns-forward-max={}", setup.most.unwrap_or(2000)));
    if let Hold::Size { entries, .. } = setup.hold {
        command.arg(format!("--cache-size={entries}"));
    }
    for upstream in setup.upstreams {
        command.arg(format!("--server={}#{}", upstream.ip(), upstream.port()));
    }
    for number in 0..SERVICES {
        command.arg(format!("--host-record={},{}", local(number), address(number)));
    }
    command
}
