//! `acl` in the pipeline: decided on the name as it is answered, for every question on behalf of another, and before
//! anything that is kept or known is said (rule S-08). `views` share nothing.

use super::cache::{Upstreams, built};
use super::script::{address, first};
use super::*;

/// Another client than that of `Desk::bytes`.
const OTHER: [u8; 4] = [198, 51, 100, 1];

/// A desk behind a Corefile; its steps that ask the network answer by themselves.
fn desk(text: &str) -> (Desk, Upstreams) {
    let upstreams = Upstreams::default();
    let (plan, _) = built(text, &upstreams);
    (Desk::new(Arc::new(plan), 16), upstreams)
}

/// The same with a step in front of all others.
fn desk_behind(step: Box<dyn Step>, text: &str) -> Desk {
    let (mut plan, _) = built(text, &Upstreams::default());
    plan.chains[0].steps.insert(0, step);
    Desk::new(Arc::new(plan), 16)
}

/// A step like `rewrite`: what begins with `alias` becomes `secret`, and the other way round.
fn renames() -> Box<dyn Step> {
    Scripted::new("rewrite", &Diary::default(), |asked, _, _| {
        let name = match &*first(asked) {
            "alias" => "secret.example.",
            "secret" => "alias.example.",
            _ => return Flow::Next,
        };
        asked.original = Some(Box::new(asked.question.clone()));
        asked.question = Question::new(&parse_name(name).unwrap(), asked.question.qtype).unwrap();
        Flow::Next
    })
}

/// A step like `autopath` or an alias of a zone: `for-NAME` is answered by `NAME`.
fn asks_for() -> Box<dyn Step> {
    Scripted::new("asks", &Diary::default(), |asked, answer, _| {
        match (first(asked).strip_prefix("for-"), answer) {
            (None, _) => Flow::Next,
            (Some(name), None) => {
                let name = parse_name(&format!("{name}.example.")).unwrap();
                let question = Box::new(Question::new(&name, asked.question.qtype).unwrap());
                Flow::Wait(Ask::Question { question, held: None })
            }
            (Some(_), Some(Answer::Reply { reply, question, .. })) => {
                let mut sections = asked.draft();
                sections.append_answer(&reply.sections, &question);
                Flow::Reply(Reply::new(reply.head.rcode, sections))
            }
            (Some(_), Some(_)) => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
        }
    })
}

/// Code, extended error and number of answers.
fn verdict(got: Got) -> (u16, Option<u16>, usize) {
    let reply = got.reply();
    (code(&reply), ede(&reply), reply.answers.len())
}

#[test]
fn each_action_says_its_own_to_whom_it_is_meant_for() {
    let (mut desk, upstreams) = desk(
        ".:53 {\n forward . 192.0.2.53\n acl blocked.example {\n block net 192.0.2.0/24\n }\n \
         acl {\n filter type AAAA\n drop type HINFO TYPE65280 net 10.0.0.1 192.0.2.1\n allow net 192.0.2.1\n block\n }\n}\n",
    );
    assert_eq!(verdict(desk.ask("web.blocked.example.")), (5, Some(15), 0));
    assert_eq!(verdict(desk.ask_type("web.example.", rtype::AAAA)), (0, Some(17), 0));
    assert!(matches!(desk.ask_type("web.example.", rtype::HINFO), Got::Silence));
    assert!(matches!(desk.ask_type("web.example.", 65280), Got::Silence));
    assert_eq!(verdict(desk.ask("web.example.")), (0, None, 1));
    assert_eq!(verdict(desk.ask_from(OTHER, "web.example.")), (5, Some(15), 0), "nothing else is allowed");
    assert_eq!(upstreams.asked(), ["web"]);
    desk.check_counters();
}

#[test]
fn a_rule_whose_lines_say_nothing_leaves_it_to_the_next_and_the_first_that_does_decides() {
    let (mut desk, _) = desk(
        ".:53 {\n forward . 192.0.2.53\n acl {\n allow net 10.0.0.0/8\n }\n acl example {\n allow net 192.0.2.1\n }\n \
         acl {\n block\n }\n}\n",
    );
    assert_eq!(verdict(desk.ask("web.example.")), (0, None, 1));
    assert_eq!(verdict(desk.ask("web.test.")), (5, Some(15), 0));
    assert_eq!(verdict(desk.ask_from(OTHER, "web.example.")), (5, Some(15), 0));
}

#[test]
fn of_many_zones_the_longest_counts_as_of_a_few() {
    let few = "sub.zone1.example zone1.example";
    let many: Vec<String> = (0..2000).map(|number| format!("zone{number}.example")).collect();
    for zones in [few.to_owned(), format!("sub.zone1.example {}", many.join(" "))] {
        let (mut desk, _) = desk(&format!(
            ".:53 {{\n forward . 192.0.2.53\n acl {zones} {{\n filter net 192.0.2.1\n }}\n}}\n"
        ));
        for (name, code) in [
            ("zone1.example.", Some(17)),
            ("A.b.Zone1.Example.", Some(17)),
            ("x.sub.zone1.example.", Some(17)),
            ("example.", None),
            ("xzone1.example.", None),
            (".", None),
        ] {
            assert_eq!(verdict(desk.ask(name)).1, code, "{name} with {} zones", zones.split(' ').count());
        }
    }
}

#[test]
fn coredns_8289_what_is_kept_is_not_shown_to_whom_may_not_ask() {
    // https://github.com/coredns/coredns/pull/8289: there a hit of the cache came before the rules.
    for cache in ["cache", "cache {\n serve_stale\n }"] {
        let (mut desk, upstreams) = desk(&format!(
            ".:53 {{\n forward . 192.0.2.53\n {cache}\n acl {{\n block net 192.0.2.1\n }}\n}}\n"
        ));
        for _ in 0..2 {
            let (rcode, _, answers) = verdict(desk.ask_from(OTHER, "web.example."));
            assert_eq!((rcode, answers), (0, 1), "{cache}");
            assert_eq!(verdict(desk.ask("web.example.")), (5, Some(15), 0), "{cache}");
            // The second round finds what is kept beyond its time.
            desk.pass(61_000);
        }
        assert!(upstreams.asked().len() <= 2);
    }
}

#[test]
fn cve_2026_26017_the_name_counts_as_it_is_answered() {
    // CVE-2026-26017: there the rules saw the name before it was rewritten.
    let corefile = ".:53 {\n forward . 192.0.2.53\n acl secret.example {\n block\n }\n}\n";
    let mut desk = desk_behind(renames(), corefile);
    assert_eq!(verdict(desk.ask("alias.example.")).0, 5, "its answer would be the secret one");
    assert_eq!(verdict(desk.ask("secret.example.")), (0, None, 1), "its answer is the other one");
}

#[test]
fn coredns_8290_a_question_on_behalf_of_another_is_decided_about_like_one_of_the_client() {
    // https://github.com/coredns/coredns/pull/8290: there a search path led round the rules.
    let corefile = |action: &str| {
        format!(
            ".:53 {{\n forward . 192.0.2.53\n cache\n acl secret.example {{\n {action} net 192.0.2.1\n }}\n}}\n"
        )
    };
    let mut desk = desk_behind(asks_for(), &corefile("block"));
    assert_eq!(verdict(desk.ask("for-open.example.")), (0, None, 1));
    // What another client had kept is no way round either.
    assert_eq!(verdict(desk.ask_from(OTHER, "secret.example.")), (0, None, 1));
    assert_eq!(verdict(desk.ask("for-secret.example.")), (5, None, 0));
    let mut desk = desk_behind(asks_for(), &corefile("filter"));
    assert_eq!(verdict(desk.ask("for-secret.example.")), (0, None, 0));
    let mut desk = desk_behind(asks_for(), &corefile("drop"));
    assert!(matches!(desk.ask("for-secret.example."), Got::Silence));
    assert_eq!(verdict(desk.ask("for-open.example.")), (0, None, 1), "the query after it is not harmed");
    desk.check_counters();
}

#[test]
fn a_step_that_answers_in_another_class_answers_behind_the_rules_too() {
    // A step like `template CH`, behind `acl`.
    let text = |more: &str| format!(".:53 {{\n whoami\n {more}\n}}\n");
    let ask = |more: &str| {
        let (mut plan, _) = built(&text(more), &Upstreams::default());
        plan.chains[0].steps.push(Box::new(OfChaos));
        let chain = std::mem::take(&mut plan.chains[0]);
        // Whether any step is about other classes is known when the chain is made.
        let Chain { zones, mut steps, .. } = chain;
        steps.retain(|step| step.word() != "whoami");
        plan.chains[0] = Chain::new(steps, zones, Vec::new(), false);
        let mut desk = Desk::new(Arc::new(plan), 4);
        let mut bytes = query(desk.next, "x.example.", rtype::TXT, true);
        let class = bytes.len() - 12;
        bytes[class] = 3;
        verdict(desk.bytes(&bytes))
    };
    assert_eq!(ask(""), (0, None, 0));
    assert_eq!(ask("acl {\n block net 192.0.2.1\n }"), (5, Some(15), 0));
}

/// A step that answers everything in every class with nothing.
struct OfChaos;

impl Step for OfChaos {
    fn word(&self) -> &'static str {
        "template"
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Reply(Reply::code(Rcode::NOERROR))
    }

    fn other_classes(&self) -> bool {
        true
    }
}

#[test]
fn addresses_that_are_only_translated_are_decided_about_too() {
    let (mut desk, upstreams) = desk(
        ".:53 {\n forward . 192.0.2.53\n dns64 {\n allow_ipv4\n }\n acl {\n block type A net 192.0.2.1\n }\n}\n",
    );
    upstreams.say("web", super::cache::Said::Nothing(Some(60)));
    assert_eq!(verdict(desk.ask_type("web.example.", rtype::AAAA)).0, 5);
    assert_eq!(upstreams.asked().len(), 1, "A was not asked for");
}

#[test]
fn steps_that_stand_before_the_rules_obey_them() {
    let text = |more: &str| format!(".:53 {{\n local\n any\n chaos x\n whoami\n {more}\n}}\n");
    let chaos = |desk: &mut Desk| {
        let mut bytes = query(desk.next, "version.bind.", rtype::TXT, true);
        let class = bytes.len() - 12;
        bytes[class] = 3;
        verdict(desk.bytes(&bytes))
    };
    let (mut open, _) = desk(&text(""));
    let (mut closed, _) = desk(&text("acl {\n block net 192.0.2.1\n }"));
    assert_eq!(verdict(open.ask("localhost.")), (0, None, 1));
    assert_eq!(verdict(open.ask_type("x.", rtype::ANY)), (0, None, 1));
    assert_eq!(chaos(&mut open), (0, None, 1));
    assert_eq!(verdict(closed.ask("localhost.")), (5, Some(15), 0));
    assert_eq!(verdict(closed.ask_type("x.", rtype::ANY)), (5, Some(15), 0));
    assert_eq!(chaos(&mut closed), (5, Some(15), 0));
    assert_eq!(verdict(closed.ask_from(OTHER, "localhost.")), (0, None, 1));
}

#[test]
fn a_refresh_in_the_background_asks_in_the_name_of_whom_it_follows() {
    // The step asks for another name each time; a refresh without a client would be turned away.
    let aliased =
        Scripted::new("forward", &Diary::default(), |asked, answer, _| match (&*first(asked), answer) {
            ("target", _) => address(asked, 7),
            (_, None) => {
                let question = Question::new(&parse_name("target.example.").unwrap(), rtype::A).unwrap();
                Flow::Wait(Ask::Question { question: Box::new(question), held: None })
            }
            (_, Some(Answer::Reply { reply, .. })) => Flow::Reply(Reply::code(reply.head.rcode)),
            (_, Some(_)) => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
        });
    let seen = Diary::default();
    let told = seen.clone();
    let refreshing = Scripted::new("cache", &Diary::default(), move |asked, _, context| {
        if !asked.errand && first(asked) != "target" {
            context.refresh(asked);
        }
        if asked.errand && first(asked) == "target" {
            told.write(format!("{} asks for it", asked.client.addr.ip()));
        }
        Flow::Next
    });
    let (mut plan, _) =
        built(".:53 {\n whoami\n acl {\n allow net 192.0.2.1\n block\n }\n}\n", &Upstreams::default());
    let steps = &mut plan.chains[0].steps;
    steps.truncate(1);
    steps.push(refreshing);
    steps.push(aliased);
    let mut desk = Desk::new(Arc::new(plan), 16);
    assert_eq!(code(&desk.ask("web.example.").reply()), 0);
    assert_eq!(seen.take(), ["192.0.2.1 asks for it"]);
}

#[test]
fn a_header_that_a_block_changes_for_a_question_of_its_own_stays_as_the_client_sent_it() {
    let recursion = Diary::default();
    let told = recursion.clone();
    let sees = Scripted::new("forward", &Diary::default(), move |asked, _, _| {
        told.write(format!("{} {}", first(asked), asked.query.header.recursion_desired()));
        address(asked, 1)
    });
    let (mut plan, _) = built(
        ".:53 {\n whoami\n header {\n response set ra\n }\n}\ninner.:53 {\n whoami\n header {\n query clear rd\n response clear aa\n }\n}\n",
        &Upstreams::default(),
    );
    let asks = Scripted::new("asks", &Diary::default(), |asked, answer, _| match (&*first(asked), answer) {
        ("outer", None) => {
            let question = Question::new(&parse_name("x.inner.").unwrap(), rtype::A).unwrap();
            Flow::Wait(Ask::Question { question: Box::new(question), held: None })
        }
        ("outer", Some(_)) => address(asked, 9),
        _ => Flow::Next,
    });
    plan.chains[0].steps.insert(0, asks);
    plan.chains[1].steps.truncate(1);
    plan.chains[1].steps.push(sees);
    let mut desk = Desk::new(Arc::new(plan), 16);
    let reply = desk.ask("outer.").reply();
    assert_eq!(recursion.take(), ["x false"]);
    assert!(reply.metadata.recursion_desired, "the client's own RD comes back");
    assert!(reply.metadata.authoritative);
    let reply = desk.ask("y.inner.").reply();
    assert!(!reply.metadata.recursion_desired && !reply.metadata.authoritative);
}

/// A desk behind two views of one zone, told apart by the network of the client.
fn viewed(first: &str, second: &str) -> (Desk, Upstreams) {
    desk(&format!(
        "example.:53 {{\n view one {{\n expr incidr(client_ip(), '192.0.2.0/24')\n expr type() != 'AAAA'\n }}\n {first}\n}}\n\
         example.:53 {{\n view two {{\n expr incidr(client_ip(), '198.51.100.0/24')\n }}\n {second}\n}}\n\
         .:53 {{\n whoami\n}}\n"
    ))
}

#[test]
fn the_first_block_whose_view_admits_a_query_answers_it_and_else_the_next_shorter_zone() {
    let (mut desk, upstreams) = viewed("local", "forward . 192.0.2.53\n chaos x");
    // `local` alone: the end of the chain.
    assert_eq!(verdict(desk.ask("web.example.")), (2, None, 0));
    assert_eq!(verdict(desk.ask_from(OTHER, "web.example.")), (0, None, 1));
    // No view: `whoami`.
    let reply = desk.ask_type("web.example.", rtype::AAAA).reply();
    assert_eq!((code(&reply), reply.answers.len(), reply.additionals.len()), (0, 0, 2));
    let reply = desk.ask_from([203, 0, 113, 1], "web.example.").reply();
    assert_eq!(reply.additionals.len(), 2);
    assert_eq!(upstreams.asked(), ["web"]);
}

#[test]
fn views_of_one_zone_keep_nothing_for_each_other() {
    let text = "forward . 192.0.2.53\n cache";
    let spec = |name: &str, expr: &str| format!(".:53 {{\n view {name} {{\n expr {expr}\n }}\n {text}\n}}\n");
    let places = |corefile: String| -> Vec<String> {
        let (plan, _) = built(&corefile, &Upstreams::default());
        plan.chains.iter().map(|chain| chain.cache.as_ref().unwrap().cache.spec().place.clone()).collect()
    };
    let first = places(spec("a", "id() == 1") + &spec("b", "id() == 2") + &spec("a", "id() == 3"));
    assert!(first[0] != first[1] && first[0] != first[2] && first[1] != first[2], "{first:?}");
    assert_eq!(places(spec("a", "id() == 1")), first[..1], "over a reload it is the same");
    let (mut desk, upstreams) = viewed(text, text);
    for _ in 0..2 {
        assert_eq!(verdict(desk.ask("web.example.")), (0, None, 1));
        assert_eq!(verdict(desk.ask_from(OTHER, "web.example.")), (0, None, 1));
    }
    assert_eq!(upstreams.asked(), ["web", "web"], "each view asked once");
}

#[test]
fn a_question_on_behalf_of_another_is_for_the_block_whose_view_admits_it() {
    let text =
        |name: &str, more: &str| format!("example.:53 {{\n view {name} {{\n expr {more}\n }}\n whoami\n}}\n");
    let corefile = text("secret", "name() == 'secret.example.' && client_ip() == '192.0.2.1'")
        + &text("rest", "name() startsWith 'for-'");
    let (mut plan, _) = built(&corefile, &Upstreams::default());
    plan.chains[1].steps.insert(0, asks_for());
    plan.chains[0]
        .steps
        .insert(0, Scripted::new("hosts", &Diary::default(), |asked, _, _| address(asked, 3)));
    let mut desk = Desk::new(Arc::new(plan), 16);
    assert_eq!(verdict(desk.ask("for-secret.example.")), (0, None, 1));
    assert_eq!(verdict(desk.ask_from(OTHER, "for-secret.example.")), (2, None, 0), "no block is for it");
}

#[test]
fn a_view_behind_a_block_without_one_is_warned_about() {
    let (_, warnings) = built(
        ".:53 {\n whoami\n}\n.:53 {\n view late {\n expr true\n }\n whoami\n}\n",
        &Upstreams::default(),
    );
    assert!(warnings[0].contains("is never reached"), "{warnings:?}");
}

#[test]
fn with_shed_the_newest_query_gets_no_reply_once_all_places_are_taken() {
    let silent = |text: &str| {
        let (plan, _) = built(text, &Upstreams::default());
        let mut plan = plan;
        let signal = Arc::<Signal>::default();
        let waits = Scripted::new("forward", &Diary::default(), move |asked, answer, context| {
            match (&*first(asked), answer) {
                ("now", _) => address(asked, 1),
                (_, None) => script::wait(&signal, context, 3_000),
                (_, Some(_)) => Flow::Reply(Reply::code(Rcode::SERVFAIL)),
            }
        });
        plan.chains[0].steps.insert(0, waits);
        Desk::new(Arc::new(plan), 2)
    };
    let mut desk = silent(".:53 {\n whoami\n shed\n}\n");
    for _ in 0..2 {
        assert!(matches!(desk.ask("slow."), Got::Waiting));
    }
    assert!(matches!(desk.ask("slow."), Got::Silence));
    assert_eq!(verdict(desk.ask("now.")), (0, None, 1), "what need not wait is answered");
    let listener = &desk.active.plan().listeners[0];
    assert_eq!(listener.shed.as_ref().unwrap().queries.read(), 1);
    desk.check_counters();
    let mut desk = silent(".:53 {\n whoami\n}\n");
    for _ in 0..2 {
        assert!(matches!(desk.ask("slow."), Got::Waiting));
    }
    assert_eq!(verdict(desk.ask("slow.")), (2, Some(23), 0), "without it: SERVFAIL");
}
