//! Ours beside CoreDNS: both watch the same API server (tests/api) with the same stanza, are asked the same questions,
//! and must say the same, but for the exceptions of `parity/exceptions.rs`, each a rule of docs/behaviour.md.
//!
//! ```text
//!  tests/fixtures/cluster ──► FakeApi ──► CoreDNS, a child process ──► replies ─┐
//!                                └──────► ours, in this process ─────► replies ─┴► equal, or an exception says why not
//! ```
//!
//! `parity/forwarded.rs` does the same for `forward` and `cache`, with an upstream in place of the API server.
//!
//! Environment variable `COREDNS_BIN` names the binary of CoreDNS 1.14; without it the test says so and passes.
//! Compared are the code, all flags, the OPT and the records of every section, whose order does not count; the serial of
//! an SOA (K-006) is not compared. An exception that was never needed fails the test: then CoreDNS has changed, or the
//! questions have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod harness;

#[path = "parity/beyond.rs"]
mod beyond;
#[path = "parity/compared.rs"]
mod compared;
#[path = "parity/coredns.rs"]
mod coredns;
#[path = "parity/exceptions.rs"]
mod exceptions;
#[path = "parity/forwarded.rs"]
mod forwarded;
#[path = "parity/numbers.rs"]
mod numbers;
#[path = "parity/questions.rs"]
mod questions;
#[path = "parity/reply.rs"]
mod reply;
#[path = "parity/transfers.rs"]
mod transfers;
#[path = "parity/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use signpost::app::{ServeOptions, serve};

use api::FakeApi;
use coredns::CoreDns;
use exceptions::{EXCEPTIONS, Seen};
use harness::PATIENCE;
use questions::{Question, manifests, questions};
use reply::{Asker, Reply};

/// What the stanza says, variant by variant.
const VARIANTS: &[&[&str]] = &[
    &[],
    &["pods insecure"],
    &["pods verified"],
    &["endpoint_pod_names", "ttl 600"],
    &["namespaces shop nowhere", "pods insecure"],
    &["ignore empty_service"],
    &["noendpoints", "ttl 0"],
    &["namespace_labels team=storefront", "pods verified"],
    &["labels tier=front"],
];

/// How many differences of a kind are shown.
const SHOWN: usize = 3;

/// What came of one variant.
#[derive(Default)]
struct Outcome {
    /// How many questions were compared.
    compared: usize,
    /// How often each exception was needed, by its place in the list.
    used: BTreeMap<usize, usize>,
    /// Differences that no exception allows, by kind.
    wrong: BTreeMap<String, Vec<String>>,
}

/// The Corefile for a port of 127.0.0.1: the cluster and, where names outside lead to (K-131), another one.
fn corefile(port: u16, url: &str, other: &str, options: &[&str]) -> String {
    let zones = "cluster.local in-addr.arpa ip6.arpa";
    let mut text = String::new();
    for (key, zones, url, options) in
        [(".", zones, url, options), ("other.test", "other.test", other, &["ttl 30"])]
    {
        let _ = writeln!(
            text,
            "{key}:{port} {{\n    bind 127.0.0.1\n    kubernetes {zones} {{\n        endpoint {url}"
        );
        for option in options {
            let _ = writeln!(text, "        {option}");
        }
        text.push_str("    }\n}\n");
    }
    text
}

/// Asks both servers everything with these lines in the stanza.
fn run(binary: &OsStr, options: &[&str]) -> Outcome {
    let api = FakeApi::start();
    let other = FakeApi::start();
    other.apply_all(manifests("other"));
    let objects = manifests("cluster");
    let asked = questions(&objects, options.is_empty());
    api.apply_all(objects);
    let theirs = CoreDns::start(binary, |port| corefile(port, &api.url(), &other.url(), options));
    let text = corefile(coredns::free_port(), &api.url(), &other.url(), options);
    let ours = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(ours.wait_synced(PATIENCE), "no sync with\n{text}");

    let mut ask_theirs = Asker::new(theirs.addr);
    let mut ask_ours = Asker::new(ours.addresses()[0]);
    let replies: Vec<(&Question, Reply, Reply)> =
        asked.iter().map(|question| (question, ask_ours.ask(question), ask_theirs.ask(question))).collect();
    let seen = Seen::new(options, replies.iter().map(|(question, _, theirs)| (*question, theirs)));
    let mut outcome = Outcome { compared: replies.len(), ..Outcome::default() };
    for (question, ours, theirs) in &replies {
        if ours.size != theirs.size {
            *outcome.used.entry(0).or_default() += 1;
        }
        if ours.text == theirs.text {
            continue;
        }
        match exceptions::of(&seen, question, ours, theirs) {
            Some(number) => *outcome.used.entry(number).or_default() += 1,
            None => outcome.wrong.entry(ours.difference(theirs, question)).or_default().push(format!(
                "{options:?} {}\nCoreDNS {}ours    {}",
                question.text(),
                theirs.text.replace('\n', "\n        "),
                ours.text.replace('\n', "\n        ")
            )),
        }
    }
    outcome
}

#[test]
fn ours_and_coredns_say_the_same_but_for_the_listed_exceptions() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    assert!(Path::new(&binary).is_file(), "COREDNS_BIN: {} is not a file", binary.display());
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = VARIANTS.iter().map(|options| scope.spawn(|| run(&binary, options))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let mut all = Outcome::default();
    for outcome in outcomes {
        all.compared += outcome.compared;
        for (number, count) in outcome.used {
            *all.used.entry(number).or_default() += count;
        }
        for (kind, mut shown) in outcome.wrong {
            all.wrong.entry(kind).or_default().append(&mut shown);
        }
    }
    eprintln!("{} questions in {} variants", all.compared, VARIANTS.len());
    let mut complaints = String::new();
    for (number, exception) in EXCEPTIONS.iter().enumerate() {
        let count = all.used.get(&number).copied().unwrap_or_default();
        eprintln!("{count:7}  {}: {}", exception.rule, exception.reason);
        if count == 0 {
            let _ = writeln!(complaints, "never needed: {}: {}", exception.rule, exception.reason);
        }
    }
    for (kind, shown) in &all.wrong {
        let _ = writeln!(complaints, "\n== {} times {kind}", shown.len());
        shown.iter().take(SHOWN).for_each(|one| {
            let _ = writeln!(complaints, "{one}");
        });
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}
