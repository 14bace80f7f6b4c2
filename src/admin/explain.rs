//! `/explain?name=NAME&type=TYPE`: why a name resolves as it does (rule S-30). Nothing is asked of upstreams for it.

use axum::http::StatusCode;

use super::loopback::{Answer, json, parameter, words};
use crate::chain::{Plan, explain};
use crate::time::Clock;

/// What is answered.
pub(super) fn page(query: &str, plan: &Plan, clock: &Clock) -> Answer {
    let qtype = parameter(query, "type").unwrap_or_else(|| "A".to_owned());
    let name = parameter(query, "name");
    match name.and_then(|name| explain::explain(plan, &name, &qtype, clock)) {
        Some(explained) => json(&explained),
        None => words(StatusCode::BAD_REQUEST, "ask for /explain?name=NAME&type=TYPE"),
    }
}
