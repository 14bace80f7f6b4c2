//! What is kept of a panic in a step.

use super::plan::Chain;
use crate::panics::Catching;
pub(super) use crate::panics::catch;

/// What is kept of a panic in this chain.
pub(super) fn catching(chain: Option<&Chain>) -> Catching {
    match chain.is_some_and(|chain| chain.stacktrace) {
        true => Catching::Stacktrace,
        false => Catching::Plain,
    }
}
