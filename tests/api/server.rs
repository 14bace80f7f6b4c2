//! The fake server: its thread, its listener, its switches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use socket2::{SockFilter, SockRef};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::answer::{After, answer, status_object};
use super::cluster::{Cluster, Event, Resource, Versions};
use super::connection::{Connection, Stream};
use super::fault::{Call, Faults, Rule};
use super::protobuf::{self, Speaks};
use super::tls::{Authority, Pair};

/// A request that came, and how it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// When. Unit: since the fake started.
    pub at: Duration,
    /// What it is about.
    pub resource: Option<Resource>,
    /// What it asks for.
    pub call: Call,
    /// The path.
    pub path: String,
    /// The parameters.
    pub query: BTreeMap<String, String>,
    /// The bearer token.
    pub token: Option<String>,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The status of the reply; 0 for none.
    pub status: u16,
}

/// The objects of a list at its version.
pub type Snapshot = (u64, Arc<Vec<Arc<Value>>>);

/// An object, its text, and its protobuf.
pub type Spelled = (Arc<Value>, Arc<str>, Arc<[u8]>);

/// What the connections share.
pub struct Shared {
    /// When the fake started.
    pub start: Instant,
    /// The state.
    pub cluster: Mutex<Cluster>,
    /// What goes wrong.
    pub faults: Mutex<Faults>,
    /// The token that is required.
    pub token: Mutex<Option<String>>,
    /// Lists that have further pages; `None` once they expired.
    pub snapshots: Mutex<Vec<Option<Snapshot>>>,
    /// Objects as text, made before they are asked for, by where they are in memory; the text has neither kind nor version.
    pub texts: Mutex<HashMap<usize, Spelled>>,
    /// Moves with every change.
    pub changed: watch::Sender<u64>,
    /// The languages.
    pub speaks: Mutex<Speaks>,
    /// How many bytes were sent.
    pub sent: Arc<AtomicU64>,
    /// How often a watch says its version.
    pub bookmark_every: Mutex<Duration>,
    /// When the last change began to be written to a watch.
    pub told: Mutex<Option<Instant>>,
    /// How many times open watches were muted.
    pub muted: AtomicUsize,
    /// How many watches of each resource are open and behind their initial events.
    pub watching: Mutex<HashMap<Resource, usize>>,
    /// All requests.
    requests: Mutex<Vec<Request>>,
    /// How many connections came.
    accepted: AtomicUsize,
    /// Connections are closed as they come.
    slam: AtomicBool,
    /// Packets to us vanish.
    dark: AtomicBool,
    /// The sockets that are open.
    sockets: Mutex<HashMap<usize, OwnedFd>>,
    /// What speaks TLS, for the connections to come.
    acceptor: Mutex<Option<TlsAcceptor>>,
}

impl Shared {
    /// What the connections of a fake with these options share, and who signs its certificates.
    fn new(options: StartOptions) -> (Arc<Self>, Authority) {
        let authority = Authority::new("fake authority 1");
        let acceptor = options.tls.then(|| authority.acceptor(options.client_certificates));
        let shared = Arc::new(Self {
            start: Instant::now(),
            cluster: Mutex::new(Cluster::default()),
            faults: Mutex::new(Faults::default()),
            token: Mutex::new(None),
            snapshots: Mutex::new(Vec::new()),
            texts: Mutex::new(HashMap::new()),
            changed: watch::Sender::new(0),
            speaks: Mutex::new(options.speaks),
            sent: Arc::default(),
            bookmark_every: Mutex::new(Duration::from_millis(500)),
            told: Mutex::new(None),
            muted: AtomicUsize::new(0),
            watching: Mutex::new(HashMap::new()),
            requests: Mutex::new(Vec::new()),
            accepted: AtomicUsize::new(0),
            slam: AtomicBool::new(false),
            dark: AtomicBool::new(false),
            sockets: Mutex::new(HashMap::new()),
            acceptor: Mutex::new(acceptor),
        });
        (shared, authority)
    }

    /// An object as text, without its kind and version.
    pub fn text(&self, object: &Arc<Value>) -> Arc<str> {
        // What is in the table is alive, so no other object is at its place.
        let made = self.texts.lock().get(&Arc::as_ptr(object).addr()).map(|(_, text, _)| text.clone());
        made.unwrap_or_else(|| bare(object).into())
    }

    /// An object as protobuf.
    pub fn protobuf(&self, resource: Resource, object: &Arc<Value>) -> Arc<[u8]> {
        let made = self.texts.lock().get(&Arc::as_ptr(object).addr()).map(|(_, _, bytes)| bytes.clone());
        made.unwrap_or_else(|| protobuf::object(resource, object).into())
    }

    /// Writes a request down; the number is its place.
    pub fn log(&self, request: Request) -> usize {
        let mut requests = self.requests.lock();
        requests.push(request);
        requests.len() - 1
    }

    /// Writes down how a request was answered.
    pub fn answered(&self, number: usize, status: u16) {
        if let Some(request) = self.requests.lock().get_mut(number) {
            request.status = status;
        }
    }
}

/// An object as text without its kind and version, as the items of a list are.
fn bare(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object.to_string()
}

/// Connections in memory.
#[derive(Default)]
struct Memory {
    /// Nobody listens.
    down: AtomicBool,
    /// Who serves the connections.
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Memory {
    /// Does what the accept loop would do.
    fn obey(&self, command: &Command) {
        match command {
            Command::Up => self.down.store(false, Ordering::SeqCst),
            Command::Down => self.down.store(true, Ordering::SeqCst),
            Command::Cut | Command::End => {}
            Command::Dark(_) => panic!("in memory whoever dials makes packets vanish"),
        }
        if !matches!(command, Command::Up) {
            self.tasks.lock().drain(..).for_each(|task| task.abort());
        }
    }
}

/// What the accept loop is told.
enum Command {
    /// Stop listening and reset all connections.
    Down,
    /// Listen again on the same port.
    Up,
    /// Reset all connections.
    Cut,
    /// Make packets vanish, or no longer.
    Dark(bool),
    /// End.
    End,
}

/// How to start.
#[derive(Clone, Copy, Default, Debug)]
pub struct StartOptions {
    /// HTTPS instead of HTTP.
    pub tls: bool,
    /// Clients must show a certificate.
    pub client_certificates: bool,
    /// Starts without listening; the port is kept for `up`.
    pub down: bool,
    /// The languages that it speaks.
    pub speaks: Speaks,
}

/// The fake API server; ends when it is dropped.
pub struct FakeApi {
    /// What the connections share.
    shared: Arc<Shared>,
    /// Where it listens.
    addr: SocketAddr,
    /// How it was started.
    options: StartOptions,
    /// Who signs its certificates.
    authority: Mutex<Authority>,
    /// The way to the accept loop, each command with a way to say that it is done.
    commands: mpsc::UnboundedSender<(Command, std::sync::mpsc::Sender<()>)>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// The connections, where there is no thread.
    memory: Option<Memory>,
}

impl FakeApi {
    /// Starts with plain HTTP and an empty cluster.
    pub fn start() -> Self {
        Self::start_with(StartOptions::default())
    }

    /// Starts.
    pub fn start_with(options: StartOptions) -> Self {
        let (shared, authority) = Shared::new(options);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (commands, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("fake-api".to_owned());
        let shared_there = shared.clone();
        let thread = thread
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener).unwrap();
                    accept(shared_there, addr, listener, receiver).await;
                });
            })
            .unwrap();
        let this = Self {
            shared,
            addr,
            options,
            authority: Mutex::new(authority),
            commands,
            thread: Some(thread),
            memory: None,
        };
        if options.down {
            this.down();
        }
        this
    }

    /// Starts without a thread and without a port: connections are those of `dial`, on the runtime of who dials.
    pub fn in_memory(speaks: Speaks) -> Self {
        let options = StartOptions { speaks, ..StartOptions::default() };
        let (shared, authority) = Shared::new(options);
        Self {
            shared,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            options,
            authority: Mutex::new(authority),
            commands: mpsc::unbounded_channel().0,
            thread: None,
            memory: Some(Memory::default()),
        }
    }

    /// Makes a connection in memory. Errors: nobody listens.
    pub fn dial(&self) -> std::io::Result<DuplexStream> {
        let memory = self.memory.as_ref().expect("a fake in memory");
        if memory.down.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        self.shared.accepted.fetch_add(1, Ordering::SeqCst);
        let (theirs, ours) = tokio::io::duplex(64 << 10);
        let shared = self.shared.clone();
        let task = tokio::spawn(async move { speak(&shared, Box::new(ours)).await });
        memory.tasks.lock().push(task.abort_handle());
        Ok(theirs)
    }

    /// `http://ADDRESS` or `https://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.options.tls { "s" } else { "" }, self.addr)
    }

    /// The authority's certificate as PEM.
    pub fn ca_pem(&self) -> String {
        self.authority.lock().pem()
    }

    /// A client's certificate.
    pub fn client_pair(&self) -> Pair {
        self.authority.lock().issue(&["client"])
    }

    /// Takes a new authority and with it a new certificate; connections are cut.
    pub fn rotate_ca(&self) {
        let authority = Authority::new("fake authority 2");
        *self.shared.acceptor.lock() = Some(authority.acceptor(self.options.client_certificates));
        *self.authority.lock() = authority;
        self.cut();
    }

    /// Changes the state in one step.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = change(&mut self.shared.cluster.lock());
        self.shared.changed.send_modify(|count| *count += 1);
        result
    }

    /// Creates or replaces an object.
    pub fn apply(&self, object: Value) {
        self.edit(|cluster| cluster.apply(object));
    }

    /// Creates or replaces objects in one step.
    pub fn apply_all(&self, objects: impl IntoIterator<Item = Value>) {
        self.edit(|cluster| {
            for object in objects {
                cluster.apply(object);
            }
        });
    }

    /// How long ago the last change began to be written to a watch.
    pub fn since_told(&self) -> Option<Duration> {
        self.shared.told.lock().map(|told| told.elapsed())
    }

    /// Deletes an object.
    pub fn delete(&self, resource: Resource, ns: &str, name: &str) {
        assert!(self.edit(|cluster| cluster.delete(resource, ns, name)), "{resource:?} {ns}/{name}");
    }

    /// Spells all objects out now, so that a list costs the fake nothing but the sending; those that change are spelled out
    /// when they are told, as ever.
    pub fn spell_out(&self) {
        let cluster = self.shared.cluster.lock();
        let mut texts = self.shared.texts.lock();
        texts.clear();
        for resource in Resource::ALL {
            for object in cluster.all(resource) {
                let (text, bytes) = (bare(&object).into(), protobuf::object(resource, &object).into());
                texts.insert(Arc::as_ptr(&object).addr(), (object, text, bytes));
            }
        }
    }

    /// How many bytes of JSON and of protobuf are spelled out.
    pub fn size(&self) -> (usize, usize) {
        let texts = self.shared.texts.lock();
        (texts.values().map(|one| one.1.len()).sum(), texts.values().map(|one| one.2.len()).sum())
    }

    /// Speaks other languages from now on.
    pub fn speaks(&self, speaks: Speaks) {
        *self.shared.speaks.lock() = speaks;
    }

    /// How many bytes it has sent since it started.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// A copy of the state.
    pub fn cluster(&self) -> Cluster {
        self.shared.cluster.lock().clone()
    }

    /// Goes back to an earlier state, as after a restore of etcd; connections are cut.
    pub fn restore(&self, earlier: Cluster, versions: Versions) {
        self.edit(|cluster| cluster.restore(earlier, versions));
        self.expire_pages();
        self.cut();
    }

    /// Makes watches from older versions too old; those that are open go on.
    pub fn compact(&self) {
        self.edit(Cluster::compact);
    }

    /// Makes all continue tokens expire.
    pub fn expire_pages(&self) {
        self.shared.snapshots.lock().iter_mut().for_each(|snapshot| *snapshot = None);
    }

    /// Says a line to the open watches of a resource.
    pub fn inject(&self, resource: Resource, line: impl Into<Vec<u8>>) {
        let line = line.into();
        self.edit(|cluster| cluster.tell(Event::Raw { resource, line, ends: false }));
    }

    /// Ends all open watches with an ERROR event of this code.
    pub fn fail_open_watches(&self, code: u16) {
        let object = status_object(code, "too old resource version");
        let line = format!("{{\"type\":\"ERROR\",\"object\":{object}}}").into_bytes();
        self.edit(|cluster| {
            for resource in Resource::ALL {
                cluster.tell(Event::Raw { resource, line: line.clone(), ends: true });
            }
        });
    }

    /// Makes the watches that are open now say nothing any more; new ones speak.
    pub fn mute_open_watches(&self) {
        self.shared.muted.fetch_add(1, Ordering::SeqCst);
        self.shared.changed.send_modify(|count| *count += 1);
    }

    /// Adds a rule to the plan of faults; the number names it for [`Self::happened`].
    pub fn fault(&self, rule: Rule) -> usize {
        self.shared.faults.lock().add(rule)
    }

    /// Takes all rules away.
    pub fn heal(&self) {
        self.shared.faults.lock().clear();
    }

    /// Takes one rule away.
    pub fn heal_one(&self, number: usize) {
        self.shared.faults.lock().remove(number);
    }

    /// How often a rule came true.
    pub fn happened(&self, number: usize) -> usize {
        self.shared.faults.lock().happened(number)
    }

    /// Requires a bearer token, or none.
    pub fn require_token(&self, token: Option<&str>) {
        *self.shared.token.lock() = token.map(str::to_owned);
    }

    /// Sets how often a watch says its version.
    pub fn bookmark_every(&self, every: Duration) {
        *self.shared.bookmark_every.lock() = every;
    }

    /// Stops listening and resets all connections.
    pub fn down(&self) {
        self.command(Command::Down);
    }

    /// Listens again, on the same port.
    pub fn up(&self) {
        self.command(Command::Up);
    }

    /// Resets all connections.
    pub fn cut(&self) {
        self.command(Command::Cut);
    }

    /// Closes connections as they come, or no longer; each still counts.
    pub fn slam(&self, slam: bool) {
        self.shared.slam.store(slam, Ordering::SeqCst);
        if slam {
            self.cut();
        }
    }

    /// Makes every packet to this server vanish: nothing is acknowledged, refused or reset.
    pub fn black_hole(&self) {
        // The kernel would still send what the open watches say.
        self.mute_open_watches();
        self.command(Command::Dark(true));
    }

    /// Lets packets through again; connections from before are gone without a word.
    pub fn light(&self) {
        self.command(Command::Dark(false));
    }

    /// Whether every resource that was ever asked for is watched now: whatever is said to open watches is heard.
    pub fn is_watched(&self) -> bool {
        let asked: BTreeSet<Resource> =
            self.shared.requests.lock().iter().filter_map(|one| one.resource).collect();
        let watching = self.shared.watching.lock();
        asked.iter().all(|one| watching.get(one).is_some_and(|count| *count > 0))
    }

    /// How many connections came.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.sockets.lock().len()
    }

    /// Requests that came, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }

    /// How many requests of these kinds came for a resource, or for all.
    pub fn count(&self, resource: Option<Resource>, calls: &[Call]) -> usize {
        let wanted = |request: &&Request| {
            calls.contains(&request.call) && (resource.is_none() || request.resource == resource)
        };
        self.shared.requests.lock().iter().filter(wanted).count()
    }

    /// The verbs that were used, with what they were used on.
    pub fn verbs(&self) -> BTreeSet<(String, String)> {
        let name =
            |request: &Request| request.resource.map_or(request.path.clone(), |one| one.plural().to_owned());
        self.shared.requests.lock().iter().map(|one| (one.call.verb().to_owned(), name(one))).collect()
    }

    /// Says something to the accept loop and waits until it is done.
    fn command(&self, command: Command) {
        if let Some(memory) = &self.memory {
            return memory.obey(&command);
        }
        let (done, wait) = std::sync::mpsc::channel();
        self.commands.send((command, done)).ok();
        wait.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        let (done, _) = std::sync::mpsc::channel();
        self.commands.send((Command::End, done)).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Accepts connections and obeys.
async fn accept(
    shared: Arc<Shared>,
    addr: SocketAddr,
    listener: TcpListener,
    mut commands: mpsc::UnboundedReceiver<(Command, std::sync::mpsc::Sender<()>)>,
) {
    let mut listener = Some(listener);
    let mut kept = None;
    let mut tasks = JoinSet::new();
    loop {
        let next = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = next => if let Ok((stream, _)) = accepted {
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                if shared.slam.load(Ordering::SeqCst) {
                    reset(&stream.as_fd().try_clone_to_owned().unwrap());
                    continue;
                }
                stream.set_nodelay(true).ok();
                shared.sockets.lock().insert(number, stream.as_fd().try_clone_to_owned().unwrap());
                tasks.spawn(converse(shared.clone(), stream, number));
            },
            command = commands.recv() => {
                let Some((command, done)) = command else { return };
                match command {
                    Command::Down => if listener.take().is_some() {
                        kept = Some(keep(addr).await);
                        cut(&shared, &mut tasks).await;
                    },
                    Command::Up => if let Some(socket) = kept.take() {
                        listener = Some(socket.listen(1024).unwrap());
                    },
                    Command::Cut => cut(&shared, &mut tasks).await,
                    Command::Dark(true) => {
                        shared.dark.store(true, Ordering::SeqCst);
                        // BPF `ret #0`: the kernel drops every segment before TCP sees it.
                        let drop_all = [SockFilter::new(6, 0, 0, 0)];
                        if let Some(listener) = &listener {
                            SockRef::from(listener).attach_filter(&drop_all).unwrap();
                        }
                        for socket in shared.sockets.lock().values() {
                            SockRef::from(socket).attach_filter(&drop_all).unwrap();
                        }
                    }
                    Command::Dark(false) => {
                        if let Some(listener) = &listener {
                            SockRef::from(listener).detach_filter().ok();
                        }
                        shared.dark.store(false, Ordering::SeqCst);
                    }
                    Command::End => return,
                }
                done.send(()).ok();
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Keeps the port without listening: connections are refused, and nobody else gets it.
async fn keep(addr: SocketAddr) -> TcpSocket {
    for _ in 0..200 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        if socket.bind(addr).is_ok() {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{addr} is taken");
}

/// Resets all connections.
async fn cut(shared: &Shared, tasks: &mut JoinSet<()>) {
    for (_, socket) in shared.sockets.lock().drain() {
        reset(&socket);
    }
    tasks.shutdown().await;
}

/// Makes the close of a socket a reset.
fn reset(socket: &OwnedFd) {
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).ok();
}

/// Serves one connection.
async fn converse(shared: Arc<Shared>, stream: TcpStream, number: usize) {
    let after = serve(&shared, stream).await;
    if let Some(socket) = shared.sockets.lock().remove(&number)
        && after == After::Reset
    {
        reset(&socket);
    }
}

/// Answers requests until the connection ends.
async fn serve(shared: &Arc<Shared>, stream: TcpStream) -> After {
    let acceptor = shared.acceptor.lock().clone();
    let stream: Box<dyn Stream> = match acceptor {
        None => Box::new(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return After::Close,
        },
    };
    speak(shared, stream).await
}

/// Answers the requests that come on a stream.
async fn speak(shared: &Arc<Shared>, stream: Box<dyn Stream>) -> After {
    let mut connection = Connection::new(stream, shared.sent.clone());
    while let Some(head) = connection.request().await {
        let after = answer(shared, &mut connection, &head).await;
        if after != After::Keep {
            return after;
        }
    }
    After::Close
}
