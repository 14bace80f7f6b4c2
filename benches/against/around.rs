//! Differences that are on purpose and that words beside `kubernetes` bring about.

use crate::look::{has, is_bare, is_empty, sees_opt, without_option};
use crate::reply::Reply;
use crate::settling::{Known, Settling, ZONES, with_ttls, without_flag, without_ttls};

/// The lines of a reply whose code is another than that of the other one: `loadbalance` puts only NOERROR in order, and `minimal`
/// leaves failures whole.
fn whole(it: &Settling<'_>, reply: &Reply) -> Vec<(String, Option<u32>)> {
    let minimal = it.case.has("minimal");
    let counts =
        |line: &str| !(line.starts_with("a cname stands") || minimal && line.starts_with("authority "));
    let owner = format!(" {} ", it.question.lower);
    with_ttls(reply.rest(), &owner).into_iter().filter(|(line, _)| counts(line)).collect()
}

/// Whether both are the same in that way, but for the TTLs of what CoreDNS's cache keeps though it was made here: the shortest of
/// all, at least 5 s (C-03, C-04).
fn is_same_whole(it: &Settling<'_>) -> bool {
    let is_kept = |ours: Option<u32>, theirs: Option<u32>| {
        it.case.has("cache") && ours.zip(theirs).is_some_and(|(ours, theirs)| theirs <= ours.max(5))
    };
    let (ours, theirs) = (whole(it, it.ours), whole(it, it.theirs));
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(&theirs)
            .all(|(ours, theirs)| ours.0 == theirs.0 && (ours.1 == theirs.1 || is_kept(ours.1, theirs.1)))
}

/// Both texts without the flags about which `header` says what ours are.
fn without_header(it: &Settling<'_>) -> (String, String) {
    let (mut ours, mut theirs) = (it.ours.text.clone(), it.theirs.text.clone());
    for line in it.case.words().filter(|word| word.head == "header").flat_map(|word| &word.lines) {
        let Some(change) = line.strip_prefix("response ") else { continue };
        let (action, flags) = change.split_once(' ').unwrap_or((change, ""));
        for flag in flags.split(' ').filter(|flag| has(it.ours, flag) == (action == "set")) {
            ours = without_flag(&ours, flag);
            theirs = without_flag(&theirs, flag);
        }
    }
    (ours, theirs)
}

/// All of them, in the order in which they are taken out.
pub(crate) const AROUND: &[Known] = &[
    Known {
        rule: "C-06",
        reason: "a failure that is kept says so with EDE 13",
        settle: |it| {
            let settles = it.case.has("cache")
                && it.ours.code() == "SERVFAIL"
                && it.theirs.code() == "SERVFAIL"
                && it.ours.text.contains("ede=13");
            it.settle_option(settles, "ede=13")
        },
    },
    Known {
        rule: "C-07",
        reason: "hits of CoreDNS have AA=1, whatever `header` says",
        settle: |it| {
            let settles = it.case.has("cache") && has(it.theirs, "aa") && !has(it.ours, "aa");
            if settles {
                it.theirs.text = without_flag(&it.theirs.text, "aa");
            }
            settles
        },
    },
    Known {
        rule: "S-20",
        reason: "where `dns64` finds no address, the first reply or the failure stands; CoreDNS says NOERROR, with the aliases of A",
        settle: |it| {
            let has_none = |reply: &Reply| !reply.records("answer").any(|one| one.contains(" AAAA "));
            // What was said to A may have come from another block, by a view.
            let may_fail = ["template", "acl", "view"].iter().any(|word| it.case.has(word))
                || it.also("A").is_some_and(|(ours, _)| ["SERVFAIL", "REFUSED"].contains(&ours.code()));
            let meant = match it.ours.code() {
                "NOERROR" => true,
                "NXDOMAIN" => it.ours.records("answer").any(|one| one.contains(" CNAME ")),
                "SERVFAIL" | "REFUSED" => may_fail,
                _ => false,
            };
            // Both are made of what is there for A, without addresses.
            let owner = format!(" {} ", it.question.lower);
            let lines = |reply: &Reply| -> Vec<String> {
                let lines = with_ttls(&reply.text, &owner).into_iter().filter(|(_, ttl)| ttl.is_some());
                // The client's port, of `whoami`, is another for each transport.
                let lines = lines.filter(|(line, _)| !(line.contains(" srv 0 0 ") && line.ends_with(" .")));
                // A template may say what it is asked for.
                lines.map(|(line, _)| line.replace("aaaa", "a")).collect()
            };
            let is_part = |reply: &Reply, of: &Reply| {
                let of = lines(of);
                lines(reply).iter().all(|line| of.contains(line))
            };
            // A denial of what was asked for in large letters may have been kept for A (K-055, C-01).
            let was_large = it.large.contains(&(it.question.lower.clone(), "A".to_owned()));
            let is_made = it.case.has("view")
                || it.case.has("cache") && was_large
                || it.also("A").is_none_or(|(ours, theirs)| {
                    let is_first = it.ours.code() != "NOERROR"
                        // A template may be for one type alone.
                        || it.case.has("template")
                        || is_part(it.ours, ours);
                    is_part(it.theirs, theirs) && is_first
                });
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && has_none(it.ours)
                && has_none(it.theirs)
                && it.theirs.code() == "NOERROR"
                && !has(it.theirs, "aa")
                && meant
                && is_made;
            it.settle(settles)
        },
    },
    Known {
        rule: "S-11, C-01",
        reason: "`rewrite` knows a name again whatever its letters; what CoreDNS's cache keeps has those of who asked first, and its answers \
                 are not rewritten back then",
        settle: |it| {
            let options = it.case.options();
            let is_kept = |owner: &&str| {
                let lower = owner.to_ascii_lowercase();
                let rewritten = !it.ours.text.to_ascii_lowercase().contains(&format!("answer {lower} "));
                **owner != *lower && rewritten && options.split([' ', ';']).any(|word| word == lower)
            };
            let owners = it.theirs.records("answer").filter_map(|record| record.split(' ').next());
            let kept: Vec<String> = owners.filter(is_kept).map(|owner| format!("answer {owner} ")).collect();
            let settles = it.case.has("cache") && it.ours.text.contains("answer @ ") && !kept.is_empty();
            if settles {
                let back = |text: String, owner: &String| text.replace(owner.as_str(), "answer @ ");
                it.theirs.text = kept.iter().fold(it.theirs.text.clone(), back);
            }
            settles
        },
    },
    Known {
        rule: "S-20, TTL",
        reason: "`dns64` asks the steps behind it for A; CoreDNS asks from the top, where `rewrite ttl` may take the question",
        settle: |it| {
            // What a rule says, or less where it was kept (C-03).
            let bounds: Vec<(u32, u32)> = it
                .case
                .words()
                .filter(|word| word.head.starts_with("rewrite ttl "))
                .filter_map(|word| {
                    let bounds = word.head.rsplit(' ').next()?;
                    let (low, high) = bounds.split_once('-').unwrap_or((bounds, bounds));
                    Some((low.parse().ok()?, high.parse().ok()?))
                })
                .collect();
            let is_kept = it.case.has("cache");
            let is_of_rule =
                |ttl: u32| bounds.iter().any(|&(low, high)| ttl <= high && (ttl >= low || is_kept));
            let (ours, theirs) =
                (it.answers(it.ours), with_ttls(&it.theirs.text, &format!(" {} ", it.question.lower)));
            let made = |line: &str| line.starts_with("answer ") && line.contains(" * aaaa 64:ff9b::");
            let theirs: Vec<_> = theirs.into_iter().filter(|(line, _)| line.starts_with("answer ")).collect();
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(ours, theirs)| {
                    ours.0 == theirs.0 && (ours.1 == theirs.1 || is_kept || made(&ours.0))
                })
                && theirs.iter().any(|(line, ttl)| made(line) && ttl.is_some_and(is_of_rule));
            // The rest is other rules' business.
            if settles {
                it.ours.text = without_ttls(&it.ours.text);
                it.theirs.text = without_ttls(&it.theirs.text);
            }
            settles
        },
    },
    Known {
        rule: "S-20, DO and CD",
        reason: "who validates gets nothing that `dns64` made, and no failure to make it: the first reply, where CoreDNS has that for A",
        settle: |it| {
            let is_made = |record: &str| record.contains(" AAAA 64:ff9b::");
            // What `acl` has filtered has no data of its own.
            let is_of_a = it.case.has("acl")
                && it.ours.code() == "NOERROR"
                && it.ours.text.contains(" ede=17")
                && is_empty(it.ours)
                && it.theirs.is_nodata();
            let words: Vec<&str> = it.question.words.split(' ').collect();
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && ["+do", "+cd"].iter().all(|word| words.contains(word))
                && (it.theirs.records("answer").any(is_made) || is_of_a)
                && !it.ours.records("answer").any(|record| record.contains(" AAAA "));
            it.settle(settles)
        },
    },
    Known {
        rule: "S-20, S-03",
        reason: "where no step answers for AAAA, `dns64` asks for A too; CoreDNS leaves that failure",
        settle: |it| {
            let is_made = |record: &str| record.contains(" AAAA 64:ff9b::");
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.ours.records("answer").any(is_made)
                && ["SERVFAIL", "REFUSED"].iter().any(|code| is_bare(it.theirs, code));
            it.settle(settles)
        },
    },
    Known {
        rule: "S-20, view",
        reason: "`dns64` asks the steps behind it for A; CoreDNS asks from the top, where a view may take the question",
        settle: |it| {
            let is_made = |record: &str| record.contains(" AAAA 64:ff9b::");
            let made = it.case.options().contains("rewrite edns0 ");
            let takes = |line: &String| line == "expr type() == 'A'" || made && sees_opt(line);
            // The stanza of that block may have another TTL.
            let owner = format!(" {} ", it.question.lower);
            let lines = |reply: &Reply| -> Vec<String> {
                with_ttls(&reply.text, &owner).into_iter().map(|(line, _)| line).collect()
            };
            let is_same = lines(it.ours) == lines(it.theirs);
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.case.words().any(|word| word.head.starts_with("view ") && word.lines.iter().any(takes))
                && (it.ours.records("answer").any(is_made) || it.ours.code() != "NOERROR")
                && it.theirs.code() == "NOERROR"
                && (is_same || !it.theirs.records("answer").any(|record| record.contains(" AAAA ")));
            it.settle(settles)
        },
    },
    Known {
        rule: "S-20, AA",
        reason: "where `dns64` finds no address, the first reply stands with its AA",
        settle: |it| {
            let has_none = |reply: &Reply| !reply.records("answer").any(|one| one.contains(" AAAA "));
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && has_none(it.ours)
                && !it.theirs.is_data()
                && has(it.ours, "aa") != has(it.theirs, "aa");
            it.settle_flag(settles, "aa")
        },
    },
    Known {
        rule: "S-08, S-20",
        reason: "`header` holds for what `dns64` makes too; CoreDNS makes it with new flags",
        settle: |it| {
            let (ours, theirs) = without_header(it);
            // The code may be another rule's business.
            let flags =
                |text: &str| text.lines().next().and_then(|head| Some(head.split_once(' ')?.1.to_owned()));
            let settles = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && flags(&it.ours.text) != flags(&it.theirs.text)
                && flags(&ours) == flags(&theirs);
            if settles {
                (it.ours.text, it.theirs.text) = (ours, theirs);
            }
            settles
        },
    },
    Known {
        rule: "Z-05",
        reason: "an alias that ends at a name without data comes with the SOA",
        settle: |it| {
            let is_alias = |record: &str| record.contains(" CNAME ") || record.contains(" DNAME ");
            let settles = it.case.has("file")
                && it.ours.records("answer").all(is_alias)
                && it.answers(it.ours) == it.answers(it.theirs)
                && it.ours.records("authority").any(|record| record.contains(" SOA "))
                && it.theirs.records("authority").any(|record| record.contains(" NS "));
            it.settle(settles)
        },
    },
    Known {
        rule: "Z-05, K-144",
        reason: "an alias whose target no step knows stands alone; CoreDNS fails where a block holds the target",
        settle: |it| {
            let is_alias = |record: &str| record.contains(" CNAME ") || record.contains(" DNAME ");
            let mut targets =
                it.ours.records("answer").filter_map(|record| Some(record.split_once(" CNAME ")?.1));
            let fails = targets.any(|target| it.fails(&target.to_ascii_lowercase()));
            drop(targets);
            let settles = (it.case.has("file") || it.case.has("auto"))
                && it.ours.is_data()
                && it.theirs.code() == "SERVFAIL"
                && is_same_whole(it)
                && it.ours.records("answer").all(is_alias)
                && (fails || it.case.has("view"));
            it.settle(settles)
        },
    },
    Known {
        rule: "Z-05, K-137",
        reason: "an alias whose target could not be resolved says so with EDE 22",
        settle: |it| {
            let settles = it.case.has("file")
                && it.ours.code() == "SERVFAIL"
                && it.theirs.code() == "SERVFAIL"
                && it.ours.records("answer").any(|record| record.contains(" CNAME "))
                && it.ours.text.contains("ede=22");
            it.settle_option(settles, "ede=22")
        },
    },
    Known {
        rule: "Z-05, K-051, K-144",
        reason: "SOA behind an alias into the cluster whose target is not there and falls through: nobody knows it, so the alias stands alone",
        settle: |it| {
            let into = |record: &str| {
                record.contains(" CNAME ") && record.to_ascii_lowercase().ends_with("cluster.local.")
            };
            let settles = it.question.qtype == "SOA"
                && it.case.options().contains("fallthrough")
                && it.ours.is_data()
                && it.theirs.is_data()
                && it.ours.records("answer").any(into)
                && it.answers(it.ours) == it.answers(it.theirs);
            it.settle(settles)
        },
    },
    Known {
        rule: "Z-05, K-051",
        reason: "SOA behind an alias is NXDOMAIN where the target does not exist",
        settle: |it| {
            let settles = it.question.qtype == "SOA"
                && it.ours.is_nx()
                && it.theirs.is_data()
                && is_same_whole(it)
                && it.ours.records("answer").all(|one| one.contains(" CNAME ") || one.contains(" DNAME "));
            it.settle(settles)
        },
    },
    Known {
        rule: "S-11",
        reason: "behind an alias that `rewrite cname` leads elsewhere, to a name without data, stands the SOA",
        settle: |it| {
            let owner = format!(" {} ", it.question.lower);
            let lines = |reply: &Reply| {
                let mut lines = with_ttls(&reply.text, &owner);
                if it.case.has("cache") {
                    // Its TTLs are those of the whole (C-03).
                    lines.iter_mut().for_each(|(_, ttl)| *ttl = None);
                }
                lines
            };
            let mut ours = lines(it.ours);
            ours.retain(|(line, _)| !line.starts_with("authority ") || !line.contains(" soa "));
            let settles = it.case.words().any(|word| word.head.starts_with("rewrite cname "))
                && it.ours.is_data()
                && it.ours.records("answer").all(|one| one.contains(" CNAME "))
                && ours == lines(it.theirs);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-051, K-200",
        reason: "SOA of a name that does not exist goes on to the next step like other types",
        settle: |it| {
            let is_own = |reply: &Reply| reply.is_nodata() && reply.text.contains(" SOA ns.dns.");
            let settles = it.question.qtype == "SOA"
                && it.case.options().contains("fallthrough")
                && is_own(it.theirs)
                && !is_own(it.ours)
                && ["TXT", "SRV", "A"].iter().filter_map(|qtype| it.also(qtype)).any(|(ours, theirs)| {
                    let same = ours.code() == it.ours.code() && theirs.code() == it.ours.code();
                    it.case.has("view") || !is_own(ours) && same
                });
            it.settle(settles)
        },
    },
    Known {
        rule: "S-08, S-03",
        reason: "`minimal` leaves a chain that ended without an answer as it is; CoreDNS panics there, which is SERVFAIL",
        settle: |it| {
            let settles = it.case.has("minimal")
                && it.case.has("file")
                && is_bare(it.theirs, "SERVFAIL")
                && is_bare(it.ours, "REFUSED");
            it.settle(settles)
        },
    },
    Known {
        rule: "S-08, S-20, silence",
        reason: "where no step answers, behind `minimal` and `dns64`, that is told, or A is asked for; CoreDNS gives no reply to AAAA at all",
        settle: |it| {
            let is_made = it.ours.records("answer").any(|record| record.contains(" AAAA 64:ff9b::"));
            let is_failure = ["SERVFAIL", "REFUSED"].contains(&it.ours.code()) && is_empty(it.ours);
            let settles = it.case.has("minimal")
                && it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.theirs.is_silence()
                && (is_failure || is_made);
            it.settle(settles)
        },
    },
    Known {
        rule: "S-08, echo",
        reason: "the question is echoed as it came; where CoreDNS's `minimal` panics it is echoed as `rewrite` made it",
        settle: |it| {
            let made = it.case.words().any(|word| match *word.head.split(' ').collect::<Vec<_>>() {
                ["rewrite", "type", from, _] => from == it.question.qtype,
                _ => false,
            });
            let text = it.theirs.text.replace("the question is not echoed\n", "");
            let theirs = Reply { text, size: it.theirs.size };
            let settles = it.case.has("minimal")
                && (made || it.case.behind(&it.question.lower).len() > 1)
                && theirs.text != it.theirs.text
                && is_bare(&theirs, "SERVFAIL")
                && ["SERVFAIL", "REFUSED"].contains(&it.ours.code())
                && is_empty(it.ours);
            if settles {
                it.theirs.text = theirs.text;
            }
            settles
        },
    },
    Known {
        rule: "S-11a",
        reason: "a `template` that cannot answer says so with EDE 0",
        settle: |it| {
            let settles = it.case.has("template")
                && it.ours.code() == "SERVFAIL"
                && it.theirs.code() == "SERVFAIL"
                && without_option(&it.ours.text, "ede=0") != it.ours.text;
            it.settle_option(settles, "ede=0")
        },
    },
    Known {
        rule: "S-11a, EDE",
        reason: "the EDE of a `template` is there each time; hits of CoreDNS's cache have none, nor has what passes its `minimal`",
        settle: |it| {
            let says = |reply: &Reply| reply.text.contains(" ede=15") || reply.text.contains("edns ede=15");
            let tells = it.case.words().any(|word| {
                word.head.starts_with("template ")
                    && word.lines.iter().any(|line| line.starts_with("ederror 15 "))
            });
            let loses = it.case.has("cache") || it.case.has("minimal");
            let settles = tells && loses && says(it.ours) && !says(it.theirs);
            it.settle_option(settles, "ede=15")
        },
    },
    Known {
        rule: "S-08, acl",
        reason: "`acl` decides before `local` and `any` answer",
        settle: |it| {
            let turned = match it.ours.code() {
                "REFUSED" => is_empty(it.ours),
                "NOERROR" => is_empty(it.ours) && it.case.options().contains("; filter "),
                _ => it.ours.is_silence(),
            };
            let local = it.case.has("local") && it.theirs.text.contains(" 604800 ");
            let any = it.case.has("any") && it.question.qtype == "ANY" && it.theirs.text.contains(" HINFO ");
            // So it does for the target of an alias, which is then alone.
            let mut left = it.answers(it.theirs);
            left.retain(|(line, _)| !line.contains(" * hinfo hinfo("));
            let alone = any && it.ours.is_data() && it.answers(it.ours) == left;
            let settles = it.case.has("acl") && (turned || alone) && (local || any);
            it.settle(settles)
        },
    },
    Known {
        rule: "S-08, RD",
        reason: "`header` holds for every reply; hits of CoreDNS's cache come before it, and names of a search have the client's own",
        settle: |it| {
            let is_about = |word: &crate::case::Word| {
                word.head == "header" && word.lines.iter().any(|line| line.ends_with(" rd"))
            };
            let searched = it.case.behind(&it.question.lower).iter().any(|name| it.case.walk(name).is_some());
            let settles = (it.case.has("cache") || searched)
                && it.case.words().any(is_about)
                && has(it.ours, "rd") != has(it.theirs, "rd");
            it.settle_flag(settles, "rd")
        },
    },
    Known {
        rule: "K-055, C-01",
        reason: "what CoreDNS does not find in large letters it keeps for small ones too",
        settle: |it| {
            let is_own = it.any(|name| {
                let left = ZONES.iter().find_map(|zone| name.strip_suffix(zone));
                left == Some("ns.dns.") || left == Some("") && it.question.qtype == "NS"
            });
            let denials = it.theirs.records("authority").filter_map(|record| record.split_once(" SOA "));
            let was_large =
                denials.map(|(owner, _)| owner).any(|owner| owner.chars().any(char::is_uppercase));
            // Or somebody behind knew nothing of it (K-200).
            let asked = |name: &str| {
                let mut large = it.large.iter();
                large.any(|(large, qtype)| large == name && (*qtype == it.question.qtype || it.asks(qtype)))
            };
            let went_on = it.went_on(it.theirs) && it.any(asked);
            let settles = it.case.has("cache")
                && is_own
                && (was_large || went_on)
                && it.ours.code() == "NOERROR"
                && (it.theirs.is_nx() || it.theirs.is_nodata());
            it.settle(settles)
        },
    },
    Known {
        rule: "S-08, header",
        reason: "`header` holds for a failure that a step says too; CoreDNS writes that one past it",
        settle: |it| {
            let (ours, theirs) = without_header(it);
            let settles =
                ["SERVFAIL", "REFUSED"].contains(&it.ours.code()) && is_empty(it.ours) && ours == theirs;
            it.settle(settles)
        },
    },
    Known {
        rule: "C-03, S-08",
        reason: "an alias without data is a denial, with its TTL, also where `minimal` leaves the SOA out; CoreDNS looks at what is left",
        settle: |it| {
            let owner = format!(" {} ", it.question.lower);
            let bare = |reply: &Reply| {
                let lines = with_ttls(&reply.text, &owner).into_iter();
                lines.map(|(line, _)| line).collect::<Vec<_>>()
            };
            let settles = it.case.has("cache")
                && it.case.has("minimal")
                && it.ours.is_data()
                && it.ours.records("answer").all(|one| one.contains(" CNAME "))
                && bare(it.ours) == bare(it.theirs);
            it.settle(settles)
        },
    },
    Known {
        rule: "C-03, C-04",
        reason: "TTLs of what was kept; local answers are never kept",
        settle: |it| {
            let owner = format!(" {} ", it.question.lower);
            let ours = with_ttls(&it.ours.text, &owner);
            let theirs = with_ttls(&it.theirs.text, &owner);
            let says = |line: &str, ttl: u32| {
                let minimum = line.rsplit(' ').next().and_then(|minimum| minimum.parse().ok());
                line.contains(" soa ") && minimum.is_some_and(|minimum: u32| ttl <= minimum)
            };
            // CoreDNS shows the shortest TTL for all, at least 5 s; a second may pass between the two.
            let settles = it.case.has("cache")
                && ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(ours, theirs)| {
                    ours.0 == theirs.0
                        && match (ours.1, theirs.1) {
                            // A denial holds no longer than its SOA says (C-03).
                            (Some(own), Some(_))
                                if ours.0.starts_with("authority ") && says(&ours.0, own) =>
                            {
                                true
                            }
                            // A search of ours may have gone on to a name that CoreDNS asked for later (K-255); and what was asked
                            // for as another name, CoreDNS keeps once more for the name that `rewrite` makes the same.
                            (Some(ours), Some(theirs)) => {
                                let other =
                                    it.case.has("autopath") || it.case.behind(&it.question.lower).len() > 1;
                                ours + 2 >= theirs || theirs <= 5 || other
                            }
                            (ours, theirs) => ours == theirs,
                        }
                });
            it.settle(settles)
        },
    },
];
