//! `/top` and `/tap`: what was asked lately, where `observe` stands in the Corefile (rule S-31).

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;

use super::loopback::{Answer, json, parameter, words};
use crate::chain::{Plan, word_at};
use crate::observe::{Filter, WINDOWS};
use crate::time::Clock;
use crate::wire::{Question, parse_name, parse_type, rcode_number, rtype};

/// How many rows of a list are told at most.
const ROWS: usize = 100;

/// How many queries are told at most.
const QUERIES: usize = 10_000;

/// Said where nobody observes.
const OFF: &str = "`observe` is not in the Corefile: write it into the server block";

/// `/top?minutes=MINUTES&count=COUNT`.
pub(super) fn top(query: &str, plan: &Plan, clock: &Clock) -> Answer {
    let Some(observer) = &plan.observer else { return words(StatusCode::NOT_FOUND, OFF) };
    let minutes = number(query, "minutes", WINDOWS[1]);
    let count = number(query, "count", 20).map(|count| usize::try_from(count).unwrap_or(ROWS).min(ROWS));
    let page = minutes.zip(count).and_then(|(minutes, count)| observer.top(minutes, count, clock.now()));
    match page {
        Some(page) => json(&page),
        None => words(StatusCode::BAD_REQUEST, "ask for /top?minutes=1&count=20: 1, 10 or 60 minutes"),
    }
}

/// `/tap?after=CURSOR&count=COUNT&client=NETWORK&name=NAME&type=TYPE&rcode=RCODE&slower=MICROSECONDS`.
pub(super) fn tap(query: &str, plan: &Plan, clock: &Clock) -> Answer {
    let Some(observer) = &plan.observer else { return words(StatusCode::NOT_FOUND, OFF) };
    let after = parameter(query, "after").unwrap_or_default();
    let count = number(query, "count", 1000).map(|count| usize::try_from(count).unwrap_or(QUERIES));
    let page = filter(query)
        .zip(count)
        .and_then(|(filter, count)| observer.tap(&after, &filter, count.clamp(1, QUERIES), clock, word_at));
    match page {
        Some(page) => json(&page),
        None => words(
            StatusCode::BAD_REQUEST,
            "ask for /tap?after=CURSOR&count=N&client=IP/BITS&name=NAME&type=TYPE&rcode=RCODE&slower=MICROSECONDS; all may be \
             left out",
        ),
    }
}

/// A parameter as a number; `None` where it is none.
fn number(query: &str, name: &str, usual: u64) -> Option<u64> {
    match parameter(query, name) {
        None => Some(usual),
        Some(text) => text.parse().ok(),
    }
}

/// Whether parameters of `/tap` can be read, for those who are about to ask.
pub(crate) fn is_filter(query: &str) -> bool {
    filter(query).is_some()
}

/// Which queries are wanted; `None` where a parameter can't be read.
fn filter(query: &str) -> Option<Filter> {
    let text = |name| parameter(query, name).filter(|text| !text.is_empty());
    let mut filter = Filter::default();
    if let Some(net) = text("client") {
        filter.client = Some(network(&net)?);
    }
    if let Some(name) = text("name") {
        let question = Question::new(&parse_name(&name)?, rtype::A).ok()?;
        filter.name = Some(question.lower().to_vec());
    }
    if let Some(qtype) = text("type") {
        filter.qtype = Some(parse_type(&qtype)?);
    }
    if let Some(rcode) = text("rcode") {
        filter.rcode = Some(rcode_number(&rcode.to_ascii_uppercase()).or_else(|| rcode.parse().ok())?);
    }
    if let Some(slower) = text("slower") {
        filter.slower = Some(Duration::from_micros(slower.parse().ok()?));
    }
    Some(filter)
}

/// Reads `IP` or `IP/BITS`.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().ok()?;
    let all = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((ip, bits))
}
