//! What is asked: the questions of the tables in tests/kubernetes_spec, and names made from every object of the fixtures,
//! each with every type.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::harness::{Via, fixtures, reverse};

/// The types that each name is asked for.
const TYPES: &[&str] =
    &["A", "AAAA", "SRV", "CNAME", "PTR", "TXT", "SOA", "NS", "MX", "ANY", "HTTPS", "DS", "CAA"];

/// The types that partial reverse names are asked for.
const FEW_TYPES: &[&str] = &["PTR", "A", "TXT", "SOA", "NS"];

/// The tables of the specification.
const TABLES: &[&str] = &[
    include_str!("../kubernetes_spec/a_message.rs"),
    include_str!("../kubernetes_spec/b_grammar.rs"),
    include_str!("../kubernetes_spec/c_apex.rs"),
    include_str!("../kubernetes_spec/d_cluster_ip.rs"),
    include_str!("../kubernetes_spec/e_headless.rs"),
    include_str!("../kubernetes_spec/f_external_name.rs"),
    include_str!("../kubernetes_spec/f_outside.rs"),
    include_str!("../kubernetes_spec/g_pods.rs"),
    include_str!("../kubernetes_spec/h_reverse.rs"),
    include_str!("../kubernetes_spec/i_options.rs"),
];

/// Questions with something unusual about the message.
const UNUSUAL: &[&str] = &[
    // An empty client subnet, a cookie, NSID, padding, an option that nobody knows (K-011).
    "web.shop.svc.Z A +opt=8:0001200000000000",
    "web.shop.svc.Z A +opt=10:0102030405060708",
    "web.shop.svc.Z A +opt=12:0000",
    "web.shop.svc.Z A +opt=65001:00",
    "nothing.shop.svc.Z A +opt=10:0102030405060708",
    // Versions, classes, opcodes (K-010, K-013, K-014).
    "web.shop.svc.Z A +version=1",
    "web.shop.svc.Z A CH",
    "web.shop.svc.Z A ANY",
    "web.shop.svc.Z A +opcode=1",
    "web.shop.svc.Z A +opcode=2",
    "web.shop.svc.Z A +opcode=4",
    "web.shop.svc.Z SOA +opcode=4",
    "web.shop.svc.Z A +opcode=5",
    "web.shop.svc.Z A +aa",
    "web.shop.svc.Z A +ra",
    "web.shop.svc.Z A +z",
    "web.shop.svc.Z A +ad +rd",
    "Z AXFR",
    "Z IXFR",
    "web.shop.svc.Z AXFR",
];

/// A question, and how it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// The name as typed, whole.
    pub(crate) name: String,
    /// The name in lower case.
    pub(crate) lower: String,
    /// The type's name.
    pub(crate) qtype: String,
    /// Class and words of `harness::Ask`.
    pub(crate) words: String,
    /// Over what.
    pub(crate) via: Via,
}

impl Question {
    /// For a whole name.
    pub(crate) fn new(name: &str, qtype: &str, words: &str, via: Via) -> Self {
        Self {
            name: name.to_owned(),
            lower: name.to_ascii_lowercase(),
            qtype: qtype.to_owned(),
            words: words.to_owned(),
            via,
        }
    }

    /// From the form of the tables.
    fn parse(text: &str, via: Via) -> Self {
        let (name, rest) = text.split_once(' ').unwrap();
        let (qtype, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let name = match name.strip_prefix("arpa:") {
            Some(address) => reverse(address.parse().unwrap()),
            None if name == "Z" => "cluster.local.".to_owned(),
            None => match name.strip_suffix(".Z") {
                Some(left) => format!("{left}.cluster.local."),
                None => name.to_owned(),
            },
        };
        Self::new(&name, qtype, words, via)
    }

    /// In the form that `harness::Ask` reads.
    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.name, self.qtype, self.words)
    }
}

/// All objects of a folder of fixtures.
pub(crate) fn manifests(folder: &str) -> Vec<Value> {
    let mut files: Vec<_> =
        std::fs::read_dir(fixtures(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        for document in std::fs::read_to_string(file).unwrap().split("\n---\n") {
            let mut object: Value = serde_saphyr::from_str(document).unwrap();
            fill_in(&mut object);
            objects.push(object);
        }
    }
    objects
}

/// Writes what an API server writes where a manifest does not say it.
fn fill_in(object: &mut Value) {
    let is_service = object["kind"] == "Service";
    let ports = if is_service { object["spec"].get_mut("ports") } else { object.get_mut("ports") };
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if port["protocol"].is_null() {
            port["protocol"] = "TCP".into();
        }
    }
    if is_service && object["spec"]["type"].is_null() {
        object["spec"]["type"] = "ClusterIP".into();
    }
}

/// All questions, each once; with `plain` each name is asked in lower case as well as in another form.
pub(crate) fn questions(objects: &[Value], plain: bool) -> Vec<Question> {
    let mut all = Vec::new();
    for text in UNUSUAL {
        all.push(Question::parse(text, Via::Udp));
        all.push(Question::parse(text, Via::Tcp));
    }
    for text in TABLES.iter().flat_map(|table| table_questions(table)) {
        all.push(Question::parse(&text, Via::Udp));
    }
    let (names, partial) = names(objects);
    for (name, types) in
        names.iter().map(|name| (name, TYPES)).chain(partial.iter().map(|name| (name, FEW_TYPES)))
    {
        for (number, qtype) in types.iter().enumerate() {
            if plain {
                all.push(Question::new(name, qtype, "", Via::Udp));
            }
            // Another form each time: every name meets all of them, and every type too.
            all.push(match (number + name.len()) % 6 {
                0 => Question::new(&name.to_ascii_uppercase(), qtype, "+edns", Via::Udp),
                1 => Question::new(&mixed(name), qtype, "+bufsize=4096 +do +rd", Via::Tcp),
                2 => Question::new(name, qtype, "+rd +cd", Via::Tcp),
                3 => Question::new(&mixed(name), qtype, "+rd", Via::Udp),
                4 => Question::new(name, qtype, "+bufsize=512 +ad", Via::Udp),
                _ => Question::new(&name.to_ascii_uppercase(), qtype, "", Via::Tcp),
            });
        }
    }
    all.sort_by(|a, b| (&a.name, &a.qtype).cmp(&(&b.name, &b.qtype)));
    all.dedup();
    all
}

/// The questions that stand as strings in a table's source.
fn table_questions(source: &str) -> Vec<String> {
    let is_question = |text: &&str| {
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let is_name = name == "Z" || name.ends_with(".Z") || name.ends_with('.') || name.starts_with("arpa:");
        let is_type = words.next().is_some_and(|qtype| TYPES.contains(&qtype));
        // A backslash is a name's only where the string is raw.
        is_name && is_type && !text.contains(['\\', ';', '{', '"']) && words.all(|word| word.starts_with('+'))
    };
    source.split('"').filter(is_question).map(str::to_owned).collect()
}

/// Every other letter large.
fn mixed(name: &str) -> String {
    let change = |(at, letter): (usize, char)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter };
    name.chars().enumerate().map(change).collect()
}

/// The strings of a list.
fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Names made from the objects; and the reverse names above an address.
fn names(objects: &[Value]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    let mut spaces = BTreeSet::from(["nowhere"]);
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        let ns = object["metadata"]["namespace"].as_str().unwrap_or("default");
        match object["kind"].as_str().unwrap() {
            "Namespace" => drop(spaces.insert(name)),
            "Service" => {
                let spec = &object["spec"];
                addresses.extend(strings(&spec["clusterIPs"]).chain(spec["clusterIP"].as_str()));
                addresses.extend(strings(&spec["externalIPs"]));
                service_names(&mut names, name, ns);
                port_names(&mut names, &spec["ports"], name, ns);
            }
            "EndpointSlice" => {
                let labels = &object["metadata"]["labels"];
                let service = labels["kubernetes.io/service-name"].as_str().unwrap_or(name);
                service_names(&mut names, service, ns);
                port_names(&mut names, &object["ports"], service, ns);
                for endpoint in object["endpoints"].as_array().into_iter().flatten() {
                    let ways = [&endpoint["hostname"], &endpoint["targetRef"]["name"]];
                    for left in ways.into_iter().filter_map(Value::as_str) {
                        names.insert(format!("{left}.{service}.{ns}.svc.cluster.local."));
                    }
                    for address in strings(&endpoint["addresses"]) {
                        addresses.insert(address);
                        let dashed = dashed(address);
                        names.insert(format!("{dashed}.{service}.{ns}.svc.cluster.local."));
                        names.insert(format!("{dashed}.{ns}.pod.cluster.local."));
                    }
                }
            }
            _ => {
                let of_list = object["status"]["podIPs"].as_array().into_iter().flatten();
                for address in of_list.map(|one| &one["ip"]).chain([&object["status"]["podIP"]]) {
                    let address = address.as_str().unwrap();
                    addresses.insert(address);
                    for ns in [ns, "shop", "nowhere"] {
                        names.insert(format!("{}.{ns}.pod.cluster.local.", dashed(address)));
                        names.insert(format!("x.y.{}.{ns}.pod.cluster.local.", dashed(address)));
                    }
                }
                names.insert(format!("{name}.{ns}.pod.cluster.local."));
            }
        }
    }
    for ns in spaces {
        for left in ["", "nothing.", "a.b.c.d.e."] {
            names.insert(format!("{left}{ns}.svc.cluster.local."));
        }
        for left in
            ["", "nothing.", "10-1-2-3.", "010-1-2-3.", "fd10--9.", "fd10-0-0-0-0-0-0-9.", "a.b.c.10-1-2-3."]
        {
            names.insert(format!("{left}{ns}.pod.cluster.local."));
        }
        names.insert(format!("{ns}.cluster.local."));
    }
    for zone in ["cluster.local.", "in-addr.arpa.", "ip6.arpa."] {
        names.insert(zone.to_owned());
        for left in [
            "svc",
            "pod",
            "dns",
            "ns.dns",
            "x.dns",
            "x.ns.dns",
            "dns-version",
            "x.dns-version",
            "foo",
            "shop.svc",
            "web.shop.svc",
            "_http._tcp.web.shop.svc",
            "_tcp.web.shop.svc",
            "db-0.db.data.svc",
            "shop.pod",
            "10-1-2-3.shop.pod",
            "ns.dns.cluster.local.foo",
            "ns.dns.cluster.local.shop.svc",
            "ns.dns.in-addr.arpa.foo",
        ] {
            names.insert(format!("{left}.{zone}"));
        }
    }
    let mut partial = BTreeSet::new();
    for address in addresses.into_iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
        let name = reverse(address);
        let (_, above) = name.split_once('.').unwrap();
        names.insert(format!("x.{name}"));
        // A neighbour that is nobody's, and something that is no number.
        names.insert(format!("{}.{above}", if address.is_ipv4() { "254" } else { "e" }));
        partial.insert(format!("x.{above}"));
        let mut rest = above;
        while rest != "in-addr.arpa." && rest != "ip6.arpa." {
            partial.insert(rest.to_owned());
            rest = rest.split_once('.').unwrap().1;
        }
        names.insert(name);
    }
    // A pod's name may be longer than a label (K-114).
    names.retain(|name| name.split('.').all(|label| label.len() < 64));
    (names, partial)
}

/// Names about a Service whatever it is.
fn service_names(names: &mut BTreeSet<String>, service: &str, ns: &str) {
    let usual = [
        "",
        "nothing.",
        "_tcp.",
        "_udp.",
        "_sctp.",
        "tcp.",
        "_http.",
        "_nothing._tcp.",
        "_._tcp.",
        "_._.",
        "_http._tcp.x.",
        "_http._tcp.",
        "http.tcp.",
        "_http._udp.",
        "_http._quic.",
    ];
    for left in usual {
        names.insert(format!("{left}{service}.{ns}.svc.cluster.local."));
    }
    names.insert(format!("{service}.nowhere.svc.cluster.local."));
    names.insert(format!("{service}.{ns}.pod.cluster.local."));
}

/// Names of a Service's or a slice's ports.
fn port_names(names: &mut BTreeSet<String>, ports: &Value, service: &str, ns: &str) {
    for port in ports.as_array().into_iter().flatten() {
        let protocol = port["protocol"].as_str().unwrap_or("TCP").to_ascii_lowercase();
        let number = port["port"].to_string();
        for name in port["name"].as_str().into_iter().chain([number.as_str()]) {
            for left in
                [format!("_{name}._{protocol}"), format!("{name}._{protocol}"), format!("_{name}._udp")]
            {
                names.insert(format!("{left}.{service}.{ns}.svc.cluster.local."));
            }
        }
    }
}

/// An address as a label (K-106).
fn dashed(address: &str) -> String {
    let text = address.replace(['.', ':'], "-");
    if text.ends_with('-') { text + "0" } else { text }
}
