//! What is written down and counted of a query when it ends, with a reply or without.

use super::super::caught::{catch, catching};
use super::super::plan::Plan;
use super::super::step::{Reply, Sent};
use super::Pipeline;
use crate::metrics::Observation;

/// How many replies of a batch may share one look at the clock.
const READ_FOR: u32 = 8;

impl<R> Pipeline<R> {
    /// Tells the steps that write things down, and counts: the query in hand got `reply`, which is `bytes`, or none, and none.
    ///
    /// Cost: a walk over the block's writers, which most have none of, and a dozen additions.
    pub(super) fn account(&mut self, reply: Option<&Reply>, bytes: &[u8], plan: &Plan) {
        let asked = &mut *self.asked;
        // Without a place no block was chosen.
        let chain = plan.chains.get(asked.chain).filter(|_| asked.place != usize::MAX);
        if let Some(chain) = chain
            && !chain.writers.is_empty()
        {
            if chain.keeps_message {
                asked.replied.clear();
                asked.replied.extend_from_slice(bytes);
            }
            let sent = Sent::new(reply, bytes, self.clock.now(), self.worker);
            let told = catch(catching(Some(chain)), || {
                for step in chain.writers.iter().filter(|&&index| index <= asked.step) {
                    if let Some(step) = chain.steps.get(*step) {
                        step.sent(asked, &sent, chain);
                    }
                }
            });
            if let Err(caught) = told {
                self.counters.panics.add(1);
                tracing::error!("a step panicked while a reply was written down: {caught}");
            }
        }
        let (arrived, listener) = (asked.arrived, plan.listeners.get(asked.client.listener));
        let tallies = listener.and_then(|listener| match listener.zones.get(asked.place) {
            Some(served) => served.tallies.as_ref(),
            None => listener.dropped.as_ref(),
        });
        let Some(tally) = tallies.and_then(|tallies| tallies.get(self.worker)) else { return };
        // Reading the clock is dear beside the rest, and a few replies of one batch take less than the finest bucket.
        if self.read_for == 0 || self.read_at < arrived {
            self.read_at = self.clock.now();
            self.read_for = READ_FOR;
        }
        self.read_for -= 1;
        tally.observe(&Observation {
            proto: usize::from(asked.client.transport.over_tcp()),
            family: usize::from(asked.client.addr.is_ipv6()),
            qtype: asked.sent().qtype,
            dnssec_ok: asked.query.edns.is_some_and(|edns| edns.dnssec_ok),
            request_size: asked.client.size,
            response: reply.map(|reply| (bytes.len(), reply.head.rcode.0)),
            word: asked.answered_by,
            seconds: self.read_at.since(arrived).as_secs_f64(),
        });
    }
}
