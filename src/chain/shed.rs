//! `shed`: silence instead of SERVFAIL where a bound of ours is met, so that clients ask another server (rule S-25).
//!
//! No pile grows here with or without the word: a worker reads a batch, answers it and sends it before it reads the next,
//! and what waits for upstreams has places that are counted. The word says what becomes of the newest query when all of
//! them are taken; queries that need not wait are answered as ever.

use std::sync::Arc;

use super::asked::{Asked, Transport};
use super::build::{Draft, Parts};
use super::plan::Plan;
use super::step::Reply;
use crate::corefile::{Directive, Error, Transport as Scheme};
use crate::metrics::{Family, PerWorker};
use crate::wire::Ede;

/// The Corefile's word.
pub(super) const WORD: &str = "shed";

/// How it is written.
pub(super) const SYNTAX: &str = "shed";

/// What it does.
pub(super) const HELP: &str = "over UDP: no reply, and a count, where too many queries wait already";

/// What is counted.
static FAMILY: Family = Family {
    name: "coredns_shed_dropped_total",
    help: "Queries without a reply because too many wait, and replies that could not be sent.",
};

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    draft.once(directive)?;
    if let Some(key) = draft.block.keys.iter().find(|key| key.transport != Scheme::Dns) {
        return Err(directive
            .error(format!("has nothing to do in the block of `{}`, which is not asked over UDP", key.text))
            .hint("only blocks without a scheme, or with `dns://`, can have it"));
    }
    draft.sheds = true;
    Ok(())
}

/// Where an address counts what it sheds.
#[derive(Clone, Debug)]
pub struct Shed {
    /// Queries that got no reply because of a bound.
    pub queries: Arc<PerWorker>,
    /// Replies that the kernel did not take.
    pub replies: Arc<PerWorker>,
}

impl Shed {
    /// The counters of a server.
    pub(super) fn new(server: &str, parts: &mut dyn Parts) -> Self {
        let mut counter = |reason: &str| parts.counter(&FAMILY, &[("server", server), ("reason", reason)]);
        Self { queries: counter("query"), replies: counter("response") }
    }
}

/// Whether a reply is not sent, since it only says that a bound of ours is met and the block has `shed`; counts it then.
pub(super) fn takes(reply: &Reply, asked: &Asked, plan: &Plan, worker: usize) -> bool {
    let busy = reply.head.ede.as_ref().is_some_and(|ede| ede.code == Ede::TOO_BUSY.code);
    if !busy || asked.client.transport != Transport::Udp {
        return false;
    }
    let chain = plan.chains.get(asked.chain).filter(|chain| chain.sheds);
    let listener = plan.listeners.get(asked.client.listener);
    if let Some(shed) = chain.and(listener).and_then(|listener| listener.shed.as_ref()) {
        shed.queries.add(worker, 1);
    }
    chain.is_some()
}
