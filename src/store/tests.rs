//! Tests of the store: against a naive model under random changes, and the single promises one by one.

mod hosts;
mod model;
mod promises;
mod random;
mod snapshot;

use std::net::IpAddr;
use std::sync::Arc;

use super::change::{
    Change, Endpoint, EndpointAddress, Kind, NamespaceObject, Object, ObjectKey, PodObject, Protocol,
    Revision, ServiceObject, ServicePort, ServiceSpec, Sink, SliceObject, SlicePort,
};
use super::identity::SliceId;
use super::{Naming, Service, Spec, Store, Wanted, Writer};
use crate::time::{Clock, Wall};

/// Everything is wanted.
const ALL: Wanted = Wanted {
    endpoints: true,
    pods: true,
    pod_names: true,
    clients: false,
    zones: false,
    imports: false,
    external: false,
    ingress: false,
    gateway: false,
};

/// All kinds.
const KINDS: [Kind; 4] = [Kind::Services, Kind::EndpointSlices, Kind::Namespaces, Kind::Pods];

/// When the tests' clock starts. Unit: seconds since 1970.
const START: u64 = 1_700_000_000;

/// An empty store with a clock that a test moves.
fn store(wanted: Wanted) -> (Arc<Store>, Writer, Clock) {
    let clock = Clock::manual(Wall(START));
    let (store, writer) = Store::new(wanted, clock.clone());
    (store, writer, clock)
}

/// The wire form of labels, without a final zero.
fn run(labels: &[&str]) -> Vec<u8> {
    labels
        .iter()
        .flat_map(|label| {
            std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes().collect::<Vec<_>>())
        })
        .collect()
}

/// An address.
fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A version of an object.
fn revision(version: &str) -> Revision {
    Revision { uid: "uid".into(), version: version.into() }
}

/// A Service with one port.
fn service(namespace: &str, name: &str, version: &str, spec: ServiceSpec) -> ServiceObject {
    ServiceObject {
        key: ObjectKey::new(namespace, name),
        revision: revision(version),
        spec,
        ports: vec![ServicePort { name: "http".into(), protocol: Protocol::Tcp, port: 80 }],
        external: Vec::new(),
    }
}

/// A ClusterIP Service.
fn cluster(namespace: &str, name: &str, version: &str, address: &str) -> Change {
    Change::Upsert(Object::Service(service(
        namespace,
        name,
        version,
        ServiceSpec::Cluster(vec![ip(address)]),
    )))
}

/// A headless Service.
fn headless(namespace: &str, name: &str, version: &str) -> Change {
    Change::Upsert(Object::Service(service(namespace, name, version, ServiceSpec::Headless)))
}

/// A slice with one port and an endpoint for each address.
fn slice(namespace: &str, name: &str, version: &str, of: &str, addresses: &[&str]) -> SliceObject {
    SliceObject {
        import: None,
        key: ObjectKey::new(namespace, name),
        revision: revision(version),
        service: of.into(),
        endpoints: addresses
            .iter()
            .map(|address| Endpoint {
                addresses: vec![EndpointAddress { ip: ip(address), spelled: None }],
                hostname: "".into(),
                target: "".into(),
                zone: "".into(),
            })
            .collect(),
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: Some(8080) }],
        triggered: None,
    }
}

/// A slice, as a change.
fn put_slice(namespace: &str, name: &str, version: &str, of: &str, addresses: &[&str]) -> Change {
    Change::Upsert(Object::Slice(slice(namespace, name, version, of, addresses)))
}

/// A Namespace.
fn namespace(name: &str, version: &str) -> Change {
    Change::Upsert(Object::Namespace(NamespaceObject {
        name: name.into(),
        revision: revision(version),
        labels: Vec::new(),
    }))
}

/// A pod.
fn pod(namespace: &str, name: &str, version: &str, addresses: &[&str]) -> Change {
    Change::Upsert(Object::Pod(PodObject {
        key: ObjectKey::new(namespace, name),
        revision: revision(version),
        addresses: addresses.iter().map(|address| ip(address)).collect(),
        hostname: "".into(),
        subdomain: "".into(),
        labels: Vec::new(),
    }))
}

/// Feeds changes and publishes them.
fn feed(writer: &mut Writer, changes: impl IntoIterator<Item = Change>) {
    changes.into_iter().for_each(|change| writer.change(change));
    writer.settle();
}

/// The Services that an address belongs to as a cluster address.
fn cluster_keys(store: &Store, address: IpAddr) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    store.reverse().cluster(address, |service| {
        keys.push(service.key().to_vec());
        false
    });
    keys.sort();
    keys
}

/// The Services that an address belongs to as an endpoint.
fn endpoint_keys(store: &Store, address: IpAddr) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> =
        store.reverse().endpoint(address).map(|service| service.key().to_vec()).collect();
    keys.sort();
    keys
}
