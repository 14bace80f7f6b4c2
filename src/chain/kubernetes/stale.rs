//! What becomes of answers while nothing confirms what they are made of (rules K-269, K-270).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::asked::Asked;
use super::super::build::Parts;
use super::super::step::{Context, Flow};
use super::grammar::Forms;
use crate::corefile::{Directive, Error, Zone};
use crate::metrics::{Family, PerWorker};
use crate::store::{Need, STALE_TTL, Store};
use crate::time::Tick;
use crate::wire::Ede;

/// What is counted.
static ANSWERS: Family = Family {
    name: "signpost_stale_answers_total",
    help: "Answers made of what no API server has confirmed lately, or of a snapshot.",
};

/// What a stanza does while its store is stale.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum StalePolicy {
    /// Answering goes on, marked.
    #[default]
    Serve,
    /// The same, and `/ready` fails once it has been stale for so long.
    Unready(Duration),
}

impl StalePolicy {
    /// Reads the line.
    pub(super) fn read(line: &Directive) -> Result<Self, Error> {
        let args = line.expect_args(1..=2)?;
        match args {
            [word] if word.text == "serve" => Ok(Self::Serve),
            [word, after] if word.text == "unready" => Ok(Self::Unready(after.duration()?)),
            [word] if word.text == "unready" => Err(word
                .error("`stale unready` needs a time")
                .hint("say how long a staleness may last: `stale unready 10m`")),
            [word, more] if word.text == "serve" => Err(more.error("`stale serve` takes nothing more")),
            [word, ..] => Err(word.unknown("a way to be stale", &["serve", "unready"])),
            [] => Ok(Self::Serve),
        }
    }

    /// After how long a staleness `/ready` fails; `None` for never.
    #[must_use]
    pub fn unready(self) -> Option<Duration> {
        match self {
            Self::Serve => None,
            Self::Unready(after) => Some(after),
        }
    }
}

/// The store that a step keeps its names in.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// The zone in which its names end.
    pub zone: &'a Zone,
    /// The store.
    pub store: &'a Arc<Store>,
    /// After how long a staleness `/ready` fails; `None` for never.
    pub unready: Option<Duration>,
}

impl Forms {
    /// What has to be known before a name of the zone can be answered.
    pub(super) fn need(self) -> Need {
        if self.multicluster { Need::Imports } else { Need::Cluster }
    }
}

/// The TTL of an answer made of a store: `ttl`, but little while the store is stale. Cost: one load.
pub(in crate::chain) fn ttl(store: &Store, need: Need, now: Tick, ttl: u32) -> u32 {
    if store.freshness().stale(need, now) { ttl.min(STALE_TTL) } else { ttl }
}

/// How a step says that its store is stale.
#[derive(Default)]
pub(in crate::chain) struct Stale {
    /// Where such answers are counted; set once the plan stands.
    answers: OnceLock<Arc<PerWorker>>,
}

impl Stale {
    /// Counts from now on.
    pub(in crate::chain) fn count(&self, parts: &mut dyn Parts) {
        // Behind several listeners it is the same counter.
        let _ = self.answers.set(parts.counter(&ANSWERS, &[]));
    }

    /// Says with a reply that it is stale, where it is; one that says why it failed goes on saying that.
    ///
    /// Cost: one load while nothing is stale.
    pub(in crate::chain) fn tell(
        &self,
        flow: &mut Flow,
        (store, need): (&Store, Need),
        asked: &Asked,
        context: &Context<'_>,
    ) {
        if store.freshness().stale(need, context.now) {
            self.mark(flow, asked, context);
        }
    }

    /// The same for what is stale.
    #[cold]
    fn mark(&self, flow: &mut Flow, asked: &Asked, context: &Context<'_>) {
        if let Flow::Reply(reply) = flow
            && reply.head.ede.is_none()
        {
            reply.head.ede = Some(Ede::UNCONFIRMED);
            if let Some(answers) = self.answers.get().filter(|_| !asked.only_looked) {
                answers.add(context.worker, 1);
            }
        }
    }
}
