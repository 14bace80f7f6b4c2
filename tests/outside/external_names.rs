//! ExternalName Services whose targets upstreams know (K-131, K-137, K-138, K-142 to K-144).

use tempfile::TempDir;

use crate::World;
use crate::harness::{Ask, Client, Via, expand};
use crate::manifests;
use crate::script::Upstream;

/// What the upstream says.
const ROWS: &str = "
    www.example.com A: @ 20 A 192.0.2.1; @ 25 A 192.0.2.2
    www.example.com AAAA: +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
    chain.example.com A: @ 20 CNAME a.example.net; a.example.net 10 CNAME b.example.net; b.example.net 15 A 192.0.2.3
    gone.example.com *: NXDOMAIN; +example.com 60 SOA ns.example.com host.example.com 1 2 3 4 60
    empty.example.com *:
    broken.example.com *: SERVFAIL
    refused.example.com *: REFUSED
    quiet.example.com *: silence
    big.example.com A: tc; BIG
";

/// How many addresses the long answer has.
const MANY: u8 = 60;

/// The Services, one a name of the upstream.
const NAMES: &[&str] = &["www", "chain", "gone", "empty", "broken", "refused", "quiet", "big"];

/// The TTL of the cluster's own records.
const TTL: u32 = 30;

/// A cluster whose Services lead to names of an upstream; the folder holds its manifests.
fn lines(upstream: &Upstream, options: &str) -> (TempDir, String) {
    let services: Vec<String> = NAMES.iter().map(|name| format!("{name} ={name}.example.com")).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let folder = manifests(&[&services[..], &["again =www.shop.svc.cluster.local"]].concat());
    let text = format!(
        "    kubernetes cluster.local in-addr.arpa ip6.arpa {{\n        manifests {}\n        ttl {TTL}\n    }}\n    \
         forward . {} {{\n{options}\n    }}\n    cache 300",
        folder.path().display(),
        upstream.addr
    );
    (folder, text)
}

/// An upstream with the rows above.
fn upstream() -> Upstream {
    let many: Vec<String> = (0..MANY).map(|last| format!("@ 20 A 198.51.100.{last}")).collect();
    Upstream::start(&ROWS.replace("BIG", &many.join("; ")))
}

/// A server in front of this upstream, on a clock that the test moves.
fn world(upstream: &Upstream) -> (TempDir, World) {
    let (folder, lines) = lines(upstream, "");
    (folder, World::new(&lines))
}

/// Asserts a reply over UDP and TCP to a question with RD, as clients set it: without it nothing is kept (rule C-05).
fn check(world: &World, ask: &str, short: &str) {
    let nodata = short.starts_with("NODATA");
    let short = if nodata { "NODATA rd ra".to_owned() } else { format!("NOERROR aa rd ra; {short}") };
    for mut client in Client::all(&world.running.addresses()) {
        let ask = Ask::parse(&format!("{ask} +rd"));
        assert_eq!(client.ask(&ask), expand(&short, &ask, TTL), "{ask:?}: {short}");
    }
}

#[test]
fn an_alias_comes_with_addresses_whose_ttls_are_the_upstreams_and_is_cached() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    let both = "@ CNAME www.example.com.; www.example.com. 20 A 192.0.2.1; www.example.com. 25 A 192.0.2.2";
    check(&world, "www.shop.svc.Z A", both);
    check(&world, "WWW.shop.svc.CLUSTER.local. A +edns", &format!("edns 1232; {both}"));
    assert_eq!(upstream.script.count("www.example.com A"), 1, "{:?}", upstream.script.asked());
    // The cluster's record does not age, the outside's do.
    world.clock.advance(std::time::Duration::from_secs(8));
    let aged = "@ CNAME www.example.com.; www.example.com. 12 A 192.0.2.1; www.example.com. 17 A 192.0.2.2";
    check(&world, "www.shop.svc.Z A", aged);
    assert_eq!(upstream.script.count("www.example.com A"), 1);
    let direct = world.ask("www.example.com. A +rd");
    assert!(direct.contains("answer @ 12 A 192.0.2.1"), "the same entry: {direct}");
    world.clock.advance(std::time::Duration::from_secs(13));
    check(&world, "www.shop.svc.Z A", both);
    assert_eq!(upstream.script.count("www.example.com A"), 2);
}

#[test]
fn a_chain_inside_that_leads_outside_is_one_chain() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    check(
        &world,
        "again.shop.svc.Z A",
        "@ CNAME www.shop.svc.Z; www.shop.svc.Z CNAME www.example.com.; \
         www.example.com. 20 A 192.0.2.1; www.example.com. 25 A 192.0.2.2",
    );
}

#[test]
fn an_upstreams_chain_is_passed_on_as_it_came() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    check(
        &world,
        "chain.shop.svc.Z A",
        "@ CNAME chain.example.com.; chain.example.com. 20 CNAME a.example.net.; \
         a.example.net. 10 CNAME b.example.net.; b.example.net. 15 A 192.0.2.3",
    );
    assert_eq!(upstream.script.count("a.example.net A"), 0, "nothing is asked that was said already");
}

#[test]
fn a_target_that_is_not_there_or_empty_is_the_alias_alone() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    for _ in 0..2 {
        check(&world, "gone.shop.svc.Z A", "@ CNAME gone.example.com.");
        check(&world, "empty.shop.svc.Z A", "@ CNAME empty.example.com.");
        check(&world, "www.shop.svc.Z AAAA", "@ CNAME www.example.com.");
    }
    for question in ["gone.example.com A", "empty.example.com A", "www.example.com AAAA"] {
        assert_eq!(upstream.script.count(question), 1, "{question}");
    }
    // The alias itself is nobody's question.
    check(&world, "quiet.shop.svc.Z CNAME", "@ CNAME quiet.example.com.");
    check(&world, "quiet.shop.svc.Z TXT", "NODATA");
    assert_eq!(upstream.script.count("quiet.example.com CNAME"), 0);
    assert_eq!(upstream.script.count("quiet.example.com TXT"), 0);
}

#[test]
fn a_target_whose_upstream_fails_is_servfail_with_a_reason() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    for name in ["broken", "refused"] {
        let got = world.got(&format!("{name}.shop.svc.cluster.local"), 1);
        assert_eq!((got.code, got.records.len()), (2, 0), "{name}: {got:?}");
        assert_eq!(got.ede.expect("a reason").0, 22, "{name}");
    }
}

#[test]
fn a_target_whose_upstream_is_silent_is_servfail_in_time_and_others_are_answered() {
    let upstream = upstream();
    let (_folder, lines) = lines(&upstream, "");
    let world = World::in_time(&lines);
    let mut waiting = Client::new(Via::Udp, world.running.addresses()[0]);
    waiting.send(&Ask::parse("quiet.shop.svc.Z A +edns").bytes(7));
    crate::until("the question", || upstream.script.count("quiet.example.com A") > 0);
    check(&world, "quiet.shop.svc.Z CNAME", "@ CNAME quiet.example.com.");
    let direct = world.ask("www.shop.svc.Z A");
    assert!(direct.contains("192.0.2.1"), "{direct}");
    // Before a client with the usual 5 s asks again (rule F-03).
    let reply = waiting.receive(crate::harness::PATIENCE).expect("a reply in time");
    let (_, got) = crate::bytes::Got::read(&reply);
    assert_eq!((got.code, got.records.len()), (2, 0), "{got:?}");
    assert_eq!(got.ede.expect("a reason").0, 22);
}

#[test]
fn a_long_answer_is_fetched_over_tcp_and_cut_for_the_client_that_needs_it() {
    let upstream = upstream();
    let (_folder, world) = world(&upstream);
    let addr = world.running.addresses()[0];
    let whole = Client::new(Via::Tcp, addr).ask(&Ask::parse("big.shop.svc.Z A +rd"));
    assert!(whole.starts_with("NOERROR aa rd ra\nanswer @ 30 CNAME big.example.com.\n"), "{whole}");
    assert_eq!(whole.matches(" A 198.51.100.").count(), usize::from(MANY), "{whole}");
    let cut = Client::new(Via::Udp, addr).ask(&Ask::parse("big.shop.svc.Z A +rd"));
    assert!(cut.starts_with("NOERROR aa tc rd ra\nanswer @ 30 CNAME big.example.com.\n"), "K-143: {cut}");
    let asked = upstream.script.asked();
    let about: Vec<&String> = asked.iter().filter(|line| line.ends_with(" big.example.com A")).collect();
    assert_eq!(about, ["udp big.example.com A", "tcp big.example.com A"], "once each");
}

#[test]
fn without_a_line_about_the_target_the_alias_stands_alone() {
    let upstream = upstream();
    let (_folder, lines) = lines(&upstream, "        except example.com");
    let world = World::new(&lines);
    check(&world, "www.shop.svc.Z A", "@ CNAME www.example.com.");
    assert_eq!(upstream.script.count("www.example.com A"), 0, "K-144");
}
