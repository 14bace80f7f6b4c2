//! The room as a whole: the dialect, keys and zones, arguments, limits, and text that is none.

use std::fs;
use std::time::Duration;

use super::glob::Glob;
use super::*;

/// A source with a few variables and no files.
struct Variables;

impl Source for Variables {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "B" => Some("{$A} {%A%}".to_owned()),
            "BRACE" => Some("{".to_owned()),
            "SLASH" => Some("a b\\".to_owned()),
            "GROW" => Some("{$GROW}{$GROW}".to_owned()),
            _ => None,
        }
    }

    fn files(&self, pattern: &str, _from: &str) -> Result<Vec<(String, String)>, ImportFault> {
        match pattern {
            "two" => Ok(vec![("x".into(), "import three".into()), ("y".into(), "import three".into())]),
            "three" => Ok(vec![("three".into(), "log".into())]),
            "self" => Ok(vec![("self".into(), "import self".into())]),
            _ => Ok(Vec::new()),
        }
    }

    fn dns_port(&self) -> u16 {
        1053
    }
}

/// The configuration of a text that is right.
fn good(text: &str) -> Spec {
    parse("Corefile", text, &Variables).unwrap_or_else(|error| panic!("{}", error.render()))
}

/// The one-line message of a text that is wrong.
fn bad(text: &str) -> String {
    parse("Corefile", text, &Variables).expect_err("this text is wrong").to_string()
}

/// The first line of the first block.
fn line(text: &str) -> Directive {
    let spec = good(&format!(". {{\n{text}\n}}\n"));
    spec.blocks.first().and_then(|block| block.directives.first()).expect("there is a line").clone()
}

/// The words of a line.
fn words(text: &str) -> Vec<String> {
    let line = line(text);
    std::iter::once(line.word).chain(line.args).map(|token| token.text).collect()
}

/// The zones of a text, as text.
fn names(text: &str) -> Vec<String> {
    zones(text).expect("this is a zone").iter().map(Zone::to_string).collect()
}

#[test]
fn tokens_are_cut_as_coredns_cuts_them() {
    assert_eq!(words("a b\tc # d"), ["a", "b", "c"]);
    assert_eq!(words("a b#c d"), ["a", "b"]);
    assert_eq!(words(r#"a "b c" "" d"e"#), ["a", "b c", "", "d\"e"]);
    assert_eq!(words(r#"a "b\"c" "d\e" "f\\""#), ["a", "b\"c", "d\\e", "f\\\\"]);
    assert_eq!(words("a \"b\nc\" d"), ["a", "b\nc", "d"]);
    assert_eq!(words("a \"b\"c"), ["a", "b", "c"]);
    assert_eq!(words("a b \\\r"), ["a", "b", "\\"]);
    assert_eq!(words("a\u{a0}b\u{2003}c"), ["a", "b", "c"]);
}

#[test]
fn variables_are_replaced_within_tokens_and_only_there() {
    assert_eq!(words("a x{$A}y {%A%}{$A} \"{$B}\""), ["a", "xalphay", "alphaalpha", "alpha alpha"]);
    assert_eq!(words("a {$B} {$BRACE}"), ["a", "alpha alpha", "{"]);
    assert_eq!(words("a {$} {%%} {$A {%A}"), ["a", "{$}", "{%%}", "{$A", "{%A}"]);
    assert_eq!(words("a {$NONE}"), ["a", ""]);
    assert!(bad(". {\na {$GROW}\n}").contains("cannot be replaced"));
    let spec = good(". {\na {$NONE}\n}");
    let warnings: Vec<String> = spec.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        ["Corefile:2:3: the environment variable `NONE` is not set and was replaced by nothing"]
    );
}

#[test]
fn a_backslash_that_cannot_be_written_is_written_doubled() {
    let printed = print(&good(". {\na {$SLASH}\n}"));
    assert!(printed.contains(r#"a "a b\\""#), "{printed}");
    assert_eq!(print(&good(&printed)), printed);
}

#[test]
fn every_token_knows_its_place() {
    let spec = good("\u{feff}. {\r\n\tlog  \"ü x\" yz\r\n}\r\n");
    let line = &spec.blocks[0].directives[0];
    let place = |token: &Token| (token.at.to_string(), token.at.width());
    assert_eq!(place(&line.word), ("Corefile:2:2".to_owned(), 3));
    assert_eq!(place(&line.args[0]), ("Corefile:2:7".to_owned(), 5));
    assert_eq!(place(&line.args[1]), ("Corefile:2:13".to_owned(), 2));
    assert_eq!(line.word.at.line_text(), "\tlog  \"ü x\" yz");
    let spec = good("a.example,b.example , tls://c.example:853 {\n}");
    let keys: Vec<String> =
        spec.blocks[0].keys.iter().map(|key| format!("{} {}", key.at, key.text)).collect();
    assert_eq!(
        keys,
        ["Corefile:1:1 a.example", "Corefile:1:11 b.example", "Corefile:1:23 tls://c.example:853"]
    );
}

#[test]
fn imports_beside_each_other_may_share_a_file_and_circles_are_found() {
    let spec = good(". {\n    import two\n    import none*\n}");
    assert_eq!(spec.blocks[0].directives.len(), 2);
    assert_eq!(spec.files, ["Corefile", "x", "y", "three"]);
    assert_eq!(spec.warnings[0].to_string(), "Corefile:3:12: no file matches the import `none*`");
    assert_eq!(spec.blocks[0].directives[0].word.at.imported_at().map(Location::file), Some("x"));
    assert_eq!(bad("import self"), "self:1:8: `self` imports itself");
}

#[test]
fn an_argument_named_import_is_a_word() {
    assert_eq!(words("basic / import password"), ["basic", "/", "import", "password"]);
}

#[test]
fn a_port_of_plain_dns_that_is_not_written_is_the_sources() {
    assert!(parse("Corefile", ". {\n}\n.:53 {\n}", &NoImports).is_err());
    assert_eq!(good(". {\n}\n.:53 {\n}\ntls://. {\n}").blocks.len(), 3);
    assert!(bad(". {\n}\n.:1053 {\n}").contains("port 1053"));
    assert_eq!(good(".:0 {\n}\n.:0 {\n}").blocks.len(), 2);
}

#[test]
fn an_address_as_a_key_is_a_name_and_a_warning() {
    let spec = good("10.0.0.1:53 {\n}");
    assert_eq!(spec.blocks[0].keys[0].zones[0].text(), "10.0.0.1.");
    assert!(matches!(spec.warnings[0].notice, Notice::AddressAsName { .. }));
}

#[test]
fn networks_become_the_zones_of_the_next_longer_octet_or_nibble() {
    assert_eq!(names("10.0.0.0/8"), ["10.in-addr.arpa."]);
    assert_eq!(names("10.96.0.0/16:53"), ["96.10.in-addr.arpa."]);
    assert_eq!(names("192.168.1.1/23"), ["0.168.192.in-addr.arpa.", "1.168.192.in-addr.arpa."]);
    assert_eq!(names("192.0.2.1/32"), ["1.2.0.192.in-addr.arpa."]);
    assert_eq!(names("192.0.2.8/30").last().map(String::as_str), Some("11.2.0.192.in-addr.arpa."));
    assert_eq!(names("0.0.0.0/0"), ["in-addr.arpa."]);
    assert_eq!(names("0.0.0.0/1").len(), 128);
    let sixteen = names("10.244.0.0/20");
    assert_eq!(sixteen.len(), 16);
    assert_eq!(sixteen.last().map(String::as_str), Some("15.244.10.in-addr.arpa."));
    assert_eq!(names("2001:db8::/31"), ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]);
    assert_eq!(names("2001:DB8::/29").len(), 8);
    assert_eq!(names("::/0"), ["ip6.arpa."]);
    assert_eq!(zones("2001:db8::1/128").expect("a host")[0].labels(), 34);
    assert_eq!(names("0/25.2.0.192.in-addr.arpa"), ["0/25.2.0.192.in-addr.arpa."]);
}

#[test]
fn names_are_lower_case_absolute_and_within_bounds() {
    let zone = Zone::parse("Cluster.LOCAL").expect("a name");
    assert_eq!(
        (zone.text(), zone.wire(), zone.labels()),
        ("cluster.local.", &b"\x07cluster\x05local\0"[..], 2)
    );
    let root = Zone::parse(".").expect("the root");
    assert_eq!((root.text(), root.wire(), root.labels(), root.is_root()), (".", &[0][..], 0, true));
    let odd = Zone::parse("a\\.b\\065\\000.ü").expect("a name");
    assert_eq!(odd.wire(), b"\x05a.ba\0\x02\xc3\xbc\0");
    assert_eq!(odd.text(), "a\\.ba\\000.\\195\\188.");
    assert_eq!(Zone::parse(odd.text()), Ok(odd));
    assert!(Zone::parse("1.10.in-addr.arpa").expect("a name").is_reverse());
    assert!(Zone::parse("IP6.arpa.").expect("a name").is_reverse());
    assert!(!Zone::parse("arpa").expect("a name").is_reverse());
    let label = "a".repeat(63);
    let long = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(Zone::parse(&long).map(|zone| zone.wire().len()), Ok(255));
    assert_eq!(Zone::parse(&format!("{long}a")), Err(ZoneFault::NameTooLong));
    for (text, fault) in [
        ("", ZoneFault::Empty),
        ("..", ZoneFault::EmptyLabel),
        ("a..", ZoneFault::EmptyLabel),
        ("a\\", ZoneFault::Escape),
        ("a\\25", ZoneFault::Escape),
        ("a\\256", ZoneFault::Escape),
        ("a\tb", ZoneFault::Character { character: '\t' }),
    ] {
        assert_eq!(Zone::parse(text), Err(fault), "{text}");
    }
}

#[test]
fn durations_are_read_as_go_reads_them() {
    for (text, nanos) in [
        ("0", 0),
        ("+0", 0),
        ("5s", 5_000_000_000),
        ("1m30s", 90_000_000_000),
        ("250ms", 250_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("3us", 3_000),
        ("3µs", 3_000),
        ("7ns", 7),
        ("0.000000001s", 1),
    ] {
        assert_eq!(
            line(&format!("a {text}")).args[0].duration().ok(),
            Some(Duration::from_nanos(nanos)),
            "{text}"
        );
    }
    for text in ["5", "s", "-5s", "1d", "1 s", "1..5s", "99999999999h", "1e3s", "\"\"", "5S", "00"] {
        assert!(line(&format!("a \"{}\"", text.trim_matches('"'))).args[0].duration().is_err(), "{text}");
    }
    let error = line("a 30").args[0].duration().expect_err("no unit");
    assert!(
        error.render().ends_with("= hint: the unit is missing: write `30s` for seconds"),
        "{}",
        error.render()
    );
}

#[test]
fn directives_complain_at_the_right_token() {
    let line = line("health one two {\n    lameduck 5s\n}");
    let message = |error: Error| error.to_string();
    assert_eq!(line.expect_args(1..=2).map(<[Token]>::len).ok(), Some(2));
    assert_eq!(
        line.expect_args(0..=1).map_err(message),
        Err("Corefile:2:12: `health` takes at most 1 argument, not 2".into())
    );
    assert_eq!(
        line.expect_args(3..=usize::MAX).map_err(message),
        Err("Corefile:2:1: `health` takes at least 3 arguments, not 2".into())
    );
    assert_eq!(
        line.no_block().map_err(message),
        Err("Corefile:3:5: `health` takes no lines in braces".into())
    );
    assert_eq!(message(line.error("it is ill")), "Corefile:2:1: health: it is ill");
    let number = line.args[0].number(1..=65535_u16).map_err(|error| message(error.within(&line)));
    assert_eq!(number, Err("Corefile:2:8: health: `one` is not a number from 1 to 65535".into()));
    assert_eq!(
        line.lines()[0].word.unknown("a property of health", &["lameduk"]).render(),
        "Corefile:3:5: `lameduck` is not a property of health\n  |\n3 |     lameduck 5s\n  |     ^^^^^^^^\n  = hint: did you mean `lameduk`?"
    );
}

#[test]
fn globs_match_whole_names() {
    let fits = |pattern, name| Glob::parse(pattern).is_some_and(|glob| glob.matches(name));
    assert!(fits("*.server", "a.server") && fits("*", "") && fits("a*b*c", "a-b-b-c") && fits("?", "ü"));
    assert!(fits("[a-c]x", "bx") && fits("[^a-c]x", "dx") && fits("[]]", "]") && fits("\\*", "*"));
    assert!(!fits("*.server", "a.servers") && !fits("a*b", "a") && !fits("[a-c]", "d") && !fits("?", ""));
    assert!(Glob::parse("[a").is_none() && Glob::parse("a\\").is_none());
    assert!(!fits(&"*a".repeat(200), &"a".repeat(199)));
}

#[test]
fn the_disk_gives_files_sorted_and_passes_folders_over() {
    let folder = std::env::temp_dir().join(format!("signpost-corefile-{}", std::process::id()));
    fs::create_dir_all(folder.join("custom/..data")).expect("a folder");
    for (name, text) in [("custom/b.server", "b"), ("custom/a.server", "a"), ("custom/c.override", "c")] {
        fs::write(folder.join(name), text).expect("a file");
    }
    fs::write(folder.join("custom/binary"), [0xff]).expect("a file");
    let from = folder.join("Corefile").to_string_lossy().into_owned();
    let texts = |pattern: &str| -> Vec<String> {
        Disk.files(pattern, &from).expect("files").into_iter().map(|(_, text)| text).collect()
    };
    assert_eq!(texts("custom/*.server"), ["a", "b"]);
    assert_eq!(texts("./custom/../cust?m/[a-c].*"), ["a", "b", "c"]);
    assert_eq!(texts("custom/a.server"), ["a"]);
    assert!(texts("nowhere/*").is_empty());
    assert!(matches!(Disk.files("nowhere", &from), Err(ImportFault::NotFound)));
    assert!(matches!(Disk.files("custom", &from), Err(ImportFault::NotAFile { .. })));
    assert!(matches!(Disk.files("custom/binary", &from), Err(ImportFault::NotText { .. })));
    assert!(matches!(Disk.files("custom/[a", &from), Err(ImportFault::BadPattern)));
    assert!(Disk.env("").is_none() && Disk.env("A=B").is_none());
    fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn limits_are_errors() {
    assert!(bad(&" ".repeat(1 << 21)).ends_with("the file is longer than 1048576 bytes"));
    assert!(bad(&"a ".repeat(200_000)).ends_with("more than 100000 words"));
    assert!(bad(&". {\n".repeat(100)).ends_with("nested more than 32 deep"));
    assert!(bad(&"0.0.0.0/1 ".repeat(1000)).contains("more than 100000 zones"));
    assert!(bad(&format!(". {{\na \"{}\"\n}}", "{$A".repeat(30_000))).contains("too long"));
    let mut doubling = "(s0) {\nlog\n}\n".to_owned();
    for n in 1..30 {
        doubling.push_str(&format!("(s{n}) {{\nimport s{0}\nimport s{0}\n}}\n", n - 1));
    }
    assert!(bad(&format!("{doubling}. {{\nimport s29\n}}")).contains("more than 10000 imports"));
}

#[test]
fn no_text_makes_it_panic_and_what_parses_prints_as_a_fixed_point() {
    const PIECES: [&str; 32] = [
        ". ",
        "{",
        "}",
        " {\n",
        "\n}\n",
        "\n",
        "\"",
        "\\",
        "\\\"",
        "#",
        ",",
        "import ",
        "(a)",
        "a",
        "{$A}",
        "{$B}",
        "{%A%}",
        "{$",
        "%}",
        ":53",
        "tls://",
        "10.0.0.0/",
        "15",
        "::/3",
        "\r",
        "\t",
        "\u{feff}",
        "ü",
        "\0",
        "bind x\n",
        "view v\n",
        " ",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    let mut parsed = 0;
    for round in 0..40_000 {
        let mut text = String::new();
        for _ in 0..random(24) {
            if round % 4 == 0 {
                text.extend(char::from_u32(u32::try_from(random(0x250)).unwrap_or(0)));
            } else {
                text.push_str(PIECES[random(PIECES.len())]);
            }
        }
        match parse("Corefile", &text, &Variables) {
            Ok(spec) => {
                parsed += 1;
                let printed = print(&spec);
                let again = parse("Corefile", &printed, &NoImports);
                let again = again.unwrap_or_else(|error| panic!("{text:?}\n{printed}\n{}", error.render()));
                assert_eq!(print(&again), printed, "{text:?}");
            }
            Err(error) => assert!(!error.render().is_empty()),
        }
    }
    assert!(parsed > 1000, "only {parsed} of the texts parsed");
}
