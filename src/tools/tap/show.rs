//! A query as a line.

use crate::observe::Told;

/// The time of day of a moment. Unit: milliseconds since 1970; UTC.
fn time(at: u64) -> String {
    let seconds = at / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, at % 1000)
}

/// The colour of a code: red for what failed, yellow for what is not there.
fn colour(rcode: &str) -> &'static str {
    match rcode {
        "NOERROR" => "\x1b[32m",
        "NXDOMAIN" => "\x1b[33m",
        _ => "\x1b[31m",
    }
}

/// A line for people.
pub(super) fn line(query: &Told, colours: bool) -> String {
    let (on, dim, off) = if colours { (colour(&query.rcode), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    // A name without records of this type is there, which its code alone does not say.
    let code = if query.rcode == "NOERROR" && !query.answers { "NODATA" } else { &query.rcode };
    let client = match query.client.contains(':') {
        true => format!("[{}]:{}", query.client, query.port),
        false => format!("{}:{}", query.client, query.port),
    };
    let took = format!("{}.{:03} ms", query.microseconds / 1000, query.microseconds % 1000);
    let word = if query.word.is_empty() { "-" } else { &query.word };
    format!(
        "{dim}{}{off}  {client:<21} {:<4} {:<6} {on}{code:<8}{off} {took:>12}  {word:<11} {}\n",
        time(query.at),
        query.proto,
        query.qtype,
        query.name
    )
}

/// A line for programs.
pub(super) fn json_line(query: &Told) -> String {
    // Text and numbers: there is nothing in them that JSON can't say.
    serde_json::to_string(query).unwrap_or_default() + "\n"
}
