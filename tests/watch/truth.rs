//! What a DNS server must answer, computed from the API server's state alone: the judge of `converge`, and of
//! tests/simulation.rs.
//!
//! It knows the small universe that `converge` moves in: a few namespaces, Services of every kind, their slices, pods.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use crate::api::{Cluster, Resource};

/// Namespaces of the universe; the first is the one that Services are asked for in, with the second.
pub(crate) const NAMESPACES: [&str; 2] = ["one", "two"];

/// Names of Services.
pub(crate) const SERVICES: [&str; 4] = ["a", "b", "c", "d"];

/// Host names of endpoints.
pub(crate) const HOSTS: [&str; 3] = ["h0", "h1", "h2"];

/// How many addresses endpoints are chosen from.
pub(crate) const ADDRESSES: usize = 8;

/// How many addresses Services are chosen from, for each name.
pub(crate) const CLUSTER_ADDRESSES: usize = 2;

/// How many pods there are.
pub(crate) const PODS: usize = 4;

/// An endpoint's address.
pub(crate) fn address(at: usize) -> String {
    format!("10.1.0.{}", at + 1)
}

/// A Service's address; no two Services share one.
pub(crate) fn cluster_address(ns: usize, service: usize, at: usize) -> String {
    format!("10.97.{}.{}", 10 * ns + service, at + 1)
}

/// A pod's address.
pub(crate) fn pod_address(at: usize) -> String {
    format!("10.2.0.{}", at + 1)
}

/// What a name of the universe is about.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// A namespace.
    Namespace(&'static str),
    /// A Service, asked for a type.
    Service(&'static str, &'static str, &'static str),
    /// Port `http` of a Service.
    Port(&'static str, &'static str),
    /// An endpoint of a Service.
    Endpoint(&'static str, &'static str, String),
    /// A pod, by its address.
    Pod(&'static str, String),
    /// An address.
    Address(String),
}

/// Every name of the universe, as it is asked for.
pub(crate) fn asks() -> Vec<(String, Asked)> {
    let mut asks = Vec::new();
    let mut ask = |ask: String, name: Asked| asks.push((ask, name));
    for ns in NAMESPACES {
        ask(format!("{ns}.svc.Z A"), Asked::Namespace(ns));
        for service in SERVICES {
            let name = format!("{service}.{ns}.svc.Z");
            for qtype in ["A", "AAAA", "SRV", "CNAME"] {
                ask(format!("{name} {qtype}"), Asked::Service(ns, service, qtype));
            }
            ask(format!("_http._tcp.{name} SRV"), Asked::Port(ns, service));
            for host in
                HOSTS.map(str::to_owned).into_iter().chain((0..ADDRESSES).map(|at| dashed(&address(at))))
            {
                ask(format!("{host}.{name} A"), Asked::Endpoint(ns, service, host));
            }
        }
        for at in 0..PODS {
            ask(format!("{}.{ns}.pod.Z A", dashed(&pod_address(at))), Asked::Pod(ns, pod_address(at)));
        }
    }
    for at in 0..ADDRESSES {
        ask(format!("arpa:{} PTR", address(at)), Asked::Address(address(at)));
    }
    for ns in 0..NAMESPACES.len() {
        for service in 0..SERVICES.len() {
            for at in 0..CLUSTER_ADDRESSES {
                let address = cluster_address(ns, service, at);
                ask(format!("arpa:{address} PTR"), Asked::Address(address));
            }
        }
    }
    asks
}

/// A ready endpoint: its name and its address.
type Endpoint = (String, String);

/// The state, as the API server has it.
pub(crate) struct Truth {
    /// Namespaces.
    namespaces: BTreeSet<String>,
    /// Services.
    services: Vec<Arc<Value>>,
    /// Slices.
    slices: Vec<Arc<Value>>,
    /// Pods.
    pods: Vec<Arc<Value>>,
}

/// A text of an object.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Truth {
    /// Reads a state.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let name = |object: Arc<Value>| text(&object, "/metadata/name").to_owned();
        Self {
            namespaces: cluster.all(Resource::Namespaces).into_iter().map(name).collect(),
            services: cluster.all(Resource::Services),
            slices: cluster.all(Resource::EndpointSlices),
            pods: cluster.all(Resource::Pods),
        }
    }

    /// A state of these objects.
    #[allow(dead_code, reason = "the tests of the watch know whole states only")]
    pub(crate) fn of(objects: &[(Resource, Arc<Value>)]) -> Self {
        let all = |resource: Resource| -> Vec<Arc<Value>> {
            objects.iter().filter(|(of, _)| *of == resource).map(|(_, object)| object.clone()).collect()
        };
        Self {
            namespaces: all(Resource::Namespaces)
                .iter()
                .map(|object| text(object, "/metadata/name").to_owned())
                .collect(),
            services: all(Resource::Services),
            slices: all(Resource::EndpointSlices),
            pods: all(Resource::Pods),
        }
    }

    /// Every name of the universe, with what it must be answered with.
    #[allow(dead_code, reason = "a simulation asks for one name at a time")]
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        asks().into_iter().map(|(ask, name)| (ask, self.answer(&name))).collect()
    }

    /// What a name must be answered with.
    pub(crate) fn answer(&self, name: &Asked) -> String {
        match name {
            Asked::Namespace(ns) => if self.namespaces.contains(*ns) { "NODATA" } else { "NX" }.to_owned(),
            Asked::Service(ns, service, qtype) => self.service(ns, service, qtype),
            Asked::Port(ns, service) => self.port(ns, service),
            Asked::Endpoint(ns, service, host) => self.endpoint(ns, service, host),
            Asked::Pod(ns, address) => self.pod(ns, address),
            Asked::Address(address) => self.reverse(address),
        }
    }

    /// A Service that has names: it exists, and so does its namespace.
    fn found(&self, ns: &str, name: &str) -> Option<&Value> {
        let exists = self.namespaces.contains(ns);
        let is = |service: &&Arc<Value>| {
            exists && text(service, "/metadata/namespace") == ns && text(service, "/metadata/name") == name
        };
        self.services.iter().find(is).map(AsRef::as_ref)
    }

    /// The ready endpoints of a Service, slice by slice, those that are said twice too.
    fn endpoints(&self, ns: &str, service: &str) -> Vec<Endpoint> {
        let of = |slice: &&Arc<Value>| {
            text(slice, "/metadata/namespace") == ns
                && text(slice, "/metadata/labels/kubernetes.io~1service-name") == service
        };
        self.slices.iter().filter(of).flat_map(|slice| ready(slice)).collect()
    }

    /// A Service's own name.
    fn service(&self, ns: &str, name: &str, qtype: &str) -> String {
        let Some(service) = self.found(ns, name) else { return "NX".to_owned() };
        if text(service, "/spec/type") == "ExternalName" {
            let target = text(service, "/spec/externalName");
            return match qtype {
                "SRV" => "NODATA".to_owned(),
                // Nobody resolves the target: the alias stands alone.
                _ => format!("@ CNAME {target}"),
            };
        }
        let address = text(service, "/spec/clusterIP");
        let endpoints = self.endpoints(ns, name);
        match (address, qtype) {
            ("None", _) if endpoints.is_empty() => "NX".to_owned(),
            ("None", "A") => {
                let addresses: BTreeSet<&String> = endpoints.iter().map(|(_, address)| address).collect();
                join(addresses.iter().map(|address| format!("@ A {address}")))
            }
            ("None", "SRV") => targets(&endpoints, &format!("{name}.{ns}.svc.Z")),
            (_, "A") => format!("@ A {address}"),
            (_, "SRV") => format!("@ SRV 0 100 80 {name}.{ns}.svc.Z; +{name}.{ns}.svc.Z A {address}"),
            _ => "NODATA".to_owned(),
        }
    }

    /// The name of port `http`.
    fn port(&self, ns: &str, name: &str) -> String {
        match self.found(ns, name) {
            Some(service) if text(service, "/spec/type") == "ExternalName" => "NX".to_owned(),
            _ => self.service(ns, name, "SRV"),
        }
    }

    /// An endpoint's name.
    fn endpoint(&self, ns: &str, service: &str, host: &str) -> String {
        let Some(found) = self.found(ns, service) else { return "NX".to_owned() };
        let endpoints = self.endpoints(ns, service);
        let addresses: BTreeSet<&String> =
            endpoints.iter().filter(|(name, _)| name == host).map(|(_, address)| address).collect();
        if addresses.is_empty() || text(found, "/spec/type") == "ExternalName" {
            return "NX".to_owned();
        }
        join(addresses.iter().map(|address| format!("@ A {address}")))
    }

    /// A pod's name under `pods verified`.
    fn pod(&self, ns: &str, address: &str) -> String {
        let is = |pod: &Arc<Value>| {
            text(pod, "/metadata/namespace") == ns
                && text(pod, "/status/podIP") == address
                && !["Succeeded", "Failed", "Unknown"].contains(&text(pod, "/status/phase"))
        };
        match self.namespaces.contains(ns) && self.pods.iter().any(is) {
            true => format!("@ A {address}"),
            false => "NX".to_owned(),
        }
    }

    /// A reverse name.
    fn reverse(&self, address: &str) -> String {
        let exists = |object: &Arc<Value>| self.namespaces.contains(text(object, "/metadata/namespace"));
        for service in self.services.iter().filter(|service| exists(service)) {
            if text(service, "/spec/clusterIP") == address {
                let (ns, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
                return format!("@ PTR {name}.{ns}.svc.Z");
            }
        }
        let mut targets = BTreeSet::new();
        for slice in self.slices.iter().filter(|slice| exists(slice)) {
            let (ns, service) = (
                text(slice, "/metadata/namespace"),
                text(slice, "/metadata/labels/kubernetes.io~1service-name"),
            );
            for (name, _) in ready(slice).into_iter().filter(|(_, one)| one == address) {
                targets.insert(format!("@ PTR {name}.{service}.{ns}.svc.Z"));
            }
        }
        if targets.is_empty() { "NX".to_owned() } else { join(targets) }
    }
}

/// The ready endpoints of a slice.
fn ready(slice: &Value) -> Vec<Endpoint> {
    let all = slice["endpoints"].as_array().map_or(&[][..], Vec::as_slice);
    let is_ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
    all.iter()
        .filter(is_ready)
        .map(|endpoint| {
            let address = text(endpoint, "/addresses/0").to_owned();
            match text(endpoint, "/hostname") {
                "" => (dashed(&address), address),
                hostname => (hostname.to_owned(), address),
            }
        })
        .collect()
}

/// An address as a label.
fn dashed(address: &str) -> String {
    address.replace('.', "-")
}

/// The SRV records of endpoints, with the addresses of their targets.
fn targets(endpoints: &[Endpoint], service: &str) -> String {
    let weight = (100 / endpoints.len()).max(1);
    let mut short = String::new();
    let names: BTreeSet<&String> = endpoints.iter().map(|(name, _)| name).collect();
    for name in names {
        let _ = write!(short, "@ SRV 0 {weight} 8080 {name}.{service}; ");
    }
    let pairs: BTreeSet<&Endpoint> = endpoints.iter().collect();
    for (name, address) in pairs {
        let _ = write!(short, "+{name}.{service} A {address}; ");
    }
    short
}

/// Records in one line.
fn join(records: impl IntoIterator<Item = String>) -> String {
    records.into_iter().collect::<Vec<_>>().join("; ")
}
