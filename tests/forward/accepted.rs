//! What CoreDNS accepts we accept, and the other way round, but for what is listed here.
//!
//! Needs a binary of CoreDNS 1.14 (environment variable `COREDNS_BIN`); without it only our half is looked at.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use signpost::chain::{self, BuildOptions, Parts, StoreSpec};
use signpost::corefile::{self, NoImports};
use signpost::metrics::Tally;
use signpost::store::{Store, Wanted};
use signpost::time::{Clock, Wall};

/// Blocks of `ok/forward.corefile` that hold words of ours.
const OURS: &[&str] = &["ours.test"];

/// Misuses that CoreDNS does not mind: what it does instead.
const LENIENT: &[(&str, &str)] = &[
    ("an address with a port that is none", "every query fails"),
    ("an address with port 0", "every query fails"),
    ("an address of many", "every query fails"),
    ("a file over TLS", "the servers of the file are asked without encryption"),
    ("a scope behind an IPv4 address", "it is ignored"),
    ("nothing behind the percent sign", "it is ignored"),
    ("except with a zone that is none", "it is ignored"),
    ("a misuse in a later line", "it is ignored"),
    ("tls_servername with a name that is none", "it is taken as it stands"),
];

/// Parts that nothing is served from.
struct Bare;

impl Parts for Bare {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> std::sync::Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> std::sync::Arc<[Tally]> {
        std::sync::Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, std::net::IpAddr)> {
        Vec::new()
    }
}

/// Whether we accept a Corefile, or why not.
fn ours(text: &str) -> Result<(), String> {
    let spec = corefile::parse("Corefile", text, &NoImports).map_err(|error| error.render())?;
    chain::build(&spec, BuildOptions { port: 53 }, &mut Bare).map_err(|error| error.render()).map(drop)
}

/// Whether CoreDNS accepts a Corefile: it names its version once it serves.
fn theirs(binary: &OsStr, text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    fs::write(&path, text).unwrap();
    let mut child = Command::new(binary)
        .args(["-dns.port", "0", "-conf"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let serves = BufReader::new(out).lines().map_while(Result::ok).any(|line| line.starts_with("CoreDNS-"));
    // By its process id; it may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    serves
}

/// A file of the corpus.
fn corpus(name: &str) -> String {
    let path = format!("{}/tests/corefiles/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_coredns_accepts_we_accept_and_what_it_refuses_we_refuse() {
    let binary = std::env::var_os("COREDNS_BIN");
    if binary.is_none() {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
    }
    let mut wrong = Vec::new();
    let text = corpus("ok/forward.corefile");
    let blocks: Vec<&str> = text.split_inclusive("\n}\n").collect();
    assert!(blocks.len() > 20, "{}", blocks.len());
    for block in blocks {
        if let Err(error) = ours(block) {
            wrong.push(format!("we refuse\n{error}"));
        }
        let ours = OURS.iter().any(|zone| block.contains(&format!("{zone} {{")));
        if let Some(binary) = &binary
            && theirs(binary, block) == ours
        {
            wrong.push(format!("CoreDNS {}\n{block}", if ours { "accepts" } else { "refuses" }));
        }
    }
    let text = corpus("words/forward.corefile");
    for case in text.split("### ").skip(1) {
        let (title, block) = case.split_once('\n').unwrap();
        if ours(block).is_ok() {
            wrong.push(format!("we accept: {title}"));
        }
        let lenient = LENIENT.iter().any(|(known, _)| *known == title);
        let own = ["case_", "fresh_", "private_"].iter().any(|word| title.starts_with(word));
        if let Some(binary) = &binary
            && theirs(binary, block) != lenient
            && !own
        {
            wrong.push(format!("CoreDNS {}: {title}", if lenient { "refuses" } else { "accepts" }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
