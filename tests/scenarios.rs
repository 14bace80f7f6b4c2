//! Conversations with upstreams, written down (`scenarios/*.dns`) and played over a network in memory: every
//! misbehaviour of RELIABILITY U1 to U17, and what must come of it. The clock stands still unless a scenario moves it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

#[path = "scenarios/bytes.rs"]
mod bytes;
#[path = "scenarios/fair.rs"]
mod fair;
#[path = "scenarios/figures.rs"]
mod figures;
#[path = "scenarios/language.rs"]
mod language;
#[path = "scenarios/play.rs"]
mod play;
#[path = "scenarios/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Reads and plays a file.
fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(format!("{name}.dns"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // A file may hold several scenarios; the lines of each keep their numbers.
    let mut start = 0;
    let lines: Vec<&str> = text.lines().collect();
    for end in 0..=lines.len() {
        if end < lines.len() && !lines[end].starts_with("scenario ") {
            continue;
        }
        if lines[start..end].iter().any(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let part = format!("{}{}", "\n".repeat(start), lines[start..end].join("\n"));
            let script = language::parse(&part).unwrap_or_else(|what| panic!("{name}.dns:{what}"));
            play::play(&format!("{name}.dns"), &script);
        }
        start = end + 1;
    }
}

/// A test for each file.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        /// The files that are played.
        const PLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    cve_2026_42534_duplicates
    l3_the_last_places_are_for_others
    l4_many_clients_ask_the_same
    l5_one_slow_zone_leaves_the_others_alone
    plain_answers
    u01_wrong_id
    u02_wrong_question
    u03_garbage
    u04_broken_records
    u05_refusals
    u06_truncated
    u07_truncated_and_no_tcp
    u08_slow
    u09_records_of_others
    u10_off_the_chain
    u11_ttls
    u12_no_soa
    u13_dead
    u14_streams
    u15_no_silent_downgrade
    u17_flood_of_forgeries
    x_letters
}

#[test]
fn every_file_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".dns").map(str::to_owned))
        .collect();
    assert_eq!(files, PLAYED.iter().map(ToString::to_string).collect());
}

#[test]
fn unknown_words_are_errors_with_their_line() {
    let wrong = [
        "client begs www.example.org A",
        "client asks www.example.org Q",
        "client asks www.example.org A loudly",
        "upstream 0 is up",
        "upstream 1 answers A 192.0.2.7 with love",
        "upstream 1 answers A 192.0.2",
        "upstream 1 answers with wrong id and wrong words",
        "upstream 1 is asked www.example.org A by pigeon",
        "time passes 4",
        "time passes 4min",
        "client gets GOOD",
        "client gets NOERROR with zz",
        "upstream 1 counts sheep 4",
        "forward 192.0.2.1 { policy fair }",
        "forward 192.0.2.1 { policy random",
        "    www.example.org 60 A 192.0.2.7",
    ];
    for line in wrong {
        let text = format!("forward 192.0.2.1\n\n{line}\n");
        let error = language::parse(&text).expect_err(line);
        assert!(error.starts_with("3: "), "{line}: {error}");
    }
}
