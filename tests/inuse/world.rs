//! The binary as a pod runs it, and what it says over HTTP and in its log.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use crate::api::FakeApi;
use crate::harness::{Ask, Client, Via};
use crate::namespace::{self, SERVER};

/// How long anything may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The port of DNS.
const DNS: u16 = 53;

/// A running binary in the server's network; ended when it is dropped.
pub(crate) struct Server {
    /// The process.
    child: Ended,
    /// All that it said.
    said: Arc<Mutex<Vec<String>>>,
    /// The folder of its Corefile, where it has one of its own.
    folder: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts it with a Corefile of this text, as a pod of a cluster with this API server.
    pub(crate) fn start(text: &str, api: Option<&FakeApi>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Corefile");
        std::fs::write(&path, text).unwrap();
        Self { folder: Some(folder), ..Self::run(Path::new(env!("CARGO_BIN_EXE_signpost")), &path, api) }
    }

    /// Starts a server with the Corefile at a path, as a pod of a cluster with this API server.
    pub(crate) fn run(binary: &Path, corefile: &Path, api: Option<&FakeApi>) -> Self {
        Self::run_with(binary, corefile, api, |_| {})
    }

    /// The same with more on its command line or in its environment.
    pub(crate) fn run_with(
        binary: &Path,
        corefile: &Path,
        api: Option<&FakeApi>,
        more: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "dns"]).arg(binary).arg("-conf").arg(corefile);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
        command.env("DOMAIN", "cluster.local");
        if let Some(api) = api {
            relay(api);
            namespace::account("a pod's token\n", &api.ca_pem());
            api.require_token(Some("a pod's token"));
            command.env("KUBERNETES_SERVICE_HOST", namespace::API).env("KUBERNETES_SERVICE_PORT", "443");
        }
        more(&mut command);
        let mut child = command.spawn().unwrap();
        let said = Arc::default();
        collect(child.stdout.take().unwrap(), &said);
        collect(child.stderr.take().unwrap(), &said);
        Self { child: Ended(child), said, folder: None }
    }

    /// Writes another Corefile in place of the one that is served, and has it looked at.
    pub(crate) fn replace(&self, text: &str) {
        let folder = self.folder.as_ref().unwrap().path();
        let beside: PathBuf = folder.join("Corefile.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, folder.join("Corefile")).unwrap();
        // The command in front of the binary became the binary.
        let process = Pid::from_raw(i32::try_from(self.child.0.id()).unwrap()).unwrap();
        kill_process(process, Signal::USR1).unwrap();
    }

    /// Waits until `done` says so; where it does not, all that the server said is shown.
    pub(crate) fn until(&self, what: &str, within: Duration, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < within, "{what}: not within {within:?}\n{}", self.story());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that the server said.
    pub(crate) fn story(&self) -> String {
        self.said.lock().join("\n")
    }

    /// Asserts that it complained of nothing.
    pub(crate) fn complained_of_nothing(&self) {
        let story = self.story();
        let bad = |line: &&str| {
            // A line of `log` holds codes.
            !line.starts_with("[INFO]")
                && ["ERROR", "WARN", "error", "warning", "panic"].iter().any(|word| line.contains(word))
        };
        let bad: Vec<&str> = story.lines().filter(bad).collect();
        assert!(bad.is_empty(), "{bad:#?} in\n{story}");
    }
}

/// A process that ends when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Collects the lines of a pipe.
fn collect(pipe: impl std::io::Read + Send + 'static, to: &Arc<Mutex<Vec<String>>>) {
    let lines = to.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().push(line);
        }
    });
}

/// Passes connections to the API server's address of the cluster on to where it really listens.
fn relay(api: &FakeApi) {
    // A second server of the same test has it already.
    static ONCE: std::sync::Once = std::sync::Once::new();
    if ONCE.is_completed() {
        return;
    }
    ONCE.call_once(|| {});
    let ip: IpAddr = namespace::API.parse().unwrap();
    let listener = TcpListener::bind((ip, 443)).unwrap();
    let to: SocketAddr = api.url().rsplit('/').next().unwrap().parse().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(to) else { continue };
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
}

/// A Corefile of the tests.
pub(crate) fn corefile(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corefiles/in_use/{name}/Corefile"));
    std::fs::read_to_string(path).unwrap()
}

/// Asks the server at an address; the reply as the harness prints it.
pub(crate) fn ask_at(address: &str, via: Via, ask: &str) -> String {
    let to = SocketAddr::new(address.parse().unwrap(), DNS);
    Client::new(via, to).ask(&Ask::parse(ask))
}

/// Asks the server over UDP and over TCP; both replies must be the same but for TTLs that fell. The one over UDP.
pub(crate) fn ask(ask: &str) -> String {
    let [udp, tcp] = [Via::Udp, Via::Tcp].map(|via| ask_at(SERVER, via, ask));
    assert_eq!(brief(&udp), brief(&tcp), "{ask}");
    udp
}

/// A reply in brief: its code, then the type and the data of each answer.
pub(crate) fn brief(reply: &str) -> String {
    let mut words = vec![reply.split_whitespace().next().unwrap_or_default().to_owned()];
    for line in reply.lines().filter_map(|line| line.strip_prefix("answer ")) {
        words.extend(line.split(' ').skip(2).map(str::to_owned));
    }
    words.join(" ")
}

/// The TTLs of a reply's answers, and of its SOA.
pub(crate) fn ttls(reply: &str) -> Vec<u32> {
    let records = reply.lines().filter(|line| line.starts_with("answer ") || line.starts_with("authority "));
    records.map(|line| line.split(' ').nth(2).unwrap().parse().unwrap()).collect()
}

/// Fetches a page; status and body, nothing where nobody listens.
pub(crate) fn fetch(address: &str, port: u16, path: &str) -> Option<(u16, String)> {
    let addr = SocketAddr::new(address.parse().unwrap(), port);
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// The sum of all series of a family whose labels hold all of these words.
pub(crate) fn metric(page: &str, family: &str, words: &[&str]) -> f64 {
    let lines = page.lines().filter(|line| {
        line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && words.iter().all(|word| line.contains(word))
    });
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}
