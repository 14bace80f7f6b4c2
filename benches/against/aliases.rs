//! Differences that are on purpose and are about aliases: which stand there, and what stands behind them.

use crate::look::{has, sees_opt};
use crate::reply::Reply;
use crate::settling::Known;

/// All of them, in the order in which they are taken out.
pub(crate) const ALIASES: &[Known] = &[
    Known {
        rule: "S-20, Z-05",
        reason: "for the target of an alias, too, the first reply stands where `dns64` finds no address; CoreDNS makes a name without data of it",
        settle: |it| {
            let has_soa = |reply: &Reply| reply.records("authority").any(|one| one.contains(" SOA "));
            let has_none = |reply: &Reply| !reply.records("answer").any(|one| one.contains(" AAAA "));
            let mut targets =
                it.ours.records("answer").filter_map(|record| Some(record.split_once(" CNAME ")?.1));
            let fails = targets.any(|target| {
                let said = it.said.get(&(target.to_ascii_lowercase(), "AAAA".to_owned()));
                said.is_some_and(|(ours, theirs)| {
                    ["SERVFAIL", "REFUSED"].contains(&ours.code())
                        && theirs.code() == "NOERROR"
                        && has_none(theirs)
                })
            });
            drop(targets);
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                // What was said to the target may have come from another block, by a view.
                && (fails || it.case.has("view"))
                && it.ours.is_data()
                && has_none(it.ours)
                && it.answers(it.ours) == it.answers(it.theirs)
                && has_soa(it.theirs)
                && !has_soa(it.ours);
            it.settle(settles)
        },
    },
    Known {
        rule: "S-20, DNAME",
        reason: "what `dns64` makes has no AA behind a DNAME within the zone either, which is followed at once; CoreDNS asks from the top for what a wildcard stands for",
        settle: |it| {
            let is_made = |reply: &Reply| reply.records("answer").any(|one| one.contains(" AAAA 64:ff9b::"));
            let settles = it.case.has("dns64")
                && it.case.has("file")
                && it.question.qtype == "AAAA"
                && it.ours.records("answer").any(|record| record.contains(" DNAME "))
                && is_made(it.ours)
                && is_made(it.theirs)
                && has(it.theirs, "aa")
                && !has(it.ours, "aa");
            it.settle_flag(settles, "aa")
        },
    },
    Known {
        rule: "S-22, S-11",
        reason: "the target of an alias is asked for as the client asked; at CoreDNS with the OPT that `rewrite edns0` made, which a view may see",
        settle: |it| {
            let is_alias = |record: &str| record.contains(" CNAME ");
            let ours = it.answers(it.ours);
            let settles =
                it.case.words().any(|word| {
                    word.head.starts_with("view ") && word.lines.iter().any(|line| sees_opt(line))
                }) && it.case.options().contains("rewrite edns0 ")
                    && it.ours.is_data()
                    && it.theirs.is_data()
                    && it.theirs.records("answer").all(is_alias)
                    && it.answers(it.theirs).iter().all(|line| ours.contains(line));
            it.settle(settles)
        },
    },
];
