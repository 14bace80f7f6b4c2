//! `dns64`: IPv6 addresses made of IPv4 ones, for networks that translate them back (rule S-20).
//!
//! Nothing is asked ahead: the step lets an AAAA question pass, looks at the reply on its way up, and only then has the
//! steps behind it asked for A.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error, Token};
use crate::wire::{Rcode, Section, Sections, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "dns64";

/// How it is written.
pub(super) const SYNTAX: &str = "\
dns64 [PREFIX] {
    prefix PREFIX
    translate_all
    allow_ipv4
}";

/// What it does.
pub(super) const HELP: &str = "makes AAAA records of A records for clients that have only IPv6 (RFC 6147)";

/// The options, for hints.
const OPTIONS: &[&str] = &["prefix", "translate_all", "allow_ipv4"];

/// The longest TTL of a made record where no SOA says how long there is no AAAA (RFC 6147 §5.1.7). Unit: seconds.
const WITHOUT_SOA: u32 = 600;

/// Replies that were translated, by label `server`; outlives reloads.
#[derive(Default, Debug)]
pub struct Translations(RwLock<Vec<(String, Arc<AtomicU64>)>>);

impl Translations {
    /// Counts one reply of a server. Cost: a lock that is written once a server.
    fn count(&self, server: &str) {
        if let Some((_, count)) = self.0.read().iter().find(|(known, _)| known == server) {
            count.fetch_add(1, Relaxed);
            return;
        }
        let mut all = self.0.write();
        match all.iter().find(|(known, _)| known == server) {
            Some((_, count)) => _ = count.fetch_add(1, Relaxed),
            None => all.push((server.to_owned(), Arc::new(AtomicU64::new(1)))),
        }
    }

    /// The counts by server.
    #[must_use]
    pub fn all(&self) -> Vec<(String, u64)> {
        self.0.read().iter().map(|(server, count)| (server.clone(), count.load(Relaxed))).collect()
    }
}

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut step = Dns64 {
        prefix: Prefix::WELL_KNOWN,
        all: false,
        ipv4: false,
        translations: draft.parts.translations(),
    };
    if let Some(arg) = directive.expect_args(0..=1)?.first() {
        step.prefix = prefix(arg)?;
    }
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "prefix" => step.prefix = prefix(line.only_arg()?)?,
            "translate_all" => {
                line.expect_args(0..=0)?;
                step.all = true;
            }
            "allow_ipv4" => {
                line.expect_args(0..=0)?;
                step.ipv4 = true;
            }
            _ => return Err(line.word.unknown("an option of `dns64`", OPTIONS)),
        }
    }
    draft.steps.push(Box::new(step));
    Ok(())
}

/// Reads a prefix: whole bytes, 32 to 96 bits (RFC 6052 §2.2).
fn prefix(token: &Token) -> Result<Prefix, Error> {
    let parts = token.text.split_once('/');
    let parsed = parts.and_then(|(ip, bits)| Some((ip.parse::<Ipv6Addr>().ok()?, bits.parse::<u8>().ok()?)));
    match parsed {
        Some((ip, bits)) if matches!(bits, 32 | 40 | 48 | 56 | 64 | 96) => {
            Ok(Prefix { octets: ip.octets(), bytes: usize::from(bits / 8) })
        }
        _ => Err(token
            .error(format!("`{}` is no prefix for IPv4 addresses", token.text))
            .hint("write an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits: 64:ff9b::/96")),
    }
}

/// Where IPv4 addresses are put into IPv6 ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Prefix {
    /// An address that begins with it.
    octets: [u8; 16],
    /// How long it is. Unit: bytes, 4 to 12.
    bytes: usize,
}

impl Prefix {
    /// `64:ff9b::/96` (RFC 6052 §2.1).
    const WELL_KNOWN: Self =
        Self { octets: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], bytes: 12 };

    /// The IPv6 address of an IPv4 one: behind the prefix, byte 8 left out, zeros behind (RFC 6052 §2.2).
    fn embed(&self, ip: [u8; 4]) -> [u8; 16] {
        let mut made = [0; 16];
        let mut ip = ip.into_iter();
        for (place, (byte, prefix)) in made.iter_mut().zip(self.octets).enumerate() {
            *byte = match place {
                _ if place < self.bytes => prefix,
                8 => 0,
                _ => ip.next().unwrap_or(0),
            };
        }
        made
    }
}

/// The step.
struct Dns64 {
    /// Where addresses are put.
    prefix: Prefix,
    /// Whether names that have AAAA records are translated too.
    all: bool,
    /// Whether clients that come over IPv4 are served too.
    ipv4: bool,
    /// Where translated replies are counted.
    translations: Arc<Translations>,
}

impl Dns64 {
    /// Makes AAAA records of the A records; says whether there were any.
    fn translate(&self, sections: &mut Sections, longest: u32) -> bool {
        let mut any = false;
        for index in 0..sections.records().len() {
            let Some(record) = sections.records().get(index) else { break };
            let Some(ip) = sections
                .rdata(record)
                .first_chunk::<4>()
                .copied()
                .filter(|_| record.section == Section::Answer && record.rtype == rtype::A)
            else {
                continue;
            };
            let made = self.prefix.embed(ip);
            sections.replace(index, rtype::AAAA, |rdata| rdata.bytes(&made));
            if let Some(record) = sections.records_mut().get_mut(index) {
                record.ttl = record.ttl.min(longest);
            }
            any = true;
        }
        any
    }
}

/// Whether an answer has an IPv6 address that is more than an IPv4 one in other clothes (RFC 6147 §5.1.4).
fn has_ipv6(sections: &Sections) -> bool {
    sections.records().iter().any(|record| {
        record.section == Section::Answer
            && record.rtype == rtype::AAAA
            && sections
                .rdata(record)
                .first_chunk::<16>()
                .is_some_and(|octets| Ipv6Addr::from(*octets).to_ipv4_mapped().is_none())
    })
}

impl Step for Dns64 {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn asks_more(&self) -> bool {
        true
    }

    fn also(&self, asked: &Asked, reply: &Reply) -> Option<u16> {
        let wanted = asked.question.qtype == rtype::AAAA && (self.ipv4 || asked.client.addr.is_ipv6());
        // Who validates would throw away what nobody signed (RFC 6147 §5.5).
        let validates =
            asked.query.header.checking_disabled() && asked.query.edns.is_some_and(|edns| edns.dnssec_ok);
        // Any other failure counts as "no AAAA": servers that don't know the type answer in many ways (§5.1.2).
        let exists = reply.head.rcode != Rcode::NXDOMAIN;
        (wanted && !validates && exists && (self.all || !has_ipv6(&reply.sections))).then_some(rtype::A)
    }

    fn join(&self, asked: &mut Asked, first: Reply, mut second: Reply, server: &str) -> Reply {
        let soa = first.sections.records().iter().rfind(|record| record.rtype == rtype::SOA);
        let longest = soa.map_or(WITHOUT_SOA, |soa| soa.ttl);
        let failed = !matches!(second.head.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        if failed && first.head.rcode == Rcode::NOERROR {
            // Nobody knows whether there is an address: that must not be taken for "there is none".
            asked.reclaim(first.sections);
            return second;
        }
        if second.head.rcode == Rcode::NOERROR && self.translate(&mut second.sections, longest) {
            self.translations.count(server);
            // Nobody signed what was made here, and it stands in no zone.
            second.head.authentic = false;
            second.head.authoritative = false;
            asked.reclaim(first.sections);
            return second;
        }
        asked.reclaim(second.sections);
        first
    }
}

#[cfg(test)]
mod tests {
    //! Addresses in prefixes.

    use super::*;

    #[test]
    fn addresses_stand_where_rfc_6052_puts_them() {
        // The table of RFC 6052 §2.4, 192.0.2.33.
        for (prefix, bits, expected) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::", 96, "64:ff9b::192.0.2.33"),
        ] {
            let prefix: Ipv6Addr = prefix.parse().unwrap();
            let prefix = Prefix { octets: prefix.octets(), bytes: bits / 8 };
            let made = Ipv6Addr::from(prefix.embed([192, 0, 2, 33]));
            assert_eq!(made, expected.parse::<Ipv6Addr>().unwrap(), "{bits}");
        }
        assert_eq!(Ipv6Addr::from(Prefix::WELL_KNOWN.octets), "64:ff9b::".parse::<Ipv6Addr>().unwrap());
    }
}
