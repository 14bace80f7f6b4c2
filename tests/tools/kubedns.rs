//! kube-dns's ConfigMap behind `kubedns_config`, and the placeholders of node-local-dns (rules F-20, F-21).

use rustix::process::Signal;

use crate::json;
use crate::process::{Folder, PATIENCE, Server, binary, corefile, free_port, wait};

/// A server that knows one name.
fn knows(name: &str, address: &str) -> (Server, Folder) {
    let port = free_port();
    let folder = Folder::new(&format!(
        ".:{port} {{\n    bind 127.0.0.1\n    hosts {{\n        {address} {name}\n    }}\n}}\n"
    ));
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile"));
    let server = Server::start(command, port);
    server.wait_for(name, &[address], PATIENCE);
    (server, folder)
}

#[test]
fn stub_domains_and_upstreams_of_the_configmap_are_asked_and_followed() {
    let (corp, _one) = knows("www.corp.example.", "192.0.2.1");
    let (outside, _two) = knows("www.example.org.", "192.0.2.2");
    let port = free_port();
    let folder = Folder::new(&corefile(
        port,
        "    reload 2s 1s\n    kubedns_config KUBE\n    forward . 127.0.0.1:9\n",
    ));
    let kube = folder.path("kube-dns");
    std::fs::create_dir(&kube).unwrap();
    let text = std::fs::read_to_string(folder.path("Corefile")).unwrap();
    folder.write("Corefile", &text.replace("KUBE", kube.to_str().unwrap()));
    folder.write("kube-dns/stubDomains", &format!("{{\"corp.example\": [\"{}\"]}}\n", corp.addr));
    folder.write("kube-dns/upstreamNameservers", &format!("[\"{}\"]\n", outside.addr));
    let server = Server::of(&folder, port);
    server.wait_for("www.corp.example.", &["192.0.2.1"], PATIENCE);
    server.wait_for("www.example.org.", &["192.0.2.2"], PATIENCE);
    // What is written wrong changes nothing.
    folder.write("kube-dns/stubDomains", "{\"corp.example\": ");
    server.signal(Signal::USR1);
    wait("the complaint", PATIENCE, || {
        let told = server
            .out
            .lock()
            .unwrap()
            .iter()
            .chain(server.err.lock().unwrap().iter())
            .any(|line| line.contains("`stubDomains` is no JSON object"));
        told.then_some(())
    });
    server.wait_for("www.corp.example.", &["192.0.2.1"], PATIENCE);
    // What is written right is in force soon, without a change of the Corefile.
    folder.write("kube-dns/stubDomains", &format!("{{\"other.example\": [\"{}\"]}}\n", corp.addr));
    wait("the other stub domain", PATIENCE, || {
        let (code, _) = server.ask("www.corp.example.")?;
        (code != 0).then_some(())
    });
    server.wait_for("www.example.org.", &["192.0.2.2"], PATIENCE);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
}

#[test]
fn check_shows_what_the_configmap_makes_of_the_chain() {
    let folder = Folder::new(".:53 {\n    errors\n    kubedns_config KUBE\n}\n");
    let manifest = "apiVersion: v1\nkind: ConfigMap\ndata:\n  stubDomains: |\n    {\"corp.example\": [\"10.1.0.10\", \"10.1.0.11:5353\"]}\n  \
                    upstreamNameservers: |\n    [\"10.0.0.10\"]\n";
    folder.write("kube-dns.yaml", manifest);
    let text = std::fs::read_to_string(folder.path("Corefile")).unwrap();
    folder.write("Corefile", &text.replace("KUBE", folder.path("kube-dns.yaml").to_str().unwrap()));
    let path = folder.path("Corefile");
    let (reports, code) = json(".", &["check", "--format", "json", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{reports}");
    let expected = serde_json::json!([
        {"zones": ["corp.example."], "upstreams": ["10.1.0.10:53", "10.1.0.11:5353"]},
        {"zones": ["."], "upstreams": ["10.0.0.10:53"]},
    ]);
    assert_eq!(reports[0]["blocks"][0]["asks"], expected, "{reports}");
    // They come before the block's own line, which is not asked where they are about all names.
    let own = "    forward . 192.0.2.9\n}\n";
    let text = std::fs::read_to_string(&path).unwrap();
    folder.write("Corefile", &text.replace("}\n", own));
    let (reports, code) = json(".", &["check", "--format", "json", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{reports}");
    let chain = reports[0]["blocks"][0]["chain"].as_array().unwrap();
    let lines: Vec<&str> = chain.iter().map(|step| step["line"].as_str().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "errors",
            "forward corp.example. 10.1.0.10:53 10.1.0.11:5353 (of kubedns_config)",
            "forward . 10.0.0.10:53 (of kubedns_config)",
            "forward . 192.0.2.9",
        ]
    );
    let warnings = reports[0]["warnings"].as_array().unwrap();
    let hidden: Vec<_> = warnings.iter().filter(|warning| warning["code"] == "hidden").collect();
    assert_eq!(hidden.len(), 1, "{reports}");
    assert!(
        hidden[0]["text"].as_str().unwrap().contains("`kubedns_config` takes its names first"),
        "{reports}"
    );
}

/// The base Corefile of node-local-dns, as its manifest has it before anything is filled in.
const BASE: &str = "\
__PILLAR__DNS__DOMAIN__:53 {
    errors
    cache {
        success 9984 30
        denial 9984 5
    }
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__CLUSTER__DNS__ {
        force_tcp
    }
    prometheus :9253
    health __PILLAR__LOCAL__DNS__:8080
}
.:53 {
    errors
    cache 30
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__UPSTREAM__SERVERS__
    prometheus :9253
}
";

#[test]
fn placeholders_are_filled_in_as_node_cache_does() {
    let folder = Folder::new(BASE);
    let mut command = binary();
    command.env("PILLAR_DNS_DOMAIN", "cluster.local").env("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.73.21");
    command.env("PILLAR_UPSTREAM_SERVERS", "10.0.0.10 10.0.0.11");
    command
        .args(["check", "--format", "json", "-localip", "169.254.20.10,10.96.0.10"])
        .arg(folder.path("Corefile"));
    let output = command.output().unwrap();
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let blocks = &reports[0]["blocks"];
    assert_eq!(blocks[0]["keys"], serde_json::json!(["cluster.local:53"]), "{reports}");
    assert_eq!(blocks[0]["listens"], serde_json::json!(["10.96.0.10:53", "169.254.20.10:53"]));
    assert_eq!(blocks[0]["asks"][0]["upstreams"], serde_json::json!(["10.96.73.21:53"]));
    assert_eq!(blocks[1]["asks"][0]["upstreams"], serde_json::json!(["10.0.0.10:53", "10.0.0.11:53"]));
    assert!(reports[0]["http"].to_string().contains("169.254.20.10:8080"), "{reports}");
}

#[test]
fn placeholders_without_values_are_an_error_that_names_them() {
    let folder = Folder::new(BASE);
    let path = folder.path("Corefile");
    let (reports, code) = json(".", &["check", "--format", "json", path.to_str().unwrap()]);
    assert_eq!(code, 1);
    let error = &reports[0]["error"];
    let names = "__PILLAR__DNS__DOMAIN__`, `__PILLAR__LOCAL__DNS__`, `__PILLAR__DNS__SERVER__`, `__PILLAR__CLUSTER__DNS__";
    assert!(error["message"].as_str().unwrap().contains(names), "{error}");
    assert_eq!((&error["line"], &error["column"]), (&1.into(), &1.into()));
    assert!(error["rendered"].as_str().unwrap().contains("-localip"), "{error}");
}
