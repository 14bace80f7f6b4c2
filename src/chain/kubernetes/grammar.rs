//! What a name below a cluster zone can be, by its labels alone (SPEC B: K-030 to K-041).

use crate::store::Protocol;
use crate::wire::{Question, label_eq};

/// What the labels left of the zone say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name<'q> {
    /// The zone itself.
    Apex,
    /// `svc.Z`, `pod.Z`, `dns.Z`: there are names below, no data here (K-031, K-037).
    Bare,
    /// `ns.dns.Z` (K-054).
    Server,
    /// `dns-version.Z` (K-056).
    Version,
    /// `NS.svc.Z` (K-032).
    Namespace {
        /// Label of the namespace in wire form.
        namespace: &'q [u8],
    },
    /// `SVC.NS.svc.Z` and names below it.
    Service {
        /// `SVC.NS` in wire form.
        run: &'q [u8],
        /// What stands left of it.
        below: Below<'q>,
    },
    /// `NS.pod.Z` (K-160).
    PodNamespace {
        /// Label of the namespace in wire form.
        namespace: &'q [u8],
    },
    /// Names below `NS.pod.Z` (K-150 to K-159, `pod_hostnames`).
    Pod {
        /// Label of the namespace in wire form.
        namespace: &'q [u8],
        /// The label next to the namespace: an address with dashes, or a subdomain.
        label: &'q [u8],
        /// `SUB.NS` in wire form, that label being the subdomain.
        run: &'q [u8],
        /// The label left of it, where there is one: a hostname.
        hostname: Option<&'q [u8]>,
        /// Whether more labels stand left of that: then it can only be an address (K-154).
        more: bool,
    },
    /// No record has such a name.
    Impossible,
}

/// What stands left of a Service's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Below<'q> {
    /// Nothing.
    Itself,
    /// One label: an endpoint (K-036), or `_tcp` and its like, above port names (K-037).
    Endpoint(&'q [u8]),
    /// Two labels: port and protocol, `None` for any (K-035, K-038).
    Port(Option<&'q [u8]>, Option<Protocol>),
}

/// Reads the `left` labels of `question` that stand left of the zone.
///
/// Cost: a few comparisons of short labels. Source: Kubernetes DNS specification 1.1.0 §2, K-030.
pub(super) fn read(question: &Question, left: usize) -> Name<'_> {
    let Some(kind_at) = left.checked_sub(1) else { return Name::Apex };
    let kind = question.label(kind_at);
    let is_service = label_eq(kind, "svc");
    let is_pod = label_eq(kind, "pod");
    match left {
        1 if is_service || is_pod || label_eq(kind, "dns") => return Name::Bare,
        1 if label_eq(kind, "dns-version") => return Name::Version,
        2 if label_eq(kind, "dns") && label_eq(question.label(0), "ns") => return Name::Server,
        0 | 1 => return Name::Impossible,
        _ => {}
    }
    let namespace = question.run(left - 2, left - 1);
    match left {
        2 if is_service => Name::Namespace { namespace },
        2 if is_pod => Name::PodNamespace { namespace },
        3.. if is_service => {
            let run = question.run(left - 3, left - 1);
            match left - 3 {
                0 => Name::Service { run, below: Below::Itself },
                1 => Name::Service { run, below: Below::Endpoint(question.label(0)) },
                2 => port(question).map_or(Name::Impossible, |below| Name::Service { run, below }),
                _ => Name::Impossible,
            }
        }
        3..=5 if is_pod => Name::Pod {
            namespace,
            label: question.label(left - 3),
            run: question.run(left - 3, left - 1),
            hostname: (left > 3).then(|| question.label(left - 4)),
            more: left > 4,
        },
        _ => Name::Impossible,
    }
}

/// Reads two left labels as port and protocol, one leading underscore of each aside (K-035).
///
/// A protocol that is none makes the name impossible, even before the cluster is known (K-016).
fn port(question: &Question) -> Option<Below<'_>> {
    let strip = |label: &'_ [u8]| -> usize { usize::from(label.first() == Some(&b'_')) };
    let (name, protocol) = (question.label(0), question.label(1));
    let name = name.get(strip(name)..).unwrap_or_default();
    let protocol = protocol.get(strip(protocol)..).unwrap_or_default();
    let protocol = if protocol.is_empty() { None } else { Some(self::protocol(protocol)?) };
    Some(Below::Port((!name.is_empty()).then_some(name), protocol))
}

/// The protocol of a label without its underscore.
pub(super) fn protocol(label: &[u8]) -> Option<Protocol> {
    match label {
        b"tcp" => Some(Protocol::Tcp),
        b"udp" => Some(Protocol::Udp),
        b"sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}
