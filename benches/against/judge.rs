//! What is to be thought of a pair of replies: equal, different by a rule, or different.

use crate::case::Case;
use crate::exceptions::{self, EXCEPTIONS, Seen};
use crate::known;
use crate::pair::Pair;
use crate::questions::Question;
use crate::reply::Reply;

/// A question with both replies.
pub(crate) struct Asked<'a> {
    /// The question.
    pub(crate) question: &'a Question,
    /// What we said.
    pub(crate) ours: Reply,
    /// What CoreDNS said.
    pub(crate) theirs: Reply,
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
            Asked { question, ours, theirs }
        })
        .collect()
}

/// What a case's replies teach about its names.
pub(crate) struct Names {
    /// What CoreDNS calls a name.
    pub(crate) theirs: Seen,
    /// What ours calls a name: PTR of what is not shown ends with its namespace (K-266).
    pub(crate) ours: Seen,
    /// What one of the two calls a name: a word like `acl` hides names from some questions, and records are compared anyway.
    pub(crate) both: Seen,
}

/// What a case's replies teach about its names.
pub(crate) fn seen(case: &Case, asked: &[Asked<'_>]) -> Names {
    let options = case.options();
    // `whoami` and `template` answer whatever they are asked: that is not a name.
    // So does `any` with questions of that type.
    let is_name = |(question, reply): &(&Question, &Reply)| {
        let has = |section, part: &str| reply.records(section).any(|record| record.contains(part));
        question.qtype != "ANY" && has("answer", "")
            || has("authority", " SOA ns.dns.")
            || has("authority", " SOA ns1.")
    };
    let theirs = asked.iter().map(|one| (one.question, &one.theirs)).filter(is_name);
    let both = asked.iter().flat_map(|one| [(one.question, &one.theirs), (one.question, &one.ours)]);
    let both = both.filter(is_name);
    let ours = asked.iter().map(|one| (one.question, &one.ours)).filter(is_name);
    Names {
        theirs: Seen::new(&[options.as_str()], theirs),
        ours: Seen::new(&[options.as_str()], ours),
        both: Seen::new(&[options.as_str()], both),
    }
}

/// Judges a pair of replies.
pub(crate) fn judge(case: &Case, names: &Names, asked: &Asked<'_>) -> Verdict {
    if asked.ours.text == asked.theirs.text {
        return Verdict::Same;
    }
    let mut rules = Vec::new();
    let (mut ours, mut theirs) = (asked.ours.clone(), asked.theirs.clone());
    for known in known::KNOWN {
        if (known.settle)(&mut known::Settling {
            case,
            seen: &names.both,
            question: asked.question,
            ours: &mut ours,
            theirs: &mut theirs,
        }) {
            rules.push(known.rule.to_owned());
        }
        if ours.text == theirs.text {
            return Verdict::Meant(rules);
        }
    }
    let meant = rewritten(case, asked.question);
    // What was kept has the letters of who asked first (C-01).
    let lower = |reply: &Reply| {
        let owner = format!(" {} ", asked.question.lower);
        let rest = reply.rest().to_ascii_lowercase().replace(" @ ", &owner);
        let text = known::without_ttls(&known::without_flag(&format!("{}{rest}", reply.code()), "aa"));
        Reply { text, size: reply.size }
    };
    let is_kept = case.has("cache");
    let by = |ours: &Reply, theirs: &Reply| {
        let (ours, theirs) = match is_kept {
            true => (&lower(ours), &lower(theirs)),
            false => (ours, theirs),
        };
        let of = |seen| exceptions::of(seen, &meant, ours, theirs);
        of(&names.theirs).or_else(|| of(&names.both)).or_else(|| of(&names.ours))
    };
    let number = by(&ours, &theirs).or_else(|| {
        // What only one of the two has a name for went to the next step at the other (K-200): as if that were NXDOMAIN.
        let missing = |reply: &Reply| {
            let text = format!("NXDOMAIN{}", reply.text.strip_prefix("NOERROR").unwrap_or_default());
            Reply { text, size: reply.size }
        };
        let is_own = |reply: &Reply| reply.is_nodata() && reply.text.contains(" SOA ns.dns.");
        if !case.options().contains("fallthrough") && !case.has("autopath") {
            return None;
        }
        let has_answer = ours.is_data() && ours.text.starts_with("NOERROR aa");
        let as_ours = (is_own(&ours) || has_answer).then(|| by(&ours, &missing(&ours))).flatten();
        as_ours.or_else(|| is_own(&theirs).then(|| by(&missing(&theirs), &theirs)).flatten())
    });
    match number {
        Some(number) => {
            rules.push(EXCEPTIONS[number].rule.to_owned());
            Verdict::Meant(rules)
        }
        None => Verdict::Wrong(kind(asked.question, &ours, &theirs)),
    }
}

/// The question as the steps behind `rewrite` see it, as far as its type goes.
fn rewritten(case: &Case, question: &Question) -> Question {
    let mut question = question.clone();
    for word in case.words() {
        if let ["rewrite", "type", from, to] = *word.head.split(' ').collect::<Vec<_>>()
            && question.qtype == from
        {
            question.qtype = to.to_owned();
            break;
        }
    }
    question
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
