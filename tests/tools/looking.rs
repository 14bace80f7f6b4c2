//! To look is not to ask: `/explain` moves no number, no answer and no upstream, whatever words the question meets (rule S-30).
//!
//! Each test looks first and asks then: what looking may not move, asking does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::process::{Folder, PATIENCE, Server, fetch, free_port, query, wait};

/// The types that are asked for here.
const A: u16 = 1;

/// The type of a marker of `loop`.
const HINFO: u16 = 13;

/// An upstream: every name has the address 192.0.2.1 for half a minute, and what `loop` sends gets no reply.
struct Upstream {
    /// Its port.
    port: u16,
    /// What it was asked, lower case, with the type.
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Upstream {
    /// Starts one.
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<(String, u16)>>> = Arc::default();
        let told = asked.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Some((name, qtype, end)) = question(&buffer[..length]) else { continue };
                told.lock().unwrap().push((name, qtype));
                if qtype == HINFO {
                    continue;
                }
                let mut reply = buffer[..end].to_vec();
                reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(qtype == A), 0, 0, 0, 0]);
                if qtype == A {
                    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1]);
                }
                let _ = socket.send_to(&reply, from);
            }
        });
        Self { port, asked }
    }

    /// How often it was asked for a name.
    fn times(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == name).count()
    }
}

/// The question of a message: name, type, and where it ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push_str(&String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        name.push('.');
        at += length;
    }
    let qtype = message.get(at..at + 2)?;
    Some((name, u16::from_be_bytes([qtype[0], qtype[1]]), at + 4))
}

/// Looks at a question so many times; what is said in the end.
fn look(health: u16, name: &str, qtype: &str, times: usize) -> Value {
    let mut said = Value::Null;
    for _ in 0..times {
        let (status, body) = fetch(health, &format!("/explain?name={name}&type={qtype}")).unwrap();
        assert_eq!(status, 200, "{name}: {body}");
        said = serde_json::from_str(&body).unwrap();
    }
    said["account"].clone()
}

/// Families that move without any question: the process's own, the server's look at itself, upstreams that `loop` tries.
const MOVE: [&str; 6] = [
    "process_",
    "coredns_health_",
    "coredns_proxy_",
    "coredns_forward_",
    "signpost_upstream_",
    "signpost_loop_",
];

/// All numbers but those that move by themselves, by series.
fn numbers(metrics: u16) -> BTreeMap<String, String> {
    let (_, page) = fetch(metrics, "/metrics").unwrap();
    page.lines()
        .filter(|line| !line.starts_with('#') && !MOVE.iter().any(|family| line.starts_with(family)))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series.to_owned(), value.to_owned()))
        .collect()
}

/// The families of the series that differ.
fn moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeSet<String> {
    let family = |series: &String| series.split('{').next().unwrap_or_default().to_owned();
    let changed = after.iter().filter(|(series, value)| before.get(*series) != Some(value));
    changed.map(|(series, _)| family(series)).collect()
}

/// The names of the tests, each met by another word: the word, the name.
const NAMES: [(&str, &str); 8] = [
    ("local", "localhost.example.org."),
    ("rewrite", "old.example.org."),
    ("autopath", "www.example.org.shop.svc.cluster.local."),
    ("acl", "www.blocked.example."),
    ("template", "any.made.example."),
    ("hosts", "www.example.org."),
    ("kubernetes", "web.shop.svc.cluster.local."),
    ("cache", "kept.example.net."),
];

/// Families of which each moves when these names are asked for.
const ASKING_MOVES: [&str; 11] = [
    "coredns_acl_allowed_requests_total",
    "coredns_acl_blocked_requests_total",
    "coredns_autopath_success_total",
    "coredns_cache_hits_total",
    "coredns_cache_misses_total",
    "coredns_cache_requests_total",
    "coredns_cache_prefetch_total",
    "coredns_dns_requests_total",
    "coredns_local_localhost_requests_total",
    "coredns_template_matches_total",
    "signpost_queries_total",
];

/// The Corefile of the test: `UPSTREAM`, `HEALTH`, `METRICS` are ports, `HERE` is the folder.
const COREFILE: &str = "\
.:PORT {
    bind 127.0.0.1
    errors
    health 127.0.0.1:HEALTH
    prometheus 127.0.0.1:METRICS
    observe
    local
    dns64
    loadbalance
    rewrite name old.example.org www.example.org
    autopath cluster.local HERE/resolv.conf
    acl blocked.example {
        block
    }
    cache 300 {
        prefetch 1 1h 90%
        serve_stale
    }
    template IN A made.example {
        answer \"{{ .Name }} 60 IN A 192.0.2.9\"
    }
    hosts {
        192.0.2.7 www.example.org
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa {
        manifests DIR
    }
    loop
    forward . 127.0.0.1:UPSTREAM
}
";

/// A server with that Corefile, and the ports of its HTTP.
fn start(upstream: &Upstream) -> (Folder, Server, u16, u16) {
    let [port, health, metrics] = [free_port(), free_port(), free_port()];
    let text = COREFILE
        .replace("PORT", &port.to_string())
        .replace("HEALTH", &health.to_string())
        .replace("METRICS", &metrics.to_string())
        .replace("UPSTREAM", &upstream.port.to_string());
    let folder = Folder::new(&text);
    let text = text.replace("HERE", folder.dir.path().to_str().unwrap());
    let text = text.replace("DIR", folder.manifests().to_str().unwrap());
    folder.write("Corefile", &text);
    folder.write("resolv.conf", "search shop.svc.cluster.local svc.cluster.local cluster.local\n");
    let server = Server::of(&folder, port);
    (folder, server, health, metrics)
}

#[test]
fn looking_moves_no_number_and_asking_does() {
    let upstream = Upstream::start();
    let (_folder, server, health, metrics) = start(&upstream);
    server.wait_for("kept.example.net.", &["192.0.2.1"], PATIENCE);
    // Old enough for a hit to have it asked for again.
    let left = regex::Regex::new("holds an answer, ([0-9]+) s left").unwrap();
    wait("an answer with 26 s left", PATIENCE, || {
        let said = look(health, "kept.example.net.", "A", 1)["said"].to_string();
        let seconds: u32 = left.captures(&said)?[1].parse().ok()?;
        (seconds <= 26).then_some(())
    });
    // What is counted of that is on the page once it stays as it is.
    let mut last = BTreeMap::new();
    let mut settled = || {
        wait("numbers that stand still", PATIENCE, || {
            let now = numbers(metrics);
            let same = now == last;
            last = now;
            same.then_some(())
        });
        last.clone()
    };
    let before = settled();
    for (word, name) in NAMES {
        for qtype in ["A", "AAAA"] {
            let account = look(health, name, qtype, 3);
            let met = format!("{}{}{}", account["decided"], account["said"], account["behalf"]);
            assert!(qtype == "AAAA" || met.contains(word), "{word}: {account}");
        }
    }
    look(health, "never-asked.example.net.", "A", 3);
    let after = settled();
    assert_eq!(moved(&before, &after), BTreeSet::new());
    assert_eq!(upstream.times("never-asked.example.net."), 0, "nobody asks upstreams");
    assert_eq!(upstream.times("kept.example.net."), 1, "what is looked at is not popular");

    for (_, name) in NAMES.into_iter().chain([("a miss", "missed.example.net.")]) {
        for _ in 0..2 {
            server.exchange(&query(name, A, None)).unwrap_or_else(|| panic!("{name}"));
        }
    }
    for family in ASKING_MOVES {
        wait(family, PATIENCE, || moved(&before, &numbers(metrics)).contains(family).then_some(()));
    }
    wait("the question of a prefetch", PATIENCE, || (upstream.times("kept.example.net.") > 1).then_some(()));
}

#[test]
fn looking_at_what_loop_sent_finds_no_loop_and_asking_for_it_does() {
    let upstream = Upstream::start();
    let (_folder, server, health, metrics) = start(&upstream);
    let (_, marker) = wait("a marker of `loop`", PATIENCE, || {
        let asked = upstream.asked.lock().unwrap();
        asked.iter().find(|(_, qtype)| *qtype == HINFO).map(|(name, _)| name.clone())
    });
    let account = look(health, &marker, "HINFO", 3);
    assert_eq!((&account["decided"], &account["fate"]), (&"forward".into(), &"asks".into()), "{account}");
    let (_, page) = fetch(metrics, "/metrics").unwrap();
    let found = page.lines().any(|line| line.starts_with("signpost_loop_detected") && line.ends_with(" 1"));
    assert!(!found, "{page}");
    let reply = server.exchange(&query(&marker, HINFO, None)).unwrap();
    assert_eq!(u16::from(reply.metadata.response_code), 3, "a loop");
}

#[test]
fn looking_takes_no_turn_of_erratic() {
    let (port, health) = (free_port(), free_port());
    let folder = Folder::new(&format!(
        ".:{port} {{\n    bind 127.0.0.1\n    health 127.0.0.1:{health}\n    erratic {{\n        drop 0\n        truncate 2\n    }}\n}}\n"
    ));
    let mut command = crate::process::binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let server = Server::start(command, port);
    wait("the server", PATIENCE, || fetch(health, "/health"));
    let cut = || server.exchange(&query("www.example.org.", A, None)).unwrap().metadata.truncation;
    // Every second reply is cut, beginning with the first, however often somebody looks in between.
    let turns: Vec<bool> = (0..6)
        .map(|turn| {
            look(health, "www.example.org.", "A", turn);
            cut()
        })
        .collect();
    assert_eq!(turns, [true, false, true, false, true, false]);
}
