//! Zone files and primaries over plans that come and go.

use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::corefile::Zone;

/// How long something may take that should happen soon.
const PATIENCE: Duration = Duration::from_secs(20);

/// A zone with this serial.
fn text(serial: u32) -> String {
    format!("@ 9 SOA a b {serial} 2 3 4 5\n")
}

/// Waits until `done` says so.
#[allow(clippy::disallowed_methods, reason = "real threads, real time")]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A file as a stanza wants it.
fn spec(path: &std::path::Path, reload: Duration) -> ZoneFile {
    ZoneFile { path: path.to_owned(), origin: Zone::parse("example.org").unwrap(), reload, by_mtime: false }
}

#[test]
fn plans_that_say_the_same_do_not_put_off_the_look_at_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    fs::write(&path, text(1)).unwrap();
    let spec = spec(&path, Duration::from_millis(200));
    let mut zones = Zones::new(Clock::system());
    let held = zones.file(&spec).unwrap();
    zones.feed().unwrap();
    zones.commit();
    fs::write(&path, text(2)).unwrap();
    // As `reload` does it: the Corefile is read again and again and says the same.
    until("the look", || {
        zones.begin();
        assert!(Arc::ptr_eq(&zones.file(&spec).unwrap(), &held));
        zones.commit();
        held.live().is_some_and(|zone| zone.serial() == 2)
    });
}

#[test]
fn what_a_plan_does_not_want_any_more_ends_and_what_a_failed_one_wanted_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    fs::write(&path, text(1)).unwrap();
    let (first, second) = (spec(&path, Duration::from_millis(5)), spec(&path, Duration::from_millis(6)));
    let mut zones = Zones::new(Clock::system());
    let held = zones.file(&first).unwrap();
    zones.feed().unwrap();
    zones.commit();
    zones.begin();
    zones.file(&second).unwrap();
    zones.abandon();
    assert_eq!(zones.files.len(), 1);
    fs::write(&path, text(2)).unwrap();
    until("the look", || held.live().is_some_and(|zone| zone.serial() == 2));
    zones.begin();
    let other = zones.file(&second).unwrap();
    zones.feed().unwrap();
    zones.commit();
    assert_eq!(zones.files.len(), 1);
    fs::write(&path, text(3)).unwrap();
    until("the look", || other.live().is_some_and(|zone| zone.serial() == 3));
    assert_eq!(held.live().map(|zone| zone.serial()), Some(2), "nobody looks for the old one any more");
    zones.begin();
    zones.commit();
    assert!(zones.looker.is_none() && zones.files.is_empty());
}
