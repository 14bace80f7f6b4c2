//! Two replies to one question: what differs, and whether it is meant to.

use serde::Serialize;

use crate::wire::{Decoded, Line, Rcode, rtype};

/// What is compared beside code, AA, and the set of answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Strictness {
    /// TTLs.
    pub(super) ttl: bool,
    /// AA.
    pub(super) authoritative: bool,
}

/// One thing in which two replies differ.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    /// What it is: `code`, `aa`, `answer`, `ttl`, `soa`.
    pub(super) what: &'static str,
    /// As this server has it.
    pub(super) ours: String,
    /// As the other one has it.
    pub(super) theirs: String,
    /// The rule of docs/behaviour.md by which signpost differs from CoreDNS here, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<&'static str>,
}

/// Records as a set, with or without TTLs.
fn set(lines: &[Line], ttl: bool) -> Vec<String> {
    let text = |line: &Line| {
        let ttl = if ttl { format!(" {}", line.ttl) } else { String::new() };
        format!("{}{ttl} {} {}", line.owner, line.rtype, without_serial(line))
    };
    let mut set: Vec<String> = lines.iter().map(text).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// The data of a record; of an SOA without the serial, which says when a server last saw a change.
fn without_serial(line: &Line) -> String {
    let words = line.rdata.split(' ').enumerate();
    let kept = words.map(|(place, word)| if line.rtype == "SOA" && place == 2 { "*" } else { word });
    kept.collect::<Vec<_>>().join(" ")
}

/// What is in `these` and not in `those`, as text.
fn rest(these: &[String], those: &[String]) -> String {
    let rest: Vec<&str> = these.iter().filter(|text| !those.contains(text)).map(String::as_str).collect();
    if rest.is_empty() { "–".to_owned() } else { rest.join(", ") }
}

/// The zone of the SOA of a negative reply.
fn soa(reply: &Decoded) -> String {
    let found = reply.authority.iter().find(|line| line.rtype == "SOA");
    found.map_or_else(|| "–".to_owned(), |line| line.owner.clone())
}

/// In what two replies differ; name and type are those asked for.
pub(super) fn judge(
    (name, qtype): (&str, u16),
    ours: &Decoded,
    theirs: &Decoded,
    strict: Strictness,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add =
        |what, ours: String, theirs: String, rule| found.push(Difference { what, ours, theirs, rule });
    let reverse = name.ends_with(".ip6.arpa.")
        && ours.answer.iter().all(|line| line.rtype == "PTR")
        && !ours.answer.is_empty();
    let nodata = ours.rcode == Rcode::NOERROR && ours.answer.is_empty();
    if ours.rcode != theirs.rcode {
        let rule = match (nodata, theirs.rcode) {
            // A name with names below it, or without this type, is there.
            (true, Rcode::NXDOMAIN) => existing(name, qtype),
            // Addresses are compared, not their spellings.
            _ if reverse && theirs.rcode == Rcode::NXDOMAIN => Some("K-173"),
            _ if ours.rcode == Rcode::SERVFAIL && theirs.rcode == Rcode::NOERROR => Some("K-137"),
            _ => None,
        };
        add("code", ours.rcode.text().to_owned(), theirs.rcode.text().to_owned(), rule);
    }
    let (mine, other) = (set(&ours.answer, false), set(&theirs.answer, false));
    if mine != other {
        let apex = ours.answer.iter().all(|line| line.rtype == "NS" && line.owner == name);
        let rule = match (theirs.answer.is_empty(), reverse) {
            (true, true) => Some("K-173"),
            // CoreDNS knows its own addresses only without `bind`.
            (true, false) if apex => Some("K-059a"),
            _ => None,
        };
        add("answer", rest(&mine, &other), rest(&other, &mine), rule);
    } else if strict.ttl {
        let (mine, other) = (set(&ours.answer, true), set(&theirs.answer, true));
        if mine != other {
            add("ttl", rest(&mine, &other), rest(&other, &mine), None);
        }
    }
    if strict.authoritative && ours.authoritative != theirs.authoritative && ours.rcode == theirs.rcode {
        // CoreDNS sets AA on what its cache holds.
        let rule = (!ours.authoritative).then_some("C-07");
        add("aa", ours.authoritative.to_string(), theirs.authoritative.to_string(), rule);
    }
    let negative =
        |reply: &Decoded| reply.answer.is_empty() && [Rcode::NOERROR, Rcode::NXDOMAIN].contains(&reply.rcode);
    if negative(ours) && negative(theirs) && soa(ours) != soa(theirs) {
        add("soa", soa(ours), soa(theirs), None);
    }
    found
}

/// The rule by which a name is there, or has no records of this type, that CoreDNS denies; `None` where only one of the two may
/// know it.
fn existing(name: &str, qtype: u16) -> Option<&'static str> {
    match name {
        name if name.ends_with(".arpa.") => Some("K-175, K-176"),
        name if ["_tcp.", "_udp.", "_sctp."].iter().any(|label| name.starts_with(label)) => Some("K-037"),
        name if name.starts_with("dns-version.") => Some("K-057"),
        name if name.starts_with("dns.") => Some("K-060"),
        _ if qtype == rtype::TXT => Some("K-058"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply.
    fn reply(rcode: Rcode, answers: &[(&str, u32)]) -> Decoded {
        let line = |(rdata, ttl): &(&str, u32)| Line {
            owner: "web.".to_owned(),
            rtype: "A".to_owned(),
            rdata: (*rdata).to_owned(),
            ttl: *ttl,
        };
        Decoded {
            id: 1,
            rcode,
            authoritative: true,
            truncated: false,
            answer: answers.iter().map(line).collect(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    /// TTLs are not looked at.
    const LOOSE: Strictness = Strictness { ttl: false, authoritative: true };

    #[test]
    fn order_and_ttl_are_no_difference_unless_asked_for() {
        let ours = reply(Rcode::NOERROR, &[("10.0.0.1", 30), ("10.0.0.2", 30)]);
        let theirs = reply(Rcode::NOERROR, &[("10.0.0.2", 5), ("10.0.0.1", 5)]);
        assert_eq!(judge(("web.", rtype::A), &ours, &theirs, LOOSE), []);
        let strict = judge(("web.", rtype::A), &ours, &theirs, Strictness { ttl: true, authoritative: true });
        assert_eq!(strict.iter().map(|one| one.what).collect::<Vec<_>>(), ["ttl"]);
    }

    #[test]
    fn another_address_and_another_code_are_differences() {
        let ours = reply(Rcode::NOERROR, &[("10.0.0.1", 30), ("10.0.0.3", 30)]);
        let theirs = reply(Rcode::NOERROR, &[("10.0.0.1", 30)]);
        let found = judge(("web.", rtype::A), &ours, &theirs, LOOSE);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].what, found[0].ours.as_str(), found[0].theirs.as_str()),
            ("answer", "web. A 10.0.0.3", "–")
        );
        let found =
            judge(("web.", rtype::A), &reply(Rcode::NXDOMAIN, &[]), &reply(Rcode::SERVFAIL, &[]), LOOSE);
        assert_eq!((found[0].what, found[0].rule), ("code", None));
    }

    #[test]
    fn the_serial_of_an_soa_is_no_difference() {
        let with = |serial: u32| {
            let mut reply = reply(Rcode::NOERROR, &[]);
            let rdata = format!("ns.dns.z. hostmaster.z. {serial} 7200 1800 86400 5");
            reply.answer.push(Line { owner: "z.".to_owned(), rtype: "SOA".to_owned(), rdata, ttl: 5 });
            reply
        };
        assert_eq!(judge(("z.", rtype::A), &with(1), &with(2), LOOSE), []);
    }

    #[test]
    fn what_differs_on_purpose_names_its_rule() {
        let ours = reply(Rcode::NOERROR, &[]);
        let theirs = reply(Rcode::NXDOMAIN, &[]);
        assert_eq!(
            judge(("_tcp.web.shop.svc.cluster.local.", rtype::A), &ours, &theirs, LOOSE)[0].rule,
            Some("K-037")
        );
    }
}
