//! DNS over HTTP, request by request (W69): what is no query has a status of its own, sizes come before decoding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;

use crate::encrypted::{Answer, Asker, Over};
use crate::harness::Ask;
use crate::rig::Rig;

/// Clients of HTTP, one for each version.
fn clients(rig: &Rig) -> Vec<Asker> {
    let all = Over::all();
    let versions = [Over::Post1, Over::Post2, Over::Post3].into_iter().filter(|over| all.contains(over));
    versions.map(|over| rig.asker(over)).collect()
}

/// A question.
fn query() -> Vec<u8> {
    Ask::parse("a.test. A").bytes(0)
}

/// A GET of this path.
fn get(asker: &mut Asker, path: &str) -> Answer {
    asker.request(Method::GET, path, &[], Bytes::new())
}

/// A POST with this type and body.
fn post(asker: &mut Asker, called: &str, body: &[u8]) -> Answer {
    let headers: &[(&str, &str)] = if called.is_empty() { &[] } else { &[("content-type", called)] };
    asker.request(Method::POST, "/dns-query", headers, Bytes::copy_from_slice(body))
}

/// What messages are called.
const MESSAGE: &str = "application/dns-message";

#[test]
fn what_is_no_query_has_a_status_of_its_own() {
    let rig = Rig::new();
    let good = URL_SAFE_NO_PAD.encode(query());
    for asker in &mut clients(&rig) {
        let over = asker.over;
        let status = |answer: Answer| answer.status().as_u16();
        assert_eq!(status(get(asker, &format!("/dns-query?dns={good}"))), 200, "{over:?}");
        assert_eq!(status(get(asker, &format!("/dns-query?a=b&dns={good}&c"))), 200, "{over:?}");
        for (path, want) in [
            (format!("/?dns={good}"), 404),
            (format!("/dns-query/x?dns={good}"), 404),
            ("/dns-query".to_owned(), 400),
            ("/dns-query?dns=".to_owned(), 400),
            (format!("/dns-query?dns={good}&dns={good}"), 400),
            (format!("/dns-query?dns={good}="), 400),
            ("/dns-query?dns=AAA*".to_owned(), 400),
            // A response, and less than a header.
            ("/dns-query?dns=AACAAAABAAAAAAAA".to_owned(), 400),
            ("/dns-query?dns=AAAA".to_owned(), 400),
        ] {
            assert_eq!(status(get(asker, &path)), want, "{over:?} {path}");
        }
        assert_eq!(status(post(asker, MESSAGE, &query())), 200, "{over:?}");
        assert_eq!(status(post(asker, "", &query())), 415, "{over:?}");
        assert_eq!(status(post(asker, "application/json", &query())), 415, "{over:?}");
        assert_eq!(status(post(asker, MESSAGE, b"")), 400, "{over:?}");
        for method in [Method::PUT, Method::HEAD, Method::DELETE] {
            let answer = asker.request(method, "/dns-query", &[], Bytes::new());
            assert_eq!(answer.headers().get("allow").unwrap(), "GET, POST", "{over:?}");
            assert_eq!(status(answer), 405, "{over:?}");
        }
    }
    let text = rig.running.metrics();
    assert!(text.is_empty(), "nobody asked for metrics");
}

#[test]
fn replies_say_how_long_they_hold() {
    let rig = Rig::new();
    for asker in &mut clients(&rig) {
        let answer = asker.ask_http(&query());
        assert_eq!(answer.headers().get("cache-control").unwrap(), "max-age=77", "{:?}", asker.over);
        assert_eq!(answer.headers().get("content-type").unwrap(), MESSAGE);
        // REFUSED, FORMERR and the like are replies, and hold for no time.
        let malformed = [0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        let answer = asker.ask_http(&malformed);
        assert_eq!(answer.status(), 200, "{:?}", asker.over);
        assert_eq!(answer.headers().get("cache-control").unwrap(), "max-age=0");
        assert_eq!(answer.body().get(3).map(|byte| byte & 0xf), Some(1), "FORMERR");
    }
}

#[test]
fn cve_2025_68151_bodies_longer_than_a_message_are_refused() {
    let rig = Rig::new();
    for asker in &mut clients(&rig) {
        let over = asker.over;
        let longest = post(asker, MESSAGE, &[0; 65_535]);
        assert_eq!(longest.status(), 200, "{over:?}: malformed, and a message still");
        // Over HTTP/1.1 whoever sends much more than is read may learn of the end before the status.
        let long = if over == Over::Post1 { 65_537 } else { 1 << 20 };
        for size in [65_536, long] {
            let answer = post(asker, MESSAGE, &vec![0; size]);
            assert_eq!(answer.status(), 413, "{over:?} {size}");
        }
        assert_eq!(post(asker, MESSAGE, &query()).status(), 200, "{over:?}: the connection or the next one");
    }
    rig.udp_is_served();
}

#[test]
fn cve_2026_32936_long_gets_are_refused_before_they_are_decoded() {
    let rig = Rig::new();
    for asker in &mut clients(&rig) {
        let over = asker.over;
        // A megabyte is refused by its head alone; the client's library takes no longer URI than 64 KiB.
        let long = format!("/dns-query?dns={}", "A".repeat(60_000));
        let got = get(asker, &long).status().as_u16();
        assert!(matches!(got, 400 | 413 | 414 | 431), "{over:?}: {got}");
        assert_eq!(post(asker, MESSAGE, &query()).status(), 200, "{over:?}");
    }
    rig.udp_is_served();
}

#[test]
fn cve_2026_82399_counts_reserve_nothing() {
    let rig = Rig::new();
    let mut promising = vec![0; 12];
    promising.iter_mut().skip(4).for_each(|byte| *byte = 0xff);
    for over in Over::all() {
        let mut asker = rig.asker(over);
        for _ in 0..50 {
            let reply = asker.ask(&promising).unwrap_or_else(|| panic!("{over:?}"));
            assert_eq!(reply.len(), 12, "{over:?}: FORMERR, the header alone");
        }
    }
}

#[test]
fn cve_2026_86003_updates_and_notifies_are_refused_on_every_transport() {
    let rig = Rig::new();
    for over in Over::all() {
        let mut asker = rig.asker(over);
        for opcode in [4, 5] {
            let query = Ask::parse(&format!("a.test. SOA +opcode={opcode}")).bytes(9);
            let reply = asker.ask(&query).unwrap_or_else(|| panic!("{over:?}"));
            let text = crate::harness::text(&reply, &query);
            assert!(text.starts_with("NOTIMP") && text.contains("headeronly"), "{over:?}: {text}");
        }
    }
}
