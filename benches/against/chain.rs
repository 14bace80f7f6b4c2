//! Random Corefiles: options of `kubernetes`, and other words of the chain around it.

use fastrand::Rng;

use crate::case::{Block, Word};
use crate::cluster::one;

/// What is random about a Corefile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `kubernetes` and nothing else.
    Bare,
    /// With other words that know names themselves.
    Local,
    /// With `forward`, and perhaps `cache`.
    Forwarding,
}

/// A Corefile, and the files that it names.
pub(crate) struct Chain {
    /// The blocks.
    pub(crate) blocks: Vec<Block>,
    /// Files by name.
    pub(crate) files: Vec<(String, String)>,
    /// Whether it is about a clusterset.
    pub(crate) clusterset: bool,
}

/// Whether something happens with this probability.
fn may(rng: &mut Rng, probability: f32) -> bool {
    rng.f32() < probability
}

/// `fallthrough`, for all names or some.
fn fallthrough(rng: &mut Rng) -> String {
    match rng.u8(..4) {
        0 => "fallthrough in-addr.arpa ip6.arpa",
        1 => "fallthrough shop.svc.cluster.local in-addr.arpa",
        _ => "fallthrough",
    }
    .to_owned()
}

/// The stanza of the cluster.
fn kubernetes(rng: &mut Rng, kind: Kind, clusterset: bool) -> Word {
    let mut zones = match rng.u8(..8) {
        0 => "cluster.local",
        1 => "cluster.local 10.96.0.0/12 10.244.0.0/16 fd00:10:244::/64",
        2 => "cluster.local in-addr.arpa",
        _ => "cluster.local in-addr.arpa ip6.arpa",
    }
    .to_owned();
    let mut lines = Vec::new();
    if clusterset {
        zones += " clusterset.local";
        lines.push("multicluster clusterset.local".to_owned());
    }
    match rng.u8(..10) {
        0 => lines.push("namespaces shop data nowhere".to_owned()),
        1 => lines.push("namespaces default svc pod".to_owned()),
        2 => lines.push("namespace_labels team=red".to_owned()),
        3 => lines.push("namespace_labels tier in (front,back)".to_owned()),
        _ => {}
    }
    match rng.u8(..10) {
        0 => lines.push("labels tier=front".to_owned()),
        1 => lines.push("labels team notin (red)".to_owned()),
        2 => lines.push("labels tier".to_owned()),
        _ => {}
    }
    match rng.u8(..4) {
        0 => {}
        1 => lines.push("pods disabled".to_owned()),
        2 => lines.push("pods insecure".to_owned()),
        _ => lines.push("pods verified".to_owned()),
    }
    match rng.u8(..6) {
        0 => lines.push("ttl 0".to_owned()),
        1 => lines.push("ttl 30".to_owned()),
        2 => lines.push("ttl 3600".to_owned()),
        _ => {}
    }
    if may(rng, 0.3) {
        lines.push("endpoint_pod_names".to_owned());
    }
    match rng.u8(..10) {
        0 => lines.push("noendpoints".to_owned()),
        1 | 2 => lines.push("ignore empty_service".to_owned()),
        3 => lines.push("zonal".to_owned()),
        4 => lines.extend(["zonal".to_owned(), "ignore empty_service".to_owned()]),
        _ => {}
    }
    if may(rng, if kind == Kind::Bare { 0.1 } else { 0.6 }) {
        lines.push(fallthrough(rng));
    }
    // Options in any order.
    rng.shuffle(&mut lines);
    let mut word = Word::new(format!("kubernetes {zones}")).fixed();
    word.lines.push("endpoint {API}".to_owned());
    word.with(lines)
}

/// `k8s_external`.
fn external(rng: &mut Rng) -> Word {
    let zones = one(rng, &["out.example", "out.example in-addr.arpa ip6.arpa", "out.example other.example"]);
    let mut word = Word::new(format!("k8s_external {zones}"));
    for line in ["headless", "apex own", "ttl 60", "fallthrough"] {
        if may(rng, 0.3) {
            word.lines.push(line.to_owned());
        }
    }
    word
}

/// `hosts`.
fn hosts(rng: &mut Rng) -> Word {
    let zones = one(rng, &["", " example.net", " example.net cluster.local in-addr.arpa"]);
    let mut word = Word::new(format!("hosts {{DIR}}/hosts{zones}"));
    for (line, probability) in [
        ("192.0.2.50 inline.example.net other.example.net", 0.5),
        ("2001:db8::50 inline.example.net", 0.3),
        ("192.0.2.51 nothing.shop.svc.cluster.local", 0.3),
        ("10.96.0.1 taken.example.net", 0.3),
        ("ttl 90", 0.4),
        ("no_reverse", 0.2),
        ("fallthrough", 0.8),
    ] {
        if may(rng, probability) {
            word.lines.push(line.to_owned());
        }
    }
    word
}

/// The file behind it.
const HOSTS: &str = "\
127.0.0.1 localhost\n192.0.2.60 host.example.net Alias.Example.Net # why\n2001:db8::60 host.example.net\n\
192.0.2.61 host.example.net\n192.0.2.62 lb.example.net\nnonsense here\n192.0.2.63 web.shop.svc.cluster.local\n";

/// `template`.
fn template(rng: &mut Rng) -> Word {
    let (head, lines): (&str, &[&str]) = match rng.u8(..6) {
        0 => ("template IN A tpl.example", &["answer \"{{ .Name }} 60 IN A 192.0.2.70\""]),
        1 => (
            "template IN ANY tpl.example",
            &[
                "match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]tpl[.]example[.]$",
                "answer \"{{ .Name }} 60 {{ .Class }} TXT \\\"{{ .Group.a }} {{ .Group.b }} {{ .Type }}\\\"\"",
                "additional \"extra.{{ .Zone }} 30 IN A 192.0.2.71\"",
            ],
        ),
        2 => (
            "template IN ANY tpl.example cluster.local",
            &[
                "match .*[.]nowhere[.].*",
                "rcode NXDOMAIN",
                "authority \"{{ .Zone }} 60 IN SOA ns.{{ .Zone }} hostmaster.{{ .Zone }} 1 2 3 4 5\"",
            ],
        ),
        3 => ("template IN AAAA", &["rcode NOERROR"]),
        4 => ("template IN A tpl.example", &["answer \"{{ .Name }} 60 IN CNAME host.example.net.\""]),
        _ => (
            "template IN A tpl.example",
            &[
                "match ^a[.] ^b[.]",
                "answer \"{{ index .Match 0 }}tpl.example. 60 IN A 192.0.2.72\"",
                "ederror 15 no",
            ],
        ),
    };
    let mut word = Word::new(head).with(lines.iter().map(|line| (*line).to_owned()));
    if may(rng, 0.7) {
        word.lines.push("fallthrough".to_owned());
    }
    word
}

/// Rules of `rewrite`.
const REWRITES: &[&str] = &[
    "rewrite name exact short.example. web.shop.svc.cluster.local.",
    "rewrite name suffix .short.example. .svc.cluster.local. answer auto",
    "rewrite name suffix .plain.example. .svc.cluster.local.",
    "rewrite name prefix old- web.",
    "rewrite name substring nothing web",
    "rewrite name regex (.*)[.](.*)[.]re[.]example {1}.{2}.svc.cluster.local answer auto",
    "rewrite name regex (.*)[.]only[.]example {1}.shop.svc.cluster.local answer name (.*)[.]shop[.]svc[.]cluster[.]local {1}.only.example",
    "rewrite continue name exact one.example. two.example.",
    "rewrite name exact two.example. plain.test.",
    "rewrite type MX A",
    "rewrite type HTTPS TXT",
    "rewrite class CH IN",
    "rewrite ttl suffix cluster.local. 17",
    "rewrite ttl exact plain.test. 10-20",
    "rewrite rcode suffix cluster.local. NXDOMAIN NOERROR",
    "rewrite rcode exact missing.test. NXDOMAIN SERVFAIL",
    "rewrite cname exact mid.test. end.test.",
    "rewrite edns0 local set 0xffee abc",
];

/// `acl`.
fn acl(rng: &mut Rng) -> Word {
    let zones = one(rng, &["", "", " shop.svc.cluster.local", " in-addr.arpa test"]);
    let lines: &[&str] = match rng.u8(..6) {
        0 => &["block type AAAA net 127.0.0.0/8"],
        1 => &["filter type TXT"],
        2 => &["allow type A SRV net 127.0.0.1", "block"],
        3 => &["drop type HINFO CAA net *"],
        4 => &["block net 10.0.0.0/8 192.168.0.0/16"],
        _ => &["filter type AAAA net 127.0.0.1", "allow net 127.0.0.1", "block net 0.0.0.0/0"],
    };
    Word::new(format!("acl{zones}")).with(lines.iter().map(|line| (*line).to_owned()))
}

/// `header`.
fn header(rng: &mut Rng) -> Word {
    let line = one(
        rng,
        &[
            "response set ra",
            "response clear aa ra",
            "response set aa",
            "query clear rd",
            "query set rd",
            "response clear rd",
        ],
    );
    Word::new("header").with([line.to_owned()])
}

/// `view` of a block.
fn view(rng: &mut Rng) -> Word {
    let expression = one(
        rng,
        &[
            "type() == 'A'",
            "type() in ['AAAA', 'SRV']",
            "proto() == 'tcp'",
            "name() startsWith 'web.' || name() endsWith '.test.'",
            "incidr(client_ip(), '127.0.0.0/8') && do()",
            "bufsize() > 1000",
            "name() matches '^[a-d].*'",
            "class() == 'IN' && len(name()) % 2 == 0",
        ],
    );
    Word::new("view some").with([format!("expr {expression}")])
}

/// A zone file.
fn zone_file(rng: &mut Rng) -> String {
    let mut text = "\
$TTL 300\n@ IN SOA ns1 hostmaster 7 7200 1800 86400 60\n@ IN NS ns1\nns1 IN A 192.0.2.53\nns1 IN AAAA 2001:db8::53\n"
        .to_owned();
    for (line, probability) in [
        ("@ IN NS ns.elsewhere.test.\n", 0.3),
        ("@ IN MX 10 mail\nmail IN A 192.0.2.25\n", 0.5),
        ("www IN A 192.0.2.80\nwww 60 IN A 192.0.2.81\nwww IN AAAA 2001:db8::80\n", 0.9),
        ("alias IN CNAME www\n", 0.6),
        ("chain IN CNAME alias\n", 0.4),
        ("dangling IN CNAME none\n", 0.4),
        ("away IN CNAME plain.test.\n", 0.4),
        ("cluster IN CNAME web.shop.svc.cluster.local.\n", 0.4),
        ("*.wild IN A 192.0.2.90\nhere.wild IN TXT \"here\"\n", 0.5),
        ("*.other IN CNAME www\n", 0.3),
        ("a.b.c IN A 192.0.2.91\n", 0.6),
        ("sub IN NS ns.sub\nns.sub IN A 192.0.2.92\n", 0.5),
        ("moved IN DNAME shop.svc.cluster.local.\n", 0.3),
        ("renamed IN DNAME wild\n", 0.3),
        ("_http._tcp IN SRV 0 5 80 www\n_http._tcp IN SRV 1 5 80 plain.test.\n", 0.4),
        ("text IN TXT \"one\" \"two words\"\n", 0.4),
        ("caa IN CAA 0 issue \"example.net\"\n", 0.3),
    ] {
        if may(rng, probability) {
            text += line;
        }
    }
    text
}

/// Words that change what others say, or that say little themselves.
fn around(rng: &mut Rng, words: &mut Vec<Word>) {
    for (word, probability) in [
        ("errors", 0.3),
        ("metadata", 0.2),
        ("minimal", 0.15),
        ("loadbalance", 0.3),
        ("any", 0.15),
        ("bufsize 1232", 0.2),
        ("bufsize 512", 0.1),
        ("nsid us", 0.15),
        ("chaos us me", 0.15),
        ("local", 0.15),
        ("debug", 0.1),
        ("cancel", 0.1),
        ("timeouts", 0.0),
    ] {
        if may(rng, probability) {
            words.push(Word::new(word));
        }
    }
    // `minimal` of CoreDNS panics where nobody answers (S-08), and with `debug` that ends it.
    if words.iter().any(|word| word.head == "minimal") {
        words.retain(|word| word.head != "debug");
    }
    if may(rng, 0.25) {
        for _ in 0..rng.usize(1..4) {
            words.push(Word::new(one(rng, REWRITES)));
        }
    }
    for (make, probability) in [
        (acl as fn(&mut Rng) -> Word, 0.2),
        (header, 0.15),
        (template, 0.25),
        (template, 0.1),
        (hosts, 0.3),
        (external, 0.3),
    ] {
        if may(rng, probability) {
            words.push(make(rng));
        }
    }
    if may(rng, 0.1) {
        words.push(Word::new("dns64").with(["prefix 64:ff9b::/96".to_owned(), "allow_ipv4".to_owned()]));
        // It panics where nobody answers for A (S-20).
        words.retain(|word| word.head != "debug");
    }
    if may(rng, 0.2) {
        words.push(Word::new("file {DIR}/db.example.org example.org"));
    }
}

/// `cache`.
fn cache(rng: &mut Rng) -> Word {
    match rng.u8(..6) {
        0 => Word::new("cache"),
        1 => Word::new("cache 30"),
        2 => Word::new("cache 30")
            .with(["disable success cluster.local".to_owned(), "disable denial cluster.local".to_owned()]),
        3 => Word::new("cache 30").with(["success 1024 60".to_owned(), "denial 1024 10".to_owned()]),
        4 => Word::new("cache 60 test"),
        _ => Word::new("cache").with(["keepttl".to_owned()]),
    }
}

/// A Corefile.
pub(crate) fn chain(rng: &mut Rng) -> Chain {
    let kind = match rng.u8(..10) {
        0..4 => Kind::Bare,
        4..7 => Kind::Local,
        _ => Kind::Forwarding,
    };
    let clusterset = may(rng, 0.25);
    let mut words = vec![kubernetes(rng, kind, clusterset)];
    let mut blocks = Vec::new();
    if kind != Kind::Bare {
        around(rng, &mut words);
        if may(rng, 0.2) {
            let verified = words[0].lines.iter().any(|line| line == "pods verified");
            words.push(Word::new(if verified {
                "autopath @kubernetes"
            } else {
                "autopath {DIR}/resolv.conf"
            }));
            // A search whose name `acl` drops is a panic of CoreDNS, too (K-255).
            words.retain(|word| word.head != "debug");
        }
        if may(rng, 0.3) {
            let mut others = vec![Word::new("file {DIR}/db.example.org example.org")];
            if may(rng, 0.5) {
                others.push(Word::new("forward . {UPSTREAM}"));
            }
            words.retain(|word| !word.head.starts_with("file "));
            blocks.push(Block { key: "example.org".to_owned(), words: others });
        }
        if may(rng, 0.15) {
            let mut others = vec![view(rng)];
            others.push(match rng.u8(..3) {
                0 => Word::new("whoami"),
                1 => Word::new("template IN ANY .").with(["rcode REFUSED".to_owned()]),
                // The names are those of the other block; the TTL says which of the two answered.
                _ => {
                    let mut stanza = words[0].clone();
                    stanza.lines.retain(|line| !line.starts_with("ttl "));
                    stanza.lines.push("ttl 77".to_owned());
                    stanza
                }
            });
            blocks.push(Block { key: ".".to_owned(), words: others });
        }
    }
    if kind == Kind::Forwarding {
        if may(rng, 0.5) {
            words.push(cache(rng));
        }
        words.push(match rng.u8(..4) {
            0 => Word::new("forward test {UPSTREAM}"),
            1 => Word::new("forward . {UPSTREAM}").with(["except example.net".to_owned()]),
            _ => Word::new("forward . {UPSTREAM}"),
        });
    } else if kind == Kind::Local && may(rng, 0.2) {
        words.push(Word::new("whoami"));
    }
    blocks.push(Block { key: ".".to_owned(), words });
    let files = vec![
        ("hosts".to_owned(), HOSTS.to_owned()),
        ("db.example.org".to_owned(), zone_file(rng)),
        (
            "resolv.conf".to_owned(),
            "nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local cluster.local example.org\n"
                .to_owned(),
        ),
    ];
    Chain { blocks, files, clusterset }
}
