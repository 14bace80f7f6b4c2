//! The store under random changes answers as the model does, after each publication.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::model::{Key, Model, Moves, key_of, spec_of};
use super::*;
use crate::store::{Counts, Part};

/// Namespaces.
const SPACES: [&str; 3] = ["shop", "data", "svc"];

/// Names of Services, slices and pods.
const NAMES: [&str; 4] =
    ["web", "db", "pod", "a-very-long-name-that-is-nearly-as-long-as-any-label-can-be-her"];

/// Addresses; all are both cluster addresses and endpoints, which real clusters don't have but may not confuse us.
const ADDRESSES: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.20",
    "10.0.1.1",
    "10.96.0.1",
    "fd00::1",
    "fd00::",
    "fd00:0:1::21",
    "2001:db8::ffff",
];

/// Hostnames, some empty; one is the dashed name of another endpoint.
const HOSTNAMES: [&str; 5] = ["", "", "a", "10-0-0-2", "fd00--0"];

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// An object appears or changes; with `again` it keeps its version where it did not change.
    Put(Object, bool),
    /// An object goes.
    Remove(Kind, ObjectKey),
    /// A list starts.
    Begin(Kind),
    /// A list ends, if one is under way.
    End(Kind),
    /// A whole list: objects of this kind come again, but for every `leave_out`th, in an order that `turn` chooses.
    Relist {
        /// The kind.
        kind: Kind,
        /// 0 leaves nothing out.
        leave_out: usize,
        /// Where it starts.
        turn: usize,
    },
    /// What happened so far is published.
    Settle,
    /// The process restarts with a snapshot of what it published.
    Restart,
}

/// One of these texts.
fn text(of: &'static [&'static str]) -> impl Strategy<Value = Box<str>> {
    select(of).prop_map(Into::into)
}

/// An object's key.
fn key() -> impl Strategy<Value = ObjectKey> {
    (select(&SPACES[..]), select(&NAMES[..])).prop_map(|(namespace, name)| ObjectKey::new(namespace, name))
}

/// Addresses, each once, sorted.
fn addresses(most: usize) -> impl Strategy<Value = Vec<IpAddr>> {
    subsequence(&ADDRESSES[..], 0..=most).prop_map(|texts| texts.into_iter().map(ip).collect())
}

/// A protocol.
fn protocol() -> impl Strategy<Value = Protocol> {
    select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..])
}

/// Labels.
fn labels() -> impl Strategy<Value = Vec<(Box<str>, Box<str>)>> {
    (0..3_usize).prop_map(|count| (0..count).map(|at| (format!("k{at}").into(), "v".into())).collect())
}

/// A Service.
fn service_object() -> impl Strategy<Value = Object> {
    let spec = prop_oneof![
        3 => addresses(3).prop_map(ServiceSpec::Cluster),
        3 => Just(ServiceSpec::Headless),
        1 => text(&["example.com", "Example.NET.", "web.shop.svc.cluster.local", "10.0.0.1", "fd00::1"])
            .prop_map(ServiceSpec::External),
    ];
    let port = (text(&["", "http", "dns"]), protocol(), select(&[53_u16, 80, 65_535][..]))
        .prop_map(|(name, protocol, port)| ServicePort { name, protocol, port });
    (key(), spec, prop::collection::vec(port, 0..3)).prop_map(|(key, spec, ports)| {
        Object::Service(ServiceObject {
            key,
            revision: Revision::default(),
            spec,
            ports,
            external: Vec::new(),
        })
    })
}

/// A slice.
fn slice_object() -> impl Strategy<Value = Object> {
    let spelled = |address: IpAddr, odd: bool| {
        let spelled = match address {
            IpAddr::V6(v6) if odd => {
                let words: Vec<String> = v6.segments().iter().map(|word| format!("{word:X}")).collect();
                Some(words.join(":").into())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        EndpointAddress { ip: address, spelled }
    };
    let target = text(&["", "web-7d4b9-x2x4v", "web-0", TOO_LONG]);
    let endpoint = (addresses(2), any::<bool>(), text(&HOSTNAMES), target, text(&["", "zone-a"])).prop_map(
        move |(addresses, odd, hostname, target, zone)| Endpoint {
            addresses: addresses.into_iter().map(|address| spelled(address, odd)).collect(),
            hostname,
            target,
            zone,
        },
    );
    let port = (text(&["", "http", "dns"]), protocol(), select(&[None, Some(53_u16), Some(8080)][..]))
        .prop_map(|(name, protocol, port)| SlicePort { name, protocol, port });
    let of = text(&["web", "db", "pod", "", NAMES[3]]);
    let parts =
        (key(), of, prop::collection::vec(endpoint, 0..4), prop::collection::vec(port, 0..3), any::<bool>());
    parts.prop_map(|(key, service, endpoints, ports, triggered)| {
        let triggered = triggered.then_some(1);
        Object::Slice(SliceObject {
            import: None,
            key,
            revision: Revision::default(),
            service,
            endpoints,
            ports,
            triggered,
        })
    })
}

/// A name of a pod that is too long for a label.
const TOO_LONG: &str = "a-name-of-a-pod-that-has-sixty-four-letters-and-so-is-no-label-a";

/// A pod.
fn pod_object() -> impl Strategy<Value = Object> {
    (key(), addresses(2), text(&["", "a", "b"]), text(&["", "web"]), labels()).prop_map(
        |(key, addresses, hostname, subdomain, labels)| {
            Object::Pod(PodObject {
                key,
                revision: Revision::default(),
                addresses,
                hostname,
                subdomain,
                labels,
            })
        },
    )
}

/// A Namespace.
fn namespace_object() -> impl Strategy<Value = Object> {
    (text(&SPACES), labels()).prop_map(|(name, labels)| {
        Object::Namespace(NamespaceObject { name, revision: Revision::default(), labels })
    })
}

/// Something that happens.
fn event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![
        3 => service_object(),
        5 => slice_object(),
        1 => namespace_object(),
        2 => pod_object(),
    ];
    let kind = || select(&KINDS[..]);
    let gone = (kind(), key()).prop_map(|(kind, key)| match kind {
        Kind::Namespaces => Event::Remove(kind, ObjectKey::new("", &key.namespace)),
        Kind::Services | Kind::EndpointSlices | Kind::Pods | Kind::Imports | Kind::Hosts(_) => {
            Event::Remove(kind, key)
        }
    });
    let relist = (kind(), 0..4_usize, 0..8_usize).prop_map(|(kind, leave_out, turn)| Event::Relist {
        kind,
        leave_out,
        turn,
    });
    prop_oneof![
        12 => (object, any::<bool>()).prop_map(|(object, again)| Event::Put(object, again)),
        4 => gone,
        1 => kind().prop_map(Event::Begin),
        1 => kind().prop_map(Event::End),
        2 => relist,
        4 => Just(Event::Settle),
        1 => Just(Event::Restart),
    ]
}

/// The store, the model, and what both were told.
struct Both {
    /// The store.
    store: Arc<Store>,
    /// Its writer.
    writer: Writer,
    /// The clock.
    clock: Clock,
    /// The model.
    model: Model,
    /// Whether objects have versions at all: those of manifests may have none.
    versioned: bool,
    /// The last version that was given out.
    version: u64,
    /// The serial that is expected now.
    serial: u32,
    /// How often the store said that it is complete.
    synced: Arc<AtomicUsize>,
    /// The Services as they were published last.
    published: BTreeMap<Key, Arc<Service>>,
}

impl Both {
    /// Both empty.
    fn new(versioned: bool, pod_names: bool) -> Self {
        let (store, writer, clock) = store(Wanted { pod_names, ..ALL });
        let synced = Arc::new(AtomicUsize::new(0));
        let counted = synced.clone();
        store.when_synced(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        Self {
            store,
            writer,
            clock,
            model: Model::default(),
            versioned,
            version: 0,
            serial: 0,
            synced,
            published: BTreeMap::new(),
        }
    }

    /// Tells both the same.
    fn tell(&mut self, change: Change) {
        self.model.change(&change);
        self.writer.change(change);
    }

    /// Gives an object the version that it would have: a new one where it changed, or where nothing says that it did not.
    fn version(&mut self, mut object: Object, again: bool) -> Object {
        if !self.versioned {
            return object;
        }
        let known = match &object {
            Object::Service(new) => self.model.services.get(&key_of(&new.key)).cloned().map(Object::Service),
            Object::Slice(new) => self.model.slices.get(&key_of(&new.key)).cloned().map(Object::Slice),
            Object::Namespace(new) => self.model.namespaces.get(&*new.name).cloned().map(Object::Namespace),
            Object::Pod(new) => self.model.pods.get(&key_of(&new.key)).cloned().map(Object::Pod),
            Object::Import(_) | Object::Hosts(_) => unreachable!("the model knows the usual kinds"),
        };
        if let Some(mut known) = known {
            let kept = std::mem::take(revision_of(&mut known));
            if again && known == object {
                *revision_of(&mut object) = kept;
                return object;
            }
        }
        self.version += 1;
        *revision_of(&mut object) = revision(&self.version.to_string());
        object
    }

    /// Lets something happen.
    fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Put(object, again) => {
                let object = self.version(object, again);
                self.tell(Change::Upsert(object));
            }
            Event::Remove(kind, key) => self.tell(Change::Remove(kind, key)),
            Event::Begin(kind) => self.tell(Change::Begin(kind)),
            Event::End(kind) => {
                if self.model.is_listing(kind) {
                    self.tell(Change::End(kind));
                }
            }
            Event::Relist { kind, leave_out, turn } => {
                let mut objects: Vec<Object> = match kind {
                    Kind::Services => self.model.services.values().cloned().map(Object::Service).collect(),
                    Kind::EndpointSlices => self.model.slices.values().cloned().map(Object::Slice).collect(),
                    Kind::Namespaces => {
                        self.model.namespaces.values().cloned().map(Object::Namespace).collect()
                    }
                    Kind::Pods => self.model.pods.values().cloned().map(Object::Pod).collect(),
                    Kind::Imports | Kind::Hosts(_) => unreachable!("the model knows the usual kinds"),
                };
                let turn = turn % objects.len().max(1);
                objects.rotate_left(turn);
                self.tell(Change::Begin(kind));
                for (at, object) in objects.into_iter().enumerate() {
                    if leave_out == 0 || at % (leave_out + 1) != leave_out {
                        self.tell(Change::Upsert(object));
                    }
                }
                self.tell(Change::End(kind));
            }
            Event::Settle => self.settle()?,
            Event::Restart => self.restart()?,
        }
        Ok(())
    }

    /// Publishes and compares everything.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.clock.advance(Duration::from_secs(1));
        self.writer.settle();
        let now = self.clock.wall().serial();
        let serial = self.store.serial();
        match self.model.moves {
            Moves::No => prop_assert_eq!(serial, self.serial, "the serial moved"),
            Moves::Yes => prop_assert_eq!(serial, now, "the serial did not move"),
            Moves::Maybe => prop_assert!(serial == now || serial == self.serial),
        }
        self.serial = serial;
        self.compare_costs()?;
        self.model.settle();
        self.compare_sync()?;
        self.compare_services()?;
        self.compare_reverse()?;
        self.compare_rest()
    }

    /// Publishes, and begins anew from a snapshot: everything is as it was.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        let bytes = super::snapshot::bytes(&self.store);
        let (store, mut writer) = Store::new(self.store.wanted(), self.clock.clone());
        super::snapshot::restore(&mut writer, &bytes);
        prop_assert_eq!(
            super::snapshot::records(&super::snapshot::bytes(&store)),
            super::snapshot::records(&bytes)
        );
        self.synced = Arc::default();
        let counted = self.synced.clone();
        store.when_synced(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        (self.store, self.writer) = (store, writer);
        self.model.restart();
        self.published.clear();
        prop_assert_eq!(self.store.serial(), self.serial);
        self.compare_sync()?;
        self.compare_services()?;
        self.compare_reverse()?;
        self.compare_rest()?;
        for key in self.model.keys() {
            if let Some(found) = self.store.service(&run(&[&key.1, &key.0])) {
                self.published.insert(key, found);
            }
        }
        Ok(())
    }

    /// What did not change is the same value as before.
    fn compare_costs(&mut self) -> Result<(), TestCaseError> {
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
    fn compare_sync(&self) -> Result<(), TestCaseError> {
        let complete = self.model.listed.len() == KINDS.len();
        prop_assert_eq!(self.store.synced(), complete);
        prop_assert_eq!(self.synced.load(Ordering::Relaxed), usize::from(complete));
        Ok(())
    }

    /// Every Service, whether it exists or not.
    fn compare_services(&self) -> Result<(), TestCaseError> {
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
    fn compare_reverse(&self) -> Result<(), TestCaseError> {
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
    fn compare_rest(&self) -> Result<(), TestCaseError> {
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

/// The version of an object.
fn revision_of(object: &mut Object) -> &mut Revision {
    match object {
        Object::Service(object) => &mut object.revision,
        Object::Slice(object) => &mut object.revision,
        Object::Namespace(object) => &mut object.revision,
        Object::Pod(object) => &mut object.revision,
        Object::Import(object) => &mut object.revision,
        Object::Hosts(object) => &mut object.revision,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_answers_as_the_model_does_after_every_publication(
        versioned in prop::bool::weighted(0.8),
        pod_names in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut both = Both::new(versioned, pod_names);
        for event in events {
            both.happen(event)?;
        }
        both.settle()?;
        // A complete list of what there is changes nothing but completeness.
        for kind in KINDS {
            both.happen(Event::Relist { kind, leave_out: 0, turn: 1 })?;
        }
        both.settle()?;
        prop_assert!(both.store.synced());
        // A complete list of nothing takes everything away.
        for kind in KINDS {
            both.tell(Change::Begin(kind));
            both.tell(Change::End(kind));
        }
        both.settle()?;
        prop_assert_eq!(both.store.counts(), Counts::default());
    }

    #[test]
    fn the_order_in_which_objects_come_does_not_matter(
        objects in prop::collection::vec(prop_oneof![service_object(), slice_object(), namespace_object(), pod_object()], 1..24),
        turn in 0..24_usize,
        settles in any::<u32>(),
    ) {
        // Each object once, in two orders: the last state is the same, whatever came first.
        let mut unique: BTreeMap<String, Object> = BTreeMap::new();
        for object in objects {
            let id = match &object {
                Object::Service(object) => format!("service {:?}", object.key),
                Object::Slice(object) => format!("slice {:?}", object.key),
                Object::Namespace(object) => format!("namespace {:?}", object.name),
                Object::Pod(object) => format!("pod {:?}", object.key),
                Object::Import(_) | Object::Hosts(_) => unreachable!("the model knows the usual kinds"),
            };
            unique.insert(id, object);
        }
        let mut objects: Vec<Object> = unique.into_values().collect();
        let turn = turn % objects.len();
        for reverse in [false, true] {
            if reverse {
                objects.reverse();
                objects.rotate_left(turn);
            }
            let mut both = Both::new(true, true);
            for (at, object) in objects.iter().enumerate() {
                both.happen(Event::Put(object.clone(), false))?;
                if settles >> (at % 32) & 1 == 1 {
                    both.settle()?;
                }
            }
            both.settle()?;
        }
    }
}
