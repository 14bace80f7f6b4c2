//! The store's promises one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A complete, empty list of each kind.
fn empty_lists() -> Vec<Change> {
    KINDS.into_iter().flat_map(|kind| [Change::Begin(kind), Change::End(kind)]).collect()
}

#[test]
fn a_store_is_complete_when_the_first_list_of_everything_wanted_was_published() {
    for (wanted, needed) in [
        (ALL, &KINDS[..]),
        (Wanted { pods: false, ..ALL }, &[Kind::Services, Kind::EndpointSlices, Kind::Namespaces][..]),
        (Wanted::default(), &[Kind::Services, Kind::Namespaces][..]),
    ] {
        let (store, mut writer, _) = store(wanted);
        let calls = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let calls = calls.clone();
            store.when_synced(move || {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        }
        for (place, &kind) in needed.iter().enumerate() {
            assert!(!store.synced(), "{wanted:?} before {kind:?}");
            writer.change(Change::Begin(kind));
            writer.settle();
            assert!(!store.synced(), "{wanted:?}: {kind:?} only began");
            writer.change(Change::End(kind));
            assert!(!store.synced(), "{wanted:?}: the end of {kind:?} is not published yet");
            writer.settle();
            assert_eq!(store.synced(), place + 1 == needed.len(), "{wanted:?} after {kind:?}");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2, "each caller is called once");
        let late = Arc::new(AtomicUsize::new(0));
        let called = late.clone();
        store.when_synced(move || {
            called.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(late.load(Ordering::Relaxed), 1, "who comes late is called at once");
        feed(&mut writer, empty_lists());
        assert!(store.synced(), "it stays complete through a relist");
        assert_eq!((calls.load(Ordering::Relaxed), late.load(Ordering::Relaxed)), (2, 1));
    }
}

#[test]
fn what_is_not_needed_is_not_waited_for() {
    use crate::store::Need;
    use crate::store::change::HostKind;
    let wanted = Wanted { imports: true, ingress: true, gateway: true, ..ALL };
    let (store, mut writer, _) = store(wanted);
    let calls: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
    let needs = [Need::Cluster, Need::Imports, Need::Hosts, Need::All];
    for (need, calls) in needs.into_iter().zip(&calls) {
        let calls = calls.clone();
        store.when_known(need, move || _ = calls.fetch_add(1, Ordering::Relaxed));
    }
    let mut state = |kinds: &[Kind]| {
        for &kind in kinds {
            writer.change(Change::Begin(kind));
            writer.change(Change::End(kind));
        }
        writer.settle();
        let called: Vec<bool> = calls.iter().map(|calls| calls.load(Ordering::Relaxed) == 1).collect();
        assert_eq!(called, needs.map(|need| store.knows(need)), "who waits is called when it is known");
        called
    };
    assert_eq!(state(&KINDS[..3]), [false; 4]);
    assert_eq!(state(&[Kind::Imports]), [false; 4], "pods are missing");
    assert_eq!(state(&KINDS), [true, true, false, false]);
    let hosts = HostKind::ALL.map(Kind::Hosts);
    assert_eq!(state(&hosts[..4]), [true, true, false, false]);
    assert_eq!(state(&hosts), [true; 4]);
}

#[test]
fn whoever_sees_the_store_complete_sees_all_that_completed_it() {
    let (store, mut writer, _) = store(Wanted { pods: false, ..ALL });
    let seen = Arc::new(AtomicUsize::new(0));
    let (store_seen, counted) = (store.clone(), seen.clone());
    store.when_synced(move || {
        let found = store_seen.service(&run(&["web", "shop"])).unwrap();
        let namespace = store_seen.namespace(&run(&["shop"])).is_some();
        counted.store(found.endpoints().len() + usize::from(namespace), Ordering::Relaxed);
    });
    let kinds = [Kind::Namespaces, Kind::Services, Kind::EndpointSlices];
    let objects = [
        namespace("shop", "1"),
        headless("shop", "web", "1"),
        put_slice("shop", "web-1", "1", "web", &["10.0.0.1", "10.0.0.2"]),
    ];
    for (kind, object) in kinds.into_iter().zip(objects) {
        [Change::Begin(kind), object, Change::End(kind)].into_iter().for_each(|change| writer.change(change));
    }
    writer.settle();
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[test]
fn a_relist_without_changes_costs_nothing() {
    let (store, mut writer, clock) = store(ALL);
    let objects = |writer: &mut Writer| {
        for kind in KINDS {
            writer.change(Change::Begin(kind));
            let object = match kind {
                Kind::Services => headless("shop", "web", "1"),
                Kind::EndpointSlices => put_slice("shop", "web-1", "1", "web", &["10.0.0.1"]),
                Kind::Namespaces => namespace("shop", "1"),
                Kind::Pods => pod("shop", "web-0", "1", &["10.0.0.1"]),
                Kind::Imports | Kind::Hosts(_) => unreachable!("the model knows the usual kinds"),
            };
            writer.change(object);
            writer.change(Change::End(kind));
        }
        writer.settle();
    };
    objects(&mut writer);
    let before = store.service(&run(&["web", "shop"])).unwrap();
    let space = store.namespace(&run(&["shop"])).unwrap();
    let serial = store.serial();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(10));
        objects(&mut writer);
        assert!(Arc::ptr_eq(&before, &store.service(&run(&["web", "shop"])).unwrap()));
        assert!(Arc::ptr_eq(&space, &store.namespace(&run(&["shop"])).unwrap()));
        assert_eq!(store.serial(), serial);
    }
}

#[test]
fn a_changed_slice_leaves_the_parts_of_the_others_alone() {
    let (store, mut writer, _) = store(ALL);
    feed(
        &mut writer,
        [
            headless("shop", "web", "1"),
            put_slice("shop", "web-1", "1", "web", &["10.0.0.1"]),
            put_slice("shop", "web-2", "1", "web", &["10.0.0.2"]),
        ],
    );
    let part = |name: &str| {
        let service = store.service(&run(&["web", "shop"])).unwrap();
        service
            .endpoints()
            .parts()
            .iter()
            .find(|part| part.slice == SliceId::of(&ObjectKey::new("shop", name)))
            .cloned()
            .unwrap()
    };
    let (first, second) = (part("web-1"), part("web-2"));
    feed(&mut writer, [put_slice("shop", "web-2", "2", "web", &["10.0.0.3"])]);
    assert!(Arc::ptr_eq(&first, &part("web-1")));
    assert!(!Arc::ptr_eq(&second, &part("web-2")));
    // A new version of the Service touches no slice.
    let second = part("web-2");
    feed(&mut writer, [headless("shop", "web", "2")]);
    assert!(Arc::ptr_eq(&first, &part("web-1")) && Arc::ptr_eq(&second, &part("web-2")));
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let (store, mut writer, _) = store(ALL);
    feed(&mut writer, [cluster("shop", "web", "1", "10.96.0.1")]);
    writer.change(cluster("shop", "web", "2", "10.96.0.2"));
    writer.change(put_slice("shop", "web-1", "1", "web", &["10.0.0.1"]));
    let service = store.service(&run(&["web", "shop"])).unwrap();
    assert_eq!(*service.spec(), Spec::Cluster { v4: vec![[10, 96, 0, 1]].into(), v6: [].into() });
    assert!(service.endpoints().is_empty());
    assert!(endpoint_keys(&store, ip("10.0.0.1")).is_empty());
    assert!(cluster_keys(&store, ip("10.96.0.2")).is_empty());
    writer.settle();
    assert_eq!(cluster_keys(&store, ip("10.96.0.2")), [run(&["web", "shop"])]);
    assert!(cluster_keys(&store, ip("10.96.0.1")).is_empty());
    assert_eq!(endpoint_keys(&store, ip("10.0.0.1")), [run(&["web", "shop"])]);
}

#[test]
fn what_is_said_of_a_name_with_capitals_is_said_of_nobody() {
    // Found by fuzzing (`watch_protobuf`): such a DELETED took the Service of the name in lower case.
    let (store, mut writer, _) = store(ALL);
    feed(
        &mut writer,
        [
            namespace("shop", "1"),
            headless("shop", "web", "1"),
            pod("shop", "p", "1", &["10.0.0.9"]),
            Change::Remove(Kind::Services, ObjectKey::new("shop", "wEb")),
            Change::Remove(Kind::Services, ObjectKey::new("Shop", "web")),
            Change::Remove(Kind::Namespaces, ObjectKey::new("", "SHOP")),
            Change::Remove(Kind::Pods, ObjectKey::new("SHOP", "p")),
        ],
    );
    assert!(store.service(&run(&["web", "shop"])).is_some());
    assert!(store.namespace(&run(&["shop"])).is_some_and(|namespace| namespace.exists()));
    assert_eq!(store.counts().pods, 1);
}

#[test]
fn a_slice_without_its_service_has_a_ptr_and_no_name_until_the_service_comes() {
    let (store, mut writer, _) = store(ALL);
    feed(&mut writer, [put_slice("shop", "web-1", "1", "web", &["10.0.0.1"])]);
    let key = run(&["web", "shop"]);
    assert_eq!(*store.service(&key).unwrap().spec(), Spec::Orphan);
    assert_eq!(endpoint_keys(&store, ip("10.0.0.1")), [&key[..]]);
    feed(&mut writer, [headless("shop", "web", "1")]);
    assert_eq!(*store.service(&key).unwrap().spec(), Spec::Headless);
    assert_eq!(store.service(&key).unwrap().endpoints().v4(), [[10, 0, 0, 1]]);
    // The Service goes, the slice stays (K-267).
    feed(&mut writer, [Change::Remove(Kind::Services, ObjectKey::new("shop", "web"))]);
    assert_eq!(*store.service(&key).unwrap().spec(), Spec::Orphan);
    assert_eq!(endpoint_keys(&store, ip("10.0.0.1")), [&key[..]]);
    feed(&mut writer, [Change::Remove(Kind::EndpointSlices, ObjectKey::new("shop", "web-1"))]);
    assert!(store.service(&key).is_none());
    assert!(endpoint_keys(&store, ip("10.0.0.1")).is_empty());
}

#[test]
fn a_slice_that_loses_its_service_name_is_gone() {
    let (store, mut writer, _) = store(ALL);
    feed(&mut writer, [headless("shop", "web", "1"), put_slice("shop", "web-1", "1", "web", &["10.0.0.1"])]);
    feed(&mut writer, [put_slice("shop", "web-1", "2", "", &["10.0.0.1"])]);
    assert!(store.service(&run(&["web", "shop"])).unwrap().endpoints().is_empty());
    assert!(endpoint_keys(&store, ip("10.0.0.1")).is_empty());
    assert_eq!(store.counts().endpoints, 0);
}

#[test]
fn an_object_whose_name_is_no_label_harms_nothing() {
    let (store, mut writer, _) = store(ALL);
    let long = "x".repeat(64);
    feed(
        &mut writer,
        [
            headless("shop", &long, "1"),
            headless("", "web", "1"),
            headless("shop", "", "1"),
            put_slice(&long, "web-1", "1", "web", &["10.0.0.1"]),
            put_slice("shop", "web-2", "1", &long, &["10.0.0.2"]),
            namespace(&long, "1"),
            namespace("", "1"),
            pod(&long, "a", "1", &["10.0.0.3"]),
            Change::Remove(Kind::Services, ObjectKey::new("shop", &long)),
            Change::Remove(Kind::EndpointSlices, ObjectKey::new("", "")),
            Change::Remove(Kind::Namespaces, ObjectKey::new("", &long)),
            Change::Remove(Kind::Pods, ObjectKey::new(&long, "b")),
            headless("shop", "web", "1"),
        ],
    );
    assert_eq!(store.counts(), super::super::Counts { services: 1, endpoints: 0, namespaces: 0, pods: 0 });
}

#[test]
fn names_differ_by_more_than_the_case_of_ascii_letters() {
    let (store, mut writer, _) = store(ALL);
    // Kubernetes allows no capitals; were one to come, it is found by its lower-case question.
    feed(&mut writer, [headless("Shop", "Web", "1")]);
    assert!(store.service(&run(&["web", "shop"])).is_some());
}

#[test]
fn every_name_of_a_namespace_follows_the_namespace_at_once() {
    let (store, mut writer, _) = store(ALL);
    feed(&mut writer, [headless("shop", "web", "1")]);
    let web = store.service(&run(&["web", "shop"])).unwrap();
    assert!(!web.namespace().exists(), "the Service came before its Namespace (K-266)");
    writer.change(namespace("shop", "1"));
    writer.settle();
    assert!(web.namespace().exists(), "without the Service being touched");
    assert!(Arc::ptr_eq(&web, &store.service(&run(&["web", "shop"])).unwrap()));
    feed(&mut writer, [Change::Remove(Kind::Namespaces, ObjectKey::new("", "shop"))]);
    assert!(!web.namespace().exists());
    assert!(store.namespace(&run(&["shop"])).is_none());
}

#[test]
fn namespaces_that_came_and_went_leave_nothing_behind() {
    let (store, mut writer, _) = store(ALL);
    feed(&mut writer, [namespace("shop", "1")]);
    for number in 0..1000 {
        let name = format!("test-{number}");
        feed(
            &mut writer,
            [
                namespace(&name, "1"),
                headless(&name, "web", "1"),
                put_slice(&name, "web-1", "1", "web", &["10.0.0.1"]),
                pod(&name, "web-0", "1", &["10.0.0.1"]),
            ],
        );
        feed(
            &mut writer,
            [
                Change::Remove(Kind::Pods, ObjectKey::new(&name, "web-0")),
                Change::Remove(Kind::EndpointSlices, ObjectKey::new(&name, "web-1")),
                Change::Remove(Kind::Services, ObjectKey::new(&name, "web")),
                Change::Remove(Kind::Namespaces, ObjectKey::new("", &name)),
            ],
        );
    }
    let mut left = 0;
    store.each_service(|_| left += 1);
    assert_eq!(left, 0);
    // A cluster where namespaces come and go all day (previews, tests) must not grow (promise 7: memory has a ceiling).
    assert!(store.namespaces.len() <= 16, "{} namespaces are kept of 1 that exists", store.namespaces.len());
}

#[test]
fn the_serial_moves_with_what_is_answered_and_with_nothing_else() {
    let (store, mut writer, clock) = store(ALL);
    assert_eq!(store.serial(), 0, "before anything came (K-006)");
    let mut expect = |changes: Vec<Change>, moves: bool, what: &str| {
        clock.advance(Duration::from_secs(1));
        let before = store.serial();
        feed(&mut writer, changes);
        let want = if moves { clock.wall().serial() } else { before };
        assert_eq!(store.serial(), want, "{what}");
    };
    let ports = |version: &str, port: u16, name: &str, protocol| {
        let mut object = service("shop", "web", version, ServiceSpec::Headless);
        object.ports = vec![ServicePort { name: name.into(), protocol, port }];
        Change::Upsert(Object::Service(object))
    };
    let external = |version: &str, target: &str| {
        let spec = ServiceSpec::External(target.into());
        Change::Upsert(Object::Service(service("shop", "out", version, spec)))
    };
    expect(vec![namespace("shop", "1")], false, "a namespace");
    expect(vec![headless("shop", "web", "1")], true, "a new service");
    expect(vec![headless("shop", "web", "1")], false, "the same version");
    expect(vec![headless("shop", "web", "2")], false, "a new version of the same");
    expect(vec![ports("3", 81, "http", Protocol::Tcp)], true, "a port's number");
    expect(vec![ports("4", 81, "web", Protocol::Tcp)], true, "a port's name");
    expect(vec![ports("5", 81, "web", Protocol::Udp)], true, "a port's protocol");
    expect(vec![external("1", "example.com")], true, "an ExternalName");
    expect(vec![external("2", "example.com")], false, "the same target");
    expect(vec![external("3", "example.net")], true, "another target");

    let two = |version: &str, addresses: &[&str]| put_slice("shop", "web-1", version, "web", addresses);
    expect(vec![two("1", &["10.0.0.1", "10.0.0.2"])], true, "a new slice");
    expect(vec![two("1", &["10.0.0.1", "10.0.0.2"])], false, "the same version of it");
    expect(vec![two("2", &["10.0.0.1", "10.0.0.2"])], false, "a new version with the same ready endpoints");
    expect(vec![two("3", &["10.0.0.2", "10.0.0.1"])], true, "another order");
    expect(vec![two("4", &["10.0.0.2"])], true, "an endpoint less");
    let mut hostname = slice("shop", "web-1", "5", "web", &["10.0.0.2"]);
    hostname.endpoints[0].hostname = "a".into();
    expect(vec![Change::Upsert(Object::Slice(hostname.clone()))], true, "a hostname");
    hostname.revision = revision("6");
    hostname.endpoints[0].zone = "zone-a".into();
    hostname.triggered = Some(1);
    expect(vec![Change::Upsert(Object::Slice(hostname.clone()))], false, "a zone and a trigger time");
    hostname.revision = revision("7");
    hostname.ports[0].port = Some(9);
    expect(vec![Change::Upsert(Object::Slice(hostname.clone()))], true, "a slice's port");

    expect(vec![pod("shop", "p", "1", &["10.0.0.9"])], true, "a new pod");
    expect(vec![pod("shop", "p", "2", &["10.0.0.9"])], false, "a new version of it");
    expect(vec![pod("shop", "p", "3", &["10.0.0.8"])], true, "its address");
    let pods = || ObjectKey::new("shop", "p");
    expect(vec![Change::Remove(Kind::Pods, pods())], true, "a pod less");
    expect(vec![Change::Remove(Kind::Pods, pods())], false, "a pod that is not known");
    let slices = || ObjectKey::new("shop", "web-1");
    expect(vec![Change::Remove(Kind::EndpointSlices, slices())], true, "a slice less");
    expect(vec![Change::Remove(Kind::EndpointSlices, slices())], false, "a slice that is not known");
    let services = || ObjectKey::new("shop", "web");
    expect(vec![Change::Remove(Kind::Services, services())], true, "a service less");
    expect(vec![Change::Remove(Kind::Services, services())], false, "a service that is not known");
    let namespaces = || ObjectKey::new("", "shop");
    expect(vec![Change::Remove(Kind::Namespaces, namespaces())], false, "a namespace less");
    expect(vec![Change::Begin(Kind::Services), external("3", "example.net")], false, "half a list");
    expect(vec![Change::End(Kind::Services)], false, "a list that names all there is");
    expect(
        vec![Change::Begin(Kind::Services), Change::End(Kind::Services)],
        true,
        "a list that leaves something out",
    );
    expect(empty_lists(), false, "empty lists of nothing");
}

#[test]
fn a_wildcard_length_of_zero_bits_covers_every_address_of_its_family() {
    let (store, mut writer, _) = store(ALL);
    let below = |prefix: &str, bits: u8| store.reverse().any_below(ip(prefix), bits, |_| true);
    assert!(!below("0.0.0.0", 0) && !below("::", 0));
    feed(&mut writer, [cluster("shop", "web", "1", "255.255.255.255")]);
    assert!(below("0.0.0.0", 0) && !below("::", 0));
    assert!(below("255.0.0.0", 8) && below("255.255.255.255", 32) && !below("254.0.0.0", 8));
    feed(
        &mut writer,
        [
            cluster("shop", "web", "2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            put_slice("shop", "web-1", "1", "web", &["::ffff:10.0.0.1"]),
        ],
    );
    assert!(!below("0.0.0.0", 0), "an IPv4 address in IPv6 is not an IPv4 address");
    assert!(below("::", 0) && below("f000::", 4) && below("ffff::", 16) && !below("fe00::", 16));
    assert!(below("::", 80) && !below("10.0.0.0", 8));
}

#[test]
fn an_exposed_address_is_found_behind_many_that_are_not() {
    // K-175: names above a PTR exist, whatever stands before it in the index.
    let (store, mut writer, _) = store(ALL);
    let hidden: Vec<String> =
        (0..5000_u32).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
    let mut changes: Vec<Change> = hidden
        .chunks(500)
        .enumerate()
        .map(|(number, addresses)| {
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            put_slice("hidden", &format!("h-{number}"), "1", "h", &addresses)
        })
        .collect();
    changes.push(put_slice("shown", "s-1", "1", "s", &["10.0.200.1"]));
    feed(&mut writer, changes);
    let shown = |prefix: &str, bits| {
        store.reverse().any_below(ip(prefix), bits, |service| service.key() == run(&["s", "shown"]))
    };
    assert!(shown("10.0.200.0", 24));
    assert!(shown("10.0.0.0", 16), "behind 5,000 addresses that the stanza hides");
}

/// A new version of slice `NAME-1` of Service `name`, triggered at a moment. Unit: nanoseconds since 1970.
fn triggered(name: &str, version: &str, at: Option<u64>) -> Change {
    let mut slice = slice("shop", &format!("{name}-1"), version, name, &["10.0.0.1"]);
    slice.triggered = at;
    Change::Upsert(Object::Slice(slice))
}

#[test]
fn a_change_of_a_slice_is_timed_from_its_trigger_until_it_is_served() {
    // K-275: when it is published, not when it comes in, and by the kind that the Service is of then.
    let (_, writer, clock) = store(ALL);
    let counts = Arc::new(crate::metrics::ClusterCounts::default());
    let mut writer = writer.counting(counts.clone());
    let seen = |kind| counts.read().programming.get(&kind).map_or((0, 0), |seen| (seen.count(), seen.sum));
    let (cluster_ip, headless_kind) =
        (crate::metrics::ServiceKind::ClusterIp, crate::metrics::ServiceKind::Headless);
    let start = START * 1_000_000_000;

    writer.change(cluster("shop", "web", "1", "10.96.0.1"));
    writer.change(headless("shop", "db", "1"));
    writer.change(triggered("web", "1", Some(start)));
    clock.advance(std::time::Duration::from_millis(250));
    assert_eq!(seen(cluster_ip), (0, 0), "not published yet");
    writer.settle();
    assert_eq!(seen(cluster_ip), (1, 250_000));

    feed(&mut writer, [triggered("web", "2", None)]);
    assert_eq!(seen(cluster_ip), (1, 250_000), "a slice without a trigger time");
    feed(&mut writer, [triggered("web", "2", Some(start))]);
    assert_eq!(seen(cluster_ip), (1, 250_000), "a version that is served already");
    feed(&mut writer, [triggered("web", "3", Some(start)), triggered("web", "4", Some(start))]);
    assert_eq!(seen(cluster_ip), (3, 750_000), "two changes, published together");
    feed(&mut writer, [triggered("web", "5", Some(start + 9_000_000_000))]);
    assert_eq!(seen(cluster_ip), (4, 750_000), "a trigger time that our clock has not reached");
    feed(&mut writer, [cluster("shop", "web", "2", "10.96.0.2")]);
    assert_eq!(seen(cluster_ip), (4, 750_000), "a change of the Service alone");

    feed(&mut writer, [triggered("db", "1", Some(start))]);
    assert_eq!((seen(headless_kind), seen(cluster_ip)), ((1, 250_000), (4, 750_000)));
    feed(&mut writer, [triggered("orphan", "1", Some(start))]);
    feed(&mut writer, [Change::Remove(Kind::EndpointSlices, ObjectKey::new("shop", "db-1"))]);
    assert_eq!((seen(headless_kind), seen(cluster_ip)), ((1, 250_000), (4, 750_000)));
}

#[test]
fn a_large_service_is_found_by_every_name_and_address_and_an_event_touches_one_part() {
    // 50 slices of 100 endpoints, without names of their own, with some, and with IPv6 among them.
    for named in [0_usize, 1, 2] {
        let (store, mut writer, _) = store(Wanted { pods: false, pod_names: false, ..ALL });
        let object = |at: usize, version: usize| {
            let addresses: Vec<String> = (0..100)
                .map(|nth| match named {
                    2 if at == 7 => format!("fd00::{at:x}:{nth:x}"),
                    _ => format!("10.{}.{at}.{nth}", version % 2),
                })
                .collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut object = slice("shop", &format!("big-{at}"), &version.to_string(), "big", &addresses);
            for (nth, endpoint) in
                object.endpoints.iter_mut().enumerate().filter(|_| named == 1 && at.is_multiple_of(2))
            {
                endpoint.hostname = format!("host-{at}-{nth}").into();
            }
            Change::Upsert(Object::Slice(object))
        };
        let all = std::iter::once(headless("shop", "big", "1")).chain((0..50).map(|at| object(at, 0)));
        feed(&mut writer, all);
        let service = || store.service(&run(&["big", "shop"])).unwrap();
        let before = service();
        feed(&mut writer, [object(3, 1)]);
        let after = service();
        let kept = before.endpoints().parts().iter().zip(after.endpoints().parts());
        assert_eq!(kept.filter(|(old, new)| Arc::ptr_eq(old, new)).count(), 49);
        assert_eq!(after.endpoints().len(), 5000);
        for part in after.endpoints().parts() {
            for member in part.members() {
                let name = member.name(Naming::Address);
                let found: Vec<IpAddr> = after
                    .endpoints()
                    .named(name.as_bytes(), Naming::Address)
                    .map(|(_, member)| member.ip())
                    .collect();
                assert_eq!(found, [member.ip()]);
                assert_eq!(after.endpoints().with_address(member.ip()).count(), 1);
                assert_eq!(endpoint_keys(&store, member.ip()), [run(&["big", "shop"])]);
            }
        }
        // What went is gone from everywhere.
        assert_eq!(after.endpoints().named(b"10-0-3-7", Naming::Address).count(), 0);
        assert_eq!(endpoint_keys(&store, ip("10.0.3.7")), Vec::<Vec<u8>>::new());
        assert_eq!(after.endpoints().named(b"host-2-7", Naming::Address).count(), usize::from(named == 1));
    }
}

#[test]
fn a_key_is_found_whatever_its_length() {
    let (store, mut writer, _) = store(ALL);
    for length in [1, 20, 33, 34, 35, 36, 62, 63] {
        let (name, space) = ("n".repeat(length), "s".repeat(length));
        feed(&mut writer, [cluster(&space, &name, "1", "10.96.0.1")]);
        let key = run(&[&name, &space]);
        assert_eq!(store.service(&key).map(|service| service.key().to_vec()), Some(key.clone()));
        feed(&mut writer, [Change::Remove(Kind::Services, ObjectKey::new(&space, &name))]);
        assert!(store.service(&key).is_none());
    }
}
