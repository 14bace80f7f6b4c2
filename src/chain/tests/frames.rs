//! Questions asked on behalf of others: frames on the slot of one query.

use super::script::{address, first, wait};
use super::*;

/// Asks another question on behalf of the one in hand, with a draft of one address.
fn ask_for(asked: &mut Asked, name: &str) -> Flow {
    let question = Box::new(Question::new(&parse_name(name).unwrap(), rtype::A).unwrap());
    let mut held = asked.draft();
    held.push_address(Section::Answer, crate::wire::Owner::Question, 30, &[192, 0, 2, 100]);
    Flow::Wait(Ask::Question { question, held: Some(held) })
}

/// Answers with what was drafted before and what came.
fn join(answer: Option<Answer>) -> Flow {
    match answer {
        Some(Answer::Reply { reply, question, held }) => {
            let mut sections = held.expect("the draft comes back");
            sections.append_answer(&reply.sections, &question);
            Flow::Reply(Reply::new(reply.head.rcode, sections))
        }
        Some(Answer::Nobody { held }) => {
            Flow::Reply(Reply::new(Rcode::NOERROR, held.expect("the draft comes back")).authoritative())
        }
        other => panic!("{other:?}"),
    }
}

/// A step: `x-y-z` asks for `y-z` and so on; `now` is answered, `wait` waits, `deepN` asks for `deepN-1`, `other` asks for
/// a name of another block, `nowhere` for one of no block, `nothing` for one that no step answers.
fn asks(word: &'static str, diary: &Diary, signal: &Arc<Signal>) -> Box<Scripted> {
    let signal = signal.clone();
    Scripted::new(word, diary, move |asked, answer, context| {
        let name = first(asked);
        if let Some(depth) = name.strip_prefix("deep") {
            let depth: usize = depth.parse().unwrap();
            return match (depth, answer) {
                (0, _) => address(asked, 1),
                (_, None) => ask_for(asked, &format!("deep{}.example.", depth - 1)),
                (_, answer) => join(answer),
            };
        }
        match (&*name, answer) {
            ("now", _) => address(asked, 1),
            ("panic", _) => panic!("scripted"),
            ("drop", _) => Flow::Drop,
            ("wait", None) => wait(&signal, context, 60_000),
            ("wait", Some(Answer::Signalled)) => address(asked, 2),
            ("wait", Some(_)) => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
            ("unanswered", _) => Flow::Next,
            ("missing", _) => Flow::Reply(Reply::code(Rcode::NXDOMAIN)),
            ("for", None) => {
                let target = String::from_utf8_lossy(asked.question.label(1)).into_owned();
                let zone = if target == "nowhere" { "test" } else { "example" };
                ask_for(asked, &format!("{target}.{zone}."))
            }
            ("for", answer) => join(answer),
            (other, answer) => panic!("{other} {answer:?}"),
        }
    })
}

/// Two blocks, `example.` and `org.`, each with a step that is told and one that asks.
fn desk() -> (Desk, Diary, Arc<Signal>) {
    let (diary, signal) = (Diary::default(), Arc::new(Signal::default()));
    let plan = plan(vec![
        ("example", vec![Scripted::pass("ea", &diary) as Box<dyn Step>, asks("eb", &diary, &signal)]),
        ("org", vec![Scripted::pass("oa", &diary), asks("ob", &diary, &signal)]),
    ]);
    (Desk::new(plan, 4), diary, signal)
}

#[test]
fn a_question_on_behalf_of_another_runs_from_the_top_of_its_own_chain() {
    let (mut desk, diary, _) = desk();
    let reply = desk.ask("for.now.org.").reply();
    assert_eq!((code(&reply), reply.answers.len()), (0, 2));
    let owners: Vec<String> = reply.answers.iter().map(|record| record.name.to_ascii()).collect();
    assert_eq!(owners, ["for.now.org.", "now.example."]);
    assert_eq!(reply.queries[0].name().to_ascii(), "for.now.org.");
    assert_eq!(
        diary.take(),
        [
            "oa ask for",
            "ob ask for",
            "ea ask now",
            "eb ask now",
            "ea tell now: NOERROR",
            "ob resume for: NOERROR for now",
            "oa tell for: NOERROR",
        ]
    );
    assert_eq!(desk.counters.queries.read(), 1, "a question of our own is no query");
    desk.check_counters();
}

#[test]
fn the_code_of_the_inner_answer_is_handed_over() {
    let (mut desk, diary, _) = desk();
    assert_eq!(code(&desk.ask("for.missing.org.").reply()), 3);
    assert!(diary.take().contains(&"ob resume for: NXDOMAIN for missing".to_owned()));
}

#[test]
fn a_question_that_no_step_or_no_block_knows_comes_back_as_nobody() {
    let (mut desk, diary, _) = desk();
    for name in ["for.unanswered.org.", "for.nowhere.org."] {
        let reply = desk.ask(name).reply();
        assert_eq!((code(&reply), reply.answers.len()), (0, 1), "{name}: the draft alone (K-144)");
        assert!(diary.take().contains(&"ob resume for: nobody".to_owned()), "{name}");
    }
    desk.check_counters();
}

#[test]
fn an_inner_question_may_wait() {
    let (mut desk, diary, signal) = desk();
    assert!(matches!(desk.ask("for.wait.org."), Got::Waiting));
    assert_eq!(desk.pipeline.waiting(), 1);
    signal.fire();
    let ended = desk.poll(true);
    let [(1, Got::Reply(reply))] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((code(reply), reply.answers.len()), (0, 2));
    assert_eq!(reply.queries[0].name().to_ascii(), "for.wait.org.");
    assert_eq!(
        diary.take()[4..],
        [
            "eb resume wait: signalled",
            "ea tell wait: NOERROR",
            "ob resume for: NOERROR for wait",
            "oa tell for: NOERROR"
        ]
    );
    desk.check_counters();
}

#[test]
fn an_inner_question_shares_the_budget_of_its_query() {
    let (mut desk, _, _) = desk();
    assert!(matches!(desk.ask("for.wait.org."), Got::Waiting));
    assert_eq!(desk.pipeline.next_deadline(), Some(Tick::default().plus(BUDGET)));
    desk.pass(4_000);
    desk.expect(false, &[(1, Rcode::SERVFAIL)]);
    desk.check_counters();
}

#[test]
fn a_full_table_answers_the_client_and_not_the_inner_question() {
    let (mut desk, _, _) = desk();
    for _ in 0..4 {
        assert!(matches!(desk.ask("for.wait.org."), Got::Waiting));
    }
    let reply = desk.ask("for.wait.org.").reply();
    assert_eq!((code(&reply), ede(&reply)), (2, Some(23)));
    assert_eq!(reply.queries[0].name().to_ascii(), "for.wait.org.");
    let next = desk.ask("now.example.").reply();
    assert_eq!((code(&next), next.answers.len()), (0, 1), "nothing of it is left on the desk");
    desk.check_counters();
}

#[test]
fn a_panic_in_an_inner_question_costs_the_whole_query() {
    let (mut desk, _, _) = desk();
    let reply = desk.ask("for.panic.org.").reply();
    assert_eq!((code(&reply), reply.answers.len()), (2, 0));
    assert_eq!(reply.queries[0].name().to_ascii(), "for.panic.org.");
    let next = desk.ask("for.now.org.").reply();
    assert_eq!((code(&next), next.answers.len()), (0, 2));
    desk.check_counters();
}

#[test]
fn an_inner_question_that_is_dropped_drops_the_query() {
    let (mut desk, _, _) = desk();
    assert!(matches!(desk.ask("for.drop.org."), Got::Silence));
    let next = desk.ask("for.now.org.").reply();
    assert_eq!((code(&next), next.answers.len()), (0, 2));
    desk.check_counters();
}

#[test]
fn questions_are_asked_on_behalf_of_others_so_deep_and_no_deeper() {
    assert_eq!(MAX_FRAMES, 11, "ten links and the last (K-133)");
    let (mut desk, diary, _) = desk();
    for (depth, nobody) in [(1, false), (MAX_FRAMES, false), (MAX_FRAMES + 1, true), (40, true)] {
        let reply = desk.ask(&format!("deep{depth}.example.")).reply();
        assert_eq!(code(&reply), 0, "{depth}");
        // Each level adds its own draft, the innermost its answer or nothing.
        let levels = depth.min(MAX_FRAMES + usize::from(nobody));
        assert_eq!(reply.answers.len(), levels + usize::from(!nobody), "{depth}");
        let lines = diary.take();
        assert_eq!(lines.iter().any(|line| line.ends_with("nobody")), nobody, "{depth}");
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("eb ask")).count(),
            depth.min(MAX_FRAMES) + 1,
            "{depth}: questions asked"
        );
    }
    desk.check_counters();
}
