//! Differences that are on purpose and are about `k8s_external`.

use crate::known::{Known, without_ttls};
use crate::look::without_weight;
use crate::reply::Reply;

/// The most that an answer may have aged between two questions. Unit: seconds.
const AGE: u32 = 3;

/// All of them, in the order in which they are taken out.
pub(crate) const OUTSIDE: &[Known] = &[
    Known {
        rule: "K-291",
        reason: "a reverse zone of `k8s_external` has none of the grammar of its forward zones",
        settle: |it| {
            let left = it.question.lower.strip_suffix(".in-addr.arpa.");
            let left = left.or_else(|| it.question.lower.strip_suffix(".ip6.arpa.")).unwrap_or_default();
            let is_number = |label: &str| label.len() == 1 || label.parse::<u8>().is_ok();
            let settles =
                it.case.words().any(|word| {
                    word.head.starts_with("k8s_external ") && word.head.contains(" in-addr.arpa")
                }) && left.split('.').any(|label| !is_number(label))
                    && it.theirs.is_nodata()
                    && it.theirs.text.contains(" SOA ns1.")
                    && !it.ours.is_data();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-291, TTL",
        reason: "`ttl` of `k8s_external` holds for SRV records too; CoreDNS gives them that of `kubernetes`",
        settle: |it| {
            let outside = ["out.example.", "other.example."];
            // A view has a stanza of its own.
            let stanzas = it.case.words().filter(|word| word.head.starts_with("kubernetes "));
            let ttls = stanzas.map(|word| {
                let mut lines = word.lines.iter();
                let ttl = lines.find_map(|line| line.strip_prefix("ttl "));
                ttl.and_then(|ttl| ttl.parse().ok()).unwrap_or(5)
            });
            // CoreDNS keeps them, no longer than `cache` says, and they grow older there.
            let caches =
                it.case.words().filter(|word| word.head == "cache" || word.head.starts_with("cache "));
            let bounds: Vec<u32> = caches
                .flat_map(|word| {
                    let line =
                        word.lines.iter().find_map(|line| line.strip_prefix("success ")?.split(' ').nth(1));
                    [word.head.split(' ').nth(1).unwrap_or("3600"), line.unwrap_or("3600")]
                })
                .filter_map(|bound| bound.parse().ok())
                .collect();
            let kept = |ttl: u32| {
                let old =
                    bounds.iter().flat_map(|most| (0..=AGE).map(|age| ttl.min(*most).saturating_sub(age)));
                old.chain([ttl]).collect::<Vec<_>>()
            };
            let mut ttls = ttls.flat_map(kept);
            let own = it.case.words().find(|word| word.head.starts_with("k8s_external "));
            let has_ttl = own.is_some_and(|word| word.lines.iter().any(|line| line == "ttl 60"));
            let own = if has_ttl { 60 } else { 5 };
            let spelled = |reply: &Reply, from: u32| -> Vec<String> {
                let from = format!(" {from} srv ");
                let text = reply.text.to_ascii_lowercase();
                let mut lines: Vec<String> = text
                    .lines()
                    .map(|line| match line.starts_with("answer ") {
                        true => line.replace(&from, " * srv "),
                        false => line.to_owned(),
                    })
                    .collect();
                lines.sort_unstable();
                lines
            };
            let settles = it.question.qtype == "SRV"
                && outside.iter().any(|zone| it.question.lower.ends_with(zone))
                && ttls.any(|ttl| spelled(it.ours, own) == spelled(it.theirs, ttl));
            drop(ttls);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-290, aliases",
        reason: "of a load balancer's names the first counts, and none where there are addresses; CoreDNS gives all, each as often as it stands there",
        settle: |it| {
            let outside = ["out.example.", "other.example."];
            let is_named = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let name = format!(".{}.{}.", of("name"), of("namespace"));
                let ingress = object["status"]["loadBalancer"]["ingress"].as_array();
                ingress.into_iter().flatten().any(|one| !one["hostname"].is_null())
                    && outside
                        .iter()
                        .any(|zone| format!(".{}", it.question.lower).ends_with(&format!("{name}{zone}")))
            });
            let bare = |record: &str| {
                without_weight(&without_ttls(&format!("answer {record}"))).to_ascii_lowercase()
            };
            let theirs: Vec<String> = it.theirs.records("answer").map(bare).collect();
            let fewer = it.ours.is_data() && it.ours.records("answer").all(|one| theirs.contains(&bare(one)));
            let alias = it.question.qtype == "CNAME" && it.theirs.is_nodata() && it.ours.is_data();
            let no_alias =
                it.ours.is_nodata() && it.theirs.records("answer").all(|record| record.contains(" CNAME "));
            // `dns64` makes them of the addresses, at CoreDNS of those behind the names too.
            let made = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.ours.is_data()
                && it.ours.records("answer").all(|record| record.contains(" AAAA 64:ff9b::"));
            let settles = is_named && (fewer || alias || no_alias || made) && it.theirs.code() == "NOERROR";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-290",
        reason: "a Service reached from outside has no endpoints' names: CoreDNS answers for any label in front of it",
        settle: |it| {
            let left = ["out.example.", "other.example."]
                .iter()
                .find_map(|zone| it.question.lower.strip_suffix(zone));
            let labels = left.map_or(0, |left| left.matches('.').count());
            let settles = labels == 3 && it.theirs.code() == "NOERROR" && !it.ours.is_data();
            it.settle(settles)
        },
    },
];
