//! Where ours answers otherwise than CoreDNS on purpose, rule by rule.

use std::collections::HashSet;

use crate::questions::Question;
use crate::reply::Reply;

/// An allowed difference.
pub(crate) struct Exception {
    /// The rule of docs/behaviour.md.
    pub(crate) rule: &'static str,
    /// What is different.
    pub(crate) reason: &'static str,
    /// Whether it allows this difference.
    allows: fn(&Difference<'_>) -> bool,
}

/// What CoreDNS said to all questions of a variant: which names there are.
pub(crate) struct Seen {
    /// The lines of the stanza.
    options: String,
    /// Names, in lower case, that CoreDNS does not call missing for each type; SOA does not count (K-051).
    existing: HashSet<String>,
    /// Names above those.
    above: HashSet<String>,
}

impl Seen {
    /// Learns the names.
    pub(crate) fn new<'a>(
        options: &[&str],
        replies: impl Iterator<Item = (&'a Question, &'a Reply)>,
    ) -> Self {
        let mut this = Self { options: options.join("; "), existing: HashSet::new(), above: HashSet::new() };
        for (question, reply) in replies {
            // What CoreDNS answers below another name is no name (section 0).
            let misplaced = question.lower.starts_with("ns.dns.") && question.lower.matches('.').count() > 4;
            if !misplaced
                && reply.code() == "NOERROR"
                && question.qtype != "SOA"
                && !question.words.contains("opcode")
            {
                let mut name = question.lower.as_str();
                while let Some((_, rest)) = name.split_once('.') {
                    this.above.insert(rest.to_owned());
                    name = rest;
                }
                this.existing.insert(question.lower.clone());
            }
        }
        this
    }

    /// Whether CoreDNS says that a name exists, for some type.
    pub(crate) fn exists(&self, lower: &str) -> bool {
        self.existing.contains(lower)
    }

    /// Whether CoreDNS says that a name below this one exists.
    pub(crate) fn stands_above(&self, lower: &str) -> bool {
        self.above.contains(lower)
    }
}

/// A difference.
struct Difference<'a> {
    /// What CoreDNS said to other questions.
    seen: &'a Seen,
    /// The question.
    question: &'a Question,
    /// Our reply.
    ours: &'a Reply,
    /// The reply of CoreDNS.
    theirs: &'a Reply,
}

impl Difference<'_> {
    /// Whether CoreDNS says that the name exists, for this or another type.
    fn exists(&self) -> bool {
        self.seen.exists(&self.question.lower)
    }

    /// Whether CoreDNS says that a name below this one exists.
    fn stands_above(&self) -> bool {
        self.seen.stands_above(&self.question.lower)
    }

    /// NXDOMAIN of CoreDNS is NODATA of ours, and all else is equal.
    fn nx_is_nodata(&self) -> bool {
        self.theirs.is_nx() && self.ours.is_nodata() && self.ours.rest() == self.theirs.rest()
    }

    /// NODATA of CoreDNS is NXDOMAIN of ours, and all else is equal.
    fn nodata_is_nx(&self) -> bool {
        self.theirs.is_nodata() && self.ours.is_nx() && self.ours.rest() == self.theirs.rest()
    }

    /// Whether the type is this one.
    fn asks(&self, qtype: &str) -> bool {
        self.question.qtype == qtype
    }

    /// The labels of the name in front of its zone, and whether the zone is a reverse one.
    fn split(&self) -> (&str, bool) {
        let lower = self.question.lower.as_str();
        for (zone, is_reverse) in [
            ("cluster.local.", false),
            ("clusterset.local.", false),
            ("in-addr.arpa.", true),
            ("ip6.arpa.", true),
        ] {
            if let Some(left) = lower.strip_suffix(zone) {
                return (left.trim_end_matches('.'), is_reverse);
            }
        }
        (lower, false)
    }

    /// Whether the name is below a reverse zone.
    fn is_reverse(&self) -> bool {
        self.split().1
    }

    /// Whether the name's zone part was typed with capitals.
    fn has_capital_zone(&self) -> bool {
        let at = self.question.name.rmatch_indices('.').nth(2).map_or(0, |(at, _)| at);
        self.question.name[at..].bytes().any(|byte| byte.is_ascii_uppercase())
    }

    /// Whether the name is the apex or `ns.dns` of a zone, where our own addresses stand.
    fn is_own_name(&self) -> bool {
        let (left, _) = self.split();
        (left.is_empty() && self.asks("NS")) || left == "ns.dns"
    }

    /// Whether a name is in the `pod` tree.
    fn is_pod(&self) -> bool {
        let (left, reverse) = self.split();
        !reverse && left.ends_with(".pod")
    }

    /// Whether the stanza has a line that begins so.
    fn has_option(&self, option: &str) -> bool {
        self.seen.options.contains(option)
    }
}

/// All exceptions. The first is counted by size alone; of the others the first that allows a difference counts.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception { rule: "K-009", reason: "our OPT has our size, not the client's", allows: |_| false },
    Exception {
        rule: "K-011",
        reason: "options of the client are not echoed",
        allows: |it| {
            let echoed =
                it.theirs.text.lines().any(|line| line.starts_with("edns ") && line.contains("option="));
            let without = |text: &str| -> Vec<String> {
                let bare = |line: &str| {
                    line.split(' ').filter(|word| !word.starts_with("option=")).collect::<Vec<_>>().join(" ")
                };
                text.lines().map(bare).map(|line| line.trim_end().to_owned()).collect()
            };
            echoed && !it.ours.text.contains("option=") && without(&it.ours.text) == without(&it.theirs.text)
        },
    },
    Exception {
        rule: "K-014",
        reason: "NOTIFY is NOTIMP and does not run through the chain",
        allows: |it| it.question.words == "+opcode=4" && it.ours.code() == "NOTIMP",
    },
    Exception {
        rule: "K-177",
        reason: "a slice without the name of its Service has no PTR; CoreDNS gives no reply at all",
        allows: |it| {
            it.theirs.is_silence()
                && it.ours.is_nx()
                && it.question.lower == "2.20.244.10.in-addr.arpa."
                && it.asks("PTR")
        },
    },
    Exception {
        rule: "K-055",
        reason: "NS at a zone and ns.dns are found in any case",
        allows: |it| {
            it.is_own_name()
                && it.has_capital_zone()
                && (it.theirs.is_nx() || it.theirs.is_nodata())
                && (it.ours.is_data() || it.ours.is_nodata())
        },
    },
    Exception {
        rule: "K-059a",
        reason: "with `bind`, the bound addresses are our own addresses",
        allows: |it| it.is_own_name() && it.theirs.is_nodata() && it.ours.is_data(),
    },
    Exception {
        rule: "section 0, ns.dns",
        reason: "ns.dns.ZONE stands once, not below other names of the zone",
        allows: |it| {
            let left = format!("{}.", it.split().0);
            let below = ["ns.dns.cluster.local.", "ns.dns.in-addr.arpa.", "ns.dns.ip6.arpa."];
            below.iter().any(|name| left.starts_with(name)) && it.nodata_is_nx()
        },
    },
    Exception {
        rule: "section 0, reverse zones",
        reason: "the names of forward zones do not stand below reverse zones",
        allows: |it| {
            let (left, reverse) = it.split();
            let last = left.rsplit('.').next().unwrap_or_default();
            reverse && ["svc", "pod", "dns-version"].contains(&last) && !it.theirs.is_nx() && it.ours.is_nx()
        },
    },
    Exception {
        rule: "K-057",
        reason: "dns-version with another type is NODATA",
        allows: |it| it.split() == ("dns-version", false) && !it.asks("TXT") && it.nx_is_nodata(),
    },
    Exception {
        rule: "K-156",
        reason: "pods have no SRV",
        allows: |it| it.is_pod() && it.asks("SRV") && it.theirs.is_data() && it.ours.is_nodata(),
    },
    Exception {
        rule: "K-153",
        reason: "`pods verified` compares addresses, not text, and knows every address of a pod",
        allows: |it| {
            it.is_pod()
                && it.has_option("pods verified")
                && it.theirs.is_nx()
                && !it.exists()
                && !it.ours.is_nx()
        },
    },
    Exception {
        rule: "K-178",
        reason: "PTR obeys `namespace_labels`",
        allows: |it| {
            let hidden =
                it.has_option("namespace_labels") && it.is_reverse() && it.theirs.code() == "NOERROR";
            let fewer =
                it.ours.records("answer").all(|record| it.theirs.records("answer").any(|one| one == record));
            hidden
                && (it.exists() || it.stands_above())
                && (it.asks("PTR") || it.asks("SOA"))
                && (it.ours.is_nx() || fewer)
        },
    },
    Exception {
        rule: "K-037",
        reason: "a name with names below it is NODATA: `_tcp` of a Service and `dns`",
        allows: |it| {
            let (left, _) = it.split();
            let first = left.split('.').next().unwrap_or_default();
            it.nx_is_nodata()
                && it.stands_above()
                && (left == "dns" || ["_tcp", "_udp", "_sctp"].contains(&first))
        },
    },
    Exception {
        rule: "K-058",
        reason: "TXT at a name that exists is NODATA",
        allows: |it| it.asks("TXT") && it.nx_is_nodata() && it.exists(),
    },
    Exception {
        rule: "K-176",
        reason: "another type at a reverse name that exists is NODATA",
        allows: |it| it.is_reverse() && !it.asks("PTR") && it.nx_is_nodata() && it.exists(),
    },
    Exception {
        rule: "K-175",
        reason: "a reverse name above an address is NODATA",
        allows: |it| it.is_reverse() && it.nx_is_nodata() && !it.exists() && it.stands_above(),
    },
    Exception {
        rule: "K-051",
        reason: "SOA at a name that does not exist is NXDOMAIN",
        allows: |it| {
            // Whatever CoreDNS finds below `tcp` (K-035), and below `_tcp` where no port has a name (K-038).
            let first = it.question.lower.split('.').next().unwrap_or_default().trim_start_matches('_');
            let nothing = !it.stands_above() || ["tcp", "udp", "sctp"].contains(&first);
            it.asks("SOA") && it.nodata_is_nx() && !it.exists() && nothing
        },
    },
    Exception {
        rule: "K-059a, K-132",
        reason: "an alias of ns.dns finds the bound addresses",
        allows: |it| {
            let is_alias = it.split().0.trim_start_matches("_._.") == "to-ns.shop.svc";
            is_alias && it.theirs.is_nodata() && it.ours.is_data()
        },
    },
    Exception {
        rule: "K-054, K-183",
        reason: "ns.dns exists for PTR too",
        allows: |it| it.split().0 == "ns.dns" && it.asks("PTR") && it.nx_is_nodata(),
    },
    Exception {
        rule: "K-174",
        reason: "a name below an address has no PTR",
        allows: |it| {
            let below = it.question.lower.starts_with("x.") && it.question.lower.ends_with(".ip6.arpa.");
            below && it.theirs.code() == "NOERROR" && it.ours.is_nx()
        },
    },
    Exception {
        rule: "K-121",
        reason: "slices of domain names yield nothing",
        allows: |it| it.split().0.ends_with("fqdn.data.svc") && !it.theirs.is_nx() && it.ours.is_nx(),
    },
    Exception {
        rule: "K-173",
        reason: "an address that a slice spells in an unusual way is found by its reverse name",
        allows: |it| {
            it.theirs.is_nx()
                && it.ours.code() == "NOERROR"
                && SPELLED.ends_with(&format!(".{}", it.question.lower))
        },
    },
];

/// The reverse name of an address that a slice of the fixtures spells `fd00:10:244:9:0:0:0:1`, with a dot in front.
const SPELLED: &str = ".1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa.";

/// The exception that allows a difference.
pub(crate) fn of(seen: &Seen, question: &Question, ours: &Reply, theirs: &Reply) -> Option<usize> {
    let difference = Difference { seen, question, ours, theirs };
    EXCEPTIONS.iter().position(|exception| (exception.allows)(&difference))
}
