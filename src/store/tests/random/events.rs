//! What happens to a store at random: few names and addresses, so that they meet.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::*;

/// Namespaces.
pub(super) const SPACES: [&str; 3] = ["shop", "data", "svc"];

/// Names of Services, slices and pods.
pub(super) const NAMES: [&str; 4] =
    ["web", "db", "pod", "a-very-long-name-that-is-nearly-as-long-as-any-label-can-be-her"];

/// Addresses; all are both cluster addresses and endpoints, which real clusters don't have but may not confuse us.
pub(super) const ADDRESSES: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.20",
    "10.0.1.1",
    "10.96.0.1",
    "fd00::1",
    "fd00::",
    "fd00:0:1::21",
    "2001:db8::ffff",
];

/// Hostnames, some empty; one is the dashed name of another endpoint.
const HOSTNAMES: [&str; 5] = ["", "", "a", "10-0-0-2", "fd00--0"];

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// An object appears or changes; with `again` it keeps its version where it did not change.
    Put(Object, bool),
    /// An object goes.
    Remove(Kind, ObjectKey),
    /// A list starts.
    Begin(Kind),
    /// A list ends, if one is under way.
    End(Kind),
    /// A whole list: objects of this kind come again, but for every `leave_out`th, in an order that `turn` chooses.
    Relist {
        /// The kind.
        kind: Kind,
        /// 0 leaves nothing out.
        leave_out: usize,
        /// Where it starts.
        turn: usize,
    },
    /// What happened so far is published.
    Settle,
    /// The process restarts with a snapshot of what it published.
    Restart,
}

/// One of these texts.
fn text(of: &'static [&'static str]) -> impl Strategy<Value = Box<str>> {
    select(of).prop_map(Into::into)
}

/// An object's key.
fn key() -> impl Strategy<Value = ObjectKey> {
    (select(&SPACES[..]), select(&NAMES[..])).prop_map(|(namespace, name)| ObjectKey::new(namespace, name))
}

/// Addresses, each once, sorted.
fn addresses(most: usize) -> impl Strategy<Value = Vec<IpAddr>> {
    subsequence(&ADDRESSES[..], 0..=most).prop_map(|texts| texts.into_iter().map(ip).collect())
}

/// A protocol.
fn protocol() -> impl Strategy<Value = Protocol> {
    select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..])
}

/// Labels.
fn labels() -> impl Strategy<Value = Vec<(Box<str>, Box<str>)>> {
    (0..3_usize).prop_map(|count| (0..count).map(|at| (format!("k{at}").into(), "v".into())).collect())
}

/// A Service.
pub(super) fn service_object() -> impl Strategy<Value = Object> {
    let spec = prop_oneof![
        3 => addresses(3).prop_map(ServiceSpec::Cluster),
        3 => Just(ServiceSpec::Headless),
        1 => text(&["example.com", "Example.NET.", "web.shop.svc.cluster.local", "10.0.0.1", "fd00::1"])
            .prop_map(ServiceSpec::External),
    ];
    let port = (text(&["", "http", "dns"]), protocol(), select(&[53_u16, 80, 65_535][..]))
        .prop_map(|(name, protocol, port)| ServicePort { name, protocol, port });
    (key(), spec, prop::collection::vec(port, 0..3)).prop_map(|(key, spec, ports)| {
        Object::Service(ServiceObject {
            key,
            revision: Revision::default(),
            spec,
            ports,
            external: Vec::new(),
        })
    })
}

/// A slice.
pub(super) fn slice_object() -> impl Strategy<Value = Object> {
    let spelled = |address: IpAddr, odd: bool| {
        let spelled = match address {
            IpAddr::V6(v6) if odd => {
                let words: Vec<String> = v6.segments().iter().map(|word| format!("{word:X}")).collect();
                Some(words.join(":").into())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        EndpointAddress { ip: address, spelled }
    };
    let target = text(&["", "web-7d4b9-x2x4v", "web-0", TOO_LONG]);
    let endpoint = (addresses(2), any::<bool>(), text(&HOSTNAMES), target, text(&["", "zone-a"])).prop_map(
        move |(addresses, odd, hostname, target, zone)| Endpoint {
            addresses: addresses.into_iter().map(|address| spelled(address, odd)).collect(),
            hostname,
            target,
            zone,
        },
    );
    let port = (text(&["", "http", "dns"]), protocol(), select(&[None, Some(53_u16), Some(8080)][..]))
        .prop_map(|(name, protocol, port)| SlicePort { name, protocol, port });
    let of = text(&["web", "db", "pod", "", NAMES[3]]);
    let parts =
        (key(), of, prop::collection::vec(endpoint, 0..4), prop::collection::vec(port, 0..3), any::<bool>());
    parts.prop_map(|(key, service, endpoints, ports, triggered)| {
        let triggered = triggered.then_some(1);
        Object::Slice(SliceObject {
            import: None,
            key,
            revision: Revision::default(),
            service,
            endpoints,
            ports,
            triggered,
        })
    })
}

/// A name of a pod that is too long for a label.
const TOO_LONG: &str = "a-name-of-a-pod-that-has-sixty-four-letters-and-so-is-no-label-a";

/// A pod.
pub(super) fn pod_object() -> impl Strategy<Value = Object> {
    (key(), addresses(2), text(&["", "a", "b"]), text(&["", "web"]), labels()).prop_map(
        |(key, addresses, hostname, subdomain, labels)| {
            Object::Pod(PodObject {
                key,
                revision: Revision::default(),
                addresses,
                hostname,
                subdomain,
                labels,
            })
        },
    )
}

/// A Namespace.
pub(super) fn namespace_object() -> impl Strategy<Value = Object> {
    (text(&SPACES), labels()).prop_map(|(name, labels)| {
        Object::Namespace(NamespaceObject { name, revision: Revision::default(), labels })
    })
}

/// Something that happens.
pub(super) fn event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![
        3 => service_object(),
        5 => slice_object(),
        1 => namespace_object(),
        2 => pod_object(),
    ];
    let kind = || select(&KINDS[..]);
    let gone = (kind(), key()).prop_map(|(kind, key)| match kind {
        Kind::Namespaces => Event::Remove(kind, ObjectKey::new("", &key.namespace)),
        Kind::Services | Kind::EndpointSlices | Kind::Pods | Kind::Imports | Kind::Hosts(_) => {
            Event::Remove(kind, key)
        }
    });
    let relist = (kind(), 0..4_usize, 0..8_usize).prop_map(|(kind, leave_out, turn)| Event::Relist {
        kind,
        leave_out,
        turn,
    });
    prop_oneof![
        12 => (object, any::<bool>()).prop_map(|(object, again)| Event::Put(object, again)),
        4 => gone,
        1 => kind().prop_map(Event::Begin),
        1 => kind().prop_map(Event::End),
        2 => relist,
        4 => Just(Event::Settle),
        1 => Just(Event::Restart),
    ]
}
