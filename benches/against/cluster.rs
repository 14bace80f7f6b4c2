//! Random clusters: objects that an API server would accept, the odd ones among them.

use fastrand::Rng;
use serde_json::{Value, json};

/// Namespaces that may be there; names that are words of the grammar are among them (K-041).
const SPACES: &[&str] = &["shop", "data", "default", "svc", "pod", "team-9", "kube-system", "dns", "cluster"];

/// Names of Services.
const SERVICES: &[&str] = &[
    "web",
    "db",
    "api",
    "a",
    "x-1",
    "svc",
    "pod",
    "dns",
    "tcp",
    "shop",
    "0-1",
    "kube-dns",
    "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-123456789",
];

/// Names of ports.
const PORTS: &[&str] = &["http", "https", "dns", "dns-tcp", "metrics", "p1", "tcp", "a"];

/// Protocols.
const PROTOCOLS: &[&str] = &["TCP", "TCP", "TCP", "UDP", "UDP", "SCTP"];

/// Host names of endpoints.
const HOSTS: &[&str] = &["db-0", "db-1", "web-0", "a", "tcp", "10-244-0-9", "0"];

/// Topology zones.
const ZONES: &[&str] = &["eu-a", "eu-b", "rack1"];

/// Clusters of the clusterset.
const CLUSTERS: &[&str] = &["west", "east"];

/// Where aliases lead.
const TARGETS: &[&str] = &[
    "plain.test",
    "many.test.",
    "chain.test",
    "missing.test",
    "nodata.test",
    "servfail.test",
    "www.example.org",
    "host.example.net",
    "WWW.Example.Org",
    "192.0.2.1",
    "ns.dns.cluster.local",
    "cluster.local",
    "web.shop.svc.cluster.local",
    "db.shop.svc.cluster.local.",
    "Web.Data.svc.Cluster.local",
    "api.default.svc.cluster.local",
    "nothing.shop.svc.cluster.local",
    "db-0.db.data.svc.cluster.local",
    "_http._tcp.web.shop.svc.cluster.local",
    "web.data.svc.clusterset.local",
    "localhost",
    "a",
];

/// Numbers out of which addresses are made.
#[derive(Default)]
struct Addresses {
    /// Cluster addresses given out.
    services: u16,
    /// Addresses of pods given out.
    pods: Vec<String>,
}

impl Addresses {
    /// A cluster address that nobody has.
    fn service(&mut self, six: bool) -> String {
        self.services += 1;
        let n = self.services;
        if six { format!("fd00:10:96::{n:x}") } else { format!("10.96.{}.{}", n / 200, n % 200 + 1) }
    }

    /// An address of a pod; sometimes one that was given out before.
    fn pod(&mut self, rng: &mut Rng, six: bool) -> String {
        let known: Vec<&String> = self.pods.iter().filter(|one| one.contains(':') == six).collect();
        if !known.is_empty() && rng.f32() < 0.15 {
            return known[rng.usize(..known.len())].clone();
        }
        let n = rng.u16(1..400);
        let address = match (six, rng.u8(..20)) {
            (false, _) => format!("10.244.{}.{}", n / 200, n % 200 + 1),
            // Spelled otherwise than the shortest way, and with nothing at the end (K-106, K-173).
            (true, 0) => format!("fd00:10:244:{n:x}:0:0:0:1"),
            (true, 1) => format!("fd00:10:{n:x}::"),
            (true, _) => format!("fd00:10:244::{n:x}"),
        };
        self.pods.push(address.clone());
        address
    }
}

/// Whether something happens with this probability.
fn may(rng: &mut Rng, probability: f32) -> bool {
    rng.f32() < probability
}

/// One of a list.
pub(crate) fn one<'a>(rng: &mut Rng, list: &[&'a str]) -> &'a str {
    list[rng.usize(..list.len())]
}

/// Random labels.
fn labels(rng: &mut Rng) -> serde_json::Map<String, Value> {
    let mut labels = serde_json::Map::new();
    if may(rng, 0.6) {
        labels.insert("tier".to_owned(), one(rng, &["front", "back"]).into());
    }
    if may(rng, 0.4) {
        labels.insert("team".to_owned(), one(rng, &["red", "blue"]).into());
    }
    labels
}

/// Ports of a Service or slice.
fn ports(rng: &mut Rng, of_slice: bool) -> Vec<Value> {
    let count = if may(rng, 0.12) { 0 } else { rng.usize(1..4) };
    let mut ports: Vec<Value> = Vec::new();
    for _ in 0..count {
        let protocol = one(rng, PROTOCOLS);
        let number = [80_u16, 53, 8080, 443, 65_535][rng.usize(..5)];
        let name = if count == 1 && may(rng, 0.3) { "" } else { one(rng, PORTS) };
        // An API server refuses a name, and a number with its protocol, that a Service has already.
        let taken =
            |port: &Value| port["name"] == name || (port["port"] == number && port["protocol"] == protocol);
        if ports.iter().any(taken) {
            continue;
        }
        let mut port = json!({"protocol": protocol, "port": number});
        // A slice of a port without a name has the empty name; one written by hand may have none.
        if !name.is_empty() || (of_slice && may(rng, 0.5)) {
            port["name"] = name.into();
        }
        if of_slice && may(rng, 0.02) {
            port.as_object_mut().unwrap().remove("port");
        }
        ports.push(port);
    }
    ports
}

/// The slices of a Service, or of nobody.
fn slices(
    rng: &mut Rng,
    addresses: &mut Addresses,
    ns: &str,
    service: &str,
    number: &mut usize,
) -> Vec<Value> {
    let count = [0, 1, 1, 1, 2, 3][rng.usize(..6)];
    let mut common = ports(rng, true);
    let mut slices = Vec::new();
    for _ in 0..count {
        *number += 1;
        if may(rng, 0.25) {
            common = ports(rng, true);
        }
        let kind = match rng.u8(..40) {
            0 => "FQDN",
            1..12 => "IPv6",
            _ => "IPv4",
        };
        let endpoints: Vec<Value> = (0..rng.usize(0..5))
            .map(|_| {
                let host = one(rng, &["node-a.example.com", "node-b.example.com"]).to_owned();
                let mut list: Vec<String> = match kind {
                    "FQDN" => vec![host],
                    _ => vec![addresses.pod(rng, kind == "IPv6")],
                };
                if kind != "FQDN" && may(rng, 0.08) {
                    list.push(addresses.pod(rng, kind == "IPv6"));
                }
                let mut endpoint = json!({"addresses": list});
                match rng.u8(..10) {
                    0 | 1 => {
                        endpoint["conditions"] = json!({"ready": false, "serving": true, "terminating": true})
                    }
                    2 => endpoint["conditions"] = json!({}),
                    3 => {}
                    _ => endpoint["conditions"] = json!({"ready": true}),
                }
                if may(rng, 0.35) {
                    endpoint["hostname"] = one(rng, HOSTS).into();
                }
                if may(rng, 0.5) {
                    let long = "long-pod-name-that-is-longer-than-any-label-may-be-0123456789-abcdef";
                    let name = if may(rng, 0.1) { long.to_owned() } else { format!("pod-{}", rng.u8(..6)) };
                    endpoint["targetRef"] = json!({"kind": "Pod", "name": name, "namespace": ns});
                }
                if may(rng, 0.6) {
                    endpoint["zone"] = one(rng, ZONES).into();
                }
                endpoint
            })
            .collect();
        let mut labels = labels(rng);
        labels.insert("kubernetes.io/service-name".to_owned(), service.into());
        let mut slice = json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"namespace": ns, "name": format!("slice-{number}"), "labels": labels},
            "addressType": kind, "endpoints": endpoints, "ports": common,
        });
        if may(rng, 0.03) {
            slice["metadata"]["labels"].as_object_mut().unwrap().remove("kubernetes.io/service-name");
        }
        slices.push(slice);
    }
    slices
}

/// What `spec` a Service has, and its `status`.
fn spec(rng: &mut Rng, addresses: &mut Addresses) -> (Value, Value) {
    let kind = rng.u8(..20);
    if kind < 3 {
        let mut spec = json!({"type": "ExternalName", "externalName": one(rng, TARGETS)});
        if may(rng, 0.3) {
            spec["ports"] = ports(rng, false).into();
        }
        return (spec, Value::Null);
    }
    let list: Vec<String> = match rng.u8(..6) {
        _ if kind < 9 => vec!["None".to_owned()],
        0 => vec![addresses.service(true)],
        1 => vec![addresses.service(false), addresses.service(true)],
        2 => vec![addresses.service(true), addresses.service(false)],
        _ => vec![addresses.service(false)],
    };
    let mut spec = json!({"clusterIP": list[0], "clusterIPs": list, "ports": ports(rng, false)});
    spec["type"] = match kind {
        16 | 17 => "NodePort",
        18 | 19 => "LoadBalancer",
        _ => "ClusterIP",
    }
    .into();
    let mut status = Value::Null;
    if kind >= 18 && may(rng, 0.8) {
        let ingress = match rng.u8(..5) {
            0 => json!([{"hostname": "lb.example.net"}]),
            1 => json!([{"ip": format!("192.0.2.{}", rng.u8(100..110))}, {"ip": "2001:db8::77"}]),
            _ => json!([{"ip": format!("192.0.2.{}", rng.u8(100..110))}]),
        };
        status = json!({"loadBalancer": {"ingress": ingress}});
    }
    if list_is_reachable(&spec) && may(rng, 0.2) {
        let mut list = vec![format!("198.51.100.{}", rng.u8(1..9))];
        if may(rng, 0.3) {
            list.push("2001:db8::99".to_owned());
        }
        spec["externalIPs"] = list.into();
    }
    if may(rng, 0.1) {
        spec["publishNotReadyAddresses"] = true.into();
    }
    (spec, status)
}

/// Whether a Service has an address that the outside can be led to.
fn list_is_reachable(spec: &Value) -> bool {
    spec["clusterIP"] != "None"
}

/// Pods of a namespace.
fn pods(rng: &mut Rng, addresses: &mut Addresses, ns: &str) -> Vec<Value> {
    (0..rng.usize(0..4))
        .map(|number| {
            let mut list = vec![addresses.pod(rng, false)];
            if may(rng, 0.3) {
                list.push(addresses.pod(rng, true));
            }
            let phase = one(rng, &["Running", "Running", "Running", "Pending", "Succeeded", "Failed"]);
            let ips: Vec<Value> = list.iter().map(|ip| json!({"ip": ip})).collect();
            json!({
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {"namespace": ns, "name": format!("pod-{number}"), "labels": labels(rng)},
                "spec": {"containers": []},
                "status": {"phase": phase, "podIP": list[0], "podIPs": ips},
            })
        })
        .collect()
}

/// Imports of a clusterset with their slices.
fn imports(rng: &mut Rng, addresses: &mut Addresses, ns: &str, number: &mut usize) -> Vec<Value> {
    let mut objects = Vec::new();
    for _ in 0..rng.usize(0..3) {
        let name = one(rng, SERVICES);
        let headless = rng.bool();
        let mut spec =
            json!({"type": if headless { "Headless" } else { "ClusterSetIP" }, "ports": ports(rng, false)});
        if !headless {
            spec["ips"] = json!([addresses.service(may(rng, 0.3))]);
        }
        objects.push(json!({
            "kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "metadata": {"namespace": ns, "name": name, "labels": labels(rng)}, "spec": spec,
        }));
        for mut slice in slices(rng, addresses, ns, name, number) {
            let labels = slice["metadata"]["labels"].as_object_mut().unwrap();
            labels.remove("kubernetes.io/service-name");
            labels.insert("multicluster.kubernetes.io/service-name".to_owned(), name.into());
            labels.insert("multicluster.kubernetes.io/source-cluster".to_owned(), one(rng, CLUSTERS).into());
            objects.push(slice);
        }
    }
    objects
}

/// A cluster; with `imports` it is one of a clusterset. The pod at 127.0.0.1 is who asks.
pub(crate) fn cluster(rng: &mut Rng, with_imports: bool) -> Vec<Value> {
    let mut addresses = Addresses::default();
    let mut spaces: Vec<&str> = SPACES.to_vec();
    rng.shuffle(&mut spaces);
    spaces.truncate(rng.usize(2..5));
    let mut objects = vec![json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "asker", "namespace": spaces[0]},
        "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]},
    })];
    let mut number = 0;
    for (nth, ns) in spaces.iter().enumerate() {
        // The last one may be gone while its objects linger.
        if nth + 1 < spaces.len() || may(rng, 0.7) {
            let mut labels = labels(rng);
            labels.insert("kubernetes.io/metadata.name".to_owned(), (*ns).into());
            objects.push(json!({
                "kind": "Namespace", "apiVersion": "v1", "metadata": {"name": ns, "labels": labels},
            }));
        }
        let mut names: Vec<&str> = SERVICES.to_vec();
        rng.shuffle(&mut names);
        for name in &names[..rng.usize(0..4)] {
            let (spec, status) = spec(rng, &mut addresses);
            let alias = spec["type"] == "ExternalName";
            let mut service = json!({
                "kind": "Service", "apiVersion": "v1",
                "metadata": {"namespace": ns, "name": name, "labels": labels(rng)}, "spec": spec,
            });
            if !status.is_null() {
                service["status"] = status;
            }
            objects.push(service);
            if !alias || may(rng, 0.1) {
                objects.extend(slices(rng, &mut addresses, ns, name, &mut number));
            }
        }
        if may(rng, 0.15) {
            objects.extend(slices(rng, &mut addresses, ns, "orphan", &mut number));
        }
        objects.extend(pods(rng, &mut addresses, ns));
        if with_imports {
            objects.extend(imports(rng, &mut addresses, ns, &mut number));
        }
    }
    objects
}
