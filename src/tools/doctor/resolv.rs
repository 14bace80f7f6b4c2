//! What is wrong with the resolv.conf that the server, and what it forwards to, come from.

use std::net::IpAddr;
use std::path::Path;

use super::args::Findings;

/// The most servers that glibc asks (`MAXNS`).
const SERVERS: usize = 3;

/// Looks at the text of a resolv.conf.
pub(super) fn look(path: &Path, text: &str, found: &mut Findings) {
    let name = path.display();
    found.looked(name.to_string());
    let mut servers = Vec::new();
    let mut search: Vec<&str> = Vec::new();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next()),
            // The last of them counts.
            Some("search" | "domain") => search = words.collect(),
            _ => {}
        }
    }
    for server in &servers {
        let bare = server.split('%').next().unwrap_or_default();
        // Where the Corefile names this file, that line has a finding of its own.
        let told = |text: &str| text.starts_with(&format!("{name} names {bare},"));
        if bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) && !found.told("resolv-loop", told) {
            let resolved = if *server == "127.0.0.53" { " (systemd-resolved's stub)" } else { "" };
            found.add(
                "warning",
                "resolv-loop",
                format!("{name} names {server}{resolved}, which inside a pod is the pod itself"),
                "give the kubelet the file with the real servers: resolvConf: /run/systemd/resolve/resolv.conf, \
                 or name the servers behind `forward .`",
            );
        }
    }
    if servers.is_empty() {
        found.add(
            "warning",
            "resolv-empty",
            format!("{name} names no server"),
            "write a `nameserver` line, or name servers behind `forward .`",
        );
    }
    if servers.len() > SERVERS {
        let text = format!(
            "{name} names {} servers, and programs on the node ask the first {SERVERS} only",
            servers.len()
        );
        found.add("hint", "resolv-servers", text, "keep three");
    }
    if search.iter().any(|zone| zone.trim_end_matches('.').is_empty()) {
        found.add(
            "warning",
            "search-root",
            format!("{name} has `search .`: musl then gives up on names that Alpine pods should find, and glibc asks twice"),
            "remove the dot; it comes from systemd-resolved or from an empty DHCP domain",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of what is found.
    fn codes(text: &str) -> Vec<&'static str> {
        let mut found = Findings::default();
        look(Path::new("resolv.conf"), text, &mut found);
        found.codes()
    }

    #[test]
    fn what_is_wrong_is_found_and_nothing_else() {
        assert_eq!(codes("nameserver 10.0.0.2\nsearch eu-west-1.compute.internal\noptions edns0\n"), [""; 0]);
        assert_eq!(codes("nameserver 127.0.0.53\nsearch .\n"), ["resolv-loop", "search-root"]);
        assert_eq!(codes("# nameserver 10.0.0.2\n"), ["resolv-empty"]);
        assert_eq!(
            codes("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver ::1 ; a\n"),
            ["resolv-loop", "resolv-servers"]
        );
    }
    #[test]
    fn a_loop_that_a_line_of_the_corefile_has_is_told_once() {
        let mut found = Findings::default();
        found.add(
            "warning",
            "resolv-loop",
            "resolv.conf names 127.0.0.53, which inside a pod is the pod itself",
            "name others",
        );
        look(Path::new("resolv.conf"), "nameserver 127.0.0.53\nnameserver 127.0.0.5\n", &mut found);
        assert_eq!(found.codes(), ["resolv-loop", "resolv-loop"]);
        assert!(found.told("resolv-loop", |text| text.contains("names 127.0.0.5,")));
    }
}
