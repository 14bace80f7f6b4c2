//! What people look at: docs/metrics.md is what the server exposes, and every dashboard and alert asks for metrics that there
//! are, has its runbook, and is tried by a case of promtool (which `cargo monitoring` runs).
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

#[path = "api/mod.rs"]
mod api;
#[path = "monitoring/world.rs"]
mod world;

use world::World;

/// A family: type, meaning, names of labels.
type Family = (String, String, BTreeSet<String>);

/// What the server exposes: families by name.
static FAMILIES: LazyLock<BTreeMap<String, Family>> = LazyLock::new(|| families(&World::start().scrape()));

/// Metrics of others that alerts and dashboards may ask for, with who has them.
const FOREIGN: &[(&str, &str)] = &[
    ("kube_deployment_spec_replicas", "kube-state-metrics"),
    ("kube_deployment_status_replicas_available", "kube-state-metrics"),
    ("kube_pod_container_resource_limits", "kube-state-metrics"),
];

/// What CoreDNS's own dashboard and alerts ask for, and those that Grafana's users share.
const ASKED_FOR_BY_COREDNS_BOARDS: &[&str] = &[
    "coredns_build_info",
    "coredns_cache_entries",
    "coredns_cache_hits_total",
    "coredns_cache_misses_total",
    "coredns_cache_requests_total",
    "coredns_dns_do_requests_total",
    "coredns_dns_request_duration_seconds",
    "coredns_dns_request_size_bytes",
    "coredns_dns_requests_total",
    "coredns_dns_response_size_bytes",
    "coredns_dns_responses_total",
    "coredns_forward_healthcheck_broken_total",
    "coredns_forward_healthcheck_failures_total",
    "coredns_forward_request_duration_seconds",
    "coredns_forward_requests_total",
    "coredns_forward_responses_total",
    "coredns_kubernetes_dns_programming_duration_seconds",
    "coredns_panics_total",
    "coredns_plugin_enabled",
    "coredns_proxy_request_duration_seconds",
    "coredns_reload_failed_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// A path below the root of the project.
fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// A file of the project.
fn read(below: &str) -> String {
    std::fs::read_to_string(path(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

/// The families of a text in the form that Prometheus scrapes.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let twice = families.insert(name.to_owned(), (String::new(), help.to_owned(), BTreeSet::new()));
            assert!(twice.is_none(), "{name} is written twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.get_mut(name).unwrap().0 = kind.to_owned();
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = family_of(name, &families).unwrap_or_else(|| panic!("no family: {line}"));
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            // Values hold no quotation marks here, so each second piece is outside of one.
            for outside in labels.split('"').step_by(2) {
                let label = outside.trim_matches([',', '=']);
                if !label.is_empty() && label != "le" {
                    families.get_mut(&family).unwrap().2.insert(label.to_owned());
                }
            }
        }
    }
    families
}

/// The family that a series belongs to.
fn family_of(series: &str, families: &BTreeMap<String, Family>) -> Option<String> {
    if families.contains_key(series) {
        return Some(series.to_owned());
    }
    let of_histogram = |name: &&str| families.get(*name).is_some_and(|family| family.0 == "histogram");
    let bases = ["_bucket", "_sum", "_count"].into_iter().filter_map(|suffix| series.strip_suffix(suffix));
    bases.filter(of_histogram).map(ToOwned::to_owned).next()
}

#[test]
fn docs_metrics_is_what_the_server_exposes() {
    let mut text = String::from(
        "# Metrics\n\n\
         What `/metrics` says, at the address of `prometheus` in the Corefile (`localhost:9153` unless written). This page is made from a\n\
         running server by `UPDATE_GOLDEN=1 cargo test --test monitoring`, and a test compares. Names that begin with `coredns_` mean what\n\
         they mean in CoreDNS, so its dashboards and alerts go on; what is ours begins with `signpost_`. No label ever holds a name that\n\
         was asked for. Dashboards and alerts are in `charts/signpost/monitoring/`; what to do about each alert is in\n\
         [runbooks.md](runbooks.md).\n\n\
         Families of `hosts`, `dns64`, `loop`, `cache`, `forward` and `health` are there where the Corefile has the word.\n",
    );
    for (prefix, title) in [("coredns_", "CoreDNS's"), ("signpost_", "Ours"), ("process_", "The process")] {
        let _ = write!(text, "\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for (name, (kind, help, labels)) in FAMILIES.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(" "));
        }
    }
    let file = path("docs/metrics.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = kept.lines().zip(text.lines()).find(|(kept, now)| kept != now);
    assert!(kept == text, "UPDATE_GOLDEN=1 rewrites docs/metrics.md; first difference: {differing:?}");
}

#[test]
fn every_family_is_named_by_its_rules_and_has_a_meaning() {
    let wordy: BTreeSet<&str> = ["coredns_build_info", "coredns_reload_version_info"].into();
    for (name, (kind, help, _)) in FAMILIES.iter() {
        assert!(help.ends_with('.'), "{name}: {help}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(["counter", "gauge", "histogram"].contains(&kind.as_str()), "{name} is a {kind}");
        let unit = ["_seconds", "_bytes", "_ratio", "_info"].iter().any(|unit| name.ends_with(unit));
        assert!(kind != "histogram" || unit, "{name} has no unit");
        assert_eq!(name.ends_with("_info"), wordy.contains(name.as_str()), "{name}");
    }
}

/// Names of metrics in a text, wherever they stand.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c: char| !is_part(c))
        .filter(|word| {
            ["coredns_", "signpost_", "process_", "kube_"].iter().any(|start| word.starts_with(start))
        })
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn no_family_that_the_code_writes_is_missing_here() {
    let mut missing = BTreeSet::new();
    let mut folders = vec![path("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("mod tests {").next().unwrap();
            // A string that is a name and nothing else.
            for piece in code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| line.split('"'))
            {
                let is_name = piece.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                let begins =
                    ["coredns_", "signpost_", "process_"].iter().any(|start| piece.starts_with(start));
                if is_name && begins && !FAMILIES.contains_key(piece) {
                    missing.insert(format!("{piece} ({})", file.display()));
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "put what writes them into the Corefile of tests/monitoring/world.rs: {missing:?}"
    );
}

/// The rules of the chart.
fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("charts/signpost/monitoring/rules.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every expression, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all = Vec::new();
    for rule in rules() {
        let name = if rule["alert"].is_string() { &rule["alert"] } else { &rule["record"] };
        all.push((text(name), text(&rule["expr"])));
    }
    let board: Value = serde_json::from_str(&read("charts/signpost/monitoring/signpost.json")).unwrap();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            all.push((format!("panel {}", text(&panel["title"])), text(&target["expr"])));
        }
    }
    for note in board["annotations"]["list"].as_array().unwrap() {
        all.push((text(&note["name"]), text(&note["expr"])));
    }
    for variable in board["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            all.push((text(&variable["name"]), text(&variable["definition"])));
        }
    }
    assert!(all.len() > 80, "{}", all.len());
    all
}

#[test]
fn dashboards_and_rules_ask_for_metrics_and_labels_that_there_are() {
    let records: BTreeSet<String> =
        rules().iter().filter_map(|rule| rule["record"].as_str()).map(ToOwned::to_owned).collect();
    let mut foreign = BTreeSet::new();
    for (place, expression) in expressions() {
        let bare = unquoted(&expression);
        let named = names(&bare);
        assert!(
            !named.is_empty() || records.iter().any(|record| bare.contains(record)),
            "{place}: {expression}"
        );
        for name in &named {
            if FOREIGN.iter().any(|(known, _)| known == name) {
                foreign.insert(name.clone());
                continue;
            }
            let family = family_of(name, &FAMILIES);
            assert!(family.is_some(), "{place}: the server does not expose {name}");
        }
        for word in bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
            assert!(!word.starts_with("signpost:") || records.contains(word), "{place}: no record {word}");
        }
        selectors(&place, &expression);
    }
    let known: BTreeSet<String> = FOREIGN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(foreign, known, "each exception is needed");
}

/// A text without what stands in quotation marks.
fn unquoted(text: &str) -> String {
    text.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Asserts that what stands in braces behind a metric are labels of it, or of every target.
fn selectors(place: &str, expression: &str) {
    let bare = unquoted(expression);
    for (at, _) in bare.match_indices('{') {
        let name = bare[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap();
        let Some(family) = family_of(name, &FAMILIES) else { continue };
        let inside = bare[at + 1..].split('}').next().unwrap();
        for label in inside.split(',').filter_map(|one| one.split(['=', '!']).next()).map(str::trim) {
            let known = FAMILIES[&family].2.contains(label) || ["job", "instance", ""].contains(&label);
            assert!(known, "{place}: {name} has no label {label}");
        }
    }
}

#[test]
fn boards_made_for_coredns_find_what_they_ask_for() {
    let missing: Vec<&&str> =
        ASKED_FOR_BY_COREDNS_BOARDS.iter().filter(|name| !FAMILIES.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_alert_has_its_runbook_and_its_case() {
    let runbooks = read("docs/runbooks.md");
    let cases = read("tests/monitoring/rules_test.yaml");
    let sections: BTreeSet<&str> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## Signpost")).collect();
    let mut alerts = BTreeSet::new();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().unwrap().to_owned();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{name}: {annotation}");
        }
        let link = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link, "{name}");
        let short = name.strip_prefix("Signpost").unwrap().to_owned();
        assert!(sections.contains(short.as_str()), "docs/runbooks.md has no section {name}");
        assert!(
            cases.contains(&format!("alertname=\"{name}\", severity=\"{severity}\"")),
            "{name} has no case"
        );
        assert!(alerts.insert(short), "{name} twice");
    }
    let there: BTreeSet<&str> = alerts.iter().map(String::as_str).collect();
    assert_eq!(sections, there, "every section has its alert");
}

#[test]
fn the_board_is_whole() {
    let board: Value = serde_json::from_str(&read("charts/signpost/monitoring/signpost.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut taken: Vec<[u64; 4]> = Vec::new();
    for panel in panels {
        let at = ["x", "y", "w", "h"].map(|field| panel["gridPos"][field].as_u64().unwrap());
        let [x, y, w, h] = at;
        assert!(x + w <= 24, "{}", panel["title"]);
        let apart = |other: &[u64; 4]| {
            x + w <= other[0] || other[0] + other[2] <= x || y + h <= other[1] || other[1] + other[3] <= y
        };
        assert!(taken.iter().all(apart), "{} lies on another panel", panel["title"]);
        taken.push(at);
        assert!(
            panel["type"] == "row" || !panel["targets"].as_array().unwrap().is_empty(),
            "{}",
            panel["title"]
        );
    }
}
