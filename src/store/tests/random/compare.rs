//! All that a reader of the store can see, beside what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::super::model::{Key, key_of, spec_of};
use super::super::*;
use super::Both;
use super::events::{ADDRESSES, NAMES, SPACES};
use crate::store::{Counts, Part};

impl Both {
    /// What did not change is the same value as before.
    pub(super) fn compare_costs(&mut self) -> Result<(), TestCaseError> {
        let mut published = BTreeMap::new();
        for key in self.model.keys() {
            let Some(now) = self.store.service(&run(&[&key.1, &key.0])) else { continue };
            if let Some(before) = self.published.get(&key) {
                let touched = self.model.touched.contains(&key);
                prop_assert!(touched || Arc::ptr_eq(before, &now), "{:?} was built again", key);
                let part_of = |service: &Service, slice: SliceId| -> Option<Arc<Part>> {
                    service.endpoints().parts().iter().find(|part| part.slice == slice).cloned()
                };
                for slice in self.model.slices_of(&key) {
                    let name = key_of(&slice.key);
                    if self.versioned && !self.model.touched_slices.contains(&name) {
                        let id = SliceId::of(&slice.key);
                        let (old, new) = (part_of(before, id), part_of(&now, id));
                        let same = old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(&old, &new));
                        prop_assert!(same, "the part of {:?} was built again", name);
                    }
                }
            }
            published.insert(key, now);
        }
        self.published = published;
        Ok(())
    }

    /// Complete when the first list of every kind was published, said once.
    pub(super) fn compare_sync(&self) -> Result<(), TestCaseError> {
        let complete = self.model.listed.len() == KINDS.len();
        prop_assert_eq!(self.store.synced(), complete);
        prop_assert_eq!(self.synced.load(Ordering::Relaxed), usize::from(complete));
        Ok(())
    }

    /// Every Service, whether it exists or not.
    pub(super) fn compare_services(&self) -> Result<(), TestCaseError> {
        let mut all = Vec::new();
        self.store.each_service(|service| all.push(service.key().to_vec()));
        all.sort();
        let mut expected: Vec<_> = self.model.keys().iter().map(|key| run(&[&key.1, &key.0])).collect();
        expected.sort();
        prop_assert_eq!(all, expected);
        for space in SPACES {
            for name in NAMES {
                let key = (space.to_owned(), name.to_owned());
                let found = self.store.service(&run(&[name, space]));
                prop_assert_eq!(found.is_some(), self.model.keys().contains(&key), "{:?}", &key);
                if let Some(found) = found {
                    self.compare_service(&key, &found)?;
                }
            }
            prop_assert!(self.store.service(&run(&["unknown", space])).is_none());
        }
        Ok(())
    }

    /// One Service that exists, at least in name.
    fn compare_service(&self, key: &Key, found: &Service) -> Result<(), TestCaseError> {
        let object = self.model.services.get(key);
        prop_assert_eq!(found.key(), &*run(&[&key.1, &key.0]));
        prop_assert_eq!(found.spec(), &spec_of(object));
        let ports: Vec<_> =
            found.ports().iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
        let expected: Vec<_> = object
            .map(|object| object.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect())
            .unwrap_or_default();
        prop_assert_eq!(ports, expected);
        prop_assert_eq!(found.namespace().name(), &*key.0);
        prop_assert_eq!(found.namespace().exists(), self.model.namespaces.contains_key(&key.0));

        let endpoints = found.endpoints();
        let slice_of = |part: &Part| self.slice_name(key, part);
        let slices: BTreeSet<String> = endpoints.parts().iter().map(|part| slice_of(part)).collect();
        prop_assert_eq!(slices.len(), endpoints.parts().len());
        let expected: BTreeSet<String> =
            self.model.slices_of(key).map(|slice| slice.key.name.to_string()).collect();
        prop_assert_eq!(slices, expected);
        for part in endpoints.parts() {
            let slice = &self.model.slices[&(key.0.clone(), slice_of(part))];
            let ports: Vec<_> =
                part.ports().iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
            let expected: Vec<_> =
                slice.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
            prop_assert_eq!(ports, expected);
        }
        for naming in [Naming::Address, Naming::Pod] {
            // Names of pods are kept only where a stanza wants them.
            let kept = if self.store.wanted.pod_names { naming } else { Naming::Address };
            let members = self.model.members(key, kept);
            self.compare_members(key, found, naming, &members)?;
        }
        Ok(())
    }

    /// The name of the slice that a part was made of.
    fn slice_name(&self, key: &Key, part: &Part) -> String {
        let mut slices = self.model.slices_of(key);
        let slice = slices.find(|slice| SliceId::of(&slice.key) == part.slice);
        slice.map_or_else(|| "unknown".to_owned(), |slice| slice.key.name.to_string())
    }

    /// The endpoints of a Service under one way to name them.
    fn compare_members(
        &self,
        key: &Key,
        found: &Service,
        naming: Naming,
        members: &[(String, IpAddr, String)],
    ) -> Result<(), TestCaseError> {
        let endpoints = found.endpoints();
        prop_assert_eq!(endpoints.len(), members.len());
        prop_assert_eq!(endpoints.is_empty(), members.is_empty());
        let v4: BTreeSet<_> = members.iter().filter(|member| member.1.is_ipv4()).map(|m| m.1).collect();
        let v6: BTreeSet<_> = members.iter().filter(|member| member.1.is_ipv6()).map(|m| m.1).collect();
        let got: Vec<IpAddr> = endpoints.v4().iter().map(|&octets| octets.into()).collect();
        prop_assert_eq!(got, v4.into_iter().collect::<Vec<_>>());
        let got: Vec<IpAddr> = endpoints.v6().iter().map(|&octets| octets.into()).collect();
        prop_assert_eq!(got, v6.into_iter().collect::<Vec<_>>());

        let label = |member: crate::store::Member<'_>| {
            String::from_utf8_lossy(member.name(naming).as_bytes()).into_owned()
        };
        let names: BTreeSet<&str> =
            members.iter().map(|member| &*member.2).chain(["unknown", "a", "10-0-0-1"]).collect();
        for name in names {
            let mut got: Vec<(String, IpAddr)> = endpoints
                .named(name.as_bytes(), naming)
                .map(|(part, member)| (self.slice_name(key, part), member.ip()))
                .collect();
            got.sort();
            let expected: Vec<(String, IpAddr)> = members
                .iter()
                .filter(|member| member.2 == name)
                .map(|member| (member.0.clone(), member.1))
                .collect();
            prop_assert_eq!(got, expected, "{:?} under {:?}", name, found.key());
        }
        for text in ADDRESSES {
            let mut got: Vec<String> = endpoints.with_address(ip(text)).map(label).collect();
            got.sort();
            let mut expected: Vec<String> =
                members.iter().filter(|member| member.1 == ip(text)).map(|member| member.2.clone()).collect();
            expected.sort();
            prop_assert_eq!(got, expected, "{}", text);
        }
        // A walk from anywhere meets every member once, and all of one name together.
        for start in 0..=members.len() {
            let mut walked: Vec<(String, IpAddr, String)> = Vec::new();
            for group in endpoints.groups(naming, start) {
                let group: Vec<_> = group
                    .members()
                    .map(|(part, member)| (self.slice_name(key, part), member.ip(), label(member)))
                    .collect();
                prop_assert!(!group.is_empty());
                prop_assert!(
                    group.iter().all(|member| walked.iter().all(|earlier| earlier.2 != member.2)),
                    "a name is in two groups"
                );
                walked.extend(group);
            }
            walked.sort();
            prop_assert_eq!(&walked, members, "a walk from {}", start);
        }
        Ok(())
    }

    /// Every address and what stands above it.
    pub(super) fn compare_reverse(&self) -> Result<(), TestCaseError> {
        for text in ADDRESSES.iter().chain(&["10.0.0.3", "192.0.2.1", "fd00::2"]) {
            let address = ip(text);
            prop_assert_eq!(cluster_keys(&self.store, address), self.model.cluster_keys(address), "{}", text);
            prop_assert_eq!(
                endpoint_keys(&self.store, address),
                self.model.endpoint_keys(address),
                "{}",
                text
            );
        }
        let all = self.model.addresses();
        for (text, bits) in [
            ("0.0.0.0", 0),
            ("10.0.0.0", 8),
            ("10.0.0.0", 16),
            ("10.0.0.0", 24),
            ("10.0.1.0", 24),
            ("10.0.2.0", 24),
            ("10.96.0.0", 16),
            ("11.0.0.0", 8),
            ("::", 0),
            ("f000::", 4),
            ("fd00::", 16),
            ("fd00::", 124),
            ("fd00:0:1::20", 124),
            ("2001:db8::", 32),
            ("2001:db9::", 32),
        ] {
            let prefix = ip(text);
            let below = |address: &IpAddr| match (prefix, address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    (a.to_bits() ^ b.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    (a.to_bits() ^ b.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
                }
                _ => false,
            };
            let found = self.store.reverse().any_below(prefix, u8::try_from(bits).unwrap(), |_| true);
            prop_assert_eq!(found, all.iter().any(below), "{}/{}", text, bits);
            // Only what the judge lets through counts.
            let mut seen = Vec::new();
            let found = self.store.reverse().any_below(prefix, u8::try_from(bits).unwrap(), |service| {
                seen.push(service.key().to_vec());
                false
            });
            prop_assert!(!found);
            let mut expected: Vec<_> = all
                .iter()
                .filter(|address| below(address))
                .flat_map(|&address| {
                    [self.model.cluster_keys(address), self.model.endpoint_keys(address)].concat()
                })
                .collect();
            expected.sort();
            seen.sort();
            prop_assert_eq!(seen, expected, "{}/{}", text, bits);
        }
        Ok(())
    }

    /// Namespaces, pods and counts.
    pub(super) fn compare_rest(&self) -> Result<(), TestCaseError> {
        for space in SPACES {
            let found = self.store.namespace(&run(&[space]));
            let object = self.model.namespaces.get(space);
            prop_assert_eq!(found.is_some(), object.is_some(), "{}", space);
            if let (Some(found), Some(object)) = (found, object) {
                prop_assert_eq!(found.labels(<[_]>::to_vec), object.labels.clone());
            }
            for text in ADDRESSES {
                let expected = self
                    .model
                    .pods
                    .values()
                    .any(|pod| *pod.key.namespace == *space && pod.addresses.contains(&ip(text)));
                prop_assert_eq!(self.store.pods().contains(ip(text), &run(&[space])), expected);
            }
            for sub in ["web", "db"] {
                let expected = self.model.pods.values().any(|pod| {
                    (&*pod.subdomain, &*pod.key.namespace) == (sub, space)
                        && !pod.hostname.is_empty()
                        && !pod.addresses.is_empty()
                });
                prop_assert_eq!(self.store.pods().has_subdomain(&run(&[sub, space])), expected);
            }
            for host in ["a", "b"] {
                for sub in ["web", "db"] {
                    let mut got = BTreeSet::new();
                    let found = self.store.pods().hostname(&run(&[host, sub, space]), |address| {
                        got.insert(address);
                    });
                    let pods = self.model.pods.values().filter(|pod| {
                        (&*pod.hostname, &*pod.subdomain, &*pod.key.namespace) == (host, sub, space)
                    });
                    let expected: BTreeSet<IpAddr> =
                        pods.flat_map(|pod| pod.addresses.iter().copied()).collect();
                    prop_assert_eq!(found, !expected.is_empty());
                    prop_assert_eq!(got, expected);
                }
            }
        }
        let endpoints = self.model.slices.values().flat_map(|slice| &slice.endpoints);
        let counts = Counts {
            services: self.model.services.len(),
            endpoints: endpoints.map(|endpoint| endpoint.addresses.len()).sum(),
            namespaces: self.model.namespaces.len(),
            pods: self.model.pods.len(),
        };
        prop_assert_eq!(self.store.counts(), counts);
        prop_assert_eq!(self.store.pods().len(), counts.pods);
        Ok(())
    }
}
