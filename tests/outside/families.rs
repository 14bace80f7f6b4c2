//! `families` (rule F-08): the useless half of all questions for addresses is answered from the other half.

use std::time::Duration;

use signpost::app::ServeOptions;
use signpost::time::{Clock, Wall};

use crate::harness::{Client, Via};
use crate::script::Upstream;
use crate::{World, bytes, manifests, until, write_manifests};

/// What the upstream says; of most names it knows both families.
const ROWS: &str = "
    www.example.com A: @ 20 A 192.0.2.1
    www.example.com AAAA: @ 20 AAAA 2001:db8::1
    other.example.com A: @ 20 A 192.0.2.2
    other.example.com AAAA: @ 20 AAAA 2001:db8::2
    alias.example.com A: @ 40 CNAME www.example.com; www.example.com 20 A 192.0.2.1
    alias.example.com AAAA: @ 40 CNAME www.example.com; www.example.com 20 AAAA 2001:db8::1
    long.example.com A: @ 86400 A 192.0.2.9
    long.example.com AAAA: @ 86400 AAAA 2001:db8::9
    text.example.com A: +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
    text.example.com AAAA: +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
    text.example.com TXT: @ 20 TXT hello
    gone.example.com *: NXDOMAIN; +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
    half.example.com A: @ 20 A 192.0.2.3
    half.example.com AAAA: SERVFAIL
    mute.example.com A: @ 20 A 192.0.2.4
    mute.example.com AAAA: silence
";

/// The lines of a block that forwards and caches.
fn lines(upstream: &Upstream, families: &str) -> String {
    format!("    forward . {} {{\n        families {families}\n    }}\n    cache 3600", upstream.addr)
}

/// An upstream and a server that asks it, on a clock that the test moves.
fn start(families: &str) -> (Upstream, World) {
    let upstream = Upstream::start(ROWS);
    let world = World::new(&lines(&upstream, families));
    (upstream, world)
}

/// The SOA that is made up for a name that has addresses of the other family.
fn made_up(ttl: u32) -> String {
    format!("authority @ {ttl} SOA . . * 7200 1800 86400 {ttl}\n")
}

/// The code of a reply, then its records.
fn parts(reply: &str) -> (&str, String) {
    let (head, rest) = reply.split_once('\n').unwrap();
    let records = rest.lines().filter(|line| !line.starts_with("edns")).map(|line| format!("{line}\n"));
    (head.split(' ').next().unwrap(), records.collect())
}

/// Asserts that the upstream was asked nothing of this type.
fn never(upstream: &Upstream, qtype: &str) {
    let asked = upstream.script.asked();
    let end = format!(" {qtype}");
    assert!(!asked.iter().any(|line| line.ends_with(&end)), "{asked:?}");
}

#[test]
fn with_ipv4_the_other_half_is_answered_here_and_no_such_packet_leaves() {
    let (upstream, world) = start("ipv4");
    let six = world.ask("www.example.com. AAAA +rd");
    assert_eq!(parts(&six), ("NOERROR", made_up(20)), "{six}");
    let alias = world.ask("alias.example.com. AAAA +rd");
    let want = format!("answer @ 40 CNAME www.example.com.\n{}", made_up(20));
    assert_eq!(parts(&alias), ("NOERROR", want), "{alias}");
    let gone = world.ask("gone.example.com. AAAA +rd");
    assert!(gone.starts_with("NXDOMAIN"), "{gone}");
    assert!(gone.contains("authority example.com. 60 SOA ns.example.com."), "the upstream's SOA: {gone}");
    let text = world.ask("text.example.com. AAAA +rd");
    let (code, records) = parts(&text);
    assert_eq!(code, "NOERROR", "{text}");
    assert!(records.starts_with("authority example.com. ") && records.lines().count() == 1, "{text}");
    // An hour is longer than an answer about what nobody uses may hold.
    let long = world.ask("long.example.com. AAAA +rd");
    assert_eq!(parts(&long), ("NOERROR", made_up(300)), "{long}");
    // What was asked serves the useful half.
    for (name, address) in [("www", "192.0.2.1"), ("alias", "192.0.2.1"), ("long", "192.0.2.9")] {
        let four = world.ask(&format!("{name}.example.com. A +rd"));
        assert!(four.contains(address), "{four}");
        assert_eq!(upstream.script.count(&format!("{name}.example.com A")), 1, "a hit: {name}");
    }
    assert!(world.ask("gone.example.com. A +rd").starts_with("NXDOMAIN"));
    assert_eq!(upstream.script.count("gone.example.com A"), 1, "a hit");
    assert!(world.ask("text.example.com. TXT +rd").contains("hello"), "other types are asked as they are");
    never(&upstream, "AAAA");
}

#[test]
fn the_half_that_was_asked_first_serves_the_other_one_too() {
    let (upstream, world) = start("ipv4");
    assert!(world.ask("www.example.com. A +rd").contains("192.0.2.1"));
    let six = world.ask("www.example.com. AAAA +rd");
    assert_eq!(parts(&six), ("NOERROR", made_up(20)), "{six}");
    world.clock.advance(Duration::from_secs(12));
    let six = world.ask("www.example.com. AAAA +rd");
    // The whole holds no longer than the addresses that it is made from.
    assert!(six.contains("authority @ 8 SOA"), "{six}");
    assert_eq!(upstream.script.count("www.example.com A"), 1);
    never(&upstream, "AAAA");
}

#[test]
fn with_ipv6_it_is_the_other_way_round() {
    let (upstream, world) = start("ipv6");
    let four = world.ask("www.example.com. A +rd");
    assert_eq!(parts(&four), ("NOERROR", made_up(20)), "{four}");
    assert!(world.ask("www.example.com. AAAA +rd").contains("2001:db8::1"));
    assert!(world.ask("gone.example.com. A +rd").starts_with("NXDOMAIN"));
    assert_eq!(upstream.script.count("www.example.com AAAA"), 1);
    never(&upstream, "A");
}

#[test]
fn the_useless_half_fails_as_the_useful_one_does() {
    let (upstream, world) = start("ipv6");
    let got = world.got("half.example.com", 1);
    assert_eq!((got.code, got.records.len()), (2, 0), "{got:?}");
    assert_eq!(upstream.script.count("half.example.com AAAA"), 1);
    never(&upstream, "A");
}

#[test]
fn with_dual_both_halves_are_asked_as_they_come() {
    let (upstream, world) = start("dual");
    assert!(world.ask("www.example.com. A +rd").contains("192.0.2.1"));
    assert!(world.ask("www.example.com. AAAA +rd").contains("2001:db8::1"));
    assert!(world.ask("gone.example.com. AAAA +rd").starts_with("NXDOMAIN"));
    assert_eq!(upstream.script.count("gone.example.com A"), 0);
}

#[test]
fn a_half_that_fails_does_not_spoil_the_one_that_is_known() {
    let (upstream, world) = start("dual");
    assert!(world.ask("half.example.com. A +rd").contains("192.0.2.3"));
    let got = world.got("half.example.com", 28);
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(got.ede.clone().expect("a reason").0, 22);
    let soa: Vec<(usize, &str, u32)> =
        got.records.iter().map(|record| (record.section, record.rtype.as_str(), record.ttl)).collect();
    assert_eq!(soa, [(1, "SOA", 5)], "{got:?}");
    // Nothing of it is left once the other half can be had again.
    upstream
        .script
        .say(&ROWS.replace("half.example.com AAAA: SERVFAIL", "half.example.com AAAA: @ 9 AAAA 2001:db8::3"));
    world.clock.advance(Duration::from_secs(6));
    let six = world.ask("half.example.com. AAAA +rd");
    assert!(six.contains("2001:db8::3"), "{six}");
    assert!(world.ask("half.example.com. A +rd").contains("192.0.2.3"));
    assert_eq!(upstream.script.count("half.example.com A"), 1, "still kept");
}

#[test]
fn a_half_that_fails_is_servfail_where_the_other_is_not_known() {
    let (upstream, world) = start("dual");
    let got = world.got("half.example.com", 28);
    assert_eq!((got.code, got.records.len()), (2, 0), "{got:?}");
    assert_eq!(got.ede.expect("a reason").0, 22);
    assert_eq!(upstream.script.count("half.example.com A"), 0, "nobody asked for it");
    // Nor is a name known by what it has not.
    assert!(world.ask("text.example.com. A +rd").starts_with("NOERROR"));
    upstream.script.say("text.example.com AAAA: SERVFAIL");
    assert_eq!(world.got("text.example.com", 28).code, 2);
}

#[test]
fn a_half_that_is_silent_is_the_same_once_its_time_is_over() {
    let upstream = Upstream::start(ROWS);
    let world = World::in_time(&lines(&upstream, "dual"));
    assert!(world.ask("mute.example.com. A +rd").contains("192.0.2.4"));
    let began = world.clock.now();
    let got = world.got("mute.example.com", 28);
    let waited = world.clock.now().since(began);
    assert!(waited < Duration::from_secs(3), "not the whole budget: {waited:?}");
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(got.ede.clone().expect("a reason").0, 22);
    assert!(got.records.iter().all(|record| record.rtype == "SOA" && record.ttl <= 5), "{got:?}");
    assert_eq!(got.records.len(), 1);
}

/// The lines of a block with `families auto` and the cluster of these manifests.
fn auto(upstream: &Upstream, folder: &tempfile::TempDir) -> String {
    format!("    kubernetes cluster.local {{\n        manifests {}\n    }}\n", folder.path().display())
        + &lines(upstream, "auto")
}

#[test]
fn auto_follows_the_clusters_dns_service() {
    let upstream = Upstream::start(ROWS);
    let folder = manifests(&["kube-dns 10.96.0.10"]);
    let world = World::new(&auto(&upstream, &folder));
    let six = world.ask("www.example.com. AAAA +rd");
    assert_eq!(parts(&six), ("NOERROR", made_up(20)), "{six}");
    never(&upstream, "AAAA");
    // Both families.
    write_manifests(&folder, &["kube-dns 10.96.0.10 fd00:96::10"]);
    until("the Service has both families", || {
        world.ask("kube-dns.kube-system.svc.Z AAAA").contains("fd00:96::10")
    });
    assert!(world.ask("other.example.com. AAAA +rd").contains("2001:db8::2"));
    // IPv6 alone.
    let before = upstream.script.count("long.example.com A");
    write_manifests(&folder, &["kube-dns fd00:96::10"]);
    until("the Service has IPv6 alone", || !world.ask("kube-dns.kube-system.svc.Z A").contains("10.96.0.10"));
    let four = world.ask("long.example.com. A +rd");
    assert_eq!(parts(&four), ("NOERROR", made_up(300)), "{four}");
    assert_eq!(upstream.script.count("long.example.com A"), before);
}

#[test]
fn auto_asks_for_both_where_there_is_no_such_service() {
    let upstream = Upstream::start(ROWS);
    let folder = manifests(&["web 10.96.0.1"]);
    let world = World::new(&auto(&upstream, &folder));
    assert!(world.ask("www.example.com. AAAA +rd").contains("2001:db8::1"));
    assert!(world.ask("www.example.com. A +rd").contains("192.0.2.1"));
}

#[test]
fn without_a_cache_the_other_half_is_asked_each_time_and_still_no_such_packet_leaves() {
    let upstream = Upstream::start(ROWS);
    let world = World::new(&format!("    forward . {} {{\n        families ipv4\n    }}", upstream.addr));
    for asked in 1..=2 {
        let six = world.ask("www.example.com. AAAA +rd");
        assert_eq!(parts(&six), ("NOERROR", made_up(20)), "{six}");
        assert_eq!(upstream.script.count("www.example.com A"), asked);
    }
    never(&upstream, "AAAA");
}

#[test]
fn an_alias_of_the_cluster_to_a_name_outside_is_served_the_same_way() {
    let upstream = Upstream::start(ROWS);
    let folder = manifests(&["kube-dns 10.96.0.10", "out =www.example.com"]);
    let world = World::new(&auto(&upstream, &folder));
    let six = world.ask("out.shop.svc.Z AAAA +rd");
    assert_eq!(six, "NOERROR aa rd ra\nanswer @ 5 CNAME www.example.com.\n");
    let four = world.ask("out.shop.svc.Z A +rd");
    assert!(four.contains("answer www.example.com. 20 A 192.0.2.1"), "{four}");
    assert_eq!(upstream.script.count("www.example.com A"), 1);
    never(&upstream, "AAAA");
}

#[test]
fn a_stale_half_is_refreshed_through_the_other_one() {
    let upstream = Upstream::start(ROWS);
    let world = World::new(&format!(
        "    forward . {} {{\n        families ipv4\n    }}\n    cache 3600 {{\n        serve_stale 1h immediate\n    }}",
        upstream.addr
    ));
    assert_eq!(parts(&world.ask("www.example.com. AAAA +rd")), ("NOERROR", made_up(20)));
    world.clock.advance(Duration::from_secs(30));
    let stale = world.ask("www.example.com. AAAA +rd");
    assert!(stale.contains("authority @ 0 SOA"), "{stale}");
    until("the refresh", || upstream.script.count("www.example.com A") == 2);
    until("the fresh answer", || parts(&world.ask("www.example.com. AAAA +rd")) == ("NOERROR", made_up(20)));
    assert!(world.ask("www.example.com. A +rd").contains("answer @ 20 A 192.0.2.1"));
    never(&upstream, "AAAA");
}

#[test]
fn while_a_half_is_saved_the_failing_one_is_not_asked_at_every_question() {
    let (upstream, world) = start("dual");
    assert!(world.ask("half.example.com. A +rd").contains("192.0.2.3"));
    for _ in 0..10 {
        let got = world.got("half.example.com", 28);
        assert_eq!((got.code, got.records.len()), (0, 1), "{got:?}");
    }
    // Tried again where an upstream failed, and no more for as long as the answer holds.
    let asked = upstream.script.count("half.example.com AAAA");
    assert!(asked <= 2, "{asked}");
    assert_eq!(upstream.script.count("half.example.com A"), 1);
}

#[test]
fn a_half_that_fails_first_does_not_make_the_other_one_fail() {
    let (upstream, world) = start("dual");
    // Both are asked at once, as libraries do, and the failure comes first.
    assert_eq!(world.got("half.example.com", 28).code, 2);
    let four = world.ask("half.example.com. A +rd");
    assert!(four.contains("192.0.2.3"), "a look into the cache is no failure to keep: {four}");
    assert_eq!(upstream.script.count("half.example.com A"), 1);
}

#[test]
fn a_half_that_fails_first_leaves_what_is_stale_of_the_other_one() {
    let upstream = Upstream::start(ROWS);
    for mode in ["immediate", "verify"] {
        upstream.script.say(ROWS);
        let world = World::new(&format!(
            "    forward . {} {{\n        families dual\n    }}\n    cache 3600 {{\n        serve_stale 1h {mode}\n    }}",
            upstream.addr
        ));
        assert!(world.ask("half.example.com. A +rd").contains("192.0.2.3"));
        world.clock.advance(Duration::from_secs(30));
        upstream.script.say("half.example.com *: SERVFAIL");
        let got = world.got("half.example.com", 28);
        assert_eq!((got.code, got.records.len()), (0, 1), "{mode}: {got:?}");
        let four = world.ask("half.example.com. A +rd");
        assert!(four.contains("192.0.2.3"), "{mode}: {four}");
    }
}

#[test]
fn at_the_end_of_the_longest_chain_of_questions_there_is_a_reply() {
    for families in ["ipv4", "dual"] {
        for links in 9..=12 {
            let upstream = Upstream::start("half.example.com *: SERVFAIL");
            // Two clusters whose Services point at each other, the last one outside.
            let target = |link: usize| match link {
                link if link == links => "half.example.com".to_owned(),
                link => format!("s{link}.shop.svc.{}", if link % 2 == 0 { "one.test" } else { "two.test" }),
            };
            let services: Vec<String> =
                (0..links).map(|link| format!("s{link} ={}", target(link + 1))).collect();
            let folder = manifests(&services.iter().map(String::as_str).collect::<Vec<_>>());
            let cluster = |zone: &str| {
                let path = folder.path().display();
                format!(
                    "{zone}:0 {{\n    bind 127.0.0.1\n    kubernetes {zone} {{\n        manifests {path}\n    }}\n}}\n"
                )
            };
            let rest = lines(&upstream, families);
            let world = World::text(&format!(
                "{}{}.:0 {{\n    bind 127.0.0.1\n{rest}\n}}\n",
                cluster("one.test"),
                cluster("two.test")
            ));
            for qtype in [1, 28] {
                let got = world.got("s0.shop.svc.one.test", qtype);
                // Failed, or too long a way: never no reply at all.
                assert!(got.code == 2 || got.records.iter().all(|record| record.rtype == "CNAME"), "{got:?}");
            }
        }
    }
}

#[test]
fn a_failure_that_is_kept_is_made_up_for_as_soon_as_the_other_half_is_known() {
    let (upstream, world) = start("dual");
    assert_eq!(world.got("half.example.com", 28).code, 2, "nothing is known yet, and that is kept");
    let asked = upstream.script.count("half.example.com AAAA");
    assert!(world.ask("half.example.com. A +rd").contains("192.0.2.3"));
    let got = world.got("half.example.com", 28);
    assert_eq!((got.code, got.records.len()), (0, 1), "{got:?}");
    assert_eq!(got.ede.clone().expect("a reason").0, 22);
    assert_eq!(upstream.script.count("half.example.com AAAA"), asked, "and nobody was asked for that");
}

#[test]
fn a_failure_that_is_kept_is_not_prolonged_by_those_who_hear_of_it() {
    let (upstream, world) = start("dual");
    assert_eq!(world.got("half.example.com", 28).code, 2);
    upstream
        .script
        .say(&ROWS.replace("half.example.com AAAA: SERVFAIL", "half.example.com AAAA: @ 9 AAAA 2001:db8::3"));
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.got("half.example.com", 28).code, 2);
    }
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.got("half.example.com", 28).code, 0, "six seconds later it is asked for again");
}

#[test]
fn an_answer_beyond_its_time_is_served_where_no_query_can_wait() {
    let upstream = Upstream::start("www.example.com A: @ 20 A 192.0.2.1\nslow.example.com A: silence");
    let text = format!(
        ".:0 {{\n    bind 127.0.0.1\n    forward . {}\n    cache 3600 {{\n        serve_stale 1h verify\n    }}\n}}\n",
        upstream.addr
    );
    let clock = Clock::manual(Wall(1_700_000_000));
    let world = World::with(ServeOptions { text, clock, waiting: 1, ..ServeOptions::default() });
    assert!(world.ask("www.example.com. A +rd").contains("192.0.2.1"));
    world.clock.advance(Duration::from_secs(30));
    // The one place is taken.
    let mut other = Client::new(Via::Udp, world.running.addresses()[0]);
    other.send(&bytes::query(1, "slow.example.com", 1, &[]));
    until("the slow one waits", || upstream.script.count("slow.example.com A") == 1);
    let got = world.got("www.example.com", 1);
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(got.ede.clone().expect("a reason").0, 3, "{got:?}");
    // The server does not end before the slow one's time is up.
    world.clock.advance(Duration::from_secs(5));
}
