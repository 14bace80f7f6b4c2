//! Answers beyond their time, and those that are asked for again before it.

use super::*;

#[test]
fn a_stale_answer_comes_at_once_and_is_asked_for_once() {
    let (mut desk, upstreams) = desk("cache {\n serve_stale\n }");
    desk.ask("web.example.").reply();
    desk.pass(61_000);
    upstreams.say("web", Said::Silence);
    upstreams.asked();
    for _ in 0..3 {
        let stale = desk.ask("web.example.").reply();
        assert_eq!((shows(&stale), ede(&stale)), ((0, vec![0]), Some(3)));
    }
    assert_eq!(upstreams.asked(), ["web"], "one refresh is under way");
    assert_eq!((count(&desk, |c| &c.stale), count(&desk, |c| &c.prefetches)), (3, 1));
    upstreams.say("web", Said::Addresses(vec![(60, 2)]));
    upstreams.signal.fire();
    assert!(desk.poll(true).is_empty(), "a refresh is nobody's query");
    let fresh = desk.ask("web.example.").reply();
    assert_eq!((shows(&fresh), ede(&fresh)), ((0, vec![60]), None));
    assert_eq!(fresh.answers[0].data.to_string(), "192.0.2.2");
    assert!(upstreams.asked().is_empty());
    desk.check_counters();
}

#[test]
fn a_stale_answer_is_not_served_beyond_its_limit() {
    let (mut desk, upstreams) = desk("cache {\n serve_stale 10s immediate 30s\n servfail 0\n }");
    desk.ask("web.example.").reply();
    upstreams.say("web", Said::Code(Rcode::SERVFAIL));
    desk.pass(69_999);
    assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![30]), "RESPONSE_TTL");
    desk.pass(1);
    assert_eq!(code(&desk.ask("web.example.").reply()), 2);
}

#[test]
fn a_refresh_that_is_lost_is_tried_again_after_the_longest_that_one_may_take() {
    let (mut desk, upstreams) = desk("cache {\n serve_stale\n servfail 0\n }");
    desk.ask("web.example.").reply();
    desk.pass(61_000);
    upstreams.say("web", Said::Silence);
    upstreams.asked();
    desk.ask("web.example.").reply();
    // The table is not looked at any more, as if the refresh had been dropped.
    desk.pass(3_999);
    desk.ask("web.example.").reply();
    assert_eq!(upstreams.asked().len(), 1);
    desk.pass(1);
    desk.ask("web.example.").reply();
    assert_eq!(upstreams.asked().len(), 1);
}

#[test]
fn a_failed_refresh_leaves_the_stale_answer_and_a_pause() {
    // The lines, and how many seconds pass until upstreams are asked again.
    for (lines, pause) in [
        ("cache {\n serve_stale 1h immediate 0s 30s\n }", 30),
        ("cache {\n serve_stale\n }", 5),
        ("cache {\n serve_stale\n servfail 0\n }", 4),
    ] {
        let (mut desk, upstreams) = desk(lines);
        upstreams.say("gone", Said::Missing(60, 60, false));
        desk.ask("gone.example.").reply();
        desk.pass(60_000);
        upstreams.say("gone", Said::Code(Rcode::SERVFAIL));
        upstreams.asked();
        for _ in 0..2 {
            let stale = desk.ask("gone.example.").reply();
            assert_eq!((code(&stale), ede(&stale)), (3, Some(19)), "{lines}");
        }
        assert_eq!(upstreams.asked().len(), 1, "{lines}");
        desk.pass(pause * 1000 - 1);
        desk.ask("gone.example.").reply();
        assert_eq!(upstreams.asked().len(), 0, "{lines}");
        desk.pass(1);
        assert_eq!(code(&desk.ask("gone.example.").reply()), 3);
        assert_eq!(upstreams.asked().len(), 1, "{lines}");
    }
}

#[test]
fn a_newer_word_that_is_not_kept_ends_the_stale_one() {
    for (policy, said) in [
        ("", Said::Addresses(vec![(0, 2)])),
        ("", Said::Code(Rcode::NXDOMAIN)),
        ("", Said::Alias),
        ("serve_stale_policy prefer_positive", Said::Addresses(vec![(0, 2)])),
    ] {
        let (mut desk, upstreams) = desk(&format!("cache {{\n serve_stale\n {policy}\n }}"));
        desk.ask("web.example.").reply();
        desk.pass(61_000);
        upstreams.say("web", said);
        assert_eq!(ede(&desk.ask("web.example.").reply()), Some(3));
        upstreams.asked();
        for _ in 0..2 {
            assert_eq!(ede(&desk.ask("web.example.").reply()), None);
        }
        assert_eq!(upstreams.asked().len(), 2, "nothing is kept");
    }
}

#[test]
fn verify_asks_first_and_serves_the_stale_answer_to_a_failure_only() {
    let (mut desk, upstreams) = desk("cache {\n serve_stale 1h verify\n }");
    desk.ask("web.example.").reply();
    desk.pass(61_000);
    upstreams.say("web", Said::Code(Rcode::SERVFAIL));
    let stale = desk.ask("web.example.").reply();
    assert_eq!((shows(&stale), ede(&stale)), ((0, vec![0]), Some(3)));
    let again = desk.ask("web.example.").reply();
    assert_eq!(shows(&again), (0, vec![0]));
    assert_eq!(upstreams.asked().len(), 2, "a failure is kept for 5 s, in which nobody is asked");
    desk.pass(5_000);
    upstreams.say("web", Said::Addresses(vec![(60, 2)]));
    assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![60]));
    desk.pass(60_000);
    upstreams.say("web", Said::Missing(60, 60, false));
    assert_eq!(code(&desk.ask("web.example.").reply()), 3, "a name that has gone is no failure");
    assert_eq!(count(&desk, |c| &c.stale), 2);
    desk.check_counters();
}

#[test]
fn verify_waits_no_longer_than_it_says_and_goes_on_behind() {
    for lines in ["serve_stale 1h verify 100ms", "serve_stale 1h verify 100ms 0s 30s"] {
        let (mut desk, upstreams) = desk(&format!("cache {{\n {lines}\n }}"));
        desk.ask("web.example.").reply();
        desk.pass(61_000);
        upstreams.say("web", Said::Silence);
        upstreams.asked();
        assert!(matches!(desk.ask("web.example."), Got::Waiting));
        desk.pass(99);
        assert!(desk.poll(false).is_empty());
        desk.pass(1);
        let [(_, got)] = desk.poll(false).try_into().unwrap();
        let stale = got.reply();
        assert_eq!((shows(&stale), ede(&stale)), ((0, vec![0]), Some(3)));
        // Until what goes on behind has ended, nobody waits.
        assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![0]));
        assert_eq!(upstreams.asked().len(), 2, "the query and the refresh behind it");
        upstreams.say("web", Said::Addresses(vec![(60, 2)]));
        upstreams.signal.fire();
        assert!(desk.poll(true).is_empty());
        let fresh = desk.ask("web.example.").reply();
        assert_eq!((shows(&fresh), upstreams.asked().len()), ((0, vec![60]), 0));
        desk.check_counters();
    }
}

#[test]
fn a_wait_that_was_cut_short_is_no_failure_of_upstreams() {
    let (mut desk, upstreams) = desk("cache {\n serve_stale 10s verify 100ms\n }");
    desk.ask("web.example.").reply();
    desk.pass(69_950);
    upstreams.say("web", Said::Silence);
    assert!(matches!(desk.ask("web.example."), Got::Waiting));
    desk.pass(100);
    // The stale answer ended while it was waited for.
    let [(_, got)] = desk.poll(false).try_into().unwrap();
    assert_eq!(code(&got.reply()), 2);
    upstreams.say("web", Said::Addresses(vec![(60, 2)]));
    assert_eq!(code(&desk.ask("web.example.").reply()), 0);
}

#[test]
fn prefer_positive_keeps_the_last_good_answer_over_newer_ones_of_other_kinds() {
    for mode in ["immediate", "verify"] {
        for said in [
            Said::Missing(60, 60, false),
            Said::Nothing(Some(60)),
            Said::Nothing(None),
            Said::Code(Rcode::SERVFAIL),
        ] {
            let lines = format!("cache {{\n serve_stale 1h {mode}\n serve_stale_policy prefer_positive\n }}");
            let (mut desk, upstreams) = desk(&lines);
            desk.ask("web.example.").reply();
            desk.pass(61_000);
            upstreams.say("web", said);
            for _ in 0..3 {
                let stale = desk.ask("web.example.").reply();
                assert_eq!((shows(&stale), ede(&stale)), ((0, vec![0]), Some(3)), "{mode}");
            }
            upstreams.say("web", Said::Addresses(vec![(60, 2)]));
            desk.pass(10_000);
            desk.ask("web.example.").reply();
            assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![60]), "{mode}");
        }
    }
    // Without the policy what is newer counts.
    let (mut desk, upstreams) = desk("cache {\n serve_stale\n }");
    desk.ask("web.example.").reply();
    desk.pass(61_000);
    upstreams.say("web", Said::Missing(60, 60, false));
    desk.ask("web.example.").reply();
    assert_eq!(code(&desk.ask("web.example.").reply()), 3);
}

#[test]
fn what_is_popular_is_asked_for_again_before_it_ends() {
    let (mut desk, upstreams) = desk("cache {\n prefetch 6 30s 20%\n }");
    for (seconds, asked) in [(0, 1), (10, 0), (10, 0), (10, 0), (10, 0), (7, 0), (1, 1), (0, 0)] {
        desk.pass(seconds * 1000);
        desk.ask("web.example.").reply();
        assert_eq!(upstreams.asked().len(), asked, "after {seconds} s");
    }
    assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![60]), "it was renewed behind the hit");
    assert_eq!(count(&desk, |c| &c.prefetches), 1);
    for (seconds, asked) in [(25, 0), (24, 1)] {
        desk.pass(seconds * 1000);
        desk.ask("web.example.").reply();
        assert_eq!(upstreams.asked().len(), asked, "the new answer inherits the hits");
    }
    desk.pass(55_000);
    desk.ask("web.example.").reply();
    assert!(upstreams.asked().is_empty(), "the gap was too long");
}

#[test]
fn a_prefetch_that_fails_hides_nothing_and_is_not_repeated_at_once() {
    let (mut desk, upstreams) = desk("cache {\n prefetch 1 1m 50%\n }");
    desk.ask("web.example.").reply();
    desk.pass(40_000);
    upstreams.say("web", Said::Code(Rcode::SERVFAIL));
    upstreams.asked();
    for _ in 0..3 {
        assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![20]));
    }
    assert_eq!(upstreams.asked().len(), 1);
}

#[test]
fn a_refresh_that_finds_the_name_gone_replaces_what_was_kept() {
    let (mut desk, upstreams) = desk("cache {\n prefetch 1 1m 50%\n }");
    desk.ask("web.example.").reply();
    desk.pass(40_000);
    upstreams.say("web", Said::Missing(60, 60, false));
    assert_eq!(code(&desk.ask("web.example.").reply()), 0);
    assert_eq!(code(&desk.ask("web.example.").reply()), 3);
}
