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

/// Which names a zone of a stanza has beside the usual ones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forms {
    /// Names of a clusterset (K-210): two labels left of a Service are an endpoint and its cluster.
    pub multicluster: bool,
    /// Names of endpoints in a topology zone (K-220); a clusterset has none.
    pub zonal: bool,
}

/// What stands left of a Service's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Below<'q> {
    /// Nothing.
    Itself,
    /// One label: an endpoint (K-036), or `_tcp` and its like, above port names (K-037).
    Endpoint(&'q [u8]),
    /// Two labels: port and protocol, `None` for any (K-035, K-038); never both.
    Port(Option<&'q [u8]>, Option<Protocol>),
    /// Two labels in a clusterset: an endpoint and its cluster (K-212).
    Cluster(&'q [u8], &'q [u8]),
    /// `_zone` or `pin._zone`: above the names of zones (RFC 8020).
    AboveZones,
    /// The endpoints of a topology zone (K-220).
    Zone {
        /// The zone's labels in wire form.
        zone: &'q [u8],
        /// Whether all endpoints are meant where the zone has none (K-222).
        prefer: bool,
    },
}

/// Reads the `left` labels of `question` that stand left of the zone.
///
/// Cost: a few comparisons of short labels. Source: Kubernetes DNS specification 1.1.0 §2, K-030, K-212, K-220.
pub(super) fn read(question: &Question, left: usize, forms: Forms) -> Name<'_> {
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
                labels if forms.zonal && !forms.multicluster && is_zonal(question, labels) => {
                    zonal(question, labels).map_or(Name::Impossible, |below| Name::Service { run, below })
                }
                1 => Name::Service { run, below: Below::Endpoint(question.label(0)) },
                2 if forms.multicluster && !(0..2).any(|at| question.label(at).first() == Some(&b'_')) => {
                    Name::Service { run, below: Below::Cluster(question.label(0), question.label(1)) }
                }
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

/// Whether the `labels` left of a Service end in `_zone`.
fn is_zonal(question: &Question, labels: usize) -> bool {
    labels.checked_sub(1).is_some_and(|at| label_eq(question.label(at), "_zone"))
}

/// Reads labels that end in `_zone` (K-220, K-224).
fn zonal(question: &Question, labels: usize) -> Option<Below<'_>> {
    let Some(at) = labels.checked_sub(2) else { return Some(Below::AboveZones) };
    let prefer = match question.label(at) {
        b"pin" => false,
        b"prefer" => true,
        _ => return None,
    };
    Some(match at {
        0 => Below::AboveZones,
        _ => Below::Zone { zone: question.run(0, at), prefer },
    })
}

/// Reads two left labels as port and protocol, one leading underscore of each aside (K-035). Any port of any protocol is the
/// Service itself (K-038).
///
/// A protocol that is none makes the name impossible, even before the cluster is known (K-016).
pub(in crate::chain) fn port(question: &Question) -> Option<Below<'_>> {
    let strip = |label: &'_ [u8]| -> usize { usize::from(label.first() == Some(&b'_')) };
    let (name, protocol) = (question.label(0), question.label(1));
    let name = name.get(strip(name)..).unwrap_or_default();
    let protocol = protocol.get(strip(protocol)..).unwrap_or_default();
    let protocol = if protocol.is_empty() { None } else { Some(self::protocol(protocol)?) };
    Some(match (name, protocol) {
        ([], None) => Below::Itself,
        ([], protocol) => Below::Port(None, protocol),
        (name, protocol) => Below::Port(Some(name), protocol),
    })
}

/// The protocol of a label without its underscore.
pub(in crate::chain) fn protocol(label: &[u8]) -> Option<Protocol> {
    match label {
        b"tcp" => Some(Protocol::Tcp),
        b"udp" => Some(Protocol::Udp),
        b"sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}
