//! What is asked: names of a file, or all that a set of manifests gives rise to.

use std::collections::BTreeSet;
use std::path::Path;

use crate::store::{Naming, Protocol, Spec};
use crate::tools::look::{Looked, Looking, look};
use crate::wire::{parse_name, parse_type, rtype, show_label, show_name};

/// A question.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Asked {
    /// The name, with its final dot.
    pub(super) name: String,
    /// The type.
    pub(super) qtype: u16,
}

/// Names asked for from manifests where nobody gives types.
const FORWARD: [u16; 2] = [rtype::A, rtype::AAAA];

/// Types that tell whether a name is there and what it has.
const ALL: &[u16] = &[rtype::A, rtype::AAAA, rtype::SRV, rtype::TXT];

/// The most endpoints of a Service that are asked for one by one.
const ENDPOINTS: usize = 20;

/// The questions of a file: a name a line, types behind it (A and AAAA unless there are any); `#` begins a comment.
///
/// Errors: a line that is none, in words.
pub(super) fn of_text(name: &str, text: &str) -> Result<Vec<Asked>, String> {
    let mut asked = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let fail = |what: &str| format!("{name}:{}: {what}", number + 1);
        if parse_name(first).is_none() {
            return Err(fail(&format!("`{first}` is no name")));
        }
        let full = if first.ends_with('.') { first.to_owned() } else { format!("{first}.") };
        let mut types = Vec::new();
        for word in words {
            types.push(parse_type(word).ok_or_else(|| fail(&format!("`{word}` is no type of record")))?);
        }
        if types.is_empty() {
            types = FORWARD.to_vec();
        }
        asked.extend(types.into_iter().map(|qtype| Asked { name: full.clone(), qtype }));
    }
    Ok(asked)
}

/// The questions that the objects of a folder, or of stdin, give rise to, and what is wrong with those: every Service, port, endpoint and address, each of them in every
/// type that matters, and names that are not there.
///
/// Errors: the folder can't be read, in words.
pub(super) fn of_manifests(dir: &Path, zone: &str) -> Result<(Vec<Asked>, Vec<String>), String> {
    let zone = format!("{}.", zone.trim_end_matches('.'));
    let text =
        format!(". {{\n    kubernetes {zone} in-addr.arpa ip6.arpa {{\n        manifests .\n    }}\n}}\n");
    let parts = Looking { manifests: Some(dir.to_owned()), ..Looking::default() };
    let Looked { mut parts, .. } = look("manifests", &text, 53, parts).map_err(|error| error.render())?;
    let problems = parts.feed().map_err(|unfed| unfed.to_string())?;
    let mut names: BTreeSet<(String, u16)> = BTreeSet::new();
    let mut ask = |name: &str, types: &[u16]| {
        names.extend(types.iter().map(|qtype| (name.to_ascii_lowercase(), *qtype)));
    };
    ask(&zone, &[rtype::SOA, rtype::NS, rtype::A]);
    ask(&format!("svc.{zone}"), ALL);
    ask(&format!("pod.{zone}"), ALL);
    ask(&format!("dns-version.{zone}"), &[rtype::TXT]);
    ask(&format!("no-such-service.no-such-namespace.svc.{zone}"), ALL);
    // What a search list makes of a name outside.
    ask(&format!("www.example.com.default.svc.{zone}"), &FORWARD);
    ask(&format!("www.example.com.svc.{zone}"), &FORWARD);
    for asked in &parts.stores {
        asked.store.each_namespace(|namespace| {
            ask(&format!("{}.svc.{zone}", namespace.name()), ALL);
            ask(&format!("no-such-service.{}.svc.{zone}", namespace.name()), ALL);
        });
        asked.store.each_service(|service| {
            let base = format!("{}svc.{zone}", show_name(service.key()));
            ask(&base, ALL);
            if let Spec::External(_) = service.spec() {
                ask(&base, &[rtype::CNAME]);
            }
            ask(&format!("no-such-endpoint.{base}"), &FORWARD);
            ask(&format!("_no-such-port._tcp.{base}"), &[rtype::SRV]);
            let mut port = |name: &str, protocol: Protocol| {
                if !name.is_empty() {
                    let protocol = match protocol {
                        Protocol::Tcp => "tcp",
                        Protocol::Udp => "udp",
                        Protocol::Sctp => "sctp",
                    };
                    ask(&format!("_{name}._{protocol}.{base}"), &[rtype::SRV, rtype::A]);
                }
            };
            service.ports().iter().for_each(|of| port(&of.name, of.protocol));
            for part in service.endpoints().parts() {
                part.ports().iter().for_each(|of| port(&of.name, of.protocol));
            }
            let members = service.endpoints().parts().iter().flat_map(|part| part.members());
            for member in members.take(ENDPOINTS) {
                let label = show_label(member.name(Naming::Address).as_bytes());
                ask(&format!("{label}.{base}"), ALL);
                ask(&reverse(member.ip()), &[rtype::PTR]);
                let namespace = service.namespace().name();
                let dashes = member.ip().to_string().replace(['.', ':'], "-");
                ask(&format!("{dashes}.{namespace}.pod.{zone}"), &FORWARD);
            }
            for ip in service.cluster_ips() {
                ask(&reverse(ip), &[rtype::PTR, rtype::A]);
            }
        });
    }
    Ok((names.into_iter().map(|(name, qtype)| Asked { name, qtype }).collect(), problems))
}

/// The reverse name of an address.
fn reverse(ip: std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        std::net::IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa.", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_names_with_their_types() {
        let asked =
            of_text("names", "# outside\nwww.example.org AAAA MX # two\n\nweb.shop.svc.cluster.local\n");
        let asked: Vec<(String, u16)> =
            asked.expect("it is sound").into_iter().map(|q| (q.name, q.qtype)).collect();
        let expected = [
            ("www.example.org.", 28),
            ("www.example.org.", 15),
            ("web.shop.svc.cluster.local.", 1),
            ("web.shop.svc.cluster.local.", 28),
        ];
        assert_eq!(asked, expected.map(|(name, qtype)| (name.to_owned(), qtype)));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(of_text("names", "a\n.b.\n"), Err("names:2: `.b.` is no name".to_owned()));
        assert_eq!(of_text("names", "a AA"), Err("names:1: `AA` is no type of record".to_owned()));
    }

    #[test]
    fn reverse_names_have_octets_or_nibbles_backwards() {
        assert_eq!(reverse([10, 96, 0, 1].into()), "1.0.96.10.in-addr.arpa.");
        let six = reverse("fd00::1".parse().expect("an address"));
        assert!(six.starts_with("1.0.0.") && six.ends_with(".0.0.d.f.ip6.arpa.") && six.len() == 73, "{six}");
    }
}
