//! A store as bytes and back: all of it, or nothing.

use proptest::prelude::*;

use super::*;
use crate::store::change::{ExternalAddress, HostKind, HostsObject, ImportObject, ListedHost, SliceImport};
use crate::store::snapshot::{About, Lists, Record, SnapshotFault, Take, decode, decode_unsealed, write};
use crate::store::{HostName, ImportSpec, Need};

/// Bytes of a seal.
const SEAL: usize = 32;

/// A snapshot of a store.
pub(super) fn bytes(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let about = About::new("a test".to_owned(), "app=web".to_owned(), START);
    let length = write(store, about, &mut bytes).unwrap();
    assert_eq!(usize::try_from(length).unwrap(), bytes.len());
    bytes
}

/// Takes a snapshot in.
pub(super) fn restore(writer: &mut Writer, bytes: &[u8]) {
    writer.restore(&decode(bytes).unwrap(), "file").unwrap();
}

/// What stands in front of the records, and the records, sorted.
pub(super) fn records(bytes: &[u8]) -> (About, Vec<Vec<u8>>) {
    let decoded = decode(bytes).unwrap();
    let mut take = Take::new(&bytes[..bytes.len() - SEAL]);
    let about = About::take(&mut take).unwrap();
    assert_eq!(about, decoded.about);
    let mut records = Vec::new();
    loop {
        let before = take.rest();
        let record = Record::take(&mut take, &mut Lists::default()).unwrap();
        if record.is_none() {
            break;
        }
        records.push(before[..before.len() - take.rest().len()].to_vec());
    }
    records.sort();
    (about, records)
}

/// A store of every kind of object.
fn everything() -> (Arc<Store>, Writer) {
    let (store, mut writer, _) = store(Wanted::EVERYTHING);
    let mut outside =
        service("shop", "front", "5", ServiceSpec::Cluster(vec![ip("10.96.0.9"), ip("fd00::9")]));
    outside.external = vec![
        ExternalAddress::Ip(ip("192.0.2.9")),
        ExternalAddress::Ip(ip("192.0.2.9")),
        ExternalAddress::Ip(ip("2001:db8::9")),
    ];
    let mut alias = service("shop", "alias", "6", ServiceSpec::Headless);
    alias.external = vec![ExternalAddress::Name("lb.example.org".into())];
    let mut named = slice("shop", "named-1", "7", "web", &["10.1.0.7", "fd00::7"]);
    named.endpoints[0].hostname = "web-0".into();
    named.endpoints[1].target = "web-7d4b9".into();
    named.endpoints[1].zone = "Zone-A".into();
    let mut imported = slice("shop", "imported-1", "8", "", &["10.2.0.1"]);
    imported.import = Some(SliceImport { name: "web".into(), cluster: "East".into() });
    let mut client = match pod("shop", "web-0", "9", &["10.1.0.7", "fd00::7"]) {
        Change::Upsert(Object::Pod(pod)) => pod,
        _ => unreachable!(),
    };
    client.hostname = "web-0".into();
    client.subdomain = "web".into();
    client.labels = vec![("app".into(), "web".into())];
    let mut labelled = match namespace("shop", "10") {
        Change::Upsert(Object::Namespace(namespace)) => namespace,
        _ => unreachable!(),
    };
    labelled.labels = vec![("team".into(), "shop".into())];
    let gateway = HostsObject {
        kind: HostKind::Gateways,
        key: ObjectKey::new("shop", "gate"),
        revision: revision("12"),
        created: 7,
        addresses: vec![ExternalAddress::Ip(ip("192.0.2.1")), ExternalAddress::Name("gate.example".into())],
        hosts: vec![ListedHost { section: "one".into(), host: "".into() }],
        parents: Vec::new(),
    };
    let route = HostsObject {
        kind: HostKind::HttpRoutes,
        key: ObjectKey::new("shop", "route"),
        revision: revision("13"),
        created: 8,
        addresses: Vec::new(),
        hosts: vec![ListedHost { section: "".into(), host: "www.example.org".into() }],
        parents: vec![crate::store::change::ParentGateway {
            gateway: gateway.key.clone(),
            section: "one".into(),
        }],
    };
    let import = ImportObject {
        key: ObjectKey::new("shop", "web"),
        revision: revision("14"),
        addresses: Some(vec![ip("10.97.0.1"), ip("fd00::97")]),
        ports: vec![ServicePort { name: "http".into(), protocol: Protocol::Sctp, port: 81 }],
    };
    let system = NamespaceObject {
        name: "kube-system".into(),
        revision: Revision { uid: "the-cluster".into(), version: "1".into() },
        labels: Vec::new(),
    };
    let changes = [
        Change::Upsert(Object::Namespace(labelled)),
        Change::Upsert(Object::Namespace(system)),
        Change::Upsert(Object::Service(outside)),
        Change::Upsert(Object::Service(alias)),
        Change::Upsert(Object::Service(service(
            "shop",
            "out",
            "15",
            ServiceSpec::External("Example.ORG".into()),
        ))),
        Change::Upsert(Object::Service(service(
            "shop",
            "bad",
            "16",
            ServiceSpec::External("10.0.0.1".into()),
        ))),
        headless("shop", "web", "17"),
        Change::Upsert(Object::Slice(named)),
        Change::Upsert(Object::Slice(imported)),
        put_slice("shop", "orphan-1", "18", "gone", &["10.1.0.9", "10.1.0.10"]),
        Change::Upsert(Object::Pod(client)),
        Change::Upsert(Object::Import(import)),
        Change::Upsert(Object::Hosts(gateway)),
        Change::Upsert(Object::Hosts(route)),
    ];
    let kinds = Wanted::EVERYTHING.kinds();
    kinds.iter().for_each(|kind| writer.change(Change::Begin(*kind)));
    feed(&mut writer, changes);
    feed(&mut writer, kinds.into_iter().map(Change::End));
    (store, writer)
}

/// A store and its writer after a restart.
fn restarted(bytes: &[u8]) -> (Arc<Store>, Writer) {
    let (store, mut writer, _) = store(Wanted::EVERYTHING);
    restore(&mut writer, bytes);
    (store, writer)
}

#[test]
fn k273_a_snapshot_has_all_that_a_store_of_every_kind_of_object_answers() {
    let (before, _) = everything();
    let bytes = bytes(&before);
    let (after, _writer) = restarted(&bytes);
    assert_eq!(records(&super::snapshot::bytes(&after)), records(&bytes));
    assert!(after.synced() && !after.is_reconciled());
    assert!(Need::ALL.iter().all(|need| after.freshness().stale(*need, crate::time::Tick(0))));
    assert_eq!(after.counts(), before.counts());
    assert_eq!(after.serial(), before.serial());

    let web = after.service(&run(&["web", "shop"])).unwrap();
    assert_eq!((web.uid(), web.version()), ("uid".to_owned(), "17".to_owned()));
    assert_eq!(web.endpoints().named(b"web-0", Naming::Pod).count(), 1);
    assert_eq!(web.endpoints().named(b"web-7d4b9", Naming::Pod).count(), 1);
    let zoned: usize =
        web.endpoints().parts().iter().map(|part| part.in_zone(|zone| zone == "zone-a").count()).sum();
    assert_eq!(zoned, 1);
    assert_eq!(after.pods().client(ip("10.1.0.7")).unwrap().label("app"), Some("web"));
    assert!(after.pods().has_subdomain(&run(&["web", "shop"])));
    let import = after.imports().get(&run(&["web", "shop"])).unwrap();
    assert!(matches!(import.spec(), ImportSpec::Set { .. }));
    assert_eq!(import.members().iter().map(|member| member.cluster()).collect::<Vec<_>>(), ["east"]);
    let (_, front) = after.externals().service(&run(&["front", "shop"])).unwrap();
    assert_eq!((front.listed(), front.addresses().ips().count()), (3, 2));
    assert_eq!(after.externals().with_address(ip("192.0.2.9")).len(), 1);
    let (_, alias) = after.externals().service(&run(&["alias", "shop"])).unwrap();
    assert!(alias.addresses().alias().is_some());
    let host = after.hosts().get(HostName::of("www.example.org").unwrap().as_bytes()).unwrap();
    assert_eq!(host.claims().len(), 1);
}

#[test]
fn k274_what_a_list_does_not_name_goes_when_it_is_complete_and_not_before() {
    let (before, _) = everything();
    let (after, mut writer) = restarted(&bytes(&before));
    writer.change(Change::Begin(Kind::Services));
    feed(&mut writer, [headless("shop", "web", "17"), headless("shop", "new", "99")]);
    assert!(after.service(&run(&["new", "shop"])).is_some(), "what comes is served");
    assert!(after.service(&run(&["front", "shop"])).is_some(), "nothing goes before the list is complete");
    assert!(after.externals().service(&run(&["front", "shop"])).is_some());
    feed(&mut writer, [Change::End(Kind::Services)]);
    assert!(after.service(&run(&["front", "shop"])).is_none());
    assert!(after.externals().service(&run(&["front", "shop"])).is_none());
    assert!(after.service(&run(&["web", "shop"])).is_some());
    assert!(after.synced());
    for kind in Wanted::EVERYTHING.kinds().into_iter().filter(|kind| *kind != Kind::Services) {
        assert!(!after.is_reconciled() || kind != Kind::EndpointSlices);
        feed(&mut writer, [Change::Begin(kind), Change::End(kind)]);
    }
    assert!(after.is_reconciled());
    assert_eq!(after.counts().endpoints, 0);
    assert!(after.pods().is_empty());
    assert!(after.hosts().get(HostName::of("www.example.org").unwrap().as_bytes()).is_none());
}

#[test]
fn k274_an_object_that_did_not_change_meanwhile_is_not_built_again() {
    let (before, _) = everything();
    let (after, mut writer) = restarted(&bytes(&before));
    let web = after.service(&run(&["web", "shop"])).unwrap();
    let gone = after.service(&run(&["gone", "shop"])).unwrap();
    let changes = after.changes();
    feed(&mut writer, [Change::Begin(Kind::Services), headless("shop", "web", "17")]);
    feed(&mut writer, [put_slice("shop", "orphan-1", "18", "gone", &["10.1.0.9", "10.1.0.10"])]);
    assert!(Arc::ptr_eq(&web, &after.service(&run(&["web", "shop"])).unwrap()));
    assert!(Arc::ptr_eq(&gone, &after.service(&run(&["gone", "shop"])).unwrap()));
    assert_eq!(after.changes(), changes, "nothing to write");
}

#[test]
fn k274_what_came_from_another_cluster_goes_at_once_and_only_that() {
    let (before, _) = everything();
    for listed in [false, true] {
        let (after, mut writer) = restarted(&bytes(&before));
        writer.change(Change::Begin(Kind::Services));
        feed(&mut writer, [headless("shop", "mine", "1")]);
        assert!(after.synced());
        writer.change(Change::Begin(Kind::Namespaces));
        feed(&mut writer, [namespace("shop", "1")]);
        assert!(after.synced(), "not told yet");
        let system = NamespaceObject {
            name: "kube-system".into(),
            revision: Revision { uid: "another".into(), version: "1".into() },
            labels: Vec::new(),
        };
        // It is another one's, or it is not there at all.
        match listed {
            false => feed(&mut writer, [Change::Upsert(Object::Namespace(system))]),
            true => feed(&mut writer, [Change::End(Kind::Namespaces)]),
        }
        assert!(!after.synced() && !after.knows(Need::Cluster));
        assert!(!after.freshness().stale(Need::All, crate::time::Tick(0)));
        let mut left = Vec::new();
        after.each_service(|service| left.push(service.key().to_vec()));
        assert_eq!(left, [run(&["mine", "shop"])], "{listed}");
        assert!(after.namespace(&run(&["shop"])).is_some());
        assert!(after.pods().is_empty() && after.imports().get(&run(&["web", "shop"])).is_none());
        assert_eq!(cluster_keys(&after, ip("10.96.0.9")), [[0_u8; 0]; 0]);
        for kind in
            Wanted::EVERYTHING.kinds().into_iter().filter(|kind| !(listed && *kind == Kind::Namespaces))
        {
            if !matches!(kind, Kind::Services | Kind::Namespaces) {
                writer.change(Change::Begin(kind));
            }
            feed(&mut writer, [Change::End(kind)]);
        }
        assert!(after.synced() && after.is_reconciled());
        assert!(after.service(&run(&["mine", "shop"])).is_some());
    }
}

#[test]
fn k274_a_snapshot_that_is_cut_off_or_changed_anywhere_is_refused() {
    let (before, _) = everything();
    let bytes = bytes(&before);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let fault = decode(&changed).err();
            let expected = match at {
                0..16 => SnapshotFault::Other,
                16..18 => SnapshotFault::Version { found: u16::from_be_bytes([changed[16], changed[17]]) },
                _ => SnapshotFault::Seal,
            };
            assert_eq!(fault, Some(expected), "bit {bit} of byte {at}");
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&longer).err(), Some(SnapshotFault::Seal));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_behind_a_seal_ends_without_a_panic_and_what_is_taken_can_be_served(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (before, _) = everything();
        let mut body = bytes(&before);
        body.truncate(body.len() - SEAL);
        for (place, byte) in places {
            let at = place.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        if let Ok(decoded) = decode_unsealed(&body) {
            let (after, mut writer, _) = store(decoded.about.wanted);
            writer.restore(&decoded, "file").unwrap();
            let again = bytes(&after);
            prop_assert!(decode(&again).is_ok());
            after.each_service(|service| {
                for naming in [Naming::Address, Naming::Pod] {
                    for group in service.endpoints().groups(naming, 0) {
                        group.members().for_each(|(_, member)| drop(member.name(naming)));
                    }
                }
            });
            for kind in after.wanted().kinds() {
                feed(&mut writer, [Change::Begin(kind), Change::End(kind)]);
            }
            let mut left = 0;
            after.each_service(|_| left += 1);
            prop_assert_eq!(left, 0);
        }
    }
}
