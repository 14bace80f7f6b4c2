//! A snapshot is taken in, and thrown out again where it turns out to be another cluster's (rules K-273, K-274).

use std::collections::hash_map;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Pending, Writer};
use crate::metrics::SnapshotRefusal;
use crate::store::change::NamespaceObject;
use crate::store::pod::{KnownPod, PodEntry};
use crate::store::snapshot::{Decoded, Lists, Record, SnapshotFault};
use crate::store::{ClientPod, ServiceKey, Sink as _, identity, namespace_run, push_label};

/// The Namespace that every cluster has from its first day to its last, and by whose UID it is known.
const CLUSTER: &str = "kube-system";

/// A snapshot that is held, and not confirmed yet.
pub(super) struct Restored {
    /// The file, for the log and for what is counted.
    file: Box<str>,
    /// UID of its Namespace `kube-system`; empty where it had none.
    cluster: Box<str>,
}

impl Writer {
    /// Takes a snapshot in; the store has to be empty, and is as complete as the snapshot is behind it. `file` names it.
    ///
    /// Errors: none for what `decode` gave; then what was read until there is held, and counts for nothing.
    pub fn restore(&mut self, snapshot: &Decoded<'_>, file: &str) -> Result<(), SnapshotFault> {
        let about = &snapshot.about;
        identity::adopt(about.key);
        // Lists that Services have in common stay in common with those that come later.
        let (ports, part_ports) = (std::mem::take(&mut self.ports), std::mem::take(&mut self.part_ports));
        let mut lists = Lists { ports, part_ports };
        let read = snapshot.each(&mut lists, |record| self.restore_record(record));
        (self.ports, self.part_ports) = (lists.ports, lists.part_ports);
        self.store.set_cluster(&about.cluster);
        self.restored = Some(Restored { file: file.into(), cluster: about.cluster.as_str().into() });
        self.settle();
        read?;
        let [serial, imports, externals] = about.serials;
        self.store.serial.store(serial, Ordering::Relaxed);
        self.store.imports().moved(imports);
        self.store.externals().moved(externals);
        self.store.presume(about.listed);
        // Behind what it is about: a list that ends says that its kind is the API server's.
        self.store.freshness().set_snapshot(true);
        Ok(())
    }

    /// Takes one record in. What is there already stays: an object can't be there twice.
    fn restore_record(&mut self, record: Record) {
        match record {
            Record::Service { key, definition, changed, mut parts } => {
                if self.store.service(&key).is_some() {
                    return;
                }
                // A slice that moved while the snapshot was written stands in one place only.
                parts.retain(|part| !self.slices.contains_key(&part.slice));
                let key: ServiceKey = key.into();
                let slot = self.store.reverse.reserve();
                self.slices.extend(parts.iter().map(|part| (part.slice, slot)));
                let pending = Pending { key, definition, parts, mark: 0, triggered: Vec::new() };
                self.publish_as_of(slot, pending, changed);
            }
            Record::Namespace { name, version, labels } => {
                let mut run = Vec::new();
                if push_label(&mut run, &name) {
                    self.store.named_namespace(&run).set(version, labels);
                }
            }
            Record::Pod { key, version, addresses, hostname, client } => {
                let mut namespace = Vec::new();
                if !push_label(&mut namespace, &key.namespace) {
                    return;
                }
                let client = client.map(|client| Arc::new(ClientPod::restored(&key, client.labels)));
                let entry = PodEntry { namespace: namespace.into(), addresses, hostname, client };
                let Some(mut known) = self.store.pods.known().of(&key) else { return };
                if let hash_map::Entry::Vacant(place) = known.entry(key) {
                    self.store.pods.add(&entry);
                    place.insert(KnownPod { entry, mark: 0, version });
                }
            }
            Record::Import { key, spec, ports, version, parts } => {
                self.imports.restore(key.into(), (spec, ports, version), parts);
            }
            Record::External { key, external } => {
                let namespace = self.store.named_namespace(namespace_run(&key));
                self.store.externals().publish(&key.into(), namespace, Some(external));
            }
            Record::Hosts(object) => self.claims.upsert(object, 0),
        }
    }

    /// The API server told of a Namespace: is it that by which the cluster is known?
    pub(super) fn recognize(&mut self, namespace: &NamespaceObject) {
        if &*namespace.name != CLUSTER || namespace.revision.uid.is_empty() {
            return;
        }
        self.store.set_cluster(&namespace.revision.uid);
        match &self.restored {
            Some(restored) if !restored.cluster.is_empty() && restored.cluster != namespace.revision.uid => {
                self.renounce();
            }
            // From here on it is what we held before, like after any relist.
            Some(_) => self.restored = None,
            None => {}
        }
    }

    /// The API server's list of Namespaces is complete: it named the one by which the cluster is known, or never will.
    pub(super) fn namespaces_listed(&mut self) {
        if self.restored.as_ref().is_some_and(|restored| !restored.cluster.is_empty()) {
            self.store.set_cluster("");
            self.renounce();
        }
    }

    /// The snapshot is another cluster's: what came from it goes at once, and is not known any more.
    fn renounce(&mut self) {
        let Some(restored) = self.restored.take() else { return };
        tracing::error!(
            target: "plugin/kubernetes",
            "the snapshot {} is of another cluster (UID of {CLUSTER}: {:?} there, {:?} here): what came from it is \
             dropped, and names wait for the first lists",
            restored.file, restored.cluster, self.store.cluster()
        );
        self.counts.snapshot_refused(&restored.file, SnapshotRefusal::Foreign);
        self.store.retract();
        self.store.freshness().set_snapshot(false);
        for kind in self.store.wanted.kinds() {
            if !self.store.reconciled(kind) {
                self.sweep(kind);
            }
        }
        self.moved = true;
    }
}
