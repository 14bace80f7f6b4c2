//! The tables of sections B to H once more, asked of a hickory server that holds the cluster's zones: with what
//! `signpost::hickory` cannot express set aside, its answers are those of our own server.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod harness;

#[path = "kubernetes_spec/b_grammar.rs"]
mod b_grammar;
#[path = "kubernetes_spec/c_apex.rs"]
mod c_apex;
#[path = "kubernetes_spec/d_cluster_ip.rs"]
mod d_cluster_ip;
#[path = "kubernetes_spec/e_headless.rs"]
mod e_headless;
#[path = "kubernetes_spec/f_external_name.rs"]
mod f_external_name;
#[path = "kubernetes_spec/g_pods.rs"]
mod g_pods;
#[path = "kubernetes_spec/h_reverse.rs"]
mod h_reverse;
#[path = "kubernetes_spec/table.rs"]
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harness::{Ask, Client, expand, fixtures};
use hickory_server::Server;
use hickory_server::zone_handler::Catalog;
use signpost::chain::kubernetes::{
    Fallthrough, Forms, Kubernetes, Options, PodMode, ServedZone, StalePolicy,
};
use signpost::corefile::zones;
use signpost::hickory::ClusterAuthority;
use signpost::source::manifests::{Manifests, ManifestsOptions};
use signpost::store::{Naming, Store, Wanted};
use signpost::time::Clock;
use table::Table;
use tokio::net::{TcpListener, UdpSocket};

/// Asks all rows of a table of a hickory server, over UDP and TCP.
fn check(table: &Table) {
    let server = Hickory::start(kubernetes(table, true));
    let mut clients = Client::all(&[server.address]);
    let mut wrong = String::new();
    for (rule, question, short) in table.rows {
        let ask = Ask::parse(question);
        let want = expressible(&expand(short, &ask, table.ttl()), question);
        // A size that leaves room: how a reply is cut is hickory's business.
        let asked = Ask::parse(&format!("{question} +bufsize=4096"));
        for client in &mut clients {
            let query = asked.bytes(7);
            let reply = client.exchange(&query).unwrap_or_else(|| panic!("{rule}: {question}: no reply"));
            let got = expressible(&harness::text(&reply, &query), question);
            if got != want {
                wrong += &format!("{rule}  {question}  ({:?})\nwant {want}got  {got}\n", client.via);
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What is left of a reply's text without what is hickory's own: the OPT, the authority section of an SOA answer, the
/// letters of other authority sections, AA of a refused IXFR.
fn expressible(text: &str, question: &str) -> String {
    let soa = text.lines().any(|line| line.starts_with("answer") && line.contains(" SOA "));
    let theirs = |line: &str| line.starts_with("edns") || (soa && line.starts_with("authority"));
    let lines = text.lines().filter(|line| !theirs(line));
    let lines = lines.map(|line| match line.split(' ').next() {
        Some("authority") => line.to_lowercase().replace(" @ ", &format!(" {} ", zone_of_soa(line))),
        Some("REFUSED") if question.contains("IXFR") => "REFUSED".to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The zone of an SOA in text form, in lower case: what follows `ns.dns.`.
fn zone_of_soa(line: &str) -> String {
    let mname = line.split(' ').nth(4).unwrap_or_default().to_lowercase();
    mname.strip_prefix("ns.dns.").unwrap_or_default().to_owned()
}

/// The stanza of a table over the shop's manifests; not `synced`, it has not seen them yet.
fn kubernetes(table: &Table, synced: bool) -> Kubernetes {
    let has = |line: &str| table.options.contains(&line);
    let known =
        |line: &&&str| !line.starts_with("pods ") && !line.starts_with("ttl ") && **line != "pod_hostnames";
    let other = table.options.iter().find(|line| known(line) && **line != "endpoint_pod_names");
    assert_eq!(other, None, "an option that this does not read");
    let mut served: Vec<ServedZone> = Vec::new();
    for word in table.zones.split(' ') {
        let from_cidr = word.contains('/');
        served.extend(zones(word).unwrap().into_iter().map(|zone| ServedZone {
            zone,
            from_cidr,
            forms: Forms::default(),
        }));
    }
    let primary = served.iter().find(|served| !served.zone.is_reverse()).unwrap().zone.clone();
    served.sort_by_key(|served| std::cmp::Reverse(served.zone.labels()));
    let pods = match table.options.iter().find_map(|line| line.strip_prefix("pods ")) {
        Some("insecure") => PodMode::Insecure,
        Some("verified") => PodMode::Verified,
        _ => PodMode::Disabled,
    };
    let pod_names = has("endpoint_pod_names");
    let wanted = Wanted { endpoints: true, pods: pods == PodMode::Verified, pod_names, ..Wanted::default() };
    let (store, mut writer) = Store::new(wanted, Clock::system());
    if synced {
        let dir = fixtures("cluster");
        let mut manifests = Manifests::new(ManifestsOptions {
            dir,
            labels: None,
            pods: wanted.pods,
            endpoints: true,
            more: Vec::new(),
        });
        manifests.look(&mut writer);
    }
    assert_eq!(store.synced(), synced);
    Kubernetes::new(Options {
        zones: served,
        primary,
        store,
        ttl: table.ttl(),
        pods,
        pod_hostnames: has("pod_hostnames"),
        naming: if pod_names { Naming::Pod } else { Naming::Address },
        endpoints: true,
        ignore_empty: false,
        namespaces: None,
        namespace_labels: None,
        fallthrough: Fallthrough::None,
        startup_timeout: Duration::ZERO,
        stale: StalePolicy::default(),
        own: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    })
}

/// A hickory server on a thread of its own; ends when it is dropped.
struct Hickory {
    /// Where it serves UDP and TCP.
    address: SocketAddr,
    /// Its thread, until it is joined.
    thread: Option<std::thread::JoinHandle<()>>,
    /// Ends it.
    stop: Arc<tokio::sync::Notify>,
}

impl Hickory {
    /// Starts a server for the zones of a stanza.
    fn start(kubernetes: Kubernetes) -> Self {
        let mut catalog = Catalog::new();
        ClusterAuthority::register(&Arc::new(kubernetes), &Clock::system(), &mut catalog);
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = stop.clone();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (udp, tcp) = bind().await;
                tell.send(tcp.local_addr().unwrap()).unwrap();
                let mut server = Server::new(catalog);
                server.register_socket(udp);
                server.register_listener(tcp, Duration::from_secs(10), 64);
                stopped.notified().await;
                server.shutdown_gracefully().await.unwrap();
            });
        });
        Self { address: told.recv().unwrap(), thread: Some(thread), stop }
    }
}

impl Drop for Hickory {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// A free port for both transports.
async fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

/// The zones that most tests serve.
const TABLE: Table = Table::of(&[]);

#[test]
fn before_the_sync_names_of_the_cluster_are_refused() {
    let server = Hickory::start(kubernetes(&TABLE, false));
    for mut client in Client::all(&[server.address]) {
        for (question, want) in [
            ("web.shop.svc.Z A", "REFUSED aa"),
            ("arpa:10.96.1.1 PTR", "REFUSED aa"),
            ("foo.Z A", "NX"),
            ("svc.Z A", "NODATA"),
            ("ns.dns.Z A", "@ A 127.0.0.1"),
        ] {
            let ask = Ask::parse(question);
            assert_eq!(client.ask(&ask), expand(want, &ask, 5), "K-016: {question}");
        }
    }
}

#[test]
fn other_classes_and_zones_are_refused() {
    let server = Hickory::start(kubernetes(&TABLE, true));
    for mut client in Client::all(&[server.address]) {
        for (question, want) in [
            ("web.shop.svc.Z A CH", "REFUSED aa"),
            ("www.example.com. A", "REFUSED"),
            ("web.shop.svc.Z A +rd", "NOERROR aa rd; @ A 10.96.1.1"),
        ] {
            let ask = Ask::parse(question);
            assert_eq!(client.ask(&ask), expand(want, &ask, 5), "{question}");
        }
    }
}
