//! The stanzas' text (rule S-19).

use std::net::{IpAddr, SocketAddr};

use super::super::build::Draft;
use super::policy::{Grant, Policy, To};
use super::step::TransferStep;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "transfer";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
transfer [ZONES…] {
    to ADDRESS…|*
    source ADDRESS
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "lets others transfer the zones of kubernetes, k8s_external, file, auto and secondary";

/// The options, for hints.
const OPTIONS: &[&str] = &["to", "source"];

/// The port where others are told.
const PORT: u16 = 53;

/// Reads all stanzas of the block at the first of them, since the longest zone of all counts, and adds the step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut policy = Policy::default();
    for stanza in draft.block.all(WORD) {
        policy.grants.push(grant(stanza, draft).map_err(|error| error.within(stanza))?);
    }
    draft.steps.push(Box::new(TransferStep { policy }));
    Ok(())
}

/// Reads one stanza.
fn grant(stanza: &Directive, draft: &Draft<'_>) -> Result<Grant, Error> {
    let mut zones = stanza.zones_from(0)?;
    if zones.is_empty() {
        zones = draft.zones();
    }
    let mut grant = Grant { zones, to: Vec::new(), source: None };
    for line in stanza.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "to" => {
                for token in line.expect_args(1..=usize::MAX)? {
                    grant.to.push(match token.text.as_str() {
                        "*" => To::Anybody,
                        _ => To::Address(address(token, PORT)?),
                    });
                }
            }
            "source" if grant.source.is_some() => {
                return Err(line.word.error("`source` stands twice in this stanza"));
            }
            "source" => {
                let token = line.only_arg()?;
                let ip = token.text.parse::<IpAddr>();
                grant.source =
                    Some(ip.map_err(|_| token.error(format!("`{}` is no IP address", token.text)))?);
            }
            _ => return Err(line.word.unknown("an option of `transfer`", OPTIONS)),
        }
    }
    match grant.to.is_empty() {
        true => Err(stanza.error("says to nobody").hint("write `to *`, or `to` and addresses, inside it")),
        false => Ok(grant),
    }
}

/// Reads an IP address with or without a port, `port` where there is none.
pub(in crate::chain) fn address(token: &Token, port: u16) -> Result<SocketAddr, Error> {
    let text = token.text.as_str();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok(addr);
    }
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => Err(token
            .error(format!("`{text}` is no IP address"))
            .hint("write an address, or an address and a port as in 10.0.0.1:5300")),
    }
}
