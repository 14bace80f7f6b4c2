//! The small universe that the soak moves in: facts, the objects that say them, and what a DNS server must answer from them.

use serde_json::{Value, json};

use super::api::{self, Resource};

/// How many namespaces there may be.
pub(crate) const NAMESPACES: usize = 30;

/// How many Services there may be in each.
pub(crate) const SERVICES: usize = 60;

/// How many slices a Service may have.
pub(crate) const SLICES: usize = 2;

/// How many endpoints a slice may have.
pub(crate) const ENDPOINTS: usize = 4;

/// How many addresses a Service may have, one at a time.
pub(crate) const ADDRESSES: usize = 2;

/// How many pods there may be in each namespace.
pub(crate) const PODS: usize = 20;

/// How many host names the endpoints of a Service share.
pub(crate) const HOSTS: usize = 3;

/// The TTL that the stanza says.
pub(crate) const TTL: u32 = 5;

/// The target of every `ExternalName`.
const TARGET: &str = "target.example.com.";

/// What says a fact: each is one object, so that it changes in one step and in no order with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    /// A namespace.
    Namespace(usize),
    /// A Service of a namespace.
    Service(usize, usize),
    /// A slice of a Service of a namespace.
    Slice(usize, usize, usize),
    /// A pod of a namespace.
    Pod(usize, usize),
}

/// What an object says; `Gone` where there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    /// No such object.
    Gone,
    /// A namespace.
    Namespace,
    /// A Service with one of its addresses.
    Cluster(usize),
    /// A headless Service.
    Headless,
    /// An alias.
    External,
    /// Endpoints.
    Slice(Vec<Endpoint>),
    /// A pod, and whether it runs.
    Pod(bool),
}

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Endpoint {
    /// Which of the slice's addresses.
    pub(crate) at: usize,
    /// Its host name, if it has one.
    pub(crate) host: Option<usize>,
    /// Whether it is ready.
    pub(crate) ready: bool,
}

impl Key {
    /// Its place among all.
    pub(crate) fn index(self) -> usize {
        let services = NAMESPACES;
        let slices = services + NAMESPACES * SERVICES;
        let pods = slices + NAMESPACES * SERVICES * SLICES;
        match self {
            Self::Namespace(ns) => ns,
            Self::Service(ns, service) => services + ns * SERVICES + service,
            Self::Slice(ns, service, slice) => slices + (ns * SERVICES + service) * SLICES + slice,
            Self::Pod(ns, pod) => pods + ns * PODS + pod,
        }
    }

    /// All keys, each at its place.
    pub(crate) fn all() -> Vec<Self> {
        let of = |count: usize| (0..NAMESPACES).flat_map(move |ns| (0..count).map(move |at| (ns, at)));
        let slices = of(SERVICES).flat_map(|(ns, service)| (0..SLICES).map(move |at| (ns, service, at)));
        (0..NAMESPACES)
            .map(Self::Namespace)
            .chain(of(SERVICES).map(|(ns, service)| Self::Service(ns, service)))
            .chain(slices.map(|(ns, service, slice)| Self::Slice(ns, service, slice)))
            .chain(of(PODS).map(|(ns, pod)| Self::Pod(ns, pod)))
            .collect()
    }

    /// Resource, namespace and name of the object.
    pub(crate) fn object(self) -> (Resource, String, String) {
        match self {
            Self::Namespace(ns) => (Resource::Namespaces, String::new(), namespace(ns)),
            Self::Service(ns, at) => (Resource::Services, namespace(ns), service(at)),
            Self::Slice(ns, at, slice) => {
                (Resource::EndpointSlices, namespace(ns), format!("{}-{slice}", service(at)))
            }
            Self::Pod(ns, pod) => (Resource::Pods, namespace(ns), format!("pod-{pod:02}")),
        }
    }
}

impl Fact {
    /// The object that says this; `None` for none. `stir` goes into an annotation, which changes nothing.
    pub(crate) fn object(&self, key: Key, stir: u64) -> Option<Value> {
        let (_, ns, name) = key.object();
        let mut object = match (key, self) {
            (Key::Namespace(_), Self::Namespace) => api::namespace(&name),
            (Key::Service(at, own), Self::Cluster(alt)) => {
                api::service(&ns, &name, &service_address(at, own, *alt))
            }
            (Key::Service(..), Self::Headless) => api::service(&ns, &name, "None"),
            (Key::Service(..), Self::External) => api::service(&ns, &name, &format!("name={TARGET}")),
            (Key::Slice(at, own, slice), Self::Slice(endpoints)) => {
                let endpoints: Vec<String> = endpoints
                    .iter()
                    .map(|one| {
                        let unready = if one.ready { "" } else { "!" };
                        let host = one.host.map_or(String::new(), |host| format!("={}", host_name(host)));
                        format!("{unready}{}{host}", endpoint_address(at, own, slice, one.at))
                    })
                    .collect();
                let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
                api::slice(&ns, &name, &service(own), &endpoints)
            }
            (Key::Pod(at, pod), Self::Pod(runs)) => {
                let mut object = api::pod(&ns, &name, &pod_address(at, pod));
                if !runs {
                    object["status"]["phase"] = json!("Succeeded");
                }
                object
            }
            _ => return None,
        };
        object["metadata"]["annotations"] = json!({
            "example.com/stirred": stir.to_string(),
            "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(300),
        });
        Some(object)
    }
}

/// A namespace's name.
fn namespace(ns: usize) -> String {
    format!("team-{ns:02}")
}

/// A Service's name.
fn service(at: usize) -> String {
    format!("svc-{at:02}")
}

/// An endpoint's host name.
fn host_name(at: usize) -> String {
    format!("h{at}")
}

/// A Service's address.
fn service_address(ns: usize, service: usize, alt: usize) -> String {
    format!("10.{}.{ns}.{}", 96 + alt, service + 1)
}

/// An endpoint's address.
fn endpoint_address(ns: usize, service: usize, slice: usize, at: usize) -> String {
    format!("10.{}.{service}.{}", 120 + ns, slice * ENDPOINTS + at + 1)
}

/// A pod's address.
fn pod_address(ns: usize, pod: usize) -> String {
    format!("10.200.{ns}.{}", pod + 1)
}

/// The types that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    /// IPv4 addresses.
    A = 1,
    /// A reverse name's.
    Ptr = 12,
    /// IPv6 addresses, which nothing has.
    Aaaa = 28,
    /// Ports.
    Srv = 33,
}

/// A question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// A namespace's own name.
    Namespace(usize),
    /// A Service's own name.
    Service(usize, usize, Type),
    /// SRV of its port.
    Port(usize, usize),
    /// An endpoint by host name.
    Host(usize, usize, usize),
    /// An endpoint by address, as a label: slice and place.
    Address(usize, usize, usize, usize),
    /// A pod.
    Pod(usize, usize),
    /// PTR of a Service's address.
    ReverseService(usize, usize, usize),
    /// PTR of an endpoint's address.
    ReverseEndpoint(usize, usize, usize, usize),
    /// A Service that never was.
    NoService(usize, u16),
    /// A namespace that never was.
    NoNamespace(u16),
}

impl Question {
    /// Any.
    pub(crate) fn random(rng: &mut fastrand::Rng) -> Self {
        let ns = rng.usize(..NAMESPACES);
        let service = rng.usize(..SERVICES);
        let slice = rng.usize(..SLICES);
        let at = rng.usize(..ENDPOINTS);
        match rng.u8(..100) {
            0..=3 => Self::Namespace(ns),
            4..=33 => Self::Service(ns, service, Type::A),
            34..=43 => Self::Service(ns, service, Type::Aaaa),
            44..=49 => Self::Service(ns, service, Type::Srv),
            50..=57 => Self::Port(ns, service),
            58..=65 => Self::Host(ns, service, rng.usize(..HOSTS)),
            66..=73 => Self::Address(ns, service, slice, at),
            74..=79 => Self::Pod(ns, rng.usize(..PODS)),
            80..=85 => Self::ReverseService(ns, service, rng.usize(..ADDRESSES)),
            86..=92 => Self::ReverseEndpoint(ns, service, slice, at),
            93..=96 => Self::NoService(ns, rng.u16(..)),
            _ => Self::NoNamespace(rng.u16(..)),
        }
    }

    /// The name that is asked for, without its final dot.
    pub(crate) fn name(self) -> String {
        let of = |ns, at| format!("{}.{}.svc.cluster.local", service(at), namespace(ns));
        match self {
            Self::Namespace(ns) => format!("{}.svc.cluster.local", namespace(ns)),
            Self::Service(ns, at, _) => of(ns, at),
            Self::Port(ns, at) => format!("_http._tcp.{}", of(ns, at)),
            Self::Host(ns, at, host) => format!("{}.{}", host_name(host), of(ns, at)),
            Self::Address(ns, at, slice, one) => {
                format!("{}.{}", dashed(&endpoint_address(ns, at, slice, one)), of(ns, at))
            }
            Self::Pod(ns, pod) => {
                format!("{}.{}.pod.cluster.local", dashed(&pod_address(ns, pod)), namespace(ns))
            }
            Self::ReverseService(ns, at, alt) => reverse(&service_address(ns, at, alt)),
            Self::ReverseEndpoint(ns, at, slice, one) => reverse(&endpoint_address(ns, at, slice, one)),
            Self::NoService(ns, any) => format!("never-{any}.{}.svc.cluster.local", namespace(ns)),
            Self::NoNamespace(any) => format!("svc-00.never-{any}.svc.cluster.local"),
        }
    }

    /// The type that is asked for.
    pub(crate) fn qtype(self) -> Type {
        match self {
            Self::Service(_, _, qtype) => qtype,
            Self::Port(..) => Type::Srv,
            Self::ReverseService(..) | Self::ReverseEndpoint(..) => Type::Ptr,
            _ => Type::A,
        }
    }

    /// The facts that the answer is made from.
    pub(crate) fn keys(self) -> Vec<Key> {
        match self {
            Self::Namespace(ns) | Self::NoService(ns, _) => vec![Key::Namespace(ns)],
            Self::Service(ns, at, _) | Self::Port(ns, at) | Self::Host(ns, at, _) => {
                let mut keys = vec![Key::Namespace(ns), Key::Service(ns, at)];
                keys.extend((0..SLICES).map(|slice| Key::Slice(ns, at, slice)));
                keys
            }
            Self::Address(ns, at, slice, _) => {
                vec![Key::Namespace(ns), Key::Service(ns, at), Key::Slice(ns, at, slice)]
            }
            Self::Pod(ns, pod) => vec![Key::Namespace(ns), Key::Pod(ns, pod)],
            Self::ReverseService(ns, at, _) => vec![Key::Namespace(ns), Key::Service(ns, at)],
            Self::ReverseEndpoint(ns, at, slice, _) => vec![Key::Namespace(ns), Key::Slice(ns, at, slice)],
            Self::NoNamespace(_) => Vec::new(),
        }
    }

    /// What must be answered where these are the facts of [`Self::keys`], in that order: `NX`, `NODATA`, or records.
    pub(crate) fn answer(self, facts: &[&Fact]) -> String {
        let missing = facts.first() == Some(&&Fact::Gone);
        let own = facts.get(1).copied().unwrap_or(&Fact::Gone);
        let slices = facts.get(2..).unwrap_or_default();
        match self {
            Self::NoService(..) | Self::NoNamespace(_) => "NX".to_owned(),
            _ if missing => "NX".to_owned(),
            Self::Namespace(_) => "NODATA".to_owned(),
            Self::Service(ns, at, qtype) => service_answer((ns, at), qtype, own, slices),
            Self::Port(..) if *own == Fact::External => "NX".to_owned(),
            Self::Port(ns, at) => service_answer((ns, at), Type::Srv, own, slices),
            Self::Host(..) | Self::Address(..) if matches!(own, Fact::Gone | Fact::External) => {
                "NX".to_owned()
            }
            Self::Host(ns, at, host) => {
                let named = ready(slices).filter(|(_, one)| one.host == Some(host));
                records(named.map(|(slice, one)| format!("A {}", endpoint_address(ns, at, slice, one.at))))
            }
            Self::Address(ns, at, slice, which) => {
                let found = ready(slices).any(|(_, one)| one.at == which && one.host.is_none());
                records(found.then(|| format!("A {}", endpoint_address(ns, at, slice, which))))
            }
            Self::Pod(ns, pod) => {
                records((*own == Fact::Pod(true)).then(|| format!("A {}", pod_address(ns, pod))))
            }
            Self::ReverseService(ns, at, alt) => {
                records((*own == Fact::Cluster(alt)).then(|| format!("PTR {}", full(ns, at))))
            }
            Self::ReverseEndpoint(ns, at, slice, which) => {
                let found = ready(&facts[1..]).find(|(_, one)| one.at == which);
                records(found.map(|(_, one)| format!("PTR {}.{}", label((ns, at), slice, one), full(ns, at))))
            }
        }
    }
}

/// The answer at a Service's own name.
fn service_answer((ns, at): (usize, usize), qtype: Type, own: &Fact, slices: &[&Fact]) -> String {
    match (own, qtype) {
        (Fact::External, Type::Srv) => "NODATA".to_owned(),
        (Fact::External, _) => format!("CNAME {TARGET}"),
        (Fact::Cluster(alt), Type::A) => format!("A {}", service_address(ns, at, *alt)),
        (Fact::Cluster(_), Type::Srv) => format!("SRV 0 100 80 {}", full(ns, at)),
        (Fact::Cluster(_), _) => "NODATA".to_owned(),
        (Fact::Headless, _) if ready(slices).next().is_none() => "NX".to_owned(),
        (Fact::Headless, Type::A) => records(
            ready(slices).map(|(slice, one)| format!("A {}", endpoint_address(ns, at, slice, one.at))),
        ),
        (Fact::Headless, Type::Srv) => {
            let weight = (100 / ready(slices).count().max(1)).max(1);
            records(ready(slices).map(|(slice, one)| {
                format!("SRV 0 {weight} 8080 {}.{}", label((ns, at), slice, one), full(ns, at))
            }))
        }
        (Fact::Headless, _) => "NODATA".to_owned(),
        _ => "NX".to_owned(),
    }
}

/// The ready endpoints of slices, each with the place of its slice.
fn ready<'a>(slices: &'a [&'a Fact]) -> impl Iterator<Item = (usize, &'a Endpoint)> {
    slices.iter().enumerate().flat_map(|(slice, fact)| {
        let all = if let Fact::Slice(all) = fact { all.as_slice() } else { &[] };
        all.iter().filter(|one| one.ready).map(move |one| (slice, one))
    })
}

/// A Service's full name.
fn full(ns: usize, at: usize) -> String {
    format!("{}.{}.svc.cluster.local.", service(at), namespace(ns))
}

/// An endpoint's label.
fn label((ns, at): (usize, usize), slice: usize, one: &Endpoint) -> String {
    one.host.map_or_else(|| dashed(&endpoint_address(ns, at, slice, one.at)), host_name)
}

/// An address as a label.
fn dashed(address: &str) -> String {
    address.replace('.', "-")
}

/// An address as a reverse name.
fn reverse(address: &str) -> String {
    let mut parts: Vec<&str> = address.split('.').collect();
    parts.reverse();
    parts.join(".") + ".in-addr.arpa"
}

/// Records in one line, each once, in order; `NX` for none.
pub(crate) fn records(all: impl IntoIterator<Item = String>) -> String {
    let mut all: Vec<String> = all.into_iter().collect();
    all.sort();
    all.dedup();
    if all.is_empty() { "NX".to_owned() } else { all.join("; ") }
}
