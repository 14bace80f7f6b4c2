//! A question under way: who waits for it, whom it was sent to, and what is known so far.

use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Failure, Waiter};
use super::group::Group;
use super::holdings::Client;
use super::loops::Marker;
use super::response::Response;
use super::room::{Claim, Place};
use super::upstream::{Protocol, Upstream};
use crate::time::Tick;
use crate::wire::Question;

/// What of the header and EDNS of a query goes upstream; part of what makes two questions the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Bits {
    /// RD.
    pub(super) recursion: bool,
    /// CD.
    pub(super) checking_disabled: bool,
    /// DO.
    pub(super) dnssec_ok: bool,
}

/// Whether an attempt is still awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Its time is not up.
    Awaited,
    /// Its time is up; a reply still counts.
    Overdue,
    /// The network refused it, or its reply was no answer.
    Over,
}

/// A query that was sent for a question.
#[derive(Debug)]
pub(super) struct Attempt {
    /// To whom.
    pub(super) upstream: Arc<Upstream>,
    /// How.
    pub(super) protocol: Protocol,
    /// With an OPT.
    pub(super) edns: bool,
    /// Under which id.
    pub(super) id: u16,
    /// From which socket; `None` for a stream.
    pub(super) socket: Option<usize>,
    /// In which letters, where they were mixed.
    pub(super) letters: Option<Box<[u8]>>,
    /// When.
    pub(super) sent: Tick,
    /// Until when nobody else is asked.
    pub(super) patient: Tick,
    /// From when on another one may be asked within the budget; `None` once that was decided.
    pub(super) hedge: Option<Tick>,
    /// Whether it is still awaited.
    pub(super) state: State,
    /// In which place.
    pub(super) place: Place,
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Flight {
    /// What makes another question the same one; empty for a probe.
    pub(super) key: Box<[u8]>,
    /// On behalf of which line; `None` for a probe or a marker.
    pub(super) group: Option<Arc<Group>>,
    /// The question.
    pub(super) question: Question,
    /// What goes with it.
    pub(super) bits: Bits,
    /// EDNS options that go with it, wire form.
    pub(super) options: Box<[u8]>,
    /// Who waits.
    pub(super) waiters: Vec<Waiter>,
    /// Whose question it is; `None` for what nobody waits for.
    pub(super) client: Option<Client>,
    /// Whether that client held little when places for everybody were gone, so that kept ones are for it.
    pub(super) modest: bool,
    /// Whom to ask, in this order, over and over.
    pub(super) order: Vec<Arc<Upstream>>,
    /// How many of `order` were turned to, rounds included.
    pub(super) turned: usize,
    /// What was sent.
    pub(super) attempts: Vec<Attempt>,
    /// When it ends at the latest.
    pub(super) until: Tick,
    /// When it is to be looked at next.
    pub(super) look: Tick,
    /// When its timer goes off; `None` while there is none.
    pub(super) armed: Option<Tick>,
    /// How many attempts could not be sent since no socket could be had.
    pub(super) unsent: usize,
    /// How many refusals came.
    pub(super) refusals: usize,
    /// An answer that is only given if no better one comes: a refusal.
    pub(super) refusal: Option<Arc<Response>>,
    /// What went wrong last.
    pub(super) fault: Option<Failure>,
    /// The marker that it carries, where it looks for a loop.
    pub(super) marker: Option<Marker>,
}

impl Flight {
    /// A question with nothing sent and nobody waiting: a probe, until it is given a line, a key or a marker.
    pub(super) fn new(
        question: Question,
        bits: Bits,
        order: Vec<Arc<Upstream>>,
        now: Tick,
        longest: Duration,
    ) -> Self {
        Self {
            key: Box::default(),
            group: None,
            question,
            bits,
            options: Box::default(),
            waiters: Vec::new(),
            client: None,
            modest: false,
            order,
            turned: 0,
            attempts: Vec::new(),
            until: now.plus(longest),
            look: now,
            armed: None,
            unsent: 0,
            refusals: 0,
            refusal: None,
            fault: None,
            marker: None,
        }
    }

    /// Whether any attempt may still be answered in its time.
    pub(super) fn awaited(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.state == State::Awaited)
    }

    /// How often this upstream was asked already.
    pub(super) fn asked(&self, upstream: &Upstream) -> usize {
        self.attempts.iter().filter(|attempt| attempt.upstream.id() == upstream.id()).count()
    }

    /// What an attempt with this upstream is to its places.
    pub(super) fn claim(&self, upstream: &Upstream) -> Claim {
        Claim { modest: self.modest, again: self.asked(upstream) > 0 }
    }

    /// Whether datagrams of this upstream did not do for this question: it was asked over TCP instead.
    pub(super) fn needs_tcp(&self, upstream: &Upstream) -> bool {
        let stream = |attempt: &Attempt| attempt.protocol != upstream.spec().protocol;
        self.attempts.iter().any(|attempt| attempt.upstream.id() == upstream.id() && stream(attempt))
    }

    /// Sets when it is to be looked at next: a hedge, the end of a patience, the end of all.
    pub(super) fn schedule(&mut self) {
        let awaited = self.attempts.iter().filter(|attempt| attempt.state == State::Awaited);
        let next =
            awaited.map(|attempt| attempt.hedge.map_or(attempt.patient, |hedge| hedge.min(attempt.patient)));
        self.look = next.min().map_or(self.until, |next| next.min(self.until));
    }
}

/// The flights of a worker, by place; a place is used again under another generation.
#[derive(Default)]
pub(super) struct Flights {
    /// The places.
    places: Vec<(u32, Option<Box<Flight>>)>,
    /// Free ones.
    free: Vec<usize>,
}

impl Flights {
    /// Takes a flight in; returns place and generation.
    pub(super) fn insert(&mut self, flight: Box<Flight>) -> (usize, u32) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        match self.places.get_mut(place) {
            Some((generation, slot)) => {
                *generation = generation.wrapping_add(1);
                *slot = Some(flight);
                (place, *generation)
            }
            None => (place, 0),
        }
    }

    /// The flight at a place, if it is still that one.
    pub(super) fn get(&mut self, place: usize, generation: u32) -> Option<&mut Flight> {
        let (current, flight) = self.places.get_mut(place)?;
        flight.as_deref_mut().filter(|_| *current == generation)
    }

    /// Takes a flight out, if it is still that one.
    pub(super) fn remove(&mut self, place: usize, generation: u32) -> Option<Box<Flight>> {
        let (current, flight) = self.places.get_mut(place)?;
        if *current != generation {
            return None;
        }
        let flight = flight.take()?;
        self.free.push(place);
        Some(flight)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Flight> {
        self.places.iter().filter_map(|(_, flight)| flight.as_deref())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
