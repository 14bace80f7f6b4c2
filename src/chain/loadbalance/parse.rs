//! The line's text (rule S-09).

use std::time::Duration;

use super::super::build::Draft;
use super::super::network::Network;
use super::step::{LoadBalance, Policy};
use super::weights::WeightsSpec;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "loadbalance";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
loadbalance [round_robin | weighted FILE] {
    reload DURATION
    prefer NETWORK…
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "shuffles A, AAAA and MX records of each reply, or puts an address first by weight; some networks first";

/// How often the file is looked at unless the stanza says.
const RELOAD: Duration = Duration::from_secs(30);

/// Reads the line.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let policy = directive.args.first();
    let file = match policy.map(|policy| policy.text.as_str()) {
        None | Some("round_robin") => {
            directive.expect_args(0..=1)?;
            None
        }
        Some("weighted") => {
            directive.expect_args(2..=2)?;
            directive.args.get(1)
        }
        Some(_) => {
            let Some(policy) = policy else { return Ok(()) };
            let error = policy.unknown("a policy of `loadbalance`", &["round_robin", "weighted"]);
            return Err(match policy.text.as_str() {
                "prefer" => error.hint("`prefer` stands in braces behind `loadbalance`"),
                _ => error,
            });
        }
    };
    let mut reload = RELOAD;
    let mut prefer = Vec::new();
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "reload" => {
                reload = line.only_arg()?.duration()?;
                if file.is_none() {
                    return Err(line.word.error("`reload` has no meaning without `weighted FILE`"));
                }
            }
            "prefer" => {
                for token in line.expect_args(1..=usize::MAX)? {
                    prefer.push(Network::parse(&token.text).ok_or_else(|| {
                        token
                            .error(format!("`{}` is no network", token.text))
                            .hint("write it with its mask: `10.0.0.0/8`, `192.0.2.7/32`, `2001:db8::/32`")
                    })?);
                }
            }
            _ => return Err(line.word.unknown("an option of `loadbalance`", &["reload", "prefer"])),
        }
    }
    let policy = match file {
        None => Policy::Shuffle,
        Some(file) => {
            let spec = WeightsSpec { path: draft.path(&file.text), reload };
            let weights = draft.parts.weights(&spec).map_err(|fault| file.error(fault.to_string()))?;
            Policy::Weighted(weights)
        }
    };
    // Of several lines the last counts.
    draft.steps.retain(|step| step.word() != WORD);
    draft.steps.push(Box::new(LoadBalance { policy, prefer }));
    Ok(())
}
