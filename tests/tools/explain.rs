//! `signpost explain`: offline over manifests, and against a running server.

use std::fs;

use serde_json::Value;

use crate::process::{Folder, PATIENCE, Server, corefile, fetch, free_port, query, wait};
use crate::{fault, golden, json, run};

/// The demo's cluster.
const DEMO: &[&str] = &["--conf", "config/demo/Corefile"];

/// What is said of a name of the demo: JSON, and how it ended.
fn demo(args: &[&str]) -> (Value, i32) {
    let mut all = vec!["explain", "--format", "json"];
    all.extend(args);
    all.extend(DEMO);
    json(".", &all)
}

/// The last account of a story.
fn last(story: &Value) -> Value {
    let candidates = story["candidates"].as_array().unwrap();
    candidates.last().unwrap()["accounts"].as_array().unwrap().last().unwrap().clone()
}

/// The rules, and the names that are near, of what `kubernetes` says.
fn why(account: &Value) -> (Vec<String>, Vec<String>) {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let said = account["said"].as_array().unwrap().iter().find(|said| said["word"] == "kubernetes");
    let said = said.unwrap_or_else(|| panic!("{account}"));
    (texts(&said["rules"]), texts(&said["near"]))
}

#[test]
fn people_get_these_texts() {
    let cases: [(&str, &[&str]); 5] = [
        ("found", &["web.shop", "--from", "data"]),
        ("misspelt", &["wbe.shop", "--from", "data", "A"]),
        ("outside", &["www.example.com", "--from", "shop", "A"]),
        ("endpoint", &["db-7.db.data.svc.cluster.local", "SRV"]),
        ("reverse", &["1.10.96.10.in-addr.arpa", "PTR"]),
    ];
    for (name, args) in cases {
        let mut all = vec!["explain"];
        all.extend(args);
        all.extend(DEMO);
        let (out, code) = run(".", &all);
        golden(&format!("tests/tools/explain/{name}.expected"), &format!("{out}=> {code}\n"));
    }
}

#[test]
fn a_name_that_is_there_says_its_rule_and_its_object() {
    let (story, code) = demo(&["web.shop.svc.cluster.local", "A"]);
    assert_eq!((code, &story["outcome"]), (0, &"resolves".into()));
    let account = last(&story);
    assert_eq!(account["decided"], "kubernetes");
    assert_eq!(why(&account).0, ["K-070"]);
    assert_eq!(account["said"][0]["object"]["name"], "web");
}

#[test]
fn a_name_that_is_not_there_says_why() {
    for (name, qtype, rule) in [
        ("web.nowhere.svc.cluster.local", "A", "K-032"),
        ("nothing.shop.svc.cluster.local", "A", "K-079"),
        ("_nosuch._tcp.web.shop.svc.cluster.local", "SRV", "K-082"),
        ("db-9.db.data.svc.cluster.local", "A", "K-117"),
        ("web.shop.svc.cluster.local", "AAAA", "K-073"),
        ("web.shop.cluster.local", "A", "K-033"),
        ("api.example.com.shop.svc.cluster.local", "A", "K-035"),
        ("a.b.c.web.shop.svc.cluster.local", "A", "K-034"),
        ("not-an-address.shop.pod.cluster.local", "A", "K-159"),
        ("9.9.96.10.in-addr.arpa", "PTR", "K-174"),
    ] {
        let (story, code) = demo(&[name, qtype]);
        assert_eq!(code, 4, "{name}");
        assert!(why(&last(&story)).0.contains(&rule.to_owned()), "{name}: {story}");
    }
}

#[test]
fn a_name_that_is_not_there_comes_with_those_that_are() {
    for (name, near) in [
        ("web.shpo.svc.cluster.local", "shop.svc.cluster.local."),
        ("crat.shop.svc.cluster.local", "cart.shop.svc.cluster.local."),
        ("web.data.svc.cluster.local", "web.shop.svc.cluster.local."),
        ("web.shop.cluster.local", "web.shop.svc.cluster.local."),
        ("_htpt._tcp.web.shop.svc.cluster.local", "_http._tcp.web.shop.svc.cluster.local."),
        ("db-9.db.data.svc.cluster.local", "db-0.db.data.svc.cluster.local."),
    ] {
        let (story, _) = demo(&[name, "A"]);
        let found = why(&last(&story)).1;
        assert!(found.iter().any(|text| text == near), "{name}: {found:?}");
        // What is given as near is there.
        for text in found {
            let (story, _) = demo(&[&text, "A"]);
            assert_ne!(last(&story)["fate"], "no_name", "{text}");
        }
    }
}

#[test]
fn a_headless_service_without_ready_endpoints_says_so() {
    let folder = Folder::new(&corefile(53, ""));
    let headless =
        "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: None}\n";
    folder.write("manifests/db.yaml", headless);
    let path = folder.path("Corefile");
    let args =
        ["explain", "db.shop.svc.cluster.local", "A", "--format", "json", "--conf", path.to_str().unwrap()];
    let (story, code) = json(".", &args);
    assert_eq!(code, 4);
    assert!(why(&last(&story)).0.contains(&"K-104".to_owned()), "{story}");
}

#[test]
fn options_that_are_off_are_named() {
    let folder = Folder::new(&corefile(53, ""));
    let path = folder.path("Corefile");
    for (name, rule) in
        [("10-0-0-1.shop.pod.cluster.local", "K-150"), ("db-0.db.shop.pod.cluster.local", "K-150")]
    {
        let (story, _) =
            json(".", &["explain", name, "A", "--format", "json", "--conf", path.to_str().unwrap()]);
        assert_eq!(why(&last(&story)).0, [rule], "{story}");
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("manifests", "pods insecure\n        manifests", 1)).unwrap();
    let (story, _) = json(
        ".",
        &[
            "explain",
            "db-0.db.shop.pod.cluster.local",
            "A",
            "--format",
            "json",
            "--conf",
            path.to_str().unwrap(),
        ],
    );
    assert!(why(&last(&story)).0.contains(&"K-157".to_owned()), "{story}");
}

#[test]
fn nobody_is_asked_offline() {
    let (story, code) =
        json(".", &["explain", "www.example.com.", "A", "--format", "json", "--manifests", "config/demo"]);
    assert_eq!((code, &story["outcome"]), (4, &"upstream".into()));
    assert_eq!(last(&story)["fate"], "asks");
}

#[test]
fn manifests_may_come_from_stdin() {
    let manifest = fs::read(crate::tree("config/demo/shop.yaml")).unwrap();
    let mut command = crate::process::binary();
    command.stdin(std::process::Stdio::piped()).args([
        "explain",
        "web.shop.svc.cluster.local",
        "A",
        "--manifests",
        "-",
    ]);
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &manifest).unwrap();
    let said = child.wait_with_output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.starts_with("web.shop.svc.cluster.local, by the manifests from stdin\n"), "{text}");
    assert!(said.status.success() && text.contains("30 A 10.96.10.1"), "{text}");
}

#[test]
fn what_is_no_name_and_no_type_is_said() {
    for args in [
        &["explain", "a..b", "--manifests", "config/demo"][..],
        &["explain", "a.b", "ab", "--manifests", "config/demo"],
    ] {
        let (err, code) = fault(".", args);
        assert_eq!(code, 2, "{err}");
        assert!(err.starts_with("signpost: `a"), "{err}");
    }
}

#[test]
fn each_way_to_say_nothing_has_its_exit_code() {
    let folder = Folder::new(
        ".:53 {\n    kubernetes cluster.local {\n        endpoint http://127.0.0.1:9\n    }\n}\n",
    );
    let path = folder.path("Corefile");
    let cluster = path.to_str().unwrap();
    let demo = "config/demo";
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--conf", "/nowhere/Corefile"], 2, "reading /nowhere/Corefile"),
        (&["--manifests", "/nowhere"], 2, "the folder /nowhere cannot be listed"),
        (&["--manifests", demo, "--from", "a..b"], 2, "`a..b`, of --from, is no NAMESPACE"),
        (&["--manifests", demo, "--from", "data/nobody"], 2, "there is no Pod data/nobody"),
        (&["--manifests", demo, "--search", "a..b"], 2, "`a..b`, of --search, is no name"),
        (&["--server", "somewhere"], 2, "`somewhere` is no IP:PORT"),
        (&["--conf", cluster], 1, "name a folder with `--manifests DIR`"),
    ];
    for (args, wanted, says) in cases {
        let mut all = vec!["explain", "web.shop"];
        all.extend(args);
        let (err, code) = fault(".", &all);
        assert!(code == wanted && err.contains(says), "{args:?}: {code} {err}");
    }
    // A Corefile that is refused is shown with its line.
    let said = crate::process::run(
        &crate::tree("."),
        &["explain", "a.b", "--conf", "tests/readme/refused.corefile"],
    );
    assert!(said.code == Some(1) && said.out.is_empty() && said.err.contains("max_fails"), "{}", said.err);
}

#[test]
fn a_pod_is_asked_for_as_its_manifest_says_and_where_there_is_none_that_is_told() {
    // The Corefile of the demo names the folder.
    let (story, _) = demo(&["queue", "A", "--from", "data/queue-0"]);
    assert!(story["note"].as_str().unwrap().contains("Pod data/queue-0"), "{story}");
    let (port, health) = (free_port(), free_port());
    let folder = Folder::new(&corefile(port, &format!("    health 127.0.0.1:{health}\n")));
    let _server = Server::of(&folder, port);
    let admin = format!("127.0.0.1:{health}");
    let args = ["explain", "web", "A", "--from", "shop/web-0", "--format", "json", "--admin", admin.as_str()];
    let (story, code) = json(".", &args);
    assert_eq!(code, 0, "{story}");
    assert!(story["note"].as_str().unwrap().contains("known from a folder of manifests alone"), "{story}");
}

#[test]
fn where_no_server_runs_it_is_said_where_it_was_looked_for() {
    let port = free_port();
    let (err, code) = fault(".", &["explain", "a.b", "--admin", &format!("127.0.0.1:{port}")]);
    assert_eq!(code, 1, "{err}");
    let wanted = format!(
        "signpost: no running server tells: 127.0.0.1:{port}: connection refused. Run it where the server runs (kubectl exec), say \
         with --admin where its `health` or `prometheus` is, or look at files with --conf FILE or --manifests DIR"
    );
    assert_eq!(err, wanted);
    // Somebody else is there, who knows nothing of it.
    let other = free_port();
    let folder = Folder::new(&format!(
        ".:{port} {{\n    bind 127.0.0.1\n    ready 127.0.0.1:{other}\n    whoami\n}}\n"
    ));
    let mut command = crate::process::binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let _server = Server::start(command, port);
    wait("the server", PATIENCE, || fetch(other, "/ready"));
    let (err, code) = fault(".", &["explain", "a.b", "--admin", &format!("127.0.0.1:{other}")]);
    assert!(code == 1 && err.contains(&format!("127.0.0.1:{other}: /explain answers 404")), "{err}");
}

#[test]
fn a_running_server_tells_beside_health_and_beside_prometheus() {
    let (port, health, metrics) = (free_port(), free_port(), free_port());
    let lines = format!("    health 127.0.0.1:{health}\n    prometheus 127.0.0.1:{metrics}\n");
    let folder = Folder::new(&corefile(port, &lines));
    let _server = Server::of(&folder, port);
    for admin in [health, metrics] {
        let admin = format!("127.0.0.1:{admin}");
        let (story, code) =
            json(".", &["explain", "web", "--from", "shop", "--format", "json", "--admin", &admin]);
        assert_eq!((code, &story["outcome"]), (0, &"resolves".into()), "{story}");
        let candidate = &story["candidates"][0];
        assert_eq!(candidate["name"], "web.shop.svc.cluster.local.");
        assert!(candidate["accounts"][0]["said"][0]["object"]["unchanged_seconds"].is_u64(), "{story}");
    }
}

#[test]
fn a_name_outside_is_asked_of_the_server_and_its_cache_entry_shown() {
    let (port, upstream, health) = (free_port(), free_port(), free_port());
    let other = Folder::new(&format!(
        ".:{upstream} {{\n    bind 127.0.0.1\n    hosts {{\n        192.0.2.7 www.example.org\n        ttl 300\n    }}\n}}\n"
    ));
    let mut command = crate::process::binary();
    command.arg("-conf").arg(other.path("Corefile"));
    let other = Server::start(command, upstream);
    other.wait_for("www.example.org.", &["192.0.2.7"], PATIENCE);
    let lines = format!("    health 127.0.0.1:{health}\n    cache 30\n    forward . 127.0.0.1:{upstream}\n");
    let folder = Folder::new(&corefile(port, &lines));
    let _server = Server::of(&folder, port);
    let admin = format!("127.0.0.1:{health}");
    let args = ["explain", "www.example.org.", "A", "--format", "json", "--admin", admin.as_str()];
    let (story, code) = json(".", &args);
    assert_eq!(code, 0, "{story}");
    assert_eq!(last(&story)["upstreams"][0]["to"], format!("127.0.0.1:{upstream}"));
    assert_eq!(story["candidates"][0]["replies"][0]["answers"][0], "www.example.org. 30 A 192.0.2.7");
    // What was asked is kept, and a look at it does not count as a question.
    let (story, code) = json(".", &args);
    assert_eq!(code, 0);
    let account = last(&story);
    assert_eq!((&account["decided"], &account["fate"]), (&"cache".into(), &"records".into()), "{story}");
    assert!(account["said"].to_string().contains(" s left"), "{account}");
}

#[test]
fn nothing_is_told_to_others() {
    let (port, health) = (free_port(), free_port());
    let folder = Folder::new(&corefile(port, &format!("    health 127.0.0.1:{health}\n")));
    let _server = Server::of(&folder, port);
    use std::io::{Read as _, Write as _};
    let get = |host: &str, path: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", health)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    let path = "/explain?name=web.shop.svc.cluster.local";
    assert_eq!(get("localhost", path), "200");
    assert_eq!(get("rebound.example", path), "404");
    for wrong in [
        "/explain",
        "/explain?name=a..b",
        "/explain?name=a&type=NONE",
        "/explain?name=%",
        &format!("/explain?name={}", "a".repeat(5000)),
    ] {
        assert_eq!(get("localhost", wrong), "400", "{wrong}");
    }
    let alive = wait("the server", PATIENCE, || crate::process::fetch(health, "/health"));
    assert_eq!(alive.1.0, 200);
}

#[test]
fn what_is_explained_is_what_is_answered() {
    let (port, health) = (free_port(), free_port());
    let text = format!(
        ".:{port} {{\n    bind 127.0.0.1\n    errors\n    health 127.0.0.1:{health}\n    kubernetes cluster.local in-addr.arpa {{\n        \
         manifests DIR\n        pods insecure\n        pod_hostnames\n    }}\n}}\n"
    );
    let folder = Folder::new(&text);
    for entry in fs::read_dir(crate::tree("config/demo")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            fs::copy(&path, folder.manifests().join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::remove_file(folder.path("manifests/shop.yaml")).unwrap();
    fs::copy(crate::tree("config/demo/shop.yaml"), folder.path("manifests/shop.yaml")).unwrap();
    let mut command = crate::process::binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let server = Server::start(command, port);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.10.1"], PATIENCE);
    let mut asked = 0;
    for left in [
        "",
        "svc.",
        "pod.",
        "dns.",
        "ns.dns.",
        "dns-version.",
        "nothing.",
        "shop.svc.",
        "nowhere.svc.",
        "web.shop.svc.",
        "no.shop.svc.",
        "web.shop.",
        "db.data.svc.",
        "db-0.db.data.svc.",
        "db-9.db.data.svc.",
        "_http._tcp.web.shop.svc.",
        "_no._tcp.web.shop.svc.",
        "_tcp.web.shop.svc.",
        "_udp.web.shop.svc.",
        "_.web.shop.svc.",
        "http.tcp.web.shop.svc.",
        "a.b.web.shop.svc.",
        "a.b.c.web.shop.svc.",
        "db-0.db.data.pod.",
        "db-9.db.data.pod.",
        "10-1-2-3.shop.pod.",
        "10-1-2-3.nowhere.pod.",
        "words.shop.pod.",
        "shop.pod.",
        "queue.data.svc.",
        "search.shop.svc.",
        "payments.shop.svc.",
        "front-door.shop.svc.",
    ] {
        let name = format!("{left}cluster.local.");
        for (number, qtype) in
            [(1, "A"), (28, "AAAA"), (33, "SRV"), (16, "TXT"), (5, "CNAME"), (6, "SOA"), (2, "NS")]
        {
            let page = fetch(health, &format!("/explain?name={name}&type={qtype}")).unwrap();
            let explained: Value =
                serde_json::from_str(&page.1).unwrap_or_else(|error| panic!("{error}: {page:?}"));
            let account = &explained["account"];
            let reply =
                server.exchange(&query(&name, number, None)).unwrap_or_else(|| panic!("{name} {qtype}"));
            let code = match u16::from(reply.metadata.response_code) {
                0 => "NOERROR",
                2 => "SERVFAIL",
                3 => "NXDOMAIN",
                other => panic!("{other}"),
            };
            let answers = account["answers"].as_array().unwrap().len();
            // An alias to a name outside is followed by asking, which nobody does here.
            if account["behalf"].is_null() {
                assert_eq!(account["rcode"], code, "{name} {qtype}: {account}");
                assert_eq!(answers, reply.answers.len(), "{name} {qtype}: {account}");
            }
            let (rules, _) = why(account);
            assert!(!rules.is_empty(), "{name} {qtype} has its rule: {account}");
            asked += 1;
        }
    }
    assert!(asked > 200, "{asked}");
}

/// What is said of a name by a Corefile of its own with these manifests, JSON; `HERE` in the lines is the folder.
fn of(lines: &str, manifests: &[(&str, &str)], args: &[&str]) -> Value {
    let folder = Folder::new("");
    let here = folder.dir.path().to_string_lossy().into_owned();
    folder.write("Corefile", &format!(".:53 {{\n{}\n}}\n", lines.replace("HERE", &here)));
    for (name, text) in manifests {
        folder.write(name, text);
    }
    let path = folder.path("Corefile");
    let mut all = vec!["explain", "--format", "json", "--conf", path.to_str().unwrap()];
    all.extend(args);
    json(".", &all).0
}

#[test]
fn autopath_says_each_candidate_and_what_came_of_it() {
    let lines = "    autopath cluster.local HERE/resolv.conf\n    hosts {\n        192.0.2.7 www.example.org\n        fallthrough\n    }\n    \
                 kubernetes cluster.local {\n        manifests HERE/manifests\n    }";
    let search = "search shop.svc.cluster.local svc.cluster.local cluster.local\n";
    let story = of(lines, &[("resolv.conf", search)], &["www.example.org.shop.svc.cluster.local.", "A"]);
    let account = last(&story);
    assert_eq!(
        (&account["decided"], &account["rcode"]),
        (&"autopath".into(), &"NOERROR".into()),
        "{account}"
    );
    let said: Vec<&str> = account["said"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|said| said["word"] == "autopath" && said["rules"][0] == "K-255")
        .map(|said| said["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        said[1..],
        [
            "candidate www.example.org.shop.svc.cluster.local.: NXDOMAIN by `kubernetes`",
            "candidate www.example.org.svc.cluster.local.: NXDOMAIN by `kubernetes`",
            "candidate www.example.org.cluster.local.: NXDOMAIN by `kubernetes`",
            "candidate www.example.org.: NOERROR by `hosts`",
        ],
        "{account}"
    );
    assert_eq!(account["behalf"]["decided"], "hosts", "{account}");
    assert!(account["answers"].to_string().contains("192.0.2.7"), "{account}");
}

#[test]
fn who_asks_counts_where_a_word_looks_at_it() {
    let lines = "    acl {\n        block net 10.9.0.0/16\n    }\n    kubernetes cluster.local {\n        manifests HERE/manifests\n    }";
    for (client, rcode, decided) in [("10.9.1.2", "REFUSED", "acl"), ("10.8.1.2", "NOERROR", "kubernetes")] {
        let story = of(lines, &[], &["web.shop.svc.cluster.local.", "A", "--client", client]);
        let account = last(&story);
        assert_eq!((&account["rcode"], &account["decided"]), (&rcode.into(), &decided.into()), "{account}");
    }
}

#[test]
fn whatever_word_decides_its_rule_is_said() {
    let lines = "    chaos\n    any\n    local\n    rewrite name old.example.org www.example.org\n    acl blocked.example {\n        block\n    }\n    \
                 template IN A made.example {\n        answer \"{{ .Name }} 60 IN A 192.0.2.9\"\n    }\n    hosts {\n        192.0.2.7 www.example.org\n        \
                 fallthrough\n    }\n    kubernetes cluster.local {\n        manifests HERE/manifests\n    }\n    file HERE/db.zone zone.example {\n        \
                 fallthrough\n    }\n    forward . 192.0.2.53";
    let zone = "@ 60 IN SOA ns hostmaster 1 2 3 4 5\n@ 60 IN NS ns\nwww 60 IN A 192.0.2.8\n";
    for (name, qtype, word, rule) in [
        ("localhost.", "A", "local", "S-10"),
        ("www.example.org.", "ANY", "any", "S-08"),
        ("www.blocked.example.", "A", "acl", "S-08"),
        ("any.made.example.", "A", "template", "S-11a"),
        ("www.example.org.", "A", "hosts", "S-10"),
        ("www.zone.example.", "A", "file", "Z-01"),
        ("web.shop.svc.cluster.local.", "A", "kubernetes", "K-070"),
        ("www.example.com.", "A", "forward", "F-01"),
    ] {
        let account = last(&of(lines, &[("db.zone", zone)], &[name, qtype]));
        assert_eq!(account["decided"], word, "{account}");
        let said = account["said"].as_array().unwrap();
        let found = said.iter().any(|said| said["word"] == word && said["rules"][0] == rule);
        assert!(found, "{name}: {account}");
        // What files say is read, and nobody is asked.
        let answered = !["acl", "forward"].contains(&word);
        assert_eq!(account["rcode"] == "NOERROR" && account["fate"] == "records", answered, "{account}");
    }
    let account = last(&of(lines, &[("db.zone", zone)], &["old.example.org.", "A"]));
    assert_eq!(account["decided"], "hosts", "{account}");
    assert!(account["said"].to_string().contains("asks for www.example.org. A in its place"), "{account}");
}

#[test]
fn behind_rewrite_both_names_are_said_and_answers_are_in_the_clients_terms() {
    let lines = "    rewrite name old.example.org www.example.org\n    rewrite name suffix .auto.test .example.org answer auto\n    \
                 rewrite name suffix .bare.test .example.org\n    rewrite ttl exact web.example.org 7\n    \
                 rewrite cname exact target.example.org www.example.org.\n    template IN A alias.example.org {\n        \
                 answer \"{{ .Name }} 60 IN CNAME target.example.org.\"\n    }\n    hosts {\n        192.0.2.7 www.example.org\n        \
                 192.0.2.8 web.example.org\n        fallthrough\n    }\n    forward . 192.0.2.53";
    let account = |name: &str| last(&of(lines, &[], &[name, "A"]));
    for (name, asked, answer) in [
        ("old.example.org.", "www.example.org.", "old.example.org. 3600 A 192.0.2.7"),
        ("www.auto.test.", "www.example.org.", "www.auto.test. 3600 A 192.0.2.7"),
        ("www.bare.test.", "www.example.org.", "www.example.org. 3600 A 192.0.2.7"),
        ("web.example.org.", "", "web.example.org. 7 A 192.0.2.8"),
    ] {
        let account = account(name);
        assert_eq!((&account["name"], &account["answers"][0]), (&name.into(), &answer.into()), "{account}");
        let said = account["said"].to_string().contains(&format!("asks for {asked} A in its place"));
        assert_eq!(said, !asked.is_empty(), "{account}");
    }
    // Nobody is asked, and it is known all the same which name comes back.
    for (name, text) in [
        ("x.auto.test.", "gives the client what is said of x.example.org. as x.auto.test."),
        (
            "x.bare.test.",
            "gives the client what is said of x.example.org. as x.example.org., which is not what it asked for",
        ),
    ] {
        let account = account(name);
        assert_eq!(account["fate"], "asks", "{account}");
        let said = account["said"].as_array().unwrap().iter();
        let texts: Vec<&str> =
            said.filter(|said| said["word"] == "rewrite").filter_map(|said| said["text"].as_str()).collect();
        assert_eq!(texts[0], "asks for x.example.org. A in its place");
        assert!(texts[1].starts_with(text), "{texts:?}");
        assert_eq!(texts.len(), 2, "{texts:?}");
    }
    let account = account("alias.example.org.");
    assert!(
        account["said"].to_string().contains("has the alias lead to www.example.org. in its place"),
        "{account}"
    );
    assert_eq!(account["behalf"]["answers"][0], "www.example.org. 3600 A 192.0.2.7", "{account}");
}

#[test]
fn a_name_of_a_clusterset_says_its_import() {
    let lines = "    kubernetes cluster.local clusterset.local {\n        manifests HERE/manifests\n        multicluster clusterset.local\n    }";
    let import = "apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceImport\nmetadata: {name: pay, namespace: shop}\n\
                  spec: {type: ClusterSetIP, ips: [10.42.0.7], ports: [{name: http, protocol: TCP, port: 80}]}\n";
    let manifests = [("manifests/import.yaml", import)];
    let story = of(lines, &manifests, &["pay.shop.svc.clusterset.local.", "A"]);
    let account = last(&story);
    let (rules, _) = why(&account);
    assert_eq!(rules, ["K-211"], "{account}");
    let object = &account["said"]
        .as_array()
        .unwrap()
        .iter()
        .find(|said| said["word"] == "kubernetes")
        .unwrap()["object"];
    assert_eq!((&object["kind"], &object["name"]), (&"ServiceImport".into(), &"pay".into()), "{account}");
    let story = of(lines, &manifests, &["web.shop.svc.clusterset.local.", "A"]);
    let (rules, near) = why(&last(&story));
    assert_eq!(
        (rules, near),
        (vec!["K-210".to_owned()], vec!["pay.shop.svc.clusterset.local.".to_owned()]),
        "{story}"
    );
}

#[test]
fn a_zonal_name_says_how_many_endpoints_are_there() {
    let lines = "    kubernetes cluster.local {\n        manifests HERE/manifests\n        zonal\n    }";
    let db = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: None}\n---\n\
              apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: db-a\n  namespace: shop\n  labels: {kubernetes.io/service-name: db}\n\
              addressType: IPv4\nendpoints:\n- {addresses: [10.0.0.1], zone: eu-a, conditions: {ready: true}}\n\
              - {addresses: [10.0.0.2], zone: eu-b, conditions: {ready: true}}\nports: []\n";
    for (name, rule, words) in [
        ("eu-a.pin._zone.db.shop.svc.cluster.local.", "K-220", "1 of the 2 ready endpoints"),
        (
            "eu-c.pin._zone.db.shop.svc.cluster.local.",
            "K-221",
            "no ready endpoint in the topology zone `eu-c`",
        ),
        ("eu-c.prefer._zone.db.shop.svc.cluster.local.", "K-222", "so all 2 are given"),
        ("eu-a.pin._zone.web.shop.svc.cluster.local.", "K-223", "only headless Services"),
    ] {
        let story = of(lines, &[("manifests/db.yaml", db)], &[name, "A"]);
        let account = last(&story);
        assert_eq!(why(&account).0, [rule], "{name}: {account}");
        assert!(account["said"].to_string().contains(words), "{name}: {account}");
    }
}

#[test]
fn every_rule_that_is_cited_is_in_the_book() {
    let book = fs::read_to_string(crate::tree("docs/behaviour.md")).unwrap();
    let pattern = regex::Regex::new(r#""([KSCF]-[0-9]+a?)""#).unwrap();
    let mut found = 0;
    for file in [
        "src/chain/kubernetes/reason.rs",
        "src/chain/kubernetes/wider.rs",
        "src/chain/explain.rs",
        "src/chain/why.rs",
        "src/chain/cache/step.rs",
        "src/tools/compare/judge.rs",
    ] {
        let text = fs::read_to_string(crate::tree(file)).unwrap();
        for (_, [rule]) in pattern.captures_iter(&text).map(|captures| captures.extract()) {
            assert!(book.contains(&format!("**{rule}**")), "{file} cites {rule}");
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}
