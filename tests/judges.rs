//! The demo asked by tools that share no code with us: `dig` and `kdig`, over UDP and TCP, IPv4 and IPv6.
//!
//! Where a tool is missing the test says so and passes; the gate installs both.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use signpost::app::{Running, ServeOptions, serve};

/// Questions, and the short answer of each, one record a line, sorted.
const ASKED: &[(&str, &str, &str)] = &[
    ("web.shop.svc.cluster.local", "A", "10.96.10.1"),
    ("WEB.Shop.svc.cluster.LOCAL", "A", "10.96.10.1"),
    ("db.data.svc.cluster.local", "A", "10.244.1.50\n10.244.2.50"),
    ("db-0.db.data.pod.cluster.local", "A", "10.244.1.50"),
    (
        "_postgres._tcp.db.data.svc.cluster.local",
        "SRV",
        "0 50 5432 db-0.db.data.svc.cluster.local.\n0 50 5432 db-1.db.data.svc.cluster.local.",
    ),
    ("50.1.244.10.in-addr.arpa", "PTR", "db-0.db.data.svc.cluster.local."),
    ("dns-version.cluster.local", "TXT", "\"1.1.0\""),
    ("nothing.shop.svc.cluster.local", "A", ""),
];

/// The demo, on free ports.
fn demo() -> Running {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo");
    let text = format!(
        ".:0 {{\n bind 127.0.0.1 ::1\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n manifests {manifests}\n \
         pods insecure\n pod_hostnames\n }}\n loadbalance\n}}\n"
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(Duration::from_secs(10)));
    running
}

/// What a tool prints with `+short`, its lines sorted; `None` where there is no such tool.
fn short(tool: &str, server: SocketAddr, transport: &str, name: &str, qtype: &str) -> Option<String> {
    let at = format!("@{}", server.ip());
    let port = server.port().to_string();
    let output =
        Command::new(tool).args([&at, "-p", &port, transport, "+short", name, qtype]).output().ok()?;
    assert!(output.status.success(), "{tool} {name} {qtype}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    Some(lines.join("\n"))
}

/// Asks everything with one tool.
fn judge(tool: &str) {
    let running = demo();
    for server in running.addresses() {
        for transport in ["+notcp", "+tcp"] {
            for &(name, qtype, want) in ASKED {
                let Some(got) = short(tool, server, transport, name, qtype) else {
                    eprintln!("not run: there is no {tool} here");
                    return;
                };
                assert_eq!(got, want, "{tool} @{server} {transport} {name} {qtype}");
            }
        }
    }
}

#[test]
fn dig_reads_what_the_demo_answers() {
    judge("dig");
}

#[test]
fn kdig_reads_what_the_demo_answers() {
    judge("kdig");
}
