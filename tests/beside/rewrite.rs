//! `rewrite` (rule S-11).

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RecordType::{self, A, AAAA, CNAME, HINFO, MX, NAPTR, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::coredns::CoreDns;
use super::world::{Upstream, ask, exchange, query, show, start};

/// What the upstream holds.
const LINES: &str = "\
blue.test. 300 A 192.0.2.1
blue.test. 300 AAAA 2001:db8::1
blue.test. 300 MX 10 mail.blue.test.
blue.test. 300 SRV 1 2 80 web.blue.test.
blue.test. 300 NS ns.blue.test.
blue.test. 300 SOA ns.blue.test. hostmaster.blue.test. 1 2 3 4 5
blue.test. 300 TXT blue.test.
blue.test. 300 NAPTR 1 2 U x !a!b! next.blue.test.
mail.blue.test. 300 A 192.0.2.2
web.blue.test. 300 CNAME blue.test.
to.blue.test. 300 CNAME away.other.test.
away.other.test. 300 A 192.0.2.3
red.other.test. 20 A 192.0.2.4
old.test. 200 CNAME middle.test.
middle.test. 200 CNAME app.cdn.test.
app.cdn.test. 300 A 192.0.2.5
app.new.test. 100 A 192.0.2.6
app.new.test. 100 A 192.0.2.7
gone.test. 200 CNAME none.cdn.test.
none.cdn.test. 300 A 192.0.2.9
30.30.30.10.in-addr.arpa. 60 PTR ftp-us-west-1.service.test.
ftp.service.test. 300 A 192.0.2.8
sick.test. SERVFAIL
long.test. 9000 A 192.0.2.10
short.test. 1 A 192.0.2.11
";

/// Questions that are asked under every set of rules.
const QUESTIONS: &[(&str, RecordType)] = &[
    ("red.test.", A),
    ("red.test.", AAAA),
    ("red.test.", MX),
    ("red.test.", SRV),
    ("red.test.", NS),
    ("red.test.", SOA),
    ("red.test.", TXT),
    ("red.test.", NAPTR),
    ("red.test.", HINFO),
    ("web.red.test.", A),
    ("to.red.test.", A),
    ("none.red.test.", A),
    ("blue.test.", A),
    ("red.other.test.", A),
    ("old.test.", A),
    ("old.test.", AAAA),
    ("old.test.", CNAME),
    ("gone.test.", A),
    ("30.30.30.10.in-addr.arpa.", PTR),
    ("ftp-us-west-1.rocks.test.", A),
    ("sick.test.", A),
    ("sick.test.", AAAA),
    ("long.test.", A),
    ("short.test.", A),
    ("hosts.red.test.", A),
    ("hosts.blue.test.", A),
    ("missing.test.", A),
];

/// Sets of rules.
const RULES: &[&str] = &[
    "rewrite name red.test blue.test",
    "rewrite name exact red.test. blue.test. answer value (.*)\\.blue\\.test\\. {1}.green.test.",
    "rewrite name suffix .red.test .blue.test",
    "rewrite name suffix .red.test. .blue.test. answer auto",
    "rewrite name suffix red.test blue.test answer auto",
    "rewrite name prefix red blue",
    "rewrite name prefix red blue answer auto",
    "rewrite name substring red blue",
    "rewrite name substring red. blue. answer auto",
    "rewrite name regex (.*)-(us-west-1)\\.rocks\\.test {1}.service.test",
    "rewrite name regex (.*)-(us-west-1)\\.rocks\\.test {1}.service.test answer name (.*)\\.service\\.test {1}-us-west-1.rocks.test",
    "rewrite stop {\n name regex (.*)-(us-west-1)\\.rocks\\.test {1}.service.test\n answer auto\n }",
    "rewrite stop {\n name suffix .arpa .arpa\n answer name auto\n answer value (.*)\\.service\\.test\\. {1}.rocks.test.\n }",
    "rewrite continue name suffix red.test green.test answer auto\n rewrite name suffix green.test blue.test answer auto",
    "rewrite continue name red.test green.test\n rewrite name green.test blue.test",
    "rewrite name red.test green.test\n rewrite name green.test blue.test",
    "rewrite type HINFO A",
    "rewrite type AAAA A\n rewrite name red.test blue.test",
    "rewrite ttl long.test -30\n rewrite ttl suffix short.test 30-\n rewrite ttl red.other.test 60-120\n rewrite ttl regex .* 15",
    "rewrite continue ttl substring test. 77\n rewrite name red.test blue.test",
    "rewrite rcode sick.test SERVFAIL NOERROR\n rewrite rcode suffix .test 3 REFUSED",
    "rewrite rcode regex (.*)\\.test 2 0",
    "rewrite cname exact app.cdn.test. app.new.test.",
    "rewrite cname suffix .cdn.test. .new.test.",
    "rewrite cname prefix app. none.",
    "rewrite cname substring cdn new",
    "rewrite cname regex (.*).cdn.test. {1}.new.test.",
    "rewrite name regex ^(red)\\.test\\.$ {1}..bad",
    "rewrite name substring test. a-label-that-is-longer-than-sixty-three-characters-is-no-label-at-all.",
];

/// The Corefile around rules.
fn corefile(port: u16, rules: &str, upstream: &Upstream) -> String {
    format!(
        ".:{port} {{\n bind 127.0.0.1\n {rules}\n hosts none {{\n 10.0.0.1 hosts.blue.test\n fallthrough\n }}\n forward . {}\n}}\n",
        upstream.addr()
    )
}

#[test]
fn coredns_rewrites_the_same() {
    let upstream = Upstream::start(LINES);
    let mut differences = Vec::new();
    for rules in RULES {
        let Some((_theirs, theirs)) = CoreDns::start(|port| corefile(port, rules, &upstream)) else { return };
        let ours = start(&corefile(0, rules, &upstream));
        for (name, rtype) in QUESTIONS {
            let said = |server| {
                let reply = exchange(server, &query(name, *rtype)).map(|(reply, _)| reply);
                // Neither sorts what an upstream said.
                let mut parts: Vec<String> = reply
                    .map(|reply| show(&reply))
                    .unwrap_or_default()
                    .split(" | ")
                    .map(str::to_owned)
                    .collect();
                parts[1..].sort();
                parts.join(" | ")
            };
            // Where the new target has no data we say for how long, CoreDNS does not (rule S-11).
            if rules.contains("cname") && *name == "gone.test." {
                continue;
            }
            let (ours, theirs) = (said(ours.addresses()[0]), said(theirs));
            if ours != theirs {
                differences
                    .push(format!("{rules}\n  {name} {rtype}\n    ours   {ours}\n    theirs {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A rule that CoreDNS reads too.
fn any_rule(rng: &mut fastrand::Rng) -> String {
    let mut one = |of: &[&str]| of[rng.usize(..of.len())].to_owned();
    let mode = one(&["", "", "continue ", "continue ", "stop "]);
    let part = |one: &mut dyn FnMut(&[&str]) -> String| {
        one(&[
            "red",
            "blue",
            "red.test",
            "blue.test",
            "test",
            "other.test",
            "to",
            "mail.blue",
            "x",
            ".test",
            ".blue.test.",
        ])
    };
    // A name that is none is an error of ours when the Corefile is read.
    let whole = |one: &mut dyn FnMut(&[&str]) -> String| {
        one(&["red.test", "blue.test", "other.test", "mail.blue.test", "x", "old.test"])
    };
    let answer = match one(&["", "", "auto", "auto", "value", "both"]).as_str() {
        "auto" => " answer auto".to_owned(),
        "value" => format!(
            " answer value (.*)\\.{}\\. {{1}}.{}.",
            one(&["blue.test", "test"]),
            one(&["green.test", "x"])
        ),
        "both" => format!(
            " answer name (.*)\\.test {{1}}.{} value (.*)blue(.*) {{1}}{}{{2}}",
            one(&["tset", "test", "a.b"]),
            one(&["yellow", "b", "blue.blue"])
        ),
        _ => String::new(),
    };
    let field = match one(&["name", "name", "name", "name", "ttl", "rcode", "type", "cname"]).as_str() {
        "ttl" => format!(
            "ttl {} {} {}",
            one(&["suffix", "prefix", "substring"]),
            part(&mut one),
            one(&["5", "10-100", "-7", "400-"])
        ),
        "rcode" => {
            format!("rcode suffix {} {} {}", part(&mut one), one(&["3", "NOERROR"]), one(&["REFUSED", "0"]))
        }
        "type" => format!("type {} {}", one(&["A", "AAAA", "MX", "HINFO"]), one(&["A", "AAAA", "TXT"])),
        "cname" => format!(
            "cname suffix {} {}",
            one(&[".cdn.test.", "blue.test.", "other.test."]),
            one(&[".new.test.", "far.test.", ".blue.test."])
        ),
        _ => match one(&["exact", "suffix", "prefix", "substring", "regex"]).as_str() {
            "regex" => format!(
                "name regex {} {}{answer}",
                one(&["(.*)red(.*)", "^(.*)\\.(.*)\\.test\\.$", "(red|blue)\\.(test)"]),
                one(&["{1}blue{2}", "{2}.{1}.test", "{1}.test"])
            ),
            "exact" => format!("name exact {} {}{answer}", whole(&mut one), whole(&mut one)),
            way => format!("name {way} {} {}{answer}", part(&mut one), part(&mut one)),
        },
    };
    format!("rewrite {mode}{field}")
}

#[test]
fn coredns_rewrites_the_same_by_chance() {
    let upstream = Upstream::start(LINES);
    let seed = std::env::var("REWRITE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let rounds = std::env::var("REWRITE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut differences, mut asked) = (Vec::new(), 0_usize);
    for _ in 0..rounds {
        let count = rng.usize(1..4);
        let rules: Vec<String> = (0..count).map(|_| any_rule(&mut rng)).collect();
        let rules = rules.join("\n ");
        let Some((_theirs, theirs)) = CoreDns::start(|port| corefile(port, &rules, &upstream)) else {
            return;
        };
        let ours = start(&corefile(0, &rules, &upstream));
        for (name, rtype) in QUESTIONS {
            let said = |server: std::net::SocketAddr, wait: u64| {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(std::time::Duration::from_millis(wait))).unwrap();
                let message = query(name, *rtype);
                socket.send_to(&message.to_vec().unwrap(), server).unwrap();
                let mut reply = [0; 4096];
                let length = socket.recv(&mut reply).ok()?;
                let reply = Message::from_vec(&reply[..length]).unwrap();
                let mut parts: Vec<String> = show(&reply).split(" | ").map(str::to_owned).collect();
                parts[1..].sort();
                Some((reply.queries == message.queries, parts.join(" | ")))
            };
            let (ours, theirs) = (said(ours.addresses()[0], 8000), said(theirs, 700));
            let ours = ours.unwrap_or_else(|| panic!("{rules}: {name} {rtype} has no reply"));
            assert!(ours.0, "{rules}: {name} {rtype} has another question");
            // Where a name in the answer becomes none it says nothing, and after a last `continue` without `answer` the
            // question that comes back is the one as rewritten (rule S-11).
            let Some((true, theirs)) = theirs else { continue };
            let ours = ours.1;
            // Where the new target has no data we say for how long.
            if rules.contains("cname") && ours.contains("CNAME") && ours.contains("authority") {
                continue;
            }
            asked += 1;
            if ours != theirs {
                differences
                    .push(format!("{rules}\n  {name} {rtype}\n    ours   {ours}\n    theirs {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} of {asked}\n{}", differences.len(), differences.join("\n"));
}

/// Starts a server with these rules.
fn world(rules: &str) -> (Upstream, signpost::app::Running) {
    let upstream = Upstream::start(LINES);
    let running = start(&corefile(0, rules, &upstream));
    (upstream, running)
}

#[test]
fn the_answer_is_in_the_letters_of_the_client() {
    let (_upstream, running) = world("rewrite name red.test blue.test");
    let server = running.addresses()[0];
    assert_eq!(ask(server, "ReD.tESt.", A), "NoError | ReD.tESt. 300 A 192.0.2.1");
    assert_eq!(ask(server, "ReD.test.", MX), "NoError | ReD.test. 300 MX 10 mail.ReD.test.");
}

#[test]
fn a_target_that_cannot_be_looked_up_makes_the_whole_reply_a_failure() {
    let (_upstream, running) = world("rewrite cname exact app.cdn.test sick.test");
    let server = running.addresses()[0];
    assert_eq!(ask(server, "old.test.", A), "ServFail");
    // Other aliases are as they were.
    assert!(ask(server, "web.blue.test.", A).ends_with("| blue.test. 300 A 192.0.2.1"));
}

#[test]
fn a_target_without_data_is_denied_by_who_knows_it() {
    let (_upstream, running) = world("rewrite cname exact none.cdn.test none.new.test");
    assert_eq!(
        ask(running.addresses()[0], "gone.test.", A),
        "NoError | gone.test. 200 CNAME none.new.test. | authority test. 60 SOA ns.test. hostmaster.test. 1 2 3 4 60"
    );
}

#[test]
fn targets_that_lead_to_each_other_end() {
    let (_upstream, running) = world("rewrite cname regex (.*)\\.cdn\\.test old.test");
    for name in ["old.test.", "gone.test."] {
        assert_eq!(ask(running.addresses()[0], name, A), "ServFail");
    }
    let (_upstream, running) =
        world("rewrite continue cname middle.test gone.test\n rewrite cname none.cdn.test old.test");
    assert_eq!(ask(running.addresses()[0], "old.test.", A), "ServFail");
}

#[test]
fn rules_of_aliases_are_looked_at_one_after_the_other() {
    let (_upstream, running) = world(
        "rewrite continue name suffix .fresh.test .new.test answer auto\n \
         rewrite continue cname app.new.test red.other.test\n rewrite cname app.cdn.test app.new.test",
    );
    // The last rule first, and the one before sees what it made.
    assert_eq!(
        ask(running.addresses()[0], "old.test.", A),
        "NoError | old.test. 200 CNAME middle.test. | middle.test. 200 CNAME red.other.test. | red.other.test. 20 A 192.0.2.4"
    );
    assert!(ask(running.addresses()[0], "app.fresh.test.", A).contains("app.fresh.test. 100 A 192.0.2."));
}

#[test]
fn what_is_cached_is_the_answer_to_the_question_as_rewritten() {
    let upstream = Upstream::start(LINES);
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n cache\n rewrite name suffix red.test blue.test answer auto\n forward . {}\n}}\n",
        upstream.addr()
    ));
    let server = running.addresses()[0];
    for name in ["red.test.", "blue.test.", "RED.test."] {
        assert_eq!(ask(server, name, A), format!("NoError | {name} 300 A 192.0.2.1"));
        let target = if name == "blue.test." { "mail.blue.test." } else { "mail.red.test." };
        assert!(ask(server, name, MX).ends_with(&format!("300 MX 10 {target}")), "{name}");
    }
    assert_eq!(upstream.queries.lock().len(), 2, "one of each type");
}

#[test]
fn names_that_another_question_leads_to_are_rewritten_too() {
    // dns64 asks the steps behind it again, and `rewrite` is one of them.
    let upstream = Upstream::start("v4.test. 300 A 192.0.2.1\n");
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n dns64 {{\n allow_ipv4\n }}\n rewrite name any.test v4.test\n forward . {}\n}}\n",
        upstream.addr()
    ));
    assert_eq!(
        ask(running.addresses()[0], "any.test.", AAAA),
        "NoError | any.test. 60 AAAA 64:ff9b::c000:201"
    );
}

/// The EDNS options of the last query that an upstream got: code and data.
fn options(upstream: &Upstream) -> Vec<(u16, Vec<u8>)> {
    let queries = upstream.queries.lock();
    let edns = queries.last().unwrap().edns.clone().unwrap();
    let options = edns.options().options.iter();
    options.map(|(code, option)| ((*code).into(), Vec::try_from(option).unwrap_or_default())).collect()
}

#[test]
fn options_go_upstream_as_the_rules_say() {
    let client = |option: Option<EdnsOption>| {
        let mut message = query("blue.test.", A);
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        if let Some(option) = option {
            edns.options_mut().insert(option);
        }
        message.set_edns(edns);
        message
    };
    let own = || Some(EdnsOption::Unknown(0xffee, b"mine".to_vec()));
    for (rules, option, expected) in [
        ("edns0 local set 0xffee abcd", None, vec![(0xffee, b"abcd".to_vec())]),
        ("edns0 local set 65518 0x61626364 revert", own(), vec![(0xffee, b"abcd".to_vec())]),
        ("edns0 local append 0xffee abcd", own(), vec![]),
        ("edns0 local append 0xffee abcd", None, vec![(0xffee, b"abcd".to_vec())]),
        ("edns0 local replace 0xffee abcd", own(), vec![(0xffee, b"abcd".to_vec())]),
        ("edns0 local replace 0xffee abcd", None, vec![]),
        ("edns0 local unset 0xffee", own(), vec![]),
        ("edns0 local set 0xffee {client_ip}", None, vec![(0xffee, vec![127, 0, 0, 1])]),
        ("edns0 local set 0xffee {server_ip}", None, vec![(0xffee, vec![127, 0, 0, 1])]),
        ("edns0 local set 0xffee {qtype}", None, vec![(0xffee, vec![0, 1])]),
        ("edns0 local set 0xffee {qname}", None, vec![(0xffee, b"blue.test.".to_vec())]),
        ("edns0 local set 0xffee {protocol}", None, vec![(0xffee, b"udp".to_vec())]),
        ("edns0 local set 0xffee {forward/upstream}", None, vec![]),
        ("edns0 nsid set", None, vec![(3, vec![])]),
        ("edns0 subnet set 20 56", None, vec![(8, vec![0, 1, 20, 0, 127, 0, 0])]),
        (
            "continue edns0 local set 0xffee a\n rewrite continue edns0 local set 0xffef b\n rewrite edns0 local unset 0xffee",
            None,
            vec![(0xffef, b"b".to_vec())],
        ),
        ("continue edns0 local unset 0xffee\n rewrite edns0 local replace 0xffee a", own(), vec![]),
    ] {
        let (upstream, running) = world(&format!("rewrite {rules}"));
        let (reply, _) = exchange(running.addresses()[0], &client(option)).unwrap();
        assert_eq!(show(&reply), "NoError | blue.test. 300 A 192.0.2.1", "{rules}");
        let back = reply.edns.unwrap().options().options.len();
        assert_eq!((options(&upstream), back), (expected, 0), "{rules}");
    }
}

#[test]
fn questions_of_another_class_become_ones_that_are_answered() {
    let (_upstream, running) = world("rewrite class CH IN\n whoami");
    let server = running.addresses()[0];
    let of_class = |class| {
        let mut message = query("hosts.blue.test.", A);
        message.queries[0].set_query_class(class);
        show(&exchange(server, &message).unwrap().0)
    };
    assert_eq!(of_class(DNSClass::CH), "NoError aa | hosts.blue.test. 3600 A 10.0.0.1");
    assert_eq!(of_class(DNSClass::HS), "Refused");
    assert_eq!(of_class(DNSClass::IN), "NoError aa | hosts.blue.test. 3600 A 10.0.0.1");
}
