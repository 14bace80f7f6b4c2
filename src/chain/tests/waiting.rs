//! Queries that wait: signals, deadlines, the table of waiting queries, plans that change meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::script::{address, first, wait};
use super::*;

/// A step that waits as the name says: `wait` for long, `short` for a second, `again` for a second again and again,
/// `late-…` decides after the wait.
fn waits(diary: &Diary, signal: &Arc<Signal>) -> Box<Scripted> {
    let signal = signal.clone();
    Scripted::new("waits", diary, move |asked, answer, context| match (&*first(asked), answer) {
        ("now", _) => address(asked, 1),
        ("wait" | "late-drop" | "late-panic" | "late-next", None) => wait(&signal, context, 60_000),
        ("short", None) => wait(&signal, context, 1_000),
        ("again", _) => wait(&Arc::default(), context, 1_000),
        ("late-drop", Some(_)) => Flow::Drop,
        ("late-panic", Some(_)) => panic!("scripted"),
        ("late-next", Some(_)) => Flow::Next,
        (_, Some(Answer::Signalled)) => address(asked, 2),
        (_, Some(Answer::TimedOut)) => Flow::Reply(Reply::code(Rcode::NXDOMAIN)),
        (other, answer) => panic!("{other} {answer:?}"),
    })
}

/// A desk with one step that waits, between one that is told and one that answers all.
fn desk(waiting: usize) -> (Desk, Diary, Arc<Signal>) {
    let (diary, signal) = (Diary::default(), Arc::new(Signal::default()));
    let last = Scripted::new("last", &diary, |asked, _, _| address(asked, 3));
    let steps: Steps = vec![Scripted::pass("a", &diary), waits(&diary, &signal), last];
    (Desk::new(one_chain(steps), waiting), diary, signal)
}

#[test]
fn a_query_that_waits_is_answered_when_its_signal_comes() {
    let (mut desk, diary, signal) = desk(4);
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert_eq!((desk.pipeline.waiting(), desk.counters.waited.read()), (1, 1));
    desk.check_counters();
    desk.expect(true, &[]);
    assert_eq!(code(&desk.ask("now.").reply()), 0, "others are answered meanwhile");
    signal.fire();
    desk.expect(false, &[]);
    let ended = desk.poll(true);
    let [(1, Got::Reply(reply))] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(reply.answers.len(), 1);
    assert_eq!(reply.queries[0].name().to_ascii(), "wait.");
    assert!(reply.edns.is_some(), "the client sent EDNS");
    assert_eq!(desk.pipeline.waiting(), 0);
    assert_eq!(
        diary.take(),
        [
            "a ask wait",
            "waits ask wait",
            "a ask now",
            "waits ask now",
            "a tell now: NOERROR",
            "waits resume wait: signalled",
            "a tell wait: NOERROR",
        ]
    );
    desk.expect(true, &[]);
    desk.check_counters();
}

#[test]
fn a_resumed_query_may_go_on_be_dropped_or_panic() {
    let (mut desk, diary, signal) = desk(4);
    for name in ["late-next.", "late-drop.", "late-panic.", "wait."] {
        assert!(matches!(desk.ask(name), Got::Waiting), "{name}");
    }
    signal.fire();
    let mut ended: Vec<(u16, Option<u16>)> = desk
        .poll(true)
        .into_iter()
        .map(|(number, got)| match got {
            Got::Reply(message) => (number, Some(code(&message))),
            Got::Silence => (number, None),
            Got::Waiting => panic!("{number}"),
        })
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, [(1, Some(0)), (2, None), (3, Some(2)), (4, Some(0))]);
    assert_eq!((desk.counters.panics.read(), desk.counters.dropped.read()), (1, 1));
    assert!(diary.take().contains(&"waits tell late-next: NOERROR".to_owned()));
    assert_eq!(code(&desk.ask("now.").reply()), 0);
    desk.check_counters();
}

#[test]
fn a_step_is_resumed_when_its_own_time_is_up() {
    let (mut desk, diary, _) = desk(4);
    assert!(matches!(desk.ask("short."), Got::Waiting));
    assert_eq!(desk.pipeline.next_deadline(), Some(Tick(1_000_000_000)));
    desk.pass(999);
    desk.expect(true, &[]);
    desk.pass(1);
    desk.expect(false, &[(1, Rcode::NXDOMAIN)]);
    assert!(diary.take().contains(&"waits resume short: timed out".to_owned()));
    desk.check_counters();
}

#[test]
fn the_whole_budget_bounds_every_wait() {
    let (mut desk, _, _) = desk(4);
    assert_eq!(BUDGET, Duration::from_secs(4), "below glibc's five seconds (F-03)");
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert_eq!(desk.pipeline.next_deadline(), Some(Tick::default().plus(BUDGET)));
    desk.pass(3_999);
    desk.expect(false, &[]);
    desk.pass(1);
    desk.expect(false, &[(1, Rcode::NXDOMAIN)]);
    desk.check_counters();
}

#[test]
fn a_step_that_waits_again_and_again_is_cut_off_at_the_budget() {
    let (mut desk, diary, _) = desk(4);
    assert!(matches!(desk.ask("again."), Got::Waiting));
    for _ in 0..3 {
        desk.pass(1_000);
        desk.expect(false, &[]);
        assert_eq!(desk.pipeline.waiting(), 1);
        desk.check_counters();
    }
    desk.pass(1_000);
    desk.expect(false, &[(1, Rcode::SERVFAIL)]);
    assert_eq!((desk.pipeline.waiting(), desk.counters.waited.read()), (0, 4));
    let resumed = diary.take().iter().filter(|line| line.contains("resume")).count();
    assert_eq!(resumed, 4);
    desk.pass(60_000);
    desk.expect(true, &[]);
    desk.check_counters();
}

#[test]
fn the_budget_counts_from_the_arrival_and_not_from_the_last_wait() {
    let (mut desk, _, _) = desk(4);
    assert!(matches!(desk.ask("again."), Got::Waiting));
    desk.pass(3_500);
    desk.expect(false, &[]);
    assert_eq!(desk.pipeline.next_deadline(), Some(Tick::default().plus(BUDGET)));
    desk.pass(500);
    desk.expect(false, &[(1, Rcode::SERVFAIL)]);
}

#[test]
fn a_full_table_is_said_and_harms_nobody_who_waits() {
    let (mut desk, _, signal) = desk(2);
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    let reply = desk.ask("wait.").reply();
    assert_eq!((code(&reply), ede(&reply)), (2, Some(23)), "F-06: SERVFAIL with EDE 23");
    assert!(reply.answers.is_empty() && !reply.metadata.authoritative);
    let plain = desk.bytes(&query(4, "wait.", rtype::A, false)).reply();
    assert_eq!((code(&plain), plain.edns.is_none()), (2, true), "no OPT for clients without");
    assert_eq!(desk.counters.table_full.read(), 2);
    assert_eq!(code(&desk.ask("now.").reply()), 0, "what needs no wait is answered");
    desk.check_counters();
    signal.fire();
    desk.expect(true, &[(1, Rcode::NOERROR), (2, Rcode::NOERROR)]);
    // The places are free again. This signal has come, so the next poll answers.
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert_eq!(code(&desk.ask("wait.").reply()), 2);
    desk.expect(true, &[(6, Rcode::NOERROR), (7, Rcode::NOERROR)]);
    desk.check_counters();
}

#[test]
fn an_old_deadline_does_not_meet_a_new_query_in_the_same_place() {
    let (mut desk, _, signal) = desk(1);
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    desk.pass(3_000);
    signal.fire();
    desk.expect(true, &[(1, Rcode::NOERROR)]);
    // The same place, a deadline one second later than the first's.
    assert!(matches!(desk.ask("short."), Got::Waiting));
    desk.pass(999);
    desk.expect(false, &[]);
    assert!(matches!(desk.ask("again."), Got::Reply(_)), "the only place is taken");
    desk.pass(1);
    assert_eq!(desk.poll(false).len(), 1);
    desk.check_counters();
}

#[test]
fn a_table_of_no_places_answers_all_that_need_not_wait() {
    let (mut desk, _, _) = desk(0);
    assert_eq!(code(&desk.ask("wait.").reply()), 2);
    assert_eq!(code(&desk.ask("now.").reply()), 0);
    desk.check_counters();
}

#[test]
fn a_query_ends_on_the_plan_that_it_began_on() {
    let (old, new) = (Diary::default(), Diary::default());
    let signal = Arc::new(Signal::default());
    let first_plan = one_chain(vec![Scripted::pass("old", &old), waits(&old, &signal)]);
    let held = Arc::downgrade(&first_plan);
    let mut desk = Desk::new(first_plan, 4);
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert!(!desk.pipeline.refresh(), "nothing changed yet");
    // The new plan has fewer steps and other ones.
    desk.active.swap(one_chain(vec![Scripted::new("new", &new, |asked, _, _| address(asked, 9))]));
    assert!(desk.pipeline.refresh() && !desk.pipeline.refresh());
    let reply = desk.ask("wait.").reply();
    assert_eq!(reply.answers.len(), 1);
    assert_eq!(new.take(), ["new ask wait"]);
    assert!(held.upgrade().is_some(), "the query that waits holds its plan");
    signal.fire();
    desk.expect(true, &[(1, Rcode::NOERROR)]);
    assert_eq!(
        old.take(),
        ["old ask wait", "waits ask wait", "waits resume wait: signalled", "old tell wait: NOERROR"]
    );
    assert_eq!(new.take(), [""; 0]);
    assert!(held.upgrade().is_none(), "and the plan ends with its last query");
    desk.check_counters();
}

/// Counts wake-ups.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_signal_wakes_a_worker_once_however_many_of_its_queries_wait() {
    let (diary, signal, bell) = (Diary::default(), Arc::new(Signal::default()), Arc::new(Bell::default()));
    let plan = one_chain(vec![waits(&diary, &signal)]);
    let mut desk = Desk::with_waker(plan, 8, Waker::from(bell.clone()));
    for _ in 0..5 {
        assert!(matches!(desk.ask("wait."), Got::Waiting));
    }
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    signal.fire();
    signal.fire();
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(desk.poll(true).len(), 5);
    // A signal that came before somebody waits for it: the worker is woken at once and nothing is lost.
    assert!(matches!(desk.ask("wait."), Got::Waiting));
    assert_eq!(bell.0.load(Ordering::Relaxed), 2);
    desk.expect(true, &[(6, Rcode::NOERROR)]);
}

#[test]
fn a_step_that_asks_to_wait_until_a_moment_that_has_passed_spins_nothing() {
    let (diary, signal) = (Diary::default(), Arc::<Signal>::default());
    let resumed = Arc::new(AtomicUsize::new(0));
    let counted = resumed.clone();
    let plan = one_chain(vec![Scripted::new("past", &diary, move |asked, answer, context| {
        if answer.is_some() && counted.fetch_add(1, Ordering::Relaxed) >= 1_000 {
            return address(asked, 1);
        }
        wait(&signal, context, 0)
    })]);
    let mut desk = Desk::new(plan, 4);
    assert!(matches!(desk.ask("x."), Got::Waiting));
    desk.poll(false);
    // However it is bounded, one look at the clock may not run a query for ever: other queries wait behind it.
    assert!(
        resumed.load(Ordering::Relaxed) <= 16,
        "resumed {} times at one moment",
        resumed.load(Ordering::Relaxed)
    );
}

/// A client of the flood.
const FLOOD: [u8; 4] = [10, 0, 0, 1];

#[test]
fn s52_who_fills_the_table_makes_room_for_others_and_its_oldest_query_goes_first() {
    let (mut desk, _, signal) = desk(64);
    for _ in 0..64 {
        assert!(matches!(desk.ask_from(FLOOD, "wait."), Got::Waiting));
        desk.pass(1);
    }
    // All places are taken: who holds them is refused, and what waits already comes to its end.
    for _ in 0..100 {
        let reply = desk.ask_from(FLOOD, "wait.").reply();
        assert_eq!((code(&reply), ede(&reply)), (2, Some(23)));
    }
    desk.expect(false, &[]);
    for client in 2..22 {
        assert!(matches!(desk.ask_from([10, 0, 0, client], "wait."), Got::Waiting), "{client}");
    }
    assert_eq!(desk.pipeline.next_deadline(), Some(Tick::default()), "they are told at once");
    let told = desk.poll(false);
    assert_eq!(told.len(), 20);
    for (number, got) in told {
        assert!(number <= 50, "{number} is among those that waited longest");
        // What the step makes of it that its wait is over.
        assert_eq!(code(&got.reply()), Rcode::NXDOMAIN.0);
    }
    assert_eq!((desk.pipeline.waiting(), desk.counters.table_full.read()), (64, 120));
    desk.check_counters();
    // The others have their answers, and 44 of the flood.
    signal.fire();
    let ended = desk.poll(true);
    let others = ended.iter().filter(|(number, _)| *number > 164).count();
    assert_eq!((ended.len(), others), (64, 20));
    assert!(ended.into_iter().all(|(_, got)| code(&got.reply()) == 0));
    desk.check_counters();
}

#[test]
fn s52_a_table_that_many_share_refuses_the_newest() {
    let (mut desk, _, _) = desk(64);
    for client in 0..64 {
        assert!(matches!(desk.ask_from([10, 0, 1, client], "wait."), Got::Waiting));
    }
    assert_eq!(ede(&desk.ask_from([10, 0, 2, 1], "wait.").reply()), Some(23));
    desk.expect(false, &[]);
    assert_eq!((desk.pipeline.waiting(), desk.counters.table_full.read()), (64, 1));
    desk.check_counters();
}

#[test]
fn s52_so_many_make_room_before_they_are_told_and_no_more() {
    let most = crate::chain::crowd::SPARE;
    let (mut desk, _, _) = desk(2 * most);
    for _ in 0..2 * most {
        assert!(matches!(desk.ask_from(FLOOD, "wait."), Got::Waiting));
    }
    let mut waiting = 0;
    for client in 0..most + 10 {
        let [high, low] = u16::try_from(client).unwrap().to_be_bytes();
        waiting += usize::from(matches!(desk.ask_from([10, 1, high, low], "wait."), Got::Waiting));
    }
    assert_eq!((waiting, desk.pipeline.waiting()), (most, 3 * most));
    assert_eq!(desk.poll(false).len(), most);
    assert_eq!(desk.pipeline.waiting(), 2 * most);
    desk.check_counters();
}
