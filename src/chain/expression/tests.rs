//! What expressions say of queries, and what is said of expressions that are none.

use super::facts::Facts;
use super::syntax::{Names, read};
use crate::chain::asked::{Asked, Transport};
use crate::chain::plan::{Chain, Listener};
use crate::corefile::Zone;
use crate::wire::{Edns, Header, Question, parse_name};

/// The query of the tests: `Example.COM.` AAAA from 10.1.2.3:4711 over UDP.
fn asked() -> Asked {
    let mut asked = Asked::default();
    asked.client.addr = "10.1.2.3:4711".parse().unwrap();
    asked.client.local = Some("10.0.0.53".parse().unwrap());
    asked.client.size = 41;
    asked.query.header = Header { id: 77, flags: 0x0100 };
    asked.query.edns =
        Some(Edns { udp_size: 1232, dnssec_ok: true, nsid: false, keepalive: false, padding: false });
    asked.question = Question::new(&parse_name("Example.COM.").unwrap(), 28).unwrap();
    asked
}

/// What an expression says of a query.
fn holds_of(text: &str, asked: &Asked) -> Option<bool> {
    let test = read(text, &Names::default()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let listener = Listener {
        scheme: crate::corefile::Transport::Dns,
        entry: crate::chain::Entry::default(),
        addr: "10.0.0.53:1053".parse().unwrap(),
        label: String::new(),
        zones: Vec::new(),
        dropped: None,
        timeouts: Default::default(),
        shed: None,
    };
    let chain = Chain::new(Vec::new(), vec![Zone::parse(".").unwrap()], Vec::new(), false);
    test.holds(&Facts::of(asked, &asked.question, &listener, &chain))
}

#[test]
fn expressions_are_true_or_false_of_a_query() {
    let asked = asked();
    for (text, expected) in [
        ("incidr(client_ip(), '10.0.0.0/8')", true),
        ("incidr(client_ip(), '192.168.0.0/16')", false),
        ("incidr(server_ip(), \"10.0.0.53/32\")", true),
        ("incidr('2001:db8::7', '2001:0DB8::/32')", true),
        ("type() in ['A', 'AAAA']", true),
        ("type() not in ['A', 'AAAA',]", false),
        ("name() matches '^exam.*\\\\.com\\\\.$'", true),
        ("name() matches `^\\w+\\.com\\.$`", true),
        ("name() == 'example.com.'", true),
        ("name() != 'Example.COM.'", true),
        ("(type() == 'A' && name() == 'example.com.') || client_ip() == '10.1.2.3'", true),
        ("type() == 'A' and name() == 'x.' or client_ip() == '10.1.2.3'", true),
        ("type() == 'A' && (name() == 'x.' || client_ip() == '10.1.2.3')", false),
        ("name() startsWith 'exa' && name() endsWith '.com.' && name() contains 'ple'", true),
        ("name() not startsWith 'exa'", false),
        ("hasPrefix(name(), 'exa') && hasSuffix(name(), '.org.')", false),
        ("class() == 'IN' && proto() == 'udp' && port() == '4711' && server_port() == '1053'", true),
        ("client_ip() == '10.1.2.3' && server_ip() == '10.0.0.53'", true),
        ("size() == 41 && bufsize() == 1232 && id() == 77 && opcode() == 0 && do()", true),
        ("do() == true && !false", true),
        ("do() != (size() > 40)", false),
        ("size() in 40..50 && id() in [1, 2, 77]", true),
        ("id() % 2 == 1 && 2 + 3 * 4 == 14 && (2 + 3) * 4 == 20 && -1 < 0 && 0x1F == 3_1", true),
        ("len(name()) == 12 && upper('a') + lower('B') == trim(' Ab ')", true),
        ("size() < 41 || size() <= 40 || size() > 41 || size() >= 42", false),
        ("do() ? type() == 'AAAA' : false", true),
        ("(do() ? 'a' : 'b') == 'b'", false),
        ("metadata('kubernetes/client-namespace') == ''", true),
        ("type() in []", false),
        ("'\\x41\\u0042' == 'AB' && '\\'' == \"'\"", true),
        ("not (type() == 'A')", true),
        ("!do() == false", true),
        ("any(['10.0.0.0/8', '192.168.0.0/16'], incidr(client_ip(), #))", true),
        ("all(['A', 'AAAA'], # endsWith 'A') && none([1, 2], # > 2) && one(1..3, # == 2)", true),
        ("any([], # == 'A') || all([1, 2], # == 1) || one([1, 1], # == 1)", false),
        ("any(['a', 'b'], any([1, 2], # == 2) && # == 'b')", true),
        ("replace(client_ip(), '.', '-') == '10-1-2-3' && int('7') + 1 == 8 && string(7) == '7'", true),
        ("trimSuffix(name(), '.com.') + trimPrefix('x.y', 'x') == 'example.y'", true),
        ("true", true),
    ] {
        assert_eq!(holds_of(text, &asked), Some(expected), "{text}");
    }
}

#[test]
fn what_can_not_be_said_of_a_query_is_no() {
    let asked = asked();
    for text in [
        "incidr(metadata('x/y'), '10.0.0.0/8')",
        "incidr(client_ip(), metadata('x/y'))",
        "id() % (opcode()) == 0",
        "9223372036854775807 + size() > 0",
        "int(name()) == 1",
        "any(1..2000, # == 3000)",
    ] {
        assert_eq!(holds_of(text, &asked), None, "{text}");
    }
    // What decides before is enough.
    assert_eq!(holds_of("do() || id() % opcode() == 0", &asked), Some(true));
}

#[test]
fn over_a_stream_the_size_of_replies_is_that_of_a_message() {
    let mut asked = asked();
    asked.client.transport = Transport::Tcp;
    assert_eq!(holds_of("bufsize() == 65535 && proto() == 'tcp'", &asked), Some(true));
    asked.client.transport = Transport::Udp;
    asked.query.edns = None;
    assert_eq!(holds_of("bufsize() == 512 && !do()", &asked), Some(true));
}

#[test]
fn what_is_wrong_is_said_at_its_place() {
    for (text, at, problem) in [
        ("", 0, "a value is expected here, not the end"),
        ("incidr(client_ip(), '10.0.0.0/99')", 20, "`10.0.0.0/99` is not a network"),
        ("incidr('x', '10.0.0.0/9')", 7, "`x` is not an address"),
        ("incidr(name(), '10.0.0.0/9')", 7, "this is never an address"),
        ("incidr(client_ip())", 0, "`incidr` takes 2 arguments, and here are 1"),
        ("client_ip == '1.2.3.4'", 0, "`client_ip` is no value"),
        ("geoip() == 'DE'", 0, "`geoip` is not a function"),
        ("name('x') == 'x'", 5, "`name()` takes no arguments"),
        ("size()", 0, "an expression must be true or false, and this is a number"),
        ("size() == '41'", 7, "`==` can't stand between a number and a text"),
        ("do() < true", 5, "`<` can't stand between true or false and true or false"),
        ("name() ~ 'x'", 7, "`~` has no meaning here"),
        ("name() = 'x'", 7, "`=` has no meaning here"),
        ("size() / 2 == 1", 7, "`/` has no meaning here"),
        ("1.5 < 2", 0, "`1` does not begin a whole number"),
        ("10.0.0.1 == client_ip()", 0, "`10` does not begin a whole number"),
        ("name() == 'x", 10, "a text in quotes does not end"),
        ("name() == '\\.'", 11, "`\\.` stands for nothing"),
        ("name() matches '('", 15, "the pattern can't be used"),
        ("name() matches name()", 15, "a pattern must be written as a text in quotes"),
        ("type() in ['A', 1]", 10, "a list holds either texts or numbers"),
        ("type() in 'A'", 7, "`in` can't stand between a text and a text"),
        ("do() do()", 5, "`do` can't follow here"),
        ("(do()", 5, "`)` is expected here, not the end"),
        ("not type() == 'A'", 0, "only what is true or false has an opposite, not a text"),
        ("do() ? 1 : 'a'", 7, "both sides of `:` must be of one kind, and these are a number and a text"),
        ("nil == nil", 0, "`nil` is no value"),
        ("# == 'A'", 0, "`#` stands for nothing here"),
        ("any(name(), # == 'A')", 4, "a list is expected here, and this is a text"),
        ("any(['A'], 1)", 11, "a condition is expected here, and this is a number"),
        ("any(['A'])", 9, "`,` is expected here, not `)`"),
        ("any([1], # == 'A')", 11, "`==` can't stand between a number and a text"),
        ("any([1], # == 1) && # == 1", 20, "`#` stands for nothing here"),
        ("group('a') == ''", 0, "`group` has no match to look at here"),
        ("int(do()) == 1", 4, "`int` is for texts and numbers, and this is true or false"),
        ("replace('a', 'b') == ''", 0, "`replace` takes 3 arguments, and here are 2"),
    ] {
        let fault = read(text, &Names::default()).map(|test| format!("{test:?}")).unwrap_err();
        assert_eq!((fault.at, fault.problem.as_str()), (at, problem), "{text}");
    }
    let deep = format!("{}true{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(read(&deep, &Names::default()).unwrap_err().problem, "is nested more than 64 deep");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let bits = [
        "name()",
        "'x'",
        "(",
        ")",
        "[",
        "]",
        ",",
        "&&",
        "or",
        "not",
        "in",
        "1",
        "..",
        "==",
        "matches",
        "\\",
        "é",
        "`",
        "\"",
        "incidr(",
        "?",
        ":",
        "-",
        "%",
        "0x",
        "9999999999999999999",
        "do()",
        " ",
        "'\\u12",
        "len(",
        "any(",
        "#",
        "replace(",
        "int(",
    ];
    let mut rng = fastrand::Rng::with_seed(5);
    let asked = asked();
    for _ in 0..20_000 {
        let text: String = (0..rng.usize(..12)).map(|_| bits[rng.usize(..bits.len())]).collect();
        match read(&text, &Names::default()) {
            Ok(_) => _ = holds_of(&text, &asked),
            Err(fault) => assert!(fault.at <= text.len(), "{text}: {fault:?}"),
        }
    }
}
