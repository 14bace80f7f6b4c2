//! Tests of what is read from an API server: any cut of the stream gives the same, and no bytes do harm.

use proptest::prelude::*;

use super::encoding::{Encoding, Events, Page, PageEnd};
use super::protobuf;
use crate::source::object::{Cut, decode, decode_protobuf};
use crate::store::change::{HostKind, Kind, Object};

/// All kinds.
const KINDS: [Kind; 4] = [Kind::Services, Kind::EndpointSlices, Kind::Namespaces, Kind::Pods];

/// A number as protobuf writes it.
fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A field of bytes.
fn field(at: u64, bytes: &[u8]) -> Vec<u8> {
    [number(at << 3 | 2), number(bytes.len().try_into().unwrap()), bytes.to_vec()].concat()
}

/// A field of a number.
fn integer(at: u64, value: u64) -> Vec<u8> {
    [number(at << 3), number(value)].concat()
}

/// What stands around an object.
fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
}

/// A list of these items.
fn list(items: &[Vec<u8>], token: &str) -> Vec<u8> {
    let meta = [field(1, b""), field(2, b"77"), field(3, token.as_bytes()), integer(4, 300)].concat();
    // A field that nobody knows, and one of each wire type.
    let mut raw = [field(1, &meta), field(90, &[1; 700]), integer(91, u64::MAX), vec![0xe1, 5]].concat();
    raw.extend([8; 8]);
    raw.extend([0xe5, 5, 1, 2, 3, 4]);
    items.iter().for_each(|item| raw.extend(field(2, item)));
    envelope("ServiceList", &raw)
}

/// An event around an object.
fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let frame = [field(1, kind.as_bytes()), field(2, &field(1, &envelope("Service", object)))].concat();
    [u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec(), frame].concat()
}

/// Cuts bytes where a generator says.
fn chunks<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}

/// Reads a page that comes in chunks; what went wrong is `None`.
fn read_page(encoding: Encoding, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Option<PageEnd>) {
    let mut page = Page::new(encoding);
    let mut items = Vec::new();
    for chunk in chunks {
        if page.push(chunk, |item| items.push(item.to_vec())).is_err() {
            return (items, None);
        }
    }
    (items, page.end().ok())
}

/// A Service in protobuf, with what there is beside our fields.
fn service(name: &str, cluster_ip: &str) -> Vec<u8> {
    let label = [field(1, b"app"), field(2, b"web")].concat();
    let meta = [
        field(1, name.as_bytes()),
        field(2, b""),
        field(3, b"shop"),
        field(5, b"uid"),
        field(6, b"9"),
        integer(7, 0),
        field(11, &label),
        field(17, &[8; 300]),
    ]
    .concat();
    let port = [field(1, b"http"), field(2, b"TCP"), integer(3, 80), field(4, &integer(1, 0))].concat();
    let spec = [
        field(1, &port),
        field(3, cluster_ip.as_bytes()),
        field(4, b"ClusterIP"),
        field(10, b""),
        field(18, cluster_ip.as_bytes()),
    ]
    .concat();
    [field(1, &meta), field(2, &spec), field(3, b"")].concat()
}

#[test]
fn both_languages_are_cut_to_the_same_objects() {
    let same = |kind, json: &str, protobuf: &[u8]| {
        let wanted: Cut<Object> = decode(kind, json.as_bytes()).unwrap();
        assert!(wanted.object.is_some(), "{json}");
        assert_eq!(decode_protobuf(kind, protobuf).unwrap(), wanted);
    };
    same(
        Kind::Services,
        r#"{"metadata":{"name":"web","namespace":"shop","uid":"uid","resourceVersion":"9","labels":{"app":"web"}},"spec":{"type":"ClusterIP","clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"ports":[{"name":"http","protocol":"TCP","port":80}]},"status":{}}"#,
        &service("web", "10.0.0.1"),
    );
    let pair = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    let trigger = pair("endpoints.kubernetes.io/last-change-trigger-time", "1970-01-01T00:00:01Z");
    let meta = [
        field(1, b"web-1"),
        field(3, b"shop"),
        field(11, &pair("kubernetes.io/service-name", "web")),
        field(12, &pair("other", "x")),
        field(12, &trigger),
    ]
    .concat();
    let ready = [
        field(1, b"10.1.0.1"),
        field(2, &[integer(1, 1), integer(2, 1)].concat()),
        field(3, b"web-0"),
        field(4, &[field(1, b"Pod"), field(3, b"pod-0")].concat()),
        field(7, b"zone-a"),
    ]
    .concat();
    let unready = [field(1, b"10.1.0.2"), field(2, &integer(1, 0))].concat();
    let port = [field(1, b"http"), field(2, b"TCP"), integer(3, 8080)].concat();
    let slice =
        [field(1, &meta), field(2, &ready), field(2, &unready), field(3, &port), field(4, b"IPv4")].concat();
    same(
        Kind::EndpointSlices,
        r#"{"metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web"},"annotations":{"other":"x","endpoints.kubernetes.io/last-change-trigger-time":"1970-01-01T00:00:01Z"}},"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true,"serving":true},"hostname":"web-0","targetRef":{"kind":"Pod","name":"pod-0"},"zone":"zone-a"},{"addresses":["10.1.0.2"],"conditions":{"ready":false}}],"ports":[{"name":"http","protocol":"TCP","port":8080}]}"#,
        &slice,
    );
    let meta = [field(1, b"shop"), field(11, &pair("b", "2")), field(11, &pair("a", ""))].concat();
    same(Kind::Namespaces, r#"{"metadata":{"name":"shop","labels":{"a":"","b":"2"}}}"#, &field(1, &meta));
    let meta = [field(1, b"pod-0"), field(3, b"shop")].concat();
    let status = [
        field(1, b"Running"),
        field(6, b"10.1.0.1"),
        field(12, &field(1, b"10.1.0.1")),
        field(12, &field(1, b"fd00::1")),
    ]
    .concat();
    let pod =
        [field(1, &meta), field(2, &[field(16, b"host"), field(17, b"sub")].concat()), field(3, &status)];
    same(
        Kind::Pods,
        r#"{"metadata":{"name":"pod-0","namespace":"shop"},"spec":{"hostname":"host","subdomain":"sub"},"status":{"phase":"Running","podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"},{"ip":"fd00::1"}]}}"#,
        &pod.concat(),
    );
}

#[test]
fn what_special_options_want_is_the_same_in_both_languages() {
    let same = |kind, json: &str, protobuf: &[u8]| {
        let wanted: Cut<Object> = decode(kind, json.as_bytes()).unwrap();
        assert_eq!(decode_protobuf(kind, protobuf).unwrap(), wanted);
        wanted.object.unwrap()
    };
    let meta = [field(1, b"web"), field(3, b"shop")].concat();
    let spec = [
        field(3, b"10.0.0.1"),
        field(4, b"LoadBalancer"),
        field(5, b"192.0.2.1"),
        field(5, b"2001:db8::1"),
        field(18, b"10.0.0.1"),
    ]
    .concat();
    let ingress = [
        field(1, &[field(1, b"192.0.2.2"), field(2, b""), field(3, b"VIP")].concat()),
        field(1, &[field(1, b""), field(2, b"lb.example")].concat()),
    ]
    .concat();
    let balanced = [field(1, &meta), field(2, &spec), field(3, &field(1, &ingress))].concat();
    let json = r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"type":"LoadBalancer","clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"externalIPs":["192.0.2.1","2001:db8::1"]},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.2","ipMode":"VIP"},{"hostname":"lb.example"}]}}}"#;
    let Object::Service(service) = same(Kind::Services, json, &balanced) else { panic!() };
    assert_eq!(service.external.len(), 4);

    let pair = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    let meta = [
        field(1, b"web-1"),
        field(3, b"shop"),
        field(11, &pair("multicluster.kubernetes.io/service-name", "web")),
        field(11, &pair("multicluster.kubernetes.io/source-cluster", "west")),
    ]
    .concat();
    let endpoint = [field(1, b"10.1.0.1"), field(7, b"zone-a")].concat();
    let slice = [field(1, &meta), field(2, &endpoint), field(4, b"IPv4")].concat();
    let json = r#"{"metadata":{"name":"web-1","namespace":"shop","labels":{"multicluster.kubernetes.io/service-name":"web","multicluster.kubernetes.io/source-cluster":"west"}},"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"zone":"zone-a"}]}"#;
    let Object::Slice(slice) = same(Kind::EndpointSlices, json, &slice) else { panic!() };
    let import = slice.import.unwrap();
    assert_eq!((&*import.name, &*import.cluster, &*slice.endpoints[0].zone), ("web", "west", "zone-a"));

    for kind in [Kind::Imports, Kind::Hosts(HostKind::Ingresses), Kind::Hosts(HostKind::Gateways)] {
        assert!(decode_protobuf(kind, b"").is_err(), "{kind:?} is read as JSON only");
    }
}

#[test]
fn a_field_of_another_type_costs_that_field() {
    let port = [integer(1, 7), integer(3, 80)].concat();
    let spec =
        [field(1, &port), field(1, &integer(3, u64::MAX)), field(1, &integer(3, 81)), field(18, b"\xff")];
    let meta = [field(1, b"web"), field(3, b"shop")].concat();
    let cut = decode_protobuf(Kind::Services, &[field(1, &meta), field(2, &spec.concat())].concat()).unwrap();
    let Some(Object::Service(service)) = cut.object else { panic!("{cut:?}") };
    assert_eq!(service.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [81]);
    assert_eq!(cut.faults.len(), 3, "{:?}", cut.faults);
    // No list of ours is longer than 65,536: what says so is no object.
    let many = field(1, &[]).repeat(70_000);
    let bad = decode_protobuf(Kind::Services, &[field(1, &meta), field(2, &many)].concat()).unwrap();
    assert!(bad.object.is_none() && !bad.faults.is_empty());
}

#[test]
fn a_status_is_read_wherever_it_stands() {
    let status = [field(1, b""), field(2, b"Failure"), field(3, b"too old"), integer(6, 410)].concat();
    let (_, end) = read_page(Encoding::Protobuf, &[&envelope("Status", &status)]);
    assert_eq!(end.map(|end| (end.code, end.message)), Some((410, "too old".to_owned())));
    assert_eq!(protobuf::enveloped_status(&envelope("Status", &status)), Some((410, "too old".to_owned())));
    assert_eq!(Encoding::Protobuf.status(&status), Some((410, "too old".to_owned())));
    let note = [field(1, b"k8s.io/initial-events-end"), field(2, b"true")].concat();
    let bookmark = field(1, &[field(6, b"12"), field(12, &note)].concat());
    let meta = Encoding::Protobuf.meta(&bookmark);
    assert_eq!((&*meta.version, meta.ends), ("12", true));
}

#[test]
fn a_list_that_breaks_off_has_no_end() {
    let whole = list(&[service("a", "10.0.0.1"), service("b", "10.0.0.2")], "more");
    let (_, end) = read_page(Encoding::Protobuf, &[&whole]);
    assert_eq!(end.map(|end| (end.version, end.next)), Some(("77".to_owned(), "more".to_owned())));
    // The last four bytes are two empty fields of the envelope: behind each of them it may end.
    for length in 0..whole.len() - 4 {
        assert_eq!(read_page(Encoding::Protobuf, &[&whole[..length]]).1, None, "{length} bytes");
    }
}

#[test]
fn a_field_that_is_longer_than_its_list_is_noticed_wherever_the_bytes_are_cut() {
    // Found by fuzzing (`list_pages`): cut right at its end, the list counted as whole.
    let meta = field(1, &[field(2, b"77")].concat());
    let mut raw = [meta, field(90, b"four")].concat();
    let place = raw.len() - 5;
    raw[place] = 6;
    let bytes = [envelope("ServiceList", &raw), vec![0; 4]].concat();
    for size in 1..=bytes.len() {
        let (_, end) = read_page(Encoding::Protobuf, &bytes.chunks(size).collect::<Vec<_>>());
        assert_eq!(end, None, "in pieces of {size}");
    }
    // A number of fixed width is passed over whatever its bytes, the last ones of a list too.
    let raw = [field(1, &field(2, b"77")), number(91 << 3 | 1), vec![0xff; 8]].concat();
    let (_, end) = read_page(Encoding::Protobuf, &[&envelope("ServiceList", &raw)]);
    assert_eq!(end.map(|end| end.version), Some("77".to_owned()));
}

#[cfg(feature = "fuzzing")]
#[test]
fn an_error_that_ends_a_watch_counts_whatever_nonsense_comes_behind_it_in_the_same_bytes() {
    use super::reflect::fuzzed::{Language, watch};
    // Found by fuzzing (`watch_protobuf`): that the history is gone was told as bytes that are no protobuf.
    let status = [field(1, b""), field(2, b"Failure"), field(3, b"too old"), integer(6, 410)].concat();
    let frame = [field(1, b"ERROR"), field(2, &field(1, &envelope("Status", &status)))].concat();
    let frame = [u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec(), frame].concat();
    let bytes = [frame.clone(), vec![0xff; 8]].concat();
    let (_, alone, _) = watch(Language::Protobuf, Kind::Services, false, &[&frame]);
    assert!(alone.contains("Expired"), "{alone}");
    for size in [1, 7, bytes.len()] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let (_, ended, _) = watch(Language::Protobuf, Kind::Services, false, &pieces);
        assert_eq!(ended, alone, "in pieces of {size}");
    }
    // Alone, nonsense is told as such.
    let (_, ended, _) = watch(Language::Protobuf, Kind::Services, false, &[&[0xff; 8]]);
    assert!(ended.contains("Nonsense"), "{ended}");
}

#[test]
fn what_is_too_long_is_refused_before_it_is_kept() {
    let mut events = Events::new(Encoding::Protobuf);
    assert!(events.push(&(17_u32 << 20).to_be_bytes(), |_| {}).is_err());
    let mut page = Page::new(Encoding::Protobuf);
    let head = [b"k8s\0".to_vec(), number(2 << 3 | 2), number(1 << 40), number(2 << 3 | 2), number(17 << 20)];
    assert!(page.push(&head.concat(), |_| {}).is_err());
    // What is nobody's may be as long as it likes: it is passed over as it comes.
    let mut page = Page::new(Encoding::Protobuf);
    let head = [b"k8s\0".to_vec(), number(2 << 3 | 2), number(1 << 40), number(90 << 3 | 2), number(1 << 39)];
    page.push(&head.concat(), |_| {}).unwrap();
    (0..64).for_each(|_| page.push(&[0; 1 << 20], |_| {}).unwrap());
}

proptest! {
    #[test]
    fn any_cut_of_a_list_gives_the_same_items(
        names in prop::collection::vec("[a-z]{1,12}", 0..12),
        long in 0_usize..3000,
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        by_bytes in any::<bool>(),
    ) {
        let mut items: Vec<Vec<u8>> = names.iter().map(|name| service(name, "10.0.0.1")).collect();
        items.push(field(90, &vec![3; long]));
        let whole = list(&items, "next");
        let cut = if by_bytes { whole.chunks(1).collect() } else { chunks(&whole, &cuts) };
        let (read, end) = read_page(Encoding::Protobuf, &cut);
        prop_assert_eq!(read, items);
        prop_assert_eq!(end.map(|end| (end.version, end.next)), Some(("77".to_owned(), "next".to_owned())));
    }

    #[test]
    fn any_cut_of_a_watch_gives_the_same_events(
        names in prop::collection::vec("[a-z]{0,12}", 0..12),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        by_bytes in any::<bool>(),
    ) {
        let objects: Vec<Vec<u8>> = names.iter().map(|name| service(name, "10.0.0.1")).collect();
        let mut whole: Vec<u8> = objects.iter().flat_map(|object| event("ADDED", object)).collect();
        // A frame of nothing is no event and harms nobody.
        whole.extend([0; 4]);
        whole.extend(event("DELETED", b""));
        let cut = if by_bytes { whole.chunks(1).collect() } else { chunks(&whole, &cuts) };
        let mut events = Events::new(Encoding::Protobuf);
        let mut read = Vec::new();
        for chunk in cut {
            let visit = |frame: &[u8]| {
                read.push(Encoding::Protobuf.event(frame).map(|event| (event.kind.to_owned(), event.object.to_vec())));
            };
            prop_assert!(events.push(chunk, visit).is_ok());
        }
        let mut wanted: Vec<_> =
            objects.into_iter().map(|object| Some(("ADDED".to_owned(), object))).collect();
        wanted.extend([None, Some(("DELETED".to_owned(), Vec::new()))]);
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn no_bytes_do_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
        flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
    ) {
        let mut good = list(&[service("a", "10.0.0.1"), bytes.clone()], "");
        let mut frame = event("ADDED", &service("a", "10.0.0.1"));
        for (at, byte) in flips {
            let (good_at, frame_at) = (at % good.len(), at % frame.len());
            good[good_at] = byte;
            frame[frame_at] = byte;
        }
        for bytes in [&bytes, &good, &frame] {
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                read_page(encoding, &chunks(bytes, &cuts));
                let mut events = Events::new(encoding);
                for chunk in chunks(bytes, &cuts) {
                    let _ = events.push(chunk, |frame| assert!(encoding.event(frame).is_none_or(|event| event.object.len() <= frame.len())));
                }
                let (_, _, _) = (encoding.meta(bytes), encoding.status(bytes), encoding.bare_status(bytes));
                let _ = encoding.event(bytes).map(|event| encoding.decode(Kind::Services, event.object));
                for kind in KINDS {
                    let _ = encoding.decode(kind, bytes);
                }
            }
        }
    }
}
