//! What is told to this machine alone: why a name resolves as it does, and what was asked lately (rules S-30, S-31).
//!
//! It stands beside `/health` and `/metrics` and is answered only to peers on loopback that ask for a loopback host, so that
//! neither the network nor a page in somebody's browser learns names from it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;

use super::{explain, observe};
use crate::chain::{Active, Plan};
use crate::time::Clock;

/// The longest query string that is looked at: a name of 255 bytes, each of them escaped twice. Unit: bytes.
const LONGEST: usize = 4096;

/// A status, a header, a body.
pub(super) type Answer = (StatusCode, [(axum::http::HeaderName, &'static str); 1], String);

/// What answers a query string, by this plan.
type Page = fn(&str, &Plan, &Clock) -> Answer;

/// The routes.
pub(super) fn routes(active: &Arc<Active>, clock: &Clock) -> Router {
    let pages: [(&str, Page); 3] =
        [("/explain", explain::page), ("/top", observe::top), ("/tap", observe::tap)];
    let mut router = Router::new();
    for (path, page) in pages {
        let (active, clock) = (active.clone(), clock.clone());
        let handle = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, uri: Uri| {
            let query = uri.query().filter(|query| query.len() <= LONGEST).unwrap_or_default();
            let answer = match is_told(peer, &headers) {
                true => page(query, &active.plan(), &clock),
                false => words(StatusCode::NOT_FOUND, "only on loopback"),
            };
            async move { answer }
        };
        router = router.route(path, get(handle));
    }
    router
}

/// An answer in words.
pub(super) fn words(status: StatusCode, text: &str) -> Answer {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n"))
}

/// A value as JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], text + "\n"),
        Err(_) => words(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written down"),
    }
}

/// Whether one who asks so is told anything.
fn is_told(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    peer.ip().to_canonical().is_loopback() && is_here(host)
}

/// Whether a `Host` header names this machine by loopback: a browser that was led here by a name of somebody else's says that
/// name.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The value of a parameter; `None` where it is not there, or is no text.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_their_escapes() {
        let query = "type=AAAA&name=a%2Eb%5C.c";
        assert_eq!(parameter(query, "name").as_deref(), Some("a.b\\.c"));
        assert_eq!(parameter(query, "type").as_deref(), Some("AAAA"));
        assert_eq!(parameter(query, "typ"), None);
        for broken in ["name=%", "name=%2", "name=%zz", "name=%ff"] {
            assert_eq!(parameter(broken, "name"), None, "{broken}");
        }
    }

    #[test]
    fn only_loopback_hosts_are_here() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["", "10.0.0.1:8080", "evil.example:8080", "localhost.evil.example", "[fd00::1]:80"] {
            assert!(!is_here(host), "{host}");
        }
    }
}
