//! Differences that are on purpose and that words of the chain bring about, beside those of tests/parity/exceptions.rs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::look::{has, is_bare, selects, without_weight};
use crate::reply::Reply;
use crate::settling::{Known, texts, without_ttls};

/// Those about clusters and messages, in the order in which they are taken out; behind them come those of `reverse`, `outside`, `aliases`, `around`
/// and `searches`.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        rule: "K-013",
        reason: "classes other than IN are REFUSED whatever the block loads",
        settle: |it| {
            let other = it.question.words.split(' ').any(|word| word == "CH" || word == "ANY");
            // A class that `rewrite` makes IN is answered like IN.
            let is_made = it.case.options().contains("rewrite class CH IN");
            let made = it.theirs.code() == "REFUSED" && is_made;
            let as_in = |(ours, _): &(Reply, Reply)| ours.code() == it.ours.code();
            // It is the only rule that such a question meets: nobody may know the name that it came with, or it is denied as it is.
            let alone = it.case.options().matches("rewrite ").count() > 1
                && (is_bare(it.ours, "SERVFAIL") || it.is_denied(it.ours));
            // With views the same in class IN may have been for another block.
            let alone = alone || it.case.has("view");
            let made = made && (alone || it.also(&it.question.qtype).is_none_or(as_in));
            // Before that, `local` of CoreDNS looks at no class.
            let local = is_made && it.case.has("local") && it.theirs.text.contains(" 604800 ");
            let settles = other && (it.ours.code() == "REFUSED" || made || local);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-001, S-22",
        reason: "of blocks with views the first that admits a question has it; at CoreDNS the last one has DS",
        settle: |it| {
            let settles = it.question.qtype == "DS" && it.case.has("view");
            it.settle(settles)
        },
    },
    Known {
        rule: "K-061",
        reason: "transfers are REFUSED without `transfer`, whatever the block loads",
        settle: |it| {
            let settles = ["AXFR", "IXFR"].contains(&&*it.question.qtype) && it.ours.code() == "REFUSED";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-014",
        reason: "NOTIFY and UPDATE are NOTIMP and do not run through the chain",
        settle: |it| {
            let settles = it.question.words.contains("+opcode=") && it.ours.code() == "NOTIMP";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-011",
        reason: "options that the client or `rewrite` put into the query are not in the reply, nor is an OPT that the client did not send",
        settle: |it| {
            let own: Vec<&str> =
                it.ours.text.split([' ', '\n']).filter(|word| word.starts_with("option=")).collect();
            let mut text = String::new();
            for line in it.theirs.text.lines() {
                let is_ours = |word: &str| !word.starts_with("option=") || own.contains(&word);
                let words: Vec<&str> = line.split(' ').filter(|word| is_ours(word)).collect();
                let was_made = line.starts_with("edns ") && line.contains("option=65518");
                if !was_made || it.ours.text.contains("\nedns ") {
                    text += &words.join(" ");
                    text.push('\n');
                }
            }
            let text = text.replace("edns\n", "edns \n");
            let settles = text != it.theirs.text;
            if settles {
                it.theirs.text = text;
            }
            settles
        },
    },
    Known {
        rule: "K-009",
        reason: "an OPT is there only for clients that sent one, with their DO; `acl`, `nsid` and `rewrite` of CoreDNS make one",
        settle: |it| {
            let has_own = it.ours.text.contains("\nedns ");
            let asks = it.question.words.contains("+do");
            let mut text = String::new();
            for line in it.theirs.text.lines() {
                match line.strip_prefix("edns ") {
                    Some(_) if !has_own => continue,
                    Some(rest) if !asks => {
                        text += &format!("edns {}", rest.strip_prefix("do").unwrap_or(rest).trim_start());
                    }
                    _ => text += line,
                }
                text.push('\n');
            }
            let settles = text != it.theirs.text;
            it.theirs.text = text;
            settles
        },
    },
    Known {
        rule: "K-255, S-11, echo",
        reason: "the question is echoed as it came, of a search too, and where `rewrite` and `dns64` meet",
        settle: |it| {
            let mut text = it.theirs.text.replace("the question is not echoed\n", "");
            let renames = it.case.has("rewrite") && it.case.has("dns64");
            let settles = text != it.theirs.text && (it.case.has("autopath") || renames);
            // Nor are the names put back in what CoreDNS's `dns64` makes.
            for name in it.case.behind(&it.question.lower).iter().skip(1).filter(|_| renames) {
                let owner = format!(" {name} ");
                if !it.ours.text.contains(&owner) {
                    text = text.replace(&owner, " @ ");
                }
            }
            if settles {
                it.theirs.text = text;
            }
            settles
        },
    },
    Known {
        rule: "whoami",
        reason: "each server sees another port of the client",
        settle: |it| {
            // Where its line stands follows from the port.
            let bare = |text: &str| {
                let mut lines: Vec<&str> = text
                    .lines()
                    .map(|line| match line.split_once(" SRV 0 0 ") {
                        Some((left, _)) if line.ends_with(" .") => left,
                        _ => line,
                    })
                    .collect();
                if let Some(records) = lines.get_mut(1..) {
                    records.sort_unstable();
                }
                lines.join("\n") + "\n"
            };
            let settles = it.case.has("whoami") && it.ours.text.contains(" SRV 0 0 ");
            if settles {
                it.ours.text = bare(&it.ours.text);
                it.theirs.text = bare(&it.theirs.text);
            }
            settles
        },
    },
    Known {
        rule: "K-004",
        reason: "RA says what this server does: with RD it is set where the block can forward",
        settle: |it| {
            let differs = has(it.ours, "ra") != has(it.theirs, "ra");
            let settles = differs && it.case.has("forward");
            it.settle_flag(settles, "ra")
        },
    },
    Known {
        rule: "K-003, C-01",
        reason: "derived names follow the letters of the question",
        settle: |it| {
            let owner = format!(" {} ", it.question.lower);
            it.even(|text| {
                let text = text.to_ascii_lowercase().replace(" @ ", &owner);
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            })
        },
    },
    Known {
        rule: "K-037",
        reason: "a name with names below it is NODATA: the cluster of an import, `_zone`, `dns`",
        settle: |it| {
            // At CoreDNS such a name goes on to the next step where it may (K-200).
            let went_on = it.ours.text.contains(" SOA ns.dns.") && it.went_on(it.theirs);
            let flags = |reply: &Reply| reply.rest().lines().next().map(ToOwned::to_owned);
            let is_same = flags(it.ours) == flags(it.theirs) && it.lines(it.ours) == it.lines(it.theirs);
            let settles = (it.is_denied(it.theirs) && is_same || went_on)
                && it.ours.is_nodata()
                && it.any(|name| it.is_above_names(name));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-121",
        reason: "slices of domain names yield nothing",
        settle: |it| {
            let is_fqdn = |name: &str| it.is_of(name, |slice| slice["addressType"] == "FQDN");
            if !it.any(is_fqdn) {
                return false;
            }
            // They leave a Service empty for `ignore empty_service` too (K-206), also one that an alias leads to.
            let ignores = it.case.options().contains("ignore empty_service");
            // Without what CoreDNS makes of host names, which share the weights, both are to be the same.
            let is_made = |record: &str| record.contains(".example.com.") || record.ends_with(" .");
            // An alias that leads to nothing but what is made leads to nothing here.
            let made = it.theirs.records("answer").any(is_made);
            let is_left = |record: &&str| !(is_made(record) || made && record.contains(" CNAME "));
            let left = it.theirs.records("answer").filter(is_left).count();
            let is_emptied = ignores && it.any(|name| is_fqdn(name) && !it.has_ready(name));
            let settles = if left == 0 || is_emptied {
                it.theirs.code() == "NOERROR" && !it.ours.is_data()
            } else {
                let owner = format!(" {} ", it.question.lower);
                let lines = |reply: &Reply| -> Vec<String> {
                    let counts =
                        |line: &&str| !is_made(line) && *line != "a CNAME stands behind other records";
                    // A cache shows the shortest TTL (C-03), and outside SRV have one of their own (K-291).
                    let loose = it.case.has("cache") || it.is_below(&[".example."]);
                    let text = if loose { without_ttls(&reply.text) } else { reply.text.clone() };
                    // What an alias leads to may be without data here.
                    let lines = text.lines().skip(1).filter(|line| !line.starts_with("authority "));
                    let lines = lines.filter(counts);
                    let mut lines: Vec<String> = lines
                        .map(|line| without_weight(line).to_ascii_lowercase().replace(" @ ", &owner))
                        .collect();
                    lines.sort_unstable();
                    lines
                };
                // Flags are others' business.
                if lines(it.ours) == lines(it.theirs) {
                    let rest = |reply: &Reply| reply.text.split_once('\n').map(|(_, rest)| rest.to_owned());
                    let head = it.ours.text.lines().next().unwrap_or_default();
                    it.ours.text = format!("{head}\n{}", rest(it.theirs).unwrap_or_default());
                    return true;
                }
                false
            };
            it.settle(settles)
        },
    },
    Known {
        rule: "K-104",
        reason: "a headless Service without a ready endpoint has no name, nor has a zone of it",
        settle: |it| {
            let settles = it.any(|name| name.contains("._zone.") && !it.has_ready(name))
                && it.case.options().contains("; zonal")
                && it.theirs.is_nodata()
                && !it.ours.is_data();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-153",
        reason: "`pods verified` knows every address of a pod, for other types too where a step behind answers for one",
        settle: |it| {
            let is_known = |name: &str| {
                let (left, _) = name.rsplit_once(".pod.cluster").unwrap_or_default();
                let mut labels = left.rsplit('.');
                let (ns, label) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
                let meant =
                    [".", ":"].into_iter().find_map(|mark| label.replace('-', mark).parse::<IpAddr>().ok());
                let is = |ip: &Value| ip.as_str().and_then(|ip| ip.parse().ok()) == meant;
                // CoreDNS knows the first, as it is written.
                let first = |ip: &Value| ip.as_str().unwrap_or_default().replace(['.', ':'], "-") == label;
                it.case.objects.iter().filter(|object| object["kind"] == "Pod").any(|pod| {
                    let mut all = pod["status"]["podIPs"].as_array().into_iter().flatten();
                    pod["metadata"]["namespace"] == ns
                        && meant.is_some()
                        && !first(&pod["status"]["podIP"])
                        && (all.any(|one| is(&one["ip"])) || is(&pod["status"]["podIP"]))
                })
            };
            let settles = it.any(is_known)
                && it.case.options().contains("pods verified")
                && (it.is_denied(it.theirs) || it.went_on(it.theirs))
                && it.ours.code() == "NOERROR";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-220",
        reason: "an address that stands in a slice for two zones is in both; at CoreDNS in the last",
        settle: |it| {
            let zones_of = |slice: &Value, text: &str| {
                let endpoints = slice["endpoints"].as_array().into_iter().flatten();
                let at = endpoints.filter(|one| {
                    one["conditions"]["ready"] != false
                        && one["addresses"].as_array().into_iter().flatten().any(|address| address == text)
                });
                at.map(|one| one["zone"].as_str().unwrap_or_default().to_owned()).collect::<BTreeSet<_>>()
            };
            let is_twice = |slice: &Value| texts(slice).any(|text| zones_of(slice, text).len() > 1);
            let settles = it.ours.code() == "NOERROR"
                && it.theirs.code() == "NOERROR"
                && it.any(|name| name.contains("._zone.") && it.is_of(name, is_twice));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-137",
        reason: "an alias whose target outside could not be resolved is SERVFAIL with EDE 22",
        settle: |it| {
            let is_alias = |record: &str| record.contains(" CNAME ") || record.contains(" DNAME ");
            let settles = it.ours.code() == "SERVFAIL" && it.theirs.records("answer").all(is_alias);
            let settles = settles && it.theirs.is_data() && ["A", "AAAA"].iter().any(|qtype| it.asks(qtype));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-059a",
        reason: "with `bind`, the bound addresses are our own addresses, also outside and behind an alias",
        settle: |it| {
            let to_own = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let begin = format!("{}.{}.svc.", of("name"), of("namespace"));
                object["spec"]["externalName"].as_str().is_some_and(|name| name.starts_with("ns.dns."))
                    && it.any(|name| name.trim_start_matches("_._.").starts_with(&begin))
            });
            // As it is, or as `dns64` shows it.
            let is_there =
                |reply: &Reply| reply.text.contains(" 127.0.0.1") || reply.text.contains(" 64:ff9b::7f00:1");
            let own = ["ns1.dns.out.", "ns1.own.out.", "ns1.dns.other.", "ns1.own.other."];
            let is_own = it.any(|name| own.iter().any(|own| name.starts_with(own)))
                || it.question.qtype == "NS"
                || to_own;
            // `minimal` leaves the addresses of NS away.
            let is_ns = |record: &str| {
                let record = record.to_ascii_lowercase();
                it.any(|name| record.ends_with(&format!(" ns ns.dns.{name}")))
            };
            let is_alone = it.case.has("minimal")
                && it.ours.is_data()
                && it.ours.records("answer").all(is_ns)
                && it.theirs.text.contains(" SOA ns.dns.");
            let settles = is_own
                && it.ours.code() == "NOERROR"
                && it.theirs.code() == "NOERROR"
                && (is_there(it.ours) || is_alone)
                && !is_there(it.theirs);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-210",
        reason: "an import without ports has its addresses",
        settle: |it| {
            let is_import = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let begin = format!("{}.{}.svc.", of("name"), of("namespace"));
                object["kind"] == "ServiceImport"
                    && object["spec"]["ports"].as_array().is_none_or(Vec::is_empty)
                    && it.any(|name| name.trim_start_matches("_._.").starts_with(&begin))
            });
            // What CoreDNS has no name for goes on to the next step where it may (K-200).
            let went_on = it.went_on(it.theirs);
            // `dns64` of CoreDNS makes a name without data of that NXDOMAIN (S-20).
            let is_made = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.theirs.is_nodata()
                && it.also("A").is_some_and(|(_, theirs)| theirs.is_nx());
            let settles =
                is_import && (it.is_denied(it.theirs) || went_on || is_made) && it.ours.code() == "NOERROR";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-208",
        reason: "imports are selected by `labels`; CoreDNS selects them by `namespace_labels`",
        settle: |it| {
            // Of two of one name the API server has the last.
            let import = it.case.objects.iter().rfind(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let end = format!(".{}.{}.svc.clusterset.local.", of("name"), of("namespace"));
                object["kind"] == "ServiceImport" && it.any(|name| format!(".{name}").ends_with(&end))
            });
            let Some(import) = import else { return false };
            let selected = |option| it.case.option(option).is_none_or(|selector| selects(selector, import));
            let settles = match (selected("labels"), selected("namespace_labels")) {
                (true, false) => {
                    it.ours.code() == "NOERROR" && (!it.theirs.is_data() || it.went_on(it.theirs))
                }
                (false, true) => it.theirs.code() == "NOERROR" && (!it.ours.is_data() || it.went_on(it.ours)),
                _ => false,
            };
            it.settle(settles)
        },
    },
];
