//! One upstream by one protocol: its connections, who is given to which, and what becomes of those whose connection died.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use std::sync::Arc;

use super::super::network::StreamFault;
use super::super::upstream::{Protocol, Upstream, count};
use super::connection::{Connection, Life};
use super::desk::{Room, TOO_MANY};
use super::fault::ours;
use super::task::Task;
use super::{dial, framed, https};
use crate::panics::attempted;
use crate::time::Tick;

/// Queries under way on a connection from which on a second one is opened: what usual servers work on side by side.
const DEEP: usize = 32;

/// The same for HTTPS and QUIC: the streams that usual servers allow at once (RFC 9113 §6.5.2).
const STREAMS: usize = 100;

/// The most queries under way on a connection; more wait in the backlog.
const DEEPEST: usize = 512;

/// The most connections that are in good order.
const CONNECTIONS: usize = 2;

/// The most connections, those counted that fell silent and end with what they owe.
const ALL: usize = 8;

/// The most connections to an upstream that answers once and closes.
const ONE_SHOTS: usize = 32;

/// How long an upstream that answered once and closed is given one query a connection.
const ONE_SHOT: Duration = Duration::from_secs(60);

/// How a connection ended.
pub(super) struct End {
    /// Why, for those that were not answered.
    pub(super) fault: StreamFault,
    /// Those that were sent and not answered.
    pub(super) tasks: Vec<Task>,
}

/// One upstream by one protocol.
pub(super) struct Lane {
    /// Itself, for the tasks of its connections.
    this: Weak<Self>,
    /// The upstream.
    pub(super) upstream: Arc<Upstream>,
    /// How it is talked to.
    pub(super) protocol: Protocol,
    /// What lanes have in common.
    pub(super) room: Rc<Room>,
    /// The connections.
    connections: RefCell<Vec<Rc<Connection>>>,
    /// Tasks that no connection has room for.
    backlog: RefCell<VecDeque<Task>>,
    /// Until when connections are used for one query.
    one_shot: Cell<Tick>,
}

impl Lane {
    /// A lane without connections.
    pub(super) fn new(upstream: Arc<Upstream>, protocol: Protocol, room: Rc<Room>) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            upstream,
            protocol,
            room,
            connections: RefCell::default(),
            backlog: RefCell::default(),
            one_shot: Cell::new(Tick::default()),
        })
    }

    /// The moment now.
    pub(super) fn now(&self) -> Tick {
        self.room.clock.now()
    }

    /// Whether nothing is under way and no connection is there.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty() && self.backlog.borrow().is_empty()
    }

    /// Takes a task.
    pub(super) fn take(&self, task: Task) {
        let load: usize = self.connections.borrow().iter().map(|connection| connection.load()).sum();
        if load + self.backlog.borrow().len() >= self.room.options.most_per_upstream {
            return task.fail(ours(TOO_MANY));
        }
        let now = self.now();
        if task.over(now) {
            return task.forget();
        }
        self.backlog.borrow_mut().push_back(task);
        self.pump();
    }

    /// Gives tasks of the backlog to connections, as far as there is room.
    pub(super) fn pump(&self) {
        let now = self.now();
        loop {
            let Some(task) = self.backlog.borrow_mut().pop_front() else { return };
            if task.over(now) {
                task.forget();
                continue;
            }
            match self.choose(task.retried, now) {
                Some(connection) => {
                    if connection.life() == Life::Open {
                        count(&self.upstream.counts.reused);
                    }
                    connection.give(task, now);
                }
                None => return self.backlog.borrow_mut().push_front(task),
            }
        }
    }

    /// The connection for the next task; `None` where it has to wait. One that was given to a connection that died is
    /// given to a fresh one only.
    fn choose(&self, fresh: bool, now: Tick) -> Option<Rc<Connection>> {
        let one_shot = now < self.one_shot.get();
        let silent = self.room.options.silent;
        let mut good = 0;
        let mut best: Option<Rc<Connection>> = None;
        let connections = self.connections.borrow();
        for connection in connections.iter() {
            if connection.aged(self.upstream.spec(), now) {
                connection.leave();
            }
            let leaves = connection.life() == Life::Leaving;
            if leaves && !one_shot || connection.doubtful(silent, now) {
                continue;
            }
            good += 1;
            let used = connection.life() != Life::Opening || one_shot && connection.load() > 0;
            if leaves || used && (one_shot || fresh) {
                continue;
            }
            if best.as_ref().is_none_or(|best| connection.load() < best.load()) {
                best = Some(connection.clone());
            }
        }
        let (deep, most, all) = match self.protocol {
            _ if one_shot => (1, ONE_SHOTS, ONE_SHOTS + ALL),
            Protocol::Https | Protocol::Quic => (STREAMS, CONNECTIONS, ALL),
            Protocol::Udp | Protocol::Tcp | Protocol::Tls => (DEEP, CONNECTIONS, ALL),
        };
        // A retry may open one where all that are there have been used.
        let more = (good < most || fresh && best.is_none()) && connections.len() < all;
        match best {
            Some(best) if best.load() < deep || !more => (best.load() < DEEPEST).then_some(best),
            _ if more => {
                drop(connections);
                Some(self.open(now))
            }
            _ => None,
        }
    }

    /// Opens a connection.
    fn open(&self, now: Tick) -> Rc<Connection> {
        let connection = Rc::new(Connection::new(now));
        self.connections.borrow_mut().push(connection.clone());
        if let Some(lane) = self.this.upgrade() {
            let guard = Guard { lane, connection: connection.clone() };
            tokio::task::spawn_local(attempted("connection to an upstream", live(guard)));
        }
        connection
    }

    /// How many connections owe nothing.
    fn idle(&self) -> usize {
        let connections = self.connections.borrow();
        connections.iter().filter(|known| known.life() == Life::Open && known.load() == 0).count()
    }

    /// A task of a connection has ended; a connection may not be needed any more, and another task has room.
    pub(super) fn ended(&self, connection: &Connection) {
        let now = self.now();
        connection.ended(now);
        if connection.load() == 0 {
            let most = self.upstream.spec().max_idle;
            if now < self.one_shot.get() || most > 0 && self.idle() > most {
                connection.leave();
            }
        }
        if !self.backlog.borrow().is_empty() {
            self.pump();
        }
    }

    /// A connection died under a task: it is sent once more where the connection had been used, else it failed.
    pub(super) fn bereaved(&self, connection: &Connection, mut task: Task, why: &StreamFault) {
        if task.over(self.now()) {
            return task.forget();
        }
        if task.retried || !(task.reused || connection.replies() > 0) {
            return task.fail(why.clone());
        }
        task.retried = true;
        self.backlog.borrow_mut().push_back(task);
    }
}

/// Sees to it that a connection leaves its lane, whatever ends it.
struct Guard {
    /// The lane.
    lane: Rc<Lane>,
    /// The connection.
    connection: Rc<Connection>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.connection.leave();
        self.lane.connections.borrow_mut().retain(|known| !Rc::ptr_eq(known, &self.connection));
    }
}

/// The life of a connection: opened, talked on, and what is left of it when it ends.
async fn live(guard: Guard) {
    let (lane, connection) = (guard.lane.clone(), guard.connection.clone());
    let end = match lane.protocol {
        Protocol::Udp | Protocol::Tcp => match dial::tcp(&lane).await {
            Ok(stream) => framed::serve(stream, &connection, &lane).await,
            Err(fault) => End { fault, tasks: Vec::new() },
        },
        Protocol::Tls => match dial::tls(&lane, super::tls::Alpn::Dot).await {
            Ok(stream) => framed::serve(stream, &connection, &lane).await,
            Err(fault) => End { fault, tasks: Vec::new() },
        },
        Protocol::Https => https::serve(&connection, &lane).await,
        #[cfg(feature = "quic")]
        Protocol::Quic => super::quic::serve(&connection, &lane).await,
        #[cfg(not(feature = "quic"))]
        Protocol::Quic => {
            End { fault: ours("QUIC is left out of this build (cargo feature quic)"), tasks: Vec::new() }
        }
    };
    drop(guard);
    let mut left = end.tasks;
    left.extend(std::iter::from_fn(|| connection.next()));
    // It answered one and closed although more had been sent at once: it wants a connection for each.
    if connection.replies() == 1 && left.iter().any(|task| !task.reused) {
        lane.one_shot.set(lane.now().plus(ONE_SHOT));
    }
    for task in left {
        lane.bereaved(&connection, task, &end.fault);
    }
    lane.pump();
}
