//! Z6: Corefiles.

use super::cost::{Bound, bounded};
use super::desk::Shelf;
use super::target::Seed;
use crate::chain::{BuildOptions, build};
use crate::corefile::ImportFault;
use crate::corefile::{Error, NoImports, Source, parse, print};

/// What reading one may cost: imports make much of little, up to a limit.
const READING: Bound = Bound { each: 4096, beside: 64 << 20 };

/// Variables, placeholders, and some files.
struct Variables;

impl Source for Variables {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("a{$B}".to_owned()),
            "B" => Some("b \"{} # \\".to_owned()),
            "LOOP" => Some("{$LOOP}x".to_owned()),
            _ => None,
        }
    }

    fn files(&self, pattern: &str, _: &str) -> Result<Vec<(String, String)>, ImportFault> {
        let texts: &[&str] = match pattern {
            "one" => &["errors\nlog\n"],
            // Each of them twice as much as the one before.
            "two" => &["import one\nimport one\n"],
            "three" => &["import two\nimport two\n"],
            "circle" => &["log\nimport round\n"],
            "round" => &["import circle\n"],
            "blocks" => &["a.example {\n whoami\n}\n", "(s) {\n import s\n}\n"],
            "arguments" => &["forward . {args[0]} {args[:]}\n"],
            "odd*" => &["}", "{", "\"", "\\"],
            "none*" => &[],
            _ => return Err(ImportFault::NotFound),
        };
        let name = |at: usize| format!("{pattern}{at}");
        Ok(texts.iter().enumerate().map(|(at, text)| (name(at), (*text).to_owned())).collect())
    }

    fn placeholder(&self, name: &str) -> Option<String> {
        (name == "DNS__DOMAIN").then(|| "cluster.local".to_owned())
    }
}

/// Reads, prints, reads, prints, builds.
pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let spec = match bounded(READING, bytes, || parse("Corefile", text, &Variables)) {
        Ok(spec) => spec,
        Err(error) => return placed(&error),
    };
    let printed = print(&spec);
    let again = parse("Corefile", &printed, &NoImports)
        .unwrap_or_else(|error| panic!("what was printed can't be read: {}\n{printed}", error.render()));
    assert_eq!(print(&again), printed, "a fixed point");
    assert_eq!(again.blocks.len(), spec.blocks.len());
    if let Err(error) = build(&spec, BuildOptions { port: 53 }, &mut Shelf) {
        placed(&error);
    }
}

/// An error says where it is.
fn placed(error: &Error) {
    let text = error.to_string();
    // In the Corefile, or in one of the files above.
    let Some((_, rest)) = text.split_once(':') else { panic!("{text:?} has no place") };
    assert!(rest.starts_with(|c: char| c.is_ascii_digit()), "{text:?} has no line");
    assert!(!error.render().is_empty());
}

/// Corefiles: those of clusters in short, and every odd form.
pub(super) fn seeds() -> Vec<Seed> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "cluster",
            text(
                ".:53 {\n    errors\n    health {\n        lameduck 5s\n    }\n    ready\n    kubernetes cluster.local in-addr.arpa ip6.arpa {\n        pods insecure\n        fallthrough in-addr.arpa ip6.arpa\n        ttl 30\n    }\n    prometheus :9153\n    forward . 10.0.0.10 {\n        max_concurrent 1000\n    }\n    cache 30\n    loop\n    reload\n    loadbalance\n}\n",
            ),
        ),
        (
            "node",
            text(
                "__PILLAR__DNS__DOMAIN__:53 {\n    cache {\n        success 9984 30\n        denial 9984 5\n    }\n    bind 169.254.20.10\n    forward . 10.0.0.10 {\n        force_tcp\n    }\n}\n",
            ),
        ),
        ("variables", text("{$A}.example:53, b.example {\n log {$B} \"{%A%}\"\n}\n")),
        ("endless_variable", text(". {\n log {$LOOP}\n}\n")),
        ("snippets", text("(s) {\n errors\n}\n. {\n import s\n}\n")),
        ("files", text(". {\n import three\n import none*\n}\nimport blocks\n")),
        ("file_circle", text(". {\n import circle\n}\n")),
        ("file_arguments", text(". {\n import arguments 1.1.1.1 9.9.9.9\n import odd*\n}\n")),
        (
            "snippet_of_snippets",
            text(
                "(a) {\n log\n}\n(b) {\n import a\n import a\n}\n(c) {\n import b\n import b\n}\n. {\n import c\n}\n",
            ),
        ),
        ("networks", text("10.0.0.0/15 fd00::/13 {\n whoami\n}\n")),
        ("bare", text("example.org\nwhoami\nlog\n")),
        ("quotes", text(". {\n log \"a \\\" b\\\\\" '{' \"}\"\n}\n")),
        (
            "template",
            text(
                ". {\n template IN A example.org {\n match ^a(?P<b>[0-9]+)[.]$\n answer \"{{ .Name }} 60 IN A 192.0.2.{{ .Group.b }}\"\n rcode NOERROR\n }\n}\n",
            ),
        ),
        (
            "rewrite",
            text(
                ". {\n rewrite stop {\n name regex (.*)\\.a {1}.b answer auto\n }\n rewrite edns0 local set 0xffee abc\n rewrite ttl exact a 5-10\n whoami\n}\n",
            ),
        ),
        (
            "views",
            text(
                ". {\n view v {\n expr incidr(client_ip(), '10.0.0.0/8') && name() matches 'a+'\n }\n whoami\n}\n",
            ),
        ),
        (
            "words",
            text(
                ". {\n acl {\n allow type A net 10.0.0.0/8\n block\n }\n header {\n response set aa\n }\n dns64 64:ff9b::/96\n hosts {\n 10.0.0.1 a b\n }\n transfer {\n to *\n }\n autopath @kubernetes\n kubernetes a {\n pods verified\n labels a in (b),c!=d\n }\n erratic {\n drop 2\n }\n bufsize 1232\n}\n",
            ),
        ),
        (
            "encrypted",
            text(
                "tls://.:853 https://a:443 quic://b {\n tls a b\n forward . tls://1.1.1.1 {\n tls_servername a\n }\n}\n",
            ),
        ),
        ("open", text(". {\n forward . {")),
        ("empty", Vec::new()),
        ("comment", text("# nothing\n")),
        ("marks", text("\u{feff}. {\r\n\twhoami\r\n}\r\n")),
    ]
}
