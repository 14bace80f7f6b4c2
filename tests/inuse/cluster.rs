//! The Corefiles of a cluster's DNS: kubeadm, the addon of Kubernetes' own scripts, deploy.sh, the Helm chart.

use std::time::Duration;

use crate::api::{FakeApi, StartOptions, namespace as named, pod, service, slice};
use crate::harness::Via;
use crate::namespace::{RESOLVER, SERVER, here, inside};
use crate::script::Upstream;
use crate::world::{PATIENCE, Server, ask, ask_at, brief, corefile, fetch, metric, ttls};

/// What the node's DNS knows.
pub(crate) const OUTSIDE: &str = "
    www.example.org A: @ 300 A 198.51.100.1
    www.example.org AAAA: +example.org 60 SOA ns.example.org host.example.org 1 2 3 4 60
    gone.example.org A: NXDOMAIN; +example.org 60 SOA ns.example.org host.example.org 1 2 3 4 60
    7.100.51.198.in-addr.arpa PTR: @ 60 PTR seven.example.org
    200.0.96.10.in-addr.arpa PTR: @ 60 PTR elsewhere.example.org
    intranet.corp.example A: @ 60 A 198.51.100.66
";

/// What the DNS of a stub domain knows.
pub(crate) const STUB: &str = "intranet.corp.example A: @ 60 A 192.0.2.200";

/// How the Corefiles differ in what they serve.
struct Served {
    /// The file.
    name: &'static str,
    /// The TTL of the cluster's names.
    ttl: u32,
    /// Whether names of pods are made from their addresses.
    pods: bool,
    /// Whether names of the domain `corp.example` have upstreams of their own.
    stub: bool,
}

/// The cluster.
pub(crate) fn cluster() -> FakeApi {
    let api = FakeApi::start_with(StartOptions { tls: true, ..StartOptions::default() });
    api.apply_all([
        named("default"),
        service("default", "kubernetes", "10.96.0.1"),
        named("kube-system"),
        service("kube-system", "kube-dns", "10.96.0.10"),
        named("shop"),
        service("shop", "web", "10.96.0.7"),
        slice("shop", "web-1", "web", &["10.244.0.9"]),
        service("shop", "db", "None"),
        slice("shop", "db-1", "db", &["10.244.0.1=db-0", "10.244.0.2=db-1"]),
        service("shop", "out", "name=www.example.org"),
        pod("shop", "web-x", "10.244.0.9"),
    ]);
    api
}

/// Starts a binary with a Corefile and asks for all that it must serve.
fn serves(served: &Served) {
    let api = cluster();
    let outside = Upstream::at(format!("{RESOLVER}:53").parse().unwrap(), OUTSIDE);
    let stubs: Vec<Upstream> = ["192.0.2.10", "192.0.2.11"]
        .iter()
        .filter(|_| served.stub)
        .map(|address| {
            here(address);
            Upstream::at(format!("{address}:53").parse().unwrap(), STUB)
        })
        .collect();
    let server = Server::start(&corefile(served.name), Some(&api));
    let status = |port: u16, path: &str| fetch(SERVER, port, path).map(|(status, _)| status);
    server.until("/ready", PATIENCE, || status(8181, "/ready") == Some(200));
    assert_eq!(fetch(SERVER, 8080, "/health"), Some((200, "OK".to_owned())));

    inside_names(served);
    outside_names(&outside);
    if served.stub {
        assert_eq!(brief(&ask("intranet.corp.example. A +rd")), "NOERROR A 192.0.2.200");
        let asked: usize = stubs.iter().map(|stub| stub.script.count("intranet.corp.example A")).sum();
        assert_eq!(asked, 1, "one of the two, once");
        assert_eq!(outside.script.count("intranet.corp.example A"), 0, "nobody else hears of it");
    } else {
        assert_eq!(brief(&ask("intranet.corp.example. A +rd")), "NOERROR A 198.51.100.66");
    }

    // `loop` asked for a name that nobody can guess, and the node's DNS said that there is none.
    let probe = |line: &String| line.ends_with(" HINFO");
    server.until("the probe of `loop`", PATIENCE, || outside.script.asked().iter().any(probe));
    let inside = |line: &String| line.contains("cluster.local");
    let asked = outside.script.asked();
    assert!(!asked.iter().any(inside), "names of the cluster leave it: {asked:?}");

    let (code, page) = fetch(SERVER, 9153, "/metrics").expect("the port of the metrics");
    assert_eq!(code, 200);
    assert!(metric(&page, "coredns_dns_requests_total", &["zone=\".\""]) > 10.0, "{page}");
    assert!(metric(&page, "coredns_cache_hits_total", &["type=\"success\""]) >= 2.0, "{page}");
    assert!(metric(&page, "coredns_cache_hits_total", &["type=\"denial\""]) >= 2.0, "{page}");
    let to = format!("to=\"{RESOLVER}:53\"");
    assert!(metric(&page, "coredns_forward_requests_total", &[&to]) >= 3.0, "{page}");
    assert_eq!(metric(&page, "signpost_upstream_up", &[&to]), 1.0, "{page}");
    assert!(page.contains("coredns_kubernetes_dns_programming_duration_seconds"), "{page}");
    assert_eq!(metric(&page, "coredns_panics_total", &[]), 0.0, "{page}");

    // The cluster goes on being watched.
    api.apply(service("shop", "late", "10.96.0.8"));
    let late = || brief(&ask_at(SERVER, Via::Udp, "late.shop.svc.Z A"));
    server.until("a new Service", PATIENCE, || late() == "NOERROR A 10.96.0.8");
    server.complained_of_nothing();
}

/// Names of the cluster.
fn inside_names(served: &Served) {
    let web = ask("web.shop.svc.Z A +rd");
    assert_eq!(brief(&web), "NOERROR A 10.96.0.7");
    assert_eq!(ttls(&web), [served.ttl], "{web}");
    assert!(web.starts_with("NOERROR aa rd"), "{web}");
    let mut both = brief(&ask("db.shop.svc.Z A"));
    both = both.replace("A 10.244.0.2 A 10.244.0.1", "A 10.244.0.1 A 10.244.0.2");
    assert_eq!(both, "NOERROR A 10.244.0.1 A 10.244.0.2");
    assert_eq!(brief(&ask("db-0.db.shop.svc.Z A")), "NOERROR A 10.244.0.1");
    assert_eq!(
        brief(&ask("_http._tcp.web.shop.svc.Z SRV")),
        "NOERROR SRV 0 100 80 web.shop.svc.cluster.local."
    );
    assert_eq!(brief(&ask("arpa:10.96.0.7 PTR")), "NOERROR PTR web.shop.svc.cluster.local.");
    assert_eq!(brief(&ask("arpa:10.244.0.2 PTR")), "NOERROR PTR db-1.db.shop.svc.cluster.local.");
    assert_eq!(brief(&ask("kubernetes.default.svc.Z A")), "NOERROR A 10.96.0.1");
    let missing = ask("no.shop.svc.Z A +rd");
    assert_eq!((brief(&missing).as_str(), ttls(&missing)), ("NXDOMAIN", vec![served.ttl]), "{missing}");
    assert_eq!(brief(&ask("web.shop.svc.Z AAAA")), "NOERROR");
    let pod = if served.pods { "NOERROR A 10.244.0.9" } else { "NXDOMAIN" };
    assert_eq!(brief(&ask("10-244-0-9.shop.pod.Z A")), pod);
    let out = ask("out.shop.svc.Z A +rd");
    assert_eq!(brief(&out), "NOERROR CNAME www.example.org. A 198.51.100.1");
    assert_eq!(ttls(&out), [served.ttl, 30], "`cache 30` is the longest for what is outside: {out}");
}

/// Names outside.
fn outside_names(outside: &Upstream) {
    let count = |question: &str| outside.script.count(question);
    // It was the target of an alias.
    assert_eq!(count("www.example.org A"), 1, "{:?}", outside.script.asked());
    let www = ask("www.example.org. A +rd");
    assert_eq!(brief(&www), "NOERROR A 198.51.100.1");
    assert!(www.starts_with("NOERROR rd ra"), "{www}");
    assert!(ttls(&www)[0] <= 30, "{www}");
    assert_eq!(brief(&ask("WWW.Example.ORG. A +rd +edns")), "NOERROR A 198.51.100.1");
    assert_eq!(count("www.example.org A"), 1, "cached");
    assert_eq!(brief(&ask("www.example.org. AAAA +rd")), "NOERROR");
    assert_eq!(brief(&ask("gone.example.org. A +rd")), "NXDOMAIN");
    assert_eq!(brief(&ask("gone.example.org. A +rd")), "NXDOMAIN");
    assert_eq!((count("gone.example.org A"), count("www.example.org AAAA")), (1, 1), "cached");
    // `fallthrough` of the reverse zones; in a network of the cluster and outside of all.
    assert_eq!(brief(&ask("arpa:198.51.100.7 PTR +rd")), "NOERROR PTR seven.example.org.");
    assert_eq!(brief(&ask("arpa:10.96.0.200 PTR +rd")), "NOERROR PTR elsewhere.example.org.");
    assert_eq!(count("7.100.51.198.in-addr.arpa PTR"), 1, "cached");
}

#[test]
fn kubeadms_corefile_is_served() {
    if inside("cluster::kubeadms_corefile_is_served") {
        serves(&Served { name: "kubeadm", ttl: 30, pods: true, stub: false });
    }
}

#[test]
fn kubeadms_older_corefile_is_served() {
    if inside("cluster::kubeadms_older_corefile_is_served") {
        serves(&Served { name: "kubeadm-before-1-32", ttl: 30, pods: true, stub: false });
    }
}

#[test]
fn the_addons_corefile_is_served() {
    if inside("cluster::the_addons_corefile_is_served") {
        serves(&Served { name: "addons", ttl: 30, pods: true, stub: false });
    }
}

#[test]
fn the_corefile_of_deploy_sh_is_served_with_its_stub_domain() {
    if inside("cluster::the_corefile_of_deploy_sh_is_served_with_its_stub_domain") {
        serves(&Served { name: "deployment", ttl: 5, pods: false, stub: true });
    }
}

#[test]
fn the_charts_corefile_is_served() {
    if inside("cluster::the_charts_corefile_is_served") {
        serves(&Served { name: "helm", ttl: 30, pods: true, stub: false });
    }
}

#[test]
fn an_upstream_that_sends_everything_back_is_put_aside_and_the_cluster_served() {
    if !inside("cluster::an_upstream_that_sends_everything_back_is_put_aside_and_the_cluster_served") {
        return;
    }
    let api = cluster();
    // The node's DNS leads back to us: what systemd-resolved on a node with a wrong file comes to.
    let _circle = circle();
    let server = Server::start(&corefile("kubeadm"), Some(&api));
    let is_ready = || fetch(SERVER, 8181, "/ready").is_some_and(|(status, _)| status == 200);
    server.until("/ready", PATIENCE, is_ready);
    server.until("the loop is told", PATIENCE, || server.story().contains("loop"));
    assert_eq!(brief(&ask("www.example.org. A +rd")), "SERVFAIL");
    assert_eq!(brief(&ask("web.shop.svc.Z A +rd")), "NOERROR A 10.96.0.7");
    assert_eq!(fetch(SERVER, 8080, "/health"), Some((200, "OK".to_owned())));
}

/// Sends what comes to the node's DNS to the server, and back what it says.
fn circle() -> std::thread::JoinHandle<()> {
    let socket = std::net::UdpSocket::bind((RESOLVER, 53)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let (query, socket) = (bytes[..length].to_vec(), socket.try_clone().unwrap());
            std::thread::spawn(move || {
                let out = std::net::UdpSocket::bind(("10.0.2.1", 0)).unwrap();
                out.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let _ = out.send_to(&query, (SERVER, 53));
                let mut reply = [0; 1500];
                if let Ok(length) = out.recv(&mut reply) {
                    let _ = socket.send_to(&reply[..length], from);
                }
            });
        }
    })
}
