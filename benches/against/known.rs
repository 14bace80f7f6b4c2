//! Differences that are on purpose and that words of the chain bring about, beside those of tests/parity/exceptions.rs.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use serde_json::Value;

use crate::case::Case;
use crate::exceptions::Seen;
use crate::look::{Said, has, is_bare, selects, without_option, without_weight};
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
    /// What we said.
    pub(crate) ours: &'a mut Reply,
    /// What CoreDNS said.
    pub(crate) theirs: &'a mut Reply,
}

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

impl Settling<'_> {
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

    /// The slices that `labels` shows, each with the Service that it is of; for names of a clusterset, with the import.
    pub(crate) fn slices(&self) -> impl Iterator<Item = (&Value, Option<String>)> {
        let label = match self.question.lower.ends_with("clusterset.local.") {
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

    /// Whether the name is that of a Service, or one below it, of which a slice is like this; seen from outside too.
    fn is_of(&self, like: impl Fn(&Value) -> bool) -> bool {
        let name = format!(".{}", self.question.lower);
        let outside =
            [".out.example.", ".other.example."].into_iter().find_map(|zone| name.strip_suffix(zone));
        let is = |of: &str| {
            name.contains(&format!(".{of}"))
                || outside.is_some_and(|left| left.ends_with(&format!(".{}", of.trim_end_matches(".svc."))))
        };
        self.slices().any(|(slice, of)| of.is_some_and(|of| is(&of)) && like(slice))
    }

    /// Whether the name has the form of one that only stands above others: `dns`, that of a protocol, of zones, of an import's cluster.
    fn is_above_names(&self) -> bool {
        // Above `ns.dns` of each zone stands `dns` (K-060).
        let zones = ["cluster.local.", "clusterset.local.", "in-addr.arpa.", "ip6.arpa."];
        if self.question.lower.strip_prefix("dns.").is_some_and(|zone| zones.contains(&zone)) {
            return true;
        }
        let Some((left, _)) = self.question.lower.rsplit_once(".svc.cluster") else { return false };
        let labels: Vec<&str> = left.split('.').collect();
        match *labels {
            ["_zone", _, _] | ["pin" | "prefer", "_zone", _, _] => self.has_ready(),
            ["_tcp" | "_udp" | "_sctp", _, _] => self.seen.stands_above(&self.question.lower),
            [cluster, _, _] => {
                let label = "multicluster.kubernetes.io/source-cluster";
                self.slices().any(|(slice, _)| slice["metadata"]["labels"][label] == cluster)
                    && self.seen.stands_above(&self.question.lower)
            }
            _ => false,
        }
    }

    /// Whether the Service that the name is of, or below, has an endpoint with an address that is ready.
    fn has_ready(&self) -> bool {
        self.is_of(|slice| ready(slice).next().is_some())
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
    fn even(&mut self, change: impl Fn(&str) -> String) -> bool {
        let (ours, theirs) = (change(&self.ours.text), change(&self.theirs.text));
        let differed = self.ours.text != self.theirs.text && ours == theirs;
        if differed {
            self.ours.text = ours;
            self.theirs.text = theirs;
        }
        differed
    }
}

/// Those about clusters and messages, in the order in which they are taken out; behind them come those of `reverse`, `outside`, `aliases`, `around`
/// and `searches`.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        rule: "K-013",
        reason: "classes other than IN are REFUSED whatever the block loads",
        settle: |it| {
            let other = it.question.words.split(' ').any(|word| word == "CH" || word == "ANY");
            // A class that `rewrite` makes IN is answered like IN.
            let made = it.theirs.code() == "REFUSED" && it.case.options().contains("rewrite class CH IN");
            let as_in = |(ours, _): &(Reply, Reply)| ours.code() == it.ours.code();
            // It is the only rule that such a question meets, and nobody may know the name that it came with.
            let alone = it.case.options().matches("rewrite ").count() > 1 && is_bare(it.ours, "SERVFAIL");
            // With views the same in class IN may have been for another block.
            let alone = alone || it.case.has("view");
            let made = made && (alone || it.also(&it.question.qtype).is_none_or(as_in));
            let settles = other && (it.ours.code() == "REFUSED" || made);
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
            let went_on = it.case.options().contains("fallthrough")
                && it.ours.text.contains(" SOA ns.dns.")
                && !it.theirs.text.contains(" SOA ns.dns.");
            // A cache has a floor for TTLs (C-04).
            let rest = |reply: &Reply| match it.case.has("cache") {
                true => without_ttls(reply.rest()),
                false => reply.rest().to_owned(),
            };
            let settles = (it.theirs.is_nx() && rest(it.ours) == rest(it.theirs) || went_on)
                && it.ours.is_nodata()
                && it.is_above_names();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-121",
        reason: "slices of domain names yield nothing",
        settle: |it| {
            // They leave a Service empty for `ignore empty_service` too (K-206), also one that an alias leads to.
            let ignores = it.case.options().contains("ignore empty_service");
            if !it.is_of(|slice| slice["addressType"] == "FQDN") {
                let targets =
                    it.theirs.records("answer").filter_map(|one| Some(one.split_once(" CNAME ")?.1));
                let mut targets = targets.map(str::to_ascii_lowercase);
                let is_emptied = targets.any(|target| {
                    it.slices().any(|(slice, of)| {
                        slice["addressType"] == "FQDN" && of.is_some_and(|of| target.starts_with(&of))
                    })
                });
                drop(targets);
                let settles = ignores && is_emptied && it.theirs.code() == "NOERROR" && !it.ours.is_data();
                return it.settle(settles);
            }
            // Without what CoreDNS makes of host names, which share the weights, both are to be the same.
            let is_made = |record: &str| record.contains(".example.com.") || record.ends_with(" .");
            let left = it.theirs.records("answer").filter(|record| !is_made(record)).count();
            let is_emptied = ignores && !it.has_ready();
            let settles = if left == 0 || is_emptied {
                it.theirs.code() == "NOERROR" && !it.ours.is_data()
            } else {
                let owner = format!(" {} ", it.question.lower);
                let lines = |reply: &Reply| -> Vec<String> {
                    let counts =
                        |line: &&str| !is_made(line) && *line != "a CNAME stands behind other records";
                    // A cache shows the shortest TTL (C-03), and outside SRV have one of their own (K-291).
                    let loose = it.case.has("cache") || it.question.lower.ends_with(".example.");
                    let text = if loose { without_ttls(&reply.text) } else { reply.text.clone() };
                    let lines = text.lines().skip(1).filter(counts);
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
            let settles = it.question.lower.contains("._zone.")
                && it.case.options().contains("; zonal")
                && !it.has_ready()
                && it.theirs.is_nodata()
                && !it.ours.is_data();
            it.settle(settles)
        },
    },
    Known {
        rule: "K-153",
        reason: "`pods verified` knows every address of a pod, for other types too where a step behind answers for one",
        settle: |it| {
            let (left, _) = it.question.lower.rsplit_once(".pod.cluster").unwrap_or_default();
            let mut labels = left.rsplit('.');
            let (ns, label) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
            let spelled = |ip: &Value| ip.as_str().unwrap_or_default().replace(['.', ':'], "-") == label;
            let second = it.case.objects.iter().filter(|object| object["kind"] == "Pod").any(|pod| {
                let mut all = pod["status"]["podIPs"].as_array().into_iter().flatten();
                pod["metadata"]["namespace"] == ns
                    && !spelled(&pod["status"]["podIP"])
                    && all.any(|one| spelled(&one["ip"]))
            });
            let settles = second && it.theirs.is_nx() && !it.ours.is_nx();
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
            let settles = it.question.lower.contains("._zone.")
                && it.ours.code() == "NOERROR"
                && it.theirs.code() == "NOERROR"
                && it.is_of(|slice| texts(slice).any(|text| zones_of(slice, text).len() > 1));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-137",
        reason: "an alias whose target outside could not be resolved is SERVFAIL with EDE 22",
        settle: |it| {
            let settles = it.ours.code() == "SERVFAIL"
                && it.theirs.records("answer").all(|one| one.contains(" CNAME "));
            let settles = settles && it.theirs.is_data() && ["A", "AAAA"].contains(&&*it.question.qtype);
            it.settle(settles)
        },
    },
    Known {
        rule: "K-059a",
        reason: "with `bind`, the bound addresses are our own addresses, also outside and behind an alias",
        settle: |it| {
            let name = it.question.lower.as_str();
            // An alias of a zone file may lead to one of the cluster.
            let targets = it.ours.records("answer").filter_map(|one| Some(one.split_once(" CNAME ")?.1));
            let names: Vec<String> = targets.map(str::to_ascii_lowercase).chain([name.to_owned()]).collect();
            let to_own = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let begin = format!("{}.{}.svc.", of("name"), of("namespace"));
                object["spec"]["externalName"].as_str().is_some_and(|name| name.starts_with("ns.dns."))
                    && names.iter().any(|name| name.trim_start_matches("_._.").starts_with(&begin))
            });
            // As it is, or as `dns64` shows it.
            let is_there =
                |reply: &Reply| reply.text.contains(" 127.0.0.1") || reply.text.contains(" 64:ff9b::7f00:1");
            let own = ["ns1.dns.out.", "ns1.own.out.", "ns1.dns.other.", "ns1.own.other."];
            let is_own = own.iter().any(|own| name.starts_with(own)) || it.question.qtype == "NS" || to_own;
            // `minimal` leaves the addresses of NS away.
            let target = format!(" NS ns.dns.{name}");
            let is_alone = it.case.has("minimal")
                && it.ours.is_data()
                && it
                    .ours
                    .records("answer")
                    .all(|one| one.to_ascii_lowercase().ends_with(&target.to_ascii_lowercase()))
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
            let names = it.case.behind(&it.question.lower);
            let is_import = it.case.objects.iter().any(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let begin = format!("{}.{}.svc.", of("name"), of("namespace"));
                object["kind"] == "ServiceImport"
                    && object["spec"]["ports"].as_array().is_none_or(Vec::is_empty)
                    && names.iter().any(|name| name.trim_start_matches("_._.").starts_with(&begin))
            });
            // What CoreDNS has no name for goes on to the next step where it may (K-200).
            let went_on =
                it.case.options().contains("fallthrough") && !it.theirs.text.contains(" SOA ns.dns.");
            // `dns64` of CoreDNS makes a name without data of that NXDOMAIN (S-20).
            let is_made = it.case.has("dns64")
                && it.question.qtype == "AAAA"
                && it.theirs.is_nodata()
                && it.also("A").is_some_and(|(_, theirs)| theirs.is_nx());
            let settles =
                is_import && (it.theirs.is_nx() || went_on || is_made) && it.ours.code() == "NOERROR";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-208",
        reason: "imports are selected by `labels`; CoreDNS selects them by `namespace_labels`",
        settle: |it| {
            let names = it.case.behind(&it.question.lower);
            // Of two of one name the API server has the last.
            let import = it.case.objects.iter().rfind(|object| {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let end = format!(".{}.{}.svc.clusterset.local.", of("name"), of("namespace"));
                object["kind"] == "ServiceImport"
                    && names.iter().any(|name| format!(".{name}").ends_with(&end))
            });
            let Some(import) = import else { return false };
            let selected = |option| it.case.option(option).is_none_or(|selector| selects(selector, import));
            let settles = match (selected("labels"), selected("namespace_labels")) {
                (true, false) => !it.theirs.is_data(),
                (false, true) => !it.ours.is_data(),
                _ => false,
            };
            it.settle(settles)
        },
    },
];
