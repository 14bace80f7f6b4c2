//! What is held of each kind, for audits (rule K-271): by a hash of the name, with a hash of UID and version.

use std::collections::HashSet;

use super::Writer;
use crate::store::change::{Change, Kind, ObjectId, ObjectKey, Sink as _};
use crate::store::identity::{SliceId, Version};
use crate::store::imports::ImportBook;
use crate::store::{ImportSpec, Spec, namespace_run, push_label, service_key};

impl Writer {
    /// The version of an object as it is published; `None` where it is not held.
    pub(super) fn version_held(&self, kind: Kind, key: &ObjectKey) -> Option<Version> {
        match kind {
            Kind::Services => {
                let service = self.store.service(&service_key(&key.namespace, &key.name)?)?;
                (!matches!(service.spec(), Spec::Orphan)).then_some(service.version)
            }
            Kind::EndpointSlices => {
                let slice = SliceId::of(key);
                self.slice_held(slice).or_else(|| self.imports.held_slice(self.store.imports(), slice))
            }
            Kind::Namespaces => {
                let mut run = Vec::new();
                let namespace = push_label(&mut run, &key.name).then(|| self.store.namespace(&run));
                namespace.flatten().map(|namespace| namespace.version())
            }
            Kind::Pods => self.store.pods.known().of(key)?.get(key).map(|known| known.version),
            Kind::Imports => ImportBook::held(self.store.imports(), key),
            Kind::Hosts(kind) => self.claims.version(kind, key),
        }
    }

    /// The version of a slice of a Service of this cluster.
    fn slice_held(&self, slice: SliceId) -> Option<Version> {
        let service = self.store.reverse.at(*self.slices.get(&slice)?)?;
        let mut parts = service.endpoints().parts().iter();
        parts.find(|part| part.slice == slice).map(|part| part.version)
    }

    /// Calls `visit` for every object of a kind; one that is held in two ways may come twice.
    pub(super) fn visit_held(&self, kind: Kind, visit: &mut dyn FnMut(ObjectId)) {
        match kind {
            Kind::Services => self.store.services.each(|service| {
                if !matches!(service.spec(), Spec::Orphan) {
                    visit(run_id(service.key()));
                }
            }),
            Kind::EndpointSlices => {
                self.slices
                    .keys()
                    .copied()
                    .chain(self.imports.slices())
                    .for_each(|slice| visit(slice.into()));
            }
            Kind::Namespaces => {
                self.store.each_namespace(|namespace| visit(SliceId::named("", namespace.name()).into()));
            }
            Kind::Pods => self.store.pods.known().each(|key, _| visit(ObjectId::of(key))),
            Kind::Imports => self.store.imports().each(|import| {
                if *import.spec() != ImportSpec::Orphan {
                    visit(run_id(import.key()));
                }
            }),
            Kind::Hosts(kind) => self.claims.held(kind).for_each(|(key, _)| visit(ObjectId::of(key))),
        }
    }

    /// Drops objects of a kind. Cost: a walk over all of the kind.
    pub(super) fn remove_held(&mut self, kind: Kind, objects: &HashSet<ObjectId>) {
        let mut gone: Vec<ObjectKey> = Vec::new();
        match kind {
            Kind::EndpointSlices => {
                // Their names are not kept, and not needed.
                let known = self.slices.keys().copied().chain(self.imports.slices());
                let slices: HashSet<SliceId> =
                    known.filter(|slice| objects.contains(&ObjectId::from(*slice))).collect();
                for slice in slices {
                    self.imports.remove_slice(self.store.imports(), slice);
                    self.remove_slice(slice);
                }
            }
            Kind::Services => self.store.services.each(|service| {
                if objects.contains(&run_id(service.key())) {
                    gone.push(run_key(service.key()));
                }
            }),
            Kind::Imports => self.store.imports().each(|import| {
                if objects.contains(&run_id(import.key())) {
                    gone.push(run_key(import.key()));
                }
            }),
            Kind::Namespaces => self.store.each_namespace(|namespace| {
                if objects.contains(&SliceId::named("", namespace.name()).into()) {
                    gone.push(ObjectKey::new("", namespace.name()));
                }
            }),
            Kind::Pods => {
                self.store.pods.known().each(|key, _| {
                    if objects.contains(&ObjectId::of(key)) {
                        gone.push(key.clone());
                    }
                });
            }
            Kind::Hosts(kind) => {
                let known = self.claims.held(kind).map(|(key, _)| key);
                gone.extend(known.filter(|key| objects.contains(&ObjectId::of(key))).cloned());
            }
        }
        for key in gone {
            self.change(Change::Remove(kind, key));
        }
    }
}

/// The first label of a run, as text.
fn label(run: &[u8]) -> String {
    let length = run.first().copied().map_or(0, usize::from);
    String::from_utf8_lossy(run.get(1..=length).unwrap_or_default()).into_owned()
}

/// Namespace and name of what is found by `SVC.NS`: names of these kinds are lower case, so nothing was lost on the way.
fn run_key(run: &[u8]) -> ObjectKey {
    ObjectKey::new(&label(namespace_run(run)), &label(run))
}

/// The id of what is found by `SVC.NS`.
fn run_id(run: &[u8]) -> ObjectId {
    ObjectId::of(&run_key(run))
}
