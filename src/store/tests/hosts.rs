//! Host names: whatever comes in whatever order, each host has the claims that the objects of that moment make.

use std::collections::BTreeMap;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};

use super::*;
use crate::store::HostName;
use crate::store::change::{ExternalAddress, HostKind, HostsObject, ListedHost, ParentGateway};

/// Hosts are wanted.
const HOSTS: Wanted = Wanted { ingress: true, gateway: true, ..ALL };

/// Names of objects and hosts: few, so that they meet.
const NAMES: [&str; 3] = ["a", "b", "c"];
const NAMESPACES: [&str; 2] = ["shop", "data"];
const HOST_NAMES: [&str; 4] = ["www.example.org", "*.example.org", "a.b.example.org", "example.net"];

/// A host of an object, of no section.
fn listed(host: &str) -> ListedHost {
    ListedHost { section: "".into(), host: host.into() }
}

/// A random object of a kind.
fn object(rng: &mut fastrand::Rng, kind: HostKind) -> HostsObject {
    let pick = |rng: &mut fastrand::Rng, of: &[&'static str]| of[rng.usize(..of.len())];
    let key = ObjectKey::new(pick(rng, &NAMESPACES), pick(rng, &NAMES));
    let mut hosts: Vec<ListedHost> = (0..rng.usize(..3)).map(|_| listed(pick(rng, &HOST_NAMES))).collect();
    let (mut addresses, mut parents) = (Vec::new(), Vec::new());
    match kind {
        HostKind::Ingresses | HostKind::Gateways => {
            let ips =
                (0..rng.usize(..3)).map(|_| ExternalAddress::Ip(IpAddr::from([192, 0, 2, rng.u8(..3)])));
            addresses.extend(ips);
        }
        HostKind::HttpRoutes | HostKind::GrpcRoutes | HostKind::TlsRoutes => {
            parents.extend((0..rng.usize(..2)).map(|_| ParentGateway {
                gateway: ObjectKey::new(pick(rng, &NAMESPACES), pick(rng, &NAMES)),
                section: pick(rng, &["", "one"]).into(),
            }));
        }
    }
    if kind == HostKind::Gateways {
        hosts.iter_mut().for_each(|host| host.section = pick(rng, &["one", "two"]).into());
        hosts.push(ListedHost { section: pick(rng, &["one", "two"]).into(), host: "".into() });
    }
    HostsObject { kind, key, revision: Revision::default(), created: rng.u64(..2), addresses, hosts, parents }
}

/// A claim as the model has it: age, name, kind, and where it leads.
type Told = (u64, ObjectKey, HostKind, Vec<IpAddr>);

/// Who claims each host, and for which addresses, as a reader of the objects would say.
fn model(objects: &BTreeMap<(HostKind, ObjectKey), HostsObject>) -> BTreeMap<String, Vec<String>> {
    let mut claims: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for ((kind, key), object) in objects {
        let ips = |object: &HostsObject| {
            let mut ips: Vec<IpAddr> = Vec::new();
            for address in &object.addresses {
                if let ExternalAddress::Ip(ip) = address
                    && !ips.contains(ip)
                {
                    ips.push(*ip);
                }
            }
            ips
        };
        let mut named: Vec<(String, Vec<IpAddr>)> = Vec::new();
        let own = object.hosts.iter().filter(|host| !host.host.is_empty());
        named
            .extend(own.filter(|_| !ips(object).is_empty()).map(|host| (host.host.to_string(), ips(object))));
        for parent in &object.parents {
            let Some(gateway) = objects.get(&(HostKind::Gateways, parent.gateway.clone())) else { continue };
            let sections = gateway.hosts.iter();
            for listener in sections.filter(|one| parent.section.is_empty() || one.section == parent.section)
            {
                for route in &object.hosts {
                    // Of these names only `*.example.org` covers others.
                    let covers = |wide: &str, narrow: &str| {
                        wide == "*.example.org" && narrow.ends_with(".example.org")
                    };
                    let (route, listener) = (&*route.host, &*listener.host);
                    let both = if listener.is_empty() || covers(listener, route) {
                        Some(route)
                    } else if route == listener || covers(route, listener) {
                        Some(listener)
                    } else {
                        None
                    };
                    if let Some(both) = both.filter(|_| !ips(gateway).is_empty()) {
                        named.push((both.to_owned(), ips(gateway)));
                    }
                }
            }
        }
        let mut seen = Vec::new();
        for (host, ips) in named {
            if !seen.contains(&host) {
                claims.entry(host.clone()).or_default().push((object.created, key.clone(), *kind, ips));
                seen.push(host);
            }
        }
    }
    let show = |mut claims: Vec<Told>| {
        claims.sort_by(|one, other| (one.0, &one.1, one.2).cmp(&(other.0, &other.1, other.2)));
        claims
            .iter()
            .map(|(_, key, kind, ips)| format!("{kind:?} {}/{} {ips:?}", key.namespace, key.name))
            .collect()
    };
    claims.into_iter().map(|(host, claims)| (host, show(claims))).collect()
}

/// The same as the store has it.
fn published(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for host in HOST_NAMES {
        let key = HostName::of(host).unwrap();
        if let Some(found) = store.hosts().get(key.as_bytes()) {
            let claims = found.claims().iter().map(|claim| {
                let owner = claim.owner();
                assert_eq!(claim.namespace().name(), &*owner.key.namespace);
                let ips: Vec<IpAddr> = claim.addresses().ips().collect();
                format!("{:?} {}/{} {ips:?}", owner.kind, owner.key.namespace, owner.key.name)
            });
            all.insert(host.to_owned(), claims.collect());
        }
    }
    assert_eq!(store.hosts().len(), all.len(), "no host but those");
    all
}

#[test]
fn hosts_have_the_claims_of_the_moment() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (store, mut writer, _) = store(HOSTS);
        let counts = Arc::new(crate::metrics::ClusterCounts::default());
        writer = writer.counting(counts.clone());
        let mut objects: BTreeMap<(HostKind, ObjectKey), HostsObject> = BTreeMap::new();
        for step in 0..40 {
            for _ in 0..rng.usize(1..4) {
                let kind = HostKind::ALL[rng.usize(..5)];
                let new = object(&mut rng, kind);
                match rng.u8(..8) {
                    0 => {
                        objects.remove(&(kind, new.key.clone()));
                        writer.change(Change::Remove(Kind::Hosts(kind), new.key));
                    }
                    1 => {
                        // A list of this kind names all but the first.
                        let kept: Vec<HostsObject> = objects
                            .range((kind, ObjectKey::new("", ""))..)
                            .map(|(_, one)| one.clone())
                            .collect();
                        let kept: Vec<HostsObject> =
                            kept.into_iter().filter(|one| one.kind == kind).skip(1).collect();
                        objects.retain(|id, _| id.0 != kind);
                        writer.change(Change::Begin(Kind::Hosts(kind)));
                        for one in kept {
                            objects.insert((kind, one.key.clone()), one.clone());
                            writer.change(Change::Upsert(Object::Hosts(one)));
                        }
                        writer.change(Change::End(Kind::Hosts(kind)));
                    }
                    _ => {
                        objects.insert((kind, new.key.clone()), new.clone());
                        writer.change(Change::Upsert(Object::Hosts(new)));
                    }
                }
            }
            let before = published(&store);
            writer.settle();
            let want = model(&objects);
            assert_eq!(published(&store), want, "seed {seed}, step {step}");
            if before != want {
                assert_eq!(u64::from(store.externals().serial()), START, "the serial moves");
            }
            let conflicts = want.values().filter(|claims| {
                let leads = |claim: &String| claim.splitn(3, ' ').nth(2).map(str::to_owned);
                claims.iter().any(|claim| leads(claim) != leads(&claims[0]))
            });
            let counted = counts.read().conflicts.unwrap_or(0);
            assert_eq!(counted, conflicts.count() as u64, "seed {seed}, step {step}: {want:?}");
        }
        drop(writer);
        assert_eq!(counts.read().conflicts.unwrap_or(0), 0, "a store that is gone has no conflicts");
    }
}

/// An Ingress or a Gateway of the namespace `shop` that leads this host to 192.0.2.LAST.
fn leads(kind: HostKind, name: &str, created: u64, last: u8) -> Object {
    Object::Hosts(HostsObject {
        kind,
        key: ObjectKey::new("shop", name),
        revision: Revision::default(),
        created,
        addresses: vec![ExternalAddress::Ip(IpAddr::from([192, 0, 2, last]))],
        hosts: vec![listed("www.example.org")],
        parents: Vec::new(),
    })
}

#[test]
fn of_two_owners_of_a_host_the_older_is_served_and_a_line_names_both() {
    use HostKind::{Gateways, Ingresses};
    let (store, mut writer, _) = store(HOSTS);
    let mut after = |change: Change| {
        written(|| {
            writer.change(change);
            writer.settle();
        })
    };
    let served = || published(&store)["www.example.org"][0].clone();
    let line = |one: &str, other: &str, older: &str| {
        format!(
            "WARN plugin/k8s_external: www.example.org: {one} and {other} claim this host for different addresses; \
             the older one, {older}, is served\n"
        )
    };
    assert_eq!(after(Change::Upsert(leads(Ingresses, "young", 7, 1))), "");
    // To the same place nobody is in the way of another.
    assert_eq!(after(Change::Upsert(leads(Gateways, "same", 9, 1))), "");
    let told = after(Change::Upsert(leads(Gateways, "old", 5, 2)));
    assert_eq!(told, line("Gateway shop/old", "Ingress shop/young", "Gateway shop/old"));
    assert_eq!(served(), "Gateways shop/old [192.0.2.2]");
    // It is said once for each who wins, not at each change.
    assert_eq!(after(Change::Upsert(leads(Gateways, "last", 11, 3))), "");
    assert_eq!(served(), "Gateways shop/old [192.0.2.2]");
    let told = after(Change::Remove(Kind::Hosts(Gateways), ObjectKey::new("shop", "old")));
    assert_eq!(told, line("Ingress shop/young", "Gateway shop/last", "Ingress shop/young"));
    assert_eq!(served(), "Ingresses shop/young [192.0.2.1]");
    assert_eq!(after(Change::Remove(Kind::Hosts(Gateways), ObjectKey::new("shop", "last"))), "");
}

/// What is logged while `act` runs, a line each: level, target, message.
fn written(act: impl FnOnce()) -> String {
    let lines = Lines::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), act);
    let text = lines.0.lock();
    text.clone()
}

/// Lines that are logged.
#[derive(Clone, Default)]
struct Lines(Arc<parking_lot::Mutex<String>>);

/// The message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let about = event.metadata();
        self.0.lock().push_str(&format!("{} {}: {}\n", about.level(), about.target(), message.0));
    }
}

#[test]
fn what_is_below_a_name_is_found_and_nothing_beside_it() {
    let (store, mut writer, _) = store(HOSTS);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut ingress = object(&mut rng, HostKind::Ingresses);
    ingress.addresses = vec![ExternalAddress::Ip(ip("192.0.2.1"))];
    ingress.hosts = vec![listed("a.b.example.org"), listed("ab.example.org"), listed("*.w.example.org")];
    writer.change(Change::Upsert(Object::Hosts(ingress)));
    writer.settle();
    let below = |name: &str| store.hosts().any_below(HostName::of(name).unwrap().as_bytes(), |_| true);
    for (name, want) in [
        ("example.org", true),
        ("b.example.org", true),
        ("a.b.example.org", true),
        ("x.a.b.example.org", false),
        ("c.example.org", false),
        ("a.example.org", false),
        ("w.example.org", true),
        ("org", true),
        ("net", false),
    ] {
        assert_eq!(below(name), want, "{name}");
    }
    assert!(HostName::of("a..b").is_none() && HostName::of("").is_none());
    assert!(HostName::of(&vec!["x".repeat(63); 4].join(".")).is_none(), "257 bytes");
}
