//! `signpost top` and `signpost tap`, against a running server that is asked over UDP.

use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Folder, PATIENCE, Server, binary, corefile, fetch, free_port, query, run, wait};
use crate::{fault, json, tree};

/// A server that observes, and the port of its HTTP.
fn observed(line: &str) -> (Folder, Server, u16) {
    let (port, health) = (free_port(), free_port());
    let lines = format!("    errors\n    health 127.0.0.1:{health}\n{line}");
    let folder = Folder::new(&corefile(port, &lines));
    let server = Server::of(&folder, port);
    (folder, server, health)
}

/// Asks so many times.
fn ask(server: &Server, name: &str, qtype: u16, times: usize) {
    for _ in 0..times {
        server.exchange(&query(name, qtype, None)).unwrap_or_else(|| panic!("{name}"));
    }
}

/// Calls the binary with `--admin`, its output as JSON.
fn told(health: u16, args: &[&str]) -> Value {
    let admin = format!("127.0.0.1:{health}");
    let mut all = args.to_vec();
    all.extend(["--format", "json", "--admin", &admin]);
    let (value, code) = json(".", &all);
    assert_eq!(code, 0, "{value}");
    value
}

/// The lines that `tap` prints, each as JSON.
fn taps(health: u16, args: &[&str]) -> Vec<Value> {
    let admin = format!("127.0.0.1:{health}");
    let mut all = vec!["tap", "--format", "json", "--admin", &admin];
    all.extend(args);
    let said = run(&tree("."), &all);
    assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The count of something in a list.
fn count(page: &Value, list: &str, what: &str) -> u64 {
    let rows = page[list].as_array().unwrap();
    let row = rows.iter().find(|row| row["what"] == what);
    row.map_or(0, |row| {
        assert_eq!(row["at_least"], row["at_most"], "few names are counted exactly");
        row["at_least"].as_u64().unwrap()
    })
}

#[test]
fn top_counts_who_asks_for_what_in_each_window() {
    let (_folder, server, health) = observed("    observe\n");
    ask(&server, "API.shop.svc.cluster.local.", 1, 7);
    ask(&server, "www.example.org.shop.svc.cluster.local.", 28, 5);
    ask(&server, "web.shop.svc.cluster.local.", 28, 3);
    ask(&server, "10-0-0-1.shop.pod.cluster.local.", 1, 2);
    for minutes in ["1", "10", "60"] {
        let page = told(health, &["top", "--minutes", minutes]);
        assert_eq!(count(&page, "nxdomain_names", "api.shop.svc.cluster.local."), 7, "{page}");
        assert_eq!(count(&page, "nxdomain_names", "www.example.org.shop.svc.cluster.local."), 5);
        assert_eq!(count(&page, "search_namespaces", "shop"), 5, "a name that is missing is no candidate");
        assert!(count(&page, "names", "web.shop.svc.cluster.local.") >= 4, "{page}");
        assert!(count(&page, "namespaces", "shop") >= 18, "{page}");
        assert_eq!(page["aaaa"], 8, "{page}");
        assert_eq!(page["aaaa_empty"], 3, "{page}");
        assert_eq!(count(&page, "clients", "127.0.0.1"), page["queries"].as_u64().unwrap());
    }
    let admin = format!("127.0.0.1:{health}");
    let said = run(&tree("."), &["top", "nxdomain", "--count", "1", "--admin", &admin]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("# ") && lines[1].contains("NXDOMAIN "), "{}", said.out);
    assert_eq!(
        lines[2..],
        ["nxdomain           7         7  api.shop.svc.cluster.local."],
        "a pipe gets no picture"
    );
}

#[test]
fn tap_shows_what_was_recorded_by_what_is_wanted() {
    let (_folder, server, health) = observed("    observe 1000\n");
    ask(&server, "one.shop.svc.cluster.local.", 1, 1);
    ask(&server, "two.shop.svc.cluster.local.", 28, 2);
    let wanted = |args: &[&str]| -> Vec<String> {
        let mut all = vec!["--past", "--rcode", "NXDOMAIN"];
        all.extend(args);
        taps(health, &all).iter().map(|told| told["name"].as_str().unwrap().to_owned()).collect()
    };
    let (one, two) = ("one.shop.svc.cluster.local.", "two.shop.svc.cluster.local.");
    assert_eq!(wanted(&[]), [one, two, two], "oldest first");
    assert_eq!(wanted(&["--type", "AAAA"]), [two, two]);
    assert_eq!(wanted(&["--name", "ONE.shop.svc.cluster.local"]), [one]);
    assert_eq!(wanted(&["--name", "svc.cluster.local", "--client", "127.0.0.0/8"]).len(), 3);
    assert_eq!(wanted(&["--client", "10.0.0.0/8"]).len(), 0);
    assert_eq!(wanted(&["--slower", "60000"]).len(), 0);
    assert_eq!(wanted(&["--count", "1"]), [two], "of the past the newest");
    let told = &taps(health, &["--past", "--name", "one.shop.svc.cluster.local"])[0];
    assert_eq!(
        (&told["rcode"], &told["type"], &told["word"], &told["proto"], &told["client"]),
        (&"NXDOMAIN".into(), &"A".into(), &"kubernetes".into(), &"udp".into(), &"127.0.0.1".into())
    );
    assert!(told["microseconds"].as_u64().unwrap() < 10_000_000, "{told}");
    // As text, a line each.
    let admin = format!("127.0.0.1:{health}");
    let said = run(&tree("."), &["tap", "--past", "--count", "1", "--type", "AAAA", "--admin", &admin]);
    assert!(
        said.out.contains(" NXDOMAIN ") && said.out.ends_with(two) && !said.out.contains('\x1b'),
        "{}",
        said.out
    );
}

#[test]
fn tap_follows_what_is_answered() {
    let (_folder, server, health) = observed("    observe\n");
    let mut command = binary();
    let admin = format!("127.0.0.1:{health}");
    command.args([
        "tap",
        "--name",
        "later.shop.svc.cluster.local",
        "--count",
        "3",
        "--format",
        "json",
        "--admin",
        &admin,
    ]);
    let child: Child = command.spawn().unwrap();
    let mut tap = Server::of_child(child, 0);
    // Until it has begun to listen nothing that is asked is shown, so it is asked until there is enough.
    wait("three lines", PATIENCE, || {
        ask(&server, "later.shop.svc.cluster.local.", 1, 1);
        (tap.lines().len() >= 3).then_some(())
    });
    let (_, status) = tap.end(PATIENCE);
    assert!(status.success());
    let lines = tap.lines();
    assert_eq!(lines.len(), 3, "it ends after so many: {lines:?}");
    for line in lines {
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["name"], "later.shop.svc.cluster.local.");
    }
}

#[test]
fn a_server_that_does_not_observe_says_so() {
    let (_folder, _server, health) = observed("");
    let admin = format!("127.0.0.1:{health}");
    for command in ["top", "tap"] {
        let (err, code) = fault(".", &[command, "--admin", &admin]);
        assert!(code == 1 && err.contains("`observe` is not in the Corefile"), "{err}");
    }
    let nobody = format!("127.0.0.1:{}", free_port());
    let (err, code) = fault(".", &["top", "--admin", &nobody]);
    assert!(code == 1 && err.contains(&format!("no running server tells: {nobody}")), "{err}");
    // A filter that can't be read is a mistake on the command line, and nobody is asked.
    for (flag, value) in
        [("--client", "10.0.0.0/33"), ("--type", "NONSENSE"), ("--rcode", "NONSENSE"), ("--name", "a..b")]
    {
        let (err, code) = fault(".", &["tap", flag, value, "--admin", &nobody]);
        assert_eq!((code, err), (2, format!("signpost: `{value}` is no value of {flag}")));
    }
}

#[test]
fn wrong_questions_are_refused_and_others_are_not_told() {
    let (_folder, _server, health) = observed("    observe\n");
    for wrong in [
        "/top?minutes=2",
        "/top?minutes=x",
        "/top?count=-1",
        "/tap?after=nonsense",
        "/tap?type=NONSENSE",
        "/tap?rcode=NONSENSE",
        "/tap?client=10.0.0.0/33",
        "/tap?client=somebody",
        "/tap?name=..",
        "/tap?slower=1ms",
    ] {
        assert_eq!(fetch(health, wrong).map(|(status, _)| status), Some(400), "{wrong}");
    }
    for path in ["/top", "/tap"] {
        assert_eq!(fetch(health, path).map(|(status, _)| status), Some(200), "{path}");
        // A page in somebody's browser, led here by a name of somebody else's.
        assert_eq!(status_for(health, path, "evil.example"), "404", "{path}");
    }
}

/// The status of a page that is asked for by another host's name.
fn status_for(port: u16, path: &str, host: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_reload_that_keeps_the_line_keeps_what_was_counted() {
    let (folder, server, health) = observed("    reload 2s\n    observe\n");
    ask(&server, "before.shop.svc.cluster.local.", 1, 4);
    let text = std::fs::read_to_string(folder.path("Corefile")).unwrap();
    folder.write("Corefile", &text.replace("    errors\n", "    errors\n    nsid other\n"));
    server.signal(rustix::process::Signal::USR1);
    // NSID is answered once the new plan is in force.
    wait("the new plan", PATIENCE, || {
        let page = fetch(health, "/explain?name=web.shop.svc.cluster.local&type=A")?.1;
        page.contains("\"nsid\"").then_some(())
    });
    let page = told(health, &["top"]);
    assert_eq!(count(&page, "names", "before.shop.svc.cluster.local."), 4, "{page}");
}

#[test]
fn doctor_names_the_namespaces_that_ask_in_vain() {
    let (port, metrics) = (free_port(), free_port());
    let lines = format!("    errors\n    prometheus 127.0.0.1:{metrics}\n    observe\n");
    let folder = Folder::new(&corefile(port, &lines));
    let server = Server::of(&folder, port);
    ask(&server, "www.example.org.shop.svc.cluster.local.", 1, 400);
    ask(&server, "web.shop.svc.cluster.local.", 1, 650);
    let conf = folder.path("Corefile");
    let metrics = format!("127.0.0.1:{metrics}");
    let args = ["doctor", "--format", "json", "--conf", conf.to_str().unwrap(), "--metrics", &metrics];
    let (found, code) = json(".", &args);
    assert_eq!(code, 3);
    let findings = found["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["code"] == "search-namespace");
    let finding = finding.unwrap_or_else(|| panic!("{found}"));
    assert!(finding["text"].as_str().unwrap().contains("`shop` asked 400 times"), "{finding}");
    assert!(finding["advice"].as_str().unwrap().contains("ndots"), "{finding}");
}
