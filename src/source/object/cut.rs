//! From the fields as they were found to the objects of the store.

use std::net::IpAddr;

use super::fault::Fault;
use super::field::{Field, Text};
use super::hosts::{balancer, ip_of};
use super::part::{
    Names, address, check_list, hostname, is_label, key, labels, port_name, port_number, port_protocol,
    revision, slice_ports, target,
};
use super::{moment, raw};
use crate::store::change::{
    Endpoint, ExternalAddress, NamespaceObject, ObjectKey, PodObject, ServiceObject, ServicePort,
    ServiceSpec, SliceImport, SliceObject,
};

/// An object cut down, and what had to be left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut<T> {
    /// Which object it is, where that could be told; the name as written, even where it is not a good one.
    pub key: Option<ObjectKey>,
    /// The object; `None` where it cannot stand for anything.
    pub object: Option<T>,
    /// What was left out and why.
    pub faults: Vec<Fault>,
}

impl<T> Cut<T> {
    /// The same with another object type.
    pub(crate) fn map<U>(self, turn: impl FnOnce(T) -> U) -> Cut<U> {
        Cut { key: self.key, object: self.object.map(turn), faults: self.faults }
    }
}

/// Cuts a Service down.
pub(crate) fn cut_service(raw: &raw::Service<'_>) -> Cut<ServiceObject> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Label, &mut faults);
    let spec = service_spec(&raw.spec, &mut faults);
    let ports = raw.spec.good().map_or(&Field::Absent, |spec| &spec.ports);
    check_list(ports, "spec.ports", &mut faults);
    let ports = ports.entries().iter().enumerate();
    let ports: Vec<ServicePort> = ports
        .filter_map(|(at, port)| service_port(at, port).map_err(|fault| faults.push(fault)).ok())
        .collect();
    let external = service_external(raw, &mut faults);
    let object = key.clone().filter(|_| good).zip(spec);
    let object = object.map(|(key, spec)| ServiceObject {
        key,
        revision: revision(&raw.metadata),
        spec,
        ports,
        external,
    });
    Cut { key, object, faults }
}

/// Where a Service is reached from outside: `externalIPs`, then its load balancer (rule K-290).
fn service_external(raw: &raw::Service<'_>, faults: &mut Vec<Fault>) -> Vec<ExternalAddress> {
    let mut external = Vec::new();
    if let Some(spec) = raw.spec.good() {
        check_list(&spec.external_ips, "spec.externalIPs", faults);
        let written = spec.external_ips.entries().iter().map(Field::text).filter(|text| !text.is_empty());
        external.extend(written.filter_map(|text| ip_of(text, "spec.externalIPs", faults)));
    }
    if let Some(balanced) = raw.status.good().and_then(|status| status.load_balancer.good()) {
        external.extend(balancer(&balanced.ingress, "status.loadBalancer.ingress", faults));
    }
    external
}

/// Reads what makes a Service's names; `None` where the Service cannot have any.
fn service_spec(spec: &Field<raw::ServiceSpec<'_>>, faults: &mut Vec<Fault>) -> Option<ServiceSpec> {
    let Field::Is(spec) = spec else {
        faults.push(Fault::wrong_type("spec", "a record"));
        return None;
    };
    if spec.service_type.is_wrong() {
        faults.push(Fault::wrong_type("spec.type", "a string"));
        return None;
    }
    match spec.service_type.text() {
        "" | "ClusterIP" | "NodePort" | "LoadBalancer" => {}
        "ExternalName" => return external_name(&spec.external_name, faults),
        other => {
            faults.push(Fault::value(
                "spec.type",
                other,
                "ClusterIP, NodePort, LoadBalancer or ExternalName",
            ));
            return None;
        }
    }
    check_list(&spec.cluster_ips, "spec.clusterIPs", faults);
    let (field, written): (_, Vec<&Field<Text<'_>>>) = match spec.cluster_ips.entries() {
        [] => ("spec.clusterIP", vec![&spec.cluster_ip]),
        entries => ("spec.clusterIPs", entries.iter().collect()),
    };
    if written.first().is_some_and(|first| first.text() == "None") {
        return Some(ServiceSpec::Headless);
    }
    let mut addrs = Vec::with_capacity(written.len());
    for text in written {
        match text {
            Field::Is(text) if !text.is_empty() => match text.parse::<IpAddr>() {
                Ok(ip) if addrs.contains(&ip) => {}
                Ok(ip) => addrs.push(ip),
                Err(_) => faults.push(Fault::value(field, text, "an IP address")),
            },
            Field::Is(_) | Field::Absent => {}
            Field::Wrong => faults.push(Fault::wrong_type(field, "an IP address")),
        }
    }
    Some(ServiceSpec::Cluster(addrs))
}

/// Reads the target of an ExternalName Service, kept as written.
fn external_name(name: &Field<Text<'_>>, faults: &mut Vec<Fault>) -> Option<ServiceSpec> {
    const FIELD: &str = "spec.externalName";
    match name {
        Field::Absent => faults.push(Fault::missing(FIELD)),
        Field::Wrong => faults.push(Fault::wrong_type(FIELD, "a string")),
        Field::Is(name) => {
            // Underscores and upper-case do no harm in a CNAME's target; only what no DNS name can hold is refused.
            let bare = name.strip_suffix('.').unwrap_or(name);
            let good = bare.len() <= 253
                && bare.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
                });
            if good {
                return Some(ServiceSpec::External(name.as_ref().into()));
            }
            faults.push(Fault::value(FIELD, name, "a DNS name"));
        }
    }
    None
}

/// Reads the port at index `at` of a Service.
pub(crate) fn service_port(at: usize, port: &Field<raw::Port<'_>>) -> Result<ServicePort, Fault> {
    let field = |name: &str| format!("spec.ports[{at}]{name}");
    let Field::Is(port) = port else { return Err(Fault::wrong_type(field(""), "a record")) };
    let number = port_number(&port.port, || field(".port"))?.ok_or_else(|| Fault::missing(field(".port")))?;
    Ok(ServicePort {
        name: port_name(&port.name, || field(".name"))?,
        protocol: port_protocol(&port.protocol, || field(".protocol"))?,
        port: number,
    })
}

/// Cuts an EndpointSlice down to its ready endpoints.
pub(crate) fn cut_slice(raw: &raw::Slice<'_>) -> Cut<SliceObject> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Subdomain, &mut faults);
    let service = good.then(|| slice_service(raw, &mut faults)).flatten();
    let Some((kept, (service, import))) = key.clone().zip(service) else {
        return Cut { key, object: None, faults };
    };
    check_list(&raw.endpoints, "endpoints", &mut faults);
    let endpoints = raw.endpoints.entries().iter().enumerate();
    let endpoints =
        endpoints.filter_map(|(at, endpoint)| slice_endpoint(at, endpoint, &mut faults)).collect();
    let ports = slice_ports(&raw.ports, "ports", &mut faults);
    let triggered = raw.metadata.good().and_then(|meta| meta.annotations.good()?.triggered.as_deref());
    let object = SliceObject {
        key: kept,
        revision: revision(&raw.metadata),
        service,
        import,
        endpoints,
        ports,
        triggered: triggered.and_then(moment::nanoseconds),
    };
    Cut { key, object: Some(object), faults }
}

/// The Service of a slice, and that of the clusterset; `None` where the slice yields no records.
fn slice_service(raw: &raw::Slice<'_>, faults: &mut Vec<Fault>) -> Option<(Box<str>, Option<SliceImport>)> {
    if raw.address_type.text() == "FQDN" {
        faults.push(Fault::HostNames);
        return None;
    }
    let labels = raw.metadata.good()?.labels.good();
    let label = |name: &str| {
        let entries = labels.map_or(&[][..], |labels| labels.entries.as_slice());
        entries.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_ref())
    };
    let mut named = |name: &'static str| -> Box<str> {
        let value = label(name);
        if value.is_empty() || is_label(value) {
            return value.into();
        }
        faults.push(Fault::value(format!("label {name}"), value, "a DNS label"));
        Box::default()
    };
    let import = Some(named("multicluster.kubernetes.io/service-name")).filter(|name| !name.is_empty());
    let import = import.map(|name| {
        let cluster = named("multicluster.kubernetes.io/source-cluster");
        SliceImport { name, cluster }
    });
    let service = label("kubernetes.io/service-name");
    if is_label(service) {
        return Some((service.into(), import));
    }
    if !service.is_empty() {
        faults.push(Fault::value("label kubernetes.io/service-name", service, "the name of a Service"));
    } else if import.is_none() {
        faults.push(Fault::NoService);
    }
    import.is_some().then(|| (Box::default(), import))
}

/// Reads the endpoint at index `at` of a slice; `None` where it is not ready or has no address.
fn slice_endpoint(
    at: usize,
    endpoint: &Field<raw::SliceEndpoint<'_>>,
    faults: &mut Vec<Fault>,
) -> Option<Endpoint> {
    let Field::Is(endpoint) = endpoint else {
        faults.push(Fault::wrong_type(format!("endpoints[{at}]"), "a record"));
        return None;
    };
    match endpoint.conditions.good().map(|conditions| &conditions.ready) {
        Some(Field::Is(false)) => return None,
        Some(Field::Wrong) => {
            // Whether it may be asked is not known, so it is not.
            faults.push(Fault::wrong_type(format!("endpoints[{at}].conditions.ready"), "true or false"));
            return None;
        }
        Some(Field::Is(true) | Field::Absent) | None => {}
    }
    if endpoint.addresses.is_wrong() {
        faults.push(Fault::wrong_type(format!("endpoints[{at}].addresses"), "a list"));
    }
    let addresses = endpoint.addresses.entries().iter().enumerate();
    let addresses: Vec<_> = addresses
        .filter_map(|(nth, text)| {
            let field = || format!("endpoints[{at}].addresses[{nth}]");
            address(text, field).map_err(|fault| faults.push(fault)).ok()
        })
        .collect();
    if addresses.is_empty() {
        return None;
    }
    Some(Endpoint {
        addresses,
        hostname: hostname(&endpoint.hostname, || format!("endpoints[{at}].hostname"), faults),
        target: target(&endpoint.target_ref),
        zone: endpoint.zone.text().into(),
    })
}

/// Cuts a Namespace down.
pub(crate) fn cut_namespace(raw: &raw::Namespace<'_>) -> Cut<NamespaceObject> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Namespace, &mut faults);
    let labels = labels(raw.metadata.good(), &mut faults);
    let object = key.clone().filter(|_| good);
    let object =
        object.map(|key| NamespaceObject { name: key.name, revision: revision(&raw.metadata), labels });
    Cut { key, object, faults }
}

/// Cuts a Pod down; one that ended or is being deleted is no object and no fault (rule K-158).
pub(crate) fn cut_pod(raw: &raw::Pod<'_>) -> Cut<PodObject> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Subdomain, &mut faults);
    let phase = raw.status.good().map_or("", |status| status.phase.text());
    let deleted = raw.metadata.good().is_some_and(|meta| meta.deletion_timestamp != Field::Absent);
    let Some(kept) =
        key.clone().filter(|_| good && !deleted && !matches!(phase, "Succeeded" | "Failed" | "Unknown"))
    else {
        return Cut { key, object: None, faults };
    };
    for (field, wrong) in [("spec", raw.spec.is_wrong()), ("status", raw.status.is_wrong())] {
        if wrong {
            faults.push(Fault::wrong_type(field, "a record"));
        }
    }
    let spec = raw.spec.good();
    let mut label_of = |part: Option<&Field<Text<'_>>>, field: &'static str| {
        part.map_or_else(Box::default, |part| hostname(part, || field.to_owned(), &mut faults))
    };
    let host = label_of(spec.map(|spec| &spec.hostname), "spec.hostname");
    let subdomain = label_of(spec.map(|spec| &spec.subdomain), "spec.subdomain");
    let object = PodObject {
        key: kept,
        revision: revision(&raw.metadata),
        addresses: raw.status.good().map_or_else(Vec::new, |status| pod_addresses(status, &mut faults)),
        hostname: host,
        subdomain,
        labels: labels(raw.metadata.good(), &mut faults),
    };
    Cut { key, object: Some(object), faults }
}

/// The addresses of a pod: `podIPs`, or `podIP` where the list is empty.
fn pod_addresses(status: &raw::PodStatus<'_>, faults: &mut Vec<Fault>) -> Vec<IpAddr> {
    check_list(&status.pod_ips, "status.podIPs", faults);
    let listed = status.pod_ips.entries().iter().map(|entry| match entry {
        Field::Is(entry) => &entry.ip,
        Field::Absent => &Field::Absent,
        Field::Wrong => &Field::Wrong,
    });
    let single = (status.pod_ips.entries().is_empty()).then_some(&status.pod_ip);
    let mut addrs = Vec::new();
    for text in listed.chain(single) {
        if text.text().is_empty() && !text.is_wrong() {
            continue;
        }
        match address(text, || "status.podIPs".to_owned()) {
            Ok(address) if addrs.contains(&address.ip) => {}
            Ok(address) => addrs.push(address.ip),
            Err(fault) => faults.push(fault),
        }
    }
    addrs
}
