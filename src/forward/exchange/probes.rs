//! Questions on behalf of nobody: is an upstream back, and does what is sent to it come back to us?

use std::sync::Arc;

use super::*;

impl Exchange {
    /// Probes upstreams that are put aside and due.
    pub(super) fn probe(&mut self, network: &mut dyn Network, now: Tick) {
        let due = |upstream: &Arc<Upstream>| upstream.health.probe_at().is_some_and(|at| at <= now);
        let upstreams: Vec<Arc<Upstream>> = self.pools.upstreams().filter(due).collect();
        for upstream in upstreams {
            if !upstream.health.claim_probe(now) {
                continue;
            }
            let check = &upstream.spec().health;
            let Ok(question) = Question::new(&check.domain, rtype::NS) else { continue };
            let bits = Bits { recursion: check.recursion, ..Bits::default() };
            self.send_alone(&upstream, question, bits, None, network, now);
        }
    }

    /// Sends markers through upstreams that are due, each of which says by coming back that there is a loop (rule S-14).
    pub fn look_for_loops(&mut self, loops: &Arc<Loops>, network: &mut dyn Network, now: Tick) {
        for trial in loops.claim(now) {
            let mut nonce = [0; 16];
            for two in nonce.chunks_mut(2) {
                two.copy_from_slice(&self.secrets.word().to_be_bytes());
            }
            if let Some(question) = loops.mark(&trial, nonce, now) {
                let bits = Bits { recursion: true, ..Bits::default() };
                let marker = Marker { loops: loops.clone(), nonce };
                self.send_alone(&trial.upstream, question, bits, Some(marker), network, now);
            }
        }
    }

    /// Sends a question to one upstream on behalf of nobody.
    pub(super) fn send_alone(
        &mut self,
        upstream: &Arc<Upstream>,
        question: Question,
        bits: Bits,
        marker: Option<Marker>,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let order = vec![upstream.clone()];
        let flight = Box::new(Flight { marker, ..Flight::new(question, bits, order, now, PROBE) });
        let (place, generation) = self.flights.insert(flight);
        self.turn(place, generation, false, network, now);
    }
}
