//! The same for what is beyond one cluster's own names: `multicluster`, `zonal`, `k8s_external`, `autopath`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use signpost::app::{ServeOptions, serve};

use crate::api::FakeApi;
use crate::coredns::{CoreDns, free_port};
use crate::harness::{PATIENCE, Via, reverse};
use crate::questions::{Question, manifests};
use crate::reply::{Asker, Reply};

/// The types that each name is asked for.
const TYPES: &[&str] = &["A", "AAAA", "SRV", "CNAME", "PTR", "TXT", "SOA", "NS", "MX", "HTTPS"];

/// A Corefile's lines for both servers, and the names that are asked.
struct Variant {
    /// Words of the block, in front of `kubernetes`; `HOSTS` is a file of hosts.
    words: &'static str,
    /// Lines of the stanza.
    options: &'static [&'static str],
    /// Names, whole.
    names: &'static [&'static str],
}

/// What is compared.
const VARIANTS: &[Variant] = &[
    Variant { words: "", options: &["multicluster clusterset.local"], names: CLUSTERSET },
    Variant {
        words: "",
        options: &["multicluster clusterset.local", "ignore empty_service", "ttl 30"],
        names: CLUSTERSET,
    },
    Variant { words: "", options: &["multicluster clusterset.local", "noendpoints"], names: CLUSTERSET },
    Variant { words: "", options: &["zonal"], names: ZONES },
    Variant { words: "", options: &[], names: ZONES },
    Variant { words: "k8s_external example.org in-addr.arpa ip6.arpa", options: &[], names: OUTSIDE },
    Variant {
        words: "k8s_external example.org {\n headless\n apex own\n }",
        options: &["endpoint_pod_names"],
        names: OUTSIDE,
    },
    Variant { words: "k8s_external example.org in-addr.arpa", options: &["namespaces shop"], names: OUTSIDE },
    Variant {
        words: "autopath @kubernetes\n hosts HOSTS example.com",
        options: &["pods verified"],
        names: SEARCHES,
    },
    Variant { words: "autopath @kubernetes\n hosts HOSTS example.com", options: &[], names: SEARCHES },
];

/// Names of a clusterset.
const CLUSTERSET: &[&str] = &[
    "clusterset.local.",
    "svc.clusterset.local.",
    "shop.svc.clusterset.local.",
    "nowhere.svc.clusterset.local.",
    "dns-version.clusterset.local.",
    "api.shop.svc.clusterset.local.",
    "local.shop.svc.clusterset.local.",
    "idle.shop.svc.clusterset.local.",
    "store.data.svc.clusterset.local.",
    "lonely.data.svc.clusterset.local.",
    "nothing.data.svc.clusterset.local.",
    "_http._tcp.api.shop.svc.clusterset.local.",
    "_dns._udp.api.shop.svc.clusterset.local.",
    "_http._udp.api.shop.svc.clusterset.local.",
    "_tcp.api.shop.svc.clusterset.local.",
    "_pg._tcp.store.data.svc.clusterset.local.",
    "_pg._udp.store.data.svc.clusterset.local.",
    "10-1-5-1.west.api.shop.svc.clusterset.local.",
    "10-1-5-1.api.shop.svc.clusterset.local.",
    "store-0.west.store.data.svc.clusterset.local.",
    "store-0.east.store.data.svc.clusterset.local.",
    "STORE-0.East.store.Data.svc.clusterset.LOCAL.",
    "10-1-0-2.west.store.data.svc.clusterset.local.",
    "10-1-0-3.west.store.data.svc.clusterset.local.",
    "fd00-2--1.east.store.data.svc.clusterset.local.",
    "store-0.store.data.svc.clusterset.local.",
    "store-0.north.store.data.svc.clusterset.local.",
    "west.store.data.svc.clusterset.local.",
    "a.b.c.store.data.svc.clusterset.local.",
    "api.shop.svc.cluster.local.",
    "local.shop.svc.cluster.local.",
    "store.data.svc.cluster.local.",
    "ring.data.svc.cluster.local.",
    "arpa:10.120.0.1",
    "arpa:10.1.0.1",
];

/// Names in topology zones.
const ZONES: &[&str] = &[
    "ring.data.svc.cluster.local.",
    "r-0.ring.data.svc.cluster.local.",
    "asleep.data.svc.cluster.local.",
    "eu-a.pin._zone.ring.data.svc.cluster.local.",
    "eu-b.pin._zone.ring.data.svc.cluster.local.",
    "EU-B.Pin._Zone.ring.data.svc.cluster.local.",
    "eu-c.pin._zone.ring.data.svc.cluster.local.",
    "mars.pin._zone.ring.data.svc.cluster.local.",
    "rack.one.pin._zone.ring.data.svc.cluster.local.",
    "one.pin._zone.ring.data.svc.cluster.local.",
    "eu-b.prefer._zone.ring.data.svc.cluster.local.",
    "mars.prefer._zone.ring.data.svc.cluster.local.",
    "eu-a.only._zone.ring.data.svc.cluster.local.",
    "_zone.ring.data.svc.cluster.local.",
    "pin._zone.ring.data.svc.cluster.local.",
    "eu-a.pin._zone.asleep.data.svc.cluster.local.",
    "eu-a.prefer._zone.asleep.data.svc.cluster.local.",
    "eu-a.pin._zone.local.shop.svc.cluster.local.",
    "eu-a.pin._zone.nothing.data.svc.cluster.local.",
    "eu-a.pin._zone.ring.nowhere.svc.cluster.local.",
    "eu-a.pin._zone.ring.data.pod.cluster.local.",
    "arpa:10.3.0.1",
];

/// Names for the outside.
const OUTSIDE: &[&str] = &[
    "example.org.",
    "dns.example.org.",
    "ns1.dns.example.org.",
    "ns2.dns.example.org.",
    "own.example.org.",
    "ns1.own.example.org.",
    "a.ns1.own.example.org.",
    "shop.example.org.",
    "nowhere.example.org.",
    "web.shop.example.org.",
    "WEB.Shop.example.ORG.",
    "cloud.shop.example.org.",
    "mail.data.example.org.",
    "vault.secret.example.org.",
    "inner.shop.example.org.",
    "nothing.shop.example.org.",
    "ring.data.example.org.",
    "r-0.ring.data.example.org.",
    "10-3-0-2.ring.data.example.org.",
    "asleep.data.example.org.",
    "10-4-0-1.inner.shop.example.org.",
    "x.web.shop.example.org.",
    "_http._tcp.web.shop.example.org.",
    "_dns._udp.web.shop.example.org.",
    "_http._udp.web.shop.example.org.",
    "_udp.web.shop.example.org.",
    "_https._tcp.cloud.shop.example.org.",
    "_gossip._tcp.ring.data.example.org.",
    "a.b.c.web.shop.example.org.",
    "web.shop.svc.cluster.local.",
    "arpa:192.0.2.10",
    "arpa:192.0.2.11",
    "arpa:192.0.2.66",
    "arpa:192.0.2.99",
    "arpa:2001:db8::10",
    "2.0.192.in-addr.arpa.",
    "3.0.192.in-addr.arpa.",
    "in-addr.arpa.",
];

/// Names as a pod of `shop` asks for them.
const SEARCHES: &[&str] = &[
    "www.example.com.shop.svc.cluster.local.",
    "WWW.Example.com.Shop.svc.cluster.local.",
    "www.example.com.data.svc.cluster.local.",
    "www.example.com.svc.cluster.local.",
    "www.example.com.",
    "none.example.com.shop.svc.cluster.local.",
    "local.shop.svc.cluster.local.",
    "ring.data.shop.svc.cluster.local.",
    "ring.data.svc.shop.svc.cluster.local.",
    "r-0.ring.data.shop.svc.cluster.local.",
    "_gossip._tcp.ring.data.shop.svc.cluster.local.",
    "nothing.nowhere.shop.svc.cluster.local.",
    "shop.svc.cluster.local.",
    "nothing.shop.svc.cluster.local.",
];

/// The rules of docs/behaviour.md by which ours answers otherwise than CoreDNS, with what is different.
const RULES: &[(&str, &str)] = &[
    ("K-003", "the zone part of derived names follows the letters of the question"),
    ("K-009", "our OPT has our size, not the client's"),
    (
        "K-037",
        "a name with names below it is NODATA: `_tcp`, a cluster of an import, `_zone`, parts of reverse names",
    ),
    ("K-051", "SOA at a name that does not exist is NXDOMAIN"),
    ("K-057", "another type at dns-version is NODATA"),
    ("K-058", "TXT at a name that exists is NODATA"),
    ("K-059a", "with `bind`, the bound addresses are our own addresses"),
    ("K-104", "a headless Service without ready endpoints has no zonal names"),
    ("K-177", "a slice of another cluster has no PTR; CoreDNS gives no reply at all"),
    ("K-176", "another type at a reverse name that exists is NODATA"),
    (
        "K-290",
        "a Service reached from outside has no endpoints' names: CoreDNS answers for any label in front of it",
    ),
    ("K-290, alias", "one alias, also for CNAME; SRV leads to the name without its addresses"),
    ("K-255, element", "the first element of a search list is a name like others; CoreDNS fails"),
    ("K-255", "what CoreDNS could not answer (no next step) is tried at the next element"),
];

/// The rule by which a difference is allowed.
fn rule(question: &Question, options: &str, ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    let name = question.lower.as_str();
    let (qtype, nx_is_nodata, nodata_is_nx) = (
        question.qtype.as_str(),
        theirs.is_nx() && ours.is_nodata() && ours.rest() == theirs.rest(),
        theirs.is_nodata() && ours.is_nx() && ours.rest() == theirs.rest(),
    );
    if ours.text.eq_ignore_ascii_case(&theirs.text) {
        return Some("K-003");
    }
    if qtype == "PTR" && theirs.is_silence() && ours.is_nx() && name == "1.0.1.10.in-addr.arpa." {
        return Some("K-177");
    }
    let searched = name.ends_with(".shop.svc.cluster.local.") && options.contains("autopath");
    if searched && theirs.code() == "SERVFAIL" && ours.is_nx() {
        return Some("K-255");
    }
    if name == "shop.svc.cluster.local." && theirs.code() == "SERVFAIL" && ours.code() == "NOERROR" {
        return Some("K-255, element");
    }
    // The walk goes on, since CoreDNS's first answer is none.
    if searched && qtype == "SOA" && theirs.is_nodata() && ours.is_nodata() {
        return Some("K-051");
    }
    let starts = |labels: &[&str]| labels.iter().any(|label| name.starts_with(label));
    let above = starts(&["_tcp.", "_udp.", "west.store.", "_zone.ring.", "pin._zone.ring."])
        || name == "2.0.192.in-addr.arpa.";
    if above && nx_is_nodata {
        return Some("K-037");
    }
    if name.contains("_zone.asleep.") && (nodata_is_nx || theirs.is_nodata() && ours.is_nx()) {
        return Some("K-104");
    }
    if qtype == "SOA" && nodata_is_nx {
        return Some("K-051");
    }
    if name.starts_with("dns-version.") && nx_is_nodata {
        return Some("K-057");
    }
    if qtype == "TXT" && nx_is_nodata {
        return Some("K-058");
    }
    let own = starts(&["ns1.dns.", "ns1.own."])
        || qtype == "NS" && ["clusterset.local.", "example.org.", "in-addr.arpa."].contains(&name);
    if own && options.contains("bind") && theirs.code() == "NOERROR" && ours.code() == "NOERROR" {
        return Some("K-059a");
    }
    if name.ends_with(".arpa.") && qtype != "PTR" && nx_is_nodata {
        return Some("K-176");
    }
    if starts(&["x.web.", "_udp.web."]) && !theirs.is_nx() {
        return Some("K-290");
    }
    if name.contains("cloud.shop.") && ours.code() == "NOERROR" && theirs.code() == "NOERROR" {
        return Some("K-290, alias");
    }
    None
}

/// Objects that an API server has beside the fixtures: who asks.
fn asker() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "asker", "namespace": "shop"},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]},
    })
}

/// The Corefile for a port of 127.0.0.1.
fn corefile(variant: &Variant, port: u16, url: &str, hosts: &Path) -> String {
    let mut text = format!(".:{port} {{\n bind 127.0.0.1\n");
    let words = variant.words.replace("HOSTS", &hosts.display().to_string());
    let _ = writeln!(text, " {words}\n kubernetes cluster.local clusterset.local in-addr.arpa ip6.arpa {{");
    let _ = writeln!(text, "  endpoint {url}");
    for option in variant.options {
        let _ = writeln!(text, "  {option}");
    }
    let _ = writeln!(
        text,
        " }}\n}}\nexample.net:{port} {{\n bind 127.0.0.1\n hosts {} example.net\n}}",
        hosts.display()
    );
    text
}

/// Asks both servers everything; returns how much that was, which rules were needed, and what no rule allows.
fn run(binary: &OsStr, variant: &Variant) -> (usize, Vec<&'static str>, String) {
    let api = FakeApi::start();
    api.apply_all(manifests("beyond"));
    api.apply(asker());
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.77 lb.example.net\n192.0.2.78 www.example.com\n").unwrap();
    let theirs = CoreDns::start(binary, |port| corefile(variant, port, &api.url(), &hosts));
    let text = corefile(variant, free_port(), &api.url(), &hosts);
    let ours = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(ours.wait_synced(PATIENCE), "no sync with\n{text}");
    let (mut ask_theirs, mut ask_ours) = (Asker::new(theirs.addr), Asker::new(ours.addresses()[0]));
    let (mut compared, mut used, mut wrong) = (0, Vec::new(), String::new());
    for (at, name) in variant.names.iter().enumerate() {
        let name =
            name.strip_prefix("arpa:").map_or_else(|| (*name).to_owned(), |ip| reverse(ip.parse().unwrap()));
        for (nth, qtype) in TYPES.iter().enumerate() {
            let (words, via) = match (at + nth) % 3 {
                0 => ("+edns +rd", Via::Udp),
                1 => ("", Via::Tcp),
                _ => ("+bufsize=4096 +do", Via::Udp),
            };
            let question = Question::new(&name, qtype, words, via);
            let (said, meant) = (ask_ours.ask(&question), ask_theirs.ask(&question));
            compared += 1;
            if said.size != meant.size {
                used.push("K-009");
            }
            if said.text == meant.text {
                continue;
            }
            match rule(&question, &text, &said, &meant) {
                Some(rule) => used.push(rule),
                None => {
                    let _ = writeln!(
                        wrong,
                        "\n{} {:?} {}\nCoreDNS {}ours    {}",
                        variant.words,
                        variant.options,
                        question.text(),
                        meant.text.replace('\n', "\n        "),
                        said.text.replace('\n', "\n        ")
                    );
                }
            }
        }
    }
    (compared, used, wrong)
}

#[test]
fn beyond_the_cluster_ours_and_coredns_say_the_same_but_for_the_listed_rules() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    let (mut compared, mut used, mut wrong) = (0, Vec::new(), String::new());
    for variant in VARIANTS {
        let (count, mut rules, text) = run(&binary, variant);
        compared += count;
        used.append(&mut rules);
        wrong += &text;
    }
    eprintln!("{compared} questions in {} variants", VARIANTS.len());
    for (rule, reason) in RULES {
        let count = used.iter().filter(|used| *used == rule).count();
        eprintln!("{count:7}  {rule}: {reason}");
        if count == 0 {
            let _ = writeln!(wrong, "never needed: {rule}: {reason}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
