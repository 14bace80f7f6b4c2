//! From the objects of all files to the objects that are fed: one of each, endpoints for every Service that has
//! none of its own, and the Namespaces that objects live in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::ManifestsOptions;
use super::found::{Found, FoundPod, FoundService, Resource, Subset, Target, What};
use super::report::{Problem, Reason};
use crate::store::change::{
    Endpoint, EndpointAddress, Kind, NamespaceObject, Object, ObjectKey, Revision, ServiceSpec, SliceObject,
    SlicePort,
};

/// Everything that is fed, in a fixed order.
pub(super) type Objects = BTreeMap<(Kind, ObjectKey), Object>;

/// The pods that have a label: namespace, key and value lead to them, in the order of their names.
type PodsByLabel<'a> = HashMap<(&'a str, &'a str, &'a str), Vec<&'a FoundPod>>;

/// Derives what is fed from what the files hold, given in the order of their paths.
pub(super) fn derive<'a>(
    files: impl Iterator<Item = (&'a Path, &'a [Found])>,
    options: &ManifestsOptions,
) -> (Objects, Vec<Problem>) {
    let (unique, problems) = unique(files);
    let mut objects = Objects::new();
    let chosen =
        |found: &Found| options.labels.as_ref().is_none_or(|selector| selector.matches(&found.labels));
    let mut endpoints: BTreeMap<&ObjectKey, &[Subset]> = BTreeMap::new();
    let mut pods = PodsByLabel::new();
    let mut sliced: BTreeSet<(&str, &str)> = BTreeSet::new();
    for found in unique.values() {
        match &found.what {
            What::Namespace(_) | What::Service(_) => {}
            What::Slice(slice) if options.endpoints && chosen(found) => {
                sliced.insert((&slice.key.namespace, &slice.service));
                feed(&mut objects, Object::Slice(slice.clone()));
            }
            What::Slice(_) => {}
            What::More(object) => {
                if chosen(found) {
                    feed(&mut objects, object.clone());
                }
            }
            What::Endpoints(subsets) => {
                endpoints.insert(&found.key, subsets);
            }
            What::Pod(pod) => {
                if options.pods && chosen(found) {
                    feed(&mut objects, Object::Pod(pod.object.clone()));
                }
                for (key, value) in &pod.object.labels {
                    pods.entry((&found.key.namespace, key, value)).or_default().push(pod);
                }
            }
        }
    }
    for found in unique.values().filter(|found| chosen(found)) {
        let What::Service(service) = &found.what else { continue };
        feed(&mut objects, Object::Service(service.object.clone()));
        let key = &found.key;
        let outside = matches!(service.object.spec, ServiceSpec::External(_));
        if outside || !options.endpoints || sliced.contains(&(&*key.namespace, &*key.name)) {
            continue;
        }
        let slices = match endpoints.get(key) {
            Some(subsets) => from_endpoints(service, subsets),
            None => from_pods(service, &pods),
        };
        for slice in slices {
            feed(&mut objects, Object::Slice(slice));
        }
    }
    feed_namespaces(&mut objects, &unique);
    (objects, problems)
}

/// Adds an object under its kind and key.
fn feed(objects: &mut Objects, object: Object) {
    let key = match &object {
        Object::Service(service) => (Kind::Services, service.key.clone()),
        Object::Slice(slice) => (Kind::EndpointSlices, slice.key.clone()),
        Object::Namespace(namespace) => (Kind::Namespaces, ObjectKey::new("", &namespace.name)),
        Object::Pod(pod) => (Kind::Pods, pod.key.clone()),
        Object::Import(import) => (Kind::Imports, import.key.clone()),
        Object::Hosts(hosts) => (Kind::Hosts(hosts.kind), hosts.key.clone()),
    };
    objects.insert(key, object);
}

/// One of each object: of two the first counts, and the second is a problem.
fn unique<'a>(
    files: impl Iterator<Item = (&'a Path, &'a [Found])>,
) -> (BTreeMap<(Resource, &'a ObjectKey), &'a Found>, Vec<Problem>) {
    let mut unique: BTreeMap<_, (&Path, &Found)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, found) in files.flat_map(|(path, found)| found.iter().map(move |found| (path, found))) {
        let (first_path, first) = *unique.entry(found.id()).or_insert((path, found));
        // Many files bring the Namespace of their objects along, which is no mistake.
        let same = std::ptr::eq(first, found)
            || (matches!(found.what, What::Namespace(_)) && first.what == found.what);
        if !same {
            problems.push(Problem {
                file: path.to_path_buf(),
                line: Some(found.line),
                column: None,
                document: Some(found.document),
                object: Some(found.label()),
                reason: Reason::Duplicate { first: first_path.to_path_buf() },
            });
        }
    }
    (unique.into_iter().map(|(id, (_, found))| (id, found)).collect(), problems)
}

/// Feeds the Namespaces that are written and those that an object lives in, each with the label that the API server
/// gives it.
fn feed_namespaces(objects: &mut Objects, unique: &BTreeMap<(Resource, &ObjectKey), &Found>) {
    const NAME_LABEL: &str = "kubernetes.io/metadata.name";
    for found in unique.values() {
        let mut namespace = match &found.what {
            What::Namespace(namespace) => namespace.clone(),
            // Namespaces come first in `unique`: one that is written is already fed.
            _ if objects.contains_key(&(Kind::Namespaces, ObjectKey::new("", &found.key.namespace))) => {
                continue;
            }
            _ => NamespaceObject {
                name: found.key.namespace.clone(),
                revision: Revision::default(),
                labels: Vec::new(),
            },
        };
        if !namespace.labels.iter().any(|(key, _)| &**key == NAME_LABEL) {
            namespace.labels.push((NAME_LABEL.into(), namespace.name.clone()));
            namespace.labels.sort_unstable();
        }
        feed(objects, Object::Namespace(namespace));
    }
}

/// A slice of ours for `service`; `origin` holds a `/`, which no name of a real slice does.
fn slice(
    service: &FoundService,
    origin: &str,
    at: usize,
    endpoints: Vec<Endpoint>,
    ports: Vec<SlicePort>,
) -> SliceObject {
    let ObjectKey { namespace, name } = &service.object.key;
    SliceObject {
        key: ObjectKey::new(namespace, &format!("{name}/{origin}/{at}")),
        revision: Revision::default(),
        service: name.clone(),
        import: None,
        endpoints,
        ports,
        triggered: None,
    }
}

/// The slices of a Service from the v1 Endpoints of its name: one per subset.
fn from_endpoints(service: &FoundService, subsets: &[Subset]) -> Vec<SliceObject> {
    let subsets = subsets.iter().enumerate();
    subsets
        .filter_map(|(at, subset)| {
            let unready = subset.unready.iter().filter(|_| service.publish_not_ready);
            let endpoints: Vec<_> = subset.ready.iter().chain(unready).cloned().collect();
            (!endpoints.is_empty()).then(|| slice(service, "endpoints", at, endpoints, subset.ports.clone()))
        })
        .collect()
}

/// The slices of a Service from the Pods that its selector selects: one per list of ports that its names lead to.
///
/// Source: Kubernetes `endpointslice.Reconciler`, which groups by port map too.
fn from_pods(service: &FoundService, pods: &PodsByLabel<'_>) -> Vec<SliceObject> {
    let Some((key, value)) = service.selector.first() else { return Vec::new() };
    let candidates = pods.get(&(&*service.object.key.namespace, &**key, &**value));
    let mut groups: BTreeMap<Vec<Option<u16>>, Vec<Endpoint>> = BTreeMap::new();
    for pod in candidates.into_iter().flatten() {
        let selected = service.selector.iter().all(|wanted| pod.object.labels.contains(wanted));
        if !selected || !(pod.ready || service.publish_not_ready) {
            continue;
        }
        if let Some(endpoint) = endpoint(service, pod) {
            groups.entry(target_ports(service, pod)).or_default().push(endpoint);
        }
    }
    let groups = groups.into_iter().enumerate();
    groups
        .map(|(at, (numbers, endpoints))| {
            let ports = service.object.ports.iter().zip(numbers);
            let ports = ports.filter_map(|(port, number)| {
                Some(SlicePort { name: port.name.clone(), protocol: port.protocol, port: Some(number?) })
            });
            slice(service, "pods", at, endpoints, ports.collect())
        })
        .collect()
}

/// A Pod as an endpoint of a Service; `None` without an address of its families.
fn endpoint(service: &FoundService, pod: &FoundPod) -> Option<Endpoint> {
    let wanted =
        |addr: &&std::net::IpAddr| if addr.is_ipv4() { service.families.0 } else { service.families.1 };
    let addrs = pod.object.addresses.iter().filter(wanted);
    let addresses: Vec<_> = addrs.map(|addr| EndpointAddress { ip: *addr, spelled: None }).collect();
    // A pod's own name is a name below the Service that its `subdomain` names, and below no other.
    let named = pod.object.subdomain == service.object.key.name;
    (!addresses.is_empty()).then(|| Endpoint {
        addresses,
        hostname: if named { pod.object.hostname.clone() } else { Box::default() },
        target: pod.object.key.name.clone(),
        zone: Box::default(),
    })
}

/// The number that each port of a Service has on a Pod; `None` where the Pod has no port of that name.
fn target_ports(service: &FoundService, pod: &FoundPod) -> Vec<Option<u16>> {
    let ports = service.object.ports.iter().zip(&service.targets);
    ports
        .map(|(port, target)| match target {
            Target::Number(number) => Some(*number),
            Target::Named(name) => {
                let mut named = pod.ports.iter();
                let found = named.find(|(its, protocol, _)| its == name && *protocol == port.protocol);
                found.map(|(_, _, number)| *number)
            }
        })
        .collect()
}
