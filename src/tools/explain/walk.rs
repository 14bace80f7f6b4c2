//! The walk through a search list, as glibc's resolver goes it.

use serde::Serialize;

use super::oracle::Oracle;
use crate::chain::explain::{Account, Explained, Fate, WatchAccount};
use crate::tools::exit::Fault;
use crate::wire::{Rcode, parse_name};

/// How the one who asks resolves names: what is in its resolv.conf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resolver {
    /// How many dots make a name that is first asked as it is.
    pub(super) ndots: usize,
    /// The search list.
    pub(super) search: Vec<String>,
    /// Where this comes from, in words.
    pub(super) note: Option<String>,
    /// Whether it asks this server at all.
    pub(super) asks: bool,
}

/// What came of a name.
#[derive(Serialize)]
pub(super) struct Story {
    /// The name as given.
    pub(super) name: String,
    /// Who knew.
    pub(super) asked: String,
    /// The search list.
    pub(super) search: Vec<String>,
    /// How many dots make a name that is first asked as it is.
    pub(super) ndots: usize,
    /// Where the search list comes from, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// How many questions a program asks for that.
    pub(super) questions: usize,
    /// What was tried, in order.
    pub(super) candidates: Vec<Candidate>,
    /// How fresh what the server knows of the cluster is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) watches: Vec<WatchAccount>,
    /// What is wrong with what the answers were made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
}

/// What came of a name.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The last candidate has records.
    Resolves,
    /// No candidate has.
    Nowhere,
    /// The last candidate fails, and the walk ends there.
    Fails,
    /// Upstreams would be asked for the last candidate, and nobody is asked here.
    Upstream,
}

/// A name that is tried.
#[derive(Serialize)]
pub(super) struct Candidate {
    /// The name.
    pub(super) name: String,
    /// What becomes of it, a type each.
    pub(super) accounts: Vec<Account>,
    /// What the server answered where upstreams had to be asked, a type each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) replies: Vec<Answered>,
}

/// What a server answered.
#[derive(Serialize)]
pub(super) struct Answered {
    /// The type.
    pub(super) qtype: String,
    /// The response code, or why there is none.
    pub(super) code: String,
    /// The answer, as zone files write it.
    pub(super) answers: Vec<String>,
    /// What that means.
    #[serde(skip)]
    fate: Fate,
}

impl Story {
    /// Whether the name resolves.
    pub(super) fn resolves(&self) -> bool {
        self.outcome == Outcome::Resolves
    }
}

/// The names that a resolver tries for `name`, in its order; what would be too long for a name is not tried.
pub(super) fn candidates(name: &str, resolver: &Resolver) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let bare = format!("{name}.");
    let searched = resolver.search.iter().map(|zone| match zone.trim_end_matches('.') {
        "" => bare.clone(),
        zone => format!("{name}.{zone}."),
    });
    let dots = name.matches('.').count();
    let mut all: Vec<String> = match dots >= resolver.ndots {
        true => std::iter::once(bare.clone()).chain(searched).collect(),
        false => searched.chain(std::iter::once(bare.clone())).collect(),
    };
    let mut seen = Vec::new();
    all.retain(|name| {
        let new = !seen.contains(name);
        seen.push(name.clone());
        new && parse_name(name).is_some()
    });
    all
}

/// Walks. Errors: nobody tells any more.
pub(super) fn walk(
    name: &str,
    types: &[u16],
    resolver: &Resolver,
    oracle: &mut Oracle,
) -> Result<Story, Fault> {
    let mut story = Story {
        name: name.to_owned(),
        asked: oracle.text(),
        search: resolver.search.clone(),
        ndots: resolver.ndots,
        note: resolver.note.clone(),
        outcome: Outcome::Nowhere,
        questions: 0,
        candidates: Vec::new(),
        watches: Vec::new(),
        problems: oracle.problems().to_vec(),
    };
    if !resolver.asks {
        story.outcome = Outcome::Fails;
        return Ok(story);
    }
    for name in candidates(name, resolver) {
        let mut candidate = Candidate { name: name.clone(), accounts: Vec::new(), replies: Vec::new() };
        let mut fates = Vec::new();
        for qtype in types {
            story.questions += 1;
            let Explained { account, watches, .. } = oracle.explain(&name, *qtype)?;
            story.watches = watches;
            let mut fate = account.fate;
            if fate == Fate::Asks
                && let Some(answered) = oracle.ask(&name, *qtype)
            {
                let answered = answered_with(&account.qtype, answered);
                fate = answered.fate;
                candidate.replies.push(answered);
            }
            fates.push(fate);
            candidate.accounts.push(account);
        }
        story.candidates.push(candidate);
        story.outcome = if fates.contains(&Fate::Records) {
            Outcome::Resolves
        } else if fates.contains(&Fate::Asks) {
            Outcome::Upstream
        } else if fates
            .iter()
            .any(|fate| matches!(fate, Fate::Refused | Fate::Failed | Fate::Waits | Fate::Silent))
        {
            Outcome::Fails
        } else {
            Outcome::Nowhere
        };
        if story.outcome != Outcome::Nowhere {
            break;
        }
    }
    Ok(story)
}

/// What a reply means.
fn answered_with(qtype: &str, answered: Result<crate::wire::Decoded, String>) -> Answered {
    let qtype = qtype.to_owned();
    match answered {
        Err(why) => Answered { qtype, code: why, answers: Vec::new(), fate: Fate::Silent },
        Ok(reply) => {
            let answers: Vec<String> = reply
                .answer
                .iter()
                .map(|line| format!("{} {} {} {}", line.owner, line.ttl, line.rtype, line.rdata))
                .collect();
            let wanted = reply.answer.iter().any(|line| line.rtype == qtype);
            let fate = match reply.rcode {
                Rcode::NOERROR if wanted => Fate::Records,
                Rcode::NOERROR => Fate::NoData,
                Rcode::NXDOMAIN => Fate::NoName,
                Rcode::REFUSED => Fate::Refused,
                _ => Fate::Failed,
            };
            Answered { qtype, code: reply.rcode.text().to_owned(), answers, fate }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candidates of a name for a pod of the namespace `prod`.
    fn tried(name: &str) -> Vec<String> {
        let search =
            ["prod.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(str::to_owned).to_vec();
        candidates(name, &Resolver { ndots: 5, search, note: None, asks: true })
    }

    #[test]
    fn a_name_with_few_dots_goes_through_the_search_list_first() {
        assert_eq!(
            tried("web.shop"),
            [
                "web.shop.prod.svc.cluster.local.",
                "web.shop.svc.cluster.local.",
                "web.shop.cluster.local.",
                "web.shop."
            ]
        );
    }

    #[test]
    fn a_name_with_as_many_dots_as_ndots_is_asked_as_it_is_first() {
        assert_eq!(tried("a.b.c.d.e.f").first().map(String::as_str), Some("a.b.c.d.e.f."));
        assert_eq!(tried("a.b.c.d.e.f").len(), 4);
    }

    #[test]
    fn a_final_dot_leaves_the_search_list_out() {
        assert_eq!(tried("web.shop."), ["web.shop."]);
    }

    #[test]
    fn a_candidate_that_is_too_long_for_a_name_is_passed_over() {
        let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
        assert_eq!(tried(&long), [format!("{long}.")]);
    }

    #[test]
    fn a_root_in_the_search_list_is_no_second_question() {
        let resolver = Resolver { ndots: 5, search: vec![".".to_owned()], note: None, asks: true };
        assert_eq!(candidates("web", &resolver), ["web."]);
    }
}
