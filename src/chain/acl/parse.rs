//! The stanza's text (rule S-08).

use super::gate::Gate;
use super::rules::{Acl, AclStep, Action, Policy};
use crate::chain::build::Draft;
use crate::chain::network::{Network, Networks};
use crate::chain::rtypes::rtype_of;
use crate::corefile::{Directive, Error, Token, Zone};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "acl";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
acl [ZONES…] {
    allow|block|filter|drop [type QTYPE…] [net ADDRESS|NETWORK…]
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "lets questions pass, refuses, empties or drops them, by type and by the client's address";

/// Reads all `acl` of the block at the first of them: they are rules of one step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    if let Some(acl) = Gate::of(draft)?.acl() {
        draft.steps.push(Box::new(AclStep(acl)));
    }
    Ok(())
}

/// Reads the rules of the block.
pub(super) fn read(draft: &mut Draft<'_>) -> Result<Acl, Error> {
    let block = draft.block;
    let mut rules = Vec::new();
    for directive in block.all(WORD) {
        let rule = rule(directive, draft).map_err(|error| error.within(directive))?;
        if rule.1.is_empty() {
            draft
                .warnings
                .push(format!("{}: `acl` without a line in it lets everything pass", directive.word.at));
        }
        rules.push(rule);
    }
    Ok(Acl::new(rules))
}

/// Reads one directive: its zones and its lines.
fn rule(directive: &Directive, draft: &Draft<'_>) -> Result<(Vec<Zone>, Vec<Policy>), Error> {
    let mut zones = directive.zones_from(0)?;
    if zones.is_empty() {
        zones = draft.zones();
    }
    let policies = directive.lines().iter().map(policy).collect::<Result<_, _>>()?;
    Ok((zones, policies))
}

/// What the tokens behind a word are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Types.
    Types,
    /// Addresses.
    Addresses,
}

impl Section {
    /// The section that a token begins.
    fn begun_by(token: &Token) -> Option<Self> {
        match token.text.to_ascii_lowercase().as_str() {
            "type" => Some(Self::Types),
            "net" => Some(Self::Addresses),
            _ => None,
        }
    }
}

/// Reads one line.
fn policy(line: &Directive) -> Result<Policy, Error> {
    line.no_block()?;
    let action = match line.word.text.to_ascii_lowercase().as_str() {
        "allow" => Action::Allow,
        "block" => Action::Block,
        "filter" => Action::Filter,
        "drop" => Action::Drop,
        _ => return Err(line.word.unknown("an action of `acl`", &["allow", "block", "filter", "drop"])),
    };
    let mut types: Option<Vec<u16>> = None;
    let mut networks: Option<Vec<Network>> = None;
    let (mut all_types, mut everywhere) = (false, false);
    let mut tokens = line.args.iter().peekable();
    while let Some(head) = tokens.next() {
        let Some(section) = Section::begun_by(head) else {
            return Err(head.error(format!("`{}` is neither `type` nor `net`", head.text)));
        };
        let mut any = false;
        while let Some(token) = tokens.next_if(|token| Section::begun_by(token).is_none()) {
            any = true;
            match (section, token.text.as_str()) {
                (Section::Types, "*") => all_types = true,
                (Section::Types, text) => {
                    let number = rtype_of(text).ok_or_else(|| {
                        token
                            .error(format!("`{text}` is not a type of records"))
                            .hint("write it like `A`, `AAAA` or `TYPE65280`, or `*` for all")
                    })?;
                    types.get_or_insert_default().push(number);
                }
                (Section::Addresses, "*") => everywhere = true,
                (Section::Addresses, text) => {
                    let network = Network::parse_any(text).ok_or_else(|| {
                        token.error(format!("`{text}` is neither an address nor a network")).hint(
                            "write it like `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`, or `*` for all",
                        )
                    })?;
                    networks.get_or_insert_default().push(network);
                }
            }
        }
        if !any {
            return Err(head.error(format!("nothing stands behind `{}`", head.text)));
        }
    }
    Ok(Policy {
        action,
        types: types.filter(|_| !all_types).unwrap_or_default(),
        from: networks.filter(|_| !everywhere).map(Networks::new),
    })
}
