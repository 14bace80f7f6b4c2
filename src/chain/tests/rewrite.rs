//! `rewrite` over any names and any rules.

use proptest::prelude::*;

use super::script::address;
use super::*;
use crate::chain::build::{BuildOptions, build};
use crate::corefile::NoImports;
use crate::wire::{NameText, Owner, show_name};

/// The plan of a Corefile with a step behind its own ones; `None` where it can't be served.
pub(super) fn built(text: &str, last: Box<dyn Step>) -> Option<Arc<Plan>> {
    let spec = crate::corefile::parse("Corefile", text, &NoImports).ok()?;
    let mut plan = build(&spec, BuildOptions { port: 53 }, &mut Bare).ok()?.plan;
    let chain = plan.chains.first_mut()?;
    let mut steps = std::mem::take(&mut chain.steps);
    steps.push(last);
    *chain = Chain::new(steps, vec![Zone::parse(".").ok()?], Vec::new(), false);
    Some(Arc::new(plan))
}

/// A step that answers with records of every type that holds names, all of them about the question.
fn talkative() -> Box<dyn Step> {
    Scripted::new("whoami", &Diary::default(), |asked, _, _| {
        let mut sections = asked.draft();
        let name = asked.question.typed().to_vec();
        for (rtype, front) in [
            (rtype::CNAME, &b""[..]),
            (rtype::NS, b""),
            (rtype::MX, b"\x00\x0a"),
            (rtype::SRV, b"\x00\x01\x00\x02\x00\x03"),
            (rtype::NAPTR, b"\x00\x01\x00\x02\x01u\x01x\x00"),
        ] {
            sections.push(Section::Answer, Owner::Question, rtype, 30, |rdata| {
                rdata.bytes(front);
                rdata.bytes(&name);
            });
        }
        sections.push(Section::Authority, Owner::Suffix(0), rtype::SOA, 30, |rdata| {
            rdata.bytes(&name);
            rdata.bytes(&[0; 21]);
        });
        sections.push_address(Section::Additional, Owner::Target(0), 30, &[192, 0, 2, 1]);
        Flow::Reply(Reply::new(Rcode::NOERROR, sections))
    })
}

/// Any name: of any bytes, or of a few letters, so that rules meet it.
pub(super) fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..12),
        prop::collection::vec(prop::sample::select(&b"aAb-."[..]), 1..4),
    ];
    prop::collection::vec(label, 0..6).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend_from_slice(&label);
        }
        wire.push(0);
        wire
    })
}

/// Any words that may follow `rewrite`, nearly rules or rules.
fn any_rule() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "a", "b", "a.", ".a", ".b.", "a.b", "A", "aa", "(.*)", "(a)(b)?", "{1}", "{0}.b", "x{1}.{2}", "answer",
            "auto", "name", "value", "exact", "prefix", "suffix", "substring", "regex", "ttl", "5-", "rcode", "NOERROR",
            "REFUSED", "cname", "type", "A", "AAAA", "class", "edns0", "local", "set", "0xffee", "{qname}", "continue",
            "stop",
        ])
        .prop_map(str::to_owned),
        1 => "[ -~&&[^\"{}\\\\#$]]{1,8}",
    ];
    let shape = prop::sample::select(vec![
        "name",
        "name prefix",
        "name suffix",
        "name substring",
        "name regex",
        "continue name regex",
        "continue name suffix",
        "cname regex",
        "ttl regex",
        "",
    ]);
    (shape, prop::collection::vec(word, 0..6))
        .prop_map(|(shape, words)| format!("{shape} {}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_rules_the_reply_is_to_the_question_that_was_asked(
        rules in prop::collection::vec(any_rule(), 1..4),
        names in prop::collection::vec(any_name(), 1..6),
    ) {
        let lines: String = rules.iter().map(|rule| format!("    rewrite {rule}\n")).collect();
        let Some(plan) = built(&format!(". {{\n{lines}    debug\n}}\n"), talkative()) else { return Ok(()) };
        // The step behind is the one that answers.
        let mut desk = Desk::new(plan, 4);
        for name in names {
            let mut bytes = query(1, ".", rtype::A, false);
            bytes.splice(12..13, name.iter().copied());
            let reply = desk.bytes(&bytes).reply();
            prop_assert_eq!(desk.counters.panics.read(), 0);
            let asked = reply.queries.first().unwrap();
            let mut spelled = Vec::new();
            for label in asked.name().iter() {
                spelled.push(u8::try_from(label.len()).unwrap());
                spelled.extend_from_slice(label);
            }
            spelled.push(0);
            prop_assert_eq!(show_name(&spelled), show_name(&name));
        }
    }

    #[test]
    fn what_an_automatic_rule_changes_it_changes_back(name in any_name()) {
        for rule in ["name suffix .a. .bb.", "name prefix a. b.", "name substring a. bbb.", "name regex (.*)\\.a\\. {1}.x."] {
            let text = format!(". {{\n    rewrite {rule} answer auto\n    debug\n}}\n");
            let answers = Scripted::new("whoami", &Diary::default(), |asked, _, _| address(asked, 1));
            let mut desk = Desk::new(built(&text, answers).unwrap(), 4);
            let mut bytes = query(1, ".", rtype::A, false);
            bytes.splice(12..13, name.iter().copied());
            let reply = desk.bytes(&bytes).reply();
            for record in &reply.answers {
                prop_assert_eq!(record.name.to_lowercase(), reply.queries[0].name().to_lowercase());
            }
        }
    }

    #[test]
    fn texts_of_names_are_read_as_the_same_name(name in any_name()) {
        let text = NameText::new(&name);
        prop_assert_eq!(parse_name(text.as_str()), Some(name));
    }
}
