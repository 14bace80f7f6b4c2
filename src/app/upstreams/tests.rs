//! Groups and upstreams over plans, and the thread that follows files.
#![allow(clippy::disallowed_methods, reason = "real files, real time")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Upstreams;
use crate::forward::{Group, GroupOptions, GroupSpec, Target, UpstreamSpec};

/// An upstream like any other.
fn like() -> UpstreamSpec {
    UpstreamSpec::plain("0.0.0.0:53".parse().expect("an address"))
}

/// What a line with one target asks for.
fn spec(target: Target) -> GroupSpec {
    let own = vec!["127.0.0.1:53".parse().expect("an address")];
    GroupSpec { targets: vec![target], options: GroupOptions::default(), resolvers: Vec::new(), own }
}

/// What a line with this address asks for.
fn fixed(addr: &str) -> GroupSpec {
    spec(Target::Upstream(UpstreamSpec::plain(addr.parse().expect("an address"))))
}

/// What a line with this file asks for.
fn file(path: PathBuf) -> GroupSpec {
    spec(Target::File { path, like: like() })
}

/// The addresses of a group.
fn addresses(group: &Group) -> Vec<String> {
    group.upstreams().iter().map(|upstream| upstream.spec().addr.to_string()).collect()
}

#[test]
fn an_equal_line_of_the_next_plan_has_the_same_group_and_two_of_one_plan_have_two() {
    let mut upstreams = Upstreams::default();
    let group = |upstreams: &mut Upstreams, addr| upstreams.group(&fixed(addr)).expect("a group");
    let one = group(&mut upstreams, "192.0.2.1:53");
    let two = group(&mut upstreams, "192.0.2.1:53");
    let other = group(&mut upstreams, "192.0.2.2:53");
    assert!(!Arc::ptr_eq(&one, &two), "each line counts its own questions");
    assert!(Arc::ptr_eq(&one.upstreams()[0], &two.upstreams()[0]), "and they share the upstream");
    upstreams.begin();
    assert!(Arc::ptr_eq(&group(&mut upstreams, "192.0.2.1:53"), &one));
    assert!(Arc::ptr_eq(&group(&mut upstreams, "192.0.2.1:53"), &two));
    assert!(Arc::ptr_eq(&group(&mut upstreams, "192.0.2.2:53"), &other));
    // Other options make another group of the same upstream.
    let mut options = fixed("192.0.2.1:53");
    options.options.max_concurrent = 5;
    let changed = upstreams.group(&options).expect("a group");
    assert!(Arc::ptr_eq(&changed.upstreams()[0], &one.upstreams()[0]));
}

#[test]
fn counts_outlive_groups_and_upstreams() {
    let mut upstreams = Upstreams::default();
    let group = upstreams.group(&fixed("192.0.2.1:53")).expect("a group");
    group.upstreams()[0].counts.queries.fetch_add(7, Relaxed);
    group.counts.coalesced.fetch_add(3, Relaxed);
    drop(group);
    upstreams.begin();
    let again = upstreams.group(&fixed("192.0.2.1:53")).expect("a group");
    assert_eq!(again.upstreams()[0].counts.queries.load(Relaxed), 7);
    assert_eq!(again.counts.coalesced.load(Relaxed), 3);
}

/// Waits until a group asks these.
fn until(group: &Group, expected: &[&str]) {
    let start = Instant::now();
    while addresses(group) != expected {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?} and not {expected:?}", addresses(group));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Replaces a file at once.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("it is written");
    fs::rename(new, path).expect("it is renamed");
}

#[test]
fn a_file_is_followed_and_an_empty_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    replace(&path, "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    let mut upstreams = Upstreams::default();
    let group = upstreams.group(&file(path.clone())).expect("a group");
    upstreams.tend().expect("a thread");
    assert_eq!(addresses(&group), ["192.0.2.1:53", "192.0.2.2:53"], "our own address is left out");
    let kept = group.upstreams()[1].clone();
    replace(&path, "");
    replace(&path, "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
    until(&group, &["192.0.2.2:53", "192.0.2.3:53"]);
    assert!(Arc::ptr_eq(&group.upstreams()[0], &kept), "health and all");
    // The thread ends when nobody asks any more, and another one begins with the next file.
    drop(group);
    let start = Instant::now();
    while upstreams.known.lock().tending {
        assert!(start.elapsed() < Duration::from_secs(10), "the thread goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let group = upstreams.group(&file(path.clone())).expect("a group");
    upstreams.tend().expect("a thread");
    replace(&path, "nameserver 192.0.2.4\n");
    until(&group, &["192.0.2.4:53"]);
}

#[test]
fn a_file_that_names_only_us_or_nobody_leaves_nobody_to_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    replace(&path, "nameserver 127.0.0.1\n");
    let mut upstreams = Upstreams::default();
    let group = upstreams.group(&file(path.clone())).expect("a group");
    assert_eq!(addresses(&group), [""; 0]);
    replace(&path, "");
    upstreams.begin();
    let known = upstreams.group(&file(path.clone())).expect("the group that is known");
    assert!(Arc::ptr_eq(&known, &group));
    let fault = upstreams.group(&file(path.clone())).expect_err("a new line needs a server at first");
    assert_eq!(fault.target, Some(0));
    assert!(fault.text.ends_with("resolv.conf` can't be used: it names no server"), "{fault:?}");
    let mut both = file(path);
    both.targets.push(Target::Upstream(UpstreamSpec::plain("192.0.2.9:53".parse().expect("an address"))));
    let group = upstreams.group(&both).expect("the other target does");
    assert_eq!(addresses(&group), ["192.0.2.9:53"]);
}
