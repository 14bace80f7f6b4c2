//! What the transcripts speak of: the demo, a cluster's server, its upstreams, and the server that it takes the place of.
//!
//! Each is the binary itself on the Corefile that the page names. Ports are free ones: those of the page are put into what is
//! run, and back into what is said.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;

use regex::{Captures, Regex};
use tempfile::TempDir;

use crate::process::{PATIENCE, Server, binary, fetch, free_port, wait};
use crate::tree;

/// The Corefiles that are served while the commands run, and a port of each that answers.
const SERVED: [(&str, u16); 4] = [
    ("config/demo/Corefile", 1053),
    ("tests/readme/outside.corefile", 1054),
    ("tests/readme/cluster.corefile", 1153),
    ("tests/readme/old.corefile", 2053),
];

/// What clients ask of the cluster's server before the commands run, and how often: a share of each is a search list's.
const ASKED: [(&str, usize); 4] = [
    ("web.shop.svc.cluster.local.", 40),
    ("cart.shop.svc.cluster.local.", 20),
    ("www.example.org.shop.svc.cluster.local.", 12),
    ("www.example.org.data.svc.cluster.local.", 6),
];

/// Ports of the pages.
const PORTS: [u16; 8] = [1053, 1054, 1055, 1153, 2053, 8080, 8181, 9153];

/// The servers, and a shell that finds the binary.
pub(crate) struct World {
    /// The port that stands for each of the pages'.
    ports: BTreeMap<u16, u16>,
    /// A folder with the binary as `signpost`, and the Corefiles with other ports.
    folder: TempDir,
    /// The servers by their Corefiles.
    servers: BTreeMap<&'static str, Server>,
    /// Holds the port where nobody answers: a socket that is connected elsewhere is told of nothing else.
    _nobody: UdpSocket,
}

/// What a command said.
pub(crate) struct Outcome {
    /// Its stdout and stderr, with the ports of the pages.
    pub(crate) text: String,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

impl World {
    /// Starts all servers and waits until each has what the pages speak of.
    ///
    /// A port that was free may be somebody else's a moment later: then other ones are tried.
    pub(crate) fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("ports that stay free")
    }

    /// The same; `None` where a server has ended.
    fn try_start() -> Option<Self> {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        nobody.connect("127.0.0.1:9").unwrap();
        let refused = nobody.local_addr().unwrap().port();
        let mut ports: BTreeMap<u16, u16> = BTreeMap::new();
        for port in PORTS {
            let mut free = free_port();
            while ports.values().any(|taken| *taken == free) {
                free = free_port();
            }
            ports.insert(port, free);
        }
        ports.insert(1055, refused);
        let folder = TempDir::new().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_signpost"), folder.path().join("signpost")).unwrap();
        let mut world = Self { ports, folder, servers: BTreeMap::new(), _nobody: nobody };
        for (file, port) in SERVED {
            let text = std::fs::read_to_string(tree(file)).unwrap();
            let copy = world.copy(file);
            std::fs::write(&copy, world.there(&text)).unwrap();
            let mut command = binary();
            command.current_dir(tree(".")).arg("-conf").arg(copy);
            let mut server = Server::start(command, world.ports[&port]);
            let (_, serves) = wait(file, PATIENCE, || {
                let serves = server.lines().iter().any(|line| line.starts_with("linux/"));
                (serves || !server.runs()).then_some(serves)
            });
            if !serves {
                return None;
            }
            world.servers.insert(file, server);
        }
        let cluster = &world.servers["tests/readme/cluster.corefile"];
        cluster.wait_for("web.shop.svc.cluster.local.", &["10.96.10.1"], PATIENCE);
        // Names that nobody else asks for, until the upstream that refuses is known to.
        let down = format!("signpost_upstream_up{{to=\"127.0.0.1:{refused}\"}} 0");
        let mut asked = 0;
        wait("the upstream put aside", PATIENCE, || {
            asked += 1;
            cluster.ask(&format!("a{asked}.example.com."));
            fetch(world.ports[&9153], "/metrics").filter(|(_, page)| page.contains(&down))
        });
        for (name, times) in ASKED {
            for _ in 0..times {
                cluster.ask(name).unwrap_or_else(|| panic!("{name} is not answered"));
            }
        }
        Some(world)
    }

    /// The copy of a Corefile.
    fn copy(&self, file: &str) -> PathBuf {
        self.folder.path().join(file.replace('/', "-"))
    }

    /// A text of the pages with the ports of here.
    fn there(&self, text: &str) -> String {
        let pattern = Regex::new(r"(:|-p )(\d+)\b").unwrap();
        let here = |found: &Captures<'_>| {
            let port = found[2].parse().ok().and_then(|port: u16| self.ports.get(&port));
            port.map_or_else(|| found[0].to_owned(), |port| format!("{}{port}", &found[1]))
        };
        pattern.replace_all(text, here).into_owned()
    }

    /// A text of here with the ports of the pages.
    fn back(&self, text: &str) -> String {
        let pattern = Regex::new(r"\b\d{4,5}\b").unwrap();
        let page = |found: &Captures<'_>| {
            let known = self.ports.iter().find(|(_, here)| here.to_string() == found[0]);
            known.map_or_else(|| found[0].to_owned(), |(page, _)| page.to_string())
        };
        let text = pattern.replace_all(text, page).into_owned();
        SERVED.iter().fold(text, |text, (file, _)| text.replace(&*self.copy(file).to_string_lossy(), file))
    }

    /// The server that a command line starts, if it starts one of them.
    fn started(&self, command: &str) -> Option<&Server> {
        let (start, file) = command.rsplit_once("-conf ")?;
        let starts = matches!(start.trim(), "signpost" | "cargo run --release --" | "cargo run --");
        self.servers.get(file).filter(|_| starts)
    }

    /// Whether a command line starts one of the servers, which runs already.
    pub(crate) fn has_started(&self, command: &str) -> bool {
        self.started(command).is_some()
    }

    /// What the server said when it started that a command line starts, up to the three questions that it proposes; `None` for
    /// a command that starts none.
    pub(crate) fn greeting(&self, command: &str) -> Option<String> {
        let server = self.started(command)?;
        let complete = |lines: Vec<String>| {
            let said: Vec<String> = lines.into_iter().filter(|line| !line.starts_with('[')).collect();
            let proposed = said.iter().position(|line| line == "try:")?;
            said.get(proposed + 3).map(|_| said.join("\n"))
        };
        let (_, said) = wait("the greeting", PATIENCE, || complete(server.lines()));
        Some(self.back(&said) + "\n")
    }

    /// Runs a command in a shell at the top of the source tree. What speaks to a server at its usual ports is told the ports of
    /// here. `None` where the program is not on this machine.
    pub(crate) fn run(&self, command: &str) -> Option<Outcome> {
        let mut line = self.there(command);
        let elsewhere = ["--conf", "--manifests", "--admin"].iter().any(|flag| line.contains(flag));
        for command in ["explain", "top", "tap"].iter().filter(|_| !elsewhere) {
            let told = format!("signpost {command} --admin 127.0.0.1:{} ", self.ports[&8080]);
            line = line.replace(&format!("signpost {command} "), &told);
        }
        let (metrics, ready) = (self.ports[&9153], self.ports[&8181]);
        let doctor = format!("signpost doctor --metrics 127.0.0.1:{metrics} --ready 127.0.0.1:{ready}");
        line = line.replace("signpost doctor", &doctor);
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap_or_default());
        let program = line.split_whitespace().next().unwrap_or_default().to_owned();
        let mut shell = Command::new("sh");
        shell.current_dir(tree(".")).env("PATH", path).env("LC_ALL", "C");
        shell.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
        // Both outputs in one, as a terminal shows them.
        shell.arg("-c").arg(format!("command -v {program} >/dev/null || exit 127\nexec 2>&1\n{line}"));
        let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
        if output.status.code() == Some(127) {
            eprintln!("{program} is not on this machine: `{command}` is not run");
            return None;
        }
        Some(Outcome {
            text: self.back(&String::from_utf8(output.stdout).unwrap()),
            code: output.status.code(),
        })
    }
}
