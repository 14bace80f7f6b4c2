//! Replies that are made of two: a step on their way up has the steps behind it asked for another type.

use super::script::{address, first};
use super::*;

/// A step that wants AAAA too where A was asked, and says in TTLs what it got.
struct Joiner(Diary);

impl Step for Joiner {
    fn word(&self) -> &'static str {
        "joiner"
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        self.0.write(format!("joiner ask {}", first(asked)));
        Flow::Next
    }

    fn asks_more(&self) -> bool {
        true
    }

    fn also(&self, asked: &Asked, reply: &Reply) -> Option<u16> {
        (asked.question.qtype == rtype::A && reply.head.rcode == Rcode::NOERROR).then_some(rtype::AAAA)
    }

    fn join(&self, asked: &mut Asked, first: Reply, second: Reply, server: &str) -> Reply {
        self.0.write(format!(
            "joiner join {} {} type {} at `{server}`",
            first.head.rcode.text(),
            second.head.rcode.text(),
            asked.question.qtype
        ));
        asked.reclaim(first.sections);
        second
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        self.0.write(format!("joiner tell {}: {}", first(asked), reply.head.rcode.text()));
    }
}

/// A chain: a step that passes, the joiner, one that passes, one that answers A and does with AAAA what the name says.
fn world(diary: &Diary, signal: &Arc<Signal>) -> Arc<Plan> {
    let signal = signal.clone();
    one_chain(vec![
        Scripted::pass("metadata", diary),
        Box::new(Joiner(diary.clone())),
        Scripted::pass("loadbalance", diary),
        Scripted::new("whoami", diary, move |asked, answer, context| {
            match (asked.question.qtype, &*first(asked)) {
                (rtype::A, "none") => Flow::Reply(Reply::code(Rcode::NXDOMAIN)),
                (rtype::A, _) => address(asked, 1),
                (_, "wait") if answer.is_none() => super::script::wait(&signal, context, 1000),
                (_, "drop") => Flow::Drop,
                (_, "panic") => panic!("scripted"),
                (_, "nobody") => Flow::Next,
                _ => address(asked, 2),
            }
        }),
    ])
}

#[test]
fn the_steps_behind_are_asked_and_told_twice_those_above_once() {
    let diary = Diary::default();
    let mut desk = Desk::new(world(&diary, &Arc::default()), 4);
    let reply = desk.ask("plain.test.").reply();
    assert_eq!(reply.answers[0].data.to_string(), "192.0.2.2");
    assert_eq!(reply.queries[0].query_type(), hickory_proto::rr::RecordType::A);
    assert_eq!(
        diary.take(),
        [
            "metadata ask plain",
            "joiner ask plain",
            "loadbalance ask plain",
            "whoami ask plain",
            "loadbalance tell plain: NOERROR",
            "loadbalance ask plain",
            "whoami ask plain",
            "loadbalance tell plain: NOERROR",
            "joiner join NOERROR NOERROR type 1 at ``",
            "metadata tell plain: NOERROR",
        ]
    );
    // Where nothing is wanted the step is told like any other.
    assert_eq!(code(&desk.ask("none.test.").reply()), 3);
    let seen = diary.take();
    assert!(seen.contains(&"joiner tell none: NXDOMAIN".to_owned()), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("join ")), "{seen:?}");
}

#[test]
fn the_other_question_may_wait_fail_or_be_dropped() {
    let (diary, signal) = (Diary::default(), Arc::new(Signal::default()));
    let mut desk = Desk::new(world(&diary, &signal), 4);
    assert!(matches!(desk.ask("wait.test."), Got::Waiting));
    assert!(matches!(desk.ask("drop.test."), Got::Silence));
    assert_eq!(code(&desk.ask("panic.test.").reply()), 2);
    assert_eq!(code(&desk.ask("nobody.test.").reply()), 2);
    assert!(matches!(desk.ask("wait.test."), Got::Waiting));
    desk.pass(999);
    signal.fire();
    desk.expect(true, &[(1, Rcode::NOERROR), (5, Rcode::NOERROR)]);
    desk.check_counters();
    let joins = diary.take().into_iter().filter(|line| line.starts_with("joiner join"));
    assert_eq!(
        joins.collect::<Vec<_>>(),
        [
            "joiner join NOERROR SERVFAIL type 1 at ``",
            "joiner join NOERROR NOERROR type 1 at ``",
            "joiner join NOERROR NOERROR type 1 at ``"
        ]
    );
}
