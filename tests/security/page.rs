//! The page itself: its tables, and the tests that it names.

use std::collections::BTreeSet;
use std::path::Path;

/// A file of the project.
pub(crate) fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the table below a heading of docs/security.md, each with its cells.
pub(crate) fn table(heading: &str) -> Vec<Vec<String>> {
    let page = read("docs/security.md");
    let start = format!("\n## {heading}\n");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no heading `{heading}`"));
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace("\\", "")).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "`{heading}` has a table");
    rows
}

/// What stands between backquotes.
pub(crate) fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// The texts of all Rust files below a folder.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names of all tests: functions behind `#[test]`, and files of tests/scenarios, each of which is one.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    sources(&root.join("src"), &mut texts);
    sources(&root.join("tests"), &mut texts);
    let mut names = BTreeSet::new();
    for text in &texts {
        for (at, _) in text.match_indices("#[test]") {
            let rest = &text[at..];
            let name = rest.split_once("fn ").and_then(|(_, name)| name.split_once('('));
            names.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    for entry in std::fs::read_dir(root.join("tests/scenarios")).unwrap() {
        let file = entry.unwrap().file_name().to_string_lossy().into_owned();
        names.extend(file.strip_suffix(".dns").map(ToOwned::to_owned));
    }
    names
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let tests = tests();
    assert!(tests.len() > 1000, "{}", tests.len());
    let mut named = 0;
    for row in table("Known vulnerabilities") {
        let [id, .., cell] = &row[..] else { panic!("{row:?}") };
        let names = quoted(cell);
        assert!(!names.is_empty(), "{id} names no test");
        for name in names {
            assert!(tests.contains(&name), "{id}: there is no test `{name}`");
            named += 1;
        }
    }
    for row in table("Promises") {
        for name in quoted(row.last().unwrap()) {
            assert!(tests.contains(&name), "{}: there is no test `{name}`", row[0]);
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

/// Every vulnerability that the page has to say something about.
const KNOWN: &[&str] = &[
    "CVE-2026-26017",
    "CVE-2026-26018",
    "CVE-2026-32934",
    "CVE-2026-32936",
    "CVE-2026-33190",
    "CVE-2026-35579",
    "CVE-2026-33489",
    "CVE-2026-82399",
    "CVE-2026-86003",
    "CVE-2025-68151",
    "CVE-2025-58063",
    "CVE-2025-47950",
    "CVE-2024-0874",
    "CVE-2023-28452",
    "CVE-2023-30464",
    "CVE-2019-19794",
    "CVE-2022-2835",
    "CVE-2022-2837",
    "coredns#8289",
    "coredns#8290",
    "coredns#8272",
    "coredns#8367",
    "coredns#8287",
    "coredns#8376",
    "coredns#8213",
    "coredns#8187",
    "coredns#7802",
    "coredns#7567",
    "RUSTSEC-2026-0119",
    "RUSTSEC-2026-0118",
    "RUSTSEC-2026-0120",
    "RUSTSEC-2026-0106",
    "RUSTSEC-2025-0006",
    "RUSTSEC-2025-0017",
    "RUSTSEC-2023-0041",
    "RUSTSEC-2020-0001",
    "RUSTSEC-2018-0007",
    "ztunnel#2091",
    "RUSTSEC-2024-0336",
    "RUSTSEC-2024-0399",
    "RUSTSEC-2024-0003",
    "RUSTSEC-2024-0332",
    "RUSTSEC-2026-0258",
    "RUSTSEC-2024-0373",
    "RUSTSEC-2026-0037",
    "RUSTSEC-2026-0185",
    "RUSTSEC-2026-0104",
    "RUSTSEC-2026-0098",
    "RUSTSEC-2026-0099",
    "RUSTSEC-2026-0049",
    "RUSTSEC-2026-0007",
    "RUSTSEC-2026-0204",
    "CVE-2017-14491",
    "CVE-2020-25681",
    "CVE-2023-28450",
    "CVE-2026-2291",
    "CVE-2026-4890",
    "CVE-2026-4891",
    "CVE-2026-4892",
    "CVE-2026-4893",
    "CVE-2026-5172",
    "CVE-2023-50387",
    "CVE-2023-50868",
    "CVE-2024-8508",
    "CVE-2026-44390",
    "CVE-2025-11411",
    "CVE-2025-40778",
    "CVE-2025-5994",
    "CVE-2026-40622",
    "CVE-2026-42534",
    "CVE-2026-5946",
    "CVE-2020-12662",
    "CVE-2022-3204",
    "CVE-2024-33655",
    "CVE-2026-50252",
    "SAD DNS",
    "MaginotDNS",
    "RFC 9267",
    "audit-kubernetes#51",
];

#[test]
fn every_known_vulnerability_has_its_row() {
    let rows = table("Known vulnerabilities");
    let ids: String = rows.iter().map(|row| row[0].clone() + " ").collect();
    for known in KNOWN {
        assert!(ids.contains(known), "{known} has no row");
    }
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}
