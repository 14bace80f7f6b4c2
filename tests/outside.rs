//! Names outside the cluster through the whole server: aliases that lead there (rules K-130 to K-144), `families` (rule F-08),
//! and upstreams that are asked over TLS, HTTPS and QUIC (rules F-01, F-30 to F-33).

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]
#![allow(dead_code, reason = "each test binary uses a part of what it shares")]

#[path = "scenarios/bytes.rs"]
mod bytes;
#[path = "outside/encrypted.rs"]
mod encrypted;
#[path = "outside/external_names.rs"]
mod external_names;
#[path = "outside/families.rs"]
mod families;
mod harness;
#[path = "outside/script.rs"]
mod script;
#[path = "outside/servers.rs"]
mod servers;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use signpost::app::{Running, ServeOptions, serve};
use signpost::time::{Clock, Wall};
use tempfile::TempDir;

use bytes::Got;
use harness::{Ask, Client, PATIENCE, Via};

/// A server under test.
struct World {
    /// The server.
    running: Running,
    /// Its clock: the test's, unless time passes by itself.
    clock: Clock,
}

impl World {
    /// A server of one block with these lines, on a clock that the test moves.
    fn new(lines: &str) -> Self {
        Self::on(lines, Clock::manual(Wall(1_700_000_000)))
    }

    /// The same while time passes.
    fn in_time(lines: &str) -> Self {
        Self::on(lines, Clock::system())
    }

    /// The same on a clock.
    fn on(lines: &str, clock: Clock) -> Self {
        Self::whole(&format!(".:0 {{\n    bind 127.0.0.1\n{lines}\n}}\n"), clock)
    }

    /// A server of this Corefile, on a clock that the test moves.
    fn text(text: &str) -> Self {
        Self::whole(text, Clock::manual(Wall(1_700_000_000)))
    }

    /// A server of this Corefile on a clock.
    fn whole(text: &str, clock: Clock) -> Self {
        Self::with(ServeOptions { text: text.to_owned(), clock, ..ServeOptions::default() })
    }

    /// A server of these options.
    fn with(options: ServeOptions) -> Self {
        let (clock, text) = (options.clock.clone(), options.text.clone());
        let running = serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(running.wait_synced(PATIENCE), "no sync");
        Self { running, clock }
    }

    /// Asks over UDP; the reply as the harness prints it.
    fn ask(&self, ask: &str) -> String {
        Client::new(Via::Udp, self.running.addresses()[0]).ask(&Ask::parse(ask))
    }

    /// Asks over UDP with EDNS; code and text of the extended error are told apart.
    fn got(&self, name: &str, qtype: u16) -> Got {
        let mut client = Client::new(Via::Udp, self.running.addresses()[0]);
        let reply = client.exchange(&bytes::query(4711, name, qtype, &[])).expect("a reply");
        Got::read(&reply).1
    }
}

/// A folder of manifests: namespace `shop` with these Services, each `NAME ADDRESS…` or `NAME =TARGET`, and of namespace
/// `kube-system` those that are named `kube-dns`.
fn manifests(services: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_manifests(&folder, services);
    folder
}

/// Writes the manifests anew.
fn write_manifests(folder: &TempDir, services: &[&str]) {
    let mut text = String::new();
    for namespace in ["shop", "kube-system"] {
        let _ = writeln!(text, "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---");
    }
    for service in services {
        let mut words = service.split_whitespace();
        let name = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let namespace = if name == "kube-dns" { "kube-system" } else { "shop" };
        let quoted: Vec<String> = rest.iter().map(|address| format!("\"{address}\"")).collect();
        let spec = match rest[0].strip_prefix('=') {
            Some(target) => format!("{{type: ExternalName, externalName: {target}}}"),
            None => format!("{{clusterIP: {}, clusterIPs: [{}]}}", quoted[0], quoted.join(", ")),
        };
        let meta = format!("{{name: {name}, namespace: {namespace}}}");
        let _ = writeln!(text, "apiVersion: v1\nkind: Service\nmetadata: {meta}\nspec: {spec}\n---");
    }
    let beside = folder.path().join(".shop.new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, folder.path().join("shop.yaml")).unwrap();
}

/// Waits until `done` says so.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
