//! Z7: objects of the API, read a second time: from a tree, by what the API's documentation says of each field, and in the other
//! language.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::watch::{field, number};
use crate::source::object::{Cut, decode, decode_protobuf};
use crate::store::change::{
    Endpoint, EndpointAddress, Kind, NamespaceObject, Object, ObjectKey, PodObject, Protocol, Revision,
    ServiceObject, ServicePort, ServiceSpec, SliceImport, SliceObject, SlicePort,
};

/// Labels of slices.
const SERVICE: &str = "kubernetes.io/service-name";
const IMPORT: &str = "multicluster.kubernetes.io/service-name";
const CLUSTER: &str = "multicluster.kubernetes.io/source-cluster";

/// Compares what was read of an object in JSON with what a tree of it says, and with the same object in protobuf.
///
/// Where a field is of no use, which we say and the tree does not, only what is certain is compared elsewhere.
pub(super) fn compare(kind: Kind, raw: &[u8], cut: &Cut<Object>, tree: &Value) {
    // A tree has each key once, whatever the text has.
    let again = decode(kind, tree.to_string().as_bytes()).expect("it is an object");
    let once = serde_json::from_slice::<Keys>(raw).is_ok_and(|keys| !keys.twice);
    if once {
        assert_eq!(cut, &again, "written by another hand it is another object");
    }
    if !again.faults.is_empty() {
        return;
    }
    let mut ours = again.object;
    plain(ours.as_mut());
    if matches!(kind, Kind::Imports | Kind::Hosts(_)) {
        return;
    }
    assert_eq!(ours, reference(kind, tree), "{tree}");
    if let Some(object) = ours {
        let other = decode_protobuf(kind, &protobuf(&object)).expect("it is a message");
        assert!(other.faults.is_empty(), "{:?}: {tree}", other.faults);
        let mut other = other.object;
        plain(other.as_mut());
        assert_eq!(other, Some(object), "in protobuf");
    }
}

/// Takes away what the second reading does not look at: where a Service is reached from outside, and when a slice changed.
fn plain(object: Option<&mut Object>) {
    match object {
        Some(Object::Service(service)) => service.external.clear(),
        Some(Object::Slice(slice)) => slice.triggered = None,
        Some(Object::Namespace(_) | Object::Pod(_) | Object::Import(_) | Object::Hosts(_)) | None => {}
    }
}

/// A text in a tree, empty where there is none.
fn text<'v>(tree: &'v Value, path: &str) -> &'v str {
    tree.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A list in a tree, empty where there is none.
fn list<'v>(tree: &'v Value, path: &str) -> &'v [Value] {
    tree.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of a list that are not empty.
fn texts<'v>(tree: &'v Value, path: &str) -> Vec<&'v str> {
    list(tree, path).iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).collect()
}

/// The object of a tree in which nothing is wrong; `None` where it has no names.
fn reference(kind: Kind, tree: &Value) -> Option<Object> {
    let name = text(tree, "/metadata/name");
    let namespace = match text(tree, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    };
    let key = ObjectKey::new(namespace, name);
    let revision = Revision {
        uid: text(tree, "/metadata/uid").into(),
        version: text(tree, "/metadata/resourceVersion").into(),
    };
    match kind {
        Kind::Services => Some(Object::Service(ServiceObject {
            key,
            revision,
            spec: spec(tree),
            ports: list(tree, "/spec/ports")
                .iter()
                .map(|port| ServicePort {
                    name: text(port, "/name").into(),
                    protocol: protocol(port),
                    port: port_number(port).expect("a port of a Service has a number"),
                })
                .collect(),
            external: Vec::new(),
        })),
        Kind::EndpointSlices => {
            let labels = labels(tree);
            let label = |wanted: &str| {
                labels
                    .iter()
                    .find(|(key, _)| &**key == wanted)
                    .map_or_else(Box::default, |(_, value)| value.clone())
            };
            let import = Some(label(IMPORT)).filter(|name| !name.is_empty());
            let endpoints = list(tree, "/endpoints").iter().filter_map(endpoint).collect();
            Some(Object::Slice(SliceObject {
                key,
                revision,
                service: label(SERVICE),
                import: import.map(|name| SliceImport { name, cluster: label(CLUSTER) }),
                endpoints,
                ports: list(tree, "/ports")
                    .iter()
                    .map(|port| SlicePort {
                        name: text(port, "/name").into(),
                        protocol: protocol(port),
                        port: port_number(port),
                    })
                    .collect(),
                triggered: None,
            }))
        }
        Kind::Namespaces => {
            Some(Object::Namespace(NamespaceObject { name: name.into(), revision, labels: labels(tree) }))
        }
        Kind::Pods => {
            let over = ["Succeeded", "Failed", "Unknown"].contains(&text(tree, "/status/phase"));
            if over || tree.pointer("/metadata/deletionTimestamp").is_some_and(|when| !when.is_null()) {
                return None;
            }
            let mut written: Vec<&str> =
                list(tree, "/status/podIPs").iter().map(|entry| text(entry, "/ip")).collect();
            if list(tree, "/status/podIPs").is_empty() {
                written.push(text(tree, "/status/podIP"));
            }
            written.retain(|text| !text.is_empty());
            Some(Object::Pod(PodObject {
                key,
                revision,
                addresses: each_once(&written),
                hostname: text(tree, "/spec/hostname").into(),
                subdomain: text(tree, "/spec/subdomain").into(),
                labels: labels(tree),
            }))
        }
        Kind::Imports | Kind::Hosts(_) => None,
    }
}

/// What makes a Service's names.
fn spec(tree: &Value) -> ServiceSpec {
    if text(tree, "/spec/type") == "ExternalName" {
        return ServiceSpec::External(text(tree, "/spec/externalName").into());
    }
    let plural = list(tree, "/spec/clusterIPs");
    let first =
        plural.first().map_or(text(tree, "/spec/clusterIP"), |first| first.as_str().unwrap_or_default());
    if first == "None" {
        return ServiceSpec::Headless;
    }
    let written = if plural.is_empty() { vec![first] } else { texts(tree, "/spec/clusterIPs") };
    let written: Vec<&str> = written.into_iter().filter(|text| !text.is_empty()).collect();
    ServiceSpec::Cluster(each_once(&written))
}

/// Addresses, each where it stands first.
fn each_once(written: &[&str]) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = Vec::new();
    for text in written {
        let ip = text.parse().expect("whatever is no address would have been told");
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}

/// A port's protocol.
fn protocol(port: &Value) -> Protocol {
    match text(port, "/protocol") {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

/// A port's number.
fn port_number(port: &Value) -> Option<u16> {
    port.get("port").and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
}

/// An endpoint, if it is ready and has an address.
fn endpoint(tree: &Value) -> Option<Endpoint> {
    if tree.pointer("/conditions/ready") == Some(&Value::Bool(false)) || list(tree, "/addresses").is_empty() {
        return None;
    }
    let address = |text: &Value| {
        let text = text.as_str().expect("whatever is no text would have been told");
        let ip: IpAddr = text.parse().expect("whatever is no address would have been told");
        EndpointAddress { ip, spelled: (ip.to_string() != text).then(|| text.into()) }
    };
    let pod = text(tree, "/targetRef/name");
    let named = text(tree, "/targetRef/kind") == "Pod" && pod.len() <= 253 && pod.split('.').all(is_label);
    Some(Endpoint {
        addresses: list(tree, "/addresses").iter().map(address).collect(),
        hostname: text(tree, "/hostname").into(),
        target: if named { pod.into() } else { Box::default() },
        zone: text(tree, "/zone").into(),
    })
}

/// Whether a text is a label of RFC 1123 in lower case.
fn is_label(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.chars().all(|c| letter(c) || c == '-')
        && text.starts_with(letter)
        && text.ends_with(letter)
}

/// Labels, sorted by key.
fn labels(tree: &Value) -> Vec<(Box<str>, Box<str>)> {
    let Some(labels) = tree.pointer("/metadata/labels").and_then(Value::as_object) else { return Vec::new() };
    let mut sorted: Vec<(Box<str>, Box<str>)> = labels
        .iter()
        .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into()))
        .collect();
    sorted.sort();
    sorted
}

/// An object in protobuf, by the numbers in the generated.proto files of Kubernetes.
fn protobuf(object: &Object) -> Vec<u8> {
    match object {
        Object::Service(service) => {
            let mut spec: Vec<u8> = service
                .ports
                .iter()
                .flat_map(|port| field(1, &port_message(&port.name, port.protocol, Some(port.port))))
                .collect();
            match &service.spec {
                ServiceSpec::Headless => spec.extend(field(18, b"None")),
                ServiceSpec::Cluster(ips) => {
                    spec.extend(ips.iter().flat_map(|ip| field(18, ip.to_string().as_bytes())));
                }
                ServiceSpec::External(name) => {
                    spec.extend([field(4, b"ExternalName"), field(10, name.as_bytes())].concat());
                }
            }
            [field(1, &meta(&service.key, &service.revision, &[])), field(2, &spec)].concat()
        }
        Object::Slice(slice) => {
            let mut labels: Vec<(Box<str>, Box<str>)> = vec![(SERVICE.into(), slice.service.clone())];
            if let Some(import) = &slice.import {
                labels.push((IMPORT.into(), import.name.clone()));
                labels.push((CLUSTER.into(), import.cluster.clone()));
            }
            let endpoints = slice.endpoints.iter().flat_map(|endpoint| {
                let address = |address: &EndpointAddress| {
                    let text =
                        address.spelled.as_deref().map_or_else(|| address.ip.to_string(), str::to_owned);
                    field(1, text.as_bytes())
                };
                let mut message: Vec<u8> = endpoint.addresses.iter().flat_map(address).collect();
                message.extend(field(3, endpoint.hostname.as_bytes()));
                if !endpoint.target.is_empty() {
                    let target = [field(1, b"Pod"), field(3, endpoint.target.as_bytes())].concat();
                    message.extend(field(4, &target));
                }
                message.extend(field(7, endpoint.zone.as_bytes()));
                field(2, &message)
            });
            let ports = slice
                .ports
                .iter()
                .flat_map(|port| field(3, &port_message(&port.name, port.protocol, port.port)));
            let mut message = field(1, &meta(&slice.key, &slice.revision, &labels));
            message.extend(endpoints);
            message.extend(ports);
            message
        }
        Object::Namespace(namespace) => {
            field(1, &meta(&ObjectKey::new("", &namespace.name), &namespace.revision, &namespace.labels))
        }
        Object::Pod(pod) => {
            let spec = [field(16, pod.hostname.as_bytes()), field(17, pod.subdomain.as_bytes())].concat();
            let status: Vec<u8> =
                pod.addresses.iter().flat_map(|ip| field(12, &field(1, ip.to_string().as_bytes()))).collect();
            [field(1, &meta(&pod.key, &pod.revision, &pod.labels)), field(2, &spec), field(3, &status)]
                .concat()
        }
        Object::Import(_) | Object::Hosts(_) => Vec::new(),
    }
}

/// `metadata`.
fn meta(key: &ObjectKey, revision: &Revision, labels: &[(Box<str>, Box<str>)]) -> Vec<u8> {
    let mut message = [
        field(1, key.name.as_bytes()),
        field(3, key.namespace.as_bytes()),
        field(5, revision.uid.as_bytes()),
        field(6, revision.version.as_bytes()),
    ]
    .concat();
    for (key, value) in labels {
        message.extend(field(11, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    message
}

/// A port.
fn port_message(name: &str, protocol: Protocol, port: Option<u16>) -> Vec<u8> {
    let protocol: &[u8] = match protocol {
        Protocol::Tcp => b"TCP",
        Protocol::Udp => b"UDP",
        Protocol::Sctp => b"SCTP",
    };
    let port = port.map_or_else(Vec::new, |port| [number(3 << 3), number(port.into())].concat());
    [field(1, name.as_bytes()), field(2, protocol), port].concat()
}

/// Whether some record in a text has a key twice.
struct Keys {
    /// Whether it has.
    twice: bool,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

/// Goes through a value.
struct KeysVisitor;

/// A value without keys.
const BARE: Keys = Keys { twice: false };

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(BARE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        let mut all = BARE;
        while let Some(Keys { twice }) = list.next_element()? {
            all.twice |= twice;
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut record: A) -> Result<Keys, A::Error> {
        let (mut all, mut known) = (BARE, Vec::new());
        while let Some((key, Keys { twice })) = record.next_entry::<String, Keys>()? {
            all.twice |= twice || known.contains(&key);
            known.push(key);
        }
        Ok(all)
    }
}
