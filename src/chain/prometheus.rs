//! `prometheus`: counts the queries of a block, and serves all numbers over HTTP.

use super::build::Draft;
use super::health::http_address;
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "prometheus";

/// How it is written.
pub(super) const SYNTAX: &str = "prometheus [ADDRESS:PORT]";

/// What it does.
pub(super) const HELP: &str = "counts the block's queries and serves /metrics";

/// Where it listens unless the line says.
const ADDRESS: &str = "localhost:9153";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if let Some(line) = directive.lines().first() {
        match line.word.text.as_str() {
            "tls" => {
                return Err(line
                    .word
                    .error("`tls` is not served: /metrics is plain HTTP")
                    .hint("remove the line, and let a proxy beside this server speak TLS"));
            }
            "runtime_metrics" => {
                return Err(line
                    .word
                    .error("`runtime_metrics` are of Go's runtime, which is not here")
                    .hint("remove the line"));
            }
            _ => {}
        }
    }
    directive.no_block()?;
    if draft.metrics.is_some() {
        return Err(directive.error("stands twice in this block"));
    }
    draft.metrics = Some(http_address(directive, ADDRESS)?);
    Ok(())
}
