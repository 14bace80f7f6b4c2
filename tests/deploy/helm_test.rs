//! What `helm test` runs, run here against a server of ours: it passes where names resolve, and fails where they do not.
#![allow(clippy::print_stdout, reason = "says what was not run")]

use std::os::unix::fs::PermissionsExt as _;

use signpost::app::{Running, ServeOptions, serve};

use super::*;

/// The Service that every cluster has.
const KUBERNETES: &str = "
kind: Namespace
apiVersion: v1
metadata: {name: default}
---
kind: Service
apiVersion: v1
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443}]}
";

/// The pod of the test.
fn pod() -> Value {
    let text = std::fs::read_to_string(path("tests/chart/golden/defaults.yaml")).unwrap();
    let documents = serde_saphyr::from_multiple::<Value>(&text).unwrap();
    documents.into_iter().find(|object| object["kind"] == "Pod").unwrap()
}

/// A server that knows these manifests.
fn start(folder: &Path, manifests: &str) -> Running {
    std::fs::write(folder.join("all.yaml"), manifests).unwrap();
    let text = format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa {{\n  manifests {}\n }}\n}}\n",
        folder.display()
    );
    serve(ServeOptions { text, ..ServeOptions::default() }).unwrap()
}

/// Runs the script of the pod against a server; whether it passed, and what it said.
fn run(manifests: &str) -> (bool, String) {
    let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = start(folder.path(), manifests);
    let server = running.addresses()[0];
    // The pod asks port 53, which is not ours here.
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v dig"]).output().unwrap().stdout)
        .unwrap();
    let dig = tools.path().join("dig");
    std::fs::write(&dig, format!("#!/bin/sh\nexec {} -p {} \"$@\"\n", real.trim(), server.port())).unwrap();
    std::fs::set_permissions(&dig, std::fs::Permissions::from_mode(0o755)).unwrap();
    let container = &pod()["spec"]["containers"][0];
    let command: Vec<&str> =
        container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let name = container["env"].as_array().unwrap().iter().find(|one| one["name"] == "NAME").unwrap();
    let search = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new(command[0])
        .args(&command[1..])
        .env("PATH", search)
        .env("SERVER", server.ip().to_string())
        .env("NAME", name["value"].as_str().unwrap())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn the_script_of_helm_test_passes_where_names_resolve_and_fails_where_not() {
    if Command::new("dig").arg("-v").output().is_err() {
        println!("not run: there is no dig here");
        return;
    }
    let (passed, said) = run(KUBERNETES);
    assert!(passed, "{said}");
    assert!(said.contains("sound: kubernetes.default.svc.cluster.local is 10.96.0.1"), "{said}");
    let (passed, said) = run("kind: Namespace\napiVersion: v1\nmetadata: {name: default}\n");
    assert!(
        !passed && said.contains("no address for kubernetes.default.svc.cluster.local over UDP"),
        "{said}"
    );
}

#[test]
fn the_pod_finds_the_service_without_dns() {
    let container = pod()["spec"]["containers"][0].clone();
    let server = container["env"].as_array().unwrap().iter().find(|one| one["name"] == "SERVER").unwrap();
    // What the kubelet sets for a Service `signpost` of the same namespace.
    assert_eq!(server["value"], "$(SIGNPOST_SERVICE_HOST)");
}
