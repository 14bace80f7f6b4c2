//! Z7: what an API server sends, cut anywhere, and what a second decoder reads of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::cost::{Bound, bounded};
use super::objects;
use super::target::Seed;
use crate::source::cluster::fuzzed::{Language, event, frames, page, watch};
use crate::source::object::{decode, decode_protobuf};
use crate::store::change::{Change, HostKind, Kind, Object, ObjectKey, ServiceObject, ServiceSpec, Sink};
use crate::store::{Service, Spec, Store, Wanted};
use crate::time::{Clock, Wall};

/// Kinds, by the first byte of an input.
const KINDS: [Kind; 8] = [
    Kind::Services,
    Kind::EndpointSlices,
    Kind::Namespaces,
    Kind::Pods,
    Kind::Imports,
    Kind::Hosts(HostKind::Ingresses),
    Kind::Hosts(HostKind::Gateways),
    Kind::Hosts(HostKind::HttpRoutes),
];

/// What a watch may cost: each piece in a buffer, and for each wrong field words about it. A connection beside it.
const WATCHING: Bound = Bound { each: 1024, beside: 4 << 20 };

/// What a page may cost: what is not whole yet is kept.
const PAGING: Bound = Bound { each: 64, beside: 1 << 16 };

/// An input taken apart: kind, whether a list is coming, the stream, and the stream in pieces.
type Input<'a> = (Kind, bool, &'a [u8], Vec<&'a [u8]>);

/// The first byte chooses the kind, its highest bit whether a list is coming; the second how long pieces are.
fn input(bytes: &[u8]) -> Option<Input<'_>> {
    let ([kind, size], stream) = bytes.split_first_chunk::<2>()?;
    let pieces = stream.chunks(usize::from(*size).max(1)).collect();
    Some((KINDS[usize::from(kind & 0x7f) % KINDS.len()], kind & 0x80 != 0, stream, pieces))
}

/// A watch in JSON.
pub(super) fn run_json(bytes: &[u8]) {
    let Some((kind, listing, stream, pieces)) = input(bytes) else { return };
    watched(Language::Json, kind, listing, stream, &pieces);
    // The lines are those of the stream.
    let (mut lines, rest) = frames(Language::Json, &pieces).expect("no line here is too long");
    lines.push(rest);
    let blank = |line: &&[u8]| !line.iter().all(u8::is_ascii_whitespace);
    let expected: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').filter(blank).collect();
    let mut found: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    found.retain(blank);
    assert_eq!(found, expected);
    for line in expected {
        // What is an event for a decoder of trees is one for ours, and the same one.
        let told = event(Language::Json, line);
        let Ok(tree) = serde_json::from_slice::<Value>(line) else {
            assert!(told.is_none() || !strict(line), "an event in what is no JSON");
            continue;
        };
        let (Some(event), Some(object)) = (tree["type"].as_str(), tree.get("object")) else {
            continue;
        };
        // Of a key that comes twice a tree keeps the last one, and we take none.
        let Some((name, raw)) = told else { continue };
        assert_eq!(name, event);
        assert_eq!(&serde_json::from_slice::<Value>(&raw).expect("it is JSON"), object);
        objects(kind, &raw, object);
    }
}

/// Whether JSON that we only step over would have to be right too.
fn strict(line: &[u8]) -> bool {
    // Numbers beyond all bounds, and lone surrogates in texts that we pass over.
    std::str::from_utf8(line).is_ok()
        && !line.contains(&b'\\')
        && !line.windows(2).any(|two| matches!(two, [b'0'..=b'9', b'e' | b'E']))
}

/// A watch in protobuf.
pub(super) fn run_protobuf(bytes: &[u8]) {
    let Some((kind, listing, stream, pieces)) = input(bytes) else { return };
    watched(Language::Protobuf, kind, listing, stream, &pieces);
    let Some((whole, _)) = frames(Language::Protobuf, &[stream]) else { return };
    assert_eq!(frames(Language::Protobuf, &pieces).map(|(frames, _)| frames), Some(whole.clone()));
    // Frames are what their lengths say.
    let mut rest = stream;
    for frame in &whole {
        let (length, after) = rest.split_first_chunk::<4>().expect("a length");
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("a size");
        assert_eq!(&after[..length], &frame[..]);
        rest = &after[length..];
        let _ = event(Language::Protobuf, frame);
    }
    if let Ok(cut) = decode_protobuf(kind, stream) {
        checked(kind, cut.key.as_ref(), cut.object.as_ref());
    }
}

/// A watch means the same however it is cut; what it tells a store the store keeps.
fn watched(language: Language, kind: Kind, listing: bool, stream: &[u8], pieces: &[&[u8]]) {
    let whole = bounded(WATCHING, stream, || watch(language, kind, listing, &[stream]));
    assert_eq!(
        bounded(WATCHING, stream, || watch(language, kind, listing, pieces)),
        whole,
        "the same, whatever the cuts"
    );
    let (changes, ended, version) = whole;
    if !listing {
        assert!(!changes.iter().any(|change| matches!(change, Change::Begin(_) | Change::End(_))));
    }
    assert!(!version.is_empty() || listing, "a version once known is not forgotten: {ended}");
    let (store, mut writer) = Store::new(Wanted::EVERYTHING, Clock::manual(Wall(0)));
    for change in &changes {
        if let Change::Upsert(object) = change {
            checked(kind, None, Some(object));
        }
        writer.change(change.clone());
    }
    writer.settle();
    if kind != Kind::Services {
        return;
    }
    // The last word about each Service counts.
    let mut last: Vec<(&ObjectKey, Option<&ServiceObject>)> = Vec::new();
    for change in &changes {
        let (key, object) = match change {
            Change::Upsert(Object::Service(service)) => (&service.key, Some(service)),
            Change::Remove(_, key) => (key, None),
            _ => continue,
        };
        last.retain(|(known, _)| *known != key);
        last.push((key, object));
    }
    for (key, object) in last {
        let label = |text: &str| [&[u8::try_from(text.len()).unwrap_or(0)], text.as_bytes()].concat();
        let run = [label(&key.name), label(&key.namespace)].concat();
        // A key that was never good names nothing.
        if (1..=63).contains(&key.name.len()) && (1..=63).contains(&key.namespace.len()) {
            let found = store.service(&run);
            assert_eq!(found.is_some(), object.is_some(), "{key:?} after {changes:?}");
            if let (Some(found), Some(object)) = (found, object) {
                kept(&found, object);
            }
        }
    }
}

/// What is kept of a Service is what was said of it.
fn kept(found: &Service, said: &ServiceObject) {
    let ports: Vec<_> = found.ports().iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
    let expected: Vec<_> = said.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
    assert_eq!(ports, expected, "{:?}", said.key);
    match (&said.spec, found.spec()) {
        (ServiceSpec::Headless, Spec::Headless)
        | (ServiceSpec::External(_), Spec::External(_) | Spec::ExternalInvalid) => {}
        (ServiceSpec::Cluster(ips), Spec::Cluster { v4, v6 }) => {
            let kept: BTreeSet<IpAddr> =
                v4.iter().map(|ip| IpAddr::from(*ip)).chain(v6.iter().map(|ip| IpAddr::from(*ip))).collect();
            let said_of_it: BTreeSet<IpAddr> = ips.iter().copied().collect();
            assert_eq!(kept, said_of_it, "{:?}", said.key);
        }
        (said, kept) => panic!("{kept:?} is kept of {said:?}"),
    }
}

/// What a decoder says of an object is safe to make names of.
pub(super) fn checked(kind: Kind, key: Option<&ObjectKey>, object: Option<&Object>) {
    let label = |text: &str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let Some(object) = object else { return };
    let (of, known) = match object {
        Object::Service(service) => {
            assert!(label(&service.key.name) && label(&service.key.namespace), "{:?}", service.key);
            assert!(service.ports.iter().all(|port| port.port > 0));
            (Kind::Services, Some(&service.key))
        }
        Object::Slice(slice) => {
            assert!(label(&slice.key.namespace), "{:?}", slice.key);
            for endpoint in &slice.endpoints {
                assert!(endpoint.hostname.is_empty() || label(&endpoint.hostname), "{:?}", endpoint.hostname);
            }
            (Kind::EndpointSlices, Some(&slice.key))
        }
        Object::Namespace(namespace) => {
            assert!(label(&namespace.name), "{:?}", namespace.name);
            (Kind::Namespaces, None)
        }
        Object::Pod(pod) => (Kind::Pods, Some(&pod.key)),
        Object::Import(_) => (Kind::Imports, None),
        Object::Hosts(_) => (kind, None),
    };
    assert_eq!(of, kind);
    if let (Some(key), Some(known)) = (key, known) {
        assert_eq!(key, known);
    }
}

/// What a tree says of a Service beyond doubt is what we read of it.
fn objects(kind: Kind, raw: &[u8], tree: &Value) {
    let Ok(cut) = decode(kind, raw) else {
        // A key that comes twice costs the object.
        let once = decode(kind, tree.to_string().as_bytes());
        assert!(once.is_ok() == tree.is_object(), "an object that is none");
        return;
    };
    checked(kind, cut.key.as_ref(), cut.object.as_ref());
    objects::compare(kind, raw, &cut, tree);
    let text = |pointer: &str| tree.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let Some(Object::Service(service)) = &cut.object else { return };
    // Keys that come twice are another matter.
    if raw.windows(6).filter(|six| six == b"\"name\"").count() == 1 {
        assert_eq!(&*service.key.name, text("/metadata/name"));
    }
    if let ServiceSpec::Cluster(addresses) = &service.spec {
        let written = String::from_utf8_lossy(raw);
        assert!(
            addresses
                .iter()
                .all(|ip| { ip.is_ipv6() || written.contains(&ip.to_string()) || written.contains('\\') }),
            "addresses that nobody wrote: {addresses:?}"
        );
        if let (true, Ok(ip)) =
            (tree.pointer("/spec/clusterIPs").is_none(), text("/spec/clusterIP").parse::<IpAddr>())
            && raw.windows(11).filter(|key| key == b"\"clusterIP\"").count() == 1
            && ip.is_ipv4()
        {
            assert_eq!(addresses[..], [ip]);
        }
    }
}

/// A page of a list.
pub(super) fn run_list(bytes: &[u8]) {
    let Some((kind, protobuf, stream, pieces)) = input(bytes) else { return };
    let language = if protobuf { Language::Protobuf } else { Language::Json };
    let (items, end) = bounded(PAGING, stream, || page(language, &[stream]));
    assert_eq!(
        bounded(PAGING, stream, || page(language, &pieces)),
        (items.clone(), end.clone()),
        "the same, whatever the cuts"
    );
    for item in &items {
        let cut = if protobuf { decode_protobuf(kind, item) } else { decode(kind, item) };
        if let Ok(cut) = cut {
            checked(kind, cut.key.as_ref(), cut.object.as_ref());
        }
    }
    if protobuf {
        return;
    }
    // A tree has the same items, where the whole is one object with one list of objects.
    let Ok(tree) = serde_json::from_slice::<Value>(stream) else { return };
    let Some(fields) = tree.as_object() else { return };
    let lists = stream.windows(7).filter(|seven| seven == b"\"items\"").count();
    let objects = fields.get("items").and_then(Value::as_array).filter(|_| lists == 1);
    if let Some(objects) = objects
        && objects.iter().all(Value::is_object)
    {
        let found: Vec<Value> =
            items.iter().map(|item| serde_json::from_slice(item).expect("an item is JSON")).collect();
        assert_eq!(&found, objects);
        let twice = |key: &[u8]| stream.windows(key.len()).filter(|window| *window == key).count() > 1;
        if let (Some((version, ..)), Some(text)) =
            (end, tree.pointer("/metadata/resourceVersion").and_then(Value::as_str))
            && !twice(b"\"resourceVersion\"")
            && !twice(b"\"metadata\"")
        {
            assert_eq!(version, text);
        }
    }
}

/// A Service in JSON.
const SERVICE: &str = r#"{"metadata":{"name":"web","namespace":"shop","uid":"u","resourceVersion":"7"},"spec":{"clusterIP":"10.96.0.1","ports":[{"name":"http","port":80}]}}"#;

/// A slice in JSON.
const SLICE: &str = r#"{"metadata":{"name":"web-1","namespace":"shop","resourceVersion":"8","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"}],"endpoints":[{"addresses":["10.1.0.1"],"hostname":"h0","conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"p"},"zone":"z"},{"addresses":["fd00::1"],"conditions":{"ready":false}}]}"#;

/// Watches in JSON.
pub(super) fn json_seeds() -> Vec<Seed> {
    let line = |kind: &str, object: &str| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
    let with = |first: u8, size: u8, text: &str| [&[first, size][..], text.as_bytes()].concat();
    let bookmark =
        r#"{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}"#;
    let status = r#"{"kind":"Status","message":"too old","code":410}"#;
    let outside = r#"{"metadata":{"name":"i","namespace":"shop"},"spec":{"rules":[{"host":"a.example.org"}],"parentRefs":[{"name":"g"}],"hostnames":["b.example.org"],"listeners":[{"hostname":"*.example.org"}]},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]},"addresses":[{"value":"192.0.2.2"}]}}"#;
    let import = r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"type":"ClusterSetIP","ips":["10.200.0.1"],"ports":[{"port":80}]}}"#;
    let pod = r#"{"metadata":{"name":"p","namespace":"shop","labels":{"a":"b"}},"spec":{"hostname":"h","subdomain":"s"},"status":{"phase":"Running","podIPs":[{"ip":"10.1.0.1"}]}}"#;
    vec![
        (
            "services",
            with(
                0,
                20,
                &[line("ADDED", SERVICE), line("MODIFIED", SERVICE), line("DELETED", SERVICE)].concat(),
            ),
        ),
        ("slices", with(1, 7, &line("ADDED", SLICE))),
        ("namespaces", with(2, 3, &line("ADDED", r#"{"metadata":{"name":"shop","labels":{"a":"b"}}}"#))),
        ("pods", with(3, 50, &line("ADDED", pod))),
        ("imports", with(4, 50, &line("ADDED", import))),
        ("ingresses", with(5, 50, &line("ADDED", outside))),
        ("gateways", with(6, 50, &line("ADDED", outside))),
        ("routes", with(7, 50, &line("ADDED", outside))),
        ("listing", with(0x80, 11, &[line("ADDED", SERVICE), line("BOOKMARK", bookmark)].concat())),
        ("expired", with(0, 11, &line("ERROR", status))),
        ("bare_status", with(0, 11, status)),
        ("no_end", with(0, 9, line("ADDED", SERVICE).trim_end())),
        (
            "noise",
            with(
                0,
                5,
                "\n{\n{\"type\":\"X\",\"object\":{}}\n{\"type\":\"ADDED\",\"object\":{}}\n[]\n\"\\ud800\"\n",
            ),
        ),
        (
            "wrong_types",
            with(
                0,
                30,
                &line(
                    "ADDED",
                    r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":7,"clusterIPs":"x","ports":[{"port":"a"},{"port":70000}],"externalName":null}}"#,
                ),
            ),
        ),
        (
            "backwards",
            with(
                0,
                30,
                &[line("ADDED", SERVICE), line("BOOKMARK", r#"{"metadata":{"resourceVersion":"3"}}"#)]
                    .concat(),
            ),
        ),
    ]
}

/// A number as protobuf writes it.
pub(super) fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A field of bytes.
pub(super) fn field(at: u64, bytes: &[u8]) -> Vec<u8> {
    [number(at << 3 | 2), number(bytes.len().try_into().unwrap_or(0)), bytes.to_vec()].concat()
}

/// What stands around an object.
fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
}

/// A frame of a watch.
fn frame(event: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let frame = [field(1, event.as_bytes()), field(2, &field(1, &envelope(kind, raw)))].concat();
    [u32::try_from(frame.len()).unwrap_or(0).to_be_bytes().to_vec(), frame].concat()
}

/// A Service in protobuf.
fn service() -> Vec<u8> {
    let meta = [field(1, b"web"), field(3, b"shop"), field(5, b"u"), field(6, b"7")].concat();
    let port = [field(1, b"http"), number(3 << 3), number(80)].concat();
    let spec = [field(1, &port), field(3, b"10.96.0.1"), field(18, b"10.96.0.1")].concat();
    [field(1, &meta), field(2, &spec)].concat()
}

/// Watches in protobuf.
pub(super) fn protobuf_seeds() -> Vec<Seed> {
    let with = |first: u8, size: u8, bytes: &[u8]| [&[first, size][..], bytes].concat();
    let label = [field(1, b"kubernetes.io/service-name"), field(2, b"web")].concat();
    let meta = [field(1, b"web-1"), field(3, b"shop"), field(6, b"8"), field(11, &label)].concat();
    let endpoint = [field(1, b"10.1.0.1"), field(2, &[8, 1]), field(3, b"h0"), field(7, b"z")].concat();
    let slice = [field(1, &meta), field(2, &endpoint), field(4, b"IPv4")].concat();
    let ends = [field(1, b"k8s.io/initial-events-end"), field(2, b"true")].concat();
    let bookmark = field(1, &[field(6, b"9"), field(12, &ends)].concat());
    let status =
        [field(1, b""), field(2, b"Failure"), field(3, b"too old"), number(6 << 3), number(410)].concat();
    vec![
        (
            "services",
            with(
                0,
                20,
                &[frame("ADDED", "Service", &service()), frame("DELETED", "Service", &service())].concat(),
            ),
        ),
        ("slices", with(1, 7, &frame("ADDED", "EndpointSlice", &slice))),
        ("namespaces", with(2, 3, &frame("ADDED", "Namespace", &field(1, &field(1, b"shop"))))),
        (
            "pods",
            with(
                3,
                9,
                &frame(
                    "ADDED",
                    "Pod",
                    &[field(1, &meta), field(3, &[field(1, b"Running"), field(6, b"10.1.0.1")].concat())]
                        .concat(),
                ),
            ),
        ),
        (
            "listing",
            with(
                0x80,
                11,
                &[frame("ADDED", "Service", &service()), frame("BOOKMARK", "Service", &bookmark)].concat(),
            ),
        ),
        ("expired", with(0, 11, &frame("ERROR", "Status", &status))),
        ("object", with(0, 255, &service())),
        ("nothing", with(0, 2, &[0; 12])),
        ("too_long", with(0, 2, &[0xff; 12])),
    ]
}

/// Pages.
pub(super) fn list_seeds() -> Vec<Seed> {
    let with = |first: u8, size: u8, bytes: &[u8]| [&[first, size][..], bytes].concat();
    let json = format!(
        "{{\"kind\":\"ServiceList\",\"metadata\":{{\"resourceVersion\":\"7\",\"continue\":\"t\"}},\"items\":[{SERVICE},{SERVICE}]}}"
    );
    let late = format!("{{\"items\":[{SLICE}],\"metadata\":{{\"resourceVersion\":\"7\"}}}}");
    let list =
        [field(1, &[field(2, b"77"), field(3, b"t")].concat()), field(2, &service()), field(2, &service())];
    let status = [field(2, b"Failure"), field(3, b"no"), number(6 << 3), number(410)].concat();
    vec![
        ("services", with(0, 40, json.as_bytes())),
        ("items_first", with(1, 13, late.as_bytes())),
        ("empty", with(0, 3, br#"{"metadata":{"resourceVersion":"1"},"items":null}"#)),
        ("status", with(0, 5, br#"{"kind":"Status","metadata":{},"code":410,"message":"x"}"#)),
        ("half", with(0, 9, &json.as_bytes()[..90])),
        (
            "odd_items",
            with(0, 9, br#"{"items":[1,"}",[{"a":1}],{"b":"]"}],"metadata":{"resourceVersion":"1"}}"#),
        ),
        ("nested", with(0, 9, br#"{"x":{"items":[{"a":1}]},"items":[{"b":{"items":[2]}}]}"#)),
        ("protobuf", with(0x80, 30, &envelope("ServiceList", &list.concat()))),
        ("protobuf_status", with(0x80, 3, &envelope("Status", &status))),
        ("protobuf_half", with(0x80, 8, &envelope("ServiceList", &list.concat())[..50])),
    ]
}
