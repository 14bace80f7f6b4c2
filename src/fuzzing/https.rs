//! Z5: requests over HTTP, judged by a second reading of path and headers.

use super::cost::{Bound, bounded};
use super::respond;
use super::seeds::query;
use super::target::Seed;
use crate::server::fuzzed::{Request, request};
use crate::wire::MAX_MESSAGE;

/// Methods, by the first byte of an input.
const METHODS: &[&str] = &["GET", "POST", "HEAD", "PUT", "OPTIONS", "BREW"];

/// The letters of base64url.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The first byte chooses the method; then come lines: the target, the content type, the content length; no line, no header.
pub(super) fn run(bytes: &[u8]) {
    let Some((method, rest)) = bytes.split_first() else { return };
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let mut lines = rest.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let (called, length) = (lines.next(), lines.next());
    let mut builder = http::Request::builder().method(method).uri(target);
    for (name, value) in [("content-type", called), ("content-length", length)] {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    // What is no request of HTTP never comes so far.
    let Ok(built) = builder.body(()) else { return };
    let (head, ()) = built.into_parts();
    let judged = bounded(Bound { each: 4, beside: 1024 }, bytes, || request(&head));
    assert_eq!(judged, expected(&head, called, length));
    if let Request::Message(message, true) = judged {
        respond::run(&message);
    }
}

/// What the standard says, step by step (RFC 8484 §4.1, RFC 4648 §5).
fn expected(head: &http::request::Parts, called: Option<&[u8]>, length: Option<&[u8]>) -> Request {
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != "/dns-query" {
        return Request::Status(404);
    }
    match head.method.as_str() {
        "GET" => {
            let values: Vec<&str> = query.split('&').filter_map(|pair| pair.strip_prefix("dns=")).collect();
            let [value] = values[..] else { return Request::Status(400) };
            if value.len() > 4 * MAX_MESSAGE.div_ceil(3) {
                return Request::Status(414);
            }
            match letters(value.as_bytes()) {
                Some(message) => {
                    let may = message.len() >= 12 && message[2] < 0x80;
                    Request::Message(message, may)
                }
                None => Request::Status(400),
            }
        }
        "POST" => {
            let text = |value: Option<&[u8]>| {
                value
                    .filter(|value| value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')))
                    .map(<[u8]>::to_vec)
            };
            let called = text(called).unwrap_or_default();
            let called = called.split(|byte| *byte == b';').next().unwrap_or_default();
            if !called.trim_ascii().eq_ignore_ascii_case(b"application/dns-message") {
                return Request::Status(415);
            }
            let length = text(length).map(|digits| {
                let digits = digits.strip_prefix(b"+").unwrap_or(&digits);
                let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
                let significant = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
                let significant = &digits[significant..];
                whole && (significant.len() < 5 || significant.len() == 5 && significant <= &b"65535"[..])
            });
            if length == Some(false) { Request::Status(413) } else { Request::Body }
        }
        _ => Request::Status(405),
    }
}

/// base64url without padding, bit by bit; `None` where it is none.
fn letters(text: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Vec::with_capacity(text.len() * 6);
    for letter in text {
        let value = LETTERS.iter().position(|known| known == letter)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let spare = bits.len() % 8;
    // A letter too many, or bits that would be lost.
    if spare >= 6 || bits[bits.len() - spare..].contains(&true) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits.chunks_exact(8).map(byte).collect())
}

/// A message as base64url.
fn written(message: &[u8]) -> String {
    let mut text = String::new();
    for three in message.chunks(3) {
        let number =
            (0..3).fold(0_usize, |number, at| number << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..=three.len() {
            text.push(char::from(LETTERS[number >> (18 - 6 * at) & 63]));
        }
    }
    text
}

/// Requests.
pub(super) fn seeds() -> Vec<Seed> {
    let message = written(&query(0, "web.shop.svc.cluster.local", 1));
    let get = |target: &str| [&[0][..], target.as_bytes()].concat();
    let post = |called: &str, length: &str| format!("\u{1}/dns-query\n{called}\n{length}").into_bytes();
    vec![
        ("get", get(&format!("/dns-query?dns={message}"))),
        ("get_among_others", get(&format!("/dns-query?ct&dns={message}&x=1"))),
        ("get_twice", get("/dns-query?dns=AAAA&dns=AAAA")),
        ("get_padded", get("/dns-query?dns=AAECAw==")),
        ("get_short", get("/dns-query?dns=AAE")),
        ("get_nothing", get("/dns-query")),
        ("elsewhere", get("/?dns=AAECAw")),
        ("post", post("application/dns-message", "33")),
        ("post_spelled", post("Application/DNS-Message; charset=x", "65535")),
        ("post_long", post("application/dns-message", "65536")),
        ("post_type", post("application/json", "33")),
        ("post_bare", b"\x01/dns-query\napplication/dns-message".to_vec()),
        ("put", b"\x03/dns-query".to_vec()),
    ]
}
