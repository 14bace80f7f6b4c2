//! What each object was since all was known to be right: whatever is answered must be made of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::{Cluster, Resource};
use crate::harness::{Ask, expand};
use crate::truth::{Asked, Truth};

/// The stanza's TTL.
pub(crate) const TTL: u32 = 30;

/// An object's place.
type Key = (Resource, String, String);

/// An object, or that it is not there.
type Version = Option<Arc<Value>>;

/// All that an object was.
#[derive(Default)]
struct Past {
    /// What it was, each once, whatever its resource version; the latest first.
    versions: Vec<Version>,
    /// What it is.
    now: Version,
}

impl Past {
    /// It is this now.
    fn turn(&mut self, now: Version) {
        if self.now == now && !self.versions.is_empty() {
            return;
        }
        // The latest first: that is what is answered mostly.
        self.versions.retain(|version| *version != now);
        self.versions.insert(0, now.clone());
        self.now = now;
    }
}

/// The objects of the API server, each with all that it was.
#[derive(Default)]
pub(crate) struct History {
    /// By place.
    objects: BTreeMap<Key, Past>,
}

impl History {
    /// Takes in what the API server has now.
    pub(crate) fn note(&mut self, cluster: &Cluster) {
        let mut there = BTreeSet::new();
        for resource in Resource::USUAL {
            for object in cluster.all(resource) {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
                let key = (resource, text("namespace"), text("name"));
                let mut bare = Value::clone(&object);
                bare["metadata"]["resourceVersion"] = Value::Null;
                bare["metadata"]["uid"] = Value::Null;
                let absent = || Past { versions: vec![None], now: None };
                self.objects.entry(key.clone()).or_insert_with(absent).turn(Some(Arc::new(bare)));
                there.insert(key);
            }
        }
        for (_, past) in self.objects.iter_mut().filter(|(key, _)| !there.contains(*key)) {
            past.turn(None);
        }
    }

    /// All is known to be right: what was before counts no more. Of what is in a namespace that is not there nothing is known, since it
    /// has no names: we may have it as it was, also in a snapshot, until that namespace comes back.
    pub(crate) fn settle(&mut self) {
        let spaces = self.objects.iter().filter(|((resource, ..), _)| *resource == Resource::Namespaces);
        let there: BTreeSet<String> =
            spaces.filter(|(_, past)| past.now.is_some()).map(|((_, _, name), _)| name.clone()).collect();
        self.objects.retain(|(resource, ns, _), past| {
            let hidden = *resource != Resource::Namespaces && !there.contains(ns);
            if !hidden {
                past.versions = vec![past.now.clone()];
            }
            hidden || past.now.is_some()
        });
    }

    /// What an object was; never there, where nothing is known of it.
    fn of(&self, resource: Resource, ns: &str, name: &str) -> &[Version] {
        let key = (resource, ns.to_owned(), name.to_owned());
        self.objects.get(&key).map_or(&[None], |past| past.versions.as_slice())
    }

    /// Whether a reply, as text, can be made of what the objects were, with this TTL; `room` is how many bytes more it could
    /// have had, where that is bounded.
    pub(crate) fn allows(&self, ask: &Ask, name: &Asked, reply: &str, ttl: u32, room: Option<usize>) -> bool {
        let expected =
            |objects: &[(Resource, Arc<Value>)]| expand(&Truth::of(objects).answer(name), ask, ttl);
        match name {
            Asked::Pod(ns, _) => return self.allows_pod(ns, reply, expected),
            Asked::Address(address) => return self.allows_address(address, ask, reply, ttl),
            _ => {}
        }
        self.any(name, |objects| {
            let whole = expected(objects);
            whole == reply || room.is_some_and(|room| is_full(&whole, reply, room))
        })
    }

    /// What could be answered for a name, in the words of the truth; of a pod or an address nothing is said.
    pub(crate) fn answers(&self, name: &Asked) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        self.any(name, |objects| {
            all.insert(Truth::of(objects).answer(name));
            false
        });
        all
    }

    /// Whether something holds for the objects that a name is made of, at any of their versions.
    fn any(&self, name: &Asked, mut holds: impl FnMut(&[(Resource, Arc<Value>)]) -> bool) -> bool {
        let space = |ns: &str| (Resource::Namespaces, self.of(Resource::Namespaces, "", ns));
        let involved = match name {
            Asked::Namespace(ns) => vec![space(ns)],
            Asked::Service(ns, name, _) | Asked::Port(ns, name) | Asked::Endpoint(ns, name, _) => {
                let slice = |number: u8| self.of(Resource::EndpointSlices, ns, &format!("{name}-{number}"));
                vec![
                    space(ns),
                    (Resource::Services, self.of(Resource::Services, ns, name)),
                    (Resource::EndpointSlices, slice(0)),
                    (Resource::EndpointSlices, slice(1)),
                ]
            }
            Asked::Pod(..) | Asked::Address(_) => return false,
        };
        // Every object may be at any of its versions: they come over watches of their own, and in lists one by one.
        let mut chosen = vec![0; involved.len()];
        loop {
            let objects: Vec<(Resource, Arc<Value>)> = involved
                .iter()
                .zip(&chosen)
                .filter_map(|((resource, versions), at)| Some((*resource, versions[*at].clone()?)))
                .collect();
            if holds(&objects) {
                return true;
            }
            let mut place = 0;
            loop {
                let Some((_, versions)) = involved.get(place) else { return false };
                chosen[place] += 1;
                if chosen[place] < versions.len() {
                    break;
                }
                chosen[place] = 0;
                place += 1;
            }
        }
    }

    /// A pod's name: there may be one where some pod had the address, and none where each of them was without it.
    fn allows_pod(
        &self,
        ns: &str,
        reply: &str,
        expected: impl Fn(&[(Resource, Arc<Value>)]) -> String,
    ) -> bool {
        let namespaces = self.of(Resource::Namespaces, "", ns);
        let none = expected(&[]);
        let pods: Vec<&Vec<Version>> = self
            .objects
            .iter()
            .filter(|(key, _)| key.0 == Resource::Pods && key.1 == ns)
            .map(|(_, past)| &past.versions)
            .collect();
        let said = |space: &Arc<Value>, pod: &Version| {
            let pod = pod.iter().map(|pod| (Resource::Pods, pod.clone()));
            expected(&[(Resource::Namespaces, space.clone())].into_iter().chain(pod).collect::<Vec<_>>())
        };
        if reply == none {
            let without = |space: &Arc<Value>| {
                pods.iter().all(|versions| versions.iter().any(|pod| said(space, pod) == none))
            };
            return namespaces.iter().any(|space| space.as_ref().is_none_or(without));
        }
        namespaces
            .iter()
            .flatten()
            .any(|space| pods.iter().any(|versions| versions.iter().any(|pod| said(space, pod) == reply)))
    }

    /// An address: every name that is said must have been one's, and every name that was one's all along must be said.
    fn allows_address(&self, address: &str, ask: &Ask, reply: &str, ttl: u32) -> bool {
        let names = |objects: &[(Resource, Arc<Value>)]| -> BTreeSet<String> {
            let short = Truth::of(objects).answer(&Asked::Address(address.to_owned()));
            match short.as_str() {
                "NX" => BTreeSet::new(),
                short => short.split("; ").map(str::to_owned).collect(),
            }
        };
        let (mut may, mut must) = (BTreeSet::new(), BTreeSet::new());
        for ((resource, ns, _), Past { versions, .. }) in &self.objects {
            if !matches!(resource, Resource::Services | Resource::EndpointSlices) {
                continue;
            }
            let mut each = Vec::new();
            for space in self.of(Resource::Namespaces, "", ns) {
                for version in versions {
                    let objects: Vec<_> = space
                        .iter()
                        .map(|space| (Resource::Namespaces, space.clone()))
                        .chain(version.iter().map(|version| (*resource, version.clone())))
                        .collect();
                    each.push(names(&objects));
                }
            }
            may.extend(each.iter().flatten().cloned());
            let always =
                each.iter().skip(1).fold(each.first().cloned().unwrap_or_default(), |all, one| &all & one);
            must.extend(always);
        }
        if reply == expand("NX", ask, ttl) {
            return must.is_empty();
        }
        // Of the names that may be said, those that are.
        let said: BTreeSet<String> = may
            .iter()
            .filter(|name| expand(name, ask, ttl).lines().skip(1).all(|line| reply.contains(line)))
            .cloned()
            .collect();
        let short: Vec<String> = said.iter().cloned().collect();
        must.is_subset(&said) && !said.is_empty() && reply == expand(&short.join("; "), ask, ttl)
    }
}

/// Whether a reply lacks nothing of the whole but addresses beside the answer for which it has no room (K-012).
pub(crate) fn is_full(whole: &str, reply: &str, room: usize) -> bool {
    let mut said: Vec<&str> = reply.lines().collect();
    let missing: Vec<&str> = whole
        .lines()
        .filter(|line| match said.iter().position(|said| said == line) {
            Some(place) => {
                said.remove(place);
                false
            }
            None => true,
        })
        .collect();
    // An owner that was named before is two bytes; type, class, TTL and length are ten.
    let size = |line: &str| if line.contains(" AAAA ") { 12 + 16 } else { 12 + 4 };
    said.is_empty() && missing.iter().all(|line| line.starts_with("additional ") && size(line) > room)
}
