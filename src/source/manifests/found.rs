//! What a manifest means to us: the object itself, and what endpoints are derived from or by.

use super::super::object::field::{Field, IntegerOrText};
use super::super::object::{
    Cut, Fault, Names, address, cut_pod, cut_service, hostname, is_label, key, pairs, port_number,
    port_protocol, raw, service_port, slice_ports, target,
};
use super::report::Reason;
use crate::store::change::{
    Endpoint, HostKind, Kind, NamespaceObject, Object, ObjectKey, PodObject, Protocol, ServiceObject,
    ServicePort, SliceObject, SlicePort,
};

/// The kinds of manifests that mean something to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Resource {
    /// v1 Namespace.
    Namespace,
    /// v1 Service.
    Service,
    /// discovery.k8s.io EndpointSlice.
    EndpointSlice,
    /// v1 Endpoints.
    Endpoints,
    /// v1 Pod.
    Pod,
    /// A kind that is read only where it is wanted: fed as it is.
    More(Kind),
}

impl Resource {
    /// The resource of a kind; `None` for a kind that is not ours, `Err` for ours in a version that is not known.
    ///
    /// A kind that is read only where it is wanted is ours where `more` names it; else it is passed over, however broken.
    pub(super) fn of(version: &str, kind: &str, more: &[Kind]) -> Result<Option<Self>, Reason> {
        let (resource, group) = match kind {
            "Namespace" => (Self::Namespace, ""),
            "Service" => (Self::Service, ""),
            "EndpointSlice" => (Self::EndpointSlice, "discovery.k8s.io"),
            "Endpoints" => (Self::Endpoints, ""),
            "Pod" => (Self::Pod, ""),
            "ServiceImport" => (Self::More(Kind::Imports), "multicluster.x-k8s.io"),
            "Ingress" => (Self::More(Kind::Hosts(HostKind::Ingresses)), "networking.k8s.io"),
            "Gateway" | "HTTPRoute" | "GRPCRoute" | "TLSRoute" => {
                let mut kinds = HostKind::ALL.into_iter();
                let found = kinds.find(|known| known.word() == kind);
                let Some(found) = found else { return Ok(None) };
                (Self::More(Kind::Hosts(found)), "gateway.networking.k8s.io")
            }
            _ => return Ok(None),
        };
        if matches!(resource, Self::More(kind) if !more.contains(&kind)) {
            return Ok(None);
        }
        match version.rsplit_once('/').unwrap_or(("", version)) {
            // A Service of Knative is not a Service.
            (other, _) if other != group && !version.is_empty() => Ok(None),
            (_, "v1" | "") => Ok(Some(resource)),
            ("discovery.k8s.io", "v1beta1") => Ok(Some(resource)),
            ("multicluster.x-k8s.io", "v1alpha1") => Ok(Some(resource)),
            ("gateway.networking.k8s.io", "v1beta1" | "v1alpha3" | "v1alpha2") => Ok(Some(resource)),
            _ => Err(Reason::Version { version: version.chars().take(80).collect() }),
        }
    }

    /// The kind as Kubernetes writes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Pod => "Pod",
            Self::More(Kind::Hosts(kind)) => kind.word(),
            Self::More(_) => "ServiceImport",
        }
    }
}

/// An object that a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Namespace and name.
    pub(super) key: ObjectKey,
    /// `metadata.labels`, sorted by key.
    pub(super) labels: Vec<(Box<str>, Box<str>)>,
    /// Where its document starts.
    pub(super) line: u64,
    /// Which document of the file.
    pub(super) document: usize,
    /// The object.
    pub(super) what: What,
}

impl Found {
    /// What makes it the same object as another.
    pub(super) fn id(&self) -> (Resource, &ObjectKey) {
        let resource = match &self.what {
            What::Namespace(_) => Resource::Namespace,
            What::Service(_) => Resource::Service,
            What::Slice(_) => Resource::EndpointSlice,
            What::Endpoints(_) => Resource::Endpoints,
            What::Pod(_) => Resource::Pod,
            What::More(Object::Hosts(hosts)) => Resource::More(Kind::Hosts(hosts.kind)),
            What::More(_) => Resource::More(Kind::Imports),
        };
        (resource, &self.key)
    }

    /// Kind, namespace and name for a reader.
    pub(super) fn label(&self) -> String {
        let (resource, key) = self.id();
        label(resource, key)
    }
}

/// Kind, namespace and name for a reader, control characters escaped.
pub(super) fn label(resource: Resource, key: &ObjectKey) -> String {
    let slash = if key.namespace.is_empty() { "" } else { "/" };
    format!("{} {}{slash}{}", resource.word(), key.namespace.escape_debug(), key.name.escape_debug())
}

/// What a file can hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A Namespace.
    Namespace(NamespaceObject),
    /// A Service, with what its endpoints are derived by.
    Service(Box<FoundService>),
    /// An EndpointSlice.
    Slice(SliceObject),
    /// v1 Endpoints: one entry per subset.
    Endpoints(Vec<Subset>),
    /// A Pod, with what endpoints are derived from.
    Pod(Box<FoundPod>),
    /// An object that is fed as it is.
    More(Object),
}

/// A Service, with what its endpoints are derived by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FoundService {
    /// The Service.
    pub(super) object: ServiceObject,
    /// `spec.selector`.
    pub(super) selector: Vec<(Box<str>, Box<str>)>,
    /// `spec.publishNotReadyAddresses`.
    pub(super) publish_not_ready: bool,
    /// Where each of the object's ports leads to, in their order.
    pub(super) targets: Vec<Target>,
    /// Which families its endpoints may have: IPv4, IPv6.
    pub(super) families: (bool, bool),
}

/// Where a port of a Service leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// A port number.
    Number(u16),
    /// The port of that name of the pod's containers.
    Named(Box<str>),
}

/// A subset of v1 Endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Subset {
    /// `addresses`.
    pub(super) ready: Vec<Endpoint>,
    /// `notReadyAddresses`.
    pub(super) unready: Vec<Endpoint>,
    /// `ports`.
    pub(super) ports: Vec<SlicePort>,
}

/// A Pod, with what endpoints are derived from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FoundPod {
    /// The Pod.
    pub(super) object: PodObject,
    /// Condition `Ready`.
    pub(super) ready: bool,
    /// The named ports of its containers.
    pub(super) ports: Vec<(Box<str>, Protocol, u16)>,
}

/// Reads a Service.
pub(super) fn service(raw: &raw::Service<'_>) -> Cut<What> {
    let Cut { key, object, mut faults } = cut_service(raw);
    let Some((object, spec)) = object.zip(raw.spec.good()) else {
        return Cut { key, object: None, faults };
    };
    // The ports that the object kept, in its order.
    let ports = spec.ports.entries().iter().enumerate();
    let ports = ports.filter_map(|(at, port)| Some((at, service_port(at, port).ok()?, port.good()?)));
    let targets =
        ports.map(|(at, kept, port)| port_target(at, &kept, &port.target_port, &mut faults)).collect();
    let families = spec.ip_families.entries();
    let family = |word: &str| families.is_empty() || families.iter().any(|family| family.text() == word);
    let families = (family("IPv4"), family("IPv6"));
    let selector = pairs(&spec.selector, "spec.selector", &mut faults);
    let publish_not_ready = spec.publish_not_ready_addresses == Field::Is(true);
    let service = FoundService { object, selector, publish_not_ready, targets, families };
    Cut { key, object: Some(What::Service(Box::new(service))), faults }
}

/// Where the port at index `at` of a Service leads to; without a good `targetPort` to its own number.
fn port_target(
    at: usize,
    port: &ServicePort,
    written: &Field<IntegerOrText<'_>>,
    faults: &mut Vec<Fault>,
) -> Target {
    let field = || format!("spec.ports[{at}].targetPort");
    match written {
        // What is not set is written as 0 by some tools.
        Field::Absent | Field::Is(IntegerOrText::Integer(0)) => {}
        Field::Wrong => faults.push(Fault::wrong_type(field(), "a port number or the name of one")),
        Field::Is(IntegerOrText::Text(name)) if is_label(name) => return Target::Named(name.as_ref().into()),
        Field::Is(IntegerOrText::Text(name)) if name.is_empty() => {}
        Field::Is(IntegerOrText::Text(name)) => {
            faults.push(Fault::value(field(), name, "a port number or the name of one"));
        }
        Field::Is(IntegerOrText::Integer(number)) => match port_number(&Field::Is(*number), field) {
            Ok(number) => return Target::Number(number.unwrap_or(port.port)),
            Err(fault) => faults.push(fault),
        },
    }
    Target::Number(port.port)
}

/// Reads v1 Endpoints.
pub(super) fn endpoints(raw: &raw::Endpoints<'_>) -> Cut<What> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Subdomain, &mut faults);
    if !good {
        return Cut { key, object: None, faults };
    }
    if raw.subsets.is_wrong() {
        faults.push(Fault::wrong_type("subsets", "a list"));
        return Cut { key, object: None, faults };
    }
    let mut subsets = Vec::new();
    for (at, subset) in raw.subsets.entries().iter().enumerate() {
        let Field::Is(subset) = subset else {
            faults.push(Fault::wrong_type(format!("subsets[{at}]"), "a record"));
            continue;
        };
        subsets.push(Subset {
            ready: addresses(&subset.addresses, &format!("subsets[{at}].addresses"), &mut faults),
            unready: addresses(
                &subset.not_ready_addresses,
                &format!("subsets[{at}].notReadyAddresses"),
                &mut faults,
            ),
            ports: slice_ports(&subset.ports, &format!("subsets[{at}].ports"), &mut faults),
        });
    }
    Cut { key, object: Some(What::Endpoints(subsets)), faults }
}

/// Reads the addresses of a subset; `field` is the path of their list.
fn addresses(
    list: &Field<Vec<Field<raw::SubsetAddress<'_>>>>,
    field: &str,
    faults: &mut Vec<Fault>,
) -> Vec<Endpoint> {
    if list.is_wrong() {
        faults.push(Fault::wrong_type(field, "a list"));
    }
    let entries = list.entries().iter().enumerate();
    entries
        .filter_map(|(at, entry)| {
            let Field::Is(entry) = entry else {
                faults.push(Fault::wrong_type(format!("{field}[{at}]"), "a record"));
                return None;
            };
            let address = address(&entry.ip, || format!("{field}[{at}].ip"));
            let address = address.map_err(|fault| faults.push(fault)).ok()?;
            Some(Endpoint {
                addresses: vec![address],
                hostname: hostname(&entry.hostname, || format!("{field}[{at}].hostname"), faults),
                target: target(&entry.target_ref),
                zone: Box::default(),
            })
        })
        .collect()
}

/// Reads a Pod.
pub(super) fn pod(raw: &raw::Pod<'_>) -> Cut<What> {
    let Cut { key, object, mut faults } = cut_pod(raw);
    let Some(object) = object else { return Cut { key, object: None, faults } };
    let containers = raw.spec.good().map_or(&[][..], |spec| spec.containers.entries());
    let mut ports = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        let written = container.good().map_or(&[][..], |container| container.ports.entries());
        for (nth, port) in written.iter().enumerate() {
            let Some(port) = port.good().filter(|port| !port.name.text().is_empty()) else { continue };
            let field = |name: &str| format!("spec.containers[{at}].ports[{nth}].{name}");
            let number = port_number(&port.container_port, || field("containerPort"));
            let protocol = port_protocol(&port.protocol, || field("protocol"));
            match (number, protocol) {
                (Ok(Some(number)), Ok(protocol)) => ports.push((port.name.text().into(), protocol, number)),
                (Ok(None), Ok(_)) => faults.push(Fault::missing(field("containerPort"))),
                (number, protocol) => faults.extend(number.err().into_iter().chain(protocol.err())),
            }
        }
    }
    let pod = FoundPod { object, ready: is_ready(raw), ports };
    Cut { key, object: Some(What::Pod(Box::new(pod))), faults }
}

/// Condition `Ready` of a Pod; one that a person wrote has no conditions and counts as ready.
fn is_ready(raw: &raw::Pod<'_>) -> bool {
    let Some(conditions) = raw.status.good().and_then(|status| status.conditions.good()) else { return true };
    let mut good = conditions.iter().filter_map(Field::good);
    let ready = good.find(|condition| condition.condition_type.text() == "Ready");
    ready.map_or(conditions.is_empty(), |ready| ready.status.text() == "True")
}
