//! What a page looks like.

use super::args::List;
use super::screen::{Size, lines, screen};
use crate::observe::{Row, TopPage};

/// Rows.
fn rows(rows: &[(&str, u64, u64)]) -> Vec<Row> {
    rows.iter().map(|&(what, at_least, at_most)| Row { what: what.to_owned(), at_least, at_most }).collect()
}

/// A page.
fn page() -> TopPage {
    TopPage {
        version: String::new(),
        minutes: 10,
        seconds: 600,
        queries: 12_345,
        nxdomain: 5000,
        failed: 3,
        aaaa: 6000,
        aaaa_empty: 5900,
        slow: 12,
        slow_milliseconds: 100,
        search: 4000,
        missed: 0,
        clients: rows(&[("10.244.0.7", 8000, 8000), ("10.244.0.8", 345, 350)]),
        names: rows(&[("web.shop.svc.cluster.local.", 4000, 4000)]),
        namespaces: rows(&[("shop", 9000, 9000), ("prod", 12, 12)]),
        nxdomain_names: rows(&[(
            "a-very-long-name-of-somebody-elses.example.org.shop.svc.cluster.local.",
            4000,
            4000,
        )]),
        slow_names: Vec::new(),
        search_namespaces: rows(&[("shop", 4000, 4000)]),
    }
}

/// A line without what only colours it, as a terminal counts its columns.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\x1b') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

#[test]
fn a_pipe_gets_a_line_for_each_row() {
    assert_eq!(
        lines(&page(), Some(List::Clients)),
        "# 12,345 queries in 600 s, 20.5 a second\n\
         # NXDOMAIN 40.5 %   SERVFAIL 0.0 %   search lists in vain 32.4 %   AAAA 48.6 %, empty 47.7 %   from 100 ms on 0.0 %\n\
         clients         8000      8000  10.244.0.7\n\
         clients          345       350  10.244.0.8\n"
    );
    assert_eq!(lines(&page(), None).lines().count(), 2 + 7);
}

#[test]
fn a_picture_fits_the_terminal_whatever_its_size() {
    for width in [20, 40, 80, 99, 100, 101, 160, 400] {
        for height in [1, 3, 5, 24, 25, 60] {
            for fault in [None, Some("fetching http://127.0.0.1:8080/top: Connection refused")] {
                let view = screen(&page(), None, fault, Size { width, height });
                assert!(view.len() <= height, "{width}x{height}: {} lines", view.len());
                for line in view {
                    let columns = plain(&line).chars().count();
                    assert!(columns <= width.clamp(40, 240), "{width}x{height}: {columns}: {line}");
                }
            }
        }
    }
}

#[test]
fn a_wide_terminal_gets_two_columns_of_lists() {
    let view = screen(&page(), None, None, Size { width: 120, height: 24 });
    let shown: Vec<String> = view.iter().map(|line| plain(line)).collect();
    assert_eq!(
        shown[0].trim_end(),
        "signpost top   the last 10 minutes   12,345 queries in 600 s, 20.5 a second"
    );
    let (clients, names) = (shown[3].find("CLIENTS"), shown[3].find("NAMES"));
    assert_eq!((clients, names), (Some(0), Some(61)), "{}", shown.join("\n"));
    let row = format!(
        "{:<58}   {}",
        "     8,000 ███████ 10.244.0.7", "     4,000 ███████ web.shop.svc.cluster.local."
    );
    assert_eq!(shown[4].trim_end(), row);
    assert_eq!(shown[5].trim_end(), "      ≥345 ▎       10.244.0.8");
    let cut = shown.iter().any(|line| {
        line.contains("a-very-long-name-o") && line.contains("…") && line.contains("cluster.local.")
    });
    assert!(cut, "{}", shown.join("\n"));
    assert!(shown.iter().any(|line| line.contains("nothing yet")), "{}", shown.join("\n"));
}
