//! The parts that objects share: keys, labels, ports, addresses and host names, each checked on its own.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::fault::Fault;
use super::field::{Field, Pairs, Text};
use super::raw;
use crate::store::change::{EndpointAddress, ObjectKey, Protocol, Revision, SlicePort};

/// What the name of an object must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// A label, in a namespace.
    Label,
    /// Labels with dots between, in a namespace.
    Subdomain,
    /// A label; the object is a Namespace itself.
    Namespace,
}

/// The key of an object, and whether it is good: both names are there and can be parts of DNS names.
pub(crate) fn key(
    meta: Option<&raw::Meta<'_>>,
    names: Names,
    faults: &mut Vec<Fault>,
) -> (Option<ObjectKey>, bool) {
    let Some(meta) = meta else {
        faults.push(Fault::missing("metadata.name"));
        return (None, false);
    };
    let name = meta.name.text();
    if name.is_empty() {
        faults.push(if meta.name.is_wrong() {
            Fault::wrong_type("metadata.name", "a string")
        } else {
            Fault::missing("metadata.name")
        });
        return (None, false);
    }
    let namespace = match (names, meta.namespace.text()) {
        (Names::Namespace, _) => "",
        (_, "") => "default",
        (_, namespace) => namespace,
    };
    let mut good = !meta.namespace.is_wrong() || names == Names::Namespace;
    if !good {
        faults.push(Fault::wrong_type("metadata.namespace", "a string"));
    }
    if names != Names::Namespace && !is_label(namespace) {
        faults.push(Fault::value("metadata.namespace", namespace, "a DNS label"));
        good = false;
    }
    let (well_named, wanted) = match names {
        Names::Label | Names::Namespace => (is_label(name), "a DNS label"),
        Names::Subdomain => (is_subdomain(name), "a DNS name"),
    };
    if !well_named {
        faults.push(Fault::value("metadata.name", name, wanted));
        good = false;
    }
    (Some(ObjectKey::new(namespace, name)), good)
}

/// UID and version.
pub(crate) fn revision(meta: &Field<raw::Meta<'_>>) -> Revision {
    meta.good().map_or_else(Revision::default, |meta| Revision {
        uid: meta.uid.text().into(),
        version: meta.resource_version.text().into(),
    })
}

/// The labels of an object, sorted by key; one that is not a string is left out.
pub(crate) fn labels(meta: Option<&raw::Meta<'_>>, faults: &mut Vec<Fault>) -> Vec<(Box<str>, Box<str>)> {
    meta.map_or_else(Vec::new, |meta| pairs(&meta.labels, "metadata.labels", faults))
}

/// The pairs of a record, sorted by key; one that is not a string is left out.
pub(crate) fn pairs(
    record: &Field<Pairs<'_>>,
    field: &'static str,
    faults: &mut Vec<Fault>,
) -> Vec<(Box<str>, Box<str>)> {
    let Field::Is(pairs) = record else {
        if record.is_wrong() {
            faults.push(Fault::wrong_type(field, "a record"));
        }
        return Vec::new();
    };
    faults.extend(
        pairs
            .wrong
            .iter()
            .map(|key| Fault::wrong_type(format!("{field}.{}", key.escape_debug()), "a string")),
    );
    let entries = pairs.entries.iter();
    let mut sorted: Vec<(Box<str>, Box<str>)> =
        entries.map(|(key, value)| (key.as_ref().into(), value.as_ref().into())).collect();
    sorted.sort_unstable();
    sorted.dedup_by(|later, earlier| later.0 == earlier.0);
    sorted
}

/// The ports of a slice or a subset; `field` is the path of their list.
pub(crate) fn slice_ports(
    ports: &Field<Vec<Field<raw::Port<'_>>>>,
    field: &str,
    faults: &mut Vec<Fault>,
) -> Vec<SlicePort> {
    check_list(ports, field, faults);
    let ports = ports.entries().iter().enumerate();
    ports
        .filter_map(|(at, port)| {
            let field = |name: &str| format!("{field}[{at}]{name}");
            let read = || {
                let Field::Is(port) = port else { return Err(Fault::wrong_type(field(""), "a record")) };
                Ok(SlicePort {
                    name: port_name(&port.name, || field(".name"))?,
                    protocol: port_protocol(&port.protocol, || field(".protocol"))?,
                    port: port_number(&port.port, || field(".port"))?,
                })
            };
            read().map_err(|fault| faults.push(fault)).ok()
        })
        .collect()
}

/// An address, with its spelling where that is not the canonical one.
pub(crate) fn address(text: &Field<Text<'_>>, field: impl Fn() -> String) -> Result<EndpointAddress, Fault> {
    let Field::Is(text) = text else { return Err(Fault::wrong_type(field(), "an IP address")) };
    let ip: IpAddr = text.parse().map_err(|_| Fault::value(field(), text, "an IP address"))?;
    let mut rest = Unspelled(text);
    let canonical = write!(rest, "{ip}").is_ok() && rest.0.is_empty();
    Ok(EndpointAddress { ip, spelled: (!canonical).then(|| text.as_ref().into()) })
}

/// Takes what is written to it off the front of a text; fails where the two differ. Compares without a string.
struct Unspelled<'a>(&'a str);

impl fmt::Write for Unspelled<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// A host name that is a label, or empty: the address stays, its name goes.
pub(crate) fn hostname(
    text: &Field<Text<'_>>,
    field: impl Fn() -> String,
    faults: &mut Vec<Fault>,
) -> Box<str> {
    match text {
        Field::Is(text) if is_label(text) => return text.as_ref().into(),
        Field::Is(text) if !text.is_empty() => faults.push(Fault::value(field(), text, "a DNS label")),
        Field::Is(_) | Field::Absent => {}
        Field::Wrong => faults.push(Fault::wrong_type(field(), "a string")),
    }
    Box::default()
}

/// The pod that a target reference names, or empty (rule K-114).
pub(crate) fn target(reference: &Field<raw::TargetRef<'_>>) -> Box<str> {
    let pod = reference.good().filter(|target| target.kind.text() == "Pod").map(|target| target.name.text());
    pod.filter(|name| is_subdomain(name)).unwrap_or_default().into()
}

/// The name of a port: a label or empty.
pub(crate) fn port_name(name: &Field<Text<'_>>, field: impl Fn() -> String) -> Result<Box<str>, Fault> {
    match name {
        Field::Absent => Ok(Box::default()),
        Field::Is(name) if name.is_empty() || is_label(name) => Ok(name.as_ref().into()),
        Field::Is(name) => Err(Fault::value(field(), name, "a DNS label")),
        Field::Wrong => Err(Fault::wrong_type(field(), "a string")),
    }
}

/// The protocol of a port; TCP where none is written.
pub(crate) fn port_protocol(
    protocol: &Field<Text<'_>>,
    field: impl Fn() -> String,
) -> Result<Protocol, Fault> {
    match protocol {
        Field::Wrong => Err(Fault::wrong_type(field(), "TCP, UDP or SCTP")),
        Field::Absent => Ok(Protocol::Tcp),
        Field::Is(text) => match text.as_ref() {
            "" | "TCP" => Ok(Protocol::Tcp),
            "UDP" => Ok(Protocol::Udp),
            "SCTP" => Ok(Protocol::Sctp),
            other => Err(Fault::value(field(), other, "TCP, UDP or SCTP")),
        },
    }
}

/// A port's number, `None` where it is null or missing.
pub(crate) fn port_number(number: &Field<i64>, field: impl Fn() -> String) -> Result<Option<u16>, Fault> {
    const WANTED: &str = "a port number (1..65535)";
    match number {
        Field::Absent => Ok(None),
        Field::Wrong => Err(Fault::wrong_type(field(), WANTED)),
        Field::Is(number) => match u16::try_from(*number) {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(Fault::number(field(), *number, WANTED)),
        },
    }
}

/// Notes a list that is none.
pub(crate) fn check_list<T>(list: &Field<Vec<T>>, field: &str, faults: &mut Vec<Fault>) {
    if list.is_wrong() {
        faults.push(Fault::wrong_type(field, "a list"));
    }
}

/// True for a label as Kubernetes names are: lower-case letters, digits and `-` inside, at most 63.
///
/// Source: RFC 1123 §2.1.
pub(crate) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// True for labels with dots between, at most 253 bytes.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}
