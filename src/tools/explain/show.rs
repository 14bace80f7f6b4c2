//! A story as text for people.

use super::walk::{Candidate, Outcome, Story};
use crate::chain::explain::{Account, Fate, Known, ObjectAccount};
use crate::tools::text::{plural, wrap};

/// A story.
pub(super) fn story(story: &Story) -> String {
    let mut out = format!("{}, by {}\n", story.name, story.asked);
    if !story.search.is_empty() {
        wrap(&mut out, "search  ", &format!("{} (ndots {})", story.search.join(" "), story.ndots));
    }
    if let Some(note) = &story.note {
        wrap(&mut out, "        ", note);
    }
    for (place, candidate) in story.candidates.iter().enumerate() {
        self::candidate(&mut out, place + 1, candidate);
    }
    for problem in &story.problems {
        wrap(&mut out, "\nmanifests: ", problem);
    }
    out.push('\n');
    let questions = plural(story.questions, "question");
    let last = story.candidates.last();
    let end = match story.outcome {
        Outcome::Resolves => {
            let name = last.map_or("", |candidate| candidate.name.as_str());
            format!("{} resolves as {name} after {questions}", story.name)
        }
        Outcome::Nowhere => {
            format!("{} does not resolve: {questions}, and no name on the way has such records", story.name)
        }
        Outcome::Fails if last.is_none() => format!("{} is not asked here", story.name),
        Outcome::Fails => format!(
            "{} does not resolve: the last question fails (glibc goes on after SERVFAIL only, musl not at all)",
            story.name
        ),
        Outcome::Upstream => format!("{} is asked of upstreams, and nobody asks them from here", story.name),
    };
    wrap(&mut out, "", &end);
    out
}

/// One candidate.
fn candidate(out: &mut String, number: usize, candidate: &Candidate) {
    out.push_str(&format!("\n{number}  {}\n", candidate.name));
    for (place, account) in candidate.accounts.iter().enumerate() {
        // What is said of both types alike is said once.
        let earlier = place.checked_sub(1).and_then(|before| candidate.accounts.get(before));
        self::account(out, account, earlier, "   ");
        for reply in candidate.replies.iter().filter(|reply| reply.qtype == account.qtype) {
            let answers = if reply.answers.is_empty() {
                String::new()
            } else {
                format!(": {}", reply.answers.join(", "))
            };
            wrap(out, "           answered  ", &format!("{}{answers}", reply.code));
        }
    }
}

/// What becomes of a question.
fn account(out: &mut String, account: &Account, earlier: Option<&Account>, indent: &str) {
    let by = account.decided.as_deref().map(|word| format!(" by `{word}`")).unwrap_or_default();
    let block = match &account.zone {
        Some(zone) => format!(" in the block for {zone}"),
        None => String::new(),
    };
    let code = account.rcode.as_deref().unwrap_or("");
    let fate = match account.fate {
        Fate::Records => format!("answered{by}{block}"),
        Fate::NoData => format!("{code} without records{by}{block}"),
        Fate::NoName | Fate::Refused | Fate::Failed => format!("{code}{by}{block}"),
        Fate::Asks => format!("asked of upstreams{by}{block}"),
        Fate::Waits => format!("waits{by}{block}"),
        Fate::Silent => format!("no reply{by}{block}"),
    };
    wrap(out, &format!("{indent}{:<6}  ", account.qtype), &fate);
    let inner = format!("{indent}        ");
    for answer in &account.answers {
        wrap(out, &format!("{inner}answer    "), answer);
    }
    for said in &account.said {
        if earlier.is_some_and(|earlier| earlier.said.contains(said)) {
            continue;
        }
        let rules =
            if said.rules.is_empty() { String::new() } else { format!(" ({})", said.rules.join(", ")) };
        let word = if said.word.is_empty() { String::new() } else { format!("{}: ", said.word) };
        wrap(out, &format!("{inner}why       "), &format!("{word}{}{rules}", said.text));
        if let Some(object) = &said.object {
            wrap(out, &format!("{inner}object    "), &self::object(object));
        }
        if !said.near.is_empty() {
            wrap(out, &format!("{inner}there is  "), &said.near.join(", "));
        }
    }
    if earlier.is_none_or(|earlier| earlier.upstreams != account.upstreams) {
        for upstream in &account.upstreams {
            wrap(out, &format!("{inner}upstream  "), &self::upstream(upstream));
        }
    }
    if let Some(behalf) = &account.behalf {
        wrap(out, &format!("{inner}then      "), &behalf.name);
        self::account(out, behalf, None, &format!("{inner}  "));
    }
}

/// An object.
fn object(object: &ObjectAccount) -> String {
    let place = match object.namespace.is_empty() {
        true => object.name.clone(),
        false => format!("{}/{}", object.namespace, object.name),
    };
    let version = if object.version.is_empty() {
        String::new()
    } else {
        format!(", resourceVersion {}", object.version)
    };
    let age = object.unchanged_seconds.map(|age| format!(", as it is for {}", time(age))).unwrap_or_default();
    format!("{} {place}{version}{age}", object.kind)
}

/// Seconds as people say them.
fn time(seconds: u32) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An upstream.
fn upstream(known: &Known) -> String {
    let mut said = vec![if known.up { "up" } else { "put aside: it does not answer" }.to_owned()];
    if known.looping {
        said.push("it sends our questions back".to_owned());
    }
    match known.rtt_microseconds {
        Some(micros) => said.push(format!("answers in {}.{} ms", micros / 1000, micros % 1000 / 100)),
        None if !known.up => {}
        // Who lost something was asked.
        None if known.lost_per_mille > 0 => said.push("has not answered yet".to_owned()),
        None => said.push("has not been asked yet".to_owned()),
    }
    if known.lost_per_mille > 0 {
        said.push(format!("{}.{} % lost", known.lost_per_mille / 10, known.lost_per_mille % 10));
    }
    format!("{}: {}", known.to, said.join(", "))
}
