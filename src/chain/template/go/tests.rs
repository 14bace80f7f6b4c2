//! Templates and what Go makes of them.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::chain::expression::{self, Value};
use crate::wire::Header;

/// What is known of the groups in the tests.
fn known() -> Known {
    let variables = vec![
        ("t".to_owned(), expression::Kind::Text),
        ("n".to_owned(), expression::Kind::Number),
        ("b".to_owned(), expression::Kind::Truth),
    ];
    Known { groups: ["0", "1", "2", "a", "b"].map(str::to_owned).to_vec(), matches: 3, variables }
}

/// Reads a template and runs it over a question for `7f-x.example.`, of which `(?P<a>..)-(?P<b>.)` matched the front.
fn run(text: &str) -> Result<String, String> {
    let template = Template::parse(text, &known())?;
    let meta = |label: &str| if label == "view/name" { "inside".to_owned() } else { String::new() };
    let data = Data {
        zone: "example.",
        name: "7f-x.example.",
        regex: "(?P<a>..)-(?P<b>.)",
        matches: vec!["7f-x", "7f", "x"],
        groups: Groups(
            [("0", "7f-x"), ("1", "7f"), ("2", "x"), ("a", "7f"), ("b", "x")]
                .map(|(name, text)| (Cow::Borrowed(name), text))
                .to_vec(),
        ),
        variables: &[Value::Text("x.y".to_owned()), Value::Number(-7), Value::Truth(true)],
        class: "IN",
        rtype: "A",
        remote: "192.0.2.7".to_owned(),
        typed: "7F-x.Example.",
        qtype: 1,
        qclass: 1,
        header: Header { id: 4711, flags: 0x0100 },
        meta: &meta,
    };
    template.run(&data).map_err(|fault| format!("run: {fault}"))
}

#[test]
fn templates_make_what_go_makes() {
    for (text, made) in [
        ("plain", "plain"),
        ("{{ .Var.t }} {{ .Var.n }} {{ len .Var }} {{ if .Var.b }}yes{{ end }}", "x.y -7 3 yes"),
        ("{{ eq .Var.t \"x.y\" }} {{ lt .Var.n 0 }} {{ $.Var.b }}", "true true true"),
        ("", ""),
        (
            "{{ .Name }} {{.Zone}} {{ .Class }} {{.Type }} {{ .Remote }}",
            "7f-x.example. example. IN A 192.0.2.7",
        ),
        ("{{ .Regex }}", "(?P<a>..)-(?P<b>.)"),
        ("{{ .Group.a }}/{{ .Group.b }}/{{ index .Group \"a\" }}/{{ index .Group \"1\" }}", "7f/x/7f/7f"),
        ("{{ index .Match 0 }} {{ index .Match 2 }} {{ len .Match }} {{ .Match }}", "7f-x x 3 [7f-x 7f x]"),
        ("{{ .Group }}", "map[0:7f-x 1:7f 2:x a:7f b:x]"),
        ("10.{{ parseInt .Group.a 16 8 }}", "10.127"),
        ("{{ parseInt \"0x1f\" 0 64 }} {{ parseInt \"077\" 0 0 }} {{ parseInt \"zz\" 36 64 }}", "31 63 1295"),
        ("{{ .Question.Name }} {{ .Question.Qtype }} {{ .Question.Qclass }}", "7F-x.Example. 1 1"),
        (
            "{{ .Message.Id }} {{ .Message.RecursionDesired }} {{ .Message.CheckingDisabled }}",
            "4711 true false",
        ),
        ("{{ (index .Message.Question 0).Name }}", "7F-x.Example."),
        ("{{ .Meta \"view/name\" }}-{{ .Meta \"none/such\" }}.", "inside-."),
        ("{{ \"view/name\" | .Meta | printf \"%q\" }}", "\"inside\""),
        // Trim markers and comments.
        ("a  {{- \"b\" -}}  c", "abc"),
        ("a {{/* nothing */}} b {{- /* nothing */ -}} c", "a  bc"),
        ("{{ 3 -}} x", "3x"),
        ("{{-3}}", "-3"),
        // Controls.
        ("{{ if eq .Type \"A\" }}four{{ else if eq .Type \"AAAA\" }}six{{ else }}none{{ end }}", "four"),
        ("{{ if .Meta \"x/y\" }}a{{ else }}b{{ end }}", "b"),
        ("{{ if and (ne .Class \"CH\") (or false .Group.b) }}x{{ end }}", "x"),
        ("{{ if not .Match }}a{{ else }}b{{ end }}", "b"),
        ("{{ with .Group.a }}{{ . }}{{ $.Zone }}{{ end }}", "7fexample."),
        ("{{ with $x := .Question }}{{ .Qtype }}{{ $x.Name }}{{ end }}", "17F-x.Example."),
        ("{{ with .Meta \"x/y\" }}a{{ else with .Zone }}{{ . }}{{ end }}", "example."),
        ("{{ range .Match }}<{{ . }}>{{ end }}", "<7f-x><7f><x>"),
        ("{{ range $i, $m := .Match }}{{ if $i }},{{ end }}{{ $m }}{{ end }}", "7f-x,7f,x"),
        ("{{ range $n, $g := .Group }}{{ $n }}={{ $g }} {{ end }}", "0=7f-x 1=7f 2=x a=7f b=x "),
        ("{{ range 3 }}{{ . }}{{ else }}none{{ end }}{{ range 0 }}x{{ else }}none{{ end }}", "012none"),
        (
            "{{ range $i := 9 }}{{ if eq $i 2 }}{{ continue }}{{ end }}{{ if gt $i 4 }}{{ break }}{{ end }}{{ $i }}{{ end }}",
            "0134",
        ),
        ("{{ $x := \"a\" }}{{ range .Match }}{{ $x = . }}{{ end }}{{ $x }}", "x"),
        // Functions.
        (
            "{{ printf \"%s-%d %03d|%-5s|%5s|%x %X %o %b %c %t %v %% %.2s\" .Group.a 7 7 \"ab\" \"cd\" 255 \"hi\" 8 5 65 true .Match \"xyz\" }}",
            "7f-7 007|ab   |   cd|ff 6869 10 101 A true [7f-x 7f x] % xy",
        ),
        ("{{ printf \"%#x %+d %.3d\" 255 5 7 }}", "0xff +5 007"),
        ("{{ print 1 2 \"a\" \"b\" 3 true }}", "1 2ab3 true"),
        ("{{ println \"a\" 1 }}", "a 1\n"),
        ("{{ slice .Name 3 4 }}{{ slice .Zone 5 }}", "xle."),
        ("{{ index \"A\" 0 }} {{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ -5 }}", "65 97 16 1000 -5"),
        ("{{ `raw\\n` }}{{ \"\\x41\\u00e4\\101\\t\\\"\" }}", "raw\\nAäA\t\""),
        ("{{ lt 1 2 }}{{ le 2 2 }}{{ gt 1 2 }}{{ ge .Zone \"a\" }}{{ eq 3 1 2 3 }}", "truetruefalsetruetrue"),
        ("{{ .Group.a | printf \"%s.%s\" .Group.b }}", "x.7f"),
    ] {
        assert_eq!(run(text).as_deref(), Ok(made), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_said_when_it_is_read() {
    for (text, said) in [
        ("{{", "an action has no `}}`"),
        ("{{ }}", "nothing stands between `{{` and `}}`"),
        ("{{ notAFunction }}", "there is no function `notAFunction`"),
        ("{{ parseInt }}", "`parseInt` takes a text, its base and a number of bits"),
        (
            "{{ .Grup.d }}",
            "`.` has no part `Grup`; it has Zone, Name, Regex, Match, Group, Var, Class, Type, Message, Question, Remote",
        ),
        ("{{ .Group.d }}", "no `match` has a group `d`"),
        ("{{ index .Group \"d\" }}", "no `match` has a group `d`"),
        ("{{ index .Match 3 }}", "`.Match` has no text 3: no `match` has so many groups"),
        ("{{ .Match[1] }}", "`[` cannot stand in an action"),
        ("{{ .Name.x }}", "a text has no part `x`"),
        ("{{ .Message }}", "a message has no text of its own: name a part of it"),
        ("{{ .Var.x }}", "no `var` is named `x`"),
        ("{{ .Meta }}", "`.Meta` takes one text: the label"),
        ("{{ printf \"%s\" .Meta \"a\" }}", "put `.Meta` and its label in parentheses"),
        ("{{ printf .Name }}", "`printf` takes a format that is written out"),
        ("{{ printf \"%d\" .Name }}", "`%d` of `printf` is not for a text"),
        ("{{ printf \"%s\" }}", "`printf` has no value for `%s`"),
        ("{{ printf \"a\" 1 }}", "`printf` has more values than its format takes"),
        ("{{ printf \"%9999d\" 1 }}", "a width of `printf` is at most 1024"),
        ("{{ if .Name }}", "`if` has no `end`"),
        ("{{ end }}", "`end` ends nothing"),
        ("{{ else }}", "`else` stands outside of `if`, `with` and `range`"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", "`if` has two `else`"),
        ("{{ break }}", "`break` stands outside of `range`"),
        ("{{ define \"x\" }}", "`define` is not supported: write it out"),
        ("{{ html .Name }}", "`html` is not supported"),
        ("{{ $x }}", "`$x` is not declared"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "`$x` is not declared"),
        ("{{ $x := 1 }}{{ $x = \"a\" }}", "`$x` holds a number, and this is a text"),
        ("{{ eq .Name 1 }}", "`eq` takes two texts, numbers or truths, or more"),
        ("{{ or .Name 1 }}", "a value of several kinds has no text of its own: use `if`"),
        ("{{ or }}", "`or` takes at least one value"),
        ("{{ (.Name }}", "a `(` is not closed"),
        ("{{ .Name) }}", "a `)` closes nothing"),
        ("{{ .Name .Zone }}", "only a function can be given arguments"),
        ("{{ 1.5 }}", "numbers with a fraction are not supported"),
        ("{{ \"a }}", "a text in quotes does not end"),
        ("{{ \"\\y\" }}", "`\\y` is no escape"),
        ("{{ range .Name }}{{ end }}", "`range` cannot go through a text"),
        ("{{/* x }}", "a comment does not end"),
        ("{{ nil }}", "`nil` is not supported"),
    ] {
        assert_eq!(run(text).unwrap_err(), said, "{text}");
    }
    let deep = "(".repeat(200);
    assert_eq!(run(&format!("{{{{ {deep} }}}}")).unwrap_err(), "parentheses are nested more than 32 deep");
    let deep = "{{ if true }}".repeat(200);
    assert_eq!(run(&deep).unwrap_err(), "actions are nested more than 32 deep");
}

#[test]
fn what_a_query_brings_may_fail_when_it_runs() {
    for (text, said) in [
        ("{{ parseInt .Group.b 16 8 }}", "run: `parseInt` cannot read `x`"),
        ("{{ parseInt \"100\" 16 8 }}", "run: `parseInt` cannot read `100`"),
        ("{{ parseInt \"+1\" 10 8 }}", "run: `parseInt` cannot read `+1`"),
        ("{{ parseInt \"1\" 37 8 }}", "run: `parseInt` cannot read `1`"),
        ("{{ index .Match (len .Name) }}", "run: there is nothing at place 13"),
        ("{{ slice .Name 5 3 }}", "run: there is nothing at place 3"),
        ("{{ index \"a\" 1 }}", "run: there is nothing at place 1"),
        ("{{ range 1000000 }}x{{ end }}", "run: it makes too much"),
        ("{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}", "run: it makes too much"),
    ] {
        assert_eq!(run(text).unwrap_err(), said, "{text}");
    }
}

/// Nearly templates.
fn any_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "{{", "}}", "{{- ", " -}}", " if ", " else ", " end ", " range ", " with ", " .Name ", " .Match ", " .Group ", ".a ",
            " . ", " $ ", " $x ", " := ", " = ", " | ", "(", ")", ",", " 1 ", " \"%d %s\" ", " printf ", " index ", " len ",
            " slice ", " parseInt ", " eq ", " and ", " not ", " .Question", ".Message", " .Meta ", "/*", "*/", "'a'", "`b`",
            " break ", " continue ", "{{ end }}", "{{ if true }}", "{{ range 3 }}", "{{ range $i, $m := .Match }}", "{{ $m }}",
            "{{ .Name }}", "{{ else }}",
        ])
        .prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_template_panic(text in any_template()) {
        let _ = run(&text);
    }

    #[test]
    fn no_action_makes_a_template_panic(text in any_template()) {
        let _ = run(&format!("{{{{ {text} }}}}"));
    }
}
