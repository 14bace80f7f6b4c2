//! A running binary, its clients, and bounded waiting.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use rustix::process::{Pid, Signal, kill_process};
use signpost::time::Clock;
use signpost::wire::parse_name;
use tempfile::TempDir;

/// How long anything may take that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How often something is looked at that has to come.
const LOOK: Duration = Duration::from_millis(10);

/// The binary.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A cluster around the test is none of its business.
    command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    command
}

/// Waits until `look` finds something; how long it took, and what.
pub(crate) fn wait<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> (Duration, T) {
    let clock = Clock::system();
    let start = clock.now();
    loop {
        if let Some(found) = look() {
            return (clock.now().since(start), found);
        }
        assert!(clock.now().since(start) < bound, "{what}: not within {bound:?}");
        std::thread::sleep(LOOK);
    }
}

/// A port that was free a moment ago for both protocols.
pub(crate) fn free_port() -> u16 {
    for _ in 0..64 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = udp.local_addr().expect("its number").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both protocols");
}

/// A folder with a Corefile and manifests.
pub(crate) struct Folder {
    /// The folder.
    pub(crate) dir: TempDir,
}

impl Folder {
    /// A folder whose Corefile is `text`, `DIR` standing for the folder `manifests` in it, which holds the shop.
    pub(crate) fn new(text: &str) -> Self {
        let folder = Self { dir: TempDir::new().expect("a folder") };
        std::fs::create_dir(folder.manifests()).expect("a folder");
        folder.write("manifests/shop.yaml", &shop("10.96.0.1"));
        let text = text.replace("DIR", &folder.manifests().to_string_lossy());
        folder.write("Corefile", &text);
        folder
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The manifests.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.path("manifests")
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }
}

/// The manifests of a namespace with a Service `web` at `address`.
pub(crate) fn shop(address: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n---\n{}", service("web", address))
}

/// The manifest of a Service in `shop`.
pub(crate) fn service(name: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  clusterIP: {address}\n  clusterIPs: [{address}]\n  ports: [{{name: http, port: 80}}]\n"
    )
}

/// A Corefile that serves the shop on `port`, with more lines in its block.
pub(crate) fn corefile(port: u16, lines: &str) -> String {
    format!(
        ".:{port} {{\n    bind 127.0.0.1\n{lines}    kubernetes cluster.local in-addr.arpa {{\n        \
         manifests DIR\n    }}\n}}\n"
    )
}

/// A running binary; ended when dropped.
pub(crate) struct Server {
    /// The process.
    child: Child,
    /// Lines of its stdout so far.
    pub(crate) out: Arc<Mutex<Vec<String>>>,
    /// Lines of its stderr so far.
    pub(crate) err: Arc<Mutex<Vec<String>>>,
    /// Where it answers.
    pub(crate) addr: SocketAddr,
}

/// Collects the lines of a pipe.
fn collect(pipe: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let collected = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            collected.lock().expect("nobody panics with it").push(line);
        }
    });
    lines
}

impl Server {
    /// Starts a command that will answer on `port`.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        Self::of_child(command.spawn().expect("the binary starts"), port)
    }

    /// A process that was started and will answer on `port`; collects the pipes that are left.
    pub(crate) fn of_child(mut child: Child, port: u16) -> Self {
        let out = child.stdout.take().map(collect).unwrap_or_default();
        let err = child.stderr.take().map(collect).unwrap_or_default();
        Self { child, out, err, addr: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Starts the binary on a folder's Corefile and waits for the first answer.
    pub(crate) fn of(folder: &Folder, port: u16) -> Self {
        let mut command = binary();
        command.arg("-conf").arg(folder.path("Corefile"));
        let server = Self::start(command, port);
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
        server
    }

    /// Waits until a name has these addresses; how long it took.
    pub(crate) fn wait_for(&self, name: &str, addresses: &[&str], bound: Duration) -> Duration {
        let mut want: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        want.sort();
        let what = format!("{name} {addresses:?}, {:?}", self.err.lock().map(|lines| lines.clone()));
        wait(&what, bound, || {
            let (code, mut got) = self.ask(name)?;
            got.sort();
            (code == if want.is_empty() { 3 } else { 0 } && got == want).then_some(())
        })
        .0
    }

    /// Asks for a name's IPv4 addresses: code and addresses; nothing where no reply comes soon.
    pub(crate) fn ask(&self, name: &str) -> Option<(u16, Vec<IpAddr>)> {
        let reply = self.exchange(&query(name, 1, None))?;
        let addresses = reply
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                _ => None,
            })
            .collect();
        Some((u16::from(reply.metadata.response_code), addresses))
    }

    /// Sends a message over UDP; the reply, if one comes soon.
    pub(crate) fn exchange(&self, message: &[u8]) -> Option<Message> {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.connect(self.addr).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        socket.send(message).ok()?;
        let mut buffer = [0_u8; 2048];
        let length = socket.recv(&mut buffer).ok()?;
        Message::from_vec(buffer.get(..length)?).ok()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; how long it took, and its status.
    pub(crate) fn end(&mut self, bound: Duration) -> (Duration, ExitStatus) {
        let child = &mut self.child;
        wait("the end of the process", bound, || child.try_wait().expect("it is our child"))
    }

    /// Waits for a line of stdout.
    pub(crate) fn wait_for_line(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        wait(what, PATIENCE, || {
            self.out.lock().expect("nobody panics").iter().find(|line| is_it(line)).cloned()
        })
        .1
    }

    /// Lines of stdout so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.out.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A query; with an OPT of this size and DO where `edns` says.
pub(crate) fn query(name: &str, qtype: u16, edns: Option<(u16, bool)>) -> Vec<u8> {
    let id = fastrand::u16(..);
    let mut bytes = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, u16::from(edns.is_some())] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&parse_name(name).expect("a name"));
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    if let Some((size, dnssec_ok)) = edns {
        let [high, low] = size.to_be_bytes();
        bytes.extend_from_slice(&[0, 0, 41, high, low, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    }
    bytes
}

/// Fetches a page: status and body; nothing where nobody listens.
pub(crate) fn fetch(port: u16, path: &str) -> Option<(u16, String)> {
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// What a command says and how it ends, if it ends soon.
pub(crate) struct Said {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its stdout.
    pub(crate) out: String,
    /// Its stderr.
    pub(crate) err: String,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Runs the binary to its end, in a folder.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Said {
    let mut command = binary();
    command.current_dir(dir).args(args);
    let mut server = Server::start(command, 0);
    let (took, status) = server.end(PATIENCE);
    // The pipes end with the process; what was in them is collected now.
    let text = |lines: &Mutex<Vec<String>>| lines.lock().expect("nobody panics with it").join("\n");
    wait("the end of the pipes", PATIENCE, || {
        let settled = Arc::strong_count(&server.out) == 1 && Arc::strong_count(&server.err) == 1;
        settled.then_some(())
    });
    let (out, err) = (text(&server.out), text(&server.err));
    Said { code: status.code(), out, err, took }
}
