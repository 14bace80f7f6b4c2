//! What is said about each word of a Corefile that cannot be served, and about each option that is misused.
//!
//! `tests/corefiles/words/*.corefile` hold Corefiles behind lines `### what is wrong`; each must fail with the text beside
//! it (`*.expected`). `UPDATE_GOLDEN=1` rewrites those.

#[path = "words/examples.rs"]
mod examples;
#[path = "words/options.rs"]
mod options;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use signpost::chain::{self, BuildOptions, Parts, StoreSpec, Support, WORDS};
use signpost::corefile::{self, NoImports};
use signpost::metrics::Tally;
use signpost::store::{Store, Wanted};
use signpost::time::{Clock, Wall};

/// Parts that nothing is ever served from, on a machine with two interfaces.
struct Bare;

impl Parts for Bare {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        vec![
            ("lo".to_owned(), IpAddr::from([127, 0, 0, 1])),
            ("eth0".to_owned(), IpAddr::from([10, 0, 0, 53])),
        ]
    }
}

/// The words of the chain in CoreDNS's fixed order (rule S-01).
const ORDER: &str = "root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket reload nsid \
                     bufsize bind debug trace ready health pprof shed prometheus errors log dnstap local dns64 any chaos \
                     loadbalance tsig rewrite autopath acl cache header dnssec tls minimal template transfer hosts \
                     route53 azure clouddns k8s_external kubernetes file auto secondary etcd loop forward grpc erratic \
                     whoami on sign view nomad";

/// Words that CoreDNS does not have.
const OURS: &[&str] = &["kubedns_config", "observe"];

/// What is said about a Corefile.
fn said(name: &str, text: &str) -> String {
    let built = corefile::parse(name, text, &NoImports)
        .and_then(|spec| chain::build(&spec, BuildOptions { port: 53 }, &mut Bare));
    match built {
        Ok(_) => "it is served\n".to_owned(),
        Err(error) => error.render() + "\n",
    }
}

/// The folder of the corpus.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles/words")
}

/// Compares with a golden file, or rewrites it; what is wrong, if anything.
fn compare(name: &str, got: &str) -> Option<String> {
    let golden = folder().join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, got).expect("a golden file can be written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (expected != got).then(|| format!("--- {name}\n{got}--- expected\n{expected}"))
}

#[test]
fn the_list_of_words_is_coredns_chain_in_its_order() {
    let ours = WORDS.iter().map(|word| word.word).filter(|word| !OURS.contains(word));
    let ours: Vec<&str> = ours.collect();
    let theirs: Vec<&str> = ORDER.split_whitespace().collect();
    assert_eq!(ours, theirs);
}

#[test]
fn every_word_that_is_not_served_is_refused_at_its_place_with_what_to_do_instead() {
    let mut got = String::new();
    for word in WORDS {
        let Support::Refused { instead } = &word.support else { continue };
        let text = said("Corefile", &format!("example.org {{\n    whoami\n    {} a b\n}}\n", word.word));
        assert!(text.starts_with("Corefile:3:5: "), "{text}");
        assert!(text.contains(&format!("`{}`", word.word)), "{text}");
        assert!(text.contains(&format!("= hint: {instead}")), "{text}");
        got += &text;
    }
    if let Some(wrong) = compare("refused.expected", &got) {
        panic!("{wrong}");
    }
}

#[test]
fn every_misuse_is_said_with_the_text_beside_it() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the corpus can be listed")
        .map(|entry| entry.expect("the corpus can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".corefile"))
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    for name in &names {
        let text = fs::read_to_string(folder().join(name)).expect("a file of the corpus can be read");
        let mut got = String::new();
        for case in text.split("### ").skip(1) {
            let (title, corefile) = case.split_once('\n').expect("a title has its own line");
            let said = said("Corefile", corefile);
            let located = said.starts_with("Corefile:") && said.contains(" |\n") && said.contains('^');
            if !located {
                wrong.push(format!("{name}, {title}: is not located\n{said}"));
            }
            got += &format!("### {title}\n{said}");
        }
        wrong.extend(compare(&name.replace(".corefile", ".expected"), &got));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_word_that_is_served_has_its_misuses_in_the_corpus() {
    for word in WORDS.iter().filter(|word| matches!(word.support, Support::Served { .. })) {
        let path = folder().join(format!("{}.corefile", word.word));
        assert!(path.is_file(), "`{}` is served: write {}", word.word, path.display());
    }
}

#[test]
fn every_word_that_is_served_is_served_in_its_shortest_form_and_errors_in_its_longest() {
    for (word, line) in [
        ("metadata", "metadata"),
        ("bind", "bind 127.0.0.1"),
        ("debug", "debug"),
        ("ready", "ready"),
        ("health", "health"),
        ("prometheus", "prometheus"),
        ("errors", "errors"),
        (
            "errors",
            "errors stdout {\n        consolidate 5m \".* i/o timeout$\" warning show_first\n        consolidate 30s \"^refused\"\n        stacktrace\n    }",
        ),
        ("log", "log"),
        ("loadbalance", "loadbalance"),
        ("kubernetes", "kubernetes cluster.local {\n        manifests .\n    }"),
        ("forward", "forward . 192.0.2.53"),
        ("cache", "cache"),
        ("whoami", "whoami"),
        ("bufsize", "bufsize"),
        ("dns64", "dns64"),
        ("any", "any"),
        ("minimal", "minimal"),
        ("hosts", "hosts"),
        ("loop", "loop"),
        ("rewrite", "rewrite name a.example b.example"),
        (
            "rewrite",
            "rewrite continue {\n        name regex (.*)\\.a\\.example {1}.b.example\n        answer name (.*)\\.b\\.example {1}.a.example\n        \
             value (.*)\\.c\\. {1}.d.\n    }\n    rewrite type ANY HINFO\n    rewrite class CH IN\n    rewrite ttl prefix a -30\n    \
             rewrite rcode substring b. 2 NOERROR\n    rewrite cname suffix .c. .d.\n    rewrite edns0 subnet set 24 56 revert\n    \
             rewrite edns0 local append 65518 {client_ip}\n    rewrite stop edns0 nsid unset",
        ),
        ("dnstap", "dnstap /tmp/dnstap.sock"),
        (
            "dnstap",
            "dnstap tls://example.com:6000 full 1024 4096 {\n        identity me\n        version 1\n        \
             extra \"upstream: {/forward/upstream} {name}\"\n        skipverify\n    }\n    dnstap listen tls://127.0.0.1:6000 full {\n        \
             tls cert.pem key.pem ca.pem\n        skipverify\n    }\n    dnstap listen unix:///tmp/other.sock",
        ),
        ("template", "template ANY ANY {\n        rcode NXDOMAIN\n    }"),
        (
            "template",
            "template IN A example org {\n        match ^(?P<a>[a-f0-9]+)\\. ^x-(?P<b>.)\n        \
             answer \"{{ .Name }} 60 IN A 10.0.0.{{ parseInt .Group.a 16 8 }}\" \"x. A 192.0.2.1\"\n        \
             additional \"a. TXT {{ .Meta \\\"view/name\\\" }}\"\n        authority \"example. NS a.\"\n        rcode NOERROR\n        \
             ederror 15 blocked\n        fallthrough example\n        upstream\n    }",
        ),
        ("kubedns_config", "kubedns_config"),
        ("kubedns_config", "kubedns_config /etc/kube-dns {\n        force_tcp\n    }"),
        ("file", "file db.example.org"),
        (
            "file",
            "file db.example.org example.org 10.0.0.0/24 {\n        reload 30s\n        reload_by_mtime\n        fallthrough \
             in-addr.arpa\n        upstream\n    }\n    file db.example.net example.net",
        ),
        ("auto", "auto {\n        directory /etc/coredns/zones\n    }"),
        (
            "auto",
            "auto org {\n        directory /etc/coredns/zones/org www\\.db\\.(.*) {1}\n        reload 45s\n        fallthrough\n    }",
        ),
        ("secondary", "secondary {\n        transfer from 10.0.1.1\n    }"),
        (
            "secondary",
            "secondary example.org {\n        transfer from 10.0.1.1 [2001:db8::1]:5300\n        transfer from 10.1.2.1\n        \
             fallthrough\n    }",
        ),
        ("transfer", "transfer {\n        to *\n    }"),
        (
            "transfer",
            "transfer example.org {\n        to * 10.240.1.1\n        to [2001:db8::1]:5300 2001:db8::2\n        source \
             2001:db8::53\n    }\n    transfer sub.example.org {\n        to 10.0.0.1\n    }",
        ),
        ("root", "root /etc/coredns"),
        ("cancel", "cancel"),
        ("cancel", "cancel 1s500ms"),
        (
            "timeouts",
            "timeouts {\n        read 3\n        write 5s\n        idle 24h\n        maxtcpqueries -1\n    }",
        ),
        ("multisocket", "multisocket"),
        ("multisocket", "multisocket 1024"),
        ("nsid", "nsid"),
        ("nsid", "nsid Use The Force"),
        ("shed", "shed"),
        ("local", "local"),
        ("local", "local {\n        localhost_prefix off\n    }"),
        ("chaos", "chaos"),
        ("chaos", "chaos CoreDNS-001 info@coredns.io me"),
        ("acl", "acl"),
        (
            "acl",
            "acl a.example.org 10.0.0.0/24 {\n        Allow NET 192.168.1.0/24 2001:db8::1 type A aaaa TYPE65\n        \
             filter type *\n        drop net * type ANY\n        block\n    }",
        ),
        (
            "header",
            "header {\n        response set ra AA\n        query clear rd\n        response clear rd\n    }",
        ),
        ("erratic", "erratic"),
        (
            "erratic",
            "erratic {\n        drop\n        truncate 5\n        delay 3 50ms\n        large\n    }",
        ),
        ("view", "view empty"),
        (
            "view",
            "view split {\n        expr incidr(client_ip(), '10.0.0.0/8') && type() in ['A', 'AAAA']\n        \
             expr metadata('kubernetes/client-namespace') != 'kube-system'\n    }",
        ),
        ("loadbalance", "loadbalance round_robin {\n        prefer 10.9.20.0/24 2001:db8::/32\n    }"),
        (
            "loadbalance",
            "loadbalance weighted db.weights {\n        reload 0s\n        prefer 10.0.0.0/8\n    }",
        ),
        (
            "log",
            "log example.org {\n        class denial error\n        format json kubernetes/service /view/name\n    }",
        ),
        ("log", "log . \"{combined} {/log/class}\" {\n        format text\n    }"),
        // As k3s and minikube write it.
        (
            "hosts",
            "hosts /etc/coredns/NodeHosts {\n        ttl 60\n        reload 15s\n        fallthrough\n    }",
        ),
        ("hosts", "hosts {\n        192.168.49.1 host.minikube.internal\n        fallthrough\n    }"),
        (
            "hosts",
            "hosts example.hosts example.com {\n        fe80::1%eth0 *.a.example.com b.example.com\n        no_reverse\n        \
             reload 0\n        fallthrough example.com\n        fallthrough_unsupported\n    }",
        ),
        (
            "dns64",
            "dns64 2001:db8::/32 {\n        translate_all\n        allow_ipv4\n        prefix 64:1337::/96\n    }",
        ),
    ] {
        let text = format!(". {{\n    {line}\n}}\n");
        let served =
            WORDS.iter().any(|known| known.word == word && matches!(known.support, Support::Served { .. }));
        assert!(served, "{word}");
        assert_eq!(said("Corefile", &text), "it is served\n", "{text}");
    }
}

/// The Corefile of k3s, with the API server named: there is no cluster around this process.
const K3S: &str = "\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      endpoint http://127.0.0.1:8080
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    hosts /etc/coredns/NodeHosts {
      ttl 60
      reload 15s
      fallthrough
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
    import /etc/coredns/custom/*.override
}
import /etc/coredns/custom/*.server
";

#[test]
fn the_corefile_of_k3s_is_served_with_its_node_hosts() {
    let spec = corefile::parse("Corefile", K3S, &corefile::Disk).unwrap_or_else(|e| panic!("{}", e.render()));
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut Bare);
    let built = built.unwrap_or_else(|error| panic!("{}", error.render()));
    let words: Vec<&str> = built.plan.chains[0].steps.iter().map(|step| step.word()).collect();
    for word in ["hosts", "kubernetes", "loop", "forward"] {
        assert!(words.contains(&word), "{words:?}");
    }
    assert_eq!(built.plan.suspects.len(), 1, "`loop` knows what `forward` asks");
}
