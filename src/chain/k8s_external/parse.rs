//! The stanza's text.

use super::super::build::Draft;
use super::super::kubernetes::{Fallthrough, Options};
use crate::corefile::{Directive, Error, Location, Token, Zone};
use crate::store::Need;

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "k8s_external";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
k8s_external [ZONES…] {
    apex LABEL
    ttl SECONDS
    headless
    ingress
    gateway
    fallthrough [ZONES…]
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "answers names for the outside: external addresses of Services, hosts of Ingresses and Gateways";

/// The options, for hints.
const OPTIONS: &[&str] = &["apex", "ttl", "headless", "ingress", "gateway", "fallthrough"];

/// TTL unless the stanza says. Unit: seconds.
const TTL: u32 = 5;

/// The longest TTL that may be asked for. Unit: seconds.
const LONGEST_TTL: u32 = 3600;

/// A stanza as written; it waits for the `kubernetes` of its block.
pub(in crate::chain) struct Line {
    /// Where it is.
    pub(in crate::chain) at: Location,
    /// Its zones, most labels first.
    pub(super) zones: Vec<Zone>,
    /// The first of them that is no reverse zone: where PTRs point to.
    pub(super) primary: Zone,
    /// `apex`: the label above the zone's own names.
    pub(super) apex: Box<[u8]>,
    /// `ttl`. Unit: seconds.
    pub(super) ttl: u32,
    /// `headless`.
    pub(super) headless: bool,
    /// `ingress`.
    pub(in crate::chain) ingress: bool,
    /// `gateway`.
    pub(in crate::chain) gateway: bool,
    /// `fallthrough`.
    pub(super) fallthrough: Fallthrough,
}

impl Line {
    /// What has to be known before a name can be answered.
    pub(super) fn need(&self) -> Need {
        if self.ingress || self.gateway { Need::Hosts } else { Need::Cluster }
    }

    /// Says what can't work beside this `kubernetes`.
    pub(in crate::chain) fn check(&self, options: &Options, draft: &mut Draft<'_>) {
        if self.headless && !options.endpoints {
            draft.warnings.push(format!(
                "{}: `headless` has nothing to show: `noendpoints` in `kubernetes` turns endpoints off",
                self.at
            ));
        }
    }
}

/// Reads the stanza; its step stands in front of that of `kubernetes`, which adds it.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all("kubernetes").next().is_none() {
        return Err(directive
            .error("needs `kubernetes` in the same block: that is where its Services come from")
            .hint("add a line such as `kubernetes cluster.local`"));
    }
    let written = directive.zones_from(0)?;
    let mut zones = if written.is_empty() { draft.zones() } else { written };
    let Some(primary) = zones.iter().find(|zone| !zone.is_reverse()).cloned() else {
        return Err(directive
            .error("all zones are reverse zones: PTR answers would have no zone to point into")
            .hint("name the zone for the outside first: `k8s_external example.org in-addr.arpa`"));
    };
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.labels()));
    zones.dedup();
    let mut line = Line {
        at: directive.word.at.clone(),
        zones,
        primary,
        apex: (*b"dns").into(),
        ttl: TTL,
        headless: false,
        ingress: false,
        gateway: false,
        fallthrough: Fallthrough::None,
    };
    for option in directive.lines() {
        option.no_block()?;
        let flag = || option.expect_args(0..=0).map(|_| true);
        match option.word.text.as_str() {
            "apex" => line.apex = label(option.only_arg()?)?,
            "ttl" => line.ttl = option.only_arg()?.number(0..=LONGEST_TTL)?,
            "headless" => line.headless = flag()?,
            "ingress" => line.ingress = flag()?,
            "gateway" => line.gateway = flag()?,
            "fallthrough" => {
                let zones = option.zones_from(0)?;
                line.fallthrough =
                    if zones.is_empty() { Fallthrough::All } else { Fallthrough::Zones(zones) };
            }
            _ => return Err(option.word.unknown("an option of `k8s_external`", OPTIONS)),
        }
    }
    draft.externals.push(line);
    Ok(())
}

/// Reads one label, lower case.
fn label(token: &Token) -> Result<Box<[u8]>, Error> {
    let zone = Zone::parse(&token.text).ok().filter(|zone| zone.labels() == 1);
    let wire = zone.as_ref().and_then(|zone| zone.wire().get(1..zone.wire().len().saturating_sub(1)));
    wire.map(Into::into).ok_or_else(|| {
        token
            .error(format!("`{}` is not one label", token.text))
            .hint("name the label above the zone's own names: `apex dns` gives `ns1.dns.ZONE`")
    })
}
