//! What all connections over HTTP and QUIC of a thread hold together (rule S-53): of queries that are not whole, and of replies
//! that nobody reads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::guest::Guest;
use crate::metrics::Counters;

/// What they hold, and the bound of it.
pub(super) struct Ledger {
    /// The most that they may hold. Unit: bytes.
    most: usize,
    /// What they hold. Unit: bytes.
    held: Cell<usize>,
    /// They; those that are gone are left out when the next one comes.
    guests: RefCell<Vec<Weak<Guest>>>,
    /// Where it is counted which of them are cut: the thread's own.
    counters: Arc<Counters>,
}

impl Ledger {
    /// Nobody holds anything yet.
    pub(super) fn new(most: usize, counters: Arc<Counters>) -> Rc<Self> {
        Rc::new(Self { most, held: Cell::new(0), guests: RefCell::default(), counters })
    }

    /// A connection begins.
    pub(super) fn enter(&self, guest: &Rc<Guest>) {
        let mut guests = self.guests.borrow_mut();
        guests.retain(|known| known.strong_count() > 0);
        guests.push(Rc::downgrade(guest));
    }

    /// A connection holds so much more, which its own numbers say already; where all hold too much, those that hold most
    /// are cut.
    ///
    /// Cost: an addition; a walk over all connections where they hold too much.
    pub(super) fn add(&self, bytes: usize) {
        self.held.set(self.held.get() + bytes);
        if self.held.get() > self.most {
            self.relieve();
        }
    }

    /// So much less is held.
    pub(super) fn sub(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// Cuts, of the client that holds most, the connection that holds most, until the others hold no more than they may.
    fn relieve(&self) {
        let mut guests: Vec<Rc<Guest>> = self.guests.borrow().iter().filter_map(Weak::upgrade).collect();
        // What those hold that were cut goes with them.
        guests.retain(|guest| !guest.is_cut() && guest.weight() > 0);
        let mut clients: HashMap<IpAddr, usize> = HashMap::new();
        for guest in &guests {
            *clients.entry(guest.client()).or_default() += guest.weight();
        }
        let mut held: usize = clients.values().sum();
        while held > self.most {
            let of_client = |guest: &Rc<Guest>| clients.get(&guest.client()).copied().unwrap_or(0);
            let places = guests.iter().enumerate();
            let Some((place, _)) = places.max_by_key(|(_, guest)| (of_client(guest), guest.weight())) else {
                return;
            };
            let greatest = guests.swap_remove(place);
            held -= greatest.weight();
            if let Some(client) = clients.get_mut(&greatest.client()) {
                *client -= greatest.weight();
            }
            greatest.cut();
            self.counters.connections_cut.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::guest::{Guests, Place, QUERY, REPLY};
    use super::*;
    use crate::metrics::Traffic;

    /// A ledger of so many bytes, its counters, and what takes connections in.
    fn ledger(most: usize) -> (Arc<Counters>, impl Fn(u8) -> Place) {
        let counters = Arc::new(Counters::default());
        let ledger = Ledger::new(most, counters.clone());
        let guests = Rc::new(Guests::new(Arc::new(Traffic::new(&[])), ledger));
        let admit = move |client| guests.admit(IpAddr::from([192, 0, 2, client]), 100, 100).unwrap();
        (counters, admit)
    }

    #[test]
    fn s53_the_client_that_holds_most_loses_the_connection_that_holds_most() {
        let (counters, admit) = ledger(11_510 + QUERY + 2 * REPLY);
        let (large, small, other) = (admit(1), admit(1), admit(2));
        let _owed = (small.guest.owe(2500), large.guest.owe(9000));
        assert_eq!(counters.connections_cut.read(), 0);
        let mut query = other.guest.begin();
        assert!(query.keep(10), "that is what they may hold");
        assert!(query.keep(1), "one byte more is not the matter of who holds less");
        assert!(large.guest.is_cut() && !small.guest.is_cut() && !other.guest.is_cut());
        assert_eq!(counters.connections_cut.read(), 1);
        assert!(!large.guest.begin().keep(1), "nothing more is taken from who was cut");
    }

    #[test]
    fn s53_queries_that_only_begin_count_too() {
        let (counters, admit) = ledger(100 * QUERY);
        let (many, few) = (admit(1), admit(2));
        let begun: Vec<_> = (0..20).map(|_| few.guest.begin()).collect();
        let mut flood: Vec<_> = (0..80).map(|_| many.guest.begin()).collect();
        assert_eq!(counters.connections_cut.read(), 0);
        flood.push(many.guest.begin());
        assert!(many.guest.is_cut() && !few.guest.is_cut());
        drop((begun, flood));
    }

    #[test]
    fn s53_a_reply_counts_until_its_last_part_is_read() {
        let (counters, admit) = ledger(10_000 + 2 * REPLY);
        let (one, other) = (admit(1), admit(2));
        let mut rest = one.guest.owe(9000);
        let parts = [rest.split(4000), rest.split(4000)];
        assert_eq!(one.guest.weight(), 9000 + REPLY, "as much as before");
        drop(parts);
        assert_eq!(one.guest.weight(), 1000 + REPLY);
        // The rest, a reply of no bytes, and what is left of that.
        let empty = other.guest.owe(0);
        assert!(!one.guest.is_idle() && !other.guest.is_idle());
        assert_eq!(other.guest.weight(), REPLY);
        assert_eq!(counters.connections_cut.read(), 0);
        let more = other.guest.owe(9001 - REPLY);
        assert!(other.guest.is_cut() && !one.guest.is_cut(), "one byte too much of all");
        drop((rest, empty, more));
        assert!(one.guest.is_idle() && other.guest.is_idle());
        assert_eq!(one.guest.weight() + other.guest.weight(), 0);
    }

    #[test]
    fn s53_what_was_read_and_what_became_whole_counts_no_more() {
        let (counters, admit) = ledger(1000 + QUERY);
        let places: Vec<Place> = (0..4).map(admit).collect();
        for _ in 0..10 {
            for place in &places {
                let mut query = place.guest.begin();
                assert!(query.keep(500));
                query.asked();
                query.asked();
                let more: Vec<_> = (0..20).map(|_| place.guest.begin().asked()).collect();
                drop((query, more));
                let mut debt = place.guest.owe(900);
                debt.pay(600);
                debt.pay(300);
            }
        }
        assert_eq!(counters.connections_cut.read(), 0);
        // Those that are gone hold nothing.
        drop(places);
        let (_, admit) = ledger(1000 + QUERY);
        assert!(admit(1).guest.begin().keep(1000));
    }
}
