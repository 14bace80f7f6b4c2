//! Objects that claim host names, and ServiceImports: from the fields as they were found to the objects of the store.

use std::net::IpAddr;

use super::cut::{Cut, service_port};
use super::fault::Fault;
use super::field::{Field, Text};
use super::part::{Names, check_list, is_subdomain, key, revision};
use super::{moment, raw};
use crate::store::change::{
    ExternalAddress, HostKind, HostsObject, ImportObject, ListedHost, ObjectKey, ParentGateway, ServicePort,
};

/// The API group of Gateways and their routes.
const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Where a load balancer is reached; what is neither an address nor a name is left out.
pub(super) fn balancer(
    ingress: &Field<Vec<Field<raw::LoadBalancerIngress<'_>>>>,
    field: &str,
    faults: &mut Vec<Fault>,
) -> Vec<ExternalAddress> {
    check_list(ingress, field, faults);
    let entries = ingress.entries().iter().filter_map(Field::good);
    entries
        .filter_map(|entry| match (entry.ip.text(), entry.hostname.text()) {
            ("", "") => None,
            ("", name) => name_of(name, field, faults),
            (ip, _) => ip_of(ip, field, faults),
        })
        .collect()
}

/// An address from outside.
pub(super) fn ip_of(text: &str, field: &str, faults: &mut Vec<Fault>) -> Option<ExternalAddress> {
    let ip = text.parse::<IpAddr>();
    ip.map_err(|_| faults.push(Fault::value(field, text, "an IP address"))).ok().map(ExternalAddress::Ip)
}

/// A name from outside.
fn name_of(text: &str, field: &str, faults: &mut Vec<Fault>) -> Option<ExternalAddress> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if is_host(&name) {
        return Some(ExternalAddress::Name(name.into()));
    }
    faults.push(Fault::value(field, text, "a DNS name"));
    None
}

/// True for labels of letters, digits, `-` and `_`, with dots between: what may stand in a record's target.
fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// A host that an object claims, lower case; `None` where there is none or it is no name.
fn host(text: &Field<Text<'_>>, field: impl Fn() -> String, faults: &mut Vec<Fault>) -> Option<Box<str>> {
    let Field::Is(text) = text else {
        if text.is_wrong() {
            faults.push(Fault::wrong_type(field(), "a host name"));
        }
        return None;
    };
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() {
        return None;
    }
    if is_subdomain(lower.strip_prefix("*.").unwrap_or(&lower)) && lower.len() <= 253 {
        return Some(lower.into());
    }
    faults.push(Fault::value(field(), text, "a host name"));
    None
}

/// When an object was created; 0 where that is not told.
fn created(meta: &Field<raw::Meta<'_>>) -> u64 {
    meta.good().and_then(|meta| moment::nanoseconds(meta.creation_timestamp.text())).unwrap_or(0)
}

/// Puts an object together.
fn object(
    kind: HostKind,
    meta: &Field<raw::Meta<'_>>,
    mut faults: Vec<Fault>,
    fill: impl FnOnce(&ObjectKey, &mut HostsObject, &mut Vec<Fault>),
) -> Cut<HostsObject> {
    let (key, good) = key(meta.good(), Names::Subdomain, &mut faults);
    let Some(kept) = key.clone().filter(|_| good) else { return Cut { key, object: None, faults } };
    let mut object = HostsObject {
        kind,
        key: kept.clone(),
        revision: revision(meta),
        created: created(meta),
        addresses: Vec::new(),
        hosts: Vec::new(),
        parents: Vec::new(),
    };
    fill(&kept, &mut object, &mut faults);
    Cut { key, object: Some(object), faults }
}

/// Cuts an Ingress down: the hosts of its rules and the addresses in its status.
pub(crate) fn cut_ingress(raw: &raw::Ingress<'_>) -> Cut<HostsObject> {
    object(HostKind::Ingresses, &raw.metadata, Vec::new(), |_, object, faults| {
        let rules = raw.spec.good().map_or(&Field::Absent, |spec| &spec.rules);
        check_list(rules, "spec.rules", faults);
        for (at, rule) in rules.entries().iter().enumerate() {
            let Field::Is(rule) = rule else { continue };
            if let Some(host) = host(&rule.host, || format!("spec.rules[{at}].host"), faults) {
                object.hosts.push(ListedHost { section: Box::default(), host });
            }
        }
        let balanced = raw.status.good().and_then(|status| status.load_balancer.good());
        let listed = balanced.map_or(&Field::Absent, |balanced| &balanced.ingress);
        object.addresses = balancer(listed, "status.loadBalancer.ingress", faults);
    })
}

/// Cuts a Gateway down: the hosts of its listeners and the addresses in its status.
pub(crate) fn cut_gateway(raw: &raw::Gateway<'_>) -> Cut<HostsObject> {
    object(HostKind::Gateways, &raw.metadata, Vec::new(), |_, object, faults| {
        let listeners = raw.spec.good().map_or(&Field::Absent, |spec| &spec.listeners);
        check_list(listeners, "spec.listeners", faults);
        for (at, listener) in listeners.entries().iter().enumerate() {
            let Field::Is(listener) = listener else { continue };
            let before = faults.len();
            let host = host(&listener.hostname, || format!("spec.listeners[{at}].hostname"), faults);
            // A listener whose host can't be read takes no hosts, not all of them.
            if faults.len() == before {
                let section = listener.name.text().into();
                object.hosts.push(ListedHost { section, host: host.unwrap_or_default() });
            }
        }
        let addresses = raw.status.good().map_or(&Field::Absent, |status| &status.addresses);
        check_list(addresses, "status.addresses", faults);
        for address in addresses.entries().iter().filter_map(Field::good) {
            let value = address.value.text();
            object.addresses.extend(match address.address_type.text() {
                "" | "IPAddress" => ip_of(value, "status.addresses", faults),
                "Hostname" => name_of(value, "status.addresses", faults),
                // Kinds of addresses that only the maker of the Gateway knows.
                _ => None,
            });
        }
    })
}

/// Cuts a route down: its hosts, and the Gateways that it names and that took it.
pub(crate) fn cut_route(kind: HostKind, raw: &raw::Route<'_>) -> Cut<HostsObject> {
    object(kind, &raw.metadata, Vec::new(), |key, object, faults| {
        let spec = raw.spec.good();
        let hosts = spec.map_or(&Field::Absent, |spec| &spec.hostnames);
        check_list(hosts, "spec.hostnames", faults);
        for (at, text) in hosts.entries().iter().enumerate() {
            if let Some(host) = host(text, || format!("spec.hostnames[{at}]"), faults) {
                object.hosts.push(ListedHost { section: Box::default(), host });
            }
        }
        let parents = raw.status.good().map_or(&Field::Absent, |status| &status.parents);
        let accepted: Vec<ParentGateway> = parents
            .entries()
            .iter()
            .filter_map(Field::good)
            .filter(|parent| {
                let mut conditions = parent.conditions.entries().iter().filter_map(Field::good);
                conditions.any(|condition| {
                    condition.condition_type.text() == "Accepted" && condition.status.text() == "True"
                })
            })
            .filter_map(|parent| parent_of(&parent.parent_ref, key))
            .collect();
        let named = spec.map_or(&Field::Absent, |spec| &spec.parent_refs);
        check_list(named, "spec.parentRefs", faults);
        for parent in named.entries().iter().filter_map(|named| parent_of(named, key)) {
            if accepted.contains(&parent) && !object.parents.contains(&parent) {
                object.parents.push(parent);
            }
        }
    })
}

/// The Gateway that a reference of a route in `key`'s namespace means; `None` for other kinds of parents.
fn parent_of(reference: &Field<raw::ParentRef<'_>>, key: &ObjectKey) -> Option<ParentGateway> {
    let reference = reference.good()?;
    let is = |text: &Field<Text<'_>>, usual: &str| text.text().is_empty() || text.text() == usual;
    if !is(&reference.group, GATEWAY_GROUP) || !is(&reference.kind, "Gateway") {
        return None;
    }
    let namespace = match reference.namespace.text() {
        "" => &key.namespace,
        namespace => namespace,
    };
    Some(ParentGateway {
        gateway: ObjectKey::new(namespace, reference.name.text()),
        section: reference.section_name.text().into(),
    })
}

/// Cuts a ServiceImport down (rules K-210, K-211).
pub(crate) fn cut_import(raw: &raw::ServiceImport<'_>) -> Cut<ImportObject> {
    let mut faults = Vec::new();
    let (key, good) = key(raw.metadata.good(), Names::Label, &mut faults);
    let Field::Is(spec) = &raw.spec else {
        faults.push(Fault::wrong_type("spec", "a record"));
        return Cut { key, object: None, faults };
    };
    let addresses = match spec.import_type.text() {
        "Headless" => None,
        "" | "ClusterSetIP" => {
            check_list(&spec.ips, "spec.ips", &mut faults);
            let mut ips = Vec::new();
            for text in spec.ips.entries().iter().map(Field::text).filter(|text| !text.is_empty()) {
                match text.parse::<IpAddr>() {
                    Ok(ip) => ips.push(ip),
                    Err(_) => faults.push(Fault::value("spec.ips", text, "an IP address")),
                }
            }
            Some(ips)
        }
        other => {
            faults.push(Fault::value("spec.type", other, "ClusterSetIP or Headless"));
            return Cut { key, object: None, faults };
        }
    };
    check_list(&spec.ports, "spec.ports", &mut faults);
    let ports = spec.ports.entries().iter().enumerate();
    let ports: Vec<ServicePort> = ports
        .filter_map(|(at, port)| service_port(at, port).map_err(|fault| faults.push(fault)).ok())
        .collect();
    let object = key.clone().filter(|_| good);
    let object = object.map(|key| ImportObject { key, revision: revision(&raw.metadata), addresses, ports });
    Cut { key, object, faults }
}
