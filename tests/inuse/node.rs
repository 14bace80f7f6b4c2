//! The Corefile of node-local-dns: a cache on a node in front of the cluster's DNS.

use crate::harness::Via;
use crate::namespace::{RESOLVER, here, inside, there};
use crate::script::Upstream;
use crate::world::{PATIENCE, Server, ask_at, brief, corefile, fetch, metric, ttls};

/// The address that pods of the node ask.
const LOCAL: &str = "169.254.20.10";

/// The Service of the cluster's DNS, which the node's cache takes over.
const KUBE_DNS: &str = "10.96.0.10";

/// The Service behind it.
const UPSTREAM: &str = "10.96.73.21";

/// What the cluster's DNS knows.
const INSIDE: &str = "
    web.shop.svc.cluster.local A: @ 300 A 10.96.0.7
    short.shop.svc.cluster.local A: @ 7 A 10.96.0.8
    no.shop.svc.cluster.local A: NXDOMAIN; +cluster.local 60 SOA ns.dns.cluster.local hostmaster.cluster.local 1 2 3 4 60
    web.shop.svc.cluster.local AAAA: +cluster.local 60 SOA ns.dns.cluster.local hostmaster.cluster.local 1 2 3 4 60
    7.0.96.10.in-addr.arpa PTR: @ 60 PTR web.shop.svc.cluster.local
    7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa PTR: @ 60 PTR six.shop.svc.cluster.local
";

/// What the node's DNS knows.
const OUTSIDE: &str = "
    www.example.org A: @ 300 A 198.51.100.1
    gone.example.org A: NXDOMAIN; +example.org 60 SOA ns.example.org host.example.org 1 2 3 4 60
";

/// Asks at both addresses over UDP and TCP: four replies that say the same. The first of them.
fn ask(ask: &str) -> String {
    let places = [(LOCAL, Via::Udp), (KUBE_DNS, Via::Udp), (LOCAL, Via::Tcp), (KUBE_DNS, Via::Tcp)];
    let replies = places.map(|(address, via)| ask_at(address, via, ask));
    for reply in &replies {
        assert_eq!(brief(reply), brief(&replies[0]), "{ask}: {replies:#?}");
    }
    replies[0].clone()
}

/// The addresses, the upstreams and the binary.
fn start() -> (Upstream, Upstream, Server) {
    here(UPSTREAM);
    there(LOCAL);
    there(KUBE_DNS);
    let cluster = Upstream::at(format!("{UPSTREAM}:53").parse().unwrap(), INSIDE);
    let outside = Upstream::at(format!("{RESOLVER}:53").parse().unwrap(), OUTSIDE);
    let server = Server::start(&corefile("node-local-dns"), None);
    let health = || fetch(LOCAL, 8080, "/health") == Some((200, "OK".to_owned()));
    server.until("/health", PATIENCE, health);
    (cluster, outside, server)
}

#[test]
fn the_corefile_of_node_local_dns_is_served() {
    if !inside("node::the_corefile_of_node_local_dns_is_served") {
        return;
    }
    let (cluster, outside, server) = start();
    let count = |question: &str| cluster.script.count(question);

    let web = ask("web.shop.svc.Z A +rd");
    assert_eq!((brief(&web).as_str(), ttls(&web)), ("NOERROR A 10.96.0.7", vec![30]), "`success 9984 30`");
    let short = ask("short.shop.svc.Z A +rd");
    assert_eq!((brief(&short).as_str(), ttls(&short)), ("NOERROR A 10.96.0.8", vec![7]), "its own TTL");
    let missing = ask("no.shop.svc.Z A +rd");
    assert_eq!((brief(&missing).as_str(), ttls(&missing)), ("NXDOMAIN", vec![5]), "`denial 9984 5`");
    let nodata = ask("web.shop.svc.Z AAAA +rd");
    assert_eq!((brief(&nodata).as_str(), ttls(&nodata)), ("NOERROR", vec![5]), "`denial 9984 5`");
    assert_eq!(brief(&ask("arpa:10.96.0.7 PTR +rd")), "NOERROR PTR web.shop.svc.cluster.local.");
    assert_eq!(brief(&ask("arpa:fd00:96::7 PTR +rd")), "NOERROR PTR six.shop.svc.cluster.local.");
    for question in [
        "web.shop.svc.cluster.local A",
        "short.shop.svc.cluster.local A",
        "no.shop.svc.cluster.local A",
        "web.shop.svc.cluster.local AAAA",
        "7.0.96.10.in-addr.arpa PTR",
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa PTR",
    ] {
        assert_eq!(count(question), 1, "four clients, one question: {question}");
    }

    let www = ask("www.example.org. A +rd");
    assert_eq!((brief(&www).as_str(), ttls(&www)), ("NOERROR A 198.51.100.1", vec![30]), "`cache 30`");
    assert_eq!(brief(&ask("gone.example.org. A +rd")), "NXDOMAIN");
    assert_eq!(outside.script.count("www.example.org A"), 1);
    assert_eq!(outside.script.count("gone.example.org A"), 1);

    // `force_tcp`, for probes too.
    let asked = cluster.script.asked();
    assert!(asked.iter().all(|line| line.starts_with("tcp ")), "{asked:?}");
    let leaked = |line: &String| line.contains("cluster.local") || line.contains(" 7.0.96.10.");
    let asked = outside.script.asked();
    assert!(!asked.iter().any(leaked), "names of the cluster leave it: {asked:?}");

    // `loop` in four blocks: probes go to both upstreams, and do no harm.
    let probed = |upstream: &Upstream| upstream.script.asked().iter().any(|line| line.ends_with(" HINFO"));
    server.until("the probes of `loop`", PATIENCE, || probed(&cluster) && probed(&outside));
    assert_eq!(brief(&ask("web.shop.svc.Z A +rd")), "NOERROR A 10.96.0.7");

    // One endpoint for the metrics of all blocks, one for health, at its own address alone.
    let (code, page) = fetch(LOCAL, 9253, "/metrics").expect("the port of the metrics");
    assert_eq!(code, 200);
    for zone in ["cluster.local.", "in-addr.arpa.", "ip6.arpa.", "."] {
        let label = format!("zone=\"{zone}\"");
        assert!(metric(&page, "coredns_dns_requests_total", &[&label]) >= 4.0, "{zone}: {page}");
        let label = format!("zones=\"{zone}\"");
        assert!(metric(&page, "coredns_cache_hits_total", &[&label]) >= 3.0, "{zone}: {page}");
    }
    assert!(fetch(KUBE_DNS, 9253, "/metrics").is_some(), "`:9253` is every address");
    assert!(fetch(KUBE_DNS, 8080, "/health").is_none(), "`169.254.20.10:8080` is that address alone");
    server.complained_of_nothing();
}

#[test]
fn a_changed_corefile_is_followed_on_the_node() {
    if !inside("node::a_changed_corefile_is_followed_on_the_node") {
        return;
    }
    let (cluster, outside, server) = start();
    assert_eq!(brief(&ask("intranet.corp.example. A +rd")), "NXDOMAIN");
    // What the addon writes when its ConfigMap gets a stub domain; the signal spares the 30 s until `reload` looks.
    let stub = format!(
        "corp.example:53 {{\n    errors\n    cache 30\n    reload\n    loop\n    bind {LOCAL} {KUBE_DNS}\n    \
         forward . {UPSTREAM} {{\n        force_tcp\n    }}\n    prometheus :9253\n}}\n"
    );
    cluster.script.say(&format!("{INSIDE}\nintranet.corp.example A: @ 60 A 192.0.2.200"));
    server.replace(&(corefile("node-local-dns") + &stub));
    server.until("the new block", PATIENCE, || {
        brief(&ask_at(LOCAL, Via::Udp, "intranet.corp.example. A +rd")).ends_with("192.0.2.200")
    });
    assert_eq!(brief(&ask("web.shop.svc.Z A +rd")), "NOERROR A 10.96.0.7");
    assert!(fetch(LOCAL, 8080, "/health").is_some(), "as before");
    assert_eq!(outside.script.count("intranet.corp.example A"), 1, "before the change");
}

/// What is asked of both servers on the node.
const PROBES: &[&str] = &[
    "web.shop.svc.Z A +rd",
    "web.shop.svc.Z AAAA +rd",
    "no.shop.svc.Z A +rd",
    "arpa:10.96.0.7 PTR +rd",
    "arpa:fd00:96::7 PTR +rd",
    "www.example.org. A +rd",
    "gone.example.org. A +rd",
];

/// The base Corefile of node-local-dns, with the placeholders that node-cache fills in.
fn base() -> std::path::PathBuf {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles/in_use/node-local-dns");
    folder.join("Corefile.base")
}

#[test]
fn placeholders_of_the_base_corefile_are_filled_in() {
    if !inside("node::placeholders_of_the_base_corefile_are_filled_in") {
        return;
    }
    here(UPSTREAM);
    there(LOCAL);
    there(KUBE_DNS);
    let _cluster = Upstream::at(format!("{UPSTREAM}:53").parse().unwrap(), INSIDE);
    let _outside = Upstream::at(format!("{RESOLVER}:53").parse().unwrap(), OUTSIDE);
    let ours = std::path::Path::new(env!("CARGO_BIN_EXE_signpost"));
    let server = Server::run_with(ours, &base(), None, |command| {
        command.args(["-localip", &format!("{LOCAL},{KUBE_DNS}"), "-upstreamsvc", "kube-dns-upstream"]);
        command.env("KUBE_DNS_UPSTREAM_SERVICE_HOST", UPSTREAM).env("PILLAR_DNS_DOMAIN", "cluster.local");
    });
    let health = || fetch(LOCAL, 8080, "/health") == Some((200, "OK".to_owned()));
    server.until("/health", PATIENCE, health);
    assert_eq!(brief(&ask("web.shop.svc.Z A +rd")), "NOERROR A 10.96.0.7");
    assert_eq!(brief(&ask("www.example.org. A +rd")), "NOERROR A 198.51.100.1", "by /etc/resolv.conf");
    server.complained_of_nothing();
}

#[test]
fn coredns_answers_the_same_on_the_node() {
    if !inside("node::coredns_answers_the_same_on_the_node") {
        return;
    }
    let Some(binary) = std::env::var_os("COREDNS_BIN") else { return };
    let (cluster, outside, server) = start();
    let answers = || PROBES.iter().map(|probe| brief(&ask(probe))).collect::<Vec<_>>();
    let ours = answers();
    drop((cluster, outside, server));
    let _cluster = Upstream::at(format!("{UPSTREAM}:53").parse().unwrap(), INSIDE);
    let _outside = Upstream::at(format!("{RESOLVER}:53").parse().unwrap(), OUTSIDE);
    let server = Server::run(std::path::Path::new(&binary), &base().with_file_name("Corefile"), None);
    let listens = || std::net::TcpStream::connect((KUBE_DNS, 53)).is_ok();
    server.until("CoreDNS", PATIENCE, listens);
    assert_eq!(ours, answers());
}
