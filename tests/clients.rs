//! What programs get: glibc's and musl's getaddrinfo in front of our server, with the resolv.conf of a pod.
//!
//! ```text
//!  unshare: network and mounts of its own
//!  ┌──────────────────────────────────────────────────────────────────────────────┐
//!  │ clients/ask.c, built with cc and musl-gcc ─► ours on 127.0.0.1:53 ─► Scripted │
//!  └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Where namespaces are not permitted or a compiler is missing, the tests say so and pass. The rules that matter here:
//!
//! | | glibc | musl |
//! |---|---|---|
//! | name servers | one after the other, 5 s each | all at once, the first good reply counts |
//! | SERVFAIL, REFUSED | the next name server, then the next name of the search list | ignored: 5 s later, EAI_AGAIN |
//! | one of A and AAAA fails | the other one counts | EAI_AGAIN |
//! | NODATA | the next name of the search list | the end |
//! | TC | asks over TCP | from 1.2.4 as glibc; before, what is there counts; 48 addresses at most |
#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]
#![allow(clippy::disallowed_methods, reason = "real programs, real time")]

#[path = "clients/place.rs"]
mod place;
#[path = "clients/servers.rs"]
mod servers;

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, AAAA};

use place::{Clients, Library, got, inside};
use servers::{Act, CROWD, OURS, Ours, Scripted, UPSTREAM};

/// The lines of a block: the cluster, a cache and `forward` with these options.
fn lines(options: &str) -> String {
    format!(
        " kubernetes cluster.local in-addr.arpa {{\n manifests DIR\n }}\n cache 30\n forward . {UPSTREAM} {{\n{options}\n }}\n"
    )
}

/// The name that the clients of a library ask for, so that none finds in the cache what another one left there.
fn own_name(library: Library) -> String {
    format!("{library:?}.example.com").to_lowercase()
}

#[test]
fn services_are_found_by_every_name_that_the_search_list_completes() {
    inside("services_are_found_by_every_name_that_the_search_list_completes", |clients| {
        let upstream = Scripted::start(UPSTREAM, &[]);
        let _ours = Ours::start(&lines(""));
        clients.name_servers(&[OURS]);
        for name in ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "WEB.Shop"] {
            clients.all_get(name, "any", "ok 10.96.0.1");
        }
        for name in ["cart.data", "cart.data.svc", "cart.data.svc.cluster.local."] {
            clients.all_get(name, "any", "ok 10.96.0.3");
        }
        clients.all_get("both", "any", "ok 10.96.0.2 fd00::2");
        clients.all_get("both", "inet6", "ok fd00::2");
        clients.all_get_nothing("web", "inet6");
        clients.all_get_nothing("cart", "any");
        clients.all_get_nothing("nothing.data.svc.cluster.local", "any");
        let leaked: Vec<String> =
            upstream.asked().into_iter().filter(|asked| asked.contains("cluster.local")).collect();
        assert_eq!(leaked, [""; 0], "names of the cluster went to the upstream");
    });
}

#[test]
fn names_outside_are_found_behind_the_search_list() {
    inside("names_outside_are_found_behind_the_search_list", |clients| {
        let script = &[
            ("api.example.com.", None, Act::Address("192.0.2.1")),
            ("api.example.com.", None, Act::Address("2001:db8::1")),
            ("single.", None, Act::Address("192.0.2.2")),
        ];
        let upstream = Scripted::start(UPSTREAM, script);
        let _ours = Ours::start(&lines(""));
        clients.name_servers(&[OURS]);
        clients.all_get("api.example.com", "any", "ok 192.0.2.1 2001:db8::1");
        clients.all_get("api.example.com", "inet", "ok 192.0.2.1");
        clients.all_get("api.example.com.", "inet6", "ok 2001:db8::1");
        clients.all_get("single", "any", "ok 192.0.2.2");
        clients.all_get_nothing("missing.example.com", "any");
        let expected = ["api.example.com.", "missing.example.com.", "single."];
        let expected: Vec<String> =
            expected.iter().flat_map(|name| [format!("{name} A"), format!("{name} AAAA")]).collect();
        assert_eq!(upstream.asked(), expected, "the walk of the search list ends here");
    });
}

#[test]
fn an_external_name_is_found_with_its_addresses() {
    inside("an_external_name_is_found_with_its_addresses", |clients| {
        let _upstream = Scripted::start(UPSTREAM, &[("db.example.com.", None, Act::Address("192.0.2.7"))]);
        let _ours = Ours::start(&lines(""));
        clients.name_servers(&[OURS]);
        clients.all_get("outside", "any", "ok 192.0.2.7");
        clients.all_get("outside.shop", "inet", "ok 192.0.2.7");
        clients.all_get_nothing("outside", "inet6");
    });
}

/// What clients get where IPv6 addresses are not to be had: without `families`, then with it.
fn one_family_fails(clients: &Clients, options: &str) {
    let _ours = Ours::start(&lines(options));
    clients.name_servers(&[OURS]);
    for library in clients.libraries() {
        let expected = match library {
            // The fault that `families` is for: A was answered, and the program does not get it.
            Library::Musl if options.is_empty() => "EAI_AGAIN",
            _ => "ok 192.0.2.1",
        };
        let got = clients.ask(library, &own_name(library), "any");
        assert_eq!(got.text, expected, "{library:?} with `{options}`");
    }
}

#[test]
fn a_servfail_of_one_family_does_not_spoil_the_other_with_families() {
    inside("a_servfail_of_one_family_does_not_spoil_the_other_with_families", |clients| {
        let failure = Act::Code(ResponseCode::ServFail);
        let script =
            Box::leak(Box::new([("*", Some(A), Act::Address("192.0.2.1")), ("*", Some(AAAA), failure)]));
        let upstream = Scripted::start(UPSTREAM, script);
        for options in ["", "families dual"] {
            one_family_fails(clients, options);
        }
        let asked = upstream.asked().len();
        assert_eq!(asked, 2 * clients.libraries().count(), "both families are asked for");
    });
}

#[test]
fn silence_about_one_family_does_not_spoil_the_other_with_families() {
    inside("silence_about_one_family_does_not_spoil_the_other_with_families", |clients| {
        let script = &[("*", Some(A), Act::Address("192.0.2.1")), ("*", Some(AAAA), Act::Silence)];
        let _upstream = Scripted::start(UPSTREAM, script);
        for options in ["", "families dual"] {
            one_family_fails(clients, options);
        }
    });
}

#[test]
fn nobody_asks_for_a_family_that_is_of_no_use() {
    inside("nobody_asks_for_a_family_that_is_of_no_use", |clients| {
        let script = &[("*", Some(A), Act::Address("192.0.2.1")), ("*", Some(AAAA), Act::Silence)];
        let upstream = Scripted::start(UPSTREAM, script);
        one_family_fails(clients, "families ipv4");
        let expected: Vec<String> =
            clients.libraries().map(|library| format!("{}. A", own_name(library))).collect();
        assert_eq!(upstream.asked(), expected);
    });
}

#[test]
fn cluster_names_are_found_while_the_upstream_is_silent() {
    inside("cluster_names_are_found_while_the_upstream_is_silent", |clients| {
        let _upstream = Scripted::start(UPSTREAM, &[("*", None, Act::Silence)]);
        let _ours = Ours::start(&lines(""));
        clients.name_servers(&[OURS]);
        let mut waiting: Vec<_> = clients
            .libraries()
            .map(|library| (library, clients.start(library, &own_name(library), "any")))
            .collect();
        for name in ["web", "web.shop", "cart.data"] {
            let address = if name == "cart.data" { "ok 10.96.0.3" } else { "ok 10.96.0.1" };
            clients.all_get(name, "any", address);
        }
        for (library, client) in &mut waiting {
            assert!(
                client.try_wait().unwrap().is_none(),
                "{library:?}: the upstream is silent, and yet it knows"
            );
        }
        for (library, client) in waiting {
            assert_eq!(
                got(client).text,
                "EAI_AGAIN",
                "{library:?}: nobody knows, which is not the same as no such name"
            );
        }
    });
}

#[test]
fn a_crowd_of_endpoints_is_found_over_tcp_or_in_part() {
    inside("a_crowd_of_endpoints_is_found_over_tcp_or_in_part", |clients| {
        let _ours = Ours::start(&lines(""));
        clients.name_servers(&[OURS]);
        let all: BTreeSet<String> = (0..CROWD).map(|last| format!("10.244.0.{last}")).collect();
        for library in clients.libraries() {
            let mut seen = BTreeSet::new();
            let mut fewest = CROWD;
            for _ in 0..20 {
                let got = clients.ask(library, "crowd", "any");
                let addresses: BTreeSet<String> = got.addresses().map(str::to_owned).collect();
                fewest = fewest.min(addresses.len());
                seen.extend(addresses);
            }
            match library {
                Library::Glibc => assert_eq!(fewest, CROWD),
                // 512 bytes hold 29 addresses behind this question.
                Library::Musl => assert!(fewest >= 20, "{fewest}"),
            }
            assert!(seen.is_subset(&all), "{library:?}: {seen:?}");
            // A cut reply starts anywhere (rule K-012): in the end everybody has been seen.
            assert!(seen.len() > 2 * CROWD / 3, "{library:?}: only {} were ever seen", seen.len());
        }
    });
}

#[test]
fn before_the_sync_names_outside_are_found_and_those_of_the_cluster_are_not_denied() {
    inside("before_the_sync_names_outside_are_found_and_those_of_the_cluster_are_not_denied", |clients| {
        let script = &[
            ("api.eu.example.com.", None, Act::Address("192.0.2.1")),
            ("api.example.com.", None, Act::Address("192.0.2.2")),
        ];
        let upstream = Scripted::start(UPSTREAM, script);
        // Nobody listens there.
        let kubernetes =
            " kubernetes cluster.local {\n endpoint http://127.0.0.1:1\n startup_timeout 100ms\n }\n";
        let _ours = Ours::start_unsynced(&format!("{kubernetes} cache 30\n forward . {UPSTREAM}\n"));
        clients.name_servers(&[OURS]);
        // Whatever the search list makes of it is ruled out by the grammar (rule K-016).
        clients.all_get("api.eu.example.com", "any", "ok 192.0.2.1");
        clients.all_get("api.eu.example.com", "inet", "ok 192.0.2.1");
        for library in clients.libraries() {
            // `api.example.com.svc.cluster.local` may be an endpoint of `example` in `com`: SERVFAIL, which ends musl's walk.
            let expected = if library == Library::Musl { "EAI_AGAIN" } else { "ok 192.0.2.2" };
            assert_eq!(clients.ask(library, "api.example.com", "any").text, expected, "{library:?}");
        }
        clients.all_get("web", "any", "EAI_AGAIN");
        assert!(
            upstream.asked().iter().all(|asked| !asked.contains("cluster.local")),
            "{:?}",
            upstream.asked()
        );
    });
}

#[test]
fn another_name_server_that_refuses_or_fails_does_no_harm() {
    inside("another_name_server_that_refuses_or_fails_does_no_harm", |clients| {
        let _upstream = Scripted::start(UPSTREAM, &[("*", None, Act::Address("192.0.2.1"))]);
        let refused = &[("*", None, Act::Code(ResponseCode::Refused))];
        let failing = &[("*", None, Act::Code(ResponseCode::ServFail))];
        let (refused, failing) =
            (Scripted::start("127.0.0.2:53", refused), Scripted::start("127.0.0.3:53", failing));
        let _ours = Ours::start(&lines(""));
        for other in ["127.0.0.2", "127.0.0.3"] {
            clients.name_servers(&[other, OURS]);
            clients.all_get("web", "any", "ok 10.96.0.1");
            clients.all_get("api.example.com", "inet", "ok 192.0.2.1");
        }
        assert!(!refused.asked().is_empty() && !failing.asked().is_empty(), "nobody asked them");
    });
}

#[test]
fn where_ours_refuses_another_name_server_is_asked() {
    inside("where_ours_refuses_another_name_server_is_asked", |clients| {
        let other = Scripted::start("127.0.0.2:53", &[("api.example.com.", None, Act::Address("192.0.2.1"))]);
        // No block for names outside: REFUSED (rule K-001).
        let _ours = Ours::start_file(&format!(
            "cluster.local:53 {{\n bind {OURS}\n kubernetes {{\n manifests DIR\n }}\n}}\n"
        ));
        clients.name_servers(&[OURS, "127.0.0.2"]);
        clients.all_get("api.example.com", "any", "ok 192.0.2.1");
        assert!(other.asked().contains(&"api.example.com. A".to_owned()));
    });
}
