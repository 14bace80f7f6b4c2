//! Differences that are on purpose and are about `k8s_external`.

use crate::look::without_weight;
use crate::settling::{Known, OUTSIDE as ZONES, with_ttls, without_ttls};

/// The most that an answer may have aged between two questions. Unit: seconds.
const AGE: u32 = 3;

/// All of them, in the order in which they are taken out.
pub(crate) const OUTSIDE: &[Known] = &[
    Known {
        rule: "K-291",
        reason: "a reverse zone of `k8s_external` has none of the grammar of its forward zones",
        settle: |it| {
            let is_number = |label: &str| label.len() == 1 || label.parse::<u8>().is_ok();
            let is_wordy = |name: &str| {
                let left = name.strip_suffix(".in-addr.arpa.").or_else(|| name.strip_suffix(".ip6.arpa."));
                left.is_some_and(|left| left.split('.').any(|label| !is_number(label)))
            };
            let settles =
                it.case.words().any(|word| {
                    word.head.starts_with("k8s_external ") && word.head.contains(" in-addr.arpa")
                }) && it.any(is_wordy)
                    && it.theirs.is_nodata()
                    && it.theirs.text.contains(" SOA ns1.")
                    && (!it.ours.is_data() || it.went_on(it.ours));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-291, TTL",
        reason: "`ttl` of `k8s_external` holds for SRV records too; CoreDNS gives them that of `kubernetes`",
        settle: |it| {
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
            let ttls: Vec<u32> = ttls.flat_map(kept).collect();
            let own = it.case.words().find(|word| word.head.starts_with("k8s_external "));
            let has_ttl = own.is_some_and(|word| word.lines.iter().any(|line| line == "ttl 60"));
            let own = if has_ttl { 60 } else { 5 };
            let is_srv = |line: &str| line.starts_with("answer ") && line.contains(" * srv ");
            let owner = format!(" {} ", it.question.lower);
            let (ours, theirs) = (with_ttls(&it.ours.text, &owner), with_ttls(&it.theirs.text, &owner));
            let is_same = |ours: &(String, Option<u32>), theirs: &(String, Option<u32>)| {
                let as_said = || {
                    ours.1 == Some(own) && is_srv(&ours.0) && theirs.1.is_some_and(|ttl| ttls.contains(&ttl))
                };
                ours.0 == theirs.0 && (ours.1 == theirs.1 || as_said())
            };
            let settles = it.question.qtype == "SRV"
                && it.is_below(&ZONES)
                && ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(ours, theirs)| is_same(ours, theirs));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-290, aliases",
        reason: "of a load balancer's names the first counts, and none where there are addresses; CoreDNS gives all, each as often as it stands there",
        settle: |it| {
            let is_named = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let name = format!(".{}.{}", of("name"), of("namespace"));
                let ingress = object["status"]["loadBalancer"]["ingress"].as_array();
                ingress.into_iter().flatten().any(|one| !one["hostname"].is_null())
                    && it.any(|asked| {
                        let asked = format!(".{asked}");
                        let mut left = ZONES.iter().filter_map(|zone| asked.strip_suffix(zone));
                        left.any(|left| left.ends_with(&name))
                    })
            });
            let owner = format!("answer {} ", it.question.lower);
            let bare = |record: &str| {
                let text = without_weight(&without_ttls(&format!("answer {record}")));
                text.to_ascii_lowercase().replace("answer @ ", &owner)
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
            let is_endpoint = |name: &str| {
                let left = ZONES.iter().find_map(|zone| name.strip_suffix(zone));
                left.is_some_and(|left| left.split('.').count() == 3)
            };
            let settles = it.any(is_endpoint) && it.theirs.code() == "NOERROR" && !it.ours.is_data();
            it.settle(settles)
        },
    },
];
