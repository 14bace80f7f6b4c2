//! The language of scenarios: one line, one act. Words that it does not know are errors, with their line.
//!
//! ```text
//! forward [ZONE] ADDRESS… [{ OPTION [VALUE…] ; … }]      at the front; upstreams are numbered as they are named
//! places N                                               how many queries may wait
//! client [N] asks NAME TYPE [do] [cd] [plain] [norec] [elsewhere]     N clients ask NAME TYPE …
//! upstream N is asked NAME TYPE [by tcp|tls] [without edns] [with do|cd]
//! upstream N is probed                                    nothing was sent [to upstream N]
//! upstream N answers [query K] [CODE] [A ADDRESS [ttl N]] [with TAMPERING and …]
//!     OWNER TTL TYPE DATA                                 records follow, indented; `@` is the name asked for
//!   authority | additional                                what follows stands there
//! upstream N fails [query K] WHY…                         upstream N is forged N times
//! time passes 250ms
//! client [N] gets CODE [A ADDRESS [ttl N]] [with aa and tc] [ede N [saying TEXT…]]    N clients get …
//! client [N] gets nothing                                 all others get …
//! upstream N counts WHAT N                                the line counts WHAT N
//! upstream N is up | is put aside                         N queries wait    at most N sockets are open
//! ```

use std::time::Duration;

use signpost::forward::{Policy, Protocol};
use signpost::wire::Rcode;

use super::bytes::{Rr, TAMPERING, code_of, type_of};
use super::rig::Line;

/// What happens, or must have happened.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A `forward` line.
    Forward(Box<Line>),
    /// How many queries may wait.
    Places(usize),
    /// Clients from 1 on, or one, ask.
    Ask {
        /// Who.
        clients: Vec<u16>,
        /// The name.
        name: String,
        /// The type.
        qtype: u16,
        /// What else.
        words: Vec<String>,
    },
    /// An upstream was asked.
    Asked {
        /// Which, from 0.
        upstream: usize,
        /// The name.
        name: String,
        /// The type.
        qtype: u16,
        /// Over what: `udp`, `tcp`, `tcp-tls`.
        by: String,
        /// Whether with an OPT.
        edns: bool,
        /// Which of `do`, `cd`.
        bits: Vec<String>,
    },
    /// Nothing more was sent: to one upstream, or to any.
    Nothing(Option<usize>),
    /// An upstream answers.
    Answer {
        /// Which.
        upstream: usize,
        /// Which of its queries; the last one without.
        query: Option<usize>,
        /// The code.
        code: u16,
        /// The records.
        records: Vec<Rr>,
        /// What is done to it.
        tampering: Vec<String>,
    },
    /// The way to an upstream fails.
    Fail {
        /// Which.
        upstream: usize,
        /// Which of its queries; the last one without.
        query: Option<usize>,
        /// Why.
        why: String,
    },
    /// Somebody who saw neither id nor question answers.
    Forge {
        /// In whose name.
        upstream: usize,
        /// How often.
        times: usize,
    },
    /// Time passes.
    Pass(Duration),
    /// Clients have a reply.
    Get {
        /// Who; empty for all that have a reply which was not looked at.
        clients: Vec<u16>,
        /// The code.
        code: u16,
        /// The records.
        records: Vec<Rr>,
        /// The flags.
        flags: Vec<String>,
        /// The extended error and a part of its text.
        ede: Option<(u16, String)>,
    },
    /// A client has no reply.
    GetNothing(u16),
    /// A counter of an upstream, or of the first line.
    Count {
        /// Which upstream; the line without.
        upstream: Option<usize>,
        /// What.
        what: String,
        /// How many.
        number: u64,
    },
    /// Whether an upstream is up.
    Up(usize, bool),
    /// How many queries wait.
    Waiting(usize),
    /// How many sockets are open at most.
    Sockets(usize),
}

/// A scenario: acts with the numbers of their lines.
pub(crate) type Script = Vec<(usize, Act)>;

/// Counters of an upstream.
pub(crate) const UPSTREAM_COUNTS: &[&str] =
    &["queries", "timeouts", "errors", "mismatches", "late", "hedged", "probe_failures"];

/// Counters of a line.
pub(crate) const LINE_COUNTS: &[&str] = &["rejected", "all_down", "coalesced"];

/// Reads a scenario. Errors: `LINE: what is wrong`.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script: Script = Vec::new();
    let mut section = 0;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let fail = |what: String| format!("{number}: {what}");
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        if line.starts_with(' ') {
            let records = match script.last_mut() {
                Some((_, Act::Answer { records, .. } | Act::Get { records, .. })) => records,
                _ => return Err(fail("records stand below `answers` or `gets`".to_owned())),
            };
            match words.as_slice() {
                ["authority"] => section = 1,
                ["additional"] => section = 2,
                words => records.push(Rr::read(section, words).map_err(fail)?),
            }
            continue;
        }
        section = 0;
        script.push((number, act(&words).map_err(fail)?));
    }
    Ok(script)
}

/// Reads a number.
fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// Reads the number of an upstream, from 1.
fn upstream(word: &str) -> Result<usize, String> {
    number::<usize>(word)?.checked_sub(1).ok_or_else(|| "upstreams are numbered from 1".to_owned())
}

/// Reads a span of time.
fn span(word: &str) -> Result<Duration, String> {
    let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (amount, unit) = word.split_at(split);
    let amount: u64 = number(amount)?;
    match unit {
        "ms" => Ok(Duration::from_millis(amount)),
        "s" => Ok(Duration::from_secs(amount)),
        _ => Err(format!("`{word}` is no time: write 250ms or 4s")),
    }
}

/// Reads a type.
fn qtype(word: &str) -> Result<u16, String> {
    type_of(word).ok_or_else(|| format!("`{word}` is no type"))
}

/// Reads the words of one line.
fn act(words: &[&str]) -> Result<Act, String> {
    Ok(match words {
        ["forward", rest @ ..] => Act::Forward(Box::new(forward(rest)?)),
        ["places", count] => Act::Places(number(count)?),
        ["client", "asks", name, kind, rest @ ..] => ask(vec![1], name, kind, rest)?,
        ["client", who, "asks", name, kind, rest @ ..] => ask(vec![number(who)?], name, kind, rest)?,
        [count, "clients", "ask", name, kind, rest @ ..] => {
            ask((1..=number(count)?).collect(), name, kind, rest)?
        }
        ["client", "gets", "nothing"] => Act::GetNothing(1),
        ["client", who, "gets", "nothing"] => Act::GetNothing(number(who)?),
        ["all", "others", "get", rest @ ..] => get(Vec::new(), rest)?,
        ["client", "gets", rest @ ..] => get(vec![1], rest)?,
        ["client", who, "gets", rest @ ..] => get(vec![number(who)?], rest)?,
        [count, "clients", "get", rest @ ..] => get((1..=number(count)?).collect(), rest)?,
        ["upstream", which, "is", "asked", name, kind, rest @ ..] => {
            asked(upstream(which)?, name, kind, rest)?
        }
        ["upstream", which, "is", "probed"] => asked(upstream(which)?, ".", "NS", &[])?,
        ["upstream", which, "is", "up"] => Act::Up(upstream(which)?, true),
        ["upstream", which, "is", "put", "aside"] => Act::Up(upstream(which)?, false),
        ["upstream", which, "is", "forged", times, "times"] => {
            Act::Forge { upstream: upstream(which)?, times: number(times)? }
        }
        ["upstream", which, "answers", rest @ ..] => answers(upstream(which)?, rest)?,
        ["upstream", which, "fails", "query", query, why @ ..] => {
            Act::Fail { upstream: upstream(which)?, query: Some(upstream(query)?), why: why.join(" ") }
        }
        ["upstream", which, "fails", why @ ..] => {
            Act::Fail { upstream: upstream(which)?, query: None, why: why.join(" ") }
        }
        ["upstream", which, "counts", what, count] if UPSTREAM_COUNTS.contains(what) => {
            Act::Count { upstream: Some(upstream(which)?), what: (*what).to_owned(), number: number(count)? }
        }
        ["the", "line", "counts", what, count] if LINE_COUNTS.contains(what) => {
            Act::Count { upstream: None, what: (*what).to_owned(), number: number(count)? }
        }
        ["nothing", "was", "sent"] => Act::Nothing(None),
        ["nothing", "was", "sent", "to", "upstream", which] => Act::Nothing(Some(upstream(which)?)),
        ["time", "passes", time] => Act::Pass(span(time)?),
        [count, "queries", "wait"] => Act::Waiting(number(count)?),
        ["at", "most", count, "sockets", "are", "open"] => Act::Sockets(number(count)?),
        _ => return Err(format!("`{}` is no act", words.join(" "))),
    })
}

/// Reads a `forward` line.
fn forward(words: &[&str]) -> Result<Line, String> {
    let text = words.join(" ");
    let (names, options) = match text.split_once('{') {
        Some((names, rest)) => {
            let inner = rest.strip_suffix('}').ok_or("`}` is missing")?;
            (names.trim().to_owned(), inner.trim().to_owned())
        }
        None => (text, String::new()),
    };
    let mut line = Line::of(&[]);
    line.options.policy = Policy::Sequential;
    for (place, name) in names.split(' ').enumerate() {
        match name.parse() {
            Ok(addr) => line.to.push(addr),
            Err(_) if place == 0 => line.zone = name.to_owned(),
            Err(_) => return Err(format!("`{name}` is no address")),
        }
    }
    let code = |word: &&str| code_of(word).map(Rcode).ok_or_else(|| format!("`{word}` is no code"));
    for option in options.split(';').map(str::trim).filter(|option| !option.is_empty()) {
        let words: Vec<&str> = option.split(' ').collect();
        match words.as_slice() {
            ["policy", "random"] => line.options.policy = Policy::Random,
            ["policy", "round_robin"] => line.options.policy = Policy::RoundRobin,
            ["policy", "sequential"] => line.options.policy = Policy::Sequential,
            ["max_concurrent", most] => line.options.max_concurrent = number(most)?,
            ["max_connect_attempts", most] => line.options.max_attempts = number(most)?,
            ["max_fails", most] => line.max_fails = number(most)?,
            ["read_timeout", time] => line.options.read_timeout = span(time)?,
            ["failfast_all_unhealthy_upstreams"] => line.options.failfast = true,
            ["failover", codes @ ..] => {
                line.options.failover = codes.iter().map(code).collect::<Result<_, _>>()?
            }
            ["case_randomization"] => line.options.mixed_case = true,
            ["fresh_port"] => line.options.fresh_port = true,
            ["force_tcp"] => line.protocol = Protocol::Tcp,
            ["tls"] => line.protocol = Protocol::Tls,
            _ => return Err(format!("`{option}` is no option")),
        }
    }
    Ok(line)
}

/// Reads what clients ask.
fn ask(clients: Vec<u16>, name: &str, kind: &str, rest: &[&str]) -> Result<Act, String> {
    for word in rest {
        if !["do", "cd", "ad", "plain", "norec", "elsewhere"].contains(word) {
            return Err(format!("`{word}` is nothing that a client can say"));
        }
    }
    let words = rest.iter().map(ToString::to_string).collect();
    Ok(Act::Ask { clients, name: name.to_owned(), qtype: qtype(kind)?, words })
}

/// Reads what an upstream must have been asked.
fn asked(upstream: usize, name: &str, kind: &str, mut rest: &[&str]) -> Result<Act, String> {
    let (mut by, mut edns, mut bits) = ("udp".to_owned(), true, Vec::new());
    while !rest.is_empty() {
        rest = match rest {
            ["by", "tcp", rest @ ..] => {
                by = "tcp".to_owned();
                rest
            }
            ["by", "tls", rest @ ..] => {
                by = "tcp-tls".to_owned();
                rest
            }
            ["without", "edns", rest @ ..] => {
                edns = false;
                rest
            }
            ["with", bit @ ("do" | "cd"), rest @ ..] => {
                bits.push((*bit).to_owned());
                rest
            }
            _ => return Err(format!("`{}` is nothing that can be asked", rest.join(" "))),
        };
    }
    Ok(Act::Asked { upstream, name: name.to_owned(), qtype: qtype(kind)?, by, edns, bits })
}

/// Reads `A ADDRESS [ttl N]` from the front, if it is there.
fn address<'w>(words: &'w [&'w str], records: &mut Vec<Rr>) -> Result<&'w [&'w str], String> {
    Ok(match words {
        [kind @ ("A" | "AAAA"), addr, "ttl", ttl, rest @ ..] => {
            records.push(Rr::read(0, &["@", ttl, kind, addr])?);
            rest
        }
        [kind @ ("A" | "AAAA"), addr, rest @ ..] => {
            records.push(Rr::read(0, &["@", "60", kind, addr])?);
            rest
        }
        rest => rest,
    })
}

/// Reads what an upstream answers.
fn answers(which: usize, words: &[&str]) -> Result<Act, String> {
    let (query, words) = match words {
        ["query", query, rest @ ..] => (Some(upstream(query)?), rest),
        rest => (None, rest),
    };
    let (code, words) = match words {
        [word, rest @ ..] if code_of(word).is_some() => (code_of(word).unwrap_or(0), rest),
        rest => (0, rest),
    };
    let mut records = Vec::new();
    let rest = address(words, &mut records)?;
    let tampering: Vec<String> = match rest {
        [] => Vec::new(),
        ["with", rest @ ..] => rest.join(" ").split(" and ").map(str::to_owned).collect(),
        _ => return Err(format!("`{}` is no answer", rest.join(" "))),
    };
    match tampering.iter().find(|what| !TAMPERING.contains(&what.as_str())) {
        Some(what) => Err(format!("`{what}` is nothing that can be done to an answer")),
        None => Ok(Act::Answer { upstream: which, query, code, records, tampering }),
    }
}

/// Reads what clients get.
fn get(clients: Vec<u16>, words: &[&str]) -> Result<Act, String> {
    let (Some(code), rest) =
        (words.first().and_then(|word| code_of(word)), words.get(1..).unwrap_or_default())
    else {
        return Err(format!("`{}` begins with no code", words.join(" ")));
    };
    let mut records = Vec::new();
    let mut rest = address(rest, &mut records)?;
    let mut flags = Vec::new();
    if let ["with", flag @ ("aa" | "tc" | "ad"), after @ ..] = rest {
        flags.push((*flag).to_owned());
        rest = after;
        while let ["and", flag @ ("aa" | "tc" | "ad"), after @ ..] = rest {
            flags.push((*flag).to_owned());
            rest = after;
        }
    }
    let ede = match rest {
        [] => None,
        ["ede", code] => Some((number(code)?, String::new())),
        ["ede", code, "saying", text @ ..] => Some((number(code)?, text.join(" "))),
        _ => return Err(format!("`{}` is nothing that a client gets", rest.join(" "))),
    };
    Ok(Act::Get { clients, code, records, flags, ede })
}
