//! `quic`: the bounds of DNS over QUIC.

use super::build::Draft;
use super::https::{meets, set};
use crate::corefile::{Directive, Error, Transport as Scheme};

/// The Corefile's word.
pub(super) const WORD: &str = "quic";

/// How it is written.
pub(super) const SYNTAX: &str = "\
quic [{
    max_streams NUMBER
    worker_pool_size NUMBER
}]";

/// What it does.
pub(super) const HELP: &str =
    "the most queries at a time over QUIC: of one connection (100), of all connections (512)";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    for line in directive.lines() {
        let limits = &mut draft.entry.limits;
        match line.word.text.as_str() {
            "max_streams" => set(line, &mut limits.quic_streams, line.only_arg()?.number(1..=65_535)?)?,
            "worker_pool_size" => set(line, &mut limits.quic_pool, line.only_arg()?.number(1..=1_000_000)?)?,
            _ => {
                return Err(line.word.unknown("an option of `quic`", &["max_streams", "worker_pool_size"]));
            }
        }
    }
    meets(directive, draft, Scheme::Quic);
    Ok(())
}
