//! Every option of every word that CoreDNS 1.14.7 reads: served, or refused by name; none is passed over in silence.

use super::said;

/// A word with one of its options.
struct Case {
    /// The word with its arguments; `FILE`, `PEM` and `DIR` are files and a folder that are there.
    head: &'static str,
    /// The lines in braces of which each is an option.
    lines: &'static [&'static str],
    /// Lines that must stand beside each of these.
    beside: &'static str,
    /// Other words of the block.
    block: &'static str,
}

/// A word whose options need nothing beside them.
const fn alone(head: &'static str, lines: &'static [&'static str]) -> Case {
    Case { head, lines, beside: "", block: "" }
}

/// The options that are served.
const SERVED: &[Case] = &[
    alone(
        "proxyproto",
        &[
            "allow 10.0.0.0/8",
            "default skip",
            "default use",
            "default ignore",
            "default reject",
            "udp_session_tracking 10s",
        ],
    ),
    Case {
        head: "quic",
        lines: &["max_streams 10", "worker_pool_size 10"],
        beside: "",
        block: "tls PEM KEY",
    },
    Case { head: "https", lines: &["max_connections 10"], beside: "", block: "tls PEM KEY" },
    Case {
        head: "https3",
        lines: &["max_connections 10", "max_streams 10"],
        beside: "",
        block: "tls PEM KEY",
    },
    alone("timeouts", &["read 5s", "write 5s", "idle 5s", "maxtcpqueries 100"]),
    alone("bind lo eth0", &["except 10.0.0.53"]),
    alone("ready 127.0.0.1:0", &["monitor continuously", "monitor until-ready"]),
    alone("health 127.0.0.1:0", &["lameduck 5s"]),
    alone("errors", &["consolidate 5m \".* timeout$\" warning show_first", "stacktrace"]),
    alone("log", &["class denial"]),
    alone("dnstap /tmp/dnstap.sock full", &["identity us", "version 1", "extra {type}"]),
    alone("dnstap tls://127.0.0.1:6000", &["skipverify"]),
    alone("local", &["localhost_prefix on", "localhost_prefix off"]),
    alone("dns64", &["prefix 64:ff9b::/96", "allow_ipv4", "translate_all"]),
    alone("loadbalance round_robin", &["prefer 10.0.0.0/8"]),
    alone("loadbalance weighted FILE", &["reload 10s"]),
    alone(
        "acl example.org",
        &["allow type A net 10.0.0.0/8", "block net 10.0.0.0/8", "drop type ANY", "filter net 10.0.0.1"],
    ),
    alone(
        "cache 30 example.org",
        &[
            "success 100 60 5",
            "denial 100 60 5",
            "servfail 5s",
            "prefetch 10 1m 10%",
            "serve_stale 1h immediate",
            "serve_stale 1h verify",
            "disable success example.org",
            "keepttl",
        ],
    ),
    Case {
        head: "cache",
        lines: &["serve_stale_policy prefer_positive"],
        beside: "serve_stale 1h",
        block: "",
    },
    alone("header", &["query set rd", "response clear aa"]),
    Case {
        head: "template IN A example.org",
        lines: &[
            "match .*",
            "var a name() + 'x'",
            "expr name() == 'a.' || group(0) == ''",
            "additional \"{{ .Name }} 60 IN A 192.0.2.1\"",
            "authority \"{{ .Zone }} 60 IN NS ns.example.org.\"",
            "rcode NXDOMAIN",
            "ederror 15 no",
            "fallthrough example.org",
            "upstream",
        ],
        beside: "answer \"{{ .Name }} 60 IN A 192.0.2.1\"",
        block: "",
    },
    Case {
        head: "transfer",
        lines: &["source 127.0.0.1"],
        beside: "to 192.0.2.1",
        block: "file FILE example.org",
    },
    Case {
        head: "transfer example.org",
        lines: &["to * 192.0.2.1"],
        beside: "",
        block: "file FILE example.org",
    },
    alone(
        "hosts FILE example.org",
        &["192.0.2.1 a.example.org", "fallthrough example.org", "no_reverse", "reload 10s", "ttl 60"],
    ),
    Case {
        head: "hosts FILE example.org",
        lines: &["fallthrough_unsupported"],
        beside: "fallthrough",
        block: "",
    },
    Case {
        head: "k8s_external out.example",
        lines: &["apex own", "fallthrough", "headless", "ttl 60", "ingress", "gateway"],
        beside: "",
        block: "kubernetes cluster.local {\n endpoint http://127.0.0.1:8080\n }",
    },
    Case {
        head: "kubernetes cluster.local in-addr.arpa",
        lines: &[
            "apiserver_burst 10",
            "apiserver_max_inflight 10",
            "apiserver_qps 10",
            "ignore empty_service",
            "endpoint_pod_names",
            "fallthrough in-addr.arpa",
            "labels a=b",
            "namespace_labels a=b",
            "namespaces shop",
            "noendpoints",
            "pods insecure",
            "pods verified",
            "pods disabled",
            "startup_timeout 5s",
            "ttl 30",
            "zonal",
            "pod_hostnames",
        ],
        beside: "endpoint http://127.0.0.1:8080",
        block: "",
    },
    Case {
        head: "kubernetes cluster.local clusterset.local",
        lines: &["multicluster clusterset.local"],
        beside: "endpoint http://127.0.0.1:8080",
        block: "",
    },
    alone("file FILE example.org", &["fallthrough", "reload 0", "reload_by_mtime"]),
    Case {
        head: "auto example.org",
        lines: &["reload 10s", "fallthrough"],
        beside: "directory DIR",
        block: "",
    },
    alone("auto example.org", &["directory DIR db\\.(.*) {1}"]),
    Case {
        head: "secondary example.org",
        lines: &["fallthrough"],
        beside: "transfer from 192.0.2.1",
        block: "",
    },
    alone("secondary example.org", &["transfer from 192.0.2.1 192.0.2.2"]),
    alone(
        "forward . 192.0.2.1 192.0.2.2",
        &[
            "except example.org",
            "expire 10s",
            "failfast_all_unhealthy_upstreams",
            "failover SERVFAIL REFUSED",
            "force_tcp",
            "health_check 1s no_rec domain example.org",
            "max_age 10s",
            "max_concurrent 100",
            "max_connect_attempts 2",
            "max_fails 3",
            "max_idle_conns 10",
            "next NXDOMAIN",
            "policy random",
            "policy round_robin",
            "policy sequential",
            "prefer_udp",
            "read_timeout 2s",
            "source_address 127.0.0.1",
        ],
    ),
    Case { head: "forward . 192.0.2.1", lines: &["next_on_nodata"], beside: "next NXDOMAIN", block: "" },
    alone("forward . tls://192.0.2.1", &["tls_servername dns.example.org", "tls"]),
    alone("forward . https://192.0.2.1", &["doh_method GET"]),
    alone("forward . dns.example.org", &["resolver 192.0.2.1"]),
    alone("erratic", &["delay 2 100ms", "drop 2", "truncate 2", "large"]),
    alone("view some", &["expr type() == 'A'"]),
];

/// Options that CoreDNS reads and that are refused, each by name.
const REFUSED: &[Case] = &[
    alone("prometheus 127.0.0.1:0", &["runtime_metrics", "tls FILE FILE"]),
    Case { head: "secondary example.org", lines: &["catalog"], beside: "transfer from 192.0.2.1", block: "" },
];

/// A Corefile with this option, with the files that it names.
fn corefile(case: &Case, line: &str, folder: &std::path::Path) -> String {
    let Case { head, beside, block, .. } = case;
    let beside = if line.is_empty() { "" } else { beside };
    let key = if block.contains("tls PEM") { "https://." } else { "." };
    format!("{key} {{\n {block}\n {head} {{\n {beside}\n {line}\n }}\n}}\n")
        .replace("FILE", &folder.join("file").display().to_string())
        .replace("PEM KEY", &format!("{0}/cert {0}/key", folder.display()))
        .replace("DIR", &folder.display().to_string())
}

/// Makes the files.
pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("file"), "# nothing\n").expect("a file can be written");
    std::fs::write(folder.path().join("resolv"), "nameserver 192.0.2.53\nsearch a.test b.test\n")
        .expect("a file can be written");
    let made = rcgen::generate_simple_self_signed(vec!["dns.example.org".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("cert"), made.cert.pem()).expect("a file can be written");
    std::fs::write(folder.path().join("key"), made.signing_key.serialize_pem())
        .expect("a file can be written");
    folder
}

#[test]
fn every_option_is_served_or_refused_by_name() {
    let folder = folder();
    let mut wrong = String::new();
    for case in SERVED {
        for line in case.lines {
            let text = corefile(case, line, folder.path());
            let said = said("Corefile", &text);
            if said != "it is served\n" {
                wrong += &format!("{} / {line}:\n{said}\n", case.head);
            }
        }
    }
    for case in REFUSED {
        for line in case.lines {
            let option = line.split(' ').next().unwrap_or_default();
            let said = said("Corefile", &corefile(case, line, folder.path()));
            let first = said.lines().next().unwrap_or_default();
            if !first.contains(option) || !said.contains("= hint: ") {
                wrong += &format!("{} / {line} is not refused by name:\n{said}\n", case.head);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_word_takes_an_option_that_nobody_knows() {
    let folder = folder();
    let mut wrong = String::new();
    for case in SERVED {
        let said = said("Corefile", &corefile(case, "nonsense_option 1", folder.path()));
        if !said.contains("nonsense_option") {
            wrong += &format!("{}:\n{said}\n", case.head);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The options that CoreDNS 1.14.7 reads, word by word, as its `setup.go` files name them.
const THEIRS: &[(&str, &str)] = &[
    ("proxyproto", "allow default udp_session_tracking"),
    ("quic", "max_streams worker_pool_size"),
    ("https", "max_connections"),
    ("https3", "max_connections max_streams"),
    ("timeouts", "read write idle maxtcpqueries"),
    ("bind", "except"),
    ("ready", "monitor"),
    ("health", "lameduck"),
    ("prometheus", "runtime_metrics tls"),
    ("errors", "consolidate stacktrace"),
    ("log", "class"),
    ("dnstap", "extra identity skipverify version"),
    ("local", "localhost_prefix"),
    ("dns64", "allow_ipv4 prefix translate_all"),
    ("loadbalance", "prefer reload"),
    ("acl", "allow block drop filter"),
    ("cache", "denial disable keepttl prefetch serve_stale serve_stale_policy servfail success"),
    ("header", "query response"),
    ("template", "additional authority ederror expr fallthrough match rcode upstream var"),
    ("transfer", "source to"),
    ("hosts", "fallthrough fallthrough_unsupported no_reverse reload ttl"),
    ("k8s_external", "apex fallthrough headless ttl"),
    (
        "kubernetes",
        "apiserver_burst apiserver_max_inflight apiserver_qps endpoint_pod_names fallthrough ignore labels multicluster \
         namespace_labels namespaces noendpoints pods startup_timeout ttl zonal",
    ),
    ("file", "fallthrough reload reload_by_mtime"),
    ("auto", "directory reload"),
    ("secondary", "catalog fallthrough transfer"),
    (
        "forward",
        "doh_method except expire failfast_all_unhealthy_upstreams failover force_tcp health_check max_age max_concurrent \
         max_connect_attempts max_fails max_idle_conns next next_on_nodata policy prefer_udp read_timeout resolver \
         source_address tls tls_servername",
    ),
    ("erratic", "delay drop large truncate"),
    ("view", "expr"),
];

#[test]
fn every_option_that_coredns_reads_stands_in_the_tables() {
    let mut missing = Vec::new();
    for (word, options) in THEIRS {
        for option in options.split_whitespace() {
            let has = |case: &Case| {
                case.head.split(' ').next() == Some(word)
                    && case.lines.iter().any(|line| line.split(' ').next() == Some(option))
            };
            if !SERVED.iter().chain(REFUSED).any(has) {
                missing.push(format!("{word} {option}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
