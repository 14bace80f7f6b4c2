//! Attempts: whom a question is sent to, when another one is asked, and what is done when that fails.

use std::cmp::Reverse;
use std::sync::Arc;

use super::*;
use crate::forward::streams::{TIMEOUT, of_io};

impl Exchange {
    /// A flight is due: its end, the end of a patience, or the moment to hedge.
    pub(super) fn look(&mut self, place: usize, generation: u32, network: &mut dyn Network, now: Tick) {
        let Some(flight) = self.flights.get(place, generation) else { return };
        let last = now >= flight.until;
        let probe = flight.group.is_none();
        // That a strange name is not answered says nothing about an upstream.
        let marker = flight.marker.is_some();
        let mut tired = false;
        let mut hedge = false;
        for place in 0..flight.attempts.len() {
            let (before, rest) = flight.attempts.split_at_mut(place);
            let Some(attempt) = rest.first_mut() else { break };
            if attempt.state != State::Awaited {
                continue;
            }
            if attempt.patient <= now || last {
                attempt.state = State::Overdue;
                tired = true;
                let upstream = &attempt.upstream;
                let check = &upstream.spec().health;
                let waited = now.since(attempt.sent);
                if !marker {
                    count(if probe { &upstream.counts.probe_failures } else { &upstream.counts.timeouts });
                }
                if probe && !marker {
                    upstream.health.probe_failed();
                }
                self.pools.of(upstream).room.unanswered(attempt.place);
                // An attempt that was cut short by the end of all says nothing about its upstream.
                // Neither does a second one for the same question: the name may be slow.
                let again = before.iter().any(|other| other.upstream.id() == upstream.id());
                if (attempt.patient <= now || probe)
                    && !again
                    && !marker
                    && upstream.health.failed(now, check.max_fails, check.interval, Lost::Silence)
                {
                    tracing::warn!(target: "plugin/forward", "upstream {upstream} is put aside: no answer");
                }
                flight.fault = Some(Failure::unreachable(format!(
                    "upstream {upstream}: no answer in {:.1} s: {TIMEOUT}",
                    waited.as_secs_f64()
                )));
            } else if attempt.hedge.is_some_and(|at| at <= now) {
                attempt.hedge = None;
                hedge = true;
            }
        }
        // Somebody refused, and whoever is left did not answer in time.
        let refused = flight.refusal.is_some()
            && !flight.awaited()
            && flight.order.iter().all(|upstream| flight.asked(upstream) > 0);
        if last || (tired && (probe || refused)) {
            self.fail(place, generation);
        } else if tired {
            self.turn(place, generation, false, network, now);
        } else if hedge && self.hedges >= 100 {
            self.turn(place, generation, true, network, now);
        } else {
            self.arm(place, generation);
        }
    }

    /// Sees to it that a flight is looked at when it is due.
    pub(super) fn arm(&mut self, place: usize, generation: u32) {
        if let Some(flight) = self.flights.get(place, generation) {
            flight.schedule();
            self.wind(place, generation);
        }
    }

    /// Winds the timer of a flight, unless it goes off in time anyway.
    pub(super) fn wind(&mut self, place: usize, generation: u32) {
        if let Some(flight) = self.flights.get(place, generation)
            && flight.armed.is_none_or(|at| at > flight.look)
        {
            flight.armed = Some(flight.look);
            self.timers.push(Reverse((flight.look, place, generation)));
        }
    }

    /// Turns to the next upstream that has room; ends the flight where nobody is left to turn to.
    pub(super) fn turn(
        &mut self,
        place: usize,
        generation: u32,
        hedge: bool,
        network: &mut dyn Network,
        now: Tick,
    ) {
        let mut skipped = 0;
        loop {
            let Some(flight) = self.flights.get(place, generation) else { return };
            let options = flight.group.as_ref().map(|group| &group.options);
            let most = options.map_or(1, |options| options.max_attempts);
            let failed = flight.attempts.iter().filter(|attempt| attempt.state == State::Over).count();
            let failed = failed + flight.unsent;
            let last = most > 0 && flight.attempts.len() >= most;
            if last && let Some(longest) = options.map(|options| options.read_timeout) {
                // Nobody else will be asked: the end is that of the last one's time.
                let over = flight.attempts.iter().map(|attempt| attempt.sent.plus(longest)).max();
                flight.until = over.map_or(flight.until, |over| over.min(flight.until));
            }
            let spent = last || failed >= 2 * flight.order.len();
            let count_of = flight.order.len();
            let next = (!spent && flight.turned < 64 * count_of.max(1)).then(|| {
                let upstream = flight.order.get(flight.turned % count_of.max(1)).cloned();
                flight.turned += 1;
                upstream
            });
            let Some(Some(upstream)) = next else { return self.settle(place, generation) };
            // Over the cap, looping, without TCP where that is needed, or hedging with the one that is awaited: not that one.
            let asked = flight.asked(&upstream);
            let probe = flight.group.is_none();
            // Nor one that was asked before, while another may still answer in its time.
            if asked > 0 && (hedge || !probe && flight.awaited()) {
                flight.turned -= 1;
                return self.arm(place, generation);
            }
            let useless = flight.needs_tcp(&upstream) || !probe && asked >= FORLORN && !upstream.health.up();
            let room = self.pools.of(&upstream).room.find(flight.claim(&upstream)).is_some();
            if !probe && (useless || upstream.health.looping() || !room) {
                let Some(flight) = self.flights.get(place, generation) else { return };
                if !useless {
                    flight.fault.get_or_insert_with(|| match upstream.health.looping() {
                        true => {
                            Failure::unreachable(format!("upstream {upstream}: queries to it come back here"))
                        }
                        false => Failure::busy(format!("upstream {upstream}: too many queries wait for it")),
                    });
                }
                skipped += 1;
                if skipped < count_of {
                    continue;
                }
                // An answer to what was asked before would be cut as well.
                if flight.order.iter().all(|upstream| flight.needs_tcp(upstream)) && !flight.awaited() {
                    return self.fail(place, generation);
                }
                return self.settle(place, generation);
            }
            let protocol = upstream.spec().protocol;
            if self.launch(place, generation, &upstream, protocol, true, network, now) {
                if hedge {
                    count(&upstream.counts.hedged);
                    self.hedges = self.hedges.saturating_sub(100);
                }
                return self.arm(place, generation);
            }
        }
    }

    /// Nobody is left to turn to: what is awaited may still come, else the flight ends with what it has.
    pub(super) fn settle(&mut self, place: usize, generation: u32) {
        match self.flights.get(place, generation) {
            Some(flight) if flight.awaited() => self.arm(place, generation),
            // Overdue attempts may still be answered until the end.
            Some(flight)
                if flight.refusal.is_none()
                    && flight.attempts.iter().any(|attempt| attempt.state == State::Overdue) =>
            {
                self.arm(place, generation);
            }
            Some(_) => self.fail(place, generation),
            None => {}
        }
    }

    /// Sends a question to an upstream; false where that failed at once.
    #[allow(
        clippy::too_many_arguments,
        reason = "place and generation name the flight; the rest is the attempt"
    )]
    pub(super) fn launch(
        &mut self,
        place: usize,
        generation: u32,
        upstream: &Arc<Upstream>,
        protocol: Protocol,
        edns: bool,
        network: &mut dyn Network,
        now: Tick,
    ) -> bool {
        let Some(flight) = self.flights.get(place, generation) else { return true };
        let group = flight.group.as_deref();
        let mixed = group.is_some_and(|group| group.options.mixed_case) && upstream.health.mixed_case();
        let letters = mixed.then(|| {
            let mut name: Box<[u8]> = flight.question.typed().into();
            let secrets = &mut self.secrets;
            let (mut coins, mut left) = (0_u16, 0_u32);
            query::mix_case(&mut name, || {
                if left == 0 {
                    (coins, left) = (secrets.word(), u16::BITS);
                }
                left -= 1;
                coins >> left & 1 == 1
            });
            name
        });
        let mut id = self.secrets.word();
        let fresh = group.is_some_and(|group| group.options.fresh_port);
        let longest = group.map_or(PROBE, |group| group.options.read_timeout);
        let round = u32::try_from(flight.asked(upstream)).unwrap_or(u32::MAX).min(6);
        // A stream may have to be opened first: two more round trips, and three for a handshake.
        let slow_start = if protocol == Protocol::Udp { 1 } else { 4 };
        let patience = match group {
            Some(_) => (upstream.health.patience() * slow_start * (1 << round)).min(longest),
            None => PROBE,
        };
        let others = flight.order.iter().filter(|other| other.id() != upstream.id() && other.health.up());
        let best = others.map(|other| other.health.usual().unwrap_or(FIRST_HEDGE)).min();
        let hedge = (group.is_some() && round == 0)
            .then_some(best)
            .flatten()
            .map(|other| upstream.health.usual().map_or(other, |own| own.min(other * 2)).min(patience));
        let edns = edns && !upstream.health.plain(now);
        upstream.health.asked();
        let ticket = Ticket { flight: place, generation, attempt: flight.attempts.len() };
        let mut socket = None;
        self.sweep.get_or_insert_with(|| now.plus(SWEEP));
        if protocol == Protocol::Udp {
            let draw = self.secrets.long();
            match self.pools.pick(upstream, fresh, draw, network, now) {
                Ok(number) => {
                    if let Some(port) = self.pools.socket(number) {
                        // At most a hundred are under way, so that this ends.
                        while port.sent.iter().any(|sent| sent.id == id) {
                            id = id.wrapping_add(self.secrets.word() | 1);
                        }
                    }
                    socket = Some(number);
                }
                Err(error) => {
                    if let Some(flight) = self.flights.get(place, generation) {
                        flight.unsent += 1;
                    }
                    let why = of_io(&error).text;
                    self.refused(place, generation, upstream, (&why, Blame::of(&error)), now);
                    return false;
                }
            }
        }
        let Some(flight) = self.flights.get(place, generation) else { return true };
        let ask = Ask {
            id,
            question: &flight.question,
            letters: letters.as_deref(),
            recursion: flight.bits.recursion,
            checking_disabled: flight.bits.checking_disabled,
            dnssec_ok: flight.bits.dnssec_ok,
            edns,
            options: &flight.options,
            padded: matches!(protocol, Protocol::Tls | Protocol::Https | Protocol::Quic),
        };
        query::write(&ask, &mut self.out);
        let taken = self.pools.of(upstream).room.take(flight.claim(upstream));
        flight.attempts.push(Attempt {
            upstream: upstream.clone(),
            protocol,
            edns,
            id,
            socket,
            letters,
            sent: now,
            patient: now.plus(patience),
            hedge: hedge.map(|after| now.plus(after)),
            state: State::Awaited,
            place: taken,
        });
        let until = flight.until;
        if flight.group.is_some() {
            count(&upstream.counts.queries);
        }
        match socket {
            Some(number) => {
                if let Err(error) = network.transmit(number, &self.out) {
                    self.attempt_failed(ticket, &of_io(&error).text, Blame::of(&error), now);
                    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
                    match error.kind() {
                        // The kernel tells here what came of those that were sent before.
                        ConnectionRefused | HostUnreachable | NetworkUnreachable => {
                            self.socket_failed(number, &error, network, now);
                        }
                        _ => self.pools.retire(number, network),
                    }
                    return false;
                }
                if let Some(port) = self.pools.socket(number) {
                    port.sent.push(Sent { id, ticket, at: now, unjudged: false });
                }
                true
            }
            None => match &self.streams {
                Some(streams) => {
                    streams.ask(Job {
                        upstream: upstream.clone(),
                        protocol,
                        query: self.out.clone(),
                        until,
                        ticket,
                        inlet: self.inlet.clone(),
                    });
                    true
                }
                None => {
                    self.attempt_failed(ticket, "streams are not served here", Blame::Ours, now);
                    false
                }
            },
        }
    }

    /// Nothing could be sent to an upstream.
    pub(super) fn refused(
        &mut self,
        place: usize,
        generation: u32,
        upstream: &Arc<Upstream>,
        (why, blame): (&str, Blame),
        now: Tick,
    ) {
        let check = &upstream.spec().health;
        let probe = self.flights.get(place, generation).is_some_and(|flight| flight.group.is_none());
        count(if probe { &upstream.counts.probe_failures } else { &upstream.counts.errors });
        if probe && blame == Blame::Upstream {
            upstream.health.probe_failed();
        }
        if blame == Blame::Upstream
            && upstream.health.failed(now, check.max_fails, check.interval, Lost::Error)
        {
            tracing::warn!(target: "plugin/forward", "upstream {upstream} is put aside: {why}");
        }
        if let Some(flight) = self.flights.get(place, generation) {
            flight.fault = Some(Failure::unreachable(format!("upstream {upstream}: {why}")));
        }
    }

    /// An attempt failed on the way.
    pub(super) fn attempt_failed(&mut self, ticket: Ticket, why: &str, blame: Blame, now: Tick) {
        let Some(flight) = self.flights.get(ticket.flight, ticket.generation) else { return };
        let Some(attempt) = flight.attempts.get_mut(ticket.attempt) else { return };
        let (awaited, taken) = (attempt.state == State::Awaited, attempt.place);
        attempt.state = State::Over;
        let upstream = attempt.upstream.clone();
        if awaited {
            self.pools.of(&upstream).room.leave(taken);
        }
        self.refused(ticket.flight, ticket.generation, &upstream, (why, blame), now);
    }
}
