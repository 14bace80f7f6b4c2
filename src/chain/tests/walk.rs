//! The walk down and up the chain: order, silence, panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::script::{address, first};
use super::*;

/// A chain of three steps that pass, one that decides by the name, and one that answers what is left.
fn chain(diary: &Diary) -> Steps {
    let decides = Scripted::new("decides", diary, |asked, _, _| match &*first(asked) {
        "here" => address(asked, 1),
        "drop" => Flow::Drop,
        "panic" => panic!("scripted"),
        "refuse" => Flow::Reply(Reply::code(Rcode::REFUSED)),
        _ => Flow::Next,
    });
    let last = Scripted::new("last", diary, |asked, _, _| match &*first(asked) {
        "nobody" => Flow::Next,
        _ => address(asked, 2),
    });
    vec![Scripted::pass("a", diary), Scripted::pass("b", diary), Scripted::pass("c", diary), decides, last]
}

#[test]
fn steps_that_were_passed_are_told_in_reverse_and_no_others() {
    let diary = Diary::default();
    let mut desk = Desk::new(one_chain(chain(&diary)), 4);
    assert_eq!(code(&desk.ask("here.").reply()), 0);
    assert_eq!(
        diary.take(),
        [
            "a ask here",
            "b ask here",
            "c ask here",
            "decides ask here",
            "c tell here: NOERROR",
            "b tell here: NOERROR",
            "a tell here: NOERROR",
        ]
    );
    assert_eq!(code(&desk.ask("later.").reply()), 0);
    let told: Vec<String> = diary.take().into_iter().filter(|line| line.contains("tell")).collect();
    assert_eq!(
        told,
        [
            "decides tell later: NOERROR",
            "c tell later: NOERROR",
            "b tell later: NOERROR",
            "a tell later: NOERROR"
        ]
    );
    desk.check_counters();
}

#[test]
fn a_name_that_no_step_answers_is_a_bare_servfail_of_which_all_are_told() {
    let diary = Diary::default();
    let mut desk = Desk::new(one_chain(chain(&diary)), 4);
    let reply = desk.ask("nobody.").reply();
    assert_eq!(code(&reply), 2);
    assert!(!reply.metadata.authoritative && reply.answers.is_empty() && reply.authorities.is_empty());
    let told: Vec<String> = diary.take().into_iter().filter(|line| line.contains("tell")).collect();
    assert_eq!(
        told,
        [
            "last tell nobody: SERVFAIL",
            "decides tell nobody: SERVFAIL",
            "c tell nobody: SERVFAIL",
            "b tell nobody: SERVFAIL",
            "a tell nobody: SERVFAIL"
        ]
    );
}

#[test]
fn a_dropped_query_is_silence_of_which_nobody_is_told() {
    let diary = Diary::default();
    let mut desk = Desk::new(one_chain(chain(&diary)), 4);
    assert!(matches!(desk.ask("drop."), Got::Silence));
    assert!(diary.take().iter().all(|line| !line.contains("tell")));
    assert_eq!(desk.counters.dropped.read(), 1);
    assert_eq!(code(&desk.ask("here.").reply()), 0, "the next query is fine");
    desk.check_counters();
}

#[test]
fn a_panic_costs_its_own_query_and_no_other() {
    let diary = Diary::default();
    let mut desk = Desk::new(one_chain(chain(&diary)), 4);
    for count in 1..=3 {
        let reply = desk.ask("panic.").reply();
        assert_eq!(code(&reply), 2);
        assert!(reply.answers.is_empty());
        assert_eq!(reply.queries[0].name().to_ascii(), "panic.");
        assert_eq!(desk.counters.panics.read(), count);
        let next = desk.ask("here.").reply();
        assert_eq!((code(&next), next.answers.len()), (0, 1));
    }
    desk.check_counters();
}

/// What is written while `act` runs.
fn written(act: impl FnOnce()) -> String {
    let text: Arc<parking_lot::Mutex<Vec<u8>>> = Arc::default();
    let writer = text.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || Writer(writer.clone())).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8_lossy(&text.lock()).into_owned()
}

/// Writes into a text that others hold too.
struct Writer(Arc<parking_lot::Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_line_of_a_panic_has_its_message_and_place_and_with_stacktrace_the_road_there() {
    for stacktrace in [false, true] {
        let diary = Diary::default();
        let mut plan = Plan::default();
        let root = Zone::parse(".").unwrap();
        let mut chain = Chain::new(chain(&diary), vec![root.clone()], Vec::new(), false);
        chain.stacktrace = stacktrace;
        plan.chains.push(chain);
        plan.listeners.push(Listener {
            addr: SocketAddr::from(([127, 0, 0, 1], 53)),
            label: String::new(),
            zones: vec![Served { zone: root, chain: 0, tallies: None }],
            dropped: None,
            timeouts: Default::default(),
            shed: None,
        });
        let mut desk = Desk::new(Arc::new(plan), 4);
        let text = written(|| assert_eq!(code(&desk.ask("panic.").reply()), 2));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("the query gets SERVFAIL: scripted at src/chain/tests/walk.rs:"), "{text}");
        assert_eq!(
            text.contains("(stack: ") && text.contains("./src/chain/pipeline.rs:"),
            stacktrace,
            "{text}"
        );
    }
}

#[test]
fn a_panic_while_a_step_is_told_costs_its_own_query_and_no_other() {
    let diary = Diary::default();
    let mut steps = chain(&diary);
    let mut told = Scripted::pass("told", &diary);
    told.panic_at_tell = Some("here");
    steps.insert(1, told);
    let mut desk = Desk::new(one_chain(steps), 4);
    assert_eq!(code(&desk.ask("here.").reply()), 2);
    assert_eq!(desk.counters.panics.read(), 1);
    assert_eq!(code(&desk.ask("there.").reply()), 0);
    desk.check_counters();
}

#[test]
fn a_panic_while_a_reply_is_written_down_ends_nothing() {
    // K-017 and P11: a panic in a step harms at most its query; writing lines down is a step's work too.
    let diary = Diary::default();
    let mut steps = chain(&diary);
    let mut writer = Scripted::pass("writer", &diary);
    writer.panic_at_sent = true;
    steps.insert(0, writer);
    let mut desk = Desk::new(one_chain(steps), 4);
    let answered = catch_unwind(AssertUnwindSafe(|| desk.ask("unwritable.")));
    assert!(answered.is_ok(), "the panic went through the pipeline and would have ended the worker");
    assert_eq!(desk.counters.panics.read(), 1);
    assert_eq!(code(&desk.ask("here.").reply()), 0);
    desk.check_counters();
}

#[test]
fn with_debug_a_panic_ends_the_process() {
    use std::os::unix::process::ExitStatusExt as _;
    // The process that is to end is a second one of this test alone.
    const CHILD: &str = "SIGNPOST_TEST_DEBUG_PANIC";
    if std::env::var_os(CHILD).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "chain::tests::walk::with_debug_a_panic_ends_the_process", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{said}");
        assert!(said.contains("panicked at"), "{said}");
        return;
    }
    let diary = Diary::default();
    let mut plan = Plan::default();
    let root = Zone::parse(".").unwrap();
    plan.chains.push(Chain::new(chain(&diary), vec![root.clone()], Vec::new(), true));
    let served = Served { zone: root, chain: 0, tallies: None };
    plan.listeners.push(Listener {
        addr: SocketAddr::from(([127, 0, 0, 1], 53)),
        label: String::new(),
        zones: vec![served],
        dropped: None,
        timeouts: Default::default(),
        shed: None,
    });
    let mut desk = Desk::new(Arc::new(plan), 4);
    let _ = catch_unwind(AssertUnwindSafe(|| desk.ask("panic.")));
}

#[test]
fn a_query_that_no_chain_may_see_is_refused() {
    let diary = Diary::default();
    let mut desk = Desk::new(plan(vec![("example.org", chain(&diary))]), 4);
    let class = |class: u16| {
        let mut bytes = query(9, "here.example.org.", rtype::A, false);
        let at = bytes.len() - 2;
        bytes[at..].copy_from_slice(&class.to_be_bytes());
        bytes
    };
    for bytes in [
        query(9, "here.example.com.", rtype::A, false),
        query(9, "org.", rtype::A, false),
        query(9, "here.example.org.", rtype::AXFR, false),
        query(9, "here.example.org.", rtype::IXFR, false),
        class(3),
        class(255),
        class(254),
        class(0),
    ] {
        let reply = desk.bytes(&bytes).reply();
        assert_eq!(code(&reply), 5, "{bytes:?}");
        assert!(!reply.metadata.authoritative && reply.edns.is_none());
    }
    assert_eq!(diary.take(), [""; 0], "no step sees any of them");
    assert_eq!(code(&desk.ask("here.example.org.").reply()), 0);
    desk.check_counters();
}

#[test]
fn what_is_no_query_is_counted_and_seen_by_no_step() {
    let diary = Diary::default();
    let mut desk = Desk::new(one_chain(chain(&diary)), 4);
    let mut response = query(1, "here.", rtype::A, false);
    response[2] |= 0x80;
    for silent in [&b""[..], &[0; 11], &response] {
        assert!(matches!(desk.bytes(silent), Got::Silence), "{silent:?}");
    }
    let mut notify = query(1, "here.", rtype::A, false);
    notify[2] |= 4 << 3;
    assert_eq!(code(&desk.bytes(&notify).reply()), 4);
    assert_eq!(code(&desk.bytes(&query(1, "here.", rtype::A, false)[..20]).reply()), 1);
    assert_eq!(diary.take(), [""; 0]);
    assert_eq!((desk.counters.silent.read(), desk.counters.malformed.read()), (3, 2));
    desk.check_counters();
}
