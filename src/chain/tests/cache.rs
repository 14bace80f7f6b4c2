//! The step `cache` in front of upstreams that a test scripts.

mod stale;

use std::collections::BTreeMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::*;
use crate::chain::{BuildOptions, Parts, StoreSpec, build};
use crate::corefile::{self, NoImports};
use crate::metrics::Tally;
use crate::store::{Store, Wanted};
use crate::wire::{Ede, Owner, Sections};

/// What upstreams say to a name.
#[derive(Clone)]
pub(super) enum Said {
    /// Addresses, each with its TTL.
    Addresses(Vec<(u32, u8)>),
    /// An address, and an NS with a TTL of its own beside it.
    WithServer(u32, u32),
    /// NXDOMAIN, its SOA's TTL and MINIMUM, and whether an alias leads there.
    Missing(u32, u32, bool),
    /// NOERROR without an answer; with an SOA of this TTL where there is one.
    Nothing(Option<u32>),
    /// An alias to a name without addresses, without SOA.
    Alias,
    /// A bare code.
    Code(Rcode),
    /// A bound of ours.
    Busy,
    /// An address with TC.
    Cut,
    /// An address with AD and a signature that holds from now on for so many seconds; a negative number has run out.
    Signed(u32, i32),
    /// Nothing yet: waits for the signal, then says what stands under the same name by then.
    Silence,
}

/// What upstreams say, and what they were asked.
#[derive(Clone, Default)]
pub(super) struct Upstreams {
    /// What they say, by the first label; other names have an address with TTL 60.
    says: Arc<Mutex<BTreeMap<String, Said>>>,
    /// What they were asked.
    asked: Arc<Mutex<Vec<String>>>,
    /// Ends silence.
    signal: Arc<Signal>,
}

impl Upstreams {
    /// From now on.
    pub(super) fn say(&self, name: &str, said: Said) {
        self.says.lock().insert(name.to_owned(), said);
    }

    /// What was asked since the last look.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    /// What they say now.
    fn answer(&self, asked: &mut Asked, timed_out: bool) -> Flow {
        let name = script::first(asked).to_ascii_lowercase();
        let said = self.says.lock().get(&name).cloned().unwrap_or(Said::Addresses(vec![(60, 1)]));
        let mut draft = asked.draft();
        draft.load(&crate::wire::Kept::default());
        let address = |draft: &mut Sections, owner, ttl, last| {
            draft.push_address(Section::Answer, owner, ttl, &[192, 0, 2, last]);
        };
        let soa = |draft: &mut Sections, ttl, minimum: u32| {
            draft.push(Section::Authority, Owner::Suffix(1), rtype::SOA, ttl, |rdata| {
                rdata.bytes(&[0, 0]);
                [1, 2, 3, 4, minimum].into_iter().for_each(|number| rdata.long(number));
            });
        };
        let alias = |draft: &mut Sections| {
            draft.push(Section::Answer, Owner::Question, rtype::CNAME, 50, |rdata| {
                rdata.bytes(b"\x06target\x07example\x00");
            })
        };
        let mut rcode = Rcode::NOERROR;
        match said {
            _ if timed_out => {
                return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::new(22, "scripted")));
            }
            Said::Addresses(all) => {
                all.into_iter().for_each(|(ttl, last)| address(&mut draft, Owner::Question, ttl, last));
            }
            Said::WithServer(ttl, server) => {
                address(&mut draft, Owner::Question, ttl, 1);
                draft.push(Section::Authority, Owner::Suffix(1), rtype::NS, server, |rdata| {
                    rdata.bytes(b"\x02ns\x07example\x00");
                });
            }
            Said::Missing(ttl, minimum, aliased) => {
                rcode = Rcode::NXDOMAIN;
                if aliased {
                    alias(&mut draft);
                }
                soa(&mut draft, ttl, minimum);
            }
            Said::Nothing(ttl) => ttl.into_iter().for_each(|ttl| soa(&mut draft, ttl, ttl)),
            Said::Alias => {
                alias(&mut draft);
            }
            Said::Code(code) => rcode = code,
            Said::Busy => return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::TOO_BUSY)),
            Said::Cut => address(&mut draft, Owner::Question, 60, 1),
            Said::Signed(ttl, left) => {
                address(&mut draft, Owner::Question, ttl, 1);
                draft.push(Section::Answer, Owner::Question, 46, ttl, |rdata| {
                    rdata.bytes(&[0, 1, 13, 2, 0, 0, 0, 60]);
                    rdata.long(1_700_000_000_u32.wrapping_add_signed(left));
                    rdata.long(1_600_000_000);
                    rdata.bytes(&[0, 1, 0]);
                });
            }
            Said::Silence => {
                let until = asked.patience.unwrap_or_else(|| asked.deadline());
                return Flow::Wait(Ask::Signal { signal: self.signal.clone(), until });
            }
        }
        let mut reply = Reply::new(rcode, draft).authoritative();
        let said = self.says.lock().get(&name).cloned();
        reply.head.truncated = matches!(said, Some(Said::Cut));
        reply.head.authentic = matches!(said, Some(Said::Signed(..)));
        Flow::Reply(reply)
    }
}

impl Step for Upstreams {
    fn word(&self) -> &'static str {
        "forward"
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        self.asked.lock().push(script::first(asked));
        self.answer(asked, false)
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, _: &mut Context<'_>) -> Flow {
        self.answer(asked, matches!(answer, Answer::TimedOut))
    }

    fn forwards(&self) -> bool {
        true
    }
}

/// Parts that are asked for nothing but caches.
struct Bare;

impl Parts for Bare {
    fn group(
        &mut self,
        spec: &crate::forward::GroupSpec,
    ) -> Result<Arc<crate::forward::Group>, crate::forward::TargetFault> {
        Ok(Arc::new(crate::forward::Group::new(spec.options.clone(), Vec::new())))
    }

    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// The plan of a Corefile, its steps that ask the network replaced by scripted ones; and what is to be said of it.
pub(super) fn built(text: &str, upstreams: &Upstreams) -> (Plan, Vec<String>) {
    let spec = corefile::parse("Corefile", text, &NoImports).unwrap_or_else(|e| panic!("{}", e.render()));
    let built =
        build(&spec, BuildOptions { port: 53 }, &mut Bare).unwrap_or_else(|e| panic!("{}", e.render()));
    let mut plan = built.plan;
    for step in plan.chains.iter_mut().flat_map(|chain| &mut chain.steps) {
        if step.forwards() {
            *step = Box::new(upstreams.clone());
        }
    }
    (plan, built.warnings)
}

/// A desk behind one block for all names with these lines.
fn desk(lines: &str) -> (Desk, Upstreams) {
    let upstreams = Upstreams::default();
    let text = format!(".:53 {{\n bind 127.0.0.1\n forward . 192.0.2.53\n {lines}\n}}\n");
    let (plan, _) = built(&text, &upstreams);
    (Desk::new(Arc::new(plan), 16), upstreams)
}

/// A count of the only cache.
fn count(desk: &Desk, field: fn(&crate::cache::WorkerCounts) -> &crate::metrics::Counter) -> u64 {
    let plan = desk.active.plan();
    let cached = plan.chains.iter().find_map(|chain| chain.cache.as_ref()).expect("there is a cache");
    cached.servers[0].1.sum(field)
}

/// What a reply shows: code and the TTLs of all records.
fn shows(reply: &Message) -> (u16, Vec<u32>) {
    let records = reply.answers.iter().chain(&reply.authorities).chain(&reply.additionals);
    (code(reply), records.map(|record| record.ttl).collect())
}

/// A query with these flags in its header and in its OPT.
fn flagged(id: u16, name: &str, header: u16, dnssec_ok: bool) -> Vec<u8> {
    let mut bytes = query(id, name, rtype::A, true);
    bytes[2..4].copy_from_slice(&header.to_be_bytes());
    let flags = bytes.len() - 4;
    bytes[flags] = if dnssec_ok { 0x80 } else { 0 };
    bytes
}

/// Asks with flags.
fn ask_flagged(desk: &mut Desk, name: &str, header: u16, dnssec_ok: bool) -> Message {
    let bytes = flagged(desk.next, name, header, dnssec_ok);
    desk.bytes(&bytes).reply()
}

#[test]
fn a_hit_shows_what_is_left_in_the_letters_of_its_own_question() {
    let (mut desk, upstreams) = desk("cache");
    let miss = desk.ask("Web.Example.").reply();
    assert_eq!(shows(&miss), (0, vec![60]));
    assert!(miss.metadata.authoritative, "AA as the upstream gave it");
    desk.pass(10_900);
    let hit = desk.ask("wEB.exAMple.").reply();
    assert_eq!(shows(&hit), (0, vec![50]));
    assert!(!hit.metadata.authoritative, "nobody is an authority by hearsay");
    assert!(hit.metadata.recursion_available);
    assert_eq!(hit.answers[0].name.to_ascii(), "wEB.exAMple.");
    assert_eq!(upstreams.asked().len(), 1);
    desk.pass(49_000);
    assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![1]));
    desk.pass(100);
    desk.ask("web.example.").reply();
    assert_eq!(upstreams.asked(), ["web"], "at its end it is asked for again");
    assert_eq!(count(&desk, |c| &c.requests), 4);
    assert_eq!((count(&desk, |c| &c.success_hits), count(&desk, |c| &c.misses)), (2, 2));
    desk.check_counters();
}

#[test]
fn each_record_of_a_miss_shows_its_own_ttl_below_the_cap() {
    let (mut desk, upstreams) = desk("cache 100");
    upstreams.say("two", Said::WithServer(60, 300));
    assert_eq!(shows(&desk.ask("two.example.").reply()), (0, vec![60, 100]));
    desk.pass(20_000);
    assert_eq!(shows(&desk.ask("two.example.").reply()), (0, vec![40, 80]));
    desk.pass(40_000);
    desk.ask("two.example.").reply();
    assert_eq!(upstreams.asked(), ["two", "two"], "the whole is kept for the shortest of them");
}

#[test]
fn ttl_zero_passes_once_and_is_not_kept_unless_a_floor_is_written() {
    for (lines, shown, times) in [("cache", 0, 2), ("cache {\n success 1024 60 5\n }", 5, 1)] {
        let (mut desk, upstreams) = desk(lines);
        upstreams.say("brief", Said::Addresses(vec![(0, 1)]));
        for _ in 0..2 {
            assert_eq!(shows(&desk.ask("brief.example.").reply()), (0, vec![shown]), "{lines}");
        }
        assert_eq!(upstreams.asked().len(), times, "{lines}");
    }
}

#[test]
fn negative_answers_are_kept_for_the_least_of_ttl_minimum_and_cap() {
    for (lines, said, shown) in [
        ("cache", Said::Missing(300, 40, false), vec![40]),
        ("cache", Said::Missing(30, 400, false), vec![30]),
        ("cache", Said::Missing(9000, 9000, false), vec![1800]),
        ("cache {\n denial 1024 7\n }", Said::Missing(300, 300, false), vec![7]),
        // The alias ends first, and with it all that was said behind it.
        ("cache", Said::Missing(300, 300, true), vec![50, 300]),
    ] {
        let (mut desk, upstreams) = desk(lines);
        upstreams.say("gone", said);
        let kept = u64::from(*shown.iter().min().unwrap());
        for _ in 0..2 {
            assert_eq!(shows(&desk.ask("gone.example.").reply()), (3, shown.clone()), "{lines}");
        }
        desk.pass(kept * 1000 - 1);
        desk.ask("gone.example.").reply();
        assert_eq!(upstreams.asked().len(), 1, "{lines}, {shown:?}");
        assert_eq!(count(&desk, |c| &c.denial_hits), 2);
        desk.pass(1);
        desk.ask("gone.example.").reply();
        assert_eq!(upstreams.asked().len(), 1, "{lines}, {shown:?}");
    }
}

#[test]
fn what_says_nothing_of_time_is_kept_as_the_rules_say() {
    // What is said, and for how many seconds it is kept.
    for (said, seconds) in [
        (Said::Nothing(Some(20)), 20),
        (Said::Nothing(None), 5),
        (Said::Alias, 0),
        (Said::Code(Rcode::NXDOMAIN), 0),
        (Said::Code(Rcode::REFUSED), 0),
        (Said::Code(Rcode::FORMERR), 0),
        (Said::Code(Rcode::SERVFAIL), 5),
        (Said::Code(Rcode::NOTIMP), 5),
        (Said::Busy, 0),
        (Said::Cut, 0),
        (Said::Signed(60, -1), 0),
        (Said::Signed(60, 30), 30),
        (Said::Signed(60, 3000), 60),
    ] {
        let (mut desk, upstreams) = desk("cache");
        upstreams.say("odd", said);
        let first = shows(&desk.ask("odd.example.").reply());
        desk.pass(u64::max(seconds * 1000, 1) - 1);
        let again = desk.ask("odd.example.").reply();
        assert_eq!(upstreams.asked().len(), if seconds > 0 { 1 } else { 2 }, "{first:?}");
        assert_eq!(code(&again), first.0);
        desk.pass(1);
        desk.ask("odd.example.").reply();
        assert_eq!(upstreams.asked().len(), 1, "{first:?}");
    }
}

#[test]
fn a_kept_failure_says_so_and_its_time_can_be_chosen() {
    for (lines, asked) in [("cache", 1), ("cache {\n servfail 0\n }", 2), ("cache {\n servfail 1m\n }", 1)] {
        let (mut desk, upstreams) = desk(lines);
        upstreams.say("bad", Said::Code(Rcode::SERVFAIL));
        assert_eq!(ede(&desk.ask("bad.example.").reply()), None);
        let again = desk.ask("bad.example.").reply();
        assert_eq!((code(&again), ede(&again)), (2, (asked == 1).then_some(13)), "{lines}");
        assert_eq!(upstreams.asked().len(), asked, "{lines}");
    }
}

#[test]
fn class_type_do_and_cd_are_kept_apart_and_ad_is_hidden_from_those_who_did_not_ask() {
    let (mut desk, upstreams) = desk("cache");
    upstreams.say("key", Said::Signed(60, 3000));
    let flags = [(0x0100, false), (0x0100, true), (0x0110, false), (0x0110, true)];
    for round in 0..2 {
        for (header, dnssec_ok) in flags {
            let reply = ask_flagged(&mut desk, "key.example.", header, dnssec_ok);
            assert_eq!(reply.metadata.authentic_data, dnssec_ok, "round {round}");
        }
        assert_eq!(upstreams.asked().len(), if round == 0 { 4 } else { 0 });
    }
    assert!(ask_flagged(&mut desk, "key.example.", 0x0120, false).metadata.authentic_data);
    assert_eq!(upstreams.asked().len(), 0, "AD in a query is no key");
    desk.ask_type("key.example.", rtype::AAAA).reply();
    assert_eq!(upstreams.asked().len(), 1);
}

#[test]
fn what_was_asked_without_recursion_is_not_kept_but_gets_what_is() {
    let (mut desk, upstreams) = desk("cache");
    upstreams.say("web", Said::Nothing(None));
    ask_flagged(&mut desk, "web.example.", 0, false);
    upstreams.say("web", Said::Addresses(vec![(60, 1)]));
    assert_eq!(desk.ask("web.example.").reply().answers.len(), 1);
    assert_eq!(ask_flagged(&mut desk, "web.example.", 0, false).answers.len(), 1);
    assert_eq!(upstreams.asked().len(), 2);
}

#[test]
fn only_names_of_its_zones_are_kept_and_disabled_kinds_are_not() {
    let lines = "cache 30 example org {\n disable success a.example\n disable denial b.example\n }";
    let (mut desk, upstreams) = desk(lines);
    upstreams.say("gone", Said::Missing(60, 60, false));
    upstreams.say("bad", Said::Code(Rcode::SERVFAIL));
    for (name, ttl, times) in [
        ("web.example.", 30, 1),
        ("web.org.", 30, 1),
        ("web.com.", 60, 2),
        ("web.a.example.", 30, 2),
        ("gone.a.example.", 30, 1),
        ("web.b.example.", 30, 1),
        ("gone.b.example.", 30, 2),
    ] {
        for _ in 0..2 {
            assert_eq!(shows(&desk.ask(name).reply()).1, [ttl], "{name}");
        }
        assert_eq!(upstreams.asked().len(), times, "{name}");
    }
    for _ in 0..2 {
        desk.ask("bad.b.example.").reply();
    }
    assert_eq!(upstreams.asked().len(), 2);
}

#[test]
fn keepttl_shows_the_first_ttl_until_the_end() {
    let (mut desk, upstreams) = desk("cache {\n keepttl\n }");
    for seconds in [0, 30, 29] {
        desk.pass(seconds * 1000);
        assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![60]));
    }
    assert_eq!(upstreams.asked().len(), 1);
    desk.pass(1000);
    desk.ask("web.example.").reply();
    assert_eq!(upstreams.asked().len(), 1);
}

#[test]
fn the_step_stands_in_front_of_the_network_wherever_its_word_stands() {
    let upstreams = Upstreams::default();
    let text = ".:53 {\n bind 127.0.0.1\n cache\n whoami\n forward example 192.0.2.53\n \
                kubernetes cluster.local {\n manifests none\n }\n loadbalance\n}\n";
    let (plan, warnings) = built(text, &upstreams);
    let words: Vec<&str> = plan.chains[0].steps.iter().map(|step| step.word()).collect();
    assert_eq!(words, ["loadbalance", "kubernetes", "cache", "forward", "whoami"]);
    assert_eq!(warnings, Vec::<String>::new());
    let mut desk = Desk::new(Arc::new(plan), 4);
    // A name of the cluster, before its objects are there.
    assert!(matches!(desk.ask("web.shop.svc.cluster.local."), Got::Waiting));
    assert_eq!(count(&desk, |c| &c.requests), 0, "local names never come here");
}

#[test]
fn what_a_step_behind_the_network_answers_is_not_kept() {
    let diary = Diary::default();
    let upstreams = Upstreams::default();
    let (mut plan, _) =
        built(".:53 {\n bind 127.0.0.1\n cache\n whoami\n forward . 192.0.2.53\n}\n", &upstreams);
    // The upstreams' step lets everything pass to the one behind it.
    plan.chains[0].steps[1] = Scripted::pass("forward", &diary);
    plan.chains[0].steps[2] = Scripted::new("whoami", &diary, |asked, _, _| script::address(asked, 1));
    let mut desk = Desk::new(Arc::new(plan), 4);
    for _ in 0..2 {
        assert_eq!(code(&desk.ask("me.example.").reply()), 0);
    }
    assert_eq!(count(&desk, |c| &c.misses), 2);
}

#[test]
fn every_form_of_the_line_means_what_coredns_means_by_it() {
    use crate::cache::{Options, Prefetch, Side, Stale, StaleMode};
    let usual = Options::default();
    let side = |entries: u64, cap, floor| Side { budget: entries * 512, cap, floor };
    assert_eq!((usual.success, usual.denial), (side(9984, 3600, 0), side(9984, 1800, 0)));
    let seconds = Duration::from_secs;
    let capped = Options { success: side(9984, 30, 0), denial: side(9984, 30, 0), ..usual.clone() };
    let success = |success| Options { success, ..usual.clone() };
    let fetch = |amount, gap, percent| {
        let prefetch = Some(Prefetch { amount, gap: seconds(gap), percent });
        Options { prefetch, ..usual.clone() }
    };
    let stale = |up_to, mode, ttl, recheck| {
        let (up_to, recheck) = (seconds(up_to), seconds(recheck));
        Options { stale: Some(Stale { up_to, mode, ttl, recheck, prefer_positive: false }), ..usual.clone() }
    };
    let (now, verify) = (StaleMode::Immediate, StaleMode::Verify(None));
    for (lines, want) in [
        ("cache", usual.clone()),
        ("cache 30", capped.clone()),
        ("cache +30 example.org", capped),
        ("cache 30 {\n denial 2000\n success 20000 60 10\n }", {
            Options { success: side(20_000, 60, 10), denial: side(2000, 30, 0), ..usual.clone() }
        }),
        ("cache {\n success 0\n }", success(side(1024, 3600, 0))),
        ("cache {\n success -7 9999999999\n }", success(side(1024, 0x7fff_ffff, 0))),
        ("cache {\n servfail 0\n }", Options { failure: Duration::ZERO, ..usual.clone() }),
        ("cache {\n prefetch 0 1m 20%\n }", usual.clone()),
        ("cache {\n prefetch 5\n }", fetch(5, 60, 10)),
        ("cache {\n prefetch 5 10s 90%\n }", fetch(5, 10, 90)),
        ("cache {\n serve_stale\n }", stale(3600, now, 0, 0)),
        ("cache {\n serve_stale 0\n }", usual.clone()),
        ("cache {\n serve_stale 5m IMMEDIATE 30s 1m\n }", stale(300, now, 30, 60)),
        ("cache {\n serve_stale 1h verify 0 30s\n }", stale(3600, verify, 30, 0)),
        ("cache {\n serve_stale 1h verify 2s 30s 5m\n }", {
            stale(3600, StaleMode::Verify(Some(seconds(2))), 30, 300)
        }),
        ("cache {\n serve_stale 1h verify\n serve_stale 2h\n }", stale(7200, now, 0, 0)),
        ("cache {\n keepttl\n }", Options { keep_ttl: true, ..usual.clone() }),
    ] {
        let (desk, _) = desk(lines);
        let plan = desk.active.plan();
        let cached = plan.chains[0].cache.as_ref().expect("there is a cache");
        assert_eq!(cached.cache.options(), &want, "{lines}");
    }
}

#[test]
fn a_cache_in_front_of_nothing_is_told() {
    let (plan, warnings) = built(".:53 {\n cache 30\n whoami\n}\n", &Upstreams::default());
    assert_eq!(plan.chains[0].steps.len(), 1);
    assert!(plan.chains[0].cache.is_none());
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("Corefile:2:2: `cache` has nothing to do"),
        "{warnings:?}"
    );
}

#[test]
fn a_question_on_behalf_of_another_is_answered_from_the_cache() {
    let upstreams = Upstreams::default();
    let diary = Diary::default();
    let (mut plan, _) = built(
        ".:53 {\n bind 127.0.0.1\n cache {\n serve_stale 1h verify 100ms\n }\n loadbalance\n forward . 192.0.2.53\n}\n",
        &upstreams,
    );
    // In front of all: `for.X` asks for `X`.
    plan.chains[0].steps[0] = Scripted::new("loadbalance", &diary, |asked, answer, _| match answer {
        None if script::first(asked) == "for" => {
            let question = Box::new(Question::new(&parse_name("web.example.").unwrap(), rtype::A).unwrap());
            Flow::Wait(Ask::Question { question, held: None })
        }
        None => Flow::Next,
        Some(Answer::Reply { reply, question, .. }) => {
            let mut draft = asked.draft();
            draft.append_answer(&reply.sections, &question);
            Flow::Reply(Reply::new(reply.head.rcode, draft))
        }
        Some(other) => panic!("{other:?}"),
    });
    let mut desk = Desk::new(Arc::new(plan), 4);
    for _ in 0..2 {
        let reply = desk.ask("for.web.").reply();
        assert_eq!(reply.answers[0].name.to_ascii(), "web.example.");
    }
    assert_eq!(shows(&desk.ask("web.example.").reply()), (0, vec![60]));
    assert_eq!(upstreams.asked(), ["web"]);
    // Beyond its time, and with upstreams that say nothing.
    desk.pass(60_000);
    upstreams.say("web", Said::Silence);
    assert!(matches!(desk.ask("for.web."), Got::Waiting));
    desk.pass(100);
    let [(_, got)] = desk.poll(false).try_into().unwrap();
    assert_eq!(shows(&got.reply()), (0, vec![0]));
}
