//! Taking differences out of a pair of replies: what a rule is, what it sees, and how it compares.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::case::Case;
use crate::exceptions::Seen;
use crate::look::{Said, is_hidden, rewritten, selects, without_option};
use crate::questions::Question;
use crate::reply::Reply;

/// A pair of replies out of which differences are taken.
pub(crate) struct Settling<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    /// What CoreDNS said to the other questions.
    pub(crate) seen: &'a Seen,
    /// What both said to them.
    pub(crate) said: &'a Said,
    /// What both said to them without the views of the case, as a search sees them; empty where it has none.
    pub(crate) behind: &'a Said,
    /// Names in lower case and types that were asked for in large letters, too.
    pub(crate) large: &'a HashSet<(String, String)>,
    /// The question.
    pub(crate) question: &'a Question,
    /// The names that may have been asked for in its place, its own first ([`names`]).
    pub(crate) names: &'a [String],
    /// What we said.
    pub(crate) ours: &'a mut Reply,
    /// What CoreDNS said.
    pub(crate) theirs: &'a mut Reply,
}

/// The zones of the cluster.
pub(crate) const ZONES: [&str; 4] = ["cluster.local.", "clusterset.local.", "in-addr.arpa.", "ip6.arpa."];

/// The zones of `k8s_external`, with a dot in front.
pub(crate) const OUTSIDE: [&str; 2] = [".out.example.", ".other.example."];

/// How many names lead to further ones, at most.
const MOST_NAMES: usize = 64;

/// A known difference.
pub(crate) struct Known {
    /// The rule of docs/behaviour.md.
    pub(crate) rule: &'static str,
    /// What is different.
    pub(crate) reason: &'static str,
    /// Takes the difference out of the pair, or leaves the pair alone; whether there was one.
    pub(crate) settle: fn(&mut Settling<'_>) -> bool,
}

/// The first line of a text without a flag.
pub(crate) fn without_flag(text: &str, flag: &str) -> String {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let kept: Vec<&str> = head.split(' ').filter(|word| *word != flag).collect();
    format!("{}\n{rest}", kept.join(" "))
}

/// A text with `*` in place of TTLs.
pub(crate) fn without_ttls(text: &str) -> String {
    let mut bare = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match *words {
            [section @ ("answer" | "authority" | "additional"), owner, _, data] => {
                bare += &format!("{section} {owner} * {data}");
            }
            _ => bare += line,
        }
        bare.push('\n');
    }
    bare
}

/// The records of a text in alphabetical order, lower case and owners whole, each with its TTL.
pub(crate) fn with_ttls(text: &str, owner: &str) -> Vec<(String, Option<u32>)> {
    let text = text.to_ascii_lowercase().replace(" @ ", owner);
    let mut lines: Vec<(String, Option<u32>)> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match *words {
                [section @ ("answer" | "authority" | "additional"), owner, ttl, data] => {
                    (format!("{section} {owner} * {data}"), ttl.parse().ok())
                }
                _ => (line.to_owned(), None),
            }
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// The addresses of a slice as they are written.
pub(crate) fn texts(slice: &Value) -> impl Iterator<Item = &str> {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints.flat_map(|one| one["addresses"].as_array().into_iter().flatten()).filter_map(Value::as_str)
}

/// The addresses of a slice.
pub(crate) fn addresses(slice: &Value) -> impl Iterator<Item = IpAddr> {
    texts(slice).filter_map(|text| text.parse().ok())
}

/// The addresses of those endpoints of a slice that are ready (K-102).
pub(crate) fn ready(slice: &Value) -> impl Iterator<Item = IpAddr> {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    let ready = endpoints.filter(|one| one["conditions"]["ready"] != false);
    ready
        .flat_map(|one| one["addresses"].as_array().into_iter().flatten())
        .filter_map(|text| text.as_str()?.parse().ok())
}

/// The names that may have been asked for in place of a question's, its own first and all in lower case: as `rewrite` makes them, those
/// that a search tries, and the targets of aliases that either answered with.
pub(crate) fn names(case: &Case, question: &Question, replies: [&Reply; 2]) -> Vec<String> {
    let targets = replies.into_iter().flat_map(|reply| {
        reply
            .records("answer")
            .filter_map(|record| Some(record.split_once(" CNAME ")?.1.to_ascii_lowercase()))
    });
    let mut names = vec![question.lower.clone()];
    names.extend(targets);
    let mut nth = 0;
    while nth < names.len().min(MOST_NAMES) {
        let more = case.behind(&names[nth]).into_iter().chain(case.walk(&names[nth]).unwrap_or_default());
        for name in more {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        nth += 1;
    }
    names
}

impl Settling<'_> {
    /// Whether one of the names is like this.
    pub(crate) fn any(&self, like: impl Fn(&str) -> bool) -> bool {
        self.names.iter().any(|name| like(name))
    }

    /// Whether one of the names is below one of these zones, which begin with a dot.
    pub(crate) fn is_below(&self, zones: &[&str]) -> bool {
        self.any(|name| zones.iter().any(|zone| name.ends_with(zone)))
    }

    /// Whether the steps behind `rewrite` see this type.
    pub(crate) fn asks(&self, qtype: &str) -> bool {
        rewritten(self.case, &self.question.qtype) == qtype
    }

    /// Whether a reply says that the name does not exist, which `rewrite` may make NODATA.
    pub(crate) fn is_denied(&self, reply: &Reply) -> bool {
        reply.is_nx() || reply.is_nodata() && is_hidden(self.case, self.names)
    }

    /// Whether a reply may be of a step behind the cluster (K-200).
    pub(crate) fn went_on(&self, reply: &Reply) -> bool {
        self.case.options().contains("fallthrough") && !reply.text.contains(" SOA ns.dns.")
    }

    /// The records of a reply in alphabetical order, in lower case, owners whole, with TTLs where no `cache` shows the shortest (C-03).
    pub(crate) fn lines(&self, reply: &Reply) -> Vec<(String, Option<u32>)> {
        let mut lines = with_ttls(&reply.text, &format!(" {} ", self.question.lower));
        lines.retain(|(_, ttl)| ttl.is_some());
        if self.case.has("cache") {
            lines.iter_mut().for_each(|(_, ttl)| *ttl = None);
        }
        lines
    }

    /// Those of the answer.
    pub(crate) fn answers(&self, reply: &Reply) -> Vec<(String, Option<u32>)> {
        let mut lines = self.lines(reply);
        lines.retain(|(line, _)| line.starts_with("answer "));
        lines
    }

    /// What both said to the same name and this type.
    pub(crate) fn also(&self, qtype: &str) -> Option<&(Reply, Reply)> {
        self.said.get(&(self.question.lower.clone(), qtype.to_owned()))
    }

    /// Whether CoreDNS could not answer a name, for one type or other.
    pub(crate) fn fails(&self, name: &str) -> bool {
        ["A", "AAAA", "SRV", "PTR", "TXT"].iter().any(|&qtype| {
            let key = (name.to_owned(), qtype.to_owned());
            let mut said = [self.said, self.behind].into_iter().filter_map(|said| said.get(&key));
            said.any(|(_, theirs)| ["SERVFAIL", "REFUSED"].contains(&theirs.code()))
        })
    }

    /// The slices that `labels` shows, each with the Service that it is of, for this name; for one of a clusterset, with the import.
    pub(crate) fn slices(&self, name: &str) -> impl Iterator<Item = (&Value, Option<String>)> {
        let label = match name.ends_with("clusterset.local.") {
            true => "multicluster.kubernetes.io/service-name",
            false => "kubernetes.io/service-name",
        };
        let selector = self.case.option("labels");
        let slices = self.case.objects.iter().filter(|object| object["kind"] == "EndpointSlice");
        slices.filter(move |slice| selector.is_none_or(|selector| selects(selector, slice))).map(
            move |slice| {
                let meta = &slice["metadata"];
                let ns = meta["namespace"].as_str().unwrap_or_default();
                let name = meta["labels"][label].as_str();
                (slice, name.map(|name| format!("{name}.{ns}.svc.")))
            },
        )
    }

    /// Whether a name is that of a Service, or one below it, of which a slice is like this; seen from outside too.
    pub(crate) fn is_of(&self, name: &str, like: impl Fn(&Value) -> bool) -> bool {
        let whole = format!(".{name}");
        let outside = OUTSIDE.iter().find_map(|zone| whole.strip_suffix(zone));
        let is = |of: &str| {
            whole.contains(&format!(".{of}"))
                || outside.is_some_and(|left| left.ends_with(&format!(".{}", of.trim_end_matches(".svc."))))
        };
        self.slices(name).any(|(slice, of)| of.is_some_and(|of| is(&of)) && like(slice))
    }

    /// Whether a name has the form of one that only stands above others: `dns`, that of a protocol, of zones, of an import's cluster.
    pub(crate) fn is_above_names(&self, name: &str) -> bool {
        // Above `ns.dns` of each zone stands `dns` (K-060).
        if name.strip_prefix("dns.").is_some_and(|zone| ZONES.contains(&zone)) {
            return true;
        }
        let Some((left, _)) = name.rsplit_once(".svc.cluster") else { return false };
        let labels: Vec<&str> = left.split('.').collect();
        match *labels {
            ["_zone", _, _] | ["pin" | "prefer", "_zone", _, _] => self.has_ready(name),
            ["_tcp" | "_udp" | "_sctp", _, _] => self.seen.stands_above(name),
            [cluster, _, _] => {
                let label = "multicluster.kubernetes.io/source-cluster";
                self.slices(name).any(|(slice, _)| slice["metadata"]["labels"][label] == cluster)
                    && self.seen.stands_above(name)
            }
            _ => false,
        }
    }

    /// Whether the Service that a name is of, or below, has an endpoint with an address that is ready.
    pub(crate) fn has_ready(&self, name: &str) -> bool {
        self.is_of(name, |slice| ready(slice).next().is_some())
    }

    /// Takes a flag out of both.
    pub(crate) fn settle_flag(&mut self, settles: bool, flag: &str) -> bool {
        if settles {
            self.ours.text = without_flag(&self.ours.text, flag);
            self.theirs.text = without_flag(&self.theirs.text, flag);
        }
        settles
    }

    /// Takes an option of the OPT out of ours.
    pub(crate) fn settle_option(&mut self, settles: bool, option: &str) -> bool {
        if settles {
            self.ours.text = without_option(&self.ours.text, option);
        }
        settles
    }

    /// Takes both for equal.
    pub(crate) fn settle(&mut self, settles: bool) -> bool {
        if settles {
            self.ours.text.clone_from(&self.theirs.text);
        }
        settles
    }

    /// Makes both equal by this change of their texts; whether that took a difference out.
    pub(crate) fn even(&mut self, change: impl Fn(&str) -> String) -> bool {
        let (ours, theirs) = (change(&self.ours.text), change(&self.theirs.text));
        let differed = self.ours.text != self.theirs.text && ours == theirs;
        if differed {
            self.ours.text = ours;
            self.theirs.text = theirs;
        }
        differed
    }
}
