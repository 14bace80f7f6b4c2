//! What a source tells the store: objects of the cluster, cut down to the fields that names are made of.

use std::collections::HashSet;
use std::net::IpAddr;

mod hosts;
mod identity;
mod import;

pub use hosts::{ExternalAddress, HostKind, HostsObject, ListedHost, ParentGateway};
pub use identity::{ObjectId, VersionId};
pub use import::{ImportObject, SliceImport};

/// The kinds of objects that the store is fed with; each has its own list, watch and generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// v1 Service.
    Services,
    /// discovery.k8s.io/v1 EndpointSlice (v1 Endpoints and pods are turned into these at the door).
    EndpointSlices,
    /// v1 Namespace.
    Namespaces,
    /// v1 Pod, only where a stanza says `pods verified`.
    Pods,
    /// multicluster.x-k8s.io ServiceImport, only where a stanza says `multicluster`.
    Imports,
    /// What gives host names from outside, only where a stanza asks for it.
    Hosts(HostKind),
}

impl Kind {
    /// The plural name, as in paths and labels.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Namespaces => "namespaces",
            Self::Pods => "pods",
            Self::Imports => "serviceimports",
            Self::Hosts(HostKind::Ingresses) => "ingresses",
            Self::Hosts(HostKind::Gateways) => "gateways",
            Self::Hosts(HostKind::HttpRoutes) => "httproutes",
            Self::Hosts(HostKind::GrpcRoutes) => "grpcroutes",
            Self::Hosts(HostKind::TlsRoutes) => "tlsroutes",
        }
    }
}

/// One step in the life of the cluster, as a source saw it.
///
/// `Begin` and `End` bracket a list: what was there before and was not named in between is swept at `End`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A complete list of this kind starts.
    Begin(Kind),
    /// The object exists as given; replaces an earlier one of the same key.
    Upsert(Object),
    /// The object is gone; unknown keys are no error.
    Remove(Kind, ObjectKey),
    /// The list is complete: what it did not name is gone.
    End(Kind),
}

/// Where an object lives: namespace and name; a Namespace has an empty namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectKey {
    /// `metadata.namespace`, empty for a Namespace.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl ObjectKey {
    /// The key of `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Whether it is no name that an object of Kubernetes can have: those are in lower case.
    #[must_use]
    pub fn has_capitals(&self) -> bool {
        let capital = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
        capital(&self.namespace) || capital(&self.name)
    }
}

/// An object of the cluster, cut down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Object {
    /// A Service.
    Service(ServiceObject),
    /// An EndpointSlice.
    Slice(SliceObject),
    /// A Namespace.
    Namespace(NamespaceObject),
    /// A Pod.
    Pod(PodObject),
    /// A ServiceImport.
    Import(ImportObject),
    /// An Ingress, a Gateway or a route.
    Hosts(HostsObject),
}

/// What identifies one version of an object; kept for the audit.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Revision {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub version: Box<str>,
}

/// A Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceObject {
    /// Namespace and name.
    pub key: ObjectKey,
    /// UID and version.
    pub revision: Revision,
    /// What kind of Service it is, with the data that makes its names.
    pub spec: ServiceSpec,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.externalIPs`, then `status.loadBalancer.ingress` (rule K-290).
    pub external: Vec<ExternalAddress>,
}

/// What makes a Service's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceSpec {
    /// ClusterIP, NodePort, LoadBalancer: `spec.clusterIPs`, or `spec.clusterIP` where the list is empty.
    Cluster(Vec<IpAddr>),
    /// `clusterIP: None`.
    Headless,
    /// `type: ExternalName`, the target as written.
    External(Box<str>),
}

/// The transport protocol of a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// `name`, empty where the port has none.
    pub name: Box<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port` (never targetPort or nodePort, rule K-075).
    pub port: u16,
}

/// An EndpointSlice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceObject {
    /// Namespace and name of the slice itself.
    pub key: ObjectKey,
    /// UID and version.
    pub revision: Revision,
    /// Label `kubernetes.io/service-name`, empty where only `import` is there; the Service is in the slice's own namespace.
    pub service: Box<str>,
    /// The labels of a slice that another cluster's endpoints stand in (rules K-211, K-212).
    pub import: Option<SliceImport>,
    /// The *ready* endpoints (condition `ready` true or absent, rule K-102); others are cut at the door.
    pub endpoints: Vec<Endpoint>,
    /// `ports`.
    pub ports: Vec<SlicePort>,
    /// Annotation `endpoints.kubernetes.io/last-change-trigger-time` in nanoseconds since 1970 (rule K-275).
    pub triggered: Option<u64>,
}

/// A ready endpoint of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// `addresses`; every one counts (rule K-100).
    pub addresses: Vec<EndpointAddress>,
    /// `hostname`, lower-case, empty where it has none; always a valid label.
    pub hostname: Box<str>,
    /// `targetRef.name` when it names a Pod, empty otherwise (rule K-114).
    pub target: Box<str>,
    /// `zone`, empty where it has none.
    pub zone: Box<str>,
}

/// An address of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointAddress {
    /// The address.
    pub ip: IpAddr,
    /// The text as it stands in the slice, only where it is not the canonical text of `ip` (rule K-106).
    pub spelled: Option<Box<str>>,
}

/// A port of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlicePort {
    /// `name`, empty where the port has none.
    pub name: Box<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`; a null number is `None`: the port makes no SRV (rule K-112).
    pub port: Option<u16>,
}

/// A Namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamespaceObject {
    /// `metadata.name`.
    pub name: Box<str>,
    /// UID and version.
    pub revision: Revision,
    /// `metadata.labels`, sorted by key.
    pub labels: Vec<(Box<str>, Box<str>)>,
}

/// A Pod that is not Succeeded, Failed or Unknown and not being deleted (rule K-158).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodObject {
    /// Namespace and name.
    pub key: ObjectKey,
    /// UID and version.
    pub revision: Revision,
    /// Every `status.podIPs` entry (K-153 as section 0 decides).
    pub addresses: Vec<IpAddr>,
    /// `spec.hostname`, empty where not set.
    pub hostname: Box<str>,
    /// `spec.subdomain`, empty where not set.
    pub subdomain: Box<str>,
    /// `metadata.labels`, sorted by key.
    pub labels: Vec<(Box<str>, Box<str>)>,
}

/// What a watch does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum WatchState {
    /// Nothing yet, or nobody watches.
    #[default]
    Idle,
    /// It asked, and no answer has begun.
    Connecting,
    /// A list comes.
    Listing,
    /// It listens.
    Watching,
    /// It failed, and pauses before it asks again.
    Retrying,
    /// The API server does not know the kind; it is asked again now and then.
    Absent,
}

impl WatchState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Connecting, Self::Listing, Self::Watching, Self::Retrying, Self::Absent];

    /// The state in a word, for labels and people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Listing => "listing",
            Self::Watching => "watching",
            Self::Retrying => "retrying",
            Self::Absent => "absent",
        }
    }
}

/// What a watch has heard of its kind; all but a state confirm what is held of it (rule K-269).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// It does something else now.
    State(WatchState),
    /// An event, and its version.
    Event(&'a str),
    /// A bookmark, and its version.
    Bookmark(&'a str),
    /// A list is complete, and its version; empty for a kind that is not there.
    List(&'a str),
}

/// Where a source puts what it learns; the store's writer is one.
///
/// A source calls `change` for each step and `settle` when it has no more for now: what changed together is
/// published together.
pub trait Sink {
    /// Takes one step.
    fn change(&mut self, change: Change);
    /// Publishes what changed since the last call.
    fn settle(&mut self);
    /// Takes what a watch has heard; whoever does not watch has nothing to say.
    fn heard(&mut self, kind: Kind, heard: Heard<'_>) {
        let _ = (kind, heard);
    }
    /// The version of an object as it is held after the last `settle`; `None` where it is not held. For audits.
    fn held(&self, kind: Kind, key: &ObjectKey) -> Option<VersionId> {
        let _ = (kind, key);
        None
    }
    /// Calls `visit` for every object of a kind that is held after the last `settle`, some more than once. For audits.
    fn each_held(&self, kind: Kind, visit: &mut dyn FnMut(ObjectId)) {
        let _ = (kind, visit);
    }
    /// Drops objects of a kind, as `Change::Remove` does. For audits, which do not keep names.
    fn drop_held(&mut self, kind: Kind, objects: &HashSet<ObjectId>) {
        let _ = (kind, objects);
    }
}
