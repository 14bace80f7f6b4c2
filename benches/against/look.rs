//! What exceptions have to know of a case beyond the pair of replies in hand: other replies, the objects, the walk of a search.

use std::collections::HashMap;

use serde_json::Value;

use crate::case::Case;
use crate::reply::Reply;

/// What both said to plain questions, ours first, by name in lower case and type.
pub(crate) type Said = HashMap<(String, String), (Reply, Reply)>;

/// Whether a reply has a flag.
pub(crate) fn has(reply: &Reply, flag: &str) -> bool {
    reply.text.lines().next().is_some_and(|head| head.split(' ').any(|word| word == flag))
}

/// Whether a reply has no record in any section.
pub(crate) fn is_empty(reply: &Reply) -> bool {
    ["answer", "authority", "additional"].iter().all(|section| reply.records(section).next().is_none())
}

/// Whether a reply is nothing but this code: what a chain says that ended without an answer (S-03).
pub(crate) fn is_bare(reply: &Reply, code: &str) -> bool {
    reply.code() == code && !has(reply, "aa") && is_empty(reply) && !reply.text.contains("ede=")
}

/// A text whose OPT lacks an option.
pub(crate) fn without_option(text: &str, option: &str) -> String {
    let mut bare = String::new();
    for line in text.lines() {
        match line.strip_prefix("edns ") {
            Some(rest) => {
                let rest: Vec<&str> = rest.split(' ').filter(|word| *word != option).collect();
                bare += &format!("edns {}\n", rest.join(" "));
            }
            None => bare += &format!("{line}\n"),
        }
    }
    bare
}

/// A line with `*` for the weight of an SRV record.
pub(crate) fn without_weight(line: &str) -> String {
    match line.split_once(" SRV ") {
        Some((left, right)) => {
            let words: Vec<&str> = right.splitn(3, ' ').collect();
            match *words {
                [priority, _, rest] => format!("{left} SRV {priority} * {rest}"),
                _ => line.to_owned(),
            }
        }
        None => line.to_owned(),
    }
}

/// Whether a line of a `view` looks at what an OPT says.
pub(crate) fn sees_opt(line: &str) -> bool {
    line.contains("bufsize()") || line.contains("do()")
}

/// Whether a label selector, in the forms that `chain` writes, selects an object.
pub(crate) fn selects(selector: &str, object: &Value) -> bool {
    let label = |key: &str| object["metadata"]["labels"][key].as_str();
    let list = |text: &str| -> Vec<String> {
        text.trim_end_matches(')').split(',').map(|one| one.trim().to_owned()).collect()
    };
    if let Some((key, values)) = selector.split_once(" notin (") {
        return label(key).is_none_or(|value| list(values).iter().all(|one| one != value));
    }
    if let Some((key, values)) = selector.split_once(" in (") {
        return label(key).is_some_and(|value| list(values).iter().any(|one| one == value));
    }
    match selector.split_once('=') {
        Some((key, value)) => label(key) == Some(value),
        None => label(selector).is_some(),
    }
}

/// Whether `rewrite` makes NOERROR of NXDOMAIN for one of these names, so that nothing tells whether it exists.
pub(crate) fn is_hidden(case: &Case, names: &[String]) -> bool {
    let rule = "rewrite rcode suffix cluster.local. NXDOMAIN NOERROR";
    case.words().any(|word| word.head == rule) && names.iter().any(|name| name.ends_with("cluster.local."))
}

/// The type as the steps behind `rewrite` see it.
pub(crate) fn rewritten(case: &Case, qtype: &str) -> String {
    let to = case.words().find_map(|word| match *word.head.split(' ').collect::<Vec<_>>() {
        ["rewrite", "type", from, to] if from == qtype => Some(to.to_owned()),
        _ => None,
    });
    to.unwrap_or_else(|| qtype.to_owned())
}

impl Case {
    /// What a stanza of `kubernetes` says behind an option; the first one that has it.
    pub(crate) fn option(&self, option: &str) -> Option<&str> {
        let stanzas = self.words().filter(|word| word.head.starts_with("kubernetes "));
        let mut lines = stanzas.flat_map(|word| &word.lines);
        lines.find_map(|line| line.strip_prefix(option)?.strip_prefix(' '))
    }

    /// Whether a namespace is there and the stanza shows it.
    pub(crate) fn shows(&self, ns: &str) -> bool {
        let named = |object: &&Value| object["kind"] == "Namespace" && object["metadata"]["name"] == ns;
        let Some(object) = self.objects.iter().rfind(named) else { return false };
        self.option("namespaces").is_none_or(|list| list.split(' ').any(|one| one == ns))
            && self.option("namespace_labels").is_none_or(|selector| selects(selector, object))
    }

    /// The same case without its blocks that have a view: what there is to know of names that a view hides.
    pub(crate) fn without_views(&self) -> Self {
        let mut case = self.clone();
        case.blocks.retain(|block| !block.words.iter().any(|word| word.head.starts_with("view ")));
        case
    }

    /// The search lists that `autopath` walks.
    fn lists(&self) -> Vec<Vec<String>> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        if self.words().any(|word| word.head == "autopath {DIR}/resolv.conf") {
            let all = ["shop.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", "example.org."];
            return vec![list(&all)];
        }
        if !self.has("autopath") {
            return Vec::new();
        }
        let asks = |object: &&Value| object["kind"] == "Pod" && object["status"]["podIP"] == "127.0.0.1";
        let pods = self.objects.iter().filter(asks);
        let zones = ["cluster.local.", "clusterset.local."];
        pods.filter_map(|pod| pod["metadata"]["namespace"].as_str())
            .flat_map(|ns| {
                zones.map(|zone| vec![format!("{ns}.svc.{zone}"), format!("svc.{zone}"), zone.to_owned()])
            })
            .collect()
    }

    /// The names that `autopath` tries for a name, the name itself first; the machine's own search list is left out. For the
    /// first element of a list itself, which CoreDNS takes for a name to be searched, it is that name alone.
    pub(crate) fn walk(&self, name: &str) -> Option<Vec<String>> {
        self.lists().into_iter().find_map(|list| {
            let left = name.strip_suffix(list[0].as_str())?;
            if left.is_empty() {
                return Some(vec![name.to_owned()]);
            }
            let left = left.strip_suffix('.')?;
            Some(list.iter().map(|zone| format!("{left}.{zone}")).chain([format!("{left}.")]).collect())
        })
    }

    /// The names as which the steps behind `rewrite` may see a name, itself first: which rules count follows from more than names.
    pub(crate) fn behind(&self, name: &str) -> Vec<String> {
        let dotted = |text: &str| format!("{}.", text.trim_end_matches('.'));
        let mut names = vec![name.to_owned()];
        for word in self.words() {
            let rule = word.head.strip_prefix("rewrite ").unwrap_or_default();
            let rule = rule.strip_prefix("continue ").unwrap_or(rule);
            let ["name", way, from, to, ..] = *rule.split(' ').collect::<Vec<_>>() else { continue };
            let (plain, to) = (dotted(from), dotted(to));
            let renamed = |name: &String| match way {
                "exact" => (*name == plain).then(|| to.clone()),
                "suffix" => name.strip_suffix(&plain).map(|left| format!("{left}{to}")),
                "prefix" => name.strip_prefix(&plain).map(|right| format!("{to}{right}")),
                "substring" => name.contains(&plain).then(|| name.replace(&plain, &to)),
                // Expressions, in the forms that `chain` writes: what stands in front of a suffix.
                _ => {
                    let right = to.rsplit('}').next().unwrap_or_default();
                    let suffix = from.trim_start_matches("(.*)[.]").replace("[.]", ".");
                    name.strip_suffix(&format!(".{suffix}.")).map(|left| format!("{left}{right}"))
                }
            };
            let more: Vec<String> = names.iter().filter_map(renamed).collect();
            names.extend(more);
        }
        names
    }
}
