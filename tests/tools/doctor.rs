//! `signpost doctor`.

use crate::process::{Folder, PATIENCE, Server, binary, corefile, fetch, free_port, run, wait};
use crate::{json, tree};

#[test]
fn a_running_server_is_looked_at_and_what_is_wrong_is_found() {
    let (port, metrics, ready, nobody) = (free_port(), free_port(), free_port(), free_port());
    let lines = format!(
        "    errors\n    prometheus 127.0.0.1:{metrics}\n    ready 127.0.0.1:{ready}\n    forward . 127.0.0.1:{nobody} {{\n        max_fails 1\n    }}\n"
    );
    let folder = Folder::new(&corefile(port, &lines));
    folder.write("resolv.conf", "nameserver 127.0.0.53\nsearch .\n");
    let server = Server::of(&folder, port);
    // Somebody must have asked before anything is known of the upstream.
    let down = format!("signpost_upstream_up{{to=\"127.0.0.1:{nobody}\"}} 0");
    wait("the upstream put aside", PATIENCE, || {
        server.ask("www.example.org.");
        fetch(metrics, "/metrics").filter(|(_, page)| page.contains(&down))
    });
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (conf, resolv) = (path("Corefile"), path("resolv.conf"));
    let (metrics, ready) = (format!("127.0.0.1:{metrics}"), format!("127.0.0.1:{ready}"));
    let args = [
        "doctor",
        "--format",
        "json",
        "--conf",
        &conf,
        "--metrics",
        &metrics,
        "--ready",
        &ready,
        "--resolv",
        &resolv,
    ];
    let (found, code) = json(".", &args);
    assert_eq!(code, 3, "{found}");
    let codes: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    for code in ["resolv-loop", "search-root", "upstream-down", "no-loop", "no-reload"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert!(!codes.contains(&"not-ready") && !codes.contains(&"rights"), "{codes:?}");
    assert!(!codes.contains(&"upstream-lossy"), "one that is put aside is told once: {codes:?}");
    for finding in found["findings"].as_array().unwrap() {
        assert!(
            !finding["advice"].as_str().unwrap_or_default().is_empty(),
            "each finding says what to do: {finding}"
        );
    }
}

#[test]
fn where_nothing_can_be_looked_at_that_is_said() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let args = [
        "doctor",
        "--format",
        "json",
        "--conf",
        "/nowhere/Corefile",
        "--metrics",
        &nobody,
        "--ready",
        &nobody,
        "--resolv",
        "/nowhere/resolv.conf",
    ];
    let (found, code) = json(".", &args);
    assert_eq!(code, 1, "{found}");
    assert_eq!(found["findings"], serde_json::json!([]));
    assert_eq!(found["not_looked_at"].as_array().unwrap().len(), 4, "{found}");
    let said = run(&tree("."), &args.map(|arg| if arg == "json" { "text" } else { arg }));
    assert!(said.err.starts_with("signpost: nothing could be looked at: "), "{}", said.err);
    assert!(
        said.out.starts_with("not looked at: ") && !said.out.contains("nothing was found"),
        "{}",
        said.out
    );
}

#[test]
fn a_corefile_that_is_refused_and_a_server_that_is_not_ready_are_found() {
    let (port, ready, nobody) = (free_port(), free_port(), free_port());
    let text = format!(
        ".:{port} {{\n    bind 127.0.0.1\n    ready 127.0.0.1:{ready}\n    kubernetes cluster.local {{\n        endpoint http://127.0.0.1:{nobody}\n    }}\n}}\n"
    );
    let folder = Folder::new(&text);
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let _server = Server::start(command, port);
    wait("a server that waits", PATIENCE, || fetch(ready, "/ready").filter(|(status, _)| *status == 503));
    folder.write("refused", &text.replace("endpoint", "endpiont"));
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (conf, ready, nobody) =
        (path("refused"), format!("127.0.0.1:{ready}"), format!("127.0.0.1:{nobody}"));
    let resolv = "/nowhere/resolv.conf";
    let args = [
        "doctor",
        "--format",
        "json",
        "--conf",
        &conf,
        "--metrics",
        &nobody,
        "--ready",
        &ready,
        "--resolv",
        resolv,
    ];
    let (found, code) = json(".", &args);
    assert_eq!(code, 3, "{found}");
    let findings = found["findings"].as_array().unwrap();
    let codes: Vec<&str> = findings.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["refused", "not-ready"], "{found}");
    assert!(findings[0]["text"].as_str().unwrap().contains("endpiont"), "{found}");
    assert!(findings[1]["text"].as_str().unwrap().contains("kubernetes"), "{found}");
    assert!(findings.iter().all(|one| !one["advice"].as_str().unwrap().is_empty()), "{found}");
}

/// An API server that knows of reviews alone: all may be done, but nothing with EndpointSlices is watched.
fn reviewer() -> String {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let (mut length, mut first) = (0, String::new());
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != "\r\n" {
                        if first.is_empty() {
                            first.clone_from(&line);
                        }
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    if first.is_empty() {
                        return;
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    let what = &asked["spec"]["resourceAttributes"];
                    assert!(
                        first.starts_with("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews "),
                        "{first}"
                    );
                    let denied = what["group"] == "discovery.k8s.io" && what["verb"] == "watch";
                    let answer = serde_json::json!({"kind": asked["kind"], "status": {"allowed": !denied}})
                        .to_string();
                    let head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n";
                    write!(stream, "{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
                }
            });
        }
    });
    url
}

#[test]
fn rights_that_are_missing_are_found_by_asking_the_api_server() {
    let stanza = format!("kubernetes cluster.local in-addr.arpa {{\n        endpoint {}\n    }}", reviewer());
    let folder = Folder::new(&format!(".:53 {{\n    errors\n    {stanza}\n}}\n"));
    let nobody = format!("127.0.0.1:{}", free_port());
    let conf = folder.path("Corefile").to_str().unwrap().to_owned();
    let (found, code) = json(
        ".",
        &[
            "doctor",
            "--format",
            "json",
            "--conf",
            &conf,
            "--metrics",
            &nobody,
            "--ready",
            &nobody,
            "--resolv",
            "/nowhere/resolv.conf",
        ],
    );
    assert_eq!(code, 3);
    let rights: Vec<&str> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["code"] == "rights")
        .map(|finding| finding["text"].as_str().unwrap())
        .collect();
    assert_eq!(rights, ["this account may not watch endpointslices (discovery.k8s.io)"], "{found}");
    assert!(found["looked_at"].to_string().contains("the rights of this account"), "{found}");
}
