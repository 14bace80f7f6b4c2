//! The writer's part for host names: from objects to claims, and what becomes of two owners of one host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::change::{ExternalAddress, HostKind, HostsObject, ListedHost, ObjectKey};
use super::hosts::{Claim, HostName, Owner};
use super::identity::Version;
use super::{Addresses, Store, push_label};
use crate::metrics::ClusterCounts;

/// Which object it is.
type Id = (HostKind, ObjectKey);

/// An object that claims hosts, as it was last told.
struct Listed {
    /// The object.
    object: Arc<HostsObject>,
    /// The list in which it was last seen.
    mark: u32,
    /// The keys of the hosts that it claims as published.
    claimed: Vec<Box<[u8]>>,
}

/// What claims hosts, and what of it changed since the last publication.
#[derive(Default)]
pub(super) struct ClaimBook {
    /// The objects.
    objects: HashMap<Id, Listed>,
    /// Those that changed, in order, so that the same changes always end the same.
    dirty: BTreeSet<Id>,
    /// Hosts of objects that are gone.
    left: Vec<(Id, Vec<Box<[u8]>>)>,
    /// How many hosts have owners that lead to different places, as published.
    conflicts: u64,
    /// Where that is counted.
    counts: Option<Arc<ClusterCounts>>,
}

impl Drop for ClaimBook {
    fn drop(&mut self) {
        if let Some(counts) = &self.counts {
            counts.conflicts_changed(self.conflicts, 0);
        }
    }
}

impl ClaimBook {
    /// Takes an object.
    pub(super) fn upsert(&mut self, object: HostsObject, mark: u32) {
        let id = (object.kind, object.key.clone());
        match self.objects.get_mut(&id) {
            Some(known) => {
                known.mark = mark;
                if *known.object == object {
                    return;
                }
                known.object = Arc::new(object);
            }
            None => {
                self.objects
                    .insert(id.clone(), Listed { object: Arc::new(object), mark, claimed: Vec::new() });
            }
        }
        self.dirty.insert(id);
    }

    /// Drops an object.
    pub(super) fn remove(&mut self, kind: HostKind, key: &ObjectKey) {
        let id = (kind, key.clone());
        if let Some(gone) = self.objects.remove(&id) {
            self.dirty.insert(id.clone());
            self.left.push((id, gone.claimed));
        }
    }

    /// The objects of a kind that are known, with their versions.
    pub(super) fn held(&self, kind: HostKind) -> impl Iterator<Item = (&ObjectKey, Version)> {
        let known = self.objects.iter().filter(move |(id, _)| id.0 == kind);
        known.map(|(id, listed)| (&id.1, Version::of(&listed.object.revision)))
    }

    /// The version of an object that is known.
    pub(super) fn version(&self, kind: HostKind, key: &ObjectKey) -> Option<Version> {
        self.objects.get(&(kind, key.clone())).map(|listed| Version::of(&listed.object.revision))
    }

    /// Drops the objects of a kind that the list which ends now did not name.
    pub(super) fn sweep(&mut self, kind: HostKind, current: u32) {
        let stale = self.objects.iter().filter(|(id, listed)| id.0 == kind && listed.mark != current);
        let gone: Vec<ObjectKey> = stale.map(|(id, _)| id.1.clone()).collect();
        for key in gone {
            self.remove(kind, &key);
        }
    }

    /// Publishes; says whether anything changed. What an object claims now and claimed before appears in one step a host.
    ///
    /// Cost: what changed, and a walk over all routes where a Gateway did.
    pub(super) fn settle(&mut self, store: &Store, counts: &Arc<ClusterCounts>) -> bool {
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in &dirty {
            store.hosts().note(id, self.objects.get(id).map(|listed| listed.object.clone()));
        }
        let gateways: BTreeSet<&ObjectKey> =
            dirty.iter().filter(|(kind, _)| *kind == HostKind::Gateways).map(|(_, key)| key).collect();
        if !gateways.is_empty() {
            let hang_on_them = |listed: &Listed| {
                listed.object.parents.iter().any(|parent| gateways.contains(&parent.gateway))
            };
            let routes: Vec<Id> = self
                .objects
                .iter()
                .filter(|(_, listed)| hang_on_them(listed))
                .map(|(id, _)| id.clone())
                .collect();
            dirty.extend(routes);
        }
        let mut hosts: BTreeMap<Box<[u8]>, Vec<Claim>> = BTreeMap::new();
        for (id, keys) in std::mem::take(&mut self.left) {
            for key in keys {
                take_out(store, &mut hosts, &key, &id);
            }
        }
        for id in dirty {
            let Some(listed) = self.objects.get(&id) else { continue };
            let claims = self.claims(&listed.object);
            let owner = Owner { created: listed.object.created, key: id.1.clone(), kind: id.0 };
            let before = self.objects.get_mut(&id).map(|listed| {
                std::mem::replace(&mut listed.claimed, claims.iter().map(|(key, _)| key.clone()).collect())
            });
            for key in before.unwrap_or_default() {
                take_out(store, &mut hosts, &key, &id);
            }
            let mut run = Vec::new();
            push_label(&mut run, &id.1.namespace);
            let namespace = store.named_namespace(&run);
            for (key, addresses) in claims {
                let claims = known(store, &mut hosts, &key);
                let claim = Claim { owner: owner.clone(), namespace: namespace.clone(), addresses };
                let at = claims.partition_point(|known| known.owner < claim.owner);
                claims.insert(at, claim);
            }
            drop(namespace);
            store.forget_namespace(&run);
        }
        let changed = !hosts.is_empty();
        for (key, claims) in hosts {
            let old = store.hosts().get(&key);
            let was = old.as_ref().and_then(|host| conflict(host.claims()));
            let is = conflict(&claims);
            if let Some((winner, loser)) = is
                && was.is_none_or(|(before, _)| before.owner != winner.owner)
            {
                tell(&key, winner, loser);
            }
            let before = self.conflicts;
            self.conflicts = before + u64::from(is.is_some()) - u64::from(was.is_some()).min(before);
            counts.conflicts_changed(before, self.conflicts);
            self.counts.get_or_insert_with(|| counts.clone());
            let gone: Vec<Vec<u8>> = old
                .iter()
                .flat_map(|host| host.claims())
                .map(|claim| {
                    let mut run = Vec::new();
                    push_label(&mut run, claim.namespace.name());
                    run
                })
                .collect();
            store.hosts().publish(&key, claims);
            drop(old);
            gone.iter().for_each(|run| store.forget_namespace(run));
        }
        changed
    }

    /// The hosts that an object claims, each once, with where they lead; none where it leads nowhere.
    fn claims(&self, object: &HostsObject) -> Vec<(Box<[u8]>, Arc<Addresses>)> {
        let mut claims: Vec<(Box<[u8]>, Arc<Addresses>)> = Vec::new();
        let mut claim = |host: &str, addresses: &Arc<Addresses>| {
            if let Some(key) = HostName::of(host)
                && !claims.iter().any(|(known, _)| **known == *key.as_bytes())
            {
                claims.push((key.as_bytes().into(), addresses.clone()));
            }
        };
        let lead = |listed: &[ExternalAddress]| {
            Some(Arc::new(Addresses::build(listed))).filter(|addresses| !addresses.is_empty())
        };
        if let Some(addresses) = lead(&object.addresses) {
            object
                .hosts
                .iter()
                .filter(|host| !host.host.is_empty())
                .for_each(|host| claim(&host.host, &addresses));
        }
        for parent in &object.parents {
            let Some(gateway) = self.objects.get(&(HostKind::Gateways, parent.gateway.clone())) else {
                continue;
            };
            let Some(addresses) = lead(&gateway.object.addresses) else { continue };
            let listeners = gateway.object.hosts.iter();
            let meant =
                |listener: &&ListedHost| parent.section.is_empty() || listener.section == parent.section;
            for listener in listeners.filter(meant) {
                for host in &object.hosts {
                    if let Some(both) = both(&host.host, &listener.host) {
                        claim(both, &addresses);
                    }
                }
            }
        }
        claims
    }
}

/// The hosts that a route and a listener both name: the narrower of the two, where one is within the other.
///
/// Source: Gateway API, `HTTPRouteSpec.hostnames`.
fn both<'h>(route: &'h str, listener: &'h str) -> Option<&'h str> {
    // `*.example.com` takes names at any depth below, not the name itself.
    let within = |narrow: &str, wide: &str| {
        wide.strip_prefix('*').is_some_and(|rest| {
            let narrow = narrow.strip_prefix('*').unwrap_or(narrow);
            narrow.len() > rest.len() && narrow.ends_with(rest)
        })
    };
    if listener.is_empty() || route == listener || within(route, listener) {
        Some(route)
    } else if within(listener, route) {
        Some(listener)
    } else {
        None
    }
}

/// The claims of a host as they will be published.
fn known<'h>(
    store: &Store,
    hosts: &'h mut BTreeMap<Box<[u8]>, Vec<Claim>>,
    key: &[u8],
) -> &'h mut Vec<Claim> {
    hosts
        .entry(key.into())
        .or_insert_with(|| store.hosts().get(key).map_or_else(Vec::new, |host| host.claims().to_vec()))
}

/// Takes an object's claim to a host out.
fn take_out(store: &Store, hosts: &mut BTreeMap<Box<[u8]>, Vec<Claim>>, key: &[u8], id: &Id) {
    known(store, hosts, key).retain(|claim| (claim.owner.kind, &claim.owner.key) != (id.0, &id.1));
}

/// The claim that wins and the first that leads elsewhere: two owners that lead to the same place are no conflict.
fn conflict(claims: &[Claim]) -> Option<(&Claim, &Claim)> {
    let winner = claims.first()?;
    let loser = claims.iter().find(|claim| claim.addresses != winner.addresses)?;
    Some((winner, loser))
}

/// Tells of two owners.
fn tell(key: &[u8], winner: &Claim, loser: &Claim) {
    let owner = |claim: &Claim| {
        let Owner { key, kind, .. } = &claim.owner;
        format!("{} {}/{}", kind.word(), key.namespace, key.name)
    };
    tracing::warn!(
        target: "plugin/k8s_external",
        "{}: {} and {} claim this host for different addresses; the older one, {}, is served",
        show(key), owner(winner), owner(loser), owner(winner)
    );
}

/// A host in text.
fn show(key: &[u8]) -> String {
    let mut labels: Vec<String> = Vec::new();
    let mut rest = key;
    while let Some((&length, tail)) = rest.split_first() {
        let Some((label, after)) = tail.split_at_checked(usize::from(length)) else { break };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    labels.reverse();
    labels.join(".")
}
