//! `/explain?name=NAME&type=TYPE&client=IP`: why a name resolves as it does (rule S-30). Nothing is asked of upstreams for it.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::loopback::{Answer, json, parameter, words};
use crate::chain::{Plan, explain};
use crate::time::Clock;

/// What is answered.
pub(super) fn page(query: &str, plan: &Plan, clock: &Clock) -> Answer {
    let qtype = parameter(query, "type").unwrap_or_else(|| "A".to_owned());
    let name = parameter(query, "name");
    let client = parameter(query, "client").map(|ip| ip.parse::<IpAddr>());
    let explained = match (name, client.transpose()) {
        (Some(name), Ok(client)) => explain::explain(plan, (&name, &qtype), client, clock),
        _ => None,
    };
    match explained {
        Some(explained) => json(&explained),
        None => words(StatusCode::BAD_REQUEST, "ask for /explain?name=NAME&type=TYPE&client=IP"),
    }
}
