//! `template` (rule S-11).

use hickory_proto::op::Edns;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, CNAME, MX, PTR, TXT};

use super::coredns::CoreDns;
use super::world::{Upstream, ask, exchange, metrics, query, show, start};

/// What the upstream holds.
const LINES: &str = "\
far.test. 300 A 192.0.2.1
far.test. 300 AAAA 2001:db8::1
alias.test. 300 CNAME far.test.
sick.test. SERVFAIL
other.test. 300 A 192.0.2.9
";

/// Stanzas, most of them as CoreDNS's page has them.
const STANZAS: &[&str] = &[
    "template ANY ANY {\n rcode NXDOMAIN\n }",
    "template ANY ANY invalid {\n rcode NXDOMAIN\n authority \"invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)\"\n ederror 21 \"Blocked according to RFC2606\"\n }",
    "template IN ANY example.com.dc1.example.com {\n rcode NXDOMAIN\n authority \"{{ .Zone }} 60 IN SOA ns.example.com hostmaster.example.com (1 60 60 60 60)\"\n }",
    "template IN ANY example.com {\n match \"example\\.com\\.(dc1\\.example\\.com\\.)$\"\n rcode NXDOMAIN\n authority \"{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} hostmaster.{{ index .Match 1 }} (1 60 60 60 60)\"\n fallthrough\n }",
    "template IN A example {\n match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$\n answer \"{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}\"\n fallthrough\n }\n template IN PTR in-addr.arpa {\n match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$\n answer \"{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example.\"\n }",
    "template IN A example {\n match \"^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$\"\n answer \"{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}\"\n fallthrough\n }",
    "template IN A example {\n match \"^ip-(?P<a>10)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]dc[.]example[.]$\"\n match \"^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.](?P<c>[0-9]*)[.](?P<d>[0-9]*)[.]ext[.]example[.]$\"\n answer \"{{ .Name }} 60 IN A {{ .Group.a}}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}\"\n fallthrough\n }",
    "template IN MX example {\n match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$\n answer \"{{ .Name }} 60 IN MX 10 {{ .Name }}\"\n additional \"{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}\"\n authority \"example. 60 IN NS ns0.example.\" \"example. 60 IN NS ns1.example.\"\n additional \"ns0.example. 60 IN A 203.0.113.8\"\n fallthrough example\n }",
    "template IN ANY foogle.com {\n match \"^foogle\\.com\\.$\"\n answer \"foogle.com 60 IN CNAME far.test\"\n }",
    "template IN A foogle.com {\n answer \"{{ .Name }} 60 IN CNAME none.test.\"\n upstream\n }",
    "template IN ANY test {\n match ^alias\n answer \"{{ .Name }} 9 {{ .Type }} {{ .Class }} {{ if eq .Type \\\"A\\\" }}{{ .Remote }}{{ else }}::1{{ end }}\"\n fallthrough\n }",
    "template IN AAAA {\n rcode NOERROR\n }",
    "template IN TXT example {\n answer \"{{ .Name }} 1 IN TXT \\\"{{ .Question.Qtype }} {{ .Zone }} {{ .Regex }} {{ .Group }} {{ .Match }} {{ .Message.Opcode }}\\\"\"\n }",
    "template IN TXT example {\n answer \"{{ .Name }} 1 IN TXT {{ range $i, $m := .Match }}{{ printf \\\"%03d-%s\\\" $i $m }}{{ end }}\"\n }",
    "template IN A example {\n match ^ip-(?P<a>.*)-\n answer \"{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}\"\n }",
    "template IN A example {\n rcode SERVFAIL\n answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n }",
    "template IN A example {\n match ^ip-(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.](dc[.])?example[.]$\n var ip replace(group('ip'), '-', '.')\n expr \"any(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], incidr(ip, #))\"\n answer \"{{ .Name }} 60 IN A {{ .Var.ip }}\"\n fallthrough\n }",
    "template IN A example {\n match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)-\n var a int(group('a'))\n var b int(group(2)) + a\n var whole group(0) + group('none') + group(7)\n expr a > 1 && whole startsWith 'ip'\n expr type() == 'A'\n answer \"{{ .Name }} {{ .Var.b }} IN A 10.0.0.1\"\n }",
    "template IN ANY example {\n var local incidr(client_ip(), '127.0.0.0/8')\n var n 9\n expr name() not contains 'dc'\n answer \"{{ .Name }} {{ .Var.n }} IN TXT \\\"{{ len .Var }} {{ if .Var.local }}here{{ end }}\\\"\"\n }",
    "template IN A example {\n match ^ip-(?P<ip>.*)[.]example[.]$\n expr incidr(replace(group('ip'), '-', '.'), '10.0.0.0/8')\n answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n fallthrough\n }",
    "template IN A example {\n rcode REFUSED\n }\n template IN A com {\n match ^nothing$\n fallthrough\n }\n template ANY A com {\n answer \"{{ .Name }} A 192.0.2.77\"\n }",
];

/// Questions that are asked under every stanza.
const QUESTIONS: &[(&str, RecordType)] = &[
    ("a.invalid.", A),
    ("invalid.", MX),
    ("x.example.com.dc1.example.com.", A),
    ("x.example.com.", A),
    ("ip-10-1-2-3.example.", A),
    ("ip-10-1-2-3.example.", AAAA),
    ("ip-10-1-2-3.example.", MX),
    ("ip-10-1-2-3.example.", TXT),
    ("IP-10-1-2-3.Example.", A),
    ("ip-10-1-2-3.dc.example.", A),
    ("1.2.3.4.ext.example.", A),
    ("ip0a7b7b7b.example.", A),
    ("ip-300-1-2-3.example.", A),
    ("ip-x-.example.", A),
    ("3.2.1.10.in-addr.arpa.", PTR),
    ("10.in-addr.arpa.", PTR),
    ("foogle.com.", A),
    ("foogle.com.", AAAA),
    ("foogle.com.", CNAME),
    ("foogle.com.", TXT),
    ("x.foogle.com.", A),
    ("far.test.", A),
    ("far.test.", AAAA),
    ("alias.test.", A),
    ("alias.test.", AAAA),
    ("other.test.", ANY),
];

/// The Corefile around stanzas.
fn corefile(port: u16, stanzas: &str, upstream: &Upstream) -> String {
    format!(
        ".:{port} {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n {stanzas}\n forward . {}\n}}\n",
        upstream.addr()
    )
}

#[test]
fn coredns_makes_the_same() {
    let upstream = Upstream::start(LINES);
    let mut differences = Vec::new();
    for stanzas in STANZAS {
        let theirs = CoreDns::start(|port| corefile(port, stanzas, &upstream));
        let Some((_theirs, theirs)) = theirs else { return };
        let ours = start(&corefile(0, stanzas, &upstream));
        for (name, rtype) in QUESTIONS {
            let said = |server| {
                let reply = exchange(server, &query(name, *rtype)).map(|(reply, _)| reply);
                let reply = reply.map(|reply| show(&reply)).unwrap_or_default();
                // It gives owners in lower case, we in the letters of the client.
                reply.replace(name, &name.to_lowercase())
            };
            let (ours, theirs) = (said(ours.addresses()[0]), said(theirs));
            if ours != theirs {
                differences
                    .push(format!("{stanzas}\n  {name} {rtype}\n    ours   {ours}\n    theirs {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Starts a server with these stanzas.
fn world(stanzas: &str) -> (Upstream, signpost::app::Running) {
    let upstream = Upstream::start(LINES);
    let running = start(&corefile(0, stanzas, &upstream));
    (upstream, running)
}

#[test]
fn every_stanza_of_the_page_answers() {
    for (stanza, name, rtype, expected) in [
        (0, "any.thing.", A, "NXDomain aa"),
        (
            1,
            "A.invalid.",
            MX,
            "NXDomain aa | authority invalid. 60 SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60",
        ),
        (4, "IP-10-1-2-3.example.", A, "NoError aa | IP-10-1-2-3.example. 60 A 10.1.2.3"),
        (4, "3.2.1.10.in-addr.arpa.", PTR, "NoError aa | 3.2.1.10.in-addr.arpa. 60 PTR ip-10-1-2-3.example."),
        (4, "10.in-addr.arpa.", PTR, "ServFail"),
        (5, "ip0a7b7b7b.example.", A, "NoError aa | ip0a7b7b7b.example. 60 A 10.123.123.123"),
        (
            7,
            "ip-10-1-2-3.example.",
            MX,
            "NoError aa | ip-10-1-2-3.example. 60 MX 10 ip-10-1-2-3.example. | authority example. 60 NS ns0.example. | \
             authority example. 60 NS ns1.example. | additional ip-10-1-2-3.example. 60 A 10.1.2.3 | \
             additional ns0.example. 60 A 203.0.113.8",
        ),
        (8, "foogle.com.", A, "NoError aa | foogle.com. 60 CNAME far.test. | far.test. 300 A 192.0.2.1"),
        (8, "foogle.com.", TXT, "NoError aa | foogle.com. 60 CNAME far.test."),
        (13, "ip.example.", TXT, "NoError aa | ip.example. 1 TXT 000-ip.example."),
    ] {
        let (_upstream, running) = world(STANZAS[stanza]);
        assert_eq!(ask(running.addresses()[0], name, rtype), expected, "{}", STANZAS[stanza]);
    }
}

#[test]
fn extended_errors_go_to_clients_with_edns() {
    let (_upstream, running) = world(STANZAS[1]);
    let mut message = query("a.invalid.", A);
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    let (reply, _) = exchange(running.addresses()[0], &message).unwrap();
    let edns = reply.edns.unwrap();
    let (code, option) = &edns.options().options[0];
    let mut expected = vec![0, 21];
    expected.extend_from_slice(b"Blocked according to RFC2606");
    assert_eq!((u16::from(*code), Vec::try_from(option).unwrap()), (15, expected));
}

#[test]
fn other_classes_are_answered_where_a_stanza_is_about_them() {
    let (_upstream, running) = world(&format!(
        "{}\n template CH TXT example {{\n answer \"{{{{ .Name }}}} CH TXT hi\"\n }}",
        STANZAS[1]
    ));
    let of_class = |name, rtype, class| {
        let mut message = query(name, rtype);
        message.queries[0].set_query_class(class);
        let (reply, _) = exchange(running.addresses()[0], &message).unwrap();
        assert!(
            reply.answers.iter().chain(&reply.authorities).all(|record| record.dns_class == class),
            "{reply}"
        );
        show(&reply)
    };
    assert_eq!(
        of_class("a.invalid.", A, DNSClass::CH),
        "NXDomain aa | authority invalid. 60 SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"
    );
    assert_eq!(of_class("a.example.", TXT, DNSClass::CH), "NoError aa | a.example. 3600 TXT hi");
    // Nobody else is asked about them.
    assert_eq!(of_class("far.test.", A, DNSClass::CH), "Refused");
    assert_eq!(of_class("a.example.", TXT, DNSClass::HS), "Refused");
    assert_eq!(of_class("far.test.", A, DNSClass::IN), "NoError | far.test. 300 A 192.0.2.1");
}

#[test]
fn a_target_that_cannot_be_resolved_is_no_answer() {
    let (_upstream, running) =
        world("template IN A foogle.com {\n answer \"{{ .Name }} 60 IN CNAME sick.test.\"\n }");
    assert_eq!(ask(running.addresses()[0], "foogle.com.", A), "ServFail");
}

#[test]
fn aliases_of_aliases_are_followed_once() {
    let (_upstream, running) = world(
        "template IN A foogle.com {\n answer \"{{ .Name }} 60 IN CNAME one.foo.\"\n answer \"one.foo. 60 IN CNAME alias.test.\"\n \
         additional \"x.foo. 60 IN A 192.0.2.5\"\n }",
    );
    assert_eq!(
        ask(running.addresses()[0], "foogle.com.", A),
        "NoError aa | foogle.com. 60 CNAME one.foo. | one.foo. 60 CNAME alias.test. | alias.test. 300 CNAME far.test. | \
         far.test. 300 A 192.0.2.1 | additional x.foo. 60 A 192.0.2.5"
    );
}

#[test]
fn what_is_made_and_what_fails_is_counted() {
    let (_upstream, running) = world(
        "template IN A example {\n match ^(?P<a>.*)[.]example\n answer \"{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}\"\n }\n \
         template IN AAAA example {\n match ^(?P<a>.*)[.]example\n additional \"{{ .Name }} 60 AAAA ::{{ parseInt .Group.a 10 8 }}\"\n }",
    );
    let server = running.addresses()[0];
    assert_eq!(ask(server, "7.example.", A), "NoError aa | 7.example. 60 A 10.0.0.7");
    assert_eq!(ask(server, "x.example.", A), "ServFail");
    assert_eq!(ask(server, "x.example.", AAAA), "ServFail");
    assert_eq!(
        metrics(&running, "coredns_template_"),
        [
            "coredns_template_matches_total{server=\"dns://127.0.0.1:0\",zone=\"example.\",view=\"\",class=\"IN\",type=\"A\"} 2",
            "coredns_template_matches_total{server=\"dns://127.0.0.1:0\",zone=\"example.\",view=\"\",class=\"IN\",type=\"AAAA\"} 1",
            "coredns_template_template_failures_total{server=\"dns://127.0.0.1:0\",zone=\"example.\",view=\"\",class=\"IN\",type=\"AAAA\",section=\"additional\",template=\"{{ .Name }} 60 AAAA ::{{ parseInt .Group.a 10 8 }}\"} 1",
            "coredns_template_rr_failures_total{server=\"dns://127.0.0.1:0\",zone=\"example.\",view=\"\",class=\"IN\",type=\"A\",section=\"answer\",template=\"{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}\"} 1",
        ]
    );
}

#[test]
fn metadata_is_filled_in() {
    let running = start(
        ".:0 {\n bind 127.0.0.1\n metadata\n template IN TXT {\n answer \"{{ .Name }} 1 IN TXT \\\"{{ .Meta \\\"kubernetes/service\\\" }}|{{ .Meta \\\"none/such\\\" }}\\\"\"\n }\n \
         kubernetes cluster.local {\n manifests tests/fixtures/cluster\n }\n}\n",
    );
    assert_eq!(
        ask(running.addresses()[0], "web.shop.svc.cluster.local.", TXT),
        "NoError aa | web.shop.svc.cluster.local. 1 TXT web|"
    );
}
