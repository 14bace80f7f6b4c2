//! `bind`: the addresses of a block.

use std::net::IpAddr;

use super::build::Draft;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(super) const WORD: &str = "bind";

/// How it is written.
pub(super) const SYNTAX: &str = "bind ADDRESS|INTERFACE… [{ except ADDRESS|INTERFACE… }]";

/// What it does.
pub(super) const HELP: &str = "listens on these addresses only";

/// Reads one line; several add up.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let addresses = resolve(directive.expect_args(1..=usize::MAX)?, draft)?;
    let mut except = Vec::new();
    for line in directive.lines() {
        match line.word.text.as_str() {
            "except" => except.extend(resolve(line.expect_args(1..=usize::MAX)?, draft)?),
            _ => return Err(line.word.unknown("an option of `bind`", &["except"])),
        }
    }
    let bound = draft.bind.get_or_insert_default();
    for address in addresses {
        if !except.contains(&address) && !bound.contains(&address) {
            bound.push(address);
        }
    }
    if bound.is_empty() {
        return Err(directive.error("no address is left to listen on"));
    }
    Ok(())
}

/// The addresses of arguments: an address is itself, an interface has its own.
fn resolve(args: &[Token], draft: &Draft<'_>) -> Result<Vec<IpAddr>, Error> {
    let mut addresses = Vec::new();
    for arg in args {
        if let Ok(address) = arg.text.parse() {
            addresses.push(address);
            continue;
        }
        let before = addresses.len();
        addresses.extend(
            draft
                .parts
                .interfaces()
                .into_iter()
                .filter(|(name, _)| *name == arg.text)
                .map(|(_, address)| address),
        );
        if addresses.len() == before {
            return Err(
                arg.error(format!("`{}` is neither an address nor an interface that has one", arg.text))
            );
        }
    }
    Ok(addresses)
}
