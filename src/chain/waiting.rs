//! The table of waiting queries: its places, and what stands in them.

use std::sync::Arc;

use super::asked::Asked;
use super::plan::Plan;
use super::share::Share;
use super::signal::Signal;

/// A query that waits.
pub(super) struct Parked<R> {
    /// The query.
    pub(super) asked: Box<Asked>,
    /// The plan it began on.
    pub(super) plan: Arc<Plan>,
    /// The signal that it waits for; `None` where it waits for upstreams.
    pub(super) signal: Option<Arc<Signal>>,
    /// The line whose upstreams it waits for.
    pub(super) share: Option<Share>,
    /// Where its reply goes; `None` for an errand, which nobody waits for.
    pub(super) return_to: Option<R>,
}

/// Whether a query is done with.
pub(super) enum Ended<R> {
    /// It is: where the reply goes, and its length unless nothing is sent.
    Done(Option<R>, Option<usize>),
    /// It waits.
    Parked,
}

/// One place in the table of waiting queries.
pub(super) struct Slot<R> {
    /// Counted up whenever the place is taken, so that an old deadline doesn't meet a new query.
    pub(super) generation: u32,
    /// The query.
    pub(super) parked: Option<Parked<R>>,
}
