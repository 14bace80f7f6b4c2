//! Differences that are on purpose and are about the searches of `autopath` (K-255).

use crate::look::{is_bare, is_empty};
use crate::reply::Reply;
use crate::settling::{Known, with_ttls};

/// The alias in a line of an answer: its owner and its target, in lower case and whole.
fn alias(line: &str, question: &str) -> Option<(String, String)> {
    let (owner, rest) = line.strip_prefix("answer ")?.split_once(' ')?;
    let (_, target) = rest.split_once(" CNAME ")?;
    let owner = if owner == "@" { question } else { owner };
    Some((owner.to_ascii_lowercase(), target.to_ascii_lowercase()))
}

/// All of them, in the order in which they are taken out.
pub(crate) const SEARCHES: &[Known] = &[
    Known {
        rule: "K-255, once",
        reason: "an alias stands once; the search of CoreDNS puts that of the first element in front of it once more",
        settle: |it| {
            if !it.any(|name| it.case.walk(name).is_some_and(|walk| walk.len() > 1)) {
                return false;
            }
            let lower = it.question.lower.as_str();
            let known = |text: &str, one: &(String, String)| {
                text.lines().filter(|line| alias(line, lower).as_ref() == Some(one)).count()
            };
            let lines: Vec<&str> = it.theirs.text.lines().collect();
            let twice = lines.iter().enumerate().find_map(|(nth, line)| {
                let one = alias(line, lower)?;
                // Its TTL is that of the first record at the target.
                let (_, ttl) = line.strip_prefix("answer ")?.split_once(' ')?;
                let (ttl, _) = ttl.split_once(' ')?;
                let lends = |record: &str| {
                    record.to_ascii_lowercase().strip_prefix(&one.1).is_some_and(|rest| {
                        rest.strip_prefix(' ').and_then(|rest| rest.split(' ').next()) == Some(ttl)
                    })
                };
                let is_more = known(&it.theirs.text, &one) == 2 && known(&it.ours.text, &one) == 1;
                (is_more && it.theirs.records("answer").any(lends)).then_some(nth)
            });
            let Some(nth) = twice else { return false };
            let kept = lines.iter().enumerate().filter(|(other, _)| *other != nth);
            it.theirs.text = kept.map(|(_, line)| format!("{line}\n")).collect();
            true
        },
    },
    Known {
        rule: "K-255, K-060",
        reason: "a search finds `dns` of a zone, which is NODATA; at CoreDNS it goes on there",
        settle: |it| {
            let is_own = |reply: &Reply| reply.text.contains(" SOA ns.dns.");
            let is_found = |name: &str| {
                let walk = it.case.walk(name).unwrap_or_default();
                walk.iter()
                    .skip(1)
                    .any(|name| ["dns.cluster.local.", "dns.clusterset.local."].contains(&name.as_str()))
            };
            let settles = it.ours.is_nodata()
                && is_own(it.ours)
                && (it.theirs.is_nx() || !is_own(it.theirs))
                && !it.theirs.is_silence()
                && it.any(is_found);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, S-08",
        reason: "`drop` of `acl` is silence also on the walk of `autopath`, and for a target; CoreDNS fails, or gives the alias alone",
        settle: |it| {
            let leads = it.theirs.records("answer").any(|record| record.contains(" CNAME "));
            let settles = (it.case.has("autopath") || leads)
                && it.case.options().contains("; drop ")
                && it.ours.is_silence();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, S-20",
        reason: "where `acl` takes AAAA of a name away a search goes on, and without an address for `dns64` what it finds stands; CoreDNS has the alias that A leads to",
        settle: |it| {
            let settles = it.case.has("acl")
                && it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.any(|name| it.case.walk(name).is_some())
                && !it.ours.is_data()
                && it.theirs.is_data()
                && it.theirs.records("answer").all(|record| record.contains(" CNAME "));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, Z-05",
        reason: "a search that an alias of a zone file leads into goes on, too",
        settle: |it| {
            let owner = format!(" {} ", it.question.lower);
            let answers = |reply: &Reply| -> Vec<String> {
                let lines = with_ttls(&reply.text, &owner).into_iter().map(|(line, _)| line);
                lines.filter(|line| line.starts_with("answer ")).collect()
            };
            let targets = it.theirs.records("answer").filter_map(|one| Some(one.split_once(" CNAME ")?.1));
            let searched = targets.map(str::to_ascii_lowercase).any(|target| it.case.walk(&target).is_some());
            let ours = answers(it.ours);
            let settles = it.case.has("file")
                && it.theirs.code() == "SERVFAIL"
                && searched
                && answers(it.theirs).iter().all(|line| ours.contains(line));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, acl",
        reason: "a search goes on behind a name that `acl` blocks, or whose target it does; at CoreDNS that ends it",
        settle: |it| {
            let alone =
                it.theirs.is_data() && it.theirs.records("answer").all(|record| record.contains(" CNAME "));
            let settles = it.any(|name| it.case.walk(name).is_some())
                && it.case.has("acl")
                && (it.theirs.code() == "REFUSED" && is_empty(it.theirs) || alone)
                // Nobody behind may know the first element either, which is no matter of `acl`.
                && (it.ours.code() != "REFUSED" || is_empty(it.ours) && !it.ours.text.contains("ede="))
                && !it.ours.is_silence();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, S-03",
        reason: "a name of the walk of `autopath` that nobody can answer does not end it; CoreDNS fails, and so it does at the first element itself",
        settle: |it| {
            if !it.case.has("autopath") {
                return false;
            }
            // What another block, or another name, is answered with is not what the steps behind say.
            let is_elsewhere = |name: &String| {
                it.case
                    .blocks
                    .iter()
                    .any(|block| block.key != "." && name.ends_with(&format!("{}.", block.key)))
            };
            let is_other = |name: &String| is_elsewhere(name) || it.case.behind(name).len() > 1;
            // What was found stands behind an alias (K-255); a name by itself needs none.
            let first = it.ours.records("answer").next();
            let led = first.is_none_or(|record| record.contains(" CNAME "));
            // What the cluster passes on may be nobody's, the first element among it: then CoreDNS fails at that.
            let passed = it.case.option("fallthrough").unwrap_or_default();
            let passes_on = |name: &str| passed.split(' ').any(|zone| name.ends_with(&format!(".{zone}.")));
            let stands = it.any(|name| match it.case.walk(name) {
                None => false,
                Some(walk) if walk.len() == 1 => true,
                Some(walk) if led && walk.first().is_some_and(|name| passes_on(name)) => true,
                Some(walk) => led && walk.iter().skip(1).any(|name| it.fails(name) || is_other(name)),
            });
            // `dns64` makes an empty answer of the failure (S-20).
            let fails = is_bare(it.theirs, "SERVFAIL")
                || it.case.has("dns64") && it.question.qtype == "AAAA" && is_bare(it.theirs, "NOERROR");
            let settles = fails && stands && !it.ours.is_silence();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-255, K-051",
        reason: "a search goes on at an SOA of a name that does not exist; CoreDNS says NODATA there, which ends it",
        settle: |it| {
            let is_own = |reply: &Reply| reply.text.contains(" SOA ns.dns.");
            let settles = it.question.qtype == "SOA"
                && it.any(|name| it.case.walk(name).is_some_and(|walk| walk.len() > 1))
                && it.theirs.is_nodata()
                && is_own(it.theirs)
                && (it.ours.is_nx() || !is_own(it.ours) && !it.ours.is_silence());
            it.settle(settles)
        },
    },
];
