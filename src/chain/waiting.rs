//! The table of waiting queries: its places, what stands in them, and when their time is up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::asked::Asked;
use super::crowd::{Crowd, Key, SPARE, busy};
use super::plan::Plan;
use super::share::{Share, Shares};
use super::signal::Signal;
use super::step::Answer;
use crate::forward::Waiter;
use crate::time::Tick;

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

/// One place in the table.
struct Slot<R> {
    /// Counted up whenever the place is taken, so that an old deadline doesn't meet a new query.
    generation: u32,
    /// Whose query was put here last.
    client: Key,
    /// When its time is up.
    until: Tick,
    /// The query.
    parked: Option<Parked<R>>,
}

/// A worker's table of waiting queries.
///
/// Shape: places are made as they are needed, up to a bound, and used again.
pub(super) struct Table<R> {
    /// The places.
    slots: Vec<Slot<R>>,
    /// The most of them: the bound on queries that wait.
    most: usize,
    /// Those that are free.
    free: Vec<usize>,
    /// How many hold a query that waits for a signal.
    signals: usize,
    /// When queries run out of time; entries of those that went on are skipped.
    deadlines: BinaryHeap<Reverse<(Tick, usize, u32)>>,
    /// How many places are taken for upstreams.
    shares: Shares,
    /// Who loses where all places are taken.
    crowd: Crowd,
    /// Queries that made room for others and are yet to be told so; they keep their places until then.
    dismissed: Vec<Waiter>,
}

#[cfg(test)]
impl<R> super::pipeline::Pipeline<R> {
    /// How many queries beyond the bound may wait now.
    pub(crate) fn beyond(&self) -> usize {
        self.table.beyond()
    }
}

impl<R> Table<R> {
    /// A table without places yet, which may have so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            slots: Vec::new(),
            most,
            free: Vec::new(),
            signals: 0,
            deadlines: BinaryHeap::new(),
            shares: Shares::default(),
            crowd: Crowd::default(),
            dismissed: Vec::new(),
        }
    }

    /// How many queries wait.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A place for a query that waits for these upstreams, or for a signal: who will wait there. It stays free until it is taken.
    /// Where the table is full, or as full as it may be of those that wait for these upstreams, the query of a client that
    /// holds more of it is dismissed (rule S-52).
    ///
    /// Errors: `None` where nobody holds more.
    pub(super) fn place(
        &mut self,
        share: Option<Share>,
        asked: &Asked,
        rng: &mut fastrand::Rng,
    ) -> Option<Waiter> {
        let place = self.free_place(share);
        // Nobody has to leave for what nobody waits for.
        if place.is_some() || asked.errand {
            return place;
        }
        let loser = self.loser(Key::of(asked.client.addr.ip()), share, rng)?;
        self.dismissed.push(loser);
        self.free_place(share)
    }

    /// A place that is free.
    fn free_place(&mut self, share: Option<Share>) -> Option<Waiter> {
        let dismissed = self.dismissed.len();
        if share.is_some_and(|share| self.shares.full(share, self.most + dismissed))
            || self.len() >= self.most + dismissed
        {
            return None;
        }
        if self.free.is_empty() {
            self.slots.push(Slot {
                generation: 0,
                client: Key::default(),
                until: Tick::default(),
                parked: None,
            });
            self.free.push(self.slots.len() - 1);
        }
        let place = *self.free.last()?;
        let generation = self.slots.get(place)?.generation.wrapping_add(1);
        Some(Waiter { place, generation })
    }

    /// Takes the place that `place` gave last.
    pub(super) fn take(&mut self, until: Tick, parked: Parked<R>) {
        let Some(place) = self.free.pop() else { return };
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.generation = slot.generation.wrapping_add(1);
        (slot.client, slot.until) = (Key::of(parked.asked.client.addr.ip()), until);
        self.deadlines.push(Reverse((until, place, slot.generation)));
        self.signals += usize::from(parked.signal.is_some());
        if let Some(share) = parked.share {
            self.shares.take(share);
        }
        slot.parked = Some(parked);
    }

    /// Lets the query of a place go.
    pub(super) fn leave(&mut self, place: usize) -> Option<Parked<R>> {
        let parked = self.slots.get_mut(place)?.parked.take()?;
        self.free.push(place);
        self.signals -= usize::from(parked.signal.is_some());
        if let Some(share) = parked.share {
            self.shares.give(share);
        }
        Some(parked)
    }

    /// Whether it is still there.
    pub(super) fn waits(&self, waiter: Waiter) -> bool {
        self.slots
            .get(waiter.place)
            .is_some_and(|slot| slot.generation == waiter.generation && slot.parked.is_some())
    }

    /// The first place from `from` on whose signal came. Cost: none while nobody waits for a signal, else a look at each place.
    pub(super) fn signalled(&self, from: usize) -> Option<usize> {
        if self.signals == 0 {
            return None;
        }
        let fired = |slot: &Slot<R>| {
            slot.parked
                .as_ref()
                .and_then(|parked| parked.signal.as_ref())
                .is_some_and(|signal| signal.fired())
        };
        (from..self.slots.len()).find(|place| self.slots.get(*place).is_some_and(fired))
    }

    /// A place whose time is up at `now`.
    pub(super) fn overdue(&mut self, now: Tick) -> Option<usize> {
        while let Some(&Reverse((until, place, generation))) = self.deadlines.peek() {
            let current = self.waits(Waiter { place, generation });
            if current && until > now {
                return None;
            }
            self.deadlines.pop();
            if current {
                return Some(place);
            }
        }
        None
    }

    /// Who is to leave for a query of `client`.
    fn loser(&mut self, client: Key, share: Option<Share>, rng: &mut fastrand::Rng) -> Option<Waiter> {
        if self.slots.is_empty() || self.dismissed.len() >= SPARE {
            return None;
        }
        let (slots, dismissed) = (&self.slots, &self.dismissed);
        let full = share.filter(|share| self.shares.full(*share, self.most + dismissed.len()));
        let look = || {
            let place = rng.usize(..slots.len());
            let slot = slots.get(place)?;
            let parked = slot.parked.as_ref()?;
            let waiter = Waiter { place, generation: slot.generation };
            // Where one line's upstreams have too many places, only one of theirs helps.
            let helps = full.is_none() || parked.share == full;
            (helps && !dismissed.contains(&waiter)).then_some((place, slot.client, slot.until))
        };
        let place = self.crowd.loser(client, look)?;
        Some(Waiter { place, generation: slots.get(place)?.generation })
    }

    /// The place of a query that has to leave for another, and what it hears.
    pub(super) fn dismissed(&mut self) -> Option<(usize, Answer)> {
        while let Some(waiter) = self.dismissed.pop() {
            let parked = self.slots.get(waiter.place).and_then(|slot| slot.parked.as_ref());
            // It may be done with meanwhile.
            if let Some(parked) = parked.filter(|_| self.waits(waiter)) {
                return Some((waiter.place, busy(parked.signal.is_none())));
            }
        }
        None
    }

    /// How many queries beyond its bound the table may hold now: those that were dismissed and not told so yet.
    #[cfg(test)]
    fn beyond(&self) -> usize {
        self.dismissed.len()
    }

    /// When the next one's time is up, at the earliest.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        if !self.dismissed.is_empty() {
            return Some(Tick::default());
        }
        self.deadlines.peek().map(|Reverse((until, ..))| *until)
    }
}
