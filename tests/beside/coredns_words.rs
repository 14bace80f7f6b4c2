//! The small words beside CoreDNS (`COREDNS_BIN`): the same Corefile, the same questions, the same replies; where we differ on
//! purpose the question is left out, with its rule.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Record};

use super::coredns::CoreDns;
use super::world::{query, show, start, with_edns};

/// A question.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Who asks.
    client: &'static str,
    /// The name.
    name: &'static str,
    /// The type.
    rtype: RecordType,
    /// The class.
    class: DNSClass,
    /// RD.
    recursion: bool,
    /// Whether there is an OPT, with NSID in it.
    edns: bool,
}

/// A question from 127.0.0.1, in IN, with RD, without EDNS.
fn asked(name: &'static str, rtype: RecordType) -> Asked {
    Asked { client: "127.0.0.1", name, rtype, class: DNSClass::IN, recursion: true, edns: false }
}

/// What a server says: code, flags, records in a fixed order, extended error and NSID.
fn said(server: SocketAddr, asked: Asked) -> String {
    let mut message = query(asked.name, asked.rtype);
    message.metadata.recursion_desired = asked.recursion;
    message.queries[0].set_query_class(asked.class);
    if asked.edns {
        message = with_edns(message, 1232);
        message.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(3, Vec::new()));
    }
    let socket = UdpSocket::bind((asked.client, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).unwrap();
    let mut bytes = [0; 4096];
    let Ok(length) = socket.recv(&mut bytes) else { return "silence".to_owned() };
    let mut reply = Message::from_vec(&bytes[..length]).unwrap();
    for section in [&mut reply.answers, &mut reply.additionals] {
        section.sort_by_key(|record: &Record| (record.record_type().to_string(), record.data.to_string()));
    }
    let mut text = show(&reply);
    let head = reply.metadata;
    for (on, flag) in [(head.recursion_desired, " rd"), (head.recursion_available, " ra")] {
        text.push_str(if on { flag } else { "" });
    }
    // To a client without EDNS there is none in ours (K-009).
    if let Some(edns) = reply.edns.as_ref().filter(|_| asked.edns) {
        // An empty one is the client's own that comes back, which ours never does (K-011).
        if let Some(EdnsOption::NSID(name)) = edns.option(EdnsCode::NSID)
            && !name.as_ref().is_empty()
        {
            let _ = write!(text, " nsid {}", String::from_utf8_lossy(name.as_ref()));
        }
        for (_, option) in &edns.options().options {
            if let EdnsOption::Unknown(15, value) = option {
                let _ = write!(text, " ede {:?}", value.get(..2));
            }
        }
    }
    text
}

/// Asks both.
fn compare(corefile: impl Fn(u16) -> String, questions: &[Asked]) {
    let Some((_theirs, theirs)) = CoreDns::start(&corefile) else { return };
    let ours = start(&corefile(0));
    for question in questions {
        let (ours, theirs) = (said(ours.addresses()[0], *question), said(theirs, *question));
        assert_eq!(ours, theirs, "{question:?}\n{}", corefile(0));
    }
}

#[test]
fn coredns_answers_the_small_words_the_same() {
    let hosts = "hosts none {\n 10.0.0.1 a.test\n fd00::1 a.test\n 10.0.0.1 localhost.test\n }";
    let types = [A, AAAA, ANY, CNAME, MX, NS, PTR, SOA, SRV, TXT];
    let names = [
        "a.test.",
        "missing.test.",
        "localhost.",
        "localhost.test.",
        "x.localhost.",
        "0.in-addr.arpa.",
        "127.in-addr.arpa.",
        "1.0.0.127.in-addr.arpa.",
        "7.0.0.127.in-addr.arpa.",
        "1.255.in-addr.arpa.",
    ];
    let mut all: Vec<Asked> = Vec::new();
    for name in names {
        for rtype in types {
            all.push(asked(name, rtype));
        }
        all.push(Asked { recursion: false, ..asked(name, A) });
        all.push(Asked { client: "127.0.0.2", ..asked(name, A) });
        // EDNS where a reply is certain to be one of a word: of the rest K-009 says what the OPT holds.
        all.push(Asked { edns: true, ..asked(name, A) });
    }
    for words in [
        "",
        "local",
        "local {\n localhost_prefix off\n }",
        "header {\n response set ra\n }",
        "header {\n response set ra aa\n response clear rd\n }",
        "header {\n response clear aa\n query set rd\n }",
        "header {\n query clear rd\n response clear aa RA\n response Set Aa\n }",
        "nsid Use The Force",
        "acl {\n block type A net 127.0.0.2\n filter type AAAA\n drop type MX\n }",
        "acl a.test {\n allow net 127.0.0.2/32\n block\n }\n acl {\n filter type TXT SRV\n }",
        "acl test {\n allow type AAAA\n block type * net *\n }",
        "acl {\n allow net ::/0\n filter net 127.0.0.0/30 type A AAAA type PTR\n }",
        "any\n acl {\n allow net 10.0.0.0/8\n }",
        "loadbalance {\n prefer 10.0.0.0/8\n }",
    ] {
        // `local` and `any` stand before `acl` there and don't ask it: left out together (rule S-08).
        let corefile = |port: u16| format!(".:{port} {{\n bind 127.0.0.1\n {words}\n {hosts}\n}}\n");
        // A name that is not there is SERVFAIL by the server itself: `header` and `nsid` never see it.
        let bare = words.contains("header") || words.contains("nsid");
        let questions: Vec<Asked> = all
            .iter()
            .copied()
            .filter(|asked| !bare || asked.name == "a.test." && asked.rtype != PTR)
            .collect();
        compare(corefile, &questions);
    }
}

#[test]
fn coredns_answers_the_chaos_names_the_same() {
    let mut questions = Vec::new();
    for name in ["version.bind.", "Version.Server.", "authors.bind.", "hostname.bind.", "id.server."] {
        for edns in [false, true] {
            questions.push(Asked { class: DNSClass::CH, edns, ..asked(name, TXT) });
        }
    }
    // Other names of the class, and other types, run through the rest of the chain there (K-013).
    for line in ["chaos v1 me you me", "chaos v1 me"] {
        compare(|port| format!(".:{port} {{\n bind 127.0.0.1\n {line}\n whoami\n}}\n"), &questions);
    }
}

#[test]
fn coredns_chooses_the_same_views() {
    let expressions = [
        "incidr(client_ip(), '127.0.0.2/32')",
        "incidr(client_ip(), '127.0.0.0/8') && type() == 'A'",
        "type() in ['A', 'AAAA']",
        "type() not in ['A', 'AAAA']",
        "name() matches '^e\\\\d+\\\\.test\\\\.$'",
        "name() matches `^e.\\.test\\.$`",
        "name() == 'E7.TEST.'",
        "name() startsWith 'e8' and not (type() == 'A')",
        "name() endsWith '.test.' or false",
        "name() contains 'test' && proto() == 'udp' && class() == 'IN'",
        "type() == 'A' && client_ip() == '127.0.0.2' || type() == 'AAAA'",
        "client_ip() in ['127.0.0.1'] ? type() == 'A' : type() == 'AAAA'",
        "bufsize() == 512 && size() < 512 && opcode() == 0 && !do()",
        "id() == 4711 && id() in 4700..4720 && id() % 2 == 1",
        "2 + 3 * 4 == 14 && (2 + 3) * 4 == 20 && -1 < 0",
        "server_ip() == '127.0.0.1' && port() != server_port()",
        "metadata('none/such') == ''",
        "len(name()) > 5 && upper('a') + lower('B') == trim(' Ab ')",
        "true",
        "type() > 'AA'",
        "do() == false && do() != true",
        "incidr(metadata('none/such'), '10.0.0.0/8')",
        "not do()",
        "hasPrefix(name(), 'e') && hasSuffix(name(), '.test.')",
        "type() in []",
    ];
    let mut blocks = String::new();
    let mut questions = Vec::new();
    for (number, expression) in expressions.iter().enumerate() {
        let name: &'static str = Box::leak(format!("e{number}.test.").into_boxed_str());
        let _ = write!(
            blocks,
            "e{number}.test:PORT {{\n bind 127.0.0.1\n view v{number} {{\n expr {expression}\n }}\n \
             hosts none {{\n 10.0.0.1 {name}\n fd00::1 {name}\n }}\n}}\n\
             e{number}.test:PORT {{\n bind 127.0.0.1\n hosts none {{\n 10.0.0.2 {name}\n fd00::2 {name}\n }}\n}}\n"
        );
        for rtype in [A, AAAA] {
            for client in ["127.0.0.1", "127.0.0.2"] {
                questions.push(Asked { client, ..asked(name, rtype) });
            }
        }
    }
    compare(|port| blocks.replace("PORT", &port.to_string()), &questions);
}

#[test]
fn coredns_draws_addresses_by_weight_the_same_way_and_is_as_erratic() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights"), "www.test\n10.0.0.1 3\n10.0.0.3 2\n").unwrap();
    let corefile = |port: u16| {
        format!(
            ".:{port} {{\n bind 127.0.0.1\n root {}\n loadbalance weighted weights\n \
             hosts none {{\n 10.0.0.1 www.test\n 10.0.0.2 www.test\n 10.0.0.3 www.test\n }}\n}}\n\
             erratic.test:{port} {{\n bind 127.0.0.1\n erratic {{\n drop 3\n delay 2 1ms\n }}\n}}\n",
            folder.path().display()
        )
    };
    let ours = start(&corefile(0));
    let Some((_theirs, theirs)) = CoreDns::start(corefile) else { return };
    let firsts = |server: SocketAddr| {
        let mut counts = [0_u32; 3];
        for _ in 0..1_500 {
            let (reply, _) = super::world::exchange(server, &query("www.test.", A)).unwrap();
            let first = reply.answers[0].data.to_string();
            counts[usize::from(first.as_bytes()[first.len() - 1] - b'1')] += 1;
        }
        counts
    };
    let ours_said = firsts(ours.addresses()[0]);
    let theirs_said = firsts(theirs);
    for ((ours, theirs), expected) in ours_said.into_iter().zip(theirs_said).zip([750, 250, 500_u32]) {
        assert!(
            ours.abs_diff(expected) < 120 && theirs.abs_diff(expected) < 120,
            "{ours_said:?} {theirs_said:?}"
        );
    }
    for rtype in [A, A, A, AAAA, AAAA, MX, A, TXT, A] {
        let question = asked("x.erratic.test.", rtype);
        assert_eq!(said(ours.addresses()[0], question), said(theirs, question), "{rtype}");
    }
}
