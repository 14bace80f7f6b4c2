//! The state of the fake cluster: objects, the counter of versions, and the history that watches resume from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::selector::Selectors;

/// What can be listed and watched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// v1 Services.
    Services,
    /// discovery.k8s.io/v1 EndpointSlices.
    EndpointSlices,
    /// v1 Namespaces.
    Namespaces,
    /// v1 Pods.
    Pods,
    /// multicluster.x-k8s.io/v1alpha1 ServiceImports.
    ServiceImports,
    /// networking.k8s.io/v1 Ingresses.
    Ingresses,
    /// gateway.networking.k8s.io/v1 Gateways.
    Gateways,
    /// gateway.networking.k8s.io/v1 HTTPRoutes.
    HttpRoutes,
    /// gateway.networking.k8s.io/v1 GRPCRoutes.
    GrpcRoutes,
    /// gateway.networking.k8s.io/v1alpha2 TLSRoutes: this API server does not know a later version of them.
    TlsRoutes,
}

impl Resource {
    /// Those that are read without special options.
    pub const USUAL: [Self; 4] = [Self::Services, Self::EndpointSlices, Self::Namespaces, Self::Pods];

    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Services,
        Self::EndpointSlices,
        Self::Namespaces,
        Self::Pods,
        Self::ServiceImports,
        Self::Ingresses,
        Self::Gateways,
        Self::HttpRoutes,
        Self::GrpcRoutes,
        Self::TlsRoutes,
    ];

    /// The path of all objects, in all namespaces.
    pub fn path(self) -> &'static str {
        match self {
            Self::Services => "/api/v1/services",
            Self::EndpointSlices => "/apis/discovery.k8s.io/v1/endpointslices",
            Self::Namespaces => "/api/v1/namespaces",
            Self::Pods => "/api/v1/pods",
            Self::ServiceImports => "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports",
            Self::Ingresses => "/apis/networking.k8s.io/v1/ingresses",
            Self::Gateways => "/apis/gateway.networking.k8s.io/v1/gateways",
            Self::HttpRoutes => "/apis/gateway.networking.k8s.io/v1/httproutes",
            Self::GrpcRoutes => "/apis/gateway.networking.k8s.io/v1/grpcroutes",
            Self::TlsRoutes => "/apis/gateway.networking.k8s.io/v1alpha2/tlsroutes",
        }
    }

    /// The name as RBAC writes it.
    pub fn plural(self) -> &'static str {
        self.path().rsplit('/').next().unwrap()
    }

    /// `kind` of one object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Services => "Service",
            Self::EndpointSlices => "EndpointSlice",
            Self::Namespaces => "Namespace",
            Self::Pods => "Pod",
            Self::ServiceImports => "ServiceImport",
            Self::Ingresses => "Ingress",
            Self::Gateways => "Gateway",
            Self::HttpRoutes => "HTTPRoute",
            Self::GrpcRoutes => "GRPCRoute",
            Self::TlsRoutes => "TLSRoute",
        }
    }

    /// `apiVersion`.
    pub fn api_version(self) -> &'static str {
        let path = self.path().strip_prefix("/apis/").and_then(|path| path.rsplit_once('/'));
        path.map_or("v1", |(version, _)| version)
    }

    /// The resource of an object's `kind`.
    fn of(object: &Value) -> Self {
        let kind = object["kind"].as_str().unwrap_or_default();
        *Self::ALL.iter().find(|one| one.kind() == kind).unwrap_or_else(|| panic!("kind {kind:?}"))
    }
}

/// What a restore of etcd makes of versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// They go on far ahead, and what was before is compacted: as it is meant to be done.
    Bumped,
    /// They count from the past again; a watch from a later one is too old.
    BackFutureGone,
    /// They count from the past again; a watch from a later one hears nothing until they get there, but for bookmarks.
    BackFutureSilent,
}

/// Where an object lives: resource, namespace, name.
type Key = (Resource, String, String);

/// One thing that watches are told.
#[derive(Clone, Debug)]
pub enum Event {
    /// An object changed.
    Change {
        /// The version that this change made.
        version: u64,
        /// Its kind.
        resource: Resource,
        /// How it was, if it was.
        old: Option<Arc<Value>>,
        /// How it is, if it is.
        new: Option<Arc<Value>>,
    },
    /// A line as it stands, told only to watches that are open when it is said.
    Raw {
        /// Whom it is told to.
        resource: Resource,
        /// The line without its end.
        line: Vec<u8>,
        /// Whether the watch ends after it.
        ends: bool,
    },
}

/// The cluster.
#[derive(Clone, Default, Debug)]
pub struct Cluster {
    /// All objects.
    objects: BTreeMap<Key, Arc<Value>>,
    /// The version of the last change.
    pub version: u64,
    /// What was told, oldest first.
    history: Vec<Event>,
    /// How many events were forgotten from the front of `history`.
    forgotten: usize,
    /// Watches from versions below this one are too old.
    oldest: u64,
    /// Watches from versions that were never given out are too old as well, not silent.
    future_is_gone: bool,
    /// The last UID.
    uid: u64,
    /// How often it went back to an earlier state.
    pub restores: u64,
}

impl Cluster {
    /// The objects of one resource that are selected, sorted by namespace and name.
    pub fn list(&self, resource: Resource, selectors: &Selectors) -> Vec<Arc<Value>> {
        self.objects
            .iter()
            .filter(|(key, object)| key.0 == resource && selectors.matches(object))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// All objects of one resource.
    pub fn all(&self, resource: Resource) -> Vec<Arc<Value>> {
        self.list(resource, &Selectors::default())
    }

    /// Creates or replaces an object; gives it a version, and a UID where it has none.
    pub fn apply(&mut self, mut object: Value) -> u64 {
        let resource = Resource::of(&object);
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (resource, text("namespace"), text("name"));
        let old = self.objects.get(&key).cloned();
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = match &old {
                Some(old) => old["metadata"]["uid"].clone(),
                None => {
                    self.uid += 1;
                    json!(format!("00000000-0000-4000-8000-{:012}", self.uid))
                }
            };
        }
        let new = Arc::new(object);
        self.objects.insert(key, new.clone());
        self.tell(Event::Change { version: self.version, resource, old, new: Some(new) });
        self.version
    }

    /// Puts an object in as it stands, however broken, under a key that only orders it.
    pub fn plant(&mut self, resource: Resource, ns: &str, name: &str, object: Value) -> u64 {
        self.version += 1;
        let new = Arc::new(object);
        let old = self.objects.insert((resource, ns.to_owned(), name.to_owned()), new.clone());
        self.tell(Event::Change { version: self.version, resource, old, new: Some(new) });
        self.version
    }

    /// Deletes an object; false where there is none.
    pub fn delete(&mut self, resource: Resource, ns: &str, name: &str) -> bool {
        let Some(old) = self.objects.remove(&(resource, ns.to_owned(), name.to_owned())) else {
            return false;
        };
        self.version += 1;
        self.tell(Event::Change { version: self.version, resource, old: Some(old), new: None });
        true
    }

    /// Does something of which no watch is ever told: versions move, events are lost.
    pub fn swallow<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let told = self.history.len();
        let done = change(self);
        self.history.truncate(told);
        done
    }

    /// Tells all open watches something.
    pub fn tell(&mut self, event: Event) {
        self.history.push(event);
    }

    /// Makes watches from older versions too old; those that are open go on.
    pub fn compact(&mut self) {
        self.oldest = self.version;
    }

    /// Forgets all but the latest events; an open watch must not be that far behind.
    pub fn trim(&mut self, keep: usize) {
        let gone: Vec<Event> = self.history.drain(..self.history.len().saturating_sub(keep)).collect();
        self.forgotten += gone.len();
        let version = |event: &Event| match event {
            Event::Change { version, .. } => Some(*version),
            Event::Raw { .. } => None,
        };
        self.oldest = gone.iter().rev().find_map(version).unwrap_or(0).max(self.oldest);
    }

    /// Goes back to `earlier`, as after a restore of etcd.
    pub fn restore(&mut self, earlier: Self, versions: Versions) {
        let latest = self.version;
        // Positions of open watches stay in front of what comes: those watches are cut anyway.
        let forgotten = self.end();
        let restores = self.restores + 1;
        *self = earlier;
        self.restores = restores;
        self.history.clear();
        self.forgotten = forgotten;
        self.oldest = self.version;
        match versions {
            Versions::Bumped => {
                self.version = latest.max(self.version) + 1_000_000;
                self.oldest = self.version;
            }
            Versions::BackFutureGone => self.future_is_gone = true,
            Versions::BackFutureSilent => self.future_is_gone = false,
        }
    }

    /// Whether a watch cannot start from `version`.
    pub fn too_old(&self, version: u64) -> bool {
        version < self.oldest || (self.future_is_gone && version > self.version)
    }

    /// The position behind the last event.
    pub fn end(&self) -> usize {
        self.forgotten + self.history.len()
    }

    /// The position of the first event after `version`.
    pub fn position(&self, version: u64) -> usize {
        let after = |event: &Event| matches!(event, Event::Change { version: one, .. } if *one > version);
        self.forgotten + self.history.iter().position(after).unwrap_or(self.history.len())
    }

    /// The events from a position on, each only if it is about `resource`; the position behind them is [`Self::end`].
    pub fn since(&self, position: usize, resource: Resource) -> Vec<Event> {
        let about = |event: &&Event| match event {
            Event::Change { resource: one, .. } | Event::Raw { resource: one, .. } => *one == resource,
        };
        let from = position.saturating_sub(self.forgotten);
        self.history.get(from..).unwrap_or_default().iter().filter(about).cloned().collect()
    }
}
