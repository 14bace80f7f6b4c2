//! A story as text for people.

use super::walk::{Candidate, Outcome, Story};
use crate::chain::explain::{Account, Fate, Known, ObjectAccount, WatchAccount};
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
    for (place, known) in story.watches.iter().enumerate() {
        wrap(&mut out, if place == 0 { "\nwatch   " } else { "watch   " }, &watch(known));
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

/// A watch.
fn watch(known: &WatchAccount) -> String {
    let seconds = |seconds: u64| time(u32::try_from(seconds).unwrap_or(u32::MAX));
    let mut text = format!("{}: {}", known.resource, known.state);
    match known.confirmed_seconds {
        Some(age) => text.push_str(&format!(", confirmed {} ago", seconds(age))),
        None => text.push_str(", never confirmed"),
    }
    if !known.version.is_empty() {
        text.push_str(&format!(", at resourceVersion {}", known.version));
    }
    if known.snapshot {
        text.push_str(", from the snapshot");
    }
    if let Some(age) = known.stale_seconds {
        text.push_str(&format!("; stale for {}: answers have a short TTL and say so", seconds(age)));
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_says_what_it_does_and_how_old_its_last_word_is() {
        let mut known = WatchAccount {
            zone: "cluster.local.".to_owned(),
            resource: "services".to_owned(),
            state: "watching".to_owned(),
            confirmed_seconds: Some(12),
            stale_seconds: None,
            version: "4711".to_owned(),
            snapshot: false,
        };
        assert_eq!(watch(&known), "services: watching, confirmed 12 s ago, at resourceVersion 4711");
        known.state = "retrying".to_owned();
        known.confirmed_seconds = Some(300);
        known.stale_seconds = Some(120);
        assert_eq!(
            watch(&known),
            "services: retrying, confirmed 5 min ago, at resourceVersion 4711; stale for 2 min: answers have a short TTL and say so"
        );
    }
}
