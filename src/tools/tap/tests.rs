//! What a query looks like.

use super::show::{json_line, line};
use crate::observe::Told;

/// A query.
fn query() -> Told {
    Told {
        at: 1_700_000_000_123,
        client: "10.244.0.7".to_owned(),
        port: 43_210,
        proto: "udp".to_owned(),
        name: "web.shop.svc.cluster.local.".to_owned(),
        qtype: "A".to_owned(),
        rcode: "NOERROR".to_owned(),
        answers: true,
        word: "kubernetes".to_owned(),
        microseconds: 31,
    }
}

#[test]
fn a_query_is_a_line_of_columns() {
    assert_eq!(
        line(&query(), false),
        "22:13:20.123  10.244.0.7:43210      udp  A      NOERROR      0.031 ms  kubernetes  web.shop.svc.cluster.local.\n"
    );
    let empty = Told { answers: false, client: "fd00::1".to_owned(), word: String::new(), ..query() };
    let line = line(&empty, false);
    assert!(
        line.contains("[fd00::1]:43210") && line.contains(" NODATA ") && line.contains("  -   "),
        "{line}"
    );
}

#[test]
fn a_query_is_an_object_of_json_on_one_line() {
    let text = json_line(&query());
    assert_eq!(text.lines().count(), 1);
    let back: Told = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(back, query());
    assert!(text.contains("\"type\":\"A\""), "{text}");
}
