//! Connections over HTTP and QUIC: how many there may be, and how long each may stay.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::ledger::Ledger;
use crate::metrics::Traffic;

/// Bytes of replies that may wait for a peer to read them, beyond which no more queries of it are answered.
const OWED: usize = 128 * 1024;

/// Bytes of queries of one connection that are kept while they are incomplete.
const KEPT: usize = 256 * 1024;

/// Replies that may wait for a peer to read them, beyond which no more queries of it are answered.
const UNREAD: usize = 32;

/// What a query costs beside its bytes until it is whole: its task, and the stream that it comes on. Unit: bytes.
pub(super) const QUERY: usize = 4096;

/// What a reply costs beside its bytes until it is read: its head, and what is left of the stream that it goes on. Unit: bytes.
pub(super) const REPLY: usize = 2048;

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The times that connections may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Times {
    /// Without a query; a fifth of it once more than half the places are taken.
    pub(super) idle: Duration,
    /// From a query's first byte to its last.
    pub(super) partial: Duration,
    /// That a byte of a reply may wait for the peer to read it.
    pub(super) write: Duration,
}

/// One connection.
pub(super) struct Guest {
    /// The client.
    client: IpAddr,
    /// Whether it takes a place.
    counted: Cell<bool>,
    /// Queries under way.
    busy: Cell<usize>,
    /// Bytes of replies that it has not read.
    owed: Cell<usize>,
    /// Those replies.
    unread: Cell<usize>,
    /// Bytes of queries that are not whole.
    kept: Cell<usize>,
    /// Queries that were not asked yet.
    unasked: Cell<usize>,
    /// When something last came of it.
    active: Cell<Instant>,
    /// Rung when less is owed.
    freed: Notify,
    /// Rung when it must make room for another.
    evicted: Notify,
    /// Whether it was cut because all connections held too much.
    cut: Cell<bool>,
    /// Where what all of them hold is counted.
    ledger: Rc<Ledger>,
}

impl Guest {
    /// Begins a query.
    pub(super) fn begin(self: &Rc<Self>) -> Query {
        self.busy.set(self.busy.get() + 1);
        self.unasked.set(self.unasked.get() + 1);
        self.ledger.add(QUERY);
        Query { guest: self.clone(), kept: 0, unasked: true }
    }

    /// Notes that something came of it.
    pub(super) fn alive(&self) {
        self.active.set(Instant::now());
    }

    /// Lets what was answered be written before more of it is taken up: a burst that its client reads holds little at a time.
    pub(super) async fn breath(&self) {
        if !self.is_readable() {
            yield_now().await;
        }
    }

    /// Whether it has read enough of its replies to be given another.
    fn is_readable(&self) -> bool {
        self.owed.get() < OWED && self.unread.get() < UNREAD
    }

    /// Returns when it has read enough of its replies to be given another.
    pub(super) async fn readable(&self) {
        while !self.is_readable() {
            self.freed.notified().await;
        }
    }

    /// Who it is.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// What it holds: of replies that it has not read, and of queries that are not whole. Unit: bytes.
    pub(super) fn weight(&self) -> usize {
        self.owed.get() + self.kept.get() + QUERY * self.unasked.get() + REPLY * self.unread.get()
    }

    /// Whether it was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Ends it, since all connections hold too much.
    pub(super) fn cut(&self) {
        self.cut.set(true);
        self.evicted.notify_one();
    }

    /// Notes that it is owed a reply of so many bytes.
    pub(super) fn owe(self: &Rc<Self>, bytes: usize) -> Debt {
        self.owed.set(self.owed.get() + bytes);
        self.unread.set(self.unread.get() + 1);
        self.ledger.add(bytes + REPLY);
        Debt { guest: self.clone(), bytes, last: true }
    }

    /// Whether it is owed anything.
    fn is_owed(&self) -> bool {
        self.owed.get() > 0 || self.unread.get() > 0
    }

    /// Whether nothing of it is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.busy.get() == 0 && !self.is_owed()
    }

    /// Returns when it must make room for another.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Returns when its time is up: it was idle for too long, or it does not read.
    pub(super) async fn overdue(&self, guests: &Guests, times: &Times) {
        loop {
            sleep(LOOK).await;
            let quiet = self.active.get().elapsed();
            let idle = if guests.crowded() { times.idle / 5 } else { times.idle };
            if self.is_idle() && quiet >= idle || self.is_owed() && quiet >= times.write {
                return;
            }
        }
    }

    /// Returns when nothing of it is under way.
    pub(super) async fn done(&self) {
        while !self.is_idle() {
            sleep(LOOK / 10).await;
        }
    }
}

/// A query under way.
pub(super) struct Query {
    /// Whose it is.
    guest: Rc<Guest>,
    /// Bytes that are kept of it.
    kept: usize,
    /// Whether it was not asked yet.
    unasked: bool,
}

impl Query {
    /// Keeps so many bytes more of it; false where its connection keeps too many, or was cut.
    pub(super) fn keep(&mut self, bytes: usize) -> bool {
        self.kept += bytes;
        let kept = self.guest.kept.get() + bytes;
        self.guest.kept.set(kept);
        self.guest.ledger.add(bytes);
        kept <= KEPT && !self.guest.is_cut()
    }

    /// Gives back what was kept of it: it was asked.
    pub(super) fn asked(&mut self) {
        let guest = &self.guest;
        guest.kept.set(guest.kept.get().saturating_sub(self.kept));
        guest.ledger.sub(std::mem::take(&mut self.kept));
        if std::mem::take(&mut self.unasked) {
            guest.unasked.set(guest.unasked.get().saturating_sub(1));
            guest.ledger.sub(QUERY);
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.asked();
        self.guest.busy.set(self.guest.busy.get().saturating_sub(1));
        self.guest.alive();
    }
}

/// A reply that a peer has not read, or a part of it.
pub(super) struct Debt {
    /// Whose it is.
    guest: Rc<Guest>,
    /// Its bytes.
    bytes: usize,
    /// Whether its end is in it.
    last: bool,
}

impl Debt {
    /// Takes its first bytes off it, fewer than all.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { guest: self.guest.clone(), bytes, last: false }
    }

    /// Some of them were read.
    pub(super) fn pay(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.guest.owed.set(self.guest.owed.get().saturating_sub(bytes));
        self.guest.ledger.sub(bytes);
        self.guest.alive();
        self.guest.freed.notify_waiters();
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        if self.last {
            self.guest.unread.set(self.guest.unread.get().saturating_sub(1));
            self.guest.ledger.sub(REPLY);
        }
        self.pay(self.bytes);
    }
}

/// The connections of a listener on this thread.
pub(super) struct Guests {
    /// They.
    all: RefCell<Vec<Rc<Guest>>>,
    /// Where those of all threads are counted.
    traffic: Arc<Traffic>,
    /// The most of them, as last heard.
    most: Cell<usize>,
    /// Where it is counted what they hold.
    ledger: Rc<Ledger>,
}

/// A place that a connection takes; given back when dropped.
pub(super) struct Place {
    /// Among whom.
    guests: Rc<Guests>,
    /// The connection.
    pub(super) guest: Rc<Guest>,
}

impl Guests {
    /// Nobody yet.
    pub(super) fn new(traffic: Arc<Traffic>, ledger: Rc<Ledger>) -> Self {
        Self { all: RefCell::default(), traffic, most: Cell::new(usize::MAX), ledger }
    }

    /// Returns when there are none.
    #[cfg(feature = "quic")]
    pub(super) async fn gone(&self) {
        while self.len() > 0 {
            sleep(LOOK / 10).await;
        }
    }

    /// How many there are on this thread.
    pub(super) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// Whether more than half of the places are taken.
    pub(super) fn crowded(&self) -> bool {
        self.traffic.connections() > self.most.get() / 2
    }

    /// Takes a connection of a client in, one of `most` in all and of `per_client` from there; `None` where there is no
    /// place. With all places taken, the connection that has been idle longest makes room.
    pub(super) fn admit(self: &Rc<Self>, client: IpAddr, most: usize, per_client: usize) -> Option<Place> {
        self.most.set(most);
        let mut all = self.all.borrow_mut();
        if all.iter().filter(|guest| guest.client == client).count() >= per_client {
            self.traffic.refused();
            return None;
        }
        if !self.traffic.enter(most) {
            let idle = all.iter().filter(|guest| guest.is_idle() && guest.counted.get());
            if let Some(oldest) = idle.min_by_key(|guest| guest.active.get()) {
                oldest.counted.set(false);
                oldest.evicted.notify_one();
                self.traffic.leave();
            }
            if !self.traffic.enter(most) {
                self.traffic.refused();
                return None;
            }
        }
        let guest = Rc::new(Guest {
            client,
            counted: Cell::new(true),
            busy: Cell::new(0),
            owed: Cell::new(0),
            unread: Cell::new(0),
            kept: Cell::new(0),
            unasked: Cell::new(0),
            active: Cell::new(Instant::now()),
            freed: Notify::new(),
            evicted: Notify::new(),
            cut: Cell::new(false),
            ledger: self.ledger.clone(),
        });
        self.ledger.enter(&guest);
        all.push(guest.clone());
        Some(Place { guests: self.clone(), guest })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.all.borrow_mut().retain(|guest| !Rc::ptr_eq(guest, &self.guest));
        if self.guest.counted.get() {
            self.guests.traffic.leave();
        }
    }
}
