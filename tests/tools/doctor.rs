//! `signpost doctor`.

use crate::json;
use crate::process::{Folder, PATIENCE, Server, corefile, fetch, free_port, wait};

#[test]
fn a_running_server_is_looked_at_and_what_is_wrong_is_found() {
    let (port, metrics, ready, nobody) = (free_port(), free_port(), free_port(), free_port());
    let lines = format!(
        "    errors\n    prometheus 127.0.0.1:{metrics}\n    ready 127.0.0.1:{ready}\n    forward . 127.0.0.1:{nobody} {{\n        max_fails 1\n    }}\n"
    );
    let folder = Folder::new(&corefile(port, &lines));
    folder.write("resolv.conf", "nameserver 127.0.0.53\nsearch .\n");
    let server = Server::of(&folder, port);
    // Somebody must have asked before anything is known of the upstream.
    let down = format!("signpost_upstream_up{{to=\"127.0.0.1:{nobody}\"}} 0");
    wait("the upstream put aside", PATIENCE, || {
        server.ask("www.example.org.");
        fetch(metrics, "/metrics").filter(|(_, page)| page.contains(&down))
    });
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (conf, resolv) = (path("Corefile"), path("resolv.conf"));
    let (metrics, ready) = (format!("127.0.0.1:{metrics}"), format!("127.0.0.1:{ready}"));
    let args = [
        "doctor",
        "--format",
        "json",
        "--conf",
        &conf,
        "--metrics",
        &metrics,
        "--ready",
        &ready,
        "--resolv",
        &resolv,
    ];
    let (found, code) = json(".", &args);
    assert_eq!(code, 3, "{found}");
    let codes: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    for code in ["resolv-loop", "search-root", "upstream-down", "no-loop", "no-reload"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert!(!codes.contains(&"not-ready") && !codes.contains(&"rights"), "{codes:?}");
    for finding in found["findings"].as_array().unwrap() {
        assert!(
            !finding["advice"].as_str().unwrap_or_default().is_empty(),
            "each finding says what to do: {finding}"
        );
    }
}

#[test]
fn where_nothing_can_be_looked_at_that_is_said() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let args = [
        "doctor",
        "--format",
        "json",
        "--conf",
        "/nowhere/Corefile",
        "--metrics",
        &nobody,
        "--ready",
        &nobody,
        "--resolv",
        "/nowhere/resolv.conf",
    ];
    let (found, code) = json(".", &args);
    assert_eq!(code, 1, "{found}");
    assert_eq!(found["findings"], serde_json::json!([]));
    assert_eq!(found["not_looked_at"].as_array().unwrap().len(), 4, "{found}");
}
