//! A server that does a little of everything, so that each family of metrics has a value: names of a fake API server, a file of
//! hosts, an upstream that answers, one that does not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signpost::app::{Running, ServeOptions, serve};
use signpost::wire::parse_name;

use crate::api::{Call, FakeApi, Fault, Resource, namespace, service, slice};

/// How long something may take that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// An upstream: A questions have one address, all others none.
struct Upstream {
    /// Where it listens.
    addr: SocketAddr,
    /// Whether it is to end.
    end: Arc<AtomicBool>,
    /// Its thread.
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts it.
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (addr, end) = (socket.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let ended = end.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let reply = reply(&bytes[..length]);
                let _ = socket.send_to(&reply, from);
            }
        });
        Self { addr, end, thread: Some(thread) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The reply to a query: its header and question, and for A an address that is kept for a minute.
fn reply(query: &[u8]) -> Vec<u8> {
    // Labels, the root's zero, type, class.
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    let mut reply = query[..end + 5].to_vec();
    let is_a = query[end + 1..end + 3] == [0, 1];
    reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        reply.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    }
    reply
}

/// An Ingress for the one host.
fn ingress(name: &str, address: &str) -> Value {
    json!({
        "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"rules": [{"host": "www.apps.example"}]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    })
}

/// The world.
pub(crate) struct World {
    /// The server.
    pub(crate) running: Running,
    /// Where its names come from.
    api: FakeApi,
    /// Whom it asks.
    _upstream: Upstream,
    /// Where its file of hosts lies.
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts it and asks for a name of each kind.
    pub(crate) fn start() -> Self {
        let (api, upstream) = (FakeApi::start(), Upstream::start());
        api.apply_all([
            namespace("shop"),
            namespace("other"),
            service("shop", "web", "10.96.0.1"),
            slice("shop", "web-1", "web", &["10.1.0.9"]),
            // One host, two owners.
            ingress("one", "192.0.2.21"),
            ingress("other", "192.0.2.22"),
        ]);
        // One object that is none.
        api.edit(|cluster| cluster.plant(Resource::Services, "zzz", "bad", json!(7)));
        // One failure, which is then outlived.
        api.fault(Fault::status(500).calls(&[Call::InitialWatch]).times(1));
        let folder = tempfile::tempdir().unwrap();
        let search = folder.path().join("resolv.conf");
        std::fs::write(&search, "search other.svc.cluster.local svc.cluster.local cluster.local\n").unwrap();
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, "192.0.2.9 printer.office.example\n").unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        // Nobody listens on the second port: its questions are refused by the network, and it is put aside.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            ".:0 {{\n bind 127.0.0.1\n errors\n health 127.0.0.1:0\n prometheus 127.0.0.1:0\n \
             shed\n local\n dnstap {tap}\n acl blocked.example {{\n  block\n }}\n acl filtered.example {{\n  filter\n }}\n \
             acl dropped.example {{\n  drop\n }}\n template IN A made.example {{\n  answer \"{{{{ .Name }}}} 60 IN A 192.0.2.5\"\n }}\n \
             template IN A unmade.example {{\n  answer \"{{{{ .Name }}}} 60 IN A {{{{ .Name }}}}\"\n }}\n \
             template IN A undone.example {{\n  answer \"{{{{ parseInt .Name 10 64 }}}} 60 IN A 192.0.2.5\"\n }}\n \
             dns64 {{\n  allow_ipv4\n }}\n autopath {search}\n hosts {hosts} {{\n  fallthrough\n }}\n \
             kubernetes cluster.local in-addr.arpa {{\n  endpoint {api}\n  startup_timeout 0s\n  fallthrough in-addr.arpa\n  audit 1s\n  snapshot {snapshot}\n }}\n \
             k8s_external apps.example {{\n  ingress\n }}\n \
             cache 30\n loop\n forward . {up} {silent} {{\n  policy sequential\n }}\n}}\n\
             https://.:0 https3://.:0 quic://.:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n tls {cert} {key}\n whoami\n}}\n",
            search = search.display(),
            cert = cert.display(),
            key = key.display(),
            tap = folder.path().join("tap").display(),
            snapshot = folder.path().join("snapshot").display(),
            hosts = hosts.display(),
            api = api.url(),
            up = upstream.addr,
        );
        let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
        let world = Self { running, api, _upstream: upstream, _folder: folder };
        until("the first lists", || world.running.synced());
        // One change that is told, one that is not: the audit finds it.
        until("the watches", || world.api.is_watched());
        world.api.apply(service("shop", "told", "10.96.0.2"));
        world
            .api
            .edit(|cluster| cluster.swallow(|cluster| cluster.apply(service("shop", "lost", "10.96.0.3"))));
        world.ask();
        // Dropped: no reply comes.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&query("dropped.example.", 1), world.running.addresses()[0]).unwrap();
        until("a query is dropped", || world.scrape().contains("\ncoredns_acl_dropped_requests_total{"));
        // Ports are taken at random out of a pool of 64, and kept for 10 s.
        let mut asked = 0..;
        until("a port is used again", || {
            for name in asked.by_ref().take(130) {
                world.udp(&format!("again-{name}.example.com."), 1);
            }
            world.scrape().contains("\ncoredns_proxy_conn_cache_hits_total{")
        });
        // The loop's own questions and the server's own look at /health come when they come.
        until("a loop is looked for", || world.scrape().contains("\nsignpost_loop_detected{"));
        until("a look at /health", || {
            !world.scrape().contains("\ncoredns_health_request_duration_seconds_count 0")
        });
        until("an audit found something", || {
            world.scrape().contains("\nsignpost_audit_healed_total{resource=\"services\"} 1")
        });
        until("a snapshot was written", || world.scrape().contains("\nsignpost_snapshot_age_seconds{"));
        until("a bookmark and an event", || {
            let text = world.scrape();
            ["bookmark", "event"]
                .iter()
                .all(|what| text.contains(&format!("\nsignpost_watch_last_{what}_age_seconds{{")))
        });
        until("a change was served", || {
            world.scrape().contains("\ncoredns_kubernetes_rest_client_requests_total{code=\"200\"")
        });
        world
    }

    /// Asks for a name of each kind, over both transports.
    pub(crate) fn ask(&self) {
        let server = self.running.addresses()[0];
        for (name, qtype) in [
            ("web.shop.svc.cluster.local.", 1),
            ("no.shop.svc.cluster.local.", 1),
            ("printer.office.example.", 1),
            // Walked through the search list by autopath.
            ("printer.office.example.other.svc.cluster.local.", 1),
            ("www.example.com.", 1),
            ("www.example.com.", 1),
            ("www.example.com.", 28),
            ("nothing.example.com.", 16),
            ("localhost.", 1),
            ("blocked.example.", 1),
            ("filtered.example.", 1),
            ("made.example.", 1),
            ("unmade.example.", 1),
            ("undone.example.", 1),
        ] {
            self.udp(name, qtype);
            let message = query(name, qtype);
            let mut stream = TcpStream::connect(server).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &message].concat()).unwrap();
            stream.read_exact(&mut [0; 14]).unwrap();
        }
    }

    /// Asks over UDP, and waits for the reply.
    fn udp(&self, name: &str, qtype: u16) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&query(name, qtype), self.running.addresses()[0]).unwrap();
        assert!(socket.recv(&mut [0; 1500]).unwrap() >= 12, "{name}");
    }

    /// The text of /metrics.
    pub(crate) fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.running.metrics()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// A query in wire form.
fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&parse_name(name).unwrap());
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes
}

/// Waits for something that has to come.
fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
