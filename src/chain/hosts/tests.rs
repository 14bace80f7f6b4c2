//! Tables of texts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::table::{Hosts, HostsSpec};
use crate::corefile::Zone;
use crate::wire::{Question, parse_name, rtype, show_name};

/// Hosts of these zones with lines of their own and a file.
fn hosts(zones: &[&str], inline: &str, file: &str) -> Hosts {
    let spec = HostsSpec {
        path: PathBuf::from("hosts"),
        zones: zones.iter().map(|zone| Zone::parse(zone).unwrap()).collect(),
        inline: inline.to_owned(),
        reverse: true,
        reload: Duration::ZERO,
    };
    let hosts = Hosts::new(spec);
    hosts.replace(file, 7);
    hosts
}

/// The addresses of a name, as text.
fn addresses(hosts: &Hosts, name: &str) -> String {
    let question = Question::new(&parse_name(name).unwrap(), rtype::A).unwrap();
    hosts.with(|table| {
        let found = table.find(&question);
        let v4 = found.v4().iter().map(|ip| IpAddr::from(*ip));
        let v6 = found.v6().iter().map(|ip| IpAddr::from(*ip));
        let all: Vec<String> = v4.chain(v6).map(|ip| ip.to_string()).collect();
        if found.is_empty() { "missing".to_owned() } else { all.join(" ") }
    })
}

/// The names of an address, as text.
fn names(hosts: &Hosts, ip: &str) -> String {
    hosts.with(|table| {
        let names = table.names_of(ip.parse().unwrap()).iter();
        names.map(|name| show_name(name)).collect::<Vec<_>>().join(" ")
    })
}

#[test]
fn every_form_of_a_line_is_read_and_what_says_nothing_is_left_out() {
    let text = "# a comment\n\n10.0.0.1\tA.example.org a # more\r\n  ::1 a.example.org\nfe80::2%eth0 b\n\
                ::ffff:10.0.0.3 c\nnonsense d\n10.0.0.4\n10.0.0.300 e\n10.0.0.5 f..g h\n10.0.0.1 a\n";
    let hosts = hosts(&["."], "", text);
    assert_eq!(addresses(&hosts, "a.EXAMPLE.org"), "10.0.0.1 ::1");
    assert_eq!(addresses(&hosts, "a"), "10.0.0.1", "the same line twice is one record");
    assert_eq!(addresses(&hosts, "b"), "fe80::2");
    assert_eq!(addresses(&hosts, "c"), "10.0.0.3");
    assert_eq!(addresses(&hosts, "h"), "10.0.0.5");
    for missing in ["d", "e", "nonsense", "example.org"] {
        assert_eq!(addresses(&hosts, missing), "missing");
    }
    assert_eq!(names(&hosts, "10.0.0.1"), "a.example.org. a.");
    assert_eq!(names(&hosts, "::ffff:10.0.0.3"), "c.");
    // Six addresses at names, six names at addresses.
    assert_eq!((hosts.entries(), hosts.changed()), (12, 7));
}

#[test]
fn only_names_of_the_zones_count() {
    let hosts = hosts(
        &["example.org", "test"],
        "10.0.0.9 c.test d.other",
        "10.0.0.1 a.example.org b.example.net x.test\n",
    );
    assert_eq!(addresses(&hosts, "a.example.org"), "10.0.0.1");
    assert_eq!(addresses(&hosts, "b.example.net"), "missing");
    assert_eq!(addresses(&hosts, "d.other"), "missing");
    assert_eq!(names(&hosts, "10.0.0.1"), "a.example.org. x.test.");
}

#[test]
fn a_line_of_the_corefile_replaces_those_of_the_file_of_its_name_and_family() {
    let hosts = hosts(&["."], "10.0.0.9 a", "10.0.0.1 a b\nfd00::1 a\n");
    assert_eq!(addresses(&hosts, "a"), "10.0.0.9 fd00::1");
    assert_eq!(names(&hosts, "10.0.0.1"), "b.");
    assert_eq!(names(&hosts, "10.0.0.9"), "a.");
}

#[test]
fn a_wildcard_stands_for_one_label_and_gives_way_to_a_name_of_its_own() {
    let text = "10.0.0.1 *.example.com\n10.0.0.2 a.example.com\nfd00::1 *.example.com\n";
    let hosts = hosts(&["."], "", text);
    assert_eq!(addresses(&hosts, "apps.Example.com"), "10.0.0.1 fd00::1");
    assert_eq!(addresses(&hosts, "a.example.com"), "10.0.0.2 fd00::1");
    assert_eq!(addresses(&hosts, "example.com"), "missing");
    assert_eq!(addresses(&hosts, "deep.apps.example.com"), "missing");
    assert_eq!(names(&hosts, "10.0.0.1"), "", "a wildcard is no name of an address");
    let longest = format!("{0}.{0}.{0}.{1}.example.com", "a".repeat(63), "b".repeat(49));
    assert_eq!(addresses(&hosts, &longest), "missing");
    assert_eq!(addresses(&hosts, "."), "missing");
}

#[test]
fn a_new_text_replaces_the_old_one_whole() {
    let hosts = hosts(&["."], "10.0.0.9 own", "10.0.0.1 a\n");
    hosts.replace("10.0.0.2 b\n", 8);
    assert_eq!(addresses(&hosts, "a"), "missing");
    assert_eq!(addresses(&hosts, "b"), "10.0.0.2");
    assert_eq!(addresses(&hosts, "own"), "10.0.0.9");
}
