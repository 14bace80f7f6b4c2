//! Changes: the facts as they are now, told to the API server and to the judge in one breath.

use std::sync::Arc;

use fastrand::Rng;
use parking_lot::Mutex;
use signpost::time::Clock;

use super::api::{Cluster, FakeApi, Versions};
use super::past::Past;
use super::universe::{ADDRESSES, ENDPOINTS, Endpoint, Fact, HOSTS, Key};

/// The state that was, for a restore.
pub(crate) struct Earlier {
    /// The facts.
    facts: Vec<Fact>,
    /// The API server's.
    cluster: Cluster,
}

/// The cluster's life.
pub(crate) struct Churn {
    /// The API server.
    pub(crate) api: Arc<FakeApi>,
    /// The judge.
    past: Arc<Mutex<Past>>,
    /// The time.
    clock: Clock,
    /// All keys, each at its place.
    keys: Vec<Key>,
    /// What is so now, by the place of the key.
    facts: Vec<Fact>,
    /// How many changes there were.
    pub(crate) changes: u64,
    /// Keeps some changes from the API server, to see that it is noticed.
    pub(crate) lies: bool,
}

impl Churn {
    /// Makes a cluster up and fills the API server with it.
    pub(crate) fn new(api: Arc<FakeApi>, clock: Clock, rng: &mut Rng) -> Self {
        let keys = Key::all();
        let facts: Vec<Fact> = keys
            .iter()
            .map(|&key| match key {
                // Most of what may exist does.
                Key::Namespace(_) => Fact::Namespace,
                _ if rng.u8(..10) == 0 => Fact::Gone,
                _ => made_up(key, rng),
            })
            .collect();
        let objects = keys.iter().zip(&facts).filter_map(|(&key, fact)| fact.object(key, 0));
        api.apply_all(objects);
        let past = Arc::new(Mutex::new(Past::new(&facts)));
        Self { api, past, clock, keys, facts, changes: 0, lies: false }
    }

    /// The judge.
    pub(crate) fn past(&self) -> Arc<Mutex<Past>> {
        self.past.clone()
    }

    /// Changes one object: it appears, changes, stays as it is under a new version, or goes.
    pub(crate) fn change(&mut self, rng: &mut Rng) {
        let at = match rng.u8(..100) {
            // Namespaces are few; they would be touched hardly ever.
            0 => rng.usize(..super::universe::NAMESPACES),
            _ => rng.usize(..self.keys.len()),
        };
        let key = self.keys[at];
        let was = &self.facts[at];
        let fact = match (key, was, rng.u8(..10)) {
            (Key::Namespace(_), Fact::Namespace, 0..=5) => Fact::Gone,
            (Key::Namespace(_), ..) => Fact::Namespace,
            (_, Fact::Gone, _) => made_up(key, rng),
            (_, _, 0..=2) => Fact::Gone,
            (_, _, 3) => was.clone(),
            _ => made_up(key, rng),
        };
        self.become_so(at, fact);
    }

    /// Brings all namespaces back that are gone: without them little else can be seen.
    pub(crate) fn bring_namespaces_back(&mut self) {
        for at in 0..super::universe::NAMESPACES {
            if self.facts[at] == Fact::Gone {
                self.become_so(at, Fact::Namespace);
            }
        }
    }

    /// Makes a fact true.
    fn become_so(&mut self, at: usize, fact: Fact) {
        let key = self.keys[at];
        if fact == Fact::Gone && self.facts[at] == Fact::Gone {
            return;
        }
        self.changes += 1;
        let object = fact.object(key, self.changes);
        let mut past = self.past.lock();
        let before = self.clock.now();
        match object {
            Some(_) if self.lies && self.changes.is_multiple_of(25) => {}
            Some(object) => self.api.apply(object),
            None => {
                let (resource, ns, name) = key.object();
                self.api.edit(|cluster| cluster.delete(resource, &ns, &name));
            }
        }
        past.change(key, fact.clone(), before, self.clock.now());
        self.facts[at] = fact;
    }

    /// Remembers the state for a restore.
    pub(crate) fn remember(&self) -> Earlier {
        Earlier { facts: self.facts.clone(), cluster: self.api.cluster() }
    }

    /// Goes back, as after a restore of etcd.
    pub(crate) fn restore(&mut self, earlier: Earlier, versions: Versions) {
        let mut past = self.past.lock();
        let before = self.clock.now();
        self.api.restore(earlier.cluster, versions);
        let after = self.clock.now();
        for (at, fact) in earlier.facts.into_iter().enumerate() {
            if self.facts[at] != fact {
                past.change(self.keys[at], fact.clone(), before, after);
                self.facts[at] = fact;
            }
        }
        self.changes += 1;
    }
}

/// A fact that a key may have, other than none.
fn made_up(key: Key, rng: &mut Rng) -> Fact {
    match key {
        Key::Namespace(_) => Fact::Namespace,
        Key::Service(..) => match rng.u8(..20) {
            0..=12 => Fact::Cluster(rng.usize(..ADDRESSES)),
            13..=18 => Fact::Headless,
            _ => Fact::External,
        },
        Key::Slice(..) => {
            let mut endpoints = Vec::new();
            for at in 0..ENDPOINTS {
                if rng.u8(..3) > 0 {
                    let host = (rng.u8(..3) == 0).then(|| rng.usize(..HOSTS));
                    endpoints.push(Endpoint { at, host, ready: rng.u8(..5) > 0 });
                }
            }
            Fact::Slice(endpoints)
        }
        Key::Pod(..) => Fact::Pod(rng.u8(..5) > 0),
    }
}
