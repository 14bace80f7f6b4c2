//! Search lists: every candidate walks the steps behind, and each of them decides by the candidate's own name (K-255).

use super::script::{address, first, wait};
use super::*;
use crate::chain::autopath::{Autopath, Completions, List};

/// A step above, the list `one.test two.test`, a step that decides who may ask for what, and one that answers.
///
/// What stands in front of the list says what becomes of it: `where-CODE…`, one word for each candidate.
fn world(diary: &Diary, signal: &Arc<Signal>, completions: &Arc<Completions>) -> Arc<Plan> {
    let signal = signal.clone();
    let zone = |text: &str| Zone::parse(text).unwrap();
    let list = List::Fixed(vec![zone("one.test"), zone("two.test")]);
    one_chain(vec![
        Scripted::pass("metadata", diary),
        Box::new(Autopath { zones: vec![zone(".")], list, completions: completions.clone() }),
        // As `acl` does: it knows names, not why they are asked for.
        Scripted::new("minimal", diary, |asked, _, _| match asked.question.label(1) {
            b"two" if first(asked).contains("secret") => Flow::Reply(Reply::code(Rcode::REFUSED)),
            _ => Flow::Next,
        }),
        Scripted::new("whoami", diary, move |asked, answer, context| {
            let what = first(asked);
            let place = match asked.question.label(1) {
                b"one" => 0,
                b"two" => 1,
                _ => 2,
            };
            match what.split('-').nth(place).unwrap_or("nx") {
                "yes" | "secret" => address(asked, u8::try_from(place).unwrap()),
                "nodata" => Flow::Reply(Reply::code(Rcode::NOERROR)),
                "fail" => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
                "wait" if answer.is_none() => wait(&signal, context, 1000),
                "wait" => address(asked, 9),
                "drop" => Flow::Drop,
                "panic" => panic!("scripted"),
                "nobody" => Flow::Next,
                _ => Flow::Reply(Reply::code(Rcode::NXDOMAIN)),
            }
        }),
    ])
}

/// A desk on it.
fn desk(diary: &Diary, signal: &Arc<Signal>, completions: &Arc<Completions>) -> Desk {
    Desk::new(world(diary, signal, completions), 4)
}

/// Code and answers of a reply, a record a word.
fn said(message: &Message) -> String {
    assert!(message.queries[0].name().to_ascii().ends_with(".one.test."), "the question is the client's");
    let records: Vec<String> =
        message.answers.iter().map(|record| format!("{}={}", record.name, record.data)).collect();
    format!("{} {}", code(message), records.join(" ")).trim_end().to_owned()
}

#[test]
fn the_first_candidate_that_is_no_name_error_is_the_reply() {
    let (diary, completions) = (Diary::default(), Arc::new(Completions::default()));
    let mut desk = desk(&diary, &Arc::default(), &completions);
    for (name, want) in [
        ("yes", "0 yes.one.test.=192.0.2.0"),
        ("nx-yes", "0 nx-yes.one.test.=nx-yes.two.test. nx-yes.two.test.=192.0.2.1"),
        ("nx-nx-yes", "0 nx-nx-yes.one.test.=nx-nx-yes. nx-nx-yes.=192.0.2.2"),
        ("nx-fail-yes", "0 nx-fail-yes.one.test.=nx-fail-yes. nx-fail-yes.=192.0.2.2"),
        ("fail-nobody-yes", "0 fail-nobody-yes.one.test.=fail-nobody-yes. fail-nobody-yes.=192.0.2.2"),
        ("nx-nodata-yes", "0"),
        ("nx-nx-nx", "3"),
        ("fail-nx-nx", "2"),
    ] {
        assert_eq!(said(&desk.ask(&format!("{name}.one.test.")).reply()), want, "{name}");
    }
    assert_eq!(completions.all(), [(String::new(), 6)]);
    desk.check_counters();
}

#[test]
fn each_step_behind_decides_by_the_name_of_the_candidate_and_those_above_see_one_query() {
    let diary = Diary::default();
    let mut desk = desk(&diary, &Arc::default(), &Arc::default());
    // The second candidate would have an answer, but nobody may ask for it: the walk goes on.
    let reply = desk.ask("nx-secret-yes.one.test.").reply();
    assert_eq!(said(&reply), "0 nx-secret-yes.one.test.=nx-secret-yes. nx-secret-yes.=192.0.2.2");
    assert_eq!(
        diary.take(),
        [
            "metadata ask nx-secret-yes",
            "minimal ask nx-secret-yes",
            "whoami ask nx-secret-yes",
            "minimal tell nx-secret-yes: NXDOMAIN",
            "minimal ask nx-secret-yes",
            "minimal ask nx-secret-yes",
            "whoami ask nx-secret-yes",
            "minimal tell nx-secret-yes: NOERROR",
            "metadata tell nx-secret-yes: NOERROR",
        ]
    );
    // And what nobody may ask for is not found at all.
    assert_eq!(said(&desk.ask("nx-secret.one.test.").reply()), "3");
}

#[test]
fn a_candidate_may_wait_be_dropped_or_fail_badly() {
    let (diary, signal) = (Diary::default(), Arc::new(Signal::default()));
    let mut desk = desk(&diary, &signal, &Arc::default());
    assert!(matches!(desk.ask("nx-wait.one.test."), Got::Waiting));
    assert!(matches!(desk.ask("nx-drop-yes.one.test."), Got::Silence));
    assert_eq!(code(&desk.ask("nx-panic-yes.one.test.").reply()), 2);
    signal.fire();
    let ended = desk.poll(true);
    assert_eq!(ended.len(), 1);
    let (_, got) = ended.into_iter().next().unwrap();
    assert_eq!(said(&got.reply()), "0 nx-wait.one.test.=nx-wait.two.test. nx-wait.two.test.=192.0.2.9");
    desk.check_counters();
}

#[test]
fn other_names_and_the_first_element_itself_pass() {
    let (diary, completions) = (Diary::default(), Arc::new(Completions::default()));
    let mut desk = desk(&diary, &Arc::default(), &completions);
    assert_eq!(code(&desk.ask("nx-yes.three.test.").reply()), 3);
    assert_eq!(code(&desk.ask("one.test.").reply()), 3);
    assert_eq!(completions.all(), [], "nothing was searched for");
}
