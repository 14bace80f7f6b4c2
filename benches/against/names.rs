//! Random questions: names made from the objects and the Corefile, names beside them, and each with many types.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fastrand::Rng;
use serde_json::Value;

use crate::case::Case;
use crate::cluster::one;
use crate::harness::{Via, reverse};
use crate::questions::Question;

/// Types that each name is asked for: from these the exceptions learn which names there are.
pub(crate) const ALWAYS: &[&str] = &["A", "AAAA", "SRV", "PTR", "TXT"];

/// Types of which each name is asked for two.
const SOMETIMES: &[&str] =
    &["CNAME", "MX", "NS", "SOA", "HTTPS", "ANY", "DS", "CAA", "HINFO", "TYPE65400", "SVCB", "NAPTR"];

/// How a question may be asked.
const WORDS: &[&str] = &[
    "",
    "",
    "+rd",
    "+rd",
    "+rd +edns",
    "+edns",
    "+rd +ad",
    "+rd +cd",
    "+rd +do +bufsize=4096",
    "+do +cd",
    "+bufsize=512 +rd",
    "+aa +ra +z",
];

/// Questions that are unusual beside their name.
const UNUSUAL: &[&str] = &[
    "+opt=10:0102030405060708",
    "+rd +opt=8:0001200000000000",
    "+opt=3: +rd",
    "+opt=65001:00",
    "+version=1",
    "CH",
    "CH +rd",
    "ANY",
    "+opcode=1",
    "+opcode=2",
    "+opcode=4",
    "+opcode=5",
];

/// Names about the other words of the chain.
const OTHERS: &[&str] = &[
    "plain.test.",
    "many.test.",
    "chain.test.",
    "half.test.",
    "dangling.test.",
    "missing.test.",
    "nodata.test.",
    "empty.test.",
    "servfail.test.",
    "refused.test.",
    "ttl60.test.",
    "test.",
    "example.org.",
    "www.example.org.",
    "alias.example.org.",
    "chain.example.org.",
    "dangling.example.org.",
    "away.example.org.",
    "cluster.example.org.",
    "none.example.org.",
    "x.wild.example.org.",
    "here.wild.example.org.",
    "x.here.wild.example.org.",
    "wild.example.org.",
    "x.other.example.org.",
    "b.c.example.org.",
    "c.example.org.",
    "a.b.c.example.org.",
    "x.b.c.example.org.",
    "sub.example.org.",
    "x.sub.example.org.",
    "ns.sub.example.org.",
    "web.moved.example.org.",
    "x.renamed.example.org.",
    "renamed.example.org.",
    "_http._tcp.example.org.",
    "text.example.org.",
    "caa.example.org.",
    "mail.example.org.",
    "ns1.example.org.",
    "example.net.",
    "host.example.net.",
    "alias.example.net.",
    "inline.example.net.",
    "taken.example.net.",
    "none.example.net.",
    "tpl.example.",
    "a.tpl.example.",
    "ip-1-2.tpl.example.",
    "x.nowhere.tpl.example.",
    "short.example.",
    "web.shop.short.example.",
    "db.data.short.example.",
    "web.shop.plain.example.",
    "web.shop.re.example.",
    "db-0.db.data.re.example.",
    "web.only.example.",
    "one.example.",
    "two.example.",
    "old-shop.svc.cluster.local.",
    "web.shop.svc.cluster.local.",
    "out.example.",
    "dns.out.example.",
    "ns1.dns.out.example.",
    "own.out.example.",
    "ns1.own.out.example.",
    "shop.out.example.",
    "nothing.shop.out.example.",
    "nowhere.out.example.",
    "localhost.",
    "x.localhost.",
    "localhost.cluster.local.",
    "1.0.0.127.in-addr.arpa.",
    "127.in-addr.arpa.",
    "version.bind.",
    "id.server.",
    ".",
    "com.",
    "www.example.com.",
];

/// The names of a case.
#[derive(Default)]
struct Names {
    /// All of them.
    all: BTreeSet<String>,
    /// The forward zones of `kubernetes`.
    zones: Vec<&'static str>,
}

impl Names {
    /// Adds a name of the cluster, in each of its zones.
    fn add(&mut self, left: &str) {
        for zone in &self.zones {
            let dot = if left.is_empty() { "" } else { "." };
            self.all.insert(format!("{left}{dot}{zone}"));
        }
    }

    /// Adds the names about a Service, whatever it is.
    fn service(&mut self, rng: &mut Rng, service: &str, ns: &str) {
        self.add(&format!("{service}.{ns}.svc"));
        for left in ["_tcp", "_udp", "_sctp", "_http._tcp", "_dns._udp"] {
            self.add(&format!("{left}.{service}.{ns}.svc"));
        }
        for _ in 0..3 {
            let left = one(
                rng,
                &[
                    "nothing",
                    "tcp",
                    "_http",
                    "_nothing._tcp",
                    "_._tcp",
                    "_._",
                    "_http._tcp.x",
                    "http.tcp",
                    "_http._quic",
                    "a.b",
                    "a.b.c",
                    "*",
                    "any",
                    "_HTTP._Tcp",
                    "_zone",
                    "eu-a.pin._zone",
                    "eu-b.pin._zone",
                    "rack1.prefer._zone",
                    "eu-c.pin._zone",
                    "x\\.y",
                    "west",
                    "db-0.west",
                    "db-0.east",
                ],
            );
            self.add(&format!("{left}.{service}.{ns}.svc"));
        }
        if rng.u8(..4) == 0 {
            self.add(&format!("{service}.nowhere.svc"));
            self.add(&format!("{service}.{ns}.pod"));
            self.add(&format!("{service}.{ns}"));
        }
        for zone in ["out.example.", "other.example."] {
            self.all.insert(format!("{service}.{ns}.{zone}"));
        }
        if rng.u8(..3) == 0 {
            self.all.insert(format!("_http._tcp.{service}.{ns}.out.example."));
        }
    }

    /// Adds the names of ports.
    fn ports(&mut self, ports: &Value, service: &str, ns: &str) {
        for port in ports.as_array().into_iter().flatten() {
            let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) else { continue };
            let protocol = port["protocol"].as_str().unwrap_or("TCP").to_ascii_lowercase();
            self.add(&format!("_{name}._{protocol}.{service}.{ns}.svc"));
        }
    }

    /// Adds the names of an address.
    fn address(&mut self, rng: &mut Rng, text: &str) {
        let Ok(address) = text.parse::<IpAddr>() else { return };
        let name = reverse(address);
        let (_, above) = name.split_once('.').unwrap();
        if rng.u8(..4) == 0 {
            self.all.insert(format!("x.{name}"));
            self.all.insert(format!("{}.{above}", if address.is_ipv4() { "254" } else { "e" }));
            self.all.insert(above.to_owned());
            let labels: Vec<&str> = name.split('.').collect();
            self.all.insert(labels[rng.usize(1..labels.len() - 3)..].join("."));
        }
        self.all.insert(name);
    }
}

/// The strings of a list.
fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// An address as a label (K-106).
fn dashed(address: &str) -> String {
    let text = address.replace(['.', ':'], "-");
    if text.ends_with('-') { text + "0" } else { text }
}

/// Random letters large.
fn mixed(rng: &mut Rng, name: &str) -> String {
    name.chars().map(|letter| if rng.bool() { letter.to_ascii_uppercase() } else { letter }).collect()
}

/// All names of a case.
fn names(rng: &mut Rng, case: &Case) -> BTreeSet<String> {
    let mut names = Names { zones: vec!["cluster.local."], ..Names::default() };
    if case.options().contains("clusterset.local") {
        names.zones.push("clusterset.local.");
    }
    for object in &case.objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        let ns = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let labels = &object["metadata"]["labels"];
        match object["kind"].as_str().unwrap() {
            "Namespace" => {
                for left in ["svc", "pod"] {
                    names.add(&format!("{name}.{left}"));
                    names.add(&format!("nothing.{name}.{left}"));
                }
                names.add(&format!("10-1-2-3.{name}.pod"));
                names.add(name);
                names.all.insert(format!("{name}.out.example."));
            }
            "Service" | "ServiceImport" => {
                let spec = &object["spec"];
                names.service(rng, name, ns);
                names.ports(&spec["ports"], name, ns);
                let outside = object["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
                let outside = outside.filter_map(|one| one["ip"].as_str());
                let lists = [&spec["clusterIPs"], &spec["externalIPs"], &spec["ips"]];
                for address in lists.into_iter().flat_map(strings).chain(outside) {
                    names.address(rng, address);
                }
            }
            "EndpointSlice" => {
                let service = labels["kubernetes.io/service-name"]
                    .as_str()
                    .or(labels["multicluster.kubernetes.io/service-name"].as_str())
                    .unwrap_or(name);
                let cluster = labels["multicluster.kubernetes.io/source-cluster"].as_str();
                names.service(rng, service, ns);
                names.ports(&object["ports"], service, ns);
                for endpoint in object["endpoints"].as_array().into_iter().flatten() {
                    let mut left: Vec<String> = [&endpoint["hostname"], &endpoint["targetRef"]["name"]]
                        .into_iter()
                        .filter_map(|one| Some(one.as_str()?.to_owned()))
                        .collect();
                    for address in strings(&endpoint["addresses"]) {
                        names.address(rng, address);
                        left.push(dashed(address));
                        if rng.bool() {
                            names.add(&format!("{}.{ns}.pod", dashed(address)));
                        }
                    }
                    for left in left {
                        names.add(&format!("{left}.{service}.{ns}.svc"));
                        names.all.insert(format!("{left}.{service}.{ns}.out.example."));
                        if let Some(cluster) = cluster {
                            names.add(&format!("{left}.{cluster}.{service}.{ns}.svc"));
                        }
                    }
                }
            }
            _ => {
                for address in object["status"]["podIPs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|one| one["ip"].as_str())
                {
                    names.address(rng, address);
                    names.add(&format!("{}.{ns}.pod", dashed(address)));
                    if rng.u8(..3) == 0 {
                        let left = one(rng, &["x", "x.y", "x.y.z"]);
                        names.add(&format!("{left}.{}.{ns}.pod", dashed(address)));
                        names.add(&format!("{}.shop.pod", dashed(address)));
                    }
                }
            }
        }
    }
    for left in [
        "",
        "svc",
        "pod",
        "dns",
        "ns.dns",
        "x.dns",
        "x.ns.dns",
        "dns-version",
        "x.dns-version",
        "foo",
        "nowhere.svc",
    ] {
        names.add(left);
    }
    for left in ["ns.dns.cluster.local.foo", "010-1-2-3.shop.pod", "fd10--9.shop.pod", "10-0-0-1.nowhere.pod"]
    {
        names.add(left);
    }
    for zone in ["in-addr.arpa.", "ip6.arpa."] {
        for left in ["", "svc.", "dns.", "ns.dns.", "dns-version.", "web.shop.svc.", "10."] {
            names.all.insert(format!("{left}{zone}"));
        }
    }
    let mut all = names.all;
    let bare = case.words().count() == 1;
    if !bare {
        all.extend(OTHERS.iter().map(|name| (*name).to_owned()));
    }
    if case.has("autopath") {
        for left in ["www.example.org", "plain.test", "web", "missing.test", "host.example.net"] {
            for right in
                ["shop.svc.cluster.local.", "data.svc.cluster.local.", "svc.cluster.local.", "cluster.local."]
            {
                all.insert(format!("{left}.{right}"));
            }
        }
    }
    // The names that `autopath` tries: what became of each says what has to become of the walk.
    // One that is tried may be the first of another search.
    let mut known = 0;
    while known < all.len() {
        known = all.len();
        let behind = all.iter().flat_map(|name| case.behind(name));
        let walks: Vec<String> = behind.filter_map(|name| case.walk(&name)).flatten().collect();
        all.extend(walks);
    }
    all.retain(|name| {
        name.trim_end_matches('.').len() < 250 && name.split('.').all(|label| label.len() < 64)
    });
    all
}

/// All questions of a case, in random order.
pub(crate) fn questions(rng: &mut Rng, case: &Case) -> Vec<Question> {
    let mut all = Vec::new();
    let names = names(rng, case);
    for name in &names {
        let mut types: Vec<&str> = ALWAYS.to_vec();
        types.extend([one(rng, SOMETIMES), one(rng, SOMETIMES)]);
        for qtype in types {
            let via = if rng.u8(..4) == 0 { Via::Tcp } else { Via::Udp };
            let typed = match rng.u8(..4) {
                0 => mixed(rng, name),
                _ => name.clone(),
            };
            all.push(Question::new(&typed, qtype, one(rng, WORDS), via));
        }
    }
    let names: Vec<&String> = names.iter().collect();
    for _ in 0..names.len() / 10 {
        let name = names[rng.usize(..names.len())];
        let words = one(rng, UNUSUAL);
        all.push(Question::new(name, one(rng, ALWAYS), words, if rng.bool() { Via::Tcp } else { Via::Udp }));
    }
    for qtype in ["AXFR", "IXFR"] {
        let name = names[rng.usize(..names.len())];
        all.push(Question::new(name, qtype, "", Via::Udp));
    }
    rng.shuffle(&mut all);
    all
}
