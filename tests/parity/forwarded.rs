//! `forward` and `cache` beside those of CoreDNS: each asks an upstream of its own that says the same (`parity/upstream.rs`).
//!
//! Compared is what a client sees, first from the upstream and then from the cache, and whether the upstream was asked.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use signpost::app::{ServeOptions, serve};

use super::coredns::{CoreDns, free_port};
use super::questions::Question;
use super::reply::{Asker, Reply};
use super::upstream::{NAMES, Upstream};
use crate::harness::Via;

/// How many differences are shown.
const SHOWN: usize = 5;

/// The lines in front of `forward` and its options; without any first, which shows the TTLs that the upstream gives.
const VARIANTS: &[(&str, &str)] = &[
    ("", ""),
    ("", "force_tcp"),
    ("cache", ""),
    ("cache", "prefer_udp"),
    ("cache 30", ""),
    ("cache {\n success 1000 120 10\n denial 1000 20 7\n servfail 0\n }", ""),
    ("cache {\n keepttl\n }", ""),
    ("cache {\n disable denial\n }", ""),
    ("cache {\n disable success\n servfail 10s\n }", ""),
    ("cache 100 other.test\n minimal", ""),
];

/// How a question is asked, one after the other, each second time in capitals; the fourth over TCP. The key of the cache is
/// the name with DO and CD (rule C-01).
const WORDS: &[&str] =
    &["+rd", "+rd", "+rd +ad", "+rd +edns", "+rd +do", "+rd +do", "+rd +cd", "+rd +do +cd", "+ad"];

/// The types that each name is asked for.
const TYPES: &[&str] = &["A", "AAAA", "CNAME", "TXT", "ANY", "HTTPS", "TYPE65400"];

/// More questions, each asked twice: names, types, and how.
const UNUSUAL: &[(&str, &str, &str)] = &[
    ("plain", "MX", ""),
    ("plain", "SRV", "+rd +opt=10:0102030405060708"),
    ("plain", "A", "+rd +version=1"),
    ("plain", "A", "CH +rd"),
    ("plain", "A", "+rd +opcode=2"),
    ("plain", "AXFR", "+rd"),
    ("plain", "DS", "+rd +do +bufsize=4096"),
    ("big", "TXT", "+rd +do +bufsize=4096"),
    ("missing", "CAA", "+rd +aa +z"),
];

/// A reply, in parts.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    /// The code and the flags.
    head: Vec<String>,
    /// The line of the OPT.
    edns: Option<String>,
    /// The records, in alphabetical order.
    records: Vec<Line>,
    /// Whether the upstream was asked.
    asked: bool,
}

/// A record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Line {
    /// `answer`, `authority` or `additional`.
    section: String,
    /// Whose it is, with its letters.
    owner: String,
    /// Type and data.
    data: String,
    /// Unit: seconds.
    ttl: u32,
}

impl Said {
    /// The parts of a reply to a question.
    fn new(reply: &Reply, question: &Question, asked: bool) -> Self {
        let mut lines = reply.text.lines();
        let head = lines.next().unwrap_or_default().split(' ').map(str::to_owned).collect();
        let mut said = Self { head, edns: None, records: Vec::new(), asked };
        for line in lines {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match *words {
                ["edns", ..] => said.edns = Some(line.trim_end().to_owned()),
                [section, owner, ttl, data] => said.records.push(Line {
                    section: section.to_owned(),
                    owner: if owner == "@" { question.name.clone() } else { owner.to_owned() },
                    data: data.to_owned(),
                    ttl: ttl.parse().unwrap_or_else(|_| panic!("{}", reply.text)),
                }),
                _ => panic!("{}", reply.text),
            }
        }
        said.records.sort();
        said
    }

    /// Whether a flag is set, or which code it is.
    fn has(&self, word: &str) -> bool {
        self.head.iter().any(|one| one == word)
    }

    /// Sets a flag back.
    fn clear(&mut self, flag: &str) {
        self.head.retain(|one| one != flag);
    }

    /// The records without their TTLs.
    fn bare(&self) -> Vec<(&str, &str, &str)> {
        self.records.iter().map(|line| (&*line.section, &*line.owner, &*line.data)).collect()
    }
}

/// TTLs as the upstream gave them: by question in lower case, section and data.
type Given = HashMap<(String, String, String), u32>;

/// A question, and what both said.
struct Pair<'a> {
    /// The lines in front of `forward`.
    words: &'static str,
    /// The question.
    question: &'a Question,
    /// We.
    ours: Said,
    /// CoreDNS.
    theirs: Said,
    /// What TTLs there are.
    given: &'a Given,
}

impl Pair<'_> {
    /// Whether the question is about one of these names of the upstream.
    fn is_about(&self, names: &[&str]) -> bool {
        self.question.lower.split('.').next().is_some_and(|first| names.contains(&first))
    }

    /// The TTL that our record must have before its age counts (rules C-03, C-04, F-05).
    fn due(&self, line: &Line) -> u32 {
        let key = (key(self.question), line.section.clone(), line.data.clone());
        let given = *self.given.get(&key).unwrap_or_else(|| panic!("{key:?}"));
        let given = if given > 0x7fff_ffff { 0 } else { given };
        let is_soa = line.data.starts_with("SOA ");
        let (positive, negative) = match self.words {
            "" => return given,
            words if words.contains("other.test") => return given,
            "cache 30" => ((0, 30), (0, 30)),
            words if words.contains("1000") => ((10, 120), (7, 20)),
            _ => ((0, 3600), (0, 1800)),
        };
        // The last word of an SOA is its MINIMUM.
        let minimum = line.data.rsplit(' ').next().and_then(|last| last.parse().ok()).unwrap_or(0);
        // With these types an alias is an answer.
        let is_alias_enough = ["CNAME", "ANY"].contains(&&*self.question.qtype) && !self.ours.has("NXDOMAIN");
        let has = |start: &str| self.ours.records.iter().any(|line| line.data.starts_with(start));
        let is_negative = has("SOA ") && !(is_alias_enough && has("CNAME "));
        let (floor, cap) = if is_negative { negative } else { positive };
        let given: u32 = if is_soa && is_negative { given.min(minimum) } else { given };
        given.clamp(floor, cap)
    }

    /// Takes differences of TTLs out, where ours are what they must be.
    fn settle_ttls(&mut self) -> bool {
        if self.ours.records == self.theirs.records || self.ours.bare() != self.theirs.bare() {
            return false;
        }
        let right = self.ours.records.iter().all(|line| {
            let due = self.due(line);
            // What comes from the cache may have been there for a while.
            line.ttl <= due && line.ttl + if due > AGE { AGE } else { 0 } >= due
        });
        if right {
            self.ours.records.clone_from(&self.theirs.records);
        }
        right
    }

    /// Takes out that one of the upstreams was asked and the other was not.
    fn settle_asked(&mut self, ours: bool) -> bool {
        let settles = self.ours.asked == ours && self.theirs.asked != ours;
        self.ours.asked = self.theirs.asked;
        settles
    }
}

/// The most that an answer may have aged between two questions. Unit: seconds.
const AGE: u32 = 3;

/// A question in the table of TTLs.
fn key(question: &Question) -> String {
    format!("{} {}", question.lower, question.qtype)
}

/// An allowed difference.
struct Exception {
    /// The rule of docs/behaviour.md.
    rule: &'static str,
    /// What is different.
    reason: &'static str,
    /// Takes the difference out of the pair where it is of this kind; whether it did.
    settle: fn(&mut Pair<'_>) -> bool,
}

/// Differences that are allowed; a pair may have several, and must be equal once all are taken out.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: "K-013, K-061",
        reason: "other classes than IN, and transfers, are REFUSED whatever the block contains",
        settle: |it| {
            let is_meant = it.question.words.contains("CH") || it.question.qtype == "AXFR";
            let settles = is_meant && it.ours.has("REFUSED") && it.ours.records.is_empty() && !it.ours.asked;
            if settles {
                it.ours = it.theirs.clone();
            }
            settles
        },
    },
    Exception {
        rule: "K-004",
        reason: "RA says what this server does, not what the upstream said: with RD it is set",
        settle: |it| {
            let right = it.ours.has("ra") == it.question.words.contains("+rd");
            let differs = it.ours.has("ra") != it.theirs.has("ra");
            if right {
                it.ours.clear("ra");
                it.theirs.clear("ra");
            }
            right && differs
        },
    },
    Exception {
        rule: "C-01",
        reason: "owners have the letters of this question, also those above it; hits of CoreDNS have the first asker's",
        settle: |it| {
            let name = &it.question.name;
            let right = it.ours.records.iter().all(|line| {
                let tail = name.len().checked_sub(line.owner.len()).and_then(|at| name.get(at..));
                tail.is_none_or(|tail| tail == line.owner || !tail.eq_ignore_ascii_case(&line.owner))
            });
            if !right
                || it.ours.records.iter().map(|line| &line.owner).eq(it
                    .theirs
                    .records
                    .iter()
                    .map(|line| &line.owner))
            {
                return false;
            }
            let before = (it.ours.clone(), it.theirs.clone());
            for said in [&mut it.ours, &mut it.theirs] {
                said.records.iter_mut().for_each(|line| line.owner.make_ascii_lowercase());
                said.records.sort();
            }
            before != (it.ours.clone(), it.theirs.clone())
        },
    },
    Exception {
        rule: "C-07",
        reason: "hits have AA=0",
        settle: |it| {
            let settles = it.theirs.has("aa") && !it.ours.has("aa") && !it.theirs.asked;
            if settles {
                it.theirs.clear("aa");
            }
            settles
        },
    },
    Exception {
        rule: "F-05",
        reason: "AD goes to those who set AD or DO; without `cache` CoreDNS tells everybody",
        settle: |it| {
            let asks = it.question.words.contains("+ad") || it.question.words.contains("+do");
            let settles = it.theirs.has("ad") && !it.ours.has("ad") && !asks;
            if settles {
                it.theirs.clear("ad");
            }
            settles
        },
    },
    Exception {
        rule: "F-05",
        reason: "records off the chain are dropped",
        settle: |it| {
            let is_stray = |line: &Line| line.owner.eq_ignore_ascii_case("victim.test.");
            let settles = it.theirs.records.iter().any(is_stray) && !it.ours.records.iter().any(is_stray);
            it.theirs.records.retain(|line| !is_stray(line));
            settles
        },
    },
    Exception {
        rule: "C-06",
        reason: "a kept failure says so (EDE 13)",
        settle: |it| {
            let failed = it.ours.has("SERVFAIL") || it.ours.has("NOTIMP");
            let Some(edns) = it.ours.edns.as_mut().filter(|_| failed && !it.ours.asked) else { return false };
            let bare = edns.strip_suffix(" ede=13").map(str::to_owned);
            let settles = bare.is_some();
            *edns = bare.unwrap_or_else(|| edns.clone());
            settles
        },
    },
    Exception {
        rule: "K-011",
        reason: "options of the client are not echoed",
        settle: |it| {
            let settles = it.theirs.edns.as_deref() == Some("edns option=10");
            if settles {
                it.theirs.edns = Some("edns".to_owned());
            }
            settles
        },
    },
    Exception {
        rule: "F-02, K-012",
        reason: "what the upstream cuts is fetched over TCP and kept whole; our reply holds what fits, at most 1232 bytes",
        settle: |it| {
            if !it.is_about(&["big"]) || it.question.qtype != "TXT" {
                return false;
            }
            let asked = it.settle_asked(false);
            let (ours, theirs) = (&mut it.ours, &mut it.theirs);
            let fits = theirs.has("tc") || ours.records.iter().all(|line| theirs.records.contains(line));
            let is_cut = ours.has("tc") && !ours.records.is_empty() && fits;
            if is_cut {
                ours.records.clone_from(&theirs.records);
                ours.clear("tc");
                theirs.clear("tc");
            }
            is_cut || asked
        },
    },
    Exception {
        rule: "C-04",
        reason: "no floor of 5 s where none is written; TTL 0 is not kept",
        settle: |it| {
            it.is_about(&["ttl0", "ttl1", "ttl4"])
                && it.settle_ttls() | (it.is_about(&["ttl0", "ttl1"]) && it.settle_asked(true))
        },
    },
    Exception {
        rule: "F-05",
        reason: "a TTL above 2^31-1 is 0 (RFC 2181 section 8)",
        settle: |it| it.is_about(&["ttlmax"]) && it.settle_ttls() | it.settle_asked(true),
    },
    Exception {
        rule: "C-03",
        reason: "each record shows its own TTL and an SOA no more than its MINIMUM; MINIMUM 0 is not kept",
        settle: |it| it.settle_ttls() | (it.is_about(&["nodata0"]) && it.settle_asked(true)),
    },
    Exception {
        rule: "C-05",
        reason: "NXDOMAIN with an alias is kept",
        settle: |it| it.is_about(&["dangling"]) && it.settle_asked(false),
    },
    Exception {
        rule: "C-05",
        reason: "what was asked without RD is not kept",
        settle: |it| !it.question.words.contains("+rd") && it.settle_asked(true),
    },
];

/// All questions, in order.
fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for name in NAMES {
        for qtype in TYPES {
            for (number, how) in WORDS.iter().enumerate() {
                let mut typed = format!("{name}.test.");
                if number % 2 == 1 {
                    typed.make_ascii_uppercase();
                }
                let via = if number == 3 { Via::Tcp } else { Via::Udp };
                questions.push(Question::new(&typed, qtype, how, via));
            }
        }
    }
    for (name, qtype, how) in UNUSUAL {
        let question = Question::new(&format!("{name}.test."), qtype, how, Via::Udp);
        questions.extend([question.clone(), question]);
    }
    questions
}

/// Asks both servers everything with these lines and options.
fn run(binary: &OsStr, words: &str, options: &str) -> Vec<(Question, Said, Said)> {
    let upstreams = [Upstream::start(), Upstream::start()];
    let corefile = |port: u16, upstream: &Upstream| {
        format!(
            ".:{port} {{\n bind 127.0.0.1\n {words}\n forward . {} {{\n {options}\n }}\n}}\n",
            upstream.addr
        )
    };
    // The upstream says NXDOMAIN to the name that tells that it is up.
    let theirs = CoreDns::start(binary, |port| corefile(port, &upstreams[1]));
    let text = corefile(free_port(), &upstreams[0]);
    let ours = serve(ServeOptions { text: text.clone(), ..ServeOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut askers = [Asker::new(ours.addresses()[0]), Asker::new(theirs.addr)];
    let mut both = Vec::new();
    for question in questions() {
        let [ours, theirs] = [0, 1].map(|at: usize| {
            let reply = askers[at].ask(&question);
            assert!(!reply.is_silence(), "no reply to {} with `{words}`", question.text());
            let asked = upstreams[at].was_asked(&key(&question));
            Said::new(&reply, &question, asked)
        });
        both.push((question, ours, theirs));
    }
    both
}

#[test]
fn forward_and_cache_say_what_coredns_says_but_for_the_listed_exceptions() {
    let Some(binary) = std::env::var_os("COREDNS_BIN") else {
        eprintln!("skipped: COREDNS_BIN names no binary of CoreDNS");
        return;
    };
    assert!(Path::new(&binary).is_file(), "COREDNS_BIN: {} is not a file", binary.display());
    let mut given = Given::new();
    let mut used = vec![0_usize; EXCEPTIONS.len()];
    let mut wrong = Vec::new();
    let mut compared = 0;
    for &(words, options) in VARIANTS {
        let said = run(&binary, words, options);
        compared += said.len();
        if words.is_empty() {
            // Without a cache CoreDNS passes on what it gets.
            for (question, _, theirs) in &said {
                for line in &theirs.records {
                    given.insert((key(question), line.section.clone(), line.data.clone()), line.ttl);
                }
            }
        }
        for (question, ours, theirs) in &said {
            let mut pair =
                Pair { words, question, ours: ours.clone(), theirs: theirs.clone(), given: &given };
            for (exception, used) in EXCEPTIONS.iter().zip(&mut used) {
                *used += usize::from((exception.settle)(&mut pair));
            }
            if pair.ours != pair.theirs {
                wrong.push(format!(
                    "`{words}` `{options}` {}\nCoreDNS {theirs:?}\nours    {ours:?}",
                    question.text()
                ));
            }
        }
    }
    eprintln!("{compared} questions in {} variants", VARIANTS.len());
    for (exception, used) in EXCEPTIONS.iter().zip(used) {
        eprintln!("{used:7}  {}: {}", exception.rule, exception.reason);
        if used == 0 {
            wrong.push(format!("never needed: {}: {}", exception.rule, exception.reason));
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong[..wrong.len().min(SHOWN)].join("\n"));
}
