//! The line's text (rules F-01 to F-07).

use std::net::{IpAddr, SocketAddr};

use super::super::build::Draft;
use super::Forward;
use crate::corefile::{Directive, Error};
use crate::forward::{GroupOptions, GroupSpec, Target, UpstreamSpec};

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "forward FROM TO…";

/// What it does.
pub(in crate::chain) const HELP: &str = "asks upstreams for the names of a zone";

/// Reads the line.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let args = directive.expect_args(2..=16)?;
    let from = args.first().map(|arg| arg.zones()).transpose()?.unwrap_or_default();
    let mut targets = Vec::new();
    for arg in args.iter().skip(1) {
        let addr = match (arg.text.parse::<SocketAddr>(), arg.text.parse::<IpAddr>()) {
            (Ok(addr), _) => addr,
            (_, Ok(ip)) => SocketAddr::new(ip, 53),
            _ => return Err(arg.error(format!("`{}` is no address", arg.text))),
        };
        targets.push(Target::Upstream(UpstreamSpec::plain(addr)));
    }
    let spec = GroupSpec { targets, options: GroupOptions::default(), resolvers: Vec::new() };
    let group = draft.parts.group(&spec).map_err(|problem| directive.error(problem))?;
    draft.steps.push(Box::new(Forward {
        from,
        except: Vec::new(),
        group,
        next: Vec::new(),
        next_on_nodata: false,
    }));
    Ok(())
}
