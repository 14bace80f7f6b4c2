//! A server under test with the fake API server that it watches.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use signpost::app::{Running, ServeOptions, serve};
use signpost::source::cluster::Timing;
use signpost::time::Clock;

use crate::api::{FakeApi, namespace, service, slice};
use crate::harness::{Ask, Client, Via, expand};

/// The default of `ttl`.
const TTL: u32 = 5;

/// How long a sync may take that nothing stands in the way of.
pub(crate) const SYNC: Duration = Duration::from_secs(5);

/// How long a change may take to be answered while all is well, on a machine that has other work too.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// The names that [`shop`] makes, as asked and as answered.
pub(crate) const SHOP: &[(&str, &str)] = &[
    ("web.shop.svc.Z A", "@ A 10.96.0.1"),
    ("db.shop.svc.Z A", "@ A 10.1.0.1; @ A 10.1.0.2"),
    ("db-0.db.shop.svc.Z A", "@ A 10.1.0.1"),
    ("arpa:10.96.0.1 PTR", "@ PTR web.shop.svc.Z"),
    ("no.shop.svc.Z A", "NX"),
    ("shop.svc.Z A", "NODATA"),
];

/// Times that suit a test which waits for them.
pub(crate) const QUICK: Timing = Timing {
    mute: Duration::from_millis(1500),
    head: Duration::from_secs(30),
    dead: Duration::from_secs(2),
    backoff_min: Duration::from_millis(20),
    backoff_max: Duration::from_millis(400),
    initial_bookmark: Duration::from_millis(500),
};

/// A namespace with a Service and a headless Service of two endpoints.
pub(crate) fn shop() -> Vec<Value> {
    vec![
        namespace("shop"),
        service("shop", "web", "10.96.0.1"),
        slice("shop", "web-1", "web", &["10.1.0.9"]),
        service("shop", "db", "None"),
        slice("shop", "db-1", "db", &["10.1.0.1=db-0", "10.1.0.2=db-1"]),
    ]
}

/// How a server is started.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Lines of the stanza; where none says how the API server is reached, `endpoint` does.
    pub(crate) options: Vec<String>,
    /// Other lines of the block.
    pub(crate) words: Vec<String>,
    /// Times.
    pub(crate) timing: Timing,
    /// The clock, where it is not the system's.
    pub(crate) clock: Option<Clock>,
    /// The stanza's forward zones, where they are not the usual one.
    pub(crate) zones: Option<String>,
}

impl Setup {
    /// With default times.
    pub(crate) fn new(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Self { options, ..Self::default() }
    }

    /// With other times.
    pub(crate) fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// With a clock that the test moves.
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With other forward zones.
    pub(crate) fn zones(mut self, zones: &str) -> Self {
        self.zones = Some(zones.to_owned());
        self
    }

    /// With another line in the block.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    /// The Corefile.
    pub(crate) fn corefile(&self, api: &FakeApi) -> String {
        let mut text = ".:0 {\n    bind 127.0.0.1\n".to_owned();
        for word in &self.words {
            let _ = writeln!(text, "    {word}");
        }
        let zones = self.zones.as_deref().unwrap_or("cluster.local");
        let _ = writeln!(text, "    kubernetes {zones} in-addr.arpa ip6.arpa {{\n        startup_timeout 0s");
        let reached = |option: &String| option.starts_with("endpoint") || option.starts_with("kubeconfig");
        if !self.options.iter().any(reached) {
            let _ = writeln!(text, "        endpoint {}", api.url());
        }
        for option in &self.options {
            let _ = writeln!(text, "        {option}");
        }
        text.push_str("    }\n}\n");
        text
    }

    /// Starts a server; it may not know its cluster yet.
    pub(crate) fn start(self, api: FakeApi) -> World {
        let text = self.corefile(&api);
        let options = ServeOptions {
            text: text.clone(),
            cluster: self.timing,
            clock: self.clock.unwrap_or_else(Clock::system),
            ..ServeOptions::default()
        };
        let running = serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let addr = running.addresses()[0];
        World { client: Client::new(Via::Udp, addr), addr, running, api }
    }

    /// Starts a server and waits until it knows its cluster.
    pub(crate) fn start_synced(self, api: FakeApi) -> World {
        let world = self.start(api);
        world.synced(SYNC);
        world
    }
}

/// A server under test and its API server.
pub(crate) struct World {
    /// A client of the server.
    client: Client,
    /// Where the server is.
    pub(crate) addr: SocketAddr,
    /// The server.
    pub(crate) running: Running,
    /// The API server; last, so that the server ends before it.
    pub(crate) api: FakeApi,
}

impl World {
    /// A synced server with the shop and default options.
    pub(crate) fn shop() -> Self {
        Self::shop_with(Setup::default())
    }

    /// A synced server with the shop.
    pub(crate) fn shop_with(setup: Setup) -> Self {
        let api = FakeApi::start();
        api.apply_all(shop());
        setup.start_synced(api)
    }

    /// Waits for the sync.
    pub(crate) fn synced(&self, within: Duration) {
        assert!(self.running.wait_synced(within), "no sync within {within:?}; {}", self.story());
        // Behind pages the watches open a moment later; where a fault keeps one shut, the test goes on.
        until(Duration::from_millis(500), || self.api.is_watched());
    }

    /// The reply to a question, as text.
    pub(crate) fn ask(&mut self, ask: &str) -> String {
        self.client.ask(&Ask::parse(ask))
    }

    /// Asserts a reply now.
    pub(crate) fn now(&mut self, ask: &str, short: &str) {
        let want = expected(ask, short);
        assert_eq!(self.ask(ask), want, "{ask}: {short}");
    }

    /// Asserts a reply within a time; returns how long it took.
    pub(crate) fn eventually(&mut self, ask: &str, short: &str, within: Duration) -> Duration {
        let want = expected(ask, short);
        let mut got = String::new();
        let took = until(within, || {
            got = self.client.ask(&Ask::parse(ask));
            got == want
        });
        took.unwrap_or_else(|| panic!("{ask} within {within:?}\nwant {want}got  {got}{}", self.story()))
    }

    /// Asserts all names of the shop now.
    pub(crate) fn shop_is_served(&mut self) {
        for (ask, short) in SHOP {
            self.now(ask, short);
        }
    }

    /// The status that `/ready` answers.
    pub(crate) fn ready(&self) -> u16 {
        get(self.running.ready().expect("a line `ready`"), "/ready")
    }

    /// The last requests, to explain a failure.
    fn story(&self) -> String {
        let requests = self.api.requests();
        let mut story = format!("{} requests, the last:\n", requests.len());
        for request in requests.iter().skip(requests.len().saturating_sub(20)) {
            let _ = writeln!(
                story,
                "  {:.3} s {:?} {:?} {} {:?}",
                request.at.as_secs_f64(),
                request.call,
                request.resource,
                request.status,
                request.query
            );
        }
        story
    }
}

/// A whole expected reply.
pub(crate) fn expected(ask: &str, short: &str) -> String {
    expand(short, &Ask::parse(ask), TTL)
}

/// The status of a GET over HTTP.
pub(crate) fn get(addr: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// Polls until something holds; how long it took, `None` when the time is over.
pub(crate) fn until(within: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let clock = Clock::system();
    let start = clock.now();
    loop {
        if holds() {
            return Some(clock.now().since(start));
        }
        if clock.now().since(start) > within {
            return None;
        }
        pass(Duration::from_millis(5));
    }
}

/// Lets time pass where a fault has to last.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Asks for names all along; every wrong reply counts.
pub(crate) struct Steady {
    /// Set to end it.
    stop: Arc<AtomicBool>,
    /// The thread: how many were asked, and what was wrong.
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Steady {
    /// Starts to ask for the names of the shop.
    pub(crate) fn shop(world: &World) -> Self {
        Self::start(
            world.addr,
            SHOP.iter().map(|(ask, short)| (Ask::parse(ask), expected(ask, short))).collect(),
        )
    }

    /// Starts to ask, about 300 times a second.
    pub(crate) fn start(addr: SocketAddr, rows: Vec<(Ask, String)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut client = Client::new(Via::Udp, addr);
            let mut wrong = Vec::new();
            let mut asked = 0;
            for (ask, want) in rows.iter().cycle() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                asked += 1;
                let got = client.ask(ask);
                if got != *want {
                    wrong.push(format!("{}: want {want}got {got}", ask.name));
                }
                pass(Duration::from_millis(3));
            }
            (asked, wrong)
        });
        Self { stop, thread }
    }

    /// Ends it and asserts that every reply was right.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        let (asked, wrong) = self.thread.join().unwrap();
        assert!(asked > 0, "nothing was asked");
        assert!(
            wrong.is_empty(),
            "{} of {asked} replies were wrong, the first:\n{}",
            wrong.len(),
            wrong.iter().take(3).cloned().collect::<String>()
        );
    }
}
