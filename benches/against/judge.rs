//! What is to be thought of a pair of replies: equal, different by a rule, or different.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::net::SocketAddr;

use crate::aliases::ALIASES;
use crate::around::AROUND;
use crate::case::Case;
use crate::exceptions::{self, EXCEPTIONS, Seen};
use crate::harness::Via;
use crate::known;
use crate::look::{Said, has, is_hidden, rewritten};
use crate::names::ALWAYS;
use crate::outside::OUTSIDE;
use crate::pair::Pair;
use crate::questions::Question;
use crate::reply::Reply;
use crate::reverse::REVERSE;
use crate::searches::SEARCHES;
use crate::settling::{self, Settling, without_flag, without_ttls};

/// How often all rules are gone through, at most.
const ROUNDS: usize = 3;

/// A question with both replies.
pub(crate) struct Asked<'a> {
    /// The question.
    pub(crate) question: &'a Question,
    /// What we said.
    pub(crate) ours: Reply,
    /// What CoreDNS said.
    pub(crate) theirs: Reply,
    /// What both say over TCP, ours first, where one of the two was cut.
    pub(crate) whole: Option<(Reply, Reply)>,
}

/// A verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Both say the same.
    Same,
    /// They differ on purpose, by these rules.
    Meant(Vec<String>),
    /// They differ, in this way.
    Wrong(String),
}

/// Asks all questions, in order.
pub(crate) fn ask<'a>(pair: &mut Pair, questions: impl IntoIterator<Item = &'a Question>) -> Vec<Asked<'a>> {
    questions
        .into_iter()
        .map(|question| {
            let (ours, theirs) = pair.ask(question);
            let more = |reply: &Reply| reply.records("additional").count();
            // Where only additional records did not fit there is no TC (K-012).
            let is_cut = has(&ours, "tc") || has(&theirs, "tc") || more(&ours) < more(&theirs);
            let is_cut = question.via == Via::Udp && is_cut;
            let whole = is_cut.then(|| pair.ask(&Question { via: Via::Tcp, ..question.clone() }));
            Asked { question, ours, theirs, whole }
        })
        .collect()
}

/// What both say to the targets of aliases that were not asked for, and to what a search tries behind a name that CoreDNS fails at: what
/// becomes of a target says what has to become of its alias, and what can't be answered ends a search of CoreDNS (K-255).
pub(crate) fn targets(pair: &mut Pair, case: &Case, asked: &[Asked<'_>]) -> Said {
    let known: HashSet<&str> = asked.iter().map(|one| one.question.lower.as_str()).collect();
    let leads = |reply: &Reply| -> Vec<String> {
        let aliases = reply.records("answer").filter_map(|record| Some(record.split_once(" CNAME ")?.1));
        aliases.map(str::to_ascii_lowercase).collect()
    };
    let mut names: BTreeSet<String> =
        asked.iter().flat_map(|one| [leads(&one.ours), leads(&one.theirs)]).flatten().collect();
    let failed = asked.iter().filter(|one| one.theirs.code() == "SERVFAIL");
    names.extend(failed.flat_map(|one| case.walk(&one.question.lower).unwrap_or_default()));
    names.retain(|name| !known.contains(name.as_str()));
    let mut said = Said::new();
    for name in names {
        for qtype in ALWAYS {
            let replies = pair.ask(&Question::new(&name, qtype, "+rd", Via::Tcp));
            said.insert((name.clone(), (*qtype).to_owned()), replies);
        }
    }
    said
}

/// What both say without the views of a case; nothing where it has none.
pub(crate) fn hidden<'a>(
    binary: &OsStr,
    case: &Case,
    upstream: SocketAddr,
    questions: impl IntoIterator<Item = &'a Question>,
) -> Vec<Asked<'a>> {
    if !case.has("view") {
        return Vec::new();
    }
    match Pair::start(binary, &case.without_views(), upstream) {
        Ok(mut pair) => ask(&mut pair, questions),
        Err(_) => Vec::new(),
    }
}

/// What a case's replies teach about its names.
pub(crate) struct Names {
    /// What CoreDNS calls a name.
    pub(crate) theirs: Seen,
    /// What ours calls a name: PTR of what is not shown ends with its namespace (K-266).
    pub(crate) ours: Seen,
    /// What one of the two calls a name: a word like `acl` hides names from some questions, and records are compared anyway.
    pub(crate) both: Seen,
    /// What CoreDNS has records for.
    pub(crate) data: Seen,
    /// What both said to plain questions.
    said: Said,
    /// What both said to them without the views of the case; empty where it has none.
    behind: Said,
    /// Names and types that were asked for in large letters, too.
    large: HashSet<(String, String)>,
}

/// What a case's replies teach about its names; `more` are those of the same case without views, `targets` those of [`targets`].
pub(crate) fn seen(case: &Case, asked: &[Asked<'_>], more: &[Asked<'_>], targets: Said) -> Names {
    let options = case.options();
    // `whoami` and `template` answer whatever they are asked: that is not a name.
    // So does `any` with questions of that type.
    let is_name = |(question, reply): &(&Question, &Reply)| {
        let has = |section, part: &str| reply.records(section).any(|record| record.contains(part));
        question.qtype != "ANY" && has("answer", "")
            || has("authority", " SOA ns.dns.")
            || has("authority", " SOA ns1.")
    };
    let is_plain = |one: &&Asked<'_>| {
        !one.question
            .words
            .split(' ')
            .any(|word| word == "CH" || word == "ANY" || word.contains("opcode") || word == "+version=1")
    };
    let is_large = |one: &&Asked<'_>| one.question.name.bytes().any(|byte| byte.is_ascii_uppercase());
    let large = asked.iter().filter(is_large);
    let large = large.map(|one| (one.question.lower.clone(), one.question.qtype.clone())).collect();
    let of = |one: &Asked<'_>| {
        let key = (one.question.lower.clone(), one.question.qtype.clone());
        (key, (one.ours.clone(), one.theirs.clone()))
    };
    // What was said to small letters counts, where both were asked: CoreDNS knows some names in those alone (K-055).
    let all = |asked: &[Asked<'_>]| -> Said {
        let (large, small): (Vec<_>, Vec<_>) = asked.iter().filter(is_plain).partition(is_large);
        large.into_iter().chain(small).map(of).collect()
    };
    let mut said = all(asked);
    said.extend(targets);
    let behind = all(more);
    let asked = || asked.iter().chain(more);
    let theirs = asked().map(|one| (one.question, &one.theirs)).filter(is_name);
    let both = asked().flat_map(|one| [(one.question, &one.theirs), (one.question, &one.ours)]);
    let both = both.filter(is_name);
    let ours = asked().map(|one| (one.question, &one.ours)).filter(is_name);
    let data = asked().map(|one| (one.question, &one.theirs)).filter(|(_, reply)| reply.is_data());
    Names {
        theirs: Seen::new(&[options.as_str()], theirs),
        ours: Seen::new(&[options.as_str()], ours),
        both: Seen::new(&[options.as_str()], both),
        data: Seen::new(&[options.as_str()], data),
        said,
        behind,
        large,
    }
}

/// Whether a reply is what is left of the whole one where records were cut off (K-012).
fn is_left_of(cut: &Reply, whole: &Reply) -> bool {
    let lines = |reply: &Reply, section: &str| -> Vec<String> {
        reply.records(section).map(|record| without_ttls(&format!("{section} {record}"))).collect()
    };
    let is_part = |section: &str| {
        let mut whole = lines(whole, section);
        lines(cut, section).iter().all(|line| {
            let at = whole.iter().position(|one| one == line);
            at.map(|at| whole.swap_remove(at)).is_some()
        })
    };
    let is_all = |section: &str| lines(cut, section).len() == lines(whole, section).len();
    let sections = ["answer", "authority", "additional"];
    cut.code() == whole.code()
        && sections.into_iter().all(is_part)
        && has(cut, "tc") != ["answer", "authority"].into_iter().all(is_all)
}

/// Whether a reply has nothing of what the other one answers, which another block gave.
fn is_other(cut: &Reply, whole: &Reply) -> bool {
    let has = |record: &str| whole.records("answer").any(|one| one.eq_ignore_ascii_case(record));
    cut.code() != whole.code() || cut.is_data() && !cut.records("answer").any(has)
}

/// Whether all that ours may lack are additional records, which TC of ours says nothing about (K-012).
fn lacks_additional(case: &Case, ours: &Reply, theirs: &Reply) -> bool {
    let shown = |record: &str| match case.has("cache") {
        // CoreDNS keeps them, and shows the shortest TTL (C-03).
        true => without_ttls(&format!("answer {record}")),
        false => record.to_owned(),
    };
    let all = |reply: &Reply, section: &str| -> Vec<String> {
        reply.records(section).map(|record| shown(record).to_ascii_lowercase()).collect()
    };
    ["answer", "authority"].into_iter().all(|section| {
        let ours = all(ours, section);
        all(theirs, section).iter().all(|record| ours.contains(record))
    })
}

/// Judges a pair of replies.
pub(crate) fn judge(case: &Case, names: &Names, asked: &Asked<'_>) -> Verdict {
    if asked.ours.text == asked.theirs.text {
        return Verdict::Same;
    }
    // Of what was cut ours has to be a part of the whole, and the whole ones are compared.
    if let Some((ours, theirs)) = &asked.whole
        && is_left_of(&asked.ours, ours)
    {
        let whole =
            Asked { question: asked.question, ours: ours.clone(), theirs: theirs.clone(), whole: None };
        let mut rules = vec!["K-012".to_owned()];
        return match judge(case, names, &whole) {
            Verdict::Same => Verdict::Meant(rules),
            Verdict::Meant(more) => {
                rules.extend(more);
                Verdict::Meant(rules)
            }
            wrong @ Verdict::Wrong(_) => wrong,
        };
    }
    // What a view keeps to datagrams can't be asked for whole: the same question over TCP is another block's, on both sides.
    if let Some((ours, theirs)) = &asked.whole
        && case.has("view")
        && match has(&asked.theirs, "tc") {
            true => has(&asked.ours, "tc") || lacks_additional(case, &asked.ours, &asked.theirs),
            // `rewrite edns0` of CoreDNS makes room for all of it: that is the whole (K-011).
            false => has(&asked.ours, "tc") && is_left_of(&asked.ours, &asked.theirs),
        }
        && asked.ours.code() == asked.theirs.code()
        && is_other(&asked.ours, ours)
        && is_other(&asked.theirs, theirs)
    {
        return Verdict::Meant(vec!["K-012, S-22".to_owned()]);
    }
    // No rule but `drop` of `acl` is about saying nothing.
    if asked.ours.is_silence() && !case.options().contains("; drop ") {
        return Verdict::Wrong(kind(asked.question, &asked.ours, &asked.theirs));
    }
    let mut rules = Vec::new();
    let (mut ours, mut theirs) = (asked.ours.clone(), asked.theirs.clone());
    let all = settling::names(case, asked.question, [&ours, &theirs]);
    // What one takes out may be what kept another from seeing its own, as letters do.
    for _ in 0..ROUNDS {
        let before = (ours.text.clone(), theirs.text.clone());
        for known in
            known::KNOWN.iter().chain(REVERSE).chain(OUTSIDE).chain(ALIASES).chain(AROUND).chain(SEARCHES)
        {
            if (known.settle)(&mut Settling {
                case,
                seen: &names.both,
                said: &names.said,
                behind: &names.behind,
                large: &names.large,
                question: asked.question,
                names: &all,
                ours: &mut ours,
                theirs: &mut theirs,
            }) && !rules.iter().any(|rule| rule == known.rule)
            {
                rules.push(known.rule.to_owned());
            }
            if ours.text == theirs.text {
                return Verdict::Meant(rules);
            }
        }
        if before == (ours.text.clone(), theirs.text.clone()) {
            break;
        }
    }
    let as_asked = |name: &String| Question {
        lower: name.clone(),
        qtype: rewritten(case, &asked.question.qtype),
        ..asked.question.clone()
    };
    let meant: Vec<Question> = all.iter().map(as_asked).collect();
    let is_hidden = is_hidden(case, &all);
    // Letters are no matter here (K-003, C-01), nor are the TTLs of what was kept.
    let is_kept = case.has("cache");
    let lower = |reply: &Reply| {
        let owner = format!(" {} ", asked.question.lower);
        let rest = reply.rest().to_ascii_lowercase().replace(" @ ", &owner);
        let rest = rest.replace(" soa ", " SOA ").replace(" ptr ", " PTR ").replace(" srv ", " SRV ");
        let text = format!("{}{rest}", reply.code());
        let text = match is_kept {
            true => without_ttls(&without_flag(&text, "aa")),
            false => text,
        };
        Reply { text, size: reply.size }
    };
    let by = |ours: &Reply, theirs: &Reply| {
        let (ours, theirs) = (&lower(ours), &lower(theirs));
        let of = |seen| meant.iter().find_map(|question| exceptions::of(seen, question, ours, theirs));
        // `known` holds that one against the pods.
        let of = |seen| of(seen).filter(|&number| EXCEPTIONS[number].rule != "K-153");
        let known = of(&names.theirs).or_else(|| of(&names.both)).or_else(|| of(&names.ours));
        known.or_else(|| is_hidden.then(|| of(&names.data)).flatten())
    };
    let question = asked.question;
    let number = by(&ours, &theirs).or_else(|| {
        // What only one of the two has a name for went to the next step at the other (K-200): as if that were NXDOMAIN.
        let missing = |reply: &Reply| {
            let text = format!("NXDOMAIN{}", reply.text.strip_prefix("NOERROR").unwrap_or_default());
            Reply { text, size: reply.size }
        };
        let own = [" SOA ns.dns.", " SOA ns1.dns.", " SOA ns1.own."];
        let is_own = |reply: &Reply| reply.is_nodata() && own.iter().any(|own| reply.text.contains(own));
        // Where `rewrite` makes NOERROR of NXDOMAIN, either may be meant.
        if is_hidden {
            let as_theirs = is_own(&theirs).then(|| by(&ours, &missing(&theirs))).flatten();
            let as_both = || is_own(&ours).then(|| by(&missing(&ours), &theirs)).flatten();
            if let Some(number) = as_theirs.or_else(as_both) {
                return Some(number);
            }
        }
        if !case.options().contains("fallthrough") && !case.has("autopath") {
            return None;
        }
        // What `dns64` makes has no AA, nor what `header` takes it from.
        let is_cleared = |line: &String| line.starts_with("response clear aa");
        let is_made = case.has("dns64") && question.qtype == "AAAA"
            || case.words().any(|word| word.head == "header" && word.lines.iter().any(is_cleared));
        let has_answer = ours.is_data() && (is_made || ours.text.starts_with("NOERROR aa"));
        let as_ours = (is_own(&ours) || has_answer).then(|| by(&ours, &missing(&ours))).flatten();
        let has_theirs = is_own(&theirs) || theirs.is_data() && theirs.text.starts_with("NOERROR aa");
        as_ours.or_else(|| has_theirs.then(|| by(&missing(&theirs), &theirs)).flatten())
    });
    match number {
        Some(number) => {
            rules.push(EXCEPTIONS[number].rule.to_owned());
            Verdict::Meant(rules)
        }
        None => Verdict::Wrong(kind(question, &ours, &theirs)),
    }
}

/// In which way two replies differ: type, part of the tree, and what kind of reply each is.
fn kind(question: &Question, ours: &Reply, theirs: &Reply) -> String {
    let labels: Vec<&str> = question.lower.trim_end_matches('.').rsplit('.').take(2).collect();
    let place = match *labels {
        ["arpa", ..] => "arpa".to_owned(),
        ["local", zone] => format!("{zone}.local"),
        ["test" | "example" | "org" | "net" | "com", ..] => labels[0].to_owned(),
        _ => "other".to_owned(),
    };
    let qtype = match question.qtype.as_str() {
        "A" | "AAAA" => "addresses",
        known @ ("SRV" | "PTR" | "TXT" | "SOA" | "NS" | "CNAME" | "ANY") => known,
        _ => "others",
    };
    let flags = |reply: &Reply| reply.text.lines().next().unwrap_or_default().to_owned();
    let mut what = format!("{} of CoreDNS is {} of ours", theirs.kind(), ours.kind());
    if ours.kind() == theirs.kind() {
        what += if flags(ours) == flags(theirs) { ", other records" } else { ", other flags" };
    }
    format!("{place} {qtype}: {what}")
}
