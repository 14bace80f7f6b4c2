//! Replies: matched with what was sent, judged, and what follows from each.

use std::sync::Arc;

use super::*;
use crate::forward::streams::of_io;

impl Exchange {
    /// The kernel says that a socket's peer can't be reached: all that was sent from it failed.
    pub(super) fn socket_failed(
        &mut self,
        number: usize,
        error: &std::io::Error,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let Some(socket) = self.pools.socket(number) else { return };
        let sent = std::mem::take(&mut socket.sent);
        self.pools.retire(number, network);
        let why = of_io(error).text;
        for Sent { ticket, .. } in sent {
            self.attempt_failed(ticket, &why, Blame::of(error), now);
            self.turn_if_idle(ticket, network, now);
        }
    }

    /// Turns to the next upstream unless an attempt is still awaited.
    pub(super) fn turn_if_idle(&mut self, ticket: Ticket, network: &mut dyn Network, now: Tick) {
        if let Some(flight) = self.flights.get(ticket.flight, ticket.generation)
            && !flight.awaited()
        {
            match flight.group {
                Some(_) => self.turn(ticket.flight, ticket.generation, false, network, now),
                None => self.fail(ticket.flight, ticket.generation),
            }
        }
    }

    /// A datagram: matched by its id with what was sent from that socket.
    pub(super) fn datagram_came(
        &mut self,
        number: usize,
        bytes: &[u8],
        network: &mut dyn Network,
        now: Tick,
    ) {
        let id = bytes.get(..2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        let Some(socket) = self.pools.socket(number) else { return };
        let found = socket.sent.iter().position(|sent| Some(sent.id) == id);
        let Some(position) = found else {
            let number_of = socket.upstream;
            if let Some(upstream) = self.pools.upstreams().find(|upstream| upstream.id() == number_of) {
                count(&upstream.counts.mismatches);
            }
            // Somebody is guessing: this port has been found (RELIABILITY U1).
            self.pools.retire(number, network);
            return;
        };
        let Some(&Sent { ticket, at, .. }) = socket.sent.get(position) else { return };
        let number_of = socket.upstream;
        let verdict = self.judge(ticket, bytes);
        let upstream = match &verdict {
            Judged::Gone => self.pools.upstreams().find(|upstream| upstream.id() == number_of),
            Judged::Response(upstream, _) | Judged::Unfit(upstream, _) => Some(upstream.clone()),
        };
        let Some(upstream) = upstream else { return };
        match verdict {
            Judged::Gone if bytes.get(2).is_none_or(|flags| flags & 0x80 == 0) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
            }
            Judged::Gone => {
                // The answer of an attempt that was not needed any more: it tells how slow its sender is.
                count(&upstream.counts.late);
                upstream.health.answered(now.since(at));
                self.answered_from(number, position, network);
            }
            Judged::Unfit(_, Unfit::Letters) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
                // Forged, or an upstream that changes letters: TCP tells which, and once is enough.
                let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return };
                if !flight.needs_tcp(&upstream) {
                    let Ticket { flight: place, generation, .. } = ticket;
                    self.launch(place, generation, &upstream, Protocol::Tcp, true, network, now);
                    self.arm(place, generation);
                }
            }
            Judged::Unfit(_, Unfit::Mismatch | Unfit::Malformed) => {
                count(&upstream.counts.mismatches);
                self.pools.retire(number, network);
            }
            Judged::Response(_, response) => {
                self.answered_from(number, position, network);
                self.response_came(ticket, response, network, now);
            }
        }
    }

    /// A query that was sent from a socket is answered.
    fn answered_from(&mut self, number: usize, position: usize, network: &mut dyn Network) {
        if let Some(socket) = self.pools.socket(number)
            && position < socket.sent.len()
        {
            socket.sent.swap_remove(position);
        }
        self.pools.close_if_done(number, network);
    }

    /// What a message is to the attempt that it claims to answer.
    fn judge(&mut self, ticket: Ticket, bytes: &[u8]) -> Judged {
        let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return Judged::Gone };
        let Some(attempt) = flight.attempts.get(ticket.attempt) else { return Judged::Gone };
        let expect = Expect {
            id: attempt.id,
            question: &flight.question,
            letters: attempt.letters.as_deref(),
            dnssec_ok: flight.bits.dnssec_ok,
        };
        let upstream = attempt.upstream.clone();
        match response::read(bytes, &expect, &mut self.scratch) {
            Ok(mut response) => {
                response.from = Some(upstream.clone());
                Judged::Response(upstream, response)
            }
            Err(Unfit::Letters) if attempt.protocol != Protocol::Udp => {
                // Nobody forges on a stream: this upstream changes letters.
                upstream.health.set_plain_case();
                match response::read(bytes, &Expect { letters: None, ..expect }, &mut self.scratch) {
                    Ok(mut response) => {
                        response.from = Some(upstream.clone());
                        Judged::Response(upstream, response)
                    }
                    Err(unfit) => Judged::Unfit(upstream, unfit),
                }
            }
            Err(unfit) => Judged::Unfit(upstream, unfit),
        }
    }

    /// Something came of a job that a stream was given.
    pub(super) fn arrived(
        &mut self,
        ticket: Ticket,
        result: Result<Vec<u8>, crate::forward::StreamFault>,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let (why, blame) = match result {
            Ok(bytes) => match self.judge(ticket, &bytes) {
                Judged::Gone => return,
                Judged::Response(_, response) => return self.response_came(ticket, response, network, now),
                Judged::Unfit(upstream, _) => {
                    count(&upstream.counts.mismatches);
                    ("a reply that can't be read".to_owned(), Blame::Upstream)
                }
            },
            Err(fault) => (fault.text, fault.blame),
        };
        self.attempt_failed(ticket, &why, blame, now);
        self.turn_if_idle(ticket, network, now);
    }

    /// A sound reply: an answer, a refusal to remember, or a reason to ask again in another way.
    pub(super) fn response_came(
        &mut self,
        ticket: Ticket,
        response: Response,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let Ticket { flight: place, generation, attempt } = ticket;
        let Some(flight) = self.flights.get(place, generation) else { return };
        let Some(attempt) = flight.attempts.get_mut(attempt) else { return };
        let upstream = attempt.upstream.clone();
        let took = now.since(attempt.sent);
        let (awaited, edns, protocol) = (attempt.state == State::Awaited, attempt.edns, attempt.protocol);
        let taken = attempt.place;
        attempt.state = State::Over;
        let was_up = upstream.health.up();
        upstream.health.answered(took);
        if !was_up && upstream.health.up() {
            tracing::info!(target: "plugin/forward", "upstream {upstream} answers again");
        }
        upstream.durations.observe(response.rcode, took);
        let room = &mut self.pools.of(&upstream).room;
        // An overdue one left its place when its time was up.
        if awaited {
            room.leave(taken);
        }
        room.answered(taken);
        let Some(group) = flight.group.clone() else {
            self.finish(place, generation, Ok(Arc::new(response)));
            return;
        };
        if response.truncated && protocol == Protocol::Udp {
            if !self.launch(place, generation, &upstream, Protocol::Tcp, edns, network, now) {
                self.turn_if_idle(ticket, network, now);
            }
            return self.arm(place, generation);
        }
        let confused = matches!(response.rcode, Rcode::FORMERR | Rcode::BADVERS | Rcode::NOTIMP);
        if confused && edns && flight.attempts.iter().all(|attempt| attempt.edns) {
            // An upstream from before EDNS (RFC 6891 §7).
            if !self.launch(place, generation, &upstream, protocol, false, network, now) {
                self.turn_if_idle(ticket, network, now);
            }
            return self.arm(place, generation);
        }
        let first = flight.attempts.first().is_some_and(|attempt| attempt.edns);
        if !confused && !edns && first {
            upstream.health.set_plain(now);
        }
        let mut response = response;
        if response.rcode.0 > 15 {
            // About the EDNS of our own query; of no use to a client, least of all to one without EDNS.
            response.rcode = Rcode::SERVFAIL;
        }
        let refusal =
            matches!(response.rcode, Rcode::SERVFAIL | Rcode::REFUSED | Rcode::NOTIMP | Rcode::FORMERR)
                || group.options.failover.contains(&response.rcode);
        if !refusal {
            return self.finish(place, generation, Ok(Arc::new(response)));
        }
        let failover = group.options.failover.contains(&response.rcode);
        flight.refusals += 1;
        let refusals = flight.refusals;
        flight.refusal = Some(Arc::new(response));
        // Another one is asked once; with `failover`, every other one (rule F-06).
        let another = flight.order.iter().any(|other| flight.asked(other) == 0);
        if another && (failover || refusals < 2) {
            self.turn(place, generation, false, network, now);
        } else if !flight.awaited() {
            self.fail(place, generation);
        } else {
            self.arm(place, generation);
        }
    }
}

/// What a message is to the attempt that it claims to answer.
enum Judged {
    /// Nobody waits for it any more.
    Gone,
    /// Sound.
    Response(Arc<Upstream>, Response),
    /// No answer.
    Unfit(Arc<Upstream>, Unfit),
}
